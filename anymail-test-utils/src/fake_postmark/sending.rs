//! The endpoints that send: from a request to the outbox and the response.
//!
//! `check.rs` decides what is refused; `bulk.rs` handles bulk requests.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::api::Call;
use super::check::{Checked, check};
use super::email::EmailRequest;
use super::fields::{Fields, set};
use super::message::SentMessage;
use super::rules::{self, ApiError};
use super::state::{Fake, State, new_id, now};
use super::streams::StreamKind;

/// The content that the recipients read.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    pub(super) subject: String,
    pub(super) text_body: Option<String>,
    pub(super) html_body: Option<String>,
    pub(super) template: Option<String>,
    pub(super) render_error: Option<String>,
}

/// `POST email`
pub(super) fn single(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let json = call.json()?;
    let request = EmailRequest::read(&Fields::root(&json)?)?;
    plain(fake, call, "email", request)
}

/// `POST email/batch`
pub(super) fn batch(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let json = call.json()?;
    let rows = read_batch(&Fields::rows(&json)?)?;
    Ok(each(rows, |row| plain(fake, call, "email/batch", row)))
}

/// `POST email/withTemplate`
pub(super) fn single_with_template(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let json = call.json()?;
    let fields = Fields::root(&json)?;
    if fields.is_empty() {
        return Err(rules::no_template_data());
    }
    let request = EmailRequest::read(&fields)?;
    templated(fake, call, "email/withTemplate", request)
}

/// `POST email/batchWithTemplates`
pub(super) fn batch_with_templates(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let json = call.json()?;
    let rows = read_batch(&Fields::root(&json)?.list("Messages")?)?;
    let endpoint = "email/batchWithTemplates";
    Ok(each(rows, |row| templated(fake, call, endpoint, row)))
}

