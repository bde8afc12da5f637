//! A `data` item to paste, from what is in a file: what `nodec schema FILE` prints.

use super::file::gunzipped;
use super::{Array, Format, idx, npy, npz, parquet, ts};
use crate::base::numbers::Numbers;
use csv::{ReaderBuilder, Trim};
use std::fmt::Write as _;

/// The declaration for a file with these bytes that the program would call `path`; its name says
/// which format it has. The item's name and the fields' names are made of the file's and the
/// columns'; `Err` says why there is none.
pub fn schema(path: &str, bytes: &[u8]) -> Result<String, String> {
    let contents: Vec<u8>;
    let bytes = if path.ends_with(".gz") {
        contents = gunzipped(bytes).map_err(|reason| format!("cannot read `{path}`: {reason}"))?;
        &contents
    } else {
        bytes
    };
    let failed = |reason: String| format!("cannot read `{path}`: {reason}");
    let text = || std::str::from_utf8(bytes).map_err(|_| format!("`{path}` is not UTF-8 text"));
    match Format::of_file(path) {
        Some(Format::Npy) => Ok(arrays(path, Format::Npy, &[(None, npy::array(bytes).map_err(failed)?)])),
        Some(Format::Idx) => Ok(arrays(path, Format::Idx, &[(None, idx::array(bytes).map_err(failed)?)])),
        Some(Format::Npz) => {
            let found = npz::decoded(bytes).map_err(failed)?;
            let named: Vec<_> = found.into_iter().map(|(name, array)| (Some(name), array)).collect();
            Ok(arrays(path, Format::Npz, &named))
        }
        Some(Format::Parquet) => Ok(typed_table(path, parquet::columns(bytes).map_err(failed)?)),
        Some(Format::Ts) => series(path, text()?),
        Some(Format::Csv) | None => table(path, text()?),
    }
}

/// The item for arrays, each with its name if it has one. The first axis counts examples if all
/// arrays have the same one.
fn arrays(path: &str, format: Format, arrays: &[(Option<String>, Array)]) -> String {
    let mut item = format!("data {} = {}(\"{}\") {{\n", item_name(path), format.name(), escaped(path));
    let first = arrays.first().and_then(|(_, array)| array.shape.first());
    let batch = first.is_some() && arrays.iter().all(|(_, array)| array.shape.first() == first);
    for (name, array) in arrays {
        let element = match &array.numbers {
            Numbers::F32(_) | Numbers::F64(_) => "",
            // Bytes in more than one axis are brightnesses, in one axis they are labels.
            Numbers::U8(_) if array.shape.len() > 1 => "",
            Numbers::U8(_) | Numbers::I32(_) | Numbers::I64(_) => "int",
        };
        let sizes = array.shape.iter().enumerate().map(|(axis, size)| match (axis, batch) {
            (0, true) => String::from("batch"),
            _ => size.to_string(),
        });
        let sizes: Vec<String> = sizes.collect();
        let ty = match (sizes.is_empty(), element) {
            (true, "") => String::from("real"),
            (true, element) => element.to_owned(),
            (false, element) => format!("{element}[{}]", sizes.join(", ")),
        };
        let _ = match name {
            None => writeln!(item, "  x: {ty}"),
            Some(name) if identifier(name) == *name => writeln!(item, "  {name}: {ty}"),
            Some(name) => writeln!(item, "  {}: {ty} = column(\"{}\")", identifier(name), escaped(name)),
        };
    }
    item.push_str("}\n");
    item
}

/// The item for labelled series.
fn series(path: &str, text: &str) -> Result<String, String> {
    let (lengths, channels, classes) =
        ts::form(text).map_err(|reason| format!("cannot read `{path}`: {reason}"))?;
    let equal = lengths.iter().all(|length| *length == lengths[0]);
    let size = if equal { "T" } else { "T?" };
    let mut item = format!("data {} = ts(\"{}\") {{\n", item_name(path), escaped(path));
    let _ = writeln!(item, "  t: [batch, {size}] = column(\"time\")");
    let _ = writeln!(item, "  x: [batch, {size}, {channels}] = column(\"values\")");
    if classes {
        let _ = writeln!(item, "  y: int[batch] = column(\"class\")");
    }
    item.push_str("}\n");
    Ok(item)
}

/// The item for a comma-separated `text`. Columns that are not numbers throughout become comments
/// that show the first cell at fault.
fn table(path: &str, text: &str) -> Result<String, String> {
    let mut reader = ReaderBuilder::new().trim(Trim::All).flexible(true).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    if header.is_empty() {
        return Err(format!("`{path}` is empty"));
    }
    let mut words: Vec<Option<(usize, String)>> = vec![None; header.len()];
    for (at, row) in reader.records().enumerate() {
        let row = row.map_err(|error| error.to_string())?;
        for (word, cell) in words.iter_mut().zip(row.iter()) {
            if word.is_none() && !cell.parse::<f64>().is_ok_and(f64::is_finite) {
                *word = Some((at + 1, cell.to_owned()));
            }
        }
    }
    let mut item = format!("data {} = csv(\"{}\") {{\n", item_name(path), escaped(path));
    for (column, word) in header.iter().zip(words) {
        let name = identifier(column);
        let _ = match word {
            Some((row, cell)) => writeln!(item, "  # `{column}` is not numbers: row {row} holds `{cell}`"),
            None if name == column => writeln!(item, "  {name}: [T]"),
            None => writeln!(item, "  {name}: [T] = column(\"{}\")", escaped(column)),
        };
    }
    item.push_str("}\n");
    Ok(item)
}

/// The item for a table whose columns say what they hold; those that are no numbers become comments.
#[allow(clippy::type_complexity, reason = "a list of columns")]
fn typed_table(path: &str, columns: Vec<(String, Result<&'static str, &'static str>)>) -> String {
    let mut item = format!("data {} = parquet(\"{}\") {{\n", item_name(path), escaped(path));
    for (column, element) in columns {
        let name = identifier(&column);
        let _ = match element {
            Err(holds) => writeln!(item, "  # `{column}` is not numbers: it holds {holds}"),
            Ok(element) if name == column => writeln!(item, "  {name}: {element}[T]"),
            Ok(element) => writeln!(item, "  {name}: {element}[T] = column(\"{}\")", escaped(&column)),
        };
    }
    item.push_str("}\n");
    item
}

/// A name for the item out of the file's.
fn item_name(path: &str) -> String {
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
    identifier(file.split('.').next().unwrap_or(file))
}

/// A name of the language as close to `text` as one can be: other characters become `_`.
fn identifier(text: &str) -> String {
    let joined: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|part| !part.is_empty()).collect();
    let name = joined.join("_");
    match name.chars().next() {
        None => String::from("column_"),
        Some(first) if first.is_numeric() => format!("_{name}"),
        Some(_) => name,
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
