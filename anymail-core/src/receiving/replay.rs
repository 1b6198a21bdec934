//! [`ReplayGuard`]: a memory of the events that were handled, so that none is handled twice.
//!
//! Webhooks get one in `handled_once.rs`; what is answered to a repeated event is decided in
//! `serve.rs`.

use std::collections::{HashSet, VecDeque};
use std::error::Error;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::event::{Event, digest};

/// What goes wrong in a [`ReplayGuard`]: its database cannot be reached, say.
pub type ReplayGuardError = Box<dyn Error + Send + Sync>;

/// Remembers which events were handled, so that an event that is posted again is not handled
/// again.
///
/// An event is known by its ESP's name and its [`dedup_key`](Event::dedup_key). For each event,
/// [`serve_webhook`](crate::serve_webhook) and its like claim it, hand it to the app, and then
/// confirm or release the claim:
///
/// | the event is | it is handled | its post is answered |
/// | --- | --- | --- |
/// | new, or was released | yes, and confirmed if the handler succeeds, else released | 200, or 500 |
/// | claimed: another delivery is being handled at the moment | no | 503 with `Retry-After`, so that the ESP asks again when the outcome is known |
/// | handled | no | 200 |
///
/// [`MemoryReplayGuard`] serves one process and forgets all when it ends. Where several
/// processes receive webhooks, or a restart must not count, it is a row of a database. Here is
/// one for PostgreSQL, over the table `webhook_events (esp text, key text, handled boolean,
/// claimed_until timestamptz, primary key (esp, key))`:
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
/// A guard and a handler are two steps. If the process dies, or the database is lost, between
/// the handler's success and [`confirm`](Self::confirm), the event is handled again. An app for
/// which that matters writes the event's key in the same transaction as its effects.
#[async_trait]
pub trait ReplayGuard: Send + Sync {
    /// Claims an event, if nobody has claimed or handled it.
    ///
    /// An implementer guarantees: of any number of calls at the same time, one is granted. A
    /// claim that is neither confirmed nor released (because the process died) lapses, unless
    /// it lives in the memory that died with it.
    ///
    /// # Errors
    /// Any. The event is then not handled, and its post is answered 500.
    async fn claim(&self, esp: &str, key: &str) -> Result<EventClaim, ReplayGuardError>;

    /// Remembers that a claimed event was handled.
    ///
    /// # Errors
    /// Any. It is logged, and the post is answered 200: the event was handled.
    async fn confirm(&self, esp: &str, key: &str) -> Result<(), ReplayGuardError>;

    /// Gives a claim back: the handler failed or panicked, or its future was dropped because
    /// the ESP hung up.
    ///
    /// It is called while futures are dropped, so it is not async, and must neither block nor
    /// panic. What takes longer goes to a task of its own.
    fn release(&self, esp: &str, key: &str);
}

/// What a [`ReplayGuard`] says of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventClaim {
    /// It is new, and now claimed.
    Granted,
    /// Another delivery of it is being handled.
    InProgress,
    /// It was handled.
    Handled,
}

/// A [`ReplayGuard`] in memory: for an app that is one process.
///
/// It remembers the last events, as many as it is told to, at about 60 bytes for each; older
/// ones are forgotten, and would be handled again. Ten thousand, the default, take some 600 kB.
/// Claims come on top: one for each event that is being handled.
#[derive(Debug)]
pub struct MemoryReplayGuard {
    capacity: NonZeroUsize,
    seen: Mutex<Seen>,
}

/// An event's identity, of one length whatever the ESP's own keys are.
type Id = [u8; 16];

#[derive(Default)]
struct Seen {
    claimed: HashSet<Id>,
    handled: HashSet<Id>,
    /// Those handled, oldest first.
    order: VecDeque<Id>,
}

impl MemoryReplayGuard {
    /// Remembers so many handled events.
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

/// A claim that is given back when it is dropped, however that comes about.
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
        // From here on the event is handled: dropped at the await, it must not be released.
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
