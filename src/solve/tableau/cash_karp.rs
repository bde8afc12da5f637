//! Cash and Karp's pair of order 5(4).

use super::{Dense, Embedded, Tableau, q};

/// Cash–Karp 5(4): six evaluations a step, since the last is the first of the next. Of their
/// embedded formulas the one of order 4; dense output is the cubic Hermite polynomial, of order 3 only.
pub(super) const CASH_KARP: Tableau = Tableau {
    name: "cash_karp",
    doc: "Cash–Karp 5(4), six evaluations a step; its dense output is of order 3 only",
    source: "J. R. Cash, A. H. Karp, A variable order Runge–Kutta method for initial value problems with rapidly varying right-hand sides, ACM Trans. Math. Softw. 16 (1990)",
    order: 5,
    c: &[q(0, 1), q(1, 5), q(3, 10), q(3, 5), q(1, 1), q(7, 8), q(1, 1)],
    a: &[
        &[],
        &[q(1, 5)],
        &[q(3, 40), q(9, 40)],
        &[q(3, 10), q(-9, 10), q(6, 5)],
        &[q(-11, 54), q(5, 2), q(-70, 27), q(35, 27)],
        &[q(1631, 55296), q(175, 512), q(575, 13824), q(44275, 110592), q(253, 4096)],
        &[q(37, 378), q(0, 1), q(250, 621), q(125, 594), q(0, 1), q(512, 1771)],
    ],
    b: &[q(37, 378), q(0, 1), q(250, 621), q(125, 594), q(0, 1), q(512, 1771), q(0, 1)],
    // b̂ = 2825/27648, 0, 18575/48384, 13525/55296, 277/14336, 1/4, 0.
    embedded: Some(Embedded {
        order: 4,
        b_err: &[
            q(-277, 64512),
            q(0, 1),
            q(6925, 370944),
            q(-6925, 202752),
            q(-277, 14336),
            q(277, 7084),
            q(0, 1),
        ],
        third: None,
        scale: 1.0,
    }),
    // The last stage is there for the cubic with values y, y_new and slopes k1, k7 at the ends:
    // y + (3θ² - 2θ³)(y_new - y) + (θ - 2θ² + θ³) h k1 + (θ³ - θ²) h k7.
    dense: Dense {
        order: 3,
        extra: &[],
        weights: &[
            &[q(1, 1), q(-215, 126), q(152, 189)],
            &[],
            &[q(0, 1), q(250, 207), q(-500, 621)],
            &[q(0, 1), q(125, 198), q(-125, 297)],
            &[],
            &[q(0, 1), q(1536, 1771), q(-1024, 1771)],
            &[q(0, 1), q(-1, 1), q(1, 1)],
        ],
    },
};
