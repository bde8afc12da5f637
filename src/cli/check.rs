//! `nodec check`: every mistake in a model and its data, and in its gradients if asked.

use super::args::CheckArgs;
use super::run::Ended;
use super::{Console, Exit};

impl Console<'_> {
    /// Checks the program, then the program with its data, settings and sizes.
    pub(super) fn check(&mut self, args: &CheckArgs) -> Exit {
        let checked = self.load(&args.file).and_then(|model| {
            self.check_bound(&model, &args.settings)?;
            match args.gradients {
                true => self.check_gradients(&model, &args.settings),
                false => Ok(Exit::Success),
            }
        });
        match checked {
            Ok(exit) | Err(Ended::With(exit)) => exit,
        }
    }
}
