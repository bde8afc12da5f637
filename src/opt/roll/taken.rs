//! Elements of a value by constant numbers: as slices, reshapes and broadcasts where the numbers run
//! evenly, so that code is loops over addresses instead of look-ups.

use crate::ir::builder::Builder;
use crate::ir::func::{Attr, Node, ValueId};
use crate::ir::op::Op;
use crate::ir::types::{DType, Shape, Type};

/// Most pieces that are cut out and joined instead of looked up.
const MOST_PIECES: usize = 6;

/// Longest period that is looked for in a row of numbers.
const LONGEST_PERIOD: usize = 8;

/// The elements of `source`, flattened, with these numbers, as a value of this shape.
pub(super) fn gathered(b: &mut Builder, source: ValueId, numbers: &[u32], shape: Shape) -> ValueId {
    let flat = b.flatten(source);
    if numbers.iter().copied().eq(0..b.shape(flat).count() as u32) {
        return b.reshape(flat, shape);
    }
    let elements: Vec<f64> = numbers.iter().map(|number| f64::from(*number)).collect();
    let index = b.constant(&elements, Type::new(DType::I64, &[numbers.len()]));
    let entries = b.must(Op::Gather, &[flat, index], Attr::None);
    b.reshape(entries, shape)
}

/// Replaces the numbers of elements of the view `node` by those of its operand.
pub(super) fn seen_through(b: &Builder, node: &Node, numbers: &mut [u32]) {
    let (dims, inner) = (node.ty.shape.dims(), b.shape(node.args[0]).dims());
    let strides = strides(inner);
    // For each axis of the view: which axis of the operand, from where, in which direction.
    let mut sources: Vec<(usize, i64, i64)> = vec![(usize::MAX, 0, 1); dims.len()];
    match (node.op, &node.attr) {
        (Op::Slice, Attr::Ranges(ranges)) => {
            for (axis, (lo, _)) in ranges.iter().enumerate() {
                sources[axis] = (axis, i64::from(*lo), 1);
            }
        }
        (Op::Permute, Attr::Axes(axes)) => {
            for (axis, source) in axes.iter().enumerate() {
                sources[axis].0 = *source as usize;
            }
        }
        (Op::Broadcast, Attr::Broadcast { axes, .. }) => {
            for (source, axis) in axes.iter().enumerate() {
                sources[*axis as usize].0 = source;
            }
        }
        (Op::Reverse, Attr::Axes(axes)) => {
            for (axis, dim) in dims.iter().enumerate() {
                let turned = axes.contains(&(axis as u32));
                sources[axis] = if turned { (axis, *dim as i64 - 1, -1) } else { (axis, 0, 1) };
            }
        }
        (Op::Gather, _) => return looked_up(b, node, numbers),
        (op, attr) => crate::bug!("`{}` with {attr:?} is no view", op.def().name),
    }
    for number in numbers {
        let (mut rest, mut flat) = (*number as usize, 0);
        for axis in (0..dims.len()).rev() {
            let at = (rest % dims[axis]) as i64;
            rest /= dims[axis];
            let (source, from, step) = sources[axis];
            if source != usize::MAX {
                flat += (from + step * at) as usize * strides[source];
            }
        }
        *number = flat as u32;
    }
}

/// The same for rows by constant numbers.
fn looked_up(b: &Builder, node: &Node, numbers: &mut [u32]) {
    let rows = constants(b, node.args[1]);
    let size: usize = b.shape(node.args[0]).dims()[1..].iter().product();
    for number in numbers {
        let (row, at) = (*number as usize / size.max(1), *number as usize % size.max(1));
        *number = rows[row] as u32 * size as u32 + at as u32;
    }
}

fn constants(b: &Builder, value: ValueId) -> Vec<f64> {
    match &b.node(value).attr {
        Attr::Splat(bits) => vec![f64::from_bits(*bits); b.shape(value).count()],
        Attr::Elements(bits) => bits.iter().map(|bits| f64::from_bits(*bits)).collect(),
        other => crate::bug!("a constant with {other:?}"),
    }
}

fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis] * dims[axis];
    }
    strides
}

/// `value`, which looks up elements by constant numbers (or is a reshape of that, or of what repeats
/// elements), as slices and repetitions; `None` if the numbers do not run evenly.
pub(in crate::opt) fn evenly(b: &mut Builder, value: ValueId) -> Option<ValueId> {
    let node = b.node(value);
    let inner = if node.op == Op::Reshape { b.node(node.args[0]) } else { node };
    let uneven = match inner.op {
        Op::Gather => super::is_view(b, inner),
        Op::Broadcast => node.op == Op::Reshape,
        _ => false,
    };
    let shape = b.shape(value).clone();
    if !uneven || shape.count() == 0 || shape.count() > super::LARGEST_TABLE {
        return None;
    }
    let (source, numbers) = super::traced(b, value, (0..shape.count() as u32).collect());
    let source = b.flatten(source);
    let numbers: Vec<i64> = numbers.into_iter().map(i64::from).collect();
    let mut ways = vec![shape.0.to_vec()];
    if let Some(last) = shape.dims().last() {
        for period in (2..=LONGEST_PERIOD).filter(|period| last % period == 0 && last > period) {
            let mut dims = shape.0.to_vec();
            dims.pop();
            dims.extend([last / period, period]);
            ways.push(dims);
        }
    }
    ways.iter().find_map(|dims| {
        let pattern = Pattern::of(&numbers, dims)?;
        let made = pattern.made(b, source)?;
        Some(b.reshape(made, shape.clone()))
    })
}

