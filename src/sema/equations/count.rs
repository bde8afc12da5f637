//! Whether there is an equation for each unknown: a flow of equations to the unknowns that they can
//! determine, by entries.
//!
//! A line can determine the unknowns whose open primes it contains, and the algebraic ones that it
//! depends on. What a largest flow leaves over is what the messages name.

use crate::base::span::Span;
use crate::ir::system::UnknownKind;
use crate::sema::equations::flow::{dependence, moving};
use crate::sema::errors;
use crate::sema::phase::reach;
use crate::sema::resolve::Checker;
use crate::sema::typed::{Kind, Line, State, Ty};
use std::collections::BTreeSet;

/// An unknown without a line in solved form.
struct Open {
    /// Its number.
    state: usize,
    /// How many of its entries no equation determines yet.
    left: i64,
}

/// A line not in solved form.
struct Supply {
    /// Position of each unknown among the open ones that it can determine, and how much it does.
    targets: Vec<(usize, i64)>,
    /// Positions of the open unknowns that it mentions at all.
    mentions: BTreeSet<usize>,
    /// How many of its entries determine nothing yet.
    left: i64,
    /// Whether it contains a prime of an open unknown.
    has_prime: bool,
}

/// How many entries a value has, if its sizes are known.
fn entries(checker: &Checker<'_>, ty: &Ty) -> Option<i64> {
    ty.dims.iter().try_fold(1, |count, dim| Some(count * checker.settled(dim).as_number()?))
}

impl Checker<'_> {
    /// Says which unknown has no equation and which equation is too many. Sizes that are not known
    /// yet are taken to agree. The states of this system begin at `first`.
    pub(super) fn count_equations(
        &mut self,
        states: &[State],
        first: usize,
        lines: &[Line],
        n_solved: usize,
    ) {
        let open = |state: &State| state.rate.is_none() && state.kind != UnknownKind::Discrete;
        let mut sized =
            states.iter().skip(first).filter(|state| open(state)).map(|state| &self.defs[state.def].ty);
        let known = sized.all(|ty| entries(self, ty).is_some())
            && lines.iter().all(|line| entries(self, &line.residual.ty).is_some());
        let counts = |ty: &Ty| if known { entries(self, ty).unwrap_or(1) } else { 1 };
        let mut opens: Vec<Open> = Vec::new();
        for (number, state) in states.iter().enumerate().skip(first).filter(|(_, state)| open(state)) {
            opens.push(Open { state: number, left: counts(&self.defs[state.def].ty) });
        }
        let mut supplies: Vec<Supply> = Vec::new();
        for line in lines {
            supplies.push(self.supply(states, line, &opens, counts(&line.residual.ty)));
        }
        while augment(&mut opens, &mut supplies) {}
        let lacking: Vec<usize> = (0..opens.len()).filter(|at| opens[*at].left > 0).collect();
        let mut spare: Vec<usize> = (0..supplies.len()).filter(|at| supplies[*at].left > 0).collect();
        for at in lacking.iter().copied() {
            let state = &states[opens[at].state];
            let group = group(at, &supplies);
            // A line of the same group is likelier to be the one that was meant.
            let partner = spare.iter().position(|line| group.contains(line));
            let partner =
                partner.or(if spare.is_empty() { None } else { Some(0) }).map(|at| spare.remove(at));
            let def = &self.defs[state.def];
            let (name, span) = (def.name.clone(), def.span);
            let base = name.trim_end_matches('\'').to_owned();
            match (state.kind, partner) {
                (UnknownKind::Algebraic, Some(line)) => {
                    let order = self.lowering_order(states, &lines[line], opens[at].state);
                    let derivative =
                        order.map(|order| (order, self.derivative_text(lines[line].span, order)));
                    self.report(errors::index_above_one(lines[line].span, &name, span, derivative));
                }
                (UnknownKind::Algebraic, None) => self.report(errors::no_constraint(span, &name)),
                (UnknownKind::Rate | UnknownKind::Discrete, _) => {
                    let n_constraints = supplies.iter().filter(|supply| !supply.has_prime).count();
                    let n_states =
                        states.iter().skip(first).filter(|state| state.kind == UnknownKind::Rate).count();
                    let n_rates = n_solved + supplies.len() - n_constraints;
                    let counts = [n_rates, n_constraints, n_states];
                    let left_over = partner.map(|line| (lines[line].span, counts));
                    let primes = "'".repeat(name.len() - base.len() + 1);
                    let span = Span { hi: span.lo + base.len() as u32, ..span };
                    self.report(errors::no_equation(span, &base, &primes, left_over));
                }
            }
        }
        if !lacking.is_empty() {
            return;
        }
        for line in spare {
            let group = supplies[line].mentions.iter().flat_map(|at| group(*at, &supplies));
            let group: BTreeSet<usize> = group.chain([line]).collect();
            let unknowns: BTreeSet<usize> =
                group.iter().flat_map(|line| supplies[*line].mentions.iter().copied()).collect();
            let names = unknowns.iter().map(|at| self.defs[states[opens[*at].state].def].name.to_string());
            let others = group.iter().filter(|other| **other != line).map(|other| lines[*other].span);
            let (names, others): (Vec<String>, Vec<Span>) = (names.collect(), others.collect());
            self.report(errors::too_many_equations(lines[line].span, &names, &others));
        }
    }

    fn supply(&self, states: &[State], line: &Line, opens: &[Open], left: i64) -> Supply {
        let mut primes: BTreeSet<usize> = BTreeSet::new();
        reach(&self.defs, &line.residual, &mut |part| {
            if let Kind::Rate(number) = part.kind {
                primes.insert(number);
            }
            true
        });
        let values = dependence(&self.defs, states, &line.residual).states;
        let at = |number: &usize| opens.iter().position(|open| open.state == *number);
        let is_algebraic = |number: &&usize| states[**number].kind == UnknownKind::Algebraic;
        let by_prime: BTreeSet<usize> = primes.iter().filter_map(at).collect();
        let by_value: BTreeSet<usize> = values.iter().filter(is_algebraic).filter_map(at).collect();
        let mentions = by_prime.iter().copied().chain(values.iter().filter_map(at)).collect();
        let has_prime = !by_prime.is_empty();
        let targets = by_prime.union(&by_value).map(|at| (*at, 0)).collect();
        Supply { targets, mentions, left, has_prime }
    }

    /// The lowest derivative of a constraint that depends on the algebraic unknown of this number.
    fn lowering_order(&self, states: &[State], line: &Line, algebraic: usize) -> Option<u32> {
        // Beyond the third derivative nobody solves the result.
        (1..=3).find(|order| {
            let moved = moving(&self.defs, states, &line.residual, *order).states;
            let is_open = |number: &usize| states[*number].rate.is_none();
            if moved.iter().any(is_open) {
                return false;
            }
            let rates = moved.iter().filter_map(|number| states[*number].rate.as_ref());
            rates.into_iter().any(|rate| dependence(&self.defs, states, rate).states.contains(&algebraic))
        })
    }

    /// `0 = (x^2 + y^2 - 1)''`
    fn derivative_text(&self, line: Span, order: u32) -> String {
        let primes = "'".repeat(order as usize);
        match self.text(line).split_once('=') {
            Some((lhs, rhs)) if lhs.trim() == "0" => format!("0 = ({}){primes}", rhs.trim()),
            Some((lhs, rhs)) if rhs.trim() == "0" => format!("({}){primes} = 0", lhs.trim()),
            Some((lhs, rhs)) => format!("({}){primes} = ({}){primes}", lhs.trim(), rhs.trim()),
            None => crate::bug!("a line without `=`"),
        }
    }
}

