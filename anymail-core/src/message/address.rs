//! [`Address`]: one mailbox of RFC 5322, and lists of them as people type them.
//!
//! Which fields of a message hold addresses is said in `mod.rs`. The parser is ours because
//! no crate tells `a@b.c, d@e.f` from one odd address in every case; the check of a single
//! addr-spec is `email_address`'s, the one of an international domain is `idna`'s.

use std::fmt;
use std::str::FromStr;

use email_address::{EmailAddress, Options};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::address_error::{AddressError, AddressErrorReason as Reason};
use super::address_parser::{is_special, parse_list};
use super::text::first_control;

/// One mailbox: an addr-spec such as `ann@example.com`, and maybe a display name.
///
/// An `Address` is valid or does not exist. It is kept as it was given: the domain may be
/// international (`ann@příklad.cz`), and [`ascii_email`](Self::ascii_email) gives the form
/// that goes over the wire. A local part with characters outside ASCII (RFC 6531) is kept;
/// whether an ESP takes it is a [`Feature`](crate::Feature).
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
/// Two addresses are equal (`==`) when both name and addr-spec are the same to the letter;
/// whether they mean the same mailbox is told by [`key`](Self::key).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address {
    name: Option<String>,
    email: String,
    at: usize,
    /// The domain's A-labels, where they differ from what was given.
    ascii_domain: Option<String>,
}

/// The comparison form of an address: ASCII domain, all in lower case.
///
/// RFC 5321 leaves the local part's case to the receiving host; in practice no mailbox
/// differs from another by case alone, and ESPs report addresses in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressKey(String);

impl AddressKey {
    /// The key of a text that ought to be an addr-spec or a mailbox. A text that is none is
    /// its own key, in lower case: it equals no address.
    pub fn of(text: &str) -> Self {
        text.parse::<Address>().map_or_else(
            |_| Self(text.trim().to_lowercase()),
            |address| address.key(),
        )
    }

    /// Whether `text` has this key.
    pub(crate) fn is_of(&self, text: &str) -> bool {
        // Nearly all are addr-specs in ASCII, and need not be parsed.
        self.0.eq_ignore_ascii_case(text) || (!text.is_ascii() && *self == Self::of(text))
    }

    /// What [`as_str`](Self::as_str) gave before, which is not parsed again.
    pub(crate) fn from_compared(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The key as text, for example `ann@xn--pklad-zsa96e.cz`.
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

/// Reads any text, as [`AddressKey::of`] does.
impl<'de> Deserialize<'de> for AddressKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::of(&text))
    }
}

impl Address {
    /// An address from its parts: a display name (empty for none) and an addr-spec.
    ///
    /// # Errors
    /// As [`Address::parse`], where the addr-spec is not one or the name holds a control
    /// character.
    pub fn new(name: &str, email: &str) -> Result<Self, AddressError> {
        for text in [name, email] {
            refuse_controls(text)?;
        }
        let (local, domain) = email
            .rsplit_once('@')
            .ok_or_else(|| AddressError::new(email, email, Reason::NoAt))?;
        checked(Some(name.to_owned()), local, domain, email)
    }

