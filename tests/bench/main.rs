//! Measurements, run by hand: `cargo bench` prints what a call costs, what compiling costs, what a
//! fit costs, what models of many sizes take to be ready, what dense layers cost, how many runs there
//! are in a second, what sparse Jacobians save, what derivatives cost, and what a step of training
//! costs; `cargo bench -- compile` (`dense`, `wide`, `many`, `sparse`, `derivatives`, `train`) one of them
//! alone; `cargo bench -- compile equations` (or part of another name) some of the models of the first;
//! `cargo bench -- train small/plain mnist` some of the tasks of the last; `cargo bench -- single [WORD..]`
//! (those with these words in task and method) and `peers` what the tasks of other solvers cost, and
//! them beside. Nothing is asserted; quote medians and ratios from one run.

mod compile;
mod dense;
mod derivatives;
mod peers;
mod single;
mod sparse;
mod train;
mod wide;

use nodec::backend::cranelift::Cranelift;
use nodec::backend::{Backend, Input, Output, Workspace};
use nodec::ir::builder::Builder;
use nodec::ir::func::{Func, ValueId};
use nodec::ir::op::Op;
use nodec::ir::types::{DType, Shape, Type};
use nodec::lower::loops::LoopModule;
use nodec::lower::lower;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

fn main() {
    let named: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| named.is_empty() || named.iter().any(|arg| arg == name);
    if named.is_empty() {
        calls();
        compilation();
        fit();
    }
    if wanted("compile") {
        compile::table(named.get(1..).unwrap_or(&[]));
    }
    if wanted("dense") {
        dense::table();
    }
    if wanted("wide") {
        wide::table();
    }
    if wanted("many") {
        many(named.get(1..).unwrap_or(&[]));
    }
    if named.iter().any(|arg| arg == "single") {
        single::lines(&named[1..]).iter().for_each(|line| println!("{line}"));
    }
    if named.iter().any(|arg| arg == "peers") {
        peers::table();
    }
    if wanted("sparse") {
        sparse::lines();
    }
    if wanted("derivatives") {
        derivatives::taylor();
        derivatives::seminorm();
        derivatives::million_steps();
    }
    if wanted("train") {
        for line in train::lines(named.get(1..).unwrap_or(&[])) {
            println!("{line}");
        }
    }
}

/// The rate of Lotka–Volterra, called through [`nodec::backend::Executable::call`].
fn calls() {
    const CALLS: u32 = 2_000_000;
    let loops = lower(&rate(), Cranelift.target()).expect("the rate lowers");
    let module = Arc::new(LoopModule { funcs: vec![loops] });
    let native = Cranelift.compile(module).expect("the rate compiles");
    let (u, p, mut du, mut workspace) = ([30.0, 4.0], [0.5, 0.03, 0.02, 0.8], [0.0; 2], Workspace::default());
    let nanoseconds = median(|| {
        let begun = Instant::now();
        for _ in 0..CALLS {
            let inputs = [Input::F64(&u), Input::F64(black_box(&p))];
            native.call(0, &inputs, &mut [Output::F64(&mut du)], &mut workspace);
        }
        begun.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
    });
    println!("a call of a rate of 6 operations: {nanoseconds:.1} ns");
}

/// Chains of mixed operations, from the tensor IR to code that can be called.
fn compilation() {
    println!("\n| operations | on | lowered in ms | ready in ms |\n| --- | --- | --- | --- |");
    for dims in [&[][..], &[16], &[100]] {
        for operations in [200, 2000] {
            let func = mixed(dims, operations);
            let lowered = median(|| {
                let begun = Instant::now();
                black_box(lower(&func, Cranelift.target()).expect("it lowers"));
                begun.elapsed().as_secs_f64() * 1e3
            });
            let ready = median(|| {
                let begun = Instant::now();
                let loops = lower(&func, Cranelift.target()).expect("it lowers");
                let module = Arc::new(LoopModule { funcs: vec![loops] });
                black_box(Cranelift.compile(module).expect("it compiles").signature(0).inputs.len());
                begun.elapsed().as_secs_f64() * 1e3
            });
            println!("| {operations} | {} | {lowered:.2} | {ready:.2} |", Shape::new(dims));
        }
    }
}

