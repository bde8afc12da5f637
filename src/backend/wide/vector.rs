//! Instructions on vectors, before they have registers.
//!
//! A [`Value`] is a vector of the machine: the lanes of a scalar, or part of them. Addresses are a [`Class`], which
//! moves with the loops, and a distance from it.

use super::encode::{Form, Len};
use crate::base::index::IndexVec;
use crate::lower::loops::LoopVar;
use smallvec::SmallVec;
use std::ops::Range;

crate::index_type!(
    /// A vector.
    Value, "v"
);
crate::index_type!(
    /// Addresses that differ by constants.
    ClassId, "c"
);

/// A buffer at a coordinate that moves with loops.
#[derive(Clone, Debug)]
pub struct Class {
    pub base: Base,
    /// How it moves; `None` if it stays where it is.
    pub outer: Option<Step>,
}

/// The class before the innermost of its loops began, and how many bytes a turn of it adds.
pub type Step = (ClassId, LoopVar, i64);

/// Where the address of a buffer is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Base {
    Input(usize),
    Output(usize),
    Workspace(usize),
    Constants(usize),
}

/// Bytes at a distance from the address of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    pub class: ClassId,
    pub disp: i32,
}

/// How memory fills a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Element after element.
    Full(Len),
    /// One element of four bytes in every lane.
    Splat4,
    /// One element of eight bytes in every lane.
    Splat8,
    /// One byte in all bytes.
    Splat1,
    /// Byte after byte, each to four bytes with zeros.
    Bytes4,
    /// Byte after byte, each to eight bytes with zeros.
    Bytes8,
    /// The first elements, of four bytes or of eight, and zeros; `mask` is where among the constants a vector
    /// of that length has them, where masks are vectors.
    Part { count: u8, double: bool, len: Len, mask: i32 },
}

/// Where a value can be had again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// Nowhere.
    Nowhere,
    /// In memory that nobody writes.
    Memory(At, Fill),
    /// It is the number of turns of a loop.
    Counter(LoopVar),
}

/// An instruction. Operands stand in the order of the manual, the one that may be in memory last.
#[derive(Clone, Debug)]
pub enum Inst {
    /// `dst = form(a, b)`
    Two { form: Form, dst: Value, a: Value, b: Value, imm: Option<u8>, commutes: bool },
    /// `dst = form(a)`
    One { form: Form, dst: Value, a: Value, imm: Option<u8> },
    /// `dst = ±a·b ± c`, rounded once.
    Fma { double: bool, negative: bool, minus: bool, dst: Value, a: Value, b: Value, c: Value },
    /// `dst = form(a, b, mask)`, where `a` is overwritten: `mask ? b : a` bit by bit, or the elements of `a`
    /// and `mask` with the numbers `b`.
    Ternary { form: Form, dst: Value, a: Value, b: Value, mask: Value, imm: Option<u8> },
    /// A shift by a constant; `op` as the form says.
    Shift { form: Form, op: u8, dst: Value, a: Value, by: u8 },
    /// The upper half in place of the lower.
    Upper { dst: Value, a: Value },
    /// `dst` is the mask of `a ? b`, part after part.
    Compare { form: Form, dst: Value, parts: SmallVec<[(Value, Value); 2]>, imm: u8 },
    /// `dst = mask ? a : b` where the mask is a vector of lanes as wide.
    Choose { dst: Value, mask: Value, a: Value, b: Value },
    /// `dst = mask ? a : b` for lanes from `8·part` on if `double`.
    Select { double: bool, part: usize, dst: Value, mask: Value, a: Value, b: Value },
    /// `dst` is `one` where the mask is true, else 0.
    Masked { part: usize, dst: Value, mask: Value, one: At },
    /// `dst = a` as an integer; see [`Prim::Convert`].
    ToInteger { dst: Value, a: Value, limit: At, most: At },
    /// `dst` = memory.
    Load { dst: Value, at: At, fill: Fill },
    /// The mask of bytes 0 or 1, for 8 or 16 lanes.
    LoadMask { dst: Value, at: At, len: Len },
    /// The mask of one byte.
    SplatMask { dst: Value, at: At },
    /// Elements at `at + index·size`, one for each index.
    Gather { double: bool, dst: Value, index: Value, at: At },
    /// Elements to there, of the first `lanes`.
    Scatter { double: bool, src: Value, index: Value, at: At, lanes: usize },
    /// Memory = `src`: all of it, or the first element.
    Store { src: Value, at: At, fill: Fill },
    /// Bytes 0 or 1 of a mask.
    StoreMask { src: Value, at: At, len: Len },
    /// Memory = the sum over the lanes of each source; where it `adds`, memory += that. A source is `parts`
    /// values, with `lanes` lanes each. The sums are one element after the other, as many from each place
    /// in `to`.
    Sum { double: bool, lanes: usize, parts: usize, srcs: Vec<Value>, adds: bool, to: SmallVec<[At; 4]> },
    /// A loop begins.
    Begin { number: usize },
    /// It ends.
    End { number: usize },
}

