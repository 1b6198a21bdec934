//! The HTTP side of the fake: routes and authenticates calls.
//!
//! Each endpoint has its own module; `rules.rs` contains the error messages.

use std::io::Read;

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use serde_json::Value;

use super::rules::{self, ApiError};
use super::state::Fake;
use super::{bounces, bulk, hooks, outbox, sending, server_settings, streams, templates};

/// The token that is always accepted: messages are validated, but nothing is delivered.
pub(super) const TEST_TOKEN: &str = "POSTMARK_API_TEST";

type Endpoint = fn(&Fake, &Call) -> Result<Value, ApiError>;

/// Returns the endpoints of a path, in lower case and without empty parts, by method.
fn endpoints(path: &[&str]) -> &'static [(&'static str, Endpoint)] {
    match path {
        ["email"] => &[("POST", sending::single)],
        ["email", "withtemplate"] => &[("POST", sending::single_with_template)],
        ["email", "batch"] => &[("POST", sending::batch)],
        ["email", "batchwithtemplates"] => &[("POST", sending::batch_with_templates)],
        ["email", "bulk"] => &[("POST", bulk::send), ("GET", bulk::list)],
        ["email", "bulk", _] => &[("GET", bulk::get)],
        ["messages", "outbound"] => &[("GET", outbox::search)],
        ["messages", "outbound", _, "details"] => &[("GET", outbox::details)],
        ["messages", "outbound", _, "dump"] => &[("GET", outbox::dump)],
        ["message-streams"] => &[("GET", streams::list)],
        ["message-streams", _] => &[("GET", streams::get)],
        ["message-streams", _, "suppressions"] => &[("POST", streams::suppress)],
        ["message-streams", _, "suppressions", "dump"] => &[("GET", streams::suppressions)],
        ["message-streams", _, "suppressions", "delete"] => &[("POST", streams::unsuppress)],
        ["templates"] => &[("GET", templates::list), ("POST", templates::create)],
        ["templates", "validate"] => &[("POST", templates::validate)],
        ["templates", _] => &[
            ("GET", templates::get),
            ("PUT", templates::edit),
            ("DELETE", templates::delete),
        ],
        ["bounces"] => &[("GET", bounces::list)],
        ["bounces", _] => &[("GET", bounces::get)],
        ["bounces", _, "dump"] => &[("GET", bounces::dump)],
        ["bounces", _, "activate"] => &[("PUT", bounces::activate)],
        ["deliverystats"] => &[("GET", bounces::delivery_stats)],
        ["server"] => &[
            ("GET", server_settings::get),
            ("PUT", server_settings::edit),
        ],
        ["webhooks"] => &[("GET", hooks::list), ("POST", hooks::create)],
        ["webhooks", _] => &[
            ("GET", hooks::get),
            ("PUT", hooks::edit),
            ("DELETE", hooks::delete),
        ],
        _ => &[],
    }
}

/// One authenticated call with its body decompressed.
#[derive(Debug)]
pub(super) struct Call {
    parts: Vec<String>,
    query: Vec<(String, String)>,
    body: Bytes,
    /// Whether it used [`TEST_TOKEN`].
    pub(super) is_test: bool,
}

impl Call {
    /// Returns a part of the path, percent-decoded, counted from 0.
    pub(super) fn part(&self, index: usize) -> &str {
        self.parts.get(index).map_or("", String::as_str)
    }

    /// Returns a non-empty query parameter. The name is not case-sensitive.
    pub(super) fn query(&self, key: &str) -> Option<&str> {
        let mut same = self
            .query
            .iter()
            .filter(|(k, _)| k.eq_ignore_ascii_case(key));
        let (_, value) = same.next()?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// Returns the query parameters whose names start with this prefix, without the prefix.
    pub(super) fn queries<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.query.iter().filter_map(move |(key, value)| {
            let start = key.get(..prefix.len())?;
            let rest = key.get(prefix.len()..)?;
            start
                .eq_ignore_ascii_case(prefix)
                .then_some((rest, value.as_str()))
        })
    }

