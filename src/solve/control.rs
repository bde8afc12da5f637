//! Step-size control: tolerances, the error norm, the first step, where steps land.
//!
//! Everything is dimensionless after the error has been divided by its tolerance; a norm of at
//! most 1 accepts a step.

use super::controller::Controller;
use super::outcome::Invalid;
use super::power::power;
use super::problem::Real;

/// What an adaptive run is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Adaptive {
    /// Relative tolerance.
    pub rtol: f64,
    /// Absolute tolerance.
    pub atol: Atol,
    /// Which components have a say.
    pub errors: Errors,
    /// How their errors become one number.
    pub norm: Norm,
    /// How that number becomes a step size.
    pub controller: Controller,
    /// Size of the first step; otherwise it is estimated, for one evaluation.
    pub first_step: Option<f64>,
    /// No step is longer.
    pub max_step: f64,
    /// No step is shorter, except one that lands on a stop or the end.
    pub min_step: f64,
    /// The norm for the estimate of the first step.
    pub start: StartNorm,
    /// How a run comes to a stop or its end.
    pub landing: Landing,
    /// What the error estimates of explicit methods count; `None` for
    /// [`Embedded::scale`](super::tableau::Embedded::scale) of the method.
    pub estimate: Option<f64>,
}

/// Absolute tolerance.
#[derive(Clone, Debug, PartialEq)]
pub enum Atol {
    /// The same for all components.
    Scalar(f64),
    /// One for each component, `[dim]`.
    PerComponent(Vec<f64>),
}

/// Which components of the state vector count in the error norm.
#[derive(Clone, Debug, PartialEq)]
pub enum Errors {
    /// The states: the first so many components. Channels, which stand behind them, do not steer
    /// the step size, since they do not feed back into the dynamics. A system of channels only
    /// has nothing else to go by, so then all of them count.
    States(usize),
    /// All components.
    All,
    /// Those marked `true`, `[dim]`.
    Mask(Vec<bool>),
}

/// A norm of the errors that count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Norm {
    /// `sqrt(mean(r_i²))`. Source: Hairer, Nørsett, Wanner, Solving ODEs I, eq. (II.4.11).
    Rms,
    /// `max |r_i|`: each component is held to its own tolerance.
    Max,
    /// The largest of the [`Norm::Rms`] of blocks of components, however many components each has.
    Blocks(
        /// The block of each component, `[dim]`.
        Vec<usize>,
    ),
}

/// The norm that the size of the first step is estimated with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartNorm {
    /// The norm of the errors.
    Own,
    /// `sqrt(Σ r_i²)`, as in DOPRI5: its first step depends on how many components there are.
    Sum,
    /// The same, and the first and second derivative are added where the larger should be taken.
    SumOfBoth,
}

/// How a run comes to a time that it must land on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Landing {
    /// Two steps share what is left rather than leave a tiny one.
    Shared,
    /// The last step is cut to what is left, or stretched to it by at most this share of itself.
    Cut {
        /// At least 0.
        slack: f64,
    },
}

impl Landing {
    /// The step to take when `size` is wished and `remaining` is left to the next target, and whether
    /// it lands there.
    #[inline(always)]
    pub fn fitted(self, size: f64, remaining: f64) -> (f64, bool) {
        let [stretch, shared] = self.limits();
        let lands = remaining <= size * stretch;
        let tried = if remaining < shared * size { 0.5 * remaining } else { size };
        (if lands { remaining } else { tried }, lands)
    }

    /// How many times the step wished for may be left for one step to land, and below how many times two
    /// steps share what is left.
    #[inline(always)]
    pub fn limits(self) -> [f64; 2] {
        match self {
            Landing::Shared => [1.0 + 1e-10, 2.0],
            Landing::Cut { slack } => [1.0 + slack.max(1e-10), 0.0],
        }
    }
}

