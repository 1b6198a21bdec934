//! [`EmailBackend`], the trait that sends messages with an ESP, and [`PreparedMessage`].
//!
//! `mailer.rs` does everything that happens before; the guide to writing a backend is
//! `anymail_test_utils::guide::writing_a_backend`.

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use time::OffsetDateTime;

use super::error::SendError;
use super::features::Capabilities;
use super::guarded;
use super::status::SendStatus;
use super::unsupported::{Objection, Unsupported};
use super::withheld::Withheld;
use crate::message::{Address, Alternative, Attachment, Headers, JsonMap, Message, Metadata};

/// Sends messages with one ESP.
///
/// Before a sending method is called, core has applied the send defaults, run the hooks, refused
/// invalid messages, and refused or dropped everything that the backend's
/// [`capabilities`](Self::capabilities) and [`check`](Self::check) do not allow. A backend repeats
/// none of that. Afterwards, core records what was dropped, turns a status in which nobody was sent
/// the message into an error, and runs the post-send hooks.
///
/// Many tasks use a backend at the same time, and its futures may be dropped at any await.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an email backend",
    label = "does not implement `EmailBackend`",
    note = "most backends are created from a configuration and return a `Result`: \
            `AcmeBackend::new(config)?`"
)]
#[async_trait]
pub trait EmailBackend: Debug + Send + Sync {
    /// The name in statuses, errors and configurations, in lower case, for example `acme`.
    fn name(&self) -> &str;

    /// The features that the ESP supports. They must not change.
    fn capabilities(&self) -> &Capabilities;

    /// Returns what the ESP does not support in `message`, beyond what [`Capabilities`] can
    /// express, for example a header that only this ESP forbids. Returns nothing by default.
    ///
    /// Once everything that it found has been taken out, it must not find anything else.
    ///
    /// A backend with [`EspExtra`](super::features::Feature::EspExtra) passes the keys of
    /// `esp_extra` to the ESP unchanged, with the JSON types of their values. Here it must object
    /// to every key with which the ESP accepts recipients (`to`, `cc`, `bcc`), because core counts,
    /// suppresses and reports only the recipients in the message's own fields. A key with which the
    /// ESP accepts another field, such as a subject, must replace that field of the message or be
    /// objected to; it must not be silently ignored.
    fn check(&self, message: &Message) -> Vec<Objection> {
        let _ = message;
        Vec::new()
    }

    /// The best number of messages for one call of [`send_many`](Self::send_many): how many the ESP
    /// accepts in one request, or 1 if it accepts only single messages. A mailer passes at most
    /// this many at once, and sends several such batches concurrently.
    fn max_batch(&self) -> usize {
        1
    }

    /// Sends one message.
    ///
    /// The implementation must guarantee that the status contains every recipient; that a recipient
    /// that the ESP refuses is `Invalid` or `Rejected` in an `Ok` status, and not an error; that an
    /// error's [`accepted`](SendError::accepted) is `No` only if the ESP has certainly not accepted
    /// the message; that the backend does not retry; and that no error or log line contains a token
    /// or a body.
    ///
    /// A batch with more recipients than the ESP accepts in a call needs several calls. Once one of
    /// them was accepted, the result must be a status. The recipients of a call that was refused or
    /// not made are `Failed`; those of a call whose response was lost or invalid are `Unknown`. An
    /// error with [`Accepted::No`](super::error::Accepted::No) would allow the caller to send the
    /// message again, and so a part of it twice.
    ///
    /// # Errors
    /// [`SendError`] if nothing was sent, or if it is not known.
    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError>;

    /// Sends many unrelated messages, and returns one result for each, in order.
    ///
    /// Everything that [`send`](Self::send) must guarantee applies to each message. An invalid
    /// message must not affect the others. The default sends one after the other; a backend whose
    /// ESP accepts many messages in a call should use few calls.
    ///
    /// After a panic, all of `messages` are [`Accepted::Maybe`](crate::Accepted::Maybe); with the
    /// default, only the message whose [`send`](Self::send) panicked.
    async fn send_many(&self, messages: &[PreparedMessage]) -> Vec<Result<SendStatus, SendError>> {
        let mut results = Vec::with_capacity(messages.len());
        for message in messages {
            results.push(guarded::one(self.name(), self.send(message)).await);
        }
        results
    }
}

macro_rules! forward {
    ($wrapper:ident) => {
        // A wrapper that forgot `send_many` would turn 20 calls into 10,000.
        #[deny(clippy::missing_trait_methods)]
        #[async_trait]
        impl<B: EmailBackend + ?Sized> EmailBackend for $wrapper<B> {
            fn name(&self) -> &str {
                (**self).name()
            }

            fn capabilities(&self) -> &Capabilities {
                (**self).capabilities()
            }

            fn check(&self, message: &Message) -> Vec<Objection> {
                (**self).check(message)
            }

            fn max_batch(&self) -> usize {
                (**self).max_batch()
            }

            async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
                (**self).send(message).await
            }

            async fn send_many(
                &self,
                messages: &[PreparedMessage],
            ) -> Vec<Result<SendStatus, SendError>> {
                (**self).send_many(messages).await
            }
        }
    };
}

forward!(Arc);
forward!(Box);

/// A message that its backend can send: complete, valid, and within the backend's capabilities.
/// Only core creates one.
///
/// The accessors return plain values: a field that is unset, never or empty is `None` or an empty
/// list. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct PreparedMessage {
    message: Message,
    from: Address,
    dropped: Vec<Unsupported>,
    withheld: Vec<Withheld>,
}

