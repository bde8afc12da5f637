//! The call into wide code, and freeing it: the only unsafe room of this back end.
//!
//! A function is `extern "sysv64" fn(inputs, outputs, workspace, constants)`, where `inputs` and
//! `outputs` point to arrays of buffer addresses in call order.

use super::Isa;
use crate::backend::cranelift::{FEW, free, input_address, new_module, output_address, room};
use crate::backend::lanes::{LaneExecutable, OneByOne};
use crate::backend::object::{LaneObject, LanePiece, Object};
use crate::backend::{CompileError, Executable, Input, Output, Signature, Workspace};
use cranelift_jit::JITModule;
use cranelift_module::{Linkage, Module, ModuleError};
use std::sync::{Arc, Mutex};

type Entry = unsafe extern "sysv64" fn(*const *const u8, *const *mut u8, *mut u8, *const u8);

/// Code in memory.
struct Wide {
    width: usize,
    codes: Vec<Code>,
    /// Those that go lane by lane.
    narrow: Option<OneByOne>,
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

/// Places code in memory, on a machine that has the instructions; `load` does so with what goes lane by lane.
pub(super) fn load(
    object: LaneObject,
    load: impl FnOnce(Object) -> Result<Arc<dyn Executable>, CompileError>,
) -> Result<Arc<dyn LaneExecutable>, CompileError> {
    let failed =
        |func: &str, message: String| CompileError { backend: "wide", func: func.to_owned(), message };
    let LaneObject { width, pieces, narrow } = object;
    let mut jit = new_module().map_err(|message| failed("", message))?;
    let mut made = Vec::with_capacity(pieces.len());
    let mut spreads = Vec::new();
    for (position, piece) in pieces.into_iter().enumerate() {
        match piece {
            LanePiece::Wide { signature, code } => {
                let (name, parameters) = (format!("w{position}"), jit.make_signature());
                let failed = |e: ModuleError| failed(&signature.name, e.to_string());
                let id = jit.declare_function(&name, Linkage::Export, &parameters).map_err(failed)?;
                jit.define_function_bytes(id, 64, &code.bytes, &[]).map_err(failed)?;
                made.push(Ok((id, signature, code)));
            }
            LanePiece::Narrow(own) => {
                made.push(Err(spreads.len()));
                spreads.push(own);
            }
        }
    }
    jit.finalize_definitions().map_err(|e| failed("", e.to_string()))?;
    let codes = made.into_iter().map(|made| match made {
        Ok((id, signature, wide)) => {
            let address = jit.get_finalized_function(id);
            // SAFETY: `allocate` makes every function with exactly these parameters in this calling
            // convention, and keeps what the convention says is the caller's. Code that was kept is what was
            // made for this machine by this build, as its key says; `store` reads a file only if it is whole and nobody else
            // may have written it.
            let entry = unsafe { std::mem::transmute::<*const u8, Entry>(address) };
            Code::Wide { entry, signature, workspace: wide.workspace, constants: lines(&wide.constants) }
        }
        Err(number) => Code::Narrow(number),
    });
    let codes = codes.collect();
    let narrow = if spreads.is_empty() { None } else { Some(OneByOne::new(spreads, width, load(narrow)?)) };
    Ok(Arc::new(Wide { width, codes, narrow, jit: Mutex::new(Some(jit)) }))
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
    fn signature(&self, func: usize) -> &Signature {
        match &self.codes[func] {
            Code::Wide { signature, .. } => signature,
            Code::Narrow(number) => self.narrow.as_ref().expect("some go lane by lane").signature(*number),
        }
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
                // indices clamp them. The machine has the instructions: `wide::object` asked it. The
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
