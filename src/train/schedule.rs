//! The learning rate as a function of the step.

pub use crate::settings::Schedule;

impl Schedule {
    /// The factor at `step` of `epoch`, both counted from 0. `Cosine` is equation 5 of Loshchilov
    /// and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, without
    /// restarts: `floor + (1 − floor)(1 + cos(πk/steps))/2`.
    pub fn factor(&self, step: u64, epoch: u64) -> f64 {
        match self {
            Schedule::Constant => 1.0,
            Schedule::Warmup { steps } => ((step + 1) as f64 / (*steps).max(1) as f64).min(1.0),
            Schedule::Exponential { rate, floor } => libm::pow(*rate, step as f64).max(*floor),
            Schedule::Decay { at, by } => {
                at.iter().filter(|at| epoch >= **at).fold(1.0, |factor, _| factor * by)
            }
            Schedule::Cosine { steps, floor } => {
                let way = (step as f64 / (*steps).max(1) as f64).min(1.0);
                floor + (1.0 - floor) * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * way))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warmup_ends_at_one_and_decay_at_its_floor() {
        let warmup = Schedule::Warmup { steps: 4 };
        assert_eq!([0, 1, 3, 9].map(|step| warmup.factor(step, 0)), [0.25, 0.5, 1.0, 1.0]);
        let decay = Schedule::Exponential { rate: 0.5, floor: 0.1 };
        assert_eq!([0, 1, 2, 9].map(|step| decay.factor(step, 0)), [1.0, 0.5, 0.25, 0.1]);
        assert_eq!(Schedule::Constant.factor(7, 7), 1.0);
    }

    #[test]
    fn steps_of_the_rate_are_counted_in_epochs() {
        let decay = Schedule::Decay { at: vec![2, 5], by: 0.5 };
        assert_eq!(
            [0, 1, 2, 4, 5, 9].map(|epoch| decay.factor(100, epoch)),
            [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
        );
    }

    #[test]
    fn the_cosine_goes_from_one_to_its_floor() {
        let cosine = Schedule::Cosine { steps: 4, floor: 0.2 };
        let found = [0, 2, 4, 9].map(|step| cosine.factor(step, 0));
        // cos of 0, π/2, π, exactly or within a rounding.
        let expected = [1.0, 0.6, 0.2, 0.2];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15), "{found:?}");
    }
}
