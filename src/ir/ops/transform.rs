//! Requests for derivatives, which `ad::expand` resolves.
//!
//! "The derivative of `y` by `x`" is that of the value `y` with respect to the node `x` within one
//! function, everything that does not pass through `x` held fixed. `x` is usually a `variable`.

use super::ANY;
use crate::ir::func::Attr;
use crate::ir::infer::{no_attr, wrong_attr};
use crate::ir::op::{Derivative, Eval, Lowering, OpDef, ShapeError, Signature};
use crate::ir::types::{Shape, Type};

const fn row(
    name: &'static str,
    doc: &'static str,
    source: &'static str,
    rule: fn(&[&Type], &Attr) -> Result<Type, ShapeError>,
) -> OpDef {
    OpDef {
        name,
        doc,
        source,
        signature: Signature::Rule(rule),
        eval: Eval::None,
        derivative: Derivative::Request,
        lowering: Lowering::Expanded,
        domain: &[ANY],
    }
}

/// Directional derivative.
pub const JVP: OpDef = row(
    "jvp",
    "Operands `y, x1, v1, x2, v2, …`: the derivative `Σ (dy/dx_i) v_i`, of the type of `y`.",
    "Griewank and Walther, Evaluating Derivatives, 2008, chapter 3.1",
    |args, attr| {
        no_attr(attr)?;
        flow_type(args)
    },
);

/// Gradient of a weighted sum.
pub const VJP: OpDef = row(
    "vjp",
    "Operands `y, w, x`: the derivative of `Σ w y` by `x`, of the type of `x`.",
    "Griewank and Walther, Evaluating Derivatives, 2008, chapter 3.2",
    |args, attr| {
        no_attr(attr)?;
        let [y, w, x] = args else { return Err(count("3", args)) };
        floats(args)?;
        equal(y, w)?;
        Ok((*x).clone())
    },
);

/// Trace of a Jacobian.
pub const DIVERGENCE: OpDef = row(
    "divergence",
    "Operands `f, x`: the exact trace `Σ_i ∂f_i/∂x_i`, one directional derivative for each element of `x`. \
     With a third operand, a probe `e`: the estimate `e · (∂f/∂x) e` by one reverse pass.",
    "Hutchinson, Communications in Statistics 18, 1989",
    trace_type,
);

/// Squared Frobenius norm of a Jacobian.
pub const JAC_FROB2: OpDef = row(
    "jac_frob2",
    "Operands `f, x`: `Σ_ij (∂f_i/∂x_j)^2`. With a third operand, a probe `e` of the shape of `f`: the estimate `|e ∂f/∂x|^2` \
     by one reverse pass.",
    "Finlay et al., How to train your neural ODE, ICML 2020, equation 9",
    |args, attr| {
        no_attr(attr)?;
        if args.len() != 2 && args.len() != 3 {
            return Err(count("2 or 3", args));
        }
        floats(args)?;
        if let Some(probe) = args.get(2) {
            equal(args[0], probe)?;
        }
        Ok(Type::scalar(args[0].dtype))
    },
);

/// All first derivatives.
pub const JACOBIAN: OpDef = row(
    "jacobian",
    "Operands `f, x`: all `∂f_i/∂x_j`, of shape `f.shape ++ x.shape`.",
    "elementary",
    |args, attr| {
        no_attr(attr)?;
        let [f, x] = args else { return Err(count("2", args)) };
        floats(args)?;
        let dims = f.shape.dims().iter().chain(x.shape.dims()).copied().collect();
        Ok(Type { dtype: f.dtype, shape: Shape(dims) })
    },
);

/// Time derivative along a flow.
pub const FLOW_DERIVATIVE: OpDef = row(
    "flow_derivative",
    "Operands `y, x1, f1, x2, f2, …`, attribute `Order(K)`: the K-th derivative of `y` by time while \
     `dx_i/dt = f_i`, where the `f_i` may depend on the `x_i`. Time itself is a pair `t, 1`.",
    "Griewank and Walther, Evaluating Derivatives, 2008, chapter 13",
    |args, attr| {
        let Attr::Order(_) = attr else { return Err(wrong_attr("an order", attr)) };
        flow_type(args)
    },
);

fn flow_type(args: &[&Type]) -> Result<Type, ShapeError> {
    let Some((y, pairs)) = args.split_first() else { return Err(count("an odd number of", args)) };
    if pairs.len() % 2 != 0 {
        return Err(count("an odd number of", args));
    }
    floats(args)?;
    for pair in pairs.chunks_exact(2) {
        equal(pair[0], pair[1])?;
    }
    Ok((*y).clone())
}

fn trace_type(args: &[&Type], attr: &Attr) -> Result<Type, ShapeError> {
    no_attr(attr)?;
    if args.len() != 2 && args.len() != 3 {
        return Err(count("2 or 3", args));
    }
    floats(args)?;
    for other in &args[1..] {
        equal(args[0], other)?;
    }
    Ok(Type::scalar(args[0].dtype))
}

fn floats(args: &[&Type]) -> Result<(), ShapeError> {
    for (position, ty) in args.iter().enumerate() {
        if !ty.dtype.is_float() {
            return Err(ShapeError::Element(position, "a float"));
        }
        if ty.dtype != args[0].dtype {
            return Err(ShapeError::Element(position, args[0].dtype.name()));
        }
    }
    Ok(())
}

fn equal(a: &Type, b: &Type) -> Result<(), ShapeError> {
    if a.shape == b.shape { Ok(()) } else { Err(ShapeError::Unequal(a.shape.clone(), b.shape.clone())) }
}

fn count(needed: &str, args: &[&Type]) -> ShapeError {
    ShapeError::Other(format!("needs {needed} operands, found {}", args.len()))
}
