//! `nodec run` on a model with sweeps or an ensemble.
//!
//! Every run is a row of `runs.csv`; with members, every point of the sweeps is a row of
//! `summary.csv`. Rows are written as they come, and of what is printed and drawn only means and
//! spreads are kept, so that a million members need no room.

use super::export::table_columns;
use super::gathered::Gathered;
use super::moments::Moments;
use super::picture::many_pictures;
use super::record::{self, DataRecord};
use super::run::{Ended, entry_names, milliseconds, own_error_rows, titled, write_pictures};
use super::run_dir::{CsvRows, RunDir, RunDirError};
use super::{Console, Exit};
use crate::engine::{Error, OwnError, Run, Solution, keep_worst};
use crate::solve::outcome::Stats;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::Instant;

/// Rows of a table that are printed: as many of its beginning as of its end.
const PRINTED_HALF: usize = 30;

/// Columns that are printed beside those of the sweeps.
const PRINTED_COLUMNS: usize = 12;

/// Numbers of a run that are written in its row; of more, only the values of the whole run are.
const WRITTEN: usize = 1_000;

/// What is taken of a run where it is solved.
struct Row {
    /// Its numbers, as many as are written.
    numbers: Vec<f64>,
    /// Abscissa and ordinate of each series over runs.
    drawn: Vec<(f64, f64)>,
    /// Of each `export` item the columns.
    tables: Vec<Vec<Vec<f64>>>,
    stats: Stats,
    own_errors: Vec<OwnError>,
}

/// What is printed of all runs.
struct Printed {
    /// The swept names, and the numbers.
    names: Vec<String>,
    n_sweeps: usize,
    members: usize,
    first: Vec<Vec<f64>>,
    last: VecDeque<Vec<f64>>,
    left_out: usize,
}

/// Files being written.
struct Files {
    runs: CsvRows,
    summary: Option<CsvRows>,
    exports: Vec<CsvRows>,
}

impl Console<'_> {
    /// Solves all runs, prints a summary and leaves the run directory.
    pub(super) fn many(&mut self, run: &Run, folder: RunDir) -> Result<Exit, Ended> {
        let begun = Instant::now();
        let mut files = Files::begin(run, &folder).map_err(|error| self.unwritable(&error))?;
        let names = number_names(run);
        let mut printed = Printed::new(run, &names);
        let mut gathered = Gathered::new(run);
        let (members, has_tables) = (run.n_members(), !run.program().exports.is_empty());
        let mut moments = vec![Moments::NONE; names.len()];
        let (mut stats, mut failed) = (Stats::default(), None::<(usize, Error)>);
        let (mut n_failed, mut fault, mut own_errors) = (0_usize, None, Vec::new());
        let width = names.len();
        let of = |_: usize, solution: Result<Solution, Error>| {
            solution.map(|solution| Row {
                numbers: solution.numbers().into_iter().flat_map(|one| one.values).take(width).collect(),
                drawn: Gathered::of(run.program(), &solution),
                tables: table_columns(run.program(), &solution),
                stats: solution.stats(),
                own_errors: solution.own_errors().to_vec(),
            })
        };
        run.map_runs_saved(0..run.n_runs(), has_tables, of, |number, row| {
            let (point, member) = run.place_of(number);
            if member == 0 {
                moments.fill(Moments::NONE);
            }
            let mut row = row.unwrap_or_else(|error| {
                n_failed += 1;
                failed.get_or_insert((number, error));
                let drawn = vec![(f64::NAN, f64::NAN); gathered.n_series()];
                Row {
                    numbers: vec![f64::NAN; width],
                    drawn,
                    tables: Vec::new(),
                    stats: Stats::default(),
                    own_errors: Vec::new(),
                }
            });
            stats = stats.plus(row.stats);
            keep_worst(&mut own_errors, std::mem::take(&mut row.own_errors));
            moments.iter_mut().zip(&row.numbers).for_each(|(moments, value)| moments.push(*value));
            gathered.push(&row.drawn, member);
            let mut written = files.push(&point, (member, members), &row);
            if member + 1 == members {
                printed.push(&point, &moments);
                written = written.and_then(|()| files.sum_up(&point, &moments));
            }
            match written {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    fault = Some(error);
                    ControlFlow::Break(())
                }
            }
        });
        if let Some(error) = fault {
            return Err(self.unwritable(&error));
        }
        let taken = begun.elapsed();
        let pictures = many_pictures(run, &gathered);
        let written = files
            .close()
            .and_then(|()| folder.write("model.node", run.text()))
            .and_then(|()| {
                folder.write_json("settings.json", &record::settings(&run.settings().resolved, run.sources()))
            })
            .and_then(|()| {
                let data: Vec<DataRecord> = run.files().iter().map(record::data).collect();
                folder.write_json("data.json", &data)
            })
            .and_then(|()| write_pictures(&pictures, &folder))
            .and_then(|()| folder.finish());
        let folder = written.map_err(|error| self.unwritable(&error))?;
        let mut rows = vec![
            (String::from("method"), String::from(run.settings().solve.method.name)),
            (String::from("runs"), run.n_runs().to_string()),
        ];
        if n_failed > 0 {
            rows.push((String::from("runs that failed"), n_failed.to_string()));
        }
        rows.extend([
            (String::from("steps accepted"), stats.accepted.to_string()),
            (String::from("steps rejected"), stats.rejected.to_string()),
            (String::from("evaluations of f"), stats.evaluations.to_string()),
        ]);
        rows.extend(own_error_rows(&own_errors));
        rows.extend([
            (String::from("compile time"), milliseconds(run.plan().compile_time())),
            (String::from("run time"), milliseconds(taken)),
        ]);
        self.print(&(printed.text() + "\n" + &titled("statistics", &rows)));
        self.show_diagnostics(&run.doubts(&own_errors));
        self.say(&format!("written to {}\n", folder.display()));
        let Some((number, error)) = failed else { return Ok(Exit::Success) };
        let Ended::With(exit) = self.ended(&error);
        let n_runs = run.n_runs();
        self.say(&format!(
            "{n_failed} of {n_runs} runs failed; this is the first, {}\n",
            place_text(run, number)
        ));
        Ok(exit)
    }
}

