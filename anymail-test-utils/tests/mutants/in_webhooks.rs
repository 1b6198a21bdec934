//! Webhooks that let in whoever comes, or read wrong.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anymail_core::{
    Event, RawBytes, Webhook, WebhookAuth, WebhookError, WebhookErrorKind, WebhookKind,
};
use bytes::Bytes;
use http::Request;

use crate::breaks::Break::{Events, Own};
use crate::breaks::{Break, Mutant, Own as O, mutant};
use crate::in_signatures::Keys;
use crate::webhook::PigeonWebhook;

pub fn mutants() -> Vec<Mutant> {
    vec![
        mutant(
            "lets_anybody_in",
            Own(O::IgnoresWebhookSecrets),
            &[
                "webhooks::tracking::a_post_without_the_right_secret_is_not_read",
                "webhooks::inbound::a_post_without_the_right_secret_is_not_read",
            ],
        ),
        mutant(
            "parses_by_itself",
            Own(O::ParsesWebhooksItself),
            &[
                "webhooks::tracking::what_is_no_post_or_too_long_is_not_read",
                "webhooks::inbound::what_is_no_post_or_too_long_is_not_read",
            ],
        ),
        mutant(
            "prints_webhook_secrets",
            Own(O::PrintsWebhookSecrets),
            &[
                "webhooks::tracking::secrets_and_payloads_are_in_no_debug_text_or_error",
                "webhooks::inbound::secrets_and_payloads_are_in_no_debug_text_or_error",
            ],
        ),
        mutant(
            "gives_no_events",
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
            "numbers_events_as_they_come",
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
            "takes_the_mails_id_for_the_events_key",
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
            &[
                "webhooks::tracking::a_repeated_event_has_the_same_key",
                "webhooks::inbound::a_repeated_event_has_the_same_key",
            ],
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
            "quotes_payloads_in_errors",
            Events(|request, events| {
                events.map_err(|error| {
                    let body = String::from_utf8_lossy(request.body());
                    let webhook = PigeonWebhook::new(WebhookAuth::none());
                    WebhookError::new(&webhook, error.kind(), format!("what is {body}?"))
                })
            }),
            &[
                "webhooks::tracking::secrets_and_payloads_are_in_no_debug_text_or_error",
                "webhooks::inbound::secrets_and_payloads_are_in_no_debug_text_or_error",
            ],
        ),
    ]
}

fn each(mut events: Vec<Event>, change: impl Fn(&mut Event)) -> Vec<Event> {
    events.iter_mut().for_each(change);
    events
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
    /// Of the last request that was let in.
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
