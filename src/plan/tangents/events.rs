//! Events of a motion with sensitivities: each jump takes them along.
//!
//! With `τ` the time of the event, `S⁺ = g_y (S⁻ + f⁻ τ') + g_t τ' + g_q - f⁺ τ'`, where `τ'` is the
//! derivative of `τ` in the direction of `S`; see [`instant`](crate::plan::adjoint::instant).

use crate::backend::Workspace;
use crate::plan::adjoint::discrete::zeros;
use crate::plan::adjoint::hessian::Results;
use crate::plan::adjoint::instant::{Nearest, decisive};
use crate::plan::controls::Failure;
use crate::plan::forward::Solved;
use crate::plan::operands::Context;
use crate::plan::stepping::Interrupts;
use crate::plan::tangents::SensitiveKernels;
use crate::plan::tangents::motion::Blocks;
use crate::plan::unit::{Element, Inputs, Kernel};
use crate::solve::event::{Effect, Events, Trigger};

/// The events of one solve, with `D` sensitivities.
pub(super) struct Shifting<'a, T> {
    pub context: &'a Context<'a, T>,
    pub kernels: &'a SensitiveKernels,
    pub number: usize,
    pub solved: &'a Solved<T>,
    pub shape: Blocks,
    /// The tangents of args and params, for each direction.
    pub fixed: &'a [(Vec<T>, Vec<T>)],
    /// Start and end of the run, and how the start moves in each direction.
    pub ends: (f64, f64),
    pub dt0: &'a [f64],
    /// The events alone.
    pub alone: Interrupts<'a, T>,
    /// The instant in hand, and its state before all events, blocks and all.
    pub instant: Option<(f64, Vec<T>)>,
    /// How the time of the last event moves in each direction.
    pub shift: Vec<f64>,
    /// Why it has no derivative, if one has none.
    pub failure: Option<Failure>,
    pub workspace: Workspace,
}

/// A place on the run, and the side that is meant.
#[derive(Clone, Copy)]
struct Now {
    t: f64,
    inside: f64,
}

impl<T: Element> Shifting<'_, T> {
    /// The derivative of a function of *now* along `(dt, dy)` and a direction of the args and params;
    /// direction `None` leaves these alone.
    fn along(
        &mut self,
        kernel: &Kernel,
        (now, y): (Now, &[T]),
        (dt, dy): (f64, &[T]),
        direction: Option<usize>,
        len: usize,
    ) -> Vec<T> {
        let (t, inside, dt) = ([T::from_f64(now.t)], [T::from_f64(now.inside)], [T::from_f64(dt)]);
        let fixed = &self.solved.fixed;
        let still = (zeros(fixed.a.len()), zeros(fixed.q.len()));
        let (da, dq) = direction.map_or(&still, |direction| &self.fixed[direction]);
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&inside), T::input(y)]);
        self.context.push_motion(&mut inputs, fixed);
        inputs.extend([T::input(&dt), T::input(dy), T::input(da), T::input(dq)]);
        let mut results = Results::new(&[len]);
        results.call(kernel, &inputs, &mut self.workspace);
        results.take_tangent(0)
    }

    /// The rate where the state is `y`.
    fn rate(&mut self, now: Now, y: &[T]) -> Vec<T> {
        let (t, inside) = ([T::from_f64(now.t)], [T::from_f64(now.inside)]);
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&inside), T::input(y)]);
        self.context.push_motion(&mut inputs, &self.solved.fixed);
        let mut dy = zeros(y.len());
        let system = self.context.plan.layout.solves[self.number].system;
        let rate = &self.context.plan.systems[system].rate;
        rate.call(&inputs, &mut [T::output(&mut dy)], &mut self.workspace);
        dy
    }

    /// How the period or the times of an event move.
    fn clock(&mut self, event: usize, direction: usize, len: usize) -> Vec<T> {
        let kernels = self.kernels;
        let kernel = kernels.times[event].as_ref().expect("an event at times has times");
        let (da, dq) = &self.fixed[direction];
        let mut inputs = Inputs::new();
        self.context.push_motion(&mut inputs, &self.solved.fixed);
        inputs.extend([T::input(da), T::input(dq)]);
        let mut results = Results::new(&[len]);
        results.call(kernel, &inputs, &mut self.workspace);
        results.take_tangent(0)
    }

    /// How the time of an event moves that happens now; `w` is the state before all events of this
    /// instant. An event that a jump made due happens with the jump before it.
    fn moved(&mut self, event: usize, now: Now, w: &[T]) {
        let n_directions = self.shape.n_directions;
        let condition = match self.alone.triggers()[event].clone() {
            Trigger::Every(dt) => {
                let (t0, t1) = self.ends;
                let direction = if t1 >= t0 { 1.0 } else { -1.0 };
                let count = direction * ((now.t - t0).abs() / dt).round();
                for along in 0..n_directions {
                    self.shift[along] = self.dt0[along] + count * self.clock(event, along, 1)[0].to_f64();
                }
                return;
            }
            Trigger::At(times) => {
                let entry = times.iter().position(|time| *time == now.t);
                let entry = entry.expect("an event happens at one of its times");
                for along in 0..n_directions {
                    self.shift[along] = self.clock(event, along, times.len())[entry].to_f64();
                }
                return;
            }
            Trigger::When(condition) | Trigger::Whenever(condition) => condition,
        };
        let y = self.shape.get(w, 0);
        let n_roots = self.alone.n_roots();
        let mut values = zeros(n_roots);
        self.alone.roots(now.t, now.inside, &y, &mut values);
        let values: Vec<f64> = values.into_iter().map(T::to_f64).collect();
        let signs: Vec<i8> =
            values.iter().map(|value| i8::from(*value > 0.0) - i8::from(*value < 0.0)).collect();
        if !condition.holds(&signs) {
            return;
        }
        let kernels = self.kernels;
        let kernel = kernels.roots.as_ref().expect("a condition has roots");
        let rate = self.rate(now, &y);
        let slopes = self.along(kernel, (now, &y), (1.0, &rate), None, n_roots);
        let still = self.along(kernel, (now, &y), (1.0, &zeros(y.len())), None, n_roots);
        let mut nearest = Nearest::new(self.ends, now.t);
        for root in decisive(&condition, &values) {
            // Two terms: time alone, and all states together.
            let (slope, by_time) = (slopes[root].to_f64(), still[root].to_f64());
            let size = by_time.abs() + (slope - by_time).abs();
            if let Err(failure) = nearest.offer((self.number, event), (root, values[root]), (slope, size)) {
                self.failure = Some(failure);
            }
        }
        let found = nearest.found();
        for along in 0..n_directions {
            self.shift[along] = match found {
                None => 0.0,
                Some((root, slope)) => {
                    let dy = self.shape.get(w, 1 + along);
                    let dr = self.along(kernel, (now, &y), (0.0, &dy), Some(along), n_roots);
                    -dr[root].to_f64() / slope
                }
            };
        }
    }
}

