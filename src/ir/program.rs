//! A model as data: what `sema` hands to `plan`.
//!
//! A [`Program`] is a list of systems, a list of solves of them in an order in which each needs only
//! those before it, and the functions of the whole run. Every function describes one example and
//! takes its inputs by position, in the order given at each field:
//!
//! - *params* arrive on their declared scale, as separate tensors in the order of
//!   [`Program::params`]; *data* likewise in the order of [`Program::data`];
//! - *known* values of a list of solves are, for each solve: its start and end time, then for each
//!   of its [sites](crate::ir::system::Site) each state and each channel of its system, with the
//!   shape of the unknown for a single time and `[T, ..]` for a vector of times.
//!
//! Element type: [`Program::real`] unless the data port says otherwise.

use crate::base::span::Span;
use crate::ir::constraint::Constraint;
use crate::ir::func::Func;
use crate::ir::system::{Solve, System};
use crate::ir::types::{DType, Type};
use std::sync::{Arc, LazyLock};

/// A complete model.
#[derive(Clone, Debug)]
pub struct Program {
    /// Element type of `real`.
    pub real: DType,
    /// Trainable numbers.
    pub params: Vec<Param>,
    /// What comes from outside: data fields, inputs, draws.
    pub data: Vec<DataPort>,
    /// What a run has many of.
    pub examples: Examples,
    /// Everything that moves. Two solves may be of one system.
    pub systems: Vec<System>,
    /// The integrations of a run, each needing only those before it.
    pub solves: Vec<Solve>,
    /// The solve of the file's own system, if it has one: what curves belong to.
    pub main: Option<usize>,
    /// Results that are one value per run: `(known of all solves, params, data) -> the value of
    /// each of `results``.
    pub post: Func,
    /// What `post` computes.
    pub results: Vec<RunResult>,
    /// Results that vary along the main run: `(t, states, channels, known of all solves, params,
    /// data) -> the value of each of `curves``. Without a main run it has no results.
    pub observe: Func,
    /// What `observe` computes.
    pub curves: Vec<Curve>,
    /// Pictures, in file order.
    pub plots: Vec<Plot>,
    /// Tables, in file order.
    pub exports: Vec<Export>,
    /// What its runs differ in beside the members, in file order: the axes of a grid.
    pub sweeps: Vec<Sweep>,
    /// What else a member draws, beside the ports that are drawn.
    pub redrawn: Vec<Outside>,
    /// `(params, data) -> the value of each of `redrawn``.
    pub draws: Func,
}

/// Something that takes several values, a run or more for each.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Its name.
    pub name: Arc<str>,
    /// What it is.
    pub of: Swept,
    /// Its values, at least one.
    pub values: Vec<f64>,
    /// Where it is named.
    pub span: Span,
}

/// What can take several values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swept {
    /// A const, which is part of the functions: each of its values makes another program.
    Const,
    /// A scalar from outside.
    Outside(Outside),
}

/// A number or a tensor that functions are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// Of [`Program::params`].
    Param(usize),
    /// Of [`Program::data`].
    Port(usize),
}

/// What the invisible axis of a run counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Examples {
    /// Nothing: a run is one example.
    One,
    /// The examples of the data sets, of which ports with [`Axis::Example`] take one at a time.
    Data,
    /// The members of an `ensemble`.
    Members(usize),
    /// Draws that no data need: `run.samples` of them.
    Samples,
}

impl Program {
    /// The system that a solve integrates.
    pub fn system_of(&self, solve: usize) -> &System {
        &self.systems[self.solves[solve].system]
    }

    /// The system of the main run.
    pub fn main_system(&self) -> Option<&System> {
        self.main.map(|solve| self.system_of(solve))
    }
}

/// A trainable number or tensor.
#[derive(Clone, Debug)]
pub struct Param {
    /// Its path: `net.fc[0].W`.
    pub path: Arc<str>,
    /// Its type.
    pub ty: Type,
    /// Its starting value on the declared scale, row-major.
    pub init: Init,
    /// The set it lives in.
    pub constraint: Constraint,
    /// Where it is declared.
    pub span: Span,
}

/// The entries of a starting value. Weights of a network are many and drawn, and a program that is
/// only checked never looks at them: they are drawn when first asked for.
#[derive(Clone)]
pub struct Init(Arc<LazyLock<Vec<f64>, Draws>>);

type Draws = Box<dyn FnOnce() -> Vec<f64> + Send + Sync>;

impl Init {
    /// The entries that `draw` gives, not before they are needed.
    pub fn later(draw: impl FnOnce() -> Vec<f64> + Send + Sync + 'static) -> Init {
        Init(Arc::new(LazyLock::new(Box::new(draw))))
    }
}

impl From<Vec<f64>> for Init {
    fn from(entries: Vec<f64>) -> Init {
        Init::later(move || entries)
    }
}

impl std::ops::Deref for Init {
    type Target = [f64];

    fn deref(&self) -> &[f64] {
        &self.0
    }
}

