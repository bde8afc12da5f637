//! The factorisation of sparse matrices that share a pattern.

use super::super::linear::Number;
use super::Pattern;

/// The entry on the diagonal is the pivot unless another is so many times as large.
const PREFERENCE: f64 = 10.0;
/// The pivots of an earlier matrix serve again unless another is so many times as large.
const TRUST: f64 = 1e3;

/// A factorisation `P A Q = L U`. `Q` is the order of elimination; the rows `P` and the places of the
/// entries are found with the first matrix and serve those after it, until a pivot would be too
/// small. Source: J. R. Gilbert, T. Peierls, Sparse partial pivoting in time proportional to
/// arithmetic operations, SIAM J. Sci. Stat. Comput. 9 (1988); of pivots that are used again: T. A.
/// Davis, E. Palamadai Natarajan, Algorithm 907: KLU, ACM TOMS 37 (2010).
#[derive(Clone, Debug)]
pub(in crate::solve::implicit) struct SparseLu<K> {
    pattern: Pattern,
    /// The column that step `k` eliminates.
    order: Vec<usize>,
    /// The row that step `k` eliminates.
    pivots: Vec<usize>,
    /// The step that eliminates a row; none before the first factorisation.
    steps: Vec<Option<usize>>,
    /// The inverses of the diagonal of `U`.
    inverses: Vec<K>,
    /// Every pivot is on the diagonal of `A`.
    in_place: bool,
    /// `L` without its ones: rows of `A`.
    lower: Columns<K>,
    /// `U` without its diagonal, steps ascending: the rows of `A` that they eliminate.
    upper: Columns<K>,
    /// The steps of those entries.
    earlier: Vec<usize>,
    /// One column at work, by the rows of `A`.
    x: Vec<K>,
}

/// Entries column by column.
#[derive(Clone, Debug)]
struct Columns<K> {
    starts: Vec<usize>,
    places: Vec<usize>,
    values: Vec<K>,
}

impl<K: Number> Columns<K> {
    fn new() -> Self {
        Columns { starts: vec![0], places: Vec::new(), values: Vec::new() }
    }

    #[inline(always)]
    fn column(&self, column: usize) -> impl Iterator<Item = (usize, K)> + '_ {
        let range = self.starts[column]..self.starts[column + 1];
        self.places[range.clone()].iter().copied().zip(self.values[range].iter().copied())
    }

    fn push(&mut self, places: &[usize]) {
        self.places.extend_from_slice(places);
        self.values.resize(self.places.len(), K::default());
        self.starts.push(self.places.len());
    }
}

impl<K: Number> SparseLu<K> {
    /// For matrices with this pattern, whose columns are eliminated in this order.
    pub fn new(pattern: Pattern, order: Vec<usize>) -> Self {
        let n = pattern.n();
        SparseLu {
            pattern,
            order,
            pivots: Vec::new(),
            steps: vec![None; n],
            inverses: vec![K::default(); n],
            in_place: true,
            lower: Columns::new(),
            upper: Columns::new(),
            earlier: Vec::new(),
            x: vec![K::default(); n],
        }
    }

    /// Entries of both factors.
    pub fn fill(&self) -> usize {
        self.lower.places.len() + self.upper.places.len() + self.pivots.len()
    }

    /// Factorises the matrix with the entry `value(k)` at place `k` of the pattern. Says whether it is
    /// regular: see [`Number::is_pivot`].
    pub fn factor(&mut self, value: impl Fn(usize) -> K) -> bool {
        let n = self.pattern.n();
        if self.pivots.len() == n && (0..n).all(|step| self.eliminate_again(step, &value)) {
            return true;
        }
        self.pivots.clear();
        self.steps.fill(None);
        (self.lower, self.upper, self.earlier) = (Columns::new(), Columns::new(), Vec::new());
        // A number that was written in this step marks a row that has been seen in it.
        let mut seen = vec![usize::MAX; n];
        let regular = (0..n).all(|step| self.eliminate(step, &value, &mut seen));
        self.in_place = self.pivots == self.order;
        regular
    }

