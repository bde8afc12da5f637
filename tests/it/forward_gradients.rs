//! Gradients by forward sensitivities: against closed forms, the reverse pass, and other codes.

use nodec::{Gradient, Model, Run};

fn run(text: &str, settings: &[(&str, &str)]) -> Run {
    let model = Model::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let set = |binder: nodec::Binder, (key, value): &(&str, &str)| binder.setting(key, value);
    settings.iter().fold(model.bind(), set).build().unwrap_or_else(|error| panic!("{error}"))
}

fn flat(gradient: &Gradient) -> Vec<f64> {
    gradient.by.iter().flat_map(|param| param.values.clone()).collect()
}

/// Largest difference, relative to the largest entry.
fn gap(a: &[f64], b: &[f64]) -> f64 {
    let size = b.iter().fold(0.0, |max: f64, b| max.max(b.abs()));
    a.iter().zip(b).map(|(a, b)| (a - b).abs() / size).fold(0.0, f64::max)
}

/// Eleven numbers, so that two solves carry them, with channels, data-like sites and a chain.
const WIDE: &str = "
    param W: [3, 3] = [[sin(3*i + 5*j)/2 for j in 0..3] for i in 0..3], mu = 0.7, x0 = 1.1
    time t in 0..3
    state z: [3] = [x0, 0.2, -0.4]
    z' = mu*tanh(W @ z) - 0.1*z*cos(t)
    channel work' = sumsq(z) + mu
    const ts: [3] = [0.4, 1.7, 3]
    loss value = sumsq(z(ts)) + work(end)*z(1.1)[0]
";

/// Step sizes are those of the states alone: both are the derivative of the same numbers, and at
/// loose tolerances too.
#[test]
fn with_explicit_methods_it_is_the_discrete_gradient_to_rounding() {
    for method in ["tsit5", "bosh3", "rkf45", "rk4"] {
        let with = |adjoint| {
            let settings = [("solve.method", method), ("solve.dt", "0.1"), ("solve.adjoint", adjoint)];
            run(WIDE, &settings).gradient().unwrap()
        };
        let (forward, back) = (with("forward"), with("discrete"));
        let error = gap(&flat(&forward), &flat(&back));
        assert!(error < 1e-13, "{method}: {error:e}");
        assert!(forward.cost.evaluations > 0 && forward.value == back.value);
    }
}

const ROBERTSON: &str = "
    param k1 = 0.04, k2 = 3e7, k3 = 1e4
    time t in 0..40
    state a = 1.0, b = 0.0, c = 0.0
    a' = -k1*a + k3*b*c
    b' = k1*a - k2*b^2 - k3*b*c
    c' = k2*b^2
    output a_end = a(end), b_end = b(end), c_end = c(end)
    solve { rtol = 1e-9, atol = 1e-13, adjoint = forward }
";

/// ∂(a, b, c)(40)/∂(k1, k2, k3), by scipy 1.16 `solve_ivp(Radau)` on the states with their
/// sensitivities at rtol 1e-12; the same to five digits as in the output of cvsRoberts_FSA_dns of
/// SUNDIALS.
#[test]
fn stiff_methods_give_the_sensitivities_of_the_robertson_reaction() {
    let wanted = [
        ("a_end", [-4.24755877, -2.28835509e-9, 1.37308080e-5]),
        ("b_end", [4.59119625e-5, -1.13805951e-13, -2.35719211e-10]),
        ("c_end", [4.24751286, 2.28846889e-9, -1.37305723e-5]),
    ];
    for method in ["radau5", "rodas5p", "bdf", "kvaerno5", "auto"] {
        let run = run(ROBERTSON, &[("solve.method", method)]);
        for (name, wanted) in wanted {
            let found = flat(&run.grad(name).unwrap().unwrap());
            for (found, wanted) in found.iter().zip(wanted) {
                assert!((found / wanted - 1.0).abs() < 1e-5, "{method} {name}: {found:e} {wanted:e}");
            }
        }
    }
}

