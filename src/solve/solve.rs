//! The loop: take a step, look for events in it, show it to the observer, move on.
//!
//! Goes from `t0` to `t1`, forwards or backwards, with any [`Stepper`]. It knows where the run
//! stands and which times to land on; the stepper knows how to take a step, `watch` what an event
//! is, observers what to keep.

use super::control::Adaptive;
use super::event::{Events, NoEvents};
use super::explicit::Explicit;
use super::outcome::{End, Invalid, Outcome, Quantity, Stats, Unsteered};
use super::problem::{Real, Step};
use super::record::Observer;
use super::stepper::{Carried, Flow, Leg, Stepper, Stops, require_finite};
use super::tableau::Tableau;
use super::watch::{Instant, Watch};
use std::ops::ControlFlow;

/// How to go from `t0` to `t1`.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Fixed or adaptive steps.
    pub stepping: Stepping,
    /// The most steps a run may try, rejected ones included.
    pub max_steps: u64,
    /// The most events in one step: more of them come ever faster.
    pub max_events: u64,
    /// Times that a step must end on, in any order; those outside the interval are ignored. The
    /// field may continue differently after each of them.
    pub stops: Vec<f64>,
    /// What an earlier run, which ended where this one begins, has left in [`End::carried`]: then this one
    /// takes the very steps that the earlier one would have taken, had it been longer and this a stop.
    pub resume: Option<Carried>,
}

/// Fixed or adaptive steps.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "there is one for a run")]
pub enum Stepping {
    /// Steps of size `dt > 0`, counted from the start, from each stop and from each event; the last
    /// one before a stop or the end is shortened to land on it.
    Fixed {
        /// Size of a step.
        dt: f64,
    },
    /// Steps as the tolerances ask. Needs a method with an error estimate.
    Adaptive(Adaptive),
}

impl Options {
    /// Steps tried before a run is given up, unless said otherwise.
    pub const MAX_STEPS: u64 = 1_000_000;
    /// Events in one step before a run is given up, unless said otherwise.
    pub const MAX_EVENTS: u64 = 1_000;

    /// Fixed steps of size `dt`.
    pub fn fixed(dt: f64) -> Options {
        Options::of(Stepping::Fixed { dt })
    }

    /// Adaptive steps.
    pub fn adaptive(adaptive: Adaptive) -> Options {
        Options::of(Stepping::Adaptive(adaptive))
    }

    fn of(stepping: Stepping) -> Options {
        let (max_steps, max_events) = (Options::MAX_STEPS, Options::MAX_EVENTS);
        Options { stepping, max_steps, max_events, stops: Vec::new(), resume: None }
    }
}

/// Solves `y' = f(t, y)`, `y(t0) = y0`, from `t0` to `t1` (which may be the smaller), with the
/// explicit method `tableau` whose steps `step` takes. `y0` is `[dim]`. Every accepted step is
/// shown to `observer`. The end lies exactly on `t1`.
///
/// What goes wrong with the numbers is an [`Outcome`]; a request that makes no sense is refused
/// before anything is evaluated.
pub fn solve<T: Real, S: Step<T> + ?Sized, O: Observer<T> + ?Sized>(
    step: &mut S,
    tableau: &Tableau,
    span: (f64, f64),
    y0: &[T],
    options: &Options,
    observer: &mut O,
) -> Result<End<T>, Invalid> {
    let mut method = Explicit::new(step, tableau, &options.stepping);
    integrate(&mut method, &mut NoEvents, span, y0, options, observer)
}