/// `rho = 3, member 5`
pub(super) fn place_text(run: &Run, number: usize) -> String {
    let (point, member) = run.place_of(number);
    let sweeps = run.sweeps();
    let mut parts: Vec<String> =
        sweeps.iter().zip(point).map(|((name, _), value)| place_value(name, value)).collect();
    if run.n_members() > 1 {
        parts.push(format!("member {member}"));
    }
    parts.join(", ")
}

/// `rho = 3`
pub(super) fn place_value(name: &str, value: f64) -> String {
    format!("{name} = {}", six_digits(value))
}

/// The name of each number that is written of a run.
fn number_names(run: &Run) -> Vec<String> {
    let quantities = run.quantities();
    let n_numbers: usize = quantities.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    let wanted = match n_numbers <= WRITTEN {
        true => quantities.len(),
        false => n_values(run),
    };
    let named = quantities.iter().take(wanted).flat_map(|(name, shape)| entry_names(name, shape));
    named.take(WRITTEN).collect()
}

/// How many of [`Run::quantities`] are values of the whole run.
fn n_values(run: &Run) -> usize {
    let quantities = run.quantities();
    let system = run.program().main_system();
    let n_unknowns = system.map_or(0, |system| system.states.len() + system.channels.len());
    quantities.len() - n_unknowns - run.program().curves.iter().filter(|curve| curve.output).count()
}

impl Files {
    fn begin(run: &Run, folder: &RunDir) -> Result<Files, RunDirError> {
        let sweeps = run.sweeps();
        let names = number_names(run);
        let has_members = run.n_members() > 1;
        let point = || sweeps.iter().map(|(name, _)| name.to_string());
        let place = || point().chain(has_members.then(|| String::from("member")));
        let columns: Vec<String> = place().chain(names.iter().cloned()).collect();
        let runs = folder.csv_rows("runs.csv", columns.iter().map(String::as_str))?;
        let summary = match has_members {
            true => {
                let each = names
                    .iter()
                    .flat_map(|name| ["mean", "sd", "least", "largest"].map(|what| format!("{what} {name}")));
                let columns: Vec<String> = point().chain(each).collect();
                Some(folder.csv_rows("summary.csv", columns.iter().map(String::as_str))?)
            }
            false => None,
        };
        let exports = run.program().exports.iter().map(|export| {
            let curves = export.columns.iter().map(|index| &run.program().curves[*index]);
            let columns = curves.flat_map(|curve| entry_names(&curve.name, curve.ty.shape.dims()));
            let columns: Vec<String> = place().chain(columns).collect();
            folder.csv_rows(&export.file, columns.iter().map(String::as_str))
        });
        Ok(Files { runs, summary, exports: exports.collect::<Result<_, _>>()? })
    }

