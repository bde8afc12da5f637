//! Symplectic methods for separable systems `q' = g(t, p)`, `p' = f(t, q)`, with fixed steps.
//!
//! A step is a composition of kicks `p += d_i h f` and drifts `q += c_i h g`; a method is the list
//! of their lengths. Energy oscillates and does not drift. Channels are integrated by Simpson's
//! rule along the dense output, outside the composition.

use super::control::positive;
use super::dense::{Accepted, Interior, cubic};
use super::outcome::{Invalid, Outcome, Quantity, Stats};
use super::problem::Real;
use super::solve::Stepping;
use super::stepper::{Flow, Grid, Leg, Stepper, non_finite, require_finite};

/// A composition of kicks and drifts.
#[derive(Debug)]
pub struct Composition {
    /// Spelling in `solve { method = ... }`.
    pub name: &'static str,
    /// What it is and when to use it, in a sentence.
    pub doc: &'static str,
    /// Where the numbers come from.
    pub source: &'static str,
    /// The local error is `O(h^(order + 1))`.
    pub order: u32,
    /// The method.
    pub stages: Stages,
}

/// How a composition is given.
#[derive(Debug)]
pub enum Stages {
    /// One kick, then one drift.
    Euler,
    /// Leapfrog steps (half a kick, a drift, half a kick) of these lengths, one after another, then
    /// the same in reverse order; the last one given stands in the middle once.
    Leapfrogs(&'static [f64]),
}

impl Composition {
    /// Every method, by rising order.
    pub const ALL: [&'static Composition; 6] =
        [&SYMPLECTIC_EULER, &LEAPFROG, &YOSHIDA4, &YOSHIDA6, &YOSHIDA8, &KAHAN_LI8];

    /// The method spelled `name`.
    pub fn by_name(name: &str) -> Option<&'static Composition> {
        Composition::ALL.into_iter().find(|composition| composition.name == name)
    }

    /// The kicks and drifts as shares of the step, kick first, in turn: `[kick, drift], ..`. Where
    /// two kicks meet they are one.
    fn moves(&self) -> Vec<[f64; 2]> {
        match self.stages {
            Stages::Euler => vec![[1.0, 1.0]],
            Stages::Leapfrogs(half) => {
                let whole: Vec<f64> = half.iter().chain(half.iter().rev().skip(1)).copied().collect();
                let before = std::iter::once(0.0).chain(whole.iter().copied());
                let after = whole.iter().copied().chain(std::iter::once(0.0));
                before.zip(after).map(|(before, after)| [0.5 * (before + after), after]).collect()
            }
        }
    }
}

/// The first-order method.
const SYMPLECTIC_EULER: Composition = Composition {
    name: "symplectic_euler",
    doc: "the symplectic Euler method, order 1, for separable Hamiltonian systems",
    source: "E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration, I.1.2",
    order: 1,
    stages: Stages::Euler,
};

/// Störmer–Verlet.
const LEAPFROG: Composition = Composition {
    name: "leapfrog",
    doc: "Störmer–Verlet, symmetric, order 2, for separable Hamiltonian systems",
    source: "E. Hairer, C. Lubich, G. Wanner, Geometric numerical integration illustrated by the \
             Störmer–Verlet method, Acta Numerica 12 (2003)",
    order: 2,
    stages: Stages::Leapfrogs(&[1.0]),
};

/// `1/(2 - 2^(1/3))` and what is left.
const YOSHIDA4: Composition = Composition {
    name: "yoshida4",
    doc: "Yoshida's symplectic composition of order 4, for separable Hamiltonian systems",
    source: "H. Yoshida, Construction of higher order symplectic integrators, Phys. Lett. A 150 (1990)",
    order: 4,
    stages: Stages::Leapfrogs(&[1.351_207_191_959_657_6, -1.702_414_383_919_315_3]),
};

/// Solution A of the paper.
const YOSHIDA6: Composition = Composition {
    name: "yoshida6",
    doc: "Yoshida's symplectic composition of order 6 with 7 stages, for separable Hamiltonian systems",
    source: "H. Yoshida, Construction of higher order symplectic integrators, Phys. Lett. A 150 (1990), \
             with the digits of Hairer, Lubich, Wanner, Geometric Numerical Integration, V (3.11)",
    order: 6,
    stages: Stages::Leapfrogs(&[
        0.784_513_610_477_557_3,
        0.235_573_213_359_358_13,
        -1.177_679_984_178_871,
        1.315_186_320_683_911_2,
    ]),
};

const YOSHIDA8: Composition = Composition {
    name: "yoshida8",
    doc: "a symplectic composition of order 8 with 15 stages, for separable Hamiltonian systems",
    source: "M. Suzuki, K. Umeno, Higher-order decomposition theory of exponential operators and its \
             applications to QMC and nonlinear dynamics (1993), the best of Yoshida's form; digits of \
             Hairer, Lubich, Wanner, Geometric Numerical Integration, V.3.2",
    order: 8,
    stages: Stages::Leapfrogs(&[
        0.741_670_364_350_612_95,
        -0.409_100_825_800_031_6,
        0.190_754_710_296_238_38,
        -0.573_862_471_116_082_3,
        0.299_064_181_303_655_9,
        0.334_624_918_245_298_2,
        0.315_293_092_396_766_6,
        -0.796_887_939_352_916_4,
    ]),
};

const KAHAN_LI8: Composition = Composition {
    name: "kahan_li8",
    doc: "a symplectic composition of order 8 with 17 stages and small errors, for separable \
          Hamiltonian systems",
    source: "W. Kahan, R.-C. Li, Composition constants for raising the orders of unconventional schemes \
             for ordinary differential equations, Math. Comp. 66 (1997)",
    order: 8,
    stages: Stages::Leapfrogs(&[
        0.130_202_483_088_890_1,
        0.561_162_981_775_108_4,
        -0.389_474_962_644_847_3,
        0.158_841_906_555_155_6,
        -0.395_903_894_133_237_6,
        0.184_539_640_978_315_7,
        0.258_374_387_686_322_04,
        0.295_011_723_609_310_3,
        -0.605_508_533_830_034_5,
    ]),
};

/// A system in two halves. Components that are in neither half are channels, which nothing reads.
pub trait Separable<T: Real> {
    /// Length of the state vector.
    fn dim(&self) -> usize;

