//! The messages that the benchmarks send, and a way to prepare them as a backend gets them.
#![allow(dead_code, reason = "each bench uses some of it")]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a failing benchmark panics"
)]

pub mod near;
pub mod paths;

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use anymail_core::{
    Attachment, Capabilities, EmailBackend, Mailer, Message, PreparedMessage, SendError,
    SendStatus, Status,
};
use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD as STANDARD;
use bytes::Bytes;

/// The attachment of the largest single message: 10 MiB.
pub const LARGE: usize = 10 << 20;

/// Pseudorandom bytes that are the same in every run.
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    std::iter::repeat_with(|| next().to_le_bytes())
        .flatten()
        .take(len)
        .collect()
}

/// HTML of about this size, with the quotes and line ends that JSON must escape.
pub fn html(len: usize) -> String {
    let mut html = String::from("<html><body>\n");
    while html.len() < len {
        let n = html.len();
        writeln!(
            html,
            "<p class=\"row\"><a href=\"https://example.com/{n}\">Anvil no. {n}</a> falls well.</p>"
        )
        .unwrap();
    }
    html + "</body></html>\n"
}

/// A message with an attachment of this size, to 20 recipients.
pub fn with_attachment(len: usize) -> Message {
    let to: Vec<_> = (0..20).map(recipient).collect();
    Message::builder()
        .from("Anvil Shop <shop@example.com>")
        .to(to.join(", "))
        .subject("Your catalogue")
        .text_body("It is attached.")
        .attachment(Attachment::new("catalogue.pdf", noise(len)).unwrap())
        .metadata("season", "spring")
        .build()
        .unwrap()
}

/// One message to 500 recipients, each with their own metadata. They share HTML and an attachment of
/// about these sizes.
pub fn batch_of_500(html_len: usize, file_len: usize) -> Message {
    let mut message = Message::builder()
        .from("Anvil Shop <shop@example.com>")
        .subject("The anvils of spring")
        .html_body(html(html_len))
        .attachment(Attachment::new("catalogue.pdf", noise(file_len)).unwrap());
    for n in 0..500 {
        let to = recipient(n);
        message = message
            .to(to.as_str())
            .merge_metadata(&to, [("customer", n)]);
    }
    message.build().unwrap()
}

pub fn recipient(n: usize) -> String {
    format!("customer{n}@example.com")
}

/// A short message, typical of large numbers.
pub fn small(n: usize) -> Message {
    Message::builder()
        .from("Anvil Shop <shop@example.com>")
        .to(recipient(n))
        .subject("Your receipt")
        .text_body("Thank you for the anvil. It is on its way.\n")
        .build()
        .unwrap()
}

/// A webhook's body for every record type and bounce type that Postmark has.
pub fn tracking_payloads() -> Vec<Bytes> {
    let vectors = include_str!("../../tests/vectors/tracking.json");
    let vectors: Vec<serde_json::Value> = serde_json::from_str(vectors).unwrap();
    let events = vectors
        .iter()
        .filter(|vector| vector["expect"].get("event").is_some());
    events
        .map(|vector| vector["payload"].to_string().into())
        .collect()
}

/// A raw message of about this size, with both bodies and one attachment.
pub fn inbound_mail(len: usize) -> String {
    let mut mail = String::from(
        "From: Ann <ann@example.com>\r\n\
         To: support@example.com\r\n\
         Subject: The anvil has a crack\r\n\
         Date: Tue, 24 Nov 2026 10:27:15 +0000\r\n\
         Message-ID: <4711@example.com>\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=\"outer\"\r\n\
         \r\n\
         --outer\r\n\
         Content-Type: multipart/alternative; boundary=\"inner\"\r\n\
         \r\n\
         --inner\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         \r\n\
         See the photograph.\r\n\
         --inner\r\n\
         Content-Type: text/html; charset=utf-8\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\
         \r\n\
         <p style=3D\"color: red\">See the photograph.</p>\r\n\
         --inner--\r\n\
         --outer\r\n\
         Content-Type: image/jpeg; name=\"crack.jpg\"\r\n\
         Content-Disposition: attachment; filename=\"crack.jpg\"\r\n\
         Content-Transfer-Encoding: base64\r\n\
         \r\n",
    );
    let photograph = STANDARD.encode(noise((len - mail.len()) / 78 * 57));
    for line in photograph.as_bytes().chunks(76) {
        mail.push_str(std::str::from_utf8(line).unwrap());
        mail.push_str("\r\n");
    }
    mail + "--outer--\r\n"
}

/// The payload that Postmark posts for an inbound message if it includes the raw message.
pub fn inbound_payload(mail: &str) -> Bytes {
    let payload = serde_json::json!({
        "MessageStream": "inbound",
        "OriginalRecipient": "support@example.com",
        "MessageID": "22c74902-a0c1-4511-804f-341342852c90",
        "RawEmail": mail,
    });
    payload.to_string().into()
}

/// Collects messages as another backend would get them, and sends nothing.
#[derive(Debug, Clone)]
pub struct Catcher {
    can: Capabilities,
    caught: Arc<Mutex<Vec<PreparedMessage>>>,
}

impl Catcher {
    pub fn like(backend: &dyn EmailBackend) -> Self {
        Self {
            can: backend.capabilities().clone(),
            caught: Arc::default(),
        }
    }
}

#[async_trait]
impl EmailBackend for Catcher {
    fn name(&self) -> &str {
        "catcher"
    }

    fn capabilities(&self) -> &Capabilities {
        &self.can
    }

    fn max_batch(&self) -> usize {
        500
    }

    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        self.caught.lock().unwrap().push(message.clone());
        let mut status = SendStatus::unknown("catcher", message.message());
        for to in message.to() {
            status.set(&to.key(), Status::Sent, None, None);
        }
        Ok(status)
    }
}

/// Returns the messages as `like` would get them.
pub async fn prepared(like: &dyn EmailBackend, messages: &[Message]) -> Vec<PreparedMessage> {
    let catcher = Catcher::like(like);
    for result in Mailer::new(catcher.clone()).send_all(messages).await {
        result.unwrap();
    }
    std::mem::take(&mut *catcher.caught.lock().unwrap())
}
