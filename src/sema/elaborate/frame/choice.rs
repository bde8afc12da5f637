//! `if`: both sides as nodes, each guarded by its condition, or one side if it is known which.

use super::{Frame, Made, both};
use crate::ir::func::ValueId;
use crate::ir::op::Op;
use crate::sema::prelude::spread;
use crate::sema::typed::{Expr, Kind};

impl<'m> Frame<'m, '_> {
    /// `if c then x else y`.
    pub(super) fn choice(&mut self, expr: &Expr, c: &'m Expr, x: &'m Expr, y: &'m Expr) -> Made<ValueId> {
        if let Some(truth) = self.decided(c) {
            let taken = self.value(if truth { x } else { y })?;
            let shape = self.shape(&expr.ty.dims, expr.span)?;
            return Ok(spread(&mut self.b, taken, &shape));
        }
        let c = self.value(c)?;
        let not = self.b.unary(Op::Not, c);
        let outer = self.guard;
        let then_guard = both(&mut self.b, outer, c);
        let else_guard = both(&mut self.b, outer, not);
        self.guard = Some(then_guard);
        let x = self.value(x);
        self.guard = Some(else_guard);
        let y = self.value(y);
        self.guard = outer;
        let shape = self.shape(&expr.ty.dims, expr.span)?;
        let (x, y) = (spread(&mut self.b, x?, &shape), spread(&mut self.b, y?, &shape));
        Ok(self.b.select(c, x, y))
    }

    /// The truth of a static condition.
    pub(super) fn decided(&self, condition: &Expr) -> Option<bool> {
        crate::sema::decide::decided(condition, &|dim| self.number(dim, condition.span).ok())
    }
}

/// Whether every element is made of the elements at its own place, and of scalars.
pub(super) fn is_elementwise(kind: &Kind) -> bool {
    match kind {
        Kind::Real(_) | Kind::Size(_) | Kind::Bool(_) | Kind::Fill(_) | Kind::Start | Kind::End => true,
        Kind::Def(_) | Kind::Rate(_) | Kind::ChannelRate(_) | Kind::Iota | Kind::Eye => true,
        Kind::White(_) => true,
        Kind::ToReal(_)
        | Kind::ToInt(_)
        | Kind::Elementwise(..)
        | Kind::Map(..)
        | Kind::PowInt(..)
        | Kind::If(..) => true,
        Kind::LogProb { .. } | Kind::StopGradient(_) | Kind::Flow(..) => true,
        Kind::MatMul(..) | Kind::Outer(..) | Kind::Einsum(..) | Kind::Reduce(..) | Kind::Extreme(..) => false,
        Kind::Stack(_) | Kind::Concat(..) | Kind::Index(..) | Kind::Reshape(_) | Kind::Permute(..) => false,
        Kind::Reverse(..) | Kind::Pad(..) | Kind::Repeat(..) | Kind::Cumsum(..) | Kind::Gather(..) => false,
        Kind::Determinant(_)
        | Kind::Eigen(_)
        | Kind::Solution(..)
        | Kind::Comprehension { .. }
        | Kind::Path { .. } => false,
        Kind::Fold(..) | Kind::Scan(..) | Kind::Derivative { .. } | Kind::At(..) | Kind::Solved { .. } => {
            false
        }
    }
}
