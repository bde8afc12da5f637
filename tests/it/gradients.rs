//! Forward and reverse derivatives of every op, against differences, against each other and nested.

use crate::op_samples::{Sample, Stream, samples};
use nodec::ad::{AdError, batch_func, expand, jvp, jvp_func, series, vjp, vjp_func};
use nodec::ir::builder::Builder;
use nodec::ir::eval::eval;
use nodec::ir::func::{Attr, Func, ValueId};
use nodec::ir::op::{Domain, Lowering, Op};
use nodec::ir::tensor::Tensor;
use nodec::ir::types::{DType, Shape, Type};
use nodec::ir::verify::verify;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::sync::Arc;

const UNIT: Domain = Domain { lo: -1.0, hi: 1.0, singular: "" };

fn run(func: &Func, args: &[Tensor]) -> Vec<Tensor> {
    verify(func).unwrap_or_else(|error| panic!("{error}\n{func}"));
    eval(func, args).unwrap()
}

/// The largest difference of two tensors, relative to their size (at least 1).
fn distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.ty, b.ty);
    let gap = |(x, y): (&f64, &f64)| if x == y { 0.0 } else { (x - y).abs() };
    let size = a.data.iter().chain(&b.data).fold(1.0, |m: f64, x| m.max(x.abs()));
    a.data.iter().zip(&b.data).map(gap).fold(0.0, |m: f64, d| if d > m || d.is_nan() { d } else { m }) / size
}

fn inner(a: &[Tensor], b: &[Tensor]) -> f64 {
    let flat = |t: &[Tensor]| t.iter().flat_map(|t| t.data.clone()).collect::<Vec<f64>>();
    flat(a).iter().zip(flat(b)).map(|(x, y)| x * y).sum()
}

fn directions(sample: &Sample, seed: u64) -> Vec<Tensor> {
    let mut stream = Stream(seed);
    sample.floats().iter().map(|i| stream.tensor(&sample.args[*i].ty, &UNIT)).collect()
}

fn smooth_samples() -> impl Iterator<Item = (Op, Sample)> {
    let all = Op::ALL.iter().flat_map(|op| samples(*op).into_iter().map(|sample| (*op, sample)));
    all.filter(|(_, sample)| sample.smooth() && !sample.floats().is_empty())
}

#[test]
fn every_op_has_samples_or_is_a_leaf_or_a_request() {
    for op in Op::ALL {
        let exempt = matches!(op, Op::Param | Op::Constant) || op.def().lowering == Lowering::Expanded;
        assert_eq!(samples(*op).is_empty(), exempt, "{}", op.def().name);
    }
}

/// Central differences with h = 1e-5 are off by h² f‴/6 ~ 1e-9 for the derivatives that occur in
/// the sampled domains (f‴ below 1e2) and by eps/h ~ 1e-11.
#[test]
fn tangents_are_the_limits_of_differences() {
    for (op, sample) in smooth_samples() {
        // By definition nothing is differentiated through these.
        if matches!(op, Op::StopGradient | Op::QuickLog2 | Op::QuickExp2) {
            continue;
        }
        let v = directions(&sample, 7);
        let tangent = {
            let func = jvp_func(&sample.func, &sample.floats()).unwrap();
            run(&func, &[sample.args.clone(), v.clone()].concat()).pop().unwrap()
        };
        let moved = |h: f64| {
            let mut args = sample.args.clone();
            for (i, v) in sample.floats().iter().zip(&v) {
                args[*i].data.iter_mut().zip(&v.data).for_each(|(x, v)| *x += h * v);
            }
            run(&sample.func, &args).pop().unwrap()
        };
        let (h, mut difference) = (1e-5, moved(1e-5));
        difference.data.iter_mut().zip(moved(-1e-5).data).for_each(|(y, z)| *y = (*y - z) / (2.0 * h));
        let error = distance(&tangent, &difference);
        assert!(error < 1e-7, "{}: {error:e}\n{tangent:?}\n{difference:?}", sample.func);
    }
}

