//! Adams–Bashforth–Moulton: predicts and corrects with the polynomial through past rates, at steps of
//! any length and orders 1 to 12.
//!
//! The rates `f_n, f_{n-1}, ..` at past times are kept as they are. For a step of size `h` let
//! `s_i = (t_{n-i} - t_n)/h`, `ω_j(s) = Π_{i<j} (s - s_i)` and `d_j` their divided differences in `s`.
//! Then `p = y + h Σ_{j<k} g_j d_j` with `g_j = ∫_0^1 ω_j` predicts with order `k`; with `D` the
//! divided difference that takes in `f(t + h, p)`, `y_new = p + h g_k D` has order `k + 1`; the formula
//! of order `k` differs from it by `h D ∫_0^1 (s - 1) ω_{k-1}`, the error estimate. Source: E. Hairer,
//! S. P. Nørsett, G. Wanner, Solving Ordinary Differential Equations I, III.5; the choice of order and
//! step after L. F. Shampine, M. K. Gordon, Computer Solution of Ordinary Differential Equations
//! (1975), as told there in III.7.

use super::control::Adaptive;
use super::dense::{Accepted, Interior};
use super::outcome::{Invalid, Outcome, Quantity, Stats};
use super::problem::{Rates, Real};
use super::solve::Stepping;
use super::stepper::{Flow, Leg, Stepper, non_finite, require_finite};

/// The highest order of a predictor.
const MAX_ORDER: usize = 12;
/// Past rates that are kept: one more than the highest order, to judge it.
const MAX_PAST: usize = MAX_ORDER + 1;

/// A polynomial of degree at most 14, by rising powers.
type Poly = [f64; MAX_PAST + 2];

/// The formulas at work on one system.
pub struct Adams<'a, T, S: ?Sized> {
    system: &'a mut S,
    stepping: &'a Stepping,
    order: usize,
    /// The step wished for next.
    size: f64,
    /// Past times, the last one first, and the rates there.
    past: Vec<(f64, Vec<f64>)>,
    y_new: Vec<T>,
    rate: Vec<T>,
    /// The error estimate of the step last taken; empty after a step that has none.
    err: Vec<T>,
    taken: (f64, f64, f64),
    powers: Vec<T>,
}

/// What depends on the times only.
struct Basis {
    /// `ω_0, ω_1, ..`
    omega: Vec<Poly>,
    /// `s_0, s_1, ..`
    s: Vec<f64>,
}

impl Basis {
    /// For a step of size `h` from the first of `past`.
    fn new(past: &[(f64, Vec<f64>)], h: f64) -> Basis {
        let s: Vec<f64> = past.iter().map(|(t, _)| (t - past[0].0) / h).collect();
        let mut one = [0.0; MAX_PAST + 2];
        one[0] = 1.0;
        let mut omega = vec![one];
        for s in &s {
            let next = times(&omega[omega.len() - 1], *s);
            omega.push(next);
        }
        Basis { omega, s }
    }

    /// `∫_0^1 (s - 1) ω_j`
    fn error_constant(&self, j: usize) -> f64 {
        integral(&times(&self.omega[j], 1.0))
    }

    /// Divided differences `d_j` of the rates of one component.
    fn differences(&self, f: impl Fn(usize) -> f64) -> Poly {
        let mut d = [0.0; MAX_PAST + 2];
        (0..self.s.len()).for_each(|i| d[i] = f(i));
        for j in 1..self.s.len() {
            for i in (j..self.s.len()).rev() {
                d[i] = (d[i] - d[i - 1]) / (self.s[i] - self.s[i - j]);
            }
        }
        d
    }
}

/// `(s - root) p(s)`
fn times(p: &Poly, root: f64) -> Poly {
    let mut out = [0.0; MAX_PAST + 2];
    for at in 0..p.len() {
        let raised = if at > 0 { p[at - 1] } else { 0.0 };
        out[at] = raised - root * p[at];
    }
    out
}

/// `∫_0^1 p`
fn integral(p: &Poly) -> f64 {
    p.iter().enumerate().map(|(at, c)| c / (at as f64 + 1.0)).sum()
}

impl<'a, T: Real, S: Rates<T> + ?Sized> Adams<'a, T, S> {
    /// The formulas for `system`.
    pub fn new(system: &'a mut S, stepping: &'a Stepping) -> Self {
        let dim = system.dim();
        Adams {
            system,
            stepping,
            order: 1,
            size: 0.0,
            past: Vec::new(),
            y_new: vec![T::default(); dim],
            rate: vec![T::default(); dim],
            err: Vec::new(),
            taken: (0.0, 0.0, 0.0),
            powers: Vec::new(),
        }
    }

