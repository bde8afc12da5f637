//! The transcendental functions as scalar primitives, once for every back end.
//!
//! [`expand`] gives an elementwise op the statements that compute it. `f64` functions follow
//! published methods, each cited in its file; `f32` has functions of its own (`single`) for what
//! networks are made of, and computes the others in `f64`, rounding once. One expansion means one result: the interpreter and every code generator give the same bits.
//!
//! Error bounds in units in the last place, held by `tests/it/math.rs` and by a survey of 20 000
//! arguments per function over the whole domain, subnormals included; beside them the largest error
//! of another survey of 3000 arguments each, with and without fused multiply-add.
//!
//! | function | bound | found |  | function | bound | found |
//! |---|---|---|---|---|---|---|
//! | `exp` | 1.1 | 0.86 |  | `cosh` | 2 | 1.12 |
//! | `expm1` | 2 | 1.42 |  | `atan` | 1 | 0.71 |
//! | `log` | 1 | 0.70 |  | `asin` | 1.5 | 0.76 |
//! | `log1p` | 1.5 | 0.73 |  | `acos` | 1.5 | 0.75 |
//! | `sin` | 1 | 0.66 |  | `sigmoid` | 2.5 | 1.78 |
//! | `cos` | 1 | 0.71 |  | `softplus` | 2 | 1.29 |
//! | `tan` | 2 | 1.72 |  | `erf` | 1.5 | 1.18 |
//! | `tanh` | 2 | 1.89 |  | `pow` | 1 | 0.85 |
//! | `sinh` | 2 | 1.51 |  | `lgamma` | 2 | 1.57 |
//! | | | |  | `digamma` | 2.5 | 1.91 |
//!
//! `polygamma` of order n: 4 n + 2; `pow` with a constant exponent of ±1/2 or ±3/2, in `f64` also ±5/2, is
//! made of a square root, products and quotients, within 2 and (±5/2) 3. In `f32`, beside the largest error of a survey of every 37th number
//! of size 2^-9 to 110 and every 1009th of all:
//!
//! | function | bound | found |  | function | bound | found |
//! |---|---|---|---|---|---|---|
//! | `exp` | 2 | 1.58 |  | `softplus` | 2 | 1.82 |
//! | `expm1` | 2 | 1.73 |  | `log` | 1 | 0.79 |
//! | `tanh` | 1.5 | 1.17 |  | `log1p` | 1 | 0.83 |
//! | `sigmoid` | 2 | 1.99 |  | `erf` | 1.5 | 1.41 |
//! | others | 0.5 + 2^-27 | |  | | | |
//!
//! `quick_log2` and `quick_exp2` are those of [`base::quick`](crate::base::quick), but that products are fused
//! where the target fuses.
//!
//! Without fused multiply-add the `softplus` of `f32` has a bound of 2.5, found 2.27.

mod double;
mod exp;
mod expr;
mod gamma;
mod hyperbolic;
mod inverse;
mod log;
mod pow;
mod quick;
mod single;
mod special;
mod trig;

use crate::bug;
use crate::ir::op::ScalarOp;
use crate::lower::code::Code;
use crate::lower::loops::{DType, Prim, ScalarId};
use expr::Scalar;
pub use gamma::polygamma;

type Function = for<'c> fn(Scalar<'c>) -> Scalar<'c>;

/// `op(args)` where all operands have the type `code.dtype(args.last())`, except that the first of
/// `Select` is `bool`; gives `None` for an op that has no expansion here (`PowInt`, `Convert` and
/// `Polygamma` need their attribute).
pub fn expand(code: &Code, op: ScalarOp, args: &[ScalarId]) -> Option<ScalarId> {
    let prim = |prim| Some(code.op(prim, args));
    let test = |prim| Some(code.test(prim, args[0], args[1]));
    let function = |f: Function| Some(in_f64(code, args[0], f));
    let either = |wide: Function, narrow: Function| match code.dtype(args[0]) {
        DType::F32 => Some(narrow(Scalar::new(code, args[0])).id()),
        DType::F64 | DType::I64 | DType::Bool => function(wide),
    };
    match op {
        ScalarOp::Add => prim(Prim::Add),
        ScalarOp::Sub => prim(Prim::Sub),
        ScalarOp::Mul => prim(Prim::Mul),
        ScalarOp::Div => prim(Prim::Div),
        ScalarOp::Neg => prim(Prim::Neg),
        ScalarOp::Abs => prim(Prim::Abs),
        ScalarOp::Sqrt => prim(Prim::Sqrt),
        ScalarOp::Floor => prim(Prim::Floor),
        ScalarOp::And => prim(Prim::And),
        ScalarOp::Or => prim(Prim::Or),
        ScalarOp::Not => prim(Prim::Not),
        ScalarOp::Select => prim(Prim::Select),
        ScalarOp::Min => prim(Prim::Min),
        ScalarOp::Max => prim(Prim::Max),
        ScalarOp::Lt => test(Prim::Lt),
        ScalarOp::Le => test(Prim::Le),
        ScalarOp::Eq => test(Prim::Eq),
        ScalarOp::Identity => Some(args[0]),
        ScalarOp::Sign => Some(sign(code, args[0])),
        ScalarOp::Exp => either(exp::exp, single::exp),
        ScalarOp::Expm1 => either(exp::expm1, single::expm1),
        ScalarOp::Log => either(log::log, single::log),
        ScalarOp::Log1p => either(log::log1p, single::log1p),
        ScalarOp::Sin => function(trig::sin),
        ScalarOp::Cos => function(trig::cos),
        ScalarOp::Tan => function(trig::tan),
        ScalarOp::Tanh => either(hyperbolic::tanh, single::tanh),
        ScalarOp::Sinh => function(hyperbolic::sinh),
        ScalarOp::Cosh => function(hyperbolic::cosh),
        ScalarOp::Atan => function(inverse::atan),
        ScalarOp::Asin => function(inverse::asin),
        ScalarOp::Acos => function(inverse::acos),
        ScalarOp::Sigmoid => either(special::sigmoid, single::sigmoid),
        ScalarOp::Softplus => either(special::softplus, single::softplus),
        ScalarOp::Erf => either(special::erf, single::erf),
        ScalarOp::Pow => {
            let dtype = code.dtype(args[0]);
            if let Some(halves) = halves(code, args[1]) {
                return Some(pow::half_power(Scalar::new(code, args[0]), halves).id());
            }
            let [x, y] = [args[0], args[1]].map(|arg| Scalar::new(code, code.convert(arg, DType::F64)));
            Some(code.convert(pow::pow(x, y).id(), dtype))
        }
        ScalarOp::Lgamma => function(gamma::lgamma),
        ScalarOp::Digamma => function(gamma::digamma),
        ScalarOp::QuickLog2 => function(quick::log2),
        ScalarOp::QuickExp2 => function(quick::exp2),
        ScalarOp::PowInt | ScalarOp::Convert | ScalarOp::Polygamma => None,
    }
}

