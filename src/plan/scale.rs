//! The bijections between free space, where an optimiser moves, and the sets params live in.

use crate::ir::builder::Builder;
use crate::ir::func::{Func, ValueId};
use crate::ir::op::Op;
use crate::ir::program::{Constraint, Program};
use crate::ir::types::{Shape, Type};

/// `u: [P] -> p: [P]`: free space to declared scale.
pub fn constrain(program: &Program, n_params: usize) -> Func {
    let mut b = Builder::new("constrain");
    let free = b.param("u", Type::new(program.real, &[n_params]));
    let shapes: Vec<Shape> = program.params.iter().map(|param| param.ty.shape.clone()).collect();
    let parts = b.unpack(free, &shapes);
    let declared: Vec<ValueId> =
        program.params.iter().zip(parts).map(|(param, u)| constrained(&mut b, param.constraint, u)).collect();
    let p = b.pack(&declared, program.real);
    b.finish(vec![("p".into(), p)])
}

/// The bijection from free space to `constraint`.
fn constrained(b: &mut Builder, constraint: Constraint, u: ValueId) -> ValueId {
    match constraint {
        Constraint::Free => u,
        Constraint::Positive => b.unary(Op::Exp, u),
        Constraint::Interval(lo, hi) => {
            let unit = b.unary(Op::Sigmoid, u);
            let spread = b.scale(hi - lo, unit);
            let base = b.splat_like(lo, spread);
            b.add(base, spread)
        }
    }
}

/// The free coordinate of a value on the declared scale: the inverse of [`constrain`]. `None` if
/// the value does not lie inside the set.
pub fn unconstrained(constraint: Constraint, value: f64) -> Option<f64> {
    let free = match constraint {
        Constraint::Free => value,
        Constraint::Positive => libm::log(value),
        Constraint::Interval(lo, hi) => libm::log(value - lo) - libm::log(hi - value),
    };
    free.is_finite().then_some(free)
}
