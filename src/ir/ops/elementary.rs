//! Elementary functions of one variable.
//!
//! Each row gives one partial, in the operand `x` and the result `y`; it serves forward, reverse
//! and Taylor mode alike. Host values come from the platform's mathematics library.

use super::{ANY, POSITIVE};
use crate::base::quick;
use crate::ir::op::{Derivative, Domain, Eval, Lowering, Op, OpDef, Partial, ScalarOp, Signature};
use std::f64::consts::FRAC_2_SQRT_PI;

const INSIDE_UNIT: Domain = Domain { lo: -0.8, hi: 0.8, singular: "-1 and 1" };

const fn row(
    name: &'static str,
    doc: &'static str,
    source: &'static str,
    (eval, scalar): (fn(f64) -> f64, ScalarOp),
    partials: &'static [Partial],
    domain: &'static [Domain],
) -> OpDef {
    OpDef {
        name,
        doc,
        source,
        signature: Signature::Float(1),
        eval: Eval::Unary(eval),
        derivative: Derivative::Elementwise(partials),
        lowering: Lowering::Scalar(scalar),
        domain,
    }
}

/// A function of step sizes: nothing is differentiated through them.
const fn of_steps(
    name: &'static str,
    doc: &'static str,
    (eval, scalar): (fn(f64) -> f64, ScalarOp),
    domain: &'static [Domain],
) -> OpDef {
    let source = "`base::quick`";
    OpDef { derivative: Derivative::Zero, ..row(name, doc, source, (eval, scalar), &[], domain) }
}

/// About `log₂ x`
pub const QUICK_LOG2: OpDef = of_steps(
    "quick_log2",
    "`log₂ x` for `x ≥ 0`, with an error below 2.4e-9, for step sizes. Locally constant.",
    (quick::log2, ScalarOp::QuickLog2),
    &[POSITIVE],
);

/// About `2^x`
pub const QUICK_EXP2: OpDef = of_steps(
    "quick_exp2",
    "`2^x` with a relative error below 1.2e-10, for step sizes. Locally constant.",
    (quick::exp2, ScalarOp::QuickExp2),
    &[ANY],
);

/// `e^x`
pub const EXP: OpDef =
    row("exp", "`e^x`; `exp' = y`.", "elementary", (f64::exp, ScalarOp::Exp), &[|_, _, y| y], &[ANY]);

/// `e^x - 1`
pub const EXPM1: OpDef = row(
    "expm1",
    "`e^x - 1`, accurate near 0; `expm1' = e^x` (not `y + 1`, which loses every digit for `x << 0`).",
    "elementary",
    (f64::exp_m1, ScalarOp::Expm1),
    &[|b, x, _| b.unary(Op::Exp, x[0])],
    &[ANY],
);

/// Natural logarithm.
pub const LOG: OpDef = row(
    "log",
    "Natural logarithm; `log' = 1/x`.",
    "elementary",
    (f64::ln, ScalarOp::Log),
    &[|b, x, _| {
        let one = b.splat_like(1.0, x[0]);
        b.div(one, x[0])
    }],
    &[POSITIVE],
);

/// `log(1 + x)`
pub const LOG1P: OpDef = row(
    "log1p",
    "`log(1 + x)`, accurate near 0; `log1p' = 1/(1 + x)`.",
    "elementary",
    (f64::ln_1p, ScalarOp::Log1p),
    &[|b, x, _| {
        let one = b.splat_like(1.0, x[0]);
        let sum = b.add(one, x[0]);
        b.div(one, sum)
    }],
    &[Domain { lo: -0.7, hi: 2.0, singular: "-1" }],
);

/// Square root.
pub const SQRT: OpDef = row(
    "sqrt",
    "Square root, correctly rounded; `sqrt' = 1/(2y)`, infinite at 0.",
    "elementary",
    (f64::sqrt, ScalarOp::Sqrt),
    &[|b, _, y| {
        let half = b.splat_like(0.5, y);
        b.div(half, y)
    }],
    &[POSITIVE],
);

/// Sine.
pub const SIN: OpDef = row(
    "sin",
    "Sine of radians; `sin' = cos x`.",
    "elementary",
    (f64::sin, ScalarOp::Sin),
    &[|b, x, _| b.unary(Op::Cos, x[0])],
    &[ANY],
);

/// Cosine.
pub const COS: OpDef = row(
    "cos",
    "Cosine of radians; `cos' = -sin x`.",
    "elementary",
    (f64::cos, ScalarOp::Cos),
    &[|b, x, _| {
        let sin = b.unary(Op::Sin, x[0]);
        b.neg(sin)
    }],
    &[ANY],
);

/// Tangent.
pub const TAN: OpDef = row(
    "tan",
    "Tangent of radians; `tan' = 1 + y^2`.",
    "elementary",
    (f64::tan, ScalarOp::Tan),
    &[|b, _, y| {
        let one = b.splat_like(1.0, y);
        let square = b.mul(y, y);
        b.add(one, square)
    }],
    &[Domain { lo: -1.2, hi: 1.2, singular: "odd multiples of pi/2" }],
);

/// Arc sine.
pub const ASIN: OpDef = row(
    "asin",
    "Arc sine in radians; `asin' = 1/sqrt((1 - x)(1 + x))`, infinite at -1 and 1.",
    "elementary",
    (f64::asin, ScalarOp::Asin),
    &[|b, x, _| {
        let root = unit_circle(b, x[0]);
        let one = b.splat_like(1.0, x[0]);
        b.div(one, root)
    }],
    &[INSIDE_UNIT],
);

