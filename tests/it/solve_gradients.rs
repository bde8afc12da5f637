//! The gradient of a solve, for every method: against closed forms, against the tangent of the
//! same steps carried forward, and against differences of the same steps.

use nodec::ad;
use nodec::ir::func::Func;
use nodec::plan::Plan;
use nodec::plan::controls::{Adjoint, Controls, Save};
use nodec::plan::forward::Solved;
use nodec::plan::objective::Objective;
use nodec::plan::operands::Context;
use nodec::plan::pack::{Target, objective};
use nodec::plan::step::whole_step;
use nodec::plan::trace::Place;
use nodec::plan::unit::{Data, Element, Inputs, Kernel, compile};
use nodec::solve::tableau::Coeff;
use nodec::solve::{Adaptive, Options, Tableau};
use nodec::{Gradient, Model, Run};

struct Case {
    name: &'static str,
    text: &'static str,
}

/// Every way in which a param can reach a loss.
const CASES: &[Case] = &[
    Case {
        name: "a scalar state, a start that is a param, dense output",
        text: "
            param k = 0.7, x0 = 2.0
            time t in 0..3
            state x = x0
            x' = -k*x + sin(t)
            loss at_end = x(end)^2
            loss inside = x(1.2345)*k
            loss at_start = x(start)^3
        ",
    },
    Case {
        name: "a vector state with a matrix, many times in one loss",
        text: "
            param A: [2, 2] = [[-0.3, 1.0], [-1.2, -0.2]], a: [2] = [1, 0.5]
            const ts: [6] = [0, 0.31, 0.312, 1.0, 2.718, 3]
            const obs: [6, 2] = [[1, 0], [0.8, 0.2], [0.7, 0.1], [0.4, 0.3], [0.1, 0.2], [-0.3, 0.1]]
            time t in 0..3
            state u: [2] = a
            u' = A @ tanh(u)
            loss fit = sumsq(u(ts) - obs)
        ",
    },
    Case {
        name: "a state of second order, lets at times",
        text: "
            param w in positive = 1.7, c in positive = 0.1, a = 1.0, b = -0.3
            time t in 0..3
            state x = a, x' = b
            x'' = -w^2*x - c*x'
            let H = (x'^2 + w^2*x^2)/2
            loss lost = H(start) - H(2.5)
            loss slope = x'(1.1)^2
        ",
    },
    Case {
        name: "channels",
        text: "
            param k = 0.7, m = 0.3
            time t in 0..3
            state x = 1.0 + m
            x' = -k*x^2
            channel cost' = m*x^2 + k*t
            channel other' = [x, k]
            loss late = cost(end) + other(end)[0]
            loss early = cost(0.77)*other(2.1)[1]
        ",
    },
    Case {
        name: "params that live in sets, with priors",
        text: "
            param r in positive = 1.2 ~ lognormal(0, 1), K in interval(1, 5) = 2.0 ~ normal(2, 1), s in unit = 0.3
            time t in 0..3
            state x = s
            x' = r*x*(1 - x/K)
            loss far = (x(end) - 1)^2
            loss near = log(x(0.4))
        ",
    },
    Case {
        name: "stiff enough to reject steps",
        text: "
            param mu in positive = 3.0, x0 = 2.0
            time t in 0..6
            state x = x0, x' = 0.0
            x'' = mu*(1 - x^2)*x' - x
            channel work' = x'^2
            loss end_x = x(end)
            loss end_work = work(end)
            loss middle = x(3.3)*x'(3.3)
        ",
    },
    Case {
        name: "time that runs backwards",
        text: "
            param k = 0.7
            time t in 3..0
            state x = k
            x' = -k*x + cos(t)
            loss here = x(1.25) + x(end)^2
        ",
    },
];

fn build(text: &str, tableau: &Tableau, tol: f64, dt: f64) -> Run {
    build_with(text, tableau, tol, dt, &[])
}

fn build_with(text: &str, tableau: &Tableau, tol: f64, dt: f64, settings: &[(&str, &str)]) -> Run {
    let model = Model::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let mut binder = model.bind().method(tableau.name);
    binder = match tableau.embedded {
        Some(_) => binder.rtol(tol).atol(tol),
        None => binder.setting("solve.dt", &dt.to_string()),
    };
    for (key, value) in settings {
        binder = binder.setting(key, value);
    }
    binder.build().unwrap_or_else(|error| panic!("{error}"))
}

/// The controls that [`build`] asks for.
fn controls(run: &Run, tol: f64, dt: f64) -> Controls {
    let options = match run.plan().tableau(0).embedded {
        Some(_) => Options::adaptive(Adaptive::new(tol, tol, run.plan().layout.systems[0].n_states)),
        None => Options::fixed(dt),
    };
    let adjoints = vec![Adjoint::Discrete];
    Controls { options: vec![options], seed: 0, save: Save::Nothing, adjoints }
}

fn flat(gradient: &Gradient) -> Vec<f64> {
    gradient.by.iter().flat_map(|param| param.values.clone()).collect()
}

fn params(run: &Run) -> Vec<f64> {
    run.params().iter().flat_map(|param| param.values.clone()).collect()
}

/// A direction without zeros or symmetry.
fn direction(n: usize) -> Vec<f64> {
    (0..n).map(|i| (1.0 + i as f64).sin() + 0.1).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The scale of the rounding errors in [`dot`].
fn dot_size(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a * b).abs()).sum()
}

