//! [`SuppressionSettings`]: how a configuration sets up suppressions.
//!
//! `suppressions.rs` opens the stores; the stores and hooks are in the folder `suppressions`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::error::{ConfigFault, ConfigFaultKind as Kind, known_names};
use super::read::{Given, Place, Source, Table};
use crate::message::JsonMap;
use crate::suppressions::{StoreFailurePolicy, SuppressionHook, SuppressionReason};

/// Which suppressions a mailer honors.
///
/// In a configuration it is a table, or `false` for a mailer that ignores the suppressions in the
/// general settings:
///
/// | key | meaning |
/// | --- | --- |
/// | `file` | the path of a [`FileSuppressionStore`](crate::FileSuppressionStore); short for `store = "file"` and `options.path` |
/// | `store` | the name of another store: `memory`, or one in the [`Registry`](crate::Registry) |
/// | `options` | the store's options |
/// | `on_store_failure` | `wait` (the default) or `send`: [`StoreFailurePolicy`] |
/// | `transactional` | a list of scopes that unsubscribed recipients still receive: [`SuppressionHook::transactional`] |
/// | `ignore` | reasons to ignore, by scope: [`SuppressionHook::ignoring`] |
/// | `streams` | the scopes of an ESP's streams, `""` for none: `SuppressionFeed::scope_of_stream` |
///
/// ```
/// use anymail_core::{MailersConfig, Registry};
///
/// # let temp = tempfile::tempdir()?;
/// # let text = r#"
/// backend = "memory"
/// suppressions = { file = "suppressions.jsonl", transactional = ["account"] }
/// # "#.replace("suppressions.jsonl", temp.path().join("s.jsonl").to_str().unwrap());
/// # let config: MailersConfig = toml::from_str(&text)?;
/// let mailers = config.build(&Registry::new())?;
/// assert!(mailers.suppression_store("default").is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Mailers that name the same store with the same options share it. Configurations that are built
/// with the same registry share it, too, so an app that switches its ESP at run time keeps its
/// store.
#[derive(Clone, PartialEq)]
pub struct SuppressionSettings {
    /// `None`: no suppressions.
    pub(super) store: Option<String>,
    pub(super) options: JsonMap,
    pub(super) on_store_failure: StoreFailurePolicy,
    pub(super) ignored: BTreeMap<String, BTreeSet<SuppressionReason>>,
    pub(super) streams: BTreeMap<String, Option<String>>,
    pub(super) place: String,
}

impl SuppressionSettings {
    /// Honors the suppressions in the store with this name.
    pub fn new(store: impl Into<String>) -> Self {
        Self {
            store: Some(store.into()),
            ..Self::off()
        }
    }

    /// Honors no suppressions, whatever the general settings say.
    pub fn off() -> Self {
        Self {
            store: None,
            options: JsonMap::new(),
            on_store_failure: StoreFailurePolicy::default(),
            ignored: BTreeMap::new(),
            streams: BTreeMap::new(),
            place: "suppressions".to_owned(),
        }
    }

    /// Sets an option of the store.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }

    /// Sets what happens if the store fails; see [`SuppressionHook::on_store_failure`].
    #[must_use]
    pub fn on_store_failure(mut self, policy: StoreFailurePolicy) -> Self {
        self.on_store_failure = policy;
        self
    }

    /// Ignores these reasons in a scope; see [`SuppressionHook::ignoring`].
    #[must_use]
    pub fn ignoring(
        mut self,
        scope: impl Into<String>,
        reasons: impl IntoIterator<Item = SuppressionReason>,
    ) -> Self {
        self.ignored
            .entry(scope.into())
            .or_default()
            .extend(reasons);
        self
    }

    /// Marks a scope as transactional; see [`SuppressionHook::transactional`].
    #[must_use]
    pub fn transactional(self, scope: impl Into<String>) -> Self {
        self.ignoring(scope, SuppressionHook::TRANSACTIONAL)
    }

