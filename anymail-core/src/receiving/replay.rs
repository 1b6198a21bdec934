//! [`ReplayGuard`]: remembers handled events, so that none is handled twice.
//!
//! `handled_once.rs` adds one to webhooks; `serve.rs` acknowledges duplicates.

use std::collections::{HashSet, VecDeque};
use std::error::Error;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::event::{Event, digest};

/// Any error of a [`ReplayGuard`], for example because its database cannot be reached.
pub type ReplayGuardError = Box<dyn Error + Send + Sync>;

/// Remembers which events were handled, so that duplicates are skipped.
///
/// An event is identified by its ESP's name and its [`dedup_key`](Event::dedup_key).
/// [`serve_webhook`](crate::serve_webhook) and similar functions claim each event, pass it to the
/// app, and then confirm or release the claim:
///
/// | event | handled | response |
/// | --- | --- | --- |
/// | new or released | yes; confirmed if the handler succeeds, else released | 200, or 500 |
/// | claimed: another delivery is being handled | no | 503 with `Retry-After`, so that the ESP posts it again when the outcome is known |
/// | handled | no | 200 |
///
/// [`MemoryReplayGuard`] is for a single process and forgets everything when the process ends. If
/// several processes receive webhooks, or if handled events must survive a restart, use a database.
/// This is an implementation for PostgreSQL, with the table `webhook_events (esp text, key text,
/// handled boolean, claimed_until timestamptz, primary key (esp, key))`:
///
/// ```
/// use anymail_core::{EventClaim, ReplayGuard, ReplayGuardError};
/// use async_trait::async_trait;
///
/// # #[derive(Clone)]
/// # struct Database;
/// # impl Database {
/// #     async fn execute(&self, _: &str, _: [&str; 2]) -> Result<u64, std::io::Error> { Ok(1) }
/// #     async fn query(&self, _: &str, _: [&str; 2]) -> Result<Vec<bool>, std::io::Error> { Ok(vec![]) }
/// # }
/// struct EventTable(Database);
///
/// #[async_trait]
/// impl ReplayGuard for EventTable {
///     async fn claim(&self, esp: &str, key: &str) -> Result<EventClaim, ReplayGuardError> {
///         // A process that dies leaves a claim behind: it lapses, later than any handler takes.
///         let claimed = self.0.execute(
///             "INSERT INTO webhook_events AS event (esp, key, handled, claimed_until)
///              VALUES ($1, $2, false, now() + interval '5 minutes')
///              ON CONFLICT (esp, key) DO UPDATE SET claimed_until = excluded.claimed_until
///              WHERE NOT event.handled AND event.claimed_until < now()",
///             [esp, key],
///         );
///         if claimed.await? == 1 {
///             return Ok(EventClaim::Granted);
///         }
///         let select = "SELECT handled FROM webhook_events WHERE esp = $1 AND key = $2";
///         match self.0.query(select, [esp, key]).await?.first() {
///             Some(true) => Ok(EventClaim::Handled),
///             _ => Ok(EventClaim::InProgress),
///         }
///     }
///
///     async fn confirm(&self, esp: &str, key: &str) -> Result<(), ReplayGuardError> {
///         let update = "UPDATE webhook_events SET handled = true WHERE esp = $1 AND key = $2";
///         self.0.execute(update, [esp, key]).await?;
///         Ok(())
///     }
///
///     fn release(&self, esp: &str, key: &str) {
///         let (database, esp, key) = (self.0.clone(), esp.to_owned(), key.to_owned());
///         tokio::spawn(async move {
///             let delete = "DELETE FROM webhook_events WHERE esp = $1 AND key = $2 AND NOT handled";
///             // Should this fail, the claim lapses.
///             let _ = database.execute(delete, [&*esp, &*key]).await;
///         });
///     }
/// }
/// ```
///
/// A guard and a handler are two separate steps. If the process dies, or the database connection is
/// lost, between the handler's success and [`confirm`](Self::confirm), the event is handled again.
/// If that matters, write the event's key in the same transaction as the handler's effects.
#[async_trait]
pub trait ReplayGuard: Send + Sync {
    /// Claims an event if nobody has claimed or handled it.
    ///
    /// The implementation must grant only one of any number of concurrent calls. A claim that is
    /// neither confirmed nor released because the process died must expire, unless it was in that
    /// process's memory.
    ///
    /// # Errors
    /// Any error. The event is then not handled, and the response is 500.
    async fn claim(&self, esp: &str, key: &str) -> Result<EventClaim, ReplayGuardError>;

