//! Which lines are in solved form, and which primes stand where no prime can.

use crate::base::hash::FastMap;
use crate::base::span::Span;
use crate::ir::system::UnknownKind;
use crate::sema::errors;
use crate::sema::infer::unprimed;
use crate::sema::prelude::{Builtin, function};
use crate::sema::resolve::Checker;
use crate::sema::space::Declared;
use crate::syntax::ast::{self, Arg, BinaryOp, ExprKind, IndexExpr, ItemKind};
use std::sync::Arc;

/// A line that gives the motion of a state.
pub(super) struct Solved<'a> {
    pub equation: Span,
    /// `None` if the line is in error, which has been said.
    pub rhs: Option<&'a ast::Expr>,
}

/// A line that is not in solved form.
#[derive(Clone, Copy)]
pub(super) struct Implicit<'a> {
    pub lhs: &'a ast::Expr,
    pub rhs: &'a ast::Expr,
    pub span: Span,
}

/// The lines of a system.
#[derive(Default)]
pub(super) struct Sorted<'a> {
    /// Of each state, by the name without primes.
    pub solved: FastMap<Arc<str>, Solved<'a>>,
    pub implicit: Vec<Implicit<'a>>,
    /// Whether a line gives a rate to something without one, which has been said.
    pub misdeclared: bool,
}

impl<'a> Checker<'a> {
    /// The lines of this space, sorted.
    pub(super) fn sorted_lines(&mut self) -> Sorted<'a> {
        let mut sorted = Sorted::default();
        for item in self.items() {
            let ItemKind::Equation { lhs, rhs } = &item.kind else { continue };
            let (base, primes) = unprimed(lhs.unparenthesised());
            if let (ExprKind::Name(name), true) = (&base.kind, primes > 0) {
                let Some(motion) = self.space().motions.get(name).cloned() else {
                    self.equation_of_a_stranger(name, base.span);
                    continue;
                };
                if motion.kind != UnknownKind::Rate {
                    self.report(errors::rate_of_restless(base.span, name, motion.kind.noun()));
                    sorted.misdeclared = true;
                    continue;
                }
                if motion.order != primes {
                    self.report(errors::wrong_order(lhs.span, name, motion.order, primes));
                }
                match sorted.solved.get(name) {
                    Some(first) => self.report(errors::two_equations(name, first.equation, item.span)),
                    None => {
                        let line = Solved { equation: item.span, rhs: Some(rhs) };
                        sorted.solved.insert(name.clone(), line);
                    }
                }
            } else if self.is_leibniz(lhs) {
                // The missing equation of the state it speaks of.
                if let Some((numerator, _)) = leibniz_names(lhs) {
                    self.excuse(&mut sorted, &numerator[1..], item.span, Some(rhs));
                }
            } else {
                sorted.implicit.push(Implicit { lhs, rhs, span: item.span });
            }
        }
        for line in std::mem::take(&mut sorted.implicit) {
            let is_open = |name: &str| {
                let is_rate =
                    self.space().motions.get(name).is_some_and(|motion| motion.kind == UnknownKind::Rate);
                is_rate && !sorted.solved.contains_key(name)
            };
            match nonlinear(line.lhs, &is_open).or_else(|| nonlinear(line.rhs, &is_open)) {
                Some((prime, span, how)) => {
                    let (base, primes) = unprimed(prime);
                    let name = self.text(base.span);
                    let free = if self.space().globals.contains("v") { "rate" } else { "v" };
                    let line_text = with_named(self.text(line.span), self.text(prime.span), free);
                    self.report(errors::nonlinear_prime(span, name, primes, how, Some((free, &line_text))));
                    self.excuse(&mut sorted, name, line.span, None);
                }
                None => sorted.implicit.push(line),
            }
        }
        sorted
    }

    /// An unknown that a line in error speaks of is not said to lack an equation as well.
    fn excuse(&mut self, sorted: &mut Sorted<'a>, name: &str, equation: Span, rhs: Option<&'a ast::Expr>) {
        self.failed = true;
        if self.space().motions.contains_key(name) && !sorted.solved.contains_key(name) {
            sorted.solved.insert(name.into(), Solved { equation, rhs });
        }
    }

    fn equation_of_a_stranger(&mut self, name: &str, span: Span) {
        match self.space().globals.get(name).map(|global| global.declared.clone()) {
            None => self.unknown_name(name, span, self.home(), false),
            Some(Declared::NotYet) => self.failed = true,
            Some(declared) => self.report(errors::not_an_unknown(span, name, declared.noun())),
        }
    }

    /// `dx/dt = …`, where neither is a name.
    fn is_leibniz(&mut self, lhs: &ast::Expr) -> bool {
        let Some((numerator, denominator)) = leibniz_names(lhs) else { return false };
        if self.space().globals.contains(numerator) || self.space().globals.contains(denominator) {
            return false;
        }
        let state = &numerator[1..];
        let is_state = self.space().motions.contains_key(state);
        self.report(errors::leibniz(lhs.span, state, numerator, denominator, is_state));
        true
    }
}

