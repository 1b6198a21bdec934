//! One-click unsubscribe, from the header of a message to the store, and never by accident.

use std::sync::Arc;

use anymail_core::{
    Address, AddressKey, HmacSha256Keys, MemorySuppressionStore, Message, OneClickUnsubscribe,
    Reactivation, Suppression, SuppressionReason, SuppressionStore, SuppressionStoreError,
    UnsubscribePage,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::stream::{self, BoxStream, StreamExt};
use http::{Method, Request, Response, StatusCode};

use super::hook::Panicking;

const BASE: &str = "https://app.example.com/anymail/unsubscribe";
const FORM: &str = "List-Unsubscribe=One-Click";

fn one_click(store: &MemorySuppressionStore, keys: &[&str]) -> OneClickUnsubscribe {
    let keys = HmacSha256Keys::new(keys.iter().copied()).unwrap();
    OneClickUnsubscribe::new(store.clone(), BASE, keys).unwrap()
}

fn ann() -> Address {
    "Ann <Ann@Example.com>".parse().unwrap()
}

async fn send(
    one_click: &OneClickUnsubscribe,
    method: Method,
    url: &str,
    body: &str,
) -> Response<Bytes> {
    let request = Request::builder().method(method).uri(url);
    let body = Bytes::copy_from_slice(body.as_bytes());
    one_click.answer(&request.body(body).unwrap()).await
}

async fn all(store: &MemorySuppressionStore) -> Vec<Suppression> {
    store.list().try_collect().await.unwrap()
}

fn text(response: &Response<Bytes>) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

#[tokio::test]
async fn a_post_in_either_encoding_unsubscribes_from_the_scope_of_the_message() {
    let multipart = "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\n\
                     One-Click\r\n--b--\r\n";
    for body in [FORM, multipart] {
        let store = MemorySuppressionStore::new();
        let one_click = one_click(&store, &["key"]);
        let url = one_click.url(&ann(), Some("news"));
        for _ in 0..2 {
            let response = send(&one_click, Method::POST, &url, body).await;
            assert_eq!(response.status(), StatusCode::OK);
            assert!(text(&response).contains("ann@example.com"));
        }
        let [left] = all(&store).await.try_into().unwrap();
        assert_eq!(left.address.as_str(), "ann@example.com");
        assert_eq!(left.scope.as_deref(), Some("news"));
        assert_eq!(left.reason, SuppressionReason::Unsubscribe);
        assert_eq!(left.origin.source, "one_click");
    }
}

#[tokio::test]
async fn a_body_of_at_most_64_kib_is_read() {
    let store = MemorySuppressionStore::new();
    let one_click = one_click(&store, &["key"]);
    let url = one_click.url(&ann(), None);
    for (length, status) in [(65_536, StatusCode::OK), (65_537, StatusCode::BAD_REQUEST)] {
        let body = format!("{FORM}&padding={}", "x".repeat(length));
        let request = Request::post(&url).body(body[..length].to_owned());
        let response = one_click.serve(request.unwrap()).await;
        assert_eq!(response.status(), status, "{length}");
    }
}

#[test]
fn a_token_is_valid_for_365_days_by_default() {
    let one_click = one_click(&MemorySuppressionStore::new(), &["key"]);
    let shown = format!("{one_click:?}");
    assert!(shown.contains("max_age: 31536000s"), "{shown}");
}

#[tokio::test]
async fn following_the_link_shows_a_button_and_changes_nothing() {
    let store = MemorySuppressionStore::new();
    let one_click = one_click(&store, &["key"]);
    let url = one_click.url(&ann(), None);
    let page = send(&one_click, Method::GET, &url, "").await;
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(text(&page).matches("<button").count(), 1);
    assert!(text(&page).contains("method=\"post\""));
    assert!(!text(&page).contains("<script"));
    assert_eq!(page.headers()["Cache-Control"], "no-store");
    assert_eq!(page.headers()["Referrer-Policy"], "no-referrer");
    let head = send(&one_click, Method::HEAD, &url, "").await;
    assert_eq!((head.status(), text(&head)), (StatusCode::OK, ""));
    for (method, body, status) in [
        (Method::PUT, FORM, StatusCode::METHOD_NOT_ALLOWED),
        (Method::DELETE, FORM, StatusCode::METHOD_NOT_ALLOWED),
        (Method::OPTIONS, "", StatusCode::METHOD_NOT_ALLOWED),
        (Method::POST, "", StatusCode::BAD_REQUEST),
        (Method::POST, "something=else", StatusCode::BAD_REQUEST),
    ] {
        let response = send(&one_click, method.clone(), &url, body).await;
        assert_eq!(response.status(), status, "{method}");
    }
    assert_eq!(all(&store).await, []);

    // Pressing the button unsubscribes.
    let name = "name=\"List-Unsubscribe\" value=\"One-Click\"";
    assert!(text(&page).contains(name));
    send(&one_click, Method::POST, &url, FORM).await;
    assert_eq!(all(&store).await.len(), 1);
}

#[tokio::test]
async fn a_forged_changed_or_expired_token_changes_nothing() {
    let store = MemorySuppressionStore::new();
    let ours = one_click(&store, &["new", "old"]);
    let url = ours.url(&ann(), Some("news"));
    let old = one_click(&store, &["old"]).url(&ann(), None);
    let forged = one_click(&store, &["theirs"]).url(&ann(), None);
    let changed = url.replace("/unsubscribe/W", "/unsubscribe/X");
    assert_ne!(changed, url);
    let no_token = format!("{BASE}/");
    let cut = &url[..url.len() - 1];
    for wrong in [&*forged, &*changed, &*no_token, cut, BASE] {
        for method in [Method::POST, Method::GET] {
            let response = send(&ours, method, wrong, FORM).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{wrong}");
            assert!(!text(&response).contains("<form"));
        }
    }
    let gone = ours.clone().max_age(std::time::Duration::ZERO);
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let response = send(&gone, Method::POST, &url, FORM).await;
    assert_eq!(response.status(), StatusCode::GONE);
    assert_eq!(all(&store).await, []);

    // During a key rotation, both keys are valid.
    for good in [&url, &old] {
        let response = send(&ours, Method::POST, good, FORM).await;
        assert_eq!(response.status(), StatusCode::OK);
    }
    assert_eq!(all(&store).await.len(), 2);
}

#[test]
fn each_recipient_gets_a_url_of_their_own_and_the_message_becomes_a_batch() {
    let store = MemorySuppressionStore::new();
    let one_click = one_click(&store, &["key"]);
    let own = "https://example.com/own";
    let mut message = Message::builder()
        .to("ann@example.com, bob@example.com, carl@example.com")
        .one_click_unsubscribe_for("carl@example.com", own)
        .suppression_scope("news")
        .build()
        .unwrap();
    one_click.add_headers(&mut message).unwrap();
    assert!(message.is_batch());
    let mut urls = Vec::new();
    for to in message.to.items() {
        let headers = message.merge_headers.value().unwrap().get(to).unwrap();
        let post = headers.get("List-Unsubscribe-Post");
        assert_eq!(post, Some("List-Unsubscribe=One-Click"));
        urls.push(headers.get("List-Unsubscribe").unwrap().to_owned());
    }
    assert!(urls[0].starts_with(&format!("<{BASE}/")));
    assert_ne!(urls[0], urls[1]);
    assert_eq!(urls[2], format!("<{own}>"));

    let mut alone = Message::builder().to("ann@example.com").build().unwrap();
    one_click.add_headers(&mut alone).unwrap();
    assert!(!alone.is_batch());
    let headers = alone.headers.value().unwrap();
    assert!(headers.get("List-Unsubscribe").is_some());

    // Neither a second recipient nor a batch of one shares the header.
    let copied = Message::builder()
        .to("ann@example.com")
        .cc("bob@example.com");
    let batch = Message::builder()
        .to("ann@example.com")
        .merge_data("ann@example.com", serde_json::json!({"a": "b"}));
    for message in [copied, batch] {
        let mut message = message.build().unwrap();
        one_click.add_headers(&mut message).unwrap();
        assert!(message.headers.value().is_none());
        assert!(message.merge_headers.value().is_some());
    }
    // Debug shows nothing private.
    let printed = format!("{one_click:?} {message:?} {alone:?}");
    let token = urls[0].rsplit('/').next().unwrap().trim_end_matches('>');
    assert!(!printed.contains(token));
}

#[test]
fn a_base_url_that_mail_clients_would_not_post_to_is_refused() {
    let store = MemorySuppressionStore::new();
    for base in [
        "http://example.com/u",
        "https://",
        "https:///u",
        "example.com/u",
        "https://example.com/u?a=b",
        "https://example.com/{u}",
        "https://example.com/a b",
        "https://example.com/\r\nX: y",
    ] {
        let keys = HmacSha256Keys::new(["key"]).unwrap();
        let error = OneClickUnsubscribe::new(store.clone(), base, keys);
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("is not a valid base for unsubscribe URLs"),
            "{error}"
        );
    }
    for base in ["https://example.com", "https://example.com:8443/a/b/"] {
        let keys = HmacSha256Keys::new(["key"]).unwrap();
        let one_click = OneClickUnsubscribe::new(store.clone(), base, keys).unwrap();
        assert!(!one_click.path().ends_with('/'));
    }
}

