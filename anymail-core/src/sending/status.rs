//! [`SendStatus`]: the result of a message for each recipient.
//!
//! If nobody was sent the message, the result is a `SendError` (`error.rs`), which may contain a
//! status.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::recipients::{RecipientStatus, Recipients, Status, StatusDetail};
use super::unsupported::Unsupported;
use crate::message::{Address, AddressKey, Message};

/// The error of a member of a failover or round robin that did not accept a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MemberError {
    /// The member's name.
    pub member: String,
    /// Its error, in words.
    pub error: String,
}

impl MemberError {
    pub(crate) fn new(member: &str, error: impl fmt::Display) -> Self {
        Self {
            member: member.to_owned(),
            error: error.to_string(),
        }
    }
}

impl fmt::Display for MemberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "member {:?}: {}", self.member, self.error)
    }
}

/// The result of sending a message.
///
/// It contains every recipient of the message, in the order `to`, `cc`, `bcc`, without duplicates.
/// It is plain data and can be serialized and deserialized.
///
/// `Debug` shows the sizes of the raw responses, and not their contents.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SendStatus {
    /// The backend that sent it, for example `acme`.
    pub esp: Cow<'static, str>,
    /// The member that sent it, if the backend is a failover or a round robin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The errors of the members that were tried before [`member`](Self::member), in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub member_errors: Vec<MemberError>,
    /// Features that were dropped because the ESP does not support them.
    pub dropped: Vec<Unsupported>,
    /// The errors of post-send hooks. The message was sent anyway.
    pub hook_errors: Vec<String>,
    /// The ESP's raw responses, one for each call.
    pub esp_responses: Vec<String>,
    recipients: Recipients,
}

impl SendStatus {
    /// Creates a status in which nothing is known about any recipient of `message`.
    pub fn unknown(esp: impl Into<Cow<'static, str>>, message: &Message) -> Self {
        Self {
            esp: esp.into(),
            member: None,
            member_errors: Vec::new(),
            dropped: Vec::new(),
            hook_errors: Vec::new(),
            esp_responses: Vec::new(),
            recipients: Recipients::unknown(message.recipients()),
        }
    }

    /// Sets the status of one recipient. Returns whether it is a recipient of this message.
    pub fn set(
        &mut self,
        recipient: &AddressKey,
        status: Status,
        message_id: Option<String>,
        detail: Option<StatusDetail>,
    ) -> bool {
        let Some(entry) = self.recipients.get_mut(recipient) else {
            return false;
        };
        entry.status = status;
        entry.message_id = message_id;
        entry.detail = detail;
        true
    }

    /// Returns the status of one recipient, to change it.
    pub fn recipient_mut(&mut self, recipient: &Address) -> Option<&mut RecipientStatus> {
        self.recipients.of_mut(recipient)
    }

    /// Adds a recipient that a pre-send hook withheld, unless it is already listed.
    pub(super) fn withhold(&mut self, recipient: &Address, status: Status, detail: &StatusDetail) {
        self.recipients.insert(RecipientStatus {
            email: recipient.email().to_owned(),
            status,
            message_id: None,
            detail: Some(detail.clone()),
        });
    }

    /// The recipients, in the order `to`, `cc`, `bcc`, followed by those that pre-send hooks
    /// withheld.
    pub fn recipients(&self) -> impl ExactSizeIterator<Item = &RecipientStatus> {
        self.recipients.iter()
    }

    /// The status of one recipient. Neither upper and lower case nor the form of an international
    /// domain matters.
    pub fn recipient(&self, email: &str) -> Option<&RecipientStatus> {
        self.by_key(&AddressKey::of(email))
    }

    /// The status of the recipient with this key.
    pub fn by_key(&self, key: &AddressKey) -> Option<&RecipientStatus> {
        self.recipients.get(key)
    }

    /// The distinct message IDs, sorted.
    pub fn message_ids(&self) -> BTreeSet<&str> {
        let ids = self.recipients().filter_map(|r| r.message_id.as_deref());
        ids.collect()
    }

    /// The message ID, if there is exactly one.
    pub fn message_id(&self) -> Option<&str> {
        let mut ids = self.message_ids().into_iter();
        ids.next().filter(|_| ids.next().is_none())
    }

    /// Whether every recipient has this status.
    pub fn all(&self, status: Status) -> bool {
        self.recipients().all(|r| r.status == status)
    }

    /// Whether the message was, or may have been, sent to anybody.
    pub fn may_be_accepted(&self) -> bool {
        self.recipients().any(|r| r.status.may_be_accepted())
    }
}

impl fmt::Debug for SendStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: Vec<_> = self.esp_responses.iter().map(String::len).collect();
        f.debug_struct("SendStatus")
            .field("esp", &self.esp)
            .field("member", &self.member)
            .field("member_errors", &self.member_errors)
            .field("recipients", &self.recipients)
            .field("dropped", &self.dropped)
            .field("hook_errors", &self.hook_errors)
            .field("esp_response_bytes", &sizes)
            .finish()
    }
}
