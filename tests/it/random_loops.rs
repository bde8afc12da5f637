//! Random loop programs: interpreter and generated code agree bit for bit (NaN counting as one
//! value), scalar code and vectors along loops of every length; and two faults of lowering that were
//! found and are kept away.

use crate::backends::Data;
use crate::op_samples::Stream;
use crate::wide;
use nodec::backend::cranelift::Along;
use nodec::backend::interp::Interp;
use nodec::backend::wide::{Isa, code_alone};
use nodec::backend::{self, Backend, Input, Output, Workspace};
use nodec::ir::builder::Builder;
use nodec::ir::func::Func;
use nodec::ir::op::Op;
use nodec::ir::tensor::Tensor;
use nodec::ir::types::{DType, Type};
use nodec::lower::code::Code;
use nodec::lower::loops::*;
use nodec::lower::lower;
use proptest::prelude::{ProptestConfig, any, proptest};
use proptest::test_runner::RngSeed;
use smallvec::SmallVec;
use std::sync::Arc;

/// A buffer of any element type.
#[derive(Clone, Debug)]
enum Column {
    F64(Vec<f64>),
    F32(Vec<f32>),
    I64(Vec<i64>),
    Bool(Vec<u8>),
}

impl Column {
    fn new(dtype: DType, values: &[f64]) -> Column {
        match dtype {
            DType::F64 => Column::F64(values.to_vec()),
            DType::F32 => Column::F32(values.iter().map(|x| *x as f32).collect()),
            DType::I64 => Column::I64(values.iter().map(|x| *x as i64).collect()),
            DType::Bool => Column::Bool(values.iter().map(|x| u8::from(*x != 0.0)).collect()),
        }
    }

    fn input(&self) -> Input<'_> {
        match self {
            Column::F64(data) => Input::F64(data),
            Column::F32(data) => Input::F32(data),
            Column::I64(data) => Input::I64(data),
            Column::Bool(data) => Input::Bool(data),
        }
    }

    fn output(&mut self) -> Output<'_> {
        match self {
            Column::F64(data) => Output::F64(data),
            Column::F32(data) => Output::F32(data),
            Column::I64(data) => Output::I64(data),
            Column::Bool(data) => Output::Bool(data),
        }
    }

    /// Bits, every NaN as the same.
    fn bits(&self) -> Vec<u64> {
        let float = |x: f64, bits: u64| if x.is_nan() { f64::NAN.to_bits() } else { bits };
        match self {
            Column::F64(data) => data.iter().map(|x| float(*x, x.to_bits())).collect(),
            Column::F32(data) => data.iter().map(|x| float(f64::from(*x), u64::from(x.to_bits()))).collect(),
            Column::I64(data) => data.iter().map(|x| *x as u64).collect(),
            Column::Bool(data) => data.iter().map(|x| u64::from(*x)).collect(),
        }
    }

    fn data(&self) -> Data {
        match self {
            Column::F64(data) => Data::F64(data.clone()),
            Column::F32(data) => Data::F32(data.clone()),
            Column::I64(data) => Data::I64(data.clone()),
            Column::Bool(data) => Data::Bool(data.clone()),
        }
    }

    fn numbers(&self) -> Vec<f64> {
        match self {
            Column::F64(data) => data.clone(),
            Column::F32(data) => data.iter().map(|x| f64::from(*x)).collect(),
            Column::I64(data) => data.iter().map(|x| *x as f64).collect(),
            Column::Bool(data) => data.iter().map(|x| f64::from(*x)).collect(),
        }
    }
}

