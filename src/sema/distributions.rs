//! Distributions: their parameters, their densities as IR, the operands that harm none of them.

use crate::ir::builder::Builder;
use crate::ir::func::ValueId;
use crate::ir::op::Op;
use crate::ir::types::Shape;
use crate::sema::prelude::{Distribution, spread};

/// An end of a support.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// A number.
    At(f64),
    /// The parameter of this number.
    Param(usize),
}

impl Distribution {
    /// Between which numbers the density is not 0; `None` for probabilities of whole numbers.
    pub fn support(self) -> Option<(Bound, Bound)> {
        const LEAST: Bound = Bound::At(f64::NEG_INFINITY);
        const MOST: Bound = Bound::At(f64::INFINITY);
        match self {
            Distribution::Normal | Distribution::Cauchy | Distribution::Laplace => Some((LEAST, MOST)),
            Distribution::StudentT => Some((LEAST, MOST)),
            Distribution::Lognormal | Distribution::Exponential | Distribution::Gamma => {
                Some((Bound::At(0.0), MOST))
            }
            Distribution::Beta => Some((Bound::At(0.0), Bound::At(1.0))),
            Distribution::Uniform => Some((Bound::Param(0), Bound::Param(1))),
            Distribution::Bernoulli | Distribution::Categorical => None,
            Distribution::Poisson | Distribution::Rademacher => None,
        }
    }

