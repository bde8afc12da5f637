//! Events of a run: located, jumped, repeated, and stopped before they come ever faster.

use nodec::solve::{
    Accepted, Adaptive, Condition, Effect, End, Errors, Events, Explicit, Jump, Observer, Options, Outcome,
    Recorded, RungeKutta, SaveAt, SaveSteps, Step, Tableau, Trigger, integrate,
};
use std::ops::ControlFlow;

/// Events over closures.
struct Rules<R, J> {
    triggers: Vec<Trigger>,
    n_roots: usize,
    roots: R,
    jump: J,
}

impl<R, J> Events<f64> for Rules<R, J>
where
    R: FnMut(f64, &[f64], &mut [f64]),
    J: FnMut(usize, &[f64], &mut [f64]) -> Effect,
{
    fn triggers(&self) -> &[Trigger] {
        &self.triggers
    }

    fn n_roots(&self) -> usize {
        self.n_roots
    }

    fn roots(&mut self, t: f64, _: f64, y: &[f64], out: &mut [f64]) {
        (self.roots)(t, y, out);
    }

    fn jump(&mut self, event: usize, _: f64, _: f64, y: &[f64], y_new: &mut [f64]) -> Effect {
        y_new.copy_from_slice(y);
        (self.jump)(event, y, y_new)
    }
}

/// `r > 0` of root `root`.
fn positive(root: usize) -> Condition {
    Condition::Root { root, strict: true }
}

fn adaptive(tol: f64) -> Options {
    Options::adaptive(Adaptive { errors: Errors::All, ..Adaptive::new(tol, tol, 0) })
}

fn run(
    name: &str,
    span: (f64, f64),
    y0: &[f64],
    options: &Options,
    events: &mut impl Events<f64>,
    observer: &mut impl Observer<f64>,
    f: impl FnMut(f64, &[f64], &mut [f64]),
) -> End<f64> {
    let tableau = Tableau::by_name(name).expect("a built method");
    let mut step = RungeKutta::new(tableau, y0.len(), f);
    let mut method = Explicit::new(&mut step, tableau, &options.stepping);
    integrate(&mut method, events, span, y0, options, observer).expect("a valid request")
}

/// Keeps when each event happened, and which.
#[derive(Default)]
struct Log(Vec<(f64, usize)>);

impl Observer<f64> for Log {
    fn accepted(&mut self, _: &Accepted<'_, f64>) -> ControlFlow<f64> {
        ControlFlow::Continue(())
    }

    fn jumped(&mut self, jump: &Jump<'_, f64>) {
        self.0.push((jump.t, jump.event));
    }
}

const G: f64 = 9.81;

/// Height, velocity, number of bounces.
fn falling(_: f64, y: &[f64], dy: &mut [f64]) {
    (dy[0], dy[1], dy[2]) = (y[1], -G, 0.0);
}

/// A ball that keeps the share `e` of its speed; event 1 stops the run after `bounces`.
fn floor(e: f64, bounces: f64) -> impl Events<f64> {
    let bounce = move |event: usize, y: &[f64], y_new: &mut [f64]| match event {
        0 => {
            y_new.copy_from_slice(&[0.0, -e * y[1], y[2] + 1.0]);
            Effect::Continue
        }
        _ => Effect::Stop,
    };
    Rules {
        triggers: vec![Trigger::When(positive(0)), Trigger::When(Condition::Root { root: 1, strict: false })],
        n_roots: 2,
        roots: move |_, y: &[f64], out: &mut [f64]| (out[0], out[1]) = (-y[0], y[2] - bounces),
        jump: bounce,
    }
}

/// From height `x0` the ball falls for `T = sqrt(2 x0/g)`, and flies for `2 T e^k` after bounce `k`.
#[test]
fn a_ball_bounces_when_the_closed_form_says() {
    let (x0, e) = (10.0, 0.8);
    let fall = (2.0_f64 * x0 / G).sqrt();
    for name in ["dopri5", "tsit5", "bosh3", "owren_zennaro5"] {
        let mut log = Log::default();
        let end =
            run(name, (0.0, 60.0), &[x0, 0.0, 0.0], &adaptive(1e-12), &mut floor(e, 10.0), &mut log, falling);
        assert_eq!((end.outcome, end.y[2], log.0.len()), (Outcome::Stopped, 10.0, 11), "{name}");
        let mut expected = fall;
        for (bounce, (t, event)) in log.0[..10].iter().enumerate() {
            assert!(*event == 0 && (t - expected).abs() < 1e-10, "{name} {bounce}: {t} {expected}");
            expected += 2.0 * fall * libm::pow(e, bounce as f64 + 1.0);
        }
        // The counter reaches ten in the last bounce, and the second event runs at that instant.
        assert_eq!(log.0[10], (log.0[9].0, 1));
        assert_eq!(end.t, log.0[9].0);
    }
}

