//! Owren and Zennaro's continuous pair of order 4(3).

use super::{Dense, Embedded, Tableau, q};

/// Owren–Zennaro 4(3): five evaluations a step, since the last is the first of the next; dense
/// output of order 4.
pub(super) const OWREN_ZENNARO4: Tableau = Tableau {
    name: "owren_zennaro4",
    doc: "Owren–Zennaro 4(3), five evaluations a step, made for its dense output of order 4",
    source: "B. Owren, M. Zennaro, Derivation of efficient, continuous, explicit Runge–Kutta methods, SIAM J. Sci. Stat. Comput. 13 (1992)",
    order: 4,
    c: &[q(0, 1), q(1, 6), q(11, 37), q(11, 17), q(13, 15), q(1, 1)],
    a: &[
        &[],
        &[q(1, 6)],
        &[q(44, 1369), q(363, 1369)],
        &[q(3388, 4913), q(-8349, 4913), q(8140, 4913)],
        &[q(-36764, 408375), q(767, 1125), q(-32708, 136125), q(210392, 408375)],
        &[q(1697, 18876), q(0, 1), q(50653, 116160), q(299693, 1626240), q(3375, 11648)],
    ],
    b: &[q(1697, 18876), q(0, 1), q(50653, 116160), q(299693, 1626240), q(3375, 11648), q(0, 1)],
    // b̂ = 101/363, 0, -1369/14520, 11849/14520, 0, 0.
    embedded: Some(Embedded {
        order: 3,
        b_err: &[q(-1185, 6292), q(0, 1), q(4107, 7744), q(-68493, 108416), q(3375, 11648), q(0, 1)],
        third: None,
        scale: 1.0,
    }),
    // Their continuous extension of the order of the method, on the same stages.
    dense: Dense {
        order: 4,
        extra: &[],
        weights: &[
            &[q(1, 1), q(-104217, 37466), q(1806901, 618189), q(-866577, 824252)],
            &[],
            &[q(0, 1), q(861101, 230560), q(-2178079, 380424), q(12308679, 5072320)],
            &[q(0, 1), q(-63869, 293440), q(6244423, 5325936), q(-7816583, 10144640)],
            &[q(0, 1), q(-1522125, 762944), q(982125, 190736), q(-624375, 217984)],
            &[q(0, 1), q(165, 131), q(-461, 131), q(296, 131)],
        ],
    },
};
