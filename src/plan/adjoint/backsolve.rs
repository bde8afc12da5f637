//! The continuous adjoint: the gradient by a solve that goes back from the end to the start.
//!
//! Either along the path of the forward pass (`interpolate`), or alone: states, their cotangents and
//! the cotangents of args and params are one system ([`augmented`](super::augmented)), integrated with the method of the forward pass in steps of its
//! own. At the time of every site, and at every stop, the solve ends: the states are set back to
//! what the forward pass found there, the cotangents of the site are added, and a solve with a
//! fresh first step goes on. Alone, nothing of the forward pass is kept but the states at its sites and at
//! its end; the gradient is right to the tolerances of both passes.
//!
//! Source: Chen et al., Neural Ordinary Differential Equations, 2018.

use crate::backend::Workspace;
use crate::ir::system::SiteKind;
use crate::plan::adjoint::Cost;
use crate::plan::adjoint::discrete::{StartBars, add, dot, rows_of, zeros};
use crate::plan::adjoint::instant::{self, Around, Into};
use crate::plan::adjoint::interpolate::{Piece, go_back};
use crate::plan::controls::{BackNorm, Backsolve, Failure, Interpolating, Returning};
use crate::plan::forward::Solved;
use crate::plan::kernels::{BackKernels, Moving};
use crate::plan::layout::SystemLayout;
use crate::plan::operands::{Context, Fixed};
use crate::plan::trace::TracedInstant;
use crate::plan::unit::{Element, Inputs, Kernel};
use crate::solve::control::{Adaptive, Atol, Errors, Norm};
use crate::solve::problem::Step;
use crate::solve::solve::{Options, Stepping, solve};
use std::ops::AddAssign;

/// Where the states come from on the way back.
#[derive(Clone, Copy)]
pub(crate) enum Back {
    /// From the adjoint equation, which they are part of.
    Alone(Backsolve),
    /// From the path of the forward pass.
    Along(Interpolating),
}

