//! Turns an inbound message into the JSON of the inbound webhook.
//!
//! `triggers.rs` selects the webhook, and `webhooks.rs` posts to it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_parser::{Address, Message, MessageParser, MessagePart, MimeHeaders};
use serde_json::{Value, json};

use super::fields::set;
use super::message::Mailbox;
use super::server_settings::INBOUND_ADDRESS;
use super::state::new_id;

/// Builds the payload for this recipient or, without one, for the first recipient in the header;
/// `None` if the bytes are not a message.
pub(super) fn payload(raw: &[u8], recipient: Option<&str>, with_raw: bool) -> Option<Value> {
    if nests_too_deep(raw) {
        return None;
    }
    let mail = MessageParser::default().parse(raw)?;
    let [from, to, cc, bcc, reply_to] = [
        mail.from(),
        mail.to(),
        mail.cc(),
        mail.bcc(),
        mail.reply_to(),
    ]
    .map(mailboxes);
    if mail.headers().is_empty() || (from.is_empty() && to.is_empty()) {
        return None;
    }
    let first = to
        .iter()
        .chain(&cc)
        .next()
        .map(|mailbox| mailbox.email.as_str());
    let recipient = recipient.or(first).unwrap_or(INBOUND_ADDRESS).to_owned();
    let is_recipient = |mailbox: &Mailbox| mailbox.email.eq_ignore_ascii_case(&recipient);
    let mut bcc = bcc;
    if !to.iter().chain(&cc).chain(&bcc).any(is_recipient) {
        bcc.push(Mailbox {
            name: String::new(),
            email: recipient.clone(),
        });
    }
    let from = from.into_iter().next().unwrap_or_default();
    let text = bodies(mail.text_bodies(), false);
    let mut payload = json!({
        "FromName": from.name,
        "MessageStream": "inbound",
        "From": from.email,
        "FromFull": full(&from),
        "To": list(&to),
        "ToFull": full_list(&to),
        "Cc": list(&cc),
        "CcFull": full_list(&cc),
        "Bcc": list(&bcc),
        "BccFull": full_list(&bcc),
        "OriginalRecipient": recipient,
        "Subject": mail.subject().unwrap_or_default(),
        "MessageID": new_id(),
        "ReplyTo": list(&reply_to),
        "MailboxHash": mailbox_hash(&recipient),
        "Date": mail.header_raw("Date").unwrap_or_default().trim(),
        "TextBody": text,
        "HtmlBody": bodies(mail.html_bodies(), true),
        "StrippedTextReply": stripped_reply(&mail, &text),
    });
    if with_raw {
        let raw = String::from_utf8_lossy(raw).replace("\r\n", "\n");
        set(&mut payload, "RawEmail", raw);
    }
    set(&mut payload, "Tag", "");
    set(&mut payload, "Headers", headers(&mail, &from));
    set(
        &mut payload,
        "Attachments",
        mail.attachments().map(attachment).collect::<Vec<_>>(),
    );
    Some(payload)
}

/// Whether the nesting of messages within messages could overflow the stack, because mail-parser
/// recurses without a limit. Some thousand levels are fine, and no real message has a hundred.
pub(super) fn nests_too_deep(raw: &[u8]) -> bool {
    const MOST: usize = 500;
    let begins = |kind: &[u8]| {
        let kinds = raw.windows(kind.len());
        kinds.filter(|at| at.eq_ignore_ascii_case(kind)).count()
    };
    begins(b"message/") + begins(b"multipart/digest") > MOST
}

pub(super) fn mailboxes(addresses: Option<&Address<'_>>) -> Vec<Mailbox> {
    let mailbox = |address: &mail_parser::Addr<'_>| {
        Some(Mailbox {
            name: address.name().unwrap_or_default().to_owned(),
            email: address.address()?.to_owned(),
        })
    };
    addresses.map_or(Vec::new(), |addresses| {
        addresses.iter().filter_map(mailbox).collect()
    })
}

pub(super) fn list(mailboxes: &[Mailbox]) -> String {
    let texts: Vec<_> = mailboxes.iter().map(Mailbox::to_string).collect();
    texts.join(", ")
}

fn full(mailbox: &Mailbox) -> Value {
    json!({
        "Email": mailbox.email,
        "Name": mailbox.name,
        "MailboxHash": mailbox_hash(&mailbox.email),
    })
}

fn full_list(mailboxes: &[Mailbox]) -> Value {
    mailboxes.iter().map(full).collect()
}

/// Returns the part of the local part after `+`.
fn mailbox_hash(email: &str) -> &str {
    let local = email.rsplit_once('@').map_or("", |(local, _)| local);
    local.split_once('+').map_or("", |(_, hash)| hash)
}

/// Joins the HTML bodies, or the plain text bodies. mail-parser puts bodies of the other kind into
/// a list that would otherwise be empty.
pub(super) fn bodies<'a>(parts: impl Iterator<Item = &'a MessagePart<'a>>, html: bool) -> String {
    let texts = parts.filter(|part| part.is_text_html() == html);
    let texts: Vec<_> = texts.filter_map(MessagePart::text_contents).collect();
    texts.join("\n")
}

/// Returns the text above the quoted message, in replies only. Postmark's algorithm is not public;
/// this one recognizes the English markers of most mail clients.
fn stripped_reply(mail: &Message<'_>, text: &str) -> String {
    let is_reply = ["In-Reply-To", "References"]
        .into_iter()
        .any(|name| mail.header_raw(name).is_some());
    if !is_reply {
        return String::new();
    }
    let is_quote = |line: &str| {
        let line = line.trim();
        line.starts_with('>')
            || (line.starts_with("On ") && line.ends_with("wrote:"))
            || line.starts_with("-----Original Message")
    };
    let own: Vec<_> = text.lines().take_while(|line| !is_quote(line)).collect();
    own.join("\n").trim_end().to_owned()
}

/// Returns the headers that have no field of their own, after those that Postmark adds.
fn headers(mail: &Message<'_>, from: &Mailbox) -> Value {
    const FIELDS: [&str; 8] = [
        "From",
        "To",
        "Cc",
        "Bcc",
        "Subject",
        "Date",
        "Reply-To",
        "Return-Path",
    ];
    let header = |name: &str, value: &str| json!({"Name": name, "Value": value});
    let sender = mail.return_address().unwrap_or(&from.email);
    let mut headers = vec![header("Return-Path", &format!("<{sender}>"))];
    if mail.header_raw("X-Spam-Status").is_none() {
        headers.push(header("X-Spam-Status", "No"));
        headers.push(header("X-Spam-Score", "-0.1"));
        headers.push(header("X-Spam-Tests", "SPF_PASS"));
    }
    for (name, value) in mail.headers_raw() {
        if !FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name)) {
            let unfolded: Vec<_> = value.trim().lines().map(str::trim).collect();
            headers.push(header(name, &unfolded.join(" ")));
        }
    }
    Value::Array(headers)
}

fn attachment(part: &MessagePart<'_>) -> Value {
    let content = part.contents();
    let content_type = match part.content_type() {
        Some(kind) => match kind.subtype() {
            Some(subtype) => format!("{}/{subtype}", kind.ctype()),
            None => kind.ctype().to_owned(),
        },
        None => "text/plain".to_owned(),
    };
    let mut attachment = json!({
        "Name": part.attachment_name().unwrap_or_default(),
        "Content": STANDARD.encode(content),
        "ContentType": content_type,
        "ContentLength": content.len(),
    });
    if let Some(id) = part.content_id() {
        set(&mut attachment, "ContentID", id);
    }
    attachment
}
