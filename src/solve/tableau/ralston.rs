//! Ralston's method, order 2.

use super::{Dense, Tableau, q};

/// Ralston's method: two evaluations, order 2.
pub(super) const RALSTON: Tableau = Tableau {
    name: "ralston",
    doc: "Ralston's method, order 2 with the least bound on the error of a step, two evaluations a step",
    source: "A. Ralston, Runge–Kutta methods with minimum error bounds, Math. Comp. 16 (1962)",
    order: 2,
    c: &[q(0, 1), q(2, 3)],
    a: &[&[], &[q(2, 3)]],
    b: &[q(1, 4), q(3, 4)],
    embedded: None,
    // The parabola with slope k1 at 0 and k2 at 2/3: Σ b_i(θ) = θ and 2/3 b_2(θ) = θ²/2.
    dense: Dense { order: 2, extra: &[], weights: &[&[q(1, 1), q(-3, 4)], &[q(0, 1), q(3, 4)]] },
};
