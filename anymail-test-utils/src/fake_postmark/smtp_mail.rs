//! Parses a message that arrived over SMTP into the fields of `POST email`, and writes the outgoing
//! message.
//!
//! Postmark does the same: it converts a message to a call of its API (DOC, an older page on SMTP).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_parser::{Header, Message, MessageParser, MessagePart, MimeHeaders};
use serde_json::{Map, Value, json};

use super::check::Checked;
use super::fields::set;
use super::inbound::{bodies, list, mailboxes, nests_too_deep};
use super::message::{Mailbox, SentAttachment};
use crate::smtp_server::SmtpMessage;

/// A parsed message.
pub(super) struct Arrived {
    /// The equivalent JSON for `POST email`.
    pub(super) json: Value,
    /// The contents, not yet checked against any rule.
    pub(super) checked: Checked,
}

/// Parses a message for this stream, if one is given; `None` if the bytes are not a message.
pub(super) fn read(mail: &SmtpMessage, stream: Option<&str>) -> Option<Arrived> {
    if nests_too_deep(&mail.content) {
        return None;
    }
    // Keep IDs as they are written, with their angle brackets.
    let parser = MessageParser::new()
        .default_header_text()
        .with_mime_headers()
        .with_address_headers();
    let parsed = parser.parse(&mail.content)?;
    let checked = people_and_files(mail, &parsed);
    let mut json = json!({"From": list(&mailboxes(parsed.from()))});
    for (key, mailboxes) in [
        ("To", &checked.to),
        ("Cc", &checked.cc),
        ("Bcc", &checked.bcc),
        ("ReplyTo", &checked.reply_to),
    ] {
        if !mailboxes.is_empty() {
            set(&mut json, key, list(mailboxes));
        }
    }
    set(&mut json, "Subject", parsed.subject().unwrap_or_default());
    for (key, body) in [
        ("TextBody", bodies(parsed.text_bodies(), false)),
        ("HtmlBody", bodies(parsed.html_bodies(), true)),
    ] {
        // The last line end belongs to SMTP, and SMTP writes all others as CR LF.
        let body = body.replace("\r\n", "\n");
        let body = body.strip_suffix('\n').unwrap_or(&body);
        if !body.is_empty() {
            set(&mut json, key, body);
        }
    }
    read_headers(&parsed, &mut json);
    if let Some(stream) = stream {
        set(&mut json, "MessageStream", stream);
    }
    if !checked.attachments.is_empty() {
        let files = checked.attachments.iter().map(attachment_json);
        set(&mut json, "Attachments", files.collect::<Vec<_>>());
    }
    Some(Arrived { json, checked })
}

/// The envelope determines the recipients; the header determines their names. DOC
fn people_and_files(mail: &SmtpMessage, parsed: &Message<'_>) -> Checked {
    let mut envelope: Vec<&str> = Vec::new();
    for address in mail.addresses() {
        if !envelope
            .iter()
            .any(|known| known.eq_ignore_ascii_case(address))
        {
            envelope.push(address);
        }
    }
    let mut named = |header| -> Vec<Mailbox> {
        let mut named = mailboxes(header);
        named.retain(|mailbox| {
            let same = |address: &&str| address.eq_ignore_ascii_case(&mailbox.email);
            let at = envelope.iter().position(same);
            at.map(|at| envelope.remove(at)).is_some()
        });
        named
    };
    let (to, cc, mut bcc) = (named(parsed.to()), named(parsed.cc()), named(parsed.bcc()));
    bcc.extend(envelope.into_iter().map(|address| Mailbox {
        name: String::new(),
        email: address.to_owned(),
    }));
    Checked {
        from: mailboxes(parsed.from())
            .into_iter()
            .next()
            .unwrap_or_default(),
        to,
        cc,
        bcc,
        reply_to: mailboxes(parsed.reply_to()),
        attachments: parsed.attachments().map(attachment).collect(),
    }
}

fn attachment(part: &MessagePart<'_>) -> SentAttachment {
    let content_type = match part.content_type() {
        Some(kind) => match kind.subtype() {
            Some(subtype) => format!("{}/{subtype}", kind.ctype()),
            None => kind.ctype().to_owned(),
        },
        None => "text/plain".to_owned(),
    };
    SentAttachment {
        // It is not known how Postmark names an attachment without a filename.
        name: part.attachment_name().unwrap_or("attachment").to_owned(),
        content: part.contents().to_vec().into(),
        content_type,
        content_id: part.content_id().map(str::to_owned),
    }
}

