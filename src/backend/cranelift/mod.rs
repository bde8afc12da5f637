//! The Cranelift back end: machine code of this host, scalar, one function per [`LoopFunc`].
//!
//! Loop IR goes in, an [`Executable`] comes out. Values, ordering and fused multiply-adds are taken
//! as they stand: `lower` decided them. The call into the code, and freeing it, are in `abi`.

mod abi;
mod emit;

use crate::backend::{Backend, CompileError, Executable, Target};
use crate::lower::loops::{LoopFunc, LoopModule};
use cranelift::codegen::{Context, ir, isa, settings};
use cranelift::prelude::{Configurable, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, Linkage, Module, default_libcall_names};
use std::sync::{Arc, OnceLock};

/// The back end.
#[derive(Clone, Copy, Debug)]
pub struct Cranelift;

impl Backend for Cranelift {
    fn name(&self) -> &'static str {
        "cranelift"
    }

    fn target(&self) -> Target {
        Target { fma: host().is_ok_and(|isa| has_fma(isa.as_ref())) }
    }

    fn compile(&self, module: Arc<LoopModule>) -> Result<Arc<dyn Executable>, CompileError> {
        let mut jit = new_jit().map_err(|message| error("", message))?;
        let mut context = jit.make_context();
        let mut builder_context = FunctionBuilderContext::new();
        let mut ids = Vec::with_capacity(module.funcs.len());
        for (position, func) in module.funcs.iter().enumerate() {
            let failed = |message: String| error(&func.name, message);
            func.verify().map_err(failed)?;
            let name = format!("f{position}");
            ids.push(define(&mut jit, &mut context, &mut builder_context, &name, func).map_err(failed)?);
        }
        jit.finalize_definitions().map_err(|e| error("", e.to_string()))?;
        Ok(Arc::new(abi::Compiled::new(module, jit, &ids)))
    }
}

/// The Cranelift IR of one function, before optimisation: for `nodec show`.
pub fn clif(func: &LoopFunc) -> Result<String, CompileError> {
    let failed = |message: String| error(&func.name, message);
    func.verify().map_err(failed)?;
    let mut jit = new_jit().map_err(failed)?;
    let mut context = jit.make_context();
    emit::emit(&mut jit, &mut context.func, &mut FunctionBuilderContext::new(), func).map_err(failed)?;
    let text = context.func.display().to_string();
    abi::free(jit);
    Ok(text)
}

fn error(func: &str, message: String) -> CompileError {
    CompileError { backend: "cranelift", func: func.to_owned(), message }
}

/// The instruction set of this machine, found once.
fn host() -> Result<isa::OwnedTargetIsa, String> {
    static HOST: OnceLock<Result<isa::OwnedTargetIsa, String>> = OnceLock::new();
    HOST.get_or_init(|| {
        let mut flags = settings::builder();
        // Common subexpressions, constants and ordering are settled in `lower`, so Cranelift's own
        // optimiser would cost compile time for little.
        let options = [
            ("opt_level", "none"),
            ("enable_verifier", if cfg!(debug_assertions) { "true" } else { "false" }),
            ("enable_probestack", "false"),
            ("use_colocated_libcalls", "false"),
            ("is_pic", "false"),
        ];
        for (name, value) in options {
            flags.set(name, value).map_err(|e| e.to_string())?;
        }
        let builder = cranelift_native::builder()?;
        builder.finish(settings::Flags::new(flags)).map_err(|e| e.to_string())
    })
    .clone()
}

/// Whether `fma` is an instruction: on x86-64 a feature, elsewhere part of the base set.
fn has_fma(isa: &dyn isa::TargetIsa) -> bool {
    isa.name() != "x64"
        || isa.isa_flags().iter().any(|flag| flag.name == "has_fma" && flag.as_bool() == Some(true))
}

fn new_jit() -> Result<JITModule, String> {
    Ok(JITModule::new(JITBuilder::with_isa(host()?, default_libcall_names())))
}

fn define(
    jit: &mut JITModule,
    context: &mut Context,
    builder_context: &mut FunctionBuilderContext,
    name: &str,
    func: &LoopFunc,
) -> Result<FuncId, String> {
    emit::emit(jit, &mut context.func, builder_context, func)?;
    let id =
        jit.declare_function(name, Linkage::Export, &context.func.signature).map_err(|e| e.to_string())?;
    context.func.name = ir::UserFuncName::user(0, id.as_u32());
    jit.define_function(id, context).map_err(|e| format!("{e:?}"))?;
    jit.clear_context(context);
    Ok(id)
}
