//! Serves the mailbox page, which shows the accepted messages in a browser.
//!
//! No script runs on the page, not even one from a message: the page's policy forbids scripts, and a
//! message's HTML is shown in a sandboxed frame with a separate policy. `page_view.rs` builds the
//! values, and minijinja escapes them in `page.html`.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;

use super::bounce_type::BounceType;
use super::message::SentMessage;
use super::page_templates;
use super::page_view::{self, Beside, RECEIVED};
use super::state::Fake;
use super::triggers;
use super::webhooks::Posting;

/// Forbids scripts, foreign frames, and requests to other hosts.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
    frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Allows a message's HTML styles, fonts and images, and nothing active.
const HTML_POLICY: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; \
    img-src data: http: https:; font-src data:";

/// How long a button waits for the webhooks. Later results appear when the page is reloaded.
const PATIENCE: Duration = Duration::from_secs(2);

/// Responds to a request for the page or a part of it; `None` if the request is for the API.
pub(super) fn answer(fake: &Arc<Fake>, request: &Request<Bytes>) -> Option<Response<Bytes>> {
    let path = request.uri().path().trim_matches('/');
    let parts: Vec<&str> = path.split('/').collect();
    let parts = match parts.as_slice() {
        [""] if request.method() == Method::GET => &[],
        ["mailbox", rest @ ..] => rest,
        _ => return None,
    };
    if !is_for_us(request.headers()) {
        return Some(plain(
            StatusCode::FORBIDDEN,
            "The mailbox page is available only at 127.0.0.1, localhost and [::1].",
        ));
    }
    let mut response = match *request.method() {
        Method::GET => show(fake, request, parts),
        Method::POST if is_same_origin(request.headers()) => act(fake, request, parts),
        Method::POST => plain(
            StatusCode::FORBIDDEN,
            "Cross-origin requests are not allowed.",
        ),
        _ => plain(
            StatusCode::METHOD_NOT_ALLOWED,
            "Only GET and POST are allowed.",
        ),
    };
    protect(response.headers_mut());
    Some(response)
}

/// Whether the `Host` header is a loopback name. With any other name (DNS rebinding), another site
/// could read the page.
fn is_for_us(headers: &HeaderMap) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = host.unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    ["127.0.0.1", "localhost", "[::1]"].contains(&name)
}

fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let host = text(header::HOST).unwrap_or_default();
    text(header::ORIGIN).is_none_or(|origin| origin == format!("http://{host}"))
}

fn protect(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}

fn show(fake: &Arc<Fake>, request: &Request<Bytes>, parts: &[&str]) -> Response<Bytes> {
    let url = format!("http://{}", host(request));
    let tab = request.uri().query().unwrap_or_default();
    match parts {
        [] => html(page_view::render(fake, &url, &Beside::Nothing)),
        ["receive"] => html(page_view::render(fake, &url, &Beside::Receive)),
        ["templates"] => html(page_view::render(fake, &url, &Beside::Templates(None))),
        ["templates", id, rest @ ..] => {
            let Ok(id) = id.parse() else {
                return not_found();
            };
            match rest {
                [] => html(page_view::render(fake, &url, &Beside::Templates(Some(id)))),
                ["html"] => match page_templates::html(fake, id) {
                    Some(body) => foreign_html(body),
                    None => not_found(),
                },
                _ => not_found(),
            }
        }
        [id, rest @ ..] => {
            let Some(message) = fake.state().message(id).cloned() else {
                return not_found();
            };
            match rest {
                [] => html(page_view::render(
                    fake,
                    &url,
                    &Beside::Message(&message, tab),
                )),
                ["html"] => html_body(&message),
                ["json"] => json(&message),
                ["attachments", index] => attachment(&message, index),
                _ => not_found(),
            }
        }
    }
}

fn host(request: &Request<Bytes>) -> &str {
    let host = request.headers().get(header::HOST);
    host.and_then(|host| host.to_str().ok()).unwrap_or_default()
}

fn html_body(message: &SentMessage) -> Response<Bytes> {
    let mut body = message.html_body.clone().unwrap_or_default();
    for attachment in &message.attachments {
        if let Some(id) = &attachment.content_id {
            // The sender chose the media type, so only a valid image type becomes part of a URL.
            let kind = attachment.content_type.as_str();
            let picture = kind.strip_prefix("image/").unwrap_or_default();
            if !picture.is_empty() && picture.chars().all(|c| c.is_ascii_alphanumeric()) {
                let data = STANDARD.encode(&attachment.content);
                body = body.replace(&format!("cid:{id}"), &format!("data:{kind};base64,{data}"));
            }
        }
    }
    foreign_html(body)
}

/// Untrusted HTML, to be shown in a frame.
fn foreign_html(body: String) -> Response<Bytes> {
    let mut response = html(body);
    let policy = HeaderValue::from_static(HTML_POLICY);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    response
}

