//! [`PostmarkSuppressions`]: reads a stream's suppression list into a store, and writes it from one.
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

/// The stream of messages that do not set one, and of events without a
/// [stream](anymail_core::TrackingEvent::stream).
pub(crate) const DEFAULT_STREAM: &str = "outbound";
/// The maximum number of suppressions that Postmark changes in one call (error code 1410).
const MAX_CHANGES: usize = 50;
/// The number of addresses that are looked up or added in a store at once.
const CHUNK: usize = 1000;
/// A dump is a single response with about 150 bytes for each address.
const MAX_DUMP_BYTES: usize = 256 * 1024 * 1024;

/// The suppression list of one message stream at Postmark.
///
/// Postmark keeps a list for each stream. Use [`read_into`](Self::read_into) to take it with you
/// when an app moves away from Postmark, and [`write_from`](Self::write_from) to bring an app's own
/// list to Postmark. Both are safe to repeat, and both report the remaining differences.
///
/// Hard bounces and spam complaints are about the address, so they have no scope in the store.
/// Unsubscribes and manual suppressions have the stream's name as their scope, and none for the
/// stream `outbound`, like those that [`SuppressionFeed`](anymail_core::SuppressionFeed) records
/// from events. [`in_scope`](Self::in_scope) changes that.
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

/// The result of [`PostmarkSuppressions::read_into`].
///
/// `Debug` shows addresses.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct SuppressionsRead {
    /// The number of suppressions at Postmark.
    pub read: usize,
    /// The number of addresses that are newly suppressed in the store.
    pub added: usize,
    /// Suppressed only at Postmark: the store contains a later reactivation.
    pub only_at_postmark: Vec<Suppression>,
    /// Suppressed only in the store, for messages in this stream.
    pub only_in_store: Vec<Suppression>,
    /// Entries in Postmark's list that are not email addresses.
    pub unreadable: Vec<String>,
}

/// The result of [`PostmarkSuppressions::write_from`].
///
/// `Debug` shows addresses.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct SuppressionsWritten {
    /// The number of addresses that are newly suppressed at Postmark.
    pub written: usize,
    /// Addresses that Postmark refused to suppress.
    pub refused: Vec<RefusedSuppression>,
    /// Suppressed only at Postmark.
    pub only_at_postmark: Vec<Suppression>,
}

/// An address that Postmark did not suppress.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedSuppression {
    /// The address in its comparison form.
    pub address: AddressKey,
    /// The reason, from Postmark's response.
    pub reason: String,
}

/// Why suppressions could not be read or written.
#[derive(Debug)]
#[non_exhaustive]
pub enum PostmarkSuppressionsError {
    /// Postmark was not reached or refused the call. You can repeat the whole operation if the
    /// error is [transient](SendError::is_transient).
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

    /// Sets another scope in the store for unsubscribes and manual suppressions, or `None` if they
    /// apply to all messages.
    #[must_use]
    pub fn in_scope(mut self, scope: Option<&str>) -> Self {
        self.scope = scope.map(str::to_owned);
        self
    }

    /// Reads the stream's list into a store.
    ///
    /// Each suppression keeps the time at which Postmark made it. So an address that was
    /// reactivated in the store after that stays reactivated, and is reported.
    ///
    /// # Errors
    /// [`PostmarkSuppressionsError`]. Suppressions that were added remain.
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

    /// Adds to the stream's list, in calls of 50, the addresses that are suppressed in the store
    /// for messages of this stream.
    ///
    /// Postmark treats all of them as manual suppressions by the customer, whatever the reason in
    /// the store. If a webhook reports subscription changes, Postmark posts each of them back as an
    /// event.
    ///
    /// # Errors
    /// [`PostmarkSuppressionsError`]. Suppressions that were written remain.
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

    /// Which of these addresses the store suppresses for messages of this stream.
    async fn held(
        &self,
        store: &dyn SuppressionStore,
        keys: &[AddressKey],
    ) -> Result<BTreeSet<AddressKey>, PostmarkSuppressionsError> {
        let found = store.look_up(keys).await?.into_iter();
        let found = found.filter(|one| self.is_about_this_stream(one));
        Ok(found.map(|one| one.address).collect())
    }

    /// The suppressions for this stream that the store has and Postmark does not.
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
            // An unknown reason also prevents Postmark from sending.
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

    /// Suppresses some addresses, and returns those that Postmark refused.
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

/// The scope in the store of a stream's unsubscribes.
fn scope_of(stream: &str) -> Option<&str> {
    Some(stream).filter(|stream| *stream != DEFAULT_STREAM)
}

/// Nothing is sent, so it is always safe to repeat.
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