fn attachment_json(attachment: &SentAttachment) -> Value {
    let mut json = json!({
        "Name": attachment.name,
        "Content": STANDARD.encode(&attachment.content),
        "ContentType": attachment.content_type,
    });
    if let Some(id) = &attachment.content_id {
        set(&mut json, "ContentID", format!("cid:{id}"));
    }
    json
}

const METADATA: &str = "x-pm-metadata-";

/// Sorts the header fields into Postmark's commands, fields of the API, and custom headers.
fn read_headers(parsed: &Message<'_>, json: &mut Value) {
    let mut own = Vec::new();
    let mut metadata = Map::new();
    let keeps_id = parsed.headers().iter().any(|header| {
        header.name().eq_ignore_ascii_case("X-PM-KeepID")
            && text(parsed, header).eq_ignore_ascii_case("true")
    });
    for header in parsed.headers() {
        let name = header.name();
        let value = text(parsed, header);
        match name.to_ascii_lowercase().as_str() {
            "x-pm-tag" => set(json, "Tag", value),
            "x-pm-message-stream" => set(json, "MessageStream", value),
            "x-pm-trackopens" => set(json, "TrackOpens", value.eq_ignore_ascii_case("true")),
            "x-pm-tracklinks" => set(json, "TrackLinks", value),
            lower if lower.starts_with(METADATA) => {
                let key = name.get(METADATA.len()..).unwrap_or_default();
                metadata.insert(free_key(&metadata, key), value.into());
            }
            // This header is handled as in an API call, where it is one of the headers.
            "x-pm-bounce-type" => own.push(json!({"Name": name, "Value": value})),
            "message-id" if keeps_id => own.push(json!({"Name": name, "Value": value})),
            lower if lower.starts_with("x-pm-") || has_a_field(lower) => {}
            _ => own.push(json!({"Name": name, "Value": value})),
        }
    }
    if !own.is_empty() {
        set(json, "Headers", own);
    }
    if !metadata.is_empty() {
        set(json, "Metadata", metadata);
    }
}

/// Whether the message has another field for this header, or Postmark replaces it.
fn has_a_field(lower: &str) -> bool {
    const FIELDS: [&str; 11] = [
        "from",
        "to",
        "cc",
        "bcc",
        "reply-to",
        "subject",
        "date",
        "message-id",
        "mime-version",
        "return-path",
        "received",
    ];
    FIELDS.contains(&lower) || lower.starts_with("content-")
}

/// Returns the key, or the key with the lowest number that makes it unique.
fn free_key(metadata: &Map<String, Value>, key: &str) -> String {
    let taken = |key: &str| metadata.keys().any(|known| known.eq_ignore_ascii_case(key));
    let mut numbered = (1..).map(|number: u32| format!("{key}{number}"));
    match taken(key) {
        false => key.to_owned(),
        true => numbered.find(|key| !taken(key)).unwrap_or_default(),
    }
}

/// Returns a header's value, decoded and on one line.
fn text(parsed: &Message<'_>, header: &Header<'_>) -> String {
    let raw = || {
        let bytes = parsed.raw_message.get(range(header)).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    };
    let value = match header.value.as_text() {
        Some(text) => text.to_owned(),
        None => raw(),
    };
    let lines: Vec<_> = value.lines().map(str::trim).collect();
    lines.join(" ").trim().to_owned()
}

fn range(header: &Header<'_>) -> std::ops::Range<usize> {
    let at = |offset: u32| usize::try_from(offset).unwrap_or(usize::MAX);
    at(header.offset_start)..at(header.offset_end)
}

/// Returns the outgoing message: with Postmark's IDs and without its commands.
pub(super) fn as_delivered(raw: &[u8], id: &str) -> String {
    let text = String::from_utf8_lossy(raw);
    let fields = || {
        let lines = text.split_inclusive('\n');
        lines.take_while(|line| !line.trim_end_matches(['\r', '\n']).is_empty())
    };
    let keeps_id = fields().any(|line| {
        let line = line.to_ascii_lowercase();
        let value = line.strip_prefix("x-pm-keepid:").unwrap_or_default();
        value.trim() == "true"
    });
    let mut header = format!("X-PM-Message-Id: {id}\r\n");
    if !keeps_id {
        header += &format!("Message-ID: <{id}@mtasv.net>\r\n");
    }
    let mut read = 0;
    let mut goes_out = true;
    for line in fields() {
        read += line.len();
        if !line.starts_with([' ', '\t']) {
            let name = line.split(':').next().unwrap_or_default();
            goes_out = match name.trim().to_ascii_lowercase().as_str() {
                "x-pm-tag" => true,
                "message-id" => keeps_id,
                "bcc" => false,
                name => !name.starts_with("x-pm-"),
            };
        }
        if goes_out {
            header += line;
        }
    }
    header + text.get(read..).unwrap_or_default()
}
