//! Each instruction in machine code.

use super::{Allocate, SCRATCH};
use crate::backend::wide::encode::{self as x, Form, Len, Mask, Mem, RAX, Rm};
use crate::backend::wide::vector::{At, Fill, Inst, Value, sources};

impl Allocate<'_> {
    pub(super) fn inst(&mut self, inst: &Inst) {
        // Operands stay where they are until the instruction is done with them.
        let mut locked = 0;
        sources(inst, &mut |value| {
            if let Some(reg) = self.reg_of[value] {
                locked |= 1 << reg;
            }
        });
        match inst {
            Inst::Two { form, dst, a, b, imm, commutes } => {
                let (mut a, mut b) = (*a, *b);
                if *commutes && self.reg_of[a].is_none() && self.reg_of[b].is_some() {
                    (a, b) = (b, a);
                }
                let left = self.ensure(a, &mut locked);
                let right = self.operand(b, form.element(), &mut locked);
                self.release(&[a, b]);
                let reg = self.result(*dst, self.still(locked));
                self.asm.op(form, Len::Z, reg, left, right, *imm);
            }
            Inst::One { form, dst, a, imm } => {
                let exact = matches!(*form, x::SQRT_PS | x::SQRT_PD | x::ROUND_PS | x::ROUND_PD);
                let from = match exact {
                    true => self.operand(*a, form.element(), &mut locked),
                    false => Rm::Reg(self.ensure(*a, &mut locked)),
                };
                self.release(&[*a]);
                let reg = self.result(*dst, self.still(locked));
                match (*form, from) {
                    (x::Q_TO_D, Rm::Reg(from)) => {
                        self.asm.op(form, Len::Z, from, 0, Rm::Reg(reg), *imm);
                    }
                    _ => self.asm.op(form, Len::Z, reg, 0, from, *imm),
                }
            }
            Inst::Fma { double, negative, minus, dst, a, b, c } => {
                self.fma((*double, *negative, *minus), *dst, (*a, *b, *c), locked);
            }
            Inst::Ternary { form, dst, a, b, mask, imm } => {
                let regs = [*a, *b].map(|value| self.ensure(value, &mut locked));
                let mask_rm = Rm::Reg(self.ensure(*mask, &mut locked));
                let _ = mask_rm;
                // The first operand is overwritten.
                self.asm.op(&x::MOVE, Len::Z, SCRATCH[0], 0, Rm::Reg(regs[0]), None);
                self.asm.op(form, Len::Z, SCRATCH[0], regs[1], mask_rm, Some(*imm));
                self.release(&[*a, *b, *mask]);
                self.scratch_to(*dst);
            }
            Inst::Shift { form, op, dst, a, by } => {
                let from = self.ensure(*a, &mut locked);
                self.release(&[*a]);
                let reg = self.result(*dst, self.still(locked));
                self.asm.op(form, Len::Z, *op, reg, Rm::Reg(from), Some(*by));
            }
            Inst::Upper { dst, a } => {
                let from = self.ensure(*a, &mut locked);
                self.release(&[*a]);
                let reg = self.result(*dst, self.still(locked));
                self.asm.op(&x::EXTRACT_HALF, Len::Z, from, 0, Rm::Reg(reg), Some(1));
            }
            Inst::Compare { form, dst, parts, imm } => {
                for (part, (a, b)) in parts.iter().enumerate() {
                    let left = self.ensure(*a, &mut locked);
                    let right = self.operand(*b, form.element(), &mut locked);
                    self.asm.op(form, Len::Z, 1 + part as u8, left, right, Some(*imm));
                }
                let all: Vec<Value> = parts.iter().flat_map(|(a, b)| [*a, *b]).collect();
                self.release(&all);
                if parts.len() == 2 {
                    self.asm.mask_join(1, 2, 1);
                }
                let reg = self.result(*dst, 0);
                self.asm.op(&x::MASK_TO_D, Len::Z, reg, 0, Rm::Reg(1), None);
            }
            Inst::Select { double, part, dst, mask, a, b } => {
                let form = if *double { x::BLEND_PD } else { x::BLEND_PS };
                let mask_reg = self.ensure(*mask, &mut locked);
                self.mask(mask_reg, *part);
                let no = self.ensure(*b, &mut locked);
                let yes = self.operand(*a, form.element(), &mut locked);
                self.release(&[*a, *b, *mask]);
                let reg = self.result(*dst, self.still(locked));
                self.asm.masked(&form, Len::Z, reg, no, yes, Mask { k: 1, zero: false }, None);
            }
            Inst::Masked { part, dst, mask, one } => {
                let mask_reg = self.ensure(*mask, &mut locked);
                self.mask(mask_reg, *part);
                self.release(&[*mask]);
                let reg = self.result(*dst, 0);
                let mem = Rm::Mem(self.mem(*one, false));
                self.asm.masked(&x::BROADCAST_SD, Len::Z, reg, 0, mem, Mask { k: 1, zero: true }, None);
            }
            Inst::ToInteger { dst, a, limit, most } => {
                let from = self.ensure(*a, &mut locked);
                // NaN is unordered with itself, and gives 0.
                self.asm.op(&x::COMPARE_PD, Len::Z, 1, from, Rm::Reg(from), Some(7));
                let ordered = Mask { k: 1, zero: true };
                self.asm.masked(&x::PD_TO_Q, Len::Z, SCRATCH[0], 0, Rm::Reg(from), ordered, None);
                let limit = Rm::Mem(self.mem(*limit, true));
                self.asm.op(&x::COMPARE_PD, Len::Z, 1, from, limit, Some(0x1d));
                let most = Rm::Mem(self.mem(*most, true));
                let above = Mask { k: 1, zero: false };
                self.asm.masked(&x::BLEND_PD, Len::Z, SCRATCH[0], SCRATCH[0], most, above, None);
                self.release(&[*a]);
                self.scratch_to(*dst);
            }
            Inst::Load { dst, at, fill } => {
                let reg = self.result(*dst, 0);
                self.fill(reg, *at, *fill);
            }
            Inst::LoadMask { dst, at, len } => {
                let reg = self.result(*dst, 0);
                let mem = Rm::Mem(self.mem(*at, false));
                self.asm.op(&x::B_TO_D, *len, reg, 0, mem, None);
                self.asm.op(&x::TEST_D, Len::Z, 1, reg, Rm::Reg(reg), None);
                self.asm.op(&x::MASK_TO_D, Len::Z, reg, 0, Rm::Reg(1), None);
            }
            Inst::SplatMask { dst, at } => {
                let reg = self.result(*dst, 0);
                let (base, disp) = self.address(*at);
                self.asm.load_byte(RAX, base, disp);
                self.asm.negate(RAX);
                self.asm.op(&x::BROADCAST_D_GPR, Len::Z, reg, 0, Rm::Reg(RAX), None);
            }
            Inst::Gather { double, dst, index, at } => {
                let from = self.ensure(*index, &mut locked);
                let address = self.address(*at);
                self.asm.mask_all(1);
                let form = if *double { x::GATHER_PD } else { x::GATHER_PS };
                self.asm.indexed(&form, Len::Z, SCRATCH[0], from, address, 1);
                self.release(&[*index]);
                self.scratch_to(*dst);
            }
            Inst::Scatter { double, src, index, at } => {
                let [src_reg, index_reg] = [*src, *index].map(|value| self.ensure(value, &mut locked));
                let address = self.address(*at);
                self.asm.mask_all(1);
                let form = if *double { x::SCATTER_PD } else { x::SCATTER_PS };
                self.asm.indexed(&form, Len::Z, src_reg, index_reg, address, 1);
                self.release(&[*src, *index]);
            }
            Inst::Store { src, at, fill } => {
                let from = self.ensure(*src, &mut locked);
                let mem = Rm::Mem(self.mem(*at, false));
                match fill {
                    Fill::Full(len) => self.asm.op(&x::STORE, *len, from, 0, mem, None),
                    Fill::Splat4 => self.asm.op(&x::STORE_SS, Len::X, from, 0, mem, None),
                    Fill::Splat8 => self.asm.op(&x::STORE_SD, Len::X, from, 0, mem, None),
                }
                self.release(&[*src]);
            }
            Inst::StoreMask { src, at, len } => {
                let from = self.ensure(*src, &mut locked);
                self.asm.op(&x::SHIFT_D, Len::Z, 2, SCRATCH[0], Rm::Reg(from), Some(31));
                let mem = Rm::Mem(self.mem(*at, false));
                self.asm.op(&x::D_TO_B, *len, SCRATCH[0], 0, mem, None);
                self.release(&[*src]);
            }
            Inst::Sum { double, len, srcs, order, at } => {
                let whole = srcs.len() == if *double { 8 } else { 16 } && *len == Len::Z;
                let alone = |value: &Value, rest: &[Value]| !rest.contains(value);
                let apart = (0..srcs.len()).all(|i| alone(&srcs[i], &srcs[i + 1..]));
                if whole && apart && srcs.iter().all(|src| self.is_dead(*src)) {
                    self.sum_many(*double, srcs, *order, *at, locked);
                } else {
                    for (i, src) in srcs.iter().enumerate() {
                        let element = if *double { 8 } else { 4 };
                        let at = At { disp: at.disp + i as i32 * element, ..*at };
                        self.sum_one(*double, *len, *src, at, &mut locked);
                    }
                    self.release(srcs);
                }
            }
            Inst::Begin { number } => self.begin(*number),
            Inst::End { number } => self.end(*number),
        }
    }

    /// Moves the first scratch register to where `dst` is to be.
    pub(super) fn scratch_to(&mut self, dst: Value) {
        let reg = self.result(dst, 0);
        self.asm.op(&x::MOVE, Len::Z, reg, 0, Rm::Reg(SCRATCH[0]), None);
    }

    /// Mask register 1 from a mask of 32 bits a lane, from lane `8·part` on.
    pub(super) fn mask(&mut self, reg: u8, part: usize) {
        self.asm.op(&x::D_TO_MASK, Len::Z, 1, 0, Rm::Reg(reg), None);
        if part == 1 {
            self.asm.mask_high(1, 1);
        }
    }

    pub(super) fn fma(
        &mut self,
        signs: (bool, bool, bool),
        dst: Value,
        (a, b, c): (Value, Value, Value),
        mut locked: u32,
    ) {
        let element = if signs.0 { 8 } else { 4 };
        // A factor that stays in memory is the last operand.
        let (a, b) = if self.reg_of[a].is_none() && self.reg_of[b].is_some() { (b, a) } else { (a, b) };
        let dies = |this: &mut Self, value: Value, others: [Value; 2]| {
            this.reg_of[value].is_some() && !others.contains(&value) && this.is_dead(value)
        };
        if dies(self, c, [a, b]) {
            let sum = self.reg_of[c].expect("it dies in a register");
            let left = self.ensure(a, &mut locked);
            let right = self.operand(b, element, &mut locked);
            self.asm.op(&fused(signs, 231), Len::Z, sum, left, right, None);
            self.release(&[a, b, c]);
            self.owned_by(sum, dst);
        } else if dies(self, a, [b, c]) || dies(self, b, [a, c]) {
            let (a, b) = if dies(self, a, [b, c]) { (a, b) } else { (b, a) };
            let product = self.reg_of[a].expect("it dies in a register");
            let (form, second, last) = match self.reg_of[b] {
                Some(_) => (213, b, c),
                None => (132, c, b),
            };
            let second = self.ensure(second, &mut locked);
            let last = self.operand(last, element, &mut locked);
            self.asm.op(&fused(signs, form), Len::Z, product, second, last, None);
            self.release(&[a, b, c]);
            self.owned_by(product, dst);
        } else {
            let left = self.ensure(a, &mut locked);
            let right = self.operand(b, element, &mut locked);
            let sum = self.operand(c, element, &mut locked);
            let into = self.take(locked);
            match sum {
                Rm::Reg(reg) => self.asm.op(&x::MOVE, Len::Z, into, 0, Rm::Reg(reg), None),
                Rm::Mem(mem) if mem.broadcast => {
                    let form = if element == 8 { x::BROADCAST_SD } else { x::BROADCAST_SS };
                    let mem = Rm::Mem(Mem { broadcast: false, ..mem });
                    self.asm.op(&form, Len::Z, into, 0, mem, None);
                }
                mem => self.asm.op(&x::LOAD, Len::Z, into, 0, mem, None),
            }
            // Addresses beyond those in registers share one.
            let right = match right {
                Rm::Mem(Mem { base: RAX, .. }) => self.operand(b, element, &mut locked),
                other => other,
            };
            self.asm.op(&fused(signs, 231), Len::Z, into, left, right, None);
            self.release(&[a, b, c]);
            self.owned_by(into, dst);
        }
    }

    /// The register has a new value.
    pub(super) fn owned_by(&mut self, reg: u8, dst: Value) {
        self.owner[reg as usize] = None;
        if !self.is_dead(dst) {
            self.hold(dst, reg);
        }
    }
}

/// `±a·b ± c` in one of its three orders.
fn fused((double, negative, minus): (bool, bool, bool), order: u32) -> Form {
    let forms: [Form; 6] = match (negative, minus) {
        (false, false) => {
            [x::FMADD132_PS, x::FMADD132_PD, x::FMADD213_PS, x::FMADD213_PD, x::FMADD231_PS, x::FMADD231_PD]
        }
        (true, false) => [
            x::FNMADD132_PS,
            x::FNMADD132_PD,
            x::FNMADD213_PS,
            x::FNMADD213_PD,
            x::FNMADD231_PS,
            x::FNMADD231_PD,
        ],
        (false, true) => {
            [x::FMSUB132_PS, x::FMSUB132_PD, x::FMSUB213_PS, x::FMSUB213_PD, x::FMSUB231_PS, x::FMSUB231_PD]
        }
        (true, true) => [
            x::FNMSUB132_PS,
            x::FNMSUB132_PD,
            x::FNMSUB213_PS,
            x::FNMSUB213_PD,
            x::FNMSUB231_PS,
            x::FNMSUB231_PD,
        ],
    };
    let at = match order {
        132 => 0,
        213 => 2,
        _ => 4,
    };
    forms[at + usize::from(double)]
}
