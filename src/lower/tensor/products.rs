//! Sums of outer products, which cotangents of weights are: written a tile of rows and columns at once.
//!
//! An element of such a sum takes a factor of its row and a factor of its column from each product. The
//! elements of a tile have them in common, and as many columns are done for all rows as have factors that
//! stay in the nearest cache. Each element adds its products in the order that it has alone.

use super::coords::constant;
use super::tiles::SIDE_BY_SIDE;
use super::{Coords, Pass};
use crate::ir::func::{Node, ValueId};
use crate::ir::op::{Lowering, ScalarOp};
use crate::ir::rounding::multiplies;
use crate::lower::loops::{Index, Prim, ScalarId};
use crate::lower::place::Place;
use smallvec::smallvec;

/// Rows and columns of a tile: what fills a vector of 512 bits, in pieces of 128, once it is added up over
/// examples.
const SIDE: usize = 4;

/// Tiles side by side that are done for all rows before the next, at most: in lanes of `f32` the factors
/// of a column take 64 bytes for each product.
const MOST_ACROSS: usize = 8;

/// The fewest that are worth it.
const FEWEST_ACROSS: usize = 3;

/// Most statements of an element.
const MOST_OF_ELEMENT: usize = 400;

impl Pass<'_> {
    /// Whether a value is a sum of several outer products that are computed where it is, large enough for
    /// tiles.
    pub(super) fn is_sum_of_products(&self, value: ValueId) -> bool {
        let [.., rows, columns] = *self.dims(value) else { return false };
        self.side_by_side > 1
            && rows.min(columns) >= SIDE
            && self.weights[value] <= MOST_OF_ELEMENT
            && self.n_products(value) > 1
    }

    fn n_products(&self, value: ValueId) -> usize {
        let node = &self.func.nodes[value];
        match node.op.def().lowering {
            _ if self.places[value] != Place::Inline && !self.outputs_it(value) => 0,
            Lowering::Scalar(ScalarOp::Add | ScalarOp::Sub) => {
                node.args.iter().map(|arg| self.n_products(*arg)).sum()
            }
            _ => usize::from(multiplies(node)),
        }
    }

    /// Loops over all coordinates, a tile at once.
    pub(super) fn for_product_tiles(&self, dims: &[usize], body: &dyn Fn(&[Coords])) {
        let (columns, outer) = dims.split_last().expect("a product has axes");
        let mut tile = vec![1; dims.len()];
        tile[dims.len() - 2..].fill(SIDE);
        let across = columns / SIDE;
        let block = (FEWEST_ACROSS..=MOST_ACROSS).rfind(|width| across.is_multiple_of(*width));
        let width = SIDE * block.filter(|_| across > MOST_ACROSS).unwrap_or(across);
        let within = |start: &Index, width: usize| {
            self.for_tiles(&[outer, &[width]].concat(), &tile, &|tile| {
                let moved = tile.iter().map(|coords| {
                    let mut coords = coords.clone();
                    let column = coords.last_mut().expect("a column");
                    *column = self.plus(start, column);
                    coords
                });
                body(&moved.collect::<Vec<Coords>>());
            });
        };
        let blocks = across * SIDE / width;
        if blocks > 1 {
            let var = self.code.open_loop();
            within(&Index { offset: 0, terms: smallvec![(var, width as i64)], dynamic: None }, width);
            self.code.close_loop(blocks, &[]);
        } else {
            within(&constant(0), width);
        }
        if columns % SIDE > 0 {
            within(&constant(across * SIDE), columns % SIDE);
        }
    }

    /// The elements of a tile, a few side by side.
    pub(super) fn sums_of_products(&self, value: ValueId, tile: &[Coords]) -> Vec<ScalarId> {
        tile.chunks(SIDE_BY_SIDE).flat_map(|tile| self.summed_together(value, tile)).collect()
    }

    fn summed_together(&self, value: ValueId, tile: &[Coords]) -> Vec<ScalarId> {
        let node = &self.func.nodes[value];
        let (prim, op) = match node.op.def().lowering {
            Lowering::Scalar(op @ ScalarOp::Add) => (Prim::Add, op),
            Lowering::Scalar(op @ ScalarOp::Sub) => (Prim::Sub, op),
            _ => return tile.iter().map(|coords| self.element(value, coords)).collect(),
        };
        if self.places[value] != Place::Inline && !self.outputs_it(value) {
            return tile.iter().map(|coords| self.element(value, coords)).collect();
        }
        if let Some((product, other)) = self.lone_product(node, op) {
            let others = self.summed_together(other, tile);
            let fused = |(coords, other): (&Coords, ScalarId)| self.fuse(node, product, coords, other);
            return tile.iter().zip(others).map(fused).collect();
        }
        let [left, right] = [node.args[0], node.args[1]].map(|arg| self.summed_together(arg, tile));
        left.into_iter().zip(right).map(|(left, right)| self.code.op(prim, &[left, right])).collect()
    }

    /// Whether a value is written to an output where it is computed.
    fn outputs_it(&self, value: ValueId) -> bool {
        self.own_output(value).is_some()
    }

    /// `a·b ± other`, rounded once, where `a·b` is one of the operands of `node`, a sum or a difference.
    pub(super) fn fuse(&self, node: &Node, product: ValueId, coords: &[Index], other: ScalarId) -> ScalarId {
        let (a, b) = self.factors(&self.func.nodes[product], coords);
        let negated = |id: ScalarId| self.code.op(Prim::Neg, &[id]);
        let (a, c) = match node.op.def().lowering {
            Lowering::Scalar(ScalarOp::Sub) if product == node.args[0] => (a, negated(other)),
            Lowering::Scalar(ScalarOp::Sub) => (negated(a), other),
            _ => (a, other),
        };
        self.code.op(Prim::Fma, &[a, b, c])
    }
}
