//! [`RoundRobin`]: distributes messages evenly over its members.
//!
//! `members.rs` moves a message from member to member.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::members::{Member, Members};
use crate::message::Message;
use crate::sending::{
    Capabilities, EmailBackend, Objection, PreparedMessage, SendError, SendStatus,
    UnsupportedPolicy,
};

/// Sends each message with the next of its members, in turn.
///
/// If a member did not accept a message, the next one is tried, with the same rules for errors,
/// capabilities, rests and statuses as in a [`Failover`](crate::Failover). Many messages at once
/// are distributed over all members, which send their shares concurrently.
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
    /// Creates a round robin that starts with the first member.
    pub fn new(members: impl IntoIterator<Item = Member>) -> Self {
        Self {
            members: Members::new("round_robin", members),
            next: AtomicUsize::new(0),
        }
    }

    /// Sets how long a member that failed rests. 60 seconds by default.
    #[must_use]
    pub fn rest(mut self, rest: Duration) -> Self {
        self.members.rest = rest;
        self
    }

    /// Sets what happens to features that a member does not support. Use the same policy for the
    /// mailer.
    #[must_use]
    pub fn unsupported(mut self, policy: UnsupportedPolicy) -> Self {
        self.members.set_policy(policy);
        self
    }

    /// Takes `n` turns. The counter may wrap around.
    fn turns(&self, n: usize) -> usize {
        self.next.fetch_add(n, Ordering::Relaxed)
    }
}

// A wrapper that forgot `send_many` would turn 20 calls into 10,000.
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

    /// The sum of all members' batch sizes, because each gets its share.
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
