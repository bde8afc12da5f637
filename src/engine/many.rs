//! The runs of a model with sweeps or an ensemble.
//!
//! Each point of the sweeps has a run for every member; a run is known by its number, the members
//! running fastest, then the sweep that stands last. Its bits depend on the program, the seed, the
//! point and the member alone: a member draws the same at every point, whatever runs beside it, on
//! however many threads. [`Run::map_runs`] hands out one run after the other and keeps none;
//! [`Run::solve_all`] gathers what comes of them as arrays.

use crate::diag::{Code, Diagnostic};
use crate::engine::accuracy::{OwnError, keep_worst};
use crate::engine::axes::Axes;
use crate::engine::blocks::{Kept, Left, Told};
use crate::engine::diagnostics::{Diagnostics, Error};
use crate::engine::run::{Run, RunParts};
use crate::engine::solution::{Solution, TrajectoryKind, solution};
use crate::ir::program::Role;
use crate::plan::unit::Element;
use crate::settings::Precision;
use crate::solve::outcome::Stats;
use std::collections::VecDeque;
use std::ops::{ControlFlow, Index, Range};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// Failures that [`Runs`] keeps.
const KEPT_FAILURES: usize = 100;

/// What came of all runs.
#[derive(Clone, Debug)]
pub struct Runs {
    /// The name and the values of each sweep.
    pub sweeps: Vec<(Arc<str>, Vec<f64>)>,
    /// Runs at each point of the sweeps.
    pub members: usize,
    /// What came of them, in the order of [`Solution::numbers`].
    pub arrays: Vec<Array>,
    /// The first runs that failed, by number; their entries of the arrays are NaN.
    pub failures: Vec<(usize, Error)>,
    /// How many failed.
    pub n_failed: usize,
    /// What the others cost together.
    pub stats: Stats,
    /// Of each channel, or state, that has no say in the step size the worst of all runs.
    pub own_errors: Vec<OwnError>,
}

/// A quantity of all runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its name: `lyapunov`, `x(end)`.
    pub name: Arc<str>,
    /// `[sweep.., member, ..]`: an axis for each sweep, one for the members, then its own.
    pub shape: Vec<usize>,
    /// Its entries, row-major.
    pub values: Vec<f64>,
}

impl Runs {
    /// The array of this name.
    pub fn get(&self, name: &str) -> Option<&Array> {
        self.arrays.iter().find(|array| &*array.name == name)
    }
}

impl Index<&str> for Runs {
    type Output = Array;

    /// Like [`Runs::get`]; panics if there is no such array.
    fn index(&self, name: &str) -> &Array {
        match self.get(name) {
            Some(array) => array,
            None => panic!("the runs have no `{name}`"),
        }
    }
}

/// A quantity of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunNumber {
    /// Its name: `lyapunov`, `x(end)`.
    pub name: Arc<str>,
    /// Its axis lengths; empty for a scalar.
    pub shape: Vec<usize>,
    /// Its entries, row-major.
    pub values: Vec<f64>,
}

impl Solution {
    /// What is said of a run in a few numbers: losses, likelihoods, metrics and outputs of the whole
    /// run, then states, channels and time-varying outputs where it ends.
    pub fn numbers(&self) -> Vec<RunNumber> {
        let values = self.values().iter().filter(|value| is_told(value.role));
        let values = values.map(|value| RunNumber {
            name: value.name.clone(),
            shape: value.shape.clone(),
            values: value.values.clone(),
        });
        let end = self.interval().1;
        let ends = self.trajectories().iter().filter(|one| one.kind() != TrajectoryKind::Drawn);
        let ends = ends.map(|trajectory| RunNumber {
            name: end_of(trajectory.name()),
            shape: trajectory.shape().to_vec(),
            values: trajectory.at(end).unwrap_or_default(),
        });
        values.chain(ends).collect()
    }
}

/// Whether a result of this role is among [`Solution::numbers`].
pub(super) fn is_told(role: Role) -> bool {
    match role {
        Role::Loss | Role::Likelihood | Role::Metric | Role::Output => true,
        Role::Prior | Role::Plot => false,
    }
}

