//! Systems and the runs of them, in an order in which each needs only those before it.
//!
//! A run is known by its number: calls of systems by theirs, the run of the file by the number
//! behind. Calls of one system with equal start values are one run.

use super::dynamics::Motion;
use super::frame::{AllSites, Frame, Input, Moment, Sites, World};
use super::{Elaboration, Made, Signature, arranged, unique};
use crate::ir::func::{Attr, Func, ValueId};
use crate::ir::op::Op;
use crate::ir::system::{Site, Solve, System};
use crate::sema::checks;
use crate::sema::typed::{DefKind, Expr, Kind, Moved};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A function, and the inputs that its parameters are.
type Loose = (Func, Vec<Input>);

/// Where a run is looked at, and the function of those times.
pub(super) struct Found {
    times: Loose,
    sites: Vec<Site>,
}

/// What the motion of a system needs to be computed once.
pub(super) struct Asked<'e> {
    /// Values that may need other runs.
    args: Vec<&'e Expr>,
    /// `args, params, data -> what else there is`
    hoisted: Func,
}

/// The runs of a program.
pub(super) struct Runs<'e> {
    elaboration: &'e Elaboration<'e>,
    shared: &'e [Cell<usize>],
    order: Vec<usize>,
    /// The systems that any of the runs is of.
    systems: Vec<usize>,
}

impl<'e> Runs<'e> {
    /// Puts the runs in order. `shared` has a place for every call.
    pub fn new(elaboration: &'e Elaboration<'e>, shared: &'e [Cell<usize>]) -> Made<Runs<'e>> {
        let mut runs = Runs { elaboration, shared, order: Vec::new(), systems: Vec::new() };
        runs.share()?;
        let stands_for = |run: usize| shared.get(run).map_or(run, Cell::get);
        runs.order = match checks::order(elaboration.model, &stands_for) {
            Ok(order) => order,
            Err(circle) => crate::bug!("the runs {circle:?} need each other"),
        };
        let mut systems: Vec<usize> = runs.order.iter().map(|run| runs.system_of(*run)).collect();
        systems.sort_unstable();
        systems.dedup();
        runs.systems = systems;
        Ok(runs)
    }

    /// Finds the calls with equal start values: values of one function are equal if they are one
    /// node.
    fn share(&self) -> Made<()> {
        let mut sites = self.sites();
        let world = self.world(self.elaboration.model.main);
        let mut frame = Frame::with_sites("starts", world, Moment::Never, &mut sites);
        let mut seen: Vec<(usize, bool, BTreeMap<Moved, ValueId>)> = Vec::new();
        for (number, call) in self.elaboration.model.calls.iter().enumerate() {
            let mut starts = BTreeMap::new();
            for (moved, start) in &call.starts {
                starts.insert(*moved, frame.value(start)?);
            }
            let key = (call.system, call.inverse, starts);
            self.shared[number].set(seen.iter().position(|other| *other == key).unwrap_or(number));
            seen.push(key);
        }
        Ok(())
    }

    /// The number of the run of the file.
    pub fn main(&self) -> usize {
        self.elaboration.model.calls.len()
    }

    /// The runs, each behind those that it needs.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// The system that a run is of.
    fn system_of(&self, run: usize) -> usize {
        let model = self.elaboration.model;
        match (model.calls.get(run), model.main) {
            (Some(call), _) => call.system,
            (None, Some(main)) => main,
            (None, None) => crate::bug!("the run of a file that does not move"),
        }
    }

    /// What a function sees that belongs to this system.
    pub fn world(&self, system: Option<usize>) -> World<'e> {
        let model = self.elaboration.model;
        let system = system.map(|system| &model.systems[system]);
        World {
            defs: &model.defs,
            sizes: &model.sizes,
            ragged: &model.ragged,
            states: &model.states,
            channels: &model.channels,
            interval: system.map(|system| &system.interval),
            time: system.map(|system| system.time),
            main: self.main(),
            shared: self.shared,
            real: self.elaboration.bindings.real,
        }
    }

