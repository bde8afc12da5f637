//! What can be said of a whole model: what depends on what, and that nothing is used outside the
//! run it belongs to.

use crate::diag::Diagnostic;
use crate::ir::program::Role;
use crate::sema::equations;
use crate::sema::errors;
use crate::sema::phase::reach;
use crate::sema::typed::{DefKind, Expr, Kind, Model, Moved};
use std::collections::BTreeSet;

/// The params that a term of the objective depends on, and the channels that anything reads.
pub(crate) fn reached(model: &Model) -> (BTreeSet<usize>, BTreeSet<usize>) {
    let collect = |roots: Vec<&Expr>| {
        let (mut params, mut channels, mut states) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut open: Vec<&Expr> = roots;
        let (mut entered, mut moved): (BTreeSet<usize>, BTreeSet<usize>) = (BTreeSet::new(), BTreeSet::new());
        while let Some(expr) = open.pop() {
            let mut next: Vec<&Expr> = Vec::new();
            reach(&model.defs, expr, &mut |part| {
                let mut state = None;
                match &part.kind {
                    Kind::Def(def) => match model.defs[*def].kind {
                        DefKind::Param(number) => {
                            params.insert(number);
                        }
                        DefKind::Channel(number) if channels.insert(number) => {
                            next.push(&model.channels[number].rate);
                        }
                        DefKind::State(number) => state = Some(number),
                        _ => {}
                    },
                    Kind::Rate(number) => state = Some(*number),
                    // All of a system matters to whoever calls it; of its channels, the one asked for.
                    Kind::Solved { call, moved, at: _ } => {
                        let call = &model.calls[*call];
                        let system = &model.systems[call.system];
                        next.extend(system.states.clone().flat_map(|number| {
                            states.insert(number);
                            let start = call.starts.get(&Moved::State(number));
                            let start = start.or(model.states[number].start.as_ref());
                            [model.states[number].rate.as_ref(), start].into_iter().flatten()
                        }));
                        next.extend(equations::of_dynamics(&system.dynamics));
                        if let Moved::Channel(number) = moved {
                            channels.insert(*number);
                            next.push(&model.channels[*number].rate);
                            next.extend(call.starts.get(moved));
                        }
                        if entered.insert(call.system) {
                            next.extend([&system.interval.0, &system.interval.1]);
                        }
                    }
                    Kind::ChannelRate(number) => next.push(&model.channels[*number].rate),
                    Kind::Flow(of, order) => {
                        next.extend(
                            equations::moving(&model.defs, &model.states, of, *order)
                                .states
                                .iter()
                                .filter_map(|n| model.states[*n].rate.as_ref()),
                        );
                    }
                    _ => {}
                }
                if let Some(number) = state
                    && states.insert(number)
                {
                    next.extend(&model.states[number].rate);
                    next.extend(&model.states[number].start);
                    // Whatever else moves one unknown of a system may move any.
                    let of = model.systems.iter().position(|system| system.states.contains(&number));
                    if let Some(of) = of.filter(|of| moved.insert(*of)) {
                        next.extend(equations::of_dynamics(&model.systems[of].dynamics));
                    }
                }
                true
            });
            if let Some(main) = model.main
                && !next.is_empty()
                && entered.insert(main)
            {
                let (start, end) = &model.systems[main].interval;
                next.extend([start, end]);
            }
            open.extend(next);
        }
        (params, channels)
    };
    let objective =
        model.results.iter().filter(|root| matches!(root.role, Role::Loss | Role::Likelihood | Role::Prior));
    let (params, _) = collect(objective.map(|root| &root.value).collect());
    let all =
        model.results.iter().map(|root| &root.value).chain(model.curves.iter().map(|curve| &curve.value));
    let (_, channels) = collect(all.collect());
    (params, channels)
}

/// What is used outside of the run it belongs to, and calls of systems that need each other.
pub(crate) fn foreign(model: &Model) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (number, system) in model.systems.iter().enumerate() {
        // Where there is one system, its unknowns are those of all.
        let states = model.states[system.states.clone()].iter();
        let states = states.filter(|state| !state.plain || model.systems.len() > 1);
        let rates = states.filter_map(|state| state.rate.as_ref());
        let rates = rates.chain(equations::of_dynamics(&system.dynamics));
        let rates = rates.chain(system.channels.clone().map(|channel| &model.channels[channel].rate));
        rates.for_each(|rate| strangers(model, Some(number), rate, &mut found));
    }
    let roots = model.results.iter().map(|root| &root.value);
    let roots = roots.chain(model.curves.iter().map(|curve| &curve.value));
    let starts = model.calls.iter().flat_map(|call| call.starts.values());
    roots.chain(starts).for_each(|root| strangers(model, model.main, root, &mut found));
    if let Err(circle) = order(model, &|call| call) {
        found.push(errors::runs_in_a_circle(
            &circle.iter().map(|run| name_of(model, *run)).collect::<Vec<_>>(),
        ));
    }
    found
}