impl Adaptive {
    /// Tolerances for a system with `n_states` states; the method's own control, RMS over the states.
    pub fn new(rtol: f64, atol: f64, n_states: usize) -> Adaptive {
        Adaptive {
            rtol,
            atol: Atol::Scalar(atol),
            errors: Errors::States(n_states),
            norm: Norm::Rms,
            controller: Controller::OWN,
            first_step: None,
            max_step: f64::INFINITY,
            min_step: 0.0,
            start: StartNorm::Own,
            landing: Landing::Shared,
            estimate: None,
        }
    }

    /// Whether a run of `dim` components can be steered by this.
    pub fn check(&self, dim: usize) -> Result<(), Invalid> {
        let length = |name, found| match found == dim {
            true => Ok(()),
            false => Err(Invalid::Length { name, expected: dim, found }),
        };
        not_negative("rtol", self.rtol)?;
        not_negative("min_step", self.min_step)?;
        positive("max_step", self.max_step)?;
        positive("dt", self.first_step.unwrap_or(1.0))?;
        positive("safety", self.controller.safety)?;
        positive("factor_min", self.controller.min_factor)?;
        positive("factor_max", self.controller.max_factor)?;
        match &self.atol {
            Atol::Scalar(_) => {}
            Atol::PerComponent(atol) => length("atol", atol.len())?,
        }
        match &self.errors {
            Errors::States(n) if *n > dim => length("states", *n)?,
            Errors::States(_) | Errors::All => {}
            Errors::Mask(mask) => length("error_norm", mask.len())?,
        }
        match &self.norm {
            Norm::Rms | Norm::Max => {}
            Norm::Blocks(blocks) => length("norm", blocks.len())?,
        }
        for component in 0..dim {
            not_negative("atol", self.atol.at(component))?;
            if self.rtol == 0.0 && self.atol.at(component) == 0.0 {
                return Err(Invalid::NoTolerance { component });
            }
        }
        Ok(())
    }

    /// The norm of `v / (atol + rtol max(|y|, |y_new|))` over the components that count; 0 if
    /// there are none. Not a number if one of them is not.
    pub fn norm<T: Real>(&self, v: &[T], y: &[T], y_new: &[T]) -> f64 {
        if let Some(plain) = self.plain(v.len()) {
            return plain.norm(|at| v[at].to_f64(), y, y_new);
        }
        let counted = || (0..v.len()).filter(|at| self.errors.count(*at));
        match &self.norm {
            Norm::Rms => {
                let (mut sum, mut n) = (0.0_f64, 0_usize);
                for at in counted() {
                    let r = self.ratio(at, v, y, y_new);
                    sum += r * r;
                    n += 1;
                }
                if n == 0 { 0.0 } else { (sum / n as f64).sqrt() }
            }
            Norm::Max => counted().map(|at| self.ratio(at, v, y, y_new)).fold(0.0, larger),
            Norm::Blocks(blocks) => {
                let n_blocks = blocks.iter().max().map_or(0, |last| last + 1);
                let mut sums = vec![(0.0_f64, 0_usize); n_blocks];
                for at in counted() {
                    let (r, (sum, n)) = (self.ratio(at, v, y, y_new), &mut sums[blocks[at]]);
                    *sum += r * r;
                    *n += 1;
                }
                let means = sums.into_iter().filter(|(_, n)| *n > 0).map(|(sum, n)| (sum / n as f64).sqrt());
                means.fold(0.0, larger)
            }
        }
    }

    /// The component that counts and has the largest `|v_i|` relative to its tolerance, with that
    /// ratio.
    pub fn largest<T: Real>(&self, v: &[T], y: &[T], y_new: &[T]) -> (usize, f64) {
        let counted = (0..v.len()).filter(|at| self.errors.count(*at));
        let ratios = counted.map(|at| (at, self.ratio(at, v, y, y_new)));
        ratios.fold((0, 0.0), |best, next| if next.1 > best.1 { next } else { best })
    }

    /// The norm of `dim` components, if it is of the usual kind.
    pub(super) fn plain(&self, dim: usize) -> Option<Plain> {
        match (&self.norm, &self.atol, self.errors.first(dim)) {
            (Norm::Rms, Atol::Scalar(atol), Some(n)) => Some(Plain { n, atol: *atol, rtol: self.rtol }),
            (Norm::Rms | Norm::Max | Norm::Blocks(_), Atol::Scalar(_) | Atol::PerComponent(_), _) => None,
        }
    }