/// What [`discrete::reverse`](super::discrete::reverse) gives, by the continuous adjoint. `forward`
/// are the options of the forward pass.
pub(crate) fn reverse<T: Element + AddAssign>(
    context: &Context<'_, T>,
    number: usize,
    solved: &Solved<T>,
    moving: Moving,
    (site_bars, bar_end): (&[T], f64),
    bar_q: &mut [T],
    (choice, forward): (Back, &Options),
) -> Result<(StartBars<T>, Cost), Failure> {
    let system = context.plan.layout.solves[number].system;
    let layout = &context.plan.layout.systems[system];
    let (n, n_states, n_quadratures) = (layout.n, layout.n_states, layout.n_args + bar_q.len());
    let mut pass = Pass {
        way: match choice {
            Back::Alone(choice) => {
                Way::Alone(context.plan.back_kernels(system)?, options(choice, forward, layout))
            }
            Back::Along(choice) => {
                Way::Along(context.plan.rate_cotangents(system)?, along(choice, forward, n_states))
            }
        },
        context,
        number,
        solved,
        site_bars,
        bar_y: zeros(n),
        quadratures: zeros(n_quadratures),
        workspace: Workspace::default(),
        cost: Cost::default(),
    };
    if let Back::Along(_) = choice {
        pass.cost.hold(solved.trace.n_kept());
    }
    let nodes = pass.nodes();
    let mut z = solved.trace.end()[..n_states].to_vec();
    let mut by_row = vec![0.0; solved.times.len()];
    let mut by_stop: Vec<T> = zeros(solved.stops.len());
    let (mut by_start, mut by_end, mut slope, mut before) = (0.0, 0.0, zeros(n), zeros(n));
    for (at, t) in nodes.iter().enumerate() {
        // The end comes first; what follows it in time is the node of the turn before.
        let later = at.checked_sub(1).map(|at| nodes[at]);
        let earlier = nodes.get(at + 1).copied();
        for row in (0..solved.times.len()).filter(|row| solved.times[*row] == *t) {
            let state = &solved.sites[row * n..][..n];
            z.copy_from_slice(&state[..n_states]);
            add(&mut pass.bar_y, &site_bars[row * n..][..n]);
        }
        let found = pass.instant(*t);
        if let Some(instant) = found {
            z.copy_from_slice(&instant.after[..n_states]);
        }
        pass.slope((*t, middle(*t, later.or(earlier))), &z, &mut slope);
        for row in (0..solved.times.len()).filter(|row| solved.times[*row] == *t) {
            by_row[row] = dot(&site_bars[row * n..][..n], &slope);
        }
        if at == 0 {
            by_end = pass.felt_by(SiteKind::End, &slope);
        }
        if let Some(instant) = found {
            z.copy_from_slice(&instant.jumps[0].before[..n_states]);
            let at_stop = solved.stops.iter().any(|stop| stop.to_f64() == *t);
            let piece = match earlier {
                Some(earlier) if !at_stop => Some(earlier),
                _ => later,
            };
            pass.slope((*t, middle(*t, piece)), &z, &mut before);
            let ends = solved.stopped && at == 0;
            let mut stop = 0.0;
            let around = Around {
                instant,
                t: *t,
                inside: middle(*t, piece),
                before: &before,
                after: &slope,
                moved: if ends { bar_end + by_end } else { 0.0 },
            };
            let (a, q) = pass.quadratures.split_at_mut(layout.n_args);
            let into = Into { y: &mut pass.bar_y, a, q, start: &mut by_start, stop: &mut stop };
            instant::reverse(context, (number, solved), &around, into)?;
            for (_, by) in solved.stops.iter().zip(&mut by_stop).filter(|(at, _)| at.to_f64() == *t) {
                *by += T::from_f64(stop);
            }
            std::mem::swap(&mut slope, &mut before);
        }
        let Some(earlier) = earlier else { break };
        if moving.stops && later.is_some() {
            pass.slope((*t, middle(*t, Some(earlier))), &z, &mut before);
            let jump = T::from_f64(dot(&pass.bar_y, &before) - dot(&pass.bar_y, &slope));
            for (stop, by) in solved.stops.iter().zip(&mut by_stop) {
                if stop.to_f64() == *t {
                    *by += jump;
                }
            }
        }
        pass.leg((*t, earlier), &mut z)?;
    }
    let ends = match moving.ends {
        true => [pass.felt_by(SiteKind::Start, &slope) - dot(&pass.bar_y, &slope) + by_start, by_end],
        false => [0.0; 2],
    };
    let times = match moving.sites {
        true => rows_of(context, number, SiteKind::Times).map(|row| T::from_f64(by_row[row])).collect(),
        false => Vec::new(),
    };
    let stops = if moving.stops { by_stop } else { Vec::new() };
    let Pass { bar_y, mut quadratures, cost, .. } = pass;
    add(bar_q, &quadratures[layout.n_args..]);
    quadratures.truncate(layout.n_args);
    Ok((StartBars { y0: bar_y, a: quadratures, ends, times, stops }, cost))
}

/// A time between `t` and `other`; `t` itself in a run of no length.
fn middle(t: f64, other: Option<f64>) -> f64 {
    other.map_or(t, |other| t + 0.5 * (other - t))
}

/// How the adjoint equation of a system is solved.
fn options(choice: Backsolve, forward: &Options, layout: &SystemLayout) -> Options {
    let n_states = layout.n_states;
    let n_quadratures = layout.n_args + layout.n_params();
    let stepping = match &forward.stepping {
        Stepping::Fixed { dt } => Stepping::Fixed { dt: *dt },
        Stepping::Adaptive(forward) => {
            let atol = match (choice.atol, &forward.atol) {
                (Some(atol), _) => Atol::Scalar(atol),
                (None, Atol::Scalar(atol)) => Atol::Scalar(*atol),
                (None, Atol::PerComponent(own)) => {
                    // A cotangent is asked for what its state is, an integral for what the strictest is.
                    let states = &own[..n_states];
                    let strictest = own.iter().copied().fold(f64::INFINITY, f64::min);
                    let rest = std::iter::repeat_n(strictest, n_quadratures);
                    Atol::PerComponent(states.iter().chain(states).copied().chain(rest).collect())
                }
            };
            let norm = match &forward.norm {
                Norm::Rms => Norm::Rms,
                Norm::Max => Norm::Max,
                Norm::Blocks(own) => {
                    // A cotangent is a block as its state is, the integrals are one more.
                    let (states, n_blocks) = (&own[..n_states], own.iter().max().map_or(0, |last| last + 1));
                    let cotangents = states.iter().map(|block| block + n_blocks);
                    let rest = std::iter::repeat_n(2 * n_blocks, n_quadratures);
                    Norm::Blocks(states.iter().copied().chain(cotangents).chain(rest).collect())
                }
            };
            Stepping::Adaptive(Adaptive {
                norm,
                rtol: choice.rtol.unwrap_or(forward.rtol),
                atol,
                errors: match choice.norm {
                    BackNorm::Default => Errors::All,
                    BackNorm::Seminorm => Errors::States(2 * n_states),
                },
                first_step: None,
                ..forward.clone()
            })
        }
    };
    Options { stepping, stops: Vec::new(), ..forward.clone() }
}

