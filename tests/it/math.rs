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
use nodec::lower::math::{expand, pow_int};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Function, largest error in ulps over its domain.
const BOUNDS: [(&str, ScalarOp, f64); 17] = [
    ("exp", ScalarOp::Exp, 1.0),
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
    let target = Target { fma };
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

/// Values where there is nothing to round: C23, annex F.10, and limits for the functions it lacks.
#[test]
fn special_values_are_those_of_the_standard() {
    use std::f64::consts::{FRAC_PI_2, LN_2, PI};
    let (inf, nan, tiny) = (f64::INFINITY, f64::NAN, f64::from_bits(1));
    let odd = [(0.0, 0.0), (-0.0, -0.0), (tiny, tiny), (-tiny, -tiny)];
    let even = [(0.0, 1.0), (-0.0, 1.0), (tiny, 1.0)];
    let cases: [(ScalarOp, &[(f64, f64)], &[(f64, f64)]); 16] = [
        (ScalarOp::Exp, &even, &[(-inf, 0.0), (inf, inf), (710.0, inf), (-746.0, 0.0), (-745.0, tiny)]),
        (ScalarOp::Expm1, &odd, &[(-inf, -1.0), (inf, inf), (710.0, inf), (-50.0, -1.0)]),
        (ScalarOp::Log, &[], &[(0.0, -inf), (-0.0, -inf), (1.0, 0.0), (-tiny, nan), (-inf, nan), (inf, inf)]),
        (ScalarOp::Log1p, &odd, &[(-1.0, -inf), (-1.5, nan), (-inf, nan), (inf, inf)]),
        (ScalarOp::Sin, &odd, &[(inf, nan), (-inf, nan)]),
        (ScalarOp::Cos, &even, &[(inf, nan), (-inf, nan)]),
        (ScalarOp::Tan, &odd, &[(inf, nan), (-inf, nan)]),
        (ScalarOp::Tanh, &odd, &[(inf, 1.0), (-inf, -1.0), (30.0, 1.0)]),
        (ScalarOp::Sinh, &odd, &[(inf, inf), (-inf, -inf), (711.0, inf), (-711.0, -inf)]),
        (ScalarOp::Cosh, &even, &[(inf, inf), (-inf, inf), (-711.0, inf)]),
        (ScalarOp::Atan, &odd, &[(inf, FRAC_PI_2), (-inf, -FRAC_PI_2), (1e300, FRAC_PI_2)]),
        (ScalarOp::Asin, &odd, &[(1.0, FRAC_PI_2), (-1.0, -FRAC_PI_2), (1.5, nan), (-inf, nan)]),
        (ScalarOp::Acos, &[], &[(1.0, 0.0), (-1.0, PI), (0.0, FRAC_PI_2), (1.5, nan), (inf, nan)]),
        (
            ScalarOp::Sigmoid,
            &[],
            &[(0.0, 0.5), (-0.0, 0.5), (inf, 1.0), (-inf, 0.0), (-746.0, 0.0), (50.0, 1.0)],
        ),
        (ScalarOp::Softplus, &[], &[(0.0, LN_2), (-0.0, LN_2), (inf, inf), (-inf, 0.0), (1e300, 1e300)]),
        // 2/sqrt(pi) times the smallest number rounds to the smallest number.
        (ScalarOp::Erf, &odd, &[(inf, 1.0), (-inf, -1.0), (7.0, 1.0)]),
    ];
    for (op, common, own) in cases {
        let (x, expected): (Vec<f64>, Vec<f64>) =
            common.iter().chain(own).chain(&[(nan, nan)]).copied().unzip();
        for fma in [true, false] {
            for ((x, y), got) in x.iter().zip(&expected).zip(evaluate(op, &[x.clone()], fma)) {
                let same = got.to_bits() == y.to_bits() || (got.is_nan() && y.is_nan());
                assert!(same, "{op:?} of {x:?} is {got:?}, not {y:?} (fma {fma})");
            }
        }
    }
}

/// IEEE 754-2019, 9.2.1, in the form of C23, F.10.4.5.
#[test]
fn special_powers_are_those_of_the_standard() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let cases = [
        (0.0, -3.0, inf),
        (-0.0, -3.0, -inf),
        (-0.0, -2.0, inf),
        (-0.0, -2.5, inf),
        (0.0, -inf, inf),
        (-0.0, -inf, inf),
        (0.0, 3.0, 0.0),
        (-0.0, 3.0, -0.0),
        (-0.0, 2.0, 0.0),
        (-0.0, 2.5, 0.0),
        (-1.0, inf, 1.0),
        (-1.0, -inf, 1.0),
        (1.0, nan, 1.0),
        (1.0, inf, 1.0),
        (nan, 0.0, 1.0),
        (nan, -0.0, 1.0),
        (inf, 0.0, 1.0),
        (-2.0, 0.5, nan),
        (0.5, -inf, inf),
        (-0.5, -inf, inf),
        (2.0, -inf, 0.0),
        (-2.0, -inf, 0.0),
        (0.5, inf, 0.0),
        (2.0, inf, inf),
        (-2.0, inf, inf),
        (-inf, -3.0, -0.0),
        (-inf, -2.0, 0.0),
        (-inf, -2.5, 0.0),
        (-inf, 3.0, -inf),
        (-inf, 2.0, inf),
        (-inf, 2.5, inf),
        (inf, -1.0, 0.0),
        (inf, 0.5, inf),
        (nan, 1.0, nan),
        (2.0, nan, nan),
        (-2.0, 3.0, -8.0),
        (-2.0, 2.0, 4.0),
        // The sum of two odd halves, beyond 2^53 every number is even.
        (-2.0, 1e300, inf),
        (2.0, 1024.0, inf),
        (2.0, -1074.0, f64::from_bits(1)),
        (2.0, -1076.0, 0.0),
        (-2.0, -1077.0, -0.0),
        (10.0, 22.0, 1e22),
    ];
    let x = cases.map(|case| case.0).to_vec();
    let y = cases.map(|case| case.1).to_vec();
    for fma in [true, false] {
        for ((x, y, expected), got) in
            cases.into_iter().zip(evaluate(ScalarOp::Pow, &[x.clone(), y.clone()], fma))
        {
            let same = got.to_bits() == expected.to_bits() || (got.is_nan() && expected.is_nan());
            assert!(same, "{x:?}^{y:?} is {got:?}, not {expected:?} (fma {fma})");
        }
    }
}

