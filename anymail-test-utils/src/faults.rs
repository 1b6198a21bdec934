//! [`Fault`]: what goes wrong with a call, in words.
//!
//! How each is done on the wire is in `server.rs`. A connection that is refused is no fault of
//! a call, as no call comes about: see
//! [`LoopbackServer::refuse`](crate::LoopbackServer::refuse).

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode, header};

/// Something that goes wrong with one call to a [`LoopbackServer`](crate::LoopbackServer).
///
/// Each variant says what the client sees. [`handled`](Self::handled) says whether the ESP has
/// the message all the same.
///
/// ```
/// use anymail_test_utils::Fault;
///
/// assert!(!Fault::ResetAfterReading.handled());
/// assert!(Fault::AcceptThenReset.handled());
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Fault {
    /// A new connection is accepted and reset at once, before anything is read. On a
    /// connection that the client has kept open, the same as
    /// [`ResetBeforeReading`](Self::ResetBeforeReading).
    ResetOnAccept,
    /// The connection is reset when the request's head has come, its body unread.
    ResetBeforeReading,
    /// The connection is reset when the first part of the request's body has come. A client
    /// with much to send sees its writing fail.
    ResetWhileReading,
    /// The connection is reset when the whole request has come. The handler does not run.
    ResetAfterReading,
    /// The handler runs; the connection is reset instead of an answer.
    AcceptThenReset,
    /// The handler runs; the connection is closed in good order (FIN), without an answer.
    AcceptThenClose,
    /// The request is read and never answered. The handler does not run.
    Hang,
    /// The handler runs; the answer never comes.
    AcceptThenHang,
    /// The handler runs; its answer comes byte by byte, each after this pause.
    Drip {
        /// How long before each byte.
        interval: Duration,
    },
    /// The handler runs; its answer announces its full length and ends early (FIN).
    CutShort {
        /// How many bytes of the answer's body arrive. From the body's length on, nothing is
        /// cut.
        bytes: usize,
    },
    /// The handler runs; behind its answer come spaces, without an end. A client that takes
    /// [`LoopbackServer::ENDLESS`](crate::LoopbackServer::ENDLESS) bytes of them has no limit of
    /// its own: there the connection breaks.
    Endless,
    /// The handler runs; these bytes come in place of an HTTP answer, then the end (FIN).
    Garbage(Bytes),
    /// This answer instead of the handler's, which does not run: rate limits, a server in
    /// trouble, a balancer's page.
    Status {
        /// The HTTP status. One that does not exist (below 100, say) becomes 500.
        status: u16,
        /// The `Retry-After` header, in whole seconds.
        retry_after: Option<Duration>,
        /// The `Content-Type` header; none if empty.
        content_type: String,
        /// The answer's body.
        body: Bytes,
    },
    /// The handler runs; this answer comes instead of its own.
    Replace(Response<Bytes>),
    /// The handler runs; its answer comes changed.
    Rewrite(fn(Response<Bytes>) -> Response<Bytes>),
}

impl Fault {
    /// Whether the handler runs, that is, whether the ESP has the message.
    pub fn handled(&self) -> bool {
        match self {
            Self::ResetOnAccept
            | Self::ResetBeforeReading
            | Self::ResetWhileReading
            | Self::ResetAfterReading
            | Self::Hang
            | Self::Status { .. } => false,
            Self::AcceptThenReset
            | Self::AcceptThenClose
            | Self::AcceptThenHang
            | Self::Drip { .. }
            | Self::CutShort { .. }
            | Self::Endless
            | Self::Garbage(_)
            | Self::Replace(_)
            | Self::Rewrite(_) => true,
        }
    }

    /// HTTP 429, with `Retry-After` if given, and an empty body.
    pub fn rate_limited(retry_after: Option<Duration>) -> Self {
        Self::Status {
            status: 429,
            retry_after,
            content_type: String::new(),
            body: Bytes::new(),
        }
    }

    /// A status with an empty body: 500, 503, ...
    pub fn status(status: u16) -> Self {
        Self::Status {
            status,
            retry_after: None,
            content_type: String::new(),
            body: Bytes::new(),
        }
    }

    /// A status with an HTML page, as a proxy between client and ESP answers.
    pub fn html_page(status: u16) -> Self {
        Self::Status {
            status,
            retry_after: None,
            content_type: "text/html".to_owned(),
            body: Bytes::from_static(b"<html><body><h1>Bad gateway</h1></body></html>"),
        }
    }