fn end_of(name: &str) -> Arc<str> {
    format!("{name}(end)").into()
}

impl Run {
    /// Whether the model has sweeps or an ensemble, from the file or from outside.
    pub fn is_many(&self) -> bool {
        self.axes().is_some()
    }

    /// The name and the values of each sweep.
    pub fn sweeps(&self) -> Vec<(Arc<str>, Vec<f64>)> {
        let sweeps = self.axes().into_iter().flat_map(|axes| &axes.sweeps);
        sweeps.map(|sweep| (sweep.name.clone(), sweep.values.clone())).collect()
    }

    /// Name and shape of each of [`Solution::numbers`].
    pub fn quantities(&self) -> Vec<(Arc<str>, Vec<usize>)> {
        let program = self.program();
        let values = program.results.iter().filter(|value| is_told(value.role));
        let values = values.map(|value| (value.name.clone(), value.ty.shape.dims().to_vec()));
        let unknowns = program.main_system().into_iter();
        let unknowns = unknowns.flat_map(|system| system.states.iter().chain(&system.channels));
        let unknowns = unknowns.map(|unknown| (&unknown.name, &unknown.ty));
        let outputs = program.curves.iter().filter(|curve| curve.output);
        let ends = unknowns.chain(outputs.map(|curve| (&curve.name, &curve.ty)));
        let ends = ends.map(|(name, ty)| (end_of(name), ty.shape.dims().to_vec()));
        values.chain(ends).collect()
    }

    /// Runs at each point of the sweeps: the members of an ensemble, or `run.samples` if the model
    /// draws, else 1.
    pub fn n_members(&self) -> usize {
        self.axes().map_or(1, |axes| axes.members)
    }

    /// How many runs there are: the product of the numbers of values and of members.
    pub fn n_runs(&self) -> usize {
        self.axes().map_or(1, Axes::n_runs)
    }

    /// The value of each sweep in run `number`, and its member.
    pub fn place_of(&self, number: usize) -> (Vec<f64>, usize) {
        let place = self.axes().map(|axes| axes.place(number));
        place.map_or((Vec::new(), 0), |(point, member)| (point.into_vec(), member))
    }

    /// Solves run `number` alone, to the same bits as among all.
    ///
    /// # Panics
    /// If there is no such run; see [`Run::n_runs`].
    pub fn solve_run(&self, number: usize) -> Result<Solution, Error> {
        self.numbered(number)?.solve()
    }

    /// Solves the runs in `numbers`, on as many threads as `run.threads` says; `of` looks at each
    /// where it is solved, `visit` at what `of` says, in the order of the numbers, and may end it
    /// all. Of a solution nothing is saved on the way: it has its values, and every trajectory at
    /// any time.
    ///
    /// # Panics
    /// If there are no such runs.
    pub fn map_runs<R: Send>(
        &self,
        numbers: Range<usize>,
        of: impl Fn(usize, Result<Solution, Error>) -> R + Sync,
        visit: impl FnMut(usize, R) -> ControlFlow<()>,
    ) {
        self.map_runs_saved(numbers, false, of, visit);
    }

    /// [`Run::map_runs`], with what `solve.save` says.
    pub(crate) fn map_runs_saved<R: Send>(
        &self,
        numbers: Range<usize>,
        saved: bool,
        of: impl Fn(usize, Result<Solution, Error>) -> R + Sync,
        visit: impl FnMut(usize, R) -> ControlFlow<()>,
    ) {
        assert!(numbers.end <= self.n_runs(), "runs {numbers:?} of {}", self.n_runs());
        let kept = if saved { Kept::Saved } else { Kept::Path };
        match self.settings().run.precision {
            Precision::F64 => self.map_in::<f64, R>(numbers, kept, of, visit),
            Precision::F32 => self.map_in::<f32, R>(numbers, kept, of, visit),
        }
    }