/// The example of the README: from its text to its standard errors, without writing anything.
fn fit() {
    let milliseconds = median(|| {
        let begun = Instant::now();
        let model = nodec::Model::load("examples/lotka_volterra/lotka_volterra.node").expect("it checks");
        let mut run = model.bind().build().expect("it compiles");
        let fit = run.fit(|_| ControlFlow::Continue(())).expect("it fits");
        black_box(fit.objective);
        begun.elapsed().as_secs_f64() * 1e3
    });
    println!("\nthe fit of the hares and lynxes: {milliseconds:.1} ms");
}

/// Ten thousand trajectories of Lorenz, each with a rho and a step size of its own, to t = 10: one after
/// the other, and in lanes.
fn many(only: &[String]) {
    const RUNS: usize = 10_000;
    let text = "param sigma = 10.0, rho = 28.0, beta = 8/3\ntime t in 0..10\nstate u: [3] = [1, 1, 1]\n\
                let (x, y, z) = u\nu' = [sigma*(y - x), x*(rho - z) - y, x*y - beta*z]\n";
    let model = nodec::Model::parse(text).expect("it checks");
    let rho: Vec<f64> = (0..RUNS).map(|run| 60.0 * run as f64 / (RUNS - 1) as f64).collect();
    println!(
        "\n| method | steps | threads | lanes | trajectories a second | steps a second | ns a step |\n\
         | --- | --- | --- | --- | --- | --- | --- |"
    );
    let (rtol, dt) = ("solve.rtol", "solve.dt");
    let asked = [
        ("rk4", dt, "0.005"),
        ("tsit5", rtol, "1e-8"),
        ("dop853", rtol, "1e-8"),
        ("taylor", rtol, "1e-9"),
        ("taylor", rtol, "1e-15"),
    ];
    for (method, key, size) in asked {
        if !only.is_empty() && !only.iter().any(|name| name == method) {
            continue;
        }
        for (threads, lanes) in [("1", false), ("1", true), ("2", true)] {
            let bind = model.bind().sweep("rho", &rho).setting("run.threads", threads);
            let bind = bind.setting("solve.method", method).setting(key, size);
            let bind = if key == rtol { bind.setting("solve.atol", size) } else { bind };
            let mut run = bind.build().expect("it compiles");
            run.in_lanes(lanes);
            let begun = Instant::now();
            let runs = run.solve_all();
            let seconds = begun.elapsed().as_secs_f64();
            let steps = runs.stats.attempts() as f64;
            println!(
                "| {method} | {key} = {size} | {threads} | {lanes} | {:.0} | {:.2e} | {:.1} |",
                RUNS as f64 / seconds,
                steps / seconds,
                seconds / steps * 1e9
            );
        }
    }
}

/// The median of nine measurements.
fn median(mut measure: impl FnMut() -> f64) -> f64 {
    let mut measured: Vec<f64> = (0..9).map(|_| measure()).collect();
    measured.sort_by(f64::total_cmp);
    measured[4]
}

/// `x' = a x - b x y`, `y' = d x y - g y`
fn rate() -> Func {
    let mut b = Builder::new("rate");
    let u = b.param("u", Type::new(DType::F64, &[2]));
    let p = b.param("p", Type::new(DType::F64, &[4]));
    let u = b.unpack(u, &[Shape::scalar(), Shape::scalar()]);
    let p = b.unpack(p, &vec![Shape::scalar(); 4]);
    let met = b.mul(u[0], u[1]);
    let terms = [b.mul(p[0], u[0]), b.mul(p[1], met), b.mul(p[2], met), b.mul(p[3], u[1])];
    let rates = [b.sub(terms[0], terms[1]), b.sub(terms[2], terms[3])];
    let du = b.pack(&rates, DType::F64);
    b.finish(vec![("du".into(), du)])
}

/// Products, sums and a tenth of `tanh` on tensors of this shape.
fn mixed(dims: &[usize], operations: usize) -> Func {
    let mut b = Builder::new("mixed");
    let mut pool: Vec<ValueId> = vec![b.param("x", Type::new(DType::F64, dims))];
    for i in 0..operations {
        let (last, other) = (pool[pool.len() - 1], pool[(i * 7) % pool.len()]);
        pool.push(match i % 10 {
            0 => b.unary(Op::Tanh, last),
            1..=4 => b.mul(last, other),
            5..=8 => b.add(last, other),
            _ => b.sub(other, last),
        });
    }
    let y = pool[operations];
    b.finish(vec![("y".into(), y)])
}
