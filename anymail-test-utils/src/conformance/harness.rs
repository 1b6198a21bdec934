//! [`Harness`]: the ESP's side of the wire, which the backend's author describes.
//!
//! What the suite does with it is in the topics beside this module; the mails that are read
//! and compared are in `understood.rs`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anymail_core::{Address, EmailBackend, Status, WebhookAuth};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response};

use super::posts::Posts;
use super::profile::Profile;
use super::signer::Signer;
use super::understood::Understood;

/// Whatever goes wrong in a harness. The suite prints it.
pub type HarnessError = Box<dyn std::error::Error + Send + Sync>;

/// What the suite must know of an ESP with an HTTP API, and of the backend for it.
///
/// A harness is the ESP's side of the wire, in a few lines: it makes the backend, reads its
/// requests, and writes the ESP's answers. Write it from the ESP's documentation, not from your
/// backend: two that share a mistake agree with each other.
///
/// The suite brings the server, the messages, what goes wrong on the network, and the
/// assertions. It calls a harness from several threads at once.
///
/// A whole one stands in
/// [Writing a backend](crate::guide::writing_a_backend#5-describe-the-esp-to-the-suite).
pub trait Harness: Send + Sync + 'static {
    /// Makes the backend, to talk to this server with this secret.
    ///
    /// # Errors
    /// Any. The trial that asked for the backend fails with it.
    fn backend(&self, target: &Target) -> Result<Arc<dyn EmailBackend>, HarnessError>;

    /// Reads a request as the ESP would: each mail that the ESP would send, with all that it
    /// understood of it. A request that sends nothing (one for an access token, say) gives an
    /// empty list.
    ///
    /// # Errors
    /// Any, for a request that the ESP would not understand. The trial fails with it.
    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Understood>, HarnessError>;

    /// Writes the ESP's answer to a request: one [`Answer`] for each mail that
    /// [`read`](Self::read) gave, in the same order.
    ///
    /// `None` where this ESP cannot say such a thing in answer to a request. The trial is then
    /// skipped, with that as the reason. The ordinary yes it must be able to say.
    fn answer(&self, request: &Request<Bytes>, answers: &[Answer]) -> Option<Response<Bytes>>;

    /// Writes the ESP's answer when it takes nothing of a request: its usual error body, with
    /// these words in the place for words.
    fn trouble(&self, trouble: &Trouble) -> Response<Bytes>;

    /// Where the ESP looks for [`Target::secret`], and what must stand there.
    fn credentials(&self, secret: &str) -> Credentials;

    /// What is special about the ESP. By default, nothing.
    fn profile(&self) -> Profile {
        Profile::default()
    }

    /// The backend's webhooks, made with this authentication, each with posts as the ESP makes
    /// them, and what they say. News of mail that was sent is about the mail `sent`, and bears
    /// its id as the ESP writes it, its first recipient and its metadata. By default there are
    /// no webhooks.
    fn webhooks(&self, auth: WebhookAuth, sent: &Answer) -> Vec<Posts> {
        let _ = (auth, sent);
        Vec::new()
    }

    /// How the ESP signs what it posts to the [`webhooks`](Self::webhooks). By default it does
    /// not.
    fn signer(&self) -> Option<Arc<dyn Signer>> {
        None
    }
}

/// What the suite must know of a backend that sends over SMTP.
///
/// The suite brings the server, and reads the mails that arrive as a mail program does.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use anymail_core::EmailBackend;
/// use anymail_test_utils::conformance::{HarnessError, SmtpHarness, SmtpTarget, main_smtp};
/// # fn my_backend(_: &SmtpTarget) -> Arc<dyn EmailBackend> { Arc::new(anymail_core::MemoryBackend::new()) }
///
/// struct MyHarness;
///
/// impl SmtpHarness for MyHarness {
///     fn backend(&self, target: &SmtpTarget) -> Result<Arc<dyn EmailBackend>, HarnessError> {
///         Ok(my_backend(target)) // to target.host and target.port, in clear text
///     }
/// }
///
/// fn main() {
///     main_smtp(MyHarness)
/// }
/// ```
pub trait SmtpHarness: Send + Sync + 'static {
    /// Makes the backend, to talk to this server as this user.
    ///
    /// # Errors
    /// Any. The trial that asked for the backend fails with it.
    fn backend(&self, target: &SmtpTarget) -> Result<Arc<dyn EmailBackend>, HarnessError>;

    /// Understands what the ESP takes out of a mail's headers: tags and metadata, for example.
    /// By default there is nothing of the kind.
    ///
    /// The mail has all that MIME and the envelope say; its
    /// [`own_id`](Understood::own_id) is that of its `Message-ID`, which the status must tell.
    fn understand(&self, mail: &mut Understood) {
        let _ = mail;
    }

    /// What is special about the server, and about the backend. By default a mail that it takes
    /// is [`Queued`](Status::Queued), and each mail goes to the recipients of one call.
    fn profile(&self) -> Profile {
        Profile::smtp()
    }
}

