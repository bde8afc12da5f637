//! The matrix `M` of a system `M y' = f`, constant along a run.

/// `M: [n, n]`.
#[derive(Clone, Debug, PartialEq)]
pub enum Mass {
    /// 1 on the diagonal.
    Identity,
    /// These on the diagonal: zero for a constraint.
    Diagonal(Vec<f64>),
    /// For each row its columns, ascending, and what stands there.
    Rows(Vec<Vec<(usize, f64)>>),
}

impl Mass {
    /// Of the entries `[n, n]`.
    pub fn new(n: usize, entries: &[f64]) -> Mass {
        let row = |row: usize| {
            let entries = entries[row * n..(row + 1) * n].iter().copied().enumerate();
            entries.filter(|(_, m)| *m != 0.0).collect()
        };
        Mass::of_rows((0..n).map(row).collect())
    }

    /// Of the rows.
    fn of_rows(rows: Vec<Vec<(usize, f64)>>) -> Mass {
        let alone = |(at, row): (usize, &Vec<(usize, f64)>)| row.iter().all(|(column, _)| *column == at);
        if !rows.iter().enumerate().all(alone) {
            return Mass::Rows(rows);
        }
        Mass::diagonal(rows.iter().map(|row| row.first().map_or(0.0, |(_, m)| *m)).collect())
    }

    /// With these on the diagonal.
    pub fn diagonal(entries: Vec<f64>) -> Mass {
        if entries.iter().all(|m| *m == 1.0) { Mass::Identity } else { Mass::Diagonal(entries) }
    }

    /// `n_blocks` times this matrix `[n, n]`, one after another along the diagonal.
    pub fn repeated(&self, n: usize, n_blocks: usize) -> Mass {
        match self {
            Mass::Identity => Mass::Identity,
            Mass::Diagonal(entries) => Mass::Diagonal(entries.repeat(n_blocks)),
            Mass::Rows(rows) => {
                let moved = |block: usize, row: &Vec<(usize, f64)>| {
                    row.iter().map(|(column, m)| (block * n + column, *m)).collect()
                };
                let blocks = (0..n_blocks).flat_map(|block| rows.iter().map(move |row| moved(block, row)));
                Mass::Rows(blocks.collect())
            }
        }
    }

    /// Entry `(row, column)`.
    pub(super) fn entry(&self, row: usize, column: usize) -> f64 {
        match self {
            Mass::Identity => f64::from(u8::from(row == column)),
            Mass::Diagonal(entries) if row == column => entries[row],
            Mass::Diagonal(_) => 0.0,
            Mass::Rows(rows) => {
                let row = &rows[row];
                row.binary_search_by_key(&column, |(at, _)| *at).map_or(0.0, |at| row[at].1)
            }
        }
    }

    /// `M v`, over the states, for which there is room in `out`.
    pub(super) fn weighed<'v>(&self, v: &'v [f64], out: &'v mut [f64]) -> &'v [f64] {
        match self {
            Mass::Identity => v,
            Mass::Diagonal(_) | Mass::Rows(_) => {
                self.times(v, out);
                out
            }
        }
    }

    /// `out = Mᵀ v`, over the states.
    pub(super) fn transposed_times(&self, v: &[f64], out: &mut [f64]) {
        match self {
            Mass::Identity | Mass::Diagonal(_) => self.times(v, out),
            Mass::Rows(rows) => {
                out.fill(0.0);
                for (row, v) in rows.iter().zip(v) {
                    row.iter().for_each(|(column, m)| out[*column] += m * v);
                }
            }
        }
    }

    /// `out = M v`, over the states.
    pub(super) fn times(&self, v: &[f64], out: &mut [f64]) {
        match self {
            Mass::Identity => out.copy_from_slice(&v[..out.len()]),
            Mass::Diagonal(entries) => {
                out.iter_mut().zip(entries.iter().zip(v)).for_each(|(out, (m, v))| *out = m * v);
            }
            Mass::Rows(rows) => {
                for (out, row) in out.iter_mut().zip(rows) {
                    *out = row.iter().map(|(column, m)| m * v[*column]).sum();
                }
            }
        }
    }
}
