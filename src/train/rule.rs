//! One step of a first-order method: from a gradient to a change of the point, with the memory
//! that the next step needs.
//!
//! `g` is the gradient at `x`, `k` counts steps from 1, `lr` includes the factor of the schedule.
//! An L2 term adds `weight_decay · x` to `g` first. The points live in free space, where params in a
//! set are moved to all of ℝ.
//!
//! - `sgd`: `u ← momentum·u + g`, `x ← x − lr·u`, or with Nesterov's look ahead `x ← x − lr·(g +
//!   momentum·u)`. Source: Polyak, "Some methods of speeding up the convergence of iteration methods",
//!   1964; Sutskever et al., ICML 2013, equations 1 to 4, in the form that takes `lr` out of `u`.
//! - `adam`: `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`, `x ← x − lr · m/(1−β₁ᵏ) / (√(v/(1−β₂ᵏ)) + ε)`.
//!   Source: Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1.
//! - `adamw`: first `x ← x − lr·weight_decay·x`, then as `adam` without an L2 term. Source: Loshchilov and
//!   Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2.
//! - `adamax`: `m` as above, `v ← max(β₂v, |g| + ε)`, `x ← x − lr/(1−β₁ᵏ) · m/v`. Source: Kingma and Ba,
//!   algorithm 2, with an ε so that a gradient that is always 0 divides by no zero.

use crate::settings::{Moments, OptimizerChoice};
use crate::train::optimizer::dot;

/// A first-order method in the middle of its work.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    choice: OptimizerChoice,
    /// Steps taken.
    pub step: u64,
    /// What it remembers, two vectors `[n]`: of `sgd` the velocity `u` and nothing, of the others
    /// `m` and `v`.
    pub memory: [Vec<f64>; 2],
}

impl Rule {
    /// The method at its start, for `n` numbers.
    ///
    /// # Panics
    /// For `lbfgs`, which is no first-order method.
    pub fn new(choice: OptimizerChoice, n: usize) -> Rule {
        let second = match choice {
            OptimizerChoice::Sgd { .. } => 0,
            OptimizerChoice::Adam(_) | OptimizerChoice::AdamW(_) | OptimizerChoice::Adamax(_) => n,
            OptimizerChoice::Lbfgs { .. } => crate::bug!("`lbfgs` is no first-order method"),
        };
        Rule { choice, step: 0, memory: [vec![0.0; n], vec![0.0; second]] }
    }

    /// Changes `x` as the gradient `g` says, the learning rate times `factor`.
    pub fn update(&mut self, factor: f64, x: &mut [f64], g: &[f64]) {
        self.step += 1;
        let [first, second] = &mut self.memory;
        match self.choice {
            OptimizerChoice::Sgd { lr, momentum, nesterov, weight_decay } => {
                let lr = lr * factor;
                for i in 0..x.len() {
                    let g = g[i] + weight_decay * x[i];
                    first[i] = momentum * first[i] + g;
                    x[i] -= lr * if nesterov { g + momentum * first[i] } else { first[i] };
                }
            }
            OptimizerChoice::Adam(numbers) => {
                adam(&numbers, numbers.weight_decay, self.step, factor, (x, g), (first, second));
            }
            OptimizerChoice::AdamW(numbers) => {
                let share = numbers.lr * factor * numbers.weight_decay;
                x.iter_mut().for_each(|x| *x -= share * *x);
                adam(&numbers, 0.0, self.step, factor, (x, g), (first, second));
            }
            OptimizerChoice::Adamax(Moments { lr, beta1, beta2, eps, weight_decay }) => {
                let lr = lr * factor / (1.0 - libm::pow(beta1, self.step as f64));
                for i in 0..x.len() {
                    let g = g[i] + weight_decay * x[i];
                    first[i] = beta1 * first[i] + (1.0 - beta1) * g;
                    second[i] = (beta2 * second[i]).max(g.abs() + eps);
                    x[i] -= lr * first[i] / second[i];
                }
            }
            OptimizerChoice::Lbfgs { .. } => crate::bug!("`lbfgs` is no first-order method"),
        }
    }
}

fn adam(
    numbers: &Moments,
    weight_decay: f64,
    step: u64,
    factor: f64,
    (x, g): (&mut [f64], &[f64]),
    (m, v): (&mut [f64], &mut [f64]),
) {
    let Moments { lr, beta1, beta2, eps, .. } = *numbers;
    let k = step as f64;
    let (m_scale, v_scale) = (1.0 - libm::pow(beta1, k), 1.0 - libm::pow(beta2, k));
    for i in 0..x.len() {
        let g = g[i] + weight_decay * x[i];
        m[i] = beta1 * m[i] + (1.0 - beta1) * g;
        v[i] = beta2 * v[i] + (1.0 - beta2) * g * g;
        x[i] -= lr * factor * (m[i] / m_scale) / ((v[i] / v_scale).sqrt() + eps);
    }
}

/// Shortens `g` to the Euclidean norm `longest` if it is longer; gives the norm it had. Source:
/// Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
/// algorithm 1.
pub fn clip(g: &mut [f64], longest: Option<f64>) -> f64 {
    let norm = dot(g, g).sqrt();
    if let Some(longest) = longest
        && norm > longest
    {
        let factor = longest / norm;
        g.iter_mut().for_each(|g| *g *= factor);
    }
    norm
}
