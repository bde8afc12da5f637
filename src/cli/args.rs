//! What can be written after `nodec`.

use crate::data::Part;
use crate::settings::{Flag, Sweep};
use crate::solve::method::Method;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  nodec run model.node                             fit or simulate, and write runs/0001
  nodec run model.node --set mu=50 --rtol 1e-9     with another number and a tighter tolerance
  nodec check model.node                           every mistake at once
  nodec explain E0301                              what a message means

Environment:
  NODEC_CACHE   the folder in which machine code is kept, so that a model which took long to compile
                starts sooner the next time; `off` for none [default: nodec in the folder of the
                platform for such files, such as ~/.cache; none on Windows]
  NO_COLOR      no colours";

/// Solves and fits systems of differential equations written in the `.node` language.
#[derive(Clone, Debug, Parser)]
#[command(name = "nodec", version, about, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How mistakes are shown
    #[arg(long, global = true, value_enum, default_value_t, help_heading = "Messages")]
    pub message_format: MessageFormat,
    /// Whether they are coloured
    #[arg(long, global = true, value_enum, default_value_t, help_heading = "Messages")]
    pub color: Color,
}

/// How mistakes are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum MessageFormat {
    /// With the lines they are in
    #[default]
    Full,
    /// A line each
    Short,
    /// A JSON object each, one a line
    Json,
}

/// Whether messages are coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal
    #[default]
    Auto,
    /// Yes
    Always,
    /// No
    Never,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run a model: fit it if it has a `train` block, else simulate it
    Run(RunArgs),
    /// Score a model with the params of an earlier run
    Eval(EvalArgs),
    /// Compare methods on a model: the error they make against the work they do
    Bench(BenchArgs),
    /// Report every mistake in a model, and do nothing else
    Check(CheckArgs),
    /// Take the gradient of a model by every way there is, and compare them
    Grad(GradArgs),
    /// Rewrite programs in the canonical layout
    Fmt(FmtArgs),
    /// Show what the compiler makes of a model
    Show(ShowArgs),
    /// Write a model as a page to read: its equations, params, data and what depends on what
    Doc(DocArgs),
    /// Explain the code of a message, such as E0301
    Explain(ExplainArgs),
    /// List every setting with its value and who set it
    Config(ConfigArgs),
    /// Print the `data` declaration for a file
    Schema(SchemaArgs),
    /// Begin a model in a folder of its own, from an example
    New(NewArgs),
}