fn json(message: &SentMessage) -> Response<Bytes> {
    let text = serde_json::to_string_pretty(&message.request).unwrap_or_default();
    let mut response = Response::new(text.into());
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Serves an attachment as a download that the browser never shows.
fn attachment(message: &SentMessage, index: &str) -> Response<Bytes> {
    let index: Option<usize> = index.parse().ok();
    let Some(attachment) = index.and_then(|index| message.attachments.get(index)) else {
        return not_found();
    };
    let safe = |c: char| match c {
        c if c.is_ascii_alphanumeric() || "._- ".contains(c) => c,
        _ => '_',
    };
    let name: String = attachment.name.chars().map(safe).collect();
    let mut response = Response::new(attachment.content.clone());
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, kind);
    if let Ok(value) = format!("attachment; filename=\"{name}\"").parse() {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

/// Handles a button or an inbound message.
fn act(fake: &Arc<Fake>, request: &Request<Bytes>, parts: &[&str]) -> Response<Bytes> {
    let form: Vec<(String, String)> = form_urlencoded::parse(request.body())
        .into_owned()
        .collect();
    let field = |name: &str| {
        let mut same = form.iter().filter(|(key, _)| key == name);
        same.next().map_or("", |(_, value)| value.as_str())
    };
    let (id, action) = match parts {
        ["receive"] => return receive(fake, request),
        ["receive", "form"] => return receive_form(fake, field),
        [id, action] => (*id, *action),
        _ => return not_found(),
    };
    let postings = match action {
        "deliver" => fake.deliver(id),
        "open" => fake.open(id),
        "click" => fake.click(id, field("link")),
        "unsubscribe" => fake.unsubscribe(id),
        "bounce" => match BounceType::parse(field("kind")) {
            Some(kind) => fake.bounce(id, kind),
            None => return plain(StatusCode::BAD_REQUEST, "Unknown bounce type."),
        },
        _ => return not_found(),
    };
    let Ok(postings) = postings else {
        return not_found();
    };
    post(fake, id, postings);
    see(&format!("/mailbox/{id}?events"))
}

/// Redirects the browser to this page.
fn see(path: &str) -> Response<Bytes> {
    let mut response = plain(StatusCode::SEE_OTHER, "");
    if let Ok(location) = path.parse() {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Posts the webhooks and keeps the reports for the page. Waits up to [`PATIENCE`] for them.
fn post(fake: &Arc<Fake>, id: &str, postings: Vec<Posting>) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return;
    };
    let (fake, id) = (Arc::clone(fake), id.to_owned());
    fake.state().reports.insert(id.clone(), Vec::new());
    let posting = runtime.spawn(async move {
        for posting in postings {
            let report = fake.poster.post(posting).await;
            let mut state = fake.state();
            state.reports.entry(id.clone()).or_default().push(report);
        }
    });
    let _ = runtime.block_on(async { tokio::time::timeout(PATIENCE, posting).await });
}

/// `curl --data-binary @mail.eml .../mailbox/receive`
fn receive(fake: &Arc<Fake>, request: &Request<Bytes>) -> Response<Bytes> {
    match triggers::received(fake, request.body(), None) {
        Ok(postings) => {
            let words = format!("Received; posting to {} webhook(s).\n", postings.len());
            fake.post_in_background(postings);
            plain(StatusCode::OK, &words)
        }
        Err(error) => plain(StatusCode::BAD_REQUEST, &format!("{error}\n")),
    }
}

/// Receives a message composed in the form.
fn receive_form<'a>(fake: &Arc<Fake>, field: impl Fn(&str) -> &'a str) -> Response<Bytes> {
    let address = |name: &str| {
        let address = anymail_core::Address::parse(field(name));
        let address = address.map_err(|error| format!("{name}: {error}"))?;
        let display_name = address.name().map(str::to_owned);
        Ok::<_, String>(Address::new_address(
            display_name,
            address.email().to_owned(),
        ))
    };
    let mail = || {
        let mail = MessageBuilder::new()
            .from(address("from")?)
            .to(address("to")?);
        let mail = mail.subject(field("subject")).text_body(field("text"));
        let raw = mail.write_to_vec().map_err(|error| error.to_string())?;
        triggers::received(fake, &raw, None).map_err(|error| error.to_string())
    };
    match mail() {
        Ok(postings) => {
            post(fake, RECEIVED, postings);
            see("/mailbox/receive")
        }
        Err(problem) => plain(StatusCode::BAD_REQUEST, &problem),
    }
}

fn html(text: String) -> Response<Bytes> {
    let mut response = Response::new(text.into());
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn plain(status: StatusCode, text: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(text.to_owned()));
    *response.status_mut() = status;
    let (name, kind): (HeaderName, _) = (header::CONTENT_TYPE, "text/plain; charset=utf-8");
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static(kind));
    response
}

fn not_found() -> Response<Bytes> {
    plain(StatusCode::NOT_FOUND, "Not found.")
}
