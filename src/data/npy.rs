//! `.npy`: one array as NumPy writes it.
//!
//! Versions 1 to 3 of the format, both byte orders, C and Fortran order; booleans, integers up to 64
//! bits, single and double precision. Source: NumPy Enhancement Proposal 1 and
//! `numpy.lib.format`.

use super::{Array, Request, errors};
use crate::base::numbers::Numbers;
use crate::diag::Sink;

/// The array of the file for its only field; E0701, E0704 or E0705 if that is not possible.
pub(super) fn read(request: &Request<'_>, bytes: &[u8], sink: &mut Sink) -> Option<(Vec<Array>, usize)> {
    let [field] = request.fields.as_slice() else {
        sink.report(errors::one_field(request));
        return None;
    };
    let array = match array(bytes) {
        Ok(array) => array.filled(&request.place, sink)?,
        Err(reason) => {
            sink.report(errors::unreadable(&request.place, &reason));
            return None;
        }
    };
    let rows = array.shape.first().copied().unwrap_or(1);
    if field.ragged {
        // Lengths of the examples are another file; the caller packs the array.
        return Some((vec![array], rows));
    }
    Some((vec![array.checked(field, &request.place, sink)?], rows))
}

/// The array that the bytes of a `.npy` file hold, or why there is none, in words that complete
/// "cannot read `f`: …".
pub(super) fn array(bytes: &[u8]) -> Result<Array, String> {
    let not_npy = || String::from("it is not an array of NumPy (`.npy`)");
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or_else(not_npy)?;
    let (length_bytes, rest) = match rest {
        [1, _, rest @ ..] => (2, rest),
        [2 | 3, _, rest @ ..] => (4, rest),
        [major, ..] => return Err(format!("it has version {major} of the `.npy` format")),
        [] => return Err(not_npy()),
    };
    let cut_short = || String::from("it is cut short");
    let (length, rest) = rest.split_at_checked(length_bytes).ok_or_else(cut_short)?;
    let length = length.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    let (header, data) = rest.split_at_checked(length).ok_or_else(cut_short)?;
    let header = std::str::from_utf8(header).map_err(|_| not_npy())?;
    let Header { descr, fortran_order, shape } = Header::parse(header).ok_or_else(not_npy)?;
    let too_large = || String::from("its shape is too large");
    if shape.len() > MAX_AXES {
        return Err(format!("it has {} axes, more than {MAX_AXES}", shape.len()));
    }
    let count = shape.iter().try_fold(1, |product: usize, size| product.checked_mul(*size));
    let (width, decode) = decoder(&descr).ok_or_else(|| {
        format!("its elements are `{descr}`; readable are bool, integers, single and double precision")
    })?;
    let count = count.ok_or_else(too_large)?;
    let size = count.checked_mul(width).ok_or_else(too_large)?;
    if data.len() != size {
        return Err(format!("its header asks for {size} bytes of numbers, there are {}", data.len()));
    }
    let numbers = decode(data).ok_or_else(|| String::from("it has integers above 2^63"))?;
    let numbers = if fortran_order { row_major(&numbers, &shape) } else { numbers };
    Ok(Array::regular(numbers, shape))
}

/// The most axes. Source: `NPY_MAXDIMS` of NumPy 2.
pub(super) const MAX_AXES: usize = 64;

/// The Python dictionary at the start.
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Header {
    /// `{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }`
    fn parse(text: &str) -> Option<Header> {
        let value = |key: &str| {
            let after = text.split_once(&format!("'{key}'"))?.1.trim_start();
            Some(after.strip_prefix(':')?.trim_start())
        };
        let descr = value("descr")?.strip_prefix('\'')?.split_once('\'')?.0.to_owned();
        let fortran_order = match value("fortran_order")? {
            text if text.starts_with("True") => true,
            text if text.starts_with("False") => false,
            _ => return None,
        };
        let inside = value("shape")?.strip_prefix('(')?.split_once(')')?.0;
        let sizes = inside.split(',').map(str::trim).filter(|size| !size.is_empty());
        let shape = sizes.map(|size| size.trim_end_matches('L').parse().ok()).collect::<Option<_>>()?;
        Some(Header { descr, fortran_order, shape })
    }
}

