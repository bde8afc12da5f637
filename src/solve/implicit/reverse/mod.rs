//! Implicit one-step methods backwards; see [`reverse`](crate::solve::reverse). Source: the implicit function theorem, in the form of J. M. Sanz-Serna, Symplectic Runge–Kutta
//! schemes for adjoint equations, SIAM Review 58 (2016), section 3.

mod rosenbrock;
mod stages;
mod table;

pub use stages::Stages;

use super::Implicit;
use super::field::Field;
use super::initial::Echelon;
use crate::solve::outcome::{Outcome, Stats};
use crate::solve::problem::Real;
use crate::solve::reverse::{Answer, Ask, Of};

/// See [`Reverse::pull_start`].
fn pull_start<T: Real, S: Implicit<T> + ?Sized>(
    field: &mut Field<'_, T, S>,
    t: f64,
    y: &[f64],
    bar: &mut [f64],
    answer: &mut Answer<'_>,
) -> Result<(), Outcome> {
    let echelon = Echelon::of(field);
    if !echelon.singular() {
        return Ok(());
    }
    let singular = Outcome::Singular { t, h: 0.0 };
    linearised(field, t, y)?;
    let (kept, rates) = echelon.transposed(field, &bar[..field.n]).ok_or(singular)?;
    bar[..field.n].copy_from_slice(&kept);
    let mut asked = vec![0.0; y.len()];
    asked[..field.n].copy_from_slice(&rates);
    answer(&Ask { t, y, of: Of::Rate, bar: &asked });
    Ok(())
}

/// Takes the Jacobian at `(t, y)`.
fn linearised<T: Real, S: Implicit<T> + ?Sized>(
    field: &mut Field<'_, T, S>,
    t: f64,
    y: &[f64],
) -> Result<(), Outcome> {
    match field.linearise(t, y, &mut Stats::default()) {
        std::ops::ControlFlow::Continue(()) => Ok(()),
        std::ops::ControlFlow::Break(outcome) => Err(outcome),
    }
}
