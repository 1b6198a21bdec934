//! [`PostmarkSuppressions`]: a stream's suppression list, read into a store and written from one.
//!
//! What Postmark reports of a suppression as it happens is read in `receiving/tracking.rs`. The
//! API: <https://postmarkapp.com/developer/api/suppressions-api>, read in 2026-09.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;

use anymail_core::{
    Accepted, Address, AddressKey, SendError, SendErrorKind, Suppression, SuppressionOrigin,
    SuppressionReason, SuppressionStore, SuppressionStoreError,
};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::config::NAME;
use crate::sending::{Answer, Client, failure};

/// The stream of messages that name none, and of events without a
/// [stream](anymail_core::TrackingEvent::stream).
pub(crate) const DEFAULT_STREAM: &str = "outbound";
/// The most suppressions that Postmark changes in one call (error code 1410).
const MAX_CHANGES: usize = 50;
/// How many addresses are looked up or added in a store at once.
const CHUNK: usize = 1000;
/// A dump is one answer, of some 150 bytes for each address.
const MAX_DUMP_BYTES: usize = 256 * 1024 * 1024;

/// The suppression list of one message stream at Postmark.
///
/// Postmark keeps a list for each stream. [`read_into`](Self::read_into) takes it along when an
/// app moves away from Postmark, [`write_from`](Self::write_from) brings an app's own list when
/// it moves in. Both are safe to repeat, and both report what still differs afterwards.
///
/// Hard bounces and spam complaints are about the address: they have no scope in the store.
/// Unsubscribes and manual suppressions have the stream's name as their scope, and none for the
/// stream `outbound`, as [`SuppressionFeed`](anymail_core::SuppressionFeed) enters them from
/// events. [`in_scope`](Self::in_scope) says otherwise.
///
/// ```no_run
/// # async fn move_out() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// use anymail_core::FileSuppressionStore;
/// use anymail_postmark::{PostmarkBackend, PostmarkConfig};
///
/// let store = FileSuppressionStore::open("suppressions.jsonl")?;
/// let postmark = PostmarkBackend::new(PostmarkConfig::new("server-token"))?;
/// for stream in ["outbound", "broadcast"] {
///     let report = postmark.suppressions(stream).read_into(&store).await?;
///     println!("{stream}: {} read, {} of them new", report.read, report.added);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct PostmarkSuppressions {
    client: Client,
    stream: String,
    scope: Option<String>,
}

/// What came of [`PostmarkSuppressions::read_into`].
///
/// `Debug` shows addresses.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct SuppressionsRead {
    /// How many suppressions Postmark has.
    pub read: usize,
    /// How many addresses were not suppressed in the store before, and are now.
    pub added: usize,
    /// Suppressed at Postmark only: the store knows a later reactivation.
    pub only_at_postmark: Vec<Suppression>,
    /// Suppressed in the store only, for mail of this stream.
    pub only_in_store: Vec<Suppression>,
    /// What Postmark lists and is no email address.
    pub unreadable: Vec<String>,
}

/// What came of [`PostmarkSuppressions::write_from`].
///
/// `Debug` shows addresses.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct SuppressionsWritten {
    /// How many addresses Postmark suppresses now that it did not before.
    pub written: usize,
    /// What Postmark refused to suppress.
    pub refused: Vec<RefusedSuppression>,
    /// Suppressed at Postmark only.
    pub only_at_postmark: Vec<Suppression>,
}

/// An address that Postmark did not suppress.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedSuppression {
    /// The address in its comparison form.
    pub address: AddressKey,
    /// Why, in Postmark's words.
    pub reason: String,
}

/// Why suppressions could not be read or written.
#[derive(Debug)]
#[non_exhaustive]
pub enum PostmarkSuppressionsError {
    /// Postmark was not reached or refused the call. Repeat the whole when the error is
    /// [transient](SendError::is_transient).
    Postmark(SendError),
    /// The store failed.
    Store(SuppressionStoreError),
}

impl fmt::Display for PostmarkSuppressionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postmark(_) => "could not read or change postmark's suppression list",
            Self::Store(_) => "the suppression store failed",
        })
    }
}

impl Error for PostmarkSuppressionsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(match self {
            Self::Postmark(error) => error,
            Self::Store(error) => &**error,
        })
    }
}

impl From<SendError> for PostmarkSuppressionsError {
    fn from(error: SendError) -> Self {
        Self::Postmark(error)
    }
}

