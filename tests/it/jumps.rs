//! Motions that jump: what becomes an event, and gradients across it, against closed forms.

use nodec::diag::Code;
use nodec::ir::op::Op;
use nodec::{Gradient, Model, Run, Solution, Way};

fn run(text: &str, settings: &[(&str, &str)]) -> Run {
    let model = Model::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let set = |binder: nodec::Binder, (key, value): &(&str, &str)| binder.setting(key, value);
    settings.iter().fold(model.bind(), set).build().unwrap_or_else(|error| panic!("{error}"))
}

/// How many entries of modes the motion of the main run has.
fn n_modes(text: &str) -> usize {
    let run = run(text, &[]);
    let system = run.program().main_system().expect("a main run");
    system.modes.iter().map(|mode| mode.ty.shape.count()).sum()
}

fn value(solution: &Solution, name: &str) -> f64 {
    solution.value(name).unwrap_or_else(|| panic!("no `{name}`")).values[0]
}

fn one(gradient: &Gradient, path: &str) -> f64 {
    gradient.get(path).unwrap_or_else(|| panic!("no `{path}`"))[0]
}

/// A scalar, its value, and its derivative by some params.
type Expected<'a> = (&'a str, f64, &'a [(&'a str, f64)]);

/// Checks value and derivative of each output by every way of every explicit method named, and by
/// forward sensitivities through the others, on both back ends.
fn check(text: &str, expected: &[Expected], within: f64) {
    let tight = [("solve.rtol", "1e-11"), ("solve.atol", "1e-11")];
    let mut bits: Vec<Vec<u64>> = Vec::new();
    for back_end in ["interp", "cranelift"] {
        let mut of_back_end = Vec::new();
        for method in ["tsit5", "dopri5", "dop853", "verner7"] {
            let run =
                run(text, &[&tight[..], &[("solve.method", method), ("run.backend", back_end)]].concat());
            for way in Way::ALL {
                for (name, value, by) in expected {
                    let gradient = run.gradient_by(Some(name), way).unwrap();
                    let gradient = gradient.unwrap_or_else(|error| panic!("{method}, {}: {error}", way.name));
                    let off = |found: f64, exact: f64, of: &str| {
                        let gap = (found - exact).abs();
                        assert!(
                            gap <= within * exact.abs().max(1.0),
                            "{method}, {}, {name}, {of}: {found} for {exact}",
                            way.name
                        );
                    };
                    off(gradient.value, *value, "value");
                    for (param, exact) in *by {
                        off(one(&gradient, param), *exact, param);
                    }
                    of_back_end
                        .extend(gradient.by.iter().flat_map(|by| by.values.iter().map(|x| x.to_bits())));
                }
            }
        }
        bits.push(of_back_end);
    }
    assert_eq!(bits[0], bits[1], "the back ends differ");
    for method in ["radau5", "rodas5p", "bdf", "abm", "kencarp4", "taylor"] {
        let run =
            run(text, &[&tight[..], &[("solve.method", method), ("solve.adjoint", "forward")]].concat());
        for (name, value, by) in expected {
            let gradient = run.grad(name).unwrap().unwrap_or_else(|error| panic!("{method}: {error}"));
            // The sensitivities are held to tolerances of their own.
            let most = 1e3 * within;
            assert!(
                (gradient.value - value).abs() <= most,
                "{method}, {name}: {} for {value}",
                gradient.value
            );
            for (param, exact) in *by {
                let found = one(&gradient, param);
                assert!(
                    (found - exact).abs() <= most * exact.abs().max(1.0),
                    "{method}, {name}, {param}: {found} for {exact}"
                );
            }
        }
    }
}

/// x(T) = a exp(-s - 2 (T - s)).
#[test]
fn a_switch_at_a_learned_time_has_the_gradient_of_the_closed_form() {
    let text = "param s = 0.7, a = 1.3
        time t in 0..2
        state x = a
        x' = if t < s then -x else -2*x
        output last = x(end)";
    let last = 1.3 * (-0.7_f64 - 2.0 * 1.3).exp();
    check(text, &[("last", last, &[("s", last), ("a", last / 1.3)])], 2e-8);
}

/// c is passed at log(a/c), so x(T) = c exp(-2 (T - log(a/c))) = a²/c exp(-2 T).
#[test]
fn a_switch_where_a_state_passes_has_the_gradient_of_the_closed_form() {
    let text = "param c = 0.5, a = 1.3
        time t in 0..2
        state x = a
        x' = if x < c then -2*x else -x
        output last = x(end)";
    let last = 1.3 * 1.3 / 0.5 * (-4.0_f64).exp();
    check(text, &[("last", last, &[("c", -last / 0.5), ("a", 2.0 * last / 1.3)])], 2e-8);
}

