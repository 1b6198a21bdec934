//! [`Unsupported`] and [`Objection`]: what a message asks for and its ESP does not support.
//!
//! Capabilities are compared with messages in `policy.rs`, which also leaves things out.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::features::Feature;
use crate::message::Message;

/// One thing that a message asks for and its ESP cannot do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Unsupported {
    /// The feature; none where it is a rule of one ESP that no feature stands for.
    pub feature: Option<Feature>,
    /// The backend that refuses.
    pub esp: String,
    /// What is supported instead, in words to read behind "*esp* supports": `no send_at`,
    /// `at most 1 of tags, not 2`.
    pub limit: String,
    /// What was asked for, in words. Never a body.
    pub asked: String,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} supports {}", self.esp, self.limit)?;
        if !self.asked.is_empty() {
            write!(f, " (asked for: {})", self.asked)?;
        }
        Ok(())
    }
}

/// What a backend has against a message beyond its capabilities, from
/// [`EmailBackend::check`](crate::EmailBackend::check).
pub struct Objection {
    limit: String,
    asked: String,
    take_out: Option<TakeOut>,
}

/// Leaves something out of a message.
pub(super) type TakeOut = Box<dyn FnOnce(&mut Message) + Send + Sync>;

impl Objection {
    /// An objection: what the ESP supports (`no header X-Mailer`, to be read behind
    /// "*esp* supports"), and what was asked for.
    ///
    /// Without [`take_out`](Self::take_out) the message is refused under either policy.
    pub fn new(limit: impl Into<String>, asked: impl Into<String>) -> Self {
        Self {
            limit: limit.into(),
            asked: asked.into(),
            take_out: None,
        }
    }

    /// The same, said of a backend that has `member` among others.
    pub(crate) fn because_of(mut self, member: &str) -> Self {
        self.limit = format!("{} (because of {member:?})", self.limit);
        self
    }

    /// How to leave it out under [`UnsupportedPolicy::Drop`](crate::UnsupportedPolicy::Drop).
    #[must_use]
    pub fn take_out(mut self, take_out: impl FnOnce(&mut Message) + Send + Sync + 'static) -> Self {
        self.take_out = Some(Box::new(take_out));
        self
    }

    /// The same as a value of the backend `esp`, and the way to leave it out.
    pub(super) fn into_unsupported(self, esp: &str) -> (Unsupported, Option<TakeOut>) {
        let unsupported = Unsupported {
            feature: None,
            esp: esp.to_owned(),
            limit: self.limit,
            asked: self.asked,
        };
        (unsupported, self.take_out)
    }
}

impl fmt::Debug for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Objection({}, asked for: {})", self.limit, self.asked)
    }
}
