//! [`Event`]: what an ESP has to say about a mail, in words that all ESPs share.
//!
//! Which of an ESP's words means which of these is said in each backend; an inbound mail's
//! content lives in `inbound.rs`.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::inbound::InboundMessage;
use super::raw::RawBytes;
use crate::message::Metadata;

/// What happened. The names are django-anymail's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventType {
    /// The ESP has accepted the message and will try to send it.
    Queued,
    /// The ESP has sent it; whether it arrived is not known.
    Sent,
    /// The ESP refused to send it; the reject reason may say why.
    Rejected,
    /// The ESP could not send it, for another reason than the recipient.
    Failed,
    /// The receiving server refused it for good.
    Bounced,
    /// The receiving server did not take it now; the ESP tries again.
    Deferred,
    /// The receiving server has taken it.
    Delivered,
    /// A machine answered it: an absence notice, a challenge.
    Autoresponded,
    /// It was opened.
    Opened,
    /// A link in it was clicked.
    Clicked,
    /// The recipient called it spam.
    Complained,
    /// The recipient wants no more.
    Unsubscribed,
    /// The recipient wants mail (again).
    Subscribed,
    /// A mail came in.
    Inbound,
    /// A mail came in and could not be handed on.
    InboundFailed,
    /// Something that has no name here; the payload tells what.
    Unknown,
}

impl EventType {
    /// The name as it stands in JSON, for example `inbound_failed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Bounced => "bounced",
            Self::Deferred => "deferred",
            Self::Delivered => "delivered",
            Self::Autoresponded => "autoresponded",
            Self::Opened => "opened",
            Self::Clicked => "clicked",
            Self::Complained => "complained",
            Self::Unsubscribed => "unsubscribed",
            Self::Subscribed => "subscribed",
            Self::Inbound => "inbound",
            Self::InboundFailed => "inbound_failed",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a message was rejected or bounced. The names are django-anymail's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RejectReason {
    /// The address is not valid.
    Invalid,
    /// It bounced, now or before.
    Bounced,
    /// The ESP gave up trying.
    TimedOut,
    /// The recipient or the receiving server is blocked, or blocks.
    Blocked,
    /// It was taken for spam, or the recipient complained before.
    Spam,
    /// The recipient has unsubscribed.
    Unsubscribed,
    /// Another reason, which the payload tells.
    Other,
}

impl RejectReason {
    /// The name as it stands in JSON, for example `timed_out`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Bounced => "bounced",
            Self::TimedOut => "timed_out",
            Self::Blocked => "blocked",
            Self::Spam => "spam",
            Self::Unsubscribed => "unsubscribed",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who caused an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventActor {
    /// The recipient, or the recipient's mail server.
    Recipient,
    /// Somebody who runs the account at the ESP, or the ESP itself.
    Operator,
}

/// What a webhook gives to the app: news of a mail that was sent, or a mail that came in.
///
/// ESPs post an event again when they are not sure that it arrived, and now and then for no
/// reason at all; order is not promised either. An app for which a repeat matters has a
/// [`ReplayGuard`](crate::ReplayGuard) keep the [`dedup_key`](Self::dedup_key)s of the events
/// that it has handled.
///
/// It is plain data: it goes into JSON and comes back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "an event is made once and handed on once; a box would stand in every app's match"
)]
pub enum Event {
    /// News of a mail that was sent.
    Tracking(TrackingEvent),
    /// A mail that came in.
    Inbound(InboundEvent),
}

impl Event {
    /// What happened.
    pub fn event_type(&self) -> EventType {
        match self {
            Self::Tracking(event) => event.event_type,
            Self::Inbound(_) => EventType::Inbound,
        }
    }

    /// The ESP's name, for example `postbox`.
    pub fn esp(&self) -> &str {
        match self {
            Self::Tracking(event) => &event.esp,
            Self::Inbound(event) => &event.esp,
        }
    }

    /// The same for an event and its repeats, and for no other event of the same ESP.
    pub fn dedup_key(&self) -> &str {
        match self {
            Self::Tracking(event) => &event.dedup_key,
            Self::Inbound(event) => &event.dedup_key,
        }
    }
}

/// News of a mail that was sent.
///
/// What the ESP did not say is `None` or empty. `Debug` shows no values of metadata, no link
/// and nothing of the payload.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TrackingEvent {
    /// The ESP's name.
    pub esp: String,
    /// What happened.
    pub event_type: EventType,
    /// When it happened.
    #[serde(with = "time::serde::rfc3339::option")]
    pub timestamp: Option<OffsetDateTime>,
    /// The ESP's own id of this event. Not all events have one.
    pub event_id: Option<String>,
    /// The same for an event and its repeats, and for no other event of the same ESP.
    pub dedup_key: String,
    /// The message id that the [`SendStatus`](crate::SendStatus) gave for the recipient.
    pub message_id: Option<String>,
    /// The recipient's address, as the ESP writes it.
    pub recipient: Option<String>,
    /// The ESP's stream, list or group that the event is about. `None` for an ESP's default
    /// stream, and where an ESP has none.
    pub stream: Option<String>,
    /// For a bounce or a rejected address: whether the ESP says that mail to the address will
    /// never arrive (a hard bounce), or that it may (a soft one).
    pub hard: Option<bool>,
    /// Who caused it, where the ESP says so.
    pub actor: Option<EventActor>,
    /// The message's tags.
    pub tags: Vec<String>,
    /// The message's metadata.
    pub metadata: Metadata,
    /// Why the message was rejected or bounced.
    pub reject_reason: Option<RejectReason>,
    /// The ESP's words about what happened.
    pub description: Option<String>,
    /// The receiving server's words.
    pub mta_response: Option<String>,
    /// The program in which it was opened or clicked, as it calls itself.
    pub user_agent: Option<String>,
    /// The link that was clicked, as it stood in the message.
    pub click_url: Option<String>,
    /// What the ESP sent.
    pub payload: RawBytes,
}

