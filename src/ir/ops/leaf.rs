//! Leaves, identities and conversion.

use super::ANY;
use crate::ir::func::Attr;
use crate::ir::infer::{operand_count, wrong_attr};
use crate::ir::op::{Derivative, Eval, Lowering, Op, OpDef, ScalarOp, ShapeError, Signature};
use crate::ir::tensor::Tensor;
use crate::ir::types::{DType, Type};

/// A parameter of the function.
pub const PARAM: OpDef = OpDef {
    name: "param",
    doc: "The parameter of the function with the number in the attribute (`Index`).",
    source: "elementary",
    signature: Signature::Rule(own_type),
    eval: Eval::None,
    derivative: Derivative::Leaf,
    lowering: Lowering::Leaf,
    domain: &[ANY],
};

/// A constant tensor.
pub const CONSTANT: OpDef = OpDef {
    name: "constant",
    doc: "A tensor known at compile time: one value for all elements (`Splat`) or each by itself (`Elements`).",
    source: "elementary",
    signature: Signature::Rule(own_type),
    eval: Eval::Tensor(|_, attr, ty| {
        let data = match attr {
            Attr::Splat(bits) => vec![f64::from_bits(*bits); ty.shape.count()],
            Attr::Elements(bits) => bits.iter().map(|b| f64::from_bits(*b)).collect(),
            other => crate::bug!("constant with attribute {other:?}"),
        };
        Tensor::new(ty.clone(), data)
    }),
    derivative: Derivative::Leaf,
    lowering: Lowering::Leaf,
    domain: &[ANY],
};

/// The numbers `0, 1, …, n - 1`.
pub const IOTA: OpDef = OpDef {
    name: "iota",
    doc: "The integers `0, 1, …, n - 1` as `i64[n]`; the attribute is the shape `[n]`.",
    source: "Iverson, A Programming Language, 1962",
    signature: Signature::Rule(|args, attr| {
        operand_count(args, 0)?;
        match attr {
            Attr::Shape(shape) if shape.rank() == 1 => Ok(Type { dtype: DType::I64, shape: shape.clone() }),
            other => Err(wrong_attr("a shape with one axis", other)),
        }
    }),
    eval: Eval::Tensor(|_, _, ty| Tensor::new(ty.clone(), (0..ty.shape.count()).map(|i| i as f64).collect())),
    derivative: Derivative::Leaf,
    lowering: Lowering::Leaf,
    domain: &[ANY],
};

/// The identity, with an identity of its own.
pub const VARIABLE: OpDef = OpDef {
    name: "variable",
    doc: "The operand itself, as something a derivative operator can vary: two variables of one value are \
          different nodes (attribute `Index`). `ad::expand` replaces it by its operand.",
    source: "elementary",
    signature: Signature::Rule(|args, attr| {
        operand_count(args, 1)?;
        match attr {
            Attr::Index(_) => Ok(args[0].clone()),
            other => Err(wrong_attr("its number", other)),
        }
    }),
    eval: Eval::Unary(|x| x),
    derivative: Derivative::Linear(|_, _, _, _, ct| ct),
    lowering: Lowering::Scalar(ScalarOp::Identity),
    domain: &[ANY],
};

/// The identity that derivatives do not pass.
pub const STOP_GRADIENT: OpDef = OpDef {
    name: "stop_gradient",
    doc: "The operand itself; every derivative of it is zero by definition.",
    source: "Bradbury et al., JAX: lax.stop_gradient",
    signature: Signature::Rule(|args, attr| {
        operand_count(args, 1)?;
        crate::ir::infer::no_attr(attr)?;
        Ok(args[0].clone())
    }),
    eval: Eval::Unary(|x| x),
    derivative: Derivative::Barrier,
    lowering: Lowering::Scalar(ScalarOp::Identity),
    domain: &[ANY],
};

/// The nearest value of another element type.
pub const CONVERT: OpDef = OpDef {
    name: "convert",
    doc: "Elements of another type (attribute `To`): float to float rounds to nearest even, integer to float \
          likewise, float to integer truncates and saturates (NaN gives 0), `bool` gives 0 or 1, a number gives \
          the `bool` \"not equal to 0\". Linear between floats, locally constant otherwise.",
    source: "IEEE 754-2019, 5.4",
    signature: Signature::Rule(|args, attr| {
        operand_count(args, 1)?;
        match attr {
            Attr::To(dtype) => Ok(args[0].with_dtype(*dtype)),
            other => Err(wrong_attr("an element type", other)),
        }
    }),
    eval: Eval::Tensor(|args, _, ty| {
        let data = args[0].data.iter().map(|x| converted(*x, ty.dtype)).collect();
        Tensor::new(ty.clone(), data)
    }),
    derivative: Derivative::Linear(|b, _, args, _, ct| {
        let dtype = b.ty(args[0]).dtype;
        b.must(Op::Convert, &[ct], Attr::To(dtype))
    }),
    lowering: Lowering::Scalar(ScalarOp::Convert),
    domain: &[ANY],
};

/// `x` as an element of `dtype`, held as `f64`.
pub(crate) fn converted(x: f64, dtype: DType) -> f64 {
    match dtype {
        DType::F64 => x,
        DType::F32 => f64::from(x as f32),
        DType::I64 => (x as i64) as f64,
        DType::Bool => f64::from(u8::from(x != 0.0)),
    }
}

fn own_type(_: &[&Type], _: &Attr) -> Result<Type, ShapeError> {
    Err(ShapeError::Other("its type is given, not inferred".into()))
}
