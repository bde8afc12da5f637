//! Layer 3: the same function for less work.
//!
//! In: a function. Out: a function with equal results, rebuilt through the builder (which folds,
//! shares and drops what nobody needs) under the rewrites of [`rules`] until nothing changes; what a
//! long function computes entry by entry is then rolled up (`roll`).

mod roll;
pub mod rules;

use crate::base::index::IndexVec;
use crate::ir::builder::Builder;
use crate::ir::func::{Args, Attr, Func, ValueId};
use crate::ir::op::{Lowering, Op};
use roll::Roll;

/// Rounds of rewriting after which the rest is left as it is; three are usual.
const ROUNDS: usize = 16;

/// Fewer elements than this are computed in straight-line code, in registers, however alike they are.
const STRAIGHT: usize = 400;

/// `func`, rewritten by every rule that applies.
pub fn optimise(func: Func) -> Func {
    let func = rewritten(func);
    if elements(&func) < STRAIGHT {
        return func;
    }
    let mut roll = Roll::default();
    let (rolled, changed) = rebuilt(&func, |b, value| roll.joined(b, value));
    if !changed {
        return func;
    }
    let (even, _) = rebuilt(&rolled, roll::taken::evenly);
    rewritten(even)
}

/// How many elements are computed.
fn elements(func: &Func) -> usize {
    let computed = |op: Op| match op.def().lowering {
        Lowering::Scalar(_) | Lowering::Reduce(_) | Lowering::Contract => true,
        Lowering::IndexMap | Lowering::Leaf | Lowering::Expanded => false,
    };
    func.nodes.iter().filter(|node| computed(node.op)).map(|node| node.ty.shape.count()).sum()
}

fn rewritten(func: Func) -> Func {
    let mut func = func;
    for _ in 0..ROUNDS {
        let rules = |b: &mut Builder, value| rules::RULES.iter().find_map(|rule| (rule.rewrite)(b, value));
        let (next, changed) = rebuilt(&func, rules);
        func = next;
        if !changed {
            break;
        }
    }
    func
}

/// `func` with every node replaced as `rewrite` says, operands first; and whether any was.
fn rebuilt(func: &Func, mut rewrite: impl FnMut(&mut Builder, ValueId) -> Option<ValueId>) -> (Func, bool) {
    let mut b = Builder::new(func.name.clone());
    b.reserve(func.nodes.len());
    let params: Vec<ValueId> =
        func.params.iter().map(|port| b.param(port.name.clone(), func.ty(port.value).clone())).collect();
    let mut map: IndexVec<ValueId, ValueId> = IndexVec::new();
    let mut changed = false;
    for node in func.nodes.iter() {
        b.set_span(node.span);
        let args: Args = node.args.iter().map(|arg| map[*arg]).collect();
        let copy = match (node.op, &node.attr) {
            (Op::Param, Attr::Index(index)) => params[*index as usize],
            (Op::Constant, attr) => b.intern(Op::Constant, attr.clone(), Args::new(), node.ty.clone()),
            (Op::Variable, _) => b.variable(args[0]),
            (op, attr) => b.must(op, &args, attr.clone()),
        };
        let rewritten = rewrite(&mut b, copy);
        changed |= rewritten.is_some();
        map.push(rewritten.unwrap_or(copy));
    }
    (b.finish(func.results.iter().map(|port| (port.name.clone(), map[port.value])).collect()), changed)
}
