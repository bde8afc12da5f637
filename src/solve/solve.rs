//! The loop: propose a step, take it, accept or reject it, show it to the observer.
//!
//! Goes from `t0` to `t1`, forwards or backwards, with any [`Step`]. It keeps time, step sizes
//! and counts; formulas live in the tableau, decisions about step sizes in `control`, output in
//! observers. All memory is taken at the start.

use super::control::{Adaptive, positive};
use super::dense::Accepted;
use super::outcome::{End, Invalid, Outcome, Quantity, Stats};
use super::problem::{Real, Step};
use super::record::Observer;
use super::tableau::Tableau;
use std::ops::ControlFlow;

/// How to go from `t0` to `t1`.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Fixed or adaptive steps.
    pub stepping: Stepping,
    /// The most steps a run may try, rejected ones included.
    pub max_steps: u64,
    /// Times that a step must end on, in any order; those outside the interval are ignored.
    pub stops: Vec<f64>,
}

/// Fixed or adaptive steps.
#[derive(Clone, Debug, PartialEq)]
pub enum Stepping {
    /// Steps of size `dt > 0`, counted from the start and from each stop; the last one before a
    /// stop or the end is shortened to land on it.
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

    /// Fixed steps of size `dt`.
    pub fn fixed(dt: f64) -> Options {
        Options { stepping: Stepping::Fixed { dt }, max_steps: Options::MAX_STEPS, stops: Vec::new() }
    }

    /// Adaptive steps.
    pub fn adaptive(adaptive: Adaptive) -> Options {
        Options { stepping: Stepping::Adaptive(adaptive), max_steps: Options::MAX_STEPS, stops: Vec::new() }
    }
}

/// Solves `y' = f(t, y)`, `y(t0) = y0`, from `t0` to `t1` (which may be the smaller), with the
/// method `tableau` whose steps `step` takes. `y0` is `[dim]`. Every accepted step is shown to
/// `observer`. The end lies exactly on `t1`.
///
/// What goes wrong with the numbers is an [`Outcome`]; a request that makes no sense is refused
/// before anything is evaluated.
pub fn solve<T: Real, S: Step<T> + ?Sized, O: Observer<T> + ?Sized>(
    step: &mut S,
    tableau: &Tableau,
    (t0, t1): (f64, f64),
    y0: &[T],
    options: &Options,
    observer: &mut O,
) -> Result<End<T>, Invalid> {
    check(step, tableau, (t0, t1), y0, options)?;
    let mut run = Run::new(step, tableau, t0, t1, y0, options);
    observer.start(t0, y0);
    let outcome = match non_finite(y0) {
        Some(component) => Outcome::NonFinite { t: t0, h: 0.0, component, quantity: Quantity::Start },
        None if t0 == t1 => Outcome::Finished,
        None => {
            let ran = match &options.stepping {
                Stepping::Fixed { dt } => run.fixed(*dt, observer),
                Stepping::Adaptive(adaptive) => run.adaptive(adaptive, observer),
            };
            match ran {
                ControlFlow::Continue(()) => Outcome::Finished,
                ControlFlow::Break(outcome) => outcome,
            }
        }
    };
    Ok(End { t: run.t, y: run.y, outcome, stats: run.stats })
}

fn check<T: Real, S: Step<T> + ?Sized>(
    step: &S,
    tableau: &Tableau,
    (t0, t1): (f64, f64),
    y0: &[T],
    options: &Options,
) -> Result<(), Invalid> {
    let (dim, n_stages) = (step.dim(), step.n_stages());
    if y0.len() != dim {
        return Err(Invalid::Dimension { expected: dim, found: y0.len() });
    }
    if n_stages != tableau.n_stages() {
        return Err(Invalid::Stages { expected: tableau.n_stages(), found: n_stages });
    }
    for (name, value) in [("the start", t0), ("the end", t1)] {
        if !value.is_finite() {
            return Err(Invalid::Time { name, value });
        }
    }
    match &options.stepping {
        Stepping::Fixed { dt } => positive("dt", *dt),
        Stepping::Adaptive(_) if tableau.embedded.is_none() => {
            Err(Invalid::NoErrorEstimate { method: tableau.name })
        }
        Stepping::Adaptive(adaptive) => adaptive.check(dim),
    }
}

/// The position of the first number that is infinite or not a number.
fn non_finite<T: Real>(v: &[T]) -> Option<usize> {
    v.iter().position(|x| !x.to_f64().is_finite())
}

