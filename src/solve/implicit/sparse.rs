//! Sparse linear equations: patterns, colours, an order of elimination, a factorisation.
//!
//! A [`Pattern`] says where a matrix may have entries, a [`Sparsity`] what follows from it before
//! there are numbers, once per system: which columns of a Jacobian one direction can find together,
//! and in which order its unknowns are eliminated. Matrix after matrix is then factorised in that order.
//!
//! It is our own since faer, weighed for it, added 91 s of compile time, 40 crates and 2.6 MB to the
//! binary, and its kernels choose their order of summation by the instructions of the machine, so
//! that bits would differ between machines.

mod colour;
mod lu;
mod order;

pub use colour::colours;
pub(super) use lu::SparseLu;
pub use order::elimination_order;

/// Where a square matrix may have entries other than zero: column by column, rows ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Column `j` is `rows[starts[j]..starts[j + 1]]`.
    starts: Vec<usize>,
    rows: Vec<usize>,
}

impl Pattern {
    /// Of a matrix `[n, n]` with these entries `(row, column)`, in any order.
    pub fn new(n: usize, entries: impl IntoIterator<Item = (usize, usize)>) -> Pattern {
        let mut columns = vec![Vec::new(); n];
        entries.into_iter().for_each(|(row, column)| columns[column].push(row));
        let (mut starts, mut rows) = (vec![0], Vec::new());
        for mut column in columns {
            column.sort_unstable();
            column.dedup();
            rows.append(&mut column);
            starts.push(rows.len());
        }
        Pattern { starts, rows }
    }

    /// The size of the matrix.
    pub fn n(&self) -> usize {
        self.starts.len() - 1
    }

    /// How many entries it may have.
    pub fn nonzeros(&self) -> usize {
        self.rows.len()
    }

    /// The rows of a column, ascending.
    pub fn column(&self, column: usize) -> &[usize] {
        &self.rows[self.range(column)]
    }

    /// The numbers of the entries of a column.
    pub fn range(&self, column: usize) -> std::ops::Range<usize> {
        self.starts[column]..self.starts[column + 1]
    }

    /// Every entry `(row, column)`, in order.
    pub fn entries(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.n()).flat_map(|column| self.column(column).iter().map(move |row| (*row, column)))
    }

    /// The row of an entry.
    pub fn row(&self, entry: usize) -> usize {
        self.rows[entry]
    }

    /// The number of an entry.
    pub fn position(&self, row: usize, column: usize) -> Option<usize> {
        let at = self.column(column).binary_search(&row).ok()?;
        Some(self.starts[column] + at)
    }

    /// The entries of both, and the diagonal.
    fn with_diagonal(&self, other: &Pattern) -> Pattern {
        let diagonal = (0..self.n()).map(|at| (at, at));
        Pattern::new(self.n(), self.entries().chain(other.entries()).chain(diagonal))
    }
}

/// What is known of the Jacobian `∂f/∂y` of a system `M y' = f`, and of the matrices `a M - b J`.
#[derive(Clone, Debug)]
pub struct Sparsity {
    /// Of `∂f/∂y` over the states.
    pub jacobian: Pattern,
    /// The colour of each of its columns: no two of one colour meet in a row.
    pub colours: Vec<usize>,
    /// How many colours.
    pub n_colours: usize,
    /// Of `a M - b J`, the diagonal included.
    pub(super) newton: Pattern,
    /// For each entry of `newton` the number of the entry of the Jacobian, if it is one.
    pub(super) slots: Vec<Option<usize>>,
    /// The columns of `newton` in the order of elimination.
    pub(super) order: Vec<usize>,
    /// Entries of the factors, if every pivot is on the diagonal.
    fill: usize,
}

impl Sparsity {
    /// Smaller systems are not worth the indices.
    pub const FEW_STATES: usize = 24;

    /// From the patterns of the Jacobian and of the mass matrix.
    pub fn new(jacobian: Pattern, mass: &Pattern) -> Sparsity {
        let newton = jacobian.with_diagonal(mass);
        let slots = newton.entries().map(|(row, column)| jacobian.position(row, column)).collect();
        let (order, fill) = elimination_order(&newton);
        let (colours, n_colours) = colours(&jacobian);
        Sparsity { jacobian, colours, n_colours, newton, slots, order, fill }
    }

    /// That of the transposed matrices, and for each entry of the transposed Jacobian the number of the
    /// entry that it is. The colours stay those by which the Jacobian is found.
    pub fn transposed(&self) -> (Sparsity, Vec<usize>) {
        let turned = |pattern: &Pattern| {
            Pattern::new(pattern.n(), pattern.entries().map(|(row, column)| (column, row)))
        };
        let (jacobian, newton) = (turned(&self.jacobian), turned(&self.newton));
        let slots = newton.entries().map(|(row, column)| jacobian.position(row, column)).collect();
        let from = |(row, column)| self.jacobian.position(column, row);
        let from = jacobian.entries().map(from).map(|at| at.expect("the same entries"));
        let from = from.collect();
        (Sparsity { jacobian, newton, slots, ..self.clone() }, from)
    }

    /// Whether it is faster than computing with every entry: by a count of what either costs, the
    /// derivative and the factorisation.
    pub fn pays(&self) -> bool {
        let n = self.jacobian.n();
        n >= Sparsity::FEW_STATES && 4 * self.n_colours <= 3 * n && 4 * self.fill <= n * n
    }
}

/// Which form the Jacobian of a system takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// As its pattern suggests: see [`Sparsity::pays`].
    #[default]
    Auto,
    /// Every entry.
    Dense,
    /// The entries of its pattern.
    Sparse,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of cells needs 3 colours, two rows of cells with a reaction between them 4 at least.
    #[test]
    fn a_line_needs_three_colours_and_no_fill() {
        let near = |at: usize| (at.saturating_sub(1)..=(at + 1).min(99)).map(move |other| (at, other));
        let line = Pattern::new(100, (0..100).flat_map(near));
        let sparsity = Sparsity::new(line.clone(), &Pattern::new(100, []));
        assert_eq!(sparsity.n_colours, 3);
        assert_eq!(sparsity.fill, line.nonzeros());
        assert!(sparsity.pays());
        let dense = Pattern::new(30, (0..900).map(|at| (at / 30, at % 30)));
        assert!(!Sparsity::new(dense, &Pattern::new(30, [])).pays());
    }
}