    /// Whether a time is within `fromdate` and `todate`, both inclusive. Postmark interprets these
    /// as Eastern time, the fake as UTC.
    pub(super) fn in_dates(&self, time: &str) -> bool {
        let cut = |bound: &str| time.get(..bound.len()).unwrap_or(time).to_owned();
        let after = self
            .query("fromdate")
            .is_none_or(|from| *cut(from) >= *from);
        let before = self.query("todate").is_none_or(|to| *cut(to) <= *to);
        after && before
    }

    /// Parses the body as JSON.
    pub(super) fn json(&self) -> Result<Value, ApiError> {
        serde_json::from_slice(&self.body).map_err(|_| rules::invalid_json())
    }
}

/// The requested rows of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paging {
    pub(super) count: usize,
    pub(super) offset: usize,
}

impl Paging {
    /// Reads `count` and `offset`, which are both required.
    pub(super) fn required(call: &Call, refusal: fn() -> ApiError) -> Result<Self, ApiError> {
        let number = |key| call.query(key).and_then(|text| text.parse::<usize>().ok());
        let (Some(count), Some(offset)) = (number("count"), number("offset")) else {
            return Err(refusal());
        };
        let fits = (1..=rules::MAX_COUNT).contains(&count)
            && count.saturating_add(offset) <= rules::MAX_COUNT_AND_OFFSET;
        match fits {
            true => Ok(Self { count, offset }),
            false => Err(refusal()),
        }
    }

    /// Requests all rows unless the call limits them.
    pub(super) fn optional(call: &Call) -> Self {
        let number = |key| call.query(key).and_then(|text| text.parse::<usize>().ok());
        Self {
            count: number("count").unwrap_or(usize::MAX),
            offset: number("offset").unwrap_or(0),
        }
    }

    pub(super) fn page<T>(self, rows: impl IntoIterator<Item = T>) -> Vec<T> {
        rows.into_iter()
            .skip(self.offset)
            .take(self.count)
            .collect()
    }
}

