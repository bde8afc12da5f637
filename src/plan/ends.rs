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

impl Plan {
    /// The main run, if it goes in lanes, and its end needs nothing but itself.
    pub fn sole_solve(&self) -> Option<usize> {
        let main = self.program.main?;
        let of = &self.layout.solves[main];
        (self.needed() == [main] && of.rows == 0 && self.has_lanes(of.system)).then_some(main)
    }

    /// Tells `take` the end of solve `number`, a [`sole_solve`](Plan::sole_solve), of each of `runs`, which
    /// are of this plan and differ in no more than `apart`: as they end, each by its place among them.
    pub fn ends_of_many<T: Element>(
        &self,
        number: usize,
        runs: &[Context<'_, T>],
        apart: &Apart,
        controls: &Controls,
        take: impl FnMut(usize, Result<&End<T>, Failure>),
    ) {
        let system = self.layout.solves[number].system;
        let options = &controls.options[system];
        let known = vec![None; self.program.solves.len()];
        let teller = RefCell::new((take, vec![false; runs.len()]));
        let tell = |at: usize, end: Result<&End<T>, Failure>| {
            let (take, told) = &mut *teller.borrow_mut();
            told[at] = true;
            take(at, end);
        };
        let mut trips = runs.iter().enumerate().filter_map(|(at, run)| {
            match run.begin(number, &known, (&Save::Nothing, Keep::Ends)) {
                Ok(mut of) => {
                    let y0 = std::mem::take(&mut of.y0);
                    Some(run.trip(at, options, &mut of, y0))
                }
                Err(failure) => {
                    tell(at, Err(failure));
                    None
                }
            }
        });
        let ended = |trip: &Trip<T, LaneArgs<'_, T>>, end: Result<&End<T>, Invalid>| {
            let end = end.map_err(Failure::from).and_then(|end| match end.outcome.is_success() {
                true => Ok(end),
                false => Err(runs[trip.number].stuck(number, &known, end, &trip.args.fixed)),
            });
            tell(trip.number, end);
        };
        let refused = self.integrate_lanes(system, apart, options, &mut trips, &mut Arrivals { ended });
        if let Err(failure) = refused {
            // Those that cannot even begin fail of that.
            trips.for_each(drop);
            let untold: Vec<usize> = (0..runs.len()).filter(|at| !teller.borrow().1[*at]).collect();
            untold.into_iter().for_each(|at| tell(at, Err(failure.clone())));
        }
    }
}

/// Tells of ends.
struct Arrivals<F> {
    ended: F,
}

impl<T, F, const B: usize> LaneObserver<T, LaneArgs<'_, T>, B> for Arrivals<F>
where
    T: Element,
    F: FnMut(&Trip<T, LaneArgs<'_, T>>, Result<&End<T>, Invalid>),
{
    fn sees_steps(&self) -> bool {
        false
    }

    fn start(&mut self, _: usize, _: &Trip<T, LaneArgs<'_, T>>, _: &[T]) -> f64 {
        f64::NAN
    }

    fn reached(&mut self, _: usize, _: &Accepted<'_, T>) -> f64 {
        f64::NAN
    }

    fn ended(&mut self, _: usize, trip: Trip<T, LaneArgs<'_, T>>, end: Result<End<T>, Invalid>) {
        match &end {
            Ok(end) => (self.ended)(&trip, Ok(end)),
            Err(invalid) => (self.ended)(&trip, Err(*invalid)),
        }
    }
}
