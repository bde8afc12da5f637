//! Bogacki and Shampine's pair of order 3(2).

use super::{Dense, Embedded, Tableau, q};

/// Bogacki–Shampine 3(2): three evaluations a step, since the last is the first of the next.
pub(super) const BOSH3: Tableau = Tableau {
    name: "bosh3",
    doc: "Bogacki–Shampine 3(2), three evaluations a step; for loose tolerances",
    source: "P. Bogacki, L. F. Shampine, A 3(2) pair of Runge–Kutta formulas, Appl. Math. Lett. 2 (1989)",
    order: 3,
    c: &[q(0, 1), q(1, 2), q(3, 4), q(1, 1)],
    a: &[&[], &[q(1, 2)], &[q(0, 1), q(3, 4)], &[q(2, 9), q(1, 3), q(4, 9)]],
    b: &[q(2, 9), q(1, 3), q(4, 9), q(0, 1)],
    // b̂ = 7/24, 1/4, 1/3, 1/8.
    embedded: Some(Embedded {
        order: 2,
        b_err: &[q(-5, 72), q(1, 12), q(1, 9), q(-1, 8)],
        third: None,
        scale: 1.0,
    }),
    // The cubic with values y, y_new and slopes k1, k4 at the ends:
    // y + (3θ² - 2θ³)(y_new - y) + (θ - 2θ² + θ³) h k1 + (θ³ - θ²) h k4.
    dense: Dense {
        order: 3,
        extra: &[],
        weights: &[
            &[q(1, 1), q(-4, 3), q(5, 9)],
            &[q(0, 1), q(1, 1), q(-2, 3)],
            &[q(0, 1), q(4, 3), q(-8, 9)],
            &[q(0, 1), q(-1, 1), q(1, 1)],
        ],
    },
};
