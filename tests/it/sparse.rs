//! Sparse Jacobians: the pattern covers every derivative, and sparse runs agree with dense ones and
//! with references.

use crate::op_samples::samples;
use nodec::ad::{jvp_func, sparsity};
use nodec::ir::eval::eval;
use nodec::ir::func::Func;
use nodec::ir::op::Op;
use nodec::ir::tensor::Tensor;
use nodec::{Model, Solution};

/// The methods with a Newton matrix, one of each kind.
const IMPLICIT: [&str; 5] = ["radau5", "rodas5p", "bdf", "kencarp4", "auto"];

/// The Brusselator of `N` inner points on a line: Hairer, Wanner II, IV.1.
fn brusselator(n: usize) -> String {
    format!(
        "const N = {n}, alpha = 0.02\ntime t in 0..10\n\
         state u: [N] = [1 + sin(2*pi*(i + 1)/(N + 1)) for i in 0..N]\nstate v: [N] = [3 for i in 0..N]\n\
         let du = concat([1], u[..N - 1]) - 2*u + concat(u[1..], [1])\n\
         let dv = concat([3], v[..N - 1]) - 2*v + concat(v[1..], [3])\n\
         u' = 1 + u^2*v - 4*u + alpha*(N + 1)^2*du\nv' = 3*u - u^2*v + alpha*(N + 1)^2*dv\n"
    )
}

fn solved(text: &str, method: &str, jacobian: &str, rtol: f64) -> Solution {
    let model = Model::parse(text).expect("it checks");
    let run = model.bind().method(method).rtol(rtol).setting("solve.atol", &rtol.to_string());
    let run = run.setting("solve.jacobian", jacobian).build().expect("it compiles");
    run.solve().expect("it runs")
}

/// Every derivative of every op that is not zero stands in the pattern.
#[test]
fn patterns_cover_every_derivative_of_every_op() {
    for op in Op::ALL {
        for sample in samples(*op).into_iter().filter(|sample| sample.smooth()) {
            for param in sample.floats() {
                covers(&sample.func, &sample.args, param, &format!("{op:?}"));
            }
        }
    }
}

fn covers(func: &Func, args: &[Tensor], param: usize, name: &str) {
    let rows = sparsity(func, 0, param).expect("it is small");
    let tangent = jvp_func(func, &[param]).expect("it has a derivative");
    for direction in 0..args[param].data.len() {
        let mut seed = vec![0.0; args[param].data.len()];
        seed[direction] = 1.0;
        let args: Vec<Tensor> =
            args.iter().cloned().chain([Tensor::new(args[param].ty.clone(), seed)]).collect();
        let column = &eval(&tangent, &args).expect("it evaluates")[1];
        for (row, slope) in column.data.iter().enumerate() {
            let known = rows[row].contains(&(direction as u32));
            assert!(known || *slope == 0.0, "{name}: entry {row}, {direction} is {slope}");
        }
    }
}

/// Cells on a line meet their neighbours and their own reaction: at most 4 entries in a row. No method
/// needs more directions for more cells.
#[test]
fn a_line_of_cells_takes_as_many_directions_whatever_its_length() {
    for n in [32, 128, 500] {
        let stats = solved(&brusselator(n), "radau5", "auto", 1e-6).stats();
        assert_eq!(stats.nonzeros, 8 * n as u64 - 4);
        assert!(stats.colours <= 6, "{} colours", stats.colours);
        assert!(stats.fill < 30 * n as u64, "{} entries in the factors of {n} cells", stats.fill);
    }
}

/// End values from SciPy 1.17.1: `solve_ivp` with Radau at rtol 1e-10 and atol 1e-12; its BDF at 1e-9
/// agrees to 3e-8. Dense and sparse runs take the same steps.
#[test]
fn the_brusselator_agrees_with_its_reference_dense_and_sparse() {
    let expected = [0.9217199975633914, 0.43020673585165037, 3.098815870984578, 3.6894451831900765];
    let text = brusselator(32);
    for method in IMPLICIT {
        let [sparse, dense] = ["sparse", "dense"].map(|form| solved(&text, method, form, 1e-7));
        let (u, v) = (sparse.end("u").expect("a state"), sparse.end("v").expect("a state"));
        for (found, expected) in [u[0], u[16], v[0], v[16]].into_iter().zip(expected) {
            // A method at rtol 1e-7 over a stable interval.
            assert!((found - expected).abs() < 1e-5, "{method}: {found} for {expected}");
        }
        assert_eq!(sparse.stats().accepted, dense.stats().accepted, "{method}");
        let of_dense = dense.end("u").expect("a state");
        let difference = u.iter().zip(&of_dense).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        // Round-off of two factorisations, far below the tolerance.
        assert!(difference < 1e-10, "{method}: {difference:e}");
        assert_eq!((dense.stats().colours, dense.stats().nonzeros), (0, 0));
    }
}