/// Bounces come ever faster towards `T (1 + e)/(1 - e)`, where the run ends: past it the ball would fall
/// through the floor, since no bounce is high enough to be seen.
#[test]
fn events_that_come_ever_faster_end_the_run() {
    let fall = (20.0 / G).sqrt();
    for e in [0.9, 0.8, 0.5, 0.1, 0.01] {
        let limit = fall * (1.0 + e) / (1.0 - e);
        for (name, rtol) in [("dopri5", 1e-9), ("tsit5", 1e-6), ("bosh3", 1e-6), ("tsit5", 1e-12)] {
            let mut rules = floor(e, f64::INFINITY);
            let end =
                run(name, (0.0, 60.0), &[10.0, 0.0, 0.0], &adaptive(rtol), &mut rules, &mut (), falling);
            let Outcome::Zeno { t, event: 0, max_events: _ } = end.outcome else {
                panic!("{name} {e}: {end:?}")
            };
            assert!(end.t == t && (t - limit).abs() < 1e-7, "{name} {e}: {t} {limit}");
        }
    }
    let mut options = adaptive(1e-9);
    options.max_events = 3;
    let mut rules = floor(0.5, f64::INFINITY);
    let end = run("dopri5", (0.0, 60.0), &[10.0, 0.0, 0.0], &options, &mut rules, &mut (), falling);
    assert!(matches!(end.outcome, Outcome::Zeno { event: 0, max_events: Some(3), .. }), "{end:?}");
}

/// `sin` exceeds a half at `π/6 + 2πk` and falls below it at `5π/6 + 2πk`; only the first counts.
#[test]
fn a_condition_fires_when_it_becomes_true_and_is_armed_again_when_it_is_false() {
    let oscillator = |_: f64, y: &[f64], dy: &mut [f64]| (dy[0], dy[1]) = (y[1], -y[0]);
    let (pi, tau) = (std::f64::consts::PI, std::f64::consts::TAU);
    for (span, y0) in [((0.0, 20.0), [0.0, 1.0]), ((20.0, 0.0), [20.0_f64.sin(), 20.0_f64.cos()])] {
        let mut rules = Rules {
            triggers: vec![Trigger::When(positive(0))],
            n_roots: 1,
            roots: |_: f64, y: &[f64], out: &mut [f64]| out[0] = y[0] - 0.5,
            jump: |_: usize, _: &[f64], _: &mut [f64]| Effect::Continue,
        };
        let mut log = Log::default();
        let end = run("tsit5", span, &y0, &adaptive(1e-11), &mut rules, &mut log, oscillator);
        let expected: Vec<f64> = match span.0 == 0.0 {
            true => (0..3).map(|k| pi / 6.0 + tau * f64::from(k)).chain([pi / 6.0 + 3.0 * tau]).collect(),
            false => (0..3).rev().map(|k| 5.0 * pi / 6.0 + tau * f64::from(k)).collect(),
        };
        // Backwards, 20 lies in the stretch above a half, which began before it.
        let already = if span.0 == 0.0 { vec![] } else { vec![0] };
        assert_eq!((log.0.len(), end.true_at_start), (expected.len(), already), "{:?}", log.0);
        for ((t, _), expected) in log.0.iter().zip(expected) {
            assert!((t - expected).abs() < 1e-8, "{t} {expected}");
        }
    }
}

