//! A compiled motion as the solver sees it, and what is kept of a solve.

use crate::backend::Workspace;
use crate::ir::system::{self, UnknownKind};
use crate::plan::derivatives::Derivatives;
use crate::plan::halves::Halves;
use crate::plan::kernels::{Expansion, Moves, SystemKernels};
use crate::plan::operands::{Context, Fixed};
use crate::plan::trace::{Trace, TracedJump};
use crate::plan::unit::{Element, Inputs, Kernel};
use crate::solve::dense::{Accepted, Interior};
use crate::solve::event::{Condition, Effect, Events, Jump, Trigger};
use crate::solve::implicit::{Implicit, Mass, Sparsity};
use crate::solve::method::{Kind, Method};
use crate::solve::problem::{Rates, Step};
use crate::solve::record::{Observer, Recorded};
use crate::solve::sde::Stochastic;
use crate::solve::symplectic::Separable;
use crate::solve::taylor::{Chosen, Expand, Goal, Takeoff};
use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;

/// The compiled motion of one solve.
pub(crate) struct Motion<'a, T> {
    context: &'a Context<'a, T>,
    solve: usize,
    kernels: &'a SystemKernels,
    /// The operands `a, q, data..`.
    rest: Inputs<'a>,
    /// Whether the rate was asked for since it was last looked at.
    fresh: &'a Cell<bool>,
    workspace: Workspace,
    /// See [`Goal`]; of a method that leaps.
    goal: Vec<T>,
    /// Where the solve began: the mass matrix is that of the start.
    start: (f64, Vec<T>),
}

impl<'a, T: Element> Motion<'a, T> {
    /// The motion of `solve`, which begins at `start`.
    pub fn new(
        context: &'a Context<'a, T>,
        solve: usize,
        fixed: &'a Fixed<T>,
        fresh: &'a Cell<bool>,
        start: (f64, Vec<T>),
    ) -> Motion<'a, T> {
        let kernels = &context.plan.systems[context.plan.layout.solves[solve].system];
        let mut rest = Inputs::new();
        context.push_motion(&mut rest, fixed);
        Motion {
            context,
            solve,
            kernels,
            rest,
            fresh,
            workspace: Workspace::default(),
            goal: Vec::new(),
            start,
        }
    }

    pub fn method(&self) -> &'a Method {
        self.context.plan.method(self.solve)
    }

    fn system(&self) -> &'a system::System {
        self.context.plan.system_of(self.solve)
    }

    fn layout(&self) -> &'a crate::plan::layout::SystemLayout {
        self.context.plan.layout.system_of(self.solve)
    }

    /// Calls a function of *now* with one result.
    fn call(&mut self, kernel: &Kernel, t: f64, inside: f64, y: &[T], out: &mut [T]) {
        let (t, inside) = ([T::from_f64(t)], [T::from_f64(inside)]);
        let now = [T::input(&t), T::input(&inside), T::input(y)];
        kernel.call_in_parts(&now, &self.rest, &mut [T::output(out)], &mut self.workspace);
    }

    fn stages_of_table(&self) -> usize {
        match self.method().kind {
            Kind::Explicit(tableau) | Kind::Auto(tableau) => tableau.n_stages(),
            Kind::Stiff(_)
            | Kind::Multistep
            | Kind::Taylor { .. }
            | Kind::Symplectic(_)
            | Kind::Reversible(_)
            | Kind::Stochastic(_) => crate::bug!("not a method with a table"),
        }
    }

    fn halves(&self) -> &'a Halves {
        match &self.kernels.moves {
            Moves::Symplectic(halves) => halves,
            Moves::Explicit { .. }
            | Moves::Stiff(_)
            | Moves::Auto { .. }
            | Moves::Taylor { .. }
            | Moves::Multistep
            | Moves::Stochastic { .. } => crate::bug!("not a symplectic method"),
        }
    }

    fn derivatives(&self) -> &'a Derivatives {
        match &self.kernels.moves {
            Moves::Stiff(derivatives) | Moves::Auto { derivatives, .. } => derivatives,
            Moves::Explicit { .. }
            | Moves::Taylor { .. }
            | Moves::Multistep
            | Moves::Symplectic(_)
            | Moves::Stochastic { .. } => crate::bug!("not an implicit method"),
        }
    }
}

