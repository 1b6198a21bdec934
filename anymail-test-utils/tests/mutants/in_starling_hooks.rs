//! Starling's webhooks that misread posts, and a careless verification of its signature.

use std::sync::Arc;

use anymail_core::{Event, EventType, RejectReason, WebhookAuth, dedup_key};
use anymail_test_utils::conformance::{Mutants, Sabotage as S};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::Signature;
use p256::ecdsa::signature::Verifier;

use crate::forged::Scheme;
use crate::in_magpie_hooks::retain;
use crate::in_webhooks::{came, keyed, quoting, told};
use crate::starling::harness::StarlingHarness;
use crate::starling::posts::{StarlingSigner, pair};

const TRACKING: &[&str] = &["webhooks::tracking::events_say_what_the_esp_said"];
const INBOUND: &[&str] = &["webhooks::inbound::events_say_what_the_esp_said"];

pub fn plant(all: Mutants) -> Mutants {
    signatures(access(inbound(tracking(all))))
}

fn tracking(all: Mutants) -> Mutants {
    all.plant(
        "reports_the_whole_sg_message_id",
        S::Events(|_, events| {
            told(events, |event| {
                let id = event.message_id.take();
                event.message_id = id.map(|id| format!("{id}.filter0001p1mdw1.16648.5515E0B88.0"));
            })
        }),
        TRACKING,
    )
    .plant(
        "reads_the_first_event_of_a_post",
        S::Events(|_, events| {
            let mut events = events?;
            events.truncate(1);
            Ok(events)
        }),
        TRACKING,
    )
    .plant(
        "reports_deferrals_as_bounces",
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
        "reports_blocks_as_permanent_bounces",
        S::Events(|_, events| {
            told(events, |event| {
                if event.reject_reason == Some(RejectReason::Blocked) {
                    event.reject_reason = Some(RejectReason::Bounced);
                }
            })
        }),
        TRACKING,
    )
    .plant(
        "reports_drops_as_bounces",
        S::Events(|_, events| {
            told(events, |event| {
                if event.event_type == EventType::Rejected {
                    event.event_type = EventType::Bounced;
                }
            })
        }),
        TRACKING,
    )
    .plant(
        "treats_fields_of_the_event_as_metadata",
        S::Events(|_, events| {
            told(events, |event| {
                let status = ("status".to_owned(), "5.1.1".to_owned());
                event.metadata.extend([status]);
            })
        }),
        TRACKING,
    )
    .plant(
        "knows_no_single_tag",
        S::Events(|_, events| told(events, |event| event.tags.clear())),
        TRACKING,
    )
    .plant(
        "treats_the_sender_as_the_recipient",
        S::Events(|_, events| {
            told(events, |event| {
                event.recipient = Some("sender@example.com".to_owned())
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
        "names_inbound_attachments_after_their_fields",
        S::Events(|_, events| {
            came(events, |mail| {
                for file in retain(mail, |_| false) {
                    mail.attach(file.with_filename("file1"));
                }
            })
        }),
        INBOUND,
    )
    .plant(
        "reports_inbound_inline_parts_as_attachments",
        S::Events(|_, events| {
            came(events, |mail| {
                for file in retain(mail, |file| !file.is_inline()) {
                    mail.attach(file.with_inline(false));
                }
            })
        }),
        INBOUND,
    )
    .plant(
        "skips_headers_without_a_field",
        S::Events(|_, events| came(events, |mail| mail.cc.clear())),
        INBOUND,
    )
    .plant(
        "cuts_inbound_names_at_a_comma",
        S::Events(|_, events| {
            came(events, |mail| {
                for address in &mut mail.cc {
                    address.name = "Doe".to_owned();
                }
            })
        }),
        INBOUND,
    )
}

fn access(all: Mutants) -> Mutants {
    all.plant(
        "uses_the_time_as_the_events_key",
        S::Events(|_, events| {
            Ok(keyed(events?, |event| match event {
                Event::Tracking(event) => format!("{:?}", event.timestamp),
                Event::Inbound(event) => format!("{:?}", event.message.date),
                _ => String::new(),
            }))
        }),
        &[
            "webhooks::tracking::two_events_never_have_the_same_key",
            "webhooks::inbound::two_events_never_have_the_same_key",
        ],
    )
    .plant(
        "uses_type_and_mail_as_the_events_key",
        S::Events(|_, events| {
            Ok(keyed(events?, |event| match event {
                Event::Tracking(it) => format!("{} {:?}", it.event_type, it.message_id),
                other => other.dedup_key().to_owned(),
            }))
        }),
        &["webhooks::tracking::two_events_never_have_the_same_key"],
    )
    .plant(
        "uses_the_whole_request_as_the_events_key",
        S::Events(|request, events| {
            let all = format!("{:?}", request.headers());
            Ok(keyed(events?, |event| {
                dedup_key(&[&all, event.dedup_key()])
            }))
        }),
        &[
            "webhooks::tracking::a_repeated_event_has_the_same_key",
            "signatures::tracking::a_post_that_is_signed_again_is_handled_once",
            "signatures::inbound::a_post_that_is_signed_again_is_handled_once",
        ],
    )
    .plant(
        "accepts_anybody",
        S::WebhookAuth(|_| WebhookAuth::none()),
        &[
            "webhooks::tracking::a_post_without_the_right_secret_is_not_read",
            "signatures::inbound::a_post_without_the_right_signature_is_not_read",
            "signatures::tracking::an_unsigned_post_is_not_read",
        ],
    )
    .plant(
        "quotes_posts_in_errors",
        S::Events(quoting),
        &[
            "webhooks::tracking::secrets_and_payloads_are_in_no_debug_output_or_error",
            "webhooks::inbound::secrets_and_payloads_are_in_no_debug_output_or_error",
        ],
    )
    .plant(
        "trusts_the_text_of_posts",
        S::Events(|request, events| {
            assert!(std::str::from_utf8(request.body()).is_ok());
            events
        }),
        &["webhooks::tracking::any_bytes_give_events_or_an_error"],
    )
}

fn signatures(all: Mutants) -> Mutants {
    let scheme = Scheme {
        signer: Arc::new(StarlingSigner),
        time_and_signature: |request| {
            let header = |name| {
                let value = request.headers().get(name)?;
                value.to_str().ok().map(str::to_owned)
            };
            (
                header("x-starling-timestamp"),
                header("x-starling-signature"),
            )
        },
        expected: None,
        is_right: |key, request, signature| {
            let time = request.headers().get("x-starling-timestamp");
            let time = time.map_or(&b""[..], |time| time.as_bytes());
            let signed = [time, request.body()].concat();
            let der = STANDARD.decode(signature).ok();
            let signature = der.and_then(|der| Signature::from_der(&der).ok());
            let verify = |signature: &Signature| {
                let key = pair(key).ok()?;
                key.verifying_key().verify(&signed, signature).ok()
            };
            signature.as_ref().and_then(verify).is_some()
        },
    };
    crate::forged::plant(all, || StarlingHarness, scheme)
}
