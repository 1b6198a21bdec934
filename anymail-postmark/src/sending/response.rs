//! Reads Postmark's answers: what became of each row, and of each recipient in it.
//!
//! What a code means for a caller is `codes.rs`'s; which row of a call an answer's row is
//! about is decided here, too. Texts and shapes: the pages named in `payload.rs`, and real
//! answers quoted in issue threads of several clients.

use std::collections::HashSet;

use anymail_core::{
    Accepted, Address, AddressKey, SendError, SendErrorKind, SendStatus, Status, StatusDetail,
};
use serde_json::Value;

use super::client::Answer;
use super::payload::{Endpoint, Row};
use crate::backend::NAME;
use crate::codes::{self, INACTIVE_RECIPIENT, INVALID_EMAIL_REQUEST};

/// What Postmark says of one row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    /// It has taken the mail, but for these recipients.
    Accepted {
        message_id: String,
        queued: bool,
        inactive: HashSet<AddressKey>,
        words: String,
    },
    /// It has not.
    Refused {
        code: i64,
        words: String,
        recipients: RefusedFor,
    },
    /// It may have: what it says makes no sense.
    Unclear(String),
}

/// Whom a refusal is about.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum RefusedFor {
    /// No recipient in particular: the message, the account, the request.
    Nobody,
    /// Addresses that are not valid.
    Invalid(HashSet<AddressKey>),
    /// Addresses that Postmark does not send to; empty: all.
    Inactive(HashSet<AddressKey>),
}

/// A row of an answer: what it says, as it stood there, and the `To` that it names.
#[derive(Debug)]
pub(super) struct AnswerRow {
    pub(super) outcome: Outcome,
    pub(super) raw: Option<String>,
    to: HashSet<AddressKey>,
}

