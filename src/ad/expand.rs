//! Resolves requests for derivatives.
//!
//! In: a function with requests, as the language's derivative operators make them. Out: the same
//! function in ordinary ops. Nodes are copied in order, so a request is resolved when everything
//! below it already is: inside out. Variables keep their identity until all requests are gone and
//! are then replaced by what they stand for.

use crate::ad::errors::AdError;
use crate::ad::jvp::jvp;
use crate::ad::taylor::taylor;
use crate::ad::vjp::vjp;
use crate::base::index::IndexVec;
use crate::ir::builder::Builder;
use crate::ir::func::{Args, Attr, Func, Node, ValueId};
use crate::ir::op::{Derivative, Op};
use crate::ir::types::Shape;

/// Whether there is anything to resolve in `func`.
pub fn asks(func: &Func) -> bool {
    let asks =
        |node: &Node| node.op == Op::Variable || matches!(node.op.def().derivative, Derivative::Request);
    func.nodes.iter().any(asks)
}

/// `func` without requests and variables.
pub fn expand(func: Func) -> Result<Func, AdError> {
    if !asks(&func) {
        return Ok(func);
    }
    let requests = |node: &Node| matches!(node.op.def().derivative, Derivative::Request);
    let resolved = match func.nodes.iter().any(requests) {
        false => func,
        true => copied(&func, |b, node, args| match node.op.def().derivative {
            Derivative::Request => resolve(b, node, args),
            _ if node.op == Op::Variable => Ok(b.variable(args[0])),
            _ => Ok(b.copy(node, args)),
        })?,
    };
    if variables_are_params(&resolved) {
        return Ok(renamed(resolved));
    }
    copied(&resolved, |b, node, args| match node.op {
        Op::Variable => Ok(args[0]),
        _ => Ok(b.copy(node, args)),
    })
}

/// Whether each variable stands for a parameter that nothing else reads.
fn variables_are_params(func: &Func) -> bool {
    let mut reads: IndexVec<ValueId, u32> = func.nodes.iter().map(|_| 0).collect();
    let results = func.results.iter().map(|port| &port.value);
    func.nodes.iter().flat_map(|node| &node.args).chain(results).for_each(|value| reads[*value] += 1);
    let stands_for = |node: &Node| func.nodes[node.args[0]].op == Op::Param && reads[node.args[0]] == 1;
    func.nodes.iter().all(|node| node.op != Op::Variable || stands_for(node))
}

/// `func`, which has no requests and whose [`variables_are_params`], without variables: the parameters take their
/// places, and every other node stays what it is.
fn renamed(func: Func) -> Func {
    let mut b = Builder::new(func.name.clone());
    let params: Vec<ValueId> =
        func.params.iter().map(|port| b.param(port.name.clone(), func.ty(port.value).clone())).collect();
    let mut map: IndexVec<ValueId, ValueId> = IndexVec::with_capacity(func.nodes.len());
    b.reserve_nodes(func.nodes.len());
    for node in func.nodes {
        map.push(match (node.op, &node.attr) {
            (Op::Param, Attr::Index(index)) => params[*index as usize],
            (Op::Variable, _) => map[node.args[0]],
            _ => b.rename(node, &map),
        });
    }
    b.finish(func.results.into_iter().map(|port| (port.name, map[port.value])).collect())
}

/// A copy of `func`; `make` copies each node that has operands, given the copies of these.
fn copied(
    func: &Func,
    mut make: impl FnMut(&mut Builder, &Node, &[ValueId]) -> Result<ValueId, AdError>,
) -> Result<Func, AdError> {
    let mut b = Builder::new(func.name.clone());
    b.reserve(func.nodes.len());
    let params: Vec<ValueId> =
        func.params.iter().map(|port| b.param(port.name.clone(), func.ty(port.value).clone())).collect();
    let mut map: IndexVec<ValueId, ValueId> = IndexVec::new();
    for node in func.nodes.iter() {
        b.set_span(node.span);
        let args: Args = node.args.iter().map(|arg| map[*arg]).collect();
        map.push(match (node.op, &node.attr) {
            (Op::Param, Attr::Index(index)) => params[*index as usize],
            (Op::Constant, attr) => b.intern(Op::Constant, attr.clone(), Args::new(), node.ty.clone()),
            _ => make(&mut b, node, &args)?,
        });
    }
    Ok(b.finish(func.results.iter().map(|port| (port.name.clone(), map[port.value])).collect()))
}

