//! [`Run::train`] and [`Run::evaluate`], which put the loop over minibatches to work on a compiled model.

use crate::data::Part;
use crate::diag::{Code, Diagnostic};
use crate::engine::{Error, ParamValue, Run};
use crate::ir::program::{Examples as Axis, PortSource, Role};
use crate::plan::controls::Failure;
use crate::plan::unit::Element;
use crate::settings::{OptimizerChoice, Precision};
use crate::train::minibatch::{self, Amounts, Call, Ended, Event, Examples, Report, State, Term};
use crate::train::on_model::OnModel;
use crate::train::optimizer::Why;
use crate::train::sum::Adder;
use std::ops::{AddAssign, ControlFlow};
use std::time::{Duration, Instant};

/// The result of training.
#[derive(Clone)]
pub struct Trained {
    /// The params at the end, on their declared scale.
    pub params: Vec<ParamValue>,
    /// All that further training needs.
    pub state: State,
    /// Why it ended.
    pub why: Why,
    /// What failed, if an example did.
    pub failure: Option<Error>,
    /// Each part of the data that has examples, how many, and the means of all terms over them.
    pub parts: Vec<(Part, usize, Report)>,
    /// How long it took, compilation of the derivatives included.
    pub time: Duration,
}

/// The mean of the objective of some examples, and its gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchGradient {
    /// The mean of the sum of losses and likelihoods.
    pub objective: f64,
    /// The means of losses and likelihoods, by name.
    pub terms: Vec<(String, f64)>,
    /// The derivative of the objective by each param, on its declared scale.
    pub by: Vec<ParamValue>,
    /// Evaluations of the rates on the way forward, of all examples together.
    pub evaluations: u64,
}

/// What gives the gradient of any batch: see [`Run::batch_gradients`].
pub type BatchGradients<'a> = Box<dyn FnMut(&[usize]) -> Result<BatchGradient, Error> + 'a>;

impl Run {
    /// Whether training takes the examples by [`Run::train`]: there are many, or the model draws
    /// random numbers or asks where training stands. [`Run::fit`] is for the rest.
    pub fn trains_on_examples(&self) -> bool {
        let program = self.program();
        let many = match program.examples {
            Axis::One => false,
            Axis::Data | Axis::Members(_) | Axis::Samples => true,
        };
        many || program.data.iter().any(|port| port.source != PortSource::Given)
    }

    /// The losses, likelihoods and metrics of the model, in the order in which reports have them.
    pub fn terms(&self) -> Vec<Term> {
        OnModel::<f64>::new(self).terms().to_vec()
    }

    /// Lowers the mean over the training examples of losses and likelihoods, plus the priors divided
    /// by their number, as `train` settings say; goes on from `resume` if that is given. Leaves the
    /// run at the point it ends at: after early stopping the best one, after divergence the last one
    /// at which the objective was finite. `observe` is told of everything and may end the training.
    ///
    /// Refused for a model without a loss or without params (E0807), and for `lbfgs` on minibatches
    /// (E0802).
    pub fn train(
        &mut self,
        resume: Option<State>,
        mut observe: impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Trained, Error> {
        self.check_can_fit()?;
        match self.settings().run.precision {
            Precision::F64 => self.train_in::<f64>(resume, &mut observe),
            Precision::F32 => self.train_in::<f32>(resume, &mut observe),
        }
    }

    /// The means over all examples of `part` of losses, likelihoods and metrics with the present
    /// params, each with its name.
    ///
    /// # Panics
    /// If the part has no examples; see [`Run::n_examples`].
    pub fn evaluate(&self, part: Part) -> Result<Vec<(Term, f64)>, Error> {
        self.check_one_run()?;
        match self.settings().run.precision {
            Precision::F64 => self.evaluate_in::<f64>(part),
            Precision::F32 => self.evaluate_in::<f32>(part),
        }
    }

    /// What gives the mean of losses and likelihoods over any examples of `part` with the present params,
    /// and its gradient: the work of a step of training. Its memory is kept from one call to the next.
    ///
    /// Refused for a model without a loss or without params (E0807). The calls panic if there is no
    /// example of a number, or none at all.
    pub fn batch_gradients(&self, part: Part) -> Result<BatchGradients<'_>, Error> {
        self.check_can_fit()?;
        match self.settings().run.precision {
            Precision::F64 => self.batch_gradients_in::<f64>(part),
            Precision::F32 => self.batch_gradients_in::<f32>(part),
        }
    }

