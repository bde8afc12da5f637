//! What a run gives back.
//!
//! A [`Solution`] holds a [`Trajectory`] for every state, channel and time-varying output, the
//! values of the whole run, and the counters. Trajectories know their values at the saved times and, by
//! dense output, at any time of the run.

use crate::engine::accuracy::{OwnError, own_errors};
use crate::ir::program::Role;
use crate::ir::types::Shape;
use crate::plan::Plan;
use crate::plan::forward::{Simulation, Solved};
use crate::plan::operands::Context;
use crate::plan::unit::{Data, Element};
use crate::solve::outcome::Stats;
use crate::solve::stepper::Carried;
use std::ops::Index;
use std::sync::Arc;

/// The result of a run.
#[derive(Clone)]
pub struct Solution {
    trajectories: Vec<Trajectory>,
    results: Vec<RunValue>,
    objective: f64,
    interval: (f64, f64),
    stats: Stats,
    own_errors: Vec<OwnError>,
    carried: Option<Carried>,
}

/// Where a run ended, with what its method needs to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The end of the run.
    pub t: f64,
    /// The states there, then the channels, row-major and end to end.
    pub y: Vec<f64>,
    /// The step size and what the controller knows; `None` of a method that begins anew.
    pub carried: Option<Carried>,
}

/// A quantity along the run.
#[derive(Clone)]
pub struct Trajectory {
    name: Arc<str>,
    kind: TrajectoryKind,
    shape: Shape,
    ts: Arc<[f64]>,
    values: Vec<f64>,
    /// Where its entries start in the state vector, or among the curves.
    offset: usize,
    run: Arc<dyn Finished>,
}

/// What a trajectory is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrajectoryKind {
    /// An unknown with a rate.
    State,
    /// A quadrature.
    Channel,
    /// A declared `output`.
    Output,
    /// An expression that a `plot` draws.
    Drawn,
}

/// A value of the whole run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunValue {
    /// Its name.
    pub name: Arc<str>,
    /// What it is for.
    pub role: Role,
    /// Its axis lengths; empty for a scalar.
    pub shape: Vec<usize>,
    /// Its entries, row-major.
    pub values: Vec<f64>,
}

impl Solution {
    /// The state, channel or output called `name`.
    pub fn get(&self, name: &str) -> Option<&Trajectory> {
        self.trajectories.iter().find(|trajectory| &*trajectory.name == name)
    }

    /// All states, channels, outputs and drawn expressions, in this order.
    pub fn trajectories(&self) -> &[Trajectory] {
        &self.trajectories
    }

    /// The value at the end of the run of the state, channel or output called `name`, row-major.
    pub fn end(&self, name: &str) -> Option<Vec<f64>> {
        self.get(name).and_then(|trajectory| trajectory.at(self.interval.1))
    }

    /// The value of each of the [`trajectories`](Solution::trajectories) at time `t`, row-major, by dense
    /// output; `None` if the run does not cover `t`.
    pub fn at(&self, t: f64) -> Option<Vec<Vec<f64>>> {
        let Some(Trajectory { run, .. }) = self.trajectories.first() else { return Some(Vec::new()) };
        let (states, curves) = (run.state_at(t)?, run.curves_at(t)?);
        let of = |trajectory: &Trajectory| match trajectory.kind {
            TrajectoryKind::State | TrajectoryKind::Channel => trajectory.entries(&states),
            TrajectoryKind::Output | TrajectoryKind::Drawn => trajectory.entries(&curves),
        };
        Some(self.trajectories.iter().map(of).collect())
    }

    /// Losses, likelihoods, priors, metrics and outputs of the whole run.
    pub fn values(&self) -> &[RunValue] {
        &self.results
    }

    /// The value of the whole run called `name`.
    pub fn value(&self, name: &str) -> Option<&RunValue> {
        self.results.iter().find(|result| &*result.name == name)
    }

    /// The sum of losses, likelihoods and priors; 0 for a model that has none.
    pub fn objective(&self) -> f64 {
        self.objective
    }

    /// Start and end of the main run; `(0, 0)` without one.
    pub fn interval(&self) -> (f64, f64) {
        self.interval
    }

    /// The saved times, in the order of the run.
    pub fn ts(&self) -> &[f64] {
        self.trajectories.first().map_or(&[], Trajectory::ts)
    }

    /// What the run cost.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// What [`Run::solve_from`](crate::Run::solve_from) goes on from: the end of the main run. `None`
    /// without a main run.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        let (t, first) = (self.interval.1, self.trajectories.first()?);
        Some(Checkpoint { t, y: first.run.state_at(t)?, carried: self.carried })
    }

    /// The error estimates of channels, and of states, that have no say in the step size; none where
    /// all have, or where the steps have no estimate. [`Run::doubts`](crate::Run::doubts) says which
    /// are too large.
    pub fn own_errors(&self) -> &[OwnError] {
        &self.own_errors
    }
}

impl Index<&str> for Solution {
    type Output = Trajectory;

    /// Like [`Solution::get`]; panics if there is no such trajectory.
    fn index(&self, name: &str) -> &Trajectory {
        match self.get(name) {
            Some(trajectory) => trajectory,
            None => panic!("the model has no state, channel or output `{name}`"),
        }
    }
}

impl Trajectory {
    /// Its name: `x`, `x'`, `drift`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is of.
    pub fn kind(&self) -> TrajectoryKind {
        self.kind
    }

