//! Dense layers: the code of one example.

use nodec::ad::vjp_func;
use nodec::backend::cranelift::Cranelift;
use nodec::backend::{Backend, Input, Output, Workspace};
use nodec::ir::builder::Builder;
use nodec::ir::func::{Func, ValueId};
use nodec::ir::op::Op;
use nodec::ir::types::{DType, Shape, Type};
use nodec::lower::loops::LoopModule;
use nodec::lower::{lower, lower_within};
use nodec::opt::optimise;
use nodec::plan::step::step;
use nodec::solve::Tableau;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

/// Rate, step and reverse of a step of nets with `tanh` between their layers, with the sums of each
/// product side by side and with one after the other.
pub fn table() {
    println!("\n| net | type | function | statements | ms to compile | µs a call | µs one by one |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (layers, dtype) in [
        (&[2, 64, 64, 2][..], DType::F64),
        (&[2, 64, 64, 2], DType::F32),
        (&[784, 100, 784], DType::F64),
        (&[784, 100, 784], DType::F32),
    ] {
        let rate = optimise(net(layers, dtype));
        let tableau = Tableau::by_name("dopri5").expect("it is in the table");
        let step = optimise(step(&rate, tableau));
        let reverse = optimise(vjp_func(&step, &[2, 3, 5], &[0, 1]).expect("it is smooth"));
        for (name, func) in [("rate", &rate), ("step", &step), ("reverse of the step", &reverse)] {
            let [(statements, compiled, together), (_, _, alone)] =
                [lower(func, Cranelift.target()), lower_within(func, Cranelift.target(), 1)].map(|loops| {
                    let loops = loops.expect("it lowers");
                    let (statements, begun) = (loops.size(), Instant::now());
                    let native = Cranelift.compile(Arc::new(LoopModule { funcs: vec![loops] }));
                    let native = native.expect("it compiles");
                    (statements, begun.elapsed().as_secs_f64() * 1e3, microseconds(&*native))
                });
            let shown: Vec<String> = layers.iter().map(|n| n.to_string()).collect();
            println!(
                "| {} | {} | {name} | {statements} | {compiled:.1} | {together:.1} | {alone:.1} |",
                shown.join("–"),
                dtype.name()
            );
        }
    }
}

/// What a call takes, on numbers between -1 and 1.
fn microseconds(native: &dyn nodec::backend::Executable) -> f64 {
    let declared = native.signature(0);
    let some = |len: usize| (0..len).map(|at| 0.02 * ((at * 7919 % 100) as f64 - 50.0)).collect::<Vec<f64>>();
    let wide: Vec<Vec<f64>> = declared.inputs.iter().map(|(_, len)| some(*len)).collect();
    let narrow: Vec<Vec<f32>> = wide.iter().map(|x| x.iter().map(|x| *x as f32).collect()).collect();
    let lens: Vec<usize> = declared.outputs.iter().map(|(_, len)| *len).collect();
    let mut wide_out: Vec<Vec<f64>> = lens.iter().map(|len| vec![0.0; *len]).collect();
    let mut narrow_out: Vec<Vec<f32>> = lens.iter().map(|len| vec![0.0; *len]).collect();
    let is_wide = |buffers: &[(DType, usize)], at: usize| buffers[at].0 == DType::F64;
    let mut workspace = Workspace::default();
    let mut call = || {
        let inputs: Vec<Input<'_>> = (0..wide.len())
            .map(|at| match is_wide(&declared.inputs, at) {
                true => Input::F64(&wide[at]),
                false => Input::F32(&narrow[at]),
            })
            .collect();
        let mut outputs: Vec<Output<'_>> = (wide_out.iter_mut().zip(&mut narrow_out).enumerate())
            .map(|(at, (wide, narrow))| match is_wide(&declared.outputs, at) {
                true => Output::F64(wide),
                false => Output::F32(narrow),
            })
            .collect();
        native.call(0, black_box(&inputs), &mut outputs, &mut workspace);
    };
    let mut time = |calls: u32| {
        let begun = Instant::now();
        (0..calls).for_each(|_| call());
        begun.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
    };
    let calls = (20_000.0 / time(1)).clamp(1.0, 10_000.0) as u32;
    super::median(|| time(calls))
}

/// `t, inside, y, a, q -> W_L tanh(… tanh(W_1 y + b_1) …) + b_L`, with all of `W_1, b_1, …` in `q`.
fn net(layers: &[usize], dtype: DType) -> Func {
    let mut b = Builder::new("rate");
    let scalar = Type::new(dtype, &[]);
    b.param("t", scalar.clone());
    b.param("inside", scalar);
    let y = b.param("y", Type::new(dtype, &layers[..1]));
    b.param("a", Type::new(dtype, &[0]));
    let sizes = layers.windows(2).map(|pair| pair[1] * (pair[0] + 1));
    let q = b.param("q", Type::new(dtype, &[sizes.sum()]));
    let (mut x, mut at): (ValueId, usize) = (y, 0);
    for (number, pair) in layers.windows(2).enumerate() {
        let (n, m) = (pair[0], pair[1]);
        let weights = b.part(q, at, at + m * n);
        let weights = b.reshape(weights, Shape::new(&[m, n]));
        let bias = b.part(q, at + m * n, at + m * n + m);
        at += m * (n + 1);
        let product = b.einsum(weights, x, &[0, 1], &[1], &[0]);
        let sum = b.add(bias, product);
        x = if number + 2 < layers.len() { b.unary(Op::Tanh, sum) } else { sum };
    }
    b.finish(vec![("dy".into(), x)])
}