    /// The components `q`, moved by drifts; their rates depend on `p` alone.
    fn positions(&self) -> &[usize];

    /// The components `p`, moved by kicks; their rates depend on `q` alone.
    fn momenta(&self) -> &[usize];

    /// The rates of all components at `(t, y)`; see [`Step::rate`](super::Step::rate).
    fn rate(&mut self, t: f64, inside: f64, y: &[T], dy: &mut [T]);
}

/// A composition at work on one system.
pub struct Symplectic<'a, T, S: ?Sized> {
    system: &'a mut S,
    moves: Vec<[f64; 2]>,
    name: &'static str,
    stepping: &'a Stepping,
    grid: Grid,
    channels: Vec<usize>,
    y_new: Vec<T>,
    rate_new: Vec<T>,
    /// The rate at the end of the last step is that at the start of the next.
    known: bool,
    rate: Vec<T>,
    /// `[3, dim]`
    powers: Vec<T>,
    taken: (f64, f64, f64),
}

impl<'a, T: Real, S: Separable<T> + ?Sized> Symplectic<'a, T, S> {
    /// The method `composition` for `system`.
    pub fn new(system: &'a mut S, composition: &Composition, stepping: &'a Stepping) -> Self {
        let dim = system.dim();
        let halves = [system.positions(), system.momenta()].concat();
        let dt = match stepping {
            Stepping::Fixed { dt } => *dt,
            Stepping::Adaptive(_) => f64::NAN,
        };
        Symplectic {
            channels: (0..dim).filter(|at| !halves.contains(at)).collect(),
            system,
            moves: composition.moves(),
            name: composition.name,
            stepping,
            grid: Grid::new(dt),
            y_new: vec![T::default(); dim],
            rate_new: vec![T::default(); dim],
            known: false,
            rate: vec![T::default(); dim],
            powers: vec![T::default(); 3 * dim],
            taken: (0.0, 0.0, 0.0),
        }
    }

