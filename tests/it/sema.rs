//! The meaning of programs: which errors they have, and what the functions of a good one compute.

use nodec::ad;
use nodec::base::span::Sources;
use nodec::diag::Sink;
use nodec::ir::constraint::Constraint;
use nodec::ir::eval::eval;
use nodec::ir::func::Func;
use nodec::ir::program::{Program, Role, Series};
use nodec::ir::system::SiteKind;
use nodec::ir::tensor::Tensor;
use nodec::ir::types::{DType, Type};
use nodec::sema::library::Files;
use nodec::sema::{self, Bindings, Checked, Given, Known};
use nodec::syntax::parse;
use std::sync::Arc;

fn checked(text: &str) -> (Checked, Sources, Sink) {
    let mut sources = Sources::new();
    let source = sources.add("test.node", text);
    let mut sink = Sink::new();
    let parsed = parse(source, text, &mut sink);
    assert!(!sink.has_errors(), "{text}\n{:#?}", sink.diagnostics());
    let mut read = |path: &str| match path {
        "circle.node" => Ok("use \"circle.node\" as me".to_owned()),
        _ => Err("there is no such file".to_owned()),
    };
    let files = Files::gather(Arc::new(parsed.file), &mut sources, &mut sink, &mut read);
    let checked = sema::check(&Arc::new(files), &sources, &Known::default(), &mut sink);
    assert_eq!(checked.is_fine(), !sink.has_errors(), "{text}\n{:#?}", sink.diagnostics());
    (checked, sources, sink)
}

/// The codes of a program with the text that each message marks.
fn messages(text: &str) -> Vec<(String, String)> {
    let (_, sources, sink) = checked(text);
    let said = sink.diagnostics().iter().map(|diagnostic| {
        let marked = diagnostic.primary.as_ref().map_or("", |label| sources.slice(label.span));
        (diagnostic.code.to_string(), marked.to_owned())
    });
    said.collect()
}

/// Asserts the messages of a program, as `("E0201", "gama")`.
#[track_caller]
pub(crate) fn check(text: &str, expected: &[(&str, &str)]) {
    let found = messages(text);
    let found: Vec<(&str, &str)> = found.iter().map(|(code, marked)| (&**code, &**marked)).collect();
    assert_eq!(found, expected, "{text}");
}

/// Asserts the messages of a small system with one state `x`, a param `k` and these lines.
#[track_caller]
pub(crate) fn check_lines(lines: &str, expected: &[(&str, &str)]) {
    check(&format!("param k = 2.0\ntime t in 0..1\nstate x = 1.0\n{lines}"), expected);
}

pub(crate) fn system_with(text: &str, bindings: &Bindings) -> Program {
    let (checked, sources, mut sink) = checked(text);
    assert!(!sink.has_errors(), "{text}\n{:#?}", sink.diagnostics());
    match sema::elaborate(&checked, bindings, &sources, &mut sink) {
        Some(program) => program,
        None => panic!("{text}\n{:#?}", sink.diagnostics()),
    }
}

pub(crate) fn system(text: &str) -> Program {
    system_with(text, &Bindings::default())
}

/// The results of a function whose arguments are listed in order; scalars are one number long.
pub(crate) fn run(func: &Func, args: &[&[f64]]) -> Vec<Vec<f64>> {
    let func = ad::expand(func.clone()).expect("every request has an answer");
    assert_eq!(func.params.len(), args.len(), "{:?}", func.params);
    let args: Vec<Tensor> =
        func.param_types().zip(args).map(|(ty, data)| Tensor::new(ty.clone(), data.to_vec())).collect();
    let results = eval(&func, &args).expect("the function is expanded");
    results.into_iter().map(|tensor| tensor.data).collect()
}

#[track_caller]
pub(crate) fn close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (a, b) in found.iter().zip(expected) {
        // Some tens of roundings on numbers near one.
        assert!((a - b).abs() <= 1e-14 * (1.0 + b.abs()) * 10.0, "{found:?} is not {expected:?}");
    }
}

