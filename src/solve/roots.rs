//! Where functions of time change sign inside a step.
//!
//! Each function is sampled at Chebyshev points; the polynomial through the samples tells where
//! it might turn between two of them, so that two crossings inside one gap are not lost; then the
//! function itself is bisected until no number lies between.

/// Number of intervals between samples: the degree of the polynomial.
const DEGREE: usize = 8;

/// A place where a function changes sign.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Crossing {
    /// The first time, along the run, with the new sign.
    pub t: f64,
    /// Which function.
    pub root: usize,
    /// Its sign from `t` on: -1, 0 or 1.
    pub sign: i8,
}

/// The sign of `x`; what is not a number is taken for negative.
pub(super) fn sign(x: f64) -> i8 {
    if x > 0.0 {
        1
    } else if x == 0.0 {
        0
    } else {
        -1
    }
}

/// The signs of `n_roots` functions at `t0`, and all their changes of sign up to `t1`, in the order
/// of the run. `values(t, out)` writes the functions at time `t`.
pub(super) fn crossings(
    n_roots: usize,
    (t0, t1): (f64, f64),
    mut values: impl FnMut(f64, &mut [f64]),
) -> (Vec<i8>, Vec<Crossing>) {
    let mut table = Table { n_roots, times: Vec::new(), values: Vec::new() };
    for point in chebyshev() {
        table.push(if point == 1.0 { t1 } else { t0 + point * (t1 - t0) }, &mut values);
    }
    for t in turning_times(&table) {
        table.push(t, &mut values);
    }
    let order = table.order((t1 - t0).signum());
    let at_start: Vec<i8> = (0..n_roots).map(|root| table.sign(order[0], root)).collect();
    let mut found = Vec::new();
    let mut scratch = vec![0.0; n_roots];
    let resolution = resolution(t0, t1);
    for pair in order.windows(2) {
        for root in 0..n_roots {
            let (mut lo, hi) = (table.times[pair[0]], table.times[pair[1]]);
            let (mut before, after) = (table.sign(pair[0], root), table.sign(pair[1], root));
            // Two rounds at most, since the function is monotone here: to zero and beyond.
            while before != after {
                let mut sign_at = |t: f64| {
                    values(t, &mut scratch);
                    sign(scratch[root])
                };
                let (t, new) = first_change((lo, hi), resolution, (before, after), &mut sign_at);
                found.push(Crossing { t, root, sign: new });
                (lo, before) = (t, new);
            }
        }
    }
    found.sort_by(|a, b| if t1 >= t0 { a.t.total_cmp(&b.t) } else { b.t.total_cmp(&a.t) });
    (at_start, found)
}

/// The functions at times.
struct Table {
    n_roots: usize,
    times: Vec<f64>,
    /// `[times, n_roots]`
    values: Vec<f64>,
}

impl Table {
    fn push(&mut self, t: f64, values: &mut impl FnMut(f64, &mut [f64])) {
        self.times.push(t);
        let from = self.values.len();
        self.values.resize(from + self.n_roots, 0.0);
        values(t, &mut self.values[from..]);
    }

    fn value(&self, row: usize, root: usize) -> f64 {
        self.values[row * self.n_roots + root]
    }

    fn sign(&self, row: usize, root: usize) -> i8 {
        sign(self.value(row, root))
    }

    /// The rows by their times, along the run.
    fn order(&self, direction: f64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.times.len()).collect();
        order.sort_by(|a, b| (self.times[*a] * direction).total_cmp(&(self.times[*b] * direction)));
        order
    }
}

/// Differences of times between `t0` and `t1` that mean nothing: a unit in the last place of the
/// larger one.
pub(super) fn resolution(t0: f64, t1: f64) -> f64 {
    f64::EPSILON * t0.abs().max(t1.abs())
}

/// Bisects to the first number with a sign other than `before`, given that `hi` has it `after`.
fn first_change(
    (mut lo, mut hi): (f64, f64),
    resolution: f64,
    (before, mut after): (i8, i8),
    sign_at: &mut impl FnMut(f64) -> i8,
) -> (f64, i8) {
    loop {
        let middle = lo + 0.5 * (hi - lo);
        if middle == lo || middle == hi || (hi - lo).abs() <= 0.25 * resolution {
            return (hi, after);
        }
        match sign_at(middle) {
            same if same == before => lo = middle,
            other => (hi, after) = (middle, other),
        }
    }
}

/// Chebyshev points of the second kind on `[0, 1]`, ascending.
fn chebyshev() -> [f64; DEGREE + 1] {
    std::array::from_fn(|j| match j {
        0 => 0.0,
        DEGREE => 1.0,
        _ => 0.5 - 0.5 * libm::cos(std::f64::consts::PI * j as f64 / DEGREE as f64),
    })
}