/// x' = -k z with 0 = z - x², so x = 1/(1 + k t), from a start that the constraint corrects; and the
/// same with the lines not solved for their primes.
#[test]
fn constraints_are_differentiated_with_the_rest() {
    let texts = [
        "
            param k = 0.8
            time t in 0..2
            state x = 1.0
            algebraic z = 0.5
            x' = -k*z
            0 = z - x^2
            loss value = x(end) + z(end)
        ",
        "
            param k = 0.8
            time t in 0..2
            state x = 1.0, y = 1.0
            x' + y' = -2*k*x^2
            x' - 3*y' = 2*k*x^2
            loss value = x(end) + y(end)^2
        ",
    ];
    let (k, t) = (0.8_f64, 2.0_f64);
    let x = 1.0 / (1.0 + k * t);
    for (text, method) in
        texts.iter().flat_map(|text| ["radau5", "rodas5p", "bdf"].map(|method| (text, method)))
    {
        let settings = [
            ("solve.method", method),
            ("solve.rtol", "1e-9"),
            ("solve.atol", "1e-9"),
            ("solve.adjoint", "forward"),
        ];
        let gradient = flat(&run(text, &settings).gradient().unwrap());
        let by_k = -t * x * x * (1.0 + 2.0 * x);
        assert!((gradient[0] - by_k).abs() < 1e-6, "{method}: {gradient:?} {by_k}\n{text}");
    }
}

/// Fixed steps make the end a smooth function of the params, so that differences converge.
#[test]
fn symplectic_methods_carry_sensitivities() {
    let text = "
        param w = 1.3, q0 = 0.7
        time t in 0..5
        state q = q0, p = 0.1
        q' = p
        p' = -w^2*sin(q)
        channel action' = p^2
        loss value = q(end) + action(end)
        solve { dt = 0.05, adjoint = forward }
    ";
    for method in ["leapfrog", "yoshida4"] {
        let run = run(text, &[("solve.method", method)]);
        let gradient = flat(&run.gradient().unwrap());
        for (number, param) in run.params().iter().enumerate() {
            let value = |h: f64| {
                let mut moved = run.clone();
                assert!(moved.set_param(&param.path, &[param.values[0] + h]));
                moved.solve().unwrap().objective()
            };
            let central = |h: f64| (value(h) - value(-h)) / (2.0 * h);
            // Richardson: h⁴ f⁽⁵⁾/30 is 1e-12, rounding 1e-12.
            let difference = (4.0 * central(5e-4) - central(1e-3)) / 3.0;
            assert!((difference - gradient[number]).abs() < 1e-9, "{method}: {difference} {gradient:?}");
        }
    }
}

/// Through a chain of two solves, the second of which starts where the first ends.
#[test]
fn a_chain_of_systems_has_the_gradient_of_the_closed_form() {
    let text = "
        param k = 2.0
        system Decay {
          time t in 0..1
          state y = 1.0
          y' = -k*y
        }
        param d = Decay()
        loss last = d(d()).y
        solve { rtol = 1e-10, atol = 1e-12, adjoint = forward }
    ";
    for method in ["tsit5", "radau5"] {
        let gradient = flat(&run(text, &[("solve.method", method)]).gradient().unwrap());
        assert!((gradient[0] + 2.0 * (-4.0_f64).exp()).abs() < 1e-8, "{method}: {gradient:?}");
    }
}

/// What cannot travel is refused.
#[test]
fn what_is_not_built_is_refused() {
    let text = "
        param k = 0.5
        time t in 0..k
        state x = 1.0
        algebraic z = 1.0
        x' = -z
        0 = z - x
        loss value = x(end)
        solve { method = radau5, adjoint = forward }
    ";
    let error = run(text, &[]).gradient().unwrap_err().to_string();
    assert!(error.contains("E0290") && error.contains("a system with constraints"), "{error}");
}

