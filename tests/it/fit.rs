//! Fits through the public calls. The reference for program 3.1 is a computation of its own in
//! 40 digits: mpmath 1.3 over a Taylor series method of order 36 with steps of 1/10 year, the
//! Hessian by central differences with h = 1e-9. SciPy 1.17's DOP853 with Nelder-Mead and BFGS
//! finds the same optimum to 9 digits.

use nodec::ir::program::Role;
use nodec::plan::controls::{Adjoint, Controls, Save};
use nodec::plan::objective::Objective;
use nodec::plan::pack::Target;
use nodec::plan::unit::Data;
use nodec::solve::{Adaptive, Options};
use nodec::train::Why;
use nodec::{Curvature, Error, Fit, Model, NoErrors, ParamValue, Run, Solution};
use std::ops::ControlFlow;
use std::path::PathBuf;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/lotka_volterra/lotka_volterra.node");
const TABLE: &str = include_str!("../../examples/lotka_volterra/hudson_bay.csv");

/// alpha, beta, delta, gamma, sigma[0], sigma[1], x0, y0: the optimum, rounded.
const OPTIMUM: [f64; 8] =
    [0.541685508, 0.0272497616, 0.0238383596, 0.796879432, 0.215988311, 0.217813082, 34.1351609, 5.84496182];
/// Hare, lynx, priors, and their sum, there.
const TERMS_AT_OPTIMUM: [f64; 4] = [68.028265239753, 54.920295989184, 4.1330375722426, 127.08159880118];
/// The same at the start values of the program.
const TERMS_AT_START: [f64; 4] = [94.930876112206, 102.9381117656, 3.9061445444503, 201.77513242225];
/// The square roots of the diagonal of the inverse Hessian by the logarithms, times the params.
const ERRORS: [f64; 8] = [
    0.05400341946,
    0.003521170433,
    0.003005682194,
    0.0763688535,
    0.03271163847,
    0.03300160263,
    2.526290811,
    0.4437100916,
];
/// The Hessian by the logarithms of the params at `OPTIMUM`.
#[rustfmt::skip]
const HESSIAN: [[f64; 8]; 8] = [
    [3924.192447488, 172.5645305611, 1883.403068997, 2101.389829119, -24.1593174228, 22.17321165876, 1729.581813555, 293.1484723161],
    [172.5645305611, 536.1743335266, 122.8657813352, 787.1358994927, -3.268082726147, 2.772130980844, 235.1656107671, 217.7798436832],
    [1883.403068997, 122.8657813352, 1562.380554103, 279.3096988418, -17.25683233249, 16.75790815173, 1117.205038161, 115.6898060793],
    [2101.389829119, 787.1358994927, 279.3096988418, 3119.476428049, -5.965276653339, 4.67037494437, 844.7365097362, 569.318227391],
    [-24.1593174228, -3.268082726147, -17.25683233249, -5.965276653339, 43.93493884859, 0.0, -12.30242341699, -3.268082726147],
    [22.17321165876, 2.772130980844, 16.75790815173, 4.67037494437, 0.0, 43.95176453576, 16.75790815173, 4.19407767202],
    [1729.581813555, 235.1656107671, 1117.205038161, 844.7365097362, -12.30242341699, 16.75790815173, 1123.158968853, 227.9896355112],
    [293.1484723161, 217.7798436832, 115.6898060793, 569.318227391, -3.268082726147, 4.19407767202, 227.9896355112, 343.0751290789],
];
/// The gradient by the logarithms of the params at the start values of the program.
const GRADIENT_AT_START: [f64; 8] = [
    -566.65531117119,
    -96.669294085414,
    -398.06669742,
    -222.90241374924,
    -47.517047180231,
    -90.109215096526,
    -369.65967505265,
    -162.33206990295,
];

fn lotka_volterra(settings: &[(&str, &str)]) -> Run {
    let model = Model::load(EXAMPLE).unwrap_or_else(|error| panic!("{error}"));
    let binder = settings.iter().fold(model.bind(), |binder, (key, value)| binder.setting(key, value));
    binder.build().unwrap_or_else(|error| panic!("{error}"))
}

fn flat(params: &[ParamValue]) -> Vec<f64> {
    params.iter().flat_map(|param| param.values.clone()).collect()
}

fn fit(run: &mut Run) -> Fit {
    run.fit(|_| ControlFlow::Continue(())).unwrap_or_else(|error| panic!("{error}"))
}

fn terms(solution: &Solution) -> [f64; 4] {
    let value = |name: &str| solution.value(name).unwrap().values[0];
    let priors = solution.values().iter().filter(|value| value.role == Role::Prior);
    let priors = priors.map(|value| value.values[0]).sum();
    [value("pelts.hare"), value("pelts.lynx"), priors, solution.objective()]
}

