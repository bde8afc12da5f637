//! Lowered code against the reference evaluator, and the back ends against each other.
//!
//! Every sample of every op, its derivatives and its batched form are lowered for targets with and
//! without fused multiply-add, as scalars and as loops. The interpreter has to agree with the
//! evaluator within a bound, and every other back end with the interpreter to the last bit.

use crate::op_samples::{Sample, Stream, samples};
use crate::wide;
use nodec::ad::{batch_func, expand, jvp_func, vjp_func};
use nodec::backend::cranelift::{Cranelift, clif};
use nodec::backend::interp::Interp;
use nodec::backend::lanes::LaneExecutable;
use nodec::backend::{Backend, Executable, Input, Output, Workspace};
use nodec::ir::builder::Builder;
use nodec::ir::eval::values;
use nodec::ir::func::{Attr, Func, Node, ValueId};
use nodec::ir::op::{Domain, Op};
use nodec::ir::tensor::Tensor;
use nodec::ir::types::{DType, Shape, Type};
use nodec::lower::loops::{BufferKind, LoopFunc, LoopModule, Target};
use nodec::lower::{lower, lower_within};
use std::sync::Arc;

const UNIT: Domain = Domain { lo: -1.0, hi: 1.0, singular: "" };

/// The limits of scalarisation that are forced.
const LIMITS: [usize; 3] = [1, 4, 16];

/// Elements of one type.
#[derive(Clone, Debug)]
pub enum Data {
    F64(Vec<f64>),
    F32(Vec<f32>),
    I64(Vec<i64>),
    Bool(Vec<u8>),
}

impl Data {
    pub fn of(tensor: &Tensor) -> Data {
        let data = tensor.data.iter();
        match tensor.ty.dtype {
            DType::F64 => Data::F64(tensor.data.clone()),
            DType::F32 => Data::F32(data.map(|x| *x as f32).collect()),
            DType::I64 => Data::I64(data.map(|x| *x as i64).collect()),
            DType::Bool => Data::Bool(data.map(|x| u8::from(*x != 0.0)).collect()),
        }
    }

    /// Elements that show if they are not written.
    pub fn unwritten(dtype: DType, len: usize) -> Data {
        match dtype {
            DType::F64 => Data::F64(vec![-777.25; len]),
            DType::F32 => Data::F32(vec![-777.25; len]),
            DType::I64 => Data::I64(vec![-777; len]),
            DType::Bool => Data::Bool(vec![77; len]),
        }
    }

    pub fn input(&self) -> Input<'_> {
        match self {
            Data::F64(data) => Input::F64(data),
            Data::F32(data) => Input::F32(data),
            Data::I64(data) => Input::I64(data),
            Data::Bool(data) => Input::Bool(data),
        }
    }

    pub fn output(&mut self) -> Output<'_> {
        match self {
            Data::F64(data) => Output::F64(data),
            Data::F32(data) => Output::F32(data),
            Data::I64(data) => Output::I64(data),
            Data::Bool(data) => Output::Bool(data),
        }
    }

    /// Bits, where every NaN is the same.
    pub fn bits(&self) -> Vec<u64> {
        match self {
            Data::F64(data) => data.iter().map(|x| if x.is_nan() { u64::MAX } else { x.to_bits() }).collect(),
            Data::F32(data) => {
                data.iter().map(|x| if x.is_nan() { u64::MAX } else { u64::from(x.to_bits()) }).collect()
            }
            Data::I64(data) => data.iter().map(|x| *x as u64).collect(),
            Data::Bool(data) => data.iter().map(|x| u64::from(*x)).collect(),
        }
    }

    pub fn floats(&self) -> Vec<f64> {
        match self {
            Data::F64(data) => data.clone(),
            Data::F32(data) => data.iter().map(|x| f64::from(*x)).collect(),
            Data::I64(data) => data.iter().map(|x| *x as f64).collect(),
            Data::Bool(data) => data.iter().map(|x| f64::from(*x)).collect(),
        }
    }
}

