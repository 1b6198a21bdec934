//! [`FileBackend`]: stores each message as a file that mail clients can open.
//!
//! `message/mime.rs` writes the MIME form.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::runtime::Handle;
use uuid::Uuid;

use super::local;
use crate::message::Message;
use crate::sending::{
    Capabilities, EmailBackend, PreparedMessage, SendError, SendErrorKind, SendStatus,
};

/// Stores every message in a folder, as an `.eml` file (feature `mime`).
///
/// A file is complete or does not exist: it is written under a temporary name, synced to disk, and
/// renamed. Names start with the time and sort in the order of writing. A batch is stored as one
/// file for each recipient.
///
/// Values that an ESP would act on are in headers, as JSON: `X-Anymail-Tags`, `X-Anymail-Metadata`,
/// `X-Anymail-Send-At`, `X-Anymail-Template-Id` and so on. As in any email, `bcc` is not written.
/// Everything is supported except `esp_extra`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use anymail_core::{FileBackend, Mailer, Message};
///
/// # let temp = tempfile::tempdir()?;
/// # let folder = temp.path().join("mails");
/// let mailer = Mailer::new(FileBackend::new(&folder)?);
/// let message = Message::builder()
///     .from("shop@example.com")
///     .to("ann@example.com")
///     .subject("Your receipt")
///     .build()?;
/// mailer.send(&message).await?;
/// let file = std::fs::read_dir(&folder)?.next().ok_or("no file")??;
/// assert!(std::fs::read_to_string(file.path())?.contains("Subject: Your receipt"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FileBackend {
    folder: PathBuf,
    capabilities: Capabilities,
}

impl FileBackend {
    /// Stores messages in `folder`, which is created if it does not exist.
    ///
    /// # Errors
    /// An I/O error if the folder cannot be created.
    pub fn new(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        fs::create_dir_all(&folder)?;
        Ok(Self {
            folder,
            capabilities: local::capabilities(),
        })
    }
}

const NAME: &str = "file";

#[async_trait]
impl EmailBackend for FileBackend {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        let Ok(runtime) = Handle::try_current() else {
            return store_all(&self.folder, message);
        };
        // Syncing a disk takes time; do not block other tasks.
        let (folder, message) = (self.folder.clone(), message.clone());
        let stored = runtime.spawn_blocking(move || store_all(&folder, &message));
        // The runtime is shutting down, so it is not known whether the files were written.
        let cut_off = |error| {
            Err(
                SendError::new(SendErrorKind::Disconnected, NAME, "writing was interrupted")
                    .with_source(error),
            )
        };
        stored.await.unwrap_or_else(cut_off)
    }
}

fn store_all(folder: &Path, message: &PreparedMessage) -> Result<SendStatus, SendError> {
    local::store_all(NAME, message, |copy| store(folder, copy))
}

fn store(folder: &Path, mut message: Message) -> io::Result<String> {
    let id = Uuid::now_v7();
    let now = OffsetDateTime::now_utc();
    for (name, value) in local::beyond_mime(&message) {
        let headers = message.headers.value_or_default();
        headers
            .insert(&format!("X-Anymail-{name}"), &header_value(&value))
            .map_err(io::Error::other)?;
    }
    let mime = message.to_mime_as(id, now);
    write_whole(folder, &file_name(id), mime.bytes())?;
    Ok(mime.message_id().to_owned())
}

/// JSON without any control characters. `serde_json` escapes only those of ASCII.
fn header_value(value: &Value) -> String {
    let escape = |c: char| match c.is_control() {
        true => format!("\\u{:04x}", u32::from(c)),
        false => c.to_string(),
    };
    value.to_string().chars().map(escape).collect()
}

/// The time to the second, for people, and a unique ID that sorts by time. Both contain the same
/// time.
fn file_name(id: Uuid) -> String {
    let seconds = id.get_timestamp().map_or(0, |at| at.to_unix().0);
    let at = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (date, time) = (at.date(), at.time());
    let (hour, minute, second) = time.as_hms();
    format!("{date}T{hour:02}-{minute:02}-{second:02}Z_{id}.eml")
}

/// No reader ever sees an incomplete file with this name, and no crash leaves one behind.
fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let unfinished = folder.join(format!(".{name}.unfinished"));
    let write = || {
        let mut file = File::create_new(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, folder.join(name))
    };
    let written = write();
    if written.is_err() {
        // A leftover temporary file has a name that nobody reads.
        let _ = fs::remove_file(&unfinished);
        return written;
    }
    // Makes the new name survive a crash. Not every system can sync a folder, and the file exists
    // already, so an error would only cause a duplicate.
    if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
        tracing::debug!(%error, "could not sync the folder");
    }
    Ok(())
}
