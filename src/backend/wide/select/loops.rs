//! What is known of a function before it is selected: which buffers the lanes have in common, and which
//! loops are done two turns at once.

use crate::backend::lanes::{LaneFunc, Spread};
use crate::base::index::IndexVec;
use crate::lower::loops::{BufferId, BufferKind, DType, Loop, LoopFunc, Prim, ScalarId, Stmt};

/// What each buffer is to the lanes: a local one that the lanes have in common is stored once.
pub(super) fn spreads(lane_func: &LaneFunc) -> IndexVec<BufferId, Spread> {
    let func = &lane_func.func;
    let mut spreads: IndexVec<BufferId, Spread> = func
        .buffers
        .iter()
        .map(|buffer| match buffer.kind {
            BufferKind::Local(_) if !buffer.dtype.is_float() => Spread::Lanes,
            _ => Spread::Shared,
        })
        .collect();
    for (id, spread) in func.inputs.iter().zip(&lane_func.inputs) {
        spreads[*id] = *spread;
    }
    for (id, spread) in func.outputs.iter().zip(&lane_func.outputs) {
        spreads[*id] = *spread;
    }
    let mut varies: IndexVec<ScalarId, bool> = func.scalars.ids().map(|_| false).collect();
    loop {
        let mut changed = false;
        vary(func, &func.body, &mut spreads, &mut varies, &mut changed);
        if !changed {
            return spreads;
        }
    }
}

/// Marks scalars that differ between lanes, and local buffers they are stored to.
fn vary(
    func: &LoopFunc,
    stmts: &[Stmt],
    spreads: &mut IndexVec<BufferId, Spread>,
    varies: &mut IndexVec<ScalarId, bool>,
    changed: &mut bool,
) {
    for stmt in stmts {
        match stmt {
            Stmt::Let { id, args, .. } => {
                let any = args.iter().any(|arg| varies[*arg]);
                *changed |= any && !varies[*id];
                varies[*id] |= any;
            }
            Stmt::Load { id, buffer, index } => {
                let any =
                    spreads[*buffer] == Spread::Lanes || index.dynamic.is_some_and(|index| varies[index]);
                *changed |= any && !varies[*id];
                varies[*id] |= any;
            }
            Stmt::Store { buffer, index, value } => {
                let local = matches!(func.buffers[*buffer].kind, BufferKind::Local(_));
                if local && spreads[*buffer] == Spread::Shared && (varies[*value] || index.dynamic.is_some())
                {
                    spreads[*buffer] = Spread::Lanes;
                    *changed = true;
                }
            }
            Stmt::Loop(looped) => {
                for carried in &looped.carried {
                    let any = varies[carried.init] || varies[carried.next];
                    *changed |= any && !(varies[carried.inside] && varies[carried.after]);
                    varies[carried.inside] |= any;
                    varies[carried.after] |= any;
                }
                vary(func, &looped.body, spreads, varies, changed);
            }
        }
    }
}

/// Whether two turns of this loop are done at once, statement by statement, so that one fills the gaps
/// that the other leaves: turns must not know of each other, and their values fill one register each.
pub(super) fn pairs(func: &LoopFunc, spreads: &IndexVec<BufferId, Spread>, looped: &Loop) -> bool {
    const WORTH: usize = 8;
    if looped.count % 2 == 1 || !looped.carried.is_empty() {
        return false;
    }
    let (mut single, mut double, mut read, mut written) = (0, 0, Vec::new(), Vec::new());
    for stmt in &looped.body {
        match stmt {
            Stmt::Let { prim: Prim::Counter(_), .. } | Stmt::Loop(_) => return false,
            Stmt::Let { id, .. } => match func.scalars[*id] {
                DType::F32 | DType::Bool => single += 1,
                DType::F64 | DType::I64 => double += 1,
            },
            Stmt::Load { buffer, index, .. } if index.dynamic.is_none() => read.push(*buffer),
            Stmt::Store { buffer, index, .. } if index.dynamic.is_none() => {
                if spreads[*buffer] != Spread::Lanes {
                    return false;
                }
                written.push(*buffer);
            }
            Stmt::Load { .. } | Stmt::Store { .. } => return false,
        }
    }
    single >= WORTH && single > 2 * double && !read.iter().any(|buffer| written.contains(buffer))
}

/// Whether more is computed in `f32` than in `f64`.
pub fn mostly_single(func: &LoopFunc) -> bool {
    let count = |dtype: DType| func.scalars.iter().filter(|scalar| **scalar == dtype).count();
    count(DType::F32) > count(DType::F64)
}