struct Run<'a, T, S: ?Sized> {
    step: &'a mut S,
    tableau: &'a Tableau,
    /// Times to land on, in the order they are met; the last is `t1`.
    targets: Vec<f64>,
    max_steps: u64,
    /// `t1 - t0` is this times its size.
    direction: f64,
    length: f64,
    t: f64,
    y: Vec<T>,
    y_new: Vec<T>,
    err: Vec<T>,
    /// `[s, dim]`.
    stages: Vec<T>,
    /// Whether row 0 of `stages` is the rate at `(t, y)`.
    rate_known: bool,
    stats: Stats,
}

/// Goes on, or ends the run.
type Flow = ControlFlow<Outcome>;

impl<'a, T: Real, S: Step<T> + ?Sized> Run<'a, T, S> {
    fn new(step: &'a mut S, tableau: &'a Tableau, t0: f64, t1: f64, y0: &[T], options: &Options) -> Self {
        let dim = y0.len();
        let direction = if t1 >= t0 { 1.0 } else { -1.0 };
        let inside = |stop: &f64| (*stop - t0) * direction > 0.0 && (t1 - *stop) * direction > 0.0;
        let mut targets: Vec<f64> = options.stops.iter().copied().filter(inside).collect();
        targets.sort_by(|a, b| (a * direction).total_cmp(&(b * direction)));
        targets.dedup();
        targets.push(t1);
        Run {
            step,
            tableau,
            targets,
            max_steps: options.max_steps,
            direction,
            length: (t1 - t0).abs(),
            t: t0,
            y: y0.to_vec(),
            y_new: vec![T::default(); dim],
            err: vec![T::default(); dim],
            stages: vec![T::default(); dim * tableau.n_stages()],
            rate_known: false,
            stats: Stats::default(),
        }
    }

    /// Fixed steps. Times are counted, not summed, so that they do not drift.
    fn fixed<O: Observer<T> + ?Sized>(&mut self, dt: f64, observer: &mut O) -> Flow {
        let dt = dt * self.direction;
        self.stats.next_step = dt;
        for target_idx in 0..self.targets.len() {
            let (base, target) = (self.t, self.targets[target_idx]);
            // A ratio that is whole but for rounding counts as whole.
            let n_steps = ((target - base) / dt * (1.0 - 1e-12)).ceil().max(1.0) as u64;
            for i in 1..=n_steps {
                let (h, t_new) = match i == n_steps {
                    true => (target - self.t, target),
                    false => (dt, base + i as f64 * dt),
                };
                self.prepare(h)?;
                self.attempt(h);
                if let Some(component) = non_finite(&self.y_new) {
                    self.stats.rejected += 1;
                    self.stats.non_finite += 1;
                    let quantity = Quantity::State;
                    return Flow::Break(Outcome::NonFinite { t: self.t, h, component, quantity });
                }
                self.accept(h, t_new, observer)?;
            }
        }
        Flow::Continue(())
    }

    /// Steps as the tolerances ask.
    fn adaptive<O: Observer<T> + ?Sized>(&mut self, adaptive: &Adaptive, observer: &mut O) -> Flow {
        let q = self.tableau.error_exponent();
        let controller = adaptive.controller;
        let longest = adaptive.max_step.min(self.length);
        self.prepare(self.direction * longest)?;
        let mut size = match adaptive.first_step {
            Some(dt) => dt.min(longest),
            None => self.estimated_first_step(adaptive, q, longest),
        };
        size = size.max(self.shortest(adaptive));
        let mut err_prev = controller.remembered(0.0);
        let mut after_rejection = false;
        for target_idx in 0..self.targets.len() {
            let target = self.targets[target_idx];
            while self.t != target {
                let (taken, lands) = fitted(size, (target - self.t).abs());
                let h = if lands { target - self.t } else { self.direction * taken };
                self.prepare(h)?;
                self.attempt(h);
                let fault = self.fault();
                let err =
                    if fault.is_none() { adaptive.norm(&self.err, &self.y, &self.y_new) } else { f64::NAN };
                if err <= 1.0 {
                    let factor = controller.after_accepted(q, err, err_prev);
                    let factor = if after_rejection { factor.min(1.0) } else { factor };
                    // A step cut short by a target says nothing against the size that was planned.
                    let planned = if taken < size && !after_rejection { size } else { 0.0 };
                    size = (taken * factor).max(planned).min(longest);
                    err_prev = controller.remembered(err);
                    after_rejection = false;
                    self.stats.next_step = self.direction * size;
                    let t_new = if lands { target } else { self.t + h };
                    self.accept(h, t_new, observer)?;
                    size = size.max(self.shortest(adaptive));
                } else {
                    size = taken * controller.after_rejected(q, err);
                    after_rejection = true;
                    self.stats.rejected += 1;
                    self.stats.non_finite += u64::from(!err.is_finite());
                    if size < self.shortest(adaptive) {
                        return Flow::Break(self.given_up(adaptive, fault, h, self.direction * size));
                    }
                }
            }
        }
        Flow::Continue(())
    }

