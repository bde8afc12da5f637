//! Random well-typed programs of every kind of op: each nest of two modes, the transpose, differences,
//! and what a gradient costs; and every op at its singular points in every mode.

use crate::op_samples::{Stream, samples};
use nodec::ad::{batch_func, jvp, jvp_func, series, vjp, vjp_func};
use nodec::backend::Backend;
use nodec::backend::cranelift::Cranelift;
use nodec::ir::builder::Builder;
use nodec::ir::eval::eval;
use nodec::ir::func::{Attr, Func, ValueId};
use nodec::ir::op::{Domain, Op};
use nodec::ir::tensor::Tensor;
use nodec::ir::types::{DType, Shape, Type};
use nodec::ir::verify::verify;
use nodec::lower::loops::{Prim, Stmt};
use nodec::lower::lower;
use nodec::opt::optimise;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::sync::Arc;

const UNIT: Domain = Domain { lo: -1.0, hi: 1.0, singular: "" };

/// Operations, operands and a choice; numbers beyond what there is wrap around.
type Step = (u8, u16, u16, u16);

/// The shapes that leaves have, of 16 elements together.
const LEAVES: [&[usize]; 4] = [&[], &[3], &[2, 3], &[3, 2]];

struct Program {
    b: Builder,
    pool: Vec<ValueId>,
    leaves: Vec<ValueId>,
}

impl Program {
    fn new() -> Program {
        let mut b = Builder::new("program");
        let leaf = |(n, dims): (usize, &&[usize])| b.param(format!("x{n}"), Type::new(DType::F64, dims));
        let leaves: Vec<ValueId> = LEAVES.iter().enumerate().map(leaf).collect();
        Program { b, pool: leaves.clone(), leaves }
    }

    fn pick(&self, choice: u16) -> ValueId {
        self.pool[self.pool.len() - 1 - choice as usize % self.pool.len()]
    }

    /// A value of the shape of `x`, bounded by 1.
    fn beside(&mut self, x: ValueId, choice: u16) -> ValueId {
        let fit: Vec<ValueId> =
            self.pool.iter().copied().filter(|y| self.b.shape(*y) == self.b.shape(x)).collect();
        self.b.unary(Op::Sin, fit[choice as usize % fit.len()])
    }