impl<T: Element> Step<T> for Motion<'_, T> {
    fn dim(&self) -> usize {
        self.layout().n
    }

    fn n_stages(&self) -> usize {
        self.stages_of_table()
    }

    fn rate(&mut self, t: f64, inside: f64, y: &[T], dy: &mut [T]) {
        self.fresh.set(true);
        self.call(&self.kernels.rate, t, inside, y, dy);
    }

    fn step(&mut self, t: f64, h: f64, y: &[T], stages: &mut [T], y_new: &mut [T], err: &mut [T]) {
        let step = match &self.kernels.moves {
            Moves::Explicit { step, .. } | Moves::Auto { step, .. } => step,
            Moves::Stiff(_)
            | Moves::Taylor { .. }
            | Moves::Multistep
            | Moves::Symplectic(_)
            | Moves::Stochastic { .. } => crate::bug!("not an explicit method"),
        };
        let (t, h) = ([T::from_f64(t)], [T::from_f64(h)]);
        let (k1, tail) = stages.split_at_mut(y.len());
        let now = [T::input(&t), T::input(&h), T::input(y), T::input(k1)];
        let mut outputs = [T::output(tail), T::output(y_new), T::output(err)];
        step.call_in_parts(&now, &self.rest, &mut outputs, &mut self.workspace);
    }

    fn extend(&mut self, t: f64, h: f64, y: &[T], stages: &mut [T]) {
        let Moves::Explicit { extension: Some(extension), .. } = &self.kernels.moves else { return };
        let (t, h) = ([T::from_f64(t)], [T::from_f64(h)]);
        let (known, extra) = stages.split_at_mut(self.n_stages() * y.len());
        let now = [T::input(&t), T::input(&h), T::input(y), T::input(known)];
        extension.call_in_parts(&now, &self.rest, &mut [T::output(extra)], &mut self.workspace);
    }
}

impl<T: Element> Implicit<T> for Motion<'_, T> {
    fn dim(&self) -> usize {
        self.layout().n
    }

    fn n_states(&self) -> usize {
        self.layout().n_states
    }

    fn rate(&mut self, t: f64, inside: f64, y: &[T], dy: &mut [T]) {
        self.call(&self.kernels.rate, t, inside, y, dy);
    }

    fn sparsity(&self) -> Option<Arc<Sparsity>> {
        Some(self.derivatives().sparse.as_ref()?.sparsity.clone())
    }

    fn jacobian(&mut self, t: f64, inside: f64, y: &[T], out: &mut [T]) {
        let derivatives = self.derivatives();
        self.call(&derivatives.jacobian, t, inside, y, out);
    }

    fn channel_slopes(&mut self, t: f64, inside: f64, y: &[T], v: &[T], out: &mut [T]) {
        let derivatives = self.derivatives();
        let Some(kernel) = derivatives.sparse.as_ref().and_then(|sparse| sparse.channels.as_ref()) else {
            crate::bug!("slopes of channels that there are none of")
        };
        let (t, inside) = ([T::from_f64(t)], [T::from_f64(inside)]);
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&inside), T::input(y)]);
        inputs.extend_from_slice(&self.rest);
        inputs.push(T::input(v));
        kernel.call(&inputs, &mut [T::output(out)], &mut self.workspace);
    }

    fn time_slope(&mut self, t: f64, inside: f64, y: &[T], out: &mut [T]) {
        let derivatives = self.derivatives();
        self.call(&derivatives.time_slope, t, inside, y, out);
    }

    fn mass(&mut self) -> Mass {
        let n = self.layout().n_states;
        if let Some(kernel) = &self.kernels.motion.mass {
            let mut mass = vec![T::default(); n * n];
            let (t, y) = self.start.clone();
            self.call(kernel, t, t, &y, &mut mass);
            let mass: Vec<f64> = mass.into_iter().map(T::to_f64).collect();
            return Mass::new(n, &mass);
        }
        let system = self.system();
        let entries = system.states.iter().chain(&system.modes).flat_map(|state| {
            let own = match state.kind {
                UnknownKind::Rate | UnknownKind::Discrete => 1.0,
                UnknownKind::Algebraic => 0.0,
            };
            std::iter::repeat_n(own, state.ty.shape.count())
        });
        Mass::diagonal(entries.collect())
    }
}

impl<T: Element> Rates<T> for Motion<'_, T> {
    fn dim(&self) -> usize {
        self.layout().n
    }

    fn rate(&mut self, t: f64, inside: f64, y: &[T], dy: &mut [T]) {
        self.call(&self.kernels.rate, t, inside, y, dy);
    }
}

