//! [`FakePostmark`]: Postmark's API on loopback, which real clients cannot tell from Postmark.
//!
//! `server.rs` in the parent folder contains the HTTP server and its faults. In this folder:
//! - `api` authenticates a call and routes it to an endpoint: `sending`, `bulk`, `templates`,
//!   `streams`, `outbox`, `bounces`, `server_settings`, `hooks`;
//! - the endpoint parses the call (`fields`, `email`, `addresses`), applies Postmark's rules (`check`,
//!   `rules`), renders templates (`mustachio`), and changes the `state`;
//! - `smtp_mail` parses a message that arrives over SMTP, and `smtp` applies the same rules to it;
//! - `triggers` starts the events that a test triggers, `events` and `inbound` apply them, `payloads`
//!   builds their JSON, and `webhooks` posts it;
//! - `templates` stores templates, and `template_folder` reads them from files;
//! - `page` serves the mailbox page.

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
pub use self::streams::{InactiveReason, StreamKind};
pub use self::webhooks::{WebhookAttempt, WebhookReport};
use crate::faults::Fault;
use crate::server::{Counts, LoopbackServer};
use crate::smtp_server::LoopbackSmtp;

/// A fake Postmark server on loopback that keeps everything in memory.
///
/// Point any Postmark client, in any language, at [`url`](Self::url). The fake validates each message
/// as Postmark does, responds with Postmark's error messages, and keeps accepted messages so that the
/// test can inspect them.
///
/// ```
/// use anymail_test_utils::FakePostmark;
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let postmark = FakePostmark::start()?;
/// let client = reqwest::Client::builder().no_proxy().build()?;
/// let response = client
///     .post(format!("{}/email", postmark.url()))
///     .header("Accept", "application/json")
///     .header("Content-Type", "application/json")
///     .header("X-Postmark-Server-Token", "server-token")
///     .body(r#"{"From": "me@example.com", "To": "you@example.com", "TextBody": "Hi!"}"#)
///     .send()
///     .await?;
/// assert_eq!(response.status(), 200);
/// let messages = postmark.messages();
/// assert_eq!(messages[0].to[0].email, "you@example.com");
/// assert_eq!(messages[0].text_body.as_deref(), Some("Hi!"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// The server token is `server-token`, unless the builder sets another one. The token
/// `POSTMARK_API_TEST` is always accepted; its messages are validated but not kept. All tokens access
/// the same server, which has the streams `outbound`, `broadcast` and `inbound`.
///
/// The fake never delivers anything.
///
/// # SMTP
///
/// With [`smtp_port`](FakePostmarkBuilder::smtp_port), the fake also accepts messages over SMTP from any
/// program. The same rules, messages, webhooks and mailbox page apply. Each fact below states its
/// source: *documented* in Postmark's
/// [SMTP guide](https://postmarkapp.com/developer/user-guide/send-email-with-smtp) unless another
/// page is named; *seen* on the wire by somebody who published it; or *guessed*.
///
/// - The server token is both user name and password, with `AUTH PLAIN` or `LOGIN`, with or without TLS
///   (documented). An SMTP token of a single stream works as well
///   ([`smtp_token`](FakePostmarkBuilder::smtp_token), documented); its stream takes precedence over the
///   header (guessed). `CRAM-MD5` and `DIGEST-MD5` are documented but not offered here. A failed login
///   gets `535 5.7.8 Error: authentication failed` (seen). So does every login while the server's
///   `SmtpApiActivated` is `false` (the failure is documented, the reply guessed).
/// - `X-PM-Message-Stream` selects the stream, which is `outbound` if the header is absent or blank.
///   `X-PM-Tag` sets the tag. `X-PM-Metadata-color` sets the metadata key `color`, and a second such
///   header sets `color1` (documented; the first number is guessed). `X-PM-TrackOpens` is `true` or
///   `false`; `X-PM-TrackLinks` is `None`, `HtmlAndText`, `HtmlOnly` or `TextOnly` (documented: "Tracking
///   opens per email", "Tracking links").
/// - The envelope determines the recipients. Envelope recipients that appear in neither To nor Cc are
///   Bcc recipients. Nobody sees a Bcc header (documented: "Changes to the way we handle headers when
///   sending with SMTP", Postmark's blog, 2024).
/// - Postmark accepts a message (250) and validates it afterwards. A message that breaks a rule, or whose
///   recipients are all suppressed, becomes a bounce of the type
///   [`SmtpApiError`](BounceType::SmtpApiError) instead (documented). It appears in
///   [`refused`](Self::refused), in `GET bounces`, and on the page. A message that breaks a rule bounces
///   only for the first recipient (guessed). A message to some suppressed recipients is sent to the
///   others, with one bounce for each suppressed recipient (guessed). These bounces are posted to
///   webhooks if the server's `EnableSmtpApiErrorHooks` is `true` (documented: "SMTP API Error").
/// - The outgoing message, in `GET messages/outbound/{id}/dump`, has no `X-PM-Metadata-*` header
///   (documented: "Custom metadata FAQ") and no other `X-PM-*` header except `X-PM-Tag` (guessed). Its
///   `Message-ID` is set by Postmark, unless the message has `X-PM-KeepID: true` (documented).
/// - A message can have up to 10 MB, which is announced as `SIZE` (the limit is documented for all
///   messages; the reply 552 to a larger one is guessed). Postmark's list of extensions is unknown; the
///   fake offers `PIPELINING`, `SIZE`, `8BITMIME` and `ENHANCEDSTATUSCODES`. The texts of all other
///   replies are guessed, as is the fact that the reply to a message does not contain the message ID.
/// - It is unknown whether the test token works over SMTP. Here it does: a valid message is counted in
///   [`test_jobs`](Self::test_jobs) and not kept; an invalid one is refused with 554, because there is no
///   server on which it could bounce.
pub struct FakePostmark {
    server: LoopbackServer,
    smtp: Option<LoopbackSmtp>,
    fake: Arc<Fake>,
}

