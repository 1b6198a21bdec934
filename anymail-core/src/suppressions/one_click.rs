//! [`OneClickUnsubscribe`]: the URL in a message's headers, and the handler of requests to it.
//!
//! `token.rs` defines the token in the URL; `page.rs` the page that people see.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER,
};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use time::OffsetDateTime;

use super::page::{self, UnsubscribePage};
use super::store::{SuppressionStore, SuppressionStoreError};
use super::suppression::{Suppression, SuppressionOrigin, SuppressionReason};
use super::token::{Token, TokenError};
use crate::message::{Address, HeaderError, Headers, Message, unsubscribe_headers};
use crate::panics::{caught, caught_in};
use crate::receiving::HmacSha256Keys;

/// One-click unsubscribe (RFC 8058): URLs for message headers, and the handler of these URLs, which
/// records unsubscribes in a store (feature `signatures`).
///
/// Each URL has a token with the address, the [scope](crate::MessageFields::suppression_scope) and
/// the time of issue, signed with HMAC-SHA256. A forged, modified or expired token has no effect.
/// To change the key, put the new one before the old one, and remove the old one when its tokens
/// have expired.
///
/// | request | response |
/// | --- | --- |
/// | `POST` with `List-Unsubscribe=One-Click`, by a mail client or by the button on the page | 200; the address is suppressed |
/// | `GET`, by a person or a link scanner | 200 and a page with a button; nothing changes |
/// | any, with an invalid or expired token | 404 or 410; nothing changes |
/// | any, while the store fails | 503; mail clients may retry |
///
/// With axum, use [`unsubscribe_routes`](crate::unsubscribe_routes). Otherwise pass requests to
/// [`serve`](Self::serve) or [`answer`](Self::answer). The URL contains the address in readable
/// form, so keep it out of logs.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// use anymail_core::{HmacSha256Keys, MemorySuppressionStore, Message, OneClickUnsubscribe};
/// use anymail_core::SuppressionStore;
/// use bytes::Bytes;
/// use http::Request;
///
/// let store = MemorySuppressionStore::new();
/// let keys = HmacSha256Keys::new(["a long random key"])?;
/// let base = "https://app.example.com/anymail/unsubscribe";
/// let one_click = OneClickUnsubscribe::new(store.clone(), base, keys)?;
///
/// let mut message = Message::builder()
///     .to("ann@example.com, bob@example.com")
///     .suppression_scope("news")
///     .build()?;
/// one_click.add_headers(&mut message)?;
///
/// let ann = message.to.items()[0].clone();
/// let own = message.merge_headers.value().and_then(|all| all.get(&ann)).ok_or("no headers")?;
/// let url = own.get("List-Unsubscribe").ok_or("no header")?.trim_matches(['<', '>']);
///
/// // What a mail client does:
/// let request = Request::post(url).body(Bytes::from("List-Unsubscribe=One-Click"))?;
/// assert_eq!(one_click.answer(&request).await.status(), 200);
/// assert_eq!(store.look_up(&[ann.key()]).await?[0].scope.as_deref(), Some("news"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct OneClickUnsubscribe(Arc<Parts>);

#[derive(Clone)]
struct Parts {
    store: Arc<dyn SuppressionStore>,
    base: String,
    keys: HmacSha256Keys,
    max_age: Duration,
    page: Arc<PageWriter>,
}

