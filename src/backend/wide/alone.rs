//! Functions of one example: loops whose turns are the lanes.
//!
//! A loop whose turns know nothing of each other is done a vector of turns at a time, with a turn in each
//! lane; what stands outside of such loops is the same in all lanes. A [`Plan`] joins nests of loops that
//! run over neighbours in memory to one loop each, chooses loops, and estimates what a call costs.

use super::encode as x;
use super::machine::Machine;
use super::select::mostly_single;
use crate::base::index::IndexVec;
use crate::lower::loops::{
    Buffer, BufferId, BufferKind, DType, Index, Loop, LoopFunc, LoopVar, Prim, ScalarId, Stmt,
};
use smallvec::smallvec;
use std::sync::Arc;

/// Fewest turns of a loop that are done at once.
const FEWEST: usize = 3;

/// By what scalar code must be slower in this estimate.
pub const MARGIN: f64 = 1.3;

/// Costs, in scalar operations: a division or root, the beginning of a loop, a turn of it.
const DEAR: f64 = 6.0;
const BEGIN: f64 = 6.0;
const TURN: f64 = 1.5;
/// Of a vector of elements at known places.
const PICKED: f64 = 10.0;

/// How a function of one example is done in vectors.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The function, to the same bits, with nests of loops as one.
    pub func: LoopFunc,
    /// Loops whose turns are lanes.
    pub along: Vec<LoopVar>,
    /// What a call costs, in scalar operations.
    pub cost: f64,
}

impl Plan {
    /// `None` if no loop has turns for lanes.
    pub fn of(func: &LoopFunc, machine: &'static Machine) -> Option<Plan> {
        if !has_loop(&func.body) {
            return None;
        }
        let mut func = func.clone();
        joined(&mut func.body);
        let picks = machine.has(&x::PERMUTE_PD);
        let single = mostly_single(&func);
        let lanes = lanes(machine, single);
        if picks {
            let mut body = std::mem::take(&mut func.body);
            folded(&mut body, &mut func, lanes);
            func.body = body;
        }
        // A 512-bit vector takes its unit for two cycles, or two units.
        let vector = machine.bytes() as f64 / 32.0;
        let mut tabled = func.scalars.ids().map(|_| false).collect();
        find_tabled(&func, &func.body, &mut tabled);
        let costs = Costs { func: &func, lanes, vector, picks, tabled };
        let Choice { cost, along } = costs.outside(&func.body)?;
        (!along.is_empty()).then_some(Plan { func, along, cost })
    }
}

/// Turns that are done at once in a function of `f32` (`single`) or of `f64`.
pub fn lanes(machine: &Machine, single: bool) -> usize {
    machine.bytes() / if single { 4 } else { 8 }
}

/// What a call of scalar code costs, in scalar operations.
pub fn scalar_cost(stmts: &[Stmt]) -> f64 {
    let one = |stmt: &Stmt| match stmt {
        Stmt::Let { prim, .. } => weight(*prim),
        Stmt::Load { .. } | Stmt::Store { .. } => 1.0,
        Stmt::Loop(looped) => looped.count as f64 * (scalar_cost(&looped.body) + TURN),
    };
    stmts.iter().map(one).sum()
}

fn weight(prim: Prim) -> f64 {
    match prim {
        Prim::Const(_) | Prim::Counter(_) => 0.0,
        Prim::Div | Prim::Sqrt => DEAR,
        _ => 1.0,
    }
}

fn has_loop(stmts: &[Stmt]) -> bool {
    stmts.iter().any(|stmt| match stmt {
        Stmt::Loop(looped) => looped.carried.is_empty() && looped.count >= FEWEST || has_loop(&looped.body),
        Stmt::Let { .. } | Stmt::Load { .. } | Stmt::Store { .. } => false,
    })
}

// ---- nests ---------------------------------------------------------------------------------

/// Makes one loop of two that are nested and run over memory as one would.
fn joined(stmts: &mut [Stmt]) {
    for stmt in stmts {
        let Stmt::Loop(outer) = stmt else { continue };
        joined(&mut outer.body);
        let [Stmt::Loop(inner)] = outer.body.as_mut_slice() else { continue };
        let (from, to, turns) = (inner.var, outer.var, inner.count as i64);
        if !outer.carried.is_empty() || !inner.carried.is_empty() || !is_even(&inner.body, to, from, turns) {
            continue;
        }
        let mut body = std::mem::take(&mut inner.body);
        let count = outer.count * inner.count;
        renamed(&mut body, from, to);
        (outer.count, outer.body) = (count, body);
    }
}