    /// How many of `dim` components [`Norm::Rms`] counts, if that is the norm and they come first.
    pub(super) fn counted(&self, dim: usize) -> Option<usize> {
        self.errors.first(dim).filter(|_| self.norm == Norm::Rms)
    }

    fn ratio<T: Real>(&self, at: usize, v: &[T], y: &[T], y_new: &[T]) -> f64 {
        ratio(v[at].to_f64(), tolerance(self.atol.at(at), self.rtol, y[at], y_new[at]))
    }

    /// Size of the first step from `(t, y)` towards `direction` (±1), with `dy` the rate there, as
    /// `rate(t, y, dy)` would give it. Costs one evaluation; `y_try` and `dy_try` are scratch. Never
    /// above `limit`.
    ///
    /// Source: Hairer, Nørsett, Wanner, Solving ODEs I, II.4, "Starting step size", with
    /// `1/(p + 1)` the reciprocal of `q`.
    #[allow(clippy::too_many_arguments, reason = "the formula has this many letters")]
    pub fn first_step_size<T: Real>(
        &self,
        rate: impl FnOnce(f64, &[T], &mut [T]),
        q: u32,
        (t, direction, limit): (f64, f64, f64),
        y: &[T],
        dy: &[T],
        y_try: &mut [T],
        dy_try: &mut [T],
    ) -> f64 {
        let trial = self.first_trial((direction, limit), y, dy, y_try);
        rate(t + trial, y_try, dy_try);
        self.first_size_after(trial.abs(), q, limit, y, dy, dy_try)
    }

    /// The step, with its sign, of the trial that [`first_step_size`](Adaptive::first_step_size)
    /// makes, and its end `y_try`.
    fn first_trial<T: Real>(
        &self,
        (direction, limit): (f64, f64),
        y: &[T],
        dy: &[T],
        y_try: &mut [T],
    ) -> f64 {
        let norms = [self.start_norm(y, y), self.start_norm(dy, y)];
        let trial = direction * first_trial_size(norms, limit);
        for at in 0..y.len() {
            y_try[at] = along(y[at], trial, dy[at]);
        }
        trial
    }

    /// What comes of a trial of size `h0`, at whose end the rate is `dy_try`.
    fn first_size_after<T: Real>(
        &self,
        h0: f64,
        q: u32,
        limit: f64,
        y: &[T],
        dy: &[T],
        dy_try: &mut [T],
    ) -> f64 {
        for at in 0..y.len() {
            dy_try[at] = change(dy_try[at], dy[at]);
        }
        self.first_size_of([self.start_norm(dy, y), self.start_norm(dy_try, y)], h0, q, limit)
    }

    /// The same with the norms of the rate at the start and of its change.
    pub(super) fn first_size_of(&self, [d1, change]: [f64; 2], h0: f64, q: u32, limit: f64) -> f64 {
        let d2 = change / h0;
        let largest = match self.start {
            StartNorm::Own | StartNorm::Sum => d1.max(d2),
            StartNorm::SumOfBoth => d1 + d2,
        };
        let h1 = if !d2.is_finite() {
            // The trial point lies outside the domain of the rate: stay well before it.
            h0 * 1e-3
        } else if largest <= 1e-15 {
            f64::max(1e-6, h0 * 1e-3)
        } else {
            power(0.01 / largest, 1.0 / f64::from(q))
        };
        h1.min(100.0 * h0).min(limit)
    }

    /// The norm of `v` at `y` for the first step.
    fn start_norm<T: Real>(&self, v: &[T], y: &[T]) -> f64 {
        match self.start {
            StartNorm::Own => self.norm(v, y, y),
            StartNorm::Sum | StartNorm::SumOfBoth => {
                let counted = (0..v.len()).filter(|at| self.errors.count(*at));
                counted.map(|at| self.ratio(at, v, y, y).powi(2)).sum::<f64>().sqrt()
            }
        }
    }

