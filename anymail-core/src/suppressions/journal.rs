//! The file of a `FileSuppressionStore`: locking, reading, appending, and compaction.
//!
//! `records.rs` keeps the content in memory.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::line::{self, Line, MAX_LINE};
use super::records::{Records, SHARDS};

/// A line of a suppression file that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DamagedLine {
    /// The line number, starting at 1.
    pub number: u64,
    /// What is wrong with it. The line is not quoted.
    pub problem: String,
    start: u64,
    length: u64,
}

#[derive(Debug)]
pub(super) struct Journal {
    /// The resolved path: compaction must replace the file and not a symbolic link.
    path: PathBuf,
    file: File,
    /// The number of lines when it was opened.
    lines: u64,
    /// The last line has no end: a write failed, and its partial result could not be truncated.
    torn: bool,
    damaged: Vec<DamagedLine>,
    /// Locks out other stores. The file itself cannot be the lock, because compaction replaces it.
    _lock: File,
}

/// With fewer outdated lines, a file is not compacted.
const MIN_OUTDATED: u64 = 1000;

impl Journal {
    /// Opens the file and reads it.
    pub(super) fn open(path: &Path, records: &Records) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = private().append(true).read(true).open(path)?;
        if !file.metadata()?.is_file() {
            let words = "not a regular file";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
        }
        let path = fs::canonicalize(path)?;
        let lock = lock(&path)?;
        // The file may have been replaced between opening and locking.
        drop(file);
        let file = private().append(true).read(true).open(&path)?;
        let mut journal = Self {
            path,
            file,
            lines: 0,
            torn: false,
            damaged: Vec::new(),
            _lock: lock,
        };
        journal.read(records)?;
        Ok(journal)
    }

    pub(super) fn damaged(&self) -> &[DamagedLine] {
        &self.damaged
    }

    fn read(&mut self, records: &Records) -> io::Result<()> {
        let mut reader = BufReader::new(&self.file);
        let mut line = Vec::new();
        let mut next = 0;
        loop {
            line.clear();
            let Some((length, ended)) = read_line(&mut reader, &mut line)? else {
                break;
            };
            self.lines += 1;
            let start = next;
            next += length + u64::from(ended);
            self.torn = !ended;
            if line.trim_ascii().is_empty() {
                continue;
            }
            match line::read(&line) {
                Ok(Line::Suppressed(suppression)) => {
                    records.add(&suppression);
                }
                Ok(Line::Reactivated(reactivation)) => {
                    records.remove(&reactivation);
                }
                Err(problem) => self.damaged.push(DamagedLine {
                    number: self.lines,
                    problem: problem.to_string(),
                    start,
                    length,
                }),
            }
        }
        Ok(())
    }

    /// Appends whole lines, or nothing.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let intact = self.file.metadata()?.len();
        let end_of_torn: &[u8] = if self.torn { b"\n" } else { b"" };
        let written = self.file.write_all(&[end_of_torn, lines].concat());
        let written = written.and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => self.torn = false,
            // If this fails too, the next change starts on a new line.
            Err(_) => self.torn |= self.file.set_len(intact).is_err(),
        }
        written
    }

    pub(super) fn is_worth_compacting(&self, records: &Records) -> bool {
        let useful = (records.changes() + self.damaged.len()) as u64;
        let outdated = self.lines.saturating_sub(useful);
        outdated >= MIN_OUTDATED && outdated > useful
    }

    /// Rewrites the file and replaces the old one.
    pub(super) fn compact(&mut self, records: &Records) -> io::Result<()> {
        let unfinished = with_ending(&self.path, ".unfinished");
        let written = self.write_anew(&unfinished, records);
        if written.is_err() {
            // A leftover file has a name that nobody reads.
            let _ = fs::remove_file(&unfinished);
        }
        (self.file, self.damaged) = written?;
        self.torn = false;
        // Makes the new name survive a crash. Not every system can sync a folder.
        let folder = self.path.parent().unwrap_or(Path::new("."));
        if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
            tracing::debug!(%error, "could not sync the folder");
        }
        Ok(())
    }

    fn write_anew(
        &mut self,
        unfinished: &Path,
        records: &Records,
    ) -> io::Result<(File, Vec<DamagedLine>)> {
        // If it cannot be removed, it cannot be created either.
        let _ = fs::remove_file(unfinished);
        let mut options = private();
        let file = options
            .create_new(true)
            .append(true)
            .read(true)
            .open(unfinished)?;
        file.set_permissions(self.file.metadata()?.permissions())?;
        let mut out = BufWriter::new(&file);
        let mut damaged = self.damaged.clone();
        let mut written = 0;
        for (number, line) in (1..).zip(&mut damaged) {
            let mut old = &self.file;
            old.seek(SeekFrom::Start(line.start))?;
            io::copy(&mut old.take(line.length), &mut out)?;
            out.write_all(b"\n")?;
            (line.number, line.start) = (number, written);
            written += line.length + 1;
        }
        let mut changes = Vec::new();
        for shard in 0..SHARDS {
            changes.clear();
            for suppression in records.list(shard) {
                line::push_suppression(&mut changes, &suppression)?;
            }
            for reactivation in records.reactivations(shard) {
                line::push_reactivation(&mut changes, &reactivation)?;
            }
            out.write_all(&changes)?;
        }
        out.flush()?;
        drop(out);
        file.sync_all()?;
        fs::rename(unfinished, &self.path)?;
        Ok((file, damaged))
    }
}

/// Reads a line, of which it keeps no more than a change can have. Returns the line's full length
/// without its end, and whether it has an end; nothing at the end of the file.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<(u64, bool)>> {
    let mut length = 0;
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok((length > 0).then_some((length, false)));
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        let room = (MAX_LINE + 1).saturating_sub(line.len());
        line.extend(part.iter().take(room));
        length += part.len() as u64;
        let used = part.len() + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() {
            return Ok(Some((length, true)));
        }
    }
}

fn lock(path: &Path) -> io::Result<File> {
    let lock = private().write(true).open(with_ending(path, ".lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(io::Error::new(
            io::ErrorKind::WouldBlock,
            "already open in another process or in another store of this process; to share \
             suppressions between processes, use a store in a database",
        )),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Creates files that only their owner can read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
