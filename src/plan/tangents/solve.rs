//! One solve with its sensitivities.

use crate::backend::Workspace;
use crate::ir::system::SiteKind;
use crate::plan::adjoint::Cost;
use crate::plan::adjoint::discrete::{rows_of, zeros};
use crate::plan::adjoint::hessian::Results;
use crate::plan::controls::{Controls, Failure};
use crate::plan::forward::Solved;
use crate::plan::kernels::Moving;
use crate::plan::operands::{Context, Fixed};
use crate::plan::stepping::{Interrupts, Motion};
use crate::plan::tangents::events::Shifting;
use crate::plan::tangents::motion::{Blocks, Carrying};
use crate::plan::tangents::{Chain, SolveTangents, Tangents};
use crate::plan::trace::Place;
use crate::plan::unit::{Element, Inputs};
use crate::solve::adams::Adams;
use crate::solve::auto::Auto;
use crate::solve::control::{Adaptive, Atol, Errors, Norm};
use crate::solve::explicit::Explicit;
use crate::solve::implicit::{Bdf, Esdirk, Gauss, Radau, Rosenbrock};
use crate::solve::method::{Kind, Stiff};
use crate::solve::outcome::Outcome;
use crate::solve::record::SaveAt;
use crate::solve::reversible::Reversing;
use crate::solve::solve::{Options, Stepping, integrate};
use crate::solve::stepper::Stepper;
use crate::solve::symplectic::Symplectic;
use crate::solve::taylor::Taylor;
use std::cell::Cell;
use std::ops::Range;

/// What a solve starts from, and how that moves in each direction.
struct Start<T> {
    ends: (f64, f64),
    y: Vec<T>,
    dt0: Vec<f64>,
    dt1: Vec<f64>,
    dy: Vec<Vec<T>>,
    /// Of args and params.
    fixed: Vec<(Vec<T>, Vec<T>)>,
}

/// The tangents of the known values of solve `number`.
pub(super) fn through<T: Element>(
    chain: &Chain<'_, T>,
    number: usize,
    controls: &Controls,
    cost: &mut Cost,
) -> Result<Tangents<T>, Failure> {
    let context = chain.context;
    let plan = context.plan;
    let system = plan.layout.solves[number].system;
    let layout = &plan.layout.systems[system];
    let solved = chain.known[number].as_ref().expect("what is differentiated has run");
    let (kernels, of_solve) = (plan.sensitive(system)?, plan.solve_tangents(number)?);
    let n_directions = chain.directions.len();
    let shape = Blocks { n_states: layout.n_states, n_channels: layout.n - layout.n_states, n_directions };
    let Start { ends, y, dt0, mut dt1, dy, fixed } = start(chain, number, of_solve);

    let mut w = zeros(shape.len());
    shape.set(&mut w, 0, &y);
    let moves = of_solve.moving.ends;
    let slope0 = if moves {
        slope(context, number, solved, (ends.0, first_inside(solved)), &y)
    } else {
        zeros(y.len())
    };
    for (along, dy) in dy.iter().enumerate() {
        shape.set(&mut w, 1 + along, &advanced(dy, &slope0, -dt0[along]));
    }
    let all = Fixed {
        a: joined(&solved.fixed.a, fixed.iter().map(|(da, _)| da)),
        q: joined(&solved.fixed.q, fixed.iter().map(|(_, dq)| dq)),
    };
    let fresh = Cell::new(false);
    let alone = || Motion::new(context, number, &solved.fixed, &fresh, (ends.0, y.clone()));
    let kind = plan.method(number).kind;
    let carrying = || Carrying {
        context,
        kernels,
        shape,
        fixed: &all,
        alone: alone(),
        n_stages: match kind {
            Kind::Explicit(tableau) | Kind::Auto(tableau) => tableau.n_stages(),
            Kind::Stiff(_)
            | Kind::Multistep
            | Kind::Taylor { .. }
            | Kind::Symplectic(_)
            | Kind::Reversible(_)
            | Kind::Stochastic(_) => 0,
        },
        workspace: Workspace::default(),
    };
    let (mut motion, mut other) = (carrying(), carrying());
    let mut events = Shifting {
        context,
        kernels,
        number,
        solved,
        shape,
        fixed: &fixed,
        ends,
        dt0: &dt0,
        alone: Interrupts::new(alone()),
        instant: None,
        shift: vec![0.0; n_directions],
        failure: None,
        workspace: Workspace::default(),
    };
    let options = options(&controls.options[system], &solved.stops, shape, kind);
    let mut sites = SaveAt::new(&solved.times, ends, w.len());
    let stepping = &options.stepping;
    let mut run =
        |method: &mut dyn Stepper<T>| integrate(method, &mut events, ends, &w, &options, &mut sites);
    let end = match kind {
        Kind::Explicit(tableau) => run(&mut Explicit::new(&mut motion, tableau, stepping)),
        Kind::Stiff(Stiff::Radau5) => run(&mut Radau::new(&mut motion, stepping)),
        Kind::Stiff(Stiff::Rodas5p) => run(&mut Rosenbrock::new(&mut motion, stepping)),
        Kind::Stiff(Stiff::Bdf) => run(&mut Bdf::new(&mut motion, stepping)),
        Kind::Symplectic(composition) => run(&mut Symplectic::new(&mut motion, composition, stepping)),
        Kind::Stiff(Stiff::Dirk(dirk)) => run(&mut Esdirk::new(&mut motion, dirk, stepping)),
        Kind::Stiff(Stiff::Gauss(method)) => run(&mut Gauss::new(&mut motion, method, stepping)),
        Kind::Multistep => run(&mut Adams::new(&mut motion, stepping)),
        Kind::Reversible(method) => run(&mut Reversing::new(&mut motion, method, stepping)),
        Kind::Taylor { .. } => run(&mut Taylor::new(&mut motion, stepping)),
        Kind::Auto(tableau) => {
            let constrained = plan.system_of(number).is_constrained();
            run(&mut Auto::new(&mut motion, tableau, &mut other, constrained, stepping))
        }
        Kind::Stochastic(_) => crate::bug!("no such method carries sensitivities"),
    }?;
    if let Some(failure) = events.failure.take() {
        return Err(failure);
    }
    cost.steps += end.stats.attempts();
    cost.evaluations += end.stats.evaluations;
    if !end.outcome.is_success() {
        return Err(Failure::Carrying { solve: number, outcome: end.outcome });
    }
    let mut rows = sites.ys().to_vec();
    let stopped = end.outcome == Outcome::Stopped;
    if stopped {
        dt1.clone_from(&events.shift);
        for row in rows_of(context, number, SiteKind::End) {
            rows[row * w.len()..][..w.len()].copy_from_slice(&end.y);
        }
    }
    let mut tangents = Tangents {
        ends: (0..n_directions).map(|along| [dt0[along], dt1[along]].map(|dt| [T::from_f64(dt)])).collect(),
        sites: (0..n_directions)
            .map(|along| rows.chunks(w.len().max(1)).flat_map(|row| shape.get(row, 1 + along)).collect())
            .collect(),
    };
    let moving = Moving { ends: moves || stopped, ..of_solve.moving };
    if moving.ends || moving.sites {
        let mut shifts = Shifts { chain, number, solved, of_solve, moving, rows: Vec::new() };
        for (along, sites) in tangents.sites.iter_mut().enumerate() {
            shifts.add((along, dt0[along], dt1[along]), sites);
        }
    }
    Ok(tangents)
}

