//! E07xx: what a data file can do wrong, one named constructor each.

use super::{Columns, FieldRequest, Place, Request};
use crate::base::span::Span;
use crate::diag::{Code, Diagnostic, Edit};
use std::path::Path;

/// The file is not there, or is not what it should be. `reason` completes "cannot read `f`: …".
pub fn unreadable(place: &Place<'_>, reason: &str) -> Diagnostic {
    let Place { path, span, folder } = place;
    Diagnostic::new(Code("E0701"), format!("cannot read `{path}`: {reason}"), *span, reason)
        .help(format!("paths are relative to the model's folder; looked in `{}`", shown(folder)))
}

/// A program is checked without a file it names. `sizes` are those only the file knows.
pub fn checked_without(place: &Place<'_>, data: &str, sizes: &[String]) -> Diagnostic {
    let Place { path, span, folder } = place;
    let unchecked = match sizes {
        [] => String::from("not checked: what is in the file; its shape was taken from the schema"),
        [size] => {
            format!(
                "not checked: what is in the file, and what needs the size `{size}` as a number: starting values, events, the method"
            )
        }
        sizes => format!(
            "not checked: what is in the file, and what needs the sizes {} as numbers: starting values, events, the method",
            listed(sizes)
        ),
    };
    Diagnostic::new(
        Code("W0701"),
        format!("`{path}` is not there, so `{data}` was checked by its schema alone"),
        *span,
        "no such file",
    )
    .note(unchecked)
    .help(format!("paths are relative to the model's folder; looked in `{}`", shown(folder)))
}

/// The file holds no row of data. `header` says whether it has at least a header.
pub fn empty(place: &Place<'_>, header: bool) -> Diagnostic {
    let path = place.path;
    let (message, label) = if header {
        (format!("`{path}` has a header and no rows"), "not a single row of data")
    } else {
        (format!("`{path}` is empty"), "nothing in this file")
    };
    Diagnostic::new(Code("E0702"), message, place.span, label)
        .help("the first line must name the columns and every other line be a row of data")
}

/// An array without entries.
pub fn no_numbers(place: &Place<'_>, shape: &[usize]) -> Diagnostic {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    let message = format!("an array in `{}` has the shape [{}] and no numbers", place.path, sizes.join(", "));
    Diagnostic::new(Code("E0702"), message, place.span, "an axis of length 0")
        .help("every axis must have at least one entry")
}

/// Where times go back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GoesBack {
    /// Which example, from 1, if there are many.
    pub example: Option<usize>,
    /// Which row, from 1.
    pub row: usize,
    /// The time in the row before.
    pub before: f64,
    /// The time in this row.
    pub time: f64,
}

/// The data field at `path`, declared at `field`, is the times of a path at `used` and goes back.
pub fn goes_back(path: &str, field: Span, used: Span, back: &GoesBack) -> Diagnostic {
    let GoesBack { example, row, before, time } = back;
    let example = example.map_or(String::new(), |example| format!("example {example}, "));
    let message = format!("{example}row {row} of `{path}`: the time {time} comes after {before}");
    Diagnostic::new(Code("E0707"), message, field, "these times must ascend")
        .label(used, "a path goes from knot to knot")
        .help("sort the rows of the file by this column")
}

/// What `no_such_column` needs to know about the line of the schema and the file.
pub struct MissingColumn<'a> {
    /// The file.
    pub place: &'a Place<'a>,
    /// The column asked for.
    pub column: &'a str,
    /// What asked: the field's name, or the string in `column("…")`.
    pub asked: Span,
    /// What to replace to ask for another column: nothing after the type of the field, or the
    /// string of `column("…")`.
    pub patch: Span,
    /// The columns there are.
    pub header: &'a [String],
    /// Rows of data in the file.
    pub rows: usize,
}

