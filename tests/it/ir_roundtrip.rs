//! The text form of functions, and what the verifier refuses.

use crate::op_samples::samples;
use nodec::ad::{jvp_func, vjp_func};
use nodec::ir::builder::Builder;
use nodec::ir::eval::eval;
use nodec::ir::func::{Attr, Func};
use nodec::ir::op::Op;
use nodec::ir::parse::parse;
use nodec::ir::tensor::Tensor;
use nodec::ir::types::{DType, Type};
use nodec::ir::verify::verify;

fn round_trip(func: &Func) {
    verify(func).unwrap();
    let text = func.to_string();
    let back = parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(back.to_string(), text);
}

#[test]
fn text_reads_back_to_the_same_text_for_every_op_and_its_derivatives() {
    for sample in Op::ALL.iter().flat_map(|op| samples(*op)) {
        round_trip(&sample.func);
        if sample.smooth() && !sample.floats().is_empty() {
            round_trip(&jvp_func(&sample.func, &sample.floats()).unwrap());
            round_trip(&vjp_func(&sample.func, &sample.floats(), &[0]).unwrap());
        }
    }
}

#[test]
fn the_text_form_is_this() {
    let mut b = Builder::new("field");
    let x = b.param("x'", Type::new(DType::F64, &[3]));
    let k = b.param("k", Type::scalar(DType::F64));
    let scaled = b.mul(k, x);
    let total = b.sum(scaled);
    let cube = b.pow_int(total, -3);
    let table = b.constant(&[1.0, f64::INFINITY, -1e-7], Type::new(DType::F64, &[3]));
    let y = b.dot(table, x);
    let func = b.finish(vec![("cube".into(), cube), ("y".into(), y)]);
    let text = r#"func "field" ("x'": %0, "k": %1) {
  %0 = param #0 : f64[3]
  %1 = param #1 : f64
  %2 = broadcast(%1) shape [3] axes [] : f64[3]
  %3 = mul(%0, %2) : f64[3]
  %4 = sum(%3) axes [0] : f64
  %5 = pow_int(%4) ^-3 : f64
  %6 = constant [1.0, inf, -1e-7] : f64[3]
  %7 = contract(%6, %0) [0], [0] -> [] : f64
  return ("cube": %5, "y": %7)
}
"#;
    assert_eq!(func.to_string(), text);
    round_trip(&func);
}

#[test]
fn broken_functions_are_refused() {
    let refused = |text: &str, message: &str| {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    };
    let param = "func \"f\" (\"x\": %0) {\n  %0 = param #0 : f64\n";
    refused(&format!("{param}  %1 = sin(%0) : f32\n  return (\"y\": %1)\n}}"), "gives f64, not f32");
    refused(&format!("{param}  %1 = sin(%0, %0) : f64\n  return (\"y\": %1)\n}}"), "needs 1 operands");
    refused(&format!("{param}  %1 = sni(%0) : f64\n  return (\"y\": %1)\n}}"), "the name of an op");
    refused(&format!("{param}  return (\"y\": %4)\n}}"), "ports that name nodes");

    let mut b = Builder::new("f");
    let x = b.param("x", Type::scalar(DType::F64));
    let y = b.unary(Op::Sin, x);
    let mut func = b.finish(vec![("y".into(), y)]);
    func.results[0].value = x;
    assert!(verify(&func).unwrap_err().to_string().contains("no result needs it"));
}

/// Values from mpmath 1.3 at 60 digits.
#[test]
fn the_error_function_is_good_to_four_ulps() {
    let table = [
        (0.1, 0.1124629160182848922),
        (0.7, 0.67780119383741847298),
        (1.5, 0.96610514647531072707),
        (2.5, 0.99959304798255504106),
        (2.99, 0.99997647439691935977),
        (3.01, 0.99997926103636286739),
        (4.5, 0.99999999980338395585),
    ];
    let mut b = Builder::new("erf");
    let x = b.param("x", Type::scalar(DType::F64));
    let y = b.unary(Op::Erf, x);
    let func = b.finish(vec![("y".into(), y)]);
    for (x, expected) in table {
        for sign in [1.0, -1.0] {
            let value = eval(&func, &[Tensor::scalar(sign * x)]).unwrap()[0].data[0];
            assert!((value - sign * expected).abs() <= 4.0 * f64::EPSILON * expected, "{x}: {value}");
        }
    }
}

