//! Every tableau has the orders it claims: by the rooted-tree conditions on its exact numbers, and
//! by the slopes of measured errors.
//!
//! Source of the conditions: J. C. Butcher, Numerical Methods for Ordinary Differential
//! Equations (3rd ed.), theorem 314A: a method has order p if `Σ b_i Φ_i(τ) = 1/γ(τ)` for every
//! rooted tree τ of at most p vertices.

use nodec::solve::tableau::{Coeff, q};
use nodec::solve::{Accepted, Observer, Options, RungeKutta, SaveSteps, Tableau, solve};
use std::ops::{ControlFlow, Range};

/// A rooted tree, as the trees that hang on its root.
#[derive(Clone, Debug)]
struct Tree(Vec<Tree>);

impl Tree {
    fn order(&self) -> u32 {
        1 + self.0.iter().map(Tree::order).sum::<u32>()
    }

    /// γ(τ): the order of the tree times the densities of the trees on its root.
    fn density(&self) -> u32 {
        self.order() * self.0.iter().map(Tree::density).product::<u32>()
    }
}

/// All trees of at most `max_order` vertices, by rising order.
fn trees(max_order: u32) -> Vec<Tree> {
    /// Appends every way to fill up `forest` with `left` vertices, in trees of non-increasing index.
    fn forests(smaller: &[Tree], up_to: usize, left: u32, forest: &mut Vec<Tree>, out: &mut Vec<Tree>) {
        if left == 0 {
            return out.push(Tree(forest.clone()));
        }
        for (idx, tree) in smaller[..up_to].iter().enumerate().filter(|(_, tree)| tree.order() <= left) {
            forest.push(tree.clone());
            forests(smaller, idx + 1, left - tree.order(), forest, out);
            forest.pop();
        }
    }
    let mut all = Vec::new();
    for order in 1..=max_order {
        let smaller = all.clone();
        forests(&smaller, smaller.len(), order - 1, &mut Vec::new(), &mut all);
    }
    all
}