/// A value carried through a loop.
#[derive(Clone, Copy, Debug)]
pub struct Carry {
    pub init: Value,
    pub inside: Value,
    pub next: Value,
    pub after: Value,
}

/// A counted loop of at least one turn.
#[derive(Clone, Debug)]
pub struct Looped {
    pub var: LoopVar,
    pub count: i32,
    pub carried: Vec<Carry>,
    /// What moves with it.
    pub classes: Vec<ClassId>,
    /// Whether it has no loop inside.
    pub innermost: bool,
}

/// A function of vectors.
#[derive(Clone, Debug, Default)]
pub struct Vectors {
    pub insts: Vec<Inst>,
    pub homes: IndexVec<Value, Home>,
    /// The instruction before which a value is defined.
    pub defined: IndexVec<Value, usize>,
    pub classes: IndexVec<ClassId, Class>,
    pub loops: Vec<Looped>,
    /// Numbers that the code reads, 64 bytes aligned.
    pub constants: Vec<u8>,
    /// Bytes of workspace.
    pub workspace: usize,
    /// Loop variables whose value is used.
    pub counted: Vec<LoopVar>,
}

/// What an instruction reads.
pub fn sources(inst: &Inst, visit: &mut dyn FnMut(Value)) {
    match inst {
        Inst::Two { a, b, .. } => [*a, *b].into_iter().for_each(visit),
        Inst::One { a, .. } | Inst::Shift { a, .. } | Inst::Upper { a, .. } | Inst::ToInteger { a, .. } => {
            visit(*a);
        }
        Inst::Fma { a, b, c, .. } => [*a, *b, *c].into_iter().for_each(visit),
        Inst::Ternary { a, b, mask, .. }
        | Inst::Select { a, b, mask, .. }
        | Inst::Choose { a, b, mask, .. } => {
            [*a, *b, *mask].into_iter().for_each(visit);
        }
        Inst::Compare { parts, .. } => parts.iter().for_each(|(a, b)| {
            visit(*a);
            visit(*b);
        }),
        Inst::Masked { mask, .. } => visit(*mask),
        Inst::Load { .. } | Inst::LoadMask { .. } | Inst::SplatMask { .. } => {}
        Inst::Gather { index, .. } => visit(*index),
        Inst::Scatter { src, index, .. } => [*src, *index].into_iter().for_each(visit),
        Inst::Store { src, .. } | Inst::StoreMask { src, .. } => visit(*src),
        Inst::Sum { srcs, .. } => srcs.iter().copied().for_each(visit),
        Inst::Begin { .. } | Inst::End { .. } => {}
    }
}

