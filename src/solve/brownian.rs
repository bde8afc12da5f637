//! Brownian paths that can be asked at any time, in any order.
//!
//! A path is a virtual binary tree: the value in the middle of an interval follows from those at
//! its ends and a draw that is keyed by the interval. So a path is a pure function of its key, and
//! a finer step sees the same path. Source: X. Li, T.-K. L. Wong, R. T. Q. Chen, D. Duvenaud,
//! Scalable gradients for stochastic differential equations, AISTATS 2020; with the integral of
//! the path as in A. Jelinčič, J. Tao, W. F. Turner, T. Cass, J. Foster, H. Ni, Generative modelling
//! of Lévy area for high order SDE simulation (2023).

use crate::base::random::Stream;

/// Halvings of the interval: the path is a parabola on pieces of 2^-32 of it, which no step sees.
const DEPTH: u32 = 32;

/// Independent standard Wiener processes on an interval, 0 at its start.
#[derive(Clone, Debug)]
pub struct Brownian {
    stream: Stream,
    n: usize,
    start: f64,
    length: f64,
}

impl Brownian {
    /// `n` processes from `t0` to `t1`, which may be the smaller. `stream` tells which, and is used
    /// for nothing else.
    pub fn new(stream: Stream, n: usize, (t0, t1): (f64, f64)) -> Brownian {
        Brownian { stream, n, start: t0.min(t1), length: (t1 - t0).abs() }
    }

    /// How many processes there are.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Writes the values at time `t` to `w`, and their integrals over time from the start of the
    /// interval to `area`; both `[n]`. Times outside are moved to the nearest end.
    pub fn at(&self, t: f64, w: &mut [f64], area: &mut [f64]) {
        let share = if self.length > 0.0 { ((t - self.start) / self.length).clamp(0.0, 1.0) } else { 0.0 };
        for process in 0..self.n {
            (w[process], area[process]) = self.one(process, share);
        }
    }

    /// Of one process, at `share` of the interval.
    fn one(&self, process: usize, share: f64) -> (f64, f64) {
        // On the piece [a, a + h]: the value at `a`, the integral up to `a`, the increment `dw`, and
        // `arch`, the mean distance of the path from its chord: N(0, h) and N(0, h/12), independent.
        let (mut a, mut h) = (0.0, 1.0);
        let (mut w, mut area) = (0.0, 0.0);
        let [x, y] = self.draw(1, process);
        let (mut dw, mut arch) = (x, y / 12.0_f64.sqrt());
        let mut node: u64 = 1;
        for _ in 0..DEPTH {
            if share == a {
                break;
            }
            // Source: J. Foster, T. Lyons, H. Oberhauser, An optimal polynomial approximation of
            // Brownian motion, SIAM J. Numer. Anal. 58 (2020), theorem 4.1 halved.
            node *= 2;
            let [x, y] = self.draw(node, process);
            let (z, n) = (0.25 * f64::sqrt(h) * x, f64::sqrt(h / 12.0) * y);
            let left = 0.5 * dw + 1.5 * arch + z;
            let [arch_left, arch_right] = [0.25 * arch - 0.5 * z + 0.5 * n, 0.25 * arch - 0.5 * z - 0.5 * n];
            h *= 0.5;
            if share < a + h {
                (dw, arch) = (left, arch_left);
            } else {
                area += h * (w + 0.5 * left + arch_left);
                w += left;
                a += h;
                (dw, arch) = (dw - left, arch_right);
                node += 1;
            }
        }
        let theta = (share - a) / h;
        area += h * theta * (w + theta * (0.5 * dw + (3.0 - 2.0 * theta) * arch));
        w += theta * dw + 6.0 * theta * (1.0 - theta) * arch;
        let root = self.length.sqrt();
        (root * w, self.length * root * area)
    }

    /// Two standard normal numbers for a node of the tree.
    fn draw(&self, node: u64, process: usize) -> [f64; 2] {
        let mut stream = self.stream.clone();
        stream.seek(node * self.n as u64 + process as u64);
        [stream.normal(), stream.normal()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(n: usize, span: (f64, f64)) -> Brownian {
        Brownian::new(Stream::new(3, "W", 0, 0), n, span)
    }

    /// Moments over 4000 paths, within five standard errors.
    #[test]
    fn increments_and_integrals_have_the_moments_of_brownian_motion() {
        let n = 4000;
        let (t0, t1, s, t) = (1.0, 4.0, 1.7, 3.1);
        let brownian = paths(n, (t0, t1));
        let at = |t: f64| {
            let (mut w, mut area) = (vec![0.0; n], vec![0.0; n]);
            brownian.at(t, &mut w, &mut area);
            (w, area)
        };
        let ((ws, is), (wt, it)) = (at(s), at(t));
        let mean = |f: &dyn Fn(usize) -> f64| (0..n).map(f).sum::<f64>() / n as f64;
        let near = |found: f64, exact: f64, variance: f64| {
            let bound = 5.0 * (variance / n as f64).sqrt();
            assert!((found - exact).abs() < bound, "{found} is not {exact} within {bound}");
        };
        let h = t - s;
        let dw = |i: usize| wt[i] - ws[i];
        // ∫_s^t (W - W_s): variance h³/3, covariance with the increment h²/2.
        let dz = |i: usize| it[i] - is[i] - h * ws[i];
        near(mean(&dw), 0.0, h);
        near(mean(&|i| dw(i) * dw(i)), h, 2.0 * h * h);
        near(mean(&|i| dw(i) * ws[i]), 0.0, h * (s - t0));
        near(mean(&|i| dz(i) * dz(i)), h.powi(3) / 3.0, 2.0 * h.powi(6) / 9.0);
        near(mean(&|i| dz(i) * dw(i)), h * h / 2.0, h.powi(4) / 3.0 + h.powi(4) / 4.0);
        near(mean(&|i| dz(i) * ws[i]), 0.0, h.powi(3) / 3.0 * (s - t0));
    }

    /// The integral is that of the path: a fine trapezoidal sum agrees.
    #[test]
    fn the_path_is_continuous_and_its_integral_is_its_own() {
        let brownian = paths(2, (0.0, 2.0));
        let (mut w, mut area, mut sum) = ([0.0; 2], [0.0; 2], 0.0);
        let (n, mut before) = (1 << 14, 0.0);
        for i in 0..=n {
            brownian.at(2.0 * f64::from(i) / f64::from(n), &mut w, &mut area);
            if i > 0 {
                sum += (w[1] + before) / f64::from(n);
                // Six standard deviations.
                assert!((w[1] - before).abs() < 6.0 * (2.0 / f64::from(n)).sqrt());
            }
            before = w[1];
        }
        // The sum misses each piece's arch, of variance h³/12: in all 2 h²/12.
        assert!((area[1] - sum).abs() < 5.0 * (2.0 / f64::from(n)) / 6.0_f64.sqrt(), "{} {sum}", area[1]);
        brownian.at(0.0, &mut w, &mut area);
        assert_eq!((w, area), ([0.0; 2], [0.0; 2]));
    }
}
