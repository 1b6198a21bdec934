//! Message streams and their suppressions: the types and the `message-streams` endpoints.

use serde_json::{Value, json};

use super::addresses;
use super::api::{Call, Paging};
use super::fields::Fields;
use super::rules::{self, ApiError};
use super::state::{Fake, SERVER_ID, State, now};
use super::{events, payloads};

/// A message stream of the fake's server.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) kind: StreamKind,
    created_at: String,
}

/// The kind of messages in a message stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamKind {
    /// Messages to one recipient, triggered by that recipient's action.
    Transactional,
    /// Messages to many recipients.
    Broadcasts,
    /// Inbound messages. Nothing can be sent on such a stream.
    Inbound,
}

impl StreamKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Transactional => "Transactional",
            Self::Broadcasts => "Broadcasts",
            Self::Inbound => "Inbound",
        }
    }
}

impl Stream {
    pub(super) fn new(id: &str, name: &str, kind: StreamKind) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            kind,
            created_at: now(),
        }
    }

    /// The three that every new server has.
    pub(super) fn of_a_new_server() -> Vec<Self> {
        vec![
            Self::new(
                "outbound",
                "Default Transactional Stream",
                StreamKind::Transactional,
            ),
            Self::new("inbound", "Default Inbound Stream", StreamKind::Inbound),
            Self::new(
                "broadcast",
                "Default Broadcast Stream",
                StreamKind::Broadcasts,
            ),
        ]
    }

    fn to_json(&self) -> Value {
        let unsubscribes = match self.kind {
            StreamKind::Broadcasts => "Postmark",
            StreamKind::Transactional | StreamKind::Inbound => "None",
        };
        json!({
            "ID": self.id,
            "ServerID": SERVER_ID,
            "Name": self.name,
            "Description": "",
            "MessageStreamType": self.kind.as_str(),
            "CreatedAt": self.created_at,
            "UpdatedAt": null,
            "ArchivedAt": null,
            "ExpectedPurgeDate": null,
            "SubscriptionManagementConfiguration": {"UnsubscribeHandlingType": unsubscribes},
        })
    }
}

/// Why an address is suppressed on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InactiveReason {
    /// A message to the address bounced permanently.
    HardBounce,
    /// The recipient marked a message as spam.
    SpamComplaint,
    /// The recipient unsubscribed, or the server's owner suppressed the address.
    ManualSuppression,
}

impl InactiveReason {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::HardBounce => "HardBounce",
            Self::SpamComplaint => "SpamComplaint",
            Self::ManualSuppression => "ManualSuppression",
        }
    }
}

/// Who caused a suppression. The fake does not use `Admin`, which is Postmark's staff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SuppressionOrigin {
    /// The recipient, by a bounce, a complaint or an unsubscribe link.
    Recipient,
    /// The server's owner, through the API.
    Customer,
}

impl SuppressionOrigin {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Recipient => "Recipient",
            Self::Customer => "Customer",
        }
    }
}

/// One suppressed address.
#[derive(Debug, Clone)]
pub(super) struct Suppression {
    pub(super) reason: InactiveReason,
    pub(super) origin: SuppressionOrigin,
    pub(super) created_at: String,
}

impl State {
    pub(super) fn is_suppressed(&self, stream: &str, email: &str) -> bool {
        let key = (stream.to_owned(), email.to_lowercase());
        self.suppressions.contains_key(&key)
    }

    /// Suppresses an address; returns whether it was not suppressed before.
    pub(super) fn suppress(
        &mut self,
        stream: &str,
        email: &str,
        reason: InactiveReason,
        origin: SuppressionOrigin,
    ) -> bool {
        let key = (stream.to_owned(), email.to_lowercase());
        let suppression = Suppression {
            reason,
            origin,
            created_at: now(),
        };
        self.suppressions.insert(key, suppression).is_none()
    }
}

/// `GET message-streams`
pub(super) fn list(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let wanted = call.query("MessageStreamType").unwrap_or("All");
    let state = fake.state();
    let fits = |stream: &&Stream| {
        wanted.eq_ignore_ascii_case("All") || wanted.eq_ignore_ascii_case(stream.kind.as_str())
    };
    let streams: Vec<_> = state
        .streams
        .iter()
        .filter(fits)
        .map(Stream::to_json)
        .collect();
    Ok(json!({"MessageStreams": streams, "TotalCount": streams.len()}))
}

