//! Forms that a machine does not have, made of those that it has, to the same bits.

use super::{Parts, Select, Unsupported};
use crate::backend::wide::encode::{self as x, Form};
use crate::backend::wide::vector::{Inst, Value};
use smallvec::smallvec;

const TWO_32: f64 = 4_294_967_296.0;
const TWO_52: f64 = 4_503_599_627_370_496.0;
const TWO_63: f64 = 9_223_372_036_854_775_808.0;
const TWO_84: f64 = TWO_52 * TWO_32;

impl Select<'_> {
    /// `form(a, b)`, of integers where the machine lacks it.
    pub(super) fn binary(&mut self, form: Form, a: Value, b: Value, commutes: bool) -> Value {
        if self.machine.has(&form) {
            let dst = self.fresh();
            self.push(Inst::Two { form, dst, a, b, imm: None, commutes });
            return dst;
        }
        match form {
            x::MUL_Q => self.low_product(a, b),
            x::MIN_Q => {
                let less = self.ordered(x::GREATER_Q, b, a);
                self.choose(less, a, b)
            }
            x::MAX_Q => {
                let greater = self.ordered(x::GREATER_Q, a, b);
                self.choose(greater, a, b)
            }
            other => crate::bug!("`{}` has no other form", other.name),
        }
    }

    /// The low half of a product, from products of halves of the factors.
    fn low_product(&mut self, a: Value, b: Value) -> Value {
        let (a_high, b_high) = (self.shifted(a), self.shifted(b));
        let [low, first, second] =
            [(a, b), (a, b_high), (a_high, b)].map(|(a, b)| self.pair(x::MUL_UDQ, a, b));
        let high = self.pair(x::ADD_Q, first, second);
        let high = self.shifted_up(high);
        self.pair(x::ADD_Q, low, high)
    }

    /// `a << 32`
    fn shifted_up(&mut self, a: Value) -> Value {
        let dst = self.fresh();
        self.push(Inst::Shift { form: x::SHIFT_Q, op: 6, dst, a, by: 32 });
        dst
    }

    /// The nearest `f64` of integers.
    pub(super) fn doubles(&mut self, parts: &[Value]) -> Result<Parts, Unsupported> {
        if self.machine.has(&x::Q_TO_PD) {
            return Ok(self.each(parts, |dst, a| Inst::One { form: x::Q_TO_PD, dst, a, imm: None }));
        }
        parts.iter().map(|part| self.double(*part)).collect()
    }

    /// `a = 2^32 h + l` with `h` signed: the bits of `2^84 + 2^32 (h + 2^31)` and `2^52 + l` are at hand,
    /// the difference of the first and `2^84 + 2^63 + 2^52` is exact, and only the sum of both is rounded.
    fn double(&mut self, a: Value) -> Result<Value, Unsupported> {
        let low = self.splat8(u64::from(u32::MAX))?;
        let low_exponent = self.splat8(TWO_52.to_bits())?;
        let high_exponent = self.splat8((TWO_84 + TWO_63).to_bits())?;
        let all = self.splat8((TWO_84 + TWO_63 + TWO_52).to_bits())?;
        let l = self.pair(x::AND_Q, a, low);
        let l = self.pair(x::OR_Q, l, low_exponent);
        let h = self.shifted(a);
        let h = self.pair(x::XOR_Q, h, high_exponent);
        let h = self.ordered(x::SUB_PD, h, all);
        Ok(self.pair(x::ADD_PD, h, l))
    }

    /// The nearest `f32` of integers.
    pub(super) fn singles(&mut self, parts: &[Value]) -> Result<Parts, Unsupported> {
        if self.machine.has(&x::Q_TO_PS) {
            return Ok(self.narrowed(x::Q_TO_PS, parts));
        }
        let doubles: Result<Parts, Unsupported> = parts.iter().map(|part| self.nearly(*part)).collect();
        Ok(self.narrowed(x::PD_TO_PS, &doubles?))
    }

    /// An `f64` that has the nearest `f32` of `a`. Beyond 53 bits the last of those that are kept says
    /// whether any that is not is set, so that a tie is seen as one; the others are exact.
    fn nearly(&mut self, a: Value) -> Result<Value, Unsupported> {
        const DROPPED: u64 = 0x7ff;
        let dropped = self.splat8(DROPPED)?;
        let kept = self.splat8(!DROPPED)?;
        let any = self.pair(x::AND_Q, a, dropped);
        let any = self.pair(x::ADD_Q, any, dropped);
        let rounded = self.pair(x::OR_Q, a, any);
        let rounded = self.pair(x::AND_Q, rounded, kept);
        let (most, least) = (self.splat8(1 << 53)?, self.splat8((-1i64 << 53) as u64)?);
        let above = self.ordered(x::GREATER_Q, a, most);
        let below = self.ordered(x::GREATER_Q, least, a);
        let outside = self.pair(x::OR_Q, above, below);
        let a = self.choose(outside, rounded, a);
        self.double(a)
    }

    /// Floats to integers, cut off and saturated; NaN gives 0.
    pub(super) fn integers(&mut self, parts: &[Value]) -> Result<Parts, Unsupported> {
        if self.machine.has(&x::PD_TO_Q) {
            let limit = self.address_of(TWO_63.to_bits())?;
            let most = self.address_of(i64::MAX as u64)?;
            return Ok(self.each(parts, |dst, a| Inst::ToInteger { dst, a, limit, most }));
        }
        parts.iter().map(|part| self.integer(*part)).collect()
    }

    /// `a = 2^32 h + l` with integers `|h| <= 2^31` and `0 <= l < 2^32`, all steps exact.
    fn integer(&mut self, a: Value) -> Result<Value, Unsupported> {
        let least = self.splat8((-TWO_63).to_bits())?;
        let inverse = self.splat8((1.0 / TWO_32).to_bits())?;
        let (two_32, two_52) = (self.splat8(TWO_32.to_bits())?, self.splat8(TWO_52.to_bits())?);
        let (limit, most) = (self.splat8(TWO_63.to_bits())?, self.splat8(i64::MAX as u64)?);
        // NaN becomes the second operand.
        let whole = self.ordered(x::MAX_PD, a, least);
        let whole = self.rounded(whole, 11);
        let high = self.pair(x::MUL_PD, whole, inverse);
        let high = self.rounded(high, 9);
        let low = self.fresh();
        self.push(Inst::Fma {
            double: true,
            negative: true,
            minus: false,
            dst: low,
            a: high,
            b: two_32,
            c: whole,
        });
        // The bits of an integer below 2^52 stand at the end of its sum with that.
        let low = self.pair(x::ADD_PD, low, two_52);
        let low = self.pair(x::XOR_Q, low, two_52);
        let [fours, high_bits] = [self.fresh(), self.fresh()];
        self.push(Inst::One { form: x::PD_TO_D, dst: fours, a: high, imm: None });
        self.push(Inst::One { form: x::D_TO_Q, dst: high_bits, a: fours, imm: None });
        let high_bits = self.shifted_up(high_bits);
        let all = self.pair(x::OR_Q, high_bits, low);
        let above = self.compared(a, limit, 0x1d);
        let all = self.choose(above, most, all);
        let is_number = self.compared(a, a, 7);
        Ok(self.pair(x::AND_Q, all, is_number))
    }

    fn rounded(&mut self, a: Value, mode: u8) -> Value {
        let dst = self.fresh();
        self.push(Inst::One { form: x::ROUND_PD, dst, a, imm: Some(mode) });
        dst
    }

    fn compared(&mut self, a: Value, b: Value, imm: u8) -> Value {
        let dst = self.fresh();
        self.push(Inst::Two { form: x::COMPARE_PD, dst, a, b, imm: Some(imm), commutes: false });
        dst
    }

    /// The lower halves of integers.
    pub(super) fn fours(&mut self, parts: &[Value]) -> Parts {
        match self.machine.has(&x::Q_TO_D) {
            true => self.narrowed(x::Q_TO_D, parts),
            false => smallvec![self.lower_halves(parts)],
        }
    }

    /// The magnitude of `a` with the sign of `b`.
    pub(super) fn with_sign(&mut self, wide: bool, a: Value, b: Value) -> Result<Value, Unsupported> {
        let mask = self.sign(wide)?;
        let [form, and, or] = match wide {
            true => [x::TERNARY_Q, x::AND_Q, x::OR_Q],
            false => [x::TERNARY_D, x::AND_D, x::OR_D],
        };
        if self.machine.has(&form) {
            let dst = self.fresh();
            self.push(Inst::Ternary { form, dst, a, b, mask, imm: Some(0xd8) });
            return Ok(dst);
        }
        let rest = self.all_but_sign(wide)?;
        let (a, b) = (self.pair(and, a, rest), self.pair(and, b, mask));
        Ok(self.pair(or, a, b))
    }
}
