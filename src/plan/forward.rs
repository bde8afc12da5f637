//! The forward pass of a plan: start, integrate, evaluate.
//!
//! A [`Context`] is a plan with its params and data; [`Context::simulate`] integrates it and keeps
//! the trace, the states at every evaluation site and the states at the times to be saved. What
//! the numbers run into comes back as a [`Failure`].

use crate::backend::{Output, Workspace};
use crate::ir::system::SiteKind;
use crate::plan::Plan;
use crate::plan::trace::{Place, Trace};
use crate::plan::unit::{Data, Element, Inputs, PlanError};
use crate::solve::dense::{Accepted, Interior};
use crate::solve::outcome::{Invalid, Outcome, Stats};
use crate::solve::problem::Step;
use crate::solve::record::{Observer, SaveAt};
use crate::solve::solve::{Options, solve};
use std::ops::ControlFlow;

/// How a run is made and what it keeps.
#[derive(Clone, Debug)]
pub struct Controls {
    /// Steps and tolerances.
    pub options: Options,
    /// What is saved besides the evaluation sites.
    pub save: Save,
}

/// Times at which the state is kept for output.
#[derive(Clone, Debug, PartialEq)]
pub enum Save {
    /// None.
    Nothing,
    /// The start and the end of every accepted step.
    Steps,
    /// From the start to the end at this distance; the end is always among them.
    Every(f64),
    /// These.
    At(Vec<f64>),
}

/// Why a run gave no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// It could not be compiled.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The request makes no sense.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The run ended early: how, what it cost, and the state where it stands.
    #[error("the run ended early: {outcome:?}")]
    Outcome {
        /// How.
        outcome: Outcome,
        /// What it cost.
        stats: Box<Stats>,
        /// The last state, states then channels.
        y: Vec<f64>,
    },
    /// A trajectory is wanted at a time the run does not cover.
    #[error("a trajectory is evaluated at {time}, outside the run from {t0} to {t1}")]
    OutsideRun {
        /// Which evaluation site.
        site: usize,
        /// The time wanted.
        time: f64,
        /// Start of the run.
        t0: f64,
        /// End of the run.
        t1: f64,
    },
    /// The grid of saved times has more rows than can be kept.
    #[error("saving every {dt} asks for {count} rows, at most {allowed} are kept")]
    TooManySaves {
        /// The distance of two rows.
        dt: f64,
        /// The rows that it asks for.
        count: u64,
        /// The rows that are kept.
        allowed: u64,
    },
    /// A saved time the run does not cover.
    #[error("`solve.save` asks for t = {time}, outside the run from {t0} to {t1}")]
    SaveOutsideRun {
        /// The time wanted.
        time: f64,
        /// Start of the run.
        t0: f64,
        /// End of the run.
        t1: f64,
    },
}

/// What a run leaves.
#[derive(Clone, Debug)]
pub struct Simulation<T> {
    /// Every accepted step.
    pub trace: Trace<T>,
    /// The states at the rows of all sites, `[rows, n]`.
    pub sites: Vec<T>,
    /// Where on the trace the rows lie.
    pub places: Vec<Place>,
    /// The saved times.
    pub saved_t: Vec<f64>,
    /// The states there, `[len, n]`.
    pub saved_y: Vec<T>,
    /// What the run cost.
    pub stats: Stats,
}

impl<T: Element> Simulation<T> {
    /// Start and end of the run, as operands of a call.
    pub(crate) fn ends<U: Element>(&self) -> [[U; 1]; 2] {
        let (first, last) = (self.trace.t[0], self.trace.t[self.trace.n_steps()]);
        [[U::from_f64(first)], [U::from_f64(last)]]
    }
}

/// A plan with the numbers it runs on.
pub struct Context<'a, T> {
    /// The compiled model.
    pub plan: &'a Plan,
    /// The params on their declared scale, `[P]`.
    pub p: &'a [T],
    /// What comes from outside.
    pub data: &'a Data,
}

impl<'a, T: Element> Context<'a, T> {
    /// Integrates from start to end.
    pub fn simulate(&self, controls: &Controls) -> Result<Simulation<T>, Failure> {
        let mut workspace = Workspace::default();
        let ((t0, t1), y0) = self.start(&mut workspace);
        let times = self.site_times((t0, t1), &mut workspace)?;
        let save_times = save_times(&controls.save, (t0, t1))?;
        let dim = y0.len();
        let mut recording = (
            Tracing { trace: Trace::starting(t0, &y0) },
            (SaveAt::new(&times, (t0, t1), dim), SaveAt::new(&save_times, (t0, t1), dim)),
        );
        let mut step = CompiledStep { context: self, workspace };
        let end = solve(&mut step, self.plan.tableau, (t0, t1), &y0, &controls.options, &mut recording)?;
        if !end.outcome.is_success() {
            let y = end.y.iter().map(|y| y.to_f64()).collect();
            return Err(Failure::Outcome { outcome: end.outcome, stats: Box::new(end.stats), y });
        }
        let (Tracing { trace }, (sites, saved)) = recording;
        let places = times.iter().map(|time| trace.place(*time));
        let places = places.collect::<Option<Vec<Place>>>().expect("site times lie within the run");
        let (saved_t, saved_y) = match controls.save {
            Save::Steps => (trace.t.clone(), trace.y.clone()),
            Save::Nothing | Save::Every(_) | Save::At(_) => (save_times, saved.ys().to_vec()),
        };
        Ok(Simulation { trace, sites: sites.ys().to_vec(), places, saved_t, saved_y, stats: end.stats })
    }

