//! Registers for values, and the code.
//!
//! One pass from the first instruction to the last. A value is in a register, in a slot of the
//! stack, or where it can be had again; when registers run out, the one goes whose value is wanted
//! last (Belady 1966). At the head of a loop each value that the loop uses has a place, and at its
//! end each is brought back to that place, so that every turn begins alike. Two registers stay free
//! for moves and for instructions that are several.

use super::encode::{
    self as x, Assembler, Form, Gpr, Label, Len, Mask, Mem, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP, Rm,
};
use super::machine::{Machine, Masks};
use super::select::Unsupported;
use super::vector::{At, Base, ClassId, Fill, Home, Inst, Value, Vectors, once_written, sources};
use crate::base::index::IndexVec;
use crate::lower::loops::LoopVar;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use turns::Open;

mod ahead;
mod emit;
mod sums;
mod turns;

/// Vector registers that hold values, on the machine that has most.
const MOST_REGS: usize = 30;
/// The address of the constants, and the counter of an innermost loop.
const CONSTANTS: Gpr = RCX;
const COUNTER: Gpr = 15;
/// The mask register of the lanes that a vector with few has.
const FIRST: u8 = 5;
/// Free between instructions, as is `RAX`.
const INDEX: Gpr = 11;
/// Registers for addresses.
const POINTERS: [Gpr; 10] = [RDI, RSI, RDX, RBX, 8, 9, 10, 12, 13, 14];
/// What the calling convention wants back.
const KEPT: [Gpr; 5] = [RBX, 12, 13, 14, 15];

/// The code of `vectors` for a machine: `extern "sysv64" fn(inputs, outputs, workspace, constants)`. With
/// the constants `inside` they stand behind the code, and there is no fourth argument.
pub fn allocate(vectors: &Vectors, machine: &'static Machine, inside: bool) -> Result<Vec<u8>, Unsupported> {
    let mut out = Allocate {
        vectors,
        machine,
        homes: vectors.homes.clone(),
        once: once_written(vectors),
        asm: Assembler::new(machine.encoding),
        uses: vectors.homes.iter().map(|_| Vec::new()).collect(),
        cursor: vectors.homes.iter().map(|_| 0).collect(),
        reg_of: vectors.homes.iter().map(|_| None).collect(),
        slot_of: vectors.homes.iter().map(|_| None).collect(),
        given: BinaryHeap::new(),
        owner: [None; MOST_REGS],
        now: 0,
        pointer_of: vectors.classes.iter().map(|_| None).collect(),
        cached: [None; POINTERS.len()],
        next_cached: 0,
        fixed: false,
        frame: 0,
        class_homes: vectors.classes.iter().map(|_| 0).collect(),
        counters: Vec::new(),
        open: Vec::new(),
        in_mask: None,
        first: None,
        aside: None,
    };
    out.find_uses();
    let constants = out.prologue(inside);
    for at in 0..vectors.insts.len() {
        out.now = at;
        out.inst(&vectors.insts[at]);
        if out.frame > 1 << 24 || out.asm.bytes.len() > 1 << 26 {
            return Err("a very large function");
        }
    }
    Ok(out.finish(constants))
}

struct Allocate<'v> {
    vectors: &'v Vectors,
    machine: &'static Machine,
    /// Where values can be had again, by now.
    homes: IndexVec<Value, Home>,
    /// The outputs in which what is written stays.
    once: Vec<usize>,
    asm: Assembler,
    /// Instructions that use a value, ascending; the end of a loop uses what comes from before it.
    uses: IndexVec<Value, Vec<u32>>,
    cursor: IndexVec<Value, usize>,
    reg_of: IndexVec<Value, Option<u8>>,
    slot_of: IndexVec<Value, Option<i32>>,
    /// Slots of values, with the last instruction that uses what is in them; the earliest comes first.
    given: BinaryHeap<Reverse<(u32, i32)>>,
    owner: [Option<Value>; MOST_REGS],
    now: usize,
    /// The register of an address.
    pointer_of: IndexVec<ClassId, Option<Gpr>>,
    cached: [Option<ClassId>; POINTERS.len()],
    next_cached: usize,
    /// In an innermost loop: addresses keep their registers.
    fixed: bool,
    /// Bytes of the stack frame.
    frame: i32,
    class_homes: IndexVec<ClassId, i32>,
    counters: Vec<(LoopVar, i32)>,
    open: Vec<Open>,
    /// The value that is in mask registers.
    in_mask: Option<Value>,
    /// How many lanes are in the mask register [`FIRST`], if that is known.
    first: Option<u8>,
    /// Slots for vectors whose elements are wanted one by one.
    aside: Option<[i32; 2]>,
}

