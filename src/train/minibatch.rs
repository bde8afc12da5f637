//! Training on minibatches: the loop over epochs and steps.
//!
//! What is lowered is the mean over the examples of a batch of the sum of losses and likelihoods,
//! plus the priors divided by the number of training examples. The loop knows examples by their
//! numbers and params as a vector in free space; an [`Examples`] does the rest. Everything random is
//! keyed: the order of the examples by (`run.seed`, epoch), draws by what the [`Call`] says. So a run
//! that is stopped and resumed from its [`State`] goes on exactly as it would have.

use crate::base::random::Stream;
use crate::data::Part;
use crate::data::split::permutation;
use crate::settings::TrainSettings;
use crate::train::rule::{Rule, clip};
use crate::train::sum::{Adder, Sums};
use std::ops::ControlFlow;

/// A part of a data set with a model on it.
pub trait Examples: Sync {
    /// Why an example has no value.
    type Failure: Send;
    /// A point in free space, made ready for all examples of a call.
    type Point: Sync;

    /// Numbers in free space.
    fn n_params(&self) -> usize;

    /// The named terms of an example: losses and likelihoods, which are lowered, and metrics.
    fn terms(&self) -> &[Term];

    /// How many examples are best taken at once: with a gradient, or without.
    fn block(&self, gradient: bool) -> usize {
        let _ = gradient;
        1
    }

    /// The point `u`, for examples of `call`.
    fn point(&self, u: &[f64], call: Call) -> Result<Self::Point, Self::Failure>;

    /// Adds the value of each term of all `examples` at a point to `sums` and, with a `gradient`, that of the
    /// sum of those that are lowered. Metrics may then be left out: NaN. Gradients may be by other
    /// coordinates than those of free space.
    fn examples(
        &self,
        point: &Self::Point,
        call: Call,
        examples: &[usize],
        gradient: bool,
        sums: &mut Sums,
    ) -> Result<(), Self::Failure>;

    /// The gradient in free space that a gradient of examples is.
    fn in_free_space(&self, point: &Self::Point, slopes: &[f64]) -> Result<Vec<f64>, Self::Failure>;

    /// The sum of the priors at `u`; adds its gradient times `weight` to `gradient`.
    fn priors(&self, u: &[f64], weight: f64, gradient: &mut [f64]) -> Result<f64, Self::Failure>;
}

/// A number of each example that has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// `fit`, `obs.y`.
    pub name: String,
    /// Whether it is part of what is lowered; a metric is not.
    pub lowered: bool,
}

/// Examples of which part of the data, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The part of the data.
    pub part: Part,
    /// The step of training, from 0.
    pub step: u64,
    /// The epoch, from 0.
    pub epoch: u64,
    /// Whether this is a step, rather than a look: draws are then those of the step.
    pub in_step: bool,
}

/// How much there is of what, and what is random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    /// Training examples, at least 1.
    pub train: usize,
    /// Validation examples.
    pub valid: usize,
    /// `run.seed`
    pub seed: u64,
    /// Threads that share a batch.
    pub threads: usize,
}

/// Where training stands between two steps: all that the next one depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The point in free space.
    pub u: Vec<f64>,
    /// The optimiser with its memory.
    pub rule: Rule,
    /// Steps taken.
    pub step: u64,
    /// Epochs that are over.
    pub epoch: u64,
    /// Batches of the present epoch that are over.
    pub batch: u64,
    /// The best point at a look at the validation data, and the value there.
    pub best: Option<(Vec<f64>, f64)>,
    /// Looks since.
    pub looks: u64,
}

