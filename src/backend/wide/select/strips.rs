//! Loops whose turns are lanes, and several turns or vectors of turns at once.
//!
//! Such a loop goes over vectors of turns. Those that wait for themselves, since there is a sum inside,
//! are done several at a time, statement by statement. What is left at the end is a vector with fewer
//! turns than lanes: the lanes beyond compute rubbish, which is not stored, from memory that is there.

use super::{Opened, Parts, Select, Unsupported};
use crate::backend::wide::alone::coefficient;
use crate::backend::wide::encode::{self as x, Len};
use crate::backend::wide::machine::Masks;
use crate::backend::wide::vector::{At, Fill, Home, Inst};
use crate::lower::loops::{BufferId, BufferKind, DType, Index, Loop, LoopFunc, LoopVar, ScalarId, Stmt};
use smallvec::{SmallVec, smallvec};

/// Most vectors of turns at once: a fused multiply-add takes four cycles, and one begins in each.
const AT_ONCE: usize = 4;

/// Loops of at most as many statements in all are written out; those that look up elements, which are then
/// known, of more.
const WRITTEN_OUT: usize = 48;
const MOST_OF_PICKS: usize = 256;

/// Turns of a loop that are done at once.
pub(super) struct Group {
    pub var: LoopVar,
    /// Turns in a vector.
    each: usize,
    /// The first turn, or of a loop that goes on that of its first turn.
    start: usize,
    /// Whether it is in a loop, which goes on by all of them.
    moves: bool,
    /// How many turns are in each vector.
    sizes: SmallVec<[usize; 8]>,
}

impl Group {
    /// Two turns, see [`pairs`](super::loops::pairs).
    pub fn pair(var: LoopVar) -> Group {
        Group { var, each: 1, start: 0, moves: true, sizes: smallvec![1, 1] }
    }

    /// The first turn of a vector, at the first turn of the loop it is in.
    pub fn first(&self, number: usize) -> usize {
        self.start + number * self.each
    }

    /// Turns from one turn of the loop it is in to the next.
    pub fn step(&self) -> usize {
        if self.moves { self.each * self.sizes.len() } else { 0 }
    }
}

