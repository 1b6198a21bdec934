//! Webhooks that accept anybody, or misread posts.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anymail_core::{
    Event, EventType, InboundMessage, RawBytes, TrackingEvent, Webhook, WebhookAuth, WebhookError,
    WebhookErrorKind, WebhookKind, dedup_key,
};
use bytes::Bytes;
use http::Request;

use crate::breaks::Break::{Events, Own};
use crate::breaks::{Break, Mutant, Own as O, ReadResult, mutant};
use crate::in_signatures::Keys;
use crate::webhook::PigeonWebhook;

const BOTH_APART: &[&str] = &[
    "webhooks::tracking::two_events_never_have_the_same_key",
    "webhooks::inbound::two_events_never_have_the_same_key",
];
const BOTH_AGAIN: &[&str] = &[
    "webhooks::tracking::a_repeated_event_has_the_same_key",
    "webhooks::inbound::a_repeated_event_has_the_same_key",
];

pub fn mutants() -> Vec<Mutant> {
    [access(), readings()].concat()
}

/// Events that differ from what the ESP posted.
fn readings() -> Vec<Mutant> {
    const TRACKING: &[&str] = &["webhooks::tracking::events_say_what_the_esp_said"];
    const INBOUND: &[&str] = &["webhooks::inbound::events_say_what_the_esp_said"];
    vec![
        mutant(
            "reports_message_ids_in_angle_brackets",
            Events(|_, events| {
                told(events, |event| {
                    event.message_id = event.message_id.take().map(|id| format!("<{id}>"));
                })
            }),
            TRACKING,
        ),
        mutant(
            "reports_the_events_id_as_the_messages",
            Events(|_, events| told(events, |event| event.message_id = event.event_id.clone())),
            TRACKING,
        ),
        mutant(
            "reports_delays_as_bounces",
            Events(|_, events| {
                told(events, |event| {
                    if event.event_type == EventType::Deferred {
                        event.event_type = EventType::Bounced;
                    }
                })
            }),
            TRACKING,
        ),
        mutant(
            "reports_every_bounce_as_an_invalid_address",
            Events(|_, events| {
                told(events, |event| {
                    event.reject_reason = event
                        .reject_reason
                        .map(|_| anymail_core::RejectReason::Invalid);
                })
            }),
            TRACKING,
        ),
        mutant(
            "does_not_report_the_reason",
            Events(|_, events| told(events, |event| event.reject_reason = None)),
            TRACKING,
        ),
        mutant(
            "does_not_report_the_time",
            Events(|_, events| told(events, |event| event.timestamp = None)),
            TRACKING,
        ),
        mutant(
            "reports_the_time_in_milliseconds",
            Events(|_, events| {
                told(events, |event| {
                    event.timestamp = event.timestamp.map(|at| {
                        time::OffsetDateTime::UNIX_EPOCH
                            + (at - time::OffsetDateTime::UNIX_EPOCH) / 1000
                    });
                })
            }),
            TRACKING,
        ),
        mutant(
            "does_not_report_metadata",
            Events(|_, events| told(events, |event| event.metadata.clear())),
            TRACKING,
        ),
        mutant(
            "reports_metadata_as_json",
            Events(|_, events| {
                told(events, |event| {
                    for value in event.metadata.values_mut() {
                        *value = format!("{value:?}");
                    }
                })
            }),
            TRACKING,
        ),
        mutant(
            "does_not_report_tags",
            Events(|_, events| told(events, |event| event.tags.clear())),
            TRACKING,
        ),
        mutant(
            "does_not_report_the_recipient",
            Events(|_, events| told(events, |event| event.recipient = None)),
            TRACKING,
        ),
        mutant(
            "skips_unknown_events",
            Events(|_, events| {
                let mut events = events?;
                events.retain(|event| event.event_type() != EventType::Unknown);
                Ok(events)
            }),
            TRACKING,
        ),
        mutant(
            "drops_inbound_attachments",
            Events(|_, events| {
                came(events, |message| {
                    let mut bare = InboundMessage::default();
                    bare.envelope_recipient = message.envelope_recipient.clone();
                    bare.from = message.from.clone();
                    bare.to = message.to.clone();
                    bare.subject = message.subject.clone();
                    bare.set_text(message.text().unwrap_or_default());
                    *message = bare;
                })
            }),
            INBOUND,
        ),
        mutant(
            "treats_the_envelope_as_the_recipients",
            Events(|_, events| {
                came(events, |message| {
                    let to = message.envelope_recipient.clone().unwrap_or_default();
                    message.to = anymail_core::InboundAddress::parse_list(&to);
                })
            }),
            INBOUND,
        ),
        mutant(
            "trims_inbound_texts",
            Events(|_, events| {
                came(events, |message| {
                    let text = message.text().unwrap_or_default().replace('.', "");
                    message.set_text(text);
                })
            }),
            INBOUND,
        ),
    ]
}

