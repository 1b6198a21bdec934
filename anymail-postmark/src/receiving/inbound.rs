//! Postmark's inbound messages: parses the raw message if there is one, or else the parsed fields.
//!
//! `json.rs` reads JSON; `anymail-core` parses raw messages.

use anymail_core::{
    Event, InboundAddress, InboundAttachment, InboundEvent, InboundMessage, RawBytes, Webhook,
    WebhookAuth, WebhookError, WebhookErrorKind, WebhookKind,
};
use bytes::Bytes;
use http::Request;
use serde::de::{IgnoredAny, MapAccess};

use super::dedup_key::dedup_key;
use super::json::{self, Fields, List, Object, Text};
use crate::config::NAME;

/// Postmark's inbound webhook.
///
/// A server with "include raw email content" posts the whole message, which is then parsed; others
/// post fields. The results are the same, except that the fields contain only the first text and
/// HTML, and that at most 10,000 headers, addresses of a kind, and attachments are read from them.
///
/// How Postmark reacts to a response (its documentation of 2025-11):
///
/// | response | Postmark |
/// | --- | --- |
/// | 200 | done |
/// | 403 | gives up |
/// | anything else (including 204), or none | posts it again, ten times in 10.5 hours; then "Inbound Error" |
///
/// So a message is lost only if nobody fixes the problem within 10.5 hours, and even then it can be
/// retried manually in Postmark. This webhook never responds with 403.
///
/// The default limit of a body is 50 MiB: Postmark accepts messages of up to 35 MB, which are 47 MB
/// in base64. With the raw message included, a payload contains every attachment twice: see
/// [`with_body_limit`](Self::with_body_limit).
#[derive(Debug, Clone)]
pub struct PostmarkInboundWebhook {
    auth: WebhookAuth,
    body_limit: usize,
}

impl PostmarkInboundWebhook {
    /// Creates a webhook with this authentication: user and password of the URL that is configured
    /// at Postmark (`https://user:password@app.example.com/anymail/postmark/inbound/`).
    pub fn new(auth: WebhookAuth) -> Self {
        Self {
            auth,
            body_limit: WebhookKind::Inbound.default_body_limit(),
        }
    }

    /// Sets the maximum size of a body, in bytes, instead of 50 MiB.
    #[must_use]
    pub fn with_body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }
}

impl Webhook for PostmarkInboundWebhook {
    fn esp(&self) -> &str {
        NAME
    }

    fn kind(&self) -> WebhookKind {
        WebhookKind::Inbound
    }

    fn auth(&self) -> &WebhookAuth {
        &self.auth
    }

    fn body_limit(&self) -> usize {
        self.body_limit
    }

    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Event>, WebhookError> {
        let mut payload: Payload<'_> = json::read(self, request)?;
        if !matches!(payload.record_type.get(), None | Some("Inbound")) {
            let detail = "expected an inbound message, got a tracking event: in Postmark, set all \
                          webhooks except the inbound one to the URL that ends in /tracking/";
            return Err(WebhookError::new(
                self,
                WebhookErrorKind::WrongWebhook,
                detail,
            ));
        }
        let body = request.body();
        let event_id = payload.message_id.get().map(str::to_owned);
        let recipient = payload.original_recipient.get().unwrap_or_default();
        let key = match &event_id {
            Some(id) => dedup_key(request, &["inbound", id, recipient].map(str::as_bytes)),
            None => dedup_key(request, &[body.as_ref()]),
        };
        let raw = std::mem::take(&mut payload.raw_email).into_bytes(body);
        let sender = payload.envelope_sender();
        let mut message = match raw {
            Some(raw) => payload.message_from_raw(raw),
            None => payload.message_from_fields(body),
        };
        message.envelope_sender = sender;
        message.envelope_recipient = payload.original_recipient.into_string();
        message.mailbox_hash = payload.mailbox_hash.into_string();
        message.stripped_text = payload.stripped_text_reply.into_string();
        message.spam_detected = message.header("X-Spam-Status").and_then(verdict);
        message.spam_score = message.header("X-Spam-Score").and_then(score);
        let mut event = InboundEvent::new(NAME, message, key, RawBytes::from(body.clone()));
        event.event_id = event_id;
        Ok(vec![Event::Inbound(event)])
    }
}