/// A stiff fit. The data are x(t) of k = 37, by scipy's `expm` of the matrix of the system.
#[test]
fn a_stiff_model_is_fitted() {
    let text = "
        param k = 20.0
        time t in 0..2
        state x = 1.0, y = 0.0
        x' = -k*x + 1000*y
        y' = k*x - 1000*y - y
        const ts: [4] = [0.1, 0.5, 1, 2]
        const seen: [4] = [0.9609548244904895, 0.9473501017833328, 0.9306147342997189, 0.8980256902355666]
        loss fit = 1e4*sumsq(x(ts) - seen)
        solve { method = radau5, adjoint = forward, rtol = 1e-9, atol = 1e-11 }
        train { optimizer = lbfgs(), steps = 60 }
    ";
    let mut run = run(text, &[]);
    run.fit(|_| std::ops::ControlFlow::Continue(())).unwrap();
    let k = run.params()[0].values[0];
    assert!((k - 37.0).abs() < 1e-4, "{k}");
}

/// `nodec check --gradients`: a right gradient passes, one that leaves something out does not.
#[test]
fn differences_find_a_wrong_gradient() {
    let slopes = run(WIDE, &[]).slopes(None).unwrap().unwrap();
    // Eight directions of W, and two numbers.
    assert_eq!(slopes.len(), 10);
    for slope in &slopes {
        assert!(
            !slope.is_wrong() && slope.doubt < 1e-3 && (slope.gradient - slope.differences).abs() < 1e-6,
            "{slope:?}"
        );
    }
    let hidden = "
        param s = 0.7
        time t in 0..2
        state x = 1.0
        x' = if t < stop_gradient(s) then -x else -2*x
        loss value = x(end)
    ";
    let slopes = run(hidden, &[]).slopes(None).unwrap().unwrap();
    // x(2) = e^(-s - 2 (2 - s)).
    let by_s = (0.7_f64 - 4.0).exp();
    assert!(slopes[0].is_wrong() && (slopes[0].differences - by_s).abs() < 1e-3, "{slopes:?}");
    let slopes = run(&hidden.replace("stop_gradient(s)", "s"), &[]).slopes(None).unwrap().unwrap();
    assert!(!slopes[0].is_wrong() && (slopes[0].gradient - by_s).abs() < 1e-6, "{slopes:?}");
}

/// x' = -k x² from x0: x(t) = x0/(1 + k x0 t), with the value inside a step and a channel.
#[test]
fn methods_without_a_table_of_steps_carry_sensitivities() {
    let text = "
        param k = 0.8, x0 = 1.5
        time t in 0..2
        state x = x0
        x' = -k*x^2
        channel c' = x
        loss value = x(end) + x(1.3) + c(end)
    ";
    let (k, x0) = (0.8_f64, 1.5_f64);
    // c = log(1 + k x0 t)/k
    let by_k = |t: f64| -x0 * x0 * t / (1.0 + k * x0 * t).powi(2);
    let by_x0 = |t: f64| 1.0 / (1.0 + k * x0 * t).powi(2);
    let c_by_k = x0 * 2.0 / (1.0 + k * x0 * 2.0) / k - (1.0 + k * x0 * 2.0).ln() / (k * k);
    let c_by_x0 = 2.0 / (1.0 + k * x0 * 2.0);
    let wanted = [by_k(2.0) + by_k(1.3) + c_by_k, by_x0(2.0) + by_x0(1.3) + c_by_x0];
    for method in ["auto", "abm", "taylor", "dop853", "verner9", "kvaerno4", "gauss6"] {
        let mut settings = vec![("solve.method", method), ("solve.adjoint", "forward")];
        match method {
            "gauss6" => settings.push(("solve.dt", "0.01")),
            _ => settings.extend([("solve.rtol", "1e-10"), ("solve.atol", "1e-10")]),
        }
        let gradient = flat(&run(text, &settings).gradient().unwrap());
        for (found, wanted) in gradient.iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-6, "{method}: {found} {wanted}");
        }
    }
}
