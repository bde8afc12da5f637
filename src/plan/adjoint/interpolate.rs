//! The continuous adjoint along the path that the forward pass took.
//!
//! Only the cotangents `λ` of the states are solved for on the way back; the states are those of the
//! dense output, and the cotangents of args and params are integrals of what is then known, by
//! Gauss' formula over every piece that no step of either pass divides. So nothing unstable runs
//! backwards, and an implicit method goes back through a stiff system as it went forward. The price
//! is the memory of the path; the gradient is as exact as the tolerances and the dense output are.
//!
//! Source: Chen et al., Neural Ordinary Differential Equations, 2018, appendix B, for the equations;
//! Kim, Ji, Deng, Ma, Rackauckas, Stiff neural ordinary differential equations, Chaos 31, 2021, for
//! the reasons.

use crate::backend::Workspace;
use crate::plan::adjoint::Cost;
use crate::plan::adjoint::discrete::{add, zeros};
use crate::plan::controls::{Failure, Returning};
use crate::plan::derivatives::Derivatives;
use crate::plan::forward::Solved;
use crate::plan::kernels::Moves;
use crate::plan::operands::Context;
use crate::plan::unit::{Element, Inputs, Kernel};
use crate::solve::adams::Adams;
use crate::solve::dense::Accepted;
use crate::solve::event::NoEvents;
use crate::solve::implicit::{Bdf, Esdirk, Gauss, Implicit, Mass, Radau, Sparsity};
use crate::solve::method::{Kind, Stiff};
use crate::solve::problem::Rates;
use crate::solve::record::{Observer, Recorded};
use crate::solve::solve::{Options, integrate, solve};
use crate::solve::stepper::Stepper;
use crate::solve::tableau::{RungeKutta, Tableau};
use std::cell::RefCell;
use std::ops::{AddAssign, ControlFlow};
use std::sync::Arc;

/// A piece of the way back, between two nodes.
pub(super) struct Piece<'a, 'b, T> {
    pub context: &'a Context<'b, T>,
    pub number: usize,
    pub solved: &'a Solved<T>,
    /// See [`Plan::rate_cotangents`](crate::plan::Plan::rate_cotangents).
    pub pull: &'a Kernel,
    pub n_states: usize,
    /// The cotangents of the channels, which do not change.
    pub kappa: &'a [T],
    /// Where it begins, with the state there: that before the events of this time.
    pub from: (f64, &'a [T]),
    pub to: f64,
}

/// What takes the cotangents back.
enum Back {
    Table(&'static Tableau),
    Implicit(Stiff),
    Adams,
}

impl Back {
    /// The method of the forward pass where it can be; else one that suits the same systems. The
    /// adjoint equation is neither separable nor a power series, and a Rosenbrock method would lose
    /// its order without the derivative of the path by time.
    fn of(kind: Kind) -> Back {
        let table = |name| Back::Table(Tableau::by_name(name).expect("it is in the table"));
        match kind {
            Kind::Explicit(tableau) => Back::Table(tableau),
            Kind::Stiff(Stiff::Rodas5p) | Kind::Auto(_) => Back::Implicit(Stiff::Radau5),
            Kind::Stiff(stiff) => Back::Implicit(stiff),
            Kind::Multistep => Back::Adams,
            Kind::Taylor { .. } => table("dop853"),
            Kind::Symplectic(_) | Kind::Reversible(_) => table("rk4"),
            Kind::Stochastic(_) => crate::bug!("noise is not gone back along"),
        }
    }
}

/// Goes back over `piece`: `lambda` and `quadratures`, those of args and params, are taken along.
pub(super) fn go_back<T: Element + AddAssign>(
    piece: &Piece<'_, '_, T>,
    lambda: &mut [T],
    quadratures: &mut [T],
    options: &Options,
    cost: &mut Cost,
) -> Result<(), Failure> {
    let kind = piece.context.plan.method(piece.number).kind;
    let recorded = piece.solved.recorded.as_ref().expect("the forward pass keeps its path");
    let path = RefCell::new(Path { piece, recorded, workspace: Workspace::default() });
    let points = gauss(kind.order() as usize / 2 + 1);
    let mut integral = Integral { path: &path, points, sum: quadratures, n_evaluations: 0 };
    let (ends, start) = ((piece.from.0, piece.to), lambda.to_vec());
    let (mut back, stepping) = (Along { path: &path }, &options.stepping);
    let mut run =
        |method: &mut dyn Stepper<T>| integrate(method, &mut NoEvents, ends, &start, options, &mut integral);
    let end = match Back::of(kind) {
        Back::Table(tableau) => {
            let rate = |t: f64, lambda: &[T], out: &mut [T]| path.borrow_mut().rate(t, lambda, out);
            let mut step = RungeKutta::new(tableau, start.len(), rate);
            solve(&mut step, tableau, ends, &start, options, &mut integral)
        }
        Back::Adams => run(&mut Adams::new(&mut back, stepping)),
        Back::Implicit(Stiff::Radau5 | Stiff::Rodas5p) => run(&mut Radau::new(&mut back, stepping)),
        Back::Implicit(Stiff::Bdf) => run(&mut Bdf::new(&mut back, stepping)),
        Back::Implicit(Stiff::Dirk(dirk)) => run(&mut Esdirk::new(&mut back, dirk, stepping)),
        Back::Implicit(Stiff::Gauss(method)) => run(&mut Gauss::new(&mut back, method, stepping)),
    }?;
    cost.steps += end.stats.attempts();
    cost.evaluations += end.stats.evaluations + integral.n_evaluations;
    if !end.outcome.is_success() {
        return Err(Failure::GoingBack { solve: piece.number, by: Returning::Along, outcome: end.outcome });
    }
    lambda.copy_from_slice(&end.y);
    Ok(())
}

/// Points and weights of Gauss' formula on `[0, 1]` with `n` points, exact for polynomials of degree
/// `2n - 1`: the zeros `x` of the Legendre polynomial `P_n` by Newton's method, and
/// `2/((1 - x²) P_n'(x)²)`. Source: Abramowitz and Stegun, 25.4.29; the first guess: Tricomi, 1950.
fn gauss(n: usize) -> Vec<(f64, f64)> {
    let one = |i: usize| {
        let mut x = libm::cos(std::f64::consts::PI * (i as f64 + 0.75) / (n as f64 + 0.5));
        let mut slope = 1.0;
        // It converges quadratically from an error of at most 1e-2.
        for _ in 0..6 {
            let (mut before, mut value) = (1.0, x);
            for k in 2..=n {
                let k = k as f64;
                (before, value) = (value, ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k);
            }
            slope = n as f64 * (before - x * value) / (1.0 - x * x);
            x -= value / slope;
        }
        (0.5 * (1.0 - x), 1.0 / ((1.0 - x * x) * slope * slope))
    };
    (0..n).map(one).collect()
}

/// The path of the forward pass, and the adjoint equation along it.
struct Path<'a, 'b, 'c, T> {
    piece: &'a Piece<'b, 'c, T>,
    recorded: &'a Recorded<T>,
    workspace: Workspace,
}

impl<'c, T: Element + AddAssign> Path<'_, '_, 'c, T> {
    /// A time inside the smooth piece.
    fn inside(&self) -> f64 {
        0.5 * (self.piece.from.0 + self.piece.to)
    }

