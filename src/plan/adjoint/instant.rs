//! The reverse of an instant: through the jumps of the events that happen at one time, and to what
//! determines that time.
//!
//! With `τ` the time of an event, `f⁻`, `f⁺` the rates and `y⁻`, `y⁺` the states before and after
//! it, all variations taken at a fixed time, to first order
//!
//! `δy⁺ = g_y (δy⁻ + f⁻ δτ) + g_t δτ + g_q δq - f⁺ δτ`.
//!
//! `δτ` is known for a period or a list of times. For a condition it follows from its root function,
//! which stays zero: `r_y (δy⁻ + f⁻ δτ) + r_t δτ + r_q δq = 0`. Where `f⁻` is the slope of the dense
//! output, this is the derivative of the time that was found on it. An event that a jump made due
//! happens whenever that jump does.
//!
//! Source: Aizerman and Gantmakher, On the stability of periodic motions, 1958; Kong, Payne, Zhu,
//! Johnson, Saltation matrices, Proc. IEEE 112, 2024, eq. (9).

use crate::backend::Workspace;
use crate::plan::adjoint::discrete::{add, dot, zeros};
use crate::plan::controls::Failure;
use crate::plan::forward::Solved;
use crate::plan::kernels::EventCotangents;
use crate::plan::operands::Context;
use crate::plan::stepping::{Interrupts, Motion};
use crate::plan::trace::TracedInstant;
use crate::plan::unit::{Element, Inputs, Kernel};
use crate::solve::event::{Condition, Events, Trigger};
use std::cell::Cell;
use std::ops::AddAssign;

/// The instant and its surroundings.
pub(super) struct Around<'a, T> {
    /// What happens.
    pub instant: &'a TracedInstant<T>,
    /// When.
    pub t: f64,
    /// A time inside the piece of the motion that was meant there.
    pub inside: f64,
    /// The rate of the state before all events, `[n]`.
    pub before: &'a [T],
    /// The rate of the state after them, `[n]`.
    pub after: &'a [T],
    /// The cotangent that the instant's own time has received: if the run ended here.
    pub moved: f64,
}

/// Where cotangents go.
pub(super) struct Into<'a, T> {
    /// Given that of the state after, left that of the state before, both at a fixed time.
    pub y: &'a mut [T],
    /// Of the args; added to.
    pub a: &'a mut [T],
    /// Of the params that the motion reads; added to.
    pub q: &'a mut [T],
    /// Of the start of the run; added to.
    pub start: &'a mut f64,
    /// Of a stop at this time; added to.
    pub stop: &'a mut f64,
}

/// What moves the time of an event.
enum Cause {
    /// A root function, with its rate of change along the solution.
    Root { root: usize, slope: f64 },
    /// The entry of its times.
    Time(usize),
    /// How many periods have passed since the start, with the sign of the direction.
    Periods(f64),
    /// A stop at the same time: the condition became true because the motion itself changed.
    Stop,
}

/// Calls on the functions of one instant.
struct Calls<'a, 'b, T> {
    context: &'a Context<'b, T>,
    number: usize,
    solved: &'a Solved<T>,
    kernels: &'a EventCotangents,
    around: &'a Around<'a, T>,
    workspace: Workspace,
}

/// Cotangents of the operands of a function of *now*.
struct Bars<T> {
    t: f64,
    y: Vec<T>,
    a: Vec<T>,
    q: Vec<T>,
}

