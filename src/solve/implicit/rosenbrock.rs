//! Rosenbrock methods: linearly implicit, one factorisation a step and no iteration.
//!
//! Each stage solves
//! `(M/(γh) - J) k_i = f(t + c_i h, y + Σ_{j<i} a_ij k_j) + M Σ_{j<i} C_ij k_j/h + h d_i ∂f/∂t`, and
//! `y_new = y + Σ b_i k_i`. Source: E. Hairer, G. Wanner, Solving Ordinary Differential Equations
//! II, IV (7.25) and VI.4. Channels take the same formula, in which they depend on the states alone.

use super::Implicit;
use super::field::{Field, narrow, widen};
use super::linear::Factors;
use super::pace::{Failed, Pace, combine};
use crate::solve::dense::{Accepted, Interior};
use crate::solve::outcome::{Invalid, Stats};
use crate::solve::problem::Real;
use crate::solve::solve::Stepping;
use crate::solve::stepper::{Carried, Flow, Leg, Stepper, all_finite, non_finite};

pub(super) const STAGES: usize = 8;

/// Rodas5P: order 5 with an estimate of order 4, L-stable, stiffly accurate, for constraints of
/// index 1; its order falls less on stiff problems than that of its forebears. Source: G.
/// Steinebach, Construction of Rosenbrock–Wanner method Rodas5P and numerical benchmarks within the
/// Julia Differential Equations package, BIT 63 (2023), in the transformed form of table 3.
pub(super) mod rodas5p {
    use super::STAGES;

    pub const GAMMA: f64 = 0.21193756319429014;
    pub const C: [f64; STAGES] =
        [0.0, 0.6358126895828704, 0.4095798393397535, 0.9769306725060716, 0.4288403609558664, 1.0, 1.0, 1.0];
    pub const D: [f64; STAGES] = [
        0.21193756319429014,
        -0.42387512638858027,
        -0.3384627126235924,
        1.8046452872882734,
        2.325825639765069,
        0.0,
        0.0,
        0.0,
    ];
    /// `a_ij`; the last stage stands at `y + Σ_{j<8} a_8j k_j`, and with `k_8` added that is the
    /// new state, so `k_8` is the error estimate.
    pub const A: [&[f64]; STAGES] = [
        &[],
        &[3.0],
        &[2.849394379747939, 0.45842242204463923],
        &[-6.954028509809101, 2.489845061869568, -10.358996098473584],
        &[2.8029986275628964, 0.5072464736228206, -0.3988312541770524, -0.04721187230404641],
        &LAST,
        &[LAST[0], LAST[1], LAST[2], LAST[3], LAST[4], 1.0],
        &[LAST[0], LAST[1], LAST[2], LAST[3], LAST[4], 1.0, 1.0],
    ];
    const LAST: [f64; 5] = [
        -7.502846399306121,
        2.561846144803919,
        -11.627539656261098,
        -0.18268767659942256,
        0.030198172008377946,
    ];
    /// `C_ij`
    pub const COUPLING: [&[f64]; STAGES] = [
        &[],
        &[-14.155112264123755],
        &[-17.97296035885952, -2.859693295451294],
        &[147.12150275711716, -1.41221402718213, 71.68940251302358],
        &[165.43517024871676, -0.4592823456491126, 42.90938336958603, -5.961986721573306],
        &[24.854864614690072, -3.0009227002832186, 47.4931110020768, 5.5814197821558125, -0.6610691825249471],
        &[
            30.91273214028599,
            -3.1208243349937974,
            77.79954646070892,
            34.28646028294783,
            -19.097331116725623,
            -28.087943162872662,
        ],
        &[
            37.80277123390563,
            -3.2571969029072276,
            112.26918849496327,
            66.9347231244047,
            -40.06618937091002,
            -54.66780262877968,
            -9.48861652309627,
        ],
    ];
    /// The solution inside a step is `(1 - θ) y + θ (y_new + (1 - θ) (g_1 + θ g_2 + θ² g_3))` with
    /// `g_r = Σ_j H_rj k_j`, of order 4.
    pub const H: [[f64; STAGES]; 3] = [
        [
            25.948786856663858,
            -2.5579724845846235,
            10.433815404888879,
            -2.3679251022685204,
            0.524948541321073,
            1.1241088310450404,
            0.4272876194431874,
            -0.17202221070155493,
        ],
        [
            -9.91568850695171,
            -0.9689944594115154,
            3.0438037242978453,
            -24.495224566215796,
            20.176138334709044,
            15.98066361424651,
            -6.789040303419874,
            -6.710236069923372,
        ],
        [
            11.419903575922262,
            2.8879645146136994,
            72.92137995996029,
            80.12511834622643,
            -52.072871366152654,
            -59.78993625266729,
            -0.15582684282751913,
            4.883087185713722,
        ],
    ];
}

