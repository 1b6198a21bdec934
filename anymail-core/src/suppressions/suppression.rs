//! [`Suppression`] and [`Reactivation`]: the two changes that a store keeps.
//!
//! `SuppressionStore`, in `store.rs`, defines which of two changes wins.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::message::{Address, AddressKey};

/// Why an address must not be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SuppressionReason {
    /// The receiving server permanently refused messages to the address.
    HardBounce,
    /// The recipient reported a message as spam.
    SpamComplaint,
    /// The recipient unsubscribed.
    Unsubscribe,
    /// Somebody who manages the app, or the account at the ESP, suppressed it.
    Manual,
}

impl SuppressionReason {
    /// All reasons.
    pub const ALL: &'static [Self] = &[
        Self::HardBounce,
        Self::SpamComplaint,
        Self::Unsubscribe,
        Self::Manual,
    ];

    /// The name in JSON and in configurations, for example `hard_bounce`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HardBounce => "hard_bounce",
            Self::SpamComplaint => "spam_complaint",
            Self::Unsubscribe => "unsubscribe",
            Self::Manual => "manual",
        }
    }

    /// The reason with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|reason| reason.as_str() == name)
    }
}

impl fmt::Display for SuppressionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a suppression comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SuppressionOrigin {
    /// The name of the ESP that reported it, or another source: `one_click` for one-click
    /// unsubscribe, or a name that the app chooses.
    pub source: String,
    /// The [`dedup_key`](crate::Event::dedup_key) of the event that reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
}

impl SuppressionOrigin {
    /// Creates a source without an event.
    pub fn new(source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            event: None,
        }
    }

    /// Sets the key of the event that reported it.
    #[must_use]
    pub fn with_event(mut self, key: impl Into<String>) -> Self {
        self.event = Some(key.into());
        self
    }
}

/// An address that must not be sent to, and why.
///
/// An address can have several suppressions, with different reasons and scopes.
///
/// ```
/// use anymail_core::{Address, Suppression, SuppressionReason};
/// use time::OffsetDateTime;
///
/// let ann: Address = "Ann@Example.com".parse()?;
/// let now = OffsetDateTime::now_utc();
/// let suppression = Suppression::new(&ann, SuppressionReason::Unsubscribe, now).in_scope("news");
/// assert_eq!(suppression.address.as_str(), "ann@example.com");
/// # Ok::<(), anymail_core::AddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Suppression {
    /// The address in its comparison form.
    pub address: AddressKey,
    /// The stream or list that the suppression is about. `None` suppresses all messages; a name
    /// suppresses only messages with that
    /// [`suppression_scope`](crate::MessageFields::suppression_scope).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The reason.
    pub reason: SuppressionReason,
    /// The time of the bounce, complaint or decision, to the microsecond.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    /// The source.
    #[serde(flatten)]
    pub origin: SuppressionOrigin,
}

impl Suppression {
    /// Suppresses all messages to `address`, by the app's own decision.
    ///
    /// The source is `app`; change it with [`with_origin`](Self::with_origin).
    pub fn new(address: &Address, reason: SuppressionReason, since: OffsetDateTime) -> Self {
        Self::of_key(address.key(), reason, since)
    }

    /// Creates a suppression like [`new`](Self::new), for an address in its comparison form.
    pub fn of_key(address: AddressKey, reason: SuppressionReason, since: OffsetDateTime) -> Self {
        Self {
            address,
            scope: None,
            reason,
            since,
            origin: SuppressionOrigin::new("app"),
        }
    }

    /// Restricts it to one stream or list.
    #[must_use]
    pub fn in_scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Sets the source.
    #[must_use]
    pub fn with_origin(mut self, origin: SuppressionOrigin) -> Self {
        self.origin = origin;
        self
    }
}

/// The end of an address's suppressions in one scope, so that it can be sent to again.
///
/// It ends only suppressions with exactly the same scope. A reactivation in the scope `news` does
/// not end a suppression of all messages, and a reactivation without a scope does not end the
/// suppression in `news`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reactivation {
    /// The address in its comparison form.
    pub address: AddressKey,
    /// The scope of the suppressions that end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The reasons of the suppressions that end.
    pub reasons: Vec<SuppressionReason>,
    /// The time of the reactivation, to the microsecond. Later suppressions stay effective.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

impl Reactivation {
    /// Ends the suppressions of all messages to `address`, for all reasons.
    pub fn new(address: &Address, at: OffsetDateTime) -> Self {
        Self::of_key(address.key(), at)
    }

    /// Creates a reactivation like [`new`](Self::new), for an address in its comparison form.
    pub fn of_key(address: AddressKey, at: OffsetDateTime) -> Self {
        Self {
            address,
            scope: None,
            reasons: SuppressionReason::ALL.to_vec(),
            at,
        }
    }

    /// Restricts it to one stream or list.
    #[must_use]
    pub fn in_scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Restricts it to suppressions with these reasons.
    #[must_use]
    pub fn only(mut self, reasons: impl IntoIterator<Item = SuppressionReason>) -> Self {
        self.reasons = reasons.into_iter().collect();
        self
    }
}
