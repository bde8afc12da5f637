//! Data that programs make: the toy densities against their closed forms, what draws depend on and what
//! they do not, and segments of series in files.

use nodec::base::numbers::Examples;
use nodec::data::Part;
use nodec::{Binder, Model};
use std::f64::consts::PI;
use std::path::PathBuf;

const REST: &str = "time t in 0..1\nstate s = 1.0\ns' = 0*s\n";

/// A program with these lines, nothing more given.
fn binder(lines: &str) -> Binder {
    let model = Model::from_text("model.node", &format!("{lines}\n{REST}"), PathBuf::new());
    model.unwrap_or_else(|all| panic!("{}", all.render())).bind()
}

/// All entries of the field at `path` in `part`, example by example.
fn entries(binder: &Binder, path: &str, part: Part) -> Vec<f64> {
    let data = binder.data().unwrap_or_else(|all| panic!("{}", all.render()));
    let field: &Examples = data.field(path, part).expect("a field");
    (0..field.len()).flat_map(|example| field.to_f64(example)).collect()
}

fn train(lines: &str, path: &str) -> Vec<f64> {
    entries(&binder(lines), path, Part::Train)
}

/// Points of a toy density.
fn points(call: &str) -> Vec<[f64; 2]> {
    let lines = format!("use std.toy\ndata d = synthetic(toy.{call}, seed = 5) {{ x: [batch, 2] }}");
    train(&lines, "d.x").chunks(2).map(|point| [point[0], point[1]]).collect()
}

/// The mean of `what` over the points is `exact`, up to five standard errors of this sample.
fn mean_is(points: &[[f64; 2]], exact: f64, what: impl Fn(f64, f64) -> f64) {
    let n = points.len() as f64;
    let values: Vec<f64> = points.iter().map(|[x, y]| what(*x, *y)).collect();
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
    let bound = 5.0 * (variance / n).sqrt();
    assert!((mean - exact).abs() <= bound, "{mean} is not {exact} within {bound}");
}

/// Half of the points are `(cos a, sin a)`, half `(1 - cos a, 1/2 - sin a)`, `a` uniform on (0, π):
/// E sin a = 2/π, E sin² a = E cos² a = 1/2. Without noise they lie on the two half circles.
#[test]
fn two_moons_has_its_moments_and_its_support() {
    let noisy = points("two_moons(n = 3000, noise = 0.3)");
    mean_is(&noisy, 0.5, |x, _| x);
    mean_is(&noisy, 0.25, |_, y| y);
    mean_is(&noisy, 1.0 + 0.09, |x, _| x * x);
    mean_is(&noisy, 0.625 - 1.0 / PI + 0.09, |_, y| y * y);
    let on_a_moon = |[x, y]: &[f64; 2]| {
        let upper = (x.hypot(*y) - 1.0).abs() < 1e-12 && *y >= 0.0;
        let lower = ((x - 1.0).hypot(y - 0.5) - 1.0).abs() < 1e-12 && *y <= 0.5;
        (upper, lower)
    };
    let sides: Vec<(bool, bool)> = points("two_moons(n = 1000, noise = 0)").iter().map(on_a_moon).collect();
    assert!(sides.iter().all(|(upper, lower)| upper != lower));
    // A binomial count of 1000 halves: five deviations are 5·√250 = 79.
    assert!(sides.iter().filter(|(upper, _)| *upper).count().abs_diff(500) < 79);
}

/// E r² = radius² + 2 sd², E cos 8a of the centres is 1, and each of the eight has its share.
#[test]
fn eight_gaussians_are_eight() {
    let found = points("eight_gaussians(n = 3000)");
    mean_is(&found, 0.0, |x, _| x);
    mean_is(&found, 0.0, |_, y| y);
    mean_is(&found, 8.0 + 0.25, |x, y| x * x + y * y);
    let mut counts = [0_usize; 8];
    for [x, y] in points("eight_gaussians(n = 2000, radius = 3, sd = 0)") {
        assert!((x.hypot(y) - 3.0).abs() < 1e-12);
        let turn = y.atan2(x) / (PI / 4.0);
        assert!((turn - turn.round()).abs() < 1e-12);
        counts[turn.round().rem_euclid(8.0) as usize] += 1;
    }
    // Five deviations of a binomial count of 2000 eighths: 5·√(2000·7/64) = 74.
    assert!(counts.iter().all(|count| count.abs_diff(250) < 74), "{counts:?}");
}

