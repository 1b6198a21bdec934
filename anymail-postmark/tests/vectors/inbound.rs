//! `inbound.json`: Postmark's payload and the inbound message.
//!
//! `tracking.rs` explains how cases are read and compared.

use std::path::Path;

use anymail_core::{Event, InboundAttachment, InboundEvent, WebhookAuth};
use anymail_postmark::PostmarkInboundWebhook;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::tracking::{instant, parse, trials_of};

/// One trial per case.
pub(crate) fn trials(dir: &Path) -> Vec<Trial> {
    let webhook = || PostmarkInboundWebhook::new(WebhookAuth::none());
    trials_of(&super::INBOUND, dir, move |payload| {
        parse(&webhook(), payload).map(|event| match event {
            Event::Inbound(event) => facts(&event),
            other => json!(format!("{other:?}")),
        })
    })
}

fn facts(event: &InboundEvent) -> Value {
    let mail = &event.message;
    let lf = |text: Option<std::borrow::Cow<'_, str>>| text.map(|text| text.replace("\r\n", "\n"));
    json!({
        "event_id": event.event_id,
        "timestamp": instant(event.timestamp),
        "envelope_sender": mail.envelope_sender,
        "envelope_recipient": mail.envelope_recipient,
        "from": mail.from,
        "to": mail.to,
        "cc": mail.cc,
        "bcc": mail.bcc,
        "subject": mail.subject,
        "date": instant(mail.date),
        "text": lf(mail.text()),
        "html": lf(mail.html()),
        "stripped_text": mail.stripped_text,
        "spam_detected": mail.spam_detected,
        "spam_score": mail.spam_score,
        "message_id": mail.message_id(),
        "reply_to": mail.header("Reply-To"),
        "received": mail.header_all("Received").collect::<Vec<_>>(),
        "attachments": mail.attachments().map(part).collect::<Vec<_>>(),
        "inlines": mail.inlines().map(part).collect::<Vec<_>>(),
    })
}

fn part(part: &InboundAttachment) -> Value {
    if part.content_type() == "message/rfc822" {
        return json!({"content_type": "message/rfc822"});
    }
    let content = part.content();
    let digest = Sha256::digest(&content);
    let sha256: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "filename": part.filename(),
        "content_type": part.content_type(),
        "content_id": part.content_id(),
        "inline": part.is_inline(),
        "size": content.len(),
        "sha256": sha256,
    })
}
