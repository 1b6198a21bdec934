//! [`EmailBackend`], the one trait that carries mail to an ESP, and what it is given.
//!
//! What core has done before it is called is `mailer.rs`'s; how to write one is told in
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

/// Carries messages to one ESP.
///
/// Before any of the sending methods is called, core has laid the send defaults under the
/// message, run the hooks, refused what is invalid, and refused or taken out whatever the
/// backend's [`capabilities`](Self::capabilities) and [`check`](Self::check) do not cover. A
/// backend repeats none of that. After it, core attaches what was dropped, turns a status
/// in which nobody got the message into an error, and runs the post-send hooks.
///
/// A backend is used by many tasks at once, and a future of its may be dropped at any await.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an email backend",
    label = "does not implement `EmailBackend`",
    note = "most backends are created from a configuration and return a `Result`: \
            `AcmeBackend::new(config)?`"
)]
#[async_trait]
pub trait EmailBackend: Debug + Send + Sync {
    /// The name in statuses, errors and configuration: lower case, for example `acme`.
    fn name(&self) -> &str;

    /// What the ESP can do. Must be the same at every call.
    fn capabilities(&self) -> &Capabilities;

    /// What the ESP cannot do of `message` beyond what [`Capabilities`] can say, for example
    /// a header that it alone forbids. Nothing, unless a backend says otherwise.
    ///
    /// Must find nothing more once all that it found is taken out.
    ///
    /// A backend with [`EspExtra`](super::features::Feature::EspExtra) passes the keys of
    /// `esp_extra` to the ESP as they are, values with their JSON types. Here it objects to each
    /// key by which the ESP takes recipients (`to`, `cc`, `bcc`), as long as it would reach the
    /// ESP as one: core counts, suppresses and reports the recipients of the message's own
    /// fields only. A key by which the ESP takes another field, a subject for example,
    /// replaces that field of the message, or is objected to; it is not silently ignored.
    fn check(&self, message: &Message) -> Vec<Objection> {
        let _ = message;
        Vec::new()
    }

    /// How many messages one call of [`send_many`](Self::send_many) carries best: what the ESP
    /// takes in one request, or 1 where it takes them singly. A mailer hands over no more at
    /// once, and several such batches side by side.
    fn max_batch(&self) -> usize {
        1
    }

    /// Sends one message.
    ///
    /// An implementer guarantees: the status holds every recipient; a recipient whom the ESP
    /// refuses is `Invalid` or `Rejected` in an `Ok` status, not an error; an error's
    /// [`accepted`](SendError::accepted) is `No` only if the ESP surely does not have the
    /// message; the message is not sent a second time by the backend itself; and no error or
    /// log line holds a token or a body.
    ///
    /// A batch with more recipients than the ESP takes in a call needs several calls. Once one
    /// of them was taken, the result is a status: the recipients of a call that the ESP
    /// refused, or that was not made, are `Failed`; those of a call whose answer was lost or
    /// makes no sense are `Unknown`. An error with [`Accepted::No`](super::error::Accepted::No)
    /// would let the caller send the message again, and a part of it twice.
    ///
    /// # Errors
    /// [`SendError`] when nothing was sent, or nobody can tell.
    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError>;

    /// Sends many unrelated messages; gives one result for each, in their order.
    ///
    /// What holds for [`send`](Self::send) holds for each message. One bad message must not
    /// spoil its neighbours. The default sends one after the other; a backend whose ESP takes
    /// many in a call does it in few calls.
    ///
    /// A panic makes all of `messages` [`Accepted::Maybe`](crate::Accepted::Maybe); in the
    /// default, only the message whose [`send`](Self::send) panics.
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

/// A message that its backend can send: complete, valid, and within the backend's
/// capabilities. Only core makes one.
///
/// The accessors give plain values: what is unset, never or empty is `None` or an empty list.
/// Cloning one is cheap.
#[derive(Debug, Clone)]
pub struct PreparedMessage(Arc<Prepared>);

#[derive(Debug)]
struct Prepared {
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
        Self(Arc::new(Prepared {
            message,
            from,
            dropped,
            withheld,
        }))
    }

