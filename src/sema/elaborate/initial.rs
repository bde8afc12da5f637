//! Starting values that are drawn: from the seed and the path of the param, so that a weight starts
//! alike whatever else is in the program.

use crate::base::random::Stream;
use crate::ir::types::Shape;
use crate::sema::prelude::{Distribution, Initialiser};
use crate::sema::typed::Drawn;

/// The entries of a starting value of `shape`, row-major, for the param at `path`.
pub(super) fn draws(drawn: &Drawn, seed: u64, path: &str, shape: &Shape) -> Vec<f64> {
    let mut stream = Stream::new(seed, path, 0, 0);
    let mut entry: Box<dyn FnMut() -> f64> = match drawn {
        Drawn::Fill(fill) => Box::new(|| *fill),
        Drawn::Weights(initialiser) => {
            let (fan_in, fan_out) = fans(shape.dims());
            match initialiser {
                Initialiser::Glorot => {
                    let bound = (6.0 / (fan_in + fan_out)).sqrt();
                    Box::new(move || bound * (2.0 * stream.uniform() - 1.0))
                }
                Initialiser::He => {
                    let sd = (2.0 / fan_in).sqrt();
                    Box::new(move || sd * stream.normal())
                }
                Initialiser::FanIn => {
                    let bound = 1.0 / fan_in.sqrt();
                    Box::new(move || bound * (2.0 * stream.uniform() - 1.0))
                }
            }
        }
        Drawn::From(distribution, numbers) => Box::new(move || draw(*distribution, numbers, &mut stream)),
    };
    (0..shape.count()).map(|_| entry()).collect()
}

/// Whether [`draws`] can be from this distribution.
pub(crate) fn draws_from(distribution: Distribution) -> bool {
    match distribution {
        Distribution::Normal | Distribution::Lognormal | Distribution::Uniform => true,
        Distribution::Exponential | Distribution::Cauchy | Distribution::Laplace => true,
        Distribution::Rademacher | Distribution::Bernoulli | Distribution::Poisson => true,
        Distribution::Gamma | Distribution::Beta | Distribution::StudentT => true,
        Distribution::Categorical => false,
    }
}

/// How many numbers a unit reads, and how many read it: `[O, I, ..]`.
fn fans(dims: &[usize]) -> (f64, f64) {
    let product = |dims: &[usize]| dims.iter().product::<usize>().max(1) as f64;
    match dims {
        [] => (1.0, 1.0),
        [n] => ((*n).max(1) as f64, (*n).max(1) as f64),
        [outputs, inputs, window @ ..] => {
            (product(&[*inputs]) * product(window), product(&[*outputs]) * product(window))
        }
    }
}

/// One draw. Those that are not normal come from the inverse of the distribution function.
fn draw(distribution: Distribution, numbers: &[f64], stream: &mut Stream) -> f64 {
    // In (0, 1): multiples of 2^-53 shifted by half a step.
    let open = |stream: &mut Stream| stream.uniform() + 2.0_f64.powi(-54);
    match (distribution, numbers) {
        (Distribution::Normal, &[mean, sd]) => mean + sd * stream.normal(),
        (Distribution::Lognormal, &[mean, sd]) => libm::exp(mean + sd * stream.normal()),
        (Distribution::Uniform, &[lo, hi]) => lo + (hi - lo) * stream.uniform(),
        (Distribution::Exponential, &[rate]) => -libm::log(open(stream)) / rate,
        (Distribution::Cauchy, &[location, scale]) => {
            location + scale * libm::tan(std::f64::consts::PI * (open(stream) - 0.5))
        }
        (Distribution::Laplace, &[location, scale]) => {
            let u = open(stream) - 0.5;
            location - scale * u.signum() * libm::log1p(-2.0 * u.abs())
        }
        (Distribution::Bernoulli, &[probability]) => f64::from(u8::from(stream.uniform() < probability)),
        (Distribution::Gamma, &[shape, rate]) => libm::exp(stream.log_gamma(shape)) / rate,
        (Distribution::Beta, &[a, b]) => stream.beta(a, b),
        (Distribution::StudentT, &[freedom, location, scale]) => location + scale * stream.student_t(freedom),
        (Distribution::Poisson, &[rate]) => stream.poisson(rate),
        (Distribution::Rademacher, &[]) => {
            if stream.uniform() < 0.5 {
                -1.0
            } else {
                1.0
            }
        }
        (distribution, numbers) => crate::bug!("{distribution:?} with {} parameters", numbers.len()),
    }
}