impl FakePostmark {
    /// Starts a fake on a free port of 127.0.0.1 that accepts the token `server-token`.
    ///
    /// # Errors
    /// Returns the operating system's error if no port or thread is available.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// Returns a builder that configures the port, the tokens and the rules of a fake.
    pub fn builder() -> FakePostmarkBuilder {
        FakePostmarkBuilder::default()
    }

    /// Returns the API's URL without a trailing slash, to use instead of
    /// `https://api.postmarkapp.com`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns the SMTP server, which provides its port, its faults and the raw messages; `None` without
    /// [`FakePostmarkBuilder::smtp_port`].
    pub fn smtp(&self) -> Option<&LoopbackSmtp> {
        self.smtp.as_ref()
    }

    /// Returns the messages that arrived over SMTP, got the reply 250, and will not be sent. Each of them
    /// has a [`refusal`](SentMessage::refusal).
    pub fn refused(&self) -> Vec<Arc<SentMessage>> {
        self.fake.state().refused.clone()
    }

    /// Returns the accepted messages in order, except those of the test token.
    pub fn messages(&self) -> Vec<Arc<SentMessage>> {
        self.fake.state().messages.clone()
    }

    /// Returns the number of accepted messages, except those of the test token.
    pub fn accepted(&self) -> usize {
        self.fake.state().messages.len()
    }

    /// Returns the number of messages that were accepted with the token `POSTMARK_API_TEST`.
    pub fn test_jobs(&self) -> u64 {
        self.fake.state().test_jobs
    }

    /// Returns the number of calls, including those that a fault broke.
    pub fn calls(&self) -> u64 {
        self.server.counts().calls
    }

    /// Returns the numbers of connections, of calls, and of calls that the fake itself handled.
    pub fn counts(&self) -> Counts {
        self.server.counts()
    }

    /// Suppresses an address on a stream, as a bounce or a complaint would. No webhook is posted.
    pub fn suppress(&self, stream: &str, email: &str, reason: InactiveReason) {
        let origin = SuppressionOrigin::Recipient;
        self.fake.state().suppress(stream, email, reason, origin);
    }

    /// Stores a template and returns its ID. Messages can use the ID or the alias.
    ///
    /// Unlike `POST templates`, this does not validate the template. If it cannot be rendered,
    /// [`SentMessage::render_error`] contains the reason.
    pub fn add_template(&self, template: StoredTemplate) -> i64 {
        let mut state = self.fake.state();
        let id = state.next_id();
        state.templates.push(template.with_id(id));
        id
    }

    /// Returns the problems of files in the folder of [`templates`](FakePostmarkBuilder::templates).
    ///
    /// Each problem names the path of its file, and the line and the character if they are known.
    /// Files that have changed are read again first.
    pub fn template_problems(&self) -> Vec<String> {
        self.fake.read_templates();
        let state = self.fake.state();
        let folder = state.template_folder.iter();
        let problems = folder.flat_map(|folder| folder.problems());
        problems.map(str::to_owned).collect()
    }

    /// Returns the HTTP server, which injects faults and keeps the raw requests.
    pub fn server(&self) -> &LoopbackServer {
        &self.server
    }

    /// Creates a fault that responds with one of Postmark's errors, for example `(503, 100, "...")`
    /// for maintenance. The message is not accepted.
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

/// Shows the URL and the number of messages, but no message and no token.
impl fmt::Debug for FakePostmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakePostmark")
            .field("url", &self.url())
            .field("accepted", &self.accepted())
            .finish_non_exhaustive()
    }
}
