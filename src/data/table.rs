//! What the columns of a table come to: fields of the schema, whichever format holds the table.
//!
//! A reader finds columns by name here, gives their numbers row by row, and gets the arrays. With
//! `by = "column"`, the rows that agree in that column make one example, in the order of the file.

use super::errors::{self, MissingColumn};
use super::{Array, Columns, FieldRequest, Request};
use crate::base::numbers::Numbers;
use crate::base::span::Span;
use crate::diag::{Diagnostic, Sink};
use std::collections::BTreeMap;

/// The columns a file has, and what is wanted of them.
pub(super) struct Table<'a> {
    pub request: &'a Request<'a>,
    /// The names of the columns, in the order of the file.
    pub header: &'a [String],
    /// Rows of data.
    pub n_rows: usize,
    /// Where a column is named, in a file that can be shown.
    pub named_at: &'a dyn Fn(usize) -> Option<Span>,
}

impl Table<'_> {
    /// Which columns `field` is made of; E0703 if one is not there.
    pub(super) fn columns_of(&self, field: &FieldRequest, sink: &mut Sink) -> Option<Vec<usize>> {
        let mut index = |name: &str, asked: Span, patch: Span| self.column(name, asked, patch, sink);
        match &field.columns {
            Columns::Named => {
                let end = Span { lo: field.ty_span.hi, ..field.ty_span };
                Some(vec![index(&field.name, field.span, end)?])
            }
            Columns::One(name, span) => Some(vec![index(name, *span, *span)?]),
            Columns::Several(names) => {
                let found: Vec<Option<usize>> =
                    names.iter().map(|(name, span)| index(name, *span, *span)).collect();
                found.into_iter().collect()
            }
            Columns::Range((first, first_span), (last, last_span)) => {
                let (lo, hi) = (index(first, *first_span, *first_span), index(last, *last_span, *last_span));
                let (lo, hi) = (lo?, hi?);
                if lo > hi {
                    let span = first_span.to(*last_span);
                    sink.report(errors::backwards(self.request.place.path, first, last, span));
                    return None;
                }
                Some((lo..=hi).collect())
            }
        }
    }

    /// The column that says which example a row belongs to, if the request names one; the outer
    /// `None` is E0703.
    pub(super) fn key(&self, sink: &mut Sink) -> Option<Option<usize>> {
        match &self.request.by {
            Some((column, span)) => Some(Some(self.column(column, *span, *span, sink)?)),
            None => Some(None),
        }
    }

    /// The column called `wanted`, asked for at `asked`; `patch` is what to replace to ask for
    /// another one.
    fn column(&self, wanted: &str, asked: Span, patch: Span, sink: &mut Sink) -> Option<usize> {
        let place = &self.request.place;
        let mut found = (0..self.header.len()).filter(|at| self.header[*at] == wanted);
        match (found.next(), found.next()) {
            (Some(index), None) => Some(index),
            (Some(_), Some(second)) => {
                let second = (self.named_at)(second);
                sink.report(errors::ambiguous_column(place.path, wanted, asked, second));
                None
            }
            (None, _) => {
                let (header, rows) = (self.header, self.n_rows);
                let column = wanted;
                sink.report(errors::no_such_column(&MissingColumn {
                    place,
                    column,
                    asked,
                    patch,
                    header,
                    rows,
                }));
                None
            }
        }
    }

    /// The arrays of all fields, whose numbers are given with how many columns they are of, row by
    /// row: by example if the rows are in `groups`. E0704 and E0706 for what does not fit.
    pub(super) fn arrays(
        &self,
        fields: Vec<(Numbers, usize)>,
        groups: Option<&Groups>,
        sink: &mut Sink,
    ) -> Option<Vec<Array>> {
        let mut arrays = Vec::new();
        for (field, (numbers, width)) in self.request.fields.iter().zip(fields) {
            let array = match groups {
                Some(groups) => groups.array(field, numbers, width),
                None => regular(field, numbers, width),
            };
            match array {
                Ok(array) => arrays.push(array),
                Err(diagnostic) => sink.report(*diagnostic),
            }
        }
        (arrays.len() == self.request.fields.len()).then_some(arrays)
    }
}

/// `[rows]`, or `[rows, columns]` for `columns(…)`.
fn regular(field: &FieldRequest, numbers: Numbers, width: usize) -> Result<Array, Box<Diagnostic>> {
    let mut shape = vec![numbers.len() / width.max(1)];
    shape.extend(several(field, width));
    if field.ragged {
        return Err(Box::new(errors::needs_by(field)));
    }
    Ok(Array::regular(numbers, shape))
}

/// The axis that `columns(…)` adds.
fn several(field: &FieldRequest, width: usize) -> Option<usize> {
    match field.columns {
        Columns::Named | Columns::One(..) => None,
        Columns::Range(..) | Columns::Several(_) => Some(width),
    }
}

/// The rows of a long table by the example they belong to, the examples in the order in which they
/// first appear.
#[derive(Default)]
pub(super) struct Groups {
    numbers: BTreeMap<String, usize>,
    names: Vec<String>,
    rows: Vec<Vec<usize>>,
    n_rows: usize,
}

impl Groups {
    /// The next row belongs to `name`.
    pub(super) fn push(&mut self, name: &str) {
        let group = match self.numbers.get(name) {
            Some(group) => *group,
            None => {
                self.numbers.insert(name.to_owned(), self.names.len());
                self.names.push(name.to_owned());
                self.rows.push(Vec::new());
                self.names.len() - 1
            }
        };
        self.rows[group].push(self.n_rows);
        self.n_rows += 1;
    }

    /// The rows of each group together: `[groups, K?]`, `[groups, K?, columns]`, or `[groups]` for
    /// what is the same in all rows of a group.
    fn array(&self, field: &FieldRequest, numbers: Numbers, width: usize) -> Result<Array, Box<Diagnostic>> {
        let lengths: Vec<usize> = self.rows.iter().map(Vec::len).collect();
        let mut shape = vec![lengths.len()];
        if !field.batch {
            return Err(Box::new(errors::by_needs_batch(field)));
        }
        let axis = several(field, width);
        if field.rank == usize::from(axis.is_some()) {
            // One value for each group.
            let differs = self.rows.iter().position(|rows| {
                let value = |row: usize| (0..width).map(move |at| row * width + at);
                let same = |(a, b): (usize, usize)| numbers.get(a) == numbers.get(b);
                rows.iter().any(|row| !value(*row).zip(value(rows[0])).all(same))
            });
            if let Some(group) = differs {
                return Err(Box::new(errors::differs_in_group(field, &self.names[group])));
            }
            shape.extend(axis);
            return Ok(Array::regular(numbers.rows(self.rows.iter().map(|rows| rows[0]), width), shape));
        }
        let numbers = numbers.rows(self.rows.iter().flatten().copied(), width);
        let longest = lengths.iter().copied().max().unwrap_or(0);
        shape.push(longest);
        shape.extend(axis);
        if field.ragged {
            return Ok(Array { numbers, shape, lengths: Some(lengths) });
        }
        match lengths.iter().position(|length| *length != longest) {
            Some(at) => Err(Box::new(errors::unequal_groups(field, &self.names[at], lengths[at], longest))),
            None => Ok(Array::regular(numbers, shape)),
        }
    }
}
