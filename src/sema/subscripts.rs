//! The letters of an einsum of two arrays, where an axis may be at the sum of two of them.

use crate::ir::func::Contraction;
use crate::sema::dim::Dim;

/// What an einsum says of its operands' axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscripts {
    /// The letters, once the axes at a sum of two are windows (see [`Op::Windows`](crate::ir::op::Op::Windows)):
    /// the second letters stand behind the axes.
    pub spec: Contraction,
    /// The axes of each operand at a sum of two letters, ascending, and the size of the second letter.
    pub windows: [Vec<(u32, Dim)>; 2],
}