    fn map_in<T: Element, R: Send>(
        &self,
        numbers: Range<usize>,
        kept: Kept,
        of: impl Fn(usize, Result<Solution, Error>) -> R + Sync,
        visit: impl FnMut(usize, R) -> ControlFlow<()>,
    ) {
        let look = |parts: &RunParts, number: usize, left: Result<Left<'_, T>, Error>| {
            let solved = |Left { p, data, simulation }: Left<'_, T>| {
                solution(&parts.plan, &Arc::new(data.clone()), p.to_vec(), simulation)
            };
            of(number, left.map(solved))
        };
        self.solve_many(numbers, kept, look, visit);
    }

    /// Solves all runs and gathers [`Solution::numbers`] of each. A run that fails leaves NaN.
    pub fn solve_all(&self) -> Runs {
        let mut failures: Vec<(usize, Error)> = Vec::new();
        let (mut n_failed, mut stats, mut own_errors) = (0, Stats::default(), Vec::new());
        let sweeps = self.sweeps();
        let axes: Vec<usize> =
            sweeps.iter().map(|(_, values)| values.len()).chain([self.n_members()]).collect();
        let empty = |(name, own): (Arc<str>, Vec<usize>)| {
            let shape: Vec<usize> = axes.iter().chain(&own).copied().collect();
            Array { name, values: vec![f64::NAN; shape.iter().product()], shape }
        };
        let quantities = self.quantities();
        let widths: Vec<usize> = quantities.iter().map(|(_, own)| own.iter().product()).collect();
        let mut arrays: Vec<Array> = quantities.into_iter().map(empty).collect();
        let width: usize = widths.iter().sum();
        let gather = |block: Range<usize>, told: Told| {
            if told.failures.len() < block.len() {
                stats = stats.plus(told.stats);
            }
            told.own_errors.into_iter().for_each(|(_, errors)| keep_worst(&mut own_errors, errors));
            n_failed += told.failures.len();
            let failed = told.failures.into_iter().map(|(at, error)| (block.start + at, error));
            failures.extend(failed.take(KEPT_FAILURES - failures.len()));
            let mut rest = told.numbers.as_slice();
            for number in block {
                for (array, width) in arrays.iter_mut().zip(&widths) {
                    let (own, behind) = rest.split_at(*width);
                    array.values[number * width..][..*width].copy_from_slice(own);
                    rest = behind;
                }
            }
        };
        match self.settings().run.precision {
            Precision::F64 => self.tell_many::<f64>(width, gather),
            Precision::F32 => self.tell_many::<f32>(width, gather),
        }
        Runs { sweeps, members: self.n_members(), arrays, failures, n_failed, stats, own_errors }
    }

    /// Refuses a model with sweeps or an ensemble where one run is meant.
    pub(crate) fn check_one_run(&self) -> Result<(), Error> {
        if !self.is_many() {
            return Ok(());
        }
        let message = "a model with a sweep or an ensemble is solved many times, not trained or scored";
        let diagnostic = Diagnostic::without_span(Code("E0810"), message).help(
            "leave the sweep or the ensemble away, or give the swept name one value: `--set name=value`",
        );
        Err(Error::Invalid(Diagnostics::new(vec![diagnostic], self.parts().sources.clone())))
    }
}

/// Computes `of` for each number on several threads, and shows what it gives in their order. No more
/// than `window` of them are under way or wait for an earlier one to be looked at, or than there are
/// threads. The calling thread only looks.
pub(crate) fn in_order<R: Send>(
    numbers: Range<usize>,
    window: usize,
    threads: usize,
    of: impl Fn(usize) -> R + Sync,
    mut visit: impl FnMut(usize, R) -> ControlFlow<()>,
) {
    let threads = threads.clamp(1, numbers.len().max(1));
    if threads == 1 {
        for number in numbers {
            if visit(number, of(number)).is_break() {
                return;
            }
        }
        return;
    }
    let line = Line {
        state: Mutex::new(Standing { next: numbers.start, found: VecDeque::new(), is_over: false }),
        changed: Condvar::new(),
    };
    let window = window.max(threads);
    let work = || {
        let _leaving = Leaving(&line);
        while let Some(number) = line.take(numbers.end, window) {
            line.put(number, of(number));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
        // However this ends, threads that wait for room are told.
        let _leaving = Leaving(&line);
        for number in numbers.clone() {
            let Some(result) = line.first() else { return };
            if visit(number, result).is_break() {
                line.end();
            }
        }
    });
}