/// How the cotangents of the states are solved for along a known path.
fn along(choice: Interpolating, forward: &Options, n_states: usize) -> Options {
    let stepping = match &forward.stepping {
        Stepping::Fixed { dt } => Stepping::Fixed { dt: *dt },
        Stepping::Adaptive(forward) => {
            let atol = match (choice.atol, &forward.atol) {
                (Some(atol), _) => Atol::Scalar(atol),
                (None, Atol::Scalar(atol)) => Atol::Scalar(*atol),
                (None, Atol::PerComponent(own)) => Atol::PerComponent(own[..n_states].to_vec()),
            };
            let rtol = choice.rtol.unwrap_or(forward.rtol);
            let norm = match &forward.norm {
                Norm::Rms => Norm::Rms,
                Norm::Max => Norm::Max,
                Norm::Blocks(own) => Norm::Blocks(own[..n_states].to_vec()),
            };
            let errors = Errors::All;
            Stepping::Adaptive(Adaptive { rtol, atol, errors, norm, first_step: None, ..forward.clone() })
        }
    };
    Options { stepping, stops: Vec::new(), ..forward.clone() }
}

/// A [`Back`] with what it calls, and how its equation is solved.
enum Way<'a> {
    Alone(&'a BackKernels, Options),
    Along(&'a Kernel, Options),
}

/// A backward pass on its way.
struct Pass<'a, 'b, T> {
    way: Way<'a>,
    context: &'a Context<'b, T>,
    number: usize,
    solved: &'a Solved<T>,
    site_bars: &'a [T],
    /// Of states and channels, `[n]`.
    bar_y: Vec<T>,
    /// Of args and params, `[A + Q]`.
    quadratures: Vec<T>,
    workspace: Workspace,
    cost: Cost,
}

impl<'a, T: Element + AddAssign> Pass<'a, '_, T> {
    /// The times at which the solve ends and another begins: from the end of the run to its start.
    fn nodes(&self) -> Vec<f64> {
        let [t0, t1] = self.solved.ends.map(|[end]| end.to_f64());
        let direction = if t1 >= t0 { 1.0 } else { -1.0 };
        let stops = self.solved.stops.iter().map(|stop| stop.to_f64());
        let inside = |t: &f64| (*t - t0) * direction > 0.0 && (t1 - *t) * direction > 0.0;
        let trace = &self.solved.trace;
        let events = trace.instants.iter().map(|instant| trace.t[instant.node]);
        let times = self.solved.times.iter().copied().chain(stops).chain(events);
        let mut nodes: Vec<f64> = times.filter(inside).collect();
        nodes.extend([t0, t1]);
        nodes.sort_by(|a, b| (b * direction).total_cmp(&(a * direction)));
        nodes.dedup();
        nodes
    }

    /// What happens at `t`.
    fn instant(&self, t: f64) -> Option<&'a TracedInstant<T>> {
        let trace = &self.solved.trace;
        trace.instants.iter().find(|instant| trace.t[instant.node] == t)
    }

    /// Goes back from `from` to `to`. `z` are the states.
    fn leg(&mut self, (from, to): (f64, f64), z: &mut [T]) -> Result<(), Failure> {
        let (kernels, options) = match &self.way {
            Way::Alone(kernels, options) => (*kernels, options),
            Way::Along(pull, options) => {
                let (lambda, kappa) = self.bar_y.split_at_mut(z.len());
                let piece = Piece {
                    context: self.context,
                    number: self.number,
                    solved: self.solved,
                    pull,
                    n_states: z.len(),
                    kappa,
                    from: (from, z),
                    to,
                };
                go_back(&piece, lambda, &mut self.quadratures, options, &mut self.cost)?;
                let state = self.context.state_at(self.number, self.solved, to);
                z.copy_from_slice(&state.expect("a node lies within the run")[..z.len()]);
                return Ok(());
            }
        };
        let Fixed { a, q } = &self.solved.fixed;
        let n_states = z.len();
        let (lambda, kappa) = self.bar_y.split_at_mut(n_states);
        let w = [&*z, &*lambda, &self.quadratures].concat();
        let fixed = Fixed { a: [a, &*kappa].concat(), q: q.clone() };
        let tableau = self.context.plan.tableau(self.number);
        let mut step = Augmented {
            kernels,
            context: self.context,
            fixed: &fixed,
            dim: w.len(),
            n_stages: tableau.n_stages(),
            workspace: &mut self.workspace,
        };
        let end = solve(&mut step, tableau, (from, to), &w, options, &mut ())?;
        self.cost.steps += end.stats.attempts();
        self.cost.evaluations += end.stats.evaluations;
        if !end.outcome.is_success() {
            return Err(Failure::GoingBack {
                solve: self.number,
                by: Returning::Alone,
                outcome: end.outcome,
            });
        }
        z.copy_from_slice(&end.y[..n_states]);
        lambda.copy_from_slice(&end.y[n_states..2 * n_states]);
        self.quadratures.copy_from_slice(&end.y[2 * n_states..]);
        Ok(())
    }

    /// What the sites of this kind feel when their time moves and the rate there is `slope`.
    fn felt_by(&self, kind: SiteKind, slope: &[T]) -> f64 {
        let n = slope.len();
        rows_of(self.context, self.number, kind).map(|row| dot(&self.site_bars[row * n..][..n], slope)).sum()
    }

    /// The rates of states and channels where the states are `z`.
    fn slope(&mut self, (t, inside): (f64, f64), z: &[T], slope: &mut [T]) {
        let (t, inside) = ([T::from_f64(t)], [T::from_f64(inside)]);
        let mut y = z.to_vec();
        y.resize(slope.len(), T::default());
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&inside), T::input(&y)]);
        self.context.push_motion(&mut inputs, &self.solved.fixed);
        let system = self.context.plan.layout.solves[self.number].system;
        let rate = &self.context.plan.systems[system].rate;
        rate.call(&inputs, &mut [T::output(slope)], &mut self.workspace);
    }
}

