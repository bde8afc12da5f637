//! Sums over the lanes, added to memory.

use super::{Allocate, SCRATCH};
use crate::backend::wide::encode::{self as x, Len, Rm};
use crate::backend::wide::vector::{At, Value};

impl Allocate<'_> {
    /// Memory += the sum over the lanes: halves first, then quarters, and so on.
    pub(super) fn sum_one(&mut self, double: bool, len: Len, src: Value, at: At, locked: &mut u32) {
        let from = self.ensure(src, locked);
        let [sum, other] = SCRATCH;
        let (add, scalar_add) = if double { (x::ADD_PD, x::ADD_SD) } else { (x::ADD_PS, x::ADD_SS) };
        let asm = &mut self.asm;
        let mut whole = from;
        if len == Len::Z {
            asm.op(&x::EXTRACT_HALF, Len::Z, from, 0, Rm::Reg(other), Some(1));
            asm.op(&add, Len::Y, sum, from, Rm::Reg(other), None);
            whole = sum;
        }
        asm.op(&x::EXTRACT_QUARTER, Len::Y, whole, 0, Rm::Reg(other), Some(1));
        asm.op(&add, Len::X, sum, whole, Rm::Reg(other), None);
        // The upper 64 bits.
        asm.op(&x::UNPACK_HIGH, Len::X, other, sum, Rm::Reg(sum), None);
        asm.op(&add, Len::X, sum, sum, Rm::Reg(other), None);
        if !double {
            asm.op(&x::SHUFFLE_PS, Len::X, other, sum, Rm::Reg(sum), Some(0x55));
            asm.op(&add, Len::X, sum, sum, Rm::Reg(other), None);
        }
        let mem = Rm::Mem(self.mem(at, false));
        self.asm.op(&scalar_add, Len::X, sum, sum, mem, None);
        let store = if double { x::STORE_SD } else { x::STORE_SS };
        self.asm.op(&store, Len::X, sum, 0, mem, None);
    }

    /// The same for as many neighbours as there are lanes, in the same order: pairs of values are
    /// shuffled so that one addition serves both, until one value has all sums.
    pub(super) fn sum_many(&mut self, double: bool, srcs: &[Value], order: At, at: At, mut locked: u32) {
        let mut regs: Vec<u8> = srcs.iter().map(|src| self.ensure(*src, &mut locked)).collect();
        let add = if double { x::ADD_PD } else { x::ADD_PS };
        let quarters = |low, high| ((x::SHUFFLE_QUARTERS, Some(low)), (x::SHUFFLE_QUARTERS, Some(high)));
        let unpacked = ((x::UNPACK_LOW, None), (x::UNPACK_HIGH, None));
        let pairs = ((x::SHUFFLE_PS, Some(0x88)), (x::SHUFFLE_PS, Some(0xdd)));
        let rounds = match double {
            true => vec![quarters(0x44, 0xee), quarters(0x88, 0xdd), unpacked],
            false => vec![quarters(0x44, 0xee), quarters(0x88, 0xdd), unpacked, pairs],
        };
        let [low, high] = SCRATCH;
        for ((low_form, low_imm), (high_form, high_imm)) in rounds {
            let half = regs.len() / 2;
            for i in 0..half {
                let (a, b) = (regs[i], regs[i + half]);
                self.asm.op(&low_form, Len::Z, low, a, Rm::Reg(b), low_imm);
                self.asm.op(&high_form, Len::Z, high, a, Rm::Reg(b), high_imm);
                self.asm.op(&add, Len::Z, a, low, Rm::Reg(high), None);
            }
            regs.truncate(half);
        }
        let sums = regs[0];
        let order = self.mem(order, false);
        self.asm.op(&x::LOAD, Len::Z, low, 0, Rm::Mem(order), None);
        let permute = if double { x::PERMUTE_PD } else { x::PERMUTE_PS };
        self.asm.op(&permute, Len::Z, sums, low, Rm::Reg(sums), None);
        let mem = Rm::Mem(self.mem(at, false));
        self.asm.op(&add, Len::Z, sums, sums, mem, None);
        self.asm.op(&x::STORE, Len::Z, sums, 0, mem, None);
        self.release(srcs);
    }
}