/// A bouncing of the rate: sign(sin(w t)) gives a triangle wave, of which two whole halves and a rest
/// fit into the run: with n = floor(w T/π) = 3, x(T) = Σ ± = π/w - (T - 3π/w) = 4π/w - T.
#[test]
fn a_sign_and_a_floor_have_the_gradients_of_the_closed_form() {
    let text = "param w = 2.0, k = 1.7
        time t in 0..5
        state x = 0.0
        x' = sign(sin(w*t))
        channel steps' = floor(k*t)
        output last = x(end), climbed = steps(end)";
    let pi = std::f64::consts::PI;
    // k T = 8.5: Σ_{j=1..8} (T - j/k) = 40 - 36/k.
    check(
        text,
        &[
            ("last", 4.0 * pi / 2.0 - 5.0, &[("w", -pi), ("k", 0.0)]),
            ("climbed", 40.0 - 36.0 / 1.7, &[("k", 36.0 / (1.7 * 1.7)), ("w", 0.0)]),
        ],
        1e-9,
    );
}

/// Two entries that pass limits of their own: x_i(T) = a_i²/c_i exp(-2 T).
#[test]
fn each_entry_of_a_vector_jumps_by_itself() {
    let text = "param c: [2] = [0.5, 0.8]
        time t in 0..2
        state x: [2] = [1.0, 1.3]
        x' = if x < c then -2*x else -x
        output first = x(end)[0], second = x(end)[1]";
    let end = (-4.0_f64).exp();
    let run = run(text, &[("solve.rtol", "1e-11"), ("solve.atol", "1e-11")]);
    assert_eq!(n_modes(text), 2);
    for way in Way::ALL {
        let first = run.gradient_by(Some("first"), way).unwrap().unwrap();
        let second = run.gradient_by(Some("second"), way).unwrap().unwrap();
        let exact = [-end / 0.25, -1.69 * end / 0.64];
        let found = [first.get("c").unwrap(), second.get("c").unwrap()];
        assert!((found[0][0] - exact[0]).abs() < 1e-8 && found[0][1].abs() < 1e-9, "{}: {found:?}", way.name);
        assert!((found[1][1] - exact[1]).abs() < 1e-8 && found[1][0].abs() < 1e-9, "{}: {found:?}", way.name);
    }
}

/// A layer of leaky units is continuous whatever feeds it, and is computed once for the comparison and
/// both sides: three products of matrices, no event. With `0.1*h + 1` below 0 every unit jumps, of which
/// two are followed as two entries of a mode.
#[test]
fn layers_of_choices_are_no_events() {
    let of = |n: usize, below: &str| {
        format!(
            "param W: [{n}, 3] = glorot(), V: [{n}, {n}] = glorot(), U: [3, {n}] = glorot()
            time t in 0..1
            state z: [3] = ones(3)
            let h = V @ tanh(W @ z)
            z' = U @ (if h > 0 then h else {below})"
        )
    };
    let large = run(&of(200, "0.1*h"), &[]);
    let system = large.program().main_system().expect("a main run");
    assert!(system.modes.is_empty());
    let products = system.field.nodes.iter().filter(|node| node.op == Op::Contract);
    assert_eq!(products.count(), 3);
    assert_eq!(n_modes(&of(2, "0.1*h")), 0);
    assert_eq!(n_modes(&of(2, "0.1*h + 1")), 2);
}

