//! `idx`: one array as the MNIST files hold it.
//!
//! Two zero bytes, the element type, the number of axes, each axis as a big-endian 32-bit number,
//! then the entries, big-endian and row-major. Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST
//! database of handwritten digits", section "File formats".

use super::npy::MAX_AXES;
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
    Some((vec![array.checked(field, &request.place, sink)?], rows))
}

/// The array, or why there is none, in words that complete "cannot read `f`: …".
pub(super) fn array(bytes: &[u8]) -> Result<Array, String> {
    let [0, 0, element, rank, rest @ ..] = bytes else {
        return Err(String::from("it is no IDX file: it does not begin with two zero bytes"));
    };
    let rank = usize::from(*rank);
    if rank > MAX_AXES {
        return Err(format!("it has {rank} axes, more than {MAX_AXES}"));
    }
    let (axes, data) = rest.split_at_checked(4 * rank).ok_or("it is cut short")?;
    let axis = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().expect("chunks of four")) as usize;
    let shape: Vec<usize> = axes.chunks_exact(4).map(axis).collect();
    let count = shape.iter().try_fold(1, |product: usize, size| product.checked_mul(*size));
    macro_rules! decode {
        ($from:ident, $to:ident, $out:ident) => {{
            let one = |chunk: &[u8]| {
                let bytes = chunk.try_into().expect("chunks of the width of the type");
                $to::from($from::from_be_bytes(bytes))
            };
            (size_of::<$from>(), Numbers::$out(data.chunks_exact(size_of::<$from>()).map(one).collect()))
        }};
    }
    let (width, numbers) = match element {
        0x08 => (1, Numbers::U8(data.to_vec())),
        0x09 => decode!(i8, i32, I32),
        0x0B => decode!(i16, i32, I32),
        0x0C => decode!(i32, i32, I32),
        0x0D => decode!(f32, f32, F32),
        0x0E => decode!(f64, f64, F64),
        other => return Err(format!("it is no IDX file: {other:#04x} is no element type")),
    };
    match count.and_then(|count| count.checked_mul(width)) {
        Some(size) if size == data.len() => Ok(Array::regular(numbers, shape)),
        Some(size) => Err(format!("its header asks for {size} bytes of numbers, there are {}", data.len())),
        None => Err(String::from("its shape is too large")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_of_bytes() {
        let bytes = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 1, 7, 255];
        assert_eq!(array(&bytes), Ok(Array::regular(Numbers::U8(vec![7, 255]), vec![2, 1])));
        for end in 0..bytes.len() {
            assert!(array(&bytes[..end]).is_err(), "cut at {end}");
        }
    }
}
