//! Coefficients of variables that a function is linear in.
//!
//! An equation of motion is linear in its primes, those of unknowns and those of noises: the mass
//! matrix is the derivative of the equations by the primes, the diffusion that by the noises, and
//! the drift is what the equations are where these are zero. Linear means that the derivative does
//! not depend on what it is taken by.

use crate::ad::errors::AdError;
use crate::ad::expand::expand;
use crate::ad::jvp::jvp;
use crate::base::index::IndexVec;
use crate::ir::builder::Builder;
use crate::ir::func::{Args, Attr, Func, ValueId};
use crate::ir::op::{Derivative, Op};
use crate::ir::types::Shape;
use std::sync::Arc;

/// Most entries of a variable: each is a copy of the part of the code that it enters.
const MAX_DIRECTIONS: usize = 1024;

/// A result that is not linear in a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotLinear {
    /// Which result.
    pub result: usize,
    /// Which parameter.
    pub param: usize,
}

/// The derivative of one result by one parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Which result.
    pub result: usize,
    /// Which parameter.
    pub param: usize,
}

/// The matrices `∂ result / ∂ param: [entries of the result, entries of the param]` for each result
/// that depends on a parameter of `params`, in this order; the function that computes them has the
/// parameters of `func`. `Ok(Err(..))` names a result that is not linear.
pub fn coefficients(func: &Func, params: &[usize]) -> Result<Result<(Func, Vec<Block>), NotLinear>, AdError> {
    let func = expand(func.clone())?;
    let mut b = Builder::from_func(&func);
    let (mut blocks, mut values) = (Vec::new(), Vec::new());
    for param in params.iter().copied() {
        let x = func.params[param].value;
        let results: Vec<usize> =
            (0..func.results.len()).filter(|result| func.depends(func.results[*result].value, x)).collect();
        let outputs: Vec<ValueId> = results.iter().map(|result| func.results[*result].value).collect();
        let ty = func.ty(x).clone();
        let n = ty.shape.count();
        if n > MAX_DIRECTIONS {
            return Err(AdError::TooLarge { op: "coefficients", directions: n, span: func.nodes[x].span });
        }
        let mut columns: Vec<Vec<ValueId>> = vec![Vec::new(); results.len()];
        for entry in 0..if outputs.is_empty() { 0 } else { n } {
            let mut seed = vec![0.0; n];
            seed[entry] = 1.0;
            let seed = b.constant(&seed, ty.clone());
            for (columns, tangent) in columns.iter_mut().zip(jvp(&mut b, &[(x, seed)], &outputs)?) {
                let rows = b.shape(tangent).count();
                columns.push(b.reshape(tangent, Shape::new(&[rows, 1])));
            }
        }
        for (result, columns) in results.into_iter().zip(columns).filter(|(_, columns)| !columns.is_empty()) {
            blocks.push(Block { result, param });
            values.push(b.concat(&columns, 1));
        }
    }
    let named = |(number, value): (usize, &ValueId)| (Arc::from(format!("block {number}")), *value);
    let matrices = b.finish(values.iter().enumerate().map(named).collect());
    for (number, block) in blocks.iter().enumerate() {
        let value = matrices.results[number].value;
        if params.iter().any(|param| matrices.depends(value, matrices.params[*param].value)) {
            return Ok(Err(NotLinear { result: block.result, param: block.param }));
        }
    }
    Ok(Ok((matrices, blocks)))
}

/// `func` where the parameters numbered in `params` are zero as functions: what is a multiple of
/// them is gone, not multiplied by 0. The parameters stay, unused.
pub fn at_zero(func: &Func, params: &[usize]) -> Func {
    let mut b = Builder::new(func.name.clone());
    let inputs: Vec<ValueId> =
        func.params.iter().map(|port| b.param(port.name.clone(), func.ty(port.value).clone())).collect();
    // `None` is a zero that no number stands for yet.
    let mut map: IndexVec<ValueId, Option<ValueId>> = IndexVec::new();
    for node in func.nodes.iter() {
        b.set_span(node.span);
        let images: Vec<Option<ValueId>> = node.args.iter().map(|arg| map[*arg]).collect();
        let vanishes = match node.op.def().derivative {
            Derivative::Linear(_) => {
                let mut floats =
                    node.args.iter().zip(&images).filter(|(arg, _)| func.ty(**arg).dtype.is_float());
                !images.is_empty() && floats.all(|(_, image)| image.is_none())
            }
            Derivative::Bilinear(_) => images.iter().any(Option::is_none),
            Derivative::Elementwise(_) | Derivative::Composite(_) | Derivative::Barrier => false,
            Derivative::Zero | Derivative::Leaf | Derivative::Request => false,
        };
        map.push(match (node.op, &node.attr) {
            (Op::Param, Attr::Index(index)) => {
                let index = *index as usize;
                (!params.contains(&index)).then(|| inputs[index])
            }
            (Op::Constant, attr) => Some(b.intern(Op::Constant, attr.clone(), Args::new(), node.ty.clone())),
            _ if vanishes => None,
            (op, attr) => {
                let filled = node
                    .args
                    .iter()
                    .zip(images)
                    .map(|(arg, image)| image.unwrap_or_else(|| b.splat(0.0, func.ty(*arg).clone())));
                let args: Vec<ValueId> = filled.collect();
                Some(if op == Op::Variable { b.variable(args[0]) } else { b.must(op, &args, attr.clone()) })
            }
        });
    }
    let results = func.results.iter().map(|port| {
        let value = map[port.value].unwrap_or_else(|| b.splat(0.0, func.ty(port.value).clone()));
        (port.name.clone(), value)
    });
    let results = results.collect();
    b.finish(results)
}
