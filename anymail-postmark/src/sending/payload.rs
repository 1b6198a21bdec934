//! Writes requests: message in, JSON bytes out, straight into the buffer that is sent.
//!
//! Which rows make up a call is decided in `batch.rs`. Field names and forms:
//! <https://postmarkapp.com/developer/api/email-api>, `/templates-api` and `/bulk-email`.

use std::ops::Range;

use anymail_core::{Address, Attachment, JsonMap, PreparedMessage};
use serde::Serialize;

use super::attachments;
use super::check::get;
use super::json_text::write_text;
use super::pieces::{Draft, Pieces};
use crate::config::PostmarkConfig;
use crate::options::{ANYMAIL_ID, SERVER_TOKEN};

/// The maximum body of a call: 50 MB, as powers of ten (the documentation does not say).
const MAX_BODY: usize = 50_000_000;
/// The maximum number of messages in a batch call.
pub(crate) const MAX_ROWS: usize = 500;

/// Shared parts shorter than this are copied to each row, which is cheaper than one more piece of a
/// body.
const COPIED: usize = 8 * 1024;

/// The endpoint of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Endpoint {
    Email,
    WithTemplate,
    Batch,
    BatchWithTemplates,
    Bulk,
}

impl Endpoint {
    pub(super) const ALL: [Self; 5] = [
        Self::Email,
        Self::WithTemplate,
        Self::Batch,
        Self::BatchWithTemplates,
        Self::Bulk,
    ];

    /// The path under the API's URL.
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

/// One message as Postmark sees it: a whole message, or one recipient's copy of a batch.
#[derive(Debug, Clone)]
pub(super) struct Row<'a> {
    pub(super) message: &'a PreparedMessage,
    /// The index of the message.
    pub(super) index: usize,
    pub(super) to: &'a [Address],
    /// The generated ID.
    pub(super) id: Option<String>,
}

impl Row<'_> {
    /// Everybody who gets this message.
    pub(super) fn recipients(&self) -> impl Iterator<Item = &Address> {
        let copies = self.message.cc().iter().chain(self.message.bcc());
        self.to.iter().chain(copies)
    }
}

/// Whether a message uses a template, its own or one in `esp_extra`.
pub(super) fn has_template(message: &PreparedMessage) -> bool {
    let named = |name| {
        message
            .esp_extra()
            .is_some_and(|it| get(it, name).is_some())
    };
    message.template_id().is_some() || named("TemplateId") || named("TemplateAlias")
}

/// The body of one call while rows are added.
///
/// Parts that all rows of a message share (bodies and attachments, above all) are written once.
/// Short ones are copied; longer ones are sent repeatedly from one place, so that 500 messages with
/// the same attachment need the memory of one. A large attachment that is sent once is encoded only
/// while it is sent.
pub(super) struct Body<'c> {
    draft: Draft,
    endpoint: Endpoint,
    config: &'c PostmarkConfig,
    rows: usize,
    /// The location of the last message's shared part, and the message it belongs to.
    shared: Option<(usize, Range<usize>)>,
    /// A buffer for a list of addresses, before it is escaped.
    list: String,
}

impl<'c> Body<'c> {
    pub(super) fn new(endpoint: Endpoint, config: &'c PostmarkConfig) -> Self {
        let start: &[u8] = match endpoint {
            Endpoint::Batch => b"[",
            Endpoint::BatchWithTemplates => br#"{"Messages":["#,
            Endpoint::Email | Endpoint::WithTemplate | Endpoint::Bulk => b"",
        };
        let mut draft = Draft::default();
        draft.bytes.extend_from_slice(start);
        Self {
            draft,
            endpoint,
            config,
            rows: 0,
            shared: None,
            list: String::new(),
        }
    }

    /// Adds a row unless the call is full, and returns whether it did. The first row always fits:
    /// if it is too large, Postmark refuses it.
    ///
    /// `more` is the expected number of similar rows that follow.
    pub(super) fn push(&mut self, row: &Row<'_>, more: usize) -> serde_json::Result<bool> {
        if self.rows >= self.endpoint.max_rows() {
            return Ok(false);
        }
        let (before, length) = (self.draft.mark(), self.draft.bytes.len());
        if self.endpoint == Endpoint::Bulk {
            self.bulk_row(row)?;
        } else {
            self.row(row)?;
        }
        if self.rows > 0 && self.draft.len() + 2 > MAX_BODY {
            self.draft.rewind(&before);
            return Ok(false);
        }
        self.reserve(length, more);
        self.rows += 1;
        Ok(true)
    }

