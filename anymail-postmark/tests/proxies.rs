//! What an HTTP proxy sees: nothing of plain http, and nothing inside of https.
//!
//! The proxy's address comes from the environment. Each test therefore starts this program again
//! with the variables set and runs one of the `child_` functions in it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test panics"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use anymail_core::{Accepted, Mailer, Message, SendError, SendErrorKind, SendStatus};
use anymail_postmark::{PostmarkBackend, PostmarkConfig, Proxy};
use anymail_test_utils::FakePostmark;

const TOKEN: &str = "s3cret-token";

/// A proxy that keeps the head of each request and refuses it.
struct RefusingProxy {
    url: String,
    heads: mpsc::Receiver<String>,
}

impl RefusingProxy {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, heads) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let lines = lines.map_while(Result::ok);
                let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
                let _ = stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
                if sender.send(head.join("\n")).is_err() {
                    return;
                }
            }
        });
        Self { url, heads }
    }

    fn head(&self) -> String {
        self.heads.recv_timeout(Duration::from_secs(10)).unwrap()
    }

    fn saw_nothing(&self) -> bool {
        self.heads.recv_timeout(Duration::from_millis(200)).is_err()
    }
}

/// Runs a `child_` function of this file in a process whose environment configures the proxy.
fn run_child(name: &str, proxy: &str) {
    run_child_with(name, proxy, "");
}

/// Like the above, with hosts that bypass the proxy.
fn run_child_with(name: &str, proxy: &str, no_proxy: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", name, "--include-ignored", "--nocapture"]);
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        child.env(variable, proxy);
        child.env(variable.to_lowercase(), proxy);
    }
    child.env("NO_PROXY", no_proxy).env_remove("no_proxy");
    let output = child.output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains("1 passed"), "{shown}");
}

fn message() -> Message {
    let builder = Message::builder().from("shop@example.com");
    let builder = builder.to("ann@example.com").subject("Your receipt");
    builder.text_body("the body").build().unwrap()
}

fn config(url: &str) -> PostmarkConfig {
    PostmarkConfig::new(TOKEN).api_url(url)
}

async fn send(config: PostmarkConfig) -> Result<SendStatus, SendError> {
    let backend = PostmarkBackend::new(config).unwrap();
    Mailer::new(backend).send(&message()).await
}

#[test]
fn plain_http_never_goes_through_a_proxy() {
    let proxy = RefusingProxy::start();
    run_child("child_sends_by_http", &proxy.url);
    assert!(proxy.saw_nothing());
}

#[tokio::test]
#[ignore = "run by plain_http_never_goes_through_a_proxy"]
async fn child_sends_by_http() {
    let postmark = FakePostmark::builder().token(TOKEN).start().unwrap();
    for proxy in [Proxy::Environment, Proxy::Never] {
        send(config(&postmark.url()).proxy(proxy)).await.unwrap();
    }
    assert_eq!(postmark.accepted(), 2);
}

#[test]
fn the_webhooks_of_the_fake_do_not_go_through_a_proxy_either() {
    let proxy = RefusingProxy::start();
    run_child("child_posts_webhooks", &proxy.url);
    assert!(proxy.saw_nothing());
}

#[tokio::test]
#[ignore = "run by the_webhooks_of_the_fake_do_not_go_through_a_proxy_either"]
async fn child_posts_webhooks() {
    let receiver = anymail_test_utils::LoopbackServer::start(|_| http::Response::default());
    let receiver = receiver.unwrap();
    let postmark = FakePostmark::builder().token(TOKEN).start().unwrap();
    postmark.add_webhook(&receiver.url());
    send(config(&postmark.url())).await.unwrap();
    let id = postmark.messages()[0].id.clone();
    let reports = postmark.deliver(&id).await.unwrap();
    assert!(reports.iter().all(|report| report.delivered), "{reports:?}");
    assert_eq!(receiver.counts().handled, 1);
}

/// Postmark's address in these tests, where nothing listens.
const HTTPS: &str = "https://api.example.test/";

#[test]
fn https_goes_through_the_proxy_of_the_environment_which_sees_the_host_and_nothing_else() {
    let proxy = RefusingProxy::start();
    run_child("child_sends_by_https", &proxy.url);
    let head = proxy.head();
    assert!(head.starts_with("CONNECT api.example.test:443 "), "{head}");
    for secret in [TOKEN, "ann@", "the body"] {
        assert!(!head.contains(secret), "{head}");
    }
}

