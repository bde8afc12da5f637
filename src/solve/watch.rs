//! Watches the conditions and the clock of [`Events`] along a run.

use super::dense::Accepted;
use super::event::{Effect, Events, Jump, Trigger};
use super::outcome::{Invalid, Outcome, Quantity};
use super::problem::Real;
use super::record::Observer;
use super::roots::{crossings, resolution, sign};
use super::stepper::{Flow, non_finite};
use std::ops::ControlFlow;

/// Which conditions hold, which times come next, how many events there have been.
pub(super) struct Watch<'a, E: ?Sized> {
    events: &'a mut E,
    /// For each event: whether its condition held when the run was last looked at. That of an
    /// event with times of its own is false.
    truth: Vec<bool>,
    clocks: Vec<Clock>,
    max_events: u64,
    /// For each event: when it happened last, four times, the latest last.
    recent: Vec<[f64; 4]>,
    /// Events up to the end of the step, as it was planned, in which the first of them fell.
    n_in_step: u64,
    step_end: f64,
    direction: f64,
}

/// The times of one event.
struct Clock {
    event: usize,
    ticks: Ticks,
    next: Option<f64>,
}

enum Ticks {
    /// `t0 + i dt`.
    Every { t0: f64, dt: f64, i: u64 },
    /// Still to come, the last one first.
    At(Vec<f64>),
}

/// What became of an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instant {
    /// Nothing was due.
    Quiet,
    /// The state has jumped.
    Jumped,
    /// The state has jumped, and the run ends here.
    Stopped,
}

