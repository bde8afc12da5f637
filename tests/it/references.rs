//! End states of the programs of the language reference and of standard test problems, to 20
//! digits, made independently of this crate.
//!
//! "Taylor" means: a Taylor series method in Python with ball arithmetic (`python-flint` 0.9.0,
//! `arb_series`). The series of every step comes from `n` Picard iterations `y ← y0 + ∫ f(t, y)`
//! on truncated power series up to order `n`; the step is the largest for which the last two
//! terms stay below 10^-(d+5), with working precision of d + 20 digits. Each problem was run
//! twice, first with d = n = 40, then with d = 55, n = 52 (other values where said), and all
//! digits printed here agree between the two. All parameters are the exact decimals (`8/3` the
//! exact fraction).
#![allow(clippy::excessive_precision, reason = "the digits are what this file is for")]
#![allow(dead_code, reason = "some are for end-to-end tests")]

/// Program 3.1 without its data: `x' = (α - β y) x`, `y' = (δ x - γ) y`, α = 0.55, β = 0.028,
/// δ = 0.024, γ = 0.80, from (30, 4), at t = 10. Taylor.
pub const LOTKA_VOLTERRA_10: [f64; 2] = [23.439797944775907667, 4.3870779174186228248];
/// The same at t = 50. Taylor.
pub const LOTKA_VOLTERRA_50: [f64; 2] = [10.481617317472045805, 11.601412745243916279];

/// Program 3.3 with mu = 5: `x, x'` from (2, 0), at t = 20. Taylor.
pub const VAN_DER_POL_5_20: [f64; 2] = [-1.6012968795428539088, 0.19832667633866208455];

/// The same at t = 3000, some 258 periods on. A second program: a Taylor series method on Python
/// integers as fixed-point numbers, coefficients by recurrence, steps as above; d = 35, n = 36
/// (50 867 steps) and d = 45, n = 46 (46 994 steps) agree to 30 digits, and at t = 20 the program
/// gives the 29 digits of the one above.
pub const VAN_DER_POL_5_3000: [f64; 2] = [1.2188009443102619462, -0.37700996549040503107];

/// Program 3.6, Kepler with e = 0.6: `q, p` at t = 20. Closed form: `E - e sin E = t`,
/// `q = (cos E - e, s sin E)`, `p = (-sin E, s cos E)/(1 - e cos E)`, `s = sqrt(1 - e²)`;
/// mpmath 1.3.0 with 50 digits.
pub const KEPLER_20: [f64; 4] =
    [-0.77007557841124042492, 0.78834481699442438906, -0.89418373198869149703, -0.12346176415844095881];
/// The same at t = 1000.
pub const KEPLER_1000: [f64; 4] =
    [-0.60273757982408318276, 0.79999700225684716268, -0.99835640455095182096, -0.0021864725532467498838];

/// Program 3.2 with one member and rho = 28: `u` from (1, 1, 1) and the unit tangent `v` from
/// (1, 0, 0), then the channel `growth`, at t = 1. Taylor with d = n = 70 and d = n = 90, for `u`
/// and the linear tangent flow `w' = J w`; then `v = w/|w|`, `growth = log |w|`.
pub const LORENZ_1: [f64; 7] = [
    -9.3785700109250623608,
    -8.3570337884266447329,
    29.362325337363428180,
    0.41130421913835243928,
    0.90887675482645731431,
    0.069078823492572280673,
    0.10974731643614251472,
];
/// The same at t = 10.
pub const LORENZ_10: [f64; 7] = [
    -4.9026875411346457319,
    -3.7438729218019096163,
    24.690858102790555453,
    0.31695464962436788787,
    -0.10546364496946116145,
    -0.94255884149013977120,
    0.56394792060686547994,
];
/// The same at t = 20, where errors of the start have grown a thousand times.
pub const LORENZ_20: [f64; 7] = [
    13.793199595128618832,
    12.951803936189898540,
    34.901608681135142907,
    -0.49583279932669890410,
    -0.72741196138412237114,
    -0.47436449450430009917,
    6.8301354690058320364,
];

/// The same at t = 60, with d = n = 80 once, and confirmed to 25 digits by a second program on
/// fixed-point integers (as for `VAN_DER_POL_5_3000`) with d = n = 70 and d = 95, n = 90. Errors
/// of the start have grown 10^19 times by then, so no solver in `f64` can meet these numbers; they
/// are what the exact equations say. The exponent is growth / 60 = 0.74011039029.
pub const LORENZ_60: [f64; 7] = [
    -2.9062545144430125184,
    3.4608865963515341684,
    29.695308762360747822,
    -0.48541544405557485229,
    0.16830680489015304499,
    0.85793045528177692490,
    44.406623417365318954,
];

/// The restricted three-body orbit of R. F. Arenstorf, `x, y, x', y'`, from
/// (0.994, 0, 0, -2.00158510637908252240537862224) with μ = 0.012277471, at t = 8, about half of
/// the period. Equations: Hairer, Nørsett, Wanner, Solving ODEs I, eq. (II.0.1). Taylor.
pub const ARENSTORF_8: [f64; 4] =
    [-1.1745535072769003880, -0.27594507701453847367, -0.25317074996793317934, 0.44737674785987462879];

/// The Brusselator `x' = 1 + x² y - 4x`, `y' = 3x - x² y` from (1.5, 3), at t = 20. Equations:
/// Hairer, Nørsett, Wanner, Solving ODEs I, eq. (II.4.15). Taylor.
pub const BRUSSELATOR_20: [f64; 2] = [0.49863707126834784865, 4.5967803494520111832];

/// Euler's equations of a rigid body `x' = y z`, `y' = -x z`, `z' = -0.51 x y` from (0, 1, 1), at
/// t = 20: the Jacobi functions sn, cn, dn (t | m = 0.51); mpmath 1.3.0 with 50 digits.
pub const RIGID_BODY_20: [f64; 3] =
    [-0.93965707987292039620, -0.34211777540007490653, 0.74141265961992003078];

/// The Pleiades problem, `x[7], y[7], x'[7], y'[7]`, at t = 3. Start and equations: Hairer,
/// Nørsett, Wanner, Solving ODEs I, eq. (II.10.3). Taylor with d = n = 25; agrees to 15 digits
/// with the reference of the test set of F. Mazzia, C. Magherini (problem `plei`).
pub const PLEIADES_3: [f64; 28] = [
    0.37061391439705129009,
    3.2372840920572330928,
    -3.2225590324183233471,
    0.65970914557753083593,
    0.34255817071565797904,
    1.5621721014006310106,
    -0.70030929222124953851,
    -3.9434375855173920524,
    -3.2713809739725499280,
    5.2250818434565441924,
    -2.5906124349774695108,
    1.1982136933922746375,
    -0.24296823449358234092,
    1.0914492404289797479,
    3.4170038063143147523,
    1.3545845016255012215,
    -2.5900655978107754196,
    2.0250537347142411065,
    -1.1558151001604490927,
    -0.80729881702230217257,
    0.59523963542087187666,
    -3.7412449612340084712,
    0.37734596857506290366,
    0.93868588695510788869,
    0.36679222272005698667,
    -0.34740463538084943660,
    2.3449154481809369231,
    -1.9470204342632918707,
];
