//! Columns of numbers out of a comma-separated file.
//!
//! A request comes from a `data` item: a path, and for each field the column it wants. The file
//! becomes a source of its own, so a bad cell is shown where it stands. The first line names the
//! columns; cells may be quoted (RFC 4180) and are trimmed; every cell asked for must be a finite
//! number. Columns nobody asks for may hold anything.

use super::errors::{self, BadCell, MissingColumn};
use super::{Digest, Element};
use crate::base::span::{SourceId, Sources, Span};
use crate::diag::Sink;
use csv::{ReaderBuilder, StringRecord, Trim};
use std::path::Path;

/// A `data … = csv("path") { … }` item.
#[derive(Clone, Debug)]
pub struct CsvRequest<'a> {
    /// The file as the program names it, relative to `folder`.
    pub path: &'a str,
    /// The folder of the model.
    pub folder: &'a Path,
    /// The string that names the file.
    pub path_span: Span,
    /// What is asked for.
    pub fields: Vec<FieldRequest>,
}

/// A line of the schema.
#[derive(Clone, Debug)]
pub struct FieldRequest {
    /// The field, which is also the column unless `column` says otherwise.
    pub name: String,
    /// Where the name stands.
    pub span: Span,
    /// What its cells must be.
    pub element: Element,
    /// Where the type of the field ends; `= column("…")` would be inserted after it.
    pub ty_span: Span,
    /// The string of `column("…")` and its place, quotes included.
    pub column: Option<(String, Span)>,
}

/// What a file holds of what was asked for.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// One column for each field of the request, in its order, each `[rows]`.
    pub columns: Vec<Vec<f64>>,
    /// Rows of data, at least 1.
    pub rows: usize,
    /// Which text the file became.
    pub source: SourceId,
    /// Its fingerprint.
    pub digest: Digest,
}

/// Reads what `request` asks for, or reports everything that is wrong with the file: E0701 to
/// E0705, E0290 for a compressed file. A column is reported once, at its first bad cell.
pub fn load_csv(request: &CsvRequest<'_>, sources: &mut Sources, sink: &mut Sink) -> Option<Loaded> {
    let CsvRequest { path, folder, path_span, .. } = *request;
    if path.ends_with(".gz") {
        sink.report(errors::not_built("a compressed file", path_span));
        return None;
    }
    let bytes = match std::fs::read(folder.join(path)) {
        Ok(bytes) => bytes,
        Err(error) => {
            sink.report(errors::unreadable(path, folder, path_span, &reason(&error)));
            return None;
        }
    };
    let digest = Digest::of(&bytes);
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let reason = format!("it is not UTF-8 text (byte {at})");
            sink.report(errors::unreadable(path, folder, path_span, &reason));
            return None;
        }
    };
    if u32::try_from(text.len()).is_err() {
        sink.report(errors::unreadable(path, folder, path_span, "it is larger than 4 GiB"));
        return None;
    }
    let source = sources.add(path, text.as_str());
    let (columns, rows) = Table { text: &text, source }.columns(request, sink)?;
    Some(Loaded { columns, rows, source, digest })
}

/// The numbers in `text`, a comma-separated file that is source `source`.
struct Table<'a> {
    text: &'a str,
    source: SourceId,
}

