//! Postmark's tracking events: the meaning of its record and bounce types.
//!
//! `json.rs` reads JSON.

use anymail_core::{
    Event, EventActor, EventType, Metadata, RawBytes, RejectReason, TrackingEvent, Webhook,
    WebhookAuth, WebhookError, WebhookErrorKind, WebhookKind,
};
use bytes::Bytes;
use http::Request;
use serde::de::{IgnoredAny, MapAccess};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::dedup_key::dedup_key;
use super::json::{self, Fields, Object, Text};
use crate::config::NAME;
use crate::options::ANYMAIL_ID;
use crate::suppressions::DEFAULT_STREAM;

/// Postmark's tracking webhook: deliveries, bounces, spam complaints, opens, clicks, subscription
/// changes, and errors of its SMTP service.
///
/// All of them can be posted to this one URL. A hard bounce and a spam complaint are two events
/// each: the event itself, and the subscription change that Postmark makes because of it.
///
/// How Postmark reacts to a response (its documentation of 2026-09):
///
/// | response | Postmark |
/// | --- | --- |
/// | 2xx | done |
/// | 408, 429, 5xx, none | posts it again after 1, 5, 10, 10, 10 and 15 minutes |
/// | another 4xx | drops it |
///
/// So after a wrong secret (503), mixed-up URLs (501) and a failed handler (500) there are 51
/// minutes to fix the problem. A missing secret (401), a body that is not an event (400, 415, 422)
/// and one over the limit (413) drop the event. Postmark tests a webhook when it is saved, and does
/// not save it unless the response is 200.
///
/// A bounce with its content ("include bounce content") may be larger than the default limit of 1
/// MiB if the message was: see [`with_body_limit`](Self::with_body_limit).
#[derive(Debug, Clone)]
pub struct PostmarkTrackingWebhook {
    auth: WebhookAuth,
    body_limit: usize,
}

impl PostmarkTrackingWebhook {
    /// Creates a webhook with this authentication: user and password of the URL that is configured
    /// at Postmark (`https://user:password@app.example.com/anymail/postmark/tracking/`).
    pub fn new(auth: WebhookAuth) -> Self {
        Self {
            auth,
            body_limit: WebhookKind::Tracking.default_body_limit(),
        }
    }

    /// Sets the maximum size of a body, in bytes, instead of 1 MiB.
    #[must_use]
    pub fn with_body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }
}

impl Webhook for PostmarkTrackingWebhook {
    fn esp(&self) -> &str {
        NAME
    }

    fn kind(&self) -> WebhookKind {
        WebhookKind::Tracking
    }

    fn auth(&self) -> &WebhookAuth {
        &self.auth
    }

    fn body_limit(&self) -> usize {
        self.body_limit
    }

    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Event>, WebhookError> {
        let payload: Payload<'_> = json::read(self, request)?;
        if payload.is_inbound() {
            let detail = "expected a tracking event, got an inbound message: in Postmark, set the \
                          inbound webhook to the URL that ends in /inbound/";
            return Err(WebhookError::new(
                self,
                WebhookErrorKind::WrongWebhook,
                detail,
            ));
        }
        let key = payload.dedup_key(request);
        let raw = RawBytes::from(request.body().clone());
        Ok(vec![Event::Tracking(payload.into_event(key, raw))])
    }
}

/// The fields of all record types. Each type has some of them.
#[derive(Default)]
struct Payload<'a> {
    record_type: Text<'a>,
    bounce_type: Text<'a>,
    suppression_reason: Text<'a>,
    suppress_sending: Text<'a>,
    inactive: Text<'a>,
    origin: Text<'a>,
    has_from_full: bool,
    id: Text<'a>,
    message_id: Text<'a>,
    message_stream: Text<'a>,
    email: Text<'a>,
    recipient: Text<'a>,
    delivered_at: Text<'a>,
    bounced_at: Text<'a>,
    received_at: Text<'a>,
    changed_at: Text<'a>,
    tag: Text<'a>,
    metadata: Object<MetadataFields>,
    description: Text<'a>,
    details: Text<'a>,
    user_agent: Text<'a>,
    original_link: Text<'a>,
}

impl<'a> Fields<'a> for Payload<'a> {
    fn field<A: MapAccess<'a>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        let text = match key {
            "RecordType" => &mut self.record_type,
            "Type" => &mut self.bounce_type,
            "SuppressionReason" => &mut self.suppression_reason,
            "SuppressSending" => &mut self.suppress_sending,
            "Inactive" => &mut self.inactive,
            "Origin" => &mut self.origin,
            "ID" => &mut self.id,
            "MessageID" => &mut self.message_id,
            "MessageStream" => &mut self.message_stream,
            "Email" => &mut self.email,
            "Recipient" => &mut self.recipient,
            "DeliveredAt" => &mut self.delivered_at,
            "BouncedAt" => &mut self.bounced_at,
            "ReceivedAt" => &mut self.received_at,
            "ChangedAt" => &mut self.changed_at,
            "Tag" => &mut self.tag,
            "Description" => &mut self.description,
            "Details" => &mut self.details,
            "UserAgent" => &mut self.user_agent,
            "OriginalLink" => &mut self.original_link,
            "Metadata" => {
                self.metadata = map.next_value()?;
                return Ok(());
            }
            "FromFull" => {
                self.has_from_full = true;
                map.next_value::<IgnoredAny>()?;
                return Ok(());
            }
            _ => {
                map.next_value::<IgnoredAny>()?;
                return Ok(());
            }
        };
        *text = map.next_value()?;
        Ok(())
    }
}

#[derive(Default)]
struct MetadataFields(Metadata);