/// Arc cosine.
pub const ACOS: OpDef = row(
    "acos",
    "Arc cosine in radians; `acos' = -1/sqrt((1 - x)(1 + x))`, infinite at -1 and 1.",
    "elementary",
    (f64::acos, ScalarOp::Acos),
    &[|b, x, _| {
        let root = unit_circle(b, x[0]);
        let minus = b.splat_like(-1.0, x[0]);
        b.div(minus, root)
    }],
    &[INSIDE_UNIT],
);

/// Arc tangent.
pub const ATAN: OpDef = row(
    "atan",
    "Arc tangent in radians; `atan' = 1/(1 + x^2)`.",
    "elementary",
    (f64::atan, ScalarOp::Atan),
    &[|b, x, _| {
        let one = b.splat_like(1.0, x[0]);
        let square = b.mul(x[0], x[0]);
        let sum = b.add(one, square);
        b.div(one, sum)
    }],
    &[ANY],
);

/// Hyperbolic sine.
pub const SINH: OpDef = row(
    "sinh",
    "Hyperbolic sine; `sinh' = cosh x`.",
    "elementary",
    (f64::sinh, ScalarOp::Sinh),
    &[|b, x, _| b.unary(Op::Cosh, x[0])],
    &[ANY],
);

/// Hyperbolic cosine.
pub const COSH: OpDef = row(
    "cosh",
    "Hyperbolic cosine; `cosh' = sinh x`.",
    "elementary",
    (f64::cosh, ScalarOp::Cosh),
    &[|b, x, _| b.unary(Op::Sinh, x[0])],
    &[ANY],
);

/// Hyperbolic tangent.
pub const TANH: OpDef = row(
    "tanh",
    "Hyperbolic tangent; `tanh' = 1 - y^2`.",
    "elementary",
    (f64::tanh, ScalarOp::Tanh),
    &[|b, _, y| {
        let one = b.splat_like(1.0, y);
        let square = b.mul(y, y);
        b.sub(one, square)
    }],
    &[ANY],
);

/// Logistic function.
pub const SIGMOID: OpDef = row(
    "sigmoid",
    "The logistic function `1/(1 + e^-x)`; `sigmoid' = y (1 - y)`.",
    "elementary",
    (logistic, ScalarOp::Sigmoid),
    &[|b, _, y| {
        let one = b.splat_like(1.0, y);
        let rest = b.sub(one, y);
        b.mul(y, rest)
    }],
    &[ANY],
);

/// `log(1 + e^x)`
pub const SOFTPLUS: OpDef = row(
    "softplus",
    "`log(1 + e^x)`, computed without overflow as `max(x, 0) + log1p(e^-|x|)`; `softplus' = sigmoid x`.",
    "Dugas et al., NIPS 13, 2000",
    (|x| x.max(0.0) + (-x.abs()).exp().ln_1p(), ScalarOp::Softplus),
    &[|b, x, _| b.unary(Op::Sigmoid, x[0])],
    &[ANY],
);

/// Error function.
pub const ERF: OpDef = row(
    "erf",
    "`2/sqrt(pi) * integral of e^(-s^2) over s in 0..x`; `erf' = 2/sqrt(pi) e^(-x^2)`.",
    "Abramowitz and Stegun, 7.1.1, 7.1.19",
    (erf, ScalarOp::Erf),
    &[|b, x, _| {
        let square = b.mul(x[0], x[0]);
        let minus = b.neg(square);
        let gauss = b.unary(Op::Exp, minus);
        b.scale(FRAC_2_SQRT_PI, gauss)
    }],
    &[ANY],
);

/// `sqrt((1 - x)(1 + x))`, without the cancellation of `1 - x^2` near the ends.
fn unit_circle(b: &mut crate::ir::builder::Builder, x: crate::ir::func::ValueId) -> crate::ir::func::ValueId {
    let one = b.splat_like(1.0, x);
    let below = b.sub(one, x);
    let above = b.add(one, x);
    let product = b.mul(below, above);
    b.unary(Op::Sqrt, product)
}

/// `1/(1 + e^-x)` without overflow.
fn logistic(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// The error function to a few ulps: below 1.5 by the series of positive terms
/// `erf x = 2/sqrt(pi) e^(-x^2) Σ 2^n x^(2n+1) / (2n+1)!!` (Abramowitz and Stegun, 7.1.6), above
/// by one minus the continued fraction of `erfc` (7.1.14), which is below 0.04 there. The
/// rounding error of `x^2` is recovered and put into the exponential.
fn erf(x: f64) -> f64 {
    let a = x.abs();
    if x.is_nan() || a > 6.0 {
        return if x.is_nan() { x } else { 1f64.copysign(x) };
    }
    let square = a * a;
    let gauss = (-square).exp() * (1.0 - a.mul_add(a, -square));
    let y = if a < 1.5 {
        let (mut term, mut sum, mut n) = (a, a, 0.0);
        while term > sum * 1e-18 {
            n += 1.0;
            term *= 2.0 * square / (2.0 * n + 1.0);
            sum += term;
        }
        FRAC_2_SQRT_PI * gauss * sum
    } else {
        // a + (1/2)/(a + 1/(a + (3/2)/(a + …))), from the inside out; 120 levels leave less
        // than 1e-17 of it at a = 1.5.
        let mut fraction = a;
        for level in (1..=120).rev() {
            fraction = a + 0.5 * f64::from(level) / fraction;
        }
        1.0 - gauss * FRAC_2_SQRT_PI * 0.5 / fraction
    };
    y.copysign(x)
}
