//! What Postmark responds, with error messages that it was seen to use.

use anymail_core::{Address, Status};
use anymail_test_utils::conformance::{Recipient, Report};
use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};

pub(crate) fn response(status: u16, json: &Value) -> Response<Bytes> {
    let response = Response::builder().status(status);
    let response = response.header("content-type", "application/json; charset=utf-8");
    response.body(json.to_string().into()).unwrap_or_default()
}

/// The response to a batch is HTTP 200, whatever happens to its rows.
pub(crate) fn batch(reports: &[Report]) -> Option<Response<Bytes>> {
    let rows: Option<Vec<_>> = reports.iter().map(row).collect();
    Some(response(200, &rows?.into()))
}

pub(crate) fn single(reports: &[Report]) -> Option<Response<Bytes>> {
    let [report] = reports else { return None };
    let row = row(report)?;
    let accepted = row["ErrorCode"].as_i64().unwrap_or(0) == 0;
    Some(response(if accepted { 200 } else { 422 }, &row))
}

fn row(report: &Report) -> Option<Value> {
    let fares_so = |status| move |it: &&Recipient| it.status == status;
    let rejected = || report.recipients.iter().filter(fares_so(Status::Rejected));
    let others = || {
        report
            .recipients
            .iter()
            .filter(|it| it.status != Status::Rejected)
    };
    if others().next().is_none() {
        return Some(refusal(
            406,
            &format!(
                "You tried to send to recipient(s) that have been marked as inactive. Found inactive \
             addresses: {}. Inactive recipients are ones that have generated a hard bounce, a spam \
             complaint, or a manual suppression.",
                list(rejected())
            ),
        ));
    }
    match others().next()?.status {
        status if others().any(|it| it.status != status) => None,
        Status::Sent if rejected().next().is_none() => Some(accepted(report, "OK")),
        Status::Sent => Some(accepted(
            report,
            &format!(
                "Message OK, but will not deliver to these inactive addresses: {}. Inactive recipients \
             are ones that have generated a hard bounce or a spam complaint.",
                list(rejected())
            ),
        )),
        _ if rejected().next().is_some() => None,
        Status::Queued => {
            let mut row = accepted(report, "Message accepted, but delivery may be delayed.");
            row.as_object_mut()?.shift_remove("ErrorCode");
            Some(row)
        }
        Status::Invalid => match &*report.recipients {
            // It names only the first recipient that it refuses.
            [only] => Some(refusal(
                300,
                &format!(
                    "Error parsing '{}': Illegal email domain '{}' in address '{}'.",
                    field(report),
                    only.address.ascii_domain(),
                    only.address.ascii_email()
                ),
            )),
            _ => None,
        },
        Status::Failed => Some(refusal(400, &report.error_message)),
        _ => None,
    }
}

/// The field that contains the message's only recipient.
fn field(report: &Report) -> &'static str {
    match (&*report.message.to, &*report.message.cc) {
        ([], []) => "Bcc",
        ([], _) => "Cc",
        _ => "To",
    }
}

fn refusal(code: i64, words: &str) -> Value {
    json!({"ErrorCode": code, "Message": words})
}

fn accepted(report: &Report, words: &str) -> Value {
    let mut row = json!({
        "ErrorCode": 0,
        "Message": words,
        "MessageID": report.id,
        "SubmittedAt": "2026-09-30T16:03:52.7892753Z",
    });
    // Display names are returned as sent; without a To, the response contains none.
    if !report.message.to.is_empty() {
        let to: Vec<_> = report.message.to.iter().map(Address::to_ascii).collect();
        row["To"] = to.join(", ").into();
    }
    row
}

/// Addresses without names in lower case, as in Postmark's error messages.
fn list<'a>(recipients: impl Iterator<Item = &'a Recipient>) -> String {
    let emails: Vec<_> = recipients
        .map(|it| it.address.key().as_str().to_owned())
        .collect();
    emails.join(", ")
}
