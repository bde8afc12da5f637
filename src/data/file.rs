//! Files as bytes: found beside the program, unpacked if they are compressed, fingerprinted.

use super::Digest;
use super::errors;
use crate::base::span::Span;
use crate::diag::Sink;
use flate2::read::MultiGzDecoder;
use std::io::Read;
use std::path::Path;

/// A file as a program names it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The string of the program, relative to `folder`.
    pub path: &'a str,
    /// Where that string stands.
    pub span: Span,
    /// The folder of the program.
    pub folder: &'a Path,
}

impl Place<'_> {
    /// Whether there is nothing at all.
    pub fn is_absent(&self) -> bool {
        let found = std::fs::metadata(self.folder.join(self.path));
        found.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    }
}

/// A file that was read.
pub(super) struct Bytes {
    /// What is in it, unpacked.
    pub contents: Vec<u8>,
    /// The fingerprint of the file on the disk.
    pub digest: Digest,
}

/// Largest size of a file once unpacked. Places in a text are 32-bit numbers, and a compressed
/// file may say anything about what it unpacks to.
const LARGEST: u64 = u32::MAX as u64;

/// Reads the file at `place`; E0701 if that cannot be done.
pub(super) fn read(place: &Place<'_>, sink: &mut Sink) -> Option<Bytes> {
    let mut fail = |reason: &str| {
        sink.report(errors::unreadable(place, reason));
        None
    };
    let path = place.folder.join(place.path);
    match std::fs::metadata(&path) {
        Ok(meta) if meta.len() > LARGEST => return fail("it is larger than 4 GiB"),
        Ok(meta) if !meta.is_file() => return fail("it is no file"),
        Ok(_) => {}
        Err(error) => return fail(&words(&error)),
    }
    let packed = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => return fail(&words(&error)),
    };
    let digest = Digest::of(&packed);
    if !place.path.ends_with(".gz") {
        return Some(Bytes { contents: packed, digest });
    }
    match gunzipped(&packed) {
        Ok(contents) => Some(Bytes { contents, digest }),
        Err(reason) => fail(&reason),
    }
}

/// What the gzip file of these bytes holds, or why it is not read, in words that complete
/// "cannot read `f`: …".
pub(super) fn gunzipped(packed: &[u8]) -> Result<Vec<u8>, String> {
    match unpacked(MultiGzDecoder::new(packed), most_unpacked(packed.len())) {
        Ok(Some(contents)) => Ok(contents),
        Ok(None) => Err(too_large(packed.len())),
        Err(error) => Err(format!("it is not a whole gzip file ({error})")),
    }
}

/// The most bytes that a compressed file of `packed` bytes may unpack to. Deflate reaches 1032 to 1
/// (zlib, "Technical Details") on nothing but zeros; what is far beyond numbers written as text is
/// a bomb, or is quickly unpacked by hand.
pub(super) fn most_unpacked(packed: usize) -> u64 {
    (packed as u64).saturating_mul(USUAL_RATIO).clamp(ALWAYS_UNPACKED, LARGEST)
}

const USUAL_RATIO: u64 = 256;
const ALWAYS_UNPACKED: u64 = 64 << 20;

/// Why what is beyond [`most_unpacked`] is not read.
pub(super) fn too_large(packed: usize) -> String {
    let most = most_unpacked(packed) >> 20;
    format!("its {packed} bytes unpack to more than {most} MiB; if that is right, unpack it first")
}

/// Everything that `reader` gives; `None` if it is more than `most` bytes.
pub(super) fn unpacked(reader: impl Read, most: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut contents = Vec::new();
    reader.take(most.saturating_add(1)).read_to_end(&mut contents)?;
    Ok((contents.len() as u64 <= most).then_some(contents))
}

/// The text of a file, or E0701.
pub(super) fn text(bytes: Vec<u8>, place: &Place<'_>, sink: &mut Sink) -> Option<String> {
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            sink.report(errors::unreadable(place, &format!("it is not UTF-8 text (byte {at})")));
            None
        }
    }
}

/// Why the operating system did not give the file.
fn words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => String::from("there is no such file"),
        std::io::ErrorKind::PermissionDenied => String::from("permission denied"),
        _ => error.to_string(),
    }
}
