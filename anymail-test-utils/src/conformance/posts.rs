//! [`Posts`]: what the ESP posts to a webhook, and the events in it.
//!
//! `webhooks.rs`, `events.rs` and `signatures.rs` use it.

use std::sync::Arc;

use anymail_core::{EventType, Metadata, RejectReason, Webhook};
use bytes::Bytes;
use http::Request;

use super::harness::Report;
use super::understood::Understood;

/// A webhook, and what the ESP posts to it.
#[derive(Debug, Clone)]
pub struct Posts {
    /// The webhook.
    pub webhook: Arc<dyn Webhook>,
    /// What the ESP posts. Every event appears in only one post. At least one post has
    /// [`others`](Post::others).
    pub posts: Vec<Post>,
}

impl Posts {
    /// Returns the first attempts of all posts.
    pub(super) fn requests(&self) -> impl Iterator<Item = &Request<Bytes>> {
        self.posts.iter().map(|post| &post.request)
    }
}

/// One post of the ESP.
#[derive(Debug, Clone)]
pub struct Post {
    /// The request as the ESP makes it, with all its headers except `Authorization`, which the
    /// suite adds, and without its signature, in a header or in the body:
    /// [`Signer::sign`](super::Signer::sign) adds it.
    pub request: Request<Bytes>,
    /// The events in the request, in order; at least one.
    pub events: Vec<Expected>,
    /// The same post as the ESP repeats it, if the second attempt differs from the first: for
    /// example, in a header with the attempt number, or in a time or signature in the body. The
    /// suite also repeats the unchanged post.
    pub repeats: Vec<Request<Bytes>>,
    /// Posts with other events that differ from this one only in what distinguishes events, such as
    /// the event ID, at the same time and for the same message.
    pub others: Vec<Request<Bytes>>,
}

impl Post {
    /// Creates a post that contains these events.
    pub fn new(request: Request<Bytes>, events: impl IntoIterator<Item = Expected>) -> Self {
        Self {
            request,
            events: events.into_iter().collect(),
            repeats: Vec::new(),
            others: Vec::new(),
        }
    }

    /// Adds to [`repeats`](Self::repeats).
    #[must_use]
    pub fn repeated_as(mut self, request: Request<Bytes>) -> Self {
        self.repeats.push(request);
        self
    }

    /// Adds to [`others`](Self::others).
    #[must_use]
    pub fn unlike(mut self, request: Request<Bytes>) -> Self {
        self.others.push(request);
        self
    }
}

/// What an event must report, according to the ESP's documentation.
///
/// ```
/// use anymail_core::{EventType, RejectReason};
/// use anymail_test_utils::conformance::{Report, Expected};
///
/// fn hard_bounce(sent: &Report) -> Expected {
///     Expected::of(sent, EventType::Bounced)
///         .reason(RejectReason::Invalid)
///         .at(1_790_000_000)
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// The event type.
    pub event_type: EventType,
    /// Why the message was rejected or bounced.
    pub reject_reason: Option<RejectReason>,
    /// When it happened, as a Unix timestamp in seconds.
    pub timestamp: Option<i64>,
    /// The recipient that the event is about.
    pub recipient: Option<String>,
    /// The ID that the ESP assigned to the message. The event must contain it as the status
    /// reported it.
    pub message_id: Option<String>,
    /// The metadata of the message that the ESP posts.
    pub metadata: Metadata,
    /// The tags of the message that the ESP posts.
    pub tags: Vec<String>,
    /// The link that was clicked, if one is expected.
    pub click_url: Option<String>,
    /// The receiving server's response text, if one is expected.
    pub mta_response: Option<String>,
    /// The inbound message. The suite compares from, to, cc, subject, bodies and attachments. It
    /// also compares the envelope if one is expected: its recipient in
    /// [`recipient`](Self::recipient), its sender in [`Understood::envelope_sender`].
    pub inbound: Option<Understood>,
}

impl Expected {
    /// Creates an event about a message that was sent, for its first recipient, with its ID,
    /// metadata and tags. If the ESP posts less, remove it.
    pub fn of(sent: &Report, event_type: EventType) -> Self {
        let first = sent.recipients.first();
        let id = first.map_or(&sent.id, |first| &first.id);
        Self {
            recipient: first.map(|first| first.address.email().to_owned()),
            message_id: Some(sent.message.own_id.as_ref().unwrap_or(id).clone()),
            metadata: sent.message.metadata.clone(),
            tags: sent.message.tags.clone(),
            ..Self::nothing(event_type)
        }
    }

    /// Creates an event with an inbound message.
    pub fn inbound(mail: Understood) -> Self {
        Self {
            inbound: Some(mail),
            ..Self::nothing(EventType::Inbound)
        }
    }

    /// Creates an event of which nothing else is known.
    pub fn nothing(event_type: EventType) -> Self {
        Self {
            event_type,
            reject_reason: None,
            timestamp: None,
            recipient: None,
            message_id: None,
            metadata: Metadata::new(),
            tags: Vec::new(),
            click_url: None,
            mta_response: None,
            inbound: None,
        }
    }

    /// Sets the reason why it was rejected or bounced.
    #[must_use]
    pub fn reason(mut self, reason: RejectReason) -> Self {
        self.reject_reason = Some(reason);
        self
    }

    /// Sets when it happened, as a Unix timestamp in seconds.
    #[must_use]
    pub fn at(mut self, unix_seconds: i64) -> Self {
        self.timestamp = Some(unix_seconds);
        self
    }

    /// Sets the recipient if it differs from the one of [`of`](Self::of); for an inbound message,
    /// the recipient to whom it was delivered.
    #[must_use]
    pub fn to(mut self, recipient: impl Into<String>) -> Self {
        self.recipient = Some(recipient.into());
        self
    }

    /// Sets the link that was clicked.
    #[must_use]
    pub fn link(mut self, url: impl Into<String>) -> Self {
        self.click_url = Some(url.into());
        self
    }

    /// Sets the receiving server's response text.
    #[must_use]
    pub fn server_said(mut self, words: impl Into<String>) -> Self {
        self.mta_response = Some(words.into());
        self
    }
}