    /// Step `step`, with a pivot that is looked for.
    fn eliminate(&mut self, step: usize, value: &impl Fn(usize) -> K, seen: &mut [usize]) -> bool {
        let column = self.order[step];
        // The rows that entries of this column reach: from a row that is eliminated on to those that
        // its step changes.
        let (mut above, mut below) = (Vec::new(), Vec::new());
        let mut open = self.pattern.column(column).to_vec();
        while let Some(row) = open.pop() {
            if std::mem::replace(&mut seen[row], step) == step {
                continue;
            }
            match self.steps[row] {
                Some(earlier) => {
                    above.push(earlier);
                    open.extend(self.lower.column(earlier).map(|(row, _)| row));
                }
                None => below.push(row),
            }
        }
        above.sort_unstable();
        below.sort_unstable();
        self.upper.push(&above.iter().map(|earlier| self.pivots[*earlier]).collect::<Vec<_>>());
        self.earlier.append(&mut above);
        self.load(column, value);
        self.substitute(step);
        let size = |row: usize| self.x[row].magnitude();
        let mut best = None;
        for row in below.iter().copied() {
            if best.is_none_or(|best| size(row) > size(best)) {
                best = Some(row);
            }
        }
        let Some(largest) = best.filter(|row| self.x[*row].is_pivot()) else {
            below.iter().for_each(|row| self.x[*row] = K::default());
            return false;
        };
        let diagonal = below.binary_search(&column).is_ok() && size(column) * PREFERENCE >= size(largest);
        let pivot = if diagonal && self.x[column].is_pivot() { column } else { largest };
        below.retain(|row| *row != pivot);
        self.lower.push(&below);
        self.pivots.push(pivot);
        self.steps[pivot] = Some(step);
        self.divide(step);
        true
    }

    /// Step `step` with the pivot and the places of an earlier matrix. Says whether the pivot serves.
    fn eliminate_again(&mut self, step: usize, value: &impl Fn(usize) -> K) -> bool {
        self.load(self.order[step], value);
        self.substitute(step);
        let pivot = self.x[self.pivots[step]];
        let rows = &self.lower.places[self.lower.starts[step]..self.lower.starts[step + 1]];
        let largest = rows.iter().map(|row| self.x[*row].magnitude()).fold(0.0, f64::max);
        let serves = pivot.is_pivot() && largest <= TRUST * pivot.magnitude();
        self.divide(step);
        serves
    }

    /// Puts a column of the matrix to work.
    fn load(&mut self, column: usize, value: &impl Fn(usize) -> K) {
        for (row, place) in self.pattern.column(column).iter().zip(self.pattern.range(column)) {
            self.x[*row] = value(place);
        }
    }

    /// Takes from the column at work what the steps before it take, and keeps it of the rows that they
    /// eliminate.
    fn substitute(&mut self, step: usize) {
        for place in self.upper.starts[step]..self.upper.starts[step + 1] {
            let share = std::mem::take(&mut self.x[self.upper.places[place]]);
            self.upper.values[place] = share;
            for (row, factor) in self.lower.column(self.earlier[place]) {
                self.x[row] = self.x[row] - factor * share;
            }
        }
    }

    /// Keeps the rest of the column at work, divided by its pivot.
    fn divide(&mut self, step: usize) {
        let inverse = std::mem::take(&mut self.x[self.pivots[step]]).inverse();
        self.inverses[step] = inverse;
        let range = self.lower.starts[step]..self.lower.starts[step + 1];
        for (row, factor) in self.lower.places[range.clone()].iter().zip(&mut self.lower.values[range]) {
            *factor = std::mem::take(&mut self.x[*row]) * inverse;
        }
    }

