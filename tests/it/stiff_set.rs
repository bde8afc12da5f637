//! Stiff problems and systems with constraints as programs, against ends made elsewhere, and what must stay
//! as it is over long runs.

use nodec::{Model, Solution};

fn solve(text: &str, settings: &[(&str, &str)]) -> Solution {
    let model = Model::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let binder = settings.iter().fold(model.bind(), |binder, (key, value)| binder.setting(key, value));
    let run = binder.build().unwrap_or_else(|error| panic!("{error}"));
    run.solve().unwrap_or_else(|error| panic!("{error}"))
}

struct Problem {
    name: &'static str,
    text: &'static str,
    /// The state whose entries are judged.
    state: &'static str,
    /// `atol` is this times `rtol`.
    ratio: f64,
    end: &'static [f64],
    /// Errors in units of `rtol (ratio + |y|)` may be so large: measured, at most half of it.
    allowed: f64,
}

const PROBLEMS: &[Problem] = &[
    // The Oregonator, a limit cycle. Source and end: F. Mazzia, C. Magherini, Test Set for IVP Solvers 2.4,
    // "OREGO"; SciPy 1.17.1's Radau at rtol 2.2e-14 gives the same 13 digits.
    Problem {
        name: "orego",
        text: "
            time t in 0..360
            state y: [3] = [1, 2, 3]
            y' = [
                77.27*(y[1] + y[0]*(1 - 8.375e-6*y[0] - y[1])),
                (y[2] - (1 + y[0])*y[1])/77.27,
                0.161*(y[0] - y[2]),
            ]
        ",
        state: "y",
        ratio: 1.0,
        end: &[1.000_814_870_318_523, 1_228.178_521_549_917, 132.055_494_284_670_6],
        allowed: 350.0,
    },
    // Chemical pyrolysis, with numbers from 1e-3 to 1e-13. Source: E. Hairer, G. Wanner, Solving ODEs II,
    // IV.10, "E5". End at t = 1e5: SciPy's Radau at rtol 2.2e-14; its BDF agrees to 4e-12.
    Problem {
        name: "E5",
        text: "
            const A = 7.89e-10, B = 1.1e7, C = 1.13e3, M = 1e6
            time t in 0..1e5
            state y: [4] = [1.76e-3, 0, 0, 0]
            let d2 = A*y[0] - M*C*y[1]*y[2]
            let d4 = B*y[0]*y[2] - C*y[3]
            y' = [-A*y[0] - B*y[0]*y[2], d2, d2 - d4, d4]
        ",
        state: "y",
        ratio: 1e-16,
        end: &[7.481_320_822_428_5e-6, 2.373_478_156_120e-12, 2.212_358_668_958e-12, 1.611_194_871_624e-13],
        allowed: 50.0,
    },
    // Chemical Akzo Nobel without its algebraic unknown. Source and end: the test set, "CHEMAKZO"; SciPy's
    // Radau and BDF give the same 12 digits.
    Problem {
        name: "akzo",
        text: "
            time t in 0..180
            state y: [5] = [0.444, 0.00123, 0, 0.007, 0]
            let y5 = 115.83*y[0]*y[3]
            let r1 = 18.7*y[0]^4*sqrt(y[1])
            let r2 = 0.58*y[2]*y[3]
            let r3 = 0.58/34.4*y[0]*y[4]
            let r4 = 0.09*y[0]*y[3]^2
            let r5 = 0.42*y5^2*sqrt(y[1])
            let inflow = 3.3*(0.9/737 - y[1])
            y' = [
                -2*r1 + r2 - r3 - r4,
                -0.5*r1 - r4 - 0.5*r5 + inflow,
                r1 - r2 + r3,
                -r2 + r3 - 2*r4,
                r2 - r3 + r5,
            ]
        ",
        state: "y",
        ratio: 1e-4,
        end: &AKZO,
        allowed: 10.0,
    },
    // The same with it: a constraint of index 1.
    Problem {
        name: "akzo as it is written",
        text: "
            time t in 0..180
            state y: [5] = [0.444, 0.00123, 0, 0.007, 0]
            algebraic y5 = 0.3
            let r1 = 18.7*y[0]^4*sqrt(y[1])
            let r2 = 0.58*y[2]*y[3]
            let r3 = 0.58/34.4*y[0]*y[4]
            let r4 = 0.09*y[0]*y[3]^2
            let r5 = 0.42*y5^2*sqrt(y[1])
            let inflow = 3.3*(0.9/737 - y[1])
            y' = [
                -2*r1 + r2 - r3 - r4,
                -0.5*r1 - r4 - 0.5*r5 + inflow,
                r1 - r2 + r3,
                -r2 + r3 - 2*r4,
                r2 - r3 + r5,
            ]
            0 = 115.83*y[0]*y[3] - y5
        ",
        state: "y",
        ratio: 1e-4,
        end: &AKZO,
        allowed: 10.0,
    },
    // Twenty species and 25 reactions of a polluted air. Source and end: the test set, "POLLU"; SciPy's Radau
    // and BDF give the same 12 digits.
    Problem {
        name: "pollution",
        text: "
            time t in 0..60
            state y: [20] = [0, 0.2, 0, 0.04, 0, 0, 0.1, 0.3, 0.01, 0, 0, 0, 0, 0, 0, 0, 0.007, 0, 0, 0]
            let r = [
                0.35*y[0], 26.6*y[1]*y[3], 1.23e4*y[4]*y[1], 8.6e-4*y[6], 8.2e-4*y[6], 1.5e4*y[6]*y[5],
                1.3e-4*y[8], 2.4e4*y[8]*y[5], 1.65e4*y[10]*y[1], 9e3*y[10]*y[0], 0.022*y[12],
                1.2e4*y[9]*y[1], 1.88*y[13], 1.63e4*y[0]*y[5], 4.8e6*y[2], 3.5e-4*y[3], 0.0175*y[3],
                1e8*y[15], 4.44e11*y[15], 1.24e3*y[16]*y[5], 2.1*y[18], 5.78*y[18], 0.0474*y[0]*y[3],
                1.78e3*y[18]*y[0], 3.12*y[19],
            ]
            y' = [
                -r[0] - r[9] - r[13] - r[22] - r[23] + r[1] + r[2] + r[8] + r[10] + r[11] + r[21] + r[24],
                -r[1] - r[2] - r[8] - r[11] + r[0] + r[20],
                -r[14] + r[0] + r[16] + r[18] + r[21],
                -r[1] - r[15] - r[16] - r[22] + r[14],
                -r[2] + 2*r[3] + r[5] + r[6] + r[12] + r[19],
                -r[5] - r[7] - r[13] - r[19] + r[2] + 2*r[17],
                -r[3] - r[4] - r[5] + r[12],
                r[3] + r[4] + r[5] + r[6],
                -r[6] - r[7],
                -r[11] + r[6] + r[8],
                -r[8] - r[9] + r[7] + r[10],
                r[8],
                -r[10] + r[9],
                -r[12] + r[11],
                r[13],
                -r[17] - r[18] + r[15],
                -r[19],
                r[19],
                -r[20] - r[21] - r[23] + r[22] + r[24],
                -r[24] + r[23],
            ]
        ",
        state: "y",
        ratio: 1e-6,
        end: &[
            0.564_625_548_002_276_9e-1,
            0.134_248_413_042_233_9,
            0.413_973_433_109_943e-8,
            0.552_314_020_748_437_5e-2,
            0.201_897_726_230_22e-6,
            0.146_454_186_349_4e-6,
            0.778_424_911_899_797_7e-1,
            0.324_507_535_339_601_4,
            0.749_401_338_388_04e-2,
            0.162_229_315_730_157_7e-7,
            0.113_586_383_325_7e-7,
            0.223_050_597_572_131_8e-2,
            0.208_716_288_279_86e-3,
            0.139_692_101_684_01e-4,
            0.896_488_485_689_829e-2,
            0.435_284_636_933e-17,
            0.689_921_969_626_342e-2,
            0.100_780_303_736_595e-3,
            0.177_214_651_396_997e-5,
            0.568_294_329_231_64e-4,
        ],
        allowed: 10.0,
    },
    // P. Kaps: y1 = exp(-2 t), y2 = exp(-t), whatever the stiffness.
    Problem {
        name: "kaps",
        text: "
            const eps = 1e-8
            time t in 0..1
            state y: [2] = [1, 1]
            y' = [-(1/eps + 2)*y[0] + y[1]^2/eps, y[0] - y[1] - y[1]^2]
        ",
        state: "y",
        ratio: 1.0,
        end: &[0.135_335_283_236_612_7, 0.367_879_441_171_442_3],
        allowed: 10.0,
    },
    // A. Prothero, A. Robinson: y = cos t.
    Problem {
        name: "prothero_robinson",
        text: "
            time t in 0..10
            state y = 1.0
            y' = -1e6*(y - cos(t)) - sin(t)
        ",
        state: "y",
        ratio: 1.0,
        end: &[-0.839_071_529_076_452_4],
        allowed: 20.0,
    },
    // A pendulum in the plane with the force of its rod as an algebraic unknown, its constraint twice
    // differentiated: index 1. From rest at the side; the end by Jacobi's sn, mpmath 1.3.0 with 30 digits.
    Problem {
        name: "pendulum",
        text: "
            time t in 0..3
            state q: [2] = [1, 0], v: [2] = [0, 0]
            algebraic force = 0.0
            q' = v
            v' = [-force*q[0], -force*q[1] - 9.81]
            0 = v[0]^2 + v[1]^2 - force*(q[0]^2 + q[1]^2) - 9.81*q[1]
        ",
        state: "q",
        ratio: 1.0,
        end: &[-0.176_651_789_922_838_19, -0.984_273_409_737_892_6],
        allowed: 40.0,
    },
];