/// The steps of a run as a function of the params, with its tangent: `p, dp -> value, dvalue`. It
/// takes steps of the same sizes and reads the dense output at the same places, so that value and
/// tangent are those that the gradient is of.
struct Steps<'a, T> {
    plan: &'a Plan,
    data: &'a Data,
    run: Solved<T>,
    start: Kernel,
    rate: Kernel,
    step: Kernel,
    objective: Kernel,
    n_terms: usize,
}

impl<'a, T: Element> Steps<'a, T> {
    fn new(plan: &'a Plan, data: &'a Data, run: Solved<T>, target: Target) -> Steps<'a, T> {
        let tangent = |func: &Func, wrt: &[usize]| ad::jvp_func(func, wrt).unwrap();
        let funcs = &plan.funcs;
        let value = objective(&plan.program, &plan.layout, target).func;
        let sites_and_p: Vec<usize> = (2..3 + plan.program.solves[0].sites.len()).collect();
        let compiled = compile(
            [
                &tangent(&funcs.packed.solves[0].start.func, &[0]),
                &tangent(&funcs.packed.rates[0], &[2, 4]),
                &tangent(&whole_step(&funcs.packed.rates[0], plan.tableau(0)), &[2, 3, 5]),
                &tangent(&value, &sites_and_p),
            ],
            plan.backend(),
        );
        let [start, rate, step, objective] = compiled.unwrap();
        let n_terms = target.terms(&plan.program).len();
        Steps { plan, data, run, start, rate, step, objective, n_terms }
    }

    /// Operands, then the data, then tangents; results with their tangents.
    fn call(&self, kernel: &Kernel, before: &[&[T]], after: &[&[T]], lens: &[usize]) -> Vec<Vec<T>> {
        let mut inputs: Inputs<'_> = before.iter().map(|input| T::input(input)).collect();
        inputs.extend(self.data.inputs());
        inputs.extend(after.iter().map(|input| T::input(input)));
        let mut results: Vec<Vec<T>> = lens.iter().chain(lens).map(|len| vec![T::default(); *len]).collect();
        let mut outputs: Vec<_> = results.iter_mut().map(|result| T::output(result)).collect();
        kernel.call(&inputs, &mut outputs, &mut Default::default());
        results
    }

    fn value_and_tangent(&self, p: &[T], dp: &[T]) -> (f64, f64) {
        let (trace, tableau) = (&self.run.trace, self.plan.tableau(0));
        let read = |p: &[T]| self.plan.layout.systems[0].gather(p);
        let (q, dq) = (read(p), read(dp));
        let (n, s) = (trace.n, tableau.n_rows());
        let mut sites = vec![T::default(); self.run.places.len() * n];
        let mut dsites = sites.clone();
        let start = self.call(&self.start, &[p], &[dp], &[1, 1, n, 0]);
        let (mut y, mut dy) = (start[2].clone(), start[6].clone());
        for node in 0..=trace.n_steps() {
            for row in (0..self.run.places.len()).filter(|row| self.run.places[*row] == Place::Node(node)) {
                sites[row * n..][..n].copy_from_slice(&y);
                dsites[row * n..][..n].copy_from_slice(&dy);
            }
            if node == trace.n_steps() {
                break;
            }
            let (t, h) = ([T::from_f64(trace.t[node])], [T::from_f64(trace.h[node])]);
            let rate = self.call(&self.rate, &[&t, &t, &y, &[], &q], &[&dy, &dq], &[n]);
            let (k1, dk1) = (&rate[0], &rate[1]);
            let lens = [(s - 1) * n, n, n];
            let step = self.call(&self.step, &[&t, &h, &y, k1, &[], &q], &[&dy, dk1, &dq], &lens);
            for (row, place) in self.run.places.iter().enumerate() {
                let Place::Inside { step: at, theta } = *place else { continue };
                if at == node {
                    let dense = |y: &[T], k1: &[T], tail: &[T], i: usize| {
                        let k = |j: usize| if j == 0 { k1[i] } else { tail[(j - 1) * n + i] };
                        let sum: f64 = (0..s).map(|j| tableau.dense.weight(j, theta) * k(j).to_f64()).sum();
                        T::from_f64(y[i].to_f64() + trace.h[node] * sum)
                    };
                    for i in 0..n {
                        sites[row * n + i] = dense(&y, k1, &step[0], i);
                        dsites[row * n + i] = dense(&dy, dk1, &step[3], i);
                    }
                }
            }
            (y, dy) = (step[1].clone(), step[4].clone());
        }
        let ends = [trace.t[0], trace.t[trace.n_steps()]].map(|t| [T::from_f64(t)]);
        let split = |mut rows: &'_ [T]| -> Vec<Vec<T>> {
            let mut parts = Vec::new();
            for count in &self.plan.layout.solves[0].site_rows {
                let (part, rest) = rows.split_at(count * n);
                parts.push(part.to_vec());
                rows = rest;
            }
            parts
        };
        let (sites, dsites) = (split(&sites), split(&dsites));
        let mut before: Vec<&[T]> = vec![&ends[0], &ends[1]];
        before.extend(sites.iter().map(Vec::as_slice));
        before.push(p);
        let mut after: Vec<&[T]> = dsites.iter().map(Vec::as_slice).collect();
        after.push(dp);
        // The value, then its terms, then their tangents.
        let n_terms = self.n_terms;
        let value = self.call(&self.objective, &before, &after, &vec![1; 1 + n_terms]);
        (value[0][0].to_f64(), value[1 + n_terms][0].to_f64())
    }
}

