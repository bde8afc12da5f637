//! Reversible methods: every step can be undone from where it ends, to round-off, by the same formula.
//!
//! A second vector travels with the state and makes each step a bijection of the two, so that a path
//! can be walked back without having been kept. Steps are fixed. Channels are carried like states.

use super::control::positive;
use super::dense::{Accepted, Interior, cubic};
use super::outcome::{Invalid, Outcome, Quantity, Stats};
use super::problem::{Rates, Real};
use super::solve::Stepping;
use super::stepper::{Flow, Grid, Leg, Stepper, non_finite};

/// A reversible method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reversible {
    /// With `ŷ` beside the state, `ŷ' = 2y - ŷ + h f(t, ŷ)` and
    /// `y' = y + h/2 (f(t, ŷ) + f(t + h, ŷ'))`: order 2, one evaluation a step. Source: P. Kidger, J.
    /// Foster, X. Li, T. Lyons, Efficient and accurate gradients for neural SDEs, NeurIPS 2021,
    /// algorithm 1.
    Heun,
    /// With a rate `v` beside the state, `u = f(t + h/2, y + h/2 v)`, `v' = v + 2η (u - v)` and
    /// `y' = y + h/2 (v + v')`: order 2 at `η = 1`, one evaluation a step. Source: J. Zhuang, N. C.
    /// Dvornek, S. Tatikonda, J. S. Duncan, MALI, ICLR 2021, algorithm 2 and, of damping, A.5.
    Leapfrog {
        /// `η`: 1 for none; below 1 the method is stable where `|1 - 2η|` is below 1 and of order 1,
        /// at 1/2 a step cannot be undone.
        damping: f64,
    },
}

impl Reversible {
    /// Every method of the language, undamped.
    pub const ALL: [Reversible; 2] = [Reversible::Heun, Reversible::Leapfrog { damping: 1.0 }];

    /// Spelling in `solve { method = ... }`.
    pub fn name(self) -> &'static str {
        match self {
            Reversible::Heun => "reversible_heun",
            Reversible::Leapfrog { .. } => "asynchronous_leapfrog",
        }
    }

    /// What it is, in a sentence.
    pub fn doc(self) -> &'static str {
        match self {
            Reversible::Heun => "the reversible Heun method, order 2, with fixed steps that can be undone",
            Reversible::Leapfrog { .. } => {
                "the asynchronous leapfrog method, order 2, with fixed steps that can be undone"
            }
        }
    }

    /// The method that undoes its steps, taken with `-h` from where they ended.
    #[must_use]
    pub fn inverse(self) -> Reversible {
        match self {
            Reversible::Heun => Reversible::Heun,
            // v = (v' - 2η u)/(1 - 2η) is v' + 2η' (u - v').
            Reversible::Leapfrog { damping } => {
                Reversible::Leapfrog { damping: damping / (2.0 * damping - 1.0) }
            }
        }
    }

    /// What travels with the state from `(t, y)` on, where the rate is `rate`.
    pub fn companion<T: Real>(self, y: &[T], rate: &[T]) -> Vec<T> {
        match self {
            Reversible::Heun => y.to_vec(),
            Reversible::Leapfrog { .. } => rate.to_vec(),
        }
    }

    /// A step of size `h` of `state` and its `companion` from `t`. `rate` is `f` at `(t, companion)` for
    /// [`Reversible::Heun`], and is brought to `t + h`; else what it holds does not matter. `inside`
    /// is that of [`Step::rate`](super::Step::rate).
    pub fn step<T: Real, S: Rates<T> + ?Sized>(
        self,
        system: &mut S,
        (t, h, inside): (f64, f64, f64),
        state: &mut [T],
        companion: &mut [T],
        rate: &mut [T],
    ) {
        let moved = |from: f64, by: f64| T::from_f64(from + by);
        match self {
            Reversible::Heun => {
                for ((y, hat), f) in state.iter_mut().zip(companion.iter_mut()).zip(&*rate) {
                    let (from, by) = (y.to_f64(), h * f.to_f64());
                    *hat = moved(2.0 * from - hat.to_f64(), by);
                    *y = moved(from, 0.5 * by);
                }
                system.rate(t + h, inside, companion, rate);
                for (y, f) in state.iter_mut().zip(&*rate) {
                    *y = moved(y.to_f64(), 0.5 * h * f.to_f64());
                }
            }
            Reversible::Leapfrog { damping } => {
                let drift = |state: &mut [T], v: &[T]| {
                    let pairs = state.iter_mut().zip(v);
                    pairs.for_each(|(y, v)| *y = moved(y.to_f64(), 0.5 * h * v.to_f64()));
                };
                drift(state, companion);
                system.rate(t + 0.5 * h, inside, state, rate);
                for (v, u) in companion.iter_mut().zip(&*rate) {
                    *v = T::from_f64((1.0 - 2.0 * damping) * v.to_f64() + 2.0 * damping * u.to_f64());
                }
                drift(state, companion);
            }
        }
    }
}