const AKZO: [f64; 5] = [
    0.115_079_492_066_170_2,
    0.120_383_147_156_771_5e-2,
    0.161_156_288_740_797_4,
    0.365_615_642_124_928_3e-3,
    0.170_801_088_526_440_4e-1,
];

#[test]
fn stiff_problems_and_constraints_agree_with_their_ends() {
    for problem in PROBLEMS {
        for method in ["radau5", "rodas5p", "bdf", "kencarp4", "kvaerno5", "auto"] {
            for rtol in [1e-5, 1e-8] {
                let [tight, loose] = [rtol, problem.ratio * rtol].map(|x| format!("{x:e}"));
                let settings = [("method", method), ("rtol", &tight), ("atol", &loose), ("save", "[]")];
                let end = solve(problem.text, &settings).end(problem.state).unwrap();
                let one = |(y, e): (&f64, &f64)| (y - e).abs() / (rtol * (problem.ratio + e.abs()));
                let error = end.iter().zip(problem.end).map(one).fold(0.0, f64::max);
                assert!(error < problem.allowed, "{} {method} {rtol:e}: {error:e} tolerances", problem.name);
            }
        }
    }
}

/// What a linear invariant comes to at the end is rounding, with every method: mass of Robertson's reaction.
#[test]
fn mass_is_conserved() {
    let text = "time t in 0..1e4\nstate a = 1.0, b = 0.0, c = 0.0\na' = -0.04*a + 1e4*b*c\n\
                b' = 0.04*a - 1e4*b*c - 3e7*b^2\nc' = 3e7*b^2\n";
    for method in ["radau5", "rodas5p", "bdf", "kencarp4", "kvaerno5", "auto"] {
        let settings = [("method", method), ("rtol", "1e-6"), ("atol", "1e-10"), ("atol.b", "1e-14")];
        let solution = solve(text, &settings);
        let mass: f64 = ["a", "b", "c"].iter().map(|name| solution.end(name).unwrap()[0]).sum();
        assert!((mass - 1.0).abs() < 1e-11, "{method}: {:e}", mass - 1.0);
    }
}

/// Euler's rigid body: energy and the Casimir `|m|²` are quadratic, so the Gauss methods keep them to
/// rounding, over some sixty turns; `rk4` does not.
#[test]
fn quadratic_invariants_stay_with_gauss_methods() {
    let text = "time t in 0..400\nstate m: [3] = [0, 1, 1]\n\
                m' = [m[1]*m[2], -m[0]*m[2], -0.51*m[0]*m[1]]\n\
                output casimir = m[1]^2 + m[0]^2, energy = 0.51*m[0]^2 + m[2]^2\n";
    let worst = |method: &str| {
        let solution = solve(text, &[("method", method), ("dt", "0.2"), ("save", "every(10)")]);
        let drift = |name: &str| {
            let values = solution[name].values();
            values.iter().map(|value| (value - values[0]).abs()).fold(0.0, f64::max)
        };
        drift("casimir").max(drift("energy"))
    };
    for method in ["implicit_midpoint", "gauss4", "gauss6"] {
        assert!(worst(method) < 1e-12, "{method}: {:e}", worst(method));
    }
    assert!(worst("rk4") > 1e-5, "{:e}", worst("rk4"));
}