pub fn compiled(backend: &dyn Backend, func: &LoopFunc) -> Arc<dyn Executable> {
    let module = LoopModule { funcs: vec![func.clone()] };
    backend.compile(Arc::new(module)).unwrap_or_else(|error| panic!("{error}\n{func}"))
}

/// One call with fresh outputs.
pub fn call(executable: &dyn Executable, args: &[Data], workspace: &mut Workspace) -> Vec<Data> {
    let declared = executable.signature(0);
    let inputs: Vec<Input<'_>> = args.iter().map(Data::input).collect();
    let mut results: Vec<Data> =
        declared.outputs.iter().map(|(dtype, len)| Data::unwritten(*dtype, *len)).collect();
    let mut outputs: Vec<Output<'_>> = results.iter_mut().map(Data::output).collect();
    executable.call(0, &inputs, &mut outputs, workspace);
    results
}

/// One call for several lanes with fresh outputs; sums are added to a number.
pub fn call_lanes(executable: &dyn LaneExecutable, args: &[Data]) -> Vec<Data> {
    let declared = executable.signature(0);
    let inputs: Vec<Input<'_>> = args.iter().map(Data::input).collect();
    let mut results: Vec<Data> =
        declared.outputs.iter().map(|(dtype, len)| Data::unwritten(*dtype, *len)).collect();
    let mut outputs: Vec<Output<'_>> = results.iter_mut().map(Data::output).collect();
    executable.call(0, &inputs, &mut outputs, &mut Workspace::default());
    results
}

/// Runs loop code on the interpreter, and on Cranelift if asked (twice, the second time with what the
/// first left in the workspace); they agree to the last bit.
pub fn run_loops(func: &LoopFunc, args: &[Data], natively: bool) -> Vec<Data> {
    func.verify().unwrap_or_else(|error| panic!("{error}\n{func}"));
    let interp = Interp::new(Target::new(true));
    let expected = call(compiled(&interp, func).as_ref(), args, &mut Workspace::default());
    if natively {
        let (native, mut workspace) = (compiled(&Cranelift, func), Workspace::default());
        for _ in 0..2 {
            let got = call(native.as_ref(), args, &mut workspace);
            for (a, b) in expected.iter().zip(&got) {
                assert_eq!(a.bits(), b.bits(), "interp {a:?}\ncranelift {b:?}\n{func}");
            }
        }
        wide::must_be_wide(func);
        wide::agrees(func, args, true);
    }
    expected
}

/// Runs a function lowered at every limit, natively at some of them; all agree to the last bit.
pub fn run(func: &Func, args: &[Tensor], fma: bool) -> Vec<Data> {
    let args: Vec<Data> = args.iter().map(Data::of).collect();
    let mut known: Option<Vec<Data>> = None;
    for limit in LIMITS {
        let loops = lower_within(func, Target::new(fma), limit).unwrap();
        let results = run_loops(&loops, &args, limit != 4);
        for (a, b) in known.iter().flatten().zip(&results) {
            assert_eq!(a.bits(), b.bits(), "{a:?}\n{b:?} within {limit}\n{func}\n{loops}");
        }
        known = Some(results);
    }
    known.unwrap()
}

/// The same function on `f32`.
fn in_f32(func: &Func) -> Func {
    let narrow = |dtype: DType| if dtype == DType::F64 { DType::F32 } else { dtype };
    let rounded = |bits: &u64| f64::from(f64::from_bits(*bits) as f32).to_bits();
    let nodes = func.nodes.iter().map(|node| Node {
        ty: node.ty.with_dtype(narrow(node.ty.dtype)),
        attr: match &node.attr {
            Attr::To(dtype) => Attr::To(narrow(*dtype)),
            Attr::Splat(bits) if node.ty.dtype == DType::F64 => Attr::Splat(rounded(bits)),
            Attr::Elements(bits) if node.ty.dtype == DType::F64 => {
                Attr::Elements(bits.iter().map(rounded).collect())
            }
            other => other.clone(),
        },
        ..node.clone()
    });
    Func { nodes: nodes.collect(), ..func.clone() }
}

