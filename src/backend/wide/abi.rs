//! The call into wide code, and freeing it: the only unsafe room of this back end.
//!
//! A function is `extern "sysv64" fn(inputs, outputs, workspace, constants)`, where `inputs` and
//! `outputs` point to arrays of buffer addresses in call order.

use super::{Isa, code};
use crate::backend::cranelift::{FEW, free, input_address, new_module, output_address, room};
use crate::backend::lanes::{LaneExecutable, LaneFunc, one_by_one};
use crate::backend::{CompileError, Executable, Input, Output, Signature, Workspace};
use crate::lower::loops::LoopModule;
use cranelift_jit::JITModule;
use cranelift_module::{Linkage, Module};
use std::sync::{Arc, Mutex};

type Entry = unsafe extern "sysv64" fn(*const *const u8, *const *mut u8, *mut u8, *const u8);

/// Code in memory, with what it was made from.
struct Wide {
    funcs: Vec<LaneFunc>,
    width: usize,
    codes: Vec<Code>,
    /// Those that go lane by lane.
    narrow: Option<Arc<dyn LaneExecutable>>,
    /// Never locked to call a function: the lock only makes the owner `Sync`.
    jit: Mutex<Option<JITModule>>,
}

enum Code {
    /// Machine code, the bytes of workspace it needs, and the numbers it reads.
    Wide { entry: Entry, signature: Signature, workspace: usize, constants: Vec<CacheLine> },
    /// The number among those that go lane by lane.
    Narrow(usize),
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct CacheLine([u8; 64]);

/// Calls `work`, compiled for `isa`, which the machine has.
#[inline(always)]
pub(super) fn widely<R>(isa: Isa, work: impl FnOnce() -> R) -> R {
    #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl")]
    fn avx512<R>(work: impl FnOnce() -> R) -> R {
        work()
    }
    #[target_feature(enable = "avx2,fma")]
    fn avx2<R>(work: impl FnOnce() -> R) -> R {
        work()
    }
    // SAFETY: the machine has these features: `Isa::is_supported` holds.
    unsafe {
        match isa {
            Isa::Avx512 => avx512(work),
            Isa::Avx2 => avx2(work),
        }
    }
}

/// Functions for `width` lanes on a machine that has `isa`.
pub(super) fn compile(
    funcs: Vec<LaneFunc>,
    width: usize,
    isa: Isa,
    compile: impl FnOnce(Arc<LoopModule>) -> Result<Arc<dyn Executable>, CompileError>,
) -> Result<Arc<dyn LaneExecutable>, CompileError> {
    funcs.iter().for_each(LaneFunc::check);
    let failed =
        |func: &str, message: String| CompileError { backend: "wide", func: func.to_owned(), message };
    let mut jit = new_module().map_err(|message| failed("", message))?;
    let mut made = Vec::with_capacity(funcs.len());
    let mut narrow = Vec::new();
    for (position, lane_func) in funcs.iter().enumerate() {
        let func = &lane_func.func;
        func.verify().map_err(|message| failed(&func.name, message))?;
        match code(lane_func, width, isa) {
            Ok(wide) => {
                let signature = jit.make_signature();
                let name = format!("w{position}");
                let id = jit.declare_function(&name, Linkage::Export, &signature);
                let id = id.map_err(|e| failed(&func.name, e.to_string()))?;
                jit.define_function_bytes(id, 64, &wide.bytes, &[])
                    .map_err(|e| failed(&func.name, e.to_string()))?;
                made.push(Ok((id, wide)));
            }
            Err(why) => {
                tracing::debug!("`{}` goes lane by lane: it has {why}", func.name);
                made.push(Err(narrow.len()));
                narrow.push(lane_func.clone());
            }
        }
    }
    jit.finalize_definitions().map_err(|e| failed("", e.to_string()))?;
    let codes = made.into_iter().zip(&funcs).map(|(made, func)| match made {
        Ok((id, wide)) => {
            let address = jit.get_finalized_function(id);
            // SAFETY: `allocate` makes every function with exactly these parameters in this calling
            // convention, and keeps what the convention says is the caller's.
            let entry = unsafe { std::mem::transmute::<*const u8, Entry>(address) };
            let (signature, constants) = (Signature::of_lanes(func, width), lines(&wide.constants));
            Code::Wide { entry, signature, workspace: wide.workspace, constants }
        }
        Err(number) => Code::Narrow(number),
    });
    let codes = codes.collect();
    let narrow = if narrow.is_empty() { None } else { Some(one_by_one(narrow, width, compile)?) };
    Ok(Arc::new(Wide { funcs, width, codes, narrow, jit: Mutex::new(Some(jit)) }))
}

fn lines(bytes: &[u8]) -> Vec<CacheLine> {
    let line = |chunk: &[u8]| {
        let mut line = CacheLine([0; 64]);
        line.0[..chunk.len()].copy_from_slice(chunk);
        line
    };
    bytes.chunks(64).map(line).collect()
}

impl LaneExecutable for Wide {
    fn funcs(&self) -> &[LaneFunc] {
        &self.funcs
    }

    fn width(&self) -> usize {
        self.width
    }

    fn call(&self, func: usize, inputs: &[Input<'_>], outputs: &mut [Output<'_>], workspace: &mut Workspace) {
        match &self.codes[func] {
            Code::Wide { entry, signature, workspace: bytes, constants } => {
                signature.check(inputs, &[], outputs);
                let (mut few, mut few_out) = ([std::ptr::null(); FEW], [std::ptr::null_mut(); FEW]);
                let (mut more, mut more_out) = (Vec::new(), Vec::new());
                let at = room(inputs.len(), &mut few, &mut more);
                at.iter_mut().zip(inputs).for_each(|(at, input)| *at = input_address(input));
                let out = room(outputs.len(), &mut few_out, &mut more_out);
                out.iter_mut().zip(outputs).for_each(|(out, output)| *out = output_address(output));
                let workspace = workspace.reserve(*bytes);
                // SAFETY: number, element type and length of the buffers are as declared (checked
                // above), the workspace has the size that the code needs and its alignment,
                // outputs are exclusive borrows and so overlap nothing. The code reads and writes
                // inside these buffers: `LoopFunc::verify`, run before compilation, bounds every
                // affine index, `select` multiplies it by the lanes, and the producers of computed
                // indices clamp them. The machine has the instructions: `wide::compile` asked it. The
                // code is alive as long as `self`.
                unsafe {
                    entry(at.as_ptr(), out.as_ptr(), workspace, constants.as_ptr().cast());
                }
            }
            Code::Narrow(number) => {
                let narrow = self.narrow.as_ref().expect("some go lane by lane");
                narrow.call(*number, inputs, outputs, workspace);
            }
        }
    }
}

impl Drop for Wide {
    fn drop(&mut self) {
        let jit = match self.jit.get_mut() {
            Ok(jit) => jit.take(),
            Err(poisoned) => poisoned.into_inner().take(),
        };
        if let Some(jit) = jit {
            free(jit);
        }
    }
}