/// `GET message-streams/{id}`
pub(super) fn get(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let id = call.part(1);
    let state = fake.state();
    let stream = state.stream(id).ok_or_else(|| rules::no_such_stream(id))?;
    Ok(stream.to_json())
}

/// `GET message-streams/{id}/suppressions/dump`
pub(super) fn suppressions(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let id = call.part(1);
    let state = fake.state();
    state.stream(id).ok_or_else(|| rules::no_such_stream(id))?;
    let wants = |key: &str, value: &str| {
        call.query(key)
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(value))
    };
    let mut found = Vec::new();
    for ((stream, email), suppression) in &state.suppressions {
        let (reason, origin) = (suppression.reason.as_str(), suppression.origin.as_str());
        if stream == id
            && wants("SuppressionReason", reason)
            && wants("Origin", origin)
            && wants("EmailAddress", email)
            && call.in_dates(&suppression.created_at)
        {
            found.push(json!({
                "EmailAddress": email,
                "SuppressionReason": reason,
                "Origin": origin,
                "CreatedAt": suppression.created_at,
            }));
        }
    }
    // Paging is optional here; official clients request it by default.
    let page = Paging::optional(call).page(found);
    Ok(json!({"Suppressions": page}))
}

/// `POST message-streams/{id}/suppressions`
pub(super) fn suppress(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    change(fake, call, |state, stream, email| {
        let key = (stream.to_owned(), email.to_lowercase());
        if let Some(suppression) = state.suppressions.get(&key) {
            // A complaint cannot be changed. The result for all other reasons is inferred.
            if suppression.reason == InactiveReason::SpamComplaint {
                return Err(NO_AUTHORITY);
            }
            return Ok("Suppressed");
        }
        let (reason, origin) = (
            InactiveReason::ManualSuppression,
            SuppressionOrigin::Customer,
        );
        state.suppress(stream, email, reason, origin);
        Ok("Suppressed")
    })
}

/// `POST message-streams/{id}/suppressions/delete`
pub(super) fn unsuppress(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    change(fake, call, |state, stream, email| {
        let key = (stream.to_owned(), email.to_lowercase());
        // Only the owner's own suppressions and hard bounces can be removed. DOC
        let fixed = state.suppressions.get(&key).is_some_and(|suppression| {
            suppression.reason == InactiveReason::SpamComplaint
                || (suppression.reason == InactiveReason::ManualSuppression
                    && suppression.origin != SuppressionOrigin::Customer)
        });
        if fixed {
            return Err(NO_AUTHORITY);
        }
        state.suppressions.remove(&key);
        Ok("Deleted")
    })
}

const NO_AUTHORITY: &str = "You do not have the required authority to change this suppression.";
const NO_ADDRESS: &str = "An invalid email address was provided.";

/// Changes each address of the request; the response has one row per address.
fn change(
    fake: &Fake,
    call: &Call,
    act: impl Fn(&mut State, &str, &str) -> Result<&'static str, &'static str>,
) -> Result<Value, ApiError> {
    let json = call.json()?;
    let rows = Fields::root(&json)?.list("Suppressions")?;
    if rows.is_empty() {
        return Err(rules::no_suppressions());
    }
    if rows.len() > rules::MAX_SUPPRESSIONS {
        return Err(rules::too_many_suppressions());
    }
    let id = call.part(1);
    let mut state = fake.state();
    state.stream(id).ok_or_else(|| rules::no_such_stream(id))?;
    let mut results = Vec::with_capacity(rows.len());
    let mut postings = Vec::new();
    for row in rows {
        let email = row.text("EmailAddress")?.unwrap_or_default();
        let valid =
            addresses::parse_list("EmailAddress", &email).is_ok_and(|found| found.len() == 1);
        let before = state.is_suppressed(id, &email);
        let outcome = match valid {
            true => act(&mut state, id, &email),
            false => Err(NO_ADDRESS),
        };
        let payload = match (before, state.is_suppressed(id, &email)) {
            (false, true) => Some(payloads::suppressed_by_customer(id, &email)),
            (true, false) => Some(payloads::reactivated(id, &email)),
            _ => None,
        };
        if let Some(payload) = payload {
            postings.extend(events::subscription_postings(&state, id, payload));
        }
        results.push(match outcome {
            Ok(status) => json!({"EmailAddress": email, "Status": status, "Message": null}),
            Err(words) => json!({"EmailAddress": email, "Status": "Failed", "Message": words}),
        });
    }
    fake.post_in_background(postings);
    Ok(json!({"Suppressions": results}))
}