fn tensor_in_f32(tensor: &Tensor) -> Tensor {
    match tensor.ty.dtype {
        DType::F64 => Tensor::new(
            tensor.ty.with_dtype(DType::F32),
            tensor.data.iter().map(|x| f64::from(*x as f32)).collect(),
        ),
        _ => tensor.clone(),
    }
}

/// Lowered code is within 32 units of rounding of the evaluator, at the size of the largest
/// intermediate value: a sample and its derivatives have up to a dozen ops between argument and
/// result, each off by at most 2.5 units (the bound of the math functions) from its exact value, and
/// an `f32` sum rounds each term where the evaluator rounds once.
fn agrees_with_the_evaluator(func: &Func, args: &[Tensor]) {
    for (func, args) in [
        (func.clone(), args.to_vec()),
        (in_f32(func), args.iter().map(tensor_in_f32).collect::<Vec<Tensor>>()),
    ] {
        let nodes = values(&func, &args).unwrap();
        let sizes = nodes.iter().flat_map(|t| t.data.iter()).filter(|x| x.is_finite());
        let size = sizes.fold(f64::MIN_POSITIVE, |m: f64, x| m.max(x.abs()));
        for fma in [true, false] {
            let results = run(&func, &args, fma);
            for (port, result) in func.results.iter().zip(&results) {
                let unit =
                    if func.ty(port.value).dtype == DType::F32 { 2f64.powi(-24) } else { 2f64.powi(-53) };
                let expected = &nodes[port.value.0 as usize].data;
                assert_eq!(expected.len(), result.bits().len());
                for (a, b) in expected.iter().zip(result.floats()) {
                    let same = *a == b || (a.is_nan() && b.is_nan());
                    assert!(same || (a - b).abs() <= 32.0 * unit * size, "{a:?} {b:?} fma {fma}\n{func}");
                }
            }
        }
    }
}

fn directions(sample: &Sample, seed: u64) -> Vec<Tensor> {
    let mut stream = Stream(seed);
    sample.floats().iter().map(|i| stream.tensor(&sample.args[*i].ty, &UNIT)).collect()
}

fn all_samples() -> impl Iterator<Item = Sample> {
    Op::ALL.iter().flat_map(|op| samples(*op))
}

fn expanded(func: Func) -> Func {
    expand(func).unwrap()
}

#[test]
fn every_op_is_what_the_evaluator_says() {
    for sample in all_samples() {
        agrees_with_the_evaluator(&expanded(sample.func), &sample.args);
    }
}

#[test]
fn so_is_every_batched_op() {
    const N: usize = 20;
    for sample in all_samples().filter(|sample| !sample.args.is_empty()) {
        let mapped = vec![true; sample.args.len()];
        let func = batch_func(&sample.func, &mapped, N).unwrap();
        let stacked = sample.args.iter().map(|arg| {
            let dims: Vec<usize> = [&[N], arg.ty.shape.dims()].concat();
            // Element by element a little different, except for indices and truth values.
            let data = (0..N).flat_map(|i| {
                let off = if arg.ty.dtype.is_float() { i as f64 / 1024.0 } else { 0.0 };
                arg.data.iter().map(move |x| x - x * off)
            });
            Tensor::new(Type::new(arg.ty.dtype, &dims), data.collect())
        });
        agrees_with_the_evaluator(&expanded(func), &stacked.collect::<Vec<Tensor>>());
    }
}

#[test]
fn so_are_first_and_second_derivatives_of_every_op() {
    for sample in all_samples().filter(|sample| sample.smooth() && !sample.floats().is_empty()) {
        let (v, floats) = (directions(&sample, 7), sample.floats());
        let w = vec![Stream(13).tensor(sample.func.result_types().next().unwrap(), &UNIT)];
        let forward = jvp_func(&sample.func, &floats).unwrap();
        let reverse = vjp_func(&sample.func, &floats, &[0]).unwrap();
        let second = jvp_func(&reverse, &floats).unwrap();
        let x = &sample.args;
        agrees_with_the_evaluator(&expanded(forward), &[x.clone(), v.clone()].concat());
        agrees_with_the_evaluator(&expanded(reverse), &[x.clone(), w.clone()].concat());
        agrees_with_the_evaluator(&expanded(second), &[x.clone(), w, v].concat());
    }
}

