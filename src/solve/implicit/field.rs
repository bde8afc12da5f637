//! An [`Implicit`] system as the methods see it: in `f64`, counted, its mass matrix at hand and its
//! Newton matrices ready to be factorised, dense or sparse as the system is.

use super::Implicit;
use super::linear::{Factors, Lu, Number};
use super::mass::Mass;
use super::sparse::{SparseLu, Sparsity};
use crate::solve::outcome::{Outcome, Quantity, Stats};
use crate::solve::problem::Real;
use crate::solve::stepper::{Flow, all_finite, require_finite};
use std::sync::Arc;

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
    /// `None` if every entry of the Jacobian is computed.
    pub sparsity: Option<Arc<Sparsity>>,
    /// `[dim, n]`, or the entries of the pattern.
    jacobian: Vec<f64>,
    /// The entries of `M` at those of `sparsity.newton`.
    mass_entries: Vec<f64>,
    /// Where the Jacobian was taken.
    at: (f64, Vec<T>),
    y: Vec<T>,
    out: Vec<T>,
    wide: Vec<T>,
}

impl<'a, T: Real, S: Implicit<T> + ?Sized> Field<'a, T, S> {
    pub fn new(system: &'a mut S) -> Self {
        let (dim, n) = (system.dim(), system.n_states());
        let sparsity = system.sparsity();
        let entries = sparsity.as_ref().map_or(dim * n, |sparsity| sparsity.jacobian.nonzeros());
        Field {
            mass_entries: entries_of(&Mass::Identity, sparsity.as_deref()),
            system,
            dim,
            n,
            inside: f64::NAN,
            mass: Mass::Identity,
            sparsity,
            jacobian: vec![0.0; entries],
            at: (f64::NAN, vec![T::default(); dim]),
            y: vec![T::default(); dim],
            out: vec![T::default(); dim],
            wide: vec![T::default(); entries],
        }
    }

    /// Reads the mass matrix.
    pub fn weigh(&mut self) {
        self.mass = self.system.mass();
        self.mass_entries = entries_of(&self.mass, self.sparsity.as_deref());
    }

    /// `f(t, y)`.
    pub fn rate(&mut self, t: f64, y: &[f64], dy: &mut [f64], stats: &mut Stats) {
        stats.evaluations += 1;
        if let (Some(y), Some(dy)) = (T::same(y), T::same_mut(dy)) {
            return self.system.rate(t, self.inside, y, dy);
        }
        narrow(y, &mut self.y);
        self.system.rate(t, self.inside, &self.y, &mut self.out);
        widen(&self.out, dy);
    }

    /// `∂f/∂t`.
    pub fn time_slope(&mut self, t: f64, y: &[f64], out: &mut [f64]) {
        narrow(y, &mut self.y);
        self.system.time_slope(t, self.inside, &self.y, &mut self.out);
        widen(&self.out, out);
    }

    /// Takes the Jacobian at `(t, y)`.
    pub fn linearise(&mut self, t: f64, y: &[f64], stats: &mut Stats) -> Flow {
        self.at.0 = t;
        narrow(y, &mut self.at.1);
        match T::same_mut(&mut self.jacobian) {
            Some(jacobian) => self.system.jacobian(t, self.inside, &self.at.1, jacobian),
            None => {
                self.system.jacobian(t, self.inside, &self.at.1, &mut self.wide);
                widen(&self.wide, &mut self.jacobian);
            }
        }
        stats.jacobians += 1;
        if let Some(sparsity) = &self.sparsity {
            stats.colours = stats.colours.max(sparsity.n_colours as u64);
            stats.nonzeros = stats.nonzeros.max(sparsity.jacobian.nonzeros() as u64);
        }
        if all_finite(&self.jacobian) {
            return Flow::Continue(());
        }
        match self.jacobian.iter().position(|x| !x.is_finite()) {
            Some(at) => {
                let component = match &self.sparsity {
                    Some(sparsity) => sparsity.jacobian.entries().nth(at).map_or(0, |(row, _)| row),
                    None => at / self.n,
                };
                let quantity = Quantity::Jacobian;
                Flow::Break(Outcome::NonFinite { t, h: 0.0, component, quantity })
            }
            None => Flow::Continue(()),
        }
    }

    /// Room for the factors of a Newton matrix.
    pub fn factors<K: Number>(&self) -> Factors<K> {
        match &self.sparsity {
            Some(sparsity) => {
                Factors::Sparse(Box::new(SparseLu::new(sparsity.newton.clone(), sparsity.order.clone())))
            }
            None => Factors::Dense(Lu::default()),
        }
    }

