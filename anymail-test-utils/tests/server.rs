//! What a plain client sees of the loopback server, fault by fault.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test panics")]

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anymail_test_utils::{Fault, LoopbackServer};
use bytes::Bytes;
use http::{HeaderValue, Response};

/// A server that responds with the number of its calls, as JSON rows.
fn counting() -> LoopbackServer {
    let runs = AtomicUsize::new(0);
    LoopbackServer::start(move |_| {
        let run = runs.fetch_add(1, Ordering::SeqCst) + 1;
        let mut response = Response::new(Bytes::from(format!("[{run}, \"second row\"]")));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert("content-type", json);
        response
    })
    .unwrap()
}

async fn post(client: &reqwest::Client, server: &LoopbackServer) -> reqwest::Result<String> {
    let response = client.post(server.url()).body("a message").send().await?;
    response.text().await
}

/// The I/O error that is the root cause of a reqwest error.
fn io_kind(error: &reqwest::Error) -> Option<ErrorKind> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return Some(error.kind());
        }
        source = error.source();
    }
    None
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// A client with a short timeout, for responses that never arrive.
fn impatient() -> reqwest::Client {
    let timeout = Duration::from_secs(1);
    reqwest::Client::builder()
        .no_proxy()
        .timeout(timeout)
        .build()
        .unwrap()
}

#[tokio::test]
async fn serves_records_and_counts_over_one_kept_connection() {
    let server = counting();
    let client = client();
    assert_eq!(post(&client, &server).await.unwrap(), "[1, \"second row\"]");
    assert_eq!(post(&client, &server).await.unwrap(), "[2, \"second row\"]");
    let counts = server.counts();
    assert_eq!(
        (counts.connections, counts.calls, counts.handled),
        (1, 2, 2)
    );
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].method(), "POST");
    assert_eq!(requests[0].body(), "a message");

    server.forget_requests();
    server.set_recording(false);
    post(&client, &server).await.unwrap();
    assert!(server.requests().is_empty());
    assert_eq!(server.counts().handled, 3);
}

#[tokio::test]
async fn refuses_connections_until_it_accepts_again_on_the_same_port() {
    let server = counting();
    let client = client();
    post(&client, &server).await.unwrap(); // leaves an idle connection
    for _ in 0..3 {
        server.refuse().await.unwrap();
        server.refuse().await.unwrap(); // refusing twice is the same as once
        let error = post(&client, &server).await.unwrap_err();
        assert!(error.is_connect(), "{error:?}");
        assert_eq!(io_kind(&error), Some(ErrorKind::ConnectionRefused));
        server.accept_again().await.unwrap();
        server.accept_again().await.unwrap();
        post(&client, &server).await.unwrap();
    }
    assert_eq!(server.counts().handled, 4);
}

#[tokio::test]
async fn a_reset_on_accept_breaks_the_next_new_connection_or_the_next_call() {
    let server = counting();
    server.inject(Fault::ResetOnAccept, 1);
    let error = post(&client(), &server).await.unwrap_err();
    assert!(error.is_request(), "{error:?}");
    let counts = server.counts();
    assert_eq!(
        (counts.connections, counts.calls, counts.handled),
        (1, 0, 0)
    );

    let kept = client();
    post(&kept, &server).await.unwrap();
    server.inject(Fault::ResetOnAccept, 1);
    assert!(post(&kept, &server).await.is_err());
    assert_eq!(server.counts().calls, 2);
    post(&kept, &server).await.unwrap();
}

#[tokio::test]
async fn clients_see_resets_and_faults_say_whether_the_handler_ran() {
    for fault in [
        Fault::ResetBeforeReading,
        Fault::ResetWhileReading,
        Fault::ResetAfterReading,
        Fault::AcceptThenReset,
    ] {
        let server = counting();
        server.inject(fault.clone(), 1);
        let error = post(&client(), &server).await.unwrap_err();
        assert!(
            error.is_request() && !error.is_connect(),
            "{fault}: {error:?}"
        );
        assert_eq!(
            io_kind(&error),
            Some(ErrorKind::ConnectionReset),
            "{fault}: {error:?}"
        );
        assert_eq!(
            server.counts().handled,
            u64::from(fault.handled()),
            "{fault}"
        );
        post(&client(), &server).await.unwrap();
    }
}

