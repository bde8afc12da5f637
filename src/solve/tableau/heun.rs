//! Heun's method (the explicit trapezoidal rule), order 2, and the pair it makes with Euler's.

use super::{Dense, Embedded, Tableau, q};

/// Heun's method with fixed steps: two evaluations, order 2.
pub(super) const HEUN: Tableau = Tableau {
    name: "heun",
    doc: "Heun's method, the explicit trapezoidal rule, two evaluations a step",
    source: "K. Heun, Neue Methoden zur approximativen Integration, Z. Math. Phys. 45 (1900)",
    order: 2,
    c: &[q(0, 1), q(1, 1)],
    a: &[&[], &[q(1, 1)]],
    b: &[q(1, 2), q(1, 2)],
    embedded: None,
    // The parabola with slope k1 at 0 and k2 at 1: Σ b_i(θ) = θ and b_2(θ) = θ²/2.
    dense: Dense { order: 2, extra: &[], weights: &[&[q(1, 1), q(-1, 2)], &[q(0, 1), q(1, 2)]] },
};

/// Heun–Euler 2(1): two evaluations a step. A rejected attempt costs one, since the rate at its
/// start is known.
pub(super) const HEUN_EULER: Tableau = Tableau {
    name: "heun_euler",
    doc: "Heun's method with Euler's as its error estimate, order 2(1), two evaluations a step",
    // b̂ = 1, 0.
    embedded: Some(Embedded { order: 1, b_err: &[q(-1, 2), q(1, 2)], third: None, scale: 1.0 }),
    ..HEUN
};
