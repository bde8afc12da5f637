//! Symplectic compositions: orders, energy, interpolation, what they refuse.

use crate::references::{KEPLER_20, KEPLER_1000};
use nodec::solve::{
    Adaptive, Composition, End, Invalid, NoEvents, Observer, Options, Outcome, Recorded, SaveSteps,
    Separable, Symplectic, integrate,
};

/// Kepler's problem, `q` then `p`, with the channel `∫ |q|² dt`.
struct Kepler;

impl Separable<f64> for Kepler {
    fn dim(&self) -> usize {
        5
    }

    fn positions(&self) -> &[usize] {
        &[0, 1]
    }

    fn momenta(&self) -> &[usize] {
        &[2, 3]
    }

    fn rate(&mut self, _: f64, _: f64, y: &[f64], dy: &mut [f64]) {
        let r2 = y[0] * y[0] + y[1] * y[1];
        let r3 = r2 * r2.sqrt();
        dy.copy_from_slice(&[y[2], y[3], -y[0] / r3, -y[1] / r3, r2]);
    }
}

const START: [f64; 5] = [0.4, 0.0, 0.0, 2.0, 0.0];

fn run(
    system: &mut impl Separable<f64>,
    method: &Composition,
    span: (f64, f64),
    y0: &[f64],
    options: &Options,
    observer: &mut impl Observer<f64>,
) -> End<f64> {
    let mut stepper = Symplectic::new(system, method, &options.stepping);
    integrate(&mut stepper, &mut NoEvents, span, y0, options, observer).expect("a valid request")
}

fn energy(y: &[f64]) -> f64 {
    0.5 * (y[2] * y[2] + y[3] * y[3]) - 1.0 / (y[0] * y[0] + y[1] * y[1]).sqrt()
}

/// A pendulum pushed in time: `q' = p (1 + t/4)`, `p' = -sin q + cos t`.
struct Pushed;

impl Separable<f64> for Pushed {
    fn dim(&self) -> usize {
        2
    }

    fn positions(&self) -> &[usize] {
        &[0]
    }

    fn momenta(&self) -> &[usize] {
        &[1]
    }

    fn rate(&mut self, t: f64, _: f64, y: &[f64], dy: &mut [f64]) {
        (dy[0], dy[1]) = (y[1] * (1.0 + 0.25 * t), -y[0].sin() + t.cos());
    }
}

/// `q, p` at t = 2 from (1, 0): mpmath 1.3.0, `odefun` with 30 digits; SciPy 1.17.1's DOP853 at rtol
/// 2.3e-14 and Radau at 1e-13 agree in 13 digits.
const PUSHED_2: [f64; 2] = [0.599962915471691849, -0.726169456946952771];

#[test]
fn compositions_have_their_orders_also_where_time_enters() {
    for method in Composition::ALL {
        let error = |n: u32| {
            let options = Options::fixed(2.0 / f64::from(n));
            let end = run(&mut Pushed, method, (0.0, 2.0), &[1.0, 0.0], &options, &mut ());
            assert_eq!((end.outcome, end.t), (Outcome::Finished, 2.0));
            (end.y[0] - PUSHED_2[0]).abs().max((end.y[1] - PUSHED_2[1]).abs())
        };
        // The methods of order 8 reach rounding soon.
        let n = if method.order == 8 { 4 } else { 16 };
        let (coarse, middle, fine) = (error(n), error(2 * n), error(4 * n));
        let slopes = [(coarse / middle).log2(), (middle / fine).log2()];
        // Symmetric methods have errors in h² beside the leading one, the others in h.
        let gain = if method.order == 1 { 2.0 } else { 4.0 };
        let extrapolated = (gain * slopes[1] - slopes[0]) / (gain - 1.0);
        let off = (extrapolated - f64::from(method.order)).abs();
        assert!(off < 0.25, "{}: {slopes:?}", method.name);
    }
}

