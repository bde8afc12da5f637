//! `.ts`: labelled series as the UEA archive holds them.
//!
//! `#` comments, `@` header lines, and after `@data` one example a line: channels separated by
//! `:`, values by `,`, the class last if the header says `@classLabel true`. Such a file has three
//! columns: `values`, `[batch, T, C]` (or `[batch, T]` if there is one channel); `class`,
//! `int[batch]`, the position of the label in the header's list; and `time`, `[batch, T]`, which
//! counts 0, 1, 2, …. Source: A. Bagnall et al., "The UEA multivariate time series classification
//! archive, 2018", arXiv:1811.00075.

use super::csv::number;
use super::{Array, Element, FieldRequest, Place, Request, errors, file};
use crate::base::numbers::Numbers;
use crate::base::span::{SourceId, Sources, Span};
use crate::diag::{Diagnostic, Sink};
use std::path::Path;

/// What the fields ask for, and the number of examples; E0701 to E0705 for what is wrong.
pub(super) fn read(
    request: &Request<'_>,
    bytes: Vec<u8>,
    sources: &mut Sources,
    sink: &mut Sink,
) -> Option<(Vec<Array>, usize)> {
    let text = file::text(bytes, &request.place, sink)?;
    let source = sources.add(request.place.path, text.as_str());
    let series = match Series::parse(&text, source, &request.place) {
        Ok(series) => series,
        Err(diagnostic) => {
            sink.report(*diagnostic);
            return None;
        }
    };
    let mut arrays = Vec::new();
    for field in &request.fields {
        match series.field(field, request) {
            Ok(array) => arrays.push(array),
            Err(diagnostic) => sink.report(*diagnostic),
        }
    }
    (arrays.len() == request.fields.len()).then_some((arrays, series.lengths.len()))
}

/// The lengths of the series of a text, their channels, and whether they have classes.
pub(super) fn form(text: &str) -> Result<(Vec<usize>, usize, bool), String> {
    let mut sources = Sources::new();
    let source = sources.add("series", text);
    let span = Span::new(source, 0, 0);
    let place = Place { path: "the file", span, folder: Path::new("") };
    match Series::parse(text, source, &place) {
        Ok(series) => Ok((series.lengths, series.channels, series.classes.is_some())),
        Err(diagnostic) => Err(diagnostic.message),
    }
}

/// Everything in a file.
struct Series {
    /// The values of all examples end to end, each `[length, channels]`.
    values: Vec<f64>,
    /// The length of each example.
    lengths: Vec<usize>,
    /// Channels of every example.
    channels: usize,
    /// The class of each example, unless the file has none.
    classes: Option<Vec<i64>>,
}

