//! What a response means for a message's status, for each recipient.
//!
//! `response.rs` reads responses.

use anymail_core::{Accepted, Address, AddressKey, SendError, SendStatus, Status, StatusDetail};

use super::payload::Row;
use super::response::{Outcome, RefusedFor};

/// Records a row's result in the message's status.
///
/// Copies belong to every row of a batch: a copy's recipient counts as sent if any row was, and as
/// unknown if any row may have been.
pub(super) fn settle(status: &mut SendStatus, row: &Row<'_>, outcome: &Outcome<'_>) {
    for recipient in row.recipients() {
        let Some(entry) = status.recipient_mut(recipient) else {
            continue;
        };
        let (new, id, words) = judge(outcome, recipient, row.id.as_deref());
        let weighs_more = match entry.status {
            before if is_taken(before) => !is_taken(new),
            // With a detail, it is the status of a row; without, no row has been settled yet.
            Status::Unknown => entry.detail.is_some() && !new.may_be_accepted(),
            _ => false,
        };
        if weighs_more {
            continue;
        }
        let code = match outcome {
            Outcome::Refused { code, .. } if *code != 0 => Some(code.to_string()),
            _ => None,
        };
        entry.status = new;
        entry.message_id = id.map(str::to_owned);
        entry.detail = words.map(|words| StatusDetail::new(code, words));
    }
}

fn is_taken(status: Status) -> bool {
    matches!(status, Status::Sent | Status::Queued)
}

/// The status, message ID and detail of one recipient.
fn judge<'a>(
    outcome: &'a Outcome<'_>,
    recipient: &Address,
    own_id: Option<&'a str>,
) -> (Status, Option<&'a str>, Option<&'a str>) {
    let in_list = |keys: &[AddressKey]| !keys.is_empty() && keys.contains(&recipient.key());
    match outcome {
        Outcome::Accepted {
            inactive, words, ..
        } if in_list(inactive) => (Status::Rejected, None, Some(words)),
        Outcome::Accepted {
            message_id, queued, ..
        } => {
            let status = if *queued {
                Status::Queued
            } else {
                Status::Sent
            };
            (status, Some(own_id.unwrap_or(message_id)), None)
        }
        Outcome::Refused {
            words, recipients, ..
        } => {
            let status = match recipients {
                RefusedFor::Invalid(keys) if in_list(keys) => Status::Invalid,
                RefusedFor::Inactive(keys) if keys.is_empty() || in_list(keys) => Status::Rejected,
                _ => Status::Failed,
            };
            (status, None, Some(words))
        }
        Outcome::Unclear(why) => (Status::Unknown, own_id, Some(why)),
    }
}

/// Records, for a row of a batch, that its whole call failed.
pub(super) fn settle_failed(status: &mut SendStatus, row: &Row<'_>, error: &SendError) {
    let words = error.to_string().into();
    let outcome = match error.accepted() {
        Accepted::Maybe => Outcome::Unclear(words),
        Accepted::No => Outcome::Refused {
            code: error
                .esp_code()
                .and_then(|code| code.parse().ok())
                .unwrap_or(0),
            words,
            recipients: RefusedFor::Nobody,
        },
    };
    settle(status, row, &outcome);
}
