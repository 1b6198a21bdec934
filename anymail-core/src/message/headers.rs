//! [`Headers`]: custom headers whose names and values cannot break a line, and the reserved names.
//!
//! `builder.rs` decides what happens to a `Reply-To` that is given as a header.

use std::fmt;

use indexmap::IndexMap;
use serde::{Serialize, Serializer};
use unicase::Ascii;

use super::text::{excerpt, first_control};

/// Names that a message has fields for, or that the ESP sets.
const RESERVED: [&str; 9] = [
    "From",
    "To",
    "Cc",
    "Bcc",
    "Subject",
    "Sender",
    "Date",
    "MIME-Version",
    "Reply-To",
];

/// The maximum length of a name. With a colon and a space, it fills the longest allowed line (998
/// characters, RFC 5322, 2.1.1).
const MAX_NAME: usize = 996;

/// The custom headers of a message, in order, with one value for each name.
///
/// Names are case-insensitive and keep their first spelling. A name or value that could break the
/// header's line is refused, and so is a name that the message has a field for.
///
/// ```
/// use anymail_core::Headers;
///
/// let mut headers = Headers::new();
/// headers.insert("X-Order", "4711")?;
/// assert_eq!(headers.get("x-order"), Some("4711"));
/// assert!(headers.insert("X-Evil", "a\r\nBcc: b@example.com").is_err());
/// assert!(headers.insert("Subject", "no").is_err());
/// # Ok::<(), anymail_core::HeaderError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Headers(IndexMap<Ascii<String>, String>);

impl Headers {
    /// Creates an empty set of headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a header and returns its previous value.
    ///
    /// # Errors
    /// [`HeaderError`] if the name is invalid (RFC 5322, 3.6.8) or reserved, or if the value
    /// contains a line break or another control character other than a tab.
    pub fn insert(&mut self, name: &str, value: &str) -> Result<Option<String>, HeaderError> {
        check_name(name)?;
        if let Some(c) = first_control(value) {
            return Err(HeaderError {
                name: excerpt(name),
                value: excerpt(value),
                reason: HeaderErrorReason::ControlCharacter(c),
            });
        }
        Ok(self.0.insert(Ascii::new(name.to_owned()), value.to_owned()))
    }

    /// The value of a header. The name is case-insensitive.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(&Ascii::new(name.to_owned())).map(String::as_str)
    }

    /// Removes a header and returns its value.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        self.0.shift_remove(&Ascii::new(name.to_owned()))
    }

    /// The names and values, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&***name, &**value))
    }

    /// The number of headers.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no headers.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds `others`, whose values replace existing ones; new names come last.
    pub fn extend(&mut self, others: &Self) {
        self.0.extend(
            others
                .0
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
    }
}

fn check_name(name: &str) -> Result<(), HeaderError> {
    let fail = |reason| {
        Err(HeaderError {
            name: excerpt(name),
            value: String::new(),
            reason,
        })
    };
    let printable = name.bytes().all(|b| (33..=126).contains(&b) && b != b':');
    if name.is_empty() || name.len() > MAX_NAME || !printable {
        return fail(HeaderErrorReason::InvalidName);
    }
    let content = name
        .get(.."content-".len())
        .is_some_and(|start| start.eq_ignore_ascii_case("content-"));
    if content
        || RESERVED
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
    {
        return fail(HeaderErrorReason::Reserved);
    }
    Ok(())
}

/// Shows only names: values may contain private links.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|(name, _)| name))
            .finish()
    }
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// The reason of a [`HeaderError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderErrorReason {
    /// The name is not 1 to 996 printable ASCII characters without a colon.
    InvalidName,
    /// The message has a field for it, or the ESP sets it.
    Reserved,
    /// The value contains a line break or another control character.
    ControlCharacter(char),
}

/// The error of setting a custom header. It quotes at most 80 characters of name and value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderError {
    name: String,
    value: String,
    reason: HeaderErrorReason,
}

impl HeaderError {
    /// The reason.
    pub fn reason(&self) -> HeaderErrorReason {
        self.reason
    }

    /// The header's name as given, truncated to 80 characters.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl std::error::Error for HeaderError {}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, value) = (&self.name, &self.value);
        match self.reason {
            HeaderErrorReason::InvalidName => write!(
                f,
                "{name:?} is not a valid header name: use printable ASCII without spaces or colons"
            ),
            HeaderErrorReason::Reserved => write!(
                f,
                "{name:?} cannot be set as a custom header: \
                 use the message's own field for it, or leave it to the ESP"
            ),
            HeaderErrorReason::ControlCharacter(c) => write!(
                f,
                "the value {value:?} of header {name:?} contains the control character U+{:04X}",
                u32::from(c)
            ),
        }
    }
}

/// The two headers of RFC 8058, 3.1. Only https URLs are allowed; a `>` or a space would end the
/// URL.
pub(crate) fn unsubscribe_headers(url: &str) -> Result<[(&'static str, String); 2], String> {
    let host = url.strip_prefix("https://").unwrap_or_default();
    let printable = url
        .bytes()
        .all(|b| b.is_ascii_graphic() && !b"<>\"\\".contains(&b));
    if host.is_empty() || host.starts_with('/') || !printable {
        let url = excerpt(url);
        return Err(format!(
            "{url:?} is not a valid https URL in printable ASCII"
        ));
    }
    Ok([
        ("List-Unsubscribe", format!("<{url}>")),
        (
            "List-Unsubscribe-Post",
            "List-Unsubscribe=One-Click".to_owned(),
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_names_are_refused_in_any_case() {
        let mut headers = Headers::new();
        for name in [
            "From",
            "to",
            "CC",
            "bcc",
            "Subject",
            "SENDER",
            "Date",
            "mime-version",
            "Reply-To",
            "Content-Type",
            "content-transfer-encoding",
            "Content-",
        ] {
            let error = headers.insert(name, "x").unwrap_err();
            assert_eq!(error.reason(), HeaderErrorReason::Reserved, "{name}");
        }
        assert!(headers.insert("Contents", "x").is_ok());
    }

    #[test]
    fn a_name_or_value_that_could_break_the_line_is_refused() {
        let mut headers = Headers::new();
        for name in ["", "X A", "X:A", "X-B\r\nX-Inj", "X-É", "\0"] {
            assert!(headers.insert(name, "x").is_err(), "{name:?}");
        }
        for value in ["a\r\nb", "a\nb", "a\rb", "a\0b", "a\u{85}b"] {
            assert!(headers.insert("X-A", value).is_err(), "{value:?}");
        }
        headers.insert("X-A", "välue\twith a tab").unwrap();
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn a_later_value_wins_and_the_first_spelling_is_kept() {
        let mut headers = Headers::new();
        headers.insert("List-Id", "one").unwrap();
        let mut over = Headers::new();
        over.insert("LIST-ID", "two").unwrap();
        over.insert("X-New", "3").unwrap();
        headers.extend(&over);
        assert_eq!(
            headers.iter().collect::<Vec<_>>(),
            [("List-Id", "two"), ("X-New", "3")]
        );
    }

    #[test]
    fn debug_does_not_show_values() {
        let mut headers = Headers::new();
        headers
            .insert("List-Unsubscribe", "<https://example.com/u/s3cret>")
            .unwrap();
        assert_eq!(format!("{headers:?}"), r#"["List-Unsubscribe"]"#);
    }
}
