//! `tanh`, `sinh` and `cosh` from `expm1` and `exp`.

use super::exp::{exp_scaled, expm1};
use super::expr::Scalar;

/// `tanh x = t / (t + 2)` with `t = e^(2|x|) - 1`, which is accurate near 0.
pub(super) fn tanh(x: Scalar<'_>) -> Scalar<'_> {
    // From 20 on the result rounds to 1.
    let t = expm1(2.0 * x.abs().at_most(20.0));
    (t / (t + 2.0)).copysign(x)
}

/// `sinh x = (t + t / (t + 1)) / 2` with `t = e^|x| - 1`, and `E - 1/(4E)` with `E = e^|x| / 2` from
/// 1 on, which does not overflow early.
pub(super) fn sinh(x: Scalar<'_>) -> Scalar<'_> {
    let a = x.abs();
    let t = expm1(a.at_most(1.0));
    let small = 0.5 * (t + t / (t + 1.0));
    let e = exp_scaled(a, -1.0);
    a.lt(1.0).then(small, e - 0.25 / e).copysign(x)
}

/// `cosh x = E + 1/(4E)` with `E = e^|x| / 2`.
pub(super) fn cosh(x: Scalar<'_>) -> Scalar<'_> {
    let e = exp_scaled(x.abs(), -1.0);
    e + 0.25 / e
}
