//! The learning rate as a function of the step.

pub use crate::settings::Schedule;

impl Schedule {
    /// The factor at `step`, counted from 0.
    pub fn factor(self, step: u64) -> f64 {
        match self {
            Schedule::Constant => 1.0,
            Schedule::Warmup { steps } => ((step + 1) as f64 / steps.max(1) as f64).min(1.0),
            Schedule::Exponential { rate, floor } => libm::pow(rate, step as f64).max(floor),
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