/// Goes back through an instant of solve `number`.
pub(super) fn reverse<T: Element + AddAssign>(
    context: &Context<'_, T>,
    (number, solved): (usize, &Solved<T>),
    around: &Around<'_, T>,
    into: Into<'_, T>,
) -> Result<(), Failure> {
    let kernels = context.plan.event_cotangents(context.plan.layout.solves[number].system)?;
    let mut calls = Calls { context, number, solved, kernels, around, workspace: Workspace::default() };
    let jumps = &around.instant.jumps;
    // The cotangents of the times of the jumps.
    let mut owed = vec![0.0; jumps.len()];
    owed[jumps.len() - 1] = around.moved;
    let mut after = around.after.to_vec();
    for (at, jump) in jumps.iter().enumerate().rev() {
        let before = match at {
            0 => around.before.to_vec(),
            _ => calls.rate(&jump.before),
        };
        owed[at] -= dot(into.y, &after);
        let bars = calls.pull(&kernels.jumps[jump.event], &jump.before, into.y);
        owed[at] += bars.t + dot(&bars.y, &before);
        into.y.copy_from_slice(&bars.y);
        add(into.a, &bars.a);
        add(into.q, &bars.q);
        if let Some(earlier) = jumps[..at].iter().rposition(|earlier| earlier.round < jump.round) {
            owed[earlier] += std::mem::take(&mut owed[at]);
        }
        after = before;
    }
    // What was due when the run came here was due because of the state then.
    let state = &jumps[0].before;
    for (jump, owed) in jumps.iter().zip(owed).filter(|(jump, _)| jump.round == 0) {
        match calls.cause(jump.event, state)? {
            Cause::Root { root, slope } => {
                let mut seed = zeros(calls.n_roots());
                seed[root] = T::from_f64(-owed / slope);
                let pull = kernels.roots.as_ref().expect("a condition has roots");
                let bars = calls.pull(pull, state, &seed);
                add(into.y, &bars.y);
                add(into.a, &bars.a);
                add(into.q, &bars.q);
            }
            Cause::Time(entry) => {
                let mut seed = zeros(calls.n_times(jump.event));
                seed[entry] = T::from_f64(owed);
                calls.pull_clock(jump.event, &seed, into.a, into.q);
            }
            Cause::Periods(count) => {
                *into.start += owed;
                calls.pull_clock(jump.event, &[T::from_f64(owed * count)], into.a, into.q);
            }
            Cause::Stop => *into.stop += owed,
        }
    }
    Ok(())
}

impl<T: Element + AddAssign> Calls<'_, '_, T> {
    /// The rate where the state is `y`.
    fn rate(&mut self, y: &[T]) -> Vec<T> {
        let (t, inside) = ([T::from_f64(self.around.t)], [T::from_f64(self.around.inside)]);
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&inside), T::input(y)]);
        self.context.push_motion(&mut inputs, &self.solved.fixed);
        let mut dy = zeros(y.len());
        let system = self.context.plan.layout.solves[self.number].system;
        let rate = &self.context.plan.systems[system].rate;
        rate.call(&inputs, &mut [T::output(&mut dy)], &mut self.workspace);
        dy
    }

    /// Sends the cotangent `bar` of the result of a function of *now* to its operands.
    fn pull(&mut self, kernel: &Kernel, y: &[T], bar: &[T]) -> Bars<T> {
        let (t, inside) = ([T::from_f64(self.around.t)], [T::from_f64(self.around.inside)]);
        let fixed = &self.solved.fixed;
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&inside), T::input(y)]);
        self.context.push_motion(&mut inputs, fixed);
        inputs.push(T::input(bar));
        let mut by_t = [T::default()];
        let mut bars = Bars { t: 0.0, y: zeros(y.len()), a: zeros(fixed.a.len()), q: zeros(fixed.q.len()) };
        let mut outputs =
            [T::output(&mut by_t), T::output(&mut bars.y), T::output(&mut bars.a), T::output(&mut bars.q)];
        kernel.call(&inputs, &mut outputs, &mut self.workspace);
        bars.t = by_t[0].to_f64();
        bars
    }

    /// Sends the cotangent `bar` of the period or the times of an event to args and params.
    fn pull_clock(&mut self, event: usize, bar: &[T], a: &mut [T], q: &mut [T]) {
        let fixed = &self.solved.fixed;
        let mut inputs = Inputs::new();
        self.context.push_motion(&mut inputs, fixed);
        inputs.push(T::input(bar));
        let (mut by_a, mut by_q) = (zeros(fixed.a.len()), zeros(fixed.q.len()));
        let kernel = self.kernels.times[event].as_ref().expect("an event at times has times");
        let mut outputs = [T::output(&mut by_a), T::output(&mut by_q)];
        kernel.call(&inputs, &mut outputs, &mut self.workspace);
        add(a, &by_a);
        add(q, &by_q);
    }

    /// What moves the time of an event that is due at the state `y`.
    fn cause(&mut self, event: usize, y: &[T]) -> Result<Cause, Failure> {
        let Around { t, inside, .. } = *self.around;
        let fresh = Cell::new(false);
        let motion = Motion::new(self.context, self.number, &self.solved.fixed, &fresh, (t, y.to_vec()));
        let mut events = Interrupts::new(motion);
        let condition = match &events.triggers()[event] {
            Trigger::Every(dt) => {
                let [t0, t1] = self.solved.ends.map(|[end]| end.to_f64());
                let direction = if t1 >= t0 { 1.0 } else { -1.0 };
                return Ok(Cause::Periods(direction * ((t - t0).abs() / dt).round()));
            }
            Trigger::At(times) => {
                let entry = times.iter().position(|time| *time == t);
                return Ok(Cause::Time(entry.expect("an event happens at one of its times")));
            }
            Trigger::When(condition) | Trigger::Whenever(condition) => condition.clone(),
        };
        let mut values = zeros(events.n_roots());
        events.roots(t, inside, y, &mut values);
        let values: Vec<f64> = values.into_iter().map(T::to_f64).collect();
        let mut nearest = Nearest::new(self.solved.ends.map(|[end]| end.to_f64()).into(), t);
        for root in decisive(&condition, &values) {
            let mut seed = zeros(values.len());
            seed[root] = T::from_f64(1.0);
            let pull = self.kernels.roots.as_ref().expect("a condition has roots");
            let bars = self.pull(pull, y, &seed);
            let by_state = dot(&bars.y, self.around.before);
            let terms = bars.y.iter().zip(self.around.before).map(|(r, f)| (r.to_f64() * f.to_f64()).abs());
            let size = bars.t.abs() + terms.sum::<f64>();
            nearest.offer((self.number, event), (root, values[root]), (bars.t + by_state, size))?;
        }
        Ok(nearest.found().map_or(Cause::Stop, |(root, slope)| Cause::Root { root, slope }))
    }

    fn n_roots(&self) -> usize {
        let system = self.context.plan.layout.solves[self.number].system;
        let packed = &self.context.plan.funcs.packed.motions[system];
        packed.roots.as_ref().map_or(0, |func| func.result_types().map(|ty| ty.shape.count()).sum())
    }

    fn n_times(&self, event: usize) -> usize {
        let system = self.context.plan.layout.solves[self.number].system;
        let packed = &self.context.plan.funcs.packed.motions[system];
        let func = packed.times[event].as_ref().expect("an event at times has times");
        func.result_types().map(|ty| ty.shape.count()).sum()
    }
}

