//! The part of a graph along which derivatives flow.
//!
//! In: what is differentiated and what it is differentiated by. Out: the nodes between them,
//! operands first, and the expansions of composites among them. An edge counts only if a
//! derivative can pass it: nothing passes a locally constant op, a barrier, or an operand that is
//! not a float.

use crate::ad::errors::AdError;
use crate::base::hash::{FastMap, FastSet};
use crate::ir::builder::Builder;
use crate::ir::func::ValueId;
use crate::ir::op::Derivative;

/// Nodes that depend on an independent node and on which an output depends.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// Those nodes, operands first, in the order a depth-first search from the outputs leaves them.
    pub order: Vec<ValueId>,
    /// The same, for asking.
    pub active: FastSet<ValueId>,
    /// What each composite stands for.
    pub expansions: FastMap<ValueId, ValueId>,
}

impl Walk {
    /// The walk from `outputs` down to `independent`.
    pub fn new(
        b: &mut Builder,
        outputs: &[ValueId],
        independent: &FastSet<ValueId>,
    ) -> Result<Walk, AdError> {
        let mut walk = Walk::default();
        // A node is entered once: on first sight its sources go on the stack above it, on second
        // sight all of them are done.
        let mut seen: FastMap<ValueId, Vec<ValueId>> = FastMap::default();
        let mut done: FastSet<ValueId> = FastSet::default();
        let mut stack: Vec<ValueId> = outputs.iter().rev().copied().collect();
        while let Some(&value) = stack.last() {
            if done.contains(&value) {
                stack.pop();
            } else if let Some(sources) = seen.get(&value) {
                if independent.contains(&value) || sources.iter().any(|x| walk.active.contains(x)) {
                    walk.active.insert(value);
                    walk.order.push(value);
                }
                done.insert(value);
                stack.pop();
            } else {
                let sources = if independent.contains(&value) { Vec::new() } else { walk.sources(b, value)? };
                stack.extend(sources.iter().rev().filter(|x| !done.contains(x)));
                seen.insert(value, sources);
            }
        }
        Ok(walk)
    }

    /// The nodes from which a derivative reaches `value` directly.
    fn sources(&mut self, b: &mut Builder, value: ValueId) -> Result<Vec<ValueId>, AdError> {
        if !b.ty(value).dtype.is_float() {
            return Ok(Vec::new());
        }
        let node = b.node(value).clone();
        match node.op.def().derivative {
            Derivative::Zero | Derivative::Leaf | Derivative::Barrier => Ok(Vec::new()),
            Derivative::Linear(_) | Derivative::Bilinear(_) | Derivative::Elementwise(_) => {
                Ok(node.args.iter().copied().filter(|arg| b.ty(*arg).dtype.is_float()).collect())
            }
            Derivative::Composite(expand) => {
                let expansion = expand(b, &node.args, &node.attr);
                self.expansions.insert(value, expansion);
                Ok(vec![expansion])
            }
            Derivative::Request => Err(AdError::Request { op: node.op.def().name, span: node.span }),
        }
    }
}

/// Refuses what has no derivatives.
pub(crate) fn floats(b: &Builder, values: &[ValueId], what: &str) -> Result<(), AdError> {
    for value in values {
        let node = b.node(*value);
        if !node.ty.dtype.is_float() {
            return Err(AdError::NotFloat { what: what.into(), found: node.ty.to_string(), span: node.span });
        }
    }
    Ok(())
}

/// `sum + term`, where an absent sum is zero.
pub(crate) fn plus(b: &mut Builder, sum: Option<ValueId>, term: ValueId) -> ValueId {
    match sum {
        None => term,
        Some(sum) => b.add(sum, term),
    }
}

/// `value`, unless it is zero by construction.
pub(crate) fn unless_zero(b: &Builder, value: ValueId) -> Option<ValueId> {
    (b.as_splat(value) != Some(0.0)).then_some(value)
}

/// `factor * x` for a derivative factor; absent if the factor is zero by construction.
pub(crate) fn times(b: &mut Builder, factor: ValueId, x: ValueId) -> Option<ValueId> {
    unless_zero(b, factor).map(|factor| b.mul(factor, x))
}

/// The op of `value`, linear in all its operands jointly, applied to other operands: an absent one
/// is zero, or stays what it is where it is not a float. Absent if all are.
pub(crate) fn linear_image(b: &mut Builder, value: ValueId, images: &[Option<ValueId>]) -> Option<ValueId> {
    if images.iter().all(Option::is_none) {
        return None;
    }
    let node = b.node(value).clone();
    let args = node.args.iter().zip(images).map(|(arg, image)| match image {
        Some(image) => *image,
        None if b.ty(*arg).dtype.is_float() => b.zeros_like(*arg),
        None => *arg,
    });
    let args: Vec<ValueId> = args.collect();
    Some(b.must(node.op, &args, node.attr))
}
