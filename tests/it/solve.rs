//! The solve loop: counts, landing, output, control, and the ways a run can end.

use nodec::solve::{
    Accepted, Adaptive, Atol, End, Errors, Invalid, Method, Norm, Observer, Options, Outcome, Quantity,
    RungeKutta, SaveAt, SaveSteps, Stepping, Tableau, solve,
};
use std::ops::ControlFlow;

fn tableau(name: &str) -> &'static Tableau {
    Tableau::by_name(name).expect("a built method")
}

fn adaptive_tableaus() -> impl Iterator<Item = &'static Tableau> {
    Tableau::ALL.into_iter().filter(|tableau| tableau.embedded.is_some())
}

/// Adaptive steps, every component in the error norm.
fn adaptive(tol: f64) -> Options {
    Options::adaptive(Adaptive { errors: Errors::All, ..Adaptive::new(tol, tol, 0) })
}

/// Runs `f` from `y0`.
fn run(
    name: &str,
    span: (f64, f64),
    y0: &[f64],
    options: &Options,
    observer: &mut impl Observer<f64>,
    f: impl FnMut(f64, &[f64], &mut [f64]),
) -> End<f64> {
    let tableau = tableau(name);
    let mut step = RungeKutta::new(tableau, y0.len(), f);
    solve(&mut step, tableau, span, y0, options, observer).expect("a valid request")
}

/// `q'' = -q`.
fn oscillator(_: f64, y: &[f64], dy: &mut [f64]) {
    (dy[0], dy[1]) = (y[1], -y[0]);
}

/// Lotka–Volterra with the parameters of the Hudson Bay fit.
fn lotka_volterra(_: f64, y: &[f64], dy: &mut [f64]) {
    dy[0] = (0.55 - 0.028 * y[1]) * y[0];
    dy[1] = (0.024 * y[0] - 0.80) * y[1];
}

#[test]
fn evaluations_are_what_the_method_costs() {
    for tableau in adaptive_tableaus() {
        let mut calls = 0;
        let end = run(tableau.name, (0.0, 50.0), &[30.0, 4.0], &adaptive(1e-6), &mut (), |t, y, dy| {
            calls += 1;
            lotka_volterra(t, y, dy);
        });
        let stats = end.stats;
        // One at the start, one for the first step size, and the new stages of every attempt; where
        // the last stage is not the next first, one at the start of every later step.
        let later = if tableau.fsal() { 0 } else { stats.accepted - 1 };
        let expected = 2 + (tableau.n_stages() as u64 - 1) * stats.attempts() + later;
        assert_eq!(stats.evaluations, expected, "{}", tableau.name);
        assert_eq!(stats.evaluations, calls);
        // Measured: 120 to 15 for cash_karp; and the long steps of high orders meet more surprises.
        let per_rejection = if tableau.name == "cash_karp" || tableau.order > 5 { 3 } else { 10 };
        assert!(stats.accepted > per_rejection * stats.rejected, "{} {stats:?}", tableau.name);
    }
    let counts = [("euler", 1), ("midpoint", 2), ("heun", 2), ("ralston", 2), ("rk4", 4), ("rk38", 4)];
    for (name, per_step) in counts {
        let end = run(name, (0.0, 1.0), &[1.0, 0.0], &Options::fixed(0.01), &mut (), oscillator);
        assert_eq!((end.stats.accepted, end.stats.evaluations), (100, 100 * per_step), "{name}");
    }
}

#[test]
fn a_given_first_step_saves_its_evaluation() {
    let mut options = adaptive(1e-6);
    if let Stepping::Adaptive(adaptive) = &mut options.stepping {
        adaptive.first_step = Some(0.25);
    }
    let end = run("dopri5", (0.0, 5.0), &[30.0, 4.0], &options, &mut (), lotka_volterra);
    assert_eq!(end.stats.first_step, 0.25);
    assert_eq!(end.stats.evaluations, 1 + 6 * end.stats.attempts());
}

#[test]
fn fixed_steps_land_on_the_end_without_drift() {
    let mut steps = SaveSteps::default();
    let end = run("rk4", (0.0, 1000.0), &[1.0, 0.0], &Options::fixed(0.1), &mut steps, oscillator);
    assert_eq!((end.t, end.stats.accepted), (1000.0, 10_000));
    assert_eq!(steps.ts[5000], 500.0);
    // 1.0 is not a multiple of 0.3: three whole steps and a short one.
    let mut steps = SaveSteps::default();
    let end = run("euler", (0.0, 1.0), &[1.0, 0.0], &Options::fixed(0.3), &mut steps, oscillator);
    assert_eq!((end.t, end.stats.accepted), (1.0, 4));
    assert_eq!(steps.ts, [0.0, 0.3, 0.6, 3.0 * 0.3, 1.0]);
}