    /// Remembers the rate at `(t, y)`.
    fn remember(&mut self, t: f64, inside: f64, y: &[T], stats: &mut Stats) -> Flow {
        self.system.rate(t, inside, y, &mut self.rate);
        stats.evaluations += 1;
        require_finite(&self.rate, t, 0.0, Quantity::Rate)?;
        self.past.insert(0, (t, self.rate.iter().map(|f| f.to_f64()).collect()));
        self.past.truncate(MAX_PAST);
        Flow::Continue(())
    }

    /// Begins at order 1 from `(t, y)`.
    fn begin(&mut self, control: &Adaptive, t: f64, y: &[T], leg: &Leg, stats: &mut Stats) -> Flow {
        (self.order, self.taken) = (1, (t, 0.0, t));
        self.past.clear();
        self.remember(t, leg.inside(t), y, stats)?;
        let limit = control.max_step.min(leg.length).min((leg.target - t).abs());
        self.size = match control.first_step {
            Some(dt) => dt.min(limit),
            None => {
                stats.evaluations += 1;
                let (mut y_try, mut dy_try) = (y.to_vec(), y.to_vec());
                let rate = |at: f64, y: &[T], dy: &mut [T]| self.system.rate(at, leg.inside(t), y, dy);
                let from = (t, leg.direction, limit);
                control.first_step_size(rate, 2, from, y, &self.rate, &mut y_try, &mut dy_try)
            }
        };
        Flow::Continue(())
    }

    /// Tries a step of size `h`. Gives the error estimates at the orders below, at and above the
    /// present one, as far as past rates tell.
    fn attempt(&mut self, t: f64, h: f64, y: &[T], stats: &mut Stats) -> [Option<Vec<T>>; 3] {
        let (k, dim) = (self.order, y.len());
        let basis = Basis::new(&self.past, h);
        let past = &self.past;
        let d: Vec<Poly> = (0..dim).map(|at| basis.differences(|i| past[i].1[at])).collect();
        let g: Vec<f64> = basis.omega.iter().map(integral).collect();
        let predicted: Vec<f64> =
            (0..dim).map(|at| y[at].to_f64() + h * (0..k).map(|j| g[j] * d[at][j]).sum::<f64>()).collect();
        for (out, p) in self.y_new.iter_mut().zip(&predicted) {
            *out = T::from_f64(*p);
        }
        self.system.rate(t + h, t + 0.5 * h, &self.y_new, &mut self.rate);
        stats.evaluations += 1;
        let at_one: Vec<f64> = basis.omega.iter().map(|p| p.iter().sum()).collect();
        // The divided difference over `f(t + h)` and the first `j` past rates.
        let taken_in = |at: usize, j: usize| {
            let known: f64 = (0..j).map(|i| at_one[i] * d[at][i]).sum();
            (self.rate[at].to_f64() - known) / at_one[j]
        };
        self.powers.clear();
        self.powers.resize((k + 1) * dim, T::default());
        for at in 0..dim {
            let last = taken_in(at, k);
            self.y_new[at] = T::from_f64(predicted[at] + h * g[k] * last);
            // h ∫_0^θ (Σ_{j<k} d_j ω_j + D ω_k)
            for p in 0..=k {
                let sum: f64 =
                    (0..k).map(|j| d[at][j] * basis.omega[j][p]).sum::<f64>() + last * basis.omega[k][p];
                self.powers[p * dim + at] = T::from_f64(h * sum / (p as f64 + 1.0));
            }
        }
        let error = |order: usize| -> Option<Vec<T>> {
            if order == 0 || order > MAX_ORDER || order > self.past.len() {
                return None;
            }
            let constant = h * basis.error_constant(order - 1);
            Some((0..dim).map(|at| T::from_f64(constant * taken_in(at, order))).collect())
        };
        [error(k - 1), error(k), error(k + 1)]
    }