    /// Reads exactly one mailbox: `ann@example.com`, `Ann <ann@example.com>`.
    ///
    /// # Errors
    /// [`AddressError`] quotes the offending part and says what is wrong with it; none or
    /// several addresses are an error, too.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let mut found = Self::parse_list(text)?.into_iter();
        match (found.next(), found.next()) {
            (Some(address), None) => Ok(address),
            (None, _) => Err(AddressError::new(text, text, Reason::Empty)),
            (Some(_), Some(_)) => Err(AddressError::new(text, text, Reason::Several)),
        }
    }

    /// Reads a list of mailboxes, separated by commas; a group (`team: a@b.c, d@e.f;`)
    /// stands for its members.
    ///
    /// # Errors
    /// As [`Address::parse`]; one bad address spoils the list, and so does an empty place in
    /// it (`a@b.c,,d@e.f`).
    pub fn parse_list(text: &str) -> Result<Vec<Self>, AddressError> {
        refuse_controls(text)?;
        let mailboxes = parse_list(text)?.into_iter();
        let checked = mailboxes.map(|it| checked(it.name, it.local, it.domain, text));
        checked.collect()
    }

    /// The display name, without quotes.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The addr-spec as it was given, for example `ann@příklad.cz`.
    pub fn email(&self) -> &str {
        &self.email
    }

    /// The part before the `@`, with its quotes where it has any.
    pub fn local_part(&self) -> &str {
        self.email.get(..self.at).unwrap_or_default()
    }

    /// The domain as it was given.
    pub fn domain(&self) -> &str {
        self.email.get(self.at + 1..).unwrap_or_default()
    }

    /// The domain by its A-labels (RFC 5890), as it goes over the wire.
    pub fn ascii_domain(&self) -> &str {
        self.ascii_domain.as_deref().unwrap_or(self.domain())
    }

    /// The addr-spec with its domain in ASCII. The local part stays as it is.
    pub fn ascii_email(&self) -> String {
        match &self.ascii_domain {
            None => self.email.clone(),
            Some(domain) => format!("{}@{domain}", self.local_part()),
        }
    }

    /// Whether the local part has characters outside ASCII (RFC 6531, "EAI").
    pub fn has_international_local_part(&self) -> bool {
        !self.local_part().is_ascii()
    }

    /// What to compare to learn whether two addresses mean the same mailbox.
    pub fn key(&self) -> AddressKey {
        let mut key = self.ascii_email();
        if key.is_ascii() {
            // Nearly all are, and need not be copied once more.
            key.make_ascii_lowercase();
            return AddressKey(key);
        }
        AddressKey(key.to_lowercase())
    }

    /// The whole mailbox with its domain in ASCII, as it goes over the wire.
    pub fn to_ascii(&self) -> String {
        let mut out = String::new();
        self.write_ascii(&mut out);
        out
    }

    /// Appends what [`to_ascii`](Self::to_ascii) gives to `out`.
    pub fn write_ascii(&self, out: &mut String) {
        self.write(out, self.ascii_domain());
    }

    fn write(&self, out: &mut String, domain: &str) {
        let name = self.name.as_ref().map_or(0, |name| name.len() + 5);
        out.reserve(name + self.at + 1 + domain.len());
        if let Some(name) = self.name() {
            push_name(out, name);
            out.push_str(" <");
        }
        out.push_str(self.local_part());
        out.push('@');
        out.push_str(domain);
        if self.name.is_some() {
            out.push('>');
        }
    }
}

/// Appends a display name, quoted (RFC 5322, 3.2.4) where it could be read as anything else.
fn push_name(out: &mut String, name: &str) {
    let special = |c: char| is_special(c) || c == '.' || c == '\t';
    let two_spaces = name.as_bytes().windows(2).any(|pair| pair == b"  ");
    let folds = name.starts_with(' ') || name.ends_with(' ') || two_spaces;
    if !folds && !name.contains(special) {
        out.push_str(name);
        return;
    }
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

/// Makes an address of parts that the parser (or a caller) has taken apart.
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
            Ok(ascii) if !ascii.is_empty() => Some(ascii),
            _ => return fail(Reason::InvalidDomain),
        }
    };
    let options = Options::default()
        .without_display_text()
        .with_domain_literal();
    let wire = format!("{local}@{}", ascii_domain.as_deref().unwrap_or(domain));
    if let Err(error) = EmailAddress::parse_with_options(&wire, options) {
        return fail(Reason::of(error));
    }
    // The crate looks for the last "@"; a quoted local part may hold one, an unquoted may not.
    if local.contains('@') && !local.starts_with('"') {
        return fail(Reason::Malformed);
    }
    let name = name.filter(|name| !name.trim().is_empty());
    Ok(Address {
        name,
        at: local.len(),
        email,
        ascii_domain,
    })
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

/// As given: the domain is not encoded. [`Address::to_ascii`] is the form for the wire.
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
