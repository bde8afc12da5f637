//! Norms of all lanes at once: the sums of [`Adaptive::norm`], and of what it is at a start, in the same order.

use super::super::control::{Adaptive, Norm, StartNorm, larger};
use super::super::outcome::{Stats, Unsteered};
use super::super::problem::Real;

/// Computes the norms of a run's errors in every lane.
pub(super) struct Norms<'a, const B: usize> {
    control: &'a Adaptive,
    /// The components that count.
    counted: Vec<usize>,
    /// Sums of blocks of components, and how many components each has.
    blocks: Vec<([f64; B], usize)>,
}

impl<'a, const B: usize> Norms<'a, B> {
    pub fn new(control: &'a Adaptive, dim: usize) -> Self {
        let counted: Vec<usize> = (0..dim).filter(|at| control.errors.count(*at)).collect();
        let blocks = match &control.norm {
            Norm::Rms | Norm::Max => Vec::new(),
            Norm::Blocks(of) => {
                let mut blocks = vec![([0.0; B], 0); of.iter().max().map_or(0, |last| last + 1)];
                counted.iter().for_each(|at| blocks[of[*at]].1 += 1);
                blocks
            }
        };
        Norms { control, counted, blocks }
    }

    /// [`Adaptive::norm`] in every lane.
    #[inline(always)]
    pub fn of<T: Real>(&mut self, v: &[[T; B]], y: &[[T; B]], y_new: &[[T; B]]) -> [f64; B] {
        let mut norms = [0.0; B];
        match &self.control.norm {
            Norm::Rms => {
                for at in &self.counted {
                    let ratios = self.ratios(*at, &v[*at], &y[*at], &y_new[*at]);
                    for lane in 0..B {
                        norms[lane] += ratios[lane] * ratios[lane];
                    }
                }
                if !self.counted.is_empty() {
                    let n = self.counted.len() as f64;
                    for lane in 0..B {
                        norms[lane] = (norms[lane] / n).sqrt();
                    }
                }
            }
            Norm::Max => {
                for at in &self.counted {
                    let ratios = self.ratios(*at, &v[*at], &y[*at], &y_new[*at]);
                    for lane in 0..B {
                        norms[lane] = larger(norms[lane], ratios[lane]);
                    }
                }
            }
            Norm::Blocks(of) => {
                self.blocks.iter_mut().for_each(|(sums, _)| *sums = [0.0; B]);
                for at in &self.counted {
                    let ratios = self.ratios(*at, &v[*at], &y[*at], &y_new[*at]);
                    let (sums, _) = &mut self.blocks[of[*at]];
                    for lane in 0..B {
                        sums[lane] += ratios[lane] * ratios[lane];
                    }
                }
                for (sums, n) in self.blocks.iter().filter(|(_, n)| *n > 0) {
                    for lane in 0..B {
                        norms[lane] = larger(norms[lane], (sums[lane] / *n as f64).sqrt());
                    }
                }
            }
        }
        norms
    }

    /// The norms of `v` at `y` for the first steps.
    #[inline(always)]
    pub fn at_start<T: Real>(&mut self, v: &[[T; B]], y: &[[T; B]]) -> [f64; B] {
        match self.control.start {
            StartNorm::Own => self.of(v, y, y),
            StartNorm::Sum | StartNorm::SumOfBoth => {
                let mut sums = [0.0; B];
                for at in &self.counted {
                    let ratios = self.ratios(*at, &v[*at], &y[*at], &y[*at]);
                    for lane in 0..B {
                        sums[lane] += ratios[lane] * ratios[lane];
                    }
                }
                sums.map(f64::sqrt)
            }
        }
    }

    #[inline(always)]
    fn ratios<T: Real>(&self, at: usize, v: &[T; B], y: &[T; B], y_new: &[T; B]) -> [f64; B] {
        let (atol, rtol) = (self.control.atol.at(at), self.control.rtol);
        let mut ratios = [0.0; B];
        for lane in 0..B {
            let size = y[lane].to_f64().abs().max(y_new[lane].to_f64().abs());
            let error = v[lane].to_f64().abs();
            let ratio = error / (atol + rtol * size);
            ratios[lane] = if error == 0.0 { 0.0 } else { ratio };
        }
        ratios
    }
}

/// What is kept, in each lane, of the errors of a component that has no say in the step size.
pub(super) struct Tallies<const B: usize> {
    all: Vec<Tally<B>>,
}

struct Tally<const B: usize> {
    component: usize,
    sum: [f64; B],
    /// The largest magnitude of `sum` so far.
    error: [f64; B],
    /// The largest magnitude of the component so far.
    size: [f64; B],
}

impl<const B: usize> Tallies<B> {
    /// One for each component that does not count.
    pub fn new(control: &Adaptive, dim: usize) -> Self {
        let silent = (0..dim).filter(|at| !control.errors.count(*at));
        let tally = |component| Tally { component, sum: [0.0; B], error: [0.0; B], size: [0.0; B] };
        Tallies { all: silent.map(tally).collect() }
    }

    /// A run begins in the lane.
    pub fn restart(&mut self, lane: usize) {
        for tally in &mut self.all {
            (tally.sum[lane], tally.error[lane], tally.size[lane]) = (0.0, 0.0, 0.0);
        }
    }

    /// What is known of the run in the lane.
    pub fn of(&self, lane: usize) -> Vec<[f64; 3]> {
        self.all.iter().map(|tally| [tally.sum[lane], tally.error[lane], tally.size[lane]]).collect()
    }

    /// Puts that back, in whatever lane.
    pub fn set(&mut self, lane: usize, known: &[[f64; 3]]) {
        for (tally, known) in self.all.iter_mut().zip(known) {
            [tally.sum[lane], tally.error[lane], tally.size[lane]] = *known;
        }
    }

    /// Takes in the steps of the lanes in `accepted`, which end at `y_new` and whose errors in a
    /// component are `errors(component)`.
    #[inline(always)]
    pub fn add<T: Real>(
        &mut self,
        accepted: &[bool; B],
        y_new: &[[T; B]],
        mut errors: impl FnMut(usize) -> [f64; B],
    ) {
        for tally in &mut self.all {
            let errors = errors(tally.component);
            for lane in (0..B).filter(|lane| accepted[*lane]) {
                tally.size[lane] = tally.size[lane].max(y_new[tally.component][lane].to_f64().abs());
                tally.sum[lane] += errors[lane];
                tally.error[lane] = tally.error[lane].max(tally.sum[lane].abs());
            }
        }
    }

    /// What came of the run in the lane.
    pub fn unsteered(&self, control: &Adaptive, lane: usize, stats: &Stats) -> Vec<Unsteered> {
        let n_estimates = stats.accepted;
        let found = self.all.iter().filter(|_| n_estimates > 0).map(|tally| {
            let of_step = control.atol.at(tally.component) + control.rtol * tally.size[lane];
            let tolerance = n_estimates as f64 * of_step;
            Unsteered { component: tally.component, error: tally.error[lane], tolerance }
        });
        found.collect()
    }
}