/// A root whose rate of change is this small against its terms touches zero and does not cross it:
/// half the digits are gone.
const GRAZING: f64 = 1e-8;

/// A condition that became true this near to where its root is zero, against the length of the run,
/// did so because the root passed there.
const LOCATED: f64 = 1e-6;

/// Of the roots that may have set an event off, the one that is nearest to zero.
pub(crate) struct Nearest {
    t: f64,
    /// No root farther from zero than this, as a time, has set anything off.
    near: f64,
    /// Distance, root, slope.
    best: Option<(f64, usize, f64)>,
}

impl Nearest {
    /// None yet, at `t` of a run between `ends`.
    pub fn new(ends: (f64, f64), t: f64) -> Nearest {
        Nearest { t, near: LOCATED * (ends.1 - ends.0).abs().max(t.abs()), best: None }
    }

    /// A root of this value, whose rate of change along the solution is `slope`, a sum of terms whose
    /// sizes add up to `size`. Fails if it only touches zero.
    pub fn offer(
        &mut self,
        (solve, event): (usize, usize),
        (root, value): (usize, f64),
        (slope, size): (f64, f64),
    ) -> Result<(), Failure> {
        if size == 0.0 {
            // It does not move, so it does not pass.
            return Ok(());
        }
        if slope.abs() <= GRAZING * size {
            return Err(Failure::Grazes { solve, event, t: self.t });
        }
        let distance = (value / slope).abs();
        if distance <= self.near && self.best.is_none_or(|(least, ..)| distance < least) {
            self.best = Some((distance, root, slope));
        }
        Ok(())
    }

    /// The root, with its slope; `None` if the condition became true because the motion itself
    /// changed.
    pub fn found(&self) -> Option<(usize, f64)> {
        self.best.map(|(_, root, slope)| (root, slope))
    }
}

/// The roots whose comparison decides: the condition, which holds, would not if it came out otherwise.
pub(crate) fn decisive(condition: &Condition, values: &[f64]) -> Vec<usize> {
    let signs: Vec<i8> = values.iter().map(|value| i8::from(*value > 0.0) - i8::from(*value < 0.0)).collect();
    let decides = |root: &usize| {
        [-1, 1].into_iter().any(|sign| {
            let mut other = signs.clone();
            other[*root] = sign;
            !condition.holds(&other)
        })
    };
    (0..values.len()).filter(decides).collect()
}
