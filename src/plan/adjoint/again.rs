//! Steps of methods that are not explicit on the way back: [`Reverse`] takes them again, this answers
//! what it asks.
//!
//! With noise the path is that of the forward pass, and a step has the same bits. Of implicit methods
//! the equations of a step are solved anew until rounding is all that is left, so a gradient is that
//! of the step without what the forward pass left of them. Where states are not kept, all steps are
//! taken again in this way, so with checkpoints the states differ from those of the forward pass by
//! what it left, some thousandths of the tolerances.

use crate::backend::Workspace;
use crate::plan::adjoint::discrete::{Pass, add, zeros};
use crate::plan::controls::{Failure, Returning};
use crate::plan::forward::Solved;
use crate::plan::operands::Context;
use crate::plan::stepping::Motion;
use crate::plan::trace::Trace;
use crate::plan::unit::{Element, Inputs, Kernel};
use crate::solve::brownian::Brownian;
use crate::solve::implicit::{Rosenbrock, Stages};
use crate::solve::method::{Kind, Stiff};
use crate::solve::outcome::Outcome;
use crate::solve::reverse::{Ask, Of, Reverse, Taken};
use crate::solve::sde::Retraced;
use std::ops::AddAssign;

/// The steps of the motion's method, to be gone back through; `None` if it is explicit. `paths`
/// are those of its noises.
pub(super) fn steps<'a, T: Element>(
    motion: &'a mut Motion<'_, T>,
    paths: &'a [Brownian],
) -> Option<Box<dyn Reverse<T> + 'a>> {
    match motion.method().kind {
        Kind::Explicit(_) => None,
        Kind::Stiff(Stiff::Radau5) => Some(Box::new(Stages::radau5(motion))),
        Kind::Stiff(Stiff::Dirk(dirk)) => Some(Box::new(Stages::dirk(motion, dirk))),
        Kind::Stiff(Stiff::Gauss(method)) => Some(Box::new(Stages::gauss(motion, method))),
        Kind::Stiff(Stiff::Rodas5p) => Some(Box::new(Rosenbrock::returning(motion))),
        Kind::Stiff(Stiff::Bdf)
        | Kind::Multistep
        | Kind::Taylor { .. }
        | Kind::Auto(_)
        | Kind::Symplectic(_)
        | Kind::Reversible(_) => crate::bug!("no such method is gone back through step by step"),
        Kind::Stochastic(scheme) => Some(Box::new(Retraced::new(motion, scheme, paths))),
    }
}

/// Answers what a step asks of the rate, and keeps what args and params receive.
struct Answers<'a, 'b, T> {
    context: &'a Context<'b, T>,
    solved: &'a Solved<T>,
    inside: f64,
    /// See [`Plan::rate_cotangents`](crate::plan::Plan::rate_cotangents).
    rate: &'a Kernel,
    /// See [`Plan::bend_cotangents`](crate::plan::Plan::bend_cotangents); for Rosenbrock methods.
    bend: Option<&'a Kernel>,
    /// See [`Plan::diffusion_cotangents`](crate::plan::Plan::diffusion_cotangents); for noise.
    diffusion: Option<&'a Kernel>,
    bar_a: &'a mut [T],
    bar_q: &'a mut [T],
    workspace: &'a mut Workspace,
}

impl<T: Element + AddAssign> Answers<'_, '_, T> {
    fn answer(&mut self, ask: &Ask<'_>) -> Vec<f64> {
        let (t, inside) = ([T::from_f64(ask.t)], [T::from_f64(self.inside)]);
        let (y, bar): (Vec<T>, Vec<T>) = (narrow(ask.y), narrow(ask.bar));
        let along = match ask.of {
            Of::Along(dt, dy) => Some(([T::from_f64(dt)], narrow::<T>(dy))),
            Of::Rate | Of::RateByState | Of::Diffusion => None,
        };
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&inside), T::input(&y)]);
        let fixed = &self.solved.fixed;
        self.context.push_motion(&mut inputs, fixed);
        if let Some((dt, dy)) = &along {
            inputs.extend([T::input(dt), T::input(dy)]);
        }
        let kernel = match ask.of {
            Of::Rate | Of::RateByState => self.rate,
            Of::Along(..) => self.bend.expect("a Rosenbrock method has second derivatives"),
            Of::Diffusion => self.diffusion.expect("a scheme for noise has its derivatives"),
        };
        inputs.push(T::input(&bar));
        let [mut by_y, mut by_a, mut by_q] = [y.len(), fixed.a.len(), fixed.q.len()].map(zeros);
        let mut outputs = [T::output(&mut by_y), T::output(&mut by_a), T::output(&mut by_q)];
        kernel.call(&inputs, &mut outputs, self.workspace);
        match ask.of {
            Of::RateByState => {}
            Of::Rate | Of::Along(..) | Of::Diffusion => {
                add(self.bar_a, &by_a);
                add(self.bar_q, &by_q);
            }
        }
        wide(&by_y)
    }
}