/// The outputs of `func` on a back end. Outputs and workspace start as rubbish.
fn run(backend: &dyn Backend, func: &LoopFunc, inputs: &[Column]) -> Vec<Column> {
    let executable = backend.compile(Arc::new(LoopModule { funcs: vec![func.clone()] })).expect("compiles");
    let mut outputs: Vec<Column> = (func.outputs.iter())
        .map(|id| Column::new(func.buffers[*id].dtype, &vec![77.0; func.buffers[*id].len]))
        .collect();
    let inputs: Vec<Input<'_>> = inputs.iter().map(Column::input).collect();
    let mut workspace = Workspace::default();
    // Twice: what the first call leaves in the workspace is not read.
    for _ in 0..2 {
        let mut places: Vec<Output<'_>> = outputs.iter_mut().map(Column::output).collect();
        executable.call(0, &inputs, &mut places, &mut workspace);
    }
    outputs
}

/// Vectors along loops wherever this can be, of every kind that this machine runs.
fn along() -> impl Iterator<Item = Arc<dyn Backend>> {
    let supported = Isa::ALL.into_iter().filter(|isa| isa.is_supported());
    supported.map(|isa| Arc::new(Along(isa)) as Arc<dyn Backend>)
}

/// Runs on every back end, checks that they agree, and gives the outputs.
fn agreed(func: &LoopFunc, target: Target, inputs: &[Column]) -> Vec<Column> {
    func.verify().unwrap_or_else(|message| panic!("{message}\n{func}"));
    let expected = run(&Interp::new(target), func, inputs);
    for backend in backend::all().into_iter().chain(along()) {
        let got = run(backend.as_ref(), func, inputs);
        for (number, (a, b)) in expected.iter().zip(&got).enumerate() {
            assert_eq!(
                a.bits(),
                b.bits(),
                "output {number}, interp and {}\n{func}\n{inputs:?}",
                backend.name()
            );
        }
    }
    expected
}

/// The results of a tensor function through loops.
fn compiled(func: &Func, target: Target, args: &[Tensor]) -> Vec<Column> {
    let inputs: Vec<Column> = args.iter().map(|arg| Column::new(arg.ty.dtype, &arg.data)).collect();
    agreed(&lower(func, target).expect("everything in it has loops"), target, &inputs)
}

/// The same programs on every run.
fn repeatable() -> ProptestConfig {
    ProptestConfig {
        cases: 200,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(repeatable())]

    /// Random loop programs over all primitives and types.
    #[test]
    fn back_ends_agree_on_loop_programs(seed in any::<u64>()) {
        agree_on_loop_program(seed);
    }
}

fn agree_on_loop_program(seed: u64) {
    let (func, inputs) = loop_program(seed);
    agreed(&func, Target::new(true), &inputs);
    wide::must_be_wide(&func);
    wide::agrees(&func, &inputs.iter().map(Column::data).collect::<Vec<Data>>(), false);
}

/// A number is stored to a place that a loop then writes over, and is wanted again: one of three thousand
/// programs.
#[test]
fn what_is_written_over_is_not_read_back() {
    agree_on_loop_program(13_763_947_445_292_839_135);
}

/// Scalars of one type that a program may use, and where they come from.
#[derive(Clone, Default)]
struct Pool {
    by_type: [Vec<ScalarId>; 4],
    /// Loaded, so never NaN by computation: the sign of such a NaN is nobody's.
    loaded: [Vec<ScalarId>; 4],
}

const TYPES: [DType; 4] = [DType::F64, DType::F32, DType::I64, DType::Bool];

fn slot(dtype: DType) -> usize {
    TYPES.iter().position(|ty| *ty == dtype).expect("one of four")
}

struct LoopPrograms<'c> {
    code: &'c Code,
    stream: Stream,
    inputs: Vec<BufferId>,
    outputs: Vec<BufferId>,
}

const LEN: usize = 8;

