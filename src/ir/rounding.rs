//! Which products are rounded.
//!
//! A product whose only user is one sum is computed by that sum, a fused multiply-add, so that both round
//! once. That is part of what a function means to the last bit, on targets that have the operation, and
//! it depends on nothing but who uses what. `lower` goes by it, and so do passes that keep bits.

use crate::base::index::IndexVec;
use crate::ir::func::{Attr, Func, Node, ValueId};
use crate::ir::op::Op;
use crate::ir::ops::contract::summed_letters;

/// Whether a contraction only multiplies: an outer product.
pub(crate) fn multiplies(node: &Node) -> bool {
    matches!(&node.attr, Attr::Contract(spec) if summed_letters(spec).is_empty())
}

/// Whether a node is a product of two numbers in each element.
pub(crate) fn is_product(node: &Node) -> bool {
    node.op == Op::Mul || multiplies(node)
}

/// Whether a product is computed by the sum that is its only user, so that both round once.
pub(crate) fn lone_products(func: &Func) -> IndexVec<ValueId, bool> {
    lone_products_among(func, |_| true)
}

/// The same, if only nodes for which `used` holds are there to use anything.
pub(crate) fn lone_products_among(func: &Func, used: impl Fn(ValueId) -> bool) -> IndexVec<ValueId, bool> {
    let mut users: IndexVec<ValueId, (usize, bool)> = func.nodes.iter().map(|_| (0, true)).collect();
    for (_, node) in func.nodes.entries().filter(|(id, _)| used(*id)) {
        for arg in &node.args {
            users[*arg].0 += 1;
            users[*arg].1 &= matches!(node.op, Op::Add | Op::Sub);
        }
    }
    for port in &func.results {
        users[port.value].1 = false;
    }
    let lone =
        |(id, node): (ValueId, &Node)| is_product(node) && node.ty.dtype.is_float() && users[id] == (1, true);
    func.nodes.entries().map(lone).collect()
}
