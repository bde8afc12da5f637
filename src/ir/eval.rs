//! The reference evaluator: what a function means.
//!
//! Walks the nodes in order and calls the meaning in each op's row, on host numbers, with no
//! concern for speed. Compiled code is tested against it. Requests for derivatives have no meaning
//! of their own; `ad::expand` resolves them first.

use crate::ir::func::{Attr, Func};
use crate::ir::op::{Eval, Op};
use crate::ir::ops::leaf::converted;
use crate::ir::tensor::Tensor;
use crate::ir::types::Type;

/// Why a function could not be evaluated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EvalError {
    /// The number of arguments differs from the number of parameters.
    #[error("`{func}` takes {expected} arguments, found {found}")]
    Count {
        /// Which function.
        func: String,
        /// Number of parameters.
        expected: usize,
        /// Number of arguments.
        found: usize,
    },
    /// An argument has another type than its parameter.
    #[error("argument `{param}` should be {expected}, found {found}")]
    Argument {
        /// Which parameter.
        param: String,
        /// Its type.
        expected: Type,
        /// The type found.
        found: Type,
    },
    /// An op that has no meaning of its own.
    #[error("`{0}` has to be expanded before evaluation")]
    Request(&'static str),
}

/// The results of `func` on `args`, in order.
pub fn eval(func: &Func, args: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
    let values = values(func, args)?;
    Ok(func.results.iter().map(|port| values[port.value.0 as usize].clone()).collect())
}

/// The value of every node of `func` on `args`, in node order.
pub fn values(func: &Func, args: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
    if args.len() != func.params.len() {
        let (expected, found) = (func.params.len(), args.len());
        return Err(EvalError::Count { func: func.name.clone(), expected, found });
    }
    for (port, arg) in func.params.iter().zip(args) {
        if *func.ty(port.value) != arg.ty {
            return Err(EvalError::Argument {
                param: port.name.to_string(),
                expected: func.ty(port.value).clone(),
                found: arg.ty.clone(),
            });
        }
    }
    let mut values: Vec<Tensor> = Vec::with_capacity(func.nodes.len());
    for node in func.nodes.iter() {
        let value = match (node.op, &node.attr) {
            (Op::Param, Attr::Index(index)) => args[*index as usize].clone(),
            (op, attr) => {
                let operands: Vec<&Tensor> = node.args.iter().map(|arg| &values[arg.0 as usize]).collect();
                apply(op, &operands, attr, &node.ty).ok_or(EvalError::Request(op.def().name))?
            }
        };
        values.push(value);
    }
    Ok(values)
}

/// One op on host numbers, each result rounded to the element type; `None` if the op has no
/// meaning of its own.
pub fn apply(op: Op, args: &[&Tensor], attr: &Attr, ty: &Type) -> Option<Tensor> {
    let data: Vec<f64> = match op.def().eval {
        Eval::Unary(f) => args[0].data.iter().map(|x| f(*x)).collect(),
        Eval::Binary(f) => args[0].data.iter().zip(&args[1].data).map(|(x, y)| f(*x, *y)).collect(),
        Eval::Ternary(f) => {
            let pairs = args[1].data.iter().zip(&args[2].data);
            args[0].data.iter().zip(pairs).map(|(c, (x, y))| f(*c, *x, *y)).collect()
        }
        Eval::Tensor(f) => f(args, attr, ty).data,
        Eval::None => return None,
    };
    let data = data.into_iter().map(|x| converted(x, ty.dtype)).collect();
    Some(Tensor::new(ty.clone(), data))
}