    /// Replaces `b: [n]` by the `x` with `A x = b`. Only after a successful `factor`.
    pub fn solve(&self, b: &mut [K]) {
        for (step, pivot) in self.pivots.iter().enumerate() {
            let known = b[*pivot];
            for (row, factor) in self.lower.column(step) {
                b[row] = b[row] - factor * known;
            }
        }
        for (step, pivot) in self.pivots.iter().enumerate().rev() {
            let known = b[*pivot] * self.inverses[step];
            for (row, share) in self.upper.column(step) {
                b[row] = b[row] - share * known;
            }
            b[*pivot] = known;
        }
        if !self.in_place {
            let x: Vec<K> = self.pivots.iter().map(|pivot| b[*pivot]).collect();
            self.order.iter().zip(x).for_each(|(column, x)| b[*column] = x);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::linear::{Complex, Lu};
    use super::super::elimination_order;
    use super::*;

    /// Numbers in -1..1. Source: the multiplier of Knuth's MMIX generator.
    fn random(state: &mut u64) -> f64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// Random patterns, also with zeros on the diagonal: the residual is round-off, for the first
    /// matrix and for others with its pivots, and the dense factorisation gives the same solution.
    #[test]
    fn random_equations_are_solved_to_round_off() {
        let mut state = 7;
        for n in [1, 2, 5, 20, 60] {
            for _ in 0..20 {
                let mut entries: Vec<(usize, usize)> = (0..n).map(|at| (at, (at * 7 + 3) % n)).collect();
                let random_at = |state: &mut u64| ((random(state) + 1.0) / 2.0 * n as f64) as usize % n;
                entries.extend((0..3 * n).map(|_| (random_at(&mut state), random_at(&mut state))));
                let pattern = Pattern::new(n, entries);
                let (order, _) = elimination_order(&pattern);
                let mut lu = SparseLu::new(pattern.clone(), order);
                for _ in 0..3 {
                    check(&pattern, &mut lu, &mut state);
                }
            }
        }
    }

    fn check(pattern: &Pattern, lu: &mut SparseLu<f64>, state: &mut u64) {
        let n = pattern.n();
        let values: Vec<f64> = (0..pattern.nonzeros()).map(|_| random(state)).collect();
        let entry = |i, j| pattern.position(i, j).map_or(0.0, |at| values[at]);
        let mut dense = Lu::default();
        let regular = dense.factor(n, entry);
        assert_eq!(lu.factor(|k| values[k]), regular);
        if !regular {
            return;
        }
        let b: Vec<f64> = (0..n).map(|_| random(state)).collect();
        let (mut x, mut y) = (b.clone(), b.clone());
        lu.solve(&mut x);
        dense.solve(&mut y);
        // Higham, Accuracy and Stability of Numerical Algorithms, theorem 9.4: the residual is at most
        // `3 n u |L| |U| |x|` with `u = ε/2`. As much again for quotients made of inverses and for the sums here.
        let bound = bounds(lu, &x);
        for (i, b) in b.iter().enumerate() {
            let residual = (0..n).map(|j| entry(i, j) * x[j]).sum::<f64>() - b;
            let limit = 3.0 * n as f64 * f64::EPSILON * bound[i] + f64::MIN_POSITIVE;
            assert!(residual.abs() <= limit, "{residual:e}, not {limit:e}");
        }
        let size = x.iter().fold(1.0_f64, |max, x| max.max(x.abs()));
        let of_dense = y.iter().fold(1.0_f64, |max, y| max.max(y.abs()));
        assert!(size / of_dense < 1.01 && of_dense / size < 1.01 || size > 1e10);
    }

    /// `|L| |U| |x|` by the rows of the matrix.
    fn bounds(lu: &SparseLu<f64>, x: &[f64]) -> Vec<f64> {
        let (mut of_upper, mut of_both) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        for (step, column) in lu.order.iter().enumerate() {
            of_upper[lu.pivots[step]] += (x[*column] / lu.inverses[step]).abs();
            lu.upper.column(step).for_each(|(row, share)| of_upper[row] += (share * x[*column]).abs());
        }
        for (step, pivot) in lu.pivots.iter().enumerate() {
            of_both[*pivot] += of_upper[*pivot];
            lu.lower.column(step).for_each(|(row, factor)| of_both[row] += factor.abs() * of_upper[*pivot]);
        }
        of_both
    }

    #[test]
    fn complex_equations_are_solved_and_singular_ones_refused() {
        let pattern = Pattern::new(3, [(0, 1), (1, 0), (1, 1), (2, 2), (0, 2)]);
        let (order, _) = elimination_order(&pattern);
        let z = |re: f64, im: f64| Complex { re, im };
        let values = [z(0.0, 2.0), z(1.0, 1.0), z(3.0, 0.0), z(0.5, -1.0), z(0.0, 4.0)];
        let mut lu = SparseLu::new(pattern.clone(), order.clone());
        assert!(lu.factor(|k| values[k]));
        let x = [z(1.0, 2.0), z(-1.0, 0.5), z(3.0, -2.0)];
        let mut b = [z(0.0, 0.0); 3];
        for ((row, column), value) in pattern.entries().zip(values) {
            b[row] = b[row] + value * x[column];
        }
        lu.solve(&mut b);
        assert!(b.iter().zip(x).all(|(b, x)| (*b - x).magnitude() < 1e-14));
        assert!(!lu.factor(|k| if k == 4 { z(0.0, 0.0) } else { values[k] }));
        assert!(lu.factor(|k| values[k]));
    }
}