    /// Ready for a step of size `h`: the rate at `(t, y)` is in row 0 of the stages.
    fn prepare(&mut self, h: f64) -> Flow {
        if self.stats.attempts() >= self.max_steps {
            return Flow::Break(Outcome::MaxSteps { t: self.t, h, max_steps: self.max_steps });
        }
        if !self.rate_known {
            let rate = &mut self.stages[..self.y.len()];
            self.step.rate(self.t, &self.y, rate);
            self.stats.evaluations += 1;
            self.rate_known = true;
            if let Some(component) = non_finite(rate) {
                let quantity = Quantity::Rate;
                return Flow::Break(Outcome::NonFinite { t: self.t, h: 0.0, component, quantity });
            }
        }
        Flow::Continue(())
    }

    fn attempt(&mut self, h: f64) {
        if self.stats.attempts() == 0 {
            self.stats.first_step = h;
        }
        self.step.step(self.t, h, &self.y, &mut self.stages, &mut self.y_new, &mut self.err);
        self.stats.evaluations += self.tableau.n_stages() as u64 - 1;
    }

    /// Shows the step to the observer and moves on.
    fn accept<O: Observer<T> + ?Sized>(&mut self, h: f64, t_new: f64, observer: &mut O) -> Flow {
        self.stats.accepted += 1;
        let accepted = Accepted {
            t: self.t,
            h,
            t_new,
            y: &self.y,
            y_new: &self.y_new,
            stages: &self.stages,
            tableau: self.tableau,
        };
        let flow = observer.accepted(&accepted);
        if let ControlFlow::Break(t_stop) = flow
            && t_stop != t_new
        {
            // The estimate is not needed any more, so its memory takes the state at the stop.
            accepted.at(t_stop, &mut self.err);
            self.y_new.copy_from_slice(&self.err);
        }
        std::mem::swap(&mut self.y, &mut self.y_new);
        match flow {
            ControlFlow::Break(t_stop) => {
                self.t = t_stop;
                return Flow::Break(Outcome::Stopped);
            }
            ControlFlow::Continue(()) => self.t = t_new,
        }
        self.rate_known = self.tableau.fsal();
        if self.rate_known {
            let last = (self.tableau.n_stages() - 1) * self.y.len();
            self.stages.copy_within(last.., 0);
        }
        Flow::Continue(())
    }

    fn estimated_first_step(&mut self, adaptive: &Adaptive, q: u32, longest: f64) -> f64 {
        self.stats.evaluations += 1;
        let (dy, dy_try) = self.stages.split_at_mut(self.y.len());
        let dy_try = &mut dy_try[..self.y.len()];
        let from = (self.t, self.direction, longest);
        adaptive.first_step_size(self.step, q, from, &self.y, dy, &mut self.y_new, dy_try)
    }

    /// No step can be shorter here: ten units in the last place of `t`, or as the options say.
    fn shortest(&self, adaptive: &Adaptive) -> f64 {
        adaptive.min_step.max(10.0 * f64::EPSILON * self.t.abs()).max(f64::MIN_POSITIVE)
    }

    /// What is not finite after an attempt: the new state, or the rate there if it is known.
    fn fault(&self) -> Option<(Quantity, usize)> {
        let state = non_finite(&self.y_new).map(|at| (Quantity::State, at));
        let rate = || {
            let last = &self.stages[(self.tableau.n_stages() - 1) * self.y.len()..];
            if self.tableau.fsal() { non_finite(last).map(|at| (Quantity::Rate, at)) } else { None }
        };
        let error = || non_finite(&self.err).map(|at| (Quantity::Error, at));
        state.or_else(rate).or_else(error)
    }

    /// The outcome after an attempt with `h` failed and `h_next` is too small to try.
    fn given_up(
        &self,
        adaptive: &Adaptive,
        fault: Option<(Quantity, usize)>,
        h: f64,
        h_next: f64,
    ) -> Outcome {
        match fault {
            Some((quantity, component)) => Outcome::NonFinite { t: self.t, h, component, quantity },
            None => {
                let (component, ratio) = adaptive.largest(&self.err, &self.y, &self.y_new);
                Outcome::StepTooSmall { t: self.t, h: h_next, component, ratio }
            }
        }
    }
}

/// The step to take when `size` is wished and `remaining` is left to the next target, and whether
/// it lands there. Two steps share what is left rather than leave a tiny one.
fn fitted(size: f64, remaining: f64) -> (f64, bool) {
    if remaining <= size * (1.0 + 1e-10) {
        (remaining, true)
    } else if remaining < 2.0 * size {
        (0.5 * remaining, false)
    } else {
        (size, false)
    }
}