#[test]
fn steps_land_on_stops() {
    for options in [adaptive(1e-6), Options::fixed(0.07)] {
        let stops = vec![0.7, 0.2, 9.0, 0.2, -1.0, 1.0 / 3.0];
        let options = Options { stops, ..options };
        let mut steps = SaveSteps::default();
        let end = run("dopri5", (0.0, 1.0), &[1.0, 0.0], &options, &mut steps, oscillator);
        assert_eq!(end.t, 1.0);
        for stop in [0.2, 1.0 / 3.0, 0.7, 1.0] {
            assert!(steps.ts.contains(&stop), "{stop} is not among {:?}", steps.ts);
        }
    }
}

/// Two steps share what is left before a stop, so none is shorter than half of the one planned.
#[test]
fn no_step_before_a_stop_is_tiny() {
    let mut options = Options { stops: vec![0.51, 1.02], ..adaptive(1e-3) };
    if let Stepping::Adaptive(adaptive) = &mut options.stepping {
        (adaptive.first_step, adaptive.max_step) = (Some(0.25), 0.25);
    }
    let mut steps = SaveSteps::default();
    run("tsit5", (0.0, 2.0), &[1.0, 0.0], &options, &mut steps, oscillator);
    let sizes: Vec<f64> = steps.ts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(sizes.iter().all(|h| *h > 0.12), "{sizes:?}");
    assert_eq!(steps.ts.iter().filter(|t| [0.51, 1.02].contains(t)).count(), 2);
}

#[test]
fn backwards_returns_to_the_start() {
    for tableau in adaptive_tableaus() {
        let there = run(tableau.name, (0.0, 10.0), &[30.0, 4.0], &adaptive(1e-9), &mut (), lotka_volterra);
        let back = run(tableau.name, (10.0, 0.0), &there.y, &adaptive(1e-9), &mut (), lotka_volterra);
        assert_eq!((there.t, back.t), (10.0, 0.0));
        // The flow there and back cancels its own amplification, up to 100 tolerances.
        assert!((back.y[0] - 30.0).abs() < 100.0 * 30e-9, "{}: {:?}", tableau.name, back.y);
        assert!((back.y[1] - 4.0).abs() < 100.0 * 30e-9, "{}: {:?}", tableau.name, back.y);
    }
    let there = run("rk4", (0.0, 1.0), &[1.0, 0.0], &Options::fixed(0.01), &mut (), oscillator);
    let back = run("rk4", (1.0, 0.0), &there.y, &Options::fixed(0.01), &mut (), oscillator);
    // One step there and back differs from the identity by O(h^6): 2h⁶/144 for this field.
    assert!((back.y[0] - 1.0).abs() < 1e-11 && back.y[1].abs() < 1e-11);
}

#[test]
fn saved_states_stand_in_the_order_of_their_times() {
    let ts = [2.0, 0.0, 0.5, 0.5, -1.0, 1.3, 3.0];
    for span in [(0.0, 2.0), (2.0, 0.0)] {
        let mut saved = SaveAt::new(&ts, span, 2);
        let y0 = [span.0.cos(), -span.0.sin()];
        let end = run("tsit5", span, &y0, &adaptive(1e-9), &mut saved, oscillator);
        assert_eq!(saved.n_saved(), 5);
        for (t, y) in ts.iter().zip(saved.ys().chunks(2)) {
            if (0.0..=2.0).contains(t) {
                assert!((y[0] - t.cos()).abs() < 1e-7 && (y[1] + t.sin()).abs() < 1e-7, "{t}: {y:?}");
            } else {
                assert!(y[0].is_nan() && y[1].is_nan());
            }
        }
        // Exactly, at the ends.
        let (at_two, at_zero) = (&saved.ys()[..2], &saved.ys()[2..4]);
        let (first, last) = if span.0 == 0.0 { (at_zero, at_two) } else { (at_two, at_zero) };
        assert_eq!((first, last), (&y0[..], &end.y[..]));
    }
}

