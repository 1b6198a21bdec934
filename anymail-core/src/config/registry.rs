//! [`Registry`]: the backends that a configuration can name.
//!
//! What a crate must give to be in it is said in `factory.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::builtin::{ConsoleFactory, FailoverFactory, MemoryFactory, RoundRobinFactory};
use super::factory::BackendFactory;
use crate::backends::Outbox;

/// Backends by name. A value: two registries, in two tests say, have nothing in common.
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
    outbox: Outbox,
}

impl Registry {
    /// The backends of this crate: `console`, `failover`, `file` (feature `mime`), `memory` and
    /// `round_robin`.
    pub fn new() -> Self {
        let outbox = Outbox::new();
        let registry = Self {
            factories: BTreeMap::new(),
            outbox: outbox.clone(),
        };
        let registry = registry
            .with(ConsoleFactory)
            .with(FailoverFactory)
            .with(MemoryFactory(outbox))
            .with(RoundRobinFactory);
        #[cfg(feature = "mime")]
        let registry = registry.with(super::builtin::FileFactory);
        registry
    }

    /// The same with one backend more, in the place of one of the same name.
    #[must_use]
    pub fn with(mut self, factory: impl BackendFactory + 'static) -> Self {
        let name = factory.name().to_owned();
        self.factories.insert(name, Arc::new(factory));
        self
    }

    /// The factory of this name.
    pub fn get(&self, name: &str) -> Option<&dyn BackendFactory> {
        self.factories.get(name).map(|factory| &**factory)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.factories.keys().map(String::as_str)
    }

    /// Where all mailers with the backend `memory` put their messages that are built with this
    /// registry or a clone of it.
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

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}
