//! Rows of lanes where wide code likes them.

use super::super::problem::Real;
use std::ops::{Deref, DerefMut};
use std::slice::{Iter, IterMut};

/// `[len][B]`, from the beginning of a cache line on: a vector that lies across two lines costs twice, and
/// what is read of it soon after it was written costs more.
#[derive(Debug)]
pub struct Rows<T, const B: usize> {
    /// With as many more as the place of the first needs.
    numbers: Vec<T>,
    first: usize,
    len: usize,
}

impl<T: Real, const B: usize> Rows<T, B> {
    const LINE: usize = 64 / size_of::<T>();

    /// So many, of zeros.
    pub fn new(len: usize) -> Rows<T, B> {
        let numbers = vec![T::default(); len * B + Self::LINE];
        let first = numbers.as_ptr().align_offset(64).min(Self::LINE);
        Rows { numbers, first, len }
    }
}

impl<T, const B: usize> Deref for Rows<T, B> {
    type Target = [[T; B]];

    #[inline(always)]
    fn deref(&self) -> &[[T; B]] {
        self.numbers[self.first..self.first + self.len * B].as_chunks().0
    }
}

impl<T, const B: usize> DerefMut for Rows<T, B> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [[T; B]] {
        self.numbers[self.first..self.first + self.len * B].as_chunks_mut().0
    }
}

impl<'r, T, const B: usize> IntoIterator for &'r Rows<T, B> {
    type Item = &'r [T; B];
    type IntoIter = Iter<'r, [T; B]>;

    fn into_iter(self) -> Iter<'r, [T; B]> {
        self.iter()
    }
}

impl<'r, T, const B: usize> IntoIterator for &'r mut Rows<T, B> {
    type Item = &'r mut [T; B];
    type IntoIter = IterMut<'r, [T; B]>;

    fn into_iter(self) -> IterMut<'r, [T; B]> {
        self.iter_mut()
    }
}

/// Lanes that begin where a cache line does.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Lined<A>(pub A);

#[cfg(test)]
mod tests {
    use super::Rows;

    #[test]
    fn rows_begin_where_a_line_does() {
        for len in 0..9 {
            let (mut doubles, singles) = (Rows::<f64, 16>::new(len), Rows::<f32, 16>::new(len));
            assert_eq!((doubles.len(), singles.len()), (len, len));
            assert!(doubles.as_ptr().addr().is_multiple_of(64) && singles.as_ptr().addr().is_multiple_of(64));
            doubles.fill([1.0; 16]);
            assert!(doubles.iter().flatten().all(|number| *number == 1.0));
        }
    }
}
