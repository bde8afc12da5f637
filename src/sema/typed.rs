//! The typed tree: what a program means once names, types and phases are settled.
//!
//! Every expression knows its type (sizes may still be symbolic), its phase and its place. Names
//! have become [`DefId`]s, functions have been inlined (each call gives its parameters
//! definitions of their own), and every construct of the language has become one of few forms.

use crate::base::index::IndexVec;
use crate::base::span::Span;
use crate::ir::constraint::Constraint;
use crate::ir::op::Op;
use crate::ir::program::{PortSource, Role};
use crate::ir::system::{Calculus, Condition, UnknownKind};
use crate::sema::dim::{Dim, Symbol};
pub use crate::sema::elaborate::path::Interpolation;
pub use crate::sema::many::Many;
use crate::sema::prelude::{Distribution, Initialiser, Map, Reduction};
use crate::sema::sizes::Sizes;
use crate::sema::subscripts::Subscripts;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

crate::index_type!(
    /// Something a name stands for.
    DefId, "def"
);

/// What the elements of a tensor are. `real` is `f64` or `f32`, as the run says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elem {
    /// `real`
    Real,
    /// `int`
    Int,
    /// `bool`
    Bool,
}

/// A type: elements and sizes, outermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ty {
    /// Of the elements.
    pub elem: Elem,
    /// No sizes for a scalar.
    pub dims: Vec<Dim>,
}

impl Ty {
    /// A scalar.
    pub fn scalar(elem: Elem) -> Ty {
        Ty { elem, dims: Vec::new() }
    }

    /// A tensor of reals.
    pub fn real(dims: Vec<Dim>) -> Ty {
        Ty { elem: Elem::Real, dims }
    }

    /// Whether it has no axes.
    pub fn is_scalar(&self) -> bool {
        self.dims.is_empty()
    }
}

/// `[2*C + 1, 3]`
pub fn dims_text(dims: &[Dim]) -> String {
    let dims: Vec<String> = dims.iter().map(Dim::to_string).collect();
    format!("[{}]", dims.join(", "))
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let element = match self.elem {
            Elem::Real => "real",
            Elem::Int => "int",
            Elem::Bool => "bool",
        };
        match (self.elem, self.is_scalar()) {
            (_, true) => f.write_str(element),
            (Elem::Real, false) => f.write_str(&dims_text(&self.dims)),
            (Elem::Int | Elem::Bool, false) => write!(f, "{element}{}", dims_text(&self.dims)),
        }
    }
}

/// When a value is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// At compile time.
    Static,
    /// Once the params are.
    Run,
    /// Once the data are.
    Example,
    /// Anew at every time.
    Time,
}

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: Kind,
    /// Its type.
    pub ty: Ty,
    /// When it is known.
    pub phase: Phase,
    /// Where it is written.
    pub span: Span,
}

