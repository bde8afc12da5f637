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
        let stage = match args {
            ShowArgs { equations: true, .. } => Some(Stage::Equations),
            ShowArgs { shapes: true, .. } => Some(Stage::Shapes),
            ShowArgs { cost: true, .. } => Some(Stage::Cost),
            ShowArgs { stage, .. } => *stage,
        };
        let Some(stage) = stage else {
            self.say("error: say what is shown: `--equations`, `--shapes`, `--cost` or `--stage`\n");
            return Exit::Usage;
        };
        let shown = match stage {
            Stage::Tokens | Stage::Ast => self.show_syntax(args, stage),
            Stage::Equations => self.load(&args.file).map(|model: Model| self.print(&model.equations())),
            Stage::Typed => self.load(&args.file).map(|model: Model| self.print(&model.typed())),
            Stage::Shapes => self.load(&args.file).map(|model: Model| self.print(&model.shapes())),
            Stage::Ir | Stage::Grad | Stage::Opt | Stage::Loops | Stage::Clif | Stage::Cost => {
                self.show_code(args, stage)
            }
        };
        match shown {
            Ok(()) => Exit::Success,
            Err(Ended::With(exit)) => exit,
        }
    }

    /// The stages that a program with mistakes also has.
    fn show_syntax(&mut self, args: &ShowArgs, stage: Stage) -> Result<(), Ended> {
        let (mut sources, mut sink) = (Sources::new(), Sink::new());
        let parsed = self.parse(&args.file, &mut sources, &mut sink).map_err(Ended::With)?;
        let text = match stage {
            Stage::Tokens => token::dump(&parsed.tokens, sources.text(parsed.file.source)),
            _ => print::print(&parsed.file),
        };
        self.print(&text);
        match self.verdict(sink, &sources) {
            Exit::Success => Ok(()),
            exit => Err(Ended::With(exit)),
        }
    }

    fn show_code(&mut self, args: &ShowArgs, stage: Stage) -> Result<(), Ended> {
        let model = self.load(&args.file)?;
        let run: Run = self.build(self.bound(&model, &args.settings))?;
        let listing = match stage {
            Stage::Ir => Ok(run.plan().show_program()),
            Stage::Opt => run.plan().show_ir(),
            Stage::Cost => run.plan().show_cost(),
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