/// ⟨w, Jv⟩ = ⟨Jᵀw, v⟩ up to the rounding of the two sums.
#[test]
fn reverse_is_the_transpose_of_forward() {
    for (_, sample) in smooth_samples() {
        let (v, floats) = (directions(&sample, 11), sample.floats());
        let w = Stream(13).tensor(sample.func.result_types().next().unwrap(), &UNIT);
        let forward = jvp_func(&sample.func, &floats).unwrap();
        let reverse = vjp_func(&sample.func, &floats, &[0]).unwrap();
        let jv = run(&forward, &[sample.args.clone(), v.clone()].concat()).split_off(1);
        let wj = run(&reverse, &[sample.args.clone(), vec![w.clone()]].concat());
        let (left, right) = (inner(&[w], &jv), inner(&wj, &v));
        assert!((left - right).abs() <= 1e-13 * (1.0 + left.abs()), "{}: {left} {right}", sample.func);
    }
}

/// ∇⟨w, Jv⟩ by x, as reverse over forward, equals the tangent of Jᵀw, as forward over reverse.
#[test]
fn second_derivatives_agree_in_either_order() {
    for (_, sample) in smooth_samples() {
        let (v, floats) = (directions(&sample, 17), sample.floats());
        let w = Stream(19).tensor(sample.func.result_types().next().unwrap(), &UNIT);
        let forward = jvp_func(&sample.func, &floats).unwrap();
        let reverse_over = vjp_func(&forward, &floats, &[1]).unwrap();
        let rf = run(&reverse_over, &[sample.args.clone(), v.clone(), vec![w.clone()]].concat());
        let reverse = vjp_func(&sample.func, &floats, &[0]).unwrap();
        let forward_over = jvp_func(&reverse, &floats).unwrap();
        let fr = run(&forward_over, &[sample.args.clone(), vec![w], v].concat()).split_off(floats.len());
        for (a, b) in rf.iter().zip(&fr) {
            let error = distance(a, b);
            assert!(error < 1e-12, "{}: {error:e}", sample.func);
        }
    }
}

#[test]
fn batched_functions_are_loops_of_the_function() {
    const N: usize = 3;
    for op in Op::ALL {
        for (number, sample) in samples(*op).into_iter().enumerate() {
            for mask in 0..1u32 << sample.args.len() {
                let mapped: Vec<bool> = (0..sample.args.len()).map(|i| mask >> i & 1 == 1).collect();
                let mut stream = Stream(u64::from(mask) + 31 * number as u64);
                let domains = op.def().domain;
                let args: Vec<Vec<Tensor>> = (0..N)
                    .map(|_| {
                        let fresh = |(i, arg): (usize, &Tensor)| match mapped[i] {
                            true => stream.tensor(&arg.ty, &domains[i.min(domains.len() - 1)]),
                            false => arg.clone(),
                        };
                        sample.args.iter().enumerate().map(fresh).collect()
                    })
                    .collect();
                let stacked: Vec<Tensor> = (0..sample.args.len())
                    .map(|i| if mapped[i] { stack(args.iter().map(|a| &a[i])) } else { args[0][i].clone() })
                    .collect();
                let batch = batch_func(&sample.func, &mapped, N).unwrap();
                let singles: Vec<Tensor> =
                    args.iter().map(|args| run(&sample.func, args).pop().unwrap()).collect();
                let error = distance(&run(&batch, &stacked)[0], &stack(singles.iter()));
                assert!(error < 1e-14, "{mapped:?} of\n{}\n{batch}", sample.func);
            }
        }
    }
}

fn stack<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> Tensor {
    let tensors: Vec<&Tensor> = tensors.collect();
    let dims = std::iter::once(tensors.len()).chain(tensors[0].ty.shape.dims().iter().copied()).collect();
    let ty = Type { dtype: tensors[0].ty.dtype, shape: Shape(dims) };
    Tensor::new(ty, tensors.iter().flat_map(|t| t.data.clone()).collect())
}

