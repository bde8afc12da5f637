//! Draws of the gamma distribution and its relatives. Every draw takes a bounded part of the
//! stream: at most [`BLOCKS`] blocks.

use super::Stream;

/// More blocks of a stream than one draw takes: an attempt takes one, and no draw makes more than twice
/// [`MAX_ATTEMPTS`].
pub const BLOCKS: u64 = 4 * MAX_ATTEMPTS as u64;

/// An attempt succeeds with a chance above 0.95 (Marsaglia and Tsang, section 2), so that all of
/// these fail with one below 1e-41.
const MAX_ATTEMPTS: u32 = 32;

/// The largest mean of a Poisson distribution that is drawn from: the search takes some steps for
/// every standard deviation.
pub const MAX_POISSON_RATE: f64 = 1e6;

impl Stream {
    /// The logarithm of a draw with the density `x^(a - 1) exp(-x)/Γ(a)`, `a > 0`. Source: G. Marsaglia,
    /// W. W. Tsang, A simple method for generating gamma variables, ACM Trans. Math. Softw. 26 (2000);
    /// section 6 for `a < 1`, where `U^(1/a)` times a draw for `a + 1` is one for `a`. In logarithms,
    /// since for small `a` most draws are smaller than any number.
    pub fn log_gamma(&mut self, a: f64) -> f64 {
        let d = if a < 1.0 { a + 1.0 } else { a } - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        // What remains if all attempts fail: near the middle.
        let mut log = libm::log(d);
        for _ in 0..MAX_ATTEMPTS {
            let x = self.normal();
            let v = 1.0 + c * x;
            let u = self.open_uniform();
            if v > 0.0 {
                let log_v = 3.0 * libm::log(v);
                if libm::log(u) < 0.5 * x * x + d * (1.0 - v * v * v + log_v) {
                    log = libm::log(d) + log_v;
                    break;
                }
            }
        }
        if a < 1.0 { log + libm::log(self.open_uniform()) / a } else { log }
    }

    /// A draw with the density `x^(a - 1) (1 - x)^(b - 1)/B(a, b)`: `X/(X + Y)` of gamma draws. Source:
    /// L. Devroye, Non-Uniform Random Variate Generation, 1986, theorem IX.4.1.
    pub fn beta(&mut self, a: f64, b: f64) -> f64 {
        let (x, y) = (self.log_gamma(a), self.log_gamma(b));
        1.0 / (1.0 + libm::exp(y - x))
    }

    /// A draw of Student's distribution with `freedom` degrees: a normal number over the root of a
    /// mean of `freedom` squares of others, `2 Gamma(freedom/2)/freedom`.
    pub fn student_t(&mut self, freedom: f64) -> f64 {
        let z = self.normal();
        let half = 0.5 * freedom;
        z * libm::exp(-0.5 * (self.log_gamma(half) - libm::log(half)))
    }

