//! [`assert_sent`] and [`assert_nothing_else_sent`]: what an app's test says of its mail.
//!
//! The outbox they look into is `anymail-core`'s memory backend.

use std::fmt;

use anymail_core::{Address, AddressKey, Field, Message, Outbox, StoredMessage};

/// What a message shall be like: start with [`mail`].
///
/// All of it must hold of one message. Addresses are compared without regard to case, to
/// display names, and to the form of an international domain.
#[derive(Clone, Default)]
#[must_use = "nothing is checked until assert_sent() gets it"]
pub struct Mail(Vec<Condition>);

#[derive(Clone)]
struct Condition {
    words: String,
    holds: fn(&Message, &[String]) -> bool,
    values: Vec<String>,
}

/// Any message, until more is asked of it.
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
            holds,
            values,
        });
        self
    }

    /// From this address.
    pub fn from(self, email: &str) -> Self {
        self.and(format!("from {email}"), &[email], |m, v| {
            m.from.value().is_some_and(|from| is(from, v))
        })
    }

    /// To this address, maybe among others.
    pub fn to(self, email: &str) -> Self {
        self.and(format!("to {email}"), &[email], |m, v| any(&m.to, v))
    }

    /// With a copy to this address.
    pub fn cc(self, email: &str) -> Self {
        self.and(format!("cc {email}"), &[email], |m, v| any(&m.cc, v))
    }

    /// With a blind copy to this address.
    pub fn bcc(self, email: &str) -> Self {
        self.and(format!("bcc {email}"), &[email], |m, v| any(&m.bcc, v))
    }

    /// With just this subject.
    pub fn subject(self, subject: &str) -> Self {
        self.and(format!("subject {subject:?}"), &[subject], |m, v| {
            m.subject.value().map(String::as_str) == v.first().map(String::as_str)
        })
    }

    /// With this in its subject.
    pub fn subject_contains(self, part: &str) -> Self {
        self.and(format!("{part:?} in its subject"), &[part], |m, v| {
            contains(&m.subject, v)
        })
    }

    /// With this in its plain text.
    pub fn text_contains(self, part: &str) -> Self {
        self.and(format!("{part:?} in its text"), &[part], |m, v| {
            contains(&m.text_body, v)
        })
    }

    /// With this in its HTML.
    pub fn html_contains(self, part: &str) -> Self {
        self.and(format!("{part:?} in its HTML"), &[part], |m, v| {
            contains(&m.html_body, v)
        })
    }

    /// With this tag.
    pub fn tag(self, tag: &str) -> Self {
        self.and(format!("tag {tag:?}"), &[tag], |m, v| {
            m.tags.items().iter().any(|tag| v.contains(tag))
        })
    }

    /// By this template.
    pub fn template(self, id: &str) -> Self {
        self.and(format!("template {id:?}"), &[id], |m, v| {
            m.template_id.value().is_some_and(|id| v.contains(id))
        })
    }

    /// With this header.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.and(format!("header {name}: {value}"), &[name, value], |m, v| {
            let [name, value] = v else { return false };
            let headers = m.headers.value();
            headers.and_then(|headers| headers.get(name)) == Some(value.as_str())
        })
    }

    /// With this in its metadata.
    pub fn metadata(self, key: &str, value: &str) -> Self {
        self.and(format!("metadata {key}: {value}"), &[key, value], |m, v| {
            let [key, value] = v else { return false };
            m.metadata.value().and_then(|map| map.get(key)) == Some(value)
        })
    }

    /// With a file of this name.
    pub fn attachment(self, filename: &str) -> Self {
        self.and(format!("attachment {filename:?}"), &[filename], |m, v| {
            let mut names = m.attachments.items().iter().map(|file| file.filename());
            names.any(|name| name == v.first().map(String::as_str))
        })
    }

    fn is_met_by(&self, sent: &StoredMessage) -> bool {
        self.missing_in(sent).next().is_none()
    }

    fn missing_in(&self, sent: &StoredMessage) -> impl Iterator<Item = &str> {
        let missing = |it: &&Condition| !(it.holds)(&sent.message, &it.values);
        self.0.iter().filter(missing).map(|it| it.words.as_str())
    }
}

/// Its conditions, in words.
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

/// Asserts that such a message was sent; takes it out of the outbox and gives it.
///
/// Of several that fit, the first is taken, so two alike are asserted by two calls.
///
/// ```
/// use anymail_core::{Mailer, MemoryBackend, Message};
/// use anymail_test_utils::{assert_nothing_else_sent, assert_sent, mail};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let backend = MemoryBackend::new();
/// let outbox = backend.outbox();
/// let mailer = Mailer::new(backend); // hand it to the app
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
/// When there is none. It shows what was asked for, what was sent instead, and what of it was
/// not as asked.
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

/// Asserts that no such message was sent.
///
/// # Panics
/// When there is one, with the messages that were sent.
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

/// Asserts that no message was sent but those that [`assert_sent`] has taken.
///
/// # Panics
/// When there is one, with the messages that are left.
#[track_caller]
pub fn assert_nothing_else_sent(outbox: &Outbox) {
    if !outbox.is_empty() {
        fail("more was sent than was asserted", outbox, None);
    }
}

#[track_caller]
#[expect(clippy::panic, reason = "a failed assertion is what a test wants")]
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
            text.push_str(&format!("\n     but not: {}", missing.join(", ")));
        }
    }
    panic!("{text}")
}

/// One line that tells a message from others; no bodies.
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

    /// What a failed assertion says.
    fn words(failing: impl FnOnce() + std::panic::UnwindSafe) -> String {
        let panic = std::panic::catch_unwind(failing).unwrap_err();
        *panic.downcast::<String>().unwrap()
    }

    #[test]
    fn every_condition_is_met_by_a_message_that_is_so_and_by_no_other() {
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
    fn a_failure_shows_what_was_sent_instead_and_what_was_not_as_asked() {
        let outbox = outbox([welcome(), Message::builder().from("a@b.c").to("d@e.f")]);
        let said = words(|| {
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
             but not: \"receipt\" in its subject\n  \
             2. from a@b.c, to d@e.f\n     \
             but not: to ann@příklad.cz, \"receipt\" in its subject"
        );
        assert!(words(|| assert_nothing_else_sent(&outbox)).contains("more was sent"));
        assert!(words(|| assert_not_sent(&outbox, mail().tag("welcome"))).contains("was sent"));
        let empty = Outbox::new();
        let said = words(|| drop(assert_sent(&empty, mail())));
        assert_eq!(said, "any message\nwas not sent; the outbox is empty");
    }

    #[test]
    fn two_alike_are_asserted_by_two_calls() {
        let outbox = outbox([welcome(), welcome()]);
        assert_sent(&outbox, mail().to("ann@příklad.cz"));
        assert_sent(&outbox, mail().to("ann@příklad.cz"));
        assert_nothing_else_sent(&outbox);
    }
}
