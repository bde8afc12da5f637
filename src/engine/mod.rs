//! Layer 7: the whole pipeline as a few calls.
//!
//! A [`Model`] is a checked program; [`Model::bind`] gives it numbers and settings and compiles it
//! into a [`Run`]; a run solves, differentiates and (with `train`) fits. Mistakes of the user come
//! back as [`Diagnostics`], numbers that go wrong as [`Error::Failed`]; nothing is printed, nothing
//! is global, nothing panics on bad input.
//!
//! ```
//! let model = nodec::Model::parse("
//!     param k = 0.5
//!     time t in 0..2
//!     state x = 1.0
//!     x' = -k*x
//! ")?;
//! let run = model.bind().set("k", 1.0).rtol(1e-9).build()?;
//! let solution = run.solve()?;
//! let x = solution["x"].scalar_at(2.0).expect("the run ends at 2");
//! assert!((x - (-2.0_f64).exp()).abs() < 1e-8);
//! # Ok::<(), nodec::Error>(())
//! ```

mod accuracy;
mod axes;
mod bind;
mod blocks;
mod cause;
mod controls;
mod dataset;
mod diagnostics;
pub(crate) mod example;
mod gradients;
mod heat;
mod made;
mod many;
mod outcome;
mod outside;
mod prepare;
mod run;
mod solution;
mod source;

pub use accuracy::OwnError;
pub(crate) use accuracy::keep_worst;
pub use bind::Binder;
pub(crate) use cause::STIFF_NOTE;
pub use dataset::{DataFile, Dataset};
pub use diagnostics::{Diagnostics, Error};
pub use gradients::{Slope, Way};
pub use many::{Array, RunNumber, Runs};
pub use run::{Gradient, ParamValue, Run};
pub use solution::{Checkpoint, RunValue, Solution, Trajectory, TrajectoryKind};

use crate::base::span::{SourceId, Sources};
use crate::diag::{Code, Diagnostic, Sink};
use crate::sema::library::Files;
use crate::sema::{self, Checked, Known};
use crate::syntax::{ast, parser};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A program that has been read and checked, its data not yet looked at.
#[derive(Clone, Debug)]
pub struct Model {
    sources: Sources,
    source: SourceId,
    files: Arc<Files>,
    checked: Arc<Checked>,
    folder: PathBuf,
    warnings: Vec<Diagnostic>,
}

impl Model {
    /// Reads and checks a program. Data files are looked for in the current folder.
    pub fn parse(text: &str) -> Result<Model, Diagnostics> {
        Model::from_text("model.node", text, PathBuf::from("."))
    }

    /// Reads and checks the program in the file `path`. Data files are looked for beside it.
    pub fn load(path: impl AsRef<Path>) -> Result<Model, Diagnostics> {
        let path = path.as_ref();
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
                Model::from_text(&path.to_string_lossy(), &text, folder)
            }
            Err(error) => {
                let message = format!("cannot read `{}`: {error}", path.display());
                let diagnostic = Diagnostic::without_span(Code("E0700"), message)
                    .help("give the path of a `.node` file; it is text in UTF-8");
                Err(Diagnostics::new(vec![diagnostic], Sources::new()))
            }
        }
    }

    /// Reads and checks a program under the name that messages show, with the folder in which data
    /// files are looked for.
    pub fn from_text(name: &str, text: &str, folder: PathBuf) -> Result<Model, Diagnostics> {
        let mut sources = Sources::new();
        let source = sources.add(name, text);
        let mut sink = Sink::new();
        let file = parser::tree(source, text, &mut sink);
        if sink.has_errors() {
            return Err(Diagnostics::new(sink.into_diagnostics(), sources));
        }
        let mut read =
            |path: &str| std::fs::read_to_string(folder.join(path)).map_err(|error| error.to_string());
        let files = Arc::new(Files::gather(Arc::new(file), &mut sources, &mut sink, &mut read));
        let checked = sema::check(&files, &sources, &Known::default(), &mut sink);
        if sink.has_errors() {
            return Err(Diagnostics::new(sink.into_diagnostics(), sources));
        }
        let warnings = sink.into_diagnostics();
        Ok(Model { sources, source, files, checked: Arc::new(checked), folder, warnings })
    }

    /// What is suspicious about the program, though it runs.
    pub fn warnings(&self) -> Diagnostics {
        Diagnostics::new(self.warnings.clone(), self.sources.clone())
    }

    /// The text of the program.
    pub fn text(&self) -> &str {
        self.sources.text(self.source)
    }

    /// The name that messages show.
    pub fn name(&self) -> &str {
        self.sources.name(self.source)
    }

    /// Whether the program has a `train` block. `nodec run` then fits.
    pub fn is_trainable(&self) -> bool {
        self.files.main.items.iter().any(|item| match &item.kind {
            ast::ItemKind::Settings { group, .. } => *group == ast::SettingsGroup::Train,
            _ => false,
        })
    }

    /// What was extracted from the program, as text: states with starts and rates, channels,
    /// params, terms.
    pub fn equations(&self) -> String {
        self.checked.equations(&self.sources).unwrap_or_default()
    }

    /// What each name of the program is, as text: its kind, its type, when it is known.
    pub fn shapes(&self) -> String {
        self.checked.shapes().unwrap_or_default()
    }

    /// The typed tree as text, an expression a line.
    pub fn typed(&self) -> String {
        self.checked.typed(&self.sources).unwrap_or_default()
    }

    /// Starts to give the model its numbers and settings.
    pub fn bind(&self) -> Binder {
        Binder::new(self.clone())
    }
}