/// What an observer is told.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// After a step: means over the batch, at the point before the step.
    Step(&'a Report),
    /// After a look at the validation data: means over all of them.
    Valid(&'a Report),
    /// After an epoch at which a checkpoint is due.
    Checkpoint(&'a State),
}

/// Means over examples.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Steps taken.
    pub step: u64,
    /// The epoch, from 0.
    pub epoch: u64,
    /// What is lowered: lowered terms, and for a batch the priors' share.
    pub objective: f64,
    /// The value of each term, in the order of [`Examples::terms`].
    pub terms: Vec<f64>,
    /// Euclidean norm of the gradient before it was clipped; of a batch.
    pub gradient_norm: Option<f64>,
    /// The factor on the learning rate; of a batch.
    pub rate: Option<f64>,
}

impl Report {
    /// Means that could not be computed: all NaN.
    pub fn unknown((step, epoch): (u64, u64), n_terms: usize) -> Report {
        let terms = vec![f64::NAN; n_terms];
        Report { step, epoch, objective: f64::NAN, terms, gradient_norm: None, rate: None }
    }
}

/// Why training ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended<F> {
    /// All steps or epochs are used up.
    Limit,
    /// The validation data saw nothing better for as long as patience lasts.
    Patience,
    /// The observer said so.
    Stopped,
    /// The objective was not finite at the point after some step, or an example failed there. The
    /// point is the one before that step.
    Diverged(Option<F>),
}

impl State {
    /// Training that begins at `u`.
    pub fn new(u: Vec<f64>, settings: &TrainSettings) -> State {
        let rule = Rule::new(settings.optimizer, u.len());
        State { u, rule, step: 0, epoch: 0, batch: 0, best: None, looks: 0 }
    }
}

/// Trains from `state` on as `settings` say, and leaves `state` at the point to keep: the best one
/// seen by the validation data if training may stop early, the last one otherwise.
pub fn train<E: Examples>(
    examples: &E,
    amounts: Amounts,
    settings: &TrainSettings,
    state: &mut State,
    observe: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> Ended<E::Failure> {
    let mut session = Session { examples, amounts, settings, observe, adder: Adder::default() };
    let ended = session.run(state);
    if let (Some(_), Some((best, _))) = (&settings.early_stop, &state.best) {
        state.u.clone_from(best);
    }
    ended
}

struct Session<'a, E: Examples> {
    examples: &'a E,
    amounts: Amounts,
    settings: &'a TrainSettings,
    observe: &'a mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    adder: Adder,
}

impl<E: Examples> Session<'_, E> {
    fn run(&mut self, state: &mut State) -> Ended<E::Failure> {
        let all = self.amounts.train;
        let batch =
            self.settings.batch.map_or(all, |batch| usize::try_from(batch).unwrap_or(all).clamp(1, all));
        let n_batches = all.div_ceil(batch) as u64;
        // The last point at which the objective was finite.
        let mut good = state.u.clone();
        while self.settings.epochs.is_none_or(|epochs| state.epoch < epochs) {
            let order = permutation(all, &mut Stream::new(self.amounts.seed, "train.order", state.epoch, 0));
            while state.batch < n_batches {
                if state.step >= self.settings.steps {
                    return Ended::Limit;
                }
                let start = state.batch as usize * batch;
                let chosen = &order[start..(start + batch).min(all)];
                let (report, gradient) = match self.step(state, chosen) {
                    Ok(found) => found,
                    Err(failure) => {
                        state.u = good;
                        return Ended::Diverged(failure);
                    }
                };
                good.clone_from(&state.u);
                let factor = self.settings.schedule.factor(state.step, state.epoch);
                state.rule.update(factor, &mut state.u, &gradient);
                state.step += 1;
                state.batch += 1;
                if (self.observe)(Event::Step(&report)).is_break() {
                    return Ended::Stopped;
                }
                let due = self.settings.valid_every.is_some_and(|every| state.step.is_multiple_of(every));
                if due && let ControlFlow::Break(ended) = self.look(state) {
                    return ended;
                }
            }
            state.batch = 0;
            state.epoch += 1;
            if self.settings.valid_every.is_none()
                && let ControlFlow::Break(ended) = self.look(state)
            {
                return ended;
            }
            let due = self.settings.checkpoint.is_some_and(|every| state.epoch.is_multiple_of(every));
            if due && (self.observe)(Event::Checkpoint(state)).is_break() {
                return Ended::Stopped;
            }
        }
        Ended::Limit
    }

    /// The objective of a batch and its gradient, clipped; `Err` if they are not finite.
    fn step(&self, state: &State, chosen: &[usize]) -> Result<(Report, Vec<f64>), Option<E::Failure>> {
        let at = (state.step, state.epoch);
        let found = objective(self.examples, &state.u, self.amounts, chosen, at, &self.adder);
        let (mut report, mut gradient) = found.map_err(Some)?;
        let gradient_norm = clip(&mut gradient, self.settings.clip);
        if !report.objective.is_finite() || !gradient_norm.is_finite() {
            return Err(None);
        }
        report.step += 1;
        report.gradient_norm = Some(gradient_norm);
        report.rate = Some(self.settings.schedule.factor(state.step, state.epoch));
        Ok((report, gradient))
    }

    /// Looks at the validation data, if there are any.
    fn look(&mut self, state: &mut State) -> ControlFlow<Ended<E::Failure>> {
        if self.amounts.valid == 0 {
            return ControlFlow::Continue(());
        }
        let at = (state.step, state.epoch);
        let report = match evaluate(
            self.examples,
            &state.u,
            (Part::Valid, self.amounts.valid),
            self.amounts.threads,
            at,
        ) {
            Ok(report) => report,
            // A point that training can go on from may still be one at which an example that it
            // does not see fails. It is not better than any other.
            Err(_) => Report::unknown(at, self.examples.terms().len()),
        };
        if let Some(patience) = &self.settings.early_stop {
            let at = self.examples.terms().iter().position(|term| term.name == patience.on);
            let value = at.map_or(report.objective, |at| report.terms[at]);
            if state.best.as_ref().is_none_or(|(_, best)| value < *best) && value.is_finite() {
                state.best = Some((state.u.clone(), value));
                state.looks = 0;
            } else {
                state.looks += 1;
            }
            if state.looks >= patience.looks {
                let _ = (self.observe)(Event::Valid(&report));
                return ControlFlow::Break(Ended::Patience);
            }
        }
        match (self.observe)(Event::Valid(&report)) {
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
            ControlFlow::Break(()) => ControlFlow::Break(Ended::Stopped),
        }
    }
}

