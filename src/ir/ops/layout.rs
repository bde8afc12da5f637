//! Rearrangements: every result element is an operand element, or zero.

use super::{ANY, flat, position, positions};
use crate::ir::builder::Builder;
use crate::ir::func::{Attr, ValueId};
use crate::ir::infer::{operand_count, wrong_attr};
use crate::ir::op::{Derivative, Eval, Lowering, Op, OpDef, ShapeError, Signature};
use crate::ir::tensor::Tensor;
use crate::ir::types::{DType, Shape, Type};
use smallvec::SmallVec;

pub(super) const fn row(
    name: &'static str,
    doc: &'static str,
    rule: fn(&[&Type], &Attr) -> Result<Type, ShapeError>,
    eval: fn(&[&Tensor], &Attr, &Type) -> Tensor,
    transpose: crate::ir::op::Transpose,
) -> OpDef {
    OpDef {
        name,
        doc,
        source: "elementary",
        signature: Signature::Rule(rule),
        eval: Eval::Tensor(eval),
        derivative: Derivative::Linear(transpose),
        lowering: Lowering::IndexMap,
        domain: &[ANY],
    }
}

/// The same elements under another shape.
pub const RESHAPE: OpDef = row(
    "reshape",
    "The elements in row-major order under another shape of the same count (attribute `Shape`).",
    |args, attr| {
        operand_count(args, 1)?;
        let Attr::Shape(shape) = attr else { return Err(wrong_attr("a shape", attr)) };
        if shape.count() != args[0].shape.count() {
            return Err(ShapeError::Unequal(args[0].shape.clone(), shape.clone()));
        }
        Ok(Type { dtype: args[0].dtype, shape: shape.clone() })
    },
    |args, _, ty| Tensor::new(ty.clone(), args[0].data.clone()),
    |b, _, args, _, ct| {
        let shape = b.shape(args[0]).clone();
        b.reshape(ct, shape)
    },
);

/// The axes in another order.
pub const PERMUTE: OpDef = row(
    "permute",
    "Result axis `i` is operand axis `axes[i]` (attribute `Axes`).",
    |args, attr| {
        operand_count(args, 1)?;
        let Attr::Axes(axes) = attr else { return Err(wrong_attr("axes", attr)) };
        let rank = args[0].shape.rank();
        let mut sorted = axes.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..rank as u32) {
            return Err(ShapeError::Bounds(format!("{axes:?} does not order {rank} axes")));
        }
        let dims = axes.iter().map(|axis| args[0].shape.0[*axis as usize]).collect();
        Ok(Type { dtype: args[0].dtype, shape: Shape(dims) })
    },
    |args, attr, ty| {
        let Attr::Axes(axes) = attr else { crate::bug!("permute with {attr:?}") };
        pick(args[0], ty, |at, from| {
            for (axis, source) in axes.iter().enumerate() {
                from[*source as usize] = at[axis];
            }
        })
    },
    |b, _, _, attr, ct| {
        let Attr::Axes(axes) = attr else { crate::bug!("permute with {attr:?}") };
        let mut inverse = vec![0; axes.len()];
        for (axis, source) in axes.iter().enumerate() {
            inverse[*source as usize] = axis as u32;
        }
        b.permute(ct, &inverse)
    },
);

