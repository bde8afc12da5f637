//! Each instruction in machine code.

use super::{Allocate, FIRST, INDEX};
use crate::backend::wide::encode::{self as x, Form, Gpr, Len, Mask, Mem, RAX, RSP, Rm};
use crate::backend::wide::machine::Masks;
use crate::backend::wide::vector::{At, Fill, Inst, Value, sources};

/// The mask register, or the first of two, of a mask that only chooses.
const DIRECT: u8 = 3;

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
                self.op(form, reg, left, right, *imm);
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
                        self.op(form, from, 0, Rm::Reg(reg), *imm);
                    }
                    _ => self.op(form, reg, 0, from, *imm),
                }
            }
            Inst::Fma { double, negative, minus, dst, a, b, c } => {
                self.fma((*double, *negative, *minus), *dst, (*a, *b, *c), locked);
            }
            Inst::Ternary { form, dst, a, b, mask, imm } => {
                let [first, second] = [*a, *b].map(|value| self.ensure(value, &mut locked));
                let third = self.operand(*mask, form.element(), &mut locked);
                // The first operand is overwritten.
                let into = if self.is_dead(*a) && ![*b, *mask].contains(a) {
                    first
                } else {
                    self.op(&x::MOVE, self.machine.scratch[0], 0, Rm::Reg(first), None);
                    self.machine.scratch[0]
                };
                self.op(form, into, second, third, *imm);
                self.release(&[*a, *b, *mask]);
                if into == first { self.owned_by(into, *dst) } else { self.scratch_to(*dst) }
            }
            Inst::Shift { form, op, dst, a, by } => {
                let from = self.ensure(*a, &mut locked);
                self.release(&[*a]);
                let reg = self.result(*dst, self.still(locked));
                self.op(form, *op, reg, Rm::Reg(from), Some(*by));
            }
            Inst::Upper { dst, a } => {
                let from = self.ensure(*a, &mut locked);
                self.release(&[*a]);
                let reg = self.result(*dst, self.still(locked));
                self.op(&self.machine.extract, from, 0, Rm::Reg(reg), Some(1));
            }
            Inst::Compare { form, dst, parts, imm } => {
                let direct = self.only_chooses(*dst, parts.len());
                let first = if direct { DIRECT } else { 1 };
                for (part, (a, b)) in parts.iter().enumerate() {
                    let left = self.ensure(*a, &mut locked);
                    let right = self.operand(*b, form.element(), &mut locked);
                    self.op(form, first + part as u8, left, right, Some(*imm));
                }
                let all: Vec<Value> = parts.iter().flat_map(|(a, b)| [*a, *b]).collect();
                self.release(&all);
                if direct {
                    self.in_mask = Some(*dst);
                    return;
                }
                if parts.len() == 2 {
                    self.asm.mask_join(1, 2, 1);
                }
                let reg = self.result(*dst, 0);
                self.op(&x::MASK_TO_D, reg, 0, Rm::Reg(1), None);
            }
            Inst::Select { double, part, dst, mask, a, b } => {
                let form = if *double { x::BLEND_PD } else { x::BLEND_PS };
                let k = if self.in_mask == Some(*mask) {
                    DIRECT + *part as u8
                } else {
                    let mask_reg = self.ensure(*mask, &mut locked);
                    self.mask(mask_reg, *part);
                    1
                };
                let no = self.ensure(*b, &mut locked);
                let yes = self.operand(*a, form.element(), &mut locked);
                self.release(&[*a, *b, *mask]);
                let reg = self.result(*dst, self.still(locked));
                self.asm.masked(&form, Len::Z, reg, no, yes, Mask { k, zero: false }, None);
            }
            Inst::Choose { dst, mask, a, b } => {
                let [mask_reg, no] = [*mask, *b].map(|value| self.ensure(value, &mut locked));
                let yes = self.operand(*a, 0, &mut locked);
                self.release(&[*a, *b, *mask]);
                let reg = self.result(*dst, self.still(locked));
                self.op(&x::CHOOSE, reg, no, yes, Some(mask_reg << 4));
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
                let [into, _] = self.machine.scratch;
                // NaN is unordered with itself, and gives 0.
                self.op(&x::COMPARE_PD, 1, from, Rm::Reg(from), Some(7));
                let ordered = Mask { k: 1, zero: true };
                self.asm.masked(&x::PD_TO_Q, Len::Z, into, 0, Rm::Reg(from), ordered, None);
                let limit = Rm::Mem(self.mem(*limit, true));
                self.op(&x::COMPARE_PD, 1, from, limit, Some(0x1d));
                let most = Rm::Mem(self.mem(*most, true));
                let above = Mask { k: 1, zero: false };
                self.asm.masked(&x::BLEND_PD, Len::Z, into, into, most, above, None);
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
                self.op(&x::TEST_D, 1, reg, Rm::Reg(reg), None);
                self.op(&x::MASK_TO_D, reg, 0, Rm::Reg(1), None);
            }
            Inst::SplatMask { dst, at } => {
                let reg = self.result(*dst, 0);
                let (base, disp) = self.address(*at);
                self.asm.load_byte(RAX, base, disp);
                self.asm.negate(RAX);
                self.op(&x::BROADCAST_D_GPR, reg, 0, Rm::Reg(RAX), None);
            }
            Inst::Gather { double, dst, index, at } => {
                let from = self.ensure(*index, &mut locked);
                let address = self.address(*at);
                let form = if *double { x::GATHER_PD } else { x::GATHER_PS };
                let [into, ones] = self.machine.scratch;
                let mask = match self.machine.masks {
                    Masks::Registers => {
                        self.asm.mask_all(1);
                        1
                    }
                    Masks::Vectors => {
                        self.op(&x::EQUAL_D, ones, ones, Rm::Reg(ones), None);
                        ones
                    }
                };
                self.asm.indexed(&form, self.machine.full, into, from, address, mask);
                self.release(&[*index]);
                self.scratch_to(*dst);
            }
            Inst::Scatter { double, src, index, at, lanes } => {
                let [src_reg, index_reg] = [*src, *index].map(|value| self.ensure(value, &mut locked));
                let address = self.address(*at);
                let form = if *double { x::SCATTER_PD } else { x::SCATTER_PS };
                if self.machine.has(&form) {
                    self.asm.mask_set(1, ((1u32 << lanes) - 1) as u16, INDEX);
                    self.asm.indexed(&form, self.machine.full, src_reg, index_reg, address, 1);
                } else {
                    self.scatter_each((*double, *lanes), (src_reg, index_reg), address);
                }
                self.release(&[*src, *index]);
            }
            Inst::Store { src, at, fill } => {
                let from = self.ensure(*src, &mut locked);
                let mem = Rm::Mem(self.mem(*at, false));
                match fill {
                    Fill::Full(len) => self.asm.op(&x::STORE, *len, from, 0, mem, None),
                    Fill::Splat4 => self.asm.op(&x::STORE_SS, Len::X, from, 0, mem, None),
                    Fill::Splat8 => self.asm.op(&x::STORE_SD, Len::X, from, 0, mem, None),
                    Fill::Part { count, double, len, mask } => match self.machine.masks {
                        Masks::Registers => {
                            self.first_lanes(*count);
                            let form = if *double { x::STORE_PD } else { x::STORE };
                            let first = Mask { k: FIRST, zero: false };
                            self.asm.masked(&form, *len, from, 0, mem, first, None);
                        }
                        Masks::Vectors => {
                            let form = if *double { x::MASKED_STORE_PD } else { x::MASKED_STORE_PS };
                            let [aside, _] = self.machine.scratch;
                            self.load_mask(aside, *len, *mask);
                            self.asm.op(&form, *len, from, aside, mem, None);
                        }
                    },
                    Fill::Splat1 | Fill::Bytes4 | Fill::Bytes8 => crate::bug!("bytes are loaded only"),
                }
                if *fill == Fill::Full(self.machine.full) {
                    self.stored(*src, *at);
                }
                self.release(&[*src]);
            }
            Inst::StoreMask { src, at, len } => {
                let from = self.ensure(*src, &mut locked);
                self.op(&x::SHIFT_D, 2, self.machine.scratch[0], Rm::Reg(from), Some(31));
                let mem = Rm::Mem(self.mem(*at, false));
                self.asm.op(&x::D_TO_B, *len, self.machine.scratch[0], 0, mem, None);
                self.release(&[*src]);
            }
            Inst::Sum { double, lanes, parts, srcs, adds, at } => {
                let element = if *double { 8 } else { 4 };
                let in_vector = self.machine.bytes() / element;
                let whole = srcs.len() == in_vector * parts && *lanes == in_vector;
                let alone = |value: &Value, rest: &[Value]| !rest.contains(value);
                let apart = (0..srcs.len()).all(|i| alone(&srcs[i], &srcs[i + 1..]));
                if whole && apart && srcs.iter().all(|src| self.is_dead(*src)) {
                    self.sum_many(*double, *parts, srcs, *adds, *at, locked);
                } else {
                    for (i, parts) in srcs.chunks(*parts).enumerate() {
                        let at = At { disp: at.disp + (i * element) as i32, ..*at };
                        self.sum_one(*double, *lanes, parts, *adds, at, &mut locked);
                    }
                    self.release(srcs);
                }
            }
            Inst::Begin { number } => self.begin(*number),
            Inst::End { number } => self.end(*number),
        }
    }

    /// Whether a mask of as many parts, which the instruction in hand makes, serves choices alone that come
    /// before the next comparison: then it stays in mask registers.
    fn only_chooses(&self, mask: Value, n_parts: usize) -> bool {
        let uses = &self.uses[mask];
        let chooses = |at: &u32| match &self.vectors.insts[*at as usize] {
            Inst::Select { double, part, mask: of, a, b, .. } => {
                *of == mask && *a != mask && *b != mask && if n_parts == 2 { *double } else { *part == 0 }
            }
            _ => false,
        };
        let Some(last) = uses.last() else { return false };
        uses.iter().all(chooses)
            && !self.vectors.insts[self.now + 1..*last as usize]
                .iter()
                .any(|inst| matches!(inst, Inst::Compare { .. } | Inst::Begin { .. } | Inst::End { .. }))
    }

    /// Stores the elements of a vector one by one.
    fn scatter_each(&mut self, (double, lanes): (bool, usize), (src, index): (u8, u8), address: (Gpr, i32)) {
        let bytes = self.machine.bytes() as i32;
        let aside = match self.aside {
            Some(slots) => slots,
            None => [self.slot(bytes), self.slot(bytes)],
        };
        self.aside = Some(aside);
        self.store_slot(src, aside[0]);
        self.store_slot(index, aside[1]);
        let [element, _] = self.machine.scratch;
        let (size, load, store) =
            if double { (8, x::BROADCAST_SD, x::STORE_SD) } else { (4, x::BROADCAST_SS, x::STORE_SS) };
        for lane in 0..lanes as i32 {
            self.asm.load(INDEX, RSP, aside[1] + 8 * lane);
            let mem = Mem { base: RSP, disp: aside[0] + size * lane, broadcast: false };
            self.op(&load, element, 0, Rm::Mem(mem), None);
            self.asm.indexed(&store, Len::X, element, INDEX, address, 0);
        }
    }

    /// Moves the first scratch register to where `dst` is to be.
    pub(super) fn scratch_to(&mut self, dst: Value) {
        let reg = self.result(dst, 0);
        self.op(&x::MOVE, reg, 0, Rm::Reg(self.machine.scratch[0]), None);
    }

    /// Mask register 1 from a mask of 32 bits a lane, from lane `8·part` on.
    pub(super) fn mask(&mut self, reg: u8, part: usize) {
        self.op(&x::D_TO_MASK, 1, 0, Rm::Reg(reg), None);
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
        let (a, b) = match (self.reg_of[a], self.reg_of[b]) {
            (None, Some(_)) => (b, a),
            // The one that is wanted later.
            (None, None) if self.next_use(b).is_some_and(|b| self.next_use(a).is_none_or(|a| b < a)) => {
                (b, a)
            }
            _ => (a, b),
        };
        let dies = |this: &mut Self, value: Value, others: [Value; 2]| {
            this.reg_of[value].is_some() && !others.contains(&value) && this.is_dead(value)
        };
        if dies(self, c, [a, b]) {
            let sum = self.reg_of[c].expect("it dies in a register");
            let left = self.ensure(a, &mut locked);
            let right = self.operand(b, element, &mut locked);
            self.op(&fused(signs, 231), sum, left, right, None);
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
            self.op(&fused(signs, form), product, second, last, None);
            self.release(&[a, b, c]);
            self.owned_by(product, dst);
        } else {
            let left = self.ensure(a, &mut locked);
            let right = self.operand(b, element, &mut locked);
            let sum = self.operand(c, element, &mut locked);
            let into = self.take(locked);
            locked |= 1 << into;
            match sum {
                Rm::Reg(reg) => self.op(&x::MOVE, into, 0, Rm::Reg(reg), None),
                Rm::Mem(mem) if mem.broadcast => {
                    let form = if element == 8 { x::BROADCAST_SD } else { x::BROADCAST_SS };
                    let mem = Rm::Mem(Mem { broadcast: false, ..mem });
                    self.op(&form, into, 0, mem, None);
                }
                mem => self.op(&x::LOAD, into, 0, mem, None),
            }
            // Addresses beyond those in registers share one.
            let right = match right {
                Rm::Mem(Mem { base: RAX, .. }) => self.operand(b, element, &mut locked),
                other => other,
            };
            self.op(&fused(signs, 231), into, left, right, None);
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
