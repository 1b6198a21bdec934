//! Magpie's webhooks that misread posts, and a careless verification of its signature.

use std::sync::Arc;

use anymail_core::{
    Event, EventType, Form, HmacSha256Keys, InboundAttachment, WebhookAuth, dedup_key,
};
use anymail_test_utils::conformance::{Mutants, Sabotage as S};
use bytes::Bytes;
use http::Request;
use serde_json::Value;

use crate::forged::Scheme;
use crate::in_webhooks::{came, keyed, told};
use crate::magpie::harness::MagpieHarness;
use crate::magpie::posts::MagpieSigner;

const TRACKING: &[&str] = &["webhooks::tracking::events_say_what_the_esp_said"];
const INBOUND: &[&str] = &["webhooks::inbound::events_say_what_the_esp_said"];

pub fn plant(all: Mutants) -> Mutants {
    signatures(keys(inbound(tracking(all))))
}

fn tracking(all: Mutants) -> Mutants {
    all.plant(
        "reports_message_ids_without_angle_brackets",
        S::Events(|_, events| {
            told(events, |event| {
                let id = event.message_id.take();
                event.message_id = id.map(|id| id.trim_matches(['<', '>']).to_owned());
            })
        }),
        TRACKING,
    )
    .plant(
        "reports_temporary_failures_as_bounces",
        S::Events(|_, events| {
            told(events, |event| {
                if event.event_type == EventType::Deferred {
                    event.event_type = EventType::Bounced;
                }
            })
        }),
        TRACKING,
    )
    .plant(
        "reports_every_failure_as_deferred",
        S::Events(|_, events| {
            told(events, |event| {
                if event.event_type == EventType::Bounced {
                    event.event_type = EventType::Deferred;
                }
            })
        }),
        TRACKING,
    )
    .plant(
        "does_not_report_the_reason",
        S::Events(|_, events| told(events, |event| event.reject_reason = None)),
        TRACKING,
    )
    .plant(
        "does_not_report_metadata",
        S::Events(|_, events| told(events, |event| event.metadata.clear())),
        TRACKING,
    )
    .plant(
        "reports_the_time_of_the_signature",
        S::Events(|_, events| {
            told(events, |event| {
                event.timestamp = event.timestamp.map(|at| at + time::Duration::SECOND);
            })
        }),
        TRACKING,
    )
}

fn inbound(all: Mutants) -> Mutants {
    all.plant(
        "drops_inbound_attachments",
        S::Events(|_, events| came(events, |mail| drop(retain(mail, |_| false)))),
        INBOUND,
    )
    .plant(
        "drops_inbound_inline_parts",
        S::Events(|_, events| came(events, |mail| drop(retain(mail, |file| !file.is_inline())))),
        INBOUND,
    )
    .plant(
        "reports_inbound_inline_parts_as_attachments",
        S::Events(|_, events| {
            came(events, |mail| {
                let inline = retain(mail, |file| !file.is_inline());
                for file in inline {
                    mail.attach(file.with_inline(false));
                }
            })
        }),
        INBOUND,
    )
    .plant(
        "reports_the_text_without_its_quotes",
        S::Events(|_, events| came(events, |mail| mail.set_text("what is not quoted"))),
        INBOUND,
    )
    .plant(
        "treats_the_envelope_as_the_recipients",
        S::Events(|_, events| {
            came(events, |mail| {
                let to = mail.envelope_recipient.clone().unwrap_or_default();
                mail.to = anymail_core::InboundAddress::parse_list(&to);
            })
        }),
        INBOUND,
    )
    .plant(
        "treats_the_envelope_sender_as_from",
        S::Events(|_, events| {
            came(events, |mail| {
                let from = mail.envelope_sender.clone().unwrap_or_default();
                mail.from = anymail_core::InboundAddress::parse_list(&from);
            })
        }),
        INBOUND,
    )
}

