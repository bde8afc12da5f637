//! The Cranelift back end: machine code of this host, scalar, one function per [`LoopFunc`].
//!
//! Loop IR goes in, an [`Executable`] comes out. Values, ordering and fused multiply-adds are taken
//! as they stand: `lower` decided them. A function that spends most of its time in loops over many
//! elements becomes [wide] code. Code is made as data ([`Object`]) and placed in memory after; the call
//! into it, and freeing it, are in `abi`.

mod abi;
mod emit;

#[cfg(all(target_arch = "x86_64", unix))]
pub(super) use abi::{FEW, free, input_address, output_address, room};

use crate::backend::lanes::{LaneExecutable, LaneFunc};
use crate::backend::object::{LaneObject, Object, Piece, TABLES};
use crate::backend::wide::Isa;
use crate::backend::{Backend, CompileError, Executable, Native, Signature, Target, wide};
use crate::lower::loops::{DType, LoopFunc, LoopModule, Stmt};
use cranelift::codegen::control::ControlPlane;
use cranelift::codegen::{Context, isa, settings};
use cranelift::prelude::{Configurable, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{
    DataDescription, FuncId, Linkage, Module, ModuleReloc, ModuleRelocTarget, default_libcall_names,
};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

/// The back end, with all that this machine has.
#[derive(Clone, Copy, Debug)]
pub struct Cranelift;

/// The back end with what every machine of this kind has: on x86-64 the second level (SSE 4.2). There
/// are no fused multiply-adds, so that `a*b + c` rounds twice where it rounds once otherwise, and
/// functions of many examples go lane by lane: the one changes bits, the other none.
#[derive(Clone, Copy, Debug)]
pub struct Baseline;

/// The same as [`Cranelift`], with every function in wide code of this kind that can be: for tests. Panics where
/// the machine does not have it.
#[derive(Clone, Copy, Debug)]
pub struct Along(pub Isa);

impl Backend for Cranelift {
    fn name(&self) -> &'static str {
        "cranelift"
    }

    fn target(&self) -> Target {
        target_of(Level::Native)
    }

    fn compile(&self, module: Arc<LoopModule>) -> Result<Arc<dyn Executable>, CompileError> {
        self.load(self.object(&module)?)
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
        self.load_lanes(self.lane_object(funcs, width)?)
    }

    fn is_wide(&self) -> bool {
        wide::native().is_some()
    }

    fn goes_along(&self, func: &LoopFunc, instead: &LoopFunc) -> bool {
        wide::native().is_some_and(|isa| wide::pays(func, instead, isa))
    }
}

impl Native for Cranelift {
    fn describe(&self, mut hasher: &mut dyn Hasher) {
        ("cranelift", wide::native()).hash(&mut hasher);
        describe_host(Level::Native, hasher);
    }

    fn object(&self, module: &LoopModule) -> Result<Object, CompileError> {
        object(Level::Native, &wide_where_it_pays, module)
    }

    fn load(&self, object: Object) -> Result<Arc<dyn Executable>, CompileError> {
        load(Level::Native, object)
    }

    fn lane_object(&self, funcs: Vec<LaneFunc>, width: usize) -> Result<LaneObject, CompileError> {
        wide::object(funcs, width, wide::native(), |module| self.object(module))
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
        self.load(self.object(&module)?)
    }
}

impl Native for Baseline {
    fn describe(&self, mut hasher: &mut dyn Hasher) {
        "baseline".hash(&mut hasher);
        describe_host(Level::Baseline, hasher);
    }

    fn object(&self, module: &LoopModule) -> Result<Object, CompileError> {
        object(Level::Baseline, &|_| None, module)
    }

    fn load(&self, object: Object) -> Result<Arc<dyn Executable>, CompileError> {
        load(Level::Baseline, object)
    }
}

impl Backend for Along {
    fn name(&self) -> &'static str {
        "wide"
    }

    fn target(&self) -> Target {
        target_of(Level::Native)
    }

    fn compile(&self, module: Arc<LoopModule>) -> Result<Arc<dyn Executable>, CompileError> {
        self.load(self.object(&module)?)
    }

    fn compile_lanes(
        &self,
        funcs: Vec<LaneFunc>,
        width: usize,
    ) -> Result<Arc<dyn LaneExecutable>, CompileError> {
        self.load_lanes(self.lane_object(funcs, width)?)
    }
}

impl Native for Along {
    fn describe(&self, mut hasher: &mut dyn Hasher) {
        ("along", self.0).hash(&mut hasher);
        describe_host(Level::Native, hasher);
    }

    fn object(&self, module: &LoopModule) -> Result<Object, CompileError> {
        assert!(self.0.is_supported(), "code for {:?} on a machine without", self.0);
        object(Level::Native, &|func| wide::code_alone(func, self.0).ok(), module)
    }

    fn load(&self, object: Object) -> Result<Arc<dyn Executable>, CompileError> {
        load(Level::Native, object)
    }

    fn lane_object(&self, funcs: Vec<LaneFunc>, width: usize) -> Result<LaneObject, CompileError> {
        wide::object(funcs, width, Some(self.0), |module| self.object(module))
    }
}

