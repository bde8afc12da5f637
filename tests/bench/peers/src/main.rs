//! Single trajectories with `ode_solvers` and `diffsol`: one JSON line for each task, solver and
//! tolerance, with the median seconds of a solve and the state at its end.

use diffsol::{
    AdjointOdeSolverMethod, CraneliftJitModule, FaerSparseLU, FaerSparseMat, NalgebraLU, NalgebraMat,
    OdeBuilder, OdeSolverMethod, OdeSolverState, Vector,
};
use ode_solvers::dop_shared::OutputType;
use ode_solvers::{Dop853, Dopri5, SVector, System};
use std::time::Instant;

/// Median of repeated calls over about half a second, after one that is not counted.
fn median(mut of: impl FnMut() -> Vec<f64>) -> (f64, Vec<f64>) {
    let end = of();
    let (begun, mut seconds) = (Instant::now(), Vec::new());
    while seconds.len() < 5 || begun.elapsed().as_secs_f64() < 0.5 {
        let now = Instant::now();
        let _ = of();
        seconds.push(now.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    (seconds[seconds.len() / 2], end)
}

fn tell(task: &str, tolerance: f64, peer: &str, of: impl FnMut() -> Vec<f64>) {
    let (seconds, end) = median(of);
    println!(
        "{{\"task\": \"{task}/{tolerance:e}\", \"peer\": \"{peer}\", \"seconds\": {seconds:e}, \"end\": {end:?}}}"
    );
}

#[derive(Clone, Copy)]
struct Lorenz;

impl System<f64, SVector<f64, 3>> for Lorenz {
    fn system(&self, _: f64, y: &SVector<f64, 3>, dy: &mut SVector<f64, 3>) {
        dy[0] = 10.0 * (y[1] - y[0]);
        dy[1] = y[0] * (28.0 - y[2]) - y[1];
        dy[2] = y[0] * y[1] - 8.0 / 3.0 * y[2];
    }
}

#[derive(Clone, Copy)]
struct LotkaVolterra;

impl System<f64, SVector<f64, 2>> for LotkaVolterra {
    fn system(&self, _: f64, y: &SVector<f64, 2>, dy: &mut SVector<f64, 2>) {
        dy[0] = 1.5 * y[0] - y[0] * y[1];
        dy[1] = y[0] * y[1] - 3.0 * y[1];
    }
}

/// A body between earth and moon; Hairer, Nørsett, Wanner, Solving ODEs I, eq. (II.0.1).
#[derive(Clone, Copy)]
struct Arenstorf;

const MU: f64 = 0.012277471;
const PERIOD: f64 = 17.065216560157962;
const ARENSTORF: [f64; 4] = [0.994, 0.0, 0.0, -2.001585106379082];

impl System<f64, SVector<f64, 4>> for Arenstorf {
    fn system(&self, _: f64, y: &SVector<f64, 4>, dy: &mut SVector<f64, 4>) {
        let d1 = ((y[0] + MU).powi(2) + y[1] * y[1]).powf(1.5);
        let d2 = ((y[0] - 1.0 + MU).powi(2) + y[1] * y[1]).powf(1.5);
        dy[0] = y[2];
        dy[1] = y[3];
        dy[2] = y[0] + 2.0 * y[3] - (1.0 - MU) * (y[0] + MU) / d1 - MU * (y[0] - 1.0 + MU) / d2;
        dy[3] = y[1] - 2.0 * y[2] - (1.0 - MU) * y[1] / d1 - MU * y[1] / d2;
    }
}

fn explicit<const N: usize, S: System<f64, SVector<f64, N>> + Copy>(
    task: &str,
    system: S,
    end: f64,
    y0: [f64; N],
    tolerance: f64,
) {
    let y0 = SVector::<f64, N>::from(y0);
    tell(task, tolerance, "ode_solvers dopri5", || {
        let mut solver = Dopri5::from_param(
            system,
            0.0,
            end,
            end,
            y0,
            tolerance,
            tolerance,
            0.9,
            0.04,
            0.2,
            10.0,
            end,
            0.0,
            1_000_000,
            1000,
            OutputType::Sparse,
        );
        solver.integrate().expect("it can be solved");
        solver.y_out().last().expect("the end is there").iter().copied().collect()
    });
    tell(task, tolerance, "ode_solvers dop853", || {
        let mut solver = Dop853::from_param(
            system,
            0.0,
            end,
            end,
            y0,
            tolerance,
            tolerance,
            0.9,
            0.0,
            0.333,
            6.0,
            end,
            0.0,
            1_000_000,
            1000,
            OutputType::Sparse,
        );
        solver.integrate().expect("it can be solved");
        solver.y_out().last().expect("the end is there").iter().copied().collect()
    });
}

type Dense = NalgebraMat<f64>;

/// In DiffSL, compiled by Cranelift, with the method of Tsitouras.
fn tsit45(task: &str, code: &str, end: f64, tolerance: f64) {
    let problem = OdeBuilder::<Dense>::new()
        .rtol(tolerance)
        .atol([tolerance])
        .build_from_diffsl::<CraneliftJitModule>(code)
        .expect("it compiles");
    tell(task, tolerance, "diffsol tsit45", || {
        let mut solver = problem.tsit45().expect("it begins");
        while solver.state().t < end {
            if solver.state().t == 0.0 {
                solver.set_stop_time(end).expect("the end lies ahead");
            }
            solver.step().expect("it steps");
        }
        solver.state().y.clone_as_vec()
    });
}

macro_rules! bdf {
    ($task:expr, $code:expr, $end:expr, $rtol:expr, $atol:expr, $matrix:ty, $lu:ty) => {{
        let problem = OdeBuilder::<$matrix>::new()
            .rtol($rtol)
            .atol([$atol])
            .build_from_diffsl::<CraneliftJitModule>($code)
            .expect("it compiles");
        tell($task, $rtol, "diffsol bdf", || {
            let mut solver = problem.bdf::<$lu>().expect("it begins");
            solver.set_stop_time($end).expect("the end lies ahead");
            while solver.state().t < $end {
                solver.step().expect("it steps");
            }
            solver.state().y.clone_as_vec()
        });
    }};
}

const LORENZ: &str = "
u_i { x = 1, y = 1, z = 1 }
F_i { 10 * (y - x), x * (28 - z) - y, x * y - 2.6666666666666665 * z }
";
const LOTKA_VOLTERRA: &str = "
u_i { x = 1, y = 1 }
F_i { 1.5 * x - x * y, x * y - 3 * y }
";
const ROBERTSON: &str = "
u_i { x = 1, y = 0, z = 0 }
F_i { -0.04 * x + 10000 * y * z, 0.04 * x - 10000 * y * z - 30000000 * y * y, 30000000 * y * y }
";
const HIRES: &str = "
u_i { a = 1, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0.0057 }
F_i {
    -1.71 * a + 0.43 * b + 8.32 * c + 0.0007,
    1.71 * a - 8.75 * b,
    -10.03 * c + 0.43 * d + 0.035 * e,
    8.32 * b + 1.71 * c - 1.12 * d,
    -1.745 * e + 0.43 * f + 0.43 * g,
    -280 * f * h + 0.69 * d + 1.71 * e - 0.43 * f + 0.69 * g,
    280 * f * h - 1.81 * g,
    -280 * f * h + 1.81 * g,
}
";

/// Two species on 32 points of a line, the boundary at 1 and 3; every equation written out.
fn brusselator() -> String {
    const N: usize = 32;
    let k = 0.02 * ((N + 1) * (N + 1)) as f64;
    let (mut start, mut rates) = (String::new(), String::new());
    for i in 0..N {
        let x = (i + 1) as f64 / (N + 1) as f64;
        start += &format!("a{i} = {:?}, ", 1.0 + (2.0 * std::f64::consts::PI * x).sin());
    }
    for i in 0..N {
        start += &format!("b{i} = 3, ");
    }
    let at = |name: &str, i: i64, edge: &str| match i {
        0..32 => format!("{name}{i}"),
        _ => edge.to_owned(),
    };
    for i in 0..N as i64 {
        let (l, r) = (at("a", i - 1, "1"), at("a", i + 1, "1"));
        rates += &format!("1 + a{i} * a{i} * b{i} - 4 * a{i} + {k:?} * ({l} - 2 * a{i} + {r}),\n");
    }
    for i in 0..N as i64 {
        let (l, r) = (at("b", i - 1, "3"), at("b", i + 1, "3"));
        rates += &format!("3 * a{i} - a{i} * a{i} * b{i} + {k:?} * ({l} - 2 * b{i} + {r}),\n");
    }
    format!("u_i {{ {start} }}\nF_i {{ {rates} }}\n")
}

/// The problem of the gradient: `y' = tanh(W y)`, and `∫ Σ y_i²` as what is lowered. Its derivatives are
/// written by hand; diffsol wants those of the adjoint with the opposite sign.
fn gradient() {
    const N: usize = 10;
    type Numbers<'a> = &'a [f64];
    let w: Vec<f64> = (0..N * N).map(|ij| 0.5 * (ij as f64).sin()).collect();
    let row = |p: Numbers<'_>, i: usize, x: Numbers<'_>| (0..N).map(|j| p[i * N + j] * x[j]).sum::<f64>();
    let slope = move |p: Numbers<'_>, i: usize, x: Numbers<'_>| 1.0 - row(p, i, x).tanh().powi(2);
    let problem = OdeBuilder::<Dense>::new()
        .rtol(1e-6)
        .atol([1e-6])
        .p(w)
        .integrate_out(true)
        .sens_rtol(1e-6)
        .sens_atol([1e-6])
        .param_rtol(1e-6)
        .param_atol([1e-6])
        .out_rtol(1e-6)
        .out_atol([1e-6])
        .rhs_adjoint_implicit(
            move |x: Numbers<'_>, p: Numbers<'_>, _: f64, y: &mut [f64]| {
                (0..N).for_each(|i| y[i] = row(p, i, x).tanh());
            },
            move |x: Numbers<'_>, p: Numbers<'_>, _: f64, v: Numbers<'_>, y: &mut [f64]| {
                (0..N).for_each(|i| y[i] = slope(p, i, x) * row(p, i, v));
            },
            move |x: Numbers<'_>, p: Numbers<'_>, _: f64, v: Numbers<'_>, y: &mut [f64]| {
                y.fill(0.0);
                for i in 0..N {
                    let bar = slope(p, i, x) * v[i];
                    (0..N).for_each(|j| y[j] -= p[i * N + j] * bar);
                }
            },
            move |x: Numbers<'_>, p: Numbers<'_>, _: f64, v: Numbers<'_>, y: &mut [f64]| {
                for i in 0..N {
                    let bar = slope(p, i, x) * v[i];
                    (0..N).for_each(|j| y[i * N + j] = -bar * x[j]);
                }
            },
        )
        .init_adjoint(
            |_: Numbers<'_>, _: f64, y: &mut [f64]| (0..N).for_each(|i| y[i] = (i as f64).cos()),
            |_: Numbers<'_>, _: f64, _: Numbers<'_>, y: &mut [f64]| y.fill(0.0),
            N,
        )
        .out_adjoint_implicit(
            |x: Numbers<'_>, _: Numbers<'_>, _: f64, y: &mut [f64]| y[0] = x.iter().map(|x| x * x).sum(),
            |x: Numbers<'_>, _: Numbers<'_>, _: f64, v: Numbers<'_>, y: &mut [f64]| {
                y[0] = x.iter().zip(v).map(|(x, v)| 2.0 * x * v).sum();
            },
            |x: Numbers<'_>, _: Numbers<'_>, _: f64, v: Numbers<'_>, y: &mut [f64]| {
                (0..N).for_each(|i| y[i] = -2.0 * x[i] * v[0]);
            },
            |_: Numbers<'_>, _: Numbers<'_>, _: f64, _: Numbers<'_>, y: &mut [f64]| y.fill(0.0),
            1,
        )
        .build()
        .expect("it is complete");
    let told = |numbers: Vec<f64>| vec![numbers.iter().map(|g| g * g).sum::<f64>().sqrt()];
    tell("gradient/10x100", 1e-6, "diffsol tsit45", || {
        let mut solver = problem.tsit45().expect("it begins");
        let (checkpoints, ..) = solver.solve_with_checkpointing(5.0, None).expect("it ends");
        let back = problem.tsit45_solver_adjoint(checkpoints, Some(solver), None).expect("it begins");
        let (state, _) = back.solve_adjoint_backwards_pass(&[], &[]).expect("it ends");
        told(state.into_common().sg.clone_as_vec())
    });
    tell("gradient/10x100", 1e-6, "diffsol bdf", || {
        let mut solver = problem.bdf::<NalgebraLU<f64>>().expect("it begins");
        let (checkpoints, ..) = solver.solve_with_checkpointing(5.0, None).expect("it ends");
        let back = problem.bdf_solver_adjoint::<NalgebraLU<f64>, _>(checkpoints, Some(solver), None);
        let (state, _) = back.expect("it begins").solve_adjoint_backwards_pass(&[], &[]).expect("it ends");
        told(state.into_common().sg.clone_as_vec())
    });
}

fn main() {
    gradient();
    for tolerance in [1e-6, 1e-9, 1e-12] {
        explicit("single/lorenz", Lorenz, 10.0, [1.0; 3], tolerance);
        explicit("single/lotka_volterra", LotkaVolterra, 50.0, [1.0; 2], tolerance);
        explicit("single/arenstorf", Arenstorf, PERIOD, ARENSTORF, tolerance);
        tsit45("single/lorenz", LORENZ, 10.0, tolerance);
        tsit45("single/lotka_volterra", LOTKA_VOLTERRA, 50.0, tolerance);
    }
    bdf!("stiff/robertson", ROBERTSON, 1e5, 1e-6, 1e-10, Dense, NalgebraLU<f64>);
    bdf!("stiff/hires", HIRES, 321.8122, 1e-6, 1e-8, Dense, NalgebraLU<f64>);
    let code = brusselator();
    bdf!("stiff/brusselator32", &code, 10.0, 1e-6, 1e-6, FaerSparseMat<f64>, FaerSparseLU<f64>);
}
