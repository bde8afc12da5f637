//! Truth values: comparisons and what is made of them.
//!
//! Where masks have registers of their own, a `bool` is a vector of 32 bits a lane and `allocate` goes to
//! such a register and back. Else the result of a comparison is itself the mask, and comes to another
//! width where it meets lanes of another.

use super::{Parts, Select, Unsupported};
use crate::backend::wide::encode::{self as x, Form};
use crate::backend::wide::machine::Masks;
use crate::backend::wide::vector::{At, Fill, Inst, Value};
use crate::lower::loops::{DType, ScalarId};
use smallvec::{SmallVec, smallvec};

/// Comparisons, false for NaN but the last, which is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Less,
    LessOrEqual,
    Equal,
    Unequal,
}

impl Relation {
    /// The predicate of comparisons of floats.
    fn of_floats(self) -> u8 {
        match self {
            Relation::Less => 0x11,
            Relation::LessOrEqual => 0x12,
            Relation::Equal => 0,
            Relation::Unequal => 4,
        }
    }

    /// That of integers.
    fn of_integers(self) -> u8 {
        match self {
            Relation::Less => 1,
            Relation::LessOrEqual => 2,
            Relation::Equal => 0,
            Relation::Unequal => 4,
        }
    }
}

impl Select<'_> {
    /// Bytes of a lane in a mask that is a vector.
    fn mask_bytes(&self) -> usize {
        self.machine.bytes() / self.lanes
    }

    /// The mask `id` of where `a ? b`, part for part.
    pub(super) fn compare(
        &mut self,
        id: ScalarId,
        from: DType,
        relation: Relation,
        parts: impl Iterator<Item = (Value, Value)>,
    ) -> Result<Parts, Unsupported> {
        let form = match from {
            DType::F64 => x::COMPARE_PD,
            DType::F32 => x::COMPARE_PS,
            DType::I64 => x::COMPARE_Q,
            DType::Bool => crate::bug!("bools are not ordered"),
        };
        let imm = if from.is_float() { relation.of_floats() } else { relation.of_integers() };
        if self.machine.masks == Masks::Registers {
            let dst = self.fresh();
            self.push(Inst::Compare { form, dst, parts: parts.collect(), imm });
            return Ok(smallvec![dst]);
        }
        let mut masks = Parts::new();
        for (a, b) in parts {
            masks.push(if from.is_float() {
                let dst = self.fresh();
                self.push(Inst::Two { form, dst, a, b, imm: Some(imm), commutes: false });
                dst
            } else {
                self.compare_integers(relation, a, b)?
            });
        }
        if from.bytes() == self.mask_bytes() {
            return Ok(masks);
        }
        Ok(smallvec![if from.bytes() == 8 {
            self.wide_masks.insert((id, self.turn), masks.clone());
            self.lower_halves(&masks)
        } else {
            self.signed(masks[0])
        }])
    }

    fn compare_integers(&mut self, relation: Relation, a: Value, b: Value) -> Result<Value, Unsupported> {
        let (mask, is_opposite) = match relation {
            Relation::Less => (self.ordered(x::GREATER_Q, b, a), false),
            Relation::LessOrEqual => (self.ordered(x::GREATER_Q, a, b), true),
            Relation::Equal => (self.pair(x::EQUAL_Q, a, b), false),
            Relation::Unequal => (self.pair(x::EQUAL_Q, a, b), true),
        };
        if !is_opposite {
            return Ok(mask);
        }
        let ones = self.splat4(u32::MAX)?;
        Ok(self.pair(x::XOR_D, mask, ones))
    }

    /// A mask that is a vector, for lanes of as many bytes.
    fn mask_for(&mut self, id: ScalarId, bytes: usize) -> Parts {
        let mask = self.get(id);
        match (bytes, self.mask_bytes()) {
            (8, 4) => match self.wide_masks.get(&(id, self.turn)) {
                Some(wide) => wide.clone(),
                None => {
                    let halves = self.halves(mask[0]);
                    halves.into_iter().map(|half| self.signed(half)).collect()
                }
            },
            (4, 8) => smallvec![self.lower_halves(&mask)],
            _ => mask,
        }
    }

    /// Four bytes to eight, with the sign.
    fn signed(&mut self, a: Value) -> Value {
        let dst = self.fresh();
        self.push(Inst::One { form: x::D_TO_Q_SIGNED, dst, a, imm: None });
        dst
    }

    /// The lower four of each eight bytes, side by side.
    pub(super) fn lower_halves(&mut self, parts: &[Value]) -> Value {
        let (a, b) = (parts[0], *parts.last().expect("a scalar has parts"));
        let (mixed, dst) = (self.fresh(), self.fresh());
        // This leaves a quarter of the first, one of the second, and so again.
        self.push(Inst::Two { form: x::SHUFFLE_PS, dst: mixed, a, b, imm: Some(0x88), commutes: false });
        self.push(Inst::One { form: x::PERMUTE_Q, dst, a: mixed, imm: Some(0xd8) });
        dst
    }

    /// `mask ? a : b`
    pub(super) fn choose(&mut self, mask: Value, a: Value, b: Value) -> Value {
        let dst = self.fresh();
        self.push(Inst::Choose { dst, mask, a, b });
        dst
    }

    pub(super) fn choice(&mut self, to: DType, args: &[ScalarId]) -> Parts {
        let [a, b] = [args[1], args[2]].map(|arg| self.get(arg));
        let pairs = a.into_iter().zip(b);
        if self.machine.masks == Masks::Vectors {
            let bytes = if to == DType::Bool { self.mask_bytes() } else { to.bytes() };
            let masks = self.mask_for(args[0], bytes);
            return pairs.zip(masks).map(|((a, b), mask)| self.choose(mask, a, b)).collect();
        }
        let mask = self.get(args[0])[0];
        let mut parts = Parts::new();
        for (part, (a, b)) in pairs.enumerate() {
            let dst = self.fresh();
            self.push(if to == DType::Bool {
                Inst::Ternary { form: x::TERNARY_D, dst, a: b, b: a, mask, imm: Some(0xd8) }
            } else {
                Inst::Select { double: to.bytes() == 8, part, dst, mask, a, b }
            });
            parts.push(dst);
        }
        parts
    }

    /// 1 where the mask is true, else 0.
    pub(super) fn truth(&mut self, mask: ScalarId, to: DType) -> Result<Parts, Unsupported> {
        let bits = match to {
            DType::F64 => 1.0f64.to_bits(),
            DType::F32 => 1.0f32.to_bits().into(),
            DType::I64 | DType::Bool => 1,
        };
        if to == DType::F32 || self.machine.masks == Masks::Vectors {
            let (one, form): (Value, Form) = match to.bytes() {
                4 => (self.splat4(bits as u32)?, x::AND_D),
                _ => (self.splat8(bits)?, x::AND_Q),
            };
            let masks = match self.machine.masks {
                Masks::Registers => self.get(mask),
                Masks::Vectors => self.mask_for(mask, to.bytes()),
            };
            return Ok(self.with_parts(form, &masks, one));
        }
        let one = self.address_of(bits)?;
        let mask = self.get(mask)[0];
        let mut parts = Parts::new();
        for part in 0..self.parts(to) {
            let dst = self.fresh();
            self.push(Inst::Masked { part, dst, mask, one });
            parts.push(dst);
        }
        Ok(parts)
    }

    /// The mask of bytes 0 or 1, or of one byte for all lanes.
    pub(super) fn load_mask(&mut self, at: At, shared: bool) -> Result<Parts, Unsupported> {
        let dst = self.fresh();
        if self.machine.masks == Masks::Registers {
            let len = self.len(DType::F32);
            self.push(if shared { Inst::SplatMask { dst, at } } else { Inst::LoadMask { dst, at, len } });
            return Ok(smallvec![dst]);
        }
        let (fill, minus) = match (shared, self.mask_bytes()) {
            (true, _) => (Fill::Splat1, x::SUB_B),
            (false, 4) => (Fill::Bytes4, x::SUB_D),
            (false, _) => (Fill::Bytes8, x::SUB_Q),
        };
        self.push(Inst::Load { dst, at, fill });
        let zero = self.splat4(0)?;
        Ok(smallvec![self.ordered(minus, zero, dst)])
    }

    pub(super) fn store_mask(&mut self, at: At, mask: Value) -> Result<(), Unsupported> {
        if self.machine.masks == Masks::Registers {
            let len = self.len(DType::F32);
            self.push(Inst::StoreMask { src: mask, at, len });
            return Ok(());
        }
        let fours = if self.mask_bytes() == 8 { self.lower_halves(&[mask]) } else { mask };
        let halves: SmallVec<[Value; 2]> = self.halves(fours);
        let twos = self.ordered(x::PACK_D, halves[0], *halves.last().expect("one or two"));
        let ones = self.ordered(x::PACK_W, twos, twos);
        let one = self.splat4(0x0101_0101)?;
        let src = self.pair(x::AND_D, ones, one);
        let fill = if self.lanes == 8 { Fill::Splat8 } else { Fill::Splat4 };
        self.push(Inst::Store { src, at, fill });
        Ok(())
    }
}