/// Over 1000 units of time, some 160 orbits, the energy of a symplectic method comes back.
#[test]
fn energy_does_not_drift() {
    for (name, dt, bound) in [
        ("leapfrog", 0.01, 1e-2),
        ("yoshida4", 0.01, 1e-4),
        ("yoshida6", 0.02, 1e-4),
        ("kahan_li8", 0.02, 1e-6),
    ] {
        let method = Composition::by_name(name).expect("a built method");
        let mut steps = SaveSteps::default();
        run(&mut Kepler, method, (0.0, 1000.0), &START, &Options::fixed(dt), &mut steps);
        let drift: Vec<f64> = steps.ys.chunks(5).map(|y| (energy(y) - energy(&START)).abs()).collect();
        let worst = |part: &[f64]| part.iter().copied().fold(0.0, f64::max);
        let tenth = drift.len() / 10;
        let (first, last) = (worst(&drift[..tenth]), worst(&drift[drift.len() - tenth..]));
        assert!(last < bound && last < 2.0 * first, "{name}: {first:e} then {last:e}");
    }
}

#[test]
fn kepler_agrees_with_the_closed_form() {
    let close = |end: &End<f64>, expected: &[f64], allowed: f64| {
        let error = end.y.iter().zip(expected).map(|(y, e)| (y - e).abs()).fold(0.0, f64::max);
        assert!(error < allowed, "{error:e}");
    };
    let kahan_li8 = Composition::by_name("kahan_li8").expect("a built method");
    let end = run(&mut Kepler, kahan_li8, (0.0, 20.0), &START, &Options::fixed(0.005), &mut ());
    close(&end, &KEPLER_20, 1e-11);
    // The phase error of a symplectic method grows linearly; at order 8 that is rounding here.
    let end = run(&mut Kepler, kahan_li8, (0.0, 1000.0), &START, &Options::fixed(0.01), &mut ());
    close(&end, &KEPLER_1000, 1e-8);
}

/// Over one orbit `∫ r² dt = π (2 + 3 e²)` for the semi-major axis 1, and backwards the same.
#[test]
fn channels_and_the_solution_between_steps_are_there() {
    let yoshida4 = Composition::by_name("yoshida4").expect("a built method");
    let (orbit, e): (f64, f64) = (std::f64::consts::TAU, 0.6);
    let integral = std::f64::consts::PI * (2.0 + 3.0 * e * e);
    let mut recorded = Recorded::default();
    let end = run(&mut Kepler, yoshida4, (0.0, orbit), &START, &Options::fixed(0.005), &mut recorded);
    assert!((end.y[4] - integral).abs() < 1e-5, "{} {integral}", end.y[4]);
    let mut y = [0.0; 5];
    // Half an orbit on, at the other apse, between two steps: cubic interpolation.
    assert!(recorded.at(0.5 * orbit, &mut y));
    assert!((y[0] + 1.6).abs() < 1e-5 && y[1].abs() < 1e-5 && (y[4] - 0.5 * integral).abs() < 1e-5, "{y:?}");
    let back = run(&mut Kepler, yoshida4, (orbit, 0.0), &end.y, &Options::fixed(0.005), &mut ());
    // A symmetric method undoes its own steps; the last one, which is short, comes first here.
    let error = back.y.iter().zip(&START).map(|(y, e)| (y - e).abs()).fold(0.0, f64::max);
    assert!(error < 1e-5, "{error:e}");
}

#[test]
fn tolerances_are_refused() {
    let options = Options::adaptive(Adaptive::new(1e-6, 1e-6, 4));
    let leapfrog = Composition::by_name("leapfrog").expect("a built method");
    let mut kepler = Kepler;
    let mut stepper = Symplectic::new(&mut kepler, leapfrog, &options.stepping);
    let refused = integrate(&mut stepper, &mut NoEvents, (0.0, 1.0), &START, &options, &mut ());
    assert_eq!(refused, Err(Invalid::NoErrorEstimate { method: "leapfrog" }));
}
