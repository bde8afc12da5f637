//! Accuracy of the transcendental expansions against high-precision values, and their special values.
//!
//! `math_reference.txt` holds, one a line, the function, the bits of its arguments, the bits of the
//! exact value rounded to a double, and the rest of the exact value in units in the last place.
//! It was computed with mpmath (60 to 700 digits) at random arguments over the whole domain:
//! dense near the critical points, logarithmic down to subnormals, huge for the trigonometric ones.

use nodec::backend::interp::Interp;
use nodec::backend::{self, Backend, Executable, Input, Output, Workspace};
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