    /// The axis lengths of one value; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        self.shape.dims()
    }

    /// The saved times, in the order of the run.
    pub fn ts(&self) -> &[f64] {
        &self.ts
    }

    /// The values at the saved times, `[ts, ..shape]` row-major.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The value at time `t`, row-major, by dense output; `None` if the run does not cover `t`.
    pub fn at(&self, t: f64) -> Option<Vec<f64>> {
        let all = match self.kind {
            TrajectoryKind::State | TrajectoryKind::Channel => self.run.state_at(t)?,
            TrajectoryKind::Output | TrajectoryKind::Drawn => self.run.curves_at(t)?,
        };
        Some(self.entries(&all))
    }

    /// Its own among those of all states, or of all curves.
    fn entries(&self, all: &[f64]) -> Vec<f64> {
        all[self.offset..][..self.shape.count()].to_vec()
    }

    /// The value at time `t` of a scalar; `None` if the run does not cover `t` or the value has
    /// axes.
    pub fn scalar_at(&self, t: f64) -> Option<f64> {
        match self.at(t)?.as_slice() {
            [value] => Some(*value),
            _ => None,
        }
    }
}

/// A finished run, whatever its precision.
trait Finished: Send + Sync {
    /// States and channels at `t`.
    fn state_at(&self, t: f64) -> Option<Vec<f64>>;
    /// All curves at `t`.
    fn curves_at(&self, t: f64) -> Option<Vec<f64>>;
}

struct FinishedRun<T> {
    plan: Arc<Plan>,
    data: Arc<Data>,
    p: Vec<T>,
    simulation: Simulation<T>,
}

impl<T: Element> FinishedRun<T> {
    fn context(&self) -> Context<'_, T> {
        Context { plan: &self.plan, p: &self.p, data: &self.data }
    }

    /// The main run, with its number.
    fn main(&self) -> Option<(usize, &Solved<T>)> {
        self.plan.program.main.map(|main| (main, self.simulation.of(main)))
    }

    fn state(&self, t: f64) -> Option<Vec<T>> {
        let (number, solved) = self.main()?;
        self.context().state_at(number, solved, t)
    }
}

impl<T: Element> Finished for FinishedRun<T> {
    fn state_at(&self, t: f64) -> Option<Vec<f64>> {
        Some(self.state(t)?.into_iter().map(T::to_f64).collect())
    }

    fn curves_at(&self, t: f64) -> Option<Vec<f64>> {
        Some(self.context().curves(&self.simulation, &[t], &self.state(t)?))
    }
}

/// Puts a finished run into words a user can ask for.
pub(crate) fn solution<T: Element>(
    plan: &Arc<Plan>,
    data: &Arc<Data>,
    p: Vec<T>,
    mut simulation: Simulation<T>,
) -> Solution {
    let (saved_t, saved_y) =
        (std::mem::take(&mut simulation.saved_t), std::mem::take(&mut simulation.saved_y));
    let (stats, own_errors) = (simulation.stats(), own_errors(plan, &simulation));
    let carried = plan.program.main.and_then(|main| simulation.solves[main].as_ref()?.carried);
    let run = FinishedRun { plan: plan.clone(), data: data.clone(), p, simulation };
    let interval =
        run.main().map_or((0.0, 0.0), |(_, Solved { trace, .. })| (trace.t[0], trace.t[trace.n_steps()]));
    let (objective, values) = run.context().results(&run.simulation);
    let curves = run.context().curves(&run.simulation, &saved_t, &saved_y);
    let states: Vec<f64> = saved_y.into_iter().map(T::to_f64).collect();
    let run: Arc<dyn Finished> = Arc::new(run);
    let ts: Arc<[f64]> = saved_t.into();

    let (program, layout) = (&plan.program, &plan.layout);
    let system = program.main_system();
    let unknowns = system.into_iter().flat_map(|system| &system.states);
    let unknowns = unknowns.map(|unknown| (&unknown.name, &unknown.ty.shape, Some(TrajectoryKind::State)));
    let modes = system.into_iter().flat_map(|system| &system.modes);
    let unknowns = unknowns.chain(modes.map(|mode| (&mode.name, &mode.ty.shape, None)));
    let channels = system.into_iter().flat_map(|system| &system.channels);
    let channels = channels.map(|unknown| (&unknown.name, &unknown.ty.shape, Some(TrajectoryKind::Channel)));
    let drawn = program.curves.iter().map(|curve| {
        let kind = if curve.output { TrajectoryKind::Output } else { TrajectoryKind::Drawn };
        (&curve.name, &curve.ty.shape, Some(kind))
    });
    let mut trajectories = Vec::new();
    // What has no kind is nobody's business, and has its place all the same.
    let mut collect = |columns: &mut dyn Iterator<Item = (&Arc<str>, &Shape, Option<TrajectoryKind>)>,
                       all: &[f64],
                       width: usize| {
        let mut offset = 0;
        for (name, shape, kind) in columns {
            let count = shape.count();
            let Some(kind) = kind else {
                offset += count;
                continue;
            };
            let values = if width == 0 {
                Vec::new()
            } else {
                all.chunks_exact(width).flat_map(|row| row[offset..][..count].iter().copied()).collect()
            };
            let (name, shape, ts, run) = (name.clone(), shape.clone(), ts.clone(), run.clone());
            trajectories.push(Trajectory { name, kind, shape, ts, values, offset, run });
            offset += count;
        }
    };
    let n = program.main.map_or(0, |main| layout.system_of(main).n);
    collect(&mut unknowns.chain(channels), &states, n);
    collect(&mut drawn.into_iter(), &curves, layout.n_curves);

    let results = program.results.iter().zip(values).map(|(result, values)| RunValue {
        name: result.name.clone(),
        role: result.role,
        shape: result.ty.shape.dims().to_vec(),
        values,
    });
    Solution { trajectories, results: results.collect(), objective, interval, stats, own_errors, carried }
}