/// Whether a turn of the loop over `outer` goes as far as all `turns` of that over `inner`, everywhere.
fn is_even(stmts: &[Stmt], outer: LoopVar, inner: LoopVar, turns: i64) -> bool {
    stmts.iter().all(|stmt| match stmt {
        Stmt::Let { prim, .. } => *prim != Prim::Counter(outer) && *prim != Prim::Counter(inner),
        Stmt::Load { index, .. } | Stmt::Store { index, .. } => {
            coefficient(index, outer) == turns * coefficient(index, inner)
        }
        Stmt::Loop(looped) => is_even(&looped.body, outer, inner, turns),
    })
}

fn renamed(stmts: &mut [Stmt], from: LoopVar, to: LoopVar) {
    for stmt in stmts {
        match stmt {
            Stmt::Load { index, .. } | Stmt::Store { index, .. } => {
                index.terms.retain(|(var, _)| *var != to);
                for (var, _) in &mut index.terms {
                    if *var == from {
                        *var = to;
                    }
                }
            }
            Stmt::Loop(looped) => renamed(&mut looped.body, from, to),
            Stmt::Let { .. } => {}
        }
    }
}

/// Most elements of a nest that becomes one loop with tables.
const MOST_FOLDED: usize = 128;

/// Makes one loop of two short ones of which the inner has not vectors of turns, where elements are loaded
/// that do not move evenly: where they are then stands in tables.
fn folded(stmts: &mut [Stmt], func: &mut LoopFunc, lanes: usize) {
    for stmt in stmts {
        let Stmt::Loop(outer) = stmt else { continue };
        folded(&mut outer.body, func, lanes);
        if !is_independent(func, outer) {
            continue;
        }
        let [Stmt::Loop(inner)] = outer.body.as_mut_slice() else { continue };
        let (n, m) = (outer.count, inner.count);
        let short = m % lanes != 0 && m < 2 * lanes && n * m <= MOST_FOLDED && n.min(m) > 1;
        let nest = (outer.var, inner.var, m as i64);
        if !short || !inner.carried.is_empty() || !can_fold(&inner.body, func, nest) {
            continue;
        }
        let mut body = Vec::with_capacity(inner.body.len());
        for mut stmt in std::mem::take(&mut inner.body) {
            if let Stmt::Load { index, .. } = &mut stmt
                && !goes_evenly(index, nest)
            {
                let [far, near] = [nest.0, nest.1].map(|var| coefficient(index, var));
                let number = |at: usize| far * (at / m) as i64 + near * (at % m) as i64;
                let least = (0..n * m).map(number).min().unwrap_or(0);
                let places: Vec<u64> = (0..n * m).map(|at| ((number(at) - least) as f64).to_bits()).collect();
                let (id, buffer) = (func.scalars.push(DType::I64), table(func, places));
                index.terms.retain(|(var, _)| *var != nest.0 && *var != nest.1);
                index.offset += least;
                index.dynamic = Some(id);
                let along = Index { terms: smallvec![(nest.1, 1)], ..Index::default() };
                body.push(Stmt::Load { id, buffer, index: along });
            }
            body.push(stmt);
        }
        renamed(&mut body, nest.1, nest.0);
        (outer.count, outer.body) = (n * m, body);
    }
}

fn can_fold(stmts: &[Stmt], func: &LoopFunc, nest: (LoopVar, LoopVar, i64)) -> bool {
    let mut uneven = 0;
    let all = stmts.iter().all(|stmt| match stmt {
        Stmt::Let { prim, .. } => *prim != Prim::Counter(nest.0) && *prim != Prim::Counter(nest.1),
        Stmt::Load { index, .. } if goes_evenly(index, nest) => true,
        Stmt::Load { buffer, index, .. } => {
            uneven += 1;
            index.dynamic.is_none() && func.buffers[*buffer].dtype == DType::F64
        }
        Stmt::Store { index, .. } => goes_evenly(index, nest),
        Stmt::Loop(_) => false,
    });
    all && (1..=4).contains(&uneven)
}

fn goes_evenly(index: &Index, (outer, inner, turns): (LoopVar, LoopVar, i64)) -> bool {
    coefficient(index, outer) == turns * coefficient(index, inner)
}

