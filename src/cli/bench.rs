//! `nodec bench`: how much work each method needs for which precision, on one model.
//!
//! Each method solves the model at each tolerance, `atol` in the ratio to `rtol` that the model has.
//! Errors are those of the states at the end, against a reference computed here at a tolerance a
//! hundred times tighter than the tightest asked for, and are measured as tolerances are: relative
//! to `atol/rtol + |y|`. How far the reference can be trusted is found from a second one.

use super::args::{BenchArgs, SettingArgs};
use super::plot::{Chart, Mark, Series, png};
use super::run::{Ended, PNG_SCALE, bound};
use super::run_dir::{Place, RunDir, RunDirError};
use super::{Console, Exit};
use crate::backend::store::CodeCache;
use crate::engine::{Binder, Error, Model, Run, STIFF_NOTE, Solution, TrajectoryKind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The methods that are compared unless some are named: one of each kind, by rising order, then the
/// stiff ones.
const METHODS: [&str; 12] = [
    "bosh3", "tsit5", "dopri5", "verner7", "dop853", "verner9", "abm", "taylor", "auto", "rodas5p", "radau5",
    "bdf",
];
/// The tolerances, unless some are given.
const TOLERANCES: [f64; 5] = [1e-3, 1e-5, 1e-7, 1e-9, 1e-11];
/// What a reference is computed with, the first that gets to the end.
const REFERENCES: [&str; 2] = ["verner9", "radau5"];
/// The reference is at most this tight: nearer to round-off, errors grow again.
const TIGHTEST: f64 = 2e-14;
/// A run is given up after so many steps.
const MAX_STEPS: u64 = 200_000;
/// A run is repeated for so long, or so often, to measure its time.
const REPEAT_FOR: Duration = Duration::from_millis(100);
const REPEATS: u32 = 10;

/// One method at one tolerance.
#[derive(Clone, Debug)]
struct Point {
    method: String,
    rtol: f64,
    /// What it came to, or why it did not get to the end.
    result: Result<Measured, String>,
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    error: f64,
    evaluations: u64,
    jacobians: u64,
    steps: u64,
    rejected: u64,
    /// The shortest of the repeated runs, in milliseconds.
    time: f64,
}

/// The states at the end, computed as exactly as can be had.
struct Reference {
    y: Vec<f64>,
    method: &'static str,
    rtol: f64,
    /// Its distance from the same at ten times the tolerance.
    uncertainty: f64,
}

/// The model and how its tolerances go together.
struct Bench<'a> {
    model: &'a Model,
    settings: &'a SettingArgs,
    /// Where code is kept: a method has the same at every tolerance.
    cache: Option<CodeCache>,
    /// `atol` is this times `rtol`; then the same for each state that has one of its own.
    ratio: f64,
    ratios: Vec<(String, f64)>,
}

