//! The directory that a run leaves behind.
//!
//! Everything is written into a hidden sibling first, which gets its name when the run is over: a
//! run directory is there whole or not at all, and one that exists is never written into.

use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Where the directory goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The next free number in this folder: `runs/0001`.
    Next(PathBuf),
    /// This one, which must not exist or be empty (`--out DIR`).
    Exactly(PathBuf),
}

/// Why a run directory could not be written.
#[derive(Debug, Error)]
pub enum RunDirError {
    /// There is something in it already.
    #[error("`{}` exists and is not empty; a run is never written over another one", .0.display())]
    Occupied(PathBuf),
    /// The operating system refused.
    #[error("cannot write `{}`: {source}", path.display())]
    Io {
        /// What was being written.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// A run directory being written. Dropped before [`RunDir::finish`], it leaves nothing.
#[derive(Debug)]
pub struct RunDir {
    place: Place,
    partial: PathBuf,
    finished: bool,
}

impl RunDir {
    /// Begins a directory, or says that `--out` names one that is in use, before any work is done.
    pub fn begin(place: Place) -> Result<RunDir, RunDirError> {
        let parent = match &place {
            Place::Next(folder) => folder.clone(),
            Place::Exactly(path) => {
                if occupied(path) {
                    return Err(RunDirError::Occupied(path.clone()));
                }
                path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).into()
            }
        };
        fs::create_dir_all(&parent).map_err(|source| RunDirError::Io { path: parent.clone(), source })?;
        for attempt in 0_u32.. {
            let partial = parent.join(format!(".partial-{}-{attempt}", std::process::id()));
            match fs::create_dir(&partial) {
                Ok(()) => return Ok(RunDir { place, partial, finished: false }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(RunDirError::Io { path: partial, source }),
            }
        }
        crate::bug!("four thousand million partial runs of one process")
    }

    /// Writes the file `name`.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<(), RunDirError> {
        let path = self.partial.join(name);
        fs::write(&path, bytes).map_err(|source| RunDirError::Io { path, source })
    }

    /// Writes the file `name` in place of an earlier one, which is there whole until the new one is.
    pub fn replace(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<(), RunDirError> {
        let new = format!("{name}.new");
        self.write(&new, bytes)?;
        let path = self.partial.join(name);
        fs::rename(self.partial.join(new), &path).map_err(|source| RunDirError::Io { path, source })
    }

    /// Writes `value` as indented JSON. Numbers that are not finite become `null`.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), RunDirError> {
        let mut text =
            serde_json::to_string_pretty(value).map_err(|error| self.failed(name, error.into()))?;
        text.push('\n');
        self.write(name, text)
    }

    /// Writes columns of equal length as comma-separated values, each number in the fewest digits
    /// that read back as the same `f64`.
    pub fn write_csv(&self, name: &str, columns: &[(&str, &[f64])]) -> Result<(), RunDirError> {
        let failed = |error: csv::Error| self.failed(name, io::Error::other(error));
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(columns.iter().map(|(name, _)| *name)).map_err(failed)?;
        for row in 0..columns.first().map_or(0, |(_, column)| column.len()) {
            writer.write_record(columns.iter().map(|(_, column)| column[row].to_string())).map_err(failed)?;
        }
        let bytes =
            writer.into_inner().map_err(|error| self.failed(name, io::Error::other(error.to_string())))?;
        self.write(name, bytes)
    }

    /// Opens `name` for rows of comma-separated values, written one by one as by
    /// [`RunDir::write_csv`], under these names.
    pub fn csv_rows<'n>(
        &self,
        name: &str,
        columns: impl IntoIterator<Item = &'n str>,
    ) -> Result<CsvRows, RunDirError> {
        let path = self.partial.join(name);
        let file = File::create(&path).map_err(|source| RunDirError::Io { path: path.clone(), source })?;
        let mut rows = CsvRows { path, writer: csv::Writer::from_writer(file) };
        rows.written(|writer| writer.write_record(columns))?;
        Ok(rows)
    }

