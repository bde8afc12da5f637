//! Several functions one after another as one: what they hand on to each other stays where it is, in registers
//! if it can.
//!
//! Each is lowered by itself, so every number has the bits that it has where the functions are called one by
//! one. Only what passes through memory changes: a number that is stored to a local buffer and loaded from there
//! again is that number, and what nobody needs is left out.

use crate::base::index::{Idx, IndexVec};
use crate::lower::loops::{
    Buffer, BufferId, BufferKind, Carried, DType, Index, Loop, LoopFunc, LoopVar, Prim, ScalarId, Stmt,
};
use std::collections::HashMap;

/// Alignment of local buffers, in bytes.
const ALIGN: usize = 64;

/// Elements of a buffer from a place on.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Which buffer.
    pub buffer: BufferId,
    /// The first element.
    pub from: usize,
}

impl Part {
    /// From an element further on.
    pub fn at(self, from: usize) -> Part {
        Part { from: self.from + from, ..self }
    }
}

/// A function in the making.
#[derive(Debug)]
pub struct Chain {
    func: LoopFunc,
    /// Workspace of the longest link, behind that of the chain itself.
    link: usize,
    /// Local buffers of links: their offsets count from behind the chain's own.
    of_links: Vec<BufferId>,
}

impl Chain {
    /// One that does nothing.
    pub fn new(name: &str) -> Chain {
        let func = LoopFunc {
            name: name.into(),
            buffers: IndexVec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            scalars: IndexVec::new(),
            n_vars: 0,
            workspace: 0,
            body: Vec::new(),
        };
        Chain { func, link: 0, of_links: Vec::new() }
    }

    /// The next operand.
    pub fn input(&mut self, name: &str, dtype: DType, len: usize) -> Part {
        let part = self.buffer(Buffer { name: name.into(), dtype, len, kind: BufferKind::Input });
        self.func.inputs.push(part.buffer);
        part
    }

    /// The next result.
    pub fn output(&mut self, name: &str, dtype: DType, len: usize) -> Part {
        let part = self.buffer(Buffer { name: name.into(), dtype, len, kind: BufferKind::Output });
        self.func.outputs.push(part.buffer);
        part
    }

    /// Room for what one function hands on to another.
    pub fn local(&mut self, name: &str, dtype: DType, len: usize) -> Part {
        let kind = BufferKind::Local(self.func.workspace);
        self.func.workspace += (len * dtype.bytes()).next_multiple_of(ALIGN);
        self.buffer(Buffer { name: name.into(), dtype, len, kind })
    }

    fn buffer(&mut self, buffer: Buffer) -> Part {
        Part { buffer: self.func.buffers.push(buffer), from: 0 }
    }

    /// Calls `func`, whose operands and results lie in these parts of buffers of the chain. What it writes to
    /// overlaps nothing that it reads.
    pub fn call(&mut self, func: &LoopFunc, inputs: &[Part], outputs: &[Part]) {
        assert_eq!(
            (func.inputs.len(), func.outputs.len()),
            (inputs.len(), outputs.len()),
            "operands of a link"
        );
        let given = func.inputs.iter().zip(inputs).chain(func.outputs.iter().zip(outputs));
        let given: HashMap<BufferId, Part> = given.map(|(buffer, part)| (*buffer, *part)).collect();
        let mut places: IndexVec<BufferId, Part> = IndexVec::new();
        for (id, buffer) in func.buffers.entries() {
            places.push(given.get(&id).copied().unwrap_or_else(|| {
                let part = self.buffer(buffer.clone());
                if let BufferKind::Local(_) = buffer.kind {
                    self.of_links.push(part.buffer);
                }
                part
            }));
        }
        let (scalars, vars) = (self.func.scalars.len(), self.func.n_vars);
        for dtype in func.scalars.iter() {
            self.func.scalars.push(*dtype);
        }
        self.func.n_vars += func.n_vars;
        self.link = self.link.max(func.workspace);
        let moved = Moved { scalars, vars, places: &places };
        self.func.body.extend(func.body.iter().map(|stmt| moved.stmt(stmt)));
    }

