//! The connection pool of a backend, shared by all its tasks, with a maximum number of connections.
//!
//! `session.rs` opens connections.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::NAME;
use super::session::{self, Session, Settings};
use crate::sending::{SendError, SendErrorKind};

/// How long to wait for a server after QUIT.
const GOODBYE: Duration = Duration::from_secs(5);

/// How long no further connections are opened after the server refused one.
const FEWER: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Pool {
    pub(super) settings: Settings,
    permits: Arc<Semaphore>,
    idle: Arc<Idle>,
}

/// Idle connections, the oldest first, and the number of other connections.
#[derive(Debug, Default)]
struct Idle {
    kept: Mutex<Kept>,
    /// Stops counting a connection.
    changed: Notify,
}

#[derive(Default)]
struct Kept {
    sessions: Vec<(Instant, Session)>,
    /// Whether a task is waiting to close them.
    watched: bool,
    counts: Counts,
    /// Permits that are withheld because the server accepts no more connections, and since when.
    held_back: usize,
    held_back_at: Option<Instant>,
}

#[derive(Default)]
struct Counts {
    opening: usize,
    used: usize,
    closing: usize,
}

#[derive(Clone, Copy)]
enum State {
    Opening,
    Used,
    /// The connection is being closed, and the server may still count it.
    Closing,
}

/// The permit to use one connection.
pub(super) struct Turnstile(Option<OwnedSemaphorePermit>);

/// A connection in use. Dropping it closes it; only [`Pool::give_back`] keeps it.
pub(super) struct Lease {
    pub(super) session: Session,
    /// Whether it was used before, so that the server may have closed it meanwhile.
    pub(super) used_before: bool,
    counted: Counted,
}

/// Counts a connection for as long as it exists.
struct Counted(Arc<Idle>, State);

impl Drop for Counted {
    fn drop(&mut self) {
        let mut kept = self.0.lock();
        let count = kept.counts.of(self.1);
        *count = count.saturating_sub(1);
        drop(kept);
        self.0.changed.notify_waiters();
    }
}

impl Counts {
    fn of(&mut self, state: State) -> &mut usize {
        match state {
            State::Opening => &mut self.opening,
            State::Used => &mut self.used,
            State::Closing => &mut self.closing,
        }
    }
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

    /// Waits for the permit to use one more connection.
    pub(super) async fn turn(&self) -> Result<Turnstile, SendError> {
        let again = self.idle.lock().take_held_back();
        self.permits.add_permits(again);
        let permit = self.permits.clone().acquire_owned().await;
        permit.map(|it| Turnstile(Some(it))).map_err(|_| {
            // Nobody closes the semaphore.
            SendError::new(SendErrorKind::Configuration, NAME, "the backend is closed")
        })
    }

    /// Returns a connection: an idle one that seems to be open, or a new one.
    ///
    /// Many servers accept only so many connections from one client. If the server refuses another
    /// one while there are others, the message waits for one of them.
    pub(super) async fn connection(&self, turn: &mut Turnstile) -> Result<Lease, SendError> {
        let limit = self.settings.config.timeout;
        loop {
            while let Some((since, mut lease)) = self.idle.pop() {
                let young = since.elapsed() < self.settings.config.idle_timeout;
                if young && lease.session.wire.is_quiet() {
                    return Ok(lease);
                }
                self.dismiss(lease.session);
            }
            let opening = self.idle.count(State::Opening);
            let error = match session::open(&self.settings).await {
                Ok(session) => {
                    return Ok(Lease {
                        session,
                        used_before: false,
                        counted: self.idle.count(State::Used),
                    });
                }
                Err(error) => error,
            };
            drop(opening);
            if !error.is_transient() {
                return Err(error);
            }
            loop {
                let changed = self.idle.changed.notified();
                tokio::pin!(changed);
                // Subscribe before the check, so that no change after it is missed.
                changed.as_mut().enable();
                match self.others(turn) {
                    Others::None => return Err(error),
                    // By then it is known whether there is a connection to wait for. The wait is
                    // limited, because the task that opens it may not be polled.
                    Others::Opening => match timeout(limit, changed).await {
                        Ok(()) => continue,
                        Err(_) => return Err(error),
                    },
                    Others::Closing => {
                        let _ = timeout(GOODBYE, changed).await;
                    }
                    Others::Idle => {}
                    Others::Used => {
                        tracing::debug!(esp = NAME, %error, "continuing with fewer connections");
                        *turn = self.turn().await?;
                    }
                }
                break;
            }
        }
    }

