//! The test set DETEST of non-stiff problems, from 0 to 20, with every adaptive explicit method and `abm`.
//!
//! Source of the problems: T. E. Hull, W. H. Enright, B. M. Fellen, A. E. Sedgwick, Comparing numerical
//! methods for ordinary differential equations, SIAM J. Numer. Anal. 9 (1972); without C5. The end of each was
//! made by mpmath 1.3.0 with 36 digits, by the closed form beside it or, where there is none, by the
//! extrapolated midpoint rule of Gragg, 14 columns, in 200 and in 400 equal steps, which agree to 30 digits.

use nodec::solve::{
    Adams, Adaptive, End, Errors, NoEvents, Options, Outcome, Rates, RungeKutta, Tableau, integrate, solve,
};

type Rate = fn(f64, &[f64], &mut [f64]);

struct Problem {
    name: &'static str,
    rate: Rate,
    y0: &'static [f64],
    end: &'static [f64],
    /// The most that an error of one tolerance in one step can grow to at the end, as in `problems.rs`, here
    /// over 30 times.
    amplification: f64,
}

/// A chain of decays: `y_i' = r(i-1) y_{i-1} - r(i) y_i`, and the last one stays.
fn chain(y: &[f64], dy: &mut [f64], r: impl Fn(usize) -> f64) {
    let last = y.len() - 1;
    for i in 0..y.len() {
        let fed = if i > 0 { r(i - 1) * y[i - 1] } else { 0.0 };
        dy[i] = fed - if i < last { r(i) * y[i] } else { 0.0 };
    }
}

/// `y_i' = y_{i-1} - 2 y_i + y_{i+1}`
fn heat(y: &[f64], dy: &mut [f64]) {
    let at = |i: usize| y.get(i).copied().unwrap_or(0.0);
    for i in 0..y.len() {
        dy[i] = at(i.wrapping_sub(1)) - 2.0 * y[i] + at(i + 1);
    }
}

fn kepler(y: &[f64], dy: &mut [f64]) {
    let r3 = (y[0] * y[0] + y[1] * y[1]).powf(1.5);
    dy.copy_from_slice(&[y[2], y[3], -y[0] / r3, -y[1] / r3]);
}

/// All of it in the first.
const ONE: [f64; 51] = {
    let mut y = [0.0; 51];
    y[0] = 1.0;
    y
};