/// A function of one `f64` parameter.
fn of_one(dims: &[usize], make: impl Fn(&mut Builder, ValueId) -> ValueId) -> Func {
    let mut b = Builder::new("f");
    let x = b.param("x", Type::new(DType::F64, dims));
    let y = make(&mut b, x);
    b.finish(vec![("y".into(), y)])
}

fn counting(dims: &[usize]) -> Tensor {
    let ty = Type::new(DType::F64, dims);
    let n = ty.shape.count();
    Tensor::new(ty, (0..n).map(|i| i as f64 - 7.0).collect())
}

#[test]
fn large_rearrangements_run_in_loops() {
    let axes = |axes: &[u32]| Attr::Axes(axes.into());
    // A reshape of a permutation divides.
    agrees_with_the_evaluator(
        &of_one(&[6, 8, 5], |b, x| {
            let y = b.permute(x, &[2, 0, 1]);
            let y = b.reshape(y, Shape::new(&[16, 15]));
            b.must(Op::Reverse, &[y], axes(&[1]))
        }),
        &[counting(&[6, 8, 5])],
    );
    // Pieces inside of pieces, of length 0 as well, read backwards and transposed.
    agrees_with_the_evaluator(
        &of_one(&[7, 6], |b, x| {
            let (left, none, right) =
                (b.slice(x, &[(0, 7), (0, 4)]), b.slice(x, &[(0, 7), (2, 2)]), b.slice(x, &[(0, 7), (3, 6)]));
            let y = b.concat(&[right, none, left], 1);
            let y = b.must(Op::Pad, &[y], Attr::Pads([(2, 1), (0, 3)].as_slice().into()));
            let y = b.must(Op::Reverse, &[y], axes(&[0, 1]));
            let y = b.permute(y, &[1, 0]);
            b.concat(&[y, y], 0)
        }),
        &[counting(&[7, 6])],
    );
    // Contractions over two letters, of a broadcast and with a letter of one operand alone.
    agrees_with_the_evaluator(
        &of_one(&[5, 4, 6], |b, x| {
            let y = b.einsum(x, x, &[0, 1, 2], &[3, 1, 2], &[3, 0]);
            let z = b.sum_axes(x, &[0, 2]);
            let z = b.broadcast(z, Shape::new(&[5, 4, 5]), &[1]);
            b.einsum(z, y, &[0, 1, 2], &[2, 3], &[1, 3])
        }),
        &[counting(&[5, 4, 6])],
    );
}

#[test]
fn long_chains_of_large_tensors_do_not_exhaust_the_stack() {
    let n = 10_000;
    let func = of_one(&[40], |b, x| {
        (0..n).fold(x, |y, i| {
            let c = b.splat_like(f64::from(i % 7) - 3.0, x);
            b.add(y, c)
        })
    });
    // Σ (i mod 7 - 3) over 10 000 = 1428·7 + 4 terms: -3 - 2 - 1 + 0 = -6.
    let loops = lower(&func, Target::new(true)).unwrap();
    let result = run_loops(&loops, &[Data::of(&counting(&[40]))], false);
    let expected: Vec<f64> = counting(&[40]).data.iter().map(|x| x - 6.0).collect();
    assert_eq!(result[0].floats(), expected);
}

/// x' = a x - b x y, y' = d x y - g y
fn lotka_volterra() -> Func {
    let mut b = Builder::new("rate");
    let u = b.param("u", Type::new(DType::F64, &[2]));
    let p = b.param("p", Type::new(DType::F64, &[4]));
    let scalars = |b: &mut Builder, v: ValueId, n: usize| b.unpack(v, &vec![Shape::scalar(); n]);
    let (u, p) = (scalars(&mut b, u, 2), scalars(&mut b, p, 4));
    let xy = b.mul(u[0], u[1]);
    let terms = [b.mul(p[0], u[0]), b.mul(p[1], xy), b.mul(p[2], xy), b.mul(p[3], u[1])];
    let (dx, dy) = (b.sub(terms[0], terms[1]), b.sub(terms[2], terms[3]));
    let du = b.pack(&[dx, dy], DType::F64);
    b.finish(vec![("du".into(), du)])
}

