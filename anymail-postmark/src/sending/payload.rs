//! Writes requests: message in, JSON bytes out, straight into the buffer that is sent.
//!
//! Which rows make up a call is decided in `batch.rs`. Field names and forms:
//! <https://postmarkapp.com/developer/api/email-api>, `/templates-api` and `/bulk-email`.

use std::ops::Range;
use std::sync::LazyLock;

use anymail_core::{Address, Attachment, JsonMap, PreparedMessage};
use base64::Engine;
use serde::Serialize;

use super::check::get;
use crate::config::PostmarkConfig;
use crate::options::{ANYMAIL_ID, SERVER_TOKEN};

/// The largest body of a call: 50 MB, read as powers of ten (the page does not say).
const MAX_BODY: usize = 50_000_000;
/// The most messages of one batch call.
pub(crate) const MAX_ROWS: usize = 500;

/// Where a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Endpoint {
    Email,
    WithTemplate,
    Batch,
    BatchWithTemplates,
    Bulk,
}

impl Endpoint {
    /// The path below the API's URL.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::WithTemplate => "email/withTemplate/",
            Self::Batch => "email/batch",
            Self::BatchWithTemplates => "email/batchWithTemplates",
            Self::Bulk => "email/bulk",
        }
    }

    fn max_rows(self) -> usize {
        match self {
            Self::Email | Self::WithTemplate => 1,
            Self::Batch | Self::BatchWithTemplates => MAX_ROWS,
            Self::Bulk => usize::MAX,
        }
    }
}

/// One mail as Postmark sees it: a whole message, or one recipient's copy of a batch.
#[derive(Debug, Clone)]
pub(super) struct Row<'a> {
    pub(super) message: &'a PreparedMessage,
    /// The message's place among those to send.
    pub(super) index: usize,
    pub(super) to: &'a [Address],
    /// The id that we made up for it.
    pub(super) id: Option<String>,
}

impl Row<'_> {
    /// Everybody who gets this mail.
    pub(super) fn recipients(&self) -> impl Iterator<Item = &Address> {
        let copies = self.message.cc().iter().chain(self.message.bcc());
        self.to.iter().chain(copies)
    }
}

/// Whether a message goes out by a template, its own or one named in `esp_extra`.
pub(super) fn has_template(message: &PreparedMessage) -> bool {
    let named = |name| {
        message
            .esp_extra()
            .is_some_and(|it| get(it, name).is_some())
    };
    message.template_id().is_some() || named("TemplateId") || named("TemplateAlias")
}

/// The body of one call, while rows are added to it.
///
/// What all rows of a message share (bodies and attachments, above all) is written once and
/// copied as bytes.
pub(super) struct Body<'c> {
    out: Vec<u8>,
    endpoint: Endpoint,
    config: &'c PostmarkConfig,
    rows: usize,
    /// Where the last message's shared part stands, and whose it is.
    shared: Option<(usize, Range<usize>)>,
}

impl<'c> Body<'c> {
    pub(super) fn new(endpoint: Endpoint, config: &'c PostmarkConfig) -> Self {
        let out = match endpoint {
            Endpoint::Batch => b"[".to_vec(),
            Endpoint::BatchWithTemplates => br#"{"Messages":["#.to_vec(),
            Endpoint::Email | Endpoint::WithTemplate | Endpoint::Bulk => Vec::new(),
        };
        Self {
            out,
            endpoint,
            config,
            rows: 0,
            shared: None,
        }
    }

