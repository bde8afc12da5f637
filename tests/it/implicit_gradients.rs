//! Gradients back through the steps of implicit methods: against stability functions, differences,
//! closed forms and sensitivities.

use crate::adjoints::MOVING;
use nodec::plan::controls::{Adjoint, Controls, Save};
use nodec::plan::objective::Objective;
use nodec::plan::pack::Target;
use nodec::plan::unit::Data;
use nodec::solve::{Dirk, Options};
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

/// Value and gradient with fixed steps, at params `p`.
fn fixed(run: &Run, dt: f64, adjoint: Adjoint, p: &[f64]) -> (f64, Vec<f64>) {
    let data = Data::default();
    let controls =
        Controls { options: vec![Options::fixed(dt)], seed: 0, save: Save::Nothing, adjoints: vec![adjoint] };
    let objective = Objective::new(run.plan(), &data, &controls, Target::Total);
    let at = objective.at_params(p.to_vec()).unwrap();
    (at.value, objective.gradient_in_params(&at).unwrap().0)
}

const METHODS: [&str; 11] = [
    "trapezoid",
    "tr_bdf2",
    "kvaerno3",
    "kvaerno4",
    "kencarp4",
    "kvaerno5",
    "implicit_midpoint",
    "gauss4",
    "gauss6",
    "radau5",
    "rodas5p",
];

/// The stability function `P/Q` of a method and its derivative, from the coefficients of both.
fn rational(p: &[f64], q: &[f64], z: f64) -> (f64, f64) {
    let value = |c: &[f64]| c.iter().rev().fold(0.0, |sum, c| sum * z + c);
    let slope =
        |c: &[f64]| c.iter().enumerate().skip(1).rev().fold(0.0, |sum, (k, c)| sum * z + k as f64 * c);
    let (p, dp, q, dq) = (value(p), slope(p), value(q), slope(q));
    (p / q, (dp * q - p * dq) / (q * q))
}

/// `R(z) = 1 + z bᵀ(I - zA)⁻¹1` of a table, whose stages follow one another, with its derivative.
fn of_table(dirk: &Dirk, z: f64) -> (f64, f64) {
    let (mut y, mut dy) = (vec![1.0], vec![0.0]);
    for i in 1..dirk.n_stages() {
        let sum = |v: &[f64]| dirk.a[i].iter().zip(v).map(|(a, v)| a * v).sum::<f64>();
        // y_i (1 - zγ) = 1 + z Σ a_ij y_j
        let (right, slope) = (1.0 + z * sum(&y), sum(&y) + z * sum(&dy));
        let left = 1.0 - z * dirk.gamma;
        y.push(right / left);
        dy.push((slope + dirk.gamma * right / left) / left);
    }
    (y[dirk.n_stages() - 1], dy[dirk.n_stages() - 1])
}

/// x' = -k x over N steps is R(-kh)^N. Stability functions: Hairer, Wanner, Solving ODEs II, IV (3.29)
/// and table 3.1; the gradient is their derivative to rounding.
#[test]
fn the_gradient_is_the_derivative_of_the_steps_taken() {
    let text = "
        param k = 3.0
        time t in 0..2
        state x = 1.0
        x' = -k*x
        loss value = x(end)
    ";
    let (k, h, n) = (3.0_f64, 0.25_f64, 8);
    let z = -k * h;
    for method in METHODS {
        let (r, slope) = match method {
            "implicit_midpoint" => rational(&[1.0, 0.5], &[1.0, -0.5], z),
            "gauss4" => rational(&[1.0, 0.5, 1.0 / 12.0], &[1.0, -0.5, 1.0 / 12.0], z),
            "gauss6" => {
                let c = [1.0, 0.5, 0.1, 1.0 / 120.0];
                rational(&c, &[c[0], -c[1], c[2], -c[3]], z)
            }
            "radau5" => rational(&[1.0, 0.4, 0.05], &[1.0, -0.6, 0.15, -1.0 / 60.0], z),
            "rodas5p" => continue,
            name => of_table(Dirk::by_name(name).unwrap(), z),
        };
        let run = run(text, &[("solve.method", method), ("solve.dt", "0.25")]);
        let (value, gradient) = fixed(&run, h, Adjoint::Discrete, &[k]);
        let wanted = -h * f64::from(n) * r.powi(n - 1) * slope;
        assert!((value - r.powi(n)).abs() < 1e-8, "{method}: {value} {}", r.powi(n));
        assert!((gradient[0] / wanted - 1.0).abs() < 1e-13, "{method}: {gradient:?} {wanted}");
        let (_, again) = fixed(&run, h, Adjoint::Checkpoint(2), &[k]);
        assert!((again[0] / wanted - 1.0).abs() < 1e-13, "{method}: {again:?} {wanted}");
    }
}

