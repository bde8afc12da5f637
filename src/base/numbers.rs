//! Many numbers in the element type they were stored in.
//!
//! A data set is read once and looked at often: images stay bytes, labels stay small integers.
//! [`Numbers`] holds the values, [`Examples`] says which of them belong to which example; what runs
//! a model gathers one example at a time in the element type it wants.

use std::ops::Range;
use std::sync::Arc;

/// Numbers of one element type.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// Bytes, and booleans as 0 and 1.
    U8(Vec<u8>),
    /// 32-bit integers.
    I32(Vec<i32>),
    /// 64-bit integers.
    I64(Vec<i64>),
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
}

macro_rules! each {
    ($numbers:expr, $values:ident => $body:expr) => {
        match $numbers {
            Numbers::U8($values) => $body,
            Numbers::I32($values) => $body,
            Numbers::I64($values) => $body,
            Numbers::F32($values) => $body,
            Numbers::F64($values) => $body,
        }
    };
}

#[allow(clippy::unnecessary_cast, reason = "one row for five types, one of which needs no cast")]
impl Numbers {
    /// How many.
    pub fn len(&self) -> usize {
        each!(self, values => values.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that the values take.
    pub fn bytes(&self) -> usize {
        each!(self, values => std::mem::size_of_val(values.as_slice()))
    }

    /// The value at `at`, rounded to `f64` (only 64-bit integers above 2⁵³ change).
    pub fn get(&self, at: usize) -> f64 {
        each!(self, values => values[at] as f64)
    }

    /// Copies `range` as `f64`; `out` has the length of the range.
    pub fn read_f64(&self, range: Range<usize>, out: &mut [f64]) {
        each!(self, values => copy(&values[range], out, |value| value as f64))
    }

    /// Copies `range`, rounded to `f32`.
    pub fn read_f32(&self, range: Range<usize>, out: &mut [f32]) {
        each!(self, values => copy(&values[range], out, |value| value as f32))
    }

    /// Copies `range` as whole numbers; fractions are cut off.
    pub fn read_i64(&self, range: Range<usize>, out: &mut [i64]) {
        each!(self, values => copy(&values[range], out, |value| value as i64))
    }

    /// Copies `range` as truth values: 0 for zero, else 1.
    pub fn read_bool(&self, range: Range<usize>, out: &mut [u8]) {
        each!(self, values => copy(&values[range], out, |value| u8::from(value as f64 != 0.0)))
    }

    /// All values as `f64`.
    pub fn to_f64(&self) -> Vec<f64> {
        let mut all = vec![0.0; self.len()];
        self.read_f64(0..self.len(), &mut all);
        all
    }

    /// The values at `rows`, each of `width` numbers, one after the other.
    pub fn rows(&self, rows: impl Iterator<Item = usize> + Clone, width: usize) -> Numbers {
        match self {
            Numbers::U8(values) => Numbers::U8(picked(values, rows, width)),
            Numbers::I32(values) => Numbers::I32(picked(values, rows, width)),
            Numbers::I64(values) => Numbers::I64(picked(values, rows, width)),
            Numbers::F32(values) => Numbers::F32(picked(values, rows, width)),
            Numbers::F64(values) => Numbers::F64(picked(values, rows, width)),
        }
    }
}

fn copy<A: Copy, B>(from: &[A], to: &mut [B], convert: impl Fn(A) -> B) {
    assert_eq!(from.len(), to.len(), "as many places as numbers");
    to.iter_mut().zip(from).for_each(|(out, value)| *out = convert(*value));
}

fn picked<A: Copy>(values: &[A], rows: impl Iterator<Item = usize>, width: usize) -> Vec<A> {
    rows.flat_map(|row| values[row * width..][..width].iter().copied()).collect()
}

/// The values of one data field for every example of a data set. Cheap to clone.
///
/// A regular field has the same shape in every example. The first axis of a ragged one differs:
/// its values lie end to end, and [`Examples::shape`] begins with the longest. An example is read
/// in that shape, the rows past its own length repeating its last one, so that padding stays in
/// the domain of whatever is computed from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Examples {
    numbers: Arc<Numbers>,
    shape: Vec<usize>,
    /// Where the rows of each stored example begin, and where the last one ends; `None` if regular.
    starts: Option<Arc<[usize]>>,
    /// Which stored example each one is; `None` for all of them in their order.
    order: Option<Arc<[usize]>>,
    n_stored: usize,
}

impl Examples {
    /// `count` examples of `shape` each; `numbers` is `[count, ..shape]`.
    ///
    /// # Panics
    /// If the number of values is another.
    pub fn regular(numbers: Numbers, count: usize, shape: Vec<usize>) -> Examples {
        let entries: usize = shape.iter().product();
        assert_eq!(numbers.len(), count * entries, "{count} examples of {shape:?}");
        Examples { numbers: Arc::new(numbers), shape, starts: None, order: None, n_stored: count }
    }