/// Adds what moves with the times of the sites.
struct Shifts<'a, 'b, T> {
    chain: &'a Chain<'b, T>,
    number: usize,
    solved: &'a Solved<T>,
    of_solve: &'a SolveTangents,
    moving: Moving,
    /// The rate at each row, once known.
    rows: Vec<Vec<T>>,
}

impl<T: Element> Shifts<'_, '_, T> {
    fn add(&mut self, (along, dt0, dt1): (usize, f64, f64), sites: &mut [T]) {
        let (context, number) = (self.chain.context, self.number);
        let mut by_row = vec![0.0; self.solved.times.len()];
        if self.moving.ends {
            rows_of(context, number, SiteKind::Start).for_each(|row| by_row[row] = dt0);
            rows_of(context, number, SiteKind::End).for_each(|row| by_row[row] = dt1);
        }
        if let Some(kernel) = &self.of_solve.times {
            let func = &context.plan.funcs.packed.solves[number].times;
            let reads = &context.plan.solves[number].times.reads;
            let mut inputs = context.run_inputs(reads, self.chain.known);
            self.chain.push_tangents(&mut inputs, reads, along);
            let mut results = Results::new(&[func.func.ty(func.func.results[0].value).shape.count()]);
            results.call(kernel, &inputs, &mut Workspace::default());
            let times: Vec<T> = results.take_tangent(0);
            for (row, dt) in rows_of(context, number, SiteKind::Times).zip(times) {
                by_row[row] = dt.to_f64();
            }
        }
        if self.rows.is_empty() {
            self.rows = (0..by_row.len()).map(|row| self.slope(row)).collect();
        }
        let n = self.solved.trace.n;
        for (row, by) in by_row.iter().enumerate().filter(|(_, by)| **by != 0.0) {
            let site = &mut sites[row * n..][..n];
            let moved = advanced(site, &self.rows[row], *by);
            site.copy_from_slice(&moved);
        }
    }

    /// The rate at a row, on the side of its step.
    fn slope(&self, row: usize) -> Vec<T> {
        let (trace, n) = (&self.solved.trace, self.solved.trace.n);
        let is_end = rows_of(self.chain.context, self.number, SiteKind::End).any(|end| end == row);
        let step = match self.solved.places[row] {
            Place::Inside { step, .. } => step,
            Place::Node(node) if is_end => node.saturating_sub(1),
            Place::Node(node) => node,
        };
        let step = step.min(trace.n_steps().saturating_sub(1));
        let t = self.solved.times[row];
        let inside = trace.h.get(step).map_or(t, |h| trace.t[step] + 0.5 * h);
        slope(self.chain.context, self.number, self.solved, (t, inside), &self.solved.sites[row * n..][..n])
    }
}

