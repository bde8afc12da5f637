//! Accuracy of the transcendental expansions against high-precision values, and their special values.
//!
//! `math_reference.txt` holds, one a line, the function, the bits of its arguments, the bits of the
//! exact value rounded to a double, and the rest of the exact value in units in the last place.
//! It was computed with mpmath (60 to 700 digits) at random arguments over the whole domain:
//! dense near the critical points, logarithmic down to subnormals, huge for the trigonometric ones.

use nodec::backend::interp::Interp;
use nodec::backend::{self, Backend, Input, Output, Workspace};
use nodec::ir::op::ScalarOp;
use nodec::lower::code::Code;
use nodec::lower::loops::{BufferKind, DType, Index, LoopFunc, LoopModule, Target};
use nodec::lower::math::{expand, polygamma, pow_int};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Function, largest error in ulps over its domain.
const BOUNDS: [(&str, ScalarOp, f64); 19] = [
    ("exp", ScalarOp::Exp, 1.1),
    ("expm1", ScalarOp::Expm1, 2.0),
    ("log", ScalarOp::Log, 1.0),
    ("log1p", ScalarOp::Log1p, 1.5),
    ("sin", ScalarOp::Sin, 1.0),
    ("cos", ScalarOp::Cos, 1.0),
    ("tan", ScalarOp::Tan, 2.0),
    ("tanh", ScalarOp::Tanh, 2.0),
    ("sinh", ScalarOp::Sinh, 2.0),
    ("cosh", ScalarOp::Cosh, 2.0),
    ("atan", ScalarOp::Atan, 1.0),
    ("asin", ScalarOp::Asin, 1.5),
    ("acos", ScalarOp::Acos, 1.5),
    ("sigmoid", ScalarOp::Sigmoid, 2.5),
    ("softplus", ScalarOp::Softplus, 2.0),
    ("erf", ScalarOp::Erf, 1.5),
    ("pow", ScalarOp::Pow, 1.0),
    ("lgamma", ScalarOp::Lgamma, 2.0),
    ("digamma", ScalarOp::Digamma, 2.5),
];

/// `z[i] = op(x[i], y[i])` (or of `x[i]` alone) for vectors of `n`.
fn elementwise(op: ScalarOp, n_args: usize, n: usize, dtype: DType, target: Target) -> LoopFunc {
    let code = Code::new(target);
    let inputs: Vec<_> =
        (0..n_args).map(|i| code.buffer(&format!("x{i}"), dtype, n, BufferKind::Input)).collect();
    let output = code.buffer("y", dtype, n, BufferKind::Output);
    let var = code.open_loop();
    let index = Index { terms: [(var, 1)].into_iter().collect(), ..Index::default() };
    let args: Vec<_> = inputs.iter().map(|input| code.load(*input, index.clone())).collect();
    code.store(output, index, expand(&code, op, &args).expect("an op with an expansion"));
    code.close_loop(n, &[]);
    code.finish("elementwise")
}

fn run64(backend: &dyn Backend, func: LoopFunc, args: &[Vec<f64>]) -> Vec<f64> {
    let module = Arc::new(LoopModule { funcs: vec![func] });
    let executable = backend.compile(module).expect("the function compiles");
    let mut result = vec![0.0; args[0].len()];
    let inputs: Vec<Input<'_>> = args.iter().map(|arg| Input::F64(arg)).collect();
    executable.call(0, &inputs, &mut [Output::F64(&mut result)], &mut Workspace::default());
    result
}

/// Evaluates on every back end, checks that they agree bit for bit, and gives the result.
fn evaluate(op: ScalarOp, args: &[Vec<f64>], fma: bool) -> Vec<f64> {
    let target = Target::new(fma);
    let func = elementwise(op, args.len(), args[0].len(), DType::F64, target);
    let expected = run64(&Interp::new(target), func.clone(), args);
    for backend in backend::all() {
        let got = run64(backend.as_ref(), func.clone(), args);
        for (i, (a, b)) in expected.iter().zip(&got).enumerate() {
            assert!(
                a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
                "{op:?} of {:?}: interp {a:?}, {} {b:?}",
                args.iter().map(|arg| arg[i]).collect::<Vec<_>>(),
                backend.name(),
            );
        }
    }
    expected
}