    /// Opens `name` for a value on each line.
    pub fn json_lines(&self, name: &str) -> Result<JsonLines, RunDirError> {
        let path = self.partial.join(name);
        match File::create(&path) {
            Ok(file) => Ok(JsonLines { path, file: BufWriter::new(file) }),
            Err(source) => Err(RunDirError::Io { path, source }),
        }
    }

    /// Gives the directory its name, which is returned.
    pub fn finish(mut self) -> Result<PathBuf, RunDirError> {
        let path = match self.place.clone() {
            Place::Exactly(path) => {
                if occupied(&path) {
                    return Err(RunDirError::Occupied(path));
                }
                self.rename(&path)?;
                path
            }
            Place::Next(folder) => loop {
                // Another run may take a number between the look and the renaming: look again.
                let path = next_number(&folder)?;
                match self.rename(&path) {
                    Ok(()) => break path,
                    Err(_) if occupied(&path) => {}
                    Err(error) => return Err(error),
                }
            },
        };
        self.finished = true;
        Ok(path)
    }

    /// Renaming onto a directory succeeds only if that one is empty, so nothing is ever lost.
    fn rename(&self, to: &Path) -> Result<(), RunDirError> {
        fs::rename(&self.partial, to).map_err(|source| RunDirError::Io { path: to.to_owned(), source })
    }

    fn failed(&self, name: &str, source: io::Error) -> RunDirError {
        RunDirError::Io { path: self.partial.join(name), source }
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if !self.finished {
            // Nothing can be done about a failure here, and the leftover is marked as partial.
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}

/// A file of comma-separated values, written row by row.
#[derive(Debug)]
pub struct CsvRows {
    path: PathBuf,
    writer: csv::Writer<File>,
}

impl CsvRows {
    /// Appends a row.
    pub fn push(&mut self, row: impl IntoIterator<Item = f64>) -> Result<(), RunDirError> {
        self.written(|writer| writer.write_record(row.into_iter().map(|value| value.to_string())))
    }

    /// Makes sure that every row is in the file.
    pub fn close(mut self) -> Result<(), RunDirError> {
        self.written(|writer| writer.flush().map_err(csv::Error::from))
    }

    fn written(
        &mut self,
        write: impl FnOnce(&mut csv::Writer<File>) -> Result<(), csv::Error>,
    ) -> Result<(), RunDirError> {
        write(&mut self.writer)
            .map_err(|error| RunDirError::Io { path: self.path.clone(), source: io::Error::other(error) })
    }
}

/// A file of JSON values, one a line.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    file: BufWriter<File>,
}

impl JsonLines {
    /// Appends a line.
    pub fn push(&mut self, value: &impl Serialize) -> Result<(), RunDirError> {
        let written = serde_json::to_string(value).map_err(io::Error::from);
        let written = written.and_then(|line| writeln!(self.file, "{line}"));
        written.map_err(|source| RunDirError::Io { path: self.path.clone(), source })
    }

    /// Makes sure that every line is in the file.
    pub fn close(mut self) -> Result<(), RunDirError> {
        let JsonLines { path, file } = &mut self;
        file.flush().map_err(|source| RunDirError::Io { path: path.clone(), source })
    }
}

/// Whether there is something at `path` that a run would damage.
fn occupied(path: &Path) -> bool {
    match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => fs::symlink_metadata(path).is_ok(),
    }
}

/// One past the largest number in `folder`.
fn next_number(folder: &Path) -> Result<PathBuf, RunDirError> {
    let failed = |source| RunDirError::Io { path: folder.to_owned(), source };
    let mut largest = 0_u64;
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        largest = largest.max(name.to_str().and_then(|name| name.parse().ok()).unwrap_or(0));
    }
    Ok(folder.join(format!("{:04}", largest + 1)))
}
