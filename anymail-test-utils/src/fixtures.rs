//! Messages that use only the features that a test requests.
//!
//! `conformance/understood.rs` computes what an ESP should understand.
#![allow(clippy::unreachable, reason = "an invalid fixture fails every test")]

use anymail_core::{
    Address, Alternative, Attachment, AttachmentError, Capabilities, ContentId, Feature, Field,
    Headers, JsonMap, Message, Metadata, Support,
};
use bytes::Bytes;
use serde_json::Value;
use time::{Duration, OffsetDateTime, UtcOffset};

/// The sender of every message.
pub(crate) const FROM: &str = "sender@example.com";
/// The one recipient of a plain message.
pub(crate) const TO: &str = "ann@example.com";
/// A word that appears in every text body and nowhere else.
pub(crate) const BODY: &str = "thewordsofthebody";

/// Parses a fixture's address.
pub(crate) fn address(text: &str) -> Address {
    match text.parse() {
        Ok(address) => address,
        Err(error) => unreachable!("invalid address in a fixture: {error}"),
    }
}

/// Parses a fixture's addresses.
pub(crate) fn addresses<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<Address> {
    texts.into_iter().map(address).collect()
}

/// Creates a message with a sender, a recipient, a subject and a text.
pub(crate) fn plain() -> Message {
    let mut message = Message::default();
    message.from = address(FROM).into();
    message.to = vec![address(TO)].into();
    message.subject = "A plain subject".to_owned().into();
    message.text_body = format!("{BODY}, and no more.").into();
    message
}

/// Creates a plain message to these recipients.
pub(crate) fn plain_to<'a>(to: impl IntoIterator<Item = &'a str>) -> Message {
    let mut message = plain();
    message.to = addresses(to).into();
    message
}

/// Creates a batch, in which each recipient gets a separate message.
pub(crate) fn batch_to<'a>(to: impl IntoIterator<Item = &'a str>) -> Message {
    let mut message = plain_to(to);
    message.merge_data.value_or_default();
    message
}

/// Returns a fixture's attachment.
pub(crate) fn file(made: Result<Attachment, AttachmentError>) -> Attachment {
    match made {
        Ok(file) => file,
        Err(error) => unreachable!("invalid attachment in a fixture: {error}"),
    }
}

/// Creates a fixture's inline part.
pub(crate) fn inline(name: &str, content: impl Into<Bytes>, content_id: &str) -> Attachment {
    let id = ContentId::new(content_id);
    file(id.and_then(|id| Ok(Attachment::new(name, content)?.inline(&id))))
}

/// Creates a fixture's headers.
pub(crate) fn headers<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in pairs {
        if let Err(error) = headers.insert(name, value) {
            unreachable!("invalid header in a fixture: {error}");
        }
    }
    headers
}

/// Creates a JSON object.
pub(crate) fn object<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> JsonMap {
    let pairs = pairs.into_iter();
    pairs
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .collect()
}

