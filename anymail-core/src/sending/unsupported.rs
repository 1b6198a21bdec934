//! [`Unsupported`] and [`Objection`]: what a message requests but its ESP does not support.
//!
//! `policy.rs` compares messages with capabilities and takes features out.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::features::Feature;
use crate::message::Message;

/// One thing in a message that its ESP does not support.
///
/// `Display` writes it as a sentence:
/// ``acme does not support `envelope_sender` (requested: bounces@example.com)``.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Unsupported {
    /// The feature, or `None` for a rule of a single ESP that no feature covers.
    pub feature: Option<Feature>,
    /// The name of the backend that does not support it.
    pub esp: String,
    /// The rest of a sentence that starts with the ESP's name: `does not support send_at`,
    /// `supports at most 1 tag per message (got 2)`.
    pub problem: String,
    /// What the message requested, in words. Empty if the problem says it all. Never a body.
    pub requested: String,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.esp, self.problem)?;
        if !self.requested.is_empty() {
            write!(f, " (requested: {})", self.requested)?;
        }
        Ok(())
    }
}

/// A rule of one ESP that a message breaks and that [`Capabilities`](crate::Capabilities) cannot
/// express, returned by [`EmailBackend::check`](crate::EmailBackend::check).
pub struct Objection {
    explains: Option<Feature>,
    problem: String,
    requested: String,
    take_out: Option<TakeOut>,
}

/// Leaves something out of a message.
pub(super) type TakeOut = Box<dyn FnOnce(&mut Message) + Send + Sync>;

impl Objection {
    /// Creates an objection from the rest of a sentence that starts with the ESP's name (`does not
    /// support the header X-Mailer`) and from what the message requested, which may be empty.
    ///
    /// Without [`take_out`](Self::take_out), the message is refused under either policy.
    pub fn new(problem: impl Into<String>, requested: impl Into<String>) -> Self {
        Self {
            explains: None,
            problem: problem.into(),
            requested: requested.into(),
            take_out: None,
        }
    }

    /// Creates an explanation: `problem` replaces the general text about `feature`, if the message
    /// uses it and the capabilities do not include it.
    pub(crate) fn explain(feature: Feature, problem: impl Into<String>) -> Self {
        Self {
            explains: Some(feature),
            ..Self::new(problem, "")
        }
    }

    /// Names the member of a failover or round robin that objects.
    pub(crate) fn because_of(mut self, member: &str) -> Self {
        self.problem = format!("{} (because of {member:?})", self.problem);
        self
    }

    /// Sets how to leave it out under
    /// [`UnsupportedPolicy::Drop`](crate::UnsupportedPolicy::Drop).
    #[must_use]
    pub fn take_out(mut self, take_out: impl FnOnce(&mut Message) + Send + Sync + 'static) -> Self {
        self.take_out = Some(Box::new(take_out));
        self
    }

    /// Adds this objection of the backend `esp` to what was found so far.
    pub(super) fn add_to(self, found: &mut Vec<(Unsupported, Option<TakeOut>)>, esp: &str) {
        if self.explains.is_some() {
            let explained = found.iter_mut().find(|(it, _)| it.feature == self.explains);
            if let Some((unsupported, _)) = explained {
                unsupported.problem = self.problem;
            }
            return;
        }
        let unsupported = Unsupported {
            feature: None,
            esp: esp.to_owned(),
            problem: self.problem,
            requested: self.requested,
        };
        found.push((unsupported, self.take_out));
    }
}

impl fmt::Debug for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Objection({}, requested: {})",
            self.problem, self.requested
        )
    }
}
