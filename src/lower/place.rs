//! Where each value of a function lives while it runs.
//!
//! Small tensors are scalars, one for each element, so that small systems run in registers. Large
//! ones are either computed where they are used, inside the loop of their only user, or stored to a
//! buffer first: when they have several users, when a user reads elements more than once, or when
//! an element cannot be computed alone.

use crate::base::index::{Idx, IndexVec};
use crate::ir::func::{Attr, Func, Node, ValueId};
use crate::ir::op::{Lowering, Op};
use crate::ir::ops::contract::summed_letters;
use crate::ir::rounding::multiplies;
use smallvec::SmallVec;

/// At most this many ops are computed together where their result is used. It bounds the size of
/// a loop's body and the depth of the recursion that makes it.
const TOGETHER: usize = 64;

/// Where a value lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A parameter or a table: read from memory that is there already.
    Given,
    /// One scalar for each element.
    Scalars,
    /// Scalars, and a buffer for users that run over it with a loop.
    ScalarsAndBuffer,
    /// Nowhere: each element is computed where it is wanted.
    Inline,
    /// A buffer, filled when the definition is reached.
    Buffer,
}

/// What the users of a value do with it.
#[derive(Clone, Copy, Debug, Default)]
struct Demand {
    /// How many users compute with it, users of rearrangements of it included.
    users: usize,
    /// Whether elements are read more than once, or at an address that is not affine.
    repeated: bool,
    /// Whether a user runs over it with a loop.
    looped: bool,
    /// Whether a user adds up rows of it.
    rows: bool,
}

/// Most ops that are computed where rows are added up, if values are rows ([`places`] with a limit of 1):
/// there the neighbours of an element are not those in memory, so that a vector is made of several.
const IN_ROWS: usize = 3;

/// The place of every value when tensors of at most `limit` elements are scalars and sums of at
/// most `limit` terms are written out.
pub(super) fn places(func: &Func, limit: usize) -> IndexVec<ValueId, Place> {
    let is_small = |value: ValueId| func.ty(value).shape.count() <= limit;
    let mut demands: IndexVec<ValueId, Demand> = func.nodes.iter().map(|_| Demand::default()).collect();
    for port in &func.results {
        demands[port.value].users += 1;
        demands[port.value].looped |= !is_small(port.value);
    }
    // Whether every user takes all elements in row-major order.
    let mut streamed: IndexVec<ValueId, bool> = func.nodes.iter().map(|_| true).collect();
    for (id, node) in func.nodes.entries().rev() {
        let user = demands[id];
        let streams = match (node.op, &node.attr) {
            (Op::Reshape, _) => streamed[id],
            (Op::Concat, Attr::Axis(axis)) => {
                node.ty.shape.dims()[..*axis as usize].iter().all(|dim| *dim == 1)
            }
            _ => false,
        };
        for (operand, arg) in node.args.iter().enumerate() {
            streamed[*arg] &= streams;
            let demand = &mut demands[*arg];
            // Scalars that are joined are stored one by one.
            let joins = node.op == Op::Concat && streams;
            demand.looped |= !is_small(id) && !joins || runs_over(func, node, operand, limit);
            demand.rows |= limit == 1 && adds_rows(func, node);
            if rearranges(node) {
                demand.rows |= user.rows;
                demand.users += user.users;
                demand.repeated |= user.repeated || repeats(node, streamed[id]) && !is_small(*arg);
            } else {
                demand.users += usize::from(!same_element_again(node, operand));
                demand.repeated |=
                    matches!((node.op, operand), (Op::Contract | Op::Gather, _) | (Op::ScatterAdd, 1));
            }
        }
    }
    let mut places: IndexVec<ValueId, Place> = IndexVec::new();
    // How many ops are computed where the value is used.
    let mut together: IndexVec<ValueId, usize> = IndexVec::new();
    for (id, node) in func.nodes.entries() {
        let demand = demands[id];
        let inlined = node.args.iter().filter(|arg| places[**arg] == Place::Inline);
        let size = 1 + inlined.map(|arg| together[*arg]).sum::<usize>();
        let many = func.ty(id).shape.count() > 1;
        places.push(if matches!(node.op, Op::Param) || (node.op == Op::Constant && is_table(node)) {
            Place::Given
        } else if node.op == Op::ScatterAdd {
            Place::Buffer
        } else if matches!(node.op, Op::Constant | Op::Iota) {
            Place::Inline
        } else if is_small(id) {
            if demand.looped && many { Place::ScalarsAndBuffer } else { Place::Scalars }
        } else if stored(node)
            || (!streamed[id] && divides(func, node) && places[node.args[0]] == Place::Inline)
            || size > TOGETHER
            || (!rearranges(node) && (demand.users > 1 || demand.repeated || demand.rows && size > IN_ROWS))
        {
            Place::Buffer
        } else {
            Place::Inline
        });
        together.push(size);
    }
    places
}

/// Whether a node reduces the last axis of several rows.
fn adds_rows(func: &Func, node: &Node) -> bool {
    let (Lowering::Reduce(_), Attr::Axes(axes)) = (node.op.def().lowering, &node.attr) else { return false };
    let rank = func.ty(node.args[0]).shape.rank();
    axes.iter().any(|axis| *axis as usize + 1 == rank) && node.ty.shape.count() > 1
}

/// Whether an elementwise op has this operand already: one element serves twice.
fn same_element_again(node: &Node, operand: usize) -> bool {
    matches!(node.op.def().lowering, Lowering::Scalar(_))
        && node.args[..operand].contains(&node.args[operand])
}

