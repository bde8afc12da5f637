//! Blocks of lanes, one after the other, and sums over the lanes.
//!
//! Where the lanes of a call are more than the registers of the machine hold well, the function is a loop
//! over blocks of them. This costs what the lanes have in common once for each block, but a scalar takes
//! one register, where all lanes at once would take two or four of only sixteen. A block leaves its part
//! of a sum in the workspace; when all are done the parts are added, and then added to the output. Since
//! the tree of a sum begins with neighbours, the part of a block is one number.

use super::{Parts, Select, Unsupported, place};
use crate::backend::lanes::Spread;
use crate::backend::wide::encode as x;
use crate::backend::wide::vector::{At, Base, Fill, Home, Inst, Value};
use crate::lower::loops::{BufferId, BufferKind, DType, LoopVar};

impl Select<'_> {
    /// The whole function, block after block.
    pub(super) fn blocks(&mut self) -> Result<(), Unsupported> {
        let func = self.func;
        let n_blocks = self.width / self.lanes;
        let sums = func.outputs.iter().filter(|id| self.spreads[**id] == Spread::Sum);
        let sums: Vec<BufferId> = sums.copied().collect();
        for id in &sums {
            let buffer = &func.buffers[*id];
            let bytes = (buffer.len * buffer.dtype.bytes()).next_multiple_of(self.machine.bytes());
            let offset = self.out.workspace.next_multiple_of(64);
            let step = i32::try_from(bytes).map_err(|_| "a large buffer")?;
            self.partial.insert(*id, (offset, step.into()));
            self.out.workspace = offset + n_blocks * bytes;
        }
        let open = self.open(self.block_var(), n_blocks, &func.body)?;
        self.block(&func.body)?;
        self.flush_sums();
        self.close(open, Vec::new());
        sums.iter().enumerate().try_for_each(|(number, id)| self.total(number, *id))
    }

    /// What counts the blocks.
    pub(super) fn block_var(&self) -> LoopVar {
        LoopVar(self.func.n_vars as u32)
    }

    /// Bytes of a buffer from one block to the next, if they have not the same.
    pub(super) fn block_step(&self, buffer: BufferId) -> Option<i64> {
        if self.lanes == self.width {
            return None;
        }
        let of = &self.func.buffers[buffer];
        match (self.spreads[buffer], &of.kind) {
            (Spread::Shared, _) | (Spread::Lanes, BufferKind::Local(_)) => None,
            (Spread::Lanes, _) => Some((of.dtype.bytes() * self.lanes) as i64),
            (Spread::Sum, _) => Some(self.partial[&buffer].1),
        }
    }

    /// Adds the parts of all blocks to an output, a vector of elements at a time and then each that is left.
    fn total(&mut self, number: usize, id: BufferId) -> Result<(), Unsupported> {
        let buffer = &self.func.buffers[id];
        let (size, len) = (buffer.dtype.bytes(), buffer.len);
        let output = Base::Output(place(&self.func.outputs, id));
        let parts = Base::Workspace(self.partial[&id].0);
        let [output_class, parts_class] = [output, parts].map(|base| self.class(base, None));
        let in_vector = self.machine.bytes() / size;
        let n_vectors = len / in_vector;
        if n_vectors > 0 {
            let var = LoopVar((self.func.n_vars + 1 + number) as u32);
            let open = self.open(var, n_vectors, &[])?;
            let step = self.machine.bytes() as i64;
            let to = self.class(output, Some((output_class, var, step)));
            let from = self.class(parts, Some((parts_class, var, step)));
            let fill = Fill::Full(self.machine.full);
            self.add_parts(id, At { class: to, disp: 0 }, At { class: from, disp: 0 }, fill)?;
            self.close(open, Vec::new());
        }
        let fill = if size == 8 { Fill::Splat8 } else { Fill::Splat4 };
        for at in n_vectors * in_vector..len {
            let disp = i32::try_from(at * size).map_err(|_| "a large buffer")?;
            self.add_parts(id, At { class: output_class, disp }, At { class: parts_class, disp }, fill)?;
        }
        Ok(())
    }

    /// Neighbouring blocks first, as [`Spread::Sum`] says.
    fn add_parts(&mut self, id: BufferId, to: At, from: At, fill: Fill) -> Result<(), Unsupported> {
        let form = if self.func.buffers[id].dtype == DType::F64 { x::ADD_PD } else { x::ADD_PS };
        let mut terms: Vec<Value> = Vec::new();
        for block in 0..(self.width / self.lanes) as i64 {
            let disp = i64::from(from.disp) + block * self.partial[&id].1;
            let disp = i32::try_from(disp).map_err(|_| "a large buffer")?;
            // Nothing writes there after the last block.
            terms.push(self.value(Home::Memory(At { disp, ..from }, fill)));
        }
        while terms.len() > 1 {
            terms = terms.chunks(2).map(|pair| self.pair(form, pair[0], pair[1])).collect();
        }
        let before = self.fresh();
        self.push(Inst::Load { dst: before, at: to, fill });
        let src = self.pair(form, before, terms[0]);
        self.push(Inst::Store { src, at: to, fill });
        Ok(())
    }

    // ---- sums over the lanes of a block ----------------------------------------------------

    pub(super) fn add_sum(&mut self, at: At, buffer: BufferId, parts: Parts) {
        if self.sums.last().is_some_and(|(_, known, _)| *known != buffer) {
            self.flush_sums();
        }
        self.sums.push((at, buffer, parts));
        if self.sums.len() == self.machine.bytes() / self.func.buffers[buffer].dtype.bytes() {
            self.flush_sums();
        }
    }

    /// Emits the sums in hand: together, if they are as many neighbours from each of a few places as a
    /// vector or its half or its quarter has elements.
    pub(super) fn flush_sums(&mut self) {
        let sums = std::mem::take(&mut self.sums);
        let Some((_, buffer, _)) = sums.first() else { return };
        let dtype = self.func.buffers[*buffer].dtype;
        let neighbours = |a: &(At, BufferId, Parts), b: &(At, BufferId, Parts)| {
            a.0.class == b.0.class && a.0.disp.checked_add(dtype.bytes() as i32) == Some(b.0.disp)
        };
        let runs: Vec<&[(At, BufferId, Parts)]> = sums.chunk_by(neighbours).collect();
        let piece = runs[0].len() * dtype.bytes();
        let together = sums.len() * dtype.bytes() == self.machine.bytes()
            && runs.iter().all(|run| run.len() == runs[0].len())
            && (piece == 16 || 2 * piece >= self.machine.bytes());
        for runs in runs.chunks(if together { runs.len() } else { 1 }) {
            let to = runs.iter().map(|run| run[0].0).collect();
            let parts = self.parts(dtype);
            let srcs = runs.iter().flat_map(|run| run.iter()).flat_map(|(.., parts)| parts.iter().copied());
            let srcs = srcs.collect();
            let (double, adds) = (dtype == DType::F64, self.lanes == self.width);
            self.push(Inst::Sum { double, lanes: self.lanes / parts, parts, srcs, adds, to });
        }
    }
}
