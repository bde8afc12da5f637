//! The call into generated code, and freeing it: the only unsafe room of this back end.
//!
//! A compiled function is `extern "C" fn(inputs, outputs, workspace)`, where `inputs` and `outputs`
//! point to arrays of buffer addresses in call order. [`Compiled`] owns the module that holds the
//! code; whoever can call it holds an `Arc` of it, so the code outlives every call.

use crate::backend::{Executable, Input, Output, Signature, Workspace};
use cranelift_jit::JITModule;
use cranelift_module::FuncId;
use std::sync::Mutex;

type Entry = unsafe extern "C" fn(*const *const u8, *const *mut u8, *mut u8);

/// Code in memory.
pub(super) struct Compiled {
    entries: Vec<Callable>,
    /// Never locked to call a function: the lock only makes the owner `Sync`.
    jit: Mutex<Option<JITModule>>,
}

/// A function, with what a call of it takes.
struct Callable {
    entry: Entry,
    signature: Signature,
    /// Bytes.
    workspace: usize,
}

impl Compiled {
    /// The functions `made` of `jit`, finalized and with the signature of an `Entry`; with each what a call
    /// of it takes, and the bytes of workspace it needs.
    pub(super) fn new(jit: JITModule, made: Vec<(FuncId, Signature, usize)>) -> Compiled {
        let callable = |(id, signature, workspace)| {
            let address = jit.get_finalized_function(id);
            // SAFETY: `emit` gives every function exactly the parameters of `Entry` and the
            // host's default calling convention, which is that of `extern "C"`; wide code, which is
            // made for Unix on x86-64 alone, has the same ones there. Code that was kept is what was made
            // for this machine by this build, as its key says; `store` reads a file only if it is whole and nobody else
            // may have written it.
            let entry = unsafe { std::mem::transmute::<*const u8, Entry>(address) };
            Callable { entry, signature, workspace }
        };
        let entries = made.into_iter().map(callable).collect();
        Compiled { entries, jit: Mutex::new(Some(jit)) }
    }
}

impl Executable for Compiled {
    fn signature(&self, func: usize) -> &Signature {
        &self.entries[func].signature
    }

    fn call_in_parts(
        &self,
        func: usize,
        now: &[Input<'_>],
        rest: &[Input<'_>],
        outputs: &mut [Output<'_>],
        workspace: &mut Workspace,
    ) {
        let Callable { entry, signature, workspace: bytes } = &self.entries[func];
        signature.check(now, rest, outputs);
        let (mut few, mut few_out) = ([std::ptr::null(); FEW], [std::ptr::null_mut(); FEW]);
        let (mut more, mut more_out) = (Vec::new(), Vec::new());
        let at = room(signature.inputs.len(), &mut few, &mut more);
        let (first, second) = at.split_at_mut(now.len());
        first.iter_mut().zip(now).for_each(|(at, input)| *at = input_address(input));
        second.iter_mut().zip(rest).for_each(|(at, input)| *at = input_address(input));
        let out = room(signature.outputs.len(), &mut few_out, &mut more_out);
        out.iter_mut().zip(outputs).for_each(|(out, output)| *out = output_address(output));
        let workspace = workspace.reserve(*bytes);
        // SAFETY: number, element type and length of the buffers are as declared (checked above),
        // the workspace has the declared size and alignment, outputs are exclusive borrows and so
        // overlap nothing. The code reads and writes inside these buffers: `LoopFunc::verify`, run
        // before compilation, bounds every affine index, and the producers of computed indices
        // clamp them; wide code goes beyond the end of local buffers and tables, where there is room for
        // that, and of no others. The machine has the instructions, which `wide` asked it. The code is alive as long as `self`.
        unsafe { entry(at.as_ptr(), out.as_ptr(), workspace) }
    }
}

/// Most calls have no more inputs, nor outputs, and take no memory for their addresses.
pub(in crate::backend) const FEW: usize = 12;

/// Room for `count` addresses.
#[inline(always)]
pub(in crate::backend) fn room<'a, P: Copy>(
    count: usize,
    few: &'a mut [P; FEW],
    more: &'a mut Vec<P>,
) -> &'a mut [P] {
    if count > FEW {
        more.resize(count, few[0]);
        return more;
    }
    &mut few[..count]
}

impl Drop for Compiled {
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

/// Frees a module none of whose functions will be called again. (Dropping one leaks its memory.)
pub(in crate::backend) fn free(jit: JITModule) {
    // SAFETY: this module hands out no function pointers; a call borrows the `Compiled`, so none is
    // running when it is dropped, and none can start after it.
    unsafe { jit.free_memory() }
}

#[inline(always)]
pub(in crate::backend) fn input_address(input: &Input<'_>) -> *const u8 {
    match input {
        Input::F64(data) => data.as_ptr().cast(),
        Input::F32(data) => data.as_ptr().cast(),
        Input::I64(data) => data.as_ptr().cast(),
        Input::Bool(data) => data.as_ptr(),
    }
}

#[inline(always)]
pub(in crate::backend) fn output_address(output: &mut Output<'_>) -> *mut u8 {
    match output {
        Output::F64(data) => data.as_mut_ptr().cast(),
        Output::F32(data) => data.as_mut_ptr().cast(),
        Output::I64(data) => data.as_mut_ptr().cast(),
        Output::Bool(data) => data.as_mut_ptr(),
    }
}
