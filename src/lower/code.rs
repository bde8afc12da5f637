//! The builder of loop IR: scalar statements in nested blocks.
//!
//! [`Code`] keeps one scalar per computation that is visible where it is asked for again (value
//! numbering by primitive, operands and type), folds constants with the bits they have at run time,
//! and applies the identities that hold for every bit pattern but NaN's. It knows nothing of
//! tensors. Its methods take `&self`, so that calls nest like expressions.

use crate::base::hash::FastMap;
use crate::base::index::{Idx, IndexVec};
use crate::lower::loops::{
    Buffer, BufferId, BufferKind, Carried, DType, Index, Loop, LoopFunc, LoopVar, Prim, ScalarId, Stmt,
    Target,
};
use crate::lower::prim::convert;
use smallvec::{SmallVec, smallvec};
use std::cell::RefCell;
use std::sync::Arc;

type Operands = SmallVec<[ScalarId; 3]>;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Let(Prim, DType, Operands),
    Load(BufferId, i64, SmallVec<[(LoopVar, i64); 4]>, Option<ScalarId>),
}

/// Makes the body of a [`LoopFunc`].
#[derive(Debug)]
pub struct Code {
    target: Target,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    buffers: IndexVec<BufferId, Buffer>,
    scalars: IndexVec<ScalarId, DType>,
    constants: IndexVec<ScalarId, Option<u64>>,
    n_vars: usize,
    n_stmts: usize,
    blocks: Vec<Block>,
    known: FastMap<Key, ScalarId>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("n_stmts", &self.n_stmts).finish_non_exhaustive()
    }
}

/// An open block: its statements and the keys to forget when it closes.
#[derive(Default)]
struct Block {
    var: Option<LoopVar>,
    stmts: Vec<Stmt>,
    keys: Vec<Key>,
}

impl Code {
    /// An empty function body for `target`.
    pub fn new(target: Target) -> Code {
        let state = State { blocks: vec![Block::default()], ..State::default() };
        Code { target, state: RefCell::new(state) }
    }

    /// What it is made for.
    pub fn target(&self) -> Target {
        self.target
    }

    /// Number of statements so far.
    pub fn n_stmts(&self) -> usize {
        self.state.borrow().n_stmts
    }

    /// The type of a scalar.
    pub fn dtype(&self, id: ScalarId) -> DType {
        self.state.borrow().scalars[id]
    }

    /// The bits of a scalar, if it is a constant.
    pub fn as_constant(&self, id: ScalarId) -> Option<u64> {
        self.state.borrow().constants[id]
    }

    /// Finishes. Buffers and workspace are as declared.
    pub fn finish(self, name: &str) -> LoopFunc {
        let mut state = self.state.into_inner();
        let body = state.blocks.pop().expect("the outermost block is open").stmts;
        assert!(state.blocks.is_empty(), "a loop is still open");
        let of_kind = |want: fn(&BufferKind) -> bool| {
            state.buffers.entries().filter(|(_, b)| want(&b.kind)).map(|(id, _)| id).collect()
        };
        LoopFunc {
            name: name.to_owned(),
            inputs: of_kind(|kind| matches!(kind, BufferKind::Input)),
            outputs: of_kind(|kind| matches!(kind, BufferKind::Output)),
            workspace: 0,
            n_vars: state.n_vars,
            buffers: state.buffers,
            scalars: state.scalars,
            body,
        }
    }

    // ---- buffers ---------------------------------------------------------------------------

    /// Declares a buffer; inputs and outputs are passed in the order of their declaration.
    pub fn buffer(&self, name: &str, dtype: DType, len: usize, kind: BufferKind) -> BufferId {
        self.state.borrow_mut().buffers.push(Buffer { name: name.to_owned(), dtype, len, kind })
    }

    /// A table of constants, given as `f64` bits; asking twice gives the same buffer.
    pub fn table(&self, name: &str, dtype: DType, bits: &[u64]) -> BufferId {
        let known = self.state.borrow().buffers.entries().find_map(|(id, buffer)| match &buffer.kind {
            BufferKind::Constant(other) if buffer.dtype == dtype && **other == *bits => Some(id),
            _ => None,
        });
        known.unwrap_or_else(|| self.buffer(name, dtype, bits.len(), BufferKind::Constant(Arc::from(bits))))
    }

