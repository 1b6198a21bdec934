//! The envelope of one copy: sender and recipients, as in the commands `MAIL` and `RCPT`.
//!
//! `message/mime.rs` writes the message itself. Whatever an address contains, only one path (RFC
//! 5321, 4.1.2) goes into a command.

use crate::message::{Address, AddressKey, Message};

/// A recipient: its key in the status, and its path, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recipient {
    pub(super) key: AddressKey,
    pub(super) path: Result<Path, &'static str>,
}

/// An address in angle brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path(String);

impl Path {
    /// The path of an address: its domain in ASCII, its local part unchanged.
    ///
    /// `Address` has checked most of this, but anything that goes into a command is checked again,
    /// and RFC 5322 allows local parts that RFC 5321 does not: those with tabs.
    pub(super) fn of(address: &Address) -> Result<Self, &'static str> {
        if !is_local_part(address.local_part()) {
            return Err("its local part is not valid in SMTP (RFC 5321, 4.1.2)");
        }
        if !is_domain(address.ascii_domain()) {
            return Err("invalid domain in SMTP (RFC 5321, 4.1.2)");
        }
        Ok(Self(format!("<{}>", address.ascii_email())))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it requires a server with SMTPUTF8 (RFC 6531).
    pub(super) fn is_international(&self) -> bool {
        !self.0.is_ascii()
    }
}

/// The address that bounces go to: the envelope sender, or else the author.
pub(super) fn sender(message: &Message) -> Option<&Address> {
    message.envelope_sender.value().or(message.from.value())
}

/// The recipients in the order `to`, `cc`, `bcc`, without duplicates.
pub(super) fn recipients(message: &Message) -> Vec<Recipient> {
    let mut found: Vec<Recipient> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for address in message.recipients() {
        let key = address.key();
        if seen.insert(key.clone()) {
            let path = Path::of(address);
            found.push(Recipient { key, path });
        }
    }
    found
}

/// A dot-string or a quoted string (RFC 5321, 4.1.2; with UTF-8 by RFC 6531, 3.3).
fn is_local_part(local: &str) -> bool {
    let Some(quoted) = local.strip_prefix('"') else {
        let atom = |c: char| {
            c.is_ascii_alphanumeric()
                || "!#$%&'*+-/=?^_`{|}~".contains(c)
                || (!c.is_ascii() && !c.is_control())
        };
        return local
            .split('.')
            .all(|word| !word.is_empty() && word.chars().all(atom));
    };
    let Some(quoted) = quoted.strip_suffix('"') else {
        return false;
    };
    let mut escaped = false;
    for c in quoted.chars() {
        if c.is_control() || (c == '"' && !escaped) {
            return false;
        }
        escaped = c == '\\' && !escaped;
    }
    !escaped
}

/// A host name or an address literal, in ASCII.
fn is_domain(domain: &str) -> bool {
    let literal = domain
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'));
    match literal {
        Some(inner) => inner
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-')),
        None => {
            !domain.is_empty()
                && domain
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_written_as_a_single_path() {
        let path = |email: &str| Address::new("", email).map(|address| Path::of(&address));
        for (email, said) in [
            ("ann@example.com", "<ann@example.com>"),
            ("ann+x@příklad.cz", "<ann+x@xn--pklad-zsa96e.cz>"),
            ("jöhn@example.com", "<jöhn@example.com>"),
            (
                "\"a b> RCPT TO:<c\"@example.com",
                "<\"a b> RCPT TO:<c\"@example.com>",
            ),
            ("\"a\\\"b\"@example.com", "<\"a\\\"b\"@example.com>"),
            ("ann@[192.0.2.1]", "<ann@[192.0.2.1]>"),
        ] {
            let path = path(email).unwrap().unwrap();
            assert_eq!(path.as_str(), said);
            assert_eq!(path.is_international(), !said.is_ascii());
        }
    }

    #[test]
    fn a_local_part_that_could_end_its_path_is_refused() {
        for good in ["a", "a.b", "a'b", "\"\"", "\"a b\"", "\"a\\\\\"", "ä"] {
            assert!(is_local_part(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "a.",
            "a..b",
            "a b",
            "a>",
            "<a",
            "a\r\nb",
            "a\0",
            "\"",
            "\"a",
            "\"a\"b\"",
            "\"a\\\"",
            "\"a\tb\"",
            "\"a\r\nb\"",
            "a\u{85}b",
            "a,b",
            "a@b",
        ] {
            assert!(!is_local_part(bad), "{bad:?}");
        }
        for good in ["example.com", "a_b.example", "[192.0.2.1]", "[IPv6:::1]"] {
            assert!(is_domain(good), "{good}");
        }
        for bad in ["", "a b", "a>", "[1>]", "a\r\n", "[1", "ä.example", "[]]"] {
            assert!(!is_domain(bad), "{bad:?}");
        }
    }

    #[test]
    fn duplicate_recipients_are_in_the_envelope_once() {
        let message = Message::builder()
            .from("shop@example.com")
            .to("ann@example.com, ANN@example.com")
            .cc("bob@example.com")
            .bcc("ann@EXAMPLE.com, eve@example.com")
            .build()
            .unwrap();
        let found = recipients(&message);
        let paths: Vec<_> = found
            .iter()
            .map(|r| r.path.as_ref().unwrap().as_str())
            .collect();
        assert_eq!(
            paths,
            [
                "<ann@example.com>",
                "<bob@example.com>",
                "<eve@example.com>"
            ]
        );
    }
}
