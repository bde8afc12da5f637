//! Where the runs of a block stand: their times, states and counters, and who waits for a lane.

use super::super::outcome::{End, Invalid, Outcome, Stats, Unsteered};
use super::super::problem::Real;
use super::super::stepper::{Carried, Leg, Stops};
use super::LaneObserver;
use super::rows::Rows;
use super::steering::Held;

/// A run that waits for a lane.
#[derive(Clone, Debug, PartialEq)]
pub struct Trip<T, A> {
    /// Which of the caller's runs it is.
    pub number: usize,
    /// Where it goes from and to.
    pub span: (f64, f64),
    /// The state at the start, `[dim]`.
    pub y0: Vec<T>,
    /// See [`Options::stops`](super::super::Options::stops).
    pub stops: Vec<f64>,
    /// See [`Options::resume`](super::super::Options::resume).
    pub resume: Option<Carried>,
    /// The numbers that its field depends on.
    pub args: A,
    /// Where it stands, if it has left a lane before its end.
    pub under_way: Option<Box<UnderWay<T>>>,
}

/// Where a run stands between two steps: all that it takes along from one lane to another.
#[derive(Clone, Debug, PartialEq)]
pub struct UnderWay<T> {
    /// When.
    pub t: f64,
    /// Its state, `[dim]`.
    pub y: Vec<T>,
    /// Times to land on, the next one last.
    stops: Stops,
    wanted: f64,
    stats: Stats,
    pub(super) course: Course<T>,
}

/// What an explicit method knows of a run between two steps.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Course<T> {
    /// The rate at the start of the next step, unless that is still to be evaluated, and whether it was
    /// evaluated there.
    pub k1: Vec<T>,
    pub needs_rate: bool,
    pub fresh: bool,
    pub control: Held,
}

impl<T, A> Trip<T, A> {
    /// From `y0` along `span`, without stops.
    pub fn new(number: usize, span: (f64, f64), y0: Vec<T>, args: A) -> Trip<T, A> {
        Trip { number, span, y0, stops: Vec::new(), resume: None, args, under_way: None }
    }
}

/// A run in its lane.
struct Seat<T, A> {
    trip: Trip<T, A>,
    /// Times to land on, the next one last; the first is the end.
    stops: Stops,
}

/// Where the runs of a block stand. A lane without a run goes on at a time that is its own target, by
/// steps of length zero from a state that was a run's, so that nothing in it grows.
pub(super) struct Block<T, A, const B: usize> {
    seats: [Option<Seat<T, A>>; B],
    max_steps: u64,
    /// At most as many as any run may try.
    attempts: u64,
    /// Whether a run is in the lane.
    pub live: [bool; B],
    pub t: [f64; B],
    pub target: [f64; B],
    /// 1 or -1.
    pub direction: [f64; B],
    /// Length of the whole run.
    pub length: [f64; B],
    /// When the run is to be looked at next; a NaN if never.
    pub wanted: [f64; B],
    /// `[dim]`
    pub y: Rows<T, B>,
    /// `[dim]`
    pub y_new: Rows<T, B>,
    pub t_new: [f64; B],
    /// Size of the step in hand, with its sign.
    pub h: [f64; B],
    pub count: Counters<B>,
}

/// What [`Stats`] count, of each lane.
pub(super) struct Counters<const B: usize> {
    pub accepted: [u64; B],
    pub rejected: [u64; B],
    pub non_finite: [u64; B],
    pub evaluations: [u64; B],
    pub first_step: [f64; B],
    pub next_step: [f64; B],
}

impl<T: Real, A, const B: usize> Block<T, A, B> {
    pub fn new(dim: usize, max_steps: u64) -> Self {
        Block {
            seats: std::array::from_fn(|_| None),
            max_steps,
            attempts: 0,
            live: [false; B],
            t: [0.0; B],
            target: [0.0; B],
            direction: [1.0; B],
            length: [1.0; B],
            wanted: [f64::NAN; B],
            y: Rows::new(dim),
            y_new: Rows::new(dim),
            t_new: [0.0; B],
            h: [0.0; B],
            count: Counters {
                accepted: [0; B],
                rejected: [0; B],
                non_finite: [0; B],
                evaluations: [0; B],
                first_step: [0.0; B],
                next_step: [0.0; B],
            },
        }
    }

    /// Puts runs that wait into free lanes; marks those lanes.
    pub fn fill(
        &mut self,
        runs: &mut impl Iterator<Item = Trip<T, A>>,
        observer: &mut impl LaneObserver<T, A, B>,
        mut load: impl FnMut(usize, &A),
    ) -> [bool; B] {
        let mut begins = [false; B];
        for lane in 0..B {
            while self.seats[lane].is_none() {
                let Some(trip) = runs.next() else { break };
                if let Err(invalid) = self.check(&trip) {
                    observer.ended(lane, trip, Err(invalid));
                    continue;
                }
                load(lane, &trip.args);
                self.seat(lane, trip);
                begins[lane] = true;
            }
        }
        begins
    }