/// The error estimate is `O(h^5)`.
const Q: u32 = 5;

/// Rodas5P at work on one system.
pub struct Rosenbrock<'a, T, S: ?Sized> {
    pub(super) field: Field<'a, T, S>,
    pace: Pace,
    lu: Factors<f64>,
    pub(super) y: Vec<f64>,
    pub(super) y_new: Vec<f64>,
    pub(super) f_t: Vec<f64>,
    /// `k_i`, `[8, dim]`.
    pub(super) k: Vec<f64>,
    /// Where a stage stands, the rate there, and what the stages before it add to that.
    stage: Vec<f64>,
    f: Vec<f64>,
    coupled: Vec<f64>,
    weighed: Vec<f64>,
    /// The `g_r` of the interior, `[3, dim]`.
    bends: Vec<f64>,
    /// The step last taken: its start, its size, its end.
    pub(super) taken: (f64, f64, f64),
    shown_y: Vec<T>,
    /// `[4, dim]`
    shown_powers: Vec<T>,
}

impl<'a, T: Real, S: Implicit<T> + ?Sized> Rosenbrock<'a, T, S> {
    /// `|h| ρ(J)` at the start of the step last taken, with `ρ(J) ≈ |J^m v|^(1/m)` for a vector `v` of
    /// length 1. Source of the limit: Gelfand's formula.
    pub(in crate::solve) fn stiffness(&self) -> f64 {
        const POWERS: i32 = 16;
        let n = self.field.n;
        let mut v: Vec<f64> = (0..n).map(|at| 1.0 + at as f64 / n as f64).collect();
        let mut log_growth = 0.0;
        for power in 0..=POWERS {
            let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
            if length == 0.0 {
                return 0.0;
            }
            log_growth += if power > 0 { libm::log(length) } else { 0.0 };
            v.iter_mut().for_each(|x| *x /= length);
            if power < POWERS {
                v = self.field.moved(&v);
            }
        }
        self.taken.1.abs() * libm::exp(log_growth / f64::from(POWERS))
    }

    /// Rodas5P for `system`.
    pub fn new(system: &'a mut S, stepping: &Stepping) -> Self {
        let field = Field::new(system);
        let dim = field.dim;
        let lu = field.factors();
        Rosenbrock {
            field,
            pace: Pace::new(stepping, Q),
            lu,
            y: vec![0.0; dim],
            y_new: vec![0.0; dim],
            f_t: vec![0.0; dim],
            k: vec![0.0; STAGES * dim],
            stage: vec![0.0; dim],
            f: vec![0.0; dim],
            coupled: vec![0.0; dim],
            weighed: vec![0.0; dim],
            bends: vec![0.0; 3 * dim],
            taken: (0.0, 0.0, 0.0),
            shown_y: vec![T::default(); dim],
            shown_powers: vec![T::default(); 4 * dim],
        }
    }

    /// For a system whose steps are gone back through, each taken for itself.
    pub fn returning(system: &'a mut S) -> Self {
        let mut method = Rosenbrock::new(system, &Stepping::Fixed { dt: 1.0 });
        method.field.weigh();
        method
    }

    /// `Σ_j weights_j k_j` in component `at`.
    fn sum(&self, weights: &[f64], at: usize) -> f64 {
        weights.iter().enumerate().map(|(j, w)| w * self.k[j * self.field.dim + at]).sum()
    }

    /// All stages of a step of size `h`.
    pub(super) fn stages(&mut self, t: f64, h: f64, stats: &mut Stats) -> Result<(), Failed> {
        let Field { dim, n, .. } = self.field;
        let gamma_h = rodas5p::GAMMA * h;
        if !self.field.factor(&mut self.lu, |m, j| m / gamma_h - j, stats) {
            return Err(Failed::Singular);
        }
        for stage in 0..STAGES {
            let (known, own) = self.k.split_at_mut(stage * dim);
            combine(rodas5p::A[stage], known, dim, &mut self.stage);
            self.stage.iter_mut().zip(&self.y).for_each(|(at, y)| *at += y);
            self.field.rate(t + rodas5p::C[stage] * h, &self.stage, &mut self.f, stats);
            if !all_finite(&self.f) {
                return Err(Failed::NotFinite { component: non_finite(&self.f).unwrap_or(0) });
            }
            combine(rodas5p::COUPLING[stage], known, dim, &mut self.coupled);
            self.coupled.iter_mut().for_each(|coupled| *coupled /= h);
            let weighed = self.field.mass.weighed(&self.coupled[..n], &mut self.weighed[..n]);
            let (states, channels) = own[..dim].split_at_mut(n);
            for at in 0..n {
                states[at] = self.f[at] + weighed[at] + h * rodas5p::D[stage] * self.f_t[at];
            }
            self.lu.solve(states);
            if dim > n {
                let moved = self.field.channels_moved(states);
                for ((at, channel), moved) in (n..dim).zip(channels).zip(moved) {
                    let slope = self.f[at] + self.coupled[at] + h * rodas5p::D[stage] * self.f_t[at];
                    *channel = gamma_h * (slope + moved);
                }
            }
        }
        Ok(())
    }

