//! [`InboundAddress`]: an address as the sender wrote it, and the parser of address lists.
//!
//! Everything here accepts any input and takes time proportional to its length.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::headers::cut;
use super::words::{clean, decode_words, first_word, without_comments};
use crate::message::{Address, AddressError};

/// How much of an address header is parsed: about ten thousand addresses, each of which becomes
/// many times as large.
const MAX_ADDRESSES: usize = 256 << 10;

/// An address in an inbound message, as it was written. It may be invalid.
#[derive(Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct InboundAddress {
    /// The display name; empty if there is none.
    pub name: String,
    /// The addr-spec; empty if there is none.
    pub email: String,
}

impl InboundAddress {
    /// Creates an address from a name and an addr-spec, which are not checked. Line breaks become
    /// spaces.
    pub fn new(name: &str, email: &str) -> Self {
        Self {
            name: clean(name).into_owned(),
            email: clean(email).into_owned(),
        }
    }

    /// Parses an address header. Never fails: text that is not an address becomes a name.
    pub fn parse_list(text: &str) -> Vec<Self> {
        read_list(&clean(text))
    }

    /// Converts it to an address to send to, if it is valid.
    ///
    /// # Errors
    /// [`AddressError`] if it is not a valid address.
    pub fn to_address(&self) -> Result<Address, AddressError> {
        Address::new(&self.name, &self.email)
    }
}

impl fmt::Display for InboundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_address() {
            Ok(address) => address.fmt(f),
            Err(_) if self.name.is_empty() => f.write_str(&self.email),
            Err(_) => write!(f, "{:?} <{}>", self.name, self.email),
        }
    }
}

impl fmt::Debug for InboundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InboundAddress({self})")
    }
}

/// The mailboxes in an address header. Well-formed parts are parsed by the rules; from the rest,
/// which occurs in spam and automatic email, as much as possible is recovered.
pub(super) fn read_list(value: &str) -> Vec<InboundAddress> {
    let value = match cut(value, MAX_ADDRESSES) {
        whole if whole.len() == value.len() => whole,
        // The last one may be truncated.
        part => part.rsplit_once(',').map_or(part, |(before, _)| before),
    };
    if let Some(list) = strict_addresses(value) {
        return list;
    }
    let value = mend_commas(value);
    strict_addresses(&value).unwrap_or_else(|| {
        let pieces = split_outside(&value, &[',', ';']).into_iter();
        let mailboxes = pieces.map(|piece| without_route(without_group(piece)));
        mailboxes
            .flat_map(|it| strict_addresses(&it).unwrap_or_else(|| vec![guess(&it)]))
            .filter(|address| !address.name.is_empty() || !address.email.is_empty())
            .collect()
    })
}

fn strict_addresses(list: &str) -> Option<Vec<InboundAddress>> {
    let list = Address::parse_list(list).ok()?;
    let read = |address: &Address| InboundAddress {
        name: decode_words(address.name().unwrap_or_default()),
        email: address.email().to_owned(),
    };
    Some(list.iter().map(read).collect())
}

/// Undoes a quirk of Python, which writes the comma at a line end as an encoded word if a list
/// contains a non-ASCII name.
fn mend_commas(list: &str) -> String {
    let mut out = String::with_capacity(list.len());
    let mut rest = list;
    while let Some(at) = rest.find("=?") {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        let comma = first_word(tail).filter(|(word, _)| word.trim() == ",");
        let (kept, length) = comma.map_or(("=?", 2), |(_, length)| (",", length));
        out.push_str(kept);
        rest = tail.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// Splits at these characters outside of quoted strings, angle brackets, comments and domain
/// literals.
fn split_outside<'a>(list: &'a str, separators: &[char]) -> Vec<&'a str> {
    let (mut quoted, mut escaped, mut angle, mut literal) = (false, false, false, false);
    let mut comments = 0_usize;
    // A bracket that nothing closes is a character like others: `Ann ( <ann@example.com>`.
    let closed =
        |open, close| list.matches::<char>(open).count() == list.matches::<char>(close).count();
    let (has_comments, has_literals) = (closed('(', ')'), closed('[', ']'));
    let pieces = list.split(move |c: char| {
        let outside = !quoted && !angle && !literal && comments == 0;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted || comments > 0 => escaped = true,
            '(' if !quoted && has_comments => comments += 1,
            ')' => comments = comments.saturating_sub(1),
            _ if comments > 0 => {}
            '"' => quoted = !quoted,
            '<' if !quoted => angle = true,
            '>' => angle = false,
            '[' if !quoted && has_literals => literal = true,
            ']' => literal = false,
            _ => {}
        }
        outside && separators.contains(&c)
    });
    pieces.collect()
}

/// The first member of a group (RFC 5322, 3.4) without the group's name: `Team: a@example.com`.
fn without_group(piece: &str) -> &str {
    split_outside(piece, &[':']).pop().unwrap_or(piece)
}

/// A mailbox without the obsolete source route (RFC 5322, 4.4): `<@relay.example:a@example.com>`.
fn without_route(piece: &str) -> Cow<'_, str> {
    let route = piece.split_once('<').and_then(|(name, rest)| {
        let (route, mailbox) = rest.rsplit_once(':')?;
        let is_route = route.trim_start().starts_with('@');
        is_route.then(|| format!("{name}<{mailbox}"))
    });
    route.map_or(Cow::Borrowed(piece), Cow::Owned)
}

