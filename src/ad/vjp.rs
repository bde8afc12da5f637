//! Reverse mode: cotangents.
//!
//! `x̄_i += (∂y/∂x_i)ᵀ ȳ`, node by node from the outputs back to the nodes differentiated by. The
//! cost is a small multiple of one evaluation, however many there are; primal values are shared.
//! Contributions to a cotangent are added in the order in which the walk meets the users of the
//! node: the reverse of the order in which a depth-first search from the outputs leaves them, and
//! operands from left to right.

use crate::ad::errors::AdError;
use crate::ad::fresh_name;
use crate::ad::walk::{Walk, floats, plus, times, unless_zero};
use crate::base::hash::{FastMap, FastSet};
use crate::ir::builder::Builder;
use crate::ir::func::{Func, ValueId};
use crate::ir::op::Derivative;

/// The derivatives of `Σ ȳ·y` over `outputs = [(y, ȳ), …]` by each node of `wrt`, of its type.
/// Every node of `wrt` is independent: the walk stops there. One that no output depends on gets
/// zeros.
pub fn vjp(
    b: &mut Builder,
    outputs: &[(ValueId, ValueId)],
    wrt: &[ValueId],
) -> Result<Vec<ValueId>, AdError> {
    let values: Vec<ValueId> = outputs.iter().map(|(y, _)| *y).collect();
    floats(b, &values, "what is differentiated")?;
    floats(b, wrt, "what it is differentiated by")?;
    let independent: FastSet<ValueId> = wrt.iter().copied().collect();
    let walk = Walk::new(b, &values, &independent)?;

    let mut cotangents = Cotangents::default();
    for (y, cotangent) in outputs.iter().filter(|(y, _)| walk.active.contains(y)) {
        cotangents.add(b, *y, *cotangent);
    }
    for value in walk.order.iter().rev().copied().filter(|value| !independent.contains(value)) {
        if let Some(cotangent) = cotangents.0.remove(&value) {
            pull_back(b, &walk, &mut cotangents, value, cotangent);
        }
    }
    Ok(wrt.iter().map(|x| cotangents.0.get(x).copied().unwrap_or_else(|| b.zeros_like(*x))).collect())
}

/// The sum of what has reached each node so far; absent means zero.
#[derive(Default)]
struct Cotangents(FastMap<ValueId, ValueId>);

impl Cotangents {
    fn add(&mut self, b: &mut Builder, value: ValueId, term: ValueId) {
        if let Some(term) = unless_zero(b, term) {
            let sum = plus(b, self.0.get(&value).copied(), term);
            self.0.insert(value, sum);
        }
    }
}

fn pull_back(b: &mut Builder, walk: &Walk, cotangents: &mut Cotangents, value: ValueId, cotangent: ValueId) {
    let node = b.node(value).clone();
    match node.op.def().derivative {
        Derivative::Linear(transpose) | Derivative::Bilinear(transpose) => {
            for (operand, x) in node.args.iter().enumerate() {
                if walk.active.contains(x) {
                    let term = transpose(b, operand, &node.args, &node.attr, cotangent);
                    cotangents.add(b, *x, term);
                }
            }
        }
        Derivative::Elementwise(partials) => {
            for (x, partial) in node.args.iter().zip(partials) {
                if walk.active.contains(x) {
                    let slope = partial(b, &node.args, value);
                    if let Some(term) = times(b, slope, cotangent) {
                        cotangents.add(b, *x, term);
                    }
                }
            }
        }
        Derivative::Composite(_) => cotangents.add(b, walk.expansions[&value], cotangent),
        Derivative::Zero | Derivative::Leaf | Derivative::Barrier | Derivative::Request => {}
    }
}

/// The reverse derivative by the parameters numbered in `wrt` of the results numbered in
/// `results`.
///
/// Parameters: those of `func`, then a cotangent `bar.<name>` for each of `results`. Results: the
/// cotangents `bar.<name>` of the parameters `wrt`, and nothing else.
pub fn vjp_func(func: &Func, wrt: &[usize], results: &[usize]) -> Result<Func, AdError> {
    let mut b = Builder::from_func(func);
    let mut outputs = Vec::with_capacity(results.len());
    for port in results.iter().map(|index| &func.results[*index]) {
        let name = fresh_name(&b, "bar", &port.name);
        let cotangent = b.param(name, func.ty(port.value).clone());
        outputs.push((port.value, cotangent));
    }
    let inputs: Vec<ValueId> = wrt.iter().map(|index| func.params[*index].value).collect();
    let cotangents = vjp(&mut b, &outputs, &inputs)?;
    let names = wrt.iter().map(|index| format!("bar.{}", func.params[*index].name).into());
    Ok(b.finish(names.zip(cotangents).collect()))
}