#[track_caller]
fn near(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (f, e) in found.iter().zip(expected) {
        assert!((f - e).abs() <= tolerance * e.abs(), "{found:?}\n{expected:?}\n{:e}", (f - e) / e);
    }
}

/// The populations are right to a hundred tolerances of 1e-8; each of 21 years divides its error,
/// relative to the population, by sigma and multiplies it by a residual of some sigmas: some 1e-4
/// of the whole at the very most, and as errors cancel, 1e-8.
#[test]
fn the_objective_is_that_of_a_computation_of_its_own() {
    let mut run = lotka_volterra(&[]);
    near(&terms(&run.solve().unwrap()), &TERMS_AT_START, 1e-7);
    for (param, value) in run.params().iter().zip([0..1, 1..2, 2..3, 3..4, 4..6, 6..7, 7..8]) {
        assert!(run.set_param(&param.path, &OPTIMUM[value]));
    }
    near(&terms(&run.solve().unwrap()), &TERMS_AT_OPTIMUM, 1e-7);
}

#[test]
fn the_gradient_is_that_of_a_computation_of_its_own() {
    let run = lotka_volterra(&[]);
    let by_logarithm: Vec<f64> =
        flat(&run.gradient().unwrap().by).iter().zip(flat(&run.params())).map(|(g, p)| g * p).collect();
    near(&by_logarithm, &GRADIENT_AT_START, 1e-6);
}

/// The columns of the table under the names of the run's data.
fn data(run: &Run) -> Data {
    let mut lines = TABLE.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let rows: Vec<Vec<f64>> =
        lines.map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect()).collect();
    let ports = &run.program().data;
    let columns: Vec<Vec<f64>> = ports
        .iter()
        .map(|port| {
            let field = port.path.rsplit('.').next().unwrap();
            let column = names.iter().position(|name| *name == field).unwrap();
            rows.iter().map(|row| row[column]).collect()
        })
        .collect();
    Data::new(ports, &columns)
}

/// Forward over reverse, at rtol 1e-10: the gradient is exact for the steps taken, and these are
/// right to a hundred tolerances times the growth of errors in second derivatives.
#[test]
fn the_hessian_is_that_of_a_computation_of_its_own() {
    let run = lotka_volterra(&[]);
    let controls = Controls {
        options: vec![Options::adaptive(Adaptive::new(1e-10, 1e-10, 2))],
        seed: 0,
        save: Save::Nothing,
        adjoints: vec![Adjoint::Discrete],
    };
    let data = data(&run);
    let objective = Objective::new(run.plan(), &data, &controls, Target::Total);
    let u: Vec<f64> = OPTIMUM.iter().map(|p| p.ln()).collect();
    let at = objective.at(&u).unwrap();
    near(&[at.value], &TERMS_AT_OPTIMUM[3..], 1e-9);
    let gradient = objective.gradient(&u, &at).unwrap();
    assert!(gradient.iter().all(|g| g.abs() < 1e-5), "{gradient:?}");
    for (i, row) in HESSIAN.iter().enumerate() {
        let mut du = [0.0; 8];
        du[i] = 1.0;
        let found = objective.hessian_vector(&u, &at, &du).unwrap();
        let size = row[i];
        for (j, (f, e)) in found.iter().zip(row).enumerate() {
            assert!((f - e).abs() < 1e-8 * size, "[{i}, {j}]: {f} {e}");
        }
    }
}

/// L-BFGS ends where the next step would lower the objective by less than 1e-13 of it; as the
/// objective is flat there, params are right to the square root of that times their errors.
#[test]
fn the_fit_lands_on_the_optimum() {
    let mut run = lotka_volterra(&[]);
    let fit = fit(&mut run);
    assert!(fit.why.converged(), "{:?}", fit.why);
    near(&[fit.objective], &TERMS_AT_OPTIMUM[3..], 1e-8);
    near(&terms(&fit.solution), &TERMS_AT_OPTIMUM, 1e-6);
    near(&flat(&fit.params), &OPTIMUM, 1e-6);
    near(&flat(fit.errors.as_ref().unwrap()), &ERRORS, 1e-5);
    // The run is left there.
    assert_eq!(run.params(), fit.params);
    near(&[run.solve().unwrap().objective()], &[fit.objective], 1e-15);
    // Posterior means of B. Carpenter, Predator-prey population dynamics (Stan case study, 2018),
    // which the optimum meets within their standard deviations.
    for (i, mean) in [(0, 0.55), (1, 0.028), (2, 0.024), (3, 0.80)] {
        assert!((flat(&fit.params)[i] - mean).abs() < ERRORS[i]);
    }
}

