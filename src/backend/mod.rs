//! Layer 5: loop IR to something that runs.
//!
//! A [`Backend`] turns a [`LoopModule`] into an [`Executable`]; all of them give the same bits, where
//! every NaN counts as the same (its sign and payload are unspecified). One that makes machine code
//! ([`Native`]) does so in two steps, an [`Object`] and its place in memory, between which the code can be
//! kept ([`kept`]).

pub mod cranelift;
pub mod interp;
pub mod kept;
pub mod lanes;
pub mod object;
pub mod store;
pub mod wide;

use crate::backend::kept::Keeping;
use crate::backend::lanes::{LaneExecutable, LaneFunc, Spread};
use crate::backend::object::{LaneObject, Object};
pub use crate::lower::loops::Target;
use crate::lower::loops::{BufferId, DType, LoopFunc, LoopModule};
use std::hash::Hasher;
use std::sync::Arc;

/// Why code could not be made. Never the user's fault.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the {backend} back end failed on `{func}`: {message}")]
pub struct CompileError {
    /// Which back end.
    pub backend: &'static str,
    /// On which function.
    pub func: String,
    /// Why.
    pub message: String,
}

/// Makes executables.
pub trait Backend: Send + Sync {
    /// `interp`, `cranelift`.
    fn name(&self) -> &'static str;
    /// What `lower` may form for it.
    fn target(&self) -> Target;
    /// The same for functions of many examples at once, mostly in numbers of type `dtype`.
    fn lane_target(&self, dtype: DType) -> Target {
        let _ = dtype;
        self.target()
    }
    /// Makes code of every function.
    fn compile(&self, module: Arc<LoopModule>) -> Result<Arc<dyn Executable>, CompileError>;
    /// Makes code of functions that are called for `width` examples at once.
    fn compile_lanes(
        &self,
        funcs: Vec<LaneFunc>,
        width: usize,
    ) -> Result<Arc<dyn LaneExecutable>, CompileError> {
        lanes::one_by_one(funcs, width, |module| self.compile(module))
    }
    /// Where its code is kept, if it is.
    fn keeping(&self) -> Option<&Keeping> {
        None
    }
    /// Whether the lanes of such a call run side by side.
    fn is_wide(&self) -> bool {
        false
    }
    /// Whether `func`, made for vectors along its loops, is faster here than `instead`, the same function in
    /// another form.
    fn goes_along(&self, func: &LoopFunc, instead: &LoopFunc) -> bool {
        let _ = (func, instead);
        false
    }
}

/// A back end that makes machine code.
pub trait Native: Backend {
    /// Adds everything to `hasher` that its code depends on beside the functions: the machine and how it is
    /// used.
    fn describe(&self, hasher: &mut dyn Hasher);
    /// Machine code of every function.
    fn object(&self, module: &LoopModule) -> Result<Object, CompileError>;
    /// Places code in memory.
    fn load(&self, object: Object) -> Result<Arc<dyn Executable>, CompileError>;
    /// Machine code of functions that are called for `width` examples at once.
    fn lane_object(&self, funcs: Vec<LaneFunc>, width: usize) -> Result<LaneObject, CompileError> {
        lanes::object(funcs, width, |module| self.object(module))
    }
    /// Places such code in memory.
    fn load_lanes(&self, object: LaneObject) -> Result<Arc<dyn LaneExecutable>, CompileError> {
        wide::load(object, |narrow| self.load(narrow))
    }
}

