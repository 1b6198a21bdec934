//! [`Webhook`], which turns an ESP's request into events, and [`WebhookError`].
//!
//! What the payload means is each backend's business; how a request gets here and its answer
//! back is told in `serve.rs`.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};

use super::auth::{Refusal, WebhookAuth};
use super::event::Event;
use super::replay::ReplayGuard;
use super::signature::SignatureError;

/// What a webhook is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WebhookKind {
    /// News of mail that was sent.
    Tracking,
    /// Mail that came in.
    Inbound,
}

impl WebhookKind {
    /// The name, `tracking` or `inbound`: the last part of a webhook's URL, unless
    /// [`Webhook::url_name`] says otherwise.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tracking => "tracking",
            Self::Inbound => "inbound",
        }
    }

    /// How many bytes a body may have unless the webhook says otherwise: 1 MiB for tracking,
    /// 50 MiB for inbound.
    pub fn default_body_limit(self) -> usize {
        match self {
            Self::Tracking => 1 << 20,
            Self::Inbound => 50 << 20,
        }
    }
}

impl fmt::Display for WebhookKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One webhook of one ESP: reads its requests.
///
/// Apps call [`parse`](Self::parse), or let [`serve_webhook`](crate::serve_webhook) do it, or
/// mount the routes for their web framework. It is synchronous and does no input or output.
///
/// A backend implements the rest. Before [`read`](Self::read) is called, core has checked
/// [`auth`](Self::auth), the method and the body's length; no webhook repeats that, and none can
/// forget it.
pub trait Webhook: fmt::Debug + Send + Sync {
    /// The ESP's name, in lower case; it stands in the URL and on every event.
    fn esp(&self) -> &str;

    /// What the webhook is for.
    fn kind(&self) -> WebhookKind;

    /// The last part of its URL: the kind's name, unless the ESP wants another. (Some post raw
    /// mails only to URLs that end in a certain word.) Letters, digits, `-`, `_` and `.` only.
    fn url_name(&self) -> &str {
        self.kind().as_str()
    }

    /// Who may post to it. Must be asked for by whatever makes the webhook: there is no
    /// default.
    fn auth(&self) -> &WebhookAuth;

    /// Turns a request into events. It is authenticated, a `POST`, and within the limit.
    ///
    /// An implementer guarantees: any bytes give events or an error, in time and memory in
    /// proportion to their number, and never a panic; what is missing, null or of an unheard-of
    /// kind is no error; an error quotes nothing of the body.
    ///
    /// # Errors
    /// [`WebhookError`] for what cannot be read as any event at all.
    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Event>, WebhookError>;

    /// The most bytes that a body may have.
    fn body_limit(&self) -> usize {
        self.kind().default_body_limit()
    }

    /// What to answer to a request that gave this error. To be overridden where the ESP takes
    /// a status for something else than [`WebhookErrorKind::status`] assumes.
    fn status(&self, error: WebhookErrorKind) -> StatusCode {
        error.status()
    }

    /// The memory of handled events, if there is one. An ESP's webhook has none: an app adds it
    /// by [`handled_once`](crate::handled_once).
    fn replay_guard(&self) -> Option<&dyn ReplayGuard> {
        None
    }

    /// Reads a request: basic authentication first, then the method, the length, the signature,
    /// and the body.
    ///
    /// Not to be overridden. [`serve_webhook`](crate::serve_webhook) and the routes for web
    /// frameworks go the same way even if it is.
    ///
    /// # Errors
    /// [`WebhookError`]; [`status`](Self::status) says what to answer.
    fn parse(&self, request: &Request<Bytes>) -> Result<Vec<Event>, WebhookError> {
        parse(self, request)
    }
}

macro_rules! forward {
    ($wrapper:ident) => {
        // A wrapper that forgot one would answer with another webhook's limit or status.
        #[deny(clippy::missing_trait_methods)]
        impl<W: Webhook + ?Sized> Webhook for $wrapper<W> {
            fn esp(&self) -> &str {
                (**self).esp()
            }

            fn kind(&self) -> WebhookKind {
                (**self).kind()
            }

            fn url_name(&self) -> &str {
                (**self).url_name()
            }

            fn auth(&self) -> &WebhookAuth {
                (**self).auth()
            }

            fn read(&self, request: &Request<Bytes>) -> Result<Vec<Event>, WebhookError> {
                (**self).read(request)
            }

            fn body_limit(&self) -> usize {
                (**self).body_limit()
            }

            fn status(&self, error: WebhookErrorKind) -> StatusCode {
                (**self).status(error)
            }

            fn replay_guard(&self) -> Option<&dyn ReplayGuard> {
                (**self).replay_guard()
            }

            fn parse(&self, request: &Request<Bytes>) -> Result<Vec<Event>, WebhookError> {
                (**self).parse(request)
            }
        }
    };
}

forward!(Arc);
forward!(Box);

/// Reads a request, whatever a webhook makes of [`Webhook::parse`]: nothing is read of it that
/// is not authenticated.
pub(super) fn parse<W: Webhook + ?Sized>(
    webhook: &W,
    request: &Request<Bytes>,
) -> Result<Vec<Event>, WebhookError> {
    admit(webhook, request.method(), request.headers())?;
    if request.body().len() > webhook.body_limit() {
        return Err(too_large(webhook));
    }
    let verified = webhook.auth().verify(request);
    verified.map_err(|refusal| refused(webhook, refusal))?;
    webhook.read(request)
}

