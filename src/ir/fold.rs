//! Identities that the builder applies to every node it makes.
//!
//! In: an op with operands that fit. Out: a value that equals it and costs less, if one of the
//! laws below gives one. Every law holds exactly in floating point (a sum may change the sign of
//! a zero), for every operand, infinities and NaN included.
//!
//! `0 * x` is therefore *not* folded: it is NaN for infinite `x`, and a program that computes it
//! should see so. Derivatives have no need of it either: `ad` knows which tangents are zero by
//! construction and never multiplies by them.

use crate::ir::builder::Builder;
use crate::ir::eval::apply;
use crate::ir::func::{Args, Attr, Pairs, ValueId};
use crate::ir::op::Op;
use crate::ir::ops::arith::exponent;
use crate::ir::ops::windows;
use crate::ir::tensor::Tensor;
use crate::ir::types::Type;

/// Constants with more elements than this are not computed at compile time.
const FOLDED_ELEMENTS: usize = 256;

/// Largest `|n|` for which `pow(x, n)` becomes `pow_int`, whose relative error is at most `|n|`
/// units of rounding (one for each product, Higham, Accuracy and Stability, 2002, lemma 3.1).
const INTEGER_POWER: f64 = 64.0;

/// A simpler value equal to `op(args)`, which has type `ty`.
pub fn simplify(b: &mut Builder, op: Op, args: &[ValueId], attr: &Attr, ty: &Type) -> Option<ValueId> {
    constant(b, op, args, attr, ty)
        .or_else(|| arithmetic(b, op, args, attr))
        .or_else(|| choice(b, op, args))
        .or_else(|| layout(b, op, args, attr, ty))
        .or_else(|| ordered(b, op, args, attr))
}

/// Ops whose host result is the result everywhere: exact or correctly rounded. The others wait for
/// the code that computes them at run time, so that a constant has the bits a variable would have.
fn same_everywhere(op: Op) -> bool {
    matches!(
        op,
        Op::Convert
            | Op::Add
            | Op::Sub
            | Op::Mul
            | Op::Div
            | Op::Neg
            | Op::Sqrt
            | Op::Lt
            | Op::Le
            | Op::Eq
            | Op::And
            | Op::Or
            | Op::Not
            | Op::Select
            | Op::Min
            | Op::Max
            | Op::Abs
            | Op::Sign
            | Op::Floor
            | Op::Reshape
            | Op::Permute
            | Op::Broadcast
            | Op::Slice
            | Op::Pad
            | Op::Concat
            | Op::Reverse
            | Op::Windows
            | Op::Gather
            | Op::ScatterAdd
            | Op::StopGradient
    )
}

/// A function of constants is a constant. Splats stay splats whatever their size.
fn constant(b: &mut Builder, op: Op, args: &[ValueId], attr: &Attr, ty: &Type) -> Option<ValueId> {
    if args.is_empty() || !same_everywhere(op) || args.iter().any(|x| b.node(*x).op != Op::Constant) {
        return None;
    }
    let splats: Option<Vec<f64>> = args.iter().map(|x| b.as_splat(*x)).collect();
    if let Some(splats) = splats {
        let first = splats[0];
        match op {
            Op::Reshape
            | Op::Permute
            | Op::Broadcast
            | Op::Slice
            | Op::Reverse
            | Op::Windows
            | Op::Gather => {
                return Some(b.splat(first, ty.clone()));
            }
            Op::Concat if splats.iter().all(|x| x.to_bits() == first.to_bits()) => {
                return Some(b.splat(first, ty.clone()));
            }
            Op::Pad | Op::ScatterAdd if first.to_bits() == 0 => return Some(b.splat(0.0, ty.clone())),
            Op::Pad | Op::ScatterAdd | Op::Concat => {}
            _ => {
                let scalars: Vec<Tensor> = args
                    .iter()
                    .zip(&splats)
                    .map(|(arg, x)| Tensor::new(Type::scalar(b.ty(*arg).dtype), vec![*x]))
                    .collect();
                let operands: Vec<&Tensor> = scalars.iter().collect();
                let value = apply(op, &operands, attr, &Type::scalar(ty.dtype))?;
                return Some(b.splat(value.data[0], ty.clone()));
            }
        }
    }
    let small = |ty: &Type| ty.shape.count() <= FOLDED_ELEMENTS;
    if !small(ty) || !args.iter().all(|x| small(b.ty(*x))) {
        return None;
    }
    let tensors: Vec<Tensor> = args
        .iter()
        .map(|x| {
            let node = b.node(*x);
            apply(Op::Constant, &[], &node.attr, &node.ty)
        })
        .collect::<Option<_>>()?;
    let operands: Vec<&Tensor> = tensors.iter().collect();
    let value = apply(op, &operands, attr, ty)?;
    Some(b.constant(&value.data, ty.clone()))
}