    /// Adds a row, unless the call is full; gives whether it did. The first row always fits:
    /// if it is too large, Postmark says so.
    ///
    /// `more` is how many rows like this one are likely to follow.
    pub(super) fn push(&mut self, row: &Row<'_>, more: usize) -> serde_json::Result<bool> {
        if self.rows >= self.endpoint.max_rows() {
            return Ok(false);
        }
        let before = self.out.len();
        if self.endpoint == Endpoint::Bulk {
            self.bulk_row(row)?;
        } else {
            self.row(row)?;
        }
        if self.rows > 0 && self.out.len() + 2 > MAX_BODY {
            self.out.truncate(before);
            return Ok(false);
        }
        if self.rows == 0 && more > 0 {
            let size = self.out.len() - before + 64;
            let rows = more.min(self.endpoint.max_rows());
            self.out.reserve(size.saturating_mul(rows).min(MAX_BODY));
        }
        self.rows += 1;
        Ok(true)
    }

    /// The bytes to send.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let end: &[u8] = match self.endpoint {
            Endpoint::Email | Endpoint::WithTemplate => b"",
            Endpoint::Batch => b"]",
            Endpoint::BatchWithTemplates | Endpoint::Bulk => b"]}",
        };
        self.out.extend_from_slice(end);
        self.out
    }

    fn row(&mut self, row: &Row<'_>) -> serde_json::Result<()> {
        if self.rows > 0 {
            self.out.push(b',');
        }
        self.out.push(b'{');
        match self.shared.clone() {
            Some((index, range)) if index == row.index => self.out.extend_from_within(range),
            _ => {
                let start = self.out.len();
                let mut fields = Fields::new(&mut self.out, row.message);
                fields.shared(self.config, Own::of(row))?;
                self.shared = Some((row.index, start..self.out.len()));
            }
        }
        let own = Own::of(row);
        let mut fields = Fields::new(&mut self.out, row.message);
        fields.addresses("To", row.to)?;
        if own.headers {
            fields.headers(row.to)?;
        }
        if own.metadata {
            fields.metadata(row)?;
        }
        if own.model {
            fields.model(row.to)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// A bulk call is one message with its common fields, and a short row for each recipient.
    /// Postmark lets a row's value win; whether maps are merged is not said, so a row that has
    /// a map of its own repeats the common entries in it.
    fn bulk_row(&mut self, row: &Row<'_>) -> serde_json::Result<()> {
        let own = Own::of(row);
        if self.rows == 0 {
            self.out.push(b'{');
            let mut fields = Fields::new(&mut self.out, row.message);
            fields.shared(self.config, Own::BULK)?;
            fields.common_maps()?;
            self.out.extend_from_slice(br#","Messages":["#);
        } else {
            self.out.push(b',');
        }
        self.out.push(b'{');
        let mut fields = Fields::new(&mut self.out, row.message);
        fields.empty = true;
        fields.addresses("To", row.to)?;
        fields.addresses("Cc", row.message.cc())?;
        fields.addresses("Bcc", row.message.bcc())?;
        if own.headers && row.to.iter().any(|to| has_own_headers(row.message, to)) {
            fields.headers(row.to)?;
        }
        if own.metadata {
            fields.metadata(row)?;
        }
        if has_template(row.message) {
            fields.model(row.to)?;
        }
        self.out.push(b'}');
        Ok(())
    }
}

fn has_own_headers(message: &PreparedMessage, to: &Address) -> bool {
    let own = message.message().merge_headers.value();
    own.is_some_and(|map| map.get(to).is_some())
}

/// Which fields differ from row to row.
#[derive(Debug, Clone, Copy)]
struct Own {
    copies: bool,
    headers: bool,
    metadata: bool,
    model: bool,
}

impl Own {
    /// In a bulk call's common part.
    const BULK: Self = Self {
        copies: true,
        headers: true,
        metadata: true,
        model: true,
    };

    fn of(row: &Row<'_>) -> Self {
        let message = row.message.message();
        let merges = |entries: Option<usize>| entries.is_some_and(|n| n > 0);
        Self {
            copies: false,
            headers: merges(message.merge_headers.value().map(|map| map.len())),
            metadata: row.id.is_some()
                || merges(message.merge_metadata.value().map(|map| map.len())),
            model: merges(message.merge_data.value().map(|map| map.len())),
        }
    }
}

/// Writes the fields of one JSON object; a name that `esp_extra` gives itself is left to it.
struct Fields<'o, 'm> {
    out: &'o mut Vec<u8>,
    message: &'m PreparedMessage,
    extra: Option<&'m JsonMap>,
    empty: bool,
}

impl<'o, 'm> Fields<'o, 'm> {
    /// Goes on behind what stands in `out`; an opening brace there means no comma.
    fn new(out: &'o mut Vec<u8>, message: &'m PreparedMessage) -> Self {
        Self {
            empty: out.last() == Some(&b'{'),
            out,
            message,
            extra: message.esp_extra(),
        }
    }

    /// All fields but those that are the row's own. `From` is always among them, so there is
    /// something for a row's own fields to stand behind.
    fn shared(&mut self, config: &PostmarkConfig, own: Own) -> serde_json::Result<()> {
        let message = self.message;
        self.addresses("From", std::slice::from_ref(message.from()))?;
        if !own.copies {
            self.addresses("Cc", message.cc())?;
            self.addresses("Bcc", message.bcc())?;
        }
        self.addresses("ReplyTo", message.reply_to())?;
        self.text("Subject", message.subject())?;
        self.text("TextBody", message.text_body())?;
        self.text("HtmlBody", message.html_body())?;
        self.text("Tag", message.tags().first().map(String::as_str))?;
        if let Some(on) = message.track_opens() {
            self.value("TrackOpens", &on)?;
        }
        if let Some(on) = message.track_clicks() {
            self.value("TrackLinks", if on { "HtmlAndText" } else { "None" })?;
        }
        self.text("MessageStream", config.message_stream.as_deref())?;
        if let Some(id) = message.template_id() {
            match number(id) {
                Some(number) => self.value("TemplateId", &number)?,
                None => self.value("TemplateAlias", id)?,
            }
        }
        if !own.headers {
            self.headers(&[])?;
        }
        if !own.metadata {
            self.map(
                "Metadata",
                &*message.metadata(),
                message.metadata().is_empty(),
            )?;
        }
        if !own.model && has_template(message) {
            self.model(&[])?;
        }
        self.attachments(message.attachments())?;
        for (key, value) in self.extra.into_iter().flatten() {
            if key != SERVER_TOKEN {
                self.name(key)?;
                serde_json::to_writer(&mut *self.out, value)?;
            }
        }
        Ok(())
    }

    /// The headers and metadata that a bulk call's rows have in common.
    fn common_maps(&mut self) -> serde_json::Result<()> {
        self.headers(&[])?;
        let metadata = self.message.metadata();
        self.map("Metadata", &*metadata, metadata.is_empty())
    }

    /// Begins a field that the row has in any case.
    fn name(&mut self, name: &str) -> serde_json::Result<()> {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        serde_json::to_writer(&mut *self.out, name)?;
        self.out.push(b':');
        Ok(())
    }

    fn is_overridden(&self, name: &str) -> bool {
        self.extra.is_some_and(|extra| get(extra, name).is_some())
    }

    fn value<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> serde_json::Result<()> {
        if self.is_overridden(name) {
            return Ok(());
        }
        self.name(name)?;
        serde_json::to_writer(&mut *self.out, value)
    }

    /// A text, unless it is empty.
    fn text(&mut self, name: &str, text: Option<&str>) -> serde_json::Result<()> {
        match text {
            Some(text) if !text.is_empty() => self.value(name, text),
            _ => Ok(()),
        }
    }

    fn map(&mut self, name: &str, map: &impl Serialize, empty: bool) -> serde_json::Result<()> {
        if empty { Ok(()) } else { self.value(name, map) }
    }

    /// Addresses as one text, unless there are none.
    fn addresses(&mut self, name: &str, addresses: &[Address]) -> serde_json::Result<()> {
        let mut text = String::new();
        for address in addresses {
            if !text.is_empty() {
                text.push_str(", ");
            }
            address.write_ascii(&mut text);
        }
        self.text(name, Some(&text))
    }

    /// The headers of a row, or (without `to`) those of all.
    fn headers(&mut self, to: &[Address]) -> serde_json::Result<()> {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Header<'a> {
            name: &'a str,
            value: &'a str,
        }
        let headers = match to {
            [to] => self.message.headers_for(to),
            _ => self.message.headers(),
        };
        let list: Vec<_> = headers
            .iter()
            .map(|(name, value)| Header { name, value })
            .collect();
        self.map("Headers", &list, list.is_empty())
    }

    fn metadata(&mut self, row: &Row<'_>) -> serde_json::Result<()> {
        let mut metadata = match row.to {
            [to] => self.message.metadata_for(to),
            _ => self.message.metadata(),
        };
        if let Some(id) = &row.id {
            metadata.to_mut().insert(ANYMAIL_ID.to_owned(), id.clone());
        }
        self.map("Metadata", &*metadata, metadata.is_empty())
    }

    /// `TemplateModel`: Postmark wants it with every template, even if it is empty.
    fn model(&mut self, to: &[Address]) -> serde_json::Result<()> {
        let model = match to {
            [to] => self.message.merge_data_for(to),
            _ => self.message.merge_global_data(),
        };
        self.value("TemplateModel", &*model)
    }

    fn attachments(&mut self, attachments: &[Attachment]) -> serde_json::Result<()> {
        if attachments.is_empty() || self.is_overridden("Attachments") {
            return Ok(());
        }
        // Once, to the byte: an attachment is most of a message, and growing would copy it.
        let size = |part: &Attachment| part.content().len() / 3 * 4 + 256;
        self.out.reserve_exact(attachments.iter().map(size).sum());
        self.name("Attachments")?;
        self.out.push(b'[');
        for (i, part) in attachments.iter().enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            attachment(self.out, part)?;
        }
        self.out.push(b']');
        Ok(())
    }
}