fn resolve(b: &mut Builder, node: &Node, args: &[ValueId]) -> Result<ValueId, AdError> {
    let y = args[0];
    match (node.op, &node.attr) {
        (Op::Jvp, _) => {
            let seeds = pairs(b, node, args)?;
            Ok(jvp(b, &seeds, &[y])?[0])
        }
        (Op::Vjp, _) => {
            independent(b, node, args[2])?;
            Ok(vjp(b, &[(y, args[1])], &[args[2]])?[0])
        }
        (Op::Divergence, _) => {
            independent(b, node, args[1])?;
            match args.get(2) {
                Some(probe) => {
                    let pulled = vjp(b, &[(y, *probe)], &[args[1]])?[0];
                    Ok(b.dot(pulled, *probe))
                }
                None => divergence(b, node, y, args[1]),
            }
        }
        (Op::JacFrob2, _) => {
            independent(b, node, args[1])?;
            match args.get(2) {
                Some(probe) => {
                    let pulled = vjp(b, &[(y, *probe)], &[args[1]])?[0];
                    Ok(b.dot(pulled, pulled))
                }
                None => {
                    let jacobian = jacobian(b, node, y, args[1])?;
                    Ok(b.dot(jacobian, jacobian))
                }
            }
        }
        (Op::Jacobian, _) => {
            independent(b, node, args[1])?;
            let matrix = jacobian(b, node, y, args[1])?;
            Ok(b.reshape(matrix, node.ty.shape.clone()))
        }
        (Op::FlowDerivative, Attr::Order(order)) => {
            let flow = pairs(b, node, args)?;
            let order = *order as usize;
            let coefficient = taylor(b, &flow, &[y], order)?[0][order];
            let factorial: f64 = (1..=order).map(|k| k as f64).product();
            Ok(b.scale(factorial, coefficient))
        }
        (op, attr) => crate::bug!("no rule to expand `{}` with {attr:?}", op.def().name),
    }
}

/// The operands after the first as pairs, the first of each independent.
fn pairs(b: &Builder, node: &Node, args: &[ValueId]) -> Result<Vec<(ValueId, ValueId)>, AdError> {
    let mut pairs = Vec::with_capacity(args.len() / 2);
    for pair in args[1..].chunks_exact(2) {
        independent(b, node, pair[0])?;
        pairs.push((pair[0], pair[1]));
    }
    Ok(pairs)
}

/// Refuses to differentiate by a value that folding may have bypassed.
fn independent(b: &Builder, node: &Node, x: ValueId) -> Result<(), AdError> {
    match b.node(x).op {
        Op::Param | Op::Variable => Ok(()),
        _ => Err(AdError::NotIndependent { op: node.op.def().name, span: node.span }),
    }
}

/// Most directions of one exact derivative: each takes a seed of as many elements.
const MAX_DIRECTIONS: usize = 1024;

/// Nodes from which on an exact derivative takes no further direction. Measured: a run through a
/// divergence of this many compiles in about two seconds.
const MAX_NODES: usize = 10_000;

/// What an exact derivative may still cost.
struct Budget {
    most: usize,
    refusal: AdError,
}

impl Budget {
    fn new(b: &Builder, request: &Node, directions: usize) -> Result<Budget, AdError> {
        let refusal = AdError::TooLarge { op: request.op.def().name, directions, span: request.span };
        if directions > MAX_DIRECTIONS {
            return Err(refusal);
        }
        Ok(Budget { most: b.len() + MAX_NODES, refusal })
    }

    fn check(&self, b: &Builder) -> Result<(), AdError> {
        if b.len() > self.most { Err(self.refusal.clone()) } else { Ok(()) }
    }
}

/// `Σ_i (J e_i)_i`, one directional derivative for each element.
fn divergence(b: &mut Builder, request: &Node, f: ValueId, x: ValueId) -> Result<ValueId, AdError> {
    let n = b.shape(x).count();
    let dtype = b.ty(x).dtype;
    let budget = Budget::new(b, request, n)?;
    let mut sum = None;
    for i in 0..n {
        budget.check(b)?;
        let seed = basis(b, x, i);
        let column = jvp(b, &[(x, seed)], &[f])?[0];
        let column = b.flatten(column);
        let entry = b.part(column, i, i + 1);
        let entry = b.reshape(entry, Shape::scalar());
        sum = Some(crate::ad::walk::plus(b, sum, entry));
    }
    Ok(sum.unwrap_or_else(|| b.scalar(0.0, dtype)))
}

/// The matrix `∂f_i/∂x_j` of the flattened values: by columns, or by rows if these are fewer.
fn jacobian(b: &mut Builder, request: &Node, f: ValueId, x: ValueId) -> Result<ValueId, AdError> {
    let (rows, columns) = (b.shape(f).count(), b.shape(x).count());
    let mut parts = Vec::new();
    let by_rows = rows < columns;
    let budget = Budget::new(b, request, rows.min(columns))?;
    for i in 0..rows.min(columns) {
        budget.check(b)?;
        let (part, shape) = if by_rows {
            let seed = basis(b, f, i);
            (vjp(b, &[(f, seed)], &[x])?[0], Shape::new(&[1, columns]))
        } else {
            let seed = basis(b, x, i);
            (jvp(b, &[(x, seed)], &[f])?[0], Shape::new(&[rows, 1]))
        };
        parts.push(b.reshape(part, shape));
    }
    if parts.is_empty() {
        let ty = crate::ir::types::Type::new(b.ty(f).dtype, &[rows, columns]);
        return Ok(b.splat(0.0, ty));
    }
    Ok(b.concat(&parts, u32::from(!by_rows)))
}

/// Zeros of the type of `x` with a 1 at element `i`.
fn basis(b: &mut Builder, x: ValueId, i: usize) -> ValueId {
    let ty = b.ty(x).clone();
    let mut elements = vec![0.0; ty.shape.count()];
    elements[i] = 1.0;
    b.constant(&elements, ty)
}
