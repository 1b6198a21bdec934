//! [`Address`]: a mailbox of RFC 5322, and lists of them as people type them.
//!
//! `mod.rs` says which fields of a message contain addresses. The parser is our own because no
//! crate reliably tells `a@b.c, d@e.f` from one unusual address. `email_address` checks a single
//! addr-spec, and `idna` an international domain.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use email_address::{EmailAddress, Options};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::address_error::{AddressError, AddressErrorReason as Reason};
use super::address_parser::{is_special, parse_list};
use super::text::first_control;

/// A single mailbox: an addr-spec such as `ann@example.com`, with an optional display name.
///
/// An invalid `Address` cannot be constructed. It keeps the form that was given: the domain may be
/// international (`ann@příklad.cz`), and [`ascii_email`](Self::ascii_email) returns the form for
/// the wire. A non-ASCII local part (RFC 6531) is kept; whether an ESP supports it is a
/// [`Feature`](crate::Feature).
///
/// ```
/// use anymail_core::Address;
///
/// let address: Address = "\"Doe, Ann\" <Ann@Příklad.cz>".parse()?;
/// assert_eq!(address.name(), Some("Doe, Ann"));
/// assert_eq!(address.email(), "Ann@Příklad.cz");
/// assert_eq!(address.to_ascii(), "\"Doe, Ann\" <Ann@xn--pklad-zsa96e.cz>");
/// assert_eq!(address.key(), "ann@PŘÍKLAD.CZ".parse::<Address>()?.key());
/// # Ok::<(), anymail_core::AddressError>(())
/// ```
///
/// Two addresses are equal (`==`) if both name and addr-spec are identical. To compare mailboxes,
/// use [`key`](Self::key). Cloning an address is cheap: clones share their text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address(Arc<Mailbox>);

#[derive(PartialEq, Eq, Hash)]
struct Mailbox {
    name: Option<String>,
    /// Whether the name could be read as anything else without quotes (RFC 5322, 3.2.4).
    quoted: bool,
    email: String,
    at: usize,
    /// The domain's A-labels, if they differ from what was given.
    ascii_domain: Option<String>,
}

/// The comparison form of an address: the ASCII domain, all in lower case.
///
/// RFC 5321 leaves the case of the local part to the receiving host. In practice, no two mailboxes
/// differ only in case, and ESPs report addresses in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressKey(String);

impl AddressKey {
    /// The key of an addr-spec or a mailbox. Any other text is its own key, in lower case, and
    /// equals the key of no address.
    pub fn of(text: &str) -> Self {
        text.parse::<Address>().map_or_else(
            |_| Self(text.trim().to_lowercase()),
            |address| address.key(),
        )
    }

    /// Whether `text` has this key.
    pub(crate) fn is_of(&self, text: &str) -> bool {
        // Nearly all texts are ASCII addr-specs, which need no parsing.
        self.0.eq_ignore_ascii_case(text) || (!text.is_ascii() && *self == Self::of(text))
    }

    /// Wraps a text that [`as_str`](Self::as_str) returned earlier, without parsing it again.
    pub(crate) fn from_compared(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The key as a string, for example `ann@xn--pklad-zsa96e.cz`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for AddressKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Accepts any string, like [`AddressKey::of`].
impl<'de> Deserialize<'de> for AddressKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::of(&text))
    }
}

impl Address {
    /// Creates an address from a display name, which may be empty, and an addr-spec.
    ///
    /// # Errors
    /// [`AddressError`] as for [`Address::parse`], if the addr-spec is invalid or the name contains
    /// a control character.
    pub fn new(name: &str, email: &str) -> Result<Self, AddressError> {
        for text in [name, email] {
            refuse_controls(text)?;
        }
        let (local, domain) = email
            .rsplit_once('@')
            .ok_or_else(|| AddressError::new(email, email, Reason::NoAt))?;
        checked(Some(name.to_owned()), local, domain, email)
    }

