//! [`MessageBuilder`]: collects a message and all of its faults, and reports them at `build()`.
//!
//! The JSON form is read in `json.rs`, through this builder.

use std::path::Path;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::address_input::Input;
use super::attachment::{Attachment, AttachmentError, ContentId};
use super::headers::unsubscribe_headers;
use super::{
    Address, AddressInput, Alternative, Fault, FaultKind, Field, JsonMap, Message, MessageError,
    MessageFields,
};

impl Message {
    /// Starts an empty message. All faults are reported by `build()`.
    pub fn builder() -> MessageBuilder {
        MessageBuilder::default()
    }
}

/// Builds a [`Message`]. A method for a single value sets it; a method for a list or map adds to
/// it. No method fails before [`build`](Self::build).
///
/// ```
/// use anymail_core::Message;
/// use serde_json::json;
///
/// let message = Message::builder()
///     .from("news@example.com")
///     .to("ann@example.com")
///     .to("bob@example.com")
///     .template_id("welcome")
///     .merge_global_data(json!({"product": "Anvils"}))
///     .merge_data("ann@example.com", json!({"name": "Ann"}))
///     .metadata("order", 4711)
///     .build()?;
/// assert!(message.is_batch());
///
/// let error = Message::builder()
///     .from("nobody")
///     .to("ann@example")
///     .header("X-A", "one\r\nBcc: evil@example.com")
///     .subject("two\nlines")
///     .build()
///     .unwrap_err();
/// assert_eq!(error.faults().len(), 3);
/// # Ok::<(), anymail_core::MessageError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a builder does nothing until build() is called"]
pub struct MessageBuilder {
    pub(super) message: MessageFields,
    pub(super) faults: Vec<Fault>,
    reply_to_header: Option<Vec<Address>>,
}

impl MessageBuilder {
    /// Sets the author. More than one address is a fault.
    pub fn from(mut self, address: impl Into<AddressInput>) -> Self {
        if let Some(address) = self.one("from", address.into()) {
            self.message.from = Field::Value(address);
        }
        self
    }

    /// Adds recipients: `"ann@example.com, Bob <bob@example.com>"`, a list of such strings, or
    /// [`Address`]es. The recipients see each other, unless the message is a batch.
    pub fn to(mut self, addresses: impl Into<AddressInput>) -> Self {
        let mut more = self.many("to", addresses.into());
        self.message.to.value_or_default().append(&mut more);
        self
    }

    /// Adds cc recipients, whom everybody sees. In a batch, they get a copy of each message.
    pub fn cc(mut self, addresses: impl Into<AddressInput>) -> Self {
        let mut more = self.many("cc", addresses.into());
        self.message.cc.value_or_default().append(&mut more);
        self
    }

    /// Adds bcc recipients, whom nobody sees. In a batch, they get a copy of each message.
    pub fn bcc(mut self, addresses: impl Into<AddressInput>) -> Self {
        let mut more = self.many("bcc", addresses.into());
        self.message.bcc.value_or_default().append(&mut more);
        self
    }

    /// Adds addresses that replies go to.
    pub fn reply_to(mut self, addresses: impl Into<AddressInput>) -> Self {
        let mut more = self.many("reply_to", addresses.into());
        self.message.reply_to.value_or_default().append(&mut more);
        self
    }

    /// Sets the address that bounces go to.
    pub fn envelope_sender(mut self, address: impl Into<AddressInput>) -> Self {
        if let Some(address) = self.one("envelope_sender", address.into()) {
            self.message.envelope_sender = Field::Value(address);
        }
        self
    }