    /// Gives lanes that never had a run the numbers of lane 0.
    pub fn furnish(&mut self, mut load: impl FnMut(usize, &A)) {
        let Some(first) = &self.seats[0] else { return };
        for lane in (1..B).filter(|lane| self.seats[*lane].is_none()) {
            load(lane, &first.trip.args);
            self.y.iter_mut().for_each(|row| row[lane] = row[0]);
            (self.t[lane], self.target[lane]) = (self.t[0], self.t[0]);
        }
    }

    fn check(&self, trip: &Trip<T, A>) -> Result<(), Invalid> {
        let (expected, found) = (self.y.len(), trip.y0.len());
        if found != expected {
            return Err(Invalid::Dimension { expected, found });
        }
        for (name, value) in [("the start", trip.span.0), ("the end", trip.span.1)] {
            if !value.is_finite() {
                return Err(Invalid::Time { name, value });
            }
        }
        Ok(())
    }

    fn seat(&mut self, lane: usize, trip: Trip<T, A>) {
        let (t0, t1) = trip.span;
        let (stops, t, y, wanted, stats) = match &trip.under_way {
            None => (Leg::stops(&trip.stops, trip.span), t0, &trip.y0, f64::NAN, Stats::default()),
            Some(on) => (on.stops.clone(), on.t, &on.y, on.wanted, on.stats),
        };
        (self.t[lane], self.wanted[lane], self.length[lane]) = (t, wanted, (t1 - t0).abs());
        self.direction[lane] = if t1 >= t0 { 1.0 } else { -1.0 };
        self.y.iter_mut().zip(y).for_each(|(row, y)| row[lane] = *y);
        self.seats[lane] = Some(Seat { trip, stops });
        self.live[lane] = true;
        // It may have tried some elsewhere.
        self.attempts = 0;
        self.aim(lane);
        let Counters { accepted, rejected, non_finite, evaluations, first_step, next_step } = &mut self.count;
        (accepted[lane], rejected[lane]) = (stats.accepted, stats.rejected);
        (non_finite[lane], evaluations[lane]) = (stats.non_finite, stats.evaluations);
        (first_step[lane], next_step[lane]) = (stats.first_step, stats.next_step);
    }

    /// Takes the run out of the lane, to go on in another.
    pub fn leave(&mut self, lane: usize, course: Course<T>) -> Trip<T, A> {
        let (t, y, wanted, stats) = (self.t[lane], self.state(lane), self.wanted[lane], self.stats(lane));
        let Seat { trip, stops } = self.clear(lane);
        Trip { under_way: Some(Box::new(UnderWay { t, y, stops, wanted, stats, course })), ..trip }
    }

    /// The run in the lane, which is free from then on.
    fn clear(&mut self, lane: usize) -> Seat<T, A> {
        self.live[lane] = false;
        (self.target[lane], self.t_new[lane], self.h[lane]) = (self.t[lane], self.t[lane], 0.0);
        self.wanted[lane] = f64::NAN;
        self.seats[lane].take().expect("a run is in the lane")
    }

    /// Sets the next time to land on.
    pub fn aim(&mut self, lane: usize) {
        let stops = &mut self.seats[lane].as_mut().expect("a run is in the lane").stops;
        while stops.len() > 1 && stops.last() == Some(&self.t[lane]) {
            stops.pop();
        }
        self.target[lane] = stops.last().copied().expect("the end of the run is never popped");
    }

    /// The run in the lane, as it waited.
    pub fn trip(&self, lane: usize) -> &Trip<T, A> {
        &self.seats[lane].as_ref().expect("a run is in the lane").trip
    }

    /// The road ahead of the run in the lane.
    pub fn leg(&self, lane: usize) -> Leg {
        Leg {
            target: self.target[lane],
            direction: self.direction[lane],
            length: self.length[lane],
            max_steps: self.max_steps,
        }
    }

    /// Whether the run in the lane has come to its end.
    pub fn is_over(&self, lane: usize) -> bool {
        self.t[lane] == self.trip(lane).span.1
    }

    /// Attempts have been made that nobody asked about.
    pub fn recount(&mut self) {
        self.attempts = 0;
    }

    /// Whether any run has tried as many steps as it may. Asked once before each attempt.
    #[inline(always)]
    pub fn any_is_spent(&mut self) -> bool {
        self.attempts -= u64::from(self.attempts > 0);
        self.attempts == 0 && self.count_attempts()
    }

    /// Finds out how many attempts there are before any run has tried as many steps as it may; whether there
    /// is none.
    #[cold]
    fn count_attempts(&mut self) -> bool {
        let Counters { accepted, rejected, .. } = &self.count;
        let most = (0..B).filter(|lane| self.live[*lane]).map(|lane| accepted[lane] + rejected[lane]).max();
        self.attempts = self.max_steps.saturating_sub(most.unwrap_or(0));
        self.attempts == 0
    }

    /// Times strictly inside the smooth pieces ahead.
    pub fn insides(&self) -> [f64; B] {
        self.insides_from(&self.t)
    }

    /// The same from `t` on.
    #[inline(always)]
    pub fn insides_from(&self, t: &[f64; B]) -> [f64; B] {
        let (target, mut insides) = (self.target, [0.0; B]);
        for lane in 0..B {
            insides[lane] = t[lane] + 0.5 * (target[lane] - t[lane]);
        }
        insides
    }

