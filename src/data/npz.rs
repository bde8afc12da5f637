//! `.npz`: several arrays of NumPy in a ZIP archive, each a `.npy` file called like the array.
//!
//! Read are archives without encryption whose members are stored or deflated, which is what
//! `numpy.savez` and `savez_compressed` write. Source: PKWARE, .ZIP File Format Specification
//! (APPNOTE.TXT) 6.3.9, sections 4.3 and 4.5.3.

use super::{Array, FieldRequest, Request, errors, file, npy};
use crate::base::numbers::Numbers;
use crate::diag::Sink;
use flate2::Crc;
use flate2::read::DeflateDecoder;

/// The arrays that the fields ask for, in their order; E0701 to E0705 for what is wrong.
pub(super) fn read(request: &Request<'_>, bytes: &[u8], sink: &mut Sink) -> Option<(Vec<Array>, usize)> {
    let members = match members(bytes) {
        Ok(members) => members,
        Err(reason) => {
            sink.report(errors::unreadable(&request.place, &reason));
            return None;
        }
    };
    let names: Vec<String> = members.iter().map(|member| member.name.clone()).collect();
    let array = |name: &str| {
        let member = members.iter().find(|member| member.name == name)?;
        Some(member.contents(bytes).and_then(|bytes| npy::array(&bytes)))
    };
    // An array `lengths` says how long the examples of ragged fields are.
    let lengths = match array("lengths") {
        Some(Ok(array)) if request.fields.iter().any(|field| field.ragged) => whole(&array.numbers),
        _ => None,
    };
    let mut arrays = Vec::new();
    let mut rows = 0;
    for field in &request.fields {
        if let Some(array) = asked(request, field, &names, array, lengths.as_deref(), sink) {
            rows = rows.max(array.shape.first().copied().unwrap_or(1));
            arrays.push(array);
        }
    }
    (arrays.len() == request.fields.len()).then_some((arrays, rows))
}

/// The array that `field` asks for.
fn asked(
    request: &Request<'_>,
    field: &FieldRequest,
    names: &[String],
    array: impl Fn(&str) -> Option<Result<Array, String>>,
    lengths: Option<&[usize]>,
    sink: &mut Sink,
) -> Option<Array> {
    let Some((name, _)) = field.columns.only(field) else {
        sink.report(errors::no_columns(field, request));
        return None;
    };
    let found = match array(name) {
        None => {
            sink.report(errors::no_such_array(request, field, name, names));
            return None;
        }
        Some(Err(reason)) => {
            sink.report(errors::unreadable(&request.place, &format!("in its array `{name}`, {reason}")));
            return None;
        }
        Some(Ok(array)) => array.filled(&request.place, sink)?,
    };
    let found = if field.ragged {
        match found.packed(lengths, field, &request.place) {
            Ok(packed) => packed,
            Err(diagnostic) => {
                sink.report(*diagnostic);
                return None;
            }
        }
    } else {
        found
    };
    found.checked(field, &request.place, sink)
}

/// Whole numbers that are not negative; `None` if one is something else.
pub(super) fn whole(numbers: &Numbers) -> Option<Vec<usize>> {
    let values = numbers.to_f64().into_iter();
    values.map(|value| (value >= 0.0 && value.fract() == 0.0).then_some(value as usize)).collect()
}

/// An array of the archive.
struct Member {
    /// Its name without `.npy`.
    name: String,
    /// Whether it is deflated; else it is stored as it is.
    deflated: bool,
    crc: u32,
    packed: usize,
    unpacked: usize,
    /// Where its own header begins.
    header: usize,
}