fn target_of(level: Level) -> Target {
    Target::new(host(level, Registers::Backtracking).is_ok_and(|isa| has_fma(isa.as_ref())))
}

/// Version and settings of Cranelift, and the instructions that it may use.
fn describe_host(level: Level, mut hasher: &mut dyn Hasher) {
    cranelift::VERSION.hash(&mut hasher);
    // How registers are allocated follows from the functions.
    if let Ok(isa) = host(level, Registers::Backtracking) {
        (isa.triple(), isa.flags(), isa.isa_flags_hash_key()).hash(&mut hasher);
    }
}

/// Code of every function: what `wide` gives, else ours.
fn object(
    level: Level,
    wide: &dyn Fn(&LoopFunc) -> Option<wide::Code>,
    module: &LoopModule,
) -> Result<Object, CompileError> {
    let isa = host(level, Registers::of(module)).map_err(|message| error("", message))?;
    let mut context = Context::new();
    let mut builder_context = FunctionBuilderContext::new();
    let pieces = module.funcs.iter().map(|func| {
        let failed = |message: String| error(&func.name, message);
        func.verify().map_err(failed)?;
        let signature = Signature::of(func);
        match wide(func) {
            Some(wide::Code { bytes: code, workspace, constants: _ }) => {
                Ok(Piece { signature, workspace, code, align: 64, relocs: Vec::new(), tables: Vec::new() })
            }
            None => {
                context.clear();
                let tables = emit::emit(&*isa, &mut context.func, &mut builder_context, func);
                let code = context.compile(&*isa, &mut ControlPlane::default());
                let code = code.map_err(|e| failed(format!("{e:?}")))?;
                let (bytes, align) = (code.code_buffer().to_vec(), u64::from(code.buffer.alignment));
                let relocs = code.buffer.relocs().to_vec();
                let reloc = |reloc| ModuleReloc::from_mach_reloc(reloc, &context.func, FuncId::from_u32(0));
                let relocs = relocs.iter().map(reloc).collect();
                Ok(Piece { signature, workspace: func.workspace, code: bytes, align, relocs, tables })
            }
        }
    });
    Ok(Object { pieces: pieces.collect::<Result<_, CompileError>>()? })
}

/// Places code in memory.
fn load(level: Level, object: Object) -> Result<Arc<dyn Executable>, CompileError> {
    let mut jit = new_jit(level).map_err(|message| error("", message))?;
    let pieces = object.pieces.into_iter().enumerate().map(|(position, piece)| {
        let id = place(&mut jit, &format!("f{position}"), &piece);
        let id = id.map_err(|message| error(&piece.signature.name, message))?;
        Ok((id, piece.signature, piece.workspace))
    });
    let made = pieces.collect::<Result<Vec<_>, CompileError>>()?;
    jit.finalize_definitions().map_err(|e| error("", e.to_string()))?;
    Ok(Arc::new(abi::Compiled::new(jit, made)))
}

/// Places a function, of three addresses as all are, and its tables.
fn place(jit: &mut JITModule, name: &str, piece: &Piece) -> Result<FuncId, String> {
    let signature = jit.make_signature();
    let id = jit.declare_function(name, Linkage::Export, &signature).map_err(|e| e.to_string())?;
    let tables = piece.tables.iter().map(|table| {
        let data = jit.declare_anonymous_data(false, false).map_err(|e| e.to_string())?;
        let mut description = DataDescription::new();
        description.define(table.clone().into_boxed_slice());
        description.set_align(64);
        jit.define_data(data, &description).map_err(|e| e.to_string())?;
        Ok(data)
    });
    let tables = tables.collect::<Result<Vec<_>, String>>()?;
    let resolved = |reloc: &ModuleReloc| {
        let name = match &reloc.name {
            ModuleRelocTarget::User { namespace: TABLES, index } => tables[*index as usize].into(),
            ModuleRelocTarget::FunctionOffset(_, offset) => ModuleRelocTarget::FunctionOffset(id, *offset),
            other => other.clone(),
        };
        ModuleReloc { name, ..reloc.clone() }
    };
    let relocs: Vec<ModuleReloc> = piece.relocs.iter().map(resolved).collect();
    jit.define_function_bytes(id, piece.align, &piece.code, &relocs).map_err(|e| e.to_string())?;
    Ok(id)
}

/// An empty module for code of this machine.
#[cfg(all(target_arch = "x86_64", unix))]
pub(super) fn new_module() -> Result<JITModule, String> {
    new_jit(Level::Native)
}

/// The Cranelift IR of one function, before optimisation: for `nodec show`.
pub fn clif(func: &LoopFunc) -> Result<String, CompileError> {
    let failed = |message: String| error(&func.name, message);
    func.verify().map_err(failed)?;
    let isa = host(Level::Native, Registers::Backtracking).map_err(failed)?;
    let mut context = Context::new();
    emit::emit(&*isa, &mut context.func, &mut FunctionBuilderContext::new(), func);
    Ok(context.func.display().to_string())
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

/// A module for code that is there already: how registers are allocated is settled.
fn new_jit(level: Level) -> Result<JITModule, String> {
    let isa = host(level, Registers::Backtracking)?;
    Ok(JITModule::new(JITBuilder::with_isa(isa, default_libcall_names())))
}