impl Table<'_> {
    fn columns(&self, request: &CsvRequest<'_>, sink: &mut Sink) -> Option<(Vec<Vec<f64>>, usize)> {
        let errors_before = sink.diagnostics().len();
        let (header, rows) = self.records(request, sink)?;
        let indices: Vec<Option<usize>> = request
            .fields
            .iter()
            .map(|field| self.column_index(field, &header, rows.len(), request, sink))
            .collect();
        let mut columns = Vec::with_capacity(indices.len());
        for (field, index) in request.fields.iter().zip(indices) {
            let Some(index) = index else { continue };
            columns.push(self.column(field, index, &header, &rows, sink));
        }
        (sink.diagnostics().len() == errors_before).then_some((columns, rows.len()))
    }

    /// The header and the rows of data; none if a row is ragged or there is no row.
    fn records(
        &self,
        request: &CsvRequest<'_>,
        sink: &mut Sink,
    ) -> Option<(StringRecord, Vec<StringRecord>)> {
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(Trim::All)
            .from_reader(self.text.as_bytes());
        let mut records = reader.records().map(|record| record.expect("the text is UTF-8 and in memory"));
        let Some(header) = records.next() else {
            sink.report(errors::empty(request.path, request.path_span, false));
            return None;
        };
        if let Some(quote) = self.open_quote() {
            sink.report(errors::open_quote(request.path, quote));
            return None;
        }
        if let Some(separator) = other_separator(&header, &request.fields) {
            let header = self.record_span(&header);
            sink.report(errors::wrong_separator(request.path, request.path_span, separator, header));
            return None;
        }
        let rows: Vec<StringRecord> = records.collect();
        if rows.is_empty() {
            sink.report(errors::empty(request.path, request.path_span, true));
            return None;
        }
        let mut ragged = rows.iter().enumerate().filter(|(_, row)| row.len() != header.len());
        if let Some((at, row)) = ragged.next() {
            sink.report(errors::ragged(
                request.path,
                at + 1,
                row.len(),
                header.len(),
                self.record_span(row),
                self.record_span(&header),
            ));
            return None;
        }
        Some((header, rows))
    }

    /// Which column `field` asks for.
    fn column_index(
        &self,
        field: &FieldRequest,
        header: &StringRecord,
        rows: usize,
        request: &CsvRequest<'_>,
        sink: &mut Sink,
    ) -> Option<usize> {
        let (wanted, asked, patch) = match &field.column {
            Some((column, span)) => (column, *span, *span),
            None => (&field.name, field.span, Span { lo: field.ty_span.hi, ..field.ty_span }),
        };
        let mut found = (0..header.len()).filter(|at| &header[*at] == wanted);
        match (found.next(), found.next()) {
            (Some(index), None) => Some(index),
            (Some(_), Some(second)) => {
                let second = self.cell_span(header, second);
                sink.report(errors::ambiguous_column(request.path, wanted, asked, second));
                None
            }
            (None, _) => {
                let header: Vec<String> = header.iter().map(String::from).collect();
                sink.report(errors::no_such_column(&MissingColumn {
                    path: request.path,
                    path_span: request.path_span,
                    column: wanted,
                    asked,
                    patch,
                    header: &header,
                    rows,
                }));
                None
            }
        }
    }

    /// The numbers of column `index`, with a report if a cell does not hold one.
    fn column(
        &self,
        field: &FieldRequest,
        index: usize,
        header: &StringRecord,
        rows: &[StringRecord],
        sink: &mut Sink,
    ) -> Vec<f64> {
        let mut numbers = Vec::with_capacity(rows.len());
        let mut bad: Vec<(usize, BadCell)> = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            match number(&row[index], field.element) {
                Ok(number) => numbers.push(number),
                Err(why) => bad.push((at, why)),
            }
        }
        if let Some((at, why)) = bad.first() {
            let cell = self.cell_span(&rows[*at], index);
            let place = (at + 1, &header[index]);
            sink.report(errors::bad_cell(why, place, cell, field.span, bad.len() - 1));
        }
        numbers
    }

    /// The quote that opens a cell and is never closed, with the rest of its line. A quote opens a
    /// cell only as its first character; `""` inside is a quote of the text.
    fn open_quote(&self) -> Option<Span> {
        /// Where in a cell the scan stands.
        enum At {
            Start,
            Plain,
            /// Past the quote at this offset.
            Quoted(usize),
            /// Past a quote inside the cell that was opened at this offset.
            SecondQuote(usize),
        }
        let mut at = At::Start;
        for (offset, byte) in self.text.bytes().enumerate() {
            at = match (at, byte) {
                (At::Start, b'"') => At::Quoted(offset),
                (At::Start, 0xEF | 0xBB | 0xBF) if offset < '\u{feff}'.len_utf8() => At::Start,
                (At::Quoted(open), b'"') => At::SecondQuote(open),
                (At::SecondQuote(open), b'"') => At::Quoted(open),
                (At::Quoted(open), _) => At::Quoted(open),
                (At::Start | At::Plain | At::SecondQuote(_), b',' | b'\n' | b'\r') => At::Start,
                (At::Start | At::Plain | At::SecondQuote(_), _) => At::Plain,
            };
        }
        let At::Quoted(open) = at else { return None };
        let line = self.text[open..].lines().next().unwrap_or_default();
        Some(Span::new(self.source, open, open + line.len()))
    }

    /// The bytes of a record, its line end excluded.
    fn record_span(&self, record: &StringRecord) -> Span {
        let cells = (0..record.len()).map(|at| self.cell_span(record, at));
        cells.reduce(Span::to).unwrap_or_else(|| {
            let start = self.record_start(record);
            Span::new(self.source, start, start)
        })
    }

    /// The bytes of cell `index` of `record`, blanks around it excluded, quotes included. The
    /// reader tells where a record starts; the cells are found again by counting the commas that
    /// stand outside quotes.
    fn cell_span(&self, record: &StringRecord, index: usize) -> Span {
        let start = self.record_start(record);
        let rest = &self.text.as_bytes()[start..];
        let mut quoted = false;
        let mut column = 0;
        let mut lo = 0;
        let mut hi = rest.len();
        for (at, byte) in rest.iter().enumerate() {
            match byte {
                b'"' => quoted = !quoted,
                b',' | b'\n' | b'\r' if !quoted => {
                    if column == index || *byte != b',' {
                        hi = at;
                        break;
                    }
                    column += 1;
                    lo = at + 1;
                }
                _ => {}
            }
        }
        let cell = &self.text[start + lo..start + hi];
        let lo = start + lo + (cell.len() - cell.trim_start().len());
        Span::new(self.source, lo, lo + cell.trim().len())
    }

    /// The offset of a record: past the mark that some programs put before UTF-8 text and past
    /// the blank lines that the reader skips.
    fn record_start(&self, record: &StringRecord) -> usize {
        let start = record.position().map_or(0, |position| position.byte() as usize);
        let rest = &self.text[start..];
        start + (rest.len() - rest.trim_start_matches(['\u{feff}', '\r', '\n']).len())
    }
}

