//! What stopped a run, as far as the rates around the place can tell: stability or a jump.
//!
//! The rates are those of the reference evaluator, at the last good state and near it; nothing here
//! changes what the run has come to.

use crate::engine::outcome::Rate;
use crate::solve::method::{Kind, Method};

/// How the note of a stiff system begins.
pub(crate) const STIFF_NOTE: &str = "the system is stiff here";

/// The time in which the fastest part of the solution at `(t, y)` changes by itself, `1/ρ(J)`, if a step of
/// `h` of the explicit method `method` is so long that stability, not accuracy, sets it: one-step methods
/// leave their regions of stability at `|h| ρ(J)` above 2, `abm` before 1.
pub(super) fn stiffness(method: &Method, t: f64, h: f64, rate: &Rate<'_>) -> Option<f64> {
    let border = match method.kind {
        Kind::Explicit(_) | Kind::Taylor { .. } => 1.5,
        Kind::Multistep => 0.3,
        Kind::Stiff(_) | Kind::Auto(_) | Kind::Symplectic(_) | Kind::Reversible(_) | Kind::Stochastic(_) => {
            return None;
        }
    };
    let radius = spectral_radius(t, rate)?;
    (radius > 0.0 && h.abs() * radius > border).then(|| 1.0 / radius)
}

/// `ρ(J)` over the states by powers of `J v ≈ (f(y + δv) - f(y))/δ`: the growth over the last half of them,
/// by Gelfand's formula.
fn spectral_radius(t: f64, rate: &Rate<'_>) -> Option<f64> {
    const POWERS: usize = 24;
    let y = rate.state();
    let n = rate.n_states();
    let length = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    // The square root of the precision of `f64`, at which differences are best.
    let delta = 1.5e-8 * length(&y[..n]).max(1e-8);
    let f = rate.at(t, y)?;
    let mut v: Vec<f64> = (0..n).map(|at| 1.0 + at as f64 / n as f64).collect();
    let mut growth = Vec::new();
    for _ in 0..POWERS {
        let size = length(&v);
        if size == 0.0 {
            return Some(0.0);
        }
        let mut moved = y.to_vec();
        for at in 0..n {
            moved[at] += delta * v[at] / size;
        }
        let shifted = rate.at(t, &moved)?;
        v = (0..n).map(|at| (shifted[at] - f[at]) / delta).collect();
        growth.push(length(&v));
    }
    let late = &growth[POWERS / 2..];
    let logs = late.iter().map(|growth| libm::log(growth.max(f64::MIN_POSITIVE))).sum::<f64>();
    let radius = libm::exp(logs / late.len() as f64);
    radius.is_finite().then_some(radius)
}

/// The rates of `component` before and behind a jump, if there is one within a step of `h` from `t`: they
/// differ by more than a tenth, and beyond the step they stay.
pub(super) fn jump(t: f64, h: f64, component: usize, rate: &Rate<'_>) -> Option<(f64, f64)> {
    let y = rate.state();
    let f = rate.at(t, y)?;
    let ahead = |steps: f64| {
        let moved: Vec<f64> = y.iter().zip(&f).map(|(y, f)| y + steps * h * f).collect();
        Some(rate.at(t + steps * h, &moved)?[component])
    };
    let (before, behind) = (f[component], ahead(10.0)?);
    let beyond = ahead(30.0)?;
    let jumps = (behind - before).abs() > 0.1 * before.abs().max(behind.abs());
    let stays = (beyond - behind).abs() < 0.1 * (behind - before).abs();
    (jumps && stays).then_some((before, behind))
}
