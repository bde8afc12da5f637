//! Arithmetic.
//!
//! `add`, `sub`, `mul` and `neg` also work on `i64`, where they wrap and carry no derivative.

use super::{ANY, POSITIVE};
use crate::ir::func::Attr;
use crate::ir::infer::{no_attr, operand_count, same_type, wrong_attr};
use crate::ir::op::{Derivative, Domain, Eval, Lowering, Op, OpDef, ScalarOp, ShapeError, Signature};
use crate::ir::tensor::Tensor;
use crate::ir::types::{DType, Type};

/// `x + y`
pub const ADD: OpDef = OpDef {
    name: "add",
    doc: "`x + y`, elementwise.",
    source: "elementary",
    signature: Signature::Rule(|args, attr| numbers(args, attr, 2)),
    eval: Eval::Binary(|x, y| x + y),
    derivative: Derivative::Linear(|_, _, _, _, ct| ct),
    lowering: Lowering::Scalar(ScalarOp::Add),
    domain: &[ANY],
};

/// `x - y`
pub const SUB: OpDef = OpDef {
    name: "sub",
    doc: "`x - y`, elementwise.",
    source: "elementary",
    signature: Signature::Rule(|args, attr| numbers(args, attr, 2)),
    eval: Eval::Binary(|x, y| x - y),
    derivative: Derivative::Linear(|b, operand, _, _, ct| if operand == 0 { ct } else { b.neg(ct) }),
    lowering: Lowering::Scalar(ScalarOp::Sub),
    domain: &[ANY],
};

/// `x * y`
pub const MUL: OpDef = OpDef {
    name: "mul",
    doc: "`x * y`, elementwise.",
    source: "elementary",
    signature: Signature::Rule(|args, attr| numbers(args, attr, 2)),
    eval: Eval::Binary(|x, y| x * y),
    derivative: Derivative::Bilinear(|b, operand, args, _, ct| b.mul(ct, args[1 - operand])),
    lowering: Lowering::Scalar(ScalarOp::Mul),
    domain: &[ANY],
};

/// `x / y`
pub const DIV: OpDef = OpDef {
    name: "div",
    doc: "`x / y`, elementwise. With `q = x/y` the partials are `1/y` and `-q/y`.",
    source: "elementary",
    signature: Signature::Float(2),
    eval: Eval::Binary(|x, y| x / y),
    // Both partials multiply by the one reciprocal 1/y, itself a quotient: in Taylor mode the
    // nodes q, 1/y and their negatives are closed under differentiation.
    derivative: Derivative::Elementwise(&[
        |b, x, _| {
            let one = b.splat_like(1.0, x[1]);
            b.div(one, x[1])
        },
        |b, x, q| {
            let one = b.splat_like(1.0, x[1]);
            let reciprocal = b.div(one, x[1]);
            let minus = b.neg(q);
            b.mul(minus, reciprocal)
        },
    ]),
    lowering: Lowering::Scalar(ScalarOp::Div),
    domain: &[ANY, POSITIVE],
};

/// `-x`
pub const NEG: OpDef = OpDef {
    name: "neg",
    doc: "`-x`, elementwise.",
    source: "elementary",
    signature: Signature::Rule(|args, attr| numbers(args, attr, 1)),
    eval: Eval::Unary(|x| -x),
    derivative: Derivative::Linear(|b, _, _, _, ct| b.neg(ct)),
    lowering: Lowering::Scalar(ScalarOp::Neg),
    domain: &[ANY],
};

