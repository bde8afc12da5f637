//! Step sizes of all lanes: what [`Controller`] does for one run, in every lane.
//!
//! Loops over lanes are short and without branches, on arrays of their own, so that they become vector
//! code.

use super::super::control::Adaptive;
use super::super::controller::{Controller, Past, Rule, Weights, log_of};
use super::super::power::exp2;
use super::super::problem::Real;
use super::super::tableau::Tableau;
use super::all;
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

/// What the control knows of a run between two steps.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Held {
    size: f64,
    past: Past,
    after_rejection: bool,
    tallies: Vec<[f64; 3]>,
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

    /// What is known of the run in the lane.
    pub fn held(&self, lane: usize) -> Held {
        let (past, tallies) = (self.past(lane), self.tallies.of(lane));
        Held { size: self.size[lane], past, after_rejection: self.after_rejection[lane], tallies }
    }

    /// Puts that back, in whatever lane.
    pub fn hold(&mut self, lane: usize, held: &Held) {
        let Held { size, past, after_rejection, tallies } = held;
        (self.size[lane], self.after_rejection[lane]) = (*size, *after_rejection);
        self.set_past(lane, *past);
        self.tallies.set(lane, tallies);
    }

    /// Sizes of the steps to try: see [`Explicit::advance`](super::super::Explicit).
    #[inline(always)]
    pub fn plan<T: Real, A>(&mut self, block: &mut Block<T, A, B>) {
        let (control, landing) = (self.control, self.control.landing);
        let (t, target, direction) = (block.t, block.target, block.direction);
        let (mut size, mut tried, mut h, mut t_new) = (self.size, [0.0; B], [0.0; B], [0.0; B]);
        for lane in 0..B {
            size[lane] = size[lane].max(control.shortest(t[lane]));
        }
        for lane in 0..B {
            let ahead = target[lane] - t[lane];
            let (fitted, lands) = landing.fitted(size[lane], ahead.abs());
            tried[lane] = fitted;
            h[lane] = if lands { ahead } else { direction[lane] * fitted };
            t_new[lane] = if lands { target[lane] } else { t[lane] + h[lane] };
        }
        (self.size, self.tried, block.h, block.t_new) = (size, tried, h, t_new);
    }

    /// Answers error norms with new sizes; whether any step is too small.
    #[inline(always)]
    pub fn judge<T: Real, A>(
        &mut self,
        errs: &[f64; B],
        block: &mut Block<T, A, B>,
        accepted: &mut [bool; B],
    ) -> bool {
        let too_small = match self.weights {
            Some(weights) => self.judge_all(weights, errs, block),
            None => self.judge_each(errs, block),
        };
        let (live, direction, size, errs) = (block.live, block.direction, self.size, *errs);
        let count = &mut block.count;
        let (mut ok, mut next_step) = ([false; B], count.next_step);
        let (mut taken, mut thrown) = (count.accepted, count.rejected);
        for lane in 0..B {
            ok[lane] = errs[lane] <= 1.0;
        }
        for lane in 0..B {
            taken[lane] += u64::from(errs[lane] <= 1.0);
            thrown[lane] += u64::from(!ok[lane]);
        }
        (count.accepted, count.rejected) = (taken, thrown);
        if ok.contains(&false) {
            for lane in 0..B {
                count.non_finite[lane] += u64::from(!errs[lane].is_finite());
            }
        }
        for lane in 0..B {
            next_step[lane] = if errs[lane] <= 1.0 { direction[lane] * size[lane] } else { next_step[lane] };
        }
        count.next_step = next_step;
        self.after_rejection = ok.map(|ok| !ok);
        for lane in 0..B {
            accepted[lane] = ok[lane] & live[lane];
        }
        too_small
    }

    #[inline(always)]
    fn judge_all<T: Real, A>(
        &mut self,
        weights: Weights,
        errs: &[f64; B],
        block: &mut Block<T, A, B>,
    ) -> bool {
        let (controller, control) = (self.controller, self.control);
        let (errs, tried, planned, length, t) = (*errs, self.tried, self.size, block.length, block.t);
        let ([before, before2], rejected_weight) = (self.logs, self.rejected_weight);
        let (mut logs, mut wishes) = ([0.0; B], [0.0; B]);
        for lane in all::<B>() {
            logs[lane] = log_of(errs[lane]);
        }
        for lane in 0..B {
            let exponent = weights.exponent(logs[lane], [before[lane], before2[lane]]);
            wishes[lane] = if errs[lane] <= 1.0 { exponent } else { rejected_weight * logs[lane] };
        }
        for lane in all::<B>() {
            wishes[lane] = controller.safety * 1.0 * exp2(wishes[lane]);
        }
        let mut keeps = [0.0; B];
        for lane in 0..B {
            // A step cut short by a target says nothing against the size that was planned.
            keeps[lane] = if tried[lane] < planned[lane] { planned[lane] } else { 0.0 };
        }
        let mut factors = [0.0; B];
        if self.after_rejection.contains(&true) {
            for lane in 0..B {
                let after_rejection = self.after_rejection[lane];
                factors[lane] = controller.kept(wishes[lane], after_rejection);
                keeps[lane] = if after_rejection { 0.0 } else { keeps[lane] };
            }
        } else {
            for lane in 0..B {
                factors[lane] = controller.kept(wishes[lane], false);
            }
        }
        let (mut sizes, mut too_small) = ([0.0; B], 0);
        for lane in 0..B {
            let longest = control.max_step.min(length[lane]);
            sizes[lane] = (tried[lane] * factors[lane]).max(keeps[lane]).min(longest);
        }
        for lane in 0..B {
            let rejected = controller.kept_rejected(wishes[lane]);
            let rejected = if errs[lane].is_finite() { rejected } else { controller.min_factor };
            let rejected = tried[lane] * rejected;
            let ok = errs[lane] <= 1.0;
            sizes[lane] = if ok { sizes[lane] } else { rejected };
            too_small |= u64::from(!ok & (rejected < control.shortest(t[lane])));
        }
        self.size = sizes;
        let (mut last, mut last2) = (before, before2);
        for lane in 0..B {
            let ok = errs[lane] <= 1.0;
            last2[lane] = if ok { before[lane] } else { before2[lane] };
            last[lane] = if ok { logs[lane].max(Past::FLOOR) } else { before[lane] };
        }
        self.logs = [last, last2];
        too_small > 0
    }

    /// The same, lane by lane, for a rule of any kind.
    fn judge_each<T: Real, A>(&mut self, errs: &[f64; B], block: &Block<T, A, B>) -> bool {
        let mut too_small = false;
        for lane in 0..B {
            let (err, tried, before) = (errs[lane], self.tried[lane], self.size[lane]);
            let after_rejection = self.after_rejection[lane];
            if err <= 1.0 {
                let mut past = self.past(lane);
                let factor = self.controller.accepted(self.q, (tried, err), after_rejection, 1.0, &mut past);
                self.set_past(lane, past);
                let planned = if tried < before && !after_rejection { before } else { 0.0 };
                let longest = self.control.max_step.min(block.length[lane]);
                self.size[lane] = (tried * factor).max(planned).min(longest);
            } else {
                self.size[lane] = tried * self.controller.rejected(self.q, err, 1.0);
                too_small |= self.size[lane] < self.control.shortest(block.t[lane]);
            }
        }
        too_small
    }
}
