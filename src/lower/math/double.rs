//! Numbers of twice the precision: an unevaluated sum `hi + lo` with `|lo| <= ulp(hi)/2`.
//!
//! The error-free sums and products of Dekker (1971) and Knuth (TAOCP 2, 4.2.2); the product uses a
//! fused multiply-add where the target has one and Veltkamp's splitting where it has none, with the
//! same exact result as long as nothing overflows (operands below 2^996).

use super::expr::Scalar;

/// `hi + lo`
#[derive(Clone, Copy)]
pub(super) struct Double<'c> {
    pub(super) hi: Scalar<'c>,
    pub(super) lo: Scalar<'c>,
}

/// `a + b` exactly. Knuth, theorem 4.2.2.B.
pub(super) fn two_sum<'c>(a: Scalar<'c>, b: Scalar<'c>) -> Double<'c> {
    let hi = a + b;
    let of_b = hi - a;
    let lo = (a - (hi - of_b)) + (b - of_b);
    Double { hi, lo }
}

/// `a + b` exactly, if `|a| >= |b|` or `a` is 0. Dekker (1971), 4.14.
pub(super) fn fast_two_sum<'c>(a: Scalar<'c>, b: Scalar<'c>) -> Double<'c> {
    let hi = a + b;
    Double { hi, lo: b - (hi - a) }
}

/// `a·b` exactly. Dekker (1971), 5.12, where the target does not fuse.
pub(super) fn two_product<'c>(a: Scalar<'c>, b: Scalar<'c>) -> Double<'c> {
    let hi = a * b;
    if a.code().target().fma {
        return Double { hi, lo: a.fma(b, -hi) };
    }
    let (ah, al) = split(a);
    let (bh, bl) = split(b);
    Double { hi, lo: ((ah * bh - hi) + ah * bl + al * bh) + al * bl }
}

/// The upper 26 bits and the rest. Veltkamp's splitting; Dekker (1971), 5.6.
fn split(a: Scalar<'_>) -> (Scalar<'_>, Scalar<'_>) {
    let scaled = a * 134_217_729.0; // 2^27 + 1
    let upper = scaled - (scaled - a);
    (upper, a - upper)
}

impl<'c> Double<'c> {
    /// `self · other`, relative error about 2^-102.
    pub(super) fn times(self, other: Double<'c>) -> Double<'c> {
        let product = two_product(self.hi, other.hi);
        let cross = self.hi.mul_add(other.lo, self.lo * other.hi);
        fast_two_sum(product.hi, product.lo + cross)
    }

    /// `self + other`, relative error about 2^-102 if the signs agree.
    pub(super) fn plus(self, other: Double<'c>) -> Double<'c> {
        let sum = two_sum(self.hi, other.hi);
        fast_two_sum(sum.hi, sum.lo + (self.lo + other.lo))
    }
}