/// Distance of neighbours at `x`.
fn ulp(x: f64) -> f64 {
    let exponent = (x.to_bits() >> 52 & 0x7ff).max(1) as i32;
    f64::from_bits(1) * 2.0_f64.powi(exponent - 1)
}

struct Sample {
    args: Vec<f64>,
    value: f64,
    rest: f64,
}

fn samples() -> BTreeMap<String, Vec<Sample>> {
    // A larger table can be given for a survey.
    let text = match std::env::var_os("MATH_REFERENCE") {
        Some(path) => std::fs::read_to_string(path).expect("a readable table"),
        None => include_str!("math_reference.txt").to_owned(),
    };
    let mut samples: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let bits = |word: &str| f64::from_bits(u64::from_str_radix(word, 16).expect("hexadecimal"));
        let [name, args @ .., value, rest] = words.as_slice() else { panic!("a malformed line") };
        samples.entry((*name).to_owned()).or_default().push(Sample {
            args: args.iter().map(|word| bits(word)).collect(),
            value: bits(value),
            rest: rest.parse().expect("a number"),
        });
    }
    samples
}

#[test]
fn errors_stay_below_the_documented_bounds() {
    let samples = samples();
    let mut report = Vec::new();
    for (name, op, bound) in BOUNDS {
        let samples = &samples[name];
        let n_args = samples[0].args.len();
        let columns: Vec<Vec<f64>> =
            (0..n_args).map(|i| samples.iter().map(|sample| sample.args[i]).collect()).collect();
        for fma in [true, false] {
            let got = evaluate(op, &columns, fma);
            let (mut worst, mut at) = (0.0_f64, &samples[0]);
            for (sample, got) in samples.iter().zip(got) {
                let error = ((got - sample.value) / ulp(sample.value) - sample.rest).abs();
                if error.is_nan() || error > worst {
                    (worst, at) = (if error.is_nan() { f64::INFINITY } else { error }, sample);
                }
            }
            report.push(format!("{name:9} fma {fma:5}: {worst:.3} ulp of {bound} at {:?}", at.args));
            assert!(worst <= bound, "{}", report.join("\n"));
        }
    }
    println!("{}", report.join("\n"));
}

/// `polygamma` of every order in the table, to `4 n + 2` units in the last place.
#[test]
fn polygamma_stays_below_its_bound() {
    for (name, samples) in samples() {
        let Some(order) = name.strip_prefix("polygamma") else { continue };
        let order: u32 = order.parse().expect("an order");
        let code = Code::new(Target::new(false));
        let input = code.buffer("x", DType::F64, samples.len(), BufferKind::Input);
        let output = code.buffer("y", DType::F64, samples.len(), BufferKind::Output);
        let var = code.open_loop();
        let index = Index { terms: [(var, 1)].into_iter().collect(), ..Index::default() };
        let x = code.load(input, index.clone());
        code.store(output, index, polygamma(&code, x, order));
        code.close_loop(samples.len(), &[]);
        let func = code.finish("polygamma");
        let args = vec![samples.iter().map(|sample| sample.args[0]).collect::<Vec<f64>>()];
        let expected = run64(&Interp::new(Target::new(false)), func.clone(), &args);
        for backend in backend::all() {
            assert_eq!(run64(backend.as_ref(), func.clone(), &args), expected, "{}", backend.name());
        }
        for (sample, got) in samples.iter().zip(expected) {
            let error = ((got - sample.value) / ulp(sample.value) - sample.rest).abs();
            assert!(error <= f64::from(4 * order + 2), "{name} of {:?}: {error} ulp", sample.args);
        }
    }
}

/// One value of an op on every back end, fused or not.
fn value(op: ScalarOp, args: &[f64]) -> f64 {
    let columns: Vec<Vec<f64>> = args.iter().map(|arg| vec![*arg]).collect();
    let [fused, plain] = [true, false].map(|fma| evaluate(op, &columns, fma)[0]);
    assert!(
        fused == plain && fused.is_sign_negative() == plain.is_sign_negative()
            || fused.is_nan() && plain.is_nan()
    );
    fused
}

