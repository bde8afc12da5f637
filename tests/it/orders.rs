//! Every tableau has the orders it claims: by the rooted-tree conditions on its exact numbers, and
//! by the slopes of measured errors.
//!
//! Source of the conditions: J. C. Butcher, Numerical Methods for Ordinary Differential
//! Equations (3rd ed.), theorem 314A: a method has order p if `Σ b_i Φ_i(τ) = 1/γ(τ)` for every
//! rooted tree τ of at most p vertices.

use nodec::solve::tableau::{Coeff, q};
use nodec::solve::{Accepted, Dirk, Observer, Options, RungeKutta, SaveSteps, Tableau, solve};
use std::ops::{ControlFlow, Range};
use std::sync::OnceLock;

/// A rooted tree.
#[derive(Clone, Debug)]
struct Tree {
    /// Vertices.
    order: u32,
    /// γ(τ): the order of the tree times the densities of the trees on its root.
    density: u32,
    /// The trees that hang on its root, by their numbers in the list of all trees.
    children: Vec<usize>,
}

/// The largest order of a tree that a test asks for.
const MAX_ORDER: u32 = 10;

/// All trees of at most [`MAX_ORDER`] vertices, by rising order.
fn all_trees() -> &'static [Tree] {
    static TREES: OnceLock<Vec<Tree>> = OnceLock::new();
    /// Appends every way to fill up `forest` with `left` vertices, in trees of non-increasing number.
    fn forests(
        all: &[Tree],
        up_to: usize,
        (order, left): (u32, u32),
        forest: &mut Vec<usize>,
        out: &mut Vec<Tree>,
    ) {
        if left == 0 {
            let density = order * forest.iter().map(|child| all[*child].density).product::<u32>();
            return out.push(Tree { order, density, children: forest.clone() });
        }
        for number in (0..up_to).filter(|number| all[*number].order <= left) {
            forest.push(number);
            forests(all, number + 1, (order, left - all[number].order), forest, out);
            forest.pop();
        }
    }
    TREES.get_or_init(|| {
        let mut all: Vec<Tree> = Vec::new();
        for order in 1..=MAX_ORDER {
            let mut new = Vec::new();
            forests(&all, all.len(), (order, order - 1), &mut Vec::new(), &mut new);
            all.extend(new);
        }
        all
    })
}

/// All trees of at most `max_order` vertices, by rising order.
fn trees(max_order: u32) -> &'static [Tree] {
    let all = all_trees();
    &all[..all.partition_point(|tree| tree.order <= max_order)]
}

/// The numbers of rooted trees with 1, 2, ... vertices: OEIS A000081.
#[test]
fn there_are_as_many_trees_as_there_should_be() {
    for (order, count) in
        [(1, 1), (2, 1), (3, 2), (4, 4), (5, 9), (6, 20), (7, 48), (8, 115), (9, 286), (10, 719)]
    {
        assert_eq!(trees(10).iter().filter(|tree| tree.order == order).count(), count);
    }
}

/// What the conditions are computed in.
trait Number: Copy {
    fn of(coeff: Coeff) -> Self;
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
}

/// A fraction of `i128` in lowest terms. Stops on overflow.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Exact(i128, i128);

fn gcd(a: i128, b: i128) -> i128 {
    if b == 0 { a.abs() } else { gcd(b, a % b) }
}

impl Number for Exact {
    fn of(coeff: Coeff) -> Exact {
        Exact(coeff.num(), coeff.den())
    }

    fn plus(self, other: Exact) -> Exact {
        let g = gcd(self.1, other.1);
        let (left, right) = (self.0.checked_mul(other.1 / g), other.0.checked_mul(self.1 / g));
        let num = left.zip(right).and_then(|(l, r)| l.checked_add(r)).expect("fits in 128 bits");
        let den = (self.1 / g).checked_mul(other.1).expect("fits in 128 bits");
        let g = gcd(num, den);
        Exact(num / g, den / g)
    }