impl Member {
    /// Its bytes, or what is wrong with them.
    fn contents(&self, archive: &[u8]) -> Result<Vec<u8>, String> {
        let damaged = || format!("the member `{}` of the archive is damaged", self.name);
        let header = archive.get(self.header..).ok_or_else(damaged)?;
        if u32_at(header, 0) != Some(0x0403_4b50) {
            return Err(damaged());
        }
        // Its name and extra fields may be longer here than in the directory.
        let skipped = 30
            + usize::from(u16_at(header, 26).ok_or_else(damaged)?)
            + usize::from(u16_at(header, 28).ok_or_else(damaged)?);
        let packed = header.get(skipped..).and_then(|rest| rest.get(..self.packed)).ok_or_else(damaged)?;
        let contents = if self.deflated {
            let unpacked = file::unpacked(DeflateDecoder::new(packed), self.unpacked as u64);
            unpacked.ok().flatten().ok_or_else(damaged)?
        } else if self.packed == self.unpacked {
            packed.to_vec()
        } else {
            return Err(damaged());
        };
        let mut crc = Crc::new();
        crc.update(&contents);
        if contents.len() != self.unpacked || crc.sum() != self.crc {
            return Err(damaged());
        }
        Ok(contents)
    }
}

/// The arrays in the directory of the archive; members that are no `.npy` are passed over.
fn members(bytes: &[u8]) -> Result<Vec<Member>, String> {
    let not_zip = || String::from("it is not an archive of NumPy (`.npz`)");
    // The record that ends the archive: 22 bytes and a comment of at most 65535.
    let earliest = bytes.len().saturating_sub(22 + 65535);
    let end = (earliest..(bytes.len() + 1).saturating_sub(22))
        .rev()
        .find(|at| u32_at(bytes, *at) == Some(0x0605_4b50))
        .ok_or_else(not_zip)?;
    let count = u16_at(bytes, end + 10).ok_or_else(not_zip)?;
    let mut at = u32_at(bytes, end + 16).ok_or_else(not_zip)? as usize;
    let mut members = Vec::new();
    for _ in 0..count {
        if u32_at(bytes, at) != Some(0x0201_4b50) {
            return Err(String::from("the directory of the archive is damaged"));
        }
        let (member, next) = member(bytes, at).ok_or("the directory of the archive is damaged")?;
        members.extend(member?);
        at = next;
    }
    // Members may share bytes of the archive, so that each alone says little about all.
    let total = members.iter().fold(0_u64, |total, member| total.saturating_add(member.unpacked as u64));
    if total > file::most_unpacked(bytes.len()) {
        return Err(file::too_large(bytes.len()));
    }
    Ok(members)
}

