//! [`Webhook`], which turns an ESP's requests into events, and [`WebhookError`].
//!
//! Each backend interprets its payloads; `serve.rs` receives requests and answers them.

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
    /// News about sent messages.
    Tracking,
    /// Inbound messages.
    Inbound,
}

impl WebhookKind {
    /// The name, `tracking` or `inbound`. It is the last part of a webhook's URL unless
    /// [`Webhook::url_name`] returns another one.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tracking => "tracking",
            Self::Inbound => "inbound",
        }
    }

    /// The default maximum size of a body: 1 MiB for tracking, 50 MiB for inbound.
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

/// A webhook of one ESP, which turns requests into events.
///
/// Apps call [`parse`](Self::parse), or [`serve_webhook`](crate::serve_webhook), or use the routes
/// for their web framework. It is synchronous and does no I/O.
///
/// A backend implements the other methods. Before core calls [`read`](Self::read), it has checked
/// [`auth`](Self::auth), the method and the size of the body, so no webhook has to and none can
/// forget it.
pub trait Webhook: fmt::Debug + Send + Sync {
    /// The ESP's name, in lower case. It is part of the URL and of every event.
    fn esp(&self) -> &str;

    /// What the webhook is for.
    fn kind(&self) -> WebhookKind;

    /// The last part of the URL. By default the kind's name; some ESPs post raw messages only to
    /// URLs that end in a certain word. May contain only letters, digits, `-`, `_` and `.`.
    fn url_name(&self) -> &str {
        self.kind().as_str()
    }

    /// How requests are authenticated. There is no default: whatever creates the webhook must
    /// require it as an argument.
    fn auth(&self) -> &WebhookAuth;

    /// Turns a request into events. The request is authenticated, is a `POST`, and is within the
    /// size limit.
    ///
    /// The implementation must guarantee that any bytes yield events or an error, in time and
    /// memory proportional to their number, and never a panic; that missing, null or unknown values
    /// are not an error; and that an error quotes nothing of the body.
    ///
    /// # Errors
    /// [`WebhookError`] if the request cannot be read as any event.
    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Event>, WebhookError>;

    /// The maximum size of a body, in bytes.
    fn body_limit(&self) -> usize {
        self.kind().default_body_limit()
    }

    /// The status of the response to a request that caused this error. Override it if the ESP
    /// interprets a status differently from what [`WebhookErrorKind::status`] assumes.
    fn status(&self, error: WebhookErrorKind) -> StatusCode {
        error.status()
    }

    /// The guard that remembers handled events, if any. An ESP's webhook has none: an app adds it
    /// with [`handled_once`](crate::handled_once).
    fn replay_guard(&self) -> Option<&dyn ReplayGuard> {
        None
    }

    /// Parses a request. Checks basic authentication first, then the method, the size, the
    /// signature, and the body.
    ///
    /// Do not override it: [`serve_webhook`](crate::serve_webhook) and the routes for web
    /// frameworks perform the same steps even if you do.
    ///
    /// # Errors
    /// [`WebhookError`]. [`status`](Self::status) is the status of the response.
    fn parse(&self, request: &Request<Bytes>) -> Result<Vec<Event>, WebhookError> {
        parse(self, request)
    }
}

macro_rules! forward {
    ($wrapper:ident) => {
        // A wrapper that forgot a method would use another webhook's limit or status.
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

/// Parses a request, even if a webhook overrides [`Webhook::parse`]. Nothing unauthenticated is
/// parsed.
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

/// Checks the headers, to decide whether to read the body.
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

/// The kinds of [`WebhookError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WebhookErrorKind {
    /// The request is not authenticated: there is no `Authorization` header or no signature.
    NoSecret,
    /// The password or the signature's key is not valid, or the signature is too old. The error
    /// says which, for the log; the response does not.
    WrongSecret,
    /// The payload belongs to the same ESP's other webhook: the URLs are mixed up.
    WrongWebhook,
    /// The body is not in the ESP's format, for example not JSON.
    MalformedBody,
    /// The body is in the ESP's format, but is not a payload of this ESP.
    WrongShape,
    /// The body is larger than [`Webhook::body_limit`].
    TooLarge,
    /// The method is not `POST`.
    WrongMethod,
    /// The `Content-Type` is not that of the ESP's payloads.
    WrongContentType,
}

impl WebhookErrorKind {
    /// The HTTP status that makes most ESPs do the right thing.
    ///
    /// Most ESPs treat a 4xx as final and post again after a 5xx. So an event that somebody can
    /// still rescue by fixing the configuration gets a 5xx, and one that no retry can fix gets the
    /// 4xx that describes the problem. 403 is not used, because some ESPs stop after a 403 but
    /// retry after another 4xx.
    ///
    /// | kind | status | reason |
    /// | --- | --- | --- |
    /// | `NoSecret` | 401 | a stranger, or a webhook whose setup was never finished |
    /// | `WrongSecret` | 503 | a secret that was changed on one side only, or a wrong clock: the event should be posted again |
    /// | `WrongWebhook` | 501 | two URLs are mixed up: the event should be posted again |
    /// | `MalformedBody` | 400 | it would be malformed the next time, too |
    /// | `WrongShape` | 422 | likewise |
    /// | `TooLarge` | 413 | likewise |
    /// | `WrongMethod` | 405 | no ESP does this |
    /// | `WrongContentType` | 415 | likewise |
    ///
    /// If a handler fails, the status is 500, so that the event is posted again.
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

/// The error of parsing a webhook request.
///
/// It contains nothing of the body and no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookError {
    esp: String,
    webhook: WebhookKind,
    kind: WebhookErrorKind,
    detail: String,
}

impl WebhookError {
    /// Creates an error of a webhook. The detail says what is wrong and what to do, and must not
    /// quote the body. It is sent to the client if the request was authenticated.
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

    /// The kind of error.
    pub fn kind(&self) -> WebhookErrorKind {
        self.kind
    }

    /// The body of the response: what is wrong, for the person who investigates it. Empty if the
    /// request was not authenticated.
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
