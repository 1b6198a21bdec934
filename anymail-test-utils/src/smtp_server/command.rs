//! Parses command lines: the verb, paths in angle brackets, parameters.
//!
//! The parser is our own because a server's parser tolerates the mistakes that this one must
//! report: smtp-proto accepts LF as a line end, skips every CR, and accepts spaces where none are
//! allowed.

use super::mail::SmtpParameters;

/// Splits a line into its verb, in upper case, and its arguments.
pub(super) fn split(line: &str) -> (String, &str) {
    let (verb, rest) = match line.split_once(' ') {
        Some((verb, rest)) => (verb, rest),
        None => (line, ""),
    };
    (verb.to_ascii_uppercase(), rest)
}

/// `FROM:<address> parameters`, or the same with `TO:`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) address: String,
    pub(super) parameters: SmtpParameters,
    /// A violation of the grammar that the server still understands.
    pub(super) sloppy: Option<&'static str>,
}

/// Parses the arguments of `MAIL` or `RCPT`. An error describes the violation of the grammar.
pub(super) fn path(rest: &str, keyword: &str) -> Result<Path, &'static str> {
    let mut sloppy = None;
    let at = keyword.len();
    let (Some(found), Some(rest)) = (rest.get(..at), rest.get(at..)) else {
        return Err("its keyword is missing");
    };
    if !found.eq_ignore_ascii_case(keyword) {
        return Err("its keyword is missing");
    }
    let trimmed = rest.trim_start_matches(' ');
    if trimmed.len() != rest.len() {
        sloppy = Some("a space before the address");
    }
    let inner = trimmed
        .strip_prefix('<')
        .ok_or("the address is not in angle brackets")?;
    let end = closing_bracket(inner).ok_or("the angle bracket is not closed")?;
    let address = inner.get(..end).unwrap_or_default();
    let rest = inner.get(end + 1..).unwrap_or_default();
    if !rest.is_empty() && !rest.starts_with(' ') {
        return Err("there is no space between the address and what follows");
    }
    if rest.ends_with(' ') || rest.contains("  ") {
        sloppy = Some("spaces that separate nothing");
    }
    check_address(address, keyword)?;
    let parameters = rest
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(parameter)
        .collect::<Result<_, _>>()?;
    Ok(Path {
        address: address.to_owned(),
        parameters,
        sloppy,
    })
}

/// Returns the end of the path; a quoted local part can contain brackets.
fn closing_bracket(inner: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in inner.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '>' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

fn check_address(address: &str, keyword: &str) -> Result<(), &'static str> {
    let null_sender = keyword.eq_ignore_ascii_case("FROM:") && address.is_empty();
    let postmaster = address.eq_ignore_ascii_case("postmaster");
    if null_sender || postmaster {
        return Ok(());
    }
    let (local, domain) = address
        .rsplit_once('@')
        .ok_or("the address has no domain")?;
    let quoted = local.starts_with('"') && local.ends_with('"') && local.len() > 1;
    if local.is_empty() || domain.is_empty() {
        return Err("the address has an empty part");
    }
    if address.chars().any(char::is_control) {
        return Err("the address has a control character");
    }
    if !quoted && local.contains([' ', '<', '>', '(', ')', ',', ';', ':', '"', '@', '[', ']']) {
        return Err("the local part has a character that must be quoted");
    }
    if domain.contains([' ', '<', '>', '(', ')', ',', ';', '"', '@']) {
        return Err("the domain has a character that cannot be there");
    }
    if local.len() > 64 || domain.len() > 255 {
        return Err("a part of the address is too long");
    }
    Ok(())
}

fn parameter(word: &str) -> Result<(String, Option<String>), &'static str> {
    let (keyword, value) = match word.split_once('=') {
        Some((keyword, value)) => (keyword, Some(value)),
        None => (word, None),
    };
    let begins_well = keyword.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !begins_well
        || !keyword
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    {
        return Err("a parameter's keyword is not made of letters, digits and hyphens");
    }
    // RFC 6531 allows UTF-8 in values; whether this client may send it is checked elsewhere.
    if value.is_some_and(|value| value.is_empty() || value.contains(['=', ' '])) {
        return Err("a parameter's value is empty or holds '='");
    }
    Ok((keyword.to_ascii_uppercase(), value.map(str::to_owned)))
}

/// Whether a name in `EHLO` or `HELO` is a domain or an address literal.
pub(super) fn is_host(name: &str) -> bool {
    if let Some(literal) = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')) {
        let ip = literal.strip_prefix("IPv6:").unwrap_or(literal);
        return ip.parse::<std::net::IpAddr>().is_ok();
    }
    name.len() <= 255
        && name.split('.').all(|label| {
            let inside = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            let ends = !label.starts_with('-') && !label.ends_with('-');
            (1..=63).contains(&label.len()) && ends && label.bytes().all(inside)
        })
}

/// The maximum length of a line with this verb, including CR LF: 512, plus what extensions add (RFC
/// 1870 26, RFC 6152 17, RFC 6531 10, RFC 4954 500, RFC 3461 500 for `RCPT` and 107 for `MAIL`; RFC
/// 4954 has 12288 for `AUTH`).
pub(super) fn length_limit(verb: &str) -> usize {
    match verb {
        "AUTH" => 12_288,
        "MAIL" => 512 + 26 + 17 + 10 + 500 + 107,
        "RCPT" => 512 + 500,
        _ => 512,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_parsed_with_their_parameters() {
        let read = path("FROM:<me@example.com> SIZE=12 smtputf8", "FROM:").ok();
        let parameters = vec![
            ("SIZE".to_owned(), Some("12".to_owned())),
            ("SMTPUTF8".to_owned(), None),
        ];
        assert_eq!(
            read,
            Some(Path {
                address: "me@example.com".to_owned(),
                parameters,
                sloppy: None
            })
        );
        for good in [
            "FROM:<>",
            "from:<\"a > b\\\" c\"@example.com>",
            "FROM:<a@[127.0.0.1]>",
        ] {
            assert!(path(good, "FROM:").is_ok(), "{good}");
        }
        assert!(path("TO:<postmaster>", "TO:").is_ok());
        let sloppy = path("FROM: <a@example.com>", "FROM:").ok();
        assert!(sloppy.is_some_and(|path| path.sloppy.is_some()));
    }

    #[test]
    fn violations_of_the_grammar_are_refused() {
        for bad in [
            "",
            "TO",
            "FROM:<a@example.com>",
            "TO:a@example.com",
            "TO:<a@example.com",
            "TO:<>",
            "TO:<a>",
            "TO:<@example.com>",
            "TO:<a@>",
            "TO:<a b@example.com>",
            "TO:<a@b@example.com>",
            "TO:<a@example.com>NOTIFY=NEVER",
            "TO:<a@example.com> NOTIFY=",
            "TO:<a@example.com> X_Y=1",
            "TO:<a\u{7}@example.com>",
        ] {
            assert!(path(bad, "TO:").is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts_are_domains_or_address_literals() {
        for good in ["localhost", "mx-1.example.com", "[127.0.0.1]", "[IPv6:::1]"] {
            assert!(is_host(good), "{good}");
        }
        for bad in [
            "",
            "my_host",
            "a..b",
            "-a",
            "127.0.0.1]",
            "[mx]",
            "a b",
            "příklad.cz",
        ] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