/// SpamAssassin's verdict: `Yes` or `No`, possibly followed by more.
fn verdict(status: &str) -> Option<bool> {
    let word = status.split([',', ' ']).next().unwrap_or_default();
    if word.eq_ignore_ascii_case("yes") {
        Some(true)
    } else if word.eq_ignore_ascii_case("no") {
        Some(false)
    } else {
        None
    }
}

fn score(text: &str) -> Option<f64> {
    let score: f64 = text.trim().parse().ok()?;
    score.is_finite().then_some(score)
}

#[derive(Default)]
struct Payload<'a> {
    record_type: Text<'a>,
    message_id: Text<'a>,
    original_recipient: Text<'a>,
    mailbox_hash: Text<'a>,
    from_name: Text<'a>,
    from: Text<'a>,
    to: Text<'a>,
    cc: Text<'a>,
    bcc: Text<'a>,
    from_full: Object<Mailbox<'a>>,
    to_full: List<Mailbox<'a>>,
    cc_full: List<Mailbox<'a>>,
    bcc_full: List<Mailbox<'a>>,
    reply_to: Text<'a>,
    subject: Text<'a>,
    date: Text<'a>,
    text_body: Text<'a>,
    html_body: Text<'a>,
    stripped_text_reply: Text<'a>,
    raw_email: Text<'a>,
    headers: List<Header<'a>>,
    attachments: List<File<'a>>,
}

#[derive(Default)]
struct Mailbox<'a> {
    name: Text<'a>,
    email: Text<'a>,
}

#[derive(Default)]
struct Header<'a> {
    name: Text<'a>,
    value: Text<'a>,
}

#[derive(Default)]
struct File<'a> {
    name: Text<'a>,
    content: Text<'a>,
    /// The "Check" button on Postmark's web page puts the content here.
    data: Text<'a>,
    content_type: Text<'a>,
    content_id: Text<'a>,
}

/// Reads the named fields, of any type, and ignores all others.
macro_rules! fields {
    ($type:ident { $($key:literal => $field:ident),+ $(,)? }) => {
        impl<'a> Fields<'a> for $type<'a> {
            fn field<A: MapAccess<'a>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
                match key {
                    $($key => self.$field = map.next_value()?,)+
                    _ => {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(())
            }
        }
    };
}

fields!(Payload {
    "RecordType" => record_type,
    "MessageID" => message_id,
    "OriginalRecipient" => original_recipient,
    "MailboxHash" => mailbox_hash,
    "FromName" => from_name,
    "From" => from,
    "To" => to,
    "Cc" => cc,
    "Bcc" => bcc,
    "FromFull" => from_full,
    "ToFull" => to_full,
    "CcFull" => cc_full,
    "BccFull" => bcc_full,
    "ReplyTo" => reply_to,
    "Subject" => subject,
    "Date" => date,
    "TextBody" => text_body,
    "HtmlBody" => html_body,
    "StrippedTextReply" => stripped_text_reply,
    "RawEmail" => raw_email,
    "Headers" => headers,
    "Attachments" => attachments,
});
fields!(Mailbox { "Name" => name, "Email" => email });
fields!(Header { "Name" => name, "Value" => value });
fields!(File {
    "Name" => name,
    "Content" => content,
    "Data" => data,
    "ContentType" => content_type,
    "ContentID" => content_id,
});