/// The file has no column of that name.
pub fn no_such_column(missing: &MissingColumn<'_>) -> Diagnostic {
    let MissingColumn { place, column, asked, patch, header, rows } = missing;
    let path = place.path;
    let message = format!("`{path}` has no column `{column}`");
    let has = format!("has the columns {} ({rows} {})", listed(header), plural(*rows, "row", "rows"));
    let explicit = patch.lo != patch.hi;
    let label = if explicit { "asked for here" } else { "declared here" };
    let mut diagnostic = Diagnostic::new(Code("E0703"), message, *asked, label).label(place.span, has);
    if header.iter().all(|name| name.parse::<f64>().is_ok()) {
        return diagnostic.help("the first line of the file must name the columns");
    }
    diagnostic = diagnostic.help(format!("`nodec schema {path}` prints a declaration to paste"));
    match closest_column(column, header) {
        Some(name) => {
            let quoted = format!("\"{name}\"");
            let text = if explicit { quoted } else { format!(" = column({quoted})") };
            diagnostic.fix("say which column it is", vec![Edit { span: *patch, text }])
        }
        None => diagnostic,
    }
}

/// Two columns share the name asked for. `second` is where the second is named, if that can be shown.
pub fn ambiguous_column(path: &str, column: &str, asked: Span, second: Option<Span>) -> Diagnostic {
    let message = format!("`{path}` has two columns called `{column}`");
    let diagnostic = Diagnostic::new(Code("E0703"), message, asked, "which of the two?");
    let labelled = match second {
        Some(second) => diagnostic.label(second, "the second one"),
        None => diagnostic,
    };
    labelled.help("rename one of them in the file")
}

/// A column of a typed table that holds `holds`, which are no numbers.
pub fn not_numbers(field: &FieldRequest, place: &Place<'_>, column: &str, holds: &str) -> Diagnostic {
    let message = format!("`{}`: the column `{column}` holds {holds}, not numbers", place.path);
    Diagnostic::new(Code("E0705"), message, field.ty_span, "declared here as numbers")
        .label(place.span, "found in this file")
        .help(
            "store it as numbers: a date or a time as seconds or days since a start, a label as 0, 1, 2, ...",
        )
}

/// The column that groups the rows of a typed table holds what no group can be told by.
pub fn no_key(place: &Place<'_>, column: &str, span: Span, holds: &str) -> Diagnostic {
    let message = format!("`{}`: the column `{column}` holds {holds}, which name no examples", place.path);
    Diagnostic::new(Code("E0705"), message, span, "rows are grouped by this column")
        .help("texts, whole numbers and truth values in every row say which example a row belongs to")
}

/// A row has more or fewer cells than the header. `span` is the row in the file.
pub fn ragged(
    path: &str,
    row: usize,
    found: usize,
    header: usize,
    span: Span,
    header_span: Span,
) -> Diagnostic {
    Diagnostic::new(
        Code("E0704"),
        format!(
            "row {row} of `{path}` has {found} {}, the header has {header}",
            plural(found, "cell", "cells")
        ),
        span,
        format!("{found} here"),
    )
    .label(header_span, format!("{header} here"))
    .help("leave no cell out, and put quotes around a cell that holds a comma: `\"a, b\"`")
}

/// A quote opens a cell and the file ends inside it.
pub fn open_quote(path: &str, span: Span) -> Diagnostic {
    Diagnostic::new(
        Code("E0705"),
        format!("a quoted cell of `{path}` is never closed"),
        span,
        "the rest of the file is inside this quote",
    )
    .help("close it with `\"`; a quote inside a quoted cell is written twice")
}

/// The columns are not separated by commas.
pub fn wrong_separator(place: &Place<'_>, separator: char, header: Span) -> Diagnostic {
    let path = place.path;
    let name = match separator {
        '\t' => String::from("tabs"),
        other => format!("`{other}`"),
    };
    Diagnostic::new(
        Code("E0703"),
        format!("`{path}` has its columns separated by {name}, not by commas"),
        header,
        "this is one column",
    )
    .label(place.span, "read as a comma-separated file")
    .help("save it with commas between the cells, and with a point in decimal numbers")
}