impl TrackingEvent {
    /// An event of which nothing is known but this; a backend fills in the rest.
    pub fn new(
        esp: impl Into<String>,
        event_type: EventType,
        dedup_key: impl Into<String>,
        payload: RawBytes,
    ) -> Self {
        Self {
            esp: esp.into(),
            event_type,
            timestamp: None,
            event_id: None,
            dedup_key: dedup_key.into(),
            message_id: None,
            recipient: None,
            stream: None,
            hard: None,
            actor: None,
            tags: Vec::new(),
            metadata: Metadata::new(),
            reject_reason: None,
            description: None,
            mta_response: None,
            user_agent: None,
            click_url: None,
            payload,
        }
    }
}

impl fmt::Debug for TrackingEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrackingEvent")
            .field("esp", &self.esp)
            .field("event_type", &self.event_type)
            .field("timestamp", &self.timestamp)
            .field("event_id", &self.event_id)
            .field("dedup_key", &self.dedup_key)
            .field("message_id", &self.message_id)
            .field("recipient", &self.recipient)
            .field("stream", &self.stream)
            .field("hard", &self.hard)
            .field("actor", &self.actor)
            .field("tags", &self.tags)
            .field("metadata", &self.metadata.keys().collect::<Vec<_>>())
            .field("reject_reason", &self.reject_reason)
            .field("description", &self.description)
            .field("mta_response", &self.mta_response)
            .field("user_agent", &self.user_agent)
            .field("has_click_url", &self.click_url.is_some())
            .field("payload", &self.payload)
            .finish()
    }
}

/// A mail that came in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InboundEvent {
    /// The ESP's name.
    pub esp: String,
    /// When the ESP received it, if it says so. (What the sender claims is the message's
    /// [`date`](InboundMessage::date).)
    #[serde(with = "time::serde::rfc3339::option")]
    pub timestamp: Option<OffsetDateTime>,
    /// The ESP's own id of this event.
    pub event_id: Option<String>,
    /// The same for an event and its repeats, and for no other event of the same ESP.
    pub dedup_key: String,
    /// The mail.
    pub message: InboundMessage,
    /// What the ESP sent.
    pub payload: RawBytes,
}

impl InboundEvent {
    /// An event of which nothing is known but this; a backend fills in the rest.
    pub fn new(
        esp: impl Into<String>,
        message: InboundMessage,
        dedup_key: impl Into<String>,
        payload: RawBytes,
    ) -> Self {
        Self {
            esp: esp.into(),
            timestamp: None,
            event_id: None,
            dedup_key: dedup_key.into(),
            message,
            payload,
        }
    }
}

/// A key for an event whose ESP gives none: 128 bits of the SHA-256 of the parts that tell it
/// from others, as 32 hexadecimal digits. The same parts, in the same order, give the same key
/// for ever.
///
/// ```
/// use anymail_core::dedup_key;
///
/// let key = dedup_key(&["Bounce", "4711", "ann@example.com"]);
/// assert_eq!(key, dedup_key(&["Bounce", "4711", "ann@example.com"]));
/// assert_ne!(key, dedup_key(&["Bounce", "471", "1ann@example.com"]));
/// ```
pub fn dedup_key(parts: &[impl AsRef<[u8]>]) -> String {
    hex(&digest(parts))
}

/// 128 bits of the SHA-256 of the parts.
pub(super) fn digest(parts: &[impl AsRef<[u8]>]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        let part = part.as_ref();
        // With its length in front, no part can run over into the next.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut digest = [0; 16];
    for (byte, hashed) in digest.iter_mut().zip(hash.finalize()) {
        *byte = hashed;
    }
    digest
}

/// Two lower-case digits for each byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            digits.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> TrackingEvent {
        let mut event = TrackingEvent::new(
            "postbox",
            EventType::Clicked,
            "key",
            RawBytes::new(r#"{"a": "s3cret"}"#),
        );
        event.timestamp = Some(OffsetDateTime::UNIX_EPOCH);
        event.metadata.insert("order".into(), "s3cret".into());
        event.click_url = Some("https://example.com/s3cret".into());
        event
    }

    #[test]
    fn an_event_comes_back_out_of_json() {
        let event = Event::Tracking(event());
        let json = serde_json::to_string(&event).unwrap();
        assert!(json.contains("1970-01-01T00:00:00Z"), "{json}");
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
    }

    #[test]
    fn what_may_be_secret_does_not_print() {
        let printed = format!("{:?}", event());
        assert!(!printed.contains("s3cret"), "{printed}");
        assert!(printed.contains("order"), "{printed}");
    }

    #[test]
    fn a_name_prints_as_it_stands_in_json() {
        for kind in [EventType::InboundFailed, EventType::Autoresponded] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.to_string());
        }
        let reason = RejectReason::TimedOut;
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.to_string());
    }

    #[test]
    fn a_derived_key_never_changes() {
        // Apps keep these: another value here is a break of everybody's stored keys.
        let key = dedup_key(&["Delivery", "", "ann@example.com"]);
        assert_eq!(key, "dbe0a5ad20f7a12343679afa77c64dc8");
    }
}