type PageWriter = dyn Fn(&UnsubscribePage<'_>) -> String + Send + Sync;

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// More than any mail client sends.
const MAX_BODY: usize = 64 * 1024;

impl OneClickUnsubscribe {
    /// Creates URLs under `base`, an https URL without a query, for example
    /// `https://app.example.com/anymail/unsubscribe`.
    ///
    /// # Errors
    /// [`UnsubscribeUrlError`] if mail clients would not post to the URL, or if its path contains
    /// anything but unreserved characters (RFC 3986).
    pub fn new(
        store: impl SuppressionStore + 'static,
        base: &str,
        keys: HmacSha256Keys,
    ) -> Result<Self, UnsubscribeUrlError> {
        let base = base.trim_end_matches('/');
        let unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
        if unsubscribe_headers(base).is_err() || !path_of(base).chars().all(unreserved) {
            return Err(UnsubscribeUrlError(crate::message::excerpt(base)));
        }
        Ok(Self(Arc::new(Parts {
            store: Arc::new(store),
            base: base.to_owned(),
            keys,
            max_age: YEAR,
            page: Arc::new(page::plain),
        })))
    }

    /// Sets the maximum age of a token, 365 days by default. Several countries require that an
    /// unsubscribe link works for some time after the message (30 days in the USA, 60 in Canada).
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        Arc::make_mut(&mut self.0).max_age = age;
        self
    }

    /// Sets a function that writes the pages, as HTML, with the app's own text and design.
    ///
    /// The pages may contain inline styles but no scripts (see the response's
    /// `Content-Security-Policy`). If `page` panics, this is logged, and the default page is shown.
    #[must_use]
    pub fn pages(
        mut self,
        page: impl Fn(&UnsubscribePage<'_>) -> String + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.0).page = Arc::new(page);
        self
    }

    /// Returns the URL with which `address` unsubscribes from a scope, or from all messages.
    pub fn url(&self, address: &Address, scope: Option<&str>) -> String {
        let token = Token::new(address, scope, OffsetDateTime::now_utc());
        format!("{}/{}", self.0.base, token.sign(&self.0.keys))
    }

    /// The path of the URLs without the token, for example `/anymail/unsubscribe`.
    pub fn path(&self) -> &str {
        path_of(&self.0.base)
    }

    /// Adds the headers `List-Unsubscribe` and `List-Unsubscribe-Post`, with a separate URL for
    /// each recipient in `to` and with the message's scope.
    ///
    /// A message to a single recipient gets them in `headers`. Any other message gets them in
    /// `merge_headers`, and so becomes a batch. Recipients that already have a `List-Unsubscribe`
    /// header keep it. Recipients in `cc` and `bcc` see the URL of the recipient in `to`.
    ///
    /// # Errors
    /// [`HeaderError`] if a header cannot be set.
    pub fn add_headers(&self, message: &mut Message) -> Result<(), HeaderError> {
        let scope = message.suppression_scope.value().cloned();
        let alone = message.recipients().count() == 1 && !message.is_batch();
        for recipient in message.to.items().to_vec() {
            let url = self.url(&recipient, scope.as_deref());
            if alone {
                insert(message.headers.value_or_default(), &url)?;
            } else {
                let all = message.merge_headers.value_or_default();
                insert(all.value_or_default(recipient.email()), &url)?;
            }
        }
        Ok(())
    }

    /// Answers a request whose body has not been read. Reads at most 64 KiB.
    pub async fn serve<B>(&self, request: Request<B>) -> Response<Bytes>
    where
        B: Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        match Limited::new(body, MAX_BODY).collect().await {
            Ok(body) => {
                let request = Request::from_parts(head, body.to_bytes());
                self.answer(&request).await
            }
            Err(_) => self.respond(StatusCode::BAD_REQUEST, &UnsubscribePage::Invalid),
        }
    }

    /// Answers a request. The token is the last part of its path.
    pub async fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let mut response = self.answer_with_body(request).await;
        if request.method() == Method::HEAD {
            response.body_mut().clear();
        }
        response
    }

    async fn answer_with_body(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let text = request.uri().path().trim_end_matches('/');
        let text = text.rsplit('/').next().unwrap_or_default();
        let now = OffsetDateTime::now_utc();
        let token = match Token::read(text, &self.0.keys, self.0.max_age, now) {
            Ok(token) => token,
            Err(error) => {
                tracing::debug!(%error, "refused an invalid unsubscribe URL");
                return match error {
                    TokenError::Invalid => {
                        self.respond(StatusCode::NOT_FOUND, &UnsubscribePage::Invalid)
                    }
                    TokenError::Expired => {
                        self.respond(StatusCode::GONE, &UnsubscribePage::Expired)
                    }
                };
            }
        };
        let (address, scope) = (&token.address, token.scope.as_deref());
        let confirm = UnsubscribePage::Confirm { address, scope };
        match *request.method() {
            Method::GET | Method::HEAD => self.respond(StatusCode::OK, &confirm),
            Method::POST if is_one_click(request.body()) => self.unsubscribe(&token, now).await,
            Method::POST => self.respond(StatusCode::BAD_REQUEST, &confirm),
            _ => {
                let mut response = self.respond(StatusCode::METHOD_NOT_ALLOWED, &confirm);
                let methods = HeaderValue::from_static("GET, HEAD, POST");
                response.headers_mut().insert(ALLOW, methods);
                response
            }
        }
    }

    async fn unsubscribe(&self, token: &Token, now: OffsetDateTime) -> Response<Bytes> {
        let reason = SuppressionReason::Unsubscribe;
        let mut left = Suppression::of_key(token.address.clone(), reason, now)
            .with_origin(SuppressionOrigin::new("one_click"));
        left.scope.clone_from(&token.scope);
        let (address, scope) = (&token.address, token.scope.as_deref());
        let suppressions = [left];
        let added = caught(self.0.store.add(&suppressions)).await;
        // The panic's message may contain the address, so it is left to the program's panic hook.
        let panicked = |_| Err(SuppressionStoreError::from("the store panicked"));
        match added.unwrap_or_else(panicked) {
            Ok(()) => {
                tracing::info!(scope, "a recipient unsubscribed with one click");
                self.respond(StatusCode::OK, &UnsubscribePage::Done { address, scope })
            }
            Err(error) => {
                tracing::error!(scope, %error, "could not store an unsubscribe");
                let status = StatusCode::SERVICE_UNAVAILABLE;
                let mut response = self.respond(status, &UnsubscribePage::Failed);
                let wait = HeaderValue::from_static("60");
                response.headers_mut().insert(RETRY_AFTER, wait);
                response
            }
        }
    }

    /// Never a redirect: mail clients do not follow it (RFC 8058, 3.1).
    fn respond(&self, status: StatusCode, page: &UnsubscribePage<'_>) -> Response<Bytes> {
        let html = caught_in(|| (self.0.page)(page)).unwrap_or_else(|_| {
            tracing::error!("the page writer of unsubscribe URLs panicked");
            page::plain(page)
        });
        let mut response = Response::new(Bytes::from(html));
        *response.status_mut() = status;
        let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";
        for (name, value) in [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
            (REFERRER_POLICY, "no-referrer"),
            (CONTENT_SECURITY_POLICY, policy),
            (HeaderName::from_static("x-robots-tag"), "noindex"),
        ] {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl fmt::Debug for OneClickUnsubscribe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneClickUnsubscribe")
            .field("base", &self.0.base)
            .field("keys", &self.0.keys)
            .field("max_age", &self.0.max_age)
            .field("store", &self.0.store)
            .finish_non_exhaustive()
    }
}

/// The error for a URL that cannot be the base of unsubscribe URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsubscribeUrlError(String);

impl fmt::Display for UnsubscribeUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a valid base for unsubscribe URLs: expected an https URL whose path has \
             only letters, digits and \"-._~/\"",
            self.0
        )
    }
}

impl Error for UnsubscribeUrlError {}

fn path_of(base: &str) -> &str {
    let rest = base.strip_prefix("https://").unwrap_or_default();
    rest.find('/')
        .and_then(|at| rest.get(at..))
        .unwrap_or_default()
}

fn insert(headers: &mut Headers, url: &str) -> Result<(), HeaderError> {
    if headers.get("List-Unsubscribe").is_none() {
        for (name, value) in unsubscribe_headers(url).into_iter().flatten() {
            headers.insert(name, &value)?;
        }
    }
    Ok(())
}

/// Whether a form contains `List-Unsubscribe=One-Click`. Mail clients use either of two encodings
/// (RFC 8058, 3.1); name and value look the same in both.
fn is_one_click(body: &[u8]) -> bool {
    let body = String::from_utf8_lossy(body);
    let value = body.split_once("List-Unsubscribe");
    value.is_some_and(|(_, rest)| rest.contains("One-Click"))
}
