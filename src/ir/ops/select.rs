//! Comparison, logic and choice.
//!
//! Derivatives at the edges are those of the branch that the value was taken from.

use super::ANY;
use crate::ir::func::{Attr, ValueId};
use crate::ir::infer::{no_attr, operand_count, same_type};
use crate::ir::op::{Derivative, Domain, Eval, Lowering, Op, OpDef, ScalarOp, ShapeError, Signature};
use crate::ir::types::DType;

const KINK_AT_0: Domain = Domain { lo: -2.0, hi: 2.0, singular: "0" };
const KINK_WHERE_EQUAL: Domain = Domain { lo: -2.0, hi: 2.0, singular: "equal operands" };
const STEPS: Domain = Domain { lo: -2.0, hi: 2.0, singular: "integers" };
const TRUTH: Domain = Domain { lo: 0.0, hi: 1.0, singular: "" };

const fn truth(x: bool) -> f64 {
    if x { 1.0 } else { 0.0 }
}

const fn row(
    name: &'static str,
    doc: &'static str,
    signature: Signature,
    eval: Eval,
    scalar: ScalarOp,
    domain: &'static [Domain],
) -> OpDef {
    OpDef {
        name,
        doc,
        source: "elementary",
        signature,
        eval,
        derivative: Derivative::Zero,
        lowering: Lowering::Scalar(scalar),
        domain,
    }
}

/// `x < y`
pub const LT: OpDef = row(
    "lt",
    "`x < y`; false if either is NaN.",
    Signature::Compare,
    Eval::Binary(|x, y| truth(x < y)),
    ScalarOp::Lt,
    &[KINK_WHERE_EQUAL],
);

/// `x <= y`
pub const LE: OpDef = row(
    "le",
    "`x <= y`; false if either is NaN.",
    Signature::Compare,
    Eval::Binary(|x, y| truth(x <= y)),
    ScalarOp::Le,
    &[KINK_WHERE_EQUAL],
);

/// `x == y`
pub const EQ: OpDef = row(
    "eq",
    "`x == y`; false if either is NaN.",
    Signature::Compare,
    Eval::Binary(|x, y| truth(x == y)),
    ScalarOp::Eq,
    &[KINK_WHERE_EQUAL],
);

/// `x and y`
pub const AND: OpDef = row(
    "and",
    "Both.",
    Signature::Logic(2),
    Eval::Binary(|x, y| truth(x != 0.0 && y != 0.0)),
    ScalarOp::And,
    &[TRUTH],
);

/// `x or y`
pub const OR: OpDef = row(
    "or",
    "Either or both.",
    Signature::Logic(2),
    Eval::Binary(|x, y| truth(x != 0.0 || y != 0.0)),
    ScalarOp::Or,
    &[TRUTH],
);

/// `not x`
pub const NOT: OpDef = row(
    "not",
    "The opposite.",
    Signature::Logic(1),
    Eval::Unary(|x| truth(x == 0.0)),
    ScalarOp::Not,
    &[TRUTH],
);

/// `if c then x else y`
pub const SELECT: OpDef = OpDef {
    name: "select",
    doc: "`if c then x else y`, elementwise; `c` is `bool`, all three have one shape. Linear in `x` and `y` \
          jointly: the branch not taken gets a cotangent of 0. Where that branch has an infinite or NaN \
          partial, `0 * inf` is NaN: give it an operand that is safe there.",
    source: "elementary",
    signature: Signature::Rule(|args, attr| {
        no_attr(attr)?;
        operand_count(args, 3)?;
        if args[0].dtype != DType::Bool {
            return Err(ShapeError::Element(0, "a truth value"));
        }
        if args[0].shape != args[1].shape {
            return Err(ShapeError::Unequal(args[0].shape.clone(), args[1].shape.clone()));
        }
        same_type(&args[1..])?;
        Ok(args[1].clone())
    }),
    eval: Eval::Ternary(|c, x, y| if c != 0.0 { x } else { y }),
    derivative: Derivative::Linear(|b, operand, args, _, ct| {
        let zero = b.zeros_like(ct);
        match operand {
            1 => b.select(args[0], ct, zero),
            2 => b.select(args[0], zero, ct),
            _ => crate::bug!("the condition of `select` has no cotangent"),
        }
    }),
    lowering: Lowering::Scalar(ScalarOp::Select),
    domain: &[TRUTH, ANY],
};

/// Smaller of two.
pub const MIN: OpDef = OpDef {
    name: "min",
    doc: "`if x < y then x else y`. Where they are equal the value and the derivative are those of `y`.",
    source: "elementary",
    signature: Signature::Float(2),
    eval: Eval::Binary(|x, y| if x < y { x } else { y }),
    derivative: Derivative::Elementwise(&[
        |b, x, _| {
            let first = b.must(Op::Lt, &[x[0], x[1]], Attr::None);
            indicator(b, first, x[0], true)
        },
        |b, x, _| {
            let first = b.must(Op::Lt, &[x[0], x[1]], Attr::None);
            indicator(b, first, x[0], false)
        },
    ]),
    lowering: Lowering::Scalar(ScalarOp::Min),
    domain: &[KINK_WHERE_EQUAL],
};

/// Larger of two.
pub const MAX: OpDef = OpDef {
    name: "max",
    doc: "`if x > y then x else y`. Where they are equal the value and the derivative are those of `y`; so \
          `relu(x) = max(x, 0)` has derivative 0 at 0.",
    source: "elementary",
    signature: Signature::Float(2),
    eval: Eval::Binary(|x, y| if x > y { x } else { y }),
    derivative: Derivative::Elementwise(&[
        |b, x, _| {
            let first = b.must(Op::Lt, &[x[1], x[0]], Attr::None);
            indicator(b, first, x[0], true)
        },
        |b, x, _| {
            let first = b.must(Op::Lt, &[x[1], x[0]], Attr::None);
            indicator(b, first, x[0], false)
        },
    ]),
    lowering: Lowering::Scalar(ScalarOp::Max),
    domain: &[KINK_WHERE_EQUAL],
};

/// Absolute value.
pub const ABS: OpDef = OpDef {
    name: "abs",
    doc: "Absolute value; `abs' = sign x`, which is 0 at 0.",
    source: "elementary",
    signature: Signature::Float(1),
    eval: Eval::Unary(f64::abs),
    derivative: Derivative::Elementwise(&[|b, x, _| b.unary(Op::Sign, x[0])]),
    lowering: Lowering::Scalar(ScalarOp::Abs),
    domain: &[KINK_AT_0],
};

/// Sign.
pub const SIGN: OpDef = row(
    "sign",
    "-1, 0 or 1; a zero keeps its sign and NaN stays NaN. Locally constant.",
    Signature::Float(1),
    Eval::Unary(|x| if x == 0.0 || x.is_nan() { x } else { 1f64.copysign(x) }),
    ScalarOp::Sign,
    &[KINK_AT_0],
);

/// Floor.
pub const FLOOR: OpDef = row(
    "floor",
    "Largest integer value not above `x`. Locally constant.",
    Signature::Float(1),
    Eval::Unary(f64::floor),
    ScalarOp::Floor,
    &[STEPS],
);

/// 1 where `condition` is `wanted`, else 0, of the type of `like`.
fn indicator(
    b: &mut crate::ir::builder::Builder,
    condition: ValueId,
    like: ValueId,
    wanted: bool,
) -> ValueId {
    let (zero, one) = (b.splat_like(0.0, like), b.splat_like(1.0, like));
    if wanted { b.select(condition, one, zero) } else { b.select(condition, zero, one) }
}
