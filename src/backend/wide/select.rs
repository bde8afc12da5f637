//! Loop IR to vector instructions on as many registers as it likes.
//!
//! The lanes come in blocks of as many as the registers of the machine hold well, one block after the
//! other. In a block a scalar becomes one or two [`Value`]s, its lanes side by side; a `bool` is a mask
//! as wide as a vector over the lanes of a block, but of 32 bits for each lane where masks have registers
//! of their own. Statements and loops keep their order. Addresses become a [`Class`], which
//! moves with the loops, and a distance. What can be had again from where it is, a constant or an
//! element of an input, is not loaded here: `allocate` does so where it is used.

use super::alone::{self, Plan};
use super::encode::Len;
use super::machine::Machine;
use super::vector::{
    At, Base, Carry, Class, ClassId, Fill, Home, Inst, Looped, Step, Value, Vectors, needed,
};
use crate::backend::lanes::{LaneFunc, Spread};
use crate::base::hash::FastMap;
use crate::base::index::IndexVec;
use crate::lower::loops::{
    BufferId, BufferKind, DType, Index, Loop, LoopFunc, LoopVar, Prim, ScalarId, Stmt,
};
use smallvec::SmallVec;

mod blocks;
mod expand;
mod loops;
mod masks;
mod memory;
mod picks;
mod prims;
mod strips;

pub use loops::mostly_single;
use loops::{pairs, spreads};
use prims::Narrow;
use strips::Group;

/// Why a function has no wide code.
pub type Unsupported = &'static str;

type Parts = SmallVec<[Value; 2]>;

/// The form of `lane_func` for `width` lanes, 8 or 16, on a machine.
pub fn select(lane_func: &LaneFunc, width: usize, machine: &'static Machine) -> Result<Vectors, Unsupported> {
    if width != 8 && width != 16 {
        return Err("a width other than 8 or 16");
    }
    let func = &lane_func.func;
    let lanes = machine.lanes(width, mostly_single(func));
    let mut select = Select::new(func, machine, (width, lanes), spreads(lane_func));
    select.out.workspace = func.workspace * lanes;
    if lanes == width {
        select.block(&func.body)?;
        select.flush_sums()?;
    } else {
        select.blocks()?;
    }
    Ok(needed(select.out))
}

/// The form of a function of one example.
pub fn select_alone(plan: &Plan, machine: &'static Machine) -> Result<Vectors, Unsupported> {
    let func = &plan.func;
    let lanes = alone::lanes(machine, mostly_single(func));
    let spreads = func.buffers.iter().map(|_| Spread::Shared).collect();
    let mut select = Select::new(func, machine, (lanes, lanes), spreads);
    select.along = Some(&plan.along);
    // A vector may begin at any element.
    select.out.workspace = func.workspace + machine.bytes();
    select.block(&func.body)?;
    Ok(needed(select.out))
}

/// A loop that has begun.
struct Opened {
    number: usize,
    first_class: usize,
}

struct Select<'f> {
    func: &'f LoopFunc,
    machine: &'static Machine,
    /// Lanes of a call, and of a block.
    width: usize,
    lanes: usize,
    /// In a function of one example the loops whose turns are lanes.
    along: Option<&'f [LoopVar]>,
    out: Vectors,
    spreads: IndexVec<BufferId, Spread>,
    values: IndexVec<ScalarId, Option<Parts>>,
    /// Of what a scalar is the negative.
    negated: FastMap<ScalarId, ScalarId>,
    constants: FastMap<ScalarId, u64>,
    /// By scalar and turn.
    narrow: FastMap<(ScalarId, usize), Narrow>,
    /// Masks of 64 bits a lane where others have 32, by scalar and turn.
    wide_masks: FastMap<(ScalarId, usize), Parts>,
    /// The loop of which several turns, or vectors of turns, are done at once.
    group: Option<Group>,
    /// Which of them is in hand.
    turn: usize,
    /// Values of those after the first.
    others: FastMap<(ScalarId, usize), Parts>,
    /// Integers that are known in every lane, by scalar and turn.
    numbers: FastMap<(ScalarId, usize), Vec<i64>>,
    known_classes: FastMap<(Base, Option<Step>), ClassId>,
    known_constants: FastMap<(Vec<u8>, bool), Value>,
    tables: FastMap<BufferId, usize>,
    /// Sums over lanes of neighbours in memory, not emitted yet.
    sums: Vec<(At, BufferId, Parts)>,
    /// Where in the workspace the sums of the first block are, and bytes from there to the next block's.
    partial: FastMap<BufferId, (usize, i64)>,
}

