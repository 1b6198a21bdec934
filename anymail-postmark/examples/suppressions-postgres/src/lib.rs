//! Suppressions in PostgreSQL: a [`SuppressionStore`] that all processes of an app share.
//!
//! Copy it into your app and adapt it. `main.rs` shows an app that uses it; `tests/shared` tests
//! the rules of a store, on its own server.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anymail_core::{
    AddressKey, OptionFault, OptionSpec, Options, Reactivation, Suppression, SuppressionOrigin,
    SuppressionReason, SuppressionStore, SuppressionStoreError, SuppressionStoreFactory,
};
use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use sqlx::Row;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use time::OffsetDateTime;
use tokio::sync::OnceCell;

/// One row for each address, scope and reason, with the latest change.
///
/// The row keeps the time of a reactivation, because an older suppression that is reported later
/// must have no effect. `everywhere` distinguishes a suppression of all messages from one in a
/// scope with an empty name, because a primary key cannot be NULL.
const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS suppressions (
        address    text        NOT NULL,
        everywhere boolean     NOT NULL,
        scope      text        NOT NULL,
        reason     text        NOT NULL,
        holds      boolean     NOT NULL,
        changed_at timestamptz NOT NULL,
        source     text        NOT NULL,
        event      text,
        PRIMARY KEY (address, everywhere, scope, reason)
    )";

/// One statement, for any number of rows. The later change wins; at equal times, a suppression wins
/// over a reactivation, because true is greater than false.
const CHANGE: &str = "
    INSERT INTO suppressions AS known
    SELECT * FROM unnest($1::text[], $2::bool[], $3::text[], $4::text[], $5::bool[],
                         $6::timestamptz[], $7::text[], $8::text[])
    ON CONFLICT (address, everywhere, scope, reason) DO UPDATE SET
        holds = excluded.holds, changed_at = excluded.changed_at,
        source = excluded.source, event = excluded.event
    WHERE (excluded.changed_at, excluded.holds) > (known.changed_at, known.holds)";

const COLUMNS_OF_ALL: &str = "
    SELECT address, everywhere, scope, reason, changed_at, source, event
    FROM suppressions WHERE holds";
const COLUMNS_OF_SOME: &str = "
    SELECT address, everywhere, scope, reason, changed_at, source, event
    FROM suppressions WHERE holds AND address = ANY($1)";

/// The maximum number of rows in a statement, so that none holds its locks for long.
const CHUNK: usize = 1000;

/// Suppressions in a PostgreSQL table, which is created on first use.
#[derive(Debug, Clone)]
pub struct PostgresSuppressionStore {
    pool: PgPool,
    ready: Arc<OnceCell<()>>,
}

impl PostgresSuppressionStore {
    /// Creates a store with a connection pool. It does not connect yet.
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            ready: Arc::default(),
        }
    }

    async fn pool(&self) -> Result<&PgPool, sqlx::Error> {
        self.ready.get_or_try_init(|| self.create_table()).await?;
        Ok(&self.pool)
    }

    async fn create_table(&self) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        // Two processes that create a table at the same time can fail in spite of IF NOT EXISTS.
        sqlx::query("SELECT pg_advisory_xact_lock(hashtext('anymail suppressions'))")
            .execute(&mut *transaction)
            .await?;
        sqlx::query(TABLE).execute(&mut *transaction).await?;
        transaction.commit().await
    }

    async fn change(&self, changes: Vec<Change<'_>>) -> Result<(), SuppressionStoreError> {
        // A statement must not change a row twice. Rows are ordered by key, so that processes that
        // change the same rows cannot deadlock.
        let mut latest = BTreeMap::new();
        for change in changes {
            let key = (change.address, change.scope, change.reason);
            let known = latest.entry(key).or_insert_with(|| change.clone());
            if (change.at, change.holds) > (known.at, known.holds) {
                *known = change;
            }
        }
        let latest: Vec<_> = latest.into_values().collect();
        for chunk in latest.chunks(CHUNK) {
            let texts = |text: for<'c> fn(&Change<'c>) -> &'c str| -> Vec<String> {
                chunk.iter().map(|change| text(change).to_owned()).collect()
            };
            let everywhere: Vec<_> = chunk.iter().map(|one| one.scope.is_none()).collect();
            let holds: Vec<_> = chunk.iter().map(|one| one.holds).collect();
            let times: Vec<_> = chunk.iter().map(|one| one.at).collect();
            let events: Vec<_> = chunk
                .iter()
                .map(|one| one.event.map(str::to_owned))
                .collect();
            sqlx::query(CHANGE)
                .bind(texts(|change| change.address.as_str()))
                .bind(everywhere)
                .bind(texts(|change| change.scope.unwrap_or_default()))
                .bind(texts(|change| change.reason.as_str()))
                .bind(holds)
                .bind(times)
                .bind(texts(|change| change.source))
                .bind(events)
                .execute(self.pool().await?)
                .await?;
        }
        Ok(())
    }
}