fn arithmetic(b: &mut Builder, op: Op, args: &[ValueId], attr: &Attr) -> Option<ValueId> {
    let x = *args.first()?;
    let y = args.get(1).copied();
    let splat = |b: &Builder, value: Option<ValueId>| value.and_then(|v| b.as_splat(v));
    match op {
        // x + 0 = 0 + x = x
        Op::Add if splat(b, y) == Some(0.0) => Some(x),
        Op::Add if splat(b, Some(x)) == Some(0.0) => y,
        // x - 0 = x
        Op::Sub if splat(b, y) == Some(0.0) => Some(x),
        // 0 - x = -x
        Op::Sub if splat(b, Some(x)) == Some(0.0) => Some(b.neg(y?)),
        // x * 1 = 1 * x = x
        Op::Mul if splat(b, y) == Some(1.0) => Some(x),
        Op::Mul if splat(b, Some(x)) == Some(1.0) => y,
        // x * -1 = -1 * x = -x
        Op::Mul if splat(b, y) == Some(-1.0) => Some(b.neg(x)),
        Op::Mul if splat(b, Some(x)) == Some(-1.0) => Some(b.neg(y?)),
        // x / 1 = x
        Op::Div if splat(b, y) == Some(1.0) => Some(x),
        // -(-x) = x
        Op::Neg if b.node(x).op == Op::Neg => Some(b.node(x).args[0]),
        Op::PowInt => match exponent(attr) {
            // x^0 = 1, x^1 = x, x^2 = x * x, x^-1 = 1 / x
            0 => Some(b.splat_like(1.0, x)),
            1 => Some(x),
            2 => Some(b.mul(x, x)),
            -1 => {
                let one = b.splat_like(1.0, x);
                Some(b.div(one, x))
            }
            _ => None,
        },
        // x^p = x^n for an integer constant p = n
        Op::Pow => splat(b, y)
            .filter(|p| p.fract() == 0.0 && p.abs() <= INTEGER_POWER)
            .map(|p| b.pow_int(x, p as i32)),
        // A value converted to its own type is itself.
        Op::Convert if *attr == Attr::To(b.ty(x).dtype) => Some(x),
        // Once stopped, stopped.
        Op::StopGradient if b.node(x).op == Op::StopGradient => Some(x),
        _ => None,
    }
}

fn choice(b: &mut Builder, op: Op, args: &[ValueId]) -> Option<ValueId> {
    match op {
        // if true then x else y = x; if false then x else y = y
        Op::Select if b.as_splat(args[0]).is_some() => {
            Some(if b.as_splat(args[0]) == Some(0.0) { args[2] } else { args[1] })
        }
        // if c then x else x = x
        Op::Select if args[1] == args[2] => Some(args[1]),
        // if not c then x else y = if c then y else x
        Op::Select if b.node(args[0]).op == Op::Not => {
            let c = b.node(args[0]).args[0];
            Some(b.select(c, args[2], args[1]))
        }
        // not (not c) = c
        Op::Not if b.node(args[0]).op == Op::Not => Some(b.node(args[0]).args[0]),
        // c and true = c, c and false = false, c or false = c, c or true = true, c and c = c or c = c
        Op::And | Op::Or => {
            let neutral = if op == Op::And { 1.0 } else { 0.0 };
            let with = |b: &Builder, constant: ValueId, other: ValueId| {
                b.as_splat(constant).map(|value| if value == neutral { other } else { constant })
            };
            with(b, args[0], args[1])
                .or_else(|| with(b, args[1], args[0]))
                .or_else(|| (args[0] == args[1]).then_some(args[0]))
        }
        _ => None,
    }
}

