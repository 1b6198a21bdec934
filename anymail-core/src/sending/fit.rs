//! Creates a [`PreparedMessage`]: validated, and limited to what its backend supports.
//!
//! `mailer.rs` says when, and what happens to the message before.

use super::backend::{EmailBackend, PreparedMessage};
use super::defaults::SendDefaults;
use super::error::{SendError, SendErrorKind};
use super::policy::{self, UnsupportedPolicy};
use super::withheld::Withheld;
use crate::message::Message;

impl PreparedMessage {
    /// Validates a message with its defaults applied, and applies the policy to it.
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

    /// Prepares this message for another backend than it was prepared for: applies `defaults`, and
    /// checks it against the capabilities of `backend`. For backends over other backends.
    ///
    /// [`dropped`](Self::dropped) then contains only what was dropped for `backend`; add it to the
    /// status.
    ///
    /// # Errors
    /// [`SendErrorKind::UnsupportedFeature`], and [`SendErrorKind::InvalidMessage`] if the defaults
    /// make the message invalid.
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