/// The forms of expression.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A number.
    Real(f64),
    /// A static integer.
    Size(Dim),
    /// A truth value.
    Bool(bool),
    /// Every element this number; the shape is that of the type.
    Fill(f64),
    /// A name.
    Def(DefId),
    /// The rate of a state, by number.
    Rate(usize),
    /// The integrand of a channel, by number.
    ChannelRate(usize),
    /// The prime of a noise, by number.
    White(usize),
    /// The value now of a path through `values` at `times`.
    Path {
        /// How it goes between them.
        scheme: Interpolation,
        /// The independent variable.
        time: DefId,
        /// Ascending, `[K]`.
        times: Box<Expr>,
        /// `[K, ..]`
        values: Box<Expr>,
    },
    /// `start`
    Start,
    /// `end`
    End,
    /// The same numbers as reals.
    ToReal(Box<Expr>),
    /// Whole numbers as integers.
    ToInt(Box<Expr>),
    /// An elementwise op; operands have the shape of the result, or none.
    Elementwise(Op, Vec<Expr>),
    /// A function of one operand, elementwise.
    Map(Map, Box<Expr>),
    /// An integer power.
    PowInt(Box<Expr>, Dim),
    /// `a @ b`
    MatMul(Box<Expr>, Box<Expr>),
    /// `a[i]*b[j]` for all `i`, `j`
    Outer(Box<Expr>, Box<Expr>),
    /// `if c then a else b`
    If(Box<Expr>, Box<Expr>, Box<Expr>),
    /// Parts of one shape under a new leading axis.
    Stack(Vec<Expr>),
    /// Parts joined along an axis.
    Concat(Vec<Expr>, u32),
    /// Parts of a tensor, one [`Pick`] for each axis, with new axes between.
    Index(Box<Expr>, Vec<Pick>),
    /// The same elements in the shape of the type.
    Reshape(Box<Expr>),
    /// Result axis `i` is operand axis `axes[i]`.
    Permute(Box<Expr>, Vec<u32>),
    /// Turned round along an axis.
    Reverse(Box<Expr>, u32),
    /// Zeros before and after the elements of each axis.
    Pad(Box<Expr>, Vec<(Dim, Dim)>),
    /// Repeated along a new axis at this place, as often as the type says.
    Repeat(Box<Expr>, u32),
    /// `0, 1, 2, ..` as reals; the count is that of the type.
    Iota,
    /// The unit matrix of the type.
    Eye,
    /// The sum of all elements up to each one along an axis.
    Cumsum(Box<Expr>, u32),
    /// The einsum of two operands.
    Einsum(Box<Expr>, Box<Expr>, Box<Subscripts>),
    /// Which element along an axis is the largest (or smallest), the first if several are.
    Extreme(Extreme, Box<Expr>, u32),
    /// Entries along the first axis, by numbers that are not static; NaN for one that is not there.
    Gather(Box<Expr>, Box<Expr>),
    /// The determinant of a matrix.
    Determinant(Box<Expr>),
    /// Eigenvalues above eigenvectors of a symmetric matrix.
    Eigen(Box<Expr>),
    /// `a⁻¹ b`
    Solution(Box<Expr>, Box<Expr>),
    /// A reduction over these axes (ascending).
    Reduce(Reduction, Box<Expr>, Vec<u32>),
    /// A body for each value of the loops, stacked (`None`) or reduced.
    Comprehension {
        /// Outermost first.
        loops: Vec<Loop>,
        /// What is computed for each.
        body: Box<Expr>,
        /// How the values are put together.
        reduction: Option<Reduction>,
    },
    /// This number of what a fold over data carries, after its last turn.
    Fold(Arc<Fold>, usize),
    /// The same after each turn, under a new leading axis.
    Scan(Arc<Fold>, usize),
    /// A derivative operator.
    Derivative {
        /// Which.
        operator: Operator,
        /// Of what.
        of: Box<Expr>,
        /// What varies.
        by: DefId,
        /// The direction or the cotangent.
        with: Option<Box<Expr>>,
    },
    /// `e'`: the derivative of this order along the motion.
    Flow(Box<Expr>, u32),
    /// What a call of a system gives: an unknown at the end of the run, or at these times.
    Solved {
        /// The call.
        call: usize,
        /// The unknown.
        moved: Moved,
        /// A time or a vector of times; the end if there is none.
        at: Option<Box<Expr>>,
    },
    /// No derivative passes.
    StopGradient(Box<Expr>),
    /// A time-varying expression at a time or a vector of times.
    At(Box<Expr>, Box<Expr>),
    /// `log_prob(distribution, x)`, elementwise.
    LogProb {
        /// The distribution.
        distribution: Distribution,
        /// Its parameters.
        params: Vec<Expr>,
        /// Where its density is taken.
        x: Box<Expr>,
    },
}

/// An unknown of a system, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moved {
    /// A state.
    State(usize),
    /// A channel.
    Channel(usize),
}

/// Which of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extreme {
    /// `argmax`
    Largest,
    /// `argmin`
    Smallest,
}

/// A fold whose turns are counted by the data.
#[derive(Clone, Debug)]
pub struct Fold {
    /// The loop; without a condition.
    pub looped: Loop,
    /// Whether the last turn comes first.
    pub reversed: bool,
    /// The loops around it.
    pub loops: Vec<Symbol>,
    /// Names of the numbers that are carried, in a turn.
    pub carried: Vec<DefId>,
    /// What they are before the first turn.
    pub init: Vec<Expr>,
    /// What they are after a turn.
    pub next: Vec<Expr>,
    /// When they are known.
    pub phase: Phase,
}