impl<T: Element> Expand<T> for Motion<'_, T> {
    fn dim(&self) -> usize {
        self.layout().n
    }

    fn order(&self) -> usize {
        let Moves::Taylor { order, .. } = &self.kernels.moves else { crate::bug!("not a Taylor method") };
        *order
    }

    fn series(&mut self, t: f64, inside: f64, y: &[T], out: &mut [T]) {
        let Moves::Taylor { expansion, .. } = &self.kernels.moves else { crate::bug!("not a Taylor method") };
        match expansion {
            Expansion::Series(series) => self.call(series, t, inside, y, out),
            Expansion::Leap(..) => {
                // A leap that goes nowhere.
                let takeoff = Takeoff { t, inside, ahead: 0.0, most: 0.0, least: 0.0 };
                self.goal.resize(Goal::PACE + y.len(), T::default());
                let (mut y_new, mut err) = (vec![T::default(); y.len()], vec![T::default(); y.len()]);
                self.leap(&takeoff, y, out, &mut y_new, &mut err);
            }
        }
    }

    fn aim(&mut self, goal: &Goal) -> bool {
        let Moves::Taylor { expansion, .. } = &self.kernels.moves else { crate::bug!("not a Taylor method") };
        self.goal = goal.numbers.iter().map(|number| T::from_f64(*number)).collect();
        matches!(expansion, Expansion::Leap(_, n_counted) if *n_counted == goal.n_counted)
    }

    fn leap(
        &mut self,
        takeoff: &Takeoff,
        y: &[T],
        series: &mut [T],
        y_new: &mut [T],
        err: &mut [T],
    ) -> Chosen {
        let Moves::Taylor { expansion: Expansion::Leap(leap, _), .. } = &self.kernels.moves else {
            crate::bug!("not a method that leaps")
        };
        let (takeoff, mut chosen) = (takeoff.numbers().map(T::from_f64), [T::default(); Chosen::LEN]);
        let now = [T::input(&takeoff), T::input(y), T::input(&self.goal)];
        let mut outputs = [T::output(series), T::output(y_new), T::output(err), T::output(&mut chosen)];
        leap.call_in_parts(&now, &self.rest, &mut outputs, &mut self.workspace);
        let [h, size, square] = chosen.map(T::to_f64);
        Chosen { h, size, square }
    }

    fn finish(&mut self, t: f64, h: f64, y: &[T], series: &[T], y_new: &mut [T], err: &mut [T]) {
        let Moves::Taylor { finish, .. } = &self.kernels.moves else { crate::bug!("not a Taylor method") };
        let (t, h) = ([T::from_f64(t)], [T::from_f64(h)]);
        let now = [T::input(&t), T::input(&h), T::input(y), T::input(series)];
        let mut outputs = [T::output(y_new), T::output(err)];
        finish.call_in_parts(&now, &self.rest, &mut outputs, &mut self.workspace);
    }
}

impl<T: Element> Separable<T> for Motion<'_, T> {
    fn dim(&self) -> usize {
        self.layout().n
    }

    fn positions(&self) -> &[usize] {
        &self.halves().positions
    }

    fn momenta(&self) -> &[usize] {
        &self.halves().momenta
    }

    fn rate(&mut self, t: f64, inside: f64, y: &[T], dy: &mut [T]) {
        self.call(&self.kernels.rate, t, inside, y, dy);
    }
}

impl<T: Element> Stochastic<T> for Motion<'_, T> {
    fn dim(&self) -> usize {
        self.layout().n
    }

    fn n_driven(&self) -> usize {
        self.layout().n_states
    }

    fn rate(&mut self, t: f64, inside: f64, y: &[T], dy: &mut [T]) {
        self.call(&self.kernels.rate, t, inside, y, dy);
    }

    fn diffusion(&mut self, t: f64, inside: f64, y: &[T], out: &mut [T]) {
        let Moves::Stochastic { diffusion } = &self.kernels.moves else {
            crate::bug!("not a stochastic method")
        };
        self.call(diffusion, t, inside, y, out);
    }
}

/// The compiled events of one solve.
pub(crate) struct Interrupts<'a, T> {
    motion: Motion<'a, T>,
    triggers: Vec<Trigger>,
    n_roots: usize,
}