#[tokio::test]
async fn an_app_can_write_its_own_pages_and_ours_escape_the_address() {
    let store = MemorySuppressionStore::new();
    let odd: Address = "\"<script>&'\"@example.com".parse().unwrap();
    let ours = one_click(&store, &["key"]);
    let page = send(&ours, Method::GET, &ours.url(&odd, None), "").await;
    assert!(!text(&page).contains("<script"), "{}", text(&page));
    assert!(text(&page).contains("&#60;script&#62;"));

    let theirs = ours.pages(|page| match page {
        UnsubscribePage::Confirm { address, .. } => format!("Wirklich, {address}?"),
        _ => "Erledigt".to_owned(),
    });
    let url = theirs.url(&ann(), None);
    let page = send(&theirs, Method::GET, &url, "").await;
    assert_eq!(text(&page), "Wirklich, ann@example.com?");
    let page = send(&theirs, Method::POST, &url, FORM).await;
    assert_eq!(text(&page), "Erledigt");
}

#[derive(Debug)]
struct Broken;

#[async_trait]
impl SuppressionStore for Broken {
    async fn look_up(&self, _: &[AddressKey]) -> Result<Vec<Suppression>, SuppressionStoreError> {
        Err("gone".into())
    }

    async fn add(&self, _: &[Suppression]) -> Result<(), SuppressionStoreError> {
        Err("gone".into())
    }