    /// Writes the new state, once all stages are there.
    pub(super) fn arrive(&mut self) {
        let (dim, last) = (self.field.dim, STAGES - 1);
        combine(rodas5p::A[last], &self.k, dim, &mut self.y_new);
        for at in 0..dim {
            self.y_new[at] = self.y[at] + self.y_new[at] + self.k[last * dim + at];
        }
    }

    /// The interior of the step in component `at` as coefficients of `θ, θ², ..`.
    pub(super) fn interior(&self, at: usize) -> [f64; 4] {
        powers(self.y_new[at] - self.y[at], rodas5p::H.map(|row| self.sum(&row, at)))
    }

    fn show(&mut self) {
        let dim = self.field.dim;
        narrow(&self.y_new, &mut self.shown_y);
        for (row, weights) in rodas5p::H.iter().enumerate() {
            combine(weights, &self.k, dim, &mut self.bends[row * dim..][..dim]);
        }
        for at in 0..dim {
            let g = [self.bends[at], self.bends[dim + at], self.bends[2 * dim + at]];
            for (p, c) in powers(self.y_new[at] - self.y[at], g).into_iter().enumerate() {
                self.shown_powers[p * dim + at] = T::from_f64(c);
            }
        }
    }
}

/// The interior as powers of `θ`, of what the whole step adds and of the `g_r`.
fn powers(whole: f64, [g1, g2, g3]: [f64; 3]) -> [f64; 4] {
    [whole + g1, g2 - g1, g3 - g2, -g3]
}

impl<T: Real, S: Implicit<T> + ?Sized> Stepper<T> for Rosenbrock<'_, T, S> {
    fn dim(&self) -> usize {
        self.field.dim
    }

    fn check(&self) -> Result<(), Invalid> {
        self.pace.check(self.field.dim)
    }

    fn start(&mut self, t: f64, y: &mut [T], leg: &Leg, stats: &mut Stats) -> Flow {
        self.field.inside = leg.inside(t);
        widen(y, &mut self.y);
        let started = self.pace.start(&mut self.field, t, &mut self.y, leg, stats);
        // A start that is given up is told by the last state that was tried.
        narrow(&self.y, y);
        started
    }

    fn carried(&self) -> Option<Carried> {
        self.pace.carried()
    }

    fn resume(&mut self, carried: &Carried, t: f64, y: &mut [T], leg: &Leg, stats: &mut Stats) -> Flow {
        if !self.pace.resume(carried, &mut self.field) {
            return self.start(t, y, leg, stats);
        }
        self.pass_stop();
        Flow::Continue(())
    }

    fn pass_stop(&mut self) {}

    fn advance(&mut self, t: f64, y: &[T], leg: &Leg, stats: &mut Stats) -> Flow {
        self.field.inside = leg.inside(t);
        widen(y, &mut self.y);
        self.field.linearise(t, &self.y, stats)?;
        self.field.time_slope(t, &self.y, &mut self.f_t);
        self.pace.begin(t);
        loop {
            let (h, t_new) = self.pace.propose(t, leg);
            leg.spend(t, h, stats)?;
            if stats.attempts() == 0 {
                stats.first_step = h;
            }
            if let Err(failed) = self.stages(t, h, stats) {
                self.pace.failed(failed, t, h, stats)?;
                continue;
            }
            self.arrive();
            let err = &self.k[(STAGES - 1) * self.field.dim..];
            if self.pace.passes(1.0, err, (&self.y, &self.y_new), (t, h), leg, stats)? {
                self.taken = (t, h, t_new);
                self.show();
                return Flow::Continue(());
            }
        }
    }

    fn error(&self, component: usize) -> Option<f64> {
        self.pace.error(component)
    }

    fn accepted<'b>(&'b self, y: &'b [T]) -> Accepted<'b, T> {
        let (t, h, t_new) = self.taken;
        let interior = Interior::Powers { coefficients: &self.shown_powers };
        Accepted { t, h, t_new, y, y_new: &self.shown_y, interior }
    }
}
