//! Powers for step-size factors: a few sums and products, without branches.
//!
//! The same bits on every machine, and a loop of them over lanes becomes vector code. Relative errors
//! are below `1e-13`, which is far more than a step size needs.

/// `xᵉ` for `x ≥ 0` and `e ≠ 0`. What is too large for `2^1023.5` is infinite, what is below `2^-1022`
/// is zero; of a NaN comes a NaN.
#[inline(always)]
pub fn power(x: f64, exponent: f64) -> f64 {
    exp2(exponent * log2(x))
}

/// `log₂ x` for `x ≥ 0`: `-∞` of 0, `∞` of `∞`.
///
/// With `x = 2^k m`, `m` between `√½` and `√2`, and `s = (m - 1)/(m + 1)`:
/// `log₂ x = k + 2/ln 2 · (s + s³/3 + s⁵/5 + ..)`. Eight terms leave `2/ln 2 · s¹⁷/17 <
/// 1.7e-14`.
#[inline(always)]
pub fn log2(x: f64) -> f64 {
    /// Bits of `√½`.
    const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    /// Keeps exponents positive while they are bits.
    const BIAS: u64 = 1024;
    let is_tiny = x < f64::MIN_POSITIVE;
    let normal = if is_tiny { x * TWO_54 } else { x };
    let bits = normal.to_bits();
    let k = bits.wrapping_add((BIAS << 52).wrapping_sub(SQRT_HALF)) >> 52;
    let m = f64::from_bits(bits.wrapping_sub(k << 52).wrapping_add(BIAS << 52));
    // An integer below 2^52 in the last bits of 2^52 is added to it.
    let k = f64::from_bits(k | TWO_52.to_bits()) - (TWO_52 + BIAS as f64);
    let k = if is_tiny { k - 54.0 } else { k };
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let z2 = z * z;
    let low = (1.0 + z * (1.0 / 3.0)) + z2 * (1.0 / 5.0 + z * (1.0 / 7.0));
    let high = (1.0 / 9.0 + z * (1.0 / 11.0)) + z2 * (1.0 / 13.0 + z * (1.0 / 15.0));
    let sum = low + (z2 * z2) * high;
    let log = k + (2.0 * std::f64::consts::LOG2_E) * (s * sum);
    if x == 0.0 {
        f64::NEG_INFINITY
    } else if x < f64::INFINITY {
        log
    } else {
        x
    }
}

/// `2ʸ`; see [`power`] for its limits.
///
/// With `y = k + f`, `|f| ≤ ½`: `2^k Σ (f ln 2)ⁿ/n!`. Twelve terms leave `0.35¹²/12! < 1e-14`.
#[inline(always)]
pub fn exp2(y: f64) -> f64 {
    /// Added to a number below `2^51` it leaves the nearest integer in the last bits.
    const ROUND: f64 = 1.5 * TWO_52;
    let within = if y < -1022.0 { -1022.0 } else { y };
    let within = if within > 1023.5 { 1023.5 } else { within };
    let rounded = within + ROUND;
    let scale = f64::from_bits(rounded.to_bits().wrapping_add(1023) << 52);
    let f = (within - (rounded - ROUND)) * std::f64::consts::LN_2;
    let f2 = f * f;
    let f4 = f2 * f2;
    let low = (1.0 + f) + f2 * (1.0 / 2.0 + f * (1.0 / 6.0));
    let middle = (1.0 / 24.0 + f * (1.0 / 120.0)) + f2 * (1.0 / 720.0 + f * (1.0 / 5040.0));
    let high = (1.0 / 40_320.0 + f * (1.0 / 362_880.0)) + f2 * (1.0 / 3_628_800.0 + f * (1.0 / 39_916_800.0));
    let value = scale * (low + f4 * (middle + f4 * high));
    if y < -1022.0 {
        0.0
    } else if y > 1023.5 {
        f64::INFINITY
    } else {
        value
    }
}

const TWO_52: f64 = 4_503_599_627_370_496.0;
const TWO_54: f64 = 18_014_398_509_481_984.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// Against `libm`, whose errors are below one unit in the last place. An error of the logarithm
    /// near 1000 is one of the power a thousand times as large.
    #[test]
    fn powers_are_right_to_thirteen_digits() {
        for at in 0..4000 {
            let x = libm::exp(f64::from(at - 2000) * 0.35);
            for exponent in [-1.0, -0.2, -0.17, 0.04, 1.0 / 13.0, -1.0 / 21.0, 0.5] {
                let exact = libm::pow(x, exponent);
                if exact < 1e307 && exact > 1e-307 {
                    let found = power(x, exponent);
                    assert!((found / exact - 1.0).abs() < 2e-13, "{x}^{exponent}: {found} for {exact}");
                }
            }
            assert!((log2(x) - libm::log2(x)).abs() <= 1.7e-14 + 3e-16 * libm::log2(x).abs(), "{x}");
        }
    }

    #[test]
    fn limits_are_kept() {
        assert_eq!((log2(1.0), log2(8.0), log2(0.125)), (0.0, 3.0, -3.0));
        assert_eq!((log2(0.0), log2(f64::INFINITY)), (f64::NEG_INFINITY, f64::INFINITY));
        // The smallest number is 2^-1074.
        assert_eq!(log2(5e-324), -1074.0);
        assert_eq!((exp2(0.0), exp2(10.0), exp2(-3.0)), (1.0, 1024.0, 0.125));
        assert_eq!(
            (exp2(f64::NEG_INFINITY), exp2(f64::INFINITY), exp2(5000.0)),
            (0.0, f64::INFINITY, f64::INFINITY)
        );
        assert_eq!((exp2(-1022.0), exp2(-1022.1)), (f64::MIN_POSITIVE, 0.0));
        assert_eq!((power(0.0, -0.2), power(0.0, 0.2)), (f64::INFINITY, 0.0));
        assert_eq!((power(f64::INFINITY, -0.2), power(f64::INFINITY, 0.2)), (0.0, f64::INFINITY));
        assert!(power(f64::NAN, 0.2).is_nan() && log2(f64::NAN).is_nan() && exp2(f64::NAN).is_nan());
    }
}
