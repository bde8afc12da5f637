//! Loop IR to vector instructions on as many registers as it likes.
//!
//! A scalar becomes one or two [`Value`]s of 512 bits, its lanes side by side; a `bool` is a mask of
//! 32 bits for each lane. Statements and loops keep their order. Addresses become a [`Class`], which
//! moves with the loops, and a distance. What can be had again from where it is, a constant or an
//! element of an input, is not loaded here: `allocate` does so where it is used.

use super::encode::{self as x, Len};
use super::vector::{
    At, Base, Carry, Class, ClassId, Fill, Home, Inst, Looped, Step, Value, Vectors, needed,
};
use crate::backend::lanes::{LaneFunc, Spread};
use crate::base::hash::FastMap;
use crate::base::index::IndexVec;
use crate::lower::loops::{
    BufferId, BufferKind, DType, Index, Loop, LoopFunc, LoopVar, Prim, ScalarId, Stmt,
};
use smallvec::{SmallVec, smallvec};

mod loops;
mod prims;

use loops::{pairs, spreads};
use prims::Narrow;

/// Why a function has no wide code.
pub type Unsupported = &'static str;

type Parts = SmallVec<[Value; 2]>;

/// The wide form of `lane_func` for `width` lanes, 8 or 16.
pub fn select(lane_func: &LaneFunc, width: usize) -> Result<Vectors, Unsupported> {
    if width != 8 && width != 16 {
        return Err("a width other than 8 or 16");
    }
    let func = &lane_func.func;
    let mut select = Select {
        func,
        width,
        out: Vectors::default(),
        spreads: spreads(lane_func),
        values: func.scalars.ids().map(|_| None).collect(),
        negated: FastMap::default(),
        constants: FastMap::default(),
        narrow: FastMap::default(),
        paired: None,
        turn: 0,
        second: FastMap::default(),
        known_classes: FastMap::default(),
        known_constants: FastMap::default(),
        tables: FastMap::default(),
        sums: Vec::new(),
    };
    select.block(&func.body)?;
    select.flush_sums()?;
    Ok(needed(select.out))
}

struct Select<'f> {
    func: &'f LoopFunc,
    width: usize,
    out: Vectors,
    spreads: IndexVec<BufferId, Spread>,
    values: IndexVec<ScalarId, Option<Parts>>,
    /// Of what a scalar is the negative.
    negated: FastMap<ScalarId, ScalarId>,
    constants: FastMap<ScalarId, u64>,
    /// By scalar and turn.
    narrow: FastMap<(ScalarId, usize), Narrow>,
    /// The loop of which two turns are done at once, see [`pairs`].
    paired: Option<LoopVar>,
    /// Which of them is in hand.
    turn: usize,
    /// Values of the second.
    second: FastMap<ScalarId, Parts>,
    known_classes: FastMap<(Base, Option<Step>), ClassId>,
    known_constants: FastMap<(Vec<u8>, bool), Value>,
    tables: FastMap<BufferId, usize>,
    /// Sums over lanes of neighbours in memory, not emitted yet.
    sums: Vec<(At, BufferId, Parts)>,
}

