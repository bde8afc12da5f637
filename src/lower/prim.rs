//! The meaning of the scalar primitives on bits.
//!
//! A scalar is held in a `u64`: an `f64` or `i64` by all its bits, an `f32` by the low 32, a `bool`
//! as 0 or 1. The interpreter runs on this and `lower` folds constants with it, so that a constant
//! folded at compile time has the bits it would have had at run time.

use crate::bug;
use crate::lower::loops::{DType, Prim};

impl Prim {
    /// Its name in listings.
    pub fn name(self) -> &'static str {
        match self {
            Prim::Const(_) => "const",
            Prim::Counter(_) => "counter",
            Prim::Add => "add",
            Prim::Sub => "sub",
            Prim::Mul => "mul",
            Prim::Div => "div",
            Prim::Fma => "fma",
            Prim::Neg => "neg",
            Prim::Abs => "abs",
            Prim::Sqrt => "sqrt",
            Prim::Min => "min",
            Prim::Max => "max",
            Prim::Floor => "floor",
            Prim::Round => "round",
            Prim::CopySign => "copysign",
            Prim::Lt => "lt",
            Prim::Le => "le",
            Prim::Eq => "eq",
            Prim::And => "and",
            Prim::Or => "or",
            Prim::Xor => "xor",
            Prim::Not => "not",
            Prim::Select => "select",
            Prim::ShiftLeft => "shl",
            Prim::ShiftRight => "shr",
            Prim::MulHi => "mulhi",
            Prim::Bitcast => "bitcast",
            Prim::Convert => "convert",
        }
    }

    /// Whether it takes operands of these types to a result of type `to`.
    pub fn accepts(self, args: &[DType], to: DType) -> bool {
        let all = |n: usize, ty: DType| args.len() == n && args.iter().all(|arg| *arg == ty);
        match self {
            Prim::Const(bits) => {
                args.is_empty()
                    && match to {
                        DType::F64 | DType::I64 => true,
                        DType::F32 => bits >> 32 == 0,
                        DType::Bool => bits <= 1,
                    }
            }
            Prim::Counter(_) => args.is_empty() && to == DType::I64,
            Prim::Add | Prim::Sub | Prim::Mul | Prim::Min | Prim::Max => all(2, to) && to != DType::Bool,
            Prim::Div | Prim::CopySign => all(2, to) && to.is_float(),
            Prim::Fma => all(3, to) && to.is_float(),
            Prim::Neg => all(1, to) && to != DType::Bool,
            Prim::Abs | Prim::Sqrt | Prim::Floor | Prim::Round => all(1, to) && to.is_float(),
            Prim::Lt | Prim::Le => {
                to == DType::Bool && args.len() == 2 && args[0] == args[1] && args[0] != DType::Bool
            }
            Prim::Eq => to == DType::Bool && args.len() == 2 && args[0] == args[1],
            Prim::And | Prim::Or | Prim::Xor => all(2, to) && !to.is_float(),
            Prim::Not => all(1, to) && !to.is_float(),
            Prim::Select => args == [DType::Bool, to, to],
            Prim::ShiftLeft | Prim::ShiftRight | Prim::MulHi => all(2, to) && to == DType::I64,
            Prim::Bitcast => {
                args.len() == 1 && args[0] != to && args[0] != DType::Bool && to != DType::Bool && {
                    args[0] == DType::I64 || to == DType::I64
                }
            }
            Prim::Convert => args.len() == 1,
        }
    }

    /// The bits of the result of type `to` from the bits of the operands, the first of which has
    /// type `from` (any type if there is none). The operands are such that [`Prim::accepts`] holds.
    /// A loop variable has no value here.
    pub fn eval(self, from: DType, to: DType, args: &[u64]) -> u64 {
        match self {
            Prim::Const(bits) => bits,
            Prim::Counter(var) => bug!("{var} has no value outside its loop"),
            Prim::Add => binary(to, args, |a, b| a + b, |a, b| a + b, i64::wrapping_add),
            Prim::Sub => binary(to, args, |a, b| a - b, |a, b| a - b, i64::wrapping_sub),
            Prim::Mul => binary(to, args, |a, b| a * b, |a, b| a * b, i64::wrapping_mul),
            Prim::Div => binary(to, args, |a, b| a / b, |a, b| a / b, |_, _| bug!("an integer `div`")),
            Prim::Min => binary(
                to,
                args,
                |a, b| if a < b { a } else { b },
                |a, b| if a < b { a } else { b },
                |a, b| if a < b { a } else { b },
            ),
            Prim::Max => binary(
                to,
                args,
                |a, b| if a > b { a } else { b },
                |a, b| if a > b { a } else { b },
                |a, b| if a > b { a } else { b },
            ),
            Prim::CopySign => binary(to, args, f64::copysign, f32::copysign, |_, _| bug!("an integer sign")),
            Prim::Fma if to == DType::F64 => {
                f64::from_bits(args[0]).mul_add(f64::from_bits(args[1]), f64::from_bits(args[2])).to_bits()
            }
            Prim::Fma => bits32(float32(args[0]).mul_add(float32(args[1]), float32(args[2]))),
            Prim::Neg => unary(to, args[0], |a| -a, |a| -a, i64::wrapping_neg),
            Prim::Abs => unary(to, args[0], f64::abs, f32::abs, |_| bug!("an integer `abs`")),
            Prim::Sqrt => unary(to, args[0], f64::sqrt, f32::sqrt, |_| bug!("an integer `sqrt`")),
            Prim::Floor => unary(to, args[0], f64::floor, f32::floor, |_| bug!("an integer `floor`")),
            Prim::Round => {
                unary(to, args[0], f64::round_ties_even, f32::round_ties_even, |_| bug!("an integer `round`"))
            }
            Prim::Lt => compare(from, args, |a, b| a < b, |a, b| a < b),
            Prim::Le => compare(from, args, |a, b| a <= b, |a, b| a <= b),
            Prim::Eq => compare(from, args, |a, b| a == b, |a, b| a == b),
            Prim::And => args[0] & args[1],
            Prim::Or => args[0] | args[1],
            Prim::Xor => args[0] ^ args[1],
            Prim::Not if to == DType::Bool => args[0] ^ 1,
            Prim::Not => !args[0],
            Prim::Select => args[if args[0] != 0 { 1 } else { 2 }],
            Prim::ShiftLeft => args[0] << (args[1] & 63),
            Prim::ShiftRight => args[0] >> (args[1] & 63),
            Prim::MulHi => ((u128::from(args[0]) * u128::from(args[1])) >> 64) as u64,
            Prim::Bitcast if to == DType::F32 => args[0] & 0xffff_ffff,
            Prim::Bitcast => args[0],
            Prim::Convert => convert(from, to, args[0]),
        }
    }
}

