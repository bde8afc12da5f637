//! `parquet`: a table of typed columns, as pandas, Polars, DuckDB and Spark write it.
//!
//! Columns of integers, floats and truth values are read; they may be stored as they are or packed
//! by Snappy or gzip (zstd, which Polars takes unless told otherwise, has a decoder in C only). The
//! format itself is the `parquet` crate's. Source: Apache Parquet, `parquet.thrift` 2.11.

use super::errors::{self, BadEntry};
use super::file::{most_unpacked, too_large};
use super::table::{Groups, Table};
use super::{Array, Request};
use crate::base::numbers::Numbers;
use crate::diag::Sink;
use bytes::Bytes;
use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnDescriptor, Type};
use std::sync::Arc;

/// What the fields ask for, in their order, and the rows of data in the file, at least 1; E0701 to
/// E0706 for what is wrong with it.
pub(super) fn read(request: &Request<'_>, bytes: Vec<u8>, sink: &mut Sink) -> Option<(Vec<Array>, usize)> {
    let file = match File::open(bytes) {
        Ok(file) => file,
        Err(reason) => {
            sink.report(errors::unreadable(&request.place, &reason));
            return None;
        }
    };
    if file.n_rows == 0 {
        sink.report(errors::empty(&request.place, true));
        return None;
    }
    let table = Table { request, header: &file.header, n_rows: file.n_rows, named_at: &|_| None };
    let errors_before = sink.diagnostics().len();
    let key = table.key(sink)?;
    let mut fields = Vec::new();
    for field in &request.fields {
        if let Some(columns) = table.columns_of(field, sink) {
            fields.push((field, columns));
        }
    }
    let n_columns = fields.iter().map(|(_, columns)| columns.len()).sum::<usize>() + 1;
    // A few bytes may stand for any number of equal rows.
    if (file.n_rows as u64).saturating_mul(8 * n_columns as u64) > most_unpacked(file.packed) {
        sink.report(errors::unreadable(&request.place, &too_large(file.packed)));
        return None;
    }
    let mut arrays = Vec::new();
    for (field, columns) in fields {
        let mut parts = Vec::new();
        for column in &columns {
            match file.numbers(*column) {
                Ok(Column { missing: Some((row, more)), .. }) => {
                    sink.report(errors::bad_entry(&BadEntry::Missing, field, &request.place, &[row], more));
                }
                Ok(Column { values, missing: None }) => parts.push(values),
                Err(Fault::Holds(what)) => {
                    let name = &file.header[*column];
                    sink.report(errors::not_numbers(field, &request.place, name, what));
                }
                Err(Fault::Damaged(reason)) => {
                    sink.report(errors::unreadable(&request.place, &reason));
                    return None;
                }
            }
        }
        if parts.len() == columns.len() {
            let width = parts.len();
            let array = Array::regular(side_by_side(parts), vec![file.n_rows, width]);
            // Of one column, the place of an entry is its row.
            let array = if width == 1 { Array { shape: vec![file.n_rows], ..array } } else { array };
            arrays.extend(array.checked(field, &request.place, sink).map(|array| (array.numbers, width)));
        }
    }
    let groups = match key {
        None => None,
        Some(column) => match file.groups(column) {
            Ok(groups) => Some(groups),
            Err(Fault::Holds(what)) => {
                let span = request.by.as_ref().map_or(request.place.span, |(_, span)| *span);
                sink.report(errors::no_key(&request.place, &file.header[column], span, what));
                None
            }
            Err(Fault::Damaged(reason)) => {
                sink.report(errors::unreadable(&request.place, &reason));
                None
            }
        },
    };
    if sink.diagnostics().len() > errors_before {
        return None;
    }
    Some((table.arrays(arrays, groups.as_ref(), sink)?, file.n_rows))
}

/// A table of columns of `f64`, none of them missing, packed by Snappy: the same bytes for the same
/// numbers. Columns must be of one length.
pub fn encoded(columns: &[(&str, &[f64])]) -> Vec<u8> {
    write(columns).expect("columns of one length, written into memory")
}

