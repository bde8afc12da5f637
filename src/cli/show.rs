//! `nodec show`: what the compiler makes of a model, stage by stage.

use super::args::{ShowArgs, Stage};
use super::{Console, Exit};
use crate::base::span::Sources;
use crate::diag::Sink;
use crate::syntax::print;

impl Console<'_> {
    /// Prints the stage.
    pub(super) fn show(&mut self, args: &ShowArgs) -> Exit {
        let mut sources = Sources::new();
        let mut sink = Sink::new();
        let parsed = match self.parse(&args.file, &mut sources, &mut sink) {
            Ok(parsed) => parsed,
            Err(exit) => return exit,
        };
        match args.stage {
            Stage::Tokens => {
                let lines = parsed.tokens.iter().map(|token| format!("{token:?}\n"));
                self.print(&lines.collect::<String>());
            }
            Stage::Ast => self.print(&print::print(&parsed.file)),
            Stage::Equations | Stage::Ir | Stage::Grad | Stage::Loops | Stage::Clif => {
                return self.not_built("nodec show --stage");
            }
        }
        self.verdict(sink, &sources)
    }
}