/// Twice an exponent, if that is a constant whose powers [`pow::half_power`] knows.
fn halves(code: &Code, exponent: ScalarId) -> Option<i32> {
    let bits = code.as_constant(exponent)?;
    let (exponent, most) = match code.dtype(exponent) {
        DType::F32 => (f64::from(f32::from_bits(bits as u32)), 3),
        DType::F64 | DType::I64 | DType::Bool => (f64::from_bits(bits), 5),
    };
    [-5_i32, -3, -1, 1, 3, 5].into_iter().find(|n| n.abs() <= most && exponent == f64::from(*n) / 2.0)
}

/// About how many statements `op` becomes.
pub(crate) fn weight(op: ScalarOp) -> usize {
    match op {
        ScalarOp::Identity => 0,
        ScalarOp::Add
        | ScalarOp::Sub
        | ScalarOp::Mul
        | ScalarOp::Div
        | ScalarOp::Neg
        | ScalarOp::Abs
        | ScalarOp::Sqrt
        | ScalarOp::Floor
        | ScalarOp::And
        | ScalarOp::Or
        | ScalarOp::Not
        | ScalarOp::Select
        | ScalarOp::Min
        | ScalarOp::Max
        | ScalarOp::Lt
        | ScalarOp::Le
        | ScalarOp::Eq
        | ScalarOp::Convert => 1,
        ScalarOp::Sign => 3,
        ScalarOp::PowInt => 5,
        ScalarOp::QuickLog2 | ScalarOp::QuickExp2 => 20,
        ScalarOp::Exp
        | ScalarOp::Expm1
        | ScalarOp::Log
        | ScalarOp::Log1p
        | ScalarOp::Sin
        | ScalarOp::Cos
        | ScalarOp::Tan
        | ScalarOp::Tanh
        | ScalarOp::Sinh
        | ScalarOp::Cosh
        | ScalarOp::Atan
        | ScalarOp::Asin
        | ScalarOp::Acos
        | ScalarOp::Sigmoid
        | ScalarOp::Softplus
        | ScalarOp::Erf
        | ScalarOp::Pow
        | ScalarOp::Lgamma
        | ScalarOp::Digamma
        | ScalarOp::Polygamma => 50,
    }
}

/// `x^n` by repeated squaring, the reciprocal of `x^-n` for negative `n`. Relative error at most
/// `|n|` units of rounding (2^-53 in `f64`), in the operand's type; a negative power whose positive
/// counterpart overflows or underflows gives 0 or infinity.
pub fn pow_int(code: &Code, x: ScalarId, n: i32) -> ScalarId {
    let one = code.number(code.dtype(x), 1.0);
    let mut exponent = n.unsigned_abs();
    let (mut power, mut square) = (None, x);
    while exponent > 0 {
        if exponent & 1 == 1 {
            power = Some(power.map_or(square, |p| code.op(Prim::Mul, &[p, square])));
        }
        exponent >>= 1;
        if exponent > 0 {
            square = code.op(Prim::Mul, &[square, square]);
        }
    }
    let power = power.unwrap_or(one);
    if n < 0 { code.op(Prim::Div, &[one, power]) } else { power }
}

/// 1, -1, or `x` itself for zeros and NaN.
fn sign(code: &Code, x: ScalarId) -> ScalarId {
    let dtype = code.dtype(x);
    let (zero, one, minus_one) = (code.number(dtype, 0.0), code.number(dtype, 1.0), code.number(dtype, -1.0));
    let negative = code.select(code.test(Prim::Lt, x, zero), minus_one, x);
    code.select(code.test(Prim::Lt, zero, x), one, negative)
}

/// An `f64` function applied to a float of either type, rounded once if that is `f32`.
fn in_f64(code: &Code, x: ScalarId, f: Function) -> ScalarId {
    let dtype = code.dtype(x);
    if !dtype.is_float() {
        bug!("an elementary function of a {}", dtype.name());
    }
    let wide = Scalar::new(code, code.convert(x, DType::F64));
    code.convert(f(wide).id(), dtype)
}
