//! The pictures of a run: `plot` items as charts.
//!
//! Lines are drawn from the dense output, finer than the steps, so that they are as smooth as the
//! solution is.

use super::plot::{Chart, Mark, Series};
use super::run::entry_names;
use crate::engine::{Solution, Trajectory, TrajectoryKind};
use crate::ir::program::{self, Program};

/// A line has at least this many points, however few the steps.
const FEWEST: usize = 400;

/// Between two saved times a line has up to this many points, so that a fast stretch of a slow run
/// stays smooth.
const PARTS: usize = 8;

/// A line has at most about this many points; more saved times than that are drawn as they are.
const MOST: usize = 20_000;

/// One chart for each `plot` item, in file order.
pub(super) fn charts(program: &Program, solution: &Solution) -> Vec<Chart> {
    let times = grid(solution);
    program.plots.iter().map(|plot| chart(plot, program, solution, &times)).collect()
}

fn chart(plot: &program::Plot, program: &Program, solution: &Solution, times: &[f64]) -> Chart {
    let mut series = Vec::new();
    for drawn in &plot.series {
        match drawn {
            program::Series::Line { label, x, y } => {
                let (x, y) = (curve(program, solution, *x), curve(program, solution, *y));
                let (xs, ys) = (sampled(x, times), sampled(y, times));
                let names = entry_names(label, y.shape());
                let width = names.len();
                for (entry, label) in names.into_iter().enumerate() {
                    let ys = ys.iter().skip(entry).step_by(width.max(1));
                    let points = xs.iter().copied().zip(ys.copied()).collect();
                    series.push(Series { label, points, mark: Mark::Line });
                }
            }
            program::Series::Points { label, x, y } => {
                let (xs, ys) = (&solution.values()[*x].values, &solution.values()[*y].values);
                let points = xs.iter().copied().zip(ys.iter().copied()).collect();
                series.push(Series { label: label.to_string(), points, mark: Mark::Points });
            }
        }
    }
    // A lone series has no legend, so the vertical axis says what it is.
    let y_label = match series.as_slice() {
        [only] => only.label.clone(),
        _ => String::new(),
    };
    Chart { title: String::new(), x_label: plot.x_label.to_string(), y_label, series }
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