impl Console<'_> {
    /// `nodec bench`
    pub(super) fn bench(&mut self, args: &BenchArgs) -> Exit {
        match self.try_bench(args) {
            Ok(exit) | Err(Ended::With(exit)) => exit,
        }
    }

    fn try_bench(&mut self, args: &BenchArgs) -> Result<Exit, Ended> {
        let model = self.load(&args.file)?;
        let settings = bound(&model, &args.settings).settings();
        let settings = settings.map_err(|diagnostics| self.ended(&Error::Invalid(diagnostics)))?;
        let (rtol, atol) = (settings.solve.rtol, settings.solve.atol);
        let own = settings.solve.atol_states.iter();
        let bench = Bench {
            model: &model,
            settings: &args.settings,
            cache: self.cache.clone(),
            ratio: atol / rtol,
            ratios: own.map(|own| (format!("solve.atol.{}", own.state), own.value / rtol)).collect(),
        };
        let place = match &args.out {
            Some(folder) => Place::Exactly(folder.clone()),
            None => Place::Next(PathBuf::from("runs")),
        };
        let folder = RunDir::begin(place).map_err(|error| self.unwritable(&error))?;
        let tolerances =
            if args.tolerances.is_empty() { TOLERANCES.to_vec() } else { args.tolerances.clone() };
        let named = !args.methods.is_empty();
        let methods: Vec<String> = match named {
            true => args.methods.clone(),
            false => METHODS.iter().map(|method| String::from(*method)).collect(),
        };
        let reference = self.reference(&bench, &tolerances)?;
        self.say(&format!(
            "reference: {} at rtol {:.0e}, known to {:.1e}\n",
            reference.method, reference.rtol, reference.uncertainty
        ));
        let mut points = Vec::new();
        for method in &methods {
            for rtol in &tolerances {
                match bench.build(method, *rtol) {
                    Ok(run) => points.push(Point {
                        method: method.clone(),
                        rtol: *rtol,
                        result: bench.measure(&run, &reference.y),
                    }),
                    // A method that was asked for by name must fit the model; others are left out.
                    Err(error) if named => return Err(self.ended(&error)),
                    Err(_) => break,
                }
            }
        }
        self.print(&table(&points));
        let written = write(&folder, &model_name(args), &points, &reference, bench.model.text());
        let written = written.and_then(|()| folder.finish());
        let folder = written.map_err(|error| self.unwritable(&error))?;
        self.say(&format!("written to {}\n", folder.display()));
        Ok(Exit::Success)
    }

    fn reference(&mut self, bench: &Bench<'_>, tolerances: &[f64]) -> Result<Reference, Ended> {
        let tightest = tolerances.iter().copied().fold(f64::INFINITY, f64::min);
        let rtol = (0.01 * tightest).max(TIGHTEST);
        let mut last = None;
        for method in REFERENCES {
            let ends = [rtol, 10.0 * rtol].map(|rtol| bench.build(method, rtol).and_then(|run| run.solve()));
            match ends {
                [Ok(near), Ok(far)] => {
                    let (y, other) = (end_states(&near), end_states(&far));
                    let uncertainty = bench.distance(&other, &y);
                    return Ok(Reference { y, method, rtol, uncertainty });
                }
                [Err(error), _] | [_, Err(error)] => last = Some(error),
            }
        }
        Err(self.ended(&last.expect("there are methods for references")))
    }
}

impl Bench<'_> {
    fn build(&self, method: &str, rtol: f64) -> Result<Run, Error> {
        // Without the digits that only multiplication has made.
        let number = |value: f64| format!("{value:.6e}");
        let binder = bound(self.model, self.settings)
            .setting("solve.method", method)
            .setting("solve.rtol", &number(rtol))
            .setting("solve.atol", &number(self.ratio * rtol))
            .setting("solve.save", "[]")
            .setting("solve.max_steps", &MAX_STEPS.to_string());
        let own = self.ratios.iter();
        let binder = own.fold(binder, |binder, (key, ratio)| binder.setting(key, &number(ratio * rtol)));
        let binder = self.cache.iter().fold(binder, Binder::code_cache);
        binder.build().map_err(Error::Invalid)
    }

    fn measure(&self, run: &Run, reference: &[f64]) -> Result<Measured, String> {
        let mut best = f64::INFINITY;
        let mut last = None;
        let begun = Instant::now();
        for _ in 0..REPEATS {
            let begun_once = Instant::now();
            last = Some(run.solve().map_err(|error| why(&error))?);
            best = best.min(begun_once.elapsed().as_secs_f64() * 1e3);
            if begun.elapsed() > REPEAT_FOR {
                break;
            }
        }
        let solution = last.expect("it runs once at least");
        let stats = solution.stats();
        Ok(Measured {
            error: self.distance(&end_states(&solution), reference),
            evaluations: stats.evaluations,
            jacobians: stats.jacobians,
            steps: stats.accepted,
            rejected: stats.rejected,
            time: best,
        })
    }

    /// The root mean square of `(y - e)/(atol/rtol + |e|)`.
    fn distance(&self, y: &[f64], expected: &[f64]) -> f64 {
        let one = |(y, e): (&f64, &f64)| ((y - e) / (self.ratio + e.abs())).powi(2);
        (y.iter().zip(expected).map(one).sum::<f64>() / y.len().max(1) as f64).sqrt()
    }
}

/// Why a run ended early, in a line: the headline without the name of the method, which stands beside it,
/// and the likely cause where it is known.
fn why(error: &Error) -> String {
    let Some(first) = error.diagnostics().iter().next() else { return String::from("failed") };
    let headline = match first.message.rsplit_once(" (") {
        Some((headline, _)) if first.message.ends_with(')') => headline,
        _ => &first.message,
    };
    match first.notes.iter().find(|note| note.starts_with(STIFF_NOTE)) {
        Some(_) => format!("{headline}: stiff"),
        None => headline.to_owned(),
    }
}

