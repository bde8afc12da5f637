//! A folder of machine code from earlier runs.
//!
//! A [`CodeCache`] knows bytes and the keys they are kept by, a file for each; [`kept`](super::kept) says what they
//! are. Nothing that is wrong with the folder or with a file in it is an error of a run: the code is then made
//! again.
//!
//! What is in the folder will be executed, so that it has to be the user's own. The folder is made with mode
//! 0700 and not used if it belongs to somebody else or others may write to it, and a file is not
//! read unless the same holds of it. A file begins with its key and the SHA3-256 of the rest, so that one that
//! is cut short, damaged or under another's name is none, and is written again. It is written under
//! another name and then renamed, so that nobody sees half of it. When a folder grows beyond its bound, files
//! that have not been read for longest go.

use sha3::{Digest as _, Sha3_256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

/// A folder where machine code is kept from one run to the next, so that a model that was compiled before
/// starts at once. Clones share it.
///
/// Code is found by everything it depends on: the functions with their constants, the processor and what of it
/// is used, the version of this library and the program it is part of. It is the same code that would be made
/// anew, to the last bit. Only code that took long to make is kept. A folder that cannot be used is no error:
/// everything is compiled then, as without one.
///
/// ```no_run
/// # let model = nodec::Model::parse("time t in 0..1\nstate x = 1\nx' = -x")?;
/// let cache = nodec::CodeCache::at("/home/me/.cache/my_program");
/// let run = model.bind().code_cache(&cache).build()?;
/// # Ok::<(), nodec::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CodeCache {
    folder: Arc<Folder>,
    worth: Duration,
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// Most bytes of all files together.
    bound: u64,
    /// Who we are to the file system, once the folder is found to be ours; `None` if it cannot be used.
    owner: OnceLock<Option<Owner>>,
    /// Bytes of all files, as far as we know; `None` before they were counted.
    held: Mutex<Option<u64>>,
    /// How often something was found.
    found: AtomicU64,
}

/// What something is kept by: a SHA3-256 of all that it depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(pub [u8; 32]);

/// Most bytes in a folder, unless said otherwise: some hundreds of models.
const BOUND: u64 = 256 << 20;
/// Code that is made in less is not kept, unless said otherwise: to write it and to read it again takes about as long.
const WORTH: Duration = Duration::from_millis(1);
/// Of the bound, what is left after files had to go, so that not every writer has to look again.
const KEPT: f64 = 0.75;
/// A file that is read says so by its time, but not more often than that.
const FRESH: Duration = Duration::from_secs(24 * 60 * 60);

const MAGIC: [u8; 8] = *b"nodec\0mc";
/// Magic, key, digest of what follows.
const HEADER: usize = 8 + 32 + 32;
/// How files of code end, and those that are being written.
const CODE: &str = "code";
const PARTIAL: &str = "partial";

impl CodeCache {
    /// In this folder, which is made where it is missing and code is to be kept. Holds at most 256 MiB, of
    /// what took at least a millisecond.
    pub fn at(folder: impl Into<PathBuf>) -> CodeCache {
        CodeCache { folder: Arc::new(Folder::new(folder.into(), BOUND)), worth: WORTH }
    }

    /// The same with at most so many bytes.
    #[must_use]
    pub fn bound(self, bytes: u64) -> CodeCache {
        CodeCache { folder: Arc::new(Folder::new(self.folder.path.clone(), bytes)), ..self }
    }

    /// The same for code of functions that took at least so long to compile.
    #[must_use]
    pub fn worth(self, time: Duration) -> CodeCache {
        CodeCache { worth: time, ..self }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder.path
    }

    /// How often code was found, by this one and its clones.
    pub fn found(&self) -> u64 {
        self.folder.found.load(Ordering::Relaxed)
    }

    /// Whether code that took so long is to be kept.
    pub(super) fn is_worth(&self, time: Duration) -> bool {
        time >= self.worth
    }

