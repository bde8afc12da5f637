//! Step-size control: tolerances, the error norm, the controller, the first step.
//!
//! Everything is dimensionless after the error has been divided by its tolerance; a norm of at
//! most 1 accepts a step.

use super::outcome::Invalid;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// `sqrt(mean(r_i²))`. Source: Hairer, Nørsett, Wanner, Solving ODEs I, eq. (II.4.11).
    Rms,
    /// `max |r_i|`.
    Max,
}

/// Answers an error norm with a factor for the step size:
/// `safety · err^(-(1/q - 0.75 β)) · err_prev^β`, kept in `[min_factor, max_factor]`, with `q` the
/// order of the error estimate as a power of `h` and `β = beta/q`.
///
/// `beta = 0` is the elementary (I) controller. Source: K. Gustafsson, Control theoretic
/// techniques for stepsize selection in explicit Runge–Kutta methods, ACM TOMS 17 (1991), in the
/// form and with the constants of the code DOPRI5 (Hairer, Nørsett, Wanner, Solving ODEs I,
/// II.4 and Solving ODEs II, IV.2), where `q = 5` and `β = 0.04`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Controller {
    /// Aims this far below the tolerance, so that the next step is likely to pass.
    pub safety: f64,
    /// The step shrinks by no more than this at once.
    pub min_factor: f64,
    /// The step grows by no more than this at once.
    pub max_factor: f64,
    /// `q` times the weight of the previous error.
    pub beta: f64,
}

impl Controller {
    /// The elementary controller.
    pub const I: Controller = Controller { safety: 0.9, min_factor: 0.2, max_factor: 10.0, beta: 0.0 };
    /// The PI controller of DOPRI5.
    pub const PI: Controller = Controller { beta: 0.2, ..Controller::I };

    /// DOPRI5 takes a previous error below this for this, lest one lucky step stop the growth.
    const ERR_PREV_FLOOR: f64 = 1e-4;

    /// Ratio of the next step size to this one, after an accepted step. `err` is the error norm
    /// of this step, `err_prev` of the last accepted one before, `q` as above.
    pub fn after_accepted(&self, q: u32, err: f64, err_prev: f64) -> f64 {
        let (q, beta) = (f64::from(q), self.beta / f64::from(q));
        let wish = self.safety * libm::pow(err, 0.75 * beta - 1.0 / q) * libm::pow(err_prev, beta);
        self.clamped(wish)
    }

    /// Ratio of the next step size to this one, after a rejected step: the elementary rule, never
    /// above 1. An error that is not finite gives `min_factor`.
    pub fn after_rejected(&self, q: u32, err: f64) -> f64 {
        if !err.is_finite() {
            return self.min_factor;
        }
        self.clamped(self.safety * libm::pow(err, -1.0 / f64::from(q))).min(1.0)
    }

    /// What an accepted error is remembered as.
    pub fn remembered(&self, err: f64) -> f64 {
        err.max(Controller::ERR_PREV_FLOOR)
    }

    fn clamped(&self, factor: f64) -> f64 {
        // An error of zero gives infinity, hence the largest factor.
        factor.clamp(self.min_factor, self.max_factor)
    }
}

impl Adaptive {
    /// Tolerances for a system with `n_states` states; PI control, RMS over the states.
    pub fn new(rtol: f64, atol: f64, n_states: usize) -> Adaptive {
        Adaptive {
            rtol,
            atol: Atol::Scalar(atol),
            errors: Errors::States(n_states),
            norm: Norm::Rms,
            controller: Controller::PI,
            first_step: None,
            max_step: f64::INFINITY,
            min_step: 0.0,
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
        match &self.atol {
            Atol::Scalar(_) => {}
            Atol::PerComponent(atol) => length("atol", atol.len())?,
        }
        match &self.errors {
            Errors::States(n) if *n > dim => length("states", *n)?,
            Errors::States(_) | Errors::All => {}
            Errors::Mask(mask) => length("error_norm", mask.len())?,
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
        let (mut sum, mut max, mut n) = (0.0_f64, 0.0_f64, 0_usize);
        for at in 0..v.len() {
            if self.errors.count(at) {
                let r = self.ratio(at, v, y, y_new);
                sum += r * r;
                // Unlike `f64::max`, keeps what is not a number.
                max = if r > max || r.is_nan() { r } else { max };
                n += 1;
            }
        }
        match self.norm {
            _ if n == 0 => 0.0,
            Norm::Rms => (sum / n as f64).sqrt(),
            Norm::Max if sum.is_nan() => f64::NAN,
            Norm::Max => max,
        }
    }

    /// The component that counts and has the largest `|v_i|` relative to its tolerance, with that
    /// ratio.
    pub fn largest<T: Real>(&self, v: &[T], y: &[T], y_new: &[T]) -> (usize, f64) {
        let counted = (0..v.len()).filter(|at| self.errors.count(*at));
        let ratios = counted.map(|at| (at, self.ratio(at, v, y, y_new)));
        ratios.fold((0, 0.0), |best, next| if next.1 > best.1 { next } else { best })
    }

    fn ratio<T: Real>(&self, at: usize, v: &[T], y: &[T], y_new: &[T]) -> f64 {
        let size = y[at].to_f64().abs().max(y_new[at].to_f64().abs());
        match v[at].to_f64().abs() {
            // Also where the tolerance is zero, because the state is and `atol` too.
            0.0 => 0.0,
            error => error / (self.atol.at(at) + self.rtol * size),
        }
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
        let (d0, d1) = (self.norm(y, y, y), self.norm(dy, y, y));
        let h0 = if d0 < 1e-5 || d1 < 1e-5 { 1e-6 } else { 0.01 * (d0 / d1) };
        let h0 = h0.min(limit);
        for at in 0..y.len() {
            y_try[at] = T::from_f64(y[at].to_f64() + direction * h0 * dy[at].to_f64());
        }
        rate(t + direction * h0, y_try, dy_try);
        for at in 0..y.len() {
            dy_try[at] = T::from_f64(dy_try[at].to_f64() - dy[at].to_f64());
        }
        let d2 = self.norm(dy_try, y, y) / h0;
        let largest = d1.max(d2);
        let h1 = if !d2.is_finite() {
            // The trial point lies outside the domain of the rate: stay well before it.
            h0 * 1e-3
        } else if largest <= 1e-15 {
            f64::max(1e-6, h0 * 1e-3)
        } else {
            libm::pow(0.01 / largest, 1.0 / f64::from(q))
        };
        h1.min(100.0 * h0).min(limit)
    }

    /// No step from `t` can be shorter: ten units in the last place of `t`, or as the options say.
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
    /// Whether component `at` counts.
    pub fn count(&self, at: usize) -> bool {
        match self {
            Errors::States(n) => at < *n || *n == 0,
            Errors::All => true,
            Errors::Mask(mask) => mask[at],
        }
    }
}

pub(super) fn positive(name: &'static str, value: f64) -> Result<(), Invalid> {
    if value > 0.0 { Ok(()) } else { Err(Invalid::NotPositive { name, value }) }
}

fn not_negative(name: &'static str, value: f64) -> Result<(), Invalid> {
    if value >= 0.0 { Ok(()) } else { Err(Invalid::Negative { name, value }) }
}