    /// One more value. All stay within a few units, and away from singular points: positive arguments
    /// are above 1/2.
    fn step(&mut self, (op, first, second, choice): Step) {
        let x = self.pick(first);
        let y = self.beside(x, second);
        let b = &mut self.b;
        let dims = b.shape(x).dims().to_vec();
        let rank = dims.len();
        let axis = if rank > 0 { choice as usize % rank } else { 0 };
        let bounded = b.unary(Op::Tanh, x);
        let square = b.mul(bounded, bounded);
        let half = b.splat_like(0.5, x);
        let positive = b.add(square, half);
        let letters: Vec<u8> = (0..rank as u8).collect();
        let axes = |axes: &[u32]| Attr::Axes(axes.into());
        let value = match op % 32 {
            0 => b.add(x, y),
            1 => b.sub(x, y),
            2 => b.mul(bounded, y),
            3 => b.div(y, positive),
            4 => b.binary(Op::Pow, positive, y),
            5 => b.unary([Op::Sin, Op::Cos, Op::Tanh, Op::Sigmoid][choice as usize % 4], x),
            6 => b.unary([Op::Softplus, Op::Erf, Op::Atan, Op::Neg][choice as usize % 4], x),
            7 => b.unary([Op::Log, Op::Sqrt, Op::Log1p, Op::Lgamma][choice as usize % 4], positive),
            8 => b.unary([Op::Exp, Op::Expm1, Op::Sinh, Op::Cosh][choice as usize % 4], bounded),
            9 => {
                let small = b.mul(half, bounded);
                b.unary([Op::Asin, Op::Acos, Op::Tan, Op::Atan][choice as usize % 4], small)
            }
            10 => b.pow_int(bounded, i32::from(choice % 6)),
            11 => b.pow_int(positive, -i32::from(choice % 3) - 1),
            12 => b.binary([Op::Min, Op::Max][choice as usize % 2], x, y),
            13 => b.unary(Op::Abs, x),
            14 => {
                let less = b.binary(Op::Lt, x, y);
                b.select(less, bounded, y)
            }
            15 if rank > 0 => {
                let order: Vec<u32> = (0..rank as u32).rev().collect();
                b.permute(x, &order)
            }
            16 => b.flatten(bounded),
            17 if rank > 0 => {
                let kept = dims[axis].div_ceil(2) as u32;
                let range =
                    |(at, dim): (usize, &usize)| if at == axis { (0, kept) } else { (0, *dim as u32) };
                let ranges: Vec<(u32, u32)> = dims.iter().enumerate().map(range).collect();
                b.slice(x, &ranges)
            }
            18 if rank > 0 => {
                let pads = (0..rank).map(|at| if at == axis { (1, 0) } else { (0, 0) }).collect();
                b.must(Op::Pad, &[x], Attr::Pads(pads))
            }
            19 if rank > 0 => b.concat(&[x, y], axis as u32),
            20 if rank > 0 && rank < 4 && dims[axis] > 0 && choice % 2 == 1 => {
                let length = 1 + u32::from(choice) / 8 % (dims[axis] as u32).min(3);
                b.windows(x, [(axis as u32, length)].as_slice().into())
            }
            20 if rank > 0 => b.must(Op::Reverse, &[x], axes(&[axis as u32])),
            21 if rank > 0 => {
                let index = b.constant(&[0.0, dims[0] as f64 - 1.0, 0.0], Type::new(DType::I64, &[3]));
                b.must(Op::Gather, &[x, index], Attr::None)
            }
            22 if rank > 0 && dims[0] > 0 => {
                let index: Vec<f64> = (0..dims[0]).map(|at| (at % 2) as f64).collect();
                let index = b.constant(&index, Type::new(DType::I64, &[dims[0]]));
                let mut shape = dims.clone();
                shape[0] = 2;
                b.must(Op::ScatterAdd, &[bounded, index], Attr::Shape(Shape::new(&shape)))
            }
            23 if rank > 0 => {
                let op = [Op::Sum, Op::Product, Op::ReduceMax, Op::ReduceMin][choice as usize / 4 % 4];
                b.must(op, &[bounded], axes(&[axis as u32]))
            }
            24 => b.sum(bounded),
            25 => b.dot(bounded, y),
            26 if rank == 2 => {
                let product = b.einsum(bounded, y, &[0, 1], &[2, 1], &[0, 2]);
                b.unary(Op::Sin, product)
            }
            27 if rank == 1 => b.einsum(bounded, y, &[0], &[1], &[0, 1]),
            28 if rank > 0 => {
                let row = self.b.sum_axes(bounded, &[axis as u32]);
                let rest: Vec<u32> = (0..rank as u32).filter(|at| *at != axis as u32).collect();
                self.b.broadcast(row, Shape::new(&dims), &rest)
            }
            29 => b.einsum(bounded, y, &letters, &letters, &letters),
            30 => b.unary(Op::Digamma, positive),
            _ => b.unary(Op::Sin, x),
        };
        if self.b.shape(value).count() <= 40 {
            self.pool.push(value);
        }
    }
}

/// `leaves -> y, s`: the last value, and a scalar of the last three.
fn program(steps: &[Step]) -> Func {
    let mut of = Program::new();
    steps.iter().for_each(|step| of.step(*step));
    let Program { mut b, pool, leaves } = of;
    let mut sum: Option<ValueId> = None;
    for value in pool.iter().rev().take(3).chain(&leaves) {
        let wave = b.unary(Op::Sin, *value);
        let total = b.sum(wave);
        sum = Some(match sum {
            Some(before) => b.add(before, total),
            None => total,
        });
    }
    let (last, sum) = (*pool.last().expect("there are leaves"), sum.expect("there are leaves"));
    b.finish(vec![("y".into(), last), ("s".into(), sum)])
}

