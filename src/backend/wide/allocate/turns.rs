//! Loops: what is in which register when a turn begins, and how it gets back there.

use super::{Allocate, COUNTER, POINTERS};
use crate::backend::wide::encode::{self as x, Label, RAX, RSP, Rm};
use crate::backend::wide::vector::{At, Base, Carry, ClassId, Home, Inst, Value, sources};
use crate::lower::loops::LoopVar;
use std::cmp::Reverse;

/// Where a value is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Reg(u8),
    Slot(i32),
    /// To be had again.
    Home(Value),
}

/// A loop under way.
pub(super) struct Open {
    number: usize,
    label: Label,
    /// Values that stand in these registers whenever a turn begins.
    head: Vec<(Value, u8)>,
    /// Where each carried value is when a turn begins.
    carried: Vec<Place>,
}

impl Allocate<'_> {
    pub(super) fn begin(&mut self, number: usize) {
        let vectors = self.vectors;
        let looped = &vectors.loops[number];
        let end = (self.now..vectors.insts.len())
            .find(|at| matches!(vectors.insts[*at], Inst::End { number: n } if n == number))
            .expect("a loop ends");
        // What the loop does not use makes room.
        for reg in 0..self.machine.n_regs {
            let Some(value) = self.owner[reg] else { continue };
            let is_init = looped.carried.iter().any(|carry| carry.init == value);
            let unused = self.next_use(value).is_none_or(|next| next > end);
            if unused && !is_init {
                self.evict(reg as u8);
            }
        }
        let carried = self.carry_in(&looped.carried, end);
        if looped.innermost {
            self.keep_at_hand(number, end);
        }
        let head = (0..self.machine.n_regs).filter_map(|reg| self.owner[reg].map(|value| (value, reg as u8)));
        let head = head.filter(|(value, _)| !looped.carried.iter().any(|carry| carry.inside == *value));
        let head: Vec<(Value, u8)> = head.collect();
        self.forget_addresses();
        for class in &looped.classes {
            let (outer, _, _) = vectors.classes[*class].outer.expect("it moves with this loop");
            self.asm.load(RAX, RSP, self.class_homes[outer]);
            self.asm.store(RAX, RSP, self.class_homes[*class]);
        }
        if looped.innermost {
            self.fix_addresses(end);
            self.asm.zero(COUNTER);
        }
        if !looped.innermost || vectors.counted.contains(&looped.var) {
            let slot = self.loop_counter(looped.var);
            self.asm.set(RSP, slot, 0);
        }
        self.first = None;
        let label = self.asm.label();
        self.open.push(Open { number, label, head, carried });
    }

    /// Loads what every turn of an innermost loop would load again, as far as there is room.
    fn keep_at_hand(&mut self, number: usize, end: usize) {
        let (vectors, begin) = (self.vectors, self.now);
        let moving = &vectors.loops[number].classes;
        let mut wanted: Vec<(usize, Value)> = Vec::new();
        for inst in &vectors.insts[begin..end] {
            sources(inst, &mut |value| match self.home(value) {
                Home::Memory(at, _) if !moving.contains(&at.class) && self.reg_of[value].is_none() => {
                    match wanted.iter_mut().find(|(_, known)| *known == value) {
                        Some((uses, _)) => *uses += 1,
                        None => wanted.push((1, value)),
                    }
                }
                _ => {}
            });
        }
        wanted.sort_by_key(|(uses, _)| Reverse(*uses));
        let held = self.owner.iter().flatten().count();
        let room = self.machine.n_regs.saturating_sub(held + self.most_at_once(begin, end) + 1);
        for (_, value) in wanted.into_iter().take(room) {
            self.ensure(value, &mut 0);
        }
    }

    /// The most values that are defined between two instructions and wanted at once there.
    fn most_at_once(&self, begin: usize, end: usize) -> usize {
        let mut changes: Vec<(usize, i32)> = Vec::new();
        for (value, defined) in self.vectors.defined.entries() {
            if *defined > begin && *defined < end {
                let last = self.uses[value].last().map_or(*defined, |last| (*last as usize).min(end));
                changes.extend([(*defined, 1), (last, -1)]);
            }
        }
        changes.sort_unstable();
        let (mut now, mut most) = (0, 0);
        for (_, change) in changes {
            now += change;
            most = most.max(now);
        }
        most as usize
    }

    /// The place of the counter of a loop.
    pub(super) fn loop_counter(&mut self, var: LoopVar) -> i32 {
        if let Some((_, slot)) = self.counters.iter().find(|(known, _)| *known == var) {
            return *slot;
        }
        let slot = self.slot(8);
        self.counters.push((var, slot));
        slot
    }

    /// Registers for the addresses that an innermost loop uses.
    pub(super) fn fix_addresses(&mut self, end: usize) {
        let vectors = self.vectors;
        let mut wanted: Vec<ClassId> = Vec::new();
        let mut want = |at: &At| {
            let class = &vectors.classes[at.class];
            let constant = matches!((class.base, class.outer), (Base::Constants(_), None));
            if !constant && !wanted.contains(&at.class) {
                wanted.push(at.class);
            }
        };
        for inst in &vectors.insts[self.now..end] {
            sources(inst, &mut |value| {
                if let Home::Memory(at, _) = vectors.homes[value] {
                    want(&at);
                }
            });
            match inst {
                Inst::Load { at, .. }
                | Inst::LoadMask { at, .. }
                | Inst::SplatMask { at, .. }
                | Inst::Gather { at, .. }
                | Inst::Scatter { at, .. }
                | Inst::Store { at, .. }
                | Inst::StoreMask { at, .. }
                | Inst::Sum { at, .. } => want(at),
                _ => {}
            }
        }
        for (place, class) in wanted.into_iter().take(POINTERS.len()).enumerate() {
            self.asm.load(POINTERS[place], RSP, self.class_homes[class]);
            self.cached[place] = Some(class);
            self.pointer_of[class] = Some(POINTERS[place]);
        }
        self.fixed = true;
    }

    /// Puts the initial values of what is carried where a turn finds them.
    pub(super) fn carry_in(&mut self, carried: &[Carry], end: usize) -> Vec<Place> {
        let mut places = Vec::with_capacity(carried.len());
        let mut locked = 0;
        for (position, carry) in carried.iter().enumerate() {
            // Initial values that nothing else keeps wait in their registers.
            let mut waiting = 0;
            for later in &carried[position..] {
                if let Some(reg) = self.reg_of[later.init]
                    && self.is_dead(later.init)
                {
                    waiting |= 1 << reg;
                }
            }
            let kept = locked | waiting | self.reg_of[carry.init].map_or(0, |reg| 1 << reg);
            let full = (0..self.machine.n_regs).all(|reg| kept >> reg & 1 == 1);
            if places.len() >= self.machine.carried || full {
                let slot = self.slot(self.machine.bytes() as i32);
                let reg = match self.reg_of[carry.init] {
                    Some(reg) => reg,
                    None => {
                        let [aside, _] = self.machine.scratch;
                        self.bring(aside, carry.init);
                        aside
                    }
                };
                self.store_slot(reg, slot);
                self.slot_of[carry.inside] = Some(slot);
                places.push(Place::Slot(slot));
                continue;
            }
            let others = carried.iter().filter(|other| other.init == carry.init).count();
            let before = self.reg_of[carry.init];
            let reg = match before {
                Some(reg) if others == 1 && self.is_dead(carry.init) => {
                    self.reg_of[carry.init] = None;
                    self.owner[reg as usize] = None;
                    reg
                }
                Some(from) => {
                    let reg = self.take(locked | waiting | 1 << from);
                    self.op(&x::MOVE, reg, 0, Rm::Reg(from), None);
                    reg
                }
                None => {
                    let reg = self.take(locked | waiting);
                    self.bring(reg, carry.init);
                    reg
                }
            };
            locked |= 1 << reg;
            self.hold(carry.inside, reg);
            places.push(Place::Reg(reg));
        }
        // Initial values that only this loop's beginning wanted are done with.
        for carry in carried {
            if self.next_use(carry.init).is_none_or(|next| next > end)
                && let Some(reg) = self.reg_of[carry.init]
            {
                self.evict(reg);
            }
        }
        places
    }

    pub(super) fn end(&mut self, _number: usize) {
        let open = self.open.pop().expect("a loop is open");
        let looped = &self.vectors.loops[open.number];
        let mut moves: Vec<(Place, Place)> = Vec::new();
        for (value, reg) in &open.head {
            moves.push((Place::Reg(*reg), self.place(*value)));
        }
        for (carry, place) in looped.carried.iter().zip(&open.carried) {
            moves.push((*place, self.place(carry.next)));
        }
        self.move_all(moves);
        // Every turn ends as it began.
        for reg in 0..self.machine.n_regs {
            if let Some(value) = self.owner[reg].take() {
                self.reg_of[value] = None;
            }
        }
        let vectors = self.vectors;
        for class in &looped.classes {
            let (_, _, bytes) = vectors.classes[*class].outer.expect("it moves with this loop");
            match self.pointer_of[*class] {
                Some(reg) if looped.innermost => self.asm.add(reg, bytes as i32),
                _ => self.asm.add_to(RSP, self.class_homes[*class], bytes as i32),
            }
        }
        if !looped.innermost || vectors.counted.contains(&looped.var) {
            let slot = self.loop_counter(looped.var);
            self.asm.add_to(RSP, slot, 1);
            if !looped.innermost {
                self.asm.compare_at(RSP, slot, looped.count);
            }
        }
        if looped.innermost {
            self.asm.add(COUNTER, 1);
            self.asm.compare(COUNTER, looped.count);
        }
        self.asm.jump_if_not_equal(open.label);
        self.first = None;
        self.fixed = false;
        self.forget_addresses();
        for (value, reg) in open.head {
            if !self.is_dead(value) {
                self.hold(value, reg);
            }
        }
        for (carry, place) in looped.carried.iter().zip(open.carried) {
            match place {
                Place::Reg(reg) if !self.is_dead(carry.after) => self.hold(carry.after, reg),
                Place::Slot(slot) => self.slot_of[carry.after] = Some(slot),
                Place::Reg(_) | Place::Home(_) => {}
            }
        }
    }

    pub(super) fn place(&self, value: Value) -> Place {
        match (self.reg_of[value], self.slot_of[value]) {
            (Some(reg), _) => Place::Reg(reg),
            (None, Some(slot)) => Place::Slot(slot),
            (None, None) => Place::Home(value),
        }
    }

    /// Moves to all destinations at once.
    pub(super) fn move_all(&mut self, mut moves: Vec<(Place, Place)>) {
        moves.retain(|(to, from)| to != from);
        while !moves.is_empty() {
            let ready =
                moves.iter().position(|(to, _)| !moves.iter().any(|(other, from)| from == to && other != to));
            match ready {
                Some(ready) => {
                    let (to, from) = moves.swap_remove(ready);
                    self.move_one(to, from);
                }
                None => {
                    // They go in circles: one waits aside.
                    let (to, _) = moves[0];
                    self.move_one(Place::Reg(self.machine.scratch[1]), to);
                    for (_, from) in &mut moves {
                        if *from == to {
                            *from = Place::Reg(self.machine.scratch[1]);
                        }
                    }
                }
            }
        }
    }

    pub(super) fn move_one(&mut self, to: Place, from: Place) {
        match (to, from) {
            (Place::Reg(to), Place::Reg(from)) => {
                self.op(&x::MOVE, to, 0, Rm::Reg(from), None);
            }
            (Place::Reg(to), Place::Slot(slot)) => self.load_slot(to, slot),
            (Place::Reg(to), Place::Home(value)) => self.bring(to, value),
            (Place::Slot(slot), Place::Reg(from)) => self.store_slot(from, slot),
            (Place::Slot(_), from) => {
                self.move_one(Place::Reg(self.machine.scratch[0]), from);
                self.move_one(to, Place::Reg(self.machine.scratch[0]));
            }
            (Place::Home(_), _) => crate::bug!("nothing is moved to where it can be had again"),
        }
    }
}
