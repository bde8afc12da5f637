//! Jumps of a motion become events: a program to a program.
//!
//! A rate that jumps, as `if t < s then a else b`, `sign(v)` and `floor(t)` do, is wrong in two ways:
//! no method is accurate across the jump, and a derivative on either side misses that its place moves.
//! Here every comparison, sign and floor of something that moves is looked at: if the motion jumps
//! where it changes (`sides`, `probe`), it is replaced by a *mode*, an unknown that rests until an event
//! changes it, and the event is located like one of the file (`rewrite`). Where the sides meet, as
//! in `if x > 0 then x else 0`, nothing changes. What cannot be made an event is listed in
//! [`System::jumps`].
//!
//! Source: the state events of Modelica (Modelica Language Specification 3.6, 8.5); Cellier and Kofman,
//! Continuous System Simulation, 2006, chapter 9.

mod probe;
mod rewrite;
mod sides;

use crate::base::span::Span;
use crate::ir::builder::Builder;
use crate::ir::func::{Attr, Func, Node, ValueId};
use crate::ir::op::Op;
use crate::ir::program::Program;
use crate::ir::system::{System, Unfollowed, UnknownKind};
use crate::ir::types::DType;
use crate::plan::resolve;
use crate::plan::unit::PlanError;

/// Entries of the modes of one system, each of which is looked for in every step.
const MAX_ENTRIES: usize = 128;

/// `program` with modes where its motions jump. Requests for derivatives in the motions are resolved,
/// since derivatives jump as well.
pub fn switched(mut program: Program) -> Result<Program, PlanError> {
    program.systems = program.systems.into_iter().map(resolve::system).collect::<Result<_, PlanError>>()?;
    for number in 0..program.systems.len() {
        if let Some(system) = of_system(&program, number) {
            program.systems[number] = system;
        }
    }
    Ok(program)
}

/// The functions of a motion that must not jump within a step, as one: the field, the mass matrix,
/// the roots of the events of the file.
struct Joint {
    func: Func,
    n_field: usize,
    n_mass: usize,
    /// Results that are roots, for each event.
    roots: Vec<usize>,
}

/// Something that may jump.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    node: ValueId,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `a < b`, or `a <= b` if it is not strict.
    Comparison {
        strict: bool,
    },
    Sign,
    Floor,
    /// A number that becomes an integer or a truth value.
    Conversion,
}

/// The system with modes; `None` if nothing in it jumps.
fn of_system(program: &Program, number: usize) -> Option<System> {
    let system = &program.systems[number];
    let roots = system.events.iter().filter_map(|event| event.trigger.roots());
    let mut functions = std::iter::once(&system.field).chain(&system.mass).chain(roots);
    if functions.all(|func| func.nodes.iter().all(|node| kind(func, node).is_none())) {
        return None;
    }
    let joint = Joint::of(system);
    let moving = joint.computed_from(|param| match param.checked_sub(2) {
        // Not the time inside: it tells pieces apart that steps end at.
        None => param == 0,
        Some(at) => match system.states.get(at) {
            Some(state) => state.kind != UnknownKind::Discrete,
            None => at < system.states.len() + system.channels.len(),
        },
    });
    let candidates: Vec<Candidate> = joint
        .func
        .nodes
        .entries()
        .filter(|(node, _)| moving[node.0 as usize])
        .filter_map(|(node, of)| Some(Candidate { node, kind: kind(&joint.func, of)? }))
        .collect();
    if candidates.is_empty() {
        return None;
    }
    let ground = probe::Ground::new(program, number, &joint.func);
    let jumping = probe::jumping(&joint.func, &candidates, &ground);
    let (mut followed, mut jumps, mut n_entries) = (Vec::new(), Vec::new(), 0);
    for candidate in jumping {
        let node = &joint.func.nodes[candidate.node];
        let count = node.ty.shape.count();
        let why = if !system.noises.is_empty() {
            Some("a noise drives the system")
        } else if candidate.kind == Kind::Conversion {
            Some("a number is made whole here")
        } else if n_entries + count > MAX_ENTRIES {
            Some("there are too many of them")
        } else {
            None
        };
        match why {
            Some(why) => {
                let span = node.span.unwrap_or_else(|| fallback(system));
                jumps.push(Unfollowed { span, why });
            }
            None => {
                n_entries += count;
                followed.push(candidate);
            }
        }
    }
    let system = System { jumps, ..system.clone() };
    Some(if followed.is_empty() { system } else { rewrite::with_modes(&joint, system, &followed) })
}

/// What kind of jump a node may make.
fn kind(func: &Func, node: &Node) -> Option<Kind> {
    let from_float = node.args.first().is_some_and(|arg| func.ty(*arg).dtype.is_float());
    match (node.op, &node.attr) {
        _ if !from_float => None,
        (Op::Lt, _) => Some(Kind::Comparison { strict: true }),
        (Op::Le, _) => Some(Kind::Comparison { strict: false }),
        (Op::Sign, _) => Some(Kind::Sign),
        (Op::Floor, _) => Some(Kind::Floor),
        (Op::Convert, Attr::To(DType::I64 | DType::Bool)) => Some(Kind::Conversion),
        _ => None,
    }
}

/// Where something is said to be that has no place of its own.
fn fallback(system: &System) -> Span {
    let unknown = system.states.iter().chain(&system.channels).next();
    unknown.map_or_else(|| crate::bug!("a motion of nothing"), |unknown| unknown.equation)
}

impl Joint {
    fn of(system: &System) -> Joint {
        let mut b = Builder::new("motion");
        let params: Vec<ValueId> = system
            .field
            .params
            .iter()
            .map(|port| b.param(port.name.clone(), system.field.ty(port.value).clone()))
            .collect();
        let mut values = b.inline(&system.field, &params);
        let n_field = values.len();
        values.extend(system.mass.iter().flat_map(|mass| b.inline(mass, &params)).collect::<Vec<_>>());
        let n_mass = values.len() - n_field;
        let mut roots = Vec::new();
        for event in &system.events {
            let own = event.trigger.roots().map_or_else(Vec::new, |roots| b.inline(roots, &params));
            roots.push(own.len());
            values.extend(own);
        }
        let results = values.into_iter().enumerate().map(|(n, value)| (format!("{n}").into(), value));
        Joint { func: b.finish(results.collect()), n_field, n_mass, roots }
    }

    /// For each node whether it is computed from a parameter for which `from` holds.
    fn computed_from(&self, from: impl Fn(usize) -> bool) -> Vec<bool> {
        let mut reached = vec![false; self.func.nodes.len()];
        for (id, node) in self.func.nodes.entries() {
            reached[id.0 as usize] = match (node.op, &node.attr) {
                (Op::Param, Attr::Index(index)) => from(*index as usize),
                _ => node.args.iter().any(|arg| reached[arg.0 as usize]),
            };
        }
        reached
    }
}