const LOTKA: &str = r#"
data pelts = csv("hudson_bay.csv") { year: [T], hare: [T], lynx: [T] }
param alpha in positive = 0.55  ~ normal(1.0, 0.5)
param beta  in positive = 0.03  ~ normal(0.05, 0.05)
param delta in positive = 0.02  ~ normal(0.05, 0.05)
param gamma in positive = 0.80  ~ normal(1.0, 0.5)
param sigma: [2] in positive = [0.25, 0.25] ~ lognormal(-1, 1)
param x0 in positive = 30.0 ~ lognormal(log(10), 1), y0 in positive = 4.0 ~ lognormal(log(10), 1)
time t in 1900..1920
state x = x0
state y = y0
x' = alpha*x - beta*x*y
y' = delta*x*y - gamma*y
pelts.hare ~ lognormal(log(x(pelts.year)), sigma[0])
pelts.lynx ~ lognormal(log(y(pelts.year)), sigma[1])
solve { method = dopri5, rtol = 1e-8, atol = 1e-8 }
train { optimizer = lbfgs(), steps = 300 }
plot x, y, (pelts.year, pelts.hare), (pelts.year, pelts.lynx) vs t
"#;

const YEAR: &[f64] = &[1900.0, 1901.0, 1902.0];
const HARE: &[f64] = &[30.0, 47.2, 70.2];
const LYNX: &[f64] = &[4.0, 6.1, 9.8];

fn pelts() -> Bindings {
    let mut bindings = Bindings::default();
    for (path, values) in [("pelts.year", YEAR), ("pelts.hare", HARE), ("pelts.lynx", LYNX)] {
        bindings.data.insert(path.into(), (vec![3], Some(values.to_vec())));
    }
    bindings
}

#[test]
fn lotka_volterra_is_a_system_with_data_priors_and_pictures() {
    let program = system_with(LOTKA, &pelts());
    let paths: Vec<&str> = program.params.iter().map(|param| &*param.path).collect();
    assert_eq!(paths, ["alpha", "beta", "delta", "gamma", "sigma", "x0", "y0"]);
    assert!(program.params.iter().all(|param| param.constraint == Constraint::Positive));
    assert_eq!(*program.params[4].init, [0.25, 0.25]);
    assert_eq!(program.data[1].value.as_deref(), Some(HARE));
    assert_eq!(program.solves[0].sites.len(), 1);
    assert_eq!(
        (program.solves[0].sites[0].kind, program.solves[0].sites[0].count),
        (SiteKind::Times, Some(3))
    );
    let roles: Vec<(Role, &str)> =
        program.results.iter().map(|result| (result.role, &*result.name)).collect();
    assert_eq!(
        roles[..3],
        [(Role::Likelihood, "pelts.hare"), (Role::Likelihood, "pelts.lynx"), (Role::Prior, "prior alpha"),]
    );
    assert_eq!(roles.len(), 2 + 7 + 4);
    let series = &program.plots[0].series;
    assert!(matches!(&series[0], Series::Line { label, .. } if &**label == "x"));
    assert!(matches!(&series[2], Series::Points { label, x: 9, y: 10 } if &**label == "pelts.hare"));
}