fn run(func: &Func, args: &[Tensor]) -> Vec<Tensor> {
    verify(func).unwrap_or_else(|error| panic!("{error}\n{func}"));
    eval(func, args).unwrap()
}

/// The largest difference of two tensors, relative to their size (at least 1).
fn distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.ty, b.ty);
    let size = a.data.iter().chain(&b.data).fold(1.0, |m: f64, x| m.max(x.abs()));
    let gaps = a.data.iter().zip(&b.data).map(|(x, y)| if x == y { 0.0 } else { (x - y).abs() });
    gaps.fold(0.0, |m: f64, gap| if gap > m || gap.is_nan() { gap } else { m }) / size
}

/// Arithmetic on scalars of the function as it is compiled; a fused multiply and add counts twice.
fn operations(func: &Func) -> usize {
    fn of(body: &[Stmt]) -> usize {
        let one = |stmt: &Stmt| match stmt {
            Stmt::Let { prim: Prim::Const(_) | Prim::Counter(_), .. } => 0,
            Stmt::Let { prim: Prim::Fma, .. } => 2,
            Stmt::Let { .. } => 1,
            Stmt::Load { .. } | Stmt::Store { .. } => 0,
            Stmt::Loop(inner) => inner.count * of(&inner.body),
        };
        body.iter().map(one).sum()
    }
    of(&lower(&optimise(func.clone()), Cranelift.target()).expect("it lowers").body)
}

