//! Fehlberg's pair of order 2(1).

use super::{Dense, Embedded, Tableau, q};

/// Fehlberg 2(1): three evaluations a step. The estimate is small, so its steps are far longer than
/// those of `heun_euler`, and the errors with them.
pub(super) const FEHLBERG2: Tableau = Tableau {
    name: "fehlberg2",
    doc: "Fehlberg 2(1), three evaluations a step; its estimate is small, so errors may be hundreds of tolerances",
    source: "E. Fehlberg, Low-order classical Runge–Kutta formulas with stepsize control and their application to some heat transfer problems, NASA TR R-315 (1969)",
    order: 2,
    c: &[q(0, 1), q(1, 2), q(1, 1)],
    a: &[&[], &[q(1, 2)], &[q(1, 256), q(255, 256)]],
    b: &[q(1, 512), q(255, 256), q(1, 512)],
    embedded: Some(Embedded { order: 1, b_err: &[q(-1, 512), q(0, 1), q(1, 512)], third: None }),
    // The parabola with the rate at the start: Σ b_i(θ) = θ and Σ b_i(θ) c_i = θ²/2.
    dense: Dense {
        order: 2,
        extra: &[],
        weights: &[&[q(1, 1), q(-511, 512)], &[q(0, 1), q(255, 256)], &[q(0, 1), q(1, 512)]],
    },
};