/// The nearest bits of type `to`; see [`Prim::Convert`].
pub(crate) fn convert(from: DType, to: DType, bits: u64) -> u64 {
    match (from, to) {
        (DType::F64, DType::F64) | (DType::F32, DType::F32) | (DType::I64, DType::I64) => bits,
        (DType::Bool, DType::Bool | DType::I64) => bits,
        (DType::F64, DType::F32) => bits32(f64::from_bits(bits) as f32),
        (DType::F64, DType::I64) => (f64::from_bits(bits) as i64) as u64,
        (DType::F64, DType::Bool) => u64::from(f64::from_bits(bits) != 0.0),
        (DType::F32, DType::F64) => f64::from(float32(bits)).to_bits(),
        (DType::F32, DType::I64) => (float32(bits) as i64) as u64,
        (DType::F32, DType::Bool) => u64::from(float32(bits) != 0.0),
        (DType::I64 | DType::Bool, DType::F64) => (bits as i64 as f64).to_bits(),
        (DType::I64 | DType::Bool, DType::F32) => bits32(bits as i64 as f32),
        (DType::I64, DType::Bool) => u64::from(bits != 0),
    }
}

fn float32(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}

fn bits32(value: f32) -> u64 {
    u64::from(value.to_bits())
}

fn unary(ty: DType, a: u64, f: fn(f64) -> f64, g: fn(f32) -> f32, h: fn(i64) -> i64) -> u64 {
    match ty {
        DType::F64 => f(f64::from_bits(a)).to_bits(),
        DType::F32 => bits32(g(float32(a))),
        DType::I64 => h(a as i64) as u64,
        DType::Bool => bug!("arithmetic on a bool"),
    }
}

fn binary(
    ty: DType,
    args: &[u64],
    f: fn(f64, f64) -> f64,
    g: fn(f32, f32) -> f32,
    h: fn(i64, i64) -> i64,
) -> u64 {
    match ty {
        DType::F64 => f(f64::from_bits(args[0]), f64::from_bits(args[1])).to_bits(),
        DType::F32 => bits32(g(float32(args[0]), float32(args[1]))),
        DType::I64 => h(args[0] as i64, args[1] as i64) as u64,
        DType::Bool => bug!("arithmetic on a bool"),
    }
}

/// `f32` is compared as `f64`, which is exact.
fn compare(ty: DType, args: &[u64], f: fn(f64, f64) -> bool, h: fn(i64, i64) -> bool) -> u64 {
    u64::from(match ty {
        DType::F64 => f(f64::from_bits(args[0]), f64::from_bits(args[1])),
        DType::F32 => f(f64::from(float32(args[0])), f64::from(float32(args[1]))),
        DType::I64 | DType::Bool => h(args[0] as i64, args[1] as i64),
    })
}
