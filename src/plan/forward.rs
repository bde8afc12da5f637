//! The forward pass of a plan: each solve in turn, starting from what those before it left.
//!
//! [`Context::simulate`] walks the solves that are needed in order: start, integrate, evaluate the
//! sites; each leaves a [`Solved`]. What the numbers run into comes back as a [`Failure`].

use crate::backend::{Output, Workspace};
use crate::base::random::Stream;
use crate::ir::system::{Noise, SiteKind};
use crate::plan::compiled::Alone;
use crate::plan::controls::{Controls, Failure, Save, Stuck, save_times};
use crate::plan::operands::{Context, Fixed, Known};
use crate::plan::stepping::{Interrupts, Motion, Tracing};
use crate::plan::trace::{Keep, Place, Trace};
use crate::plan::unit::{Element, Inputs};
use crate::solve::adams::Adams;
use crate::solve::auto::Auto;
use crate::solve::brownian::Brownian;
use crate::solve::dense::{Accepted, Interior};
use crate::solve::explicit::Explicit;
use crate::solve::implicit::{Bdf, Esdirk, Gauss, Radau, Rosenbrock};
use crate::solve::method::{Kind, Stiff};
use crate::solve::outcome::{End, Invalid, Outcome, Stats, Unsteered};
use crate::solve::problem::Step;
use crate::solve::record::{Observer, Recorded, SaveAt};
use crate::solve::reversible::Reversing;
use crate::solve::sde::Sde;
use crate::solve::solve::{Options, integrate};
use crate::solve::stepper::{Carried, Stepper};
use crate::solve::symplectic::Symplectic;
use crate::solve::taylor::{Expand, Taylor, fill_powers};
use std::cell::Cell;

/// What a run leaves.
#[derive(Clone, Debug)]
pub struct Simulation<T> {
    /// What each solve leaves, by number; `None` where nobody needed it.
    pub solves: Vec<Option<Solved<T>>>,
    /// The saved times of the main run.
    pub saved_t: Vec<f64>,
    /// The states there, `[len, n]`.
    pub saved_y: Vec<T>,
}

/// A finished solve, and what was saved of it: the times, and the states at them end to end.
pub(super) type Finished<T> = (Solved<T>, (Vec<f64>, Vec<T>));

/// What a solve leaves.
#[derive(Clone, Debug)]
pub struct Solved<T> {
    /// Every accepted step.
    pub trace: Trace<T>,
    /// Start and end, as operands of a call.
    pub ends: [[T; 1]; 2],
    /// The states at the rows of all sites, `[rows, n]`.
    pub sites: Vec<T>,
    /// The time of each row.
    pub times: Vec<f64>,
    /// Where on the trace the rows lie.
    pub places: Vec<Place>,
    /// The times that the model says steps must end on, `[S]`.
    pub stops: Vec<T>,
    /// The solution inside the steps, if it is wanted and they are not computed again.
    pub recorded: Option<Recorded<T>>,
    /// The paths of the noises that drove it.
    pub paths: Vec<Brownian>,
    /// The events whose condition was true at the start already.
    pub true_at_start: Vec<usize>,
    /// Whether an event ended it.
    pub stopped: bool,
    /// What the motion takes that does not change.
    pub fixed: Fixed<T>,
    /// What the solve cost.
    pub stats: Stats,
    /// The errors of what has no say in the step size.
    pub unsteered: Vec<Unsteered>,
    /// What a run takes along that goes on from its end.
    pub carried: Option<Carried>,
}

impl<T: Element> Simulation<T> {
    /// Before anything has run of `n_solves` solves.
    pub(super) fn empty(n_solves: usize) -> Simulation<T> {
        let solves = (0..n_solves).map(|_| None).collect();
        Simulation { solves, saved_t: Vec::new(), saved_y: Vec::new() }
    }

    /// Takes in what solve `number` leaves.
    pub(super) fn take(&mut self, number: usize, is_main: bool, (solved, saved): Finished<T>) {
        self.solves[number] = Some(solved);
        if is_main {
            (self.saved_t, self.saved_y) = saved;
        }
    }

    /// What solve number `number` left. Panics if it did not run.
    pub fn of(&self, number: usize) -> &Solved<T> {
        match &self.solves[number] {
            Some(solved) => solved,
            None => crate::bug!("solve {number} has not run"),
        }
    }