/// A table of integers, the same one for the same integers.
fn table(func: &mut LoopFunc, bits: Vec<u64>) -> BufferId {
    let same = |buffer: &Buffer| match &buffer.kind {
        BufferKind::Constant(known) => buffer.dtype == DType::I64 && **known == *bits,
        BufferKind::Input | BufferKind::Output | BufferKind::Local(_) => false,
    };
    let known = func.buffers.entries().find(|(_, buffer)| same(buffer)).map(|(id, _)| id);
    known.unwrap_or_else(|| {
        let kind = BufferKind::Constant(Arc::from(bits.as_slice()));
        func.buffers.push(Buffer { name: "places".to_owned(), dtype: DType::I64, len: bits.len(), kind })
    })
}

/// What a turn of the loop adds to an index.
pub fn coefficient(index: &Index, var: LoopVar) -> i64 {
    index.terms.iter().find(|(known, _)| *known == var).map_or(0, |(_, coefficient)| *coefficient)
}

// ---- independence --------------------------------------------------------------------------

/// An element that a loop reads or writes.
struct Access<'f> {
    buffer: BufferId,
    index: &'f Index,
    stores: bool,
}

/// Whether the turns of a loop can be done at once: nothing is carried, every element that a turn writes
/// is its own, and what it reads no other turn writes.
fn is_independent(func: &LoopFunc, looped: &Loop) -> bool {
    if !looped.carried.is_empty() {
        return false;
    }
    let (mut accesses, mut counts) = (Vec::new(), vec![(looped.var, looped.count)]);
    found(&looped.body, &mut accesses, &mut counts);
    let meets = |store: &Access, other: &Access| {
        if store.buffer == other.buffer {
            store.index != other.index
        } else {
            overlap(&func.buffers[store.buffer], &func.buffers[other.buffer])
        }
    };
    accesses.iter().filter(|access| access.stores).all(|store| {
        store.index.dynamic.is_none()
            && coefficient(store.index, looped.var) != 0
            && is_injective(store.index, &counts)
            && !accesses.iter().any(|other| meets(store, other))
    })
}

fn found<'f>(stmts: &'f [Stmt], accesses: &mut Vec<Access<'f>>, counts: &mut Vec<(LoopVar, usize)>) {
    for stmt in stmts {
        match stmt {
            Stmt::Let { .. } => {}
            Stmt::Load { buffer, index, .. } => {
                accesses.push(Access { buffer: *buffer, index, stores: false });
            }
            Stmt::Store { buffer, index, .. } => {
                accesses.push(Access { buffer: *buffer, index, stores: true });
            }
            Stmt::Loop(looped) => {
                counts.push((looped.var, looped.count));
                found(&looped.body, accesses, counts);
            }
        }
    }
}

/// Whether turns of these loops that differ go to elements that differ: each step is longer than all that
/// shorter ones go together. (Loops that are not in the index go to the same element, one after the other.)
fn is_injective(index: &Index, counts: &[(LoopVar, usize)]) -> bool {
    let within = |(var, step): &(LoopVar, i64)| {
        let (_, count) = counts.iter().find(|(known, _)| known == var)?;
        Some((step.abs(), *count as i64 - 1))
    };
    let mut steps: Vec<(i64, i64)> = index.terms.iter().filter_map(within).collect();
    steps.sort_unstable();
    let mut far = 0;
    steps.iter().all(|(step, turns)| {
        let longer = *step > far;
        far += step * turns;
        longer
    })
}

/// Whether two buffers have memory in common.
fn overlap(a: &Buffer, b: &Buffer) -> bool {
    let range = |buffer: &Buffer| match buffer.kind {
        BufferKind::Local(offset) => Some((offset, offset + buffer.len * buffer.dtype.bytes())),
        BufferKind::Input | BufferKind::Output | BufferKind::Constant(_) => None,
    };
    match (range(a), range(b)) {
        (Some((a, a_end)), Some((b, b_end))) => a < b_end && b < a_end,
        _ => false,
    }
}

// ---- costs ---------------------------------------------------------------------------------

