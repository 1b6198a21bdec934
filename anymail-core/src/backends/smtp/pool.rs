//! The connections of a backend: shared by all its tasks, no more than so many at once.
//!
//! How one is opened is in `session.rs`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::NAME;
use super::session::{self, Session, Settings};
use crate::sending::{SendError, SendErrorKind};

/// How long a server that is told goodbye is waited for.
const GOODBYE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Pool {
    pub(super) settings: Settings,
    permits: Arc<Semaphore>,
    idle: Arc<Idle>,
}

/// Connections that nobody uses, the longest unused first.
#[derive(Debug, Default)]
struct Idle(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    sessions: Vec<(Instant, Session)>,
    /// Whether a task waits to close them.
    watched: bool,
}

/// The right to use one connection.
pub(super) struct Turnstile(#[allow(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

/// A connection in use. Dropped, it is closed: only [`Pool::give_back`] keeps it.
pub(super) struct Lease {
    pub(super) session: Session,
    /// Whether it was used before, so that the server may have closed it meanwhile.
    pub(super) used_before: bool,
}

impl Pool {
    pub(super) fn new(settings: Settings) -> Self {
        let most = settings.config.max_connections.min(Semaphore::MAX_PERMITS);
        Self {
            permits: Arc::new(Semaphore::new(most)),
            settings,
            idle: Arc::default(),
        }
    }

    /// Waits until one connection more may be used.
    pub(super) async fn turn(&self) -> Result<Turnstile, SendError> {
        let permit = self.permits.clone().acquire_owned().await;
        permit.map(Turnstile).map_err(|_| {
            // Nobody closes the semaphore.
            SendError::new(SendErrorKind::Configuration, NAME, "the backend is closed")
        })
    }

    /// A connection: one that was used before and is still there, as far as is known, or a new
    /// one.
    pub(super) async fn connection(&self, _: &Turnstile) -> Result<Lease, SendError> {
        while let Some((since, mut session)) = self.idle.pop() {
            if since.elapsed() < self.settings.config.idle_timeout && session.wire.is_quiet() {
                return Ok(Lease {
                    session,
                    used_before: true,
                });
            }
            dismiss(session);
        }
        let session = session::open(&self.settings).await?;
        Ok(Lease {
            session,
            used_before: false,
        })
    }

    /// Keeps a connection for the next mail, if it is good for one.
    pub(super) fn give_back(&self, lease: Lease, good: bool) {
        if !good {
            return;
        }
        let config = &self.settings.config;
        let worn = lease.session.used >= config.max_messages_per_connection;
        if worn || config.idle_timeout.is_zero() {
            dismiss(lease.session);
            return;
        }
        self.idle.push(lease.session);
        self.watch();
    }

    /// Lets a task close what stays unused for too long.
    fn watch(&self) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if !std::mem::replace(&mut self.idle.lock().watched, true) {
            let limit = self.settings.config.idle_timeout;
            runtime.spawn(close_unused(Arc::downgrade(&self.idle), limit));
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for (_, session) in self.idle.lock().sessions.drain(..) {
            dismiss(session);
        }
    }
}

impl Idle {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing in here can be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one used last: the others grow old and are closed.
    fn pop(&self) -> Option<(Instant, Session)> {
        self.lock().sessions.pop()
    }

    fn push(&self, session: Session) {
        self.lock().sessions.push((Instant::now(), session));
    }
}

/// Ends with the last connection, or with the pool.
async fn close_unused(idle: Weak<Idle>, limit: Duration) {
    let mut next = Some(Instant::now());
    while let Some(since) = next {
        tokio::time::sleep(limit.saturating_sub(since.elapsed())).await;
        let Some(idle) = idle.upgrade() else {
            return;
        };
        let mut kept = idle.lock();
        let old = |(since, _): &mut (Instant, Session)| since.elapsed() >= limit;
        for (_, session) in kept.sessions.extract_if(.., old) {
            dismiss(session);
        }
        next = kept.sessions.first().map(|(since, _)| *since);
        kept.watched = next.is_some();
    }
}

/// Says goodbye to a server without keeping anybody waiting.
fn dismiss(session: Session) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(timeout(GOODBYE, session.wire.quit()));
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} connections", self.sessions.len())
    }
}
