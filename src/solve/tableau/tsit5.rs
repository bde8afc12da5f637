//! Tsitouras's pair of order 5(4).

use super::{Dense, Embedded, Tableau, dec, q};

/// Tsitouras 5(4): six evaluations a step, since the last is the first of the next.
///
/// The coefficients are published as decimals; they stand here to 18 places, four more than an
/// `f64` can hold, so the order conditions hold to 1e-16 or so and not exactly.
pub(super) const TSIT5: Tableau = Tableau {
    name: "tsit5",
    doc: "Tsitouras 5(4), six evaluations a step; usually a little more accurate than dopri5",
    source: "Ch. Tsitouras, Runge–Kutta pairs of order 5(4) satisfying only the first column simplifying assumption, Comput. Math. Appl. 62 (2011)",
    order: 5,
    c: &[q(0, 1), q(161, 1000), q(327, 1000), q(9, 10), dec("0.980025540904509686"), q(1, 1), q(1, 1)],
    a: &[
        &[],
        &[q(161, 1000)],
        &[dec("-0.008480655492356989"), dec("0.335480655492356989")],
        &[dec("2.897153057105493432"), dec("-6.359448489975074843"), dec("4.362295432869581411")],
        &[
            dec("5.325864828439256604"),
            dec("-11.748883564062827878"),
            dec("7.495539342889836208"),
            dec("-0.092495066361755249"),
        ],
        &[
            dec("5.861455442946420029"),
            dec("-12.920969317847109292"),
            dec("8.159367898576158643"),
            dec("-0.071584973281400997"),
            dec("-0.028269050394068383"),
        ],
        &[
            dec("0.096460766818065230"),
            q(1, 100),
            dec("0.479889650414499575"),
            dec("1.379008574103741893"),
            dec("-3.290069515436080680"),
            dec("2.324710524099773982"),
        ],
    ],
    b: &[
        dec("0.096460766818065230"),
        q(1, 100),
        dec("0.479889650414499575"),
        dec("1.379008574103741893"),
        dec("-3.290069515436080680"),
        dec("2.324710524099773982"),
        q(0, 1),
    ],
    embedded: Some(Embedded {
        order: 4,
        b_err: &[
            dec("0.001780011052225771"),
            dec("0.000816434459656747"),
            dec("-0.007880878010261996"),
            dec("0.144711007173262908"),
            dec("-0.582357165452555225"),
            dec("0.458082105929186947"),
            q(-1, 66),
        ],
        third: None,
        scale: 1.0,
    }),
    dense: Dense {
        order: 4,
        extra: &[],
        weights: &[
            &[
                q(1, 1),
                dec("-2.763706197274825911"),
                dec("2.913255461821912744"),
                dec("-1.053088497729021600"),
            ],
            &[q(0, 1), dec("0.1317"), dec("-0.2234"), dec("0.1017")],
            &[
                q(0, 1),
                dec("3.930296236894751529"),
                dec("-5.941033872131504735"),
                dec("2.490627285651252793"),
            ],
            &[
                q(0, 1),
                dec("-12.411077166933676984"),
                dec("30.338188630282321598"),
                dec("-16.548102889244902720"),
            ],
            &[
                q(0, 1),
                dec("37.509313416511039195"),
                dec("-88.178904894766401101"),
                dec("47.379521962819281220"),
            ],
            &[
                q(0, 1),
                dec("-27.896526289197287806"),
                dec("65.091894674793671526"),
                dec("-34.870657861496609740"),
            ],
            &[q(0, 1), q(3, 2), q(-4, 1), q(5, 2)],
        ],
    },
};
