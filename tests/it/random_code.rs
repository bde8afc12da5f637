//! Random tensor programs, lowered as scalars and as loops, against the evaluator, and every
//! primitive on special values.
//!
//! The programs of `random_tensors` are small; these are about layout: sizes around the limits of
//! scalarisation, empty tensors, indices, and steps that shrink to a smallest failing program.

use crate::backends::{Data, run, run_loops};
use nodec::ir::builder::Builder;
use nodec::ir::eval::eval;
use nodec::ir::func::{Attr, Func, ValueId};
use nodec::ir::op::Op;
use nodec::ir::tensor::Tensor;
use nodec::ir::types::{DType, Shape, Type};
use nodec::lower::code::Code;
use nodec::lower::loops::{BufferId, BufferKind, Index, Prim, ScalarId, Target};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// No tensor of a random program is larger.
const MOST: usize = 1500;

/// A tensor program being made. `exact` programs keep to small integers, on which every op is exact,
/// so that every way to compute them gives the same bits.
struct Program {
    b: Builder,
    exact: bool,
    /// Values with a bound of their size.
    pool: Vec<(ValueId, f64)>,
    index: ValueId,
    n_entries: usize,
}

type Step = (u8, u16, u16, u16);

impl Program {
    fn dims(&self, x: ValueId) -> Vec<usize> {
        self.b.shape(x).dims().to_vec()
    }

    fn pick(&self, choice: u16) -> (ValueId, f64) {
        self.pool[self.pool.len() - 1 - choice as usize % self.pool.len()]
    }

    /// A value of the shape of `x`: one from the pool, or `x` itself.
    fn beside(&self, x: ValueId, choice: u16) -> (ValueId, f64) {
        let fit: Vec<_> = self.pool.iter().filter(|(y, _)| self.b.shape(*y) == self.b.shape(x)).collect();
        *fit[choice as usize % fit.len()]
    }

    fn push(&mut self, x: ValueId, bound: f64) {
        if self.b.shape(x).count() > MOST {
            return;
        }
        if !self.exact || bound <= 1e4 {
            return self.pool.push((x, bound));
        }
        let (lo, hi) = (self.b.splat_like(-3.0, x), self.b.splat_like(3.0, x));
        let x = self.b.binary(Op::Min, x, hi);
        let x = self.b.binary(Op::Max, x, lo);
        self.pool.push((x, 3.0));
    }

