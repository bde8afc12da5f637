//! `nodec run`: fit the model if it has a `train` block, else simulate it; print what came out and
//! leave a run directory.

use super::args::{RunArgs, SettingArgs};
use super::export::write_exports;
use super::picture::pictures;
use super::plot::png;
use super::progress::Progress;
use super::record::{self, DataRecord, MetricRecord};
use super::run_dir::{Place, RunDir, RunDirError};
use super::table::{Estimate, estimates, pairs};
use super::{Console, Exit};
use crate::data::Part;
use crate::engine::{Binder, Error, Model, OwnError, ParamValue, Run, Solution, Trajectory, TrajectoryKind};
use crate::ir::program::Role;
use crate::solve::outcome::Stats;
use crate::train::{Curvature, Fit, checkpoint};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Pixels of the PNG for each unit of the SVG.
pub(super) const PNG_SCALE: f32 = 2.0;

/// More numbers than this are not written as text: `params.npz` has them.
const READABLE: usize = 10_000;

/// Why a command ended early; what there is to say has been said.
pub(super) enum Ended {
    /// With this exit code.
    With(Exit),
}

impl Console<'_> {
    /// The model with what the command line sets, to be compiled with the code that is kept.
    pub(super) fn bound(&self, model: &Model, settings: &SettingArgs) -> Binder {
        let binder = bound(model, settings);
        self.cache.iter().fold(binder, Binder::code_cache)
    }

    /// `nodec run`
    pub(super) fn run(&mut self, args: &RunArgs) -> Exit {
        match self.try_run(args) {
            Ok(exit) | Err(Ended::With(exit)) => exit,
        }
    }

    fn try_run(&mut self, args: &RunArgs) -> Result<Exit, Ended> {
        let model = self.load(&args.file)?;
        let mut run = self.build(self.bound(&model, &args.settings).sweeps(args.sweep.iter().cloned()))?;
        let folder = RunDir::begin(place(args)).map_err(|error| self.unwritable(&error))?;
        let on_examples = run.trains_on_examples();
        match (model.is_trainable(), on_examples) {
            (true, true) => self.train(&mut run, folder, args.resume.as_deref()),
            (_, _) if args.resume.is_some() => {
                self.say("error: `--resume` goes on with training on examples, and this model has none\n");
                Err(Ended::With(Exit::Usage))
            }
            (true, false) => self.fit(&mut run, folder),
            (false, _) if run.is_many() => self.many(&run, folder),
            (false, _) => self.simulate(&run, folder),
        }
    }

    /// The bound and compiled model; its warnings have been shown.
    pub(super) fn build(&mut self, binder: Binder) -> Result<Run, Ended> {
        let run = binder.build();
        let run = run.map_err(|diagnostics| self.ended(&Error::Invalid(diagnostics)))?;
        self.show_diagnostics(&run.warnings());
        self.show_diagnostics(&binder.unread_settings());
        Ok(run)
    }

    /// Finds every mistake that [`Console::build`] would, and makes no code.
    pub(super) fn check_bound(&mut self, model: &Model, settings: &SettingArgs) -> Result<(), Ended> {
        let binder = bound(model, settings);
        let warnings = binder.check().map_err(|diagnostics| self.ended(&Error::Invalid(diagnostics)))?;
        self.show_diagnostics(&warnings);
        self.show_diagnostics(&binder.unread_settings());
        Ok(())
    }

    fn simulate(&mut self, run: &Run, folder: RunDir) -> Result<Exit, Ended> {
        let begun = Instant::now();
        let solution = run.solve().map_err(|error| self.ended(&error))?;
        let taken = begun.elapsed();
        let mut text = end_values(&solution);
        text += &match run.trains_on_examples() {
            true => self.means(run, Part::Train)?,
            false => run_values(&solution),
        };
        text += &statistics(run, &solution, None, taken);
        self.print(&text);
        self.show_diagnostics(&run.doubts(solution.own_errors()));
        let written =
            record_run(run, Some(&solution), &point(&run.params()), &folder).and_then(|()| folder.finish());
        let folder = written.map_err(|error| self.unwritable(&error))?;
        self.say(&format!("written to {}\n", folder.display()));
        Ok(Exit::Success)
    }

    fn fit(&mut self, run: &mut Run, folder: RunDir) -> Result<Exit, Ended> {
        let begun = Instant::now();
        let progress = Progress::new(run.settings().train.steps);
        let mut metrics = folder.json_lines("metrics.jsonl").map_err(|error| self.unwritable(&error))?;
        let mut fault = None;
        let fit = run.fit(|at| {
            progress.show(at.step, at.value, at.gradient_norm);
            let record = MetricRecord {
                step: at.step,
                evaluations: at.evaluations,
                objective: at.value,
                gradient_norm: at.gradient_norm,
            };
            match metrics.push(&record) {
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
        let fit = fit.map_err(|error| self.ended(&error))?;
        let taken = begun.elapsed();
        let fitted = fitted(&fit);
        let mut text = estimates(&fitted) + "\n";
        text += &objective_terms(&fit);
        text += &statistics(run, &fit.solution, Some(&fit), taken);
        self.print(&text);
        self.show_diagnostics(&run.doubts(fit.solution.own_errors()));
        match (&fit.errors, fit.curvature) {
            (Err(why), _) => self.say(&format!("no standard errors: {why}\n")),
            (Ok(_), Curvature::GaussNewton) => {
                self.say("standard errors by Gauss–Newton: without second derivatives of the run\n");
            }
            (Ok(_), Curvature::Hessian) => {}
        }
        let written = metrics
            .close()
            .and_then(|()| record_run(run, Some(&fit.solution), &fitted, &folder))
            .and_then(|()| folder.finish());
        let folder = written.map_err(|error| self.unwritable(&error))?;
        self.say(&format!("written to {}\n", folder.display()));
        if fit.why.converged() {
            return Ok(Exit::Success);
        }
        self.say(&format!("the fit did not converge: {}\n", fit.why.words()));
        Ok(Exit::NotConverged)
    }

    /// Shows why there is no result; the way out that goes with it.
    pub(super) fn ended(&mut self, error: &Error) -> Ended {
        self.show_diagnostics(error.diagnostics());
        match error {
            Error::Invalid(_) => Ended::With(Exit::Program),
            Error::Failed { .. } => Ended::With(Exit::Numbers),
        }
    }

    pub(super) fn unwritable(&mut self, error: &RunDirError) -> Ended {
        self.say(&format!("error: {error}\n"));
        Ended::With(Exit::Io)
    }
}

/// Where the run directory goes.
fn place(args: &RunArgs) -> Place {
    match &args.out {
        Some(folder) => Place::Exactly(folder.clone()),
        None => Place::Next(PathBuf::from("runs")),
    }
}

/// The model with what the command line sets.
pub(super) fn bound(model: &Model, settings: &SettingArgs) -> Binder {
    let binder = model.bind().flags(settings.flags());
    match &settings.profile {
        Some(profile) => binder.profile(profile),
        None => binder,
    }
}

/// Everything in the run directory but the metrics of a fit.
pub(super) fn record_run(
    run: &Run,
    solution: Option<&Solution>,
    params: &[Estimate],
    folder: &RunDir,
) -> Result<(), RunDirError> {
    folder.write("model.node", run.text())?;
    folder.write_json("settings.json", &record::settings(&run.settings().resolved, run.sources()))?;
    if params.len() <= READABLE {
        folder.write_json("params.json", &record::params(params))?;
    }
    folder.write("params.npz", checkpoint::params(&run.params()))?;
    let files: Vec<DataRecord> = run.files().iter().map(record::data).collect();
    folder.write_json("data.json", &files)?;
    let Some(solution) = solution else { return Ok(()) };
    let columns = columns(solution);
    let mut named: Vec<(&str, &[f64])> = vec![(run.time_name(), solution.ts())];
    named.extend(columns.iter().map(|(name, values)| (name.as_str(), values.as_slice())));
    folder.write_csv("trajectory.csv", &named)?;
    write_exports(run.program(), solution, folder)?;
    write_pictures(&pictures(run, solution), folder)
}

/// Every picture as SVG and as PNG.
pub(super) fn write_pictures(pictures: &[String], folder: &RunDir) -> Result<(), RunDirError> {
    let several = pictures.len() > 1;
    for (number, svg) in pictures.iter().enumerate() {
        let name = if several { format!("plot{}", number + 1) } else { String::from("plot") };
        folder.write(&format!("{name}.svg"), svg)?;
        let drawn = png(svg, PNG_SCALE).unwrap_or_else(|error| crate::bug!("our own SVG: {error}"));
        folder.write(&format!("{name}.png"), drawn)?;
    }
    Ok(())
}

/// A column for each entry of each state, channel and output.
fn columns(solution: &Solution) -> Vec<(String, Vec<f64>)> {
    let wanted = |trajectory: &&Trajectory| trajectory.kind() != TrajectoryKind::Drawn;
    let each = solution.trajectories().iter().filter(wanted).flat_map(|trajectory| {
        let names = entry_names(trajectory.name(), trajectory.shape());
        let width = names.len();
        names.into_iter().enumerate().map(move |(entry, name)| {
            (name, trajectory.values().iter().skip(entry).step_by(width.max(1)).copied().collect())
        })
    });
    each.collect()
}

/// `x`, or `u[0]`, `u[1]`, … for the entries of a tensor.
pub(super) fn entry_names(name: &str, shape: &[usize]) -> Vec<String> {
    let mut names = vec![String::from(name)];
    for (axis, dim) in shape.iter().enumerate() {
        let extended = names.iter().flat_map(|prefix| {
            (0..*dim).map(move |i| match axis {
                0 => format!("{prefix}[{i}]"),
                _ => format!("{}, {i}]", prefix.trim_end_matches(']')),
            })
        });
        names = extended.collect();
    }
    names
}

fn entries(values: &[ParamValue]) -> impl Iterator<Item = (String, f64)> {
    values
        .iter()
        .flat_map(|param| entry_names(&param.path, &param.shape).into_iter().zip(param.values.clone()))
}

/// Params without errors.
pub(super) fn point(params: &[ParamValue]) -> Vec<Estimate> {
    entries(params).map(|(name, value)| Estimate { name, value, standard_error: None }).collect()
}

/// Params with their errors, where there are any.
fn fitted(fit: &Fit) -> Vec<Estimate> {
    let mut rows = point(&fit.params);
    if let Ok(errors) = &fit.errors {
        for (row, (_, error)) in rows.iter_mut().zip(entries(errors)) {
            row.standard_error = Some(error);
        }
    }
    rows
}

/// The states, channels and outputs where the run ends.
fn end_values(solution: &Solution) -> String {
    let end = solution.interval().1;
    let ends = solution.at(end).unwrap_or_default();
    let rows: Vec<(String, String)> = (solution.trajectories().iter().zip(ends))
        .filter(|(trajectory, _)| trajectory.kind() != TrajectoryKind::Drawn)
        .flat_map(|(trajectory, values)| {
            let names = entry_names(trajectory.name(), trajectory.shape());
            names.into_iter().zip(values.into_iter().map(|value| value.to_string()))
        })
        .collect();
    titled(&format!("at {end}"), &rows)
}

/// What `loss`, `metric` and `output` lines of the whole run come to.
pub(super) fn run_values(solution: &Solution) -> String {
    let rows: Vec<(String, String)> = solution
        .values()
        .iter()
        .filter(|value| match value.role {
            Role::Loss | Role::Likelihood | Role::Metric | Role::Output => true,
            Role::Prior | Role::Plot => false,
        })
        .flat_map(|value| {
            let names = entry_names(&value.name, &value.shape);
            names.into_iter().zip(value.values.iter().map(f64::to_string))
        })
        .collect();
    titled("of the run", &rows)
}

/// The objective and what it is the sum of.
fn objective_terms(fit: &Fit) -> String {
    let mut rows = vec![(String::from("total"), format!("{:.6}", fit.objective))];
    for value in fit.solution.values() {
        let kind = match value.role {
            Role::Loss => "loss ",
            Role::Likelihood => "likelihood ",
            // The name of a prior says that it is one.
            Role::Prior => "",
            Role::Metric => "metric ",
            Role::Output | Role::Plot => continue,
        };
        let number = value.values.iter().sum::<f64>() / value.values.len().max(1) as f64;
        rows.push((format!("{kind}{}", value.name), format!("{number:.6}")));
    }
    titled("objective", &rows)
}

fn statistics(run: &Run, solution: &Solution, fit: Option<&Fit>, taken: Duration) -> String {
    let stats = solution.stats();
    let mut rows = vec![
        (String::from("method"), String::from(run.settings().solve.method.name)),
        (String::from("steps accepted"), stats.accepted.to_string()),
        (String::from("steps rejected"), stats.rejected.to_string()),
        (String::from("evaluations of f"), stats.evaluations.to_string()),
    ];
    rows.extend(work(&stats));
    rows.extend(own_error_rows(solution.own_errors()));
    if let Some(form) = stats.jacobian_form() {
        rows.push((String::from("Jacobians"), form));
    }
    if let Some(choice) = run.settings().solve.method.choice(&stats) {
        rows.push((String::from("why"), choice));
    }
    if let Some(fit) = fit {
        rows.push((String::from("optimizer steps"), fit.steps.to_string()));
        rows.push((String::from("gradient evaluations"), fit.gradient_evaluations.to_string()));
        rows.push((String::from("ended because"), String::from(fit.why.words())));
    }
    rows.push((String::from("compile time"), milliseconds(run.plan().compile_time())));
    rows.push((String::from("run time"), milliseconds(taken)));
    titled("statistics", &rows)
}

/// The counters that only some methods and runs have.
pub(super) fn work(stats: &Stats) -> impl Iterator<Item = (String, String)> {
    let counters = [
        ("evaluations of jacobians", stats.jacobians),
        ("factorisations", stats.factorisations),
        ("newton iterations", stats.newton_iterations),
        ("rejected: newton failed", stats.newton_failures),
        ("rejected: not finite", stats.non_finite),
    ];
    counters.into_iter().filter(|(_, n)| *n > 0).map(|(name, n)| (String::from(name), n.to_string()))
}

/// The most errors of channels that are printed.
const OWN_ERRORS: usize = 8;

/// The error estimates of what has no say in the step size; of many, the worst.
pub(super) fn own_error_rows(own_errors: &[OwnError]) -> Vec<(String, String)> {
    let mut worst: Vec<&OwnError> = own_errors.iter().collect();
    if worst.len() > OWN_ERRORS {
        worst.sort_by(|a, b| b.ratio().total_cmp(&a.ratio()));
        worst.truncate(OWN_ERRORS);
    }
    let row = |one: &OwnError| {
        (format!("error of {}", one.name), format!("{:.1e}, tolerance {:.1e}", one.error, one.tolerance))
    };
    worst.into_iter().map(row).collect()
}

pub(super) fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// Rows under a title, an empty line after them; nothing if there are none.
pub(super) fn titled(title: &str, rows: &[(String, String)]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let indented: Vec<(String, &String)> =
        rows.iter().map(|(name, value)| (format!("  {name}"), value)).collect();
    let rows: Vec<(&str, String)> =
        indented.iter().map(|(name, value)| (name.as_str(), (*value).clone())).collect();
    format!("{title}\n{}\n", pairs(&rows))
}
