//! Loop IR to Cranelift IR, statement by statement.
//!
//! A scalar becomes a value, a loop a block whose parameters are the loop variable and the carried
//! scalars, a table a symbol whose bytes stand beside the code. An `f64` is `f64`, a `bool` is an `i8` of
//! 0 or 1.

use crate::backend::object::TABLES;
use crate::base::hash::FastMap;
use crate::base::index::{Idx, IndexVec};
use crate::bug;
use crate::lower::loops::{
    BufferId, BufferKind, DType, Index, Loop, LoopFunc, LoopVar, Prim, ScalarId, Stmt,
};
use cranelift::codegen::ir::{self, BlockArg, condcodes::FloatCC, condcodes::IntCC};
use cranelift::codegen::isa::TargetIsa;
use cranelift::prelude::{
    AbiParam, FunctionBuilder, FunctionBuilderContext, InstBuilder, MemFlagsData, Type, Value, types,
};
use smallvec::SmallVec;

/// Fills in `function` with the code of `func`, which is verified, and its signature
/// `(inputs, outputs, workspace)`; the bytes of its tables, which want 64-byte alignment.
pub(super) fn emit(
    isa: &dyn TargetIsa,
    function: &mut ir::Function,
    context: &mut FunctionBuilderContext,
    func: &LoopFunc,
) -> Vec<Vec<u8>> {
    let pointer = isa.pointer_type();
    function.signature = ir::Signature::new(isa.default_call_conv());
    function.signature.params.extend([AbiParam::new(pointer); 3]);
    let (symbols, tables) = tables(function, func);
    let mut builder = FunctionBuilder::new(function, context);
    let entry = builder.create_block();
    builder.append_block_params_for_function_params(entry);
    builder.switch_to_block(entry);
    let &[inputs, outputs, workspace] = builder.block_params(entry) else {
        bug!("a function of three parameters has others")
    };
    let mut emitter = Emitter {
        func,
        builder,
        pointer,
        inputs,
        outputs,
        workspace,
        tables: symbols,
        addresses: func.buffers.ids().map(|_| None).collect(),
        advanced: FastMap::default(),
        scalars: func.scalars.ids().map(|_| None).collect(),
        vars: vec![None; func.n_vars],
        depth: 0,
    };
    emitter.block(&func.body);
    let mut builder = emitter.builder;
    builder.ins().return_(&[]);
    builder.seal_all_blocks();
    builder.finalize(isa.frontend_config());
    tables
}

/// The constant buffers as symbols, and their bytes.
fn tables(
    function: &mut ir::Function,
    func: &LoopFunc,
) -> (IndexVec<BufferId, Option<ir::GlobalValue>>, Vec<Vec<u8>>) {
    let (mut symbols, mut tables) = (IndexVec::new(), Vec::new());
    for buffer in func.buffers.iter() {
        symbols.push(match &buffer.kind {
            BufferKind::Input | BufferKind::Output | BufferKind::Local(_) => None,
            BufferKind::Constant(bits) => {
                let mut bytes = Vec::with_capacity(bits.len() * buffer.dtype.bytes());
                for bits in bits.iter() {
                    let bits = Prim::Convert.eval(DType::F64, buffer.dtype, &[*bits]);
                    bytes.extend_from_slice(&bits.to_le_bytes()[..buffer.dtype.bytes()]);
                }
                let name = ir::UserExternalName { namespace: TABLES, index: tables.len() as u32 };
                let name = function.declare_imported_user_function(name);
                tables.push(bytes);
                Some(function.create_global_value(ir::GlobalValueData::Symbol {
                    name: ir::ExternalName::user(name),
                    offset: ir::immediates::Imm64::new(0),
                    colocated: true,
                    tls: false,
                }))
            }
        });
    }
    (symbols, tables)
}

/// Loop variables with their coefficients, outer loops first.
type Terms = SmallVec<[(LoopVar, i64); 4]>;

struct Emitter<'f> {
    func: &'f LoopFunc,
    builder: FunctionBuilder<'f>,
    pointer: Type,
    inputs: Value,
    outputs: Value,
    workspace: Value,
    tables: IndexVec<BufferId, Option<ir::GlobalValue>>,
    /// Address of each buffer once something needs it; found outside of all loops.
    addresses: IndexVec<BufferId, Option<Value>>,
    /// Addresses advanced by the variables of loops around, found where the last of them begins.
    advanced: FastMap<(BufferId, Terms), Value>,
    scalars: IndexVec<ScalarId, Option<Value>>,
    vars: Vec<Option<Value>>,
    depth: usize,
}

