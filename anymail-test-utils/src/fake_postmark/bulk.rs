//! The `email/bulk` endpoints: one content for many recipients; all messages are accepted or none.
//!
//! A request is completed as soon as it is accepted, but its first response says that it has only
//! begun.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::api::{Call, Paging};
use super::check::{Checked, Fault, check};
use super::email::EmailRequest;
use super::fields::{Fields, set};
use super::rules::{self, ApiError};
use super::sending::{Content, check_sender, inactive, message};
use super::state::{Fake, State, new_id, now};
use super::streams::StreamKind;
use super::templates::Parts;

/// The result of a bulk request.
#[derive(Debug, Clone)]
pub(super) struct BulkRequest {
    id: String,
    submitted_at: String,
    subject: Option<String>,
    released: usize,
    failed: usize,
}

impl BulkRequest {
    fn report(&self, done: bool) -> Value {
        let total = self.released + self.failed;
        let (released, failed) = match done {
            true => (self.released, self.failed),
            false => (0, 0),
        };
        // Two official clients read "ID" in the first response and "Id" in responses to the status
        // call; the documentation has "Id" in both.
        let id = if done { "Id" } else { "ID" };
        let mut report = json!({
            id: self.id,
            "SubmittedAt": self.submitted_at,
            "TotalMessages": total,
            "PercentageCompleted": if done { 100.0 } else { 0.0 },
            "Status": if done { "Completed" } else { "Accepted" },
            "ReleasedCount": released,
            "FailedCount": failed,
        });
        if let Some(subject) = &self.subject {
            set(&mut report, "Subject", subject.as_str());
        }
        report
    }
}

/// `POST email/bulk`
pub(super) fn send(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    approved(fake)?;
    let json = call.json()?;
    let fields = Fields::root(&json)?;
    let common = EmailRequest::read(&fields)?;
    let rows = fields.list("Messages")?;
    let rows: Result<Vec<_>, _> = rows.iter().map(EmailRequest::read).collect();
    let rows: Vec<_> = rows?
        .into_iter()
        .map(|row| with_common(row, &common))
        .collect();

    let mut faults = Vec::new();
    check_contents(&common, &mut faults);
    if rows.is_empty() {
        faults.push(("Messages", rules::zero_recipients()));
    }
    let mut checked = Vec::with_capacity(rows.len());
    for row in &rows {
        match check(row, false) {
            Ok(row) => checked.push(row),
            Err(found) => faults.extend(found),
        }
    }
    let mut state = fake.state();
    let stream = broadcast_stream(&state, common.stream.as_deref());
    let stream = stream.map_err(|error| faults.push(("MessageStream", error)));
    if let Some(Err(error)) = checked.first().map(|first| check_sender(fake, first)) {
        faults.push(("From", error));
    }
    let (true, Ok(stream)) = (faults.is_empty(), stream) else {
        return Err(refusal(faults));
    };

    let mut request = BulkRequest {
        id: new_id(),
        submitted_at: now(),
        subject: common.subject.clone(),
        released: 0,
        failed: 0,
    };
    let pairs = rows.into_iter().zip(checked);
    for (row, checked) in pairs {
        match release(&mut state, &request.id, &stream, row, checked)? {
            true => request.released += 1,
            false => request.failed += 1,
        }
    }
    let answer = request.report(false);
    let released = state.messages.len().saturating_sub(request.released);
    let released: Vec<_> = state.messages.iter().skip(released).cloned().collect();
    state.bulk.push(request);
    drop(state);
    fake.announce(&released);
    Ok(answer)
}

fn approved(fake: &Fake) -> Result<(), ApiError> {
    match fake.settings.bulk_approved {
        true => Ok(()),
        false => Err(rules::bulk_not_approved()),
    }
}

/// Merges a row with the common fields; the row's own fields take precedence.
fn with_common(row: EmailRequest, common: &EmailRequest) -> EmailRequest {
    let pick = |own: Vec<(String, String)>, shared: &[(String, String)]| {
        let unlike = |(key, _): &&(String, String)| {
            !own.iter().any(|(name, _)| name.eq_ignore_ascii_case(key))
        };
        let shared: Vec<_> = shared.iter().filter(unlike).cloned().collect();
        shared.into_iter().chain(own).collect()
    };
    EmailRequest {
        to: row.to,
        cc: row.cc,
        bcc: row.bcc,
        template_model: row.template_model,
        headers: pick(row.headers, &common.headers),
        metadata: pick(row.metadata, &common.metadata),
        raw: row.raw,
        ..common.clone()
    }
}

