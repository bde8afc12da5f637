//! Machine code from one run to the next.
//!
//! [`Keeping`] is a back end with a [`CodeCache`]: whoever has functions to compile gives it what they compute
//! and says how they are lowered, which is done only if no code is kept by the key of that. What was made and what
//! was kept take the same way into memory, [`Native::load`].
//!
//! A key is a digest of everything that the code depends on:
//!
//! - the functions of the tensor IR, which whoever asks hashes: lowering is what takes the time, so the key
//!   is made before it. `Hash` as it is derived serves, since it says the variant of an enum and the length of a
//!   list before what is in them, so that no two contents give the same bytes, and since no address and no
//!   order of a hash table is in these functions. Numbers are hashed by their bits;
//! - the back end, the instructions that it may use and its settings ([`Native::describe`]);
//! - what makes the code: a digest of this crate's source files, which the build script takes, the version
//!   of Cranelift, and length and time of the program that is running. The time alone would not do: a library
//!   within another program does not change it, and some systems give every file the same.
//!
//! Code that was made quickly is not kept ([`CodeCache::worth`]), nor is code that has an address of this process
//! which no name stands for (`Object::encoded`); none of the interpreter is, which has none.

use crate::backend::lanes::{LaneExecutable, LaneFunc};
use crate::backend::object::{LaneObject, Object};
use crate::backend::store::{CodeCache, Key};
use crate::backend::{Backend, CompileError, Executable, Native, Target};
use crate::lower::loops::{DType, LoopFunc, LoopModule};
use sha3::{Digest as _, Sha3_256};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime};

/// A back end whose code is kept.
pub struct Keeping {
    native: Arc<dyn Native>,
    cache: CodeCache,
    /// Has everything but the functions.
    hasher: KeyHasher,
}

impl Keeping {
    /// `native` with `cache`.
    pub fn new(native: Arc<dyn Native>, cache: CodeCache) -> Keeping {
        let mut hasher = KeyHasher(Sha3_256::new());
        (env!("CARGO_PKG_VERSION"), env!("NODEC_SOURCES"), program()).hash(&mut hasher);
        native.describe(&mut hasher);
        Keeping { native, cache, hasher }
    }

    /// Code of functions of these names: kept for what `content` hashes, or made of what `lowered` gives.
    pub fn executable<E: From<CompileError>>(
        &self,
        content: &impl Hash,
        names: &[&str],
        lowered: impl FnOnce() -> Result<LoopModule, E>,
    ) -> Result<Arc<dyn Executable>, E> {
        self.kept_or_made(
            &("alone", content),
            |bytes| self.native.load(Object::decoded(bytes, names)?).ok(),
            || Ok(self.native.object(&lowered()?)?),
            Object::encoded,
            |object| self.native.load(object),
        )
    }

    /// The same for functions that are called for `width` examples at once.
    pub fn lane_executable<E: From<CompileError>>(
        &self,
        content: &impl Hash,
        names: &[&str],
        width: usize,
        lowered: impl FnOnce() -> Result<Vec<LaneFunc>, E>,
    ) -> Result<Arc<dyn LaneExecutable>, E> {
        self.kept_or_made(
            &("lanes", width, content),
            |bytes| self.native.load_lanes(LaneObject::decoded(bytes, names)?).ok(),
            || Ok(self.native.lane_object(lowered()?, width)?),
            LaneObject::encoded,
            |object| self.native.load_lanes(object),
        )
    }

    /// What is kept for `content`, or what is made and then kept if it took long.
    fn kept_or_made<O, X, E: From<CompileError>>(
        &self,
        content: &impl Hash,
        kept: impl FnOnce(&[u8]) -> Option<X>,
        made: impl FnOnce() -> Result<O, E>,
        encoded: impl FnOnce(&O) -> Option<Vec<u8>>,
        load: impl FnOnce(O) -> Result<X, CompileError>,
    ) -> Result<X, E> {
        let key = self.hasher.key(content);
        if let Some(executable) = self.cache.read(&key).and_then(|bytes| kept(&bytes)) {
            return Ok(executable);
        }
        let begun = Instant::now();
        let object = made()?;
        if self.cache.is_worth(begun.elapsed())
            && let Some(bytes) = encoded(&object)
        {
            self.cache.write(&key, &bytes);
        }
        Ok(load(object)?)
    }
}

