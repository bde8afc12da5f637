//! `nodec grad`: a gradient by every way there is, and whether they agree.

use super::args::{GradArgs, SettingArgs};
use super::run::Ended;
use super::{Console, Exit};
use crate::engine::{Error, Gradient, Model, Run, Slope, Way};
use std::time::Instant;

/// Derivatives shown of each gradient; the others are compared all the same.
const SHOWN: usize = 24;

/// A gradient that was taken, and how long that took in milliseconds, code generation included.
struct Taken {
    way: &'static str,
    outcome: Result<Gradient, Error>,
    time: f64,
}

impl Console<'_> {
    /// Prints the gradients of all that is asked for.
    pub(super) fn grad(&mut self, args: &GradArgs) -> Exit {
        match self.try_grad(args) {
            Ok(exit) | Err(Ended::With(exit)) => exit,
        }
    }

    fn try_grad(&mut self, args: &GradArgs) -> Result<Exit, Ended> {
        let model = self.load(&args.file)?;
        let run = self.built(&model, &args.settings)?;
        let wanted = match &args.of {
            Some(name) => vec![Some(name.as_str())],
            None => run.differentiable(),
        };
        if wanted.is_empty() || run.params().is_empty() {
            self.say("error: a gradient needs a loss or a scalar output, and a param\n");
            return Ok(Exit::Program);
        }
        let mut exit = Exit::Success;
        for name in wanted {
            let Some(text) = self.gradients(&run, name)? else {
                let known = run.scalars().join(", ");
                self.say(&format!(
                    "error: no scalar is called `{}`; there are {known}\n",
                    name.unwrap_or_default()
                ));
                return Ok(Exit::Usage);
            };
            self.print(&text);
            let slopes = run.slopes(name).expect("the scalar exists").map_err(|error| self.ended(&error))?;
            self.print(&against_differences(&slopes));
            if slopes.iter().any(Slope::is_wrong) {
                exit = Exit::Numbers;
            }
        }
        Ok(exit)
    }

    fn built(&mut self, model: &Model, settings: &SettingArgs) -> Result<Run, Ended> {
        let run = self.bound(model, settings).build();
        run.map_err(|diagnostics| self.ended(&Error::Invalid(diagnostics)))
    }

    /// The gradient of one scalar by every way, as text; `None` if there is no such scalar.
    fn gradients(&mut self, run: &Run, name: Option<&str>) -> Result<Option<String>, Ended> {
        let mut taken = Vec::new();
        for way in Way::ALL {
            let begun = Instant::now();
            let Some(outcome) = run.gradient_by(name, way) else { return Ok(None) };
            taken.push(Taken { way: way.name, outcome, time: 1e3 * begun.elapsed().as_secs_f64() });
        }
        let Some(first) = taken.iter().find_map(|taken| taken.outcome.as_ref().ok()) else {
            let failed = taken.into_iter().find_map(|taken| taken.outcome.err());
            return Err(self.ended(&failed.expect("no way has come to an end")));
        };
        let mut text = format!("gradient of {} = {}\n", name.unwrap_or("the objective"), first.value);
        let mut entries = Vec::new();
        for param in &first.by {
            for (at, value) in param.values.iter().enumerate() {
                let name = if param.values.len() == 1 {
                    param.path.to_string()
                } else {
                    format!("{}[{at}]", param.path)
                };
                entries.push((name, *value));
            }
        }
        let width = entries.iter().take(SHOWN).map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, value) in entries.iter().take(SHOWN) {
            text += &format!("  {name:width$}  {value}\n");
        }
        if entries.len() > SHOWN {
            text += &format!("  and {} more\n", entries.len() - SHOWN);
        }
        text += &format!(
            "\n  {:26}  {:>12}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}\n",
            "way", "disagreement", "forward", "back", "again", "kept", "ms"
        );
        for Taken { way, outcome, time } in &taken {
            text += &match outcome {
                Ok(gradient) => format!(
                    "  {way:26}  {:12.1e}  {:9}  {:9}  {:9}  {:9}  {time:9.2}\n",
                    disagreement(gradient, first),
                    gradient.evaluations,
                    gradient.cost.evaluations,
                    gradient.cost.recomputed,
                    gradient.cost.most_states,
                ),
                Err(error) => {
                    let why = error.diagnostics().iter().next().map_or("", |why| &why.message);
                    format!("  {way:26}  {why}\n")
                }
            };
        }
        Ok(Some(text))
    }

    /// Compares the gradients with differences of runs.
    pub(super) fn check_gradients(&mut self, model: &Model, settings: &SettingArgs) -> Result<Exit, Ended> {
        let run = self.built(model, settings)?;
        let wrong = run.check_gradients().map_err(|error| self.ended(&error))?;
        self.show_diagnostics(&wrong);
        Ok(if wrong.is_empty() { Exit::Success } else { Exit::Numbers })
    }
}

/// Largest difference, relative to the largest entry.
fn disagreement(gradient: &Gradient, first: &Gradient) -> f64 {
    let entries = |gradient: &Gradient| -> Vec<f64> {
        gradient.by.iter().flat_map(|param| param.values.clone()).collect()
    };
    let (a, b) = (entries(gradient), entries(first));
    let size = b.iter().fold(0.0_f64, |max, b| max.max(b.abs()));
    let gap = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    if gap == 0.0 { 0.0 } else { gap / size }
}

fn against_differences(slopes: &[Slope]) -> String {
    let worst = slopes.iter().map(|slope| (slope.gradient - slope.differences).abs()).fold(0.0, f64::max);
    let size = slopes.iter().fold(0.0_f64, |max, slope| max.max(slope.differences.abs()));
    let relative = if worst == 0.0 { 0.0 } else { worst / size };
    let mut text = format!(
        "  {:26}  {relative:12.1e}  against `solve.adjoint`, both at tighter tolerances\n",
        "differences of runs"
    );
    for slope in slopes.iter().filter(|slope| slope.is_wrong()) {
        let Slope { along, gradient, differences, doubt } = slope;
        text +=
            &format!("  wrong: by {along} {gradient:e}, differences {differences:e} within {doubt:.1e}\n");
    }
    text + "\n"
}
