//! The forward pass of many runs of a plan.
//!
//! What [`Context::simulate`] does for one, [`Plan::simulate_many`] does for many: where the method of
//! a system goes in lanes, runs advance a block at a time, else one after the other. Each leaves what it
//! leaves alone.

use crate::plan::Plan;
use crate::plan::controls::{Controls, Failure, Save};
use crate::plan::forward::{Begun, Recording, Simulation};
use crate::plan::lanes::{Apart, LaneArgs, LaneMotion};
use crate::plan::operands::Context;
use crate::plan::trace::Keep;
use crate::plan::unit::Element;
use crate::solve::dense::Accepted;
use crate::solve::lanes::{LaneObserver, Steps, Trip, integrate, integrate_series};
use crate::solve::method::Kind;
use crate::solve::outcome::{End, Invalid};
use crate::solve::record::Observer;
use crate::solve::solve::{Options, Stepping};
use std::cell::RefCell;
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

    /// A run begins when a lane is free for it, and is done with when it ends: so what belongs to it is at
    /// hand while it is worked on.
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
        let begun = runs.iter().map(|_| None).collect();
        let book = RefCell::new(Book { found, begun });
        let mut trips = runs.iter().enumerate().filter_map(|(at, run)| {
            let Book { found, begun } = &mut *book.borrow_mut();
            let Ok(simulation) = &found[at] else { return None };
            match run.begin(number, &simulation.solves, (save, keep)) {
                Ok(mut of) => {
                    let y0 = of.y0.clone();
                    let trip = run.trip(at, options, &mut of, y0);
                    begun[at] = Some(of);
                    Some(trip)
                }
                Err(failure) => {
                    found[at] = Err(failure);
                    None
                }
            }
        });
        let mut recorder = Recorder {
            runs,
            book: &book,
            number,
            is_main: self.program.main == Some(number),
            save,
            lanes: (0..crate::backend::lanes::width(T::DTYPE)).map(|_| None).collect(),
            keeps_steps: keep != Keep::Ends || *save == Save::Steps,
            y: Vec::new(),
            k1: Vec::new(),
        };
        let refused = self.integrate_lanes(system, apart, options, &mut trips, &mut recorder);
        if let Err(failure) = refused {
            // Those that cannot even begin fail of that.
            trips.for_each(drop);
            let Book { found, begun } = book.into_inner();
            for (found, _) in found.iter_mut().zip(&begun).filter(|(_, begun)| begun.is_some()) {
                *found = Err(failure.clone());
            }
        }
    }

    /// Takes all `trips` of `system` through blocks of lanes.
    pub(super) fn integrate_lanes<'a, T: Element, O>(
        &self,
        system: usize,
        apart: &Apart,
        options: &Options,
        trips: &mut impl Iterator<Item = Trip<T, LaneArgs<'a, T>>>,
        observer: &mut O,
    ) -> Result<(), Failure>
    where
        O: for<'b> LaneObserver<T, LaneArgs<'b, T>, 8> + for<'b> LaneObserver<T, LaneArgs<'b, T>, 16>,
    {
        match crate::backend::lanes::width(T::DTYPE) {
            8 => self.integrate_blocks::<T, O, 8>(system, apart, options, trips, observer),
            16 => self.integrate_blocks::<T, O, 16>(system, apart, options, trips, observer),
            width => crate::bug!("blocks of {width} lanes"),
        }
    }

    fn integrate_blocks<'a, T: Element, O, const B: usize>(
        &self,
        system: usize,
        apart: &Apart,
        options: &Options,
        trips: &mut impl Iterator<Item = Trip<T, LaneArgs<'a, T>>>,
        observer: &mut O,
    ) -> Result<(), Failure>
    where
        O: for<'b> LaneObserver<T, LaneArgs<'b, T>, B>,
    {
        #[allow(clippy::map_identity, reason = "kernels do not live as long as what the runs refer to")]
        let mut trips = trips.map(|trip| -> Trip<T, LaneArgs<'_, T>> { trip }).peekable();
        let Some(first) = trips.peek() else { return Ok(()) };
        let kernels = self.lane_kernels(system, apart)?;
        let mut motion = LaneMotion::<T, B>::new(self, system, &kernels, first.args.clone());
        if let Stepping::Fixed { .. } = options.stepping {
            motion.marching(self, system, apart)?;
        }
        match self.methods[system].kind {
            Kind::Explicit(tableau) => integrate(&mut motion, tableau, options, trips, observer)?,
            Kind::Taylor { .. } => integrate_series(&mut motion, options, trips, observer)?,
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

impl<'a, T: Element> Context<'a, T> {
    /// Run number `at` on its way from `y0`, which takes what its motion depends on.
    pub(super) fn trip(
        &self,
        at: usize,
        options: &Options,
        of: &mut Begun<T>,
        y0: Vec<T>,
    ) -> Trip<T, LaneArgs<'a, T>> {
        let fixed = std::mem::take(&mut of.fixed);
        let mut trip = Trip::new(at, of.ends, y0, LaneArgs { fixed, data: self.data });
        trip.stops.extend(&options.stops);
        trip.stops.extend(of.stops.iter().map(|stop| stop.to_f64()));
        trip.resume = of.resume;
        trip
    }
}

/// What is known of the runs.
struct Book<'f, T> {
    found: &'f mut [Found<T>],
    /// What is known of a run before its first step, while it is under way.
    begun: Vec<Option<Begun<T>>>,
}

/// Keeps what comes of the runs of a block.
struct Recorder<'r, 'f, T> {
    runs: &'r [Context<'r, T>],
    book: &'r RefCell<Book<'f, T>>,
    /// Of which solve they are.
    number: usize,
    is_main: bool,
    save: &'r Save,
    /// By lane.
    lanes: Vec<Option<Recording<T>>>,
    /// Whether more than start and end are kept of any.
    keeps_steps: bool,
    y: Vec<T>,
    k1: Vec<T>,
}

