//! Linear equations, real and complex: numbers, the dense factorisation with partial pivoting, and
//! the factors of a Newton matrix, whichever kind it is.

use super::sparse::SparseLu;
use std::ops::{Add, Div, Mul, Sub};

/// What a matrix is made of.
pub(super) trait Number:
    Copy + Default + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// A size to choose pivots by.
    fn magnitude(self) -> f64;
    /// `1/self`.
    fn inverse(self) -> Self;
    /// Whether it may be a pivot: a finite number whose inverse is one too.
    fn is_pivot(self) -> bool {
        self.magnitude() >= f64::MIN_POSITIVE && self.magnitude().is_finite()
    }
}

impl Number for f64 {
    fn magnitude(self) -> f64 {
        self.abs()
    }

    fn inverse(self) -> f64 {
        1.0 / self
    }
}

/// `re + i im`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Complex {
    pub re: f64,
    pub im: f64,
}

impl Add for Complex {
    type Output = Complex;
    fn add(self, o: Complex) -> Complex {
        Complex { re: self.re + o.re, im: self.im + o.im }
    }
}

impl Sub for Complex {
    type Output = Complex;
    fn sub(self, o: Complex) -> Complex {
        Complex { re: self.re - o.re, im: self.im - o.im }
    }
}

impl Mul for Complex {
    type Output = Complex;
    fn mul(self, o: Complex) -> Complex {
        Complex { re: self.re * o.re - self.im * o.im, im: self.re * o.im + self.im * o.re }
    }
}

impl Div for Complex {
    type Output = Complex;
    /// Source: R. L. Smith, Algorithm 116: Complex division, CACM 5 (1962).
    fn div(self, o: Complex) -> Complex {
        if o.re.abs() >= o.im.abs() {
            let r = o.im / o.re;
            let d = o.re + o.im * r;
            Complex { re: (self.re + self.im * r) / d, im: (self.im - self.re * r) / d }
        } else {
            let r = o.re / o.im;
            let d = o.re * r + o.im;
            Complex { re: (self.re * r + self.im) / d, im: (self.im * r - self.re) / d }
        }
    }
}

impl Number for Complex {
    fn magnitude(self) -> f64 {
        self.re.abs() + self.im.abs()
    }

    fn inverse(self) -> Complex {
        Complex { re: 1.0, im: 0.0 } / self
    }
}

/// A factorisation `P A = L U` of a matrix `A: [n, n]`. Source: Golub, Van Loan, Matrix
/// Computations, 3.4, outer-product form by rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Lu<K> {
    n: usize,
    /// `U` above the diagonal, the inverses of its diagonal, `L` without its ones below, `[n, n]`.
    rows: Vec<K>,
    /// The row that row `i` was exchanged with in step `i`.
    pivots: Vec<usize>,
}

impl<K: Number> Lu<K> {
    /// Factorises the matrix with the entries `entry(row, column)`. Says whether it is regular: see
    /// [`Number::is_pivot`].
    pub fn factor(&mut self, n: usize, mut entry: impl FnMut(usize, usize) -> K) -> bool {
        self.factor_rows(n, |row, rows| rows.extend((0..n).map(|column| entry(row, column))))
    }

    /// The same of the rows that `push(row, rows)` appends, one after the other.
    pub fn factor_rows(&mut self, n: usize, mut push: impl FnMut(usize, &mut Vec<K>)) -> bool {
        self.n = n;
        self.rows.clear();
        (0..n).for_each(|row| push(row, &mut self.rows));
        self.pivots.clear();
        for k in 0..n {
            let size = |row: usize| self.rows[row * n + k].magnitude();
            let mut best = k;
            for row in k + 1..n {
                if size(row) > size(best) {
                    best = row;
                }
            }
            if !self.rows[best * n + k].is_pivot() {
                return false;
            }
            self.pivots.push(best);
            if best != k {
                for column in 0..n {
                    self.rows.swap(k * n + column, best * n + column);
                }
            }
            let (above, below) = self.rows.split_at_mut((k + 1) * n);
            let pivot_row = &mut above[k * n..];
            pivot_row[k] = pivot_row[k].inverse();
            for row in below.chunks_mut(n) {
                let factor = row[k] * pivot_row[k];
                row[k] = factor;
                if factor.magnitude() != 0.0 {
                    for (x, pivot) in row[k + 1..].iter_mut().zip(&pivot_row[k + 1..]) {
                        *x = *x - factor * *pivot;
                    }
                }
            }
        }
        true
    }