    /// The states at `t`; what the channels have come to does not matter. A stage at the end of a
    /// step may miss the end of the piece by rounding, which would be beyond an event.
    fn state(&self, t: f64) -> Vec<T> {
        let Piece { from, to, solved, n_states, .. } = *self.piece;
        let (t, mut y) = (t.clamp(from.0.min(to), from.0.max(to)), zeros(solved.trace.n));
        if t == from.0 {
            y[..n_states].copy_from_slice(&from.1[..n_states]);
            return y;
        }
        let covered = self.recorded.at(t, &mut y);
        assert!(covered, "the way back lies within the run");
        y
    }

    /// What the cotangent `lambda` of the rates at `t` sends to states and channels, args and params.
    fn pull(&mut self, t: f64, lambda: &[T]) -> [Vec<T>; 3] {
        let (y, inside) = (self.state(t), [T::from_f64(self.inside())]);
        let Piece { context, solved, pull, kappa, .. } = *self.piece;
        let (t, bar) = ([T::from_f64(t)], [lambda, kappa].concat());
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&inside), T::input(&y)]);
        context.push_motion(&mut inputs, &solved.fixed);
        inputs.push(T::input(&bar));
        let [mut by_y, mut by_a, mut by_q] = [y.len(), solved.fixed.a.len(), solved.fixed.q.len()].map(zeros);
        let mut outputs = [T::output(&mut by_y), T::output(&mut by_a), T::output(&mut by_q)];
        pull.call(&inputs, &mut outputs, &mut self.workspace);
        [by_y, by_a, by_q]
    }

    /// `λ' = -∂⟨(λ, κ), f⟩/∂z`
    fn rate(&mut self, t: f64, lambda: &[T], out: &mut [T]) {
        let [by_y, _, _] = self.pull(t, lambda);
        for (out, by) in out.iter_mut().zip(&by_y) {
            *out = T::from_f64(-by.to_f64());
        }
    }

    fn derivatives(&self) -> &'c Derivatives {
        let Piece { context, number, .. } = *self.piece;
        let system = context.plan.layout.solves[number].system;
        let (Moves::Stiff(derivatives) | Moves::Auto { derivatives, .. }) =
            &context.plan.systems[system].moves
        else {
            crate::bug!("not an implicit method")
        };
        derivatives
    }

    /// `-f_zᵀ`, which does not depend on `λ`: `[n_states, n_states]`, or the entries of its pattern.
    fn jacobian(&mut self, t: f64, out: &mut [T]) {
        let (y, inside) = (self.state(t), [T::from_f64(self.inside())]);
        let Piece { context, solved, n_states, .. } = *self.piece;
        let Derivatives { jacobian, sparse, .. } = self.derivatives();
        let t = [T::from_f64(t)];
        let mut forward = zeros(sparse.as_ref().map_or(y.len() * n_states, |_| out.len()));
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&inside), T::input(&y)]);
        context.push_motion(&mut inputs, &solved.fixed);
        jacobian.call(&inputs, &mut [T::output(&mut forward)], &mut self.workspace);
        let turned = |at: usize| match sparse {
            Some(sparse) => sparse.transposed.1[at],
            None => at % n_states * n_states + at / n_states,
        };
        for (at, out) in out.iter_mut().enumerate() {
            *out = T::from_f64(-forward[turned(at)].to_f64());
        }
    }
}