/// Where a backend under test is to send by SMTP, and as whom. The server speaks clear text and
/// asks for a login.
///
/// `Debug` shows the secret: it is made up, and looked for in all that the backend prints.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SmtpTarget {
    /// The server's host: an address on loopback.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// The password, made of letters and digits.
    pub secret: String,
    /// The time limit for a reply, and for a connection.
    pub timeout: Duration,
}

/// The same for a backend that makes no calls: one that keeps or prints mails, or hands
/// them to something that takes them all.
///
/// Trials about answers, the network and tokens do not apply here and are not listed.
pub trait LocalHarness: Send + Sync + 'static {
    /// Makes a backend and a way to read the mails that it has taken.
    ///
    /// # Errors
    /// Any. The trial that asked for the backend fails with it.
    fn backend(&self) -> Result<(Arc<dyn EmailBackend>, Mailbox), HarnessError>;

    /// What is special about the backend. By default, nothing.
    fn profile(&self) -> Profile {
        Profile::default()
    }
}

/// Reads the mails that a [`LocalHarness`]'s backend has taken so far.
pub type Mailbox = Box<dyn Fn() -> Result<Vec<Understood>, HarnessError> + Send + Sync>;

/// Where a backend under test is to send, and with what.
///
/// `Debug` shows the secret: it is made up, and looked for in all that the backend prints.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Target {
    /// The base URL of the ESP's API, without a slash at its end.
    pub url: String,
    /// The token, key or password, made of letters and digits. An ESP that wants a certain
    /// form or several of them gets texts that contain this one.
    pub secret: String,
    /// The time limit for one call.
    pub timeout: Duration,
}

/// How an ESP knows who calls: where it looks for the secret, and what must stand there.
///
/// ```
/// use anymail_test_utils::conformance::Credentials;
///
/// let credentials = Credentials::basic("api", "s3cret");
/// let Credentials::Header { name, value } = credentials else { unreachable!() };
/// assert_eq!((name, &*value), ("authorization", "Basic YXBpOnMzY3JldA=="));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// In this header, with this whole value.
    Header {
        /// The header's name.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// Somewhere in the body.
    Body,
    /// Nowhere: requests are signed with it.
    Signature,
}

impl Credentials {
    /// A header of the ESP's own.
    pub fn header(name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        Self::Header { name, value }
    }

    /// `Authorization: Bearer <secret>`.
    pub fn bearer(secret: &str) -> Self {
        Self::header("authorization", format!("Bearer {secret}"))
    }

    /// HTTP's basic authentication with this user and password.
    pub fn basic(user: &str, password: &str) -> Self {
        let code = STANDARD.encode(format!("{user}:{password}"));
        Self::header("authorization", format!("Basic {code}"))
    }
}

/// What the ESP shall say of one mail.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Answer {
    /// The mail, as [`Harness::read`] gave it.
    pub mail: Understood,
    /// The id that the ESP gives it.
    pub id: String,
    /// What it says of each recipient, in the order to, cc, bcc.
    pub recipients: Vec<Recipient>,
    /// The words with which it explains a `Failed`, where it has a place for words.
    pub words: String,
}

impl Answer {
    /// What the ESP says of the mail as a whole; `None` where recipients fare differently.
    pub fn status(&self) -> Option<Status> {
        let mut statuses = self.recipients.iter().map(|recipient| recipient.status);
        let first = statuses.next()?;
        statuses.all(|status| status == first).then_some(first)
    }
}

/// What the ESP shall say of one recipient.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Recipient {
    /// The recipient, as read.
    pub address: Address,
    /// `Sent` or `Queued`: taken. `Invalid`: no such address. `Rejected`: on the ESP's list of
    /// those it does not send to. `Failed`: the mail was not taken, for another reason.
    pub status: Status,
    /// The recipient's own id, for [`MessageIds::PerRecipient`](super::MessageIds::PerRecipient).
    pub id: String,
}

/// Why the ESP takes nothing of a request.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Trouble {
    /// The reason.
    pub kind: TroubleKind,
    /// The HTTP status that most ESPs give: 401, 422, 429, 500 or 503. Take another if your
    /// ESP does.
    pub http_status: u16,
    /// The words to put into the error body.
    pub words: String,
}

/// The reasons for which an ESP takes nothing of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TroubleKind {
    /// The token is not known.
    BadToken,
    /// The request asks for what the ESP does not do.
    Refused,
    /// Too many requests. The suite adds the `Retry-After` header.
    RateLimited,
    /// Something broke at the ESP; nobody knows how far it came.
    Crashed,
    /// The ESP is closed for maintenance and takes nothing.
    Unavailable,
}

impl TroubleKind {
    pub(super) fn http_status(self) -> u16 {
        match self {
            Self::BadToken => 401,
            Self::Refused => 422,
            Self::RateLimited => 429,
            Self::Crashed => 500,
            Self::Unavailable => 503,
        }
    }
}

impl fmt::Display for TroubleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadToken => "a bad token",
            Self::Refused => "a request that it refuses",
            Self::RateLimited => "too many requests",
            Self::Crashed => "a crash of its own",
            Self::Unavailable => "maintenance",
        })
    }
}