impl Select<'_> {
    /// The loop in which vectors are turns, if one is open.
    pub(super) fn strip(&self) -> Option<&Group> {
        self.group.as_ref().filter(|_| self.along.is_some())
    }

    /// How many turns or vectors are done at once.
    pub(super) fn n_turns(&self) -> usize {
        self.group.as_ref().map_or(1, |group| group.sizes.len())
    }

    /// The same of a statement: what they have in common is done once.
    pub(super) fn turns(&self, stmt: &Stmt) -> usize {
        let common = |group: &Group| match stmt {
            Stmt::Load { index, .. } => index.dynamic.is_none() && coefficient(index, group.var) == 0,
            Stmt::Let { .. } | Stmt::Store { .. } | Stmt::Loop(_) => false,
        };
        if self.strip().is_some_and(common) { 1 } else { self.n_turns() }
    }

    /// A loop whose turns are lanes.
    pub(super) fn along(&mut self, looped: &Loop) -> Result<(), Unsupported> {
        let (whole, rest) = (looped.count / self.lanes, looped.count % self.lanes);
        let vectors = whole + usize::from(rest > 0);
        let n_carried = most_carried(&looped.body);
        let at_once = match n_carried {
            0 => 1,
            n => (self.machine.carried / (2 * n)).clamp(1, AT_ONCE).min(whole.max(1)),
        };
        let mut turns = whole / at_once;
        if at_once > 1 && turns > 0 && (1..=2).contains(&(vectors - turns * at_once)) {
            // The last ones are not left alone.
            turns -= 1;
        }
        let most = if picks(self.func, &looped.body, looped.var) { MOST_OF_PICKS } else { WRITTEN_OUT };
        if turns * at_once * size(&looped.body) <= most || turns == 1 {
            turns = 0;
        }
        let group = |start: usize, moves: bool, sizes: SmallVec<[usize; 8]>| Group {
            var: looped.var,
            each: 0,
            start,
            moves,
            sizes,
        };
        if turns > 0 {
            let open: Opened = self.open(looped.var, turns, &looped.body)?;
            self.grouped(group(0, true, SmallVec::from_elem(self.lanes, at_once)), &looped.body)?;
            self.close(open, Vec::new());
        }
        let mut done = turns * at_once;
        while done < vectors {
            let left = vectors - done;
            let now = if left <= at_once + 2 && at_once > 1 { left } else { at_once.min(left) };
            let sizes = (done..done + now).map(|at| (looped.count - at * self.lanes).min(self.lanes));
            self.grouped(group(done * self.lanes, false, sizes.collect()), &looped.body)?;
            done += now;
        }
        Ok(())
    }

    fn grouped(&mut self, group: Group, body: &[Stmt]) -> Result<(), Unsupported> {
        self.group = Some(Group { each: self.lanes, ..group });
        self.block(body)?;
        self.group = None;
        self.others.clear();
        self.numbers.clear();
        Ok(())
    }

    /// The value of the variable of the loop whose turns are lanes.
    pub(super) fn counted(&mut self, var: LoopVar) -> Result<Option<Parts>, Unsupported> {
        let Some(group) = self.strip().filter(|group| group.var == var) else { return Ok(None) };
        let (first, step) = (group.first(self.turn) as i64, group.step() as i64);
        let mut parts = self.numbered(first, 1)?;
        if step > 0 {
            let turn = self.value(Home::Counter(var));
            if !self.out.counted.contains(&var) {
                self.out.counted.push(var);
            }
            let step = self.splat8(step as u64)?;
            let begun = self.binary(x::MUL_Q, turn, step, true);
            parts = self.with_parts(x::ADD_Q, &parts, begun);
        }
        Ok(Some(parts))
    }

    /// `from + step·lane`; lanes without a turn have the number of the last that has one.
    fn numbered(&mut self, from: i64, step: i64) -> Result<Parts, Unsupported> {
        let valid = self.valid();
        let number = |lane: usize| (from + step * lane.min(valid - 1) as i64).to_le_bytes();
        let eights = self.eights();
        let mut parts = Parts::new();
        for part in 0..self.parts(DType::I64) {
            let bytes: Vec<u8> = (eights * part..eights * (part + 1)).flat_map(number).collect();
            parts.push(self.constant(&bytes, Fill::Full(self.machine.full))?);
        }
        Ok(parts)
    }

    /// How many lanes of the vector in hand are turns.
    pub(super) fn valid(&self) -> usize {
        self.group.as_ref().map_or(self.lanes, |group| group.sizes[self.turn])
    }

    /// Elements of the lanes from the vector in hand, if not all of them are the same one.
    pub(super) fn load_along(
        &mut self,
        buffer: BufferId,
        index: &Index,
        at: At,
    ) -> Result<Option<Parts>, Unsupported> {
        let Some(group) = self.strip() else { return Ok(None) };
        let dtype = self.func.buffers[buffer].dtype;
        let step = coefficient(index, group.var);
        let known = index.dynamic.is_some_and(|id| self.numbers.contains_key(&(id, self.turn)));
        match (index.dynamic, step) {
            (_, 0) if !known => return Ok(None),
            _ if dtype == DType::Bool => return Err("bytes along a loop"),
            (None, 1) => {}
            (dynamic, step) => {
                if let Some(picked) = self.picked(buffer, at, (step, dynamic))? {
                    return Ok(Some(picked));
                }
                let indices = self.indices_along(step, dynamic)?;
                return self.gathered(buffer, at, indices).map(Some);
            }
        }
        let kind = &self.func.buffers[buffer].kind;
        let read_only = matches!(kind, BufferKind::Input | BufferKind::Constant(_));
        // Behind these there is more memory of ours.
        let ours = matches!(kind, BufferKind::Local(_) | BufferKind::Constant(_));
        let mut parts = Parts::new();
        for part in 0..self.parts(dtype) {
            let at = At { disp: self.moved(at.disp, part)?, ..at };
            let fill = match self.piece(dtype, part)? {
                None => {
                    parts.push(self.splat8(0)?);
                    continue;
                }
                // Indices beyond the end would lead anywhere.
                Some(Fill::Part { .. }) if ours && dtype.is_float() => Fill::Full(self.len(dtype)),
                Some(fill) => fill,
            };
            parts.push(if read_only {
                self.value(Home::Memory(at, fill))
            } else {
                let dst = self.fresh();
                self.push(Inst::Load { dst, at, fill });
                dst
            });
        }
        Ok(Some(parts))
    }

    fn indices_along(&mut self, step: i64, dynamic: Option<ScalarId>) -> Result<Parts, Unsupported> {
        let lanes = self.numbered(0, step)?;
        let Some(dynamic) = dynamic else { return Ok(lanes) };
        let begun = self.get(dynamic);
        Ok(lanes.into_iter().zip(begun).map(|(lane, begun)| self.pair(x::ADD_Q, lane, begun)).collect())
    }

    /// Stores the lanes that are turns; the index moves with the loop.
    pub(super) fn store_along(
        &mut self,
        buffer: BufferId,
        index: &Index,
        (at, value): (At, ScalarId),
    ) -> Result<bool, Unsupported> {
        let Some(group) = self.strip() else { return Ok(false) };
        let (var, first) = (group.var, group.first(self.turn));
        let of = &self.func.buffers[buffer];
        let dtype = of.dtype;
        if dtype == DType::Bool || index.dynamic.is_some() {
            return Err("bytes along a loop");
        }
        let parts = self.get(value);
        match coefficient(index, var) {
            0 => crate::bug!("turns that store the same element"),
            1 => {}
            step => {
                let indices = self.numbered(0, step)?;
                let double = dtype != DType::F32;
                let srcs = if double { parts } else { self.halves(parts[0]) };
                let (valid, eights) = (self.valid(), self.eights());
                for (part, (src, index)) in srcs.into_iter().zip(indices).enumerate() {
                    let lanes = valid.saturating_sub(part * eights).min(eights);
                    if lanes > 0 {
                        self.push(Inst::Scatter { double, src, index, at, lanes });
                    }
                }
                return Ok(true);
            }
        }
        // Whether the last lane that is a turn is the last element of a buffer behind which there is room
        // up to the next multiple of 64 bytes.
        let ends = matches!(of.kind, BufferKind::Local(_))
            && index.terms.len() == 1
            && index.offset as usize + first + self.valid() == of.len;
        let (size, room) = (dtype.bytes(), (of.len * dtype.bytes()).next_multiple_of(64));
        let begins = (index.offset as usize + first) * size;
        for (part, src) in parts.into_iter().enumerate() {
            let full = self.len(dtype);
            let fits = ends && begins + part * self.machine.bytes() + full.bytes() as usize <= room;
            let at = At { disp: self.moved(at.disp, part)?, ..at };
            match self.piece(dtype, part)? {
                None => {}
                Some(Fill::Part { .. }) if fits => self.push(Inst::Store { src, at, fill: Fill::Full(full) }),
                Some(fill) => self.push(Inst::Store { src, at, fill }),
            }
        }
        Ok(true)
    }

    /// The elements of lanes that are turns, of a part of a value; `None` if it has none.
    fn piece(&mut self, dtype: DType, part: usize) -> Result<Option<Fill>, Unsupported> {
        let full = self.len(dtype);
        let size = dtype.bytes();
        let most = full.bytes() as usize / size;
        let count = self.valid().saturating_sub(part * most).min(most);
        Ok(Some(match count * size {
            0 => return Ok(None),
            _ if count == most => Fill::Full(full),
            4 => Fill::Splat4,
            8 => Fill::Splat8,
            16 => Fill::Full(Len::X),
            32 => Fill::Full(Len::Y),
            _ => {
                let mask = match self.machine.masks {
                    Masks::Registers => 0,
                    Masks::Vectors => {
                        let bytes: Vec<u8> =
                            (0..most * size).map(|at| if at < count * size { 0xff } else { 0 }).collect();
                        let mask = self.constant(&bytes, Fill::Full(full))?;
                        let Home::Memory(at, _) = self.out.homes[mask] else {
                            crate::bug!("a constant has a home")
                        };
                        at.disp
                    }
                };
                Fill::Part { count: count as u8, double: size == 8, len: full, mask }
            }
        }))
    }
}