    /// Copies `len` elements.
    pub fn copy(&mut self, from: Part, to: Part, len: usize) {
        let dtype = self.func.buffers[from.buffer].dtype;
        let element = |part: Part, at: usize| Index { offset: (part.from + at) as i64, ..Index::default() };
        for at in 0..len {
            let id = self.func.scalars.push(dtype);
            self.func.body.push(Stmt::Load { id, buffer: from.buffer, index: element(from, at) });
            self.func.body.push(Stmt::Store { buffer: to.buffer, index: element(to, at), value: id });
        }
    }

    /// The whole.
    pub fn finish(mut self) -> LoopFunc {
        for id in &self.of_links {
            if let BufferKind::Local(offset) = &mut self.func.buffers[*id].kind {
                *offset += self.func.workspace;
            }
        }
        self.func.workspace += self.link;
        forward(&mut self.func);
        while drop_dead(&mut self.func) {}
        self.func
    }
}

/// A link as part of the chain.
struct Moved<'a> {
    /// Scalars and loop variables before its own.
    scalars: usize,
    vars: usize,
    /// By buffer of the link.
    places: &'a IndexVec<BufferId, Part>,
}

impl Moved<'_> {
    fn scalar(&self, id: ScalarId) -> ScalarId {
        ScalarId::from_usize(self.scalars + id.index())
    }

    fn var(&self, var: LoopVar) -> LoopVar {
        LoopVar::from_usize(self.vars + var.index())
    }

    fn element(&self, buffer: BufferId, index: &Index) -> (BufferId, Index) {
        let part = self.places[buffer];
        let index = Index {
            offset: index.offset + part.from as i64,
            terms: index.terms.iter().map(|(var, factor)| (self.var(*var), *factor)).collect(),
            dynamic: index.dynamic.map(|id| self.scalar(id)),
        };
        (part.buffer, index)
    }

    fn stmt(&self, stmt: &Stmt) -> Stmt {
        match stmt {
            Stmt::Let { id, prim, args } => {
                let prim = match prim {
                    Prim::Counter(var) => Prim::Counter(self.var(*var)),
                    other => *other,
                };
                Stmt::Let {
                    id: self.scalar(*id),
                    prim,
                    args: args.iter().map(|arg| self.scalar(*arg)).collect(),
                }
            }
            Stmt::Load { id, buffer, index } => {
                let (buffer, index) = self.element(*buffer, index);
                Stmt::Load { id: self.scalar(*id), buffer, index }
            }
            Stmt::Store { buffer, index, value } => {
                let (buffer, index) = self.element(*buffer, index);
                Stmt::Store { buffer, index, value: self.scalar(*value) }
            }
            Stmt::Loop(Loop { var, count, carried, body }) => Stmt::Loop(Loop {
                var: self.var(*var),
                count: *count,
                carried: carried
                    .iter()
                    .map(|Carried { init, inside, next, after }| Carried {
                        init: self.scalar(*init),
                        inside: self.scalar(*inside),
                        next: self.scalar(*next),
                        after: self.scalar(*after),
                    })
                    .collect(),
                body: body.iter().map(|stmt| self.stmt(stmt)).collect(),
            }),
        }
    }
}

