//! The way from free space, where an optimiser moves, to the sets params live in; and back.

use crate::ir::builder::Builder;
use crate::ir::func::{Func, ValueId};
use crate::ir::program::{Param, Program};
use crate::ir::types::{Shape, Type};

/// How many free numbers determine the params: the length of `u`.
pub fn n_free(program: &Program) -> usize {
    program.params.iter().map(free_count).sum()
}

fn free_count(param: &Param) -> usize {
    param.constraint.n_free(&param.ty.shape)
}

/// `u: [F] -> p: [P]`: free space to declared scale.
pub fn constrain(program: &Program) -> Func {
    let mut b = Builder::new("constrain");
    let free = b.param("u", Type::new(program.real, &[n_free(program)]));
    let shapes: Vec<Shape> = program.params.iter().map(|param| Shape::new(&[free_count(param)])).collect();
    let parts = b.unpack(free, &shapes);
    let each = program.params.iter().zip(parts);
    let declared: Vec<ValueId> =
        each.map(|(param, u)| param.constraint.build(&mut b, u, &param.ty.shape)).collect();
    let p = b.pack(&declared, program.real);
    b.finish(vec![("p".into(), p)])
}

/// The free numbers of `values: [P]` on the declared scale: the inverse of [`constrain`]. The first
/// param that does not lie inside its set is an error.
pub fn unconstrained<'p>(program: &'p Program, values: &[f64]) -> Result<Vec<f64>, &'p Param> {
    let mut free = Vec::new();
    let mut rest = values;
    for param in &program.params {
        let (own, others) = rest.split_at(param.ty.shape.count());
        free.extend(param.constraint.free(own, &param.ty.shape).ok_or(param)?);
        rest = others;
    }
    Ok(free)
}