    async fn remove(&self, _: &[Reactivation]) -> Result<(), SuppressionStoreError> {
        Err("gone".into())
    }

    fn list(&self) -> BoxStream<'_, Result<Suppression, SuppressionStoreError>> {
        stream::empty().boxed()
    }
}

#[tokio::test]
async fn a_store_failure_is_reported_so_that_the_mail_client_can_retry() {
    let keys = HmacSha256Keys::new(["key"]).unwrap();
    let one_click = OneClickUnsubscribe::new(Arc::new(Broken), BASE, keys).unwrap();
    let url = one_click.url(&ann(), None);
    let response = send(&one_click, Method::POST, &url, FORM).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("Retry-After"));
    assert!(!text(&response).contains("gone"));
}

#[tokio::test]
async fn a_store_that_panics_is_a_store_that_fails() {
    let keys = HmacSha256Keys::new(["key"]).unwrap();
    let one_click = OneClickUnsubscribe::new(Arc::new(Panicking), BASE, keys).unwrap();
    let url = one_click.url(&ann(), None);
    let response = send(&one_click, Method::POST, &url, FORM).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn a_page_writer_that_panics_does_not_prevent_unsubscribing() {
    let store = MemorySuppressionStore::new();
    let ours = one_click(&store, &["key"]);
    let theirs = ours.clone().pages(|_| panic!("on purpose"));
    let url = ours.url(&ann(), None);
    let page = send(&theirs, Method::GET, &url, "").await;
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(page.body(), send(&ours, Method::GET, &url, "").await.body());
    let done = send(&theirs, Method::POST, &url, FORM).await;
    assert_eq!(done.status(), StatusCode::OK);
    assert_eq!(all(&store).await.len(), 1);
}
