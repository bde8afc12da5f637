//! `nodec check`: every mistake in a model, and nothing else.

use super::args::CheckArgs;
use super::{Console, Exit};
use crate::base::span::Sources;
use crate::diag::Sink;

impl Console<'_> {
    /// Reports what the parser finds.
    pub(super) fn check(&mut self, args: &CheckArgs) -> Exit {
        let mut sources = Sources::new();
        let mut sink = Sink::new();
        match self.parse(&args.file, &mut sources, &mut sink) {
            Ok(_) => self.verdict(sink, &sources),
            Err(exit) => exit,
        }
    }
}
