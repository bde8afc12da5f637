//! The invariants of a function.
//!
//! 1. Every operand precedes its user, and every port names a node.
//! 2. `params[i].value` is the node `param` with index `i`, there is no other `param`, and names of
//!    parameters differ.
//! 3. Every type is the one the op's rule infers; a constant has as many elements as its type, and
//!    an element list is not all one value.
//! 4. No two nodes have equal op, attribute, operands and type.
//! 5. Every node but a parameter is needed by a result.

use crate::base::hash::FastSet;
use crate::base::index::Idx;
use crate::ir::func::{Attr, Func, Node, ValueId};
use crate::ir::infer::result_type;
use crate::ir::op::Op;
use crate::ir::types::Type;

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("in `{func}` at {place}: {message}")]
pub struct VerifyError {
    /// Which function.
    pub func: String,
    /// Which node or port.
    pub place: String,
    /// What is wrong.
    pub message: String,
}

/// Checks all invariants; the first broken one is the error.
pub fn verify(func: &Func) -> Result<(), VerifyError> {
    let broken =
        |place: String, message: String| Err(VerifyError { func: func.name.clone(), place, message });
    let mut seen = FastSet::default();
    let mut needed = vec![false; func.nodes.len()];
    for port in func.params.iter().chain(&func.results) {
        match needed.get_mut(port.value.index()) {
            Some(needed) => *needed = true,
            None => return broken(port.name.to_string(), format!("there is no {}", port.value)),
        }
    }
    for (id, node) in func.nodes.entries() {
        if let Some(arg) = node.args.iter().find(|arg| **arg >= id) {
            return broken(id.to_string(), format!("operand {arg} does not precede its user"));
        }
        if let Err(message) = typed(func, id, node) {
            return broken(id.to_string(), message);
        }
        if !seen.insert((node.op, &node.attr, &node.args, &node.ty)) {
            return broken(id.to_string(), "the same node occurs twice".into());
        }
    }
    for (id, node) in func.nodes.entries().rev() {
        if !needed[id.index()] {
            return broken(id.to_string(), "no result needs it".into());
        }
        node.args.iter().for_each(|arg| needed[arg.index()] = true);
    }
    let mut names = FastSet::default();
    for (index, port) in func.params.iter().enumerate() {
        let node = &func.nodes[port.value];
        if node.op != Op::Param || node.attr != Attr::Index(index as u32) {
            return broken(port.name.to_string(), format!("{} is not parameter {index}", port.value));
        }
        if !names.insert(&port.name) {
            return broken(port.name.to_string(), "two parameters have this name".into());
        }
    }
    Ok(())
}

fn typed(func: &Func, id: ValueId, node: &Node) -> Result<(), String> {
    match (node.op, &node.attr) {
        (Op::Param, Attr::Index(index)) => match func.params.get(*index as usize) {
            Some(port) if port.value == id => Ok(()),
            _ => Err(format!("it is not the value of parameter {index}")),
        },
        (Op::Constant, Attr::Splat(_)) => Ok(()),
        (Op::Constant, Attr::Elements(bits)) => {
            if bits.len() != node.ty.shape.count() {
                Err(format!("{} elements for {}", bits.len(), node.ty))
            } else if bits.iter().all(|b| *b == bits[0]) {
                Err("all elements are equal: a splat".into())
            } else {
                Ok(())
            }
        }
        (op, attr) => {
            let types: Vec<&Type> = node.args.iter().map(|arg| func.ty(*arg)).collect();
            match result_type(op, &types, attr) {
                Ok(ty) if ty == node.ty => Ok(()),
                Ok(ty) => Err(format!("`{}` gives {ty}, not {}", op.def().name, node.ty)),
                Err(error) => Err(format!("`{}`: {error:?}", op.def().name)),
            }
        }
    }
}
