//! `det`, `inv`, `solve(A, b)`, `eigh`.

use crate::base::span::Span;
use crate::sema::dim::Dim;
use crate::sema::infer::Value;
use crate::sema::infer::arrays::part;
use crate::sema::infer::call::Given;
use crate::sema::prelude::Special;
use crate::sema::resolve::{Checker, ScopeId};
use crate::sema::typed::{Expr, Kind, Phase, Ty};

impl<'a> Checker<'a> {
    /// `det(A)`, `inv(A)`
    pub(super) fn of_matrix(
        &mut self,
        name: &'a str,
        special: Special,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Expr> {
        let [a] = self.positional(name, given, span, "one square matrix")?;
        let a = self.infer_real(a, name, scope)?;
        self.square(name, &a)?;
        let phase = a.phase;
        Some(if special == Special::Det {
            Expr { kind: Kind::Determinant(Box::new(a)), ty: Ty::real(Vec::new()), phase, span }
        } else {
            let ty = a.ty.clone();
            let unit = Expr { kind: Kind::Eye, ty: ty.clone(), phase: Phase::Static, span };
            Expr { kind: Kind::Solution(Box::new(a), Box::new(unit)), ty, phase, span }
        })
    }

    /// `eigh(A)`: the eigenvalues of a symmetric matrix, ascending, and its eigenvectors as columns.
    pub(super) fn eigen(
        &mut self,
        name: &'a str,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Value<'a>> {
        let [a] = self.positional(name, given, span, "one symmetric matrix")?;
        let a = self.infer_real(a, name, scope)?;
        let (n, phase) = (self.square(name, &a)?, a.phase);
        let rows = n.plus(&Dim::number(1));
        let ty = Ty::real(vec![rows.clone(), n.clone()]);
        let both = self.used_twice(Expr { kind: Kind::Eigen(Box::new(a)), ty, phase, span }, scope);
        let values = part(both.clone(), Dim::number(0), Dim::number(1), span);
        let values = Expr { kind: Kind::Reshape(Box::new(values)), ty: Ty::real(vec![n]), phase, span };
        let vectors = part(both, Dim::number(1), rows, span);
        Some(Value::Tuple(vec![Value::Expr(values), Value::Expr(vectors)]))
    }

    /// Whether `solve` is given a matrix, and not a system.
    pub(super) fn solves_matrix(&mut self, given: &[Given<'a>], scope: ScopeId) -> bool {
        let [Given { name: None, value: a }, Given { name: None, .. }] = given else { return false };
        matches!(self.evaluate(a, scope), Some(Value::Expr(_)))
    }

    /// `solve(A, b)`: the `x` of `A @ x = b`.
    pub(super) fn linear_solution(
        &mut self,
        name: &'a str,
        given: &[Given<'a>],
        span: Span,
        scope: ScopeId,
    ) -> Option<Expr> {
        let [a, b] = self.positional(name, given, span, "a square matrix and the right-hand side")?;
        let (a, b) = (self.infer_real(a, name, scope), self.infer_real(b, name, scope));
        let (a, b) = (a?, b?);
        self.square(name, &a)?;
        if !matches!(b.ty.dims.len(), 1 | 2) {
            return self.misfit(name, &b, "a vector or a matrix");
        }
        if !self.same_size(&a.ty.dims[0], &b.ty.dims[0], span) {
            return self.unequal(name, span, &a, &b);
        }
        let (ty, phase) = (b.ty.clone(), a.phase.max(b.phase));
        Some(Expr { kind: Kind::Solution(Box::new(a), Box::new(b)), ty, phase, span })
    }
}