#[tokio::test]
async fn a_reset_while_a_large_body_is_read_fails_the_clients_write() {
    let server = counting();
    server.inject(Fault::ResetWhileReading, 1);
    let body = vec![b'x'; 32 * 1024 * 1024];
    let error = client()
        .post(server.url())
        .body(body)
        .send()
        .await
        .unwrap_err();
    let kind = io_kind(&error).unwrap();
    let broken = matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
    assert!(broken, "{kind:?}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_normal_close_is_not_a_reset() {
    let server = counting();
    server.inject(Fault::AcceptThenClose, 1);
    let error = post(&client(), &server).await.unwrap_err();
    assert_eq!(io_kind(&error), None, "{error:?}");
    assert!(error.is_request());
    assert_eq!(server.counts().handled, 1);
}

#[tokio::test]
async fn a_hang_ends_with_the_clients_timeout() {
    for fault in [Fault::Hang, Fault::AcceptThenHang] {
        let server = counting();
        server.inject(fault.clone(), 1);
        let error = post(&impatient(), &server).await.unwrap_err();
        assert!(error.is_timeout(), "{fault}: {error:?}");
        assert_eq!(server.requests().len(), 1);
        assert_eq!(
            server.counts().handled,
            u64::from(fault.handled()),
            "{fault}"
        );
    }
}

#[tokio::test]
async fn a_slow_response_arrives_completely_or_times_out() {
    let server = counting();
    let interval = Duration::from_millis(1);
    server.inject(Fault::Drip { interval }, 1);
    assert_eq!(
        post(&client(), &server).await.unwrap(),
        "[1, \"second row\"]"
    );

    let interval = Duration::from_millis(100);
    server.inject(Fault::Drip { interval }, 1);
    let error = post(&impatient(), &server).await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(server.counts().handled, 2);
}

#[tokio::test]
async fn a_truncated_response_announces_more_than_arrives() {
    let server = counting();
    server.inject(Fault::CutShort { bytes: 5 }, 1);
    let mut response = client().post(server.url()).body("x").send().await.unwrap();
    assert_eq!(response.content_length(), Some(17));
    assert_eq!(response.chunk().await.unwrap().unwrap(), "[1, \"");
    let error = response.chunk().await.unwrap_err();
    assert!(error.is_decode() || error.is_body(), "{error:?}");

    server.inject(Fault::CutShort { bytes: 17 }, 1);
    assert_eq!(
        post(&client(), &server).await.unwrap(),
        "[2, \"second row\"]"
    );
    assert_eq!(server.counts().handled, 2);
}

#[tokio::test]
async fn garbage_is_not_http() {
    let server = counting();
    server.inject(Fault::garbage(), 1);
    let error = post(&client(), &server).await.unwrap_err();
    assert!(error.is_request(), "{error:?}");
    assert_eq!(server.counts().handled, 1);
}

#[tokio::test]
async fn a_status_fault_does_not_run_the_handler() {
    let server = counting();
    server.inject(Fault::rate_limited(Some(Duration::from_secs(7))), 1);
    server.inject(Fault::status(503), 1);
    server.inject(Fault::html_page(502), 1);
    let client = client();
    let get = || client.get(server.url()).send();

    let response = get().await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "7");
    let response = get().await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.text().await.unwrap(), "");
    let response = get().await.unwrap();
    assert_eq!(response.status(), 502);
    assert_eq!(response.headers()["content-type"], "text/html");
    assert!(response.text().await.unwrap().starts_with("<html>"));
    assert_eq!(server.counts().handled, 0);
    assert_eq!(get().await.unwrap().status(), 200);
}

#[tokio::test]
async fn changed_responses_run_the_handler() {
    let server = counting();
    let client = client();
    server.inject(Fault::empty(), 1);
    server.inject(Fault::row_too_few(), 1);
    server.inject(Fault::rows_reversed(), 1);
    assert_eq!(post(&client, &server).await.unwrap(), "");
    assert_eq!(post(&client, &server).await.unwrap(), "[2]");
    assert_eq!(post(&client, &server).await.unwrap(), "[\"second row\",3]");
    server.inject(Fault::not_json(), 1);
    let response = client.post(server.url()).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    let body = response.bytes().await.unwrap();
    assert!(serde_json::from_slice::<serde_json::Value>(&body).is_err());
    assert_eq!(server.counts().handled, 4);
}

#[tokio::test]
async fn injected_faults_take_precedence_over_the_rule_and_can_be_cleared() {
    let server = counting();
    let client = client();
    server.inject_rule(|number, head| {
        assert_eq!(head.method, "POST");
        (number % 2 == 0).then(|| Fault::status(500))
    });
    server.inject(Fault::status(503), 1);
    server.inject(Fault::status(504), 0);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let response = client.post(server.url()).send().await.unwrap();
        seen.push(response.status().as_u16());
    }
    assert_eq!(seen, [503, 500, 200, 500]);
    server.inject(Fault::Hang, 9);
    server.clear_faults();
    for _ in 0..2 {
        post(&client, &server).await.unwrap();
    }
}

