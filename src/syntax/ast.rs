//! The tree of a `.node` file: one variant per construct, every node with its [`Span`].
//!
//! The tree keeps what the author wrote (parentheses, the spelling of numbers) so that the
//! formatter can lay it out again; comments and blank lines stay in the token vector. Nothing is
//! resolved here: a name is text.

mod expr;
mod visit;

pub use expr::{Arg, BinaryOp, Expr, ExprKind, Fold, ForClause, IndexExpr, UnaryOp};

use crate::base::span::{SourceId, Span};
use std::sync::Arc;

/// A name with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Ident {
    /// The name.
    pub name: Arc<str>,
    /// Where it stands.
    pub span: Span,
}

/// A dotted name: `std.layers`, `train.optimizer.lr`.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// The parts, at least one.
    pub parts: Vec<Ident>,
    /// The whole.
    pub span: Span,
}

/// A parsed file.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// Which text this is the tree of.
    pub source: SourceId,
    /// The items in file order.
    pub items: Vec<Item>,
}

/// An item: what a line at the top level, in a layer or in a system declares.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The `##` lines above it.
    pub docs: Vec<Doc>,
    /// What it is.
    pub kind: ItemKind,
    /// From its first to its last token, docs excluded.
    pub span: Span,
}

/// One `##` line, trimmed, without the marks.
#[derive(Clone, Debug, PartialEq)]
pub struct Doc {
    /// The words.
    pub text: Arc<str>,
    /// Where it stands, marks included.
    pub span: Span,
}

/// The kinds of item.
#[derive(Clone, Debug, PartialEq)]
pub enum ItemKind {
    /// `use std.layers (MLP)`, `use "ours.node" as ours`
    Use(Use),
    /// `const g = 9.81`
    Const(Vec<Decl>),
    /// `input dose = 0.0`
    Input(Vec<Decl>),
    /// `output drift = H - H(start)`
    Output(Vec<Decl>),
    /// `param k in positive = 0.3 ~ lognormal(-1, 1)`
    Param(Vec<ParamDecl>),
    /// `state x = 1.0, x' = 0.0`
    State(Vec<Unknown>),
    /// `algebraic z = 0.0`
    Algebraic(Vec<Unknown>),
    /// `discrete n: int = 0`
    Discrete(Vec<Unknown>),
    /// `time t in 0..20`
    Time {
        /// The independent variable.
        name: Ident,
        /// Usually a range.
        interval: Box<Expr>,
    },
    /// `let H = dot(p, p)/2`
    Let(Let),
    /// `data obs = csv("a.csv") { t: [T] }`
    Data(Data),
    /// `random eps: [D] ~ normal(0, 1)`
    Random {
        /// The draw.
        name: Ident,
        /// Its type, if written.
        ty: Option<Box<Type>>,
        /// What it is drawn from.
        distribution: Box<Expr>,
    },
    /// `noise W: [2] = wiener(ito)`
    Noise {
        /// The noise.
        name: Ident,
        /// Its type, if written.
        ty: Option<Box<Type>>,
        /// The kind of noise.
        value: Box<Expr>,
    },
    /// `control u = cubic(rig.t, rig.force)`
    Control {
        /// The path.
        name: Ident,
        /// How it is interpolated.
        value: Box<Expr>,
    },
    /// `channel work' = dot(F, v)`
    Channel {
        /// The accumulated quantity.
        name: Ident,
        /// Its type, if written.
        ty: Option<Box<Type>>,
        /// The integrand.
        value: Box<Expr>,
    },
    /// `fn f(x) = x^2`; nameless in a layer
    Fn(Box<Function>),
    /// `layer Dense[I, O](init = glorot) { … }`
    Layer(Box<Container>),
    /// `system Cnf[D] { … }`
    System(Box<Container>),
    /// `when x < 0 { … }`, `every 24.0 { … }`, `at [1, 5] { … }`
    Event(Event),
    /// `loss fit = …`
    Loss {
        /// The term's name, if written.
        name: Option<Ident>,
        /// The term.
        value: Box<Expr>,
    },
    /// `metric accuracy = …`
    Metric {
        /// The metric's name, if written.
        name: Option<Ident>,
        /// Its value.
        value: Box<Expr>,
    },
    /// `plot x, y vs t`
    Plot {
        /// The curves.
        curves: Vec<Expr>,
        /// The abscissa.
        versus: Option<Box<Expr>>,
    },
    /// `export "run.parquet" { t, x }`
    Export {
        /// The file.
        file: StrLit,
        /// The columns.
        columns: Vec<Expr>,
    },
    /// `solve { … }`, `train { … }`, `run { … }`
    Settings {
        /// Which table.
        group: SettingsGroup,
        /// Its rows.
        entries: Vec<Entry>,
    },
    /// `profile eval { solve.rtol = 1e-7 }`
    Profile {
        /// The profile's name.
        name: Ident,
        /// Its rows.
        entries: Vec<Entry>,
    },
    /// `sweep mu in logspace(0, 3, 40)`
    Sweep {
        /// What varies.
        target: Box<Expr>,
        /// Its values.
        values: Box<Expr>,
    },
    /// `ensemble 64 { x(start) ~ normal(1, 0.1) }`
    Ensemble {
        /// How many members.
        count: Box<Expr>,
        /// What is drawn for each.
        draws: Vec<Draw>,
    },
    /// `x' = -k*x`, `0 = x + y - 1`
    Equation {
        /// Left of `=`.
        lhs: Box<Expr>,
        /// Right of `=`.
        rhs: Box<Expr>,
    },
    /// `obs.y ~ normal(x(obs.t), sigma)`
    Likelihood {
        /// The data.
        data: Box<Expr>,
        /// Their density.
        distribution: Box<Expr>,
    },
    /// Text that is not an item; its message has been reported.
    Error,
}

