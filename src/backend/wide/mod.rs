//! Wide code: functions of many examples, or of many elements of one, side by side in vector registers.
//!
//! A [`LaneFunc`] becomes machine code of our own for an [`Isa`]: `select` turns scalars into vectors
//! over the lanes, `allocate` gives them registers, `encode` writes the bytes, `abi` calls them. The
//! order of operations is that of the loop IR, so each lane has the bits of the scalar code, whatever
//! the machine. A function that has something without a wide form goes lane by lane, as all do on a
//! machine that has neither AVX-512 nor AVX2. A function of one example can have turns of its loops for
//! lanes (`alone`, `select/strips`), again to the bits of scalar code.

#[cfg(all(target_arch = "x86_64", unix))]
mod abi;
mod allocate;
mod alone;
mod encode;
mod machine;
mod select;
mod vector;

pub use machine::Isa;

use crate::backend::lanes::{self, LaneExecutable, LaneFunc, OneByOne};
use crate::backend::object::{LaneObject, LanePiece, Object};
use crate::backend::{CompileError, Executable, Signature};
use crate::lower::loops::{DType, LoopFunc, LoopModule};
use alone::Plan;
use std::sync::Arc;

/// The best that this machine has, if it runs wide code.
pub fn native() -> Option<Isa> {
    Isa::ALL.into_iter().find(|isa| isa.is_supported())
}

/// Calls `work`: what of it is compiled in place (`#[inline(always)]`) is so for the vectors of this machine.
/// Results are the same to the last bit.
#[inline(always)]
pub fn widely<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(all(target_arch = "x86_64", unix))]
    if let Some(isa) = native() {
        return abi::widely(isa, work);
    }
    work()
}

/// Sums of numbers of type `dtype` that a loop carries in registers, with their lanes side by side.
pub fn accumulators(isa: Isa, dtype: DType) -> usize {
    let machine = isa.machine();
    match dtype {
        DType::F32 => machine.carried,
        DType::F64 | DType::I64 | DType::Bool => machine.carried / machine.doubles,
    }
}

/// A function in machine code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// `extern "sysv64" fn(inputs, outputs, workspace, constants)`
    pub bytes: Vec<u8>,
    /// The numbers it reads, 64 bytes aligned.
    pub constants: Vec<u8>,
    /// Bytes of workspace it needs.
    pub workspace: usize,
}

/// The code of `lane_func` for `width` lanes, or why there is none.
pub fn code(lane_func: &LaneFunc, width: usize, isa: Isa) -> Result<Code, &'static str> {
    let machine = isa.machine();
    let vectors = select::select(lane_func, width, machine)?;
    let bytes = allocate::allocate(&vectors, machine, false)?;
    Ok(Code { bytes, constants: vectors.constants, workspace: vectors.workspace })
}

/// The code of a function of one example, in vectors along its loops, or why there is none:
/// `extern "sysv64" fn(inputs, outputs, workspace)`, with the constants behind it.
pub fn code_alone(func: &LoopFunc, isa: Isa) -> Result<Code, &'static str> {
    let machine = isa.machine();
    let plan = Plan::of(func, machine).ok_or("no loop to go along")?;
    let vectors = select::select_alone(&plan, machine)?;
    let bytes = allocate::allocate(&vectors, machine, true)?;
    Ok(Code { bytes, constants: Vec::new(), workspace: vectors.workspace })
}

/// Whether a function of one example is faster in vectors along its loops than in scalar code, and than
/// `instead`, which is the same function.
pub fn pays(func: &LoopFunc, instead: &LoopFunc, isa: Isa) -> bool {
    let Some(plan) = Plan::of(func, isa.machine()) else { return false };
    let enough = alone::MARGIN * plan.cost;
    enough < alone::scalar_cost(&func.body) && enough < alone::scalar_cost(&instead.body)
}

/// Functions for `width` lanes, in wide code for `isa` where this can be; `narrow` makes code of the others.
/// Panics if this machine has not `isa`.
pub(super) fn object(
    funcs: Vec<LaneFunc>,
    width: usize,
    isa: Option<Isa>,
    narrow: impl FnOnce(&LoopModule) -> Result<Object, CompileError>,
) -> Result<LaneObject, CompileError> {
    let Some(isa) = isa else { return lanes::object(funcs, width, narrow) };
    assert!(isa.is_supported(), "code for {isa:?} on a machine without");
    funcs.iter().for_each(LaneFunc::check);
    let (mut pieces, mut others) = (Vec::with_capacity(funcs.len()), LoopModule::default());
    for lane_func in funcs {
        let func = &lane_func.func;
        let failed = |message| CompileError { backend: "wide", func: func.name.clone(), message };
        func.verify().map_err(failed)?;
        match code(&lane_func, width, isa) {
            Ok(code) => {
                let LaneFunc { func, inputs, outputs } = &lane_func;
                let signature = Signature::of(func).in_lanes(inputs, outputs, width);
                pieces.push(LanePiece::Wide { signature, code });
            }
            Err(why) => {
                tracing::debug!("`{}` goes lane by lane: it has {why}", func.name);
                let (spreads, func) = lane_func.into_parts();
                pieces.push(LanePiece::Narrow(spreads));
                others.funcs.push(func);
            }
        }
    }
    let narrow = if others.funcs.is_empty() { Object::default() } else { narrow(&others)? };
    Ok(LaneObject { width, pieces, narrow })
}

/// Places code in memory; `load` does so with what goes lane by lane.
pub(super) fn load(
    object: LaneObject,
    load: impl FnOnce(Object) -> Result<Arc<dyn Executable>, CompileError>,
) -> Result<Arc<dyn LaneExecutable>, CompileError> {
    let spreads = |piece: &LanePiece| match piece {
        LanePiece::Narrow(spreads) => Some(spreads.clone()),
        LanePiece::Wide { .. } => None,
    };
    if let Some(spreads) = object.pieces.iter().map(spreads).collect() {
        return Ok(Arc::new(OneByOne::new(spreads, object.width, load(object.narrow)?)));
    }
    #[cfg(all(target_arch = "x86_64", unix))]
    return abi::load(object, load);
    #[cfg(not(all(target_arch = "x86_64", unix)))]
    crate::bug!("wide code on a machine without")
}