    /// Examples whose first axes are `lengths`, each at least 1, with rows of shape `row`;
    /// `numbers` holds the rows of all of them end to end.
    ///
    /// # Panics
    /// If the number of values is another, or a length is 0.
    pub fn ragged(numbers: Numbers, lengths: &[usize], row: &[usize]) -> Examples {
        assert!(lengths.iter().all(|length| *length > 0), "no example is empty");
        let mut starts = vec![0];
        for length in lengths {
            starts.push(starts[starts.len() - 1] + length);
        }
        let width: usize = row.iter().product();
        assert_eq!(numbers.len(), starts[lengths.len()] * width, "the rows of all examples");
        let mut shape = vec![lengths.iter().copied().max().unwrap_or(0)];
        shape.extend_from_slice(row);
        let (n_stored, starts) = (lengths.len(), Some(starts.into()));
        Examples { numbers: Arc::new(numbers), shape, starts, order: None, n_stored }
    }

    /// How many examples.
    pub fn len(&self) -> usize {
        self.order.as_ref().map_or(self.n_stored, |order| order.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape in which every example is read.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Numbers in an example as it is read.
    pub fn entries(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the first axis differs from example to example.
    pub fn is_ragged(&self) -> bool {
        self.starts.is_some()
    }

    /// Length of the first axis of `example`, padding excluded; 1 for scalars.
    pub fn length(&self, example: usize) -> usize {
        match &self.starts {
            None => self.shape.first().copied().unwrap_or(1),
            Some(starts) => {
                let stored = self.stored(example);
                starts[stored + 1] - starts[stored]
            }
        }
    }

    /// The examples at `which`, in that order.
    pub fn select(&self, which: &[usize]) -> Examples {
        let order = which.iter().map(|example| self.stored(*example)).collect();
        Examples { order: Some(order), ..self.clone() }
    }

    /// A ragged field read in the shape of a longer one, so that several parts of a data set share
    /// one shape; regular ones stay as they are.
    #[must_use]
    pub fn padded_to(mut self, longest: usize) -> Examples {
        if self.is_ragged() {
            self.shape[0] = self.shape[0].max(longest);
        }
        self
    }

    /// Reads `example` as `f64`, `[..shape]` row-major.
    pub fn read_f64(&self, example: usize, out: &mut [f64]) {
        self.read(example, out, Numbers::read_f64);
    }

    /// Reads `example` as `f32`.
    pub fn read_f32(&self, example: usize, out: &mut [f32]) {
        self.read(example, out, Numbers::read_f32);
    }

    /// Reads `example` as whole numbers.
    pub fn read_i64(&self, example: usize, out: &mut [i64]) {
        self.read(example, out, Numbers::read_i64);
    }

    /// Reads `example` as truth values.
    pub fn read_bool(&self, example: usize, out: &mut [u8]) {
        self.read(example, out, Numbers::read_bool);
    }

    /// Example number `example` as `f64`.
    pub fn to_f64(&self, example: usize) -> Vec<f64> {
        let mut values = vec![0.0; self.entries()];
        self.read_f64(example, &mut values);
        values
    }

    fn stored(&self, example: usize) -> usize {
        self.order.as_ref().map_or(example, |order| order[example])
    }

    fn read<T: Copy>(&self, example: usize, out: &mut [T], read: impl Fn(&Numbers, Range<usize>, &mut [T])) {
        assert!(example < self.len(), "example {example} of {}", self.len());
        assert_eq!(out.len(), self.entries(), "the shape of an example");
        let stored = self.stored(example);
        let Some(starts) = &self.starts else {
            return read(&self.numbers, stored * out.len()..(stored + 1) * out.len(), out);
        };
        let width: usize = self.shape[1..].iter().product();
        let range = starts[stored] * width..starts[stored + 1] * width;
        let real = range.len();
        read(&self.numbers, range, &mut out[..real]);
        for at in real..out.len() {
            out[at] = out[at - width];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_read_in_the_wanted_type() {
        let images = Examples::regular(Numbers::U8(vec![0, 1, 2, 255, 4, 5]), 3, vec![2]);
        let (mut wide, mut narrow, mut truth) = ([0.0; 2], [0.0; 2], [9; 2]);
        images.read_f64(1, &mut wide);
        images.read_f32(1, &mut narrow);
        images.read_bool(0, &mut truth);
        assert_eq!((wide, narrow, truth), ([2.0, 255.0], [2.0, 255.0], [0, 1]));
        assert_eq!((images.len(), images.length(0), images.is_ragged()), (3, 2, false));
    }

    #[test]
    fn the_padding_of_a_short_example_repeats_its_last_row() {
        let series = Examples::ragged(Numbers::F32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), &[1, 2], &[2]);
        assert_eq!(series.shape(), [2, 2]);
        assert_eq!(series.to_f64(0), [1.0, 2.0, 1.0, 2.0]);
        assert_eq!(series.to_f64(1), [3.0, 4.0, 5.0, 6.0]);
        assert_eq!((series.length(0), series.length(1)), (1, 2));
        assert_eq!(series.padded_to(3).to_f64(1), [3.0, 4.0, 5.0, 6.0, 5.0, 6.0]);
    }

    #[test]
    fn a_selection_of_a_selection() {
        let all = Examples::regular(Numbers::I64(vec![10, 11, 12, 13]), 4, vec![]);
        let some = all.select(&[3, 1, 0]);
        assert_eq!((0..3).map(|i| some.to_f64(i)[0]).collect::<Vec<_>>(), [13.0, 11.0, 10.0]);
        assert_eq!(some.select(&[2, 0]).to_f64(0), [10.0]);
        assert_eq!(some.select(&[2, 0]).len(), 2);
    }
}
