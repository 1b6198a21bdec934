//! Mailers from a configuration: which backend, with which options, under which settings.
//!
//! What a backend or a setting does is said where it lives, in `backends` and `sending`.

mod backend_url;
mod build;
mod builtin;
mod env;
mod env_config;
mod error;
mod factory;
mod find;
mod mailer_config;
mod mailers;
mod member_defaults;
mod members;
mod options;
mod read;
mod registry;
mod settings;
#[cfg(feature = "smtp")]
mod smtp;
mod suppression_settings;
mod suppression_store;
mod suppressions;
#[cfg(feature = "webhooks")]
mod webhooks;
#[cfg(not(feature = "webhooks"))]
#[path = "webhooks_off.rs"]
mod webhooks;

pub use backend_url::{BackendUrl, BackendUrlError, UrlOptions};
pub use env::Env;
pub use error::{ConfigError, ConfigFault, ConfigFaultKind};
pub use factory::BackendFactory;
pub use mailer_config::{BackendConfig, MailerConfig, MailersConfig};
pub use mailers::Mailers;
pub use options::{OptionFault, OptionKind, OptionSpec, Options};
pub use registry::Registry;
pub use settings::Settings;
pub use suppression_settings::SuppressionSettings;
pub use suppression_store::SuppressionStoreFactory;
