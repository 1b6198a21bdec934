//! [`AddressError`]: why a text is not an address.
//!
//! `address_parser.rs` parses texts, and `address.rs` checks the parts.

use std::fmt;

use super::text::excerpt;

/// The reason of an [`AddressError`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressErrorReason {
    /// The text is empty.
    Empty,
    /// There is no `@`. Often a display name with a comma that is not quoted.
    NoAt,
    /// One address was expected.
    Several,
    /// There is text after a complete address.
    TrailingText,
    /// A `"` is never closed.
    OpenQuote,
    /// A `(` is never closed.
    OpenComment,
    /// A `<` is never closed, or closed too late.
    OpenAngle,
    /// A group lacks its `;`.
    OpenGroup,
    /// There is a line break or another control character.
    ControlCharacter(char),
    /// The domain is not a valid host name, domain literal or international domain.
    InvalidDomain,
    /// The part before the `@` is not a valid local part.
    InvalidLocalPart,
    /// The address is longer than RFC 5321 allows: 64 bytes before the `@`, 254 in total.
    TooLong,
    /// The text is not an address for another reason.
    Malformed,
}

impl AddressErrorReason {
    pub(super) fn of(error: email_address::Error) -> Self {
        use email_address::Error as E;
        match error {
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

/// The error of parsing an address or a list of addresses.
///
/// It quotes at most 80 characters of the invalid part.
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

    /// The reason.
    pub fn reason(&self) -> &AddressErrorReason {
        &self.reason
    }

    /// The invalid part, truncated to 80 characters.
    pub fn part(&self) -> &str {
        &self.part
    }
}
