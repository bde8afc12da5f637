//! Events: what interrupts a run, as the solver sees it.
//!
//! [`Events`] says what there is; the loop asks `watch` when something is due, lands on that time,
//! and lets the events of the instant jump one after the other.

use super::problem::Real;

/// The events of a system: compiled functions, or closures.
///
/// `inside` tells on which side of a stop a value is meant; see [`Step::rate`](super::Step::rate).
pub trait Events<T: Real> {
    /// What sets them off. Events of one instant run in this order, each reading what the one
    /// before has left.
    fn triggers(&self) -> &[Trigger];

    /// Length of the vector that [`roots`](Events::roots) writes.
    fn n_roots(&self) -> usize;

    /// The root functions of all conditions at `(t, y)`: continuous along a run between stops,
    /// positive where a comparison holds.
    fn roots(&mut self, t: f64, inside: f64, y: &[T], out: &mut [T]);

    /// Event number `event` happens at `(t, y)`: writes the state just after to `y_new`, `[dim]`.
    fn jump(&mut self, event: usize, t: f64, inside: f64, y: &[T], y_new: &mut [T]) -> Effect;

    /// Event number `event`, a [`Trigger::Whenever`], changes the start of a run before it begins.
    fn settle(&mut self, event: usize, t: f64, inside: f64, y: &[T], y_new: &mut [T]) {
        self.jump(event, t, inside, y, y_new);
    }
}

/// What sets an event off.
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {
    /// A condition becomes true. One that is true at the start of a run has to become false first.
    When(Condition),
    /// Whenever a condition holds: if it is true at the start of a run, the start is changed before
    /// anybody sees it. What happens makes the condition false.
    Whenever(Condition),
    /// Steps land on `t0 + dt, t0 + 2 dt, ..`; `dt > 0`, whichever way time runs.
    Every(f64),
    /// Steps land on these times; those outside the run are ignored.
    At(Vec<f64>),
}

/// A condition over comparisons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `r > 0`, or `r >= 0` if it is not strict.
    Root {
        /// Position in what [`Events::roots`] writes.
        root: usize,
        /// Whether equality does not count.
        strict: bool,
    },
    /// All of them.
    And(Vec<Condition>),
    /// At least one of them.
    Or(Vec<Condition>),
    /// Not.
    Not(Box<Condition>),
}

impl Condition {
    /// Whether it holds where the roots have these signs: -1, 0 or 1.
    pub fn holds(&self, signs: &[i8]) -> bool {
        match self {
            Condition::Root { root, strict: true } => signs[*root] > 0,
            Condition::Root { root, strict: false } => signs[*root] >= 0,
            Condition::And(parts) => parts.iter().all(|part| part.holds(signs)),
            Condition::Or(parts) => parts.iter().any(|part| part.holds(signs)),
            Condition::Not(part) => !part.holds(signs),
        }
    }
}

/// What follows an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The run goes on from the new state.
    Continue,
    /// The run ends there, after the other events of the instant.
    Stop,
}

/// An event that happened.
#[derive(Clone, Copy, Debug)]
pub struct Jump<'a, T> {
    /// When.
    pub t: f64,
    /// Which, by its place in [`Events::triggers`].
    pub event: usize,
    /// 0 if it was due when the run came here; else how many rounds of jumps made it due.
    pub round: usize,
    /// The state before, `[dim]`.
    pub y: &'a [T],
    /// The state after, `[dim]`.
    pub y_new: &'a [T],
}

/// A system without events.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEvents;

impl<T: Real> Events<T> for NoEvents {
    fn triggers(&self) -> &[Trigger] {
        &[]
    }

    fn n_roots(&self) -> usize {
        0
    }

    fn roots(&mut self, _: f64, _: f64, _: &[T], _: &mut [T]) {}

    fn jump(&mut self, event: usize, _: f64, _: f64, _: &[T], _: &mut [T]) -> Effect {
        crate::bug!("event {event} of a system without events")
    }
}
