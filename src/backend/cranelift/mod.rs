//! The Cranelift back end: machine code of this host, scalar, one function per [`LoopFunc`].
//!
//! Loop IR goes in, an [`Executable`] comes out. Values, ordering and fused multiply-adds are taken
//! as they stand: `lower` decided them. A function that spends most of its time in loops over many
//! elements becomes [wide] code. The call into the code, and freeing it, are in `abi`.

mod abi;
mod emit;

#[cfg(all(target_arch = "x86_64", unix))]
pub(super) use abi::{FEW, free, input_address, output_address, room};

use crate::backend::lanes::{LaneExecutable, LaneFunc};
use crate::backend::wide::Isa;
use crate::backend::{Backend, CompileError, Executable, Target, wide};
use crate::lower::loops::{DType, LoopFunc, LoopModule, Stmt};
use cranelift::codegen::{Context, ir, isa, settings};
use cranelift::prelude::{Configurable, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, Linkage, Module, default_libcall_names};
use std::sync::{Arc, OnceLock};

/// The back end, with all that this machine has.
#[derive(Clone, Copy, Debug)]
pub struct Cranelift;

/// The back end with what every machine of this kind has: on x86-64 the second level (SSE 4.2). There
/// are no fused multiply-adds, so that `a*b + c` rounds twice where it rounds once otherwise, and
/// functions of many examples go lane by lane: the one changes bits, the other none.
#[derive(Clone, Copy, Debug)]
pub struct Baseline;

impl Backend for Cranelift {
    fn name(&self) -> &'static str {
        "cranelift"
    }

    fn target(&self) -> Target {
        target_of(Level::Native)
    }

    fn compile(&self, module: Arc<LoopModule>) -> Result<Arc<dyn Executable>, CompileError> {
        compile_for(Level::Native, &wide_where_it_pays, module)
    }

    fn lane_target(&self, dtype: DType) -> Target {
        let accumulators = wide::native().map_or(0, |isa| wide::accumulators(isa, dtype));
        Target { accumulators: accumulators.max(self.target().accumulators), ..self.target() }
    }

    fn compile_lanes(
        &self,
        funcs: Vec<LaneFunc>,
        width: usize,
    ) -> Result<Arc<dyn LaneExecutable>, CompileError> {
        wide::compile(funcs, width, wide::native(), |module| self.compile(module))
    }

    fn is_wide(&self) -> bool {
        wide::native().is_some()
    }

    fn goes_along(&self, func: &LoopFunc, instead: &LoopFunc) -> bool {
        wide::native().is_some_and(|isa| wide::pays(func, instead, isa))
    }
}

/// The same, with every function in wide code of this kind that can be: for tests. Panics where the machine
/// does not have it.
#[derive(Clone, Copy, Debug)]
pub struct Along(pub Isa);

impl Backend for Along {
    fn name(&self) -> &'static str {
        "wide"
    }

    fn target(&self) -> Target {
        target_of(Level::Native)
    }

    fn compile(&self, module: Arc<LoopModule>) -> Result<Arc<dyn Executable>, CompileError> {
        assert!(self.0.is_supported(), "code for {:?} on a machine without", self.0);
        compile_for(Level::Native, &|func| wide::code_alone(func, self.0).ok(), module)
    }
}

/// Wide code of a function, where it is faster.
fn wide_where_it_pays(func: &LoopFunc) -> Option<wide::Code> {
    let isa = wide::native().filter(|isa| wide::pays(func, func, *isa))?;
    match wide::code_alone(func, isa) {
        Ok(code) => Some(code),
        Err(why) => {
            tracing::debug!("`{}` is scalar code: it has {why}", func.name);
            None
        }
    }
}

impl Backend for Baseline {
    fn name(&self) -> &'static str {
        "cranelift"
    }

    fn target(&self) -> Target {
        target_of(Level::Baseline)
    }

    fn compile(&self, module: Arc<LoopModule>) -> Result<Arc<dyn Executable>, CompileError> {
        compile_for(Level::Baseline, &|_| None, module)
    }
}

fn target_of(level: Level) -> Target {
    Target::new(host(level, Registers::Backtracking).is_ok_and(|isa| has_fma(isa.as_ref())))
}

/// Code of every function: what `wide` gives, else ours.
fn compile_for(
    level: Level,
    wide: &dyn Fn(&LoopFunc) -> Option<wide::Code>,
    module: Arc<LoopModule>,
) -> Result<Arc<dyn Executable>, CompileError> {
    let mut jit = new_jit(level, Registers::of(&module)).map_err(|message| error("", message))?;
    let mut context = jit.make_context();
    let mut builder_context = FunctionBuilderContext::new();
    let mut ids = Vec::with_capacity(module.funcs.len());
    for (position, func) in module.funcs.iter().enumerate() {
        let failed = |message: String| error(&func.name, message);
        func.verify().map_err(failed)?;
        let name = format!("f{position}");
        ids.push(match wide(func) {
            Some(code) => (place(&mut jit, &name, &code).map_err(failed)?, code.workspace),
            None => {
                let id = define(&mut jit, &mut context, &mut builder_context, &name, func).map_err(failed)?;
                (id, func.workspace)
            }
        });
    }
    jit.finalize_definitions().map_err(|e| error("", e.to_string()))?;
    Ok(Arc::new(abi::Compiled::new(module, jit, &ids)))
}