/// Who is accepted, and what is kept, printed and returned.
fn access() -> Vec<Mutant> {
    vec![
        mutant(
            "accepts_anybody",
            Own(O::IgnoresWebhookSecrets),
            &[
                "webhooks::tracking::a_post_without_the_right_secret_is_not_read",
                "webhooks::inbound::a_post_without_the_right_secret_is_not_read",
            ],
        ),
        mutant(
            "overrides_parse",
            Own(O::ParsesWebhooksItself),
            &[
                "webhooks::tracking::other_methods_and_long_bodies_are_not_read",
                "webhooks::inbound::other_methods_and_long_bodies_are_not_read",
            ],
        ),
        mutant(
            "prints_webhook_secrets",
            Own(O::PrintsWebhookSecrets),
            &[
                "webhooks::tracking::secrets_and_payloads_are_in_no_debug_output_or_error",
                "webhooks::inbound::secrets_and_payloads_are_in_no_debug_output_or_error",
            ],
        ),
        mutant(
            "returns_no_events",
            Events(|_, events| events.map(|_| Vec::new())),
            &[
                "webhooks::tracking::a_post_with_the_right_secret_is_read",
                "webhooks::inbound::a_post_with_the_right_secret_is_read",
            ],
        ),
        mutant(
            "keeps_no_payload",
            Events(|_, events| {
                Ok(each(events?, |event| match event {
                    Event::Tracking(event) => event.payload = RawBytes::new(""),
                    Event::Inbound(event) => event.payload = RawBytes::new(""),
                    _ => {}
                }))
            }),
            &[
                "webhooks::tracking::a_post_with_the_right_secret_is_read",
                "webhooks::inbound::a_post_with_the_right_secret_is_read",
            ],
        ),
        mutant(
            "numbers_events_in_order_of_arrival",
            Events(|_, events| {
                static NEXT: AtomicU64 = AtomicU64::new(0);
                let next = |_: &Event| NEXT.fetch_add(1, Ordering::SeqCst).to_string();
                Ok(keyed(events?, next))
            }),
            &[
                "webhooks::tracking::a_repeated_event_has_the_same_key",
                "webhooks::inbound::a_repeated_event_has_the_same_key",
            ],
        ),
        mutant(
            "uses_the_mails_id_as_the_events_key",
            Events(|_, events| {
                Ok(keyed(events?, |event| {
                    let id = match event {
                        Event::Tracking(event) => &event.message_id,
                        Event::Inbound(event) => &event.message.subject,
                        _ => &None,
                    };
                    id.clone().unwrap_or_default()
                }))
            }),
            BOTH_APART,
        ),
        mutant(
            "uses_the_time_as_the_events_key",
            Events(|_, events| {
                Ok(keyed(events?, |event| match event {
                    Event::Tracking(event) => format!("{:?}", event.timestamp),
                    Event::Inbound(event) => format!("{:?}", event.message.date),
                    _ => String::new(),
                }))
            }),
            BOTH_APART,
        ),
        mutant(
            "uses_mail_type_and_time_as_the_events_key",
            Events(|_, events| {
                Ok(keyed(events?, |event| match event {
                    Event::Tracking(it) => {
                        format!("{:?} {} {:?}", it.message_id, it.event_type, it.timestamp)
                    }
                    other => other.dedup_key().to_owned(),
                }))
            }),
            &["webhooks::tracking::two_events_never_have_the_same_key"],
        ),
        mutant(
            "uses_the_whole_post_as_the_events_key",
            Events(|request, events| {
                let mut events = events?;
                for (place, event) in events.iter_mut().enumerate() {
                    let key = dedup_key(&[request.body(), place.to_string().as_bytes()]);
                    *event = keyed(vec![event.clone()], |_| key.clone()).remove(0);
                }
                Ok(events)
            }),
            BOTH_AGAIN,
        ),
        mutant(
            "treats_one_key_as_all_events_of_a_post",
            Events(|_, events| {
                let events = events?;
                let first = events.first().map(|it| it.dedup_key().to_owned());
                Ok(keyed(events, |_| first.clone().unwrap_or_default()))
            }),
            &["webhooks::tracking::two_events_never_have_the_same_key"],
        ),
        mutant(
            "trusts_the_shape_of_payloads",
            Events(|request, events| {
                let text = std::str::from_utf8(request.body()).unwrap();
                assert!(text.contains("id"));
                events
            }),
            &[
                "webhooks::tracking::any_bytes_give_events_or_an_error",
                "webhooks::inbound::any_bytes_give_events_or_an_error",
            ],
        ),
        mutant(
            "trusts_the_parts_of_forms_to_have_names",
            Events(|request, events| {
                let kind = request.headers().get("content-type");
                if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/")) {
                    let body = String::from_utf8_lossy(request.body());
                    for part in body.split("Content-Disposition").skip(1) {
                        assert!(part.contains("name="));
                    }
                }
                events
            }),
            &[
                "webhooks::tracking::any_bytes_give_events_or_an_error",
                "webhooks::inbound::any_bytes_give_events_or_an_error",
            ],
        ),
        mutant(
            "quotes_payloads_in_errors",
            Events(quoting),
            &[
                "webhooks::tracking::secrets_and_payloads_are_in_no_debug_output_or_error",
                "webhooks::inbound::secrets_and_payloads_are_in_no_debug_output_or_error",
            ],
        ),
    ]
}

