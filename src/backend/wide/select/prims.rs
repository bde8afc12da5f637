//! Scalar primitives as instructions on vectors.

use super::masks::Relation;
use super::{Parts, Select, Unsupported};
use crate::backend::wide::encode::{self as x, Form};
use crate::backend::wide::vector::{Home, Inst, Value};
use crate::lower::loops::{DType, Prim, ScalarId};
use smallvec::{SmallVec, smallvec};

/// Integers of which the lower halves are held side by side as well.
pub(super) struct Narrow {
    low: Value,
    /// Whether the upper halves are 0.
    is_all: bool,
}

impl Select<'_> {
    pub(super) fn prim(&mut self, id: ScalarId, prim: Prim, args: &[ScalarId]) -> Result<Parts, Unsupported> {
        let to = self.dtype(id);
        let from = args.first().map_or(to, |arg| self.dtype(*arg));
        let wide = from.bytes() == 8;
        let of = |single: Form, double: Form| if wide { double } else { single };
        match prim {
            Prim::Const(bits) => {
                self.constants.insert(id, bits);
                let value = match to {
                    DType::F64 | DType::I64 => self.splat8(bits)?,
                    DType::F32 => self.splat4(bits as u32)?,
                    DType::Bool => self.splat4(if bits == 0 { 0 } else { u32::MAX })?,
                };
                Ok(SmallVec::from_elem(value, self.parts(to)))
            }
            Prim::Counter(var) => {
                if let Some(parts) = self.counted(var)? {
                    return Ok(parts);
                }
                let value = self.value(Home::Counter(var));
                if !self.out.counted.contains(&var) {
                    self.out.counted.push(var);
                }
                Ok(SmallVec::from_elem(value, self.parts(to)))
            }
            Prim::Add if from.is_float() => Ok(self.two(of(x::ADD_PS, x::ADD_PD), args, true)),
            Prim::Sub if from.is_float() => Ok(self.two(of(x::SUB_PS, x::SUB_PD), args, false)),
            Prim::Mul if from.is_float() => Ok(self.two(of(x::MUL_PS, x::MUL_PD), args, true)),
            Prim::Min if from.is_float() => Ok(self.two(of(x::MIN_PS, x::MIN_PD), args, false)),
            Prim::Max if from.is_float() => Ok(self.two(of(x::MAX_PS, x::MAX_PD), args, false)),
            Prim::Add => Ok(self.two(x::ADD_Q, args, true)),
            Prim::Sub => Ok(self.two(x::SUB_Q, args, false)),
            Prim::Mul => Ok(self.two(x::MUL_Q, args, true)),
            Prim::Min => Ok(self.two(x::MIN_Q, args, true)),
            Prim::Max => Ok(self.two(x::MAX_Q, args, true)),
            Prim::Div => Ok(self.two(of(x::DIV_PS, x::DIV_PD), args, false)),
            Prim::Fma => self.fma(wide, args),
            Prim::Sqrt => Ok(self.one(of(x::SQRT_PS, x::SQRT_PD), args[0], None)),
            Prim::Floor => Ok(self.one(of(x::ROUND_PS, x::ROUND_PD), args[0], Some(9))),
            Prim::Round => Ok(self.one(of(x::ROUND_PS, x::ROUND_PD), args[0], Some(8))),
            Prim::Neg if from.is_float() => {
                self.negated.insert(id, args[0]);
                let sign = self.sign(wide)?;
                Ok(self.with(of(x::XOR_D, x::XOR_Q), args[0], sign))
            }
            Prim::Neg => {
                let zero = self.splat8(0)?;
                let a = self.get(args[0]);
                Ok(self.each(&a, |dst, b| Inst::Two {
                    form: x::SUB_Q,
                    dst,
                    a: zero,
                    b,
                    imm: None,
                    commutes: false,
                }))
            }
            Prim::Abs => {
                let rest = self.all_but_sign(wide)?;
                Ok(self.with(of(x::AND_D, x::AND_Q), args[0], rest))
            }
            Prim::CopySign => {
                let (a, b) = (self.get(args[0]), self.get(args[1]));
                a.into_iter().zip(b).map(|(a, b)| self.with_sign(wide, a, b)).collect()
            }
            Prim::Lt | Prim::Le | Prim::Eq if from == DType::Bool => {
                // Only equality is defined on bools.
                let differ = self.two(x::XOR_D, args, true);
                let ones = self.splat4(u32::MAX)?;
                Ok(self.with_parts(x::XOR_D, &differ, ones))
            }
            Prim::Lt | Prim::Le | Prim::Eq => {
                let relation = match prim {
                    Prim::Lt => Relation::Less,
                    Prim::Le => Relation::LessOrEqual,
                    _ => Relation::Equal,
                };
                let pairs = self.get(args[0]).into_iter().zip(self.get(args[1]));
                self.compare(id, from, relation, pairs)
            }
            Prim::And => Ok(self.two(of(x::AND_D, x::AND_Q), args, true)),
            Prim::Or => Ok(self.two(of(x::OR_D, x::OR_Q), args, true)),
            Prim::Xor => Ok(self.two(of(x::XOR_D, x::XOR_Q), args, true)),
            Prim::Not => {
                let ones = if wide { self.splat8(u64::MAX)? } else { self.splat4(u32::MAX)? };
                Ok(self.with(of(x::XOR_D, x::XOR_Q), args[0], ones))
            }
            Prim::Select => Ok(self.choice(to, args)),
            Prim::ShiftLeft => {
                self.shift_narrow(id, args, 6);
                Ok(self.two(x::SHIFT_LEFT_Q, args, false))
            }
            Prim::ShiftRight => {
                self.shift_narrow(id, args, 2);
                Ok(self.two(x::SHIFT_RIGHT_Q, args, false))
            }
            Prim::MulHi => self.high_product(args),
            Prim::Bitcast => Ok(self.bitcast((id, to), from, args[0])),
            Prim::Convert => self.converted((id, to), from, args[0]),
        }
    }

    /// An instruction for each part.
    pub(super) fn each(&mut self, parts: &[Value], inst: impl Fn(Value, Value) -> Inst) -> Parts {
        let mut dsts = Parts::new();
        for part in parts {
            let dst = self.fresh();
            self.push(inst(dst, *part));
            dsts.push(dst);
        }
        dsts
    }

    pub(super) fn one(&mut self, form: Form, a: ScalarId, imm: Option<u8>) -> Parts {
        let a = self.get(a);
        self.each(&a, |dst, a| Inst::One { form, dst, a, imm })
    }

    pub(super) fn two(&mut self, form: Form, args: &[ScalarId], commutes: bool) -> Parts {
        let (a, b) = (self.get(args[0]), self.get(args[1]));
        a.into_iter().zip(b).map(|(a, b)| self.binary(form, a, b, commutes)).collect()
    }

    pub(super) fn with(&mut self, form: Form, a: ScalarId, b: Value) -> Parts {
        let a = self.get(a);
        self.with_parts(form, &a, b)
    }

    pub(super) fn with_parts(&mut self, form: Form, a: &[Value], b: Value) -> Parts {
        self.each(a, |dst, a| Inst::Two { form, dst, a, b, imm: None, commutes: true })
    }

    /// Signs of operands that are negatives go into the instruction.
    pub(super) fn fma(&mut self, double: bool, args: &[ScalarId]) -> Result<Parts, Unsupported> {
        let mut args: [ScalarId; 3] = [args[0], args[1], args[2]];
        let mut signs = [false; 3];
        for (arg, sign) in args.iter_mut().zip(&mut signs) {
            if let Some(positive) = self.negated.get(arg) {
                (*arg, *sign) = (*positive, true);
            }
        }
        let [a, b, c] = args.map(|arg| self.get(arg));
        let (negative, minus) = (signs[0] != signs[1], signs[2]);
        let mut parts = Parts::new();
        for ((a, b), c) in a.into_iter().zip(b).zip(c) {
            let dst = self.fresh();
            self.push(Inst::Fma { double, negative, minus, dst, a, b, c });
            parts.push(dst);
        }
        Ok(parts)
    }

    /// The high half of the product of unsigned integers, from products of their halves.
    pub(super) fn high_product(&mut self, args: &[ScalarId]) -> Result<Parts, Unsupported> {
        let low = self.splat8(u64::from(u32::MAX))?;
        let (a, b) = (self.get(args[0]), self.get(args[1]));
        let mut parts = Parts::new();
        for (a, b) in a.into_iter().zip(b) {
            let (a_high, b_high) = (self.shifted(a), self.shifted(b));
            let [ll, lh, hl, hh] = [(a, b), (a, b_high), (a_high, b), (a_high, b_high)]
                .map(|(a, b)| self.pair(x::MUL_UDQ, a, b));
            let (carry, lh_low, hl_low) =
                (self.shifted(ll), self.pair(x::AND_Q, lh, low), self.pair(x::AND_Q, hl, low));
            let middle = self.pair(x::ADD_Q, carry, lh_low);
            let middle = self.pair(x::ADD_Q, middle, hl_low);
            let (middle, lh_high, hl_high) = (self.shifted(middle), self.shifted(lh), self.shifted(hl));
            let high = self.pair(x::ADD_Q, hh, lh_high);
            let high = self.pair(x::ADD_Q, high, hl_high);
            parts.push(self.pair(x::ADD_Q, high, middle));
        }
        Ok(parts)
    }

    pub(super) fn shifted(&mut self, a: Value) -> Value {
        let dst = self.fresh();
        self.push(Inst::Shift { form: x::SHIFT_Q, op: 2, dst, a, by: 32 });
        dst
    }

    /// `form(a, b)`, the same as `form(b, a)`.
    pub(super) fn pair(&mut self, form: Form, a: Value, b: Value) -> Value {
        let dst = self.fresh();
        self.push(Inst::Two { form, dst, a, b, imm: None, commutes: true });
        dst
    }

    /// `form(a, b)`
    pub(super) fn ordered(&mut self, form: Form, a: Value, b: Value) -> Value {
        let dst = self.fresh();
        self.push(Inst::Two { form, dst, a, b, imm: None, commutes: false });
        dst
    }

    pub(super) fn sign(&mut self, wide: bool) -> Result<Value, Unsupported> {
        if wide { self.splat8(1 << 63) } else { self.splat4(1 << 31) }
    }

    pub(super) fn all_but_sign(&mut self, wide: bool) -> Result<Value, Unsupported> {
        if wide { self.splat8(!(1 << 63)) } else { self.splat4(!(1 << 31)) }
    }

    pub(super) fn bitcast(&mut self, (id, to): (ScalarId, DType), from: DType, arg: ScalarId) -> Parts {
        let a = self.get(arg);
        match (from, to) {
            (DType::F32, DType::I64) => {
                self.narrow.insert((id, self.turn), Narrow { low: a[0], is_all: true });
                let halves = self.halves(a[0]);
                self.each(&halves, |dst, a| Inst::One { form: x::D_TO_Q, dst, a, imm: None })
            }
            (DType::I64, DType::F32) => match self.narrow.get(&(arg, self.turn)) {
                Some(narrow) => smallvec![narrow.low],
                None => self.fours(&a),
            },
            _ => a,
        }
    }

    /// A shift by a constant of an integer whose lower half is known by itself: that of the result, from
    /// it alone, if the upper half has no part in it.
    fn shift_narrow(&mut self, id: ScalarId, args: &[ScalarId], op: u8) {
        let (Some(narrow), Some(by)) = (self.narrow.get(&(args[0], self.turn)), self.constants.get(&args[1]))
        else {
            return;
        };
        let (a, is_all, by, left) = (narrow.low, narrow.is_all, *by, op == 6);
        if by < 32 && (left || is_all) {
            let low = self.fresh();
            self.push(Inst::Shift { form: x::SHIFT_D, op, dst: low, a, by: by as u8 });
            self.narrow.insert((id, self.turn), Narrow { low, is_all: !left });
        }
    }

    /// Eight bytes to four: both halves of the result.
    pub(super) fn narrowed(&mut self, form: Form, a: &[Value]) -> Parts {
        let halves = self.each(a, |dst, a| Inst::One { form, dst, a, imm: None });
        smallvec![self.joined(&halves)]
    }

    pub(super) fn converted(
        &mut self,
        (id, to): (ScalarId, DType),
        from: DType,
        a: ScalarId,
    ) -> Result<Parts, Unsupported> {
        let parts = self.get(a);
        match (from, to) {
            (DType::F64, DType::F64)
            | (DType::F32, DType::F32)
            | (DType::I64, DType::I64)
            | (DType::Bool, DType::Bool) => Ok(parts),
            (DType::F32, DType::F64) => Ok(self.widened(&parts)),
            (DType::F64, DType::F32) => Ok(self.narrowed(x::PD_TO_PS, &parts)),
            (DType::I64, DType::F32) => self.singles(&parts),
            (DType::I64, DType::F64) => self.doubles(&parts),
            (DType::F32, DType::I64) => {
                let wide = self.widened(&parts);
                self.integers(&wide)
            }
            (DType::F64, DType::I64) => self.integers(&parts),
            (DType::F64 | DType::F32 | DType::I64, DType::Bool) => {
                let zero = if from == DType::F32 { self.splat4(0)? } else { self.splat8(0)? };
                let pairs = parts.into_iter().map(|part| (part, zero));
                self.compare(id, from, Relation::Unequal, pairs)
            }
            (DType::Bool, DType::F32 | DType::F64 | DType::I64) => self.truth(a, to),
        }
    }

    pub(super) fn widened(&mut self, parts: &[Value]) -> Parts {
        let halves = self.halves(parts[0]);
        self.each(&halves, |dst, a| Inst::One { form: x::PS_TO_PD, dst, a, imm: None })
    }
}
