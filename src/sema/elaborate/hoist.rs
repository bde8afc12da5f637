//! What the motion needs and what no motion changes: computed once, when a solve begins.
//!
//! In: a system whose functions take what moves and what does not. Out: the system with args, and
//! the function that computes these. A value is hoisted if it is computed from params and data
//! alone, is worth the memory, and no derivative operator of the program varies what it is computed
//! from: a value that reads a `variable` must stay where the request for its derivative is.

use crate::base::hash::FastMap;
use crate::base::index::{Idx, IndexVec};
use crate::ir::builder::Builder;
use crate::ir::func::{Args, Attr, Func, Node, ValueId};
use crate::ir::op::{Derivative, Lowering, Op};
use crate::ir::system::{System, Trigger};
use std::sync::Arc;

/// Operations from which on a value is worth an argument. A product of two params is not.
const WORTH: usize = 8;

/// Gives `system` more args. The first `n_moving` parameters of its functions move, behind them come
/// the args that it has, then the new ones. The result computes these from the other parameters:
/// `args it has, params, data -> new args`.
pub(super) fn hoisted(system: &mut System, n_moving: usize) -> Func {
    let n_known = system.args.len();
    let mut hoist = Hoist {
        n_moving,
        n_known,
        args: Builder::new("args"),
        inputs: Vec::new(),
        found: Vec::new(),
        numbers: FastMap::default(),
    };
    for port in &system.field.params[n_moving..] {
        let input = hoist.args.param(port.name.clone(), system.field.ty(port.value).clone());
        hoist.inputs.push(input);
    }
    let frontiers: Vec<Frontier> = functions(system).into_iter().map(|func| hoist.frontier(func)).collect();
    if hoist.found.is_empty() {
        return hoist.args.finish(Vec::new());
    }
    system.args.extend(hoist.found.iter().map(|value| hoist.args.ty(*value).clone()));
    for (func, frontier) in functions(system).into_iter().zip(frontiers) {
        *func = hoist.without(func, &frontier);
    }
    for event in &mut system.events {
        if let Trigger::Every(times) | Trigger::At(times) = &mut event.trigger {
            let frontier: Frontier = times.nodes.iter().map(|_| None).collect();
            *times = Hoist { n_moving: 0, ..hoist.clone() }.without(times, &frontier);
        }
    }
    let named = |(number, value): (usize, &ValueId)| (Arc::from(format!("arg {number}")), *value);
    let results = hoist.found.iter().enumerate().map(named).collect();
    hoist.args.finish(results)
}

/// Every function of *now*.
fn functions(system: &mut System) -> Vec<&mut Func> {
    let System { field, mass, rates, diffusion, events, .. } = system;
    let mut functions = vec![field];
    functions.extend([mass, rates, diffusion].into_iter().flatten());
    for event in events {
        match &mut event.trigger {
            Trigger::When { roots, condition: _ } | Trigger::Whenever { roots, condition: _ } => {
                functions.push(roots)
            }
            Trigger::Every(_) | Trigger::At(_) => {}
        }
        functions.push(&mut event.jump);
    }
    functions
}

/// For each value of a function the arg that it becomes.
type Frontier = IndexVec<ValueId, Option<usize>>;

#[derive(Clone)]
struct Hoist {
    n_moving: usize,
    /// How many args there are already.
    n_known: usize,
    args: Builder,
    /// What the args are computed from.
    inputs: Vec<ValueId>,
    /// The args, and their numbers.
    found: Vec<ValueId>,
    numbers: FastMap<ValueId, usize>,
}

/// What is known of a value while a function is looked through.
#[derive(Clone, Copy)]
struct Fixed {
    /// The same value among the args.
    value: ValueId,
    /// About how many operations it takes.
    work: usize,
}

impl Hoist {
    fn frontier(&mut self, func: &Func) -> Frontier {
        let mut fixed: IndexVec<ValueId, Option<Fixed>> = IndexVec::new();
        for node in func.nodes.iter() {
            let found = self.fixed(node, &fixed);
            fixed.push(found);
        }
        let mut frontier: Frontier = func.nodes.iter().map(|_| None).collect();
        let mut wanted = vec![false; func.nodes.len()];
        func.results.iter().for_each(|port| wanted[port.value.index()] = true);
        for (id, node) in func.nodes.entries().rev() {
            if !wanted[id.index()] {
                continue;
            }
            match fixed[id] {
                // A rearrangement is cheaper than the memory it fills.
                Some(Fixed { value, work }) if work >= WORTH && !is_layout(node) => {
                    let next = self.found.len();
                    let number = *self.numbers.entry(value).or_insert(next);
                    if number == next {
                        self.found.push(value);
                    }
                    frontier[id] = Some(number);
                }
                _ => node.args.iter().for_each(|arg| wanted[arg.index()] = true),
            }
        }
        frontier
    }