fn write(columns: &[(&str, &[f64])]) -> Result<Vec<u8>, ParquetError> {
    let field = |name: &str| {
        let column = Type::primitive_type_builder(name, Physical::DOUBLE);
        Ok(Arc::new(column.with_repetition(Repetition::REQUIRED).build()?))
    };
    let fields = columns.iter().map(|(name, _)| field(name)).collect::<Result<Vec<_>, ParquetError>>()?;
    let schema = Arc::new(Type::group_type_builder("table").with_fields(fields).build()?);
    let properties = WriterProperties::builder()
        .set_created_by(String::from("nodec"))
        .set_compression(Compression::SNAPPY)
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    for (_, values) in columns {
        if let Some(mut column) = group.next_column()? {
            column.typed::<DoubleType>().write_batch(values, None, None)?;
            column.close()?;
        }
    }
    group.close()?;
    writer.into_inner()
}

/// The columns of a file with what each holds: `Ok` the element type as a schema writes it (`""`
/// for reals), `Err` what it is instead of numbers.
#[allow(clippy::type_complexity, reason = "a list of columns")]
pub(super) fn columns(bytes: &[u8]) -> Result<Vec<(String, Result<&'static str, &'static str>)>, String> {
    let file = File::open(bytes.to_vec())?;
    let schema = file.reader.metadata().file_metadata().schema_descr();
    let element = |column: &ColumnDescriptor| match (holds(column), column.physical_type()) {
        (Holds::Other(what), _) => Err(what),
        (Holds::Texts, _) => Err("texts"),
        (Holds::Numbers { .. }, Physical::BOOLEAN) => Ok("bool"),
        (Holds::Numbers { .. }, Physical::INT32 | Physical::INT64) => Ok("int"),
        (Holds::Numbers { .. }, _) => Ok(""),
    };
    let each = schema.columns().iter().zip(file.header.iter());
    Ok(each.map(|(column, name)| (name.clone(), element(column))).collect())
}

/// Why a column gives no numbers.
enum Fault {
    /// It holds something else.
    Holds(&'static str),
    /// What of the file cannot be read, in words that complete "cannot read `f`: …".
    Damaged(String),
}

impl From<ParquetError> for Fault {
    fn from(error: ParquetError) -> Fault {
        Fault::Damaged(damaged(&error))
    }
}

fn damaged(error: &ParquetError) -> String {
    format!("it is not a whole Parquet file ({error})")
}

/// What is in a column, by its physical and its logical type.
enum Holds {
    Numbers { unsigned: bool },
    Texts,
    Other(&'static str),
}

fn holds(column: &ColumnDescriptor) -> Holds {
    if column.max_rep_level() > 0 {
        return Holds::Other("lists");
    }
    let unsigned = match (column.logical_type_ref(), column.converted_type()) {
        (Some(LogicalType::Integer(int)), _) => !int.is_signed,
        (Some(LogicalType::Timestamp(_)), _) => return Holds::Other("timestamps"),
        (Some(LogicalType::Time(_)), _) => return Holds::Other("times of day"),
        (Some(LogicalType::Date), _) => return Holds::Other("dates"),
        (Some(LogicalType::Decimal(_)), _) => return Holds::Other("decimals"),
        (Some(_), _) => false,
        (None, ConvertedType::TIMESTAMP_MILLIS | ConvertedType::TIMESTAMP_MICROS) => {
            return Holds::Other("timestamps");
        }
        (None, ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS) => {
            return Holds::Other("times of day");
        }
        (None, ConvertedType::DATE) => return Holds::Other("dates"),
        (None, ConvertedType::DECIMAL) => return Holds::Other("decimals"),
        (None, converted) => matches!(
            converted,
            ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64
        ),
    };
    match column.physical_type() {
        Physical::BOOLEAN | Physical::INT32 | Physical::INT64 | Physical::FLOAT | Physical::DOUBLE => {
            Holds::Numbers { unsigned }
        }
        Physical::BYTE_ARRAY => Holds::Texts,
        Physical::INT96 => Holds::Other("timestamps"),
        Physical::FIXED_LEN_BYTE_ARRAY => Holds::Other("bytes of a fixed length"),
    }
}

/// A column as it is read.
struct Column<T> {
    values: T,
    /// The first row, from 0, in which nothing stands, and how many more of them there are.
    missing: Option<(usize, usize)>,
}

impl<T> Column<T> {
    fn map<U>(self, of: impl FnOnce(T) -> U) -> Column<U> {
        Column { values: of(self.values), missing: self.missing }
    }
}

struct File {
    reader: SerializedFileReader<Bytes>,
    header: Vec<String>,
    n_rows: usize,
    /// Bytes of the file.
    packed: usize,
}

impl File {
    fn open(bytes: Vec<u8>) -> Result<File, String> {
        let packed = bytes.len();
        let reader = SerializedFileReader::new(Bytes::from(bytes)).map_err(|error| damaged(&error))?;
        let metadata = reader.metadata();
        let columns = metadata.file_metadata().schema_descr().columns();
        let header = columns.iter().map(|column| column.path().string()).collect();
        let mut n_rows = 0_usize;
        for group in metadata.row_groups() {
            // The crate takes places and lengths in the file as they come, and panics at some.
            let placed = group.columns().iter().all(|chunk| {
                let first = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
                let start = usize::try_from(first.min(chunk.data_page_offset()));
                let length = usize::try_from(chunk.compressed_size());
                start
                    .ok()
                    .zip(length.ok())
                    .is_some_and(|(start, length)| start.checked_add(length).is_some_and(|end| end <= packed))
            });
            if !placed {
                return Err(String::from("it is not a whole Parquet file (a column lies outside of it)"));
            }
            let rows = usize::try_from(group.num_rows()).ok().and_then(|rows| n_rows.checked_add(rows));
            n_rows = rows.ok_or("its number of rows is none")?;
        }
        Ok(File { reader, header, n_rows, packed })
    }