impl Payload<'_> {
    /// Postmark prepends the envelope sender as a `Return-Path`. One further down was written by
    /// the sender.
    fn envelope_sender(&self) -> Option<String> {
        let first = self.headers.0.first()?;
        let name = first.name.get()?;
        if !name.eq_ignore_ascii_case("Return-Path") {
            return None;
        }
        let path = first.value.get()?.trim();
        let path = path.strip_prefix('<').unwrap_or(path);
        Some(path.strip_suffix('>').unwrap_or(path).to_owned())
    }

    fn message_from_raw(&mut self, raw: Bytes) -> InboundMessage {
        let mut message = InboundMessage::from_raw(raw);
        // Only Postmark knows recipients that are in no header.
        if message.header("Bcc").is_none() {
            message.bcc = addresses(&mut self.bcc_full, &self.bcc);
        }
        message
    }

    fn message_from_fields(&mut self, body: &Bytes) -> InboundMessage {
        let mut message = InboundMessage::default();
        for header in &self.headers.0 {
            if let Some(name) = header.name.get() {
                message.add_header(name, header.value.get().unwrap_or_default());
            }
        }
        // Postmark removes these from the headers and posts their values separately.
        let lists = [
            ("From", self.authors()),
            ("To", addresses(&mut self.to_full, &self.to)),
            ("Cc", addresses(&mut self.cc_full, &self.cc)),
            ("Bcc", addresses(&mut self.bcc_full, &self.bcc)),
        ];
        for (name, list) in lists {
            if list.is_empty() {
                continue;
            }
            if message.header(name).is_none() {
                let texts: Vec<_> = list.iter().map(InboundAddress::to_string).collect();
                message.headers.push((name.to_owned(), texts.join(", ")));
            }
            match name {
                "From" => message.from = list,
                "To" => message.to = list,
                "Cc" => message.cc = list,
                _ => message.bcc = list,
            }
        }
        for (name, value) in [
            ("Subject", &self.subject),
            ("Date", &self.date),
            ("Reply-To", &self.reply_to),
        ] {
            if let Some(value) = value.get()
                && message.header(name).is_none()
            {
                message.add_header(name, value);
            }
        }
        if let Some(text) = std::mem::take(&mut self.text_body).into_string() {
            message.set_text(text);
        }
        if let Some(html) = std::mem::take(&mut self.html_body).into_string() {
            message.set_html(html);
        }
        for file in std::mem::take(&mut self.attachments).0 {
            message.attach(file.into_attachment(body));
        }
        message
    }

    fn authors(&mut self) -> Vec<InboundAddress> {
        match self.from_full.0.take() {
            Some(author) => vec![author.into_address()],
            None => {
                let mut authors = InboundAddress::parse_list(self.from.get().unwrap_or_default());
                if let ([author], Some(name)) = (&mut *authors, self.from_name.get())
                    && author.name.is_empty()
                {
                    author.name = name.to_owned();
                }
                authors
            }
        }
    }
}

/// Postmark's parsed list, or else the unparsed one.
fn addresses(full: &mut List<Mailbox<'_>>, text: &Text<'_>) -> Vec<InboundAddress> {
    if full.0.is_empty() {
        return InboundAddress::parse_list(text.get().unwrap_or_default());
    }
    let full = std::mem::take(full);
    full.0.into_iter().map(Mailbox::into_address).collect()
}

impl Mailbox<'_> {
    fn into_address(self) -> InboundAddress {
        let [name, email] = [&self.name, &self.email].map(|text| text.get().unwrap_or_default());
        InboundAddress::new(name, email)
    }
}

impl File<'_> {
    fn into_attachment(self, body: &Bytes) -> InboundAttachment {
        let content_type = self.content_type.get().unwrap_or_default();
        let content = self.content.into_bytes(body).or(self.data.into_bytes(body));
        let part = InboundAttachment::from_base64(content.unwrap_or_default(), content_type);
        // Postmark marks inline parts only with a content ID.
        let content_id = self.content_id.get().unwrap_or_default();
        let part = part.with_content_id(content_id);
        let inline = part.content_id().is_some();
        let part = part.with_inline(inline);
        match self.name.get() {
            Some(name) => part.with_filename(name),
            None => part,
        }
    }
}
