//! [`Env`]: environment variables, and the names of those that anymail reads.
//!
//! A whole configuration is read from them in `env_config.rs`.

use std::collections::BTreeMap;
use std::fmt;

/// A snapshot of environment variables. Tests create their own.
///
/// A variable that is set but empty counts as not set. `Debug` shows only names.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Env(BTreeMap<String, String>);

impl Env {
    /// The environment of this process, without values that are not valid Unicode.
    pub fn process() -> Self {
        let vars = std::env::vars_os();
        vars.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?;
        Some(value.as_str()).filter(|value| !value.trim().is_empty())
    }

    /// The names of all variables, including empty ones.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(vars: I) -> Self {
        let vars = vars
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        Self(vars.collect())
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for Env {
    fn from(vars: [(K, V); N]) -> Self {
        vars.into_iter().collect()
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

pub(super) const PREFIX: &str = "ANYMAIL_";

/// The upper-case form of a name that variables use, such as `ROUND_ROBIN`.
pub(super) fn upper(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

/// The variables that may contain an option, in order of precedence.
pub(super) fn option_names(backend: &str, option: &str) -> [String; 2] {
    let bare = format!("{}_{}", upper(backend), upper(option));
    [format!("{PREFIX}{bare}"), bare]
}