    /// Replaces `b: [n]` by the `x` with `Aᵀ x = b`. Only after a successful `factor`.
    pub fn solve_transposed(&self, b: &mut [K]) {
        let n = self.n;
        for row in 0..n {
            let known = (0..row).fold(b[row], |sum, k| sum - self.rows[k * n + row] * b[k]);
            b[row] = known * self.rows[row * n + row];
        }
        for row in (0..n).rev() {
            b[row] = (row + 1..n).fold(b[row], |sum, k| sum - self.rows[k * n + row] * b[k]);
        }
        for k in (0..n).rev() {
            b.swap(k, self.pivots[k]);
        }
    }

    /// Replaces `b: [n]` by the `x` with `A x = b`. Only after a successful `factor`.
    pub fn solve(&self, b: &mut [K]) {
        let n = self.n;
        for k in 0..n {
            b.swap(k, self.pivots[k]);
        }
        for row in 0..n {
            let known = self.rows[row * n..row * n + row].iter().zip(&*b);
            b[row] = known.fold(b[row], |sum, (l, x)| sum - *l * *x);
        }
        for row in (0..n).rev() {
            // What was found last comes last, so that nothing before it waits.
            let known = self.rows[row * n + row + 1..(row + 1) * n].iter().zip(&b[row + 1..]);
            let sum = known.rev().fold(b[row], |sum, (u, x)| sum - *u * *x);
            b[row] = sum * self.rows[row * n + row];
        }
    }
}

/// The factors of a Newton matrix.
#[derive(Clone, Debug)]
pub(super) enum Factors<K> {
    Dense(Lu<K>),
    Sparse(Box<SparseLu<K>>),
}

impl<K: Number> Factors<K> {
    /// Replaces `b: [n]` by the `x` with `A x = b`. Only after a successful factorisation.
    pub fn solve(&self, b: &mut [K]) {
        match self {
            Factors::Dense(lu) => lu.solve(b),
            Factors::Sparse(lu) => lu.solve(b),
        }
    }

    /// Entries of both factors.
    pub fn fill(&self) -> usize {
        match self {
            Factors::Dense(lu) => lu.rows.len(),
            Factors::Sparse(lu) => lu.fill(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The inverse of the Hilbert-like matrix is known: `A = [[2, 1], [1, 3]]` has determinant 5.
    #[test]
    fn small_systems_are_solved_exactly() {
        let mut lu = Lu::default();
        let matrix = [[0.0, 1.0, 2.0], [2.0, 1.0, 0.0], [1.0, 1.0, 1.5]];
        assert!(lu.factor(3, |i, j| matrix[i][j]));
        let mut b = [8.0, 4.0, 7.5];
        lu.solve(&mut b);
        assert_eq!(b, [1.0, 2.0, 3.0]);
        let mut b = [7.0, 6.0, 6.5];
        lu.solve_transposed(&mut b);
        assert_eq!(b, [1.0, 2.0, 3.0]);
        assert!(!lu.factor(2, |i, _| i as f64 + 1.0));
        assert!(!lu.factor(1, |_, _| f64::NAN));
    }

    #[test]
    fn complex_systems_are_solved() {
        let z = |re, im| Complex { re, im };
        let matrix = [[z(0.0, 1.0), z(2.0, 0.0)], [z(1.0, 1.0), z(0.0, -3.0)]];
        let x = [z(1.0, 2.0), z(-1.0, 0.5)];
        let mut b: [Complex; 2] = std::array::from_fn(|i| matrix[i][0] * x[0] + matrix[i][1] * x[1]);
        let mut lu = Lu::default();
        assert!(lu.factor(2, |i, j| matrix[i][j]));
        lu.solve(&mut b);
        assert!(b.iter().zip(&x).all(|(b, x)| (*b - *x).magnitude() < 1e-15));
    }
}
