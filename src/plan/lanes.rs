//! A compiled motion of many runs at once: the kernels, and the step that the blocks of
//! [`solve::lanes`](crate::solve::lanes) take.
//!
//! A motion takes times, states and args of each run in lanes. Params and data are in lanes where they
//! differ by run and the function reads them, else there is one for all.

use crate::backend::lanes::{LaneFunc, Spread};
use crate::backend::{Input, Output, Workspace};
use crate::ir::func::Func;
use crate::lower;
use crate::lower::chain::{Chain, Part};
use crate::opt;
use crate::plan::Plan;
use crate::plan::compiled::{Made, made};
use crate::plan::kernels::{Expansion, rate, step};
use crate::plan::motion;
use crate::plan::operands::Fixed;
use crate::plan::step as steps;
use crate::plan::unit::{Data, Element, Inputs, LaneKernel, PlanError, compile_lanes, compile_lowered};
use crate::solve::lanes::{LaneExpand, LaneStep, Rows};
use crate::solve::method::Kind;
use crate::solve::taylor::{Chosen, Goal, Takeoff};
use std::sync::OnceLock;

/// In what runs that share a block differ, beside their starts and args.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Apart {
    /// Whether each has params of its own.
    pub params: bool,
    /// By port of the data: whether each has its own.
    pub ports: Vec<bool>,
}

impl Apart {
    /// Runs that share params, and the data but for `ports`.
    pub fn sharing_params(ports: Vec<bool>) -> Apart {
        Apart { params: false, ports }
    }

    /// What `a, q, data..` are to the runs, for a function whose operands these are from `at` on. What
    /// it does not read is shared: nobody looks at it.
    pub(super) fn spreads(&self, func: &Func, at: usize) -> Vec<Spread> {
        let reads = func.reads(0..func.results.len());
        let own = [true, self.params].into_iter().chain(self.ports.iter().copied());
        let spread = |(operand, own): (usize, bool)| match own && reads[operand] {
            true => Spread::Lanes,
            false => Spread::Shared,
        };
        own.enumerate().map(|(operand, own)| spread((at + operand, own))).collect()
    }
}

/// A compiled function of a motion, and what `a, q, data..` are to it.
pub(crate) struct Spreading {
    pub kernel: LaneKernel,
    pub spreads: Vec<Spread>,
}

/// The compiled functions of the Taylor method.
struct Series {
    order: usize,
    expansion: Expansion<Spreading>,
    finish: Spreading,
}

/// The compiled functions of a motion for a block of runs.
pub struct LaneKernels {
    /// See [`Packed::rates`](crate::plan::pack::Packed::rates).
    pub(super) rate: Spreading,
    /// See [`steps::step`].
    pub(super) step: Option<Spreading>,
    /// See [`steps::extension`].
    pub(super) extension: Option<Spreading>,
    series: Option<Series>,
    /// Made when steps are fixed; `None` of a method that hands the last rate of a step to the next, and where it is
    /// not worth it.
    march: OnceLock<Made<Option<Marching>>>,
}

/// A compiled function that takes several steps.
struct Marching {
    function: Spreading,
    n_steps: usize,
}

/// Statements that a march has room for: with more, what is between the steps costs little.
const MARCHED: usize = 1024;

/// The most steps of a march.
const MOST_MARCHED: usize = 8;

impl LaneKernels {
    /// How many runs a block has.
    pub fn width(&self) -> usize {
        self.rate.kernel.width()
    }

    /// Whether a function takes an operand of `a, q, data..` of each run.
    fn reads_own(&self, operand: usize) -> bool {
        let series = self.series.iter().flat_map(|of| [of.expansion.inner(), &of.finish]);
        let all = [Some(&self.rate), self.step.as_ref(), self.extension.as_ref()];
        all.into_iter().flatten().chain(series).any(|one| one.spreads[operand] == Spread::Lanes)
    }
}

