//! [`Harness`]: the ESP's side of the wire, which the backend's author describes.
//!
//! The topics next to this module use it; `understood.rs` defines the messages that are read and
//! compared.

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

/// Any error in a harness. The suite prints it.
pub type HarnessError = Box<dyn std::error::Error + Send + Sync>;

/// Describes an ESP with an HTTP API, and creates the backend for it.
///
/// A harness implements the ESP's side of the wire: it creates the backend, reads its requests, and
/// writes the ESP's responses. Write it from the ESP's documentation, not from your backend,
/// because two implementations that share a mistake agree with each other.
///
/// The suite provides the server, the messages, the faults and the assertions. It calls a harness
/// from several threads concurrently.
///
/// [Writing a backend](crate::guide::writing_a_backend#5-describe-the-esp-to-the-suite) shows a
/// complete harness.
pub trait Harness: Send + Sync + 'static {
    /// Creates the backend, which must use this server and this secret.
    ///
    /// # Errors
    /// Can return any error. The trial that needs the backend then fails with it.
    fn backend(&self, target: &Target) -> Result<Arc<dyn EmailBackend>, HarnessError>;

    /// Reads a request as the ESP would: returns each message that the ESP would send, with
    /// everything that the ESP understood. A request that sends nothing (such as one for an access
    /// token) returns an empty list.
    ///
    /// # Errors
    /// Can return any error for a request that the ESP would not understand. The trial then fails
    /// with it.
    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Understood>, HarnessError>;

    /// Writes the ESP's response to a request, with one [`Report`] for each message that
    /// [`read`](Self::read) returned, in the same order.
    ///
    /// Returns `None` if this ESP cannot report such a result in a response. The suite then skips
    /// the trial with that reason. It must be able to report ordinary success.
    fn response(&self, request: &Request<Bytes>, reports: &[Report]) -> Option<Response<Bytes>>;

    /// Writes the ESP's response when a whole request fails: its usual error body, with
    /// [`Failure::error_message`].
    fn error_response(&self, failure: &Failure) -> Response<Bytes>;

    /// Returns where the ESP looks for [`Target::secret`], and what it expects there.
    fn credentials(&self, secret: &str) -> Credentials;

    /// Describes what is special about the ESP. The default is nothing.
    fn profile(&self) -> Profile {
        Profile::default()
    }

    /// Returns the backend's webhooks, created with this authentication, each with posts as the ESP
    /// makes them and the events that they contain.
    ///
    /// Events about a sent message are about the message `sent`: they contain its ID as the ESP
    /// writes it, its first recipient and its metadata. By default, there are no webhooks.
    fn webhooks(&self, auth: WebhookAuth, sent: &Report) -> Vec<Posts> {
        let _ = (auth, sent);
        Vec::new()
    }

    /// Returns how the ESP signs its posts to the [`webhooks`](Self::webhooks). By default, it does
    /// not sign.
    fn signer(&self) -> Option<Arc<dyn Signer>> {
        None
    }
}

/// Describes a backend that sends over SMTP.
///
/// The suite provides the server and parses the messages that arrive as a mail client does.
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
    /// Creates the backend, which must use this server and this user.
    ///
    /// # Errors
    /// Can return any error. The trial that needs the backend then fails with it.
    fn backend(&self, target: &SmtpTarget) -> Result<Arc<dyn EmailBackend>, HarnessError>;

    /// Reads what the ESP takes from a message's headers, such as tags and metadata. By default,
    /// nothing.
    ///
    /// The message already contains everything from MIME and the envelope. Its
    /// [`own_id`](Understood::own_id) is the one of its `Message-ID`, which the status must report.
    fn understand(&self, mail: &mut Understood) {
        let _ = mail;
    }

    /// Describes what is special about the server and the backend. By default, an accepted message
    /// is [`Queued`](Status::Queued), and a call contains one recipient of a batch.
    fn profile(&self) -> Profile {
        Profile::smtp()
    }
}

/// The server and the login for a backend under test that sends over SMTP.
///
/// The server uses clear text and requires a login. `Debug` shows the secret, because it is made
/// up, and the suite searches the backend's output for it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SmtpTarget {
    /// The server's host, a loopback address.
    pub host: String,
    /// The server's port.
    pub port: u16,
    /// The user name.
    pub user: String,
    /// The password, which consists of letters and digits.
    pub secret: String,
    /// The time limit for a reply, and for establishing a connection.
    pub timeout: Duration,
}