/// In `f32` a function is computed in `f64` and rounded once: at the table's arguments it is the
/// exact value rounded, but for values within 2.5·2^-29 of a tie, of which there are none here.
#[test]
fn single_precision_is_the_double_rounded() {
    let samples = samples();
    for (name, op, _) in BOUNDS {
        let samples = &samples[name];
        let columns: Vec<Vec<f32>> = (0..samples[0].args.len())
            .map(|i| samples.iter().map(|sample| sample.args[i] as f32).collect())
            .collect();
        let wide: Vec<Vec<f64>> =
            columns.iter().map(|column| column.iter().map(|x| f64::from(*x)).collect()).collect();
        for fma in [true, false] {
            let target = Target { fma };
            let exact = evaluate(op, &wide, fma);
            let func = elementwise(op, columns.len(), columns[0].len(), DType::F32, target);
            let backends = backend::all();
            for backend in &backends {
                let module = Arc::new(LoopModule { funcs: vec![func.clone()] });
                let mut result = vec![0.0_f32; exact.len()];
                let inputs: Vec<Input<'_>> = columns.iter().map(|column| Input::F32(column)).collect();
                let outputs = &mut [Output::F32(&mut result)];
                backend.compile(module).unwrap().call(0, &inputs, outputs, &mut Workspace::default());
                for (got, exact) in result.iter().zip(&exact) {
                    let same = got.to_bits() == (*exact as f32).to_bits() || (got.is_nan() && exact.is_nan());
                    assert!(same, "{name}: {got:?} is not {exact:?} rounded");
                }
            }
        }
    }
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
        (f64::NAN, 0, 1.0),
        (f64::INFINITY, 0, 1.0),
        (-0.0, 3, -0.0),
        (-0.0, -3, f64::NEG_INFINITY),
        (2.0, i32::MAX, f64::INFINITY),
        (2.0, i32::MIN, 0.0),
    ];
    for (x, n, expected) in cases {
        let code = Code::new(Target { fma: true });
        let input = code.buffer("x", DType::F64, 1, BufferKind::Input);
        let output = code.buffer("y", DType::F64, 1, BufferKind::Output);
        let power = pow_int(&code, code.load(input, Index::default()), n);
        code.store(output, Index::default(), power);
        let func = code.finish("power");
        for backend in backend::all() {
            let got = run64(backend.as_ref(), func.clone(), &[vec![x]])[0];
            assert_eq!(got.to_bits(), expected.to_bits(), "{x}^{n} is {got}");
        }
    }
}