    fn batch_gradients_in<T: Element + AddAssign>(&self, part: Part) -> Result<BatchGradients<'_>, Error> {
        let (on_model, u, adder) = (OnModel::<T>::new(self), self.free_params()?, Adder::default());
        let call = Call { part, step: 0, epoch: 0, in_step: true };
        Ok(Box::new(move |examples| {
            let before = on_model.evaluations();
            let mean = minibatch::slopes(&on_model, &u, call, examples, self.threads(), &adder);
            let (_, mean) = mean.map_err(|failure| self.failed(&failure))?;
            let lowered = on_model.terms().iter().zip(&mean.terms).filter(|(term, _)| term.lowered);
            let gradient = BatchGradient {
                objective: lowered.clone().map(|(_, value)| value).sum(),
                terms: lowered.map(|(term, value)| (term.name.clone(), *value)).collect(),
                by: self.by_path(&mean.slopes),
                evaluations: on_model.evaluations() - before,
            };
            adder.keep(mean);
            Ok(gradient)
        }))
    }

    fn evaluate_in<T: Element + AddAssign>(&self, part: Part) -> Result<Vec<(Term, f64)>, Error> {
        let on_model = OnModel::<T>::new(self);
        let u = self.free_params()?;
        let report =
            minibatch::evaluate(&on_model, &u, (part, self.n_examples(part)), self.threads(), (0, 0));
        let report = report.map_err(|failure| self.failed(&failure))?;
        Ok(on_model.terms().iter().cloned().zip(report.terms).collect())
    }

    fn train_in<T: Element + AddAssign>(
        &mut self,
        resume: Option<State>,
        observe: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Trained, Error> {
        let begun = Instant::now();
        let settings = self.settings().train.clone();
        self.check_patience()?;
        let amounts = Amounts {
            train: self.n_examples(Part::Train),
            valid: if self.program().examples == Axis::Data { self.n_examples(Part::Valid) } else { 0 },
            seed: self.settings().run.seed,
            threads: self.threads(),
        };
        let run = self.clone();
        let on_model = OnModel::<T>::new(&run);
        // Compiled before threads ask for it, and said at once if it cannot be.
        let start = self.free_params()?;
        let several = amounts.train > 1 && settings.batch != Some(1);
        let first: &[usize] = if several { &[0, 0] } else { &[0] };
        minibatch::objective(&on_model, &start, amounts, first, (0, 0), &Adder::default())
            .map_err(|failure| self.failed(&failure))?;
        let (state, why, failure) = match settings.optimizer {
            OptimizerChoice::Lbfgs { .. } => {
                if settings.batch.is_some_and(|batch| batch < amounts.train as u64) {
                    return Err(self.invalid(lbfgs_on_batches()));
                }
                let (u, why) = whole_batch(&on_model, amounts, &settings, start, observe);
                let choice =
                    OptimizerChoice::Sgd { lr: 1.0, momentum: 0.0, nesterov: false, weight_decay: 0.0 };
                let plain = crate::settings::TrainSettings { optimizer: choice, ..settings };
                (State::new(u, &plain), why, None)
            }
            OptimizerChoice::Adam(_)
            | OptimizerChoice::AdamW(_)
            | OptimizerChoice::Adamax(_)
            | OptimizerChoice::Sgd { .. } => {
                let mut state = resume.unwrap_or_else(|| State::new(start, &settings));
                let ended = minibatch::train(&on_model, amounts, &settings, &mut state, observe);
                let (why, failure) = match ended {
                    Ended::Limit => (Why::StepLimit, None),
                    Ended::Patience => (Why::Patience, None),
                    Ended::Stopped => (Why::Stopped, None),
                    Ended::Diverged(failure) => (Why::NotFinite, failure),
                };
                (state, why, failure)
            }
        };
        let failure = failure.map(|failure| self.failed(&failure));
        let mut parts = Vec::new();
        for (part, count) in Part::ALL.into_iter().map(|part| (part, self.n_examples(part))) {
            if count > 0 && (part == Part::Train || self.program().examples == Axis::Data) {
                let at = (state.step, state.epoch);
                let report = minibatch::evaluate(&on_model, &state.u, (part, count), amounts.threads, at);
                // What was learned is kept even if some example cannot be solved with it.
                parts.push((
                    part,
                    count,
                    report.unwrap_or_else(|_| Report::unknown(at, on_model.terms().len())),
                ));
            }
        }
        self.set_params(self.declared::<T>(&state.u)?);
        Ok(Trained { params: self.params(), state, why, failure, parts, time: begun.elapsed() })
    }

    /// The params that stand at `u` in free space.
    pub fn params_at(&self, u: &[f64]) -> Result<Vec<ParamValue>, Error> {
        let packed = match self.settings().run.precision {
            Precision::F64 => self.declared::<f64>(u)?,
            Precision::F32 => self.declared::<f32>(u)?,
        };
        Ok(self.by_path(&packed))
    }

    fn declared<T: Element>(&self, u: &[f64]) -> Result<Vec<f64>, Error> {
        let u: Vec<T> = u.iter().map(|u| T::from_f64(*u)).collect();
        let p = self.plan().constrained(&u).map_err(|error| self.failed(&Failure::Plan(error)))?;
        Ok(p.into_iter().map(T::to_f64).collect())
    }

    /// Refuses `early_stop` on a term that the model does not have.
    fn check_patience(&self) -> Result<(), Error> {
        let Some(patience) = &self.settings().train.early_stop else { return Ok(()) };
        let results = &self.program().results;
        let terms = results.iter().filter(|result| match result.role {
            Role::Loss | Role::Likelihood | Role::Metric => true,
            Role::Prior | Role::Output | Role::Plot => false,
        });
        let names: Vec<&str> = terms.map(|result| &*result.name).collect();
        if patience.on == "total" || names.contains(&patience.on.as_str()) {
            return Ok(());
        }
        let message =
            format!("`train.early_stop` waits for `{}`, which the model does not have", patience.on);
        let diagnostic = match patience.span {
            Some(span) => Diagnostic::new(Code("E0801"), message, span, "no such loss or metric"),
            None => Diagnostic::without_span(Code("E0801"), message),
        };
        Err(self
            .invalid(diagnostic.help(format!("it has {}, and `total` for all of them", names.join(", ")))))
    }
}

