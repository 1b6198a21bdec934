//! The options of a backend: what a factory says of them ([`OptionSpec`]) and what it is given
//! ([`Options`]).
//!
//! Where they are looked for, and in which order, is said in `build.rs`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::backends::Member;
#[cfg(feature = "webhooks")]
use crate::receiving::WebhookAuth;
use crate::secret::Secret;
use crate::sending::UnsupportedPolicy;

/// An option that a backend takes.
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
    /// Its name in the configuration, in `snake_case`. In the environment it is looked for as
    /// `ANYMAIL_<BACKEND>_<NAME>` and `<BACKEND>_<NAME>`, in upper case.
    pub name: &'static str,
    /// What it takes.
    pub kind: OptionKind,
    /// Whether there is no backend without it.
    pub required: bool,
    /// What it is for, in one line, which also says the default.
    pub help: &'static str,
}

/// What an option takes, in a configuration file and in an environment variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OptionKind {
    /// A text. A number is none, lest `007` became `7`.
    Text,
    /// A text that never prints: the secret itself, `env:NAME` for the variable that has it, or
    /// `file:PATH` for the file that has it: UTF-8 text of up to 64 KiB, in which a byte order
    /// mark at the start and one line break at the end do not count.
    Secret,
    /// `true` or `false`; in the environment also `1`, `0`, `yes`, `no`, `on`, `off`.
    Flag,
    /// A whole number from 0.
    Integer,
    /// A number of seconds, with or without a fraction.
    Seconds,
    /// A list of texts; in the environment separated by commas.
    List,
    /// The names of other mailers, whose backends this one uses: a list. A backend that needs no
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

    /// The same option, but there is no backend without it.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

/// The options that a backend is built with.
///
/// Core has checked them: each is one that the factory named, of its kind, and none that is
/// required is missing. Reading one by another kind's method gives nothing.
#[derive(Default)]
pub struct Options {
    pub(super) values: BTreeMap<&'static str, OptionValue>,
    pub(super) unsupported: UnsupportedPolicy,
    #[cfg(feature = "webhooks")]
    pub(super) webhook_auth: Option<WebhookAuth>,
}

/// A value by its kind.
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

/// Each method gives the option of this name; `None` (or nothing in a list) where it is not
/// configured, or where its [`OptionSpec`] says that it is of another kind.
impl Options {
    /// A text.
    pub fn text(&self, name: &str) -> Option<&str> {
        read!(self, name, Text).map(String::as_str)
    }

    /// A secret, read from where it is kept. It is not blank.
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        read!(self, name, Secret)
    }

    /// A flag.
    pub fn flag(&self, name: &str) -> Option<bool> {
        read!(self, name, Flag).copied()
    }

    /// A whole number from 0.
    pub fn integer(&self, name: &str) -> Option<u64> {
        read!(self, name, Integer).copied()
    }

    /// A time, which the configuration gives in seconds.
    pub fn seconds(&self, name: &str) -> Option<Duration> {
        read!(self, name, Seconds).copied()
    }

    /// A list; empty where there is none.
    pub fn list(&self, name: &str) -> &[String] {
        read!(self, name, List).map_or(&[], Vec::as_slice)
    }

    /// The backends of other mailers, with what is configured for them alone; empty where there
    /// are none.
    pub fn members(&self, name: &str) -> &[Member] {
        read!(self, name, Members).map_or(&[], Vec::as_slice)
    }

    /// What the mailer does with features that are not supported, for backends over other
    /// backends.
    pub fn unsupported(&self) -> UnsupportedPolicy {
        self.unsupported
    }

    /// Who may post to webhooks: whoever bears one of the configured pairs of user and password
    /// (feature `webhooks`). If none is configured, everybody, until the factory adds a signature:
    /// core refuses such webhooks unless the configuration has `webhook_secret = "none"`.
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

/// Prints names only.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// An option that a factory cannot build with. It must not quote a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionFault {
    pub(super) option: String,
    pub(super) problem: String,
    pub(super) is_missing: bool,
}

impl OptionFault {
    /// What is wrong with an option, in words.
    pub fn new(option: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            option: option.into(),
            problem: problem.into(),
            is_missing: false,
        }
    }

    /// It is not there, and must be.
    pub fn missing(option: impl Into<String>) -> Self {
        Self {
            is_missing: true,
            ..Self::new(option, "missing")
        }
    }
}

/// For the `?` of a factory that finds one fault.
impl From<OptionFault> for Vec<OptionFault> {
    fn from(fault: OptionFault) -> Self {
        vec![fault]
    }
}
