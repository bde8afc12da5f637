//! The reverse walk through the solves of a run.
//!
//! Cotangents of the values known of every solve are gathered from the last solve to the first:
//! when its turn comes, a solve has received those of everything behind it, sends them through its
//! steps, and its start sends what arrives there to the solves before it and to the params.

use crate::backend::{Output, Workspace};
use crate::plan::adjoint::backsolve::Back;
use crate::plan::adjoint::discrete::{self, StartBars, add, zeros};
use crate::plan::adjoint::{Cost, backsolve};
use crate::plan::controls::{Adjoint, Controls, Failure};
use crate::plan::layout::Layout;
use crate::plan::operands::{Context, Known};
use crate::plan::unit::{Element, Kernel};
use std::ops::AddAssign;

/// Cotangents of the values known of each solve, and of the params.
pub(crate) struct Bars<T> {
    /// By solve; `None` before anything has arrived.
    solves: Vec<Option<SolveBars<T>>>,
    /// Of the params on their declared scale, `[P]`.
    pub p: Vec<T>,
    /// What all reverse passes so far cost.
    pub cost: Cost,
}

/// Cotangents of the known values of a solve.
struct SolveBars<T> {
    ends: [[T; 1]; 2],
    sites: Vec<T>,
}

impl<T: Element> SolveBars<T> {
    fn zeros(layout: &Layout, solve: usize) -> SolveBars<T> {
        let len = layout.solves[solve].rows * layout.system_of(solve).n;
        SolveBars { ends: [[T::default()]; 2], sites: zeros(len) }
    }

    /// One output for each known value.
    fn outputs<'a>(&'a mut self, layout: &Layout, solve: usize) -> Vec<Output<'a>> {
        let mut outputs: Vec<Output<'a>> = self.ends.iter_mut().map(|end| T::output(end)).collect();
        let mut rows = &mut self.sites[..];
        for count in &layout.solves[solve].site_rows {
            let (site, rest) = rows.split_at_mut(count * layout.system_of(solve).n);
            outputs.push(T::output(site));
            rows = rest;
        }
        outputs
    }
}

impl<T: Element + AddAssign> Bars<T> {
    /// Zeros.
    pub fn new(layout: &Layout) -> Bars<T> {
        let solves = layout.solves.iter().map(|_| None).collect();
        Bars { solves, p: zeros(layout.n_params), cost: Cost::default() }
    }

    /// Adds what the cotangents of its results send through a function of the run, whose cotangent
    /// function is `vjp`, to the solves in `reads` and to the params.
    pub fn pull_back(
        &mut self,
        context: &Context<'_, T>,
        known: &Known<T>,
        (vjp, reads): (&Kernel, &[usize]),
        cotangents: &[&[T]],
    ) {
        let layout = &context.plan.layout;
        let mut inputs = context.run_inputs(reads, known);
        inputs.extend(cotangents.iter().map(|cotangent| T::input(cotangent)));
        let mut shares: Vec<SolveBars<T>> =
            reads.iter().map(|solve| SolveBars::zeros(layout, *solve)).collect();
        let mut share_p = zeros(self.p.len());
        let mut outputs: Vec<Output<'_>> = Vec::new();
        for (solve, share) in reads.iter().zip(&mut shares) {
            outputs.extend(share.outputs(layout, *solve));
        }
        outputs.push(T::output(&mut share_p));
        vjp.call(&inputs, &mut outputs, &mut Workspace::default());
        drop(outputs);
        add(&mut self.p, &share_p);
        for (solve, share) in reads.iter().zip(shares) {
            match &mut self.solves[*solve] {
                Some(bars) => {
                    bars.ends.iter_mut().zip(&share.ends).for_each(|(sum, end)| add(sum, end));
                    add(&mut bars.sites, &share.sites);
                }
                none => *none = Some(share),
            }
        }
    }

    /// Sends what has arrived at the solves in `needs` (ascending) back to the params.
    pub fn reverse(
        &mut self,
        context: &Context<'_, T>,
        known: &Known<T>,
        needs: &[usize],
        controls: &Controls,
    ) -> Result<(), Failure> {
        for number in needs.iter().rev() {
            if let Some(bars) = self.solves[*number].take() {
                self.through(context, known, (*number, bars), controls)?;
            }
        }
        Ok(())
    }

    fn through(
        &mut self,
        context: &Context<'_, T>,
        known: &Known<T>,
        (number, bars): (usize, SolveBars<T>),
        controls: &Controls,
    ) -> Result<(), Failure> {
        let plan = context.plan;
        let system = plan.layout.solves[number].system;
        let solved = known[number].as_ref().expect("what is differentiated has run");
        plan.check_reversible(number, controls.adjoints[system])?;
        let kernels = plan.solve_cotangents(number)?;
        let moving = kernels.moving;
        // The time at which an event ended the solve is a result of it.
        let bar_end = if solved.stopped { bars.ends[1][0].to_f64() } else { 0.0 };
        let arriving = (&bars.sites[..], bar_end);
        // Steps add to what the params have already received, in this order.
        let mut bar_q = plan.layout.system_of(number).gather(&self.p);
        let (back, cost) = match controls.adjoints[system] {
            Adjoint::Discrete | Adjoint::Checkpoint(_) => {
                discrete::reverse(context, number, solved, moving, arriving, &mut bar_q)?
            }
            Adjoint::Interpolating(choice) => {
                let how = (Back::Along(choice), &controls.options[system]);
                backsolve::reverse(context, number, solved, moving, arriving, &mut bar_q, how)?
            }
            Adjoint::Forward => crate::bug!("a gradient that goes forward is on its way back"),
            Adjoint::Backsolve(choice) => {
                let how = (Back::Alone(choice), &controls.options[system]);
                backsolve::reverse(context, number, solved, moving, arriving, &mut bar_q, how)?
            }
        };
        self.cost.add(cost);
        let StartBars { y0, a, ends, times, stops } = back;
        plan.layout.system_of(number).scatter(&bar_q, &mut self.p);
        let start = (&kernels.start, &plan.solves[number].start.reads[..]);
        if moving.ends {
            let by_end = |end: usize| T::from_f64(bars.ends[end][0].to_f64() + ends[end]);
            let last = if solved.stopped { T::default() } else { by_end(1) };
            self.pull_back(context, known, start, &[&[by_end(0)], &[last], &y0, &a]);
        } else {
            self.pull_back(context, known, start, &[&y0, &a]);
        }
        if let Some(vjp) = &kernels.times {
            self.pull_back(context, known, (vjp, &plan.solves[number].times.reads), &[&times]);
        }
        if let Some(vjp) = &kernels.stops {
            self.pull_back(context, known, (vjp, &plan.solves[number].stops.reads), &[&stops]);
        }
        Ok(())
    }
}