/// E |x|² = 4 (1 + radial² + tangential²); with one arm and no widths every point is the same,
/// `2 (cos, -sin)` of `2π + rate·e`.
#[test]
fn pinwheel_turns_its_arms() {
    let found = points("pinwheel(n = 3000)");
    mean_is(&found, 0.0, |x, _| x);
    mean_is(&found, 0.0, |_, y| y);
    mean_is(&found, 4.4, |x, y| x * x + y * y);
    let angle = 0.25 * std::f64::consts::E;
    for [x, y] in points("pinwheel(n = 5, arms = 1, radial = 0, tangential = 0)") {
        assert!((x - 2.0 * angle.cos()).abs() < 1e-14 && (y + 2.0 * angle.sin()).abs() < 1e-14);
    }
}

/// With `a = 3π√u`: E a² = 9π²/2, E a cos a = -4/(3π), E a sin a = 2 - 8/(9π²), so that
/// 9 (E |x|² - 2 noise²) = 9π²/2 + (4/(3π) + 2 - 8/(9π²))/2 + 1/6.
#[test]
fn two_spirals_have_their_moments() {
    let found = points("two_spirals(n = 3000)");
    mean_is(&found, 0.0, |x, _| x);
    mean_is(&found, 0.0, |_, y| y);
    let arm = 4.5 * PI * PI + (4.0 / (3.0 * PI) + 2.0 - 8.0 / (9.0 * PI * PI)) / 2.0 + 1.0 / 6.0;
    mean_is(&found, arm / 9.0 + 0.02, |x, y| x * x + y * y);
    // The end of an arm, and the corner of what is added.
    let reach = 3.0 * PI + 0.5 * 2.0_f64.sqrt();
    assert!(points("two_spirals(n = 500, noise = 0)").iter().all(|[x, y]| 3.0 * x.hypot(*y) <= reach));
}

/// Uniform on eight of sixteen fields: E x² = E y² = 16/3. In the columns of fields with the middles
/// x = -3, -1, 1, 3 the mean of y is -1, 1, -1, 1, so E x y = (3 - 1 - 1 + 3)/4 = 1.
#[test]
fn checkerboard_keeps_to_the_dark_fields() {
    let found = points("checkerboard(n = 3000)");
    let field = |x: f64| (x / 2.0).floor();
    assert!(found.iter().all(|[x, y]| (field(*x) + field(*y)).rem_euclid(2.0) == 0.0));
    assert!(found.iter().all(|[x, y]| x.abs() <= 4.0 && y.abs() <= 4.0));
    mean_is(&found, 0.0, |x, _| x);
    mean_is(&found, 16.0 / 3.0, |x, _| x * x);
    mean_is(&found, 16.0 / 3.0, |_, y| y * y);
    mean_is(&found, 1.0, |x, y| x * y);
}

/// The mean of the squared radii 0.75² (1 + 4 + 9 + 16)/4, and 9 (1 + factor²)/2, with the noise.
#[test]
fn rings_and_circles_have_their_radii() {
    let found = points("rings(n = 3000)");
    mean_is(&found, 0.0, |x, _| x);
    mean_is(&found, 0.5625 * 7.5 + 2.0 * 0.0064, |x, y| x * x + y * y);
    for [x, y] in points("rings(n = 100, noise = 0)") {
        let ring = x.hypot(y) / 0.75;
        assert!((ring - ring.round()).abs() < 1e-12 && (1.0..=4.0).contains(&ring.round()));
    }
    let found = points("circles(n = 3000)");
    mean_is(&found, 0.0, |_, y| y);
    mean_is(&found, 9.0 * (0.625 + 2.0 * 0.0064), |x, y| x * x + y * y);
    for [x, y] in points("circles(n = 100, factor = 0.25, noise = 0)") {
        let radius = x.hypot(y);
        assert!((radius - 3.0).abs() < 1e-12 || (radius - 0.75).abs() < 1e-12);
    }
}

/// With `a` uniform on (3π/2, 9π/2): E a cos a = 2, E a sin a = 2/(3π), E a² = 39π²/4.
#[test]
fn swiss_roll_has_its_moments() {
    let found = points("swiss_roll(n = 3000)");
    mean_is(&found, 0.4, |x, _| x);
    mean_is(&found, 2.0 / (15.0 * PI), |_, y| y);
    mean_is(&found, (9.75 * PI * PI + 2.0) / 25.0, |x, y| x * x + y * y);
}

const ONE: &str = "const N = 6\nfn one() = sample(normal(0, 1))\n";

fn draws(count: &str, seed: u64) -> Vec<f64> {
    train(&format!("{ONE}data d = synthetic(one(n = {count}), seed = {seed}) {{ x: [batch] }}"), "d.x")
}

#[test]
fn draws_are_keyed_by_seed_data_set_and_example() {
    let six = draws("6", 1);
    assert_eq!(six, draws("6", 1));
    assert_eq!(six[..4], draws("4", 1), "fewer are the first ones");
    assert_ne!(six, draws("6", 2));
    // Neither the place in the text nor the name of the function is part of the key.
    let elsewhere = "# a comment\nfn other(m) = m + sample(normal(0, 1))\n\ndata d = synthetic(other(0, n = 6), seed = 1) { x: [batch] }";
    assert_eq!(six, train(elsewhere, "d.x"));
    let named = "fn one() = sample(normal(0, 1))\ndata e = synthetic(one(n = 6), seed = 1) { x: [batch] }";
    assert_ne!(six, train(named, "e.x"));
}