/// The compiled adjoint equation as the solver sees it.
struct Augmented<'a, 'b, T> {
    kernels: &'a BackKernels,
    context: &'a Context<'b, T>,
    fixed: &'a Fixed<T>,
    dim: usize,
    n_stages: usize,
    workspace: &'a mut Workspace,
}

impl<T: Element> Step<T> for Augmented<'_, '_, T> {
    fn dim(&self) -> usize {
        self.dim
    }

    fn n_stages(&self) -> usize {
        self.n_stages
    }

    fn rate(&mut self, t: f64, inside: f64, y: &[T], dy: &mut [T]) {
        let (t, inside) = ([T::from_f64(t)], [T::from_f64(inside)]);
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&inside), T::input(y)]);
        self.context.push_motion(&mut inputs, self.fixed);
        self.kernels.rate.call(&inputs, &mut [T::output(dy)], self.workspace);
    }

    fn step(&mut self, t: f64, h: f64, y: &[T], stages: &mut [T], y_new: &mut [T], err: &mut [T]) {
        let (t, h) = ([T::from_f64(t)], [T::from_f64(h)]);
        let (k1, tail) = stages.split_at_mut(y.len());
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&h), T::input(y), T::input(k1)]);
        self.context.push_motion(&mut inputs, self.fixed);
        let mut outputs = [T::output(tail), T::output(y_new), T::output(err)];
        self.kernels.step.call(&inputs, &mut outputs, self.workspace);
    }

    /// Nobody looks inside the steps on the way back.
    fn extend(&mut self, _: f64, _: f64, _: &[T], _: &mut [T]) {}
}
