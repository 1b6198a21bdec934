//! The options of a backend: how a factory declares them ([`OptionSpec`]), and their values
//! ([`Options`]).
//!
//! `find.rs` says where values are looked up, and in which order.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::backends::Member;
#[cfg(feature = "webhooks")]
use crate::receiving::WebhookAuth;
use crate::secret::Secret;
use crate::sending::UnsupportedPolicy;

/// The declaration of an option that a backend takes.
///
/// ```
/// use anymail_core::OptionSpec;
///
/// const OPTIONS: [OptionSpec; 2] = [
///     OptionSpec::secret("api_key", "the key from Acme's settings page").required(),
///     OptionSpec::seconds("timeout", "the time limit of one call; 30 by default"),
/// ];
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OptionSpec {
    /// Its name in a configuration, in `snake_case`. In the environment, its variables are
    /// `ANYMAIL_<BACKEND>_<NAME>` and `<BACKEND>_<NAME>`, in upper case.
    pub name: &'static str,
    /// The type of its value.
    pub kind: OptionKind,
    /// Whether the backend cannot be built without it.
    pub required: bool,
    /// What it is for, on one line, including the default.
    pub help: &'static str,
}

/// The type of an option's value, in a configuration file and in an environment variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OptionKind {
    /// A string. A number is refused, because `007` would become `7`.
    Text,
    /// A string that is never printed: the secret itself, `env:NAME` for a variable, or `file:PATH`
    /// for a file. A file contains UTF-8 text of up to 64 KiB, without its byte order mark and one
    /// final line break.
    Secret,
    /// `true` or `false`; in the environment also `1`, `0`, `yes`, `no`, `on`, `off`.
    Flag,
    /// A whole number, 0 or more.
    Integer,
    /// A number of seconds, which may have a fraction.
    Seconds,
    /// A list of strings; separated by commas in the environment.
    List,
    /// A list of the names of other mailers, whose backends this one uses. A backend that needs no
    /// mailer of its own can be named directly.
    Mailers,
}

impl OptionSpec {
    const fn new(name: &'static str, kind: OptionKind, help: &'static str) -> Self {
        Self {
            name,
            kind,
            required: false,
            help,
        }
    }

    /// An option of kind [`OptionKind::Text`].
    pub const fn text(name: &'static str, help: &'static str) -> Self {
        Self::new(name, OptionKind::Text, help)
    }

    /// An option of kind [`OptionKind::Secret`].
    pub const fn secret(name: &'static str, help: &'static str) -> Self {
        Self::new(name, OptionKind::Secret, help)
    }

    /// An option of kind [`OptionKind::Flag`].
    pub const fn flag(name: &'static str, help: &'static str) -> Self {
        Self::new(name, OptionKind::Flag, help)
    }

    /// An option of kind [`OptionKind::Integer`].
    pub const fn integer(name: &'static str, help: &'static str) -> Self {
        Self::new(name, OptionKind::Integer, help)
    }

    /// An option of kind [`OptionKind::Seconds`].
    pub const fn seconds(name: &'static str, help: &'static str) -> Self {
        Self::new(name, OptionKind::Seconds, help)
    }

    /// An option of kind [`OptionKind::List`].
    pub const fn list(name: &'static str, help: &'static str) -> Self {
        Self::new(name, OptionKind::List, help)
    }

    /// An option of kind [`OptionKind::Mailers`].
    pub const fn mailers(name: &'static str, help: &'static str) -> Self {
        Self::new(name, OptionKind::Mailers, help)
    }

