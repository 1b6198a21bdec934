//! [`SmtpBackend`]: the SMTP backend and its capabilities.
//!
//! `conversation.rs` sends one message over a connection; `delivery.rs` reports the results.

use std::sync::OnceLock;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use tracing::Instrument;

use super::NAME;
use super::config::{SmtpConfig, SmtpConfigError, SmtpTls};
use super::conversation::{self, Ended, Mail};
use super::delivery::{Delivery, Report};
use super::envelope::{self, Path};
use super::pool::{Lease, Pool, Turnstile};
use super::session::{Offers, Settings};
use super::tls::Tls;
use crate::message::{Message, Mime};
use crate::sending::{
    CallTrace, Capabilities, EmailBackend, Feature, PreparedMessage, SendError, SendErrorKind,
    SendStatus, Support,
};

/// Sends over SMTP (feature `smtp`), to an ESP or to any mail server.
///
/// A recipient that the server accepts is [`Queued`](crate::Status::Queued): the server has
/// promised to deliver the message or to return it to the envelope sender (RFC 5321, 6.1), and
/// usually has not done either yet. A recipient that it permanently refuses is `Invalid` or
/// `Rejected`, depending on the enhanced status code (RFC 3463); one that it temporarily refuses is
/// `Failed`, with a code that starts with 4. Each recipient's detail contains the server's reply to
/// its own `RCPT TO`. [`SendStatus::esp_responses`] contains the reply to the whole message, in
/// which most servers name the ID in their queue. The message ID is the value of the `Message-ID`
/// header, without the angle brackets.
///
/// [`accepted`](SendError::accepted) of an error is `No` until the end of the message's content is
/// on the wire, because no server delivers an incomplete message, and `Maybe` from then until the
/// server's reply.
///
/// A batch is sent as one message for each address in `to`. Metadata, tags, tracking, templates and
/// `send_at` do not exist in SMTP and are not supported.
///
/// Connections are pooled and shared by all tasks that use the backend. It requires a tokio runtime
/// with time and I/O enabled.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use anymail_core::{Mailer, Message, SmtpBackend, SmtpConfig};
///
/// let config = SmtpConfig::new("mail.example.com").password("shop@example.com", "s3cret");
/// let mailer = Mailer::new(SmtpBackend::new(config)?);
///
/// let message = Message::builder()
///     .from("shop@example.com")
///     .to("ann@example.com")
///     .subject("Your receipt")
///     .text_body("Thank you.")
///     .build()?;
/// let status = mailer.send(&message).await?;
/// println!("{:?}: {:?}", status.message_id(), status.esp_responses);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SmtpBackend {
    pool: Pool,
    capabilities: Capabilities,
}

/// Anything that has no place in a message or its envelope is missing. Non-ASCII local parts depend
/// on the server: if it does not offer SMTPUTF8, their recipients are `Invalid`.
const CAPABILITIES: [(Feature, Support); 12] = [
    (Feature::EnvelopeSender, Support::Yes),
    (Feature::ReplyTo, Support::Yes),
    (Feature::Headers, Support::Yes),
    (Feature::Attachments, Support::Yes),
    (Feature::InlineAttachments, Support::Yes),
    (Feature::AmpHtml, Support::Yes),
    (Feature::Alternatives, Support::Yes),
    (Feature::Batch, Support::Yes),
    (Feature::MergeHeaders, Support::Yes),
    (Feature::InternationalFrom, Support::Yes),
    (Feature::InternationalRecipients, Support::Yes),
    (Feature::WithoutTo, Support::Yes),
];

impl SmtpBackend {
    /// Creates a backend with these settings. It does not connect yet.
    ///
    /// # Errors
    /// [`SmtpConfigError`] with all faults in the settings and in the CA file.
    pub fn new(config: SmtpConfig) -> Result<Self, SmtpConfigError> {
        let mut faults = config.faults();
        let tls = match config.tls {
            _ if !faults.is_empty() => None,
            SmtpTls::None => None,
            SmtpTls::StartTls | SmtpTls::Implicit => {
                Tls::new(&config).map_err(|found| faults = found).ok()
            }
        };
        if !faults.is_empty() {
            return Err(SmtpConfigError { faults });
        }
        let server = config.server();
        Ok(Self {
            pool: Pool::new(Settings {
                config,
                server,
                tls,
            }),
            capabilities: CAPABILITIES.into(),
        })
    }

    fn server(&self) -> &str {
        &self.pool.settings.server
    }