/// Checks that there is either a template or inline content.
fn check_contents(common: &EmailRequest, faults: &mut Vec<Fault>) {
    let template = common.template_id.is_some() || common.template_alias.is_some();
    let blank = |body: &Option<String>| body.as_deref().unwrap_or_default().is_empty();
    if template && common.has_content {
        faults.push(("TemplateId", rules::content_with_template()));
    } else if !template && blank(&common.text_body) && blank(&common.html_body) {
        faults.push(("TextBody", rules::no_body()));
    }
}

fn broadcast_stream(state: &State, wanted: Option<&str>) -> Result<String, ApiError> {
    let id = wanted.filter(|id| !id.is_empty()).unwrap_or("broadcast");
    // The code is 1226 here, but 1235 for `email`. DOC
    let stream = state.stream(id).ok_or_else(|| rules::no_such_stream(id))?;
    match stream.kind {
        StreamKind::Broadcasts => Ok(id.to_owned()),
        _ => Err(rules::stream_cannot_send()),
    }
}

/// A single fault has its own code; several are grouped by field. DOC
fn refusal(found: Vec<Fault>) -> ApiError {
    let mut faults: Vec<Fault> = Vec::new();
    for fault in found {
        if !faults.contains(&fault) {
            faults.push(fault); // a fault in a common field is reported once
        }
    }
    if let [(_, only)] = faults.as_slice() {
        return only.clone();
    }
    let mut by_field = Map::new();
    for (field, error) in &faults {
        let list = by_field.entry(*field).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(error.to_json());
        }
    }
    rules::several(Value::Object(by_field))
}

/// Sends one message of a bulk request and returns whether it was sent. Suppressed recipients and
/// templates that cannot be rendered count as failed. DOC
fn release(
    state: &mut State,
    bulk_id: &str,
    stream: &str,
    row: EmailRequest,
    checked: Checked,
) -> Result<bool, ApiError> {
    let inactive = inactive(state, stream, &checked);
    if checked.recipients().all(|r| inactive.contains(&r.key())) {
        return Ok(false);
    }
    let content = contents(state, &row)?;
    if content.render_error.is_some() {
        return Ok(false);
    }
    let stream = stream.to_owned();
    let mut message = message("email/bulk", row, checked, content, stream, inactive);
    message.bulk_id = Some(bulk_id.to_owned());
    state.keep(Arc::new(message));
    Ok(true)
}

fn contents(state: &State, row: &EmailRequest) -> Result<Content, ApiError> {
    let empty = json!({});
    let model = row.template_model.as_ref().unwrap_or(&empty);
    let (id, alias) = (row.template_id, row.template_alias.as_deref());
    if id.is_some() || alias.is_some() {
        return state.render(id, alias, model);
    }
    let parts = Parts {
        subject: row.subject.as_deref(),
        html_body: row.html_body.as_deref(),
        text_body: row.text_body.as_deref(),
    };
    Ok(parts.render(None, model, None))
}

/// `GET email/bulk/{id}`
pub(super) fn get(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    approved(fake)?;
    let state = fake.state();
    let same = |request: &&BulkRequest| request.id.eq_ignore_ascii_case(call.part(2));
    let found = state.bulk.iter().find(same);
    Ok(found.ok_or_else(rules::bulk_not_found)?.report(true))
}

/// `GET email/bulk`: newest first. The key of the next page is its offset.
pub(super) fn list(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    approved(fake)?;
    let state = fake.state();
    let start = match call.query("paginationKey") {
        None => 0,
        Some(key) => key.parse().map_err(|_| rules::bad_pagination_key())?,
    };
    let count = call.query("count").and_then(|count| count.parse().ok());
    let page = Paging {
        count: count.unwrap_or(rules::MAX_COUNT),
        offset: start,
    };
    let requests = page.page(state.bulk.iter().rev().map(|request| request.report(true)));
    let next = start.saturating_add(requests.len());
    let mut answer = json!({"Requests": requests});
    if next < state.bulk.len() {
        set(&mut answer, "PaginationKey", next.to_string());
    }
    Ok(answer)
}
