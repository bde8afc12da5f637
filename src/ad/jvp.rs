//! Forward mode: tangents.
//!
//! `ẏ = Σ_i (∂y/∂x_i) ẋ_i`, node by node from the seeds to the outputs. Costs a small multiple of
//! the part of the function between them; primal values are shared, not recomputed.

use crate::ad::errors::AdError;
use crate::ad::fresh_name;
use crate::ad::walk::{Walk, floats, linear_image, plus, times, unless_zero};
use crate::base::hash::{FastMap, FastSet};
use crate::ir::builder::Builder;
use crate::ir::func::{Func, ValueId};
use crate::ir::op::Derivative;

/// The tangents of `outputs` when each seeded node `x` of `seeds = [(x, ẋ), …]` moves by `ẋ`, of
/// the type of `x`. Every seeded node is independent: the walk does not look below it. Outputs
/// that do not depend on the seeds get zeros.
pub fn jvp(
    b: &mut Builder,
    seeds: &[(ValueId, ValueId)],
    outputs: &[ValueId],
) -> Result<Vec<ValueId>, AdError> {
    floats(b, outputs, "what is differentiated")?;
    let nodes: Vec<ValueId> = seeds.iter().map(|(x, _)| *x).collect();
    floats(b, &nodes, "what it is differentiated by")?;
    let independent: FastSet<ValueId> = nodes.iter().copied().collect();
    let walk = Walk::new(b, outputs, &independent)?;

    let mut tangents: FastMap<ValueId, ValueId> = FastMap::default();
    for (x, tangent) in seeds {
        if let Some(tangent) = unless_zero(b, *tangent) {
            let sum = plus(b, tangents.get(x).copied(), tangent);
            tangents.insert(*x, sum);
        }
    }
    for value in walk.order.iter().copied().filter(|value| !independent.contains(value)) {
        let tangent = tangent(b, &walk, &tangents, value).and_then(|t| unless_zero(b, t));
        if let Some(tangent) = tangent {
            tangents.insert(value, tangent);
        }
    }
    Ok(outputs.iter().map(|y| tangents.get(y).copied().unwrap_or_else(|| b.zeros_like(*y))).collect())
}

fn tangent(
    b: &mut Builder,
    walk: &Walk,
    tangents: &FastMap<ValueId, ValueId>,
    value: ValueId,
) -> Option<ValueId> {
    let node = b.node(value).clone();
    let mut sum = None;
    match node.op.def().derivative {
        Derivative::Linear(_) => {
            let images: Vec<Option<ValueId>> = node.args.iter().map(|x| tangents.get(x).copied()).collect();
            sum = linear_image(b, value, &images);
        }
        Derivative::Bilinear(_) => {
            for (operand, x) in node.args.iter().enumerate() {
                if let Some(tangent) = tangents.get(x) {
                    let mut args = node.args.clone();
                    args[operand] = *tangent;
                    let term = b.must(node.op, &args, node.attr.clone());
                    sum = Some(plus(b, sum, term));
                }
            }
        }
        Derivative::Elementwise(partials) => {
            for (x, partial) in node.args.iter().zip(partials) {
                if let Some(tangent) = tangents.get(x) {
                    let slope = partial(b, &node.args, value);
                    if let Some(term) = times(b, slope, *tangent) {
                        sum = Some(plus(b, sum, term));
                    }
                }
            }
        }
        Derivative::Composite(_) => sum = tangents.get(&walk.expansions[&value]).copied(),
        Derivative::Zero | Derivative::Leaf | Derivative::Barrier | Derivative::Request => {}
    }
    sum
}

/// The function with its forward derivative by the parameters numbered in `wrt`.
///
/// Parameters: those of `func`, then a tangent `d.<name>` for each of `wrt`, in that order.
/// Results: those of `func`, then a tangent `d.<name>` for each result that is a float.
pub fn jvp_func(func: &Func, wrt: &[usize]) -> Result<Func, AdError> {
    let mut b = Builder::from_func(func);
    let mut seeds = Vec::with_capacity(wrt.len());
    for port in wrt.iter().map(|index| &func.params[*index]) {
        let name = fresh_name(&b, "d", &port.name);
        let tangent = b.param(name, func.ty(port.value).clone());
        seeds.push((port.value, tangent));
    }
    let smooth: Vec<_> = func.results.iter().filter(|port| func.ty(port.value).dtype.is_float()).collect();
    let outputs: Vec<ValueId> = smooth.iter().map(|port| port.value).collect();
    let tangents = jvp(&mut b, &seeds, &outputs)?;
    let mut results: Vec<_> = func.results.iter().map(|port| (port.name.clone(), port.value)).collect();
    results.extend(smooth.iter().zip(tangents).map(|(port, t)| (format!("d.{}", port.name).into(), t)));
    Ok(b.finish(results))
}
