//! A `data` item to paste, from the header of a file: what `nodec schema FILE` prints.

use csv::{ReaderBuilder, Trim};
use std::fmt::Write as _;

/// The declaration for a comma-separated `text` that the program would call `path`. Columns that
/// are not numbers throughout become comments that show the first cell at fault. The item's name
/// and the fields' names are made of the file's and the columns'; `Err` says why there is none.
pub fn schema(path: &str, text: &str) -> Result<String, String> {
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
    let stem = path.rsplit(['/', '\\']).next().unwrap_or(path).split('.').next().unwrap_or(path);
    let mut item = format!("data {} = csv(\"{}\") {{\n", identifier(stem), escaped(path));
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
