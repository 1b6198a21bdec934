//! [`SuppressionSettings`]: what a configuration says about suppressions, and what is made of it.
//!
//! What stores and hooks do is in `suppressions`; which stores there are, in
//! `suppression_store.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::build::Build;
use super::error::{ConfigFault, ConfigFaultKind as Kind, known_names};
use super::mailers::Mailers;
use super::options::Options;
use super::read::{Given, Place, Source, Table};
use super::settings::Settings;
use super::suppression_store::SuppressionStoreFactory;
use crate::message::JsonMap;
#[cfg(feature = "webhooks")]
use crate::suppressions::SuppressionFeed;
use crate::suppressions::{
    StoreFailurePolicy, SuppressionHook, SuppressionReason, SuppressionStore,
};

/// Which suppressions a mailer heeds.
///
/// In a configuration it is a table, or `false` for a mailer that heeds none although the general
/// settings name some:
///
/// | key | what it is |
/// | --- | --- |
/// | `file` | the path of a [`FileSuppressionStore`](crate::FileSuppressionStore); short for `store = "file"` and `options.path` |
/// | `store` | the name of another store: `memory`, or one of the [`Registry`](crate::Registry) |
/// | `options` | the store's options |
/// | `on_store_failure` | `wait` (the default) or `send`: [`StoreFailurePolicy`] |
/// | `transactional` | a list of scopes whose mail goes out to who unsubscribed: [`SuppressionHook::transactional`] |
/// | `ignore` | reasons that do not hold, by scope: [`SuppressionHook::ignoring`] |
/// | `streams` | an ESP's streams and their scopes, `""` for none: `SuppressionFeed::scope_of_stream` |
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
/// Mailers whose settings name the same store with the same options share it, and so do
/// configurations that are built with the same registry: an app that switches its ESP at run time
/// keeps its store.
#[derive(Clone, PartialEq)]
pub struct SuppressionSettings {
    /// None: no suppressions.
    store: Option<String>,
    options: JsonMap,
    on_store_failure: StoreFailurePolicy,
    ignored: BTreeMap<String, BTreeSet<SuppressionReason>>,
    streams: BTreeMap<String, Option<String>>,
    place: String,
}

impl SuppressionSettings {
    /// Heeds the suppressions in the store of this name.
    pub fn new(store: impl Into<String>) -> Self {
        Self {
            store: Some(store.into()),
            ..Self::off()
        }
    }

    /// Heeds none, whatever the general settings say.
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

    /// See [`SuppressionHook::on_store_failure`].
    #[must_use]
    pub fn on_store_failure(mut self, policy: StoreFailurePolicy) -> Self {
        self.on_store_failure = policy;
        self
    }

    /// See [`SuppressionHook::ignoring`].
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

