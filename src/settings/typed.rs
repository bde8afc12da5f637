//! Settings as the rest of the house takes them: one field each, no strings to look up.

use super::value::{Origin, Value, linspace};
use super::{Resolved, Slot, Slots, args_of};
use crate::base::span::Span;
use crate::solve::control::Adaptive;
use crate::solve::controller::Rule;
use crate::solve::convention::Convention;
use crate::solve::implicit::sparse::Form;
use crate::solve::method::Method;

/// All settings of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `solve { … }`
    pub solve: SolveSettings,
    /// The systems that are solved otherwise, by the name of the system or of the param that it is.
    pub systems: Vec<(String, SolveSettings)>,
    /// `train { … }`
    pub train: TrainSettings,
    /// `run { … }`
    pub run: RunSettings,
    /// Who set what, in the order of the table.
    pub resolved: Vec<Resolved>,
}

impl Settings {
    /// How a system is solved that goes by these names: its path (`flow.cnf`), the name of its
    /// item (`Cnf`). The first that has settings of its own decides.
    pub fn solve_of(&self, names: &[&str]) -> &SolveSettings {
        let own = |name: &&str| self.systems.iter().find(|(system, _)| system == name);
        names.iter().find_map(own).map_or(&self.solve, |(_, solve)| solve)
    }
}

impl Settings {
    /// How a system that makes data is solved: as its own settings say, else by the built-in ones. The
    /// `solve` block of the file is for what is fitted to the data, which must not change them.
    pub fn solve_of_data(&self, name: &str) -> SolveSettings {
        let own = self.systems.iter().find(|(system, _)| system == name);
        own.map_or_else(|| Slots::new().solve(), |(_, solve)| solve.clone())
    }
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
    /// The shortest step.
    pub dt_min: Option<f64>,
    /// Steps of one solve, accepted and rejected together.
    pub max_steps: u64,
    /// The times that are kept.
    pub save: Save,
    /// What steers the step size.
    pub error_norm: ErrorNorm,
    /// How errors become one number.
    pub norm: NormChoice,
    /// How that number sets the size of the next step.
    pub steering: Steering,
    /// Whether an implicit method computes every entry of the Jacobian.
    pub jacobian: Form,
    /// Events in one step, at most.
    pub max_events: u64,
    /// How gradients pass through a solve.
    pub adjoint: Adjoint,
    /// How `div` and `jac_frob2` in the motion are computed.
    pub trace: Trace,
}

/// How traces in the motion of a system are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// As they are.
    Exact,
    /// By random probes.
    Hutchinson {
        /// Whether the entries of a probe are normal; else they are -1 or 1.
        gaussian: bool,
        /// How many probes.
        probes: u64,
    },
}

/// How gradients pass through a solve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Adjoint {
    /// As suits the method.
    Auto,
    /// Back through the steps taken, all of them kept.
    Discrete,
    /// Back through the steps taken, so many states kept.
    Checkpoint(u64),
    /// By a solve that goes back.
    Backsolve {
        /// Whether the integrals stay out of its error norm.
        seminorm: bool,
        /// Relative error allowed in its steps, if not that of the solve.
        rtol: Option<f64>,
        /// Absolute error allowed in its steps, if not that of the solve.
        atol: Option<f64>,
    },
    /// By a solve that goes back along the path of the forward pass.
    Interpolating {
        /// Relative error allowed in its steps, if not that of the solve.
        rtol: Option<f64>,
        /// Absolute error allowed in its steps, if not that of the solve.
        atol: Option<f64>,
    },
    /// Not back: the derivatives of the states travel with the states.
    Forward,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorNorm {
    /// The states, not the channels.
    States,
    /// States and channels.
    All,
    /// These states and channels, each with the place that names it.
    Of(Vec<(String, Span)>),
}

/// How the errors of a step become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormChoice {
    /// The root of the mean square over all components.
    Rms,
    /// The largest component.
    Max,
    /// The largest of the roots of the mean squares over the entries of each state.
    PerState,
}