/// The axes of a field are not those of the file.
pub fn other_shape(field: &str, written: &str, batch: bool, found: &[usize], ty_span: Span) -> Diagnostic {
    let written = match (batch, written) {
        (true, "" | "[]" | "a scalar") => String::from("[batch]"),
        (true, written) => format!("[batch, {}", written.trim_start_matches('[')),
        (false, written) => written.to_owned(),
    };
    let found: Vec<String> = found.iter().map(usize::to_string).collect();
    let found = format!("[{}]", found.join(", "));
    let message = format!("the schema gives `{field}` the shape {written}, in the data it is {found}");
    Diagnostic::new(Code("E0704"), message, ty_span, format!("{found} in the data")).help(
        "`batch` counts examples; every other axis of the data stands in the schema by a name or a number",
    )
}

/// The length of an axis is another than the schema says; `known` is what the schema comes to.
pub fn other_size(field: &str, dim: &str, known: Option<i64>, found: usize, ty_span: Span) -> Diagnostic {
    let is = match known {
        Some(known) if known.to_string() != dim => format!("{dim}, which is {known}"),
        Some(_) | None => dim.to_owned(),
    };
    let message = format!("the schema gives an axis of `{field}` the length {is}, the data have {found}");
    Diagnostic::new(Code("E0704"), message, ty_span, format!("{found} in the data"))
        .help("name the size, as in `[T]`, and the data say how long it is")
}

/// Two fields share a ragged axis and an example has different lengths in them.
pub fn lengths_differ(
    size: &str,
    example: usize,
    names: (&str, &str),
    lengths: (usize, usize),
    span: Span,
) -> Diagnostic {
    let message = format!(
        "`{size}` is {} in `{}` and {} in `{}`, in example {example}",
        lengths.0, names.0, lengths.1, names.1
    );
    Diagnostic::new(Code("E0704"), message, span, format!("shares `{size}`"))
        .help("series of different length need differently named sizes")
}

/// Two fields that share a size got different numbers of rows from their files.
pub fn size_disagreement(size: &str, first: (Span, usize), second: (Span, usize)) -> Diagnostic {
    Diagnostic::new(
        Code("E0704"),
        format!("`{size}` is {} here, and {} elsewhere", second.1, first.1),
        second.0,
        format!("{} here", second.1),
    )
    .label(first.0, format!("{} here", first.1))
    .help("data sets of different length need differently named sizes")
}

/// Why a cell is not the number it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadCell {
    /// There is nothing in it.
    Empty,
    /// It says NaN.
    NotANumber,
    /// It says infinity, or a number beyond the range of `f64`.
    Infinite,
    /// It holds words.
    Text(String),
    /// It holds a fraction where a whole number should be.
    Fraction(String),
    /// It holds a whole number above 2⁵³.
    TooLarge(String),
    /// It holds something else than `true` or `false` where one of them should be.
    NotABool(String),
}

