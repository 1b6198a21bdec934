//! Parses address lists as Postmark does, with its error messages.
//!
//! It does not use `anymail_core::Address`, because a fake that shares the client's parser shares
//! its mistakes, and Postmark is stricter (no quoted local part, no domain literal, no UTF-8).

use super::message::Mailbox;
use super::rules::{self, ApiError};

/// Parses the mailboxes of one field; none for an empty text.
pub(super) fn parse_list(field: &str, text: &str) -> Result<Vec<Mailbox>, ApiError> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    split_at_commas(text)
        .into_iter()
        .map(|part| parse(field, part))
        .collect()
}

/// Splits at the commas outside of double quotes and angle brackets.
fn split_at_commas(text: &str) -> Vec<&str> {
    let (mut quoted, mut escaped, mut angle) = (false, false, false);
    let separates = |c: char| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' if !quoted => angle = true,
            '>' if !quoted => angle = false,
            ',' => return !quoted && !angle,
            _ => {}
        }
        false
    };
    text.split(separates).collect()
}

/// `a@b.c`, `Name <a@b.c>`, `"Name, quoted" <a@b.c>`.
fn parse(field: &str, text: &str) -> Result<Mailbox, ApiError> {
    let text = text.trim();
    // Line breaks would be header injections; Postmark's error message for them is unknown.
    if text.chars().any(char::is_control) {
        return Err(rules::invalid_address(field, text));
    }
    let (name, email) = match text.strip_suffix('>').and_then(|t| t.rsplit_once('<')) {
        Some((name, email)) => (unquote(name.trim()), email.trim()),
        None => (String::new(), text),
    };
    let Some((mailbox, domain)) = email.rsplit_once('@') else {
        return Err(rules::no_at(field, email));
    };
    if !is_mailbox(mailbox) {
        return Err(rules::bad_mailbox(field, mailbox, email));
    }
    if !is_domain(domain) {
        return Err(rules::bad_domain(field, domain, email));
    }
    // The syntax is valid, but there is no top-level domain.
    if !domain.trim_start_matches('.').contains('.') {
        return Err(rules::invalid_address(field, email));
    }
    let email = email.to_owned();
    Ok(Mailbox { name, email })
}

fn unquote(name: &str) -> String {
    let Some(inner) = name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
    else {
        return name.to_owned();
    };
    let mut escaped = false;
    let keep = |c: &char| {
        escaped = *c == '\\' && !escaped;
        !escaped
    };
    inner.chars().filter(keep).collect()
}

/// `^[a-z0-9\.!#\$%&'`\*\+\-\/=\^_\{\}\|~]+$`, case-insensitive, and dots only between other
/// characters (Postmark's support article 1180).
fn is_mailbox(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".!#$%&'`*+-/=^_{}|~".contains(c);
    !text.is_empty()
        && text.chars().all(allowed)
        && !text.starts_with('.')
        && !text.ends_with('.')
        && !text.contains("..")
}

/// `^((\.)?[a-zA-Z0-9\-])+$` (the same article).
fn is_domain(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    !text.is_empty() && text.chars().all(allowed) && !text.ends_with('.') && !text.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(field: &str, text: &str) -> String {
        parse_list(field, text).unwrap_err().message
    }

    #[test]
    fn reads_names_quotes_and_lists() {
        let list = r#"a@b.com, Bob <bob@b.com>, "Doe, \"J\"" <j@b.com>,<x+y@b.co>"#;
        let list = parse_list("To", list).unwrap();
        let pairs: Vec<_> = list.iter().map(|m| (&*m.name, &*m.email)).collect();
        let expected = [
            ("", "a@b.com"),
            ("Bob", "bob@b.com"),
            ("Doe, \"J\"", "j@b.com"),
            ("", "x+y@b.co"),
        ];
        assert_eq!(pairs, expected);
        assert!(parse_list("Cc", " ").unwrap().is_empty());
    }

    #[test]
    fn refuses_with_the_error_messages_seen_on_the_wire() {
        let cases = [
            (
                "To",
                "Doe, John <john@example.com>",
                "Error parsing 'To': Illegal email address 'Doe'. It must contain the '@' symbol.",
            ),
            (
                "Bcc",
                "nope",
                "Error parsing 'Bcc': Illegal email address 'nope'. It must contain the '@' symbol.",
            ),
            (
                "Cc",
                "user@+",
                "Error parsing 'Cc': Illegal email domain '+' in address 'user@+'.",
            ),
            (
                "To",
                "a@yahoo.com.",
                "Error parsing 'To': Illegal email domain 'yahoo.com.' in address 'a@yahoo.com.'.",
            ),
            (
                "To",
                "name..lastname@example.com",
                "Error parsing 'To': Illegal email mailbox 'name..lastname' in address 'name..lastname@example.com'.",
            ),
            (
                "Reply-To",
                "invalid@+",
                "Error parsing 'Reply-To': Illegal email domain '+' in address 'invalid@+'.",
            ),
            ("To", "foo@bar", "Invalid 'To' address: 'foo@bar'."),
        ];
        for (field, text, expected) in cases {
            assert_eq!(words(field, text), expected);
        }
    }

    #[test]
    fn refuses_text_that_only_looks_like_an_address() {
        for text in [
            "jöhn@example.com",
            "a@příklad.cz",
            "\"quoted\"@example.com",
            "a@[192.0.2.1]",
            "a@b.com,,c@d.com",
            "a@b@c.com",
            "a@b.com\r\nBcc: x@y.com",
        ] {
            assert!(parse_list("To", text).is_err(), "{text:?}");
        }
    }
}