/// Replaces loads of what has been stored to the same element of a local buffer, outside of loops.
fn forward(func: &mut LoopFunc) {
    let mut known: HashMap<(BufferId, i64), ScalarId> = HashMap::new();
    let mut same: HashMap<ScalarId, ScalarId> = HashMap::new();
    let mut body = Vec::with_capacity(func.body.len());
    for mut stmt in std::mem::take(&mut func.body) {
        each_use(&mut stmt, &mut |id| *id = same.get(id).copied().unwrap_or(*id));
        match &stmt {
            Stmt::Load { id, buffer, index } if is_constant(index) => {
                if let Some(value) = known.get(&(*buffer, index.offset)) {
                    same.insert(*id, *value);
                    continue;
                }
            }
            Stmt::Store { buffer, index, value } => {
                // Buffers of links that are not needed at the same time share memory, but none is read before it
                // is written again.
                if is_constant(index) {
                    known.insert((*buffer, index.offset), *value);
                } else {
                    known.retain(|(of, _), _| of != buffer);
                }
            }
            Stmt::Loop(inner) => {
                let mut stored = Vec::new();
                each_store(&inner.body, &mut |buffer| stored.push(buffer));
                known.retain(|(of, _), _| !stored.contains(of));
            }
            Stmt::Let { .. } | Stmt::Load { .. } => {}
        }
        body.push(stmt);
    }
    func.body = body;
}

fn is_constant(index: &Index) -> bool {
    index.terms.is_empty() && index.dynamic.is_none()
}

/// Leaves out what nobody needs: stores to local buffers that are not read, and what only they need. Whether
/// anything was left out.
fn drop_dead(func: &mut LoopFunc) -> bool {
    let mut read: IndexVec<BufferId, bool> = func.buffers.iter().map(|_| false).collect();
    let mut used: IndexVec<ScalarId, bool> = func.scalars.iter().map(|_| false).collect();
    mark(&func.body, &mut read, &mut used);
    let is_read =
        |buffer: BufferId| read[buffer] || !matches!(func.buffers[buffer].kind, BufferKind::Local(_));
    let mut dropped = false;
    retain(
        &mut func.body,
        &|stmt| match stmt {
            Stmt::Let { id, .. } | Stmt::Load { id, .. } => used[*id],
            Stmt::Store { buffer, .. } => is_read(*buffer),
            Stmt::Loop(inner) => !inner.body.is_empty() || inner.carried.iter().any(|of| used[of.after]),
        },
        &mut dropped,
    );
    dropped
}

/// Marks which buffers are read and which scalars are used.
fn mark(stmts: &[Stmt], read: &mut IndexVec<BufferId, bool>, used: &mut IndexVec<ScalarId, bool>) {
    for stmt in stmts {
        let mut stmt_used = |id: ScalarId| used[id] = true;
        match stmt {
            Stmt::Let { args, .. } => args.iter().for_each(|arg| stmt_used(*arg)),
            Stmt::Load { buffer, index, .. } => {
                read[*buffer] = true;
                index.dynamic.into_iter().for_each(stmt_used);
            }
            Stmt::Store { index, value, .. } => {
                stmt_used(*value);
                index.dynamic.into_iter().for_each(stmt_used);
            }
            Stmt::Loop(inner) => {
                for of in &inner.carried {
                    stmt_used(of.init);
                    stmt_used(of.next);
                }
                mark(&inner.body, read, used);
            }
        }
    }
}

fn retain(stmts: &mut Vec<Stmt>, keep: &impl Fn(&Stmt) -> bool, dropped: &mut bool) {
    stmts.retain_mut(|stmt| {
        if let Stmt::Loop(inner) = stmt {
            retain(&mut inner.body, keep, dropped);
        }
        let kept = keep(stmt);
        *dropped |= !kept;
        kept
    });
}

/// Shows every scalar that a statement uses, those inside of loops too.
fn each_use(stmt: &mut Stmt, show: &mut impl FnMut(&mut ScalarId)) {
    match stmt {
        Stmt::Let { args, .. } => args.iter_mut().for_each(show),
        Stmt::Load { index, .. } => index.dynamic.iter_mut().for_each(show),
        Stmt::Store { index, value, .. } => {
            show(value);
            index.dynamic.iter_mut().for_each(show);
        }
        Stmt::Loop(inner) => {
            for of in &mut inner.carried {
                show(&mut of.init);
                show(&mut of.next);
            }
            inner.body.iter_mut().for_each(|stmt| each_use(stmt, show));
        }
    }
}

