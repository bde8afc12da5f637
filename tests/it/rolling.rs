//! Entries written out one by one, computed together: the same numbers, in code that does not grow with
//! how many there are. The functions as they were made, in the reference evaluator, say what is meant.

use crate::op_samples::Stream;
use nodec::ad::vjp_func;
use nodec::ir::builder::Builder;
use nodec::ir::eval::eval;
use nodec::ir::func::{Attr, Func, ValueId};
use nodec::ir::op::{Domain, Op};
use nodec::ir::tensor::Tensor;
use nodec::ir::types::{DType, Shape, Type};
use nodec::ir::verify::verify;
use nodec::opt::optimise;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const UNIT: Domain = Domain { lo: -1.0, hi: 1.0, singular: "" };

/// A function of the vector `y`, entry by entry.
fn entries(n: usize, of: impl Fn(&mut Builder, &[ValueId], usize) -> Vec<ValueId>) -> Func {
    let mut b = Builder::new("rate");
    let y = b.param("y", Type::new(DType::F64, &[n]));
    let parts = b.unpack(y, &vec![Shape::default(); n]);
    let rates: Vec<ValueId> = (0..n).flat_map(|at| of(&mut b, &parts, at)).collect();
    let dy = b.pack(&rates, DType::F64);
    b.finish(vec![("dy".into(), dy)])
}

/// Checks that `func`, optimised, gives the numbers it gave, and returns how many nodes it then has.
fn rolled(func: &Func) -> usize {
    let optimised = optimise(func.clone());
    verify(&optimised).expect("a valid function");
    let mut stream = Stream(7);
    let args: Vec<Tensor> = func.param_types().map(|ty| stream.tensor(ty, &UNIT)).collect();
    let (expected, found) = (eval(func, &args).unwrap(), eval(&optimised, &args).unwrap());
    for (expected, found) in expected.iter().zip(&found) {
        for (at, (x, y)) in expected.data.iter().zip(&found.data).enumerate() {
            assert!(x == y || (x.is_nan() && y.is_nan()), "entry {at} of\n{optimised}: {y} for {x}");
        }
    }
    optimised.nodes.len()
}

fn diffusion(b: &mut Builder, left: ValueId, here: ValueId, right: ValueId) -> ValueId {
    let (around, twice) = (b.add(left, right), b.scale(2.0, here));
    let bend = b.sub(around, twice);
    b.scale(3.7, bend)
}

#[test]
fn a_ring_of_equations_takes_as_many_nodes_however_long_it_is() {
    let ring = |n: usize| {
        entries(n, |b, y, at| {
            let flow = diffusion(b, y[(at + n - 1) % n], y[at], y[(at + 1) % n]);
            let square = b.mul(y[at], y[at]);
            vec![b.sub(flow, square)]
        })
    };
    let (short, long) = (rolled(&ring(200)), rolled(&ring(500)));
    assert_eq!(short, long);
    assert!(long < 30, "{long} nodes");
}

#[test]
fn a_line_with_ends_of_their_own_keeps_them() {
    let line = |n: usize| {
        entries(n, |b, y, at| {
            let step = b.scalar(at as f64 / 10.0, DType::F64);
            let rate = match at {
                0 => b.sub(y[1], y[0]),
                at if at == n - 1 => b.unary(Op::Sin, y[at]),
                at => diffusion(b, y[at - 1], y[at], y[at + 1]),
            };
            vec![b.add(rate, step)]
        })
    };
    let (short, long) = (rolled(&line(200)), rolled(&line(500)));
    assert_eq!(short, long);
    assert!(long < 40, "{long} nodes");
}

/// Two unknowns a cell, one after the other: the Brusselator of reactions and diffusion.
#[test]
fn unknowns_that_alternate_are_told_apart() {
    let cells = |n: usize| {
        entries(2 * n, |b, y, at| {
            let (cell, which) = (at / 2, at % 2);
            let of = |cell: usize| y[2 * (cell % n) + which];
            let flow = diffusion(b, of(cell + n - 1), of(cell), of(cell + 1));
            let (u, v) = (y[2 * cell], y[2 * cell + 1]);
            let square = b.mul(u, u);
            let reaction = b.mul(square, v);
            vec![if which == 0 { b.add(flow, reaction) } else { b.sub(flow, reaction) }]
        })
    };
    let (short, long) = (rolled(&cells(100)), rolled(&cells(300)));
    assert_eq!(short, long);
    assert!(long < 80, "{long} nodes");
}

/// What neighbours share is computed once: a flux between two cells leaves one and enters the other.
#[test]
fn what_neighbours_share_is_not_computed_twice() {
    let n = 200;
    let func = entries(n, |b, y, at| {
        let flux = |b: &mut Builder, at: usize| {
            let (left, right) = (y[at % n], y[(at + 1) % n]);
            let mean = b.add(left, right);
            b.unary(Op::Sin, mean)
        };
        let (enters, leaves) = (flux(b, at + n - 1), flux(b, at));
        vec![b.sub(enters, leaves)]
    });
    rolled(&func);
    let optimised = optimise(func);
    let sines = optimised.nodes.iter().filter(|node| node.op == Op::Sin);
    let count: usize = sines.map(|node| node.ty.shape.count()).sum();
    assert!(count <= n + 2, "{count} sines in\n{optimised}");
}