/// Checks a value with the sign of zero; NaN equals NaN.
fn check(op: ScalarOp, args: &[f64], expected: f64) {
    let got = value(op, args);
    let same = got.to_bits() == expected.to_bits() || (got.is_nan() && expected.is_nan());
    assert!(same, "{op:?} of {args:?}: {got:?}, not {expected:?}");
}

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

/// IEEE 754-2019, 9.2.1, and the limits of the functions it does not list.
#[test]
fn special_values() {
    use ScalarOp::*;
    for op in [Expm1, Log1p, Sin, Tan, Tanh, Sinh, Atan, Asin, Erf] {
        check(op, &[0.0], 0.0);
        check(op, &[-0.0], -0.0);
        check(op, &[5e-324], 5e-324 * if op == Erf { 1.128 } else { 1.0 });
    }
    for op in BOUNDS.map(|(_, op, _)| op).into_iter().filter(|op| *op != Pow) {
        check(op, &[NAN], NAN);
    }
    let half_pi = std::f64::consts::FRAC_PI_2;
    let at_infinity = [
        (Exp, 0.0, INF),
        (Expm1, -1.0, INF),
        (Log, NAN, INF),
        (Log1p, NAN, INF),
        (Sin, NAN, NAN),
        (Cos, NAN, NAN),
        (Tan, NAN, NAN),
        (Tanh, -1.0, 1.0),
        (Sinh, -INF, INF),
        (Cosh, INF, INF),
        (Atan, -half_pi, half_pi),
        (Asin, NAN, NAN),
        (Acos, NAN, NAN),
        (Sigmoid, 0.0, 1.0),
        (Softplus, 0.0, INF),
        (Erf, -1.0, 1.0),
        (Lgamma, NAN, INF),
        (Digamma, NAN, INF),
    ];
    for (op, below, above) in at_infinity {
        check(op, &[-INF], below);
        check(op, &[INF], above);
    }
    check(Log, &[0.0], -INF);
    check(Log, &[-0.0], -INF);
    check(Log, &[-1.0], NAN);
    check(Log, &[1.0], 0.0);
    check(Log1p, &[-1.0], -INF);
    check(Log1p, &[-1.5], NAN);
    check(Exp, &[0.0], 1.0);
    // The last arguments before overflow and underflow: log(2^1024) and log(2^-1075).
    check(Exp, &[709.782712893384], 1.7976931348622732e308);
    check(Exp, &[709.7827128933841], INF);
    check(Exp, &[-745.1332191019412], 0.0);
    check(Exp, &[-745.1332191019411], 5e-324);
    check(Cos, &[0.0], 1.0);
    check(Cosh, &[0.0], 1.0);
    check(Acos, &[1.0], 0.0);
    check(Acos, &[-1.0], std::f64::consts::PI);
    check(Asin, &[1.0], half_pi);
    check(Asin, &[1.5], NAN);
    check(Lgamma, &[0.0], INF);
    check(Lgamma, &[1.0], 0.0);
    check(Lgamma, &[2.0], 0.0);
    check(Lgamma, &[-0.5], NAN);
    check(Digamma, &[0.0], -INF);
    check(Digamma, &[-0.5], NAN);
    check(Acos, &[-1.5], NAN);
}