#[test]
fn lotka_volterra_computes_what_it_says() {
    let program = system_with(LOTKA, &pelts());
    let params: [&[f64]; 7] = [&[0.55], &[0.03], &[0.02], &[0.8], &[0.25, 0.3], &[30.0], &[4.0]];
    let outside = [params.as_slice(), &[YEAR, HARE, LYNX]].concat();
    assert_eq!(run(&program.solves[0].start, &outside), [[1900.0], [1920.0], [30.0], [4.0]]);
    let now: [&[f64]; 4] = [&[1900.0], &[1900.0], &[30.0], &[4.0]];
    let rates = run(&program.systems[0].field, &[now.as_slice(), &outside].concat());
    close(&rates.concat(), &[0.55 * 30.0 - 0.03 * 120.0, 0.02 * 120.0 - 0.8 * 4.0]);
    assert_eq!(run(&program.solves[0].times, &outside), [YEAR]);
    let sites: [&[f64]; 4] = [&[1900.0], &[1920.0], &[29.0, 45.0, 72.0], &[4.2, 6.0, 9.0]];
    let post = run(&program.post, &[sites.as_slice(), &outside].concat());
    // scipy.stats 1.x: -lognorm.logpdf(hare, 0.25, scale=x).sum() and so on.
    close(&post[0], &[10.137420848919191]);
    close(&post[1], &[4.6768935394118865]);
    // -norm.logpdf(0.55, 1, 0.5), -lognorm.logpdf(sigma, 1, scale=exp(-1)).sum(), -lognorm.logpdf(30, 1, scale=10)
    close(&post[2], &[0.6307913526447272]);
    close(&post[6], &[-0.656975979867676]);
    close(&post[7], &[4.923610395273119]);
    assert_eq!(post[9..], [YEAR, HARE, YEAR, LYNX]);
}

#[test]
fn sizes_of_the_data_are_symbolic_until_they_are_known() {
    let text = LOTKA.replace("hare: [T]", "hare: [3]");
    // Without the file, three numbers and T of them cannot be compared.
    let found = messages(&text);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|(code, _)| code == "E0304"), "{found:?}");
    let (checked, sources, mut sink) = checked(LOTKA);
    let mut bindings = pelts();
    bindings.data.insert("pelts.hare".into(), (vec![2], Some(vec![1.0, 2.0])));
    assert!(sema::elaborate(&checked, &bindings, &sources, &mut sink).is_none());
    assert_eq!(sink.diagnostics()[0].code.0, "E0704");
}

#[test]
fn a_second_order_state_has_a_hidden_one() {
    let program = system(
        "param mu = 1000.0\ntime t in 0..3000\nstate x = 2.0, x' = 0.0\nx'' = mu*(1 - x^2)*x' - x\nplot x vs t\nplot x' vs x",
    );
    let names: Vec<&str> = program.systems[0].states.iter().map(|state| &*state.name).collect();
    assert_eq!(names, ["x", "x'"]);
    assert_eq!(run(&program.solves[0].start, &[&[5.0]]), [[0.0], [3000.0], [2.0], [0.0]]);
    let rates = run(&program.systems[0].field, &[&[0.0], &[0.0], &[2.0], &[0.5], &[5.0]]);
    close(&rates.concat(), &[0.5, 5.0 * (1.0 - 4.0) * 0.5 - 2.0]);
    let curves = run(&program.observe, &[&[7.0], &[2.0], &[0.5], &[0.0], &[3000.0], &[5.0]]);
    assert_eq!(curves, [[7.0], [2.0], [0.5]]);
}

const KEPLER: &str = "
param e in unit = 0.6
time t in 0..1000
state q: [2] = [1 - e, 0]
state p: [2] = [0, sqrt((1 + e)/(1 - e))]
let H = dot(p, p)/2 - 1/norm(q)
q' =  grad(H, p)
p' = -grad(H, q)
output drift = H - H(start)
solve { method = yoshida4, dt = 0.01, save = every(0.1) }
plot drift vs t
plot q[1] vs q[0]
";

