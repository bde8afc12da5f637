//! Windows: an axis at the sum of two coordinates, of which convolutions are contractions.

use super::layout::{ascending, pick, row};
use crate::ir::builder::Builder;
use crate::ir::func::{Attr, Contraction, Pairs, ValueId};
use crate::ir::infer::{operand_count, wrong_attr};
use crate::ir::op::{Op, OpDef, ShapeError};
use crate::ir::types::{Shape, Type};
use smallvec::SmallVec;

/// Axes and lengths of windows.
type Windows = [(u32, u32)];

/// Overlapping parts along some axes.
pub const WINDOWS: OpDef = row(
    "windows",
    "For each pair `(axis, k)` of the attribute `Windows`, axes ascending, an axis of length `n` becomes one \
     of the `n - k + 1` places where a window of length `k` fits, and the places in the window are a new last \
     axis: of `x: [H, W]` with windows of 3 and 2, `y[i, j, p, q] = x[i + p, j + q]`.",
    |args, attr| {
        operand_count(args, 1)?;
        let windows = windows_of(attr)?;
        let axes: SmallVec<[u32; 4]> = windows.iter().map(|(axis, _)| *axis).collect();
        ascending(&axes, args[0].shape.rank())?;
        let mut dims = args[0].shape.0.clone();
        for (axis, length) in windows {
            let dim = &mut dims[*axis as usize];
            if *length == 0 || *length as usize > *dim + 1 {
                return Err(ShapeError::Bounds(format!("windows of {length} along an axis of {dim}")));
            }
            *dim = *dim + 1 - *length as usize;
        }
        dims.extend(windows.iter().map(|(_, length)| *length as usize));
        Ok(Type { dtype: args[0].dtype, shape: Shape(dims) })
    },
    |args, attr, ty| {
        let Ok(windows) = windows_of(attr) else { crate::bug!("windows with {attr:?}") };
        let rank = args[0].ty.shape.rank();
        pick(args[0], ty, |at, from| {
            from.copy_from_slice(&at[..rank]);
            for ((axis, _), within) in windows.iter().zip(&at[rank..]) {
                from[*axis as usize] += within;
            }
        })
    },
    |b, _, _, attr, ct| {
        let Ok(windows) = windows_of(attr) else { crate::bug!("windows with {attr:?}") };
        convolved(b, windows, ct).unwrap_or_else(|| overlapped(b, windows, ct))
    },
);

fn windows_of(attr: &Attr) -> Result<&Windows, ShapeError> {
    let Attr::Windows(windows) = attr else { return Err(wrong_attr("windows", attr)) };
    Ok(windows)
}

/// The sum of overlapping windows, where these are themselves a contraction of a value at their places with
/// one of places within: `Σ_p a[.., i - p, ..]·b[.., p, ..]`, a contraction of windows of `a`, in a frame of
/// zeros, with `b` turned round. So the cotangent of a convolution's operand is a convolution.
fn convolved(b: &mut Builder, windows: &Windows, ct: ValueId) -> Option<ValueId> {
    let node = b.node(ct).clone();
    let (Op::Contract, Attr::Contract(spec)) = (node.op, &node.attr) else { return None };
    let rank = spec.out.len() - windows.len();
    let place = |letters: &[u8], letter: u8| letters.iter().position(|other| *other == letter);
    let sides = [&spec.lhs, &spec.rhs];
    let own = |side: usize, letter: u8| {
        place(sides[side], letter).filter(|_| place(sides[1 - side], letter).is_none())
    };
    let at = (0..2).find(|side| {
        windows.iter().enumerate().all(|(number, (axis, _))| {
            own(*side, spec.out[*axis as usize]).is_some() && own(1 - side, spec.out[rank + number]).is_some()
        })
    })?;
    // Axis of the places, axis within, length, letter within: in the order of the axes of the places.
    let mut pairs: Vec<(u32, u32, u32, u8)> = Vec::new();
    for (number, (axis, length)) in windows.iter().enumerate() {
        let within = spec.out[rank + number];
        let (outer, inner) = (own(at, spec.out[*axis as usize])?, own(1 - at, within)?);
        pairs.push((outer as u32, inner as u32, *length, within));
    }
    pairs.sort_unstable();
    let mut pads: Pairs = SmallVec::from_elem((0, 0), sides[at].len());
    for (outer, _, length, _) in &pairs {
        pads[*outer as usize] = (length - 1, length - 1);
    }
    let framed = b.must(Op::Pad, &[node.args[at]], Attr::Pads(pads));
    let windows = pairs.iter().map(|(outer, _, length, _)| (*outer, *length)).collect();
    let framed = b.windows(framed, windows);
    let mut turned: SmallVec<[u32; 4]> = pairs.iter().map(|(_, inner, ..)| *inner).collect();
    turned.sort_unstable();
    let turned = b.must(Op::Reverse, &[node.args[1 - at]], Attr::Axes(turned));
    let mut spec = Contraction { out: spec.out[..rank].into(), ..(**spec).clone() };
    let letters = if at == 0 { &mut spec.lhs } else { &mut spec.rhs };
    letters.extend(pairs.iter().map(|(.., within)| *within));
    let args = if at == 0 { [framed, turned] } else { [turned, framed] };
    Some(b.must(Op::Contract, &args, Attr::Contract(spec.into())))
}

