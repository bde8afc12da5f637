//! Owren and Zennaro's continuous pair of order 5(4).

use super::{Dense, Embedded, Tableau, q};

/// Owren–Zennaro 5(4): seven evaluations a step, since the last is the first of the next; dense
/// output of order 5.
pub(super) const OWREN_ZENNARO5: Tableau = Tableau {
    name: "owren_zennaro5",
    doc: "Owren–Zennaro 5(4), seven evaluations a step, made for its dense output of order 5",
    source: "B. Owren, M. Zennaro, Derivation of efficient, continuous, explicit Runge–Kutta methods, SIAM J. Sci. Stat. Comput. 13 (1992)",
    order: 5,
    c: &[q(0, 1), q(1, 6), q(1, 4), q(1, 2), q(1, 2), q(9, 14), q(7, 8), q(1, 1)],
    a: &[
        &[],
        &[q(1, 6)],
        &[q(1, 16), q(3, 16)],
        &[q(1, 4), q(-3, 4), q(1, 1)],
        &[q(-3, 4), q(15, 4), q(-3, 1), q(1, 2)],
        &[q(369, 1372), q(-243, 343), q(297, 343), q(1485, 9604), q(297, 4802)],
        &[q(-133, 4512), q(1113, 6016), q(7945, 16544), q(-12845, 24064), q(-315, 24064), q(156065, 198528)],
        &[q(83, 945), q(0, 1), q(248, 825), q(41, 180), q(1, 36), q(2401, 38610), q(6016, 20475)],
    ],
    b: &[q(83, 945), q(0, 1), q(248, 825), q(41, 180), q(1, 36), q(2401, 38610), q(6016, 20475), q(0, 1)],
    // b̂ = -1/9, 0, 40/33, -7/4, -1/12, 343/198, 0, 0.
    embedded: Some(Embedded {
        order: 4,
        b_err: &[
            q(188, 945),
            q(0, 1),
            q(-752, 825),
            q(89, 45),
            q(1, 9),
            q(-32242, 19305),
            q(6016, 20475),
            q(0, 1),
        ],
        third: None,
        scale: 1.0,
    }),
    // Their continuous extension of the order of the method, on the same stages.
    dense: Dense {
        order: 5,
        extra: &[],
        weights: &[
            &[q(1, 1), q(-3292, 819), q(17893, 2457), q(-4969, 819), q(596, 315)],
            &[],
            &[q(0, 1), q(5112, 715), q(-43568, 2145), q(1344, 65), q(-1984, 275)],
            &[q(0, 1), q(-123, 52), q(3161, 234), q(-1465, 78), q(118, 15)],
            &[q(0, 1), q(-63, 52), q(1061, 234), q(-413, 78), q(2, 1)],
            &[q(0, 1), q(-40817, 33462), q(60025, 50193), q(2401, 1521), q(-9604, 6435)],
            &[q(0, 1), q(18048, 5915), q(-637696, 53235), q(96256, 5915), q(-48128, 6825)],
            &[q(0, 1), q(-18, 13), q(75, 13), q(-109, 13), q(4, 1)],
        ],
    },
};
