//! What wide code makes of dense layers: billions of operations a second, products and sums counted, for
//! 16 examples at once on one core, with each instruction set that the machine has.

use crate::median;
use nodec::ad::vjp_func;
use nodec::backend::cranelift::{Along, Cranelift};
use nodec::backend::lanes::{LaneFunc, Spread};
use nodec::backend::wide::{self, Isa};
use nodec::backend::{Backend, Input, Output, Target, Workspace};
use nodec::ir::builder::Builder;
use nodec::ir::func::{Attr, Func, ValueId};
use nodec::ir::op::Op;
use nodec::ir::types::{DType, Type};
use nodec::lower::lower;
use nodec::opt::optimise;
use std::time::Instant;

const LANES: usize = 16;

/// Prints the table.
pub fn table() {
    let isas = || Isa::ALL.into_iter().filter(|isa| isa.is_supported());
    print!("\n| f32 net |");
    isas().for_each(|isa| print!(" {isa:?}: forward, GF/s | value and all derivatives, GF/s |"));
    println!("\n| --- |{}", " --- | --- |".repeat(isas().count()));
    for sizes in [&[64, 64][..], &[128, 128], &[2, 64, 64, 2], &[784, 100, 784], &[43, 860, 860, 43]] {
        let operations: usize = sizes.windows(2).map(|pair| 2 * pair[0] * pair[1]).sum();
        let func = net(sizes);
        let n = func.params.len();
        let reverse = vjp_func(&func, &(0..n).collect::<Vec<usize>>(), &[0]).expect("it has derivatives");
        let reverse = optimise(reverse);
        print!("| {sizes:?} |");
        for isa in isas() {
            let forward = rate(&func, n, operations, isa);
            let both = rate(&reverse, n, 3 * operations, isa);
            print!(" {forward:.0} | {both:.0} |");
        }
        println!();
    }
}

/// `tanh` between layers without bias; the first parameter is the input.
fn net(sizes: &[usize]) -> Func {
    let mut b = Builder::new("net");
    let mut x = b.param("x", Type::new(DType::F32, &[sizes[0]]));
    let layers = sizes.windows(2).enumerate();
    let weights: Vec<ValueId> = layers
        .map(|(i, pair)| b.param(format!("w{i}"), Type::new(DType::F32, &[pair[1], pair[0]])))
        .collect();
    for (i, weight) in weights.iter().enumerate() {
        x = b.einsum(*weight, x, &[0, 1], &[1], &[0]);
        if i + 1 < weights.len() {
            x = b.must(Op::Tanh, &[x], Attr::None);
        }
    }
    b.finish(vec![("y".into(), x)])
}

/// Billions of operations a second, of which a lane takes `operations`: parameters from the second to the
/// `n`-th are in common, and so are, summed, the results that belong to them.
fn rate(func: &Func, n: usize, operations: usize, isa: Isa) -> f64 {
    let accumulators = wide::accumulators(isa, DType::F32);
    let target = Target { accumulators, ..Cranelift.target() };
    let func = lower(func, target).expect("it lowers");
    let spread = |shared: bool, other: Spread| if shared { other } else { Spread::Lanes };
    let inputs = (0..func.inputs.len()).map(|i| spread((1..n).contains(&i), Spread::Shared)).collect();
    let outputs = (0..func.outputs.len()).map(|i| spread(i > 0, Spread::Sum)).collect();
    let lane_func = LaneFunc { func, inputs, outputs };
    let len = |at: usize, input: bool| {
        let func = &lane_func.func;
        let (id, spread) = if input {
            (func.inputs[at], lane_func.inputs[at])
        } else {
            (func.outputs[at], lane_func.outputs[at])
        };
        func.buffers[id].len * if spread == Spread::Lanes { LANES } else { 1 }
    };
    let numbers = |len: usize| (0..len).map(|i| 0.3 * ((i * 37 % 101) as f32 / 101.0 - 0.5)).collect();
    let ins: Vec<Vec<f32>> = (0..lane_func.inputs.len()).map(|at| numbers(len(at, true))).collect();
    let mut outs: Vec<Vec<f32>> = (0..lane_func.outputs.len()).map(|at| vec![0.0; len(at, false)]).collect();
    let code = Along(isa).compile_lanes(vec![lane_func], LANES);
    let code = code.expect("it compiles");
    let mut workspace = Workspace::default();
    let calls = (200_000_000 / (operations * LANES)).max(1);
    let seconds = median(|| {
        let begun = Instant::now();
        for _ in 0..calls {
            let inputs: Vec<Input<'_>> = ins.iter().map(|data| Input::F32(data)).collect();
            let mut outputs: Vec<Output<'_>> = outs.iter_mut().map(|data| Output::F32(data)).collect();
            code.call(0, &inputs, &mut outputs, &mut workspace);
        }
        begun.elapsed().as_secs_f64() / calls as f64
    });
    (operations * LANES) as f64 / seconds / 1e9
}
