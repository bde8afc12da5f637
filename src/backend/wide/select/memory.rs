//! Loads and stores of buffers.

use super::{Parts, Select, Unsupported};
use crate::backend::lanes::Spread;
use crate::backend::wide::encode as x;
use crate::backend::wide::vector::{At, Fill, Home, Inst, Value};
use crate::lower::loops::{BufferId, BufferKind, DType, Index, ScalarId};
use smallvec::{SmallVec, smallvec};

impl Select<'_> {
    pub(super) fn load(&mut self, buffer: BufferId, index: &Index) -> Result<Parts, Unsupported> {
        let (dtype, at) = (self.func.buffers[buffer].dtype, self.at(buffer, index)?);
        let spread = self.spreads[buffer];
        if spread == Spread::Sum {
            // It holds the sum of other calls, not what this lane has stored.
            return Err("a sum over lanes that it reads");
        }
        if let Some(parts) = self.load_along(buffer, index, at)? {
            return Ok(parts);
        }
        if let Some(index) = index.dynamic {
            let indices = self.indices(buffer, index)?;
            return self.gathered(buffer, at, indices);
        }
        let splat = if dtype.bytes() == 4 { Fill::Splat4 } else { Fill::Splat8 };
        let shared = spread != Spread::Lanes;
        if dtype == DType::Bool {
            return self.load_mask(at, shared);
        }
        let read_only = matches!(self.func.buffers[buffer].kind, BufferKind::Input | BufferKind::Constant(_));
        let n_parts = if shared { 1 } else { self.parts(dtype) };
        let mut parts = Parts::new();
        for part in 0..n_parts {
            let at = At { disp: self.moved(at.disp, part)?, ..at };
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

    /// The indices, as those of elements of this lane.
    fn indices(&mut self, buffer: BufferId, index: ScalarId) -> Result<Parts, Unsupported> {
        let parts = self.get(index);
        let spacing = self.spacing(buffer);
        if self.spreads[buffer] != Spread::Lanes {
            return Ok(parts);
        }
        let eights = self.eights();
        let mut moved = Parts::new();
        for (part, index) in parts.into_iter().enumerate() {
            let lanes = eights * part..eights * (part + 1);
            let lanes: Vec<u8> = lanes.flat_map(|lane| (lane as u64).to_le_bytes()).collect();
            let lanes = self.constant(&lanes, Fill::Full(self.machine.full))?;
            let (scaled, dst) = (self.fresh(), self.fresh());
            let by = spacing.trailing_zeros() as u8;
            self.push(Inst::Shift { form: x::SHIFT_Q, op: 6, dst: scaled, a: index, by });
            self.push(Inst::Two { form: x::ADD_Q, dst, a: scaled, b: lanes, imm: None, commutes: true });
            moved.push(dst);
        }
        Ok(moved)
    }

    /// Elements at these indices.
    pub(super) fn gathered(
        &mut self,
        buffer: BufferId,
        at: At,
        indices: Parts,
    ) -> Result<Parts, Unsupported> {
        let double = match self.func.buffers[buffer].dtype {
            DType::F64 | DType::I64 => true,
            DType::F32 => false,
            DType::Bool => return Err("a computed index of bytes"),
        };
        let mut parts = Parts::new();
        for index in indices {
            let dst = self.fresh();
            self.push(Inst::Gather { double, dst, index, at });
            parts.push(dst);
        }
        Ok(if double { parts } else { smallvec![self.joined(&parts)] })
    }

    /// Two halves side by side, or one.
    pub(super) fn joined(&mut self, halves: &[Value]) -> Value {
        let &[a, b] = halves else { return halves[0] };
        let (dst, form) = (self.fresh(), self.machine.insert);
        self.push(Inst::Two { form, dst, a, b, imm: Some(1), commutes: false });
        dst
    }

    /// The halves of a value that lanes of four bytes fill, or the value that is but a half.
    pub(super) fn halves(&mut self, a: Value) -> Parts {
        if self.is_half() {
            return smallvec![a];
        }
        let dst = self.fresh();
        self.push(Inst::Upper { dst, a });
        smallvec![a, dst]
    }

    pub(super) fn store(
        &mut self,
        buffer: BufferId,
        index: &Index,
        value: ScalarId,
    ) -> Result<(), Unsupported> {
        let (dtype, at) = (self.func.buffers[buffer].dtype, self.at(buffer, index)?);
        if self.store_along(buffer, index, (at, value))? {
            return Ok(());
        }
        let parts = self.get(value);
        let spread = self.spreads[buffer];
        if let Some(index) = index.dynamic {
            if spread != Spread::Lanes || dtype == DType::Bool {
                return Err("a computed index of what is stored");
            }
            let indices = self.indices(buffer, index)?;
            let double = dtype != DType::F32;
            let srcs = if double { parts } else { self.halves(parts[0]) };
            for (src, index) in srcs.into_iter().zip(indices) {
                let lanes = self.eights();
                self.push(Inst::Scatter { double, src, index, at, lanes });
            }
            return Ok(());
        }
        match spread {
            Spread::Sum => self.add_sum(at, buffer, parts)?,
            Spread::Shared if dtype == DType::Bool => return Err("bytes that are stored one by one"),
            Spread::Shared => {
                let fill = if dtype.bytes() == 4 { Fill::Splat4 } else { Fill::Splat8 };
                self.push(Inst::Store { src: parts[0], at, fill });
            }
            Spread::Lanes if dtype == DType::Bool => {
                self.store_mask(at, parts[0])?;
            }
            Spread::Lanes => {
                for (part, src) in parts.into_iter().enumerate() {
                    let at = At { disp: self.moved(at.disp, part)?, ..at };
                    self.push(Inst::Store { src, at, fill: Fill::Full(self.len(dtype)) });
                }
            }
        }
        Ok(())
    }

    /// The distance of a part.
    pub(super) fn moved(&self, disp: i32, part: usize) -> Result<i32, Unsupported> {
        disp.checked_add((self.machine.bytes() * part) as i32).ok_or("a large buffer")
    }
}