    /// The numbers of a column.
    fn numbers(&self, column: usize) -> Result<Column<Numbers>, Fault> {
        let descriptor = self.descriptor(column);
        let unsigned = match holds(&descriptor) {
            Holds::Numbers { unsigned } => unsigned,
            Holds::Texts => return Err(Fault::Holds("texts")),
            Holds::Other(what) => return Err(Fault::Holds(what)),
        };
        Ok(match (descriptor.physical_type(), unsigned) {
            (Physical::BOOLEAN, _) => {
                self.values::<BoolType>(column)?.map(|v| Numbers::U8(v.into_iter().map(u8::from).collect()))
            }
            (Physical::INT32, false) => self.values::<Int32Type>(column)?.map(Numbers::I32),
            (Physical::INT32, true) => self
                .values::<Int32Type>(column)?
                .map(|v| Numbers::I64(v.into_iter().map(|x| i64::from(x as u32)).collect())),
            (Physical::INT64, false) => self.values::<Int64Type>(column)?.map(Numbers::I64),
            // Beyond 2⁵³ a whole number is refused wherever it is asked for as one.
            (Physical::INT64, true) => self
                .values::<Int64Type>(column)?
                .map(|v| Numbers::F64(v.into_iter().map(|x| x as u64 as f64).collect())),
            (Physical::FLOAT, _) => self.values::<FloatType>(column)?.map(Numbers::F32),
            (Physical::DOUBLE, _) => self.values::<DoubleType>(column)?.map(Numbers::F64),
            (Physical::INT96 | Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY, _) => {
                return Err(Fault::Holds("bytes"));
            }
        })
    }

    /// The rows by what they hold in a column.
    fn groups(&self, column: usize) -> Result<Groups, Fault> {
        let descriptor = self.descriptor(column);
        if let Holds::Other(what) = holds(&descriptor) {
            return Err(Fault::Holds(what));
        }
        let names = match descriptor.physical_type() {
            Physical::BYTE_ARRAY => self.values::<ByteArrayType>(column)?.map(texts),
            Physical::BOOLEAN => self.values::<BoolType>(column)?.map(names),
            Physical::INT32 => self.values::<Int32Type>(column)?.map(names),
            Physical::INT64 => self.values::<Int64Type>(column)?.map(names),
            Physical::FLOAT | Physical::DOUBLE => return Err(Fault::Holds("fractions")),
            Physical::INT96 | Physical::FIXED_LEN_BYTE_ARRAY => return Err(Fault::Holds("bytes")),
        };
        if names.missing.is_some() {
            return Err(Fault::Holds("rows without anything"));
        }
        let mut groups = Groups::default();
        names.values.iter().for_each(|name| groups.push(name));
        Ok(groups)
    }