#[test]
fn each_rewrite_keeps_the_bits() {
    use nodec::opt::{optimise, rules::RULES};
    let laws = RULES.len();
    let mut b = Builder::new("laws");
    let ty = Type::new(DType::F64, &[4]);
    let (x, y) = (b.param("x", ty.clone()), b.param("y", ty));
    let (mx, my) = (b.neg(x), b.neg(y));
    let difference = b.sub(x, y);
    let (three, eight) = (b.splat_like(3.0, x), b.splat_like(8.0, x));
    let (head, tail) = (b.part(x, 0, 1), b.part(y, 1, 4));
    let first = b.must(Op::Pad, &[head], Attr::Pads([(0, 3)].as_slice().into()));
    let second = b.must(Op::Pad, &[tail], Attr::Pads([(1, 0)].as_slice().into()));
    let zeros = b.zeros_like(x);
    let beside_zeros = b.concat(&[x, zeros], 0);
    let left = [
        b.add(x, my),
        b.sub(x, my),
        b.div(mx, my),
        b.neg(difference),
        b.mul(three, mx),
        b.div(x, eight),
        b.unary(Op::Abs, mx),
        b.einsum(x, y, &[0], &[0], &[0]),
        b.sum_axes(beside_zeros, &[0]),
        b.add(first, second),
    ];
    assert_eq!(left.len(), laws, "one expression for each law");
    let args =
        [Tensor::vector(&[1.5, -0.3, 1e-300, f64::INFINITY]), Tensor::vector(&[0.7, f64::NAN, -2.0, 3.0])];
    for (rule, value) in RULES.iter().zip(left) {
        let func = b.clone().finish(vec![("y".into(), value)]);
        let better = optimise(func.clone());
        assert_ne!(better.to_string(), func.to_string(), "{} does not apply", rule.law);
        assert!(better.nodes.len() <= func.nodes.len(), "{}", rule.law);
        let bits = |func: &Func| -> Vec<u64> {
            eval(func, &args).unwrap()[0]
                .data
                .iter()
                .map(|x| if x.is_nan() { 0 } else { x.to_bits() })
                .collect()
        };
        assert_eq!(bits(&better), bits(&func), "{}", rule.law);
    }
}

#[test]
fn the_gradient_of_an_unpacked_state_is_one_vector() {
    let mut b = Builder::new("field");
    let u = b.param("u", Type::new(DType::F64, &[4]));
    let parts = b.unpack(u, &vec![nodec::ir::types::Shape::scalar(); 4]);
    let logs: Vec<_> = parts.iter().map(|x| b.unary(Op::Log, *x)).collect();
    let y = logs.into_iter().reduce(|sum, x| b.add(sum, x)).unwrap();
    let func = b.finish(vec![("y".into(), y)]);
    let gradient = nodec::opt::optimise(vjp_func(&func, &[0], &[0]).unwrap());
    assert!(gradient.nodes.iter().all(|node| !matches!(node.op, Op::Pad | Op::Add)), "{gradient}");
    let values = eval(&gradient, &[Tensor::vector(&[1.0, 2.0, 4.0, 8.0]), Tensor::scalar(1.0)]).unwrap();
    assert_eq!(values[0].data, [1.0, 0.5, 0.25, 0.125]);
}

#[test]
fn folding_keeps_infinities_and_nans() {
    let mut b = Builder::new("f");
    let x = b.param("x", Type::scalar(DType::F64));
    let zero = b.zeros_like(x);
    let product = b.mul(zero, x);
    let difference = b.sub(x, x);
    let func = b.finish(vec![("p".into(), product), ("d".into(), difference)]);
    let values = eval(&func, &[Tensor::scalar(f64::INFINITY)]).unwrap();
    assert!(values.iter().all(|v| v.data[0].is_nan()));
}

#[test]
fn packing_what_was_unpacked_is_nothing() {
    let mut b = Builder::new("f");
    let u = b.param("u", Type::new(DType::F64, &[6]));
    let shapes = [&[][..], &[2, 2], &[1]].map(nodec::ir::types::Shape::new);
    let parts = b.unpack(u, &shapes);
    assert_eq!(b.pack(&parts, DType::F64), u);
    // And the other way round.
    let (x, y) = (b.param("x", Type::scalar(DType::F64)), b.param("y", Type::new(DType::F64, &[2, 2])));
    let packed = b.pack(&[x, y], DType::F64);
    assert_eq!(b.unpack(packed, &shapes[..2]), [x, y]);
    assert_eq!(b.must(Op::Convert, &[x], Attr::To(DType::F64)), x);
}

#[test]
fn a_function_of_other_params_is_the_same_however_its_nodes_are_copied() {
    let mut b = Builder::new("f");
    let [x, y, z] = ["x", "y", "z"].map(|name| b.param(name, Type::scalar(DType::F64)));
    let (sum, double) = (b.add(x, y), b.scale(2.0, z));
    let product = b.mul(sum, double);
    let rest = b.sub(product, x);
    let both = b.mul(rest, sum);
    let func = b.finish(vec![("rest".into(), rest), ("both".into(), both)]);
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let copied = |is_alone: bool| {
            let mut b = Builder::new("g");
            let params = ["a", "b", "c"].map(|name| b.param(name, Type::scalar(DType::F64)));
            if !is_alone {
                // Beside a node that nobody needs every other is looked up and folded anew.
                b.unary(Op::Sin, params[0]);
            }
            let args = order.map(|at: usize| params[at]);
            let results = b.inline(&func, &args);
            let again = [b.add(args[1], args[0]), b.mul(results[0], results[1])];
            let results = results.into_iter().chain(again).enumerate();
            b.finish(results.map(|(at, value)| (format!("r{at}").into(), value)).collect()).to_string()
        };
        assert_eq!(copied(true), copied(false), "{order:?}");
    }
}
