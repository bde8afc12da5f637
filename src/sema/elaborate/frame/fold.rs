//! Folds over data, turn by turn, and what differs in length from example to example.

use super::{Frame, Made, Named};
use crate::base::span::Span;
use crate::ir::func::{Attr, ValueId};
use crate::ir::op::Op;
use crate::ir::types::{DType, Shape, Type};
use crate::sema::dim::Dim;
use crate::sema::elaborate::moves;
use crate::sema::errors;
use crate::sema::prelude::Reduction;
use crate::sema::typed::{Expr, Fold, Loop};

/// Most turns of a fold: each is a copy of its body.
const MAX_TURNS: i64 = 4_096;

impl<'m> Frame<'m, '_> {
    /// What `fold` carries after its last turn, or after every turn.
    pub(super) fn fold(&mut self, fold: &'m Fold, part: usize, scan: bool, expr: &Expr) -> Made<ValueId> {
        let moment = if moves(fold.phase) { self.moment.key() } else { (0, 0) };
        let outer = fold.loops.iter().map(|symbol| self.number(&Dim::symbol(symbol.clone()), expr.span));
        let outer = outer.collect::<Made<Vec<i64>>>()?;
        let key =
            |part: usize, guard| (Named::Carried(fold.carried[part], scan), moment, outer.clone(), guard);
        if let Some(value) = self.memo.get(&key(part, self.guard)) {
            return Ok(*value);
        }
        let mut carried = self.values(&fold.init)?;
        let mut all = vec![Vec::new(); carried.len()];
        let looped = &fold.looped;
        let (lo, hi) = (self.number(&looped.lo, expr.span)?, self.number(&looped.hi, expr.span)?);
        let count = hi.saturating_sub(lo);
        if count > MAX_TURNS {
            return Err(Box::new(errors::too_many_turns(
                expr.span,
                "a `fold` over data",
                MAX_TURNS as usize,
            )));
        }
        for turn in 0..count.max(0) {
            let k = if fold.reversed { hi - 1 - turn } else { lo + turn };
            self.loops.push((looped.symbol.id, k));
            let next = self.turn(fold, &outer, moment, &carried);
            self.loops.pop();
            let next = next?;
            carried = match self.is_ragged(&looped.hi) {
                false => next,
                true => {
                    // Past the end of a short example nothing happens.
                    let within = self.within(k, &looped.hi, expr)?;
                    let kept = next.iter().zip(&carried);
                    kept.map(|(next, before)| self.b.select(within, *next, *before)).collect()
                }
            };
            if scan {
                all.iter_mut().zip(&carried).for_each(|(all, value)| all.push(*value));
            }
        }
        for (number, last) in carried.iter().enumerate() {
            let value = match (scan, all[number].is_empty()) {
                (false, _) => *last,
                (true, false) => self.stacked(&all[number]),
                (true, true) => {
                    let mut ty = self.b.ty(*last).clone();
                    ty.shape.0.insert(0, 0);
                    self.b.splat(0.0, ty)
                }
            };
            self.memo.insert(key(number, self.guard), value);
        }
        Ok(self.memo[&key(part, self.guard)])
    }

    /// One turn: the body, with the names of what is carried standing for `carried`.
    fn turn(
        &mut self,
        fold: &'m Fold,
        outer: &[i64],
        moment: (usize, usize),
        carried: &[ValueId],
    ) -> Made<Vec<ValueId>> {
        let k = self.loops.last().map_or(0, |(_, k)| *k);
        for (def, value) in fold.carried.iter().zip(carried) {
            let value = if self.world.defs[*def].varied { self.b.variable(*value) } else { *value };
            let loops: Vec<i64> = outer.iter().copied().chain([k]).collect();
            self.memo.insert((Named::Def(*def), moment, loops, None), value);
        }
        self.values(&fold.next)
    }

    // ---- ragged axes -----------------------------------------------------------------------

    /// Whether a size differs from example to example.
    pub(super) fn is_ragged(&self, dim: &Dim) -> bool {
        let ragged = self.world.ragged;
        !ragged.is_empty() && self.settled(dim).symbols().iter().any(|symbol| ragged.contains_key(&symbol.id))
    }

    /// `dim` in ragged sizes, loop variables and numbers.
    fn settled(&self, dim: &Dim) -> Dim {
        let world = self.world;
        dim.substituted(&|symbol| match world.ragged.contains_key(&symbol.id) {
            true => None,
            false => world.sizes.get(&symbol.id).map(|dim| self.settled(dim)),
        })
    }

    /// The size that an axis has in the example at hand, a real scalar; shapes have the size of
    /// the longest example.
    pub(super) fn true_size(&mut self, dim: &Dim, expr: &Expr) -> Made<ValueId> {
        let real = self.world.real;
        let mut sum = self.b.scalar(0.0, real);
        for (factors, coefficient) in self.settled(dim).terms() {
            let mut term = self.b.scalar(coefficient as f64, real);
            for symbol in factors {
                let factor = match self.world.ragged.get(&symbol.id) {
                    Some(length) => {
                        let length = self.def(*length)?;
                        self.b.must(Op::Convert, &[length], Attr::To(real))
                    }
                    None => {
                        let n = self.number(&Dim::symbol(symbol.clone()), expr.span)?;
                        self.b.scalar(n as f64, real)
                    }
                };
                term = self.b.mul(term, factor);
            }
            sum = self.b.add(sum, term);
        }
        Ok(sum)
    }

    /// Whether turn `k` of a loop that ends at `end` is one in the example at hand.
    pub(super) fn within(&mut self, k: i64, end: &Dim, expr: &Expr) -> Made<ValueId> {
        let end = self.true_size(end, expr)?;
        let at = self.b.scalar(k as f64, self.world.real);
        Ok(self.b.binary(Op::Lt, at, end))
    }

    /// A reduction over axes of which some are ragged: only real entries count.
    pub(super) fn ragged_reduction(
        &mut self,
        reduction: Reduction,
        x: &'m Expr,
        axes: &[u32],
        span: Span,
    ) -> Made<ValueId> {
        let value = self.value(x)?;
        let value = self.masked(value, x, reduction.neutral())?;
        if !matches!(reduction, Reduction::Mean) {
            return self.reduced(reduction, value, axes, false, span);
        }
        let sum = self.reduced(Reduction::Sum, value, axes, false, span)?;
        let sizes = axes.iter().map(|axis| &x.ty.dims[*axis as usize]);
        let count = sizes.fold(Dim::number(1), |count, size| count.times(size));
        let count = self.true_size(&count, x)?;
        Ok(self.b.div(sum, count))
    }

    /// The reduction of `values: [n]`, those of turns past the end being neutral already.
    pub(super) fn ragged_sum(
        &mut self,
        reduction: Reduction,
        values: ValueId,
        loops: &[Loop],
        expr: &Expr,
    ) -> Made<ValueId> {
        if !matches!(reduction, Reduction::Mean) {
            return self.reduced(reduction, values, &[0], false, expr.span);
        }
        if loops.iter().any(|looped| looped.condition.is_some()) {
            let what = "a `mean` with a condition over a ragged axis is";
            return Err(Box::new(errors::not_yet(expr.span, what, "divide a sum by a sum")));
        }
        let sum = self.reduced(Reduction::Sum, values, &[0], false, expr.span)?;
        let turns = loops.iter().map(|looped| looped.hi.minus(&looped.lo));
        let count = turns.fold(Dim::number(1), |count, turns| count.times(&turns));
        let count = self.true_size(&count, expr)?;
        Ok(self.b.div(sum, count))
    }

    /// `x` with what lies past the true size of each ragged axis replaced by `fill`.
    pub(in crate::sema::elaborate) fn masked(&mut self, x: ValueId, expr: &Expr, fill: f64) -> Made<ValueId> {
        let mut value = x;
        for (axis, dim) in expr.ty.dims.iter().enumerate() {
            if !self.is_ragged(dim) {
                continue;
            }
            let shape = self.b.shape(x).clone();
            let n = shape.dims()[axis];
            let counted: Vec<f64> = (0..n).map(|at| at as f64).collect();
            let real = self.world.real;
            let at = self.b.constant(&counted, Type::new(real, &[n]));
            let end = self.true_size(dim, expr)?;
            let end = self.b.broadcast(end, Shape::new(&[n]), &[]);
            let within = self.b.binary(Op::Lt, at, end);
            let within = self.b.broadcast(within, shape, &[axis as u32]);
            let ty = self.b.ty(x).clone();
            let fill = match ty.dtype {
                DType::F32 | DType::F64 => self.b.splat(fill, ty),
                DType::I64 | DType::Bool => crate::bug!("a mask over {ty}"),
            };
            value = self.b.select(within, value, fill);
        }
        Ok(value)
    }
}