/// Whether a node reads this operand at varying coordinates though its result is small.
fn runs_over(func: &Func, node: &Node, operand: usize, limit: usize) -> bool {
    match (node.op, &node.attr) {
        (Op::ScatterAdd, _) => true,
        (Op::Gather, _) => operand == 0,
        (Op::Contract, _) => summed_turns(func, node) > limit,
        _ => false,
    }
}

/// How many terms an element of a reduction or contraction is the sum of; 1 for other ops.
pub(super) fn summed_turns(func: &Func, node: &Node) -> usize {
    let length = |value: ValueId, axis: usize| func.ty(value).shape.dims()[axis];
    match (node.op.def().lowering, &node.attr) {
        (Lowering::Contract, Attr::Contract(spec)) => {
            let operands = [(&spec.lhs, node.args[0]), (&spec.rhs, node.args[1])];
            let turns = summed_letters(spec).into_iter().map(|letter| {
                let found = operands.iter().find_map(|(letters, value)| {
                    Some(length(*value, letters.iter().position(|l| *l == letter)?))
                });
                found.expect("a summed letter belongs to an operand")
            });
            turns.product()
        }
        (Lowering::Reduce(_), Attr::Axes(axes)) => {
            axes.iter().map(|axis| length(node.args[0], *axis as usize)).product()
        }
        _ => 1,
    }
}

/// Whether the node only says where its elements are found.
fn rearranges(node: &Node) -> bool {
    match node.op {
        Op::Reshape | Op::Permute | Op::Broadcast | Op::Slice | Op::Reverse | Op::Windows => true,
        _ => {
            node.op.def().lowering == Lowering::IndexMap
                && !matches!(node.op, Op::Pad | Op::Concat | Op::Gather | Op::ScatterAdd)
        }
    }
}

/// Whether a rearrangement reads elements more than once, or at an address that is not affine.
fn repeats(node: &Node, streamed: bool) -> bool {
    matches!(node.op, Op::Broadcast | Op::Windows) || node.op == Op::Reshape && !streamed
}

/// Whether an element of a reshape is found by division, unless its operand lies in memory.
fn divides(func: &Func, node: &Node) -> bool {
    let long = |dims: &[usize]| dims.iter().copied().filter(|dim| *dim != 1).collect::<Vec<usize>>();
    node.op == Op::Reshape && {
        let inner = func.ty(node.args[0]).shape.dims();
        let is_splat = func.nodes[node.args[0]].op == Op::Constant;
        !is_splat && inner.len() > 1 && long(inner) != long(node.ty.shape.dims())
    }
}

/// Whether a large value of this op is stored whatever its users: its elements are dear, or they
/// come from pieces.
fn stored(node: &Node) -> bool {
    match node.op.def().lowering {
        Lowering::Contract => !multiplies(node),
        Lowering::Reduce(_) => true,
        Lowering::IndexMap => matches!(node.op, Op::Pad | Op::Concat | Op::Gather),
        Lowering::Scalar(_) | Lowering::Leaf | Lowering::Expanded => false,
    }
}

/// Whether a constant is given element by element.
fn is_table(node: &Node) -> bool {
    matches!(node.attr, Attr::Elements(_))
}

/// The coordinates of element `flat` of a tensor with these axis lengths.
pub(super) fn unravel(mut flat: usize, dims: &[usize]) -> SmallVec<[usize; 4]> {
    let mut coords: SmallVec<[usize; 4]> = SmallVec::from_elem(0, dims.len());
    for axis in (0..dims.len()).rev() {
        coords[axis] = flat % dims[axis];
        flat /= dims[axis];
    }
    debug_assert_eq!(flat, 0);
    coords
}

/// Offsets of local buffers in one workspace, each a multiple of 64; a buffer's bytes serve again
/// once no later statement reads it.
#[derive(Debug, Default)]
pub(super) struct Arena {
    /// Taken ranges: offset, bytes, last reader.
    taken: Vec<(usize, usize, usize)>,
    /// The most bytes in use at once.
    pub size: usize,
}

impl Arena {
    /// Room for `bytes` bytes from the definition of node `now` to its last reader `until`.
    pub fn place(&mut self, bytes: usize, now: usize, until: usize) -> usize {
        self.taken.retain(|(_, _, last)| *last >= now);
        self.taken.sort_unstable();
        let bytes = bytes.next_multiple_of(64).max(64);
        let mut offset = 0;
        for (start, length, _) in &self.taken {
            if offset + bytes <= *start {
                break;
            }
            offset = offset.max(start + length);
        }
        self.taken.push((offset, bytes, until));
        self.size = self.size.max(offset + bytes);
        offset
    }
}

/// For each value, the last node that may read its buffer: values computed where they are used
/// read their operands as late as their own last reader.
pub(super) fn last_readers(
    func: &Func,
    places: &IndexVec<ValueId, Place>,
    lone: &IndexVec<ValueId, bool>,
) -> IndexVec<ValueId, usize> {
    let end = func.nodes.len();
    let mut last: IndexVec<ValueId, usize> = func.nodes.iter().map(|_| 0).collect();
    for port in &func.results {
        last[port.value] = end;
    }
    for (id, node) in func.nodes.entries().rev() {
        let read_at = if places[id] == Place::Inline || lone[id] { last[id] } else { id.index() };
        for arg in &node.args {
            last[*arg] = last[*arg].max(read_at);
        }
    }
    last
}