/// Marks integers out of tables.
fn find_tabled(func: &LoopFunc, stmts: &[Stmt], tabled: &mut IndexVec<ScalarId, bool>) {
    for stmt in stmts {
        match stmt {
            Stmt::Load { id, buffer, .. } => {
                tabled[*id] = matches!(func.buffers[*buffer].kind, BufferKind::Constant(_));
            }
            Stmt::Let { id, args, .. } => tabled[*id] = args.iter().any(|arg| tabled[*arg]),
            Stmt::Store { .. } => {}
            Stmt::Loop(looped) => find_tabled(func, &looped.body, tabled),
        }
    }
}

struct Choice {
    cost: f64,
    along: Vec<LoopVar>,
}

struct Costs<'f> {
    func: &'f LoopFunc,
    lanes: usize,
    /// What an operation on a vector costs.
    vector: f64,
    /// Whether elements at known places are picked from vectors.
    picks: bool,
    /// Scalars out of tables.
    tabled: IndexVec<ScalarId, bool>,
}

impl Costs<'_> {
    /// Of statements that are the same in all lanes, with the best choice of loops; `None` where there is
    /// no form.
    fn outside(&self, stmts: &[Stmt]) -> Option<Choice> {
        let mut all = Choice { cost: 0.0, along: Vec::new() };
        for stmt in stmts {
            all.cost += match stmt {
                Stmt::Let { id, prim, .. } => self.of_let(*id, *prim),
                Stmt::Load { buffer, index, .. } => match index.dynamic {
                    Some(_) if self.is_bool(*buffer) => return None,
                    Some(_) => self.scattered(),
                    None => self.vector,
                },
                Stmt::Store { buffer, index, .. } => {
                    if index.dynamic.is_some() || self.is_bool(*buffer) {
                        return None;
                    }
                    1.0
                }
                Stmt::Loop(looped) => {
                    let Choice { cost, along } = self.of_loop(looped)?;
                    all.along.extend(along);
                    cost
                }
            };
        }
        Some(all)
    }

    fn of_loop(&self, looped: &Loop) -> Option<Choice> {
        let turns = looped.count as f64;
        let each = self
            .outside(&looped.body)
            .map(|body| Choice { cost: BEGIN + turns * (body.cost + TURN), along: body.along });
        let together = (looped.count >= FEWEST && is_independent(self.func, looped))
            .then(|| self.inside(&looped.body, looped.var))
            .flatten();
        let together = together.map(|body| {
            let strips = looped.count.div_ceil(self.lanes) as f64;
            Choice { cost: BEGIN + strips * (body + TURN), along: vec![looped.var] }
        });
        match (each, together) {
            (Some(each), Some(together)) => Some(if together.cost < each.cost { together } else { each }),
            (each, together) => each.or(together),
        }
    }

    /// Of a vector of turns of the loop over `var`.
    fn inside(&self, stmts: &[Stmt], var: LoopVar) -> Option<f64> {
        let mut all = 0.0;
        for stmt in stmts {
            all += match stmt {
                Stmt::Let { id, prim, .. } => self.of_let(*id, *prim),
                Stmt::Load { buffer, index, .. } => match (index.dynamic, coefficient(index, var)) {
                    (None, 0) => self.vector,
                    (_, _) if self.is_bool(*buffer) => return None,
                    (None, 1) => self.vector,
                    (dynamic, _) => self.gathered(*buffer, dynamic),
                },
                Stmt::Store { buffer, index, .. } => match coefficient(index, var) {
                    _ if self.is_bool(*buffer) => return None,
                    1 => self.vector,
                    _ => self.scattered(),
                },
                Stmt::Loop(looped) => BEGIN + looped.count as f64 * (self.inside(&looped.body, var)? + TURN),
            };
        }
        Some(all)
    }

    fn of_let(&self, id: ScalarId, prim: Prim) -> f64 {
        let bytes = self.func.scalars[id].bytes().max(4);
        weight(prim) * self.vector * (self.lanes * bytes).div_ceil(32 * self.vector as usize) as f64
    }

    /// A load of elements that are not neighbours.
    fn gathered(&self, buffer: BufferId, dynamic: Option<ScalarId>) -> f64 {
        let known = dynamic.is_none_or(|index| self.tabled[index]);
        let picked = self.picks && known && self.func.buffers[buffer].dtype.bytes() == 8;
        if picked { PICKED } else { self.scattered() }
    }

    /// A load or store of elements that are not neighbours, one by one.
    fn scattered(&self) -> f64 {
        self.lanes as f64 * 3.0
    }

    fn is_bool(&self, buffer: BufferId) -> bool {
        self.func.buffers[buffer].dtype == DType::Bool
    }
}