/// What the columns are separated by, if the header is one cell that looks like several and that
/// nobody asks for.
fn other_separator(header: &StringRecord, fields: &[FieldRequest]) -> Option<char> {
    let only = if header.len() == 1 { &header[0] } else { return None };
    if fields.iter().any(|field| field.column.as_ref().is_some_and(|(column, _)| column == only)) {
        return None;
    }
    [';', '\t', '|'].into_iter().find(|separator| only.contains(*separator))
}

/// The number in a cell.
fn number(cell: &str, element: Element) -> Result<f64, BadCell> {
    /// Largest magnitude below which every whole number is an `f64`.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if cell.is_empty() {
        return Err(BadCell::Empty);
    }
    let number: f64 = match cell.parse() {
        Ok(number) => number,
        Err(_) if cell.eq_ignore_ascii_case("na") || cell.eq_ignore_ascii_case("n/a") => {
            return Err(BadCell::NotANumber);
        }
        Err(_) => return Err(BadCell::Text(cell.to_owned())),
    };
    if number.is_nan() {
        return Err(BadCell::NotANumber);
    }
    if number.is_infinite() {
        return Err(BadCell::Infinite);
    }
    match element {
        Element::Real => Ok(number),
        Element::Int if number.fract() != 0.0 => Err(BadCell::Fraction(cell.to_owned())),
        Element::Int if number.abs() > EXACT => Err(BadCell::TooLarge(cell.to_owned())),
        Element::Int => Ok(number),
    }
}

/// Why the operating system did not give the file.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => String::from("there is no such file"),
        std::io::ErrorKind::PermissionDenied => String::from("permission denied"),
        std::io::ErrorKind::IsADirectory => String::from("it is a folder"),
        _ => error.to_string(),
    }
}