/// A wrong type anywhere refuses the whole batch; this is inferred from how it is deserialized. An
/// empty batch gets an empty response, which is also not known.
fn read_batch(rows: &[Fields<'_>]) -> Result<Vec<EmailRequest>, ApiError> {
    if rows.len() > rules::MAX_BATCH {
        return Err(rules::batch_too_large());
    }
    rows.iter().map(EmailRequest::read).collect()
}

/// One result per row, in order; a refused row has only a code and a message. LIVE
fn each(rows: Vec<EmailRequest>, send: impl Fn(EmailRequest) -> Result<Value, ApiError>) -> Value {
    let answer = |row| send(row).unwrap_or_else(|error| error.to_json());
    rows.into_iter().map(answer).collect()
}

impl Content {
    /// Returns the content of a request without a template.
    pub(super) fn of(request: &EmailRequest) -> Self {
        let filled = |body: &Option<String>| body.clone().filter(|body| !body.is_empty());
        Self {
            subject: request.subject.clone().unwrap_or_default(),
            text_body: filled(&request.text_body),
            html_body: filled(&request.html_body),
            ..Self::default()
        }
    }
}

fn plain(
    fake: &Fake,
    call: &Call,
    endpoint: &'static str,
    request: EmailRequest,
) -> Result<Value, ApiError> {
    let checked = check(&request, true).map_err(first)?;
    let content = Content::of(&request);
    accept(fake, call, endpoint, request, checked, content)
}

fn templated(
    fake: &Fake,
    call: &Call,
    endpoint: &'static str,
    request: EmailRequest,
) -> Result<Value, ApiError> {
    if request.has_content {
        return Err(rules::content_with_template());
    }
    let (id, alias) = (request.template_id, request.template_alias.as_deref());
    if id.is_none() && alias.is_none_or(str::is_empty) {
        return Err(rules::unknown_template_id());
    }
    let model = request.template_model.as_ref();
    let model = model.ok_or_else(rules::no_model)?;
    let checked = check(&request, false).map_err(first)?;
    let content = match call.is_test {
        true => Content::default(), // templates are not looked up for the test token. DOC
        false => fake.state().render(id, alias, model)?,
    };
    accept(fake, call, endpoint, request, checked, content)
}

pub(super) fn first(faults: Vec<super::check::Fault>) -> ApiError {
    let fallback = || rules::wrong_type("$"); // `check` never returns an empty list
    faults
        .into_iter()
        .next()
        .map_or_else(fallback, |(_, error)| error)
}

/// Puts a valid message into the outbox, if this server may send it.
pub(super) fn accept(
    fake: &Fake,
    call: &Call,
    endpoint: &'static str,
    request: EmailRequest,
    checked: Checked,
    content: Content,
) -> Result<Value, ApiError> {
    let to = request.to.clone().filter(|to| !to.trim().is_empty());
    if call.is_test {
        // The test token belongs to no server, so there are no streams, senders or suppressions to
        // check.
        fake.state().test_jobs += 1;
        return Ok(accepted("Test job accepted", &new_id(), &now(), to));
    }
    let mut state = fake.state();
    let (stream, inactive) = approve(fake, &state, &request, &checked)?;
    let words = match inactive.is_empty() {
        true => "OK".to_owned(),
        false => rules::some_inactive(&inactive.join(", ")),
    };
    let message = message(endpoint, request, checked, content, stream, inactive);
    let answer = accepted(&words, &message.id, &message.submitted_at, to);
    let message = Arc::new(message);
    state.keep(Arc::clone(&message));
    drop(state);
    fake.announce(&[message]);
    Ok(answer)
}

/// Checks whether this server may send the message; returns its stream and the inactive recipients.
pub(super) fn approve(
    fake: &Fake,
    state: &State,
    request: &EmailRequest,
    checked: &Checked,
) -> Result<(String, Vec<String>), ApiError> {
    let stream = sending_stream(state, request.stream.as_deref())?;
    check_sender(fake, checked)?;
    let inactive = inactive(state, &stream, checked);
    let all = checked.recipients().all(|r| inactive.contains(&r.key()));
    match all {
        true => Err(rules::all_inactive(&inactive.join(", "))),
        false => Ok((stream, inactive)),
    }
}

/// The keys of newer responses are in alphabetical order. LIVE; the response for a message without
/// To has no "To". LIVE
fn accepted(words: &str, id: &str, at: &str, to: Option<String>) -> Value {
    let mut answer = json!({
        "ErrorCode": 0,
        "Message": words,
        "MessageID": id,
        "SubmittedAt": at,
    });
    if let Some(to) = to {
        set(&mut answer, "To", to);
    }
    answer
}

pub(super) fn message(
    endpoint: &'static str,
    request: EmailRequest,
    checked: Checked,
    content: Content,
    stream: String,
    inactive: Vec<String>,
) -> SentMessage {
    SentMessage {
        id: new_id(),
        submitted_at: now(),
        from: checked.from,
        to: checked.to,
        cc: checked.cc,
        bcc: checked.bcc,
        reply_to: checked.reply_to,
        subject: content.subject,
        text_body: content.text_body,
        html_body: content.html_body,
        headers: request.headers,
        attachments: checked.attachments,
        metadata: request.metadata.into_iter().collect(),
        tag: request.tag.filter(|tag| !tag.is_empty()),
        stream,
        track_opens: request.track_opens.unwrap_or(false),
        track_links: request.track_links.unwrap_or_else(|| "None".to_owned()),
        template: content.template,
        template_model: request.template_model,
        render_error: content.render_error,
        bulk_id: None,
        inactive,
        endpoint,
        request: request.raw,
        raw_mime: None,
        refusal: None,
        accepted_at: Instant::now(),
    }
}

fn sending_stream(state: &State, wanted: Option<&str>) -> Result<String, ApiError> {
    let id = wanted.filter(|id| !id.is_empty()).unwrap_or("outbound");
    let stream = state.stream(id).ok_or_else(|| rules::unknown_stream(id))?;
    match stream.kind {
        StreamKind::Inbound => Err(rules::stream_cannot_send()),
        StreamKind::Transactional | StreamKind::Broadcasts => Ok(id.to_owned()),
    }
}

pub(super) fn check_sender(fake: &Fake, checked: &Checked) -> Result<(), ApiError> {
    let from = &checked.from;
    let is_from = |sender: &String| {
        sender.eq_ignore_ascii_case(from.domain()) || sender.eq_ignore_ascii_case(&from.email)
    };
    let senders = fake.settings.senders.as_ref();
    if senders.is_some_and(|senders| !senders.iter().any(is_from)) {
        return Err(rules::sender_not_found(&from.email));
    }
    if fake.settings.pending_approval {
        let foreign = |domain: &&str| !domain.eq_ignore_ascii_case(from.domain());
        let mut domains = checked.recipients().map(super::message::Mailbox::domain);
        if let Some(domain) = domains.find(foreign) {
            return Err(rules::pending_approval(from.domain(), domain));
        }
    }
    Ok(())
}

/// Lists the suppressed recipients without names, in lower case, each once. LIVE
pub(super) fn inactive(state: &State, stream: &str, checked: &Checked) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for recipient in checked.recipients() {
        let key = recipient.key();
        if state.is_suppressed(stream, &key) && !found.contains(&key) {
            found.push(key);
        }
    }
    found
}
