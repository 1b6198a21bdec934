//! [`FakePostmark`]: Postmark's API on loopback, believed by real clients.
//!
//! The HTTP server under it, and its faults, are in `server.rs` beside this folder. A call goes
//! - through `api` (which endpoint, who may) to an endpoint: `sending`, `bulk`, `templates`,
//!   `streams`, `outbox`, `bounces`, `server_settings`, `hooks`;
//! - which reads it (`fields`, `email`, `addresses`), holds it against the rules (`check`,
//!   `rules`), renders it (`mustachio`), and changes the `state`;
//! - a mail that comes by SMTP is read by `smtp_mail` and judged by `smtp`, by the same rules;
//! - what a test makes happen later begins in `triggers`, is done in `events` and `inbound`,
//!   told in `payloads`, and posted by `webhooks`;
//! - templates are kept in `templates`, and read from files in `template_folder`;
//! - a person looks at `page`.

mod addresses;
mod api;
mod bounce_type;
mod bounces;
mod builder;
mod bulk;
mod check;
mod email;
mod events;
mod fields;
mod hooks;
mod inbound;
mod message;
mod mustachio;
mod outbox;
mod page;
mod page_templates;
mod page_view;
mod payloads;
mod rules;
mod sending;
mod server_settings;
mod smtp;
mod smtp_mail;
mod state;
mod stored_template;
mod streams;
mod template_folder;
mod templates;
mod triggers;
mod webhooks;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

pub use self::bounce_type::BounceType;
pub use self::builder::FakePostmarkBuilder;
pub use self::events::TriggerError;
pub use self::message::{Mailbox, SentAttachment, SentMessage};
use self::state::Fake;
pub use self::stored_template::StoredTemplate;
use self::streams::SuppressionOrigin;
pub use self::streams::{StreamKind, SuppressionReason};
pub use self::webhooks::{WebhookReport, WebhookTry};
use crate::faults::Fault;
use crate::server::{Counts, LoopbackServer};
use crate::smtp_server::LoopbackSmtp;

/// A Postmark server of one's own, on loopback and in memory.
///
/// Point any Postmark client, in any language, at [`url`](Self::url). What is sent to it is
/// checked as Postmark checks it, answered in Postmark's words, and kept for the test to look
/// at.
///
/// ```
/// use anymail_test_utils::FakePostmark;
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let postmark = FakePostmark::start()?;
/// let client = reqwest::Client::builder().no_proxy().build()?;
/// let answer = client
///     .post(format!("{}/email", postmark.url()))
///     .header("Accept", "application/json")
///     .header("Content-Type", "application/json")
///     .header("X-Postmark-Server-Token", "server-token")
///     .body(r#"{"From": "me@example.com", "To": "you@example.com", "TextBody": "Hi!"}"#)
///     .send()
///     .await?;
/// assert_eq!(answer.status(), 200);
/// let messages = postmark.messages();
/// assert_eq!(messages[0].to[0].email, "you@example.com");
/// assert_eq!(messages[0].text_body.as_deref(), Some("Hi!"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// The token is `server-token` unless the builder says otherwise; `POSTMARK_API_TEST` is
/// accepted besides, with which messages are checked and not kept. All tokens open the same
/// server, with the streams `outbound`, `broadcast` and `inbound`.
///
/// It is no mail server: nothing is ever delivered to anybody.
///
/// # SMTP
///
/// With [`smtp_port`](FakePostmarkBuilder::smtp_port) it takes mail by SMTP as well, so that any
/// program that can send mail can be looked at. The rules, the messages, the webhooks and the
/// page are the same. Each fact is marked by how it is known: *documented* in Postmark's
/// [SMTP guide](https://postmarkapp.com/developer/user-guide/send-email-with-smtp) unless another
/// page is named; *seen* on the wire by somebody who published it; *guessed*.
///
/// - The server token is user and password, by `AUTH PLAIN` or `LOGIN`, with or without TLS
///   (documented). So is an SMTP token of one stream
///   ([`smtp_token`](FakePostmarkBuilder::smtp_token), documented); that its stream wins over a
///   header is guessed. `CRAM-MD5` and `DIGEST-MD5` are documented and not offered here. A login
///   that fails gets `535 5.7.8 Error: authentication failed` (seen). So does every login while
///   the server's `SmtpApiActivated` is `false` (that it fails is documented, the reply guessed).
/// - `X-PM-Message-Stream` names the stream, `outbound` if it is absent or blank; `X-PM-Tag` is
///   the tag; `X-PM-Metadata-color` is the metadata `color`, a second one `color1` (documented;
///   where its numbers begin is guessed). `X-PM-TrackOpens` is `true` or `false`,
///   `X-PM-TrackLinks` is `None`, `HtmlAndText`, `HtmlOnly` or `TextOnly` (documented: "Tracking
///   opens per email", "Tracking links").
/// - Who gets the mail is said by the envelope. The recipients there that neither To nor Cc names
///   are Bcc; nobody sees a Bcc header (documented: "Changes to the way we handle headers when
///   sending with SMTP", Postmark's blog, 2024).
/// - Postmark accepts a mail (250) and judges it afterwards. One that breaks a rule, or is only
///   for suppressed recipients, becomes a bounce of the type
///   [`SmtpApiError`](BounceType::SmtpApiError) instead (documented). It is in
///   [`refused`](Self::refused), in `GET bounces`, and on the page. That other faults than
///   suppressed recipients bounce for the first recipient only is guessed; so is that a mail for
///   some suppressed recipients goes to the others, with a bounce for each suppressed one.
///   Webhooks are told of these bounces if the server's `EnableSmtpApiErrorHooks` is `true`
///   (documented: "SMTP API Error").
/// - The mail that goes out, in `GET messages/outbound/{id}/dump`, has no `X-PM-Metadata-*`
///   (documented: "Custom metadata FAQ") and no other `X-PM-*` but `X-PM-Tag` (guessed). Its
///   `Message-ID` is Postmark's, unless `X-PM-KeepID: true` is in the mail (documented).
/// - A mail may have 10 MB, which is offered as `SIZE` (the limit is documented for all mail; that
///   a larger one is refused with 552 is guessed). Which extensions Postmark offers is not known:
///   here `PIPELINING`, `SIZE`, `8BITMIME` and `ENHANCEDSTATUSCODES`. The words of all other
///   replies are guessed, also that the one to a mail does not name the message id.
/// - Whether the test token works by SMTP is not known. Here it does: a good mail is counted in
///   [`test_jobs`](Self::test_jobs) and not kept, a bad one is refused with 554, as it has no
///   server on which it could bounce.
pub struct FakePostmark {
    server: LoopbackServer,
    smtp: Option<LoopbackSmtp>,
    fake: Arc<Fake>,
}