/// A template's number, if it is one; else it is an alias.
fn number(id: &str) -> Option<i64> {
    let digits = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
    if digits { id.parse().ok() } else { None }
}

fn attachment(out: &mut Vec<u8>, part: &Attachment) -> serde_json::Result<()> {
    out.extend_from_slice(br#"{"Name":"#);
    serde_json::to_writer(&mut *out, part.filename().unwrap_or_default())?;
    out.extend_from_slice(br#","ContentType":"#);
    serde_json::to_writer(&mut *out, part.content_type())?;
    if let (true, Some(id)) = (part.is_inline(), part.content_id()) {
        out.extend_from_slice(br#","ContentID":"#);
        serde_json::to_writer(&mut *out, &format_args!("cid:{id}"))?;
    }
    out.extend_from_slice(br#","Content":""#);
    encode(out, part.content())?;
    out.extend_from_slice(br#""}"#);
    Ok(())
}

#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon")
))]
static BASE64: LazyLock<base64::engine::Simd> =
    LazyLock::new(|| base64::engine::Simd::standard(base64::engine::general_purpose::PAD));
#[cfg(not(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon")
)))]
static BASE64: LazyLock<base64::engine::GeneralPurpose> =
    LazyLock::new(|| base64::engine::general_purpose::STANDARD);

/// Appends base64. It goes by blocks so that the zeros that make room for a block are still
/// in the processor's cache when they are written over.
fn encode(out: &mut Vec<u8>, content: &[u8]) -> serde_json::Result<()> {
    const BLOCK: usize = 3 * 4096;
    for block in content.chunks(BLOCK) {
        let start = out.len();
        out.resize(start + block.len().div_ceil(3) * 4, 0);
        let room = out.get_mut(start..).unwrap_or_default();
        BASE64
            .encode_slice(block, room)
            .map_err(serde::ser::Error::custom)?;
    }
    Ok(())
}
