//! What pictures of many runs are made of: a number of every run over another.
//!
//! With sweeps, the runs of a point are one point of a line, their mean with a band of a standard
//! deviation; without, every member is a dot.

use super::many::place_value;
use super::moments::Moments;
use super::plot::{Mark, Series};
use crate::engine::{Run, Solution};
use crate::ir::program::{self, Program};

/// Lines of one quantity that are told apart: more are too many for the eye.
const MOST_LINES: usize = 7;

/// Dots of one quantity, at most.
const MOST_DOTS: usize = 20_000;

/// The series over runs of all plots, in file order.
pub(super) struct Gathered {
    series: Vec<Points>,
    has_sweeps: bool,
}

/// One series.
#[derive(Clone, Default)]
struct Points {
    /// Of each point of the sweeps: the abscissa, and the ordinates.
    by_point: Vec<(Moments, Moments)>,
    /// Of each member.
    dots: Vec<(f64, f64)>,
}

/// Index of abscissa and ordinate of each series over runs.
fn over_runs(program: &Program) -> impl Iterator<Item = (usize, usize)> {
    program.plots.iter().flat_map(|plot| &plot.series).filter_map(|series| match series {
        program::Series::Runs { x, y, .. } => Some((*x, *y)),
        program::Series::Line { .. } | program::Series::Points { .. } | program::Series::Heat(_) => None,
    })
}

impl Gathered {
    pub fn new(run: &Run) -> Gathered {
        let count = over_runs(run.program()).count();
        Gathered { series: vec![Points::default(); count], has_sweeps: !run.sweeps().is_empty() }
    }

    pub fn n_series(&self) -> usize {
        self.series.len()
    }

    /// Abscissa and ordinate of each series in one run.
    pub fn of(program: &Program, solution: &Solution) -> Vec<(f64, f64)> {
        let value = |index: usize| solution.values()[index].values[0];
        over_runs(program).map(|(x, y)| (value(x), value(y))).collect()
    }

    /// Takes a run; runs come in order.
    pub fn push(&mut self, values: &[(f64, f64)], member: usize) {
        for (series, (x, y)) in self.series.iter_mut().zip(values) {
            if !self.has_sweeps {
                if series.dots.len() < MOST_DOTS {
                    series.dots.push((*x, *y));
                }
                continue;
            }
            if member == 0 {
                series.by_point.push((Moments::NONE, Moments::NONE));
            }
            if let Some((of_x, of_y)) = series.by_point.last_mut() {
                of_x.push(*x);
                of_y.push(*y);
            }
        }
    }

    /// The series number `number` as it is drawn: lines over the sweep whose name is in `along`,
    /// one for each value of the others.
    pub fn drawn(&self, run: &Run, number: usize, label: &str, along: &[std::sync::Arc<str>]) -> Vec<Series> {
        let points = &self.series[number];
        if !self.has_sweeps {
            let dots = points.dots.clone();
            return vec![Series { label: label.to_owned(), points: dots, mark: Mark::Points }];
        }
        let sweeps = run.sweeps();
        let axis = sweeps.iter().position(|(name, _)| along.contains(name)).unwrap_or(0);
        let n_along = sweeps[axis].1.len();
        // A point is `outer`, then the axis, then `inner`.
        let n_inner: usize = sweeps[axis + 1..].iter().map(|(_, values)| values.len()).product();
        let n_lines = points.by_point.len() / n_along;
        let shown = n_lines.min(MOST_LINES);
        let mut series = Vec::new();
        for line in (0..shown).map(|shown_idx| spread(shown_idx, shown, n_lines)) {
            let (outer, inner) = (line / n_inner, line % n_inner);
            let at = |along: usize| (outer * n_along + along) * n_inner + inner;
            let others = sweeps.iter().enumerate().filter(|(number, _)| *number != axis);
            let (place, _) = run.place_of(at(0) * run.n_members());
            let names: Vec<String> =
                others.map(|(number, (name, _))| place_value(name, place[number])).collect();
            let label = std::iter::once(label.to_owned()).chain(names).collect::<Vec<_>>().join(", ");
            let mean = |along: usize| {
                let (x, y) = &points.by_point[at(along)];
                (x.mean(), y.mean())
            };
            if run.n_members() > 1 {
                let band = (0..n_along).flat_map(|along| {
                    let ((x, y), sd) = (mean(along), points.by_point[at(along)].1.deviation());
                    [(x, y - sd), (x, y + sd)]
                });
                series.push(Series { label: String::new(), points: band.collect(), mark: Mark::Band });
            }
            let mark = if n_along == 1 { Mark::Points } else { Mark::Line };
            series.push(Series { label, points: (0..n_along).map(mean).collect(), mark });
        }
        series
    }
}

/// Number `k` of `n` that are spread evenly over `0..of`, both ends among them.
pub(super) fn spread(k: usize, n: usize, of: usize) -> usize {
    if n < 2 { 0 } else { k * (of - 1) / (n - 1) }
}
