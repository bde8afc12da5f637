//! `nodec eval`: a model scored with the params of an earlier run.

use super::args::EvalArgs;
use super::run::{Ended, run_values, titled};
use super::{Console, Exit};
use crate::data::Part;
use crate::engine::{Error, Run};
use crate::train::checkpoint;
use std::path::{Path, PathBuf};

impl Console<'_> {
    /// Prints what losses, likelihoods, metrics and outputs come to.
    pub(super) fn eval(&mut self, args: &EvalArgs) -> Exit {
        match self.try_eval(args) {
            Ok(exit) | Err(Ended::With(exit)) => exit,
        }
    }

    fn try_eval(&mut self, args: &EvalArgs) -> Result<Exit, Ended> {
        let model = self.load(&args.file)?;
        let part = args.split.part();
        let run = self.bound(&model, &args.settings).part(part).build();
        let mut run = run.map_err(|diagnostics| self.ended(&Error::Invalid(diagnostics)))?;
        self.take_params(&mut run, &args.from)?;
        if run.trains_on_examples() {
            if run.n_examples(part) == 0 {
                self.say(&format!("error: the data have no part `{}`\n", part.name()));
                return Ok(Exit::Usage);
            }
            let text = self.means(&run, part)?;
            self.print(&text);
            return Ok(Exit::Success);
        }
        let solution = run.solve().map_err(|error| self.ended(&error))?;
        self.print(&run_values(&solution));
        Ok(Exit::Success)
    }

    /// The means over the examples of a part, as text.
    pub(super) fn means(&mut self, run: &Run, part: Part) -> Result<String, Ended> {
        let means = run.evaluate(part).map_err(|error| self.ended(&error))?;
        let rows: Vec<(String, String)> =
            means.into_iter().map(|(term, value)| (term.name, value.to_string())).collect();
        Ok(titled(&format!("mean over {} examples, {}", run.n_examples(part), part.name()), &rows))
    }

    /// Gives the run the params in `from`, a run directory or a file.
    pub(super) fn take_params(&mut self, run: &mut Run, from: &Path) -> Result<(), Ended> {
        let path = file_in(from, "params.npz");
        let bytes = self.bytes(&path)?;
        let params = checkpoint::read_params(&bytes, &run.params()).map_err(|error| {
            self.say(&format!("error: the params in `{}` are not of this model: {error}\n", path.display()));
            Ended::With(Exit::Program)
        })?;
        for param in params {
            if !run.set_param(&param.path, &param.values) {
                let (name, path) = (&param.path, path.display());
                self.say(&format!(
                    "error: `{name}` in `{path}` lies outside the set that the model gives it\n"
                ));
                return Err(Ended::With(Exit::Program));
            }
        }
        Ok(())
    }

    /// The bytes of a file, or the way out.
    pub(super) fn bytes(&mut self, path: &Path) -> Result<Vec<u8>, Ended> {
        std::fs::read(path).map_err(|error| {
            self.say(&format!("error: cannot read `{}`: {error}\n", path.display()));
            Ended::With(Exit::Io)
        })
    }
}

/// `name` in the folder `from`, or `from` itself if it is a file.
pub(super) fn file_in(from: &Path, name: &str) -> PathBuf {
    if from.is_dir() { from.join(name) } else { from.to_owned() }
}