/// What a run is called, and where it is asked for.
fn name_of(model: &Model, run: usize) -> (String, crate::base::span::Span) {
    match (model.calls.get(run), model.main) {
        (Some(call), _) => (model.systems[call.system].name.to_string(), call.span),
        (None, Some(main)) => ("main".to_owned(), model.systems[main].span),
        (None, None) => crate::bug!("a run of nothing"),
    }
}

fn strangers(model: &Model, own: Option<usize>, expr: &Expr, found: &mut Vec<Diagnostic>) {
    let system_of = |moved: Moved| {
        let mut systems = model.systems.iter();
        systems.position(|system| match moved {
            Moved::State(number) => system.states.contains(&number),
            Moved::Channel(number) => system.channels.contains(&number),
        })
    };
    reach(&model.defs, expr, &mut |part| {
        let system = match &part.kind {
            Kind::Def(def) => match model.defs[*def].kind {
                DefKind::State(number) => system_of(Moved::State(number)),
                DefKind::Channel(number) => system_of(Moved::Channel(number)),
                DefKind::Time => model.systems.iter().position(|system| system.time == *def),
                _ => return true,
            },
            Kind::Rate(number) => system_of(Moved::State(*number)),
            Kind::ChannelRate(number) => system_of(Moved::Channel(*number)),
            Kind::Start | Kind::End if own.is_none() => {
                found.push(errors::no_time(part.span));
                return true;
            }
            // The times of another run have its own start and end.
            Kind::Solved { .. } => return false,
            _ => return true,
        };
        if system != own
            && let Some(system) = system
        {
            found.push(errors::another_systems(part.span, &model.systems[system].name));
        }
        true
    });
}

/// The runs in an order in which each needs only those before it: calls by number, and the run of
/// the file by the number behind theirs. `shared` says which call stands for a call. A circle is
/// given instead, if there is one.
pub(crate) fn order(model: &Model, shared: &dyn Fn(usize) -> usize) -> Result<Vec<usize>, Vec<usize>> {
    let n_runs = model.calls.len() + usize::from(model.main.is_some());
    let needs: Vec<BTreeSet<usize>> =
        (0..n_runs).map(|run| needed(model, run).into_iter().map(shared).collect()).collect();
    let mut order = Vec::new();
    let mut path = Vec::new();
    for run in (0..n_runs).filter(|run| shared(*run) == *run) {
        place(run, &needs, &mut order, &mut path)?;
    }
    Ok(order)
}

fn place(
    run: usize,
    needs: &[BTreeSet<usize>],
    order: &mut Vec<usize>,
    path: &mut Vec<usize>,
) -> Result<(), Vec<usize>> {
    if order.contains(&run) {
        return Ok(());
    }
    if let Some(position) = path.iter().position(|open| *open == run) {
        return Err(path[position..].to_vec());
    }
    path.push(run);
    for needed in &needs[run] {
        place(*needed, needs, order, path)?;
    }
    path.pop();
    order.push(run);
    Ok(())
}

/// The runs that one needs before it can begin.
fn needed(model: &Model, run: usize) -> BTreeSet<usize> {
    let (system, starts) = match (model.calls.get(run), model.main) {
        (Some(call), _) => (call.system, Some(&call.starts)),
        (None, Some(main)) => (main, None),
        (None, None) => crate::bug!("a run of nothing"),
    };
    let system = &model.systems[system];
    let mut needed = BTreeSet::new();
    let mut look = |expr: &Expr| {
        reach(&model.defs, expr, &mut |part| {
            match &part.kind {
                Kind::Solved { call, .. } => drop(needed.insert(*call)),
                // The value of a path at a time needs no run.
                Kind::At(of, _) if !equations::is_known_path(&model.defs, of) => {
                    needed.insert(model.calls.len());
                }
                _ => {}
            }
            true
        });
    };
    look(&system.interval.0);
    look(&system.interval.1);
    for number in system.states.clone() {
        let given = starts.and_then(|starts| starts.get(&Moved::State(number)));
        given.or(model.states[number].start.as_ref()).into_iter().for_each(&mut look);
        let state = &model.states[number];
        state.rate.iter().filter(|_| !state.plain).for_each(&mut look);
    }
    for number in system.channels.clone() {
        starts.and_then(|starts| starts.get(&Moved::Channel(number))).into_iter().for_each(&mut look);
        look(&model.channels[number].rate);
    }
    equations::of_dynamics(&system.dynamics).for_each(&mut look);
    needed
}
