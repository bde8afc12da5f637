//! A model as data: what `sema` hands to `plan`.
//!
//! Every function here describes one example and takes its inputs by position, in the order given
//! at each field. "Params" are on their declared scale and arrive as separate tensors in the order
//! of [`System::params`]; "data" likewise in the order of [`System::data`]; "states" are all
//! states in the order of [`System::states`], then all channels in the order of
//! [`System::channels`]. Element type: `System::real` unless the data field says otherwise.
//!
//! Evaluation sites are how trajectories enter functions of the whole run: `x(obs.t)` asks for the
//! full state at the times `obs.t`; each distinct time expression is one [`Site`].

use crate::base::span::Span;
use crate::ir::func::Func;
use crate::ir::types::{DType, Type};
use std::sync::Arc;

/// A complete model with one system.
#[derive(Clone, Debug)]
pub struct System {
    /// Element type of `real`.
    pub real: DType,
    /// The name of the independent variable.
    pub time: Arc<str>,
    /// Trainable numbers.
    pub params: Vec<Param>,
    /// Data fields and inputs, in the order functions take them.
    pub data: Vec<DataPort>,
    /// Unknowns with a rate. A second-order state `x` is the two states `x` and `x'`.
    pub states: Vec<Unknown>,
    /// Quadratures; nothing but results may read them.
    pub channels: Vec<Unknown>,
    /// `(params, data) -> t0, t1, then the start value of each state`. Channels start at 0.
    pub start: Func,
    /// `(t, states, channels, params, data) -> the rate of each state, then of each channel`. Channel operands are unused.
    pub field: Func,
    /// Where trajectories are evaluated.
    pub sites: Vec<Site>,
    /// `(params, data) -> the times of each site`, in the order of `sites`, for the sites whose
    /// kind is [`SiteKind::Times`].
    pub times: Func,
    /// Results that are one value per run:
    /// `(t0, t1, site values, params, data) -> the value of each of `results`. "Site
    /// values" are, for each site, each state and each channel: shape of the unknown for a
    /// single time, `[T, ..]` for a vector of times.
    pub post: Func,
    /// What `post` computes.
    pub results: Vec<RunResult>,
    /// Results that vary along the run:
    /// `(t, states, channels, t0, t1, site values, params, data) -> the value of each of `curves``.
    pub observe: Func,
    /// What `observe` computes.
    pub curves: Vec<Curve>,
    /// Pictures, in file order.
    pub plots: Vec<Plot>,
}

/// A trainable number or tensor.
#[derive(Clone, Debug)]
pub struct Param {
    /// Its path: `net.fc[0].W`.
    pub path: Arc<str>,
    /// Its type.
    pub ty: Type,
    /// Its starting value on the declared scale, row-major.
    pub init: Vec<f64>,
    /// The set it lives in.
    pub constraint: Constraint,
    /// Where it is declared.
    pub span: Span,
}

/// A set with a bijection from free space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Constraint {
    /// All of ℝ.
    Free,
    /// x > 0, by exp.
    Positive,
    /// lo < x < hi, by the logistic function.
    Interval(f64, f64),
}

/// A tensor that comes from outside.
#[derive(Clone, Debug)]
pub struct DataPort {
    /// `obs.t`, or the name of an `input`.
    pub path: Arc<str>,
    /// Its type.
    pub ty: Type,
    /// Its value, if known at compile time (a data file, the default of an input).
    pub value: Option<Vec<f64>>,
    /// Where it is declared.
    pub span: Span,
}

/// An unknown of the system.
#[derive(Clone, Debug)]
pub struct Unknown {
    /// `x`, or `x'` for the hidden part of a second-order state.
    pub name: Arc<str>,
    /// Its type.
    pub ty: Type,
    /// Where it is declared.
    pub span: Span,
    /// The expression that gives its rate.
    pub equation: Span,
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
    /// Given by the next result of [`System::times`].
    Times,
}

/// A value of the whole run.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// What it is for.
    pub role: Role,
    /// `fit`, `pelts.hare`, `prior alpha`.
    pub name: Arc<str>,
    /// Its type: a scalar for every role but `Output`.
    pub ty: Type,
    /// Where it is written.
    pub span: Span,
}

/// What a run result is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A `loss` term.
    Loss,
    /// Minus the log-likelihood of a `~` line.
    Likelihood,
    /// Minus the log-density of a prior; counted once, not per example.
    Prior,
    /// A `metric`.
    Metric,
    /// A run-phase `output`.
    Output,
    /// An abscissa, ordinate or observation that a plot needs.
    Plot,
}

/// A value along the run.
#[derive(Clone, Debug)]
pub struct Curve {
    /// As written: `x`, `drift`, `q[1]`.
    pub name: Arc<str>,
    /// Its type.
    pub ty: Type,
    /// Whether it is a declared `output` (else only a plot wants it).
    pub output: bool,
    /// Where it is written.
    pub span: Span,
}

/// A picture: series over an abscissa.
#[derive(Clone, Debug)]
pub struct Plot {
    /// The words at the horizontal axis.
    pub x_label: Arc<str>,
    /// What is drawn.
    pub series: Vec<Series>,
    /// Where it is written.
    pub span: Span,
}

/// One series of a picture.
#[derive(Clone, Debug)]
pub enum Series {
    /// A line along the run: indices into [`System::curves`].
    Line {
        /// In the legend.
        label: Arc<str>,
        /// Abscissa.
        x: usize,
        /// Ordinate.
        y: usize,
    },
    /// Points: indices into [`System::results`].
    Points {
        /// In the legend.
        label: Arc<str>,
        /// Abscissa.
        x: usize,
        /// Ordinate.
        y: usize,
    },
}
