//! [`Suppressions`]: an open suppression store, and what a mailer configures about it.
//!
//! `suppression_store.rs` defines the stores.

use std::sync::Arc;

use super::error::{ConfigFaultKind as Kind, known_names};
use super::find::Finder;
use super::options::Options;
use super::read::{Given, Place, Source};
use super::settings::Settings;
use super::suppression_settings::SuppressionSettings;
use super::suppression_store::SuppressionStoreFactory;
#[cfg(feature = "webhooks")]
use crate::suppressions::SuppressionFeed;
use crate::suppressions::{SuppressionHook, SuppressionStore};

/// A store and its configuration.
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

    pub(super) fn store(&self) -> Arc<dyn SuppressionStore> {
        Arc::clone(&self.store)
    }

    #[cfg(feature = "webhooks")]
    pub(super) fn feed(&self) -> SuppressionFeed {
        let streams = self.settings.streams.iter();
        streams.fold(
            SuppressionFeed::new(self.store()),
            |feed, (stream, scope)| feed.scope_of_stream(stream, scope.as_deref()),
        )
    }

    /// Opens the store of a mailer if there are no faults so far.
    pub(super) fn open(
        find: &mut Finder<'_>,
        settings: Option<&SuppressionSettings>,
    ) -> Option<Self> {
        let settings = settings?;
        let name = settings.store.as_deref()?;
        let place = Place::Path(format!("{}.", settings.place));
        let Some(factory) = find.registry.suppression_store(name) else {
            let names: Vec<_> = find.registry.suppression_store_names().collect();
            let problem = format!("unknown store {name:?}{}", known_names(name, &names));
            find.fault(Kind::UnknownStore, place.of("store"), problem);
            return None;
        };
        let options = store_options(find, settings, factory, &place);
        if !find.faults.is_empty() {
            return None;
        }
        let open = || factory.build(&options);
        match find.registry.opened_store(name, &settings.options, open) {
            Ok(store) => Some(Self {
                store,
                settings: settings.clone(),
            }),
            Err(faults) => {
                for fault in faults {
                    let place = place.of(&format!("options.{}", fault.option));
                    find.fault(Kind::InvalidValue, place, fault.problem);
                }
                None
            }
        }
    }
}

/// The fault of a member of a mailer that has its own suppressions. They would not apply, because
/// only the mailer that gets the message checks suppressions.
pub(super) fn suppressions_lost(member: &str, own: &Settings, mailer: &Settings) -> Option<String> {
    let own = own.suppressions.as_ref()?;
    let same =
        |other: &SuppressionSettings| (&own.store, &own.options) == (&other.store, &other.options);
    if own.store.is_none() || mailer.suppressions.as_ref().is_some_and(same) {
        return None;
    }
    Some(format!(
        "the member {member:?} has its own suppressions, which would not apply: set them on the \
         mailer that has the members"
    ))
}

fn store_options(
    find: &mut Finder<'_>,
    settings: &SuppressionSettings,
    factory: &dyn SuppressionStoreFactory,
    place: &Place,
) -> Options {
    let known: Vec<_> = factory.options().iter().map(|spec| spec.name).collect();
    let unknown = |key: &&String| !known.contains(&key.as_str());
    for key in settings.options.keys().filter(unknown) {
        let name = factory.name();
        let problem = format!("unknown {name} option{}", known_names(key, &known));
        let place = place.of(&format!("options.{key}"));
        find.fault(Kind::UnknownOption, place, problem);
    }
    let mut options = Options::default();
    for spec in factory.options() {
        let place = place.of(&format!("options.{}", spec.name));
        let given = settings.options.get(spec.name);
        match given.filter(|value| !value.is_null()) {
            Some(value) => {
                let given = Given {
                    value: value.clone(),
                    place,
                    source: Source::Table,
                };
                if let Some(value) = find.value(&given, spec.kind) {
                    options.values.insert(spec.name, value);
                }
            }
            None if spec.required => {
                let problem = format!("required by {} ({})", factory.name(), spec.help);
                find.fault(Kind::Missing, place, problem);
            }
            None => {}
        }
    }
    options
}