/// What several threads have found that nobody has looked at.
struct Line<R> {
    state: Mutex<Standing<R>>,
    changed: Condvar,
}

struct Standing<R> {
    /// The number that nobody has taken yet.
    next: usize,
    /// Of the numbers before it that wait to be looked at; `None` where it is under way.
    found: VecDeque<Option<R>>,
    /// Nothing more is wanted.
    is_over: bool,
}

impl<R> Line<R> {
    fn lock(&self) -> MutexGuard<'_, Standing<R>> {
        self.state.lock().expect("no thread panics while it holds the line")
    }

    fn wait<'a>(&self, state: MutexGuard<'a, Standing<R>>) -> MutexGuard<'a, Standing<R>> {
        self.changed.wait(state).expect("no thread panics while it holds the line")
    }

    /// The next number below `end`, once fewer than `window` are under way or wait.
    fn take(&self, end: usize, window: usize) -> Option<usize> {
        let mut state = self.lock();
        while !state.is_over && state.found.len() >= window {
            state = self.wait(state);
        }
        if state.is_over || state.next == end {
            return None;
        }
        state.found.push_back(None);
        state.next += 1;
        Some(state.next - 1)
    }

    fn put(&self, number: usize, result: R) {
        let mut state = self.lock();
        if state.is_over {
            return;
        }
        let first = state.next - state.found.len();
        state.found[number - first] = Some(result);
        self.changed.notify_all();
    }

    /// The first of those that wait, once it is there; `None` if it never will be.
    fn first(&self) -> Option<R> {
        let mut state = self.lock();
        loop {
            if state.is_over {
                return None;
            }
            if let Some(Some(_)) = state.found.front() {
                self.changed.notify_all();
                return state.found.pop_front().flatten();
            }
            state = self.wait(state);
        }
    }

    fn end(&self) {
        let mut state = self.lock();
        state.is_over = true;
        state.found.clear();
        self.changed.notify_all();
    }
}

/// Ends the line if its thread panics, so that no other waits for it.
struct Leaving<'a, R>(&'a Line<R>);

impl<R> Drop for Leaving<'_, R> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::in_order;
    use std::ops::ControlFlow;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn results_come_in_order_and_no_more_are_under_way_than_may() {
        for (window, threads) in [(1, 1), (2, 2), (3, 2), (100, 3), (1, 4)] {
            let (begun, looked) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let of = |number: usize| {
                let ahead = begun.fetch_add(1, Ordering::SeqCst) + 1 - looked.load(Ordering::SeqCst);
                // The one that is being looked at is not counted as looked at yet.
                assert!(ahead <= window.max(threads) + 1, "{ahead} of {window}, {threads}");
                number * number
            };
            let mut found = Vec::new();
            in_order(3..40, window, threads, of, |number, square| {
                assert_eq!(square, number * number);
                looked.fetch_add(1, Ordering::SeqCst);
                found.push(number);
                ControlFlow::Continue(())
            });
            assert_eq!(found, (3..40).collect::<Vec<_>>());
        }
    }

    #[test]
    fn who_looks_may_end_it() {
        let mut found = Vec::new();
        in_order(
            0..1000,
            4,
            3,
            |number| number,
            |number, _| {
                found.push(number);
                if number == 7 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        );
        assert_eq!(found, (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn a_panic_on_a_thread_is_one_of_the_caller() {
        let caught = std::panic::catch_unwind(|| {
            let of = |number: usize| assert!(number != 5, "five");
            in_order(0..100, 2, 2, of, |_, ()| ControlFlow::Continue(()));
        });
        assert!(caught.is_err());
    }
}
