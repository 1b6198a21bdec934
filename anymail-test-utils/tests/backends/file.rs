//! The file backend writes mails as they stand in a mailbox, so what belongs to the envelope is
//! not in them.

use std::fs;
use std::sync::Arc;

use anymail_core::{Address, EmailBackend, FileBackend, JsonMap};
use anymail_test_utils::conformance::{
    File, HarnessError, LocalHarness, Mailbox, Profile, Understood,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_parser::{MessageParser, MessagePart, MimeHeaders, PartType};
use tempfile::TempDir;

pub(crate) struct FileHarness;

impl LocalHarness for FileHarness {
    fn backend(&self) -> Result<(Arc<dyn EmailBackend>, Mailbox), HarnessError> {
        let folder = TempDir::new()?;
        let backend = FileBackend::new(folder.path())?;
        let mailbox = move || {
            let mut paths: Vec<_> = fs::read_dir(folder.path())?
                .map(|entry| entry.map(|it| it.path()))
                .collect::<Result<_, _>>()?;
            paths.sort();
            paths.iter().map(|path| mail(&fs::read(path)?)).collect()
        };
        Ok((Arc::new(backend), Box::new(mailbox)))
    }

    fn profile(&self) -> Profile {
        const ENVELOPE: &str = "a mail does not say who else got it";
        Profile {
            known_gaps: vec![
                ("recipients::bcc_arrives_and_nobody_sees_it", ENVELOPE),
                ("addresses::every_kind_arrives_equal_as_bcc", ENVELOPE),
                ("batch::copies_go_with_every_mail", ENVELOPE),
            ],
            skips: vec![(
                "addresses::a_quoted_local_part_arrives_equal",
                "mail-parser takes the quotes off",
            )],
            ..Profile::default()
        }
    }
}

/// What a message has fields for, and what every mail has.
const OWN: [&str; 11] = [
    "From",
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

fn mail(bytes: &[u8]) -> Result<Understood, HarnessError> {
    let parsed = MessageParser::new()
        .default_header_text()
        .with_mime_headers()
        .with_address_headers()
        .parse(bytes)
        .ok_or("it is no mail")?;
    let mut mail = Understood {
        from: people(parsed.from())?.pop(),
        to: people(parsed.to())?,
        cc: people(parsed.cc())?,
        bcc: people(parsed.bcc())?,
        reply_to: people(parsed.reply_to())?,
        subject: parsed.subject().map(str::to_owned),
        ..Understood::default()
    };
    for header in parsed.headers() {
        let name = header.name.as_str();
        if OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            continue;
        }
        // As words where it is encoded, else as it stands there: a link is no words.
        let raw = parsed.header_raw(header.name.clone()).unwrap_or_default();
        let raw = raw.trim().replace("\r\n", "");
        let value = match header.value.as_text() {
            Some(words) if raw.starts_with("=?") => words.to_owned(),
            _ => raw,
        };
        match name.strip_prefix("X-Anymail-") {
            None => mail.headers.push((name.to_owned(), value)),
            Some("Tags") => mail.tags = serde_json::from_str(&value)?,
            Some("Metadata") => mail.metadata = serde_json::from_str(&value)?,
            Some("Envelope-Sender") => mail.envelope_sender = serde_json::from_str(&value)?,
            Some("Track-Opens") => mail.track_opens = serde_json::from_str(&value)?,
            Some("Track-Clicks") => mail.track_clicks = serde_json::from_str(&value)?,
            Some("Template-Id") => mail.template_id = serde_json::from_str(&value)?,
            Some("Merge-Data") => mail.merge_data = serde_json::from_str::<JsonMap>(&value)?,
            Some("Send-At") => {
                let at = time::OffsetDateTime::parse(
                    &serde_json::from_str::<String>(&value)?,
                    &time::format_description::well_known::Rfc3339,
                )?;
                mail.send_at = Some(at.unix_timestamp());
            }
            Some(other) => return Err(format!("what is X-Anymail-{other}?").into()),
        }
    }
    for part in &parsed.parts {
        add(&mut mail, part, bytes)?;
    }
    Ok(mail)
}

/// Bodies and files. What stands in no file's place and is text is a body.
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

/// The bytes of a file, which always goes as base64. The parser's own are decoded to UTF-8.
fn content(part: &MessagePart<'_>, whole: &[u8]) -> Result<Vec<u8>, HarnessError> {
    let range = part.raw_body_offset() as usize..part.raw_end_offset() as usize;
    let lines = whole.get(range).ok_or("the part ends behind the mail")?;
    let lines = lines.iter().filter(|byte| !byte.is_ascii_whitespace());
    Ok(STANDARD.decode(lines.copied().collect::<Vec<_>>())?)
}

/// The type with the parameters that are not the file's name.
fn full_type(part: &MessagePart<'_>, kind: String) -> String {
    let given = part.content_type().and_then(|it| it.attributes.as_ref());
    let given = given.into_iter().flatten().filter(|it| it.name != "name");
    given.fold(kind, |kind, it| {
        format!("{kind}; {}=\"{}\"", it.name, it.value)
    })
}

fn people(list: Option<&mail_parser::Address<'_>>) -> Result<Vec<Address>, HarnessError> {
    let all = list.into_iter().flat_map(|list| list.iter());
    all.map(|it| {
        let (name, email) = (it.name().unwrap_or_default(), it.address());
        Ok(Address::new(name, email.unwrap_or_default())?)
    })
    .collect()
}
