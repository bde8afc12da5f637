//! An exact coefficient of a method: a rational number, with the nearest `f64` beside it.
//!
//! Both are made at compile time, so that a table reads as it is printed in its paper and costs
//! nothing when it is used.

use std::fmt;

/// A rational number `num / den` and the `f64` nearest to it.
#[derive(Clone, Copy, PartialEq)]
pub struct Coeff {
    num: i128,
    den: i128,
    value: f64,
    rest: f64,
}

impl Coeff {
    /// Zero.
    pub const ZERO: Coeff = q(0, 1);

    /// Numerator; carries the sign.
    pub const fn num(self) -> i128 {
        self.num
    }

    /// Denominator, positive.
    pub const fn den(self) -> i128 {
        self.den
    }

    /// The nearest `f64` (ties to even).
    pub const fn value(self) -> f64 {
        self.value
    }

    /// What `value` leaves out, itself rounded: together they have twice the digits.
    pub const fn rest(self) -> f64 {
        self.rest
    }

    /// Whether the number is exactly zero.
    pub const fn is_zero(self) -> bool {
        self.num == 0
    }

    /// Whether both are the same rational number.
    pub const fn same(self, other: Coeff) -> bool {
        self.num == other.num && self.den == other.den
    }
}

impl fmt::Debug for Coeff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.num, self.den)
    }
}

/// The number `num / den`, in lowest terms. `den` must be positive, and both below 2^71 in size.
pub const fn q(num: i128, den: i128) -> Coeff {
    assert!(den > 0, "denominators are positive");
    let gcd = gcd(num.unsigned_abs(), den.unsigned_abs()) as i128;
    let (num, den) = (num / gcd, den / gcd);
    let size = nearest(num.unsigned_abs(), den.unsigned_abs());
    let rest = left_out(num.unsigned_abs() as i128, den, size);
    if num < 0 {
        Coeff { num, den, value: -size, rest: -rest }
    } else {
        Coeff { num, den, value: size, rest }
    }
}

/// `num / den - value` for the `value` nearest to the quotient: with `value = m 2^e` it is
/// `(num 2^-e - m den) 2^e / den`, whose numerator is exact. Zero for a value so large that it is
/// whole.
const fn left_out(num: i128, den: i128, value: f64) -> f64 {
    let (bits, one) = (value.to_bits(), 1_u64 << 52);
    let e = (bits >> 52) as i64 - 1075;
    if value == 0.0 || e >= 0 || e < -200 {
        return 0.0;
    }
    let m = (bits & (one - 1) | one) as i128;
    let numerator = (num << -e) - m * den;
    // A power of two, so the product is exact.
    numerator as f64 / den as f64 * f64::from_bits(((1023 + e) as u64) << 52)
}

/// The decimal number `text`, exactly: an optional minus, digits, a point, digits.
pub const fn dec(text: &str) -> Coeff {
    let bytes = text.as_bytes();
    let (mut num, mut den, mut negative, mut after_point) = (0_i128, 1_i128, false, false);
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'-' if i == 0 => negative = true,
            b'.' if !after_point => after_point = true,
            digit @ b'0'..=b'9' => {
                num = num * 10 + (digit - b'0') as i128;
                if after_point {
                    den *= 10;
                }
            }
            _ => panic!("a decimal number is digits with one point"),
        }
        i += 1;
    }
    q(if negative { -num } else { num }, den)
}

const fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// `num / den` rounded to the nearest `f64`. The quotient is taken to at least 57 bits with a
/// sticky last bit, so that the one rounding of `as f64` sees on which side of a tie it lies.
const fn nearest(num: u128, den: u128) -> f64 {
    assert!(den < 1 << 71, "numerator and denominator are below 2^71");
    if num == 0 {
        return 0.0;
    }
    let shift = num.leading_zeros();
    let (quotient, rest) = ((num << shift) / den, (num << shift) % den);
    let sticky = quotient | (rest != 0) as u128;
    // A power of two, so the product is exact.
    sticky as f64 * f64::from_bits((1023 - shift as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_the_nearest_doubles() {
        assert_eq!(q(1, 3).value(), 1.0 / 3.0);
        assert_eq!(q(-2187, 6784).value(), -2187.0 / 6784.0);
        assert_eq!(dec("0.1").value(), 0.1);
        assert_eq!(dec("-12.411077166933676984").value(), -12.411_077_166_933_676);
        assert_eq!(dec("0.9800255409045096857").value(), 0.980_025_540_904_509_7);
    }

    /// 1/3 is `0x1.5555555555555p-2` and a third of a unit in its last place, which is 2^-54.
    #[test]
    fn what_values_leave_out_is_known() {
        assert_eq!(q(1, 3).rest(), 2.0_f64.powi(-54) / 3.0);
        assert_eq!(q(-1, 3).rest(), -(2.0_f64.powi(-54)) / 3.0);
        assert_eq!((q(3, 8).rest(), q(0, 1).rest()), (0.0, 0.0));
    }

    #[test]
    fn fractions_are_in_lowest_terms() {
        assert_eq!(format!("{:?}", q(-6, 8)), "-3/4");
        assert_eq!(format!("{:?}", dec("2.50")), "5/2");
        assert!(q(0, 7).is_zero());
    }
}
