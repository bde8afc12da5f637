//! `lgamma`, `digamma` and `polygamma` for positive arguments; NaN below 0.
//!
//! Series and recurrences: Abramowitz and Stegun, Handbook of Mathematical Functions, 6.1.15,
//! 6.1.41, 6.3.5, 6.3.18, 6.4.6, 6.4.11; the polynomials are Chebyshev fits made with mpmath.

use super::expr::{Scalar, polynomial};
use super::log::log;
use crate::lower::code::Code;
use crate::lower::loops::{DType, ScalarId};

/// `lgamma(x)/((x - 1)(x - 2))` in powers of `x - 2`, for `1 <= x <= 3`; relative error `2.1e-17`.
const NEAR: [f64; 32] = [
    0.42278433509846713,
    -0.10031730167435392,
    0.03296500062115583,
    -0.012384192193371281,
    0.0049986411646967465,
    -0.0021081308339555033,
    0.0009153769222707815,
    -0.00040570739751837585,
    0.00018255263873555506,
    -8.309512611788942e-05,
    3.816889292298188e-05,
    -1.7661678411724024e-05,
    8.22216504804543e-06,
    -3.847310267877505e-06,
    1.8082175835468087e-06,
    -8.530191609865739e-07,
    4.0333996464191575e-07,
    -1.9146174158031374e-07,
    9.21388035355947e-08,
    -4.396662803032218e-08,
    1.9154871760639296e-08,
    -9.161622215587696e-09,
    6.915323389115334e-09,
    -3.338506444900642e-09,
    -8.565868100375897e-10,
    4.235324058487562e-10,
    1.4933544932751008e-09,
    -7.268124874450559e-10,
    -4.297645248580929e-10,
    2.0962032408762526e-10,
    1.1390564273704021e-10,
    -5.546451520257133e-11,
];

/// `digamma(x)/(x - ROOT)` in powers of `x - 3/2`, for `1 <= x <= 2`; relative error `7.2e-17`.
const SLOPE: [f64; 22] = [
    0.951055876031833,
    -0.4236274212814605,
    0.2405424842407742,
    -0.14840492305390884,
    0.09498872445494122,
    -0.061922133273064534,
    0.04076083381242074,
    -0.02697579675613825,
    0.0179072524394512,
    -0.011908218001568644,
    0.007926944646403797,
    -0.005279964873257405,
    0.003519006401502276,
    -0.002345267632540769,
    0.0015566317474486838,
    -0.0010376374098418604,
    0.0007233266279287554,
    -0.0004821990530566789,
    0.0002272331660987376,
    -0.00015148586836773365,
    0.00025968482126430747,
    -0.00017312261802727394,
];

/// The positive zero of `digamma`, to twice the precision. Computed with mpmath.
const ROOT: (f64, f64) = (1.4616321449683622, 9.549995429965697e-17);

/// `B_2j/(2j (2j - 1))` for `j = 1, 2, ..`
const STIRLING: [f64; 8] = [
    0.08333333333333333,
    -0.002777777777777778,
    0.0007936507936507937,
    -0.0005952380952380953,
    0.0008417508417508417,
    -0.0019175269175269176,
    0.00641025641025641,
    -0.029550653594771242,
];

/// `B_2j/(2j)` for `j = 1, 2, ..`
const STIRLING_SLOPE: [f64; 8] = [
    0.08333333333333333,
    -0.008333333333333333,
    0.003968253968253968,
    -0.004166666666666667,
    0.007575757575757576,
    -0.021092796092796094,
    0.08333333333333333,
    -0.4432598039215686,
];

/// `B_2j/(2j)!` for `j = 1, 2, ..`
const MACLAURIN: [f64; 10] = [
    0.08333333333333333,
    -0.001388888888888889,
    3.306878306878307e-05,
    -8.267195767195768e-07,
    2.08767569878681e-08,
    -5.284190138687493e-10,
    1.3382536530684679e-11,
    -3.3896802963225827e-13,
    8.586062056277845e-15,
    -2.174868698558062e-16,
];

/// `log √(2π) - 1/2`
const HALF_LOG_TAU_LESS_HALF: f64 = 0.4189385332046727;

/// Where the asymptotic series take over.
const FAR: f64 = 12.0;

