//! Which rules apply to which field, and in which order.
//!
//! `rules.rs` contains the rules and their error messages. The order is not documented: this one
//! checks addresses first and everything that depends on the server's state last.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::addresses;
use super::email::{AttachmentRequest, EmailRequest};
use super::message::{Mailbox, SentAttachment};
use super::rules::{self, ApiError};

/// The parsed values of a request's texts.
#[derive(Debug, Clone, Default)]
pub(super) struct Checked {
    pub(super) from: Mailbox,
    pub(super) to: Vec<Mailbox>,
    pub(super) cc: Vec<Mailbox>,
    pub(super) bcc: Vec<Mailbox>,
    pub(super) reply_to: Vec<Mailbox>,
    pub(super) attachments: Vec<SentAttachment>,
}

impl Checked {
    pub(super) fn recipients(&self) -> impl Iterator<Item = &Mailbox> {
        self.to.iter().chain(&self.cc).chain(&self.bcc)
    }
}

/// The field at fault, and the refusal.
pub(super) type Fault = (&'static str, ApiError);

/// Collects all faults, so that a bulk request can report them together.
#[derive(Debug, Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, field: &'static str, error: ApiError) {
        self.0.push((field, error));
    }

    /// Returns the value; on an error, records the fault and returns the default.
    fn keep<T: Default>(&mut self, field: &'static str, result: Result<T, ApiError>) -> T {
        result.unwrap_or_else(|error| {
            self.add(field, error);
            T::default()
        })
    }
}

/// Checks a message's own fields, except those of templates.
///
/// # Errors
/// Returns all faults, in the order in which they are checked.
pub(super) fn check(request: &EmailRequest, needs_body: bool) -> Result<Checked, Vec<Fault>> {
    let mut faults = Faults::default();
    let checked = check_addresses(request, &mut faults);
    if needs_body && is_blank(&request.text_body) && is_blank(&request.html_body) {
        faults.add("TextBody", rules::no_body());
    }
    check_lengths(request, &mut faults);
    check_headers(request, &mut faults);
    check_metadata(request, &mut faults);
    check_track_links(request, &mut faults);
    let attachments = check_attachments(&request.attachments, &mut faults);
    if faults.0.is_empty() {
        Ok(Checked {
            attachments,
            ..checked
        })
    } else {
        Err(faults.0)
    }
}

fn is_blank(text: &Option<String>) -> bool {
    text.as_deref().unwrap_or_default().is_empty()
}

fn check_addresses(request: &EmailRequest, faults: &mut Faults) -> Checked {
    let mut list = |field, shown, text: &Option<String>| {
        let text = text.as_deref().unwrap_or_default();
        faults.keep(field, addresses::parse_list(shown, text))
    };
    let from = list("From", "From", &request.from);
    let to = list("To", "To", &request.to);
    let cc = list("Cc", "Cc", &request.cc);
    let bcc = list("Bcc", "Bcc", &request.bcc);
    // The error says "Reply-To", but the field is "ReplyTo". LIVE
    let reply_to = list("ReplyTo", "Reply-To", &request.reply_to);
    let broken = !faults.0.is_empty();
    if is_blank(&request.from) {
        faults.add("From", rules::invalid_address("From", ""));
    }
    let recipients = to.len() + cc.len() + bcc.len();
    if recipients == 0 && !broken {
        faults.add("To", rules::zero_recipients());
    } else if recipients > rules::MAX_RECIPIENTS {
        faults.add("To", rules::too_many_recipients());
    }
    Checked {
        // With several addresses in From, the first was used in 2017. The current behavior is
        // unknown.
        from: from.into_iter().next().unwrap_or_default(),
        to,
        cc,
        bcc,
        reply_to,
        attachments: Vec::new(),
    }
}

