//! [`Harness`]: the ESP's side of the wire, which the backend's author describes.
//!
//! What the suite does with it is in the topics beside this module; the mails that are read
//! and compared are in `understood.rs`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anymail_core::{Address, EmailBackend, JsonMap, Status, Webhook, WebhookAuth};
use bytes::Bytes;
use http::{Request, Response};

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

    /// What is special about the ESP. By default, nothing.
    fn profile(&self) -> Profile {
        Profile::default()
    }

    /// The backend's webhooks, made with this authentication, each with requests as the ESP posts
    /// them. By default there are none.
    fn webhooks(&self, auth: WebhookAuth) -> Vec<Posts> {
        let _ = auth;
        Vec::new()
    }

    /// How the ESP signs what it posts to the [`webhooks`](Self::webhooks). By default it does
    /// not.
    fn signer(&self) -> Option<Arc<dyn Signer>> {
        None
    }
}

/// The same for a backend that makes no HTTP calls: one that keeps or prints mails, or hands
/// them to something that takes them all.
///
/// The rules about answers, the network and tokens have nothing to bite on here and are not
/// listed.
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
    /// The recipient's own id, for [`MessageIds::PerRecipient`].
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

/// A webhook, and what the ESP posts to it.
#[derive(Debug, Clone)]
pub struct Posts {
    /// The webhook.
    pub webhook: Arc<dyn Webhook>,
    /// Requests as the ESP makes them, with all their headers but `Authorization` and without
    /// a signature, which the suite adds: each with at least one event, and no event in two of them.
    pub requests: Vec<Request<Bytes>>,
}

/// What a message id of the ESP stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MessageIds {
    /// One mail; its recipients share it.
    #[default]
    PerMail,
    /// One recipient of one mail.
    PerRecipient,
    /// All the mails of one call.
    PerCall,
    /// The ESP's answers have no ids.
    None,
}

/// What is special about an ESP, for the suite: plain data, with defaults that fit most.
///
/// ```
/// use anymail_core::Status;
/// use anymail_test_utils::conformance::Profile;
///
/// let profile = Profile {
///     accepts_as: Status::Queued,
///     known_gaps: vec![("attachments::odd_names_arrive_equal", "it sends ASCII names only")],
///     ..Profile::default()
/// };
/// ```
#[derive(Debug, Clone)]
pub struct Profile {
    /// What the ESP's ordinary yes means: `Sent` (the default) or `Queued`.
    pub accepts_as: Status,
    /// What its message ids stand for. One mail, by default.
    pub message_ids: MessageIds,
    /// What makes the n-th message id, for an ESP whose ids have a form of their own. By
    /// default a UUID.
    pub message_id: fn(u64) -> String,
    /// Whether the answer's body says anything. `false` for an ESP whose HTTP status is the
    /// whole answer. By default `true`.
    pub answers_have_a_body: bool,
    /// A template's name or number that the ESP could have. `welcome` by default.
    pub template_id: String,
    /// For a backend with `esp_extra`: one option of the ESP, or several. What
    /// [`Harness::read`] finds of them goes to [`Understood::extra`].
    pub esp_extra: JsonMap,
    /// Trials that the backend is known to fail, each with the reason. They are run, and one
    /// that passes after all is a failure: take it off the list.
    pub known_gaps: Vec<(&'static str, &'static str)>,
    /// Trials that make no sense for this ESP, each with the reason. They are not run, and the
    /// reason is printed.
    pub skips: Vec<(&'static str, &'static str)>,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            accepts_as: Status::Sent,
            message_ids: MessageIds::default(),
            message_id: |n| format!("{n:08x}-c0de-4bad-8bee-{n:012x}"),
            answers_have_a_body: true,
            template_id: "welcome".to_owned(),
            esp_extra: JsonMap::new(),
            known_gaps: Vec::new(),
            skips: Vec::new(),
        }
    }
}