/// A cell does not hold what the schema says. `more` counts further bad cells of this column.
pub fn bad_cell(
    why: &BadCell,
    (row, column): (usize, &str),
    cell: Span,
    declared: Span,
    more: usize,
) -> Diagnostic {
    let place = format!("row {row}, column `{column}`");
    let (message, label) = match why {
        BadCell::Empty => (format!("{place}: the cell is empty"), "a number must stand here".into()),
        BadCell::NotANumber => (format!("{place}: the cell is NaN"), "not a number".into()),
        BadCell::Infinite => (format!("{place}: the number is not finite"), "not finite".into()),
        BadCell::Text(text) => (format!("{place}: expected a number, found `{text}`"), "not a number".into()),
        BadCell::Fraction(text) => {
            (format!("{place}: expected a whole number, found `{text}`"), "not a whole number".into())
        }
        BadCell::TooLarge(text) => {
            (format!("{place}: `{text}` is above 2^53"), String::from("too large to be kept exactly"))
        }
        BadCell::NotABool(text) => {
            (format!("{place}: expected `true` or `false`, found `{text}`"), "neither of them".into())
        }
    };
    let expects = match why {
        BadCell::Fraction(_) | BadCell::TooLarge(_) => "declared here as whole numbers",
        BadCell::NotABool(_) => "declared here as truth values",
        BadCell::Empty | BadCell::NotANumber | BadCell::Infinite | BadCell::Text(_) => {
            "declared here as numbers"
        }
    };
    let mut diagnostic = Diagnostic::new(Code("E0705"), message, cell, label).label(declared, expects);
    if more > 0 {
        let are = plural(more, "cell of this column is", "cells of this column are");
        diagnostic = diagnostic.note(format!("{more} more {are} like this"));
    }
    match why {
        BadCell::Empty | BadCell::NotANumber => {
            diagnostic.help("missing values are not filled in; take the row out of the file")
        }
        BadCell::Fraction(_) => diagnostic.help("declare the field without `int` if fractions are meant"),
        BadCell::Infinite | BadCell::Text(_) | BadCell::TooLarge(_) | BadCell::NotABool(_) => diagnostic,
    }
}

/// `columns("b".."a")` where `a` stands before `b`.
pub fn backwards(path: &str, first: &str, last: &str, span: Span) -> Diagnostic {
    let message = format!("in `{path}` the column `{first}` comes after `{last}`");
    Diagnostic::new(Code("E0703"), message, span, "from the first to the last, in the order of the file")
}

/// A ragged field of a table whose rows are not grouped.
pub fn needs_by(field: &FieldRequest) -> Diagnostic {
    let message = format!("nothing says which rows belong to one example of `{}`", field.name);
    Diagnostic::new(Code("E0706"), message, field.ty_span, "differs from example to example")
        .help("name the column that says it: `csv(\"file.csv\", by = \"patient\")`")
}

/// A field without `batch` in a table whose rows are grouped.
pub fn by_needs_batch(field: &FieldRequest) -> Diagnostic {
    let message = format!("`{}` has no `batch` axis, and `by` makes an example of each group", field.name);
    Diagnostic::new(Code("E0706"), message, field.ty_span, "begins without `batch`")
        .help("write `[batch, K?]` for a series, `[batch]` for one number of each group")
}

/// A number of each group that is not one.
pub fn differs_in_group(field: &FieldRequest, group: &str) -> Diagnostic {
    let message = format!("`{}` differs between the rows of `{group}`", field.name);
    Diagnostic::new(Code("E0706"), message, field.ty_span, "declared as one value for each example")
        .help("declare it `[batch, K?]` if each row has its own")
}

/// Groups of different length where the schema says one.
pub fn unequal_groups(field: &FieldRequest, group: &str, found: usize, longest: usize) -> Diagnostic {
    let message =
        format!("`{group}` has {found} {}, another example {longest}", plural(found, "row", "rows"));
    Diagnostic::new(Code("E0704"), message, field.ty_span, "declared as one length for all examples")
        .help("a `?` after the size lets it differ: `[batch, K?]`")
}

/// A file of one array is asked for several fields, or none.
pub fn one_field(request: &Request<'_>) -> Diagnostic {
    let Request { format, place, fields, .. } = request;
    let count = fields.len();
    let message = format!(
        "`{}` holds one array, the schema has {count} {}",
        place.path,
        plural(count, "field", "fields")
    );
    Diagnostic::new(Code("E0706"), message, place.span, "one file for each field")
        .help(format!("give a list, one file for each field: `{}([\"x.{0}\", \"y.{0}\"])`", format.name()))
}