/// 500 cells, 1000 states: the same reference with sparse columns.
#[test]
fn a_long_line_agrees_with_its_reference() {
    let end = solved(&brusselator(500), "bdf", "auto", 1e-6);
    let expected = [0.994825197897134, 0.42985746249660844];
    let u = end.end("u").expect("a state");
    for (found, expected) in [u[0], u[250]].into_iter().zip(expected) {
        assert!((found - expected).abs() < 1e-4, "{found} for {expected}");
    }
}

/// `u' = Δ_h u - u` on a square of `n × n` inner points, from the lowest eigenvector of the discrete
/// Laplacian: `exp(-(λ + 1) t)` times the start with `λ = 8 (n + 1)² sin²(π/(2 (n + 1)))`. As a stencil
/// and as a product with a constant matrix.
#[test]
fn a_square_of_cells_decays_like_its_eigenvector() {
    let start = "const N = 12\ntime t in 0..0.1\n\
                 state u: [N, N] = [[sin(pi*(i + 1)/(N + 1))*sin(pi*(j + 1)/(N + 1)) for j in 0..N] for i in 0..N]\n";
    let stencil = "fn along(u) = concat(zeros([1, N]), u[..N - 1]) - 2*u + concat(u[1..], zeros([1, N]))\n\
                   u' = (N + 1)^2*(along(u) + along(u.T).T) - u\n";
    let matrix = "const D = [[if i == j then -2.0 else if abs(i - j) == 1 then 1.0 else 0.0 for j in 0..N] for i in 0..N]\n\
                  u' = (N + 1)^2*(D@u + u@D) - u\n";
    let n = 12.0_f64;
    let lambda = 8.0 * (n + 1.0).powi(2) * (std::f64::consts::PI / (2.0 * (n + 1.0))).sin().powi(2);
    let peak = (std::f64::consts::PI * 6.0 / (n + 1.0)).sin().powi(2);
    for equation in [stencil, matrix] {
        let text = format!("{start}{equation}");
        for method in ["radau5", "rodas5p", "bdf"] {
            let end = solved(&text, method, "auto", 1e-8);
            // A cell has 5 neighbours with itself, but for those at the border.
            assert_eq!(end.stats().nonzeros, 5 * 144 - 4 * 12, "{method}");
            assert!(end.stats().colours <= 9, "{} colours", end.stats().colours);
            let found = end.end("u").expect("a state")[5 * 12 + 5];
            let expected = peak * (-(lambda + 1.0) * 0.1).exp();
            assert!((found - expected).abs() < 1e-6, "{method}: {found} for {expected}");
        }
    }
}

/// The channel reads every state, and would make a row without zeros; it stays out of the pattern.
/// `Σ u²` of the equation above integrates to `S (1 - exp(-2 (λ + 1) t))/(2 (λ + 1))`, where `S` is its
/// start.
#[test]
fn channels_stay_out_of_the_pattern() {
    let text = "const N = 40\ntime t in 0..0.1\nstate u: [N] = [sin(pi*(i + 1)/(N + 1)) for i in 0..N]\n\
                u' = (N + 1)^2*(concat([0], u[..N - 1]) - 2*u + concat(u[1..], [0])) - u\n\
                channel energy' = sumsq(u)\n";
    let lambda = 4.0 * 41.0_f64.powi(2) * (std::f64::consts::PI / 82.0).sin().powi(2);
    let rate = 2.0 * (lambda + 1.0);
    // Σ sin²(π i/41) over i = 1..40 is 41/2.
    let expected = 20.5 * (1.0 - (-rate * 0.1).exp()) / rate;
    for method in ["radau5", "rodas5p", "bdf", "kencarp4"] {
        let end = solved(text, method, "sparse", 1e-9);
        assert_eq!(end.stats().nonzeros, 3 * 40 - 2);
        let found = end.end("energy").expect("a channel")[0];
        assert!((found - expected).abs() < 1e-7, "{method}: {found} for {expected}");
    }
}