/// Compiled functions. Calls are pure and may run on many threads at once, each with its own
/// workspace.
pub trait Executable: Send + Sync {
    /// What function number `func` takes and gives.
    fn signature(&self, func: usize) -> &Signature;
    /// Runs function number `func`. Panics if number, type or length of the arguments differ from
    /// its declaration.
    fn call(&self, func: usize, inputs: &[Input<'_>], outputs: &mut [Output<'_>], workspace: &mut Workspace) {
        self.call_in_parts(func, inputs, &[], outputs, workspace);
    }
    /// The same with inputs in two parts, of which a caller may keep `rest` from call to call.
    fn call_in_parts(
        &self,
        func: usize,
        now: &[Input<'_>],
        rest: &[Input<'_>],
        outputs: &mut [Output<'_>],
        workspace: &mut Workspace,
    );
}

/// An input buffer. `bool` elements are bytes 0 or 1.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "each is the element type of that name")]
pub enum Input<'a> {
    F64(&'a [f64]),
    F32(&'a [f32]),
    I64(&'a [i64]),
    Bool(&'a [u8]),
}

impl Input<'_> {
    /// Element type and length.
    #[inline(always)]
    pub fn layout(&self) -> (DType, usize) {
        match self {
            Input::F64(data) => (DType::F64, data.len()),
            Input::F32(data) => (DType::F32, data.len()),
            Input::I64(data) => (DType::I64, data.len()),
            Input::Bool(data) => (DType::Bool, data.len()),
        }
    }
}

/// An output buffer.
#[derive(Debug)]
#[allow(missing_docs, reason = "each is the element type of that name")]
pub enum Output<'a> {
    F64(&'a mut [f64]),
    F32(&'a mut [f32]),
    I64(&'a mut [i64]),
    Bool(&'a mut [u8]),
}

impl Output<'_> {
    /// Element type and length.
    #[inline(always)]
    pub fn layout(&self) -> (DType, usize) {
        match self {
            Output::F64(data) => (DType::F64, data.len()),
            Output::F32(data) => (DType::F32, data.len()),
            Output::I64(data) => (DType::I64, data.len()),
            Output::Bool(data) => (DType::Bool, data.len()),
        }
    }
}

/// Memory for local buffers, 64-byte aligned, grown on demand and reused between calls.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    lines: Vec<CacheLine>,
}

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct CacheLine([u64; 8]);

impl Workspace {
    /// At least `bytes` bytes, as 64-byte aligned `u64`s. Contents are unspecified.
    pub fn reserve(&mut self, bytes: usize) -> *mut u8 {
        let lines = bytes.div_ceil(64);
        if self.lines.len() < lines {
            self.lines.resize(lines, CacheLine([0; 8]));
        }
        self.lines.as_mut_ptr().cast()
    }
}

/// Every back end of this build, the interpreter first.
pub fn all() -> Vec<Arc<dyn Backend>> {
    let target = cranelift::Cranelift.target();
    vec![Arc::new(interp::Interp::new(target)), Arc::new(cranelift::Cranelift)]
}

/// What a call of a function takes: element type and length of each buffer, in call order.
#[derive(Clone, Debug)]
pub struct Signature {
    /// The name of the function in messages.
    pub name: String,
    /// What it reads.
    pub inputs: Vec<(DType, usize)>,
    /// What it writes.
    pub outputs: Vec<(DType, usize)>,
}

impl Signature {
    fn of(func: &LoopFunc) -> Signature {
        let declared = |ids: &[BufferId]| {
            ids.iter().map(|id| (func.buffers[*id].dtype, func.buffers[*id].len)).collect()
        };
        let (inputs, outputs) = (declared(&func.inputs), declared(&func.outputs));
        Signature { name: func.name.clone(), inputs, outputs }
    }

    /// The same in `width` lanes.
    fn in_lanes(mut self, inputs: &[Spread], outputs: &[Spread], width: usize) -> Signature {
        let buffers = self.inputs.iter_mut().zip(inputs);
        for ((_, len), spread) in buffers.chain(self.outputs.iter_mut().zip(outputs)) {
            *len *= if *spread == Spread::Lanes { width } else { 1 };
        }
        self
    }

    /// Panics unless the arguments are these.
    #[inline(always)]
    fn check(&self, now: &[Input<'_>], rest: &[Input<'_>], outputs: &[Output<'_>]) {
        let mut fit = (now.len() + rest.len(), outputs.len()) == (self.inputs.len(), self.outputs.len());
        if fit {
            let (first, second) = self.inputs.split_at(now.len());
            for (declared, input) in first.iter().zip(now) {
                fit &= *declared == input.layout();
            }
            for (declared, input) in second.iter().zip(rest) {
                fit &= *declared == input.layout();
            }
            for (declared, output) in self.outputs.iter().zip(outputs) {
                fit &= *declared == output.layout();
            }
        }
        if !fit {
            self.complain(&[now, rest].concat(), outputs);
        }
    }

    #[cold]
    fn complain(&self, inputs: &[Input<'_>], outputs: &[Output<'_>]) {
        let Signature { name, inputs: declared_in, outputs: declared_out } = self;
        let inputs: Vec<_> = inputs.iter().map(Input::layout).collect();
        let outputs: Vec<_> = outputs.iter().map(Output::layout).collect();
        assert!(inputs == *declared_in, "inputs of `{name}` should be {declared_in:?}, not {inputs:?}");
        assert!(outputs == *declared_out, "outputs of `{name}` should be {declared_out:?}, not {outputs:?}");
    }
}