/// The gradient of a scalar costs at most four times its evaluation: W. Baur, V. Strassen, The
/// complexity of partial derivatives, Theor. Comput. Sci. 22 (1983), for arithmetic; here it is
/// measured, elementary functions included.
const CHEAP: f64 = 4.0;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 80,
        rng_seed: RngSeed::Fixed(24),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// ⟨w, Jv⟩ = ⟨Jᵀw, v⟩, and Jv is the limit of differences.
    #[test]
    fn random_programs_have_transposed_derivatives(
        steps in prop::collection::vec(any::<Step>(), 1..12),
        seed in any::<u64>(),
    ) {
        let func = program(&steps);
        let by: Vec<usize> = (0..func.params.len()).collect();
        let mut stream = Stream(seed);
        let args: Vec<Tensor> = func.param_types().map(|ty| stream.tensor(ty, &UNIT)).collect();
        let v: Vec<Tensor> = func.param_types().map(|ty| stream.tensor(ty, &UNIT)).collect();
        let w: Vec<Tensor> = func.result_types().map(|ty| stream.tensor(ty, &UNIT)).collect();
        let forward = run(&jvp_func(&func, &by).unwrap(), &[args.clone(), v.clone()].concat());
        let jv = &forward[func.results.len()..];
        let wj = run(&vjp_func(&func, &by, &[0, 1]).unwrap(), &[args.clone(), w.clone()].concat());
        let inner = |a: &[Tensor], b: &[Tensor]| -> (f64, f64) {
            let pairs = a.iter().zip(b).flat_map(|(a, b)| a.data.iter().zip(&b.data));
            pairs.fold((0.0, 0.0), |(sum, size), (a, b)| (sum + a * b, size + (a * b).abs()))
        };
        let ((left, size), (right, other)) = (inner(&w, jv), inner(&wj, &v));
        prop_assert!((left - right).abs() <= 1e-12 * (1.0 + size + other), "{left} {right}\n{func}");

        let moved = |h: f64| {
            let step = |(x, v): (&Tensor, &Tensor)| {
                let data = x.data.iter().zip(&v.data).map(|(x, v)| x + h * v).collect();
                Tensor::new(x.ty.clone(), data)
            };
            run(&func, &args.iter().zip(&v).map(step).collect::<Vec<_>>())
        };
        // Off by h² times a third derivative; a kink within h is a matter of one program in 1e4.
        let (up, down) = (moved(1e-5), moved(-1e-5));
        for ((up, down), jv) in up.iter().zip(&down).zip(jv) {
            let slope = up.data.iter().zip(&down.data).map(|(a, b)| (a - b) / 2e-5).collect();
            let error = distance(&Tensor::new(up.ty.clone(), slope), jv);
            prop_assert!(error < 1e-6, "{error:e}\n{func}");
        }
    }

    /// The second derivative along one direction by every nest of two of forward, reverse and Taylor
    /// mode.
    #[test]
    fn random_programs_have_one_second_derivative(
        steps in prop::collection::vec(any::<Step>(), 1..10),
        seed in any::<u64>(),
    ) {
        let func = program(&steps);
        let mut b = Builder::from_func(&func);
        let leaves: Vec<ValueId> = func.params.iter().map(|port| port.value).collect();
        let s = func.results[1].value;
        let types: Vec<Type> = func.param_types().cloned().collect();
        let v: Vec<ValueId> =
            types.iter().enumerate().map(|(n, ty)| b.param(format!("v{n}"), ty.clone())).collect();
        let along: Vec<(ValueId, ValueId)> = leaves.iter().copied().zip(v.iter().copied()).collect();
        let lines: Vec<(ValueId, Vec<ValueId>)> = along.iter().map(|(x, v)| (*x, vec![*v])).collect();
        let one = b.splat_like(1.0, s);
        // The first derivative along v, by each mode.
        let by_forward = jvp(&mut b, &along, &[s]).unwrap()[0];
        let by_taylor = series(&mut b, &lines, &[s], 1).unwrap()[0][1];
        let along_v = |b: &mut Builder, gradient: &[ValueId]| {
            let mut sum = b.zeros_like(s);
            for (bar, v) in gradient.iter().zip(&v) {
                let part = b.dot(*bar, *v);
                sum = b.add(sum, part);
            }
            sum
        };
        let gradient = vjp(&mut b, &[(s, one)], &leaves).unwrap();
        let by_reverse = along_v(&mut b, &gradient);
        let first = [by_forward, by_reverse, by_taylor];
        let mut second = Vec::new();
        for slope in first {
            second.push(jvp(&mut b, &along, &[slope]).unwrap()[0]);
            let gradient = vjp(&mut b, &[(slope, one)], &leaves).unwrap();
            second.push(along_v(&mut b, &gradient));
            second.push(series(&mut b, &lines, &[slope], 1).unwrap()[0][1]);
        }
        let whole = series(&mut b, &lines, &[s], 2).unwrap()[0][2];
        second.push(b.scale(2.0, whole));
        let results = first.iter().chain(&second).enumerate();
        let all = b.finish(results.map(|(n, value)| (Arc::from(format!("{n}")), *value)).collect());
        let mut stream = Stream(seed);
        let args: Vec<Tensor> = all.param_types().map(|ty| stream.tensor(ty, &UNIT)).collect();
        let values: Vec<f64> = run(&all, &args).into_iter().map(|value| value.data[0]).collect();
        for group in [&values[..3], &values[3..]] {
            for (number, value) in group.iter().enumerate() {
                // Sums of some hundred terms of either sign, each up to 1e3 times the result.
                let error = (value - group[0]).abs() / group[0].abs().max(1.0);
                prop_assert!(error < 1e-10, "{number} of {group:?}\n{func}");
            }
        }
    }

    /// Value and gradient together against the value, in operations of the compiled functions.
    #[test]
    fn gradients_of_random_programs_are_cheap(steps in prop::collection::vec(any::<Step>(), 1..24)) {
        let func = program(&steps);
        let value = Func { results: vec![func.results[1].clone()], ..func.clone() };
        let by: Vec<usize> = (0..func.params.len()).collect();
        let gradient = vjp_func(&value, &by, &[0]).unwrap();
        let (cost, evaluation) = (operations(&gradient), operations(&value));
        prop_assert!(cost as f64 <= CHEAP * evaluation as f64, "{cost} for {evaluation}\n{func}");
    }
}

