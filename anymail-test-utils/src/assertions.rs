//! [`assert_sent`] and related assertions about the messages that an app sent.
//!
//! They inspect the outbox of `anymail-core`'s memory backend.

use std::fmt;

use anymail_core::{Address, AddressKey, Field, Message, Outbox, StoredMessage};

/// The number of characters of a body that a failure shows.
const MAX_SHOWN: usize = 1000;

/// The conditions that a sent message must meet; start with [`mail`].
///
/// One message must meet all of them. The comparison of addresses ignores case, display names,
/// and whether an international domain is written in Unicode or ASCII.
#[derive(Clone, Default)]
#[must_use = "nothing is checked until assert_sent() gets it"]
pub struct Mail(Vec<Condition>);

#[derive(Clone)]
struct Condition {
    words: String,
    part: Part,
    holds: fn(&Message, &[String]) -> bool,
    values: Vec<String>,
}

/// The part of a message that a condition is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// A part that every failure shows.
    Summary,
    Text,
    Html,
}

/// Matches any message, until you add conditions.
pub fn mail() -> Mail {
    Mail::default()
}

impl Mail {
    fn and(
        mut self,
        words: String,
        values: &[&str],
        holds: fn(&Message, &[String]) -> bool,
    ) -> Self {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        self.0.push(Condition {
            words,
            part: Part::Summary,
            holds,
            values,
        });
        self
    }

    fn about(mut self, part: Part) -> Self {
        if let Some(last) = self.0.last_mut() {
            last.part = part;
        }
        self
    }

    /// Requires this sender.
    pub fn from(self, email: &str) -> Self {
        self.and(format!("from {email}"), &[email], |m, v| {
            m.from.value().is_some_and(|from| is(from, v))
        })
    }

    /// Requires this address among the `to` recipients.
    pub fn to(self, email: &str) -> Self {
        self.and(format!("to {email}"), &[email], |m, v| any(&m.to, v))
    }

    /// Requires this address among the `cc` recipients.
    pub fn cc(self, email: &str) -> Self {
        self.and(format!("cc {email}"), &[email], |m, v| any(&m.cc, v))
    }

    /// Requires this address among the `bcc` recipients.
    pub fn bcc(self, email: &str) -> Self {
        self.and(format!("bcc {email}"), &[email], |m, v| any(&m.bcc, v))
    }

    /// Requires exactly this subject.
    pub fn subject(self, subject: &str) -> Self {
        self.and(format!("subject {subject:?}"), &[subject], |m, v| {
            m.subject.value().map(String::as_str) == v.first().map(String::as_str)
        })
    }

    /// Requires a subject that contains `part`.
    pub fn subject_contains(self, part: &str) -> Self {
        self.and(format!("{part:?} in its subject"), &[part], |m, v| {
            contains(&m.subject, v)
        })
    }

    /// Requires a plain text body that contains `part`.
    pub fn text_contains(self, part: &str) -> Self {
        self.and(format!("{part:?} in its text"), &[part], |m, v| {
            contains(&m.text_body, v)
        })
        .about(Part::Text)
    }

    /// Requires an HTML body that contains `part`.
    pub fn html_contains(self, part: &str) -> Self {
        self.and(format!("{part:?} in its HTML"), &[part], |m, v| {
            contains(&m.html_body, v)
        })
        .about(Part::Html)
    }

    /// Requires this tag, possibly among others.
    pub fn tag(self, tag: &str) -> Self {
        self.and(format!("tag {tag:?}"), &[tag], |m, v| {
            m.tags.items().iter().any(|tag| v.contains(tag))
        })
    }

    /// Requires this template ID.
    pub fn template(self, id: &str) -> Self {
        self.and(format!("template {id:?}"), &[id], |m, v| {
            m.template_id.value().is_some_and(|id| v.contains(id))
        })
    }

    /// Requires this header with exactly this value.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.and(format!("header {name}: {value}"), &[name, value], |m, v| {
            let [name, value] = v else { return false };
            let headers = m.headers.value();
            headers.and_then(|headers| headers.get(name)) == Some(value.as_str())
        })
    }

    /// Requires this key with exactly this value in the metadata.
    pub fn metadata(self, key: &str, value: &str) -> Self {
        self.and(format!("metadata {key}: {value}"), &[key, value], |m, v| {
            let [key, value] = v else { return false };
            m.metadata.value().and_then(|map| map.get(key)) == Some(value)
        })
    }

    /// Requires an attachment with this filename.
    pub fn attachment(self, filename: &str) -> Self {
        self.and(format!("attachment {filename:?}"), &[filename], |m, v| {
            let mut names = m.attachments.items().iter().map(|file| file.filename());
            names.any(|name| name == v.first().map(String::as_str))
        })
    }

    fn is_met_by(&self, sent: &StoredMessage) -> bool {
        self.missing_in(sent).next().is_none()
    }

    fn missing_in(&self, sent: &StoredMessage) -> impl Iterator<Item = &Condition> {
        let missing = |it: &&Condition| !(it.holds)(&sent.message, &it.values);
        self.0.iter().filter(missing)
    }
}

