//! Tests the mailbox page in a real browser: nothing in a message may run there.
//!
//! Needs Chromium in the usual places, or its path in the variable `CHROMIUM`. Without it, the test
//! prints that it was skipped and passes.

#![allow(clippy::unwrap_used, reason = "a failing test panics")]

use std::path::{Path, PathBuf};
use std::process::Command;

use anymail_test_utils::{FakePostmark, LoopbackServer};
use http::Response;

fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let usual = [
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
    ];
    let found = usual.iter().map(PathBuf::from).find(|path| path.exists());
    named.or(found)
}

/// Loads a page, lets it run for three seconds of virtual time (the list reloads after five), and
/// returns the resulting page.
fn load(chromium: &Path, url: &str) -> String {
    let profile = std::env::temp_dir().join(format!("fake-postmark-{}", uuid::Uuid::new_v4()));
    let output = Command::new(chromium)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--virtual-time-budget=3000",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(url)
        .output()
        .unwrap();
    let _ = std::fs::remove_dir_all(profile);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns the paths that a browser requested from a server.
fn asked_for(server: &LoopbackServer) -> Vec<String> {
    let path = |request: &http::Request<_>| request.uri().path().to_owned();
    server.requests().iter().map(path).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_messages_scripts_do_not_run_in_the_mailbox() {
    let Some(chromium) = chromium() else {
        println!("skipped: Chromium is not installed (set CHROMIUM to its path)");
        return;
    };
    // Every known way to start a script; each requests a different path.
    let beacon = LoopbackServer::start(|_| Response::default()).unwrap();
    let to = beacon.url();
    let attack = format!(
        "<script>new Image().src='{to}/script'</script>\
         <img src='data:image/png,x' onerror=\"new Image().src='{to}/onerror'\">\
         <svg onload=\"new Image().src='{to}/svg'\"></svg>\
         <iframe srcdoc=\"<script>new Image().src='{to}/srcdoc'</script>\"></iframe>\
         <form id=f action='{to}/form'></form><script>f.submit()</script>\
         <meta http-equiv=refresh content=\"0;url={to}/refresh\">\
         <script src='{to}/external.js'></script>\
         <link rel=stylesheet href='{to}/style.css'>"
    );
    let picture = format!("<img src='{to}/picture'>");

    // The attack works if nothing stops it; otherwise, this test could not fail.
    let page = format!("<html><body>{attack}</body></html>");
    let naive = LoopbackServer::start(move |_| {
        let response = Response::builder().header("Content-Type", "text/html");
        response.body(page.clone().into()).unwrap()
    })
    .unwrap();
    load(&chromium, &naive.url());
    let seen = asked_for(&beacon);
    assert!(seen.contains(&"/script".to_owned()), "{seen:?}");
    beacon.forget_requests();

    let postmark = FakePostmark::start().unwrap();
    let email = serde_json::json!({
        "From": "a@example.com", "To": "b@example.com", "Subject": attack, "TextBody": attack,
        "HtmlBody": format!("{picture}<p>The frame is there.</p>{attack}"), "Tag": "</title><b>",
        "Headers": [{"Name": "X-Attack", "Value": attack}], "Metadata": {"<script>": "x"},
        "Attachments": [{"Name": "</td><script>", "Content": "YQ==", "ContentType": "text/html"}],
    });
    let answer = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .post(format!("{}/email", postmark.url()))
        .header("Accept", "application/json")
        .header("Content-Type", "application/json")
        .header("X-Postmark-Server-Token", "server-token")
        .body(email.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let id = postmark.messages().first().unwrap().id.clone();

    let shown = load(&chromium, &format!("{}/mailbox/{id}", postmark.url()));
    assert!(
        shown.contains("Unsubscribe"),
        "the page itself is there: {shown}"
    );
    assert!(!shown.contains("<script"), "{shown}");
    let seen = asked_for(&beacon);
    assert_eq!(
        seen,
        ["/picture"],
        "the frame shows pictures, and nothing else happens"
    );
    beacon.forget_requests();

    // Opened directly, the HTML may navigate away, but still runs nothing.
    load(&chromium, &format!("{}/mailbox/{id}/html", postmark.url()));
    let seen = asked_for(&beacon);
    let harmless = |path: &String| path == "/picture" || path == "/refresh";
    assert!(!seen.is_empty() && seen.iter().all(harmless), "{seen:?}");

    let list = load(&chromium, &postmark.url());
    assert!(
        list.contains("1 message,") && !list.contains("<script"),
        "{list}"
    );
}