/// Stiff enough for the stages to matter, with channels, values inside steps, and a start that is
/// learned.
const WINDING: &str = "
    param mu in positive = 3.0, x0 = 2.0, w: [3] = [0.3, -0.2, 0.1]
    time t in 0..3
    state x = x0, x' = w[2]
    x'' = mu*(1 - x^2)*x' - x + w[0]*sin(t)
    channel work' = x'^2 + w[1]*x
    loss ends = x(end) + w[2]*work(end)
    loss middle = x(1.33)*x'(1.33) + work(1.25) + x(start)
";

/// Fixed steps make the loss a smooth function of the params, so that differences converge: of order
/// 4, to the rounding and what Newton's method leaves over their distance.
#[test]
fn every_method_has_the_gradient_of_differences() {
    let p = [3.0, 2.0, 0.3, -0.2, 0.1];
    for method in METHODS {
        let run = run(WINDING, &[("solve.method", method), ("solve.dt", "0.05")]);
        let (_, gradient) = fixed(&run, 0.05, Adjoint::Discrete, &p);
        let (_, checkpointed) = fixed(&run, 0.05, Adjoint::Checkpoint(3), &p);
        let mut differences = vec![];
        for at in 0..p.len() {
            let value = |h: f64| {
                let mut p = p;
                p[at] += h;
                fixed_value(&run, 0.05, &p)
            };
            let central = |h: f64| (value(h) - value(-h)) / (2.0 * h);
            differences.push((4.0 * central(1e-3) - central(2e-3)) / 3.0);
        }
        let (error, other) = (gap(&gradient, &differences), gap(&checkpointed, &gradient));
        let newton = if method == "rodas5p" { 0.0 } else { 1e-7 };
        assert!(error < 1e-8 + newton, "{method}: {gradient:?} {differences:?} {error:e}");
        assert!(other < 1e-12 + newton, "{method}: {other:e}");
    }
}

fn fixed_value(run: &Run, dt: f64, p: &[f64]) -> f64 {
    let data = Data::default();
    let controls = Controls {
        options: vec![Options::fixed(dt)],
        seed: 0,
        save: Save::Nothing,
        adjoints: vec![Adjoint::Discrete],
    };
    let objective = Objective::new(run.plan(), &data, &controls, Target::Total);
    objective.at_params(p.to_vec()).unwrap().value
}

/// ∂(a, b, c)(40)/∂(k1, k2, k3) of Robertson's reaction, by scipy 1.16 `solve_ivp(Radau)` on the states
/// with their sensitivities at rtol 1e-12; the same as in the output of cvsRoberts_FSA_dns of SUNDIALS.
#[test]
fn stiff_methods_give_the_gradients_of_the_robertson_reaction() {
    let text = "
        param k1 = 0.04, k2 = 3e7, k3 = 1e4
        time t in 0..40
        state a = 1.0, b = 0.0, c = 0.0
        a' = -k1*a + k3*b*c
        b' = k1*a - k2*b^2 - k3*b*c
        c' = k2*b^2
        output a_end = a(end), b_end = b(end), c_end = c(end)
        solve { rtol = 1e-9, atol = 1e-13 }
    ";
    let wanted = [
        ("a_end", [-4.24755877, -2.28835509e-9, 1.37308080e-5]),
        ("b_end", [4.59119625e-5, -1.13805951e-13, -2.35719211e-10]),
        ("c_end", [4.24751286, 2.28846889e-9, -1.37305723e-5]),
    ];
    for (method, adjoint) in [
        ("radau5", "discrete"),
        ("rodas5p", "discrete"),
        ("kvaerno5", "discrete"),
        ("radau5", "checkpoint(5)"),
    ] {
        let run = run(text, &[("solve.method", method), ("solve.adjoint", adjoint)]);
        for (name, wanted) in wanted {
            let found = flat(&run.grad(name).unwrap().unwrap());
            for (found, wanted) in found.iter().zip(wanted) {
                assert!(
                    (found / wanted - 1.0).abs() < 1e-5,
                    "{method} {adjoint} {name}: {found:e} {wanted:e}"
                );
            }
        }
    }
}

