//! Comparisons replaced by modes, and the events that change these.
//!
//! A mode `m` has the value of what it stands for. It changes when that has another value:
//!
//! - a comparison `a < b` when `b - a > 0` and `m = 0`, or not `b - a > 0` and `m = 1`; to `1 - m`;
//! - `floor(z)` when `z >= m + 1` or `z < m`; to `floor(z)`, at least or at most the next one;
//! - `sign(z)` when `z > 0` and `m < 1`, or `z < 0` and `m > -1`; to the sign.
//!
//! Until the event is found a step goes on with the side it started on. What that side computes is made
//! harmless by its guards where it is not taken; a guard lets go of its operand beyond the jump too,
//! unless the result there is not finite, so that the side goes on smoothly if it can.

use super::{Candidate, Joint, Kind};
use crate::base::hash::FastMap;
use crate::base::index::IndexVec;
use crate::base::span::Span;
use crate::ir::builder::Builder;
use crate::ir::func::{Args, Attr, Func, Node, ValueId};
use crate::ir::op::{Derivative, Op};
use crate::ir::system::{Condition, Event, System, Trigger, Unknown, UnknownKind};
use crate::ir::types::{DType, Shape, Type};
use std::sync::Arc;

/// What a mode stands for, in a function with modes.
struct Mode {
    kind: Kind,
    value: ValueId,
    /// What is compared, or the operand.
    args: Args,
    span: Option<Span>,
}

/// A choice between a value and a constant, which may be there to keep the value harmless.
#[derive(Clone, Copy)]
struct Guard {
    /// Whether the value is taken: by modes, and as the comparisons are.
    by_mode: ValueId,
    actual: ValueId,
    value: ValueId,
    constant: ValueId,
}

/// A motion in the making.
struct Rewritten {
    b: Builder,
    /// Parameters before the modes, modes, and after.
    before: Vec<ValueId>,
    modes: Vec<Mode>,
    after: Vec<ValueId>,
    /// The results of the joint function.
    values: Vec<ValueId>,
}

/// `system` with a mode for each of `followed`, nodes of the joint function of its motion.
pub(super) fn with_modes(joint: &Joint, system: System, followed: &[Candidate]) -> System {
    let new = rewritten(joint, &system, followed);
    let unknowns: Vec<Unknown> = new
        .modes
        .iter()
        .enumerate()
        .map(|(number, mode)| {
            let span = mode.span.unwrap_or_else(|| super::fallback(&system));
            let (name, ty) = (format!("mode {number}").into(), new.b.ty(mode.value).clone());
            Unknown { name, ty, kind: UnknownKind::Discrete, span, equation: span }
        })
        .collect();
    let n_states = system.states.len();
    let named = |values: &[ValueId]| -> Vec<(Arc<str>, ValueId)> {
        values.iter().enumerate().map(|(n, value)| (format!("{n}").into(), *value)).collect()
    };
    let field = {
        let mut b = new.b.clone();
        let (states, channels) = new.values[..joint.n_field].split_at(n_states);
        let rests: Vec<ValueId> = new.modes.iter().map(|mode| b.zeros_like(mode.value)).collect();
        b.finish(named(&[states, &rests, channels].concat()))
    };
    let mass = system.mass.as_ref().map(|_| {
        let n_modes = unknowns.iter().map(|mode| mode.ty.shape.count()).sum();
        let mut b = new.b.clone();
        let mass = bordered(&mut b, new.values[joint.n_field], n_modes);
        b.finish(named(&[mass]))
    });
    let mut at = joint.n_field + joint.n_mass;
    let mut events = Vec::new();
    for (event, n_roots) in system.events.iter().zip(&joint.roots) {
        let roots = |at: usize| new.b.clone().finish(named(&new.values[at..at + n_roots]));
        let trigger = match &event.trigger {
            Trigger::When { condition, .. } => {
                Trigger::When { roots: roots(at), condition: condition.clone() }
            }
            Trigger::Whenever { condition, .. } => {
                Trigger::Whenever { roots: roots(at), condition: condition.clone() }
            }
            Trigger::Every(times) => Trigger::Every(times.clone()),
            Trigger::At(times) => Trigger::At(times.clone()),
        };
        let mut b = new.b.clone();
        let args = [&new.before[..], &new.after].concat();
        let mut values = b.inline(&event.jump, &args);
        values.extend(new.modes.iter().map(|mode| mode.value));
        events.push(Event { trigger, jump: b.finish(named(&values)), ..event.clone() });
        at += n_roots;
    }
    for (number, unknown) in unknowns.iter().enumerate() {
        for entry in 0..unknown.ty.shape.count() {
            events.push(new.change(number, entry, unknown, n_states));
        }
    }
    let n_entries = unknowns.iter().map(|mode| mode.ty.shape.count()).sum();
    let mut constraints = system.constraints.clone();
    constraints.extend(std::iter::repeat_n(false, n_entries));
    System { field, mass, events, constraints, modes: unknowns, rates: None, ..system }
}