/// Sides that meet where the condition changes are a kink, and cost no events.
#[test]
fn sides_that_meet_stay_as_they_are() {
    let of = |rate: &str| {
        n_modes(&format!(
            "param c = 0.5, k: [3] = [1, 2, 3]
            time t in 0..2
            state x = 1.0, v: [3] = ones(3)
            discrete on = 1.0
            x' = {rate}
            v' = if v > k then v - k else 0*v
            when x < 0.1 {{ on := 0 }}"
        ))
    };
    for rate in [
        "if x > 0 then x else 0",
        "relu(x - c) + abs(x) + max(x, c)",
        "if x < c then x^2 else c*x",
        "if x > 0 then sqrt(x) else 0",
        "if x > 0 then x*log(x) else 0",
        "if abs(x) < c then x^2/2 else c*(abs(x) - c/2)",
        "if x <= 0 then 0 else if x < 1 then 3*x^2 - 2*x^3 else 1",
        "if c > 0.3 then x else 2*x",
        "if on > 0.5 then x else 2*x",
        "(if x > c then 1 else 0) + (if x <= c then 1 else 0)",
        "grad(max(x, 0)^2, x)",
    ] {
        assert_eq!(of(rate), 0, "{rate}");
    }
    for (rate, expected) in [
        ("if x > 0 then 1 else 0", 1),
        ("if x > c then x else 0", 1),
        ("grad(abs(x), x)", 1),
        ("if x < c and t < 1 then 1 else 0", 2),
        ("if t - floor(t) < 0.5 then 1 else 2", 2),
        ("if x > 0 then 1e-4 + x else x", 1),
        ("if x < c then log(x) else x", 1),
        ("if x > 40 then 1 else 0", 1),
    ] {
        assert_eq!(of(rate), expected, "{rate}");
    }
}

/// Steps end at the jumps, so that the error is that of smooth pieces: 20 jumps of a square wave at
/// numbers that no step would hit by itself.
#[test]
fn steps_end_at_jumps() {
    let text = "time t in 0..10
        state x = 0.0, y = 1.0
        x' = if t/0.7 - 2*floor(t/1.4) < 1 then 1 else -1
        y' = if t < 3.3 then -y else y
        output last = x(end), other = y(end)";
    let solution = run(text, &[]).solve().unwrap();
    // 10 = 7 * 1.4 + 0.2.
    let (last, other) = (value(&solution, "last"), value(&solution, "other"));
    assert!((last - 0.2).abs() < 1e-12, "{last}");
    assert!((other - (3.4_f64).exp()).abs() < 1e-4, "{other}");
    assert!(solution.stats().evaluations < 1_000, "{:?}", solution.stats());
}

/// Nobody but the motion sees a mode.
#[test]
fn modes_are_no_results() {
    let text = "param s = 0.7
        time t in 0..2
        state x = 1.0, y = 2.0
        channel c' = x
        x' = if t < s then -x else -2*x
        y' = -y
        output z = x + y";
    let solution = run(text, &[]).solve().unwrap();
    let names: Vec<&str> = solution.trajectories().iter().map(|curve| curve.name()).collect();
    assert_eq!(names, ["x", "y", "c", "z"]);
    let c = solution["c"].scalar_at(0.5).unwrap();
    assert!((c - (1.0 - (-0.5_f64).exp())).abs() < 1e-6, "{c}");
    let z = solution["z"].scalar_at(2.0).unwrap();
    assert!((z - (-3.3_f64).exp() - 2.0 * (-2.0_f64).exp()).abs() < 1e-6, "{z}");
}

/// Each of many runs starts on its own side: s from before the run to after it.
#[test]
fn every_run_of_a_sweep_settles_by_itself() {
    let text = "param s = 0.7
        time t in 0..2
        state x = 1.0
        x' = if t < s then -x else -2*x
        output last = x(end)
        sweep s in [-1, 0, 0.5, 1.5, 2, 3]";
    let run = run(text, &[("solve.rtol", "1e-10"), ("solve.atol", "1e-10")]);
    for (number, s) in [-1.0_f64, 0.0, 0.5, 1.5, 2.0, 3.0].into_iter().enumerate() {
        let solution = run.solve_run(number).unwrap();
        let exact = (s.clamp(0.0, 2.0) - 4.0).exp();
        let found = value(&solution, "last");
        assert!((found - exact).abs() < 1e-9, "s = {s}: {found} for {exact}");
    }
}

/// What cannot be followed is said, and its gradient refused.
#[test]
fn a_gradient_across_too_many_jumps_is_refused() {
    let text = "param c = 0.5
        time t in 0..1
        state x: [200] = ones(200)
        x' = if x < c then -2*x else -x
        output last = sum(x(end))";
    let run = run(text, &[]);
    let warnings: Vec<Code> = run.warnings().iter().map(|warning| warning.code).collect();
    assert_eq!(warnings, [Code("W0520")]);
    assert!(run.solve().is_ok());
    for way in Way::ALL {
        let error = run.gradient_by(Some("last"), way).unwrap().unwrap_err();
        let codes: Vec<Code> = error.diagnostics().iter().map(|message| message.code).collect();
        assert_eq!(codes, [Code("E0909")], "{}", way.name);
    }
}