const PROBLEMS: &[Problem] = &[
    // exp(-t).
    Problem {
        name: "A1",
        rate: |_, y, dy| dy[0] = -y[0],
        y0: &[1.0],
        end: &[2.061_153_622_438_558e-09],
        amplification: 0.51,
    },
    // 1/sqrt(1 + t).
    Problem {
        name: "A2",
        rate: |_, y, dy| dy[0] = -0.5 * y[0].powi(3),
        y0: &[1.0],
        end: &[0.218_217_890_235_992_4],
        amplification: 1.2,
    },
    // exp(sin t).
    Problem {
        name: "A3",
        rate: |t, y, dy| dy[0] = y[0] * t.cos(),
        y0: &[1.0],
        end: &[2.491_650_271_850_414_5],
        amplification: 3.7,
    },
    // 20/(1 + 19 exp(-t/4)).
    Problem {
        name: "A4",
        rate: |_, y, dy| dy[0] = 0.25 * y[0] * (1.0 - y[0] / 20.0),
        y0: &[1.0],
        end: &[17.730_166_481_314_84],
        amplification: 0.91,
    },
    // the root of log sqrt(y² + t²) + atan(y/t) = log 4 + π/2.
    Problem {
        name: "A5",
        rate: |t, y, dy| dy[0] = (y[0] - t) / (y[0] + t),
        y0: &[4.0],
        end: &[-0.788_782_668_896_401_5],
        amplification: 30.0,
    },
    Problem {
        name: "B1",
        rate: |_, y, dy| (dy[0], dy[1]) = (2.0 * (y[0] - y[0] * y[1]), -(y[1] - y[0] * y[1])),
        y0: &[1.0, 3.0],
        end: &[0.676_187_600_857_660_6, 0.186_081_609_964_002_97],
        amplification: 56.0,
    },
    // the exponential of the matrix.
    Problem {
        name: "B2",
        rate: |_, y, dy| dy.copy_from_slice(&[-y[0] + y[1], y[0] - 2.0 * y[1] + y[2], y[1] - y[2]]),
        y0: &[2.0, 0.0, 1.0],
        end: &[1.000_000_001_030_576_7, 1.0, 0.999_999_998_969_423_2],
        amplification: 3.7,
    },
    Problem {
        name: "B3",
        rate: |_, y, dy| dy.copy_from_slice(&[-y[0], y[0] - y[1] * y[1], y[1] * y[1]]),
        y0: &[1.0, 0.0, 0.0],
        end: &[2.061_153_622_438_558e-09, 0.052_572_280_220_485_12, 0.947_427_717_718_361_2],
        amplification: 4.2,
    },
    Problem {
        name: "B4",
        rate: |_, y, dy| {
            let r = y[0].hypot(y[1]);
            dy.copy_from_slice(&[-y[1] - y[0] * y[2] / r, y[0] - y[1] * y[2] / r, y[0] / r]);
        },
        y0: &[3.0, 0.0, 0.0],
        end: &[0.982_695_092_800_653, 2.198_447_081_694_929_8, 0.912_945_250_727_627_7],
        amplification: 37.0,
    },
    // the Jacobi functions sn, cn, dn of m = 0.51.
    Problem {
        name: "B5",
        rate: |_, y, dy| dy.copy_from_slice(&[y[1] * y[2], -y[0] * y[2], -0.51 * y[0] * y[1]]),
        y0: &[0.0, 1.0, 1.0],
        end: &[-0.939_657_079_872_920_4, -0.342_117_775_400_074_93, 0.741_412_659_619_995_3],
        amplification: 80.0,
    },
    // the exponential of the matrix.
    Problem {
        name: "C1",
        rate: |_, y, dy| chain(y, dy, |_| 1.0),
        y0: ONE.split_at(10).0,
        end: &[
            2.061_153_622_438_558e-09,
            4.122_307_244_877_116e-08,
            4.122_307_244_877_116e-07,
            2.748_204_829_918_077_3e-06,
            1.374_102_414_959_038_6e-05,
            5.496_409_659_836_154e-05,
            0.000_183_213_655_327_871_8,
            0.000_523_467_586_651_062_3,
            0.001_308_668_966_627_655_8,
            0.997_912_740_950_865,
        ],
        amplification: 11.0,
    },
    // the exponential of the matrix.
    Problem {
        name: "C2",
        rate: |_, y, dy| chain(y, dy, |i| i as f64 + 1.0),
        y0: ONE.split_at(10).0,
        end: &[
            2.061_153_622_438_558e-09,
            2.061_153_618_190_203_7e-09,
            2.061_153_613_941_849e-09,
            2.061_153_609_693_495e-09,
            2.061_153_605_445_141e-09,
            2.061_153_601_196_787e-09,
            2.061_153_596_948_432_3e-09,
            2.061_153_592_700_078e-09,
            2.061_153_588_451_724e-09,
            0.999_999_981_449_617_5,
        ],
        amplification: 11.0,
    },
    // the exponential of the matrix.
    Problem {
        name: "C3",
        rate: |_, y, dy| heat(y, dy),
        y0: ONE.split_at(10).0,
        end: &[
            0.002_948_119_211_022_699_2,
            0.005_635_380_154_845_296,
            0.007_829_072_515_927_038,
            0.009_348_257_908_595_597,
            0.010_079_436_103_019_805,
            0.009_982_674_171_429_489,
            0.009_088_693_332_765_333,
            0.007_489_115_195_185_085,
            0.005_322_964_130_952_675,
            0.002_762_434_379_029_514_6,
        ],
        amplification: 3.0,
    },
    // the exponential of the matrix.
    Problem {
        name: "C4",
        rate: |_, y, dy| heat(y, dy),
        y0: &ONE,
        end: &[
            0.003_124_111_453_722_103,
            0.006_015_416_842_151_323,
            0.008_470_021_834_843_61,
            0.010_336_829_317_333_924,
            0.011_532_495_728_739_203,
            0.012_045_495_257_379_123,
            0.011_929_570_680_152_192,
            0.011_288_832_071_111_289,
            0.010_258_045_013_909_88,
            0.008_982_017_581_934_17,
            0.007_597_500_902_492_728,
            0.006_219_920_556_825_367,
            0.004_935_916_341_009_462,
            0.003_801_432_544_256_305,
            0.002_844_213_677_587_92,
            0.002_069_123_394_222_583_4,
            0.001_464_687_282_843_780_4,
            0.001_009_545_263_941_004,
            0.000_677_935_433_022_624_5,
            0.000_443_781_526_911_824_26,
            0.000_283_326_454_293_906_34,
            0.000_176_500_579_879_709_74,
            0.000_107_334_259_269_755,
            6.374_497_601_779_555e-05,
            3.698_645_309_705_448_6e-05,
            2.097_466_832_644_101e-05,
            1.162_956_710_412_348_1e-05,
            6.306_710_405_778_984e-06,
            3.346_286_430_864_211_4e-06,
            1.737_760_074_181_166e-06,
            8.835_366_904_257_63e-07,
            4.399_520_411_120_23e-07,
            2.146_181_897_151_678_8e-07,
            1.025_981_211_657_390_5e-07,
            4.807_864_068_816_5e-08,
            2.209_175_152_502_664_6e-08,
            9.956_251_263_332_034e-09,
            4.402_193_653_863_075e-09,
            1.910_149_382_259_889e-09,
            8.135_892_921_674_81e-10,
            3.402_477_118_567_461e-10,
            1.397_485_617_490_084_2e-10,
            5.638_575_302_337_239e-11,
            2.235_459_707_341_519e-11,
            8.710_498_031_903_506e-12,
            3.336_554_272_387_909_4e-12,
            1.256_679_565_978_762_6e-12,
            4.654_359_042_757_128e-13,
            1.693_559_139_974_938_8e-13,
            5.996_593_788_386_712e-14,
            1.891_330_691_027_989_8e-14,
        ],
        amplification: 2.8,
    },
    // Kepler's equation.
    Problem {
        name: "D1",
        rate: |_, y, dy| kepler(y, dy),
        y0: &[0.9, 0.0, 0.0, 1.105_541_596_785_133_4],
        end: &[
            0.219_883_535_200_839_67,
            0.942_707_684_634_181_3,
            -0.978_765_984_105_817_6,
            0.328_797_799_096_203_6,
        ],
        amplification: 570.0,
    },
    // Kepler's equation.
    Problem {
        name: "D2",
        rate: |_, y, dy| kepler(y, dy),
        y0: &[0.7, 0.0, 0.0, 1.362_770_287_738_494],
        end: &[
            -0.177_702_735_714_041_16,
            0.946_778_471_990_589_3,
            -1.030_294_163_192_969_6,
            0.121_107_489_005_395_21,
        ],
        amplification: 820.0,
    },
    // Kepler's equation.
    Problem {
        name: "D3",
        rate: |_, y, dy| kepler(y, dy),
        y0: &[0.5, 0.0, 0.0, 1.732_050_807_568_877_2],
        end: &[
            -0.578_043_295_303_536_2,
            0.863_384_000_919_419_2,
            -0.959_508_373_038_072_7,
            -0.065_049_151_267_120_91,
        ],
        amplification: 1200.0,
    },
    // Kepler's equation.
    Problem {
        name: "D4",
        rate: |_, y, dy| kepler(y, dy),
        y0: &[0.3, 0.0, 0.0, 2.380_476_142_847_616_7],
        end: &[
            -0.953_899_029_341_639_4,
            0.690_740_902_421_943_2,
            -0.821_267_427_087_743_4,
            -0.153_957_425_912_582_46,
        ],
        amplification: 2100.0,
    },
    // Kepler's equation.
    Problem {
        name: "D5",
        rate: |_, y, dy| kepler(y, dy),
        y0: &[0.1, 0.0, 0.0, 4.358_898_943_540_674],
        end: &[
            -1.295_266_250_987_574_3,
            0.400_393_896_379_232_2,
            -0.677_539_092_470_756_6,
            -0.127_083_815_427_868_62,
        ],
        amplification: 10000.0,
    },
    // the Bessel function J of order 1/2 at t + 1.
    Problem {
        name: "E1",
        rate: |t, y, dy| {
            let s = t + 1.0;
            (dy[0], dy[1]) = (y[1], -(y[1] / s + (1.0 - 0.25 / (s * s)) * y[0]));
        },
        y0: &[0.671_396_707_141_803_1, 0.095_400_514_447_474_53],
        end: &[0.145_672_360_072_824_7, -0.098_835_001_955_745_8],
        amplification: 1.7,
    },
    Problem {
        name: "E2",
        rate: |_, y, dy| (dy[0], dy[1]) = (y[1], (1.0 - y[0] * y[0]) * y[1] - y[0]),
        y0: &[2.0, 0.0],
        end: &[2.008_149_762_174_948_4, -0.042_508_875_273_202_15],
        amplification: 11.0,
    },
    Problem {
        name: "E3",
        rate: |t, y, dy| (dy[0], dy[1]) = (y[1], y[0].powi(3) / 6.0 - y[0] + 2.0 * (2.78535 * t).sin()),
        y0: &[0.0, 0.0],
        end: &[-0.100_417_885_864_724_07, 0.241_140_013_209_595_55],
        amplification: 14.0,
    },
    // 30 + log(cosh(0.4 a t))/0.4 and a tanh(0.4 a t), a = sqrt(0.08).
    Problem {
        name: "E4",
        rate: |_, y, dy| (dy[0], dy[1]) = (y[1], 0.032 - 0.4 * y[1] * y[1]),
        y0: &[30.0, 0.0],
        end: &[33.950_914_446_465_56, 0.276_782_265_967_286_8],
        amplification: 1.6,
    },
    // y2 = sinh(log(25/(25 - t))), y1 its integral by quadrature.
    Problem {
        name: "E5",
        rate: |t, y, dy| (dy[0], dy[1]) = (y[1], (1.0 + y[1] * y[1]).sqrt() / (25.0 - t)),
        y0: &[0.0, 0.0],
        end: &[14.117_973_905_426_254, 2.4],
        amplification: 3.1,
    },
];