impl Select<'_> {
    fn dtype(&self, id: ScalarId) -> DType {
        self.func.scalars[id]
    }

    /// Values that lanes of this type fill.
    fn parts(&self, dtype: DType) -> usize {
        match dtype {
            DType::F32 | DType::Bool => 1,
            DType::F64 | DType::I64 => self.width / 8,
        }
    }

    /// The vector length that lanes of this type fill.
    fn len(&self, dtype: DType) -> Len {
        match (dtype, self.width) {
            (DType::F32, 8) => Len::Y,
            _ => Len::Z,
        }
    }

    fn value(&mut self, home: Home) -> Value {
        self.out.defined.push(self.out.insts.len());
        self.out.homes.push(home)
    }

    fn fresh(&mut self) -> Value {
        self.value(Home::Nowhere)
    }

    fn push(&mut self, inst: Inst) {
        self.out.insts.push(inst);
    }

    fn get(&self, id: ScalarId) -> Parts {
        if self.turn == 1
            && let Some(parts) = self.second.get(&id)
        {
            return parts.clone();
        }
        self.values[id].clone().expect("verified: defined before use")
    }

    // ---- constants and addresses -----------------------------------------------------------

    /// Where these bytes, aligned to their length, are among the constants.
    fn bytes_at(&mut self, bytes: &[u8]) -> Result<At, Unsupported> {
        let at = self.out.constants.len().next_multiple_of(bytes.len().clamp(1, 64));
        self.out.constants.resize(at, 0);
        self.out.constants.extend_from_slice(bytes);
        let class = self.class(Base::Constants(0), None);
        Ok(At { class, disp: i32::try_from(at).map_err(|_| "too many constants")? })
    }

    fn constant(&mut self, bytes: &[u8], fill: Fill) -> Result<Value, Unsupported> {
        let key = (bytes.to_vec(), matches!(fill, Fill::Full(_)));
        if let Some(value) = self.known_constants.get(&key) {
            return Ok(*value);
        }
        let at = self.bytes_at(bytes)?;
        let value = self.out.homes.push(Home::Memory(at, fill));
        // A constant can be had anywhere.
        self.out.defined.push(0);
        self.known_constants.insert(key, value);
        Ok(value)
    }

    fn splat4(&mut self, bits: u32) -> Result<Value, Unsupported> {
        self.constant(&bits.to_le_bytes(), Fill::Splat4)
    }

    fn splat8(&mut self, bits: u64) -> Result<Value, Unsupported> {
        self.constant(&bits.to_le_bytes(), Fill::Splat8)
    }

    fn address_of(&mut self, bits: u64) -> Result<At, Unsupported> {
        let value = self.splat8(bits)?;
        let Home::Memory(at, _) = self.out.homes[value] else { crate::bug!("a constant has a home") };
        Ok(at)
    }

    fn class(&mut self, base: Base, outer: Option<Step>) -> ClassId {
        if let Some(class) = self.known_classes.get(&(base, outer)) {
            return *class;
        }
        let class = self.out.classes.push(Class { base, outer });
        self.known_classes.insert((base, outer), class);
        class
    }

    /// Bytes from one element of a buffer to the next.
    fn stride(&self, buffer: BufferId) -> i64 {
        let lanes = if self.spreads[buffer] == Spread::Lanes { self.width } else { 1 };
        (self.func.buffers[buffer].dtype.bytes() * lanes) as i64
    }

    /// The address of an element, its computed index left out.
    fn at(&mut self, buffer: BufferId, index: &Index) -> Result<At, Unsupported> {
        let stride = self.stride(buffer);
        let base = match &self.func.buffers[buffer].kind {
            BufferKind::Input => Base::Input(place(&self.func.inputs, buffer)),
            BufferKind::Output => Base::Output(place(&self.func.outputs, buffer)),
            BufferKind::Local(offset) => Base::Workspace(offset * self.width),
            BufferKind::Constant(bits) => {
                let offset = match self.tables.get(&buffer) {
                    Some(offset) => *offset,
                    None => {
                        let dtype = self.func.buffers[buffer].dtype;
                        let offset = self.out.constants.len().next_multiple_of(64);
                        self.out.constants.resize(offset, 0);
                        for bits in bits.iter() {
                            let bits = Prim::Convert.eval(DType::F64, dtype, &[*bits]);
                            self.out.constants.extend_from_slice(&bits.to_le_bytes()[..dtype.bytes()]);
                        }
                        self.tables.insert(buffer, offset);
                        offset
                    }
                };
                Base::Constants(offset)
            }
        };
        let mut class = self.class(base, None);
        let mut terms = index.terms.clone();
        terms.sort_unstable();
        let mut bytes = index.offset * stride;
        for (var, coefficient) in terms {
            let mut step = coefficient * stride;
            if self.paired == Some(var) {
                bytes += step * self.turn as i64;
                step *= 2;
            }
            i32::try_from(step).map_err(|_| "a long way from one turn to the next")?;
            class = self.class(base, Some((class, var, step)));
        }
        let disp = i32::try_from(bytes).map_err(|_| "a large buffer")?;
        Ok(At { class, disp })
    }

    // ---- statements ------------------------------------------------------------------------

    fn block(&mut self, stmts: &[Stmt]) -> Result<(), Unsupported> {
        for stmt in stmts {
            match stmt {
                Stmt::Loop(looped) => {
                    self.flush_sums()?;
                    self.looped(looped)?;
                }
                plain if self.paired.is_some() => {
                    for turn in 0..2 {
                        self.turn = turn;
                        self.plain(plain)?;
                    }
                    self.turn = 0;
                }
                plain => self.plain(plain)?,
            }
        }
        Ok(())
    }

    /// A statement that is no loop.
    fn plain(&mut self, stmt: &Stmt) -> Result<(), Unsupported> {
        let (id, parts) = match stmt {
            Stmt::Let { id, prim, args } => (*id, self.prim(*id, *prim, args)?),
            Stmt::Load { id, buffer, index } => (*id, self.load(*buffer, index)?),
            Stmt::Store { buffer, index, value } => return self.store(*buffer, index, *value),
            Stmt::Loop(_) => crate::bug!("a loop is no plain statement"),
        };
        match self.turn {
            0 => self.values[id] = Some(parts),
            _ => drop(self.second.insert(id, parts)),
        }
        Ok(())
    }

    fn looped(&mut self, looped: &Loop) -> Result<(), Unsupported> {
        if looped.count == 0 {
            for carried in &looped.carried {
                self.values[carried.after] = Some(self.get(carried.init));
            }
            return Ok(());
        }
        let number = self.out.loops.len();
        let paired = pairs(self.func, &self.spreads, looped);
        let count = if paired { looped.count / 2 } else { looped.count };
        self.out.loops.push(Looped {
            var: looped.var,
            count: i32::try_from(count).map_err(|_| "a loop of many turns")?,
            carried: Vec::new(),
            classes: Vec::new(),
            innermost: !looped.body.iter().any(|stmt| matches!(stmt, Stmt::Loop(_))),
        });
        self.push(Inst::Begin { number });
        let first_class = self.out.classes.len();
        for carried in &looped.carried {
            let n_parts = self.parts(self.dtype(carried.inside));
            self.values[carried.inside] = Some((0..n_parts).map(|_| self.fresh()).collect());
        }
        self.paired = paired.then_some(looped.var);
        self.block(&looped.body)?;
        self.paired = None;
        self.flush_sums()?;
        let mut all = Vec::new();
        for carried in &looped.carried {
            let (init, inside, next) =
                (self.get(carried.init), self.get(carried.inside), self.get(carried.next));
            let n_parts = inside.len();
            // Defined by the end of the loop, before anything after it.
            let after: Parts = (0..n_parts)
                .map(|_| {
                    self.out.defined.push(self.out.insts.len() + 1);
                    self.out.homes.push(Home::Nowhere)
                })
                .collect();
            for part in 0..n_parts {
                all.push(Carry {
                    init: init[part],
                    inside: inside[part],
                    next: next[part],
                    after: after[part],
                });
            }
            self.values[carried.after] = Some(after);
        }
        self.push(Inst::End { number });
        let moving = self.out.classes.entries().skip(first_class);
        let moving = moving.filter(|(_, class)| class.outer.is_some_and(|(_, var, _)| var == looped.var));
        let moving = moving.map(|(id, _)| id).collect();
        let this = &mut self.out.loops[number];
        (this.carried, this.classes) = (all, moving);
        Ok(())
    }

    fn load(&mut self, buffer: BufferId, index: &Index) -> Result<Parts, Unsupported> {
        let (dtype, at) = (self.func.buffers[buffer].dtype, self.at(buffer, index)?);
        let spread = self.spreads[buffer];
        if spread == Spread::Sum {
            // It holds the sum of other calls, not what this lane has stored.
            return Err("a sum over lanes that it reads");
        }
        if let Some(index) = index.dynamic {
            return self.gather(dtype, spread, at, index);
        }
        let splat = if dtype.bytes() == 4 { Fill::Splat4 } else { Fill::Splat8 };
        let shared = spread != Spread::Lanes;
        if dtype == DType::Bool {
            let (dst, len) = (self.fresh(), if self.width == 8 { Len::Y } else { Len::Z });
            self.push(match shared {
                true => Inst::SplatMask { dst, at },
                false => Inst::LoadMask { dst, at, len },
            });
            return Ok(smallvec![dst]);
        }
        let read_only = matches!(self.func.buffers[buffer].kind, BufferKind::Input | BufferKind::Constant(_));
        let n_parts = if shared { 1 } else { self.parts(dtype) };
        let mut parts = Parts::new();
        for part in 0..n_parts {
            let at = At { disp: moved(at.disp, part)?, ..at };
            let fill = if shared { splat } else { Fill::Full(self.len(dtype)) };
            parts.push(if read_only {
                self.value(Home::Memory(at, fill))
            } else {
                let dst = self.fresh();
                self.push(Inst::Load { dst, at, fill });
                dst
            });
        }
        if shared {
            parts = SmallVec::from_elem(parts[0], self.parts(dtype));
        }
        Ok(parts)
    }

    /// Eight indices for each part, as the address of an element in this lane.
    fn indices(&mut self, spread: Spread, index: ScalarId) -> Result<Parts, Unsupported> {
        let parts = self.get(index);
        if spread != Spread::Lanes {
            return Ok(parts);
        }
        let mut moved = Parts::new();
        for (part, index) in parts.into_iter().enumerate() {
            let lanes: Vec<u8> = (0..8u64).flat_map(|lane| (8 * part as u64 + lane).to_le_bytes()).collect();
            let lanes = self.constant(&lanes, Fill::Full(Len::Z))?;
            let (scaled, dst) = (self.fresh(), self.fresh());
            let by = self.width.trailing_zeros() as u8;
            self.push(Inst::Shift { form: x::SHIFT_Q, op: 6, dst: scaled, a: index, by });
            self.push(Inst::Two { form: x::ADD_Q, dst, a: scaled, b: lanes, imm: None, commutes: true });
            moved.push(dst);
        }
        Ok(moved)
    }

    fn gather(
        &mut self,
        dtype: DType,
        spread: Spread,
        at: At,
        index: ScalarId,
    ) -> Result<Parts, Unsupported> {
        let double = match dtype {
            DType::F64 | DType::I64 => true,
            DType::F32 => false,
            DType::Bool => return Err("a computed index of bytes"),
        };
        let mut parts = Parts::new();
        for index in self.indices(spread, index)? {
            let dst = self.fresh();
            self.push(Inst::Gather { double, dst, index, at });
            parts.push(dst);
        }
        Ok(if double { parts } else { smallvec![self.joined(&parts)] })
    }

    /// Two halves side by side, or one.
    fn joined(&mut self, halves: &[Value]) -> Value {
        let &[a, b] = halves else { return halves[0] };
        let dst = self.fresh();
        self.push(Inst::Two { form: x::INSERT_HALF, dst, a, b, imm: Some(1), commutes: false });
        dst
    }

    /// The halves of a value of 16 lanes; of 8 lanes the value itself.
    fn halves(&mut self, a: Value) -> Parts {
        if self.width == 8 {
            return smallvec![a];
        }
        let dst = self.fresh();
        self.push(Inst::Upper { dst, a });
        smallvec![a, dst]
    }

    fn store(&mut self, buffer: BufferId, index: &Index, value: ScalarId) -> Result<(), Unsupported> {
        let (dtype, at) = (self.func.buffers[buffer].dtype, self.at(buffer, index)?);
        let parts = self.get(value);
        let spread = self.spreads[buffer];
        if let Some(index) = index.dynamic {
            if spread != Spread::Lanes || dtype == DType::Bool {
                return Err("a computed index of what is stored");
            }
            let indices = self.indices(spread, index)?;
            let double = dtype != DType::F32;
            let srcs = if double { parts } else { self.halves(parts[0]) };
            for (src, index) in srcs.into_iter().zip(indices) {
                self.push(Inst::Scatter { double, src, index, at });
            }
            return Ok(());
        }
        match spread {
            Spread::Sum => self.add_sum(at, buffer, parts)?,
            Spread::Shared => {
                let fill = if dtype.bytes() == 4 { Fill::Splat4 } else { Fill::Splat8 };
                self.push(Inst::Store { src: parts[0], at, fill });
            }
            Spread::Lanes if dtype == DType::Bool => {
                let len = if self.width == 8 { Len::Y } else { Len::Z };
                self.push(Inst::StoreMask { src: parts[0], at, len });
            }
            Spread::Lanes => {
                for (part, src) in parts.into_iter().enumerate() {
                    let at = At { disp: moved(at.disp, part)?, ..at };
                    self.push(Inst::Store { src, at, fill: Fill::Full(self.len(dtype)) });
                }
            }
        }
        Ok(())
    }

    // ---- sums over lanes -------------------------------------------------------------------

    fn add_sum(&mut self, at: At, buffer: BufferId, parts: Parts) -> Result<(), Unsupported> {
        let dtype = self.func.buffers[buffer].dtype;
        if let Some((last, known, _)) = self.sums.last()
            && (*known != buffer
                || last.class != at.class
                || last.disp.checked_add(dtype.bytes() as i32) != Some(at.disp))
        {
            self.flush_sums()?;
        }
        self.sums.push((at, buffer, parts));
        if self.sums.len() == 64 / dtype.bytes() {
            self.flush_sums()?;
        }
        Ok(())
    }

    fn flush_sums(&mut self) -> Result<(), Unsupported> {
        let sums = std::mem::take(&mut self.sums);
        let Some((at, buffer, _)) = sums.first() else { return Ok(()) };
        let (at, double) = (*at, self.func.buffers[*buffer].dtype == DType::F64);
        let mut srcs = Vec::with_capacity(sums.len());
        for (_, _, parts) in sums {
            srcs.push(match parts.as_slice() {
                &[a, b] => {
                    let dst = self.fresh();
                    self.push(Inst::Two { form: x::ADD_PD, dst, a, b, imm: None, commutes: true });
                    dst
                }
                parts => parts[0],
            });
        }
        // Where the shuffles leave each element; see `Inst::Sum` in `allocate`.
        let order: Vec<u8> = match double {
            true => [0u64, 1, 4, 5, 2, 3, 6, 7].iter().flat_map(|at| at.to_le_bytes()).collect(),
            false => (0..16u32).flat_map(|i| shuffled(i).to_le_bytes()).collect(),
        };
        let order = self.constant(&order, Fill::Full(Len::Z))?;
        let Home::Memory(order, _) = self.out.homes[order] else { crate::bug!("a constant has a home") };
        let len = if !double && self.width == 8 { Len::Y } else { Len::Z };
        self.push(Inst::Sum { double, len, srcs, order, at });
        Ok(())
    }
}

fn place(ids: &[BufferId], buffer: BufferId) -> usize {
    ids.iter().position(|id| *id == buffer).expect("verified: ports are listed")
}

/// The distance of a part.
fn moved(disp: i32, part: usize) -> Result<i32, Unsupported> {
    disp.checked_add(64 * part as i32).ok_or("a large buffer")
}

/// Where the shuffles of [`Inst::Sum`] leave element `i` of 16.
fn shuffled(i: u32) -> u32 {
    // Bits 3 and 2 of `i` say which quarter, in the order 0, 8, 4, 12; bits 1 and 0 which element,
    // in the order 0, 2, 1, 3.
    let quarter = (i >> 3 & 1) | (i >> 2 & 1) << 1;
    let element = (i >> 1 & 1) | (i & 1) << 1;
    4 * quarter + element
}
