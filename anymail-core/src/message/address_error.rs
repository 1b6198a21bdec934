//! [`AddressError`]: why a text is not an address.
//!
//! Texts are taken apart in `address_parser.rs` and checked in `address.rs`.

use std::fmt;

use super::text::excerpt;

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressErrorReason {
    /// There is nothing there.
    Empty,
    /// No `@`. Often a display name with a comma that lacks its quotes.
    NoAt,
    /// One address was wanted.
    Several,
    /// Text behind a complete address.
    TrailingText,
    /// A `"` that is never closed.
    OpenQuote,
    /// A `(` that is never closed.
    OpenComment,
    /// A `<` that is never closed, or closed too late.
    OpenAngle,
    /// A group without its `;`.
    OpenGroup,
    /// A line break or another control character.
    ControlCharacter(char),
    /// The domain is no host name, domain literal or valid international domain.
    InvalidDomain,
    /// The part before the `@` is no local part.
    InvalidLocalPart,
    /// Longer than RFC 5321 allows: 64 octets before the `@`, 254 in all.
    TooLong,
    /// Not an address in some other way.
    Malformed,
}

impl AddressErrorReason {
    pub(super) fn of(error: email_address::Error) -> Self {
        use email_address::Error as E;
        match error {
            E::MissingSeparator => Self::NoAt,
            E::LocalPartEmpty | E::InvalidCharacter => Self::InvalidLocalPart,
            E::LocalPartTooLong | E::DomainTooLong | E::SubDomainTooLong => Self::TooLong,
            E::DomainEmpty
            | E::SubDomainEmpty
            | E::DomainTooFew
            | E::DomainInvalidSeparator
            | E::InvalidIPAddress => Self::InvalidDomain,
            _ => Self::Malformed,
        }
    }
}

impl fmt::Display for AddressErrorReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty address",
            Self::NoAt => "missing \"@\" (put a display name with a comma in double quotes)",
            Self::Several => "expected one address, got several",
            Self::TrailingText => "unexpected text after the address",
            Self::OpenQuote => "unclosed double quote",
            Self::OpenComment => "unclosed parenthesis",
            Self::OpenAngle => "unclosed \"<\" after the address",
            Self::OpenGroup => "unclosed group: missing \";\"",
            Self::ControlCharacter(c) => {
                return write!(f, "unexpected control character U+{:04X}", u32::from(*c));
            }
            Self::InvalidDomain => "invalid domain",
            Self::InvalidLocalPart => "invalid local part (the part before the \"@\")",
            Self::TooLong => "too long: at most 64 bytes before the \"@\" and 254 in total",
            Self::Malformed => "not a valid email address",
        })
    }
}

/// A text that is not an address, or not the one or the list that was wanted.
///
/// Quotes at most 80 characters of the part in question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", quoted_part(.part, .input))]
pub struct AddressError {
    input: String,
    part: String,
    reason: AddressErrorReason,
}

fn quoted_part(part: &str, input: &str) -> String {
    if part == input {
        format!("{part:?}")
    } else {
        format!("{part:?} in {input:?}")
    }
}

impl AddressError {
    pub(crate) fn new(input: &str, part: &str, reason: AddressErrorReason) -> Self {
        Self {
            input: excerpt(input),
            part: excerpt(part.trim()),
            reason,
        }
    }

    /// What is wrong.
    pub fn reason(&self) -> &AddressErrorReason {
        &self.reason
    }

    /// The offending part, cut at 80 characters.
    pub fn part(&self) -> &str {
        &self.part
    }
}
