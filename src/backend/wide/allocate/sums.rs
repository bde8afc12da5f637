//! Sums over the lanes, to memory.
//!
//! Neighbours are added, then twos of these, and so on; the parts of a value last. See [`Round`].

use super::Allocate;
use crate::backend::wide::encode::{self as x, Form, Len, Rm};
use crate::backend::wide::machine::Round;
use crate::backend::wide::vector::{At, Value};

impl Allocate<'_> {
    /// Memory is, or is added to (`adds`), the sum over the lanes of one value in parts.
    pub(super) fn sum_one(
        &mut self,
        double: bool,
        lanes: usize,
        parts: &[Value],
        adds: bool,
        at: At,
        locked: &mut u32,
    ) {
        let [sum, _] = self.machine.scratch;
        let (add, scalar_add) = if double { (x::ADD_PD, x::ADD_SD) } else { (x::ADD_PS, x::ADD_SS) };
        let n_rounds = lanes.trailing_zeros() as usize;
        let mut rounds = self.machine.rounds(double).take(n_rounds);
        let regs: Vec<u8> = parts.iter().map(|part| self.ensure(*part, locked)).collect();
        let mut whole = regs[0];
        if let &[a, b] = regs.as_slice() {
            // Neighbours of both parts side by side, so that one addition serves both.
            let round = rounds.next().expect("two parts have lanes");
            self.neighbours(round, add, sum, (a, b));
            whole = sum;
        }
        for round in rounds {
            self.swapped(round, add, sum, whole);
            whole = sum;
        }
        if parts.len() == 2 {
            let last = self.machine.rounds(double).next().expect("there are rounds");
            self.swapped(last, add, sum, whole);
        }
        let mem = Rm::Mem(self.mem(at, false));
        if adds {
            self.asm.op(&scalar_add, Len::X, sum, sum, mem, None);
        }
        let store = if double { x::STORE_SD } else { x::STORE_SS };
        self.asm.op(&store, Len::X, sum, 0, mem, None);
    }

    /// The same for as many values as a vector has elements: pairs of vectors are shuffled so that one
    /// addition serves both, until one vector has all sums. As many of them are neighbours from each place
    /// in `to`: the vector, its halves, or its quarters of 128 bits.
    pub(super) fn sum_many(
        &mut self,
        double: bool,
        n_parts: usize,
        srcs: &[Value],
        adds: bool,
        to: &[At],
        mut locked: u32,
    ) {
        let all: Vec<u8> = srcs.iter().map(|src| self.ensure(*src, &mut locked)).collect();
        let add = if double { x::ADD_PD } else { x::ADD_PS };
        for part in 0..n_parts {
            let mut regs: Vec<u8> = all.iter().skip(part).step_by(n_parts).copied().collect();
            for round in self.machine.rounds(double) {
                for i in 0..regs.len() / 2 {
                    let (a, b) = (regs[2 * i], regs[2 * i + 1]);
                    self.neighbours(round, add, a, (a, b));
                    regs[i] = a;
                }
                regs.truncate(regs.len() / 2);
            }
        }
        let sums = all[0];
        for other in &all[1..n_parts] {
            self.op(&add, sums, sums, Rm::Reg(*other), None);
        }
        // The first piece comes last: to write it clears the others.
        for (piece, at) in to.iter().enumerate().rev() {
            let [other, _] = self.machine.scratch;
            let (len, extract) = match to.len() {
                1 => (self.machine.full, None),
                2 => (self.machine.half, Some(&self.machine.extract)),
                _ => (Len::X, Some(&x::EXTRACT_128)),
            };
            let from = match extract {
                Some(extract) if piece > 0 => {
                    self.op(extract, sums, 0, Rm::Reg(other), Some(piece as u8));
                    other
                }
                _ => sums,
            };
            let mem = Rm::Mem(self.mem(*at, false));
            if adds {
                self.asm.op(&add, len, from, from, mem, None);
            }
            self.asm.op(&x::STORE, len, from, 0, mem, None);
        }
        self.release(srcs);
    }

    /// The sums of neighbours in two vectors.
    fn neighbours(&mut self, round: &Round, add: Form, into: u8, (a, b): (u8, u8)) {
        let [low, high] = self.machine.scratch;
        self.op(&round.low.0, low, a, Rm::Reg(b), round.low.1);
        self.op(&round.high.0, high, a, Rm::Reg(b), round.high.1);
        self.op(&add, into, low, Rm::Reg(high), None);
    }

    /// Those in one vector, each twice.
    fn swapped(&mut self, round: &Round, add: Form, into: u8, a: u8) {
        let [_, other] = self.machine.scratch;
        self.op(&round.swap.0, other, a, Rm::Reg(a), round.swap.1);
        self.op(&add, into, a, Rm::Reg(other), None);
    }
}