#[test]
fn keplers_problem_moves_by_the_gradient_of_its_energy() {
    let program = system(KEPLER);
    let start = run(&program.solves[0].start, &[&[0.6]]);
    close(&start[2], &[0.4, 0.0]);
    close(&start[3], &[0.0, 2.0]);
    let rates = run(&program.systems[0].field, &[&[0.0], &[0.0], &[0.4, 0.3], &[0.1, 0.2], &[0.6]]);
    assert_eq!(rates[0], [0.1, 0.2]);
    // -q/|q|^3 with |q| = 0.5
    close(&rates[1], &[-3.2, -2.4]);
    assert_eq!(program.solves[0].sites.len(), 1);
    assert_eq!(program.solves[0].sites[0].kind, SiteKind::Start);
    // t, q, p, t0, t1, q and p at the start, e
    let drift = run(
        &program.observe,
        &[&[5.0], &[0.4, 0.3], &[0.1, 0.2], &[0.0], &[1000.0], &[0.4, 0.0], &[0.0, 2.0], &[0.6]],
    );
    close(&drift[0], &[(0.05 / 2.0 - 2.0) - (2.0 - 2.5)]);
    assert!(program.curves[0].output);
    // drift, t, q[0], q[1]
    assert_eq!(drift[1..], [vec![5.0], vec![0.4], vec![0.3]]);
}

