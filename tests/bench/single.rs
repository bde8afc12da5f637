//! Trajectories, alone and by the ten thousand, on the tasks of the peers: the median seconds of a solve
//! and where it ends, as JSON lines like theirs (`tests/bench/peers`).

use nodec::{Model, Run};
use std::time::Instant;

/// A system, its methods, and the tolerances they are given.
struct Task {
    name: &'static str,
    program: &'static str,
    methods: &'static [&'static str],
    tolerances: &'static [&'static str],
    /// `atol`; as `rtol` if there is none.
    atol: Option<&'static str>,
}

const EXPLICIT: &[&str] = &["taylor", "verner9", "dop853", "tsit5"];
const STIFF: &[&str] = &["bdf", "radau5", "rodas5p", "kvaerno5"];
const USUAL: &[&str] = &["1e-6", "1e-9", "1e-12"];

const LORENZ: &str = "time t in 0..10\nstate y: [3] = [1, 1, 1]\n\
                      y' = [10*(y[1] - y[0]), y[0]*(28 - y[2]) - y[1], y[0]*y[1] - 8/3*y[2]]\n";
const LOTKA_VOLTERRA: &str = "time t in 0..50\nstate y: [2] = [1, 1]\n\
                              y' = [1.5*y[0] - y[0]*y[1], y[0]*y[1] - 3*y[1]]\n";
const ARENSTORF: &str = "const mu = 0.012277471\ntime t in 0..17.065216560157962\n\
                         state y: [4] = [0.994, 0, 0, -2.001585106379082]\n\
                         let d1 = ((y[0] + mu)^2 + y[1]^2)^1.5\nlet d2 = ((y[0] - 1 + mu)^2 + y[1]^2)^1.5\n\
                         y' = [y[2], y[3], \
                         y[0] + 2*y[3] - (1 - mu)*(y[0] + mu)/d1 - mu*(y[0] - 1 + mu)/d2, \
                         y[1] - 2*y[2] - (1 - mu)*y[1]/d1 - mu*y[1]/d2]\n";
const ROBERTSON: &str = "time t in 0..1e5\nstate y: [3] = [1, 0, 0]\n\
                         let a = 0.04*y[0]\nlet b = 1e4*y[1]*y[2]\nlet c = 3e7*y[1]^2\ny' = [b - a, a - b - c, c]\n";
const HIRES: &str = include_str!("problems/hires.node");
const BRUSSELATOR: &str = include_str!("problems/brusselator.node");

/// Ten states, a hundred params, and an integral of the states as what is lowered.
const GRADIENT: (&str, &str) = (
    "gradient/10x100",
    "param w: [10, 10] = [[0.5*sin(10*i + j) for j in 0..10] for i in 0..10]\ntime t in 0..5\n\
     state y: [10] = [cos(i) for i in 0..10]\ny' = tanh(w @ y)\nchannel cost' = sumsq(y)\nloss l = cost(end)\n",
);

const TASKS: [Task; 7] = [
    Task { name: "single/lorenz", program: LORENZ, methods: EXPLICIT, tolerances: USUAL, atol: None },
    Task {
        name: "single/lotka_volterra",
        program: LOTKA_VOLTERRA,
        methods: EXPLICIT,
        tolerances: USUAL,
        atol: None,
    },
    Task { name: "single/arenstorf", program: ARENSTORF, methods: EXPLICIT, tolerances: USUAL, atol: None },
    Task {
        name: "single/bodies",
        program: BODIES,
        methods: &["taylor", "verner9"],
        tolerances: &["1e-9", "1e-15"],
        atol: None,
    },
    Task {
        name: "stiff/robertson",
        program: ROBERTSON,
        methods: STIFF,
        tolerances: &["1e-6"],
        atol: Some("1e-10"),
    },
    Task { name: "stiff/hires", program: HIRES, methods: STIFF, tolerances: &["1e-6"], atol: Some("1e-8") },
    Task {
        name: "stiff/brusselator32",
        program: BRUSSELATOR,
        methods: STIFF,
        tolerances: &["1e-6"],
        atol: Some("1e-6"),
    },
];

/// Those whose task and method have all of `words` in them.
pub fn lines(words: &[String]) -> Vec<String> {
    let wanted =
        |task: &str, method: &str| words.iter().all(|word| format!("{task} {method}").contains(word));
    let mut lines = Vec::new();
    for task in &TASKS {
        for method in task.methods.iter().filter(|method| wanted(task.name, method)) {
            lines.extend(task.tolerances.iter().map(|tolerance| alone(task, method, tolerance)));
        }
    }
    for method in ["tsit5", "dop853", "verner9"].into_iter().filter(|method| wanted(GRADIENT.0, method)) {
        lines.push(gradient(method));
    }
    for method in ["taylor", "verner9", "tsit5"].into_iter().filter(|method| wanted("ensemble", method)) {
        for tolerance in ["1e-6", "1e-9", "1e-15"] {
            if tolerance != "1e-15" || method != "tsit5" {
                lines.extend(["1", "2"].map(|threads| ensemble(method, tolerance, threads)));
            }
        }
    }
    lines
}

