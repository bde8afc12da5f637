//! The loop IR: buffers, counted loops, scalar primitives.
//!
//! What every back end runs. A [`LoopFunc`] reads its input buffers and writes its output buffers;
//! between them stand loops of known length over single-assignment scalars. Indices are affine in
//! the loop variables, plus at most one computed integer (`gather`). The primitives are the whole
//! vocabulary of a back end, each rounds once, and none is ever contracted or reordered: equal
//! programs give equal bits on every back end.

use crate::base::index::IndexVec;
pub use crate::ir::types::DType;
use smallvec::SmallVec;
use std::sync::Arc;

crate::index_type!(
    /// A buffer of a [`LoopFunc`].
    BufferId, "b"
);
crate::index_type!(
    /// A scalar of a [`LoopFunc`]: defined once, used within the block of its definition and
    /// the blocks inside it.
    ScalarId, "s"
);
crate::index_type!(
    /// The variable of a loop, an integer counting from 0.
    LoopVar, "i"
);

/// What a back end offers to `lower`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Whether a fused multiply-add is one fast instruction, so that `lower` should form it.
    pub fma: bool,
    /// How many sums of a convolution, or of a product of a matrix and a vector, it accumulates side by side in
    /// registers: 8 where there are 16, which leaves as many to their operands; more on machines with more, which
    /// begin two products a cycle that take four. No result depends on it.
    pub accumulators: usize,
}

impl Target {
    /// A machine of 16 registers.
    pub fn new(fma: bool) -> Target {
        Target { fma, accumulators: 8 }
    }
}

/// The functions of one compiled unit.
#[derive(Clone, Debug, Default)]
pub struct LoopModule {
    /// Called by position.
    pub funcs: Vec<LoopFunc>,
}

/// A function on buffers.
#[derive(Clone, Debug)]
pub struct LoopFunc {
    /// Its name in listings.
    pub name: String,
    /// Everything it touches.
    pub buffers: IndexVec<BufferId, Buffer>,
    /// Read only, in call order.
    pub inputs: Vec<BufferId>,
    /// Written completely, in call order; never aliases an input.
    pub outputs: Vec<BufferId>,
    /// The type of every scalar.
    pub scalars: IndexVec<ScalarId, DType>,
    /// Number of loop variables.
    pub n_vars: usize,
    /// Bytes of workspace its local buffers need; each offset is a multiple of 64.
    pub workspace: usize,
    /// What it does.
    pub body: Vec<Stmt>,
}

/// A run of elements in memory.
#[derive(Clone, Debug)]
pub struct Buffer {
    /// Its name in listings.
    pub name: String,
    /// Its elements.
    pub dtype: DType,
    /// How many.
    pub len: usize,
    /// Where it lives.
    pub kind: BufferKind,
}

/// Where a buffer lives.
#[derive(Clone, Debug)]
pub enum BufferKind {
    /// Passed in.
    Input,
    /// Passed in to be written.
    Output,
    /// At this byte offset of the workspace.
    Local(usize),
    /// A table of `f64` bit patterns, converted to the element type.
    Constant(Arc<[u64]>),
}

/// One statement.
#[derive(Clone, Debug)]
pub enum Stmt {
    /// `id = prim(args)`
    Let {
        /// The result.
        id: ScalarId,
        /// What is computed.
        prim: Prim,
        /// From what.
        args: SmallVec<[ScalarId; 3]>,
    },
    /// `id = buffer[index]`
    Load {
        /// The result.
        id: ScalarId,
        /// From where.
        buffer: BufferId,
        /// Which element.
        index: Index,
    },
    /// `buffer[index] = value`
    Store {
        /// To where.
        buffer: BufferId,
        /// Which element.
        index: Index,
        /// What.
        value: ScalarId,
    },
    /// A counted loop.
    Loop(Loop),
}

/// `for var in 0..count { body }` with scalars carried from one turn to the next.
#[derive(Clone, Debug)]
pub struct Loop {
    /// Counts from 0.
    pub var: LoopVar,
    /// Number of turns; may be 0.
    pub count: usize,
    /// What is carried.
    pub carried: Vec<Carried>,
    /// What is done.
    pub body: Vec<Stmt>,
}

/// A scalar carried through a loop.
#[derive(Clone, Debug)]
pub struct Carried {
    /// Its value before the first turn, defined outside.
    pub init: ScalarId,
    /// Its value at the start of a turn, visible inside.
    pub inside: ScalarId,
    /// Its value at the end of a turn, defined inside.
    pub next: ScalarId,
    /// Its value after the last turn, visible after the loop.
    pub after: ScalarId,
}

/// `offset + Σ coefficient·variable + dynamic`, counted in elements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// The constant part.
    pub offset: i64,
    /// The loop variables; no variable twice, no zero coefficient.
    pub terms: SmallVec<[(LoopVar, i64); 4]>,
    /// A computed `i64` scalar that is added; its producer keeps it in bounds.
    pub dynamic: Option<ScalarId>,
}

/// The scalar primitives. Operands and result have one type unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prim {
    /// The constant with these bits: of an `f64` or `i64` all 64, of an `f32` the low 32, of a
    /// `bool` 0 or 1.
    Const(u64),
    /// The value of a loop variable, as `i64`.
    Counter(LoopVar),
    /// `a + b`; integers wrap.
    Add,
    /// `a - b`; integers wrap.
    Sub,
    /// `a * b`; integers wrap.
    Mul,
    /// `a / b`; floats only.
    Div,
    /// `a*b + c` rounded once; floats only.
    Fma,
    /// `-a`: flips the sign bit of a float.
    Neg,
    /// Clears the sign bit; floats only.
    Abs,
    /// Correctly rounded square root; floats only.
    Sqrt,
    /// `if a < b then a else b`, exactly so for NaN and signed zeros.
    Min,
    /// `if a > b then a else b`, exactly so for NaN and signed zeros.
    Max,
    /// Largest integer value not above; floats only.
    Floor,
    /// Nearest integer value, ties to even; floats only.
    Round,
    /// Magnitude of `a` with the sign of `b`; floats only.
    CopySign,
    /// `a < b`, false for NaN; gives `bool`.
    Lt,
    /// `a <= b`, false for NaN; gives `bool`.
    Le,
    /// `a == b`, false for NaN; gives `bool`.
    Eq,
    /// Bitwise on integers, logical on `bool`.
    And,
    /// Bitwise on integers, logical on `bool`.
    Or,
    /// Bitwise on integers, logical on `bool`.
    Xor,
    /// Complement of an integer, negation of a `bool`.
    Not,
    /// `if a then b else c`; `a` is `bool`.
    Select,
    /// Integer shift left by `b` bits, `0 <= b < 64`.
    ShiftLeft,
    /// Logical integer shift right by `b` bits, `0 <= b < 64`.
    ShiftRight,
    /// High 64 bits of the unsigned 128-bit product.
    MulHi,
    /// The same bits as another type of the same width (`f64` and `i64`); for `f32` and `i64`
    /// the 32 bits are zero-extended, or the low 32 taken.
    Bitcast,
    /// The nearest value of another type: float to float rounds to nearest even, integer to float
    /// likewise, float to integer truncates and saturates (NaN gives 0), `bool` gives 0 or 1, and
    /// a number gives the `bool` "not equal to 0".
    Convert,
}
