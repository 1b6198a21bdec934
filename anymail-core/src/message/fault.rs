//! [`Fault`], a single thing that is wrong with a message, and [`MessageError`], all of them.
//!
//! `message.rs` and `builder.rs` look for faults.

use std::fmt;

/// The kinds of [`Fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// A text is not an address, or not the single address that was expected.
    InvalidAddress,
    /// There is no sender.
    MissingFrom,
    /// There are no recipients.
    NoRecipients,
    /// A custom header has an invalid or reserved name, or a value that could break its line.
    InvalidHeader,
    /// There is a line break or another control character in a single-line value.
    ControlCharacter,
    /// An attachment or alternative body is invalid.
    InvalidAttachment,
    /// A value has the wrong type or is out of range.
    InvalidValue,
    /// A key is not a message field; it may be a typo.
    UnknownField,
    /// The text is not JSON, or not a JSON object.
    InvalidJson,
    /// The message is larger than any ESP accepts.
    TooLarge,
}

/// A single thing that is wrong with a message: the field, what was given, and why it is invalid.
///
/// It never quotes a body, and at most 80 characters of anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    kind: FaultKind,
    field: String,
    problem: String,
}

impl Fault {
    /// Creates a fault in `field`. Backends use it in
    /// [`EmailBackend::check`](crate::EmailBackend::check).
    pub fn new(kind: FaultKind, field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            kind,
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// What kind of fault it is.
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// The field, for example `to` or `attachments[1]`.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What is wrong, in words.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

/// The error of building a message, with all of its faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageError {
    faults: Vec<Fault>,
}

impl MessageError {
    pub(crate) fn new(faults: Vec<Fault>) -> Self {
        Self { faults }
    }

    /// The faults, at least one, in the order in which they were found.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl std::error::Error for MessageError {}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid message: ")?;
        write_list(f, &self.faults)
    }
}

/// Writes `items`, separated by semicolons.
pub(crate) fn write_list(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display]) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str("; ")?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}