#[test]
fn data_are_the_same_on_every_back_end_and_in_every_precision() {
    let lines = "use std.toy (pinwheel)\nsystem A {\n  time t in 0..3\n  state y = 1.0\n  y' = -tanh(y)\n}\n\
        data d = synthetic(pinwheel(n = 200), seed = 1) { x: [batch, 2] }\n\
        data e = simulate(A(), at = linspace(0, 3, 20), noise = normal(0, 0.1)) { y: [20] }";
    let with = |key: &str, value: &str| {
        let binder = binder(lines).setting(key, value);
        let data = [entries(&binder, "d.x", Part::Train), entries(&binder, "e.y", Part::Train)].concat();
        data.into_iter().map(f64::to_bits).collect::<Vec<u64>>()
    };
    let found = with("run.backend", "cranelift");
    assert_eq!(found, with("run.backend", "interp"));
    assert_eq!(found, with("run.precision", "f32"));
    assert_eq!(found, with("run.seed", "7"), "the seed of the data is their own");
}

/// The logarithm of a negative number is none, which only whoever draws finds out.
#[test]
fn a_check_draws_nothing() {
    let binder =
        binder("fn one() = log(-1*sample(uniform(0, 1)))\ndata d = synthetic(one(n = 10)) { x: [batch] }");
    assert!(binder.check().is_ok());
    let shown = binder.data().expect_err("made now").render();
    assert!(shown.starts_with("error[E0705]: `synthetic`: `x[0]` is NaN"), "{shown}");
}

#[test]
fn a_const_that_is_set_changes_how_many_there_are() {
    let lines = format!("{ONE}data d = synthetic(one(n = N), split = [0.5, 0, 0.5]) {{ x: [batch] }}");
    let given = binder(&lines).set("N", 10.0);
    assert_eq!(binder(&lines).data().unwrap().n_examples(Part::Train), Some(3));
    assert_eq!(entries(&given, "d.x", Part::Train).len(), 5);
    assert_eq!(entries(&given, "d.x", Part::Test).len(), 5);
}

/// The settings of one system are its own; those of everything reach it only if it has a block.
#[test]
fn a_system_that_makes_data_is_solved_as_it_says() {
    let lines = "system A {\n  time t in 0..1\n  state y = 1.0\n  y' = -y\n  solve { method = euler, dt = 1 }\n}\n\
        data d = simulate(A(), at = [1]) { y: [1] }";
    let end = |binder: &Binder| entries(binder, "d.y", Part::Train)[0];
    // Steps of Euler: 0, (1/2)², (3/4)⁴.
    assert_eq!(end(&binder(lines)), 0.0);
    assert_eq!(end(&binder(lines).setting("A.solve.dt", "0.5")), 0.25);
    assert_eq!(end(&binder(lines).setting("solve.dt", "0.25")), 0.31640625);
}

/// Series in an array: `[series, rows]` of each part, cut one by one.
#[test]
fn segments_of_many_series_and_of_parts() {
    let folder = std::env::temp_dir().join(format!("nodec-windows-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("a.csv"), "y\n1\n2\n3\n").unwrap();
    std::fs::write(folder.join("b.csv"), "y\n7\n8\n").unwrap();
    let lines = "data w = windows(csv(train = \"a.csv\", test = \"b.csv\"), length = 2) { y: [batch, 2] }";
    let model = Model::from_text("model.node", &format!("{lines}\n{REST}"), folder.clone()).unwrap();
    let found = model.bind();
    assert_eq!(entries(&found, "w.y", Part::Train), [1.0, 2.0, 2.0, 3.0]);
    assert_eq!(entries(&found, "w.y", Part::Test), [7.0, 8.0]);
    std::fs::remove_dir_all(folder).unwrap();

    let many = "system A {\n  random k ~ uniform(1, 2)\n  time t in 0..2\n  state y = 0.0\n  y' = k\n}\n";
    let cut = |length: usize| {
        format!(
            "{many}data d = windows(simulate(A(n = 3), at = [0, 1, 2], seed = 1), length = {length}) {{ y: [batch, {length}] }}"
        )
    };
    let (whole, parts) = (train(&cut(3), "d.y"), train(&cut(2), "d.y"));
    assert_eq!((whole.len(), parts.len()), (9, 12));
    for (series, segments) in whole.chunks(3).zip(parts.chunks(4)) {
        assert_eq!(segments, [series[0], series[1], series[1], series[2]]);
    }
}
