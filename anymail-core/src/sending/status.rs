//! [`SendStatus`]: what became of a message, recipient by recipient.
//!
//! A message that nobody got is a `SendError` (`error.rs`), which can hold a status, too.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::recipients::{RecipientStatus, Recipients, Status, StatusDetail};
use super::unsupported::Unsupported;
use crate::message::{Address, AddressKey, Message};

/// What a member of a failover or a round robin said when it did not take a message.
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

/// What became of a message.
///
/// Every recipient of the message is in it, in the order `to`, `cc`, `bcc`, each once. It is
/// plain data: it goes into JSON and comes back.
///
/// `Debug` shows the sizes of the raw answers, not the answers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SendStatus {
    /// The backend that sent it, for example `acme`.
    pub esp: Cow<'static, str>,
    /// The member that sent it, where the backend is a failover or a round robin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// What the members said that were asked before [`member`](Self::member), in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub member_errors: Vec<MemberError>,
    /// What was left out because the ESP does not support it.
    pub dropped: Vec<Unsupported>,
    /// What post-send hooks that failed had to say. The message is sent all the same.
    pub hook_errors: Vec<String>,
    /// The ESP's raw answers, one a call.
    pub esp_responses: Vec<String>,
    recipients: Recipients,
}

impl SendStatus {
    /// A status in which nothing is known of any recipient of `message`.
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

    /// Sets what became of one recipient. Gives whether it is one of this message's.
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

    /// Adds a recipient whom a pre-send hook left out; one who is in it stays as they are.
    pub(super) fn withhold(&mut self, recipient: &Address, status: Status, detail: &StatusDetail) {
        self.recipients.insert(RecipientStatus {
            email: recipient.email().to_owned(),
            status,
            message_id: None,
            detail: Some(detail.clone()),
        });
    }

    /// The recipients, in the order `to`, `cc`, `bcc`, and behind them those whom a pre-send
    /// hook left out.
    pub fn recipients(&self) -> impl ExactSizeIterator<Item = &RecipientStatus> {
        self.recipients.iter()
    }

    /// What became of one recipient, written in whatever case or form of its domain.
    pub fn recipient(&self, email: &str) -> Option<&RecipientStatus> {
        self.by_key(&AddressKey::of(email))
    }

    /// The same, by the address's comparison form.
    pub fn by_key(&self, key: &AddressKey) -> Option<&RecipientStatus> {
        self.recipients.get(key)
    }

    /// The different message ids, sorted.
    pub fn message_ids(&self) -> BTreeSet<&str> {
        let ids = self.recipients().filter_map(|r| r.message_id.as_deref());
        ids.collect()
    }

    /// The message id, where there is just one.
    pub fn message_id(&self) -> Option<&str> {
        let mut ids = self.message_ids().into_iter();
        ids.next().filter(|_| ids.next().is_none())
    }

    /// Whether every recipient has this status.
    pub fn all(&self, status: Status) -> bool {
        self.recipients().all(|r| r.status == status)
    }

    /// Whether anybody has, or may have, been sent the message.
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