/// What `use` names.
#[derive(Clone, Debug, PartialEq)]
pub enum Use {
    /// `use std.layers (MLP, GRU)`
    Module {
        /// The module.
        path: Path,
        /// The names taken, if listed.
        names: Option<Vec<Ident>>,
    },
    /// `use "ours.node" as ours`
    File {
        /// The file.
        file: StrLit,
        /// The name it gets.
        alias: Option<Ident>,
    },
}

/// `name: type = value`, in a `const`, an `input`, an `output` or a parameter list.
#[derive(Clone, Debug, PartialEq)]
pub struct Decl {
    /// What is declared.
    pub name: Ident,
    /// Its type, if written.
    pub ty: Option<Box<Type>>,
    /// Its value or default.
    pub value: Option<Box<Expr>>,
    /// The whole.
    pub span: Span,
}

/// `name: type in constraint = value ~ prior`
#[derive(Clone, Debug, PartialEq)]
pub struct ParamDecl {
    /// What is declared.
    pub name: Ident,
    /// Its type, if written.
    pub ty: Option<Box<Type>>,
    /// The set it lives in.
    pub constraint: Option<Box<Expr>>,
    /// Its starting value.
    pub value: Option<Box<Expr>>,
    /// Its prior.
    pub prior: Option<Box<Expr>>,
    /// The whole.
    pub span: Span,
}

/// `x'' : type = start`; the primes say which derivative the start value is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Unknown {
    /// The unknown.
    pub name: Ident,
    /// Number of primes.
    pub primes: u32,
    /// Its type, if written.
    pub ty: Option<Box<Type>>,
    /// Its start value.
    pub value: Option<Box<Expr>>,
    /// The whole.
    pub span: Span,
}

/// `let (a, b) = e`
#[derive(Clone, Debug, PartialEq)]
pub struct Let {
    /// What is bound.
    pub pattern: Pattern,
    /// Its type, if written.
    pub ty: Option<Box<Type>>,
    /// Its value.
    pub value: Box<Expr>,
    /// The whole.
    pub span: Span,
}

/// `data obs = csv("a.csv") { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    /// The data set.
    pub name: Ident,
    /// Where it comes from.
    pub source: Box<Expr>,
    /// Its schema.
    pub fields: Vec<Field>,
}

/// `temp: [T] = column("mean temp (C)")`
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The `##` lines above it.
    pub docs: Vec<Doc>,
    /// The field.
    pub name: Ident,
    /// Its type.
    pub ty: Box<Type>,
    /// Which column it is, if not that of its name.
    pub value: Option<Box<Expr>>,
    /// The whole, docs excluded.
    pub span: Span,
}

impl Field {
    /// The word `batch` where it begins the sizes: the axis of the examples.
    pub fn batch(&self) -> Option<&DimExpr> {
        let TypeKind::Tensor { dims, .. } = &self.ty.kind else { return None };
        dims.first().filter(|dim| dim.is_batch())
    }

