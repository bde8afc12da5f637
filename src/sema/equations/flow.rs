//! What depends on what: primes on each other, expressions on unknowns and their motion.

use crate::base::index::IndexVec;
use crate::base::span::Span;
use crate::diag::Diagnostic;
use crate::ir::system::UnknownKind;
use crate::sema::errors;
use crate::sema::phase::reach;
use crate::sema::typed::{Def, DefId, DefKind, Dynamics, Expr, Kind, Model, State, Trigger};
use std::collections::BTreeSet;

/// The states whose rates `expr` needs, when primes are substituted.
fn needs(defs: &IndexVec<DefId, Def>, states: &[State], expr: &Expr) -> BTreeSet<usize> {
    let mut needed = BTreeSet::new();
    let mut flows = Vec::new();
    reach(defs, expr, &mut |part| {
        match &part.kind {
            Kind::Rate(number) => {
                needed.insert(*number);
            }
            Kind::Flow(of, order) => flows.push(((**of).clone(), *order)),
            _ => {}
        }
        true
    });
    for (of, order) in flows {
        needed.extend(moving(defs, states, &of, order).states);
    }
    needed
}

/// What the derivatives of an expression along the motion are made of.
pub(crate) struct Moving {
    /// The states whose rates enter.
    pub states: BTreeSet<usize>,
    /// Whether the time itself does.
    pub time: bool,
}

/// What the first `order` derivatives of `expr` along the motion are made of: the states it
/// depends on, then those on which their rates depend, and so on.
pub(crate) fn moving(defs: &IndexVec<DefId, Def>, states: &[State], expr: &Expr, order: u32) -> Moving {
    let mut found = Moving { states: BTreeSet::new(), time: false };
    let mut level = vec![expr.clone()];
    for _ in 0..order {
        let mut next = Vec::new();
        for expr in level {
            let direct = dependence(defs, states, &expr);
            found.time |= direct.time;
            for number in direct.states {
                // A discrete unknown rests.
                if states[number].kind != UnknownKind::Discrete && found.states.insert(number) {
                    next.extend(states[number].rate.clone());
                }
            }
        }
        level = next;
    }
    found
}

/// The states on which the value of `expr` depends.
pub(crate) fn dependence(defs: &IndexVec<DefId, Def>, states: &[State], expr: &Expr) -> Moving {
    let mut found = Moving { states: BTreeSet::new(), time: false };
    let mut substituted = BTreeSet::new();
    let mut open = vec![expr.clone()];
    while let Some(expr) = open.pop() {
        let mut flows = Vec::new();
        reach(defs, &expr, &mut |part| {
            match &part.kind {
                Kind::Def(def) => match defs[*def].kind {
                    DefKind::State(number) => {
                        found.states.insert(number);
                    }
                    DefKind::Time => found.time = true,
                    _ => {}
                },
                Kind::Path { .. } => found.time = true,
                Kind::Rate(number) if substituted.insert(*number) => {
                    open.extend(states[*number].rate.clone());
                }
                Kind::Flow(of, order) => flows.push((of.clone(), *order)),
                _ => {}
            }
            // What stands at another time does not move with this one.
            !matches!(part.kind, Kind::At(..))
        });
        for (of, order) in flows {
            // A derivative along the motion depends on the rates that make it.
            for number in moving(defs, states, &of, order).states {
                if substituted.insert(number) {
                    open.extend(states[number].rate.clone());
                }
            }
        }
    }
    found
}

/// How far the search for a circle has come at a state.
#[derive(Clone, Copy)]
enum Visit {
    /// Not there yet.
    None,
    /// On the path, at this position.
    Underway(usize),
    /// No circle goes through it.
    Done,
}

/// A circle of primes that define each other, if there is one.
pub(crate) fn circle(defs: &IndexVec<DefId, Def>, states: &[State]) -> Option<Vec<usize>> {
    let edges = states.iter().map(|state| match &state.rate {
        Some(rate) if !state.plain => needs(defs, states, rate),
        Some(_) | None => BTreeSet::new(),
    });
    let edges: Vec<BTreeSet<usize>> = edges.collect();
    // Depth first; `path` is the chain of primes being substituted.
    fn visit(
        at: usize,
        edges: &[BTreeSet<usize>],
        visits: &mut [Visit],
        path: &mut Vec<usize>,
    ) -> Option<Vec<usize>> {
        match visits[at] {
            Visit::Done => return None,
            Visit::Underway(position) => return Some(path[position..].to_vec()),
            Visit::None => visits[at] = Visit::Underway(path.len()),
        }
        path.push(at);
        for next in &edges[at] {
            if let Some(circle) = visit(*next, edges, visits, path) {
                return Some(circle);
            }
        }
        path.pop();
        visits[at] = Visit::Done;
        None
    }
    let mut visits = vec![Visit::None; states.len()];
    (0..states.len()).find_map(|start| visit(start, &edges, &mut visits, &mut Vec::new()))
}