/// Lists the conditions.
impl fmt::Display for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("any message");
        }
        let words: Vec<_> = self.0.iter().map(|it| it.words.as_str()).collect();
        write!(f, "a message: {}", words.join(", "))
    }
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn is(address: &Address, emails: &[String]) -> bool {
    let keys: Vec<_> = emails.iter().map(|email| AddressKey::of(email)).collect();
    keys.contains(&address.key())
}

fn any(list: &Field<Vec<Address>>, emails: &[String]) -> bool {
    list.items().iter().any(|address| is(address, emails))
}

fn contains(text: &Field<String>, parts: &[String]) -> bool {
    let holds = |text: &String| parts.iter().all(|part| text.contains(part));
    text.value().is_some_and(holds)
}

/// Asserts that a message that meets `expected` was sent, removes it from the outbox and returns it.
///
/// If several messages match, this takes the first one. Call it twice to assert two equal messages.
///
/// ```
/// use anymail_core::{Mailer, MemoryBackend, Message};
/// use anymail_test_utils::{assert_nothing_else_sent, assert_sent, mail};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let backend = MemoryBackend::new();
/// let outbox = backend.outbox();
/// let mailer = Mailer::new(backend); // pass it to the app
/// let receipt = Message::builder()
///     .from("shop@example.com")
///     .to("Ann <ann@example.com>")
///     .subject("Your receipt")
///     .text_body("4 anvils")
///     .build()?;
/// mailer.send(&receipt).await?;
///
/// let sent = assert_sent(&outbox, mail().to("ann@example.com").subject_contains("receipt"));
/// assert_eq!(sent.message.text_body.value().map(String::as_str), Some("4 anvils"));
/// assert_nothing_else_sent(&outbox);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// # Panics
/// Panics if no message matches. The panic message shows the expected conditions, the messages in
/// the outbox, and the conditions that each of them does not meet. It shows a body only if a
/// condition about that body is not met.
#[track_caller]
pub fn assert_sent(outbox: &Outbox, expected: Mail) -> StoredMessage {
    match outbox.take_first(|sent| expected.is_met_by(sent)) {
        Some(sent) => sent,
        None => fail(
            &format!("{expected}\nwas not sent"),
            outbox,
            Some(&expected),
        ),
    }
}

/// Asserts that the outbox contains no message that meets `unexpected`.
///
/// # Panics
/// Panics if there is one, and lists the messages in the outbox.
#[track_caller]
pub fn assert_not_sent(outbox: &Outbox, unexpected: Mail) {
    if outbox
        .messages()
        .iter()
        .any(|sent| unexpected.is_met_by(sent))
    {
        fail(&format!("{unexpected}\nwas sent"), outbox, None);
    }
}

/// Asserts that every sent message has been taken by [`assert_sent`].
///
/// # Panics
/// Panics if a message is left, and lists the remaining messages.
#[track_caller]
pub fn assert_nothing_else_sent(outbox: &Outbox) {
    if !outbox.is_empty() {
        fail("more messages were sent than expected", outbox, None);
    }
}

#[track_caller]
#[expect(clippy::panic, reason = "a failed assertion must panic")]
fn fail(what: &str, outbox: &Outbox, expected: Option<&Mail>) -> ! {
    let sent = outbox.messages();
    let mut text = match sent.len() {
        0 => format!("{what}; the outbox is empty"),
        1 => format!("{what}; the outbox has 1 message:"),
        n => format!("{what}; the outbox has {n} messages:"),
    };
    for (i, sent) in sent.iter().enumerate() {
        text.push_str(&format!("\n  {}. {}", i + 1, summary(&sent.message)));
        let missing: Vec<_> = expected.map_or(Vec::new(), |it| it.missing_in(sent).collect());
        if !missing.is_empty() {
            let words: Vec<_> = missing.iter().map(|it| it.words.as_str()).collect();
            text.push_str(&format!("\n     does not match: {}", words.join(", ")));
        }
        for (part, name, body) in [
            (Part::Text, "text", &sent.message.text_body),
            (Part::Html, "HTML", &sent.message.html_body),
        ] {
            if missing.iter().any(|it| it.part == part) {
                let body = body.value().map_or("none".to_owned(), |it| shown(it));
                text.push_str(&format!("\n     its {name}: {body}"));
            }
        }
    }
    panic!("{text}")
}

/// A body on one line, shortened.
fn shown(body: &str) -> String {
    match body.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{:?} ...", body.get(..end).unwrap_or_default()),
        None => format!("{body:?}"),
    }
}

