//! The data a program asks for: requests of `sema` carried out by `data`.

use crate::base::span::{Sources, Span};
use crate::data::{self, CsvRequest, Digest, Element};
use crate::diag::{Code, Diagnostic, Sink};
use crate::sema::typed::Elem;
use crate::sema::{DataRequest, FieldRequest};
use crate::syntax::ast::{Arg, Expr, ExprKind};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A data file that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct DataFile {
    /// As the program names it.
    pub path: String,
    /// Rows of data.
    pub rows: usize,
    /// Its fingerprint.
    pub digest: Digest,
}

/// The data of a program.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dataset {
    /// The sizes that the files bind.
    pub sizes: BTreeMap<Arc<str>, usize>,
    /// Shape and values of each field, by path.
    pub fields: BTreeMap<Arc<str>, (Vec<usize>, Vec<f64>)>,
    /// What was read.
    pub files: Vec<DataFile>,
}

/// Reads everything that `requests` ask for, or reports what is wrong with it.
pub(crate) fn load(
    requests: &[DataRequest],
    folder: &Path,
    sources: &mut Sources,
    sink: &mut Sink,
) -> Option<Dataset> {
    let mut dataset = Dataset::default();
    let mut bound: BTreeMap<Arc<str>, (Span, usize)> = BTreeMap::new();
    let mut complete = true;
    for request in requests {
        let Some((path, path_span)) = csv_path(&request.source, sink) else {
            complete = false;
            continue;
        };
        let fields = request.fields.iter().map(|field| asked(field, sources)).collect();
        let csv = CsvRequest { path, folder, path_span, fields };
        let Some(loaded) = data::load_csv(&csv, sources, sink) else {
            complete = false;
            continue;
        };
        for (field, column) in request.fields.iter().zip(loaded.columns) {
            complete &= fits(field, loaded.rows, &mut bound, sink);
            dataset.fields.insert(field.path.clone(), (vec![loaded.rows], column));
        }
        let digest = loaded.digest;
        dataset.files.push(DataFile { path: path.to_owned(), rows: loaded.rows, digest });
    }
    dataset.sizes = bound.into_iter().map(|(name, (_, rows))| (name, rows)).collect();
    complete.then_some(dataset)
}

/// The file of `csv("…")`.
fn csv_path<'a>(source: &'a Expr, sink: &mut Sink) -> Option<(&'a str, Span)> {
    let ExprKind::Call { callee, args } = &source.kind else {
        sink.report(source_not_built("this source of data", source.span));
        return None;
    };
    match (&callee.kind, args.as_slice()) {
        (ExprKind::Name(name), [Arg::Positional(Expr { kind: ExprKind::Str(path), span })])
            if &**name == "csv" =>
        {
            Some((path, *span))
        }
        (ExprKind::Name(name), _) if &**name == "csv" => {
            sink.report(source_not_built("`csv` with anything but the name of a file", source.span));
            None
        }
        _ => {
            sink.report(source_not_built("this source of data", callee.span));
            None
        }
    }
}

fn source_not_built(what: &str, span: Span) -> Diagnostic {
    Diagnostic::new(
        Code("E0290"),
        format!("{what} is not supported yet"),
        span,
        "part of the language, not built",
    )
    .help("`csv(\"file.csv\")` reads columns of numbers")
}

fn asked(field: &FieldRequest, sources: &Sources) -> data::FieldRequest {
    // A column that is named stands between quotes; otherwise the name of the field is the column.
    let named = sources.slice(field.column_span).starts_with('"');
    data::FieldRequest {
        name: field.name.to_string(),
        span: field.name_span,
        element: if field.elem == Elem::Int { Element::Int } else { Element::Real },
        ty_span: field.ty_span,
        column: named.then(|| (field.column.to_string(), field.column_span)),
    }
}

/// Whether a column of `rows` numbers is what the schema says, binding its size if it has a name.
fn fits(
    field: &FieldRequest,
    rows: usize,
    bound: &mut BTreeMap<Arc<str>, (Span, usize)>,
    sink: &mut Sink,
) -> bool {
    let [dim] = field.dims.as_slice() else {
        sink.report(source_not_built("a field that is not one column", field.ty_span));
        return false;
    };
    if let Some(symbol) = dim.as_symbol() {
        let here = (field.ty_span, rows);
        let known = *bound.entry(symbol.name.clone()).or_insert(here);
        if known.1 != rows {
            sink.report(data::errors::size_disagreement(&symbol.name, known, here));
        }
        return known.1 == rows;
    }
    let expected = dim.as_number();
    if expected != i64::try_from(rows).ok() {
        let message = format!("the schema gives `{}` {dim} entries, the file has {rows} rows", field.name);
        let diagnostic =
            Diagnostic::new(Code("E0704"), message, field.ty_span, format!("{rows} rows in the file"))
                .help("name the size, as in `[T]`, and the file says how many there are");
        sink.report(diagnostic);
        return false;
    }
    true
}
