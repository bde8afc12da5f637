//! The ways in which a gradient passes through a solve, against closed forms and each other.

use nodec::plan::adjoint::Cost;
use nodec::plan::objective::Objective;
use nodec::plan::pack::Target;
use nodec::plan::unit::Data;
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

const ADJOINTS: [&str; 6] =
    ["discrete", "checkpoint(3)", "backsolve()", "backsolve(norm = seminorm)", "interpolating()", "forward"];

/// A model with one loss.
pub(crate) struct Closed {
    /// The model.
    pub(crate) text: &'static str,
    /// The derivatives of the loss by the params, in their order.
    pub(crate) gradient: fn() -> Vec<f64>,
}

/// Every way in which a time can be learned, with the loss in closed form.
pub(crate) const MOVING: &[Closed] = &[
    // Logistic growth to a learned end: x = K/(1 + (K/a - 1) e^(-rT)), dx/dT = r x (1 - x/K).
    Closed {
        text: "
            param t1 in positive = 1.7, r = 1.1
            time t in 0..t1
            state x = 0.4
            x' = r*x*(1 - x/2)
            loss value = x(end)
        ",
        gradient: || {
            let (t, r, k, a) = (1.7_f64, 1.1_f64, 2.0_f64, 0.4_f64);
            let e = (k / a - 1.0) * (-r * t).exp();
            let x = k / (1.0 + e);
            vec![r * x * (1.0 - x / k), k * t * e / (1.0 + e).powi(2)]
        },
    },
    // A learned time inside the run and one of a vector of times: x = e^(-k τ).
    Closed {
        text: "
            param tau = 0.8, k = 0.6
            time t in 0..2
            state x = 1.0
            x' = -k*x
            loss value = x(tau)^2 + sum(x([0.3, 2*tau, 2]))
        ",
        gradient: || {
            let (tau, k) = (0.8_f64, 0.6_f64);
            let x = |t: f64| (-k * t).exp();
            let by_tau = -2.0 * k * x(tau).powi(2) - 2.0 * k * x(2.0 * tau);
            let by_k = -2.0 * tau * x(tau).powi(2) - 0.3 * x(0.3) - 2.0 * tau * x(2.0 * tau) - 2.0 * x(2.0);
            vec![by_tau, by_k]
        },
    },
    // An integral to a learned end, beside one that is evaluated before: ∫ m x² with x = e^(-k t).
    Closed {
        text: "
            param t1 = 1.3, k = 0.7, m = 0.9
            time t in 0..t1
            state x = 1.0
            x' = -k*x
            channel area' = m*x^2
            loss value = area(end)^2 + area(0.5)
        ",
        gradient: || {
            let (t, k, m) = (1.3_f64, 0.7_f64, 0.9_f64);
            let area = |t: f64| m * (1.0 - (-2.0 * k * t).exp()) / (2.0 * k);
            let by_k = |t: f64| m * t * (-2.0 * k * t).exp() / k - area(t) / k;
            let by_m = |t: f64| area(t) / m;
            vec![
                2.0 * area(t) * m * (-2.0 * k * t).exp(),
                2.0 * area(t) * by_k(t) + by_k(0.5),
                2.0 * area(t) * by_m(t) + by_m(0.5),
            ]
        },
    },
    // A learned start, with a field that depends on time and a site at the start:
    // x = a + sin t - sin t0, and x(start) = a + t0 as the start value says.
    Closed {
        text: "
            param t0 = 0.3, a = 0.5
            time t in t0..2
            state x = a + t0
            x' = cos(t)
            channel c' = x
            loss value = x(end)^2 + 3*x(start) + x(1.1) + c(end)
        ",
        gradient: || {
            let (t0, a) = (0.3_f64, 0.5_f64);
            let x = |t: f64| a + t0 + t.sin() - t0.sin();
            // ∂x(t)/∂t0 = 1 - cos t0, and ∂c(T)/∂t0 = -x(t0) + (T - t0)(1 - cos t0).
            let by_t0 = 1.0 - t0.cos();
            vec![
                2.0 * x(2.0) * by_t0 + 3.0 + by_t0 - x(t0) + (2.0 - t0) * by_t0,
                2.0 * x(2.0) + 3.0 + 1.0 + (2.0 - t0),
            ]
        },
    },
    // A run that goes backwards to a learned end: x = e^(k(3 - t)).
    Closed {
        text: "
            param t1 = 1.0, k = 0.5
            time t in 3..t1
            state x = 1.0
            x' = -k*x
            loss value = x(end) + x(2)
        ",
        gradient: || {
            let (t1, k) = (1.0_f64, 0.5_f64);
            let x = |t: f64| (k * (3.0 - t)).exp();
            vec![-k * x(t1), (3.0 - t1) * x(t1) + x(2.0)]
        },
    },
];

