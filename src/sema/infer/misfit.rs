//! What an operand must be: one check for each condition, with the message of all functions that
//! ask for it.

use crate::base::span::Span;
use crate::sema::dim::Dim;
use crate::sema::errors;
use crate::sema::resolve::Checker;
use crate::sema::typed::Expr;

impl Checker<'_> {
    /// Refuses the operand `x` of `callee`.
    pub(crate) fn misfit<T>(&mut self, callee: &str, x: &Expr, expected: &str) -> Option<T> {
        let story = self.story(x);
        self.fail(errors::wrong_operand(callee, x.span, expected, &x.ty, story))
    }

    /// Refuses `x`, where `what` must be one number.
    pub(crate) fn not_scalar<T>(&mut self, what: &str, x: &Expr) -> Option<T> {
        let story = self.story(x);
        self.fail(errors::needs_scalar(what, x.span, &x.ty, story))
    }

    /// Refuses two operands of `symbol` side by side.
    pub(crate) fn unequal<T>(&mut self, symbol: &str, span: Span, lhs: &Expr, rhs: &Expr) -> Option<T> {
        let (left, right) = (self.story(lhs), self.story(rhs));
        self.fail(errors::unequal_shapes(symbol, span, (lhs.span, &lhs.ty, left), (rhs.span, &rhs.ty, right)))
    }

    /// Whether two operands may stand side by side: equal shapes, or one scalar.
    pub(crate) fn level(&mut self, symbol: &str, symbol_span: Span, lhs: &Expr, rhs: &Expr) -> Option<()> {
        let fits = lhs.ty.is_scalar()
            || rhs.ty.is_scalar()
            || self.same_sizes(&lhs.ty.dims, &rhs.ty.dims, symbol_span);
        if fits { Some(()) } else { self.unequal(symbol, symbol_span, lhs, rhs) }
    }

    /// An operand with `rank` axes.
    pub(super) fn rank(&mut self, name: &str, x: &Expr, rank: usize, expected: &str) -> Option<()> {
        if x.ty.dims.len() == rank { Some(()) } else { self.misfit(name, x, expected) }
    }

    /// A matrix with as many rows as columns, which is given.
    pub(super) fn square(&mut self, name: &str, x: &Expr) -> Option<Dim> {
        match x.ty.dims.as_slice() {
            [rows, columns] if self.same_size(rows, columns, x.span) => Some(rows.clone()),
            _ => self.misfit(name, x, "a square matrix"),
        }
    }

    /// The length of the first axis, which there must be.
    pub(super) fn length(&mut self, name: &str, x: &Expr) -> Option<Dim> {
        match x.ty.dims.first() {
            Some(length) => Some(length.clone()),
            None => self.misfit(name, x, "an array"),
        }
    }
}