    /// A draw of the Poisson distribution with a mean up to [`MAX_POISSON_RATE`], by inversion: the
    /// probabilities are taken from one uniform number in an order that begins at the most likely
    /// count and goes outwards on both sides. Source: Devroye, section III.2.
    pub fn poisson(&mut self, rate: f64) -> f64 {
        let middle = rate.floor();
        let mut left = self.open_uniform();
        let most_likely = libm::exp(middle * libm::log(rate) - rate - libm::lgamma(middle + 1.0));
        let (mut above, mut below) = ((middle, most_likely), (middle, most_likely));
        left -= most_likely;
        // Beyond sixty standard deviations nothing is left but rounding errors.
        let n_steps = 60.0 * (rate.sqrt() + 1.0);
        let mut step = 0.0;
        while left >= 0.0 && step < n_steps {
            above = (above.0 + 1.0, above.1 * rate / (above.0 + 1.0));
            left -= above.1;
            if left < 0.0 {
                return above.0;
            }
            if below.0 > 0.0 {
                below = (below.0 - 1.0, below.1 * below.0 / rate);
                left -= below.1;
                if left < 0.0 {
                    return below.0;
                }
            }
            step += 1.0;
        }
        middle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moments lie within five standard errors, which need the fourth moments (or bounds of them).
    #[track_caller]
    fn check(mut draw: impl FnMut(&mut Stream) -> f64, mean: f64, variance: f64, excess: f64) {
        let n = 100_000;
        let mut stream = Stream::new(11, "test", 0, 0);
        let draws: Vec<f64> = (0..n)
            .map(|k| {
                stream.seek(k * BLOCKS);
                draw(&mut stream)
            })
            .collect();
        let of = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / n as f64;
        let found = of(&mut draws.iter().copied());
        let error = (variance / n as f64).sqrt();
        assert!((found - mean).abs() < 5.0 * error, "mean {found}, not {mean}");
        let found = of(&mut draws.iter().map(|x| (x - mean) * (x - mean)));
        let error = variance * ((2.0 + excess) / n as f64).sqrt();
        assert!((found - variance).abs() < 5.0 * error, "variance {found}, not {variance}");
    }

    /// Mean, variance and excess kurtosis: Johnson, Kotz and Balakrishnan, Continuous Univariate
    /// Distributions, equations 17.6 to 17.9 (gamma), 25.17 to 25.20 (beta), 28.8 (Student); Johnson, Kemp
    /// and Kotz, Univariate Discrete Distributions, section 4.3 (Poisson).
    #[test]
    fn draws_have_the_moments_of_their_distributions() {
        for a in [0.3, 1.0, 2.5, 40.0] {
            check(|stream| libm::exp(stream.log_gamma(a)), a, a, 6.0 / a);
        }
        // The cumulants of log X are the polygammas of a: scipy 1.17 at 0.01, where most draws are below
        // 1e-16.
        let (mean, variance) = (-100.56088545786867, 10001.621213528313);
        check(|stream| stream.log_gamma(0.01), mean, variance, 5.998055079254129);
        for (a, b) in [(0.5_f64, 0.5_f64), (2.0, 5.0)] {
            let s = a + b;
            let variance = a * b / (s * s * (s + 1.0));
            let excess =
                6.0 * ((a - b).powi(2) * (s + 1.0) - a * b * (s + 2.0)) / (a * b * (s + 2.0) * (s + 3.0));
            check(|stream| stream.beta(a, b), a / s, variance, excess);
        }
        check(|stream| stream.student_t(9.0), 0.0, 9.0 / 7.0, 6.0 / 5.0);
        for rate in [0.2, 3.0, 7.5, 1000.25] {
            check(|stream| stream.poisson(rate), rate, rate, 1.0 / rate);
        }
    }

    /// `scipy.stats.gamma(2.5).cdf`, `beta(2, 5).cdf`, `t(3).cdf`, `poisson(3).cdf` of scipy 1.17: shares
    /// below a point lie within five standard errors.
    #[test]
    fn draws_have_the_distribution_functions_of_their_distributions() {
        type Draws = fn(&mut Stream) -> f64;
        let cases: [(Draws, f64, f64); 4] = [
            (|stream| libm::exp(stream.log_gamma(2.5)), 1.0, 0.15085496391539038),
            (|stream| stream.beta(2.0, 5.0), 0.3, 0.579825),
            (|stream| stream.student_t(3.0), 1.5, 0.8847080673775886),
            (|stream| stream.poisson(3.0), 1.0, 0.1991482734714558),
        ];
        let n = 100_000;
        for (number, (draw, at, share)) in cases.into_iter().enumerate() {
            let mut stream = Stream::new(12, "test", 0, number as u64);
            let count = (0..n).filter(|_| draw(&mut stream) <= at).count() as f64 / f64::from(n);
            let error = (share * (1.0 - share) / f64::from(n)).sqrt();
            assert!((count - share).abs() < 5.0 * error, "case {number}: {count}, not {share}");
        }
    }
}
