//! Arrays that are made from others by position: padded, repeated, cumulated, picked by number.

use super::{Frame, Made};
use crate::ir::func::{Attr, ValueId};
use crate::ir::op::Op;
use crate::ir::types::{DType, Shape, Type};
use crate::sema::dim::Dim;
use crate::sema::errors;
use crate::sema::typed::{Expr, Extreme, Kind};

impl<'m> Frame<'m, '_> {
    /// The node of an expression that arranges others.
    pub(super) fn arranged(&mut self, expr: &'m Expr) -> Made<ValueId> {
        match &expr.kind {
            Kind::Pad(x, pads) => self.padded(expr, x, pads),
            Kind::Repeat(x, axis) => self.repeated(expr, x, *axis),
            Kind::Iota => self.iota(expr),
            Kind::Eye => self.unit_matrix(expr),
            Kind::Cumsum(x, axis) => {
                let x = self.value(x)?;
                Ok(self.cumulated(x, *axis as usize))
            }
            Kind::Einsum(x, y, subscripts) => {
                self.shape(&expr.ty.dims, expr.span)?;
                let [left, right] = &subscripts.windows;
                let (x, y) = (self.windows(x, left)?, self.windows(y, right)?);
                let spec = &subscripts.spec;
                Ok(self.b.einsum(x, y, &spec.lhs, &spec.rhs, &spec.out))
            }
            Kind::Extreme(which, x, axis) => self.extreme(*which, x, *axis, expr.span),
            Kind::Gather(x, index) => self.gathered(x, index, expr.span),
            Kind::Determinant(x) => self.determinant(x, expr.span),
            Kind::Eigen(x) => self.eigen(x, expr.span),
            Kind::Solution(a, b) => self.solution(a, b, expr.span),
            other => crate::bug!("{other:?} arranges nothing"),
        }
    }

    /// The windows of these lengths along axes of a value, or the value itself if there are none.
    fn windows(&mut self, x: &'m Expr, windows: &[(u32, Dim)]) -> Made<ValueId> {
        let value = self.value(x)?;
        let mut lengths = Vec::with_capacity(windows.len());
        for (axis, dim) in windows {
            let (length, most) = (self.number(dim, x.span)?, self.b.shape(value).0[*axis as usize]);
            match u32::try_from(length).ok().filter(|length| (1..=most + 1).contains(&(*length as usize))) {
                Some(length) => lengths.push((*axis, length)),
                None => return Err(Box::new(errors::no_window(x.span, length, most))),
            }
        }
        Ok(if lengths.is_empty() { value } else { self.b.windows(value, lengths.into()) })
    }

    fn padded(&mut self, expr: &Expr, x: &'m Expr, pads: &[(Dim, Dim)]) -> Made<ValueId> {
        self.shape(&expr.ty.dims, expr.span)?;
        let x = self.value(x)?;
        let mut numbers = Vec::with_capacity(pads.len());
        for (before, after) in pads {
            let amount = |dim: &Dim| {
                let n = self.number(dim, expr.span)?;
                u32::try_from(n).map_err(|_| Box::new(errors::negative_size(expr.span, n)))
            };
            numbers.push((amount(before)?, amount(after)?));
        }
        Ok(self.b.must(Op::Pad, &[x], Attr::Pads(numbers.into())))
    }

    fn repeated(&mut self, expr: &Expr, x: &'m Expr, axis: u32) -> Made<ValueId> {
        let shape = self.shape(&expr.ty.dims, expr.span)?;
        let x = self.value(x)?;
        let kept: Vec<u32> = (0..shape.rank() as u32).filter(|other| *other != axis).collect();
        Ok(self.b.broadcast(x, shape, &kept))
    }

    fn iota(&mut self, expr: &Expr) -> Made<ValueId> {
        let shape = self.shape(&expr.ty.dims, expr.span)?;
        let numbers = self.b.must(Op::Iota, &[], Attr::Shape(shape));
        Ok(self.b.must(Op::Convert, &[numbers], Attr::To(self.world.real)))
    }

    pub(super) fn unit_matrix(&mut self, expr: &Expr) -> Made<ValueId> {
        let shape = self.shape(&expr.ty.dims, expr.span)?;
        let numbers = self.b.must(Op::Iota, &[], Attr::Shape(Shape::new(&shape.dims()[..1])));
        let row = self.b.broadcast(numbers, shape.clone(), &[0]);
        let column = self.b.broadcast(numbers, shape, &[1]);
        let diagonal = self.b.must(Op::Eq, &[row, column], Attr::None);
        Ok(self.b.must(Op::Convert, &[diagonal], Attr::To(self.world.real)))
    }

    /// Each element plus what is 1, 2, 4, .. before it: log n sums of whole arrays.
    /// Source: W. D. Hillis, G. L. Steele, Data parallel algorithms, Comm. ACM 29 (1986).
    fn cumulated(&mut self, x: ValueId, axis: usize) -> ValueId {
        let dims = self.b.shape(x).dims().to_vec();
        let mut sums = x;
        let mut distance = 1;
        while distance < dims[axis] {
            let mut ranges: Vec<(u32, u32)> = dims.iter().map(|n| (0, *n as u32)).collect();
            ranges[axis].1 -= distance as u32;
            let mut pads = vec![(0, 0); dims.len()];
            pads[axis].0 = distance as u32;
            let earlier = self.b.slice(sums, &ranges);
            let earlier = self.b.must(Op::Pad, &[earlier], Attr::Pads(pads.into()));
            sums = self.b.add(sums, earlier);
            distance *= 2;
        }
        sums
    }

    /// The smallest number among the places where the extreme value stands; the length of the axis
    /// if that is NaN.
    fn extreme(
        &mut self,
        which: Extreme,
        x: &'m Expr,
        axis: u32,
        span: crate::base::span::Span,
    ) -> Made<ValueId> {
        let x = self.value(x)?;
        if self.b.shape(x).dims()[axis as usize] == 0 {
            return Err(Box::new(errors::out_of_bounds(span, "0", "0")));
        }
        Ok(self.place(which, x, axis))
    }

    /// The first place of the extreme along an axis that is not empty.
    pub(super) fn place(&mut self, which: Extreme, x: ValueId, axis: u32) -> ValueId {
        let x = self.b.unary(Op::StopGradient, x);
        let ty = self.b.ty(x).clone();
        let count = ty.shape.dims()[axis as usize];
        let kept: Vec<u32> = (0..ty.shape.rank() as u32).filter(|other| *other != axis).collect();
        let along = |axis: u32| Attr::Axes([axis].as_slice().into());
        let op = match which {
            Extreme::Largest => Op::ReduceMax,
            Extreme::Smallest => Op::ReduceMin,
        };
        let best = self.b.must(op, &[x], along(axis));
        let best = self.b.broadcast(best, ty.shape.clone(), &kept);
        let is_best = self.b.must(Op::Eq, &[x, best], Attr::None);
        let numbers = self.b.must(Op::Iota, &[], Attr::Shape(Shape::new(&[count])));
        // An f64 holds every number of an element.
        let numbers = self.b.must(Op::Convert, &[numbers], Attr::To(DType::F64));
        let numbers = self.b.broadcast(numbers, ty.shape, &[axis]);
        let beyond = self.b.splat_like(count as f64, numbers);
        let places = self.b.select(is_best, numbers, beyond);
        let first = self.b.must(Op::ReduceMin, &[places], along(axis));
        self.b.must(Op::Convert, &[first], Attr::To(DType::I64))
    }

    fn gathered(&mut self, x: &'m Expr, index: &'m Expr, span: crate::base::span::Span) -> Made<ValueId> {
        let (x, index) = (self.value(x)?, self.value(index)?);
        let count = self.b.shape(x).dims()[0];
        if count == 0 {
            return Err(Box::new(errors::out_of_bounds(span, "0", "0")));
        }
        let (first, last) = (self.b.splat_like(0.0, index), self.b.splat_like((count - 1) as f64, index));
        let from = self.b.must(Op::Le, &[first, index], Attr::None);
        let to = self.b.must(Op::Le, &[index, last], Attr::None);
        let there = self.b.must(Op::And, &[from, to], Attr::None);
        let index = self.b.select(there, index, first);
        let found = self.b.must(Op::Gather, &[x, index], Attr::None);
        let ty: Type = self.b.ty(found).clone();
        let axes: Vec<u32> = (0..self.b.shape(there).rank() as u32).collect();
        let there = self.b.broadcast(there, ty.shape.clone(), &axes);
        let missing = self.b.splat(f64::NAN, ty);
        Ok(self.b.select(there, found, missing))
    }
}