    /// Sets the subject. A line break in it is a fault.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.message.subject = Field::Value(subject.into());
        self
    }

    /// Sets the plain-text body.
    pub fn text_body(mut self, body: impl Into<String>) -> Self {
        self.message.text_body = Field::Value(body.into());
        self
    }

    /// Sets the HTML body.
    pub fn html_body(mut self, body: impl Into<String>) -> Self {
        self.message.html_body = Field::Value(body.into());
        self
    }

    /// Adds the body in another media type.
    pub fn alternative(mut self, content: impl Into<String>, content_type: &str) -> Self {
        let at = self.message.alternatives.items().len();
        match Alternative::new(content, content_type) {
            Ok(part) => self.message.alternatives.value_or_default().push(part),
            Err(error) => self.bad_attachment(format!("alternatives[{at}]"), &error),
        }
        self
    }

    /// Sets a custom header. `Reply-To` replaces the value of [`reply_to`](Self::reply_to).
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if name.eq_ignore_ascii_case("Reply-To") {
            self.reply_to_header = Some(self.many("headers.Reply-To", value.into()));
            return self;
        }
        if let Err(error) = self.message.headers.value_or_default().insert(name, value) {
            self.fault(FaultKind::InvalidHeader, "headers", error.to_string());
        }
        self
    }

    /// Adds an attachment; its media type is guessed from the filename.
    pub fn attach(self, filename: &str, content: impl Into<Bytes>) -> Self {
        self.attach_made(Attachment::new(filename, content))
    }

    /// Adds an inline attachment, which the HTML body shows with the [URL](ContentId::url) of its
    /// content ID. Its media type is guessed from the filename.
    pub fn attach_inline(
        self,
        filename: &str,
        content: impl Into<Bytes>,
        content_id: &ContentId,
    ) -> Self {
        let made = Attachment::new(filename, content);
        self.attach_made(made.map(|part| part.inline(content_id)))
    }

    /// Reads a file and attaches it under the last part of its path, like
    /// [`Attachment::from_file`]. The call blocks until the file is read. A file that cannot be
    /// read is a fault, which [`build`](Self::build) reports with the path.
    pub fn attach_file(self, path: impl AsRef<Path>) -> Self {
        self.attach_made(Attachment::from_file(path))
    }

    /// Reads a file, like [`attach_file`](Self::attach_file), and adds it as an inline attachment.
    pub fn attach_inline_file(self, path: impl AsRef<Path>, content_id: &ContentId) -> Self {
        let made = Attachment::from_file(path);
        self.attach_made(made.map(|part| part.inline(content_id)))
    }

    /// Adds an existing attachment.
    pub fn attachment(self, attachment: Attachment) -> Self {
        self.attach_made(Ok(attachment))
    }

    pub(super) fn attach_made(mut self, made: Result<Attachment, AttachmentError>) -> Self {
        let at = self.message.attachments.items().len();
        match made {
            Ok(part) => self.message.attachments.value_or_default().push(part),
            Err(error) => self.bad_attachment(format!("attachments[{at}]"), &error),
        }
        self
    }

    /// Sets a metadata value, converted to a string, which events report back.
    pub fn metadata(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        let metadata = self.message.metadata.value_or_default();
        metadata.insert(key.into(), value.to_string());
        self
    }

    /// Adds metadata for one recipient, which takes precedence over the message's metadata. Makes
    /// the message a batch.
    pub fn merge_metadata<K: Into<String>, V: ToString>(
        mut self,
        recipient: &str,
        values: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let values = values.into_iter().map(|(k, v)| (k.into(), v.to_string()));
        let map = self.message.merge_metadata.value_or_default();
        map.value_or_default(recipient).extend(values);
        self
    }

    /// Adds headers for one recipient, which take precedence over the message's headers. Makes the
    /// message a batch. `Reply-To` cannot differ by recipient.
    pub fn merge_headers<'a>(
        mut self,
        recipient: &str,
        values: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let mut faults = Vec::new();
        let map = self.message.merge_headers.value_or_default();
        let headers = map.value_or_default(recipient);
        for (name, value) in values {
            if let Err(error) = headers.insert(name, value) {
                faults.push(error.to_string());
            }
        }
        for problem in faults {
            self.fault(FaultKind::InvalidHeader, "merge_headers", problem);
        }
        self
    }

    /// Adds one-click unsubscribe (RFC 8058): a mail client unsubscribes the recipient with a
    /// `POST` to this https URL. Gmail and Yahoo require it of bulk senders. The URL must identify
    /// the recipient and the list, so use
    /// [`one_click_unsubscribe_for`](Self::one_click_unsubscribe_for) for a message with several
    /// recipients.
    ///
    /// Sets the headers `List-Unsubscribe` and `List-Unsubscribe-Post`. The ESP must include them
    /// in its DKIM signature, as all common ESPs do.
    pub fn one_click_unsubscribe(self, url: &str) -> Self {
        match unsubscribe_headers(url) {
            Ok(headers) => headers
                .iter()
                .fold(self, |builder, (name, value)| builder.header(name, value)),
            Err(problem) => self.bad_unsubscribe(problem),
        }
    }

    /// Adds one-click unsubscribe for one recipient, like
    /// [`one_click_unsubscribe`](Self::one_click_unsubscribe). Makes the message a batch.
    pub fn one_click_unsubscribe_for(self, recipient: &str, url: &str) -> Self {
        match unsubscribe_headers(url) {
            Ok(headers) => {
                let headers = headers.iter().map(|(name, value)| (*name, value.as_str()));
                self.merge_headers(recipient, headers)
            }
            Err(problem) => self.bad_unsubscribe(problem),
        }
    }

    fn bad_unsubscribe(mut self, problem: String) -> Self {
        self.fault(
            FaultKind::InvalidHeader,
            "headers.List-Unsubscribe",
            problem,
        );
        self
    }

    /// Adds template values for one recipient: anything that serializes to a JSON object. A later
    /// value replaces an earlier one with the same key. Makes the message a batch.
    pub fn merge_data(mut self, recipient: &str, values: impl Serialize) -> Self {
        if let Some(values) = self.object("merge_data", values) {
            let map = self.message.merge_data.value_or_default();
            map.value_or_default(recipient).extend(values);
        }
        self
    }

    /// Adds template values for all recipients.
    pub fn merge_global_data(mut self, values: impl Serialize) -> Self {
        if let Some(values) = self.object("merge_global_data", values) {
            self.message
                .merge_global_data
                .value_or_default()
                .extend(values);
        }
        self
    }

    /// Makes the message a batch: each address in `to` gets its own message and does not see the
    /// others.
    pub fn batch(mut self) -> Self {
        self.message.merge_data.value_or_default();
        self
    }

    /// Adds a tag, a single-line label to find the message by. The ESP limits how many there can be
    /// and how long they are.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.message.tags.value_or_default().push(tag.into());
        self
    }

    /// Sets whether opens are tracked. Unset, the ESP's own setting applies.
    pub fn track_opens(mut self, on: bool) -> Self {
        self.message.track_opens = Field::Value(on);
        self
    }

    /// Sets whether clicks are tracked. Unset, the ESP's own setting applies.
    pub fn track_clicks(mut self, on: bool) -> Self {
        self.message.track_clicks = Field::Value(on);
        self
    }

    /// Sets when to send the message, rounded down to a second.
    pub fn send_at(mut self, at: OffsetDateTime) -> Self {
        self.message.send_at = Field::Value(at);
        self
    }

    /// Sets the template to use, by the ESP's name or number of a stored template.
    pub fn template_id(mut self, id: impl ToString) -> Self {
        self.message.template_id = Field::Value(id.to_string());
        self
    }

    /// Sets the stream or list that the message belongs to, for
    /// [suppressions](crate::SuppressionHook). It is not sent to the ESP.
    pub fn suppression_scope(mut self, scope: impl Into<String>) -> Self {
        self.message.suppression_scope = Field::Value(scope.into());
        self
    }

    /// Adds options of one ESP: anything that serializes to a JSON object. A later value replaces
    /// an earlier one with the same key.
    pub fn esp_extra(mut self, options: impl Serialize) -> Self {
        if let Some(options) = self.object("esp_extra", options) {
            self.message.esp_extra.value_or_default().extend(options);
        }
        self
    }

    /// Builds the message.
    ///
    /// Sender and recipients may be missing at this point: send defaults can supply them, and the
    /// mailer refuses a message that still has none.
    ///
    /// # Errors
    /// [`MessageError`] with all faults.
    pub fn build(mut self) -> Result<Message, MessageError> {
        if let Some(addresses) = self.reply_to_header {
            self.message.reply_to = Field::Value(addresses);
        }
        self.message.normalize();
        self.faults.extend(self.message.shape_faults());
        if self.faults.is_empty() {
            Ok(self.message.into())
        } else {
            Err(MessageError::new(self.faults))
        }
    }

    pub(super) fn fault(&mut self, kind: FaultKind, field: &str, problem: String) {
        self.faults.push(Fault::new(kind, field, problem));
    }

    fn bad_attachment(&mut self, field: String, error: &AttachmentError) {
        self.fault(FaultKind::InvalidAttachment, &field, error.to_string());
    }

    fn one(&mut self, field: &str, input: AddressInput) -> Option<Address> {
        let problem = match input.0 {
            Input::Texts(texts) => match texts.as_slice() {
                [text] => match Address::parse(text) {
                    Ok(address) => return Some(address),
                    Err(error) => error.to_string(),
                },
                _ => not_one(texts.len()),
            },
            Input::Parsed(mut found) if found.len() == 1 => return found.pop(),
            Input::Parsed(found) => not_one(found.len()),
        };
        self.fault(FaultKind::InvalidAddress, field, problem);
        None
    }

    fn many(&mut self, field: &str, input: AddressInput) -> Vec<Address> {
        match input.0 {
            Input::Parsed(addresses) => addresses,
            Input::Texts(texts) => {
                let mut found = Vec::new();
                for text in texts {
                    match Address::parse_list(&text) {
                        Ok(mut list) => found.append(&mut list),
                        Err(error) => {
                            self.fault(FaultKind::InvalidAddress, field, error.to_string());
                        }
                    }
                }
                found
            }
        }
    }

    fn object(&mut self, field: &str, values: impl Serialize) -> Option<JsonMap> {
        let problem = match serde_json::to_value(values) {
            Ok(Value::Object(map)) => return Some(map),
            Ok(_) => "expected a JSON object".to_owned(),
            Err(error) => error.to_string(),
        };
        self.fault(FaultKind::InvalidValue, field, problem);
        None
    }
}