/// A time inside the first step.
fn first_inside<T: Element>(solved: &Solved<T>) -> f64 {
    solved.trace.t[0] + 0.5 * solved.trace.h.first().copied().unwrap_or(0.0)
}

fn advanced<T: Element>(y: &[T], rate: &[T], by: f64) -> Vec<T> {
    y.iter().zip(rate).map(|(y, rate)| T::from_f64(y.to_f64() + by * rate.to_f64())).collect()
}

fn joined<'a, T: Element>(first: &[T], rest: impl Iterator<Item = &'a Vec<T>>) -> Vec<T> {
    let mut all = first.to_vec();
    rest.for_each(|part| all.extend_from_slice(part));
    all
}

fn slope<T: Element>(
    context: &Context<'_, T>,
    number: usize,
    solved: &Solved<T>,
    (t, inside): (f64, f64),
    y: &[T],
) -> Vec<T> {
    let (t, inside) = ([T::from_f64(t)], [T::from_f64(inside)]);
    let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&inside), T::input(y)]);
    context.push_motion(&mut inputs, &solved.fixed);
    let mut slope = zeros(y.len());
    let system = context.plan.layout.solves[number].system;
    let rate = &context.plan.systems[system].rate;
    rate.call(&inputs, &mut [T::output(&mut slope)], &mut Workspace::default());
    slope
}

fn start<T: Element>(chain: &Chain<'_, T>, number: usize, of_solve: &SolveTangents) -> Start<T> {
    let context = chain.context;
    let (layout, reads) = (context.plan.layout.system_of(number), &context.plan.solves[number].start.reads);
    let mut start = Start {
        ends: (0.0, 0.0),
        y: Vec::new(),
        dt0: Vec::new(),
        dt1: Vec::new(),
        dy: Vec::new(),
        fixed: Vec::new(),
    };
    for (along, direction) in chain.directions.iter().enumerate() {
        let mut inputs = context.run_inputs(reads, chain.known);
        chain.push_tangents(&mut inputs, reads, along);
        let mut results: Results<T> = Results::new(&[1, 1, layout.n, layout.n_args]);
        results.call(&of_solve.start, &inputs, &mut Workspace::default());
        start.dt0.push(results.take_tangent(0)[0].to_f64());
        start.dt1.push(results.take_tangent(1)[0].to_f64());
        start.dy.push(results.take_tangent(2));
        start.fixed.push((results.take_tangent(3), layout.gather(direction)));
        start.ends = (results.take_value(0)[0].to_f64(), results.take_value(1)[0].to_f64());
        start.y = results.take_value(2);
    }
    start
}

/// How a system is solved with its sensitivities: stops included, and every sensitivity held to the
/// tolerance of its state. Those of an explicit method have no say in the steps.
fn options<T: Element>(alone: &Options, stops: &[T], shape: Blocks, kind: Kind) -> Options {
    let Blocks { n_states, n_directions, .. } = shape;
    let stepping = match &alone.stepping {
        Stepping::Fixed { dt } => Stepping::Fixed { dt: *dt },
        Stepping::Adaptive(alone) => {
            let atol = match &alone.atol {
                Atol::Scalar(atol) => Atol::Scalar(*atol),
                Atol::PerComponent(own) => {
                    let (states, channels) = own.split_at(n_states);
                    let blocks = |part: &[f64]| part.repeat(1 + n_directions);
                    Atol::PerComponent([blocks(states), blocks(channels)].concat())
                }
            };
            let norm = match &alone.norm {
                Norm::Rms => Norm::Rms,
                Norm::Max => Norm::Max,
                Norm::Blocks(own) => {
                    let n_blocks = own.iter().max().map_or(0, |last| last + 1);
                    let (states, channels) = own.split_at(n_states);
                    let copies = |part: &[usize]| -> Vec<usize> {
                        let copy = |copy: usize| part.iter().map(move |block| block + copy * n_blocks);
                        (0..1 + n_directions).flat_map(copy).collect()
                    };
                    Norm::Blocks([copies(states), copies(channels)].concat())
                }
            };
            let own = |at: usize| alone.errors.count(at);
            let steers = |at: usize, copy: usize| match kind {
                Kind::Explicit(_) => copy == 0 && own(at),
                Kind::Stiff(_)
                | Kind::Multistep
                | Kind::Taylor { .. }
                | Kind::Auto(_)
                | Kind::Symplectic(_)
                | Kind::Reversible(_)
                | Kind::Stochastic(_) => own(at),
            };
            let copies = |part: Range<usize>| {
                (0..1 + n_directions).flat_map(move |copy| part.clone().map(move |at| (at, copy)))
            };
            let all = copies(0..n_states).chain(copies(n_states..n_states + shape.n_channels));
            let errors = Errors::Mask(all.map(|(at, copy)| steers(at, copy)).collect());
            Stepping::Adaptive(Adaptive { atol, errors, norm, ..alone.clone() })
        }
    };
    let mut options = Options { stepping, ..alone.clone() };
    options.stops.extend(stops.iter().map(|stop| stop.to_f64()));
    options
}
