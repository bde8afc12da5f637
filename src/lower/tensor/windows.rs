//! Contractions of windows, which convolutions and their cotangents are: the order of their tiles.
//!
//! A tile has rows, the elements that differ in the other operand, and columns, those that differ in the
//! windows. All rows are done for a piece of columns, whose windows then stay in a near cache, before the
//! next; where the places in a window are kept, as in a cotangent of weights, a tile has them all, since
//! the windows of neighbours are almost the same elements.

use super::{Pass, SIDE_BY_SIDE};
use crate::ir::func::{Attr, Node};
use crate::ir::op::Op;

/// Vectors of a second operand that stay in a near cache from one column to the next: half of 1 MiB, in
/// vectors of 512 bits.
const NEAR: usize = 8192;

/// Most sums that are written out in a turn.
const WRITTEN: usize = 96;

impl Pass<'_> {
    /// The operand of a contraction that is windows, if one of the two is, and how many of its axes are places.
    fn windowed(&self, node: &Node) -> Option<(usize, usize)> {
        let places = |operand: usize| match &self.func.nodes[node.args[operand]].attr {
            Attr::Windows(windows) => Some(self.dims(node.args[operand]).len() - windows.len()),
            _ => None,
        };
        match (node.op == Op::Contract).then(|| (places(0), places(1)))? {
            (Some(n), None) => Some((0, n)),
            (None, Some(n)) => Some((1, n)),
            (None, None) | (Some(_), Some(_)) => None,
        }
    }

    /// Most turns of a sum of several side by side that are written out.
    pub(super) fn written(&self, node: &Node, sums: usize) -> usize {
        if self.side_by_side > 1 && self.windowed(node).is_some() { WRITTEN / sums.max(1) } else { 1 }
    }

    /// Axis and width of each loop over pieces of a contraction of windows, from the outermost; the widths
    /// of the last for each axis are those of a tile.
    pub(super) fn loops_of_windows(&self, node: &Node) -> Option<Vec<(usize, usize)>> {
        let Attr::Contract(spec) = &node.attr else { return None };
        let (windows, n_places) = self.windowed(node).filter(|_| self.side_by_side > 1)?;
        let dims = node.ty.shape.dims();
        let letters = if windows == 0 { [&spec.lhs, &spec.rhs] } else { [&spec.rhs, &spec.lhs] };
        // Axes in both operands, of the windows' places, in a window, and of the other operand.
        let (mut both, mut places, mut within, mut rows) = (vec![], vec![], vec![], vec![]);
        for (axis, letter) in spec.out.iter().enumerate() {
            let at = letters[0].iter().position(|other| other == letter);
            match (at, letters[1].contains(letter)) {
                (Some(_), true) => both.push(axis),
                (Some(at), false) if at < n_places => places.push(axis),
                (Some(_), false) => within.push(axis),
                (None, _) => rows.push(axis),
            }
        }
        let last_row = rows.pop()?;
        let count = |axes: &[usize]| axes.iter().map(|axis| dims[*axis]).product::<usize>();
        let most = self.code.target().accumulators.max(SIDE_BY_SIDE);
        let one_by_one = |axes: Vec<usize>| axes.into_iter().map(|axis| (axis, 1)).collect::<Vec<_>>();
        let mut loops = one_by_one(both);
        if count(&within) > 1 {
            let mut left = most / 2;
            let mut tile = Vec::new();
            for axis in within.iter().rev() {
                let width = dims[*axis].min(left.max(1));
                tile.insert(0, (*axis, width));
                left = if width == dims[*axis] { left / width } else { 1 };
            }
            let columns: usize = tile.iter().map(|(_, width)| width).product();
            let height = (most / columns).min(dims[last_row]).max(1);
            let summed = crate::lower::place::summed_turns(self.func, node).max(1);
            // As many rows as stay near, without a rest if that is possible.
            let near = (NEAR / summed / height).max(1);
            let near = (near.div_ceil(2)..=near).rfind(|n| dims[last_row].is_multiple_of(n * height));
            loops.extend(one_by_one(rows));
            if let Some(near) = near.filter(|near| near * height < dims[last_row]) {
                loops.push((last_row, near * height));
            }
            loops.extend(one_by_one(places));
            loops.push((last_row, height));
            loops.extend(tile);
            return Some(loops);
        }
        let last_place = places.pop()?;
        let (height, width) = sides(most, dims[last_row], dims[last_place]);
        loops.extend(one_by_one(within));
        loops.extend(one_by_one(places));
        loops.push((last_place, width));
        loops.extend(one_by_one(rows));
        loops.push((last_row, height));
        Some(loops)
    }
}

/// Rows and columns of a tile of at most `most` elements, of which as few factors as possible are read.
fn sides(most: usize, rows: usize, columns: usize) -> (usize, usize) {
    let shapes = (1..=most.min(columns.max(1))).map(|width| ((most / width).min(rows).max(1), width));
    let reads =
        |(height, width): &(usize, usize)| rows * columns.div_ceil(*width) + columns * rows.div_ceil(*height);
    shapes.min_by_key(reads).expect("a tile has at least one column")
}
