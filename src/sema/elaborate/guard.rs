//! Both sides of an `if` are computed. The operands of a side are made harmless where that side
//! is not taken, so that neither its value nor its derivatives can be infinite there and turn a
//! zero cotangent into NaN.
//!
//! Guarded are the operands of every operation that is neither linear nor bilinear: elementary
//! functions, powers, denominators, norms, densities; but not of `tanh`, `sigmoid` and `softplus`,
//! which nothing harms. Sums and products are not, so a side that is not taken may still overflow by
//! multiplication alone. A condition for each element guards what is
//! made element by element; what goes into a sum, a product of matrices or another place is needed
//! if any element is taken.

use crate::ir::builder::Builder;
use crate::ir::func::ValueId;
use crate::ir::op::Op;
use crate::ir::types::DType;
use crate::sema::prelude::{Reduction, spread};

/// `x` where `guard` holds, `safe` elsewhere. A guard of another shape holds for the whole of `x`
/// if it holds anywhere.
pub(super) fn guarded(b: &mut Builder, guard: Option<ValueId>, x: ValueId, safe: f64) -> ValueId {
    if guard.is_none() || !b.ty(x).dtype.is_float() || b.node(x).op == Op::Constant {
        return x;
    }
    let safe = b.splat_like(safe, x);
    guarded_by(b, guard, x, safe)
}

/// [`guarded`] with a safe value for each element.
pub(super) fn guarded_by(b: &mut Builder, guard: Option<ValueId>, x: ValueId, safe: ValueId) -> ValueId {
    let Some(guard) = guard else { return x };
    let guard = fitted(b, guard, x);
    b.select(guard, x, safe)
}

/// Both conditions.
pub(super) fn both(b: &mut Builder, outer: Option<ValueId>, inner: ValueId) -> ValueId {
    let Some(outer) = outer else { return inner };
    let outer = fitted(b, outer, inner);
    let shape = b.shape(outer).clone();
    let inner = spread(b, inner, &shape);
    let shape = b.shape(inner).clone();
    let outer = spread(b, outer, &shape);
    b.binary(Op::And, outer, inner)
}

/// `guard` in a shape that can stand beside `x`: its own, or that of a scalar.
fn fitted(b: &mut Builder, guard: ValueId, x: ValueId) -> ValueId {
    if b.shape(guard).rank() == 0 || b.shape(guard) == b.shape(x) {
        return guard;
    }
    anywhere(b, guard)
}

/// Whether a guard holds for any element: what guards a part that the elements of the whole are
/// made of, but not one by one.
pub(super) fn anywhere(b: &mut Builder, guard: ValueId) -> ValueId {
    if b.shape(guard).rank() == 0 {
        return guard;
    }
    let real = b.must(Op::Convert, &[guard], crate::ir::func::Attr::To(DType::F64));
    let axes: Vec<u32> = (0..b.shape(real).rank() as u32).collect();
    let any = Reduction::Max.build(b, real, &axes);
    let half = b.splat_like(0.5, any);
    b.binary(Op::Lt, half, any)
}