/// The table of IEEE 754-2019, 9.2.1, for `pow`.
#[test]
fn special_values_of_pow() {
    let pow = |x: f64, y: f64, expected: f64| check(ScalarOp::Pow, &[x, y], expected);
    for x in [0.0, -0.0, 1.0, -1.0, INF, -INF, NAN, 0.3, -7.5] {
        pow(x, 0.0, 1.0);
        pow(x, -0.0, 1.0);
    }
    for y in [INF, -INF, NAN, 0.3, -7.5, 1e300] {
        pow(1.0, y, 1.0);
    }
    pow(NAN, 1.0, NAN);
    pow(2.0, NAN, NAN);
    for (y, of_positive, of_negative) in [
        (3.0, 0.0, -0.0),
        (2.0, 0.0, 0.0),
        (0.5, 0.0, 0.0),
        (-3.0, INF, -INF),
        (-2.0, INF, INF),
        (-0.5, INF, INF),
    ] {
        pow(0.0, y, of_positive);
        pow(-0.0, y, of_negative);
        pow(INF, -y, of_positive);
        pow(-INF, -y, of_negative);
    }
    pow(-1.0, INF, 1.0);
    pow(-1.0, -INF, 1.0);
    for (x, to_infinity, to_minus_infinity) in
        [(0.5, 0.0, INF), (-0.5, 0.0, INF), (2.0, INF, 0.0), (-2.0, INF, 0.0)]
    {
        pow(x, INF, to_infinity);
        pow(x, -INF, to_minus_infinity);
    }
    pow(-8.0, 1.0 / 3.0, NAN);
    pow(-2.0, 3.0, -8.0);
    pow(-2.0, 1023.0, -(2.0_f64.powi(1023)));
    pow(2.0, -1074.0, 5e-324);
    pow(2.0, -1076.0, 0.0);
    pow(2.0, 1024.0, INF);
    // Every double from 2^53 on is even.
    pow(-2.0, -9_007_199_254_740_992.0, 0.0);
    // (1 + 2^-52)^(2^52) = e·(1 - 2^-53 + …), which rounds to the double nearest to e.
    pow(1.0 + f64::EPSILON, 4_503_599_627_370_496.0, std::f64::consts::E);
}

/// `z[i] = x[i]^p` for a constant `p`.
fn constant_power(p: f64, n: usize, dtype: DType) -> LoopFunc {
    let code = Code::new(Target::new(true));
    let (x, z) =
        (code.buffer("x", dtype, n, BufferKind::Input), code.buffer("z", dtype, n, BufferKind::Output));
    let var = code.open_loop();
    let index = Index { terms: [(var, 1)].into_iter().collect(), ..Index::default() };
    let args = [code.load(x, index.clone()), code.number(dtype, p)];
    code.store(z, index, expand(&code, ScalarOp::Pow, &args).expect("an op with an expansion"));
    code.close_loop(n, &[]);
    code.finish("power")
}

/// Constant exponents of ±1/2, ±3/2 and ±5/2: of squares in `f64`, whose powers are powers of their roots,
/// and of all sizes in `f32`, beside `powf` of the host in `f64`. Special values: IEEE 754-2019, 9.2.1.
#[test]
fn powers_of_halves_are_within_two_ulps() {
    let special = [(0.0, 0.0), (-0.0, 0.0), (INF, INF), (-INF, INF), (-1.0, NAN), (NAN, NAN), (1.0, 1.0)];
    for (p, n) in [(0.5, 1_i32), (1.5, 3), (2.5, 5), (-0.5, -1), (-1.5, -3), (-2.5, -5)] {
        let roots: Vec<f64> = (1..1400).map(f64::from).collect();
        let mut xs: Vec<f64> = roots.iter().map(|root| root * root).collect();
        xs.extend(special.map(|(x, _)| x));
        let got =
            run64(&Interp::new(Target::new(true)), constant_power(p, xs.len(), DType::F64), &[xs.clone()]);
        for (root, got) in roots.iter().zip(&got) {
            // m^5 is below 2^53, so that the power and its reciprocal are exact and correctly rounded.
            let whole = root.powi(n.abs());
            let exact = if n < 0 { 1.0 / whole } else { whole };
            assert!((got - exact).abs() <= 2.0 * f64::EPSILON * exact, "({root}^2)^{p}: {got} for {exact}");
        }
        for ((x, expected), got) in special.iter().zip(&got[roots.len()..]) {
            let expected = if n < 0 { 1.0 / expected } else { *expected };
            let same = got.to_bits() == expected.to_bits() || (got.is_nan() && expected.is_nan());
            assert!(same, "{x}^{p}: {got} for {expected}");
        }

        let xs: Vec<f32> = (0..0x7f80_0000_u32).step_by(100_003).map(f32::from_bits).collect();
        let module = LoopModule { funcs: vec![constant_power(p, xs.len(), DType::F32)] };
        let executable =
            Interp::new(Target::new(true)).compile(Arc::new(module)).expect("the function compiles");
        let mut got = vec![0.0_f32; xs.len()];
        executable.call(0, &[Input::F32(&xs)], &mut [Output::F32(&mut got)], &mut Workspace::default());
        for (x, got) in xs.iter().zip(&got) {
            let exact = f64::from(*x).powf(p);
            let ordinary = exact >= f64::from(f32::MIN_POSITIVE) && exact <= f64::from(f32::MAX);
            if !ordinary || !x.is_normal() {
                continue;
            }
            let unit = f64::from(f32::from_bits((exact as f32).to_bits() + 1)) - f64::from(exact as f32);
            assert!((f64::from(*got) - exact).abs() <= 2.0 * unit, "{x}^{p}: {got} for {exact}");
        }
    }
}