impl<T: Element + AddAssign> Pass<'_, '_, '_, T> {
    /// Takes a step again from `y`; it ends near `end`, if that is known.
    pub(super) fn take_again(&mut self, step: usize, y: &[T], end: Option<&[T]>) -> Result<(), Failure> {
        let trace = &self.solved.trace;
        let taken = taken(trace, step);
        let end = end.map(wide);
        let again = self.again.as_deref_mut().expect("the method is not explicit");
        let found = again.take(taken, &wide(y), end.as_deref());
        found.map_err(|outcome| self.stuck(outcome))
    }

    /// The states at the starts of the steps `kept` as the steps between lead to them when they are taken
    /// again; `None` where these are the states that are kept. What is linearised must be one path:
    /// where the motion is fast, the places of two that differ by a rounding of the tolerance are far
    /// apart.
    pub(super) fn starts_again(&mut self, kept: &[usize]) -> Result<Option<Vec<T>>, Failure> {
        let trace = &self.solved.trace;
        let repeats = self.again.as_ref().is_none_or(|again| again.repeats());
        let Some(last) = kept.last().filter(|_| !repeats && trace.stride > 1) else { return Ok(None) };
        let mut ys = Vec::new();
        self.replay(0..last + 1, (trace.state(0), &[]), |step, y, _| {
            if step.is_multiple_of(trace.stride) {
                ys.extend_from_slice(y);
            }
        })?;
        Ok(Some(ys))
    }

    /// The state at the end of the step taken again.
    pub(super) fn end_again(&self) -> Vec<T> {
        narrow(self.again.as_deref().expect("the method is not explicit").end())
    }

    /// The rate of change of the solution inside the step taken again.
    pub(super) fn slope_again(&mut self, step: usize, theta: f64, slope: &mut [T]) {
        let mut wide = vec![0.0; slope.len()];
        let again = self.again.as_deref_mut().expect("the method is not explicit");
        again.slope_at(theta, self.solved.trace.h[step], &mut wide);
        slope.copy_from_slice(&narrow(&wide));
    }

    /// Turns the cotangent of the state at the end of the step taken again into that of the state at
    /// its start.
    pub(super) fn pull_again(&mut self, step: usize) -> Result<(), Failure> {
        let inner = std::mem::take(&mut self.injected.inside);
        self.with_answers(taken(&self.solved.trace, step), |again, bar, answers| {
            again.pull(bar, &inner, &mut |ask| answers.answer(ask))
        })
    }

    /// The same for the start that was given, where the constraints moved it.
    pub(super) fn pull_start(&mut self) -> Result<(), Failure> {
        let trace = &self.solved.trace;
        let (first, y) = (taken(trace, 0), wide(trace.state(0)));
        self.with_answers(first, |again, bar, answers| {
            again.pull_start(first, &y, bar, &mut |ask| answers.answer(ask))
        })
    }

    fn with_answers(
        &mut self,
        step: Taken,
        pull: impl FnOnce(&mut dyn Reverse<T>, &mut [f64], &mut Answers<'_, '_, T>) -> Result<(), Outcome>,
    ) -> Result<(), Failure> {
        let mut answers = Answers {
            context: self.context,
            solved: self.solved,
            inside: step.inside(),
            rate: self.pull_rate,
            bend: self.pull_bend,
            diffusion: self.pull_diffusion,
            bar_a: &mut self.bar_a,
            bar_q: &mut *self.bar_q,
            workspace: &mut self.workspace,
        };
        let again = self.again.as_deref_mut().expect("the method is not explicit");
        let mut bar = wide(&self.bar_y);
        let pulled = pull(again, &mut bar, &mut answers);
        self.bar_y = narrow(&bar);
        pulled.map_err(|outcome| self.stuck(outcome))
    }

    fn stuck(&self, outcome: Outcome) -> Failure {
        Failure::GoingBack { solve: self.number, by: Returning::Again, outcome }
    }
}

/// A step of the forward pass.
fn taken<T>(trace: &Trace<T>, step: usize) -> Taken {
    Taken { t: trace.t[step], h: trace.h[step], t_new: trace.t[step + 1] }
}

fn wide<T: Element>(v: &[T]) -> Vec<f64> {
    v.iter().map(|v| v.to_f64()).collect()
}

fn narrow<T: Element>(v: &[f64]) -> Vec<T> {
    v.iter().map(|v| T::from_f64(*v)).collect()
}
