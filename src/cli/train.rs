//! `nodec run` on a model with a `train` block and many examples: progress, metrics, checkpoints.

use super::eval::file_in;
use super::progress::Progress;
use super::record::{self, MeansRecord};
use super::run::{Ended, milliseconds, point, record_run, titled};
use super::run_dir::RunDir;
use super::table::estimates;
use super::{Console, Exit};
use crate::data::Part;
use crate::engine::Run;
use crate::settings::OptimizerChoice;
use crate::train::minibatch::{Event, Report, State, Term};
use crate::train::{Trained, Why, checkpoint};
use std::ops::ControlFlow;
use std::path::Path;

/// Params with more numbers than this are listed by their shapes.
const LISTED: usize = 60;

impl Console<'_> {
    /// Trains, prints what came out and leaves the run directory.
    pub(super) fn train(
        &mut self,
        run: &mut Run,
        folder: RunDir,
        resume: Option<&Path>,
    ) -> Result<Exit, Ended> {
        let state = resume.map(|from| self.resumed(run, from)).transpose()?;
        let terms = run.terms();
        let mut metrics = folder.json_lines("metrics.jsonl").map_err(|error| self.unwritable(&error))?;
        let progress = Progress::new(steps(run));
        let mut fault = None;
        let at_start = run.clone();
        let trained = run.train(state, |event| {
            let written = match event {
                Event::Step(report) => {
                    progress.show(report.step, report.objective, report.gradient_norm.unwrap_or(f64::NAN));
                    metrics.push(&record::means(Part::Train, report, &terms))
                }
                Event::Valid(report) => {
                    self.say(&format!("{}\n", look(report, &terms)));
                    metrics.push(&record::means(Part::Valid, report, &terms))
                }
                Event::Checkpoint(state) => write_checkpoint(&at_start, state, &folder),
            };
            match written {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    fault = Some(error);
                    ControlFlow::Break(())
                }
            }
        });
        progress.finish();
        if let Some(error) = fault {
            return Err(self.unwritable(&error));
        }
        let trained = trained.map_err(|error| self.ended(&error))?;
        self.print(&summary(run, &trained, &terms));
        let first_order = !matches!(run.settings().train.optimizer, OptimizerChoice::Lbfgs { .. });
        let means: Vec<MeansRecord> =
            trained.parts.iter().map(|(part, _, report)| record::means(*part, report, &terms)).collect();
        let written = metrics
            .close()
            .and_then(|()| folder.write_json("results.json", &means))
            .and_then(|()| record_run(run, run.solve().ok().as_ref(), &point(&trained.params), &folder))
            .and_then(|()| if first_order { write_checkpoint(run, &trained.state, &folder) } else { Ok(()) })
            .and_then(|()| folder.finish());
        let folder = written.map_err(|error| self.unwritable(&error))?;
        self.say(&format!("written to {}\n", folder.display()));
        if let Some(failure) = &trained.failure {
            self.ended(failure);
        }
        match trained.why {
            Why::NotFinite => {
                self.say("training diverged; the params are those of the last step at which the objective was finite\n");
                Ok(Exit::Numbers)
            }
            Why::Stalled => Ok(Exit::NotConverged),
            Why::Gradient | Why::Decrease | Why::StepLimit | Why::Patience | Why::Stopped => {
                Ok(Exit::Success)
            }
        }
    }

    /// The state that an earlier run left in `from`, a run directory or a file.
    fn resumed(&mut self, run: &Run, from: &Path) -> Result<State, Ended> {
        let path = file_in(from, "checkpoint.npz");
        let bytes = self.bytes(&path)?;
        let n = run.n_free();
        checkpoint::read_state(&bytes, n, &run.settings().train).map_err(|error| {
            self.say(&format!("error: cannot go on from `{}`: {error}\n", path.display()));
            Ended::With(Exit::Program)
        })
    }
}

fn write_checkpoint(run: &Run, state: &State, folder: &RunDir) -> Result<(), super::run_dir::RunDirError> {
    // A state is a point that the run was at, so its params can be told.
    let params = run.params_at(&state.u).unwrap_or_default();
    folder.replace("checkpoint.npz", checkpoint::checkpoint(&params, state))
}

/// Steps of the whole training, at most.
fn steps(run: &Run) -> u64 {
    let train = &run.settings().train;
    let examples = run.n_examples(Part::Train) as u64;
    let batches = examples.div_ceil(train.batch.unwrap_or(examples).clamp(1, examples.max(1)));
    train.epochs.map_or(train.steps, |epochs| train.steps.min(epochs.saturating_mul(batches)))
}

/// A look at the validation data in a line.
fn look(report: &Report, terms: &[Term]) -> String {
    let each = terms.iter().zip(&report.terms).map(|(term, value)| format!("  {} {value:.6}", term.name));
    format!(
        "epoch {}  step {}  valid {:.6}{}",
        report.epoch,
        report.step,
        report.objective,
        each.collect::<String>()
    )
}

fn summary(run: &Run, trained: &Trained, terms: &[Term]) -> String {
    let n: usize = trained.params.iter().map(|param| param.values.len()).sum();
    let mut text = if n <= LISTED {
        estimates(&point(&trained.params)) + "\n"
    } else {
        let rows: Vec<(String, String)> = trained
            .params
            .iter()
            .map(|param| (param.path.to_string(), format!("{:?}", param.shape)))
            .collect();
        titled(&format!("{n} params"), &rows)
    };
    for (part, count, report) in &trained.parts {
        let total = (String::from("total"), format!("{:.6}", report.objective));
        let each = terms.iter().zip(&report.terms).map(|(term, value)| {
            let kind = if term.lowered { "" } else { "metric " };
            (format!("{kind}{}", term.name), format!("{value:.6}"))
        });
        let rows: Vec<(String, String)> = std::iter::once(total).chain(each).collect();
        let examples = if *count == 1 { "example" } else { "examples" };
        text += &titled(&format!("mean over {count} {examples}, {}", part.name()), &rows);
    }
    let rows = [
        (String::from("method"), String::from(run.settings().solve.method.name)),
        (String::from("optimizer steps"), trained.state.step.to_string()),
        (String::from("epochs"), trained.state.epoch.to_string()),
        (String::from("ended because"), String::from(trained.why.words())),
        (String::from("compile time"), milliseconds(run.plan().compile_time())),
        (String::from("run time"), milliseconds(trained.time)),
    ];
    text + &titled("statistics", &rows)
}
