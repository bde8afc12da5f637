//! Runs that fail, in words: what a person sees on the terminal.

use nodec::solve::Outcome;
use nodec::{Error, Model};

fn failure(text: &str, settings: &[(&str, &str)]) -> (String, Option<Outcome>) {
    let model = Model::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let binder = settings.iter().fold(model.bind(), |binder, (key, value)| binder.setting(key, value));
    let run = binder.build().unwrap_or_else(|error| panic!("{error}"));
    match run.solve().map(|_| ()).unwrap_err() {
        Error::Failed { diagnostics, outcome } => (diagnostics.render().trim_end().to_owned(), outcome),
        Error::Invalid(diagnostics) => panic!("{diagnostics}"),
    }
}

#[track_caller]
fn check(text: &str, settings: &[(&str, &str)], expected: &str) {
    let (found, _) = failure(text, settings);
    assert!(found == expected.trim(), "found\n{found}\nexpected\n{}", expected.trim());
}

#[test]
fn blow_up_in_finite_time() {
    check("time t in 0..2\nstate x = 1.0\nx' = x^2\n", &[], "");
}
#[test]
fn logarithm() {
    check("param k = 1.0\ntime t in 0..2\nstate x = 1.0\nx' = -k - 0*log(x)\n", &[], "");
}
#[test]
fn logarithm_start() {
    check("time t in 0..2\nstate x = -1.0, y = 2.0\nx' = y + log(x)\ny' = 1.0\n", &[], "");
}
#[test]
fn start_value() {
    check("param a = -1.0\ntime t in 0..2\nstate x = sqrt(a)\nx' = -x\n", &[], "");
}
#[test]
fn steps_used_up() {
    check("time t in 0..10\nstate x = 1.0\nx' = -x + 3*cos(t)\n", &[("solve.max_steps", "5")], "");
}
#[test]
fn jump() {
    check("time t in 0..2\nstate u: [2] = [1, 1]\nu' = [-u[0], 1/(t - 1)]\n", &[], "");
}
#[test]
fn outside() {
    check("time t in 0..2\nstate x = 1.0\nx' = -x\nloss l = x(2.5)\n", &[], "");
}
#[test]
fn save_outside() {
    check("time t in 0..2\nstate x = 1.0\nx' = -x\n", &[("solve.save", "[1, 3]")], "");
}
#[test]
fn save_outside_infile() {
    check("time t in 0..2\nstate x = 1.0\nx' = -x\nsolve { save = [1, 3] }", &[], "");
}
#[test]
fn fixed() {
    check(
        "time t in 0..2\nstate x = 1.0\nx' = 50*x^3\n",
        &[("solve.method", "rk4"), ("solve.dt", "0.1")],
        "",
    );
}
#[test]
fn tolerance() {
    check(
        "time t in 0..2\nstate x = 1.0\nx' = -x\n",
        &[("solve.rtol", "1e-30"), ("solve.atol", "1e-30")],
        "",
    );
}
#[test]
fn f32tolerance() {
    check(
        "time t in 0..2\nstate x = 1.0\nx' = -x\n",
        &[("solve.rtol", "1e-12"), ("solve.atol", "1e-12"), ("run.precision", "f32")],
        "",
    );
}
