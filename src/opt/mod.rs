//! Layer 3: the same function for less work.
//!
//! In: a function, as a builder leaves it: folded, without equal or dead nodes. Out: a function with equal
//! results, in which no rewrite of [`rules`] applies any more: from the first node that one applies to it is
//! rebuilt through the builder (which folds, shares and drops what nobody needs) until nothing changes; what
//! a long function computes entry by entry is then rolled up (`roll`).

mod roll;
pub mod rules;

use crate::base::index::{Idx, IndexVec};
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
    let Some(first) = func.nodes.iter().position(Roll::looks_at) else { return func };
    let mut roll = Roll::default();
    let (rolled, changed) = rebuilt(func, first, |b, value| roll.joined(b, value));
    if !changed {
        // What was tried in vain may have given values other numbers.
        return rolled;
    }
    let (even, _) = rebuilt(rolled, 0, roll::taken::evenly);
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
        let (whole, first) = first_rewritten(func);
        func = whole;
        let Some(first) = first else { break };
        let (next, changed) = rebuilt(func, first, rewrite);
        func = next;
        if !changed {
            break;
        }
    }
    func
}

/// What the rules make of a value.
fn rewrite(b: &mut Builder, value: ValueId) -> Option<ValueId> {
    rules::RULES.iter().find_map(|rule| (rule.rewrite)(b, value))
}

/// `func`, and the position of its first node that a rule rewrites, if there is one.
fn first_rewritten(func: Func) -> (Func, Option<usize>) {
    let (count, results) = (func.nodes.len(), func.results.clone());
    let (mut b, _) = Builder::taken_over(func, count);
    let first = (0..count).find(|at| {
        let rewritten = rewrite(&mut b, ValueId::from_usize(*at)).is_some();
        // A rule that makes nodes in vain leaves them behind.
        rewritten || b.len() > count
    });
    b.truncate(count);
    (b.whole(results), first)
}

/// `func` with every node from position `first` on replaced as `rewrite` says, operands first; and
/// whether any was.
fn rebuilt(
    func: Func,
    first: usize,
    mut rewrite: impl FnMut(&mut Builder, ValueId) -> Option<ValueId>,
) -> (Func, bool) {
    let results = func.results.clone();
    let last_param = func.params.iter().map(|port| port.value.index() + 1).max().unwrap_or(0);
    // No parameter can be declared behind a node that is taken over.
    let kept = if last_param <= first || last_param == func.params.len() { first.max(last_param) } else { 0 };
    let mut map: IndexVec<ValueId, ValueId> = (0..kept).map(ValueId::from_usize).collect();
    let (mut b, rest) = if kept > 0 {
        Builder::taken_over(func, kept)
    } else {
        let mut b = Builder::new(func.name.clone());
        for port in &func.params {
            b.param(port.name.clone(), func.ty(port.value).clone());
        }
        (b, func.nodes)
    };
    b.reserve(rest.len());
    let mut changed = false;
    for node in rest {
        b.set_span(node.span);
        let args: Args = node.args.iter().map(|arg| map[*arg]).collect();
        let copy = match (node.op, &node.attr) {
            (Op::Param, Attr::Index(index)) => b.params()[*index as usize].value,
            (Op::Constant, attr) => b.intern(Op::Constant, attr.clone(), Args::new(), node.ty.clone()),
            (Op::Variable, _) => b.variable(args[0]),
            _ => b.copy(&node, &args),
        };
        let rewritten = rewrite(&mut b, copy);
        changed |= rewritten.is_some();
        map.push(rewritten.unwrap_or(copy));
    }
    (b.finish(results.into_iter().map(|port| (port.name, map[port.value])).collect()), changed)
}