/// The relaxation oscillator whose solution jumps: cold starts of Newton's method must find the stages
/// of long steps and of jumps. Against sensitivities held to the same tolerances, with methods whose own
/// error does not count: tr_bdf2, of order 2, is 3e-3 off here, since its error depends on where in a jump
/// its steps lie.
#[test]
fn relaxation_oscillations_are_gone_back_through() {
    let text = "
        param mu = 100.0, x0 = 2.0
        time t in 0..200
        state x = x0, v = -0.66
        x' = v
        v' = mu*(1 - x^2)*v - x
        loss value = x(150)^2
        solve { rtol = 1e-8, atol = 1e-8 }
    ";
    for method in ["radau5", "rodas5p", "kvaerno4"] {
        let with = |adjoint| {
            flat(&run(text, &[("solve.method", method), ("solve.adjoint", adjoint)]).gradient().unwrap())
        };
        let (back, forward) = (with("discrete"), with("forward"));
        let error = (back[0] / forward[0] - 1.0).abs();
        assert!(error < 1e-4, "{method}: {back:?} {forward:?} {error:e}");
        // What Newton's method left in the forward pass moves the time of a jump, in which everything
        // changes ten thousand times as fast.
        let error = gap(&with("checkpoint(4)"), &back);
        assert!(error < 1e-4, "{method}: {error:e}");
    }
}

/// x' = -k z with 0 = z - x², so x = 1/(1 + k t), from a start that the constraint corrects; with a
/// value inside a step, which a cubic has not; and lines that are not solved for their primes.
#[test]
fn constraints_are_gone_back_through() {
    let inside = "
        param k = 0.8, z0 = 0.5, x0 = 1.0
        time t in 0..2
        state x = x0
        algebraic z = z0
        x' = -k*z
        0 = z - x^2
        channel area' = z
        loss value = x(end) + z(end) + x(0.7) + z(start) + area(end)
    ";
    let ends = "
        param k = 0.8
        time t in 0..2
        state x = 1.0, y = 1.0
        x' + y' = -2*k*x^2
        x' - 3*y' = 2*k*x^2
        loss value = x(end) + y(end)^2
    ";
    let (k, t) = (0.8_f64, 2.0_f64);
    let x = |t: f64| 1.0 / (1.0 + k * t);
    // x = x0/(1 + k x0 t); the channel is (x0 - x)/k.
    let by_k = |t: f64| -t * x(t) * x(t);
    let by_x0 = |t: f64| x(t) * x(t);
    let area = (by_x0(t) - 1.0) / -k;
    let inside_by = [
        by_k(t) * (1.0 + 2.0 * x(t)) + by_k(0.7) - by_k(t) / k - (1.0 - x(t)) / (k * k),
        0.0,
        by_x0(t) * (1.0 + 2.0 * x(t)) + by_x0(0.7) + 2.0 + area,
    ];
    let ends_by = [by_k(t) * (1.0 + 2.0 * x(t))];
    for (text, wanted, methods) in [
        (inside, &inside_by[..], &["radau5", "rodas5p"][..]),
        (ends, &ends_by[..], &["radau5", "rodas5p", "kvaerno5", "tr_bdf2"][..]),
    ] {
        for method in methods {
            for adjoint in ["discrete", "checkpoint(3)"] {
                let settings = [
                    ("solve.method", *method),
                    ("solve.rtol", "1e-9"),
                    ("solve.atol", "1e-9"),
                    ("solve.adjoint", adjoint),
                ];
                let gradient = flat(&run(text, &settings).gradient().unwrap());
                let error = gap(&gradient, wanted);
                let bound = if *method == "tr_bdf2" { 1e-5 } else { 1e-6 };
                assert!(error < bound, "{method} {adjoint}: {gradient:?} {wanted:?} {error:e}\n{text}");
            }
        }
    }
}