/// One `for i in lo..hi if c`.
#[derive(Clone, Debug)]
pub struct Loop {
    /// The loop variable.
    pub symbol: Symbol,
    /// First value.
    pub lo: Dim,
    /// One past the last.
    pub hi: Dim,
    /// Which values count; static.
    pub condition: Option<Expr>,
}

/// What is taken of an axis.
#[derive(Clone, Debug)]
pub enum Pick {
    /// One element: the axis goes.
    At(Dim),
    /// `lo..hi`
    Range(Dim, Dim),
    /// `_`: a new axis of length 1.
    New,
}

/// Derivative operators by their primitive form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `grad`
    Grad,
    /// `vjp`
    Vjp,
    /// `jvp`
    Jvp,
    /// `jac`
    Jacobian,
    /// `div`
    Divergence,
    /// `jac_frob2`
    JacFrob2,
}

/// What a definition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefKind {
    /// A constant; has a value.
    Const,
    /// The param of this number.
    Param(usize),
    /// The data port of this number that an `input` declares.
    Input(usize),
    /// The data port of this number that a data field is.
    Data(usize),
    /// The state of this number.
    State(usize),
    /// The channel of this number.
    Channel(usize),
    /// The noise of this number.
    Noise(usize),
    /// A path; has a value.
    Control,
    /// The independent variable.
    Time,
    /// A `let`; has a value.
    Let,
    /// An `output`; has a value.
    Output,
    /// A parameter or `let` of an inlined function; has a value.
    Local,
}

impl DefKind {
    /// As messages call it.
    pub fn noun(self) -> &'static str {
        match self {
            DefKind::Const => "const",
            DefKind::Param(_) => "param",
            DefKind::Input(_) => "input",
            DefKind::Data(_) => "data field",
            DefKind::State(_) => "state",
            DefKind::Channel(_) => "channel",
            DefKind::Noise(_) => "noise",
            DefKind::Control => "control",
            DefKind::Time => "time variable",
            DefKind::Let => "let",
            DefKind::Output => "output",
            DefKind::Local => "local name",
        }
    }
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub struct Def {
    /// The name.
    pub name: Arc<str>,
    /// Where it is declared.
    pub span: Span,
    /// Where its type is written, if it is.
    pub ty_span: Option<Span>,
    /// What it is.
    pub kind: DefKind,
    /// Its type.
    pub ty: Ty,
    /// When it is known.
    pub phase: Phase,
    /// Its value, for the kinds that have one.
    pub value: Option<Expr>,
    /// The comprehensions it stands inside.
    pub loops: Vec<Symbol>,
    /// Whether a derivative operator varies it.
    pub varied: bool,
}

/// A param.
#[derive(Clone, Debug)]
pub struct Param {
    /// Its definition.
    pub def: DefId,
    /// Its starting value; the default of its constraint if there is none and none is drawn.
    pub init: Option<Expr>,
    /// How its starting value is drawn, if it is.
    pub drawn: Option<Drawn>,
    /// The set it lives in.
    pub constraint: Constraint,
    /// Its prior: distribution and parameters.
    pub prior: Option<Prior>,
}

/// How the entries of a starting value are drawn, independently.
#[derive(Clone, Debug)]
pub enum Drawn {
    /// All are this number.
    Fill(f64),
    /// By the shape of the weight.
    Weights(Initialiser),
    /// From a distribution with these parameters.
    From(Distribution, Vec<f64>),
}

/// A prior.
#[derive(Clone, Debug)]
pub struct Prior {
    /// Its log-density at the param, elementwise.
    pub log_prob: Expr,
    /// Where it is written.
    pub span: Span,
}

/// A tensor from outside: a data field or an input.
#[derive(Clone, Debug)]
pub struct Port {
    /// Its definition; the name is the path `obs.t`.
    pub def: DefId,
    /// The default of an input.
    pub default: Option<Expr>,
    /// Whether every example has its own value.
    pub batch: bool,
    /// Where its numbers come from.
    pub source: PortSource,
}