/// The entry of the directory at `at` and where the next one is; the inner `None` if it is no
/// array. `None` if it runs out of the file.
#[allow(clippy::type_complexity, reason = "a name for it would say no more")]
fn member(bytes: &[u8], at: usize) -> Option<(Result<Option<Member>, String>, usize)> {
    let (flags, method) = (u16_at(bytes, at + 8)?, u16_at(bytes, at + 10)?);
    let mut sizes = [u64::from(u32_at(bytes, at + 24)?), u64::from(u32_at(bytes, at + 20)?)];
    let mut header = u64::from(u32_at(bytes, at + 42)?);
    let [name_len, extra_len, comment_len] =
        [28, 30, 32].map(|from| u16_at(bytes, at + from).map(usize::from));
    let (name_at, extra_at) = (at + 46, at + 46 + name_len?);
    let name = String::from_utf8_lossy(bytes.get(name_at..extra_at)?).into_owned();
    let next = extra_at + extra_len? + comment_len?;
    // Sizes that do not fit 32 bits stand in extra field 1, those that are needed in this order.
    let mut extra = bytes.get(extra_at..extra_at + extra_len?)?;
    while let (Some(id), Some(size)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let field = extra.get(4..4 + usize::from(size))?;
        if id == 1 {
            let [unpacked, packed] = &mut sizes;
            let wide = [unpacked, packed, &mut header];
            let needed = wide.into_iter().filter(|value| **value == u64::from(u32::MAX));
            for (value, long) in needed.zip(field.chunks_exact(8)) {
                *value = u64::from_le_bytes(long.try_into().ok()?);
            }
        }
        extra = &extra[4 + usize::from(size)..];
    }
    let Some(array) = name.strip_suffix(".npy") else { return Some((Ok(None), next)) };
    if flags & 1 != 0 || !matches!(method, 0 | 8) {
        return Some((Err(format!("its array `{array}` is encrypted or packed by method {method}")), next));
    }
    let member = Member {
        name: array.to_owned(),
        deflated: method == 8,
        crc: u32_at(bytes, at + 16)?,
        packed: usize::try_from(sizes[1]).ok()?,
        unpacked: usize::try_from(sizes[0]).ok()?,
        header: usize::try_from(header).ok()?,
    };
    Some((Ok(Some(member)), next))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// The bytes of an archive with these arrays, stored as they are: what `numpy.load` reads.
pub fn encoded(arrays: &[(&str, &[usize], &[f64])]) -> Vec<u8> {
    let short = |n: usize| u16::try_from(n).expect("few members with short names").to_le_bytes();
    let long = |n: usize| u32::try_from(n).expect("checkpoints stay below 4 GiB").to_le_bytes();
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for (name, shape, values) in arrays {
        let (name, contents) = (format!("{name}.npy"), npy::encoded(shape, values));
        let mut crc = Crc::new();
        crc.update(&contents);
        // From "version needed" to "length of extra fields": stored, 1980-01-01 00:00.
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        common.extend_from_slice(&crc.sum().to_le_bytes());
        common.extend_from_slice(&long(contents.len()));
        common.extend_from_slice(&long(contents.len()));
        common.extend_from_slice(&short(name.len()));
        common.extend_from_slice(&[0, 0]);
        directory.extend_from_slice(b"PK\x01\x02\x14\x00");
        directory.extend_from_slice(&common);
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&long(bytes.len()));
        directory.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b"PK\x03\x04");
        bytes.extend_from_slice(&common);
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(&contents);
    }
    let start = bytes.len();
    bytes.extend_from_slice(&directory);
    bytes.extend_from_slice(b"PK\x05\x06\x00\x00\x00\x00");
    bytes.extend_from_slice(&short(arrays.len()));
    bytes.extend_from_slice(&short(arrays.len()));
    bytes.extend_from_slice(&long(directory.len()));
    bytes.extend_from_slice(&long(start));
    bytes.extend_from_slice(&[0, 0]);
    bytes
}

/// The arrays of an archive that [`encoded`] or NumPy wrote, by name; why not, in words.
pub fn decoded(bytes: &[u8]) -> Result<Vec<(String, Array)>, String> {
    let members = members(bytes)?;
    let each = members.into_iter().map(|member| {
        let array = member.contents(bytes).and_then(|bytes| npy::array(&bytes))?;
        Ok((member.name, array))
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let bytes = encoded(&[("a", &[2], &[1.5, -0.0]), ("net.fc[0].W", &[1, 1], &[f64::NAN])]);
        let arrays = decoded(&bytes).unwrap();
        assert_eq!(arrays[0], (String::from("a"), Array::regular(Numbers::F64(vec![1.5, -0.0]), vec![2])));
        assert_eq!((arrays[1].0.as_str(), arrays[1].1.shape.as_slice()), ("net.fc[0].W", [1, 1].as_slice()));
        assert!(arrays[1].1.numbers.get(0).is_nan());
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let mut bytes = encoded(&[("a", &[2], &[1.5, 2.5])]);
        let at = bytes.len() - 100;
        bytes[at] ^= 1;
        assert!(decoded(&bytes).is_err());
    }

    #[test]
    fn no_cut_makes_it_panic() {
        let bytes = encoded(&[("a", &[2], &[1.5, 2.5])]);
        for end in 0..bytes.len() {
            assert!(decoded(&bytes[..end]).is_err());
        }
    }
}
