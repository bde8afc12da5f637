//! A compiled model as [`Examples`]: several of them at once where that can be, one at a time where it
//! cannot.

use crate::engine::Run;
use crate::engine::example::At;
use crate::ir::program::Role;
use crate::plan::Plan;
use crate::plan::block::{MOST_BLOCKS, Point, Room};
use crate::plan::controls::{Controls, Failure, Save};
use crate::plan::objective::Objective;
use crate::plan::operands::Context;
use crate::plan::pack::Target;
use crate::plan::unit::{Data, Element};
use crate::train::minibatch::{Call, Examples, Term};
use crate::train::sum::Sums;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What a thread keeps of the steps of its block, at most: what a hundred steps of a net of some hundred
/// neurons need. Of longer runs the last steps are computed again on the way back, at about the price of
/// half of it.
const KEPT_BYTES: usize = 64 << 20;

/// A run as examples, in the precision `T`.
pub(super) struct OnModel<'a, T> {
    run: &'a Run,
    controls: Controls,
    terms: Vec<Term>,
    /// The results that `terms` are, by their number.
    results: Vec<usize>,
    has_priors: bool,
    /// Whether several examples are taken at once: without a gradient, and with one.
    at_once: [bool; 2],
    /// Bytes that the steps of a block keep for the way back, at most.
    kept_bytes: usize,
    /// Where blocks are run, when no thread is in them.
    rooms: Mutex<Vec<Room<T>>>,
    evaluations: AtomicU64,
}

/// A point in free space, and there the params and data that all examples share.
pub(super) struct Standing<T> {
    u: Vec<T>,
    point: Point<T>,
}

impl<'a, T: Element + AddAssign> OnModel<'a, T> {
    /// The examples of `run`.
    pub fn new(run: &'a Run) -> OnModel<'a, T> {
        let (mut terms, mut results) = (Vec::new(), Vec::new());
        for (number, result) in run.program().results.iter().enumerate() {
            let lowered = match result.role {
                Role::Loss | Role::Likelihood => true,
                Role::Metric => false,
                Role::Prior | Role::Output | Role::Plot => continue,
            };
            terms.push(Term { name: result.name.to_string(), lowered });
            results.push(number);
        }
        let controls = Controls { save: Save::Nothing, ..run.parts().controls.clone() };
        let plan = run.plan();
        let at_once = [plan.runs_in_blocks(), plan.differentiates_in_blocks(&controls)];
        let has_priors = run.program().results.iter().any(|result| result.role == Role::Prior);
        let (rooms, evaluations) = (Mutex::default(), AtomicU64::new(0));
        let kept_bytes = KEPT_BYTES;
        OnModel { run, controls, terms, results, has_priors, at_once, kept_bytes, rooms, evaluations }
    }

    /// Evaluations of rates so far, on all ways forward.
    pub fn evaluations(&self) -> u64 {
        self.evaluations.load(Ordering::Relaxed)
    }

    fn plan(&self) -> &'a Plan {
        self.run.plan()
    }

