//! Many runs, a block at a time: each with its own params and data, and nothing else of a [`Run`].
//!
//! Where a model's solves go in lanes ([`Plan::has_lanes`](crate::plan::Plan::has_lanes)), the runs of
//! a block go side by side; else a block is one run. The bits of a run are the same either way.

use crate::diag::{Code, Diagnostic};
use crate::engine::accuracy::{OwnError, of_solve, own_errors};
use crate::engine::diagnostics::{Diagnostics, Error};
use crate::engine::example::{self, At};
use crate::engine::many::{in_order, is_told};
use crate::engine::run::{Run, RunParts};
use crate::ir::program::{Axis, Outside, PortSource, Program, Swept};
use crate::ir::system::{System, Unknown};
use crate::plan::Plan;
use crate::plan::controls::{Controls, Failure, Save};
use crate::plan::forward::Simulation;
use crate::plan::lanes::Apart;
use crate::plan::operands::Context;
use crate::plan::trace::Keep;
use crate::plan::unit::{Data, Element};
use crate::settings::Precision;
use crate::solve::outcome::Stats;
use smallvec::SmallVec;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

/// Runs in a block, at most: so many that few lanes stand idle while the last of them end.
const MAX_BLOCK: usize = 256;

/// The same where no more is kept of a run than its end.
const MAX_BLOCK_OF_ENDS: usize = 512;

/// Numbers in the states of a block, at most, if it is not to be less than full: every step of every run
/// is kept while the block is under way.
const MAX_STATES: usize = 8192;

/// The numbers of one run among many.
struct Member {
    params: Vec<f64>,
    data: Data,
}

/// What one run leaves.
pub(super) struct Left<'a, T> {
    pub p: &'a [T],
    pub data: &'a Data,
    pub simulation: Simulation<T>,
}

/// What is kept of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Its values and its end.
    Ends,
    /// The whole solution.
    Path,
    /// The whole solution, and what `solve.save` says.
    Saved,
}

/// What is told of the runs of a block in [`Runs`](crate::Runs).
pub(super) struct Told {
    /// `[runs, width]`: of each the entries of [`Solution::numbers`](crate::Solution::numbers), end to end;
    /// NaN of one that failed.
    pub numbers: Vec<f64>,
    width: usize,
    /// What those cost together that did not fail.
    pub stats: Stats,
    /// The last of these.
    last: usize,
    /// By place in the block, as are failures.
    pub own_errors: Vec<(usize, Vec<OwnError>)>,
    pub failures: Vec<(usize, Error)>,
}

impl Run {
    /// Whether many runs go in lanes wherever their methods do. The machine code of a back end that has
    /// wide vectors makes it worth while, and is the default; the results are the same to the last bit.
    pub fn in_lanes(&mut self, lanes: bool) {
        self.parts_mut().lanes = lanes;
    }

    /// The model that run `number` is of.
    fn parts_of(&self, number: usize) -> &RunParts {
        let axes = self.axes();
        axes.and_then(|axes| axes.programs.get(axes.program(number))).unwrap_or(self.parts())
    }

    /// The numbers of run `number`.
    fn member(&self, number: usize) -> Result<Member, Error> {
        let parts = self.parts_of(number);
        let Some(axes) = self.axes() else {
            return Ok(Member { params: parts.params.clone(), data: Data::clone(&parts.data) });
        };
        let (point, member) = axes.place(number);
        let program = &parts.plan.program;
        let mut params = parts.params.clone();
        let at = At::evaluated(crate::data::Part::Train, member);
        let mut values = example::values(&program.data, &parts.dataset, parts.settings.run.seed, at);
        let mut own: SmallVec<[Outside; 4]> = SmallVec::new();
        for (sweep, value) in axes.sweeps.iter().zip(&point) {
            match sweep.of {
                Swept::Const => {}
                Swept::Outside(outside) => {
                    own.push(outside);
                    put(program, (&mut params, &mut values), outside, &[*value]);
                }
            }
        }
        if !program.redrawn.is_empty() {
            let data = Data::new(&program.data, &values);
            let drawn = match parts.settings.run.precision {
                Precision::F64 => draws::<f64>(parts, &params, &data),
                Precision::F32 => draws::<f32>(parts, &params, &data),
            };
            let mut rest = drawn.as_slice();
            for outside in &program.redrawn {
                let (now, behind) = rest.split_at(count(program, *outside));
                own.push(*outside);
                put(program, (&mut params, &mut values), *outside, now);
                rest = behind;
            }
        }
        if let Some(diagnostic) = outside_its_set(program, &params, &own) {
            let diagnostics = Diagnostics::new(vec![diagnostic], parts.sources.clone());
            return Err(Error::Failed { diagnostics, outcome: None });
        }
        Ok(Member { params, data: Data::new(&program.data, &values).of_member(member as u64) })
    }

