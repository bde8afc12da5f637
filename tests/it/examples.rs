//! The examples: they run, they print what their pages say, and the README shows them as they are.
//! `UPDATE=1` rewrites what is compared here.

use nodec::cli::Exit;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

#[allow(dead_code, reason = "its `main` is run by nobody here")]
#[path = "../../examples/lotka_volterra/main.rs"]
mod lotka_volterra;

/// Every example: a folder with a program of its name.
const ALL: [&str; 14] = [
    "bouncing_ball",
    "ffjord_2d",
    "ffjord_miniboone",
    "ffjord_mnist",
    "kepler",
    "latent_ode",
    "lorenz",
    "lotka_volterra",
    "mnist_taynode",
    "neural_cde",
    "ot_flow",
    "robertson",
    "spiral",
    "van_der_pol",
];

const PROGRAM: &str = "examples/lotka_volterra/lotka_volterra.node";

/// A file of the repository.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn updating() -> bool {
    std::env::var_os("UPDATE").is_some()
}

fn check_file(path: &str, actual: &str) {
    if updating() {
        fs::write(file(path), actual).unwrap();
    }
    assert_eq!(fs::read_to_string(file(path)).unwrap(), actual, "{path}");
}

/// `nodec run`: what it prints, and the folder it fills.
fn run(program: &str) -> (String, PathBuf) {
    run_with(program, &[])
}

fn run_with(program: &str, more: &[&str]) -> (String, PathBuf) {
    let name = program.replace('/', "-");
    let folder = std::env::temp_dir().join(format!("nodec-examples-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let program = file(program);
    let args = [OsString::from("nodec"), "run".into(), program.into(), "--out".into(), folder.clone().into()];
    let args = args.into_iter().chain(more.iter().map(OsString::from));
    let exit = nodec::cli::run(args, &mut out, &mut err);
    assert_eq!(exit, Exit::Success, "{}", String::from_utf8_lossy(&err));
    (String::from_utf8(out).unwrap(), folder)
}

/// The lines that do not depend on the machine.
fn lasting(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !is_time(line)).map(str::trim_end).collect()
}

fn is_time(line: &str) -> bool {
    line.trim_start().starts_with("compile time") || line.trim_start().starts_with("run time")
}

#[test]
fn the_library_fits_what_the_page_says() {
    let table = lotka_volterra::fitted().unwrap_or_else(|error| panic!("{error}"));
    check_file("examples/lotka_volterra/expected.txt", &table);
}

#[test]
fn the_readme_shows_the_example_as_it_is() {
    let (printed, folder) = run(PROGRAM);
    check_file("examples/lotka_volterra/plot.svg", &fs::read_to_string(folder.join("plot.svg")).unwrap());
    let mut readme = fs::read_to_string(file("README.md")).unwrap();
    for (path, kind) in [(PROGRAM, "node"), ("examples/lotka_volterra/main.rs", "rust")] {
        let text = fs::read_to_string(file(path)).unwrap();
        let shown = block(&readme, kind).to_owned();
        if updating() {
            readme = readme.replacen(&shown, &text, 1);
        }
        assert_eq!(block(&readme, kind), text, "{path}");
    }
    let shown = block(&readme, "text").to_owned();
    if updating() && lasting(&shown) != lasting(&printed) {
        readme = readme.replacen(&shown, &printed, 1);
    }
    assert_eq!(lasting(block(&readme, "text")), lasting(&printed));
    if updating() {
        fs::write(file("README.md"), readme).unwrap();
    }
    fs::remove_dir_all(folder).unwrap();
}

/// The first block of this kind.
fn block<'a>(page: &'a str, kind: &str) -> &'a str {
    let fence = format!("\n```{kind}\n");
    let from = page.find(&fence).expect("the README has such a block") + fence.len();
    &page[from..from + page[from..].find("```").expect("a block ends")]
}

