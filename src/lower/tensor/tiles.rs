//! Loops over the elements of a value, several of them in one turn.
//!
//! A tile of a sum are the elements that are accumulated side by side; a tile of an output are
//! consecutive elements that are written by one straight piece of code, so that a back end that adds
//! them up over examples can do so vector by vector. What is left at the end of an axis is a shorter
//! tile.

use super::coords::{constant, shifted};
use super::{Coords, Pass};
use crate::base::index::IndexVec;
use crate::ir::func::{Attr, Contraction, Func, Node, ValueId};
use crate::ir::op::{Lowering, Op};
use crate::lower::loops::Index;
use crate::lower::math;
use crate::lower::place::{Place, summed_turns};
use smallvec::{SmallVec, smallvec};

/// Most sums that are accumulated side by side: a fused multiply-add takes 4 cycles and two of them
/// begin in each, and eight accumulators leave half of 16 registers to their operands.
pub(super) const SIDE_BY_SIDE: usize = 8;

/// Most statements of a turn of sums side by side.
const MOST_OF_SUMS: usize = 96;

/// Consecutive elements of an output that are written in a turn: what fills a 512-bit vector.
const RUN: usize = 16;

/// Most statements for each of them.
const MOST_OF_ELEMENT: usize = 40;

/// How many elements along each axis.
type Tile = SmallVec<[usize; 4]>;

impl Pass<'_> {
    /// Loops over all coordinates of a tensor of these axis lengths.
    pub(super) fn for_each(&self, dims: &[usize], body: &dyn Fn(&[Index])) {
        self.for_tiles(dims, &single(dims), &|tile| body(&tile[0]));
    }

    /// Loops over all coordinates of a tensor of these axis lengths, a tile of at most `tile` elements
    /// along each axis at once, in row-major order within the tile.
    pub(super) fn for_tiles(&self, dims: &[usize], tile: &[usize], body: &dyn Fn(&[Coords])) {
        let loops: Vec<(usize, usize)> = tile.iter().copied().enumerate().collect();
        self.for_pieces(dims, &loops, body);
    }

    /// Loops over all coordinates of a tensor of these axis lengths, in pieces: each loop, from the outermost,
    /// goes along an axis, or along a piece of it that an outer loop left, in pieces of a width. A piece in
    /// the last is given in row-major order.
    pub(super) fn for_pieces(&self, dims: &[usize], loops: &[(usize, usize)], body: &dyn Fn(&[Coords])) {
        if !dims.contains(&0) {
            let whole: Vec<(Index, usize)> = dims.iter().map(|dim| (constant(0), *dim)).collect();
            self.for_pieces_of(&whole, loops, body);
        }
    }

    /// The same of a box: where it begins along each axis, and how far it goes.
    fn for_pieces_of(&self, whole: &[(Index, usize)], loops: &[(usize, usize)], body: &dyn Fn(&[Coords])) {
        let Some(((axis, width), loops)) = loops.split_first() else {
            let mut tile = vec![Coords::new()];
            for (start, length) in whole {
                let along = |coords: &Coords, at: usize| {
                    let mut coords = coords.clone();
                    coords.push(shifted(start, at as i64));
                    coords
                };
                let along = &along;
                tile = tile.iter().flat_map(|outer| (0..*length).map(move |at| along(outer, at))).collect();
            }
            return body(&tile);
        };
        let (start, length) = &whole[*axis];
        let piece = |start: Index, length: usize| {
            let mut piece = whole.to_vec();
            piece[*axis] = (start, length);
            self.for_pieces_of(&piece, loops, body);
        };
        let (turns, rest) = (length / width, length % width);
        if turns > 1 {
            let var = self.code.open_loop();
            let along = Index { offset: 0, terms: smallvec![(var, *width as i64)], dynamic: None };
            piece(self.plus(start, &along), *width);
            self.code.close_loop(turns, &[]);
        } else if turns == 1 {
            piece(start.clone(), *width);
        }
        if rest > 0 {
            piece(shifted(start, (turns * width) as i64), rest);
        }
    }

    /// The tile in which a value is computed to be stored.
    pub(super) fn tile(&self, id: ValueId, to_output: bool) -> Tile {
        let (node, dims) = (&self.func.nodes[id], self.dims(id));
        let weight = self.weights[id].max(1);
        if summed_turns(self.func, node) > 1 {
            let bounded = |most: usize| most.min(MOST_OF_SUMS / weight).max(1);
            let few = bounded(self.side_by_side);
            return match &node.attr {
                Attr::Contract(spec) => of_product(spec, dims, few)
                    .unwrap_or_else(|| run(dims, bounded(self.rows_side_by_side(node, spec)), even)),
                _ => run(dims, few, share),
            };
        }
        match to_output && self.side_by_side > 1 && weight <= MOST_OF_ELEMENT {
            true => run(dims, RUN, share),
            false => single(dims),
        }
    }

    /// Most sums of a product of a matrix and a vector that are accumulated side by side: as many as the back
    /// end has room for, and as are rows of the matrix, one for all lanes and stored in its order, whose elements
    /// stay in the nearest cache, of 64 sets of 8 lines, until their neighbours are wanted.
    fn rows_side_by_side(&self, node: &Node, spec: &Contraction) -> usize {
        const SETS: usize = 64;
        const WAYS: usize = 8;
        const LINE: usize = 64;
        let most = if self.side_by_side > 1 { self.code.target().accumulators } else { 1 };
        let dims = node.ty.shape.dims();
        let row = spec.out.iter().zip(dims).rfind(|(_, dim)| **dim > 1).map(|(letter, _)| letter);
        let apart = |(letters, operand): (&SmallVec<[u8; 4]>, ValueId)| {
            let axis = letters.iter().position(|letter| Some(letter) == row)?;
            Some(self.dims(operand)[axis + 1..].iter().product::<usize>() * node.ty.dtype.bytes())
        };
        let strides = [(&spec.lhs, node.args[0]), (&spec.rhs, node.args[1])].into_iter().filter_map(apart);
        let near = strides.filter(|bytes| bytes.is_multiple_of(LINE)).map(|bytes| {
            let lines = bytes / LINE;
            (WAYS * SETS) >> lines.trailing_zeros().min(SETS.trailing_zeros())
        });
        near.fold(most, usize::min).max(self.side_by_side)
    }

    /// The tile in which `count` elements are copied.
    pub(super) fn copy_tile(&self, count: usize, to_output: bool) -> Tile {
        if to_output && self.side_by_side > 1 { run(&[count], RUN, share) } else { single(&[count]) }
    }
}