impl Series {
    /// The series of `text`, which is source `source`.
    fn parse(text: &str, source: SourceId, place: &Place<'_>) -> Result<Series, Box<Diagnostic>> {
        let mut labels: Option<Vec<&str>> = None;
        let mut series = Series { values: Vec::new(), lengths: Vec::new(), channels: 0, classes: None };
        let mut classes = Vec::new();
        let mut in_data = false;
        let mut start = 0;
        for raw in text.split_inclusive('\n') {
            let line = raw.trim();
            let lo = start + (raw.len() - raw.trim_start().len());
            start += raw.len();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if in_data {
                let line = Line { text: line, source, lo, number: series.lengths.len() + 1 };
                classes.extend(series.push(&line, labels.as_deref())?);
                continue;
            }
            let mut words = line.split_whitespace();
            match words.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "@data" => in_data = true,
                "@classlabel" if words.next().is_some_and(|word| word.eq_ignore_ascii_case("true")) => {
                    labels = Some(words.collect());
                }
                "@timestamps" if words.next().is_some_and(|word| word.eq_ignore_ascii_case("true")) => {
                    let reason = "its values have time stamps, which are not supported";
                    return Err(Box::new(errors::unreadable(place, reason)));
                }
                word if word.starts_with('@') => {}
                _ => {
                    let reason = "it is no series file: a line of its header does not begin with `@`";
                    return Err(Box::new(errors::unreadable(place, reason)));
                }
            }
        }
        if series.lengths.is_empty() {
            return Err(Box::new(errors::empty(place, in_data)));
        }
        series.classes = labels.map(|_| classes);
        Ok(series)
    }

    /// Takes an example; its class if there are any.
    fn push(&mut self, line: &Line<'_>, labels: Option<&[&str]>) -> Result<Option<i64>, Box<Diagnostic>> {
        let (values, class) = match labels {
            None => (line.text, None),
            Some(labels) => {
                let (values, label) = line.text.rsplit_once(':').unwrap_or(("", line.text));
                let known = labels.iter().position(|known| *known == label.trim());
                let span = line.span(line.text.len() - label.len(), label);
                let class = known.ok_or_else(|| {
                    let message =
                        format!("example {}: the class `{}` is not in the header", line.number, label.trim());
                    Box::new(errors::bad_series(span, message, "not one of `@classLabel`"))
                })?;
                (values, Some(class as i64))
            }
        };
        let mut channels = Vec::new();
        let mut at = 0;
        for channel in values.split(':') {
            let mut cells = Vec::new();
            for cell in channel.split(',') {
                let value = number(cell.trim(), Element::Real).map_err(|why| {
                    let place = (line.number, "values");
                    let span = line.span(at, cell);
                    let why = if cell.trim() == "?" { errors::BadCell::NotANumber } else { why };
                    Box::new(errors::bad_cell(&why, place, span, span, 0))
                })?;
                cells.push(value);
                at += cell.len() + 1;
            }
            channels.push(cells);
        }
        let length = channels[0].len();
        if let Some(other) = channels.iter().find(|channel| channel.len() != length) {
            let message =
                format!("example {}: its channels have {length} and {} values", line.number, other.len());
            return Err(Box::new(errors::bad_series(line.span(0, line.text), message, "in this line")));
        }
        if self.channels == 0 {
            self.channels = channels.len();
        }
        if channels.len() != self.channels {
            let message = format!(
                "example {} has {} channels, the first one {}",
                line.number,
                channels.len(),
                self.channels
            );
            return Err(Box::new(errors::bad_series(line.span(0, line.text), message, "in this line")));
        }
        self.values.extend((0..length).flat_map(|t| channels.iter().map(move |channel| channel[t])));
        self.lengths.push(length);
        Ok(class)
    }

    /// What `field` asks for.
    fn field(&self, field: &FieldRequest, request: &Request<'_>) -> Result<Array, Box<Diagnostic>> {
        let Some((name, asked)) = field.columns.only(field) else {
            return Err(Box::new(errors::no_columns(field, request)));
        };
        let wrong = |form: &str| Box::new(errors::wrong_series(field, form));
        if !field.batch {
            return Err(wrong("`[batch, …]`: a series file holds one example a line"));
        }
        match (name, &self.classes) {
            ("class", Some(classes)) => {
                Ok(Array::regular(Numbers::I64(classes.clone()), vec![self.lengths.len()]))
            }
            ("values", _) if self.channels == 1 && field.rank == 1 => {
                self.rows(self.values.clone(), &[], field)
            }
            ("values", _) => self.rows(self.values.clone(), &[self.channels], field),
            ("time", _) => {
                let times = self.lengths.iter().flat_map(|length| (0..*length).map(|at| at as f64));
                self.rows(times.collect(), &[], field)
            }
            _ => Err(Box::new(errors::no_such_part(&request.place, name, asked))),
        }
    }

    fn rows(&self, values: Vec<f64>, row: &[usize], field: &FieldRequest) -> Result<Array, Box<Diagnostic>> {
        let longest = self.lengths.iter().copied().max().unwrap_or(0);
        let mut shape = vec![self.lengths.len(), longest];
        shape.extend_from_slice(row);
        let numbers = Numbers::F64(values);
        if field.ragged {
            return Ok(Array { numbers, shape, lengths: Some(self.lengths.clone()) });
        }
        if self.lengths.iter().any(|length| *length != longest) {
            return Err(Box::new(errors::wrong_series(
                field,
                "`[batch, T?, …]`: its series differ in length",
            )));
        }
        Ok(Array::regular(numbers, shape))
    }
}

/// A line of the data: its text without blanks around it, where that begins, and its number from 1.
struct Line<'a> {
    text: &'a str,
    source: SourceId,
    lo: usize,
    number: usize,
}

impl Line<'_> {
    /// The place of `part`, which begins `at` bytes into the line; blanks around it excluded.
    fn span(&self, at: usize, part: &str) -> Span {
        let lo = self.lo + at + (part.len() - part.trim_start().len());
        Span::new(self.source, lo, lo + part.trim().len())
    }
}
