//! Which elements are zero by construction.
//!
//! In: a function. Out: for each result the elements that may be something else. `0 * x` counts as
//! zero here, whatever `x` is: the question is what the author wrote, not what a number turns out
//! to be.

use crate::ir::eval::apply;
use crate::ir::func::{Func, Node};
use crate::ir::op::{Derivative, Eval, Op};
use crate::ir::tensor::Tensor;

/// Values with more elements than this are taken to have no zeros.
const MAX_ELEMENTS: usize = 1 << 22;

/// For each result, whether each of its elements may be other than zero.
pub fn may_differ(func: &Func) -> Vec<Vec<bool>> {
    let mut masks: Vec<Tensor> = Vec::with_capacity(func.nodes.len());
    for node in func.nodes.iter() {
        let args: Vec<&Tensor> =
            node.args.iter().map(|arg| &masks[crate::base::index::Idx::index(*arg)]).collect();
        let found = if node.ty.shape.count() > MAX_ELEMENTS { None } else { mask(func, node, &args) };
        masks.push(found.unwrap_or_else(|| filled(node, 1.0)));
    }
    let of = |value: crate::ir::func::ValueId| &masks[crate::base::index::Idx::index(value)];
    func.results.iter().map(|port| of(port.value).data.iter().map(|x| *x != 0.0).collect()).collect()
}

fn filled(node: &Node, value: f64) -> Tensor {
    Tensor { ty: node.ty.clone(), data: vec![value; node.ty.shape.count()] }
}

/// 1 where the value of `node` may differ from zero; `None` if nothing is known.
fn mask(func: &Func, node: &Node, args: &[&Tensor]) -> Option<Tensor> {
    if !node.ty.dtype.is_float() {
        return None;
    }
    if node.op == Op::Constant {
        return Some(ones(apply(node.op, &[], &node.attr, &node.ty)?));
    }
    let is_float = |at: usize| func.ty(node.args[at]).dtype.is_float();
    match node.op.def().derivative {
        Derivative::Linear(_) => linear(node, args, &is_float),
        Derivative::Bilinear(_) => Some(ones(apply(node.op, args, &node.attr, &node.ty)?)),
        Derivative::Elementwise(_) => elementwise(node, args),
        Derivative::Barrier => Some(args[0].clone()),
        Derivative::Zero | Derivative::Composite(_) | Derivative::Leaf | Derivative::Request => {
            (node.op == Op::Variable).then(|| args[0].clone())
        }
    }
}

/// 1 where a tensor is not 0.
fn ones(tensor: Tensor) -> Tensor {
    let data = tensor.data.iter().map(|x| f64::from(u8::from(*x != 0.0))).collect();
    Tensor { ty: tensor.ty, data }
}

/// The image of each operand alone, so that nothing cancels.
fn linear(node: &Node, args: &[&Tensor], is_float: &dyn Fn(usize) -> bool) -> Option<Tensor> {
    let mut sum = filled(node, 0.0);
    let floats: Vec<usize> = (0..args.len()).filter(|at| is_float(*at)).collect();
    let elementwise = args.iter().all(|arg| arg.data.len() == sum.data.len());
    if floats.len() < args.len() {
        // The operands that are chosen between; which are chosen from is not known.
        if !elementwise {
            return None;
        }
        for at in floats {
            sum.data.iter_mut().zip(&args[at].data).for_each(|(sum, x)| *sum += x);
        }
        return Some(ones(sum));
    }
    for at in floats {
        let alone: Vec<Tensor> = args
            .iter()
            .enumerate()
            .map(|(other, arg)| {
                if other == at {
                    (*arg).clone()
                } else {
                    Tensor { ty: arg.ty.clone(), data: vec![0.0; arg.data.len()] }
                }
            })
            .collect();
        let alone: Vec<&Tensor> = alone.iter().collect();
        let image = apply(node.op, &alone, &node.attr, &node.ty)?;
        sum.data.iter_mut().zip(ones(image).data).for_each(|(sum, x)| *sum += x);
    }
    Some(ones(sum))
}

fn elementwise(node: &Node, args: &[&Tensor]) -> Option<Tensor> {
    if node.op == Op::Div {
        return Some(args[0].clone());
    }
    let Eval::Unary(f) = node.op.def().eval else { return None };
    // An odd function keeps zeros.
    (f(0.0) == 0.0).then(|| args[0].clone())
}
