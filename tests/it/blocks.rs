//! Examples taken in blocks, one in each lane, against the same examples taken alone: losses to the
//! bit, gradients to the rounding of their sum; and the same bits whatever the threads and the back end.

use nodec::data::Part;
use nodec::train::BatchGradient;
use nodec::{Model, Run};
use std::path::Path;

struct Case {
    name: &'static str,
    text: &'static str,
}

const CASES: &[Case] = &[
    Case {
        name: "a network, the loss at the end",
        text: "
            use std.layers (MLP)
            fn point() {
              let x = sample(normal(0, 1))
              let y = sample(normal(0, 1))
              (x = [x, y], y = [x*y, 3*sin(x)])
            }
            data d = synthetic(point(n = 100), seed = 3) { x: [batch, 2], y: [batch, 2] }
            param net = MLP[2, 2](hidden = [5], act = tanh)
            time t in 0..1
            state z: [2] = d.x
            z' = (1 + sumsq(d.y))*net(z)
            loss fit = mean((z(end) - d.y)^2)
            metric far = sum(abs(z(end)))
        ",
    },
    Case {
        name: "a flow with channels, and draws",
        text: "
            use std.layers (ConcatSquash)
            fn point() { (x = [sample(normal(0, 1)), sample(uniform(0, 2))]) }
            data d = synthetic(point(n = 100), seed = 3) { x: [batch, 2] }
            param net = ConcatSquash(hidden = [3], act = tanh)
            random eps: [2] ~ normal(0, 1)
            time t in 0..1
            state z: [2] = d.x + 0.1*eps
            z' = net(z, t)
            channel logdet' = div(z')
            channel kinetic' = sumsq(z')
            loss nll = -sum(log_prob(normal(0, 1), z(end))) - logdet(end)
            loss reg = 0.01*kinetic(end)
        ",
    },
    Case {
        name: "several solves, one from the end of another, spans of different lengths, of which one is none",
        text: "
            fn point() {
              let a = sample(uniform(0, 2))
              (x = a, n = if a < 0.5 then 0 else a)
            }
            data d = synthetic(point(n = 100), seed = 5) { x: [batch], n: [batch] }
            param k = 0.7, r = 0.3
            system Decay(x0) {
              time s in 0..d.n
              state y = x0
              y' = -k*y + r*sin(3*s)
            }
            let before = Decay(x0 = d.x)().y
            time t in 0..1
            state x = before
            x' = -r*x^2 + k*before
            loss fit = (x(end) - 1)^2 + x(start)*k
        ",
    },
    Case {
        name: "many times inside steps, masks, and times that differ",
        text: "
            use std.layers (MLP)
            data icu = npz(\"physionet.npz\") { t: [batch, T?], x: [batch, T?, C], mask: [batch, T?, C] }
            param net = MLP[2, 2](hidden = [4], act = tanh), scale in positive = 0.5
            time t in span(icu.t)
            state z: [2] = scale*[1 + icu.t[0], 1]
            z' = net(z)
            let fit = [sum(icu.mask[k])*sumsq(z(icu.t[k]) - [1, 2]) for k in 0..T]
            loss fit_all = sum(fit)
            metric end = sum(z(end))
        ",
    },
    Case {
        name: "times that steps end on, backwards",
        text: "
            fn point() {
              let at = sample(uniform(0.2, 0.8))
              (x = sample(uniform(0, 2)), t = [0, at, 1], u = [at, sample(normal(0, 1)), sample(normal(0, 1))])
            }
            data d = synthetic(point(n = 100), seed = 5) { x: [batch], t: [batch, 3], u: [batch, 3] }
            param a: [2] = [0.7, -0.4]
            control U = linear(d.t, d.u)
            time t in 1..0
            state x = d.x
            x' = a[0]*x + a[1]*U*U'
            loss fit = (x(end) - 1)^2 + x(0.55)^2
        ",
    },
];

const ADAPTIVE: &str = "solve { method = dopri5, rtol = 1e-5, atol = 1e-5 }";
/// Without a rate that is the last of the step before, and with stages for dense output alone.
const OTHERS: [&str; 3] = [
    "solve { method = rk4, dt = 0.13 }",
    "solve { method = dop853, rtol = 1e-6, atol = 1e-6 }",
    "solve { method = bosh3, rtol = 1e-3, atol = 1e-3 }",
];

fn run(case: &Case, solve: &str, settings: &[(&str, &str)]) -> Run {
    let text = format!("{}\n{solve}\n", case.text);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/latent_ode");
    let model = Model::from_text("m.node", &text, folder)
        .unwrap_or_else(|all| panic!("{}: {}", case.name, all.render()));
    let bound = settings.iter().fold(model.bind(), |bound, (key, value)| bound.setting(key, value));
    bound.build().unwrap_or_else(|all| panic!("{}: {}", case.name, all.render()))
}

fn gradient(run: &Run, examples: &[usize]) -> BatchGradient {
    let found = run.batch_gradients(Part::Train).and_then(|mut gradients| gradients(examples));
    found.unwrap_or_else(|error| panic!("{}", error.diagnostics().render()))
}

