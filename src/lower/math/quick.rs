//! The logarithm and the power that step sizes are made of: see [`base::quick`](crate::base::quick).

use super::expr::{Scalar, polynomial};
use crate::base::quick::{EXP, EXPONENTS, LOG, ONE, ROUND, SQRT_HALF, TWO_52};

/// See [`log2`](crate::base::quick::log2).
pub(super) fn log2(x: Scalar<'_>) -> Scalar<'_> {
    let bits = x.bits() + (ONE - SQRT_HALF) as i64;
    let k = (bits.shr(52_i64) | TWO_52.to_bits() as i64).float() - (TWO_52 + 1023.0);
    let f = ((bits & (u64::MAX >> 12) as i64) + SQRT_HALF as i64).float() - 1.0;
    let f2 = f * f;
    let f4 = f2 * f2;
    let [low, middle, top] = [&LOG[..4], &LOG[4..8], &LOG[8..]].map(|c| fours(f, f2, c));
    let log = f4.mul_add(f4.mul_add(top, middle), low).mul_add(f, k);
    let log = x.lt(f64::MIN_POSITIVE).then(x.number(f64::NEG_INFINITY), log);
    x.lt(f64::INFINITY).then(log, x)
}

/// See [`exp2`](crate::base::quick::exp2).
pub(super) fn exp2(y: Scalar<'_>) -> Scalar<'_> {
    let [least, most] = EXPONENTS;
    let within = y.at_least(least).at_most(most);
    let rounded = within + ROUND;
    let scale = (rounded.bits() + 1023_i64).shl(52_i64).float();
    let f = within - (rounded - ROUND);
    let f2 = f * f;
    let [low, high] = [&EXP[..4], &EXP[4..]].map(|c| fours(f, f2, c));
    scale * (f2 * f2).mul_add(high, low)
}

/// A polynomial of two or four coefficients, pairs of which are independent of each other.
fn fours<'c>(f: Scalar<'c>, f2: Scalar<'c>, c: &[f64]) -> Scalar<'c> {
    let (low, high) = c.split_at(2);
    match high {
        [] => polynomial(f, low),
        high => f2.mul_add(polynomial(f, high), polynomial(f, low)),
    }
}