/// Removes the attachments of a message, except these.
pub fn retain(
    mail: &mut anymail_core::InboundMessage,
    keep: impl Fn(&InboundAttachment) -> bool,
) -> Vec<InboundAttachment> {
    let all: Vec<_> = mail.attachments().chain(mail.inlines()).cloned().collect();
    let (kept, taken): (Vec<_>, Vec<_>) = all.into_iter().partition(keep);
    let mut bare = anymail_core::InboundMessage::default();
    bare.envelope_sender = mail.envelope_sender.take();
    bare.envelope_recipient = mail.envelope_recipient.take();
    bare.from = std::mem::take(&mut mail.from);
    bare.to = std::mem::take(&mut mail.to);
    bare.cc = std::mem::take(&mut mail.cc);
    bare.subject = mail.subject.take();
    if let Some(text) = mail.text() {
        bare.set_text(text);
    }
    if let Some(html) = mail.html() {
        bare.set_html(html);
    }
    for file in kept {
        bare.attach(file);
    }
    *mail = bare;
    taken
}

fn keys(all: Mutants) -> Mutants {
    const AGAIN: &[&str] = &[
        "webhooks::tracking::a_repeated_event_has_the_same_key",
        "webhooks::inbound::a_repeated_event_has_the_same_key",
    ];
    all.plant(
        "uses_the_whole_post_as_the_events_key",
        S::Events(|request, events| Ok(keyed(events?, |_| dedup_key(&[request.body()])))),
        AGAIN,
    )
    .plant(
        "uses_the_token_as_the_events_key",
        S::Events(|request, events| {
            let [_, token, _] = signed(request);
            Ok(keyed(events?, |_| token.clone().unwrap_or_default()))
        }),
        AGAIN,
    )
    .plant(
        "uses_the_time_as_the_events_key",
        S::Events(|_, events| {
            Ok(keyed(events?, |event| match event {
                Event::Tracking(event) => format!("{:?}", event.timestamp),
                Event::Inbound(event) => format!("{:?}", event.timestamp),
                _ => String::new(),
            }))
        }),
        &[
            "webhooks::tracking::two_events_never_have_the_same_key",
            "webhooks::inbound::two_events_never_have_the_same_key",
        ],
    )
    .plant(
        "accepts_anybody",
        S::WebhookAuth(|_| WebhookAuth::none()),
        &[
            "webhooks::tracking::a_post_without_the_right_secret_is_not_read",
            "webhooks::inbound::a_post_without_the_right_secret_is_not_read",
        ],
    )
    .plant(
        "quotes_posts_in_errors",
        S::Events(crate::in_webhooks::quoting),
        &[
            "webhooks::tracking::secrets_and_payloads_are_in_no_debug_output_or_error",
            "webhooks::inbound::secrets_and_payloads_are_in_no_debug_output_or_error",
        ],
    )
}

fn signed(request: &Request<Bytes>) -> [Option<String>; 3] {
    const NAMES: [&str; 3] = ["timestamp", "token", "signature"];
    if let Ok(form) = Form::read(request) {
        return NAMES.map(|name| form.text(name).map(|text| text.into_owned()));
    }
    let json: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    NAMES.map(|name| {
        json.get("signature")?
            .get(name)?
            .as_str()
            .map(str::to_owned)
    })
}

fn signatures(all: Mutants) -> Mutants {
    let scheme = Scheme {
        signer: Arc::new(MagpieSigner),
        time_and_signature: |request| {
            let [time, _, signature] = signed(request);
            (time, signature)
        },
        expected: Some(|key, request| {
            let [time, token, _] = signed(request).map(Option::unwrap_or_default);
            Ok(HmacSha256Keys::new([key])?.sign_hex(&[time.as_bytes(), token.as_bytes()]))
        }),
        is_right: |key, request, signature| {
            let [time, token, _] = signed(request).map(Option::unwrap_or_default);
            let keys = HmacSha256Keys::new([key]);
            let parts = [time.as_bytes(), token.as_bytes()];
            keys.is_ok_and(|keys| keys.verify_hex(&parts, signature.as_bytes()).is_ok())
        },
    };
    crate::forged::plant(all, || MagpieHarness, scheme)
}