fn layout(b: &mut Builder, op: Op, args: &[ValueId], attr: &Attr, ty: &Type) -> Option<ValueId> {
    let x = *args.first()?;
    let inner = b.node(x);
    match (op, attr) {
        // A rearrangement that changes nothing is the identity.
        (Op::Reshape | Op::Slice | Op::Pad | Op::Broadcast, _) if *b.ty(x) == *ty => Some(x),
        (Op::Permute, Attr::Axes(axes)) if axes.is_sorted() => Some(x),
        (Op::Reverse, Attr::Axes(axes)) if axes.is_empty() => Some(x),
        (Op::Sum | Op::Product | Op::ReduceMax | Op::ReduceMin, Attr::Axes(axes)) => {
            // A reduction of single elements keeps them.
            let single = axes.iter().all(|axis| b.shape(x).0[*axis as usize] == 1);
            single.then(|| b.reshape(x, ty.shape.clone()))
        }
        // Two rearrangements of one kind are one.
        (Op::Reshape, Attr::Shape(shape)) if inner.op == Op::Reshape => {
            Some(b.reshape(inner.args[0], shape.clone()))
        }
        (Op::Permute, Attr::Axes(outer)) => match &inner.attr {
            Attr::Axes(axes) if inner.op == Op::Permute => {
                let merged: Vec<u32> = outer.iter().map(|axis| axes[*axis as usize]).collect();
                Some(b.permute(inner.args[0], &merged))
            }
            _ => None,
        },
        (Op::Broadcast, Attr::Broadcast { shape, axes: outer }) => match &inner.attr {
            Attr::Broadcast { axes, .. } if inner.op == Op::Broadcast => {
                let merged: Vec<u32> = axes.iter().map(|axis| outer[*axis as usize]).collect();
                Some(b.broadcast(inner.args[0], (**shape).clone(), &merged))
            }
            _ => None,
        },
        (Op::Pad, Attr::Pads(outer)) => match &inner.attr {
            Attr::Pads(pads) if inner.op == Op::Pad => {
                let merged = outer.iter().zip(pads).map(|(o, i)| (o.0 + i.0, o.1 + i.1)).collect();
                let inner = inner.args[0];
                Some(b.must(Op::Pad, &[inner], Attr::Pads(merged)))
            }
            _ => None,
        },
        (Op::Slice, Attr::Ranges(ranges)) => sliced(b, ranges, x),
        (Op::Concat, Attr::Axis(axis)) => joined(b, args, *axis),
        _ => None,
    }
}

