//! [`Fault`]: one thing that is wrong with a message, and [`MessageError`]: all of them.
//!
//! What is looked for is in `mod.rs` and `builder.rs`.

use std::fmt;

/// What kind of fault a message has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// A text is not an address, or not the one address that was wanted.
    InvalidAddress,
    /// There is no sender.
    MissingFrom,
    /// There is nobody to send to.
    NoRecipients,
    /// A custom header has a bad or a refused name, or a value that could break its line.
    InvalidHeader,
    /// A line break or another control character where one line is wanted.
    ControlCharacter,
    /// An attachment or alternative cannot be as it was given.
    InvalidAttachment,
    /// A value has the wrong type or is out of bounds.
    InvalidValue,
    /// A key that no message has; it could be a misspelt one.
    UnknownField,
    /// The text is not JSON, or not a JSON object.
    InvalidJson,
    /// It is larger than the ESP could ever take.
    TooLarge,
}

/// One thing that is wrong with a message: the field, what was given, and why not.
///
/// Never quotes a body, and at most 80 characters of anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    kind: FaultKind,
    field: String,
    problem: String,
}

impl Fault {
    /// A fault in `field`, with its reason in words. Backends use it in
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

/// A message that cannot be: all of its faults at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageError {
    faults: Vec<Fault>,
}

impl MessageError {
    pub(crate) fn new(faults: Vec<Fault>) -> Self {
        Self { faults }
    }

    /// The faults, in the order of their discovery; there is at least one.
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

/// Writes `items` with semicolons between.
pub(crate) fn write_list(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display]) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str("; ")?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}
