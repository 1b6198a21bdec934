//! [`Event`]: what an ESP reports about an email, in terms that all ESPs share.
//!
//! Each backend maps its ESP's terms; `inbound.rs` defines the content of inbound email.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::inbound::InboundMessage;
use super::raw::RawBytes;
use crate::message::Metadata;

/// What happened. The names are the same as in django-anymail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventType {
    /// The ESP has accepted the message and will try to send it.
    Queued,
    /// The ESP has sent it. Whether it was delivered is not known.
    Sent,
    /// The ESP refused to send it. The reject reason may say why.
    Rejected,
    /// The ESP could not send it, for a reason other than the recipient.
    Failed,
    /// The receiving server permanently refused it.
    Bounced,
    /// The receiving server temporarily refused it. The ESP will try again.
    Deferred,
    /// The receiving server has accepted it.
    Delivered,
    /// An automatic reply was received, such as an out-of-office message or a challenge.
    Autoresponded,
    /// The recipient opened it.
    Opened,
    /// The recipient clicked a link in it.
    Clicked,
    /// The recipient reported it as spam.
    Complained,
    /// The recipient unsubscribed.
    Unsubscribed,
    /// The recipient subscribed or resubscribed.
    Subscribed,
    /// An inbound message was received.
    Inbound,
    /// An inbound message was received but could not be processed.
    InboundFailed,
    /// Anything else. See the payload.
    Unknown,
}

impl EventType {
    /// The name in JSON, for example `inbound_failed`.
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

/// Why a message was rejected or bounced. The names are the same as in django-anymail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RejectReason {
    /// The address is not valid.
    Invalid,
    /// The address bounced, now or earlier.
    Bounced,
    /// The ESP gave up trying.
    TimedOut,
    /// The recipient or the receiving server is blocked, or blocks the message.
    Blocked,
    /// It was classified as spam, or the recipient complained earlier.
    Spam,
    /// The recipient has unsubscribed.
    Unsubscribed,
    /// Another reason. See the payload.
    Other,
}

impl RejectReason {
    /// The name in JSON, for example `timed_out`.
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
    /// Somebody who manages the account at the ESP, or the ESP itself.
    Operator,
}

/// An event from a webhook: news about a sent message, or an inbound message.
///
/// ESPs post an event again if they are not sure that it arrived, and sometimes for no visible
/// reason. They do not guarantee any order. If duplicates matter to your app, let a
/// [`ReplayGuard`](crate::ReplayGuard) remember the [`dedup_key`](Self::dedup_key)s of the events
/// that it has handled.
///
/// An event is plain data and can be serialized and deserialized.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "an event is created once and moved once; a box would complicate every app's match"
)]
pub enum Event {
    /// News about a sent message.
    Tracking(TrackingEvent),
    /// An inbound message.
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

    /// A key that an event shares with its duplicates and with no other event of the same ESP.
    pub fn dedup_key(&self) -> &str {
        match self {
            Self::Tracking(event) => &event.dedup_key,
            Self::Inbound(event) => &event.dedup_key,
        }
    }
}

/// News about a sent message.
///
/// Values that the ESP did not provide are `None` or empty. `Debug` does not show the values of
/// metadata, links, or the payload.
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
    /// The ESP's own ID of this event. Not all events have one.
    pub event_id: Option<String>,
    /// A key that an event shares with its duplicates and with no other event of the same ESP.
    pub dedup_key: String,
    /// The message ID that the [`SendStatus`](crate::SendStatus) contained for the recipient.
    pub message_id: Option<String>,
    /// The recipient's address, as the ESP writes it.
    pub recipient: Option<String>,
    /// The ESP's stream, list or group that the event is about. `None` for an ESP's default stream
    /// and for ESPs without streams.
    pub stream: Option<String>,
    /// For a bounce or a rejected address: whether, according to the ESP, messages to the address
    /// will never arrive (a hard bounce) or may arrive later (a soft bounce).
    pub hard: Option<bool>,
    /// Who caused the event, if the ESP says so.
    pub actor: Option<EventActor>,
    /// The message's tags.
    pub tags: Vec<String>,
    /// The message's metadata.
    pub metadata: Metadata,
    /// Why the message was rejected or bounced.
    pub reject_reason: Option<RejectReason>,
    /// The ESP's description of the event.
    pub description: Option<String>,
    /// The receiving server's response.
    pub mta_response: Option<String>,
    /// The user agent in which it was opened or clicked.
    pub user_agent: Option<String>,
    /// The link that was clicked, as it was in the message.
    pub click_url: Option<String>,
    /// The payload that the ESP sent.
    pub payload: RawBytes,
}

impl TrackingEvent {
    /// Creates an event with only these values. The backend fills in the rest.
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

/// An inbound message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InboundEvent {
    /// The ESP's name.
    pub esp: String,
    /// When the ESP received it, if the ESP says so. The time that the sender claims is the
    /// message's [`date`](InboundMessage::date).
    #[serde(with = "time::serde::rfc3339::option")]
    pub timestamp: Option<OffsetDateTime>,
    /// The ESP's own ID of this event.
    pub event_id: Option<String>,
    /// A key that an event shares with its duplicates and with no other event of the same ESP.
    pub dedup_key: String,
    /// The message.
    pub message: InboundMessage,
    /// The payload that the ESP sent.
    pub payload: RawBytes,
}

impl InboundEvent {
    /// Creates an event with only these values. The backend fills in the rest.
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

/// Derives a key for an event whose ESP provides none: 128 bits of the SHA-256 of the parts that
/// distinguish it, as 32 hexadecimal digits. The same parts in the same order always give the same
/// key.
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
        // The length prefix keeps parts from running into each other.
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
    fn an_event_round_trips_through_json() {
        let event = Event::Tracking(event());
        let json = serde_json::to_string(&event).unwrap();
        assert!(json.contains("1970-01-01T00:00:00Z"), "{json}");
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
    }

    #[test]
    fn debug_does_not_show_what_may_be_secret() {
        let printed = format!("{:?}", event());
        assert!(!printed.contains("s3cret"), "{printed}");
        assert!(printed.contains("order"), "{printed}");
    }

    #[test]
    fn a_name_is_displayed_as_in_json() {
        for kind in [EventType::InboundFailed, EventType::Autoresponded] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.to_string());
        }
        let reason = RejectReason::TimedOut;
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.to_string());
    }

    #[test]
    fn a_derived_key_never_changes() {
        // Apps store these keys: a different value here would break them.
        let key = dedup_key(&["Delivery", "", "ann@example.com"]);
        assert_eq!(key, "dbe0a5ad20f7a12343679afa77c64dc8");
    }
}
