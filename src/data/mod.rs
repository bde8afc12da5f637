//! Layer 6: data files. A request names a file and the schema lines that ask for what is in it;
//! the answer is arrays of numbers, or diagnostics that point into the program and into the file.
//!
//! A format is a file of this folder and a row of [`Format`]. Nothing here knows what the numbers
//! are for, or which sizes the program gives them: the caller compares shapes.

pub mod array;
pub mod csv;
pub mod digest;
pub mod errors;
pub mod file;
pub mod idx;
pub mod npy;
pub mod npz;
pub mod parquet;
pub mod schema;
pub mod split;
mod table;
pub mod ts;
pub mod windows;

pub use array::Array;
pub use digest::Digest;
pub use file::Place;
pub use schema::schema;
pub use split::{Part, Shares};

use crate::base::span::{Sources, Span};
use crate::diag::Sink;

/// What the entries of a field must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// Any finite number.
    Real,
    /// A whole number no larger than 2⁵³ in magnitude, so that `f64` holds it exactly.
    Int,
    /// `true` or `false`, 1 or 0.
    Bool,
}

/// How a file holds its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a header.
    Csv,
    /// One array of NumPy.
    Npy,
    /// Several arrays of NumPy, by name.
    Npz,
    /// One array as the MNIST files hold it.
    Idx,
    /// A table of typed columns.
    Parquet,
    /// Series as the UEA archive holds them.
    Ts,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 6] =
        [Format::Csv, Format::Npy, Format::Npz, Format::Idx, Format::Parquet, Format::Ts];

    /// As a program calls it, which is also the ending of its files.
    pub fn name(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Npy => "npy",
            Format::Npz => "npz",
            Format::Idx => "idx",
            Format::Parquet => "parquet",
            Format::Ts => "ts",
        }
    }

    /// Whether it holds rows of named columns, which `by` can group.
    pub fn is_table(self) -> bool {
        match self {
            Format::Csv | Format::Parquet => true,
            Format::Npy | Format::Npz | Format::Idx | Format::Ts => false,
        }
    }

    /// The format that a program calls `name`.
    pub fn by_name(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The format of a file, by the end of its name; `.gz` is looked through.
    pub fn of_file(path: &str) -> Option<Format> {
        let plain = path.strip_suffix(".gz").unwrap_or(path);
        let ending = plain.rsplit_once('.').map(|(_, ending)| ending);
        match ending.and_then(Format::by_name) {
            Some(format) => Some(format),
            // The MNIST files are called `train-images-idx3-ubyte`.
            None if plain.contains("idx") && plain.ends_with("ubyte") => Some(Format::Idx),
            None => None,
        }
    }
}

/// What is wanted of one file.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// How the file holds its numbers.
    pub format: Format,
    /// Which file.
    pub place: Place<'a>,
    /// The column that says which example a row belongs to, and where that is written.
    pub by: Option<(String, Span)>,
    /// What is asked for.
    pub fields: Vec<FieldRequest>,
}

/// A line of the schema.
#[derive(Clone, Debug)]
pub struct FieldRequest {
    /// The field, which is also the column unless `columns` says otherwise.
    pub name: String,
    /// Where the name stands.
    pub span: Span,
    /// What its entries must be.
    pub element: Element,
    /// Where the type of the field ends; `= column("…")` would be inserted after it.
    pub ty_span: Span,
    /// Which columns it is made of.
    pub columns: Columns,
    /// Whether its first axis counts examples.
    pub batch: bool,
    /// Axes of one example.
    pub rank: usize,
    /// Whether the first axis of an example differs from example to example.
    pub ragged: bool,
}

/// Which columns (of a table) or arrays (of an archive) a field is made of. Spans are those of the
/// strings, quotes included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Columns {
    /// The one called like the field.
    Named,
    /// `column("…")`
    One(String, Span),
    /// `columns("a".."b")`: from the first to the last in the order of the file.
    Range((String, Span), (String, Span)),
    /// `columns("a", "b")`
    Several(Vec<(String, Span)>),
}

impl Columns {
    /// The name of the only column, and where it is asked for; `None` for `columns(…)`.
    pub fn only<'a>(&'a self, field: &'a FieldRequest) -> Option<(&'a str, Span)> {
        match self {
            Columns::Named => Some((&field.name, field.span)),
            Columns::One(name, span) => Some((name, *span)),
            Columns::Range(..) | Columns::Several(_) => None,
        }
    }

    /// Where they are asked for; `None` if the name of the field does.
    pub fn span(&self) -> Option<Span> {
        match self {
            Columns::Named => None,
            Columns::One(_, span) => Some(*span),
            Columns::Range((_, first), (_, last)) => Some(first.to(*last)),
            Columns::Several(names) => names.iter().map(|(_, span)| *span).reduce(Span::to),
        }
    }
}

/// What a file holds of what was asked for.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// One array for each field of the request, in its order.
    pub arrays: Vec<Array>,
    /// Rows of a table; the first axis of what is no table.
    pub rows: usize,
    /// The file's fingerprint, as it lies on the disk.
    pub digest: Digest,
}

/// The arrays of a data set that come from files of one array each, those of ragged fields without
/// their padding. A field `lengths: int[batch]`, if there is one, says how long each example is.
/// `place` gives the file of each field.
pub fn packed<'a>(
    mut arrays: Vec<Array>,
    fields: &[FieldRequest],
    place: impl Fn(usize) -> Place<'a>,
    sink: &mut Sink,
) -> Option<Vec<Array>> {
    let lengths = fields.iter().position(|field| field.name == "lengths" && field.element == Element::Int);
    let lengths = lengths.and_then(|at| npz::whole(&arrays[at].numbers));
    for (number, field) in fields.iter().enumerate().filter(|(_, field)| field.ragged) {
        let array = arrays[number].clone();
        match array.packed(lengths.as_deref(), field, &place(number)) {
            Ok(packed) => arrays[number] = packed.checked(field, &place(number), sink)?,
            Err(diagnostic) => {
                sink.report(*diagnostic);
                return None;
            }
        }
    }
    Some(arrays)
}

/// Reads what `request` asks for, or reports everything that is wrong with the file: E0701 to
/// E0706.
pub fn load(request: &Request<'_>, sources: &mut Sources, sink: &mut Sink) -> Option<Loaded> {
    let bytes = file::read(&request.place, sink)?;
    let arrays = match request.format {
        Format::Csv => csv::read(request, bytes.contents, sources, sink),
        Format::Npy => npy::read(request, &bytes.contents, sink),
        Format::Npz => npz::read(request, &bytes.contents, sink),
        Format::Idx => idx::read(request, &bytes.contents, sink),
        Format::Parquet => parquet::read(request, bytes.contents, sink),
        Format::Ts => ts::read(request, bytes.contents, sources, sink),
    };
    let (arrays, rows) = arrays?;
    Some(Loaded { arrays, rows, digest: bytes.digest })
}