    /// Kicks and drifts from `y`. Positions and momenta have times of their own, which the moves
    /// advance: a drift reads the time of the momenta, a kick that of the positions.
    fn compose(&mut self, t: f64, inside: f64, h: f64, y: &[T], stats: &mut Stats) {
        self.y_new.copy_from_slice(y);
        let (mut t_q, mut t_p) = (t, t);
        for [kick, drift] in &self.moves {
            for (share, kicks) in [(*kick, true), (*drift, false)] {
                if share == 0.0 {
                    continue;
                }
                let at = if kicks { t_q } else { t_p };
                self.system.rate(at, inside, &self.y_new, &mut self.rate_new);
                stats.evaluations += 1;
                let moved = if kicks { self.system.momenta() } else { self.system.positions() };
                for at in moved {
                    let y = self.y_new[*at].to_f64() + share * h * self.rate_new[*at].to_f64();
                    self.y_new[*at] = T::from_f64(y);
                }
                if kicks { t_p += share * h } else { t_q += share * h }
            }
        }
    }

    /// The cubic with the states and rates at both ends.
    fn interpolate(&mut self, h: f64, y: &[T]) {
        let dim = y.len();
        for at in 0..dim {
            let whole = self.y_new[at].to_f64() - y[at].to_f64();
            let (from, to) = (h * self.rate[at].to_f64(), h * self.rate_new[at].to_f64());
            for (p, c) in cubic(whole, from, to).into_iter().enumerate() {
                self.powers[p * dim + at] = T::from_f64(c);
            }
        }
    }

    /// Channels by Simpson's rule, with the state in the middle from the cubic.
    fn quadrature(&mut self, t: f64, inside: f64, h: f64, y: &[T], stats: &mut Stats) {
        if self.channels.is_empty() {
            return;
        }
        let dim = y.len();
        let powers =
            |at: usize| (0..3).rev().fold(0.0, |sum, p| 0.5 * (sum + self.powers[p * dim + at].to_f64()));
        let middle: Vec<T> = (0..dim).map(|at| T::from_f64(y[at].to_f64() + powers(at))).collect();
        let mut rate = vec![T::default(); dim];
        self.system.rate(t + 0.5 * h, inside, &middle, &mut rate);
        stats.evaluations += 1;
        for at in &self.channels {
            let ends = self.rate[*at].to_f64() + self.rate_new[*at].to_f64();
            let y = y[*at].to_f64() + h / 6.0 * (ends + 4.0 * rate[*at].to_f64());
            self.y_new[*at] = T::from_f64(y);
        }
        self.interpolate(h, y);
    }
}

impl<T: Real, S: Separable<T> + ?Sized> Stepper<T> for Symplectic<'_, T, S> {
    fn dim(&self) -> usize {
        self.y_new.len()
    }

    fn check(&self) -> Result<(), Invalid> {
        match self.stepping {
            Stepping::Fixed { dt } => positive("dt", *dt),
            Stepping::Adaptive(_) => Err(Invalid::NoErrorEstimate { method: self.name }),
        }
    }

    fn start(&mut self, _: f64, _: &mut [T], leg: &Leg, stats: &mut Stats) -> Flow {
        self.grid.restart();
        self.known = false;
        if let Stepping::Fixed { dt } = self.stepping {
            stats.next_step = dt * leg.direction;
        }
        Flow::Continue(())
    }

    fn pass_stop(&mut self) {
        self.known = false;
    }

    fn advance(&mut self, t: f64, y: &[T], leg: &Leg, stats: &mut Stats) -> Flow {
        let inside = leg.inside(t);
        let (h, t_new) = self.grid.next(t, leg);
        leg.spend(t, h, stats)?;
        if stats.attempts() == 0 {
            stats.first_step = h;
        }
        if self.known {
            self.rate.copy_from_slice(&self.rate_new);
        } else {
            self.system.rate(t, inside, y, &mut self.rate);
            stats.evaluations += 1;
            require_finite(&self.rate, t, 0.0, Quantity::Rate)?;
        }
        self.compose(t, inside, h, y, stats);
        self.system.rate(t_new, inside, &self.y_new, &mut self.rate_new);
        stats.evaluations += 1;
        self.interpolate(h, y);
        self.quadrature(t, inside, h, y, stats);
        if let Some(component) = non_finite(&self.y_new) {
            stats.rejected += 1;
            stats.non_finite += 1;
            return Flow::Break(Outcome::NonFinite { t, h, component, quantity: Quantity::State });
        }
        stats.accepted += 1;
        (self.taken, self.known) = ((t, h, t_new), true);
        Flow::Continue(())
    }

    fn accepted<'b>(&'b self, y: &'b [T]) -> Accepted<'b, T> {
        let (t, h, t_new) = self.taken;
        let interior = Interior::Powers { coefficients: &self.powers };
        Accepted { t, h, t_new, y, y_new: &self.y_new, interior }
    }
}
