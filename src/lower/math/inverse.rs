//! `atan`, `asin` and `acos`.
//!
//! The reductions are those of fdlibm (Sun Microsystems, 1993, `s_atan.c`, `e_asin.c`, `e_acos.c`);
//! the polynomials are Chebyshev fits made with mpmath.

use super::expr::{Scalar, polynomial};
use super::trig::HALF_PI;

/// `(atan t - t) / t³` in powers of `t²`, for `|t| <= 7/16`; error `1.2e-16`.
const ATAN: [f64; 11] = [
    -0.33333333333333326,
    0.19999999999987758,
    -0.14285714283146547,
    0.11111110900409805,
    -0.09090900190075156,
    0.07692087234595789,
    -0.06663237858076355,
    0.05847713503311183,
    -0.050338901748429754,
    0.037823856862431886,
    -0.017545740588500107,
];

/// `(asin x - x) / x³` in powers of `x²`, for `|x| <= 1/2`; error `2.2e-17`.
const ASIN: [f64; 13] = [
    0.16666666666666669,
    0.07499999999998433,
    0.04464285714635543,
    0.030381944138531247,
    0.02237217294214989,
    0.017352392720869973,
    0.013971212973552933,
    0.011479177415184906,
    0.01032281435018578,
    0.005457506718640358,
    0.01740087944269402,
    -0.014851887071247204,
    0.028757851367421566,
];

/// Where `atan` is reduced: the upper end of the interval, the centre `c`, and `atan(c)` to twice
/// the precision. Computed with mpmath.
const CENTRES: [(f64, f64, f64, f64); 4] = [
    (0.4375, 0.0, 0.0, 0.0),
    (0.6875, 0.5, 0.4636476090008061, 2.2698777452961687e-17),
    (1.1875, 1.0, std::f64::consts::FRAC_PI_4, 3.061616997868383e-17),
    (2.4375, 1.5, 0.982793723247329, 1.3903311031230998e-17),
];

/// `atan x = atan(c) + atan((|x| - c) / (1 + c·|x|))`, and `π/2 - atan(1/|x|)` for large `|x|`.
pub(super) fn atan(x: Scalar<'_>) -> Scalar<'_> {
    let a = x.abs();
    let (mut above, mut below) = (a.number(-1.0), a);
    let (mut hi, mut lo) = (a.number(HALF_PI.0), a.number(HALF_PI.1));
    for (end, c, atan_hi, atan_lo) in CENTRES.into_iter().rev() {
        let here = a.lt(end);
        above = here.then(a - c, above);
        below = here.then(1.0 + c * a, below);
        hi = here.then(a.number(atan_hi), hi);
        lo = here.then(a.number(atan_lo), lo);
    }
    let t = above / below;
    let z = t * t;
    let tail = t * z * polynomial(z, &ATAN);
    (hi + ((tail + lo) + t)).copysign(x)
}

/// `asin x = x + x³·R(x²)`, and `π/2 - 2·asin(sqrt((1 - |x|) / 2))` from 1/2 on; NaN outside of
/// `[-1, 1]`.
pub(super) fn asin(x: Scalar<'_>) -> Scalar<'_> {
    let a = x.abs();
    let small = a + asin_tail(a, a * a);
    let half = Half::new(a);
    // π/2 - 2·(f + c + tail), with π/4 split off so that the largest differences are exact.
    let quarter = HALF_PI.0 / 2.0;
    let low = a.number(HALF_PI.1) - 2.0 * half.c - 2.0 * half.tail;
    let large = quarter + ((quarter - 2.0 * half.f) + low);
    a.lt(0.5).then(small, large).copysign(x)
}

/// `acos x = π/2 - asin x`, and `2·asin(sqrt((1 - |x|) / 2))` or `π` minus that from 1/2 on; NaN
/// outside of `[-1, 1]`.
pub(super) fn acos(x: Scalar<'_>) -> Scalar<'_> {
    let a = x.abs();
    let small = HALF_PI.0 - (x - (HALF_PI.1 - asin_tail(x, x * x)));
    let half = Half::new(a);
    let right = 2.0 * (half.f + (half.c + half.tail));
    let left = 2.0 * (HALF_PI.0 - (half.f + ((half.c + half.tail) - HALF_PI.1)));
    a.lt(0.5).then(small, x.lt(0.0).then(left, right))
}

/// `asin(sqrt(z)) = f + c + tail` for `z = (1 - a) / 2`, where `f` has 26 bits.
struct Half<'c> {
    f: Scalar<'c>,
    c: Scalar<'c>,
    tail: Scalar<'c>,
}

impl<'c> Half<'c> {
    fn new(a: Scalar<'c>) -> Half<'c> {
        let z = (1.0 - a) * 0.5;
        let s = z.sqrt();
        let f = (s.bits() & !0x07ff_ffff_i64).float();
        // sqrt(z) = f + c; 0 where z is 0.
        let c = z.equals(0.0).then(z, (z - f * f) / (s + f));
        Half { f, c, tail: asin_tail(s, z) }
    }
}

/// `asin(s) - s` for `z = s²`.
fn asin_tail<'c>(s: Scalar<'c>, z: Scalar<'c>) -> Scalar<'c> {
    s * (z * polynomial(z, &ASIN))
}