/// Goes from `(t0, y0)` to `t1` as [`solve`] does, with any method and with events. The method has
/// been given `options.stepping` already.
///
/// The state at an event is that of the dense output; the observer sees the step up to there, then
/// each jump, then the state from which the run goes on.
pub fn integrate<T, M, E, O>(
    method: &mut M,
    events: &mut E,
    (t0, t1): (f64, f64),
    y0: &[T],
    options: &Options,
    observer: &mut O,
) -> Result<End<T>, Invalid>
where
    T: Real,
    M: Stepper<T> + ?Sized,
    E: Events<T> + ?Sized,
    O: Observer<T> + ?Sized,
{
    if y0.len() != method.dim() {
        return Err(Invalid::Dimension { expected: method.dim(), found: y0.len() });
    }
    for (name, value) in [("the start", t0), ("the end", t1)] {
        if !value.is_finite() {
            return Err(Invalid::Time { name, value });
        }
    }
    method.check()?;
    let watch = Watch::new(events, (t0, t1), options.max_events)?;
    let mut run = Run::new(method, watch, (t0, t1), y0, options);
    let outcome = match run.run(observer) {
        ControlFlow::Continue(()) => Outcome::Finished,
        ControlFlow::Break(outcome) => outcome,
    };
    let unsteered = run.tallies.iter().filter_map(|tally| tally.unsteered(&options.stepping)).collect();
    let carried = run.method.carried().filter(|_| outcome == Outcome::Finished);
    Ok(End {
        t: run.t,
        y: run.y,
        outcome,
        stats: run.stats,
        true_at_start: run.true_at_start,
        unsteered,
        carried,
    })
}

/// What is kept of the errors of a component that has no say in the step size.
struct Tally {
    component: usize,
    /// Steps that had an estimate.
    n_estimates: u64,
    sum: f64,
    /// The largest magnitude of `sum` so far.
    error: f64,
    /// The largest magnitude of the component so far.
    size: f64,
}

impl Tally {
    /// One for each component that does not count.
    fn all(stepping: &Stepping, dim: usize) -> Vec<Tally> {
        let Stepping::Adaptive(control) = stepping else { return Vec::new() };
        let silent = (0..dim).filter(|at| !control.errors.count(*at));
        let tally = |component| Tally { component, n_estimates: 0, sum: 0.0, error: 0.0, size: 0.0 };
        silent.map(tally).collect()
    }

    fn add(&mut self, error: Option<f64>, y: f64) {
        self.size = self.size.max(y.abs());
        if let Some(error) = error {
            self.n_estimates += 1;
            self.sum += error;
            self.error = self.error.max(self.sum.abs());
        }
    }

    fn unsteered(&self, stepping: &Stepping) -> Option<Unsteered> {
        let Stepping::Adaptive(control) = stepping else { return None };
        let of_step = control.atol.at(self.component) + control.rtol * self.size;
        let tolerance = self.n_estimates as f64 * of_step;
        let found = Unsteered { component: self.component, error: self.error, tolerance };
        (self.n_estimates > 0).then_some(found)
    }
}

struct Run<'a, T, M: ?Sized, E: ?Sized> {
    method: &'a mut M,
    watch: Watch<'a, E>,
    /// Times to land on, the next one last; the first is `t1`.
    stops: Stops,
    leg: Leg,
    resume: Option<Carried>,
    t: f64,
    t1: f64,
    y: Vec<T>,
    y_new: Vec<T>,
    stats: Stats,
    true_at_start: Vec<usize>,
    tallies: Vec<Tally>,
}

impl<'a, T: Real, M: Stepper<T> + ?Sized, E: Events<T> + ?Sized> Run<'a, T, M, E> {
    fn new(
        method: &'a mut M,
        watch: Watch<'a, E>,
        (t0, t1): (f64, f64),
        y0: &[T],
        options: &Options,
    ) -> Self {
        let direction = if t1 >= t0 { 1.0 } else { -1.0 };
        let stops = Leg::stops(&options.stops, (t0, t1));
        let leg = Leg { target: t1, direction, length: (t1 - t0).abs(), max_steps: options.max_steps };
        Run {
            method,
            watch,
            stops,
            leg,
            resume: options.resume,
            t: t0,
            t1,
            y: y0.to_vec(),
            y_new: vec![T::default(); y0.len()],
            stats: Stats::default(),
            true_at_start: Vec::new(),
            tallies: Tally::all(&options.stepping, y0.len()),
        }
    }

