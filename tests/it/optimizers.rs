//! Every optimiser on functions whose minimum is known in closed form.

use nodec::settings::{Moments, OptimizerChoice};
use nodec::train::{FirstOrder, Lbfgs, Limits, Minimum, Optimizer, Rule, Why};
use std::ops::ControlFlow;

fn minimise(
    method: &dyn Optimizer,
    f: &mut dyn FnMut(&[f64], &mut [f64]) -> f64,
    x0: &[f64],
    limits: &Limits,
) -> Minimum {
    method.minimise(f, x0, limits, &mut |_| ControlFlow::Continue(()))
}

/// `Σ 100(x_{2i+1} − x_{2i}²)² + (1 − x_{2i})²`; minimum 0 at (1, …, 1). Moré, Garbow and
/// Hillstrom, ACM TOMS 7 (1981), problem 21.
fn rosenbrock(x: &[f64], g: &mut [f64]) -> f64 {
    let mut value = 0.0;
    for i in (0..x.len()).step_by(2) {
        let (a, b) = (x[i + 1] - x[i] * x[i], 1.0 - x[i]);
        value += 100.0 * a * a + b * b;
        g[i] = -400.0 * x[i] * a - 2.0 * b;
        g[i + 1] = 200.0 * a;
    }
    value
}

/// `½ Σ kᵢ (xᵢ − i)²` with curvatures `kᵢ` from 1 to 10⁴; minimum 0 at (0, 1, 2, …).
fn bowl(x: &[f64], g: &mut [f64]) -> f64 {
    let mut value = 0.0;
    for i in 0..x.len() {
        let k = 10_f64.powf(4.0 * i as f64 / (x.len() - 1) as f64);
        let d = x[i] - i as f64;
        value += 0.5 * k * d * d;
        g[i] = k * d;
    }
    value
}

/// `x − ln x`, which has no meaning for `x ≤ 0`; minimum 1 at 1.
fn half_line(x: &[f64], g: &mut [f64]) -> f64 {
    g[0] = 1.0 - 1.0 / x[0];
    x[0] - x[0].ln()
}

#[test]
fn lbfgs_finds_the_end_of_the_valley() {
    for n in [2, 20] {
        let x0: Vec<f64> = (0..n).map(|i| if i % 2 == 0 { -1.2 } else { 1.0 }).collect();
        let found = minimise(&Lbfgs::default(), &mut rosenbrock, &x0, &Limits::default());
        assert!(found.why.converged(), "{found:?}");
        // The gradient is at most 1e-8 and the smallest curvature there is about 0.4.
        assert!(found.x.iter().all(|x| (x - 1.0).abs() < 1e-7), "{found:?}");
        assert!(found.evaluations < 80, "{} evaluations", found.evaluations);
    }
}

#[test]
fn lbfgs_solves_a_quadratic_of_condition_ten_thousand() {
    let found = minimise(&Lbfgs::default(), &mut bowl, &[5.0; 8], &Limits::default());
    assert!(found.why.converged(), "{found:?}");
    // gtol over the least curvature, 1.
    assert!(found.x.iter().enumerate().all(|(i, x)| (x - i as f64).abs() < 1e-6), "{found:?}");
}

#[test]
fn lbfgs_survives_trials_without_meaning() {
    // 1000x − ln x, with minimum at 1/1000: the first trial moves from ½ by 1 to the left, where
    // the logarithm has no meaning.
    let mut nan_seen = false;
    let mut f = |x: &[f64], g: &mut [f64]| {
        g[0] = 1000.0 - 1.0 / x[0];
        let value = 1000.0 * x[0] - x[0].ln();
        nan_seen |= value.is_nan();
        value
    };
    let found = minimise(&Lbfgs::default(), &mut f, &[0.5], &Limits::default());
    // The curvature there is 10⁶ and the decrease in sight at most 8e-13: √(2 · 8e-13 / 10⁶).
    assert!(found.why.converged() && (found.x[0] - 1e-3).abs() < 2e-9, "{found:?}");
    assert!(nan_seen);
    for x0 in [1e-3, 50.0] {
        let found = minimise(&Lbfgs::default(), &mut half_line, &[x0], &Limits::default());
        // The decrease in sight is at most 1e-13 and the curvature 1.
        assert!(found.why.converged() && (found.x[0] - 1.0).abs() < 1e-6, "{found:?}");
    }
}

#[test]
fn a_start_without_meaning_is_said_to_be_one() {
    for method in [&Lbfgs::default() as &dyn Optimizer, &adam(1e-3, 1e-8), &sgd(1e-2)] {
        let found = minimise(method, &mut half_line, &[-1.0], &Limits::default());
        assert_eq!((found.why, found.steps), (Why::NotFinite, 0));
    }
}

#[test]
fn a_wrong_gradient_stalls_rather_than_pretends() {
    let mut f = |x: &[f64], g: &mut [f64]| {
        g[0] = -2.0 * x[0];
        x[0] * x[0]
    };
    let found = minimise(&Lbfgs::default(), &mut f, &[3.0], &Limits::default());
    assert_eq!((found.why, found.x[0]), (Why::Stalled, 3.0));
}