/// The value and slope of a function of one number.
fn slope(make: impl Fn(&mut Builder, ValueId) -> ValueId, at: f64) -> (f64, f64) {
    let mut b = Builder::new("f");
    let x = b.param("x", Type::scalar(DType::F64));
    let y = make(&mut b, x);
    let func = b.finish(vec![("y".into(), y)]);
    let forward = run(&jvp_func(&func, &[0]).unwrap(), &[Tensor::scalar(at), Tensor::scalar(1.0)]);
    let reverse = run(&vjp_func(&func, &[0], &[0]).unwrap(), &[Tensor::scalar(at), Tensor::scalar(1.0)]);
    assert_eq!(forward[1].data, reverse[0].data);
    (forward[0].data[0], forward[1].data[0])
}

#[test]
fn derivatives_at_edges_are_those_of_the_branch_taken() {
    let zero = |b: &mut Builder, x: ValueId| b.zeros_like(x);
    let relu = |b: &mut Builder, x: ValueId| {
        let zero = zero(b, x);
        b.binary(Op::Max, x, zero)
    };
    assert_eq!(slope(relu, 0.0), (0.0, 0.0));
    assert_eq!(slope(|b, x| b.unary(Op::Abs, x), 0.0), (0.0, 0.0));
    assert_eq!(slope(|b, x| b.unary(Op::Sqrt, x), 0.0), (0.0, f64::INFINITY));
    assert_eq!(slope(|b, x| b.pow_int(x, 0), 0.0), (1.0, 0.0));
    assert_eq!(slope(|b, x| b.pow_int(x, 1), 0.0), (0.0, 1.0));
    assert_eq!(slope(|b, x| b.pow_int(x, 3), 0.0), (0.0, 0.0));
    // Constant exponents never ask for the logarithm of zero.
    let power = |p: f64| {
        move |b: &mut Builder, x: ValueId| {
            let p = b.splat_like(p, x);
            b.binary(Op::Pow, x, p)
        }
    };
    assert_eq!(slope(power(2.0), 0.0), (0.0, 0.0));
    assert_eq!(slope(power(2.5), 0.0), (0.0, 0.0));
    assert_eq!(slope(power(0.0), 0.0), (1.0, 0.0));
    // d(0^p)/dp = 0 for p > 0.
    let zero_to_the = |b: &mut Builder, p: ValueId| {
        let zero = b.zeros_like(p);
        b.binary(Op::Pow, zero, p)
    };
    assert_eq!(slope(zero_to_the, 1.5), (0.0, 0.0));
}

#[test]
fn a_product_with_zero_factors_has_an_exact_gradient() {
    let mut b = Builder::new("product");
    let x = b.param("x", Type::new(DType::F64, &[5]));
    let y = b.must(Op::Product, &[x], Attr::Axes([0].as_slice().into()));
    let func = vjp_func(&b.finish(vec![("y".into(), y)]), &[0], &[0]).unwrap();
    let args = [Tensor::vector(&[2.0, 0.0, 3.0, 5.0, 7.0]), Tensor::scalar(1.0)];
    assert_eq!(run(&func, &args)[0].data, [0.0, 210.0, 0.0, 0.0, 0.0]);
}

