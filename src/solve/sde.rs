//! Stochastic differential equations `dy = f(t, y) dt + g(t, y) dW`, with fixed steps on a
//! [`Brownian`] path.

mod reverse;

pub use reverse::Retraced;

use super::brownian::Brownian;
use super::control::positive;
use super::dense::{Accepted, Interior};
use super::outcome::{Invalid, Outcome, Quantity, Stats};
use super::problem::Real;
use super::solve::Stepping;
use super::stepper::{Flow, Grid, Leg, Stepper, non_finite};

/// A method, with what it asks of the noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `y + h f + g ΔW`: strong order 1/2, Itô. Source: G. Maruyama (1955); P. E. Kloeden, E. Platen,
    /// Numerical Solution of Stochastic Differential Equations, 10.2.
    EulerMaruyama,
    /// The trapezoidal rule with Euler's as its predictor, Stratonovich: strong order 1/2, and 1
    /// where the noise is commutative. Source: W. Rümelin, Numerical treatment of stochastic
    /// differential equations, SIAM J. Numer. Anal. 19 (1982).
    Heun,
    /// Milstein's, Itô, for diagonal noise: component `i` is driven by process `i` alone, by a share
    /// that depends on component `i` alone. Strong order 1. Without derivatives; source: Kloeden and
    /// Platen, 11.1, eq. (1.3).
    Milstein,
    /// Rößler's SRA1, for noise whose share does not depend on the state, in which Itô and
    /// Stratonovich agree: strong order 3/2. Source: A. Rößler, Runge–Kutta methods for the strong
    /// approximation of solutions of stochastic differential equations, SIAM J. Numer. Anal. 48
    /// (2010), table 6.1.
    Sra1,
}

impl Scheme {
    /// Every method.
    pub const ALL: [Scheme; 4] = [Scheme::EulerMaruyama, Scheme::Heun, Scheme::Milstein, Scheme::Sra1];

    /// Spelling in `solve { method = ... }`.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::EulerMaruyama => "euler_maruyama",
            Scheme::Heun => "heun_stratonovich",
            Scheme::Milstein => "milstein",
            Scheme::Sra1 => "sra1",
        }
    }

    /// What it is, in a sentence.
    pub fn doc(self) -> &'static str {
        match self {
            Scheme::EulerMaruyama => "the Euler–Maruyama method, strong order 1/2, for Itô noise",
            Scheme::Heun => "Heun's method, strong order 1/2 to 1, for Stratonovich noise",
            Scheme::Milstein => "Milstein's method, strong order 1, for diagonal Itô noise",
            Scheme::Sra1 => "Rößler's SRA1, strong order 3/2, for noise that does not depend on the state",
        }
    }
}

/// A system driven by noise. `inside` tells on which side of a stop a value is meant; see
/// [`Step::rate`](super::Step::rate).
pub trait Stochastic<T: Real> {
    /// Length of the state vector, channels included.
    fn dim(&self) -> usize;

    /// How many components are driven by noise; they come first.
    fn n_driven(&self) -> usize;

    /// `f` at `(t, y)`, `[dim]`.
    fn rate(&mut self, t: f64, inside: f64, y: &[T], dy: &mut [T]);

    /// `g` at `(t, y)`, `[n_driven, m]`, with `m` processes.
    fn diffusion(&mut self, t: f64, inside: f64, y: &[T], out: &mut [T]);
}

/// A scheme at work on one system and one path.
pub struct Sde<'a, T, S: ?Sized> {
    system: &'a mut S,
    scheme: Scheme,
    /// Processes of several noises stand one after another.
    paths: &'a [Brownian],
    stepping: &'a Stepping,
    grid: Grid,
    taken: (f64, f64, f64),
    y_new: Vec<T>,
    y_try: Vec<T>,
    rates: [Vec<T>; 2],
    shares: [Vec<T>; 2],
    /// Increments of the processes, and `∫ (W - W_t)` over the step.
    dw: Vec<f64>,
    dz: Vec<f64>,
    seen: Seen,
    /// `[1, dim]`
    chord: Vec<T>,
}

