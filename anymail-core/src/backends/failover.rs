//! [`Failover`]: the first member that takes a message; the next one when it surely did not.
//!
//! How a message goes from member to member lives in `members.rs`.

use std::time::Duration;

use async_trait::async_trait;

use super::members::{Member, Members};
use crate::message::Message;
use crate::sending::{
    Capabilities, EmailBackend, Objection, PreparedMessage, SendError, SendStatus,
    UnsupportedPolicy,
};

/// Sends by the first of its members, and by the next when that one did not take the message.
///
/// **No mail is sent twice.** A member's error leads on to the next only if its
/// [`accepted`](SendError::accepted) is `No` and another could do better: no connection, too
/// many requests, a token that is not known, a 503 in the ESP's own words, a refusal of the
/// message. A `Maybe` (the answer was lost) is the end, and so are recipients whom the ESP
/// refuses: it knows why, and another must not send to them.
///
/// **A member that fails is left alone** for a while (60 seconds, or longer where its
/// `Retry-After` asks for that, up to 10 minutes): until then it is asked only when no other
/// member took the message.
///
/// **What it can do.** A message must fit every member, so that a mail which goes out today
/// goes out as well when the first member is down: the capabilities are what all have in
/// common. With [`UnsupportedPolicy::Drop`] they are what any of them has, and whoever sends the
/// message leaves out, and reports, what it cannot do. `esp_extra` is supported only if all
/// members are of one ESP; each can have one of its own in its
/// [send defaults](Member::send_defaults).
///
/// **Who sent it** is said in the status ([`esp`](SendStatus::esp) and
/// [`member`](SendStatus::member)), with what the others said before
/// ([`member_errors`](SendStatus::member_errors)). If no member took the message, the error is
/// that of one of them, rather one that may pass than one that may not, and has the others' in
/// [`SendError::member_errors`]. Without any members every message is refused.
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
    /// Members in the order in which to ask them.
    pub fn new(members: impl IntoIterator<Item = Member>) -> Self {
        Self(Members::new("failover", members))
    }

    /// How long a member that failed is left alone. 60 seconds by default.
    #[must_use]
    pub fn rest(mut self, rest: Duration) -> Self {
        self.0.rest = rest;
        self
    }

    /// What happens to features that a member does not support. Give the mailer the same policy.
    #[must_use]
    pub fn unsupported(mut self, policy: UnsupportedPolicy) -> Self {
        self.0.set_policy(policy);
        self
    }
}

// One that forgot `send_many` would turn 20 calls into 10,000.
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

    /// The most that any member takes; one that takes less splits what it gets.
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