    /// What all solves cost together; first and next step are those of the last one.
    pub fn stats(&self) -> Stats {
        self.solves.iter().flatten().fold(Stats::default(), |sum, solved| sum.plus(solved.stats))
    }
}

/// Where a solve begins.
struct Start<T> {
    ends: (f64, f64),
    y0: Vec<T>,
    fixed: Fixed<T>,
}

/// A solve before its first step.
pub(super) struct Begun<T> {
    pub ends: (f64, f64),
    pub y0: Vec<T>,
    pub fixed: Fixed<T>,
    /// The time of each row of all sites.
    pub times: Vec<f64>,
    /// The times that are saved.
    pub save_times: Vec<f64>,
    /// The times that the model says steps must end on, `[S]`.
    pub stops: Vec<T>,
    pub resume: Option<Carried>,
    pub keep: Keep,
}

/// What is kept of a solve while it runs.
pub(super) struct Recording<T> {
    pub trace: Trace<T>,
    /// The solution inside the steps, of methods whose steps are not computed again.
    pub recorded: Option<Recorded<T>>,
    /// The states at the rows of all sites.
    pub rows: SaveAt<T>,
    /// Those that are saved.
    pub saved: SaveAt<T>,
}

impl<T: Element> Begun<T> {
    /// Nothing yet.
    pub fn recording(&self) -> Recording<T> {
        let (ends, dim) = (self.ends, self.y0.len());
        Recording {
            trace: Trace::starting(ends.0, &self.y0, self.keep),
            recorded: (self.keep == Keep::Path).then(Recorded::default),
            rows: SaveAt::new(&self.times, ends, dim),
            saved: SaveAt::new(&self.save_times, ends, dim),
        }
    }
}

