//! A tableau over a closure: the step of a field written in Rust.

use super::Tableau;
use crate::solve::problem::{Real, Step};

/// The step of `tableau` for the smooth field `f(t, y, dy)`, which writes the rate at `(t, y)` to
/// `dy`.
///
/// Sums run in `f64`, from the first stage to the last, coefficients that are zero left out; each
/// result is rounded to `T` once.
#[derive(Debug)]
pub struct RungeKutta<'a, T, F> {
    tableau: &'a Tableau,
    f: F,
    y_stage: Vec<T>,
}

impl<'a, T: Real, F: FnMut(f64, &[T], &mut [T])> RungeKutta<'a, T, F> {
    /// The step of `tableau` for a field `f` on states of `dim` numbers.
    pub fn new(tableau: &'a Tableau, dim: usize, f: F) -> Self {
        RungeKutta { tableau, f, y_stage: vec![T::default(); dim] }
    }
}

impl<T: Real, F: FnMut(f64, &[T], &mut [T])> Step<T> for RungeKutta<'_, T, F> {
    fn dim(&self) -> usize {
        self.y_stage.len()
    }

    fn n_stages(&self) -> usize {
        self.tableau.n_stages()
    }

    fn rate(&mut self, t: f64, _inside: f64, y: &[T], dy: &mut [T]) {
        (self.f)(t, y, dy);
    }

    fn step(&mut self, t: f64, h: f64, y: &[T], stages: &mut [T], y_new: &mut [T], err: &mut [T]) {
        let dim = self.dim();
        let Tableau { a, b, c, .. } = *self.tableau;
        for i in 1..self.tableau.n_stages() {
            let (before, rest) = stages.split_at_mut(i * dim);
            advance(y, h, a[i], before, &mut self.y_stage);
            (self.f)(t + c[i].value() * h, &self.y_stage, &mut rest[..dim]);
        }
        advance(y, h, b, stages, y_new);
        match self.tableau.b_err() {
            Some(b_err) => {
                for (at, e) in err.iter_mut().enumerate() {
                    *e = T::from_f64(h * combined(b_err, stages, dim, at));
                }
            }
            None => err.fill(T::default()),
        }
    }

    fn extend(&mut self, t: f64, h: f64, y: &[T], stages: &mut [T]) {
        let dim = self.dim();
        for i in self.tableau.n_stages()..self.tableau.n_rows() {
            let (c, row) = self.tableau.stage(i);
            let (before, rest) = stages.split_at_mut(i * dim);
            advance(y, h, row, before, &mut self.y_stage);
            (self.f)(t + c.value() * h, &self.y_stage, &mut rest[..dim]);
        }
    }
}

/// `out = y + h Σ w_i k_i`.
fn advance<T: Real>(y: &[T], h: f64, weights: &[super::Coeff], stages: &[T], out: &mut [T]) {
    for (at, out) in out.iter_mut().enumerate() {
        *out = T::from_f64(y[at].to_f64() + h * combined(weights, stages, y.len(), at));
    }
}

/// `Σ w_i k_i` in component `at`.
fn combined<T: Real>(weights: &[super::Coeff], stages: &[T], dim: usize, at: usize) -> f64 {
    let terms = weights.iter().enumerate().filter(|(_, w)| !w.is_zero());
    terms.fold(0.0, |sum, (i, w)| sum + w.value() * stages[i * dim + at].to_f64())
}