#[tokio::test]
async fn every_kind_of_fault_affects_one_call() {
    for fault in Fault::one_of_each() {
        let server = counting();
        server.inject(fault.clone(), 1);
        let _ = post(&impatient(), &server).await;
        assert_eq!(
            server.counts().handled,
            u64::from(fault.handled()),
            "{fault}"
        );
        post(&client(), &server)
            .await
            .unwrap_or_else(|error| panic!("after {fault}: {error:?}"));
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_unread() {
    assert_eq!(LoopbackServer::DEFAULT_BODY_LIMIT, 67_108_864);
    let server = counting();
    server.set_body_limit(8);
    let send = |body: &'static str| client().post(server.url()).body(body).send();
    assert_eq!(send("12345678").await.unwrap().status(), 200);
    assert_eq!(send("123456789").await.unwrap().status(), 413);
    let large = vec![b'x'; 8 * 1024 * 1024];
    let response = client().post(server.url()).body(large).send().await;
    assert_eq!(response.unwrap().status(), 413);
    assert_eq!(server.counts().handled, 1);
}

#[tokio::test]
async fn a_handler_may_block_and_even_panic() {
    let inner = Arc::new(counting());
    let url = inner.url();
    let server = LoopbackServer::start(move |request| {
        assert!(
            request.uri().path() != "/panic",
            "this handler panics on purpose"
        );
        // A blocking call to another server from inside the handler.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let text = runtime.block_on(async { client().get(&url).send().await?.text().await });
        Response::new(text.unwrap().into())
    })
    .unwrap();
    let get = |path: &str| client().get(format!("{}{path}", server.url())).send();
    assert_eq!(
        get("/").await.unwrap().text().await.unwrap(),
        "[1, \"second row\"]"
    );
    assert_eq!(get("/panic").await.unwrap().status(), 500);
    assert_eq!(get("/").await.unwrap().status(), 200);
    assert_eq!(server.counts().handled, 2);
}

#[tokio::test]
async fn a_rule_or_a_fault_that_panics_is_answered_with_500_and_the_next_call_is_handled() {
    let server = counting();
    server.inject_rule(|call, _| match call {
        1 => panic!("this rule panics on purpose"),
        2 => Some(Fault::Rewrite(|_| panic!("this fault, too"))),
        _ => None,
    });
    let mut seen = Vec::new();
    for _ in 0..3 {
        let answer = client().get(server.url()).send().await.unwrap();
        seen.push(answer.status().as_u16());
    }
    assert_eq!(seen, [500, 500, 200]);
    // The fault occurs after the handler.
    assert_eq!(server.counts().handled, 2);
}

#[test]
fn a_dropped_server_frees_its_port_even_with_calls_under_way() {
    let server = counting();
    let (address, url) = (server.address(), server.url());
    server.inject(Fault::AcceptThenHang, 1);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let hanging = runtime.spawn(async move { client().get(url).send().await });
    while server.counts().handled == 0 {
        std::thread::yield_now();
    }
    drop(server);
    assert!(runtime.block_on(hanging).unwrap().is_err());

    let again = LoopbackServer::start_on(address, |_| Response::default()).unwrap();
    assert_eq!(again.address(), address);
    let taken = LoopbackServer::start_on(address, |_| Response::default()).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    let open = LoopbackServer::start_on(([0, 0, 0, 0], 0).into(), |_| Response::default());
    assert_eq!(open.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_port_in_use_is_an_error_inside_a_runtime_too() {
    let server = counting();
    let taken = LoopbackServer::start_on(server.address(), |_| Response::default());
    assert_eq!(taken.unwrap_err().kind(), ErrorKind::AddrInUse);
}

#[tokio::test]
async fn debug_shows_no_request() {
    let server = counting();
    post(&client(), &server).await.unwrap();
    let shown = format!("{server:?}");
    assert!(
        shown.contains("handled: 1") && !shown.contains("a message"),
        "{shown}"
    );
}

#[tokio::test]
async fn an_endless_response_ends_long_after_a_client_with_a_limit_stops() {
    let server = counting();
    server.inject(Fault::Endless, 2);
    let mut response = client().post(server.url()).send().await.unwrap();
    assert!(response.chunk().await.unwrap().unwrap().starts_with(b"[1"));
    drop(response);
    let error = post(&client(), &server).await.unwrap_err();
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    assert!(server.counts().endless_bytes >= 67_108_864);
    assert!(post(&client(), &server).await.unwrap().starts_with("[3"));
}