impl<T: Element> Context<'_, T> {
    /// Runs all solves that results and curves need.
    pub fn simulate(&self, controls: &Controls) -> Result<Simulation<T>, Failure> {
        self.simulate_solves(&self.plan.needed(), controls, |system| self.plan.whole_path(system))
    }

    /// Runs the solves in `needed`: ascending, with those that they need. Of solves of system `s`
    /// as many states are kept as `keep(s)` says.
    pub(crate) fn simulate_solves(
        &self,
        needed: &[usize],
        controls: &Controls,
        keep: impl Fn(usize) -> Keep,
    ) -> Result<Simulation<T>, Failure> {
        let mut simulation = Simulation::empty(self.plan.program.solves.len());
        for number in needed {
            let is_main = self.plan.program.main == Some(*number);
            let save = if is_main { &controls.save } else { &Save::Nothing };
            let keep = keep(self.plan.layout.solves[*number].system);
            let finished = self.solve(*number, &simulation.solves, controls, (save, keep))?;
            simulation.take(*number, is_main, finished);
        }
        Ok(simulation)
    }

    /// Solves number `number` alone.
    pub(super) fn solve(
        &self,
        number: usize,
        known: &Known<T>,
        controls: &Controls,
        (save, keep): (&Save, Keep),
    ) -> Result<Finished<T>, Failure> {
        let begun = self.begin(number, known, (save, keep))?;
        let mut options = controls.options[self.plan.layout.solves[number].system].clone();
        options.resume = begun.resume;
        options.stops.extend(begun.stops.iter().map(|stop| stop.to_f64()));
        let fresh = Cell::new(false);
        let Recording { trace, recorded, rows, saved } = begun.recording();
        let mut recording = (Tracing { trace, recorded, fresh: &fresh }, (rows, saved));
        let (ends, y0) = (begun.ends, &begun.y0);
        let motion = || Motion::new(self, number, &begun.fixed, &fresh, (ends.0, y0.clone()));
        let mut events = Interrupts::new(motion());
        let paths = self.paths(number, ends, controls.seed);
        let motions = (motion(), motion());
        let end = self.integrate(number, motions, &mut events, &paths, ends, y0, &options, &mut recording)?;
        drop(events);
        let (Tracing { trace, recorded, .. }, (rows, saved)) = recording;
        let recording = Recording { trace, recorded, rows, saved };
        self.finish(number, known, (begun, paths), recording, end, save)
    }

    /// What is known of solve `number` before its first step.
    pub(super) fn begin(
        &self,
        number: usize,
        known: &Known<T>,
        (save, keep): (&Save, Keep),
    ) -> Result<Begun<T>, Failure> {
        let mut workspace = Workspace::default();
        let Start { mut ends, y0, fixed } = self.start(number, known, &mut workspace);
        let resume = self.data.resume.filter(|_| self.plan.program.main == Some(number));
        if let Some((t, _)) = resume {
            ends.0 = t;
        }
        let times = self.site_times(number, ends, known, &mut workspace)?;
        let save_times = save_times(save, ends)?;
        let stops = self.stops(number, known, &mut workspace);
        // Saved steps are all of them.
        let keep = if *save == Save::Steps && keep != Keep::Path { Keep::Every } else { keep };
        let resume = resume.and_then(|(_, carried)| carried);
        Ok(Begun { ends, y0, fixed, times, save_times, stops, resume, keep })
    }

    /// Why solve `number`, which has come to `end`, has no result.
    pub(super) fn stuck(&self, number: usize, known: &Known<T>, end: &End<T>, fixed: &Fixed<T>) -> Failure {
        Failure::Outcome(Box::new(Stuck {
            solve: number,
            outcome: end.outcome,
            stats: end.stats,
            y: to_f64(&end.y),
            args: to_f64(&fixed.a),
            given: self.given(number, known),
            n_data: self.plan.program.data.len(),
        }))
    }

    /// What solve `number` leaves, which has come to `end`.
    pub(super) fn finish(
        &self,
        number: usize,
        known: &Known<T>,
        (begun, paths): (Begun<T>, Vec<Brownian>),
        recording: Recording<T>,
        end: End<T>,
        save: &Save,
    ) -> Result<Finished<T>, Failure> {
        let Begun { ends, fixed, mut times, save_times, stops, .. } = begun;
        if !end.outcome.is_success() {
            return Err(self.stuck(number, known, &end, &fixed));
        }
        let Recording { trace, recorded, rows, saved } = recording;
        let (mut sites, ends) = (rows.into_ys(), (ends.0, end.t));
        let stopped = end.outcome == Outcome::Stopped;
        if stopped {
            self.end_early(number, ends, &end.y, &mut times, &mut sites)?;
        }
        let places = times.iter().map(|time| trace.place(*time));
        let places = places.collect::<Option<Vec<Place>>>().expect("site times lie within the run");
        let saved = match save {
            Save::Steps => trace.rows(),
            Save::Nothing => (Vec::new(), Vec::new()),
            Save::Every(_) | Save::At(_) => reached(&save_times, saved.ys(), save, ends, &end.y),
        };
        let ends = [[T::from_f64(ends.0)], [T::from_f64(ends.1)]];
        let End { stats, true_at_start, unsteered, carried, .. } = end;
        Ok((
            Solved {
                trace,
                ends,
                sites,
                times,
                places,
                stops,
                recorded,
                paths,
                true_at_start,
                stopped,
                fixed,
                stats,
                unsteered,
                carried,
            },
            saved,
        ))
    }

    /// Integrates with the method of the system.
    #[allow(clippy::too_many_arguments, reason = "what a solve takes")]
    fn integrate(
        &self,
        number: usize,
        (mut motion, mut other): (Motion<'_, T>, Motion<'_, T>),
        events: &mut Interrupts<'_, T>,
        paths: &[Brownian],
        ends: (f64, f64),
        y0: &[T],
        options: &Options,
        observer: &mut impl Observer<T>,
    ) -> Result<End<T>, Invalid> {
        let (kind, stepping) = (motion.method().kind, &options.stepping);
        let mut run = |method: &mut dyn Stepper<T>| integrate(method, events, ends, y0, options, observer);
        match kind {
            // Short steps of small systems: nothing is called through a table of functions.
            Kind::Explicit(tableau) => {
                let mut method = Explicit::new(&mut motion, tableau, stepping);
                integrate(&mut method, events, ends, y0, options, observer)
            }
            Kind::Taylor { .. } => {
                let mut method = Taylor::new(&mut motion, stepping);
                integrate(&mut method, events, ends, y0, options, observer)
            }
            Kind::Stiff(Stiff::Radau5) => run(&mut Radau::new(&mut motion, stepping)),
            Kind::Stiff(Stiff::Rodas5p) => run(&mut Rosenbrock::new(&mut motion, stepping)),
            Kind::Stiff(Stiff::Bdf) => run(&mut Bdf::new(&mut motion, stepping)),
            Kind::Stiff(Stiff::Dirk(dirk)) => run(&mut Esdirk::new(&mut motion, dirk, stepping)),
            Kind::Stiff(Stiff::Gauss(method)) => run(&mut Gauss::new(&mut motion, method, stepping)),
            Kind::Multistep => run(&mut Adams::new(&mut motion, stepping)),
            Kind::Reversible(method) => run(&mut Reversing::new(&mut motion, method, stepping)),
            Kind::Auto(tableau) => {
                let constrained = self.plan.system_of(number).is_constrained();
                run(&mut Auto::new(&mut motion, tableau, &mut other, constrained, stepping))
            }
            Kind::Symplectic(composition) => run(&mut Symplectic::new(&mut motion, composition, stepping)),
            Kind::Stochastic(scheme) => run(&mut Sde::new(&mut motion, scheme, paths, stepping)),
        }
    }

    /// The paths of the noises that drive solve `number`.
    fn paths(&self, number: usize, ends: (f64, f64), seed: u64) -> Vec<Brownian> {
        let noises = self.plan.system_of(number).noises.iter();
        let stream = |noise: &Noise| Stream::new(seed, &noise.path, 0, self.data.member);
        let path = |noise: &Noise| Brownian::new(stream(noise), noise.ty.shape.count(), ends);
        noises.map(path).collect()
    }

    /// An event ended the solve at `(ends.1, y)`: that is where the sites at its end are. Sites at
    /// given times must lie before.
    fn end_early(
        &self,
        number: usize,
        (t0, t1): (f64, f64),
        y: &[T],
        times: &mut [f64],
        states: &mut [T],
    ) -> Result<(), Failure> {
        let sites = &self.plan.program.solves[number].sites;
        let mut from = 0;
        for (site, (of, rows)) in sites.iter().zip(&self.plan.layout.solves[number].site_rows).enumerate() {
            for row in from..from + rows {
                match of.kind {
                    SiteKind::Start => {}
                    SiteKind::End => {
                        times[row] = t1;
                        states[row * y.len()..][..y.len()].copy_from_slice(y);
                    }
                    SiteKind::Times if (t0.min(t1)..=t0.max(t1)).contains(&times[row]) => {}
                    SiteKind::Times => {
                        return Err(Failure::OutsideRun { solve: number, site, time: times[row], t0, t1 });
                    }
                }
            }
            from += rows;
        }
        Ok(())
    }

    fn start(&self, number: usize, known: &Known<T>, workspace: &mut Workspace) -> Start<T> {
        let layout = self.plan.layout.system_of(number);
        let (mut t0, mut t1) = ([T::default()], [T::default()]);
        let (mut y0, mut a) = (vec![T::default(); layout.n], vec![T::default(); layout.n_args]);
        let mut outputs = [T::output(&mut t0), T::output(&mut t1), T::output(&mut y0), T::output(&mut a)];
        self.call_run(&self.plan.solves[number].start, known, &mut outputs, workspace);
        if let Some((at, given)) = &self.data.start
            && self.plan.program.main == Some(number)
        {
            let entries = y0[*at..at + given.len()].iter_mut();
            entries.zip(given).for_each(|(entry, given)| *entry = T::from_f64(*given));
        }
        let ends = (t0[0].to_f64(), t1[0].to_f64());
        Start { ends, y0, fixed: Fixed { a, q: layout.gather(self.p) } }
    }

    /// The times that steps of this solve must end on.
    fn stops(&self, number: usize, known: &Known<T>, workspace: &mut Workspace) -> Vec<T> {
        let func = &self.plan.funcs.packed.solves[number].stops.func;
        let mut stops = vec![T::default(); func.ty(func.results[0].value).shape.count()];
        if !stops.is_empty() {
            let kernel = &self.plan.solves[number].stops;
            self.call_run(kernel, known, &mut [T::output(&mut stops)], workspace);
        }
        stops
    }

    /// The time of every row of every site.
    fn site_times(
        &self,
        number: usize,
        (t0, t1): (f64, f64),
        known: &Known<T>,
        workspace: &mut Workspace,
    ) -> Result<Vec<f64>, Failure> {
        let sites = &self.plan.program.solves[number].sites;
        let site_rows = &self.plan.layout.solves[number].site_rows;
        let given = sites.iter().zip(site_rows).filter(|(site, _)| site.kind == SiteKind::Times);
        let mut computed = vec![T::default(); given.map(|(_, rows)| rows).sum()];
        if !computed.is_empty() {
            let kernel = &self.plan.solves[number].times;
            self.call_run(kernel, known, &mut [T::output(&mut computed)], workspace);
        }
        let mut computed = computed.into_iter().map(T::to_f64);
        let mut times = Vec::new();
        for (site, (of, rows)) in sites.iter().zip(site_rows).enumerate() {
            match of.kind {
                SiteKind::Start => times.push(t0),
                SiteKind::End => times.push(t1),
                SiteKind::Times => times.extend(computed.by_ref().take(*rows)),
            }
            let outside = |time: &&f64| !(t0.min(t1)..=t0.max(t1)).contains(*time);
            if let Some(time) = times[times.len() - rows..].iter().find(outside) {
                return Err(Failure::OutsideRun { solve: number, site, time: *time, t0, t1 });
            }
        }
        Ok(times)
    }

    /// The operands of the start of solve `number`, for the words about a failure.
    fn given(&self, number: usize, known: &Known<T>) -> Vec<Vec<f64>> {
        let mut given = Vec::new();
        for solve in &self.plan.solves[number].start.reads {
            let solved = known[*solve].as_ref().expect("a solve runs after those it needs");
            given.extend(solved.ends.iter().map(|end| to_f64(end)));
            let mut sites = Inputs::new();
            self.push_sites(&mut sites, *solve, &solved.sites);
            given.extend(sites.iter().map(crate::plan::unit::wide));
        }
        given.push(to_f64(self.p));
        given.extend(self.data.inputs().map(|input| crate::plan::unit::wide(&input)));
        given
    }

    /// The state of solve `number` at time `t`, `[n]`: the step that covers `t` is computed again.
    /// `None` if the solve does not cover it.
    pub fn state_at(&self, number: usize, solved: &Solved<T>, t: f64) -> Option<Vec<T>> {
        let trace = &solved.trace;
        let step = match trace.place(t)? {
            Place::Node(node) => return Some(trace.state(node).to_vec()),
            Place::Inside { .. } if trace.keep == Keep::Ends => return None,
            Place::Inside { step, .. } => step,
        };
        let mut out = vec![T::default(); trace.n];
        if let Some(recorded) = &solved.recorded {
            return recorded.at(t, &mut out).then_some(out);
        }
        if let Kind::Taylor { order } = self.plan.method(number).kind {
            self.expand_again(number, solved, (step, order), |accepted| accepted.at(t, &mut out));
            return Some(out);
        }
        let start = (trace.state(step), trace.rate(step));
        self.again(number, solved, step, start, |accepted| accepted.at(t, &mut out));
        Some(out)
    }

    /// Computes a step of solve `number` again, to the same bits, from the state and the rate at its
    /// start, and shows it.
    pub(crate) fn again(
        &self,
        number: usize,
        solved: &Solved<T>,
        step: usize,
        (y, k1): (&[T], &[T]),
        look: impl FnOnce(&Accepted<'_, T>),
    ) {
        let (trace, tableau) = (&solved.trace, self.plan.tableau(number));
        let n = trace.n;
        let mut stages = vec![T::default(); tableau.n_rows() * n];
        stages[..n].copy_from_slice(k1);
        let (mut y_new, mut err) = (vec![T::default(); n], vec![T::default(); n]);
        let fresh = Cell::new(false);
        let (t, h) = (trace.t[step], trace.h[step]);
        let mut compiled = Motion::new(self, number, &solved.fixed, &fresh, (t, y.to_vec()));
        compiled.step(t, h, y, &mut stages[..tableau.n_stages() * n], &mut y_new, &mut err);
        compiled.extend(t, h, y, &mut stages);
        let t_new = trace.t[step + 1];
        let interior = Interior::Stages { tableau, stages: &stages };
        look(&Accepted { t, h, t_new, y, y_new: &y_new, interior });
    }

    /// Expands the solution of solve `number` by the Taylor method again where a step began, to the same bits,
    /// and shows the step.
    fn expand_again(
        &self,
        number: usize,
        solved: &Solved<T>,
        (step, order): (usize, usize),
        look: impl FnOnce(&Accepted<'_, T>),
    ) {
        let (trace, fresh) = (&solved.trace, Cell::new(false));
        let (t, h, y) = (trace.t[step], trace.h[step], trace.state(step));
        let mut series = vec![T::default(); order * trace.n];
        let mut compiled = Motion::new(self, number, &solved.fixed, &fresh, (t, y.to_vec()));
        compiled.series(t, t + 0.5 * h, y, &mut series);
        let mut coefficients = Vec::with_capacity(series.len());
        fill_powers(&series, trace.n, h, &mut coefficients);
        let (t_new, y_new) = (trace.t[step + 1], trace.state(step + 1));
        look(&Accepted { t, h, t_new, y, y_new, interior: Interior::Powers { coefficients: &coefficients } });
    }

    /// The numbers that a member of an ensemble draws before its run: those of
    /// [`redrawn`](crate::ir::program::Program::redrawn), end to end.
    pub fn draws(&self) -> Vec<f64> {
        let count = self.plan.layout.n_draws;
        let mut drawn = vec![T::default(); count];
        if count > 0 {
            let known = vec![None; self.plan.program.solves.len()];
            let mut outputs = [T::output(&mut drawn)];
            self.call_run(&self.plan.draws, &known, &mut outputs, &mut Workspace::default());
        }
        to_f64(&drawn)
    }

    /// The objective of one example and every run result of a finished run.
    pub fn results(&self, simulation: &Simulation<T>) -> (f64, Vec<Vec<f64>>) {
        let counts = self.plan.program.results.iter().map(|result| result.ty.shape.count());
        let mut buffers: Vec<Vec<T>> =
            std::iter::once(1).chain(counts).map(|len| vec![T::default(); len]).collect();
        let mut outputs: Vec<Output<'_>> = buffers.iter_mut().map(|buffer| T::output(buffer)).collect();
        let post = &self.plan.values.post;
        self.call_run(post, &simulation.solves, &mut outputs, &mut Workspace::default());
        let mut values = buffers.iter().map(|buffer| to_f64(buffer));
        let total = values.next().expect("the total comes first");
        (total[0], values.collect())
    }

    /// The scalar result `alone`, of a run that leaves out what it does not need.
    pub(crate) fn alone(&self, alone: &Alone, controls: &Controls) -> Result<f64, Failure> {
        let simulation = self.simulate_solves(&alone.needs, controls, |_| Keep::AtMost(1))?;
        let (mut value, mut term) = ([T::default()], [T::default()]);
        let mut outputs = [T::output(&mut value), T::output(&mut term)];
        self.call_run(&alone.value, &simulation.solves, &mut outputs, &mut Workspace::default());
        Ok(value[0].to_f64())
    }

    /// All curves, flattened, at each `(t, y)` with `y` one row of `ys: [ts, n]`; `[ts, C]`.
    pub fn curves(&self, simulation: &Simulation<T>, ts: &[f64], ys: &[T]) -> Vec<f64> {
        let (width, observe) = (self.plan.layout.n_curves, &self.plan.values.observe);
        let mut curves = Vec::with_capacity(ts.len() * width);
        let mut row = vec![T::default(); width];
        let mut workspace = Workspace::default();
        let n = self.plan.program.main.map_or(0, |main| self.plan.layout.system_of(main).n);
        for (row_idx, t) in ts.iter().enumerate() {
            let (t, y) = ([T::from_f64(*t)], &ys[row_idx * n..][..n]);
            let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(y)]);
            inputs.extend(self.run_inputs(&observe.reads, &simulation.solves));
            observe.kernel.call(&inputs, &mut [T::output(&mut row)], &mut workspace);
            curves.extend(row.iter().map(|value| value.to_f64()));
        }
        curves
    }
}

fn to_f64<T: Element>(values: &[T]) -> Vec<f64> {
    values.iter().map(|value| value.to_f64()).collect()
}

/// The saved rows that the run has come to, and its end where it is always among them.
fn reached<T: Element>(
    times: &[f64],
    states: &[T],
    save: &Save,
    (t0, t1): (f64, f64),
    y: &[T],
) -> (Vec<f64>, Vec<T>) {
    let within = |t: &f64| (t0.min(t1)..=t0.max(t1)).contains(t);
    let rows = times.iter().zip(states.chunks(y.len().max(1))).filter(|(t, _)| within(t));
    let (mut ts, mut ys) = (Vec::new(), Vec::new());
    for (t, state) in rows {
        ts.push(*t);
        ys.extend_from_slice(state);
    }
    if matches!(save, Save::Every(_)) && ts.last() != Some(&t1) {
        ts.push(t1);
        ys.extend_from_slice(y);
    }
    (ts, ys)
}
