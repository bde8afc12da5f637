//! `sin`, `cos` and `tan`, right for every argument.
//!
//! `|x|` is reduced by Payne and Hanek's method ("Radian reduction for trigonometric functions",
//! SIGNUM Newsletter 18, 1983): the 53-bit significand times the 192 bits of `2/π` that matter for
//! its exponent, in integer arithmetic. It leaves the quadrant and a remainder of twice the working
//! precision, with relative error below 2^-62 since no double is closer than 2^-62 to a multiple
//! of `π/2`. One path serves all sizes, because loop IR has no branches. The kernels on `|y| <= π/4` are
//! arranged as in fdlibm (Sun Microsystems, 1993, `k_sin.c`, `k_cos.c`); their coefficients are
//! Chebyshev fits made with mpmath.

use super::double::{Double, fast_two_sum};
use super::expr::{Scalar, polynomial};
use crate::lower::loops::{DType, Index};

/// `π/2` to twice the precision.
pub(super) const HALF_PI: (f64, f64) = (std::f64::consts::FRAC_PI_2, 6.123233995736766e-17);

/// `(sin y - y) / y³` in powers of `y²`; error `3.2e-17`.
const SIN: [f64; 6] = [
    -0.16666666666666666,
    0.008333333333330948,
    -0.00019841269836756774,
    2.7557316101617874e-06,
    -2.505113165023518e-08,
    1.5918115263265974e-10,
];

/// `(cos y - 1 + y²/2) / y⁴` in powers of `y²`; error `2.4e-18`.
const COS: [f64; 6] = [
    0.041666666666666664,
    -0.0013888888888887398,
    2.480158729876456e-05,
    -2.7557317271145144e-07,
    2.087614614655861e-09,
    -1.1382623647474604e-11,
];

/// 64 zero bits, then the binary expansion of `2/π`. Computed with mpmath.
const TWO_OVER_PI: [u64; 20] = [
    0x0000000000000000,
    0xa2f9836e4e441529,
    0xfc2757d1f534ddc0,
    0xdb6295993c439041,
    0xfe5163abdebbc561,
    0xb7246e3a424dd2e0,
    0x06492eea09d1921c,
    0xfe1deb1cb129a73e,
    0xe88235f52ebb4484,
    0xe99c7026b45f7e41,
    0x3991d639835339f4,
    0x9c845f8bbdf9283b,
    0x1ff897ffde05980f,
    0xef2f118b5a0a6d1f,
    0x6d367ecf27cb09b7,
    0x4f463f669e5fea2d,
    0x7527bac7ebe5f17b,
    0x3d0739f78a5292ea,
    0x6bfb5fb11f8d5d08,
    0x56033046fc7b6bab,
];