impl<T: Element> Shifting<'_, T> {
    /// The jump of `event`, whose time moves as `self.shift` says.
    fn shifted(&mut self, event: usize, now: Now, w: &[T], w_new: &mut [T]) -> Effect {
        let Now { t, inside } = now;
        let (y, mut y_new) = (self.shape.get(w, 0), zeros(self.shape.n_states + self.shape.n_channels));
        let effect = self.alone.jump(event, t, inside, &y, &mut y_new);
        let (before, after) = (self.rate(now, &y), self.rate(now, &y_new));
        let kernels = self.kernels;
        self.shape.set(w_new, 0, &y_new);
        for along in 0..self.shape.n_directions {
            let shift = self.shift[along];
            let advanced = |y: &[T], rate: &[T], by: f64| -> Vec<T> {
                let sum = |(y, rate): (&T, &T)| T::from_f64(y.to_f64() + by * rate.to_f64());
                y.iter().zip(rate).map(sum).collect()
            };
            let dy = advanced(&self.shape.get(w, 1 + along), &before, shift);
            let dy_new = self.along(&kernels.jumps[event], (now, &y), (shift, &dy), Some(along), y.len());
            self.shape.set(w_new, 1 + along, &advanced(&dy_new, &after, -shift));
        }
        effect
    }
}

impl<T: Element> Events<T> for Shifting<'_, T> {
    fn triggers(&self) -> &[Trigger] {
        self.alone.triggers()
    }

    fn n_roots(&self) -> usize {
        self.alone.n_roots()
    }

    fn roots(&mut self, t: f64, inside: f64, w: &[T], out: &mut [T]) {
        let y = self.shape.get(w, 0);
        self.alone.roots(t, inside, &y, out);
    }

    fn jump(&mut self, event: usize, t: f64, inside: f64, w: &[T], w_new: &mut [T]) -> Effect {
        let now = Now { t, inside };
        let start = match self.instant.take() {
            Some((at, start)) if at == t => start,
            Some(_) | None => w.to_vec(),
        };
        self.moved(event, now, &start);
        self.instant = Some((t, start));
        self.shifted(event, now, w, w_new)
    }

    fn settle(&mut self, event: usize, t: f64, inside: f64, w: &[T], w_new: &mut [T]) {
        // The start of the run, wherever that is: the rates do not enter.
        let y = self.shape.get(w, 0);
        let mut y_new = zeros(y.len());
        self.alone.settle(event, t, inside, &y, &mut y_new);
        w_new.copy_from_slice(w);
        self.shape.set(w_new, 0, &y_new);
    }
}