fn single(dims: &[usize]) -> Tile {
    SmallVec::from_elem(1, dims.len())
}

/// At most `most` consecutive elements, of each axis as many as `piece` says.
fn run(dims: &[usize], most: usize, piece: fn(usize, usize) -> usize) -> Tile {
    let mut tile = single(dims);
    let mut left = most;
    for (width, dim) in tile.iter_mut().zip(dims).rev() {
        *width = piece(*dim, left);
        left /= *width;
        if *width < *dim {
            break;
        }
    }
    tile
}

/// Of a product of matrices, half as many along the axis of one operand as along the other's, so
/// that both are shared.
fn of_product(spec: &Contraction, dims: &[usize], most: usize) -> Option<Tile> {
    let own =
        |letters: &[u8], others: &[u8], letter: &u8| letters.contains(letter) && !others.contains(letter);
    let (last, column) = spec.out.iter().enumerate().rfind(|(axis, _)| dims[*axis] > 1)?;
    let (left, right) = match own(&spec.rhs, &spec.lhs, column) {
        true => (&spec.lhs, &spec.rhs),
        false if own(&spec.lhs, &spec.rhs, column) => (&spec.rhs, &spec.lhs),
        false => return None,
    };
    let (other, _) = (spec.out.iter().enumerate().take(last))
        .rfind(|(axis, row)| dims[*axis] > 1 && own(left, right, row))?;
    let mut tile = single(dims);
    tile[last] = share(dims[last], most.div_ceil(2));
    tile[other] = share(dims[other], most / tile[last]);
    Some(tile)
}

/// The length, at most `most`, of the fewest pieces of an axis. Few pieces are made equal; of many, the last
/// may be short.
fn share(dim: usize, most: usize) -> usize {
    if dim.div_ceil(most) <= 2 { even(dim, most) } else { most }
}

/// The length, at most `most`, of the fewest pieces of an axis, all but the last of which are equal.
fn even(dim: usize, most: usize) -> usize {
    dim.div_ceil(dim.div_ceil(most).max(1)).max(1)
}

/// About how many statements an element of each value takes where it is computed; of a sum in a
/// loop, a turn of it.
pub(super) fn weights(
    func: &Func,
    places: &IndexVec<ValueId, Place>,
    limit: usize,
) -> IndexVec<ValueId, usize> {
    let mut weights: IndexVec<ValueId, usize> = IndexVec::new();
    for node in func.nodes.iter() {
        let of = |arg: &ValueId| if places[*arg] == Place::Inline { weights[*arg] } else { 1 };
        let args = node.args.iter().map(of).fold(0, usize::saturating_add);
        let weight = match node.op.def().lowering {
            Lowering::Leaf | Lowering::Expanded => 1,
            Lowering::IndexMap => args + if node.op == Op::Gather { 3 } else { 0 },
            Lowering::Scalar(op) => args + math::weight(op),
            Lowering::Reduce(_) | Lowering::Contract => match summed_turns(func, node) {
                turns if turns <= limit => (args + 1).saturating_mul(turns),
                _ => args + 1,
            },
        };
        weights.push(weight);
    }
    weights
}