impl Plan {
    /// Whether runs of `system` can share a block: its method is one that blocks know, and nothing
    /// happens to one of them alone.
    pub fn has_lanes(&self, system: usize) -> bool {
        let of = &self.program.systems[system];
        let known = match self.methods[system].kind {
            Kind::Explicit(_) | Kind::Taylor { .. } => true,
            Kind::Stiff(_)
            | Kind::Multistep
            | Kind::Auto(_)
            | Kind::Symplectic(_)
            | Kind::Reversible(_)
            | Kind::Stochastic(_) => false,
        };
        known && of.events.is_empty() && of.noises.is_empty()
    }

    /// Compiles what `system` needs for blocks of runs that differ in `apart`.
    pub(super) fn make_lane_kernels(&self, system: usize, apart: &Apart) -> Result<LaneKernels, PlanError> {
        let rate = &self.funcs.packed.rates[system];
        let dtype = rate.ty(rate.params[0].value).dtype;
        // The first operands of each function are the run's own, times, states, stages, but for some that
        // the runs have in common.
        let with_common = |func: &Func, n_first: usize, n_common: usize| {
            let spreads = apart.spreads(func, n_first + n_common);
            let first = [vec![Spread::Lanes; n_first], vec![Spread::Shared; n_common]].concat();
            let inputs = [first, spreads.clone()].concat();
            let outputs = vec![Spread::Lanes; func.results.len()];
            let [kernel] = compile_lanes([(func, inputs, outputs)], dtype, self.backend())?;
            Ok::<_, PlanError>(Spreading { kernel, spreads })
        };
        let compiled = |func: &Func, n_first: usize| with_common(func, n_first, 0);
        let (mut step, mut extension, mut series) = (None, None, None);
        if let Some(tableau) = self.methods[system].tableau() {
            step = Some(compiled(self.funcs.step(system), 4)?);
            let func = steps::extension(rate, tableau).map(opt::optimise);
            extension = func.as_ref().map(|func| compiled(func, 4)).transpose()?;
        } else if let Kind::Taylor { order } = self.methods[system].kind {
            let expansion = Expansion::of(rate, order, self.layout.systems[system].n_states)?;
            let inner = match &expansion {
                Expansion::Series(func) => compiled(func, 3)?,
                Expansion::Leap(func, _) => with_common(func, 2, 1)?,
            };
            let finish = compiled(&motion::finish(rate, order), 4)?;
            series = Some(Series { order, expansion: expansion.with(inner), finish });
        }
        Ok(LaneKernels { rate: compiled(rate, 3)?, step, extension, series, march: OnceLock::new() })
    }

