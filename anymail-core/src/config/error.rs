//! [`ConfigError`]: all faults of a configuration.
//!
//! Faults that a factory reports are `OptionFault`s, in `options.rs`.

use std::fmt;

use crate::message::write_list;

/// The error of building mailers from a configuration, with all of its faults.
///
/// `Display` and `Debug` write them on one line, so that the error is readable if `main` returns it.
/// To write one per line, print the [`faults`](Self::faults).
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError {
    faults: Vec<ConfigFault>,
}

impl ConfigError {
    pub(super) fn new(faults: Vec<ConfigFault>) -> Self {
        Self { faults }
    }

    /// The faults, at least one.
    pub fn faults(&self) -> &[ConfigFault] {
        &self.faults
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid mail configuration: ")?;
        write_list(f, &self.faults)
    }
}

/// A single fault in a configuration. It never quotes a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    kind: ConfigFaultKind,
    path: String,
    problem: String,
}

impl ConfigFault {
    pub(super) fn new(
        kind: ConfigFaultKind,
        path: impl Into<String>,
        problem: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            path: path.into(),
            problem: problem.into(),
        }
    }

    /// Replaces the text of the problem.
    pub(super) fn change_problem(&mut self, change: impl FnOnce(&str) -> String) {
        self.problem = change(&self.problem);
    }

    /// The kind of fault.
    pub fn kind(&self) -> ConfigFaultKind {
        self.kind
    }

    /// The location: the path in the configuration, for example
    /// `mailers.marketing.options.server_token`, or the name of an environment variable.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong and how to fix it.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

/// The kinds of [`ConfigFault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigFaultKind {
    /// No backend with this name is registered.
    UnknownBackend,
    /// No suppression store with this name is registered.
    UnknownStore,
    /// No mailer with this name is configured.
    UnknownMailer,
    /// There is no setting or option with this name; it may be a typo.
    UnknownOption,
    /// A required setting or option is missing.
    Missing,
    /// The value has the wrong type.
    WrongType,
    /// The value is not valid.
    InvalidValue,
    /// The variable or file of a secret does not exist or cannot be read.
    UnreadableSecret,
    /// Two settings contradict each other.
    Conflict,
}

/// The known name that `name` is most likely a typo of, if at most a third of its characters
/// differ.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |other: &&str| strsim::damerau_levenshtein(name, other);
    let best = known.into_iter().min_by_key(distance)?;
    (distance(&best) * 3 <= name.chars().count()).then_some(best)
}

/// The end of a message about an unknown name: the most similar known name, and all known names.
pub(super) fn known_names(name: &str, known: &[&str]) -> String {
    let meant = match nearest(name, known.iter().copied()) {
        Some(other) => format!("; did you mean {other:?}?"),
        None => String::new(),
    };
    match known {
        [] => format!("{meant} (none are known)"),
        known => format!("{meant} (known: {})", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_main_returns_is_readable() {
        let fault = ConfigFault::new(ConfigFaultKind::UnknownBackend, "backend", "unknown \"a\"");
        let error = ConfigError::new(vec![fault]);
        assert_eq!(format!("{error:?}"), error.to_string());
    }

    #[test]
    fn a_name_is_suggested_only_if_it_is_similar() {
        let known = ["server_token", "api_url", "timeout"];
        for (name, expected) in [
            ("server_tokn", Some("server_token")),
            ("sever_token", Some("server_token")),
            ("api_ulr", Some("api_url")),
            ("token", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
    }
}