/// Most values that loops of these statements carry.
fn most_carried(stmts: &[Stmt]) -> usize {
    let one = |stmt: &Stmt| match stmt {
        Stmt::Loop(looped) => looped.carried.len().max(most_carried(&looped.body)),
        Stmt::Let { .. } | Stmt::Load { .. } | Stmt::Store { .. } => 0,
    };
    stmts.iter().map(one).max().unwrap_or(0)
}

/// Whether elements that are not neighbours are loaded.
fn picks(func: &LoopFunc, stmts: &[Stmt], var: LoopVar) -> bool {
    stmts.iter().any(|stmt| match stmt {
        Stmt::Load { buffer, index, .. } => {
            let neighbours = index.dynamic.is_none() && (0..=1).contains(&coefficient(index, var));
            func.buffers[*buffer].dtype.bytes() == 8 && !neighbours
        }
        Stmt::Loop(looped) => picks(func, &looped.body, var),
        Stmt::Let { .. } | Stmt::Store { .. } => false,
    })
}

fn size(stmts: &[Stmt]) -> usize {
    let one = |stmt: &Stmt| match stmt {
        Stmt::Loop(looped) => WRITTEN_OUT + size(&looped.body),
        Stmt::Let { .. } | Stmt::Load { .. } | Stmt::Store { .. } => 1,
    };
    stmts.iter().map(one).sum()
}