    fn step(&mut self, (op, first, second, choice): Step) {
        let (x, size) = self.pick(first);
        let (y, other) = self.beside(x, second);
        let dims = self.dims(x);
        let (rank, count) = (dims.len(), dims.iter().product::<usize>());
        let axis = if rank > 0 { choice as usize % rank } else { 0 };
        let c = choice as usize;
        let b = &mut self.b;
        let (value, bound) = match op % 24 {
            0 | 1 => (b.add(x, y), size + other),
            2 => (b.sub(x, y), size + other),
            3 | 4 => (b.mul(x, y), size * other),
            5 => {
                let product = b.mul(x, y);
                let (z, third) = self.beside(x, choice);
                let sum = if c & 1 == 0 { self.b.add(z, product) } else { self.b.sub(z, product) };
                (sum, size * other + third)
            }
            6 => (b.unary([Op::Neg, Op::Abs, Op::Sign, Op::Floor][c % 4], x), size.max(1.0)),
            7 => (b.binary(if c & 1 == 0 { Op::Min } else { Op::Max }, x, y), size.max(other)),
            8 => {
                let less = b.must([Op::Lt, Op::Le, Op::Eq][c % 3], &[x, y], Attr::None);
                let less = if c & 1 == 0 { b.unary(Op::Not, less) } else { less };
                (b.select(less, y, x), size.max(other))
            }
            9 | 10 => {
                let divisor = [2, 3, 4, 5, 8][c % 5];
                let shape = if count % divisor == 0 && rank != 2 {
                    Shape::new(&[count / divisor, divisor])
                } else if c & 1 == 0 {
                    Shape::new(&[1, count, 1])
                } else {
                    Shape::new(&[count])
                };
                (b.reshape(x, shape), size)
            }
            11 if rank > 1 => {
                let axes: Vec<u32> = (0..rank).map(|i| ((i + 1 + c % (rank - 1)) % rank) as u32).collect();
                (b.permute(x, &axes), size)
            }
            12 if rank < 4 => {
                let mut wide = dims.clone();
                let at = c % (rank + 1);
                wide.insert(at, [1, 2, 3, 17][c / 8 % 4]);
                let axes: Vec<u32> = (0..=rank as u32).filter(|i| *i as usize != at).collect();
                if wide.iter().product::<usize>() > MOST {
                    return;
                }
                (b.broadcast(x, Shape::new(&wide), &axes), size)
            }
            13 if rank > 0 => {
                let mut ranges: Vec<(u32, u32)> = dims.iter().map(|dim| (0, *dim as u32)).collect();
                let lo = (c / 4) as u32 % (ranges[axis].1 + 1);
                ranges[axis] = (lo, lo + (c / 64) as u32 % (ranges[axis].1 - lo + 1));
                (b.slice(x, &ranges), size)
            }
            14 => {
                let pads = (0..rank).map(|i| ((c >> i) as u32 % 3, (c >> (i + 3)) as u32 % 2)).collect();
                (b.must(Op::Pad, &[x], Attr::Pads(pads)), size)
            }
            15 if rank > 0 => (b.concat(&[x, y, x][..2 + c % 2], axis as u32), size.max(other)),
            16 if rank > 0 && rank < 4 && c % 3 == 1 => {
                let length = 1 + (c / 8) as u32 % (dims[axis] as u32 + 1).min(4);
                (b.windows(x, [(axis as u32, length)].as_slice().into()), size)
            }
            16 if rank > 0 => (b.must(Op::Reverse, &[x], Attr::Axes([axis as u32].as_slice().into())), size),
            17 if rank > 0 && self.n_entries > 0 && dims[0] >= self.n_entries => {
                (b.must(Op::Gather, &[x, self.index], Attr::None), size)
            }
            18 if rank > 0 && self.n_entries > 0 && dims[0] == b.shape(self.index).count() => {
                let mut wide = dims.clone();
                wide[0] = self.n_entries;
                let terms = dims[0] as f64;
                (b.must(Op::ScatterAdd, &[x, self.index], Attr::Shape(Shape::new(&wide))), size * terms)
            }
            19 | 20 => {
                let axes: Vec<u32> = (0..rank as u32).filter(|i| c >> i & 1 == 0).collect();
                (b.sum_axes(x, &axes), size * count as f64)
            }
            21 if rank > 0 && dims[axis] > 0 => {
                let op = if c & 1 == 0 { Op::ReduceMax } else { Op::ReduceMin };
                (b.must(op, &[x], Attr::Axes([axis as u32].as_slice().into())), size)
            }
            22 => {
                let (y, other) = self.pick(second);
                let lhs: Vec<u8> = (0..rank as u8).collect();
                let mut rhs: Vec<u8> = Vec::new();
                for (i, dim) in self.dims(y).iter().enumerate() {
                    let shared = lhs.iter().find(|l| dims[**l as usize] == *dim && !rhs.contains(l));
                    rhs.push(shared.filter(|_| c >> i & 1 == 0).map_or(10 + i as u8, |l| *l));
                }
                let mut letters = rhs.clone();
                letters.extend(lhs.iter().filter(|l| !rhs.contains(l)));
                let out: Vec<u8> = letters
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| c >> (i + 4) & 1 == 0)
                    .map(|(_, l)| *l)
                    .collect();
                let whole = count * self.b.shape(y).count();
                if whole > 40_000 || out.len() > 4 {
                    return;
                }
                let z = self.b.einsum(x, y, &lhs, &rhs, &out);
                (z, size * other * whole as f64)
            }
            23 if self.exact => {
                let number = b.must(Op::Iota, &[], Attr::Shape(Shape::new(&[count])));
                let number = b.must(Op::Convert, &[number], Attr::To(DType::F64));
                let number = b.reshape(number, Shape::new(&dims));
                (b.add(x, number), size + count as f64)
            }
            23 => {
                let op =
                    [Op::Exp, Op::Tanh, Op::Sin, Op::Log, Op::Sqrt, Op::Sigmoid, Op::Erf, Op::Expm1][c % 8];
                (b.unary(op, x), size)
            }
            _ => return,
        };
        self.push(value, bound);
    }
}

