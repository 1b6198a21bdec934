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
use super::{
    Address, AddressInput, Alternative, Fault, FaultKind, Field, JsonMap, Message, MessageError,
    MessageFields,
};

impl Message {
    /// Starts an empty message; what is wrong comes out of `build()`, all at once.
    pub fn builder() -> MessageBuilder {
        MessageBuilder::default()
    }
}

/// Builds a [`Message`]. A method that names one thing sets it, one that names a list or map
/// adds to it; nothing fails before [`build`](Self::build).
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
    /// The author. One: a list is a fault.
    pub fn from(mut self, address: impl Into<AddressInput>) -> Self {
        if let Some(address) = self.one("from", address.into()) {
            self.message.from = Field::Value(address);
        }
        self
    }

    /// Adds recipients: `"ann@example.com, Bob <bob@example.com>"`, or a list of such texts, or
    /// of [`Address`]es. Unless it is a batch, each sees the others.
    pub fn to(mut self, addresses: impl Into<AddressInput>) -> Self {
        let mut more = self.many("to", addresses.into());
        self.message.to.value_or_default().append(&mut more);
        self
    }

    /// Adds recipients of a copy, whom everybody sees. In a batch they get a copy of each message.
    pub fn cc(mut self, addresses: impl Into<AddressInput>) -> Self {
        let mut more = self.many("cc", addresses.into());
        self.message.cc.value_or_default().append(&mut more);
        self
    }

    /// Adds recipients of a copy whom nobody sees. In a batch they get a copy of each message.
    pub fn bcc(mut self, addresses: impl Into<AddressInput>) -> Self {
        let mut more = self.many("bcc", addresses.into());
        self.message.bcc.value_or_default().append(&mut more);
        self
    }

    /// Adds addresses that answers shall go to.
    pub fn reply_to(mut self, addresses: impl Into<AddressInput>) -> Self {
        let mut more = self.many("reply_to", addresses.into());
        self.message.reply_to.value_or_default().append(&mut more);
        self
    }

    /// The address that bounces shall go to.
    pub fn envelope_sender(mut self, address: impl Into<AddressInput>) -> Self {
        if let Some(address) = self.one("envelope_sender", address.into()) {
            self.message.envelope_sender = Field::Value(address);
        }
        self
    }

    /// The subject. A line break in it is a fault.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.message.subject = Field::Value(subject.into());
        self
    }

    /// The plain text.
    pub fn text_body(mut self, body: impl Into<String>) -> Self {
        self.message.text_body = Field::Value(body.into());
        self
    }

    /// The HTML.
    pub fn html_body(mut self, body: impl Into<String>) -> Self {
        self.message.html_body = Field::Value(body.into());
        self
    }

    /// Adds the body in one more media type.
    pub fn alternative(mut self, content: impl Into<String>, content_type: &str) -> Self {
        let at = self.message.alternatives.items().len();
        match Alternative::new(content, content_type) {
            Ok(part) => self.message.alternatives.value_or_default().push(part),
            Err(error) => self.bad_attachment(format!("alternatives[{at}]"), &error),
        }
        self
    }

    /// Sets a custom header. `Reply-To` becomes [`reply_to`](Self::reply_to), in the place of
    /// what stands there.
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

    /// Adds a file; its media type is guessed from its name.
    pub fn attach(self, filename: &str, content: impl Into<Bytes>) -> Self {
        self.attach_made(Attachment::new(filename, content))
    }

    /// Adds an inline part, which the HTML body shows by the [URL](ContentId::url) of its content
    /// id. Its media type is guessed from its name.
    pub fn attach_inline(
        self,
        filename: &str,
        content: impl Into<Bytes>,
        content_id: &ContentId,
    ) -> Self {
        let made = Attachment::new(filename, content);
        self.attach_made(made.map(|part| part.inline(content_id)))
    }

    /// Reads a file and adds it under the last part of its path, as
    /// [`Attachment::from_file`] does. The call blocks until the file is read; a file that cannot
    /// be read is a fault, told by [`build`](Self::build) with its path.
    pub fn attach_file(self, path: impl AsRef<Path>) -> Self {
        self.attach_made(Attachment::from_file(path))
    }

    /// Reads a file, as [`attach_file`](Self::attach_file) does, and adds it as an inline part.
    pub fn attach_inline_file(self, path: impl AsRef<Path>, content_id: &ContentId) -> Self {
        let made = Attachment::from_file(path);
        self.attach_made(made.map(|part| part.inline(content_id)))
    }

    /// Adds an attachment made before.
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

    /// Sets one value, as text, that comes back with the message's events.
    pub fn metadata(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        let metadata = self.message.metadata.value_or_default();
        metadata.insert(key.into(), value.to_string());
        self
    }

    /// Adds to a recipient's own metadata, over what holds for all. Makes the message a batch.
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

    /// Adds to a recipient's own headers, over what holds for all. Makes the message a batch.
    /// `Reply-To` cannot differ by recipient.
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

    /// Lets every recipient unsubscribe with one click (RFC 8058): a `POST` of theirs to this
    /// https URL. Gmail and Yahoo ask it of bulk senders. The URL must tell who is unsubscribed
    /// from what, so where several get the message,
    /// [`one_click_unsubscribe_for`](Self::one_click_unsubscribe_for) is what is wanted.
    ///
    /// Sets the headers `List-Unsubscribe` and `List-Unsubscribe-Post`. The ESP must sign them
    /// by DKIM, as the usual ones do.
    pub fn one_click_unsubscribe(self, url: &str) -> Self {
        match unsubscribe_headers(url) {
            Ok(headers) => headers
                .iter()
                .fold(self, |builder, (name, value)| builder.header(name, value)),
            Err(problem) => self.bad_unsubscribe(problem),
        }
    }

    /// As [`one_click_unsubscribe`](Self::one_click_unsubscribe), with a URL for this recipient
    /// alone. Makes the message a batch.
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

    /// Adds to a recipient's own values of the template: anything that serializes to a JSON
    /// object, a later key over an earlier one. Makes the message a batch.
    pub fn merge_data(mut self, recipient: &str, values: impl Serialize) -> Self {
        if let Some(values) = self.object("merge_data", values) {
            let map = self.message.merge_data.value_or_default();
            map.value_or_default(recipient).extend(values);
        }
        self
    }

    /// Adds values of the template that hold for all recipients.
    pub fn merge_global_data(mut self, values: impl Serialize) -> Self {
        if let Some(values) = self.object("merge_global_data", values) {
            self.message
                .merge_global_data
                .value_or_default()
                .extend(values);
        }
        self
    }

    /// Makes the message a batch: each of `to` gets a message of its own and sees no other.
    pub fn batch(mut self) -> Self {
        self.message.merge_data.value_or_default();
        self
    }

    /// Adds a tag, a word of one line to find the message by. How many, and how long, the ESP says.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.message.tags.value_or_default().push(tag.into());
        self
    }

    /// Whether openings shall be reported. Without it, what the ESP is set to.
    pub fn track_opens(mut self, on: bool) -> Self {
        self.message.track_opens = Field::Value(on);
        self
    }

    /// Whether clicks shall be reported. Without it, what the ESP is set to.
    pub fn track_clicks(mut self, on: bool) -> Self {
        self.message.track_clicks = Field::Value(on);
        self
    }

    /// When to send it; what is below a second is cut off.
    pub fn send_at(mut self, at: OffsetDateTime) -> Self {
        self.message.send_at = Field::Value(at);
        self
    }

    /// The ESP's name or number of a stored template.
    pub fn template_id(mut self, id: impl ToString) -> Self {
        self.message.template_id = Field::Value(id.to_string());
        self
    }

    /// The stream or list that the message belongs to, for
    /// [suppressions](crate::SuppressionHook). Not sent to the ESP.
    pub fn suppression_scope(mut self, scope: impl Into<String>) -> Self {
        self.message.suppression_scope = Field::Value(scope.into());
        self
    }

    /// Adds options of one ESP: anything that serializes to a JSON object, a later key over an
    /// earlier one.
    pub fn esp_extra(mut self, options: impl Serialize) -> Self {
        if let Some(options) = self.object("esp_extra", options) {
            self.message.esp_extra.value_or_default().extend(options);
        }
        self
    }

    /// The message.
    ///
    /// Sender and recipients may still be missing: send defaults can supply them, and the
    /// mailer refuses a message that has none in the end.
    ///
    /// # Errors
    /// [`MessageError`] with every fault that was met on the way.
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

/// The two headers of RFC 8058, 3.1. It takes https URLs only; a `>` or a space would end one.
pub(crate) fn unsubscribe_headers(url: &str) -> Result<[(&'static str, String); 2], String> {
    let host = url.strip_prefix("https://").unwrap_or_default();
    let printable = url
        .bytes()
        .all(|b| b.is_ascii_graphic() && !b"<>\"\\".contains(&b));
    if host.is_empty() || host.starts_with('/') || !printable {
        let url = super::excerpt(url);
        return Err(format!(
            "{url:?} is not a valid https URL in printable ASCII"
        ));
    }
    Ok([
        ("List-Unsubscribe", format!("<{url}>")),
        (
            "List-Unsubscribe-Post",
            "List-Unsubscribe=One-Click".to_owned(),
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Address;

    #[test]
    fn one_call_makes_a_message_unsubscribable_with_one_click() {
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
    fn an_unsubscribe_url_that_mail_programs_would_not_post_to_is_refused() {
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