/// `columns(…)` where the file has no columns.
pub fn no_columns(field: &FieldRequest, request: &Request<'_>) -> Diagnostic {
    let message = format!("`{}` is a file of arrays and has no columns to put together", request.place.path);
    let span = field.columns.span().unwrap_or(field.span);
    Diagnostic::new(Code("E0706"), message, span, "takes columns of a table")
        .help("name one array: `x: [batch, 3] = column(\"x\")`")
}

/// The archive or series file has nothing of that name.
pub fn no_such_array(
    request: &Request<'_>,
    field: &FieldRequest,
    wanted: &str,
    names: &[String],
) -> Diagnostic {
    let path = request.place.path;
    let (_, asked) = field.columns.only(field).unwrap_or((wanted, field.span));
    let message = format!("`{path}` has no array `{wanted}`");
    let diagnostic = Diagnostic::new(Code("E0703"), message, asked, "asked for here")
        .label(request.place.span, format!("has {}", listed(names)))
        .help(format!("`nodec schema {path}` prints a declaration to paste"));
    match (&field.columns, closest_column(wanted, names)) {
        (Columns::Named, Some(name)) => {
            let end = Span { lo: field.ty_span.hi, ..field.ty_span };
            let text = format!(" = column(\"{name}\")");
            diagnostic.fix("say which array it is", vec![Edit { span: end, text }])
        }
        _ => diagnostic,
    }
}

/// Why an entry of an array is not the number it should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BadEntry {
    /// The file has nothing there.
    Missing,
    /// It is NaN.
    NotANumber,
    /// It is infinite.
    Infinite,
    /// It is a fraction where a whole number should be.
    Fraction(f64),
    /// It is a whole number above 2⁵³.
    TooLarge(f64),
    /// It is neither 0 nor 1 where a truth value should be.
    NotABool(f64),
}

/// An entry of an array is not what the schema says. `more` counts further ones.
pub fn bad_entry(
    why: &BadEntry,
    field: &FieldRequest,
    place: &Place<'_>,
    index: &[usize],
    more: usize,
) -> Diagnostic {
    let (message, label) = entry_words(why, place.path, &field.name, index);
    let mut diagnostic =
        Diagnostic::new(Code("E0705"), message, field.ty_span, label).label(place.span, "found in this file");
    if more > 0 {
        diagnostic =
            diagnostic.note(format!("{more} more {} like this", plural(more, "entry is", "entries are")));
    }
    match why {
        BadEntry::NotANumber => diagnostic.help(
            "missing values are not filled in; an axis `T?` may end in rows of NaN, which are left out",
        ),
        BadEntry::Missing => {
            diagnostic.help("missing values are not filled in: leave those rows out, or fill them")
        }
        BadEntry::Fraction(_) => diagnostic.help("declare the field without `int` if fractions are meant"),
        BadEntry::Infinite | BadEntry::TooLarge(_) | BadEntry::NotABool(_) => diagnostic,
    }
}

/// An entry of what a program makes is not what the schema says. `maker` stands at `span`.
pub fn bad_made_entry(
    why: &BadEntry,
    field: &FieldRequest,
    (maker, span): (&str, Span),
    index: &[usize],
) -> Diagnostic {
    let (message, label) = entry_words(why, maker, &field.name, index);
    Diagnostic::new(Code("E0705"), message, field.ty_span, label).label(span, "made by this")
}

fn entry_words(why: &BadEntry, of: &str, field: &str, index: &[usize]) -> (String, &'static str) {
    let index: Vec<String> = index.iter().map(usize::to_string).collect();
    let entry = format!("`{of}`: `{field}[{}]`", index.join(", "));
    match why {
        BadEntry::Missing => (format!("{entry} is missing (null)"), "declared here as numbers"),
        BadEntry::NotANumber => (format!("{entry} is NaN"), "declared here as numbers"),
        BadEntry::Infinite => (format!("{entry} is not finite"), "declared here as numbers"),
        BadEntry::Fraction(value) => {
            (format!("{entry} is {value}, not a whole number"), "declared here as whole numbers")
        }
        BadEntry::TooLarge(value) => {
            (format!("{entry} is {value:e}, above 2^53"), "declared here as whole numbers")
        }
        BadEntry::NotABool(value) => {
            (format!("{entry} is {value}, neither 0 nor 1"), "declared here as truth values")
        }
    }
}

