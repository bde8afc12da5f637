//! Convolutions and their cotangents, lowered in tiles of every kind, against sums in plain loops.

use crate::backends::{Data, run_loops};
use nodec::ad::vjp_func;
use nodec::ir::builder::Builder;
use nodec::ir::func::{Attr, Func};
use nodec::ir::op::Op;
use nodec::ir::tensor::Tensor;
use nodec::ir::types::{DType, Type};
use nodec::lower::loops::Target;
use nodec::lower::{lower, lower_within};

/// Channels in and out, rows and columns of the image, of a window, zeros around.
#[derive(Clone, Copy, Debug)]
struct Case {
    inner: usize,
    outer: usize,
    image: (usize, usize),
    window: (usize, usize),
    pad: usize,
}

const CASES: [Case; 6] = [
    Case { inner: 3, outer: 7, image: (5, 9), window: (3, 3), pad: 1 },
    Case { inner: 1, outer: 1, image: (4, 13), window: (3, 3), pad: 1 },
    Case { inner: 2, outer: 9, image: (4, 5), window: (5, 2), pad: 2 },
    Case { inner: 5, outer: 2, image: (3, 7), window: (1, 1), pad: 0 },
    Case { inner: 2, outer: 3, image: (6, 6), window: (2, 5), pad: 0 },
    Case { inner: 1, outer: 4, image: (2, 3), window: (3, 4), pad: 1 },
];

impl Case {
    fn framed(&self) -> (usize, usize) {
        (self.image.0 + 2 * self.pad, self.image.1 + 2 * self.pad)
    }

    fn places(&self) -> (usize, usize) {
        (self.framed().0 - self.window.0 + 1, self.framed().1 - self.window.1 + 1)
    }

    /// `w, x -> y[o, i, j] = Σ w[o, c, p, q] x[c, i + p - pad, j + q - pad]`
    fn func(&self, dtype: DType) -> Func {
        let mut b = Builder::new("convolution");
        let w = b.param("w", Type::new(dtype, &[self.outer, self.inner, self.window.0, self.window.1]));
        let x = b.param("x", Type::new(dtype, &[self.inner, self.image.0, self.image.1]));
        let n = self.pad as u32;
        let framed = b.must(Op::Pad, &[x], Attr::Pads([(0, 0), (n, n), (n, n)].as_slice().into()));
        let (rows, columns) = (self.window.0 as u32, self.window.1 as u32);
        let windows = b.windows(framed, [(1, rows), (2, columns)].as_slice().into());
        let y = b.einsum(w, windows, &[0, 1, 2, 3], &[1, 4, 5, 2, 3], &[0, 4, 5]);
        b.finish(vec![("y".into(), y)])
    }

    /// Calls `add` with the numbers of the elements of `y`, `w` and `x` of each product.
    fn each(&self, mut add: impl FnMut(usize, usize, usize)) {
        let ((height, width), (places, across)) = (self.image, self.places());
        for o in 0..self.outer {
            for (i, j) in (0..places).flat_map(|i| (0..across).map(move |j| (i, j))) {
                for (c, p, q) in (0..self.inner)
                    .flat_map(|c| (0..self.window.0).map(move |p| (c, p)))
                    .flat_map(|(c, p)| (0..self.window.1).map(move |q| (c, p, q)))
                {
                    let (row, column) = ((i + p).wrapping_sub(self.pad), (j + q).wrapping_sub(self.pad));
                    if row < height && column < width {
                        let weight = ((o * self.inner + c) * self.window.0 + p) * self.window.1 + q;
                        add((o * places + i) * across + j, weight, (c * height + row) * width + column);
                    }
                }
            }
        }
    }
}

/// Numbers of both signs between 0.5 and 1.5, of three digits.
fn numbers(ty: &Type, seed: usize) -> Tensor {
    let number = |at: usize| {
        let n = (at * 7919 + seed * 104_729) % 2003;
        (n as f64 / 1000.0 - 1.0) + if n < 1000 { -0.5 } else { 0.5 }
    };
    let round = |x: f64| if ty.dtype == DType::F32 { f64::from(x as f32) } else { x };
    Tensor::new(ty.clone(), (0..ty.shape.count()).map(|at| round(number(at))).collect())
}