/// A program on parameters of sizes `n` and `m`, and its arguments.
fn program(steps: &[Step], n: usize, m: usize, exact: bool, seed: u64) -> (Func, Vec<Tensor>) {
    let mut b = Builder::new("random");
    let types = [
        Type::new(DType::F64, &[n]),
        Type::new(DType::F64, &[m]),
        Type::new(DType::F64, &[n, m.min(20)]),
        Type::scalar(DType::F64),
    ];
    let pool = types.iter().enumerate().map(|(i, ty)| (b.param(format!("x{i}"), ty.clone()), 3.0)).collect();
    // Without entries there is nothing to index.
    let index_type = Type::new(DType::I64, &[if n == 0 { 0 } else { m }]);
    let index = b.param("index", index_type.clone());
    let mut program = Program { b, exact, pool, index, n_entries: n };
    steps.iter().for_each(|step| program.step(*step));
    let n_values = program.pool.len();
    let chosen = [n_values - 1, n_values - 2, n_values / 2];
    let results = chosen.iter().enumerate().map(|(i, at)| (format!("y{i}").into(), program.pool[*at].0));
    let results = results.collect();
    let func = program.b.finish(results);

    let mut stream = crate::op_samples::Stream(seed);
    let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324, 1e308];
    let mut number = |dtype: DType| match dtype {
        DType::I64 => stream.uniform(0.0, n as f64).floor().min(n as f64 - 1.0),
        _ if exact => stream.uniform(-3.0, 4.0).floor().min(3.0),
        _ => match stream.uniform(0.0, 40.0) as usize {
            which @ 0..6 => special[which],
            _ => stream.uniform(-2.0, 2.0),
        },
    };
    let mut args: Vec<Tensor> = Vec::new();
    for ty in types.iter().chain([&index_type]) {
        args.push(Tensor::new(ty.clone(), (0..ty.shape.count()).map(|_| number(ty.dtype)).collect()));
    }
    (func, args)
}

fn sizes() -> impl Strategy<Value = usize> {
    prop::sample::select(vec![0usize, 1, 2, 3, 15, 16, 17, 40])
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((any::<u8>(), 0u16..12, 0u16..12, any::<u16>()), 1..24)
}

/// The programs of this file are worth running: together they have every op that moves, sums or
/// chooses elements.
#[test]
fn random_programs_have_every_kind_of_op() {
    let mut stream = crate::op_samples::Stream(3);
    let mut number = |n: f64| stream.uniform(0.0, n) as u16;
    let mut found = std::collections::BTreeSet::new();
    let mut n_nodes = 0;
    for seed in 0..100 {
        let steps: Vec<Step> =
            (0..20).map(|_| (number(256.0) as u8, number(12.0), number(12.0), number(65536.0))).collect();
        let (func, _) = program(&steps, 17, 40, true, seed);
        n_nodes += func.nodes.len();
        found.extend(func.nodes.iter().map(|node| node.op));
    }
    let wanted = [
        [Op::Add, Op::Sub, Op::Mul, Op::Select, Op::Min, Op::Max, Op::Convert, Op::Iota],
        [Op::Reshape, Op::Permute, Op::Broadcast, Op::Slice, Op::Pad, Op::Concat, Op::Reverse, Op::Gather],
        [Op::Windows; 8],
        [Op::ScatterAdd, Op::Sum, Op::ReduceMax, Op::ReduceMin, Op::Contract, Op::Lt, Op::Le, Op::Eq],
    ];
    let missing: Vec<&Op> = wanted.iter().flatten().filter(|op| !found.contains(op)).collect();
    assert!(missing.is_empty() && n_nodes > 1500, "{missing:?} {n_nodes}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 120,
        rng_seed: RngSeed::Fixed(31),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// On integers small enough for every op to be exact, lowered code gives the evaluator's bits,
    /// whatever is a scalar, stored, fused or computed twice.
    #[test]
    fn exact_tensor_programs_equal_the_evaluator(
        steps in steps(), n in sizes(), m in sizes(), seed in any::<u64>(),
    ) {
        let (func, args) = program(&steps, n, m, true, seed);
        let expected: Vec<Vec<u64>> =
            eval(&func, &args).unwrap().iter().map(|tensor| Data::of(tensor).bits()).collect();
        for fma in [true, false] {
            let results: Vec<Vec<u64>> = run(&func, &args, fma).iter().map(Data::bits).collect();
            prop_assert_eq!(&results, &expected, "{}", func);
        }
    }

    /// On any numbers, NaN and infinities among them, every back end and every limit of
    /// scalarisation gives the same bits.
    #[test]
    fn tensor_programs_have_one_result(
        steps in steps(), n in sizes(), m in sizes(), seed in any::<u64>(), fma in any::<bool>(),
    ) {
        let (func, args) = program(&steps, n, m, false, seed);
        run(&func, &args, fma);
    }
}

const TYPES: [DType; 4] = [DType::F64, DType::F32, DType::I64, DType::Bool];

const PRIMS: [Prim; 26] = [
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
    Prim::Convert,
];

const SPECIAL: [f64; 18] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -1.5,
    2.5,
    1e-310,
    -5e-324,
    1e-45,
    3.4e38,
    -1.7e308,
    9.2233720368547758e18,
    4503599627370497.5,
    1.0000000000000002,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];
