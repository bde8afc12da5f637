//! Machine code that is kept from one run to the next: the same bits as without, and never an error.

use nodec::CodeCache;
use nodec::backend::cranelift::{Along, Baseline, Cranelift};
use nodec::backend::kept::Keeping;
use nodec::backend::lanes::Spread;
use nodec::backend::wide::Isa;
use nodec::backend::{Backend, Input, Native, Output, Workspace};
use nodec::data::Part;
use nodec::ir::builder::Builder;
use nodec::ir::func::{Attr, Func};
use nodec::ir::op::Op;
use nodec::ir::types::{DType, Type};
use nodec::plan::unit::{compile, compile_lanes};
use nodec::{Binder, Model, Run};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// A folder that is gone afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("nodec-cache-{}-{test}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    /// One that keeps everything.
    fn cache(&self) -> CodeCache {
        CodeCache::at(self.0.join("cache")).worth(Duration::ZERO)
    }

    /// What is kept, with its names.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let Ok(entries) = fs::read_dir(self.0.join("cache")) else { return Vec::new() };
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        files.sort();
        files
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn model(text: &str) -> Model {
    Model::parse(text).unwrap_or_else(|all| panic!("{}", all.render()))
}

fn built(binder: Binder) -> Run {
    binder.build().unwrap_or_else(|all| panic!("{}", all.render()))
}

/// Every number that a run gives: its trajectories and the gradient of its objective, or of a batch.
fn bits(run: &Run, examples: bool) -> Vec<u64> {
    let of = |all: Vec<f64>| all.into_iter().map(f64::to_bits).collect();
    if examples {
        let all: Vec<usize> = (0..run.n_examples(Part::Train)).collect();
        let gradient = run.batch_gradients(Part::Train).and_then(|mut gradients| gradients(&all)).unwrap();
        let by = gradient.by.iter().flat_map(|param| param.values.clone());
        return of(by.chain([gradient.objective]).collect());
    }
    let solution = run.solve().unwrap();
    let mut all: Vec<f64> = solution.ts().to_vec();
    all.extend(solution.trajectories().iter().flat_map(|one| one.values().iter().copied()));
    if let Ok(gradient) = run.gradient() {
        all.extend(gradient.by.iter().flat_map(|param| param.values.iter().copied()));
    }
    of(all)
}

const PREDATORS: &str = "
    param alpha = 0.55, beta = 0.03, delta = 0.02, gamma = 0.8
    time t in 0..20
    state x = 30, y = 4
    x' = alpha*x - beta*x*y
    y' = delta*x*y - gamma*y
    loss end = (x(end) - 20)^2 + log(y(end))
";
/// Robertson's reactions, with an algebraic unknown.
const ROBERTSON: &str = "
    param k1 = 0.04, k2 = 3e7, k3 = 1e4
    time t in 0..40
    state a = 1, b = 0
    algebraic c = 0
    a' = -k1*a + k3*b*c
    b' = k1*a - k3*b*c - k2*b^2
    0 = a + b + c - 1
    loss end = c(end)
";
/// A ball that bounces, and an integral of a sum over a table, which code reads from memory of its own.
const BOUNCES: &str = "
    const table = [0.9, 0.7, 0.8, 0.65, 0.75, 0.6, 0.85, 0.5]
    param g = 9.81
    time t in 0..3
    state x = 1, v = 0
    x' = v
    v' = -g + 0.01*sum(table*sin(v*table))
    when x < 0 { v := -0.8*v }
    loss end = x(end)^2
";
const EXAMPLES: &str = "
    use std.layers (MLP)
    fn point() { (x = [sample(normal(0, 1)), sample(uniform(0, 2))]) }
    data d = synthetic(point(n = 20), seed = 3) { x: [batch, 2] }
    param net = MLP[2, 2](hidden = [5], act = tanh)
    time t in 0..1
    state z: [2] = d.x
    z' = net(z)
    loss far = sumsq(z(end) - 1)
";

/// A program, its settings, and whether its objective is that of many examples.
type Case = (&'static str, &'static [(&'static str, &'static str)], bool);

const RUNS: &[Case] = &[
    (PREDATORS, &[("solve.method", "tsit5")], false),
    (PREDATORS, &[("solve.method", "taylor")], false),
    (PREDATORS, &[("solve.method", "dop853"), ("run.cpu", "baseline")], false),
    (PREDATORS, &[("solve.method", "bosh3"), ("run.precision", "f32"), ("solve.rtol", "1e-4")], false),
    (PREDATORS, &[("solve.method", "abm"), ("solve.adjoint", "forward")], false),
    (ROBERTSON, &[("solve.method", "radau5")], false),
    (ROBERTSON, &[("solve.method", "rodas5p"), ("run.cpu", "baseline")], false),
    (BOUNCES, &[("solve.method", "dopri5")], false),
    (EXAMPLES, &[("solve.method", "dopri5")], true),
    (EXAMPLES, &[("solve.method", "dopri5"), ("run.precision", "f32")], true),
    (EXAMPLES, &[("solve.method", "dopri5"), ("run.cpu", "baseline")], true),
];

