//! Training on the examples of a data set, from the command line to the params.

use nodec::cli::{Exit, run};
use nodec::data::Part;
use nodec::train::Why;
use nodec::{Model, Run};
use std::ffi::OsString;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Decay from `x0` to `y` at time 1, a different start in each example.
const DECAY: &str = "data obs = csv(\"obs.csv\", split = [0.5, 0.25, 0.25], seed = 2) { x0: [batch], y: [batch] }\n\
                     param k in positive = 1.0 ~ lognormal(0, 1)\n\
                     time t in 0..1\nstate x = obs.x0\nx' = -k*x\n\
                     loss fit = (x(end) - obs.y)^2\nmetric away = abs(x(end) - obs.y)\n\
                     solve { method = rk4, dt = 0.1 }\n";

fn nodec(args: &[&str]) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = std::iter::once("nodec").chain(args.iter().copied()).map(OsString::from);
    let exit = run(args, &mut out, &mut err);
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

/// A folder with `obs.csv`: 8 decays at the rate 0.7, exact.
fn folder(test: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("nodec-training-{}-{test}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let rows: String = (1..=8)
        .map(|i| {
            let x0 = f64::from(i) / 4.0;
            format!("{x0},{}\n", x0 * (-0.7_f64).exp())
        })
        .collect();
    fs::write(folder.join("obs.csv"), format!("x0,y\n{rows}")).unwrap();
    folder
}

fn model(folder: &Path, train: &str) -> Run {
    let text = format!("{DECAY}train {{ {train} }}\n");
    let model =
        Model::from_text("m.node", &text, folder.to_path_buf()).unwrap_or_else(|e| panic!("{}", e.render()));
    model.bind().build().unwrap_or_else(|e| panic!("{}", e.render()))
}

#[test]
fn the_gradient_of_a_batch_is_the_mean_of_its_examples() {
    let folder = folder("gradient");
    let mut run = model(&folder, "optimizer = sgd(lr = 0.1), steps = 1");
    assert_eq!(Part::ALL.map(|part| run.n_examples(part)), [4, 2, 2]);
    let trained = run.train(None, |_| ControlFlow::Continue(())).unwrap();
    // At k = 1, x(1) = x0·R with R the amplification of RK4 at h = 0.1, ten times; the loss of an
    // example is x0²(R − e^−0.7)². By u = log k its derivative is 2·x0²(R − e^−0.7)·k·dR/dk, with
    // R = r(z)¹⁰, r(z) = 1 + z + z²/2 + z³/6 + z⁴/24 at z = −0.1k, and the prior's is
    // d/du (u²/2 + u) / 4 = 1/4 at u = 0: −log lognormal(k; 0, 1) = log k + log(k)²/2 + const.
    let z: f64 = -0.1;
    let r = 1.0 + z + z * z / 2.0 + z.powi(3) / 6.0 + z.powi(4) / 24.0;
    let dr = (1.0 + z + z * z / 2.0 + z.powi(3) / 6.0) * -0.1;
    let (big, dbig) = (r.powi(10), 10.0 * r.powi(9) * dr);
    let away = big - (-0.7_f64).exp();
    let x0: Vec<f64> = {
        let data = Model::from_text("m.node", DECAY, folder.clone()).unwrap().bind().data().unwrap();
        let field = data.field("obs.x0", Part::Train).unwrap();
        (0..4).map(|example| field.to_f64(example)[0]).collect()
    };
    let mean_sq = x0.iter().map(|x| x * x).sum::<f64>() / 4.0;
    let by_u = 2.0 * mean_sq * away * dbig + 0.25;
    let expected = (-0.1 * by_u).exp();
    let found = trained.params[0].values[0];
    assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn minibatches_find_the_rate_that_made_the_data() {
    let folder = folder("fit");
    for optimizer in ["adam(lr = 0.05)", "lbfgs()"] {
        let batch = if optimizer == "lbfgs()" {
            ""
        } else {
            ", batch = 2, epochs = 400, schedule = exponential(0.99)"
        };
        let text = format!("optimizer = {optimizer}{batch}");
        // Without its prior, so that the rate of the data is the minimum.
        let text = format!("{}train {{ {text} }}\n", DECAY.replace(" ~ lognormal(0, 1)", ""));
        let model = Model::from_text("m.node", &text, folder.clone()).unwrap();
        let mut run = model.bind().build().unwrap_or_else(|e| panic!("{}", e.render()));
        let trained = run.train(None, |_| ControlFlow::Continue(())).unwrap();
        let k = trained.params[0].values[0];
        // RK4 with h = 0.1 is wrong by about k⁵h⁴/120 at t = 1.
        assert!((k - 0.7).abs() < 1e-5, "{optimizer}: {k}");
        let means = run.evaluate(Part::Test).unwrap();
        assert_eq!(means.iter().map(|(term, _)| term.name.as_str()).collect::<Vec<_>>(), ["fit", "away"]);
        assert!(means[1].1 < 1e-5, "{means:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn threads_and_a_stop_in_between_change_nothing() {
    let folder = folder("resume");
    let settings = "optimizer = adamw(lr = 0.05), batch = 3, epochs = 6, checkpoint = 2";
    let (model, out) = (folder.join("m.node"), |name: &str| folder.join(name).to_str().unwrap().to_owned());
    fs::write(&model, format!("{DECAY}train {{ {settings} }}\n")).unwrap();
    let model = model.to_str().unwrap();
    let (exit, printed, err) = nodec(&["run", model, "--out", &out("whole"), "--set", "run.threads=1"]);
    assert_eq!(exit, Exit::Success, "{err}");
    assert!(
        printed.contains("mean over 4 examples, train") && printed.contains("mean over 2 examples, test"),
        "{printed}"
    );
    assert_eq!(nodec(&["run", model, "--out", &out("half"), "--set", "epochs=2"]).0, Exit::Success);
    let resumed = ["run", model, "--out", &out("rest"), "--resume", &out("half"), "--set", "run.threads=3"];
    let (exit, _, err) = nodec(&resumed);
    assert_eq!(exit, Exit::Success, "{err}");
    let read = |run: &str, file: &str| fs::read(folder.join(run).join(file)).unwrap();
    assert_eq!(read("whole", "params.npz"), read("rest", "params.npz"));
    assert_eq!(read("whole", "checkpoint.npz"), read("rest", "checkpoint.npz"));
    let metrics = String::from_utf8(read("whole", "metrics.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Six epochs of two batches and a look each.
    assert_eq!(lines.len(), 18);
    assert_eq!(lines[2]["part"], "valid");
    assert!(lines[0]["terms"]["fit"].is_number() && lines[0]["gradient_norm"].is_number(), "{}", lines[0]);
    let (exit, printed, err) = nodec(&["eval", model, "--from", &out("rest"), "--split", "valid"]);
    assert_eq!(exit, Exit::Success, "{err}");
    assert!(printed.starts_with("mean over 2 examples, valid"), "{printed}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_training_cannot_do_is_said() {
    let folder = folder("refused");
    let mut on_batches = model(&folder, "optimizer = lbfgs(), batch = 2");
    let error = on_batches.train(None, |_| ControlFlow::Continue(())).err().expect("refused");
    assert_eq!(error.diagnostics().iter().next().unwrap().code.0, "E0802");
    let mut on_nothing = model(&folder, "epochs = 2, early_stop = patience(2, on = nll)");
    let error = on_nothing.train(None, |_| ControlFlow::Continue(())).err().expect("refused");
    assert_eq!(
        error.diagnostics().iter().next().unwrap().message,
        "`train.early_stop` waits for `nll`, which the model does not have"
    );
    // A rate that grows without bound: the params of the last finite step are kept.
    let mut wild = model(&folder, "optimizer = sgd(lr = 1e6), epochs = 50");
    let trained = wild.train(None, |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(trained.why, Why::NotFinite);
    assert!(trained.params[0].values[0].is_finite());
    fs::remove_dir_all(folder).unwrap();
}