/// A reversible method at work on one system.
pub struct Reversing<'a, T, S: ?Sized> {
    system: &'a mut S,
    method: Reversible,
    stepping: &'a Stepping,
    grid: Grid,
    y_new: Vec<T>,
    /// Beside the state at the end of the last step; empty before the first one of a smooth piece.
    companion: Vec<T>,
    rate: Vec<T>,
    /// `[3, dim]`
    powers: Vec<T>,
    taken: (f64, f64, f64),
}

impl<'a, T: Real, S: Rates<T> + ?Sized> Reversing<'a, T, S> {
    /// `method` for `system`.
    pub fn new(system: &'a mut S, method: Reversible, stepping: &'a Stepping) -> Self {
        let dim = system.dim();
        let dt = match stepping {
            Stepping::Fixed { dt } => *dt,
            Stepping::Adaptive(_) => f64::NAN,
        };
        Reversing {
            system,
            method,
            stepping,
            grid: Grid::new(dt),
            y_new: vec![T::default(); dim],
            companion: Vec::new(),
            rate: vec![T::default(); dim],
            powers: vec![T::default(); 3 * dim],
            taken: (0.0, 0.0, 0.0),
        }
    }

    /// What approximates the rate where the companion is.
    fn slopes(&self) -> &[T] {
        match self.method {
            Reversible::Heun => &self.rate,
            Reversible::Leapfrog { .. } => &self.companion,
        }
    }
}

impl<T: Real, S: Rates<T> + ?Sized> Stepper<T> for Reversing<'_, T, S> {
    fn dim(&self) -> usize {
        self.y_new.len()
    }

    fn check(&self) -> Result<(), Invalid> {
        match self.stepping {
            Stepping::Fixed { dt } => positive("dt", *dt),
            Stepping::Adaptive(_) => Err(Invalid::NoErrorEstimate { method: self.method.name() }),
        }
    }

    fn start(&mut self, _: f64, _: &mut [T], leg: &Leg, stats: &mut Stats) -> Flow {
        self.grid.restart();
        self.companion.clear();
        if let Stepping::Fixed { dt } = self.stepping {
            stats.next_step = dt * leg.direction;
        }
        Flow::Continue(())
    }

    fn pass_stop(&mut self) {
        self.companion.clear();
    }

    fn advance(&mut self, t: f64, y: &[T], leg: &Leg, stats: &mut Stats) -> Flow {
        let (h, t_new) = self.grid.next(t, leg);
        leg.spend(t, h, stats)?;
        if stats.attempts() == 0 {
            stats.first_step = h;
        }
        if self.companion.is_empty() {
            self.system.rate(t, leg.inside(t), y, &mut self.rate);
            stats.evaluations += 1;
            self.companion = self.method.companion(y, &self.rate);
        }
        let from = self.slopes().to_vec();
        self.y_new.copy_from_slice(y);
        let Reversing { system, method, y_new, companion, rate, .. } = self;
        method.step(&mut **system, (t, h, leg.inside(t)), y_new, companion, rate);
        stats.evaluations += 1;
        let fault = |values: &[T]| non_finite(values);
        if let Some(component) = fault(&self.y_new).or_else(|| fault(&self.companion)) {
            stats.rejected += 1;
            stats.non_finite += 1;
            return Flow::Break(Outcome::NonFinite { t, h, component, quantity: Quantity::State });
        }
        let dim = y.len();
        for at in 0..dim {
            let whole = self.y_new[at].to_f64() - y[at].to_f64();
            let powers = cubic(whole, h * from[at].to_f64(), h * self.slopes()[at].to_f64());
            powers.into_iter().enumerate().for_each(|(p, c)| self.powers[p * dim + at] = T::from_f64(c));
        }
        stats.accepted += 1;
        self.taken = (t, h, t_new);
        Flow::Continue(())
    }

    fn accepted<'b>(&'b self, y: &'b [T]) -> Accepted<'b, T> {
        let (t, h, t_new) = self.taken;
        let interior = Interior::Powers { coefficients: &self.powers };
        Accepted { t, h, t_new, y, y_new: &self.y_new, interior }
    }
}
