//! The settings: a row for each, with its type, default and documentation.

/// What a setting may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A finite number.
    Any,
    /// A number above 0.
    Positive,
    /// A number of at least 0.
    NonNegative,
    /// A number in [0, 1).
    Share,
    /// A number in (0, 1].
    AtMostOne,
    /// A number of at least 1.
    AtLeastOne,
    /// A whole number of at least 1.
    Count,
    /// A whole number of at least 0.
    Seed,
    /// A positive number, which `key.state` may replace for one state.
    PerState,
    /// `true` or `false`.
    Flag,
    /// A list of whole numbers of at least 1, increasing.
    Counts,
    /// The name of a loss, a likelihood or a metric: `nll`, `obs.y`.
    Term,
    /// The name of a method.
    Method,
    /// One of these, with its arguments.
    OneOf(&'static [Choice]),
    /// One of these, or a list of times.
    Times(&'static [Choice]),
    /// One of these, or a list of states and channels.
    Unknowns(&'static [Choice]),
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The dotted name.
    pub key: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// As one would write it; `None` if it is unset until somebody sets it.
    pub default: Option<&'static str>,
    /// One sentence, lower case, no full stop.
    pub doc: &'static str,
    /// Whether it does anything yet.
    pub built: bool,
}

/// One thing that a setting of kind [`Kind::OneOf`] may be.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// As it is written.
    pub name: &'static str,
    /// What stands in its parentheses.
    pub args: &'static [Arg],
    /// Whether it does anything yet.
    pub built: bool,
}

/// An argument of a choice, given in order or by name.
#[derive(Clone, Copy, Debug)]
pub struct Arg {
    /// Its name.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// As one would write it; `None` if it must be given.
    pub default: Option<&'static str>,
    /// One sentence, lower case, no full stop.
    pub doc: &'static str,
}

/// Every setting, in the order that `nodec config` lists them.
pub const SETTINGS: &[Row] = &[
    row(
        "solve.method",
        Kind::Method,
        Some(crate::solve::method::Method::DEFAULT),
        "the method of integration",
    ),
    row("solve.rtol", Kind::Positive, Some("1e-6"), "relative error allowed in a step"),
    row(
        "solve.atol",
        Kind::PerState,
        Some("1e-8"),
        "absolute error allowed in a step; `atol.x` for state `x`",
    ),
    row(
        "solve.dt",
        Kind::Positive,
        None,
        "the step of a fixed-step method, the first step of an adaptive one",
    ),
    row("solve.dt_max", Kind::Positive, None, "the longest step"),
    row("solve.dt_min", Kind::Positive, None, "the shortest step, but for one that lands on a time"),
    row(
        "solve.max_steps",
        Kind::Count,
        Some("1_000_000"),
        "steps of one solve, accepted and rejected together",
    ),
    row(
        "solve.save",
        Kind::Times(SAVE),
        Some("steps"),
        "the times that are kept: `steps`, `every(dt)`, a list",
    ),
    row(
        "solve.jacobian",
        Kind::OneOf(JACOBIAN),
        Some("auto"),
        "whether implicit methods compute every entry of the Jacobian, or those of its pattern",
    ),
    row("solve.adjoint", Kind::OneOf(ADJOINT), Some("auto"), "how gradients pass through a solve"),
    row("solve.trace", Kind::OneOf(TRACE), Some("exact"), "how `div` and `jac_frob2` are computed"),
    row("solve.max_events", Kind::Count, Some("1_000"), "events in one step, at most"),
    row(
        "solve.error_norm",
        Kind::Unknowns(ERROR_NORM),
        Some("states"),
        "what steers the step size: `states`, `all`, a list",
    ),
    row("solve.norm", Kind::OneOf(NORM), Some("rms"), "how the errors of a step become one number"),
    row(
        "solve.controller",
        Kind::OneOf(CONTROLLER),
        Some("own"),
        "how the error of a step sets the size of the next; `own`, as the method or the convention does",
    ),
    row("solve.safety", Kind::AtMostOne, None, "how far below the tolerance a step aims; unset, 0.9"),
    row("solve.factor_min", Kind::AtMostOne, None, "a step is at least this times the last; unset, 0.2"),
    row("solve.factor_max", Kind::AtLeastOne, None, "a step is at most this times the last; unset, 10"),
    row(
        "solve.convention",
        Kind::OneOf(CONVENTION),
        Some("own"),
        "whose first step, step factors and last step; for counts that others published",
    ),
    row("solve.step", Kind::OneOf(STEP), Some("per_example"), "whether examples share their steps"),
    row("train.optimizer", Kind::OneOf(OPTIMIZER), Some("adam()"), "the method that lowers the loss"),
    row(
        "train.steps",
        Kind::Count,
        Some("1000"),
        "steps of the optimizer, at most; no limit where only `epochs` is set",
    ),
    row("train.epochs", Kind::Count, None, "passes over the data, at most"),
    row("train.batch", Kind::Count, None, "examples in a minibatch; unset, all of them"),
    row(
        "train.tolerance",
        Kind::NonNegative,
        Some("1e-8"),
        "largest entry of the gradient that counts as zero",
    ),
    row("train.schedule", Kind::OneOf(SCHEDULE), Some("constant"), "the learning rate over the steps"),
    row(
        "train.clip",
        Kind::Positive,
        None,
        "largest Euclidean norm of a gradient; a longer one is shortened to it",
    ),
    row(
        "train.valid_every",
        Kind::Count,
        None,
        "steps between looks at the validation data; unset, one after each epoch",
    ),
    row("train.early_stop", Kind::OneOf(EARLY_STOP), Some("never"), "when to stop before the last epoch"),
    row("train.checkpoint", Kind::Count, None, "epochs between checkpoints"),
    row("run.seed", Kind::Seed, Some("0"), "the seed of everything random"),
    row("run.precision", Kind::OneOf(PRECISION), Some("f64"), "what `real` is"),
    row("run.backend", Kind::OneOf(BACKEND), Some("cranelift"), "what runs the code"),
    row("run.device", Kind::OneOf(DEVICE), Some("cpu"), "where the code runs"),
    row("run.cpu", Kind::OneOf(CPU), Some("native"), "what of this machine the code may use"),
    row("run.threads", Kind::Count, None, "threads that share the examples; unset, one for each core"),
    row("run.samples", Kind::Count, Some("1000"), "examples of a draw that depends on no data"),
];

const SAVE: &[Choice] = &[
    choice("steps", &[]),
    choice("every", &[must("dt", Kind::Positive, "time between two")]),
    choice("linspace", SPACE),
    choice("logspace", SPACE),
];
const SPACE: &[Arg] = &[
    must("from", Kind::Any, "the first"),
    must("to", Kind::Any, "the last"),
    must("count", Kind::Count, "how many"),
];
const ADJOINT: &[Choice] = &[
    choice("auto", &[]),
    choice("discrete", &[]),
    choice("checkpoint", &[must("states", Kind::Count, "states kept at a time; fewer than 2 count as 2")]),
    choice(
        "backsolve",
        &[
            arg("norm", Kind::OneOf(BACK_NORM), "default", "what steers the step size on the way back"),
            arg("rtol", Kind::NonNegative, "0", "relative error allowed in a step back; 0 for `solve.rtol`"),
            arg("atol", Kind::NonNegative, "0", "absolute error allowed in a step back; 0 for `solve.atol`"),
        ],
    ),
    choice(
        "interpolating",
        &[
            arg("rtol", Kind::NonNegative, "0", "relative error allowed in a step back; 0 for `solve.rtol`"),
            arg("atol", Kind::NonNegative, "0", "absolute error allowed in a step back; 0 for `solve.atol`"),
        ],
    ),
    choice("forward", &[]),
];
const JACOBIAN: &[Choice] = &[choice("auto", &[]), choice("dense", &[]), choice("sparse", &[])];
const BACK_NORM: &[Choice] = &[choice("default", &[]), choice("seminorm", &[])];
const TRACE: &[Choice] = &[
    choice("exact", &[]),
    choice(
        "hutchinson",
        &[
            arg("draw", Kind::OneOf(PROBE), "rademacher", "what the entries of a probe are"),
            arg("probes", Kind::Count, "1", "the estimates are means over so many"),
        ],
    ),
];
const PROBE: &[Choice] = &[choice("rademacher", &[]), choice("gaussian", &[])];
const ERROR_NORM: &[Choice] = &[choice("states", &[]), choice("all", &[])];
const NORM: &[Choice] = &[choice("rms", &[]), choice("max", &[]), choice("per_state", &[])];
const CONTROLLER: &[Choice] = &[
    choice("own", &[]),
    choice("i", &[]),
    choice(
        "pi",
        &[
            arg("pcoeff", Kind::Any, "0.2", "weight of the change of the error"),
            arg("icoeff", Kind::Any, "0.65", "weight of the error"),
        ],
    ),
    choice(
        "pid",
        &[
            arg("pcoeff", Kind::Any, "-0.2222222222222222", "weight of the change of the error"),
            arg("icoeff", Kind::Any, "0.2222222222222222", "weight of the error"),
            arg("dcoeff", Kind::Any, "0.05555555555555555", "weight of the change of that change"),
        ],
    ),
    choice("predictive", &[]),
];
const CONVENTION: &[Choice] = &[
    choice("own", &[]),
    choice("hairer", &[]),
    choice("scipy", &[]),
    choice("torchdiffeq", &[]),
    choice("taynode", &[]),
];
const STEP: &[Choice] = &[choice("per_example", &[]), unbuilt("shared")];
const OPTIMIZER: &[Choice] = &[
    choice(
        "adam",
        &[
            arg("lr", Kind::Positive, "1e-3", "the learning rate"),
            arg("beta1", Kind::Share, "0.9", "decay of the mean of gradients"),
            arg("beta2", Kind::Share, "0.999", "decay of the mean of their squares"),
            arg("eps", Kind::NonNegative, "1e-8", "keeps the quotient finite"),
            arg(
                "weight_decay",
                Kind::NonNegative,
                "0",
                "an L2 term: this times the params is added to the gradient",
            ),
        ],
    ),
    choice(
        "adamw",
        &[
            arg("lr", Kind::Positive, "1e-3", "the learning rate"),
            arg("beta1", Kind::Share, "0.9", "decay of the mean of gradients"),
            arg("beta2", Kind::Share, "0.999", "decay of the mean of their squares"),
            arg("eps", Kind::NonNegative, "1e-8", "keeps the quotient finite"),
            arg(
                "weight_decay",
                Kind::NonNegative,
                "1e-2",
                "share of the params, times the rate, taken off in a step",
            ),
        ],
    ),
    choice(
        "adamax",
        &[
            arg("lr", Kind::Positive, "2e-3", "the learning rate"),
            arg("beta1", Kind::Share, "0.9", "decay of the mean of gradients"),
            arg("beta2", Kind::Share, "0.999", "decay of their largest magnitude"),
            arg("eps", Kind::NonNegative, "1e-8", "keeps the quotient finite"),
            arg(
                "weight_decay",
                Kind::NonNegative,
                "0",
                "an L2 term: this times the params is added to the gradient",
            ),
        ],
    ),
    choice(
        "sgd",
        &[
            arg("lr", Kind::Positive, "1e-2", "the learning rate"),
            arg("momentum", Kind::Share, "0", "share of the last step that is kept"),
            arg("nesterov", Kind::Flag, "false", "whether the gradient is taken where the momentum leads"),
            arg(
                "weight_decay",
                Kind::NonNegative,
                "0",
                "an L2 term: this times the params is added to the gradient",
            ),
        ],
    ),
    choice("lbfgs", &[arg("memory", Kind::Count, "10", "changes of the gradient that are remembered")]),
];
const EARLY_STOP: &[Choice] = &[
    choice("never", &[]),
    choice(
        "patience",
        &[
            must("looks", Kind::Count, "looks at the validation data without a better one"),
            arg("on", Kind::Term, "total", "the term that is to get lower"),
        ],
    ),
];
const SCHEDULE: &[Choice] = &[
    choice("constant", &[]),
    choice("warmup", &[must("steps", Kind::Count, "length of the ramp")]),
    choice(
        "exponential",
        &[
            must("rate", Kind::Share, "factor for each step"),
            arg("floor", Kind::NonNegative, "0", "the factor never falls below"),
        ],
    ),
    choice(
        "decay",
        &[
            must("at", Kind::Counts, "the epochs after which the rate falls"),
            must("by", Kind::Positive, "the factor each time"),
        ],
    ),
    choice(
        "cosine",
        &[
            must("steps", Kind::Count, "the steps from the full rate to the lowest"),
            arg("floor", Kind::NonNegative, "0", "the lowest factor"),
        ],
    ),
];
const PRECISION: &[Choice] = &[choice("f64", &[]), choice("f32", &[])];
const CPU: &[Choice] = &[choice("native", &[]), choice("baseline", &[])];
const BACKEND: &[Choice] = &[choice("cranelift", &[]), choice("interp", &[])];
const DEVICE: &[Choice] = &[choice("cpu", &[]), unbuilt("cuda"), choice("auto", &[])];

const fn row(key: &'static str, kind: Kind, default: Option<&'static str>, doc: &'static str) -> Row {
    Row { key, kind, default, doc, built: true }
}

const fn choice(name: &'static str, args: &'static [Arg]) -> Choice {
    Choice { name, args, built: true }
}

const fn unbuilt(name: &'static str) -> Choice {
    Choice { name, args: &[], built: false }
}

const fn arg(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Arg {
    Arg { name, kind, default: Some(default), doc }
}

const fn must(name: &'static str, kind: Kind, doc: &'static str) -> Arg {
    Arg { name, kind, default: None, doc }
}

impl Kind {
    /// In words that complete "must be …".
    pub fn expected(self) -> String {
        match self {
            Kind::Positive | Kind::PerState => String::from("a number above 0"),
            Kind::Any => String::from("a number"),
            Kind::NonNegative => String::from("a number of at least 0"),
            Kind::Share => String::from("a number of at least 0 and below 1"),
            Kind::AtMostOne => String::from("a number above 0 and at most 1"),
            Kind::AtLeastOne => String::from("a number of at least 1"),
            Kind::Count => String::from("a whole number of at least 1"),
            Kind::Seed => String::from("a whole number of at least 0"),
            Kind::Flag => String::from("`true` or `false`"),
            Kind::Counts => {
                String::from("a list of whole numbers of at least 1, each larger than the one before")
            }
            Kind::Term => String::from("the name of a loss, a likelihood or a metric"),
            Kind::Method => String::from("the name of a method"),
            Kind::OneOf(choices) => format!("one of {}", names(choices)),
            Kind::Times(choices) => format!("one of {} or a list of times", names(choices)),
            Kind::Unknowns(choices) => {
                format!("one of {} or a list of states and channels", names(choices))
            }
        }
    }
}

fn names(choices: &[Choice]) -> String {
    let built = choices.iter().filter(|choice| choice.built);
    built.map(|choice| format!("`{}`", choice.name)).collect::<Vec<_>>().join(", ")
}