fn leibniz_names(lhs: &ast::Expr) -> Option<(&str, &str)> {
    let ExprKind::Binary { op: BinaryOp::Div, lhs: numerator, rhs: denominator, .. } = &lhs.kind else {
        return None;
    };
    let (ExprKind::Name(numerator), ExprKind::Name(denominator)) = (&numerator.kind, &denominator.kind)
    else {
        return None;
    };
    let is_differential = |name: &str| name.len() > 1 && name.starts_with('d');
    (is_differential(numerator) && is_differential(denominator)).then_some((&**numerator, &**denominator))
}

fn of_args(args: &[Arg]) -> impl Iterator<Item = &ast::Expr> {
    args.iter().map(|arg| match arg {
        Arg::Positional(e) | Arg::Named(_, e) | Arg::Spread(e, _) | Arg::Comprehension(e, _) => e,
    })
}

/// The expressions directly inside one.
pub(crate) fn children(expr: &ast::Expr) -> Vec<&ast::Expr> {
    match &expr.kind {
        ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Str(_) | ExprKind::Bool(_) => Vec::new(),
        ExprKind::Name(_) | ExprKind::Error => Vec::new(),
        ExprKind::Paren(e) | ExprKind::Unary(_, e) | ExprKind::Prime(e) | ExprKind::Lambda(_, e) => vec![e],
        ExprKind::Field { base, .. } => vec![base],
        ExprKind::Tuple(args) | ExprKind::Array(args) => of_args(args).collect(),
        ExprKind::Binary { lhs, rhs, .. } => vec![lhs, rhs],
        ExprKind::Call { callee, args } => std::iter::once(&**callee).chain(of_args(args)).collect(),
        ExprKind::Index { base, indices } => {
            let indices = indices.iter().filter_map(|index| match index {
                IndexExpr::At(e) | IndexExpr::From(e, _) | IndexExpr::To(e, _) => Some(e),
                IndexExpr::All(_) => None,
            });
            std::iter::once(&**base).chain(indices).collect()
        }
        ExprKind::Range(a, b) | ExprKind::Pipe(a, b) => vec![a, b],
        ExprKind::If { condition, then, otherwise } => vec![condition, then, otherwise],
        ExprKind::Fold(fold) => vec![&fold.init, &fold.range, &fold.body.value],
    }
}

/// The first prime of an unknown that `is_open`.
fn first_prime<'e>(expr: &'e ast::Expr, is_open: &dyn Fn(&str) -> bool) -> Option<&'e ast::Expr> {
    if let ExprKind::Prime(_) = &expr.kind {
        return match &unprimed(expr).0.kind {
            ExprKind::Name(name) => is_open(name).then_some(expr),
            _ => None,
        };
    }
    children(expr).into_iter().find_map(|child| first_prime(child, is_open))
}

/// A prime of an unknown that `is_open` and that does not enter linearly: the prime, the place to
/// mark, and how it enters. What goes through a function of the file is looked at later.
fn nonlinear<'e>(
    expr: &'e ast::Expr,
    is_open: &dyn Fn(&str) -> bool,
) -> Option<(&'e ast::Expr, Span, &'static str)> {
    let first = |expr: &'e ast::Expr| first_prime(expr, is_open);
    let found = match &expr.kind {
        ExprKind::Binary { op: BinaryOp::Pow, lhs, rhs, .. } => match (first(lhs), &rhs.kind) {
            (Some(_), ExprKind::Int(1)) => None,
            (Some(prime), ExprKind::Int(2)) => Some((prime, "appears squared")),
            (Some(prime), _) => Some((prime, "appears in a power")),
            (None, _) => first(rhs).map(|prime| (prime, "appears in an exponent")),
        },
        ExprKind::Binary { op: BinaryOp::Mul | BinaryOp::MatMul, lhs, rhs, .. } => {
            first(lhs).and(first(rhs)).map(|prime| (prime, "is multiplied by another prime"))
        }
        ExprKind::Binary { op: BinaryOp::Div, rhs, .. } => {
            first(rhs).map(|prime| (prime, "appears in a denominator"))
        }
        ExprKind::Call { callee, args } => {
            let is_map = matches!(&callee.kind, ExprKind::Name(name) if matches!(function(name), Some(Builtin::Map(_))));
            let inside = of_args(args).find_map(first);
            inside.filter(|_| is_map).map(|prime| (prime, "appears inside a function"))
        }
        _ => None,
    };
    match found {
        Some((prime, how)) => Some((prime, expr.span, how)),
        None => children(expr).into_iter().find_map(|child| nonlinear(child, is_open)),
    }
}

/// `line` with `name` in place of `prime`.
fn with_named(line: &str, prime: &str, name: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(prime) {
        let (before, after) = (&rest[..at], &rest[at + prime.len()..]);
        let inside = before.ends_with(|c: char| c.is_alphanumeric() || c == '_') || after.starts_with('\'');
        text += before;
        text += if inside { prime } else { name };
        rest = after;
    }
    text + rest
}