/// A smooth program of elementwise ops and matrix products on `x: [3]` with `W: [3, 3]`, ending in
/// a scalar. Every step keeps values bounded.
fn program(steps: &[(u8, usize, usize)]) -> Func {
    let mut b = Builder::new("program");
    let x = b.param("x", Type::new(DType::F64, &[3]));
    let w = b.param("W", Type::new(DType::F64, &[3, 3]));
    let mut values = vec![x, b.matmul(w, x)];
    for (kind, i, j) in steps {
        let (u, v) = (values[i % values.len()], values[j % values.len()]);
        let one = b.splat_like(1.0, u);
        let bounded = b.unary(Op::Tanh, v);
        let value = match kind % 12 {
            0 => b.add(u, bounded),
            1 => b.sub(u, v),
            2 => b.mul(u, bounded),
            3 => {
                let square = b.mul(v, v);
                let above_one = b.add(one, square);
                b.div(u, above_one)
            }
            4 => b.unary(Op::Sin, u),
            5 => b.unary(Op::Exp, bounded),
            6 => b.matmul(w, bounded),
            7 => b.unary(Op::Softplus, u),
            8 => {
                let product = b.must(Op::Product, &[bounded], Attr::Axes([0].as_slice().into()));
                b.mul(u, product)
            }
            9 => {
                let (left, right) = (b.part(u, 0, 1), b.part(bounded, 1, 3));
                b.concat(&[left, right], 0)
            }
            10 => {
                let positive = b.unary(Op::Softplus, u);
                let exponent = b.unary(Op::Sigmoid, v);
                b.binary(Op::Pow, positive, exponent)
            }
            _ => {
                let cubed = b.pow_int(bounded, 3);
                b.unary(Op::Erf, cubed)
            }
        };
        values.push(value);
    }
    let (last, before) = (values[values.len() - 1], values[values.len() - 2]);
    let bounded = b.unary(Op::Tanh, last);
    let y = b.dot(bounded, before);
    b.finish(vec![("y".into(), y)])
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        rng_seed: RngSeed::Fixed(20),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// The Hessian times v of a random program by every nest of two modes, and one nest of three.
    #[test]
    fn every_nest_of_two_modes_gives_one_hessian(
        steps in prop::collection::vec((any::<u8>(), 0usize..8, 0usize..8), 1..8),
        seed in any::<u64>(),
    ) {
        let func = program(&steps);
        let mut b = Builder::from_func(&func);
        let (x, y) = (func.params[0].value, func.results[0].value);
        let v = b.param("v", Type::new(DType::F64, &[3]));
        let one = b.splat_like(1.0, y);

        let gradient = vjp(&mut b, &[(y, one)], &[x]).unwrap()[0];
        let slope = jvp(&mut b, &[(x, v)], &[y]).unwrap()[0];
        let forward_over_reverse = jvp(&mut b, &[(x, v)], &[gradient]).unwrap()[0];
        let reverse_over_forward = vjp(&mut b, &[(slope, one)], &[x]).unwrap()[0];
        let reverse_over_reverse = vjp(&mut b, &[(gradient, v)], &[x]).unwrap()[0];
        let taylor_over_reverse = series(&mut b, &[(x, vec![v])], &[gradient], 2).unwrap().remove(0);
        let taylor = series(&mut b, &[(x, vec![v])], &[y], 3).unwrap().remove(0);
        let reverse_over_taylor: Vec<ValueId> =
            taylor.iter().map(|c| vjp(&mut b, &[(*c, one)], &[x]).unwrap()[0]).collect();
        let forward_over_forward = jvp(&mut b, &[(x, v)], &[slope]).unwrap()[0];
        let forward_over_taylor = jvp(&mut b, &[(x, v)], &[taylor[1]]).unwrap()[0];
        let curvature = b.dot(forward_over_reverse, v);
        let twice_c2 = b.scale(2.0, taylor[2]);
        // Third derivatives: reverse over Taylor, and forward over forward over reverse.
        let third = jvp(&mut b, &[(x, v)], &[forward_over_reverse]).unwrap()[0];
        let third = b.scale(0.5, third);

        let equal = [
            (forward_over_reverse, reverse_over_forward),
            (forward_over_reverse, reverse_over_reverse),
            (forward_over_reverse, taylor_over_reverse[1]),
            (forward_over_reverse, reverse_over_taylor[1]),
            (slope, taylor[1]),
            (curvature, forward_over_forward),
            (curvature, forward_over_taylor),
            (curvature, twice_c2),
            (third, taylor_over_reverse[2]),
            (third, reverse_over_taylor[2]),
        ];
        let results = equal.iter().enumerate().flat_map(|(i, (left, right))| {
            [(Arc::from(format!("l{i}")), *left), (Arc::from(format!("r{i}")), *right)]
        });
        let all = b.clone().finish(results.collect());
        let mut stream = Stream(seed);
        let args: Vec<Tensor> = all.param_types().map(|ty| stream.tensor(ty, &UNIT)).collect();
        let values = run(&all, &args);
        for (i, pair) in values.chunks_exact(2).enumerate() {
            // Sums of some hundred terms of either sign, each up to 1e3 times the result.
            let error = distance(&pair[0], &pair[1]);
            prop_assert!(error < 1e-10, "pair {i}: {error:e}\n{func}");
        }

        // Rewriting changes no value by more than rounding.
        let optimised = nodec::opt::optimise(all);
        for (a, b) in run(&optimised, &args).iter().zip(&values) {
            prop_assert!(distance(a, b) < 1e-12);
        }
    }
}