    fn run<O: Observer<T> + ?Sized>(&mut self, observer: &mut O) -> Flow {
        self.begin(observer)?;
        while self.t != self.t1 {
            self.method.advance(self.t, &self.y, &self.leg, &mut self.stats)?;
            let (t, t_new) = {
                let step = self.method.accepted(&self.y);
                (step.t, step.t_new)
            };
            if self.watch.looks_inside() || observer.looks_inside(t, t_new) {
                self.method.look_inside(&self.y, &mut self.stats);
            }
            let step = self.method.accepted(&self.y);
            let (inside, planned_end) = (step.inside(), step.t + step.h);
            let event = self.watch.first_in(&step);
            let t_new = event.unwrap_or(step.t_new);
            step.at(t_new, &mut self.y_new);
            let flow = observer.accepted(&step.cut(t_new, &self.y_new));
            if let ControlFlow::Break(t_stop) = flow {
                if t_stop != t_new {
                    step.at(t_stop, &mut self.y_new);
                }
                std::mem::swap(&mut self.y, &mut self.y_new);
                self.t = t_stop;
                return Flow::Break(Outcome::Stopped);
            }
            std::mem::swap(&mut self.y, &mut self.y_new);
            self.t = t_new;
            for tally in &mut self.tallies {
                tally.add(self.method.error(tally.component), self.y[tally.component].to_f64());
            }
            let lands = self.t == self.leg.target;
            if lands {
                self.aim();
            }
            // At a stop the piece ahead counts, at an event inside a step the piece it lies in.
            let inside = if lands { self.leg.inside(self.t) } else { inside };
            if lands || event.is_some() {
                self.arrive(inside, planned_end, observer)?;
            }
        }
        Flow::Continue(())
    }

    fn begin<O: Observer<T> + ?Sized>(&mut self, observer: &mut O) -> Flow {
        self.aim();
        let inside = self.leg.inside(self.t);
        let finite = require_finite(&self.y, self.t, 0.0, Quantity::Start);
        let started = match finite {
            Flow::Continue(()) => self.settle(inside),
            other => other,
        };
        observer.start(self.t, &self.y);
        started?;
        self.true_at_start = self.watch.look(self.t, inside, &self.y);
        self.jump(inside, self.t, observer).map_continue(|_| ())
    }

    /// Starts the method, with what holds whenever its condition does settled before, and again after
    /// constraints have moved the start.
    fn settle(&mut self, inside: f64) -> Flow {
        self.watch.settle(self.t, inside, &mut self.y)?;
        while self.t != self.t1 {
            let (leg, stats) = (&self.leg, &mut self.stats);
            match self.resume.take() {
                None => self.method.start(self.t, &mut self.y, leg, stats)?,
                Some(carried) => self.method.resume(&carried, self.t, &mut self.y, leg, stats)?,
            }
            if !self.watch.settle(self.t, inside, &mut self.y)? {
                break;
            }
        }
        Flow::Continue(())
    }

    /// The run has come to where a stop or an event is.
    fn arrive<O: Observer<T> + ?Sized>(&mut self, inside: f64, planned_end: f64, observer: &mut O) -> Flow {
        if self.jump(inside, planned_end, observer)? == Instant::Quiet {
            self.method.pass_stop();
        }
        Flow::Continue(())
    }

    /// Lets the events of this instant happen, and starts the method anew if there are any.
    fn jump<O: Observer<T> + ?Sized>(
        &mut self,
        inside: f64,
        planned_end: f64,
        observer: &mut O,
    ) -> ControlFlow<Outcome, Instant> {
        let what = self.watch.instant((self.t, inside, planned_end), &mut self.y, observer)?;
        if what == Instant::Quiet {
            return ControlFlow::Continue(what);
        }
        self.aim();
        if self.t != self.t1 {
            self.method.start(self.t, &mut self.y, &self.leg, &mut self.stats)?;
            self.watch.look(self.t, inside, &self.y);
        }
        observer.resumed(self.t, &self.y);
        match what {
            Instant::Stopped => ControlFlow::Break(Outcome::Stopped),
            Instant::Quiet | Instant::Jumped => ControlFlow::Continue(what),
        }
    }

    /// Sets the next time to land on.
    fn aim(&mut self) {
        while self.stops.len() > 1 && self.stops.last() == Some(&self.t) {
            self.stops.pop();
        }
        let stop = self.stops.last().copied().expect("the end of the run is never popped");
        self.leg.target = self.watch.next_time(stop);
    }
}
