//! Limited-memory BFGS: a quasi-Newton method that remembers the last few changes of the gradient.
//!
//! Why not the crate `argmin`, which has one: it asks for the value and the gradient in two calls,
//! while one integration with its adjoint gives us both; its Moré–Thuente search returns an error
//! at the first trial that is not finite, and a trial parameter for which the system blows up is
//! ordinary here; and its observers cannot end a run. What would remain of it is shorter than the
//! adapters around it.

use crate::train::line_search::{Trial, strong_wolfe};
use crate::train::optimizer::{
    Limits, Minimum, Objective, OnStep, Optimizer, Progress, Why, dot, finite, max_norm,
};
use std::cell::Cell;
use std::collections::VecDeque;

/// L-BFGS with a strong Wolfe line search. Source: Nocedal and Wright, Numerical Optimization, 2nd
/// edition 2006, algorithms 7.4 (two-loop recursion) and 7.5, initial scaling by equation 7.20.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lbfgs {
    /// Pairs of changes that are remembered, at least 1.
    pub memory: usize,
}

impl Default for Lbfgs {
    fn default() -> Lbfgs {
        Lbfgs { memory: 10 }
    }
}

impl Optimizer for Lbfgs {
    fn minimise(
        &self,
        objective: &mut Objective<'_>,
        x0: &[f64],
        limits: &Limits,
        on_step: &mut OnStep<'_>,
    ) -> Minimum {
        let n = x0.len();
        let mut at = Minimum {
            x: x0.to_vec(),
            value: 0.0,
            gradient: vec![0.0; n],
            steps: 0,
            evaluations: 1,
            why: Why::StepLimit,
        };
        at.value = objective(&at.x, &mut at.gradient);
        if !finite(at.value, &at.gradient) {
            at.why = Why::NotFinite;
            return at;
        }
        let mut memory = Memory { pairs: VecDeque::new(), capacity: self.memory.max(1) };
        let (mut x, mut gradient) = (vec![0.0; n], vec![0.0; n]);
        while at.steps < limits.steps {
            let norm = max_norm(&at.gradient);
            if limits.flat(norm, at.value) {
                at.why = Why::Gradient;
                return at;
            }
            let direction = memory.direction(&at.gradient);
            let slope = dot(&direction, &at.gradient);
            // Of the quadratic model, the minimum lies −slope/2 below (the Newton decrement).
            if !memory.pairs.is_empty() && -0.5 * slope <= limits.ftol * at.value.abs().max(1.0) {
                at.why = Why::Decrease;
                return at;
            }
            // Without a memory there is no scale: the first trial moves by at most 1.
            let first = if memory.pairs.is_empty() { (1.0 / norm).min(1.0) } else { 1.0 };
            let start = Trial { alpha: 0.0, value: at.value, slope };
            let last = Cell::new(f64::NAN);
            let mut phi = |alpha: f64| {
                for i in 0..n {
                    x[i] = at.x[i] + alpha * direction[i];
                }
                at.evaluations += 1;
                last.set(alpha);
                let value = objective(&x, &mut gradient);
                let slope = if finite(value, &gradient) { dot(&direction, &gradient) } else { f64::NAN };
                Trial { alpha, value, slope }
            };
            let Some(step) = strong_wolfe(start, first, &mut phi) else {
                if memory.pairs.is_empty() {
                    at.why = Why::Stalled;
                    return at;
                }
                // The memory may be stale: once more from here, along the gradient.
                memory.pairs.clear();
                continue;
            };
            if step.alpha != last.get() {
                phi(step.alpha);
            }
            memory.remember(&at, &x, &gradient);
            at.x.copy_from_slice(&x);
            at.gradient.copy_from_slice(&gradient);
            at.value = step.value;
            at.steps += 1;
            let progress = Progress {
                step: at.steps,
                evaluations: at.evaluations,
                value: at.value,
                gradient_norm: max_norm(&at.gradient),
                x: &at.x,
            };
            if on_step(&progress).is_break() {
                at.why = Why::Stopped;
                return at;
            }
        }
        if limits.flat(max_norm(&at.gradient), at.value) {
            at.why = Why::Gradient;
        }
        at
    }
}

/// The changes of `x` and of the gradient, oldest first.
struct Memory {
    pairs: VecDeque<Pair>,
    capacity: usize,
}

struct Pair {
    /// `x_{k+1} − x_k`
    s: Vec<f64>,
    /// `g_{k+1} − g_k`
    y: Vec<f64>,
    /// `1 / sᵀy`
    rho: f64,
}

impl Memory {
    /// `−H g`, with `H` the approximate inverse Hessian (algorithm 7.4).
    fn direction(&self, gradient: &[f64]) -> Vec<f64> {
        let mut d: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut alphas = Vec::with_capacity(self.pairs.len());
        for Pair { s, y, rho } in self.pairs.iter().rev() {
            let alpha = rho * dot(s, &d);
            add_scaled(&mut d, -alpha, y);
            alphas.push(alpha);
        }
        if let Some(Pair { y, rho, .. }) = self.pairs.back() {
            let gamma = 1.0 / (rho * dot(y, y));
            d.iter_mut().for_each(|d| *d *= gamma);
        }
        for (Pair { s, y, rho }, alpha) in self.pairs.iter().zip(alphas.into_iter().rev()) {
            let beta = rho * dot(y, &d);
            add_scaled(&mut d, alpha - beta, s);
        }
        d
    }

    /// Takes a pair, if its curvature `sᵀy` is positive: otherwise `H` would not be.
    fn remember(&mut self, from: &Minimum, x: &[f64], gradient: &[f64]) {
        let s: Vec<f64> = x.iter().zip(&from.x).map(|(new, old)| new - old).collect();
        let y: Vec<f64> = gradient.iter().zip(&from.gradient).map(|(new, old)| new - old).collect();
        let sy = dot(&s, &y);
        if sy <= f64::EPSILON * dot(&y, &y) {
            return;
        }
        if self.pairs.len() == self.capacity {
            self.pairs.pop_front();
        }
        self.pairs.push_back(Pair { s, y, rho: 1.0 / sy });
    }
}

/// `a ← a + c·b`
fn add_scaled(a: &mut [f64], c: f64, b: &[f64]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += c * b);
}
