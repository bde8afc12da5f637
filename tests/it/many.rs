//! Many runs of one model: each the same alone and among others, drawn as it says, and what fails.

use nodec::{Error, Model, Run, Runs};
use std::ops::ControlFlow;

const LORENZ: &str = "
    param sigma = 10.0, rho = 28.0, beta = 8/3
    time t in 0..3
    state u: [3] = [1, 1, 1]
    let (x, y, z) = u
    u' = [sigma*(y - x), x*(rho - z) - y, x*y - beta*z]
    channel way' = norm(u')
    output length = way(end)
    sweep rho in linspace(0, 60, 7)
    ensemble 5 { u(start) ~ normal(1, 0.01), sigma ~ lognormal(log(10), 0.01) }
    solve { method = tsit5, rtol = 1e-8, atol = 1e-8, save = every(0.02) }
";

fn built(text: &str, settings: &[(&str, &str)]) -> Run {
    let model = Model::parse(text).unwrap_or_else(|diagnostics| panic!("{}", diagnostics.render()));
    let binder = settings.iter().fold(model.bind(), |binder, (key, value)| binder.setting(key, value));
    binder.build().unwrap_or_else(|diagnostics| panic!("{}", diagnostics.render()))
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Run 17 of `run` as bits: every number that is told of it.
fn seventeen(runs: &Runs) -> Vec<u64> {
    let of = |array: &nodec::Array| {
        let width: usize = array.shape[2..].iter().product();
        bits(&array.values[17 * width..18 * width])
    };
    runs.arrays.iter().flat_map(of).collect()
}

#[test]
fn a_run_is_the_same_alone_in_any_batch_and_on_any_number_of_threads() {
    for back_end in ["cranelift", "interp"] {
        let run = built(LORENZ, &[("run.threads", "1"), ("run.backend", back_end)]);
        let all = run.solve_all();
        assert_eq!(
            (all["length"].shape.as_slice(), all["u(end)"].shape.as_slice()),
            (&[7, 5][..], &[7, 5, 3][..])
        );
        let expected = seventeen(&all);
        let alone = run.solve_run(17).unwrap();
        let numbers: Vec<u64> = alone.numbers().iter().flat_map(|one| bits(&one.values)).collect();
        assert_eq!(numbers, expected, "alone");
        // What is saved on the way changes nothing.
        assert_eq!(
            (alone.ts().len(), bits(&alone["u"].at(3.0).unwrap())),
            (151, bits(&alone["u"].values()[450..]))
        );
        for threads in ["2", "3"] {
            let run = built(LORENZ, &[("run.threads", threads), ("run.backend", back_end)]);
            assert_eq!(seventeen(&run.solve_all()), expected, "{threads} threads");
            let mut found = Vec::new();
            run.map_runs(
                14..20,
                |number, solution| (number, solution.unwrap().end("u").unwrap()),
                |_, row| {
                    found.push(row);
                    ControlFlow::Continue(())
                },
            );
            assert_eq!(found.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [14, 15, 16, 17, 18, 19]);
            assert_eq!(bits(&found[3].1), bits(&alone.end("u").unwrap()), "among six");
        }
        // Another batch: fewer members, other values beside this one.
        let (place, member) = run.place_of(17);
        assert_eq!((place.as_slice(), member), (&[30.0][..], 2));
        let other = LORENZ.replace("ensemble 5", "ensemble 3").replace("linspace(0, 60, 7)", "[5, 30]");
        let other = built(&other, &[("run.backend", back_end)]);
        assert_eq!(bits(&other.solve_run(5).unwrap().end("u").unwrap()), bits(&alone.end("u").unwrap()));
    }
}

/// x(1) = a exp(-k).
#[test]
fn sweeps_from_outside_take_the_place_of_those_in_the_file() {
    let text = "param k = 1.0\nconst a = 2.0\ninput b = 1.0\ntime t in 0..1\nstate x = a*b\nx' = -k*x\n\
                sweep k in [0, 1]\nsolve { rtol = 1e-10 }";
    let model = Model::parse(text).unwrap();
    let bind = || model.bind().sweep("a", &[1.0, 3.0]).sweep("b", &[1.0, -1.0]);
    let runs = bind().sweep("k", &[0.5, 1.0, 2.0]).build().unwrap().solve_all();
    let names: Vec<&str> = runs.sweeps.iter().map(|(name, _)| &**name).collect();
    assert_eq!((names, runs["x(end)"].shape.as_slice()), (vec!["a", "b", "k"], &[2, 2, 3, 1][..]));
    let mut at = 0;
    for a in [1.0, 3.0] {
        for b in [1.0, -1.0] {
            for k in [0.5_f64, 1.0, 2.0] {
                let expected = a * b * (-k).exp();
                let found = runs["x(end)"].values[at];
                assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
                at += 1;
            }
        }
    }
    let fixed = bind().set("k", 0.0).build().unwrap().solve_all();
    assert_eq!(fixed["x(end)"].shape, [2, 2, 1]);
    assert!((fixed["x(end)"].values[2] - 3.0).abs() < 1e-9);
    assert!(!model.bind().set("k", 0.0).build().unwrap().is_many());
}

#[test]
fn a_swept_const_may_be_a_size() {
    let text = "const n = 2\ntime t in 0..1\nstate x: [n] = ones(n)\nx' = -x\noutput s = 2*sum(x(start))\n\
                sweep n in [1, 2, 4]\n";
    let errors = Model::parse(text).unwrap().bind().build().err().unwrap();
    assert!(errors.render().contains("error[E0810]: `x` changes its shape"), "{}", errors.render());
    let text =
        text.replace("state x: [n] = ones(n)", "state x = sum(ones(n))").replace("sum(x(start))", "x(start)");
    assert_eq!(built(&text, &[]).solve_all()["s"].values, [2.0, 4.0, 8.0]);
}

/// The distance of the empirical distribution of `values` from that of a normal one: it exceeds
/// `1.95/√n` once in a thousand times (N. Smirnov, Annals of Mathematical Statistics 19, 1948).
fn check_normal(values: &[f64], (mean, sd): (f64, f64)) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let distance = sorted.iter().enumerate().map(|(rank, x)| {
        let cdf = 0.5 * libm_erfc((mean - x) / (sd * std::f64::consts::SQRT_2));
        (cdf - rank as f64 / n).abs().max((cdf - (rank + 1) as f64 / n).abs())
    });
    let distance = distance.fold(0.0, f64::max);
    assert!(distance < 1.95 / n.sqrt(), "{distance}");
}