/// An empty module for code of this machine.
#[cfg(all(target_arch = "x86_64", unix))]
pub(super) fn new_module() -> Result<JITModule, String> {
    new_jit(Level::Native, Registers::Backtracking)
}

/// The Cranelift IR of one function, before optimisation: for `nodec show`.
pub fn clif(func: &LoopFunc) -> Result<String, CompileError> {
    let failed = |message: String| error(&func.name, message);
    func.verify().map_err(failed)?;
    let mut jit = new_jit(Level::Native, Registers::Backtracking).map_err(failed)?;
    let mut context = jit.make_context();
    emit::emit(&mut jit, &mut context.func, &mut FunctionBuilderContext::new(), func).map_err(failed)?;
    let text = context.func.display().to_string();
    abi::free(jit);
    Ok(text)
}

fn error(func: &str, message: String) -> CompileError {
    CompileError { backend: "cranelift", func: func.to_owned(), message }
}

/// What of this machine the code uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// All it has.
    Native,
    /// See [`Baseline`].
    Baseline,
}

/// How registers are allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Registers {
    /// Good code; the time grows with the square of the length of a function.
    Backtracking,
    /// More loads and stores; the time grows with the length.
    SinglePass,
}

impl Registers {
    /// Statements in one function from which on the time to compile matters more than the code.
    /// Measured: backtracking took 0.7 s for a straight-line step of 15,000, 3 s for one of 30,000; a
    /// single pass takes 0.4 s for one of 60,000.
    const LONG: usize = 10_000;

    fn of(module: &LoopModule) -> Registers {
        let longest = module.funcs.iter().map(|func| n_stmts(&func.body)).max();
        if longest > Some(Registers::LONG) { Registers::SinglePass } else { Registers::Backtracking }
    }

    /// As Cranelift's setting `regalloc_algorithm`.
    fn name(self) -> &'static str {
        match self {
            Registers::Backtracking => "backtracking",
            Registers::SinglePass => "single_pass",
        }
    }
}

fn n_stmts(stmts: &[Stmt]) -> usize {
    let inside = |stmt: &Stmt| match stmt {
        Stmt::Loop(looped) => n_stmts(&looped.body),
        Stmt::Let { .. } | Stmt::Load { .. } | Stmt::Store { .. } => 0,
    };
    stmts.len() + stmts.iter().map(inside).sum::<usize>()
}

/// The instruction set of this machine, found once.
fn host(level: Level, registers: Registers) -> Result<isa::OwnedTargetIsa, String> {
    type Host = OnceLock<Result<isa::OwnedTargetIsa, String>>;
    static HOSTS: [[Host; 2]; 2] = [const { [const { Host::new() }; 2] }; 2];
    HOSTS[level as usize][registers as usize]
        .get_or_init(|| {
            let mut flags = settings::builder();
            // Common subexpressions, constants and ordering are settled in `lower`, so Cranelift's own
            // optimiser would cost compile time for little.
            let options = [
                ("opt_level", "none"),
                ("enable_verifier", if cfg!(debug_assertions) { "true" } else { "false" }),
                ("enable_probestack", "false"),
                ("use_colocated_libcalls", "false"),
                ("is_pic", "false"),
                ("regalloc_algorithm", registers.name()),
            ];
            for (name, value) in options {
                flags.set(name, value).map_err(|e| e.to_string())?;
            }
            let mut builder = cranelift_native::builder_with_options(level == Level::Native)?;
            if level == Level::Baseline && cfg!(target_arch = "x86_64") {
                for flag in
                    ["has_cmpxchg16b", "has_sse3", "has_ssse3", "has_sse41", "has_sse42", "has_popcnt"]
                {
                    builder.enable(flag).map_err(|e| e.to_string())?;
                }
            }
            builder.finish(settings::Flags::new(flags)).map_err(|e| e.to_string())
        })
        .clone()
}

/// Whether `fma` is an instruction: on x86-64 a feature, elsewhere part of the base set.
fn has_fma(isa: &dyn isa::TargetIsa) -> bool {
    isa.name() != "x64"
        || isa.isa_flags().iter().any(|flag| flag.name == "has_fma" && flag.as_bool() == Some(true))
}

fn new_jit(level: Level, registers: Registers) -> Result<JITModule, String> {
    Ok(JITModule::new(JITBuilder::with_isa(host(level, registers)?, default_libcall_names())))
}

/// Code that is there already, of three addresses as all functions are.
fn place(jit: &mut JITModule, name: &str, code: &wide::Code) -> Result<FuncId, String> {
    let signature = jit.make_signature();
    let id = jit.declare_function(name, Linkage::Export, &signature).map_err(|e| e.to_string())?;
    jit.define_function_bytes(id, 64, &code.bytes, &[]).map_err(|e| e.to_string())?;
    Ok(id)
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
