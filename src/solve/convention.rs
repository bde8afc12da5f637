//! The conventions of other codes around the same formulas, with which their counts of steps and
//! evaluations come out again.

use super::control::{Adaptive, Landing, StartNorm};
use super::controller::{Controller, Rule};
use super::method::{Kind, Method, Stiff};

/// Whose conventions a run follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convention {
    /// Our own.
    Own,
    /// The codes DOPRI5, DOP853 and RADAU5. Source: E. Hairer, G. Wanner, `dopri5.f`, `dop853.f`,
    /// `radau5.f`, with their default parameters.
    Hairer,
    /// `solve_ivp` of SciPy with an explicit method.
    Scipy,
    /// torchdiffeq and diffrax: the elementary controller, after which an accepted step is never
    /// shorter. torchdiffeq steps over the end of the interval and looks back; here the last step ends
    /// there, which may spare a rejected one.
    Torchdiffeq,
    /// The experimental code of JAX that "Learning differential equations that are easy to solve" (J.
    /// Kelly et al., 2020) counts with: as torchdiffeq, but the first step from sums over components
    /// and from the sum of both slopes.
    Taynode,
}

impl Convention {
    /// Every one, our own first.
    pub const ALL: [Convention; 5] = [
        Convention::Own,
        Convention::Hairer,
        Convention::Scipy,
        Convention::Torchdiffeq,
        Convention::Taynode,
    ];

    /// Spelling in `solve { convention = ... }`.
    pub fn name(self) -> &'static str {
        match self {
            Convention::Own => "own",
            Convention::Hairer => "hairer",
            Convention::Scipy => "scipy",
            Convention::Torchdiffeq => "torchdiffeq",
            Convention::Taynode => "taynode",
        }
    }

    /// What `method` is steered by, with the tolerances and the norm of `adaptive`.
    #[must_use]
    pub fn apply(self, method: &Method, adaptive: Adaptive) -> Adaptive {
        let elementary = Controller { keeps_accepted: true, grows_after_rejection: true, ..Controller::I };
        let (controller, start, landing, estimate) = match self {
            Convention::Own => return adaptive,
            Convention::Hairer => {
                let (controller, slack) = hairer(method);
                (controller, StartNorm::Sum, Landing::Cut { slack }, 1.0)
            }
            Convention::Scipy => (Controller::I, StartNorm::Own, Landing::Cut { slack: 0.0 }, 1.0),
            Convention::Torchdiffeq => {
                (elementary, StartNorm::Own, Landing::Cut { slack: 0.0 }, shampine(method))
            }
            Convention::Taynode => {
                (elementary, StartNorm::SumOfBoth, Landing::Cut { slack: 0.0 }, shampine(method))
            }
        };
        Adaptive { controller, start, landing, estimate: Some(estimate), ..adaptive }
    }
}

/// These codes take for `dopri5` the embedded formula `b̂ = 1951/21600, 0, 22642/50085, ..` whose estimate is
/// two thirds of Dormand and Prince's. Source: L. F. Shampine, Some practical Runge–Kutta formulas, Math.
/// Comput. 46 (1986).
fn shampine(method: &Method) -> f64 {
    if method.name == "dopri5" { 2.0 / 3.0 } else { 1.0 }
}

/// The controller of the code that has `method`, else that of DOPRI5, and the share of itself by which
/// a last step may be stretched.
fn hairer(method: &Method) -> (Controller, f64) {
    match method.kind {
        Kind::Explicit(tableau) if tableau.name == "dop853" => {
            let controller = Controller { min_factor: 0.333, max_factor: 6.0, ..Controller::I };
            (controller, 0.01)
        }
        Kind::Stiff(Stiff::Radau5) => {
            let rule = Some(Rule::Predictive);
            (Controller { rule, max_factor: 8.0, ..Controller::OWN }, 1e-4)
        }
        Kind::Explicit(_)
        | Kind::Stiff(_)
        | Kind::Multistep
        | Kind::Taylor { .. }
        | Kind::Auto(_)
        | Kind::Symplectic(_)
        | Kind::Reversible(_)
        | Kind::Stochastic(_) => (Controller { rejects_alike: true, ..Controller::PI }, 0.01),
    }
}
