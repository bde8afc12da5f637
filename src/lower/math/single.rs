//! `exp`, `expm1`, `log`, `log1p`, `tanh`, `sigmoid`, `softplus` and `erf` of `f32`, in `f32`.
//!
//! The methods are those of the `f64` functions with what half the digits allow: shorter polynomials,
//! powers of two in one piece where the range permits, fewer divisions. Without branches, and nearly
//! without integers: a power of two is made of the bits of a float, and so is an exponent taken off.
//! The polynomials are least-squares fits, reweighted towards equal ripples, of values of mpmath.

use super::double::two_sum;
use super::expr::{Scalar, polynomial};
use super::log::with_edges;
use std::f64::consts::{LN_2, LOG2_E};

/// `ln 2` in two parts, of which the first has 9 bits, so that its product with an exponent is exact.
/// Source: Cody and Waite, Software Manual for the Elementary Functions, 1980.
const LN2: (f64, f64) = (0.693359375, -2.12194440e-4);

/// `(e^r - 1 - r) / r²` for `|r| <= ln(2)/2`; relative error of `e^r - 1` `1.3e-8`.
const EXPM1: [f64; 5] = [
    0.4999999701976776,
    0.1666654348373413,
    0.04166720062494278,
    0.008366581052541733,
    0.0013882503844797611,
];

/// The same for `|r| <= ln 2`; relative error of `e^r` `1.4e-8`.
const EXP: [f64; 6] = [
    0.5000003576278687,
    0.16666613519191742,
    0.04166125878691673,
    0.008336109109222889,
    0.0014104678994044662,
    0.00019611346942838281,
];

/// `(log(1 + f) - f + f²/2) / f³` for `sqrt(1/2) <= 1 + f <= sqrt(2)`; relative error of the logarithm
/// `7.5e-10`.
const LOG: [f64; 9] = [
    0.3333331346511841,
    -0.25000008940696716,
    0.2000211924314499,
    -0.1666799634695053,
    0.14219550788402557,
    -0.12405592203140259,
    0.11888177692890167,
    -0.1167563870549202,
    0.06746591627597809,
];

/// `(log(1 + e) - e) / e²` for `0 <= e <= 1`; relative error of the logarithm `8e-10`.
const LOG_NEAR: [f64; 10] = [
    -0.49999988079071045,
    0.33332690596580505,
    -0.24988578259944916,
    0.19897928833961487,
    -0.16129323840141296,
    0.12467096000909805,
    -0.0830736979842186,
    0.0419810488820076,
    -0.013631333597004414,
    0.002072918228805065,
];

/// `(tanh(x) - x) / x³` in powers of `x²`, for `|x| <= 5/8`; relative error of `tanh` `4.4e-9`.
const TANH: [f64; 5] = [
    -0.3333328068256378,
    0.13331441581249237,
    -0.05373971164226532,
    0.020639078691601753,
    -0.005704978480935097,
];

/// `erf(x)/x - 1` in powers of `x²`, for `|x| <= 1`; error `1.2e-9`.
const ERF: [f64; 7] = [
    0.12837916612625122,
    -0.3761262595653534,
    0.11283600330352783,
    -0.026854444295167923,
    0.005189535208046436,
    -0.0008020841050893068,
    7.889119297033176e-05,
];

/// `-log(erfc(x))` for `1 <= x <= 4`; error of `erf` `1.1e-9`.
const LOG_ERFC: [f64; 7] = [
    0.00034151258296333253,
    1.127089262008667,
    0.6381447315216064,
    0.10310681909322739,
    -0.021838096901774406,
    0.002947666682302952,
    -0.0001863800862338394,
];

/// `2^-24`: what powers of two are made too large by, where they may be subnormal.
const UNDERFLOWING: f64 = 5.960464477539063e-8;