    /// Whether other connections exist. If all of them are in use, gives up the permit: each
    /// connection in use has one, so at least one remains.
    fn others(&self, turn: &mut Turnstile) -> Others {
        let mut kept = self.idle.lock();
        if !kept.sessions.is_empty() {
            return Others::Idle;
        }
        if kept.counts.closing > 0 {
            return Others::Closing;
        }
        if kept.counts.used == 0 {
            return match kept.counts.opening > 0 {
                true => Others::Opening,
                false => Others::None,
            };
        }
        if let Some(permit) = turn.0.take() {
            permit.forget();
            kept.held_back += 1;
            kept.held_back_at = Some(Instant::now());
        }
        Others::Used
    }

    /// Keeps a connection for the next message if it can be reused.
    pub(super) fn give_back(&self, lease: Lease, good: bool) {
        if !good {
            return;
        }
        let config = &self.settings.config;
        let worn = lease.session.used >= config.max_messages_per_connection;
        if worn || config.idle_timeout.is_zero() {
            self.dismiss(lease.session);
        } else {
            self.idle.push(lease.session);
            self.watch();
        }
        // It is not counted from here on.
        drop(lease.counted);
    }

    fn dismiss(&self, session: Session) {
        dismiss(&self.idle, session);
    }

    /// Spawns a task that closes connections that stay idle for too long.
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
        let unused = std::mem::take(&mut self.idle.lock().sessions);
        for (_, session) in unused {
            self.dismiss(session);
        }
    }
}

impl Idle {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        // No code that runs under the lock can panic halfway.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(self: &Arc<Self>, state: State) -> Counted {
        *self.lock().counts.of(state) += 1;
        Counted(Arc::clone(self), state)
    }

    /// Takes the connection that was used last, so that the others become old and are closed.
    fn pop(self: &Arc<Self>) -> Option<(Instant, Lease)> {
        let mut kept = self.lock();
        let (since, session) = kept.sessions.pop()?;
        kept.counts.used += 1;
        let lease = Lease {
            session,
            used_before: true,
            counted: Counted(Arc::clone(self), State::Used),
        };
        Some((since, lease))
    }

    fn push(&self, session: Session) {
        self.lock().sessions.push((Instant::now(), session));
    }
}

impl Kept {
    /// Permits that are available again because the server may accept more connections.
    fn take_held_back(&mut self) -> usize {
        match self.held_back_at {
            Some(since) if since.elapsed() >= FEWER => {
                self.held_back_at = None;
                std::mem::take(&mut self.held_back)
            }
            _ => 0,
        }
    }
}

/// Ends with the last connection or with the pool.
async fn close_unused(idle: Weak<Idle>, limit: Duration) {
    let mut next = Some(Instant::now());
    while let Some(since) = next {
        tokio::time::sleep(limit.saturating_sub(since.elapsed())).await;
        let Some(idle) = idle.upgrade() else {
            return;
        };
        let mut kept = idle.lock();
        let old = |(since, _): &mut (Instant, Session)| since.elapsed() >= limit;
        let old: Vec<_> = kept.sessions.extract_if(.., old).collect();
        next = kept.sessions.first().map(|(since, _)| *since);
        kept.watched = next.is_some();
        drop(kept);
        for (_, session) in old {
            dismiss(&idle, session);
        }
    }
}

/// Closes a connection in the background.
fn dismiss(idle: &Arc<Idle>, session: Session) {
    if let Ok(runtime) = Handle::try_current() {
        let closing = idle.count(State::Closing);
        runtime.spawn(async move {
            let _ = timeout(GOODBYE, session.wire.quit()).await;
            drop(closing);
        });
    }
}

/// Which other connections exist when one could not be opened.
enum Others {
    None,
    Idle,
    Opening,
    Closing,
    Used,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} connections", self.sessions.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::SmtpConfig;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_permit_that_was_held_back_is_available_again_after_a_minute() {
        let config = SmtpConfig::new("mail.example.com").max_connections(1);
        let server = config.server();
        let pool = Pool::new(Settings {
            config,
            server,
            tls: None,
        });
        let used = pool.idle.count(State::Used);
        let mut turn = pool.turn().await.unwrap();
        assert!(matches!(pool.others(&mut turn), Others::Used));
        drop(used);
        let second = Duration::from_secs(1);
        tokio::time::sleep(second * 59).await;
        assert!(timeout(second / 2, pool.turn()).await.is_err());
        tokio::time::sleep(second).await;
        assert!(timeout(second, pool.turn()).await.is_ok());
    }
}