/// Functions that `f32` has expansions of its own for, and their largest errors in ulps, with and
/// without fused multiply-add.
const SINGLE: [(ScalarOp, [f64; 2]); 8] = [
    (ScalarOp::Exp, [2.0, 2.0]),
    (ScalarOp::Expm1, [2.0, 2.0]),
    (ScalarOp::Tanh, [1.5, 1.5]),
    (ScalarOp::Sigmoid, [2.0, 2.0]),
    (ScalarOp::Softplus, [2.0, 2.5]),
    (ScalarOp::Log, [1.0, 1.0]),
    (ScalarOp::Log1p, [1.0, 1.0]),
    (ScalarOp::Erf, [1.5, 1.5]),
];

/// `op` of `f32` numbers on these back ends, which agree to the last bit.
fn evaluate_single(
    backends: &[Arc<dyn Backend>],
    op: ScalarOp,
    n_args: usize,
    xs: &[f32],
    fma: bool,
) -> Vec<f32> {
    let func = elementwise(op, n_args, xs.len(), DType::F32, Target::new(fma));
    let module = Arc::new(LoopModule { funcs: vec![func] });
    let mut results = backends.iter().map(|backend| {
        let executable = backend.compile(module.clone()).expect("the function compiles");
        let mut got = vec![0.0_f32; xs.len()];
        let inputs: Vec<Input<'_>> = (0..n_args).map(|_| Input::F32(xs)).collect();
        executable.call(0, &inputs, &mut [Output::F32(&mut got)], &mut Workspace::default());
        got
    });
    let first = results.next().expect("there is a back end");
    for other in results {
        for (i, (a, b)) in first.iter().zip(&other).enumerate() {
            assert!(a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()), "{op:?} of {}: {a} {b}", xs[i]);
        }
    }
    first
}

/// `f32` functions without expansions of their own are the `f64` ones rounded once.
#[test]
fn single_precision_rounds_the_double_result() {
    let xs: Vec<f32> = (-40..40).map(|i| i as f32 * 0.173).collect();
    let wide: Vec<f64> = xs.iter().map(|x| f64::from(*x)).collect();
    for (_, op, _) in BOUNDS {
        if SINGLE.iter().any(|(own, _)| *own == op) {
            continue;
        }
        let n_args = if op == ScalarOp::Pow { 2 } else { 1 };
        let expected = evaluate(op, &vec![wide.clone(); n_args], true);
        for (a, b) in expected.iter().zip(evaluate_single(&backend::all(), op, n_args, &xs, true)) {
            assert!((*a as f32).to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()), "{op:?}: {a} {b}");
        }
    }
}