/// The steps of `run` at its present params, which are those that its gradient is taken through.
fn steps<'a, T: Element>(run: &'a Run, data: &'a Data, controls: &Controls) -> Steps<'a, T> {
    let p: Vec<T> = params(run).into_iter().map(T::from_f64).collect();
    let context = Context { plan: run.plan(), p: &p, data };
    let solved = context.simulate(controls).unwrap().of(0).clone();
    Steps::new(run.plan(), data, solved, Target::Total)
}

/// The derivative of `value` at 0 from four points around it. With `h = 1e-4` it is off by
/// `h⁴ f⁗'/30`, at most 1e-9 here, and by some `eps/h`, 1e-11, times the growth of rounding errors.
fn slope(value: &impl Fn(f64) -> f64) -> f64 {
    let h = 1e-4;
    (8.0 * (value(h) - value(-h)) - (value(2.0 * h) - value(-2.0 * h))) / (12.0 * h)
}

/// ⟨gradient, direction⟩ = tangent, but for the rounding of some hundred steps.
#[test]
fn gradients_are_the_transpose_of_tangents() {
    let data = Data::default();
    for case in CASES {
        for tableau in Tableau::ALL {
            let run = build(case.text, tableau, 1e-5, 0.1);
            let steps = steps::<f64>(&run, &data, &controls(&run, 1e-5, 0.1));
            let p = params(&run);
            let gradient = run.gradient().unwrap();
            let dp = direction(p.len());
            let (value, tangent) = steps.value_and_tangent(&p, &dp);
            let name = format!("{}, {}", case.name, tableau.name);
            let size = value.abs().max(1.0);
            let gap = (value - gradient.value).abs() / size;
            assert!(gap <= 1e-14 * cancellation(tableau), "{name}: {value} {}", gradient.value);
            let by_reverse = dot(&flat(&gradient), &dp);
            let error = (by_reverse - tangent).abs() / dot_size(&flat(&gradient), &dp);
            assert!(error < 1e-12 * cancellation(tableau), "{name}: {by_reverse} {tangent} {error:e}");
        }
    }
}