#[test]
fn kept_code_gives_the_bits_of_fresh_code() {
    for (text, settings, examples) in RUNS {
        let scratch = Scratch::new("bits");
        let model = model(text);
        let binder = settings.iter().fold(model.bind(), |binder, (key, value)| binder.setting(key, value));
        let expected = bits(&built(binder.clone()), *examples);
        let (first, second) = (scratch.cache(), scratch.cache());
        assert_eq!(bits(&built(binder.clone().code_cache(&first)), *examples), expected, "{settings:?}");
        let made = scratch.files();
        assert!(made.len() > 3, "{} files for {settings:?}", made.len());
        assert_eq!(bits(&built(binder.code_cache(&second)), *examples), expected, "{settings:?}");
        assert!(second.found() >= made.len() as u64, "{} of {} for {settings:?}", second.found(), made.len());
        assert!(scratch.files() == made, "nothing is made again: {settings:?}");
    }
}

/// `x, y, w -> tanh(W x + table) , Σ sin(y)·log(2 + y²)`: scalars, loops, products and a table.
fn function(dtype: DType, n: usize) -> Func {
    let mut b = Builder::new("f");
    let x = b.param("x", Type::new(dtype, &[n]));
    let y = b.param("y", Type::new(dtype, &[n]));
    let w = b.param("w", Type::new(dtype, &[n, n]));
    let table: Vec<f64> = (0..n).map(|at| 0.3 * at as f64 - 1.0 / 3.0).collect();
    let table = b.constant(&table, Type::new(dtype, &[n]));
    let product = b.matmul(w, x);
    let sum = b.add(product, table);
    let z = b.unary(Op::Tanh, sum);
    let (sin, square) = (b.unary(Op::Sin, y), b.mul(y, y));
    let two = b.splat_like(2.0, square);
    let more = b.add(square, two);
    let log = b.unary(Op::Log, more);
    let terms = b.mul(sin, log);
    let total = b.sum(terms);
    let order = b.must(Op::Reverse, &[z], Attr::Axes(smallvec::smallvec![0]));
    b.finish(vec![("z".into(), order), ("total".into(), total)])
}

fn numbers(count: usize, seed: usize) -> Vec<f64> {
    (0..count).map(|at| ((at * 7 + seed * 13 + 3) as f64 * 0.618_033_988_7).fract() - 0.4).collect()
}

/// The results of `function(dtype, n)` alone and in lanes.
fn called(backend: &dyn Backend, dtype: DType, n: usize) -> Vec<u64> {
    let func = function(dtype, n);
    let [alone] = compile([&func], backend).unwrap();
    let spreads = vec![Spread::Lanes, Spread::Lanes, Spread::Shared];
    let results = vec![Spread::Lanes, Spread::Sum];
    let [lanes] = compile_lanes([(&func, spreads, results)], dtype, backend).unwrap();
    let mut bits = Vec::new();
    let mut workspace = Workspace::default();
    let width = lanes.width();
    for (own, wide) in [(1, false), (width, true)] {
        let inputs = [numbers(n * own, 1), numbers(n * own, 2), numbers(n * n, 3)];
        let (mut z, mut total) = (vec![0.0; n * own], vec![0.0; 1]);
        if dtype == DType::F64 {
            let inputs: Vec<Input<'_>> = inputs.iter().map(|x| Input::F64(x)).collect();
            let mut outputs = [Output::F64(&mut z), Output::F64(&mut total)];
            match wide {
                true => lanes.call(&inputs, &mut outputs, &mut workspace),
                false => alone.call(&inputs, &mut outputs, &mut workspace),
            }
        } else {
            let single = inputs.map(|x| x.into_iter().map(|x| x as f32).collect::<Vec<f32>>());
            let inputs: Vec<Input<'_>> = single.iter().map(|x| Input::F32(x)).collect();
            let (mut z32, mut total32) = (vec![0.0; n * own], vec![0.0; 1]);
            let mut outputs = [Output::F32(&mut z32), Output::F32(&mut total32)];
            match wide {
                true => lanes.call(&inputs, &mut outputs, &mut workspace),
                false => alone.call(&inputs, &mut outputs, &mut workspace),
            }
            z = z32.into_iter().map(f64::from).collect();
            total = total32.into_iter().map(f64::from).collect();
        }
        bits.extend(z.iter().chain(&total).map(|x| x.to_bits()));
    }
    bits
}

#[test]
fn every_kind_of_machine_code_can_be_kept() {
    let scratch = Scratch::new("kinds");
    let mut natives: Vec<Arc<dyn Native>> = vec![Arc::new(Cranelift), Arc::new(Baseline)];
    natives
        .extend(Isa::ALL.into_iter().filter(|isa| isa.is_supported()).map(|isa| Arc::new(Along(isa)) as _));
    for native in natives {
        for (dtype, n) in [(DType::F64, 3), (DType::F64, 40), (DType::F32, 5), (DType::F32, 33)] {
            let expected = called(&*native, dtype, n);
            let cache = scratch.cache();
            let keeping = Keeping::new(native.clone(), cache.clone());
            for found in [0, 2] {
                assert_eq!(called(&keeping, dtype, n), expected, "{} {dtype:?} {n}", native.name());
                assert_eq!(cache.found(), found, "{} {dtype:?} {n}", native.name());
            }
        }
    }
}