impl<'a, T: Element> Interrupts<'a, T> {
    /// The events of `motion`, which is not used for anything else.
    pub fn new(mut motion: Motion<'a, T>) -> Interrupts<'a, T> {
        let number = motion.context.plan.layout.solves[motion.solve].system;
        let packed = &motion.context.plan.funcs.packed.motions[number];
        let (mut triggers, mut n_roots) = (Vec::new(), 0);
        for (event, of) in motion.system().events.iter().enumerate() {
            let first = n_roots;
            let own = of.trigger.roots();
            n_roots += own.map_or(0, |own| own.result_types().map(|ty| ty.shape.count()).sum::<usize>());
            triggers.push(match &of.trigger {
                system::Trigger::When { condition, .. } => Trigger::When(numbered(condition, first)),
                system::Trigger::Whenever { condition, .. } => Trigger::Whenever(numbered(condition, first)),
                system::Trigger::Every(_) => {
                    Trigger::Every(motion.times(event, 1).first().copied().unwrap_or(f64::NAN))
                }
                system::Trigger::At(_) => {
                    let func = packed.times[event].as_ref().expect("an event at times has times");
                    let count = func.result_types().map(|ty| ty.shape.count()).sum();
                    Trigger::At(motion.times(event, count))
                }
            });
        }
        Interrupts { motion, triggers, n_roots }
    }
}

impl<T: Element> Motion<'_, T> {
    /// The times of an event, or the time between two.
    fn times(&mut self, event: usize, count: usize) -> Vec<f64> {
        let kernel = self.kernels.motion.times[event].as_ref().expect("an event at times has times");
        let mut times = vec![T::default(); count];
        kernel.call(&self.rest, &mut [T::output(&mut times)], &mut self.workspace);
        times.into_iter().map(T::to_f64).collect()
    }
}

/// The condition with its roots counted from `first`.
fn numbered(condition: &system::Condition, first: usize) -> Condition {
    let both = |a: &system::Condition, b: &system::Condition| vec![numbered(a, first), numbered(b, first)];
    match condition {
        system::Condition::Root { root, strict } => Condition::Root { root: first + root, strict: *strict },
        system::Condition::And(a, b) => Condition::And(both(a, b)),
        system::Condition::Or(a, b) => Condition::Or(both(a, b)),
        system::Condition::Not(part) => Condition::Not(Box::new(numbered(part, first))),
    }
}

impl<T: Element> Events<T> for Interrupts<'_, T> {
    fn triggers(&self) -> &[Trigger] {
        &self.triggers
    }

    fn n_roots(&self) -> usize {
        self.n_roots
    }

    fn roots(&mut self, t: f64, inside: f64, y: &[T], out: &mut [T]) {
        if let Some(kernel) = &self.motion.kernels.motion.roots {
            self.motion.call(kernel, t, inside, y, out);
        }
    }

    fn jump(&mut self, event: usize, t: f64, inside: f64, y: &[T], y_new: &mut [T]) -> Effect {
        let kernel = &self.motion.kernels.motion.jumps[event];
        self.motion.call(kernel, t, inside, y, y_new);
        if self.motion.system().events[event].stop { Effect::Stop } else { Effect::Continue }
    }
}

/// Keeps every accepted step.
pub(crate) struct Tracing<'a, T> {
    /// What is kept.
    pub trace: Trace<T>,
    /// The solution inside the steps, of methods whose steps are not computed again.
    pub recorded: Option<Recorded<T>>,
    /// See [`Motion`].
    pub fresh: &'a Cell<bool>,
}

impl<T: Element> Observer<T> for Tracing<'_, T> {
    fn start(&mut self, t: f64, y: &[T]) {
        // Constraints may have moved the start value.
        self.trace = Trace::starting(t, y, self.trace.keep);
        if let Some(recorded) = &mut self.recorded {
            recorded.start(t, y);
        }
    }

    fn looks_inside(&self, _: f64, _: f64) -> bool {
        self.recorded.is_some()
    }

    fn accepted(&mut self, step: &Accepted<'_, T>) -> ControlFlow<f64> {
        let k1 = match step.interior {
            Interior::Stages { stages, .. } => &stages[..step.y.len()],
            Interior::Powers { .. } => &[],
        };
        self.trace.push(step.h, k1, self.fresh.replace(false), step.t_new, step.y_new);
        match &mut self.recorded {
            Some(recorded) => recorded.accepted(step),
            None => ControlFlow::Continue(()),
        }
    }

    fn jumped(&mut self, jump: &Jump<'_, T>) {
        let Jump { event, round, y, y_new, .. } = *jump;
        self.trace.jump(TracedJump { event, round, before: y.to_vec() }, y_new);
    }

    fn resumed(&mut self, t: f64, y: &[T]) {
        self.trace.resume(y);
        if let Some(recorded) = &mut self.recorded {
            recorded.resumed(t, y);
        }
    }
}