/// Guesses the address in text that is not one.
fn guess(piece: &str) -> InboundAddress {
    let (name, email) = match piece.rsplit_once('<') {
        Some((name, rest)) => (name, rest.split('>').next().unwrap_or_default()),
        None if piece.contains('@') => ("", piece),
        None => (piece, ""),
    };
    let (name, email) = (name.trim().trim_matches('"'), email.trim());
    // Spaces around dots and the "@" are obsolete but allowed (RFC 5322, 4.4).
    let tight = without_space_around(without_comments(email).trim());
    let valid = |email: &str| Address::parse(email).is_ok_and(|it| it.name().is_none());
    if valid(&tight) {
        let name = without_comments(name);
        return InboundAddress::new(&decode_words(name.trim()), &tight);
    }
    // The angle brackets are missing: `Ann ann@example.com`.
    if name.is_empty()
        && let Some((before, last)) = email.rsplit_once([' ', '\t'])
        && valid(last)
    {
        let name = before.trim().trim_matches('"');
        return InboundAddress::new(&decode_words(name), last);
    }
    InboundAddress::new(&decode_words(name), email)
}

fn without_space_around(email: &str) -> String {
    let mut out = String::with_capacity(email.len());
    for c in email.chars() {
        if matches!(c, '.' | '@') {
            out.truncate(out.trim_end_matches([' ', '\t']).len());
        }
        let after = out.ends_with(['.', '@']);
        if !(after && matches!(c, ' ' | '\t')) {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_addresses_are_parsed_and_others_as_far_as_possible() {
        for (value, expected) in [
            ("a@b.c", "|a@b.c"),
            ("\"U, 0\" <u@x.y>, v@x.y", "U, 0|u@x.y |v@x.y"),
            ("=?utf-8?b?5p2O6Zu3?= <l@x.y>", "李雷|l@x.y"),
            ("team: a@b.c, d@e.f;", "|a@b.c |d@e.f"),
            ("Unquoted, comma <a@b.c>", "Unquoted| comma|a@b.c"),
            ("MAILER-DAEMON", "MAILER-DAEMON|"),
            ("\"a, b\" <a..b@c>, <>,, x@", "a, b|a..b@c |x@"),
            ("a <x@y.z", "a|x@y.z"),
            (
                "Team: a@example.com, Bob <b@example.com>;, <@r1.example:c@example.com>",
                "|a@example.com Bob|b@example.com |c@example.com",
            ),
            ("A <@r1.example,@r2.example:a@b.c>, x@", "A|a@b.c |x@"),
            (
                "t: a@b.c; u: d@e.f;, <@r.example:g@h.i>",
                "|a@b.c |d@e.f |g@h.i",
            ),
            ("none:;, <@r.example:a@b.c>", "|a@b.c"),
            ("Ann ( <a@b.c>, <@r.example:d@e.f>", "Ann|a@b.c |d@e.f"),
            ("a . b @ example . com", "|a.b@example.com"),
            ("Ann ann@example.com, x@", "Ann|ann@example.com |x@"),
            ("a@[IPv6:::1], <@r.example:b@c.d>", "|a@[IPv6:::1] |b@c.d"),
            (
                "(a, comment: here) a@b.c, <@r.example:b@c.d>",
                "|a@b.c |b@c.d",
            ),
            (
                "x@y.z =?utf-8?q?=2C?= \"a \\\"q\\\", b\" <a@b.c>, =?utf-8?q?=C3=A9=2C?= <d@e.f>",
                "|x@y.z a \"q\", b|a@b.c é,|d@e.f",
            ),
            ("nobody, \"a \\\"q\\\"\" <a@b.c>", "nobody| a \"q\"|a@b.c"),
            ("\"6\\\", b\" <a@b.c>, x@", "6\", b|a@b.c |x@"),
            (
                "\"a (b\" <a@b.c>, \")c\" <d@e.f>, x@",
                "a (b|a@b.c )c|d@e.f |x@",
            ),
            (
                "\"a [b\" <a@b.c>, \"]c\" <d@e.f>, x@",
                "a [b|a@b.c ]c|d@e.f |x@",
            ),
            ("\"a < b\" <a@b.c>, x@", "a < b|a@b.c |x@"),
            ("\"a < b\", <c@d.e>, x@", "a|b\" |c@d.e |x@"),
            ("(c) a@b.c, x@", "|a@b.c |x@"),
            ("(6\" tall) a@b.c, x@", "|a@b.c |x@"),
            ("(a \\) , \\( b) a@b.c, x@", "|a@b.c |x@"),
            ("Ann [ <a@b.c>, x@", "Ann [|a@b.c |x@"),
            ("", ""),
        ] {
            let found = read_list(value);
            let found: Vec<_> = found
                .iter()
                .map(|a| format!("{}|{}", a.name, a.email))
                .collect();
            assert_eq!(found.join(" "), expected, "{value}");
        }
    }

    #[test]
    fn an_invalid_address_is_shown_with_its_name() {
        let show = |name, email| InboundAddress::new(name, email).to_string();
        assert_eq!(show("Ann", "x@"), "\"Ann\" <x@>");
        assert_eq!(show("", "x@"), "x@");
        assert_eq!(show("Ann", "ann@example.com"), "Ann <ann@example.com>");
    }

    #[test]
    fn the_first_addresses_of_a_list_of_any_length_are_parsed() {
        let list = "é <a@example.com>, ".repeat(100_000);
        let found = read_list(&list);
        assert!((10_000..20_000).contains(&found.len()), "{}", found.len());
        assert!(found.iter().all(|address| address.email == "a@example.com"));
    }
}
