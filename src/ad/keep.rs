//! What the forward call keeps, so that the reverse need not compute it again.
//!
//! In: a function, and a reverse of it, which computes again from the operands all that it needs of the
//! values in between. Out: the function with one more result, the values *kept*, and the reverse with
//! one more operand, these. Kept is only what the function computes anyway, and which of it is decided
//! by cost: `cut` finds the values that make keeping them and computing the rest again from them
//! cheapest.
//!
//! All bits are the same with and without: what is kept is what the reverse would compute, and the same
//! products are rounded, those by themselves and those with the sum that uses them (`ir::rounding`).

mod cut;

use crate::ad::fresh_name;
use crate::base::index::{Idx, IndexVec};
use crate::ir::builder::Builder;
use crate::ir::func::{Args, Attr, Contraction, Func, Node, ValueId};
use crate::ir::op::{Lowering, Op};
use crate::ir::rounding::{is_product, lone_products, lone_products_among};
use crate::ir::types::{Shape, Type};
use cut::{Price, cheapest};

/// A function and a reverse of it that share what the one keeps for the other.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The function, with a last result `kept: [len]`.
    pub forward: Func,
    /// The reverse, with a last parameter `kept: [len]`.
    pub reverse: Func,
    /// How many numbers are kept.
    pub len: usize,
}

/// What it costs to keep an element, in operations: it is written to a place of its own from where the
/// function has it, and read again.
const KEPT: u64 = 4;

/// Nodes of a reverse beyond which nothing is kept: the search takes more than linear time.
const MOST_NODES: usize = 30_000;

/// `forward` and `reverse` with what is worth keeping; `None` if nothing is. The first parameters of
/// `reverse` are those of `forward`, in their order; all results of `forward` are of one float type.
/// Both have no requests for derivatives.
pub fn keep(forward: &Func, reverse: &Func) -> Option<Kept> {
    let dtype = forward.ty(forward.results.first()?.value).dtype;
    if reverse.nodes.len() > MOST_NODES {
        return None;
    }
    let primal = primal(reverse, forward.params.len());
    let mut b = Builder::from_func(forward);
    let copies = primal_copies(&mut b, reverse, &primal, forward);
    let known = known(forward, reverse, &copies);
    let price = |id: ValueId| {
        let node = &reverse.nodes[id];
        let keeps = known[id] && node.ty.dtype == dtype && !is_product(node);
        let count = node.ty.shape.count() as u64;
        Price { kept: keeps.then_some(KEPT * count), again: work(reverse, node) }
    };
    let kept = cheapest(reverse, &needed(reverse, &primal), price);
    if kept.is_empty() {
        return None;
    }
    let values: Vec<ValueId> = kept.iter().map(|id| copies[*id].expect("a primal value")).collect();
    let packed = b.pack(&values, dtype);
    let mut results: Vec<_> = forward.results.iter().map(|port| (port.name.clone(), port.value)).collect();
    results.push(("kept".into(), packed));
    let len = b.shape(packed).count();
    let forward = b.finish(results);
    Some(Kept { forward, reverse: taking(reverse, &kept, Type::new(dtype, &[len])), len })
}

/// `reverse` with a last parameter `kept`, of type `ty`: the values `kept`, ascending.
fn taking(reverse: &Func, kept: &[ValueId], ty: Type) -> Func {
    let mut b = Builder::new(reverse.name.clone());
    let declared = reverse.params.iter();
    let params: Vec<ValueId> =
        declared.map(|port| b.param(port.name.clone(), reverse.ty(port.value).clone())).collect();
    let name = fresh_name(&b, "step", "kept");
    let packed = b.param(name, ty);
    let shapes: Vec<Shape> = kept.iter().map(|id| reverse.ty(*id).shape.clone()).collect();
    let mut given = kept.iter().zip(b.unpack(packed, &shapes)).peekable();
    // A product that has lost all users but a sum is still rounded by itself.
    let used = used_without(reverse, kept);
    let (before, after) = (lone_products(reverse), lone_products_among(reverse, |id| used[id]));
    let mut copies: IndexVec<ValueId, ValueId> = IndexVec::new();
    for (id, node) in reverse.nodes.entries() {
        let known = given.next_if(|(value, _)| **value == id).map(|(_, known)| known);
        copies.push(known.unwrap_or_else(|| {
            let operand = |arg: &ValueId| match used[id] && after[*arg] && !before[*arg] {
                true => b.unary(Op::StopGradient, copies[*arg]),
                false => copies[*arg],
            };
            let args = node.args.iter().map(operand).collect();
            copy(&mut b, node, &params, args)
        }));
    }
    let results = reverse.results.iter().map(|port| (port.name.clone(), copies[port.value]));
    b.finish(results.collect())
}