    /// Compiles the march of `system`, see [`LaneStep::march`], if it is worth it:
    /// `t: [k], inside: [k], h, y: [n], a, q, data.. -> rates: [k * n], y_new: [n]`
    fn make_march(&self, system: usize, apart: &Apart) -> Result<Option<Marching>, PlanError> {
        let Some(tableau) = self.methods[system].tableau().filter(|tableau| !tableau.fsal()) else {
            return Ok(None);
        };
        let (rate, step, dtype) =
            (&self.funcs.packed.rates[system], self.funcs.step(system), self.program.real);
        let target = self.backend().lane_target(dtype);
        let links = [lower::lower(rate, target)?, lower::lower(step, target)?];
        let n_steps = (MARCHED / (links[0].size() + links[1].size())).min(MOST_MARCHED);
        if n_steps < 2 {
            return Ok(None);
        }
        let (n, tail) =
            (self.layout.systems[system].n, (tableau.n_stages() - 1) * self.layout.systems[system].n);
        let mut chain = Chain::new("march");
        let [t, inside] = ["t", "inside"].map(|name| chain.input(name, dtype, n_steps));
        let (h, mut y) = (chain.input("h", dtype, 1), chain.input("y", dtype, n));
        let rest = rate.params[rate::A..].iter().map(|port| (&*port.name, rate.ty(port.value)));
        let rest: Vec<Part> = rest.map(|(name, ty)| chain.input(name, ty.dtype, ty.shape.count())).collect();
        let (rates, y_new) = (chain.output("rates", dtype, n_steps * n), chain.output("y_new", dtype, n));
        let [tail, err] = [("tail", tail), ("err", n)].map(|(name, len)| chain.local(name, dtype, len));
        for at in 0..n_steps {
            let (k1, end) = (chain.local("k1", dtype, n), chain.local("y", dtype, n));
            chain.call(&links[0], &[&[t.at(at), inside.at(at), y], rest.as_slice()].concat(), &[k1]);
            chain.copy(k1, rates.at(at * n), n);
            chain.call(&links[1], &[&[t.at(at), h, y, k1], rest.as_slice()].concat(), &[tail, end, err]);
            y = end;
        }
        chain.copy(y, y_new, n);
        let reads = [(rate, rate::A), (step, step::A)].map(|(func, at)| apart.spreads(func, at));
        let either = |(a, b): (&Spread, &Spread)| if *a == Spread::Lanes { *a } else { *b };
        let spreads: Vec<Spread> = reads[0].iter().zip(&reads[1]).map(either).collect();
        let inputs = [vec![Spread::Lanes; 4], spreads.clone()].concat();
        let content = (rate.content(), step.content(), n_steps, &inputs);
        let func =
            || LaneFunc { func: chain.finish(), inputs: inputs.clone(), outputs: vec![Spread::Lanes; 2] };
        let kernel = compile_lowered("march", content, func, dtype, self.backend())?;
        Ok(Some(Marching { function: Spreading { kernel, spreads }, n_steps }))
    }
}

/// The numbers that the motion of one run depends on.
#[derive(Clone, Debug)]
pub struct LaneArgs<'a, T> {
    /// Args and params.
    pub fixed: Fixed<T>,
    /// The data.
    pub data: &'a Data,
}

/// The compiled motion of a block of runs.
pub struct LaneMotion<'a, T, const B: usize> {
    kernels: &'a LaneKernels,
    n_stages: usize,
    dim: usize,
    /// By port of the data: whether a function takes that of each run.
    own: Vec<bool>,
    /// What the runs share.
    shared: LaneArgs<'a, T>,
    /// The args, `[A]`.
    a: Rows<T, B>,
    /// The params that the motion reads, `[Q]`; empty if the runs share them.
    q: Rows<T, B>,
    /// The data, in lanes at ports in which the runs differ.
    data: Data,
    /// See [`LaneStep::march`].
    march: Option<&'a Marching>,
    /// See [`Goal`]; of a method that leaps.
    goal: Vec<T>,
    workspace: Workspace,
}

impl<'a, T: Element, const B: usize> LaneMotion<'a, T, B> {
    /// The motion of runs of `system` with kernels for the way in which they differ. What they share is
    /// what `args`, those of any of them, has.
    pub fn new(plan: &Plan, system: usize, kernels: &'a LaneKernels, args: LaneArgs<'a, T>) -> Self {
        assert_eq!(kernels.width(), B, "lanes of a block");
        let n_ports = plan.program.data.len();
        let own: Vec<bool> = (0..n_ports).map(|port| kernels.reads_own(2 + port)).collect();
        let n_own_params = if kernels.reads_own(1) { args.fixed.q.len() } else { 0 };
        LaneMotion {
            kernels,
            n_stages: plan.methods[system].tableau().map_or(0, |tableau| tableau.n_stages()),
            dim: plan.layout.systems[system].n,
            a: Rows::new(args.fixed.a.len()),
            q: Rows::new(n_own_params),
            data: args.data.in_lanes(&own, B),
            own,
            shared: args,
            march: None,
            goal: Vec::new(),
            workspace: Workspace::default(),
        }
    }

    /// Gets ready to take fixed steps, of runs of `system` that differ in `apart`.
    pub fn marching(&mut self, plan: &Plan, system: usize, apart: &Apart) -> Result<(), PlanError> {
        self.march = made(&self.kernels.march, || plan.make_march(system, apart))?.as_ref();
        Ok(())
    }