/// A program makes no column of that name.
pub fn no_such_result((maker, span): (&str, Span), column: &str, asked: Span, known: &[&str]) -> Diagnostic {
    let names: Vec<String> = known.iter().map(|name| (*name).to_owned()).collect();
    let message = format!("`{maker}` makes no column `{column}`");
    let has = if names.is_empty() {
        "gives one array without a name".to_owned()
    } else {
        format!("makes {}", listed(&names))
    };
    Diagnostic::new(Code("E0703"), message, asked, "asked for here").label(span, has)
}

/// Several fields out of a function that gives one array.
pub fn one_result(second: &FieldRequest, call: Span) -> Diagnostic {
    let message = format!("this function gives one array, and `{}` would be a second", second.name);
    Diagnostic::new(Code("E0703"), message, second.span, "there is no more")
        .label(call, "gives one array")
        .help("let it give a record: `(x = ..., y = ...)`")
}

/// A field of many examples, of a system that is simulated once.
pub fn one_run(field: &FieldRequest, call: Span) -> Diagnostic {
    let message = format!("`{}` has an axis of examples, and the system is simulated once", field.name);
    Diagnostic::new(Code("E0704"), message, field.ty_span, "counts examples by `batch`")
        .label(call, "simulated once")
        .help("leave `batch` out, cut the series with `windows(..., length = 10)`, or say how many there are, `Truth(n = 100)`")
}

/// `columns(…)` of what a program makes.
pub fn no_columns_made(field: &FieldRequest, maker: &str) -> Diagnostic {
    let message = format!("`{maker}` makes arrays and has no columns to put together");
    let span = field.columns.span().unwrap_or(field.span);
    Diagnostic::new(Code("E0706"), message, span, "takes columns of a table")
        .help("name one array: `x: [batch, 3] = column(\"x\")`")
}

/// A field of segments without the axes for them.
pub fn not_a_window(field: &FieldRequest) -> Diagnostic {
    let message = format!("`{}` has no place for segments", field.name);
    Diagnostic::new(Code("E0704"), message, field.ty_span, "a segment is an example")
        .help("write `[batch, L]`, or `[batch, L, n]` for rows of several numbers; all segments have the same length")
}

/// An array that holds no series of what the schema says.
pub fn no_series(field: &FieldRequest, shape: &[usize]) -> Diagnostic {
    let message = format!("there are no series for `{}` in an array of shape {shape:?}", field.name);
    Diagnostic::new(Code("E0704"), message, field.ty_span, "segments of series")
        .help("a series is `[T, ..]`, and many are `[series, T, ..]`, where the rows `..` stand in the schema behind `batch` and the length")
}

/// Two fields whose series differ.
pub fn other_series(first: (&FieldRequest, &[usize]), second: (&FieldRequest, &[usize])) -> Diagnostic {
    let words = |(field, lengths): (&FieldRequest, &[usize])| match lengths {
        [only] => format!("`{}` has {only} rows", field.name),
        many => format!(
            "`{}` has {} series, together of {} rows",
            field.name,
            many.len(),
            many.iter().sum::<usize>()
        ),
    };
    let message = format!("{}, {}", words(first), words(second));
    Diagnostic::new(Code("E0704"), message, second.0.ty_span, "would be cut elsewhere")
        .label(first.0.ty_span, "than this")
}

/// No series is as long as a segment.
pub fn too_short_for(length: usize, longest: usize, span: Span) -> Diagnostic {
    let message = format!("no series has {length} rows; the longest has {longest}");
    Diagnostic::new(Code("E0702"), message, span, "would leave no segment")
}