/// Which nodes the results still need if the values `kept`, ascending, are given.
fn used_without(func: &Func, kept: &[ValueId]) -> IndexVec<ValueId, bool> {
    let mut used: IndexVec<ValueId, bool> = func.nodes.iter().map(|_| false).collect();
    func.results.iter().for_each(|port| used[port.value] = true);
    for (id, node) in func.nodes.entries().rev() {
        used[id] &= kept.binary_search(&id).is_err();
        if used[id] {
            node.args.iter().for_each(|arg| used[*arg] = true);
        }
    }
    used
}

/// Which nodes of `reverse` the function `forward` computes as well, to the same bits: `copies` are they
/// among its nodes.
fn known(
    forward: &Func,
    reverse: &Func,
    copies: &IndexVec<ValueId, Option<ValueId>>,
) -> IndexVec<ValueId, bool> {
    let (there, here) = (lone_products(forward), lone_products(reverse));
    let mut known: IndexVec<ValueId, bool> = IndexVec::new();
    for (id, node) in reverse.nodes.entries() {
        let own = copies[id].filter(|copy| copy.index() < forward.nodes.len());
        let is_same = |own: ValueId| {
            let Node { op, args, .. } = &forward.nodes[own];
            let same = |(arg, own): (&ValueId, &ValueId)| {
                known[*arg] && copies[*arg] == Some(*own) && here[*arg] == there[*own]
            };
            *op == node.op && args.len() == node.args.len() && node.args.iter().zip(args).all(same)
        };
        known.push(own.is_some_and(is_same));
    }
    known
}

/// Which nodes of `func` are computed from its first `count` parameters alone.
fn primal(func: &Func, count: usize) -> IndexVec<ValueId, bool> {
    let mut primal: IndexVec<ValueId, bool> = IndexVec::new();
    for node in func.nodes.iter() {
        primal.push(match (node.op, &node.attr) {
            (Op::Param, Attr::Index(index)) => (*index as usize) < count,
            _ => node.args.iter().all(|arg| primal[*arg]),
        });
    }
    primal
}

/// The primal values that something which is not primal is computed from, or that are results.
fn needed(func: &Func, primal: &IndexVec<ValueId, bool>) -> Vec<ValueId> {
    let mut needed: IndexVec<ValueId, bool> = func.nodes.iter().map(|_| false).collect();
    for (id, node) in func.nodes.entries().filter(|(id, _)| !primal[*id]) {
        debug_assert!(node.args.iter().all(|arg| arg.index() < id.index()));
        node.args.iter().for_each(|arg| needed[*arg] = primal[*arg]);
    }
    func.results.iter().for_each(|port| needed[port.value] = primal[port.value]);
    needed.entries().filter(|(_, needed)| **needed).map(|(id, _)| id).collect()
}

/// The primal nodes of `reverse` in `b`, which begins with those of `forward`.
fn primal_copies(
    b: &mut Builder,
    reverse: &Func,
    primal: &IndexVec<ValueId, bool>,
    forward: &Func,
) -> IndexVec<ValueId, Option<ValueId>> {
    let params: Vec<ValueId> = forward.params.iter().map(|port| port.value).collect();
    let mut copies: IndexVec<ValueId, Option<ValueId>> = IndexVec::new();
    for (id, node) in reverse.nodes.entries() {
        copies.push(primal[id].then(|| {
            let operand = |arg: &ValueId| copies[*arg].expect("what it is computed from is primal");
            copy(b, node, &params, node.args.iter().map(operand).collect())
        }));
    }
    copies
}

fn copy(b: &mut Builder, node: &Node, params: &[ValueId], args: Args) -> ValueId {
    b.set_span(node.span);
    match (node.op, &node.attr) {
        (Op::Param, Attr::Index(index)) => params[*index as usize],
        (Op::Constant, attr) => b.intern(Op::Constant, attr.clone(), args, node.ty.clone()),
        (Op::Variable, _) => b.variable(args[0]),
        (op, attr) => b.must(op, &args, attr.clone()),
    }
}

/// Operations that the elements of a node take, about, its operands given.
fn work(func: &Func, node: &Node) -> u64 {
    let count = node.ty.shape.count() as u64;
    match (node.op.def().lowering, &node.attr) {
        (Lowering::Scalar(op), _) => count * op.work(),
        (Lowering::Contract, Attr::Contract(spec)) => 2 * products(func, node, spec),
        (Lowering::Reduce(_), _) => func.ty(node.args[0]).shape.count() as u64,
        (Lowering::IndexMap, _) => match node.op {
            Op::Gather | Op::ScatterAdd => 4 * func.ty(node.args[0]).shape.count() as u64,
            _ => 0,
        },
        (Lowering::Leaf | Lowering::Expanded | Lowering::Contract, _) => 0,
    }
}

/// How many products of elements a contraction is the sums of.
fn products(func: &Func, node: &Node, spec: &Contraction) -> u64 {
    let mut lens = [1; 256];
    for (letters, arg) in [(&spec.lhs, node.args[0]), (&spec.rhs, node.args[1])] {
        for (letter, len) in letters.iter().zip(func.ty(arg).shape.dims()) {
            lens[usize::from(*letter)] = *len as u64;
        }
    }
    lens.iter().product()
}