/// Times at which a function may have the other sign though both samples around have the same: the
/// extrema beyond zero of the polynomials through the samples.
fn turning_times(table: &Table) -> Vec<f64> {
    let points = chebyshev();
    let (t0, t1) = (table.times[0], table.times[DEGREE]);
    let mut times = Vec::new();
    for root in 0..table.n_roots {
        let samples: [f64; DEGREE + 1] = std::array::from_fn(|j| table.value(j, root));
        if samples.iter().any(|v| !v.is_finite()) {
            continue;
        }
        let coefficients = interpolated(&points, &samples);
        let slopes = derivative(&coefficients);
        for turn in real_roots(&slopes) {
            let gap = points.partition_point(|point| *point <= turn).clamp(1, DEGREE);
            let (left, right) = (sign(samples[gap - 1]), sign(samples[gap]));
            let beyond = sign(horner(&coefficients, turn));
            if left == right && beyond != left {
                times.push(t0 + turn * (t1 - t0));
            }
        }
    }
    times
}

/// The polynomial through `(points, samples)`, by rising powers. Source: divided differences,
/// Stoer, Bulirsch, Introduction to Numerical Analysis, 2.1.3.
fn interpolated(points: &[f64; DEGREE + 1], samples: &[f64; DEGREE + 1]) -> Vec<f64> {
    let mut divided = *samples;
    for order in 1..=DEGREE {
        for i in (order..=DEGREE).rev() {
            divided[i] = (divided[i] - divided[i - 1]) / (points[i] - points[i - order]);
        }
    }
    let mut coefficients = vec![0.0; DEGREE + 1];
    for i in (0..=DEGREE).rev() {
        // coefficients = coefficients * (x - points[i]) + divided[i]
        for power in (0..=DEGREE).rev() {
            let below = if power == 0 { divided[i] } else { coefficients[power - 1] };
            coefficients[power] = below - points[i] * coefficients[power];
        }
    }
    coefficients
}

fn horner(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

fn derivative(coefficients: &[f64]) -> Vec<f64> {
    coefficients.iter().enumerate().skip(1).map(|(power, c)| power as f64 * c).collect()
}

/// The roots in `(0, 1)` at which a polynomial, given by rising powers, changes sign. Between two
/// neighbouring extrema there is at most one, and the extrema are the roots of the derivative.
fn real_roots(coefficients: &[f64]) -> Vec<f64> {
    if coefficients.len() < 2 {
        return Vec::new();
    }
    let mut marks = vec![0.0];
    marks.extend(real_roots(&derivative(coefficients)));
    marks.push(1.0);
    let mut roots = Vec::new();
    for pair in marks.windows(2) {
        let (mut lo, mut hi) = (pair[0], pair[1]);
        let rising = horner(coefficients, lo) < horner(coefficients, hi);
        let above = |x: f64| (horner(coefficients, x) >= 0.0) == rising;
        if above(lo) || !above(hi) {
            continue;
        }
        // A place to look at, not a result: 40 halvings are enough.
        for _ in 0..40 {
            let middle = 0.5 * (lo + hi);
            if above(middle) { hi = middle } else { lo = middle }
        }
        roots.push(hi);
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `x² - 0.3 x + 0.02 = (x - 0.1)(x - 0.2)` and `x - 1/2`.
    #[test]
    fn roots_of_a_polynomial_are_isolated() {
        let roots = real_roots(&[0.02, -0.3, 1.0]);
        assert!(roots.len() == 2 && (roots[0] - 0.1).abs() < 1e-11 && (roots[1] - 0.2).abs() < 1e-11);
        assert_eq!(real_roots(&[1.0, 0.0, 1.0]), Vec::<f64>::new());
        assert!((real_roots(&[-0.5, 1.0])[0] - 0.5).abs() < 1e-11);
    }

    #[test]
    fn two_crossings_between_samples_are_found() {
        // Below zero within 1e-4 of 0.3 only, far from every sample.
        let f = |t: f64| (t - 0.3) * (t - 0.3) - 1e-8;
        for (t0, t1) in [(0.0, 1.0), (1.0, 0.0), (-3.0, 1.0)] {
            let (start, found) = crossings(1, (t0, t1), |t, out| out[0] = f(t));
            assert_eq!((start[0], found.len()), (1, 2), "{found:?}");
            assert!((found[0].t - 0.3).abs() < 1.0001e-4 && found[0].sign == -1);
            assert!(f(found[0].t) < 0.0 && f(found[1].t) >= 0.0 && found[1].sign >= 0);
        }
    }

    #[test]
    fn crossings_of_several_functions_come_in_the_order_of_the_run() {
        let values = |t: f64, out: &mut [f64]| (out[0], out[1]) = (t - 0.7, libm::sin(9.0 * t));
        let (start, found) = crossings(2, (0.0, 1.0), values);
        assert_eq!(start, [-1, 0]);
        let changes: Vec<(usize, i8)> = found.iter().map(|crossing| (crossing.root, crossing.sign)).collect();
        // The line is zero at the number nearest to 0.7 and positive from the next one on.
        assert_eq!(changes, [(1, 1), (1, -1), (1, 1), (0, 0), (0, 1)]);
        let ninth = std::f64::consts::PI / 9.0;
        for (crossing, exact) in found.iter().zip([0.0, ninth, 2.0 * ninth, 0.7, 0.7]) {
            assert!((crossing.t - exact).abs() < 3e-16, "{crossing:?}");
        }
    }
}
