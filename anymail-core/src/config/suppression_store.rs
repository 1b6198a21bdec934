//! [`SuppressionStoreFactory`], which adds a suppression store to a [`Registry`](crate::Registry),
//! and the factories of core's own stores.
//!
//! `suppressions.rs` reads the configuration of suppressions.

use std::fmt::Debug;
use std::sync::Arc;

use super::options::{OptionFault, OptionSpec, Options};
use crate::suppressions::{FileSuppressionStore, MemorySuppressionStore, SuppressionStore};

type Built = Result<Arc<dyn SuppressionStore>, Vec<OptionFault>>;

/// Builds suppression stores of one kind from configured options.
///
/// Configurations select it with `suppressions = { store = "NAME", options = { ... } }`.
///
/// ```
/// use std::sync::Arc;
/// use anymail_core::{
///     MailersConfig, MemorySuppressionStore, OptionFault, OptionSpec, Options, Registry,
///     SuppressionStore, SuppressionStoreFactory,
/// };
///
/// #[derive(Debug)]
/// struct RedisStoreFactory;
///
/// const OPTIONS: [OptionSpec; 1] = [OptionSpec::secret("url", "where Redis is").required()];
///
/// impl SuppressionStoreFactory for RedisStoreFactory {
///     fn name(&self) -> &str {
///         "redis"
///     }
///
///     fn options(&self) -> &[OptionSpec] {
///         &OPTIONS
///     }
///
///     fn build(&self, options: &Options) -> Result<Arc<dyn SuppressionStore>, Vec<OptionFault>> {
///         let url = options.secret("url").ok_or(OptionFault::missing("url"))?;
///         # let _ = url;
///         // A store over a pool that connects when it is first used.
///         Ok(Arc::new(MemorySuppressionStore::new()))
///     }
/// }
///
/// let registry = Registry::new().with_suppression_store(RedisStoreFactory);
/// let config: MailersConfig = toml::from_str(r#"
///     backend = "memory"
///     suppressions = { store = "redis", options = { url = "redis://localhost" } }
/// "#)?;
/// config.build(&registry)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait SuppressionStoreFactory: Debug + Send + Sync {
    /// The store's name in a configuration, in `snake_case`.
    fn name(&self) -> &str;

    /// All options of the store. Core rejects any other option, checks types and required options,
    /// and resolves secrets. Options of the type [`Mailers`](crate::OptionKind::Mailers) have no
    /// meaning here.
    fn options(&self) -> &[OptionSpec];

    /// Builds a store. Several mailers may share it, and several configurations that are built with
    /// the same registry.
    ///
    /// # Errors
    /// All faults in the options that a type check cannot find. A fault must not quote a secret.
    fn build(&self, options: &Options) -> Built;
}

#[derive(Debug)]
pub(super) struct MemoryStoreFactory;

impl SuppressionStoreFactory for MemoryStoreFactory {
    fn name(&self) -> &str {
        "memory"
    }

    fn options(&self) -> &[OptionSpec] {
        const OPTIONS: [OptionSpec; 1] = [OptionSpec::integer(
            "limit",
            "the maximum number of addresses; 1,000,000 by default",
        )];
        &OPTIONS
    }

    fn build(&self, options: &Options) -> Built {
        let limit = options.integer("limit").map(usize::try_from);
        let store = match limit {
            None => MemorySuppressionStore::new(),
            Some(limit) => MemorySuppressionStore::with_limit(limit.unwrap_or(usize::MAX)),
        };
        Ok(Arc::new(store))
    }
}

#[derive(Debug)]
pub(super) struct FileStoreFactory;

impl SuppressionStoreFactory for FileStoreFactory {
    fn name(&self) -> &str {
        "file"
    }

    fn options(&self) -> &[OptionSpec] {
        const OPTIONS: [OptionSpec; 1] =
            [OptionSpec::text("path", "the file; created if it does not exist").required()];
        &OPTIONS
    }

    fn build(&self, options: &Options) -> Built {
        let path = options.text("path").ok_or(OptionFault::missing("path"))?;
        let store = FileSuppressionStore::open(path)
            .map_err(|error| OptionFault::new("path", error.to_string()))?;
        Ok(Arc::new(store))
    }
}