    fn times(self, other: Exact) -> Exact {
        let (g, h) = (gcd(self.0, other.1).max(1), gcd(other.0, self.1).max(1));
        let num = (self.0 / g).checked_mul(other.0 / h).expect("fits in 128 bits");
        Exact(num, (self.1 / h).checked_mul(other.1 / g).expect("fits in 128 bits"))
    }
}

/// An `f64` with the sum of the sizes of everything that went into it.
#[derive(Clone, Copy, Debug)]
struct Rounded {
    value: f64,
    size: f64,
}

impl Number for Rounded {
    fn of(coeff: Coeff) -> Rounded {
        Rounded { value: coeff.value(), size: coeff.value().abs() }
    }

    fn plus(self, other: Rounded) -> Rounded {
        Rounded { value: self.value + other.value, size: self.size + other.size }
    }

    fn times(self, other: Rounded) -> Rounded {
        Rounded { value: self.value * other.value, size: self.size * other.size }
    }
}

impl Rounded {
    /// Equal but for rounding: at most some tens of operations, each wrong by half an ulp of a
    /// partial result that is no larger than `size`.
    fn is(self, expected: f64) -> bool {
        (self.value - expected).abs() <= 32.0 * f64::EPSILON * self.size.max(expected.abs())
    }
}

fn sum<N: Number>(terms: impl Iterator<Item = N>) -> N {
    terms.fold(N::of(Coeff::ZERO), N::plus)
}

/// `Σ_i w_i Φ_i`.
fn dot<N: Number>(weights: &[N], phi: &[N]) -> N {
    sum(weights.iter().zip(phi).map(|(w, phi)| w.times(*phi)))
}

fn numbers<N: Number>(coeffs: &[Coeff]) -> Vec<N> {
    coeffs.iter().map(|coeff| N::of(*coeff)).collect()
}

/// `a` of all stages, those for dense output included.
fn matrix<N: Number>(tableau: &Tableau) -> Vec<Vec<N>> {
    (0..tableau.n_rows()).map(|i| numbers(tableau.stage(i).1)).collect()
}

/// `Φ_i(τ) = Π_children Σ_j a_ij Φ_j(child)` for every stage, for all `trees`.
fn phis<N: Number>(a: &[Vec<N>], trees: &[Tree]) -> Vec<Vec<N>> {
    let mut hanging: Vec<Vec<N>> = Vec::new();
    let mut all = Vec::new();
    for tree in trees {
        let one = |stage: usize| {
            tree.children.iter().map(|child| hanging[*child][stage]).fold(N::of(q(1, 1)), N::times)
        };
        let phi: Vec<N> = (0..a.len()).map(one).collect();
        hanging.push(a.iter().map(|row| dot(row, &phi)).collect());
        all.push(phi);
    }
    all
}

/// Equality of a computed number with `1 / density`.
trait Is {
    fn equals_reciprocal_of(self, density: u32) -> bool;
}

impl Is for Exact {
    fn equals_reciprocal_of(self, density: u32) -> bool {
        self == Exact(1, i128::from(density))
    }
}

impl Is for Rounded {
    fn equals_reciprocal_of(self, density: u32) -> bool {
        self.is(1.0 / f64::from(density))
    }
}

/// Whether the conditions hold for every tree up to `order`, and fail for one of the next.
fn has_order<N: Number + Is>(a: &[Vec<N>], weights: &[N], order: u32) -> bool {
    let trees = trees(order + 1);
    let holds = |(tree, phi): (&Tree, &Vec<N>)| dot(weights, phi).equals_reciprocal_of(tree.density);
    let phis = phis(a, trees);
    let (within, beyond): (Vec<_>, Vec<_>) =
        trees.iter().zip(&phis).partition(|(tree, _)| tree.order <= order);
    within.into_iter().all(holds) && !beyond.into_iter().all(holds)
}

/// Whether a table has decimals of twenty places, which satisfy the conditions to the rounding of
/// `f64` and not exactly.
fn is_decimal(tableau: &Tableau) -> bool {
    tableau.a.iter().flat_map(|row| *row).any(|a| a.den() > 1_000_000_000_000)
}