    fn descriptor(&self, column: usize) -> Arc<ColumnDescriptor> {
        self.reader.metadata().file_metadata().schema_descr().column(column)
    }

    /// What stands in a flat column whose physical type is that of `T`; a default where nothing does.
    fn values<T: DataType>(&self, column: usize) -> Result<Column<Vec<T::T>>, Fault> {
        let mut found = Column { values: Vec::new(), missing: None };
        for (number, group) in self.reader.metadata().row_groups().iter().enumerate() {
            let chunk = group.column(column);
            if !matches!(
                chunk.compression(),
                Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_)
            ) {
                let name = format!("{}", chunk.compression()).to_lowercase();
                let name = name.split('(').next().unwrap_or_default();
                let reason =
                    format!("it is packed by {name}; write it with `compression=\"snappy\"`, or by gzip");
                return Err(Fault::Damaged(reason));
            }
            let n_rows = usize::try_from(group.num_rows()).unwrap_or(0);
            let reader = self.reader.get_row_group(number)?.get_column_reader(column)?;
            let mut reader = get_typed_column_reader::<T>(reader);
            let (mut present, mut levels, mut read) = (Vec::new(), Vec::new(), 0);
            while read < n_rows {
                match reader.read_records(n_rows - read, Some(&mut levels), None, &mut present)?.0 {
                    0 => return Err(Fault::Damaged(String::from("a column of it is cut short"))),
                    records => read += records,
                }
            }
            let whole = chunk.column_descr().max_def_level();
            if whole == 0 {
                found.values.append(&mut present);
                continue;
            }
            let mut present = present.into_iter();
            for level in levels {
                let value = if level == whole { present.next() } else { None };
                if value.is_none() {
                    let (first, more) =
                        found.missing.map_or((found.values.len(), 0), |(at, more)| (at, more + 1));
                    found.missing = Some((first, more));
                }
                found.values.push(value.unwrap_or_default());
            }
        }
        if found.values.len() == self.n_rows {
            Ok(found)
        } else {
            Err(Fault::Damaged(String::from("its columns have different lengths")))
        }
    }
}

/// The names that whole numbers and truth values are for examples.
fn names<T: std::fmt::Display>(values: Vec<T>) -> Vec<String> {
    values.iter().map(T::to_string).collect()
}

fn texts(values: Vec<ByteArray>) -> Vec<String> {
    values
        .iter()
        .map(
            |text| {
                if text.is_empty() {
                    String::new()
                } else {
                    String::from_utf8_lossy(text.data()).into_owned()
                }
            },
        )
        .collect()
}

/// Columns of one length as rows: as whole numbers if all are.
fn side_by_side(mut columns: Vec<Numbers>) -> Numbers {
    if columns.len() == 1 {
        return columns.remove(0);
    }
    let n_rows = columns.first().map_or(0, Numbers::len);
    let places = || (0..n_rows).flat_map(|row| columns.iter().map(move |column| (column, row)));
    let is_whole = |column: &Numbers| match column {
        Numbers::U8(_) | Numbers::I32(_) | Numbers::I64(_) => true,
        Numbers::F32(_) | Numbers::F64(_) => false,
    };
    if columns.iter().all(is_whole) {
        let mut whole = vec![0; columns.len() * n_rows];
        for ((column, row), value) in places().zip(&mut whole) {
            column.read_i64(row..row + 1, std::slice::from_mut(value));
        }
        return Numbers::I64(whole);
    }
    Numbers::F64(places().map(|(column, row)| column.get(row)).collect())
}