/// One line that identifies a message, without its bodies.
fn summary(message: &Message) -> String {
    let mut words = Vec::new();
    let from = message.from.value().map(ToString::to_string);
    words.push(format!("from {}", from.unwrap_or_else(|| "nobody".into())));
    for (name, list) in [
        ("to", &message.to),
        ("cc", &message.cc),
        ("bcc", &message.bcc),
    ] {
        if !list.items().is_empty() {
            let list: Vec<_> = list.items().iter().map(ToString::to_string).collect();
            words.push(format!("{name} {}", list.join(", ")));
        }
    }
    if let Some(subject) = message.subject.value() {
        words.push(format!("subject {subject:?}"));
    }
    if let Some(template) = message.template_id.value() {
        words.push(format!("template {template:?}"));
    }
    if !message.tags.items().is_empty() {
        words.push(format!("tags {:?}", message.tags.items()));
    }
    for file in message.attachments.items() {
        words.push(format!(
            "attachment {:?}",
            file.filename().unwrap_or_default()
        ));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use anymail_core::{Mailer, MemoryBackend, MessageBuilder};

    fn outbox(messages: impl IntoIterator<Item = MessageBuilder>) -> Outbox {
        let backend = MemoryBackend::new();
        let outbox = backend.outbox();
        let mailer = Mailer::new(backend);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        for message in messages {
            runtime
                .block_on(mailer.send(&message.build().unwrap()))
                .unwrap();
        }
        outbox
    }

    fn welcome() -> MessageBuilder {
        Message::builder()
            .from("Shop <shop@example.com>")
            .to("Ann <Ann@Příklad.cz>")
            .cc("cc@example.com")
            .bcc("bcc@example.com")
            .subject("Welcome, Ann")
            .text_body("s3cret text")
            .html_body("<p>html</p>")
            .tag("welcome")
            .template_id("t1")
            .header("X-A", "1")
            .metadata("order", 7)
            .attach("terms.pdf", "x")
    }

    /// The panic message of a failed assertion.
    fn panic_message(failing: impl FnOnce() + std::panic::UnwindSafe) -> String {
        let panic = std::panic::catch_unwind(failing).unwrap_err();
        *panic.downcast::<String>().unwrap()
    }

    #[test]
    fn every_condition_matches_a_message_that_meets_it_and_rejects_others() {
        type Ask = fn(Mail, &str) -> Mail;
        let asks: [(Ask, &str); 13] = [
            (Mail::from, "SHOP@example.com"),
            (Mail::to, "ann@xn--pklad-zsa96e.cz"),
            (Mail::cc, "cc@example.com"),
            (Mail::bcc, "bcc@example.com"),
            (Mail::subject, "Welcome, Ann"),
            (Mail::subject_contains, "come, A"),
            (Mail::text_contains, "text"),
            (Mail::html_contains, "<p>"),
            (Mail::tag, "welcome"),
            (Mail::template, "t1"),
            (|mail, value| mail.header("x-a", value), "1"),
            (|mail, value| mail.metadata("order", value), "7"),
            (Mail::attachment, "terms.pdf"),
        ];
        for (ask, value) in asks {
            let outbox = outbox([welcome()]);
            assert_not_sent(&outbox, ask(mail(), "other@example.com"));
            assert_sent(&outbox, ask(mail(), value));
            assert_nothing_else_sent(&outbox);
        }
    }

    #[test]
    fn a_failure_lists_sent_messages_and_unmet_conditions() {
        let outbox = outbox([welcome(), Message::builder().from("a@b.c").to("d@e.f")]);
        let said = panic_message(|| {
            assert_sent(
                &outbox,
                mail().to("ann@příklad.cz").subject_contains("receipt"),
            );
        });
        assert_eq!(
            said,
            "a message: to ann@příklad.cz, \"receipt\" in its subject\n\
             was not sent; the outbox has 2 messages:\n  \
             1. from Shop <shop@example.com>, to Ann <Ann@Příklad.cz>, cc cc@example.com, \
             bcc bcc@example.com, subject \"Welcome, Ann\", template \"t1\", tags [\"welcome\"], \
             attachment \"terms.pdf\"\n     \
             does not match: \"receipt\" in its subject\n  \
             2. from a@b.c, to d@e.f\n     \
             does not match: to ann@příklad.cz, \"receipt\" in its subject"
        );
        assert!(!said.contains("s3cret text"));
        let link = mail().to("ann@příklad.cz").text_contains("https://");
        let said = panic_message(|| drop(assert_sent(&outbox, link.html_contains("html"))));
        assert!(
            said.contains(
                "does not match: \"https://\" in its text\n     its text: \"s3cret text\"\n  2."
            ),
            "{said}"
        );
        assert!(
            said.ends_with("its text: none\n     its HTML: none"),
            "{said}"
        );
        let said = panic_message(|| assert_nothing_else_sent(&outbox));
        assert!(said.contains("more messages were sent than expected"));
        let said = panic_message(|| assert_not_sent(&outbox, mail().tag("welcome")));
        assert!(said.contains("was sent"));
        let empty = Outbox::new();
        let said = panic_message(|| drop(assert_sent(&empty, mail())));
        assert_eq!(said, "any message\nwas not sent; the outbox is empty");
    }

    #[test]
    fn two_equal_messages_take_two_assertions() {
        let outbox = outbox([welcome(), welcome()]);
        assert_sent(&outbox, mail().to("ann@příklad.cz"));
        assert_sent(&outbox, mail().to("ann@příklad.cz"));
        assert_nothing_else_sent(&outbox);
    }
}