    /// Reserves memory for `more` rows like the first, which begins at `start`.
    fn reserve(&mut self, start: usize, more: usize) {
        if self.rows > 0 || more == 0 {
            return;
        }
        let shared = self.shared.as_ref().map_or(0, |(_, range)| range.len());
        let sent_again = if shared < COPIED { 0 } else { shared };
        let rows = more.min(self.endpoint.max_rows());
        let size = self.draft.bytes.len() - start - sent_again + 64;
        let size = size.saturating_mul(rows).min(MAX_BODY);
        self.draft.bytes.reserve(size);
    }

    /// The body, ready to be sent.
    pub(super) fn finish(mut self) -> Pieces {
        let end: &[u8] = match self.endpoint {
            Endpoint::Email | Endpoint::WithTemplate => b"",
            Endpoint::Batch => b"]",
            Endpoint::BatchWithTemplates | Endpoint::Bulk => b"]}",
        };
        self.draft.bytes.extend_from_slice(end);
        self.draft.finish()
    }

    fn row(&mut self, row: &Row<'_>) -> serde_json::Result<()> {
        if self.rows > 0 {
            self.draft.bytes.push(b',');
        }
        self.draft.bytes.push(b'{');
        match self.shared.clone() {
            Some((index, range)) if index == row.index && range.len() < COPIED => {
                self.draft.bytes.extend_from_within(range);
            }
            Some((index, range)) if index == row.index => {
                self.draft.again(range);
            }
            _ => {
                let start = self.draft.bytes.len();
                let mut fields = Fields::new(&mut self.draft, &mut self.list, row.message);
                fields.once = row.to.len() == row.message.to().len();
                fields.shared(self.config, Own::of(row))?;
                self.shared = Some((row.index, start..self.draft.bytes.len()));
            }
        }
        let own = Own::of(row);
        let mut fields = Fields::new(&mut self.draft, &mut self.list, row.message);
        fields.empty = false; // what is shared may stand elsewhere
        fields.addresses("To", row.to);
        if own.headers {
            fields.headers(row.to)?;
        }
        if own.metadata {
            fields.metadata(row)?;
        }
        if own.model {
            fields.model(row.to)?;
        }
        self.draft.bytes.push(b'}');
        Ok(())
    }

    /// A bulk call is one message with common fields, and a short row for each recipient. Postmark
    /// lets a row's value win; it does not say whether maps are merged, so a row with its own map
    /// repeats the common entries.
    fn bulk_row(&mut self, row: &Row<'_>) -> serde_json::Result<()> {
        let own = Own::of(row);
        if self.rows == 0 {
            self.draft.bytes.push(b'{');
            let mut fields = Fields::new(&mut self.draft, &mut self.list, row.message);
            fields.shared(self.config, Own::BULK)?;
            fields.common_maps()?;
            self.draft.bytes.extend_from_slice(br#","Messages":["#);
        } else {
            self.draft.bytes.push(b',');
        }
        self.draft.bytes.push(b'{');
        let mut fields = Fields::new(&mut self.draft, &mut self.list, row.message);
        fields.empty = true;
        fields.addresses("To", row.to);
        fields.addresses("Cc", row.message.cc());
        fields.addresses("Bcc", row.message.bcc());
        if own.headers && row.to.iter().any(|to| has_own_headers(row.message, to)) {
            fields.headers(row.to)?;
        }
        if own.metadata {
            fields.metadata(row)?;
        }
        if has_template(row.message) {
            fields.model(row.to)?;
        }
        self.draft.bytes.push(b'}');
        Ok(())
    }
}

fn has_own_headers(message: &PreparedMessage, to: &Address) -> bool {
    let own = message.message().merge_headers.value();
    own.is_some_and(|map| map.get(to).is_some())
}

/// Which fields differ between rows.
#[derive(Debug, Clone, Copy)]
struct Own {
    copies: bool,
    headers: bool,
    metadata: bool,
    model: bool,
}

impl Own {
    /// In the common part of a bulk call.
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

/// Writes the fields of a JSON object, except those that `esp_extra` sets itself.
struct Fields<'o, 'm> {
    draft: &'o mut Draft,
    list: &'o mut String,
    message: &'m PreparedMessage,
    extra: Option<&'m JsonMap>,
    empty: bool,
    /// Whether the text is sent only once.
    once: bool,
}

impl<'o, 'm> Fields<'o, 'm> {
    /// Continues the draft. After an opening brace, no comma is needed.
    fn new(draft: &'o mut Draft, list: &'o mut String, message: &'m PreparedMessage) -> Self {
        Self {
            empty: draft.bytes.last() == Some(&b'{'),
            draft,
            list,
            message,
            extra: message.esp_extra(),
            once: true,
        }
    }