const INTEGERS: [i64; 8] = [0, 1, -1, 63, i64::MAX, i64::MIN, 0x0123_4567_89ab_cdef, 1 << 53];

/// Length of the columns of special values.
const N: usize = 18;

/// `n` special values of each type.
fn special_columns(n: usize) -> Vec<Data> {
    let float = |i: usize| SPECIAL[i % SPECIAL.len()];
    vec![
        Data::F64((0..n).map(float).collect()),
        Data::F32((0..n).map(|i| float(i) as f32).collect()),
        Data::I64((0..n).map(|i| INTEGERS[i % INTEGERS.len()]).collect()),
        Data::Bool((0..n).map(|i| (i % 3 == 1).into()).collect()),
    ]
}

/// Every primitive at every type on all pairs of special values (with the next as third operand).
#[test]
fn primitives_agree_on_special_values() {
    let mut n_checked = 0;
    for prim in PRIMS {
        for to in TYPES {
            for first in TYPES {
                for n in 1..=3 {
                    let mut types = vec![to; n];
                    types[0] = first;
                    if matches!(prim, Prim::Lt | Prim::Le | Prim::Eq) {
                        types = vec![first; n];
                    }
                    if !prim.accepts(&types, to) {
                        continue;
                    }
                    n_checked += 1;
                    primitive_on_all_pairs(prim, &types, to);
                }
            }
        }
    }
    // Seven of floats and integers (3 types), ten of floats, five of integers or truth values, two
    // comparisons, …: see `Prim::accepts`.
    assert!(n_checked >= 60, "{n_checked}");
}

fn primitive_on_all_pairs(prim: Prim, types: &[DType], to: DType) {
    let code = Code::new(Target::new(true));
    let inputs: Vec<BufferId> = types
        .iter()
        .enumerate()
        .map(|(i, dtype)| code.buffer(&format!("x{i}"), *dtype, N, BufferKind::Input))
        .collect();
    let output = code.buffer("y", to, N * N, BufferKind::Output);
    let (i, j) = (code.open_loop(), code.open_loop());
    let index = |terms: &[(nodec::lower::loops::LoopVar, i64)]| Index {
        terms: terms.iter().copied().collect(),
        ..Index::default()
    };
    let at = [index(&[(i, 1)]), index(&[(j, 1)]), index(&[(j, 1)])];
    let mut args: Vec<ScalarId> = inputs.iter().zip(at).map(|(id, at)| code.load(*id, at)).collect();
    if matches!(prim, Prim::ShiftLeft | Prim::ShiftRight) {
        args[1] = code.op(Prim::And, &[args[1], code.integer(63)]);
    }
    code.store(output, index(&[(i, N as i64), (j, 1)]), code.typed(prim, to, &args));
    code.close_loop(N, &[]);
    code.close_loop(N, &[]);
    let columns = special_columns(N + 1);
    let of_type = |dtype: DType, shift: usize| {
        let column = &columns[TYPES.iter().position(|ty| *ty == dtype).unwrap()];
        match column {
            Data::F64(data) => Data::F64(data[shift..shift + N].to_vec()),
            Data::F32(data) => Data::F32(data[shift..shift + N].to_vec()),
            Data::I64(data) => Data::I64(data[shift..shift + N].to_vec()),
            Data::Bool(data) => Data::Bool(data[shift..shift + N].to_vec()),
        }
    };
    let args: Vec<Data> = types.iter().enumerate().map(|(i, ty)| of_type(*ty, usize::from(i == 2))).collect();
    run_loops(&code.finish(prim.name()), &args, true);
}