/// W. J. Cody's function by its Chebyshev fit, 1.2e-7 relative (W. H. Press et al., Numerical Recipes,
/// 2nd edition, 1992, section 6.2), far below the distance it is used for.
fn libm_erfc(x: f64) -> f64 {
    const C: [f64; 10] = [
        -1.26551223,
        1.00002368,
        0.37409196,
        0.09678418,
        -0.18628806,
        0.27886807,
        -1.13520398,
        1.48851587,
        -0.82215223,
        0.17087277,
    ];
    let t = 1.0 / (1.0 + 0.5 * x.abs());
    let tail = t * (-x * x + C.iter().rev().fold(0.0, |sum, c| sum * t + c)).exp();
    if x >= 0.0 { tail } else { 2.0 - tail }
}

#[test]
fn members_draw_starts_params_and_noise() {
    let text = "param k = 2.0, s = 0.0\ninput b = 0.0\nrandom eps ~ normal(1, 3)\ntime t in 0..1\n\
                state x = 5.0, y = 1.0\nx' = 0\ny' = 0\noutput a = x(end), c = k, d = eps, e = b\n\
                ensemble 1000 { x(start) ~ normal(k, 0.5), k ~ normal(k + s, 0.1), b ~ uniform(2, 3) }\n\
                sweep s in [0, 1]";
    let runs = built(text, &[]).solve_all();
    assert_eq!(runs["c"].shape, [2, 1000]);
    let at = |name: &str, point: usize| &runs[name].values[1000 * point..1000 * (point + 1)];
    check_normal(at("c", 0), (2.0, 0.1));
    check_normal(at("c", 1), (3.0, 0.1));
    check_normal(at("d", 0), (1.0, 3.0));
    // A start reads the params that the member has: variances add.
    check_normal(at("a", 0), (2.0, (0.25_f64 + 0.01).sqrt()));
    assert!(at("e", 0).iter().all(|b| (2.0..3.0).contains(b)));
    // A member draws the same at every point.
    let same = at("c", 0).iter().zip(at("c", 1)).all(|(a, b)| (b - a - 1.0).abs() < 1e-12);
    assert!(same && at("d", 0) == at("d", 1));
    assert_eq!(runs["y(end)"].values[17], 1.0);
    // W(1) is a standard normal number, of one path for each member.
    let noisy = "noise W = wiener(ito)\ntime t in 0..1\nstate w = 0.0\nw' = W'\nensemble 1000 {}\n\
                 solve { method = euler_maruyama, dt = 0.25 }";
    check_normal(&built(noisy, &[]).solve_all()["w(end)"].values, (0.0, 1.0));
}

/// `x' = x²` from `a` is `a/(1 - a t)`, which is infinite at 1/a.
#[test]
fn a_run_that_fails_leaves_the_others() {
    let text =
        "param a in positive = 1.0\ntime t in 0..1\nstate x = a\nx' = x^2\nsweep a in [0.5, 2, -1, 0.25]\n";
    let run = built(&format!("{text}solve {{ rtol = 1e-9 }}"), &[]);
    let runs = run.solve_all();
    let found = &runs["x(end)"].values;
    assert!((found[0] - 1.0).abs() < 1e-7 && (found[3] - 1.0 / 3.0).abs() < 1e-8, "{found:?}");
    assert!(found[1].is_nan() && found[2].is_nan());
    assert_eq!((runs.n_failed, runs.failures.len(), runs.failures[0].0), (2, 2, 1));
    assert!(matches!(&runs.failures[0].1, Error::Failed { outcome: Some(_), .. }));
    assert!(
        runs.failures[1].1.diagnostics().render().contains("E0806"),
        "{}",
        runs.failures[1].1.diagnostics().render()
    );
}

