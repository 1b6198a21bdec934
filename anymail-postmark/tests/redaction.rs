//! No output contains a token, a webhook secret or a body: neither `Debug` nor `Display` nor an
//! error's sources, and no log line at any level, including those of dependencies.
//!
//! This is a single test because a log belongs to the whole program.
#![cfg(feature = "webhooks")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test panics"
)]

use std::error::Error;
use std::fmt::{Debug, Write as _};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anymail_core::{
    Env, Failover, HookError, Mailer, MailersConfig, Member, MemoryBackend, Message,
    MessageBuilder, PreSendVerdict, Registry, RetryPolicy, SendError, SendStatus,
    UnsupportedPolicy, Webhook, WebhookAuth, answer_webhook,
};
use anymail_postmark::{
    PostmarkBackend, PostmarkConfig, PostmarkFactory, PostmarkInboundWebhook, PostmarkOptions,
    PostmarkTrackingWebhook,
};
use anymail_test_utils::{FakePostmark, Fault, LoopbackServer, StoredTemplate};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use serde_json::json;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::fmt::writer::MakeWriter;

const TOKEN: &str = "s3cret-server-token";
const OWN_TOKEN: &str = "s3cret-token-of-one-message";
const HOOK_USER: &str = "s3cret-hook-user";
const HOOK_PASSWORD: &str = "s3cret-hook-password";
/// Not valid here, but it could be valid elsewhere.
const WRONG_PASSWORD: &str = "s3cret-wrong-password";
const TEXT: &str = "the-text-that-is-nobodys-business";
const HTML: &str = "the-html-that-is-nobodys-business";
const FILE: &str = "the-file-that-is-nobodys-business";
const MODEL: &str = "the-data-that-is-nobodys-business";