    /// Whether any of the steps accepted reaches a time wanted, and whether any lands.
    #[inline(always)]
    pub fn looks(&self, accepted: &[bool; B]) -> (bool, bool) {
        let (mut reaches, mut lands) = (false, false);
        for lane in 0..B {
            let left = (self.t_new[lane] - self.wanted[lane]) * self.direction[lane];
            reaches |= accepted[lane] & (left >= 0.0);
            lands |= accepted[lane] & (self.t_new[lane] == self.target[lane]);
        }
        (reaches, lands)
    }

    /// Moves the lanes whose steps were accepted to the ends of these.
    #[inline(always)]
    pub fn advance(&mut self, accepted: &[bool; B]) {
        if *accepted == self.live {
            // A lane without a run has made a step of length zero.
            std::mem::swap(&mut self.y, &mut self.y_new);
            self.t = self.t_new;
            return;
        }
        for (y, y_new) in self.y.iter_mut().zip(&self.y_new) {
            for lane in 0..B {
                y[lane] = if accepted[lane] { y_new[lane] } else { y[lane] };
            }
        }
        for lane in 0..B {
            self.t[lane] = if accepted[lane] { self.t_new[lane] } else { self.t[lane] };
        }
    }

    /// The column of a lane.
    pub fn state(&self, lane: usize) -> Vec<T> {
        column(&self.y, lane)
    }

    pub fn stats(&self, lane: usize) -> Stats {
        let Counters { accepted, rejected, non_finite, evaluations, first_step, next_step } = &self.count;
        Stats {
            accepted: accepted[lane],
            rejected: rejected[lane],
            non_finite: non_finite[lane],
            evaluations: evaluations[lane],
            first_step: first_step[lane],
            next_step: next_step[lane],
            ..Stats::default()
        }
    }

    /// Ends the run in the lane, which is free from then on.
    pub fn end(
        &mut self,
        lane: usize,
        outcome: Outcome,
        (carried, unsteered): (Option<Carried>, Vec<Unsteered>),
        observer: &mut impl LaneObserver<T, A, B>,
    ) {
        let end = End {
            t: self.t[lane],
            y: self.state(lane),
            outcome,
            stats: self.stats(lane),
            true_at_start: Vec::new(),
            unsteered,
            carried,
        };
        let seat = self.clear(lane);
        observer.ended(lane, seat.trip, Ok(end));
    }
}

/// The entries of one lane.
pub(super) fn column<T: Copy, const B: usize>(rows: &[[T; B]], lane: usize) -> Vec<T> {
    rows.iter().map(|row| row[lane]).collect()
}

/// `sum` and, for each lane, 0 if all its numbers in `rows` are finite; else not a number.
#[inline(always)]
pub(super) fn zeros<T: Real, const B: usize>(rows: &[[T; B]], mut sum: [f64; B]) -> [f64; B] {
    for row in rows {
        for lane in 0..B {
            sum[lane] += row[lane].to_f64() * 0.0;
        }
    }
    sum
}

/// A method at work on a block.
pub(super) trait Method<T: Real, A, const B: usize> {
    /// See [`LaneStep::widely`](super::LaneStep::widely).
    fn widely<R>(work: impl FnOnce() -> R) -> R;

    /// From now on the lane is of a run with `args`.
    fn load(&mut self, lane: usize, args: &A);

    /// Begins the runs in the lanes that `begins` marks. Whether a lane is free after that.
    fn start<O: LaneObserver<T, A, B>>(
        &mut self,
        begins: &[bool; B],
        block: &mut Block<T, A, B>,
        observer: &mut O,
    ) -> bool;

    /// Tries a step in every lane. Whether a lane is free after that.
    fn attempt<O: LaneObserver<T, A, B>>(&mut self, block: &mut Block<T, A, B>, observer: &mut O) -> bool;

    /// Takes the runs out of their lanes if `observer` says so.
    fn break_up<O: LaneObserver<T, A, B>>(&mut self, block: &mut Block<T, A, B>, observer: &mut O) {
        let _ = (block, observer);
    }
}

/// Takes all `runs` through the block.
pub(super) fn drive<T, A, M, O, const B: usize>(
    method: &mut M,
    mut block: Block<T, A, B>,
    mut runs: impl Iterator<Item = Trip<T, A>>,
    observer: &mut O,
) where
    T: Real,
    M: Method<T, A, B>,
    O: LaneObserver<T, A, B>,
{
    let mut begins = block.fill(&mut runs, observer, |lane, args| method.load(lane, args));
    block.furnish(|lane, args| method.load(lane, args));
    while block.live.contains(&true) {
        let free = begins.contains(&true) && method.start(&begins, &mut block, observer);
        if !free {
            M::widely(
                #[inline(always)]
                || while !method.attempt(&mut block, observer) {},
            );
        }
        begins = block.fill(&mut runs, observer, |lane, args| method.load(lane, args));
        if !begins.contains(&true) {
            method.break_up(&mut block, observer);
        }
    }
}