impl From<SuppressionStoreError> for PostmarkSuppressionsError {
    fn from(error: SuppressionStoreError) -> Self {
        Self::Store(error)
    }
}

impl PostmarkSuppressions {
    pub(crate) fn new(client: Client, stream: &str) -> Self {
        Self {
            client: client.reading_at_least(MAX_DUMP_BYTES),
            stream: stream.to_owned(),
            scope: scope_of(stream).map(str::to_owned),
        }
    }

    /// The same with another scope in the store for unsubscribes and manual suppressions, or
    /// with none: they are then about all mail.
    #[must_use]
    pub fn in_scope(mut self, scope: Option<&str>) -> Self {
        self.scope = scope.map(str::to_owned);
        self
    }

    /// Reads the stream's list into a store.
    ///
    /// Each suppression keeps the time at which Postmark made it, so an address that was
    /// reactivated in the store after that stays reactivated, and is reported.
    ///
    /// # Errors
    /// [`PostmarkSuppressionsError`]. Suppressions that were added stay.
    pub async fn read_into(
        &self,
        store: &dyn SuppressionStore,
    ) -> Result<SuppressionsRead, PostmarkSuppressionsError> {
        let (listed, unreadable) = self.dump().await?;
        let keys: Vec<AddressKey> = listed.keys().cloned().collect();
        let all: Vec<Suppression> = listed.values().cloned().collect();
        let mut report = SuppressionsRead {
            read: listed.len(),
            unreadable,
            ..SuppressionsRead::default()
        };
        for (keys, suppressions) in keys.chunks(CHUNK).zip(all.chunks(CHUNK)) {
            let before = self.held(store, keys).await?;
            store.add(suppressions).await?;
            let after = self.held(store, keys).await?;
            report.added += after.difference(&before).count();
            let only_there = suppressions
                .iter()
                .filter(|one| !after.contains(&one.address));
            report.only_at_postmark.extend(only_there.cloned());
        }
        report.only_in_store = self.missing(store, &listed).await?;
        Ok(report)
    }

    /// Adds to the stream's list, in calls of 50, the addresses to which the store lets no mail
    /// of this stream go.
    ///
    /// To Postmark all of them are manual suppressions by the customer, whatever the reason in
    /// the store. If a webhook reports changes of subscriptions, Postmark posts each of them
    /// back as an event.
    ///
    /// # Errors
    /// [`PostmarkSuppressionsError`]. Suppressions that were written stay.
    pub async fn write_from(
        &self,
        store: &dyn SuppressionStore,
    ) -> Result<SuppressionsWritten, PostmarkSuppressionsError> {
        let (mut listed, _) = self.dump().await?;
        let missing = self.missing(store, &listed).await?;
        let missing: BTreeSet<AddressKey> = missing.into_iter().map(|one| one.address).collect();
        let missing: Vec<AddressKey> = missing.into_iter().collect();
        let mut report = SuppressionsWritten::default();
        for chunk in missing.chunks(MAX_CHANGES) {
            let refused = self.create(chunk).await?;
            report.written += chunk.len().saturating_sub(refused.len());
            report.refused.extend(refused);
        }
        let keys: Vec<AddressKey> = listed.keys().cloned().collect();
        for keys in keys.chunks(CHUNK) {
            for held in self.held(store, keys).await? {
                listed.remove(&held);
            }
        }
        report.only_at_postmark = listed.into_values().collect();
        Ok(report)
    }

    /// Which of these addresses get no mail of this stream, says the store.
    async fn held(
        &self,
        store: &dyn SuppressionStore,
        keys: &[AddressKey],
    ) -> Result<BTreeSet<AddressKey>, PostmarkSuppressionsError> {
        let found = store.look_up(keys).await?.into_iter();
        let found = found.filter(|one| self.is_about_this_stream(one));
        Ok(found.map(|one| one.address).collect())
    }

    /// What the store has for this stream and Postmark has not.
    async fn missing(
        &self,
        store: &dyn SuppressionStore,
        listed: &BTreeMap<AddressKey, Suppression>,
    ) -> Result<Vec<Suppression>, PostmarkSuppressionsError> {
        let mut missing = Vec::new();
        let mut all = store.list();
        while let Some(one) = all.try_next().await? {
            if self.is_about_this_stream(&one) && !listed.contains_key(&one.address) {
                missing.push(one);
            }
        }
        Ok(missing)
    }

    fn is_about_this_stream(&self, suppression: &Suppression) -> bool {
        suppression.scope.is_none() || suppression.scope == self.scope
    }

