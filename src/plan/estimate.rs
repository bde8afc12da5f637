//! Traces by probes instead of exactly: a program to a program.
//!
//! `div` and `jac_frob2` in the motion of a system become Hutchinson's estimates `e·Je` and `|Jᵀe|²`
//! with random probes `e` of mean 0 and covariance 1. A probe is a port like any other draw: one for
//! every example, the same through the whole solve, shared by all estimates of one shape, so that
//! they share one reverse pass. Outside motions both stay exact.
//!
//! Sources: Hutchinson, Communications in Statistics 18, 1989; Grathwohl et al., FFJORD, ICLR 2019,
//! section 3.1 (a probe for a whole solve); Finlay et al., ICML 2020, equation 9.

use crate::base::index::IndexVec;
use crate::ir::builder::Builder;
use crate::ir::func::{Args, Attr, Func, Port, ValueId};
use crate::ir::op::Op;
use crate::ir::program::{Axis, DataPort, Draw, PortSource, Program};
use crate::ir::system::{Event, Solve, System, Trigger};
use crate::ir::types::Type;

/// How the traces in the motion of a system are estimated.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimator {
    /// What the entries of a probe are.
    pub draw: Draw,
    /// How many probes the estimates are the mean over.
    pub probes: usize,
}

/// The probes for values of one type in one system: consecutive ports.
struct Probes {
    ty: Type,
    first: usize,
    count: usize,
}

/// `program` with the traces in the motion of each system estimated, if `estimators` has how.
pub fn estimated(program: Program, estimators: &[Option<Estimator>]) -> Program {
    let mut ports: Vec<DataPort> = Vec::new();
    let mut probes: Vec<Vec<Probes>> = Vec::new();
    for (system, estimator) in program.systems.iter().zip(estimators) {
        let mut of_system: Vec<Probes> = Vec::new();
        for node in system.field.nodes.iter().filter(|node| is_exact_trace(node.op, &node.args)) {
            let (Some(estimator), ty) = (estimator, &system.field.nodes[node.args[0]].ty) else { continue };
            if of_system.iter().any(|known| known.ty == *ty) {
                continue;
            }
            of_system.push(Probes { ty: ty.clone(), first: ports.len(), count: estimator.probes });
            for number in 0..estimator.probes {
                ports.push(DataPort {
                    path: format!("probe {number} of {} for {ty}", system.name).into(),
                    ty: ty.clone(),
                    axis: Axis::Example,
                    source: PortSource::Drawn(estimator.draw.clone()),
                    value: None,
                    span: program.solves[0].span,
                });
            }
        }
        probes.push(of_system);
    }
    if ports.is_empty() {
        return program;
    }
    let more = |func: &Func| rebuilt(func, &ports, &[]);
    let systems = program.systems.into_iter().zip(&probes).map(|(system, probes)| System {
        field: rebuilt(&system.field, &ports, probes),
        rates: system.rates.map(|func| rebuilt(&func, &ports, probes)),
        mass: system.mass.as_ref().map(more),
        diffusion: system.diffusion.as_ref().map(more),
        events: system.events.into_iter().map(|event| with_ports(event, &more)).collect(),
        ..system
    });
    let solves = program.solves.into_iter().map(|solve| Solve {
        start: more(&solve.start),
        times: more(&solve.times),
        stops: more(&solve.stops),
        ..solve
    });
    Program {
        systems: systems.collect(),
        solves: solves.collect(),
        post: more(&program.post),
        observe: more(&program.observe),
        draws: more(&program.draws),
        data: program.data.into_iter().chain(ports.iter().cloned()).collect(),
        ..program
    }
}

fn with_ports(event: Event, more: &dyn Fn(&Func) -> Func) -> Event {
    let trigger = match event.trigger {
        Trigger::When { roots, condition } => Trigger::When { roots: more(&roots), condition },
        Trigger::Whenever { roots, condition } => Trigger::Whenever { roots: more(&roots), condition },
        Trigger::Every(dt) => Trigger::Every(more(&dt)),
        Trigger::At(times) => Trigger::At(more(&times)),
    };
    Event { trigger, jump: more(&event.jump), ..event }
}

/// Whether a node asks for a trace without a probe.
fn is_exact_trace(op: Op, args: &[ValueId]) -> bool {
    matches!(op, Op::Divergence | Op::JacFrob2) && args.len() == 2
}

/// `func` with `ports` behind its parameters and its traces estimated by `probes`.
fn rebuilt(func: &Func, ports: &[DataPort], probes: &[Probes]) -> Func {
    let mut b = Builder::new(func.name.clone());
    let params: Vec<ValueId> = func
        .params
        .iter()
        .map(|port: &Port| b.param(port.name.clone(), func.ty(port.value).clone()))
        .collect();
    let ports: Vec<ValueId> = ports.iter().map(|port| b.param(port.path.clone(), port.ty.clone())).collect();
    let mut map: IndexVec<ValueId, ValueId> = IndexVec::new();
    for node in func.nodes.iter() {
        b.set_span(node.span);
        let args: Vec<ValueId> = node.args.iter().map(|arg| map[*arg]).collect();
        map.push(match (node.op, &node.attr) {
            (Op::Param, Attr::Index(index)) => params[*index as usize],
            (Op::Constant, attr) => b.intern(Op::Constant, attr.clone(), Args::new(), node.ty.clone()),
            (Op::Variable, _) => b.variable(args[0]),
            (op, attr) if is_exact_trace(op, &args) => {
                match probes.iter().find(|probes| probes.ty == *b.ty(args[0])) {
                    Some(probes) => mean_over(&mut b, op, &args, &ports[probes.first..][..probes.count]),
                    None => b.must(op, &args, attr.clone()),
                }
            }
            (op, attr) => b.must(op, &args, attr.clone()),
        });
    }
    b.finish(func.results.iter().map(|port| (port.name.clone(), map[port.value])).collect())
}

/// The mean of the estimates by each probe.
fn mean_over(b: &mut Builder, op: Op, args: &[ValueId], probes: &[ValueId]) -> ValueId {
    let mut estimates = probes.iter().map(|probe| [args[0], args[1], *probe]);
    let first = estimates.next().expect("an estimator has a probe");
    let mut sum = b.must(op, &first, Attr::None);
    for estimate in estimates {
        let next = b.must(op, &estimate, Attr::None);
        sum = b.add(sum, next);
    }
    if probes.len() == 1 { sum } else { b.scale(1.0 / probes.len() as f64, sum) }
}
