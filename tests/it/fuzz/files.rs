//! Files of data: whatever the bytes, a reader gives numbers or says what is wrong.
//!
//! The cases are the valid files of `fuzz/files/` with a few bytes changed, some of them packed
//! again after the change so that checksums do not hide what is inside.

use super::drive;
use super::random::Random;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use nodec::data::schema;
use nodec::{Diagnostics, Model};
use std::io::Write;
use std::path::{Path, PathBuf};

/// How a program may ask for what is in a file of each ending.
const ITEMS: &[(&str, &[&str])] = &[
    (
        "csv",
        &[
            "csv(\"FILE\") { t: [T], y: [T] }",
            "csv(\"FILE\", by = \"id\") { t: [batch, K?], ok: bool[batch, K?], y: int[batch, K?] }",
            "csv(\"FILE\", split = [0.5, 0.25, 0.25], seed = 0) { w: [batch, 2] = columns(\"t\", \"y\") }",
            "csv(\"FILE\") { w: [T, N] = columns(\"t\"..\"a, b\") }",
        ],
    ),
    (
        "npy",
        &[
            "npy(\"FILE\") { x: [batch, 2] }",
            "npy(\"FILE\") { x: [N, M] }",
            "npy(\"FILE\") { x: [batch, K?] }",
            "npy(\"FILE\", split = [0.5, 0.5, 0], seed = 0) { x: int[batch] }",
            "npy(\"FILE\") { x: real }",
        ],
    ),
    (
        "npz",
        &[
            "npz(\"FILE\") { x: [batch, K?] }",
            "npz(\"FILE\") { x: [batch, 3], y: int[batch] }",
            "npz(\"FILE\") { x: [N, 2*M], y: bool[N] = column(\"lengths\") }",
        ],
    ),
    ("idx", &["idx(\"FILE\") { image: [batch, 2, 2] }", "idx(\"FILE\") { x: [N] }"]),
    (
        "parquet",
        &[
            "parquet(\"FILE\") { t: [T], y: int[T] }",
            "parquet(\"FILE\", by = \"id\") { t: [batch, K?], y: [batch, K?] }",
            "parquet(\"FILE\") { w: [batch, 2] = columns(\"t\", \"y\") }",
            "parquet(\"FILE\") { holes: [T] }",
        ],
    ),
    (
        "ts",
        &[
            "ts(\"FILE\") { t: [batch, T?] = column(\"time\"), x: [batch, T?, 2] = column(\"values\"), \
             y: int[batch] = column(\"class\") }",
            "ts(\"FILE\") { x: [batch, T] = column(\"values\") }",
        ],
    ),
];

struct Case {
    /// Which of [`ITEMS`].
    kind: usize,
    packed: bool,
    bytes: Vec<u8>,
}

impl Case {
    fn name(&self) -> String {
        let ending = if self.packed { ".gz" } else { "" };
        format!("f.{}{ending}", ITEMS[self.kind].0)
    }
}

/// The valid files, each with its place among [`ITEMS`].
fn corpus() -> Vec<(usize, bool, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fuzz/files");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 15);
    let read = |path: PathBuf| {
        let name = path.to_str().unwrap().to_owned();
        let plain = name.strip_suffix(".gz").unwrap_or(&name);
        let kind = ITEMS.iter().position(|(ending, _)| plain.ends_with(&format!(".{ending}"))).unwrap();
        (kind, name.ends_with(".gz"), std::fs::read(path).unwrap())
    };
    files.into_iter().map(read).collect()
}

/// Numbers at which something overflows, wraps, or asks for all of memory.
const SIZES: &[u64] =
    &[0, 1, 2, 0x7F, 0xFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 1 << 32, 1 << 60, u64::MAX >> 1, u64::MAX];
const WORDS: &[&str] = &[
    "1152921504606846976",
    "18446744073709551615",
    "-1",
    "0",
    "00",
    "1e999",
    "nan",
    "inf",
    "\u{feff}",
    "\"",
    ",",
    ":",
    "\n",
    "\r\n",
    "(",
    ")",
    "é",
    "'",
    "<f8",
    "|O",
    "True",
    "?",
    "@data",
];

fn mutated(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let to = (at + 1 + random.below(12)).min(bytes.len());
        let at = at.min(to);
        let size = SIZES[random.below(SIZES.len())];
        let written: Vec<u8> = match random.below(9) {
            0 => bytes[at..to].iter().map(|byte| byte ^ 1 << random.below(8)).collect(),
            1 => vec![random.below(256) as u8],
            2 => Vec::new(),
            3 => [&bytes[at..to], &bytes[at..to]].concat(),
            4 => size.to_le_bytes()[..[1, 2, 4, 8][random.below(4)]].to_vec(),
            5 => size.to_be_bytes()[[0, 4, 6, 7][random.below(4)]..].to_vec(),
            6 => random.pick(WORDS).as_bytes().to_vec(),
            7 => {
                let from = random.below(other.len() + 1);
                other[from..(from + 16).min(other.len())].to_vec()
            }
            _ => {
                bytes.truncate(at.max(1));
                continue;
            }
        };
        let over = match (written.is_empty(), random.chance(3)) {
            (true, _) => to,
            (false, true) => at,
            (false, false) => (at + written.len()).min(bytes.len()),
        };
        bytes.splice(at..over, written);
    }
}