/// A row to insert.
#[derive(Clone)]
struct Change<'a> {
    address: &'a AddressKey,
    scope: Option<&'a str>,
    reason: SuppressionReason,
    holds: bool,
    at: OffsetDateTime,
    source: &'a str,
    event: Option<&'a str>,
}

fn read(row: &PgRow) -> Result<Suppression, SuppressionStoreError> {
    let reason: &str = row.try_get("reason")?;
    let reason = SuppressionReason::from_name(reason)
        .ok_or_else(|| format!("the table suppressions has an unknown reason: {reason:?}"))?;
    let address = AddressKey::of(row.try_get("address")?);
    let mut origin = SuppressionOrigin::new(row.try_get::<&str, _>("source")?);
    origin.event = row.try_get("event")?;
    let since: OffsetDateTime = row.try_get("changed_at")?;
    let mut suppression = Suppression::of_key(address, reason, since).with_origin(origin);
    if !row.try_get::<bool, _>("everywhere")? {
        suppression.scope = Some(row.try_get("scope")?);
    }
    Ok(suppression)
}

#[async_trait]
impl SuppressionStore for PostgresSuppressionStore {
    async fn look_up(
        &self,
        keys: &[AddressKey],
    ) -> Result<Vec<Suppression>, SuppressionStoreError> {
        let keys: Vec<&str> = keys.iter().map(AddressKey::as_str).collect();
        let rows = sqlx::query(COLUMNS_OF_SOME).bind(keys);
        let rows = rows.fetch_all(self.pool().await?).await?;
        rows.iter().map(read).collect()
    }

    async fn add(&self, suppressions: &[Suppression]) -> Result<(), SuppressionStoreError> {
        let changes = suppressions.iter().map(|suppression| Change {
            address: &suppression.address,
            scope: suppression.scope.as_deref(),
            reason: suppression.reason,
            holds: true,
            at: suppression.since,
            source: &suppression.origin.source,
            event: suppression.origin.event.as_deref(),
        });
        self.change(changes.collect()).await
    }

    async fn remove(&self, reactivations: &[Reactivation]) -> Result<(), SuppressionStoreError> {
        let changes = reactivations.iter().flat_map(|reactivation| {
            reactivation.reasons.iter().map(|reason| Change {
                address: &reactivation.address,
                scope: reactivation.scope.as_deref(),
                reason: *reason,
                holds: false,
                at: reactivation.at,
                source: "",
                event: None,
            })
        });
        self.change(changes.collect()).await
    }

    fn list(&self) -> BoxStream<'_, Result<Suppression, SuppressionStoreError>> {
        let rows = async {
            let pool = self.pool().await?;
            let rows = sqlx::query(COLUMNS_OF_ALL).fetch(pool);
            Ok::<_, SuppressionStoreError>(rows.map_err(SuppressionStoreError::from))
        };
        let rows = stream::once(rows).try_flatten();
        rows.map(|row| row.and_then(|row| read(&row))).boxed()
    }
}

/// Lets a configuration name it: `suppressions = { store = "postgres", options = { url =
/// "env:DATABASE_URL" } }`.
#[derive(Debug)]
pub struct PostgresStoreFactory;

impl SuppressionStoreFactory for PostgresStoreFactory {
    fn name(&self) -> &str {
        "postgres"
    }

    fn options(&self) -> &[OptionSpec] {
        const OPTIONS: [OptionSpec; 1] =
            [OptionSpec::secret("url", "postgres://user:password@host/database").required()];
        &OPTIONS
    }

    fn build(&self, options: &Options) -> Result<Arc<dyn SuppressionStore>, Vec<OptionFault>> {
        let url = options.secret("url").ok_or(OptionFault::missing("url"))?;
        // The error would quote the URL with its password.
        let url = PgConnectOptions::from_str(url.expose())
            .map_err(|_| OptionFault::new("url", "it is not the URL of a PostgreSQL database"))?;
        let pool = PgPoolOptions::new()
            .max_connections(5)
            // The maximum time that sending waits for a database that is down.
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy_with(url);
        Ok(Arc::new(PostgresSuppressionStore::new(pool)))
    }
}