/// The results of a function whatever the tile is and on every back end: they have the same bits.
fn results(func: &Func, args: &[Tensor]) -> Vec<Vec<f64>> {
    let args: Vec<Data> = args.iter().map(Data::of).collect();
    let few = Target::new(true);
    let many = Target { accumulators: 24, ..few };
    let alone = run_loops(&lower_within(func, few, 1).unwrap(), &args, false);
    for target in [few, Target { accumulators: 10, ..few }, many] {
        let tiled = run_loops(&lower(func, target).unwrap(), &args, target == many);
        for (a, b) in alone.iter().zip(&tiled) {
            assert_eq!(a.bits(), b.bits(), "{target:?}");
        }
    }
    alone.iter().map(Data::floats).collect()
}

/// A sum of at most 500 products below 2.25, in any order: its error is within 500 · 500 · 2.25 units of
/// rounding at most, and some hundred of them in fact.
fn near(found: &[f64], expected: &[f64], dtype: DType, case: &Case) {
    let unit = if dtype == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    assert_eq!(found.len(), expected.len());
    for (at, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= 300.0 * unit, "{case:?} at {at}: {a} instead of {b}");
    }
}

#[test]
fn convolutions_and_their_cotangents_are_sums_of_products() {
    for case in CASES {
        for dtype in [DType::F64, DType::F32] {
            let func = case.func(dtype);
            let types: Vec<Type> = func.param_types().cloned().collect();
            let (w, x) = (numbers(&types[0], 1), numbers(&types[1], 2));
            let bar = numbers(func.ty(func.results[0].value), 3);
            let [mut y, mut bar_w, mut bar_x] = [&bar, &w, &x].map(|like| vec![0.0; like.data.len()]);
            case.each(|out, weight, pixel| {
                y[out] += w.data[weight] * x.data[pixel];
                bar_w[weight] += bar.data[out] * x.data[pixel];
                bar_x[pixel] += bar.data[out] * w.data[weight];
            });
            let found = results(&func, &[w.clone(), x.clone()]);
            near(&found[0], &y, dtype, &case);
            let reverse = vjp_func(&func, &[0, 1], &[0]).unwrap();
            let found = results(&reverse, &[w, x, bar]);
            near(&found[0], &bar_w, dtype, &case);
            near(&found[1], &bar_x, dtype, &case);
            // Each is one contraction, of windows of no more than it reads.
            for result in &reverse.results {
                assert_eq!(reverse.nodes[result.value].op, Op::Contract, "{reverse}");
            }
            let largest = reverse.nodes.iter().filter(|node| node.op != Op::Windows);
            let rows = case.framed().0.max(case.image.0 + case.window.0 - 1);
            let columns = case.framed().1.max(case.image.1 + case.window.1 - 1);
            let most = types[0].shape.count().max(case.outer.max(case.inner) * rows * columns);
            assert!(largest.map(|node| node.ty.shape.count()).max() <= Some(most), "{reverse}");
        }
    }
}

/// What overlaps is added up where it is no contraction: `Σ_p` of windows of the reverse of itself.
#[test]
fn cotangents_of_windows_add_up_where_they_overlap() {
    let mut b = Builder::new("windows");
    let x = b.param("x", Type::new(DType::F64, &[2, 5]));
    let y = b.windows(x, [(0, 2), (1, 3)].as_slice().into());
    let z = b.mul(y, y);
    let func = b.finish(vec![("z".into(), z)]);
    let reverse = vjp_func(&func, &[0], &[0]).unwrap();
    let x = numbers(&Type::new(DType::F64, &[2, 5]), 1);
    let ones = Tensor::new(Type::new(DType::F64, &[1, 3, 2, 3]), vec![1.0; 18]);
    let found = results(&reverse, &[x.clone(), ones]);
    // Of five places three windows of three have 1, 2, 3, 2 and 1 of them; the derivative of x² is 2x.
    let times = [1.0, 2.0, 3.0, 2.0, 1.0, 1.0, 2.0, 3.0, 2.0, 1.0];
    let expected: Vec<f64> = x.data.iter().zip(times).map(|(x, n)| 2.0 * n * x).collect();
    let error = found[0].iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(error < 1e-14, "{error:e}");
}