impl Emitter<'_> {
    fn block(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            self.stmt(stmt);
        }
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Let { id, prim, args } => {
                let value = self.prim(*prim, self.func.scalars[*id], args);
                self.scalars[*id] = Some(value);
            }
            Stmt::Load { id, buffer, index } => {
                let (address, offset) = self.element(*buffer, index);
                let ty = memory_type(self.func.buffers[*buffer].dtype);
                let value = self.builder.ins().load(ty, MemFlagsData::trusted(), address, offset);
                self.scalars[*id] = Some(value);
            }
            Stmt::Store { buffer, index, value } => {
                let value = self.scalar(*value);
                let (address, offset) = self.element(*buffer, index);
                self.builder.ins().store(MemFlagsData::trusted(), value, address, offset);
            }
            Stmt::Loop(looped) => self.looped(looped),
        }
    }

    /// `for var in 0..count`: the test stands at the end, since the number of turns is known.
    fn looped(&mut self, looped: &Loop) {
        let Loop { var, count, carried, body } = looped;
        if *count == 0 {
            for c in carried {
                self.scalars[c.after] = self.scalars[c.init];
            }
            return;
        }
        if self.depth == 0 {
            self.find_addresses(body);
        }
        let (inside, after) = (self.builder.create_block(), self.builder.create_block());
        let zero = self.builder.ins().iconst(types::I64, 0);
        let mut first: Vec<BlockArg> = vec![zero.into()];
        first.extend(carried.iter().map(|c| BlockArg::from(self.scalar(c.init))));
        self.builder.ins().jump(inside, &first);

        self.builder.switch_to_block(inside);
        let turn = self.builder.append_block_param(inside, types::I64);
        self.vars[var.index()] = Some(turn);
        for c in carried {
            let ty = memory_type(self.func.scalars[c.inside]);
            self.scalars[c.inside] = Some(self.builder.append_block_param(inside, ty));
            self.scalars[c.after] = Some(self.builder.append_block_param(after, ty));
        }
        self.depth += 1;
        self.advance_addresses(body, *var);
        self.block(body);
        self.depth -= 1;
        let values: Vec<BlockArg> = carried.iter().map(|c| BlockArg::from(self.scalar(c.next))).collect();
        let one = self.builder.ins().iconst(types::I64, 1);
        let turn = self.builder.ins().iadd(turn, one);
        let count = self.builder.ins().iconst(types::I64, *count as i64);
        let again = self.builder.ins().icmp(IntCC::SignedLessThan, turn, count);
        let mut next: Vec<BlockArg> = vec![turn.into()];
        next.extend_from_slice(&values);
        self.builder.ins().brif(again, inside, &next, after, &values);
        self.builder.switch_to_block(after);
    }

    /// Makes the addresses that a loop needs before it, where they are visible everywhere after.
    fn find_addresses(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            match stmt {
                Stmt::Let { .. } => {}
                Stmt::Load { buffer, .. } | Stmt::Store { buffer, .. } => {
                    self.address(*buffer);
                }
                Stmt::Loop(Loop { body, .. }) => self.find_addresses(body),
            }
        }
    }

    /// Advances the addresses that a loop needs by its variable, once for all elements at constant
    /// distances and for the loops inside.
    fn advance_addresses(&mut self, stmts: &[Stmt], var: LoopVar) {
        for stmt in stmts {
            match stmt {
                Stmt::Let { .. } => {}
                Stmt::Load { buffer, index, .. } | Stmt::Store { buffer, index, .. } => {
                    let is_open = |(own, _): &&(LoopVar, i64)| self.vars[own.index()].is_some();
                    let n_open = index.terms.iter().take_while(is_open).count();
                    if index.terms[..n_open].iter().any(|(own, _)| *own == var) {
                        self.advanced(*buffer, &index.terms[..n_open]);
                    }
                }
                Stmt::Loop(Loop { body, .. }) => self.advance_addresses(body, var),
            }
        }
    }

    /// The address of a buffer advanced by variables, outer ones first.
    fn advanced(&mut self, buffer: BufferId, terms: &[(LoopVar, i64)]) -> Value {
        let Some(((var, coefficient), before)) = terms.split_last() else { return self.address(buffer) };
        let key = (buffer, Terms::from_slice(terms));
        if let Some(address) = self.advanced.get(&key) {
            return *address;
        }
        let before = self.advanced(buffer, before);
        let bytes = self.func.buffers[buffer].dtype.bytes() as i64;
        let var = self.var(*var);
        let address = self.advance(before, var, coefficient * bytes);
        self.advanced.insert(key, address);
        address
    }

    fn address(&mut self, buffer: BufferId) -> Value {
        if let Some(address) = self.addresses[buffer] {
            return address;
        }
        let pointer = self.pointer;
        let in_array = |ids: &[BufferId]| {
            let position = ids.iter().position(|id| *id == buffer).expect("verified: ports are listed");
            (position * pointer.bytes() as usize) as i32
        };
        let ins = self.builder.ins();
        let flags = MemFlagsData::trusted().with_readonly();
        let address = match &self.func.buffers[buffer].kind {
            BufferKind::Input => ins.load(pointer, flags, self.inputs, in_array(&self.func.inputs)),
            BufferKind::Output => ins.load(pointer, flags, self.outputs, in_array(&self.func.outputs)),
            BufferKind::Local(0) => self.workspace,
            BufferKind::Local(offset) => {
                let offset = self.builder.ins().iconst(pointer, *offset as i64);
                self.builder.ins().iadd(self.workspace, offset)
            }
            BufferKind::Constant(_) => {
                let table = self.tables[buffer].expect("every table is defined");
                ins.symbol_value(pointer, table)
            }
        };
        self.addresses[buffer] = Some(address);
        address
    }

    /// Address and byte offset of an element.
    fn element(&mut self, buffer: BufferId, index: &Index) -> (Value, i32) {
        let bytes = self.func.buffers[buffer].dtype.bytes() as i64;
        let mut address = self.advanced(buffer, &index.terms);
        if let Some(id) = index.dynamic {
            let id = self.scalar(id);
            address = self.advance(address, id, bytes);
        }
        match i32::try_from(index.offset * bytes) {
            Ok(offset) => (address, offset),
            Err(_) => {
                let offset = self.builder.ins().iconst(self.pointer, index.offset * bytes);
                (self.builder.ins().iadd(address, offset), 0)
            }
        }
    }

    fn advance(&mut self, address: Value, by: Value, bytes: i64) -> Value {
        let scaled = if bytes.count_ones() == 1 {
            let shift = self.builder.ins().iconst(types::I64, i64::from(bytes.trailing_zeros()));
            self.builder.ins().ishl(by, shift)
        } else {
            let bytes = self.builder.ins().iconst(types::I64, bytes);
            self.builder.ins().imul(by, bytes)
        };
        self.builder.ins().iadd(address, scaled)
    }

    fn scalar(&self, id: ScalarId) -> Value {
        self.scalars[id].expect("verified: defined before use")
    }

    fn var(&self, var: LoopVar) -> Value {
        self.vars[var.index()].expect("verified: used inside its loop")
    }

    fn prim(&mut self, prim: Prim, to: DType, args: &[ScalarId]) -> Value {
        let from = args.first().map_or(to, |arg| self.func.scalars[*arg]);
        let v: SmallVec<[Value; 3]> = args.iter().map(|arg| self.scalar(*arg)).collect();
        let ins = self.builder.ins();
        match (prim, from.is_float()) {
            (Prim::Const(bits), _) => self.constant(to, bits),
            (Prim::Counter(var), _) => self.var(var),
            (Prim::Add, true) => ins.fadd(v[0], v[1]),
            (Prim::Add, false) => ins.iadd(v[0], v[1]),
            (Prim::Sub, true) => ins.fsub(v[0], v[1]),
            (Prim::Sub, false) => ins.isub(v[0], v[1]),
            (Prim::Mul, true) => ins.fmul(v[0], v[1]),
            (Prim::Mul, false) => ins.imul(v[0], v[1]),
            (Prim::Div, _) => ins.fdiv(v[0], v[1]),
            (Prim::Fma, _) => ins.fma(v[0], v[1], v[2]),
            (Prim::Neg, true) => ins.fneg(v[0]),
            (Prim::Neg, false) => ins.ineg(v[0]),
            (Prim::Abs, _) => ins.fabs(v[0]),
            (Prim::Sqrt, _) => ins.sqrt(v[0]),
            (Prim::Floor, _) => ins.floor(v[0]),
            (Prim::Round, _) => ins.nearest(v[0]),
            (Prim::CopySign, _) => ins.fcopysign(v[0], v[1]),
            (Prim::Min, float) => {
                let less = self.compare(float, FloatCC::LessThan, IntCC::SignedLessThan, v[0], v[1]);
                self.builder.ins().select(less, v[0], v[1])
            }
            (Prim::Max, float) => {
                let more = self.compare(float, FloatCC::GreaterThan, IntCC::SignedGreaterThan, v[0], v[1]);
                self.builder.ins().select(more, v[0], v[1])
            }
            (Prim::Lt, float) => self.compare(float, FloatCC::LessThan, IntCC::SignedLessThan, v[0], v[1]),
            (Prim::Le, float) => {
                self.compare(float, FloatCC::LessThanOrEqual, IntCC::SignedLessThanOrEqual, v[0], v[1])
            }
            (Prim::Eq, float) => self.compare(float, FloatCC::Equal, IntCC::Equal, v[0], v[1]),
            (Prim::And, _) => ins.band(v[0], v[1]),
            (Prim::Or, _) => ins.bor(v[0], v[1]),
            (Prim::Xor, _) => ins.bxor(v[0], v[1]),
            (Prim::Not, _) if to == DType::Bool => {
                let one = ins.iconst(types::I8, 1);
                self.builder.ins().bxor(v[0], one)
            }
            (Prim::Not, _) => ins.bnot(v[0]),
            (Prim::Select, _) => ins.select(v[0], v[1], v[2]),
            (Prim::ShiftLeft, _) => ins.ishl(v[0], v[1]),
            (Prim::ShiftRight, _) => ins.ushr(v[0], v[1]),
            (Prim::MulHi, _) => ins.umulhi(v[0], v[1]),
            (Prim::Bitcast, _) => self.bitcast(from, to, v[0]),
            (Prim::Convert, _) => self.convert(from, to, v[0]),
        }
    }

    fn compare(&mut self, float: bool, fcc: FloatCC, icc: IntCC, a: Value, b: Value) -> Value {
        if float { self.builder.ins().fcmp(fcc, a, b) } else { self.builder.ins().icmp(icc, a, b) }
    }

    fn constant(&mut self, dtype: DType, bits: u64) -> Value {
        let ins = self.builder.ins();
        match dtype {
            DType::F64 => ins.f64const(ir::immediates::Ieee64::with_bits(bits)),
            DType::F32 => ins.f32const(ir::immediates::Ieee32::with_bits(bits as u32)),
            DType::I64 => ins.iconst(types::I64, bits as i64),
            DType::Bool => ins.iconst(types::I8, bits as i64),
        }
    }

    fn bitcast(&mut self, from: DType, to: DType, x: Value) -> Value {
        let flags = MemFlagsData::new();
        match (from, to) {
            (DType::F32, DType::I64) => {
                let bits = self.builder.ins().bitcast(types::I32, flags, x);
                self.builder.ins().uextend(types::I64, bits)
            }
            (DType::I64, DType::F32) => {
                let bits = self.builder.ins().ireduce(types::I32, x);
                self.builder.ins().bitcast(types::F32, flags, bits)
            }
            _ => self.builder.ins().bitcast(memory_type(to), flags, x),
        }
    }

    fn convert(&mut self, from: DType, to: DType, x: Value) -> Value {
        let ty = memory_type(to);
        let ins = self.builder.ins();
        match (from, to) {
            (DType::F64, DType::F64)
            | (DType::F32, DType::F32)
            | (DType::I64, DType::I64)
            | (DType::Bool, DType::Bool) => x,
            (DType::F64, DType::F32) => ins.fdemote(ty, x),
            (DType::F32, DType::F64) => ins.fpromote(ty, x),
            (DType::F64 | DType::F32, DType::I64) => ins.fcvt_to_sint_sat(ty, x),
            (DType::F64 | DType::F32, DType::Bool) => {
                let zero = self.constant(from, 0);
                self.builder.ins().fcmp(FloatCC::NotEqual, x, zero)
            }
            (DType::I64, DType::F64 | DType::F32) => ins.fcvt_from_sint(ty, x),
            (DType::I64, DType::Bool) => {
                let zero = ins.iconst(types::I64, 0);
                self.builder.ins().icmp(IntCC::NotEqual, x, zero)
            }
            (DType::Bool, DType::I64) => ins.uextend(ty, x),
            (DType::Bool, DType::F64 | DType::F32) => {
                let wide = ins.uextend(types::I64, x);
                self.builder.ins().fcvt_from_sint(ty, wide)
            }
        }
    }
}

/// The Cranelift type of an element type, in memory and in registers.
fn memory_type(dtype: DType) -> Type {
    match dtype {
        DType::F64 => types::F64,
        DType::F32 => types::F32,
        DType::I64 => types::I64,
        DType::Bool => types::I8,
    }
}
