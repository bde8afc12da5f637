//! Singly diagonally implicit Runge–Kutta methods with an explicit first stage, as tables.
//!
//! Their last stage is the new state, so a step ends where its equations hold, constraints
//! included. [`Esdirk`](super::Esdirk) runs them.

/// A method `k_i = f(t + c_i h, y + h Σ_{j≤i} a_ij k_j)` of `s` stages with `a_11 = 0`, all other
/// `a_ii = γ`, and `y_new = y + h Σ_j a_sj k_j`.
#[derive(Debug, PartialEq)]
pub struct Dirk {
    /// Spelling in `solve { method = ... }`.
    pub name: &'static str,
    /// What it is and when to use it, in a sentence.
    pub doc: &'static str,
    /// Where the numbers come from.
    pub source: &'static str,
    /// The local error of `y_new` is `O(h^(order + 1))`.
    pub order: u32,
    /// `γ`
    pub gamma: f64,
    /// Row `i` has the `i` entries left of the diagonal.
    pub a: &'static [&'static [f64]],
    /// Order of the embedded formula `b̂` and `b - b̂`, `[s]`; a method without one runs with fixed
    /// steps.
    pub embedded: Option<(u32, &'static [f64])>,
}

impl Dirk {
    /// Every method, by rising order.
    pub const ALL: [&'static Dirk; 6] = [&TRAPEZOID, &TR_BDF2, &KVAERNO3, &KVAERNO4, &KENCARP4, &KVAERNO5];

    /// The method spelled `name`.
    pub fn by_name(name: &str) -> Option<&'static Dirk> {
        Dirk::ALL.into_iter().find(|dirk| dirk.name == name)
    }

    /// Number of stages, the explicit one included.
    pub const fn n_stages(&self) -> usize {
        self.a.len()
    }

    /// `c_i = Σ_j a_ij`
    pub fn c(&self, i: usize) -> f64 {
        let diagonal = if i == 0 { 0.0 } else { self.gamma };
        self.a[i].iter().sum::<f64>() + diagonal
    }

    /// Order of the error estimate as a power of `h`, or of the method's own local error.
    pub fn error_exponent(&self) -> u32 {
        self.embedded.map_or(self.order, |(order, _)| order.min(self.order)) + 1
    }
}

const TRAPEZOID: Dirk = Dirk {
    name: "trapezoid",
    doc: "the implicit trapezoidal rule, order 2, symmetric, with fixed steps; for stiff systems",
    source: "E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, IV.3",
    order: 2,
    gamma: 0.5,
    a: &[&[], &[0.5]],
    embedded: None,
};

/// `γ = 1 - √2/2`; the weights of the estimate are `(1 - w)/3, (3w + 1)/3, γ/3` with `w = √2/4`,
/// taken from `b = (w, w, γ)`.
const TR_BDF2: Dirk = Dirk {
    name: "tr_bdf2",
    doc: "TR-BDF2, order 2, L-stable; for stiff systems and rough tolerances",
    source: "M. E. Hosea, L. F. Shampine, Analysis and implementation of TR-BDF2, Appl. Numer. Math. 20 (1996)",
    order: 2,
    gamma: 0.292_893_218_813_452_48,
    a: &[&[], &[0.292_893_218_813_452_48], &[0.353_553_390_593_273_76, 0.353_553_390_593_273_76]],
    embedded: Some((3, &[0.138_071_187_457_698_34, -0.333_333_333_333_333_33, 0.195_262_145_875_634_98])),
};

const KVAERNO3: Dirk = Dirk {
    name: "kvaerno3",
    doc: "Kværnø 3(2), L-stable, diagonally implicit; for stiff systems and rough tolerances",
    source: "A. Kværnø, Singly diagonally implicit Runge–Kutta methods with an explicit first stage, BIT 44 (2004)",
    order: 3,
    gamma: 0.435_866_521_508_458_999_42,
    a: &[
        &[],
        &[0.435_866_521_508_458_999_42],
        &[0.490_563_388_421_780_570_63, 0.073_570_090_069_760_429_956],
        &[0.308_809_969_976_746_523_35, 1.490_563_388_421_780_570_6, -1.235_239_879_906_986_093_4],
    ],
    embedded: Some((
        2,
        &[
            -0.181_753_418_445_034_047_28,
            1.416_993_298_352_020_140_7,
            -1.671_106_401_415_445_092_8,
            0.435_866_521_508_458_999_42,
        ],
    )),
};

