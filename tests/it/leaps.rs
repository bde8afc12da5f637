//! Steps of the Taylor method as one function: the same as by a series, a choice and an end.

use nodec::{Model, Run};

/// One state each, so that all norms are one norm: of `rms` the steps are leaps, of `max` they are not.
const MODELS: [&str; 4] = [
    "time t in 0..3\nstate x = 1\nx' = -0.7*x + sin(3*t)\n",
    "time t in 0..4\nstate x = 0.01\nx' = 3*x*(1 - x)\n",
    "time t in 2..-1\nstate x = 0.5\nx' = x^2 - t*x\n",
    // Nothing of it is in the first series.
    "time t in 0..2\nstate x = 1\nx' = tanh(100*(t - 1))*x\n",
];

fn run(text: &str, settings: &[(&str, &str)]) -> Run {
    let model = Model::parse(text).unwrap_or_else(|all| panic!("{}", all.render()));
    let mut bound = model.bind().setting("solve.method", "taylor");
    for (name, value) in settings {
        bound = bound.setting(name, value);
    }
    bound.build().unwrap_or_else(|all| panic!("{}", all.render()))
}

/// The choice of a step differs by rounding alone: five decimal digits of a step are more than a count shows.
#[test]
fn a_leap_goes_where_a_series_a_choice_and_an_end_go() {
    let mut n_rejected = 0;
    for text in MODELS {
        for tolerance in ["1e-4", "1e-9", "1e-13"] {
            for (name, value) in [("solve.dt", "0.01"), ("solve.dt_max", "0.3"), ("solve.max_steps", "5000")]
            {
                let of = |norm: &str| {
                    let settings = [
                        ("solve.rtol", tolerance),
                        ("solve.atol", tolerance),
                        ("solve.norm", norm),
                        (name, value),
                    ];
                    let solution = run(text, &settings).solve().expect("it ends");
                    let t = solution.interval().1;
                    (solution["x"].at(t).expect("the end")[0], solution["x"].at(t / 3.0), solution.stats())
                };
                let ((leapt, inside, stats), (stepped, beside, expected)) = (of("rms"), of("max"));
                let counts = |stats: nodec::solve::Stats| (stats.accepted, stats.rejected, stats.evaluations);
                assert_eq!(counts(stats), counts(expected), "{text} {tolerance} {name}");
                assert!(
                    (leapt - stepped).abs() <= 1e-11 * stepped.abs(),
                    "{text} {tolerance}: {leapt}, {stepped}"
                );
                let [inside, beside] = [inside, beside].map(|at| at.expect("it is covered")[0]);
                assert!(
                    (inside - beside).abs() <= 1e-11 * beside.abs(),
                    "{text} {tolerance}: {inside}, {beside}"
                );
                n_rejected += stats.rejected;
            }
        }
    }
    assert!(n_rejected > 0, "steps that were tried again");
}
