//! Step-size controllers: the error norm of a step in, a factor for the step size out.

use super::power::{exp2, log2, power};

/// Answers the error norm of a step with a factor for the step size, kept in
/// `[min_factor, max_factor]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Controller {
    /// How errors become a factor; `None` for the rule of the method: [`Rule::PI`] for explicit
    /// methods, [`Rule::Predictive`] for implicit ones.
    pub rule: Option<Rule>,
    /// Aims this far below the tolerance, so that the next step is likely to pass.
    pub safety: f64,
    /// The step shrinks by no more than this at once.
    pub min_factor: f64,
    /// The step grows by no more than this at once.
    pub max_factor: f64,
    /// A step that was accepted never makes the next one shorter.
    pub keeps_accepted: bool,
    /// The step may grow right after one that was rejected.
    pub grows_after_rejection: bool,
    /// A rejected step is answered with the weight that the rule gives the last error; otherwise by
    /// the elementary rule.
    pub rejects_alike: bool,
}

/// How errors become a factor for the step size. `q`: the error estimate is `O(h^q)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// `safety · err^(-(i + p + d)/q) · err_prev^((p + 2d)/q) · err_prev2^(-d/q)`: the coefficients of
    /// the integral, the proportional and the derivative part, as diffrax names them. Source: G.
    /// Söderlind, Digital filters in adaptive time-stepping, ACM TOMS 29 (2003); K. Gustafsson,
    /// Control theoretic techniques for stepsize selection in explicit Runge–Kutta methods, ACM TOMS
    /// 17 (1991).
    Pid {
        /// Weight of the change of the last error.
        pcoeff: f64,
        /// Weight of the last error.
        icoeff: f64,
        /// Weight of the change of that change.
        dcoeff: f64,
    },
    /// `safety · err^(-1/q) · min(1, h/h_prev · (err_prev/err)^(1/q))`: the error is expected to go on
    /// growing as it grew. Source: K. Gustafsson, Control-theoretic techniques for stepsize selection
    /// in implicit Runge–Kutta methods, ACM TOMS 20 (1994); Hairer, Wanner, Solving ODEs II, IV (8.24).
    Predictive,
}

impl Rule {
    /// The elementary controller.
    pub const I: Rule = Rule::Pid { pcoeff: 0.0, icoeff: 1.0, dcoeff: 0.0 };
    /// The PI controller of the code DOPRI5, whose `β = 0.04` is `p/q` with `q = 5`. Source: Hairer,
    /// Nørsett, Wanner, Solving ODEs I, II.4 and Solving ODEs II, IV.2.
    pub const PI: Rule = Rule::Pid { pcoeff: 0.2, icoeff: 0.65, dcoeff: 0.0 };
    /// The filter H312PID of Söderlind's table: the last three errors weigh `1/18, 1/9, 1/18` over `q`.
    pub const PID: Rule = Rule::Pid { pcoeff: -2.0 / 9.0, icoeff: 2.0 / 9.0, dcoeff: 1.0 / 18.0 };

    /// The weight of the last error, times `-q`.
    fn weight(self) -> f64 {
        match self {
            Rule::Pid { pcoeff, icoeff, dcoeff } => icoeff + pcoeff + dcoeff,
            Rule::Predictive => 1.0,
        }
    }
}

/// What a controller knows of the steps before: each rule what it reads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Past {
    /// The binary logarithms of the error norms of the last two accepted steps, never below a floor.
    pub(super) logs: [f64; 2],
    /// Size and error norm of the last accepted step.
    pub(super) last: Option<(f64, f64)>,
}

impl Past {
    /// `log₂` of `1e-4`: DOPRI5 takes an error below this for this, lest one lucky step stop the
    /// growth, and begins with it.
    pub(super) const FLOOR: f64 = -13.287_712_379_549_449;
    /// The floor of RADAU5, `1e-2`, for the predictive rule.
    const PREDICTIVE_FLOOR: f64 = 1e-2;
}

/// Of a run that begins.
impl Default for Past {
    fn default() -> Past {
        Past { logs: [Past::FLOOR; 2], last: None }
    }
}

impl Controller {
    /// The rule of the method, with the constants of DOPRI5.
    pub const OWN: Controller = Controller {
        rule: None,
        safety: 0.9,
        min_factor: 0.2,
        max_factor: 10.0,
        keeps_accepted: false,
        grows_after_rejection: false,
        rejects_alike: false,
    };
    /// The elementary controller.
    pub const I: Controller = Controller { rule: Some(Rule::I), ..Controller::OWN };
    /// The PI controller of DOPRI5.
    pub const PI: Controller = Controller { rule: Some(Rule::PI), ..Controller::OWN };