/// The sum of overlapping windows, one axis after the other: rows of places, one for each place within,
/// each of which is moved by one against the one before.
fn overlapped(b: &mut Builder, windows: &Windows, ct: ValueId) -> ValueId {
    let mut sum = ct;
    for (axis, length) in windows.iter().rev() {
        let (axis, k) = (*axis as usize, *length as usize);
        let last = b.shape(sum).rank() - 1;
        let mut order: Vec<u32> = (0..last as u32).collect();
        order.insert(axis, last as u32);
        let rows = b.permute(sum, &order);
        // Rows of n places become rows of n + k, and these, end to end, rows of n + k - 1.
        let mut pads: Pairs = SmallVec::from_elem((0, 0), last + 1);
        pads[axis + 1].1 = *length;
        let rows = b.must(Op::Pad, &[rows], Attr::Pads(pads));
        let mut dims = b.shape(rows).0.clone();
        let long = dims.remove(axis + 1);
        dims[axis] = k * long;
        let joined = b.reshape(rows, Shape(dims.clone()));
        let mut ranges: Vec<(u32, u32)> = dims.iter().map(|dim| (0, *dim as u32)).collect();
        ranges[axis].1 -= *length;
        let joined = b.slice(joined, &ranges);
        dims[axis] = k;
        dims.insert(axis + 1, long - 1);
        let rows = b.reshape(joined, Shape(dims));
        sum = b.sum_axes(rows, &[axis as u32]);
    }
    sum
}

/// A part of a contraction of windows, along their places, is a contraction of windows of a part.
pub(crate) fn sliced(b: &mut Builder, ranges: &[(u32, u32)], of: ValueId) -> Option<ValueId> {
    let args = b.node(of).args.clone();
    let side = (0..2).find(|side| b.node(args[*side]).op == Op::Windows)?;
    let (node, spec) = (b.node(args[side]).clone(), b.node(of).attr.clone());
    let Attr::Contract(spec) = &spec else { crate::bug!("contract with {spec:?}") };
    let windows = windows_of(&node.attr).ok()?;
    let (own, other) = if side == 0 { (&spec.lhs, &spec.rhs) } else { (&spec.rhs, &spec.lhs) };
    let mut part: Vec<(u32, u32)> = b.shape(node.args[0]).dims().iter().map(|dim| (0, *dim as u32)).collect();
    for (letter, (lo, hi)) in spec.out.iter().zip(ranges) {
        let at = own.iter().position(|l| l == letter).filter(|_| !other.contains(letter));
        let Some(at) = at.filter(|at| *at < part.len()) else {
            let axes = [(own, args[side]), (other, args[1 - side])];
            let length = axes.iter().find_map(|(letters, value)| {
                letters.iter().position(|l| l == letter).map(|axis| b.shape(*value).0[axis])
            });
            if (*lo, Some(*hi as usize)) != (0, length) {
                return None;
            }
            continue;
        };
        let length = windows.iter().find(|(axis, _)| *axis as usize == at).map_or(1, |(_, length)| *length);
        part[at] = (*lo, hi + length - 1);
    }
    let x = framed_part(b, node.args[0], &part);
    let x = b.must(Op::Windows, &[x], node.attr);
    let args = if side == 0 { [x, args[1]] } else { [args[0], x] };
    Some(b.must(Op::Contract, &args, Attr::Contract(spec.clone())))
}

/// A part of a value; where the value has a frame of zeros, in what the part leaves of it.
fn framed_part(b: &mut Builder, x: ValueId, part: &[(u32, u32)]) -> ValueId {
    let node = b.node(x).clone();
    let Attr::Pads(pads) = &node.attr else { return b.slice(x, part) };
    let mut inner: Vec<(u32, u32)> = Vec::new();
    let mut left: Pairs = SmallVec::new();
    for (((lo, hi), (before, _)), dim) in part.iter().zip(pads).zip(b.shape(node.args[0]).dims()) {
        let end = before + *dim as u32;
        if hi <= before || end <= *lo {
            return b.slice(x, part);
        }
        inner.push((lo.saturating_sub(*before), (*hi).min(end) - before));
        left.push((before.saturating_sub(*lo), hi.saturating_sub(end)));
    }
    let inner = b.slice(node.args[0], &inner);
    b.must(Op::Pad, &[inner], Attr::Pads(left))
}