/// Everything that was printed.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl io::Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Printed {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Printed {
    fn debug(&self, value: &dyn Debug) {
        let mut text = String::new();
        writeln!(text, "{value:?}\n{value:#?}").unwrap();
        self.0.lock().unwrap().extend_from_slice(text.as_bytes());
    }

    fn error(&self, error: &dyn Error) {
        self.debug(&error);
        let mut cause = Some(error);
        while let Some(error) = cause {
            self.debug(&error.to_string());
            cause = error.source();
        }
    }

    fn result(&self, result: &Result<SendStatus, SendError>) {
        match result {
            Ok(status) => self.debug(status),
            Err(error) => self.error(error),
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

fn builder(to: &str) -> MessageBuilder {
    let builder = Message::builder().from("from@example.com").to(to);
    builder.attach("a.bin", FILE.as_bytes())
}

fn plain(to: &str) -> Message {
    let builder = builder(to).subject("S").text_body(TEXT).html_body(HTML);
    builder.build().unwrap()
}

/// One message of each kind: plain, in a batch, with a template, with its own token.
fn messages() -> Vec<Message> {
    let batch = builder("ann@example.com, bob@example.com").subject("S");
    let batch = batch.text_body(TEXT).batch();
    let template = builder("ann@example.com").template_id("welcome");
    let template = template.merge_global_data(json!({"k": MODEL}));
    let template = template.merge_data("ann@example.com", json!({"own": MODEL}));
    let options = PostmarkOptions::new().server_token(OWN_TOKEN);
    let own_token = builder("ann@example.com").subject("S").text_body(TEXT);
    let own_token = own_token.esp_extra(options.to_esp_extra());
    let built = [batch, template, own_token].map(|builder| builder.build().unwrap());
    [vec![plain("ann@example.com")], built.to_vec()].concat()
}

fn config(url: String) -> PostmarkConfig {
    let config = PostmarkConfig::new(TOKEN).api_url(url);
    config.timeout(Duration::from_secs(2))
}

/// Every fault in every kind of call.
async fn send_all_ways(printed: &Printed) {
    let cases = Fault::one_of_each().into_iter().map(|fault| async move {
        for (bulk, ids) in [(false, true), (true, false)] {
            let postmark = FakePostmark::builder().token(TOKEN).start().unwrap();
            let welcome = StoredTemplate::new("welcome").subject("S");
            postmark.add_template(welcome.text_body("{{k}}").html_body("<p>{{own}}</p>"));
            postmark.server().inject(fault.clone(), 2);
            let config = config(postmark.url())
                .use_bulk_api(bulk)
                .generate_message_id(ids);
            printed.debug(&config);
            let backend = PostmarkBackend::new(config).unwrap();
            printed.debug(&backend);
            let retry = RetryPolicy {
                max_tries: 2,
                first_wait: Duration::from_millis(1),
                ..RetryPolicy::standard()
            };
            let mailer = Mailer::builder(backend.clone()).retry(retry).build();
            printed.debug(&mailer);
            for message in messages() {
                printed.debug(&message);
                printed.result(&mailer.send(&message).await);
            }
            for result in mailer.send_all(&messages()).await {
                printed.result(&result);
            }
            postmark.server().inject(fault.clone(), 1);
            match backend.find_sent("id").await {
                Ok(found) => printed.debug(&found),
                Err(error) => printed.error(&error),
            }
        }
    });
    stream::iter(cases)
        .buffer_unordered(10)
        .collect::<()>()
        .await;
}

/// Servers that echo what they were sent.
async fn send_to_echoes(printed: &Printed) {
    for status in [200, 302, 401, 422, 500] {
        for as_json in [true, false] {
            let server = LoopbackServer::start(move |request| {
                let token = request.headers()["x-postmark-server-token"]
                    .to_str()
                    .unwrap();
                let body = match as_json {
                    true => {
                        let words = format!("What is {token} good for?");
                        let answer = json!({"ErrorCode": 10, "Message": words, "Token": token});
                        Bytes::from(answer.to_string())
                    }
                    false => request.body().clone(),
                };
                let response = Response::builder().status(status);
                let response = response.header("location", format!("http://127.0.0.1:9/{token}"));
                response.header("x-echo", token).body(body).unwrap()
            });
            let server = server.unwrap();
            let backend = PostmarkBackend::new(config(server.url())).unwrap();
            let mailer = Mailer::new(backend.clone());
            let members = ["one", "two"].map(|name| Member::new(name, backend.clone()));
            let group = Mailer::new(Failover::new(members));
            printed.debug(&group);
            for message in messages() {
                printed.result(&mailer.send(&message).await);
                printed.result(&group.send(&message).await);
            }
            if let Err(error) = backend.find_sent("id").await {
                printed.error(&error);
            }
            // This server does not support TLS, so the client's own error about it is printed.
            let tls = server.url().replace("http://", "https://");
            let mailer = Mailer::new(PostmarkBackend::new(config(tls)).unwrap());
            printed.result(&mailer.send(&plain("ann@example.com")).await);
        }
    }
}

/// What is refused before it is sent.
async fn be_refused(printed: &Printed) {
    for json in [
        json!({"to": ["a@example.com"], "text_body": [TEXT]}),
        json!(TEXT),
        json!([TEXT]),
        json!({"to": "a@example.com", "attachments": TEXT}),
        json!({"to": "a@example.com", "attachments": [{"content_base64": FILE, "name": FILE}]}),
        json!({"to": "a@example.com", "alternatives": [TEXT]}),
        json!({"to": "a@example.com", "merge_data": MODEL, "merge_global_data": [MODEL]}),
        json!({"to": "a@example.com", "esp_extra": {"server_token": OWN_TOKEN}, "nonsense": 1}),
    ] {
        let error = Message::from_json(&serde_json::to_vec(&json).unwrap());
        printed.error(&error.unwrap_err());
    }
    for config in [
        PostmarkConfig::new(format!("{TOKEN}\n")).api_url("http://example.com"),
        PostmarkConfig::new(TOKEN).api_url(format!("https://{TOKEN}:{TOKEN}@example.com")),
    ] {
        printed.debug(&config.clone().timeout(Duration::ZERO));
        printed.error(&PostmarkBackend::new(config.timeout(Duration::ZERO)).unwrap_err());
    }
    let mut odd = plain("ann@example.com");
    odd.tags = vec!["a".to_owned(), "b".to_owned()].into();
    odd.esp_extra = serde_json::from_value(json!({
        "server_token": format!("{OWN_TOKEN}\n"), "To": TEXT, "Subject": format!("{TEXT}\n"),
    }))
    .map(|map: anymail_core::JsonMap| map.into())
    .unwrap();
    for policy in [UnsupportedPolicy::Refuse, UnsupportedPolicy::Drop] {
        let backend = PostmarkBackend::new(PostmarkConfig::new(TOKEN)).unwrap();
        let mailer = Mailer::builder(backend).unsupported(policy).build();
        printed.debug(&mailer.check(&odd));
        printed.result(&mailer.send(&odd).await);
    }
    let memory = Arc::new(MemoryBackend::new());
    let post = |_: &Message, _: Result<&SendStatus, &SendError>| Err(HookError::from("no"));
    let mailer = Mailer::builder(memory.clone()).post_send(post).build();
    printed.result(&mailer.send(&plain("ann@example.com")).await);
    printed.debug(&memory);
    printed.debug(&memory.outbox());
    printed.debug(&memory.outbox().messages());
    let pre = |_: &mut Message| Ok(PreSendVerdict::Cancel("no".to_owned()));
    let mailer = Mailer::builder(memory).pre_send(pre).build();
    printed.result(&mailer.send(&plain("ann@example.com")).await);
}

/// Configurations, valid and invalid.
fn configure(printed: &Printed) {
    let registry = Registry::new().with(PostmarkFactory);
    printed.debug(&registry);
    for options in [
        json!({"server_token": TOKEN}),
        json!({"server_tokn": TOKEN}),
        json!({"server_token": [TOKEN]}),
        json!({"timeout": TOKEN}),
        json!([TOKEN]),
        json!(TOKEN),
        json!({"server_token": TOKEN, "timeout": TOKEN}),
        json!({"server_token": format!("{TOKEN}\n")}),
    ] {
        let json = json!({
            "backend": "postmark", "options": options,
            "webhook_secret": format!("{HOOK_USER}:{HOOK_PASSWORD}"),
        });
        match serde_json::from_value::<MailersConfig>(json) {
            Ok(config) => {
                printed.debug(&config);
                match config.build(&registry) {
                    Ok(mailers) => printed.debug(&mailers),
                    Err(error) => printed.error(&error),
                }
            }
            Err(error) => printed.error(&error),
        }
    }
}

/// URLs that select a backend and its options, valid and invalid.
async fn configure_by_url(printed: &Printed) {
    let registry = Registry::new().with(PostmarkFactory);
    let fake = FakePostmark::builder().token(TOKEN).start().unwrap();
    let host = fake.url().replace("http://", "");
    let hook = format!("webhook_secret={HOOK_USER}:{HOOK_PASSWORD}");
    let mut calls = 0;
    for url in [
        format!("postmark+http://{TOKEN}@{host}?{hook}"),
        format!("failover://?members=postmark%2Bhttp%3A%2F%2F{TOKEN}%40{host}&{hook}"),
        format!("postmark+http://{TOKEN}@127.0.0.1:9?{hook}"),
        format!("postmark+http://{TOKEN}@example.com?{hook}"),
        format!("postmark+http://{TOKEN}:{HOOK_PASSWORD}@{host}?{hook}"),
        format!("postmark+http://{TOKEN}/{TOKEN}@{host}?{hook}"),
        format!("postmark+http://{TOKEN}@{host}?webhook_secret={HOOK_PASSWORD}"),
        format!("postmark+http://{TOKEN}@{host}?{TOKEN}&timeout={TOKEN}&proxy={TOKEN}"),
        format!("postmark+http://{TOKEN}@{host}?{hook}#{TOKEN}"),
        format!("postmrak://{TOKEN}@default?{hook}"),
        TOKEN.to_owned(),
    ] {
        let names = ["ANYMAIL_URL", "ANYMAIL_BACKEND", "ANYMAIL_FAILOVER_MEMBERS"];
        // The name of a backend or mailer is not a secret.
        let places = if url.contains(':') { 3 } else { 1 };
        for name in names.into_iter().take(places) {
            let mut env = vec![(name, url.as_str())];
            if name == "ANYMAIL_FAILOVER_MEMBERS" {
                env.push(("ANYMAIL_BACKEND", "failover"));
            }
            let env = Env::from_iter(env);
            printed.debug(&env);
            let config = MailersConfig::from_env(&env, &registry);
            printed.debug(&config);
            let mailers = match config.build_in(&env, &registry) {
                Ok(mailers) => mailers,
                Err(error) => {
                    printed.error(&error);
                    continue;
                }
            };
            printed.debug(&mailers);
            match mailers.webhooks() {
                Ok(webhooks) => printed.debug(&webhooks),
                Err(error) => printed.error(&error),
            }
            let mailer = mailers.default_mailer();
            let result = mailer.send(&plain("ann@example.com")).await;
            printed.result(&result);
            let answered = result.is_err_and(|error| error.http_status().is_some());
            calls += u64::from(answered);
        }
    }
    assert_eq!(calls, fake.calls());
    assert!(calls > 3, "{calls}");
}

/// Webhook requests, valid and invalid.
async fn receive(printed: &Printed) {
    let auth = WebhookAuth::basic([(HOOK_USER, HOOK_PASSWORD)]).unwrap();
    printed.debug(&auth);
    let tracking = PostmarkTrackingWebhook::new(auth.clone());
    let inbound = PostmarkInboundWebhook::new(auth).with_body_limit(100_000);
    printed.debug(&tracking);
    printed.debug(&inbound);
    let raw = format!("Subject: S\r\nContent-Type: text/plain\r\n\r\n{TEXT}");
    let file = json!({"Name": "a.bin", "ContentType": "text/plain", "ContentLength": 1});
    let mut attached = file;
    attached["Content"] = STANDARD.encode(FILE).into();
    let mail = json!({
        "From": "a@example.com", "MessageID": "m", "TextBody": TEXT, "HtmlBody": HTML,
        "StrippedTextReply": TEXT, "RawEmail": raw, "Attachments": [attached],
    });
    let bounce = json!({
        "RecordType": "Bounce", "Type": "HardBounce", "Email": "a@example.com", "Content": raw,
    });
    let webhooks: [&dyn Webhook; 2] = [&tracking, &inbound];
    for webhook in webhooks {
        for body in [
            mail.to_string(),
            bounce.to_string(),
            json!([TEXT]).to_string(),
            json!({"RecordType": [TEXT], "TextBody": {"x": TEXT}}).to_string(),
            TEXT.to_owned(),
            format!("{{\"TextBody\": \"{TEXT}"),
            TEXT.repeat(5_000),
            String::new(),
        ] {
            for (user, password) in [
                (HOOK_USER, HOOK_PASSWORD),
                (HOOK_USER, WRONG_PASSWORD),
                (WRONG_PASSWORD, HOOK_PASSWORD),
            ] {
                let basic = STANDARD.encode(format!("{user}:{password}"));
                let request = Request::post("/")
                    .header("authorization", format!("Basic {basic}"))
                    .header("content-type", "application/json")
                    .body(Bytes::from(body.clone()))
                    .unwrap();
                match webhook.parse(&request) {
                    Ok(events) => printed.debug(&events),
                    Err(error) => printed.error(&error),
                }
                let fails = async |_| Err::<(), _>("the database is away");
                let answer = answer_webhook(webhook, &request, fails).await;
                printed.debug(&answer.body());
            }
        }
    }
    for pair in [("", HOOK_PASSWORD), (HOOK_USER, ""), ("a:b", HOOK_PASSWORD)] {
        match WebhookAuth::basic([pair]) {
            Ok(auth) => printed.debug(&auth),
            Err(error) => printed.error(&error),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_no_webhook_secret_and_no_body_is_ever_printed() {
    let printed = Printed::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing::level_filters::LevelFilter::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_writer(printed.clone())
        .init();
    send_all_ways(&printed).await;
    send_to_echoes(&printed).await;
    be_refused(&printed).await;
    configure(&printed);
    configure_by_url(&printed).await;
    receive(&printed).await;

    let text = printed.text();
    for seen in [
        "TRACE",
        "hyper_util::client",
        "rustls_platform_verifier",
        "send{esp=\"postmark\"",
        "call{",
        "webhook{",
        "retrying messages",
        "a member did not accept the message",
        "refused a webhook request",
        "[redacted]",
    ] {
        assert!(
            text.contains(seen),
            "{seen} is not there: is the test blind?"
        );
    }
    let secrets = [TOKEN, OWN_TOKEN, HOOK_USER, HOOK_PASSWORD, WRONG_PASSWORD];
    let bodies = [TEXT, HTML, FILE, MODEL];
    let pairs = [
        format!("{HOOK_USER}:{HOOK_PASSWORD}"),
        format!("{HOOK_USER}:{WRONG_PASSWORD}"),
        format!("{WRONG_PASSWORD}:{HOOK_PASSWORD}"),
    ];
    let plain = [&secrets[..], &bodies]
        .concat()
        .into_iter()
        .map(str::to_owned);
    let encoded = bodies.map(|body| STANDARD.encode(body));
    let encoded = encoded
        .into_iter()
        .chain(pairs.map(|pair| STANDARD.encode(pair)));
    for secret in plain.chain(encoded) {
        if let Some(at) = text.find(&secret) {
            let start = text[..at].rfind('\n').map_or(0, |at| at + 1);
            let line: String = text[start..].chars().take(2_000).collect();
            panic!("{secret} was printed: {line}");
        }
    }
    for line in text.lines() {
        let above_debug = [" INFO ", " WARN ", "ERROR "]
            .iter()
            .any(|level| line.contains(level));
        let quiet = !(above_debug && line.contains("@example.com"));
        assert!(quiet, "an address in a log: {line}");
    }
    println!("{} lines were searched", text.lines().count());
}