impl<T: Element> Recorder<'_, '_, T> {
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

impl<T: Element, const B: usize> LaneObserver<T, LaneArgs<'_, T>, B> for Recorder<'_, '_, T> {
    fn start(&mut self, lane: usize, trip: &Trip<T, LaneArgs<'_, T>>, y: &[T]) -> f64 {
        let book = self.book.borrow();
        let mut recording = book.begun[trip.number].as_ref().expect("a run in a lane has begun").recording();
        recording.rows.start(trip.span.0, y);
        recording.saved.start(trip.span.0, y);
        if let Some(recorded) = &mut recording.recorded {
            recorded.start(trip.span.0, y);
        }
        let next = recording.next();
        self.lanes[lane] = Some(recording);
        next
    }

    fn sees_steps(&self) -> bool {
        self.keeps_steps
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
        let at = trip.number;
        let Book { found, begun } = &mut *self.book.borrow_mut();
        let begun = begun[at].take().expect("a run that ends has begun");
        let finished = end.map_err(Failure::from).and_then(|end| {
            let mut recording = self.lanes[lane].take().expect("a run that ended has been recorded");
            if recording.trace.keep == Keep::Ends && end.t != recording.trace.t[0] {
                recording.trace.reach(end.t, &end.y);
            }
            let known = found[at].as_ref().map(|simulation| simulation.solves.as_slice());
            let known = known.unwrap_or_default();
            let begun = Begun { fixed: trip.args.fixed, ..begun };
            self.runs[at].finish(self.number, known, (begun, Vec::new()), recording, end, self.save)
        });
        match (finished, &mut found[at]) {
            (Ok(finished), Ok(simulation)) => simulation.take(self.number, self.is_main, finished),
            (Ok(_), Err(_)) => crate::bug!("a run that failed goes on"),
            (Err(failure), found) => *found = Err(failure),
        }
    }
}