    /// Several examples at once; `false` and nothing done if one of them has to be looked at alone.
    fn at_once(
        &self,
        standing: &Standing<T>,
        call: Call,
        examples: &[usize],
        gradient: bool,
        sums: &mut Sums,
    ) -> Result<bool, Failure> {
        let (plan, ports) = (self.plan(), &self.run.program().data);
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let room = rooms.pop();
        drop(rooms);
        let mut room = room.unwrap_or_else(|| Room::new(plan, MOST_BLOCKS, self.kept_bytes));
        let width = plan.block_width();
        let mut values = Vec::new();
        for (block, examples) in room.data().iter_mut().zip(examples.chunks(width)) {
            for (lane, example) in examples.iter().enumerate() {
                let lanes = if lane + 1 == examples.len() { lane..width } else { lane..lane + 1 };
                for port in block.ports() {
                    values.resize(ports[port].ty.shape.count(), 0.0);
                    self.run.read(&ports[port], at(call, *example), &mut values);
                    block.set(port, lanes.clone(), &values);
                }
            }
        }
        let (point, controls, count) = (&standing.point, &self.controls, examples.len());
        let add = |blocks: &[Vec<T>], terms: &mut [f64]| {
            for (block, values) in blocks.iter().enumerate() {
                let lanes = width.min(count - block * width);
                // The objective comes before the terms that it is the sum of.
                let mut rows = values.chunks_exact(width).skip(usize::from(gradient));
                for (sum, term) in terms.iter_mut().zip(&self.terms) {
                    if gradient && !term.lowered {
                        *sum = f64::NAN;
                        continue;
                    }
                    let row = rows.next().expect("a row for each term");
                    row[..lanes].iter().for_each(|value| *sum += value.to_f64());
                }
            }
        };
        let done = match gradient {
            false => room.terms(plan, point, controls, count)?.map(|values| add(values, &mut sums.terms)),
            true => room.gradient(plan, point, controls, count)?.map(|(values, by)| {
                add(values, &mut sums.terms);
                sums.add_slopes(by.iter().map(|by| by.to_f64()));
            }),
        };
        if done.is_some() {
            self.evaluations.fetch_add(room.evaluations(count), Ordering::Relaxed);
        }
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner).push(room);
        Ok(done.is_some())
    }

    /// One example.
    fn alone(
        &self,
        standing: &Standing<T>,
        data: &Data,
        gradient: bool,
        sums: &mut Sums,
    ) -> Result<(), Failure> {
        let (plan, p) = (self.plan(), &standing.point.p);
        let terms = &mut sums.terms;
        if !gradient {
            let context = Context { plan, p, data };
            let simulation = context.simulate(&self.controls)?;
            self.evaluations.fetch_add(simulation.stats().evaluations, Ordering::Relaxed);
            let (_, values) = context.results(&simulation);
            let each = terms.iter_mut().zip(&self.results);
            each.for_each(|(sum, number)| *sum += values[*number][0]);
            return Ok(());
        }
        // Only what is lowered is computed: a metric may need solves of its own.
        let objective = Objective::new(plan, data, &self.controls, Target::Example);
        let at = objective.at_params(p.clone())?;
        self.evaluations.fetch_add(at.simulation.stats().evaluations, Ordering::Relaxed);
        let mut lowered = at.terms.iter();
        for (sum, term) in terms.iter_mut().zip(&self.terms) {
            *sum += match term.lowered {
                true => *lowered.next().expect("losses and likelihoods are the terms of an example"),
                false => f64::NAN,
            };
        }
        let (by, _) = objective.gradient_in_params(&at)?;
        sums.add_slopes(by.iter().map(|by| by.to_f64()));
        Ok(())
    }
}

fn at(call: Call, example: usize) -> At {
    let Call { part, step, epoch, in_step } = call;
    At { part, example, step, epoch, draws: if in_step { step } else { At::EVALUATION } }
}