    /// This with `rule` where it leaves the rule to the method.
    pub(super) fn or(self, rule: Rule) -> Controller {
        Controller { rule: Some(self.rule.unwrap_or(rule)), ..self }
    }

    pub(super) fn rule(&self) -> Rule {
        self.rule.unwrap_or(Rule::PI)
    }

    /// Ratio of the next step size to this one, after an accepted step of size `h` with the error norm
    /// `err`, which `past` takes in. `after_rejection`: the step was tried longer before. `ease` is a
    /// further factor of safety.
    pub fn accepted(
        &self,
        q: u32,
        (h, err): (f64, f64),
        after_rejection: bool,
        ease: f64,
        past: &mut Past,
    ) -> f64 {
        let log = log_of(err);
        let answer = match self.rule() {
            Rule::Pid { .. } => self.weights(q).answer(log, past),
            Rule::Predictive => {
                let per = 1.0 / f64::from(q);
                let trend = past.last.map_or(1.0, |(size, before)| h / size * power(before / err, per));
                past.last = Some((h, err.max(Past::PREDICTIVE_FLOOR)));
                trend.min(1.0) * exp2(-per * log)
            }
        };
        self.kept(self.safety * ease * answer, after_rejection)
    }

    /// Ratio of the next step size to this one, after a rejected step; never above 1. An error that is
    /// not finite gives `min_factor`.
    pub fn rejected(&self, q: u32, err: f64, ease: f64) -> f64 {
        if !err.is_finite() {
            return self.min_factor;
        }
        self.kept_rejected(self.safety * ease * exp2(self.rejected_weight(q) * log_of(err)))
    }

    /// What the errors of an accepted step and those before it weigh, by a rule of the errors alone.
    pub(super) fn weights(&self, q: u32) -> Weights {
        let per = |coefficient: f64| coefficient / f64::from(q);
        match self.rule() {
            Rule::Pid { pcoeff, dcoeff, .. } => Weights {
                last: -per(self.rule().weight()),
                before: [per(pcoeff + 2.0 * dcoeff), -per(dcoeff)],
            },
            Rule::Predictive => crate::bug!("the predictive rule knows more than errors"),
        }
    }

    /// What the error of a rejected step weighs.
    #[inline(always)]
    pub(super) fn rejected_weight(&self, q: u32) -> f64 {
        let weight = if self.rejects_alike { self.rule().weight() } else { 1.0 };
        -weight / f64::from(q)
    }

    /// [`accepted`](Controller::accepted) by a rule of the errors alone, whose `weights` are known.
    #[inline]
    pub(super) fn accepted_by(
        &self,
        weights: Weights,
        err: f64,
        after_rejection: bool,
        past: &mut Past,
    ) -> f64 {
        self.kept(self.safety * weights.answer(log_of(err), past), after_rejection)
    }

    /// The factor wished for after an accepted step, within the limits.
    #[inline(always)]
    pub(super) fn kept(&self, wish: f64, after_rejection: bool) -> f64 {
        // An error of zero gives infinity, hence the largest factor.
        let least = if self.keeps_accepted { 1.0 } else { self.min_factor };
        let most = if after_rejection && !self.grows_after_rejection { 1.0 } else { self.max_factor };
        wish.max(least).min(self.max_factor.max(least)).min(most)
    }

    /// The same after a rejected step.
    #[inline(always)]
    pub(super) fn kept_rejected(&self, wish: f64) -> f64 {
        wish.max(self.min_factor).min(self.max_factor).min(1.0)
    }
}

/// Exponents of the error norms of the last step and of the two accepted before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights {
    last: f64,
    before: [f64; 2],
}

impl Weights {
    /// The binary logarithm of the factor, of those of the norms.
    #[inline(always)]
    pub(super) fn exponent(self, log: f64, [before, before2]: [f64; 2]) -> f64 {
        self.last * log + (self.before[0] * before + self.before[1] * before2)
    }

    /// The factor, of the logarithm of the last norm and those in `past`, which takes it in.
    #[inline(always)]
    fn answer(self, log: f64, past: &mut Past) -> f64 {
        let exponent = self.exponent(log, past.logs);
        past.logs = [log.max(Past::FLOOR), past.logs[0]];
        exp2(exponent)
    }
}

/// `log₂ err`, finite also where `err` is zero, so that a weight of zero takes nothing from it.
#[inline(always)]
pub(super) fn log_of(err: f64) -> f64 {
    log2(err).max(f64::MIN)
}
