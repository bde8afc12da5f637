//! The invariants of the loop IR.
//!
//! 1. Every scalar is defined exactly once, before its uses, and used only in the block of its
//!    definition or a block inside it. 2. Every primitive accepts its operand and result types.
//! 3. A load or store has the element type of its buffer; inputs and constants are not stored to.
//! 4. An affine index stays inside its buffer for every value of its loop variables, which are
//!    those of the loops around it, each once and with a coefficient other than 0. 5. Local buffers
//!    start at multiples of 64 and end within the workspace; tables have as many entries as their
//!    buffer. 6. `inputs` and `outputs` list the buffers of these kinds, each once.
//!
//! That outputs are written completely, that a local buffer is written before it is read, and that
//! local buffers that share memory do not live at once is not checked here; the differential tests
//! of the back ends do that.

use crate::base::index::Idx;
use crate::lower::loops::{
    BufferId, BufferKind, DType, Index, Loop, LoopFunc, LoopVar, Prim, ScalarId, Stmt,
};

impl LoopFunc {
    /// Checks the invariants above; says in words which is broken and where.
    pub fn verify(&self) -> Result<(), String> {
        check_buffers(self)?;
        let n = self.scalars.len();
        let mut checker =
            Checker { func: self, defined: vec![false; n], visible: vec![false; n], loops: Vec::new() };
        checker.block(&self.body)
    }

    /// Number of statements, a loop counted as one and its body once.
    pub fn size(&self) -> usize {
        size(&self.body)
    }
}

fn check_buffers(func: &LoopFunc) -> Result<(), String> {
    let ports = |want: fn(&BufferKind) -> bool| -> Vec<BufferId> {
        func.buffers.entries().filter(|(_, b)| want(&b.kind)).map(|(id, _)| id).collect()
    };
    let sorted = |ids: &[BufferId]| {
        let mut ids = ids.to_vec();
        ids.sort();
        ids
    };
    if sorted(&func.inputs) != ports(|kind| matches!(kind, BufferKind::Input)) {
        return Err("`inputs` is not the list of input buffers".to_owned());
    }
    if sorted(&func.outputs) != ports(|kind| matches!(kind, BufferKind::Output)) {
        return Err("`outputs` is not the list of output buffers".to_owned());
    }
    for (id, buffer) in func.buffers.entries() {
        match &buffer.kind {
            BufferKind::Input | BufferKind::Output => {}
            BufferKind::Local(offset) => {
                if offset % 64 != 0 || offset + buffer.len * buffer.dtype.bytes() > func.workspace {
                    return Err(format!("{id} at {offset} does not fit the workspace"));
                }
            }
            BufferKind::Constant(bits) => {
                if bits.len() != buffer.len {
                    return Err(format!("{id} has {} entries, not {}", bits.len(), buffer.len));
                }
            }
        }
    }
    Ok(())
}

struct Checker<'f> {
    func: &'f LoopFunc,
    defined: Vec<bool>,
    visible: Vec<bool>,
    loops: Vec<(LoopVar, usize)>,
}