/// Bytes to numbers; `None` if one does not fit.
type Decode = fn(&[u8]) -> Option<Numbers>;

/// Bytes for each element of dtype `descr`, and how to read them.
fn decoder(descr: &str) -> Option<(usize, Decode)> {
    macro_rules! decode {
        ($from:ident, $read:ident, $to:ident, $out:ident) => {{
            const WIDTH: usize = size_of::<$from>();
            fn all(bytes: &[u8]) -> Option<Numbers> {
                let one = |chunk: &[u8]| {
                    let bytes = chunk.try_into().expect("chunks of the width of the type");
                    $to::try_from($from::$read(bytes)).ok()
                };
                bytes.chunks_exact(WIDTH).map(one).collect::<Option<_>>().map(Numbers::$out)
            }
            Some((WIDTH, all as Decode))
        }};
    }
    match descr {
        "|b1" | "|u1" | "<u1" | ">u1" | "=u1" => Some((1, |bytes| Some(Numbers::U8(bytes.to_vec())))),
        "|i1" | "<i1" | ">i1" => decode!(i8, from_le_bytes, i32, I32),
        "<i2" => decode!(i16, from_le_bytes, i32, I32),
        ">i2" => decode!(i16, from_be_bytes, i32, I32),
        "<u2" => decode!(u16, from_le_bytes, i32, I32),
        ">u2" => decode!(u16, from_be_bytes, i32, I32),
        "<i4" => decode!(i32, from_le_bytes, i32, I32),
        ">i4" => decode!(i32, from_be_bytes, i32, I32),
        "<u4" => decode!(u32, from_le_bytes, i64, I64),
        ">u4" => decode!(u32, from_be_bytes, i64, I64),
        "<i8" => decode!(i64, from_le_bytes, i64, I64),
        ">i8" => decode!(i64, from_be_bytes, i64, I64),
        "<u8" => decode!(u64, from_le_bytes, i64, I64),
        ">u8" => decode!(u64, from_be_bytes, i64, I64),
        "<f4" => decode!(f32, from_le_bytes, f32, F32),
        ">f4" => decode!(f32, from_be_bytes, f32, F32),
        "<f8" => decode!(f64, from_le_bytes, f64, F64),
        ">f8" => decode!(f64, from_be_bytes, f64, F64),
        _ => None,
    }
}

/// Numbers that lie with the first axis running fastest, as row-major ones.
fn row_major(numbers: &Numbers, shape: &[usize]) -> Numbers {
    let place = |mut at: usize| {
        // The index of entry `at` in row-major order, last axis first.
        let mut stride: usize = shape.iter().product();
        let mut found = 0;
        for size in shape.iter().rev() {
            stride /= size;
            found += at % size * stride;
            at /= size;
        }
        found
    };
    numbers.rows((0..numbers.len()).map(place), 1)
}

/// The bytes of a `.npy` file of version 1 with `values` in the shape `shape`, row-major.
pub fn encoded(shape: &[usize], values: &[f64]) -> Vec<u8> {
    assert_eq!(values.len(), shape.iter().product::<usize>(), "an array of {shape:?}");
    let sizes: String = shape.iter().map(|size| format!("{size},")).collect();
    let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({sizes}), }}");
    // Magic, version and length take ten bytes; the whole is a multiple of 64, a newline last.
    header.push_str(&" ".repeat((63 - (10 + header.len()) % 64) % 64));
    header.push('\n');
    let length = u16::try_from(header.len()).expect("a shape is short");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for shape in [vec![], vec![3], vec![2, 3], vec![0, 2]] {
            let values: Vec<f64> = (0..shape.iter().product()).map(|i| i as f64 / 3.0).collect();
            let bytes = encoded(&shape, &values);
            assert_eq!((bytes.len() - 8 * values.len()) % 64, 0);
            assert_eq!(array(&bytes), Ok(Array::regular(Numbers::F64(values), shape)));
        }
    }

    #[test]
    fn fortran_order_becomes_row_major() {
        // [[0, 1, 2], [3, 4, 5]] column by column.
        let numbers = Numbers::U8(vec![0, 3, 1, 4, 2, 5]);
        assert_eq!(row_major(&numbers, &[2, 3]), Numbers::U8(vec![0, 1, 2, 3, 4, 5]));
    }
}