    /// No step from `t` can be shorter: ten units in the last place of `t`, or as the options say.
    #[inline(always)]
    pub fn shortest(&self, t: f64) -> f64 {
        self.min_step.max(10.0 * f64::EPSILON * t.abs()).max(f64::MIN_POSITIVE)
    }
}

impl Atol {
    /// The tolerance of component `at`.
    pub fn at(&self, at: usize) -> f64 {
        match self {
            Atol::Scalar(atol) => *atol,
            Atol::PerComponent(atol) => atol[at],
        }
    }
}

impl Errors {
    /// How many of `dim` components count, if those are the first ones.
    fn first(&self, dim: usize) -> Option<usize> {
        match self {
            Errors::States(0) | Errors::All => Some(dim),
            Errors::States(n) => Some(*n),
            Errors::Mask(_) => None,
        }
    }

    /// Whether component `at` counts.
    pub fn count(&self, at: usize) -> bool {
        match self {
            Errors::States(n) => at < *n || *n == 0,
            Errors::All => true,
            Errors::Mask(mask) => mask[at],
        }
    }
}

/// [`Norm::Rms`] of the first `n` components with the same tolerances.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain {
    n: usize,
    atol: f64,
    rtol: f64,
}

impl Plain {
    /// [`Adaptive::norm`] of `v`.
    #[inline(always)]
    pub fn norm<T: Real>(self, v: impl Fn(usize) -> f64, y: &[T], y_new: &[T]) -> f64 {
        let [norm, _] = self.norms(|at| [v(at), 0.0], y, y_new);
        norm
    }

    /// The same of two vectors.
    #[inline(always)]
    pub fn norms<T: Real>(self, v: impl Fn(usize) -> [f64; 2], y: &[T], y_new: &[T]) -> [f64; 2] {
        let (y, y_new, mut sums) = (&y[..self.n], &y_new[..self.n], [0.0; 2]);
        for at in 0..self.n {
            let tolerance = tolerance(self.atol, self.rtol, y[at], y_new[at]);
            let ratios = v(at).map(|v| ratio(v, tolerance));
            sums = [sums[0] + ratios[0] * ratios[0], sums[1] + ratios[1] * ratios[1]];
        }
        let n = self.n.max(1) as f64;
        sums.map(|sum| (sum / n).sqrt())
    }
}

/// `atol + rtol max(|y|, |y_new|)`
#[inline(always)]
fn tolerance<T: Real>(atol: f64, rtol: f64, y: T, y_new: T) -> f64 {
    atol + rtol * y.to_f64().abs().max(y_new.to_f64().abs())
}

/// `|v|` in units of the tolerance; 0 of no error also where the tolerance is zero, because the state is and
/// `atol` too.
#[inline(always)]
fn ratio(v: f64, tolerance: f64) -> f64 {
    let ratio = v.abs() / tolerance;
    if v == 0.0 { 0.0 } else { ratio }
}

/// The size of the trial of a first step: where state and rate have these norms.
pub(super) fn first_trial_size([d0, d1]: [f64; 2], limit: f64) -> f64 {
    let h0 = if d0 < 1e-5 || d1 < 1e-5 { 1e-6 } else { 0.01 * (d0 / d1) };
    h0.min(limit)
}

/// `y + h dy`
#[inline(always)]
pub(super) fn along<T: Real>(y: T, h: f64, dy: T) -> T {
    T::from_f64(y.to_f64() + h * dy.to_f64())
}

/// `after - before`
#[inline(always)]
pub(super) fn change<T: Real>(after: T, before: T) -> T {
    T::from_f64(after.to_f64() - before.to_f64())
}

/// The larger of both; unlike `f64::max`, what is not a number if one of them is not.
#[inline(always)]
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if b > a || b.is_nan() { b } else { a }
}

pub(super) fn positive(name: &'static str, value: f64) -> Result<(), Invalid> {
    if value > 0.0 { Ok(()) } else { Err(Invalid::NotPositive { name, value }) }
}

fn not_negative(name: &'static str, value: f64) -> Result<(), Invalid> {
    if value >= 0.0 { Ok(()) } else { Err(Invalid::Negative { name, value }) }
}
