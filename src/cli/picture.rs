//! The pictures of a run: `plot` items as charts.
//!
//! Lines are drawn from the dense output, finer than the steps, so that they are as smooth as the
//! solution is.

use super::gathered::{Gathered, spread};
use super::many::place_text;
use super::plot::{Chart, HeatMap, Mark, Series};
use super::run::entry_names;
use crate::engine::{Run, Solution, Trajectory, TrajectoryKind};
use crate::ir::program::{self, Program};
use std::sync::Arc;

/// A line has at least this many points, however few the steps.
const FEWEST: usize = 400;

/// Between two saved times a line has up to this many points, so that a fast stretch of a slow run
/// stays smooth.
const PARTS: usize = 8;

/// A line has at most about this many points; more saved times than that are drawn as they are.
const MOST: usize = 20_000;

/// Lines of many runs that are told apart in one picture.
const MOST_RUNS: usize = 7;

/// The picture of each `plot` item as SVG, in file order.
pub(super) fn pictures(run: &Run, solution: &Solution) -> Vec<String> {
    let program = run.program();
    let runs = [(String::new(), solution.clone())];
    let value = |index: usize| solution.values()[index].values[0];
    let mut over_runs = |label: &str, (x, y): (usize, usize), _: &[Arc<str>]| {
        vec![Series { label: label.to_owned(), points: vec![(value(x), value(y))], mark: Mark::Points }]
    };
    let picture = |plot: &program::Plot| match plot.series.as_slice() {
        // What cannot be compiled leaves an empty picture; a run that fails, an empty cell.
        [program::Series::Heat(heat)] => heat_map(heat, run.on_grid(heat).unwrap_or_default()).svg(),
        _ => chart(plot, program, &runs, &mut over_runs).svg(),
    };
    program.plots.iter().map(picture).collect()
}

fn heat_map(heat: &program::Heat, values: Vec<f64>) -> HeatMap {
    let label = |axis: usize| format!("{}[{axis}]", heat.over_label);
    let (x_label, y_label) = (label(0), label(1));
    HeatMap {
        label: heat.label.to_string(),
        x_label,
        y_label,
        x: heat.x,
        y: heat.y,
        columns: heat.points,
        values,
    }
}

/// The same of many runs: numbers of all of them, lines and points of a few, solved again. Of
/// those, runs that fail are left out.
pub(super) fn many_pictures(run: &Run, gathered: &Gathered) -> Vec<String> {
    let program = run.program();
    let mut number = 0;
    let mut over_runs = |label: &str, _: (usize, usize), along: &[Arc<str>]| {
        number += 1;
        gathered.drawn(run, number - 1, label, along)
    };
    let mut pictures = Vec::new();
    for plot in &program.plots {
        let n_lines =
            plot.series.iter().filter(|series| !matches!(series, program::Series::Runs { .. })).count();
        // The first member at some points, or without sweeps some members.
        let (n_members, has_sweeps) = (run.n_members(), !run.sweeps().is_empty());
        let stride = if has_sweeps { n_members } else { 1 };
        let n_drawn = run.n_runs() / stride;
        let wanted = MOST_RUNS.checked_div(n_lines).map_or(0, |each| each.clamp(1, n_drawn));
        let numbers = (0..wanted).map(|k| stride * spread(k, wanted, n_drawn));
        let solved =
            numbers.filter_map(|number| Some((place_text(run, number), run.solve_run(number).ok()?)));
        let runs: Vec<(String, Solution)> = solved.collect();
        let mut chart = chart(plot, program, &runs, &mut over_runs);
        if chart.series.iter().any(|series| series.mark == Mark::Band) {
            chart.title = format!("mean and standard deviation of {} members", run.n_members());
        }
        pictures.push(chart.svg());
    }
    pictures
}

/// Given its label, abscissa and ordinate, and what the abscissa is made of, what a series over runs is
/// drawn as.
type OverRuns<'a> = dyn FnMut(&str, (usize, usize), &[Arc<str>]) -> Vec<Series> + 'a;

/// A chart with the lines of each run; `over_runs` gives the series that are made of all runs.
fn chart(
    plot: &program::Plot,
    program: &Program,
    runs: &[(String, Solution)],
    over_runs: &mut OverRuns<'_>,
) -> Chart {
    let mut series = Vec::new();
    for drawn in &plot.series {
        match drawn {
            program::Series::Line { label, x, y } => {
                for (place, solution) in runs {
                    let times = grid(solution);
                    let (x, y) = (curve(program, solution, *x), curve(program, solution, *y));
                    let (xs, ys) = (sampled(x, &times), sampled(y, &times));
                    let names = entry_names(label, y.shape());
                    let width = names.len();
                    for (entry, name) in names.into_iter().enumerate() {
                        let ys = ys.iter().skip(entry).step_by(width.max(1));
                        let points = xs.iter().copied().zip(ys.copied()).collect();
                        let label = if place.is_empty() { name } else { format!("{name}, {place}") };
                        series.push(Series { label, points, mark: Mark::Line });
                    }
                }
            }
            program::Series::Points { label, x, y } => {
                // Data are the same for all runs; what is not is drawn of the first.
                let Some((_, solution)) = runs.first() else { continue };
                let (xs, ys) = (&solution.values()[*x].values, &solution.values()[*y].values);
                let points = xs.iter().copied().zip(ys.iter().copied()).collect();
                series.push(Series { label: label.to_string(), points, mark: Mark::Points });
            }
            program::Series::Heat(_) => crate::bug!("a heat map among lines"),
            program::Series::Runs { label, x, y, along } => {
                series.extend(over_runs(label, (*x, *y), along));
            }
        }
    }
    // A lone series has no legend, so the vertical axis says what it is.
    let mut named = series.iter().filter(|series| series.mark != Mark::Band);
    let y_label = match (named.next(), named.next()) {
        (Some(only), None) => only.label.clone(),
        _ => String::new(),
    };
    Chart { title: String::new(), x_label: plot.x_label.to_string(), y_label, series, ..Chart::default() }
}

/// The trajectory of curve number `index`: curves come after states and channels, in order.
fn curve<'a>(program: &Program, solution: &'a Solution, index: usize) -> &'a Trajectory {
    let n_unknowns = program.main_system().map_or(0, |system| system.states.len() + system.channels.len());
    let trajectory = &solution.trajectories()[n_unknowns + index];
    debug_assert!(matches!(trajectory.kind(), TrajectoryKind::Output | TrajectoryKind::Drawn));
    trajectory
}

fn sampled(trajectory: &Trajectory, times: &[f64]) -> Vec<f64> {
    times.iter().flat_map(|t| trajectory.at(*t).unwrap_or_default()).collect()
}

/// The saved times with points between them, evenly in each interval.
fn grid(solution: &Solution) -> Vec<f64> {
    let (start, end) = solution.interval();
    let saved = solution.ts();
    let coarse: Vec<f64> = if saved.len() < 2 { vec![start, end] } else { saved.to_vec() };
    let intervals = coarse.len() - 1;
    let parts = FEWEST.div_ceil(intervals).max((MOST / intervals).clamp(1, PARTS));
    let mut times = Vec::with_capacity(intervals * parts + 1);
    for pair in coarse.windows(2) {
        times.extend((0..parts).map(|i| pair[0] + (pair[1] - pair[0]) * i as f64 / parts as f64));
    }
    times.push(coarse[intervals]);
    times
}