    /// `buffer[index]`, of a buffer that is not stored to any more.
    pub fn load(&self, buffer: BufferId, index: Index) -> ScalarId {
        if let Some((dtype, bits)) = self.table_entry(buffer, &index) {
            return self.constant(dtype, bits);
        }
        let key = Key::Load(buffer, index.offset, index.terms.clone(), index.dynamic);
        if let Some(id) = self.state.borrow().known.get(&key) {
            return *id;
        }
        let id = self.load_again(buffer, index);
        self.state.borrow_mut().remember(key, id);
        id
    }

    /// `buffer[index]` as it is now.
    pub fn load_again(&self, buffer: BufferId, index: Index) -> ScalarId {
        let mut state = self.state.borrow_mut();
        let dtype = state.buffers[buffer].dtype;
        let id = state.scalar(dtype, None);
        state.push(Stmt::Load { id, buffer, index });
        id
    }

    fn table_entry(&self, buffer: BufferId, index: &Index) -> Option<(DType, u64)> {
        let state = self.state.borrow();
        let BufferKind::Constant(bits) = &state.buffers[buffer].kind else { return None };
        if !index.terms.is_empty() || index.dynamic.is_some() {
            return None;
        }
        let dtype = state.buffers[buffer].dtype;
        Some((dtype, convert(DType::F64, dtype, bits[index.offset as usize])))
    }

    /// `buffer[index] = value`
    pub fn store(&self, buffer: BufferId, index: Index, value: ScalarId) {
        self.state.borrow_mut().push(Stmt::Store { buffer, index, value });
    }

    // ---- loops -----------------------------------------------------------------------------

    /// Opens the block of a loop.
    pub fn open_loop(&self) -> LoopVar {
        let mut state = self.state.borrow_mut();
        let var = LoopVar::from_usize(state.n_vars);
        state.n_vars += 1;
        state.blocks.push(Block { var: Some(var), ..Block::default() });
        var
    }

    /// A scalar that stands for the value of a carried one at the start of a turn.
    pub fn carried(&self, dtype: DType) -> ScalarId {
        self.state.borrow_mut().scalar(dtype, None)
    }

    /// Closes the innermost loop, of `count` turns, carrying `(init, inside, next)`; gives the
    /// values after it.
    pub fn close_loop(&self, count: usize, carried: &[(ScalarId, ScalarId, ScalarId)]) -> Vec<ScalarId> {
        let mut state = self.state.borrow_mut();
        let block = state.blocks.pop().expect("a loop is open");
        for key in &block.keys {
            state.known.remove(key);
        }
        let carried: Vec<Carried> = carried
            .iter()
            .map(|&(init, inside, next)| {
                let after = state.scalars[inside];
                let after = state.scalar(after, None);
                Carried { init, inside, next, after }
            })
            .collect();
        let results = carried.iter().map(|c| c.after).collect();
        let var = block.var.expect("the outermost block is no loop");
        state.push(Stmt::Loop(Loop { var, count, carried, body: block.stmts }));
        results
    }

    // ---- scalars ---------------------------------------------------------------------------

    /// The constant with these bits; see [`Prim::Const`].
    pub fn constant(&self, dtype: DType, bits: u64) -> ScalarId {
        self.intern(Prim::Const(bits), dtype, smallvec![])
    }

    /// The constant nearest to `value`.
    pub fn number(&self, dtype: DType, value: f64) -> ScalarId {
        self.constant(dtype, convert(DType::F64, dtype, value.to_bits()))
    }

    /// An `i64` constant.
    pub fn integer(&self, value: i64) -> ScalarId {
        self.constant(DType::I64, value as u64)
    }

    /// The value of a loop variable.
    pub fn counter(&self, var: LoopVar) -> ScalarId {
        self.intern(Prim::Counter(var), DType::I64, smallvec![])
    }

    /// `prim(args)` of the type of the last operand.
    pub fn op(&self, prim: Prim, args: &[ScalarId]) -> ScalarId {
        let dtype = self.dtype(*args.last().expect("a primitive with operands"));
        self.typed(prim, dtype, args)
    }

