//! The JSON line of a change in the file of a [`FileSuppressionStore`].
//!
//! [`FileSuppressionStore`]: super::file::FileSuppressionStore

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

use super::suppression::{Reactivation, Suppression};

/// The maximum length of a line. An address has at most 254 characters, so the rest is a scope, a
/// source and an event.
pub(super) const MAX_LINE: usize = 64 * 1024;

/// One change.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Line {
    Suppressed(Suppression),
    Reactivated(Reactivation),
}

/// A borrowed change.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum LineRef<'a> {
    Suppressed(&'a Suppression),
    Reactivated(&'a Reactivation),
}

/// Appends the line of a suppression.
pub(super) fn push_suppression(out: &mut Vec<u8>, suppression: &Suppression) -> io::Result<()> {
    push(out, &LineRef::Suppressed(suppression))
}

/// Appends the line of a reactivation.
pub(super) fn push_reactivation(out: &mut Vec<u8>, reactivation: &Reactivation) -> io::Result<()> {
    push(out, &LineRef::Reactivated(reactivation))
}

/// A line that could not be read back must not be written.
fn push(out: &mut Vec<u8>, line: &LineRef<'_>) -> io::Result<()> {
    let before = out.len();
    let written = serde_json::to_writer(&mut *out, line).map_err(io::Error::from);
    let length = out.len().saturating_sub(before);
    let written = written.and_then(|()| match length <= MAX_LINE {
        true => Ok(()),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "a change needs a line of {length} bytes, more than the limit of {MAX_LINE}: \
                 shorten its scope, source or event"
            ),
        )),
    });
    if written.is_err() {
        out.truncate(before);
        return written;
    }
    out.push(b'\n');
    Ok(())
}

/// Parses a line without its end.
pub(super) fn read(line: &[u8]) -> Result<Line, Problem> {
    if line.len() > MAX_LINE {
        return Err(Problem(format!("longer than {MAX_LINE} bytes")));
    }
    let read: Line = serde_json::from_slice(line).map_err(|error| Problem(unquoted(&error)))?;
    let address = match &read {
        Line::Suppressed(suppression) => &suppression.address,
        Line::Reactivated(reactivation) => &reactivation.address,
    };
    match address.as_str().contains('@') {
        true => Ok(read),
        false => Err(Problem("no email address".to_owned())),
    }
}

/// What is wrong with a line. It does not quote the line, which may contain an address.
#[derive(Debug)]
pub(super) struct Problem(String);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn unquoted(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "unexpected end of the line",
        serde_json::error::Category::Syntax => "not valid JSON",
        serde_json::error::Category::Data => "not a suppression or a reactivation",
        serde_json::error::Category::Io => "could not be read",
    };
    format!("{what} (column {})", error.column())
}