    fn of_series(&self) -> &'a Series {
        match &self.kernels.series {
            Some(series) => series,
            None => crate::bug!("not a Taylor method"),
        }
    }

    /// Calls a function of the motion, whose operands are `first` and `a, q, data..`.
    #[inline(always)]
    fn call<const N: usize>(
        &mut self,
        function: &Spreading,
        first: [Input<'_>; N],
        outputs: &mut [Output<'_>],
    ) {
        let Spreading { kernel, spreads } = function;
        let LaneArgs { fixed, data } = &self.shared;
        let mut inputs = Inputs::new();
        // Put there in place: to copy what was just written takes longer.
        first.into_iter().for_each(|input| inputs.push(input));
        // Of all runs, and of each.
        let mut push = |spread: &Spread, one, each| {
            inputs.push(if *spread == Spread::Lanes { each } else { one });
        };
        push(&spreads[0], T::input(&fixed.a), T::input(self.a.as_flattened()));
        push(&spreads[1], T::input(&fixed.q), T::input(self.q.as_flattened()));
        for (spread, (one, each)) in spreads[2..].iter().zip(data.inputs().zip(self.data.inputs())) {
            push(spread, one, each);
        }
        kernel.call(&inputs, outputs, &mut self.workspace);
    }
}

impl<'a, T: Element, const B: usize> LaneStep<T, B> for LaneMotion<'a, T, B> {
    type Args = LaneArgs<'a, T>;

    #[inline(always)]
    fn widely<R>(work: impl FnOnce() -> R) -> R {
        crate::backend::wide::widely(work)
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn n_stages(&self) -> usize {
        self.n_stages
    }

    fn load(&mut self, lane: usize, args: &LaneArgs<'a, T>) {
        let Fixed { a, q } = &args.fixed;
        self.a.iter_mut().zip(a).for_each(|(row, a)| row[lane] = *a);
        self.q.iter_mut().zip(q).for_each(|(row, q)| row[lane] = *q);
        self.data.put_lane((lane, B), args.data, &self.own);
    }

    fn rate(&mut self, t: &[f64; B], inside: &[f64; B], y: &[[T; B]], dy: &mut [[T; B]]) {
        let (t, inside) = (t.map(T::from_f64), inside.map(T::from_f64));
        let first = [T::input(&t), T::input(&inside), T::input(y.as_flattened())];
        let kernels = self.kernels;
        self.call(&kernels.rate, first, &mut [T::output(dy.as_flattened_mut())]);
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
        let kernels = self.kernels;
        let Some(step) = &kernels.step else { crate::bug!("not an explicit method") };
        let (t, h) = (t.map(T::from_f64), h.map(T::from_f64));
        let (k1, tail) = stages.split_at_mut(y.len());
        let first = [T::input(&t), T::input(&h), T::input(y.as_flattened()), T::input(k1.as_flattened())];
        let mut outputs = [tail, y_new, err].map(|rows| T::output(rows.as_flattened_mut()));
        self.call(step, first, &mut outputs);
    }

    fn extend(&mut self, t: &[f64; B], h: &[f64; B], y: &[[T; B]], stages: &mut [[T; B]]) {
        let kernels = self.kernels;
        let Some(extension) = &kernels.extension else { return };
        let (t, h) = (t.map(T::from_f64), h.map(T::from_f64));
        let (known, extra) = stages.split_at_mut(self.n_stages * y.len());
        let first = [T::input(&t), T::input(&h), T::input(y.as_flattened()), T::input(known.as_flattened())];
        self.call(extension, first, &mut [T::output(extra.as_flattened_mut())]);
    }

    fn n_marched(&self) -> usize {
        self.march.map_or(0, |march| march.n_steps)
    }

    fn march(
        &mut self,
        t: &[[f64; B]],
        inside: &[[f64; B]],
        h: &[f64; B],
        y: &[[T; B]],
        rates: &mut [[T; B]],
        y_new: &mut [[T; B]],
    ) {
        let Some(march) = self.march else { crate::bug!("a march that is not compiled") };
        let times = [t.as_flattened(), inside.as_flattened(), h];
        let mut outputs = [rates, y_new].map(|rows| T::output(rows.as_flattened_mut()));
        if let [Some(t), Some(inside), Some(h)] = times.map(T::same) {
            let first = [t, inside, h, y.as_flattened()].map(T::input);
            return self.call(&march.function, first, &mut outputs);
        }
        let [t, inside, h] = times.map(|times| times.iter().map(|t| T::from_f64(*t)).collect::<Vec<T>>());
        let first = [&t, &inside, &h, y.as_flattened()].map(T::input);
        self.call(&march.function, first, &mut outputs);
    }
}

impl<'a, T: Element, const B: usize> LaneExpand<T, B> for LaneMotion<'a, T, B> {
    type Args = LaneArgs<'a, T>;

    #[inline(always)]
    fn widely<R>(work: impl FnOnce() -> R) -> R {
        crate::backend::wide::widely(work)
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn order(&self) -> usize {
        self.of_series().order
    }

    fn load(&mut self, lane: usize, args: &LaneArgs<'a, T>) {
        LaneStep::load(self, lane, args);
    }

    fn series(&mut self, t: &[f64; B], inside: &[f64; B], y: &[[T; B]], out: &mut [[T; B]]) {
        let (t, inside) = (t.map(T::from_f64), inside.map(T::from_f64));
        match &self.of_series().expansion {
            Expansion::Series(series) => {
                let first = [T::input(&t), T::input(&inside), T::input(y.as_flattened())];
                self.call(series, first, &mut [T::output(out.as_flattened_mut())]);
            }
            Expansion::Leap(..) => {
                // A leap that goes nowhere.
                let nothing = [T::default(); B];
                self.goal.resize(Goal::PACE + y.len(), T::default());
                let (mut y_new, mut err) = (y.to_vec(), y.to_vec());
                let (takeoff, mut chosen) = ([t, inside, nothing, nothing, nothing], [nothing; Chosen::LEN]);
                self.leap(&takeoff, y, out, &mut y_new, &mut err, &mut chosen);
            }
        }
    }

    fn aim(&mut self, goal: &Goal) -> bool {
        self.goal = goal.numbers.iter().map(|number| T::from_f64(*number)).collect();
        let expansion = &self.of_series().expansion;
        matches!(expansion, Expansion::Leap(_, n_counted) if *n_counted == goal.n_counted)
    }

    fn leap(
        &mut self,
        takeoff: &[[T; B]; Takeoff::LEN],
        y: &[[T; B]],
        series: &mut [[T; B]],
        y_new: &mut [[T; B]],
        err: &mut [[T; B]],
        chosen: &mut [[T; B]; Chosen::LEN],
    ) {
        let Expansion::Leap(leap, _) = &self.of_series().expansion else {
            crate::bug!("not a method that leaps")
        };
        let goal = std::mem::take(&mut self.goal);
        let first = [T::input(takeoff.as_flattened()), T::input(y.as_flattened()), T::input(&goal)];
        let mut outputs =
            [series, y_new, err, chosen.as_mut_slice()].map(|rows| T::output(rows.as_flattened_mut()));
        self.call(leap, first, &mut outputs);
        self.goal = goal;
    }

    fn finish(
        &mut self,
        t: &[f64; B],
        h: &[f64; B],
        y: &[[T; B]],
        series: &[[T; B]],
        y_new: &mut [[T; B]],
        err: &mut [[T; B]],
    ) {
        let (t, h) = (t.map(T::from_f64), h.map(T::from_f64));
        let rows = [y, series].map(|rows| T::input(rows.as_flattened()));
        let first = [T::input(&t), T::input(&h), rows[0], rows[1]];
        let mut outputs = [y_new, err].map(|rows| T::output(rows.as_flattened_mut()));
        self.call(&self.of_series().finish, first, &mut outputs);
    }
}
