//! [`Fault`]: the faults that can occur in a call.
//!
//! `server.rs` implements them. A refused connection is not a fault of a call, because no call
//! takes place: see [`LoopbackServer::refuse`](crate::LoopbackServer::refuse).

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode, header};

/// A fault in one call to a [`LoopbackServer`](crate::LoopbackServer).
///
/// Each variant describes what the client sees. [`handled`](Self::handled) returns whether the ESP
/// accepted the message anyway.
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
    /// A new connection is accepted and reset immediately, before anything is read. On a connection
    /// that the client has kept open, this is the same as
    /// [`ResetBeforeReading`](Self::ResetBeforeReading).
    ResetOnAccept,
    /// The connection is reset when the head of the request has arrived, before the body is read.
    ResetBeforeReading,
    /// The connection is reset when the first part of the request's body has arrived. A client that
    /// sends a large body gets a write error.
    ResetWhileReading,
    /// The connection is reset when the whole request has arrived. The handler does not run.
    ResetAfterReading,
    /// The handler runs, and the connection is reset instead of a response.
    AcceptThenReset,
    /// The handler runs, and the connection is closed normally (FIN) without a response.
    AcceptThenClose,
    /// The request is read, but there is no response. The handler does not run.
    Hang,
    /// The handler runs, but there is no response.
    AcceptThenHang,
    /// The handler runs, and its response arrives byte by byte.
    Drip {
        /// The pause before each byte.
        interval: Duration,
    },
    /// The handler runs, and its response announces its full length but ends early (FIN).
    CutShort {
        /// The number of bytes of the response's body that arrive. If it is at least the body's
        /// length, nothing is cut.
        bytes: usize,
    },
    /// The handler runs, and its response is followed by endless spaces. The connection breaks
    /// after [`LoopbackServer::ENDLESS`](crate::LoopbackServer::ENDLESS) bytes; a client that reads
    /// all of them has no limit of its own.
    Endless,
    /// The handler runs, and these bytes are sent instead of an HTTP response, followed by FIN.
    Garbage(Bytes),
    /// This response is sent instead of the handler's, which does not run: a rate limit, a server
    /// error, or a load balancer's page.
    Status {
        /// The HTTP status. An invalid one (such as one below 100) becomes 500.
        status: u16,
        /// The `Retry-After` header, in whole seconds.
        retry_after: Option<Duration>,
        /// The `Content-Type` header; no header if empty.
        content_type: String,
        /// The body of the response.
        body: Bytes,
    },
    /// The handler runs, and this response is sent instead of its own.
    Replace(Response<Bytes>),
    /// The handler runs, and its response is changed.
    Rewrite(fn(Response<Bytes>) -> Response<Bytes>),
}

impl Fault {
    /// Whether the handler runs, that is, whether the ESP accepts the message.
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

    /// Creates an HTTP 429 with an optional `Retry-After` header and an empty body.
    pub fn rate_limited(retry_after: Option<Duration>) -> Self {
        Self::Status {
            status: 429,
            retry_after,
            content_type: String::new(),
            body: Bytes::new(),
        }
    }

    /// Creates a response with this status and an empty body.
    pub fn status(status: u16) -> Self {
        Self::Status {
            status,
            retry_after: None,
            content_type: String::new(),
            body: Bytes::new(),
        }
    }

    /// Creates a response with this status and an HTML page, as from a proxy between client and
    /// ESP.
    pub fn html_page(status: u16) -> Self {
        Self::Status {
            status,
            retry_after: None,
            content_type: "text/html".to_owned(),
            body: Bytes::from_static(b"<html><body><h1>Bad gateway</h1></body></html>"),
        }
    }

    /// Creates a fault that runs the handler and responds with HTTP 200 and an empty body.
    pub fn empty() -> Self {
        Self::Replace(Response::new(Bytes::new()))
    }

    /// Creates a fault that runs the handler and responds with HTTP 200 and a body that claims to
    /// be JSON but is not.
    pub fn not_json() -> Self {
        Self::Rewrite(|mut response| {
            *response.body_mut() = Bytes::from_static(b"{\"Err\xff");
            response.headers_mut().remove(header::CONTENT_LENGTH);
            response
        })
    }

    /// Creates a fault that runs the handler and sends bytes that are not HTTP.
    pub fn garbage() -> Self {
        Self::Garbage(Bytes::from_static(b"\x16\x03\x01 this is not HTTP\r\n\r\n"))
    }

    /// Creates a fault that runs the handler and removes the last row of its JSON array. Other
    /// responses are not changed.
    pub fn row_too_few() -> Self {
        Self::Rewrite(|response| {
            with_rows(response, |rows| {
                rows.pop();
            })
        })
    }

    /// Creates a fault that runs the handler and reverses the rows of its JSON array. Other
    /// responses are not changed.
    pub fn rows_reversed() -> Self {
        Self::Rewrite(|response| with_rows(response, |rows| rows.reverse()))
    }

    /// Returns one fault of each kind, to test a client with all of them: with short pauses, a 429
    /// with a `Retry-After` of one second, 500, 503, and a page with 502.
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

/// Writes a short description without bodies, such as `reset after reading` or `HTTP 429`.
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

/// Creates the response for a [`Fault::Status`].
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