/// What can be told before the body is there: whether to read it at all.
pub(super) fn admit<W: Webhook + ?Sized>(
    webhook: &W,
    method: &Method,
    headers: &HeaderMap,
) -> Result<(), WebhookError> {
    let checked = webhook.auth().check(headers);
    checked.map_err(|refusal| refused(webhook, refusal))?;
    if method != Method::POST {
        let detail = format!("expected method POST, got {method}");
        return Err(WebhookError::new(
            webhook,
            WebhookErrorKind::WrongMethod,
            detail,
        ));
    }
    Ok(())
}

fn refused<W: Webhook + ?Sized>(webhook: &W, refusal: Refusal) -> WebhookError {
    let kind = match refusal {
        Refusal::NoSecret | Refusal::Signature(SignatureError::Missing(_)) => {
            WebhookErrorKind::NoSecret
        }
        Refusal::WrongSecret | Refusal::Signature(_) => WebhookErrorKind::WrongSecret,
    };
    let detail = match refusal {
        Refusal::NoSecret => "the request has no `authorization` header".to_owned(),
        Refusal::WrongSecret => "wrong user or password in the `authorization` header".to_owned(),
        Refusal::Signature(error) => format!("invalid webhook signature: {error}"),
    };
    WebhookError::new(webhook, kind, detail)
}

pub(super) fn too_large<W: Webhook + ?Sized>(webhook: &W) -> WebhookError {
    let limit = webhook.body_limit();
    let detail = format!("the body is larger than the limit of {limit} bytes");
    WebhookError::new(webhook, WebhookErrorKind::TooLarge, detail)
}

/// What is wrong with a webhook's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WebhookErrorKind {
    /// The request proves nothing: it has no `Authorization` header, or no signature.
    NoSecret,
    /// The password, or the key of the signature, is none of those that are valid; or the
    /// signature is too old. Which of them it is stands in the error, for the log, and not in
    /// the answer.
    WrongSecret,
    /// The payload is one of the same ESP's other webhook: the URLs are mixed up.
    WrongWebhook,
    /// The body is not in the format that the ESP uses (no JSON, say).
    MalformedBody,
    /// The body is in the right format and can be no payload of this ESP.
    WrongShape,
    /// The body is longer than [`Webhook::body_limit`].
    TooLarge,
    /// The method is not `POST`.
    WrongMethod,
    /// The `Content-Type` is not that of the ESP's payloads.
    WrongContentType,
}

impl WebhookErrorKind {
    /// The HTTP status that makes most ESPs do the right thing.
    ///
    /// Most take a 4xx for a final answer and post again after a 5xx. So an event that a
    /// person can still rescue by mending the configuration gets a 5xx, and what no further
    /// try can mend gets the 4xx that says what it is. 403 is not used: some ESPs give up on
    /// it where they go on after another 4xx.
    ///
    /// | kind | status | because |
    /// | --- | --- | --- |
    /// | `NoSecret` | 401 | a stranger, or a webhook that was never set up to the end |
    /// | `WrongSecret` | 503 | a secret that was changed on one side only, or a wrong clock: the event shall come again |
    /// | `WrongWebhook` | 501 | two URLs that were mixed up: the event shall come again |
    /// | `MalformedBody` | 400 | it would be as malformed the next time |
    /// | `WrongShape` | 422 | likewise |
    /// | `TooLarge` | 413 | likewise |
    /// | `WrongMethod` | 405 | no ESP does that |
    /// | `WrongContentType` | 415 | likewise |
    ///
    /// A handler that fails is a 500, so that the event comes again.
    pub fn status(self) -> StatusCode {
        match self {
            Self::NoSecret => StatusCode::UNAUTHORIZED,
            Self::WrongSecret => StatusCode::SERVICE_UNAVAILABLE,
            Self::WrongWebhook => StatusCode::NOT_IMPLEMENTED,
            Self::MalformedBody => StatusCode::BAD_REQUEST,
            Self::WrongShape => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::WrongContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }
}

/// A request that gave no events: at which webhook, and what is wrong with it.
///
/// Holds nothing of the body and no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookError {
    esp: String,
    webhook: WebhookKind,
    kind: WebhookErrorKind,
    detail: String,
}

impl WebhookError {
    /// An error of a webhook. The detail says what is wrong and what can be done, and quotes
    /// nothing of the body; it is shown to who posted, if they had the secret.
    pub fn new<W: Webhook + ?Sized>(
        webhook: &W,
        kind: WebhookErrorKind,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            esp: webhook.esp().to_owned(),
            webhook: webhook.kind(),
            kind,
            detail: detail.into(),
        }
    }

    /// What is wrong.
    pub fn kind(&self) -> WebhookErrorKind {
        self.kind
    }

    /// The body of the answer: what is wrong, in words, for the person who looks into it. To
    /// who has not shown the secret it says nothing.
    pub fn response_text(&self) -> &str {
        match self.kind {
            WebhookErrorKind::NoSecret | WebhookErrorKind::WrongSecret => "",
            _ => &self.detail,
        }
    }
}

impl std::error::Error for WebhookError {}

impl fmt::Display for WebhookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} webhook: {}", self.esp, self.webhook, self.detail)
    }
}