impl<'a> Fields<'a> for MetadataFields {
    fn field<A: MapAccess<'a>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        if let Some(value) = map.next_value::<Text<'a>>()?.into_kept() {
            self.0.insert(key.to_owned(), value);
        }
        Ok(())
    }
}

impl Payload<'_> {
    /// Inbound messages had no record type at first, and have a field of their own.
    fn is_inbound(&self) -> bool {
        match self.record_type.get() {
            Some(record_type) => record_type == "Inbound",
            None => self.has_from_full,
        }
    }

    fn recipient(&self) -> Option<&str> {
        self.email.get().or(self.recipient.get())
    }

    fn time(&self) -> Option<&str> {
        let times = [
            &self.delivered_at,
            &self.bounced_at,
            &self.received_at,
            &self.changed_at,
        ];
        times.into_iter().find_map(|time| time.get())
    }

    /// An event is identified by its ID or time, together with the message it belongs to; one with
    /// neither, by its whole payload.
    fn dedup_key(&self, request: &Request<Bytes>) -> String {
        if self.id.get().is_none() && self.time().is_none() {
            return dedup_key(request, &[request.body().as_ref()]);
        }
        let parts = [
            self.record_type.get(),
            self.id.get(),
            self.message_id.get(),
            self.message_stream.get(),
            self.recipient(),
            self.time(),
            self.original_link.get(),
        ];
        dedup_key(
            request,
            &parts.map(|part| part.unwrap_or_default().as_bytes()),
        )
    }

    fn what_happened(&self) -> (EventType, Option<RejectReason>) {
        let (unless_known, why) = match self.record_type.get() {
            Some("Delivery") => return (EventType::Delivered, None),
            Some("Open") => return (EventType::Opened, None),
            Some("Click") => return (EventType::Clicked, None),
            Some("Bounce") => (EventType::Bounced, &self.bounce_type),
            Some("SpamComplaint") => (EventType::Complained, &self.bounce_type),
            Some("SubscriptionChange") if self.suppress_sending.is("false") => {
                return (EventType::Subscribed, None);
            }
            Some("SubscriptionChange") => (EventType::Unsubscribed, &self.suppression_reason),
            _ => return (EventType::Unknown, None),
        };
        let known = why.get().and_then(meaning_of);
        known.unwrap_or((unless_known, None))
    }

    /// Whether messages to the address will never arrive. For an unknown bounce type, Postmark's
    /// own conclusion decides: whether it has deactivated the address.
    fn is_hard(&self, event_type: EventType) -> Option<bool> {
        if !matches!(event_type, EventType::Bounced | EventType::Rejected) {
            return None;
        }
        let why = match self.record_type.get() {
            Some("SubscriptionChange") => &self.suppression_reason,
            _ => &self.bounce_type,
        };
        let known = why.get().filter(|why| meaning_of(why).is_some());
        Some(match known {
            Some(known) => matches!(known, "HardBounce" | "BadEmailAddress"),
            None => self.inactive.is("true"),
        })
    }

    fn into_event(self, key: String, raw: RawBytes) -> TrackingEvent {
        let (event_type, reject_reason) = self.what_happened();
        let mut event = TrackingEvent::new(NAME, event_type, key, raw);
        event.timestamp = self
            .time()
            .and_then(|time| OffsetDateTime::parse(time, &Rfc3339).ok());
        event.recipient = self.recipient().map(str::to_owned);
        event.stream = self
            .message_stream
            .get()
            .filter(|stream| *stream != DEFAULT_STREAM)
            .map(str::to_owned);
        event.hard = self.is_hard(event_type);
        event.actor = match self.origin.get() {
            Some("Recipient") => Some(EventActor::Recipient),
            Some("Customer" | "Admin") => Some(EventActor::Operator),
            _ => None,
        };
        event.metadata = self.metadata.0.unwrap_or_default().0;
        let own_id = event.metadata.get(ANYMAIL_ID);
        event.message_id = own_id
            .filter(|id| !id.is_empty())
            .cloned()
            .or(self.message_id.into_string());
        event.event_id = self.id.into_string();
        event.tags.extend(self.tag.into_string());
        event.reject_reason = reject_reason;
        event.description = self.description.into_string();
        event.mta_response = self.details.into_string();
        event.user_agent = self.user_agent.into_string();
        event.click_url = self.original_link.into_string();
        event
    }
}

/// The meaning of a bounce type, or of a reason for a suppression, as in django-anymail.
fn meaning_of(bounce_type: &str) -> Option<(EventType, Option<RejectReason>)> {
    use RejectReason::{Blocked, Bounced, Invalid, Other, Spam, Unsubscribed};
    Some(match bounce_type {
        "HardBounce" | "SoftBounce" => (EventType::Bounced, Some(Bounced)),
        "VirusNotification" => (EventType::Bounced, Some(Other)),
        "Transient" | "DnsError" | "OpenRelayTest" => (EventType::Deferred, None),
        "Unsubscribe" | "ManualSuppression" => (EventType::Unsubscribed, Some(Unsubscribed)),
        "Subscribe" => (EventType::Subscribed, None),
        "AutoResponder" | "AddressChange" | "ChallengeVerification" => {
            (EventType::Autoresponded, None)
        }
        "SpamNotification" | "SpamComplaint" => (EventType::Complained, Some(Spam)),
        "BadEmailAddress" => (EventType::Rejected, Some(Invalid)),
        "ManuallyDeactivated" | "Blocked" | "DMARCPolicy" => (EventType::Rejected, Some(Blocked)),
        "Unconfirmed" => (EventType::Rejected, None),
        "SMTPApiError" | "TemplateRenderingFailed" => (EventType::Failed, None),
        "InboundError" => (EventType::InboundFailed, None),
        "Unknown" => (EventType::Unknown, None),
        _ => return None,
    })
}