/// Shows the buffer of every store.
fn each_store(stmts: &[Stmt], show: &mut impl FnMut(BufferId)) {
    for stmt in stmts {
        match stmt {
            Stmt::Store { buffer, .. } => show(*buffer),
            Stmt::Loop(inner) => each_store(&inner.body, show),
            Stmt::Let { .. } | Stmt::Load { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::interp::Interp;
    use crate::backend::{Backend, Input, Output, Workspace};
    use crate::ir::builder::Builder;
    use crate::ir::op::Op;
    use crate::ir::types::Type;
    use crate::lower::loops::{LoopModule, Target};
    use crate::lower::lower;
    use std::sync::Arc;

    fn called(func: &LoopFunc, inputs: &[&[f64]], lens: &[usize]) -> Vec<Vec<f64>> {
        func.verify().expect("it is sound");
        let module = Arc::new(LoopModule { funcs: vec![func.clone()] });
        let code = Interp::new(Target::new(true)).compile(module).expect("it compiles");
        let mut found: Vec<Vec<f64>> = lens.iter().map(|len| vec![0.0; *len]).collect();
        let inputs: Vec<Input<'_>> = inputs.iter().map(|input| Input::F64(input)).collect();
        let mut outputs: Vec<Output<'_>> = found.iter_mut().map(|output| Output::F64(output)).collect();
        code.call(0, &inputs, &mut outputs, &mut Workspace::default());
        found
    }

    /// `x, a -> x + a sin x, a product of the entries` of a length below or above which there are loops.
    fn link(n: usize) -> LoopFunc {
        let mut b = Builder::new("link");
        let (x, a) = (b.param("x", Type::new(DType::F64, &[n])), b.param("a", Type::new(DType::F64, &[n])));
        let sin = b.unary(Op::Sin, x);
        let bent = b.mul(a, sin);
        let y = b.add(x, bent);
        let dot = b.dot(bent, x);
        lower(&b.finish(vec![("y".into(), y), ("dot".into(), dot)]), Target::new(true)).expect("it lowers")
    }

    /// Against the functions themselves, one call after the other.
    #[test]
    fn a_chain_gives_the_bits_of_its_links() {
        for n in [1, 3, 40] {
            let link = link(n);
            let mut chain = Chain::new("chain");
            let (mut x, a) = (chain.input("x", DType::F64, n), chain.input("a", DType::F64, 2 * n));
            let (y, dots) = (chain.output("y", DType::F64, n), chain.output("dots", DType::F64, 2));
            let unread = chain.local("unread", DType::F64, 1);
            for at in 0..3 {
                let end = chain.local("end", DType::F64, n);
                let dot = if at < 2 { dots.at(at) } else { unread };
                chain.call(&link, &[x, a.at(at % 2 * n)], &[end, dot]);
                x = end;
            }
            chain.copy(x, y, n);
            let chain = chain.finish();

            let start: Vec<f64> = (0..n).map(|at| 0.1 + 0.37 * at as f64).collect();
            let a: Vec<f64> = (0..2 * n).map(|at| 1.3 - 0.21 * at as f64).collect();
            let (mut x, mut dots) = (start.clone(), Vec::new());
            for at in 0..3 {
                let found = called(&link, &[&x, &a[at % 2 * n..][..n]], &[n, 1]);
                (x, dots) = (found[0].clone(), [dots, found[1].clone()].concat());
            }
            assert_eq!(called(&chain, &[&start, &a], &[n, 2]), [x, dots[..2].to_vec()], "{n}");
            // States pass in registers where there are no loops, and the last product is not computed.
            if n < 40 {
                assert!(chain.size() < 3 * link.size() - 2 * n, "{} for {}", chain.size(), link.size());
            }
        }
    }
}