/// These problems damp errors by at most e, so a thousand tolerances are ample.
#[test]
fn times_that_depend_on_params_have_the_gradients_of_the_closed_form() {
    for closed in MOVING {
        for adjoint in ADJOINTS {
            let settings = [("solve.rtol", "1e-10"), ("solve.atol", "1e-10"), ("solve.adjoint", adjoint)];
            let gradient = flat(&run(closed.text, &settings).gradient().unwrap());
            let error = gap(&gradient, &(closed.gradient)());
            assert!(
                error < 1e-7,
                "{adjoint}: {gradient:?} {:?} {error:e}\n{}",
                (closed.gradient)(),
                closed.text
            );
        }
    }
}

/// A learned end in free space, against differences of whole runs: `h² f'''/6` and the tolerance
/// over `h`.
#[test]
fn times_that_depend_on_params_have_the_gradients_of_differences() {
    for closed in MOVING {
        let run = run(closed.text, &[("solve.rtol", "1e-12"), ("solve.atol", "1e-12")]);
        let gradient = flat(&run.gradient().unwrap());
        for (number, param) in run.params().iter().enumerate() {
            let value = |h: f64| {
                let mut moved = run.clone();
                assert!(moved.set_param(&param.path, &[param.values[0] + h]));
                moved.solve().unwrap().objective()
            };
            let difference = (value(1e-4) - value(-1e-4)) / 2e-4;
            let error = (difference - gradient[number]).abs() / difference.abs().max(1.0);
            assert!(error < 1e-7, "{}: {difference} {} {error:e}", param.path, gradient[number]);
        }
    }
}

/// Stiff enough to reject steps, with channels and times at, between and beside the steps.
const WINDING: &str = "
    param mu in positive = 3.0, x0 = 2.0, w: [3] = [0.3, -0.2, 0.1]
    time t in 0..6
    state x = x0, x' = 0.0
    x'' = mu*(1 - x^2)*x' - x + w[0]*sin(t)
    channel work' = x'^2 + w[1]*x
    loss ends = x(end) + w[2]*work(end)
    loss middle = x(3.3)*x'(3.3) + work(1.25)
";

/// What is computed again has the same bits, so the gradient has too.
#[test]
fn checkpoints_give_the_bits_of_the_discrete_gradient() {
    for method in ["tsit5", "bosh3", "rkf45", "rk4"] {
        let with = |adjoint| {
            run(WINDING, &[("solve.method", method), ("solve.dt", "0.05"), ("solve.adjoint", adjoint)])
        };
        let full = with("discrete").gradient().unwrap();
        assert_eq!(full.cost.recomputed, 0);
        for adjoint in ["checkpoint(1)", "checkpoint(2)", "checkpoint(5)", "checkpoint(40)"] {
            let gradient = with(adjoint).gradient().unwrap();
            assert_eq!(gradient.by, full.by, "{method} {adjoint}");
            assert!(gradient.cost.recomputed > 0, "{method} {adjoint}");
        }
        // Room for all.
        let gradient = with("checkpoint(100000)").gradient().unwrap();
        assert_eq!((gradient.by, gradient.cost.recomputed), (full.by, 0), "{method}");
    }
}

/// `c` states are kept at each level, of which there are `log_c(N)`, and each takes at most `N`
/// steps again.
#[test]
fn checkpoints_bound_the_states_that_are_kept() {
    let text = "
        param k = 0.5
        time t in 0..10
        state x = 1.0
        x' = -k*x
        loss value = x(end) + x(3.14159)
    ";
    for (count, levels) in [(2, 12), (4, 6), (10, 4), (64, 2)] {
        let run = run(
            text,
            &[
                ("solve.method", "rk4"),
                ("solve.dt", "0.0025"),
                ("solve.adjoint", &format!("checkpoint({count})")),
            ],
        );
        let Cost { most_states, recomputed, .. } = run.gradient().unwrap().cost;
        assert!(most_states <= count * levels, "{count}: {most_states}");
        assert!(recomputed <= 4000 * levels as u64, "{count}: {recomputed}");
        // The forward pass keeps no more than so many either.
        let data = Data::default();
        let parts = nodec::plan::controls::Controls {
            options: vec![nodec::solve::Options::fixed(0.0025)],
            seed: 0,
            save: nodec::plan::controls::Save::Nothing,
            adjoints: vec![nodec::plan::controls::Adjoint::Checkpoint(count)],
        };
        let objective = Objective::new(run.plan(), &data, &parts, Target::Total);
        let at = objective.at_params(vec![0.5]).unwrap();
        let trace = &at.simulation.of(0).trace;
        assert_eq!(trace.n_steps(), 4000);
        assert!(trace.y.len() <= count && trace.k1.len() <= count);
    }
}