    /// Writes all fields except a row's own. `From` is always among them, so there is something for
    /// a row's own fields to follow.
    fn shared(&mut self, config: &PostmarkConfig, own: Own) -> serde_json::Result<()> {
        let message = self.message;
        let texts = [message.subject(), message.text_body(), message.html_body()];
        let texts = texts.into_iter().flatten().map(str::len).sum::<usize>();
        self.draft.bytes.reserve(texts + 512);
        self.addresses("From", std::slice::from_ref(message.from()));
        if !own.copies {
            self.addresses("Cc", message.cc());
            self.addresses("Bcc", message.bcc());
        }
        self.addresses("ReplyTo", message.reply_to());
        self.text("Subject", message.subject());
        self.text("TextBody", message.text_body());
        self.text("HtmlBody", message.html_body());
        self.text("Tag", message.tags().first().map(String::as_str));
        if let Some(on) = message.track_opens() {
            self.value("TrackOpens", &on)?;
        }
        if let Some(on) = message.track_clicks() {
            self.value("TrackLinks", if on { "HtmlAndText" } else { "None" })?;
        }
        self.text("MessageStream", config.message_stream.as_deref());
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
            self.common_metadata()?;
        }
        if !own.model && has_template(message) {
            self.model(&[])?;
        }
        self.attachments(message.attachments())?;
        for (key, value) in self.extra.into_iter().flatten() {
            if key != SERVER_TOKEN {
                self.comma();
                write_text(&mut self.draft.bytes, key);
                self.draft.bytes.push(b':');
                serde_json::to_writer(&mut self.draft.bytes, value)?;
            }
        }
        Ok(())
    }

    /// The headers and metadata that all rows of a bulk call share.
    fn common_maps(&mut self) -> serde_json::Result<()> {
        self.headers(&[])?;
        self.common_metadata()
    }

    fn common_metadata(&mut self) -> serde_json::Result<()> {
        match self.message.message().metadata.value() {
            Some(metadata) => self.map("Metadata", metadata, metadata.is_empty()),
            None => Ok(()),
        }
    }

    fn comma(&mut self) {
        if !std::mem::take(&mut self.empty) {
            self.draft.bytes.push(b',');
        }
    }

    /// Begins a field that the row has in any case, by one of Postmark's names: none of them has
    /// a character to escape.
    fn name(&mut self, name: &'static str) {
        self.draft.bytes.reserve(name.len() + 4);
        self.comma();
        self.draft.bytes.push(b'"');
        self.draft.bytes.extend_from_slice(name.as_bytes());
        self.draft.bytes.extend_from_slice(b"\":");
    }

    fn is_overridden(&self, name: &str) -> bool {
        self.extra.is_some_and(|extra| get(extra, name).is_some())
    }

    fn value<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> serde_json::Result<()> {
        if self.is_overridden(name) {
            return Ok(());
        }
        self.name(name);
        serde_json::to_writer(&mut self.draft.bytes, value)
    }

    /// Writes a string, unless it is empty.
    fn text(&mut self, name: &'static str, text: Option<&str>) {
        match text {
            Some(text) if !text.is_empty() && !self.is_overridden(name) => {
                self.name(name);
                write_text(&mut self.draft.bytes, text);
            }
            _ => {}
        }
    }

    fn map(
        &mut self,
        name: &'static str,
        map: &impl Serialize,
        empty: bool,
    ) -> serde_json::Result<()> {
        if empty { Ok(()) } else { self.value(name, map) }
    }

    /// Writes addresses as one string, unless there are none.
    fn addresses(&mut self, name: &'static str, addresses: &[Address]) {
        if addresses.is_empty() {
            return;
        }
        let mut list = std::mem::take(self.list);
        list.clear();
        for address in addresses {
            if !list.is_empty() {
                list.push_str(", ");
            }
            address.write_ascii(&mut list);
        }
        self.text(name, Some(&list));
        *self.list = list;
    }

    /// Writes the headers of a row or, without `to`, those of all rows.
    fn headers(&mut self, to: &[Address]) -> serde_json::Result<()> {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Header<'a> {
            name: &'a str,
            value: &'a str,
        }
        let message = self.message.message();
        if message.headers.value().is_none() && message.merge_headers.value().is_none() {
            return Ok(());
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

    /// Writes `TemplateModel`, which Postmark requires with every template, even if it is empty.
    fn model(&mut self, to: &[Address]) -> serde_json::Result<()> {
        let model = match to {
            [to] => self.message.merge_data_for(to),
            _ => self.message.merge_global_data(),
        };
        self.value("TemplateModel", &*model)
    }

    fn attachments(&mut self, list: &[Attachment]) -> serde_json::Result<()> {
        if list.is_empty() || self.is_overridden("Attachments") {
            return Ok(());
        }
        self.name("Attachments");
        attachments::write(self.draft, list, self.once)
    }
}

/// The number of a template, if it is one; otherwise it is an alias.
fn number(id: &str) -> Option<i64> {
    let digits = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
    if digits { id.parse().ok() } else { None }
}
