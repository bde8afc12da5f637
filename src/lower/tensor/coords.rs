//! Coordinates: affine in the loop variables, with at most one computed part.

use super::{Coords, Pass};
use crate::lower::loops::{Index, Prim, ScalarId};
use smallvec::smallvec;

impl Pass<'_> {
    /// The row-major number of an element.
    pub(super) fn flat(&self, coords: &[Index], dims: &[usize]) -> Index {
        let mut stride = 1;
        let mut flat = Index::default();
        for (at, dim) in coords.iter().zip(dims).rev() {
            flat = self.plus(&flat, &self.scaled(at, stride));
            stride *= *dim as i64;
        }
        flat
    }

    pub(super) fn plus(&self, a: &Index, b: &Index) -> Index {
        let mut terms = a.terms.clone();
        for (var, factor) in &b.terms {
            match terms.iter_mut().find(|(known, _)| known == var) {
                Some((_, sum)) => *sum += factor,
                None => terms.push((*var, *factor)),
            }
        }
        terms.retain(|(_, factor)| *factor != 0);
        terms.sort_unstable();
        let dynamic = match (a.dynamic, b.dynamic) {
            (Some(x), Some(y)) => Some(self.code.op(Prim::Add, &[x, y])),
            (x, y) => x.or(y),
        };
        Index { offset: a.offset + b.offset, terms, dynamic }
    }

    pub(super) fn scaled(&self, at: &Index, factor: i64) -> Index {
        let terms = at.terms.iter().map(|(var, k)| (*var, k * factor)).filter(|(_, k)| *k != 0).collect();
        let dynamic = at.dynamic.map(|x| match factor {
            1 => x,
            _ => self.code.op(Prim::Mul, &[x, self.code.integer(factor)]),
        });
        Index { offset: at.offset * factor, terms, dynamic }
    }

    /// A computed integer as a coordinate.
    pub(super) fn dynamic(&self, x: ScalarId) -> Index {
        match self.code.as_constant(x) {
            Some(bits) => Index { offset: bits as i64, ..Index::default() },
            None => Index { offset: 0, terms: smallvec![], dynamic: Some(x) },
        }
    }

    /// A coordinate as an integer.
    pub(super) fn integer(&self, at: &Index) -> ScalarId {
        let mut sum = self.code.integer(at.offset);
        for (var, factor) in &at.terms {
            let term = self.code.op(Prim::Mul, &[self.code.counter(*var), self.code.integer(*factor)]);
            sum = self.code.op(Prim::Add, &[sum, term]);
        }
        match at.dynamic {
            Some(x) => self.code.op(Prim::Add, &[sum, x]),
            None => sum,
        }
    }
}

pub(super) fn constant(at: usize) -> Index {
    Index { offset: at as i64, ..Index::default() }
}

pub(super) fn constants(coords: &[usize]) -> Coords {
    coords.iter().map(|at| constant(*at)).collect()
}

pub(super) fn shifted(at: &Index, by: i64) -> Index {
    Index { offset: at.offset + by, ..at.clone() }
}

/// The row-major number of an element whose coordinates are constants.
pub(super) fn known(coords: &[Index], dims: &[usize]) -> Option<usize> {
    let mut flat = 0;
    for (at, dim) in coords.iter().zip(dims) {
        if !at.terms.is_empty() || at.dynamic.is_some() {
            return None;
        }
        flat = flat * dim + at.offset as usize;
    }
    Some(flat)
}