    /// The state at time `t` of a finished run, `[n]`: the step that covers `t` is computed again.
    /// `None` if the run does not cover it.
    pub fn state_at(&self, trace: &Trace<T>, t: f64) -> Option<Vec<T>> {
        let step = match trace.place(t)? {
            Place::Node(node) => return Some(trace.state(node).to_vec()),
            Place::Inside { step, .. } => step,
        };
        let n = trace.n;
        let mut stages = vec![T::default(); self.plan.tableau.n_stages() * n];
        stages[..n].copy_from_slice(trace.rate(step));
        let (mut y_new, mut err, mut out) =
            (vec![T::default(); n], vec![T::default(); n], vec![T::default(); n]);
        let mut compiled = CompiledStep { context: self, workspace: Workspace::default() };
        compiled.step(trace.t[step], trace.h[step], trace.state(step), &mut stages, &mut y_new, &mut err);
        let accepted = Accepted {
            t: trace.t[step],
            h: trace.h[step],
            t_new: trace.t[step + 1],
            y: trace.state(step),
            y_new: &y_new,
            interior: Interior::Stages { tableau: self.plan.tableau, stages: &stages },
        };
        accepted.at(t, &mut out);
        Some(out)
    }

    /// The objective and every run result of a finished run.
    pub fn results(&self, simulation: &Simulation<T>) -> (f64, Vec<Vec<f64>>) {
        let counts = self.plan.program.results.iter().map(|result| result.ty.shape.count());
        let mut buffers: Vec<Vec<T>> =
            std::iter::once(1).chain(counts).map(|len| vec![T::default(); len]).collect();
        let mut outputs: Vec<Output<'_>> = buffers.iter_mut().map(|buffer| T::output(buffer)).collect();
        let ends = simulation.ends::<T>();
        let inputs = self.run_inputs(&ends, &simulation.sites);
        self.plan.forward.post.call(&inputs, &mut outputs, &mut Workspace::default());
        let mut values = buffers.into_iter().map(|buffer| buffer.into_iter().map(T::to_f64).collect());
        let total: Vec<f64> = values.next().expect("the total comes first");
        (total[0], values.collect())
    }

    /// All curves, flattened, at each `(t, y)` with `y` one row of `ys: [ts, n]`; `[ts, C]`.
    pub fn curves(&self, simulation: &Simulation<T>, ts: &[f64], ys: &[T]) -> Vec<f64> {
        let width = self.plan.layout.n_curves;
        let mut curves = Vec::with_capacity(ts.len() * width);
        let mut row = vec![T::default(); width];
        let ends = simulation.ends::<T>();
        let mut workspace = Workspace::default();
        for (row_idx, t) in ts.iter().enumerate() {
            let n = self.plan.layout.n;
            let (t, y) = ([T::from_f64(*t)], &ys[row_idx * n..][..n]);
            let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(y)]);
            inputs.extend(self.run_inputs(&ends, &simulation.sites));
            self.plan.forward.observe.call(&inputs, &mut [T::output(&mut row)], &mut workspace);
            curves.extend(row.iter().map(|value| value.to_f64()));
        }
        curves
    }

    fn start(&self, workspace: &mut Workspace) -> ((f64, f64), Vec<T>) {
        let (mut t0, mut t1) = ([T::default()], [T::default()]);
        let mut y0 = vec![T::default(); self.plan.layout.n];
        let mut inputs = Inputs::new();
        self.push_params_and_data(&mut inputs);
        let mut outputs = [T::output(&mut t0), T::output(&mut t1), T::output(&mut y0)];
        self.plan.forward.start.call(&inputs, &mut outputs, workspace);
        ((t0[0].to_f64(), t1[0].to_f64()), y0)
    }

    /// The time of every row of every site.
    fn site_times(&self, (t0, t1): (f64, f64), workspace: &mut Workspace) -> Result<Vec<f64>, Failure> {
        let (solve, layout) = (self.plan.solve(), &self.plan.layout);
        let given =
            solve.sites.iter().zip(&layout.site_rows).filter(|(site, _)| site.kind == SiteKind::Times);
        let mut computed = vec![T::default(); given.map(|(_, rows)| rows).sum()];
        let mut inputs = Inputs::new();
        self.push_params_and_data(&mut inputs);
        self.plan.forward.times.call(&inputs, &mut [T::output(&mut computed)], workspace);
        let mut computed = computed.into_iter().map(T::to_f64);
        let mut times = Vec::new();
        for (number, (site, rows)) in solve.sites.iter().zip(&layout.site_rows).enumerate() {
            match site.kind {
                SiteKind::Start => times.push(t0),
                SiteKind::End => times.push(t1),
                SiteKind::Times => times.extend(computed.by_ref().take(*rows)),
            }
            let outside = |time: &&f64| !(t0.min(t1)..=t0.max(t1)).contains(*time);
            if let Some(time) = times[times.len() - rows..].iter().find(outside) {
                return Err(Failure::OutsideRun { site: number, time: *time, t0, t1 });
            }
        }
        Ok(times)
    }

    /// Appends `p` and the data.
    pub(crate) fn push_params_and_data<'b>(&'b self, inputs: &mut Inputs<'b>) {
        inputs.push(T::input(self.p));
        inputs.extend(self.data.inputs());
    }

    /// Appends one matrix for each site from `rows: [rows, n]`.
    pub(crate) fn push_sites<'b>(&self, inputs: &mut Inputs<'b>, mut rows: &'b [T]) {
        for count in &self.plan.layout.site_rows {
            let (site, rest) = rows.split_at(count * self.plan.layout.n);
            inputs.push(T::input(site));
            rows = rest;
        }
    }

    /// The operands `t0, t1, site.., p, data..`.
    pub(crate) fn run_inputs<'b>(&'b self, ends: &'b [[T; 1]; 2], sites: &'b [T]) -> Inputs<'b> {
        let mut inputs = Inputs::from_slice(&[T::input(&ends[0]), T::input(&ends[1])]);
        self.push_sites(&mut inputs, sites);
        self.push_params_and_data(&mut inputs);
        inputs
    }

    /// One output for each site in `rows: [rows, n]`.
    pub(crate) fn site_outputs<'b>(&self, mut rows: &'b mut [T]) -> Vec<Output<'b>> {
        let mut outputs = Vec::new();
        for count in &self.plan.layout.site_rows {
            let (site, rest) = rows.split_at_mut(count * self.plan.layout.n);
            outputs.push(T::output(site));
            rows = rest;
        }
        outputs
    }
}