const LORENZ: &str = "
param sigma = 10.0, rho = 28.0, beta = 8/3
time t in 0..60
state u: [3] = [1, 1, 1]
state v: [3] = [1, 0, 0]
let (x, y, z) = u
u' = [sigma*(y - x), x*(rho - z) - y, x*y - beta*z]
let Jv = jvp(u', u, v)
v' = Jv - dot(v, Jv)*v
channel growth' = dot(v, Jv)
output lyapunov = growth(end) / (end - start)
";

#[test]
fn lorenz_tangent_flow_is_a_jacobian_vector_product() {
    let program = system(LORENZ);
    let params: [&[f64]; 3] = [&[10.0], &[28.0], &[8.0 / 3.0]];
    let now: [&[f64]; 5] = [&[0.0], &[0.0], &[1.0, 2.0, 3.0], &[0.6, 0.0, 0.8], &[0.0]];
    let rates = run(&program.systems[0].field, &[now.as_slice(), &params].concat());
    close(&rates[0], &[10.0, 23.0, -6.0]);
    // With the Jacobian written out, numpy: (Jv - (v @ Jv)*v) and v @ Jv.
    close(&rates[1], &[-3.392, 14.2, 2.544]);
    close(&rates[2], &[-4.346666666666667]);
    let site: [&[f64]; 5] = [&[0.0], &[60.0], &[0.0; 3], &[0.0; 3], &[54.0]];
    assert_eq!(run(&program.post, &[site.as_slice(), &params].concat()), [[0.9]]);
    assert_eq!(program.results[0].role, Role::Output);
}

/// The value of an output of no system in particular.
#[track_caller]
fn value(lines: &str, expected: &[f64]) {
    let text = format!("time t in 0..2\nstate x = 1.0\nx' = -x\nconst unused = 0\n{lines}");
    let program = system(&text);
    let last = program.results.len() - 1;
    let values = program.data.iter().map(|port| port.value.clone().expect("inputs have defaults"));
    let params = program.params.iter().map(|param| param.init.to_vec());
    let mut args: Vec<Vec<f64>> = vec![vec![0.0], vec![2.0]];
    for site in &program.solves[0].sites {
        // The solution of the equation at the sites these tests use.
        args.push(match (site.kind, site.count) {
            (SiteKind::Start, _) => vec![1.0],
            (SiteKind::End, _) => vec![0.25],
            (SiteKind::Times, None) => vec![0.5],
            (SiteKind::Times, Some(n)) => (0..n).map(|i| 2.0 + i as f64).collect(),
        });
    }
    args.extend(params.chain(values));
    let args: Vec<&[f64]> = args.iter().map(Vec::as_slice).collect();
    close(&run(&program.post, &args)[last], expected);
}

#[test]
fn arrays_are_taken_apart_and_put_together() {
    value("const A = [[1, 2, 3], [4, 5, 6]]\noutput o = A[1, :]", &[4.0, 5.0, 6.0]);
    value("const A = [[1, 2, 3], [4, 5, 6]]\noutput o = A.T[2]", &[3.0, 6.0]);
    value("const A = [[1, 2, 3], [4, 5, 6]]\noutput o = A @ A.T @ [1, 0]", &[14.0, 32.0]);
    value("const a = [1, 2, 3, 4]\noutput o = concat(a[2..], a[..1])", &[3.0, 4.0, 1.0]);
    value("const a = [1, 2]\noutput o = flatten(a[:, _] * reshape([3, 3], [2, 1]))", &[3.0, 6.0]);
    value("const a = [1, 2]\noutput o = outer(a, [1, 10])", &[1.0, 10.0, 2.0, 20.0]);
    value("output o = [i^2 + len([1, 2]) for i in 0..3]", &[2.0, 3.0, 6.0]);
    value("const a = [1, 2, 3]\noutput o = sum(a[i]*a[j] for i in 0..3 for j in 0..i if j != 0)", &[6.0]);
    value("const a = [1, 2, 3]\noutput o = max(v^2 for v in a)", &[9.0]);
    value("const A = [[1, 2, 3], [4, 5, 6]]\noutput o = sum(A, axis = 0)", &[5.0, 7.0, 9.0]);
    value("output o = reverse([1, 2, 3]) + zeros(3) + ones(3)", &[4.0, 3.0, 2.0]);
    value("output o = trace([[1, 2], [3, 4]])", &[5.0]);
}

#[test]
fn functions_of_the_language_have_their_values() {
    // scipy.special: logsumexp, softmax, erf
    value("output o = logsumexp([1, 2, 3])", &[3.40760596444438]);
    value("output o = softmax([1, 2, 3])", &[0.09003057317038046, 0.24472847105479764, 0.6652409557748218]);
    value("output o = gelu(0.7)", &[0.5306254434438489]);
    value("output o = mean([1, 2, 6]) + sumsq([1, 2]) + norm([3, 4]) + min(2, 1)", &[14.0]);
    value("output o = mse([1, 2], [3, 5]) + clamp(7, 0, 1) + hypot(3, 4)", &[12.5]);
    value("output o = 8/3 - 2^-1 - -2^2", &[8.0 / 3.0 - 0.5 + 4.0]);
    // scipy.stats: uniform, expon, cauchy, laplace
    value("output o = log_prob(uniform(-1, 2), 0.5)", &[-1.0986122886681098]);
    value("output o = log_prob(exponential(2.5), 0.7)", &[-0.8337092681258448]);
    value("output o = log_prob(cauchy(0.5, 2), 1.5)", &[-2.061020617723555]);
    value("output o = log_prob(laplace(0.5, 2), 1.5)", &[-1.8862943611198908]);
}

#[test]
fn functions_of_the_file_are_inlined() {
    value("fn f(a, b = 2) = a*b\noutput o = f(3) + f(3, b = 5) + 4 |> f(1)", &[25.0]);
    value("fn twice(f, x) = f(f(x))\noutput o = twice(v -> 3*v, 2)", &[18.0]);
    value("fn apply(act, x) = act(x)\noutput o = apply(sqrt, 9)", &[3.0]);
    value("fn last[N](a: [N]) -> real { let b = 2*a\n b[N - 1] }\noutput o = last([1, 2, 7])", &[14.0]);
    value("const n = 2\nfn f(a) = [a[i] for i in n..len(a)]\noutput o = f([1, 2, 3, 4])", &[3.0, 4.0]);
}

#[test]
fn derivatives_vary_one_name_and_hold_the_others() {
    value("param a = 3.0, b = 5.0\nlet c = a*b\noutput o = grad(c^2, a)", &[2.0 * 15.0 * 5.0]);
    // A let given as second argument is independent.
    value("param a = 3.0, b = 5.0\nlet c = a*b\noutput o = grad(c^2 + a, c)", &[30.0]);
    value("param a = [1.0, 2.0]\noutput o = jac([a[0]*a[1], a[0]^3], a)", &[2.0, 1.0, 3.0, 0.0]);
    value("param a = [1.0, 2.0]\noutput o = vjp(a^2, a, [1, 10])", &[2.0, 40.0]);
    value("param a = [1.0, 2.0]\noutput o = div(a^2, a) + jac_frob2(a^2, a)", &[6.0 + 20.0]);
    value("param a = [1.0, 2.0]\noutput o = laplacian(sum(a^3), a)", &[18.0]);
    value("param a = [1.0, 2.0]\noutput o = hvp(a[0]^2*a[1], a, [1, 0])", &[4.0, 2.0]);
    value("fn slope(u) = grad(sin(u)*u, u)\nparam a = 0.0\noutput o = slope(a) + grad(slope(a), a)", &[2.0]);
    value("param a = 2.0\noutput o = grad(stop_gradient(a)*a, a)", &[2.0]);
    // A branch does not hide the name that is varied.
    value("param a = 4.0\nlet r = sqrt(a)\noutput o = grad(if r > 1 then r^2 else 0, r)", &[4.0]);
}

#[test]
fn trajectories_are_evaluated_at_times() {
    value("output o = x(start) - x(end)", &[0.75]);
    value("let y = 2*x\noutput o = y(end) + x'(end)", &[0.25]);
    value("const ts = [0.5, 1.0]\noutput o = x(ts)", &[2.0, 3.0]);
    value("const ts = [0.5, 1.0]\nlet y = x^2 + t\noutput o = y(ts)", &[4.5, 10.0]);
    // (x²)' = 2x·x' = -2x² along the motion, at each of the times
    value("const ts = [0.5, 1.0]\nlet y = x^2\noutput o = y'(ts)", &[-8.0, -18.0]);
    value("let y = x^2\noutput o = y''(end)", &[4.0 * 0.0625]);
    value("let y = t*x\noutput o = y'(2.5)", &[0.5 - 2.5 * 0.5]);
    let two = system("time t in 0..2\nstate x = 1.0\nx' = -x\noutput a = x(0.5) + x(1.0/2), b = x(end)");
    assert_eq!(two.solves[0].sites.len(), 2, "equal times share a site");
}

#[test]
fn the_side_of_an_if_that_is_not_taken_leaks_nothing() {
    let value_and_slope = |a: &str, expected: [f64; 2]| {
        let text = format!("param a = {a}\nlet e = if a > 0 then sqrt(a) + log(a) + 1/a + a^-2 else 0*a\n");
        value(&format!("{text}output o = [e, grad(e, a)]"), &expected);
    };
    value_and_slope("0.0", [0.0, 0.0]);
    value_and_slope("-1.0", [0.0, 0.0]);
    value_and_slope("1.0", [3.0, 0.5 + 1.0 - 1.0 - 2.0]);
    value("param a = [-1.0, 4.0]\noutput o = grad(sum(if a > 0 then sqrt(a) else a), a)", &[1.0, 0.25]);
    value(
        "param a = [0.0, 0.0]\nlet r = norm(a)\noutput o = grad(if a[0] > 0 then r else 0, a)",
        &[0.0, 0.0],
    );
}

#[test]
fn values_are_set_from_outside() {
    let text = "const n = 2\nparam k = 1.0\ninput dose = 0.5\ntime t in 0..1\nstate x: [n] = [k + i for i in 0..n]\nx' = -dose*x\n";
    let mut bindings = Bindings { real: DType::F32, ..Bindings::default() };
    for (name, number) in [("n", 3.0), ("k", 7.0), ("dose", 0.25)] {
        bindings.overrides.insert(name.into(), Given::Number(number));
    }
    let program = system_with(text, &bindings);
    assert_eq!(program.systems[0].states[0].ty, Type::new(DType::F32, &[3]));
    assert_eq!(*program.params[0].init, [7.0]);
    assert_eq!(program.data[0].value, Some(vec![0.25]));
    assert_eq!(run(&program.solves[0].start, &[&[7.0], &[0.25]])[2], [7.0, 8.0, 9.0]);
}

#[test]
fn what_was_extracted_is_shown() {
    let (checked, sources, _) = checked(KEPLER);
    let text = checked.equations(&sources).expect("the file is fine");
    assert_eq!(
        text,
        "time t in 0..1000\nstate q: [2] = [1 - e, 0]\nstate p: [2] = [0, sqrt((1 + e)/(1 - e))]\n  q' = grad(H, p)\n  \
         p' = -grad(H, q)\nparam e in interval(0, 1) = 0.6\noutput drift\ncurve t\ncurve q[0]\ncurve q[1]\n"
    );
}

#[test]
fn names_that_nothing_defines_are_reported_once() {
    check(&LOTKA.replace("gamma*y", "gama*y"), &[("E0201", "gama")]);
    check_lines("x' = -k*y\nlet z = w", &[("E0201", "w"), ("E0201", "y")]);
    check_lines("x' = fo(x)", &[("E0201", "fo")]);
    check_lines("let a = b\nlet b = a\nx' = a", &[("E0206", "a")]);
    check_lines("const k = 3\nx' = k", &[("E0205", "k")]);
    check_lines("fn f(a) = f(a)\nx' = f(x)", &[("E0320", "f(a)")]);
    check_lines("dx/dt = -k*x", &[("E0112", "dx/dt")]);
    check_lines("x' = -x\nlog(k) ~ normal(0, 1)", &[("E0214", "log(k)")]);
}

#[test]
fn shapes_that_do_not_agree_are_refused() {
    check_lines("x' = [1, 2]", &[("E0301", "[1, 2]")]);
    check_lines("x' = -x\nconst a = [1, 2, 3], b = [1, 2, 3, 4]\nlet c = a + b", &[("E0304", "+")]);
    check_lines("x' = -x\nloss l = [1, 2]*x(end)", &[("E0305", "[1, 2]*x(end)")]);
    check_lines("x' = -x\nconst a = [1, 2, 3]\nlet c = a[3]", &[("E0309", "3")]);
    check_lines("x' = -x\nconst a = [1, 2, 3]\nlet g = grad(a*x, x)", &[("E0604", "a*x")]);
    check_lines("x' = -x\nconst A = [[1, 2], [3, 4]]\nlet g = A' @ A", &[("E0602", "A'")]);
    check_lines("x' = -x\nlet g = grad(x^2, 2*x)", &[("E0603", "2*x")]);
}

#[test]
fn trajectories_are_not_numbers() {
    check_lines("x' = -x\nloss l = x^2", &[("E0401", "x")]);
    check_lines("x' = -x\nconst c = k", &[("E0402", "k")]);
    check_lines("x' = -x(t - 1)", &[("E0403", "t - 1")]);
    check_lines("x' = -x(0.5)", &[("E0403", "x(0.5)")]);
    check_lines("x' = -k(2)", &[("E0404", "k")]);
    check("time t in 0..1\nstate x = 1.0, y = x\nx' = y\ny' = x", &[("E0401", "x")]);
}

#[test]
fn every_state_has_one_equation() {
    check_lines("", &[("E0501", "x")]);
    check_lines("x' = 1\nx' = 2", &[("E0504", "x' = 2")]);
    check_lines("x'^2 = 1 - x^2", &[("E0503", "x'^2")]);
    check_lines("k' = 1\nx' = 1", &[("E0511", "k")]);
    check_lines("x'' = -x", &[("E0512", "x''")]);
    check_lines("x' = -x'", &[("E0502", "x' = -x'")]);
    check(
        "time t in 0..1\nstate x = 1.0, y = 0.0, z = 0.0\nx' = -x\ny' = x\n0 = x + y + z - 1",
        &[("E0501", "z")],
    );
    check_lines("x' = 1 + c\nchannel c' = x\noutput o = c(end)", &[("E0505", "c")]);
    check_lines("x' = -x\nchannel c' = x", &[("W0602", "c")]);
    check_lines("x' = -x\nloss l = x(end)", &[("W0601", "k")]);
    check("state x = 1.0\nx' = -x", &[("E0513", "state x = 1.0")]);
}

#[test]
fn the_standard_library_is_the_folder_and_is_laid_out() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("stdlib");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut there: Vec<String> =
        entries.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    there.sort();
    let known: Vec<&str> = sema::library::MODULES.iter().map(|(name, _)| *name).collect();
    assert_eq!(known, there);
    for (name, text) in sema::library::MODULES {
        let mut sources = Sources::new();
        let source = sources.add(*name, *text);
        let mut sink = Sink::new();
        let parsed = parse(source, text, &mut sink);
        assert!(!sink.has_errors(), "{name}: {:#?}", sink.diagnostics());
        assert_eq!(nodec::syntax::format::format(&parsed.tokens, text), *text, "{name}");
    }
}