/// [`has_order`] in the arithmetic that the table allows, of `b` minus `from_b`.
fn formula_has_order(tableau: &Tableau, from_b: &[Coeff], order: u32) -> bool {
    fn check<N: Number + Is>(tableau: &Tableau, from_b: &[Coeff], order: u32) -> bool {
        let minus = N::of(q(-1, 1));
        let less = |(b, less): (&Coeff, &Coeff)| N::of(*b).plus(N::of(*less).times(minus));
        let weights: Vec<N> = tableau.b.iter().zip(from_b).map(less).collect();
        has_order(&matrix(tableau)[..tableau.n_stages()], &weights, order)
    }
    match is_decimal(tableau) {
        true => check::<Rounded>(tableau, from_b, order),
        false => check::<Exact>(tableau, from_b, order),
    }
}

#[test]
fn tables_have_the_orders_they_claim() {
    for tableau in Tableau::ALL {
        let nothing = vec![Coeff::ZERO; tableau.n_stages()];
        assert!(formula_has_order(tableau, &nothing, tableau.order), "{} b", tableau.name);
    }
}

#[test]
fn embedded_formulas_have_the_orders_they_claim() {
    for tableau in Tableau::ALL {
        let Some(embedded) = &tableau.embedded else { continue };
        assert!(formula_has_order(tableau, embedded.b_err, embedded.order), "{} b̂", tableau.name);
        let third = embedded.third.is_none_or(|third| formula_has_order(tableau, third, 3));
        assert!(third, "{}, order 3", tableau.name);
    }
}

/// The norm over the trees of `order` vertices of `(Σ w_i Φ_i - exact/γ)/σ`, with `σ` the symmetries of
/// the tree: the size of the terms in `h^order`. Source: Hairer, Nørsett, Wanner, Solving ODEs I, II.3.
fn terms(a: &[Vec<Rounded>], weights: &[Rounded], exact: f64, order: u32) -> f64 {
    let trees = trees(order);
    let mut symmetries: Vec<f64> = Vec::new();
    for tree in trees {
        let mut sigma = 1.0;
        for (at, child) in tree.children.iter().enumerate() {
            // Equal children stand next to each other.
            let equal = tree.children[..=at].iter().filter(|other| *other == child).count();
            sigma *= symmetries[*child] * equal as f64;
        }
        symmetries.push(sigma);
    }
    let all = trees.iter().zip(phis(a, trees)).zip(&symmetries);
    let own = all.filter(|((tree, _), _)| tree.order == order);
    let squares = own.map(|((tree, phi), sigma)| {
        ((dot(weights, &phi).value - exact / f64::from(tree.density)) / sigma).powi(2)
    });
    squares.sum::<f64>().sqrt()
}

/// At steps for which the estimate `E h^p` of a pair of orders p and p - 1 is the tolerance, the method
/// makes errors `T h^p` in a unit of time, so `T/E` is how many tolerances they come to.
#[test]
fn estimates_are_not_small_against_errors() {
    let mut found = Vec::new();
    for tableau in Tableau::ALL {
        let Some(embedded) = tableau.embedded.as_ref().filter(|embedded| embedded.third.is_none()) else {
            continue;
        };
        let a = &matrix::<Rounded>(tableau)[..tableau.n_stages()];
        let error = terms(a, &numbers(tableau.b), 1.0, tableau.order + 1);
        let estimate = terms(a, &numbers(embedded.b_err), 0.0, embedded.order + 1);
        found.push((tableau.name, error / (embedded.scale * estimate)));
    }
    for dirk in Dirk::ALL {
        let Some((order, b_err)) = dirk.embedded else { continue };
        let (a, b) = dirk_numbers(dirk);
        let error = terms(&a, &b, 1.0, dirk.order + 1);
        let b_err: Vec<Rounded> = b_err.iter().map(|e| Rounded { value: *e, size: e.abs() }).collect();
        found.push((dirk.name, error / terms(&a, &b_err, 0.0, order + 1)));
    }
    // Measured: 0.001 to 1.8 of explicit methods, 4.2 of the implicit ones of orders 4 and 5.
    for (name, ratio) in found {
        assert!(ratio < 5.0, "{name}: {ratio}");
    }
}

