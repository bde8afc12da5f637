//! `nodec check`: every mistake in a model and its data, and nothing else.

use super::args::CheckArgs;
use super::run::Ended;
use super::{Console, Exit};

impl Console<'_> {
    /// Checks the program, then the program with its data, settings and sizes.
    pub(super) fn check(&mut self, args: &CheckArgs) -> Exit {
        let checked = self.load(&args.file).and_then(|model| self.check_bound(&model, &args.settings));
        match checked {
            Ok(_) => Exit::Success,
            Err(Ended::With(exit)) => exit,
        }
    }
}