/// Numbers that are a sum of one term for each axis.
#[derive(Clone)]
struct Pattern {
    /// The number at the origin.
    base: i64,
    /// What each place along an axis adds; the first adds 0.
    axes: Vec<Vec<i64>>,
}

/// Places along an axis that follow each other at even distances.
struct Run {
    from: usize,
    to: usize,
}

impl Pattern {
    fn of(numbers: &[i64], dims: &[usize]) -> Option<Pattern> {
        let (base, strides) = (numbers[0], strides(dims));
        let axes: Vec<Vec<i64>> = (dims.iter().zip(&strides))
            .map(|(dim, stride)| (0..*dim).map(|at| numbers[at * stride] - base).collect())
            .collect();
        for (flat, number) in numbers.iter().enumerate() {
            let places = axes.iter().zip(dims).zip(&strides);
            let sum: i64 = places.map(|((adds, dim), stride)| adds[flat / stride % dim]).sum();
            if base + sum != *number {
                return None;
            }
        }
        Some(Pattern { base, axes })
    }

    /// The elements of the vector `source` with these numbers.
    fn made(&self, b: &mut Builder, source: ValueId) -> Option<ValueId> {
        let runs: Vec<Vec<Run>> = self.axes.iter().map(|adds| runs(adds)).collect();
        if runs.iter().map(Vec::len).product::<usize>() > MOST_PIECES {
            return None;
        }
        let Some(axis) = runs.iter().position(|runs| runs.len() > 1) else { return self.boxed(b, source) };
        let pieces = runs[axis].iter().map(|run| {
            let mut piece = self.clone();
            let from = self.axes[axis][run.from];
            piece.base += from;
            piece.axes[axis] = self.axes[axis][run.from..run.to].iter().map(|adds| adds - from).collect();
            piece.made(b, source)
        });
        let pieces: Vec<ValueId> = pieces.collect::<Option<_>>()?;
        Some(b.concat(&pieces, axis as u32))
    }

    /// The same where every axis has one run: a part of the vector folded to a box, a part of that, its
    /// axes in order, repeated along the axes that add nothing.
    fn boxed(&self, b: &mut Builder, source: ValueId) -> Option<ValueId> {
        let dims: Vec<usize> = self.axes.iter().map(Vec::len).collect();
        let step = |axis: usize| self.axes[axis].get(1).copied().unwrap_or(0);
        if (0..dims.len()).any(|axis| step(axis) < 0) {
            return None;
        }
        let mut moving: Vec<usize> = (0..dims.len()).filter(|axis| step(*axis) > 0).collect();
        moving.sort_by_key(|axis| std::cmp::Reverse(step(*axis)));
        // The box: as many of the longest steps as are wanted, each step of the next shorter ones.
        let mut shape = Vec::new();
        for (place, axis) in moving.iter().enumerate() {
            let within = match place.checked_sub(1).map(|before| step(moving[before])) {
                None => dims[*axis] as i64,
                Some(longer) if longer % step(*axis) == 0 && longer / step(*axis) >= dims[*axis] as i64 => {
                    longer / step(*axis)
                }
                Some(_) => return None,
            };
            shape.push(within as usize);
        }
        shape.push(moving.last().map_or(1, |axis| step(*axis) as usize));
        let (size, length) = (shape.iter().product::<usize>(), b.shape(source).count());
        let start = (self.base as usize).min(length.checked_sub(size)?);
        // Where in the box the first element is.
        let (mut rest, mut ranges) = (self.base as usize - start, Vec::new());
        let inner = strides(&shape);
        for (place, dim) in shape.iter().enumerate() {
            let at = rest / inner[place];
            rest %= inner[place];
            let wanted = moving.get(place).map_or(1, |axis| dims[*axis]);
            if at + wanted > *dim {
                return None;
            }
            ranges.push((at as u32, (at + wanted) as u32));
        }
        let part = b.part(source, start, start + size);
        let folded = b.reshape(part, Shape::new(&shape));
        let cut = b.slice(folded, &ranges);
        let kept: Vec<usize> = moving.iter().map(|axis| dims[*axis]).collect();
        let kept = b.reshape(cut, Shape::new(&kept));
        let mut sorted = moving.clone();
        sorted.sort_unstable();
        let place = |axis: &usize| moving.iter().position(|other| other == axis).expect("it is one of them");
        let turned: Vec<u32> = sorted.iter().map(|axis| place(axis) as u32).collect();
        let turned = b.permute(kept, &turned);
        let axes: Vec<u32> = sorted.iter().map(|axis| *axis as u32).collect();
        Some(b.broadcast(turned, Shape::new(&dims), &axes))
    }
}

/// The longest stretches of places at even distances, one after the other.
fn runs(adds: &[i64]) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut from = 0;
    while from < adds.len() {
        let mut to = (from + 2).min(adds.len());
        while to < adds.len() && adds[to] - adds[to - 1] == adds[from + 1] - adds[from] {
            to += 1;
        }
        runs.push(Run { from, to });
        from = to;
    }
    runs
}