/// Minimises over all examples at once, with the draws of step 0 throughout.
fn whole_batch<E: Examples>(
    examples: &E,
    amounts: Amounts,
    settings: &crate::settings::TrainSettings,
    start: Vec<f64>,
    observe: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> (Vec<f64>, Why) {
    let (all, adder): (Vec<usize>, _) = ((0..amounts.train).collect(), Adder::default());
    let mut value_and_gradient = |u: &[f64], gradient: &mut [f64]| match minibatch::objective(
        examples,
        u,
        amounts,
        &all,
        (0, 0),
        &adder,
    ) {
        Ok((report, by_u)) => {
            gradient.copy_from_slice(&by_u);
            report.objective
        }
        Err(_) => {
            gradient.fill(f64::NAN);
            f64::NAN
        }
    };
    let minimum =
        settings.method().minimise(&mut value_and_gradient, &start, &settings.limits(), &mut |at| {
            let report = Report {
                step: at.step,
                epoch: at.step,
                objective: at.value,
                terms: vec![f64::NAN; examples.terms().len()],
                gradient_norm: Some(at.gradient_norm),
                rate: None,
            };
            observe(Event::Step(&report))
        });
    (minimum.x, minimum.why)
}

fn lbfgs_on_batches() -> Diagnostic {
    let message =
        "`lbfgs` compares the objective of one step with that of the next and needs all examples in each";
    Diagnostic::without_span(Code("E0802"), message).help("leave `train.batch` away, or take `adam()`")
}
