//! [`FileSuppressionStore`]: suppressions that survive a restart.
//!
//! `journal.rs` reads, appends to and compacts the file; `line.rs` defines the form of a line.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use tokio::runtime::Handle;

use super::journal::{DamagedLine, Journal};
use super::line;
use super::memory;
use super::records::Records;
use super::store::{SuppressionStore, SuppressionStoreError};
use super::suppression::{Reactivation, Suppression};
use crate::message::AddressKey;

/// A [`SuppressionStore`] in a file, for apps with a single process.
///
/// The file is append-only and contains one line of JSON for each change. A change is effective
/// once its line is on disk (`fdatasync`). The whole content is also kept in memory, at about 110
/// bytes for each address, so look-ups read nothing from disk. The file is read at startup; a
/// million lines take a few seconds.
///
/// - **Damaged lines** (from a crash while writing, or from manual edits) are skipped, logged at
///   WARN with their numbers, listed by [`damaged_lines`](Self::damaged_lines), and kept in the
///   file. All other lines are effective.
/// - **One writer.** A second store of the same file, in this process or in another one, is
///   refused when it is opened: a lock on `<file>.lock` is held as long as the store lives.
///   Processes that share suppressions need a database.
/// - **Compaction.** When a file is opened and most of its lines (at least a thousand) are
///   outdated, it is rewritten and replaced atomically. [`compact`](Self::compact) does the same at
///   any time.
///
/// Do not edit the file while a process has it open. On Unix, only its owner can read it, because
/// it contains addresses.
///
/// Clones share the file.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// use anymail_core::{
///     Address, FileSuppressionStore, Suppression, SuppressionReason, SuppressionStore,
/// };
/// use time::OffsetDateTime;
///
/// # let temp = tempfile::tempdir()?;
/// # let path = temp.path().join("suppressions.jsonl");
/// let ann: Address = "ann@example.com".parse()?;
/// let store = FileSuppressionStore::open(&path)?;
/// let now = OffsetDateTime::now_utc();
/// store.add(&[Suppression::new(&ann, SuppressionReason::Manual, now)]).await?;
/// drop(store);
///
/// let store = FileSuppressionStore::open(&path)?;
/// assert_eq!(store.look_up(&[ann.key()]).await?.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct FileSuppressionStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    records: Records,
    journal: Mutex<Journal>,
}

impl FileSuppressionStore {
    /// Opens the file, or creates it and its folder, and reads it.
    ///
    /// # Errors
    /// An I/O error. Its kind is [`WouldBlock`](io::ErrorKind::WouldBlock) if another store has the
    /// file open.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let records = Records::new();
        let open = || {
            let mut journal = Journal::open(path, &records)?;
            if journal.is_worth_compacting(&records) {
                journal.compact(&records)?;
            }
            Ok(journal)
        };
        let journal = open().map_err(|error| in_file(path, "open", &error))?;
        for damaged in journal.damaged() {
            tracing::warn!(
                file = %path.display(), line = damaged.number, problem = damaged.problem,
                "skipped a damaged line of the suppression file"
            );
        }
        Ok(Self(Arc::new(Shared {
            path: path.to_owned(),
            records,
            journal: Mutex::new(journal),
        })))
    }

    /// The lines that could not be read when the file was opened.
    pub fn damaged_lines(&self) -> Vec<DamagedLine> {
        self.0.journal().damaged().to_vec()
    }

    /// The number of addresses, including those that have been reactivated.
    pub fn addresses(&self) -> usize {
        self.0.records.addresses()
    }

    /// Rewrites the file without outdated lines, and replaces the old one atomically.
    ///
    /// Reactivations are kept, because older suppressions may still be reported. Changes wait until
    /// it is done; look-ups do not.
    ///
    /// # Errors
    /// An I/O error. The old file is then still in use.
    pub async fn compact(&self) -> io::Result<()> {
        let shared = Arc::clone(&self.0);
        let compact = move || {
            let compacted = shared.journal().compact(&shared.records);
            compacted.map_err(|error| in_file(&shared.path, "compact", &error))
        };
        blocking(compact).await
    }
}

impl Shared {
    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes changes to the file before they become effective.
    fn change(&self, changes: &Changes) -> io::Result<()> {
        let mut journal = self.journal();
        let mut lines = Vec::new();
        for suppression in &changes.suppressions {
            if self.records.is_news(suppression) {
                line::push_suppression(&mut lines, suppression)?;
            }
        }
        for reactivation in &changes.reactivations {
            if self.records.ends_any(reactivation) {
                line::push_reactivation(&mut lines, reactivation)?;
            }
        }
        if lines.is_empty() {
            return Ok(());
        }
        journal
            .append(&lines)
            .map_err(|error| in_file(&self.path, "write to", &error))?;
        for suppression in &changes.suppressions {
            self.records.add(suppression);
        }
        for reactivation in &changes.reactivations {
            self.records.remove(reactivation);
        }
        Ok(())
    }
}

#[derive(Default)]
struct Changes {
    suppressions: Vec<Suppression>,
    reactivations: Vec<Reactivation>,
}

impl FileSuppressionStore {
    async fn change(&self, changes: Changes) -> Result<(), SuppressionStoreError> {
        let shared = Arc::clone(&self.0);
        Ok(blocking(move || shared.change(&changes)).await?)
    }
}

#[async_trait]
impl SuppressionStore for FileSuppressionStore {
    async fn look_up(
        &self,
        keys: &[AddressKey],
    ) -> Result<Vec<Suppression>, SuppressionStoreError> {
        Ok(self.0.records.look_up(keys))
    }

    async fn add(&self, suppressions: &[Suppression]) -> Result<(), SuppressionStoreError> {
        self.change(Changes {
            suppressions: suppressions.to_vec(),
            ..Changes::default()
        })
        .await
    }

    async fn remove(&self, reactivations: &[Reactivation]) -> Result<(), SuppressionStoreError> {
        self.change(Changes {
            reactivations: reactivations.to_vec(),
            ..Changes::default()
        })
        .await
    }

    fn list(&self) -> BoxStream<'_, Result<Suppression, SuppressionStoreError>> {
        memory::list(&self.0.records)
    }
}

/// Syncing a disk takes time, so do not block other tasks. If the caller stops waiting, the work
/// still completes.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let Ok(runtime) = Handle::try_current() else {
        return work();
    };
    let done = runtime.spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn in_file(path: &Path, what: &str, error: &io::Error) -> io::Error {
    let words = format!(
        "could not {what} the suppression file {}: {error}",
        path.display()
    );
    io::Error::new(error.kind(), words)
}
