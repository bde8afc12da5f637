//! Settings as the rest of the house takes them: one field each, no strings to look up.

use super::value::{Value, linspace};
use super::{Resolved, Slots, args_of};
use crate::base::span::Span;
use crate::solve::method::Method;

/// All settings of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `solve { … }`
    pub solve: SolveSettings,
    /// `train { … }`
    pub train: TrainSettings,
    /// `run { … }`
    pub run: RunSettings,
    /// Who set what, in the order of the table.
    pub resolved: Vec<Resolved>,
}

/// How systems are solved.
#[derive(Clone, Debug)]
pub struct SolveSettings {
    /// A method that is built.
    pub method: Method,
    /// Where the method is named, unless it is the default.
    pub method_span: Option<Span>,
    /// Relative error allowed in a step.
    pub rtol: f64,
    /// Absolute error allowed in a step.
    pub atol: f64,
    /// The states with an absolute error of their own.
    pub atol_states: Vec<StateTolerance>,
    /// The step of a fixed-step method, the first step of an adaptive one.
    pub dt: Option<f64>,
    /// The longest step.
    pub dt_max: Option<f64>,
    /// Steps of one solve, accepted and rejected together.
    pub max_steps: u64,
    /// The times that are kept.
    pub save: Save,
    /// What steers the step size.
    pub error_norm: ErrorNorm,
}

/// `atol.y = 1e-12`
#[derive(Clone, Debug, PartialEq)]
pub struct StateTolerance {
    /// The state; whether there is one of this name is for the model to say.
    pub state: String,
    /// Absolute error allowed in a step.
    pub value: f64,
    /// The value's place.
    pub span: Span,
}

/// The times that a solution keeps.
#[derive(Clone, Debug, PartialEq)]
pub enum Save {
    /// Those of the accepted steps.
    Steps,
    /// The start, then one every so much, and the end.
    Every(f64),
    /// These.
    At(Vec<f64>),
}

/// What steers the step size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorNorm {
    /// The states, not the channels.
    States,
    /// States and channels.
    All,
}

/// How parameters are trained.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainSettings {
    /// The method.
    pub optimizer: OptimizerChoice,
    /// The factor on its learning rate.
    pub schedule: Schedule,
    /// Steps, at most.
    pub steps: u64,
    /// Largest entry of the gradient that counts as zero, relative to `max(1, |objective|)`.
    pub tolerance: f64,
}

/// An optimiser with its numbers; `train::optimizer` says what they mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptimizerChoice {
    /// `adam()`
    Adam {
        /// Step size.
        lr: f64,
        /// Decay of the mean of gradients.
        beta1: f64,
        /// Decay of the mean of their squares.
        beta2: f64,
        /// Keeps the quotient finite.
        eps: f64,
    },
    /// `sgd()`
    Sgd {
        /// Step size.
        lr: f64,
        /// Share of the last step that is kept.
        momentum: f64,
    },
    /// `lbfgs()`
    Lbfgs {
        /// Changes of the gradient that are remembered.
        memory: usize,
    },
}

/// How the learning rate of an optimiser changes; a factor on its `lr`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Schedule {
    /// Always 1.
    #[default]
    Constant,
    /// Grows linearly from `1/steps` to 1 over the first `steps` steps.
    Warmup {
        /// Length of the ramp.
        steps: u64,
    },
    /// `max(rate^k, floor)` at step `k`.
    Exponential {
        /// Factor per step, in [0, 1).
        rate: f64,
        /// Never below this.
        floor: f64,
    },
}

/// Where and with which numbers a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunSettings {
    /// The seed of everything random.
    pub seed: u64,
    /// What `real` is.
    pub precision: Precision,
    /// What runs the code.
    pub backend: Backend,
}

/// What `real` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 64 bits.
    F64,
    /// 32 bits.
    F32,
}

/// What runs the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Machine code.
    Cranelift,
    /// The loop IR, interpreted: slow, for comparison.
    Interp,
}

impl Slots {
    /// The filled table.
    pub(super) fn typed(self) -> Settings {
        let name = match self.value("solve.method") {
            Some(Value::Method(name)) => *name,
            other => crate::bug!("`solve.method` holds {other:?}"),
        };
        let method = Method::by_name(name).unwrap_or_else(|| crate::bug!("no method `{name}`"));
        let save = match self.value("solve.save") {
            Some(Value::List(times)) => Save::At(times.clone()),
            Some(Value::Choice(name, args)) => save(name, args),
            other => crate::bug!("`solve.save` holds {other:?}"),
        };
        let solve = SolveSettings {
            method,
            method_span: self
                .slots
                .iter()
                .find(|slot| slot.row.key == "solve.method")
                .and_then(|slot| slot.span),
            rtol: self.number("solve.rtol"),
            atol: self.number("solve.atol"),
            atol_states: self.tolerances.clone(),
            dt: self.value("solve.dt").map(as_number),
            dt_max: self.value("solve.dt_max").map(as_number),
            max_steps: self.count("solve.max_steps"),
            save,
            error_norm: if self.choice("solve.error_norm").0 == "all" {
                ErrorNorm::All
            } else {
                ErrorNorm::States
            },
        };
        let train = TrainSettings {
            optimizer: self.optimizer(),
            schedule: self.schedule(),
            steps: self.count("train.steps"),
            tolerance: self.number("train.tolerance"),
        };
        let f32 = self.choice("run.precision").0 == "f32";
        let interp = self.choice("run.backend").0 == "interp";
        let run = RunSettings {
            seed: self.count("run.seed"),
            precision: if f32 { Precision::F32 } else { Precision::F64 },
            backend: if interp { Backend::Interp } else { Backend::Cranelift },
        };
        Settings { solve, train, run, resolved: self.resolved() }
    }