    /// Run `number` by itself, with its numbers in place.
    pub(crate) fn numbered(&self, number: usize) -> Result<Run, Error> {
        let Some(axes) = self.axes() else { return Ok(self.clone()) };
        assert!(number < axes.n_runs(), "run {number} of {}", axes.n_runs());
        let Member { params, data } = self.member(number)?;
        Ok(Run::new(RunParts { params, data: Arc::new(data), ..self.parts_of(number).clone() }, None))
    }

    /// Solves the runs in `numbers` on as many threads as `run.threads` says; `look` looks at what each
    /// leaves where it is solved, `visit` at what `look` says, in the order of the numbers, and may end
    /// it all.
    pub(super) fn solve_many<T: Element, R: Send>(
        &self,
        numbers: Range<usize>,
        kept: Kept,
        look: impl Fn(&RunParts, usize, Result<Left<'_, T>, Error>) -> R + Sync,
        mut visit: impl FnMut(usize, R) -> ControlFlow<()>,
    ) {
        let of = |block: Range<usize>| {
            let mut found = Vec::with_capacity(block.len());
            self.by_program(block, |parts, numbers| {
                self.solve_alike(parts, numbers, kept, |number, left| found.push(look(parts, number, left)));
            });
            found
        };
        self.in_blocks::<T, _>(numbers, MAX_BLOCK, of, |block, found| {
            block.zip(found).try_for_each(|(number, found)| visit(number, found))
        });
    }

    /// Solves all runs; `visit` sees what is told of each block of them, in the order of the numbers. Of each
    /// run there are `width` numbers.
    pub(super) fn tell_many<T: Element>(&self, width: usize, mut visit: impl FnMut(Range<usize>, Told)) {
        let of = |block: Range<usize>| {
            let mut told = Told::new(block.len(), width);
            let first = block.start;
            self.by_program(block, |parts, numbers| self.tell_alike::<T>(parts, (first, numbers), &mut told));
            told.own_errors.sort_by_key(|(at, _)| *at);
            told.failures.sort_by_key(|(at, _)| *at);
            told
        };
        self.in_blocks::<T, _>(0..self.n_runs(), MAX_BLOCK_OF_ENDS, of, |block, told| {
            visit(block, told);
            ControlFlow::Continue(())
        });
    }

    /// Computes `of` for blocks of the runs in `numbers`, of `most` of them at most, and shows what it gives
    /// in their order.
    fn in_blocks<T: Element, R: Send>(
        &self,
        numbers: Range<usize>,
        most: usize,
        of: impl Fn(Range<usize>) -> R + Sync,
        mut visit: impl FnMut(Range<usize>, R) -> ControlFlow<()>,
    ) {
        let (first, n_runs) = (numbers.start, numbers.len());
        let threads = self.threads();
        let size = if self.goes_in_lanes() {
            let width = crate::backend::lanes::width(T::DTYPE);
            let dim = self.parts().plan.layout.systems.iter().map(|system| system.n).max().unwrap_or(1);
            let most = (MAX_STATES / dim.max(1)).min(most).max(width);
            n_runs.div_ceil(threads.clamp(1, n_runs.max(1))).next_multiple_of(width).min(most)
        } else {
            1
        };
        let block = |number: usize| first + number * size..first + n_runs.min((number + 1) * size);
        let window = (MAX_BLOCK / size).max(2 * threads.min(n_runs));
        let of = |number: usize| of(block(number));
        in_order(0..n_runs.div_ceil(size), window, threads, of, |number, found| visit(block(number), found));
    }

    /// Whether a system has lanes, and they are wanted.
    fn goes_in_lanes(&self) -> bool {
        let plan = &self.parts().plan;
        self.parts().lanes && (0..plan.program.systems.len()).any(|system| plan.has_lanes(system))
    }

    /// Shows the runs in `numbers`, those of one program together: consts that are swept make several.
    fn by_program(&self, numbers: Range<usize>, mut each: impl FnMut(&RunParts, Range<usize>)) {
        let mut from = numbers.start;
        while from < numbers.end {
            let parts = self.parts_of(from);
            let same = |number: &usize| std::ptr::eq(self.parts_of(*number), parts);
            let until = (from..numbers.end).take_while(same).last().map_or(from, |last| last + 1);
            each(parts, from..until);
            from = until;
        }
    }

    /// Solves runs of one program.
    fn solve_alike<T: Element>(
        &self,
        parts: &RunParts,
        numbers: Range<usize>,
        kept: Kept,
        mut look: impl FnMut(usize, Result<Left<'_, T>, Error>),
    ) {
        let plan = &parts.plan;
        let save = if kept == Kept::Saved { parts.controls.save.clone() } else { Save::Nothing };
        let controls = Controls { save, ..parts.controls.clone() };
        let keep = |system: usize| match kept {
            Kept::Ends => Keep::Ends,
            Kept::Path | Kept::Saved => plan.whole_path(system),
        };
        let solve = |contexts: &[Context<'_, T>]| match self.parts().lanes {
            true => plan.simulate_many(contexts, &self.apart(parts), &plan.needed(), &controls, keep),
            false => {
                let alone = |of: &Context<'_, T>| of.simulate_solves(&plan.needed(), &controls, keep);
                contexts.iter().map(alone).collect()
            }
        };
        let members: Vec<Result<Member, Error>> = numbers.clone().map(|number| self.member(number)).collect();
        let ps = params::<T>(&members);
        let contexts = contexts(plan, &members, &ps);
        let mut simulations = contexts.iter().zip(solve(&contexts));
        for (number, member) in numbers.zip(&members) {
            let left = match member {
                Err(error) => Err(error.clone()),
                Ok(member) => match simulations.next().expect("one for each that has numbers") {
                    (context, Ok(simulation)) => Ok(Left { p: context.p, data: &member.data, simulation }),
                    (_, Err(failure)) => Err(member.failed(parts, &failure)),
                },
            };
            look(number, left);
        }
    }

    /// Solves runs of one program, in the block that begins with `first`, and tells of them.
    fn tell_alike<T: Element>(
        &self,
        parts: &RunParts,
        (first, numbers): (usize, Range<usize>),
        told: &mut Told,
    ) {
        let (plan, program) = (&parts.plan, &parts.plan.program);
        let is_more = program.results.iter().any(|result| is_told(result.role))
            || program.curves.iter().any(|curve| curve.output);
        let Some(main) = plan.sole_solve().filter(|_| self.parts().lanes && !is_more) else {
            self.solve_alike::<T>(parts, numbers, Kept::Ends, |number, left| match left {
                Err(error) => told.failures.push((number - first, error)),
                Ok(left) => {
                    let (stats, errors) = (left.simulation.stats(), own_errors(plan, &left.simulation));
                    told.take(number - first, stats, errors, tell(plan, &left));
                }
            });
            return;
        };
        let members: Vec<Result<Member, Error>> = numbers.clone().map(|number| self.member(number)).collect();
        let mut places = Vec::with_capacity(members.len());
        for (number, member) in numbers.zip(&members) {
            match member {
                Ok(member) => places.push((number - first, member)),
                Err(error) => told.failures.push((number - first, error.clone())),
            }
        }
        let ps = params::<T>(&members);
        let contexts = contexts(plan, &members, &ps);
        let system = plan.system_of(main);
        plan.ends_of_many(main, &contexts, &self.apart(parts), &parts.controls, |at, end| {
            let (place, member) = places[at];
            match end {
                Err(failure) => told.failures.push((place, member.failed(parts, &failure))),
                Ok(end) => {
                    let errors = of_solve(plan, main, &end.unsteered);
                    told.take(place, end.stats, errors, unknowns(system, &end.y));
                }
            }
        });
    }

    /// In what the runs differ.
    fn apart(&self, parts: &RunParts) -> Apart {
        let program = &parts.plan.program;
        let own = |port: &crate::ir::program::DataPort| match (&port.source, port.axis) {
            _ if port.value.is_some() => false,
            (PortSource::Given, Axis::Whole) | (PortSource::Step | PortSource::Epoch, _) => false,
            (PortSource::Given, Axis::Example) => true,
            (PortSource::Length(_) | PortSource::Drawn(_), _) => true,
        };
        let mut apart = Apart { params: false, ports: program.data.iter().map(own).collect() };
        let swept =
            self.axes().into_iter().flat_map(|axes| &axes.sweeps).filter_map(|sweep| match sweep.of {
                Swept::Const => None,
                Swept::Outside(outside) => Some(outside),
            });
        for outside in swept.chain(program.redrawn.iter().copied()) {
            match outside {
                Outside::Param(_) => apart.params = true,
                Outside::Port(port) => apart.ports[port] = true,
            }
        }
        apart
    }
}

impl Told {
    /// Nothing yet of so many runs.
    fn new(runs: usize, width: usize) -> Told {
        Told {
            numbers: vec![f64::NAN; runs * width],
            width,
            stats: Stats::default(),
            last: 0,
            own_errors: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Takes in the run at a place, in any order.
    fn take(
        &mut self,
        at: usize,
        stats: Stats,
        errors: Vec<OwnError>,
        numbers: impl IntoIterator<Item = f64>,
    ) {
        let places = &mut self.numbers[at * self.width..][..self.width];
        places.iter_mut().zip(numbers).for_each(|(place, number)| *place = number);
        // First and next step are those of the last.
        self.stats = if at >= self.last { self.stats.plus(stats) } else { stats.plus(self.stats) };
        self.last = self.last.max(at);
        if !errors.is_empty() {
            self.own_errors.push((at, errors));
        }
    }
}

impl Member {
    /// Why its run, of `parts`, has no result.
    fn failed(&self, parts: &RunParts, failure: &Failure) -> Error {
        let (params, data) = (self.params.clone(), Arc::new(self.data.clone()));
        Run::new(RunParts { params, data, ..parts.clone() }, None).failed(failure)
    }
}

/// The params of those that have numbers, end to end.
fn params<T: Element>(members: &[Result<Member, Error>]) -> Vec<T> {
    let all = members.iter().flatten().flat_map(|member| &member.params);
    all.map(|value| T::from_f64(*value)).collect()
}

/// Those that have numbers, with params `ps`.
fn contexts<'a, T>(
    plan: &'a Plan,
    members: &'a [Result<Member, Error>],
    mut ps: &'a [T],
) -> Vec<Context<'a, T>> {
    let context = |member: &'a Member| {
        let (p, behind) = ps.split_at(member.params.len());
        ps = behind;
        Context { plan, p, data: &member.data }
    };
    members.iter().flatten().map(context).collect()
}

/// What is told of a run.
fn tell<T: Element>(plan: &Plan, Left { p, data, simulation }: &Left<'_, T>) -> Vec<f64> {
    let program = &plan.program;
    let (context, mut numbers) = (Context { plan, p, data }, Vec::new());
    if program.results.iter().any(|result| is_told(result.role)) {
        let (_, values) = context.results(simulation);
        let told = program.results.iter().zip(values).filter(|(result, _)| is_told(result.role));
        told.for_each(|(_, values)| numbers.extend(values));
    }
    if let Some(main) = program.main {
        let trace = &simulation.of(main).trace;
        numbers.extend(unknowns(plan.system_of(main), trace.end()));
        if program.curves.iter().any(|curve| curve.output) {
            let curves = context.curves(simulation, &[trace.t[trace.n_steps()]], trace.end());
            let mut rest = curves.as_slice();
            for curve in &program.curves {
                let (own, behind) = rest.split_at(curve.ty.shape.count());
                if curve.output {
                    numbers.extend(own);
                }
                rest = behind;
            }
        }
    }
    numbers
}

/// States and channels of the vector `y` of all unknowns.
fn unknowns<T: Element>(system: &System, y: &[T]) -> impl Iterator<Item = f64> {
    let count = |unknowns: &[Unknown]| unknowns.iter().map(|unknown| unknown.ty.shape.count()).sum::<usize>();
    let (states, rest) = y.split_at(count(&system.states));
    let channels = &rest[count(&system.modes)..];
    states.iter().chain(channels).map(|value| value.to_f64())
}

/// What is wrong with the params `own` of a run, which are swept or drawn.
fn outside_its_set(program: &Program, params: &[f64], own: &[Outside]) -> Option<Diagnostic> {
    let mut rest = params;
    for (number, param) in program.params.iter().enumerate() {
        let (values, behind) = rest.split_at(param.ty.shape.count());
        rest = behind;
        if own.contains(&Outside::Param(number)) && param.constraint.free(values, &param.ty.shape).is_none() {
            let values: Vec<String> = values.iter().map(f64::to_string).collect();
            let message =
                format!("param `{}` is {} here, outside the set it lives in", param.path, values.join(", "));
            let help = "sweep over values of the set, or draw from a distribution on it";
            return Some(Diagnostic::new(Code("E0806"), message, param.span, "declared here").help(help));
        }
    }
    None
}

fn count(program: &Program, outside: Outside) -> usize {
    match outside {
        Outside::Param(number) => program.params[number].ty.shape.count(),
        Outside::Port(number) => program.data[number].ty.shape.count(),
    }
}

/// Gives a param or a port its numbers.
fn put(
    program: &Program,
    (params, values): (&mut [f64], &mut [Vec<f64>]),
    outside: Outside,
    numbers: &[f64],
) {
    match outside {
        Outside::Param(number) => {
            let at: usize = program.params[..number].iter().map(|param| param.ty.shape.count()).sum();
            params[at..at + numbers.len()].copy_from_slice(numbers);
        }
        Outside::Port(number) => values[number].copy_from_slice(numbers),
    }
}

fn draws<T: Element>(parts: &RunParts, params: &[f64], data: &Data) -> Vec<f64> {
    let p: Vec<T> = params.iter().map(|value| T::from_f64(*value)).collect();
    Context { plan: &parts.plan, p: &p, data }.draws()
}