/// A function that reads and writes one buffer of each type, and its arguments.
fn loop_program(seed: u64) -> (LoopFunc, Vec<Column>) {
    let code = Code::new(Target::new(true));
    let buffers = |kind: BufferKind, name: &str| -> Vec<BufferId> {
        TYPES.iter().map(|ty| code.buffer(&format!("{name}_{}", ty.name()), *ty, LEN, kind.clone())).collect()
    };
    let inputs = buffers(BufferKind::Input, "x");
    let outputs = buffers(BufferKind::Output, "y");
    let mut program = LoopPrograms { code: &code, stream: Stream(seed), inputs, outputs };
    let mut pool = Pool::default();
    for ty in 0..4 {
        for at in 0..LEN {
            let id = program.load(ty, constant(at));
            pool.by_type[ty].push(id);
            pool.loaded[ty].push(id);
            code.store(program.outputs[ty], constant(at), id);
        }
    }
    program.block(&mut pool, 40, &mut Vec::new());
    let special = [0.0, -0.0, 1.0, -1.5, f64::INFINITY, f64::MIN_POSITIVE, 5e-324, 1e300, -3.25, 1e-30];
    let mut stream = program.stream;
    let mut column = |ty: DType| {
        let mut value = || match stream.uniform(0.0, 3.0) as usize {
            0 => special[stream.uniform(0.0, special.len() as f64) as usize],
            _ => stream.uniform(-10.0, 10.0),
        };
        let values: Vec<f64> = (0..LEN).map(|_| value()).collect();
        Column::new(ty, &values)
    };
    let columns = TYPES.iter().map(|ty| column(*ty)).collect();
    (code.finish("random"), columns)
}

fn constant(at: usize) -> Index {
    Index { offset: at as i64, ..Index::default() }
}