/// Repetition along new axes.
pub const BROADCAST: OpDef = row(
    "broadcast",
    "Operand axis `i` becomes result axis `axes[i]` (ascending) with the same length; along the other axes \
     of the result elements repeat (attribute `Broadcast`).",
    |args, attr| {
        operand_count(args, 1)?;
        let Attr::Broadcast { shape, axes } = attr else { return Err(wrong_attr("a shape and axes", attr)) };
        if axes.len() != args[0].shape.rank() {
            return Err(ShapeError::Rank(0, "as many axes as are placed"));
        }
        ascending(axes, shape.rank())?;
        for (axis, dim) in axes.iter().zip(args[0].shape.dims()) {
            if shape.0[*axis as usize] != *dim {
                return Err(ShapeError::Unequal(args[0].shape.clone(), (**shape).clone()));
            }
        }
        Ok(Type { dtype: args[0].dtype, shape: (**shape).clone() })
    },
    |args, attr, ty| {
        let Attr::Broadcast { axes, .. } = attr else { crate::bug!("broadcast with {attr:?}") };
        pick(args[0], ty, |at, from| {
            for (source, axis) in axes.iter().enumerate() {
                from[source] = at[*axis as usize];
            }
        })
    },
    |b, _, _, attr, ct| {
        let Attr::Broadcast { shape, axes } = attr else { crate::bug!("broadcast with {attr:?}") };
        let new: Vec<u32> = (0..shape.rank() as u32).filter(|axis| !axes.contains(axis)).collect();
        b.sum_axes(ct, &new)
    },
);

/// A box of elements.
pub const SLICE: OpDef = row(
    "slice",
    "The half-open range `lo..hi` of each axis (attribute `Ranges`).",
    |args, attr| {
        operand_count(args, 1)?;
        let Attr::Ranges(ranges) = attr else { return Err(wrong_attr("ranges", attr)) };
        if ranges.len() != args[0].shape.rank() {
            return Err(ShapeError::Rank(0, "one axis for each range"));
        }
        for ((lo, hi), dim) in ranges.iter().zip(args[0].shape.dims()) {
            if lo > hi || *hi as usize > *dim {
                return Err(ShapeError::Bounds(format!("{lo}..{hi} of an axis of length {dim}")));
            }
        }
        let dims = ranges.iter().map(|(lo, hi)| (hi - lo) as usize).collect();
        Ok(Type { dtype: args[0].dtype, shape: Shape(dims) })
    },
    |args, attr, ty| {
        let Attr::Ranges(ranges) = attr else { crate::bug!("slice with {attr:?}") };
        pick(args[0], ty, |at, from| {
            for (axis, (lo, _)) in ranges.iter().enumerate() {
                from[axis] = at[axis] + *lo as usize;
            }
        })
    },
    |b, _, args, attr, ct| {
        let Attr::Ranges(ranges) = attr else { crate::bug!("slice with {attr:?}") };
        let dims = b.shape(args[0]).0.clone();
        let pads = ranges.iter().zip(dims).map(|((lo, hi), dim)| (*lo, dim as u32 - hi)).collect();
        b.must(Op::Pad, &[ct], Attr::Pads(pads))
    },
);

/// A frame of zeros.
pub const PAD: OpDef = row(
    "pad",
    "Zeros before and after along each axis (attribute `Pads`).",
    |args, attr| {
        operand_count(args, 1)?;
        let Attr::Pads(pads) = attr else { return Err(wrong_attr("paddings", attr)) };
        if pads.len() != args[0].shape.rank() {
            return Err(ShapeError::Rank(0, "one axis for each padding"));
        }
        let dims = pads.iter().zip(args[0].shape.dims());
        let dims = dims.map(|((before, after), dim)| dim + (before + after) as usize).collect();
        Ok(Type { dtype: args[0].dtype, shape: Shape(dims) })
    },
    |args, attr, ty| {
        let Attr::Pads(pads) = attr else { crate::bug!("pad with {attr:?}") };
        let mut data = vec![0.0; ty.shape.count()];
        for (value, mut at) in args[0].data.iter().zip(positions(&args[0].ty.shape)) {
            for (axis, (before, _)) in pads.iter().enumerate() {
                at[axis] += *before as usize;
            }
            data[flat(&at, &ty.shape)] = *value;
        }
        Tensor::new(ty.clone(), data)
    },
    |b, _, args, attr, ct| {
        let Attr::Pads(pads) = attr else { crate::bug!("pad with {attr:?}") };
        let dims = b.shape(args[0]).0.clone();
        let ranges: Vec<(u32, u32)> =
            pads.iter().zip(dims).map(|((before, _), dim)| (*before, before + dim as u32)).collect();
        b.slice(ct, &ranges)
    },
);