/// `nodec run`
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// The model
    pub file: PathBuf,
    /// Where the run is written; must not exist or be empty [default: the next number in runs/]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Run once for each value of a const, param or input: 'mu = logspace(0, 3, 40)', or a list; several make a grid
    #[arg(long, value_name = "NAME = VALUES", value_parser = sweep)]
    pub sweep: Vec<Sweep>,
    /// Go on training from the checkpoint of an earlier run
    #[arg(long, value_name = "DIR", conflicts_with = "sweep")]
    pub resume: Option<PathBuf>,
    /// What is set from outside.
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// `nodec eval`
#[derive(Clone, Debug, Args)]
pub struct EvalArgs {
    /// The model
    pub file: PathBuf,
    /// The run directory that holds the params, or a file of params (npz)
    #[arg(long, value_name = "DIR")]
    pub from: PathBuf,
    /// Which part of the data
    #[arg(long, value_enum, default_value_t)]
    pub split: Split,
    /// What is set from outside.
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// `nodec bench`
#[derive(Clone, Debug, Args)]
pub struct BenchArgs {
    /// The model
    pub file: PathBuf,
    /// The methods, with commas between [default: those of twelve that can solve the model]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub methods: Vec<String>,
    /// The relative tolerances, with commas between [default: 1e-3,1e-5,1e-7,1e-9,1e-11]
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', value_parser = tolerance)]
    pub tolerances: Vec<f64>,
    /// Where the table and the charts are written; must not exist or be empty [default: the next number in runs/]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// What is set from outside.
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// A part of the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Split {
    /// What was fitted to
    Train,
    /// What the fit was watched on
    Valid,
    /// What the result is judged by
    #[default]
    Test,
}

impl Split {
    /// In the words of the library.
    pub fn part(self) -> Part {
        match self {
            Split::Train => Part::Train,
            Split::Valid => Part::Valid,
            Split::Test => Part::Test,
        }
    }
}

/// `nodec new`
#[derive(Clone, Debug, Args)]
pub struct NewArgs {
    /// The name of the model, and of its folder
    pub name: String,
    /// The example to begin from
    #[arg(long, value_name = "EXAMPLE", value_parser = super::new::names())]
    pub from: String,
}

/// `nodec grad`
#[derive(Clone, Debug, Args)]
pub struct GradArgs {
    /// The model
    pub file: PathBuf,
    /// The loss or output that is differentiated [default: the training objective, or every scalar output]
    #[arg(long, value_name = "NAME")]
    pub of: Option<String>,
    /// What is set from outside.
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// `nodec check`
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// The model
    pub file: PathBuf,
    /// Compare the gradient with differences of runs as well, and fail if one is wrong
    #[arg(long)]
    pub gradients: bool,
    /// What is set from outside.
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// `nodec fmt`
#[derive(Clone, Debug, Args)]
pub struct FmtArgs {
    /// The programs
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Change nothing; fail if a file is not in the canonical layout
    #[arg(long)]
    pub check: bool,
}

/// `nodec show`
#[derive(Clone, Debug, Args)]
pub struct ShowArgs {
    /// The model
    pub file: PathBuf,
    /// Which stage
    #[arg(long, value_enum)]
    pub stage: Option<Stage>,
    /// Short for --stage equations
    #[arg(long, conflicts_with_all = ["stage", "shapes", "cost"])]
    pub equations: bool,
    /// Short for --stage shapes
    #[arg(long, conflicts_with_all = ["stage", "cost"])]
    pub shapes: bool,
    /// Short for --stage cost
    #[arg(long, conflicts_with = "stage")]
    pub cost: bool,
    /// What is set from outside.
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// What `nodec show` can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    /// The words of the text, as the parser sees them
    Tokens,
    /// The tree
    Ast,
    /// The typed tree: every expression with its type and when it is known
    Typed,
    /// The equations as they were understood
    Equations,
    /// Every name with its type and when it is known
    Shapes,
    /// The functions of the model
    Ir,
    /// Their derivatives
    Grad,
    /// The functions packed for a run and simplified
    Opt,
    /// The loops
    Loops,
    /// The machine code before register allocation
    Clif,
    /// Operations on scalars in a call of the rate and in a step
    Cost,
}

/// `nodec doc`
#[derive(Clone, Debug, Args)]
pub struct DocArgs {
    /// The model
    pub file: PathBuf,
    /// Where the page is written [default: beside the model, with the ending html]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `nodec explain`
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// The code, such as E0301
    pub code: String,
}

/// `nodec config`
#[derive(Clone, Debug, Args)]
pub struct ConfigArgs {
    /// The model
    pub file: PathBuf,
    /// What is set from outside.
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// `nodec schema`
#[derive(Clone, Debug, Args)]
pub struct SchemaArgs {
    /// A file: csv, npy, npz, idx or ts, also with .gz
    pub file: PathBuf,
}

/// The options that set something.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Settings")]
pub struct SettingArgs {
    /// Set a const, param or input of the model, or a setting; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    pub sets: Vec<Flag>,
    /// Apply a profile of the file
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Relative error allowed in a step
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub rtol: Option<String>,
    /// Absolute error allowed in a step
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub atol: Option<String>,
    /// The method of integration.
    #[arg(long, value_name = "NAME", help = methods())]
    pub method: Option<String>,
    /// What of this machine the code may use: native, or baseline for what every machine has
    #[arg(long, value_name = "LEVEL")]
    pub cpu: Option<String>,
    /// The seed of everything random
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub seed: Option<String>,
}

impl SettingArgs {
    /// The flags in the order they apply: `--set` as given, then the short forms.
    pub fn flags(&self) -> Vec<Flag> {
        let short = [
            ("rtol", "solve.rtol", &self.rtol),
            ("atol", "solve.atol", &self.atol),
            ("method", "solve.method", &self.method),
            ("seed", "run.seed", &self.seed),
            ("cpu", "run.cpu", &self.cpu),
        ];
        let short = short.into_iter().filter_map(|(name, setting, value)| {
            value.as_ref().map(|value| Flag::alias(name, setting, value))
        });
        self.sets.iter().cloned().chain(short).collect()
    }
}

/// The help of `--method`.
fn methods() -> String {
    let names: Vec<&str> = Method::all().map(|method| method.name).collect();
    format!("The method of integration: {}", names.join(", "))
}

fn sweep(text: &str) -> Result<Sweep, String> {
    Sweep::parse(text).ok_or_else(|| {
        String::from("write it as 'NAME = logspace(0, 3, 40)', 'NAME = linspace(0, 1, 5)' or 'NAME = [1, 2]'")
    })
}

fn tolerance(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| String::from("a tolerance is a number above 0"))
}

fn assignment(text: &str) -> Result<Flag, String> {
    Flag::set(text).ok_or_else(|| String::from("write it as NAME=VALUE"))
}
