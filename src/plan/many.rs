//! The forward pass of many runs of a plan.
//!
//! What [`Context::simulate`] does for one, [`Plan::simulate_many`] does for many: where the method of
//! a system goes in lanes, runs advance a block at a time, else one after the other. Each leaves what it
//! leaves alone.

use crate::plan::Plan;
use crate::plan::controls::{Controls, Failure, Save};
use crate::plan::forward::{Begun, Recording, Simulation};
use crate::plan::lanes::{Apart, LaneArgs, LaneMotion};
use crate::plan::operands::{Context, Fixed};
use crate::plan::trace::Keep;
use crate::plan::unit::Element;
use crate::solve::dense::Accepted;
use crate::solve::lanes::{LaneObserver, Steps, Trip, integrate, integrate_series};
use crate::solve::method::Kind;
use crate::solve::outcome::{End, Invalid};
use crate::solve::record::Observer;
use crate::solve::solve::Options;
use std::ops::ControlFlow;

/// What comes of one run.
type Found<T> = Result<Simulation<T>, Failure>;

impl Plan {
    /// Runs the solves in `needed` of each of `runs`, which are of this plan and differ in no more than
    /// `apart`: as [`Context::simulate`] does all that results and curves need. Of solves of system `s`
    /// as many states are kept as `keep(s)` says.
    pub fn simulate_many<T: Element>(
        &self,
        runs: &[Context<'_, T>],
        apart: &Apart,
        needed: &[usize],
        controls: &Controls,
        keep: impl Fn(usize) -> Keep,
    ) -> Vec<Found<T>> {
        let n_solves = self.program.solves.len();
        let mut found: Vec<Found<T>> = runs.iter().map(|_| Ok(Simulation::empty(n_solves))).collect();
        for number in needed {
            let is_main = self.program.main == Some(*number);
            let save = if is_main { &controls.save } else { &Save::Nothing };
            let system = self.layout.solves[*number].system;
            let keep = keep(system);
            if self.has_lanes(system) {
                self.solve_in_lanes(*number, (runs, &mut found), apart, controls, (save, keep));
                continue;
            }
            for (run, found) in runs.iter().zip(&mut found) {
                let Ok(simulation) = found else { continue };
                match run.solve(*number, &simulation.solves, controls, (save, keep)) {
                    Ok(finished) => simulation.take(*number, is_main, finished),
                    Err(failure) => *found = Err(failure),
                }
            }
        }
        found
    }

    fn solve_in_lanes<T: Element>(
        &self,
        number: usize,
        (runs, found): (&[Context<'_, T>], &mut [Found<T>]),
        apart: &Apart,
        controls: &Controls,
        (save, keep): (&Save, Keep),
    ) {
        let system = self.layout.solves[number].system;
        let options = &controls.options[system];
        let mut recorder = Recorder::default();
        let mut trips = Vec::new();
        for (at, (run, found)) in runs.iter().zip(found.iter_mut()).enumerate() {
            let begun = match found {
                Ok(simulation) => run.begin(number, &simulation.solves, (save, keep)),
                Err(_) => {
                    recorder.begun.push(None);
                    continue;
                }
            };
            match begun {
                Ok(mut begun) => {
                    let fixed = std::mem::take(&mut begun.fixed);
                    let mut trip =
                        Trip::new(at, begun.ends, begun.y0.clone(), LaneArgs { fixed, data: run.data });
                    trip.stops.extend(&options.stops);
                    trip.stops.extend(begun.stops.iter().map(|stop| stop.to_f64()));
                    trip.resume = begun.resume;
                    recorder.keeps_steps |= begun.keep != Keep::Ends;
                    recorder.begun.push(Some(begun));
                    trips.push(trip);
                }
                Err(failure) => {
                    recorder.begun.push(None);
                    *found = Err(failure);
                }
            }
        }
        let refused = match crate::backend::lanes::width(T::DTYPE) {
            8 => self.integrate_lanes::<T, 8>(system, apart, options, trips, &mut recorder),
            16 => self.integrate_lanes::<T, 16>(system, apart, options, trips, &mut recorder),
            width => crate::bug!("blocks of {width} lanes"),
        };
        if let Err(failure) = refused {
            for (found, _) in found.iter_mut().zip(&recorder.begun).filter(|(_, begun)| begun.is_some()) {
                *found = Err(failure.clone());
            }
            return;
        }
        let is_main = self.program.main == Some(number);
        for (at, fixed, recording, end) in recorder.ended {
            let Ok(simulation) = &mut found[at] else { continue };
            let begun = recorder.begun[at].take().expect("a run that ended has begun");
            let begun = Begun { fixed, ..begun };
            let finished = end.map_err(Failure::from).and_then(|end| {
                let known = &simulation.solves;
                runs[at].finish(number, known, (begun, Vec::new()), recording, end, save)
            });
            match finished {
                Ok(finished) => simulation.take(number, is_main, finished),
                Err(failure) => found[at] = Err(failure),
            }
        }
    }

    fn integrate_lanes<'a, T: Element, const B: usize>(
        &self,
        system: usize,
        apart: &Apart,
        options: &Options,
        trips: Vec<Trip<T, LaneArgs<'a, T>>>,
        recorder: &mut Recorder<T>,
    ) -> Result<(), Failure> {
        let Some(first) = trips.first() else { return Ok(()) };
        let kernels = self.lane_kernels(system, apart)?;
        let mut motion = LaneMotion::<T, B>::new(self, system, &kernels, first.args.clone());
        recorder.lanes.extend((0..B).map(|_| None));
        match self.methods[system].kind {
            Kind::Explicit(tableau) => integrate(&mut motion, tableau, options, trips, recorder)?,
            Kind::Taylor { .. } => integrate_series(&mut motion, options, trips, recorder)?,
            Kind::Stiff(_)
            | Kind::Multistep
            | Kind::Auto(_)
            | Kind::Symplectic(_)
            | Kind::Reversible(_)
            | Kind::Stochastic(_) => crate::bug!("a method that does not go in lanes"),
        }
        Ok(())
    }
}

/// Keeps what comes of the runs of a block.
struct Recorder<T> {
    /// By run: what is known before its first step; `None` of one that is not among those in lanes.
    begun: Vec<Option<Begun<T>>>,
    /// By lane.
    lanes: Vec<Option<Recording<T>>>,
    /// The runs that are over.
    ended: Vec<Ended<T>>,
    /// Whether more than start and end are kept of any.
    keeps_steps: bool,
    y: Vec<T>,
    k1: Vec<T>,
}

/// A run that is over: which, what its motion took, what is kept of it, and how it ended.
type Ended<T> = (usize, Fixed<T>, Recording<T>, Result<End<T>, Invalid>);

impl<T> Default for Recorder<T> {
    fn default() -> Recorder<T> {
        let (begun, lanes, ended) = (Vec::new(), Vec::new(), Vec::new());
        Recorder { begun, lanes, ended, keeps_steps: false, y: Vec::new(), k1: Vec::new() }
    }
}

impl<T: Element> Recorder<T> {
    fn begun(&self, run: usize) -> &Begun<T> {
        self.begun[run].as_ref().expect("a run in lanes has begun")
    }

    fn lane(&mut self, lane: usize) -> &mut Recording<T> {
        self.lanes[lane].as_mut().expect("a run is in the lane")
    }
}

impl<T: Element> Recording<T> {
    /// When the run is to be looked at next.
    fn next(&self) -> f64 {
        if self.recorded.is_some() {
            // In every step.
            return self.trace.t[0];
        }
        let (row, saved) = (self.rows.next_time(), self.saved.next_time());
        match saved.is_nan() || self.rows.comes_first(row, saved) {
            true => row,
            false => saved,
        }
    }
}

impl<T: Element, const B: usize> LaneObserver<T, LaneArgs<'_, T>, B> for Recorder<T> {
    fn start(&mut self, lane: usize, trip: &Trip<T, LaneArgs<'_, T>>, y: &[T]) -> f64 {
        let mut recording = self.begun(trip.number).recording();
        recording.rows.start(trip.span.0, y);
        recording.saved.start(trip.span.0, y);
        if let Some(recorded) = &mut recording.recorded {
            recorded.start(trip.span.0, y);
        }
        let next = recording.next();
        self.lanes[lane] = Some(recording);
        next
    }

    fn accepted(&mut self, steps: &Steps<'_, T, B>) {
        if !self.keeps_steps {
            return;
        }
        for lane in (0..B).filter(|lane| steps.accepted[*lane]) {
            let Some(Recording { trace, .. }) = &mut self.lanes[lane] else { continue };
            if trace.keep == Keep::Ends {
                continue;
            }
            self.y.clear();
            self.y.extend(steps.y_new.iter().map(|row| row[lane]));
            self.k1.clear();
            self.k1.extend(steps.k1.iter().map(|row| row[lane]));
            trace.push(steps.h[lane], &self.k1, steps.fresh[lane], steps.t_new[lane], &self.y);
        }
    }

    fn reached(&mut self, lane: usize, step: &Accepted<'_, T>) -> f64 {
        let recording = self.lane(lane);
        let keep = |observer: &mut dyn Observer<T>| match observer.accepted(step) {
            ControlFlow::Continue(()) => {}
            ControlFlow::Break(_) => crate::bug!("what is kept of a run does not end it"),
        };
        keep(&mut recording.rows);
        keep(&mut recording.saved);
        if let Some(recorded) = &mut recording.recorded {
            keep(recorded);
        }
        recording.next()
    }

    fn ended(&mut self, lane: usize, trip: Trip<T, LaneArgs<'_, T>>, end: Result<End<T>, Invalid>) {
        let mut recording = match &end {
            Ok(_) => self.lanes[lane].take().expect("a run that ended has begun"),
            Err(_) => self.begun(trip.number).recording(),
        };
        if let (Keep::Ends, Ok(end)) = (recording.trace.keep, &end)
            && end.t != recording.trace.t[0]
        {
            recording.trace.reach(end.t, &end.y);
        }
        self.ended.push((trip.number, trip.args.fixed, recording, end));
    }
}