/// The adjoint equation as a system of its own.
struct Along<'a, 'b, 'c, 'd, T> {
    path: &'a RefCell<Path<'b, 'c, 'd, T>>,
}

impl<T: Element + AddAssign> Rates<T> for Along<'_, '_, '_, '_, T> {
    fn dim(&self) -> usize {
        self.path.borrow().piece.n_states
    }

    fn rate(&mut self, t: f64, _: f64, lambda: &[T], out: &mut [T]) {
        self.path.borrow_mut().rate(t, lambda, out);
    }
}

impl<T: Element + AddAssign> Implicit<T> for Along<'_, '_, '_, '_, T> {
    fn dim(&self) -> usize {
        self.path.borrow().piece.n_states
    }

    fn n_states(&self) -> usize {
        self.path.borrow().piece.n_states
    }

    fn rate(&mut self, t: f64, _: f64, lambda: &[T], out: &mut [T]) {
        self.path.borrow_mut().rate(t, lambda, out);
    }

    fn sparsity(&self) -> Option<Arc<Sparsity>> {
        let sparse = self.path.borrow().derivatives().sparse.as_ref()?;
        Some(sparse.transposed.0.clone())
    }

    fn channel_slopes(&mut self, _: f64, _: f64, _: &[T], _: &[T], _: &mut [T]) {
        crate::bug!("the adjoint equation has no channels")
    }

    fn jacobian(&mut self, t: f64, _: f64, _: &[T], out: &mut [T]) {
        self.path.borrow_mut().jacobian(t, out);
    }

    fn time_slope(&mut self, _: f64, _: f64, _: &[T], _: &mut [T]) {
        crate::bug!("only a Rosenbrock method asks for the derivative by time")
    }

    fn mass(&mut self) -> Mass {
        Mass::Identity
    }
}

/// The integrals of args and params, step by step.
struct Integral<'a, 'b, 'c, 'd, T> {
    path: &'a RefCell<Path<'b, 'c, 'd, T>>,
    points: Vec<(f64, f64)>,
    sum: &'a mut [T],
    n_evaluations: u64,
}

impl<T: Element + AddAssign> Observer<T> for Integral<'_, '_, '_, '_, T> {
    /// The path has a corner at each of its nodes, and what only channels read may change from one to
    /// the next however smooth the cotangents are.
    fn accepted(&mut self, step: &Accepted<'_, T>) -> ControlFlow<f64> {
        if self.sum.is_empty() {
            return ControlFlow::Continue(());
        }
        let mut cuts = vec![step.t];
        cuts.extend(self.path.borrow().piece.solved.trace.nodes_between(step.t, step.t_new));
        cuts.push(step.t_new);
        let mut lambda = zeros(step.y.len());
        for panel in cuts.windows(2) {
            let length = panel[1] - panel[0];
            for (point, weight) in &self.points {
                let t = panel[0] + point * length;
                step.at(t, &mut lambda);
                let [_, by_a, by_q] = self.path.borrow_mut().pull(t, &lambda);
                self.n_evaluations += 1;
                let scaled = |by: &T| T::from_f64(-weight * length * by.to_f64());
                let share: Vec<T> = by_a.iter().chain(&by_q).map(scaled).collect();
                add(self.sum, &share);
            }
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Abramowitz and Stegun, table 25.4, n = 5, brought to `[0, 1]`; and `∫ x^(2n-1) = 1/(2n)`.
    #[test]
    fn gauss_formulas_are_those_of_the_table() {
        let five = gauss(5);
        let wanted = [(0.953_089_922_969_332, 0.118_463_442_528_094_5), (0.5, 0.284_444_444_444_444_4)];
        for (found, (x, w)) in [five[0], five[2]].into_iter().zip(wanted) {
            let x = if found.0 < 0.5 { 1.0 - x } else { x };
            assert!((found.0 - x).abs() < 1e-15 && (found.1 - w).abs() < 1e-15, "{found:?}");
        }
        for n in 1..20 {
            let degree = i32::try_from(2 * n - 1).unwrap();
            let sum: f64 = gauss(n).iter().map(|(x, w)| w * x.powi(degree)).sum();
            assert!((sum * (2 * n) as f64 - 1.0).abs() < 1e-13, "{n} {sum}");
        }
    }
}
