//! What derivatives cost: Taylor mode against nested forward mode, a gradient of a million steps,
//! the seminorm on the way back.

use nodec::Model;
use nodec::ad;
use nodec::backend::cranelift::Cranelift;
use nodec::backend::{Backend, Input, Output, Workspace};
use nodec::ir::builder::Builder;
use nodec::ir::func::{Func, ValueId};
use nodec::ir::op::Op;
use nodec::ir::types::{DType, Type};
use nodec::lower::loops::{LoopModule, Prim, Stmt};
use nodec::lower::lower;
use nodec::opt::optimise;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

/// `d^K z/dt^K` along `z' = f(z)` with `f` a perceptron 64–64–64: operations on scalars and time,
/// and the growth from order to order. By Taylor mode; by nested forward mode as this compiler does
/// it, which keeps every value once however often it is asked for; and by nested forward mode where
/// each level evaluates the field anew, as it is where nothing is shared between levels.
pub fn taylor() {
    println!(
        "\n| K | Taylor: operations | growth | µs | nested, shared: operations | growth | µs | nested: operations | growth | µs |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut rows: Vec<[(f64, f64); 3]> = Vec::new();
    for order in 1..=8 {
        let row = [by_series(order), by_nesting(order), by_levels(order)].map(|func| measure(&func));
        let growth = |way: usize| rows.last().map_or(1.0, |last| row[way].0 / last[way].0);
        let cell = |way: usize| format!("{:.0} | {:.2} | {:.1}", row[way].0, growth(way), row[way].1);
        println!("| {order} | {} | {} | {} |", cell(0), cell(1), cell(2));
        rows.push(row);
    }
    // Least squares over K = 2..8: order 1 is the field itself.
    let logs: Vec<(f64, f64, f64)> =
        (1..8).map(|at| ((at as f64 + 1.0).ln(), rows[at][0].0.ln(), rows[at][0].1.ln())).collect();
    let n = logs.len() as f64;
    let mean = logs.iter().map(|row| row.0).sum::<f64>() / n;
    let slope = |y: fn(&(f64, f64, f64)) -> f64| {
        let over: f64 = logs.iter().map(|row| (row.0 - mean) * y(row)).sum();
        over / logs.iter().map(|row| (row.0 - mean).powi(2)).sum::<f64>()
    };
    println!(
        "log-log slope of Taylor mode: {:.2} in operations, {:.2} in time",
        slope(|row| row.1),
        slope(|row| row.2)
    );
}

/// The peak of memory and the time of a solve of 10⁶ steps, of its gradient with 20 states kept at
/// once, and with all of them.
pub fn million_steps() {
    let text = "
        param w = 1.3, q0 = 0.7
        time t in 0..1000
        state q = q0, v = 0.0
        q' = v
        v' = -w^2*sin(q)
        loss value = q(end)^2 + v(end)
        solve { method = rk4, dt = 0.001, max_steps = 2_000_000 }
    ";
    println!("\n| 10⁶ steps | peak MiB | s | states kept | taken again |\n| --- | --- | --- | --- | --- |");
    let model = Model::parse(text).expect("it checks");
    let mut found = Vec::new();
    for adjoint in ["", "checkpoint(20)", "discrete"] {
        let run = match adjoint {
            "" => model.bind().build(),
            adjoint => model.bind().setting("solve.adjoint", adjoint).build(),
        };
        let run = run.expect("it compiles");
        let (before, begun) = (memory(true), Instant::now());
        let (kept, again) = match adjoint {
            "" => {
                black_box(run.solve().expect("it solves").stats().accepted);
                (0, 0)
            }
            _ => {
                let gradient = run.gradient().expect("it has a gradient");
                let cost = gradient.cost;
                found.push(gradient.by);
                (cost.most_states, cost.recomputed)
            }
        };
        let (seconds, peak) = (begun.elapsed().as_secs_f64(), memory(false) - before);
        let name = if adjoint.is_empty() { "the solve alone" } else { adjoint };
        println!("| {name} | {peak:.1} | {seconds:.2} | {kept} | {again} |");
    }
    let entries = |at: usize| found[at].iter().flat_map(|param: &nodec::ParamValue| param.values.clone());
    let gap = entries(0).zip(entries(1)).map(|(a, b)| ((a - b) / b).abs()).fold(0.0, f64::max);
    println!("largest relative difference of the two gradients: {gap:.1e}");
}

/// Evaluations on the way back by norm, for a network of 2 states and growing width.
pub fn seminorm() {
    println!(
        "\n| params | back, default norm | back, seminorm | saved | difference |\n| --- | --- | --- | --- | --- |"
    );
    for width in [8, 24, 64] {
        let text = format!(
            "param W: [{width}, 2] = [[sin(3*i + 5*j) for j in 0..2] for i in 0..{width}]
             param b: [{width}] = [cos(2*i) for i in 0..{width}]
             param V: [2, {width}] = [[cos(7*i + 3*j)/4 for j in 0..{width}] for i in 0..2]
             time t in 0..4
             state z: [2] = [1, -0.5]
             z' = V @ tanh(W @ z + b*sin(t))
             const ts: [4] = [1, 2, 3, 4]
             loss value = sumsq(z(ts))
             solve {{ rtol = 1e-5, atol = 1e-7 }}"
        );
        let model = Model::parse(&text).expect("it checks");
        let gradient = |adjoint| {
            let run = model.bind().setting("solve.adjoint", adjoint).build().expect("it compiles");
            run.gradient().expect("it has a gradient")
        };
        let (default, semi) = (gradient("backsolve()"), gradient("backsolve(norm = seminorm)"));
        let entries = |of: &nodec::Gradient| -> Vec<f64> {
            of.by.iter().flat_map(|param| param.values.clone()).collect()
        };
        let (a, b) = (entries(&default), entries(&semi));
        let size = a.iter().fold(0.0, |max: f64, a| max.max(a.abs()));
        let gap = a.iter().zip(&b).map(|(a, b)| (a - b).abs() / size).fold(0.0, f64::max);
        let (default, semi) = (default.cost.evaluations, semi.cost.evaluations);
        let saved = 100.0 * (1.0 - semi as f64 / default as f64);
        println!("| {} | {default} | {semi} | {saved:.0} % | {gap:.1e} |", a.len());
    }
}

const WIDTH: usize = 64;

/// `z, W1, b1, W2, b2`, and `f = W2 tanh(W1 z + b1) + b2`.
fn field(b: &mut Builder) -> (ValueId, ValueId) {
    let vector = Type::new(DType::F64, &[WIDTH]);
    let matrix = Type::new(DType::F64, &[WIDTH, WIDTH]);
    let z = b.param("z", vector.clone());
    let mut layer = |name: &str, x: Option<ValueId>| {
        let w = b.param(format!("W{name}"), matrix.clone());
        let bias = b.param(format!("b{name}"), vector.clone());
        let product = b.matmul(w, x.unwrap_or(z));
        b.add(product, bias)
    };
    let hidden = layer("1", None);
    let hidden = b.unary(Op::Tanh, hidden);
    let w = b.param("W2", matrix);
    let bias = b.param("b2", vector);
    let product = b.matmul(w, hidden);
    (z, b.add(product, bias))
}

fn by_series(order: usize) -> Func {
    let mut b = Builder::new("taylor");
    let (z, f) = field(&mut b);
    let rows = ad::taylor(&mut b, &[(z, f)], &[z], order).expect("it has a series");
    let result = rows[0][order];
    optimise(b.finish(vec![("d".into(), result)]))
}

fn by_nesting(order: usize) -> Func {
    let mut b = Builder::new("nested");
    let (z, f) = field(&mut b);
    let mut last = f;
    for _ in 1..order {
        last = ad::jvp(&mut b, &[(z, f)], &[last]).expect("it has a tangent")[0];
    }
    optimise(b.finish(vec![("d".into(), last)]))
}

/// Each level evaluates the field on operands of its own, which are given the same numbers, so that
/// nothing is the same value twice to the compiler.
fn by_levels(order: usize) -> Func {
    let mut b = Builder::new("levels");
    let (z, f) = field(&mut b);
    let (mut places, mut last) = (vec![z], f);
    for _ in 1..order {
        let (z, f) = field(&mut b);
        let seeds: Vec<(ValueId, ValueId)> = places.iter().map(|place| (*place, f)).collect();
        last = ad::jvp(&mut b, &seeds, &[last]).expect("it has a tangent")[0];
        places.push(z);
    }
    optimise(b.finish(vec![("d".into(), last)]))
}

/// Operations on scalars, and microseconds for a call.
fn measure(func: &Func) -> (f64, f64) {
    let loops = lower(func, Cranelift.target()).expect("it lowers");
    let operations = operations(&loops.body);
    let native = Cranelift.compile(Arc::new(LoopModule { funcs: vec![loops] })).expect("it compiles");
    let matrix: Vec<f64> = (0..WIDTH * WIDTH).map(|at| (7.0 * at as f64).sin() / WIDTH as f64).collect();
    let vector: Vec<f64> = (0..WIDTH).map(|at| (3.0 * at as f64).cos()).collect();
    let values: [&[f64]; 5] = [&vector, &matrix, &vector, &matrix, &vector];
    let inputs: Vec<Input<'_>> =
        (0..func.params.len()).map(|at| Input::F64(values[at % values.len()])).collect();
    let (mut out, mut workspace) = (vec![0.0; WIDTH], Workspace::default());
    let microseconds = super::median(|| {
        let begun = Instant::now();
        for _ in 0..20 {
            native.call(0, black_box(&inputs), &mut [Output::F64(&mut out)], &mut workspace);
        }
        begun.elapsed().as_secs_f64() * 1e6 / 20.0
    });
    (operations as f64, microseconds)
}

/// Arithmetic on scalars; a fused multiply and add counts twice.
fn operations(body: &[Stmt]) -> usize {
    let of = |stmt: &Stmt| match stmt {
        Stmt::Let { prim: Prim::Const(_) | Prim::Counter(_), .. } => 0,
        Stmt::Let { prim: Prim::Fma, .. } => 2,
        Stmt::Let { .. } => 1,
        Stmt::Load { .. } | Stmt::Store { .. } => 0,
        Stmt::Loop(inner) => inner.count * operations(&inner.body),
    };
    body.iter().map(of).sum()
}

/// The peak of resident memory in MiB since the last call that asked to begin anew.
fn memory(anew: bool) -> f64 {
    if anew {
        // Linux: 5 resets the peak to the present size.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib / 1024.0)
}
