//! Looks up a message by its generated ID.
//!
//! The IDs are given in `batch.rs`. The search:
//! <https://postmarkapp.com/developer/api/messages-api>, read in 2026-09.

use anymail_core::{Accepted, SendError, SendErrorKind};
use serde_json::Value;

use super::check;
use super::client::{Answer, Client};
use super::response;
use crate::config::NAME;
use crate::options::ANYMAIL_ID;

/// Returns Postmark's own ID for the message if the search finds it.
///
/// # Errors
/// Why there is no result from Postmark. Nothing is sent, so it is always safe to search again.
pub(super) async fn find_sent(
    client: &Client,
    id: &str,
    stream: Option<&str>,
) -> Result<Option<String>, SendError> {
    let filter = format!("metadata_{ANYMAIL_ID}");
    let mut query = vec![("count", "1"), ("offset", "0"), (filter.as_str(), id)];
    // It is uncertain which streams are searched without it: all, or only `outbound`.
    query.extend(stream.map(|stream| ("messagestream", stream)));
    let answer = client.get("messages/outbound", &query).await;
    let found = answer.and_then(|answer| read(&answer, id));
    found.map_err(|error| error.with_accepted(Accepted::No))
}

fn read(answer: &Answer, id: &str) -> Result<Option<String>, SendError> {
    if answer.http_status != 200 {
        return Err(response::failure(answer));
    }
    let no_sense = |why| {
        let error = SendError::new(SendErrorKind::InvalidResponse, NAME, why);
        let error = error.with_http_status(answer.http_status);
        Err(error.with_response(answer.text.as_str()))
    };
    let json = serde_json::from_str::<Value>(&answer.text).unwrap_or_default();
    let Some(messages) = json.get("Messages").and_then(Value::as_array) else {
        return no_sense("expected a list of messages");
    };
    let Some(message) = messages.first() else {
        return Ok(None);
    };
    // A search that ignored the filter would return any message.
    let bears_it = message
        .get("Metadata")
        .and_then(Value::as_object)
        .and_then(|metadata| check::get(metadata, ANYMAIL_ID))
        .is_some_and(|found| found.as_str() == Some(id));
    match message.get("MessageID").and_then(Value::as_str) {
        Some(found) if bears_it => Ok(Some(found.to_owned())),
        _ => no_sense("the message found has a different id"),
    }
}
