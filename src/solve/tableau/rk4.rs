//! The classical Runge–Kutta method, order 4.

use super::{Dense, Tableau, q};

/// The classical Runge–Kutta method: four evaluations, order 4.
pub(super) const RK4: Tableau = Tableau {
    name: "rk4",
    doc: "the classical Runge–Kutta method, four evaluations a step",
    source: "W. Kutta, Beitrag zur näherungsweisen Integration totaler Differentialgleichungen, Z. Math. Phys. 46 (1901)",
    order: 4,
    c: &[q(0, 1), q(1, 2), q(1, 2), q(1, 1)],
    a: &[&[], &[q(1, 2)], &[q(0, 1), q(1, 2)], &[q(0, 1), q(0, 1), q(1, 1)]],
    b: &[q(1, 6), q(1, 3), q(1, 3), q(1, 6)],
    embedded: None,
    // The third-order continuous extension on the four stages: Hairer, Nørsett, Wanner,
    // Solving ODEs I (2nd ed.), II.6, eq. (6.11).
    dense: Dense {
        order: 3,
        extra: &[],
        weights: &[
            &[q(1, 1), q(-3, 2), q(2, 3)],
            &[q(0, 1), q(1, 1), q(-2, 3)],
            &[q(0, 1), q(1, 1), q(-2, 3)],
            &[q(0, 1), q(-1, 2), q(2, 3)],
        ],
    },
};
