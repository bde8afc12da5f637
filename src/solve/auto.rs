//! `auto`: an explicit method until the system turns stiff, a stiff one until it no longer is.
//!
//! Stiff means that stability and not accuracy sets the length of the explicit steps. Two stages of
//! the table lie at the end of the step, at `y_new` and near it, and so give `|hλ|` for the largest
//! rate constant `λ` for free: where it stays above `STIFF` for `STIFF_STEPS` steps, the steps
//! run along the border of stability. Source: E. Hairer, G. Wanner, Solving Ordinary Differential
//! Equations II, IV.2, with the counts of the code DOPRI5. On the way back, `ρ(J)` is estimated
//! by powers of the Jacobian: where `hρ` stays below `MILD` for `MILD_STEPS` steps, the explicit
//! method could take the same steps. All of it depends on the numbers only, never on time taken.

use super::dense::Accepted;
use super::explicit::Explicit;
use super::implicit::{Implicit, Rosenbrock};
use super::outcome::{Invalid, Stats};
use super::problem::{Real, Step};
use super::solve::Stepping;
use super::stepper::{Carried, Flow, Leg, Mode, Stepper};
use super::tableau::Tableau;

/// The explicit method is stable up to some `|hλ|` above this.
const STIFF: f64 = 3.25;
/// So many steps beyond it are one stiffness.
pub(super) const STIFF_STEPS: u32 = 15;
/// So many steps below it in a row, and the count begins anew.
const CALM_STEPS: u32 = 6;
/// With `hρ` below this, stability asks no shorter steps of the explicit method.
const MILD: f64 = 1.0;
/// So many such steps in a row end a stiffness.
const MILD_STEPS: u32 = 10;

/// The explicit method of [`Auto`]; the stiff one is [`Rosenbrock`].
pub const EXPLICIT: &str = "tsit5";

/// Both methods at work on one system.
pub struct Auto<'a, T, E: ?Sized, I: ?Sized> {
    explicit: Explicit<'a, T, E>,
    stiff: Rosenbrock<'a, T, I>,
    /// The explicit method cannot solve the system at all.
    constrained: bool,
    is_stiff: bool,
    /// The other method begins with the next step.
    changes: bool,
    n_for: u32,
    n_against: u32,
}

impl<'a, T: Real, E: Step<T> + ?Sized, I: Implicit<T> + ?Sized> Auto<'a, T, E, I> {
    /// The method for a system that is given in both forms. With constraints or a mass matrix,
    /// `constrained`, it is the stiff method alone.
    pub fn new(
        explicit: &'a mut E,
        tableau: &'a Tableau,
        stiff: &'a mut I,
        constrained: bool,
        stepping: &'a Stepping,
    ) -> Self {
        Auto {
            explicit: Explicit::new(explicit, tableau, stepping),
            stiff: Rosenbrock::new(stiff, stepping),
            constrained,
            is_stiff: constrained,
            changes: false,
            n_for: 0,
            n_against: 0,
        }
    }

    /// Begins with the other method where the last one has come to.
    fn change(&mut self, t: f64, y: &[T], leg: &Leg, stats: &mut Stats) -> Flow {
        (self.is_stiff, self.changes) = (!self.is_stiff, false);
        (self.n_for, self.n_against) = (0, 0);
        let mut y = y.to_vec();
        if self.is_stiff {
            stats.to_stiff += 1;
            self.stiff.start(t, &mut y, leg, stats)
        } else {
            stats.to_explicit += 1;
            self.explicit.start(t, &mut y, leg, stats)
        }
    }

    /// Whether the explicit step from `y` speaks for the stiff method.
    fn weigh_explicit(&mut self, y: &[T], stats: &mut Stats) {
        let stiffness = self.explicit.stiffness(y);
        if stiffness > STIFF {
            (self.n_for, self.n_against) = (self.n_for + 1, 0);
            if self.n_for >= STIFF_STEPS {
                self.changes = true;
                stats.stiffness = stats.stiffness.max(stiffness);
            }
        } else {
            self.n_against += 1;
            if self.n_against >= CALM_STEPS {
                self.n_for = 0;
            }
        }
    }

    fn weigh_stiff(&mut self) {
        let mild = self.stiff.stiffness() < MILD;
        self.n_for = if mild { self.n_for + 1 } else { 0 };
        self.changes = !self.constrained && self.n_for >= MILD_STEPS;
    }
}

impl<T: Real, E: Step<T> + ?Sized, I: Implicit<T> + ?Sized> Stepper<T> for Auto<'_, T, E, I> {
    fn dim(&self) -> usize {
        self.stiff.dim()
    }

    fn check(&self) -> Result<(), Invalid> {
        self.explicit.check()?;
        self.stiff.check()
    }

    fn start(&mut self, t: f64, y: &mut [T], leg: &Leg, stats: &mut Stats) -> Flow {
        self.changes = false;
        if self.is_stiff { self.stiff.start(t, y, leg, stats) } else { self.explicit.start(t, y, leg, stats) }
    }

    fn carried(&self) -> Option<Carried> {
        let carried = if self.is_stiff { self.stiff.carried() } else { self.explicit.carried() };
        let counts = [self.n_for, self.n_against];
        let mode = Mode { is_stiff: self.is_stiff, changes: self.changes, counts };
        carried.map(|carried| Carried { mode, ..carried })
    }

    fn resume(&mut self, carried: &Carried, t: f64, y: &mut [T], leg: &Leg, stats: &mut Stats) -> Flow {
        let Mode { is_stiff, changes, counts } = carried.mode;
        (self.is_stiff, self.changes) = (is_stiff, changes);
        [self.n_for, self.n_against] = counts;
        match is_stiff {
            true => self.stiff.resume(carried, t, y, leg, stats),
            false => self.explicit.resume(carried, t, y, leg, stats),
        }
    }

    fn pass_stop(&mut self) {
        if self.is_stiff { self.stiff.pass_stop() } else { self.explicit.pass_stop() }
    }

    fn advance(&mut self, t: f64, y: &[T], leg: &Leg, stats: &mut Stats) -> Flow {
        if self.changes {
            self.change(t, y, leg, stats)?;
        }
        if self.is_stiff {
            self.stiff.advance(t, y, leg, stats)?;
            stats.stiff_steps += 1;
            self.weigh_stiff();
        } else {
            self.explicit.advance(t, y, leg, stats)?;
            self.weigh_explicit(y, stats);
        }
        Flow::Continue(())
    }

    fn look_inside(&mut self, y: &[T], stats: &mut Stats) {
        if self.is_stiff { self.stiff.look_inside(y, stats) } else { self.explicit.look_inside(y, stats) }
    }

    fn error(&self, component: usize) -> Option<f64> {
        if self.is_stiff { self.stiff.error(component) } else { self.explicit.error(component) }
    }

    fn accepted<'b>(&'b self, y: &'b [T]) -> Accepted<'b, T> {
        if self.is_stiff { self.stiff.accepted(y) } else { self.explicit.accepted(y) }
    }
}
