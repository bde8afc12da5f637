//! Expressions: what stands on the right of an item, and what it is made of.

use super::{Block, Ident, Pattern};
use crate::base::span::Span;
use std::sync::Arc;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

/// The forms of expression.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `20_000`; the spelling is in the source. Larger than `i64`: E01xx at parsing.
    Int(i64),
    /// `8.1e3`
    Float(f64),
    /// `"a.csv"`
    Str(Arc<str>),
    /// `true`, `false`
    Bool(bool),
    /// `x`
    Name(Arc<str>),
    /// `(e)`
    Paren(Box<Expr>),
    /// `(a, b)`, `(z = x, logp = 0)`, `(..r, z = y)`, `()`
    Tuple(Vec<Arg>),
    /// `[a, b]`, `[f(i) for i in 0..N]`
    Array(Vec<Arg>),
    /// `-x`, `not c`
    Unary(UnaryOp, Box<Expr>),
    /// `a + b`
    Binary {
        /// Which.
        op: BinaryOp,
        /// Where the operator stands.
        op_span: Span,
        /// Left.
        lhs: Box<Expr>,
        /// Right.
        rhs: Box<Expr>,
    },
    /// `f(x, k = 2)`, also a trajectory at a time
    Call {
        /// What is called.
        callee: Box<Expr>,
        /// With what.
        args: Vec<Arg>,
    },
    /// `a[i, :, ..2]`, also generics
    Index {
        /// What is indexed.
        base: Box<Expr>,
        /// The indices.
        indices: Vec<IndexExpr>,
    },
    /// `obs.t`, `A.T`
    Field {
        /// Of what.
        base: Box<Expr>,
        /// Which.
        name: Ident,
    },
    /// `x'`; two primes are two nodes
    Prime(Box<Expr>),
    /// `0..N`
    Range(Box<Expr>, Box<Expr>),
    /// `x |> f(a)`
    Pipe(Box<Expr>, Box<Expr>),
    /// `v -> 2*v`
    Lambda(Pattern, Box<Expr>),
    /// `if c then a else b`
    If {
        /// The condition.
        condition: Box<Expr>,
        /// Its value if true.
        then: Box<Expr>,
        /// Its value if false.
        otherwise: Box<Expr>,
    },
    /// `fold h = h0 for k in r { … }` and `scan`
    Fold(Box<Fold>),
    /// Text that is not an expression; its message has been reported.
    Error,
}

impl Expr {
    /// The expression inside any parentheses around it.
    pub fn unparenthesised(&self) -> &Expr {
        let mut expr = self;
        while let ExprKind::Paren(inner) = &expr.kind {
            expr = inner;
        }
        expr
    }
}

/// `fold` gives the last value, `scan` all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Fold {
    /// Whether all values are kept.
    pub scan: bool,
    /// What is carried.
    pub carried: Pattern,
    /// Its first value.
    pub init: Expr,
    /// The loop variable.
    pub variable: Pattern,
    /// What it runs over.
    pub range: Expr,
    /// The next value.
    pub body: Block,
}

/// Prefix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `-`
    Neg,
    /// `not`
    Not,
}

/// Infix operators that are neither ranges nor pipes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `@`
    MatMul,
    /// `^`
    Pow,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `and`
    And,
    /// `or`
    Or,
}

impl BinaryOp {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::MatMul => "@",
            BinaryOp::Pow => "^",
            BinaryOp::Eq => "==",
            BinaryOp::Ne => "!=",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
        }
    }
}

/// An argument of a call, an entry of a tuple or an array.
#[derive(Clone, Debug, PartialEq)]
pub enum Arg {
    /// `e`
    Positional(Expr),
    /// `name = e`
    Named(Ident, Expr),
    /// `..e`
    Spread(Expr, Span),
    /// `e for i in r if c`, one or more `for`s
    Comprehension(Expr, Vec<ForClause>),
}

/// `for i in r if c`
#[derive(Clone, Debug, PartialEq)]
pub struct ForClause {
    /// The loop variable.
    pub pattern: Pattern,
    /// What it runs over.
    pub range: Expr,
    /// Which of them count.
    pub condition: Option<Box<Expr>>,
    /// The whole.
    pub span: Span,
}

/// An index between brackets.
#[derive(Clone, Debug, PartialEq)]
pub enum IndexExpr {
    /// `i`, `a..b` (an [`ExprKind::Range`]) or `_`, which inserts an axis
    At(Expr),
    /// `a..`
    From(Expr, Span),
    /// `..b`
    To(Expr, Span),
    /// `:` and `..`
    All(Span),
}
