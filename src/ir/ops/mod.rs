//! The definitions of the ops, by family.

pub mod arith;
pub mod contract;
pub mod elementary;
pub mod gamma;
pub mod layout;
pub mod leaf;
pub mod recurrence;
pub mod reduce;
pub mod select;
pub mod transform;
pub mod windows;

use crate::ir::op::Domain;
use crate::ir::types::Shape;
use smallvec::SmallVec;

/// Sampled around zero; no singular points.
pub(crate) const ANY: Domain = Domain { lo: -2.0, hi: 2.0, singular: "" };

/// Sampled away from zero on the positive side.
pub(crate) const POSITIVE: Domain = Domain { lo: 0.3, hi: 2.5, singular: "0" };

/// The position of element number `flat` of `shape` along each axis.
pub(crate) fn position(flat: usize, shape: &Shape) -> SmallVec<[usize; 4]> {
    let strides = shape.strides();
    strides.iter().zip(shape.dims()).map(|(stride, dim)| flat / stride % dim).collect()
}

/// Every position of `shape`, in row-major order.
pub(crate) fn positions(shape: &Shape) -> impl Iterator<Item = SmallVec<[usize; 4]>> {
    (0..shape.count()).map(|flat| position(flat, shape))
}

/// The number of the element at `position` of `shape`.
pub(crate) fn flat(position: &[usize], shape: &Shape) -> usize {
    position.iter().zip(shape.strides()).map(|(at, stride)| at * stride).sum()
}
