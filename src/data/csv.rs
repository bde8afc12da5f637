//! Columns of numbers out of a comma-separated file.
//!
//! The file becomes a source of its own, so a bad cell is shown where it stands. The first line
//! names the columns; cells may be quoted (RFC 4180) and are trimmed; every cell asked for must be
//! a finite number. Columns nobody asks for may hold anything.

use super::array::EXACT;
use super::errors::{self, BadCell};
use super::table::{Groups, Table};
use super::{Array, Columns, Element, FieldRequest, Request, file};
use crate::base::numbers::Numbers;
use crate::base::span::{SourceId, Sources, Span};
use crate::diag::Sink;
use csv::{ReaderBuilder, StringRecord, Trim};

/// What the fields ask for, in their order, and the rows of data in the file, at least 1; E0701 to
/// E0705 for what is wrong with it. A column is reported once, at its first bad cell.
pub(super) fn read(
    request: &Request<'_>,
    bytes: Vec<u8>,
    sources: &mut Sources,
    sink: &mut Sink,
) -> Option<(Vec<Array>, usize)> {
    let text = file::text(bytes, &request.place, sink)?;
    let source = sources.add(request.place.path, text.as_str());
    Text { text: &text, source, request }.arrays(sink)
}

/// `text`, a comma-separated file that is source `source`, and what is wanted of it.
struct Text<'a> {
    text: &'a str,
    source: SourceId,
    request: &'a Request<'a>,
}

/// The cells of one field as they are read, row by row.
struct Cells<'a> {
    field: &'a FieldRequest,
    columns: Vec<usize>,
    numbers: Vec<f64>,
    /// The first bad cell: its row, counted from 1, its column, and why.
    bad: Option<(usize, StringRecord, usize, BadCell)>,
    n_bad: usize,
}

impl Text<'_> {
    fn arrays(&self, sink: &mut Sink) -> Option<(Vec<Array>, usize)> {
        let errors_before = sink.diagnostics().len();
        let (header, n_rows) = self.header(sink)?;
        let names: Vec<String> = header.iter().map(String::from).collect();
        let named_at = |column| Some(self.cell_span(&header, column));
        let table = Table { request: self.request, header: &names, n_rows, named_at: &named_at };
        let mut cells = Vec::new();
        for field in &self.request.fields {
            if let Some(columns) = table.columns_of(field, sink) {
                let numbers = Vec::with_capacity(n_rows * columns.len());
                cells.push(Cells { field, columns, numbers, bad: None, n_bad: 0 });
            }
        }
        let key = table.key(sink)?;
        let mut groups = key.map(|_| Groups::default());
        let mut records = self.reader();
        let mut record = StringRecord::new();
        let mut at = 0;
        // The header was read before; nothing is left to go wrong with text in memory.
        while records.read_record(&mut record).expect("the text is UTF-8 and in memory") {
            if at > 0 {
                cells.iter_mut().for_each(|cells| cells.push(at, &record));
                if let (Some(key), Some(groups)) = (key, &mut groups) {
                    groups.push(&record[key]);
                }
            }
            at += 1;
        }
        for Cells { field, bad, n_bad, .. } in &cells {
            if let Some((row, record, column, why)) = bad {
                let cell = self.cell_span(record, *column);
                let place = (*row, &header[*column]);
                sink.report(errors::bad_cell(why, place, cell, field.span, n_bad - 1));
            }
        }
        if sink.diagnostics().len() > errors_before {
            return None;
        }
        let typed = |cells: Cells<'_>| (typed(cells.numbers, cells.field.element), cells.columns.len());
        let fields = cells.into_iter().map(typed).collect();
        Some((table.arrays(fields, groups.as_ref(), sink)?, n_rows))
    }

    fn reader(&self) -> csv::Reader<&[u8]> {
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).trim(Trim::All).from_reader(self.text.as_bytes())
    }

    /// The header and the number of rows; none if a row is ragged or there is no row.
    fn header(&self, sink: &mut Sink) -> Option<(StringRecord, usize)> {
        let place = &self.request.place;
        let mut records = self.reader();
        let mut header = StringRecord::new();
        if !records.read_record(&mut header).expect("the text is UTF-8 and in memory") {
            sink.report(errors::empty(place, false));
            return None;
        }
        if let Some(quote) = self.open_quote() {
            sink.report(errors::open_quote(place.path, quote));
            return None;
        }
        if let Some(separator) = other_separator(&header, &self.request.fields) {
            let header = self.record_span(&header);
            sink.report(errors::wrong_separator(place, separator, header));
            return None;
        }
        let mut row = StringRecord::new();
        let mut n_rows = 0;
        while records.read_record(&mut row).expect("the text is UTF-8 and in memory") {
            n_rows += 1;
            if row.len() != header.len() {
                sink.report(errors::ragged(
                    place.path,
                    n_rows,
                    row.len(),
                    header.len(),
                    self.record_span(&row),
                    self.record_span(&header),
                ));
                return None;
            }
        }
        if n_rows == 0 {
            sink.report(errors::empty(place, true));
            return None;
        }
        Some((header, n_rows))
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
    let asked = |field: &FieldRequest| match &field.columns {
        Columns::One(column, _) => column == only,
        Columns::Named | Columns::Range(..) | Columns::Several(_) => false,
    };
    if fields.iter().any(asked) {
        return None;
    }
    [';', '\t', '|'].into_iter().find(|separator| only.contains(*separator))
}

impl Cells<'_> {
    fn push(&mut self, row: usize, record: &StringRecord) {
        for column in &self.columns {
            match number(&record[*column], self.field.element) {
                Ok(number) => self.numbers.push(number),
                Err(why) => {
                    self.n_bad += 1;
                    if self.bad.is_none() {
                        self.bad = Some((row, record.clone(), *column, why));
                    }
                }
            }
        }
    }
}

/// Checked numbers in the element type they are kept in.
fn typed(numbers: Vec<f64>, element: Element) -> Numbers {
    match element {
        Element::Real => Numbers::F64(numbers),
        Element::Int => Numbers::I64(numbers.into_iter().map(|number| number as i64).collect()),
        Element::Bool => Numbers::U8(numbers.into_iter().map(|number| number as u8).collect()),
    }
}

/// The number in a cell.
pub(super) fn number(cell: &str, element: Element) -> Result<f64, BadCell> {
    if cell.is_empty() {
        return Err(BadCell::Empty);
    }
    let number: f64 = match (cell.parse(), element) {
        (Ok(number), _) => number,
        (Err(_), Element::Bool) if cell.eq_ignore_ascii_case("true") => 1.0,
        (Err(_), Element::Bool) if cell.eq_ignore_ascii_case("false") => 0.0,
        (Err(_), _) if cell.eq_ignore_ascii_case("na") || cell.eq_ignore_ascii_case("n/a") => {
            return Err(BadCell::NotANumber);
        }
        (Err(_), _) => return Err(BadCell::Text(cell.to_owned())),
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
        Element::Bool if number != 0.0 && number != 1.0 => Err(BadCell::NotABool(cell.to_owned())),
        Element::Int | Element::Bool => Ok(number),
    }
}
