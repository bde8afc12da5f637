//! `pow`: the logarithm to twice the precision, times `y`, exponentiated.
//!
//! `log(x)` is needed to about 2^-64, since `e^(y·log x)` multiplies its relative error by up to 745.
//! With `x = 2^k·m` and `s = (m - 1)/(m + 1)` as a [`Double`], `log(m) = 2s + (2/3)·s³ + s⁵·T(s²)`; the first
//! two terms are doubles, the last is below 2^-12 of the result and needs only working precision.
//! Special values are those of IEEE 754-2019, 9.2.1.

use super::double::{Double, fast_two_sum, two_product, two_sum};
use super::exp::exp_double;
use super::expr::{Scalar, polynomial};
use super::log::split;

/// `(2·atanh(s) - 2s - (2/3)s³) / s⁵` in powers of `s²`, for `s² <= (3 - sqrt 8)²`. Chebyshev fit made with
/// mpmath; error `2.6e-17`.
const T: [f64; 8] = [
    0.4,
    0.28571428571429364,
    0.22222222221655885,
    0.18181818335392802,
    0.1538459496251843,
    0.1333480469384731,
    0.11706236339491206,
    0.11723178623876518,
];

/// `x^y`.
pub(super) fn pow<'c>(x: Scalar<'c>, y: Scalar<'c>) -> Scalar<'c> {
    let a = x.abs();
    let infinity = x.number(f64::INFINITY);
    // Beyond 2^65 every power of a number other than 1 is 0 or infinite; this keeps products finite.
    let bounded = y.at_most(2.0_f64.powi(65)).at_least(-(2.0_f64.powi(65)));
    let log = log_double(a);
    let log_hi = a.equals(0.0).then(-infinity, a.lt(infinity).then(log.hi, a));
    let product = two_product(bounded, log.hi);
    let low = bounded.mul_add(log.lo, product.lo);
    // Where `a` is 0 or infinite the product with y is infinite and has no low part.
    let inside = log_hi.abs().lt(infinity);
    let hi = inside.then(product.hi, bounded * log_hi);
    let magnitude = exp_double(hi, inside.then(low, x.number(0.0)));

    let integer = y.floor().equals(y);
    let half = y * 0.5;
    let odd = integer & !half.floor().equals(half);
    let negative = (x.bits() & i64::MIN).equals(i64::MIN);
    let signed = (negative & odd).then(-magnitude, magnitude);
    // A negative number to a power that is no integer; -0 and -infinity do have one.
    let undefined = x.lt(0.0) & !integer & a.lt(infinity);
    let result = undefined.then(x.number(f64::NAN), signed);
    let one = x.number(1.0);
    (y.equals(0.0) | x.equals(1.0)).then(one, result)
}

/// `log a` for positive finite `a`.
fn log_double(a: Scalar<'_>) -> Double<'_> {
    let (k, m) = split(a);
    let f = m - 1.0;
    // s = f / (m + 1): the quotient, and what its product with the exact denominator lacks.
    let denominator = two_sum(m, m.number(1.0));
    let q = f / denominator.hi;
    let product = two_product(q, denominator.hi);
    let lack = ((f - product.hi) - product.lo) - q * denominator.lo;
    let s = fast_two_sum(q, lack / denominator.hi);
    let z = two_product(s.hi, s.hi);
    let z = fast_two_sum(z.hi, z.lo + 2.0 * s.hi * s.lo);
    let two_thirds = Double { hi: a.number(0.6666666666666666), lo: a.number(3.700743415417188e-17) };
    let cubic = s.times(z).times(two_thirds);
    let tail = s.hi * z.hi * z.hi * polynomial(z.hi, &T);
    let rest = fast_two_sum(cubic.hi, cubic.lo + tail);
    let log_m = Double { hi: 2.0 * s.hi, lo: 2.0 * s.lo }.plus(rest);
    // k·ln 2, the product with the upper 42 bits of ln 2 being exact.
    let k_log2 = two_sum(k * LN2_42.0, k * LN2_42.1);
    k_log2.plus(log_m)
}

/// The upper 42 bits of `ln 2`, and the rest.
const LN2_42: (f64, f64) = (0.6931471805598903, 5.497923018708371e-14);