    /// No sites yet, for every run.
    pub fn sites(&self) -> AllSites<'e> {
        let model = self.elaboration.model;
        let systems = model.calls.iter().map(|call| Some(call.system)).chain([model.main]);
        systems.map(|system| Sites::new(self.world(system))).collect()
    }

    // ---- systems ---------------------------------------------------------------------------

    /// Every system that is run, and for each what its motion asks to be computed once.
    pub fn motions(&self) -> Made<(Vec<System>, Vec<Asked<'e>>)> {
        let mut systems = Vec::new();
        let mut asked = Vec::new();
        for number in self.systems.iter().copied() {
            let mut args = Vec::new();
            let world = self.world(Some(number));
            let (system, hoisted) = Motion::new(self.elaboration, world, number, &mut args).system()?;
            systems.push(system);
            asked.push(Asked { args, hoisted });
        }
        Ok((systems, asked))
    }

    // ---- runs ------------------------------------------------------------------------------

    /// Where each run starts, in order. `asked` is what each system's motion asks for.
    pub fn starts(&self, asked: &[Asked<'e>], sites: &mut AllSites<'e>) -> Made<Vec<Loose>> {
        self.order.iter().map(|run| self.start(*run, asked, sites)).collect()
    }

    fn start(&self, run: usize, asked: &[Asked<'e>], sites: &mut AllSites<'e>) -> Made<Loose> {
        let model = self.elaboration.model;
        let number = self.system_of(run);
        let (system, call) = (&model.systems[number], model.calls.get(run));
        let given = |moved: Moved| call.and_then(|call| call.starts.get(&moved));
        let mut frame = Frame::with_sites("start", self.world(model.main), Moment::Never, sites);
        frame.own_ends = run == self.main();
        let (t0, t1) = (frame.value(&system.interval.0)?, frame.value(&system.interval.1)?);
        let (t0, t1) = if call.is_some_and(|call| call.inverse) { (t1, t0) } else { (t0, t1) };
        let mut results: Vec<(Arc<str>, ValueId)> = vec![("t0".into(), t0), ("t1".into(), t1)];
        for n in system.states.clone() {
            let state = &model.states[n];
            let start = match given(Moved::State(n)).or(state.start.as_ref()) {
                Some(start) => {
                    let start = frame.value(start)?;
                    frame.b.must(Op::Convert, &[start], Attr::To(self.elaboration.bindings.real))
                }
                None => crate::bug!("`{}` has no start", model.defs[state.def].name),
            };
            results.push((model.defs[state.def].name.clone(), start));
        }
        for n in system.channels.clone() {
            let def = model.channels[n].def;
            let start = match given(Moved::Channel(n)) {
                Some(start) => frame.value(start)?,
                None => frame.b.splat(0.0, self.elaboration.ty(def)),
            };
            results.push((model.defs[def].name.clone(), start));
        }
        let position = self.systems.iter().position(|other| *other == number);
        let Asked { args, hoisted } = &asked[position.expect("systems that are run are listed")];
        let mut inputs = Vec::new();
        for (n, arg) in args.iter().enumerate() {
            inputs.push(frame.value(arg)?);
            results.push((format!("arg {n}").into(), inputs[n]));
        }
        for (input, _, ty) in self.elaboration.outside() {
            inputs.push(frame.input(input, ty));
        }
        let more = frame.b.inline(hoisted, &inputs);
        results.extend(hoisted.results.iter().map(|port| port.name.clone()).zip(more));
        Ok(frame.finish(unique(results)))
    }

    /// The knots of the paths of each run's system, in order: what its steps must hit.
    pub fn stops(&self, sites: &mut AllSites<'e>) -> Made<Vec<Loose>> {
        let model = self.elaboration.model;
        let stops = self.order.iter().map(|run| {
            let time = model.systems[self.system_of(*run)].time;
            let mut frame = Frame::with_sites("stops", self.world(model.main), Moment::Never, sites);
            frame.own_ends = *run == self.main();
            let mut results = Vec::new();
            for def in model.defs.iter().filter(|def| def.kind == DefKind::Control) {
                // However smooth: within a step the motion sees one piece, which goes on beyond its ends.
                if let Some(Kind::Path { time: own, times, .. }) = def.value.as_ref().map(|value| &value.kind)
                    && *own == time
                {
                    results.push((def.name.clone(), frame.value(times)?));
                }
            }
            Ok(frame.finish(unique(results)))
        });
        stops.collect()
    }

    /// The sites of each run, once every function has been made.
    pub fn finish(&self, sites: AllSites<'e>) -> Vec<Found> {
        let found = sites.into_iter().map(|sites| {
            let (times, order, sites) = sites.finish();
            Found { times: (times, order), sites }
        });
        found.collect()
    }

    /// What is known of these runs: for each its ends, then for each site each state and channel.
    pub fn known(&self, runs: &[usize], found: &[Found]) -> Signature {
        let (elaboration, model) = (self.elaboration, self.elaboration.model);
        let mut signature = Signature::new();
        for run in runs {
            let system = &model.systems[self.system_of(*run)];
            let (start, end) = match *run == self.main() {
                true => (Input::Start, Input::End),
                false => (Input::Ends(*run, false), Input::Ends(*run, true)),
            };
            signature.push(elaboration.scalar(start, &format!("t0 of {run}")));
            signature.push(elaboration.scalar(end, &format!("t1 of {run}")));
            for (site, Site { count, .. }) in found[*run].sites.iter().enumerate() {
                let states = system.states.clone().map(|n| (Moved::State(n), model.states[n].def));
                let channels = system.channels.clone().map(|n| (Moved::Channel(n), model.channels[n].def));
                for (moved, def) in states.chain(channels) {
                    let mut ty = elaboration.ty(def);
                    if let Some(count) = count {
                        ty.shape.0.insert(0, *count);
                    }
                    let name = format!("{}@{site} of {run}", model.defs[def].name);
                    signature.push((Input::Site(*run, site, moved), name.into(), ty));
                }
            }
        }
        signature
    }

    /// The runs as the plan takes them.
    pub fn solves(&self, starts: Vec<Loose>, stops: Vec<Loose>, found: Vec<Found>) -> Vec<Solve> {
        let model = self.elaboration.model;
        let mut solves = Vec::new();
        let made = self.order.iter().zip(starts).zip(stops);
        for (position, ((run, (start, start_order)), (stops, stops_order))) in made.enumerate() {
            let before = self.known(&self.order[..position], &found);
            let outside = [before, self.elaboration.outside()].concat();
            let number = self.system_of(*run);
            let system = self.systems.iter().position(|other| *other == number);
            let (times, times_order) = found[*run].times.clone();
            solves.push(Solve {
                system: system.expect("systems that are run are listed"),
                inverse: model.calls.get(*run).is_some_and(|call| call.inverse),
                start: arranged(start, &start_order, outside.clone()),
                sites: found[*run].sites.clone(),
                times: arranged(times, &times_order, outside.clone()),
                stops: arranged(stops, &stops_order, outside),
                span: model.calls.get(*run).map_or(model.systems[number].span, |call| call.span),
            });
        }
        solves
    }
}
