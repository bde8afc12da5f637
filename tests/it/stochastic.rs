//! Stochastic schemes: strong orders on paths with a known solution.

use nodec::base::random::Stream;
use nodec::solve::{
    Adaptive, Brownian, End, Invalid, NoEvents, Options, SaveSteps, Scheme, Sde, Stochastic, integrate,
};

/// `dy = μ y dt + σ y dW` in each of two components with a process of its own, or, if additive, the
/// logarithm `y` of a population that saturates, `dy = (1 - exp y - σ²/2) dt + σ dW`; the last
/// component is the channel `∫ y_0 dt`.
struct Model {
    additive: bool,
}

const MU: f64 = 0.5;
const SIGMA: [f64; 2] = [0.6, 0.9];
/// Of the populations: large, so that the noise and not the drift makes the error.
const ADDED: [f64; 2] = [1.5, 2.0];

impl Stochastic<f64> for Model {
    fn dim(&self) -> usize {
        3
    }

    fn n_driven(&self) -> usize {
        2
    }

    fn rate(&mut self, _: f64, _: f64, y: &[f64], dy: &mut [f64]) {
        let rate = |i: usize| match self.additive {
            true => 1.0 - y[i].exp() - 0.5 * ADDED[i] * ADDED[i],
            false => MU * y[i],
        };
        dy.copy_from_slice(&[rate(0), rate(1), y[0]]);
    }

    fn diffusion(&mut self, _: f64, _: f64, y: &[f64], out: &mut [f64]) {
        let share = |i: usize| if self.additive { ADDED[i] } else { SIGMA[i] * y[i] };
        out.copy_from_slice(&[share(0), 0.0, 0.0, share(1)]);
    }
}

fn path(example: u64) -> [Brownian; 1] {
    [Brownian::new(Stream::new(11, "W", 0, example), 2, (0.0, 1.0))]
}

fn run(additive: bool, scheme: Scheme, paths: &[Brownian], n: u32) -> End<f64> {
    let options = Options::fixed(1.0 / f64::from(n));
    let mut model = Model { additive };
    let mut sde = Sde::new(&mut model, scheme, paths, &options.stepping);
    integrate(&mut sde, &mut NoEvents, (0.0, 1.0), &[1.0, 0.5, 0.0], &options, &mut ()).expect("valid")
}

/// Root mean square over `paths` of the error at the end against `exact(path)`.
fn strong_error(additive: bool, scheme: Scheme, n: u32, exact: impl Fn(&[Brownian; 1]) -> [f64; 2]) -> f64 {
    let n_paths = 200;
    let squares = (0..n_paths).map(|example| {
        let paths = path(example);
        let (end, exact) = (run(additive, scheme, &paths, n), exact(&paths));
        (end.y[0] - exact[0]).powi(2) + (end.y[1] - exact[1]).powi(2)
    });
    (squares.sum::<f64>() / n_paths as f64).sqrt()
}

/// The slope over powers of two, by least squares.
fn slope(powers: std::ops::Range<u32>, error: impl Fn(u32) -> f64) -> f64 {
    let points: Vec<(f64, f64)> = powers.map(|k| (f64::from(k), error(1 << k).log2())).collect();
    let n = points.len() as f64;
    let (x, y) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let covariance: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    -covariance / points.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>()
}

/// `y0 exp((μ - σ²/2) t + σ W)` for Itô, without `-σ²/2` for Stratonovich.
#[test]
fn geometric_brownian_motion_is_met_with_the_strong_orders() {
    let exact = |ito: bool| {
        move |paths: &[Brownian; 1]| {
            let (mut w, mut area) = ([0.0; 2], [0.0; 2]);
            paths[0].at(1.0, &mut w, &mut area);
            let one = |i: usize, y0: f64| {
                let drift = if ito { MU - 0.5 * SIGMA[i] * SIGMA[i] } else { MU };
                y0 * (drift + SIGMA[i] * w[i]).exp()
            };
            [one(0, 1.0), one(1, 0.5)]
        }
    };
    // Heun's has order 1 here, since the noise commutes.
    for (scheme, ito, order) in
        [(Scheme::EulerMaruyama, true, 0.5), (Scheme::Milstein, true, 1.0), (Scheme::Heun, false, 1.0)]
    {
        let slope = slope(3..8, |n| strong_error(false, scheme, n, exact(ito)));
        assert!((slope - order).abs() < 0.12, "{scheme:?}: {slope}");
    }
}

