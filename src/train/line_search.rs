//! A step length along a line that satisfies the strong Wolfe conditions.
//!
//! `φ(α) = f(x + αd)` with `φ'(0) < 0`. Wanted is an `α` with sufficient decrease,
//! `φ(α) ≤ φ(0) + c₁αφ'(0)`, and small slope, `|φ'(α)| ≤ c₂|φ'(0)|`. Source: Nocedal and Wright,
//! Numerical Optimization, 2nd edition 2006, algorithms 3.5 (bracketing) and 3.6 (`zoom`).
//!
//! Two things are added. A trial where `φ` is not finite counts as too far, and the interval is
//! then halved, since there is nothing to interpolate. And where the change of `φ` is within the
//! error of `φ` itself, the approximate conditions of Hager and Zhang, SIAM J. Optim. 16
//! (2005), equation 2.4 and T2 of section 4, decide by slopes alone.

/// A trial on the line.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// Step length.
    pub alpha: f64,
    /// `φ(α)`.
    pub value: f64,
    /// `φ'(α)`.
    pub slope: f64,
}

impl Trial {
    fn finite(&self) -> bool {
        self.value.is_finite() && self.slope.is_finite()
    }
}

/// Sufficient decrease; the value of Nocedal and Wright, page 33.
const C1: f64 = 1e-4;
/// Curvature; the value of Nocedal and Wright for quasi-Newton methods, page 34.
const C2: f64 = 0.9;
/// Relative error that `φ` is granted. An integration with adaptive steps jumps by a fraction of its
/// tolerance where the number of its steps changes; this is 1/100 of the tightest one in common use.
const ROUNDING: f64 = 1e-10;
/// Trials before giving up; each halves or extrapolates, so 40 cover a factor of 10¹².
const MAX_TRIALS: usize = 40;

/// Searches along the line from `start` (with `alpha` 0), first trying `alpha`. `phi` evaluates a
/// trial. `None` if there is no acceptable step; the best trials are then as good as `start`.
pub fn strong_wolfe(start: Trial, alpha: f64, phi: &mut dyn FnMut(f64) -> Trial) -> Option<Trial> {
    let search = Search { start };
    let mut previous = start;
    let mut trial = phi(alpha);
    for count in 1..MAX_TRIALS {
        if !trial.finite() || !search.decreases(&trial) || (count > 1 && trial.value >= previous.value) {
            if search.accepts(&trial) {
                return Some(trial);
            }
            return search.zoom(previous, trial, MAX_TRIALS - count, phi);
        }
        if search.accepts(&trial) {
            return Some(trial);
        }
        if trial.slope >= 0.0 {
            return search.zoom(trial, previous, MAX_TRIALS - count, phi);
        }
        let next = 2.0 * trial.alpha;
        previous = trial;
        trial = phi(next);
    }
    // The function falls for ever along this line; the last trial compared is progress.
    (previous.alpha > 0.0).then_some(previous)
}

struct Search {
    start: Trial,
}

impl Search {
    /// Sufficient decrease.
    fn decreases(&self, trial: &Trial) -> bool {
        trial.value <= self.start.value + C1 * trial.alpha * self.start.slope
    }

    /// The strong Wolfe conditions, or the approximate ones where `φ` is flat to rounding.
    fn accepts(&self, trial: &Trial) -> bool {
        if !trial.finite() {
            return false;
        }
        let strong = self.decreases(trial) && trial.slope.abs() <= -C2 * self.start.slope;
        let level = (trial.value - self.start.value).abs() <= ROUNDING * self.start.value.abs();
        let slopes =
            trial.slope >= C2 * self.start.slope && trial.slope <= (2.0 * C1 - 1.0) * self.start.slope;
        strong || (level && slopes)
    }

    /// Algorithm 3.6: `lo` satisfies the decrease condition and has the least value so far, and an
    /// acceptable step lies between it and `hi`.
    fn zoom(
        &self,
        mut lo: Trial,
        mut hi: Trial,
        trials: usize,
        phi: &mut dyn FnMut(f64) -> Trial,
    ) -> Option<Trial> {
        for _ in 0..trials {
            let trial = phi(between(&lo, &hi));
            if trial.alpha == lo.alpha || trial.alpha == hi.alpha {
                break;
            }
            if self.accepts(&trial) {
                return Some(trial);
            }
            if !trial.finite() || !self.decreases(&trial) || trial.value >= lo.value {
                hi = trial;
            } else {
                if trial.slope * (hi.alpha - lo.alpha) >= 0.0 {
                    hi = lo;
                }
                lo = trial;
            }
        }
        // No point satisfies both conditions; sufficient decrease alone is progress.
        (lo.alpha > 0.0).then_some(lo)
    }
}

/// The minimiser of the cubic through both ends (Nocedal and Wright, equation 3.59), kept to the
/// middle four fifths of the interval; its midpoint where there is no such cubic.
fn between(lo: &Trial, hi: &Trial) -> f64 {
    let width = hi.alpha - lo.alpha;
    let middle = lo.alpha + 0.5 * width;
    if !hi.finite() {
        return middle;
    }
    let d1 = lo.slope + hi.slope - 3.0 * (lo.value - hi.value) / (lo.alpha - hi.alpha);
    let d2 = width.signum() * (d1 * d1 - lo.slope * hi.slope).sqrt();
    let cubic = hi.alpha - width * (hi.slope + d2 - d1) / (hi.slope - lo.slope + 2.0 * d2);
    let share = (cubic - lo.alpha) / width;
    if share.is_finite() { lo.alpha + share.clamp(0.1, 0.9) * width } else { middle }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(f: impl Fn(f64) -> (f64, f64), alpha: f64) -> Option<Trial> {
        let at = |alpha| {
            let (value, slope) = f(alpha);
            Trial { alpha, value, slope }
        };
        strong_wolfe(at(0.0), alpha, &mut |alpha| at(alpha))
    }

    #[test]
    fn the_step_satisfies_both_conditions() {
        // The function 5.1 of Moré and Thuente, ACM TOMS 20 (1994): −α/(α² + 2).
        let f = |a: f64| (-a / (a * a + 2.0), (a * a - 2.0) / (a * a + 2.0).powi(2));
        for alpha in [1e-3, 1e-1, 1.0, 10.0, 1e3] {
            let step = search(f, alpha).expect("there is one");
            assert!(step.value <= C1 * step.alpha * -0.5 && step.slope.abs() <= C2 * 0.5, "{step:?}");
        }
    }

    #[test]
    fn a_region_without_meaning_is_too_far() {
        // −ln(1 − (α − ½)²) + const has meaning for α < 3/2 only; its minimum is at ½.
        let f = |a: f64| {
            let inside = 1.0 - (a - 0.5) * (a - 0.5);
            if inside > 0.0 { (-inside.ln(), 2.0 * (a - 0.5) / inside) } else { (f64::NAN, f64::NAN) }
        };
        let step = search(f, 1e6).expect("there is one");
        assert!(step.alpha > 0.0 && step.alpha < 1.5 && step.slope.abs() <= C2 * 4.0 / 3.0);
    }

    #[test]
    fn a_slope_of_the_wrong_sign_is_found_out() {
        // The slope claims descent and the function rises.
        assert!(search(|a| (a, -1.0), 1.0).is_none());
    }
}