    fn schedule(&self) -> Schedule {
        match self.choice("train.schedule") {
            ("constant", _) => Schedule::Constant,
            ("warmup", [steps]) => Schedule::Warmup { steps: as_count(steps) },
            ("exponential", [rate, floor]) => {
                Schedule::Exponential { rate: as_number(rate), floor: as_number(floor) }
            }
            other => crate::bug!("`train.schedule` holds {other:?}"),
        }
    }

    fn optimizer(&self) -> OptimizerChoice {
        match self.choice("train.optimizer") {
            ("adam", [lr, beta1, beta2, eps]) => OptimizerChoice::Adam {
                lr: as_number(lr),
                beta1: as_number(beta1),
                beta2: as_number(beta2),
                eps: as_number(eps),
            },
            ("sgd", [lr, momentum]) => {
                OptimizerChoice::Sgd { lr: as_number(lr), momentum: as_number(momentum) }
            }
            ("lbfgs", [memory]) => OptimizerChoice::Lbfgs { memory: as_count(memory) as usize },
            other => crate::bug!("`train.optimizer` holds {other:?}"),
        }
    }

    /// Who set what.
    fn resolved(&self) -> Vec<Resolved> {
        let mut rows = Vec::new();
        for slot in self.slots.iter().filter(|slot| slot.row.built) {
            rows.push(Resolved {
                key: slot.row.key.to_owned(),
                text: slot.text.clone(),
                origin: slot.origin.clone(),
                doc: slot.row.doc,
            });
            let set = |key: &str| self.details.iter().find(|detail| detail.key == key);
            if let Some(Value::Choice(choice, values)) = &slot.value {
                for (arg, value) in args_of(slot.row.kind, choice).iter().zip(values) {
                    let key = format!("{}.{}", slot.row.key, arg.name);
                    let origin = set(&key).map_or(&slot.origin, |detail| &detail.origin).clone();
                    rows.push(Resolved { key, text: spelled(value), origin, doc: arg.doc });
                }
            }
            for tolerance in self.tolerances.iter().filter(|_| slot.row.key == "solve.atol") {
                let key = format!("solve.atol.{}", tolerance.state);
                if let Some(detail) = set(&key) {
                    let (text, origin) = (detail.text.clone(), detail.origin.clone());
                    rows.push(Resolved { key, text, origin, doc: detail.doc });
                }
            }
        }
        rows
    }

    fn value(&self, key: &str) -> Option<&Value> {
        let slot = self.slots.iter().find(|slot| slot.row.key == key);
        slot.unwrap_or_else(|| crate::bug!("no setting `{key}`")).value.as_ref()
    }

    fn number(&self, key: &str) -> f64 {
        as_number(self.value(key).unwrap_or_else(|| crate::bug!("`{key}` has no default")))
    }

    fn count(&self, key: &str) -> u64 {
        as_count(self.value(key).unwrap_or_else(|| crate::bug!("`{key}` has no default")))
    }

    fn choice(&self, key: &str) -> (&'static str, &[Value]) {
        match self.value(key) {
            Some(Value::Choice(name, args)) => (name, args),
            other => crate::bug!("`{key}` holds {other:?}"),
        }
    }
}

/// The times that `name(args)` stands for.
fn save(name: &str, args: &[Value]) -> Save {
    match (name, args) {
        ("steps", _) => Save::Steps,
        ("every", [dt]) => Save::Every(as_number(dt)),
        ("linspace", [from, to, count]) => {
            Save::At(linspace(as_number(from), as_number(to), as_count(count)))
        }
        ("logspace", [from, to, count]) => {
            let exponents = linspace(as_number(from), as_number(to), as_count(count));
            Save::At(exponents.into_iter().map(libm::exp10).collect())
        }
        other => crate::bug!("`solve.save` holds {other:?}"),
    }
}

fn as_number(value: &Value) -> f64 {
    match value {
        Value::Number(number) => *number,
        other => crate::bug!("expected a number, the table holds {other:?}"),
    }
}

fn as_count(value: &Value) -> u64 {
    match value {
        Value::Count(count) => *count,
        other => crate::bug!("expected a count, the table holds {other:?}"),
    }
}

/// A value as one would write it.
pub(super) fn spelled(value: &Value) -> String {
    match value {
        Value::Number(number) if *number != 0.0 && !(1e-2..1e5).contains(&number.abs()) => {
            format!("{number:e}")
        }
        Value::Number(number) => number.to_string(),
        Value::Count(count) => count.to_string(),
        Value::List(times) => {
            let times: Vec<String> = times.iter().map(f64::to_string).collect();
            format!("[{}]", times.join(", "))
        }
        Value::Method(name) => (*name).to_owned(),
        Value::Choice(name, args) if args.is_empty() => (*name).to_owned(),
        Value::Choice(name, args) => {
            let args: Vec<String> = args.iter().map(spelled).collect();
            format!("{name}({})", args.join(", "))
        }
    }
}