/// `sin x`.
pub(super) fn sin(x: Scalar<'_>) -> Scalar<'_> {
    let (quadrant, y) = reduce(x.abs());
    let value = odd(quadrant).then(cos_kernel(y), sin_kernel(y));
    let sign = x.bits() ^ sign_of(quadrant);
    finite(x, with_sign(value, sign))
}

/// `cos x`.
pub(super) fn cos(x: Scalar<'_>) -> Scalar<'_> {
    let (quadrant, y) = reduce(x.abs());
    let value = odd(quadrant).then(sin_kernel(y), cos_kernel(y));
    finite(x, with_sign(value, sign_of(quadrant + 1_i64)))
}

/// `tan x`.
pub(super) fn tan(x: Scalar<'_>) -> Scalar<'_> {
    let (quadrant, y) = reduce(x.abs());
    let (s, c) = (sin_kernel(y), cos_kernel(y));
    let odd = odd(quadrant);
    let value = odd.then(-c, s) / odd.then(s, c);
    finite(x, with_sign(value, x.bits()))
}

/// NaN for an infinite argument or NaN.
fn finite<'c>(x: Scalar<'c>, value: Scalar<'c>) -> Scalar<'c> {
    x.abs().lt(f64::INFINITY).then(value, x.number(f64::NAN))
}

fn odd(quadrant: Scalar<'_>) -> Scalar<'_> {
    (quadrant & 1_i64).equals(1_i64)
}

/// Bit 1 of the quadrant, where the sign bit of a double is.
fn sign_of(quadrant: Scalar<'_>) -> Scalar<'_> {
    quadrant.shr(1_i64).shl(63_i64)
}

/// `value`, negated where the top bit of `sign` is set.
fn with_sign<'c>(value: Scalar<'c>, sign: Scalar<'c>) -> Scalar<'c> {
    (value.bits() ^ (sign & i64::MIN)).float()
}

/// The quadrant `n` (an integer whose last two bits count) and `y` with `a = n·π/2 + y` and
/// `|y| <= π/4`, for finite `a >= 0`.
fn reduce(a: Scalar<'_>) -> (Scalar<'_>, Double<'_>) {
    let small = a.lt(std::f64::consts::FRAC_PI_4);
    // a = significand·2^shift. The product with 2/π is wanted modulo 4, so the first bit of 2/π
    // that matters is the one that meets the significand's last bit at weight 2: bit
    // `shift + 62` of the table. Where `a` is small this is clamped and not used.
    let bits = a.bits();
    let exponent = small.then(a.integer(1023), bits.shr(52_i64));
    let significand = (bits & 0x000f_ffff_ffff_ffff_i64) | 0x0010_0000_0000_0000_i64;
    let first_bit = exponent - (1075 - 62_i64);
    let (word, offset) = (first_bit.shr(6_i64), first_bit & 63_i64);
    let words: Vec<Scalar<'_>> = (0..4).map(|i| table_word(word, i)).collect();
    let rest = a.integer(63) - offset;
    let window = |i: usize| words[i].shl(offset) | words[i + 1].shr(1_i64).shr(rest);
    // The product modulo 4, in units of 2^-62 (top) and 2^-126 (middle).
    let carried = significand.mulhi(window(2));
    let middle = significand * window(1) + carried;
    let carry = (middle ^ i64::MIN).lt(carried ^ i64::MIN).to_i64();
    let top = significand * window(0) + significand.mulhi(window(1)) + carry;
    // Rounded to the nearest quadrant, the rest is a signed fraction in units of 2^-64 and 2^-128.
    let fraction = top.shl(2_i64) | middle.shr(62_i64);
    let quadrant = top.shr(62_i64) + fraction.shr(63_i64);
    let hi = fraction.to_f64();
    let lost = (fraction - hi.to_i64()).to_f64();
    let below = middle.shl(2_i64).shr(11_i64).to_f64() * 2.0_f64.powi(-53);
    let unit = 2.0_f64.powi(-64);
    let half_pi = Double { hi: a.number(HALF_PI.0 * unit), lo: a.number(HALF_PI.1 * unit) };
    let y = fast_two_sum(hi, lost + below).times(half_pi);
    let zero = a.number(0.0);
    let y = Double { hi: small.then(a, y.hi), lo: small.then(zero, y.lo) };
    (small.then(a.integer(0), quadrant), y)
}

fn table_word(word: Scalar<'_>, offset: i64) -> Scalar<'_> {
    let code = word.code();
    let table = code.table("two_over_pi", DType::F64, &TWO_OVER_PI);
    let index = Index { offset, dynamic: Some(word.id()), ..Index::default() };
    Scalar::new(code, code.load(table, index)).bits()
}

/// `sin(hi + lo)` for `|hi| <= π/4`.
fn sin_kernel(y: Double<'_>) -> Scalar<'_> {
    let Double { hi, lo } = y;
    let z = hi * hi;
    let cube = z * hi;
    let r = polynomial(z, &SIN[1..]);
    hi - ((z * (0.5 * lo - cube * r) - lo) - cube * SIN[0])
}

/// `cos(hi + lo)` for `|hi| <= π/4`.
fn cos_kernel(y: Double<'_>) -> Scalar<'_> {
    let Double { hi, lo } = y;
    let z = hi * hi;
    let half = 0.5 * z;
    let w = 1.0 - half;
    w + (((1.0 - w) - half) + (z * z * polynomial(z, &COS) - hi * lo))
}
