//! A system of differential equations as data, and a solve of it.
//!
//! A [`System`] says how unknowns move: `M(t, y) y' = f(t, y) + g(t, y) W'`, with events. A
//! [`Solve`] says where one integration of it starts, how long it lasts and at which times it is
//! looked at. See [`program`](crate::ir::program) for the order of inputs.
//!
//! Functions of the motion take *now*: `(t, inside, states, modes, channels, args, params, data)`, where
//! states, modes and channels are separate tensors in the order of the fields below; `inside` is a time
//! strictly inside the smooth piece of the motion that is meant (it tells which side of a knot a
//! piecewise function is asked for, and equals no knot); `args` are what the solve computed once
//! before it began. The operands of channels are unused except in events.

use crate::base::span::Span;
use crate::ir::func::Func;
use crate::ir::types::Type;
use std::sync::Arc;

/// Unknowns and their motion.
#[derive(Clone, Debug)]
pub struct System {
    /// `main`, or the path of the instance: `flow[0].cnf`.
    pub name: Arc<str>,
    /// The name of the independent variable.
    pub time: Arc<str>,
    /// The unknowns that make up the state, in the order of the state vector. A second-order state
    /// `x` is the two states `x` and `x'`.
    pub states: Vec<Unknown>,
    /// Which side of its jumps the motion is on: discrete unknowns of the compiler's own, behind the
    /// states. Nothing but the motion sees them; they start at 0 and are settled by
    /// [`Trigger::Whenever`].
    pub modes: Vec<Unknown>,
    /// Quadratures; nothing but results may read them.
    pub channels: Vec<Unknown>,
    /// Types of the values that a solve computes once for the motion.
    pub args: Vec<Type>,
    /// `now -> f for each state and mode, then the rate of each channel`. The row of a state is its rate
    /// without a mass matrix, the row of the mass matrix' equations with one; that of an algebraic
    /// unknown is the residual of its constraint, that of a discrete one is zero.
    pub field: Func,
    /// `now -> M: [n, n]` over the entries of all states and modes; `None` if it is the identity on the rows
    /// of rates and zero on those of constraints.
    pub mass: Option<Func>,
    /// For each entry of all states and modes whether its row is a constraint: all of an algebraic unknown, and
    /// rows of the mass matrix that are zero by construction.
    pub constraints: Vec<bool>,
    /// `now -> the rate of each state, then the rate of each channel`: the field with the mass
    /// matrix solved away, for methods that want rates. `None` without a mass matrix, or if there
    /// are constraints or the matrix is too large to solve away.
    pub rates: Option<Func>,
    /// What drives the states beside time.
    pub noises: Vec<Noise>,
    /// `now -> g: [n, m]` over the entries of all states and of all noises, in the order of
    /// `noises`; `None` without noise.
    pub diffusion: Option<Func>,
    /// What interrupts the motion: events of the file in their order, then those of the modes.
    pub events: Vec<Event>,
    /// Where the motion jumps although no event ends a step there.
    pub jumps: Vec<Unfollowed>,
}

/// A place where a motion jumps, and no event says when.
#[derive(Clone, Debug)]
pub struct Unfollowed {
    /// The comparison, or what else jumps.
    pub span: Span,
    /// Why no event can be made of it.
    pub why: &'static str,
}

impl System {
    /// Whether some rows are not the rate of a state: a mass matrix, or a constraint.
    pub fn is_constrained(&self) -> bool {
        self.mass.is_some() || self.constraints.contains(&true)
    }

    /// How many operands of *now* stand before the args.
    pub fn n_before_args(&self) -> usize {
        2 + self.states.len() + self.modes.len() + self.channels.len()
    }

    /// Every function of *now*: field, mass matrix, diffusion, roots and jumps of events.
    pub fn motion(&self) -> impl Iterator<Item = &Func> {
        let events =
            self.events.iter().flat_map(|event| event.trigger.roots().into_iter().chain([&event.jump]));
        [Some(&self.field), self.mass.as_ref(), self.diffusion.as_ref()].into_iter().flatten().chain(events)
    }
}

/// An unknown of the system.
#[derive(Clone, Debug)]
pub struct Unknown {
    /// `x`, or `x'` for the hidden part of a second-order state.
    pub name: Arc<str>,
    /// Its type.
    pub ty: Type,
    /// What determines it.
    pub kind: UnknownKind,
    /// Where it is declared.
    pub span: Span,
    /// The expression that gives its rate, or its constraint; the declaration if it has neither.
    pub equation: Span,
}

