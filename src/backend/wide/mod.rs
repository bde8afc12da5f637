//! Wide code: functions of many examples, side by side in AVX-512 registers.
//!
//! A [`LaneFunc`] becomes machine code of our own: `select` turns scalars into vectors over the
//! lanes, `allocate` gives them registers, `encode` writes the bytes, `abi` calls them. The order of
//! operations is that of the loop IR, so each lane has the bits of the scalar code. A function that
//! has something without a wide form goes lane by lane, as all do on a machine without AVX-512.

#[cfg(all(target_arch = "x86_64", unix))]
mod abi;
mod allocate;
mod encode;
mod select;
mod vector;

use crate::backend::lanes::{LaneExecutable, LaneFunc, one_by_one};
use crate::backend::{CompileError, Executable};
use crate::lower::loops::LoopModule;
use std::sync::Arc;

/// Whether this machine runs wide code.
pub fn is_supported() -> bool {
    #[cfg(all(target_arch = "x86_64", unix))]
    {
        std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512dq")
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("avx512vl")
    }
    #[cfg(not(all(target_arch = "x86_64", unix)))]
    false
}

/// Calls `work`: what of it is compiled in place (`#[inline(always)]`) is so for the vectors of this machine.
/// Results are the same to the last bit.
#[inline(always)]
pub fn widely<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(all(target_arch = "x86_64", unix))]
    if is_supported() {
        return abi::widely(work);
    }
    work()
}

/// The code of `lane_func` for `width` lanes and the numbers it reads, or why there is none.
pub fn code(lane_func: &LaneFunc, width: usize) -> Result<(Vec<u8>, Vec<u8>), &'static str> {
    let vectors = select::select(lane_func, width)?;
    Ok((allocate::allocate(&vectors)?, vectors.constants))
}

/// Functions for `width` lanes: wide where this can be, else by way of `compile`.
pub(super) fn compile(
    funcs: Vec<LaneFunc>,
    width: usize,
    compile: impl FnOnce(Arc<LoopModule>) -> Result<Arc<dyn Executable>, CompileError>,
) -> Result<Arc<dyn LaneExecutable>, CompileError> {
    #[cfg(all(target_arch = "x86_64", unix))]
    if is_supported() {
        return abi::compile(funcs, width, compile);
    }
    one_by_one(funcs, width, compile)
}