/// Describes a backend that makes no calls, because it keeps, prints or forwards messages to
/// something that accepts all of them.
///
/// Trials about responses, the network and tokens do not apply and are not listed.
pub trait LocalHarness: Send + Sync + 'static {
    /// Creates a backend and a way to read the messages that it has taken.
    ///
    /// # Errors
    /// Can return any error. The trial that needs the backend then fails with it.
    fn backend(&self) -> Result<(Arc<dyn EmailBackend>, Mailbox), HarnessError>;

    /// Describes what is special about the backend. The default is nothing.
    fn profile(&self) -> Profile {
        Profile::default()
    }
}

/// Reads the messages that a [`LocalHarness`]'s backend has taken so far.
pub type Mailbox = Box<dyn Fn() -> Result<Vec<Understood>, HarnessError> + Send + Sync>;

/// The server and the secret for a backend under test.
///
/// `Debug` shows the secret, because it is made up, and the suite searches the backend's output for
/// it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Target {
    /// The base URL of the ESP's API, without a trailing slash.
    pub url: String,
    /// The token, key or password, which consists of letters and digits. If the ESP requires a
    /// certain format or several secrets, derive them so that they contain this text.
    pub secret: String,
    /// The time limit for one call.
    pub timeout: Duration,
}

/// How an ESP authenticates a call: where it looks for the secret, and what it expects there.
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
    /// In this header, with exactly this value.
    Header {
        /// The header's name.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// Somewhere in the body.
    Body,
    /// Nowhere, because requests are signed with it.
    Signature,
}

impl Credentials {
    /// The credentials are in a custom header.
    pub fn header(name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        Self::Header { name, value }
    }

    /// The credentials are in `Authorization: Bearer <secret>`.
    pub fn bearer(secret: &str) -> Self {
        Self::header("authorization", format!("Bearer {secret}"))
    }

    /// The credentials are in HTTP basic authentication with this user and password.
    pub fn basic(user: &str, password: &str) -> Self {
        let code = STANDARD.encode(format!("{user}:{password}"));
        Self::header("authorization", format!("Basic {code}"))
    }
}

/// What the ESP must report about one message.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// The message, as [`Harness::read`] returned it.
    pub message: Understood,
    /// The ID that the ESP assigns.
    pub id: String,
    /// What it reports about each recipient, in the order to, cc, bcc.
    pub recipients: Vec<Recipient>,
    /// The error message for a `Failed`, if the ESP has a place for one.
    pub error_message: String,
}

impl Report {
    /// Returns what the ESP reports about the message as a whole; `None` if recipients have
    /// different statuses.
    pub fn status(&self) -> Option<Status> {
        let mut statuses = self.recipients.iter().map(|recipient| recipient.status);
        let first = statuses.next()?;
        statuses.all(|status| status == first).then_some(first)
    }
}

/// What the ESP must report about one recipient.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Recipient {
    /// The recipient, as it was read.
    pub address: Address,
    /// `Sent` or `Queued`: accepted. `Invalid`: no such address. `Rejected`: suppressed by the ESP.
    /// `Failed`: not accepted for another reason.
    pub status: Status,
    /// The recipient's own ID, for [`MessageIds::PerRecipient`](super::MessageIds::PerRecipient).
    pub id: String,
}

/// The failure that the ESP must report for a whole request.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Failure {
    /// Why the request failed.
    pub kind: FailureKind,
    /// The HTTP status that most ESPs use: 401, 422, 429, 500 or 503. Use another one if your ESP
    /// does.
    pub http_status: u16,
    /// The error message to put into the body.
    pub error_message: String,
}

/// The reasons for which an ESP fails a whole request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// The token is unknown.
    BadToken,
    /// The request asks for something that the ESP does not do.
    Refused,
    /// Too many requests. The suite adds the `Retry-After` header.
    RateLimited,
    /// An internal error at the ESP; it is unknown how far it got.
    Crashed,
    /// The ESP is down for maintenance and accepts nothing.
    Unavailable,
}

impl FailureKind {
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

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadToken => "a bad token",
            Self::Refused => "a refused request",
            Self::RateLimited => "too many requests",
            Self::Crashed => "an internal error",
            Self::Unavailable => "maintenance",
        })
    }
}