impl<'a, E: ?Sized> Watch<'a, E> {
    /// Watches a run from `t0` to `t1`. Refuses times that make no sense.
    pub fn new<T: Real>(events: &'a mut E, (t0, t1): (f64, f64), max_events: u64) -> Result<Self, Invalid>
    where
        E: Events<T>,
    {
        let direction = if t1 >= t0 { 1.0 } else { -1.0 };
        let triggers = events.triggers();
        let truth = vec![false; triggers.len()];
        let mut clocks = Vec::new();
        for (event, trigger) in triggers.iter().enumerate() {
            match trigger {
                Trigger::When(_) | Trigger::Whenever(_) => {}
                Trigger::Every(dt) => {
                    super::control::positive("the time between two events", *dt)?;
                    let dt = dt * direction;
                    clocks.push(Clock { event, ticks: Ticks::Every { t0, dt, i: 1 }, next: Some(t0 + dt) });
                }
                Trigger::At(times) => {
                    if let Some(value) = times.iter().find(|t| !t.is_finite()) {
                        return Err(Invalid::Time { name: "the time of an event", value: *value });
                    }
                    let ahead = |t: &&f64| (**t - t0) * direction >= 0.0;
                    let mut times: Vec<f64> = times.iter().filter(ahead).copied().collect();
                    times.sort_by(|a, b| (b * direction).total_cmp(&(a * direction)));
                    let next = times.pop();
                    clocks.push(Clock { event, ticks: Ticks::At(times), next });
                }
            }
        }
        let recent = vec![[f64::NAN; 4]; truth.len()];
        Ok(Watch { events, truth, clocks, max_events, recent, n_in_step: 0, step_end: f64::NAN, direction })
    }

    /// The next time, before `limit`, to land on for an event.
    pub fn next_time(&self, limit: f64) -> f64 {
        let times = self.clocks.iter().filter_map(|clock| clock.next);
        times.fold(limit, |first, t| if (first - t) * self.direction > 0.0 { t } else { first })
    }

    /// Takes the conditions as they are at `(t, y)`; gives the events whose condition holds.
    pub fn look<T: Real>(&mut self, t: f64, inside: f64, y: &[T]) -> Vec<usize>
    where
        E: Events<T>,
    {
        self.truth = self.truths(t, inside, y);
        (0..self.truth.len()).filter(|event| self.truth[*event]).collect()
    }

    /// Whether there are conditions, which are looked for inside steps.
    pub fn looks_inside<T: Real>(&self) -> bool
    where
        E: Events<T>,
    {
        self.events.n_roots() > 0
    }

    /// When, after the start of `step` and not after its end, a condition first becomes true; the
    /// conditions are then taken as they are just before, else as they are at the end.
    pub fn first_in<T: Real>(&mut self, step: &Accepted<'_, T>) -> Option<f64>
    where
        E: Events<T>,
    {
        let n_roots = self.events.n_roots();
        if n_roots == 0 {
            return None;
        }
        let mut y = vec![T::default(); step.y.len()];
        let mut out = vec![T::default(); n_roots];
        let events = &mut *self.events;
        let (mut signs, found) = crossings(n_roots, (step.t, step.t_new), |t, values| {
            step.at(t, &mut y);
            events.roots(t, step.inside(), &y, &mut out);
            for (value, out) in values.iter_mut().zip(&out) {
                *value = out.to_f64();
            }
        });
        let mut truth = self.truth.clone();
        let mut first: Option<f64> = None;
        // What happens within a few units in the last place happens at one instant.
        let instant = 8.0 * resolution(step.t, step.t_new);
        for crossing in found {
            if first.is_some_and(|first| (crossing.t - first).abs() > instant) {
                break;
            }
            signs[crossing.root] = crossing.sign;
            for (event, trigger) in events.triggers().iter().enumerate() {
                let holds = holds(trigger, &signs);
                if holds && !truth[event] {
                    if first.is_none() {
                        self.truth.clone_from(&truth);
                    }
                    first = Some(crossing.t);
                }
                truth[event] = holds;
            }
        }
        if first.is_none() {
            self.truth = truth;
        }
        first
    }

    /// Lets the events jump that are due at `(t, y)`, where `planned_end` is the end of the step
    /// that led here as it was planned; `y` becomes the state after them. Those are due whose time
    /// has come and those whose condition holds and did not when last looked at; after them, those
    /// whose condition a jump has made true.
    pub fn instant<T: Real>(
        &mut self,
        (t, inside, planned_end): (f64, f64, f64),
        y: &mut Vec<T>,
        observer: &mut (impl Observer<T> + ?Sized),
    ) -> ControlFlow<Outcome, Instant>
    where
        E: Events<T>,
    {
        let (mut due, mut what) = (self.due(t, inside, y), Instant::Quiet);
        let (mut y_new, mut round) = (y.clone(), 0);
        while due.contains(&true) {
            for event in (0..due.len()).filter(|event| due[*event]) {
                self.count(t, planned_end, event)?;
                self.converge(t, event)?;
                let effect = self.events.jump(event, t, inside, y, &mut y_new);
                observer.jumped(&Jump { t, event, round, y, y_new: &y_new });
                std::mem::swap(y, &mut y_new);
                what = match (effect, what) {
                    (Effect::Stop, _) | (_, Instant::Stopped) => Instant::Stopped,
                    (Effect::Continue, _) => Instant::Jumped,
                };
                if let Some(component) = non_finite(y) {
                    let quantity = Quantity::Jump { event };
                    return ControlFlow::Break(Outcome::NonFinite { t, h: 0.0, component, quantity });
                }
            }
            due = self.due(t, inside, y);
            round += 1;
        }
        ControlFlow::Continue(what)
    }

    /// Lets what happens whenever its condition holds change the start `(t, y)` of a run; whether
    /// anything did.
    pub fn settle<T: Real>(&mut self, t: f64, inside: f64, y: &mut Vec<T>) -> ControlFlow<Outcome, bool>
    where
        E: Events<T>,
    {
        let (mut y_new, mut changed) = (y.clone(), false);
        loop {
            let truth = self.truths(t, inside, y);
            let triggers = self.events.triggers();
            let Some(event) = (0..truth.len()).find(|event| truth[*event] && is_level(&triggers[*event]))
            else {
                return ControlFlow::Continue(changed);
            };
            self.count(t, t, event)?;
            self.events.settle(event, t, inside, y, &mut y_new);
            std::mem::swap(y, &mut y_new);
            changed = true;
        }
    }

    fn due<T: Real>(&mut self, t: f64, inside: f64, y: &[T]) -> Vec<bool>
    where
        E: Events<T>,
    {
        let truth = self.truths(t, inside, y);
        let triggers = self.events.triggers().iter();
        let becomes = truth.iter().zip(&self.truth).map(|(now, before)| *now && !before);
        let mut due: Vec<bool> =
            becomes.zip(&truth).zip(triggers).map(|((due, now), of)| due || *now && is_level(of)).collect();
        self.truth = truth;
        for clock in &mut self.clocks {
            while clock.next == Some(t) {
                due[clock.event] = true;
                clock.next = clock.ticks.next();
            }
        }
        due
    }

    fn truths<T: Real>(&mut self, t: f64, inside: f64, y: &[T]) -> Vec<bool>
    where
        E: Events<T>,
    {
        let mut roots = vec![T::default(); self.events.n_roots()];
        if !roots.is_empty() {
            self.events.roots(t, inside, y, &mut roots);
        }
        let signs: Vec<i8> = roots.iter().map(|root| sign(root.to_f64())).collect();
        self.events.triggers().iter().map(|trigger| holds(trigger, &signs)).collect()
    }

    /// Counts an event at `t`; too many in one step end the run.
    fn count(&mut self, t: f64, planned_end: f64, event: usize) -> Flow {
        if self.step_end.is_nan() || (t - self.step_end) * self.direction > 0.0 {
            (self.n_in_step, self.step_end) = (0, planned_end);
        }
        self.n_in_step += 1;
        match self.n_in_step > self.max_events {
            true => Flow::Break(Outcome::Zeno { t, event, max_events: Some(self.max_events) }),
            false => Flow::Continue(()),
        }
    }

    /// Ends the run where the times of an event come together: past that point nothing tells its
    /// condition from one that just stays true, and it would never happen again.
    fn converge(&mut self, t: f64, event: usize) -> Flow {
        let times = &mut self.recent[event];
        times.rotate_left(1);
        times[3] = t;
        match limit_is_near(*times) {
            true => Flow::Break(Outcome::Zeno { t, event, max_events: None }),
            false => Flow::Continue(()),
        }
    }
}

/// Units in the last place between the last time of an event and the limit of its times, below which
/// the run ends.
const NEAR: f64 = 1e6;

/// How far the ratios of two pairs of intervals in a geometric sequence may differ.
const SAME_RATIO: f64 = 0.01;

/// Whether the intervals between times shrink like a geometric sequence whose limit is at hand.
fn limit_is_near([a, b, c, d]: [f64; 4]) -> bool {
    let [first, second, third] = [b - a, c - b, d - c].map(f64::abs);
    let (before, ratio) = (second / first, third / second);
    let geometric = ratio < 1.0 && (ratio - before).abs() <= SAME_RATIO * ratio;
    geometric && third * ratio / (1.0 - ratio) < NEAR * f64::EPSILON * d.abs()
}

impl Ticks {
    fn next(&mut self) -> Option<f64> {
        match self {
            Ticks::Every { t0, dt, i } => {
                *i += 1;
                Some(*t0 + *i as f64 * *dt)
            }
            Ticks::At(times) => times.pop(),
        }
    }
}

/// Whether it is enough that a condition holds, which need not just have become true.
fn is_level(trigger: &Trigger) -> bool {
    match trigger {
        Trigger::Whenever(_) => true,
        Trigger::When(_) | Trigger::Every(_) | Trigger::At(_) => false,
    }
}

fn holds(trigger: &Trigger, signs: &[i8]) -> bool {
    match trigger {
        Trigger::When(condition) | Trigger::Whenever(condition) => condition.holds(signs),
        Trigger::Every(_) | Trigger::At(_) => false,
    }
}
