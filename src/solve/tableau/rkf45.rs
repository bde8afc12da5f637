//! Fehlberg's pair of order 5(4).

use super::{Dense, Embedded, Tableau, q};

/// Fehlberg 5(4), continued with the formula of order 5: six evaluations a step, since the last is
/// the first of the next. Its dense output is the cubic Hermite polynomial, of order 3 only.
pub(super) const RKF45: Tableau = Tableau {
    name: "rkf45",
    doc: "Fehlberg 5(4), six evaluations a step; its dense output is of order 3 only",
    source: "E. Fehlberg, Low-order classical Runge–Kutta formulas with stepsize control, NASA TR R-315 (1969)",
    order: 5,
    c: &[q(0, 1), q(1, 4), q(3, 8), q(12, 13), q(1, 1), q(1, 2), q(1, 1)],
    a: &[
        &[],
        &[q(1, 4)],
        &[q(3, 32), q(9, 32)],
        &[q(1932, 2197), q(-7200, 2197), q(7296, 2197)],
        &[q(439, 216), q(-8, 1), q(3680, 513), q(-845, 4104)],
        &[q(-8, 27), q(2, 1), q(-3544, 2565), q(1859, 4104), q(-11, 40)],
        &[q(16, 135), q(0, 1), q(6656, 12825), q(28561, 56430), q(-9, 50), q(2, 55)],
    ],
    b: &[q(16, 135), q(0, 1), q(6656, 12825), q(28561, 56430), q(-9, 50), q(2, 55), q(0, 1)],
    // b̂ = 25/216, 0, 1408/2565, 2197/4104, -1/5, 0, 0.
    embedded: Some(Embedded {
        order: 4,
        b_err: &[q(1, 360), q(0, 1), q(-128, 4275), q(-2197, 75240), q(1, 50), q(2, 55), q(0, 1)],
        third: None,
        scale: 1.0,
    }),
    // The last stage is there for the cubic with values y, y_new and slopes k1, k7 at the ends:
    // y + (3θ² - 2θ³)(y_new - y) + (θ - 2θ² + θ³) h k1 + (θ³ - θ²) h k7.
    dense: Dense {
        order: 3,
        extra: &[],
        weights: &[
            &[q(1, 1), q(-74, 45), q(103, 135)],
            &[],
            &[q(0, 1), q(6656, 4275), q(-13312, 12825)],
            &[q(0, 1), q(28561, 18810), q(-28561, 28215)],
            &[q(0, 1), q(-27, 50), q(9, 25)],
            &[q(0, 1), q(6, 55), q(-4, 55)],
            &[q(0, 1), q(-1, 1), q(1, 1)],
        ],
    },
};