/// Operands end to end.
pub const CONCAT: OpDef = row(
    "concat",
    "Operands joined in order along one axis (attribute `Axis`); they agree in every other axis.",
    |args, attr| {
        let Attr::Axis(axis) = attr else { return Err(wrong_attr("an axis", attr)) };
        let axis = *axis as usize;
        let Some(first) = args.first() else {
            return Err(ShapeError::Other("needs at least one operand".into()));
        };
        let mut shape = first.shape.clone();
        if axis >= shape.rank() {
            return Err(ShapeError::Bounds(format!("axis {axis} of {shape}")));
        }
        for (position, ty) in args.iter().enumerate().skip(1) {
            if ty.dtype != first.dtype {
                return Err(ShapeError::Element(position, first.dtype.name()));
            }
            let mut expected = first.shape.clone();
            if ty.shape.rank() == expected.rank() {
                expected.0[axis] = ty.shape.0[axis];
            }
            if ty.shape != expected {
                return Err(ShapeError::Unequal(first.shape.clone(), ty.shape.clone()));
            }
            shape.0[axis] += ty.shape.0[axis];
        }
        Ok(Type { dtype: first.dtype, shape })
    },
    |args, attr, ty| {
        let Attr::Axis(axis) = attr else { crate::bug!("concat with {attr:?}") };
        let mut data = vec![0.0; ty.shape.count()];
        let mut start = 0;
        for part in args {
            for (value, mut at) in part.data.iter().zip(positions(&part.ty.shape)) {
                at[*axis as usize] += start;
                data[flat(&at, &ty.shape)] = *value;
            }
            start += part.ty.shape.0[*axis as usize];
        }
        Tensor::new(ty.clone(), data)
    },
    |b, operand, args, attr, ct| {
        let Attr::Axis(axis) = attr else { crate::bug!("concat with {attr:?}") };
        let axis = *axis as usize;
        let before: usize = args[..operand].iter().map(|arg| b.shape(*arg).0[axis]).sum();
        let mut ranges: Vec<(u32, u32)> = b.shape(ct).dims().iter().map(|dim| (0, *dim as u32)).collect();
        ranges[axis] = (before as u32, (before + b.shape(args[operand]).0[axis]) as u32);
        b.slice(ct, &ranges)
    },
);

/// Axes turned round.
pub const REVERSE: OpDef = row(
    "reverse",
    "The order of elements turned round along each axis named (attribute `Axes`, ascending).",
    |args, attr| {
        operand_count(args, 1)?;
        let Attr::Axes(axes) = attr else { return Err(wrong_attr("axes", attr)) };
        ascending(axes, args[0].shape.rank())?;
        Ok(args[0].clone())
    },
    |args, attr, ty| {
        let Attr::Axes(axes) = attr else { crate::bug!("reverse with {attr:?}") };
        pick(args[0], ty, |at, from| {
            from.copy_from_slice(at);
            for axis in axes.iter().map(|axis| *axis as usize) {
                from[axis] = ty.shape.0[axis] - 1 - at[axis];
            }
        })
    },
    |b, _, _, attr, ct| b.must(Op::Reverse, &[ct], attr.clone()),
);

/// Entries by number along the first axis.
pub const GATHER: OpDef = row(
    "gather",
    "`x[index]` along the first axis: `x: [N, ..rest]` and an `i64` index, a scalar or `[M]`, give `[..rest]` \
     or `[M, ..rest]`. Who builds it keeps every index in `0..N`.",
    |args, attr| {
        crate::ir::infer::no_attr(attr)?;
        operand_count(args, 2)?;
        let Some((_, rest)) = args[0].shape.dims().split_first() else {
            return Err(ShapeError::Rank(0, "at least one axis"));
        };
        let dims = index_dims(args[1])?.iter().chain(rest).copied().collect();
        Ok(Type { dtype: args[0].dtype, shape: Shape(dims) })
    },
    |args, _, ty| {
        let row = args[0].ty.shape.dims()[1..].iter().product::<usize>();
        let mut data = Vec::with_capacity(ty.shape.count());
        for index in args[1].data.iter().map(|index| *index as usize) {
            data.extend_from_slice(&args[0].data[index * row..(index + 1) * row]);
        }
        Tensor::new(ty.clone(), data)
    },
    |b, operand, args, _, ct| {
        only_data(operand, "gather");
        let shape = b.shape(args[0]).clone();
        b.must(Op::ScatterAdd, &[ct, args[1]], Attr::Shape(shape))
    },
);

