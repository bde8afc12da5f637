//! Kutta's 3/8 rule, order 4.

use super::{Dense, Tableau, q};

/// Kutta's 3/8 rule: four evaluations, order 4.
pub(super) const RK38: Tableau = Tableau {
    name: "rk38",
    doc: "Kutta's 3/8 rule, order 4, four evaluations a step; usually a little more accurate than rk4",
    source: "W. Kutta, Beitrag zur näherungsweisen Integration totaler Differentialgleichungen, Z. Math. Phys. 46 (1901)",
    order: 4,
    c: &[q(0, 1), q(1, 3), q(2, 3), q(1, 1)],
    a: &[&[], &[q(1, 3)], &[q(-1, 3), q(1, 1)], &[q(1, 1), q(-1, 1), q(1, 1)]],
    b: &[q(1, 8), q(3, 8), q(3, 8), q(1, 8)],
    embedded: None,
    // The one solution of the four conditions of order 3 on four stages: Σ b_i(θ) = θ,
    // Σ b_i(θ) c_i = θ²/2, Σ b_i(θ) c_i² = θ³/3 and Σ b_i(θ) a_ij c_j = θ³/6.
    dense: Dense {
        order: 3,
        extra: &[],
        weights: &[
            &[q(1, 1), q(-15, 8), q(1, 1)],
            &[q(0, 1), q(15, 8), q(-3, 2)],
            &[q(0, 1), q(3, 8), q(0, 1)],
            &[q(0, 1), q(-3, 8), q(1, 2)],
        ],
    },
};
