//! The ends of many runs of a plan, where nothing else of them is wanted.
//!
//! What [`Plan::simulate_many`] does for the whole of each run: where the main run needs no other solve and
//! has no sites, there is nothing to keep on the way, and a run leaves its [`End`].

use crate::plan::Plan;
use crate::plan::controls::{Controls, Failure, Save};
use crate::plan::lanes::{Apart, LaneArgs};
use crate::plan::operands::Context;
use crate::plan::trace::Keep;
use crate::plan::unit::Element;
use crate::solve::dense::Accepted;
use crate::solve::lanes::{LaneObserver, Trip};
use crate::solve::outcome::{End, Invalid};
use std::cell::RefCell;

/// How a run ended; nothing of one that has not.
type Ended<T> = Option<Result<End<T>, Failure>>;

impl Plan {
    /// The main run, if it goes in lanes, and its end needs nothing but itself.
    pub fn sole_solve(&self) -> Option<usize> {
        let main = self.program.main?;
        let of = &self.layout.solves[main];
        (self.needed() == [main] && of.rows == 0 && self.has_lanes(of.system)).then_some(main)
    }

    /// The ends of solve `number`, a [`sole_solve`](Plan::sole_solve), of each of `runs`, which are of this
    /// plan and differ in no more than `apart`.
    pub fn ends_of_many<T: Element>(
        &self,
        number: usize,
        runs: &[Context<'_, T>],
        apart: &Apart,
        controls: &Controls,
    ) -> Vec<Result<End<T>, Failure>> {
        let system = self.layout.solves[number].system;
        let options = &controls.options[system];
        let known = vec![None; self.program.solves.len()];
        let ends: RefCell<Vec<Ended<T>>> = RefCell::new(runs.iter().map(|_| None).collect());
        let mut trips = runs.iter().enumerate().filter_map(|(at, run)| {
            match run.begin(number, &known, (&Save::Nothing, Keep::Ends)) {
                Ok(mut of) => {
                    let y0 = std::mem::take(&mut of.y0);
                    Some(run.trip(at, options, &mut of, y0))
                }
                Err(failure) => {
                    ends.borrow_mut()[at] = Some(Err(failure));
                    None
                }
            }
        });
        let ended = |trip: Trip<T, LaneArgs<'_, T>>, end: Result<End<T>, Invalid>| {
            let end = end.map_err(Failure::from).and_then(|end| match end.outcome.is_success() {
                true => Ok(end),
                false => Err(runs[trip.number].stuck(number, &known, &end, &trip.args.fixed)),
            });
            ends.borrow_mut()[trip.number] = Some(end);
        };
        let refused = self.integrate_lanes(system, apart, options, &mut trips, &mut Arrivals { ended });
        // Those that cannot even begin fail of that.
        trips.for_each(drop);
        let why_none = || match &refused {
            Err(failure) => Err(failure.clone()),
            Ok(()) => crate::bug!("a run that has begun ends"),
        };
        ends.into_inner().into_iter().map(|end| end.unwrap_or_else(why_none)).collect()
    }
}

/// Tells of ends.
struct Arrivals<F> {
    ended: F,
}

impl<T, F, const B: usize> LaneObserver<T, LaneArgs<'_, T>, B> for Arrivals<F>
where
    T: Element,
    F: FnMut(Trip<T, LaneArgs<'_, T>>, Result<End<T>, Invalid>),
{
    fn start(&mut self, _: usize, _: &Trip<T, LaneArgs<'_, T>>, _: &[T]) -> f64 {
        f64::NAN
    }

    fn reached(&mut self, _: usize, _: &Accepted<'_, T>) -> f64 {
        f64::NAN
    }

    fn ended(&mut self, _: usize, trip: Trip<T, LaneArgs<'_, T>>, end: Result<End<T>, Invalid>) {
        (self.ended)(trip, end);
    }
}