fn golden(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden").join(name);
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_small_kernel_reads_like_this() {
    let loops = lower(&lotka_volterra(), Target::new(true)).unwrap();
    assert_eq!(loops.to_string(), golden("rate.loops"));
    // Calling convention and pointers differ between machines.
    if cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        assert_eq!(clif(&loops).unwrap(), golden("rate.clif"));
    }
}

/// Sums of one value that are accumulated side by side, with what is left over at the end of an axis:
/// the bits are those of each sum alone.
#[test]
fn sums_side_by_side_are_those_alone() {
    for (m, k, n) in [(17, 18, 1), (43, 19, 1), (8, 20, 16), (9, 17, 23), (64, 33, 2), (1, 40, 37)] {
        let mut b = Builder::new("f");
        let x = b.param("x", Type::new(DType::F64, &[m, k]));
        let y = b.param("y", Type::new(DType::F64, &[k, n]));
        let product = b.einsum(x, y, &[0, 1], &[1, 2], &[0, 2]);
        let transposed = b.einsum(y, x, &[1, 2], &[0, 1], &[0, 2]);
        let halves = b.einsum(x, y, &[0, 1], &[1, 2], &[0]);
        let rows = b.sum_axes(x, &[1]);
        let columns = b.must(Op::ReduceMax, &[x], Attr::Axes([0].as_slice().into()));
        let results = [product, transposed, halves, rows, columns];
        let results = results.into_iter().enumerate().map(|(at, value)| (format!("{at}").into(), value));
        let func = b.finish(results.collect());
        let mut stream = Stream((m * k * n) as u64);
        let args = [&[m, k], &[k, n]].map(|dims| stream.tensor(&Type::new(DType::F64, dims), &UNIT));
        agrees_with_the_evaluator(&func, &args);
    }
}

/// Outer products, summed and written in tiles into one flat result: `w_ij = Σ_s a_si b_sj` with one of three
/// terms subtracted, then a bias. It is the second of the results, so that it is also added up over lanes.
#[test]
fn sums_of_outer_products_are_written_at_once() {
    for (n, m) in [(16, 16), (5, 43), (33, 2), (7, 1), (64, 18), (8, 36), (6, 94)] {
        let mut b = Builder::new("f");
        let (a, c) =
            (b.param("a", Type::new(DType::F64, &[3, n])), b.param("b", Type::new(DType::F64, &[3, m])));
        let row = |b: &mut Builder, of: ValueId, s: usize, len: usize| {
            let part = b.slice(of, &[(s as u32, s as u32 + 1), (0, len as u32)]);
            let part = b.reshape(part, Shape::new(&[len]));
            b.unary(Op::Sqrt, part)
        };
        let outer = |b: &mut Builder, s: usize| {
            let (x, y) = (row(b, a, s, n), row(b, c, s, m));
            b.einsum(x, y, &[0], &[1], &[0, 1])
        };
        let terms = [0, 1, 2].map(|s| outer(&mut b, s));
        let sum = b.sub(terms[0], terms[1]);
        let sum = b.add(sum, terms[2]);
        let flat = b.reshape(sum, Shape::new(&[n * m]));
        let bias = row(&mut b, c, 1, m);
        let all = b.concat(&[flat, bias], 0);
        let func = b.finish(vec![("v".into(), bias), ("w".into(), all)]);
        let args = [counting(&[3, n]), counting(&[3, m])]
            .map(|x| Tensor::new(x.ty.clone(), x.data.iter().map(|x| (x + 8.0) / 3.0).collect()));
        agrees_with_the_evaluator(&func, &args);
        // Nothing is stored on the way but the roots.
        let loops = lower(&func, Target::new(true)).unwrap();
        let locals = loops.buffers.iter().filter(|b| matches!(b.kind, BufferKind::Local(_)));
        assert!(locals.map(|b| b.len).max() <= Some(n.max(m)), "{loops}");
    }
}