/// The numbers of rooted trees with 1, 2, ... vertices: OEIS A000081.
#[test]
fn there_are_as_many_trees_as_there_should_be() {
    for (order, count) in [(1, 1), (2, 1), (3, 2), (4, 4), (5, 9), (6, 20)] {
        assert_eq!(trees(6).iter().filter(|tree| tree.order() == order).count(), count);
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
fn dot<N: Number>(weights: &[Coeff], phi: &[N]) -> N {
    sum(weights.iter().zip(phi).map(|(w, phi)| N::of(*w).times(*phi)))
}

/// `Φ_i(τ) = Π_children Σ_j a_ij Φ_j(child)` for every stage.
fn phi<N: Number>(tableau: &Tableau, tree: &Tree) -> Vec<N> {
    let children: Vec<Vec<N>> = tree.0.iter().map(|child| phi(tableau, child)).collect();
    let stage = |row: &&[Coeff]| children.iter().map(|child| dot(row, child)).fold(N::of(q(1, 1)), N::times);
    tableau.a.iter().map(stage).collect()
}

/// Whether `weights` satisfy the condition of `tree`: exactly, where the table has small fractions.
fn holds(tableau: &Tableau, weights: &[Coeff], tree: &Tree) -> bool {
    let density = tree.density();
    match tableau.name {
        // Decimals to 18 places: to the rounding of `f64`, not exactly.
        "tsit5" => dot(weights, &phi::<Rounded>(tableau, tree)).is(1.0 / f64::from(density)),
        _ => dot(weights, &phi::<Exact>(tableau, tree)) == Exact(1, i128::from(density)),
    }
}

/// Whether the conditions hold for every tree up to `order`, and fail for one of the next.
fn has_order(tableau: &Tableau, weights: &[Coeff], order: u32) -> bool {
    let (within, beyond): (Vec<Tree>, Vec<Tree>) =
        trees(order + 1).into_iter().partition(|tree| tree.order() <= order);
    within.iter().all(|tree| holds(tableau, weights, tree))
        && beyond.iter().any(|tree| !holds(tableau, weights, tree))
}

#[test]
fn tables_have_the_orders_they_claim() {
    for tableau in Tableau::ALL {
        assert!(has_order(tableau, tableau.b, tableau.order), "{} b", tableau.name);
    }
}

#[test]
fn embedded_formulas_have_the_orders_they_claim() {
    for tableau in Tableau::ALL {
        let Some(embedded) = &tableau.embedded else { continue };
        // b̂ = b - (b - b̂); all numbers involved are fractions small enough to subtract exactly.
        let b_hat = |(b, b_err): (&Coeff, &Coeff)| {
            let Exact(num, den) = Exact::of(*b).plus(Exact::of(q(-b_err.num(), b_err.den())));
            q(num, den)
        };
        let b_hat: Vec<Coeff> = tableau.b.iter().zip(embedded.b_err).map(b_hat).collect();
        assert!(has_order(tableau, &b_hat, embedded.order), "{} b̂", tableau.name);
    }
}

/// `Σ_i b_i(θ) Φ_i(τ) = θ^|τ| / γ(τ)`, as polynomials in θ: Hairer, Nørsett, Wanner, Solving ODEs I,
/// theorem II.6.1.
#[test]
fn dense_outputs_have_the_orders_they_claim() {
    for tableau in Tableau::ALL {
        let degree = tableau.dense.weights.iter().map(|row| row.len()).max().unwrap_or(0);
        let power = |p: usize| -> Vec<Coeff> {
            let coefficient = |row: &&[Coeff]| row.get(p - 1).copied().unwrap_or(Coeff::ZERO);
            tableau.dense.weights.iter().map(coefficient).collect()
        };
        let holds = |tree: &Tree| {
            let phi = phi::<Rounded>(tableau, tree);
            (1..=degree.max(tree.order() as usize)).all(|p| {
                let expected = if p as u32 == tree.order() { 1.0 / f64::from(tree.density()) } else { 0.0 };
                dot(&power(p), &phi).is(expected)
            })
        };
        for tree in trees(tableau.dense.order + 1) {
            if tree.order() <= tableau.dense.order {
                assert!(holds(&tree), "{} dense, {tree:?}", tableau.name);
            }
        }
        let beyond = trees(tableau.dense.order + 1).into_iter().filter(|t| t.order() > tableau.dense.order);
        assert!(!beyond.into_iter().all(|tree| holds(&tree)), "{} dense is better", tableau.name);
    }
}

#[test]
fn tables_are_consistent() {
    for tableau in Tableau::ALL {
        let (name, s) = (tableau.name, tableau.n_stages());
        assert_eq!((tableau.a.len(), tableau.c.len(), tableau.dense.weights.len()), (s, s, s), "{name}");
        for (i, row) in tableau.a.iter().enumerate() {
            assert_eq!(row.len(), i, "{name}");
            let row_sum = sum(row.iter().map(|a| Rounded::of(*a)));
            assert!(row_sum.is(tableau.c[i].value()), "{name}: row {i} does not add up to c");
        }
        for (i, row) in tableau.dense.weights.iter().enumerate() {
            let at_one = sum(row.iter().map(|w| Rounded::of(*w)));
            assert!(at_one.is(tableau.b[i].value()), "{name}: b_{i}(1) is not b_{i}");
            let slope_at_zero = row.first().map_or(0.0, |w| w.value());
            assert_eq!(slope_at_zero, if i == 0 { 1.0 } else { 0.0 }, "{name}");
        }
        let not_fsal = ["euler", "midpoint", "heun", "heun_euler", "ralston", "rk4", "rk38"];
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
        // An error of h^6 is round-off at h = 1/128.
        let doublings = if tableau.dense.order == 5 { 4..7 } else { 5..8 };
        assert_slopes(tableau.name, &slopes(doublings, error), tableau.dense.order + 1);
    }
}