/// Saving does not change where a run goes, and the same run gives the same bits.
#[test]
fn runs_are_repeatable_to_the_bit() {
    let alone = run("dopri5", (0.0, 50.0), &[30.0, 4.0], &adaptive(1e-6), &mut (), lotka_volterra);
    let mut observers = (SaveAt::new(&[1.0, 2.0], (0.0, 50.0), 2), SaveSteps::default());
    let watched = run("dopri5", (0.0, 50.0), &[30.0, 4.0], &adaptive(1e-6), &mut observers, lotka_volterra);
    assert_eq!(alone, watched);
}

#[test]
fn channels_do_not_steer_the_steps_unless_asked_to() {
    // A channel that oscillates far faster than the state.
    let f = |t: f64, y: &[f64], dy: &mut [f64]| (dy[0], dy[1]) = (-y[0], (100.0 * t).cos());
    let with = |errors: Errors| {
        let options = Options::adaptive(Adaptive { errors, ..Adaptive::new(1e-6, 1e-6, 1) });
        run("dopri5", (0.0, 1.0), &[1.0, 0.0], &options, &mut (), f)
    };
    let alone = run("dopri5", (0.0, 1.0), &[1.0], &adaptive(1e-6), &mut (), |_, y, dy| dy[0] = -y[0]);
    let masked = with(Errors::States(1));
    assert_eq!((masked.stats, masked.y[0]), (alone.stats, alone.y[0]));
    assert_eq!(with(Errors::Mask(vec![true, false])), masked);
    let all = with(Errors::All);
    assert!(all.stats.accepted > 5 * masked.stats.accepted);
    assert_eq!(with(Errors::Mask(vec![true, true])), all);
    // A system of channels only has nothing else to go by.
    assert_eq!(with(Errors::States(0)), all);
}

#[test]
fn tolerances_may_differ_by_component() {
    let with = |atol: Atol, norm: Norm| {
        let control = Adaptive { atol, norm, rtol: 0.0, ..Adaptive::new(0.0, 1e-3, 2) };
        run("tsit5", (0.0, 10.0), &[1.0, 0.0], &Options::adaptive(control), &mut (), oscillator).stats
    };
    let same = with(Atol::PerComponent(vec![1e-6; 2]), Norm::Rms);
    assert_eq!(same, with(Atol::Scalar(1e-6), Norm::Rms));
    let strict = with(Atol::PerComponent(vec![1e-6, 1e-10]), Norm::Rms);
    assert!(strict.accepted > 3 * same.accepted);
    // The largest error is at least their root mean square.
    assert!(with(Atol::Scalar(1e-6), Norm::Max).accepted >= same.accepted);
}

/// `y' = y²` from 1 is `1/(1 - t)`.
#[test]
fn a_blow_up_ends_the_run_near_the_pole_and_names_the_component() {
    for tableau in adaptive_tableaus() {
        let f = |_: f64, y: &[f64], dy: &mut [f64]| (dy[0], dy[1]) = (0.0, y[1] * y[1]);
        let end = run(tableau.name, (0.0, 2.0), &[1.0, 1.0], &adaptive(1e-8), &mut (), f);
        let (t, component) = match end.outcome {
            Outcome::StepTooSmall { t, component, ratio, h } => {
                assert!(ratio > 1.0 && h > 0.0 && h < 1e-13);
                (t, component)
            }
            Outcome::NonFinite { t, component, .. } => (t, component),
            other => panic!("{other:?}"),
        };
        assert!((t - 1.0).abs() < 1e-6 && component == 1 && end.t == t, "{}: {end:?}", tableau.name);
        assert!(!end.outcome.is_success() && end.y[1].is_finite());
    }
}

#[test]
fn numbers_that_are_not_finite_end_the_run_where_all_still_are() {
    // The square root ends at t = 1; steps beyond are tried again shorter.
    let f = |t: f64, _: &[f64], dy: &mut [f64]| (dy[0], dy[1]) = (1.0, (1.0 - t).sqrt());
    let end = run("dopri5", (0.0, 2.0), &[0.0, 0.0], &adaptive(1e-6), &mut (), f);
    let Outcome::NonFinite { t, h, component: 1, quantity } = end.outcome else { panic!("{end:?}") };
    assert!((t - 1.0).abs() < 1e-9 && h > 0.0 && quantity != Quantity::Start);
    assert!(end.stats.non_finite > 0 && end.stats.non_finite <= end.stats.rejected);
    // Fixed steps do not try again.
    let end = run("rk4", (0.0, 2.0), &[0.0, 0.0], &Options::fixed(0.3), &mut (), f);
    let Outcome::NonFinite { t, component: 1, quantity: Quantity::State, .. } = end.outcome else { panic!() };
    assert_eq!(t, 3.0 * 0.3);
    // The rate at the start.
    let end = run("dopri5", (1.5, 2.0), &[0.0, 0.0], &adaptive(1e-6), &mut (), f);
    let expected = Outcome::NonFinite { t: 1.5, h: 0.0, component: 1, quantity: Quantity::Rate };
    assert_eq!(end.outcome, expected);
    // The start itself; nothing is evaluated.
    let end = run("dopri5", (0.0, 2.0), &[0.0, f64::NAN], &adaptive(1e-6), &mut (), f);
    let expected = Outcome::NonFinite { t: 0.0, h: 0.0, component: 1, quantity: Quantity::Start };
    assert_eq!((end.outcome, end.stats.evaluations), (expected, 0));
}