/// Creates metadata.
pub(crate) fn metadata<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Metadata {
    let pairs = pairs.into_iter();
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Whether a message can use a feature more than once with [`AtEsp::add`].
pub(crate) fn is_counted(feature: Feature) -> bool {
    matches!(
        feature,
        Feature::ReplyTo
            | Feature::Headers
            | Feature::Attachments
            | Feature::InlineAttachments
            | Feature::Alternatives
            | Feature::Metadata
            | Feature::Tags
            | Feature::MergeData
            | Feature::MergeGlobalData
            | Feature::MergeMetadata
            | Feature::MergeHeaders
    )
}

/// What exists at the ESP, which messages cannot know.
#[derive(Debug, Clone, Default)]
pub(crate) struct AtEsp {
    pub(crate) template_id: String,
    pub(crate) esp_extra: JsonMap,
}

impl AtEsp {
    /// Creates a message that uses `feature`, `n` times if it can be counted, and otherwise only
    /// the features that it requires: by its nature, or because of a [`Support::With`] or
    /// [`Support::WithAny`], of which it uses the first.
    pub(crate) fn using(&self, feature: Feature, n: usize, can: &Capabilities) -> Message {
        let mut needed = vec![(feature, n)];
        let mut last = feature;
        // Each step leads to another feature or into a cycle, which is cut.
        for _ in Feature::ALL {
            let next = match (last, can.support(last)) {
                (Feature::TemplateSubject | Feature::TemplateBody, _) => Feature::Template,
                (_, Support::With(other)) => other,
                (_, Support::WithAny(others)) => match others.iter().next() {
                    Some(other) => other,
                    None => break,
                },
                _ => break,
            };
            needed.push((next, 1));
            last = next;
        }
        self.with(&needed)
    }

    /// Like [`using`](Self::using), without the backend's conditions.
    pub(crate) fn using_alone(&self, feature: Feature, n: usize) -> Message {
        match feature {
            Feature::TemplateSubject | Feature::TemplateBody => {
                self.with(&[(feature, n), (Feature::Template, 1)])
            }
            _ => self.with(&[(feature, n)]),
        }
    }

    /// Creates a message that uses exactly these features.
    pub(crate) fn with(&self, features: &[(Feature, usize)]) -> Message {
        let mut message = plain();
        if features.iter().any(|(it, _)| *it == Feature::Template) {
            // Many ESPs support only the template's subject and body.
            (message.subject, message.text_body) = (Field::Unset, Field::Unset);
        }
        for (feature, n) in features {
            self.add(*feature, *n, &mut message);
        }
        message
    }

    /// Adds a use of `feature` to a message.
    pub(crate) fn add(&self, feature: Feature, n: usize, message: &mut Message) {
        let each = |make: &dyn Fn(usize) -> String| (1..=n).map(make).collect::<Vec<_>>();
        let pairs = || (1..=n).map(|i| (format!("key_{i}"), format!("value {i}")));
        let by_recipient = matches!(
            feature,
            Feature::MergeData | Feature::MergeMetadata | Feature::MergeHeaders
        );
        let own: Vec<_> = (1..=n)
            .map(|i| (format!("to{i}@example.com"), format!("recipient {i}")))
            .collect();
        if by_recipient {
            message.to = addresses(own.iter().map(|(email, _)| &**email)).into();
        }
        match feature {
            Feature::EnvelopeSender => {
                message.envelope_sender = address("bounces@mail.example.com").into();
            }
            Feature::ReplyTo => {
                let texts = each(&|i| format!("\"Answers, {i}\" <reply{i}@example.com>"));
                message.reply_to = addresses(texts.iter().map(String::as_str)).into();
            }
            Feature::Headers => {
                let names = each(&|i| format!("X-Trial-{i}"));
                message.headers = headers(names.iter().map(|name| (&**name, "a value"))).into();
            }
            Feature::Attachments => {
                let files = message.attachments.value_or_default();
                files.extend((1..=n).map(|i| {
                    let content = format!("content of file {i}");
                    file(Attachment::new(&format!("file-{i}.txt"), content))
                }));
            }
            Feature::InlineAttachments => {
                message.html_body = "<img src=\"cid:image1@example.com\">".to_owned().into();
                let files = message.attachments.value_or_default();
                files.extend((1..=n).map(|i| {
                    let (id, name) = (format!("image{i}@example.com"), format!("image{i}.png"));
                    inline(&name, vec![0x89, b'P', b'N', b'G'], &id)
                }));
            }
            Feature::AmpHtml => add_bodies(message, vec!["text/x-amp-html".to_owned()]),
            Feature::Alternatives => add_bodies(message, each(&|i| format!("text/x-form-{i}"))),
            Feature::Metadata => message.metadata = pairs().collect::<Metadata>().into(),
            Feature::Tags => message.tags = each(&|i| format!("tag-{i}")).into(),
            Feature::TrackOpens => message.track_opens = true.into(),
            Feature::TrackClicks => message.track_clicks = true.into(),
            Feature::SendAt => {
                // A time zone in which the local time differs from UTC.
                let zone = UtcOffset::from_hms(5, 45, 0).unwrap_or(UtcOffset::UTC);
                let at = (OffsetDateTime::now_utc() + Duration::HOUR).to_offset(zone);
                message.send_at = at.replace_nanosecond(0).unwrap_or(at).into();
            }
            Feature::Template => message.template_id = self.template_id.clone().into(),
            Feature::TemplateSubject => message.subject = "A subject of its own".to_owned().into(),
            Feature::TemplateBody => message.text_body = format!("{BODY} of its own").into(),
            Feature::Batch => {
                message.to = addresses([TO, "bob@example.com"]).into();
                message.merge_data.value_or_default();
            }
            Feature::MergeData => {
                let map = message.merge_data.value_or_default();
                for (email, name) in &own {
                    map.insert(
                        email,
                        object([("name", &**name), ("place", "\"here\" <there>")]),
                    );
                }
            }
            Feature::MergeGlobalData => {
                let values = pairs().map(|(key, value)| (key, Value::from(value)));
                message.merge_global_data = values.collect::<JsonMap>().into();
            }
            Feature::MergeMetadata => {
                let map = message.merge_metadata.value_or_default();
                for (email, name) in &own {
                    map.insert(email, metadata([("own", &**name)]));
                }
            }
            Feature::MergeHeaders => {
                let map = message.merge_headers.value_or_default();
                for (email, name) in &own {
                    map.insert(email, headers([("X-Own", &**name)]));
                }
            }
            Feature::InternationalFrom => message.from = address("pelé@example.com").into(),
            Feature::InternationalRecipients => {
                message.to = vec![address("Jörg <jörg@example.com>")].into();
            }
            Feature::WithoutTo => {
                message.to = Field::Unset;
                message.cc = addresses(["copy@example.com"]).into();
            }
            Feature::EspExtra => message.esp_extra = self.esp_extra.clone().into(),
            other => unreachable!("no fixture for the feature {other:?}"),
        }
    }
}

fn add_bodies(message: &mut Message, types: Vec<String>) {
    let bodies = message.alternatives.value_or_default();
    for (i, content_type) in types.iter().enumerate() {
        match Alternative::new(format!("{BODY}, form {i}"), content_type) {
            Ok(body) => bodies.push(body),
            Err(error) => unreachable!("invalid body in a fixture: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anymail_core::Capabilities;

    #[test]
    fn there_is_a_valid_message_for_every_feature() {
        let at = AtEsp {
            template_id: "welcome".to_owned(),
            esp_extra: object([("option", "value")]),
        };
        for &feature in Feature::ALL {
            let message = at.using(feature, 2, &Capabilities::all());
            assert_eq!(message.faults(), [], "{feature:?}");
        }
    }
}
