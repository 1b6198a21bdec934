//! The file backend writes messages as they appear in a mailbox, without the parts that belong to
//! the envelope.

use std::fs;
use std::sync::Arc;

use anymail_core::{EmailBackend, FileBackend, JsonMap};
use anymail_test_utils::conformance::{HarnessError, LocalHarness, Mailbox, Profile, Understood};
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
        const ENVELOPE: &str = "a message file does not contain its envelope recipients";
        Profile {
            known_gaps: vec![
                ("recipients::bcc_arrives_and_nobody_sees_it", ENVELOPE),
                ("addresses::every_kind_arrives_equal_as_bcc", ENVELOPE),
                ("batch::every_message_has_all_copies", ENVELOPE),
                (
                    "bodies::every_character_arrives",
                    "a line of a text ends with CR LF in a mail (RFC 2046, 4.1.1)",
                ),
            ],
            ..Profile::default()
        }
    }
}

/// Headers contain what the backend knows in addition to the message.
fn mail(bytes: &[u8]) -> Result<Understood, HarnessError> {
    let mut mail = Understood::from_mime(bytes)?;
    for (name, value) in std::mem::take(&mut mail.headers) {
        match name.strip_prefix("X-Anymail-") {
            None => mail.headers.push((name, value)),
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
            Some(other) => return Err(format!("unexpected header X-Anymail-{other}").into()),
        }
    }
    Ok(mail)
}