/// Whether an expression is the same whatever the unknowns are: what it is at another time needs
/// no run.
pub(crate) fn is_known_path(defs: &IndexVec<DefId, Def>, expr: &Expr) -> bool {
    let mut known = true;
    reach(defs, expr, &mut |part| {
        match &part.kind {
            Kind::Rate(_) | Kind::ChannelRate(_) | Kind::White(_) => known = false,
            Kind::Def(def) => match defs[*def].kind {
                DefKind::State(_) | DefKind::Channel(_) | DefKind::Noise(_) => known = false,
                _ => {}
            },
            _ => {}
        }
        known
    });
    known
}

/// Where an expression reads a noise: its prime, or the process itself.
fn noise_in(defs: &IndexVec<DefId, Def>, expr: &Expr) -> Option<(Span, bool)> {
    let mut found = None;
    reach(defs, expr, &mut |part| {
        match &part.kind {
            Kind::White(_) => found = found.or(Some((part.span, true))),
            Kind::Def(def) if matches!(defs[*def].kind, DefKind::Noise(_)) => {
                found = found.or(Some((part.span, false)));
            }
            _ => {}
        }
        found.is_none()
    });
    found
}

/// Where a prime is used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a line in solved form: noises may enter.
    Solved,
    /// In another line: open primes and noises may enter.
    Line,
    /// Anywhere else.
    Else,
}

/// What uses the prime of an unknown that has none to substitute (E0508), of a noisy one or of a
/// noise itself where it cannot be (E0507).
pub(crate) fn misused_primes(model: &Model) -> Vec<Diagnostic> {
    let Model { defs, states, .. } = model;
    let noisy: Vec<bool> = states
        .iter()
        .map(|state| !state.plain && state.rate.as_ref().is_some_and(|rate| noise_in(defs, rate).is_some()))
        .collect();
    let mut said = Vec::new();
    let mut check = |expr: &Expr, place: Place| {
        if let Some(message) = misuse(model, &noisy, expr, place)
            && !said.contains(&message)
        {
            said.push(message);
        }
    };
    let rates = states.iter().filter(|state| !state.plain).filter_map(|state| state.rate.as_ref());
    rates.for_each(|rate| check(rate, Place::Solved));
    for dynamics in model.systems.iter().map(|system| &system.dynamics) {
        dynamics.lines.iter().for_each(|line| check(&line.residual, Place::Line));
        of_events(dynamics).for_each(|expr| check(expr, Place::Else));
    }
    model.channels.iter().for_each(|channel| check(&channel.rate, Place::Else));
    model.results.iter().for_each(|root| check(&root.value, Place::Else));
    model.curves.iter().for_each(|curve| check(&curve.value, Place::Else));
    said
}

/// Every expression of lines and events.
pub(crate) fn of_dynamics(dynamics: &Dynamics) -> impl Iterator<Item = &Expr> {
    dynamics.lines.iter().map(|line| &line.residual).chain(of_events(dynamics))
}

/// Every expression of the events.
fn of_events(dynamics: &Dynamics) -> impl Iterator<Item = &Expr> {
    dynamics.events.iter().flat_map(|event| {
        let trigger: &[Expr] = match &event.trigger {
            Trigger::When(roots, _) => roots,
            Trigger::Every(expr) | Trigger::At(expr) => std::slice::from_ref(expr),
        };
        trigger.iter().chain(event.jumps.iter().map(|(_, value)| value))
    })
}

fn misuse(model: &Model, noisy: &[bool], expr: &Expr, place: Place) -> Option<Diagnostic> {
    let Model { defs, states, .. } = model;
    match noise_in(defs, expr) {
        Some((span, false)) => return Some(errors::bare_noise(span)),
        Some((span, true)) if place == Place::Else => return Some(errors::noise_elsewhere(span)),
        Some((_, true)) | None => {}
    }
    let mut primes: Vec<(usize, Span, bool)> = Vec::new();
    reach(defs, expr, &mut |part| {
        match &part.kind {
            Kind::Rate(number) => primes.push((*number, part.span, false)),
            Kind::Flow(of, order) => {
                let moved = moving(defs, states, of, *order).states;
                primes.extend(moved.into_iter().map(|number| (number, part.span, true)));
            }
            _ => {}
        }
        true
    });
    primes.into_iter().find_map(|(number, span, flows)| {
        let state = &states[number];
        let (name, declared) = (&defs[state.def].name, defs[state.def].span);
        if noisy[number] {
            return Some(errors::prime_of_noisy(span, name, state.equation));
        }
        let has_none = match state.kind {
            UnknownKind::Rate => state.rate.is_none() && (place != Place::Line || flows),
            UnknownKind::Algebraic => true,
            UnknownKind::Discrete => false,
        };
        has_none.then(|| errors::no_prime(span, name, declared, state.kind.noun()))
    })
}