#[test]
fn adam_comes_to_the_same_optimum() {
    let settings = [("train.optimizer", "adam(lr = 0.02)"), ("train.steps", "1500")];
    let fit = fit(&mut lotka_volterra(&settings));
    assert!((fit.objective - TERMS_AT_OPTIMUM[3]).abs() < 1e-3, "{}", fit.objective);
    near(&flat(&fit.params), &OPTIMUM, 0.01);
}

/// The interpreter, machine code and a second build take the same way to the same bits.
#[test]
fn fits_are_repeatable_to_the_bit() {
    for precision in ["f64", "f32"] {
        let bits = |backend: &str| {
            let settings = [
                ("run.backend", backend),
                ("run.precision", precision),
                ("solve.rtol", "1e-5"),
                ("solve.atol", "1e-5"),
                ("train.steps", "5"),
            ];
            let fit = fit(&mut lotka_volterra(&settings));
            let mut all = flat(&fit.params);
            all.extend(flat(&fit.errors.unwrap_or_default()));
            all.extend([fit.objective, fit.gradient_norm, fit.solution.objective()]);
            (fit.gradient_evaluations, all.iter().map(|x| x.to_bits()).collect::<Vec<u64>>())
        };
        let machine = bits("cranelift");
        assert_eq!(machine, bits("cranelift"));
        assert_eq!(machine, bits("interp"));
    }
}

/// Single precision rounds by 6e-8 in each of some hundred steps, and the objective is a sum of 50
/// terms: the optimum is found to three digits.
#[test]
fn a_fit_in_single_precision() {
    let settings = [("run.precision", "f32"), ("solve.rtol", "1e-5"), ("solve.atol", "1e-5")];
    let fit = fit(&mut lotka_volterra(&settings));
    near(&[fit.objective], &TERMS_AT_OPTIMUM[3..], 1e-5);
    near(&flat(&fit.params), &OPTIMUM, 1e-2);
}