/// `Σ w·op(x)` for every op and each of its samples.
#[test]
fn the_gradient_of_every_op_is_cheap() {
    let mut dear = Vec::new();
    for (op, sample) in Op::ALL.iter().flat_map(|op| samples(*op).into_iter().map(|sample| (*op, sample))) {
        let floats = sample.floats();
        if !sample.smooth() || floats.is_empty() {
            continue;
        }
        let mut b = Builder::from_func(&sample.func);
        let y = sample.func.results[0].value;
        let w = b.param("w", b.ty(y).clone());
        let s = b.dot(w, y);
        let value = b.finish(vec![("s".into(), s)]);
        let gradient = vjp_func(&value, &floats, &[0]).unwrap();
        let (cost, evaluation) = (operations(&gradient), operations(&value));
        if cost as f64 > CHEAP * evaluation as f64 {
            dear.push(format!("{}: {cost} for {evaluation}", op.def().name));
        }
    }
    assert!(dear.is_empty(), "{dear:#?}");
}

// ---- singular points ---------------------------------------------------------------------------

/// A function of one number, a point, its value there and its derivative.
type Edge = (&'static str, fn(&mut Builder, ValueId) -> ValueId, f64, f64, f64);

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

fn power(b: &mut Builder, x: ValueId, p: f64) -> ValueId {
    let p = b.splat_like(p, x);
    b.binary(Op::Pow, x, p)
}

fn with(b: &mut Builder, op: Op, x: ValueId, y: f64) -> ValueId {
    let y = b.splat_like(y, x);
    b.binary(op, x, y)
}

fn over_both(b: &mut Builder, op: Op, x: ValueId) -> ValueId {
    let (x, opposite) = (b.flatten(x), b.neg(x));
    let opposite = b.flatten(opposite);
    let both = b.concat(&[x, opposite], 0);
    b.must(op, &[both], Attr::Axes([0].as_slice().into()))
}

/// The table of `tests/conformance/lang/edges.md`, and the borders of domains.
const EDGES: &[Edge] = &[
    ("relu", |b, x| with(b, Op::Max, x, 0.0), 0.0, 0.0, 0.0),
    ("max where equal", |b, x| with(b, Op::Max, x, 1.5), 1.5, 1.5, 0.0),
    ("min where equal", |b, x| with(b, Op::Min, x, 1.5), 1.5, 1.5, 0.0),
    ("abs", |b, x| b.unary(Op::Abs, x), 0.0, 0.0, 0.0),
    ("sign", |b, x| b.unary(Op::Sign, x), 0.0, 0.0, 0.0),
    ("floor", |b, x| b.unary(Op::Floor, x), 2.0, 2.0, 0.0),
    ("sqrt", |b, x| b.unary(Op::Sqrt, x), 0.0, 0.0, INF),
    (
        "sqrt of a square",
        |b, x| {
            let s = b.mul(x, x);
            b.unary(Op::Sqrt, s)
        },
        0.0,
        0.0,
        NAN,
    ),
    (
        "x over abs",
        |b, x| {
            let a = b.unary(Op::Abs, x);
            b.div(x, a)
        },
        0.0,
        NAN,
        NAN,
    ),
    ("x^0.5", |b, x| power(b, x, 0.5), 0.0, 0.0, INF),
    ("x^1.5", |b, x| power(b, x, 1.5), 0.0, 0.0, 0.0),
    ("x^1", |b, x| power(b, x, 1.0), 0.0, 0.0, 1.0),
    ("x^0", |b, x| power(b, x, 0.0), 0.0, 1.0, 0.0),
    ("x^2, an integer", |b, x| b.pow_int(x, 2), 0.0, 0.0, 0.0),
    ("x^1, an integer", |b, x| b.pow_int(x, 1), 0.0, 0.0, 1.0),
    ("x^0, an integer", |b, x| b.pow_int(x, 0), 0.0, 1.0, 0.0),
    ("x^-1, an integer", |b, x| b.pow_int(x, -1), 0.0, INF, -INF),
    (
        "0^x",
        |b, x| {
            let zero = b.zeros_like(x);
            b.binary(Op::Pow, zero, x)
        },
        1.5,
        0.0,
        0.0,
    ),
    ("log", |b, x| b.unary(Op::Log, x), 0.0, -INF, INF),
    ("log1p", |b, x| b.unary(Op::Log1p, x), -1.0, -INF, INF),
    (
        "1/x",
        |b, x| {
            let one = b.splat_like(1.0, x);
            b.div(one, x)
        },
        0.0,
        INF,
        -INF,
    ),
    ("asin", |b, x| b.unary(Op::Asin, x), 1.0, std::f64::consts::FRAC_PI_2, INF),
    ("acos", |b, x| b.unary(Op::Acos, x), 1.0, 0.0, -INF),
    (
        "select at its border",
        |b, x| {
            let zero = b.zeros_like(x);
            let (above, twice) = (b.binary(Op::Lt, zero, x), b.scale(2.0, x));
            b.select(above, x, twice)
        },
        0.0,
        0.0,
        2.0,
    ),
    // Of equal ones the last is taken, as of the two of `max(x, y)`.
    ("largest of x and -x", |b, x| over_both(b, Op::ReduceMax, x), 0.0, 0.0, -1.0),
    ("smallest of x and -x", |b, x| over_both(b, Op::ReduceMin, x), 0.0, 0.0, -1.0),
    ("product with two zeros", |b, x| over_both(b, Op::Product, x), 0.0, 0.0, 0.0),
    ("softplus far off", |b, x| b.unary(Op::Softplus, x), -800.0, 0.0, 0.0),
    ("sigmoid far off", |b, x| b.unary(Op::Sigmoid, x), 800.0, 1.0, 0.0),
    ("tanh far off", |b, x| b.unary(Op::Tanh, x), 800.0, 1.0, 0.0),
    ("erf far off", |b, x| b.unary(Op::Erf, x), 800.0, 1.0, 0.0),
];

/// Forward, reverse and Taylor mode, alone and batched, say the same, and what the table says.
#[test]
fn every_mode_says_the_same_at_singular_points() {
    let same = |a: f64, b: f64| a == b || a.is_nan() && b.is_nan();
    let mut wrong = Vec::new();
    for (name, make, at, value, slope) in EDGES {
        let mut b = Builder::new("f");
        let x = b.param("x", Type::scalar(DType::F64));
        let y = make(&mut b, x);
        let y = b.reshape(y, Shape::scalar());
        let func = b.clone().finish(vec![("y".into(), y)]);
        let (at, one) = (Tensor::scalar(*at), Tensor::scalar(1.0));
        let forward = jvp_func(&func, &[0]).unwrap();
        let found = run(&forward, &[at.clone(), one.clone()]);
        let reverse = run(&vjp_func(&func, &[0], &[0]).unwrap(), &[at.clone(), one.clone()]);
        let step = b.scalar(1.0, DType::F64);
        let row = series(&mut b, &[(x, vec![step])], &[y], 1).unwrap().remove(0);
        let taylor = b.finish(vec![("c0".into(), row[0]), ("c1".into(), row[1])]);
        let taylor = run(&taylor, std::slice::from_ref(&at));
        let batched = batch_func(&forward, &[true, true], 2).unwrap();
        let two = |x: f64| Tensor::vector(&[x, x]);
        let batched = run(&batched, &[two(at.data[0]), two(1.0)]);
        let slopes = [found[1].data[0], reverse[0].data[0], taylor[1].data[0], batched[1].data[1]];
        let values = [found[0].data[0], taylor[0].data[0], batched[0].data[0]];
        if !slopes.iter().all(|found| same(*found, *slope))
            || !values.iter().all(|found| same(*found, *value))
        {
            wrong.push(format!("{name}: values {values:?} for {value}, derivatives {slopes:?} for {slope}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
