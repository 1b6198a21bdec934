//! [`Content`]: the encoded bytes of a part, decoded on demand.
//!
//! `inbound.rs` uses it; `mime.rs` finds it in a message.

use std::borrow::Cow;

use bytes::Bytes;
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::parsers::MessageStream;

/// Bytes in their transfer encoding (RFC 2045, 6).
#[derive(Clone, Default)]
pub(super) struct Content {
    bytes: Bytes,
    encoding: Encoding,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Encoding {
    #[default]
    Identity,
    Base64,
    QuotedPrintable,
}

impl Encoding {
    /// The encoding that a `Content-Transfer-Encoding` names. Unknown encodings are not decoded.
    pub(super) fn named(name: &str) -> Self {
        let name = name.trim();
        if name.eq_ignore_ascii_case("base64") {
            Self::Base64
        } else if name.eq_ignore_ascii_case("quoted-printable") {
            Self::QuotedPrintable
        } else {
            Self::Identity
        }
    }
}

impl Content {
    pub(super) fn new(bytes: Bytes, encoding: Encoding) -> Self {
        Self { bytes, encoding }
    }

    /// The number of encoded bytes.
    pub(super) fn encoded_len(&self) -> usize {
        self.bytes.len()
    }

    /// The decoded bytes. Never fails, as RFC 2045 requires: characters that base64 does not know
    /// are skipped (6.8), and an `=` that escapes nothing is kept (6.7).
    pub(super) fn decode(&self) -> Bytes {
        match self.encoding {
            Encoding::Identity => self.bytes.clone(),
            Encoding::Base64 => decode_base64(&self.bytes).into(),
            Encoding::QuotedPrintable => match decode_quoted_printable(&self.bytes) {
                Some(decoded) => decoded.into(),
                None => self.bytes.clone(),
            },
        }
    }

    /// The decoded text; borrowed if it is already UTF-8.
    pub(super) fn text(&self, charset: Option<&str>) -> Cow<'_, str> {
        if self.encoding == Encoding::Identity {
            return decode_charset(&self.bytes, charset);
        }
        Cow::Owned(decode_charset(&self.decode(), charset).into_owned())
    }
}

pub(super) fn decode_base64(bytes: &[u8]) -> Vec<u8> {
    base64_decode(bytes).unwrap_or_else(|| {
        let known = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
        let known: Vec<u8> = bytes.iter().copied().filter(known).collect();
        base64_decode(&known).unwrap_or_default()
    })
}

fn decode_quoted_printable(bytes: &[u8]) -> Option<Vec<u8>> {
    let (end, decoded) = MessageStream::new(bytes).decode_quoted_printable_mime(b"");
    (end != usize::MAX).then(|| decoded.into_owned())
}

/// Decodes bytes of a charset; invalid bytes become U+FFFD. Without a charset, and where the text
/// claims to be ASCII but is not, UTF-8 is the best guess (RFC 6532 makes it the default).
pub(super) fn decode_charset<'a>(bytes: &'a [u8], charset: Option<&str>) -> Cow<'a, str> {
    let charset = charset.map(str::trim).unwrap_or("utf-8");
    let utf8 = ["utf-8", "utf8", "us-ascii", "ascii", ""];
    if utf8.iter().any(|name| charset.eq_ignore_ascii_case(name))
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return Cow::Borrowed(text);
    }
    match charset_decoder(charset.as_bytes()) {
        Some(decode) => Cow::Owned(decode(bytes)),
        None => String::from_utf8_lossy(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(encoding: &str, text: &str) -> Vec<u8> {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        Content::new(bytes, Encoding::named(encoding))
            .decode()
            .to_vec()
    }

    #[test]
    fn valid_encodings_are_decoded() {
        assert_eq!(decoded("BASE64", "dMOp\r\nc3Q=\r\n"), "tést".as_bytes());
        assert_eq!(decoded("base64 ", "dMOpc3Q"), "tést".as_bytes());
        assert_eq!(
            decoded("quoted-printable", "caf=C3=A9 =\nau lait"),
            "café au lait".as_bytes()
        );
        assert_eq!(decoded("8bit", "a=C3\n"), b"a=C3\n");
    }

    #[test]
    fn invalid_encodings_are_decoded_as_far_as_possible() {
        // Real messages have a mailing list's footer below a base64 body.
        assert!(decoded("base64", "dGVzdA==\n-- \n_list_").starts_with(b"test"));
        assert_eq!(
            decoded("quoted-printable", "1 + 1 = 2, =ZZ"),
            b"1 + 1 =2, =ZZ"
        );
        assert_eq!(decoded("quoted-printable", "a == b"), b"a == b");
    }

    #[test]
    fn text_is_decoded_with_its_charset() {
        for (charset, bytes, expected) in [
            (None, "ünï".as_bytes(), "ünï"),
            (Some("us-ascii"), "ünï".as_bytes(), "ünï"),
            (Some("UTF-8"), b"a\xffb", "a\u{fffd}b"),
            (Some("iso-8859-1"), b"caf\xe9", "café"),
            (Some("koi8-r"), b"\xf0\xd2", "Пр"),
            (Some("iso-2022-jp"), b"\x1b$B%O\x1b(B", "ハ"),
            (Some("no-such-charset"), b"a\xffb", "a\u{fffd}b"),
            (None, b"a\xffb", "a\u{fffd}b"),
        ] {
            let content = Content::new(Bytes::from_static(bytes), Encoding::Identity);
            assert_eq!(content.text(charset), expected, "{charset:?}");
        }
    }
}