    async fn dump(
        &self,
    ) -> Result<(BTreeMap<AddressKey, Suppression>, Vec<String>), PostmarkSuppressionsError> {
        let path = format!("{}/dump", self.path());
        let answer = self.client.get(&path, &[]).await;
        let dump: Dump = answer.and_then(|answer| read(&answer)).map_err(unsent)?;
        let mut unreadable = Vec::new();
        let mut listed = BTreeMap::new();
        for row in dump.suppressions {
            match row.email_address.parse::<Address>() {
                Ok(address) => {
                    let suppression = self.suppression(&address, &row);
                    listed.insert(address.key(), suppression);
                }
                Err(_) => unreadable.push(row.email_address),
            }
        }
        Ok((listed, unreadable))
    }

    fn suppression(&self, address: &Address, row: &Listed) -> Suppression {
        use SuppressionReason::{HardBounce, Manual, SpamComplaint, Unsubscribe};
        let reason = match (&*row.suppression_reason, &*row.origin) {
            ("HardBounce", _) => HardBounce,
            ("SpamComplaint", _) => SpamComplaint,
            (_, "Recipient") => Unsubscribe,
            // A reason that is not known keeps Postmark from sending just as well.
            _ => Manual,
        };
        let since = OffsetDateTime::parse(&row.created_at, &Rfc3339);
        let since = since.unwrap_or_else(|_| OffsetDateTime::now_utc());
        let mut suppression = Suppression::new(address, reason, since);
        if !matches!(reason, HardBounce | SpamComplaint) {
            suppression.scope.clone_from(&self.scope);
        }
        suppression.with_origin(SuppressionOrigin::new(NAME))
    }

    /// Suppresses some addresses; gives those that Postmark refused.
    async fn create(
        &self,
        addresses: &[AddressKey],
    ) -> Result<Vec<RefusedSuppression>, PostmarkSuppressionsError> {
        let suppressions = addresses.iter().map(|address| Create {
            email_address: address.as_str(),
        });
        let body = serde_json::to_vec(&Creates {
            suppressions: suppressions.collect(),
        });
        let body = body.map_err(|error| {
            SendError::new(SendErrorKind::InvalidMessage, NAME, error.to_string())
        })?;
        let (path, body) = (self.path(), body.into());
        let answer = self.client.post(&path, 0, body, None).await;
        let answer = answer.and_then(|answer| read::<Changed>(&answer));
        let answer = answer.map_err(unsent)?;
        let rows = answer.suppressions.into_iter();
        let mut rows: BTreeMap<AddressKey, ChangedRow> = rows
            .map(|row| (AddressKey::of(&row.email_address), row))
            .collect();
        let refused = addresses.iter().filter_map(|address| {
            let reason = match rows.remove(address) {
                Some(row) if row.status == "Suppressed" => return None,
                Some(row) => row.message.unwrap_or(row.status),
                None => "the response does not mention this address".to_owned(),
            };
            Some(RefusedSuppression {
                address: address.clone(),
                reason,
            })
        });
        Ok(refused.collect())
    }

    fn path(&self) -> String {
        let stream: String = url::form_urlencoded::byte_serialize(self.stream.as_bytes()).collect();
        format!(
            "message-streams/{}/suppressions",
            stream.replace('+', "%20")
        )
    }
}

/// The scope in a store of a stream's unsubscribes.
fn scope_of(stream: &str) -> Option<&str> {
    Some(stream).filter(|stream| *stream != DEFAULT_STREAM)
}

/// Nothing is sent here, so it is always safe to repeat.
fn unsent(error: SendError) -> PostmarkSuppressionsError {
    error.with_accepted(Accepted::No).into()
}

fn read<T: for<'de> Deserialize<'de>>(answer: &Answer) -> Result<T, SendError> {
    if answer.http_status != 200 {
        return Err(failure(answer));
    }
    serde_json::from_str(&answer.text).map_err(|_| {
        let why = "expected a list of suppressions";
        let error = SendError::new(SendErrorKind::InvalidResponse, NAME, why);
        error.with_http_status(answer.http_status)
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Dump {
    suppressions: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    email_address: String,
    #[serde(default)]
    suppression_reason: String,
    #[serde(default)]
    origin: String,
    #[serde(default)]
    created_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Creates<'a> {
    suppressions: Vec<Create<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Create<'a> {
    email_address: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Changed {
    suppressions: Vec<ChangedRow>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ChangedRow {
    email_address: String,
    status: String,
    #[serde(default)]
    message: Option<String>,
}