/// An unknown.
#[derive(Clone, Debug)]
pub struct State {
    /// Its definition; the name carries the primes of a hidden state.
    pub def: DefId,
    /// What determines it.
    pub kind: UnknownKind,
    /// Its start value, for an algebraic one a guess; none if a caller of the system must give it.
    pub start: Option<Expr>,
    /// Its rate, if a line in solved form gives it.
    pub rate: Option<Expr>,
    /// Whether its rate reads no prime, no noise and no other time: what looks for these passes it over.
    pub plain: bool,
    /// Where its rate is given, else where it is declared.
    pub equation: Span,
}

/// What moves a system beside rates in solved form.
#[derive(Clone, Debug, Default)]
pub struct Dynamics {
    /// Lines that are not in solved form.
    pub lines: Vec<Line>,
    /// Wiener processes, by number.
    pub noises: Vec<Noise>,
    /// What interrupts the motion, in file order.
    pub events: Vec<Event>,
}

/// A line `lhs = rhs` that is not in solved form.
#[derive(Clone, Debug)]
pub struct Line {
    /// `lhs - rhs`. The primes of unknowns with a rate but without a solved line are its variables.
    pub residual: Expr,
    /// The line.
    pub span: Span,
}

/// A Wiener process.
#[derive(Clone, Debug)]
pub struct Noise {
    /// Its definition.
    pub def: DefId,
    /// How its integral is meant.
    pub calculus: Calculus,
}

/// Something that interrupts the motion.
#[derive(Clone, Debug)]
pub struct Event {
    /// As written: `x < 0`.
    pub name: Arc<str>,
    /// When it happens.
    pub trigger: Trigger,
    /// The unknowns that jump, by number, each once, with their values just after.
    pub jumps: Vec<(usize, Expr)>,
    /// Whether the run ends there.
    pub stop: bool,
    /// What sets it off, as written.
    pub span: Span,
    /// The whole of it.
    pub item: Span,
}

/// When an event happens.
#[derive(Clone, Debug)]
pub enum Trigger {
    /// When a condition over these roots becomes true; a root is positive where its comparison holds.
    When(Vec<Expr>, Condition),
    /// At every multiple of a period after the start.
    Every(Expr),
    /// At these times.
    At(Expr),
}

/// A quadrature.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Its definition.
    pub def: DefId,
    /// Its integrand.
    pub rate: Expr,
}

/// A value of the whole run.
#[derive(Clone, Debug)]
pub struct RunRoot {
    /// What it is for.
    pub role: Role,
    /// Its name.
    pub name: Arc<str>,
    /// Its value. For a likelihood or a prior the log-density by element, which is summed and
    /// negated.
    pub value: Expr,
    /// Where it is written.
    pub span: Span,
}

/// A value along the run.
#[derive(Clone, Debug)]
pub struct CurveRoot {
    /// As written.
    pub name: Arc<str>,
    /// Its value.
    pub value: Expr,
    /// Whether it is a declared output.
    pub output: bool,
    /// Where it is written.
    pub span: Span,
}

/// A system.
#[derive(Clone, Debug)]
pub struct System {
    /// `main`, or the path of the instance.
    pub name: Arc<str>,
    /// The independent variable.
    pub time: DefId,
    /// First and last time.
    pub interval: (Expr, Expr),
    /// Its states.
    pub states: Range<usize>,
    /// Its channels.
    pub channels: Range<usize>,
    /// What moves it beside rates in solved form.
    pub dynamics: Dynamics,
    /// Where its time is declared.
    pub span: Span,
}

/// A call of a system.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which.
    pub system: usize,
    /// Whether it runs from the end to the start.
    pub inverse: bool,
    /// The start values that are given; others are those of the declarations, and 0 for channels.
    pub starts: BTreeMap<Moved, Expr>,
    /// Where it is called.
    pub span: Span,
}

/// A layer or a system in use.
#[derive(Clone, Debug)]
pub struct Instance {
    /// `net.fc[0]`
    pub path: Arc<str>,
    /// As declared: `Dense`.
    pub name: Arc<str>,
    /// Whether it is a system.
    pub is_system: bool,
    /// Its sizes.
    pub sizes: Vec<Dim>,
    /// Where it is made.
    pub span: Span,
}