fn numbers(gradient: &BatchGradient) -> Vec<f64> {
    gradient.by.iter().flat_map(|param| param.values.iter().copied()).collect()
}

/// A block of these examples against each of them alone; `eps` is the unit of the precision.
fn compare(case: &Case, run: &Run, examples: &[usize], eps: f64) {
    let block = gradient(run, examples);
    let alone: Vec<BatchGradient> = examples.iter().map(|example| gradient(run, &[*example])).collect();
    let count = examples.len() as f64;
    for (at, (name, value)) in block.terms.iter().enumerate() {
        let sum = alone.iter().fold(0.0, |sum, one| sum + one.terms[at].1);
        assert_eq!(*value, sum / count, "{}: {name}", case.name);
    }
    assert_eq!(block.evaluations, alone.iter().map(|one| one.evaluations).sum::<u64>(), "{}", case.name);
    let (found, alone): (_, Vec<Vec<f64>>) = (numbers(&block), alone.iter().map(numbers).collect());
    let largest = alone.iter().flatten().fold(0.0_f64, |most, g| most.max(g.abs()));
    assert!(largest > 1e-3, "{}: {largest}", case.name);
    for (at, found) in found.iter().enumerate() {
        let mean = alone.iter().map(|one| one[at]).sum::<f64>() / count;
        let away = (found - mean).abs();
        assert!(away <= 50.0 * eps * largest, "{}: entry {at}: {found}, not {mean}", case.name);
    }
}

/// 50 units of the last place of the largest entry: 1.1e-14 in double precision.
#[test]
fn a_block_is_the_examples_in_it() {
    for case in CASES {
        let double = run(case, ADAPTIVE, &[]);
        compare(case, &double, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], f64::EPSILON);
        compare(case, &double, &[9, 2, 6], f64::EPSILON);
        let single = run(case, ADAPTIVE, &[("run.precision", "f32")]);
        compare(case, &single, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], f64::from(f32::EPSILON));
    }
}

#[test]
fn so_it_is_with_other_methods() {
    for solve in OTHERS {
        for case in [&CASES[0], &CASES[3], &CASES[4]] {
            compare(case, &run(case, solve, &[]), &[0, 1, 2, 3, 4], f64::EPSILON);
        }
    }
}

/// Twice the cotangents are twice all products and sums, exactly; lanes that repeat the last example
/// add zeros.
#[test]
fn an_example_twice_has_the_gradient_that_it_has_alone() {
    for case in CASES {
        for precision in ["f64", "f32"] {
            let run = run(case, ADAPTIVE, &[("run.precision", precision)]);
            assert_eq!(numbers(&gradient(&run, &[1, 1])), numbers(&gradient(&run, &[1])), "{}", case.name);
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads_or_the_back_end() {
    let case = &CASES[0];
    for count in [1, 3, 16, 17, 100] {
        let examples: Vec<usize> = (0..count).rev().collect();
        let with = |threads: &str| gradient(&run(case, ADAPTIVE, &[("run.threads", threads)]), &examples);
        let one = with("1");
        assert_eq!([with("2"), with("5")], [one.clone(), one.clone()], "{count} examples");
        if count == 17 {
            let interpreted = run(case, ADAPTIVE, &[("run.backend", "interp")]);
            assert_eq!(gradient(&interpreted, &examples), one);
        }
    }
}

/// What `evaluate` finds are the means of what each example has alone, metrics among them.
#[test]
fn values_without_a_gradient() {
    for case in [&CASES[0], &CASES[3]] {
        let run = run(case, ADAPTIVE, &[]);
        let means =
            run.evaluate(Part::Train).unwrap_or_else(|error| panic!("{}", error.diagnostics().render()));
        let count = run.n_examples(Part::Train);
        let values = |name: &str| -> Vec<f64> {
            let one = |example| run.solve_example(Part::Train, example).expect("it solves");
            (0..count).map(|example| one(example).value(name).expect("a term").values[0]).collect()
        };
        assert_eq!(means.len(), 2);
        for (term, mean) in means {
            let expected = values(&term.name).iter().sum::<f64>() / count as f64;
            assert!(
                (mean - expected).abs() <= 1e-13 * expected.abs(),
                "{}: {mean}, not {expected}",
                term.name
            );
        }
    }
}

/// An example that cannot be solved is the one that is told about, in the words it has alone.
#[test]
fn what_one_example_cannot_do_is_said() {
    let text = "fn point() { (x = sample(uniform(0, 2))) }
        data d = synthetic(point(n = 20), seed = 5) { x: [batch] }
        param k = 1.0
        time t in 0..1
        state x = d.x
        x' = k*x^2
        loss fit = x(end)^2
        solve { method = dopri5, rtol = 1e-6, atol = 1e-6 }";
    let case = Case { name: "a pole for starts above 1", text };
    let run = run(&case, "", &[]);
    let mut gradients = run.batch_gradients(Part::Train).unwrap_or_else(|_| panic!("it compiles"));
    let together = gradients(&(0..20).collect::<Vec<_>>()).expect_err("some start above 1");
    let first = (0..20).find_map(|example| gradients(&[example]).err()).expect("some start above 1");
    assert_eq!(together.diagnostics().render(), first.diagnostics().render());
}
