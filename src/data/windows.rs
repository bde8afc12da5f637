//! Short segments of long series, each of which is an example.
//!
//! A series of `T` rows gives the segments that begin at the rows `0, stride, 2 stride, …` and end
//! within it: `⌊(T - length)/stride⌋ + 1` of them, none if it is shorter than `length`. Segments stand in
//! the order of the series, then of their starts, and never reach over the end of a series.

use super::errors;
use super::{Array, FieldRequest};
use crate::base::span::Span;
use crate::diag::Diagnostic;

/// Most numbers in a field that is cut, or made: a gigabyte of doubles.
pub const MAX_NUMBERS: usize = 1 << 27;

/// How series are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Rows of a segment, at least 1.
    pub length: usize,
    /// Rows between the starts of two segments, at least 1.
    pub stride: usize,
    /// Where the length is written.
    pub span: Span,
}

/// The segments `[batch, length, ..]` of the series in `arrays`, one for each of `fields`: `[T, ..]` is
/// one series, `[series, T, ..]` and a ragged array are many. E0704 if the fields do not agree on their
/// series, E0702 if there is no segment.
pub fn windows(arrays: &[Array], fields: &[FieldRequest], cut: Cut) -> Result<Vec<Array>, Box<Diagnostic>> {
    let mut first: Option<(&FieldRequest, Vec<usize>)> = None;
    let mut segments = Vec::new();
    for (array, field) in arrays.iter().zip(fields) {
        let (lengths, row) = series(array, field)?;
        match &first {
            Some((other, known)) if *known != lengths => {
                return Err(Box::new(errors::other_series((other, known), (field, &lengths))));
            }
            Some(_) => {}
            None => first = Some((field, lengths.clone())),
        }
        let starts = starts(&lengths, cut);
        if starts.is_empty() {
            let longest = lengths.iter().copied().max().unwrap_or(0);
            return Err(Box::new(errors::too_short_for(cut.length, longest, cut.span)));
        }
        let width: usize = row.iter().product();
        let count = starts.len().saturating_mul(cut.length).saturating_mul(width);
        if count > MAX_NUMBERS {
            return Err(Box::new(errors::too_many_numbers(cut.span, count, MAX_NUMBERS)));
        }
        let rows = starts.iter().flat_map(|start| *start..start + cut.length);
        let numbers = array.numbers.rows(rows, width);
        let shape = [&[starts.len(), cut.length], row].concat();
        segments.push(Array::regular(numbers, shape));
    }
    Ok(segments)
}

/// The length of each series of an array, and the shape of a row.
fn series<'a>(array: &'a Array, field: &FieldRequest) -> Result<(Vec<usize>, &'a [usize]), Box<Diagnostic>> {
    // Segments are counted by `batch`, or by a size that has a name.
    let rank = field.rank.saturating_sub(usize::from(!field.batch));
    if field.ragged || rank == 0 {
        return Err(Box::new(errors::not_a_window(field)));
    }
    match (&array.lengths, array.shape.as_slice()) {
        (Some(lengths), [_, _, row @ ..]) => Ok((lengths.clone(), row)),
        (None, [rows, row @ ..]) if array.shape.len() == rank => Ok((vec![*rows], row)),
        (None, [series, rows, row @ ..]) if array.shape.len() == rank + 1 => Ok((vec![*rows; *series], row)),
        (_, shape) => Err(Box::new(errors::no_series(field, shape))),
    }
}

/// The rows at which segments begin, counted through all series.
fn starts(lengths: &[usize], cut: Cut) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut before = 0;
    for length in lengths {
        let last = (length + 1).saturating_sub(cut.length);
        starts.extend((0..last).step_by(cut.stride).map(|start| before + start));
        before += length;
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::span::Sources;

    #[test]
    fn segments_stay_within_their_series() {
        let span = Span::new(Sources::new().add("m.node", ""), 0, 0);
        let starts = |lengths: &[usize], length, stride| starts(lengths, Cut { length, stride, span });
        assert_eq!(starts(&[5], 3, 1), [0, 1, 2]);
        assert_eq!(starts(&[5, 2, 4], 3, 1), [0, 1, 2, 7, 8]);
        assert_eq!(starts(&[5, 4], 2, 2), [0, 2, 5, 7]);
        assert_eq!(starts(&[3], 3, 7), [0]);
        assert!(starts(&[2], 3, 1).is_empty());
    }
}
