//! The forward pass of a block: each solve in turn, all lanes of it at once.

use crate::backend::{Output, Workspace};
use crate::ir::system::SiteKind;
use crate::plan::block::kept::Kept;
use crate::plan::block::kernels::RunLanes;
use crate::plan::block::operands::Block;
use crate::plan::block::trace::{LaneSolved, LaneStepTaken, LaneTrace, Visits};
use crate::plan::controls::Controls;
use crate::plan::lanes::{LaneKernels, Spreading};
use crate::plan::unit::{Element, Inputs, PlanError};
use crate::solve::dense::Accepted;
use crate::solve::lanes::{LaneObserver, LaneStep, Steps, Trip, integrate};
use crate::solve::outcome::{End, Invalid};
use crate::solve::solve::Options;
use crate::solve::tableau::Tableau;
use std::cell::RefCell;

/// How a solve of a block runs.
pub(crate) struct How<'a> {
    pub controls: &'a Controls,
    /// Whether its steps are kept for the way back.
    pub traces: bool,
    /// Whether runs leave when a quarter of the block has ended.
    pub breaks_up: bool,
}

/// Runs that have left their lanes, each with the lane.
pub(crate) type Left<T> = Vec<(usize, Trip<T, ()>)>;

impl<T: Element> Block<'_, T> {
    /// Calls a function of the run; its results are `[len, width]` each, end to end.
    pub fn call_run(
        &self,
        run: &RunLanes,
        known: &[LaneSolved<T>],
        results: &mut Vec<T>,
        workspace: &mut Workspace,
    ) {
        let width = self.width();
        results.resize(run.lens.iter().sum::<usize>() * width, T::default());
        let (mut outputs, mut rest): (Vec<Output<'_>>, _) = (Vec::new(), &mut results[..]);
        for len in &run.lens {
            let (own, others) = rest.split_at_mut(len * width);
            outputs.push(T::output(own));
            rest = others;
        }
        run.kernel.call(&self.run_inputs(&run.reads, known), &mut outputs, workspace);
    }

    /// Runs solve `number` from its start, with the solves `before` it, and keeps what it leaves in `own`. The
    /// runs that have left their lanes; `None` if one of the examples cannot be solved: alone, it says why.
    pub fn solve(
        &self,
        number: usize,
        before: &[LaneSolved<T>],
        own: &mut LaneSolved<T>,
        how: &How<'_>,
        workspace: &mut Workspace,
    ) -> Result<Option<Left<T>>, PlanError> {
        let (kernels, layout) = (self.plan.solve_lanes(number)?, self.plan.layout.system_of(number));
        let width = self.width();
        let LaneSolved { ends, a, y0, times, visits, .. } = own;
        ends.iter_mut().for_each(|end| end.resize(width, T::default()));
        y0.resize(layout.n * width, T::default());
        a.resize(layout.n_args * width, T::default());
        let [t0, t1] = ends;
        let mut outputs = [T::output(t0), T::output(t1), T::output(y0), T::output(a)];
        let inputs = self.run_inputs(&kernels.start.reads, before);
        kernels.start.kernel.call(&inputs, &mut outputs, workspace);
        if !self.site_times(number, before, (t0, t1), times, workspace)? {
            return Ok(None);
        }
        let mut stops = Vec::new();
        if kernels.stops.lens[0] > 0 {
            self.call_run(&kernels.stops, before, &mut stops, workspace);
        }
        let of_lane =
            |all: &[T], lane: usize| -> Vec<T> { all.iter().skip(lane).step_by(width).copied().collect() };
        let ends = |lane: usize| (t0[lane].to_f64(), t1[lane].to_f64());
        let trip = |lane: usize| {
            let mut trip = Trip::new(lane, ends(lane), of_lane(y0, lane), ());
            trip.stops = of_lane(&stops, lane).into_iter().map(T::to_f64).collect();
            trip
        };
        visits.start(times, width, ends);
        let trips = (0..width).map(trip).collect();
        self.drive(number, trips, width, own, how, workspace)
    }

    /// Goes on with runs of solve `number` that have left their lanes, as [`solve`](Block::solve) does; `own`
    /// knows what they bring along.
    pub fn go_on(
        &self,
        number: usize,
        mut trips: Vec<Trip<T, ()>>,
        own: &mut LaneSolved<T>,
        how: &How<'_>,
        workspace: &mut Workspace,
    ) -> Result<Option<Left<T>>, PlanError> {
        let (count, last) = (trips.len(), trips.last().expect("somebody goes on").clone());
        trips.resize(self.width(), last);
        self.drive(number, trips, count, own, how, workspace)
    }

    /// Takes `trips` through the block, one for each lane, of which the first `count` are meant.
    fn drive(
        &self,
        number: usize,
        trips: Vec<Trip<T, ()>>,
        count: usize,
        own: &mut LaneSolved<T>,
        how: &How<'_>,
        workspace: &mut Workspace,
    ) -> Result<Option<Left<T>>, PlanError> {
        match self.width() {
            8 => self.drive_lanes::<8>(number, trips, count, own, how, workspace),
            16 => self.drive_lanes::<16>(number, trips, count, own, how, workspace),
            width => crate::bug!("blocks of {width} lanes"),
        }
    }

    fn drive_lanes<const B: usize>(
        &self,
        number: usize,
        trips: Vec<Trip<T, ()>>,
        count: usize,
        own: &mut LaneSolved<T>,
        &How { controls, traces, breaks_up }: &How<'_>,
        workspace: &mut Workspace,
    ) -> Result<Option<Left<T>>, PlanError> {
        let LaneSolved { sites, a, y0, times, visits, trace, kept, evaluations, .. } = own;
        let (n, system) = (self.plan.layout.system_of(number).n, self.plan.layout.solves[number].system);
        let tableau = self.plan.tableau(number);
        let kernels = &*self.plan.lane_kernels(system, &self.plan.examples_apart())?;
        let keeping = if traces { self.plan.system_pulls(system)?.keeping.as_ref() } else { None };
        kept.get_mut().start(keeping.map_or(0, |keeping| keeping.len * B));
        let keeping = keeping.map(|keeping| (&keeping.step, &*kept));
        let mut motion = LaneMotion { block: *self, number, kernels, keeping, tableau, a, workspace };
        sites.resize(self.plan.layout.solves[number].rows * n * B, T::default());
        trace.start(trips.iter().map(|trip| trip.under_way.as_ref().map_or(trip.span.0, |on| on.t)), n);
        evaluations.clear();
        evaluations.resize(B, 0);
        let mut watching = Watching {
            trace: traces.then_some((&mut *trace, &*kept)),
            visits,
            times,
            sites,
            column: vec![T::default(); n],
            live: [true; B],
            finished: true,
            evaluations,
            breaks_up,
            count,
            left: Vec::new(),
        };
        let options: &Options = &controls.options[system];
        let done = integrate(&mut motion, tableau, options, trips, &mut watching);
        if done.is_err() || !watching.finished {
            return Ok(None);
        }
        let left = watching.left;
        trace.fill(y0);
        Ok(Some(left))
    }

    /// The time of every row of every site, `[width, rows]`; false if one lies outside the run.
    fn site_times(
        &self,
        number: usize,
        before: &[LaneSolved<T>],
        (t0, t1): (&[T], &[T]),
        times: &mut Vec<f64>,
        workspace: &mut Workspace,
    ) -> Result<bool, PlanError> {
        let kernels = self.plan.solve_lanes(number)?;
        let mut computed = Vec::new();
        if kernels.times.lens[0] > 0 {
            self.call_run(&kernels.times, before, &mut computed, workspace);
        }
        let sites = &self.plan.program.solves[number].sites;
        let site_rows = &self.plan.layout.solves[number].site_rows;
        times.clear();
        for lane in 0..self.width() {
            let mut own = computed.iter().skip(lane).step_by(self.width()).map(|time| time.to_f64());
            let (t0, t1) = (t0[lane].to_f64(), t1[lane].to_f64());
            for (site, rows) in sites.iter().zip(site_rows) {
                match site.kind {
                    SiteKind::Start => times.push(t0),
                    SiteKind::End => times.push(t1),
                    SiteKind::Times => times.extend(own.by_ref().take(*rows)),
                }
                let within = |time: &f64| (t0.min(t1)..=t0.max(t1)).contains(time);
                if !times[times.len() - rows..].iter().all(within) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// The compiled motion of one solve of a block, as the solver sees it.
struct LaneMotion<'a, T> {
    block: Block<'a, T>,
    number: usize,
    kernels: &'a LaneKernels,
    /// The step that keeps what its reverse needs, and where.
    keeping: Option<(&'a Spreading, &'a RefCell<Kept<T>>)>,
    tableau: &'static Tableau,
    /// The args, `[A, width]`.
    a: &'a [T],
    workspace: &'a mut Workspace,
}

impl<T: Element> LaneMotion<'_, T> {
    /// Calls a function of two times, states and more states.
    fn call(
        &mut self,
        Spreading { kernel, spreads }: &Spreading,
        times: [&[f64]; 2],
        states: [&[T]; 2],
        outputs: &mut [Output<'_>],
    ) {
        let [first, second] = times.map(|t| t.iter().map(|t| T::from_f64(*t)).collect::<Row<T>>());
        let mut inputs = Inputs::from_slice(&[T::input(&first), T::input(&second)]);
        inputs.extend(states.into_iter().filter(|states| !states.is_empty()).map(T::input));
        self.block.push_motion(&mut inputs, self.number, self.a, Some(spreads));
        kernel.call(&inputs, outputs, self.workspace);
    }
}

/// A number for each lane.
type Row<T> = smallvec::SmallVec<[T; 16]>;

impl<T: Element, const B: usize> LaneStep<T, B> for LaneMotion<'_, T> {
    /// A run is in the lane of its number, where its data are.
    type Args = ();

    fn dim(&self) -> usize {
        self.block.plan.layout.system_of(self.number).n
    }

    fn n_stages(&self) -> usize {
        self.tableau.n_stages()
    }

    fn load(&mut self, _: usize, (): &()) {}

    fn rate(&mut self, t: &[f64; B], inside: &[f64; B], y: &[[T; B]], dy: &mut [[T; B]]) {
        let (kernel, y) = (&self.kernels.rate, y.as_flattened());
        self.call(kernel, [t, inside], [y, &[]], &mut [T::output(dy.as_flattened_mut())]);
    }

    fn step(
        &mut self,
        t: &[f64; B],
        h: &[f64; B],
        y: &[[T; B]],
        stages: &mut [[T; B]],
        y_new: &mut [[T; B]],
        err: &mut [[T; B]],
    ) {
        let (k1, tail) = stages.split_at_mut(y.len());
        let states = [y.as_flattened(), k1.as_flattened()];
        let [tail, y_new, err] = [tail, y_new, err].map(|rows| T::output(rows.as_flattened_mut()));
        if let Some((step, kept)) = self.keeping
            && let Some(place) = kept.borrow_mut().place()
        {
            return self.call(step, [t, h], states, &mut [tail, y_new, err, T::output(place)]);
        }
        let step = self.kernels.step.as_ref().expect("the method is explicit");
        self.call(step, [t, h], states, &mut [tail, y_new, err]);
    }

    fn extend(&mut self, t: &[f64; B], h: &[f64; B], y: &[[T; B]], stages: &mut [[T; B]]) {
        let Some(kernel) = &self.kernels.extension else { return };
        let (known, extra) = stages.split_at_mut(self.tableau.n_stages() * y.len());
        let states = [y.as_flattened(), known.as_flattened()];
        self.call(kernel, [t, h], states, &mut [T::output(extra.as_flattened_mut())]);
    }
}

/// Keeps what a block leaves.
struct Watching<'a, T, const B: usize> {
    /// Lanes whose run is not over: the others stay where they are, by steps that nobody wants.
    live: [bool; B],
    /// The steps, and what they keep.
    trace: Option<(&'a mut LaneTrace<T>, &'a RefCell<Kept<T>>)>,
    visits: &'a mut Visits,
    /// `[width, rows]`
    times: &'a [f64],
    /// `[rows, n, width]`
    sites: &'a mut [T],
    /// Scratch, `[n]`.
    column: Vec<T>,
    finished: bool,
    evaluations: &'a mut [u64],
    /// See [`How::breaks_up`].
    breaks_up: bool,
    /// The lanes that are meant come first: how many they are.
    count: usize,
    left: Left<T>,
}

impl<T: Element, const B: usize> Watching<'_, T, B> {
    /// Saves the rows of `lane`, from the next one on, whose times are `reached`; the next time that
    /// is not.
    fn save(&mut self, lane: usize, reached: impl Fn(f64) -> bool, state: impl Fn(f64, &mut [T])) -> f64 {
        let n = self.column.len();
        let n_rows = self.times.len() / B;
        while let Some(row) = self.visits.ahead(lane).first().copied() {
            let time = self.times[lane * n_rows + row];
            if !reached(time) {
                return time;
            }
            state(time, &mut self.column);
            let entries = self.sites[row * n * B..][..n * B].iter_mut().skip(lane).step_by(B);
            entries.zip(&self.column).for_each(|(to, from)| *to = *from);
            self.visits.pass(lane);
        }
        f64::NAN
    }
}

