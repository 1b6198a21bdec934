//! The example `newsletter` over HTTP and in Chromium.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test panics"
)]

mod browser;

#[path = "../../examples/newsletter/main.rs"]
#[allow(dead_code, reason = "main belongs to the example")]
mod newsletter;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anymail_core::Env;
use anymail_test_utils::{BounceType, FakePostmark};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;

use self::browser::Browser;

/// The app, and the Postmark that it sends through.
struct Site {
    fake: FakePostmark,
    address: SocketAddr,
    secret: String,
    client: Client,
}

impl Site {
    /// The app's public URL is https://letter.example.com.
    async fn start() -> Self {
        Self::start_with(|_| "https://letter.example.com".to_owned(), &[]).await
    }

    async fn start_with(url: impl Fn(SocketAddr) -> String, more: &[(&str, &str)]) -> Self {
        let fake = FakePostmark::start().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let given = newsletter::connect(&fake, address);
        let mut variables = BTreeMap::from(given.map(|(name, value)| (name.to_owned(), value)));
        variables.extend(more.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        let secret = variables["ANYMAIL_WEBHOOK_SECRET"].clone();
        let env: Env = variables.into_iter().collect();
        let app = newsletter::app(&env, &url(address)).unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            fake,
            address,
            secret,
            client: Client::builder().no_proxy().build().unwrap(),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        answer(self.client.get(self.url(path))).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> (StatusCode, String) {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let request = self.client.post(self.url(path)).body(form.finish());
        answer(request.header("Content-Type", "application/x-www-form-urlencoded")).await
    }

    async fn sign_up(&self, name: &str, email: &str) -> (StatusCode, String) {
        self.post("/subscribe", &[("name", name), ("email", email)])
            .await
    }

    /// Signs up an address and returns the message ID.
    async fn join(&self, name: &str, email: &str) -> String {
        let (status, page) = self.sign_up(name, email).await;
        assert_eq!(status, 200, "{page}");
        assert!(page.contains("Thank you for joining"), "{page}");
        self.fake.messages().last().unwrap().id.clone()
    }

    /// Returns the status page's row for an address.
    async fn row(&self, email: &str) -> String {
        let (_, page) = self.get("/status").await;
        let cell = format!("<td>{email}</td>");
        let mut rows = page.lines().filter(|line| line.contains(&cell));
        rows.next().unwrap_or_default().to_owned()
    }

    async fn assert_state(&self, email: &str, state: &str) {
        let row = self.row(email).await;
        assert!(row.contains(&format!("\">{state}</span>")), "{row}");
    }
}

async fn answer(request: RequestBuilder) -> (StatusCode, String) {
    let answer = request.send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_sign_up_sends_a_message_and_the_status_page_shows_its_events() {
    let site = Site::start().await;
    let (_, page) = site.get("/status").await;
    assert!(page.contains("Nobody yet"), "{page}");

    let id = site.join("Ann <b>", "ann@example.com").await;
    let mail = site.fake.messages()[0].clone();
    assert_eq!(mail.to[0].to_string(), "\"Ann <b>\" <ann@example.com>");
    assert_eq!(mail.template.as_deref(), Some("newsletter-welcome"));
    assert_eq!(mail.subject, "Welcome, Ann <b>");
    assert!(mail.html_body.as_ref().unwrap().contains("Ann &lt;b&gt;"));
    assert_eq!(mail.tag.as_deref(), Some("welcome"));
    assert!(mail.track_opens);
    site.assert_state("ann@example.com", "sent").await;
    let row = site.row("ann@example.com").await;
    assert!(row.contains("Ann &lt;b&gt;"), "{row}");

    site.fake.deliver(&id).await.unwrap();
    site.assert_state("ann@example.com", "delivered").await;
    site.fake.open(&id).await.unwrap();
    site.assert_state("ann@example.com", "opened").await;
    // Late events do not undo newer ones.
    site.fake.deliver(&id).await.unwrap();
    site.assert_state("ann@example.com", "opened").await;
    site.fake.complain(&id).await.unwrap();
    site.assert_state("ann@example.com", "complained").await;
}

#[tokio::test]
async fn an_address_on_the_list_gets_no_second_message() {
    let site = Site::start().await;
    site.join("Ann", "ann@example.com").await;
    let (status, page) = site.sign_up("Ann", "Ann@Example.com").await;
    assert_eq!(status, 200);
    assert!(page.contains("You are already subscribed"), "{page}");
    assert_eq!(site.fake.accepted(), 1);
}

#[tokio::test]
async fn a_bounce_is_shown_and_the_next_attempt_is_refused_with_the_reason() {
    let site = Site::start().await;
    let id = site.join("Bob", "bob@example.com").await;
    site.fake.bounce(&id, BounceType::HardBounce).await.unwrap();
    site.assert_state("bob@example.com", "bounced").await;

    let (status, page) = site.sign_up("Bob", "bob@example.com").await;
    assert_eq!(status, 422);
    assert!(page.contains("We cannot send to this address"), "{page}");
    assert!(page.contains("value=\"bob@example.com\""), "{page}");
    site.assert_state("bob@example.com", "not sent").await;
    // This did not need a call to Postmark.
    assert_eq!(site.fake.calls(), 1);
    let (_, page) = site.get("/status").await;
    let row = "<td>bob@example.com</td><td>bounced</td><td>all mail</td>";
    assert!(
        page.contains(row) && page.contains("<td>postmark</td>"),
        "{page}"
    );
}

#[tokio::test]
async fn one_click_unsubscribes_but_opening_the_link_does_not() {
    let site = Site::start().await;
    let id = site.join("Ann", "ann@example.com").await;
    let mail = site.fake.messages()[0].clone();
    assert_eq!(
        mail.header("List-Unsubscribe-Post"),
        Some("List-Unsubscribe=One-Click")
    );
    let url = mail.header("List-Unsubscribe").unwrap();
    let url = url.trim_matches(['<', '>']);
    assert!(mail.text_body.as_ref().unwrap().contains(url));
    let path = url.strip_prefix("https://letter.example.com").unwrap();

    let (status, page) = site.get(path).await;
    assert_eq!(status, 200);
    assert!(page.contains("ann@example.com will get no more"), "{page}");
    site.assert_state("ann@example.com", "sent").await;

    let click = [("List-Unsubscribe", "One-Click")];
    let (status, page) = site.post(path, &click).await;
    assert_eq!(status, 200);
    assert!(page.contains("You are unsubscribed"), "{page}");
    site.fake.open(&id).await.unwrap();
    site.assert_state("ann@example.com", "unsubscribed").await;
    let (_, page) = site.get("/status").await;
    let row = "<td>ann@example.com</td><td>unsubscribed</td><td>letter</td>";
    assert!(
        page.contains(row) && page.contains("<td>one_click</td>"),
        "{page}"
    );

    // A new sign-up works; the old link still unsubscribes, but old events are ignored.
    site.join("Ann", "ann@example.com").await;
    site.fake.open(&id).await.unwrap();
    site.assert_state("ann@example.com", "sent").await;
    site.post(path, &click).await;
    site.assert_state("ann@example.com", "unsubscribed").await;

    let forged = format!("{}A", &path[..path.len() - 1]);
    let forged = if forged == path {
        format!("{path}A")
    } else {
        forged
    };
    for path in [&*forged, "/unsubscribe/nonsense"] {
        let (status, page) = site.post(path, &click).await;
        assert_eq!(status, 404);
        assert!(page.contains("This link is not valid"), "{page}");
    }
}

#[tokio::test]
async fn form_errors_are_shown_next_to_the_form() {
    let site = Site::start().await;
    for (name, email, said) in [
        ("Ann", "nobody", "This is not a valid email address"),
        ("Ann", "\"><script>", "&quot;&gt;&lt;script&gt;"),
        ("Ann", "", "This is not a valid email address"),
        (
            "Ann",
            "a@example.com, b@example.com",
            "This is not a valid email address",
        ),
        (" ", "ann@example.com", "Please tell us your name"),
    ] {
        let (status, page) = site.sign_up(name, email).await;
        assert_eq!(status, 422, "{email}");
        assert!(page.contains(said), "{page}");
        assert!(!page.contains("<script"), "{page}");
    }
    let (status, _) = site.post("/subscribe", &[]).await;
    assert_eq!(status, 422);
    assert_eq!(site.fake.calls(), 0);
}

#[tokio::test]
async fn a_failure_says_whether_the_message_may_have_been_sent() {
    let site = Site::start().await;
    for (status, code, said, state) in [
        (503, 100, "have sent you none", "not sent"),
        (
            500,
            0,
            "We do not know whether our message was sent",
            "maybe sent",
        ),
        (401, 10, "a problem on our side", "not sent"),
    ] {
        let fault = FakePostmark::api_error(status, code, "s3cret words");
        site.fake.server().inject(fault, 1);
        let (status, page) = site.sign_up("Ann", "ann@example.com").await;
        assert!(!status.is_success(), "{status}");
        assert!(page.contains(said) && !page.contains("s3cret"), "{page}");
        site.assert_state("ann@example.com", state).await;
    }
    site.join("Ann", "ann@example.com").await;
    assert_eq!(site.fake.accepted(), 1);
}

#[tokio::test]
async fn a_reply_is_shown_once_however_often_it_is_posted() {
    let site = Site::start().await;
    let mail = b"From: Ann <ann@example.com>\r\nTo: letter@example.com\r\n\
        Subject: <i>Anvils</i>\r\n\r\nMore of them, please.\r\n";
    let reports = site.fake.receive(mail).await.unwrap();
    assert_eq!(reports[0].status(), Some(200));
    let (_, page) = site.get("/status").await;
    assert!(page.contains("&lt;i&gt;Anvils"), "{page}");
    assert_eq!(page.matches("More of them, please.").count(), 1);

    let (user, password) = site.secret.split_once(':').unwrap();
    let url = site.url("/anymail/postmark/inbound/");
    let again = json!({"FromFull": {"Email": "b@example.com"}, "MessageID": "m",
        "TextBody": "Fewer, please."});
    for password in [password, password, "wrong"] {
        let request = site.client.post(&url).basic_auth(user, Some(password));
        let request = request.header("Content-Type", "application/json");
        let (status, _) = answer(request.body(again.to_string())).await;
        assert_eq!(status.is_success(), password != "wrong");
    }
    let (_, page) = site.get("/status").await;
    assert_eq!(page.matches("Fewer, please.").count(), 1, "{page}");
}

#[tokio::test]
async fn one_variable_selects_another_backend() {
    let memory = [
        ("ANYMAIL_BACKEND", "memory"),
        ("NEWSLETTER_KEY", "a long random key"),
    ];
    let site = Site::start_with(|address| format!("http://{address}"), &memory).await;
    let (status, _) = site.sign_up("Ann", "ann@example.com").await;
    assert_eq!(status, 200);
    site.assert_state("ann@example.com", "sent").await;
    let (_, page) = site.get("/status").await;
    assert!(page.contains("are sent with memory"), "{page}");
    assert_eq!(site.fake.calls(), 0);
}

#[test]
fn missing_settings_are_reported_at_start() {
    let env = Env::from([
        ("ANYMAIL_BACKEND", "postmark"),
        ("POSTMARK_SERVER_TOKEN", "token"),
        ("ANYMAIL_SUPPRESSIONS", r#"{"store": "memory"}"#),
    ]);
    let error = newsletter::app(&env, "https://letter.example.com").unwrap_err();
    let error = error.to_string();
    assert!(error.contains("the welcome mail cannot be sent"), "{error}");
    assert!(error.contains("from"), "{error}");

    let env = Env::from([
        ("ANYMAIL_BACKEND", "postmark"),
        ("POSTMARK_SERVER_TOKEN", "token"),
        ("ANYMAIL_DEFAULT_FROM", "letter@example.com"),
        ("ANYMAIL_SUPPRESSIONS", r#"{"store": "memory"}"#),
    ]);
    let error = newsletter::app(&env, "https://letter.example.com").unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("ANYMAIL_WEBHOOK_SECRET: the webhooks of postmark need authentication"),
        "{error}"
    );

    let env = Env::from([
        ("ANYMAIL_BACKEND", "memory"),
        ("ANYMAIL_DEFAULT_FROM", "letter@example.com"),
    ]);
    let error = newsletter::app(&env, "https://letter.example.com").unwrap_err();
    assert!(error.to_string().contains("set ANYMAIL_SUPPRESSIONS"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_up_looks_and_leaves_in_a_browser() {
    let Some(chromium) = browser::chromium() else {
        println!("skipped: Chromium is not installed (set CHROMIUM to its path)");
        return;
    };
    let site = Site::start_with(|address| format!("http://{address}"), &[]).await;
    let mut browser = Browser::start(&chromium);

    browser.open(&site.url("/"));
    browser.wait_for("One letter a month");
    browser.type_into("#name", "Ann Müller");
    // The browser accepts this address; the app does not.
    browser.type_into("#email", "ann..m@example.com");
    browser.press_enter();
    browser.wait_for("This is not a valid email address");
    assert_eq!(browser.value_of("#name"), "Ann Müller");
    browser.type_into("#email", "ann@example.com");
    browser.press_enter();
    browser.wait_for("We have sent a message to ann@example.com");

    browser.open(&site.url("/status"));
    browser.wait_for("ann@example.com sent");
    let mail = site.fake.messages()[0].clone();
    assert_eq!(mail.to[0].name, "Ann Müller");
    site.fake.deliver(&mail.id).await.unwrap();
    // No action is needed: the page reloads itself.
    browser.wait_for("ann@example.com delivered");

    // She opens the message and replies to it, on the fake's pages.
    let mailbox = format!("{}/mailbox", site.fake.url());
    browser.open(&format!("{mailbox}/{}", mail.id));
    browser.wait_for("Deliver");
    browser.focus("form[action$='/open'] button");
    browser.press_enter();
    browser.wait_for("HTTP 200");
    browser.open(&format!("{mailbox}/receive"));
    browser.wait_for("The message is posted to");
    browser.type_into("#from", "Ann <ann@example.com>");
    browser.type_into("#to", "letter@example.com");
    browser.type_into("#subject", "How nice");
    browser.press_enter();
    browser.wait_for("HTTP 200");
    browser.open(&site.url("/status"));
    browser.wait_for("ann@example.com opened");
    browser.wait_for("How nice");

    let text = mail.text_body.clone().unwrap();
    let (_, link) = text.split_once("no more: ").unwrap();
    browser.open(link.trim());
    browser.wait_for("No more letters?");
    browser.focus("button");
    browser.press_enter();
    browser.wait_for("You are unsubscribed");
    browser.open(&site.url("/status"));
    browser.wait_for("ann@example.com unsubscribed");
}
