//! What a response means for a message's status, for each recipient.
//!
//! `response.rs` reads responses.

use anymail_core::{Accepted, Address, AddressKey, SendError, SendStatus, Status, StatusDetail};

use super::payload::Row;
use super::response::{Outcome, RefusedFor};

/// Records a row's answer in the message's status.
///
/// Copies belong to every row of a batch: a copy's recipient counts as sent if any row was, and as
/// unknown if any row may have been.
pub(super) fn settle(status: &mut SendStatus, row: &Row<'_>, outcome: &Outcome) {
    for key in row.recipients().map(Address::key) {
        let (new, id, words) = judge(outcome, &key, row.id.as_deref());
        let weighs_more = match status.by_key(&key) {
            Some(before) => match before.status {
                before if is_taken(before) => !is_taken(new),
                // With a detail, it is the status of a row; without, no row has been settled yet.
                Status::Unknown => before.detail.is_some() && !new.may_be_accepted(),
                _ => false,
            },
            None => false,
        };
        if weighs_more {
            continue;
        }
        let code = match outcome {
            Outcome::Refused { code, .. } if *code != 0 => Some(code.to_string()),
            _ => None,
        };
        let detail = words.map(|words| StatusDetail::new(code, words));
        status.set(&key, new, id, detail);
    }
}

fn is_taken(status: Status) -> bool {
    matches!(status, Status::Sent | Status::Queued)
}

/// The status, message ID and detail of one recipient.
fn judge(
    outcome: &Outcome,
    key: &AddressKey,
    own_id: Option<&str>,
) -> (Status, Option<String>, Option<String>) {
    match outcome {
        Outcome::Accepted {
            inactive, words, ..
        } if inactive.contains(key) => (Status::Rejected, None, Some(words.clone())),
        Outcome::Accepted {
            message_id, queued, ..
        } => {
            let status = if *queued {
                Status::Queued
            } else {
                Status::Sent
            };
            let id = own_id.unwrap_or(message_id).to_owned();
            (status, Some(id), None)
        }
        Outcome::Refused {
            words, recipients, ..
        } => {
            let status = match recipients {
                RefusedFor::Invalid(keys) if keys.contains(key) => Status::Invalid,
                RefusedFor::Inactive(keys) if keys.is_empty() || keys.contains(key) => {
                    Status::Rejected
                }
                _ => Status::Failed,
            };
            (status, None, Some(words.clone()))
        }
        Outcome::Unclear(why) => (
            Status::Unknown,
            own_id.map(str::to_owned),
            Some(why.clone()),
        ),
    }
}

/// Records, for a row of a batch, that its whole call failed.
pub(super) fn settle_failed(status: &mut SendStatus, row: &Row<'_>, error: &SendError) {
    let outcome = match error.accepted() {
        Accepted::Maybe => Outcome::Unclear(error.to_string()),
        Accepted::No => Outcome::Refused {
            code: error
                .esp_code()
                .and_then(|code| code.parse().ok())
                .unwrap_or(0),
            words: error.to_string(),
            recipients: RefusedFor::Nobody,
        },
    };
    settle(status, row, &outcome);
}