impl Allocate<'_> {
    // ---- what is known before ----------------------------------------------------------------

    fn find_uses(&mut self) {
        let vectors = self.vectors;
        // Loops around the instruction in hand: where they begin and end.
        let mut ends = vec![0; vectors.loops.len()];
        for (at, inst) in vectors.insts.iter().enumerate() {
            if let Inst::End { number } = inst {
                ends[*number] = at;
            }
        }
        let mut around: Vec<(usize, usize)> = Vec::new();
        for (at, inst) in vectors.insts.iter().enumerate() {
            match inst {
                Inst::Begin { number } => {
                    for carry in &vectors.loops[*number].carried {
                        self.used(carry.init, at, &around);
                    }
                    around.push((at, ends[*number]));
                }
                Inst::End { number } => {
                    for carry in &vectors.loops[*number].carried {
                        self.used(carry.next, at, &around);
                    }
                    around.pop();
                }
                other => sources(other, &mut |value| self.used(value, at, &around)),
            }
        }
        for value in self.uses.ids() {
            self.uses[value].sort_unstable();
            self.uses[value].dedup();
        }
    }

    fn used(&mut self, value: Value, at: usize, around: &[(usize, usize)]) {
        self.uses[value].push(at as u32);
        for (begin, end) in around {
            if self.vectors.defined[value] <= *begin {
                self.uses[value].push(*end as u32);
            }
        }
    }

    /// The first instruction after the one in hand that uses a value.
    fn next_use(&mut self, value: Value) -> Option<usize> {
        let uses = &self.uses[value];
        let cursor = &mut self.cursor[value];
        while uses.get(*cursor).is_some_and(|at| *at as usize <= self.now) {
            *cursor += 1;
        }
        uses.get(*cursor).map(|at| *at as usize)
    }

    fn is_dead(&mut self, value: Value) -> bool {
        self.next_use(value).is_none()
    }

    fn home(&self, value: Value) -> Home {
        self.homes[value]
    }

    /// A whole vector has been stored: it can be had from there again, where nothing else is written there.
    fn stored(&mut self, value: Value, at: At) {
        let stays = match self.vectors.classes[at.class].base {
            Base::Output(number) => self.once.contains(&number),
            Base::Input(_) | Base::Workspace(_) | Base::Constants(_) => false,
        };
        if stays && self.home(value) == Home::Nowhere && self.slot_of[value].is_none() {
            self.homes[value] = Home::Memory(at, Fill::Full(self.machine.full));
        }
    }

    fn slot(&mut self, bytes: i32) -> i32 {
        let at = (self.frame + bytes - 1) & -bytes;
        self.frame = at + bytes;
        at
    }

    // ---- begin and end -------------------------------------------------------------------------

    fn prologue(&mut self, inside: bool) -> Option<Label> {
        let asm = &mut self.asm;
        asm.push(RBP);
        asm.copy(RBP, RSP);
        KEPT.iter().for_each(|reg| asm.push(*reg));
        // The size of the frame is put in at the end.
        asm.add(RSP, i32::MIN);
        asm.align(RSP);
        let constants = inside.then(|| asm.lea_here(CONSTANTS));
        // Saved inputs, outputs, workspace.
        self.frame = 0;
        let classes: Vec<ClassId> = self.vectors.classes.ids().collect();
        for class in &classes {
            self.class_homes[*class] = self.slot(8);
        }
        for var in &self.vectors.counted {
            let at = self.slot(8);
            self.counters.push((*var, at));
        }
        for class in classes {
            let of = &self.vectors.classes[class];
            if of.outer.is_some() {
                continue;
            }
            match of.base {
                Base::Input(at) => self.asm.load(RAX, RDI, 8 * at as i32),
                Base::Output(at) => self.asm.load(RAX, RSI, 8 * at as i32),
                Base::Workspace(offset) => self.asm.lea(RAX, RDX, offset as i32),
                Base::Constants(offset) => self.asm.lea(RAX, CONSTANTS, offset as i32),
            }
            self.asm.store(RAX, RSP, self.class_homes[class]);
        }
        constants
    }

    fn finish(mut self, constants: Option<Label>) -> Vec<u8> {
        self.asm.clear_upper();
        self.asm.lea(RSP, RBP, -8 * KEPT.len() as i32);
        KEPT.iter().rev().for_each(|reg| self.asm.pop(*reg));
        self.asm.pop(RBP);
        self.asm.ret();
        let frame = self.frame + 64;
        let place = i32::MIN.to_le_bytes();
        let at = self.asm.bytes.windows(4).position(|bytes| bytes == place).expect("the prologue has it");
        self.asm.bytes[at..at + 4].copy_from_slice(&(-frame).to_le_bytes());
        if let Some(lea) = constants {
            self.asm.place_here(lea, &self.vectors.constants);
            // Of the last of them a whole vector may be read.
            self.asm.bytes.resize(self.asm.bytes.len() + 64, 0);
        }
        self.asm.bytes
    }

    // ---- addresses -----------------------------------------------------------------------------

    /// Base register and distance of an address.
    fn address(&mut self, at: At) -> (Gpr, i32) {
        let class = &self.vectors.classes[at.class];
        if let (Base::Constants(offset), None) = (class.base, class.outer) {
            return (CONSTANTS, offset as i32 + at.disp);
        }
        if let Some(reg) = self.pointer_of[at.class] {
            return (reg, at.disp);
        }
        let reg = if self.fixed {
            RAX
        } else {
            let place = self.next_cached;
            self.next_cached = (place + 1) % POINTERS.len();
            if let Some(old) = self.cached[place].replace(at.class) {
                self.pointer_of[old] = None;
            }
            self.pointer_of[at.class] = Some(POINTERS[place]);
            POINTERS[place]
        };
        self.asm.load(reg, RSP, self.class_homes[at.class]);
        (reg, at.disp)
    }

    fn mem(&mut self, at: At, broadcast: bool) -> Mem {
        let (base, disp) = self.address(at);
        Mem { base, disp, broadcast }
    }

    fn forget_addresses(&mut self) {
        for class in std::mem::take(&mut self.cached).into_iter().flatten() {
            self.pointer_of[class] = None;
        }
        self.next_cached = 0;
    }

    // ---- values ---------------------------------------------------------------------------------

    /// An instruction on whole vectors.
    fn op(&mut self, form: &Form, dst: u8, src: u8, rm: Rm, imm: Option<u8>) {
        self.asm.op(form, self.machine.full, dst, src, rm, imm);
    }

    /// Fills a register from memory.
    fn fill(&mut self, reg: u8, at: At, fill: Fill) {
        let mem = Rm::Mem(self.mem(at, false));
        match fill {
            Fill::Full(len) => self.asm.op(&x::LOAD, len, reg, 0, mem, None),
            Fill::Splat4 => self.op(&x::BROADCAST_SS, reg, 0, mem, None),
            Fill::Splat8 => self.op(&x::BROADCAST_SD, reg, 0, mem, None),
            Fill::Splat1 => self.op(&x::BROADCAST_B, reg, 0, mem, None),
            Fill::Bytes4 => self.op(&x::B_TO_D, reg, 0, mem, None),
            Fill::Bytes8 => self.op(&x::B_TO_Q, reg, 0, mem, None),
            Fill::Part { count, double, len, mask } => match self.machine.masks {
                Masks::Registers => {
                    self.first_lanes(count);
                    let form = if double { x::LOAD_PD } else { x::LOAD };
                    self.asm.masked(&form, len, reg, 0, mem, Mask { k: FIRST, zero: true }, None);
                }
                Masks::Vectors => {
                    let form = if double { x::MASKED_LOAD_PD } else { x::MASKED_LOAD_PS };
                    self.load_mask(reg, len, mask);
                    self.asm.op(&form, len, reg, reg, mem, None);
                }
            },
        }
    }

    /// The mask register of that name has the first lanes.
    fn first_lanes(&mut self, count: u8) {
        if self.first != Some(count) {
            self.asm.mask_set(FIRST, (1 << count) - 1, INDEX);
            self.first = Some(count);
        }
    }

    /// A mask that stands among the constants.
    fn load_mask(&mut self, reg: u8, len: Len, disp: i32) {
        let mem = Mem { base: CONSTANTS, disp, broadcast: false };
        self.asm.op(&x::LOAD, len, reg, 0, Rm::Mem(mem), None);
    }

    fn load_slot(&mut self, reg: u8, slot: i32) {
        let mem = Mem { base: RSP, disp: slot, broadcast: false };
        self.op(&x::LOAD, reg, 0, Rm::Mem(mem), None);
    }

    fn store_slot(&mut self, reg: u8, slot: i32) {
        let mem = Mem { base: RSP, disp: slot, broadcast: false };
        self.op(&x::STORE, reg, 0, Rm::Mem(mem), None);
    }

    /// Brings a value that is in no register into `reg`.
    fn bring(&mut self, reg: u8, value: Value) {
        if let Some(slot) = self.slot_of[value] {
            return self.load_slot(reg, slot);
        }
        match self.home(value) {
            Home::Memory(at, fill) => self.fill(reg, at, fill),
            Home::Counter(var) => {
                let slot = self.counter(var);
                let mem = Mem { base: RSP, disp: slot, broadcast: false };
                self.op(&x::BROADCAST_SD, reg, 0, Rm::Mem(mem), None);
            }
            Home::Nowhere => crate::bug!("{value} is nowhere"),
        }
    }

    fn counter(&self, var: LoopVar) -> i32 {
        let found = self.counters.iter().find(|(known, _)| *known == var);
        found.expect("every counter that is used has a place").1
    }

    /// A free register, none of `locked`; a value may have to go.
    fn take(&mut self, locked: u32) -> u8 {
        let free =
            |reg: &usize, owner: &[Option<Value>; MOST_REGS]| owner[*reg].is_none() && locked >> reg & 1 == 0;
        if let Some(reg) = (0..self.machine.n_regs).find(|reg| free(reg, &self.owner)) {
            return reg as u8;
        }
        let (mut best, mut farthest) = (None, 0);
        for reg in (0..self.machine.n_regs).filter(|reg| locked >> reg & 1 == 0) {
            let value = self.owner[reg].expect("no register is free");
            let mut next = self.next_use(value).unwrap_or(usize::MAX / 2);
            if self.home(value) != Home::Nowhere || self.slot_of[value].is_some() {
                // Nothing has to be stored.
                next += 8;
            }
            if best.is_none() || next > farthest {
                (best, farthest) = (Some(reg as u8), next);
            }
        }
        let reg = best.expect("an instruction locks few registers");
        self.evict(reg);
        reg
    }

    /// Frees a register; its value is kept if it is wanted again.
    fn evict(&mut self, reg: u8) {
        let Some(value) = self.owner[reg as usize].take() else { return };
        self.reg_of[value] = None;
        if self.slot_of[value].is_none() && self.home(value) == Home::Nowhere && !self.is_dead(value) {
            let slot = match self.given.peek() {
                Some(Reverse((last, slot))) if (*last as usize) < self.now => {
                    let slot = *slot;
                    self.given.pop();
                    slot
                }
                _ => self.slot(self.machine.bytes() as i32),
            };
            let last = *self.uses[value].last().expect("it is used again");
            self.given.push(Reverse((last, slot)));
            self.slot_of[value] = Some(slot);
            self.store_slot(reg, slot);
        }
    }

    fn hold(&mut self, value: Value, reg: u8) {
        self.owner[reg as usize] = Some(value);
        self.reg_of[value] = Some(reg);
    }

    /// A register with this value.
    fn ensure(&mut self, value: Value, locked: &mut u32) -> u8 {
        let reg = match self.reg_of[value] {
            Some(reg) => reg,
            None => {
                let reg = self.take(*locked);
                self.bring(reg, value);
                self.hold(value, reg);
                reg
            }
        };
        *locked |= 1 << reg;
        reg
    }

    /// The value as an operand that may be in memory, where an instruction reads `element` bytes of
    /// a broadcast one; a value that is used again, sooner than one that is in a register, comes into it.
    fn operand(&mut self, value: Value, element: u8, locked: &mut u32) -> Rm {
        if self.reg_of[value].is_none() {
            let last = self.is_dead(value);
            let stays = last || self.comes_last(value, *locked);
            match (self.slot_of[value], self.home(value)) {
                (Some(slot), _) if stays => {
                    return Rm::Mem(Mem { base: RSP, disp: slot, broadcast: false });
                }
                (None, Home::Memory(at, Fill::Full(len))) if stays && len == self.machine.full => {
                    return Rm::Mem(self.mem(at, false));
                }
                (None, Home::Memory(at, fill)) => {
                    let fits = self.machine.broadcasts
                        && matches!((fill, element), (Fill::Splat4, 4) | (Fill::Splat8, 8));
                    let full = !(0..self.machine.n_regs)
                        .any(|reg| self.owner[reg].is_none() && *locked >> reg & 1 == 0);
                    if fits && (last || full) {
                        return Rm::Mem(self.mem(at, true));
                    }
                }
                _ => {}
            }
        }
        Rm::Reg(self.ensure(value, locked))
    }

    /// Whether no register is free but of `locked`, and what is in them is wanted sooner than `value`.
    fn comes_last(&mut self, value: Value, locked: u32) -> bool {
        let next = self.next_use(value);
        (0..self.machine.n_regs).filter(|reg| locked >> reg & 1 == 0).all(|reg| {
            let other = self.owner[reg].and_then(|owner| self.next_use(owner));
            other.is_some() && (next.is_none() || other < next)
        })
    }

    /// Frees the registers of operands that are not wanted again.
    fn release(&mut self, values: &[Value]) {
        for value in values {
            if self.is_dead(*value)
                && let Some(reg) = self.reg_of[*value].take()
            {
                self.owner[reg as usize] = None;
            }
        }
    }

    /// The register of a result; operands are released before.
    fn result(&mut self, dst: Value, locked: u32) -> u8 {
        let reg = self.take(locked);
        if !self.is_dead(dst) {
            self.hold(dst, reg);
        }
        reg
    }

    /// What is still locked after operands were released.
    fn still(&self, locked: u32) -> u32 {
        (0..self.machine.n_regs).filter(|reg| self.owner[*reg].is_some()).fold(0, |all, reg| all | 1 << reg)
            & locked
    }
}
