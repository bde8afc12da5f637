//! Implicit and symplectic methods from programs: compiled motions, derivatives by forward mode.

use crate::references::{KEPLER_20, KEPLER_1000, VAN_DER_POL_5_20};
use nodec::{Model, Solution};

const VAN_DER_POL: &str = "
param mu = 1000.0
time t in 0..2000
state x = 2.0, x' = 0.0
x'' = mu*(1 - x^2)*x' - x
channel work' = x^2
";

const KEPLER: &str = "
param e in unit = 0.6
time t in 0..1000
state q: [2] = [1 - e, 0]
state p: [2] = [0, sqrt((1 + e)/(1 - e))]
let H = dot(p, p)/2 - 1/norm(q)
q' =  grad(H, p)
p' = -grad(H, q)
output drift = H - H(start)
";

fn solve(text: &str, settings: &[(&str, &str)]) -> Solution {
    let model = Model::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let binder = settings.iter().fold(model.bind(), |binder, (key, value)| binder.setting(key, value));
    let run = binder.build().unwrap_or_else(|error| panic!("{error}"));
    run.solve().unwrap_or_else(|error| panic!("{error}"))
}

/// Program 3.3: the end of the test set of `stiff`, and the integral of `x²` to the same end by SciPy
/// 1.17.1's Radau at rtol 1e-12, with the integral as a third component.
#[test]
fn van_der_pol_is_solved_by_every_stiff_method() {
    for method in ["radau5", "rodas5p", "bdf", "kvaerno4", "kencarp4", "kvaerno5", "auto"] {
        let settings = [("method", method), ("rtol", "1e-8"), ("atol", "1e-10")];
        let solution = solve(VAN_DER_POL, &settings);
        let (x, slope) = (solution.end("x").unwrap()[0], solution.end("x'").unwrap()[0]);
        assert!((x - 1.706167732170469).abs() < 1e-4, "{method}: {x}");
        assert!((slope + 0.8928097010248125e-3).abs() < 1e-6, "{method}: {slope}");
        let work = solution.end("work").unwrap()[0];
        assert!((work / WORK_2000 - 1.0).abs() < 1e-5, "{method}: {work}");
        let stats = solution.stats();
        assert!(stats.accepted < 10_000 && stats.jacobians > 0, "{method}: {stats:?}");
    }
}

const WORK_2000: f64 = 5838.388078051116;

/// The solution between steps is that of the method, and single precision runs too.
#[test]
fn what_lies_between_steps_is_the_methods_own_polynomial() {
    for method in ["radau5", "rodas5p", "bdf", "kvaerno5", "auto", "abm", "taylor", "dop853", "verner9"] {
        let settings =
            [("method", method), ("rtol", "1e-9"), ("atol", "1e-9"), ("mu", "5"), ("save", "[20]")];
        let text = VAN_DER_POL.replace("0..2000", "0..20.5");
        let solution = solve(&text, &settings);
        for (name, expected) in ["x", "x'"].into_iter().zip(VAN_DER_POL_5_20) {
            let saved = solution[name].values()[0];
            let between = solution[name].at(20.0).unwrap()[0];
            assert!((saved - expected).abs() < 1e-5 && (between - saved).abs() < 1e-12, "{method} {name}");
        }
        let settings = [("method", method), ("rtol", "1e-3"), ("mu", "5"), ("run.precision", "f32")];
        assert!(solve(&text, &settings).end("x").unwrap()[0].is_finite());
    }
}

/// Program 3.6. The phase error of a method of order 4 grows by the same every orbit: at dt = 0.01
/// some 1e-4 in all; its energy comes back.
#[test]
fn kepler_keeps_its_energy() {
    let solution = solve(KEPLER, &[("method", "yoshida4"), ("dt", "0.01"), ("save", "every(0.1)")]);
    let drift = solution["drift"].values();
    let worst = |part: &[f64]| part.iter().fold(0.0_f64, |worst, drift| worst.max(drift.abs()));
    assert_eq!(drift.len(), 10_001);
    assert!(worst(&drift[9_000..]) < 2.0 * worst(&drift[..1_000]) && worst(drift) < 1e-4, "{}", worst(drift));
    let exact = solve(KEPLER, &[("method", "kahan_li8"), ("dt", "0.01")]);
    let ends = [exact.end("q").unwrap(), exact.end("p").unwrap()].concat();
    assert!(ends.iter().zip(&KEPLER_1000).all(|(y, e)| (y - e).abs() < 1e-8), "{ends:?}");
    let text = KEPLER.replace("0..1000", "0..20");
    let short = solve(&text, &[("method", "yoshida6"), ("dt", "0.005")]);
    let ends = [short.end("q").unwrap(), short.end("p").unwrap()].concat();
    assert!(ends.iter().zip(&KEPLER_20).all(|(y, e)| (y - e).abs() < 1e-7), "{ends:?}");
}

/// Geometric Brownian motion, program of LANGUAGE.md 2.13: the same seed gives the same path at every
/// step size, so the schemes agree with each other as their orders say.
#[test]
fn noise_is_integrated_on_one_path_for_every_step() {
    let text = "noise W: [2] = wiener(ito)\ntime t in 0..1\nstate s: [2] = [1, 1]\ns' = 0.05*s + 0.2*s*W'\n";
    let end = |settings: &[(&str, &str)]| solve(text, settings).end("s").unwrap();
    let fine = end(&[("method", "milstein"), ("dt", "0.0005")]);
    let distance = |other: &[f64]| (fine[0] - other[0]).abs().max((fine[1] - other[1]).abs());
    let milstein = end(&[("method", "milstein"), ("dt", "0.02")]);
    let maruyama = end(&[("method", "euler_maruyama"), ("dt", "0.02")]);
    assert!(distance(&milstein) < 2e-3 && distance(&maruyama) < 2e-2, "{fine:?} {milstein:?} {maruyama:?}");
    let other = end(&[("method", "milstein"), ("dt", "0.0005"), ("seed", "1")]);
    assert!(distance(&other) > 2e-2 && (fine[0] - fine[1]).abs() > 1e-3);
    assert_eq!(fine, end(&[("method", "milstein"), ("dt", "0.0005")]));
    // Read as Stratonovich, the logarithm grows faster by σ²/2 = 0.02.
    let text = text.replace("ito", "stratonovich");
    let heun = solve(&text, &[("method", "heun_stratonovich"), ("dt", "0.0005")]).end("s").unwrap();
    assert!((heun[0] / fine[0] - 0.02_f64.exp()).abs() < 1e-4, "{heun:?} {fine:?}");
}

/// What has no reverse pass is refused, not wrong.
#[test]
fn gradients_through_other_methods_are_refused() {
    for method in ["bdf", "yoshida4"] {
        let text = "param k = 1.0\ntime t in 0..1\nstate q = 1.0\nstate p = 0.0\nq' = p\np' = -k*q\nloss l = q(end)^2\n";
        let model = Model::parse(text).unwrap();
        let run = model
            .bind()
            .method(method)
            .setting("dt", "0.01")
            .setting("solve.adjoint", "discrete")
            .build()
            .unwrap();
        let error =
            run.grad("l").unwrap().err().map(|error| format!("{error} {error:?}")).unwrap_or_default();
        assert!(error.contains("E0290") && error.contains(method), "{error}");
    }
}
