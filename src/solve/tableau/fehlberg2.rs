//! Fehlberg's pair of order 2(1).

use super::{Dense, Embedded, Tableau, q};

/// Fehlberg 2(1): three evaluations a step.
///
/// The pair RK1(2) of the source (its table XIV), taken on with the second-order formula. The first-order one
/// was made nearly as good, so the estimate is 1/512 of Euler's while the error is as large as that
/// of any method of order 2: where the estimate is the tolerance, the leading term of the error is 87
/// tolerances in a unit of time. So it counts 64 times here, unless a run follows a convention of others.
pub(super) const FEHLBERG2: Tableau = Tableau {
    name: "fehlberg2",
    doc: "Fehlberg 2(1), three evaluations a step; its small error estimate counts 64 times",
    source: "E. Fehlberg, Low-order classical Runge–Kutta formulas with stepsize control and their application to some heat transfer problems, NASA TR R-315 (1969)",
    order: 2,
    c: &[q(0, 1), q(1, 2), q(1, 1)],
    a: &[&[], &[q(1, 2)], &[q(1, 256), q(255, 256)]],
    b: &[q(1, 512), q(255, 256), q(1, 512)],
    embedded: Some(Embedded { order: 1, b_err: &[q(-1, 512), q(0, 1), q(1, 512)], third: None, scale: 64.0 }),
    // The parabola with the rate at the start: Σ b_i(θ) = θ and Σ b_i(θ) c_i = θ²/2.
    dense: Dense {
        order: 2,
        extra: &[],
        weights: &[&[q(1, 1), q(-511, 512)], &[q(0, 1), q(255, 256)], &[q(0, 1), q(1, 512)]],
    },
};