/// Sensitivities travel in blocks that meet the states alone: the columns of all blocks share their
/// colours.
#[test]
fn sensitivities_are_sparse_blocks() {
    let text = "param k = 0.5, a = 1.0, b = 2.0\nconst N = 8\ntime t in 0..1\nstate x: [N] = [a for i in 0..N]\n\
                x' = -k*x + (b - b)\noutput last = x(end)[0]\nsolve { method = radau5, rtol = 1e-9, atol = 1e-11, adjoint = forward }\n";
    let model = Model::parse(text).expect("it checks");
    for form in ["dense", "sparse", "auto"] {
        let run = model.bind().setting("solve.jacobian", form).build().expect("it compiles");
        let gradient = run.grad("last").expect("an output").expect("it has a gradient");
        // d/dk exp(-k) a = -exp(-k), d/da = exp(-k)
        let expected = [-(-0.5_f64).exp(), (-0.5_f64).exp(), 0.0];
        for (name, expected) in ["k", "a", "b"].into_iter().zip(expected) {
            let slope = gradient.get(name).expect("a param")[0];
            assert!((slope - expected).abs() < 1e-8, "{form}: {slope} for {expected}");
        }
    }
}

/// Coupled rates, whose mass matrix is tridiagonal, and one constraint for each cell: linear finite
/// elements of `u_t = u_xx - w` with `w = u`, from the lowest eigenvector of both matrices:
/// `u = exp(-(λ + 1) t)` times the start with `λ = (6/h²) (1 - cos(π h))/(2 + cos(π h))`.
#[test]
fn mass_matrices_and_constraints_are_sparse_too() {
    let text = "const N = 30, h = 1.0/(N + 1)\ntime t in 0..0.1\n\
                state u: [N] = [sin(pi*(i + 1)*h) for i in 0..N]\nalgebraic w: [N] = [0.0 for i in 0..N]\n\
                fn left(x) = concat([0], x[..N - 1])\nfn right(x) = concat(x[1..], [0])\n\
                (left(u') + 4*u' + right(u'))/6 = (left(u) - 2*u + right(u))/h^2 - (left(w) + 4*w + right(w))/6\n\
                0 = u - w\n";
    let h = 1.0 / 31.0_f64;
    let cos = (std::f64::consts::PI * h).cos();
    let lambda = 6.0 / (h * h) * (1.0 - cos) / (2.0 + cos);
    for method in ["radau5", "rodas5p", "bdf", "kencarp4"] {
        for form in ["auto", "dense"] {
            let end = solved(text, method, form, 1e-8);
            assert_eq!(end.stats().colours > 0, form == "auto", "{method}");
            for name in ["u", "w"] {
                let found = end.end(name).expect("an unknown")[14];
                let expected = (std::f64::consts::PI * 15.0 * h).sin() * (-(lambda + 1.0) * 0.1).exp();
                assert!(
                    (found - expected).abs() < 1e-6,
                    "{method}, {form}: {name} is {found} for {expected}"
                );
            }
        }
    }
}

/// The adjoint equation has the transposed Jacobian. Cells on a line with the source `k`:
/// `u' = Δ_h u - u + k` from zero; the sum of all, weighted with the lowest eigenvector `s`, is
/// `k |s| (1 - exp(-(λ + 1) t))/(λ + 1)` with `|s| = Σ s_i`.
#[test]
fn adjoint_equations_are_sparse_too() {
    let text = "const N = 30\nparam k = 2.0\ntime t in 0..0.5\nstate u: [N] = zeros(N)\n\
                u' = (N + 1)^2*(concat([0], u[..N - 1]) - 2*u + concat(u[1..], [0])) - u + k\n\
                output total = dot(u(end), [sin(pi*(i + 1)/(N + 1)) for i in 0..N])\n";
    let angle = std::f64::consts::PI / 31.0;
    let rate = 4.0 * 31.0_f64.powi(2) * (angle / 2.0).sin().powi(2) + 1.0;
    let weights: f64 = (1..=30).map(|i| (angle * f64::from(i)).sin()).sum();
    let expected = weights * (1.0 - (-rate * 0.5).exp()) / rate;
    let model = Model::parse(text).expect("it checks");
    for method in ["radau5", "bdf", "kencarp4"] {
        for form in ["sparse", "dense"] {
            let run = model.bind().method(method).rtol(1e-9).setting("solve.atol", "1e-9");
            let run = run.setting("solve.adjoint", "interpolating").setting("solve.jacobian", form);
            let run = run.build().expect("it compiles");
            let gradient = run.grad("total").expect("an output").expect("it has a gradient");
            let found = gradient.get("k").expect("a param")[0];
            assert!((found - expected).abs() < 1e-6, "{method}, {form}: {found} for {expected}");
        }
    }
}
