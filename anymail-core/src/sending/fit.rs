//! How a [`PreparedMessage`] is made: validated, and fit for what its backend can do.
//!
//! When it is made, and what happened to the message before, is said in `mailer.rs`.

use super::backend::{EmailBackend, PreparedMessage};
use super::defaults::SendDefaults;
use super::error::{SendError, SendErrorKind};
use super::policy::{self, UnsupportedPolicy};
use super::withheld::Withheld;
use crate::message::Message;

impl PreparedMessage {
    /// Validates a message whose defaults are in place, and applies the policy to it.
    pub(super) fn make(
        mut message: Message,
        backend: &dyn EmailBackend,
        policy: UnsupportedPolicy,
        withheld: Vec<Withheld>,
    ) -> Result<Self, SendError> {
        let esp = backend.name();
        message.normalize();
        let faults = message.faults();
        let from = message.from.value().cloned();
        let (Some(from), true) = (from, faults.is_empty()) else {
            let unsupported = policy::unsupported(backend, &message);
            return Err(SendError::new(SendErrorKind::InvalidMessage, esp, "")
                .with_faults(faults)
                .with_unsupported(unsupported));
        };
        let outcome = policy::apply(policy, backend, &mut message);
        if !outcome.refused.is_empty() {
            return Err(SendError::new(SendErrorKind::UnsupportedFeature, esp, "")
                .with_unsupported(outcome.refused));
        }
        for dropped in &outcome.dropped {
            tracing::warn!(esp, problem = %dropped.problem, "dropped an unsupported feature");
        }
        Ok(Self::new(message, from, outcome.dropped, withheld))
    }

    /// This message for another backend than it was prepared for: with `defaults` under it, and
    /// checked against what `backend` can do. For backends over other backends.
    ///
    /// [`dropped`](Self::dropped) then says what was left out for `backend` alone; it belongs
    /// into the status.
    ///
    /// # Errors
    /// [`SendErrorKind::UnsupportedFeature`], and [`SendErrorKind::InvalidMessage`] where the
    /// defaults spoil the message.
    pub fn fit(
        &self,
        backend: &dyn EmailBackend,
        defaults: &SendDefaults,
        policy: UnsupportedPolicy,
    ) -> Result<Self, SendError> {
        let nothing_to_do = defaults.is_empty()
            && self.dropped().is_empty()
            && policy::unsupported(backend, self.message()).is_empty();
        if nothing_to_do {
            return Ok(self.clone());
        }
        let message = defaults.under(self.message());
        Self::make(message, backend, policy, Vec::new())
    }
}