    /// Factorises the matrix with the entries `entry(m, j)` of those of `M` and of the Jacobian. Says
    /// whether it is regular.
    pub fn factor<K: Number>(
        &self,
        factors: &mut Factors<K>,
        entry: impl Fn(f64, f64) -> K,
        stats: &mut Stats,
    ) -> bool {
        self.factor_rows(factors, |_, m, j| entry(m, j), stats)
    }

    /// The same with the row of each entry before them.
    pub fn factor_rows<K: Number>(
        &self,
        factors: &mut Factors<K>,
        entry: impl Fn(usize, f64, f64) -> K,
        stats: &mut Stats,
    ) -> bool {
        stats.factorisations += 1;
        let regular = match (&mut *factors, &self.sparsity) {
            (Factors::Dense(lu), _) => {
                let n = self.n;
                lu.factor_rows(n, |i, rows| {
                    let slopes = &self.jacobian[i * n..(i + 1) * n];
                    match &self.mass {
                        Mass::Identity => {
                            rows.extend(slopes.iter().map(|slope| entry(i, 0.0, *slope)));
                            rows[i * n + i] = entry(i, 1.0, slopes[i]);
                        }
                        mass @ (Mass::Diagonal(_) | Mass::Rows(_)) => {
                            let slopes = slopes.iter().enumerate();
                            rows.extend(slopes.map(|(j, slope)| entry(i, mass.entry(i, j), *slope)));
                        }
                    }
                })
            }
            (Factors::Sparse(lu), Some(sparsity)) => lu.factor(|k| {
                let j = sparsity.slots[k].map_or(0.0, |slot| self.jacobian[slot]);
                entry(sparsity.newton.row(k), self.mass_entries[k], j)
            }),
            (Factors::Sparse(_), None) => crate::bug!("sparse factors of a dense system"),
        };
        stats.fill = stats.fill.max(factors.fill() as u64);
        regular
    }

    /// An entry of the Jacobian over the states.
    pub fn slope(&self, row: usize, column: usize) -> f64 {
        match &self.sparsity {
            Some(sparsity) => sparsity.jacobian.position(row, column).map_or(0.0, |at| self.jacobian[at]),
            None => self.jacobian[row * self.n + column],
        }
    }

    /// The Jacobian over the states, every entry: `[n, n]`.
    pub fn whole_jacobian(&self) -> Vec<f64> {
        let n = self.n;
        let Some(sparsity) = &self.sparsity else { return self.jacobian[..n * n].to_vec() };
        let mut whole = vec![0.0; n * n];
        for ((row, column), slope) in sparsity.jacobian.entries().zip(&self.jacobian) {
            whole[row * n + column] = *slope;
        }
        whole
    }

    /// `(∂f/∂y) v` over the states.
    pub fn moved(&self, v: &[f64]) -> Vec<f64> {
        let Some(sparsity) = &self.sparsity else {
            return self.rows(0..self.n, v);
        };
        let mut out = vec![0.0; self.n];
        for ((row, column), slope) in sparsity.jacobian.entries().zip(&self.jacobian) {
            out[row] += slope * v[column];
        }
        out
    }

    /// `(∂f/∂y) v` of the channels, by the states `v`.
    pub fn channels_moved(&mut self, v: &[f64]) -> Vec<f64> {
        if self.sparsity.is_none() {
            return self.rows(self.n..self.dim, v);
        }
        let mut out = vec![0.0; self.dim - self.n];
        if !out.is_empty() {
            narrow(v, &mut self.y);
            let (y, narrow_out) = (&self.y[..self.n], &mut self.out[self.n..]);
            self.system.channel_slopes(self.at.0, self.inside, &self.at.1, y, narrow_out);
            widen(narrow_out, &mut out);
        }
        out
    }

    /// Rows of a dense Jacobian times `v`.
    fn rows(&self, rows: std::ops::Range<usize>, v: &[f64]) -> Vec<f64> {
        let row = |row: usize| &self.jacobian[row * self.n..(row + 1) * self.n];
        rows.map(|at| row(at).iter().zip(v).map(|(j, v)| j * v).sum()).collect()
    }

    /// Whether the run may go on from `(t, y)` at which the rate is `dy`.
    pub fn check_rate(&self, t: f64, dy: &[f64]) -> Flow {
        require_finite(dy, t, 0.0, Quantity::Rate)
    }
}

/// The entries of `M` at those of `sparsity.newton`.
fn entries_of(mass: &Mass, sparsity: Option<&Sparsity>) -> Vec<f64> {
    let entries = sparsity.into_iter().flat_map(|sparsity| sparsity.newton.entries());
    entries.map(|(row, column)| mass.entry(row, column)).collect()
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