/// All but the code is that of the back end.
impl Backend for Keeping {
    fn name(&self) -> &'static str {
        self.native.name()
    }

    fn target(&self) -> Target {
        self.native.target()
    }

    fn lane_target(&self, dtype: DType) -> Target {
        self.native.lane_target(dtype)
    }

    fn compile(&self, module: Arc<LoopModule>) -> Result<Arc<dyn Executable>, CompileError> {
        self.native.compile(module)
    }

    fn compile_lanes(
        &self,
        funcs: Vec<LaneFunc>,
        width: usize,
    ) -> Result<Arc<dyn LaneExecutable>, CompileError> {
        self.native.compile_lanes(funcs, width)
    }

    fn keeping(&self) -> Option<&Keeping> {
        Some(self)
    }

    fn is_wide(&self) -> bool {
        self.native.is_wide()
    }

    fn goes_along(&self, func: &LoopFunc, instead: &LoopFunc) -> bool {
        self.native.goes_along(func, instead)
    }
}

/// Length and time of the running program, where they can be had.
fn program() -> &'static Option<(u64, Option<SystemTime>)> {
    static PROGRAM: OnceLock<Option<(u64, Option<SystemTime>)>> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let about = std::fs::metadata(std::env::current_exe().ok()?).ok()?;
        Some((about.len(), about.modified().ok()))
    })
}

/// SHA3-256 as a hasher.
#[derive(Clone)]
struct KeyHasher(Sha3_256);

impl KeyHasher {
    /// The digest of what was hashed and of `content`.
    fn key(&self, content: &impl Hash) -> Key {
        let mut hasher = self.clone();
        content.hash(&mut hasher);
        Key(hasher.0.finalize().into())
    }
}

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        crate::bug!("a key has more than 64 bits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cranelift::{Along, Baseline, Cranelift};
    use crate::backend::wide::Isa;
    use crate::ir::builder::Builder;
    use crate::ir::func::Func;
    use crate::ir::op::Op;
    use crate::ir::types::Type;

    fn keeping(native: impl Native + 'static) -> Keeping {
        Keeping::new(Arc::new(native), CodeCache::at("nobody/writes/here"))
    }

    fn key(func: &Func) -> Key {
        keeping(Cranelift).hasher.key(&func.content())
    }

    /// `op(x) + c` of `dims`.
    fn func(op: Op, dtype: DType, dims: &[usize], c: f64) -> Func {
        let mut b = Builder::new("f");
        let x = b.param("x", Type::new(dtype, dims));
        let c = b.splat(c, Type::new(dtype, dims));
        let y = b.unary(op, x);
        // A sum would lose the sign of a zero.
        b.finish(vec![("y".into(), y), ("c".into(), c)])
    }

    #[test]
    fn a_key_is_what_a_function_computes() {
        let of = |op, dtype, dims: &[usize], c| key(&func(op, dtype, dims, c));
        let known = of(Op::Sin, DType::F64, &[3], 0.0);
        assert_eq!(of(Op::Sin, DType::F64, &[3], 0.0), known);
        let others = [
            of(Op::Cos, DType::F64, &[3], 0.0),
            of(Op::Sin, DType::F32, &[3], 0.0),
            of(Op::Sin, DType::F64, &[4], 0.0),
            of(Op::Sin, DType::F64, &[3, 1], 0.0),
            of(Op::Sin, DType::F64, &[3], -0.0),
            of(Op::Sin, DType::F64, &[3], f64::from_bits(1)),
        ];
        for (at, other) in others.iter().enumerate() {
            assert_ne!(*other, known, "{at}");
            assert!(!others[..at].contains(other), "{at}");
        }
        let mut named = func(Op::Sin, DType::F64, &[3], 0.0);
        named.name = String::from("g");
        named.params[0].name = "other".into();
        assert_eq!(key(&named), known);
        named.results.swap(0, 1);
        assert_ne!(key(&named), known);
    }

    #[test]
    fn a_key_is_what_the_code_is_for() {
        let func = func(Op::Sin, DType::F64, &[3], 0.0);
        let content = func.content();
        let mut keys = vec![
            keeping(Cranelift).hasher.key(&("alone", content)),
            keeping(Cranelift).hasher.key(&("lanes", 8_usize, content)),
            keeping(Cranelift).hasher.key(&("lanes", 16_usize, content)),
            keeping(Baseline).hasher.key(&("alone", content)),
        ];
        keys.extend(Isa::ALL.map(|isa| keeping(Along(isa)).hasher.key(&("alone", content))));
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key), "{at}");
        }
        assert_eq!(keeping(Cranelift).hasher.key(&("alone", content)), keys[0]);
    }

    #[test]
    fn lists_end_where_they_end() {
        let key = |lists: &[&[Op]]| keeping(Cranelift).hasher.key(&lists);
        assert_ne!(key(&[&[Op::Sin], &[Op::Cos, Op::Exp]]), key(&[&[Op::Sin, Op::Cos], &[Op::Exp]]));
    }
}
