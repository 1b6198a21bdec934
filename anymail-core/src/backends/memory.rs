//! [`MemoryBackend`]: keeps messages in an [`Outbox`], for tests. The worked example of a
//! backend: read it top to bottom before you write one.
//!
//! What core does before and after a backend is called is told in `sending/mailer.rs`; the
//! whole contract stands on [`EmailBackend`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use uuid::Uuid;

use crate::message::Message;
use crate::sending::{Capabilities, EmailBackend, PreparedMessage, SendError, SendStatus, Status};

/// Keeps every message in an [`Outbox`] instead of sending it.
///
/// Each backend has an outbox of its own, so tests that run at the same time do not see each
/// other's mail. It can do everything: it checks nothing that an ESP would not check, so let
/// [`Mailers::check_all`](crate::Mailers::check_all) or the ESP's own backend say what an ESP
/// would refuse.
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
// A backend is one struct: what it talks to, and the capabilities, which are made once.
#[derive(Debug)]
pub struct MemoryBackend {
    outbox: Outbox,
    capabilities: Capabilities,
}

impl MemoryBackend {
    /// A backend with an empty outbox of its own.
    pub fn new() -> Self {
        Self::with_outbox(Outbox::new())
    }

    /// A backend that puts messages into `outbox`.
    pub fn with_outbox(outbox: Outbox) -> Self {
        Self {
            outbox,
            // An ESP's backend names what the ESP can do, one by one; what it does not name
            // is refused before `send` is called. This one keeps whatever there is.
            capabilities: Capabilities::all(),
        }
    }

    /// Where the messages go. Keep it: the backend itself moves into the mailer.
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
    // The name that statuses, errors and the configuration use.
    fn name(&self) -> &str {
        "memory"
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    // `check` has nothing to add to the capabilities and `send_many` no better way than one
    // after the other, so both stay as the trait has them.

    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        // All recipients are in the status from the start, as unknown: what the ESP does not
        // speak of is not lost.
        let mut status = SendStatus::unknown("memory", message.message());

        // Here an ESP's backend writes a request, sends it, and reads the answer. Whatever goes
        // wrong becomes a `SendError` that says whether the ESP may have the message. To keep
        // a message in memory cannot fail.
        for copy in message.copies() {
            let message_id = Uuid::now_v7().to_string();
            for recipient in copy.recipients() {
                // In a batch, cc and bcc get every copy; the first one's id stands for all.
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
    /// The id that the status gave to its recipients.
    pub message_id: String,
}

/// Messages that a [`MemoryBackend`] kept, in the order of their sending.
///
/// Clones share the messages. Make a new one for each test.
#[derive(Debug, Clone, Default)]
pub struct Outbox(Arc<Mutex<Vec<StoredMessage>>>);

impl Outbox {
    /// An empty outbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// The messages so far.
    pub fn messages(&self) -> Vec<StoredMessage> {
        self.lock().clone()
    }

    /// The messages so far; the outbox is empty afterwards.
    pub fn take(&self) -> Vec<StoredMessage> {
        std::mem::take(&mut *self.lock())
    }

    /// Takes out the first message for which `wanted` holds, if there is one.
    pub fn take_first(&self, wanted: impl Fn(&StoredMessage) -> bool) -> Option<StoredMessage> {
        let mut messages = self.lock();
        let at = messages.iter().position(wanted)?;
        Some(messages.remove(at))
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn push(&self, message: StoredMessage) {
        self.lock().push(message);
    }

    /// A test that panicked while it held the lock left whole messages behind.
    fn lock(&self) -> MutexGuard<'_, Vec<StoredMessage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