// ---- requests ----------------------------------------------------------------------------------

fn linear_map(op: Op, probe: bool) -> (Func, Tensor) {
    let mut b = Builder::new("linear");
    let a = b.param("A", Type::new(DType::F64, &[2, 2]));
    let x = b.param("x", Type::new(DType::F64, &[2]));
    let e = b.param("e", Type::new(DType::F64, &[2]));
    let f = b.matmul(a, x);
    let args = if probe { vec![f, x, e] } else { vec![f, x] };
    let y = b.must(op, &args, Attr::None);
    let func = expand(b.finish(vec![("y".into(), y)])).unwrap();
    let a = Tensor::new(Type::new(DType::F64, &[2, 2]), vec![1.0, 2.0, 3.0, 4.0]);
    let value = run(&func, &[a, Tensor::vector(&[5.0, 6.0]), Tensor::vector(&[1.0, -1.0])]).remove(0);
    (func, value)
}

#[test]
fn trace_norm_and_jacobian_of_a_linear_map_are_those_of_its_matrix() {
    // A = [1 2; 3 4], e = (1, -1): eᵀAe = 1 - 2 - 3 + 4 = 0, Aᵀe = (-2, -2).
    assert_eq!(linear_map(Op::Divergence, false).1.data, [5.0]);
    assert_eq!(linear_map(Op::Divergence, true).1.data, [0.0]);
    assert_eq!(linear_map(Op::JacFrob2, false).1.data, [30.0]);
    assert_eq!(linear_map(Op::JacFrob2, true).1.data, [8.0]);
    let jacobian = linear_map(Op::Jacobian, false).1;
    assert_eq!((jacobian.ty.shape.dims(), &jacobian.data[..]), (&[2, 2][..], &[1.0, 2.0, 3.0, 4.0][..]));
}

#[test]
fn requests_nest_and_the_inner_variable_is_not_the_outer_one() {
    // d/dx [ x · d/dv (x·v²) at v = x ] = d/dx [ x · 2x² ] = 6x²; confusing v with x gives 9x².
    let mut b = Builder::new("nested");
    let x = b.param("x", Type::scalar(DType::F64));
    let one = b.scalar(1.0, DType::F64);
    let v = b.variable(x);
    let square = b.mul(v, v);
    let inner = b.mul(x, square);
    let inner = b.must(Op::Vjp, &[inner, one, v], Attr::None);
    let outer = b.mul(x, inner);
    for (op, args) in [(Op::Vjp, [outer, one, x]), (Op::Jvp, [outer, x, one])] {
        let mut b = b.clone();
        let y = b.must(op, &args, Attr::None);
        let func = expand(b.finish(vec![("y".into(), y)])).unwrap();
        assert_eq!(run(&func, &[Tensor::scalar(3.0)])[0].data, [54.0]);
        assert!(func.nodes.iter().all(|node| node.op != Op::Variable));
    }
}

