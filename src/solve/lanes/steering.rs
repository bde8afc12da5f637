//! Step sizes of all lanes: what [`Controller`] does for one run, in every lane.

use super::super::control::Adaptive;
use super::super::controller::{Controller, Past, Rule, Weights, log_of};
use super::super::power::exp2;
use super::super::problem::Real;
use super::super::tableau::Tableau;
use super::block::Block;
use super::norm::{Norms, Tallies};

/// The control of every lane.
pub(super) struct Steering<'a, const B: usize> {
    pub control: &'a Adaptive,
    controller: Controller,
    /// `None` for a rule that knows more than errors.
    weights: Option<Weights>,
    rejected_weight: f64,
    pub q: u32,
    pub scale: f64,
    pub norms: Norms<'a, B>,
    pub tallies: Tallies<B>,
    /// The step wished for next, positive.
    pub size: [f64; B],
    /// The step tried, positive.
    tried: [f64; B],
    pub after_rejection: [bool; B],
    /// See [`Past`].
    logs: [[f64; B]; 2],
    last: [Option<(f64, f64)>; B],
}

impl<'a, const B: usize> Steering<'a, B> {
    pub fn new(control: &'a Adaptive, tableau: &Tableau, dim: usize) -> Self {
        let (controller, q) = (control.controller.or(Rule::PI), tableau.error_exponent());
        let weights = match controller.rule() {
            Rule::Pid { .. } => Some(controller.weights(q)),
            Rule::Predictive => None,
        };
        Steering {
            control,
            controller,
            weights,
            rejected_weight: controller.rejected_weight(q),
            q,
            scale: control.estimate.unwrap_or(tableau.error_scale()),
            norms: Norms::new(control, dim),
            tallies: Tallies::new(control, dim),
            size: [0.0; B],
            tried: [0.0; B],
            after_rejection: [false; B],
            logs: [[Past::FLOOR; B]; 2],
            last: [None; B],
        }
    }

    pub fn past(&self, lane: usize) -> Past {
        Past { logs: [self.logs[0][lane], self.logs[1][lane]], last: self.last[lane] }
    }

    pub fn set_past(&mut self, lane: usize, past: Past) {
        ([self.logs[0][lane], self.logs[1][lane]], self.last[lane]) = (past.logs, past.last);
    }

    /// Sizes of the steps to try: see [`Explicit::advance`](super::super::Explicit).
    #[inline(always)]
    pub fn plan<T: Real, A>(&mut self, block: &mut Block<T, A, B>) {
        for lane in 0..B {
            let t = block.t[lane];
            let size = self.size[lane].max(self.control.shortest(t));
            let ahead = block.target[lane] - t;
            let (tried, lands) = self.control.landing.fitted(size, ahead.abs());
            let h = if lands { ahead } else { block.direction[lane] * tried };
            (self.size[lane], self.tried[lane], block.h[lane]) = (size, tried, h);
            block.t_new[lane] = if lands { block.target[lane] } else { t + h };
        }
    }

    /// Answers error norms with new sizes; whether any step is too small.
    #[inline(always)]
    pub fn judge<T: Real, A>(
        &mut self,
        errs: &[f64; B],
        block: &mut Block<T, A, B>,
        accepted: &mut [bool; B],
    ) -> bool {
        let Some(weights) = self.weights else { return self.judge_each(errs, block, accepted) };
        let (controller, control) = (&self.controller, self.control);
        let mut too_small = false;
        for lane in 0..B {
            let (err, tried, before) = (errs[lane], self.tried[lane], self.size[lane]);
            let after_rejection = self.after_rejection[lane];
            let ok = err <= 1.0;
            let log = log_of(err);
            let logs = [self.logs[0][lane], self.logs[1][lane]];
            let exponent = if ok { weights.exponent(log, logs) } else { self.rejected_weight * log };
            let wish = controller.safety * 1.0 * exp2(exponent);
            let kept = controller.kept(wish, after_rejection);
            let rejected = controller.kept_rejected(wish);
            let rejected = if err.is_finite() { rejected } else { controller.min_factor };
            let planned = if tried < before && !after_rejection { before } else { 0.0 };
            let longest = control.max_step.min(block.length[lane]);
            let grown = (tried * kept).max(planned).min(longest);
            let size = if ok { grown } else { tried * rejected };
            self.size[lane] = size;
            self.logs[1][lane] = if ok { logs[0] } else { logs[1] };
            self.logs[0][lane] = if ok { log.max(Past::FLOOR) } else { logs[0] };
            self.after_rejection[lane] = !ok;
            accepted[lane] = ok & block.live[lane];
            too_small |= !ok & (size < control.shortest(block.t[lane]));
            block.count.accepted[lane] += u64::from(ok);
            block.count.rejected[lane] += u64::from(!ok);
            block.count.non_finite[lane] += u64::from(!err.is_finite());
            let next = block.direction[lane] * size;
            block.count.next_step[lane] = if ok { next } else { block.count.next_step[lane] };
        }
        too_small
    }

    /// The same, lane by lane, for a rule of any kind.
    fn judge_each<T: Real, A>(
        &mut self,
        errs: &[f64; B],
        block: &mut Block<T, A, B>,
        accepted: &mut [bool; B],
    ) -> bool {
        let mut too_small = false;
        for lane in 0..B {
            let (err, tried, before) = (errs[lane], self.tried[lane], self.size[lane]);
            let after_rejection = self.after_rejection[lane];
            let ok = err <= 1.0;
            if ok {
                let mut past = self.past(lane);
                let factor = self.controller.accepted(self.q, (tried, err), after_rejection, 1.0, &mut past);
                self.set_past(lane, past);
                let planned = if tried < before && !after_rejection { before } else { 0.0 };
                let longest = self.control.max_step.min(block.length[lane]);
                self.size[lane] = (tried * factor).max(planned).min(longest);
                block.count.accepted[lane] += 1;
                block.count.next_step[lane] = block.direction[lane] * self.size[lane];
            } else {
                self.size[lane] = tried * self.controller.rejected(self.q, err, 1.0);
                block.count.rejected[lane] += 1;
                block.count.non_finite[lane] += u64::from(!err.is_finite());
                too_small |= self.size[lane] < self.control.shortest(block.t[lane]);
            }
            (self.after_rejection[lane], accepted[lane]) = (!ok, ok & block.live[lane]);
        }
        too_small
    }
}