fn sliced(b: &mut Builder, outer: &[(u32, u32)], of: ValueId) -> Option<ValueId> {
    let inner = b.node(of);
    match (inner.op, &inner.attr) {
        // A part of a part is a part.
        (Op::Slice, Attr::Ranges(ranges)) => {
            let merged: Vec<(u32, u32)> =
                outer.iter().zip(ranges).map(|(o, i)| (i.0 + o.0, i.0 + o.1)).collect();
            Some(b.slice(inner.args[0], &merged))
        }
        // A part that lies in one of the joined operands is a part of that operand.
        (Op::Concat, Attr::Axis(axis)) => {
            let axis = *axis as usize;
            let (lo, hi) = outer[axis];
            let mut start = 0;
            for part in inner.args.iter().copied() {
                let end = start + b.shape(part).0[axis] as u32;
                if start <= lo && hi <= end && lo < hi {
                    let mut ranges: Pairs = outer.into();
                    ranges[axis] = (lo - start, hi - start);
                    return Some(b.slice(part, &ranges));
                }
                start = end;
            }
            None
        }
        (Op::Contract, _) => windows::sliced(b, outer, of),
        // A part of a padded value that lies in the value is a part of it; one that lies beside it
        // is zero.
        (Op::Pad, Attr::Pads(pads)) => {
            let x = inner.args[0];
            let mut inside = Pairs::new();
            for ((lo, hi), ((before, _), dim)) in outer.iter().zip(pads.iter().zip(b.shape(x).dims())) {
                let end = before + *dim as u32;
                if hi <= before || end <= *lo {
                    let dims: Vec<usize> = outer.iter().map(|(lo, hi)| (hi - lo) as usize).collect();
                    let ty = Type::new(b.ty(x).dtype, &dims);
                    return Some(b.splat(0.0, ty));
                }
                if before <= lo && *hi <= end {
                    inside.push((lo - before, hi - before));
                }
            }
            (inside.len() == outer.len()).then(|| b.slice(x, &inside))
        }
        _ => None,
    }
}

/// Joining one operand is that operand; empty operands add nothing; what was joined along the same
/// axis before is joined at once; neighbouring parts of one value are one part of it.
fn joined(b: &mut Builder, args: &[ValueId], axis: u32) -> Option<ValueId> {
    if let [x] = args {
        return Some(*x);
    }
    let nested = |arg: &'_ ValueId| match &b.node(*arg).attr {
        Attr::Axis(inner) if *inner == axis => b.node(*arg).args.clone(),
        _ => Args::from_slice(&[*arg]),
    };
    let flat: Vec<ValueId> = args.iter().flat_map(nested).collect();
    let mut parts: Vec<ValueId> = Vec::with_capacity(flat.len());
    // The last of the parts, if it is more than one operand.
    let mut grown: Option<Part> = None;
    for arg in flat {
        if b.shape(arg).0[axis as usize] == 0 {
            continue;
        }
        let last = || grown.clone().or_else(|| part(b, *parts.last()?));
        match part(b, arg).and_then(|next| joint(last()?, next, axis as usize)) {
            Some(both) => grown = Some(both),
            None => {
                if let (Some((source, ranges)), Some(last)) = (grown.take(), parts.last_mut()) {
                    *last = b.slice(source, &ranges);
                }
                parts.push(arg);
            }
        }
    }
    if let (Some((source, ranges)), Some(last)) = (grown, parts.last_mut()) {
        *last = b.slice(source, &ranges);
    }
    if parts == args {
        None
    } else if parts.is_empty() {
        Some(args[0])
    } else {
        Some(b.concat(&parts, axis))
    }
}

type Part = (ValueId, Pairs);

/// What a slice is a part of, and which.
fn part(b: &Builder, x: ValueId) -> Option<Part> {
    match &b.node(x).attr {
        Attr::Ranges(ranges) if b.node(x).op == Op::Slice => Some((b.node(x).args[0], ranges.clone())),
        _ => None,
    }
}

/// Two parts of one value that are neighbours along `axis`, as one.
fn joint((source, mut ranges): Part, (other, next): Part, axis: usize) -> Option<Part> {
    let aligned = (0..ranges.len()).all(|a| a == axis || ranges[a] == next[a]);
    if source != other || !aligned || ranges[axis].1 != next[axis].0 {
        return None;
    }
    ranges[axis].1 = next[axis].1;
    Some((source, ranges))
}

/// Whether the two operands may change places.
pub(crate) fn is_commutative(op: Op) -> bool {
    matches!(op, Op::Add | Op::Mul | Op::And | Op::Or | Op::Eq)
}

/// `x + y = y + x` and the like: operands of commutative ops stand in definition order, so that
/// both spellings are one node.
fn ordered(b: &mut Builder, op: Op, args: &[ValueId], attr: &Attr) -> Option<ValueId> {
    (is_commutative(op) && args[0] > args[1]).then(|| b.must(op, &[args[1], args[0]], attr.clone()))
}