/// A domain error in one trial step only costs a rejection.
#[test]
fn a_step_out_of_the_domain_is_tried_again_shorter() {
    // y' = -sqrt(y) from 1 is (1 - t/2)², and no step may go below zero.
    let mut options = adaptive(1e-8);
    if let Stepping::Adaptive(adaptive) = &mut options.stepping {
        adaptive.first_step = Some(1.9);
    }
    let f = |_: f64, y: &[f64], dy: &mut [f64]| dy[0] = -y[0].sqrt();
    let end = run("bosh3", (0.0, 1.9), &[1.0], &options, &mut (), f);
    assert_eq!(end.outcome, Outcome::Finished);
    assert!((end.y[0] - 0.05_f64 * 0.05).abs() < 1e-6, "{end:?}");
}

#[test]
fn a_run_that_uses_up_its_steps_says_so() {
    for options in [adaptive(1e-8), Options::fixed(0.01)] {
        let options = Options { max_steps: 7, ..options };
        let end = run("tsit5", (0.0, 50.0), &[30.0, 4.0], &options, &mut (), lotka_volterra);
        let Outcome::MaxSteps { t, h, max_steps: 7 } = end.outcome else { panic!("{end:?}") };
        assert!(t == end.t && t > 0.0 && h > 0.0 && end.stats.attempts() == 7);
    }
}

/// Stops where the first component has fallen to a level, by bisection on the dense output.
struct Fall(f64);

impl Observer<f64> for Fall {
    fn accepted(&mut self, step: &Accepted<'_, f64>) -> ControlFlow<f64> {
        if step.y_new[0] > self.0 {
            return ControlFlow::Continue(());
        }
        let (mut above, mut below, mut y) = (step.t, step.t_new, [0.0; 2]);
        for _ in 0..60 {
            let middle = 0.5 * (above + below);
            step.at(middle, &mut y);
            if y[0] > self.0 { above = middle } else { below = middle }
        }
        ControlFlow::Break(below)
    }
}

#[test]
fn an_observer_can_stop_the_run_inside_a_step() {
    let end = run("dopri5", (0.0, 10.0), &[1.0, 0.0], &adaptive(1e-10), &mut Fall(0.5), oscillator);
    assert_eq!(end.outcome, Outcome::Stopped);
    // cos t = 1/2 at π/3.
    assert!((end.t - std::f64::consts::FRAC_PI_3).abs() < 1e-8);
    assert!((end.y[0] - 0.5).abs() < 1e-9 && (end.y[1] + 0.75_f64.sqrt()).abs() < 1e-8);
}

/// The derivative of the dense output is the rate there, to one order less.
#[test]
fn the_slope_of_the_dense_output_is_the_rate() {
    struct Slopes(f64);
    impl Observer<f64> for Slopes {
        fn accepted(&mut self, step: &Accepted<'_, f64>) -> ControlFlow<f64> {
            let (mut y, mut slope) = ([0.0; 2], [0.0; 2]);
            step.at(step.t + 0.4 * step.h, &mut y);
            step.slope_at(step.t + 0.4 * step.h, &mut slope);
            self.0 = self.0.max((slope[0] - y[1]).abs()).max((slope[1] + y[0]).abs());
            ControlFlow::Continue(())
        }
    }
    for (name, order) in
        [("bosh3", 3), ("dopri5", 4), ("tsit5", 4), ("owren_zennaro4", 4), ("owren_zennaro5", 5)]
    {
        let worst = |dt: f64| {
            let mut slopes = Slopes(0.0);
            run(name, (0.0, 1.0), &[1.0, 0.0], &Options::fixed(dt), &mut slopes, oscillator);
            slopes.0
        };
        let slope = (worst(0.05) / worst(0.025)).log2();
        assert!(slope > f64::from(order) - 0.2, "{name}: {slope}");
    }
}