    /// The sizes of one example.
    pub fn example_dims(&self) -> &[DimExpr] {
        match &self.ty.kind {
            TypeKind::Tensor { dims, .. } => &dims[usize::from(self.batch().is_some())..],
            TypeKind::Name(_) | TypeKind::Fn { .. } | TypeKind::Record(_) => &[],
        }
    }
}

impl DimExpr {
    /// Whether this is the word `batch`.
    pub fn is_batch(&self) -> bool {
        matches!(&self.value.kind, ExprKind::Name(name) if &**name == "batch")
    }
}

/// `fn name[generics](params) -> result body`
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Its name; `None` for what a layer does when called.
    pub name: Option<Ident>,
    /// Its sizes.
    pub generics: Vec<Ident>,
    /// Its parameters.
    pub params: Vec<Decl>,
    /// The type of its result, if written.
    pub result: Option<Box<Type>>,
    /// Its body.
    pub body: Block,
    /// Whether the body is written `= e` rather than `{ … }`.
    pub short: bool,
}

/// `let`s and the value they lead to.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// The names bound on the way.
    pub lets: Vec<Let>,
    /// The value.
    pub value: Box<Expr>,
    /// The whole.
    pub span: Span,
}

/// A layer or a system.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    /// Its name.
    pub name: Ident,
    /// Its sizes.
    pub generics: Vec<Ident>,
    /// Its parameters, if it has a list.
    pub params: Option<Vec<Decl>>,
    /// What it holds.
    pub items: Vec<Item>,
}

/// `when c { … }` and its relatives.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Which of the three.
    pub kind: EventKind,
    /// The condition, the period or the times.
    pub trigger: Box<Expr>,
    /// What happens.
    pub body: Vec<Jump>,
}

/// What sets an event off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A condition that becomes true.
    When,
    /// A period.
    Every,
    /// A list of times.
    At,
}

/// A line in the body of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Jump {
    /// `v := -e*v`
    Assign {
        /// The unknown.
        target: Box<Expr>,
        /// Its value just after.
        value: Box<Expr>,
    },
    /// `stop`
    Stop(Span),
    /// `let w = …`
    Let(Let),
}

/// Which table of settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SettingsGroup {
    /// `solve { … }`
    Solve,
    /// `train { … }`
    Train,
    /// `run { … }`
    Run,
}

/// `rtol = 1e-6`
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The dotted key.
    pub path: Path,
    /// Its value.
    pub value: Box<Expr>,
    /// The whole.
    pub span: Span,
}

/// `x(start) ~ normal(1, 0.1)`
#[derive(Clone, Debug, PartialEq)]
pub struct Draw {
    /// What is drawn.
    pub target: Box<Expr>,
    /// From what.
    pub distribution: Box<Expr>,
    /// The whole.
    pub span: Span,
}

/// `x` or `(a, (b, c))`
#[derive(Clone, Debug, PartialEq)]
pub enum Pattern {
    /// A name.
    Name(Ident),
    /// A tuple.
    Tuple(Vec<Pattern>, Span),
}

impl Pattern {
    /// Where it stands.
    pub fn span(&self) -> Span {
        match self {
            Pattern::Name(ident) => ident.span,
            Pattern::Tuple(_, span) => *span,
        }
    }
}

/// A type as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Type {
    /// What it is.
    pub kind: TypeKind,
    /// Where it stands.
    pub span: Span,
}

/// The forms of type.
#[derive(Clone, Debug, PartialEq)]
pub enum TypeKind {
    /// `int`, `real`
    Name(Ident),
    /// `[H, D]`, `int[T]`
    Tensor {
        /// The element, `real` if not written.
        element: Option<Ident>,
        /// The sizes.
        dims: Vec<DimExpr>,
    },
    /// `fn([D]) -> [D]`
    Fn {
        /// Of the arguments.
        params: Vec<Type>,
        /// Of the result.
        result: Box<Type>,
    },
    /// `(z: [D], logp: real)`
    Record(Vec<(Ident, Type)>),
}

/// A size; `?` marks one that differs from example to example.
#[derive(Clone, Debug, PartialEq)]
pub struct DimExpr {
    /// The size.
    pub value: Expr,
    /// Whether it is ragged.
    pub ragged: bool,
}

/// A string, its escapes resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct StrLit {
    /// The text.
    pub value: Arc<str>,
    /// With its quotes.
    pub span: Span,
}