#[test]
fn a_callback_can_end_a_fit() {
    let mut run = lotka_volterra(&[]);
    let mut seen = Vec::new();
    let fit = run
        .fit(|progress| {
            seen.push((progress.step, progress.value));
            if progress.step == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!((fit.why, fit.steps), (Why::Stopped, 3));
    assert_eq!(seen.iter().map(|(step, _)| *step).collect::<Vec<u64>>(), [1, 2, 3]);
    assert!(seen.is_sorted_by(|a, b| a.1 > b.1), "{seen:?}");
    near(&[run.solve().unwrap().objective()], &[seen[2].1], 1e-15);
}

/// `x' = k x²` from 1 blows up before t = 1 where k > 1, and x(1) = 1/(1 - k).
fn pole(k: f64) -> Run {
    let text = "param k = 0.0\ntime t in 0..1\nstate x = 1.0\nx' = k*x^2\nloss l = (x(end) - 5)^2\ntrain { optimizer = lbfgs() }";
    Model::parse(text).unwrap().bind().set("k", k).rtol(1e-9).atol(1e-9).build().unwrap()
}

#[test]
fn a_fit_that_cannot_be_solved_where_it_starts_says_why() {
    let mut run = pole(2.0);
    match run.fit(|_| ControlFlow::Continue(())).map(|_| ()).unwrap_err() {
        Error::Failed { diagnostics, outcome: Some(outcome) } => {
            assert!(!outcome.is_success());
            let code = diagnostics.iter().next().unwrap().code.0;
            assert!(["E0901", "E0902"].contains(&code), "{diagnostics}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(flat(&run.params()), [2.0]);
}

/// The first step, as long as the gradient says, goes beyond k = 1, where there is no solution.
#[test]
fn trial_points_without_a_solution_are_stepped_back_from() {
    for start in [-1.0, 0.0, 0.5] {
        let fit = fit(&mut pole(start));
        assert!(fit.why.converged(), "{start}: {:?}", fit.why);
        assert!((flat(&fit.params)[0] - 0.8).abs() < 1e-6, "{start}: {:?}", fit.params);
        assert_eq!(fit.errors, Err(NoErrors::NotADensity));
    }
}

/// The optimum of `s` lies at 1, which no point of free space is mapped to but by rounding: ten
/// steps of 10 end there, and a second fit, which could not move it, is refused.
#[test]
fn a_param_on_the_border_of_its_set_is_not_fitted() {
    let text = "param s in unit = 0.5\ntime t in 0..1\nstate x = s\nx' = 0*x\nloss l = -x(end)\n\
                train { optimizer = adam(lr = 10), steps = 10, tolerance = 0 }";
    let mut run = Model::parse(text).unwrap().bind().build().unwrap_or_else(|error| panic!("{error}"));
    fit(&mut run);
    assert_eq!(flat(&run.params()), [1.0]);
    let error = run.fit(|_| ControlFlow::Continue(())).map(|_| ()).unwrap_err();
    assert_eq!(
        error.diagnostics().render().trim_end(),
        "error[E0806]: param `s` stands at 1, on the border of its set\n --> model.node:1:7\n  |\n\
         1 | param s in unit = 0.5\n  |       ^ a fit cannot move it from there\n  |\n  \
         = help: set it to a value inside"
    );
}

fn refused(text: &str) -> String {
    let built = Model::parse(text).and_then(|model| model.bind().build());
    let error = match built {
        Ok(mut run) => match run.fit(|_| ControlFlow::Continue(())).map(|_| ()).unwrap_err() {
            Error::Invalid(diagnostics) => diagnostics,
            other => panic!("{other}"),
        },
        Err(diagnostics) => diagnostics,
    };
    error.render().trim_end().to_owned()
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    assert_eq!(
        refused("param k = 1.0\ntime t in 0..1\nstate x = 1.0\nx' = -k*x"),
        "error[E0807]: there is nothing to fit: the model has no loss\n\
         help: add `loss name = ...` or a likelihood, `data ~ ...`"
    );
    assert_eq!(
        refused("time t in 0..1\nstate x = 1.0\nx' = -x\nloss l = x(end)"),
        "error[E0807]: there is nothing to fit: the model has no params\n\
         help: declare what is to be fitted as `param`"
    );
    assert_eq!(
        refused("param k in positive = -1.0\ntime t in 0..1\nstate x = 1.0\nx' = -k*x\nloss l = x(end)"),
        "error[E0806]: param `k` starts at -1, outside the positive numbers\n --> model.node:1:23\n  |\n\
         1 | param k in positive = -1.0\n  |                       ^^^^ must start inside the set it lives in\n  |\n  \
         = help: start it inside, or change the set after `in`"
    );
}

fn folder(test: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("nodec-fit-{}-{test}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Only the sum of `a` and `b` matters, so the Hessian is singular.
#[test]
fn params_that_the_data_do_not_determine_have_no_errors() {
    let folder = folder("undetermined");
    std::fs::write(folder.join("d.csv"), "t,x\n0.5,0.6\n1,0.4\n1.5,0.2\n").unwrap();
    let text = "data d = csv(\"d.csv\") { t: [T], x: [T] }\nparam a = 0.5, b = 0.4\ntime t in 0..2\n\
                state x = 1.0\nx' = -(a + b)*x\nd.x ~ normal(x(d.t), 0.1)";
    let model = Model::from_text("m.node", text, folder.clone()).unwrap_or_else(|error| panic!("{error}"));
    let fit = fit(&mut model.bind().build().unwrap());
    std::fs::remove_dir_all(folder).unwrap();
    assert!(matches!(fit.errors, Err(NoErrors::Undetermined(_))), "{:?}", fit.errors);
}

/// x = e^(-k t), seen without error at three times with a known spread s: the residuals are zero, so the
/// Gauss–Newton matrix is the Hessian, and the standard error is s/√(Σ t² e^(-2kt)), at k = 1/2.
#[test]
fn stiff_fits_have_standard_errors_by_gauss_newton() {
    let folder = folder("stiff");
    let rows = [0.5_f64, 1.0, 2.0].map(|t| format!("{t},{:e}\n", (-0.5 * t).exp())).concat();
    std::fs::write(folder.join("d.csv"), format!("t,x\n{rows}")).unwrap();
    let text = "data d = csv(\"d.csv\") { t: [T], x: [T] }\nparam k in positive = 0.8\ntime t in 0..2\n\
                state x = 1.0\nx' = -k*x\nd.x ~ normal(x(d.t), 0.1)\n\
                solve { rtol = 1e-9, atol = 1e-11 }\ntrain { optimizer = lbfgs() }";
    let weight: f64 = [0.5_f64, 1.0, 2.0].iter().map(|t| t * t * (-t).exp()).sum();
    let wanted = 0.1 / weight.sqrt();
    for (method, curvature) in [
        ("tsit5", Curvature::Hessian),
        ("radau5", Curvature::GaussNewton),
        ("rodas5p", Curvature::GaussNewton),
        ("bdf", Curvature::GaussNewton),
    ] {
        let model =
            Model::from_text("m.node", text, folder.clone()).unwrap_or_else(|error| panic!("{error}"));
        let fit = fit(&mut model.bind().method(method).build().unwrap());
        assert_eq!(fit.curvature, curvature);
        let found = fit.errors.unwrap()[0].values[0];
        assert!((found / wanted - 1.0).abs() < 1e-5, "{method}: {found} {wanted}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