    /// Makes the option required.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

/// The values of the options that a backend is built with.
///
/// Core has checked them: each is declared by the factory and has the declared type, and no
/// required option is missing. The method of another type returns nothing.
#[derive(Default)]
pub struct Options {
    pub(super) values: BTreeMap<&'static str, OptionValue>,
    pub(super) unsupported: UnsupportedPolicy,
    #[cfg(feature = "webhooks")]
    pub(super) webhook_auth: Option<WebhookAuth>,
}

/// A value of each type.
pub(super) enum OptionValue {
    Text(String),
    Secret(Secret),
    Flag(bool),
    Integer(u64),
    Seconds(Duration),
    List(Vec<String>),
    Members(Vec<Member>),
}

#[cfg(feature = "webhooks")]
impl OptionValue {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(one), Self::Text(two)) => one == two,
            (Self::Secret(one), Self::Secret(two)) => one.expose() == two.expose(),
            (Self::Flag(one), Self::Flag(two)) => one == two,
            (Self::Integer(one), Self::Integer(two)) => one == two,
            (Self::Seconds(one), Self::Seconds(two)) => one == two,
            (Self::List(one), Self::List(two)) => one == two,
            _ => false,
        }
    }
}

macro_rules! read {
    ($self:ident, $name:ident, $kind:ident) => {
        match $self.values.get($name) {
            Some(OptionValue::$kind(value)) => Some(value),
            _ => None,
        }
    };
}

/// Each method returns the option with this name. It returns `None`, or an empty list, if the
/// option is not configured or is declared with another type.
impl Options {
    /// A string.
    pub fn text(&self, name: &str) -> Option<&str> {
        read!(self, name, Text).map(String::as_str)
    }

    /// A secret, resolved and not blank.
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        read!(self, name, Secret)
    }

    /// A flag.
    pub fn flag(&self, name: &str) -> Option<bool> {
        read!(self, name, Flag).copied()
    }

    /// A whole number, 0 or more.
    pub fn integer(&self, name: &str) -> Option<u64> {
        read!(self, name, Integer).copied()
    }

    /// A duration, configured in seconds.
    pub fn seconds(&self, name: &str) -> Option<Duration> {
        read!(self, name, Seconds).copied()
    }

    /// A list; empty if not configured.
    pub fn list(&self, name: &str) -> &[String] {
        read!(self, name, List).map_or(&[], Vec::as_slice)
    }

    /// The backends of other mailers, with their own send defaults; empty if not configured.
    pub fn members(&self, name: &str) -> &[Member] {
        read!(self, name, Members).map_or(&[], Vec::as_slice)
    }

    /// What the mailer does with unsupported features. For backends over other backends.
    pub fn unsupported(&self) -> UnsupportedPolicy {
        self.unsupported
    }

    /// The authentication of webhooks by the configured users and passwords (feature `webhooks`).
    /// If none is configured, it accepts every request until the factory adds a signature; core
    /// refuses such webhooks unless the configuration has `webhook_secret = "none"`.
    #[cfg(feature = "webhooks")]
    pub fn webhook_auth(&self) -> WebhookAuth {
        let configured = self.webhook_auth.clone();
        configured.unwrap_or_else(WebhookAuth::none)
    }

    /// Whether both have the same options with the same values.
    #[cfg(feature = "webhooks")]
    pub(super) fn has_same_values(&self, other: &Self) -> bool {
        let same = |(one, two): ((_, &OptionValue), (_, &OptionValue))| {
            let ((name, one), (other_name, two)): ((&&str, _), (&&str, _)) = (one, two);
            name == other_name && one.is_same(two)
        };
        let pairs = self.values.iter().zip(&other.values);
        self.values.len() == other.values.len() && pairs.into_iter().all(same)
    }
}

/// Shows only names.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// A fault in the value of an option, reported by a factory. It must not quote a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionFault {
    pub(super) option: String,
    pub(super) problem: String,
    pub(super) is_missing: bool,
}

impl OptionFault {
    /// Creates a fault from the option's name and what is wrong with it.
    pub fn new(option: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            option: option.into(),
            problem: problem.into(),
            is_missing: false,
        }
    }

    /// Creates a fault for a required option that is missing.
    pub fn missing(option: impl Into<String>) -> Self {
        Self {
            is_missing: true,
            ..Self::new(option, "missing")
        }
    }
}

/// For the `?` operator in factories that find a single fault.
impl From<OptionFault> for Vec<OptionFault> {
    fn from(fault: OptionFault) -> Self {
        vec![fault]
    }
}