    /// A comparison.
    pub fn test(&self, prim: Prim, a: ScalarId, b: ScalarId) -> ScalarId {
        self.typed(prim, DType::Bool, &[a, b])
    }

    /// The nearest value of another type.
    pub fn convert(&self, x: ScalarId, to: DType) -> ScalarId {
        if self.dtype(x) == to { x } else { self.typed(Prim::Convert, to, &[x]) }
    }

    /// `a*b + c`, fused where the target fuses.
    pub fn mul_add(&self, a: ScalarId, b: ScalarId, c: ScalarId) -> ScalarId {
        if self.target.fma {
            self.op(Prim::Fma, &[a, b, c])
        } else {
            self.op(Prim::Add, &[self.op(Prim::Mul, &[a, b]), c])
        }
    }

    /// `if c then a else b`
    pub fn select(&self, c: ScalarId, a: ScalarId, b: ScalarId) -> ScalarId {
        self.op(Prim::Select, &[c, a, b])
    }

    /// `prim(args)` of type `to`.
    pub fn typed(&self, prim: Prim, to: DType, args: &[ScalarId]) -> ScalarId {
        let bits: SmallVec<[Option<u64>; 3]> = args.iter().map(|arg| self.as_constant(*arg)).collect();
        if let Some(bits) = bits.iter().copied().collect::<Option<SmallVec<[u64; 3]>>>()
            && !args.is_empty()
        {
            return self.constant(to, prim.eval(self.dtype(args[0]), to, &bits));
        }
        if let Some(same) = identity(prim, to, args, &bits) {
            return same;
        }
        let mut operands = Operands::from_slice(args);
        if matches!(prim, Prim::Add | Prim::Mul | Prim::Eq | Prim::And | Prim::Or | Prim::Xor) {
            operands.sort();
        }
        self.intern(prim, to, operands)
    }

    fn intern(&self, prim: Prim, to: DType, args: Operands) -> ScalarId {
        let mut state = self.state.borrow_mut();
        let key = Key::Let(prim, to, args.clone());
        if let Some(id) = state.known.get(&key) {
            return *id;
        }
        let constant = if let Prim::Const(bits) = prim { Some(bits) } else { None };
        let id = state.scalar(to, constant);
        state.push(Stmt::Let { id, prim, args });
        state.remember(key, id);
        id
    }
}

impl State {
    fn scalar(&mut self, dtype: DType, constant: Option<u64>) -> ScalarId {
        self.constants.push(constant);
        self.scalars.push(dtype)
    }

    fn push(&mut self, stmt: Stmt) {
        self.n_stmts += 1;
        self.blocks.last_mut().expect("a block is open").stmts.push(stmt);
    }

    fn remember(&mut self, key: Key, id: ScalarId) {
        self.blocks.last_mut().expect("a block is open").keys.push(key.clone());
        self.known.insert(key, id);
    }
}

/// The operand that `prim(args)` equals whatever the others are, NaN payloads aside: `x·1`, `x/1`,
/// `x - 0`, `x + (-0)`, and choices that are none. (`x + 0` is not `x` for `x = -0`.)
fn identity(prim: Prim, to: DType, args: &[ScalarId], bits: &[Option<u64>]) -> Option<ScalarId> {
    let is = |position: usize, value: f64| {
        let want = convert(DType::F64, to, value.to_bits());
        bits[position] == Some(want)
    };
    match prim {
        Prim::Mul if is(1, 1.0) => Some(args[0]),
        Prim::Mul if is(0, 1.0) => Some(args[1]),
        Prim::Div if is(1, 1.0) => Some(args[0]),
        Prim::Sub if is(1, 0.0) => Some(args[0]),
        Prim::Add if is(1, -0.0) => Some(args[0]),
        Prim::Add if is(0, -0.0) => Some(args[1]),
        Prim::Select if args[1] == args[2] => Some(args[1]),
        Prim::Select => bits[0].map(|c| if c != 0 { args[1] } else { args[2] }),
        _ => None,
    }
}