#[tokio::test]
#[ignore = "run by https_goes_through_the_proxy_of_the_environment_which_sees_the_host_and_nothing_else"]
async fn child_sends_by_https() {
    let error = send(config(HTTPS)).await.unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Connect, "{error}");
    assert_eq!(error.accepted(), Accepted::No);
}

#[test]
fn a_host_that_no_proxy_names_is_reached_without_the_proxy() {
    let proxy = RefusingProxy::start();
    let name = "child_sends_by_https_to_a_closed_port";
    run_child_with(name, &proxy.url, "example.test, 127.0.0.1");
    assert!(proxy.saw_nothing());
    run_child_with(name, &proxy.url, "example.test");
    assert!(proxy.head().starts_with("CONNECT 127.0.0.1:"));
}

#[tokio::test]
#[ignore = "run by a_host_that_no_proxy_names_is_reached_without_the_proxy"]
async fn child_sends_by_https_to_a_closed_port() {
    let error = send(config(&closed_port())).await.unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Connect, "{error}");
}

/// The https URL of a closed port.
fn closed_port() -> String {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("https://{}/", closed.local_addr().unwrap())
}

#[test]
fn webhooks_of_the_fake_to_https_go_through_a_tunnel() {
    let proxy = RefusingProxy::start();
    run_child("child_posts_webhooks_to_https", &proxy.url);
    let head = proxy.head();
    assert!(
        head.starts_with("CONNECT hooks.example.test:443 "),
        "{head}"
    );
    for secret in ["h00k-pass", "aG9vazpoMDBrLXBhc3M=", "ann@"] {
        assert!(!head.contains(secret), "{head}");
    }
}

#[tokio::test]
#[ignore = "run by webhooks_of_the_fake_to_https_go_through_a_tunnel"]
async fn child_posts_webhooks_to_https() {
    let postmark = FakePostmark::builder().token(TOKEN);
    let postmark = postmark.webhook_minute(Duration::ZERO).start().unwrap();
    postmark.add_webhook("https://hook:h00k-pass@hooks.example.test/");
    send(config(&postmark.url())).await.unwrap();
    let id = postmark.messages()[0].id.clone();
    let reports = postmark.deliver(&id).await.unwrap();
    assert!(
        reports.iter().all(|report| !report.delivered),
        "{reports:?}"
    );
}

#[test]
fn a_proxy_of_the_environment_can_be_forbidden() {
    let proxy = RefusingProxy::start();
    run_child("child_sends_by_https_without_a_proxy", &proxy.url);
    assert!(proxy.saw_nothing());
}

#[tokio::test]
#[ignore = "run by a_proxy_of_the_environment_can_be_forbidden"]
async fn child_sends_by_https_without_a_proxy() {
    let config = config(&closed_port()).proxy(Proxy::Never);
    let error = send(config).await.unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Connect, "{error}");
}

#[tokio::test]
async fn a_proxy_can_be_set_and_only_it_gets_its_password() {
    let proxy = RefusingProxy::start();
    let with_password = proxy.url.replace("://", "://user:pr0xy-pass@");
    let config = config(HTTPS).proxy(Proxy::Url(with_password.into()));
    let error = send(config.clone()).await.unwrap_err();
    assert_eq!(error.accepted(), Accepted::No, "{error}");
    let backend = PostmarkBackend::new(config.clone()).unwrap();
    let shown = format!("{config:?} {backend:?} {error} {error:?}");
    assert!(!shown.contains("pr0xy-pass"), "{shown}");
    let head = proxy.head().to_lowercase();
    assert!(head.starts_with("connect api.example.test:443 "), "{head}");
    assert!(head.contains("proxy-authorization: basic "), "{head}");
    assert!(!head.contains(TOKEN), "{head}");
}

#[test]
fn an_invalid_proxy_is_a_configuration_error() {
    for bad in [
        "nonsense",
        "ftp://proxy.example",
        "http://",
        "user:s3cret",
        "unix:/run/s3cret",
    ] {
        let config = config(HTTPS).proxy(Proxy::Url(bad.into()));
        let error = PostmarkBackend::new(config).unwrap_err();
        assert_eq!(error.faults()[0].option, "proxy", "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