/// The motion with modes.
fn rewritten(joint: &Joint, system: &System, followed: &[Candidate]) -> Rewritten {
    let func = &joint.func;
    let mut b = Builder::new("motion");
    let n_before = 2 + system.states.len();
    let mut params = Vec::new();
    let (first, last) = func.params.split_at(n_before);
    params.extend(first.iter().map(|port| b.param(port.name.clone(), func.ty(port.value).clone())));
    let mut mode_values = Vec::new();
    for (mode, candidate) in followed.iter().enumerate() {
        let real = func.ty(func.nodes[candidate.node].args[0]).dtype;
        let ty = Type { dtype: real, shape: func.ty(candidate.node).shape.clone() };
        mode_values.push(b.param(format!("mode {mode}"), ty));
    }
    params.extend(last.iter().map(|port| b.param(port.name.clone(), func.ty(port.value).clone())));
    let mut copy = Copying { actual: FastMap::default(), guards: FastMap::default() };
    let mut modes: Vec<Mode> = Vec::new();
    let mut map: IndexVec<ValueId, ValueId> = IndexVec::new();
    for (id, node) in func.nodes.entries() {
        b.set_span(node.span);
        let args: Args = node.args.iter().map(|arg| map[*arg]).collect();
        map.push(match (node.op, &node.attr) {
            (Op::Param, Attr::Index(index)) => params[*index as usize],
            (Op::Constant, attr) => b.intern(Op::Constant, attr.clone(), Args::new(), node.ty.clone()),
            _ => match followed.iter().position(|candidate| candidate.node == id) {
                Some(number) => {
                    let (kind, value) = (followed[number].kind, mode_values[number]);
                    let replaced = match kind {
                        Kind::Comparison { .. } => {
                            let half = b.splat_like(0.5, value);
                            let is_on = b.binary(Op::Lt, half, value);
                            let actual = b.must(node.op, &args, node.attr.clone());
                            copy.actual.insert(is_on, actual);
                            is_on
                        }
                        Kind::Sign | Kind::Floor | Kind::Conversion => value,
                    };
                    modes.push(Mode { kind, value, args, span: node.span });
                    replaced
                }
                None => copy.node(&mut b, node, args),
            },
        });
    }
    b.set_span(None);
    let values = func.results.iter().map(|port| map[port.value]).collect();
    let after = params.split_off(n_before);
    Rewritten { b, before: params, modes, after, values }
}

/// What has to be known to copy a node, by the values in the new function.
struct Copying {
    /// The truth of the comparisons themselves, where a truth value depends on modes.
    actual: FastMap<ValueId, ValueId>,
    guards: FastMap<ValueId, Guard>,
}