/// Numbers of all sizes and signs, subnormals, infinities and NaN among them, and more where the
/// functions bend. The exact value is that of the `f64` function, which is known to 2^-28 ulps of `f32`.
#[test]
fn functions_of_single_precision_stay_below_their_bounds() {
    // Every nth number: all 2^32 of them, in pieces, with `SINGLE_STEP=1`.
    let step: u32 = std::env::var("SINGLE_STEP").map_or(1_000_003, |step| step.parse().expect("a step"));
    let mut all = (0..=u32::MAX).step_by(step as usize).map(f32::from_bits).peekable();
    let bends = (-22_000..22_000).map(|i| (i as f32 * 0.0049).sinh() * 1e-3 + i as f32 * 0.004_771);
    let edges =
        [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MIN_POSITIVE, 1.0, -1.0, f32::MAX];
    // Every back end for these, the fastest for all others.
    let (every, fastest) = (backend::all(), backend::all().pop().expect("there is a back end"));
    let mut pieces: Vec<Vec<f32>> = vec![edges.into_iter().chain(bends.step_by(7)).collect()];
    let mut worst: Vec<(f64, f32)> = vec![(0.0, 0.0); SINGLE.len()];
    loop {
        let (backends, xs) = match (pieces.pop(), all.peek()) {
            (Some(xs), _) => (&every[..], xs),
            (None, Some(_)) => (std::slice::from_ref(&fastest), all.by_ref().take(1 << 22).collect()),
            (None, None) => break,
        };
        let wide: Vec<f64> = xs.iter().map(|x| f64::from(*x)).collect();
        for ((op, bounds), worst) in SINGLE.iter().zip(&mut worst) {
            let func = elementwise(*op, 1, wide.len(), DType::F64, Target::new(true));
            let exact = run64(fastest.as_ref(), func, std::slice::from_ref(&wide));
            for (fma, bound) in [true, false].into_iter().zip(bounds) {
                for ((x, exact), got) in
                    xs.iter().zip(&exact).zip(evaluate_single(backends, *op, 1, &xs, fma))
                {
                    let rounded = *exact as f32;
                    if !rounded.is_finite() || *exact == 0.0 {
                        let same = rounded.to_bits() == got.to_bits() || rounded.is_nan() && got.is_nan();
                        // Just beyond the largest number, that is as good.
                        let edge = rounded.is_infinite() && exact.is_finite() && got == f32::MAX;
                        assert!(same || edge, "{op:?} of {x:?}, fma {fma}: {got:?}, not {rounded:?}");
                        continue;
                    }
                    // The distance of neighbours at the exact value.
                    let unit = 2.0_f64.powi((exact.abs().log2().floor() as i32).max(-126) - 23);
                    let error = (f64::from(got) - exact).abs() / unit;
                    assert!(
                        error <= *bound,
                        "{op:?} of {x:?}, fma {fma}: {got:?} for {exact:?}, {error} ulp"
                    );
                    *worst = if error > worst.0 { (error, *x) } else { *worst };
                }
            }
        }
    }
    println!("{:?}", SINGLE.iter().zip(&worst).collect::<Vec<_>>());
}

/// Integer powers of small integers are exact; `x^0 = 1` for every `x` (`pown` of IEEE 754-2019).
#[test]
fn integer_powers_are_exact_where_they_can_be() {
    let cases = [
        (3.0, 5, 243.0),
        (-3.0, 3, -27.0),
        (2.0, -3, 0.125),
        (-2.0, -1, -0.5),
        (7.0, 11, 1_977_326_743.0),
        (NAN, 0, 1.0),
        (INF, 0, 1.0),
        (-0.0, 3, -0.0),
        (-0.0, -3, -INF),
        (2.0, i32::MAX, INF),
        (2.0, i32::MIN, 0.0),
    ];
    for (x, n, expected) in cases {
        let code = Code::new(Target::new(true));
        let input = code.buffer("x", DType::F64, 1, BufferKind::Input);
        let output = code.buffer("y", DType::F64, 1, BufferKind::Output);
        let power = pow_int(&code, code.load(input, Index::default()), n);
        code.store(output, Index::default(), power);
        let func = code.finish("power");
        for backend in backend::all() {
            let got = run64(backend.as_ref(), func.clone(), &[vec![x]])[0];
            assert_eq!(got.to_bits(), f64::to_bits(expected), "{x}^{n} is {got}");
        }
    }
}