    /// The copy of a node that depends on nothing that moves and reads no variable.
    fn fixed(&mut self, node: &Node, known: &IndexVec<ValueId, Option<Fixed>>) -> Option<Fixed> {
        match (node.op, &node.attr) {
            (Op::Param, Attr::Index(index)) => {
                let at = (*index as usize).checked_sub(self.n_moving)?;
                return Some(Fixed { value: self.inputs[at], work: 0 });
            }
            (Op::Constant, attr) => {
                let value = self.args.intern(Op::Constant, attr.clone(), Args::new(), node.ty.clone());
                return Some(Fixed { value, work: 0 });
            }
            (Op::Variable, _) => return None,
            _ => {}
        }
        if matches!(node.op.def().derivative, Derivative::Request) {
            return None;
        }
        if node.args.iter().any(|arg| known[*arg].is_none()) {
            return None;
        }
        let args: Vec<Fixed> = node.args.iter().filter_map(|arg| known[*arg]).collect();
        let values: Vec<ValueId> = args.iter().map(|arg| arg.value).collect();
        let own = work(node, &args.iter().map(|arg| self.args.shape(arg.value).count()).collect::<Vec<_>>());
        let work = args.iter().fold(own, |sum, arg| sum.saturating_add(arg.work));
        self.args.set_span(node.span);
        Some(Fixed { value: self.args.copy(node, &values), work })
    }

    /// `func` with parameters for the args in place of what they are.
    fn without(&self, func: &Func, frontier: &Frontier) -> Func {
        let mut b = Builder::new(func.name.clone());
        let param = |b: &mut Builder, at: usize| {
            let port = &func.params[at];
            b.param(port.name.clone(), func.ty(port.value).clone())
        };
        let n_before = self.n_moving + self.n_known;
        let mut params: Vec<ValueId> = (0..n_before).map(|at| param(&mut b, at)).collect();
        let types = self.found.iter().map(|arg| self.args.ty(*arg).clone());
        let args: Vec<ValueId> = types
            .enumerate()
            .map(|(number, ty)| b.param(format!("arg {}", self.n_known + number), ty))
            .collect();
        params.extend((n_before..func.params.len()).map(|at| param(&mut b, at)));
        let mut map: IndexVec<ValueId, ValueId> = IndexVec::new();
        for (id, node) in func.nodes.entries() {
            b.set_span(node.span);
            let operands: Vec<ValueId> = node.args.iter().map(|arg| map[*arg]).collect();
            map.push(match (frontier[id], node.op, &node.attr) {
                (Some(arg), _, _) => args[arg],
                (None, Op::Param, Attr::Index(index)) => params[*index as usize],
                (None, Op::Constant, attr) => {
                    b.intern(Op::Constant, attr.clone(), Args::new(), node.ty.clone())
                }
                (None, Op::Variable, _) => b.variable(operands[0]),
                (None, ..) => b.copy(node, &operands),
            });
        }
        let results = func.results.iter().map(|port| (port.name.clone(), map[port.value])).collect();
        b.finish(results)
    }
}

fn is_layout(node: &Node) -> bool {
    matches!(node.op.def().lowering, Lowering::IndexMap | Lowering::Leaf)
}

/// About how many additions a node takes; `counts` are the elements of its operands.
fn work(node: &Node, counts: &[usize]) -> usize {
    let count = node.ty.shape.count();
    match node.op.def().lowering {
        Lowering::IndexMap | Lowering::Leaf => 0,
        Lowering::Scalar(_) => match node.op {
            Op::Add | Op::Sub | Op::Mul | Op::Neg | Op::Convert | Op::Select => count,
            // Divisions and elementary functions take tens of cycles.
            _ => count.saturating_mul(WORTH),
        },
        Lowering::Reduce(_) | Lowering::Contract | Lowering::Expanded => {
            counts.iter().copied().max().unwrap_or(0).max(count)
        }
    }
}