/// Learned ends, starts and times of values; see [`MOVING`].
#[test]
fn times_that_depend_on_params_have_the_gradients_of_the_closed_form() {
    for closed in MOVING {
        for method in ["radau5", "rodas5p", "kvaerno5"] {
            for adjoint in ["discrete", "checkpoint(3)"] {
                let settings = [
                    ("solve.method", method),
                    ("solve.rtol", "1e-10"),
                    ("solve.atol", "1e-10"),
                    ("solve.adjoint", adjoint),
                ];
                let gradient = flat(&run(closed.text, &settings).gradient().unwrap());
                let error = gap(&gradient, &(closed.gradient)());
                // The cubic inside the steps of kvaerno5 is of order 3, its slope of order 2.
                let bound = if method == "kvaerno5" { 1e-4 } else { 1e-7 };
                assert!(error < bound, "{method} {adjoint}: {gradient:?} {error:e}\n{}", closed.text);
            }
        }
    }
}

/// A ball that bounces once: it falls from h for τ = √(2h/g), and stands at
/// x(T) = e g τ s - g s²/2 with s = T - τ.
#[test]
fn events_are_gone_back_through() {
    let text = "
        const g = 9.81
        param e in unit = 0.8, h = 10.0
        time t in 0..2
        state x = h, v = 0.0
        x' = v
        v' = -g
        when x < 0 { v := -e*v }
        loss value = x(end)
    ";
    let (g, e, h) = (9.81_f64, 0.8_f64, 10.0_f64);
    let tau = (2.0 * h / g).sqrt();
    let s = 2.0 - tau;
    // dτ/dh = 1/(g τ)
    let by_tau = e * g * s - e * g * tau + g * s;
    let wanted = [g * tau * s, by_tau / (g * tau)];
    for method in ["radau5", "rodas5p", "kvaerno5"] {
        for adjoint in ["discrete", "checkpoint(2)", "interpolating()"] {
            let settings = [
                ("solve.method", method),
                ("solve.rtol", "1e-9"),
                ("solve.atol", "1e-9"),
                ("solve.adjoint", adjoint),
            ];
            let gradient = flat(&run(text, &settings).gradient().unwrap());
            let error = gap(&gradient, &wanted);
            assert!(error < 1e-7, "{method} {adjoint}: {gradient:?} {wanted:?} {error:e}");
        }
    }
}

/// A chain of two solves, both back ends to the same bits, and single precision.
#[test]
fn chains_back_ends_and_precisions_agree() {
    let text = "
        param k = 2.0
        system Decay {
          time t in 0..1
          state y = 1.0
          y' = -k*y
        }
        param d = Decay()
        loss last = d(d()).y
        solve { rtol = 1e-10, atol = 1e-12 }
    ";
    for method in ["radau5", "rodas5p", "kvaerno5"] {
        let with = |backend, precision, tolerance| {
            let settings = [
                ("solve.method", method),
                ("run.backend", backend),
                ("run.precision", precision),
                ("solve.rtol", tolerance),
                ("solve.atol", tolerance),
            ];
            flat(&run(text, &settings).gradient().unwrap())
        };
        let gradient = with("cranelift", "f64", "1e-10");
        let wanted = -2.0 * (-4.0_f64).exp();
        assert!((gradient[0] - wanted).abs() < 1e-8, "{method}: {gradient:?}");
        assert_eq!(with("interp", "f64", "1e-10"), gradient, "{method}");
        let single = with("cranelift", "f32", "1e-4");
        assert!((single[0] - wanted).abs() < 1e-3 * wanted.abs(), "{method}: {single:?}");
    }
}

/// A stiff model with a network in it: 97 numbers, by the way that is taken if none is named.
#[test]
fn a_stiff_model_with_many_params_is_trained() {
    let text = "
        use std.layers (MLP)
        param net = MLP[2, 2](hidden = [24])
        time t in 0..1
        state x = 1.0, y = 0.0
        x' = -500*(x - cos(2*t)) + net([x, y])[0]
        y' = net([x, y])[1]
        const ts: [4] = [0.25, 0.5, 0.75, 1]
        loss fit = sumsq(y(ts) - sin(3*ts))
        solve { method = radau5, rtol = 1e-6, atol = 1e-8 }
        train { optimizer = lbfgs(), steps = 15 }
    ";
    let mut run = run(text, &[]);
    let slopes = run.slopes(None).unwrap().unwrap();
    assert!(slopes.iter().all(|slope| !slope.is_wrong()), "{slopes:?}");
    let before = run.gradient().unwrap();
    assert!(before.cost.most_states > 0 && before.cost.evaluations == 0);
    run.fit(|_| std::ops::ControlFlow::Continue(())).unwrap();
    assert!(run.gradient().unwrap().value < 0.05 * before.value);
}