    /// What is kept by `key`.
    pub(super) fn read(&self, key: &Key) -> Option<Vec<u8>> {
        self.folder.read(key).unwrap_or_else(|error| {
            tracing::debug!("kept code in {}: {error}", self.folder.path.display());
            None
        })
    }

    /// Keeps `body` by `key`.
    pub(super) fn write(&self, key: &Key, body: &[u8]) {
        if let Err(error) = self.folder.write(key, body) {
            tracing::debug!("no code is kept in {}: {error}", self.folder.path.display());
        }
    }
}

impl Folder {
    fn new(path: PathBuf, bound: u64) -> Folder {
        Folder { path, bound, owner: OnceLock::new(), held: Mutex::new(None), found: AtomicU64::new(0) }
    }

    fn read(&self, key: &Key) -> io::Result<Option<Vec<u8>>> {
        let mut file = match File::open(self.place(key)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(owner) = self.owner() else { return Ok(None) };
        let about = file.metadata()?;
        if !about.is_file() || !owner.owns(&about) {
            return Err(io::Error::other("a file that others may have written"));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(about.len().min(self.bound)).unwrap_or(0));
        file.read_to_end(&mut bytes)?;
        let header: Vec<u8> = bytes.drain(..HEADER.min(bytes.len())).collect();
        if header != self::header(key, &bytes) {
            return Err(io::Error::other("a file that is not what was written"));
        }
        let now = SystemTime::now();
        let age = about.modified().ok().and_then(|then| now.duration_since(then).ok());
        if age.is_some_and(|age| age > FRESH) {
            // It is read all the same where its time cannot be set.
            let _ = file.set_modified(now);
        }
        self.found.fetch_add(1, Ordering::Relaxed);
        Ok(Some(bytes))
    }

    fn write(&self, key: &Key, body: &[u8]) -> io::Result<()> {
        let size = (HEADER + body.len()) as u64;
        if self.owner().is_none() || size > self.bound {
            return Ok(());
        }
        let (mut file, partial) = self.partial()?;
        let written = file.write_all(&header(key, body)).and_then(|()| file.write_all(body));
        let placed = written.and_then(|()| fs::rename(&partial, self.place(key)));
        if placed.is_err() {
            let _ = fs::remove_file(&partial);
        }
        placed?;
        self.shrink(size)
    }

    /// Counts `size` more bytes, and removes what is too much.
    fn shrink(&self, size: u64) -> io::Result<()> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_some_and(|held| held + size <= self.bound) {
            *held = held.map(|held| held + size);
            return Ok(());
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            // Whatever else is in the folder is not ours to remove. One of ours may be gone by now.
            if let (true, Ok(about)) = (is_ours(&path), fs::symlink_metadata(&path)) {
                files.push((about.modified()?, about.len(), path));
            }
        }
        let mut sum = files.iter().map(|(_, size, _)| size).sum::<u64>();
        if sum > self.bound {
            files.sort();
            for (_, size, path) in &files {
                if sum as f64 <= KEPT * self.bound as f64 {
                    break;
                }
                // Another process may have been first.
                match fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => sum -= size,
                }
            }
        }
        *held = Some(sum);
        Ok(())
    }

    fn place(&self, key: &Key) -> PathBuf {
        let name: String = key.0.iter().map(|byte| format!("{byte:02x}")).collect();
        self.path.join(name).with_extension(CODE)
    }

    /// A new file that nobody else has, and its name.
    fn partial(&self) -> io::Result<(File, PathBuf)> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // Another process may have had this number once, and left the file.
        let nanos =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
        let name = format!("{}-{number}-{nanos}", std::process::id());
        let path = self.path.join(name).with_extension(PARTIAL);
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok((options.open(&path)?, path))
    }

    /// Who we are, if the folder is ours alone. Looked at once, when something is there to read or write.
    fn owner(&self) -> Option<&Owner> {
        let found = || {
            let owner = self.checked();
            owner.map_err(|error| tracing::debug!("{} is not used: {error}", self.path.display())).ok()
        };
        self.owner.get_or_init(found).as_ref()
    }

    fn checked(&self) -> io::Result<Owner> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.path)?;
        // A file that we make is ours: its owner is who we are.
        let (file, path) = self.partial()?;
        let owner = file.metadata().map(|about| Owner::of(&about));
        fs::remove_file(path)?;
        let owner = owner?;
        match owner.owns(&fs::metadata(&self.path)?) {
            true => Ok(owner),
            false => Err(io::Error::other("others own it or may write to it")),
        }
    }
}

