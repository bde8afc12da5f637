//! Every method goes backwards, keeps what is asked for, and goes on from a checkpoint.

use nodec::solve::{Kind, Method};
use nodec::{Model, Run, Solution};

fn methods() -> impl Iterator<Item = Method> {
    Method::all().filter(|method| !matches!(method.kind, Kind::Stochastic(_)))
}

fn run(text: &str, method: &Method, settings: &[(&str, &str)]) -> Run {
    let model = Model::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let binder = model.bind().method(method.name).setting("dt", "0.01");
    let binder = settings.iter().fold(binder, |binder, (key, value)| binder.setting(key, value));
    binder.build().unwrap_or_else(|error| panic!("{}: {error}", method.name))
}

fn solved(text: &str, method: &Method, settings: &[(&str, &str)]) -> Solution {
    run(text, method, settings).solve().unwrap_or_else(|error| panic!("{}: {error}", method.name))
}

/// `q = cos t` from `t = 3` back to 0. A method of order 1 errs by half a step in a unit of time, and
/// adaptive ones by some hundred tolerances of 1e-7 at most.
#[test]
fn every_method_goes_backwards() {
    let (q, p) = (3.0_f64.cos(), -3.0_f64.sin());
    let text = format!("time t in 3..0\nstate q = {q}, p = {p}\nq' = p\np' = -q\nchannel c' = q\n");
    for method in methods() {
        let solution = solved(&text, &method, &[("rtol", "1e-7"), ("atol", "1e-7")]);
        let end = |name: &str| solution.end(name).unwrap()[0];
        let error = (end("q") - 1.0).abs().max(end("p").abs());
        let allowed = if method.adaptive { 1e-4 } else { 0.025 };
        assert!(error < allowed, "{}: {error:e}", method.name);
        // ∫ from 3 to 0 of cos is -sin 3.
        assert!((end("c") + 3.0_f64.sin()).abs() < allowed, "{}: {}", method.name, end("c"));
        assert!(solution.ts().windows(2).all(|pair| pair[1] < pair[0]), "{}", method.name);
    }
}

/// Times that are asked for are kept, every step is, the solution between them is the same, and functions
/// of the state are those of the states kept.
#[test]
fn every_method_keeps_what_is_asked_for() {
    let text = "time t in 0..3\nstate q = 1.0, p = 0.0\nq' = p\np' = -q\noutput energy = (q^2 + p^2)/2\n";
    for method in methods() {
        let name = method.name;
        let close = [("rtol", "1e-7"), ("atol", "1e-7")];
        let some = solved(text, &method, &[&close[..], &[("save", "[0.5, 1.25, 2.9]")]].concat());
        let all = solved(text, &method, &close);
        assert_eq!(some.ts(), [0.5, 1.25, 2.9], "{name}");
        assert_eq!(all.ts().len() as u64, all.stats().accepted + 1, "{name}");
        for (at, t) in some.ts().iter().enumerate() {
            let saved = some["q"].values()[at];
            let between = all["q"].at(*t).unwrap()[0];
            assert!((saved - between).abs() < 1e-12, "{name}: {saved} {between}");
            assert!((saved - t.cos()).abs() < if method.adaptive { 1e-4 } else { 0.025 }, "{name}: {saved}");
            let (q, p) = (saved, some["p"].values()[at]);
            let energy = (q * q + p * p) / 2.0;
            assert!((some["energy"].values()[at] - energy).abs() < 1e-15, "{name}");
        }
    }
}

/// The path has a corner, of no height, at 5: the run that passes there takes the steps of two, of which the
/// second goes on from where the first ended.
const OSCILLATOR: &str = "
const T = 10.0
control push = linear([0, 5, 10], [0, 0, 0])
time t in 0..T
state x = 2.0, v = 0.0
x' = v
v' = 2*(1 - x^2)*v - x + push
channel work' = v^2
";

#[test]
fn a_run_goes_on_from_a_checkpoint_as_if_it_had_not_stopped() {
    for method in methods().filter(|method| !matches!(method.kind, Kind::Symplectic(_))) {
        let name = method.name;
        // Reversible methods are stable where nothing is damped.
        let text = match method.kind {
            Kind::Reversible(_) => OSCILLATOR.replace("2*(1 - x^2)*v - x", "-x"),
            _ => OSCILLATOR.to_owned(),
        };
        let to = |end: f64| {
            let model = Model::parse(&text).unwrap_or_else(|error| panic!("{error}"));
            let binder = model.bind().method(name).set("T", end).rtol(1e-6).atol(1e-6);
            let binder = if method.adaptive { binder } else { binder.setting("dt", "0.01") };
            binder.build().unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        let whole = to(10.0).solve().unwrap();
        let first = to(5.0).solve().unwrap();
        let checkpoint = first.checkpoint().unwrap();
        assert_eq!((checkpoint.t, checkpoint.y.len()), (5.0, 3), "{name}");
        let second = to(10.0).solve_from(&checkpoint).unwrap();
        assert_eq!(second.interval(), (5.0, 10.0), "{name}");
        assert_eq!(
            whole.stats().accepted,
            first.stats().accepted + second.stats().accepted,
            "{name}: {:?} {:?}",
            whole.stats(),
            second.stats()
        );
        for unknown in ["x", "v", "work"] {
            let bits = |solution: &Solution| solution.end(unknown).unwrap()[0].to_bits();
            assert_eq!(bits(&whole), bits(&second), "{name} {unknown}");
        }
        let behind = whole.ts().iter().position(|t| *t == 5.0).expect("it lands on the corner");
        assert_eq!(&whole.ts()[behind..], second.ts(), "{name}");
    }
}

/// Each family counts its work, and what it throws away by why.
#[test]
fn work_is_counted() {
    let stiff = "time t in 0..2\nstate x = 2.0, v = 0.0\nx' = v\nv' = 100*(1 - x^2)*v - x\n";
    for method in methods().filter(|method| method.adaptive) {
        let stats = run(stiff, &method, &[]).solve().unwrap().stats();
        let name = method.name;
        let implicit = matches!(method.kind, Kind::Stiff(_));
        let iterates = implicit && name != "rodas5p";
        assert!(stats.accepted > 0 && stats.evaluations > stats.accepted, "{name}: {stats:?}");
        if !matches!(method.kind, Kind::Auto(_)) {
            assert_eq!(stats.jacobians > 0, implicit, "{name}: {stats:?}");
            assert_eq!(stats.factorisations > 0, implicit, "{name}: {stats:?}");
            assert_eq!(stats.newton_iterations > 0, iterates, "{name}: {stats:?}");
        }
    }
    // Past x = 0 the square root is not a number: every method tries to step over and says so.
    let edge = "time t in 0..3\nstate x = 1.0\nx' = -1 - 0*sqrt(x)\n";
    for method in methods().filter(|method| method.adaptive) {
        let error = run(edge, &method, &[]).solve().map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("E0902") && error.contains("sqrt"), "{}: {error}", method.name);
    }
}