/// `Σ_{j≠i} (x_j - x_i)/|x_j - x_i|³` for points in space, rows of one vector.
fn pull(n: usize) -> Func {
    let mut b = Builder::new("rate");
    let y = b.param("y", Type::new(DType::F64, &[3 * n]));
    let points = b.unpack(y, &vec![Shape::new(&[3]); n]);
    let mut rows = Vec::new();
    for i in 0..n {
        let mut pulls = Vec::new();
        for j in (0..n).filter(|j| *j != i) {
            let apart = b.sub(points[j], points[i]);
            let squares = b.mul(apart, apart);
            let square = b.sum(squares);
            let power = b.scalar(1.5, DType::F64);
            let cube = b.must(Op::Pow, &[square, power], Attr::None);
            let pull = b.div(apart, cube);
            pulls.push(b.reshape(pull, Shape::new(&[1, 3])));
        }
        let all = b.concat(&pulls, 0);
        rows.push(b.sum_axes(all, &[0]));
    }
    let dy = b.pack(&rows, DType::F64);
    b.finish(vec![("dy".into(), dy)])
}

#[test]
fn pairs_of_bodies_are_one_expression() {
    let (few, many) = (rolled(&pull(8)), rolled(&pull(12)));
    assert_eq!(few, many);
    assert!(many < 40, "{many} nodes");
}

/// Gradients of rolled functions are those of the functions as they were made, up to the order of sums.
#[test]
fn gradients_pass_through() {
    let func = pull(8);
    let reverse = |func: &Func| vjp_func(func, &[0], &[0]).unwrap();
    let (plain, rolled) = (reverse(&func), optimise(reverse(&optimise(func.clone()))));
    let mut stream = Stream(11);
    let args: Vec<Tensor> = plain.param_types().map(|ty| stream.tensor(ty, &UNIT)).collect();
    let (expected, found) = (eval(&plain, &args).unwrap(), eval(&rolled, &args).unwrap());
    let last = expected.len() - 1;
    let size = expected[last].data.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    for (x, y) in expected[last].data.iter().zip(&found[last].data) {
        assert!((x - y).abs() <= 1e-13 * size, "{y} for {x}");
    }
    assert!(rolled.nodes.len() < 120, "{} nodes", rolled.nodes.len());
}

/// An operation on what there is: which, two operands as distances back.
type Line = (u8, u8, u8);

/// Entries of random forms, each of elements and constants of its own.
fn random(forms: &[Vec<Line>], which: &[u8], seed: u64) -> Func {
    let mut stream = Stream(seed);
    let n = 30;
    let mut b = Builder::new("random");
    let y = b.param("y", Type::new(DType::F64, &[n]));
    let m = b.param("m", Type::new(DType::F64, &[5, 6]));
    let shared = b.unary(Op::Sin, y);
    let mut entries = Vec::new();
    for (lane, form) in which.iter().enumerate() {
        let mut at = |scale: usize, shift: usize, size: usize| match stream.uniform(0.0, 4.0) as usize {
            0 => stream.uniform(0.0, size as f64) as usize,
            _ => (lane * scale + shift) % size,
        };
        let (i, j, k, l) = (at(1, 0, n), at(2, 1, n), at(1, 3, 5), at(1, 1, 6));
        let mut element = |x: ValueId, i: usize| {
            let part = b.part(x, i, i + 1);
            b.reshape(part, Shape::default())
        };
        let mut pool = vec![element(y, i), element(shared, j)];
        let row = b.slice(m, &[(k as u32, k as u32 + 1), (0, 6)]);
        let row = b.reshape(row, Shape::new(&[6]));
        let part = b.part(row, l, l + 1);
        pool.push(b.reshape(part, Shape::default()));
        pool.push(b.sum(row));
        pool.push(b.scalar(lane as f64 / 3.0, DType::F64));
        for (op, first, second) in &forms[*form as usize % forms.len()] {
            let back = |by: u8| pool[pool.len() - 1 - by as usize % pool.len()];
            let (x, z) = (back(*first), back(*second));
            pool.push(match op % 6 {
                0 => b.add(x, z),
                1 => b.mul(x, z),
                2 => b.sub(x, z),
                3 => b.unary(Op::Sin, x),
                4 => b.unary(Op::Abs, z),
                _ => {
                    let c = b.must(Op::Lt, &[x, z], Attr::None);
                    b.select(c, z, x)
                }
            });
        }
        let last = pool[pool.len() - 1];
        entries.push(last);
    }
    let all = b.pack(&entries, DType::F64);
    b.finish(vec![("all".into(), all)])
}

#[test]
fn random_entries_keep_their_numbers() {
    let line = || (any::<u8>(), any::<u8>(), any::<u8>());
    let forms = proptest::collection::vec(proptest::collection::vec(line(), 4..10), 1..4);
    let which = proptest::collection::vec(any::<u8>(), 100..160);
    let config = ProptestConfig {
        cases: 60,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(3),
        ..ProptestConfig::default()
    };
    proptest!(config, |(forms in forms, which in which, seed in any::<u64>())| {
        rolled(&random(&forms, &which, seed));
    });
}
