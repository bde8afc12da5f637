//! Implicit Runge–Kutta methods in one form.

use super::super::dirk::Dirk;
use super::super::gauss::Collocation;
use super::super::radau;

/// A method `M z_i = h Σ_j a_ij f(t + c_j h, y + z_j)`.
pub(super) struct Table {
    pub c: Vec<f64>,
    /// `[s, s]`
    pub a: Vec<Vec<f64>>,
    /// The weights of the rates in `y_new`, for the channels at least.
    pub b: Vec<f64>,
    /// The last stage is the new state; otherwise it is `y + h Σ b_i f_i`, with `M` the identity.
    pub ends_in_stage: bool,
    /// Stages follow one another; the first one is the start.
    pub diagonal: bool,
    /// The solution inside a step.
    pub inside: Inside,
}

pub(super) enum Inside {
    /// The polynomial through the stages: row `i` holds the share of `z_i` in `θ, θ², θ³`.
    Stages(&'static [[f64; 3]; 3]),
    /// The cubic with the states and rates at both ends.
    Cubic,
}

impl Table {
    pub fn dirk(dirk: &Dirk) -> Table {
        let s = dirk.n_stages();
        let entry = |i: usize, j: usize| match dirk.a[i].get(j) {
            Some(a) => *a,
            None if i == j && i > 0 => dirk.gamma,
            None => 0.0,
        };
        let a: Vec<Vec<f64>> = (0..s).map(|i| (0..s).map(|j| entry(i, j)).collect()).collect();
        Table {
            c: (0..s).map(|i| dirk.c(i)).collect(),
            b: a[s - 1].clone(),
            a,
            ends_in_stage: true,
            diagonal: true,
            inside: Inside::Cubic,
        }
    }

    pub fn gauss(method: &Collocation) -> Table {
        Table {
            c: method.c.to_vec(),
            a: method.a.iter().map(|row| row.to_vec()).collect(),
            b: method.b.to_vec(),
            ends_in_stage: false,
            diagonal: false,
            inside: Inside::Cubic,
        }
    }

    pub fn radau5() -> Table {
        Table {
            c: radau::C.to_vec(),
            a: radau::A.iter().map(|row| row.to_vec()).collect(),
            b: radau::A[2].to_vec(),
            ends_in_stage: true,
            diagonal: false,
            inside: Inside::Stages(&radau::P),
        }
    }

    pub fn n_stages(&self) -> usize {
        self.c.len()
    }
}