/// How the error of a step sets the size of the next; what is unset is as the convention has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Steering {
    /// Whose habits.
    pub convention: Convention,
    /// The rule.
    pub rule: Option<Rule>,
    /// How far below the tolerance a step aims.
    pub safety: Option<f64>,
    /// The least factor from a step to the next.
    pub factor_min: Option<f64>,
    /// The largest one.
    pub factor_max: Option<f64>,
}

impl Steering {
    /// `adaptive`, steered so with `method`.
    #[must_use]
    pub fn apply(&self, method: &Method, adaptive: Adaptive) -> Adaptive {
        let mut adaptive = self.convention.apply(method, adaptive);
        let controller = &mut adaptive.controller;
        controller.rule = self.rule.or(controller.rule);
        controller.safety = self.safety.unwrap_or(controller.safety);
        controller.min_factor = self.factor_min.unwrap_or(controller.min_factor);
        controller.max_factor = self.factor_max.unwrap_or(controller.max_factor);
        adaptive
    }
}

/// How parameters are trained.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainSettings {
    /// Examples in a minibatch; `None` for all of them.
    pub batch: Option<u64>,
    /// Passes over the data, at most.
    pub epochs: Option<u64>,
    /// Largest Euclidean norm of a gradient.
    pub clip: Option<f64>,
    /// Steps between looks at the validation data; `None` for one after each epoch.
    pub valid_every: Option<u64>,
    /// When to stop early.
    pub early_stop: Option<Patience>,
    /// Epochs between checkpoints.
    pub checkpoint: Option<u64>,
    /// The method.
    pub optimizer: OptimizerChoice,
    /// The factor on its learning rate.
    pub schedule: Schedule,
    /// Steps, at most.
    pub steps: u64,
    /// Largest entry of the gradient that counts as zero, relative to `max(1, |objective|)`.
    pub tolerance: f64,
}

/// `patience(30, on = nll)`: stop after this many looks at the validation data without a better one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Looks without improvement.
    pub looks: u64,
    /// The term that is to get lower; `total` is the objective.
    pub on: String,
    /// Where the setting stands.
    pub span: Option<Span>,
}

/// An optimiser with its numbers; `train::rule` says what they mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptimizerChoice {
    /// `adam()`
    Adam(Moments),
    /// `adamw()`
    AdamW(Moments),
    /// `adamax()`
    Adamax(Moments),
    /// `sgd()`
    Sgd {
        /// Step size.
        lr: f64,
        /// Share of the last step that is kept.
        momentum: f64,
        /// Whether the gradient is taken where the momentum leads.
        nesterov: bool,
        /// Factor of an L2 term.
        weight_decay: f64,
    },
    /// `lbfgs()`
    Lbfgs {
        /// Changes of the gradient that are remembered.
        memory: usize,
    },
}

/// The numbers of Adam and its relatives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Step size.
    pub lr: f64,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the measure of their size.
    pub beta2: f64,
    /// Keeps the quotient finite.
    pub eps: f64,
    /// Factor of an L2 term, or share taken off.
    pub weight_decay: f64,
}

/// How the learning rate of an optimiser changes; a factor on its `lr`.
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// `by` to the power of how many of `at` lie behind.
    Decay {
        /// Epochs, increasing.
        at: Vec<u64>,
        /// Factor each time.
        by: f64,
    },
    /// Half a wave of the cosine from 1 to `floor` over the first `steps` steps.
    Cosine {
        /// Length of the way down.
        steps: u64,
        /// The lowest factor.
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
    /// What of this machine the code may use.
    pub cpu: Cpu,
    /// Threads that share the examples; `None` for one for each core.
    pub threads: Option<u64>,
    /// Examples of a draw that depends on no data.
    pub samples: u64,
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

/// What of a machine machine code may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cpu {
    /// All it has.
    Native,
    /// What every machine of its kind has: neither fused multiply-adds nor wide vectors.
    Baseline,
}