#[test]
fn damaged_and_exchanged_files_are_made_again() {
    let scratch = Scratch::new("damaged");
    let model = model(PREDATORS);
    let expected = bits(&built(model.bind()), false);
    let with_cache = || bits(&built(model.bind().code_cache(&scratch.cache())), false);
    assert_eq!(with_cache(), expected);
    let good = scratch.files();
    assert!(good.len() > 3);
    for (number, (path, bytes)) in good.iter().enumerate() {
        let bad = match number % 4 {
            0 => bytes[..bytes.len() / 2].to_vec(),
            1 => good[(number + 1) % good.len()].1.clone(),
            2 => Vec::new(),
            _ => bytes.iter().map(|byte| byte ^ 1).collect(),
        };
        fs::write(path, bad).unwrap();
    }
    assert_eq!(with_cache(), expected);
    assert!(scratch.files() == good, "the same code under the same names");
}

#[test]
fn a_folder_that_cannot_be_used_changes_nothing() {
    let scratch = Scratch::new("unusable");
    let file = scratch.0.join("file");
    fs::write(&file, "not a folder").unwrap();
    let model = model(PREDATORS);
    let expected = bits(&built(model.bind()), false);
    for folder in [file.clone(), file.join("below"), PathBuf::from("/proc/nowhere")] {
        let cache = CodeCache::at(folder).worth(Duration::ZERO);
        assert_eq!(bits(&built(model.bind().code_cache(&cache)), false), expected);
        assert_eq!(cache.found(), 0);
    }
}

#[test]
fn the_interpreter_keeps_nothing() {
    let scratch = Scratch::new("interpreter");
    let cache = scratch.cache();
    let run = built(model(PREDATORS).bind().setting("run.backend", "interp").code_cache(&cache));
    run.solve().unwrap();
    assert_eq!(scratch.files(), []);
}

#[test]
fn what_is_quick_is_not_kept() {
    let scratch = Scratch::new("quick");
    let cache = scratch.cache().worth(Duration::from_secs(3600));
    bits(&built(model(PREDATORS).bind().code_cache(&cache)), false);
    assert_eq!(scratch.files(), []);
}

/// `nodec run` in a process of its own; `cache` is what its environment says, of which it has nothing else.
fn nodec(folder: &Path, out: &str, cache: Option<&Path>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodec"));
    command.args(["run", "m.node", "--out", out]).current_dir(folder).env_clear();
    command.env("HOME", folder.join("home"));
    command.env("NODEC_CACHE", cache.unwrap_or(Path::new("off")));
    command
}

/// Long enough to be worth it on any machine.
fn long() -> String {
    let n = 60;
    let states: String = (0..n).map(|i| format!("state x{i} = {}\n", 0.1 + 0.01 * f64::from(i))).collect();
    let functions = ["sin", "cos", "tanh", "sigmoid", "exp"];
    let lines = (0..n).map(|i| {
        let (a, b) = ((7 * i + 3) % n, (11 * i + 5) % n);
        let factors: String = (0..=i % 7).map(|k| format!("*(x{} + {k}.5)", (i + k) % n)).collect();
        format!("x{i}' = {}(-x{a}^2){factors}/(3000 + x{b}^2) - x{i}\n", functions[i as usize % 5])
    });
    format!("time t in 0..1\n{states}{}", lines.collect::<String>())
}

#[test]
fn the_command_keeps_code_where_the_environment_says() {
    let scratch = Scratch::new("command");
    fs::write(scratch.0.join("m.node"), long()).unwrap();
    let cache = scratch.0.join("cache");
    let run = |out: &str, cache: Option<&Path>| {
        let ended = nodec(&scratch.0, out, cache).output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        fs::read(scratch.0.join(out).join("trajectory.csv")).unwrap()
    };
    let expected = run("off", None);
    assert!(scratch.files().is_empty() && !scratch.0.join("home").exists());
    // Two at once, then one that finds what they have kept.
    let both =
        ["a", "b"].map(|out| nodec(&scratch.0, out, Some(&cache)).stdout(Stdio::null()).spawn().unwrap());
    for mut one in both {
        assert!(one.wait().unwrap().success());
    }
    let kept = scratch.files();
    assert!(!kept.is_empty() && !scratch.0.join("home").exists());
    assert_eq!(run("c", Some(&cache)), expected);
    // What takes about as long as code that is kept may be kept by one run and not by another.
    let files = scratch.files();
    assert!(kept.iter().all(|file| files.contains(file)));
    for out in ["a", "b"] {
        assert_eq!(fs::read(scratch.0.join(out).join("trajectory.csv")).unwrap(), expected);
    }
    assert_eq!(run("d", Some(&scratch.0.join("m.node"))), expected, "a file is no folder");
}