/// How much larger round-off is in the steps of `tableau` and inside them, beside that of coefficients up
/// to a hundred: where those of the dense output cancel, or where stages of large coefficients enter the
/// new state with large ones.
fn cancellation(tableau: &Tableau) -> f64 {
    let largest = |row: &[Coeff]| row.iter().map(|w| w.value().abs()).fold(0.0, f64::max);
    let inside = tableau.dense.weights.iter().map(|row| largest(row)).fold(0.0, f64::max);
    let stages = tableau.a.iter().map(|row| largest(row)).fold(0.0, f64::max);
    (1e-2 * inside.max(stages * largest(tableau.b))).max(1.0)
}

/// Differences of the very steps the gradient is of.
#[test]
fn gradients_are_the_limits_of_differences() {
    let data = Data::default();
    for case in CASES {
        for tableau in Tableau::ALL {
            let run = build(case.text, tableau, 1e-5, 0.1);
            let steps = steps::<f64>(&run, &data, &controls(&run, 1e-5, 0.1));
            let p = params(&run);
            let gradient = flat(&run.gradient().unwrap());
            let size = gradient.iter().fold(1.0, |m: f64, g| m.max(g.abs()));
            for i in 0..p.len() {
                let value = |h: f64| {
                    let mut p = p.clone();
                    p[i] += h;
                    steps.value_and_tangent(&p, &vec![0.0; p.len()]).0
                };
                let difference = slope(&value);
                let error = (difference - gradient[i]).abs() / size;
                let name = format!("{}, {}, entry {i}", case.name, tableau.name);
                assert!(error < 1e-7, "{name}: {difference} {} {error:e}", gradient[i]);
            }
        }
    }
}

/// With fixed steps nothing needs to be held: the difference quotient of whole runs through the
/// public calls, params changed by `set_param`.
#[test]
fn gradients_of_fixed_steps_are_differences_of_whole_runs() {
    for case in CASES {
        for tableau in Tableau::ALL.into_iter().filter(|tableau| tableau.embedded.is_none()) {
            let run = build(case.text, tableau, 0.0, 0.1);
            let gradient = run.gradient().unwrap();
            // Two functions, summed in the same order but optimised apart.
            let objective = run.solve().unwrap().objective();
            assert!((gradient.value - objective).abs() <= 4.0 * f64::EPSILON * objective.abs());
            for param in &gradient.by {
                for i in 0..param.values.len() {
                    let value = |h: f64| {
                        let mut moved = run.clone();
                        let mut values =
                            run.params().into_iter().find(|p| p.path == param.path).unwrap().values;
                        values[i] += h;
                        assert!(moved.set_param(&param.path, &values));
                        moved.solve().unwrap().objective()
                    };
                    let difference = slope(&value);
                    let error = (difference - param.values[i]).abs() / difference.abs().max(1.0);
                    let name = format!("{}, {}, {}[{i}]", case.name, tableau.name, param.path);
                    assert!(error < 1e-7, "{name}: {difference} {} {error:e}", param.values[i]);
                }
            }
        }
    }
}