impl Slots {
    /// The filled table.
    pub(super) fn typed(self, systems: Vec<(String, Slots)>) -> Settings {
        let solve = self.solve();
        let epochs = self.value("train.epochs").map(as_count);
        let early_stop = match self.choice("train.early_stop") {
            ("patience", [looks, on]) => Some(Patience {
                looks: as_count(looks),
                on: as_term(on),
                span: self.span("train.early_stop"),
            }),
            _ => None,
        };
        let limited = self.origin("train.steps") != &Origin::BuiltIn || epochs.is_none();
        let train = TrainSettings {
            batch: self.value("train.batch").map(as_count),
            epochs,
            clip: self.value("train.clip").map(as_number),
            valid_every: self.value("train.valid_every").map(as_count),
            early_stop,
            checkpoint: self.value("train.checkpoint").map(as_count),
            optimizer: self.optimizer(),
            schedule: self.schedule(),
            steps: if limited { self.count("train.steps") } else { u64::MAX },
            tolerance: self.number("train.tolerance"),
        };
        let f32 = self.choice("run.precision").0 == "f32";
        let interp = self.choice("run.backend").0 == "interp";
        let run = RunSettings {
            seed: self.count("run.seed"),
            precision: if f32 { Precision::F32 } else { Precision::F64 },
            backend: if interp { Backend::Interp } else { Backend::Cranelift },
            cpu: match self.choice("run.cpu").0 {
                "baseline" => Cpu::Baseline,
                _ => Cpu::Native,
            },
            threads: self.value("run.threads").map(as_count),
            samples: self.count("run.samples"),
        };
        let mut resolved = self.resolved();
        for (name, slots) in &systems {
            let solve = slots.resolved().into_iter().filter(|row| row.key.starts_with("solve."));
            resolved.extend(solve.map(|row| Resolved { key: format!("{name}.{}", row.key), ..row }));
        }
        let systems = systems.into_iter().map(|(name, slots)| (name, slots.solve())).collect();
        Settings { solve, systems, train, run, resolved }
    }

    /// The `solve` part of the table.
    fn solve(&self) -> SolveSettings {
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
        SolveSettings {
            method: method.at_tolerance(self.number("solve.rtol")),
            method_span: self.span("solve.method"),
            rtol: self.number("solve.rtol"),
            atol: self.number("solve.atol"),
            atol_states: self.tolerances.clone(),
            dt: self.value("solve.dt").map(as_number),
            dt_max: self.value("solve.dt_max").map(as_number),
            dt_min: self.value("solve.dt_min").map(as_number),
            max_steps: self.count("solve.max_steps"),
            save,
            max_events: self.count("solve.max_events"),
            adjoint: self.adjoint(),
            trace: self.trace(),
            jacobian: match self.choice("solve.jacobian").0 {
                "dense" => Form::Dense,
                "sparse" => Form::Sparse,
                _ => Form::Auto,
            },
            error_norm: match self.value("solve.error_norm") {
                Some(Value::Unknowns(names)) => ErrorNorm::Of(names.clone()),
                Some(Value::Choice("all", _)) => ErrorNorm::All,
                _ => ErrorNorm::States,
            },
            norm: match self.choice("solve.norm").0 {
                "max" => NormChoice::Max,
                "per_state" => NormChoice::PerState,
                _ => NormChoice::Rms,
            },
            steering: self.steering(),
        }
    }

    fn steering(&self) -> Steering {
        let rule = match self.choice("solve.controller") {
            ("own", _) => None,
            ("i", _) => Some(Rule::I),
            ("pi", [p, i]) => Some(Rule::Pid { pcoeff: as_number(p), icoeff: as_number(i), dcoeff: 0.0 }),
            ("pid", [p, i, d]) => {
                Some(Rule::Pid { pcoeff: as_number(p), icoeff: as_number(i), dcoeff: as_number(d) })
            }
            ("predictive", _) => Some(Rule::Predictive),
            other => crate::bug!("`solve.controller` holds {other:?}"),
        };
        let name = self.choice("solve.convention").0;
        let convention = Convention::ALL.into_iter().find(|convention| convention.name() == name);
        Steering {
            convention: convention.unwrap_or_else(|| crate::bug!("no convention `{name}`")),
            rule,
            safety: self.value("solve.safety").map(as_number),
            factor_min: self.value("solve.factor_min").map(as_number),
            factor_max: self.value("solve.factor_max").map(as_number),
        }
    }