impl std::fmt::Debug for Init {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}

/// A tensor that comes from outside.
#[derive(Clone, Debug)]
pub struct DataPort {
    /// `obs.t`, or the name of an `input`, or the path of a draw.
    pub path: Arc<str>,
    /// Its type, for one example.
    pub ty: Type,
    /// Whether every example has its own.
    pub axis: Axis,
    /// Where its numbers come from.
    pub source: PortSource,
    /// Its value, if it is the same for all examples and known at compile time (a data file without
    /// a batch axis, the default of an input).
    pub value: Option<Vec<f64>>,
    /// Where it is declared.
    pub span: Span,
}

impl DataPort {
    /// Whether its numbers are those of an example: else they are the same for all examples of a step
    /// of training.
    pub fn differs(&self) -> bool {
        match (&self.source, self.axis) {
            _ if self.value.is_some() => false,
            (PortSource::Given, Axis::Example) => true,
            (PortSource::Given, Axis::Whole) | (PortSource::Step | PortSource::Epoch, _) => false,
            (PortSource::Length(_) | PortSource::Drawn(_), _) => true,
        }
    }

    /// Whether its numbers are the same wherever training stands, and for every example.
    pub fn is_constant(&self) -> bool {
        match self.source {
            PortSource::Given => !self.differs(),
            PortSource::Length(_) | PortSource::Drawn(_) | PortSource::Step | PortSource::Epoch => {
                self.value.is_some()
            }
        }
    }
}

/// Whether a port has one value or one for every example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// One value for the whole run.
    Whole,
    /// One slice for each example.
    Example,
}

/// Where the numbers of a port come from.
#[derive(Clone, Debug, PartialEq)]
pub enum PortSource {
    /// A data field or an `input`.
    Given,
    /// How many entries of the ragged axis of this name an example has.
    Length(Arc<str>),
    /// Independent draws, keyed by seed, path of the port, training step and example.
    Drawn(Draw),
    /// The number of the training step, from 0.
    Step,
    /// The number of the epoch, from 0.
    Epoch,
}

/// A distribution that other draws are made of. What it is determined by is known before a run: a
/// number for all entries, or one for each of the last of them, again and again.
#[derive(Clone, Debug, PartialEq)]
pub enum Draw {
    /// Standard normal.
    Normal,
    /// Uniform on (0, 1).
    Uniform,
    /// -1 or 1, equally likely.
    Rademacher,
    /// Gamma of this shape, with rate 1.
    Gamma(Arc<[f64]>),
    /// Beta with these `a` and `b`.
    Beta(Arc<[f64]>, Arc<[f64]>),
    /// Student's with these degrees of freedom, around 0 with scale 1.
    StudentT(Arc<[f64]>),
    /// Poisson with this mean.
    Poisson(Arc<[f64]>),
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

/// A table of the main run: its columns at the saved times.
#[derive(Clone, Debug)]
pub struct Export {
    /// The name of the file.
    pub file: Arc<str>,
    /// How it is written.
    pub table: Table,
    /// Indices into [`Program::curves`].
    pub columns: Vec<usize>,
    /// Where it is written.
    pub span: Span,
}

/// The kinds of table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Comma-separated values, a column for each entry.
    Csv,
    /// An archive of NumPy arrays, one for each column.
    Npz,
    /// A Parquet file, a column for each entry.
    Parquet,
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
    /// A line along the run: indices into [`Program::curves`].
    Line {
        /// In the legend.
        label: Arc<str>,
        /// Abscissa.
        x: usize,
        /// Ordinate.
        y: usize,
    },
    /// Points: indices into [`Program::results`].
    Points {
        /// In the legend.
        label: Arc<str>,
        /// Abscissa.
        x: usize,
        /// Ordinate.
        y: usize,
    },
    /// One number of every run over another: indices into [`Program::results`].
    Runs {
        /// In the legend.
        label: Arc<str>,
        /// Abscissa.
        x: usize,
        /// Ordinate.
        y: usize,
        /// What the abscissa is made of: a swept name among these runs along the line.
        along: Vec<Arc<str>>,
    },
    /// A number of the run over a plane; alone in its picture.
    Heat(Heat),
}

/// A number of the run over a grid of points, each of which makes a run of its own.
#[derive(Clone, Debug)]
pub struct Heat {
    /// Beside the scale of colours.
    pub label: Arc<str>,
    /// The number: an index into [`Program::results`].
    pub value: usize,
    /// What each point is put in place of.
    pub over: Over,
    /// What that is called.
    pub over_label: Arc<str>,
    /// From left to right.
    pub x: (f64, f64),
    /// From bottom to top.
    pub y: (f64, f64),
    /// Cells along each side; a cell has the colour of its middle.
    pub points: usize,
}

/// Two numbers that points of a plane are put in place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// A port: of [`Program::data`]. All others are those of the first example.
    Port(usize),
    /// The start of a state of the main system, by its number there.
    Start(usize),
}