/// `x^n`
pub const POW_INT: OpDef = OpDef {
    name: "pow_int",
    doc: "`x^n` for a fixed integer `n`, the attribute `Index` holding the bits of an `i32`; `x^0 = 1` for \
          every `x`, NaN included. Computed by `power`: repeated squaring, and one reciprocal at the end if \
          `n < 0`. The partial is `n x^(n-1)`, exact at `x = 0`.",
    source: "Knuth, The Art of Computer Programming 2, 4.6.3",
    signature: Signature::Rule(|args, attr| {
        operand_count(args, 1)?;
        match attr {
            Attr::Index(_) if args[0].dtype.is_float() => Ok(args[0].clone()),
            Attr::Index(_) => Err(ShapeError::Element(0, "a float")),
            other => Err(wrong_attr("an integer exponent", other)),
        }
    }),
    eval: Eval::Tensor(|args, attr, ty| {
        let n = exponent(attr);
        Tensor::new(ty.clone(), args[0].data.iter().map(|x| power(*x, n)).collect())
    }),
    derivative: Derivative::Elementwise(&[|b, x, y| {
        let n = exponent(&b.node(y).attr);
        match n.checked_sub(1) {
            Some(less) => {
                let power = b.pow_int(x[0], less);
                b.scale(f64::from(n), power)
            }
            // x^(n-1) is out of the exponent's range: n x^n / x.
            None => {
                let slope = b.div(y, x[0]);
                b.scale(f64::from(n), slope)
            }
        }
    }]),
    lowering: Lowering::Scalar(ScalarOp::PowInt),
    domain: &[Domain { lo: 0.4, hi: 2.0, singular: "0 if n < 0" }],
};

/// `x^p`
pub const POW: OpDef = OpDef {
    name: "pow",
    doc: "`x^p` for real `x` and `p`, elementwise. Partials: `p x^(p-1)` and `x^p log x`, where the logarithm \
          of 0 counts as 0, so that `d(0^p)/dp = 0` for `p > 0`. Singular at `x = 0`; for `x < 0` the \
          derivative by `p` does not exist and is NaN. An exponent that is an integer constant makes `pow_int`.",
    source: "elementary",
    signature: Signature::Float(2),
    eval: Eval::Binary(f64::powf),
    derivative: Derivative::Elementwise(&[
        |b, x, _| {
            let one = b.splat_like(1.0, x[1]);
            let less = b.sub(x[1], one);
            let power = b.must(Op::Pow, &[x[0], less], Attr::None);
            b.mul(x[1], power)
        },
        |b, x, y| {
            let (zero, one) = (b.splat_like(0.0, x[0]), b.splat_like(1.0, x[0]));
            let at_zero = b.must(Op::Eq, &[x[0], zero], Attr::None);
            let safe = b.select(at_zero, one, x[0]);
            let log = b.unary(Op::Log, safe);
            b.mul(y, log)
        },
    ]),
    lowering: Lowering::Scalar(ScalarOp::Pow),
    domain: &[POSITIVE, ANY],
};

/// The exponent of a `pow_int`.
pub fn exponent(attr: &Attr) -> i32 {
    match attr {
        Attr::Index(bits) => *bits as i32,
        other => crate::bug!("pow_int with attribute {other:?}"),
    }
}

/// `x^n` by repeated squaring from the lowest bit of `|n|`, then `1/…` if `n < 0`. The lowered
/// code makes the same products in the same order.
pub fn power(x: f64, n: i32) -> f64 {
    let (mut square, mut rest) = (x, n.unsigned_abs());
    let mut result: Option<f64> = None;
    while rest > 0 {
        if rest & 1 == 1 {
            result = Some(result.map_or(square, |product| product * square));
        }
        rest >>= 1;
        if rest > 0 {
            square *= square;
        }
    }
    let result = result.unwrap_or(1.0);
    if n < 0 { 1.0 / result } else { result }
}

fn numbers(args: &[&Type], attr: &Attr, n: usize) -> Result<Type, ShapeError> {
    no_attr(attr)?;
    operand_count(args, n)?;
    for (position, ty) in args.iter().enumerate() {
        if ty.dtype == DType::Bool {
            return Err(ShapeError::Element(position, "a number"));
        }
    }
    same_type(args)?;
    Ok(args[0].clone())
}
