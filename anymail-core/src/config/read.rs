//! Reads values from a configuration's tables and from the environment: each by its type, each
//! fault with its location.
//!
//! The keys are defined in `settings.rs` and `mailer_config.rs`.

use std::fs;
use std::io::Read as _;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::env::Env;
use super::error::{ConfigFault, ConfigFaultKind as Kind, nearest};
use crate::message::{JsonMap, json_problem};
use crate::secret::Secret;

/// The location of a table's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In a configuration, under this path, which is empty or ends in a dot.
    Path(String),
    /// In the environment: this prefix and the key in upper case.
    Env(String),
}

impl Default for Place {
    fn default() -> Self {
        Self::Path(String::new())
    }
}

impl Place {
    pub(super) fn of(&self, key: &str) -> String {
        match self {
            Self::Path(path) => format!("{path}{key}"),
            Self::Env(prefix) => format!("{prefix}{}", key.to_uppercase()),
        }
    }

    fn source(&self) -> Source {
        match self {
            Self::Path(_) => Source::Table,
            Self::Env(_) => Source::Env,
        }
    }
}

/// A value as it was given.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) value: Value,
    pub(super) place: String,
    pub(super) source: Source,
}

/// The kind of place that a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Table,
    Env,
    Url,
}

impl Source {
    /// Whether all values there are strings, which are parsed as the expected type.
    fn has_texts_only(self) -> bool {
        self != Self::Table
    }
}

type Read<T> = Result<T, ConfigFault>;

impl Given {
    /// Never quotes the value: it may be a secret in the wrong place.
    fn wrong(&self, wanted: &str) -> ConfigFault {
        let found = match &self.value {
            Value::String(_) if self.source.has_texts_only() => "",
            Value::Number(_) if wanted.contains("number") => "",
            Value::Null => ", got null",
            Value::Bool(_) => ", got a boolean",
            Value::Number(_) => ", got a number",
            Value::String(_) => ", got a string",
            Value::Array(_) => ", got a list",
            Value::Object(_) => ", got a table",
        };
        let problem = format!("expected {wanted}{found}");
        ConfigFault::new(Kind::WrongType, &self.place, problem)
    }

    pub(super) fn invalid(&self, problem: impl ToString) -> ConfigFault {
        ConfigFault::new(Kind::InvalidValue, &self.place, problem.to_string())
    }

    pub(super) fn text(&self) -> Read<String> {
        match &self.value {
            Value::String(text) => Ok(text.clone()),
            _ => Err(self.wrong("a string")),
        }
    }

    pub(super) fn flag(&self) -> Read<bool> {
        let word = match &self.value {
            Value::Bool(on) => return Ok(*on),
            Value::String(word) if self.source.has_texts_only() => word.to_ascii_lowercase(),
            _ => String::new(),
        };
        match word.as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(self.wrong("true or false")),
        }
    }

    pub(super) fn integer(&self) -> Read<u64> {
        let number = match &self.value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) if self.source.has_texts_only() => text.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| self.wrong("a whole number, 0 or more"))
    }

    pub(super) fn seconds(&self) -> Read<Duration> {
        let number = match &self.value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) if self.source.has_texts_only() => text.parse().ok(),
            _ => None,
        };
        number
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .ok_or_else(|| self.wrong("a number of seconds, 0 or more"))
    }

    pub(super) fn list(&self) -> Read<Vec<String>> {
        match &self.value {
            Value::String(text) if self.source.has_texts_only() => {
                let items = text.split(',').map(str::trim);
                Ok(items
                    .filter(|item| !item.is_empty())
                    .map(str::to_owned)
                    .collect())
            }
            Value::Array(items) => {
                let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
                let texts: Option<Vec<_>> = texts.collect();
                texts.ok_or_else(|| self.wrong("a list of strings"))
            }
            _ => Err(self.wrong("a list of strings")),
        }
    }

    pub(super) fn table(&self) -> Read<JsonMap> {
        match &self.value {
            Value::Object(map) => Ok(map.clone()),
            Value::String(text) if self.source.has_texts_only() => serde_json::from_str(text)
                .map_err(|error| {
                    let problem = json_problem(&error);
                    self.invalid(format!("expected a JSON object: {problem}"))
                }),
            _ => Err(self.wrong("a table")),
        }
    }

    /// The secret itself, or `env:` or `file:` and its location. In the environment, several can be
    /// in a JSON list.
    pub(super) fn secrets(&self) -> Read<Vec<Secret>> {
        let in_json = match &self.value {
            Value::String(text) if self.source.has_texts_only() && text.starts_with('[') => {
                serde_json::from_str(text).unwrap_or(Value::Null)
            }
            value => value.clone(),
        };
        match in_json {
            Value::String(text) => Ok(vec![Secret::new(text)]),
            Value::Array(_) => {
                let list = Self {
                    value: in_json,
                    ..self.clone()
                }
                .list();
                let list = list.map_err(|_| self.wrong("a string or a list of strings"))?;
                Ok(list.into_iter().map(Secret::new).collect())
            }
            _ => Err(self.wrong("a string or a list of strings")),
        }
    }
}

