//! Explicit Runge–Kutta methods as tables of exact numbers.
//!
//! A method is a constant [`Tableau`] with its citation; nothing else in the crate knows a
//! coefficient. [`RungeKutta`] runs a table over a closure; `plan` makes the same step for a
//! compiled field. Every table in [`Tableau::ALL`] is checked by rooted-tree order conditions.

mod bosh3;
mod cash_karp;
mod coeff;
mod dopri5;
mod euler;
mod heun;
mod midpoint;
mod owren_zennaro3;
mod owren_zennaro4;
mod owren_zennaro5;
mod ralston;
mod rk38;
mod rk4;
mod rkf45;
mod runge_kutta;
mod tsit5;

pub use coeff::{Coeff, dec, q};
pub use runge_kutta::RungeKutta;

/// An explicit Runge–Kutta method of `s` stages:
/// `k_i = f(t + c_i h, y + h Σ_{j<i} a_ij k_j)`, `y_new = y + h Σ b_i k_i`.
#[derive(Debug)]
pub struct Tableau {
    /// Spelling in `solve { method = ... }`.
    pub name: &'static str,
    /// What it is and when to use it, in a sentence.
    pub doc: &'static str,
    /// Where the numbers come from.
    pub source: &'static str,
    /// The local error of `y_new` is `O(h^(order + 1))`.
    pub order: u32,
    /// `c`, `[s]`.
    pub c: &'static [Coeff],
    /// `a`: row `i` has the `i` entries left of the diagonal.
    pub a: &'static [&'static [Coeff]],
    /// `b`, `[s]`.
    pub b: &'static [Coeff],
    /// The embedded error estimate; a method without one runs with fixed steps.
    pub embedded: Option<Embedded>,
    /// The solution between `t` and `t + h`.
    pub dense: Dense,
}

/// A second formula on the same stages, for the error estimate `err = h Σ b_err_i k_i`.
#[derive(Debug)]
pub struct Embedded {
    /// Order of the second formula `b̂`.
    pub order: u32,
    /// `b - b̂`, `[s]`.
    pub b_err: &'static [Coeff],
}

/// Dense output, linear in the stages: `y(t + θh) ≈ y + h Σ b_i(θ) k_i` for `θ` in `[0, 1]`, with
/// polynomials `b_i(θ) = Σ_{p≥1} w_ip θ^p`. Since `b_i(1) = b_i`, it meets `y_new`.
#[derive(Debug)]
pub struct Dense {
    /// The error inside the step is `O(h^(order + 1))`.
    pub order: u32,
    /// Row `i` holds the coefficients of `θ, θ², ...` in `b_i(θ)`; an empty row is zero.
    pub weights: &'static [&'static [Coeff]],
}

impl Tableau {
    /// Every method, by rising order.
    pub const ALL: [&'static Tableau; 15] = [
        &euler::EULER,
        &midpoint::MIDPOINT,
        &heun::HEUN,
        &heun::HEUN_EULER,
        &ralston::RALSTON,
        &bosh3::BOSH3,
        &owren_zennaro3::OWREN_ZENNARO3,
        &rk4::RK4,
        &rk38::RK38,
        &owren_zennaro4::OWREN_ZENNARO4,
        &dopri5::DOPRI5,
        &tsit5::TSIT5,
        &rkf45::RKF45,
        &cash_karp::CASH_KARP,
        &owren_zennaro5::OWREN_ZENNARO5,
    ];

    /// The method spelled `name`.
    pub fn by_name(name: &str) -> Option<&'static Tableau> {
        Tableau::ALL.into_iter().find(|tableau| tableau.name == name)
    }

    /// Number of stages `s`.
    pub const fn n_stages(&self) -> usize {
        self.b.len()
    }

    /// Order of the embedded formula, if there is one.
    pub fn embedded_order(&self) -> Option<u32> {
        self.embedded.as_ref().map(|embedded| embedded.order)
    }

    /// `b - b̂`, if there is an embedded formula.
    pub fn b_err(&self) -> Option<&'static [Coeff]> {
        self.embedded.as_ref().map(|embedded| embedded.b_err)
    }

    /// Whether the last stage is the rate at `(t + h, y_new)`, and so the first of the next step.
    pub const fn fsal(&self) -> bool {
        let last = self.n_stages() - 1;
        if last == 0 || !self.c[last].same(q(1, 1)) || !self.b[last].is_zero() {
            return false;
        }
        let mut j = 0;
        while j < last {
            if !self.a[last][j].same(self.b[j]) {
                return false;
            }
            j += 1;
        }
        true
    }

    /// The exponent with which the step size answers the error estimate, as its reciprocal: the
    /// estimate is `O(h^q)` with `q = min(order, embedded order) + 1`.
    pub fn error_exponent(&self) -> u32 {
        self.embedded_order().map_or(self.order, |embedded| embedded.min(self.order)) + 1
    }
}

impl Dense {
    /// `b_i(θ)`.
    pub fn weight(&self, stage: usize, theta: f64) -> f64 {
        self.weights[stage].iter().rev().fold(0.0, |sum, w| (sum + w.value()) * theta)
    }

    /// `b_i'(θ)`: the dense derivative is `y'(t + θh) ≈ Σ b_i'(θ) k_i`.
    pub fn weight_slope(&self, stage: usize, theta: f64) -> f64 {
        let powers = self.weights[stage].iter().enumerate().rev();
        powers.fold(0.0, |sum, (p, w)| sum * theta + (p as f64 + 1.0) * w.value())
    }
}