impl<T: Element + AddAssign> Examples for OnModel<'_, T> {
    type Failure = Failure;
    type Point = Standing<T>;

    fn n_params(&self) -> usize {
        crate::plan::scale::n_free(self.run.program())
    }

    fn terms(&self) -> &[Term] {
        &self.terms
    }

    fn block(&self, gradient: bool) -> usize {
        if !self.at_once[usize::from(gradient)] {
            return 1;
        }
        // What does not compile is found out when it is wanted.
        let n_blocks = if gradient { self.plan().group_size().unwrap_or(1) } else { MOST_BLOCKS };
        n_blocks * self.plan().block_width()
    }

    fn point(&self, u: &[f64], call: Call) -> Result<Standing<T>, Failure> {
        let u: Vec<T> = u.iter().map(|u| T::from_f64(*u)).collect();
        let p = self.plan().constrained(&u)?;
        let data = self.run.shared_data(at(call, 0));
        Ok(Standing { point: Point::new(self.plan(), p, data), u })
    }

    fn examples(
        &self,
        standing: &Standing<T>,
        call: Call,
        examples: &[usize],
        gradient: bool,
        sums: &mut Sums,
    ) -> Result<(), Failure> {
        // One alone costs less than a block of it.
        if examples.len() > 1 && self.at_once(standing, call, examples, gradient, sums)? {
            return Ok(());
        }
        for example in examples {
            let data = self.run.with_own_data(&standing.point.data, at(call, *example));
            self.alone(standing, &data, gradient, sums)?;
        }
        Ok(())
    }

    fn in_free_space(&self, standing: &Standing<T>, slopes: &[f64]) -> Result<Vec<f64>, Failure> {
        let bar_p: Vec<T> = slopes.iter().map(|slope| T::from_f64(*slope)).collect();
        let parts = self.run.parts();
        let objective = Objective::new(&parts.plan, &parts.data, &self.controls, Target::Example);
        let by_u = objective.free_cotangent(&standing.u, &bar_p)?;
        Ok(by_u.into_iter().map(T::to_f64).collect())
    }

    fn priors(&self, u: &[f64], weight: f64, gradient: &mut [f64]) -> Result<f64, Failure> {
        if !self.has_priors {
            return Ok(0.0);
        }
        let parts = self.run.parts();
        let objective = Objective::new(&parts.plan, &parts.data, &self.controls, Target::Priors);
        let u: Vec<T> = u.iter().map(|u| T::from_f64(*u)).collect();
        let at = objective.at(&u)?;
        let by_u = objective.gradient(&u, &at)?;
        gradient.iter_mut().zip(by_u).for_each(|(sum, g)| *sum += weight * g.to_f64());
        Ok(at.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Model;
    use crate::data::Part;
    use crate::train::minibatch;
    use crate::train::sum::Adder;

    const NET: &str = "
        use std.layers (MLP)
        fn point() { (x = [sample(normal(0, 1)), sample(normal(0, 3))]) }
        data d = synthetic(point(n = 40), seed = 3) { x: [batch, 2] }
        param net = MLP[2, 2](hidden = [12, 12], act = tanh)
        time t in 0..1
        state z: [2] = d.x
        z' = 4*net(z)
        channel speed' = sumsq(z')
        loss fit = sumsq(z(end)) + sumsq(z(0.37)) + speed(end)
    ";

    fn run(solve: &str, precision: &str) -> Run {
        let text = format!("{NET}\nsolve {{ {solve} }}\nrun {{ precision = {precision} }}\n");
        let model = Model::parse(&text).unwrap_or_else(|all| panic!("{}", all.render()));
        model.bind().build().unwrap_or_else(|all| panic!("{}", all.render()))
    }

    fn gradient<T: Element + AddAssign>(run: &Run, kept_bytes: usize) -> Vec<u64> {
        let on_model = OnModel::<T> { kept_bytes, ..OnModel::new(run) };
        let system = on_model.plan().layout.solves[0].system;
        let pulls = on_model.plan().system_pulls(system).expect("it compiles");
        assert!(pulls.keeping.is_some(), "activations are worth keeping");
        let call = Call { part: Part::Train, step: 0, epoch: 0, in_step: true };
        let (u, examples): (_, Vec<usize>) = (run.free_params().expect("it has params"), (0..40).collect());
        let of = |adder: &Adder| {
            let found = minibatch::slopes(&on_model, &u, call, &examples, 1, adder);
            let (_, mean) = found.unwrap_or_else(|_| panic!("it solves"));
            mean.terms.iter().chain(&mean.slopes).map(|number| number.to_bits()).collect::<Vec<u64>>()
        };
        let (adder, first) = (Adder::default(), of(&Adder::default()));
        assert_eq!(of(&adder), first, "in a room that was used");
        first
    }

    /// Steps that are kept, that are computed again, some of each; lanes that go apart by rejections and
    /// lanes that do not.
    #[test]
    fn the_gradient_has_the_same_bits_whatever_is_kept() {
        let methods = [
            "method = dopri5, rtol = 1e-6, atol = 1e-6",
            "method = dop853, rtol = 1e-8, atol = 1e-8",
            "method = rk4, dt = 0.1",
        ];
        for solve in methods {
            let (double, single) = (run(solve, "f64"), run(solve, "f32"));
            let (all, all_single) = (gradient::<f64>(&double, 1 << 26), gradient::<f32>(&single, 1 << 26));
            // Of 16 lanes that keep some 150 numbers in a step: none, the first steps, all but the last.
            for bytes in [0, 60_000, 150_000] {
                assert_eq!(gradient::<f64>(&double, bytes), all, "{solve}: {bytes} bytes");
                assert_eq!(gradient::<f32>(&single, bytes), all_single, "{solve}: {bytes} bytes");
            }
        }
    }
}