/// The processes and their integrals at a time.
#[derive(Clone, Debug)]
struct Seen {
    t: f64,
    w: Vec<f64>,
    area: Vec<f64>,
}

impl Seen {
    fn look(&mut self, paths: &[Brownian], t: f64) {
        let mut from = 0;
        for path in paths {
            let to = from + path.len();
            path.at(t, &mut self.w[from..to], &mut self.area[from..to]);
            from = to;
        }
        self.t = t;
    }
}

impl<'a, T: Real, S: Stochastic<T> + ?Sized> Sde<'a, T, S> {
    /// `scheme` for `system`, driven by `paths`, which cover the run.
    pub fn new(system: &'a mut S, scheme: Scheme, paths: &'a [Brownian], stepping: &'a Stepping) -> Self {
        let (dim, n_driven) = (system.dim(), system.n_driven());
        let m: usize = paths.iter().map(Brownian::len).sum();
        let dt = match stepping {
            Stepping::Fixed { dt } => *dt,
            Stepping::Adaptive(_) => f64::NAN,
        };
        let zeros = |n: usize| vec![T::default(); n];
        Sde {
            system,
            scheme,
            paths,
            stepping,
            grid: Grid::new(dt),
            taken: (0.0, 0.0, 0.0),
            y_new: zeros(dim),
            y_try: zeros(dim),
            rates: [zeros(dim), zeros(dim)],
            shares: [zeros(n_driven * m), zeros(n_driven * m)],
            dw: vec![0.0; m],
            dz: vec![0.0; m],
            seen: Seen { t: f64::NAN, w: vec![0.0; m], area: vec![0.0; m] },
            chord: zeros(dim),
        }
    }

    /// The increments over a step from `t` to `t_new`.
    fn draw(&mut self, t: f64, t_new: f64) {
        if self.seen.t != t {
            self.seen.look(self.paths, t);
        }
        let before = self.seen.clone();
        self.seen.look(self.paths, t_new);
        for i in 0..self.dw.len() {
            self.dw[i] = self.seen.w[i] - before.w[i];
            self.dz[i] = self.seen.area[i] - before.area[i] - (t_new - t) * before.w[i];
        }
    }

    /// The rate and the shares of the noise at `(t, y)`, kept under `which`.
    fn look(&mut self, which: usize, t: f64, inside: f64, y: &[T], stats: &mut Stats) {
        self.system.rate(t, inside, y, &mut self.rates[which]);
        self.system.diffusion(t, inside, y, &mut self.shares[which]);
        stats.evaluations += 1;
    }

    /// `y_try = y + Σ_i a_i h f_i + Σ_i g_i v_i`, with the rates and shares kept.
    fn tried(&self, y: &[T], h: f64, a: [f64; 2], v: [&[f64]; 2]) -> Vec<T> {
        let m = self.dw.len();
        let mut new = Vec::with_capacity(y.len());
        for (at, y) in y.iter().enumerate() {
            let mut sum = y.to_f64();
            for i in 0..2 {
                if a[i] != 0.0 {
                    sum += a[i] * h * self.rates[i][at].to_f64();
                }
                if let Some(shares) = self.shares[i].get(at * m..(at + 1) * m) {
                    sum += shares.iter().zip(v[i]).map(|(g, v)| g.to_f64() * v).sum::<f64>();
                }
            }
            new.push(T::from_f64(sum));
        }
        new
    }