/// `a` with the diagonal, and its last row `b`.
fn dirk_numbers(dirk: &Dirk) -> (Vec<Vec<Rounded>>, Vec<Rounded>) {
    let of = |value: f64| Rounded { value, size: value.abs() };
    let diagonal = |i: usize| if i == 0 { 0.0 } else { dirk.gamma };
    let row = |(i, row): (usize, &&[f64])| -> Vec<Rounded> {
        row.iter().copied().chain([diagonal(i)]).map(of).collect()
    };
    let a: Vec<Vec<Rounded>> = dirk.a.iter().enumerate().map(row).collect();
    let b = a[a.len() - 1].clone();
    (a, b)
}

/// Tables with numbers on the diagonal, to the rounding of `f64`.
#[test]
fn diagonally_implicit_tables_have_the_orders_they_claim() {
    let of = |value: f64| Rounded { value, size: value.abs() };
    for dirk in Dirk::ALL {
        let (a, b) = dirk_numbers(dirk);
        assert!(has_order(&a, &b, dirk.order), "{} b", dirk.name);
        let Some((order, b_err)) = dirk.embedded else { continue };
        let b_hat: Vec<Rounded> = b.iter().zip(b_err).map(|(b, e)| b.plus(of(-e))).collect();
        assert!(has_order(&a, &b_hat, order), "{} b̂", dirk.name);
    }
}

/// `Σ_i b_i(θ) Φ_i(τ) = θ^|τ| / γ(τ)`, as polynomials in θ: Hairer, Nørsett, Wanner, Solving ODEs I,
/// theorem II.6.1.
#[test]
fn dense_outputs_have_the_orders_they_claim() {
    for tableau in Tableau::ALL {
        let (trees, order) = (trees(tableau.dense.order + 1), tableau.dense.order);
        let degree = tableau.dense.weights.iter().map(|row| row.len()).max().unwrap_or(0);
        let power = |p: usize| -> Vec<Rounded> {
            let coefficient = |row: &&[Coeff]| row.get(p - 1).copied().unwrap_or(Coeff::ZERO);
            tableau.dense.weights.iter().map(coefficient).map(Rounded::of).collect()
        };
        let powers: Vec<Vec<Rounded>> = (1..=degree.max(order as usize + 1)).map(power).collect();
        let phis = phis::<Rounded>(&matrix(tableau), trees);
        let holds = |(tree, phi): (&Tree, &Vec<Rounded>)| {
            powers.iter().enumerate().all(|(p, power)| {
                let own = p + 1 == tree.order as usize;
                dot(power, phi).is(if own { 1.0 / f64::from(tree.density) } else { 0.0 })
            })
        };
        let (within, beyond): (Vec<_>, Vec<_>) =
            trees.iter().zip(&phis).partition(|(tree, _)| tree.order <= order);
        for (tree, phi) in within {
            assert!(holds((tree, phi)), "{} dense, {tree:?}", tableau.name);
        }
        assert!(!beyond.into_iter().all(holds), "{} dense is better", tableau.name);
    }
}

#[test]
fn tables_are_consistent() {
    for tableau in Tableau::ALL {
        let (name, s) = (tableau.name, tableau.n_stages());
        assert_eq!(
            (tableau.a.len(), tableau.c.len(), tableau.dense.weights.len()),
            (s, s, tableau.n_rows()),
            "{name}"
        );
        for i in 0..tableau.n_rows() {
            let (c, row) = tableau.stage(i);
            assert_eq!(row.len(), i, "{name}");
            let row_sum = sum(row.iter().map(|a| Rounded::of(*a)));
            assert!(row_sum.is(c.value()), "{name}: row {i} does not add up to c");
        }
        for (i, row) in tableau.dense.weights.iter().enumerate() {
            let at_one = sum(row.iter().map(|w| Rounded::of(*w)));
            let b = tableau.b.get(i).map_or(0.0, |b| b.value());
            assert!(at_one.is(b), "{name}: b_{i}(1) is not b_{i}");
            let slope_at_zero = row.first().map_or(0.0, |w| w.value());
            assert_eq!(slope_at_zero, if i == 0 { 1.0 } else { 0.0 }, "{name}");
        }
        let not_fsal = [
            ["euler", "midpoint", "heun", "heun_euler", "ralston", "fehlberg2"],
            ["rk4", "rk38", "tanaka_yamashita7", "verner7", "verner8", "verner9"],
        ]
        .concat();
        assert_eq!(tableau.fsal(), !not_fsal.contains(&name), "{name}");
    }
}