/// One long step in which the state dips below zero and comes back.
#[test]
fn two_crossings_inside_one_step_are_both_seen() {
    // y = (t - 1)² - 10⁻⁶, one step of size 3; a parabola is exact for a method of order 3.
    let f = |t: f64, _: &[f64], dy: &mut [f64]| dy[0] = 2.0 * (t - 1.0);
    let mut rules = Rules {
        triggers: vec![Trigger::When(positive(0)), Trigger::When(Condition::Not(Box::new(positive(0))))],
        n_roots: 1,
        roots: |_: f64, y: &[f64], out: &mut [f64]| out[0] = -y[0],
        jump: |_: usize, _: &[f64], _: &mut [f64]| Effect::Continue,
    };
    let mut log = Log::default();
    run("dopri5", (0.0, 3.0), &[1.0 - 1e-6], &Options::fixed(3.0), &mut rules, &mut log, f);
    let [(down, 0), (up, 1)] = log.0[..] else { panic!("{:?}", log.0) };
    // The dip is 10⁻⁶ deep where its slope is 2 · 10⁻³, and the state carries 10⁻¹⁶.
    assert!((down - 0.999).abs() < 1e-12 && (up - 1.001).abs() < 1e-12, "{down} {up}");
}

#[test]
fn events_of_one_instant_run_in_order_and_each_reads_what_the_last_has_left() {
    let f = |_: f64, _: &[f64], dy: &mut [f64]| dy.copy_from_slice(&[1.0, 0.0]);
    // Both become true at t = 1; the state stays there.
    let mut rules = Rules {
        triggers: vec![Trigger::When(positive(0)), Trigger::When(positive(1))],
        n_roots: 2,
        roots: |_: f64, y: &[f64], out: &mut [f64]| (out[0], out[1]) = (y[0] - 1.0, 3.0 * (y[0] - 1.0)),
        jump: |event: usize, y: &[f64], y_new: &mut [f64]| {
            y_new[1] = if event == 0 { y[1] + 2.0 } else { y[1] * 10.0 };
            Effect::Continue
        },
    };
    let mut log = Log::default();
    let end = run("rk4", (0.0, 2.0), &[0.0, 1.0], &Options::fixed(0.3), &mut rules, &mut log, f);
    assert_eq!((end.y[1], log.0.len()), (30.0, 2));
    assert_eq!((log.0[0].1, log.0[1].1, log.0[0].0), (0, 1, log.0[1].0));
}

/// `and`, `or`, `not` over roots in time.
#[test]
fn conditions_are_trees_over_comparisons() {
    let f = |_: f64, _: &[f64], dy: &mut [f64]| dy[0] = 0.0;
    let not = |c: Condition| Condition::Not(Box::new(c));
    // t > 1, t > 2, t > 3.
    let cases = [
        (Condition::And(vec![positive(0), positive(1)]), vec![2.0]),
        (Condition::Or(vec![positive(1), positive(2)]), vec![2.0]),
        (Condition::And(vec![positive(0), not(positive(1))]), vec![1.0]),
        (
            Condition::Or(vec![Condition::And(vec![positive(0), not(positive(1))]), positive(2)]),
            vec![1.0, 3.0],
        ),
    ];
    for (condition, expected) in cases {
        let mut rules = Rules {
            triggers: vec![Trigger::When(condition)],
            n_roots: 3,
            roots: |t: f64, _: &[f64], out: &mut [f64]| out.copy_from_slice(&[t - 1.0, t - 2.0, t - 3.0]),
            jump: |_: usize, _: &[f64], _: &mut [f64]| Effect::Continue,
        };
        let mut log = Log::default();
        run("rk4", (0.0, 4.0), &[0.0], &Options::fixed(4.0), &mut rules, &mut log, f);
        let times: Vec<f64> = log.0.iter().map(|(t, _)| *t).collect();
        assert!(times.len() == expected.len(), "{times:?}, not {expected:?}");
        // The first number above the threshold.
        assert!(times.iter().zip(&expected).all(|(t, e)| *t > *e && t - e < 1e-15), "{times:?}");
    }
}