/// Reads the answer to a call of `rows`; gives what it says of each of them, in their order.
///
/// # Errors
/// What holds for every row of the call.
pub(super) fn read(
    endpoint: Endpoint,
    rows: &[Row<'_>],
    answer: &Answer,
) -> Result<Vec<AnswerRow>, SendError> {
    let text = &answer.text;
    let fail = |error: SendError| {
        Err(error
            .with_response(text.as_str())
            .with_retry_after(answer.retry_after))
    };
    let json = serde_json::from_str::<Value>(text);
    let single = matches!(endpoint, Endpoint::Email | Endpoint::WithTemplate);
    if answer.http_status != 200 {
        // A single message's recipients have their own words, where it is sure that none got it.
        let error = failure(answer);
        return match json.as_ref().map(read_row) {
            Ok(outcome)
                if single
                    && error.accepted() == Accepted::No
                    && is_about_recipients(&outcome, rows) =>
            {
                Ok(vec![AnswerRow::new(outcome, text)])
            }
            _ => Err(error),
        };
    }
    let Ok(json) = json else {
        return fail(no_sense(unreadable(text)));
    };
    match (endpoint, &json) {
        (Endpoint::Bulk, Value::Object(_)) => match read_bulk(&json) {
            Ok(outcome) => {
                let mut text = Some(text.clone());
                let row = |_| AnswerRow {
                    outcome: outcome.clone(),
                    raw: text.take(),
                    to: HashSet::new(),
                };
                Ok(rows.iter().map(row).collect())
            }
            Err(error) => fail(error),
        },
        (Endpoint::Email | Endpoint::WithTemplate, Value::Object(_)) => match read_row(&json) {
            Outcome::Unclear(why) => fail(no_sense(why)),
            outcome @ Outcome::Refused { .. } if !is_about_recipients(&outcome, rows) => {
                fail(refusal(&outcome, answer.http_status))
            }
            outcome => Ok(vec![AnswerRow::new(outcome, text)]),
        },
        (Endpoint::Batch | Endpoint::BatchWithTemplates, Value::Array(answers)) => {
            Ok(assign(rows, answers))
        }
        // The whole call is refused, for once with a 200.
        (_, Value::Object(_)) => match read_row(&json) {
            outcome @ Outcome::Refused { .. } => fail(refusal(&outcome, answer.http_status)),
            _ => fail(no_sense(
                "it is not the list that a batch is answered by".into(),
            )),
        },
        _ => fail(no_sense(
            "it is JSON, but not of the shape of an answer".into(),
        )),
    }
}

/// The error that any answer but a 200 stands for: in Postmark's words, if it has any.
pub(super) fn failure(answer: &Answer) -> SendError {
    let (status, text) = (answer.http_status, answer.text.as_str());
    let error = match serde_json::from_str(text).as_ref().map(read_row) {
        Ok(Outcome::Refused { code, words, .. }) => codes::error(code, status, &words),
        _ => SendError::from_http_status(NAME, status).with_message(unreadable(text)),
    };
    error
        .with_response(text)
        .with_retry_after(answer.retry_after)
}

/// The error that a refusal of the whole message stands for.
pub(super) fn refusal(outcome: &Outcome, http_status: u16) -> SendError {
    match outcome {
        Outcome::Refused { code, words, .. } => codes::error(*code, http_status, words),
        Outcome::Unclear(why) => no_sense(why.clone()),
        Outcome::Accepted { words, .. } => no_sense(words.clone()),
    }
}

fn no_sense(why: String) -> SendError {
    SendError::new(SendErrorKind::InvalidResponse, NAME, why).with_http_status(200)
}

fn unreadable(body: &str) -> String {
    match body.len() {
        0 => "its answer is empty".to_owned(),
        n => format!("its answer of {n} bytes is not the JSON of an answer"),
    }
}

/// Whether a refusal is about recipients that are in these rows.
pub(super) fn is_about_recipients(outcome: &Outcome, rows: &[Row<'_>]) -> bool {
    let Outcome::Refused { recipients, .. } = outcome else {
        return false;
    };
    match recipients {
        RefusedFor::Nobody => false,
        RefusedFor::Inactive(keys) if keys.is_empty() => true,
        RefusedFor::Invalid(keys) | RefusedFor::Inactive(keys) => rows
            .iter()
            .flat_map(|row| row.recipients())
            .any(|address| keys.contains(&address.key())),
    }
}

impl AnswerRow {
    fn new(outcome: Outcome, raw: &str) -> Self {
        Self {
            outcome,
            raw: Some(raw.to_owned()),
            to: HashSet::new(),
        }
    }

    fn missing() -> Self {
        Self {
            outcome: Outcome::Unclear("its answer has no row for it".into()),
            raw: None,
            to: HashSet::new(),
        }
    }

    /// The addresses by which it can be told which row it is about.
    fn addresses(&self) -> &HashSet<AddressKey> {
        match &self.outcome {
            Outcome::Refused {
                recipients: RefusedFor::Invalid(keys) | RefusedFor::Inactive(keys),
                ..
            } => keys,
            _ => &self.to,
        }
    }
}

/// Finds out which of `rows` each answer is about. They come in order and one for each; where
/// an answer names addresses, these decide. What is left without an answer is unclear.
fn assign(rows: &[Row<'_>], answers: &[Value]) -> Vec<AnswerRow> {
    let mut answers: Vec<_> = answers
        .iter()
        .map(|row| Some(read_batch_row(row)))
        .collect();
    let keys: Vec<HashSet<_>> = rows
        .iter()
        .map(|row| row.to.iter().map(Address::key).collect())
        .collect();
    let mut found: Vec<Option<AnswerRow>> = Vec::new();
    found.resize_with(rows.len(), || None);

    // Those in their own place, as they should be.
    let names =
        |answer: &AnswerRow, keys: &HashSet<AddressKey>| !answer.addresses().is_disjoint(keys);
    for ((slot, answer), keys) in found.iter_mut().zip(&mut answers).zip(&keys) {
        if answer.as_ref().is_some_and(|it| names(it, keys)) {
            *slot = answer.take();
        }
    }
    // Those that name a recipient of another row.
    let mut in_order = answers.len() == rows.len();
    for answer in &mut answers {
        let Some(named) = answer.as_ref().filter(|it| !it.addresses().is_empty()) else {
            continue;
        };
        let mut free = found.iter_mut().zip(&keys);
        if let Some((slot, _)) = free.find(|(slot, keys)| slot.is_none() && names(named, keys)) {
            *slot = answer.take();
            in_order = false;
        }
    }
    // Those that name nobody, by their place; and where rows are missing or moved, by the
    // order of what is left, if that leaves no doubt.
    if in_order {
        for (slot, answer) in found.iter_mut().zip(&mut answers) {
            if slot.is_none() {
                *slot = answer.take();
            }
        }
    } else {
        let open = found.iter().filter(|slot| slot.is_none()).count();
        let left: Vec<_> = answers.into_iter().flatten().collect();
        let no_doubt = left.len() == open && (open == 1 || left.iter().all(is_refusal));
        if no_doubt {
            let slots = found.iter_mut().filter(|slot| slot.is_none());
            for (slot, answer) in slots.zip(left) {
                *slot = Some(answer);
            }
        }
    }
    found
        .into_iter()
        .map(|slot| slot.unwrap_or_else(AnswerRow::missing))
        .collect()
}

fn is_refusal(answer: &AnswerRow) -> bool {
    matches!(answer.outcome, Outcome::Refused { .. })
}

fn read_batch_row(json: &Value) -> AnswerRow {
    let to = json.get("To").and_then(Value::as_str).unwrap_or_default();
    let to = Address::parse_list(to).unwrap_or_default();
    AnswerRow {
        outcome: read_row(json),
        raw: Some(json.to_string()),
        to: to.iter().map(Address::key).collect(),
    }
}

/// Reads one message's answer.
fn read_row(json: &Value) -> Outcome {
    let text = |name| json.get(name).and_then(Value::as_str);
    let code = match json.get("ErrorCode") {
        None | Some(Value::Null) => None,
        Some(Value::String(digits)) => digits.trim().parse().ok(),
        Some(code) => code.as_i64(),
    };
    let Some(words) = text("Message") else {
        return Outcome::Unclear("it has no Message, as every answer has".into());
    };
    let words = words.to_owned();
    match (code, text("MessageID").filter(|id| !id.is_empty())) {
        // "Message accepted, but delivery may be delayed." comes without a code.
        (None | Some(0), Some(id)) => Outcome::Accepted {
            message_id: id.to_owned(),
            queued: code.is_none() || words.contains("delivery may be delayed"),
            inactive: inactive_addresses(&words),
            words,
        },
        (None | Some(0), None) => Outcome::Unclear("it is no refusal, but has no MessageID".into()),
        (Some(code), _) => Outcome::Refused {
            code,
            recipients: refused_for(code, &words),
            words,
        },
    }
}

fn read_bulk(json: &Value) -> Result<Outcome, SendError> {
    // "Id" by the page, "ID" by two clients.
    let id = json.get("ID").or_else(|| json.get("Id"));
    match id.and_then(Value::as_str) {
        Some(id) if !id.is_empty() => Ok(Outcome::Accepted {
            message_id: id.to_owned(),
            queued: true,
            inactive: HashSet::new(),
            words: String::new(),
        }),
        _ => match read_row(json) {
            outcome @ Outcome::Refused { .. } => Err(refusal(&outcome, 200)),
            _ => Err(no_sense("it has neither an ID nor an ErrorCode".into())),
        },
    }
}

fn refused_for(code: i64, words: &str) -> RefusedFor {
    match code {
        INACTIVE_RECIPIENT => RefusedFor::Inactive(inactive_addresses(words)),
        INVALID_EMAIL_REQUEST => match invalid_address(words) {
            Some(key) => RefusedFor::Invalid(HashSet::from([key])),
            None => RefusedFor::Nobody,
        },
        _ => RefusedFor::Nobody,
    }
}

/// The recipient that one of these is about:
/// `Invalid 'To' address: 'foo@bar'.`,
/// `Error parsing 'Cc': Illegal email domain 'bar' in address 'foo@bar'.`,
/// `Error parsing 'Bcc': Illegal email address 'foo'. It must contain the '@' symbol.`
fn invalid_address(words: &str) -> Option<AddressKey> {
    let mut quoted = words.split('\'').skip(1).step_by(2);
    let field = quoted.next()?;
    if !["To", "Cc", "Bcc"].contains(&field) {
        return None;
    }
    // A local part may hold a quote of its own, so take all between the marks.
    let start = words
        .rfind("address '")
        .or_else(|| words.rfind("address: '"))?;
    let address = words.get(start..)?.split_once('\'')?.1;
    let end = address.find("'.").or_else(|| address.rfind('\''))?;
    Some(AddressKey::of(address.get(..end)?))
}

/// The addresses behind "inactive addresses:", in the wordings of several years: with a full
/// stop and more words behind them, on lines of their own, or just to the end.
fn inactive_addresses(words: &str) -> HashSet<AddressKey> {
    const MARK: &str = "inactive addresses:";
    let Some(at) = words.find(MARK) else {
        return HashSet::new();
    };
    let list = words.get(at + MARK.len()..).unwrap_or_default();
    let end = list.find("Inactive recipients").unwrap_or(list.len());
    let list = list.get(..end).unwrap_or_default().trim();
    let list = list.strip_suffix('.').unwrap_or(list);
    list.split(',')
        .map(str::trim)
        .filter(|address| !address.is_empty())
        .map(AddressKey::of)
        .collect()
}

/// Writes what became of a row's recipients into the message's status.
///
/// Copies go with every row of a batch: a recipient of one counts as sent to if any row's was,
/// and as unknown if any row's may have been.
pub(super) fn settle(status: &mut SendStatus, row: &Row<'_>, outcome: &Outcome) {
    for key in row.recipients().map(Address::key) {
        let (new, id, words) = judge(outcome, &key, row.id.as_deref());
        let weighs_more = match status.by_key(&key) {
            Some(before) => match before.status {
                before if is_taken(before) => !is_taken(new),
                // With words it is a row's; without, nothing has been heard of any row yet.
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

/// One recipient's status, message id and the words that belong to it.
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

/// Writes what a call that failed as a whole means for a row of a batch.
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