const KVAERNO4: Dirk = Dirk {
    name: "kvaerno4",
    doc: "Kværnø 4(3), L-stable, diagonally implicit; for stiff systems",
    source: "A. Kværnø, Singly diagonally implicit Runge–Kutta methods with an explicit first stage, BIT 44 (2004)",
    order: 4,
    gamma: 0.572_816_062_482_134_855_41,
    a: &[
        &[],
        &[0.572_816_062_482_134_855_41],
        &[0.167_235_462_027_210_750_75, -0.142_946_536_857_034_113_24],
        &[0.262_603_290_252_695_818_08, -0.311_904_327_420_563_153_02, 0.476_484_974_685_732_479_53],
        &[
            0.197_216_548_312_834_995_84,
            0.176_843_783_906_372_186_03,
            0.815_442_181_350_838_447_4,
            -0.762_318_576_052_180_484_68,
        ],
    ],
    embedded: Some((
        3,
        &[
            -0.065_386_741_939_860_822_244,
            0.488_748_111_326_935_339_06,
            0.338_957_206_665_105_967_86,
            -1.335_134_638_534_315_340_1,
            0.572_816_062_482_134_855_41,
        ],
    )),
};

/// The implicit half, ESDIRK4(3)6L[2]SA, of the pair of methods ARK4(3)6L[2]SA.
const KENCARP4: Dirk = Dirk {
    name: "kencarp4",
    doc: "Kennedy–Carpenter 4(3), L-stable, diagonally implicit; for stiff systems",
    source: "C. A. Kennedy, M. H. Carpenter, Additive Runge–Kutta schemes for convection-diffusion-reaction equations, Appl. Numer. Math. 44 (2003)",
    order: 4,
    gamma: 0.25,
    a: &[
        &[],
        &[0.25],
        &[8611.0 / 62500.0, -1743.0 / 31250.0],
        &[5012029.0 / 34652500.0, -654441.0 / 2922500.0, 174375.0 / 388108.0],
        &[
            15267082809.0 / 155376265600.0,
            -71443401.0 / 120774400.0,
            730878875.0 / 902184768.0,
            2285395.0 / 8070912.0,
        ],
        &[82889.0 / 524892.0, 0.0, 15625.0 / 83664.0, 69875.0 / 102672.0, -2260.0 / 8211.0],
    ],
    embedded: Some((
        3,
        &[
            82889.0 / 524892.0 - 4586570599.0 / 29645900160.0,
            0.0,
            15625.0 / 83664.0 - 178811875.0 / 945068544.0,
            69875.0 / 102672.0 - 814220225.0 / 1159782912.0,
            -2260.0 / 8211.0 + 3700637.0 / 11593932.0,
            0.25 - 61727.0 / 225920.0,
        ],
    )),
};

/// Its error estimate is sound: ends are met to few tolerances. Between its long steps the cubic, of order 3,
/// is what errs most: measured, 244 tolerances at 1e-10; save with `dt_max` where that matters.
const KVAERNO5: Dirk = Dirk {
    name: "kvaerno5",
    doc: "Kværnø 5(4), L-stable, diagonally implicit; for stiff systems",
    source: "A. Kværnø, Singly diagonally implicit Runge–Kutta methods with an explicit first stage, BIT 44 (2004)",
    order: 5,
    gamma: 0.26,
    a: &[
        &[],
        &[0.26],
        &[0.13, 0.840_333_209_967_908_09],
        &[0.223_719_614_783_205_05, 0.476_755_323_197_996_99, -0.064_708_953_631_126_15],
        &[
            0.166_485_643_232_483_21,
            0.104_500_188_415_917_20,
            0.036_314_822_720_987_15,
            -0.130_907_044_510_739_98,
        ],
        &[
            0.138_556_402_312_682_24,
            0.0,
            -0.042_453_372_017_520_43,
            0.024_466_578_980_031_41,
            0.619_430_390_724_806_76,
        ],
        &[
            0.136_597_511_776_402_91,
            0.0,
            -0.054_969_087_965_383_76,
            -0.041_186_267_283_210_46,
            0.629_933_048_990_164_03,
            0.069_624_794_482_027_28,
        ],
    ],
    embedded: Some((
        4,
        &[
            0.136_597_511_776_402_91 - 0.138_556_402_312_682_24,
            0.0,
            -0.054_969_087_965_383_76 + 0.042_453_372_017_520_43,
            -0.041_186_267_283_210_46 - 0.024_466_578_980_031_41,
            0.629_933_048_990_164_03 - 0.619_430_390_724_806_76,
            0.069_624_794_482_027_28 - 0.26,
            0.26,
        ],
    )),
};
