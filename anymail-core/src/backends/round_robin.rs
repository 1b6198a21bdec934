//! [`RoundRobin`]: spreads messages evenly over its members.
//!
//! How a message goes from member to member lives in `members.rs`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::members::{Member, Members};
use crate::message::Message;
use crate::sending::{
    Capabilities, EmailBackend, Objection, PreparedMessage, SendError, SendStatus,
    UnsupportedPolicy,
};

/// Sends each message by another of its members, in turn.
///
/// A member that surely did not take a message is stood in for by the next, under the same rules
/// as in a [`Failover`](crate::Failover), which also says what holds of capabilities, rests and
/// statuses. Many messages at once are dealt out to all members, each of which gets its share
/// in one go, at the same time as the others.
///
/// ```
/// use anymail_core::{Mailer, Member, MemoryBackend, RoundRobin};
///
/// let mailer = Mailer::new(RoundRobin::new([
///     Member::new("one", MemoryBackend::new()),
///     Member::new("two", MemoryBackend::new()),
/// ]));
/// ```
#[derive(Debug)]
pub struct RoundRobin {
    members: Members,
    next: AtomicUsize,
}

impl RoundRobin {
    /// Members, of which the first is asked first.
    pub fn new(members: impl IntoIterator<Item = Member>) -> Self {
        Self {
            members: Members::new("round_robin", members),
            next: AtomicUsize::new(0),
        }
    }

    /// How long a member that failed is left alone. 60 seconds by default.
    #[must_use]
    pub fn rest(mut self, rest: Duration) -> Self {
        self.members.rest = rest;
        self
    }

    /// What happens to features that a member does not support. Give the mailer the same policy.
    #[must_use]
    pub fn unsupported(mut self, policy: UnsupportedPolicy) -> Self {
        self.members.set_policy(policy);
        self
    }

    /// Takes the turns for `n` messages. The counter goes round without harm.
    fn turns(&self, n: usize) -> usize {
        self.next.fetch_add(n, Ordering::Relaxed)
    }
}

// One that forgot `send_many` would turn 20 calls into 10,000.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl EmailBackend for RoundRobin {
    fn name(&self) -> &str {
        self.members.name()
    }

    fn capabilities(&self) -> &Capabilities {
        self.members.capabilities()
    }

    fn check(&self, message: &Message) -> Vec<Objection> {
        self.members.check(message)
    }

    /// As much as all members take, since each gets its share of it.
    fn max_batch(&self) -> usize {
        let all = self.members.max_batches();
        all.fold(0, usize::saturating_add).max(1)
    }

    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        self.members.send_one(message, self.turns(1)).await
    }

    async fn send_many(&self, messages: &[PreparedMessage]) -> Vec<Result<SendStatus, SendError>> {
        let first = self.turns(messages.len());
        let turn = |at| first.wrapping_add(at);
        self.members.send(messages, turn).await
    }
}