/// What an instruction gives.
pub fn result(inst: &Inst) -> Option<Value> {
    match inst {
        Inst::Two { dst, .. }
        | Inst::One { dst, .. }
        | Inst::Fma { dst, .. }
        | Inst::Ternary { dst, .. }
        | Inst::Shift { dst, .. }
        | Inst::Upper { dst, .. }
        | Inst::Compare { dst, .. }
        | Inst::Select { dst, .. }
        | Inst::Choose { dst, .. }
        | Inst::Masked { dst, .. }
        | Inst::ToInteger { dst, .. }
        | Inst::Load { dst, .. }
        | Inst::LoadMask { dst, .. }
        | Inst::SplatMask { dst, .. }
        | Inst::Gather { dst, .. } => Some(*dst),
        Inst::Scatter { .. }
        | Inst::Store { .. }
        | Inst::StoreMask { .. }
        | Inst::Sum { .. }
        | Inst::Begin { .. }
        | Inst::End { .. } => None,
    }
}

/// The same without instructions whose result nothing reads.
pub fn needed(mut vectors: Vectors) -> Vectors {
    let mut read: IndexVec<Value, bool> = vectors.homes.iter().map(|_| false).collect();
    for carry in vectors.loops.iter().flat_map(|looped| &looped.carried) {
        (read[carry.init], read[carry.next]) = (true, true);
    }
    let mut kept = vec![true; vectors.insts.len()];
    for (at, inst) in vectors.insts.iter().enumerate().rev() {
        kept[at] = result(inst).is_none_or(|dst| read[dst]);
        if kept[at] {
            sources(inst, &mut |value| read[value] = true);
        }
    }
    // Where each instruction has gone: those before it that are kept.
    let mut places = Vec::with_capacity(kept.len() + 2);
    let mut count = 0;
    for kept in &kept {
        places.push(count);
        count += usize::from(*kept);
    }
    // A value may be defined after the last instruction.
    places.extend([count, count + 1]);
    let defined = vectors.defined.iter().map(|at| places[*at]).collect();
    vectors.defined = defined;
    let mut kept = kept.into_iter();
    vectors.insts.retain(|_| kept.next().expect("one for each"));
    vectors
}

/// The outputs to which vectors are stored outside of loops alone, each to a place of its own.
pub fn once_written(vectors: &Vectors) -> Vec<usize> {
    let mut places: Vec<(usize, Option<Range<i32>>)> = Vec::new();
    let mut depth = 0;
    for inst in &vectors.insts {
        let mut write = |at: &At, bytes: Option<i32>| {
            if let Base::Output(number) = &vectors.classes[at.class].base {
                let bytes = bytes.filter(|_| depth == 0);
                places.push((*number, bytes.map(|bytes| at.disp..at.disp.saturating_add(bytes))));
            }
        };
        match inst {
            Inst::Store { at, fill: Fill::Full(len), .. } => write(at, Some(16 << *len as i32)),
            Inst::Store { at, .. } | Inst::StoreMask { at, .. } | Inst::Scatter { at, .. } => write(at, None),
            Inst::Sum { to, .. } => to.iter().for_each(|at| write(at, None)),
            Inst::Begin { .. } => depth += 1,
            Inst::End { .. } => depth -= 1,
            _ => debug_assert!(result(inst).is_some(), "what gives no value writes: {inst:?}"),
        }
    }
    places.sort_by_key(|(number, place)| (*number, place.as_ref().map(|place| place.start)));
    let apart = |outputs: &[(usize, Option<Range<i32>>)]| {
        outputs.iter().all(|(_, place)| place.is_some())
            && outputs.windows(2).all(|pair| match (&pair[0].1, &pair[1].1) {
                (Some(one), Some(next)) => one.end <= next.start,
                (None, _) | (_, None) => false,
            })
    };
    let of_one = places.chunk_by(|one, next| one.0 == next.0);
    of_one.filter(|places| apart(places)).map(|places| places[0].0).collect()
}
