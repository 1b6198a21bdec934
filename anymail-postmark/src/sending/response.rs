//! Reads Postmark's responses: the result of each row and of each recipient in it.
//!
//! `codes.rs` interprets error codes, and `settle.rs` updates statuses. This file also decides
//! which row of a call a row of the response is about. Texts and shapes are from the pages named in
//! `payload.rs`, and from real responses quoted in issues of several clients.

use std::borrow::Cow;

use anymail_core::{Accepted, Address, AddressKey, SendError, SendErrorKind};

use super::answer::{Item, Json, Members};
use super::client::Answer;
use super::payload::{Endpoint, Row};
use crate::codes::{self, INACTIVE_RECIPIENT, INVALID_EMAIL_REQUEST};
use crate::config::NAME;

/// Postmark's result for one row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome<'a> {
    /// Postmark accepted the message, except for these recipients.
    Accepted {
        message_id: Cow<'a, str>,
        queued: bool,
        inactive: Vec<AddressKey>,
        words: Cow<'a, str>,
    },
    /// Postmark refused the message.
    Refused {
        code: i64,
        words: Cow<'a, str>,
        recipients: RefusedFor,
    },
    /// Postmark may have accepted it: the response is invalid.
    Unclear(Cow<'a, str>),
}

/// The recipients that a refusal is about.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum RefusedFor {
    /// No recipient in particular, but the message, the account, or the request.
    Nobody,
    /// Invalid addresses.
    Invalid(Vec<AddressKey>),
    /// Addresses that Postmark does not send to; empty means all.
    Inactive(Vec<AddressKey>),
}

/// A row of a response: its meaning, and its text.
#[derive(Debug)]
pub(super) struct AnswerRow<'a> {
    pub(super) outcome: Outcome<'a>,
    pub(super) raw: Option<&'a str>,
}

/// Reads the response to a call of `rows`. Returns the result of each of them, in order.
///
/// # Errors
/// An error that applies to every row of the call.
pub(super) fn read<'a>(
    endpoint: Endpoint,
    rows: &[Row<'_>],
    answer: &'a Answer,
) -> Result<Vec<AnswerRow<'a>>, SendError> {
    let text = answer.text.as_str();
    let fail = |error: SendError| {
        Err(error
            .with_response(text)
            .with_retry_after(answer.retry_after))
    };
    let json = Json::read(text);
    let single = matches!(endpoint, Endpoint::Email | Endpoint::WithTemplate);
    if answer.http_status != 200 {
        // Recipients of a single message have their own details, if it is certain that none got it.
        let error = failure(answer);
        return match json.map(|json| read_row(json.members())) {
            Some(outcome)
                if single
                    && error.accepted() == Accepted::No
                    && is_about_recipients(&outcome, rows) =>
            {
                Ok(vec![AnswerRow::new(outcome, text)])
            }
            _ => Err(error),
        };
    }
    let Some(json) = json else {
        return fail(no_sense(unreadable(text)));
    };
    match (endpoint, json) {
        (Endpoint::Bulk, Json::Object(answer)) => match read_bulk(answer) {
            Ok(outcome) => {
                let mut text = Some(text);
                let row = |_| AnswerRow {
                    outcome: outcome.clone(),
                    raw: text.take(),
                };
                Ok(rows.iter().map(row).collect())
            }
            Err(error) => fail(error),
        },
        (Endpoint::Email | Endpoint::WithTemplate, Json::Object(row)) => match read_row(row) {
            Outcome::Unclear(why) => fail(no_sense(why.into_owned())),
            outcome @ Outcome::Refused { .. } if !is_about_recipients(&outcome, rows) => {
                fail(refusal(&outcome, answer.http_status))
            }
            outcome => Ok(vec![AnswerRow::new(outcome, text)]),
        },
        (Endpoint::Batch | Endpoint::BatchWithTemplates, Json::List(answers)) => {
            Ok(assign(rows, answers))
        }
        // The whole call is refused, in this case with a 200.
        (_, Json::Object(whole)) => match read_row(whole) {
            outcome @ Outcome::Refused { .. } => fail(refusal(&outcome, answer.http_status)),
            _ => fail(no_sense(
                "expected a list with a row for each message".into(),
            )),
        },
        _ => fail(no_sense("the JSON is not a Postmark response".into())),
    }
}