/// Relative to `max(1, |y|)`.
fn error(problem: &Problem, end: &End<f64>) -> f64 {
    assert_eq!((end.outcome, end.t), (Outcome::Finished, 20.0), "{}", problem.name);
    let one = |(y, e): (&f64, &f64)| (y - e).abs() / e.abs().max(1.0);
    end.y.iter().zip(problem.end).map(one).fold(0.0, f64::max)
}

fn options(tol: f64) -> Options {
    Options::adaptive(Adaptive { errors: Errors::All, ..Adaptive::new(tol, tol, 0) })
}

/// Every step may add one tolerance, and what it adds grows by the amplification at most; where errors do
/// not grow, a hundred tolerances are enough for all.
fn judge(problem: &Problem, method: &str, tol: f64, end: &End<f64>) {
    let (error, steps) = (error(problem, end), end.stats.attempts() as f64);
    let bound = steps * problem.amplification.max(1.0);
    let bound = if problem.amplification < 12.0 { bound.min(100.0) } else { bound };
    assert!(error < bound * tol, "{} {method} {tol:e}: {error:e} > {:e}", problem.name, bound * tol);
}

#[test]
fn ends_are_met_by_explicit_methods() {
    for problem in PROBLEMS {
        for tableau in Tableau::ALL.into_iter().filter(|tableau| tableau.embedded.is_some()) {
            for tol in if tableau.order == 2 { [1e-3, 1e-5] } else { [1e-6, 1e-9] } {
                let mut step = RungeKutta::new(tableau, problem.y0.len(), problem.rate);
                let end = solve(&mut step, tableau, (0.0, 20.0), problem.y0, &options(tol), &mut ());
                judge(problem, tableau.name, tol, &end.expect("valid"));
            }
        }
    }
}

struct Field(Rate, usize);

impl Rates<f64> for Field {
    fn dim(&self) -> usize {
        self.1
    }

    fn rate(&mut self, t: f64, _: f64, y: &[f64], dy: &mut [f64]) {
        (self.0)(t, y, dy);
    }
}

#[test]
fn ends_are_met_by_adams_formulas() {
    for problem in PROBLEMS {
        for tol in [1e-6, 1e-9] {
            let (mut field, options) = (Field(problem.rate, problem.y0.len()), options(tol));
            let mut adams = Adams::new(&mut field, &options.stepping);
            let end = integrate(&mut adams, &mut NoEvents, (0.0, 20.0), problem.y0, &options, &mut ());
            judge(problem, "abm", tol, &end.expect("valid"));
        }
    }
}
