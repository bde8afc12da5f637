//! Scalars that are written like numbers, so that the formulas of this folder read as published.
//!
//! `a * b + c` on [`Scalar`]s appends the statements to the [`Code`] they belong to. Nothing is
//! fused unless written [`Scalar::mul_add`] (fused where the target fuses) or by a later pass, which
//! only fuses a product that nothing else uses.

use crate::lower::code::Code;
use crate::lower::loops::{DType, Prim, ScalarId};
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Sub};

/// A scalar of some `Code`.
#[derive(Clone, Copy)]
pub(super) struct Scalar<'c> {
    code: &'c Code,
    id: ScalarId,
}

impl<'c> Scalar<'c> {
    pub(super) fn new(code: &'c Code, id: ScalarId) -> Scalar<'c> {
        Scalar { code, id }
    }

    pub(super) fn id(self) -> ScalarId {
        self.id
    }

    pub(super) fn code(self) -> &'c Code {
        self.code
    }

    /// A constant beside this scalar: of its type if that is a float, else an `f64`.
    pub(super) fn number(self, value: f64) -> Scalar<'c> {
        let dtype = match self.code.dtype(self.id) {
            DType::F32 => DType::F32,
            DType::F64 | DType::I64 | DType::Bool => DType::F64,
        };
        Scalar::new(self.code, self.code.number(dtype, value))
    }

    /// An `i64` constant beside this scalar.
    pub(super) fn integer(self, value: i64) -> Scalar<'c> {
        Scalar::new(self.code, self.code.integer(value))
    }

    fn with(self, prim: Prim, others: &[Scalar<'c>]) -> Scalar<'c> {
        let mut args = vec![self.id];
        args.extend(others.iter().map(|other| other.id));
        Scalar::new(self.code, self.code.op(prim, &args))
    }

    fn is(self, prim: Prim, other: Scalar<'c>) -> Scalar<'c> {
        Scalar::new(self.code, self.code.test(prim, self.id, other.id))
    }

    /// `self·b + c`, fused where the target fuses.
    pub(super) fn mul_add(self, b: impl Operand<'c>, c: impl Operand<'c>) -> Scalar<'c> {
        let (b, c) = (b.beside(self), c.beside(self));
        Scalar::new(self.code, self.code.mul_add(self.id, b.id, c.id))
    }

    /// `self·b + c` rounded once. Only for targets that fuse.
    pub(super) fn fma(self, b: Scalar<'c>, c: Scalar<'c>) -> Scalar<'c> {
        self.with(Prim::Fma, &[b, c])
    }

    pub(super) fn abs(self) -> Scalar<'c> {
        self.with(Prim::Abs, &[])
    }

    pub(super) fn sqrt(self) -> Scalar<'c> {
        self.with(Prim::Sqrt, &[])
    }

    pub(super) fn floor(self) -> Scalar<'c> {
        self.with(Prim::Floor, &[])
    }

    pub(super) fn round(self) -> Scalar<'c> {
        self.with(Prim::Round, &[])
    }

    pub(super) fn copysign(self, sign: Scalar<'c>) -> Scalar<'c> {
        self.with(Prim::CopySign, &[sign])
    }

    /// The smaller of the two; NaN stays NaN.
    pub(super) fn at_most(self, bound: f64) -> Scalar<'c> {
        self.number(bound).with(Prim::Min, &[self])
    }

    /// The larger of the two; NaN stays NaN.
    pub(super) fn at_least(self, bound: f64) -> Scalar<'c> {
        self.number(bound).with(Prim::Max, &[self])
    }

    /// `self < other`; of integers or floats.
    pub(super) fn lt(self, other: impl Operand<'c>) -> Scalar<'c> {
        self.is(Prim::Lt, other.beside(self))
    }

    /// `self == other`
    pub(super) fn equals(self, other: impl Operand<'c>) -> Scalar<'c> {
        self.is(Prim::Eq, other.beside(self))
    }

    /// Of a `bool`: `if self then a else b`.
    pub(super) fn then(self, a: Scalar<'c>, b: Scalar<'c>) -> Scalar<'c> {
        self.with(Prim::Select, &[a, b])
    }

    /// The bits of an `f64` as `i64`; of an `f32`, zero-extended.
    pub(super) fn bits(self) -> Scalar<'c> {
        Scalar::new(self.code, self.code.typed(Prim::Bitcast, DType::I64, &[self.id]))
    }

    /// The `f64` with these bits.
    pub(super) fn float(self) -> Scalar<'c> {
        Scalar::new(self.code, self.code.typed(Prim::Bitcast, DType::F64, &[self.id]))
    }

    /// The `f32` with these low 32 bits.
    pub(super) fn float32(self) -> Scalar<'c> {
        Scalar::new(self.code, self.code.typed(Prim::Bitcast, DType::F32, &[self.id]))
    }

    /// The `f32` nearest to an `i64`.
    pub(super) fn to_f32(self) -> Scalar<'c> {
        Scalar::new(self.code, self.code.convert(self.id, DType::F32))
    }

    /// The `f64` nearest to an `i64` or `bool`.
    pub(super) fn to_f64(self) -> Scalar<'c> {
        Scalar::new(self.code, self.code.convert(self.id, DType::F64))
    }

    /// The `i64` at an `f64` of integer value, or of a `bool`.
    pub(super) fn to_i64(self) -> Scalar<'c> {
        Scalar::new(self.code, self.code.convert(self.id, DType::I64))
    }

    /// Integer shift left by a constant or an integer in `0..64`.
    pub(super) fn shl(self, by: impl Operand<'c>) -> Scalar<'c> {
        self.with(Prim::ShiftLeft, &[by.beside(self)])
    }

    /// Logical integer shift right.
    pub(super) fn shr(self, by: impl Operand<'c>) -> Scalar<'c> {
        self.with(Prim::ShiftRight, &[by.beside(self)])
    }

    /// High half of the unsigned product of two integers.
    pub(super) fn mulhi(self, other: Scalar<'c>) -> Scalar<'c> {
        self.with(Prim::MulHi, &[other])
    }
}

/// What may stand beside a scalar in a formula: another scalar, or a constant of its type.
pub(super) trait Operand<'c>: Copy {
    fn beside(self, scalar: Scalar<'c>) -> Scalar<'c>;
}

impl<'c> Operand<'c> for Scalar<'c> {
    fn beside(self, _scalar: Scalar<'c>) -> Scalar<'c> {
        self
    }
}

impl<'c> Operand<'c> for f64 {
    fn beside(self, scalar: Scalar<'c>) -> Scalar<'c> {
        scalar.number(self)
    }
}

impl<'c> Operand<'c> for i64 {
    fn beside(self, scalar: Scalar<'c>) -> Scalar<'c> {
        scalar.integer(self)
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident),*) => {$(
        impl<'c, T: Operand<'c>> $trait<T> for Scalar<'c> {
            type Output = Scalar<'c>;
            fn $method(self, other: T) -> Scalar<'c> {
                self.with(operators!(@ $trait), &[other.beside(self)])
            }
        }
    )*};
    (@ Add) => { Prim::Add };
    (@ Sub) => { Prim::Sub };
    (@ Mul) => { Prim::Mul };
    (@ Div) => { Prim::Div };
    (@ BitAnd) => { Prim::And };
    (@ BitOr) => { Prim::Or };
    (@ BitXor) => { Prim::Xor };
}
operators!(Add add, Sub sub, Mul mul, Div div, BitAnd bitand, BitOr bitor, BitXor bitxor);

macro_rules! literal_first {
    ($($trait:ident $method:ident),*) => {$(
        impl<'c> $trait<Scalar<'c>> for f64 {
            type Output = Scalar<'c>;
            fn $method(self, other: Scalar<'c>) -> Scalar<'c> {
                $trait::$method(other.number(self), other)
            }
        }
    )*};
}
literal_first!(Add add, Sub sub, Mul mul, Div div);

impl<'c> Neg for Scalar<'c> {
    type Output = Scalar<'c>;
    fn neg(self) -> Scalar<'c> {
        self.with(Prim::Neg, &[])
    }
}

impl<'c> Not for Scalar<'c> {
    type Output = Scalar<'c>;
    fn not(self) -> Scalar<'c> {
        self.with(Prim::Not, &[])
    }
}

/// `c[0] + c[1]·x + c[2]·x² + …` by Horner's rule.
pub(super) fn polynomial<'c>(x: Scalar<'c>, coefficients: &[f64]) -> Scalar<'c> {
    let (last, rest) = coefficients.split_last().expect("a polynomial has a coefficient");
    rest.iter().rev().fold(x.number(*last), |sum, c| sum.mul_add(x, *c))
}
