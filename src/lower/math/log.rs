//! `log` and `log1p`.
//!
//! `x = 2^k·m` with `m` between `sqrt(1/2)` and `sqrt(2)`, `f = m - 1`, `s = f / (2 + f)`; then
//! `log(m) = 2·atanh(s) = 2s + s³·R(s²)`, arranged as `f - (f²/2 - s·(f²/2 + s²·R))` so that the
//! leading term is exact. The method is that of fdlibm (Sun Microsystems, 1993, `e_log.c` and
//! `s_log1p.c`); `R` is a Chebyshev fit made with mpmath, absolute error `3.2e-16`, which is
//! `5e-18` relative to the result.

use super::double::two_sum;
use super::exp::LN2;
use super::expr::{Scalar, polynomial};

/// `(2·atanh(s) - 2s) / s³` in powers of `s²`, for `s² <= (3 - sqrt 8)²`.
const R: [f64; 7] = [
    0.666666666666667,
    0.39999999999899444,
    0.2857142862600327,
    0.22222211130259878,
    0.18182889455674947,
    0.15331710618210773,
    0.14616585424888623,
];

/// The bits of 1 and of the double nearest to `sqrt(1/2)`.
const ONE: i64 = 0x3ff0_0000_0000_0000;
const SQRT_HALF: i64 = 0x3fe6_a09e_667f_3bcd;

/// `log x`; NaN for `x < 0`, minus infinity for zeros.
pub(super) fn log(x: Scalar<'_>) -> Scalar<'_> {
    let (k, m) = split(x);
    let f = m - 1.0;
    with_edges(x, log_of(k, f, f.number(0.0)))
}

/// `log(1 + x)`, accurate near 0; NaN for `x < -1`, minus infinity for -1.
pub(super) fn log1p(x: Scalar<'_>) -> Scalar<'_> {
    let u = two_sum(x.number(1.0), x);
    let (k, m) = split(u.hi);
    // Where 1 + x needs no power of two, f = x is exact; elsewhere 1 + x = u + lost, and
    // log(u + lost) = log(u) + lost/u within a rounding error.
    let near = x.number(-0.2928932188134524).lt(x) & x.lt(0.41421356237309503);
    let zero = x.number(0.0);
    let f = near.then(x, m - 1.0);
    let correction = near.then(zero, u.lo / u.hi);
    let result = log_of(near.then(zero, k), f, correction);
    with_edges(u.hi, result).copysign(x)
}

/// The value at the edges of the domain of `log`.
pub(super) fn with_edges<'c>(x: Scalar<'c>, inside: Scalar<'c>) -> Scalar<'c> {
    let zero = x.number(0.0);
    let not_positive = x.equals(zero).then(x.number(f64::NEG_INFINITY), x.number(f64::NAN));
    x.lt(f64::INFINITY).then(zero.lt(x).then(inside, not_positive), x)
}

/// `x = 2^k·m` with `m` in `[sqrt(1/2), sqrt(2))`; for positive finite `x`.
pub(super) fn split(x: Scalar<'_>) -> (Scalar<'_>, Scalar<'_>) {
    let subnormal = x.lt(f64::MIN_POSITIVE);
    let scaled = subnormal.then(x * 18_014_398_509_481_984.0, x); // 2^54
    let bits = scaled.bits() + (ONE - SQRT_HALF);
    let k = bits.shr(52_i64).to_f64() - subnormal.then(x.number(1023.0 + 54.0), x.number(1023.0));
    let m = ((bits & 0x000f_ffff_ffff_ffff_i64) + SQRT_HALF).float();
    (k, m)
}

/// `k·ln 2 + log(1 + f) + correction`
fn log_of<'c>(k: Scalar<'c>, f: Scalar<'c>, correction: Scalar<'c>) -> Scalar<'c> {
    let s = f / (2.0 + f);
    let z = s * s;
    let half_square = 0.5 * f * f;
    let tail = s * (half_square + z * polynomial(z, &R));
    let low = tail + k.mul_add(LN2.1, correction);
    k * LN2.0 - ((half_square - low) - f)
}