    /// The recipients whom a pre-send hook left out.
    pub(super) fn withheld(&self) -> &[Withheld] {
        &self.0.withheld
    }

    /// The whole message, its fields merged with the send defaults.
    pub fn message(&self) -> &Message {
        &self.0.message
    }

    /// What was left out under [`UnsupportedPolicy::Drop`](crate::UnsupportedPolicy::Drop).
    pub fn dropped(&self) -> &[Unsupported] {
        &self.0.dropped
    }

    /// The sender.
    pub fn from(&self) -> &Address {
        &self.0.from
    }

    /// The recipients; in a batch each gets a message of its own.
    pub fn to(&self) -> &[Address] {
        self.message().to.items()
    }

    /// The recipients of a copy.
    pub fn cc(&self) -> &[Address] {
        self.message().cc.items()
    }

    /// The recipients of a blind copy.
    pub fn bcc(&self) -> &[Address] {
        self.message().bcc.items()
    }

    /// Where answers go.
    pub fn reply_to(&self) -> &[Address] {
        self.message().reply_to.items()
    }

    /// The subject.
    pub fn subject(&self) -> Option<&str> {
        self.message().subject.value().map(String::as_str)
    }

    /// The plain text; `None` where it is empty.
    pub fn text_body(&self) -> Option<&str> {
        let body = self.message().text_body.value()?;
        Some(body.as_str()).filter(|body| !body.is_empty())
    }

    /// The HTML; `None` where it is empty.
    pub fn html_body(&self) -> Option<&str> {
        let body = self.message().html_body.value()?;
        Some(body.as_str()).filter(|body| !body.is_empty())
    }

    /// Bodies in other media types.
    pub fn alternatives(&self) -> &[Alternative] {
        self.message().alternatives.items()
    }

    /// Custom headers; in a batch see [`headers_for`](Self::headers_for).
    pub fn headers(&self) -> Cow<'_, Headers> {
        borrowed(self.message().headers.value())
    }

    /// The custom headers of one recipient's message: their own over everybody's.
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

    /// Files, attached and inline.
    pub fn attachments(&self) -> &[Attachment] {
        self.message().attachments.items()
    }

    /// Where bounces go.
    pub fn envelope_sender(&self) -> Option<&Address> {
        self.message().envelope_sender.value()
    }

    /// Metadata; in a batch see [`metadata_for`](Self::metadata_for).
    pub fn metadata(&self) -> Cow<'_, Metadata> {
        borrowed(self.message().metadata.value())
    }

    /// The metadata of one recipient's message: their own over everybody's.
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

    /// The template's values for all; in a batch see [`merge_data_for`](Self::merge_data_for).
    pub fn merge_global_data(&self) -> Cow<'_, JsonMap> {
        borrowed(self.message().merge_global_data.value())
    }

    /// The template's values of one recipient's message: their own over everybody's.
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

    /// Tags.
    pub fn tags(&self) -> &[String] {
        self.message().tags.items()
    }

    /// Whether openings shall be reported, where the message says it.
    pub fn track_opens(&self) -> Option<bool> {
        self.message().track_opens.value().copied()
    }

    /// Whether clicks shall be reported, where the message says it.
    pub fn track_clicks(&self) -> Option<bool> {
        self.message().track_clicks.value().copied()
    }

    /// When to send it.
    pub fn send_at(&self) -> Option<OffsetDateTime> {
        self.message().send_at.value().copied()
    }

    /// The stored template.
    pub fn template_id(&self) -> Option<&str> {
        self.message().template_id.value().map(String::as_str)
    }

    /// Options in the ESP's own words. May hold a token.
    pub fn esp_extra(&self) -> Option<&JsonMap> {
        self.message().esp_extra.value()
    }

    /// Whether each of `to` gets a message of its own.
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
