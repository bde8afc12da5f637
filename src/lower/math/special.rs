//! `sigmoid`, `softplus` and `erf`.

use super::exp::exp;
use super::expr::{Scalar, polynomial};
use super::log::log1p;

/// `1 / (1 + e^-x)`, as `e^x / (1 + e^x)` for negative `x`, so that it underflows gradually.
pub(super) fn sigmoid(x: Scalar<'_>) -> Scalar<'_> {
    let e = exp(-x.abs());
    x.lt(0.0).then(e, x.number(1.0)) / (1.0 + e)
}

/// `log(1 + e^x) = max(x, 0) + log1p(e^-|x|)`
pub(super) fn softplus(x: Scalar<'_>) -> Scalar<'_> {
    x.at_least(0.0) + log1p(exp(-x.abs()))
}

/// `erf(x)/x - 1` in powers of `x²`, for `|x| <= 1`. Chebyshev fit made with mpmath; error `1.6e-17`.
const NEAR: [f64; 13] = [
    0.1283791670955126,
    -0.3761263890318375,
    0.11283791670954879,
    -0.026866170645076792,
    0.0052239776248180145,
    -0.000854832698083379,
    0.0001205533111164271,
    -1.4925595266831182e-05,
    1.6461000484121368e-06,
    -1.6350312701054695e-07,
    1.4659775274047436e-08,
    -1.1372848856791674e-09,
    5.957176147748911e-11,
];

/// `erfc(x)·e^(x²)` in powers of `u = (x - c) / (x + c)`, `c = sqrt 6`, for `1 <= x <= 6`. Chebyshev fit
/// made with mpmath; error `1.2e-17`.
const FAR: [f64; 16] = [
    0.2146263390698206,
    -0.37687425386567325,
    0.2516668374219491,
    -0.12145140284028784,
    0.036308131499101656,
    -0.0022689267529558484,
    -0.002857462275080446,
    0.0006855383151211211,
    0.00029497615300049375,
    -0.00010325184263585185,
    -4.6695820298651805e-05,
    1.3408589334752924e-05,
    9.518097007868814e-06,
    -9.911509908259207e-07,
    -1.7815096652114228e-06,
    -1.6459739971386544e-07,
];

/// The error function; `1 - e^(-x²)·(erfc(x)·e^(x²))` from 1 on, where `erfc` is small and its relative
/// error of no weight.
pub(super) fn erf(x: Scalar<'_>) -> Scalar<'_> {
    const C: f64 = 2.449489742783178;
    let a = x.abs();
    let near = a.mul_add(polynomial(a * a, &NEAR), a);
    // From 6 on the result rounds to 1.
    let b = a.at_most(6.0);
    let u = (b - C) / (b + C);
    let far = 1.0 - exp(-(b * b)) * polynomial(u, &FAR);
    a.lt(1.0).then(near, far).copysign(x)
}
