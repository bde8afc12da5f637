//! A logarithm and a power that are short: a few sums and products, without branches or quotients.
//!
//! For the size of a step, which is a choice: it need not be right to the last bit, but the same wherever it is
//! computed. `lower::math::quick` makes compiled code of these formulas.

use std::f64::consts::LN_2;

/// Bits of `√½`.
pub(crate) const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;

/// Bits of 1.
pub(crate) const ONE: u64 = 0x3ff0_0000_0000_0000;

/// Added to a number below `2^51` it leaves the nearest integer in the last bits.
pub(crate) const ROUND: f64 = 1.5 * TWO_52;

/// An integer below it, in its last bits, is added to it.
pub(crate) const TWO_52: f64 = 4_503_599_627_370_496.0;

/// The least and the greatest exponent of [`exp2`]; the power of the latter is infinite.
pub(crate) const EXPONENTS: [f64; 2] = [-1022.0, 1024.0];

/// `log₂(1 + f)/f` in powers of `f` for `√½ - 1 <= f <= √2 - 1`: a Chebyshev fit made with mpmath, whose
/// error, times `f`, is below `2.4e-9`.
pub(crate) const LOG: [f64; 10] = [
    1.4426950399991885,
    -0.7213473544789053,
    0.4808985203240642,
    -0.3606965418075051,
    0.28855256143746744,
    -0.23960812190957284,
    0.2048576477862193,
    -0.1913883765667254,
    0.1847603336518138,
    -0.10749789418083205,
];

/// `2^f` in powers of `f` for `|f| <= ½`: the same of `(2^f - 1)/f`, with a relative error below
/// `1.2e-10`.
pub(crate) const EXP: [f64; 8] = [
    1.0,
    LN_2,
    0.24022650922288757,
    0.055504108839096185,
    0.009618056678524637,
    0.001333350238616277,
    0.0001546144469856913,
    1.5297323760701075e-05,
];

/// `log₂ x` for `x ≥ 0`: `-∞` of 0 and of all below the smallest normal number, `∞` of `∞`. The error is
/// below `2.4e-9`.
///
/// With `x = 2^k m`, `m = 1 + f` between `√½` and `√2`, it is `k + log₂(1 + f)`.
#[inline(always)]
pub fn log2(x: f64) -> f64 {
    let bits = x.to_bits().wrapping_add(ONE - SQRT_HALF);
    let k = f64::from_bits(bits >> 52 | TWO_52.to_bits()) - (TWO_52 + 1023.0);
    let f = f64::from_bits((bits & (u64::MAX >> 12)) + SQRT_HALF) - 1.0;
    let (f2, c) = (f * f, LOG);
    let f4 = f2 * f2;
    let low = (c[0] + c[1] * f) + f2 * (c[2] + c[3] * f);
    let middle = (c[4] + c[5] * f) + f2 * (c[6] + c[7] * f);
    let log = k + f * (low + f4 * (middle + f4 * (c[8] + c[9] * f)));
    let log = if x < f64::MIN_POSITIVE { f64::NEG_INFINITY } else { log };
    if x < f64::INFINITY { log } else { x }
}

/// `2ʸ`: infinite from `2^1023.5` on, never below `2^-1022`. The relative error is below
/// `1.2e-10`.
///
/// With `y = k + f`, `|f| ≤ ½`, it is `2^k 2^f`.
#[inline(always)]
pub fn exp2(y: f64) -> f64 {
    let [least, most] = EXPONENTS;
    let within = if y < least { least } else { y };
    let within = if within > most { most } else { within };
    let rounded = within + ROUND;
    let scale = f64::from_bits(rounded.to_bits().wrapping_add(1023) << 52);
    let f = within - (rounded - ROUND);
    let (f2, c) = (f * f, EXP);
    let low = (c[0] + c[1] * f) + f2 * (c[2] + c[3] * f);
    let high = (c[4] + c[5] * f) + f2 * (c[6] + c[7] * f);
    scale * (low + (f2 * f2) * high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against `libm`, whose errors are below one unit in the last place.
    #[test]
    fn errors_are_below_their_bounds() {
        for at in -2000..2000 {
            let (x, y) = (libm::exp(f64::from(at) * 0.35), f64::from(at) * 0.51);
            assert!((log2(x) - libm::log2(x)).abs() <= 2.4e-9, "{x}");
            assert!((exp2(y) / libm::exp2(y) - 1.0).abs() < 1.2e-10, "{y}");
        }
    }

    #[test]
    fn limits_are_kept() {
        assert_eq!((log2(1.0), log2(8.0), log2(0.125)), (0.0, 3.0, -3.0));
        assert_eq!((log2(0.0), log2(f64::INFINITY)), (f64::NEG_INFINITY, f64::INFINITY));
        assert_eq!((log2(f64::MIN_POSITIVE), log2(5e-324)), (-1022.0, f64::NEG_INFINITY));
        assert_eq!((exp2(0.0), exp2(10.0), exp2(-3.0)), (1.0, 1024.0, 0.125));
        assert_eq!(
            (exp2(f64::NEG_INFINITY), exp2(f64::INFINITY), exp2(5000.0)),
            (f64::MIN_POSITIVE, f64::INFINITY, f64::INFINITY)
        );
        assert!(log2(f64::NAN).is_nan() && exp2(f64::NAN).is_nan());
    }
}
