//! [`Capture`]: everything that is traced, as one text to search for secrets.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};

/// Records spans and events of every level with all their fields.
#[derive(Clone, Default)]
pub(super) struct Capture {
    text: Arc<Mutex<String>>,
    spans: Arc<AtomicU64>,
}

impl Capture {
    /// Runs `work` and records what is traced on this thread.
    pub(super) fn over<T>(&self, work: impl FnOnce() -> T) -> T {
        // With a single dispatcher in the process, tracing asks only the current thread whether a
        // callsite is of interest, and caches the answer for all threads. A thread that captures
        // nothing would answer for this one.
        static ANOTHER: OnceLock<Dispatch> = OnceLock::new();
        ANOTHER.get_or_init(|| Dispatch::new(Self::default()));
        tracing::dispatcher::with_default(&Dispatch::new(self.clone()), work)
    }

    /// Returns what was recorded so far.
    pub(super) fn text(&self) -> String {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, String> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, what: &Metadata<'_>) -> Words<'_> {
        let mut text = self.lock();
        let _ = write!(text, "\n{} {}", what.target(), what.name());
        Words(text)
    }
}

struct Words<'a>(MutexGuard<'a, String>);

/// All other kinds of values end up here: this is the default of `Visit`.
impl Visit for Words<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Subscriber for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.begin(span.metadata()));
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Words(self.lock()));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.begin(event.metadata()));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_and_spans_are_kept_with_their_fields() {
        let capture = Capture::default();
        capture.over(|| {
            let span = tracing::trace_span!("call", token = "one", later = tracing::field::Empty);
            span.record("later", "two");
            tracing::trace!(parent: &span, bytes = ?b"three", "four");
        });
        for word in ["one", "two", "four"] {
            assert!(capture.text().contains(word), "{}", capture.text());
        }
        let before = capture.text();
        tracing::error!("nobody is listening");
        assert_eq!(capture.text(), before);
    }
}