/// At tolerances of 1e-9 both gradients are right to some hundred of them; `mu` multiplies errors.
#[test]
fn backsolve_agrees_with_the_discrete_gradient() {
    let with =
        |adjoint| run(WINDING, &[("solve.rtol", "1e-9"), ("solve.atol", "1e-9"), ("solve.adjoint", adjoint)]);
    let discrete = with("discrete").gradient().unwrap();
    assert_eq!(discrete.cost.evaluations, 0);
    for adjoint in ["backsolve()", "backsolve(norm = seminorm)", "backsolve(rtol = 1e-10, atol = 1e-10)"] {
        let gradient = with(adjoint).gradient().unwrap();
        let error = gap(&flat(&gradient), &flat(&discrete));
        assert!(error < 1e-6, "{adjoint}: {:?} {:?} {error:e}", flat(&gradient), flat(&discrete));
        assert!(gradient.cost.evaluations > 0);
    }
}

/// The tolerances of the way back are its own.
#[test]
fn backward_tolerances_are_their_own() {
    let with = |adjoint| {
        let settings = [("solve.rtol", "1e-9"), ("solve.atol", "1e-9"), ("solve.adjoint", adjoint)];
        run(WINDING, &settings).gradient().unwrap()
    };
    let (loose, tight) = (with("backsolve(rtol = 1e-4, atol = 1e-4)"), with("backsolve()"));
    assert_eq!(loose.value, tight.value);
    assert!(loose.cost.evaluations * 2 < tight.cost.evaluations);
}

/// 2 states and 120 params: the integrals, which start at zero, make the default norm take
/// steps that only they need. At least 30 % fewer evaluations, as in Kidger et al., table 1, and the
/// same gradient within the tolerance.
#[test]
fn the_seminorm_saves_evaluations_where_params_outnumber_states() {
    let text = "
        param W: [24, 2] = [[sin(3*i + 5*j) for j in 0..2] for i in 0..24]
        param b: [24] = [cos(2*i) for i in 0..24]
        param V: [2, 24] = [[cos(7*i + 3*j)/4 for j in 0..24] for i in 0..2]
        time t in 0..4
        state z: [2] = [1, -0.5]
        z' = V @ tanh(W @ z + b*sin(t))
        const ts: [4] = [1, 2, 3, 4]
        loss value = sumsq(z(ts))
        solve { rtol = 1e-5, atol = 1e-7 }
    ";
    let discrete = run(text, &[]).gradient().unwrap();
    let default = run(text, &[("solve.adjoint", "backsolve()")]).gradient().unwrap();
    let semi = run(text, &[("solve.adjoint", "backsolve(norm = seminorm)")]).gradient().unwrap();
    for gradient in [&default, &semi] {
        let error = gap(&flat(gradient), &flat(&discrete));
        assert!(error < 1e-3, "{error:e}");
    }
    let (default, semi) = (default.cost.evaluations, semi.cost.evaluations);
    assert!(semi * 10 <= default * 7, "{semi} of {default}");
}

/// Standard errors and Hessian-vector products take every step, whatever the gradient keeps.
#[test]
fn hessians_do_not_depend_on_the_adjoint() {
    let data = Data::default();
    let hessian = |adjoint| {
        let run = run(WINDING, &[]);
        let mut options = nodec::solve::Adaptive::new(1e-6, 1e-6, 2);
        options.max_step = 1.0;
        let controls = nodec::plan::controls::Controls {
            options: vec![nodec::solve::Options::adaptive(options)],
            seed: 0,
            save: nodec::plan::controls::Save::Nothing,
            adjoints: vec![adjoint],
        };
        let objective = Objective::new(run.plan(), &data, &controls, Target::Total);
        let u = [1.0, 2.0, 0.3, -0.2, 0.1];
        objective.hessian(&u, &objective.at(&u).unwrap()).unwrap()
    };
    use nodec::plan::controls::Adjoint;
    assert_eq!(hessian(Adjoint::Discrete), hessian(Adjoint::Checkpoint(4)));
}

