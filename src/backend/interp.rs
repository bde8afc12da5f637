//! The interpreter of loop IR: says what a function computes, one statement at a time.
//!
//! It runs on [`Prim::eval`](crate::lower::loops::Prim::eval), bounds-checks every access, and
//! gives each local buffer memory of its own, so that a fault in the arena layout shows as a
//! difference from the other back ends.

use crate::backend::{Backend, CompileError, Executable, Input, Output, Signature, Target, Workspace};
use crate::base::index::{Idx, IndexVec};
use crate::bug;
use crate::lower::loops::{
    BufferId, BufferKind, DType, Index, Loop, LoopFunc, LoopModule, Prim, ScalarId, Stmt,
};
use smallvec::SmallVec;
use std::sync::Arc;

/// The interpreter.
#[derive(Clone, Copy, Debug)]
pub struct Interp {
    target: Target,
}

impl Interp {
    /// An interpreter of code that was lowered for `target`.
    pub fn new(target: Target) -> Interp {
        Interp { target }
    }
}

impl Backend for Interp {
    fn name(&self) -> &'static str {
        "interp"
    }

    fn target(&self) -> Target {
        self.target
    }

    fn compile(&self, module: Arc<LoopModule>) -> Result<Arc<dyn Executable>, CompileError> {
        let signatures = module.funcs.iter().map(Signature::of).collect();
        Ok(Arc::new(Interpreted { module, signatures }))
    }
}

#[derive(Debug)]
struct Interpreted {
    module: Arc<LoopModule>,
    signatures: Vec<Signature>,
}

impl Executable for Interpreted {
    fn signature(&self, func: usize) -> &Signature {
        &self.signatures[func]
    }

    fn call_in_parts(
        &self,
        func: usize,
        now: &[Input<'_>],
        rest: &[Input<'_>],
        outputs: &mut [Output<'_>],
        _workspace: &mut Workspace,
    ) {
        self.signatures[func].check(now, rest, outputs);
        let func = &self.module.funcs[func];
        let mut frame = Frame::new(func, &[now, rest].concat());
        frame.block(&func.body);
        for (id, output) in func.outputs.iter().zip(outputs) {
            write_back(&frame.memory[*id], output);
        }
    }
}

/// The state of a call: every buffer and scalar as bits.
struct Frame<'f> {
    func: &'f LoopFunc,
    memory: IndexVec<BufferId, Vec<u64>>,
    scalars: Vec<u64>,
    vars: Vec<i64>,
}

impl<'f> Frame<'f> {
    fn new(func: &'f LoopFunc, inputs: &[Input<'_>]) -> Frame<'f> {
        let mut memory: IndexVec<BufferId, Vec<u64>> = func
            .buffers
            .iter()
            .map(|buffer| match &buffer.kind {
                BufferKind::Input => Vec::new(),
                BufferKind::Output | BufferKind::Local(_) => vec![0; buffer.len],
                BufferKind::Constant(bits) => {
                    bits.iter().map(|bits| Prim::Convert.eval(DType::F64, buffer.dtype, &[*bits])).collect()
                }
            })
            .collect();
        for (id, input) in func.inputs.iter().zip(inputs) {
            memory[*id] = read(input);
        }
        Frame { func, memory, scalars: vec![0; func.scalars.len()], vars: vec![0; func.n_vars] }
    }

    fn block(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            self.stmt(stmt);
        }
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Let { id, prim: Prim::Counter(var), .. } => {
                self.scalars[id.index()] = self.vars[var.index()] as u64;
            }
            Stmt::Let { id, prim, args } => {
                let to = self.func.scalars[*id];
                let from = args.first().map_or(to, |arg| self.func.scalars[*arg]);
                let args: SmallVec<[u64; 3]> = args.iter().map(|arg| self.get(*arg)).collect();
                self.scalars[id.index()] = prim.eval(from, to, &args);
            }
            Stmt::Load { id, buffer, index } => {
                let at = self.at(*buffer, index);
                self.scalars[id.index()] = self.memory[*buffer][at];
            }
            Stmt::Store { buffer, index, value } => {
                let at = self.at(*buffer, index);
                self.memory[*buffer][at] = self.get(*value);
            }
            Stmt::Loop(Loop { var, count, carried, body }) => {
                let mut values: Vec<u64> = carried.iter().map(|c| self.get(c.init)).collect();
                for turn in 0..*count {
                    self.vars[var.index()] = turn as i64;
                    for (c, value) in carried.iter().zip(&values) {
                        self.scalars[c.inside.index()] = *value;
                    }
                    self.block(body);
                    values = carried.iter().map(|c| self.get(c.next)).collect();
                }
                for (c, value) in carried.iter().zip(&values) {
                    self.scalars[c.after.index()] = *value;
                }
            }
        }
    }

    fn get(&self, id: ScalarId) -> u64 {
        self.scalars[id.index()]
    }

    fn at(&self, buffer: BufferId, index: &Index) -> usize {
        let affine: i64 = index.terms.iter().map(|(var, c)| c * self.vars[var.index()]).sum();
        let dynamic = index.dynamic.map_or(0, |id| self.get(id) as i64);
        let at = index.offset + affine + dynamic;
        match usize::try_from(at) {
            Ok(at) if at < self.memory[buffer].len() => at,
            _ => bug!("`{}`: {buffer}[{index}] is element {at}", self.func.name),
        }
    }
}

fn read(input: &Input<'_>) -> Vec<u64> {
    match input {
        Input::F64(data) => data.iter().map(|x| x.to_bits()).collect(),
        Input::F32(data) => data.iter().map(|x| u64::from(x.to_bits())).collect(),
        Input::I64(data) => data.iter().map(|x| *x as u64).collect(),
        Input::Bool(data) => data.iter().map(|x| u64::from(*x)).collect(),
    }
}

fn write_back(bits: &[u64], output: &mut Output<'_>) {
    match output {
        Output::F64(data) => data.iter_mut().zip(bits).for_each(|(x, b)| *x = f64::from_bits(*b)),
        Output::F32(data) => data.iter_mut().zip(bits).for_each(|(x, b)| *x = f32::from_bits(*b as u32)),
        Output::I64(data) => data.iter_mut().zip(bits).for_each(|(x, b)| *x = *b as i64),
        Output::Bool(data) => data.iter_mut().zip(bits).for_each(|(x, b)| *x = *b as u8),
    }
}
