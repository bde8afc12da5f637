//! Fixed steps that nobody sees, several in a row: what an attempt does with each, and nothing between them.

use super::super::problem::Real;
use super::super::stepper::Grid;
use super::LaneStep;
use super::block::{Block, zeros};
use super::rows::Rows;

/// The most steps in a row: so many are taken in vain when a run comes to numbers that are not finite.
const MOST: u64 = 64;

/// What a march works in.
pub(super) struct March<T, const B: usize> {
    /// The states before it, `[dim]`.
    start: Rows<T, B>,
    /// Of the steps of one call: their starts, times inside of the pieces ahead, the rates there.
    t: Rows<f64, B>,
    inside: Rows<f64, B>,
    rates: Rows<T, B>,
}

impl<T: Real, const B: usize> March<T, B> {
    /// For states of length `dim`, `n_marched` steps a call.
    pub fn new(dim: usize, n_marched: usize) -> Self {
        let [t, inside] = [n_marched; 2].map(Rows::new);
        let [start, rates] = [dim, n_marched * dim].map(Rows::new);
        March { start, t, inside, rates }
    }

    /// Takes as many steps as all runs of the block have before one that lands, is looked at or is one too many.
    /// `stages` is `[s * dim]`; its first rows hold the rates at the starts of the steps, before and after, if the
    /// table is `fsal`. False, and nothing has happened, if there are none or a run comes to a number that is not
    /// finite.
    #[inline(always)]
    pub fn go<S: LaneStep<T, B>>(
        &mut self,
        step: &mut S,
        block: &mut Block<T, S::Args, B>,
        grids: &mut [Grid; B],
        stages: &mut [[T; B]],
        err: &mut [[T; B]],
        fsal: bool,
    ) -> bool {
        let count = Self::unseen(block, grids);
        if count < 2 {
            return false;
        }
        let dim = block.y.len();
        self.start.copy_from_slice(&block.y);
        let k1 = if fsal { stages[..dim].to_vec() } else { Vec::new() };
        // A lane without a run stays where it is.
        let (mut base, mut first, mut h) = (block.t, [0.0; B], [0.0; B]);
        for lane in (0..B).filter(|lane| block.live[*lane]) {
            (base[lane], first[lane], h[lane]) = grids[lane].line(block.direction[lane]);
        }
        let after = |count: u64| {
            let (mut t, count) = ([0.0; B], count as f64);
            for lane in 0..B {
                t[lane] = base[lane] + (first[lane] + count) * h[lane];
            }
            t
        };
        let mut zero = [0.0; B];
        let (n_marched, mut at) = (self.t.len() as u64, 0);
        while n_marched > 0 && at + n_marched <= count {
            for ((t, inside), number) in self.t.iter_mut().zip(&mut self.inside).zip(at..) {
                *t = after(number);
                *inside = block.insides_from(t);
            }
            step.march(&self.t, &self.inside, &h, &block.y, &mut self.rates, &mut block.y_new);
            zero = zeros(&self.rates, zero);
            std::mem::swap(&mut block.y, &mut block.y_new);
            at += n_marched;
        }
        for number in at..count {
            let t = after(number);
            if !fsal {
                let inside = block.insides_from(&t);
                step.rate(&t, &inside, &block.y, &mut stages[..dim]);
                zero = zeros(&stages[..dim], zero);
            }
            step.step(&t, &h, &block.y, stages, &mut block.y_new, err);
            std::mem::swap(&mut block.y, &mut block.y_new);
            if fsal {
                stages.copy_within(stages.len() - dim.., 0);
            }
        }
        zero = zeros(&block.y, zero);
        if (0..B).any(|lane| block.live[lane] && zero[lane] != 0.0) {
            block.y.copy_from_slice(&self.start);
            stages[..k1.len()].copy_from_slice(&k1);
            return false;
        }
        let evaluations = count * step.n_stages() as u64 - if fsal { count } else { 0 };
        for lane in (0..B).filter(|lane| block.live[*lane]) {
            let tallies = &mut block.count;
            if tallies.accepted[lane] == 0 {
                tallies.first_step[lane] = h[lane];
            }
            tallies.accepted[lane] += count;
            tallies.evaluations[lane] += evaluations;
            grids[lane].pass(count);
        }
        block.t = after(count);
        block.recount();
        true
    }

    /// How many steps all runs of the block have before one that lands, is looked at or is one too many.
    fn unseen(block: &Block<T, impl Sized, B>, grids: &[Grid; B]) -> u64 {
        let mut count = MOST;
        for lane in (0..B).filter(|lane| block.live[*lane]) {
            let leg = block.leg(lane);
            let tried = block.count.accepted[lane] + block.count.rejected[lane];
            count = count.min(grids[lane].before(block.wanted[lane], &leg)).min(leg.max_steps - tried);
        }
        count
    }
}
