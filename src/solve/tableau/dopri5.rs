//! Dormand and Prince's pair of order 5(4).

use super::{Dense, Embedded, Tableau, q};

/// Dormand–Prince 5(4): six evaluations a step, since the last is the first of the next.
pub(super) const DOPRI5: Tableau = Tableau {
    name: "dopri5",
    doc: "Dormand–Prince 5(4), six evaluations a step; the common choice for smooth, non-stiff systems",
    source: "J. R. Dormand, P. J. Prince, A family of embedded Runge–Kutta formulae, J. Comput. Appl. Math. 6 (1980)",
    order: 5,
    c: &[q(0, 1), q(1, 5), q(3, 10), q(4, 5), q(8, 9), q(1, 1), q(1, 1)],
    a: &[
        &[],
        &[q(1, 5)],
        &[q(3, 40), q(9, 40)],
        &[q(44, 45), q(-56, 15), q(32, 9)],
        &[q(19372, 6561), q(-25360, 2187), q(64448, 6561), q(-212, 729)],
        &[q(9017, 3168), q(-355, 33), q(46732, 5247), q(49, 176), q(-5103, 18656)],
        &[q(35, 384), q(0, 1), q(500, 1113), q(125, 192), q(-2187, 6784), q(11, 84)],
    ],
    b: &[q(35, 384), q(0, 1), q(500, 1113), q(125, 192), q(-2187, 6784), q(11, 84), q(0, 1)],
    embedded: Some(Embedded {
        order: 4,
        b_err: &[q(71, 57600), q(0, 1), q(-71, 16695), q(71, 1920), q(-17253, 339200), q(22, 525), q(-1, 40)],
        third: None,
        scale: 1.0,
    }),
    // Shampine's quartic (Some practical Runge–Kutta formulas, Math. Comp. 46 (1986)) as in the
    // code DOPRI5 of Hairer, Nørsett, Wanner, Solving ODEs I, II.6; its polynomial
    // y + θ(Δ + (1-θ)(hk1 - Δ + θ(2Δ - hk1 - hk7 + (1-θ) h Σ d_i k_i))), Δ = y_new - y,
    // multiplied out into powers of θ.
    dense: Dense {
        order: 4,
        extra: &[],
        weights: &[
            &[q(1, 1), q(-8048581381, 2820520608), q(8663915743, 2820520608), q(-12715105075, 11282082432)],
            &[],
            &[
                q(0, 1),
                q(131558114200, 32700410799),
                q(-68118460800, 10900136933),
                q(87487479700, 32700410799),
            ],
            &[q(0, 1), q(-1754552775, 470086768), q(14199869525, 1410260304), q(-10690763975, 1880347072)],
            &[
                q(0, 1),
                q(127303824393, 49829197408),
                q(-318862633887, 49829197408),
                q(701980252875, 199316789632),
            ],
            &[q(0, 1), q(-282668133, 205662961), q(2019193451, 616988883), q(-1453857185, 822651844)],
            &[q(0, 1), q(40617522, 29380423), q(-110615467, 29380423), q(69997945, 29380423)],
        ],
    },
};