impl PreparedMessage {
    pub(super) fn new(
        message: Message,
        from: Address,
        dropped: Vec<Unsupported>,
        withheld: Vec<Withheld>,
    ) -> Self {
        Self {
            message,
            from,
            dropped,
            withheld,
        }
    }

    /// The recipients that pre-send hooks withheld.
    pub(super) fn withheld(&self) -> &[Withheld] {
        &self.withheld
    }

    /// The whole message, merged with the send defaults.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The features that were dropped under
    /// [`UnsupportedPolicy::Drop`](crate::UnsupportedPolicy::Drop).
    pub fn dropped(&self) -> &[Unsupported] {
        &self.dropped
    }

    /// The sender.
    pub fn from(&self) -> &Address {
        &self.from
    }

    /// The recipients. In a batch, each gets its own message.
    pub fn to(&self) -> &[Address] {
        self.message().to.items()
    }

    /// The cc recipients.
    pub fn cc(&self) -> &[Address] {
        self.message().cc.items()
    }

    /// The bcc recipients.
    pub fn bcc(&self) -> &[Address] {
        self.message().bcc.items()
    }

    /// The addresses that replies go to.
    pub fn reply_to(&self) -> &[Address] {
        self.message().reply_to.items()
    }

    /// The subject.
    pub fn subject(&self) -> Option<&str> {
        self.message().subject.value().map(String::as_str)
    }

    /// The plain-text body; `None` if it is empty.
    pub fn text_body(&self) -> Option<&str> {
        let body = self.message().text_body.value()?;
        Some(body.as_str()).filter(|body| !body.is_empty())
    }

    /// The HTML body; `None` if it is empty.
    pub fn html_body(&self) -> Option<&str> {
        let body = self.message().html_body.value()?;
        Some(body.as_str()).filter(|body| !body.is_empty())
    }

    /// The bodies in other media types.
    pub fn alternatives(&self) -> &[Alternative] {
        self.message().alternatives.items()
    }

    /// The custom headers. In a batch, see [`headers_for`](Self::headers_for).
    pub fn headers(&self) -> Cow<'_, Headers> {
        borrowed(self.message().headers.value())
    }

    /// The custom headers of one recipient's message: the message's, overridden by the recipient's.
    pub fn headers_for(&self, to: &Address) -> Cow<'_, Headers> {
        let own = self
            .message()
            .merge_headers
            .value()
            .and_then(|map| map.get(to));
        overlay(self.message().headers.value(), own, |all, own| {
            all.extend(own)
        })
    }

    /// The attachments, including inline ones.
    pub fn attachments(&self) -> &[Attachment] {
        self.message().attachments.items()
    }

    /// The address that bounces go to.
    pub fn envelope_sender(&self) -> Option<&Address> {
        self.message().envelope_sender.value()
    }

    /// The metadata. In a batch, see [`metadata_for`](Self::metadata_for).
    pub fn metadata(&self) -> Cow<'_, Metadata> {
        borrowed(self.message().metadata.value())
    }

    /// The metadata of one recipient's message: the message's, overridden by the recipient's.
    pub fn metadata_for(&self, to: &Address) -> Cow<'_, Metadata> {
        let own = self
            .message()
            .merge_metadata
            .value()
            .and_then(|map| map.get(to));
        overlay(self.message().metadata.value(), own, |all, own| {
            all.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
        })
    }

    /// The template values for all recipients. In a batch, see
    /// [`merge_data_for`](Self::merge_data_for).
    pub fn merge_global_data(&self) -> Cow<'_, JsonMap> {
        borrowed(self.message().merge_global_data.value())
    }

    /// The template values of one recipient's message: the message's, overridden by the
    /// recipient's.
    pub fn merge_data_for(&self, to: &Address) -> Cow<'_, JsonMap> {
        let own = self
            .message()
            .merge_data
            .value()
            .and_then(|map| map.get(to));
        overlay(self.message().merge_global_data.value(), own, |all, own| {
            all.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
        })
    }

    /// The tags.
    pub fn tags(&self) -> &[String] {
        self.message().tags.items()
    }

    /// Whether opens are tracked, if the message says so.
    pub fn track_opens(&self) -> Option<bool> {
        self.message().track_opens.value().copied()
    }

    /// Whether clicks are tracked, if the message says so.
    pub fn track_clicks(&self) -> Option<bool> {
        self.message().track_clicks.value().copied()
    }

    /// When to send the message.
    pub fn send_at(&self) -> Option<OffsetDateTime> {
        self.message().send_at.value().copied()
    }

    /// The stored template.
    pub fn template_id(&self) -> Option<&str> {
        self.message().template_id.value().map(String::as_str)
    }

    /// The options of the ESP. May contain a token.
    pub fn esp_extra(&self) -> Option<&JsonMap> {
        self.message().esp_extra.value()
    }

    /// Whether each address in `to` gets its own message.
    pub fn is_batch(&self) -> bool {
        self.message().is_batch()
    }
}

fn borrowed<T: Clone + Default>(value: Option<&T>) -> Cow<'_, T> {
    value.map_or_else(|| Cow::Owned(T::default()), Cow::Borrowed)
}

fn overlay<'a, T: Clone + Default>(
    all: Option<&'a T>,
    own: Option<&'a T>,
    lay: impl FnOnce(&mut T, &T),
) -> Cow<'a, T> {
    match (all, own) {
        (Some(all), Some(own)) => {
            let mut both = all.clone();
            lay(&mut both, own);
            Cow::Owned(both)
        }
        (all, own) => borrowed(own.or(all)),
    }
}
