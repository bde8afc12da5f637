//! An [`Implicit`] system as the methods see it: in `f64`, counted, with its mass matrix at hand.

use super::Implicit;
use crate::solve::outcome::{Outcome, Quantity, Stats};
use crate::solve::problem::Real;
use crate::solve::stepper::{Flow, require_finite};

/// A system and what is known of it.
pub(super) struct Field<'a, T, S: ?Sized> {
    system: &'a mut S,
    /// States and channels.
    pub dim: usize,
    /// States.
    pub n: usize,
    /// Tells which smooth piece is meant.
    pub inside: f64,
    pub mass: Mass,
    /// `[dim, n]`
    pub jacobian: Vec<f64>,
    y: Vec<T>,
    out: Vec<T>,
    wide: Vec<T>,
}

/// The matrix `M`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mass {
    Identity,
    /// `[n, n]`
    Matrix(Vec<f64>),
}

impl<'a, T: Real, S: Implicit<T> + ?Sized> Field<'a, T, S> {
    pub fn new(system: &'a mut S) -> Self {
        let (dim, n) = (system.dim(), system.n_states());
        Field {
            system,
            dim,
            n,
            inside: f64::NAN,
            mass: Mass::Identity,
            jacobian: vec![0.0; dim * n],
            y: vec![T::default(); dim],
            out: vec![T::default(); dim],
            wide: vec![T::default(); dim * n],
        }
    }

    /// Reads the mass matrix.
    pub fn weigh(&mut self) {
        let n = self.n;
        let mut matrix = vec![0.0; n * n];
        self.system.mass(&mut matrix);
        let identity = (0..n * n).all(|at| matrix[at] == f64::from(u8::from(at / n == at % n)));
        self.mass = if identity { Mass::Identity } else { Mass::Matrix(matrix) };
    }

    /// `f(t, y)`.
    pub fn rate(&mut self, t: f64, y: &[f64], dy: &mut [f64], stats: &mut Stats) {
        narrow(y, &mut self.y);
        self.system.rate(t, self.inside, &self.y, &mut self.out);
        widen(&self.out, dy);
        stats.evaluations += 1;
    }

    /// `∂f/∂t`.
    pub fn time_slope(&mut self, t: f64, y: &[f64], out: &mut [f64]) {
        narrow(y, &mut self.y);
        self.system.time_slope(t, self.inside, &self.y, &mut self.out);
        widen(&self.out, out);
    }

    /// Takes the Jacobian at `(t, y)`.
    pub fn linearise(&mut self, t: f64, y: &[f64], stats: &mut Stats) -> Flow {
        narrow(y, &mut self.y);
        self.system.jacobian(t, self.inside, &self.y, &mut self.wide);
        stats.jacobians += 1;
        widen(&self.wide, &mut self.jacobian);
        match self.jacobian.iter().position(|x| !x.is_finite()) {
            Some(at) => {
                let (component, quantity) = (at / self.n, Quantity::Jacobian);
                Flow::Break(Outcome::NonFinite { t, h: 0.0, component, quantity })
            }
            None => Flow::Continue(()),
        }
    }

    /// Whether the run may go on from `(t, y)` at which the rate is `dy`.
    pub fn check_rate(&self, t: f64, dy: &[f64]) -> Flow {
        require_finite(dy, t, 0.0, Quantity::Rate)
    }
}

impl Mass {
    /// Entry `(row, column)`.
    pub fn entry(&self, n: usize, row: usize, column: usize) -> f64 {
        match self {
            Mass::Identity => f64::from(u8::from(row == column)),
            Mass::Matrix(matrix) => matrix[row * n + column],
        }
    }

    /// `out = Mᵀ v`, over the states.
    pub fn transposed_times(&self, v: &[f64], out: &mut [f64]) {
        let n = out.len();
        match self {
            Mass::Identity => out.copy_from_slice(&v[..n]),
            Mass::Matrix(matrix) => {
                for (column, out) in out.iter_mut().enumerate() {
                    *out = v[..n].iter().enumerate().map(|(row, v)| matrix[row * n + column] * v).sum();
                }
            }
        }
    }

    /// `out = M v`, over the states.
    pub fn times(&self, v: &[f64], out: &mut [f64]) {
        let n = out.len();
        match self {
            Mass::Identity => out.copy_from_slice(&v[..n]),
            Mass::Matrix(matrix) => {
                for (out, row) in out.iter_mut().zip(matrix.chunks(n)) {
                    *out = row.iter().zip(v).map(|(m, v)| m * v).sum();
                }
            }
        }
    }
}

/// Rounds `from` to the element type of the run.
pub(super) fn narrow<T: Real>(from: &[f64], to: &mut [T]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = T::from_f64(*from);
    }
}

/// Exact.
pub(super) fn widen<T: Real>(from: &[T], to: &mut [f64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = from.to_f64();
    }
}