/// Every entry of every state at the end.
fn end_states(solution: &Solution) -> Vec<f64> {
    let end = solution.interval().1;
    let states = solution.trajectories().iter().filter(|one| one.kind() == TrajectoryKind::State);
    states.flat_map(|state| state.at(end).unwrap_or_default()).collect()
}

fn model_name(args: &BenchArgs) -> String {
    args.file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}

/// A line for each point, a gap between methods.
fn table(points: &[Point]) -> String {
    let header = ["method", "rtol", "error", "evaluations", "jacobians", "steps", "rejected", "ms"];
    // A row and what stands behind it: why a method failed, once for all tolerances in a row.
    let mut rows = vec![(header.map(String::from), String::new())];
    let mut at = 0;
    while at < points.len() {
        let Point { method, rtol, result } = &points[at];
        let same = |point: &&Point| point.method == *method && point.result.is_err();
        let n_failed = points[at..].iter().take_while(same).count();
        match result {
            Ok(m) => rows.push((
                [
                    method.clone(),
                    format!("{rtol:.0e}"),
                    format!("{:.1e}", m.error),
                    m.evaluations.to_string(),
                    m.jacobians.to_string(),
                    m.steps.to_string(),
                    m.rejected.to_string(),
                    format!("{:.3}", m.time),
                ],
                String::new(),
            )),
            Err(why) => {
                let mut cells = [const { String::new() }; 8];
                (cells[0], cells[1]) = (method.clone(), format!("{rtol:.0e}"));
                let last = points[at + n_failed - 1].rtol;
                let to = if n_failed > 1 { format!("to {last:.0e}: ") } else { String::new() };
                rows.push((cells, format!("  {to}{why}")));
            }
        }
        at += n_failed.max(1);
    }
    let width = |column: usize| rows.iter().map(|(row, _)| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |row: &[String; 8]| -> String {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| match at {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<String>>().join("  ")
    };
    let mut text = String::new();
    for (at, (row, more)) in rows.iter().enumerate() {
        if at > 1 && row[0] != rows[at - 1].0[0] {
            text.push('\n');
        }
        text += line(row).trim_end();
        text += more;
        text.push('\n');
    }
    text
}

fn write(
    folder: &RunDir,
    name: &str,
    points: &[Point],
    reference: &Reference,
    text: &str,
) -> Result<(), RunDirError> {
    folder.write("model.node", text)?;
    folder.write("bench.csv", csv(points))?;
    let title = format!("{name}, reference known to {:.1e}", reference.uncertainty);
    for (file, label, of) in [
        ("evaluations", "evaluations of f", (|m| m.evaluations as f64) as fn(&Measured) -> f64),
        ("time", "milliseconds", |m| m.time),
    ] {
        let svg = chart(&title, label, points, of).svg();
        folder.write(&format!("error_{file}.svg"), &svg)?;
        if let Ok(picture) = png(&svg, PNG_SCALE) {
            folder.write(&format!("error_{file}.png"), picture)?;
        }
    }
    Ok(())
}

fn csv(points: &[Point]) -> String {
    let mut text = String::from("method,rtol,error,evaluations,jacobians,steps,rejected,milliseconds\n");
    for Point { method, rtol, result } in points {
        text += &match result {
            Ok(m) => format!(
                "{method},{rtol:e},{:e},{},{},{},{},{}\n",
                m.error, m.evaluations, m.jacobians, m.steps, m.rejected, m.time
            ),
            Err(_) => format!("{method},{rtol:e},,,,,,\n"),
        };
    }
    text
}

/// Error against work, both as powers of ten.
fn chart(title: &str, label: &str, points: &[Point], of: fn(&Measured) -> f64) -> Chart {
    let mut series: Vec<Series> = Vec::new();
    for point in points {
        let Ok(measured) = &point.result else { continue };
        if series.last().is_none_or(|last| last.label != point.method) {
            series.push(Series { label: point.method.clone(), points: Vec::new(), mark: Mark::Marked });
        }
        let at = (of(measured).log10(), measured.error.max(f64::EPSILON).log10());
        series.last_mut().expect("one was pushed").points.push(at);
    }
    Chart {
        title: title.to_owned(),
        x_label: label.to_owned(),
        y_label: String::from("error at the end"),
        powers: true,
        series,
    }
}
