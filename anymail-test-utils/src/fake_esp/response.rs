//! Turns the fictional ESP's response into a status or an error.
//!
//! `client.rs` handles calls that got no response.

use anymail_core::{
    AddressKey, PreparedMessage, SendError, SendErrorKind, SendStatus, Status, StatusDetail,
};
use serde_json::Value;

use super::client::Answer;
use super::{NAME, text};

pub(super) fn read(answer: &Answer, message: &PreparedMessage) -> Result<SendStatus, SendError> {
    let json = serde_json::from_str::<Value>(&answer.text).unwrap_or_default();
    if answer.http_status != 202 {
        let mut error = SendError::from_http_status(NAME, answer.http_status)
            .with_retry_after(answer.retry_after)
            .with_response(answer.text.clone());
        if let Some(words) = json.pointer("/error/says").and_then(Value::as_str) {
            error = error.with_message(words);
        }
        return Err(match json.pointer("/error/code").and_then(Value::as_str) {
            // Only the ESP uses these codes; a proxy's body has none.
            Some(code) => error.with_esp_code(code).said_by_esp(),
            None => error,
        });
    }
    let mut status = SendStatus::unknown(NAME, message.message());
    status.esp_responses.push(answer.text.clone());
    let (id, rows) = (text(&json, "id"), json.get("recipients"));
    let Some(rows) = rows.and_then(Value::as_array).filter(|_| !id.is_empty()) else {
        let words = "the response contains no id or no recipients";
        return Err(SendError::new(SendErrorKind::InvalidResponse, NAME, words)
            .with_http_status(answer.http_status)
            .with_response(answer.text.clone()));
    };
    for row in rows {
        let key = AddressKey::of(text(row, "email"));
        let said = text(row, "state");
        let (outcome, id) = match said {
            "accepted" => (Status::Queued, Some(id.to_owned())),
            "blocked" => (Status::Rejected, None),
            "malformed" => (Status::Invalid, None),
            _ => (Status::Unknown, None),
        };
        // Ignore recipients that the message does not have.
        status.set(&key, outcome, id, Some(StatusDetail::new(None, said)));
    }
    Ok(status)
}