/// What a program without errors means.
#[derive(Clone, Debug)]
pub struct Model {
    /// Every definition.
    pub defs: IndexVec<DefId, Def>,
    /// What the sizes that were left open turned out to be.
    pub sizes: Sizes,
    /// The lengths of the ragged axes, by the symbol of the axis.
    pub ragged: BTreeMap<u32, DefId>,
    /// The layers and systems in use, in the order they are made.
    pub instances: Vec<Instance>,
    /// What moves. States and channels are numbered through all systems.
    pub systems: Vec<System>,
    /// The system that the file is, if it is one: the first.
    pub main: Option<usize>,
    /// The calls of systems, each behind those that its start values are made of.
    pub calls: Vec<Call>,
    /// Trainable numbers, in file order.
    pub params: Vec<Param>,
    /// Data fields and inputs, in file order.
    pub ports: Vec<Port>,
    /// Unknowns of all systems, each in the order of its declarations, a hidden one behind its state.
    pub states: Vec<State>,
    /// Quadratures, likewise.
    pub channels: Vec<Channel>,
    /// Values of the run, by role, then in file order.
    pub results: Vec<RunRoot>,
    /// Values along the run.
    pub curves: Vec<CurveRoot>,
    /// Pictures; indices into `curves` and `results`.
    pub plots: Vec<crate::ir::program::Plot>,
    /// Tables; indices into `curves`.
    pub exports: Vec<crate::ir::program::Export>,
    /// What its runs differ in.
    pub many: Many,
}

impl Expr {
    /// Calls `visit` on this expression and what it is made of, outermost first; where `visit`
    /// says no, not what is inside. Does not follow names.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr) -> bool) {
        if !visit(self) {
            return;
        }
        match &self.kind {
            Kind::Real(_) | Kind::Size(_) | Kind::Bool(_) | Kind::Fill(_) | Kind::Def(_) => {}
            Kind::Iota | Kind::Eye => {}
            Kind::Pad(x, _) | Kind::Repeat(x, _) | Kind::Cumsum(x, _) | Kind::Extreme(_, x, _) => {
                x.walk(visit)
            }
            Kind::Einsum(x, y, _) | Kind::Gather(x, y) | Kind::Solution(x, y) => {
                x.walk(visit);
                y.walk(visit);
            }
            Kind::Rate(_) | Kind::ChannelRate(_) | Kind::White(_) | Kind::Start | Kind::End => {}
            Kind::Path { times, values, scheme: _, time: _ } => {
                times.walk(visit);
                values.walk(visit);
            }
            Kind::ToReal(x) | Kind::ToInt(x) | Kind::Map(_, x) | Kind::PowInt(x, _) | Kind::Index(x, _) => {
                x.walk(visit)
            }
            Kind::Reshape(x) | Kind::Permute(x, _) | Kind::Reverse(x, _) | Kind::Reduce(_, x, _) => {
                x.walk(visit)
            }
            Kind::Flow(x, _) | Kind::StopGradient(x) | Kind::Determinant(x) | Kind::Eigen(x) => x.walk(visit),
            Kind::Solved { at, call: _, moved: _ } => at.iter().for_each(|at| at.walk(visit)),
            Kind::Elementwise(_, parts) | Kind::Stack(parts) | Kind::Concat(parts, _) => {
                parts.iter().for_each(|part| part.walk(visit));
            }
            Kind::MatMul(x, y) | Kind::Outer(x, y) | Kind::At(x, y) => {
                x.walk(visit);
                y.walk(visit);
            }
            Kind::If(c, x, y) => {
                c.walk(visit);
                x.walk(visit);
                y.walk(visit);
            }
            Kind::Comprehension { body, loops, reduction: _ } => {
                loops.iter().filter_map(|l| l.condition.as_ref()).for_each(|c| c.walk(visit));
                body.walk(visit);
            }
            Kind::Fold(fold, _) | Kind::Scan(fold, _) => {
                fold.init.iter().chain(&fold.next).for_each(|x| x.walk(visit));
            }
            Kind::Derivative { of, with, by: _, operator: _ } => {
                of.walk(visit);
                with.iter().for_each(|w| w.walk(visit));
            }
            Kind::LogProb { params, x, distribution: _ } => {
                x.walk(visit);
                params.iter().for_each(|param| param.walk(visit));
            }
        }
    }
}