    fn adjoint(&self) -> Adjoint {
        let given = |value: &Value| Some(as_number(value)).filter(|number| *number > 0.0);
        match self.choice("solve.adjoint") {
            ("auto", _) => Adjoint::Auto,
            ("discrete", _) => Adjoint::Discrete,
            ("forward", _) => Adjoint::Forward,
            ("checkpoint", [states]) => Adjoint::Checkpoint(as_count(states)),
            ("backsolve", [Value::Choice(norm, _), rtol, atol]) => {
                Adjoint::Backsolve { seminorm: *norm == "seminorm", rtol: given(rtol), atol: given(atol) }
            }
            ("interpolating", [rtol, atol]) => {
                Adjoint::Interpolating { rtol: given(rtol), atol: given(atol) }
            }
            other => crate::bug!("`solve.adjoint` holds {other:?}"),
        }
    }

    fn trace(&self) -> Trace {
        match self.choice("solve.trace") {
            ("exact", _) => Trace::Exact,
            ("hutchinson", [Value::Choice(draw, _), probes]) => {
                Trace::Hutchinson { gaussian: *draw == "gaussian", probes: as_count(probes) }
            }
            other => crate::bug!("`solve.trace` holds {other:?}"),
        }
    }

    fn schedule(&self) -> Schedule {
        match self.choice("train.schedule") {
            ("constant", _) => Schedule::Constant,
            ("warmup", [steps]) => Schedule::Warmup { steps: as_count(steps) },
            ("exponential", [rate, floor]) => {
                Schedule::Exponential { rate: as_number(rate), floor: as_number(floor) }
            }
            ("decay", [Value::List(at), by]) => {
                Schedule::Decay { at: at.iter().map(|at| *at as u64).collect(), by: as_number(by) }
            }
            ("cosine", [steps, floor]) => {
                Schedule::Cosine { steps: as_count(steps), floor: as_number(floor) }
            }
            other => crate::bug!("`train.schedule` holds {other:?}"),
        }
    }

    fn optimizer(&self) -> OptimizerChoice {
        let moments = |numbers: &[Value]| match numbers {
            [lr, beta1, beta2, eps, weight_decay] => Moments {
                lr: as_number(lr),
                beta1: as_number(beta1),
                beta2: as_number(beta2),
                eps: as_number(eps),
                weight_decay: as_number(weight_decay),
            },
            other => crate::bug!("`train.optimizer` has the arguments {other:?}"),
        };
        match self.choice("train.optimizer") {
            ("adam", numbers) => OptimizerChoice::Adam(moments(numbers)),
            ("adamw", numbers) => OptimizerChoice::AdamW(moments(numbers)),
            ("adamax", numbers) => OptimizerChoice::Adamax(moments(numbers)),
            ("sgd", [lr, momentum, Value::Flag(nesterov), weight_decay]) => OptimizerChoice::Sgd {
                lr: as_number(lr),
                momentum: as_number(momentum),
                nesterov: *nesterov,
                weight_decay: as_number(weight_decay),
            },
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

    fn slot(&self, key: &str) -> &Slot {
        let slot = self.slots.iter().find(|slot| slot.row.key == key);
        slot.unwrap_or_else(|| crate::bug!("no setting `{key}`"))
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.slot(key).value.as_ref()
    }

    fn span(&self, key: &str) -> Option<Span> {
        self.slot(key).span
    }

    fn origin(&self, key: &str) -> &Origin {
        &self.slot(key).origin
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

fn as_term(value: &Value) -> String {
    match value {
        Value::Term(name) => name.clone(),
        other => crate::bug!("expected a name, the table holds {other:?}"),
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
        Value::Flag(flag) => flag.to_string(),
        Value::Term(name) => name.clone(),
        Value::Unknowns(names) => {
            let names: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
            format!("[{}]", names.join(", "))
        }
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
