//! [`Understood::from_mime`]: parses a message as a mail client does.

use anymail_core::{Address, AddressError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{Encoding, MessageParser, MessagePart, MimeHeaders, PartType};

use super::harness::HarnessError;
use super::understood::{File, Understood};

/// Headers for which a message has fields, and headers that every message has.
const OWN: [&str; 12] = [
    "From",
    "Sender",
    "To",
    "Cc",
    "Bcc",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];

impl Understood {
    /// Parses a message (RFC 5322 and MIME), for an ESP that accepts raw messages, such as in a
    /// request.
    ///
    /// The message contains neither recipients other than those in `to` and `cc` nor the envelope
    /// sender. [`own_id`](Self::own_id) stays empty, too: the ESP determines whether the backend's
    /// `Message-ID` is the message ID.
    ///
    /// # Errors
    /// Returns an error if the bytes are not a message or an address is invalid.
    pub fn from_mime(bytes: &[u8]) -> Result<Self, HarnessError> {
        read(bytes)
    }
}

fn read(bytes: &[u8]) -> Result<Understood, HarnessError> {
    let parsed = MessageParser::new()
        .default_header_text()
        .with_mime_headers()
        .with_address_headers()
        .parse(bytes)
        .ok_or("not a valid message")?;
    let raw = |name| parsed.header_raw(name);
    let mut mail = Understood {
        from: people(parsed.from(), raw("From"))?.pop(),
        to: people(parsed.to(), raw("To"))?,
        cc: people(parsed.cc(), raw("Cc"))?,
        bcc: people(parsed.bcc(), raw("Bcc"))?,
        reply_to: people(parsed.reply_to(), raw("Reply-To"))?,
        subject: parsed.subject().map(str::to_owned),
        ..Understood::default()
    };
    for header in parsed.headers() {
        let name = header.name.as_str();
        if OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            continue;
        }
        // As the decoded text if it is encoded, and otherwise unchanged, because a link is not
        // text.
        let raw = parsed.header_raw(header.name.clone()).unwrap_or_default();
        let raw = raw.trim().replace("\r\n", "");
        let value = match header.value.as_text() {
            Some(words) if raw.starts_with("=?") => words.to_owned(),
            _ => raw,
        };
        mail.headers.push((name.to_owned(), value));
    }
    for part in &parsed.parts {
        add(&mut mail, part, bytes)?;
    }
    Ok(mail)
}

/// Reads bodies and files. A text part that is not a file is a body.
fn add(mail: &mut Understood, part: &MessagePart<'_>, whole: &[u8]) -> Result<(), HarnessError> {
    let kind = part.content_type().map(|it| match it.subtype() {
        Some(subtype) => format!("{}/{subtype}", it.ctype()),
        None => it.ctype().to_owned(),
    });
    let kind = kind.unwrap_or_else(|| "text/plain".to_owned());
    let is_file = part.content_disposition().is_some() || part.content_id().is_some();
    match (&part.body, &*kind) {
        (PartType::Multipart(_), _) => {}
        (PartType::Text(text), "text/plain") if !is_file => mail.text = Some(text.to_string()),
        (PartType::Html(text), "text/html") if !is_file => mail.html = Some(text.to_string()),
        (PartType::Text(text) | PartType::Html(text), _) if !is_file => {
            mail.alternatives.push((kind, text.to_string()));
        }
        _ => mail.attachments.push(File {
            name: part.attachment_name().map(str::to_owned),
            content_type: full_type(part, kind),
            content: content(part, whole)?.into(),
            inline: part.content_disposition().is_some_and(|it| it.is_inline()),
            content_id: part.content_id().map(str::to_owned),
        }),
    }
    Ok(())
}

/// Returns the bytes of a file, because the parser decodes text to UTF-8.
fn content(part: &MessagePart<'_>, whole: &[u8]) -> Result<Vec<u8>, HarnessError> {
    let range = part.raw_body_offset() as usize..part.raw_end_offset() as usize;
    let lines = whole
        .get(range)
        .ok_or("the part extends beyond the end of the message")?;
    Ok(match part.encoding {
        Encoding::None => lines.to_vec(),
        Encoding::QuotedPrintable => {
            quoted_printable_decode(lines).ok_or("a part is not valid quoted-printable")?
        }
        Encoding::Base64 => {
            let lines = lines.iter().filter(|byte| !byte.is_ascii_whitespace());
            STANDARD.decode(lines.copied().collect::<Vec<_>>())?
        }
    })
}

/// Returns the media type with its parameters, except the filename.
fn full_type(part: &MessagePart<'_>, kind: String) -> String {
    let given = part.content_type().and_then(|it| it.attributes.as_ref());
    let given = given.into_iter().flatten().filter(|it| it.name != "name");
    given.fold(kind, |kind, it| {
        format!("{kind}; {}=\"{}\"", it.name, it.value)
    })
}

/// Returns the addresses of a header; `raw` is the header as it appears in the message.
///
/// The parser loses the quotes of local parts, so those addresses are read from the raw header.
fn people(
    list: Option<&mail_parser::Address<'_>>,
    raw: Option<&str>,
) -> Result<Vec<Address>, AddressError> {
    let raw = raw.unwrap_or_default().replace("\r\n", "");
    let exact = match raw.contains("\"@") {
        true => Address::parse_list(&raw)?,
        false => Vec::new(),
    };
    let all = list.into_iter().flat_map(|list| list.iter()).enumerate();
    all.map(|(place, it)| {
        let name = it.name().unwrap_or_default();
        match exact.get(place) {
            Some(exact) => Address::new(name, exact.email()),
            None => Address::new(name, it.address().unwrap_or_default()),
        }
    })
    .collect()
}
