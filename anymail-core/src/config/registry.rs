//! [`Registry`]: the backends that a configuration can name.
//!
//! `factory.rs` defines what a backend crate provides.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::builtin::{ConsoleFactory, FailoverFactory, MemoryFactory, RoundRobinFactory};
use super::error::known_names;
use super::factory::BackendFactory;
use super::suppression_store::{FileStoreFactory, MemoryStoreFactory, SuppressionStoreFactory};
use crate::backends::Outbox;
use crate::message::JsonMap;
use crate::suppressions::SuppressionStore;

/// The known backends by name. It is a value: two registries, for example in two tests, are
/// independent.
///
/// ```
/// use anymail_core::Registry;
///
/// let registry = Registry::new(); // .with(AcmeFactory) from the crate of each ESP
/// assert!(registry.names().any(|name| name == "console"));
/// ```
#[derive(Debug, Clone)]
pub struct Registry {
    factories: BTreeMap<String, Arc<dyn BackendFactory>>,
    stores: BTreeMap<String, Arc<dyn SuppressionStoreFactory>>,
    opened: Arc<Mutex<Vec<Opened>>>,
    outbox: Outbox,
}

/// A store that all mailers with the same options share. `Debug` shows its name.
struct Opened {
    name: String,
    options: JsonMap,
    store: Arc<dyn SuppressionStore>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The feature of this crate that adds the backend with this name.
fn feature_of(backend: &str) -> Option<&'static str> {
    match backend {
        "file" => Some("mime"),
        "smtp" => Some("smtp"),
        _ => None,
    }
}

fn compiled_without(feature: &str) -> String {
    format!(
        "needs the feature `{feature}` of anymail-core, which this program was compiled without"
    )
}

impl Registry {
    /// Creates a registry with the backends of this crate: `console`, `failover`, `file` (feature
    /// `mime`), `memory`, `round_robin` and `smtp` (feature `smtp`).
    pub fn new() -> Self {
        let outbox = Outbox::new();
        let registry = Self {
            factories: BTreeMap::new(),
            stores: BTreeMap::new(),
            opened: Arc::default(),
            outbox: outbox.clone(),
        };
        let registry = registry
            .with(ConsoleFactory)
            .with(FailoverFactory)
            .with(MemoryFactory(outbox))
            .with(RoundRobinFactory)
            .with_suppression_store(FileStoreFactory)
            .with_suppression_store(MemoryStoreFactory);
        #[cfg(feature = "mime")]
        let registry = registry.with(super::builtin::FileFactory);
        #[cfg(feature = "smtp")]
        let registry = registry.with(super::smtp::SmtpFactory);
        registry
    }

    /// Adds a backend, replacing one with the same name.
    #[must_use]
    pub fn with(mut self, factory: impl BackendFactory + 'static) -> Self {
        let name = factory.name().to_owned();
        self.factories.insert(name, Arc::new(factory));
        self
    }

    /// The factory with this name.
    pub fn get(&self, name: &str) -> Option<&dyn BackendFactory> {
        self.factories.get(name).map(|factory| &**factory)
    }

    /// The factory that accepts URLs with this scheme.
    pub(super) fn of_scheme(&self, scheme: &str) -> Option<&dyn BackendFactory> {
        let mut factories = self.factories.values();
        let reads = |factory: &&Arc<dyn BackendFactory>| {
            let mut schemes = factory.url_schemes().into_iter();
            schemes.any(|known| url_scheme(known) == scheme)
        };
        factories.find(reads).map(|factory| &**factory)
    }

    /// Why no backend has this name.
    pub(super) fn why_no_backend(&self, name: &str) -> String {
        if let Some(feature) = feature_of(name) {
            return format!("the backend {name:?} {}", compiled_without(feature));
        }
        let names: Vec<_> = self.names().collect();
        format!("unknown backend {name:?}{}", known_names(name, &names))
    }

    /// Why no backend accepts URLs with this scheme.
    pub(super) fn why_no_scheme(&self, scheme: &str) -> String {
        let backend = if scheme == "smtps" { "smtp" } else { scheme };
        if let Some(feature) = feature_of(backend) {
            return format!("{scheme}:// {}", compiled_without(feature));
        }
        let schemes = self.factories.values().flat_map(|it| it.url_schemes());
        let schemes: Vec<_> = schemes.map(url_scheme).collect();
        let schemes: Vec<_> = schemes.iter().map(String::as_str).collect();
        let known = known_names(scheme, &schemes);
        format!("no backend accepts {scheme}:// URLs{known}")
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.factories.keys().map(String::as_str)
    }

    /// Adds a suppression store, replacing one with the same name. `file` and `memory` are built
    /// in.
    #[must_use]
    pub fn with_suppression_store(
        mut self,
        factory: impl SuppressionStoreFactory + 'static,
    ) -> Self {
        let name = factory.name().to_owned();
        self.stores.insert(name, Arc::new(factory));
        self
    }

    pub(super) fn suppression_store(&self, name: &str) -> Option<&dyn SuppressionStoreFactory> {
        self.stores.get(name).map(|factory| &**factory)
    }

    pub(super) fn suppression_store_names(&self) -> impl Iterator<Item = &str> {
        self.stores.keys().map(String::as_str)
    }

    /// The store with these options, opened on first use. It stays open as long as the registry or
    /// a clone of it exists.
    pub(super) fn opened_store<E>(
        &self,
        name: &str,
        options: &JsonMap,
        open: impl FnOnce() -> Result<Arc<dyn SuppressionStore>, E>,
    ) -> Result<Arc<dyn SuppressionStore>, E> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |it: &&Opened| it.name == name && it.options == *options;
        if let Some(same) = opened.iter().find(same) {
            return Ok(Arc::clone(&same.store));
        }
        let store = open()?;
        opened.push(Opened {
            name: name.to_owned(),
            options: options.clone(),
            store: Arc::clone(&store),
        });
        Ok(store)
    }

    /// The messages sent with the backend `memory` by all mailers that are built with this registry
    /// or a clone of it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use anymail_core::{MailersConfig, Message, Registry};
    ///
    /// let registry = Registry::new();
    /// let config: MailersConfig = serde_json::from_str(r#"{"backend": "memory"}"#)?;
    /// let mailers = config.build(&registry)?;
    ///
    /// let message = Message::builder().from("a@example.com").to("b@example.com").build()?;
    /// mailers.default_mailer().send(&message).await?;
    /// assert_eq!(registry.outbox().len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn outbox(&self) -> Outbox {
        self.outbox.clone()
    }
}

/// A name as URLs contain it.
pub(super) fn url_scheme(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_that_was_not_compiled_names_its_feature() {
        let without = Registry {
            factories: BTreeMap::new(),
            ..Registry::new()
        };
        for (problem, feature) in [
            (without.why_no_backend("file"), "`mime`"),
            (without.why_no_backend("smtp"), "`smtp`"),
            (without.why_no_scheme("file"), "`mime`"),
            (without.why_no_scheme("smtp"), "`smtp`"),
            (without.why_no_scheme("smtps"), "`smtp`"),
        ] {
            assert!(problem.contains(feature), "{problem}");
        }
    }
}