/// Why a call gets no JSON from its endpoint.
enum Refusal {
    Api(ApiError),
    /// A status without a body, because the real body is unknown.
    Bare(StatusCode),
    WrongMethod(String),
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

/// Responds to one call.
pub(super) fn answer(fake: &Fake, request: &Request<Bytes>) -> Response<Bytes> {
    match serve(fake, request) {
        Ok(json) => json_response(StatusCode::OK, &json),
        Err(Refusal::Api(error)) => {
            let status =
                StatusCode::from_u16(error.http).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
            let mut response = json_response(status, &error.to_json());
            let code = HeaderValue::from(error.code);
            response.headers_mut().insert("x-pm-apierrorcode", code);
            response
        }
        Err(Refusal::Bare(status)) => bare(status),
        Err(Refusal::WrongMethod(allowed)) => {
            let mut response = bare(StatusCode::METHOD_NOT_ALLOWED);
            if let Ok(allowed) = allowed.parse() {
                response.headers_mut().insert(ALLOW, allowed);
            }
            response
        }
    }
}

fn json_response(status: StatusCode, json: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(json.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, json);
    let private = HeaderValue::from_static("private");
    response.headers_mut().insert(CACHE_CONTROL, private);
    response
}

fn bare(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

fn serve(fake: &Fake, request: &Request<Bytes>) -> Result<Value, Refusal> {
    let parts = path_parts(request.uri().path());
    let lower: Vec<String> = parts.iter().map(|part| part.to_ascii_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    // The responses to unknown paths and wrong methods are not documented.
    let endpoints = endpoints(&lower);
    if endpoints.is_empty() {
        return Err(Refusal::Bare(StatusCode::NOT_FOUND));
    }
    let method = request.method().as_str();
    let Some((_, endpoint)) = endpoints.iter().find(|(m, _)| *m == method) else {
        let allowed: Vec<_> = endpoints.iter().map(|(method, _)| *method).collect();
        return Err(Refusal::WrongMethod(allowed.join(", ")));
    };
    let has_body = matches!(method, "POST" | "PUT");
    check_media_types(request.headers(), has_body)?;
    let is_test = authenticate(fake, request.headers(), &lower)?;
    let limit = match lower.as_slice() {
        ["email"] | ["email", "withtemplate"] => rules::MAX_MESSAGE,
        _ => rules::MAX_BATCH_PAYLOAD,
    };
    if lower
        .iter()
        .any(|part| part.contains("template") || *part == "bulk")
    {
        fake.read_templates();
    }
    let query = request.uri().query().unwrap_or_default();
    let call = Call {
        query: form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        body: unpack(request, limit)?,
        parts,
        is_test,
    };
    Ok(endpoint(fake, &call)?)
}

/// Double slashes and a trailing slash are ignored. LIVE (postmark.js#55, and every SDK)
fn path_parts(path: &str) -> Vec<String> {
    let decode = |part| {
        percent_encoding::percent_decode_str(part)
            .decode_utf8_lossy()
            .into_owned()
    };
    path.split('/')
        .filter(|part| !part.is_empty())
        .map(decode)
        .collect()
}

/// Both headers are required; `Content-Type` only with a body, by inference.
fn check_media_types(headers: &HeaderMap, has_body: bool) -> Result<(), ApiError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let accept = text(&ACCEPT).unwrap_or_default().to_ascii_lowercase();
    if !["application/json", "application/*", "*/*"]
        .iter()
        .any(|kind| accept.contains(kind))
    {
        return Err(rules::not_json_headers("Accept"));
    }
    let content_type = text(&CONTENT_TYPE).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if has_body && !essence.eq_ignore_ascii_case("application/json") {
        return Err(rules::not_json_headers("Content-Type"));
    }
    Ok(())
}

/// Authenticates a call and returns whether it used the test token.
///
/// It is unknown what the test token may do besides sending; here, nothing.
fn authenticate(fake: &Fake, headers: &HeaderMap, path: &[&str]) -> Result<bool, ApiError> {
    let token = headers.get("x-postmark-server-token");
    if token.is_some() && headers.contains_key("x-postmark-account-token") {
        return Err(rules::both_tokens());
    }
    // The value is compared in any case. DOC
    let token = token
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let sends = matches!(path, ["email", ..]) && !matches!(path, ["email", "bulk", ..]);
    if token.eq_ignore_ascii_case(TEST_TOKEN) && sends {
        return Ok(true);
    }
    let known = |good: &super::state::Token| good.0.eq_ignore_ascii_case(token);
    match fake.settings.tokens.iter().any(known) {
        true => Ok(false),
        false => Err(rules::bad_token()),
    }
}

/// Returns the body, decompressed and at most `limit` bytes. It is not documented that Postmark
/// accepts gzip, and its clients do not use it, but a fake that refused it would be less useful.
fn unpack(request: &Request<Bytes>, limit: usize) -> Result<Bytes, Refusal> {
    let too_large = || Refusal::Bare(StatusCode::PAYLOAD_TOO_LARGE);
    let encoding = request.headers().get(CONTENT_ENCODING);
    let body = match encoding.map(HeaderValue::as_bytes) {
        None | Some(b"identity" | b"") => request.body().clone(),
        Some(b"gzip") => {
            let mut unpacked = Vec::new();
            let at_most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
            let packed = flate2::read::MultiGzDecoder::new(request.body().as_ref());
            packed
                .take(at_most)
                .read_to_end(&mut unpacked)
                .map_err(|_| rules::invalid_json())?;
            unpacked.into()
        }
        Some(_) => return Err(Refusal::Bare(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
    };
    match body.len() > limit {
        true => Err(too_large()),
        false => Ok(body),
    }
}