fn check_lengths(request: &EmailRequest, faults: &mut Faults) {
    let utf16 = |text: &str| text.encode_utf16().count();
    let limits: [(&'static str, &Option<String>, usize, &str); 3] = [
        ("From", &request.from, rules::MAX_FROM, "255 characters"),
        (
            "Subject",
            &request.subject,
            rules::MAX_SUBJECT,
            "2000 characters",
        ),
        ("Tag", &request.tag, rules::MAX_TAG, "1000 characters"),
    ];
    for (field, text, limit, words) in limits {
        if text.as_deref().is_some_and(|text| utf16(text) > limit) {
            faults.add(field, rules::too_long(field, words));
        }
    }
    for (field, body) in [
        ("HtmlBody", &request.html_body),
        ("TextBody", &request.text_body),
    ] {
        if body
            .as_deref()
            .is_some_and(|body| body.len() > rules::MAX_BODY)
        {
            faults.add(field, rules::too_long(field, "5 MB"));
        }
    }
}

/// Postmark publishes no list of refused headers; only syntactically invalid headers are refused.
fn check_headers(request: &EmailRequest, faults: &mut Faults) {
    for (name, value) in &request.headers {
        let good_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic() && c != ':');
        if !good_name || value.contains(['\r', '\n', '\0']) {
            faults.add("Headers", rules::bad_header(name));
        }
    }
}

fn check_metadata(request: &EmailRequest, faults: &mut Faults) {
    if request.metadata.len() > rules::MAX_METADATA_FIELDS {
        faults.add("Metadata", rules::too_much_metadata());
    }
    for (i, (key, value)) in request.metadata.iter().enumerate() {
        let utf16 = |text: &str| text.encode_utf16().count();
        if utf16(key) > rules::MAX_METADATA_KEY || utf16(value) > rules::MAX_METADATA_VALUE {
            faults.add("Metadata", rules::metadata_too_long(key));
        }
        let mut before = request.metadata.iter().take(i);
        if before.any(|(other, _)| other.eq_ignore_ascii_case(key)) {
            faults.add("Metadata", rules::metadata_twice(key));
        }
    }
}

/// The code for an unknown link tracking mode is unknown; this one follows other values that cannot
/// be deserialized.
fn check_track_links(request: &EmailRequest, faults: &mut Faults) {
    let kind = request.track_links.as_deref();
    if kind.is_some_and(|kind| !rules::TRACK_LINKS.contains(&kind)) {
        faults.add("TrackLinks", rules::wrong_type("$.TrackLinks"));
    }
}

fn check_attachments(requests: &[AttachmentRequest], faults: &mut Faults) -> Vec<SentAttachment> {
    let mut attachments = Vec::with_capacity(requests.len());
    for request in requests {
        match check_attachment(request) {
            Ok(attachment) => attachments.push(attachment),
            Err(error) => faults.add("Attachments", error),
        }
    }
    attachments
}

fn check_attachment(request: &AttachmentRequest) -> Result<SentAttachment, ApiError> {
    let name = request.name.clone().unwrap_or_default();
    if request.name.is_none() {
        return Err(rules::bad_attachment(&name, "It has no 'Name'."));
    }
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let forbidden = |wrong: &&str| wrong.eq_ignore_ascii_case(extension);
    if rules::FORBIDDEN_EXTENSIONS.iter().any(forbidden) {
        return Err(rules::forbidden_attachment());
    }
    let Some(content) = &request.content else {
        return Err(rules::bad_attachment(&name, "It has no 'Content'."));
    };
    let Some(content) = decode_base64(content) else {
        return Err(rules::bad_attachment(&name, "Its 'Content' is not Base64."));
    };
    let content_id = request.content_id.as_deref().filter(|id| !id.is_empty());
    let content_id = content_id.map(|id| id.strip_prefix("cid:").unwrap_or(id).to_owned());
    let content_type = request
        .content_type
        .clone()
        .unwrap_or_else(|| "application/octet-stream".to_owned());
    Ok(SentAttachment {
        name,
        content: content.into(),
        content_type,
        content_id,
    })
}

/// Standard Base64. Line breaks are allowed, because the official Ruby client sends them.
pub(super) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    if !text.contains(|c: char| c.is_ascii_whitespace()) {
        return STANDARD.decode(text).ok();
    }
    let dense: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(dense).ok()
}