    /// See [`SuppressionHook::transactional`].
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
        let map = given.table().map_err(|fault| vec![fault])?;
        let mut table = Table::new(map, Place::Path(format!("{}.", given.place)));
        let mut settings = Self::off();
        settings.place.clone_from(&given.place);
        settings.store = table.read("store", Given::text);
        settings.options = table.read("options", Given::table).unwrap_or_default();
        if let Some(path) = table.read("file", Given::text) {
            if settings.store.is_some() {
                let problem = "store is set, too: set one of them";
                let place = table.place().of("file");
                table
                    .faults
                    .push(ConfigFault::new(Kind::Conflict, place, problem));
            }
            settings.store = Some("file".to_owned());
            settings.options.insert("path".to_owned(), path.into());
        }
        if settings.store.is_none() && table.faults.is_empty() {
            let problem = "it must name the store: set file, or store";
            let place = table.place().of("store");
            table
                .faults
                .push(ConfigFault::new(Kind::Missing, place, problem));
        }
        let policy = table.read("on_store_failure", |given| match given.text()?.as_str() {
            "wait" => Ok(StoreFailurePolicy::Wait),
            "send" => Ok(StoreFailurePolicy::Send),
            _ => Err(given.invalid("it is neither \"wait\" nor \"send\"")),
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
                let all = SuppressionReason::ALL.map(SuppressionReason::as_str);
                let known = known_names(&name, &all);
                names.invalid(format!("there is no reason {name:?}{known}"))
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

/// A store and what is configured about it.
#[derive(Debug, Clone)]
pub(super) struct Suppressions {
    store: Arc<dyn SuppressionStore>,
    settings: SuppressionSettings,
}

impl Suppressions {
    pub(super) fn hook(&self) -> SuppressionHook {
        let hook = SuppressionHook::new(Arc::clone(&self.store))
            .on_store_failure(self.settings.on_store_failure);
        let ignored = self.settings.ignored.iter();
        ignored.fold(hook, |hook, (scope, reasons)| {
            hook.ignoring(scope, reasons.iter().copied())
        })
    }
}

/// What is wrong if a member of a mailer has suppressions of its own: they would not apply, for
/// only the mailer that the message is given to heeds any.
pub(super) fn suppressions_lost(member: &str, own: &Settings, mailer: &Settings) -> Option<String> {
    let own = own.suppressions.as_ref()?;
    let same =
        |other: &SuppressionSettings| (&own.store, &own.options) == (&other.store, &other.options);
    if own.store.is_none() || mailer.suppressions.as_ref().is_some_and(same) {
        return None;
    }
    Some(format!(
        "its member {member:?} has suppressions of its own, which would not apply: set them at \
         the mailer that has the members"
    ))
}

impl Build<'_> {
    /// The suppressions of a mailer. A store is opened only if nothing is wrong so far.
    pub(super) fn suppressions(
        &mut self,
        settings: Option<&SuppressionSettings>,
    ) -> Option<Suppressions> {
        let settings = settings?;
        let name = settings.store.as_deref()?;
        let place = Place::Path(format!("{}.", settings.place));
        let Some(factory) = self.registry.suppression_store(name) else {
            let names: Vec<_> = self.registry.suppression_store_names().collect();
            let problem = format!("there is no store {name:?}{}", known_names(name, &names));
            self.fault(Kind::UnknownStore, place.of("store"), problem);
            return None;
        };
        let options = self.store_options(settings, factory, &place);
        if !self.faults.is_empty() {
            return None;
        }
        let open = || factory.build(&options);
        match self.registry.opened_store(name, &settings.options, open) {
            Ok(store) => Some(Suppressions {
                store,
                settings: settings.clone(),
            }),
            Err(faults) => {
                for fault in faults {
                    let place = place.of(&format!("options.{}", fault.option));
                    self.fault(Kind::InvalidValue, place, fault.problem);
                }
                None
            }
        }
    }

    fn store_options(
        &mut self,
        settings: &SuppressionSettings,
        factory: &dyn SuppressionStoreFactory,
        place: &Place,
    ) -> Options {
        let known: Vec<_> = factory.options().iter().map(|spec| spec.name).collect();
        let unknown = |key: &&String| !known.contains(&key.as_str());
        for key in settings.options.keys().filter(unknown) {
            let name = factory.name();
            let problem = format!("{name} has no such option{}", known_names(key, &known));
            let place = place.of(&format!("options.{key}"));
            self.fault(Kind::UnknownOption, place, problem);
        }
        let mut options = Options::default();
        for spec in factory.options() {
            let place = place.of(&format!("options.{}", spec.name));
            let given = settings.options.get(spec.name);
            match given.filter(|value| !value.is_null()) {
                Some(value) => {
                    let given = inner(value.clone(), place);
                    if let Some(value) = self.value(&given, spec.kind) {
                        options.values.insert(spec.name, value);
                    }
                }
                None if spec.required => {
                    let problem = format!("{} needs it ({})", factory.name(), spec.help);
                    self.fault(Kind::Missing, place, problem);
                }
                None => {}
            }
        }
        options
    }
}

impl Mailers {
    /// The store of the suppressions that a mailer heeds, to add to it, list it, or give it to
    /// one-click unsubscribe. Nothing, if none is configured for the mailer.
    pub fn suppression_store(&self, mailer: &str) -> Option<Arc<dyn SuppressionStore>> {
        let suppressions = self.suppressions.get(mailer)?;
        Some(Arc::clone(&suppressions.store))
    }

    /// What enters the events of webhooks into that store (feature `webhooks`).
    #[cfg(feature = "webhooks")]
    pub fn suppression_feed(&self, mailer: &str) -> Option<SuppressionFeed> {
        let suppressions = self.suppressions.get(mailer)?;
        let feed = SuppressionFeed::new(Arc::clone(&suppressions.store));
        let streams = suppressions.settings.streams.iter();
        Some(streams.fold(feed, |feed, (stream, scope)| {
            feed.scope_of_stream(stream, scope.as_deref())
        }))
    }
}