    /// Parses exactly one mailbox: `ann@example.com` or `Ann <ann@example.com>`.
    ///
    /// # Errors
    /// [`AddressError`], which quotes the part that is wrong, if the text is not a valid mailbox,
    /// or is empty, or contains several.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let mut found = Self::parse_list(text)?.into_iter();
        match (found.next(), found.next()) {
            (Some(address), None) => Ok(address),
            (None, _) => Err(AddressError::new(text, text, Reason::Empty)),
            (Some(_), Some(_)) => Err(AddressError::new(text, text, Reason::Several)),
        }
    }

    /// Parses a list of mailboxes, separated by commas. A group (`team: a@b.c, d@e.f;`) is replaced
    /// by its members.
    ///
    /// # Errors
    /// [`AddressError`] as for [`Address::parse`], if any address in the list is invalid or a place
    /// in it is empty (`a@b.c,,d@e.f`).
    pub fn parse_list(text: &str) -> Result<Vec<Self>, AddressError> {
        refuse_controls(text)?;
        let mailboxes = parse_list(text)?.into_iter();
        let checked = mailboxes.map(|it| checked(it.name, it.local, it.domain, text));
        checked.collect()
    }

    /// The display name, without quotes.
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// The addr-spec as it was given, for example `ann@příklad.cz`.
    pub fn email(&self) -> &str {
        &self.0.email
    }

    /// The part before the `@`, including quotes.
    pub fn local_part(&self) -> &str {
        self.0.email.get(..self.0.at).unwrap_or_default()
    }

    /// The domain as it was given.
    pub fn domain(&self) -> &str {
        self.0.email.get(self.0.at + 1..).unwrap_or_default()
    }

    /// The domain's A-labels (RFC 5890), the form for the wire.
    pub fn ascii_domain(&self) -> &str {
        self.0
            .ascii_domain
            .as_deref()
            .unwrap_or_else(|| self.domain())
    }

    /// The addr-spec with its domain in ASCII. The local part is unchanged.
    pub fn ascii_email(&self) -> String {
        match &self.0.ascii_domain {
            None => self.email().to_owned(),
            Some(domain) => format!("{}@{domain}", self.local_part()),
        }
    }

    /// Whether the local part is not ASCII (RFC 6531, "EAI").
    pub fn has_international_local_part(&self) -> bool {
        !self.local_part().is_ascii()
    }

    /// The key to compare mailboxes by.
    pub fn key(&self) -> AddressKey {
        let mut key = self.ascii_email();
        if key.is_ascii() {
            // Nearly all addresses are ASCII, and need no second copy.
            key.make_ascii_lowercase();
            return AddressKey(key);
        }
        AddressKey(key.to_lowercase())
    }

    /// The whole mailbox with its domain in ASCII, the form for the wire.
    pub fn to_ascii(&self) -> String {
        let mut out = String::new();
        self.write_ascii(&mut out);
        out
    }

    /// Appends the result of [`to_ascii`](Self::to_ascii) to `out`.
    pub fn write_ascii(&self, out: &mut String) {
        self.write(out, self.ascii_domain());
    }

    fn write(&self, out: &mut String, domain: &str) {
        let name = self.name().map_or(0, |name| name.len() + 5);
        out.reserve(name + self.0.at + 1 + domain.len());
        match self.name() {
            Some(name) if self.0.quoted => push_quoted(out, name),
            Some(name) => out.push_str(name),
            None => {}
        }
        if name > 0 {
            out.push_str(" <");
        }
        out.push_str(self.local_part());
        out.push('@');
        out.push_str(domain);
        if name > 0 {
            out.push('>');
        }
    }
}

/// Whether a display name could be misread without quotes.
fn needs_quotes(name: &str) -> bool {
    let special = |c: char| is_special(c) || c == '.' || c == '\t';
    let two_spaces = name.as_bytes().windows(2).any(|pair| pair == b"  ");
    two_spaces || name.starts_with(' ') || name.ends_with(' ') || name.contains(special)
}

fn push_quoted(out: &mut String, name: &str) {
    out.push('"');
    for c in name.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

fn refuse_controls(text: &str) -> Result<(), AddressError> {
    match first_control(text) {
        Some(c) => Err(AddressError::new(text, text, Reason::ControlCharacter(c))),
        None => Ok(()),
    }
}

/// Creates an address from parts that the parser or a caller has separated.
fn checked(
    name: Option<String>,
    local: &str,
    domain: &str,
    whole: &str,
) -> Result<Address, AddressError> {
    let email = format!("{local}@{domain}");
    let fail = |reason| Err(AddressError::new(whole, &email, reason));
    let ascii_domain = if domain.is_ascii() {
        None
    } else {
        match idna::domain_to_ascii_strict(domain) {
            Ok(ascii) => Some(ascii),
            Err(_) => return fail(Reason::InvalidDomain),
        }
    };
    let options = Options::default()
        .without_display_text()
        .with_domain_literal();
    let wire = format!("{local}@{}", ascii_domain.as_deref().unwrap_or(domain));
    if let Err(error) = EmailAddress::parse_with_options(&wire, options) {
        return fail(Reason::of(error));
    }
    // The crate looks for the last "@". A quoted local part may contain one, an unquoted one must
    // not.
    if local.contains('@') && !local.starts_with('"') {
        return fail(Reason::Malformed);
    }
    let name = name.filter(|name| !name.trim().is_empty());
    Ok(Address(Arc::new(Mailbox {
        quoted: name.as_deref().is_some_and(needs_quotes),
        name,
        at: local.len(),
        email,
        ascii_domain,
    })))
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

/// Writes the address as it was given, with its domain unencoded. [`Address::to_ascii`] returns the
/// form for the wire.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.write(&mut out, self.domain());
        f.write_str(&out)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