/// More rows than this are a slip of the pen: ten million fill no plot.
const MAX_SAVED: u64 = 10_000_000;

/// The times of a grid, checked against the run.
fn save_times(save: &Save, (t0, t1): (f64, f64)) -> Result<Vec<f64>, Failure> {
    match save {
        Save::Nothing | Save::Steps => Ok(Vec::new()),
        Save::Every(dt) => {
            let dt = dt.abs() * (t1 - t0).signum();
            // A ratio that is whole but for rounding counts as whole.
            let whole = ((t1 - t0) / dt * (1.0 + 1e-12)).floor() as u64;
            if whole >= MAX_SAVED {
                return Err(Failure::TooManySaves { dt: dt.abs(), count: whole + 1, allowed: MAX_SAVED });
            }
            let mut times: Vec<f64> = (0..=whole).map(|i| t0 + i as f64 * dt).collect();
            match times.last_mut() {
                Some(last) if (*last - t1).abs() <= 1e-9 * dt.abs() => *last = t1,
                Some(_) | None => times.push(t1),
            }
            Ok(times)
        }
        Save::At(times) => {
            let outside = |time: &&f64| !(t0.min(t1)..=t0.max(t1)).contains(*time);
            match times.iter().find(outside) {
                Some(time) => Err(Failure::SaveOutsideRun { time: *time, t0, t1 }),
                None => Ok(times.clone()),
            }
        }
    }
}

/// Keeps every accepted step.
struct Tracing<T> {
    trace: Trace<T>,
}

impl<T: Element> Observer<T> for Tracing<T> {
    fn accepted(&mut self, step: &Accepted<'_, T>) -> ControlFlow<f64> {
        let Interior::Stages { stages, .. } = step.interior else {
            crate::bug!("a compiled step is one of a table");
        };
        self.trace.push(step.h, &stages[..step.y.len()], step.t_new, step.y_new);
        ControlFlow::Continue(())
    }
}

/// The compiled step as the solver sees it.
struct CompiledStep<'a, T> {
    context: &'a Context<'a, T>,
    workspace: Workspace,
}

impl<T: Element> Step<T> for CompiledStep<'_, T> {
    fn dim(&self) -> usize {
        self.context.plan.layout.n
    }

    fn n_stages(&self) -> usize {
        self.context.plan.tableau.n_stages()
    }

    fn rate(&mut self, t: f64, _inside: f64, y: &[T], dy: &mut [T]) {
        let t = [T::from_f64(t)];
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(y)]);
        self.context.push_params_and_data(&mut inputs);
        self.context.plan.forward.rate.call(&inputs, &mut [T::output(dy)], &mut self.workspace);
    }

    fn step(&mut self, t: f64, h: f64, y: &[T], stages: &mut [T], y_new: &mut [T], err: &mut [T]) {
        let (t, h) = ([T::from_f64(t)], [T::from_f64(h)]);
        let (k1, tail) = stages.split_at_mut(y.len());
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&h), T::input(y), T::input(k1)]);
        self.context.push_params_and_data(&mut inputs);
        let mut outputs = [T::output(tail), T::output(y_new), T::output(err)];
        self.context.plan.forward.step.call(&inputs, &mut outputs, &mut self.workspace);
    }
}