/// Sums of entries by number along the first axis.
pub const SCATTER_ADD: OpDef = row(
    "scatter_add",
    "Zeros of the shape in the attribute, `[N, ..rest]`, with `x: [M, ..rest]` (or `[..rest]`) added at the \
     `i64` indices `[M]` (or scalar) along the first axis, in order: the transpose of `gather`.",
    |args, attr| {
        operand_count(args, 2)?;
        let Attr::Shape(shape) = attr else { return Err(wrong_attr("a shape", attr)) };
        let Some((_, rest)) = shape.dims().split_first() else {
            return Err(ShapeError::Rank(0, "at least one axis in the result"));
        };
        let expected = Shape(index_dims(args[1])?.iter().chain(rest).copied().collect());
        if args[0].shape != expected {
            return Err(ShapeError::Unequal(args[0].shape.clone(), expected));
        }
        Ok(Type { dtype: args[0].dtype, shape: shape.clone() })
    },
    |args, _, ty| {
        let row = ty.shape.dims()[1..].iter().product::<usize>();
        let mut data = vec![0.0; ty.shape.count()];
        for (number, index) in args[1].data.iter().map(|index| *index as usize).enumerate() {
            for at in 0..row {
                data[index * row + at] += args[0].data[number * row + at];
            }
        }
        Tensor::new(ty.clone(), data)
    },
    |b, operand, args, _, ct| {
        only_data(operand, "scatter_add");
        b.must(Op::Gather, &[ct, args[1]], Attr::None)
    },
);

/// Fills a result by reading `x` at the position that `map` makes of each result position.
pub(super) fn pick(x: &Tensor, ty: &Type, map: impl Fn(&[usize], &mut [usize])) -> Tensor {
    let mut from = position(0, &Shape(SmallVec::from_elem(1, x.ty.shape.rank())));
    let mut data = Vec::with_capacity(ty.shape.count());
    for at in positions(&ty.shape) {
        map(&at, &mut from);
        data.push(x.data[flat(&from, &x.ty.shape)]);
    }
    Tensor::new(ty.clone(), data)
}

/// Checks that axes ascend and lie below `rank`.
pub(crate) fn ascending(axes: &[u32], rank: usize) -> Result<(), ShapeError> {
    let in_order = axes.windows(2).all(|pair| pair[0] < pair[1]);
    if in_order && axes.last().is_none_or(|last| (*last as usize) < rank) {
        Ok(())
    } else {
        Err(ShapeError::Bounds(format!("axes {axes:?} of {rank}")))
    }
}

fn index_dims(ty: &Type) -> Result<&[usize], ShapeError> {
    if ty.dtype != DType::I64 {
        return Err(ShapeError::Element(1, "i64"));
    }
    if ty.shape.rank() > 1 {
        return Err(ShapeError::Rank(1, "at most one axis"));
    }
    Ok(ty.shape.dims())
}

fn only_data(operand: usize, name: &str) {
    if operand != 0 {
        crate::bug!("the index of `{name}` has no cotangent");
    }
}

/// The range of one axis, all of the others.
pub(crate) fn along(b: &mut Builder, x: ValueId, axis: usize, lo: usize, hi: usize) -> ValueId {
    let mut ranges: Vec<(u32, u32)> = b.shape(x).dims().iter().map(|dim| (0, *dim as u32)).collect();
    ranges[axis] = (lo as u32, hi as u32);
    b.slice(x, &ranges)
}