/// More numbers than are kept.
pub fn too_many_numbers(span: Span, count: usize, most: usize) -> Diagnostic {
    let message = format!("a field would hold {count} numbers, at most {most} are kept");
    Diagnostic::new(Code("E0311"), message, span, "makes this many")
}

/// A ragged field needs an axis of examples and one of rows.
pub fn not_ragged(field: &FieldRequest, place: &Place<'_>, shape: &[usize]) -> Diagnostic {
    let message =
        format!("`{}` has shape {shape:?} in `{}`, which has no axis to be ragged", field.name, place.path);
    Diagnostic::new(Code("E0704"), message, field.ty_span, "needs examples and rows")
        .label(place.span, "in this file")
}

/// The array of lengths has another number of examples.
pub fn lengths_count(field: &FieldRequest, place: &Place<'_>, found: usize, examples: usize) -> Diagnostic {
    let message = format!("there are {found} lengths for {examples} examples of `{}`", field.name);
    Diagnostic::new(Code("E0704"), message, field.ty_span, format!("{examples} examples"))
        .label(place.span, "in this file")
}

/// An example without rows, or with more than the array has room for.
pub fn bad_length(
    field: &FieldRequest,
    place: &Place<'_>,
    example: usize,
    length: usize,
    longest: usize,
) -> Diagnostic {
    let message = format!("example {example} of `{}` has the length {length}", field.name);
    let (code, label) = match length {
        0 => (Code("E0702"), String::from("an example needs at least one row")),
        _ => (Code("E0704"), format!("there is room for {longest}")),
    };
    Diagnostic::new(code, message, field.ty_span, label).label(place.span, "in this file")
}

/// A line of a series file that does not fit the rest. `reason` is a sentence about it.
pub fn bad_series(span: Span, message: String, label: &str) -> Diagnostic {
    Diagnostic::new(Code("E0704"), message, span, label)
}

/// A series file is asked for something it does not have.
pub fn no_such_part(place: &Place<'_>, wanted: &str, asked: Span) -> Diagnostic {
    Diagnostic::new(Code("E0703"), format!("a series file has no column `{wanted}`"), asked, "asked for here")
        .label(place.span, "has `time`, `values` and `class`")
        .help("write `x: [batch, T?, C] = column(\"values\")`, `y: int[batch] = column(\"class\")`, `t: [batch, T?] = column(\"time\")`")
}

/// The schema gives the values of a series file another form than they have.
pub fn wrong_series(field: &FieldRequest, form: &str) -> Diagnostic {
    Diagnostic::new(
        Code("E0704"),
        format!("`{}` must be {form}", field.name),
        field.ty_span,
        "has another form here",
    )
}

/// The header name that `wanted` most likely means: equal but for case and surrounding marks,
/// else none, since a guess at a column would be a guess at the data.
fn closest_column<'a>(wanted: &str, header: &'a [String]) -> Option<&'a str> {
    let plain = |name: &str| -> String {
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let wanted = plain(wanted);
    let mut same = header.iter().filter(|name| plain(name) == wanted);
    match (same.next(), same.next()) {
        (Some(name), None) => Some(name),
        (Some(_), Some(_)) | (None, _) => None,
    }
}

/// The first columns in backticks, and how many there are beyond.
fn listed(header: &[String]) -> String {
    const SHOWN: usize = 8;
    let mut names: Vec<String> = header.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    if header.len() > SHOWN {
        names.push(format!("and {} more", header.len() - SHOWN));
    }
    names.join(", ")
}

fn plural<'a>(count: usize, one: &'a str, many: &'a str) -> &'a str {
    if count == 1 { one } else { many }
}

fn shown(folder: &Path) -> String {
    if folder.as_os_str().is_empty() { String::from(".") } else { folder.display().to_string() }
}
