//! Compares the events of a webhook with what the ESP posted.
//!
//! `webhooks.rs` contains the trial.

use anymail_core::{
    Address, AddressKey, Event, Feature, InboundAddress, InboundAttachment, InboundMessage,
    Metadata, SendStatus, Support, TrackingEvent,
};

use super::harness::Report;
use super::posts::{Expected, Post};
use super::rig::Rig;
use super::trial::Verdict;
use super::understood::{File, Part, Understood, differences};
use super::webhooks::start_of;
use crate::fixtures::{metadata, plain};

/// Events about a message that was really sent.
pub(super) struct News {
    pub(super) sent: Report,
    status: SendStatus,
}

/// What is compared of an inbound message.
const INBOUND: [Part; 10] = [
    Part::From,
    Part::To,
    Part::Cc,
    Part::Subject,
    Part::Text,
    Part::Html,
    Part::Attachments,
    Part::Inline,
    Part::InlineNames,
    Part::ContentIds,
];

impl News {
    /// Sends a message with everything that events repeat and the ESP supports.
    pub(super) async fn of_a_mail(rig: &Rig) -> Verdict<Self> {
        let can = rig.backend.capabilities();
        let has = |feature| matches!(can.support(feature), Support::Yes | Support::AtMost(1..));
        let mut message = plain();
        if has(Feature::Metadata) {
            message.metadata = match can.support(Feature::Metadata) {
                Support::AtMost(1) => metadata([("orderId", "4711 & more")]),
                _ => metadata([("orderId", "4711 & more"), ("Shop", "Anvils, \"Ann's\"")]),
            }
            .into();
        }
        if has(Feature::Tags) {
            message.tags = vec!["receipt".to_owned()].into();
        }
        let status = rig.send_ok(&message).await?;
        let calls = rig.calls();
        match calls.into_iter().flatten().next() {
            Some(sent) => Ok(Self { sent, status }),
            None => Err(rig.fail("a message was sent, but the harness has read none")),
        }
    }

    /// Compares the events found in a post with the expected ones.
    pub(super) fn compare(&self, rig: &Rig, post: &Post, found: &[Event]) -> Verdict {
        let body = || start_of(post.request.body());
        rig.ensure(!post.events.is_empty(), || {
            format!("a Post of the harness lists no events: {}", body())
        })?;
        rig.ensure(post.events.len() == found.len(), || {
            format!(
                "expected {} event(s), got {}, in the post {}",
                post.events.len(),
                found.len(),
                body()
            )
        })?;
        for (expected, found) in post.events.iter().zip(found) {
            let lines = match found {
                Event::Tracking(event) => self.in_tracking(expected, event),
                Event::Inbound(event) => in_inbound(expected, &event.message),
                _ => vec!["an event of an unknown kind".to_owned()],
            };
            rig.ensure(lines.is_empty(), || {
                format!("{}\nin the event of the post {}", lines.join("\n"), body())
            })?;
        }
        Ok(())
    }

    fn in_tracking(&self, expected: &Expected, event: &TrackingEvent) -> Vec<String> {
        let mut lines = Vec::new();
        let mut same = |what: &str, wanted: String, found: String| {
            if wanted != found {
                lines.push(format!("expected   {what}: {wanted}"));
                lines.push(format!("reported   {what}: {found}"));
            }
        };
        let key = |email: &Option<String>| format!("{:?}", email.as_deref().map(AddressKey::of));
        same(
            "event type",
            expected.event_type.to_string(),
            event.event_type.to_string(),
        );
        same(
            "reject reason",
            format!("{:?}", expected.reject_reason),
            format!("{:?}", event.reject_reason),
        );
        same(
            "time",
            format!("{:?}", expected.timestamp),
            format!("{:?}", event.timestamp.map(|time| time.unix_timestamp())),
        );
        same("recipient", key(&expected.recipient), key(&event.recipient));
        same(
            "message ID, as in the status",
            format!("{:?}", self.told_id(expected)),
            format!("{:?}", event.message_id.as_deref()),
        );
        same("metadata", show(&expected.metadata), show(&event.metadata));
        same(
            "tags",
            format!("{:?}", expected.tags),
            format!("{:?}", event.tags),
        );
        // Not every ESP posts these.
        for (what, wanted, found) in [
            ("link", &expected.click_url, &event.click_url),
            (
                "server's words",
                &expected.mta_response,
                &event.mta_response,
            ),
        ] {
            if wanted.is_some() {
                same(what, format!("{wanted:?}"), format!("{found:?}"));
            }
        }
        lines
    }

    /// The ID that the sender got for the message.
    fn told_id<'e>(&'e self, expected: &'e Expected) -> Option<&'e str> {
        let id = expected.message_id.as_deref()?;
        let mut recipients = self.sent.recipients.iter();
        let own = self.sent.message.own_id.as_deref();
        let of_this_mail =
            id == self.sent.id || own == Some(id) || recipients.any(|recipient| recipient.id == id);
        match of_this_mail {
            true => self.status.message_id(),
            false => Some(id),
        }
    }
}

fn show(metadata: &Metadata) -> String {
    let mut pairs: Vec<_> = metadata.iter().collect();
    pairs.sort();
    format!("{pairs:?}")
}

fn in_inbound(expected: &Expected, message: &InboundMessage) -> Vec<String> {
    let Some(wanted) = &expected.inbound else {
        return vec![format!(
            "expected   an event of the type {}\nreported   an inbound message",
            expected.event_type
        )];
    };
    let mut wanted = wanted.clone();
    for file in &mut wanted.attachments {
        // Charset and filename have separate fields in an event.
        let kind = file.content_type.split(';').next().unwrap_or_default();
        file.content_type = kind.trim().to_owned();
    }
    let mut lines = match read(message) {
        Ok(found) => differences(&[wanted.clone()], &[found], &INBOUND).lines,
        Err(line) => vec![line],
    };
    for (what, wanted, found) in [
        (
            "recipient",
            &expected.recipient,
            &message.envelope_recipient,
        ),
        ("sender", &wanted.envelope_sender, &message.envelope_sender),
    ] {
        if wanted.is_some() && wanted != found {
            lines.push(format!("expected   {what} of the envelope: {wanted:?}"));
            lines.push(format!("reported   {what} of the envelope: {found:?}"));
        }
    }
    lines
}

fn read(message: &InboundMessage) -> Result<Understood, String> {
    let one = |address: &InboundAddress| {
        let read = address.to_address();
        read.map_err(|error| format!("the event contains an invalid address: {error}"))
    };
    let all = |addresses: &[InboundAddress]| -> Result<Vec<Address>, String> {
        addresses.iter().map(one).collect()
    };
    let file = |part: &InboundAttachment| File {
        name: part.filename().map(str::to_owned),
        content_type: part.content_type().to_owned(),
        content: part.content(),
        inline: part.is_inline(),
        content_id: part.content_id().map(str::to_owned),
    };
    Ok(Understood {
        from: all(&message.from)?.into_iter().next(),
        to: all(&message.to)?,
        cc: all(&message.cc)?,
        subject: message.subject.clone(),
        text: message.text().map(Into::into),
        html: message.html().map(Into::into),
        attachments: message
            .attachments()
            .chain(message.inlines())
            .map(file)
            .collect(),
        ..Understood::default()
    })
}
