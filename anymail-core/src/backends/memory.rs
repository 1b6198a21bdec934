//! [`MemoryBackend`]: keeps messages in an [`Outbox`], for tests. This is the worked example of a
//! backend: read it from top to bottom before you write one.
//!
//! `sending/mailer.rs` says what core does before and after it calls a backend; [`EmailBackend`]
//! documents the whole contract.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use uuid::Uuid;

use crate::message::Message;
use crate::sending::{Capabilities, EmailBackend, PreparedMessage, SendError, SendStatus, Status};

/// Keeps every message in an [`Outbox`] instead of sending it.
///
/// Each backend has its own outbox, so concurrent tests do not see each other's messages. It
/// supports every feature and applies no limits of an ESP. To find out what an ESP would refuse,
/// use [`Mailers::check_all`](crate::Mailers::check_all) or the ESP's own backend.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use anymail_core::{Mailer, MemoryBackend, Message};
///
/// let backend = MemoryBackend::new();
/// let outbox = backend.outbox();
/// let mailer = Mailer::new(backend);
///
/// let message = Message::builder()
///     .from("shop@example.com")
///     .to("ann@example.com")
///     .subject("Your receipt")
///     .build()?;
/// let status = mailer.send(&message).await?;
///
/// let sent = outbox.messages();
/// assert_eq!(sent.len(), 1);
/// assert_eq!(sent[0].message, message);
/// assert_eq!(status.message_id(), Some(sent[0].message_id.as_str()));
/// # Ok(())
/// # }
/// ```
// A backend is one struct: what it talks to, and its capabilities, which are created once.
#[derive(Debug)]
pub struct MemoryBackend {
    outbox: Outbox,
    capabilities: Capabilities,
}

impl MemoryBackend {
    /// Creates a backend with its own empty outbox.
    pub fn new() -> Self {
        Self::with_outbox(Outbox::new())
    }

    /// Creates a backend that stores messages in `outbox`.
    pub fn with_outbox(outbox: Outbox) -> Self {
        Self {
            outbox,
            // An ESP's backend lists what the ESP supports. Anything else is refused before `send`
            // is called. This one supports everything.
            capabilities: Capabilities::all(),
        }
    }

    /// The outbox. Get it before you move the backend into a mailer.
    pub fn outbox(&self) -> Outbox {
        self.outbox.clone()
    }
}

impl Default for MemoryBackend {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl EmailBackend for MemoryBackend {
    // The name in statuses, errors and configurations.
    fn name(&self) -> &str {
        "memory"
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    // `check` would add nothing to the capabilities, and `send_many` cannot do better than one
    // message after the other, so both keep their defaults.

    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        // The status contains all recipients from the start, as unknown, so that recipients that
        // the ESP does not mention are not lost.
        let mut status = SendStatus::unknown("memory", message.message());

        // An ESP's backend would write a request, send it, and read the response here. Any failure
        // becomes a `SendError` that says whether the ESP may have accepted the message. Storing a
        // message in memory cannot fail.
        for copy in message.copies() {
            let message_id = Uuid::now_v7().to_string();
            for recipient in copy.recipients() {
                // In a batch, cc and bcc get every copy; they report the ID of the first.
                let key = recipient.key();
                if status.by_key(&key).is_some_and(|r| r.message_id.is_none()) {
                    status.set(&key, Status::Sent, Some(message_id.clone()), None);
                }
            }
            self.outbox.push(StoredMessage {
                message: copy,
                message_id,
            });
        }
        Ok(status)
    }
}

/// A message in an [`Outbox`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StoredMessage {
    /// The message as the backend got it: with the send defaults, changed by the hooks. A
    /// batch is stored as one message for each recipient, with the recipient's own headers,
    /// metadata and template values (those in `merge_global_data`).
    pub message: Message,
    /// The ID that the status gave to its recipients.
    pub message_id: String,
}

/// The messages that a [`MemoryBackend`] has stored, in the order of sending.
///
/// Clones share the messages. Create a new one for each test.
#[derive(Debug, Clone, Default)]
pub struct Outbox(Arc<Mutex<Vec<StoredMessage>>>);

impl Outbox {
    /// Creates an empty outbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// The messages so far.
    pub fn messages(&self) -> Vec<StoredMessage> {
        self.lock().clone()
    }

    /// Removes and returns the messages so far.
    pub fn take(&self) -> Vec<StoredMessage> {
        std::mem::take(&mut *self.lock())
    }

    /// Removes and returns the first message for which `wanted` returns `true`.
    pub fn take_first(&self, wanted: impl Fn(&StoredMessage) -> bool) -> Option<StoredMessage> {
        let mut messages = self.lock();
        let at = messages.iter().position(wanted)?;
        Some(messages.remove(at))
    }

    /// The number of messages.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there are no messages.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn push(&self, message: StoredMessage) {
        self.lock().push(message);
    }

    /// A test that panics while it holds the lock leaves complete messages behind.
    fn lock(&self) -> MutexGuard<'_, Vec<StoredMessage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
