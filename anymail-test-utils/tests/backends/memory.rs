//! The memory backend stores messages unchanged.

use std::sync::Arc;

use anymail_core::{EmailBackend, MemoryBackend};
use anymail_test_utils::conformance::{HarnessError, LocalHarness, Mailbox, Understood};

pub(crate) struct MemoryHarness;

impl LocalHarness for MemoryHarness {
    fn backend(&self) -> Result<(Arc<dyn EmailBackend>, Mailbox), HarnessError> {
        let backend = MemoryBackend::new();
        let outbox = backend.outbox();
        let mailbox = move || {
            let stored = outbox.messages();
            Ok(stored
                .iter()
                .map(|it| Understood::from(&it.message))
                .collect())
        };
        Ok((Arc::new(backend), Box::new(mailbox)))
    }
}
