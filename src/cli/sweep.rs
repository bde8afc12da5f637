//! `nodec run --sweep`: one simulation for each point of a grid of values.

use super::args::{RunArgs, SettingArgs};
use super::run::{Ended, bound, entry_names};
use super::run_dir::RunDir;
use super::{Console, Exit, record};
use crate::engine::{Error, Model, Run, Solution, TrajectoryKind};
use crate::ir::program::Role;
use crate::settings::Sweep;

impl Console<'_> {
    /// Simulates at each point and writes a row of `sweep.csv` for it: the values that were set, then
    /// what `nodec run` prints. A point that fails is said and leaves its row empty.
    pub(super) fn sweep(&mut self, model: &Model, args: &RunArgs, folder: RunDir) -> Result<Exit, Ended> {
        let points = grid(&args.sweep);
        let mut names: Vec<String> = args.sweep.iter().map(|sweep| sweep.name.clone()).collect();
        let n_set = names.len();
        let mut rows: Vec<Option<Vec<f64>>> = Vec::new();
        let mut last: Option<Run> = None;
        let mut exit = Exit::Success;
        for point in &points {
            let run = at(model, &args.settings, &args.sweep, point);
            let run = run.map_err(|diagnostics| self.ended(&Error::Invalid(diagnostics)))?;
            match run.solve() {
                Ok(solution) => {
                    let results = results(&solution);
                    if names.len() == n_set {
                        names.extend(results.iter().map(|(name, _)| name.clone()));
                    }
                    rows.push(Some(results.into_iter().map(|(_, value)| value).collect()));
                }
                Err(error) => {
                    let Ended::With(why) = self.ended(&error);
                    exit = why;
                    let set: Vec<String> = args
                        .sweep
                        .iter()
                        .zip(point)
                        .map(|(sweep, value)| format!("{} = {value}", sweep.name))
                        .collect();
                    self.say(&format!("this was at {}\n", set.join(", ")));
                    rows.push(None);
                }
            }
            last = Some(run);
        }
        let run = last.expect("a sweep has a value at least");
        let width = names.len() - n_set;
        let mut columns: Vec<Vec<f64>> = vec![Vec::new(); names.len()];
        for (point, row) in points.iter().zip(rows) {
            let results = row.unwrap_or_else(|| vec![f64::NAN; width]);
            for (column, value) in columns.iter_mut().zip(point.iter().copied().chain(results)) {
                column.push(value);
            }
        }
        let named: Vec<(&str, &[f64])> =
            names.iter().zip(&columns).map(|(name, column)| (name.as_str(), column.as_slice())).collect();
        let written = folder
            .write("model.node", run.text())
            .and_then(|()| {
                folder.write_json("settings.json", &record::settings(&run.settings().resolved, run.sources()))
            })
            .and_then(|()| folder.write_csv("sweep.csv", &named))
            .and_then(|()| folder.finish());
        let folder = written.map_err(|error| self.unwritable(&error))?;
        self.print(&table(&named));
        self.say(&format!("written to {}\n", folder.display()));
        Ok(exit)
    }
}

/// Every combination, the last name running fastest.
fn grid(sweeps: &[Sweep]) -> Vec<Vec<f64>> {
    sweeps.iter().fold(vec![Vec::new()], |points, sweep| {
        let extended = points.iter().flat_map(|point| {
            sweep.values.iter().map(move |value| point.iter().copied().chain([*value]).collect())
        });
        extended.collect()
    })
}

/// The model at a point.
fn at(
    model: &Model,
    settings: &SettingArgs,
    sweeps: &[Sweep],
    point: &[f64],
) -> Result<Run, crate::engine::Diagnostics> {
    let binder = bound(model, settings);
    sweeps.iter().zip(point).fold(binder, |binder, (sweep, value)| binder.set(&sweep.name, *value)).build()
}

/// The values of the whole run, then states, channels and outputs where it ends.
fn results(solution: &Solution) -> Vec<(String, f64)> {
    let values = solution.values().iter().filter(|value| match value.role {
        Role::Loss | Role::Likelihood | Role::Metric | Role::Output => true,
        Role::Prior | Role::Plot => false,
    });
    let mut rows: Vec<(String, f64)> = values
        .flat_map(|value| entry_names(&value.name, &value.shape).into_iter().zip(value.values.clone()))
        .collect();
    let end = solution.interval().1;
    for trajectory in solution.trajectories().iter().filter(|one| one.kind() != TrajectoryKind::Drawn) {
        let names = entry_names(trajectory.name(), trajectory.shape());
        let names = names.into_iter().map(|name| format!("{name}(end)"));
        rows.extend(names.zip(trajectory.at(end).unwrap_or_default()));
    }
    rows
}

/// The columns side by side, six digits each.
fn table(columns: &[(&str, &[f64])]) -> String {
    let rows = columns.first().map_or(0, |(_, column)| column.len());
    let cell = |value: f64| if value.is_nan() { String::from("-") } else { six_digits(value) };
    let widths: Vec<usize> = columns
        .iter()
        .map(|(name, column)| {
            let cells = column.iter().map(|value| cell(*value).chars().count());
            cells.chain([name.chars().count()]).max().unwrap_or(0)
        })
        .collect();
    let line = |cells: Vec<String>| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}"));
        cells.collect::<Vec<String>>().join("  ") + "\n"
    };
    let mut text = line(columns.iter().map(|(name, _)| String::from(*name)).collect());
    for row in 0..rows {
        text += &line(columns.iter().map(|(_, column)| cell(column[row])).collect());
    }
    text
}

/// In six significant digits, as short as they can be written.
fn six_digits(value: f64) -> String {
    let rounded: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    if rounded != 0.0 && !(1e-4..1e7).contains(&rounded.abs()) {
        format!("{rounded:e}")
    } else {
        rounded.to_string()
    }
}
