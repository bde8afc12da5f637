//! E07xx: what a data file can do wrong, one named constructor each.

use crate::base::span::Span;
use crate::diag::{Code, Diagnostic, Edit};
use std::path::Path;

/// The file is not there, or cannot be read as UTF-8 text. `reason` completes "cannot read `f`: …".
pub fn unreadable(path: &str, folder: &Path, path_span: Span, reason: &str) -> Diagnostic {
    Diagnostic::new(Code("E0701"), format!("cannot read `{path}`: {reason}"), path_span, reason)
        .help(format!("paths are relative to the model's folder; looked in `{}`", shown(folder)))
}

/// The file holds no row of data. `header` says whether it has at least a header.
pub fn empty(path: &str, path_span: Span, header: bool) -> Diagnostic {
    let (message, label) = if header {
        (format!("`{path}` has a header and no rows"), "not a single row of data")
    } else {
        (format!("`{path}` is empty"), "nothing in this file")
    };
    Diagnostic::new(Code("E0702"), message, path_span, label)
        .help("the first line must name the columns and every other line be a row of data")
}

/// What `no_such_column` needs to know about the line of the schema and the file.
pub struct MissingColumn<'a> {
    /// The file as the program names it.
    pub path: &'a str,
    /// Where the program names it.
    pub path_span: Span,
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
    let MissingColumn { path, path_span, column, asked, patch, header, rows } = missing;
    let message = format!("`{path}` has no column `{column}`");
    let has = format!("has the columns {} ({rows} {})", listed(header), plural(*rows, "row", "rows"));
    let explicit = patch.lo != patch.hi;
    let label = if explicit { "asked for here" } else { "declared here" };
    let mut diagnostic = Diagnostic::new(Code("E0703"), message, *asked, label).label(*path_span, has);
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

/// Two columns share the name asked for.
pub fn ambiguous_column(path: &str, column: &str, asked: Span, second: Span) -> Diagnostic {
    Diagnostic::new(
        Code("E0703"),
        format!("`{path}` has two columns called `{column}`"),
        asked,
        "which of the two?",
    )
    .label(second, "the second one")
    .help("rename one of them in the file")
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
pub fn wrong_separator(path: &str, path_span: Span, separator: char, header: Span) -> Diagnostic {
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
    .label(path_span, "read as a comma-separated file")
    .help("save it with commas between the cells, and with a point in decimal numbers")
}

/// Two fields that share a size got different numbers of rows from their files.
pub fn size_disagreement(size: &str, first: (Span, usize), second: (Span, usize)) -> Diagnostic {
    Diagnostic::new(
        Code("E0704"),
        format!("`{size}` is {} here, and {} elsewhere", second.1, first.1),
        second.0,
        format!("{} rows", second.1),
    )
    .label(first.0, format!("{} rows", first.1))
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
    };
    let expects = match why {
        BadCell::Fraction(_) | BadCell::TooLarge(_) => "declared here as whole numbers",
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
        BadCell::Infinite | BadCell::Text(_) | BadCell::TooLarge(_) => diagnostic,
    }
}

/// The data source is in the language and not built yet.
pub fn not_built(what: &str, span: Span) -> Diagnostic {
    Diagnostic::new(Code("E0290"), format!("{what} cannot be read yet"), span, "not supported yet")
        .help("plain `csv(\"file.csv\")` is")
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
