//! The back ends against each other and against the reference evaluator.
//!
//! Interpreter and generated code agree bit for bit (NaN counting as one value), on random loop
//! programs and on random tensor programs. The evaluator agrees exactly wherever every op is
//! exactly rounded and nothing is fused, and within the bounds of `lower::math` for each op alone.

use crate::op_samples::{Stream, samples};
use crate::random_tensors::{self, Ops};
use nodec::backend::interp::Interp;
use nodec::backend::{self, Backend, Input, Output, Workspace};
use nodec::ir::builder::Builder;
use nodec::ir::eval::eval;
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
    executable.call(
        0,
        &inputs,
        &mut outputs.iter_mut().map(Column::output).collect::<Vec<_>>(),
        &mut workspace,
    );
    outputs
}

/// Runs on every back end, checks that they agree, and gives the outputs.
fn agreed(func: &LoopFunc, target: Target, inputs: &[Column]) -> Vec<Column> {
    func.verify().unwrap_or_else(|message| panic!("{message}\n{func}"));
    let expected = run(&Interp::new(target), func, inputs);
    for backend in backend::all() {
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

fn assert_equal_to_evaluator(func: &Func, args: &[Tensor]) {
    let expected = eval(func, args).expect("it evaluates");
    let got = compiled(func, Target { fma: false }, args);
    for (number, (expected, got)) in expected.iter().zip(&got).enumerate() {
        for (at, (a, b)) in expected.data.iter().zip(got.numbers()).enumerate() {
            assert!(
                *a == b || (a.is_nan() && b.is_nan()),
                "result {number}[{at}]: {a:?} and {b:?} of\n{func}"
            );
        }
    }
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

    /// Exactly rounded ops, in the evaluator's order, unfused: equality, signs of zeros aside.
    #[test]
    fn exact_tensor_programs_equal_the_evaluator(seed in any::<u64>()) {
        let (func, args) = random_tensors::program(seed, DType::F64, Ops::Exact);
        assert_equal_to_evaluator(&func, &args);
    }

    /// In `f32` the evaluator rounds a sum once, the loops each term: elementwise and layout only.
    #[test]
    fn exact_f32_programs_equal_the_evaluator(seed in any::<u64>()) {
        let (func, args) = random_tensors::program(seed, DType::F32, Ops::ExactOnce);
        assert_equal_to_evaluator(&func, &args);
    }

    /// Every op, fused and not, in both precisions: interpreter and machine code agree.
    #[test]
    fn back_ends_agree_on_tensor_programs(seed in any::<u64>()) {
        for dtype in [DType::F64, DType::F32] {
            let (func, args) = random_tensors::program(seed, dtype, Ops::All);
            for fma in [false, true] {
                compiled(&func, Target { fma }, &args);
            }
        }
    }

    /// Fusing changes roundings, not meaning: 2^-40 of the largest intermediate number.
    #[test]
    fn fused_programs_stay_close_to_the_evaluator(seed in any::<u64>()) {
        let (func, args) = random_tensors::program(seed, DType::F64, Ops::Smooth);
        let mut everything = func.clone();
        everything.results = (func.nodes.entries())
            .map(|(value, _)| nodec::ir::func::Port { name: format!("{value}").into(), value })
            .collect();
        let all = eval(&everything, &args).expect("it evaluates");
        let scale = all.iter().flat_map(|x| &x.data).fold(1.0_f64, |scale, x| scale.max(x.abs()));
        let expected = eval(&func, &args).expect("it evaluates");
        let got = compiled(&func, Target { fma: true }, &args);
        for (expected, got) in expected.iter().zip(&got) {
            for (a, b) in expected.data.iter().zip(got.numbers()) {
                assert!((a - b).abs() <= scale * 2.0_f64.powi(-40), "{a:?} and {b:?} of\n{func}");
            }
        }
    }

    /// Random loop programs over all primitives and types.
    #[test]
    fn back_ends_agree_on_loop_programs(seed in any::<u64>()) {
        let (func, inputs) = loop_program(seed);
        agreed(&func, Target { fma: true }, &inputs);
    }
}

/// Bound of each op alone against the host function of the evaluator, which itself is within an ulp
/// or two of the exact value: 4 ulps of the result, and the ulps of a product chain for powers.
#[test]
fn every_op_agrees_with_the_evaluator() {
    for op in Op::ALL {
        for sample in samples(*op) {
            let expected = &eval(&sample.func, &sample.args).expect("it evaluates")[0];
            for fma in [false, true] {
                let got = compiled(&sample.func, Target { fma }, &sample.args).remove(0);
                for (a, b) in expected.data.iter().zip(got.numbers()) {
                    let bound = 4.0 * f64::EPSILON * a.abs();
                    assert!((a - b).abs() <= bound || a == &b, "{op:?}: {a:?} and {b:?}");
                }
            }
        }
    }
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
    let code = Code::new(Target { fma: true });
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
        let y = compiled(&func, Target { fma }, &[Tensor::vector(&[10.0])]);
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
    let y = compiled(&func, Target { fma: false }, &[Tensor::vector(&[7.0, 8.0, 9.0]), index]);
    assert_eq!(y[0].numbers(), [7.0, 8.0, 9.0, 9.0]);
}

/// Compile time of straight-line and looped functions; for people: `--ignored --nocapture`.
#[test]
#[ignore = "prints timings"]
fn compile_times() {
    use std::time::Instant;
    let target = Target { fma: true };
    let horner = |n: usize| {
        let mut b = Builder::new("horner");
        let x = b.param("x", Type::new(DType::F64, &[4]));
        let mut y = x;
        for i in 0..n / 8 {
            let c = b.constant(&[0.5, 1.0 + i as f64, 2.0, 3.0], Type::new(DType::F64, &[4]));
            let product = b.mul(y, x);
            y = b.add(product, c);
        }
        b.finish(vec![("y".into(), y)])
    };
    let tanh = of("tanh", |b| {
        let x = b.param("x", Type::new(DType::F64, &[4]));
        b.unary(Op::Tanh, x)
    });
    let cases =
        [("200 ops", horner(200)), ("1000 ops", horner(1000)), ("5000 ops", horner(5000)), ("4 tanh", tanh)];
    let cranelift = backend::by_name("cranelift").expect("always built");
    for (name, func) in cases {
        let mut best = [f64::INFINITY; 2];
        let mut size = 0;
        for _ in 0..20 {
            let start = Instant::now();
            let loops = lower(&func, target).expect("lowers");
            let lowered = start.elapsed().as_secs_f64();
            size = loops.size();
            let module = Arc::new(LoopModule { funcs: vec![loops] });
            let start = Instant::now();
            drop(cranelift.compile(module).expect("compiles"));
            let compiled = start.elapsed().as_secs_f64();
            best = [best[0].min(lowered), best[1].min(compiled)];
        }
        println!(
            "{name}: {size} statements, lower {:.0} us, cranelift {:.0} us",
            best[0] * 1e6,
            best[1] * 1e6
        );
    }
}

/// `dh = a·h - b·h·l`, the rate of the hare.
fn hare() -> Func {
    of("hare", |b| {
        let [h, l, a, c] = ["h", "l", "a", "b"].map(|name| b.param(name, Type::scalar(DType::F64)));
        let (born, met) = (b.mul(a, h), b.mul(h, l));
        let eaten = b.mul(c, met);
        b.sub(born, eaten)
    })
}

#[test]
fn a_small_rate_is_straight_line_code() {
    let loops = lower(&hare(), Target { fma: true }).expect("lowers");
    let expected = "\
func hare(b0 h: f64[1], b1 l: f64[1], b2 a: f64[1], b3 b: f64[1]) -> (b4 y: f64[1]) {
  s0: f64 = b0[0]
  s1: f64 = b1[0]
  s2: f64 = mul s0, s1
  s3: f64 = b2[0]
  s4: f64 = b3[0]
  s5: f64 = mul s2, s4
  s6: f64 = neg s5
  s7: f64 = fma s0, s3, s6
  b4[0] = s7
}
";
    assert_eq!(loops.to_string(), expected);
}

#[test]
fn a_small_rate_is_a_handful_of_machine_operations() {
    let loops = lower(&hare(), Target { fma: true }).expect("lowers");
    let text = backend::cranelift::clif(&loops).expect("compiles");
    // The first line names the calling convention, which is the host's.
    let body = text.split_once('\n').expect("more than a line").1;
    let expected = "\
block0(v0: i64, v1: i64, v2: i64):
    v3 = load.i64 notrap aligned readonly v0
    v4 = load.f64 notrap aligned v3
    v5 = load.i64 notrap aligned readonly v0+8
    v6 = load.f64 notrap aligned v5
    v7 = fmul v4, v6
    v8 = load.i64 notrap aligned readonly v0+16
    v9 = load.f64 notrap aligned v8
    v10 = load.i64 notrap aligned readonly v0+24
    v11 = load.f64 notrap aligned v10
    v12 = fmul v7, v11
    v13 = fneg v12
    v14 = fma v4, v9, v13
    v15 = load.i64 notrap aligned readonly v1
    store notrap aligned v14, v15
    return
}
";
    assert_eq!(body, expected);
}
