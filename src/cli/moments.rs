//! Mean and spread of numbers that come one by one.

/// What is kept of many numbers. One that is not finite is left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moments {
    /// How many there were.
    pub count: u64,
    /// Their mean; 0 of none.
    pub mean: f64,
    /// The sum of the squared distances from the mean.
    squares: f64,
    /// The least one.
    pub least: f64,
    /// The largest one.
    pub largest: f64,
}

impl Moments {
    pub const NONE: Moments =
        Moments { count: 0, mean: 0.0, squares: 0.0, least: f64::INFINITY, largest: f64::NEG_INFINITY };

    /// Takes a number. Source: B. P. Welford, Technometrics 4 (1962): no cancellation.
    pub fn push(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
        self.least = self.least.min(value);
        self.largest = self.largest.max(value);
    }

    /// The mean; NaN of none.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.mean }
    }

    /// The standard deviation of a sample, `√(Σ (x - mean)²/(n - 1))`; NaN of fewer than two.
    pub fn deviation(&self) -> f64 {
        if self.count < 2 { f64::NAN } else { (self.squares / (self.count - 1) as f64).sqrt() }
    }

    /// Mean, standard deviation, least and largest; NaN where there is none.
    pub fn all(&self) -> [f64; 4] {
        let [least, largest] = if self.count == 0 { [f64::NAN; 2] } else { [self.least, self.largest] };
        [self.mean(), self.deviation(), least, largest]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1e9 + {4, 7, 13, 16} has the mean 1e9 + 10 and the variance 30 (by hand); the sum of squares
    /// would lose it.
    #[test]
    fn no_digits_are_lost_far_from_zero() {
        let mut moments = Moments::NONE;
        [4.0, 7.0, f64::NAN, 13.0, 16.0].iter().for_each(|value| moments.push(1e9 + value));
        assert_eq!(moments.all(), [1e9 + 10.0, 30.0_f64.sqrt(), 1e9 + 4.0, 1e9 + 16.0]);
        assert!(Moments::NONE.all().iter().all(|value| value.is_nan()));
    }
}