/// A strongly damped system grows on the way back: refused with the reason, not answered wrongly.
#[test]
fn a_backward_solve_that_fails_says_so() {
    let text = "
        param k = 400.0
        time t in 0..10
        state x = 1.0
        x' = -k*(x - cos(t))
        loss value = x(end)
        solve { max_steps = 20_000, adjoint = backsolve() }
    ";
    let error = run(text, &[]).gradient().unwrap_err().to_string();
    assert!(error.contains("on the way back for the gradient"), "{error}");
}

/// x' = -k x² from x0: x(t) = x0/(1 + k x0 t), with a value inside a step, a stop, and a channel
/// log(1 + k x0 t)/k.
#[test]
fn every_method_is_gone_back_along_its_path() {
    let text = "
        param k = 0.8, x0 = 1.5
        time t in 0..2
        state x = x0
        x' = -k*x^2
        channel c' = x
        loss value = x(end) + x(1.3) + c(end)
    ";
    let (k, x0) = (0.8_f64, 1.5_f64);
    let by_k = |t: f64| -x0 * x0 * t / (1.0 + k * x0 * t).powi(2);
    let by_x0 = |t: f64| 1.0 / (1.0 + k * x0 * t).powi(2);
    let c_by_k = x0 * 2.0 / (1.0 + k * x0 * 2.0) / k - (1.0 + k * x0 * 2.0).ln() / (k * k);
    let wanted = [by_k(2.0) + by_k(1.3) + c_by_k, by_x0(2.0) + by_x0(1.3) + 2.0 / (1.0 + k * x0 * 2.0)];
    for method in nodec::solve::Method::all().map(|method| method.name) {
        // Fixed steps of 0.005: the error of order 2 is some h², that of order 1 h. The path of some
        // methods of higher order is a cubic.
        let (step, bound) = match method {
            "euler" => ("0.0005", 1e-3),
            "midpoint" | "heun" | "ralston" | "trapezoid" | "implicit_midpoint" => ("0.005", 1e-4),
            "leapfrog" | "symplectic_euler" | "yoshida4" | "yoshida6" | "yoshida8" | "kahan_li8" => continue,
            "euler_maruyama" | "milstein" | "heun_stratonovich" | "sra1" => continue,
            "reversible_heun" | "asynchronous_leapfrog" => ("0.005", 1e-4),
            "heun_euler" | "fehlberg2" => ("0.005", 1e-4),
            "tr_bdf2" | "bosh3" | "owren_zennaro3" | "kvaerno3" => ("0.005", 1e-6),
            "cash_karp" | "rkf45" | "kvaerno4" | "kencarp4" | "kvaerno5" => ("", 1e-5),
            _ => ("0.005", 1e-7),
        };
        let adaptive = nodec::solve::Method::by_name(method).is_some_and(|method| method.adaptive);
        let tolerance = if bound <= 1e-5 { "1e-9" } else { "1e-7" };
        let mut settings = vec![("solve.method", method), ("solve.adjoint", "interpolating()")];
        match adaptive {
            true => settings.extend([("solve.rtol", tolerance), ("solve.atol", tolerance)]),
            false => settings.push(("solve.dt", step)),
        }
        let gradient = run(text, &settings).gradient().unwrap();
        let error = gap(&flat(&gradient), &wanted);
        assert!(error < bound, "{method}: {:?} {wanted:?} {error:e}", flat(&gradient));
        assert!(gradient.cost.evaluations > 0 && gradient.cost.most_states > 0);
    }
}

/// A system of the mechanics by its energy, whose steps are fixed; q = q0 cos(w t).
#[test]
fn symplectic_methods_are_gone_back_along_their_path() {
    let text = "
        param w = 1.3, q0 = 0.7
        time t in 0..2
        state q = q0, p = 0.0
        q' = p
        p' = -w^2*q
        loss value = q(end)
        solve { dt = 0.01, adjoint = interpolating() }
    ";
    let (w, q0, t) = (1.3_f64, 0.7_f64, 2.0_f64);
    let wanted = [-q0 * t * (w * t).sin(), (w * t).cos()];
    for (method, bound) in [("leapfrog", 1e-4), ("yoshida4", 1e-7), ("kahan_li8", 1e-7)] {
        let gradient = run(text, &[("solve.method", method)]).gradient().unwrap();
        let error = gap(&flat(&gradient), &wanted);
        assert!(error < bound, "{method}: {error:e}");
    }
}

