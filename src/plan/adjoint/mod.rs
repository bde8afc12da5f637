//! Reverse passes: through a solve, and through the chain of solves of a run.

mod again;
pub mod augmented;
pub mod backsolve;
pub mod chain;
pub mod curvature;
pub mod discrete;
pub mod hessian;
pub mod instant;
mod interpolate;

/// What the reverse pass of a gradient cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Steps of the solves that go back, accepted and rejected.
    pub steps: u64,
    /// Evaluations of the rates of these solves: the states' and those of their cotangents together
    /// count once.
    pub evaluations: u64,
    /// Steps of the forward pass that were taken again because they were not kept.
    pub recomputed: u64,
    /// The most states of one solve that were kept at once, with their rates.
    pub most_states: usize,
    /// Those that are kept now.
    held: usize,
}

impl Cost {
    /// So many more states are kept.
    fn hold(&mut self, count: usize) {
        self.held += count;
        self.most_states = self.most_states.max(self.held);
    }

    /// So many fewer.
    fn release(&mut self, count: usize) {
        self.held -= count;
    }

    /// Adds that of another solve.
    fn add(&mut self, other: Cost) {
        self.steps += other.steps;
        self.evaluations += other.evaluations;
        self.recomputed += other.recomputed;
        self.most_states = self.most_states.max(other.most_states);
    }
}
