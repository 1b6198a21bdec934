//! The `messages/outbound` endpoints, which find sent messages.

use std::sync::Arc;

use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::headers::raw::Raw;
use mail_builder::headers::text::Text;
use serde_json::{Value, json};

use super::api::{Call, Paging};
use super::fields::set;
use super::message::{Mailbox, SentMessage};
use super::rules::{self, ApiError};
use super::smtp_mail;
use super::state::Fake;

/// `GET messages/outbound`: newest first.
pub(super) fn search(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let paging = Paging::required(call, || rules::bad_paging("messages"))?;
    let wanted = Wanted::read(call);
    let state = fake.state();
    let lagging = |message: &&Arc<SentMessage>| {
        let lag = fake.settings.search_lag;
        lag.is_zero() || message.accepted_at.elapsed() >= lag
    };
    let candidates = match wanted.metadata.first() {
        Some((_, value)) => state.with_metadata(value),
        None => &state.messages,
    };
    let found = candidates.iter().rev().filter(lagging);
    let found: Vec<_> = found.filter(|message| wanted.fits(message)).collect();
    let total = found.len();
    let rows = paging.page(found);
    let rows: Vec<_> = rows.into_iter().map(|message| summary(message)).collect();
    Ok(json!({"TotalCount": total, "Messages": rows}))
}

/// The search criteria. It is inferred that addresses and tags must match completely, and that a
/// subject can match partially.
struct Wanted<'a> {
    call: &'a Call,
    recipient: Option<&'a str>,
    from: Option<&'a str>,
    tag: Option<&'a str>,
    subject: Option<String>,
    stream: Option<&'a str>,
    /// Every message is sent immediately, so none has another status.
    only_unsent: bool,
    metadata: Vec<(&'a str, &'a str)>,
}

impl<'a> Wanted<'a> {
    fn read(call: &'a Call) -> Self {
        let sent = |status: &str| ["sent", "processed"].contains(&&*status.to_lowercase());
        Self {
            call,
            recipient: call.query("recipient"),
            from: call.query("fromemail"),
            tag: call.query("tag"),
            subject: call.query("subject").map(str::to_lowercase),
            stream: call.query("messagestream"),
            only_unsent: call.query("status").is_some_and(|status| !sent(status)),
            metadata: call.queries("metadata_").collect(),
        }
    }

    fn fits(&self, message: &SentMessage) -> bool {
        let has_metadata = |(key, wanted): &(&str, &str)| {
            let mut pairs = message.metadata.iter();
            pairs.any(|(k, value)| value == wanted && k.eq_ignore_ascii_case(key))
        };
        let is_recipient = |wanted: &str| {
            let mut all = message.to.iter().chain(&message.cc).chain(&message.bcc);
            all.any(|mailbox| mailbox.email.eq_ignore_ascii_case(wanted))
        };
        let from = &message.from.email;
        let has_subject = |part: &String| message.subject.to_lowercase().contains(part);
        !self.only_unsent
            && self.metadata.iter().all(has_metadata)
            && self.recipient.is_none_or(is_recipient)
            && self
                .from
                .is_none_or(|wanted| from.eq_ignore_ascii_case(wanted))
            && self
                .tag
                .is_none_or(|tag| message.tag.as_deref() == Some(tag))
            && self.stream.is_none_or(|stream| message.stream == stream)
            && self.subject.as_ref().is_none_or(has_subject)
            && self.call.in_dates(&message.submitted_at)
    }
}

fn summary(message: &SentMessage) -> Value {
    let list = |mailboxes: &[Mailbox]| -> Value {
        let one = |mailbox: &Mailbox| {
            let name = Some(&mailbox.name).filter(|name| !name.is_empty());
            json!({"Email": mailbox.email, "Name": name})
        };
        mailboxes.iter().map(one).collect()
    };
    let all = message.to.iter().chain(&message.cc).chain(&message.bcc);
    let recipients: Vec<_> = all.map(|mailbox| &mailbox.email).collect();
    let names: Vec<_> = message.attachments.iter().map(|a| &a.name).collect();
    json!({
        "Tag": message.tag,
        "MessageID": message.id,
        "To": list(&message.to),
        "Cc": list(&message.cc),
        "Bcc": list(&message.bcc),
        "Recipients": recipients,
        "ReceivedAt": message.submitted_at,
        "From": message.from.to_string(),
        "Subject": message.subject,
        "Attachments": names,
        "Status": "Sent",
        "TrackOpens": message.track_opens,
        "TrackLinks": message.track_links,
        "Metadata": message.metadata,
        "Sandboxed": false,
        "MessageStream": message.stream,
    })
}

/// `GET messages/outbound/{id}/details`
pub(super) fn details(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let state = fake.state();
    let message = state
        .message(call.part(2))
        .ok_or_else(rules::message_not_found)?;
    let events = state.events.get(&message.id).cloned().unwrap_or_default();
    let mut details = summary(message);
    set(&mut details, "TextBody", message.text_body.clone());
    set(&mut details, "HtmlBody", message.html_body.clone());
    set(&mut details, "Body", source(message));
    set(&mut details, "MessageEvents", events);
    Ok(details)
}

/// `GET messages/outbound/{id}/dump`
pub(super) fn dump(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let state = fake.state();
    let message = state
        .message(call.part(2))
        .ok_or_else(rules::message_not_found)?;
    Ok(json!({"Body": source(message)}))
}

/// Returns an approximation of the outgoing message: Postmark's has more headers and is signed.
pub(super) fn source(message: &SentMessage) -> String {
    if let Some(raw) = &message.raw_mime {
        return smtp_mail::as_delivered(raw, &message.id);
    }
    let list = |mailboxes: &[Mailbox]| {
        let one = |mailbox: &Mailbox| {
            let name = Some(mailbox.name.clone()).filter(|name| !name.is_empty());
            Address::new_address(name, mailbox.email.clone())
        };
        Address::new_list(mailboxes.iter().map(one).collect())
    };
    let mut mime = MessageBuilder::new()
        .message_id(format!("{}@mtasv.net", message.id))
        .from(list(std::slice::from_ref(&message.from)))
        .subject(message.subject.as_str())
        .header("X-PM-Message-Id", Raw::new(message.id.as_str()));
    for (field, mailboxes) in [
        ("To", &message.to),
        ("Cc", &message.cc),
        ("Reply-To", &message.reply_to),
    ] {
        if !mailboxes.is_empty() {
            mime = mime.header(field, list(mailboxes));
        }
    }
    for (name, value) in &message.headers {
        mime = mime.header(name.as_str(), Text::new(value.as_str()));
    }
    if let Some(text) = &message.text_body {
        mime = mime.text_body(text.as_str());
    }
    if let Some(html) = &message.html_body {
        mime = mime.html_body(html.as_str());
    }
    for attachment in &message.attachments {
        let kind = attachment.content_type.as_str();
        let content = attachment.content.as_ref();
        mime = match &attachment.content_id {
            Some(id) => mime.inline(kind, id.as_str(), content),
            None => mime.attachment(kind, attachment.name.as_str(), content),
        };
    }
    mime.write_to_string().unwrap_or_default()
}