    fn adaptive(&self) -> &'a Adaptive {
        match self.stepping {
            Stepping::Adaptive(control) => control,
            Stepping::Fixed { .. } => unreachable!("refused by `check`"),
        }
    }

    /// Order and size of the next step, after one of size `tried` with these errors.
    fn choose(&mut self, norms: [Option<f64>; 3], tried: f64, planned: f64, longest: f64) {
        let (k, [lower, own, higher]) = (self.order, norms);
        let own = own.unwrap_or(0.0);
        // What a step may be at an order, as a multiple of this one: half the tolerance is aimed at.
        let factor = |order: usize, err: f64| libm::pow(0.5 / err, 1.0 / (order as f64 + 1.0));
        let mut best = (k, factor(k, own));
        if let Some(lower) = lower.filter(|lower| *lower <= own || factor(k - 1, *lower) > best.1) {
            best = (k - 1, factor(k - 1, lower));
        }
        if let Some(higher) = higher.filter(|higher| best.0 == k && factor(k + 1, *higher) > best.1) {
            best = (k + 1, factor(k + 1, higher));
        }
        self.order = best.0;
        // Steps change seldom: twice as long, the same, or shorter by a tenth to a half.
        let ratio = match best.1 {
            r if r >= 2.0 => 2.0,
            r if r >= 1.0 => 1.0,
            r => r.clamp(0.5, 0.9),
        };
        let planned = if tried < planned { planned } else { 0.0 };
        self.size = (tried * ratio).max(planned).min(longest);
    }
}

impl<T: Real, S: Rates<T> + ?Sized> Stepper<T> for Adams<'_, T, S> {
    fn dim(&self) -> usize {
        self.y_new.len()
    }

    fn check(&self) -> Result<(), Invalid> {
        match self.stepping {
            Stepping::Fixed { .. } => Err(Invalid::NeedsTolerances { method: "abm" }),
            Stepping::Adaptive(control) => control.check(self.y_new.len()),
        }
    }

    fn start(&mut self, t: f64, y: &mut [T], leg: &Leg, stats: &mut Stats) -> Flow {
        self.begin(self.adaptive(), t, y, leg, stats)
    }

    fn pass_stop(&mut self) {
        self.past.clear();
    }

    fn advance(&mut self, t: f64, y: &[T], leg: &Leg, stats: &mut Stats) -> Flow {
        let control = self.adaptive();
        if self.past.is_empty() {
            self.begin(control, t, y, leg, stats)?;
        } else if self.past[0].0 != t {
            // The second evaluation of the last step, now that its end is known to be accepted.
            self.remember(t, leg.inside(t), y, stats)?;
        }
        let longest = control.max_step.min(leg.length);
        let mut n_rejected = 0;
        self.size = self.size.max(control.shortest(t));
        loop {
            let planned = self.size;
            let (tried, lands) = control.landing.fitted(planned, (leg.target - t).abs());
            let h = if lands { leg.target - t } else { leg.direction * tried };
            leg.spend(t, h, stats)?;
            if stats.attempts() == 0 {
                stats.first_step = h;
            }
            let mut errors = self.attempt(t, h, y, stats);
            let norm = |err: &Option<Vec<T>>| err.as_ref().map(|err| control.norm(err, y, &self.y_new));
            let norms = [norm(&errors[0]), norm(&errors[1]), norm(&errors[2])];
            let fault = non_finite(&self.y_new);
            let err = if fault.is_none() { norms[1].unwrap_or(0.0) } else { f64::NAN };
            if err <= 1.0 {
                stats.accepted += 1;
                self.taken = (t, h, if lands { leg.target } else { t + h });
                self.err = errors[1].take().unwrap_or_default();
                self.choose(norms, tried, if n_rejected == 0 { planned } else { 0.0 }, longest);
                stats.next_step = leg.direction * self.size;
                return Flow::Continue(());
            }
            stats.rejected += 1;
            stats.non_finite += u64::from(!err.is_finite());
            n_rejected += 1;
            if norms[0].is_some_and(|lower| lower <= err) {
                self.order -= 1;
            }
            // Past rates that lead astray are of no use: a corner lies between them.
            if n_rejected >= 3 {
                self.order = 1;
            }
            self.size = 0.5 * tried;
            if self.size < control.shortest(t) {
                let h = leg.direction * self.size;
                return Flow::Break(match fault {
                    Some(component) => Outcome::NonFinite { t, h, component, quantity: Quantity::State },
                    None => {
                        let own = errors[1].as_deref().unwrap_or(&[]);
                        let (component, ratio) = control.largest(own, y, &self.y_new);
                        Outcome::StepTooSmall { t, h, component, ratio }
                    }
                });
            }
        }
    }

    fn error(&self, component: usize) -> Option<f64> {
        self.err.get(component).map(|err| err.to_f64())
    }

    fn accepted<'b>(&'b self, y: &'b [T]) -> Accepted<'b, T> {
        let (t, h, t_new) = self.taken;
        let interior = Interior::Powers { coefficients: &self.powers };
        Accepted { t, h, t_new, y, y_new: &self.y_new, interior }
    }
}