#[test]
fn a_hamiltonian_flow_has_no_divergence() {
    // H = p²/2 + q²p + sin q: (q', p') = (∂H/∂p, -∂H/∂q) is free of divergence for every H.
    let mut b = Builder::new("flow");
    let u = b.param("u", Type::new(DType::F64, &[2]));
    let parts = b.unpack(u, &[Shape::scalar(), Shape::scalar()]);
    let (q, p) = (b.variable(parts[0]), b.variable(parts[1]));
    let (q2, p2, sin) = (b.mul(q, q), b.mul(p, p), b.unary(Op::Sin, q));
    let (kinetic, mixed) = (b.scale(0.5, p2), b.mul(q2, p));
    let h = b.add(kinetic, mixed);
    let h = b.add(h, sin);
    let one = b.scalar(1.0, DType::F64);
    let dq = b.must(Op::Vjp, &[h, one, p], Attr::None);
    let dp = b.must(Op::Vjp, &[h, one, q], Attr::None);
    let dp = b.neg(dp);
    let f = b.pack(&[dq, dp], DType::F64);
    let y = b.must(Op::Divergence, &[f, u], Attr::None);
    let func = expand(b.finish(vec![("f".into(), f), ("div".into(), y)])).unwrap();
    let values = run(&func, &[Tensor::vector(&[0.7, -0.4])]);
    let (q, p) = (0.7f64, -0.4f64);
    // q' = p + q² = 0.09; p' = -(2qp + cos q).
    assert!((values[0].data[0] - 0.09).abs() < 1e-15);
    assert!((values[0].data[1] + 2.0 * q * p + q.cos()).abs() < 1e-15);
    assert_eq!(values[1].data, [0.0]);
}

#[test]
fn what_cannot_be_differentiated_is_refused() {
    let mut b = Builder::new("f");
    let x = b.param("x", Type::new(DType::F64, &[2]));
    let part = b.part(x, 0, 1);
    let one = b.splat_like(1.0, part);
    let request = b.must(Op::Vjp, &[part, one, part], Attr::None);
    let func = b.clone().finish(vec![("y".into(), request)]);
    // A part of x is not a variable: folding may have bypassed it.
    assert_eq!(expand(func.clone()).unwrap_err(), AdError::NotIndependent { op: "vjp", span: None });
    assert_eq!(jvp_func(&func, &[0]).unwrap_err(), AdError::Request { op: "vjp", span: None });
    let less = b.must(Op::Lt, &[part, one], Attr::None);
    assert!(matches!(jvp(&mut b, &[(x, x)], &[less]), Err(AdError::NotFloat { .. })));
}

#[test]
fn a_derivative_shares_the_primal_and_drops_what_it_does_not_need() {
    // y = exp(a x) has gradient a y: exp, two products, two parameters and the cotangent.
    let mut b = Builder::new("f");
    let a = b.param("a", Type::scalar(DType::F64));
    let x = b.param("x", Type::scalar(DType::F64));
    let product = b.mul(a, x);
    let y = b.unary(Op::Exp, product);
    let func = b.finish(vec![("y".into(), y)]);
    let reverse = vjp_func(&func, &[1], &[0]).unwrap();
    assert_eq!(reverse.nodes.len(), 7, "{reverse}");
    assert_eq!(reverse.nodes.iter().filter(|node| node.op == Op::Exp).count(), 1);
}

#[test]
fn derivative_passes_name_no_elementwise_op() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = ["src/ad", "src/ad/keep"].map(|folder| std::fs::read_dir(root.join(folder)).unwrap());
    let paths = entries.into_iter().flatten().map(|entry| entry.unwrap().path());
    for path in paths.filter(|path| path.is_file()) {
        let text = std::fs::read_to_string(&path).unwrap();
        for name in text.split("Op::").skip(1) {
            let name: String = name.chars().take_while(char::is_ascii_alphanumeric).collect();
            let op = Op::ALL.iter().find(|op| format!("{op:?}") == name);
            let elementwise = op.is_some_and(|op| matches!(op.def().lowering, Lowering::Scalar(_)));
            let identity = ["Variable", "StopGradient"].contains(&name.as_str());
            assert!(!elementwise || identity, "{} names `{name}`", path.display());
        }
    }
}