/// The error for any response other than a 200, with Postmark's own message if there is one.
pub(crate) fn failure(answer: &Answer) -> SendError {
    let (status, text) = (answer.http_status, answer.text.as_str());
    let error = match Json::read(text).map(|json| read_row(json.members())) {
        Some(Outcome::Refused { code, words, .. }) => codes::error(code, status, &words),
        _ => SendError::from_http_status(NAME, status).with_message(unreadable(text)),
    };
    error
        .with_response(text)
        .with_retry_after(answer.retry_after)
}

/// The error for a refusal of the whole message.
pub(super) fn refusal(outcome: &Outcome<'_>, http_status: u16) -> SendError {
    match outcome {
        Outcome::Refused { code, words, .. } => codes::error(*code, http_status, words),
        Outcome::Unclear(why) => no_sense(why.clone().into_owned()),
        Outcome::Accepted { words, .. } => no_sense(words.clone().into_owned()),
    }
}

fn no_sense(why: String) -> SendError {
    SendError::new(SendErrorKind::InvalidResponse, NAME, why).with_http_status(200)
}

fn unreadable(body: &str) -> String {
    match body.len() {
        0 => "the body is empty".to_owned(),
        n => format!("the body of {n} bytes is not a JSON response of Postmark"),
    }
}

/// Whether a refusal is about recipients in these rows.
pub(super) fn is_about_recipients(outcome: &Outcome<'_>, rows: &[Row<'_>]) -> bool {
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

impl<'a> AnswerRow<'a> {
    fn new(outcome: Outcome<'a>, raw: &'a str) -> Self {
        Self {
            outcome,
            raw: Some(raw),
        }
    }

    fn missing() -> Self {
        Self {
            outcome: Outcome::Unclear("the response has no row for the message".into()),
            raw: None,
        }
    }
}

/// A row of a response before it is known which row of the call it is about.
struct Candidate<'a> {
    answer: AnswerRow<'a>,
    /// The `To` that it names. A refusal names none.
    to: Cow<'a, str>,
}

impl<'a> Candidate<'a> {
    fn read(mut item: Item<'a>) -> Self {
        let to = std::mem::take(&mut item.members.to).text();
        Self {
            answer: AnswerRow::new(read_row(item.members), item.text),
            to: to.unwrap_or_default(),
        }
    }

    /// Whether it repeats exactly the `To` of this row, as it normally does.
    fn echoes(&self, row: &Row<'_>) -> bool {
        match row.to {
            [to] if to.name().is_none() && to.email() == self.to => true,
            [to] => to.to_ascii() == self.to,
            _ => false,
        }
    }

    /// The addresses that identify the row it is about.
    fn addresses(&self) -> Cow<'_, [AddressKey]> {
        match &self.answer.outcome {
            Outcome::Refused {
                recipients: RefusedFor::Invalid(keys) | RefusedFor::Inactive(keys),
                ..
            } => Cow::Borrowed(keys),
            _ => {
                let to = Address::parse_list(&self.to).unwrap_or_default();
                Cow::Owned(to.iter().map(Address::key).collect())
            }
        }
    }
}