/// What is lowered at `u`, of the training examples `chosen` at a step of an epoch, and its
/// gradient.
pub fn objective<E: Examples>(
    examples: &E,
    u: &[f64],
    amounts: Amounts,
    chosen: &[usize],
    (step, epoch): (u64, u64),
    adder: &Adder,
) -> Result<(Report, Vec<f64>), E::Failure> {
    let call = Call { part: Part::Train, step, epoch, in_step: true };
    let (point, mean) = slopes(examples, u, call, chosen, amounts.threads, adder)?;
    let mut gradient = examples.in_free_space(&point, &mean.slopes)?;
    let weight = 1.0 / amounts.train as f64;
    let priors = examples.priors(u, weight, &mut gradient)?;
    let objective = lowered(examples.terms(), &mean.terms) + weight * priors;
    let terms = mean.terms.clone();
    adder.keep(mean);
    Ok((Report { step, epoch, objective, terms, gradient_norm: None, rate: None }, gradient))
}

/// The means of all terms of the examples `chosen`, and of their slopes, at the point that `u` is.
pub(super) fn slopes<E: Examples>(
    examples: &E,
    u: &[f64],
    call: Call,
    chosen: &[usize],
    threads: usize,
    adder: &Adder,
) -> Result<(E::Point, Sums), E::Failure> {
    let (point, block) = (examples.point(u, call)?, examples.block(true));
    let mean = adder.mean(chosen, block, examples.terms().len(), threads, |chosen, sums| {
        examples.examples(&point, call, chosen, true, sums)
    })?;
    Ok((point, mean))
}

/// The means of all terms over the `count` examples of `part` at `u`, priors left out.
///
/// # Panics
/// If `count` is 0.
pub fn evaluate<E: Examples>(
    examples: &E,
    u: &[f64],
    (part, count): (Part, usize),
    threads: usize,
    (step, epoch): (u64, u64),
) -> Result<Report, E::Failure> {
    let all: Vec<usize> = (0..count).collect();
    let call = Call { part, step, epoch, in_step: false };
    let (point, block) = (examples.point(u, call)?, examples.block(false));
    let mean = Adder::default().mean(&all, block, examples.terms().len(), threads, |chosen, sums| {
        examples.examples(&point, call, chosen, false, sums)
    })?;
    let terms = mean.terms;
    let objective = lowered(examples.terms(), &terms);
    Ok(Report { step, epoch, objective, terms, gradient_norm: None, rate: None })
}

fn lowered(terms: &[Term], values: &[f64]) -> f64 {
    terms.iter().zip(values).filter(|(term, _)| term.lowered).map(|(_, value)| value).sum()
}
