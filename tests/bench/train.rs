//! A step of training without the optimiser: the loss of a batch and its gradient, on the tasks of the
//! peers' scripts. Prints a JSON line for each, as they do, so that they make one table.
//!
//! Data and weights are those of the peers: `tests/bench/train/data.py` writes them to the folder that
//! `NODEC_BENCH_DATA` names. Code is kept in the folder that `NODEC_CACHE` names, if it is set: `compile` is then
//! what it takes to find it.

use nodec::data::{Part, npz};
use nodec::{Model, Run};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A task of the peers: its name, the program, what the program gets in addition.
struct Task {
    name: &'static str,
    data: &'static str,
    program: &'static str,
    more: &'static str,
}

const SMALL: &str = include_str!("train/small.node");
const MNIST: &str = include_str!("train/mnist.node");
const FFJORD: &str = include_str!("train/ffjord.node");
const CONV: &str = include_str!("train/conv.node");

const RNODE: &str = "let e = vjp(z', z, d.eps)\nchannel logdet' = sum(e*d.eps)\nchannel kinetic' = sumsq(z')\n\
                     channel jacobian' = sumsq(e)\nloss reg = 0.01*kinetic(end) + 0.01*jacobian(end)\n";
const RNODE_ON: &str = "channel kinetic' = sumsq(z')\nchannel jacobian' = sumsq(e)\n\
                        loss reg = 0.01*kinetic(end) + 0.01*jacobian(end)\n";
const TAY2: &str = "channel r' = mean(z''^2)\nloss reg = 0.01*r(end)\n";
const TAY3: &str = "channel r' = mean(z'''^2)\nloss reg = 0.01*r(end)\n";

const TASKS: [Task; 12] = [
    Task { name: "small/plain", data: "small", program: SMALL, more: "" },
    Task { name: "small/rnode", data: "small", program: SMALL, more: RNODE },
    Task { name: "small/tay2", data: "small", program: SMALL, more: TAY2 },
    Task { name: "small/tay3", data: "small", program: SMALL, more: TAY3 },
    Task { name: "mnist/plain", data: "mnist", program: MNIST, more: "" },
    Task { name: "mnist/tay2", data: "mnist", program: MNIST, more: TAY2 },
    Task { name: "mnist/tay3", data: "mnist", program: MNIST, more: TAY3 },
    Task { name: "ffjord256/plain", data: "ffjord256", program: FFJORD, more: "" },
    Task { name: "ffjord256/rnode", data: "ffjord256", program: FFJORD, more: RNODE_ON },
    Task { name: "ffjord860/plain", data: "ffjord860", program: FFJORD, more: "" },
    Task { name: "ffjord860/rnode", data: "ffjord860", program: FFJORD, more: RNODE_ON },
    Task { name: "conv/plain", data: "conv", program: CONV, more: "" },
];

/// The tasks whose names begin with one of `named`; all of `small` and plain `mnist` if none is.
pub fn lines(named: &[String]) -> Vec<String> {
    let Some(folder) = std::env::var_os("NODEC_BENCH_DATA").map(PathBuf::from) else {
        println!("no training tasks: NODEC_BENCH_DATA names no folder, see tests/bench/train/data.py");
        return Vec::new();
    };
    let usual = |task: &Task| task.data == "small" || task.name == "mnist/plain";
    let wanted = |task: &&Task| match named {
        [] => usual(task),
        named => named.iter().any(|name| task.name.starts_with(name.as_str())),
    };
    let wanted = TASKS.iter().filter(wanted);
    let each = |task: &Task| ["1", "2"].map(|threads| line(task, &folder.join(task.data), threads));
    wanted.flat_map(each).collect()
}

fn line(task: &Task, folder: &Path, threads: &str) -> String {
    let begun = Instant::now();
    let run = built(task, folder, threads);
    let examples: Vec<usize> = (0..run.n_examples(Part::Train)).collect();
    let mut gradients = run.batch_gradients(Part::Train).expect("it has a loss");
    let first = gradients(&examples).unwrap_or_else(|error| panic!("{}", error.diagnostics().render()));
    let compile = begun.elapsed().as_secs_f64();
    let (mut times, begun) = (Vec::new(), Instant::now());
    while times.len() < 3 || (begun.elapsed().as_secs_f64() < 2.0 && times.len() < 400) {
        let begun = Instant::now();
        let again = gradients(&examples).expect("as before");
        times.push(begun.elapsed().as_secs_f64());
        assert_eq!(again, first, "the same batch");
    }
    times.sort_by(f64::total_cmp);
    let norm = first.by.iter().flat_map(|param| &param.values).map(|g| g * g).sum::<f64>().sqrt();
    let nfe = first.evaluations as f64 / examples.len() as f64;
    format!(
        "{{\"task\": \"train/{}/{}\", \"peer\": \"nodec\", \"seconds\": {:.4e}, \"loss\": {:.6}, \
         \"grad_norm\": {norm:.6}, \"nfe\": {nfe:.1}, \"threads\": {threads}, \"compile\": {compile:.3}}}",
        task.name,
        method(task),
        times[times.len() / 2],
        first.objective,
    )
}

/// The convolutions take two steps of the 3/8 rule, which torchdiffeq has.
fn method(task: &Task) -> &'static str {
    if task.data == "conv" { "rk38" } else { "dopri5" }
}

/// Steps are chosen as the peers choose them: by the elementary controller.
fn built(task: &Task, folder: &Path, threads: &str) -> Run {
    let steps = if task.data == "conv" { "dt = 0.5" } else { "rtol = 1e-5, atol = 1e-5, controller = i" };
    let settings = format!("solve {{ method = {}, {steps} }}\nrun {{ precision = f32 }}\n", method(task));
    let text = format!("{}{}{settings}", task.program, task.more);
    let model = Model::from_text("task.node", &text, folder.to_path_buf());
    let model = model.unwrap_or_else(|all| panic!("{}", all.render()));
    let bound = model.bind().setting("run.threads", threads);
    let bound = if task.data == "ffjord256" { bound.assign("H=256") } else { bound };
    // By default there is none, as in the library.
    let named = std::env::var_os("NODEC_CACHE");
    let cache = named.and_then(|_| nodec::cli::cache::of_user(|name| std::env::var_os(name)));
    let bound = cache.iter().fold(bound, nodec::Binder::code_cache);
    let mut run = bound.build().unwrap_or_else(|all| panic!("{}", all.render()));
    let bytes = std::fs::read(folder.join("weights.npz")).expect("the weights are there");
    for (name, array) in npz::decoded(&bytes).expect("an archive") {
        assert!(run.set_param(&name, &array.numbers.to_f64()), "the param {name}");
    }
    run
}