    /// The handler runs; HTTP 200 and nothing else comes.
    pub fn empty() -> Self {
        Self::Replace(Response::new(Bytes::new()))
    }

    /// The handler runs; HTTP 200 comes with a body that is called JSON and is none.
    pub fn not_json() -> Self {
        Self::Rewrite(|mut response| {
            *response.body_mut() = Bytes::from_static(b"{\"Err\xff");
            response.headers_mut().remove(header::CONTENT_LENGTH);
            response
        })
    }

    /// The handler runs; bytes that are no HTTP come back.
    pub fn garbage() -> Self {
        Self::Garbage(Bytes::from_static(b"\x16\x03\x01 this is not HTTP\r\n\r\n"))
    }

    /// The handler runs; the last row of its JSON array is missing. Another answer is left as
    /// it is.
    pub fn row_too_few() -> Self {
        Self::Rewrite(|response| {
            with_rows(response, |rows| {
                rows.pop();
            })
        })
    }

    /// The handler runs; the rows of its JSON array come in reverse. Another answer is left as
    /// it is.
    pub fn rows_reversed() -> Self {
        Self::Rewrite(|response| with_rows(response, |rows| rows.reverse()))
    }

    /// One of each, to try a client on all of them: short pauses, a 429 that asks for a second,
    /// 500, 503 and a 502 page.
    ///
    /// ```
    /// use anymail_test_utils::Fault;
    ///
    /// for fault in Fault::one_of_each() {
    ///     println!("{fault}: handled = {}", fault.handled());
    /// }
    /// ```
    pub fn one_of_each() -> Vec<Self> {
        vec![
            Self::ResetOnAccept,
            Self::ResetBeforeReading,
            Self::ResetWhileReading,
            Self::ResetAfterReading,
            Self::AcceptThenReset,
            Self::AcceptThenClose,
            Self::Hang,
            Self::AcceptThenHang,
            Self::Drip {
                interval: Duration::from_millis(1),
            },
            Self::CutShort { bytes: 10 },
            Self::garbage(),
            Self::rate_limited(Some(Duration::from_secs(1))),
            Self::status(500),
            Self::status(503),
            Self::html_page(502),
            Self::empty(),
            Self::not_json(),
            Self::row_too_few(),
            Self::rows_reversed(),
        ]
    }
}

/// A few words, without bodies: `reset after reading`, `HTTP 429`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ResetOnAccept => "reset on accept",
            Self::ResetBeforeReading => "reset before reading",
            Self::ResetWhileReading => "reset while reading",
            Self::ResetAfterReading => "reset after reading",
            Self::AcceptThenReset => "accepted, then reset",
            Self::AcceptThenClose => "accepted, then closed",
            Self::Hang => "hang",
            Self::AcceptThenHang => "accepted, then hang",
            Self::Drip { interval } => return write!(f, "a byte every {interval:?}"),
            Self::CutShort { bytes } => return write!(f, "cut after {bytes} bytes"),
            Self::Garbage(_) => "garbage",
            Self::Status { status, .. } => return write!(f, "HTTP {status}"),
            Self::Replace(response) => return write!(f, "replaced by {}", response.status()),
            Self::Endless => "an answer without an end",
            Self::Rewrite(_) => "a changed answer",
        })
    }
}

/// The answer that a [`Fault::Status`] stands for.
pub(crate) fn status_response(
    status: u16,
    retry_after: Option<Duration>,
    content_type: &str,
    body: Bytes,
) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Some(pause) = retry_after {
        headers.insert(header::RETRY_AFTER, pause.as_secs().into());
    }
    if let (false, Ok(value)) = (content_type.is_empty(), content_type.parse()) {
        headers.insert(header::CONTENT_TYPE, value);
    }
    response
}

fn with_rows(
    mut response: Response<Bytes>,
    change: impl FnOnce(&mut Vec<serde_json::Value>),
) -> Response<Bytes> {
    let Ok(mut rows) = serde_json::from_slice::<Vec<serde_json::Value>>(response.body()) else {
        return response;
    };
    change(&mut rows);
    if let Ok(body) = serde_json::to_vec(&rows) {
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = body.into();
    }
    response
}