#[test]
fn noise_at_the_level_of_rounding_does_not_stall() {
    // The quadratic on top of 1000, perturbed in the thirteenth digit by a hash of x, as an
    // integration with adaptive steps is.
    let mut f = |x: &[f64], g: &mut [f64]| {
        let value = bowl(x, g);
        let hash = x.iter().fold(0_u64, |h, x| (h ^ x.to_bits()).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        1000.0 + value + 1e-10 * (hash >> 11) as f64 / (1_u64 << 53) as f64
    };
    let found = minimise(&Lbfgs::default(), &mut f, &[5.0; 4], &Limits::default());
    assert!(found.why.converged(), "{found:?}");
    assert!(found.x.iter().enumerate().all(|(i, x)| (x - i as f64).abs() < 1e-4), "{found:?}");
}

#[test]
fn adam_takes_the_steps_of_its_paper() {
    // Bias correction makes the first step lr in the direction of −sign(g), whatever the scale.
    let limits = Limits { steps: 1, ..Limits::default() };
    let found = minimise(&adam(0.1, 0.0), &mut bowl, &[5.0, 5.0], &limits);
    // At 4.9 the first coordinate, minimum 0, and the second, minimum 1.
    assert!(found.x.iter().all(|x| (x - 4.9).abs() < 1e-12), "{found:?}");
    let limits = Limits { steps: 4000, gtol: 1e-6, ..Limits::default() };
    let found = minimise(&adam(0.05, 1e-8), &mut rosenbrock, &[-1.2, 1.0], &limits);
    assert!(found.x.iter().all(|x| (x - 1.0).abs() < 1e-3), "{found:?}");
}

#[test]
fn gradient_descent_contracts_as_theory_says() {
    // On ½x² each step multiplies by 1 − lr; fifty steps at 0.1 give 0.9⁵⁰.
    let mut f = |x: &[f64], g: &mut [f64]| {
        g[0] = x[0];
        0.5 * x[0] * x[0]
    };
    let limits = Limits { steps: 50, ..Limits::default() };
    let found = minimise(&sgd(0.1), &mut f, &[1.0], &limits);
    assert!((found.x[0] - 0.9_f64.powi(50)).abs() < 1e-15);
    assert_eq!(found.why, Why::StepLimit);
}

#[test]
fn the_callback_can_stop_and_equal_runs_give_equal_bits() {
    let run = || {
        let mut values = Vec::new();
        let found =
            Lbfgs::default().minimise(&mut rosenbrock, &[-1.2, 1.0], &Limits::default(), &mut |progress| {
                values.push(progress.value);
                if progress.step == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
        (found, values)
    };
    let (found, values) = run();
    assert_eq!((found.why, found.steps, values.len()), (Why::Stopped, 5, 5));
    assert!(values.windows(2).all(|pair| pair[1] <= pair[0]), "every step lowers the objective: {values:?}");
    assert_eq!((found, values), run());
}

fn adam(lr: f64, eps: f64) -> FirstOrder {
    let moments = Moments { lr, beta1: 0.9, beta2: 0.999, eps, weight_decay: 0.0 };
    FirstOrder::new(OptimizerChoice::Adam(moments))
}

fn sgd(lr: f64) -> FirstOrder {
    FirstOrder::new(OptimizerChoice::Sgd { lr, momentum: 0.0, nesterov: false, weight_decay: 0.0 })
}

#[test]
fn every_rule_takes_the_steps_of_its_formula() {
    // Five steps from (1, -2) on x²/2 + xy/2 + 3y²/2, in 40 digits with mpmath from the formulas in
    // the documentation of `train::rule`. The bound is a few roundings a step.
    let moments = |weight_decay| Moments { lr: 0.1, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay };
    let sgd =
        |momentum, nesterov, weight_decay| OptimizerChoice::Sgd { lr: 0.1, momentum, nesterov, weight_decay };
    let cases = [
        (sgd(0.0, false, 0.0), [0.81793625, -0.4653865625]),
        (sgd(0.9, false, 0.0), [0.39941375, 1.2876559375]),
        (sgd(0.9, true, 0.01), [0.083666691919153649, 0.55669449769929892]),
        (OptimizerChoice::Adam(moments(0.0)), [0.75062449292020788, -1.5029547264388907]),
        (OptimizerChoice::Adam(moments(0.5)), [0.52730387888891627, -1.502675717193183]),
        (OptimizerChoice::AdamW(moments(0.5)), [0.55361301350154111, -1.1021814695877626]),
        (OptimizerChoice::Adamax(moments(0.5)), [0.59727611983757146, -1.5239823767975975]),
    ];
    for (choice, expected) in cases {
        let mut rule = Rule::new(choice, 2);
        let mut x = [1.0, -2.0];
        for _ in 0..5 {
            let gradient = [x[0] + 0.5 * x[1], 0.5 * x[0] + 3.0 * x[1]];
            rule.update(1.0, &mut x, &gradient);
        }
        assert!(x.iter().zip(expected).all(|(x, e)| (x - e).abs() < 2e-14), "{choice:?}: {x:?}");
    }
}

#[test]
fn a_long_gradient_is_shortened_and_a_short_one_kept() {
    let mut long = [3.0, -4.0];
    assert_eq!(nodec::train::rule::clip(&mut long, Some(2.5)), 5.0);
    assert_eq!(long, [1.5, -2.0]);
    let mut short = [0.3, 0.4];
    nodec::train::rule::clip(&mut short, Some(2.5));
    assert_eq!(short, [0.3, 0.4]);
}