impl LoopPrograms<'_> {
    fn below(&mut self, n: usize) -> usize {
        (self.stream.uniform(0.0, n as f64) as usize).min(n - 1)
    }

    fn load(&self, ty: usize, index: Index) -> ScalarId {
        self.code.load(self.inputs[ty], index)
    }

    /// An index inside of a buffer; loops have at most 4 turns.
    fn index(&mut self, vars: &[LoopVar]) -> Index {
        let mut index = constant(self.below(LEN / 2));
        if let Some(var) = vars.last() {
            index.terms.push((*var, 1));
        }
        if self.below(4) == 0 {
            // 7 - i, by a computed part.
            index.offset = 0;
            index.terms.clear();
            let at = vars.last().map_or_else(|| self.code.integer(0), |var| self.code.counter(*var));
            index.dynamic = Some(self.code.op(Prim::Sub, &[self.code.integer(LEN as i64 - 1), at]));
        }
        index
    }

    fn block(&mut self, pool: &mut Pool, n: usize, vars: &mut Vec<LoopVar>) {
        for _ in 0..n {
            match self.below(10) {
                0 => {
                    let (ty, index) = (self.below(4), self.index(vars));
                    let id = self.load(ty, index);
                    pool.by_type[ty].push(id);
                    pool.loaded[ty].push(id);
                }
                1 => {
                    let (ty, index) = (self.below(4), self.index(vars));
                    let value = self.pick(&pool.by_type[ty].clone());
                    self.code.store(self.outputs[ty], index, value);
                }
                2 if vars.len() < 2 => self.looped(pool, vars),
                _ => self.prim(pool, vars),
            }
        }
    }

    fn looped(&mut self, pool: &mut Pool, vars: &mut Vec<LoopVar>) {
        let count = self.below(5);
        let types: Vec<usize> = (0..self.below(3)).map(|_| self.below(4)).collect();
        let inits: Vec<ScalarId> = types.iter().map(|ty| self.pick(&pool.by_type[*ty].clone())).collect();
        let inside: Vec<ScalarId> = types.iter().map(|ty| self.code.carried(TYPES[*ty])).collect();
        let mut own = pool.clone();
        for (ty, id) in types.iter().zip(&inside) {
            own.by_type[*ty].push(*id);
        }
        vars.push(self.code.open_loop());
        self.block(&mut own, 8, vars);
        vars.pop();
        let nexts: Vec<ScalarId> = types.iter().map(|ty| self.pick(&own.by_type[*ty].clone())).collect();
        let carried: Vec<_> = inits.iter().zip(&inside).zip(&nexts).map(|((a, b), c)| (*a, *b, *c)).collect();
        for (ty, after) in types.iter().zip(self.code.close_loop(count, &carried)) {
            pool.by_type[*ty].push(after);
        }
    }

    fn pick(&mut self, ids: &[ScalarId]) -> ScalarId {
        // Late ones more often, so that programs are deep.
        let at = self.below(ids.len()).max(self.below(ids.len()));
        ids[at]
    }

    fn prim(&mut self, pool: &mut Pool, vars: &[LoopVar]) {
        const PRIMS: [Prim; 26] = [
            Prim::Const(0),
            Prim::Add,
            Prim::Sub,
            Prim::Mul,
            Prim::Div,
            Prim::Fma,
            Prim::Neg,
            Prim::Abs,
            Prim::Sqrt,
            Prim::Min,
            Prim::Max,
            Prim::Floor,
            Prim::Round,
            Prim::CopySign,
            Prim::Lt,
            Prim::Le,
            Prim::Eq,
            Prim::And,
            Prim::Or,
            Prim::Xor,
            Prim::Not,
            Prim::Select,
            Prim::ShiftLeft,
            Prim::ShiftRight,
            Prim::MulHi,
            Prim::Bitcast,
        ];
        let prim = match self.below(PRIMS.len() + 3) {
            0 => Prim::Const(if self.below(2) == 0 { 0 } else { 1 }),
            n if n < PRIMS.len() => PRIMS[n],
            n if n == PRIMS.len() && !vars.is_empty() => Prim::Counter(vars[0]),
            _ => Prim::Convert,
        };
        // Types by trial: the primitive says what it accepts.
        for _ in 0..20 {
            let to = TYPES[self.below(4)];
            let n_args = match prim {
                Prim::Const(_) | Prim::Counter(_) => 0,
                Prim::Neg | Prim::Abs | Prim::Sqrt | Prim::Floor | Prim::Round | Prim::Not => 1,
                Prim::Bitcast | Prim::Convert => 1,
                Prim::Fma | Prim::Select => 3,
                _ => 2,
            };
            let mut from = if self.below(2) == 0 { to } else { TYPES[self.below(4)] };
            if matches!(prim, Prim::Select) {
                from = DType::Bool;
            }
            let types: Vec<DType> =
                (0..n_args).map(|at| if prim == Prim::Select && at > 0 { to } else { from }).collect();
            if !prim.accepts(&types, to) {
                continue;
            }
            let mut args: SmallVec<[ScalarId; 3]> = SmallVec::new();
            for (at, ty) in types.iter().enumerate() {
                let of_sign = prim == Prim::CopySign && at == 1 || prim == Prim::Bitcast && ty.is_float();
                let pool = if of_sign { &pool.loaded } else { &pool.by_type };
                args.push(self.pick(&pool[slot(*ty)].clone()));
            }
            if matches!(prim, Prim::ShiftLeft | Prim::ShiftRight) {
                args[1] = self.code.op(Prim::And, &[args[1], self.code.integer(63)]);
            }
            let id = match prim {
                Prim::Const(bits) => self.code.constant(to, bits),
                Prim::Counter(var) => self.code.counter(var),
                _ => self.code.typed(prim, to, &args),
            };
            pool.by_type[slot(to)].push(id);
            return;
        }
    }
}