pub fn each(mut events: Vec<Event>, change: impl Fn(&mut Event)) -> Vec<Event> {
    events.iter_mut().for_each(change);
    events
}

/// Errors that contain what was posted.
pub fn quoting(request: &Request<Bytes>, events: ReadResult) -> ReadResult {
    events.map_err(|error| {
        let body = String::from_utf8_lossy(request.body());
        let webhook = PigeonWebhook::new(WebhookAuth::none());
        WebhookError::new(&webhook, error.kind(), format!("what is {body}?"))
    })
}

/// Changes each event about a sent message.
pub fn told(events: ReadResult, change: fn(&mut TrackingEvent)) -> ReadResult {
    Ok(each(events?, |event| {
        if let Event::Tracking(event) = event {
            change(event);
        }
    }))
}

/// Changes each inbound message.
pub fn came(events: ReadResult, change: fn(&mut InboundMessage)) -> ReadResult {
    Ok(each(events?, |event| {
        if let Event::Inbound(event) = event {
            change(&mut event.message);
        }
    }))
}

/// With other keys.
pub fn keyed(events: Vec<Event>, key: impl Fn(&Event) -> String) -> Vec<Event> {
    each(events, |event| {
        let key = key(event);
        match event {
            Event::Tracking(event) => event.dedup_key = key,
            Event::Inbound(event) => event.dedup_key = key,
            _ => {}
        }
    })
}

/// A webhook of the guide, broken in one way.
pub struct MutantWebhook {
    pigeon: Arc<dyn Webhook>,
    broken: Break,
    /// From the last request that was accepted.
    seen: std::sync::Mutex<String>,
    signing_keys: Keys,
}

impl MutantWebhook {
    pub fn new(broken: Break, pigeon: Arc<dyn Webhook>, signing_keys: Keys) -> Self {
        Self {
            pigeon,
            broken,
            seen: Default::default(),
            signing_keys,
        }
    }
}

impl Webhook for MutantWebhook {
    fn esp(&self) -> &str {
        self.pigeon.esp()
    }

    fn kind(&self) -> WebhookKind {
        self.pigeon.kind()
    }

    fn auth(&self) -> &WebhookAuth {
        self.pigeon.auth()
    }

    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Event>, WebhookError> {
        let events = self.pigeon.read(request);
        match self.broken {
            Events(change) => change(request, events),
            _ => events,
        }
    }

    fn parse(&self, request: &Request<Bytes>) -> Result<Vec<Event>, WebhookError> {
        *self.seen.lock().unwrap() = format!("{:?}", request.headers());
        match self.broken {
            Own(O::ParsesWebhooksItself) => self.read(request),
            Own(O::VerifiesAfterReading) => {
                let events = self.read(request)?;
                self.pigeon.parse(request).map(|_| events)
            }
            _ if request.body().len() > self.body_limit() => self.pigeon.parse(request),
            _ => match self.pigeon.parse(request) {
                Ok(_) => self.read(request),
                Err(error) if is_of_reading(error.kind()) => self.read(request),
                Err(error) => Err(error),
            },
        }
    }
}

fn is_of_reading(kind: WebhookErrorKind) -> bool {
    matches!(
        kind,
        WebhookErrorKind::MalformedBody | WebhookErrorKind::WrongShape
    )
}

impl fmt::Debug for MutantWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("MutantWebhook");
        if let Own(O::PrintsWebhookSecrets) = self.broken {
            out.field("last_request", &self.seen.lock().unwrap());
        }
        if let Own(O::PrintsTheSigningKey) = self.broken {
            out.field("keys", &self.signing_keys.lock().unwrap());
        }
        out.finish()
    }
}
