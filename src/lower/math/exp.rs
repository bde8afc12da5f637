//! `exp` and `expm1`.
//!
//! With `k = round(x / ln 2)` and `r = x - k·ln 2` (Cody and Waite, 1980: `ln 2` in two parts, the
//! product of `k` with the first of which is exact), `e^x = 2^k·e^r`, and the Taylor polynomial of
//! degree 13 gives `e^r` on `|r| <= ln(2)/2` with truncation error below `5e-18`. The power of two
//! is applied in two halves, so that results are rounded once down to the smallest subnormal.

use super::expr::{Scalar, polynomial};
use std::f64::consts::LOG2_E;

/// The upper 33 bits of `ln 2`, and the rest.
pub(super) const LN2: (f64, f64) = (0.6931471804855391, 7.440617110012397e-11);

/// `1/2!, 1/3!, …, 1/13!`
const TAYLOR: [f64; 12] = [
    1.0 / 2.0,
    1.0 / 6.0,
    1.0 / 24.0,
    1.0 / 120.0,
    1.0 / 720.0,
    1.0 / 5_040.0,
    1.0 / 40_320.0,
    1.0 / 362_880.0,
    1.0 / 3_628_800.0,
    1.0 / 39_916_800.0,
    1.0 / 479_001_600.0,
    1.0 / 6_227_020_800.0,
];

/// `e^x`.
pub(super) fn exp(x: Scalar<'_>) -> Scalar<'_> {
    exp_scaled(x, 0.0)
}

/// `e^x · 2^power` for an integer `power` with `|power| <= 1`, without overflow of `e^x` alone.
pub(super) fn exp_scaled(x: Scalar<'_>, power: f64) -> Scalar<'_> {
    // Beyond these bounds the result is infinite or rounds to 0 anyway; they keep `k` small.
    let x = x.at_most(712.0).at_least(-748.0);
    let k = (x * LOG2_E).round();
    let r = k.mul_add(-LN2.1, k.mul_add(-LN2.0, x));
    let e = 1.0 + (r * r).mul_add(polynomial(r, &TAYLOR), r);
    times_power_of_two(e, k + power)
}

/// `e^(x.hi + x.lo)` where `|x.lo|` is a rounding error of `x.hi`.
pub(super) fn exp_double<'c>(hi: Scalar<'c>, lo: Scalar<'c>) -> Scalar<'c> {
    let lo = hi.abs().lt(750.0).then(lo, hi.number(0.0));
    let hi = hi.at_most(712.0).at_least(-748.0);
    let k = (hi * LOG2_E).round();
    let r = k.mul_add(-LN2.0, hi) + k.mul_add(-LN2.1, lo);
    let e = 1.0 + (r * r).mul_add(polynomial(r, &TAYLOR), r);
    times_power_of_two(e, k)
}

/// `e^x - 1`, accurate near 0.
pub(super) fn expm1(x: Scalar<'_>) -> Scalar<'_> {
    // Below -40 the result rounds to -1.
    let y = x.at_most(712.0).at_least(-40.0);
    let k = (y * LOG2_E).round();
    let hi = k.mul_add(-LN2.0, y);
    let r = k.mul_add(-LN2.1, hi);
    // What rounding `r` lost; its derivative is close to 1.
    let lost = k.mul_add(-LN2.1, hi - r);
    let p = (r * r).mul_add(polynomial(r, &TAYLOR), lost) + r;
    // e^x - 1 = 2^k·((1 - 2^-k) + p); beyond k = 60 the power is below a rounding error.
    let sum = (1.0 - power_of_two(-k.at_most(60.0))) + p;
    times_power_of_two(sum, k).copysign(x)
}

/// `2^k` for an integer value `k` with `|k| <= 1022`: adding `1.5·2^52` leaves `k + 1023` in the low
/// bits, which become the exponent.
fn power_of_two(k: Scalar<'_>) -> Scalar<'_> {
    const SHIFTER: f64 = 6_755_399_441_055_744.0 + 1023.0;
    (k + SHIFTER).bits().shl(52_i64).float()
}

/// `x·2^k` for an integer value `k` with `|k| <= 2044`, rounded once for `|x|` near 1.
fn times_power_of_two<'c>(x: Scalar<'c>, k: Scalar<'c>) -> Scalar<'c> {
    let half = (k * 0.5).floor();
    x * power_of_two(half) * power_of_two(k - half)
}