#[test]
fn single_precision_works() {
    for tableau in adaptive_tableaus() {
        let f = |_: f64, y: &[f32], dy: &mut [f32]| (dy[0], dy[1]) = (y[1], -y[0]);
        let mut step = RungeKutta::new(tableau, 2, f);
        let mut saved = SaveAt::new(&[1.0], (0.0, 10.0), 2);
        let options = Options::adaptive(Adaptive::new(1e-4, 1e-4, 2));
        let end =
            solve(&mut step, tableau, (0.0, 10.0), &[1.0_f32, 0.0], &options, &mut saved).expect("valid");
        assert_eq!(end.outcome, Outcome::Finished);
        assert!((f64::from(end.y[0]) - 10.0_f64.cos()).abs() < 1e-2, "{}: {:?}", tableau.name, end.y);
        assert!((f64::from(saved.ys()[0]) - 1.0_f64.cos()).abs() < 1e-3);
    }
}

#[test]
fn an_empty_interval_is_finished_at_once() {
    let mut saved = SaveAt::new(&[3.0, 4.0], (3.0, 3.0), 2);
    let end = run("tsit5", (3.0, 3.0), &[1.0, 2.0], &adaptive(1e-6), &mut saved, oscillator);
    assert_eq!((end.outcome, end.stats.evaluations, end.y), (Outcome::Finished, 0, vec![1.0, 2.0]));
    assert_eq!((saved.n_saved(), &saved.ys()[..2]), (1, &[1.0, 2.0][..]));
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let refused = |name: &str, span: (f64, f64), y0: &[f64], options: Options| {
        let tableau = tableau(name);
        let mut step = RungeKutta::new(tableau, 2, oscillator);
        solve(&mut step, tableau, span, y0, &options, &mut ()).expect_err("refused")
    };
    let (y0, span) = ([1.0, 0.0], (0.0, 1.0));
    assert_eq!(
        refused("rk4", span, &[1.0], Options::fixed(0.1)),
        Invalid::Dimension { expected: 2, found: 1 }
    );
    assert_eq!(refused("rk4", span, &y0, adaptive(1e-6)), Invalid::NoErrorEstimate { method: "rk4" });
    for dt in [0.0, -0.1, f64::NAN] {
        assert!(matches!(
            refused("rk4", span, &y0, Options::fixed(dt)),
            Invalid::NotPositive { name: "dt", .. }
        ));
    }
    assert!(matches!(refused("rk4", (0.0, f64::INFINITY), &y0, Options::fixed(0.1)), Invalid::Time { .. }));
    let with = |change: fn(&mut Adaptive)| {
        let mut control = Adaptive::new(1e-6, 1e-6, 2);
        change(&mut control);
        refused("tsit5", span, &y0, Options::adaptive(control))
    };
    assert!(matches!(with(|c| c.rtol = -1.0), Invalid::Negative { name: "rtol", .. }));
    assert!(matches!(with(|c| c.atol = Atol::Scalar(f64::NAN)), Invalid::Negative { name: "atol", .. }));
    let zero = |c: &mut Adaptive| (c.rtol, c.atol) = (0.0, Atol::PerComponent(vec![1.0, 0.0]));
    assert_eq!(with(zero), Invalid::NoTolerance { component: 1 });
    let length = |name| Invalid::Length { name, expected: 2, found: 3 };
    assert_eq!(with(|c| c.atol = Atol::PerComponent(vec![1.0; 3])), length("atol"));
    assert_eq!(with(|c| c.errors = Errors::Mask(vec![true; 3])), length("error_norm"));
    assert_eq!(with(|c| c.errors = Errors::States(3)), length("states"));
}

#[test]
fn methods_of_the_language_are_known_whether_built_or_not() {
    for name in [
        "euler",
        "midpoint",
        "heun",
        "heun_euler",
        "ralston",
        "bosh3",
        "owren_zennaro3",
        "rk4",
        "rk38",
        "owren_zennaro4",
        "dopri5",
        "tsit5",
        "rkf45",
        "cash_karp",
        "owren_zennaro5",
    ] {
        assert!(Method::by_name(name).is_some(), "{name}");
    }
    for name in ["radau5", "rodas5p", "bdf"] {
        assert!(Method::by_name(name).is_some_and(|method| method.stiff), "{name}");
    }
    for name in ["symplectic_euler", "leapfrog", "yoshida4", "yoshida6", "yoshida8", "kahan_li8"] {
        assert!(Method::by_name(name).is_some_and(|method| !method.adaptive), "{name}");
    }
}