/// What determines an unknown. A discrete integer is kept as a real number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownKind {
    /// Its rate.
    Rate,
    /// A constraint.
    Algebraic,
    /// Events alone; it rests between them.
    Discrete,
}

impl UnknownKind {
    /// As declared.
    pub fn noun(self) -> &'static str {
        match self {
            UnknownKind::Rate => "state",
            UnknownKind::Algebraic => "algebraic",
            UnknownKind::Discrete => "discrete",
        }
    }
}

/// A Wiener process.
#[derive(Clone, Debug)]
pub struct Noise {
    /// Its path, which keys its draws.
    pub path: Arc<str>,
    /// Its type.
    pub ty: Type,
    /// How its integral is meant.
    pub calculus: Calculus,
    /// Where it is declared.
    pub span: Span,
}

/// The meaning of a stochastic integral.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calculus {
    /// Evaluated before the increment.
    Ito,
    /// Evaluated in the middle of it.
    Stratonovich,
}

/// Something that interrupts the motion.
#[derive(Clone, Debug)]
pub struct Event {
    /// As written: `x < 0`, `every 24.0`.
    pub name: Arc<str>,
    /// When it happens.
    pub trigger: Trigger,
    /// `now -> each state and mode just after`, all from the values just before.
    pub jump: Func,
    /// Whether the run ends there.
    pub stop: bool,
    /// Where it is written.
    pub span: Span,
}

/// When an event happens.
#[derive(Clone, Debug)]
pub enum Trigger {
    /// When a condition becomes true.
    When {
        /// `now -> r: [m]`, one root function for each comparison, positive where it holds.
        roots: Func,
        /// The condition over the comparisons.
        condition: Condition,
    },
    /// Whenever a condition holds, at the start of a run as well; what happens makes it false. Fields
    /// as above.
    Whenever {
        /// Its comparisons.
        roots: Func,
        /// The condition over them.
        condition: Condition,
    },
    /// At `t0 + dt, t0 + 2 dt, ..`: `(args, params, data) -> dt`.
    Every(Func),
    /// At these times: `(args, params, data) -> [k]`.
    At(Func),
}

impl Trigger {
    /// The root functions of its condition, if it has one.
    pub fn roots(&self) -> Option<&Func> {
        match self {
            Trigger::When { roots, .. } | Trigger::Whenever { roots, .. } => Some(roots),
            Trigger::Every(_) | Trigger::At(_) => None,
        }
    }

    /// The function that gives its period or its times, if it has one.
    pub fn clock(&self) -> Option<&Func> {
        match self {
            Trigger::When { .. } | Trigger::Whenever { .. } => None,
            Trigger::Every(times) | Trigger::At(times) => Some(times),
        }
    }
}

/// A condition over comparisons, by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `r > 0`, or `r >= 0` if it is not strict.
    Root {
        /// Which.
        root: usize,
        /// Whether equality does not count.
        strict: bool,
    },
    /// Both.
    And(Box<Condition>, Box<Condition>),
    /// At least one.
    Or(Box<Condition>, Box<Condition>),
    /// Not.
    Not(Box<Condition>),
}

/// One integration.
#[derive(Clone, Debug)]
pub struct Solve {
    /// Which of the systems.
    pub system: usize,
    /// Whether it runs from the system's end to its start.
    pub inverse: bool,
    /// `(known of the solves before, params, data) -> t0, t1, the start value of each state and of
    /// each channel, then each of the system's args`. For an inverse solve `t0` is the end of the
    /// system's interval.
    pub start: Func,
    /// Where the trajectory is evaluated.
    pub sites: Vec<Site>,
    /// `(known of the solves before, params, data) -> the times of each site` whose kind is
    /// [`SiteKind::Times`], in the order of `sites`.
    pub times: Func,
    /// `(known of the solves before, params, data) -> vectors of times`, which steps must hit:
    /// the knots of piecewise functions.
    pub stops: Func,
    /// Where it is asked for.
    pub span: Span,
}

/// A time, or a vector of times, at which the full state is wanted.
#[derive(Clone, Debug)]
pub struct Site {
    /// Which times.
    pub kind: SiteKind,
    /// How many: `None` for a single time, `Some(T)` for a vector.
    pub count: Option<usize>,
    /// The time expression.
    pub span: Span,
}

/// Which times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteKind {
    /// `x(start)`: the start of the run.
    Start,
    /// `x(end)`: the end of the run.
    End,
    /// Given by the next result of [`Solve::times`].
    Times,
}