impl<T: Element, const B: usize> LaneObserver<T, (), B> for Watching<'_, T, B> {
    fn start(&mut self, lane: usize, trip: &Trip<T, ()>, y: &[T]) -> f64 {
        self.save(lane, |time| time == trip.span.0, |_, out| out.copy_from_slice(y))
    }

    fn accepted(&mut self, steps: &Steps<'_, T, B>) {
        if let Some((trace, kept)) = &mut self.trace {
            let taken: [bool; B] = std::array::from_fn(|lane| steps.accepted[lane] && self.live[lane]);
            if !taken.contains(&true) {
                return;
            }
            trace.push(&LaneStepTaken {
                taken: &taken,
                t: steps.t,
                h: steps.h,
                t_new: steps.t_new,
                y: steps.y.as_flattened(),
                k1: steps.k1.as_flattened(),
                fresh: steps.fresh,
                attempt: kept.borrow_mut().take(),
            });
        }
    }

    fn reached(&mut self, lane: usize, step: &Accepted<'_, T>) -> f64 {
        self.save(lane, |time| step.covers(time), |time, out| step.at(time, out))
    }

    fn breaks_up(&self, live: &[bool; B]) -> bool {
        let n_live = live[..self.count].iter().filter(|live| **live).count();
        // Three blocks do then what four would.
        self.breaks_up && 4 * n_live <= 3 * B
    }

    fn left(&mut self, lane: usize, trip: Trip<T, ()>) {
        self.live[lane] = false;
        if lane < self.count {
            self.left.push((lane, trip));
        }
    }

    fn ended(&mut self, lane: usize, _: Trip<T, ()>, end: Result<End<T>, Invalid>) {
        self.live[lane] = false;
        match end {
            Ok(end) => {
                self.finished &= end.outcome.is_success();
                self.evaluations[lane] = end.stats.evaluations;
            }
            Err(_) => self.finished = false,
        }
    }
}