    fn step(&mut self, t: f64, h: f64, inside: f64, y: &[T], stats: &mut Stats) {
        self.look(0, t, inside, y, stats);
        let m = self.dw.len();
        self.y_new = match self.scheme {
            Scheme::EulerMaruyama => self.tried(y, h, [1.0, 0.0], [&self.dw, &[]]),
            Scheme::Heun => {
                self.y_try = self.tried(y, h, [1.0, 0.0], [&self.dw, &[]]);
                let y_try = std::mem::take(&mut self.y_try);
                self.look(1, t + h, inside, &y_try, stats);
                self.y_try = y_try;
                let half: Vec<f64> = self.dw.iter().map(|dw| 0.5 * dw).collect();
                self.tried(y, h, [0.5, 0.5], [&half, &half])
            }
            Scheme::Milstein => {
                // (g(y + g √|h|) - g)/√|h| is g g' to first order.
                let root = h.abs().sqrt();
                self.y_try.copy_from_slice(y);
                for (at, y_try) in self.y_try.iter_mut().enumerate().take(m) {
                    *y_try = T::from_f64(y[at].to_f64() + root * self.shares[0][at * m + at].to_f64());
                }
                self.system.diffusion(t, inside, &self.y_try, &mut self.shares[1]);
                let second: Vec<f64> = self.dw.iter().map(|dw| 0.5 * (dw * dw - h.abs()) / root).collect();
                let first: Vec<f64> = self.dw.iter().zip(&second).map(|(dw, second)| dw - second).collect();
                self.tried(y, h, [1.0, 0.0], [&first, &second])
            }
            Scheme::Sra1 => {
                let chi: Vec<f64> = self.dz.iter().map(|dz| dz / h).collect();
                self.system.diffusion(t + h, inside, y, &mut self.shares[1]);
                let ahead: Vec<f64> = chi.iter().map(|chi| 1.5 * chi).collect();
                let none = vec![0.0; m];
                self.y_try = self.tried(y, h, [0.75, 0.0], [&none, &ahead]);
                self.system.rate(t + 0.75 * h, inside, &self.y_try, &mut self.rates[1]);
                stats.evaluations += 1;
                let last: Vec<f64> = self.dw.iter().zip(&chi).map(|(dw, chi)| dw - chi).collect();
                self.tried(y, h, [1.0 / 3.0, 2.0 / 3.0], [&chi, &last])
            }
        };
    }
}

impl<T: Real, S: Stochastic<T> + ?Sized> Stepper<T> for Sde<'_, T, S> {
    fn dim(&self) -> usize {
        self.y_new.len()
    }

    fn check(&self) -> Result<(), Invalid> {
        match self.stepping {
            Stepping::Fixed { dt } => positive("dt", *dt),
            Stepping::Adaptive(_) => Err(Invalid::NoErrorEstimate { method: self.scheme.name() }),
        }
    }

    fn start(&mut self, _: f64, _: &mut [T], leg: &Leg, stats: &mut Stats) -> Flow {
        self.grid.restart();
        if let Stepping::Fixed { dt } = self.stepping {
            stats.next_step = dt * leg.direction;
        }
        Flow::Continue(())
    }

    fn pass_stop(&mut self) {}

    fn advance(&mut self, t: f64, y: &[T], leg: &Leg, stats: &mut Stats) -> Flow {
        let (h, t_new) = self.grid.next(t, leg);
        leg.spend(t, h, stats)?;
        if stats.attempts() == 0 {
            stats.first_step = h;
        }
        self.draw(t, t_new);
        self.step(t, h, leg.inside(t), y, stats);
        if let Some(component) = non_finite(&self.y_new) {
            stats.rejected += 1;
            stats.non_finite += 1;
            return Flow::Break(Outcome::NonFinite { t, h, component, quantity: Quantity::State });
        }
        for (chord, (y_new, y)) in self.chord.iter_mut().zip(self.y_new.iter().zip(y)) {
            *chord = T::from_f64(y_new.to_f64() - y.to_f64());
        }
        stats.accepted += 1;
        self.taken = (t, h, t_new);
        Flow::Continue(())
    }

    fn accepted<'b>(&'b self, y: &'b [T]) -> Accepted<'b, T> {
        let (t, h, t_new) = self.taken;
        let interior = Interior::Powers { coefficients: &self.chord };
        Accepted { t, h, t_new, y, y_new: &self.y_new, interior }
    }
}