impl Copying {
    fn node(&mut self, b: &mut Builder, node: &Node, mut args: Args) -> ValueId {
        let is_elementary = matches!(node.op.def().derivative, Derivative::Elementwise(_));
        if is_elementary && args.iter().any(|arg| self.guards.contains_key(arg)) {
            self.released(b, node, &mut args);
        }
        let value = b.must(node.op, &args, node.attr.clone());
        if node.ty.dtype == DType::Bool && args.iter().any(|arg| self.actual.contains_key(arg)) {
            let args: Args = args.iter().map(|arg| *self.actual.get(arg).unwrap_or(arg)).collect();
            let actual = b.must(node.op, &args, node.attr.clone());
            self.actual.insert(value, actual);
        }
        match node.op {
            Op::Select => {
                if let Some(guard) = self.guard(b, &args) {
                    self.guards.insert(value, guard);
                }
            }
            // What only moves elements moves a guard.
            Op::Broadcast | Op::Reshape | Op::Permute | Op::Slice => {
                if let Some(Guard { by_mode, actual, value: of, constant }) =
                    self.guards.get(&args[0]).copied()
                {
                    let [by_mode, actual, of, constant] = [by_mode, actual, of, constant]
                        .map(|part| b.must(node.op, &[part], node.attr.clone()));
                    self.guards.insert(value, Guard { by_mode, actual, value: of, constant });
                }
            }
            _ => {}
        }
        value
    }

    /// A choice by a mode that may be a guard.
    fn guard(&self, b: &mut Builder, args: &[ValueId]) -> Option<Guard> {
        let (by_mode, actual) = (args[0], *self.actual.get(&args[0])?);
        if b.as_splat(args[2]).is_some() {
            return Some(Guard { by_mode, actual, value: args[1], constant: args[2] });
        }
        b.as_splat(args[1])?;
        let [by_mode, actual] = [by_mode, actual].map(|side| b.unary(Op::Not, side));
        Some(Guard { by_mode, actual, value: args[2], constant: args[1] })
    }

    /// Lets guards go of the operands of `node` beyond a jump, where the result is finite.
    fn released(&self, b: &mut Builder, node: &Node, args: &mut Args) {
        let guards: Vec<Option<Guard>> = args.iter().map(|arg| self.guards.get(arg).copied()).collect();
        let open: Args =
            args.iter().zip(&guards).map(|(arg, guard)| guard.map_or(*arg, |g| g.value)).collect();
        let result = b.must(node.op, &open, node.attr.clone());
        let size = b.unary(Op::Abs, result);
        let most = b.splat_like(largest(node.ty.dtype), size);
        let is_finite = b.binary(Op::Le, size, most);
        for (arg, guard) in args.iter_mut().zip(guards) {
            let Some(Guard { by_mode, actual, value, constant }) = guard else { continue };
            let may = match b.shape(is_finite) == b.shape(actual) {
                true => b.binary(Op::Or, actual, is_finite),
                false => actual,
            };
            let taken = b.binary(Op::And, by_mode, may);
            *arg = b.select(taken, value, constant);
        }
    }
}

/// The largest finite number.
fn largest(dtype: DType) -> f64 {
    match dtype {
        DType::F32 => f64::from(f32::MAX),
        DType::F64 | DType::I64 | DType::Bool => f64::MAX,
    }
}

/// `matrix` with a unit block of `n` behind it.
fn bordered(b: &mut Builder, matrix: ValueId, n: usize) -> ValueId {
    let ty = b.ty(matrix).clone();
    let rows = ty.shape.dims()[0];
    let right = b.splat(0.0, Type { dtype: ty.dtype, shape: Shape::new(&[rows, n]) });
    let upper = b.concat(&[matrix, right], 1);
    let unit: Vec<f64> =
        (0..n).flat_map(|row| (0..rows + n).map(move |at| f64::from(u8::from(at == rows + row)))).collect();
    let lower = b.constant(&unit, Type { dtype: ty.dtype, shape: Shape::new(&[n, rows + n]) });
    b.concat(&[upper, lower], 0)
}

