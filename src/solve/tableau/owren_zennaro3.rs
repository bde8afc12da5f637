//! Owren and Zennaro's continuous pair of order 3(2).

use super::{Dense, Embedded, Tableau, q};

/// Owren–Zennaro 3(2): three evaluations a step, since the last is the first of the next; dense
/// output of order 3.
pub(super) const OWREN_ZENNARO3: Tableau = Tableau {
    name: "owren_zennaro3",
    doc: "Owren–Zennaro 3(2), three evaluations a step, made for its dense output of order 3",
    source: "B. Owren, M. Zennaro, Derivation of efficient, continuous, explicit Runge–Kutta methods, SIAM J. Sci. Stat. Comput. 13 (1992)",
    order: 3,
    c: &[q(0, 1), q(12, 23), q(4, 5), q(1, 1)],
    a: &[&[], &[q(12, 23)], &[q(-68, 375), q(368, 375)], &[q(31, 144), q(529, 1152), q(125, 384)]],
    b: &[q(31, 144), q(529, 1152), q(125, 384), q(0, 1)],
    // b̂ = 1/24, 23/24, 0, 0.
    embedded: Some(Embedded {
        order: 2,
        b_err: &[q(25, 144), q(-575, 1152), q(125, 384), q(0, 1)],
        third: None,
        scale: 1.0,
    }),
    // Their continuous extension of the order of the method, on the same stages.
    dense: Dense {
        order: 3,
        extra: &[],
        weights: &[
            &[q(1, 1), q(-65, 48), q(41, 72)],
            &[q(0, 1), q(529, 384), q(-529, 576)],
            &[q(0, 1), q(125, 128), q(-125, 192)],
            &[q(0, 1), q(-1, 1), q(1, 1)],
        ],
    },
};