impl<'f> Select<'f> {
    /// Nothing yet, for a call of `width` lanes of which a block has `lanes`.
    fn new(
        func: &'f LoopFunc,
        machine: &'static Machine,
        (width, lanes): (usize, usize),
        spreads: IndexVec<BufferId, Spread>,
    ) -> Select<'f> {
        Select {
            func,
            machine,
            width,
            lanes,
            along: None,
            out: Vectors::default(),
            spreads,
            values: func.scalars.ids().map(|_| None).collect(),
            negated: FastMap::default(),
            constants: FastMap::default(),
            narrow: FastMap::default(),
            wide_masks: FastMap::default(),
            group: None,
            turn: 0,
            others: FastMap::default(),
            numbers: FastMap::default(),
            known_classes: FastMap::default(),
            known_constants: FastMap::default(),
            tables: FastMap::default(),
            sums: Vec::new(),
            partial: FastMap::default(),
        }
    }
}

impl Select<'_> {
    fn dtype(&self, id: ScalarId) -> DType {
        self.func.scalars[id]
    }

    /// Values that lanes of this type fill.
    fn parts(&self, dtype: DType) -> usize {
        match dtype {
            DType::F32 | DType::Bool => 1,
            DType::F64 | DType::I64 => self.lanes / self.eights(),
        }
    }

    /// Elements of eight bytes in a vector.
    fn eights(&self) -> usize {
        self.machine.bytes() / 8
    }

    /// Whether `f32` fills but half of a vector.
    fn is_half(&self) -> bool {
        self.lanes == self.eights()
    }

    /// The vector length that lanes of this type fill.
    fn len(&self, dtype: DType) -> Len {
        match dtype {
            DType::F32 if self.is_half() => self.machine.half,
            _ => self.machine.full,
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
        if self.turn > 0
            && let Some(parts) = self.others.get(&(id, self.turn))
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

    /// Elements from one of a buffer to the next of the same lane.
    fn spacing(&self, buffer: BufferId) -> usize {
        match (self.spreads[buffer], &self.func.buffers[buffer].kind) {
            (Spread::Shared | Spread::Sum, _) => 1,
            // Blocks have these one after the other.
            (Spread::Lanes, BufferKind::Local(_)) => self.lanes,
            (Spread::Lanes, _) => self.width,
        }
    }

    /// Bytes likewise.
    fn stride(&self, buffer: BufferId) -> i64 {
        (self.func.buffers[buffer].dtype.bytes() * self.spacing(buffer)) as i64
    }

    /// The address of an element, its computed index left out.
    fn at(&mut self, buffer: BufferId, index: &Index) -> Result<At, Unsupported> {
        let stride = self.stride(buffer);
        let mut bytes = index.offset * stride;
        let base = match &self.func.buffers[buffer].kind {
            BufferKind::Input => Base::Input(place(&self.func.inputs, buffer)),
            BufferKind::Output => match self.partial.get(&buffer) {
                Some((offset, _)) => Base::Workspace(*offset),
                None => Base::Output(place(&self.func.outputs, buffer)),
            },
            // One address serves for all of them.
            BufferKind::Local(offset) if self.along.is_some() => {
                bytes += *offset as i64;
                Base::Workspace(0)
            }
            BufferKind::Local(offset) => Base::Workspace(offset * self.lanes),
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
                if self.along.is_some() {
                    bytes += offset as i64;
                    Base::Constants(0)
                } else {
                    Base::Constants(offset)
                }
            }
        };
        let mut class = self.class(base, None);
        if let Some(step) = self.block_step(buffer) {
            class = self.class(base, Some((class, self.block_var(), step)));
        }
        let mut terms = index.terms.clone();
        terms.sort_unstable();
        for (var, coefficient) in terms {
            let mut step = coefficient * stride;
            if let Some(group) = &self.group
                && group.var == var
            {
                bytes += step * group.first(self.turn) as i64;
                step *= group.step() as i64;
            }
            if step == 0 {
                continue;
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
                plain => {
                    for turn in 0..self.turns(plain) {
                        self.turn = turn;
                        self.plain(plain)?;
                    }
                    self.turn = 0;
                }
            }
        }
        Ok(())
    }

    /// A statement that is no loop.
    fn plain(&mut self, stmt: &Stmt) -> Result<(), Unsupported> {
        let (id, parts) = match stmt {
            Stmt::Let { id, prim, args } => {
                self.reckon(*id, *prim, args);
                (*id, self.prim(*id, *prim, args)?)
            }
            Stmt::Load { id, buffer, index } => {
                self.look_up(*id, *buffer, index);
                (*id, self.load(*buffer, index)?)
            }
            Stmt::Store { buffer, index, value } => return self.store(*buffer, index, *value),
            Stmt::Loop(_) => crate::bug!("a loop is no plain statement"),
        };
        self.set(id, parts);
        Ok(())
    }

    fn set(&mut self, id: ScalarId, parts: Parts) {
        match self.turn {
            0 => self.values[id] = Some(parts),
            turn => drop(self.others.insert((id, turn), parts)),
        }
    }

    fn looped(&mut self, looped: &Loop) -> Result<(), Unsupported> {
        if looped.count == 0 {
            for carried in &looped.carried {
                for turn in 0..self.n_turns() {
                    self.turn = turn;
                    let init = self.get(carried.init);
                    self.set(carried.after, init);
                }
                self.turn = 0;
            }
            return Ok(());
        }
        if self.along.is_some_and(|along| along.contains(&looped.var)) {
            return self.along(looped);
        }
        let paired =
            self.along.is_none() && self.machine.pairs_turns && pairs(self.func, &self.spreads, looped);
        let count = if paired { looped.count / 2 } else { looped.count };
        let open = self.open(looped.var, count, &looped.body)?;
        let n_turns = self.n_turns();
        for carried in &looped.carried {
            let n_parts = self.parts(self.dtype(carried.inside));
            for turn in 0..n_turns {
                self.turn = turn;
                let inside = (0..n_parts).map(|_| self.fresh()).collect();
                self.set(carried.inside, inside);
            }
            self.turn = 0;
        }
        if paired {
            self.group = Some(Group::pair(looped.var));
        }
        self.block(&looped.body)?;
        if paired {
            self.group = None;
            self.others.clear();
        }
        self.flush_sums()?;
        let mut all = Vec::new();
        for carried in &looped.carried {
            for turn in 0..n_turns {
                self.turn = turn;
                let [init, inside, next] =
                    [carried.init, carried.inside, carried.next].map(|id| self.get(id));
                let n_parts = inside.len();
                // Defined by the end of the loop, before anything after it.
                let after: Parts = (0..n_parts)
                    .map(|_| {
                        self.out.defined.push(self.out.insts.len() + 1);
                        self.out.homes.push(Home::Nowhere)
                    })
                    .collect();
                for part in 0..n_parts {
                    let [init, inside, next, after] = [init[part], inside[part], next[part], after[part]];
                    all.push(Carry { init, inside, next, after });
                }
                self.set(carried.after, after);
            }
            self.turn = 0;
        }
        self.close(open, all);
        Ok(())
    }

    /// Begins a loop around `body`.
    fn open(&mut self, var: LoopVar, count: usize, body: &[Stmt]) -> Result<Opened, Unsupported> {
        let number = self.out.loops.len();
        self.out.loops.push(Looped {
            var,
            count: i32::try_from(count).map_err(|_| "a loop of many turns")?,
            carried: Vec::new(),
            classes: Vec::new(),
            innermost: !body.iter().any(|stmt| matches!(stmt, Stmt::Loop(_))),
        });
        self.push(Inst::Begin { number });
        Ok(Opened { number, first_class: self.out.classes.len() })
    }

    fn close(&mut self, Opened { number, first_class }: Opened, carried: Vec<Carry>) {
        self.push(Inst::End { number });
        let this = &mut self.out.loops[number];
        // A loop may be written more than once.
        self.known_classes.retain(|(_, step), _| step.is_none_or(|(_, var, _)| var != this.var));
        let moving = self.out.classes.entries().skip(first_class);
        let moving = moving.filter(|(_, class)| class.outer.is_some_and(|(_, var, _)| var == this.var));
        this.classes = moving.map(|(id, _)| id).collect();
        this.carried = carried;
    }
}

fn place(ids: &[BufferId], buffer: BufferId) -> usize {
    ids.iter().position(|id| *id == buffer).expect("verified: ports are listed")
}