impl Rewritten {
    /// The event that changes entry `entry` of mode `number`.
    fn change(&self, number: usize, entry: usize, unknown: &Unknown, n_states: usize) -> Event {
        let Mode { kind, value, args, .. } = &self.modes[number];
        let mut b = self.b.clone();
        let part = |b: &mut Builder, of: ValueId| {
            let flat = b.flatten(of);
            let part = b.part(flat, entry, entry + 1);
            b.reshape(part, Shape::scalar())
        };
        let m = part(&mut b, *value);
        let of: Vec<ValueId> = args.iter().map(|arg| part(&mut b, *arg)).collect();
        let (one, half) = (b.splat_like(1.0, m), b.splat_like(0.5, m));
        let (roots, condition, new) = match kind {
            Kind::Comparison { strict } => {
                let difference = b.sub(of[1], of[0]);
                let is_on = b.sub(m, half);
                let holds = || root(0, *strict);
                let condition = either(both(holds(), not(root(1, true))), both(not(holds()), root(1, true)));
                (vec![difference, is_on], condition, b.sub(one, m))
            }
            Kind::Floor => {
                let next = b.add(m, one);
                let previous = b.sub(m, one);
                let (above, below) = (b.sub(of[0], next), b.sub(m, of[0]));
                let floor = b.unary(Op::Floor, of[0]);
                let (up, down) = (b.binary(Op::Max, floor, next), b.binary(Op::Min, floor, previous));
                let middle = b.add(m, half);
                let rises = b.binary(Op::Lt, middle, of[0]);
                let condition = either(root(0, false), root(1, true));
                (vec![above, below], condition, b.select(rises, up, down))
            }
            Kind::Sign => {
                let (minus, opposite) = (b.neg(of[0]), b.neg(m));
                let (is_up, is_down) = (b.sub(m, half), b.sub(opposite, half));
                let condition =
                    either(both(root(0, true), not(root(1, true))), both(root(2, true), not(root(3, true))));
                // From one side to the other whatever the rounding; from zero as it is.
                let zero = b.zeros_like(m);
                let (rests, is_below) = (b.binary(Op::Eq, m, zero), b.binary(Op::Lt, of[0], zero));
                let down = b.neg(one);
                let from_zero = b.select(is_below, down, one);
                (vec![of[0], is_up, minus, is_down], condition, b.select(rests, from_zero, opposite))
            }
            Kind::Conversion => crate::bug!("a conversion has no mode"),
        };
        let real = b.ty(m).dtype;
        let roots_func = {
            let mut b = b.clone();
            let packed = b.pack(&roots, real);
            b.finish(vec![("roots".into(), packed)])
        };
        let jump: Func = {
            let count = unknown.ty.shape.count();
            let unit: Vec<f64> = (0..count).map(|at| f64::from(u8::from(at == entry))).collect();
            let here = b.constant(&unit, unknown.ty.clone());
            let half = b.splat_like(0.5, here);
            let here = b.binary(Op::Lt, half, here);
            let changed = b.select(here, new, *value);
            let states = self.before[2..2 + n_states].iter().copied();
            let modes = self.modes.iter().enumerate();
            let modes = modes.map(|(other, mode)| if other == number { changed } else { mode.value });
            let results = states.chain(modes).enumerate();
            let results = results.map(|(n, value)| (format!("{n}").into(), value)).collect();
            b.finish(results)
        };
        let trigger = Trigger::Whenever { roots: roots_func, condition };
        Event { name: unknown.name.clone(), trigger, jump, stop: false, span: unknown.span }
    }
}

fn root(root: usize, strict: bool) -> Condition {
    Condition::Root { root, strict }
}

fn both(a: Condition, b: Condition) -> Condition {
    Condition::And(Box::new(a), Box::new(b))
}

fn either(a: Condition, b: Condition) -> Condition {
    Condition::Or(Box::new(a), Box::new(b))
}

fn not(a: Condition) -> Condition {
    Condition::Not(Box::new(a))
}