    /// Records that a claimed event was handled.
    ///
    /// # Errors
    /// Any error. It is logged, and the response is 200, because the event was handled.
    async fn confirm(&self, esp: &str, key: &str) -> Result<(), ReplayGuardError>;

    /// Releases a claim: the handler failed or panicked, or its future was dropped because the ESP
    /// disconnected.
    ///
    /// It may be called while a future is dropped, so it is not async and must neither block nor
    /// panic. Spawn a task for anything that takes longer.
    fn release(&self, esp: &str, key: &str);
}

/// The decision of a [`ReplayGuard`] about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventClaim {
    /// The event is new and now claimed.
    Granted,
    /// Another delivery of the event is being handled.
    InProgress,
    /// The event was handled.
    Handled,
}

/// A [`ReplayGuard`] in memory, for apps with a single process.
///
/// It remembers a limited number of the latest events, at about 60 bytes each; older ones are
/// forgotten and would be handled again. The default is ten thousand events, about 600 kB. Claims
/// of events that are being handled come on top.
#[derive(Debug)]
pub struct MemoryReplayGuard {
    capacity: NonZeroUsize,
    seen: Mutex<Seen>,
}

/// The identity of an event, of fixed length.
type Id = [u8; 16];

#[derive(Default)]
struct Seen {
    claimed: HashSet<Id>,
    handled: HashSet<Id>,
    /// The handled events, oldest first.
    order: VecDeque<Id>,
}

impl MemoryReplayGuard {
    /// Creates a guard that remembers this number of handled events.
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self {
            capacity,
            seen: Mutex::default(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryReplayGuard {
    fn default() -> Self {
        Self::new(const { NonZeroUsize::new(10_000).unwrap() })
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (claimed, handled) = (self.claimed.len(), self.handled.len());
        write!(f, "{claimed} claimed, {handled} handled")
    }
}

#[async_trait]
impl ReplayGuard for MemoryReplayGuard {
    async fn claim(&self, esp: &str, key: &str) -> Result<EventClaim, ReplayGuardError> {
        let id = digest(&[esp, key]);
        let mut seen = self.seen();
        if seen.handled.contains(&id) {
            return Ok(EventClaim::Handled);
        }
        Ok(match seen.claimed.insert(id) {
            true => EventClaim::Granted,
            false => EventClaim::InProgress,
        })
    }

    async fn confirm(&self, esp: &str, key: &str) -> Result<(), ReplayGuardError> {
        let id = digest(&[esp, key]);
        let mut seen = self.seen();
        seen.claimed.remove(&id);
        if !seen.handled.insert(id) {
            return Ok(());
        }
        seen.order.push_back(id);
        if seen.order.len() > self.capacity.get()
            && let Some(oldest) = seen.order.pop_front()
        {
            seen.handled.remove(&oldest);
        }
        Ok(())
    }

    fn release(&self, esp: &str, key: &str) {
        self.seen().claimed.remove(&digest(&[esp, key]));
    }
}

/// A claim that is released when it is dropped, for whatever reason.
pub(super) struct Claimed<'g> {
    guard: &'g dyn ReplayGuard,
    esp: String,
    key: String,
    settled: bool,
}

impl<'g> Claimed<'g> {
    pub(super) fn new(guard: &'g dyn ReplayGuard, event: &Event) -> Self {
        Self {
            guard,
            esp: event.esp().to_owned(),
            key: event.dedup_key().to_owned(),
            settled: false,
        }
    }

    pub(super) async fn confirm(mut self) -> Result<(), ReplayGuardError> {
        // From here on, the event is handled: if dropped at the await, it must not be released.
        self.settled = true;
        self.guard.confirm(&self.esp, &self.key).await
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.guard.release(&self.esp, &self.key);
        }
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