    fn max_connections(&self) -> usize {
        self.pool.settings.config.max_connections
    }

    /// Sends a message's copies concurrently. `down` is the error of a failed connection, if any.
    async fn send_copies(
        &self,
        message: &PreparedMessage,
        down: &OnceLock<SendError>,
    ) -> Result<SendStatus, SendError> {
        let mut report = Report::new(message.message());
        let copies = message.copies().map(|copy| self.deliver(copy, down));
        let mut sent = stream::iter(copies).buffered(self.max_connections());
        while let Some(delivery) = sent.next().await {
            report.add(delivery);
        }
        report.finish()
    }

    async fn deliver(&self, copy: Message, down: &OnceLock<SendError>) -> Delivery {
        let mut delivery = Delivery::new(envelope::recipients(&copy));
        // Waiting copies hold nothing but the message itself.
        let mut turn = match self.pool.turn().await {
            Ok(turn) => turn,
            Err(error) => return delivery.fail(error),
        };
        if let Some(error) = down.get() {
            return delivery.fail(error.clone());
        }
        let sender = match sender(&copy) {
            Ok(sender) => sender,
            Err(error) => return delivery.fail(error),
        };
        let mime = copy.to_mime();
        drop(copy);
        delivery.message_id = mime.message_id().to_owned();
        while delivery.has_open() {
            let trace = CallTrace::conversation(NAME, self.server(), 1, mime.bytes().len());
            let exchange = self.exchange(&mut turn, &sender, &mime, &mut delivery, down);
            let result = exchange.instrument(trace.span()).await;
            trace.end(result.as_ref().copied());
            if let Err(error) = result {
                return delivery.fail(error);
            }
        }
        delivery
    }

    /// Sends a message to its open recipients over one connection. Returns the code of the most
    /// significant reply.
    async fn exchange(
        &self,
        turn: &mut Turnstile,
        sender: &Path,
        mime: &Mime,
        delivery: &mut Delivery,
        down: &OnceLock<SendError>,
    ) -> Result<u16, SendError> {
        loop {
            let mut lease = self.pool.connection(turn).await.inspect_err(|error| {
                if is_down(error) {
                    let _ = down.set(error.clone());
                }
            })?;
            let Some(parameters) = self.fit(&lease, sender, mime, delivery).transpose() else {
                self.pool.give_back(lease, true);
                return Ok(553);
            };
            let parameters = match parameters {
                Ok(parameters) => parameters,
                Err(error) => {
                    self.pool.give_back(lease, true);
                    return Err(error);
                }
            };
            let mail = Mail {
                sender: sender.as_str(),
                parameters: &parameters,
                recipients: &delivery.open_paths(),
                content: mime.bytes(),
            };
            let spoken = conversation::send(&mut lease.session, &mail, self.server()).await;
            if matches!(spoken.ended, Ended::Unanswered(_)) && lease.used_before {
                tracing::debug!(
                    esp = NAME,
                    "reconnecting, because the server closed an idle connection"
                );
                continue;
            }
            self.pool.give_back(lease, spoken.keep);
            return delivery.take(spoken.recipients, spoken.ended);
        }
    }

    /// Refuses recipients that the server does not support, and returns the parameters of `MAIL`.
    /// `None` if no recipient is left.
    fn fit(
        &self,
        lease: &Lease,
        sender: &Path,
        mime: &Mime,
        delivery: &mut Delivery,
    ) -> Result<Option<String>, SendError> {
        let offers = lease.session.offers;
        if !offers.smtp_utf8 {
            delivery.refuse_international();
            if !delivery.has_open() {
                return Ok(None);
            }
        }
        let header = header_of(mime.bytes());
        let utf8 = sender.is_international() || delivery.has_international() || !header.is_ascii();
        let parameters = parameters(offers, utf8, mime.bytes());
        parameters.map(Some).map_err(|words| {
            let error = SendError::new(SendErrorKind::Refused, NAME, words);
            error.with_server(self.server())
        })
    }
}