/// Where a loss reads channels alone the cotangents of the states are zero, and one step back covers
/// the run; the integrals still see what the forward pass saw: d/dp ∫ p sin(50 t) and d/dm of
/// ∫ m x cos(20 t) with x = e^(-t).
#[test]
fn integrals_are_taken_over_the_steps_of_the_forward_pass() {
    let text = "
        param p = 0.5, m = 2.0
        time t in 0..1
        state x = 1.0
        x' = -x
        channel c' = p*sin(50*t)
        channel d' = m*x*cos(20*t)
        loss value = c(end) + d(end)
        solve { rtol = 1e-9, atol = 1e-9, error_norm = all, adjoint = interpolating() }
    ";
    let gradient = flat(&run(text, &[]).gradient().unwrap());
    let (a, b) = (1.0_f64, 20.0_f64);
    let by_m = (a + (-a).exp() * (b * b.sin() - a * b.cos())) / (a * a + b * b);
    let wanted = [(1.0 - 50.0_f64.cos()) / 50.0, by_m];
    let error = gap(&gradient, &wanted);
    assert!(error < 1e-8, "{gradient:?} {wanted:?} {error:e}");
}

/// Stiff: x' = -r (x - c cos(w t)), with the sensitivities of radau5 as reference. To a hundred
/// tolerances of the largest derivative, since small ones are differences of large cotangents.
#[test]
fn stiff_systems_are_gone_back_through_along_their_path() {
    let text = "
        param w = 2.0, c = 1.5, r = 1000.0
        time t in 0..1
        state x = c
        x' = -r*(x - c*cos(w*t))
        channel area' = x
        loss last = x(end) + area(end) + x(0.3)^2
        solve { rtol = 1e-9, atol = 1e-10 }
    ";
    let forward = run(text, &[("solve.method", "radau5"), ("solve.adjoint", "forward")]).gradient().unwrap();
    for method in ["radau5", "rodas5p", "bdf", "kvaerno5", "auto"] {
        let back = run(text, &[("solve.method", method), ("solve.adjoint", "interpolating()")]);
        let error = gap(&flat(&back.gradient().unwrap()), &flat(&forward));
        assert!(error < 1e-7, "{method}: {error:e}");
    }
}

/// Tolerances of the way back, and both back ends to the same bits.
#[test]
fn the_way_back_along_the_path_has_its_own_tolerances() {
    let with = |adjoint, backend| {
        let settings = [
            ("solve.rtol", "1e-9"),
            ("solve.atol", "1e-9"),
            ("solve.adjoint", adjoint),
            ("run.backend", backend),
        ];
        run(WINDING, &settings).gradient().unwrap()
    };
    let loose = with("interpolating(rtol = 1e-4, atol = 1e-4)", "cranelift");
    let tight = with("interpolating()", "cranelift");
    let error = gap(&flat(&tight), &flat(&with("discrete", "cranelift")));
    assert!(error < 1e-6, "{error:e}");
    assert!(loose.cost.evaluations * 2 < tight.cost.evaluations && loose.value == tight.value);
    assert_eq!(with("interpolating()", "interp").by, tight.by);
}

/// What it does not go through is refused, with what does.
#[test]
fn ways_that_do_not_go_through_a_method_are_refused() {
    let text = "
        param k = 0.8
        time t in 0..2
        state x = 1.0
        algebraic z = 1.0
        x' = -k*z
        0 = z - x^2
        loss value = x(end)
        solve { method = radau5, adjoint = interpolating() }
    ";
    let error = run(text, &[]).gradient().unwrap_err().to_string();
    assert!(
        error.contains("E0290") && error.contains("`solve.adjoint = discrete` and `forward` do"),
        "{error}"
    );
    let text = text.replace("algebraic z = 1.0", "").replace("0 = z - x^2", "").replace("*z", "*x");
    let error = run(&text, &[("solve.adjoint", "backsolve()")]).gradient().unwrap_err().to_string();
    assert!(error.contains("E0290") && error.contains("interpolating()"), "{error}");
}

/// The bead of a stiff fit, trained along its path: k = 37 made the data, by scipy's `expm`.
#[test]
fn a_stiff_model_is_fitted_along_its_path() {
    let text = "
        param k = 20.0
        time t in 0..2
        state x = 1.0, y = 0.0
        x' = -k*x + 1000*y
        y' = k*x - 1000*y - y
        const ts: [4] = [0.1, 0.5, 1, 2]
        const seen: [4] = [0.9609548244904895, 0.9473501017833328, 0.9306147342997189, 0.8980256902355666]
        loss fit = 1e4*sumsq(x(ts) - seen)
        solve { method = bdf, adjoint = interpolating(), rtol = 1e-9, atol = 1e-11 }
        train { optimizer = lbfgs(), steps = 60 }
    ";
    let mut run = run(text, &[]);
    run.fit(|_| std::ops::ControlFlow::Continue(())).unwrap();
    let k = run.params()[0].values[0];
    assert!((k - 37.0).abs() < 1e-4, "{k}");
}