/// Loops over rows of `n` elements: neighbours, every second one, backwards, at computed places, the
/// same for all; with sums inside, and over what a loop before has stored.
#[allow(clippy::needless_range_loop, reason = "types go by number")]
fn row_program(seed: u64, n: usize) -> (LoopFunc, Vec<Column>) {
    let code = Code::new(Target::new(true));
    let len = 2 * n + 8;
    let buffers = |name: &str, len: usize, kind: &dyn Fn(usize) -> BufferKind| -> Vec<BufferId> {
        let one = |(number, ty): (usize, &DType)| {
            code.buffer(&format!("{name}_{}", ty.name()), *ty, len, kind(number))
        };
        TYPES[..3].iter().enumerate().map(one).collect()
    };
    let size = (8 * n).next_multiple_of(64).max(64);
    let inputs = buffers("x", len, &|_| BufferKind::Input);
    let outputs = buffers("y", 2 * n + 1, &|_| BufferKind::Output);
    let locals = buffers("v", n, &|number| BufferKind::Local(number * size));
    let table: Vec<u64> = (0..n).map(|at| (at as f64 / 3.0).to_bits()).collect();
    let table = code.table("table", DType::F64, &table);
    let mut program = LoopPrograms { code: &code, stream: Stream(seed), inputs, outputs };
    let mut common = Pool::default();
    for ty in 0..3 {
        let id = program.load(ty, constant(ty));
        common.by_type[ty].push(id);
        common.loaded[ty].push(id);
    }
    common.by_type[3].push(code.test(Prim::Lt, common.by_type[0][0], common.by_type[0][0]));
    for _ in 0..4 {
        program.prim(&mut common, &[]);
    }
    let all = code.open_loop();
    for ty in 0..3 {
        let index = Index { terms: SmallVec::from_slice(&[(all, 1)]), ..constant(0) };
        code.store(program.outputs[ty], index, code.number(TYPES[ty], 5.0));
    }
    code.close_loop(2 * n + 1, &[]);
    for first in [true, false] {
        let (mut pool, var) = (common.clone(), code.open_loop());
        let affine = |offset: usize, factor: i64| {
            let terms = if factor == 0 { SmallVec::new() } else { SmallVec::from_slice(&[(var, factor)]) };
            Index { offset: offset as i64, terms, dynamic: None }
        };
        let last = code.integer(len as i64 - 1);
        for ty in 0..3 {
            for _ in 0..2 {
                let mut index = match program.below(6) {
                    0 => affine(n.saturating_sub(1), -1),
                    1 => affine(program.below(8), 2),
                    2 => affine(program.below(8), 0),
                    _ => affine(program.below(8), 1),
                };
                if program.below(5) == 0 {
                    let at = program.pick(&pool.by_type[2].clone());
                    let below = code.op(Prim::Min, &[at, last]);
                    index =
                        Index { dynamic: Some(code.op(Prim::Max, &[below, code.integer(0)])), ..constant(0) };
                }
                let id = program.load(ty, index);
                pool.by_type[ty].push(id);
                pool.loaded[ty].push(id);
            }
            if !first {
                let stored = code.load(locals[ty], affine(0, 1));
                pool.by_type[ty].push(stored);
            }
        }
        pool.by_type[0].push(code.load(table, affine(0, 1)));
        if program.below(2) == 0 {
            pool.by_type[2].push(code.counter(var));
        }
        (0..4).for_each(|_| program.prim(&mut pool, &[var]));
        if program.below(2) == 0 {
            let (turns, ty) = (program.below(4), program.below(2));
            let (init, inside) = (program.pick(&pool.by_type[ty].clone()), code.carried(TYPES[ty]));
            let (mut own, within) = (pool.clone(), code.open_loop());
            let both = Index { terms: SmallVec::from_slice(&[(var, 1), (within, 1)]), ..constant(1) };
            let alone = Index { terms: SmallVec::from_slice(&[(within, 1)]), ..constant(0) };
            own.by_type[ty].extend([inside, program.load(ty, both), program.load(ty, alone)]);
            (0..3).for_each(|_| program.prim(&mut own, &[var, within]));
            let (a, b) = (program.pick(&own.by_type[ty].clone()), program.pick(&own.by_type[ty].clone()));
            let next = code.op(Prim::Fma, &[a, b, inside]);
            pool.by_type[ty].extend(code.close_loop(turns, &[(init, inside, next)]));
        }
        (0..6).for_each(|_| program.prim(&mut pool, &[var]));
        for ty in 0..3 {
            let value = program.pick(&pool.by_type[ty].clone());
            let factor = 1 + program.below(2);
            match first {
                true => code.store(locals[ty], affine(0, 1), value),
                false => code.store(program.outputs[ty], affine(program.below(2), factor as i64), value),
            }
        }
        code.close_loop(n, &[]);
    }
    let m = 2 + program.below(6);
    let pairs = code.buffer("pairs", DType::F64, n * m, BufferKind::Output);
    let sums = code.buffer("sums", DType::F64, n, BufferKind::Output);
    let at = |terms: &[(LoopVar, i64)]| Index { terms: SmallVec::from_slice(terms), ..constant(0) };
    let (i, j) = (code.open_loop(), code.open_loop());
    let [a, b, c] = [at(&[(i, 1)]), at(&[(j, 1)]), at(&[(i, 1), (j, 1)])].map(|index| program.load(0, index));
    code.store(pairs, at(&[(i, m as i64), (j, 1)]), code.op(Prim::Fma, &[a, code.op(Prim::Sub, &[a, b]), c]));
    code.close_loop(m, &[]);
    code.close_loop(n, &[]);
    let (i, begin) = (code.open_loop(), code.number(DType::F64, -0.0));
    let (j, inside) = (code.open_loop(), code.carried(DType::F64));
    let next = code.op(Prim::Add, &[inside, code.load(pairs, at(&[(i, m as i64), (j, 1)]))]);
    let sum = code.close_loop(m, &[(begin, inside, next)]);
    code.store(sums, at(&[(i, 1)]), sum[0]);
    code.close_loop(n, &[]);
    let mut stream = program.stream;
    let mut column = |ty: DType| {
        let values: Vec<f64> = (0..len).map(|_| stream.uniform(-10.0, 10.0)).collect();
        Column::new(ty, &values)
    };
    let columns = TYPES[..3].iter().map(|ty| column(*ty)).collect();
    (LoopFunc { workspace: 3 * size, ..code.finish("rows") }, columns)
}

