//! The logarithm of the gamma function and its derivatives, for positive arguments.
//!
//! Host values: below an `x` of `FAR` by the recurrences `Γ(x + 1) = x Γ(x)`, from there on by the
//! asymptotic series, whose first term left out is below a unit in the last place there.

use crate::ir::func::Attr;
use crate::ir::infer::{operand_count, wrong_attr};
use crate::ir::op::{Derivative, Domain, Eval, Lowering, Op, OpDef, ScalarOp, ShapeError, Signature};
use crate::ir::tensor::Tensor;

const SAMPLED: Domain = Domain { lo: 0.3, hi: 6.0, singular: "0 and below" };

/// Where the asymptotic series take over.
const FAR: f64 = 20.0;

/// `B_2j` for `j = 1, 2, ..`: Abramowitz and Stegun, table 23.2.
const BERNOULLI: [f64; 10] = [
    1.0 / 6.0,
    -1.0 / 30.0,
    1.0 / 42.0,
    -1.0 / 30.0,
    5.0 / 66.0,
    -691.0 / 2730.0,
    7.0 / 6.0,
    -3617.0 / 510.0,
    43867.0 / 798.0,
    -174611.0 / 330.0,
];

/// `log Γ(x)`
pub const LGAMMA: OpDef = OpDef {
    name: "lgamma",
    doc: "`log Γ(x)` for `x > 0`; infinite at 0, NaN below. `lgamma' = digamma`.",
    source: "Abramowitz and Stegun, 6.1",
    signature: Signature::Float(1),
    eval: Eval::Unary(libm_lgamma),
    derivative: Derivative::Elementwise(&[|b, x, _| b.unary(Op::Digamma, x[0])]),
    lowering: Lowering::Scalar(ScalarOp::Lgamma),
    domain: &[SAMPLED],
};

/// `ψ(x)`
pub const DIGAMMA: OpDef = OpDef {
    name: "digamma",
    doc: "`ψ(x) = Γ'(x)/Γ(x)` for `x > 0`; -infinite at 0, NaN below. Its derivative is `polygamma` of order 1.",
    source: "Abramowitz and Stegun, 6.3",
    signature: Signature::Float(1),
    eval: Eval::Unary(digamma),
    derivative: Derivative::Elementwise(&[|b, x, _| b.must(Op::Polygamma, &[x[0]], Attr::Index(1))]),
    lowering: Lowering::Scalar(ScalarOp::Digamma),
    domain: &[SAMPLED],
};

/// `ψ⁽ⁿ⁾(x)`
pub const POLYGAMMA: OpDef = OpDef {
    name: "polygamma",
    doc: "Derivative number `n` of `digamma` for `x > 0`, `n >= 1` the attribute `Index`; infinite at 0, NaN \
          below. The partial is that of order `n + 1`.",
    source: "Abramowitz and Stegun, 6.4",
    signature: Signature::Rule(|args, attr| {
        operand_count(args, 1)?;
        match attr {
            Attr::Index(1..) if args[0].dtype.is_float() => Ok(args[0].clone()),
            Attr::Index(1..) => Err(ShapeError::Element(0, "a float")),
            other => Err(wrong_attr("an order of at least 1", other)),
        }
    }),
    eval: Eval::Tensor(|args, attr, ty| {
        let Attr::Index(order) = attr else { crate::bug!("polygamma with {attr:?}") };
        Tensor::new(ty.clone(), args[0].data.iter().map(|x| polygamma(*order, *x)).collect())
    }),
    derivative: Derivative::Elementwise(&[|b, x, y| {
        let Attr::Index(order) = b.node(y).attr else { crate::bug!("polygamma without an order") };
        b.must(Op::Polygamma, &[x[0]], Attr::Index(order + 1))
    }]),
    lowering: Lowering::Scalar(ScalarOp::Polygamma),
    domain: &[SAMPLED],
};

fn libm_lgamma(x: f64) -> f64 {
    if x < 0.0 { f64::NAN } else { libm::lgamma(x) }
}

/// `log a - 1/(2a) - Σ B_2j/(2j a^2j) - Σ 1/(x + k)` with `a = x + n` (6.3.6 and 6.3.18).
fn digamma(x: f64) -> f64 {
    if x.is_nan() || x < 0.0 {
        return f64::NAN;
    }
    let (mut a, mut below) = (x, 0.0);
    while a < FAR {
        below += 1.0 / a;
        a += 1.0;
    }
    let mut tail = 0.5 / a;
    let square = 1.0 / (a * a);
    let mut power = square;
    for (j, bernoulli) in BERNOULLI.iter().enumerate() {
        tail += bernoulli / (2.0 * (j + 1) as f64) * power;
        power *= square;
    }
    a.ln() - tail - below
}

/// `(-1)^(n+1) n! Σ_k (x + k)^-(n+1)`, the far end of the sum by Euler and Maclaurin (6.4.10 and
/// 23.2.9).
fn polygamma(order: u32, x: f64) -> f64 {
    if x.is_nan() || x < 0.0 {
        return f64::NAN;
    }
    let s = f64::from(order) + 1.0;
    let (mut a, mut sum) = (x, 0.0);
    while a < FAR + s {
        sum += a.powf(-s);
        a += 1.0;
    }
    sum += a.powf(1.0 - s) / (s - 1.0) + 0.5 * a.powf(-s);
    // B_2j/(2j)! s (s+1) … (s+2j-2) a^-(s+2j-1)
    let mut factor = s * a.powf(-s - 1.0) / 2.0;
    for (j, bernoulli) in BERNOULLI.iter().enumerate() {
        sum += bernoulli * factor;
        let n = 2.0 * (j + 1) as f64;
        factor *= (s + n - 1.0) * (s + n) / (a * a * (n + 1.0) * (n + 2.0));
    }
    let factorial: f64 = (1..=order).map(f64::from).product();
    if order % 2 == 1 { factorial * sum } else { -factorial * sum }
}
