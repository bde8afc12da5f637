//! The command line and the run directory: exit codes by cause, and nothing is ever written over.

use nodec::cli::run_dir::{Place, RunDir, RunDirError};
use nodec::cli::{Exit, run};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

fn nodec(args: &[&str]) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = std::iter::once("nodec").chain(args.iter().copied()).map(OsString::from);
    let exit = run(args, &mut out, &mut err);
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

fn folder(test: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("nodec-cli-{}-{test}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn exit_codes_tell_the_cause() {
    let folder = folder("exit");
    let good = folder.join("good.node");
    fs::write(&good, "param k = 1.0\ntime t in 0..1\nstate x = 1.0\nx' = -k*x\n").unwrap();
    let bad = folder.join("bad.node");
    fs::write(&bad, "x' = 2k*x\n").unwrap();
    let (good, bad) = (good.to_str().unwrap(), bad.to_str().unwrap());
    assert_eq!(nodec(&["check", good]), (Exit::Success, String::new(), String::new()));
    let (_, _, err) = nodec(&["check", bad]);
    assert!(err.starts_with("error[E0110]: ") && err.contains("bad.node:1:6"), "{err}");
    let (exit, out, err) = nodec(&["check", bad, "--message-format", "short"]);
    assert_eq!((exit, out.as_str()), (Exit::Program, ""));
    assert!(err.contains("bad.node:1:6: error[E0110]:"), "{err}");
    let (exit, _, err) = nodec(&["check", bad, "--message-format", "json"]);
    let object: serde_json::Value = serde_json::from_str(&err).expect("one JSON object");
    assert_eq!((exit, object["code"].as_str()), (Exit::Program, Some("E0110")));
    assert_eq!(nodec(&["check", "no/such.node"]).0, Exit::Io);
    assert_eq!(nodec(&["chekc", good]).0, Exit::Usage);
    assert_eq!(nodec(&["run", good, "--set", "lr"]).0, Exit::Usage);
    assert_eq!(nodec(&["--version"]).0, Exit::Success);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn fmt_rewrites_and_check_only_looks() {
    let folder = folder("fmt");
    let file = folder.join("m.node");
    fs::write(&file, "x'=-x   # decay\n").unwrap();
    let path = file.to_str().unwrap();
    assert_eq!(nodec(&["fmt", "--check", path]), (Exit::Program, format!("{path}\n"), String::new()));
    assert_eq!(fs::read_to_string(&file).unwrap(), "x'=-x   # decay\n");
    assert_eq!(nodec(&["fmt", path]).0, Exit::Success);
    let laid_out = fs::read_to_string(&file).unwrap();
    assert!(laid_out.starts_with("x' = -x") && laid_out.contains("# decay"), "{laid_out}");
    assert_eq!(nodec(&["fmt", "--check", path]), (Exit::Success, String::new(), String::new()));
    fs::write(&file, "x' = 2k*x\n").unwrap();
    assert_eq!(nodec(&["fmt", path]).0, Exit::Program);
    assert_eq!(fs::read_to_string(&file).unwrap(), "x' = 2k*x\n", "a file with mistakes stays as it is");
    assert_eq!(names(&folder), ["m.node"]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn explain_and_show() {
    assert!(nodec(&["explain", "e0110"]).1.contains("E0110"));
    assert_eq!(nodec(&["explain", "E9999"]).0, Exit::Usage);
    let folder = folder("show");
    let file = folder.join("m.node");
    fs::write(&file, "param k = 1.0\n").unwrap();
    let (exit, out, _) = nodec(&["show", file.to_str().unwrap(), "--stage", "ast"]);
    assert!(exit == Exit::Success && out.contains('k'), "{out}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn show_has_every_stage() {
    let stages = [
        ("tokens", "Ident"),
        ("ast", "alpha"),
        ("typed", "rate of x"),
        ("equations", "alpha"),
        ("shapes", "pelts.hare"),
        ("ir", "mul"),
        ("grad", "mul"),
        ("loops", "func start"),
        ("opt", "mul"),
        ("clif", "fmul"),
        ("cost", "memory"),
    ];
    for (stage, known) in stages {
        let (exit, out, err) =
            nodec(&["show", "examples/lotka_volterra/lotka_volterra.node", "--stage", stage]);
        assert_eq!((exit, err.as_str()), (Exit::Success, ""), "{stage}");
        assert!(out.contains(known), "{stage}: {out}");
    }
}

#[test]
fn show_has_short_forms() {
    let model = "examples/lotka_volterra/lotka_volterra.node";
    for stage in ["equations", "shapes", "cost"] {
        let (exit, out, _) = nodec(&["show", model, &format!("--{stage}")]);
        assert_eq!((exit, out), (Exit::Success, nodec(&["show", model, "--stage", stage]).1));
    }
    assert_eq!(nodec(&["show", model]).0, Exit::Usage);
    // One Lotka–Volterra rate: x' and y' have three products each, and one difference.
    let cost = nodec(&["show", model, "--cost"]).1;
    let numbers: Vec<&str> = cost.lines().nth(1).unwrap().split_whitespace().skip(1).collect();
    assert_eq!(numbers[0], "2", "{cost}");
}

#[test]
fn doc_is_a_page_on_its_own() {
    let folder = folder("doc");
    let file = folder.join("m.node");
    let model = "## Decay of <x>.\n\n## How fast [1/s]\nparam alpha = 1.0\ntime t in 0..1\nstate x = 1.0\nx' = -alpha*x/2\n";
    fs::write(&file, format!("# a comment\nconst one = 1\n{model}")).unwrap();
    let (exit, out, err) = nodec(&["doc", file.to_str().unwrap()]);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    let page = fs::read_to_string(out.trim()).unwrap();
    for part in
        ["<mi>α</mi>", "<mfrac>", "How fast", "1/s</span>", "&lt;x&gt;", "class=\"node param\"", "<mi>′</mi>"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("http") && !page.contains("<script"), "the page needs nothing beside it");
    assert_eq!(names(&folder), ["m.html", "m.node"]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_examples_are_clean() {
    let folders = fs::read_dir("examples").unwrap().map(|folder| folder.unwrap().path());
    let folders = folders.filter(|folder| folder.is_dir());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()));
    let models: Vec<PathBuf> = files.filter(|file| file.extension().is_some_and(|e| e == "node")).collect();
    assert!(models.len() >= 4, "{models:?}");
    for model in models {
        let clean = (Exit::Success, String::new(), String::new());
        assert_eq!(nodec(&["check", model.to_str().unwrap()]), clean);
        assert_eq!(nodec(&["fmt", "--check", model.to_str().unwrap()]), clean);
    }
}

#[test]
fn a_person_is_shown_twenty_mistakes() {
    let folder = folder("many");
    let file = folder.join("m.node");
    let lines: String = (0..1000).map(|i| format!("let a{i} = 2k\n")).collect();
    fs::write(&file, lines).unwrap();
    let shown = |format: &str| nodec(&["check", file.to_str().unwrap(), "--message-format", format]).2;
    for format in ["full", "short"] {
        let text = shown(format);
        assert_eq!(text.matches("error[").count(), 20);
        assert!(text.ends_with("and 980 more; `--message-format json` has them all\n"), "{text}");
    }
    assert_eq!(shown("json").lines().count(), 1000);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_setting_of_training_needs_training() {
    let folder = folder("unread");
    let file = folder.join("m.node");
    let model = "param k = 1.0\ntime t in 0..1\nstate x = 1.0\nx' = -k*x\nloss l = x(end)\n";
    fs::write(&file, model).unwrap();
    let check = || nodec(&["check", file.to_str().unwrap(), "--set", "lr=3", "--message-format", "short"]);
    let (exit, _, err) = check();
    let expected = "command line:1:1: warning[W0801]: `train.optimizer.lr` has no effect: \
                    the model has no `train` block\n";
    assert_eq!((exit, err.as_str()), (Exit::Success, expected));
    fs::write(&file, format!("{model}train {{ steps = 3 }}\n")).unwrap();
    assert_eq!(check(), (Exit::Success, String::new(), String::new()));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn config_lists_who_set_what() {
    let folder = folder("config");
    let file = folder.join("m.node");
    fs::write(&file, "param mu = 5.0; time t in 0..1; state x = 0.0; x' = mu\nsolve { rtol = 1e-9 }\n")
        .unwrap();
    let (exit, out, err) =
        nodec(&["config", file.to_str().unwrap(), "--set", "mu=3", "--method", "dopri5", "--atol", "1e-10"]);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));
    let line = |key: &str| out.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{out}"));
    assert!(line("solve.rtol").contains("m.node:2"));
    assert!(line("solve.method").contains("--method dopri5"));
    assert!(line("solve.atol").contains("1e-10"));
    assert!(line("run.seed").contains("built in"));
    let (exit, _, err) =
        nodec(&["config", file.to_str().unwrap(), "--set", "lrate=3e-4", "--message-format", "short"]);
    assert_eq!(exit, Exit::Program);
    assert!(err.contains("command line:1:7: error[E0801]: no setting or param is called `lrate`"), "{err}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn runs_are_numbered_and_whole() {
    let folder = folder("numbered");
    let runs = folder.join("runs");
    for expected in ["0001", "0002"] {
        let run = RunDir::begin(Place::Next(runs.clone())).unwrap();
        run.write("model.node", "x' = -x\n").unwrap();
        run.write_json("params.json", &vec![0.5, f64::NAN]).unwrap();
        run.write_csv("trajectory.csv", &[("t", &[0.0, 0.1]), ("x, y", &[1.0, 1.0 / 3.0])]).unwrap();
        let mut lines = run.json_lines("metrics.jsonl").unwrap();
        lines.push(&1).unwrap();
        lines.push(&2).unwrap();
        lines.close().unwrap();
        assert!(!runs.join(expected).exists(), "nothing has the name before it is whole");
        assert_eq!(run.finish().unwrap(), runs.join(expected));
    }
    assert_eq!(names(&runs), ["0001", "0002"]);
    let run = runs.join("0002");
    assert_eq!(names(&run), ["metrics.jsonl", "model.node", "params.json", "trajectory.csv"]);
    let text = |name: &str| fs::read_to_string(run.join(name)).unwrap();
    assert_eq!(text("trajectory.csv"), "t,\"x, y\"\n0,1\n0.1,0.3333333333333333\n");
    assert_eq!(text("metrics.jsonl"), "1\n2\n");
    assert_eq!(text("params.json"), "[\n  0.5,\n  null\n]\n");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn an_abandoned_run_leaves_nothing() {
    let folder = folder("abandoned");
    let run = RunDir::begin(Place::Exactly(folder.join("run"))).unwrap();
    run.write("model.node", "").unwrap();
    drop(run);
    assert!(names(&folder).is_empty());
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn an_existing_run_is_never_damaged() {
    let folder = folder("existing");
    let target = folder.join("run");
    fs::create_dir(&target).unwrap();
    let empty = RunDir::begin(Place::Exactly(target.clone())).unwrap();
    empty.write("params.json", "1").unwrap();
    let late = RunDir::begin(Place::Exactly(target.clone())).unwrap();
    late.write("params.json", "2").unwrap();
    assert_eq!(empty.finish().unwrap(), target);
    assert!(matches!(RunDir::begin(Place::Exactly(target.clone())), Err(RunDirError::Occupied(_))));
    assert!(matches!(late.finish(), Err(RunDirError::Occupied(_))));
    assert_eq!(fs::read_to_string(target.join("params.json")).unwrap(), "1");
    assert_eq!(names(&folder), ["run"]);
    let file = folder.join("file");
    fs::write(&file, "mine").unwrap();
    assert!(RunDir::begin(Place::Exactly(file.clone())).is_err());
    assert_eq!(fs::read_to_string(file).unwrap(), "mine");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_sweep_runs_once_for_each_point() {
    let folder = folder("sweep");
    let model = folder.join("m.node");
    let text = "param k = 1.0\nconst a = 1\ntime t in 0..1\nstate x = a\nx' = -k*x\noutput twice = 2*x(end)\nsweep k in [5]\n";
    fs::write(&model, text).unwrap();
    let out = folder.join("out");
    let (model, out) = (model.to_str().unwrap(), out.to_str().unwrap());
    let sweeps = ["--sweep", "k = linspace(0, 2, 3)", "--sweep", "a=[1, 10]", "--rtol", "1e-10"];
    let (exit, printed, err) = nodec(&[&["run", model, "--out", out], &sweeps[..]].concat());
    assert_eq!(exit, Exit::Success, "{err}");
    let csv = fs::read_to_string(Path::new(out).join("runs.csv")).unwrap();
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("k,a,twice,x(end)"));
    let rows: Vec<Vec<f64>> =
        lines.map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect()).collect();
    assert_eq!(rows.len(), 6);
    for row in rows {
        // x(1) = a·exp(−k); the tolerance asks for ten digits.
        let expected = row[1] * (-row[0]).exp();
        assert!((row[3] - expected).abs() < 1e-8 * expected && row[2] == 2.0 * row[3], "{row:?}");
    }
    assert!(printed.starts_with("k   a"), "{printed}");
    // What is set is not swept by the file.
    let one = folder.join("one");
    let one = ["--sweep", "a = [1, 10]", "--out", one.to_str().unwrap(), "--set", "k=1"];
    let (exit, _, err) = nodec(&[&["run", model], &one[..]].concat());
    assert_eq!(exit, Exit::Success, "{err}");
    let csv = fs::read_to_string(folder.join("one").join("runs.csv")).unwrap();
    assert_eq!((csv.lines().next(), csv.lines().count()), (Some("a,twice,x(end)"), 3));
    assert_eq!(nodec(&["run", model, "--sweep", "k = 3 4"]).0, Exit::Usage);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn many_runs_leave_tables_and_pictures() {
    let folder = folder("many");
    let model = folder.join("m.node");
    let text = "param a = 1.0\ntime t in 0..1\nstate x = 0.0\nx' = x^2\noutput y = x(end)\n\
                sweep a in [0.25, 0.5]\nensemble 3 { x(start) ~ uniform(a, a + 0.1) }\n\
                plot y vs a\nplot x vs t\nexport \"all.csv\" { t, x }\nsolve { save = every(0.5) }\n";
    fs::write(&model, text).unwrap();
    let (model, out) = (model.to_str().unwrap(), folder.join("out"));
    let (exit, printed, err) = nodec(&["run", model, "--out", out.to_str().unwrap()]);
    assert_eq!(exit, Exit::Success, "{err}");
    assert!(printed.starts_with("   a") && printed.contains("\n  runs              6\n"), "{printed}");
    let expected = ["all.csv", "data.json", "model.node", "plot1.png", "plot1.svg", "plot2.png", "plot2.svg"];
    assert_eq!(names(&out), [&expected[..], &["runs.csv", "settings.json", "summary.csv"]].concat());
    let table = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert_eq!(
        (table("all.csv").lines().next(), table("all.csv").lines().count()),
        (Some("a,member,t,x"), 19)
    );
    assert_eq!(table("runs.csv").lines().next(), Some("a,member,y,x(end)"));
    assert!(table("summary.csv").starts_with("a,mean y,sd y,least y,largest y,mean x(end)"));
    // A band and the line of the means; two lines of trajectories, one for each point.
    assert_eq!(table("plot1.svg").matches("fill-opacity").count(), 1);
    assert!(
        table("plot2.svg").contains("x, a = 0.25, member 0") && table("plot2.svg").contains("x, a = 0.5")
    );
    // x' = x² is infinite at 1/x(0).
    let again = folder.join("again");
    let (exit, _, err) = nodec(&["run", model, "--sweep", "a = [0.5, 2]", "--out", again.to_str().unwrap()]);
    assert_eq!(exit, Exit::Numbers);
    assert!(err.contains("3 of 6 runs failed; this is the first, a = 2, member 0"), "{err}");
    let rows = fs::read_to_string(again.join("runs.csv")).unwrap();
    assert_eq!(rows.lines().filter(|row| row.ends_with("NaN,NaN")).count(), 3, "{rows}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn eval_takes_the_params_of_a_run() {
    let folder = folder("eval");
    let text = "data obs = csv(\"obs.csv\", split = [0.5, 0.0, 0.5], seed = 1) { y: [T] }\n\
                param m = 0.0\ntime t in 0..1\nstate x = 0.0\nx' = m\n\
                loss fit = mean((obs.y - x(end))^2)\ntrain { optimizer = lbfgs() }\n";
    fs::write(folder.join("m.node"), text).unwrap();
    fs::write(folder.join("obs.csv"), "y\n1\n2\n3\n6\n").unwrap();
    let model = folder.join("m.node");
    let (model, out) = (model.to_str().unwrap(), folder.join("out"));
    let out = out.to_str().unwrap();
    let (exit, _, err) = nodec(&["run", model, "--out", out]);
    assert_eq!(exit, Exit::Success, "{err}");
    // The fit is the mean of the two training rows; the test loss is of the other two.
    let bytes = fs::read(Path::new(out).join("params.npz")).unwrap();
    let fitted = nodec::data::npz::decoded(&bytes).unwrap()[0].1.numbers.get(0);
    let all = [1.0, 2.0, 3.0, 6.0];
    let pairs = || (0..4).flat_map(|i| (i + 1..4).map(move |j| (i, j)));
    let (i, j) = pairs().find(|(i, j)| (0.5 * (all[*i] + all[*j]) - fitted).abs() < 1e-6).unwrap();
    let rest: Vec<f64> = (0..4).filter(|k| *k != i && *k != j).map(|k| all[k]).collect();
    let expected = rest.iter().map(|y| (y - fitted) * (y - fitted)).sum::<f64>() / 2.0;
    let (exit, printed, err) = nodec(&["eval", model, "--from", out, "--split", "test"]);
    assert_eq!(exit, Exit::Success, "{err}");
    let value: f64 = printed.split_whitespace().last().unwrap().parse().unwrap();
    assert!((value - expected).abs() < 1e-6, "{printed}, not {expected}");
    let (exit, _, err) = nodec(&["eval", model, "--from", out, "--split", "valid"]);
    assert_eq!(exit, Exit::Program);
    assert!(err.contains("error[E0706]: of 4 rows none is left for `valid`"), "{err}");
    assert_eq!(nodec(&["eval", model, "--from", "no/such"]).0, Exit::Io);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_new_model_runs_at_once_and_nothing_is_written_over() {
    let folder = folder("new");
    for example in nodec::cli::new::EXAMPLES {
        let name = folder.join(format!("my_{}", example.name));
        let name = name.to_str().unwrap();
        assert_eq!(nodec(&["new", name, "--from", example.name]).0, Exit::Success);
        let program = format!("{name}/my_{}.node", example.name);
        assert_eq!(nodec(&["check", &program]).0, Exit::Success, "{}", example.name);
        assert_eq!(nodec(&["new", name, "--from", example.name]).0, Exit::Io);
    }
    assert_eq!(nodec(&["new", "x", "--from", "no_such"]).0, Exit::Usage);
    fs::remove_dir_all(folder).unwrap();
}

/// Every way agrees on the fit of the README and across a jump; a `stop_gradient` is found out.
#[test]
fn gradients_are_compared_and_a_wrong_one_fails() {
    let model = "examples/lotka_volterra/lotka_volterra.node";
    let (exit, printed, err) = nodec(&["grad", model, "--rtol", "1e-6"]);
    assert_eq!(exit, Exit::Success, "{err}");
    let lines: Vec<Vec<&str>> = printed.lines().map(|line| line.split_whitespace().collect()).collect();
    for way in [
        "discrete",
        "checkpoint(16)",
        "backsolve()",
        "backsolve(norm",
        "interpolating()",
        "forward",
        "differences",
    ] {
        let line =
            lines.iter().find(|words| words.first() == Some(&way)).unwrap_or_else(|| panic!("{printed}"));
        let gap = line.iter().skip(1).find_map(|word| word.parse::<f64>().ok());
        assert!(gap.is_some_and(|gap| gap < 1e-4), "{printed}");
    }
    assert_eq!(nodec(&["check", model, "--gradients"]), (Exit::Success, String::new(), String::new()));
    assert_eq!(nodec(&["grad", model, "--of", "nothing"]).0, Exit::Usage);

    let folder = folder("gradients");
    let file = folder.join("hidden.node");
    let text = "param s = 0.7, a = 1.0\ntime t in 0..2\nstate x = a\n\
                x' = if t < s then -x else -2*x\nloss last = x(end)\n";
    fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    assert_eq!(nodec(&["check", path, "--gradients"]), (Exit::Success, String::new(), String::new()));
    let hidden = text.replace("t < s", "t < stop_gradient(s)");
    fs::write(&file, hidden).unwrap();
    let file = path;
    assert_eq!(nodec(&["check", file]).0, Exit::Success);
    let (exit, _, err) = nodec(&["check", file, "--gradients"]);
    assert_eq!(exit, Exit::Numbers);
    assert!(err.contains("error[E0908]: the derivative of the objective by `s` is 0"), "{err}");
    assert_eq!(nodec(&["grad", file]).0, Exit::Numbers);
    fs::remove_dir_all(folder).unwrap();
}