    fn push(
        &mut self,
        point: &[f64],
        (member, members): (usize, usize),
        row: &Row,
    ) -> Result<(), RunDirError> {
        let place = || point.iter().copied().chain((members > 1).then_some(member as f64));
        self.runs.push(place().chain(row.numbers.iter().copied()))?;
        for (file, columns) in self.exports.iter_mut().zip(&row.tables) {
            for at in 0..columns.first().map_or(0, Vec::len) {
                file.push(place().chain(columns.iter().map(|column| column[at])))?;
            }
        }
        Ok(())
    }

    fn sum_up(&mut self, point: &[f64], moments: &[Moments]) -> Result<(), RunDirError> {
        match &mut self.summary {
            Some(file) => file.push(point.iter().copied().chain(moments.iter().flat_map(Moments::all))),
            None => Ok(()),
        }
    }

    fn close(self) -> Result<(), RunDirError> {
        self.runs.close()?;
        self.summary.into_iter().chain(self.exports).try_for_each(CsvRows::close)
    }
}

impl Printed {
    fn new(run: &Run, numbers: &[String]) -> Printed {
        let mut names: Vec<String> = run.sweeps().iter().map(|(name, _)| name.to_string()).collect();
        let n_sweeps = names.len();
        // What the file asks for, if it asks for something.
        let asked: usize =
            run.quantities()[..n_values(run)].iter().map(|(_, s)| s.iter().product::<usize>()).sum();
        let shown = if asked > 0 { asked } else { numbers.len() };
        names.extend(numbers.iter().take(shown.min(PRINTED_COLUMNS)).cloned());
        Printed {
            names,
            n_sweeps,
            members: run.n_members(),
            first: Vec::new(),
            last: VecDeque::new(),
            left_out: 0,
        }
    }

    /// A point is finished.
    fn push(&mut self, point: &[f64], moments: &[Moments]) {
        let shown = moments.iter().take(self.names.len() - self.n_sweeps);
        let numbers = shown.flat_map(|moments| moments.all().into_iter().take(self.n_told()));
        let row = point.iter().copied().chain(numbers).collect();
        if self.first.len() < PRINTED_HALF {
            self.first.push(row);
            return;
        }
        self.last.push_back(row);
        if self.last.len() > PRINTED_HALF {
            self.last.pop_front();
            self.left_out += 1;
        }
    }

    /// Numbers that are told of a quantity: itself, or mean and spread.
    fn n_told(&self) -> usize {
        match (self.members, self.n_sweeps) {
            (1, _) => 1,
            (_, 0) => 4,
            _ => 2,
        }
    }

    fn text(&self) -> String {
        if self.n_sweeps == 0 && self.members > 1 {
            return self.members_text();
        }
        let mut head: Vec<String> = self.names[..self.n_sweeps].to_vec();
        for name in &self.names[self.n_sweeps..] {
            head.push(name.clone());
            head.extend((self.members > 1).then(|| String::from("sd")));
        }
        let cells = |row: &Vec<f64>| row.iter().map(|value| cell(*value)).collect();
        let mut rows: Vec<Vec<String>> = vec![head];
        rows.extend(self.first.iter().map(cells));
        if self.left_out > 0 {
            rows.push(vec![String::from("…"); rows[0].len()]);
        }
        rows.extend(self.last.iter().map(cells));
        aligned(&rows)
    }

    /// Without sweeps, a row for each quantity.
    fn members_text(&self) -> String {
        let head = ["", "mean", "sd", "least", "largest"].map(String::from).to_vec();
        let numbers = self.first.first().map_or(&[][..], Vec::as_slice);
        let rows = self.names.iter().zip(numbers.chunks(4)).map(|(name, numbers)| {
            std::iter::once(name.clone()).chain(numbers.iter().map(|value| cell(*value))).collect()
        });
        aligned(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
    }
}

fn cell(value: f64) -> String {
    if value.is_nan() { String::from("-") } else { six_digits(value) }
}

/// The columns side by side, each to the right but for words in the first.
fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len)).map(width).collect();
    let words = rows.first().is_some_and(|head| head.first().is_some_and(String::is_empty));
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            0 if words => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        text += cells.collect::<Vec<String>>().join("  ").trim_end();
        text.push('\n');
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
