//! The console backend shows messages to people; these tests read them from its output.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use anymail_core::{Address, AddressError, ConsoleBackend, EmailBackend};
use anymail_test_utils::conformance::{
    File, HarnessError, LocalHarness, Mailbox, Profile, Understood,
};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(crate) struct ConsoleHarness;

impl LocalHarness for ConsoleHarness {
    fn backend(&self) -> Result<(Arc<dyn EmailBackend>, Mailbox), HarnessError> {
        let screen = Screen::default();
        let backend = ConsoleBackend::to(screen.clone());
        let mailbox = move || {
            let shown = screen.0.lock().unwrap_or_else(PoisonError::into_inner);
            let shown = String::from_utf8(shown.clone())?;
            shown.split_terminator(END).map(mail).collect()
        };
        Ok((Arc::new(backend), Box::new(mailbox)))
    }

    fn profile(&self) -> Profile {
        const LINES: &str =
            "line ends are those of the terminal, and control characters are escaped";
        const FILES: [&str; 13] = [
            "attachments::one_byte_arrives",
            "attachments::every_byte_arrives",
            "attachments::five_megabytes_arrive",
            "attachments::line_ends_arrive_as_they_are",
            "attachments::odd_names_arrive_equal",
            "attachments::one_without_a_filename_arrives",
            "attachments::types_arrive_with_their_parameters",
            "attachments::two_of_one_name_both_arrive",
            "attachments::inline_parts_arrive_inline",
            "attachments::attached_and_inline_are_kept_apart",
            "features::attachments::arrives",
            "features::inline_attachments::arrives",
            "many::messages_of_all_kinds_arrive_whole",
        ];
        let files = FILES.map(|trial| (trial, "of a file, all but the content is shown"));
        let lines = [
            ("bodies::every_character_arrives", LINES),
            ("bodies::a_megabyte_arrives", LINES),
            ("bodies::lines_that_start_with_a_dot_arrive", LINES),
        ];
        Profile {
            known_gaps: files.into_iter().chain(lines).collect(),
            ..Profile::default()
        }
    }
}

#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl io::Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The line that ends a message.
const END: &str = "\n==========\n";
/// The prefix of a body's media type.
const BODY: &str = "\n---------- ";

fn mail(shown: &str) -> Result<Understood, HarnessError> {
    let mut sections = shown.split(BODY);
    let mut mail = Understood::default();
    let fields = sections.next().unwrap_or_default();
    for line in fields.lines().skip(1) {
        let (name, value) = line.split_once(": ").ok_or("a line without a name")?;
        field(&mut mail, name, value)?;
    }
    for section in sections {
        let (kind, body) = section.split_once('\n').ok_or("a body without a type")?;
        match kind {
            "text/plain" => mail.text = Some(body.to_owned()),
            "text/html" => mail.html = Some(body.to_owned()),
            other => mail.alternatives.push((other.to_owned(), body.to_owned())),
        }
    }
    Ok(mail)
}

fn field(mail: &mut Understood, name: &str, value: &str) -> Result<(), HarnessError> {
    match name {
        "From" => mail.from = Some(Address::parse(value)?),
        "To" => mail.to = people(value)?,
        "Cc" => mail.cc = people(value)?,
        "Bcc" => mail.bcc = people(value)?,
        "Reply-To" => mail.reply_to = people(value)?,
        "Subject" => mail.subject = Some(value.to_owned()),
        "Envelope-Sender" => mail.envelope_sender = serde_json::from_str(value)?,
        "Tags" => mail.tags = serde_json::from_str(value)?,
        "Metadata" => mail.metadata = serde_json::from_str(value)?,
        "Track-Opens" => mail.track_opens = serde_json::from_str(value)?,
        "Track-Clicks" => mail.track_clicks = serde_json::from_str(value)?,
        "Template-Id" => mail.template_id = serde_json::from_str(value)?,
        "Merge-Data" => mail.merge_data = serde_json::from_str(value)?,
        "Send-At" => {
            let at = OffsetDateTime::parse(&serde_json::from_str::<String>(value)?, &Rfc3339)?;
            mail.send_at = Some(at.unix_timestamp());
        }
        "Attachment" => mail.attachments.push(file(value)?),
        header => mail.headers.push((header.to_owned(), value.to_owned())),
    }
    Ok(())
}

fn people(list: &str) -> Result<Vec<Address>, AddressError> {
    Address::parse_list(list)
}

/// `name (type, 7 bytes, inline as cid:id)`: everything except the content.
fn file(shown: &str) -> Result<File, HarnessError> {
    let (name, about) = shown.rsplit_once(" (").ok_or("a file without a type")?;
    let about = about.strip_suffix(')').ok_or("a file without an end")?;
    let (about, content_id) = match about.split_once(", inline as cid:") {
        Some((about, id)) => (about, Some(id.to_owned())),
        None => (about, None),
    };
    let (content_type, _) = about.rsplit_once(", ").ok_or("a file without a size")?;
    Ok(File {
        name: Some(name.to_owned()),
        content_type: content_type.to_owned(),
        inline: content_id.is_some(),
        content_id,
        ..File::default()
    })
}