/// An archive of one array whose checksum and sizes are right, stored or deflated.
fn archive(name: &str, contents: &[u8], deflated: bool) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(contents);
    let packed = if deflated {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(contents).unwrap();
        encoder.finish().unwrap()
    } else {
        contents.to_vec()
    };
    let name = format!("{name}.npy");
    let mut common = vec![20, 0, 0, 0, 8 * u8::from(deflated), 0, 0, 0, 0x21, 0];
    common.extend(crc.sum().to_le_bytes());
    common.extend((packed.len() as u32).to_le_bytes());
    common.extend((contents.len() as u32).to_le_bytes());
    common.extend([name.len() as u8, 0, 0, 0]);
    let member = [b"PK\x03\x04", common.as_slice(), name.as_bytes(), &packed].concat();
    let directory = [b"PK\x01\x02\x14\x00", common.as_slice(), &[0; 14], name.as_bytes()].concat();
    let mut end = b"PK\x05\x06\0\0\0\0\x01\0\x01\0".to_vec();
    end.extend((directory.len() as u32).to_le_bytes());
    end.extend((member.len() as u32).to_le_bytes());
    end.extend([0, 0]);
    [member, directory, end].concat()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn case(corpus: &[(usize, bool, Vec<u8>)], random: &mut Random) -> Case {
    let (kind, packed, bytes) = &corpus[random.below(corpus.len())];
    let (mut kind, mut packed, mut bytes) = (*kind, *packed, bytes.clone());
    let other = &corpus[random.below(corpus.len())].2;
    mutated(&mut bytes, other, random);
    if !packed && ITEMS[kind].0 == "npy" && random.chance(2) {
        kind = ITEMS.iter().position(|(ending, _)| *ending == "npz").unwrap();
        let name = random.pick(&["x", "y", "lengths"]);
        let deflated = random.chance(2);
        bytes = archive(name, &bytes, deflated);
    } else if random.chance(12) {
        kind = random.below(ITEMS.len());
    }
    if !packed && random.chance(6) {
        packed = true;
        bytes = gzipped(&bytes);
    }
    Case { kind, packed, bytes }
}

/// A folder that goes when it is done with.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The programs that ask for files called `name` in `folder`.
fn models(folder: &Path, name: &str, items: &[&str]) -> Vec<Model> {
    let model = |item: &&str| {
        let item = item.replace("FILE", name);
        let text = format!("data d = {item}\ntime t in 0..1\nstate s = 1.0\ns' = -s\n");
        Model::from_text("m.node", &text, folder.to_path_buf()).unwrap_or_else(|errors| panic!("{errors}"))
    };
    items.iter().map(model).collect()
}

/// Messages point at what is there and are no longer than a screen, whatever the file holds.
fn are_readable(messages: &Diagnostics) {
    for message in messages.iter() {
        assert!(message.message.len() < 2_000, "{} bytes of message", message.message.len());
        let notes: usize = message.notes.iter().map(String::len).sum();
        assert!(notes + message.helps.iter().map(|help| help.text.len()).sum::<usize>() < 2_000);
    }
    assert!(!messages.render().is_empty());
}

#[test]
fn readers() {
    let folder = Folder(std::env::temp_dir().join(format!("nodec-fuzz-readers-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0).unwrap();
    let of_kind = |(ending, items): &(&str, &[&str])| {
        ["", ".gz"].map(|gz| models(&folder.0, &format!("f.{ending}{gz}"), items))
    };
    let models: Vec<[Vec<Model>; 2]> = ITEMS.iter().map(of_kind).collect();
    let corpus = corpus();
    let property = |case: &Case| {
        let name = case.name();
        match schema(&name, &case.bytes) {
            Ok(item) => assert!(item.starts_with("data f"), "{item}"),
            Err(reason) => assert!(reason.len() < 2_000, "{} bytes of reason", reason.len()),
        }
        std::fs::write(folder.0.join(&name), &case.bytes).unwrap();
        for model in &models[case.kind][usize::from(case.packed)] {
            match model.bind().data() {
                Ok(data) => assert!(data.sizes().all(|(_, size)| size <= case.bytes.len() << 11)),
                Err(messages) => are_readable(&messages),
            }
        }
    };
    drive("files", 400, |random| case(&corpus, random), |case| case.bytes.clone(), property);
}

/// The cases begin near what can be read: each valid file is what `nodec schema` says of it.
#[test]
fn the_files_to_begin_with_are_good() {
    for (kind, packed, bytes) in corpus() {
        let case = Case { kind, packed, bytes };
        schema(&case.name(), &case.bytes).unwrap();
    }
}

#[test]
fn a_small_file_that_unpacks_to_a_large_one_is_refused() {
    let zeros = vec![0; 65 << 20];
    let bomb = gzipped(&zeros);
    assert!(bomb.len() < 200 << 10);
    let reason = schema("f.npy.gz", &bomb).unwrap_err();
    assert!(reason.contains("unpack to more than 64 MiB"), "{reason}");
    let reason = schema("f.npz", &archive("x", &zeros, true)).unwrap_err();
    assert!(reason.contains("unpack to more than 64 MiB"), "{reason}");
}
