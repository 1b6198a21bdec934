//! [`Posts`]: what the ESP posts to a webhook, and what is in it.
//!
//! What is tried with it is in `webhooks.rs`, `events.rs` and `signatures.rs`.

use std::sync::Arc;

use anymail_core::{EventType, Metadata, RejectReason, Webhook};
use bytes::Bytes;
use http::Request;

use super::harness::Answer;
use super::understood::Understood;

/// A webhook, and what the ESP posts to it.
#[derive(Debug, Clone)]
pub struct Posts {
    /// The webhook.
    pub webhook: Arc<dyn Webhook>,
    /// What the ESP posts. No event is in two of them. At least one has
    /// [`others`](Post::others).
    pub posts: Vec<Post>,
}

impl Posts {
    /// The posts as they are made first.
    pub(super) fn requests(&self) -> impl Iterator<Item = &Request<Bytes>> {
        self.posts.iter().map(|post| &post.request)
    }
}

/// One post of the ESP.
#[derive(Debug, Clone)]
pub struct Post {
    /// The request as the ESP makes it, with all its headers but `Authorization`, which the
    /// suite adds, and without its signature, be that in a header or in the body:
    /// [`Signer::sign`](super::Signer::sign) adds it.
    pub request: Request<Bytes>,
    /// The events that it holds, in order; at least one.
    pub events: Vec<Expected>,
    /// The same post as the ESP makes it again, where the second try differs from the first: in
    /// a header with the number of the try, or a time or signature of the try in the body. The
    /// suite repeats the post as it is, too.
    pub repeats: Vec<Request<Bytes>>,
    /// Posts of other events, which differ from this one in nothing but what makes an event
    /// another one: the id of the event, for example, at the same time and for the same mail.
    pub others: Vec<Request<Bytes>>,
}

impl Post {
    /// A post that holds these events.
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

/// What an event must say, by the ESP's documentation.
///
/// ```
/// use anymail_core::{EventType, RejectReason};
/// use anymail_test_utils::conformance::{Answer, Expected};
///
/// fn hard_bounce(sent: &Answer) -> Expected {
///     Expected::of(sent, EventType::Bounced)
///         .reason(RejectReason::Invalid)
///         .at(1_790_000_000)
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// What happened.
    pub event_type: EventType,
    /// Why it was rejected or bounced.
    pub reject_reason: Option<RejectReason>,
    /// When it happened, in POSIX seconds.
    pub timestamp: Option<i64>,
    /// Whom it is about.
    pub recipient: Option<String>,
    /// The id that the ESP gave to the mail. The event must bear it as the status told it.
    pub message_id: Option<String>,
    /// The metadata of the mail, as far as the ESP posts it.
    pub metadata: Metadata,
    /// The tags of the mail, as far as the ESP posts them.
    pub tags: Vec<String>,
    /// The link that was clicked, if one is expected.
    pub click_url: Option<String>,
    /// The receiving server's words, if some are expected.
    pub mta_response: Option<String>,
    /// The mail that came in. Compared are from, to, cc, subject, bodies and attachments, and the
    /// envelope where one is expected: its recipient in [`recipient`](Self::recipient), its sender in
    /// [`Understood::envelope_sender`].
    pub inbound: Option<Understood>,
}

impl Expected {
    /// News of a mail that was sent: of its first recipient, under its id, with its metadata
    /// and tags. Where the ESP posts less, take it off.
    pub fn of(sent: &Answer, event_type: EventType) -> Self {
        let first = sent.recipients.first();
        let id = first.map_or(&sent.id, |first| &first.id);
        Self {
            recipient: first.map(|first| first.address.email().to_owned()),
            message_id: Some(sent.mail.own_id.as_ref().unwrap_or(id).clone()),
            metadata: sent.mail.metadata.clone(),
            tags: sent.mail.tags.clone(),
            ..Self::nothing(event_type)
        }
    }

    /// A mail that came in.
    pub fn inbound(mail: Understood) -> Self {
        Self {
            inbound: Some(mail),
            ..Self::nothing(EventType::Inbound)
        }
    }

    /// An event of which nothing else is known.
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

    /// The reason why it was rejected or bounced.
    #[must_use]
    pub fn reason(mut self, reason: RejectReason) -> Self {
        self.reject_reason = Some(reason);
        self
    }

    /// The time when it happened, in POSIX seconds.
    #[must_use]
    pub fn at(mut self, unix_seconds: i64) -> Self {
        self.timestamp = Some(unix_seconds);
        self
    }

    /// The recipient, where it is another than [`of`](Self::of) takes; of a mail that came in,
    /// whom it was delivered to.
    #[must_use]
    pub fn to(mut self, recipient: impl Into<String>) -> Self {
        self.recipient = Some(recipient.into());
        self
    }

    /// The link that was clicked.
    #[must_use]
    pub fn link(mut self, url: impl Into<String>) -> Self {
        self.click_url = Some(url.into());
        self
    }

    /// The receiving server's words.
    #[must_use]
    pub fn server_said(mut self, words: impl Into<String>) -> Self {
        self.mta_response = Some(words.into());
        self
    }
}