impl FakePostmark {
    /// A fake on a free port of 127.0.0.1 that accepts the token `server-token`.
    ///
    /// # Errors
    /// What the operating system says when there is no port or no thread to be had.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// A fake with a port, tokens or rules of one's own.
    pub fn builder() -> FakePostmarkBuilder {
        FakePostmarkBuilder::default()
    }

    /// The API's URL, without a slash at its end: what takes the place of
    /// `https://api.postmarkapp.com`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The SMTP server, if [`FakePostmarkBuilder::smtp_port`] asked for one: for its port, its
    /// faults, and the mails as they came.
    pub fn smtp(&self) -> Option<&LoopbackSmtp> {
        self.smtp.as_ref()
    }

    /// The mails that came by SMTP, were answered with 250, and are not sent: each has a
    /// [`refusal`](SentMessage::refusal).
    pub fn refused(&self) -> Vec<Arc<SentMessage>> {
        self.fake.state().refused.clone()
    }

    /// The messages it has accepted, in order. Those of the test token are not among them.
    pub fn messages(&self) -> Vec<Arc<SentMessage>> {
        self.fake.state().messages.clone()
    }

    /// How many messages it has accepted, those of the test token not counted.
    pub fn accepted(&self) -> usize {
        self.fake.state().messages.len()
    }

    /// How many messages the token `POSTMARK_API_TEST` got accepted.
    pub fn test_jobs(&self) -> u64 {
        self.fake.state().test_jobs
    }

    /// How many calls have come, those that a fault broke included.
    pub fn calls(&self) -> u64 {
        self.server.counts().calls
    }

    /// Connections, calls, and calls that the fake itself has answered.
    pub fn counts(&self) -> Counts {
        self.server.counts()
    }

    /// Makes an address inactive on a stream, as a bounce or a complaint would. No webhook is
    /// sent.
    pub fn suppress(&self, stream: &str, email: &str, reason: SuppressionReason) {
        let origin = SuppressionOrigin::Recipient;
        self.fake.state().suppress(stream, email, reason, origin);
    }

    /// Stores a template, to send with by its alias or by the id that this gives.
    ///
    /// Nothing is checked, unlike by `POST templates`: one that cannot be rendered shows that
    /// in [`SentMessage::render_error`].
    pub fn add_template(&self, template: StoredTemplate) -> i64 {
        let mut state = self.fake.state();
        let id = state.next_id();
        state.templates.push(template.with_id(id));
        id
    }

    /// What is wrong with files in the folder of
    /// [`templates`](FakePostmarkBuilder::templates): each problem with the path of its file, and
    /// where it is known, line and character. Reads files that have changed first.
    pub fn template_problems(&self) -> Vec<String> {
        self.fake.read_templates();
        let state = self.fake.state();
        let folder = state.template_folder.iter();
        let problems = folder.flat_map(|folder| folder.problems());
        problems.map(str::to_owned).collect()
    }

    /// The HTTP server, for its faults and the requests as they came.
    pub fn server(&self) -> &LoopbackServer {
        &self.server
    }

    /// An answer in Postmark's form, as a fault for the next calls: `(503, 100, "...")` for
    /// maintenance, say. The message is not accepted.
    ///
    /// ```
    /// use anymail_test_utils::FakePostmark;
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let postmark = FakePostmark::start()?;
    /// let not_approved = "This account is not approved to send email.";
    /// let fault = FakePostmark::api_error(422, 413, not_approved);
    /// postmark.server().inject(fault, 1);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn api_error(http_status: u16, code: i64, message: &str) -> Fault {
        let body = json!({"ErrorCode": code, "Message": message});
        Fault::Status {
            status: http_status,
            retry_after: None::<Duration>,
            content_type: "application/json; charset=utf-8".to_owned(),
            body: body.to_string().into(),
        }
    }
}

/// The address and the counts; no message and no token.
impl fmt::Debug for FakePostmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakePostmark")
            .field("url", &self.url())
            .field("accepted", &self.accepted())
            .finish_non_exhaustive()
    }
}
