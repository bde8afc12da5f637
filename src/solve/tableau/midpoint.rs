//! The explicit midpoint rule, order 2.

use super::{Dense, Tableau, q};

/// The explicit midpoint rule: two evaluations, order 2.
pub(super) const MIDPOINT: Tableau = Tableau {
    name: "midpoint",
    doc: "the explicit midpoint rule, two evaluations a step",
    source: "C. Runge, Ueber die numerische Auflösung von Differentialgleichungen, Math. Ann. 46 (1895)",
    order: 2,
    c: &[q(0, 1), q(1, 2)],
    a: &[&[], &[q(1, 2)]],
    b: &[q(0, 1), q(1, 1)],
    embedded: None,
    // The parabola with slope k1 at 0 and k2 at 1/2: Σ b_i(θ) = θ and b_2(θ)/2 = θ²/2.
    dense: Dense { order: 2, extra: &[], weights: &[&[q(1, 1), q(-1, 1)], &[q(0, 1), q(1, 1)]] },
};
