//! [`ConsoleBackend`]: prints messages instead of sending them, for development.
//!
//! `file.rs` stores them as `.eml` files, which mail clients can open.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use uuid::Uuid;

use super::local;
use crate::message::{Address, Message};
use crate::sending::{Capabilities, EmailBackend, PreparedMessage, SendError, SendStatus};

/// Prints every message to the terminal or another writer, in a form for people to read.
///
/// It shows the whole message, including what an ESP would act on (tags, `send_at`, a template and
/// its values), and attachments by name and size. Everything is supported except `esp_extra`. Each
/// message is written in one piece, so concurrent messages do not mix. A batch is shown as one
/// message for each recipient.
///
/// ```
/// use anymail_core::{ConsoleBackend, Mailer};
///
/// let mailer = Mailer::new(ConsoleBackend::new());
/// ```
pub struct ConsoleBackend {
    out: Mutex<Box<dyn Write + Send>>,
    capabilities: Capabilities,
}

impl ConsoleBackend {
    /// Prints to the standard output.
    pub fn new() -> Self {
        Self::to(io::stdout())
    }

    /// Prints to `out`.
    pub fn to(out: impl Write + Send + 'static) -> Self {
        Self {
            out: Mutex::new(Box::new(out)),
            capabilities: local::capabilities(),
        }
    }

    fn show(&self, message: &Message) -> io::Result<String> {
        let id = Uuid::now_v7().to_string();
        let text = readable(message, &id);
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(id)
    }
}

impl Default for ConsoleBackend {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ConsoleBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleBackend").finish_non_exhaustive()
    }
}

#[async_trait]
impl EmailBackend for ConsoleBackend {
    fn name(&self) -> &str {
        "console"
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        local::store_all(self.name(), message, |copy| self.show(&copy))
    }
}

/// Formats the message: a line for each field, then the bodies.
fn readable(message: &Message, id: &str) -> String {
    let mut out = format!("========== message {id} ==========\n");
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{name}: {}", one_line(&value));
        }
    };
    line(
        "From",
        message
            .from
            .value()
            .map(ToString::to_string)
            .unwrap_or_default(),
    );
    line("To", list(message.to.items()));
    line("Cc", list(message.cc.items()));
    line("Bcc", list(message.bcc.items()));
    line("Reply-To", list(message.reply_to.items()));
    line(
        "Subject",
        message.subject.value().cloned().unwrap_or_default(),
    );
    for (name, value) in message.headers.value().into_iter().flat_map(|h| h.iter()) {
        line(name, value.to_owned());
    }
    for (name, value) in local::beyond_mime(message) {
        line(name, value.to_string());
    }
    for part in message.attachments.items() {
        let name = part.filename().unwrap_or("(no name)");
        let (kind, size) = (part.content_type(), part.content().len());
        let place = match part.content_id() {
            Some(id) => format!(", inline as cid:{id}"),
            _ => String::new(),
        };
        line(
            "Attachment",
            format!("{name} ({kind}, {size} bytes{place})"),
        );
    }
    let bodies = [
        ("text/plain", message.text_body.value()),
        ("text/html", message.html_body.value()),
    ];
    let bodies = bodies
        .into_iter()
        .filter_map(|(kind, body)| body.map(|body| (kind, body.as_str())));
    let alternatives = message.alternatives.items().iter();
    let alternatives = alternatives.map(|part| (part.content_type(), part.content()));
    for (kind, body) in bodies.chain(alternatives) {
        let _ = write!(out, "---------- {kind}\n{}\n", without_controls(body));
    }
    out.push_str("==========\n");
    out
}

fn list(addresses: &[Address]) -> String {
    let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, "\u{FFFD}")
}

/// A body may come from anywhere, so it must not contain terminal commands.
fn without_controls(text: &str) -> String {
    let harmless = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    text.replace("\r\n", "\n")
        .replace(|c| !harmless(c), "\u{FFFD}")
}