#[test]
fn vectors_along_loops_of_every_length() {
    let mut along = 0;
    for seed in 0..160 {
        let (func, inputs) = row_program(seed, seed as usize % 44 / 2);
        agreed(&func, Target::new(true), &inputs);
        along += Isa::ALL.into_iter().filter(|isa| code_alone(&func, *isa).is_ok()).count();
    }
    // What is compared are vectors, not scalar code twice.
    assert!(along > 160, "{along} of 320 have vectors");
}

/// The tensor function of one equation.
fn of(name: &str, make: impl FnOnce(&mut Builder) -> nodec::ir::func::ValueId) -> Func {
    let mut b = Builder::new(name);
    let y = make(&mut b);
    b.finish(vec![("y".into(), y)])
}

#[test]
fn a_contraction_keeps_its_constant_terms() {
    // 2·1 + 3·p; the first product is known before the program runs.
    let func = of("dot", |b| {
        let p = b.param("p", Type::new(DType::F64, &[1]));
        let weights = b.constant(&[2.0, 3.0], Type::new(DType::F64, &[2]));
        let one = b.splat(1.0, Type::new(DType::F64, &[1]));
        let x = b.concat(&[one, p], 0);
        b.dot(weights, x)
    });
    for fma in [false, true] {
        let y = compiled(&func, Target::new(fma), &[Tensor::vector(&[10.0])]);
        assert_eq!(y[0].numbers(), [32.0]);
    }
}

#[test]
fn entries_out_of_range_stay_inside_the_buffer() {
    // No promise what is read, but generated code must not leave the buffer.
    let func = of("gather", |b| {
        let x = b.param("x", Type::new(DType::F64, &[3]));
        let i = b.param("i", Type::new(DType::I64, &[4]));
        b.must(Op::Gather, &[x, i], nodec::ir::func::Attr::None)
    });
    let index = Tensor::new(Type::new(DType::I64, &[4]), vec![-5.0, 1.0, 3.0, 1e15]);
    let y = compiled(&func, Target::new(false), &[Tensor::vector(&[7.0, 8.0, 9.0]), index]);
    assert_eq!(y[0].numbers(), [7.0, 8.0, 9.0, 9.0]);
}