fn not_one(found: usize) -> String {
    format!("expected one address, got {found}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Address;

    #[test]
    fn one_call_adds_the_headers_for_one_click_unsubscribe() {
        let all = Message::builder().one_click_unsubscribe("https://example.com/u?list=7");
        let all = all.build().unwrap();
        let headers = all.headers.value().unwrap();
        assert_eq!(
            headers.get("List-Unsubscribe"),
            Some("<https://example.com/u?list=7>")
        );
        assert_eq!(
            headers.get("List-Unsubscribe-Post"),
            Some("List-Unsubscribe=One-Click")
        );
        assert!(!all.is_batch());

        let own = Message::builder()
            .one_click_unsubscribe_for("ann@example.com", "https://example.com/u/ann")
            .merge_headers("ANN@example.com", [("X-Own", "1")])
            .build()
            .unwrap();
        let ann: Address = "ann@example.com".parse().unwrap();
        let headers = own
            .merge_headers
            .value()
            .and_then(|map| map.get(&ann))
            .unwrap();
        assert_eq!(
            headers.get("List-Unsubscribe"),
            Some("<https://example.com/u/ann>")
        );
        assert_eq!(headers.get("X-Own"), Some("1"));
        assert!(own.is_batch());
    }

    #[test]
    fn an_unsubscribe_url_that_mail_clients_would_not_post_to_is_refused() {
        for url in [
            "http://example.com/u",
            "mailto:u@example.com",
            "https://",
            "https:///u",
            "https://example.com/a b",
            "https://example.com/>,<https://evil.example",
            "https://example.com/\r\nBcc: x@y.example",
            "",
        ] {
            let error = Message::builder().one_click_unsubscribe(url).build();
            assert_eq!(
                error.unwrap_err().faults()[0].kind(),
                FaultKind::InvalidHeader,
                "{url}"
            );
        }
    }
}
