//! Tensors on the host: what the reference evaluator computes with and what data arrive as.
//!
//! Every element type is held as `f64`, which represents `f32`, `bool` and integers up to 2^53
//! exactly; a result of type `f32` is rounded to it after each op.

use crate::ir::types::{DType, Type};

/// A tensor: a type and its elements in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its type.
    pub ty: Type,
    /// `ty.shape.count()` elements, last axis contiguous.
    pub data: Vec<f64>,
}

impl Tensor {
    /// A tensor of these elements. Panics if their number is not `ty.shape.count()`.
    pub fn new(ty: Type, data: Vec<f64>) -> Tensor {
        assert_eq!(ty.shape.count(), data.len(), "elements of {ty}");
        Tensor { ty, data }
    }

    /// An `f64` scalar.
    pub fn scalar(value: f64) -> Tensor {
        Tensor { ty: Type::scalar(DType::F64), data: vec![value] }
    }

    /// An `f64` vector.
    pub fn vector(values: &[f64]) -> Tensor {
        Tensor { ty: Type::new(DType::F64, &[values.len()]), data: values.to_vec() }
    }
}