    /// How many parameters it takes, and what they are.
    pub fn params(self) -> &'static [&'static str] {
        match self {
            Distribution::Normal => &["mean", "sd"],
            Distribution::Lognormal => &["mean of the logarithm", "sd of the logarithm"],
            Distribution::Uniform => &["lo", "hi"],
            Distribution::Exponential | Distribution::Poisson => &["rate"],
            Distribution::Cauchy | Distribution::Laplace => &["location", "scale"],
            Distribution::Gamma => &["shape", "rate"],
            Distribution::Beta => &["a", "b"],
            Distribution::StudentT => &["degrees of freedom", "location", "scale"],
            Distribution::Bernoulli => &["probability"],
            Distribution::Categorical => &["probabilities"],
            Distribution::Rademacher => &[],
        }
    }

    /// Which of the parameters must be above 0.
    pub fn positive(self) -> &'static [usize] {
        match self {
            Distribution::Normal | Distribution::Lognormal => &[1],
            Distribution::Cauchy | Distribution::Laplace => &[1],
            Distribution::Exponential | Distribution::Poisson => &[0],
            Distribution::Gamma | Distribution::Beta => &[0, 1],
            Distribution::StudentT => &[0, 2],
            Distribution::Uniform | Distribution::Bernoulli => &[],
            Distribution::Categorical | Distribution::Rademacher => &[],
        }
    }

    /// Parameters, and behind them a value, where the log-density and all its derivatives are finite.
    pub fn safe_operands(self) -> &'static [f64] {
        match self {
            Distribution::Normal | Distribution::Lognormal | Distribution::Uniform => &[0.0, 1.0, 0.5],
            Distribution::Cauchy | Distribution::Laplace => &[0.0, 1.0, 0.5],
            Distribution::Exponential => &[1.0, 0.5],
            Distribution::Gamma | Distribution::Beta => &[1.0, 1.0, 0.5],
            Distribution::StudentT => &[1.0, 0.0, 1.0, 0.5],
            Distribution::Bernoulli => &[0.5, 0.0],
            Distribution::Categorical => &[0.5, 0.0],
            Distribution::Poisson => &[1.0, 0.0],
            Distribution::Rademacher => &[1.0],
        }
    }

    /// The logarithm of the density (of the probability, for whole numbers) at `x`, elementwise;
    /// operands broadcast if scalar. Outside of the support it is `-∞`.
    ///
    /// Source: Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, 2nd edition
    /// (1994–1995), chapters 13, 14, 16, 17, 19, 24, 25, 26, 28; Johnson, Kemp and Kotz, Univariate
    /// Discrete Distributions, 3rd edition (2005), chapters 3 and 4.
    pub fn log_prob(self, b: &mut Builder, params: &[ValueId], x: ValueId) -> ValueId {
        // log √(2π)
        const LOG_SQRT_TAU: f64 = 0.918_938_533_204_672_7;
        let dtype = b.ty(x).dtype;
        match (self, params) {
            // −((x − μ)/σ)²/2 − log σ − log √(2π)
            (Distribution::Normal, &[mean, sd]) => {
                let deviation = b.sub(x, mean);
                let z = b.div(deviation, sd);
                let square = b.mul(z, z);
                let half = b.scale(-0.5, square);
                let log_sd = b.unary(Op::Log, sd);
                let scaled = b.sub(half, log_sd);
                let constant = b.scalar(LOG_SQRT_TAU, dtype);
                b.sub(scaled, constant)
            }
            // normal density of log x, times 1/x
            (Distribution::Lognormal, &[_, _]) => {
                let zero = b.zeros_like(x);
                let within = b.binary(Op::Lt, zero, x);
                let x = safe(b, within, x, 1.0);
                let log_x = b.unary(Op::Log, x);
                let normal = Distribution::Normal.log_prob(b, params, log_x);
                let density = b.sub(normal, log_x);
                inside(b, within, density)
            }
            // −log(hi − lo) inside
            (Distribution::Uniform, &[lo, hi]) => {
                let width = b.sub(hi, lo);
                let log_width = b.unary(Op::Log, width);
                let density = b.neg(log_width);
                let above = b.binary(Op::Le, lo, x);
                let below = b.binary(Op::Le, x, hi);
                let within = b.binary(Op::And, above, below);
                inside(b, within, density)
            }
            // log λ − λx for x ≥ 0
            (Distribution::Exponential, &[rate]) => {
                let log_rate = b.unary(Op::Log, rate);
                let decay = b.mul(rate, x);
                let density = b.sub(log_rate, decay);
                let zero = b.zeros_like(x);
                let within = b.binary(Op::Le, zero, x);
                inside(b, within, density)
            }
            // −log π − log s − log(1 + ((x − m)/s)²)
            (Distribution::Cauchy, &[location, scale]) => {
                let deviation = b.sub(x, location);
                let z = b.div(deviation, scale);
                let square = b.mul(z, z);
                let tail = b.unary(Op::Log1p, square);
                let log_scale = b.unary(Op::Log, scale);
                let sum = b.add(tail, log_scale);
                let log_pi = b.scalar(std::f64::consts::PI.ln(), dtype);
                let total = b.add(sum, log_pi);
                b.neg(total)
            }
            // −log 2s − |x − m|/s
            (Distribution::Laplace, &[location, scale]) => {
                let deviation = b.sub(x, location);
                let size = b.unary(Op::Abs, deviation);
                let z = b.div(size, scale);
                let log_scale = b.unary(Op::Log, scale);
                let sum = b.add(z, log_scale);
                let log_2 = b.scalar(std::f64::consts::LN_2, dtype);
                let total = b.add(sum, log_2);
                b.neg(total)
            }
            // a log β − log Γ(a) + (a − 1) log x − βx for x > 0
            (Distribution::Gamma, &[shape, rate]) => {
                let zero = b.zeros_like(x);
                let within = b.binary(Op::Lt, zero, x);
                let x = safe(b, within, x, 1.0);
                let log_rate = b.unary(Op::Log, rate);
                let scaled = b.mul(shape, log_rate);
                let norm = b.unary(Op::Lgamma, shape);
                let power = power_of(b, shape, x, Op::Log);
                let decay = b.mul(rate, x);
                let front = b.sub(scaled, norm);
                let back = b.sub(power, decay);
                let density = b.add(front, back);
                inside(b, within, density)
            }
            // (a − 1) log x + (b − 1) log(1 − x) − log B(a, b) for 0 < x < 1
            (Distribution::Beta, &[first, second]) => {
                let (zero, one) = (b.zeros_like(x), b.splat_like(1.0, x));
                let (above, below) = (b.binary(Op::Lt, zero, x), b.binary(Op::Lt, x, one));
                let within = b.binary(Op::And, above, below);
                let x = safe(b, within, x, 0.5);
                let minus = b.neg(x);
                let left = power_of(b, first, x, Op::Log);
                let right = power_of(b, second, minus, Op::Log1p);
                let sum = b.add(first, second);
                let [of_first, of_second, of_sum] =
                    [first, second, sum].map(|value| b.unary(Op::Lgamma, value));
                let norm = b.add(of_first, of_second);
                let norm = b.sub(of_sum, norm);
                let powers = b.add(left, right);
                let density = b.add(powers, norm);
                inside(b, within, density)
            }
            // log Γ((ν + 1)/2) − log Γ(ν/2) − log(νπ)/2 − log s − (ν + 1)/2 log(1 + z²/ν)
            (Distribution::StudentT, &[freedom, location, scale]) => {
                let deviation = b.sub(x, location);
                let z = b.div(deviation, scale);
                let square = b.mul(z, z);
                let share = b.div(square, freedom);
                let tail = b.unary(Op::Log1p, share);
                let one = b.splat_like(1.0, freedom);
                let above = b.add(freedom, one);
                let half_above = b.scale(0.5, above);
                let tail = b.mul(half_above, tail);
                let half = b.scale(0.5, freedom);
                let [of_above, of_half] = [half_above, half].map(|value| b.unary(Op::Lgamma, value));
                let gammas = b.sub(of_above, of_half);
                let spread = b.scale(std::f64::consts::PI, freedom);
                let spread = b.unary(Op::Log, spread);
                let spread = b.scale(0.5, spread);
                let log_scale = b.unary(Op::Log, scale);
                let norm = b.add(spread, log_scale);
                let front = b.sub(gammas, norm);
                b.sub(front, tail)
            }
            // log p at 1, log(1 − p) at 0
            (Distribution::Bernoulli, &[probability]) => {
                let (zero, one) = (b.zeros_like(x), b.splat_like(1.0, x));
                let (no, yes) = (b.binary(Op::Eq, x, zero), b.binary(Op::Eq, x, one));
                let of_yes = safe(b, yes, probability, 0.5);
                let of_yes = b.unary(Op::Log, of_yes);
                let of_no = safe(b, no, probability, 0.5);
                let of_no = b.neg(of_no);
                let of_no = b.unary(Op::Log1p, of_no);
                let (yes, of_yes) = both(b, yes, of_yes);
                let (_, of_no) = both(b, yes, of_no);
                let density = b.select(yes, of_yes, of_no);
                let either = b.binary(Op::Or, no, yes);
                inside(b, either, density)
            }
            // x log λ − λ − log x! for x = 0, 1, 2, …
            (Distribution::Poisson, &[rate]) => {
                let zero = b.zeros_like(x);
                let whole = b.unary(Op::Floor, x);
                let (is_whole, above) = (b.binary(Op::Eq, whole, x), b.binary(Op::Le, zero, x));
                let within = b.binary(Op::And, is_whole, above);
                let x = safe(b, within, x, 0.0);
                let some = b.binary(Op::Lt, zero, x);
                let of_some = safe(b, some, rate, 1.0);
                let log_rate = b.unary(Op::Log, of_some);
                let grown = b.mul(x, log_rate);
                let one = b.splat_like(1.0, x);
                let next = b.add(x, one);
                let factorial = b.unary(Op::Lgamma, next);
                let rest = b.add(rate, factorial);
                let density = b.sub(grown, rest);
                inside(b, within, density)
            }
            // −log 2 at −1 and at 1
            (Distribution::Rademacher, &[]) => {
                let one = b.splat_like(1.0, x);
                let size = b.unary(Op::Abs, x);
                let within = b.binary(Op::Eq, size, one);
                let density = b.splat_like(-std::f64::consts::LN_2, x);
                inside(b, within, density)
            }
            (distribution, params) => {
                crate::bug!("{distribution:?} with {} parameters", params.len())
            }
        }
    }
}

/// `(a − 1) log x`, with the logarithm that is said.
fn power_of(b: &mut Builder, a: ValueId, x: ValueId, log: Op) -> ValueId {
    let one = b.splat_like(1.0, a);
    let less = b.sub(a, one);
    let log = b.unary(log, x);
    b.mul(less, log)
}

/// `x` where `holds`, a harmless value elsewhere.
fn safe(b: &mut Builder, holds: ValueId, x: ValueId, harmless: f64) -> ValueId {
    let (holds, x) = both(b, holds, x);
    let harmless = b.splat_like(harmless, x);
    b.select(holds, x, harmless)
}

/// `density` where `within` holds, `−∞` elsewhere.
fn inside(b: &mut Builder, within: ValueId, density: ValueId) -> ValueId {
    let (within, density) = both(b, within, density);
    let outside = b.splat_like(f64::NEG_INFINITY, density);
    b.select(within, density, outside)
}

/// Two values in the shape of the larger one.
fn both(b: &mut Builder, x: ValueId, y: ValueId) -> (ValueId, ValueId) {
    let shape: Shape = b.shape(if b.shape(x).rank() == 0 { y } else { x }).clone();
    (spread(b, x, &shape), spread(b, y, &shape))
}
