//! The forward pass of a block: each solve in turn, all lanes of it at once.

use crate::backend::{Output, Workspace};
use crate::ir::system::SiteKind;
use crate::plan::block::kept::Kept;
use crate::plan::block::kernels::RunLanes;
use crate::plan::block::operands::Block;
use crate::plan::block::trace::{LaneSolved, LaneStepTaken, LaneTrace};
use crate::plan::controls::Controls;
use crate::plan::lanes::{LaneKernels, Spreading};
use crate::plan::unit::{Element, Inputs, PlanError};
use crate::solve::dense::Accepted;
use crate::solve::lanes::{LaneObserver, LaneStep, Steps, Trip, integrate};
use crate::solve::outcome::{End, Invalid};
use crate::solve::solve::Options;
use crate::solve::tableau::Tableau;
use std::cell::RefCell;

impl<T: Element> Block<'_, T> {
    /// Runs the solves in `needs`: ascending, with those that they need. Keeps their steps if `traces`
    /// says so. False if one of the examples cannot be solved: alone, it says why.
    pub fn run(
        &self,
        solves: &mut [LaneSolved<T>],
        needs: &[usize],
        controls: &Controls,
        traces: bool,
        workspace: &mut Workspace,
    ) -> Result<bool, PlanError> {
        solves.iter_mut().for_each(|solved| solved.evaluations.clear());
        for number in needs {
            let (before, own) = solves.split_at_mut(*number);
            let own = &mut own[0];
            let finished = match self.width() {
                8 => self.solve::<8>(*number, before, own, controls, traces, workspace)?,
                16 => self.solve::<16>(*number, before, own, controls, traces, workspace)?,
                width => crate::bug!("blocks of {width} lanes"),
            };
            if !finished {
                return Ok(false);
            }
        }
        Ok(true)
    }

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

    fn solve<const B: usize>(
        &self,
        number: usize,
        before: &[LaneSolved<T>],
        own: &mut LaneSolved<T>,
        controls: &Controls,
        traces: bool,
        workspace: &mut Workspace,
    ) -> Result<bool, PlanError> {
        let (kernels, layout) = (self.plan.solve_lanes(number)?, self.plan.layout.system_of(number));
        let system = self.plan.layout.solves[number].system;
        let LaneSolved { ends, sites, a, y0, times, trace, kept, evaluations } = own;
        ends.iter_mut().for_each(|end| end.resize(B, T::default()));
        y0.resize(layout.n * B, T::default());
        a.resize(layout.n_args * B, T::default());
        let [t0, t1] = ends;
        let mut outputs = [T::output(t0), T::output(t1), T::output(y0), T::output(a)];
        let inputs = self.run_inputs(&kernels.start.reads, before);
        kernels.start.kernel.call(&inputs, &mut outputs, workspace);
        if !self.site_times(number, before, (t0, t1), times, workspace)? {
            return Ok(false);
        }
        let mut stops = Vec::new();
        if kernels.stops.lens[0] > 0 {
            self.call_run(&kernels.stops, before, &mut stops, workspace);
        }
        let of_lane =
            |all: &[T], lane: usize| -> Vec<T> { all.iter().skip(lane).step_by(B).copied().collect() };
        let trip = |lane: usize| {
            let span = (t0[lane].to_f64(), t1[lane].to_f64());
            let mut trip = Trip::new(lane, span, of_lane(y0, lane), ());
            trip.stops = of_lane(&stops, lane).into_iter().map(T::to_f64).collect();
            trip
        };
        let tableau = self.plan.tableau(number);
        let kernels = &*self.plan.lane_kernels(system, &self.plan.examples_apart())?;
        let keeping = if traces { self.plan.system_pulls(system)?.keeping.as_ref() } else { None };
        kept.get_mut().start(keeping.map_or(0, |keeping| keeping.len * B));
        let keeping = keeping.map(|keeping| (&keeping.step, &*kept));
        let mut motion = LaneMotion { block: *self, number, kernels, keeping, tableau, a, workspace };
        sites.resize(self.plan.layout.solves[number].rows * layout.n * B, T::default());
        trace.start(t0.iter().map(|t0| t0.to_f64()), layout.n);
        evaluations.clear();
        evaluations.resize(B, 0);
        let mut watching = Watching {
            trace: traces.then_some((&mut *trace, &*kept)),
            visits: Visits::new(times, B, |lane| (t0[lane].to_f64(), t1[lane].to_f64())),
            times,
            sites,
            column: vec![T::default(); layout.n],
            live: [true; B],
            finished: true,
            evaluations,
        };
        let options: &Options = &controls.options[system];
        let trips = (0..B).map(trip);
        if integrate(&mut motion, tableau, options, trips, &mut watching).is_err() || !watching.finished {
            return Ok(false);
        }
        trace.fill(y0);
        Ok(true)
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

/// The rows of each lane in the order in which its run meets them.
struct Visits {
    /// `[width, rows]`
    order: Vec<usize>,
    /// How many lie behind each lane.
    passed: Vec<usize>,
    n_rows: usize,
}

impl Visits {
    fn new(times: &[f64], width: usize, ends: impl Fn(usize) -> (f64, f64)) -> Visits {
        let n_rows = times.len() / width;
        let mut order = Vec::with_capacity(times.len());
        for lane in 0..width {
            let (t0, t1) = ends(lane);
            let direction = if t1 >= t0 { 1.0 } else { -1.0 };
            let own = &times[lane * n_rows..][..n_rows];
            order.extend(0..n_rows);
            order[lane * n_rows..].sort_by(|a, b| (own[*a] * direction).total_cmp(&(own[*b] * direction)));
        }
        Visits { order, passed: vec![0; width], n_rows }
    }

    /// The next row of a lane.
    fn next(&self, lane: usize) -> Option<usize> {
        let own = &self.order[lane * self.n_rows..][..self.n_rows];
        own.get(self.passed[lane]).copied()
    }
}

/// Keeps what a block leaves.
struct Watching<'a, T, const B: usize> {
    /// Lanes whose run is not over: the others stay where they are, by steps that nobody wants.
    live: [bool; B],
    /// The steps, and what they keep.
    trace: Option<(&'a mut LaneTrace<T>, &'a RefCell<Kept<T>>)>,
    visits: Visits,
    /// `[width, rows]`
    times: &'a [f64],
    /// `[rows, n, width]`
    sites: &'a mut [T],
    /// Scratch, `[n]`.
    column: Vec<T>,
    finished: bool,
    evaluations: &'a mut [u64],
}

impl<T: Element, const B: usize> Watching<'_, T, B> {
    /// Saves the rows of `lane`, from the next one on, whose times are `reached`; the next time that
    /// is not.
    fn save(&mut self, lane: usize, reached: impl Fn(f64) -> bool, state: impl Fn(f64, &mut [T])) -> f64 {
        let n = self.column.len();
        while let Some(row) = self.visits.next(lane) {
            let time = self.times[lane * self.visits.n_rows + row];
            if !reached(time) {
                return time;
            }
            state(time, &mut self.column);
            let entries = self.sites[row * n * B..][..n * B].iter_mut().skip(lane).step_by(B);
            entries.zip(&self.column).for_each(|(to, from)| *to = *from);
            self.visits.passed[lane] += 1;
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