/// Doses: `y' = -y`, plus 1 at given times.
#[test]
fn times_of_events_are_hit_exactly_and_saves_see_the_state_after() {
    let f = |_: f64, y: &[f64], dy: &mut [f64]| dy[0] = -y[0];
    for (trigger, times) in [
        (Trigger::Every(0.5), vec![0.5, 1.0, 1.5, 2.0]),
        (Trigger::At(vec![1.25, 0.0, 9.0, 0.75]), vec![0.0, 0.75, 1.25]),
    ] {
        let mut rules = Rules {
            triggers: vec![trigger],
            n_roots: 0,
            roots: |_: f64, _: &[f64], _: &mut [f64]| {},
            jump: |_: usize, y: &[f64], y_new: &mut [f64]| {
                y_new[0] = y[0] + 1.0;
                Effect::Continue
            },
        };
        let wanted = [0.0, 0.4, 0.5, 0.75, 0.9, 1.25, 2.0];
        let mut watchers = (Log::default(), (SaveAt::new(&wanted, (0.0, 2.0), 1), Recorded::default()));
        let end = run("tsit5", (0.0, 2.0), &[1.0], &adaptive(1e-11), &mut rules, &mut watchers, f);
        let (log, (saved, recorded)) = watchers;
        assert_eq!(log.0.iter().map(|(t, _)| *t).collect::<Vec<f64>>(), times);
        assert_eq!((end.outcome, saved.n_saved()), (Outcome::Finished, wanted.len()));
        for (t, y) in wanted.iter().zip(saved.ys()) {
            let doses = times.iter().filter(|dose| *dose <= t).map(|dose| libm::exp(dose - t));
            let exact = libm::exp(-t) + doses.sum::<f64>();
            let mut found = [0.0];
            assert!(recorded.at(*t, &mut found));
            assert!((y - exact).abs() < 1e-9 && (found[0] - y).abs() < 1e-14, "{t}: {y} {exact}");
        }
        assert!(!recorded.at(2.1, &mut [0.0]) && !recorded.at(-0.1, &mut [0.0]));
        assert_eq!(end.y, saved.ys()[6..]);
    }
}

/// A field that is constant on each side of `t = 1`: only `inside` tells which rate holds there.
struct Corner;

impl Step<f64> for Corner {
    fn dim(&self) -> usize {
        1
    }

    fn n_stages(&self) -> usize {
        2
    }

    fn rate(&mut self, _: f64, inside: f64, _: &[f64], dy: &mut [f64]) {
        dy[0] = if inside < 1.0 { 1.0 } else { -2.0 };
    }

    /// Heun's, which looks at both ends.
    fn step(&mut self, t: f64, h: f64, y: &[f64], stages: &mut [f64], y_new: &mut [f64], err: &mut [f64]) {
        let mut last = [0.0];
        self.rate(t + h, t + 0.5 * h, y, &mut last);
        stages[1] = last[0];
        y_new[0] = y[0] + 0.5 * h * (stages[0] + stages[1]);
        err[0] = 0.5 * h * (stages[0] - stages[1]);
    }

    fn extend(&mut self, _: f64, _: f64, _: &[f64], _: &mut [f64]) {}
}

#[test]
fn a_field_may_continue_differently_after_a_stop() {
    let heun = Tableau::by_name("heun_euler").expect("a built method");
    for options in [adaptive(1e-6), Options::fixed(0.3)] {
        for (span, y0, expected) in [((0.0, 2.0), 0.0, -1.0), ((2.0, 0.0), -1.0, 0.0)] {
            let options = Options { stops: vec![1.0], ..options.clone() };
            let mut steps = SaveSteps::default();
            let mut corner = Corner;
            let mut method = Explicit::new(&mut corner, heun, &options.stepping);
            let end = integrate(&mut method, &mut nodec::solve::NoEvents, span, &[y0], &options, &mut steps)
                .expect("valid");
            // Every step lies in one piece, where the solution is a straight line.
            assert!((end.y[0] - expected).abs() < 1e-14, "{end:?}");
            assert!(end.stats.rejected == 0 && steps.ts.contains(&1.0));
        }
    }
}

#[test]
fn a_condition_that_is_true_at_the_start_waits_until_it_has_been_false() {
    let f = |_: f64, _: &[f64], dy: &mut [f64]| dy[0] = 1.0;
    // |y - 2| > 1, from y = 0: true before 1 and after 3.
    let mut rules = Rules {
        triggers: vec![Trigger::When(positive(0))],
        n_roots: 1,
        roots: |_: f64, y: &[f64], out: &mut [f64]| out[0] = (y[0] - 2.0).abs() - 1.0,
        jump: |_: usize, _: &[f64], _: &mut [f64]| Effect::Stop,
    };
    let end = run("dopri5", (0.0, 9.0), &[0.0], &adaptive(1e-9), &mut rules, &mut (), f);
    assert_eq!((end.outcome, end.true_at_start), (Outcome::Stopped, vec![0]));
    assert!((end.t - 3.0).abs() < 1e-14 && (end.y[0] - 3.0).abs() < 1e-14);
}