#[test]
fn values_that_grow_by_powers_of_two_are_refused() {
    let doubled = |first: &str, next: &dyn Fn(usize) -> String| {
        (1..60).fold(format!("let r0 = {first}\n"), |text, n| text + &format!("let r{n} = {}\n", next(n - 1)))
    };
    let records = doubled("(a = 1, b = 2)", &|n| format!("(a = r{n}, b = r{n})"));
    let codes = |text: &str| messages(text).into_iter().map(|(code, _)| code).collect::<Vec<_>>();
    let rest = "time t in 0..1\nstate x = 1.0\nx' = -x\n";
    assert_eq!(codes(&format!("{records}{rest}")), ["E0311"]);
    let lists = doubled("[1, 2]", &|n| format!("[..r{n}, ..r{n}]"));
    assert_eq!(codes(&format!("{lists}{rest}")), ["E0311"]);
    let folds = "let s = fold a = 0.0 for i in 0..900 { fold a = a for j in 0..900 { a + j } }\n";
    assert_eq!(codes(&format!("{folds}{rest}")), ["E0311"]);
}

#[test]
fn a_statistic_of_a_batch_is_refused_everywhere() {
    check_lines("x' = -k*x\nloss l = batch_mean(x(end))", &[("E0410", "batch_mean(x(end))")]);
    check_lines("x' = -k*x\nlet m = batch_mean(x)", &[("E0410", "batch_mean(x)")]);
}

#[test]
fn the_pages_of_names_shapes_phases_and_systems_are_true() {
    let bands = ["E0112", "E02", "E03", "E04", "E05", "E06", "W06"];
    let rows =
        nodec::diag::codes::ALL.iter().filter(|row| bands.iter().any(|band| row.code.0.starts_with(band)));
    let (mut n_pages, mut untrue) = (0, Vec::new());
    // These are said once sizes and settings are known; `explain` runs their pages.
    for row in rows.filter(|row| !matches!(row.code.0, "E0311" | "W0520" | "W0610")) {
        let block = |kind: &str| {
            let (_, rest) =
                row.page.split_once(&format!("```node {kind}\n")).expect("a page has both programs");
            rest.split_once("```").expect("a block ends").0
        };
        let codes = |text: &str| messages(text).into_iter().map(|(code, _)| code).collect::<Vec<_>>();
        let (wrong, right) = (codes(block("wrong")), codes(block("right")));
        if wrong != [row.code.0] || !right.is_empty() {
            untrue.push(format!("{}: the wrong program gives {wrong:?}, the right one {right:?}", row.code));
        }
        n_pages += 1;
    }
    assert_eq!(untrue, [] as [String; 0]);
    assert!(n_pages >= 36, "{n_pages}");
}
