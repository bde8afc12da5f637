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

/// x = 1/(1 - t), which the run follows up to where `t` cannot be told from 1.
#[test]
fn a_pole() {
    check(
        "time t in 0..2\nstate x = 1.0\nx' = x^2\n",
        &[],
        "
error[E0901]: the step size fell to 1.94e-15 at t = 1.000000874 (tsit5, step 323)
 --> model.node:3:6
  |
3 | x' = x^2
  |      ^^^ `x` runs into a pole near t = 1: at this rate it doubles within 1.08e-14
  |
  = note: state: x = 9.289268591e13
  = help: if the model is right, end the run before the pole
",
    );
}

#[test]
fn an_entry_of_a_vector_is_named() {
    check(
        "time t in 0..2\nstate u: [2] = [1, 1]\nu' = [-u[0], 1/(t - 1)]\n",
        &[],
        "
error[E0901]: the step size fell to 2.17e-15 at t = 1 (tsit5, step 190)
 --> model.node:3:6
  |
3 | u' = [-u[0], 1/(t - 1)]
  |      ^^^^^^^^^^^^^^^^^^ `u[1]` runs into a pole near t = 1: at this rate it doubles within 1.02e-12
  |
  = note: state: u[0] = 0.3678794421, u[1] = -30.01614121
  = help: if the model is right, end the run before the pole
",
    );
}

/// x = 1 - t reaches 0, and the run goes up to where the next step would leave the domain.
#[test]
fn the_logarithm_of_a_negative_number() {
    check(
        "param k = 1.0\ntime t in 0..2\nstate x = 1.0\nx' = -k - 0*log(x)\n",
        &[],
        "
error[E0902]: `x` is not a finite number after t = 1
 --> model.node:4:13
  |
4 | x' = -k - 0*log(x)
  |      -------^^^^^^
  |      |      |
  |      |      `log` gives the first one here
  |      in the equation for `x`
  |
  = note: state: x = 2.983434327e-15 at t = 1, the last time all was finite
",
    );
}

#[test]
fn a_rate_that_has_no_value_at_the_start() {
    check(
        "time t in 0..2\nstate x = -1.0, y = 2.0\nx' = y + log(x)\ny' = 1.0\n",
        &[],
        "
error[E0902]: the rate of `x` is not a finite number at t = 0
 --> model.node:3:10
  |
3 | x' = y + log(x)
  |      ----^^^^^^
  |      |   |
  |      |   `log` gives the first one here
  |      in the equation for `x`
  |
  = note: state: x = -1, y = 2 at t = 0, the last time all was finite
",
    );
}

#[test]
fn a_start_value_that_is_no_number() {
    check(
        "param a = -1.0\ntime t in 0..2\nstate y = 1.0, x = 2 + sqrt(a)\nx' = -x\ny' = x\n",
        &[],
        "
error[E0902]: the start value of `x` at t = 0 is not a finite number
 --> model.node:3:24
  |
3 | state y = 1.0, x = 2 + sqrt(a)
  |                -       ^^^^^^^ `sqrt` gives the first one here
  |                |
  |                `x` is declared here
",
    );
}

/// There is no shorter step to try when steps are fixed.
#[test]
fn a_fixed_step_that_leaves_the_numbers() {
    check(
        "time t in 0..2\nstate x = 1.0\nx' = 50*x^3\n",
        &[("solve.method", "rk4"), ("solve.dt", "0.1")],
        "
error[E0902]: `x` is not a finite number after t = 0.1
 --> model.node:3:6
  |
3 | x' = 50*x^3
  |      ^^^^^^ in this equation
  |
  = note: state: x = 2.115060233e20 at t = 0.1, the last time all was finite
  = help: a solution that grows without bound in finite time does this: end the run before it
",
    );
}

#[test]
fn the_steps_are_used_up() {
    check(
        "time t in 0..10\nstate x = 1.0\nx' = -x + 3*cos(t)\nsolve { max_steps = 5 }\n",
        &[],
        "
error[E0904]: the run used up its 5 steps at t = 0.8349324737 (tsit5, step size 0.270)
 --> model.node:4:9
  |
4 | solve { max_steps = 5 }
  |         ^^^^^^^^^^^^^ set here
  |
  = note: state: x = 1.901766422
  = help: allow more with `solve.max_steps`, or loosen `solve.rtol` and `solve.atol`
",
    );
}

#[test]
fn a_trajectory_outside_the_run() {
    check(
        "time t in 0..2\nstate x = 1.0\nx' = -x\nloss l = x(2.5)\n",
        &[],
        "
error[E0906]: a trajectory is wanted at 2.5, outside the run
 --> model.node:4:12
  |
4 | loss l = x(2.5)
  |            ^^^ the run goes from 0 to 2
  |
  = help: widen the interval of `time`, or leave these times out
",
    );
}

#[test]
fn a_saved_time_outside_the_run() {
    check(
        "time t in 0..2\nstate x = 1.0\nx' = -x\nsolve { save = [1, 3] }\n",
        &[],
        "
error[E0906]: a state is to be saved at 3, outside the run
 --> model.node:4:9
  |
4 | solve { save = [1, 3] }
  |         ^^^^^^^^^^^^^ the run goes from 0 to 2
  |
  = help: save at times within the run
",
    );
}

#[test]
fn failures_are_data_too() {
    let (_, outcome) = failure("time t in 0..2\nstate x = 1.0\nx' = x^2\n", &[]);
    assert!(matches!(outcome, Some(Outcome::StepTooSmall { component: 0, .. })), "{outcome:?}");
    let (_, outcome) = failure("time t in 0..2\nstate x = 1.0\nx' = -x\nloss l = x(2.5)\n", &[]);
    assert_eq!(outcome, None);
}

/// Stability sets the steps of an explicit method, and the message says so.
#[test]
fn a_stiff_system_is_told() {
    let text = "time t in 0..10\nstate x = 0.0\nx' = -1e4*(x - cos(t))\nsolve { max_steps = 2_000 }\n";
    for method in ["tsit5", "dop853", "bosh3", "abm", "taylor"] {
        let (found, _) = failure(text, &[("method", method)]);
        assert!(found.contains("E0904") && found.contains("the system is stiff here"), "{method}: {found}");
        assert!(found.contains("settles within 0.0001") && found.contains("radau5"), "{method}: {found}");
    }
    // Short steps for the sake of accuracy are not that.
    let text = "time t in 0..10\nstate x = 0.0\nx' = cos(1e4*t)\nsolve { max_steps = 2_000 }\n";
    let (found, _) = failure(text, &[]);
    assert!(found.contains("E0904") && !found.contains("stiff"), "{found}");
}