/// `y' = y² cos t` has the solution `1/(2 - sin t)` through `y(0) = 1/2`: nonlinear, and not
/// autonomous.
fn rate(t: f64, y: &[f64], dy: &mut [f64]) {
    dy[0] = y[0] * y[0] * t.cos();
}

fn exact(t: f64) -> f64 {
    1.0 / (2.0 - t.sin())
}

/// `-d log2(error) / d log2(n)` between neighbours in a series of step counts that double.
fn slopes(doublings: Range<u32>, error: impl Fn(u32) -> f64) -> Vec<f64> {
    let errors: Vec<f64> = doublings.map(|k| error(1 << k)).collect();
    errors.windows(2).map(|pair| (pair[0] / pair[1]).log2()).collect()
}

fn assert_slopes(name: &str, slopes: &[f64], order: u32) {
    // The next term of the error expansion is a power of h smaller, so a slope is `p + c h`; with
    // every doubling its distance to p halves, and two of them give p to `O(h²)`.
    let [.., coarse, fine] = *slopes else { panic!("two slopes at least") };
    let extrapolated = 2.0 * fine - coarse;
    assert!((extrapolated - f64::from(order)).abs() < 0.1, "{name}: {slopes:?}, not {order}");
}

#[test]
fn errors_fall_with_the_order_of_the_method() {
    for tableau in Tableau::ALL {
        let error = |n: u32| {
            let mut step = RungeKutta::new(tableau, 1, rate);
            let options = Options::fixed(2.0 / f64::from(n));
            let mut steps = SaveSteps::default();
            solve(&mut step, tableau, (0.0, 2.0), &[0.5], &options, &mut steps).expect("valid");
            let errors = steps.ts.iter().zip(&steps.ys).map(|(t, y)| (y - exact(*t)).abs());
            errors.fold(0.0, f64::max)
        };
        // Above order 5, errors are round-off before the slopes settle: that they fall at least so fast
        // is what `f64` can show.
        if tableau.order > 5 {
            let slopes = slopes(2..5, error);
            let mean = (slopes[0] + slopes[1]) / 2.0;
            assert!(mean > f64::from(tableau.order) - 0.5, "{}: {slopes:?}", tableau.name);
            continue;
        }
        assert_slopes(tableau.name, &slopes(5..8, error), tableau.order);
    }
}

/// The largest error of the dense output inside one step from an exact value.
struct Inside(f64);

impl Observer<f64> for Inside {
    fn accepted(&mut self, step: &Accepted<'_, f64>) -> ControlFlow<f64> {
        for i in 1..10 {
            let t = step.t + step.h * f64::from(i) / 10.0;
            let mut y = [0.0];
            step.at(t, &mut y);
            self.0 = self.0.max((y[0] - exact(t)).abs());
        }
        ControlFlow::Break(step.t_new)
    }
}

#[test]
fn errors_inside_a_step_fall_with_the_order_of_the_dense_output() {
    for tableau in Tableau::ALL {
        let error = |n: u32| {
            let mut step = RungeKutta::new(tableau, 1, rate);
            let mut inside = Inside(0.0);
            let (t0, options) = (0.3, Options::fixed(1.0 / f64::from(n)));
            solve(&mut step, tableau, (t0, 2.0), &[exact(t0)], &options, &mut inside).expect("valid");
            inside.0
        };
        if tableau.dense.order > 5 {
            let slope = slopes(0..2, error)[0];
            assert!(slope > f64::from(tableau.dense.order) + 0.5, "{}: {slope}", tableau.name);
            continue;
        }
        // An error of h^6 is round-off at h = 1/128.
        let doublings = if tableau.dense.order == 5 { 4..7 } else { 5..8 };
        assert_slopes(tableau.name, &slopes(doublings, error), tableau.dense.order + 1);
    }
}
