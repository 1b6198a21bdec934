//! [`Failover`]: sends with the first member, and with the next one if a member did not accept the
//! message.
//!
//! `members.rs` moves a message from member to member.

use std::time::Duration;

use async_trait::async_trait;

use super::members::{Member, Members};
use crate::message::Message;
use crate::sending::{
    Capabilities, EmailBackend, Objection, PreparedMessage, SendError, SendStatus,
    UnsupportedPolicy,
};

/// Sends with its first member, and with the next one if that member did not accept the message.
///
/// **No message is sent twice.** After a member's error, the next member is tried only if
/// [`accepted`](SendError::accepted) is `No` and another member may succeed: no connection, a rate
/// limit, an unknown token, a 503 from the ESP itself, or a refusal of the message. After a `Maybe`
/// (the response was lost), no other member is tried. Neither is one after the ESP refused the
/// recipients: the ESP has a reason, and another one must not send to them.
///
/// **A member that fails rests** for 60 seconds, or longer if its `Retry-After` says so, up to 10
/// minutes. Until then it is tried only after all other members have failed.
///
/// **Capabilities.** A message must fit every member, so that a message that can be sent today can
/// also be sent when the first member is down: the capabilities are those that all members have in
/// common. With [`UnsupportedPolicy::Drop`], they are those of any member, and the member that
/// sends the message drops and reports what it does not support. `esp_extra` is supported only if
/// all members belong to the same ESP; each member can have its own in its [send
/// defaults](Member::send_defaults).
///
/// **The status** says which member sent the message ([`esp`](SendStatus::esp) and
/// [`member`](SendStatus::member)), and contains the errors of the others
/// ([`member_errors`](SendStatus::member_errors)). If no member accepted the message, the error is
/// that of one of them, preferably a transient one, and has the others' in
/// [`SendError::member_errors`]. Without members, every message is refused.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use anymail_core::{Failover, FileBackend, Mailer, Member, MemoryBackend, Message};
///
/// # let temp = tempfile::tempdir()?;
/// # let folder = temp.path().join("mails");
/// let mailer = Mailer::new(Failover::new([
///     Member::new("disk", FileBackend::new(&folder)?),
///     Member::new("memory", MemoryBackend::new()),
/// ]));
/// std::fs::remove_dir(&folder)?; // an outage
///
/// let message = Message::builder().from("shop@example.com").to("ann@example.com").build()?;
/// let status = mailer.send(&message).await?;
/// assert_eq!(status.esp, "memory");
/// assert_eq!(status.member_errors[0].member, "disk");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Failover(Members);

impl Failover {
    /// Creates a failover from members in the order in which they are tried.
    pub fn new(members: impl IntoIterator<Item = Member>) -> Self {
        Self(Members::new("failover", members))
    }

    /// Sets how long a member that failed rests. 60 seconds by default.
    #[must_use]
    pub fn rest(mut self, rest: Duration) -> Self {
        self.0.rest = rest;
        self
    }

    /// Sets what happens to features that a member does not support. Use the same policy for the
    /// mailer.
    #[must_use]
    pub fn unsupported(mut self, policy: UnsupportedPolicy) -> Self {
        self.0.set_policy(policy);
        self
    }
}

// A wrapper that forgot `send_many` would turn 20 calls into 10,000.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl EmailBackend for Failover {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    fn check(&self, message: &Message) -> Vec<Objection> {
        self.0.check(message)
    }

    /// The largest batch of any member; a member with a smaller one splits it.
    fn max_batch(&self) -> usize {
        self.0.max_batches().max().unwrap_or(1)
    }

    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        self.0.send_one(message, 0).await
    }

    async fn send_many(&self, messages: &[PreparedMessage]) -> Vec<Result<SendStatus, SendError>> {
        self.0.send(messages, |_| 0).await
    }
}
