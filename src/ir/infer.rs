//! The type of a node from the types of its operands.
//!
//! One function over the op table: it reads the row's signature and knows no op. Parameters and
//! constants carry their type themselves and never come here.

use crate::ir::func::Attr;
use crate::ir::op::{Op, ShapeError, Signature};
use crate::ir::types::{DType, Type};

/// The result type of `op` on operands of these types, or why they do not fit.
pub fn result_type(op: Op, args: &[&Type], attr: &Attr) -> Result<Type, ShapeError> {
    match op.def().signature {
        Signature::Float(n) => {
            no_attr(attr)?;
            operand_count(args, n)?;
            for (position, ty) in args.iter().enumerate() {
                if !ty.dtype.is_float() {
                    return Err(ShapeError::Element(position, "a float"));
                }
            }
            same_type(args)?;
            Ok(args[0].clone())
        }
        Signature::Compare => {
            no_attr(attr)?;
            operand_count(args, 2)?;
            for (position, ty) in args.iter().enumerate() {
                if ty.dtype == DType::Bool {
                    return Err(ShapeError::Element(position, "a number"));
                }
            }
            same_type(args)?;
            Ok(args[0].with_dtype(DType::Bool))
        }
        Signature::Logic(n) => {
            no_attr(attr)?;
            operand_count(args, n)?;
            for (position, ty) in args.iter().enumerate() {
                if ty.dtype != DType::Bool {
                    return Err(ShapeError::Element(position, "a truth value"));
                }
            }
            same_type(args)?;
            Ok(args[0].clone())
        }
        Signature::Rule(rule) => rule(args, attr),
    }
}

/// Checks the number of operands.
pub(crate) fn operand_count(args: &[&Type], n: usize) -> Result<(), ShapeError> {
    if args.len() == n {
        Ok(())
    } else {
        Err(ShapeError::Other(format!("needs {n} operands, found {}", args.len())))
    }
}

/// Checks that all operands have the type of the first.
pub(crate) fn same_type(args: &[&Type]) -> Result<(), ShapeError> {
    for (position, ty) in args.iter().enumerate() {
        if ty.shape != args[0].shape {
            return Err(ShapeError::Unequal(args[0].shape.clone(), ty.shape.clone()));
        }
        if ty.dtype != args[0].dtype {
            return Err(ShapeError::Element(position, args[0].dtype.name()));
        }
    }
    Ok(())
}

/// Checks that the op was given no attribute.
pub(crate) fn no_attr(attr: &Attr) -> Result<(), ShapeError> {
    match attr {
        Attr::None => Ok(()),
        other => Err(wrong_attr("no attribute", other)),
    }
}

/// The error for an attribute of the wrong form.
pub(crate) fn wrong_attr(expected: &str, found: &Attr) -> ShapeError {
    ShapeError::Other(format!("takes {expected}, found {found:?}"))
}