/// Below 1 by `Γ(x) = Γ(x + 1)/x`, to 3 by the polynomial, to 12 by `Γ(x) = (x - 1) Γ(x - 1)`, then by
/// Stirling's series, which is grouped so that its large terms do not cancel.
pub(super) fn lgamma(x: Scalar<'_>) -> Scalar<'_> {
    let (small, near, far) = (x.lt(1.0), x.lt(3.0), !x.lt(FAR));
    // Steps down into 2..3, and the factors on the way.
    let steps = near.then(x.number(0.0), x.at_most(FAR).floor() - 2.0);
    let mut factors = x.number(1.0);
    for j in 1..FAR as u32 - 2 {
        let j = f64::from(j);
        factors = (steps.lt(j)).then(factors, factors * (x - j));
    }
    let z = x - steps;
    // Of x + 1 below 1, where x is subtracted without rounding.
    let past_two = small.then(x - 1.0, z - 2.0);
    let past_one = small.then(x, z - 1.0);
    let core = past_one * past_two * polynomial(past_two, &NEAR);
    let logarithm = log(small.then(x, far.then(x, factors)));
    let inverse = 1.0 / x;
    let series = inverse * polynomial(inverse * inverse, &STIRLING);
    let stirling = (x - 0.5) * (logarithm - 1.0) + (HALF_LOG_TAU_LESS_HALF + series);
    let stirling = x.equals(f64::INFINITY).then(x, stirling);
    far.then(stirling, small.then(core - logarithm, core + logarithm))
}

/// Below 1 by `ψ(x) = ψ(x + 1) - 1/x`, to 2 by the polynomial, to 12 by `ψ(x) = ψ(x - 1) + 1/(x - 1)`,
/// then by the asymptotic series.
pub(super) fn digamma(x: Scalar<'_>) -> Scalar<'_> {
    let (small, far) = (x.lt(1.0), !x.lt(FAR));
    let steps = x.lt(2.0).then(x.number(0.0), x.at_most(FAR).floor() - 1.0);
    let mut above = x.number(0.0);
    for j in (1..FAR as u32 - 1).rev() {
        let j = f64::from(j);
        above = (steps.lt(j)).then(above, above + 1.0 / (x - j));
    }
    let z = x - steps;
    // Of x + 1 below 1, where 1 and 3/2 are taken together.
    let from_root = small.then((x - (ROOT.0 - 1.0)) - ROOT.1, (z - ROOT.0) - ROOT.1);
    let from_middle = small.then(x - 0.5, z - 1.5);
    let core = from_root * polynomial(from_middle, &SLOPE);
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let asymptotic = log(x) - (0.5 * inverse + square * polynomial(square, &STIRLING_SLOPE));
    let asymptotic = x.equals(f64::INFINITY).then(x, asymptotic);
    let value = far.then(asymptotic, small.then(core - inverse, core + above));
    x.lt(0.0).then(x.number(f64::NAN), value)
}

/// `(-1)^(n+1) n! Σ_k (x + k)^-(n+1)`: terms one by one, then the rest by Euler and Maclaurin.
pub fn polygamma(code: &Code, x: ScalarId, order: u32) -> ScalarId {
    let dtype = code.dtype(x);
    let x = Scalar::new(code, code.convert(x, DType::F64));
    let s = f64::from(order) + 1.0;
    let n_terms = 12 + order.min(60);
    let power = |y: Scalar<'_>| super::pow_int(code, y.id(), -(order as i32) - 1);
    let mut sum = x.number(0.0);
    let a = x + f64::from(n_terms);
    let inverse = 1.0 / a;
    let end = Scalar::new(code, power(a));
    // a^-s (a/(s - 1) + 1/2 + Σ B_2j/(2j)! s (s+1) … (s+2j-2) a^(1-2j))
    let mut rising = s;
    let mut coefficients = [0.0; MACLAURIN.len()];
    for (j, (coefficient, maclaurin)) in coefficients.iter_mut().zip(MACLAURIN).enumerate() {
        *coefficient = maclaurin * rising;
        let next = s + 2.0 * j as f64;
        rising *= (next + 1.0) * (next + 2.0);
    }
    let series = inverse * polynomial(inverse * inverse, &coefficients);
    let rest = end * (a * (1.0 / (s - 1.0)) + (0.5 + series));
    sum = sum + rest;
    for k in (0..n_terms).rev() {
        sum = sum + Scalar::new(code, power(x + f64::from(k)));
    }
    let factorial: f64 = (1..=order).map(f64::from).product();
    let value = sum * if order % 2 == 1 { factorial } else { -factorial };
    let value = x.equals(f64::INFINITY).then(x.number(0.0), value);
    let value = x.lt(0.0).then(x.number(f64::NAN), value);
    code.convert(value.id(), dtype)
}