    pub(super) fn read(given: &Given) -> Result<Self, Vec<ConfigFault>> {
        let off = match &given.value {
            Value::String(text) => given.source == Source::Env && text == "false",
            value => *value == Value::Bool(false),
        };
        if off {
            return Ok(Self::off());
        }
        if let Value::String(text) = &given.value
            && given.source == Source::Env
            && !text.trim_start().starts_with('{')
        {
            let problem =
                r#"expected a JSON object, for example {"file": "suppressions.jsonl"}, or false"#;
            return Err(vec![given.invalid(problem)]);
        }
        let map = given.table().map_err(|fault| vec![fault])?;
        let mut table = Table::new(map, Place::Path(format!("{}.", given.place)));
        let mut settings = Self::off();
        settings.place.clone_from(&given.place);
        settings.store = table.read("store", Given::text);
        settings.options = table.read("options", Given::table).unwrap_or_default();
        if let Some(path) = table.read("file", Given::text) {
            if settings.store.is_some() {
                let problem = "store is also set: remove one";
                let place = table.place().of("file");
                table
                    .faults
                    .push(ConfigFault::new(Kind::Conflict, place, problem));
            }
            settings.store = Some("file".to_owned());
            settings.options.insert("path".to_owned(), path.into());
        }
        if settings.store.is_none() && table.faults.is_empty() {
            let problem = "no store is configured: set file or store";
            let place = table.place().of("store");
            table
                .faults
                .push(ConfigFault::new(Kind::Missing, place, problem));
        }
        let policy = table.read("on_store_failure", |given| match given.text()?.as_str() {
            "wait" => Ok(StoreFailurePolicy::Wait),
            "send" => Ok(StoreFailurePolicy::Send),
            _ => Err(given.invalid("expected \"wait\" or \"send\"")),
        });
        settings.on_store_failure = policy.unwrap_or_default();
        for scope in table.read("transactional", Given::list).unwrap_or_default() {
            settings = settings.transactional(scope);
        }
        for (scope, reasons) in table.read("ignore", reasons_by_scope).unwrap_or_default() {
            settings = settings.ignoring(scope, reasons);
        }
        settings.streams = table.read("streams", scopes_of_streams).unwrap_or_default();
        let faults = table.finish();
        match faults.is_empty() {
            true => Ok(settings),
            false => Err(faults),
        }
    }
}

fn reasons_by_scope(
    given: &Given,
) -> Result<BTreeMap<String, Vec<SuppressionReason>>, ConfigFault> {
    let mut by_scope = BTreeMap::new();
    for (scope, value) in given.table()? {
        let place = format!("{}.{scope}", given.place);
        let names = inner(value, place);
        let mut reasons = Vec::new();
        for name in names.list()? {
            let reason = SuppressionReason::from_name(&name).ok_or_else(|| {
                let all = SuppressionReason::ALL.iter().map(|it| it.as_str());
                let all: Vec<_> = all.collect();
                let known = known_names(&name, &all);
                names.invalid(format!("unknown reason {name:?}{known}"))
            })?;
            reasons.push(reason);
        }
        by_scope.insert(scope, reasons);
    }
    Ok(by_scope)
}

fn scopes_of_streams(given: &Given) -> Result<BTreeMap<String, Option<String>>, ConfigFault> {
    let mut scopes = BTreeMap::new();
    for (stream, value) in given.table()? {
        let place = format!("{}.{stream}", given.place);
        let scope = inner(value, place).text()?;
        scopes.insert(stream, Some(scope).filter(|scope| !scope.is_empty()));
    }
    Ok(scopes)
}

fn inner(value: Value, place: String) -> Given {
    Given {
        value,
        place,
        source: Source::Table,
    }
}

/// Shows the names of options, not their values.
impl fmt::Debug for SuppressionSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SuppressionSettings")
            .field("store", &self.store)
            .field("options", &self.options.keys().collect::<Vec<_>>())
            .field("on_store_failure", &self.on_store_failure)
            .field("ignored", &self.ignored)
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}