/// The lines connected to an open unknown through lines and unknowns that they mention.
fn group(start: usize, supplies: &[Supply]) -> BTreeSet<usize> {
    let (mut unknowns, mut lines) = (BTreeSet::from([start]), BTreeSet::new());
    loop {
        let found = supplies.iter().enumerate().filter(|(line, supply)| {
            !lines.contains(line) && supply.mentions.iter().any(|at| unknowns.contains(at))
        });
        let found: Vec<usize> = found.map(|(line, _)| line).collect();
        if found.is_empty() {
            return lines;
        }
        for line in found {
            lines.insert(line);
            unknowns.extend(supplies[line].mentions.iter().copied());
        }
    }
}

/// Sends more of some line to some unknown, along a shortest path, moving what other lines supply.
/// Source: Edmonds and Karp, Journal of the ACM 19 (1972).
fn augment(opens: &mut [Open], supplies: &mut [Supply]) -> bool {
    // For each line the unknown through which it was reached; lines with something left are roots.
    let mut reached: Vec<Option<Option<usize>>> =
        supplies.iter().map(|supply| (supply.left > 0).then_some(None)).collect();
    let mut from: Vec<Option<usize>> = vec![None; opens.len()];
    let mut queue: Vec<usize> = (0..supplies.len()).filter(|line| reached[*line].is_some()).collect();
    let mut at = 0;
    while at < queue.len() {
        let line = queue[at];
        at += 1;
        for (unknown, _) in supplies[line].targets.clone() {
            if from[unknown].is_some() {
                continue;
            }
            from[unknown] = Some(line);
            if opens[unknown].left > 0 {
                send(opens, supplies, &reached, &from, unknown);
                return true;
            }
            for other in 0..supplies.len() {
                let gives = supplies[other].targets.iter().any(|(to, flow)| *to == unknown && *flow > 0);
                if gives && reached[other].is_none() {
                    reached[other] = Some(Some(unknown));
                    queue.push(other);
                }
            }
        }
    }
    false
}

fn send(
    opens: &mut [Open],
    supplies: &mut [Supply],
    reached: &[Option<Option<usize>>],
    from: &[Option<usize>],
    last: usize,
) {
    let flow_to = |supply: &Supply, unknown: usize| {
        supply.targets.iter().position(|(to, _)| *to == unknown).expect("the path goes along targets")
    };
    let mut path = Vec::new();
    let (mut unknown, mut amount) = (last, opens[last].left);
    loop {
        let line = from[unknown].expect("the path comes from somewhere");
        path.push((line, unknown));
        match reached[line] {
            Some(Some(through)) => {
                amount = amount.min(supplies[line].targets[flow_to(&supplies[line], through)].1);
                unknown = through;
            }
            Some(None) | None => {
                amount = amount.min(supplies[line].left);
                break;
            }
        }
    }
    opens[last].left -= amount;
    for (line, unknown) in path {
        let to = flow_to(&supplies[line], unknown);
        supplies[line].targets[to].1 += amount;
        match reached[line] {
            Some(Some(through)) => {
                let back = flow_to(&supplies[line], through);
                supplies[line].targets[back].1 -= amount;
            }
            Some(None) | None => supplies[line].left -= amount,
        }
    }
}