/// With `E = exp((1 - σ²/2) t + σ W)` the population is `exp y = exp y0 E/(1 + exp y0 ∫ E dt)`. The
/// integral is summed over 4096 pieces of size `h`, on each of which `E` is expanded to second order;
/// of `∫ (W - W_t)²`, the expectation for the path's increment and integral over the piece is taken.
#[test]
fn additive_noise_is_met_with_order_three_halves() {
    let exact = |paths: &[Brownian; 1]| {
        let n = 4096;
        let h = 1.0 / f64::from(n);
        let ([mut w, mut area], mut integral) = ([[0.0; 2]; 2], [0.0; 2]);
        for i in 0..n {
            let (t, [mut w_new, mut area_new]) = (f64::from(i) * h, [[0.0; 2]; 2]);
            paths[0].at(t + h, &mut w_new, &mut area_new);
            for k in 0..2 {
                let (sigma, dw) = (ADDED[k], w_new[k] - w[k]);
                let drift = 1.0 - 0.5 * sigma * sigma;
                let dz = area_new[k] - area[k] - h * w[k];
                let arch = dz / h - 0.5 * dw;
                let squares = h * (dw * dw / 3.0 + dw * arch + 1.2 * arch * arch + h / 15.0);
                let e = (drift * t + sigma * w[k]).exp();
                integral[k] += e * (h + 0.5 * drift * h * h + sigma * dz + 0.5 * sigma * sigma * squares);
            }
            (w, area) = (w_new, area_new);
        }
        let one = |k: usize, y0: f64| {
            let log_e = 1.0 - 0.5 * ADDED[k] * ADDED[k] + ADDED[k] * w[k];
            y0 + log_e - (1.0 + y0.exp() * integral[k]).ln()
        };
        [one(0, 1.0), one(1, 0.5)]
    };
    let n_paths = 60;
    let references: Vec<[f64; 2]> = (0..n_paths).map(|example| exact(&path(example))).collect();
    let error = |scheme: Scheme, n: u32| {
        let squares = references.iter().enumerate().map(|(example, exact)| {
            let end = run(true, scheme, &path(example as u64), n);
            (end.y[0] - exact[0]).powi(2) + (end.y[1] - exact[1]).powi(2)
        });
        (squares.sum::<f64>() / n_paths as f64).sqrt()
    };
    for (scheme, order) in [(Scheme::Sra1, 1.5), (Scheme::EulerMaruyama, 1.0)] {
        let slope = slope(6..10, |n| error(scheme, n));
        assert!((slope - order).abs() < 0.12, "{scheme:?}: {slope}");
    }
}

#[test]
fn a_finer_step_sees_the_same_path_and_examples_have_their_own() {
    let (coarse, fine) =
        (run(false, Scheme::Milstein, &path(3), 512), run(false, Scheme::Milstein, &path(3), 1000));
    let other = run(false, Scheme::Milstein, &path(4), 512);
    assert!((coarse.y[0] - fine.y[0]).abs() < 1e-2 && (coarse.y[0] - other.y[0]).abs() > 1e-2);
    assert_eq!(coarse, run(false, Scheme::Milstein, &path(3), 512));
}

/// `∫ y dt` by the scheme itself.
#[test]
fn channels_follow_and_tolerances_are_refused() {
    let paths = path(5);
    let options = Options::fixed(1.0 / 256.0);
    let (mut model, mut steps) = (Model { additive: false }, SaveSteps::default());
    let mut sde = Sde::new(&mut model, Scheme::Heun, &paths, &options.stepping);
    let end = integrate(&mut sde, &mut NoEvents, (0.0, 1.0), &[1.0, 0.5, 0.0], &options, &mut steps)
        .expect("valid");
    let sum: f64 = steps.ys.chunks(3).collect::<Vec<_>>().windows(2).map(|p| 0.5 * (p[0][0] + p[1][0])).sum();
    assert!((end.y[2] - sum / 256.0).abs() < 1e-3);
    let options = Options::adaptive(Adaptive::new(1e-3, 1e-3, 2));
    let mut sde = Sde::new(&mut model, Scheme::Heun, &paths, &options.stepping);
    let refused = integrate(&mut sde, &mut NoEvents, (0.0, 1.0), &[1.0, 0.5, 0.0], &options, &mut ());
    assert_eq!(refused, Err(Invalid::NoErrorEstimate { method: "heun_stratonovich" }));
}