/// The parameters of `MAIL`: empty, or each with a space before it. `utf8`: whether the envelope or
/// the header is not ASCII.
///
/// # Errors
/// Says why a server with these extensions cannot accept the message.
fn parameters(offers: Offers, utf8: bool, mail: &[u8]) -> Result<String, String> {
    let Offers {
        smtp_utf8,
        eight_bit,
        size,
        ..
    } = offers;
    if utf8 && !smtp_utf8 {
        return Err(
            "the server does not offer SMTPUTF8 (RFC 6531), which a non-ASCII local part in the \
             envelope or in a header requires"
                .to_owned(),
        );
    }
    let plain = mail.is_ascii();
    if !plain && !eight_bit && !smtp_utf8 {
        let words = "the server does not offer 8BITMIME (RFC 6152), which the message requires";
        return Err(words.to_owned());
    }
    let length = u64::try_from(mail.len()).unwrap_or(u64::MAX);
    if let Some(most) = size.filter(|most| (1..length).contains(most)) {
        return Err(format!(
            "the message has {length} bytes, more than the server's limit of {most} bytes (RFC 1870)"
        ));
    }
    let mut parameters = String::new();
    if size.is_some() {
        parameters.push_str(&format!(" SIZE={length}"));
    }
    if !plain && eight_bit {
        parameters.push_str(" BODY=8BITMIME");
    }
    if utf8 {
        parameters.push_str(" SMTPUTF8");
    }
    Ok(parameters)
}

/// The header section, up to the first empty line.
fn header_of(mail: &[u8]) -> &[u8] {
    let end = mail.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    mail.get(..end.unwrap_or(mail.len())).unwrap_or(mail)
}

fn sender(message: &Message) -> Result<Path, SendError> {
    let sender = envelope::sender(message).ok_or("it is missing");
    sender.and_then(Path::of).map_err(|why| {
        let words = format!("invalid envelope sender: {why}");
        SendError::new(SendErrorKind::Refused, NAME, words)
    })
}

/// Whether a failed connection means that the next one would fail, too.
fn is_down(error: &SendError) -> bool {
    use SendErrorKind as K;
    matches!(
        error.kind(),
        K::Connect | K::Timeout | K::Configuration | K::Authentication | K::InvalidResponse
    )
}

#[async_trait]
impl EmailBackend for SmtpBackend {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        self.send_copies(message, &OnceLock::new()).await
    }

    async fn send_many(&self, messages: &[PreparedMessage]) -> Vec<Result<SendStatus, SendError>> {
        let down = OnceLock::new();
        let each: Vec<_> = messages
            .iter()
            .map(|message| self.send_copies(message, &down))
            .collect();
        stream::iter(each)
            .buffered(self.max_connections())
            .collect()
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_of_mail_depend_on_the_message_and_on_what_the_server_offers() {
        let offers = |eight_bit, smtp_utf8, size| {
            let mut offers = Offers::default();
            (offers.eight_bit, offers.smtp_utf8, offers.size) = (eight_bit, smtp_utf8, size);
            offers
        };
        for (offered, utf8, mail, expected) in [
            (offers(false, false, None), false, "plain", Ok("")),
            (offers(true, true, None), false, "plain", Ok("")),
            (offers(false, false, Some(0)), false, "plain", Ok(" SIZE=5")),
            (offers(false, false, Some(5)), false, "plain", Ok(" SIZE=5")),
            (
                offers(false, false, Some(4)),
                false,
                "plain",
                Err("limit of 4 bytes"),
            ),
            (
                offers(true, false, None),
                false,
                "kůň",
                Ok(" BODY=8BITMIME"),
            ),
            (offers(false, true, None), false, "kůň", Ok("")),
            (offers(false, false, None), false, "kůň", Err("8BITMIME")),
            (offers(true, false, None), true, "kůň", Err("SMTPUTF8")),
            (offers(false, true, None), true, "kůň", Ok(" SMTPUTF8")),
            (
                offers(true, true, None),
                true,
                "kůň",
                Ok(" BODY=8BITMIME SMTPUTF8"),
            ),
            (offers(true, true, None), true, "plain", Ok(" SMTPUTF8")),
        ] {
            match (parameters(offered, utf8, mail.as_bytes()), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{offered:?} {mail}"),
                (Err(found), Err(part)) => assert!(found.contains(part), "{found}"),
                (found, _) => panic!("{offered:?} {mail}: {found:?}"),
            }
        }
    }

    #[test]
    fn the_header_ends_at_the_first_empty_line() {
        for (mail, header) in [
            ("A: 1\r\nB: 2\r\n\r\nbody\r\n\r\nmore", "A: 1\r\nB: 2"),
            ("A: 1\r\n", "A: 1\r\n"),
        ] {
            assert_eq!(header_of(mail.as_bytes()), header.as_bytes());
        }
    }
}
