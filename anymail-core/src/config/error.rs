//! [`ConfigError`]: all that is wrong with a configuration, at once.
//!
//! What a factory finds wrong with an option is an `OptionFault`, in `options.rs`.

use std::fmt;

use crate::message::write_list;

/// A configuration that no mailers can be made of: all of its faults.
///
/// `Display` tells them in one line; for a line each, print the [`faults`](Self::faults).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    faults: Vec<ConfigFault>,
}

impl ConfigError {
    pub(super) fn new(faults: Vec<ConfigFault>) -> Self {
        Self { faults }
    }

    /// The faults; there is at least one.
    pub fn faults(&self) -> &[ConfigFault] {
        &self.faults
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid mail configuration: ")?;
        write_list(f, &self.faults)
    }
}

/// One thing that is wrong with a configuration. Never quotes a secret.
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

    /// Says the problem in other words.
    pub(super) fn change_problem(&mut self, change: impl FnOnce(&str) -> String) {
        self.problem = change(&self.problem);
    }

    /// What kind of fault it is.
    pub fn kind(&self) -> ConfigFaultKind {
        self.kind
    }

    /// Where it is: the path in the configuration, for example
    /// `mailers.marketing.options.server_token`, or the name of an environment variable.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong and what could be done, in words.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

/// What kind of fault a configuration has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigFaultKind {
    /// No backend of this name is registered.
    UnknownBackend,
    /// No store of suppressions of this name is registered.
    UnknownStore,
    /// No mailer of this name is configured.
    UnknownMailer,
    /// There is no setting or option of this name; it could be a misspelt one.
    UnknownOption,
    /// A setting or option that must be there is not.
    Missing,
    /// A value of another type is wanted.
    WrongType,
    /// The value cannot be used.
    InvalidValue,
    /// A secret's variable or file is not there or cannot be read.
    UnreadableSecret,
    /// Two settings contradict each other.
    Conflict,
}

/// Of the names there are, the one that `name` may be a misspelling of: at most a third of its
/// letters differ.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |other: &&str| strsim::damerau_levenshtein(name, other);
    let best = known.into_iter().min_by_key(distance)?;
    (distance(&best) * 3 <= name.chars().count()).then_some(best)
}

/// The end of a sentence about an unknown name: the nearest that is known, and all of them.
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
    fn the_nearest_name_is_told_only_if_it_is_near() {
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