/// Finds out which row each result is about. They normally come in order, one for each row. If a
/// result names addresses, these decide. Rows without a result are unclear.
fn assign<'a>(rows: &[Row<'_>], answers: Vec<Item<'a>>) -> Vec<AnswerRow<'a>> {
    let mut answers: Vec<_> = answers
        .into_iter()
        .map(|item| Some(Candidate::read(item)))
        .collect();
    let mut found: Vec<Option<AnswerRow<'_>>> = Vec::new();
    found.resize_with(rows.len(), || None);
    let take = |answer: &mut Option<Candidate<'a>>| answer.take().map(|it| it.answer);
    let names = |keys: &[AddressKey], row: &Row<'_>| {
        !keys.is_empty() && row.to.iter().any(|to| keys.contains(&to.key()))
    };

    // Those in their expected place.
    for ((slot, answer), row) in found.iter_mut().zip(&mut answers).zip(rows) {
        if answer
            .as_ref()
            .is_some_and(|it| it.echoes(row) || names(&it.addresses(), row))
        {
            *slot = take(answer);
        }
    }
    // Those that name a recipient of another row.
    let mut in_order = answers.len() == rows.len();
    for answer in &mut answers {
        let Some(candidate) = answer else {
            continue;
        };
        let keys = candidate.addresses();
        let mut free = found.iter_mut().zip(rows);
        let wanted = free.find(|(slot, row)| slot.is_none() && names(&keys, row));
        if let Some((slot, _)) = wanted {
            drop(keys);
            *slot = take(answer);
            in_order = false;
        }
    }
    // Those that name nobody, by their place; and if rows are missing or moved, in the order of the
    // rest, if that is unambiguous.
    if in_order {
        for (slot, answer) in found.iter_mut().zip(&mut answers) {
            if slot.is_none() {
                *slot = take(answer);
            }
        }
    } else {
        let open = found.iter().filter(|slot| slot.is_none()).count();
        let left: Vec<_> = answers.into_iter().flatten().map(|it| it.answer).collect();
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

fn is_refusal(answer: &AnswerRow<'_>) -> bool {
    matches!(answer.outcome, Outcome::Refused { .. })
}

/// Reads the result of one message.
fn read_row(row: Members<'_>) -> Outcome<'_> {
    let code = row.error_code.number();
    let Some(words) = row.message.text() else {
        return Outcome::Unclear("the response has no Message".into());
    };
    let id = row.message_id.text().filter(|id| !id.is_empty());
    match (code, id) {
        // "Message accepted, but delivery may be delayed." comes without a code.
        (None | Some(0), Some(id)) => Outcome::Accepted {
            message_id: id,
            queued: code.is_none() || words.contains("delivery may be delayed"),
            inactive: inactive_addresses(&words),
            words,
        },
        (None | Some(0), None) => {
            Outcome::Unclear("the response has neither an ErrorCode nor a MessageID".into())
        }
        (Some(code), _) => Outcome::Refused {
            code,
            recipients: refused_for(code, &words),
            words,
        },
    }
}

fn read_bulk(mut answer: Members<'_>) -> Result<Outcome<'_>, SendError> {
    let [id, other] = [&mut answer.id_of_clients, &mut answer.id].map(std::mem::take);
    match id.text().or(other.text()) {
        Some(id) if !id.is_empty() => Ok(Outcome::Accepted {
            message_id: id,
            queued: true,
            inactive: Vec::new(),
            words: Cow::Borrowed(""),
        }),
        _ => match read_row(answer) {
            outcome @ Outcome::Refused { .. } => Err(refusal(&outcome, 200)),
            _ => Err(no_sense(
                "the response has neither an ID nor an ErrorCode".into(),
            )),
        },
    }
}

fn refused_for(code: i64, words: &str) -> RefusedFor {
    match code {
        INACTIVE_RECIPIENT => RefusedFor::Inactive(inactive_addresses(words)),
        INVALID_EMAIL_REQUEST => match invalid_address(words) {
            Some(key) => RefusedFor::Invalid(vec![key]),
            None => RefusedFor::Nobody,
        },
        _ => RefusedFor::Nobody,
    }
}

/// The recipient that one of these messages is about:
/// `Invalid 'To' address: 'foo@bar'.`,
/// `Error parsing 'Cc': Illegal email domain 'bar' in address 'foo@bar'.`,
/// `Error parsing 'Bcc': Illegal email address 'foo'. It must contain the '@' symbol.`
fn invalid_address(words: &str) -> Option<AddressKey> {
    let mut quoted = words.split('\'').skip(1).step_by(2);
    let field = quoted.next()?;
    if !["To", "Cc", "Bcc"].contains(&field) {
        return None;
    }
    // A local part may contain quotes, so take everything between the outer ones.
    let start = words
        .rfind("address '")
        .or_else(|| words.rfind("address: '"))?;
    let address = words.get(start..)?.split_once('\'')?.1;
    let end = address.find("'.").or_else(|| address.rfind('\''))?;
    Some(AddressKey::of(address.get(..end)?))
}

/// The addresses after "inactive addresses:", in the wordings of several years: followed by a full
/// stop and more text, on separate lines, or up to the end.
fn inactive_addresses(words: &str) -> Vec<AddressKey> {
    const MARK: &str = "inactive addresses:";
    // Nearly every message is "OK", for which `contains` returns immediately.
    let at = words.contains(MARK).then(|| words.find(MARK)).flatten();
    let Some(at) = at else {
        return Vec::new();
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