#[test]
fn the_readme_and_the_checks_agree_on_the_commands() {
    let readme = fs::read_to_string(file("README.md")).unwrap();
    let checks = fs::read_to_string(file(".ci/run")).unwrap();
    assert!(readme.contains(&format!("cargo run --release -- run {PROGRAM}\n")));
    assert!(checks.contains(&format!("cargo run --locked --release -- run {PROGRAM}")));
    assert!(readme.contains("\ncargo test\n") && checks.contains("\ncargo test --locked\n"));
}

/// With rho = 28 the exponent is 0.9056 in the limit (J. C. Sprott, *Chaos and Time-Series
/// Analysis*, 2003); 60 units of time are far from it. Energy and the bounds of the others are
/// known: the orbit is an ellipse of half axes 1 and 0.8, and the cycle of Van der Pol with mu = 1000
/// reaches 2 + 0.78 mu^(-4/3) (M. L. Cartwright, 1952).
#[test]
fn every_other_example_runs() {
    let of_table = |folder: &Path, table: &str, column: &str| -> Vec<f64> {
        let table = fs::read_to_string(folder.join(table)).unwrap();
        let at = table.lines().next().unwrap().split(',').position(|name| name == column);
        let at = at.unwrap_or_else(|| panic!("no column {column}"));
        table.lines().skip(1).map(|line| line.split(',').nth(at).unwrap().parse().unwrap()).collect()
    };
    let numbers = |folder: &Path, column: &str| of_table(folder, "trajectory.csv", column);
    let largest = |values: Vec<f64>| values.into_iter().map(f64::abs).fold(0.0, f64::max);

    let (_, folder) = run("examples/kepler/kepler.node");
    assert!(largest(numbers(&folder, "drift")) < 1e-6);
    assert!((largest(numbers(&folder, "q[1]")) - 0.8).abs() < 1e-3);
    fs::remove_dir_all(folder).unwrap();

    let (_, folder) = run("examples/van_der_pol/van_der_pol.node");
    assert!((largest(numbers(&folder, "x")) - 2.0).abs() < 1e-3);
    fs::remove_dir_all(folder).unwrap();

    let (_, folder) = run_with("examples/lorenz/lorenz.node", &["--set", "rho=28", "--set", "members=3"]);
    let exponents = of_table(&folder, "runs.csv", "lyapunov");
    assert!(
        exponents.len() == 3 && exponents.iter().all(|exponent| (0.6..1.2).contains(exponent)),
        "{exponents:?}"
    );
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_examples_are_in_the_canonical_layout() {
    for name in ALL {
        let path = file(&format!("examples/{name}/{name}.node"));
        let args = [OsString::from("nodec"), "fmt".into(), "--check".into(), path.into()];
        let exit = nodec::cli::run(args, &mut Vec::new(), &mut Vec::new());
        assert_eq!(exit, Exit::Success, "{name}");
    }
}

/// `nodec run --profile smoke` on a back end: what it prints but for times and the folder's name.
fn smoke(name: &str, backend: &str) -> String {
    let folder = std::env::temp_dir().join(format!("nodec-smoke-{}-{name}-{backend}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let program = file(&format!("examples/{name}/{name}.node"));
    let mut args = vec![OsString::from("nodec"), "run".into(), program.into(), "--profile".into()];
    args.extend(["smoke".into(), "--set".into(), format!("run.backend={backend}").into()]);
    args.extend(["--out".into(), folder.clone().into()]);
    let exit = nodec::cli::run(args, &mut out, &mut err);
    assert_eq!(exit, Exit::Success, "{name} on {backend}: {}", String::from_utf8_lossy(&err));
    fs::remove_dir_all(folder).unwrap();
    let printed = String::from_utf8(out).unwrap();
    lasting(&printed).into_iter().filter(|line| !line.contains(backend)).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_smoke_profiles_print_the_same_on_both_back_ends() {
    let profiled = |name: &&str| {
        let text = fs::read_to_string(file(&format!("examples/{name}/{name}.node"))).unwrap();
        text.contains("profile smoke")
    };
    let names: Vec<&str> = ALL.into_iter().filter(profiled).collect();
    assert_eq!(names.len(), ALL.len() - 1, "all but the fit, which is tested whole");
    for name in names {
        assert_eq!(smoke(name, "cranelift"), smoke(name, "interp"), "{name}");
    }
}
