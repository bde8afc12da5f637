//! An array out of a file, and whether it holds what the schema says.

use super::errors::{self, BadEntry};
use super::{Element, FieldRequest, Place};
use crate::base::numbers::{Examples, Numbers};
use crate::diag::{Diagnostic, Sink};

/// Numbers in a shape, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The values. Of a ragged array, the rows of all examples end to end.
    pub numbers: Numbers,
    /// Axis lengths, that of the examples first if the field has one. Of a ragged array the second
    /// is the longest example.
    pub shape: Vec<usize>,
    /// Of a ragged array, the length of each example, at least 1.
    pub lengths: Option<Vec<usize>>,
}

/// Largest magnitude below which every whole number is an `f64`.
pub(super) const EXACT: f64 = 9_007_199_254_740_992.0;

impl Array {
    /// A regular array.
    pub fn regular(numbers: Numbers, shape: Vec<usize>) -> Array {
        assert_eq!(numbers.len(), shape.iter().product::<usize>(), "an array of {shape:?}");
        Array { numbers, shape, lengths: None }
    }

    /// Its values by example; the whole is one example if there is no axis of examples.
    pub fn into_examples(self, batch: bool) -> Examples {
        match (self.lengths, batch) {
            (Some(lengths), _) => Examples::ragged(self.numbers, &lengths, &self.shape[2..]),
            (None, true) => Examples::regular(self.numbers, self.shape[0], self.shape[1..].to_vec()),
            (None, false) => Examples::regular(self.numbers, 1, self.shape),
        }
    }

    /// The rows (along the first axis) at `which`, in that order, of a regular array.
    pub fn rows(&self, which: &[usize]) -> Array {
        assert!(self.lengths.is_none(), "a regular array");
        let width: usize = self.shape[1..].iter().product();
        let mut shape = self.shape.clone();
        shape[0] = which.len();
        Array { numbers: self.numbers.rows(which.iter().copied(), width), shape, lengths: None }
    }

    /// The array, unless it is one of no numbers (E0702): a shape like `[2^60, 0]` costs a file
    /// nothing, and whoever counts its rows everything.
    pub(super) fn filled(self, place: &Place<'_>, sink: &mut Sink) -> Option<Array> {
        if self.numbers.is_empty() {
            sink.report(errors::no_numbers(place, &self.shape));
            return None;
        }
        Some(self)
    }

    /// The array with its entries checked against the schema, whole numbers stored as such. One
    /// report (E0705) for the first entry that does not fit.
    pub(super) fn checked(
        mut self,
        field: &FieldRequest,
        place: &Place<'_>,
        sink: &mut Sink,
    ) -> Option<Array> {
        match conforming(self.numbers, field.element) {
            Ok(numbers) => self.numbers = numbers,
            Err((at, why, more)) => {
                let index = position(at, &self.shape);
                sink.report(errors::bad_entry(&why, field, place, &index, more));
                return None;
            }
        }
        Some(self)
    }

    /// The array as `element`, or what is wrong with the first entry that is none, and its index.
    pub fn conforming(mut self, element: Element) -> Result<Array, (BadEntry, Vec<usize>)> {
        match conforming(self.numbers, element) {
            Ok(numbers) => self.numbers = numbers,
            Err((at, why, _)) => return Err((why, position(at, &self.shape))),
        }
        Ok(self)
    }

    /// The padded array `[examples, longest, ..]` of a ragged field without its padding. `lengths`
    /// says how long each example is; without it, rows at the end that are NaN throughout are
    /// padding.
    pub(super) fn packed(
        self,
        lengths: Option<&[usize]>,
        field: &FieldRequest,
        place: &Place<'_>,
    ) -> Result<Array, Box<Diagnostic>> {
        let [examples, longest, row @ ..] = self.shape.as_slice() else {
            return Err(Box::new(errors::not_ragged(field, place, &self.shape)));
        };
        let width: usize = row.iter().product();
        let blank = |at: usize| (at * width..(at + 1) * width).all(|entry| self.numbers.get(entry).is_nan());
        let found: Vec<usize>;
        let lengths = match lengths {
            Some(lengths) => lengths,
            None => {
                let real = |example: usize| {
                    (0..*longest).rev().find(|row| !blank(example * longest + row)).map_or(0, |last| last + 1)
                };
                found = (0..*examples).map(real).collect();
                &found
            }
        };
        if lengths.len() != *examples {
            return Err(Box::new(errors::lengths_count(field, place, lengths.len(), *examples)));
        }
        if let Some(at) = lengths.iter().position(|length| *length == 0 || length > longest) {
            return Err(Box::new(errors::bad_length(field, place, at, lengths[at], *longest)));
        }
        let rows = lengths
            .iter()
            .enumerate()
            .flat_map(|(example, length)| (0..*length).map(move |row| example * longest + row));
        let numbers = self.numbers.rows(rows, width);
        let mut shape = self.shape.clone();
        shape[1] = lengths.iter().copied().max().unwrap_or(0);
        Ok(Array { numbers, shape, lengths: Some(lengths.to_vec()) })
    }
}

/// The numbers as `element`, or the first that is none with how many more there are.
fn conforming(numbers: Numbers, element: Element) -> Result<Numbers, (usize, BadEntry, usize)> {
    let wrong = |value: f64| -> Option<BadEntry> {
        if value.is_nan() {
            return Some(BadEntry::NotANumber);
        }
        if value.is_infinite() {
            return Some(BadEntry::Infinite);
        }
        match element {
            Element::Real => None,
            Element::Int if value.fract() != 0.0 => Some(BadEntry::Fraction(value)),
            Element::Int if value.abs() > EXACT => Some(BadEntry::TooLarge(value)),
            Element::Int => None,
            Element::Bool => (value != 0.0 && value != 1.0).then_some(BadEntry::NotABool(value)),
        }
    };
    let always_fits = matches!(
        (&numbers, element),
        (Numbers::U8(_) | Numbers::I32(_), Element::Real | Element::Int) | (Numbers::I64(_), Element::Real)
    );
    if !always_fits {
        let mut bad = (0..numbers.len()).filter_map(|at| Some((at, wrong(numbers.get(at))?)));
        if let Some((at, why)) = bad.next() {
            return Err((at, why, bad.count()));
        }
    }
    let whole = |element| {
        let mut values = vec![0; numbers.len()];
        numbers.read_i64(0..numbers.len(), &mut values);
        match element {
            Element::Bool => Numbers::U8(values.into_iter().map(|value| value as u8).collect()),
            Element::Int | Element::Real => Numbers::I64(values),
        }
    };
    Ok(match (&numbers, element) {
        (Numbers::F32(_) | Numbers::F64(_), Element::Int) => whole(Element::Int),
        (Numbers::F32(_) | Numbers::F64(_) | Numbers::I32(_) | Numbers::I64(_), Element::Bool) => {
            whole(Element::Bool)
        }
        _ => numbers,
    })
}

/// The index along each axis of entry `at`.
fn position(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|size| {
            let along = at % size;
            at /= size;
            along
        })
        .collect();
    index.reverse();
    index
}