/// The sum of the gradients of the terms is the gradient of their sum.
#[test]
fn every_named_loss_has_its_own_gradient() {
    for case in CASES {
        let run = build(case.text, Tableau::by_name("tsit5").unwrap(), 1e-6, 0.0);
        let total = run.gradient().unwrap();
        // A sum of n terms rounds by at most n ε of their size (N. Higham, Accuracy and Stability of
        // Numerical Algorithms, 4.2): a gradient has a term for each evaluation.
        let rounding = f64::EPSILON * total.evaluations as f64;
        let (mut sum, mut size) = (vec![0.0; params(&run).len()], vec![1.0; params(&run).len()]);
        let mut value = 0.0;
        let solution = run.solve().unwrap();
        for result in solution.values() {
            let part = run.grad(&result.name).unwrap().unwrap();
            let gap = (part.value - result.values[0]).abs();
            assert!(gap <= 4.0 * f64::EPSILON * part.value.abs(), "{}: {gap:e}", result.name);
            value += part.value;
            sum.iter_mut().zip(flat(&part)).for_each(|(sum, part)| *sum += part);
            // Each part rounds by itself, and so does their total.
            size.iter_mut().zip(flat(&part)).for_each(|(size, part)| *size += 2.0 * f64::abs(part));
        }
        assert!((value - total.value).abs() <= 1e-14 * value.abs().max(1.0));
        for ((sum, total), size) in sum.iter().zip(flat(&total)).zip(size) {
            assert!((sum - total).abs() <= rounding.max(1e-13) * size, "{}: {sum} {total} {size}", case.name);
        }
        assert!(run.grad("no such loss").is_none());
    }
}

/// In single precision each of some hundred steps rounds by 6e-8, in both directions of the pass.
#[test]
fn gradients_in_single_precision() {
    let data = Data::default();
    for case in CASES {
        for tableau in Tableau::ALL {
            // Coefficients of thousands cancel to a few digits in single precision.
            if cancellation(tableau) > 10.0 {
                continue;
            }
            let text = case.text;
            let single = build_with(text, tableau, 1e-4, 0.1, &[("run.precision", "f32")]);
            let gradient = single.gradient().unwrap();
            let steps = steps::<f32>(&single, &data, &controls(&single, 1e-4, 0.1));
            let p: Vec<f32> = params(&single).iter().map(|p| *p as f32).collect();
            let dp = direction(p.len());
            let dp32: Vec<f32> = dp.iter().map(|d| *d as f32).collect();
            let (_, tangent) = steps.value_and_tangent(&p, &dp32);
            let by_reverse = dot(&flat(&gradient), &dp);
            let error = (by_reverse - tangent).abs() / dot_size(&flat(&gradient), &dp);
            let name = format!("{}, {}", case.name, tableau.name);
            assert!(error < 1e-4 * cancellation(tableau), "{name}: {by_reverse} {tangent} {error:e}");
        }
    }
}

struct Closed {
    name: &'static str,
    text: &'static str,
    /// The loss `value` and its derivatives by the params, in their order.
    exact: fn() -> (f64, Vec<f64>),
}

/// Solutions known in closed form, at the end of the run.
const CLOSED: &[Closed] = &[
    Closed {
        name: "decay with its quadrature",
        text: "
            param k = 0.8, a = 1.5
            time t in 0..2
            state x = a
            x' = -k*x
            channel area' = x^2
            loss value = x(end) + area(end)
        ",
        // x = a e^(-kT), area = a² (1 - e^(-2kT))/(2k)
        exact: || {
            let (k, a, t) = (0.8_f64, 1.5_f64, 2.0_f64);
            let (e, e2) = ((-k * t).exp(), (-2.0 * k * t).exp());
            let by_k = -a * t * e + a * a * (t * e2 / k - (1.0 - e2) / (2.0 * k * k));
            (a * e + a * a * (1.0 - e2) / (2.0 * k), vec![by_k, e + a * (1.0 - e2) / k])
        },
    },
    Closed {
        name: "logistic growth",
        text: "
            param r in positive = 1.1, K in positive = 2.0, a in unit = 0.4
            time t in 0..2
            state x = a
            x' = r*x*(1 - x/K)
            loss value = x(end)
        ",
        // x = K/D with D = 1 + (K/a - 1) e^(-rT)
        exact: || {
            let (r, k, a, t) = (1.1_f64, 2.0_f64, 0.4_f64, 2.0_f64);
            let e = (-r * t).exp();
            let d = 1.0 + (k / a - 1.0) * e;
            let by_r = k * t * e * (k / a - 1.0) / (d * d);
            (k / d, vec![by_r, 1.0 / d - k * e / (a * d * d), k * k * e / (a * a * d * d)])
        },
    },
    Closed {
        name: "the frequency of an oscillator",
        text: "
            param w in positive = 1.3, a = 0.9
            time t in 0..2
            state x = a, x' = 0.0
            x'' = -w^2*x
            loss value = x(end)
        ",
        // x = a cos(wT)
        exact: || {
            let (w, a, t) = (1.3_f64, 0.9_f64, 2.0_f64);
            (a * (w * t).cos(), vec![-a * t * (w * t).sin(), (w * t).cos()])
        },
    },
];

