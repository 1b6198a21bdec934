//! The mailbox page: what the fake has accepted, for a person to look at.
//!
//! It has no script, and lets none of a message's run: the page forbids all, and a message's
//! HTML stands in a sandboxed frame, served with a policy of its own. What is shown is put
//! together in `page_view.rs`, escaped by minijinja in `page.html`.

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

/// No script, no frame but our own, no request to anybody else.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
    frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A message's HTML: styles and pictures, and nothing that acts.
const HTML_POLICY: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; \
    img-src data: http: https:; font-src data:";

/// How long a button waits for the webhooks; what comes later is seen when the page is loaded
/// again.
const PATIENCE: Duration = Duration::from_secs(2);

/// The page, or a part of it; `None` for what is the API's.
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
            "This page is for this machine only.",
        ));
    }
    let mut response = match *request.method() {
        Method::GET => show(fake, request, parts),
        Method::POST if is_same_origin(request.headers()) => act(fake, request, parts),
        Method::POST => plain(StatusCode::FORBIDDEN, "This came from another site."),
        _ => plain(StatusCode::METHOD_NOT_ALLOWED, "Only GET and POST."),
    };
    protect(response.headers_mut());
    Some(response)
}

/// Whether the browser knows us by a loopback name: another name that leads here (DNS
/// rebinding) belongs to a site that wants to read along.
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
            // A picture that the HTML shows. Its type is the sender's word: only what is
            // surely a picture's becomes part of a URL.
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

/// HTML that somebody else wrote, for a frame.
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

/// A download, never shown in the browser.
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

/// A button, or a mail to receive.
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
            None => return plain(StatusCode::BAD_REQUEST, "There is no such bounce."),
        },
        _ => return not_found(),
    };
    let Ok(postings) = postings else {
        return not_found();
    };
    post(fake, id, postings);
    see(&format!("/mailbox/{id}?events"))
}

/// The browser shall show this page.
fn see(path: &str) -> Response<Bytes> {
    let mut response = plain(StatusCode::SEE_OTHER, "");
    if let Ok(location) = path.parse() {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Posts, and keeps the reports for the page. Waits for them a little.
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
            let words = format!("Received; {} webhook(s) to tell.\n", postings.len());
            fake.post_in_background(postings);
            plain(StatusCode::OK, &words)
        }
        Err(error) => plain(StatusCode::BAD_REQUEST, &format!("{error}\n")),
    }
}

/// The mail that the form's fields make.
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
    plain(StatusCode::NOT_FOUND, "There is nothing here.")
}
