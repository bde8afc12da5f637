//! The learning rate as a function of the step.

/// How the learning rate of an optimiser changes; a factor on its `lr`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Schedule {
    /// Always 1.
    #[default]
    Constant,
    /// Grows linearly from `1/steps` to 1 over the first `steps` steps.
    Warmup {
        /// Length of the ramp.
        steps: u64,
    },
    /// `max(rate^k, floor)` at step `k`.
    Exponential {
        /// Factor per step, in (0, 1].
        rate: f64,
        /// Never below this.
        floor: f64,
    },
}

impl Schedule {
    /// The factor at `step`, counted from 0.
    pub fn factor(self, step: u64) -> f64 {
        match self {
            Schedule::Constant => 1.0,
            Schedule::Warmup { steps } => ((step + 1) as f64 / steps.max(1) as f64).min(1.0),
            Schedule::Exponential { rate, floor } => rate.powf(step as f64).max(floor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warmup_ends_at_one_and_decay_at_its_floor() {
        let warmup = Schedule::Warmup { steps: 4 };
        assert_eq!([0, 1, 3, 9].map(|step| warmup.factor(step)), [0.25, 0.5, 1.0, 1.0]);
        let decay = Schedule::Exponential { rate: 0.5, floor: 0.1 };
        assert_eq!([0, 1, 2, 9].map(|step| decay.factor(step)), [1.0, 0.5, 0.25, 0.1]);
        assert_eq!(Schedule::Constant.factor(7), 1.0);
    }
}
