//! `nodec bench`, and the problems it is shown on.

use nodec::Model;
use nodec::cli::Exit;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

fn problem(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/bench/problems/{name}.node"))
}

fn bench(name: &str, more: &[&str]) -> (Exit, String, String, PathBuf) {
    let folder = std::env::temp_dir().join(format!("nodec-bench-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let fixed = [OsString::from("nodec"), "bench".into(), problem(name).into(), "--out".into()];
    let args = fixed.into_iter().chain([folder.clone().into()]).chain(more.iter().map(OsString::from));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = nodec::cli::run(args, &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (exit, text(out), text(err), folder)
}

#[test]
fn errors_are_shown_against_work() {
    let methods = ["--methods", "tsit5,dop853,abm,taylor", "--tolerances", "1e-4,1e-7"];
    let (exit, out, err, folder) = bench("lotka_volterra", &methods);
    assert_eq!(exit, Exit::Success, "{err}");
    assert!(err.starts_with("reference: verner9 at rtol 1e-9, known to "), "{err}");
    let rows: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0][..4], ["method", "rtol", "error", "evaluations"]);
    let points: Vec<&Vec<&str>> = rows[1..].iter().filter(|row| !row.is_empty()).collect();
    assert_eq!(points.len(), 8);
    for row in points {
        let (rtol, error): (f64, f64) = (row[1].parse().unwrap(), row[2].parse().unwrap());
        // The problem does not amplify errors.
        assert!(error > 0.0 && error < 300.0 * rtol, "{row:?}");
        assert!(row[3].parse::<u64>().unwrap() > 50, "{row:?}");
    }
    for file in ["model.node", "bench.csv", "error_evaluations.svg", "error_time.svg", "error_time.png"] {
        assert!(folder.join(file).exists(), "{file}");
    }
    let csv = std::fs::read_to_string(folder.join("bench.csv")).unwrap();
    assert_eq!(csv.lines().count(), 9);
    std::fs::remove_dir_all(folder).unwrap();
}

/// An explicit method on a stiff problem: one line says that it ran out of steps, and why.
#[test]
fn a_method_that_does_not_get_to_the_end_says_why() {
    let methods = ["--methods", "tsit5,radau5", "--tolerances", "1e-3,1e-4"];
    let (exit, out, err, folder) = bench("van_der_pol", &methods);
    assert_eq!(exit, Exit::Success, "{err}");
    let lines: Vec<&str> = out.lines().filter(|line| line.starts_with("tsit5")).collect();
    let [line] = lines[..] else { panic!("{out}") };
    assert!(line.contains("1e-3  to 1e-4: the run used up its 200000 steps at t = "), "{line}");
    assert!(line.ends_with(": stiff"), "{line}");
    assert_eq!(out.lines().filter(|line| line.starts_with("radau5")).count(), 2);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_method_that_is_named_must_fit_the_model() {
    let (exit, _, err, _) = bench("hires", &["--methods", "leapfrog", "--tolerances", "1e-4"]);
    assert!(exit == Exit::Program && err.contains("leapfrog"), "{err}");
}

#[test]
fn every_problem_is_a_valid_program() {
    for name in ["lotka_volterra", "pleiades", "robertson", "hires", "van_der_pol", "brusselator"] {
        let model = Model::load(problem(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        model.bind().check().unwrap_or_else(|error| panic!("{name}: {error}"));
        let text = std::fs::read_to_string(problem(name)).unwrap();
        assert_eq!(model.text(), text);
    }
}