fn alone(task: &Task, method: &str, tolerance: &str) -> String {
    let model = Model::parse(task.program).unwrap_or_else(|all| panic!("{}", all.render()));
    let bound = model
        .bind()
        .setting("solve.method", method)
        .setting("solve.rtol", tolerance)
        .setting("solve.atol", task.atol.unwrap_or(tolerance))
        .setting("solve.save", "every(1e9)");
    let bound = if task.name.ends_with('2') { bound.assign("N=32") } else { bound };
    let begun = Instant::now();
    let run = bound.build().unwrap_or_else(|all| panic!("{}", all.render()));
    let compile = begun.elapsed().as_secs_f64();
    let (seconds, (end, steps)) = timed(|| {
        let solution = run.solve().unwrap_or_else(|error| panic!("{}", error.diagnostics().render()));
        let t1 = solution.interval().1;
        let states = solution.trajectories().iter().flat_map(|one| one.at(t1).expect("the end"));
        (states.collect::<Vec<f64>>(), solution.stats().attempts())
    });
    format!(
        "{{\"task\": \"{}/{tolerance}\", \"peer\": \"nodec {method}\", \"seconds\": {seconds:e}, \
         \"steps\": {steps}, \"compile\": {compile:.4}, \"end\": {end:?}}}",
        task.name
    )
}

/// The value and its gradient, through the steps: seconds, the value, and the norm of the gradient.
fn gradient(method: &str) -> String {
    let (task, program) = GRADIENT;
    let model = Model::parse(program).unwrap_or_else(|all| panic!("{}", all.render()));
    let bound = model.bind().setting("solve.method", method);
    let bound = bound.setting("solve.rtol", "1e-6").setting("solve.atol", "1e-6");
    let run = bound.build().unwrap_or_else(|all| panic!("{}", all.render()));
    let (seconds, (value, norm)) = timed(|| {
        let gradient = run.gradient().unwrap_or_else(|error| panic!("{}", error.diagnostics().render()));
        let squares = gradient.by.iter().flat_map(|param| &param.values).map(|g| g * g);
        (gradient.value, squares.sum::<f64>().sqrt())
    });
    format!(
        "{{\"task\": \"{task}/1e-6\", \"peer\": \"nodec {method}\", \"seconds\": {seconds:e}, \
         \"value\": {value}, \"grad_norm\": {norm}}}"
    )
}

/// Ten thousand systems of Lorenz, `rho = 28 i/n`, from (1, 1, 1) to t = 5: the mean of `x` there.
fn ensemble(method: &str, tolerance: &str, threads: &str) -> String {
    const RUNS: usize = 10_000;
    let text = "param rho = 28.0\ntime t in 0..5\nstate x = 1, y = 1, z = 1\n\
                x' = 10*(y - x)\ny' = x*(rho - z) - y\nz' = x*y - 8/3*z\n";
    let model = Model::parse(text).expect("it checks");
    let rho: Vec<f64> = (0..RUNS).map(|run| 28.0 * run as f64 / RUNS as f64).collect();
    let run: Run = model
        .bind()
        .sweep("rho", &rho)
        .setting("solve.method", method)
        .setting("solve.rtol", tolerance)
        .setting("solve.atol", tolerance)
        .setting("run.threads", threads)
        .build()
        .expect("it compiles");
    let (seconds, (check, steps)) = timed(|| {
        let runs = run.solve_all();
        let x = &runs["x(end)"].values;
        (x.iter().sum::<f64>() / RUNS as f64, runs.stats.attempts())
    });
    format!(
        "{{\"task\": \"ensemble/lorenz10k/{tolerance}\", \"peer\": \"nodec {method}\", \
         \"seconds\": {seconds:e}, \"steps\": {steps}, \"threads\": {threads}, \"check\": {check}}}"
    )
}

/// Six bodies of mass 1/6 on a ring, each a little off, as `single.py` has them.
const BODIES: &str = "
const N = 6
time t in 0..5
let angle = [2*pi*i/N for i in 0..N]
let far = [1 + 0.02*i for i in 0..N]
state x: [N] = far*cos(angle), x': [N] = -0.55*sin(angle)
state y: [N] = far*sin(angle), y': [N] = 0.55*cos(angle)
state z: [N] = 0.1*far*sin(3*angle + 0.5), z': [N] = 0.0275*cos(angle)
fn cube(dx, dy, dz) = (dx^2 + dy^2 + dz^2)^1.5
x'' = [sum(if i == j then 0 else (x[j] - x[i])/cube(x[j] - x[i], y[j] - y[i], z[j] - z[i])/6 for j in 0..N) for i in 0..N]
y'' = [sum(if i == j then 0 else (y[j] - y[i])/cube(x[j] - x[i], y[j] - y[i], z[j] - z[i])/6 for j in 0..N) for i in 0..N]
z'' = [sum(if i == j then 0 else (z[j] - z[i])/cube(x[j] - x[i], y[j] - y[i], z[j] - z[i])/6 for j in 0..N) for i in 0..N]
";

/// Median of repeated calls over about half a second, after one that is not counted.
fn timed<R>(mut of: impl FnMut() -> R) -> (f64, R) {
    let first = of();
    let (begun, mut seconds) = (Instant::now(), Vec::new());
    while seconds.len() < 3 || (begun.elapsed().as_secs_f64() < 0.5 && seconds.len() < 1000) {
        let now = Instant::now();
        let _ = of();
        seconds.push(now.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    (seconds[seconds.len() / 2], first)
}