#[test]
fn many_runs_are_not_trained() {
    let text =
        "param k = 1.0\ntime t in 0..1\nstate x = 1.0\nx' = -k*x\nloss l = x(end)\nsweep k in [1, 2]\n";
    let mut run = built(text, &[]);
    let error = run.fit(|_| ControlFlow::Continue(())).err().unwrap();
    assert!(error.diagnostics().render().contains("E0810"), "{}", error.diagnostics().render());
    let error = run.evaluate(nodec::data::Part::Train).err().unwrap();
    assert!(error.diagnostics().render().contains("E0810"), "{}", error.diagnostics().render());
}

/// Starts of a second system at sites of the first, channels, dense output inside steps, a port and a
/// param that differ by run, a const that is swept, stops, and runs that fail.
const COUPLED: &str = "
    const c = 1.0
    param k in positive = 1.0, m = 0.5
    input b = 0.0
    random eps ~ normal(0, 1)
    system Wave {
      time t in 0..2
      state u = 0.5
      u' = -m*u
      channel sum' = u
    }
    param wave = Wave()
    time t in 0..3
    state x = 1.0, v = wave(u = k).u
    x' = v
    v' = -c*k*x + 0.1*b*sin(t) - 0.01*eps*x^2 + (if t > 1.25 then 0.5 else 0)
    channel work' = v^2
    output early = x([0.3, 1.0, 2.71]), speed = v, area = wave(u = b).sum
    sweep k in linspace(-0.5, 3, 8)
    sweep c in [1, 2]
    ensemble 3 { b ~ normal(0, 1) }
    solve { rtol = 1e-7, atol = 1e-8 }
";

/// `x' = x²` from `a` is infinite at 1/a, before the end of some of these runs.
const POLES: &str = "
    param a = 1.0
    time t in 0..1
    state x = a
    x' = x^2
    sweep a in linspace(-3, 2, 21)
    solve { rtol = 1e-5, max_steps = 2000 }
";

#[test]
fn runs_in_lanes_have_the_bits_that_they_have_alone() {
    let settings: [&[(&str, &str)]; 11] = [
        &[],
        &[("solve.method", "dopri5"), ("run.threads", "2")],
        &[("solve.method", "verner7"), ("solve.error_norm", "all")],
        &[("solve.method", "rk4"), ("solve.dt", "0.1")],
        // Many steps in a row that nobody sees.
        &[("solve.method", "rk4"), ("solve.dt", "0.01")],
        &[("solve.method", "midpoint"), ("solve.dt", "0.003"), ("run.precision", "f32")],
        &[("solve.method", "tsit5"), ("solve.dt", "0.01")],
        &[("solve.method", "euler"), ("solve.dt", "0.001"), ("solve.max_steps", "1500")],
        &[("run.precision", "f32"), ("solve.rtol", "1e-4")],
        &[("solve.method", "taylor")],
        &[("solve.method", "radau5")],
    ];
    for (text, back_end) in [(COUPLED, "cranelift"), (POLES, "interp"), (POLES, "cranelift")] {
        for settings in settings {
            let settings = [settings, &[("run.backend", back_end)]].concat();
            let mut run = built(text, &settings);
            let told = |run: &Run| {
                let Runs { arrays, failures, stats, own_errors, n_failed, .. } = run.solve_all();
                let arrays: Vec<Vec<u64>> = arrays.iter().map(|array| bits(&array.values)).collect();
                let failures: Vec<String> =
                    failures.iter().map(|(number, error)| format!("{number} {error}")).collect();
                (arrays, failures, stats, own_errors, n_failed)
            };
            let path = |run: &Run| {
                let mut found = Vec::new();
                let of = |number: usize, solution: Result<nodec::Solution, Error>| {
                    let at = |solution: &nodec::Solution, t: f64| {
                        let trajectories = solution.trajectories().iter();
                        trajectories
                            .flat_map(|one| bits(&one.at(t).unwrap_or_default()))
                            .collect::<Vec<u64>>()
                    };
                    let solution = solution.ok();
                    let numbers = solution.as_ref().map(|one| {
                        one.numbers().iter().flat_map(|one| bits(&one.values)).collect::<Vec<u64>>()
                    });
                    let inside = solution.map(|one| [0.0, 0.37, 0.9, 1.0].map(|t| at(&one, t)));
                    (number, numbers, inside)
                };
                run.map_runs(0..run.n_runs(), of, |_, row| {
                    found.push(row);
                    ControlFlow::Continue(())
                });
                found
            };
            run.in_lanes(false);
            let alone = (told(&run), path(&run));
            run.in_lanes(true);
            assert!(alone.0 == told(&run), "{settings:?} {text}");
            assert!(alone.1 == path(&run), "{settings:?} {text}");
            assert!(alone.0.4 > 0, "{settings:?} {text}");
            let number = run.n_runs() - 1;
            let last = run.solve_run(number).map(|one| one.numbers());
            let last = last.map(|all| all.iter().flat_map(|one| bits(&one.values)).collect::<Vec<u64>>());
            assert_eq!(last.ok(), alone.1[number].1, "{settings:?} {text}");
        }
    }
}