/// Resolves a secret: the value itself, or the contents of the variable or file that it names.
pub(super) fn resolve(given: &Secret, env: &Env, place: &str) -> Read<Secret> {
    let fault = |kind, problem| Err(ConfigFault::new(kind, place, problem));
    let secret = if let Some(name) = given.expose().strip_prefix("env:") {
        match env.get(name) {
            Some(text) => Secret::new(text),
            None => {
                let problem = format!("the environment variable {name:?} is not set or is empty");
                return fault(Kind::UnreadableSecret, problem);
            }
        }
    } else if let Some(path) = given.expose().strip_prefix("file:") {
        match read_file(path) {
            Ok(secret) => secret,
            Err(problem) => {
                let problem = format!("could not read the file {path:?}: {problem}");
                return fault(Kind::UnreadableSecret, problem);
            }
        }
    } else {
        given.clone()
    };
    if secret.is_blank() {
        return fault(
            Kind::InvalidValue,
            "the secret must not be empty".to_owned(),
        );
    }
    Ok(secret)
}

/// The maximum size of a secret's file. Keys and tokens are far smaller; a device or a log file
/// that was named by mistake is not.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// How long a pipe or a device may take to provide a secret. Reading a pipe that nobody writes to
/// would never end.
const MAX_SECRET_WAIT: Duration = Duration::from_secs(5);

/// Reads a secret from a file, without its byte order mark and one final line break.
fn read_file(path: &str) -> Result<Secret, String> {
    let is_file = fs::metadata(path).map(|metadata| metadata.is_file());
    let bytes = match is_file.map_err(|error| error.to_string())? {
        true => read_bytes(path),
        false => read_in_time(path),
    }?;
    if bytes.len() as u64 > MAX_SECRET_BYTES {
        return Err(format!("larger than {MAX_SECRET_BYTES} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "not valid UTF-8".to_owned())?;
    let line = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let line = line.strip_suffix('\n').unwrap_or(line);
    Ok(Secret::new(line.strip_suffix('\r').unwrap_or(line)))
}

/// Reads one byte more than the maximum, to detect larger files.
fn read_bytes(path: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path)
        .and_then(|file| file.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Reads on a thread, which is abandoned if it does not finish in time.
fn read_in_time(path: &str) -> Result<Vec<u8>, String> {
    let (sender, receiver) = mpsc::channel();
    let path = path.to_owned();
    let read = move || sender.send(read_bytes(&path));
    let thread = thread::Builder::new().name("anymail-secret".to_owned());
    thread.spawn(read).map_err(|error| error.to_string())?;
    receiver.recv_timeout(MAX_SECRET_WAIT).unwrap_or_else(|_| {
        let seconds = MAX_SECRET_WAIT.as_secs();
        Err(format!("nothing was written to it within {seconds} s"))
    })
}

/// A table that is read key by key.
pub(super) struct Table {
    map: JsonMap,
    place: Place,
    known: Vec<&'static str>,
    pub(super) faults: Vec<ConfigFault>,
}

impl Table {
    pub(super) fn new(map: JsonMap, place: Place) -> Self {
        Self {
            map,
            place,
            known: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Takes the value of a key; null counts as not set.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Given> {
        self.known.push(key);
        let value = self
            .map
            .shift_remove(key)
            .filter(|value| !value.is_null())?;
        Some(Given {
            value,
            place: self.place.of(key),
            source: self.place.source(),
        })
    }

    /// Takes the value of a key and reads it.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Given) -> Read<T>,
    ) -> Option<T> {
        let result = read(&self.take(key)?);
        result.map_err(|fault| self.faults.push(fault)).ok()
    }

    /// Takes a table of tables: each key's table and location.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<(String, JsonMap, Place)> {
        let place = self.place.of(key);
        let outer = self.read(key, Given::table).unwrap_or_default();
        let mut tables = Vec::new();
        for (name, value) in outer {
            let path = format!("{place}.{name}");
            let given = Given {
                value,
                place: path.clone(),
                source: Source::Table,
            };
            match given.table() {
                Ok(table) => tables.push((name, table, Place::Path(format!("{path}.")))),
                Err(fault) => self.faults.push(fault),
            }
        }
        tables
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The keys that have not been taken.
    pub(super) fn rest(&self) -> impl Iterator<Item = &str> {
        self.map.keys().map(String::as_str)
    }

    /// The keys that have been looked for.
    pub(super) fn known(&self) -> impl Iterator<Item = &str> {
        self.known.iter().copied()
    }

    /// All faults, including those of unknown keys.
    pub(super) fn finish(mut self) -> Vec<ConfigFault> {
        let unknown = self.map.keys().map(|key| {
            let meant = match nearest(key, self.known.iter().copied()) {
                Some(other) => format!("; did you mean {other:?}?"),
                None => format!(" (known: {})", self.known.join(", ")),
            };
            let problem = format!("unknown setting{meant}");
            ConfigFault::new(Kind::UnknownOption, self.place.of(key), problem)
        });
        self.faults.extend(unknown);
        self.faults
    }
}
