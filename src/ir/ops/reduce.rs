//! Reductions over axes.
//!
//! Only the sum has a derivative of its own. The others stand, when differentiated, for a
//! tournament of two-operand ops: halves against halves, log n levels, every element once. So a
//! product is differentiated without dividing by its factors, and ties of a maximum go where
//! `max` sends them.

use super::layout::{along, ascending};
use super::{ANY, flat, positions};
use crate::ir::builder::Builder;
use crate::ir::func::{Attr, ValueId};
use crate::ir::infer::{operand_count, wrong_attr};
use crate::ir::op::{Derivative, Domain, Eval, Lowering, Monoid, Op, OpDef, ShapeError, Signature};
use crate::ir::tensor::Tensor;
use crate::ir::types::{Shape, Type};

const TIES: Domain = Domain { lo: -2.0, hi: 2.0, singular: "equal elements" };

/// Sum over axes.
pub const SUM: OpDef = OpDef {
    name: "sum",
    doc: "Sum over the axes named (attribute `Axes`, ascending), which vanish; elements are added in row-major \
          order, starting from the first. An empty sum is 0.",
    source: "elementary",
    signature: Signature::Rule(reduced),
    eval: Eval::Tensor(|args, attr, ty| reduce(args[0], attr, ty, 0.0, |x, y| x + y)),
    derivative: Derivative::Linear(|b, _, args, attr, ct| {
        let Attr::Axes(axes) = attr else { crate::bug!("sum with {attr:?}") };
        let shape = b.shape(args[0]).clone();
        let kept: Vec<u32> = (0..shape.rank() as u32).filter(|axis| !axes.contains(axis)).collect();
        b.broadcast(ct, shape, &kept)
    }),
    lowering: Lowering::Reduce(Monoid::Sum),
    domain: &[ANY],
};

/// Product over axes.
pub const PRODUCT: OpDef = OpDef {
    name: "product",
    doc: "Product over the axes named (attribute `Axes`, ascending), in row-major order. An empty product is 1.",
    source: "elementary",
    signature: Signature::Rule(reduced),
    eval: Eval::Tensor(|args, attr, ty| reduce(args[0], attr, ty, 1.0, |x, y| x * y)),
    derivative: Derivative::Composite(|b, args, attr| tournament(b, args[0], attr, Op::Mul)),
    lowering: Lowering::Reduce(Monoid::Product),
    domain: &[ANY],
};

/// Largest element over axes.
pub const MAX: OpDef = OpDef {
    name: "reduce_max",
    doc: "Largest element over the axes named (attribute `Axes`, ascending), none of which is empty; the \
          fold of `max` in row-major order.",
    source: "elementary",
    signature: Signature::Rule(reduced_nonempty),
    eval: Eval::Tensor(|args, attr, ty| {
        reduce(args[0], attr, ty, f64::NEG_INFINITY, |x, y| if x > y { x } else { y })
    }),
    derivative: Derivative::Composite(|b, args, attr| tournament(b, args[0], attr, Op::Max)),
    lowering: Lowering::Reduce(Monoid::Max),
    domain: &[TIES],
};

/// Smallest element over axes.
pub const MIN: OpDef = OpDef {
    name: "reduce_min",
    doc: "Smallest element over the axes named (attribute `Axes`, ascending), none of which is empty; the \
          fold of `min` in row-major order.",
    source: "elementary",
    signature: Signature::Rule(reduced_nonempty),
    eval: Eval::Tensor(|args, attr, ty| {
        reduce(args[0], attr, ty, f64::INFINITY, |x, y| if x < y { x } else { y })
    }),
    derivative: Derivative::Composite(|b, args, attr| tournament(b, args[0], attr, Op::Min)),
    lowering: Lowering::Reduce(Monoid::Min),
    domain: &[TIES],
};

fn reduced(args: &[&Type], attr: &Attr) -> Result<Type, ShapeError> {
    operand_count(args, 1)?;
    if !args[0].dtype.is_float() {
        return Err(ShapeError::Element(0, "a float"));
    }
    let Attr::Axes(axes) = attr else { return Err(wrong_attr("axes", attr)) };
    ascending(axes, args[0].shape.rank())?;
    Ok(Type { dtype: args[0].dtype, shape: without(&args[0].shape, axes) })
}

fn reduced_nonempty(args: &[&Type], attr: &Attr) -> Result<Type, ShapeError> {
    let ty = reduced(args, attr)?;
    if args[0].shape.count() == 0 && ty.shape.count() > 0 {
        return Err(ShapeError::Bounds(format!("no elements in {}", args[0].shape)));
    }
    Ok(ty)
}

fn without(shape: &Shape, axes: &[u32]) -> Shape {
    let kept = shape.dims().iter().enumerate().filter(|(axis, _)| !axes.contains(&(*axis as u32)));
    Shape(kept.map(|(_, dim)| *dim).collect())
}

fn reduce(x: &Tensor, attr: &Attr, ty: &Type, empty: f64, join: fn(f64, f64) -> f64) -> Tensor {
    let Attr::Axes(axes) = attr else { crate::bug!("reduction with {attr:?}") };
    let mut data: Vec<Option<f64>> = vec![None; ty.shape.count()];
    for (value, at) in x.data.iter().zip(positions(&x.ty.shape)) {
        let kept: Vec<usize> =
            (0..at.len()).filter(|axis| !axes.contains(&(*axis as u32))).map(|axis| at[axis]).collect();
        let total = &mut data[flat(&kept, &ty.shape)];
        *total = Some(total.map_or(*value, |sum| join(sum, *value)));
    }
    Tensor::new(ty.clone(), data.into_iter().map(|total| total.unwrap_or(empty)).collect())
}

/// Joins halves until one element is left along each axis. Earlier elements stay on the left.
fn tournament(b: &mut Builder, x: ValueId, attr: &Attr, op: Op) -> ValueId {
    let Attr::Axes(axes) = attr else { crate::bug!("reduction with {attr:?}") };
    let shape = without(b.shape(x), axes);
    let mut rest = x;
    for axis in axes.iter().map(|axis| *axis as usize) {
        if b.shape(rest).0[axis] == 0 {
            let ty = Type { dtype: b.ty(x).dtype, shape };
            return b.splat(1.0, ty);
        }
        while b.shape(rest).0[axis] > 1 {
            let n = b.shape(rest).0[axis];
            let half = n / 2;
            let left = along(b, rest, axis, 0, half);
            let right = along(b, rest, axis, half, 2 * half);
            let joined = b.must(op, &[left, right], Attr::None);
            rest = if n % 2 == 1 {
                let last = along(b, rest, axis, n - 1, n);
                b.concat(&[joined, last], axis as u32)
            } else {
                joined
            };
        }
    }
    b.reshape(rest, shape)
}
