//! Parses address lists (RFC 5322, 3.4) as people type them.
//!
//! This file splits the text; `address.rs` checks each addr-spec.

use super::address_error::{AddressError, AddressErrorReason as Reason};

/// Parses a list of mailboxes and groups. The text must not contain control characters other than
/// tabs.
pub(super) fn parse_list(text: &str) -> Result<Vec<Mailbox<'_>>, AddressError> {
    Parser { text, rest: text }.list()
}

/// The parts of a mailbox, as written.
pub(super) struct Mailbox<'a> {
    /// The display name, unquoted.
    pub(super) name: Option<String>,
    pub(super) local: &'a str,
    pub(super) domain: &'a str,
}

/// Words that have been read before it is known whether they are a name or a local part.
#[derive(Default)]
struct Words<'a> {
    /// The words, unquoted, joined by single spaces: a display name.
    phrase: String,
    /// The text as written, if it is a single word: a local part.
    raw: &'a str,
    count: usize,
    /// Whether there was no space or comment between the words.
    adjacent: bool,
    comment: Option<String>,
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn list(mut self) -> Result<Vec<Mailbox<'a>>, AddressError> {
        let mut found = Vec::new();
        if self.rest.trim().is_empty() {
            return self.fail(self.text, Reason::Empty);
        }
        loop {
            self.member(&mut found, true)?;
            self.skip_space()?;
            match self.next() {
                None => return Ok(found),
                Some(',') => {}
                Some(_) => return self.fail(self.text, Reason::TrailingText),
            }
        }
    }

    /// Parses one mailbox or, if `groups` are allowed, one group, up to the separator.
    fn member(&mut self, found: &mut Vec<Mailbox<'a>>, groups: bool) -> Result<(), AddressError> {
        let start = self.rest;
        let words = self.words()?;
        match self.peek() {
            Some('<') => {
                self.next();
                found.push(self.angle(words.phrase)?);
                Ok(())
            }
            Some('@') => {
                self.next();
                found.push(self.bare(words, start)?);
                Ok(())
            }
            Some(':') if groups && words.count > 0 => {
                self.next();
                self.group(found)
            }
            _ if words.count == 0 => self.fail(start, Reason::Empty),
            _ => self.fail(words.raw, Reason::NoAt),
        }
    }

    fn group(&mut self, found: &mut Vec<Mailbox<'a>>) -> Result<(), AddressError> {
        self.skip_space()?;
        if self.peek() == Some(';') {
            self.next();
            return Ok(());
        }
        loop {
            self.member(found, false)?;
            self.skip_space()?;
            match self.next() {
                Some(',') => {}
                Some(';') => return Ok(()),
                _ => return self.fail(self.text, Reason::OpenGroup),
            }
        }
    }

    /// Parses the rest of `name <local@domain>`, after the `<`.
    fn angle(&mut self, name: String) -> Result<Mailbox<'a>, AddressError> {
        let start = self.rest;
        let words = self.words()?;
        if self.peek() != Some('@') {
            return self.fail(start, Reason::NoAt);
        }
        if words.count == 0 || !words.adjacent {
            return self.fail(start, Reason::Malformed);
        }
        self.next();
        let domain = self.domain();
        self.skip_space()?;
        if self.next() != Some('>') {
            return self.fail(start, Reason::OpenAngle);
        }
        Ok(Mailbox {
            name: Some(name),
            local: words.raw,
            domain,
        })
    }

    /// Parses the rest of `local@domain`, after the `@`. A comment after it is a display name in
    /// the style of the oldest mail clients (RFC 5322, 3.4).
    fn bare(&mut self, words: Words<'a>, start: &str) -> Result<Mailbox<'a>, AddressError> {
        if words.count == 0 || !words.adjacent {
            return self.fail(start, Reason::Malformed);
        }
        let domain = self.domain();
        let comment = self.skip_space()?;
        if !matches!(self.peek(), None | Some(',' | ';')) {
            return self.fail(start, Reason::TrailingText);
        }
        Ok(Mailbox {
            name: comment,
            local: words.raw,
            domain,
        })
    }

    /// Parses words and quoted strings up to the next special character.
    fn words(&mut self) -> Result<Words<'a>, AddressError> {
        let mut words = Words {
            adjacent: true,
            ..Words::default()
        };
        words.comment = self.skip_space()?;
        let start = self.rest;
        let mut end = start;
        loop {
            match self.peek() {
                Some('"') => words.push(&self.quoted()?),
                Some(c) if !is_special(c) => words.push(self.atom()),
                _ => break,
            }
            end = self.rest;
            let before = self.rest.len();
            self.skip_space()?;
            let spaced = self.rest.len() != before;
            // A local part must be directly followed by its "@".
            words.adjacent &= !spaced;
        }
        words.raw = start
            .get(..start.len().saturating_sub(end.len()))
            .unwrap_or_default();
        Ok(words)
    }

    fn atom(&mut self) -> &'a str {
        let end = self
            .rest
            .find(|c: char| is_special(c) || is_space(c))
            .unwrap_or(self.rest.len());
        self.take(end)
    }

    /// The content of a quoted string, unescaped.
    fn quoted(&mut self) -> Result<String, AddressError> {
        let start = self.rest;
        self.next();
        let mut out = String::new();
        loop {
            match self.next() {
                Some('"') => return Ok(out),
                Some('\\') => match self.next() {
                    Some(c) => out.push(c),
                    None => return self.fail(start, Reason::OpenQuote),
                },
                Some(c) => out.push(c),
                None => return self.fail(start, Reason::OpenQuote),
            }
        }
    }

    fn domain(&mut self) -> &'a str {
        let end = if self.rest.starts_with('[') {
            self.rest.find(']').map_or(self.rest.len(), |at| at + 1)
        } else {
            self.rest
                .find(|c: char| is_special(c) || is_space(c))
                .unwrap_or(self.rest.len())
        };
        self.take(end)
    }

    /// Skips white space and comments, and returns the text of the last comment.
    fn skip_space(&mut self) -> Result<Option<String>, AddressError> {
        let mut comment = None;
        loop {
            self.rest = self.rest.trim_start_matches(is_space);
            if self.peek() != Some('(') {
                return Ok(comment);
            }
            comment = Some(self.comment()?);
        }
    }

    fn comment(&mut self) -> Result<String, AddressError> {
        let start = self.rest;
        let mut depth = 0_usize;
        let mut out = String::new();
        while let Some(c) = self.next() {
            match c {
                '(' => {
                    depth += 1;
                    if depth == 1 {
                        continue;
                    }
                }
                ')' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Ok(out.trim().to_owned());
                    }
                }
                '\\' => {
                    out.extend(self.next());
                    continue;
                }
                _ => {}
            }
            out.push(c);
        }
        self.fail(start, Reason::OpenComment)
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next();
        self.rest = chars.as_str();
        c
    }

    fn take(&mut self, end: usize) -> &'a str {
        let (head, tail) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = tail;
        head
    }

    fn fail<T>(&self, part: &str, reason: Reason) -> Result<T, AddressError> {
        Err(AddressError::new(self.text, part, reason))
    }
}

impl Words<'_> {
    fn push(&mut self, word: &str) {
        if self.count > 0 {
            self.phrase.push(' ');
        }
        self.phrase.push_str(word);
        self.count += 1;
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// The special characters of RFC 5322, 3.2.3, without the dot, which is allowed in local parts and,
/// in the obsolete form, in display names.
pub(super) fn is_special(c: char) -> bool {
    matches!(
        c,
        '(' | ')' | '<' | '>' | '[' | ']' | ':' | ';' | '@' | '\\' | ',' | '"'
    )
}