/// `e^x = e^r·2^h·2^h` with `x = 2h·ln 2 + r`: the product with the first power is exact.
pub(super) fn exp(x: Scalar<'_>) -> Scalar<'_> {
    // Beyond these bounds the result is infinite or rounds to 0 anyway; they keep `h` small.
    let x = x.at_most(89.0).at_least(-104.0);
    let h = (x * (0.5 * LOG2_E)).round();
    let r = h.mul_add(-2.0 * LN2.1, h.mul_add(-2.0 * LN2.0, x));
    let power = power_of_two(h);
    (1.0 + (r * r).mul_add(polynomial(r, &EXP), r)) * power * power
}

/// `e^x - 1 = 2^k·((1 - 2^-k) + (e^r - 1))`.
pub(super) fn expm1(x: Scalar<'_>) -> Scalar<'_> {
    // Below -18 the result rounds to -1.
    let y = x.at_most(89.0).at_least(-18.0);
    let k = (y * LOG2_E).round();
    let r = k.mul_add(-LN2.1, k.mul_add(-LN2.0, y));
    let p = (r * r).mul_add(polynomial(r, &EXPM1), r);
    // Beyond k = 30 the power is below a rounding error.
    let sum = (1.0 - power_of_two(-k.at_most(30.0))) + p;
    let half = (k * 0.5).floor();
    (sum * power_of_two(half) * power_of_two(k - half)).copysign(x)
}

/// `tanh x = 1 - 2 / (2^k·(e^r - 1) + (2^k + 1))` with `2|x| = k·ln 2 + r`; a polynomial near 0.
pub(super) fn tanh(x: Scalar<'_>) -> Scalar<'_> {
    let a = x.abs();
    let z = a * a;
    let near = (a * z).mul_add(polynomial(z, &TANH), a);
    // From 9.02 on the result rounds to 1.
    let y = 2.0 * a.at_most(10.0);
    let (k, power) = nearest_power(y);
    // What `ln 2` lacks here is nothing while `tanh x` is not yet 1.
    let r = k.mul_add(-LN_2, y);
    let p = (r * r).mul_add(polynomial(r, &EXPM1), r);
    let far = 1.0 - 2.0 / p.mul_add(power, power + 1.0);
    a.lt(0.625).then(near, far).copysign(x)
}

/// `1 / (1 + e^-x) = c / (1 + c + (e^r - 1))` with `-x = k·ln 2 + r` and `c = 2^-k`, which underflows
/// gradually.
pub(super) fn sigmoid(x: Scalar<'_>) -> Scalar<'_> {
    // Beyond these bounds the result rounds to 1 or 0.
    let y = (-x).at_most(104.0).at_least(-25.0);
    let k = (y * LOG2_E).round();
    let r = k.mul_add(-LN2.1, k.mul_add(-LN2.0, y));
    let p = (r * r).mul_add(polynomial(r, &EXPM1), r);
    let c = power_of_two(24.0 - k) * UNDERFLOWING;
    c / (1.0 + (p + c))
}

/// `log(1 + e^x) = max(x, 0) + log(1 + e)` with `e = e^-|x|`.
pub(super) fn softplus(x: Scalar<'_>) -> Scalar<'_> {
    let y = (-x.abs()).at_least(-104.0);
    let k = (y * LOG2_E).round();
    let r = k.mul_add(-LN2.1, k.mul_add(-LN2.0, y));
    let e = 1.0 + (r * r).mul_add(polynomial(r, &EXPM1), r);
    let e = e * power_of_two(k + 24.0) * UNDERFLOWING;
    x.at_least(0.0) + (e * e).mul_add(polynomial(e, &LOG_NEAR), e)
}

/// `log x`; NaN for `x < 0`, minus infinity for zeros.
pub(super) fn log(x: Scalar<'_>) -> Scalar<'_> {
    let (k, m) = split(x);
    with_edges(x, log_of(k, m - 1.0, None))
}

/// `log(1 + x)`, accurate near 0; NaN for `x < -1`, minus infinity for -1. As in `f64`.
pub(super) fn log1p(x: Scalar<'_>) -> Scalar<'_> {
    let u = two_sum(x.number(1.0), x);
    let (k, m) = split(u.hi);
    let near = x.number(-0.2928932188134524).lt(x) & x.lt(0.41421356237309503);
    let zero = x.number(0.0);
    let f = near.then(x, m - 1.0);
    let correction = near.then(zero, u.lo / u.hi);
    with_edges(u.hi, log_of(near.then(zero, k), f, Some(correction))).copysign(x)
}

/// The error function; `1 - erfc(x)` from 1 on, where `erfc` is small and its relative error of no
/// weight.
pub(super) fn erf(x: Scalar<'_>) -> Scalar<'_> {
    let a = x.abs();
    let near = a.mul_add(polynomial(a * a, &ERF), a);
    // From 4 on the result rounds to 1.
    let y = -polynomial(a.at_most(4.0), &LOG_ERFC);
    let (k, power) = nearest_power(y);
    let r = k.mul_add(-LN_2, y);
    let e = 1.0 + (r * r).mul_add(polynomial(r, &EXPM1), r);
    a.lt(1.0).then(near, 1.0 - e * power).copysign(x)
}

/// The integer `k` nearest to `y / ln 2`, which is at most 126 in size, and `2^k`: one sum rounds and leaves
/// `k + 127` in the low bits of what [`power_of_two`] makes an exponent of. Halfway between two integers,
/// where rounding to a sum is not rounding to an integer, either will do.
fn nearest_power(y: Scalar<'_>) -> (Scalar<'_>, Scalar<'_>) {
    let shifted = y.mul_add(LOG2_E, y.number(SHIFTER));
    (shifted - SHIFTER, shifted.bits().shl(23_i64).float32())
}

/// `1.5·2^23 + 127`
const SHIFTER: f64 = 12_582_912.0 + 127.0;

/// `2^k` for an integer value `k` with `-126 <= k <= 127`: adding `1.5·2^23` leaves `k + 127` in the low
/// bits, which become the exponent.
fn power_of_two(k: Scalar<'_>) -> Scalar<'_> {
    (k + SHIFTER).bits().shl(23_i64).float32()
}

/// The bits of 1 and of the number nearest to `sqrt(1/2)`.
const ONE: i64 = 0x3f80_0000;
const SQRT_HALF: i64 = 0x3f35_04f3;

/// `x = 2^k·m` with `m` in `[sqrt(1/2), sqrt(2))`; for positive finite `x`.
fn split(x: Scalar<'_>) -> (Scalar<'_>, Scalar<'_>) {
    let subnormal = x.lt(f64::from(f32::MIN_POSITIVE));
    let scaled = subnormal.then(x * 33_554_432.0, x); // 2^25
    let bits = scaled.bits() + (ONE - SQRT_HALF);
    let k = bits.shr(23_i64).to_f32() - subnormal.then(x.number(127.0 + 25.0), x.number(127.0));
    let m = ((bits & 0x007f_ffff_i64) + SQRT_HALF).float32();
    (k, m)
}

/// `k·ln 2 + log(1 + f) + correction`
fn log_of<'c>(k: Scalar<'c>, f: Scalar<'c>, correction: Option<Scalar<'c>>) -> Scalar<'c> {
    let square = f * f;
    let tail = (f * square) * polynomial(f, &LOG);
    let tail = k.mul_add(LN2.1, tail);
    let tail = correction.map_or(tail, |correction| tail + correction);
    k.mul_add(LN2.0, f + square.mul_add(-0.5, tail))
}
