//! Explicit Runge–Kutta methods as tables of exact numbers.
//!
//! A method is a constant [`Tableau`] with its citation; nothing else in the crate knows a
//! coefficient. [`RungeKutta`] runs a table over a closure; `plan` makes the same step for a
//! compiled field. Every table in [`Tableau::ALL`] is checked by rooted-tree order conditions.

mod bosh3;
mod cash_karp;
mod coeff;
mod dop853;
mod dopri5;
mod euler;
mod fehlberg2;
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
mod tanaka_yamashita7;
mod tsit5;
mod verner6;
mod verner7;
mod verner8;
mod verner9;

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
    /// `b` minus a formula of order 3, `[s]`, for the method whose estimate of order 5 alone is too
    /// small: with the norms `e5` and `e3` of both, the error is `e5²/√(e5² + e3²/100)`. Source:
    /// Hairer, Nørsett, Wanner, Solving ODEs I, eq. (II.10.17).
    pub third: Option<&'static [Coeff]>,
    /// The estimate counts so many times. 1 but for two tables whose estimates are so small that errors
    /// would be hundreds of tolerances; they say why. `tests/it/orders.rs` holds all tables to it.
    pub scale: f64,
}

/// Dense output, linear in the stages: `y(t + θh) ≈ y + h Σ b_i(θ) k_i` for `θ` in `[0, 1]`, with
/// polynomials `b_i(θ) = Σ_{p≥1} w_ip θ^p`. Since `b_i(1) = b_i`, it meets `y_new`.
#[derive(Debug)]
pub struct Dense {
    /// The error inside the step is `O(h^(order + 1))`.
    pub order: u32,
    /// Stages `s, s + 1, ..` that the step itself does not need: they are evaluated where the inside
    /// of a step is looked at.
    pub extra: &'static [Stage],
    /// Row `i` holds the coefficients of `θ, θ², ...` in `b_i(θ)`; an empty row is zero. One for
    /// each stage, the extra ones included.
    pub weights: &'static [&'static [Coeff]],
}

/// A stage that only dense output needs.
#[derive(Debug)]
pub struct Stage {
    /// Its position.
    pub c: Coeff,
    /// The weights of all stages before it.
    pub a: &'static [Coeff],
}

impl Tableau {
    /// Every method, by rising order.
    pub const ALL: [&'static Tableau; 22] = [
        &euler::EULER,
        &midpoint::MIDPOINT,
        &heun::HEUN,
        &heun::HEUN_EULER,
        &ralston::RALSTON,
        &fehlberg2::FEHLBERG2,
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
        &verner6::VERNER6,
        &tanaka_yamashita7::TANAKA_YAMASHITA7,
        &verner7::VERNER7,
        &dop853::DOP853,
        &verner8::VERNER8,
        &verner9::VERNER9,
    ];

    /// The method spelled `name`.
    pub fn by_name(name: &str) -> Option<&'static Tableau> {
        Tableau::ALL.into_iter().find(|tableau| tableau.name == name)
    }

    /// Number of stages `s`.
    pub const fn n_stages(&self) -> usize {
        self.b.len()
    }

    /// Number of stages with those that only dense output needs.
    pub const fn n_rows(&self) -> usize {
        self.n_stages() + self.dense.extra.len()
    }

    /// `c_i` and the weights `a_ij` of stage `i`, which may be one that only dense output needs.
    pub fn stage(&self, i: usize) -> (Coeff, &'static [Coeff]) {
        match i.checked_sub(self.n_stages()) {
            None => (self.c[i], self.a[i]),
            Some(at) => (self.dense.extra[at].c, self.dense.extra[at].a),
        }
    }

    /// Order of the embedded formula, if there is one.
    pub fn embedded_order(&self) -> Option<u32> {
        self.embedded.as_ref().map(|embedded| embedded.order)
    }

    /// `b - b̂`, if there is an embedded formula.
    pub fn b_err(&self) -> Option<&'static [Coeff]> {
        self.embedded.as_ref().map(|embedded| embedded.b_err)
    }

    /// `b` minus a formula of order 3, if the error estimate takes it in.
    pub fn third(&self) -> Option<&'static [Coeff]> {
        self.embedded.as_ref().and_then(|embedded| embedded.third)
    }

    /// What the error estimate is multiplied by; see [`Embedded::scale`].
    pub fn error_scale(&self) -> f64 {
        self.embedded.as_ref().map_or(1.0, |embedded| embedded.scale)
    }

    /// Whether the last stage is the rate at `(t + h, y_new)`, and so the first of the next step.
    pub const fn fsal(&self) -> bool {
        const ONE: Coeff = q(1, 1);
        let last = self.n_stages() - 1;
        if last == 0 || !self.c[last].same(ONE) || !self.b[last].is_zero() {
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
    /// estimate is `O(h^q)` with `q = min(order, embedded order) + 1`, and `q = 2·6 - 4` where an
    /// estimate of order 5 is mixed with one of order 3.
    pub fn error_exponent(&self) -> u32 {
        if self.third().is_some() {
            return 8;
        }
        self.embedded_order().map_or(self.order, |embedded| embedded.min(self.order)) + 1
    }
}

impl Dense {
    /// `b_i(θ)`.
    pub fn weight(&self, stage: usize, theta: f64) -> f64 {
        if !self.extra.is_empty() {
            return compensated(self.weights[stage], theta);
        }
        self.weights[stage].iter().rev().fold(0.0, |sum, w| (sum + w.value()) * theta)
    }

    /// `b_i'(θ)`: the dense derivative is `y'(t + θh) ≈ Σ b_i'(θ) k_i`.
    pub fn weight_slope(&self, stage: usize, theta: f64) -> f64 {
        let powers = self.weights[stage].iter().enumerate().rev();
        powers.fold(0.0, |sum, (p, w)| sum * theta + (p as f64 + 1.0) * w.value())
    }
}

/// `Σ w_p θ^p` by Horner's rule in twice the precision: the coefficients of interpolants of high order
/// reach a million and cancel to a number near 1. Source: S. Graillat, Ph. Langlois, N. Louvet,
/// Compensated Horner scheme (2005), with error-free sums and products of Knuth and Dekker.
fn compensated(weights: &[Coeff], theta: f64) -> f64 {
    let (theta_hi, theta_lo) = split(theta);
    let (mut sum, mut rest) = (0.0_f64, 0.0_f64);
    for w in weights.iter().rev() {
        let total = sum + w.value();
        let back = total - sum;
        rest += (sum - (total - back)) + (w.value() - back) + w.rest();
        let (hi, lo) = split(total);
        sum = total * theta;
        rest = rest * theta + ((hi * theta_hi - sum) + hi * theta_lo + lo * theta_hi + lo * theta_lo);
    }
    sum + rest
}

/// Two numbers of half the digits with the sum `x`.
fn split(x: f64) -> (f64, f64) {
    let scaled = 134_217_729.0 * x;
    let hi = scaled - (scaled - x);
    (hi, x - hi)
}
