//! `nodec show`: what the compiler makes of a model, stage by stage.

use super::args::{ShowArgs, Stage};
use super::run::Ended;
use super::{Console, Exit};
use crate::base::span::Sources;
use crate::diag::Sink;
use crate::engine::{Model, Run};
use crate::syntax::{print, token};

impl Console<'_> {
    /// Prints the stage.
    pub(super) fn show(&mut self, args: &ShowArgs) -> Exit {
        let shown = match args.stage {
            Stage::Tokens | Stage::Ast => self.show_syntax(args),
            Stage::Equations => self.load(&args.file).map(|model: Model| self.print(&model.equations())),
            Stage::Ir | Stage::Grad | Stage::Loops | Stage::Clif => self.show_code(args),
        };
        match shown {
            Ok(()) => Exit::Success,
            Err(Ended::With(exit)) => exit,
        }
    }

    /// The stages that a program with mistakes also has.
    fn show_syntax(&mut self, args: &ShowArgs) -> Result<(), Ended> {
        let (mut sources, mut sink) = (Sources::new(), Sink::new());
        let parsed = self.parse(&args.file, &mut sources, &mut sink).map_err(Ended::With)?;
        let text = match args.stage {
            Stage::Tokens => token::dump(&parsed.tokens, sources.text(parsed.file.source)),
            _ => print::print(&parsed.file),
        };
        self.print(&text);
        match self.verdict(sink, &sources) {
            Exit::Success => Ok(()),
            exit => Err(Ended::With(exit)),
        }
    }

    fn show_code(&mut self, args: &ShowArgs) -> Result<(), Ended> {
        let model = self.load(&args.file)?;
        let run: Run = self.build(&model, &args.settings)?;
        let listing = match args.stage {
            Stage::Ir => run.plan().show_ir(),
            Stage::Grad => run.plan().show_derivatives(),
            Stage::Loops => run.plan().show_loops(),
            _ => run.plan().show_machine_code(),
        };
        let text = listing.map_err(|error| {
            let error = run.failed(&error.into());
            self.ended(&error)
        })?;
        self.print(&text);
        Ok(())
    }
}