fn header(key: &Key, body: &[u8]) -> Vec<u8> {
    [&MAGIC[..], &key.0, Sha3_256::digest(body).as_slice()].concat()
}

/// Whether a file is named as we name files.
fn is_ours(path: &Path) -> bool {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some(CODE) => stem.len() == 64 && stem.bytes().all(|byte| byte.is_ascii_hexdigit()),
        Some(PARTIAL) => stem.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'),
        _ => false,
    }
}

/// The number of a user, where files have owners.
#[derive(Debug)]
struct Owner {
    #[cfg(unix)]
    user: u32,
}

impl Owner {
    #[cfg(unix)]
    fn of(file: &fs::Metadata) -> Owner {
        Owner { user: std::os::unix::fs::MetadataExt::uid(file) }
    }

    /// Whether something is theirs, and nobody else may write to it.
    #[cfg(unix)]
    fn owns(&self, about: &fs::Metadata) -> bool {
        use std::os::unix::fs::MetadataExt;
        about.uid() == self.user && about.mode() & 0o022 == 0
    }

    #[cfg(not(unix))]
    fn of(_file: &fs::Metadata) -> Owner {
        Owner {}
    }

    #[cfg(not(unix))]
    fn owns(&self, _about: &fs::Metadata) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that is gone afterwards.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(test: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("nodec-store-{}-{test}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Scratch(path)
        }

        fn cache(&self) -> CodeCache {
            CodeCache::at(&self.0)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const A: Key = Key([0xa1; 32]);
    const B: Key = Key([0xb2; 32]);

    #[test]
    fn what_is_written_is_read() {
        let scratch = Scratch::new("read");
        let cache = scratch.cache();
        assert_eq!(cache.read(&A), None);
        assert!(!scratch.0.exists(), "nothing was to be written");
        cache.write(&A, b"some code");
        cache.write(&B, b"");
        assert_eq!((cache.read(&A), cache.read(&B)), (Some(b"some code".to_vec()), Some(Vec::new())));
        cache.write(&A, b"other code");
        assert_eq!(scratch.cache().read(&A), Some(b"other code".to_vec()));
        assert_eq!(cache.found(), 2);
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_is_not_what_was_written_is_none_and_is_repaired() {
        let scratch = Scratch::new("damaged");
        let cache = scratch.cache();
        let body: Vec<u8> = (0..200).collect();
        cache.write(&A, &body);
        cache.write(&B, b"other");
        let (a, b) = (cache.folder.place(&A), cache.folder.place(&B));
        let good = fs::read(&a).unwrap();
        let flipped = (0..good.len()).map(|at| {
            let mut bytes = good.clone();
            bytes[at] ^= 0x10;
            bytes
        });
        let cut = (0..good.len()).map(|len| good[..len].to_vec());
        let longer = [[&good[..], &[0]].concat(), [&good[..], &good].concat()];
        for bad in flipped.chain(cut).chain(longer).chain([fs::read(&b).unwrap()]) {
            fs::write(&a, &bad).unwrap();
            assert_eq!(cache.read(&A), None);
        }
        cache.write(&A, &body);
        assert_eq!(cache.read(&A), Some(body));
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_no_error() {
        let scratch = Scratch::new("unusable");
        fs::create_dir_all(&scratch.0).unwrap();
        let file = scratch.0.join("file");
        fs::write(&file, "a file").unwrap();
        for path in [file.clone(), file.join("in it"), PathBuf::from("/proc/nobody/writes/here")] {
            let cache = CodeCache::at(path);
            cache.write(&A, b"code");
            assert_eq!(cache.read(&A), None);
        }
        assert_eq!(fs::read(&file).unwrap(), b"a file");
    }

    #[cfg(unix)]
    #[test]
    fn what_others_may_write_is_not_read() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let scratch = Scratch::new("others");
        scratch.cache().write(&A, b"code");
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        let file = scratch.cache().folder.place(&A);
        assert_eq!((mode(&scratch.0), mode(&file)), (0o700, 0o600));
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for (folder, of_file, usable) in [
            (0o700, 0o600, true),
            (0o755, 0o644, true),
            (0o770, 0o600, false),
            (0o702, 0o600, false),
            (0o700, 0o620, false),
            (0o700, 0o602, false),
        ] {
            set(&scratch.0, folder);
            set(&file, of_file);
            assert_eq!(scratch.cache().read(&A).is_some(), usable, "{folder:o} {of_file:o}");
        }
        set(&file, 0o600);
        set(&scratch.0, 0o777);
        scratch.cache().write(&B, b"code");
        assert!(!scratch.cache().folder.place(&B).exists());
        set(&scratch.0, 0o700);
        // Those of another user, where this may be tried.
        let folder = File::open(&scratch.0).unwrap();
        if std::os::unix::fs::fchown(&folder, Some(12345), None).is_ok() {
            assert_eq!(scratch.cache().read(&A), None);
            std::os::unix::fs::fchown(&folder, Some(0), None).unwrap();
            std::os::unix::fs::chown(&file, Some(12345), None).unwrap();
            assert_eq!(scratch.cache().read(&A), None);
        }
    }

    #[test]
    fn a_folder_keeps_to_its_bound_and_forgets_what_was_not_read_for_longest() {
        let scratch = Scratch::new("bound");
        let key = |number: u8| Key([number; 32]);
        let size = (HEADER + 1000) as u64;
        let long_ago = |number: u8, days: u64| {
            let file = File::options().write(true).open(scratch.cache().folder.place(&key(number))).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60)).unwrap();
        };
        let cache = scratch.cache().bound(8 * size);
        fs::create_dir_all(&scratch.0).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&scratch.0, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        fs::write(scratch.0.join("letter.txt"), [0; 20_000]).unwrap();
        for number in 0..8 {
            cache.write(&key(number), &[number; 1000]);
            long_ago(number, 20 - u64::from(number));
        }
        // The eldest is read, so that it is no longer.
        assert!(cache.read(&key(0)).is_some());
        cache.write(&key(8), &[8; 1000]);
        let there: Vec<u8> = (0..9).filter(|number| cache.read(&key(*number)).is_some()).collect();
        assert_eq!(there, [0, 4, 5, 6, 7, 8]);
        // One process counts what it writes, another looks what is there.
        for number in 10..100 {
            let cache = if number % 2 == 0 { cache.clone() } else { scratch.cache().bound(8 * size) };
            cache.write(&key(number), &[number; 1000]);
        }
        let sizes = fs::read_dir(&scratch.0).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
        assert!(sizes.sum::<u64>() - 20_000 <= 9 * size);
        cache.write(&A, &[0; 20_000]);
        assert_eq!(cache.read(&A), None, "it alone is more than the bound");
        assert!(scratch.0.join("letter.txt").exists());
    }

    #[test]
    fn many_write_and_read_at_once() {
        let scratch = Scratch::new("at-once");
        let body = |number: u8| vec![number; 50_000];
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let cache = scratch.cache().bound(1_000_000);
                    for turn in 0..100 {
                        let key = Key([turn % 30; 32]);
                        if let Some(found) = cache.read(&key) {
                            assert!(found == body(key.0[0]), "half of a file");
                        }
                        cache.write(&key, &body(key.0[0]));
                    }
                });
            }
        });
        let names = fs::read_dir(&scratch.0).unwrap().map(|entry| entry.unwrap().path());
        assert_eq!(names.filter(|path| path.extension().is_some_and(|end| end == PARTIAL)).count(), 0);
    }
}