impl Checker<'_> {
    /// Checks statements in order, then hides what they define.
    fn block(&mut self, stmts: &[Stmt]) -> Result<(), String> {
        let mut here = Vec::new();
        stmts.iter().try_for_each(|stmt| self.stmt(stmt, &mut here))?;
        self.hide(&here);
        Ok(())
    }

    fn hide(&mut self, ids: &[ScalarId]) {
        for id in ids {
            self.visible[id.index()] = false;
        }
    }

    fn stmt(&mut self, stmt: &Stmt, here: &mut Vec<ScalarId>) -> Result<(), String> {
        match stmt {
            Stmt::Let { id, prim, args } => {
                let mut types = Vec::new();
                for arg in args {
                    types.push(self.used(*arg)?);
                }
                if let Prim::Counter(var) = prim
                    && !self.loops.iter().any(|(open, _)| open == var)
                {
                    return Err(format!("{id}: {var} is not the variable of an open loop"));
                }
                let to = self.define(*id, here)?;
                if !prim.accepts(&types, to) {
                    return Err(format!("{id}: `{}` does not take {types:?} to {to:?}", prim.name()));
                }
            }
            Stmt::Load { id, buffer, index } => {
                self.index(*buffer, index)?;
                let dtype = self.define(*id, here)?;
                self.element(*buffer, dtype)?;
            }
            Stmt::Store { buffer, index, value } => {
                self.index(*buffer, index)?;
                let dtype = self.used(*value)?;
                self.element(*buffer, dtype)?;
                if matches!(self.func.buffers[*buffer].kind, BufferKind::Input | BufferKind::Constant(_)) {
                    return Err(format!("{buffer} is stored to but read only"));
                }
            }
            Stmt::Loop(Loop { var, count, carried, body }) => {
                if self.loops.iter().any(|(open, _)| open == var) || var.index() >= self.func.n_vars {
                    return Err(format!("{var} is taken or out of range"));
                }
                let mut inside = Vec::new();
                for c in carried {
                    let dtype = self.used(c.init)?;
                    if self.define(c.inside, &mut inside)? != dtype {
                        return Err(format!("{} and {} differ in type", c.init, c.inside));
                    }
                }
                self.loops.push((*var, *count));
                body.iter().try_for_each(|stmt| self.stmt(stmt, &mut inside))?;
                for c in carried {
                    if self.used(c.next)? != self.func.scalars[c.inside] {
                        return Err(format!("{} and {} differ in type", c.inside, c.next));
                    }
                }
                self.loops.pop();
                self.hide(&inside);
                for c in carried {
                    if self.define(c.after, here)? != self.func.scalars[c.inside] {
                        return Err(format!("{} and {} differ in type", c.inside, c.after));
                    }
                }
            }
        }
        Ok(())
    }

    fn used(&self, id: ScalarId) -> Result<DType, String> {
        match self.visible.get(id.index()) {
            Some(true) => Ok(self.func.scalars[id]),
            _ => Err(format!("{id} is used where it is not defined")),
        }
    }

    fn define(&mut self, id: ScalarId, here: &mut Vec<ScalarId>) -> Result<DType, String> {
        let dtype = *self.func.scalars.get(id).ok_or_else(|| format!("{id} has no type"))?;
        if std::mem::replace(&mut self.defined[id.index()], true) {
            return Err(format!("{id} is defined twice"));
        }
        self.visible[id.index()] = true;
        here.push(id);
        Ok(dtype)
    }

    fn element(&self, buffer: BufferId, dtype: DType) -> Result<(), String> {
        if self.func.buffers[buffer].dtype == dtype {
            Ok(())
        } else {
            Err(format!("a {dtype:?} moves in or out of {buffer}"))
        }
    }

    fn index(&self, buffer: BufferId, index: &Index) -> Result<(), String> {
        let len = self.func.buffers.get(buffer).ok_or_else(|| format!("{buffer} does not exist"))?.len;
        let (mut lo, mut hi) = (index.offset, index.offset);
        for (i, (var, coefficient)) in index.terms.iter().enumerate() {
            let (_, count) = self
                .loops
                .iter()
                .find(|(open, _)| open == var)
                .ok_or_else(|| format!("{var} is not the variable of an open loop"))?;
            if *coefficient == 0 || index.terms[..i].iter().any(|(other, _)| other == var) {
                return Err(format!("{var} occurs twice or with coefficient 0 in an index of {buffer}"));
            }
            let last = coefficient * (*count as i64 - 1);
            lo += last.min(0);
            hi += last.max(0);
        }
        let never_runs = self.loops.iter().any(|(_, count)| *count == 0);
        match index.dynamic {
            Some(id) if self.used(id)? != DType::I64 => Err(format!("{id} is an index but no integer")),
            Some(_) => Ok(()),
            None if never_runs || (lo >= 0 && hi < len as i64) => Ok(()),
            None => Err(format!("{buffer}[{index}] spans {lo}..={hi} of {len}")),
        }
    }
}

fn size(stmts: &[Stmt]) -> usize {
    stmts
        .iter()
        .map(|stmt| match stmt {
            Stmt::Loop(Loop { body, .. }) => 1 + size(body),
            Stmt::Let { .. } | Stmt::Load { .. } | Stmt::Store { .. } => 1,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use crate::base::index::IndexVec;
    use crate::lower::loops::*;
    use smallvec::smallvec;

    fn one_store(value: ScalarId, offset: i64, dtype: DType) -> LoopFunc {
        let buffer = Buffer { name: "y".to_owned(), dtype: DType::F64, len: 2, kind: BufferKind::Output };
        LoopFunc {
            name: "f".to_owned(),
            buffers: IndexVec::from_iter([buffer]),
            inputs: vec![],
            outputs: vec![BufferId(0)],
            scalars: IndexVec::from_iter([dtype]),
            n_vars: 0,
            workspace: 0,
            body: vec![
                Stmt::Let { id: ScalarId(0), prim: Prim::Const(0), args: smallvec![] },
                Stmt::Store { buffer: BufferId(0), index: Index { offset, ..Index::default() }, value },
            ],
        }
    }

    #[test]
    fn broken_invariants_are_named() {
        assert_eq!(one_store(ScalarId(0), 1, DType::F64).verify(), Ok(()));
        let message = |func: &LoopFunc| func.verify().expect_err("this function is wrong");
        assert!(message(&one_store(ScalarId(0), 2, DType::F64)).contains("spans 2..=2 of 2"));
        assert!(message(&one_store(ScalarId(0), 0, DType::I64)).contains("moves in or out of b0"));
        assert!(message(&one_store(ScalarId(1), 0, DType::F64)).contains("s1 is used"));
    }
}