fn gradient_error(closed: &Closed, tableau: &Tableau, tol: f64, dt: f64) -> f64 {
    let gradient = build(closed.text, tableau, tol, dt).grad("value").unwrap().unwrap();
    let (_, exact) = (closed.exact)();
    flat(&gradient).iter().zip(exact).map(|(g, e)| (g - e).abs()).fold(0.0, f64::max)
}

/// The gradient of the discrete solution converges to that of the exact one at the order of the
/// method; a slope between steps of 1/40 and 1/80 is off by a multiple of the step.
#[test]
fn gradients_converge_at_the_order_of_the_method() {
    for closed in CLOSED {
        for tableau in Tableau::ALL.into_iter().filter(|tableau| tableau.embedded.is_none()) {
            let error = |dt: f64| gradient_error(closed, tableau, 0.0, dt);
            let slope = (error(1.0 / 40.0) / error(1.0 / 80.0)).log2();
            let name = format!("{}, {}", closed.name, tableau.name);
            assert!((slope - f64::from(tableau.order)).abs() < 0.15, "{name}: order {slope}");
        }
    }
}

/// Errors do not grow in these problems, so a run is right to a hundred tolerances, and so is the
/// gradient of the steps it takes.
#[test]
fn gradients_of_adaptive_runs_are_those_of_the_closed_form() {
    for closed in CLOSED {
        for tableau in Tableau::ALL.into_iter().filter(|tableau| tableau.embedded.is_some()) {
            for tol in [1e-6, 1e-9] {
                let error = gradient_error(closed, tableau, tol, 0.0);
                let name = format!("{}, {} {tol:e}", closed.name, tableau.name);
                assert!(error < 100.0 * tol, "{name}: {error:e}");
            }
        }
    }
}

/// Forward over reverse: each row of the Hessian in free space is the difference of gradients, and
/// the matrix is symmetric to round-off.
#[test]
fn hessians_are_symmetric_and_differences_of_gradients() {
    let data = Data::default();
    for case in CASES {
        for tableau in Tableau::ALL {
            let run = build(case.text, tableau, 1e-5, 0.1);
            let n = params(&run).len();
            // The steps at the point in hand, replayed nearby with the same sizes, give the same
            // derivatives as a run with fixed steps does; so differences are taken of those.
            let controls = controls(&run, 1e-5, 0.1);
            let objective = Objective::new(run.plan(), &data, &controls, Target::Total);
            let u: Vec<f64> = (0..n).map(|i| 0.3 - 0.1 * i as f64).collect();
            let at = objective.at(&u).unwrap();
            let rows: Vec<Vec<f64>> = (0..n)
                .map(|i| {
                    let mut du = vec![0.0; n];
                    du[i] = 1.0;
                    objective.hessian_vector(&u, &at, &du).unwrap()
                })
                .collect();
            let size = rows.iter().flatten().fold(1.0, |m: f64, h| m.max(h.abs()));
            let name = format!("{}, {}", case.name, tableau.name);
            for (i, j) in (0..n).flat_map(|i| (0..i).map(move |j| (i, j))) {
                let gap = (rows[i][j] - rows[j][i]).abs() / size;
                assert!(gap < 1e-12 * cancellation(tableau), "{name}: [{i}, {j}] {gap:e}");
            }
            if tableau.embedded.is_some() {
                continue;
            }
            for (i, row) in rows.iter().enumerate() {
                let gradient = |h: f64| {
                    let mut u = u.clone();
                    u[i] += h;
                    objective.gradient(&u, &objective.at(&u).unwrap()).unwrap()
                };
                let (up, down) = (gradient(1e-5), gradient(-1e-5));
                for j in 0..n {
                    let gap = ((up[j] - down[j]) / 2e-5 - row[j]).abs() / size;
                    assert!(gap < 1e-7, "{name}: [{i}, {j}] {gap:e}");
                }
            }
        }
    }
}
