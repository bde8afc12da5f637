//! Gradients through noise: the path is given, so the end is a smooth function of the params.

use nodec::{Gradient, Model, Run};

fn run(text: &str, settings: &[(&str, &str)]) -> Run {
    let model = Model::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let set = |binder: nodec::Binder, (key, value): &(&str, &str)| binder.setting(key, value);
    settings.iter().fold(model.bind(), set).build().unwrap_or_else(|error| panic!("{error}"))
}

fn flat(gradient: &Gradient) -> Vec<f64> {
    gradient.by.iter().flat_map(|param| param.values.clone()).collect()
}

/// Two states that drive each other, each with a process of its own, values between steps, and a
/// channel; the noise is as general as the scheme allows.
fn text(calculus: &str, noise: &str) -> String {
    format!(
        "
        noise V = wiener({calculus})
        noise W = wiener({calculus})
        param a = 0.7, b = 0.4, x0 = 1.2
        time t in 0..1
        state x = x0, y = 0.5
        x' = -a*x*y + {noise}*V'
        y' = x - y^2 + b*cos(t)*W'
        channel c' = x*y
        loss value = x(end)*y(end) + x(0.512) + c(end) + y(start)
        solve {{ dt = 0.05 }}
        "
    )
}

/// Differences of order 4 of whole runs on the same paths: rounding over their distance.
#[test]
fn every_scheme_has_the_gradient_of_differences_on_its_path() {
    for (method, calculus, noise) in [
        ("euler_maruyama", "ito", "b*x"),
        ("milstein", "ito", "b*x"),
        ("heun_stratonovich", "stratonovich", "b*sin(x)"),
        ("sra1", "ito", "b*exp(t)"),
    ] {
        let run = run(&text(calculus, noise), &[("solve.method", method)]);
        let gradient = run.gradient().unwrap();
        for (number, param) in run.params().iter().enumerate() {
            let value = |h: f64| {
                let mut moved = run.clone();
                assert!(moved.set_param(&param.path, &[param.values[0] + h]));
                moved.solve().unwrap().objective()
            };
            let central = |h: f64| (value(h) - value(-h)) / (2.0 * h);
            let difference = (4.0 * central(1e-3) - central(2e-3)) / 3.0;
            let found = flat(&gradient)[number];
            assert!((difference - found).abs() < 1e-9, "{method} {}: {difference} {found}", param.path);
        }
    }
}

/// Steps that are taken again see the same path, to the bit; both back ends too.
#[test]
fn checkpoints_and_back_ends_give_the_same_bits() {
    for (method, noise) in [("milstein", "b*x"), ("sra1", "b*exp(t)")] {
        let with = |adjoint, backend| {
            let settings = [("solve.method", method), ("solve.adjoint", adjoint), ("run.backend", backend)];
            run(&text("ito", noise), &settings).gradient().unwrap()
        };
        let full = with("discrete", "cranelift");
        let few = with("checkpoint(2)", "cranelift");
        assert!(few.cost.recomputed > 0 && full.cost.recomputed == 0);
        assert_eq!(few.by, full.by, "{method}");
        assert_eq!(with("discrete", "interp").by, full.by, "{method}");
    }
}

/// dS = μ S dt + σ S dW is S = exp((μ - σ²/2) t + σ W): its derivatives are t S and (W - σ t) S. The
/// error of Milstein's method is of order 1 in the step.
#[test]
fn geometric_brownian_motion_has_the_gradient_of_the_closed_form() {
    let text = "
        noise W = wiener(ito)
        param mu = 0.3, sigma = 0.5
        time t in 0..1
        state s = 1.0, w = 0.0
        s' = mu*s + sigma*s*W'
        w' = W'
        loss value = s(end)
        output path = w(end)
        solve { method = euler_maruyama, dt = 5e-5 }
    ";
    let run = run(text, &[]);
    let w: f64 = run.solve().unwrap().value("path").unwrap().values[0];
    let s = (0.3 - 0.125 + 0.5 * w).exp();
    let found = flat(&run.gradient().unwrap());
    for (found, wanted) in found.iter().zip([s, (w - 0.5) * s]) {
        // Strong order 1/2: some √dt.
        assert!((found - wanted).abs() < 2e-2 * s, "{found} {wanted}");
    }
}

/// An Ornstein–Uhlenbeck process is linear in the strength of its noise: x = d + s n, so the gradient
/// by s is (x - d)/s, to rounding.
#[test]
fn what_noise_adds_is_linear_in_its_strength() {
    let text = "
        noise W = wiener(ito)
        param k = 0.9, s = 0.3
        time t in 0..2
        state x = 1.0
        x' = -k*x + s*W'
        loss value = x(end)
        solve { method = sra1, dt = 0.1 }
    ";
    let run = run(text, &[]);
    let gradient = run.gradient().unwrap();
    let mut still = run.clone();
    assert!(still.set_param("s", &[0.0]));
    let d = still.solve().unwrap().objective();
    let wanted = (gradient.value - d) / 0.3;
    assert!((flat(&gradient)[1] - wanted).abs() < 1e-13, "{gradient:?} {wanted}");
}

/// A path has no slope in time, so neither have times that are learned.
#[test]
fn what_would_need_the_slope_of_a_path_is_refused() {
    let text = "
        noise W = wiener(ito)
        param tau = 0.5
        time t in 0..1
        state x = 1.0
        x' = -x + W'
        loss value = x(tau)
        solve { method = euler_maruyama, dt = 0.1 }
    ";
    let error = run(text, &[]).gradient().unwrap_err().to_string();
    assert!(error.contains("E0290") && error.contains("noise"), "{error}");
}

/// Drift and noise of a process are fitted to the moments of what it does: 64 paths in one run.
#[test]
fn a_stochastic_model_is_trained() {
    let text = "
        noise W: [64] = wiener(ito)
        param k = 0.4, s = 0.2
        time t in 0..2
        state x: [64] = ones([64])
        x' = -k*x + s*W'
        let mid = x(1)
        let end_x = x(end)
        loss fit = (mean(mid) - exp(-1))^2 + (mean(end_x) - exp(-2))^2 + (mean(end_x^2) - 0.27)^2
        solve { method = sra1, dt = 0.05 }
        train { optimizer = lbfgs(), steps = 30 }
    ";
    let mut run = run(text, &[]);
    let before = run.gradient().unwrap().value;
    run.fit(|_| std::ops::ControlFlow::Continue(())).unwrap();
    assert!(run.gradient().unwrap().value < 0.05 * before, "{before} {}", run.gradient().unwrap().value);
}
