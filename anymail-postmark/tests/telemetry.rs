//! What `tracing` and `metrics` report about sends, calls and webhooks.
#![cfg(all(feature = "webhooks", feature = "metrics"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test panics"
)]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anymail_core::{Mailer, Message, RetryPolicy, WebhookAuth, answer_webhook};
use anymail_postmark::{PostmarkBackend, PostmarkConfig, PostmarkTrackingWebhook};
use anymail_test_utils::{FakePostmark, Fault};
use bytes::Bytes;
use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

type Fields = BTreeMap<&'static str, String>;

/// Keeps the fields of our spans in the order in which the spans end, with the name of each span
/// and of its parent.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Fields>>>);

struct Into<'a>(&'a mut Fields);

impl Visit for Into<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let mut fields = Fields::from([("span", span.name().to_owned())]);
        if let Some(parent) = span.parent() {
            fields.insert("parent", parent.name().to_owned());
        }
        attributes.record(&mut Into(&mut fields));
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        values.record(&mut Into(span.extensions_mut().get_mut().unwrap()));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).unwrap();
        if span.metadata().target().starts_with("anymail") {
            let fields = span.extensions_mut().remove().unwrap();
            self.0.lock().unwrap().push(fields);
        }
    }
}

/// Two messages of which the second is refused, after one failed attempt; a message whose response
/// is lost; and one whose response is only an HTTP status.
async fn send(postmark: &FakePostmark) {
    let config = PostmarkConfig::new("server-token").api_url(postmark.url());
    let retry = RetryPolicy {
        max_tries: 2,
        first_wait: Duration::from_millis(1),
        ..RetryPolicy::standard()
    };
    let mailer = Mailer::builder(PostmarkBackend::new(config).unwrap());
    let mailer = mailer.retry(retry).build();
    let message = |to: &str| {
        let message = Message::builder().from("from@example.com").to(to);
        message.subject("S").text_body("B").build().unwrap()
    };
    let two = [message("a@example.com, b@example.com"), message("a@bad")];
    let maintenance = FakePostmark::api_error(503, 100, "Under maintenance.");
    postmark.server().inject(maintenance, 1);
    let _ = mailer.send_all(&two).await;
    postmark.server().inject(Fault::AcceptThenReset, 1);
    mailer.send(&message("a@example.com")).await.unwrap_err();
    postmark.server().inject(Fault::status(500), 1);
    mailer.send(&message("a@example.com")).await.unwrap_err();
}

async fn post_webhooks() {
    let auth = WebhookAuth::basic([("user", "password")]).unwrap();
    let webhook = PostmarkTrackingWebhook::new(auth);
    for (authorization, body) in [
        ("Basic dXNlcjpwYXNzd29yZA==", r#"{"RecordType": "Open"}"#),
        ("Basic dXNlcjp3cm9uZw==", "{}"),
    ] {
        let request = http::Request::post("/")
            .header("authorization", authorization)
            .header("content-type", "application/json")
            .body(Bytes::from_static(body.as_bytes()))
            .unwrap();
        answer_webhook(&webhook, &request, async |_| Ok::<(), String>(())).await;
    }
}

/// A single test, because the subscriber of a concurrent test may miss spans.
#[test]
fn spans_and_counters_report_what_was_sent_called_and_received() {
    let (spans, sums) = (Spans::default(), Sums::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let subscriber = Registry::default().with(spans.clone());
    let everything = async {
        let postmark = FakePostmark::start().unwrap();
        send(&postmark).await;
        post_webhooks().await;
    };
    metrics::with_local_recorder(&sums, || {
        tracing::subscriber::with_default(subscriber, || runtime.block_on(everything));
    });
    check_spans(&spans.0.lock().unwrap());
    check_sums(&sums.0.lock().unwrap());
}

fn check_spans(spans: &[Fields]) {
    let call = [
        ("span", "call"),
        ("parent", "send"),
        ("otel.kind", "client"),
        ("esp", "postmark"),
        ("http.request.method", "POST"),
    ];
    let in_trouble = [
        ("url.path", "email/batch"),
        ("messaging.batch.message_count", "2"),
        ("http.response.status_code", "503"),
        ("error.type", "503"),
    ];
    let answered = [
        ("url.path", "email/batch"),
        ("messaging.batch.message_count", "2"),
        ("http.response.status_code", "200"),
    ];
    let two = [
        ("span", "send"),
        ("esp", "postmark"),
        ("messaging.batch.message_count", "2"),
        ("recipients", "3"),
        ("tries", "2"),
        ("sent", "1"),
        ("maybe", "0"),
        ("failed", "1"),
        ("error.type", "RecipientsRefused"),
    ];
    let lost = [("url.path", "email"), ("error.type", "Disconnected")];
    let one = [
        ("span", "send"),
        ("esp", "postmark"),
        ("messaging.batch.message_count", "1"),
        ("recipients", "1"),
        ("tries", "1"),
        ("sent", "0"),
        ("maybe", "1"),
        ("failed", "0"),
        ("error.type", "Disconnected"),
    ];
    let broken = [
        ("url.path", "email"),
        ("http.response.status_code", "500"),
        ("error.type", "500"),
    ];
    let told = [
        ("span", "send"),
        ("maybe", "1"),
        ("http.response.status_code", "500"),
        ("error.type", "ServerError"),
    ];
    let webhook = [
        ("span", "webhook"),
        ("otel.kind", "server"),
        ("esp", "postmark"),
        ("kind", "tracking"),
    ];
    let read = [("events", "1"), ("http.response.status_code", "200")];
    let refused = [("http.response.status_code", "503")];
    let wanted: [Vec<(&str, &str)>; 9] = [
        [&call[..], &in_trouble].concat(),
        [&call[..], &answered].concat(),
        two.to_vec(),
        [&call[..], &lost].concat(),
        one.to_vec(),
        [&call[..], &broken].concat(),
        told.to_vec(),
        [&webhook[..], &read].concat(),
        [&webhook[..], &refused].concat(),
    ];
    assert_eq!(spans.len(), wanted.len(), "{spans:#?}");
    for (span, wanted) in spans.iter().zip(wanted) {
        for (name, value) in &wanted {
            assert_eq!(
                span.get(name).map(String::as_str),
                Some(*value),
                "{name} in {span:#?}"
            );
        }
        let seconds: f64 = span["duration"].parse().unwrap();
        assert!(seconds >= 0.0);
        assert!(span.values().all(|value| !value.contains('@')), "{span:#?}");
    }
}

/// Sums up counters and counts the values of histograms.
#[derive(Clone, Default)]
struct Sums(Arc<Mutex<BTreeMap<String, u64>>>);

struct Sum {
    sums: Sums,
    name: String,
}

impl Sums {
    fn sum(&self, key: &Key) -> Arc<Sum> {
        let labels = key.labels().map(|label| label.value());
        let name: Vec<_> = std::iter::once(key.name()).chain(labels).collect();
        Arc::new(Sum {
            sums: self.clone(),
            name: name.join(" "),
        })
    }
}

impl Sum {
    fn add(&self, count: u64) {
        let mut sums = self.sums.0.lock().unwrap();
        *sums.entry(self.name.clone()).or_default() += count;
    }
}

impl CounterFn for Sum {
    fn increment(&self, count: u64) {
        self.add(count);
    }

    fn absolute(&self, _: u64) {
        panic!("{} is only added to", self.name)
    }
}

impl HistogramFn for Sum {
    fn record(&self, seconds: f64) {
        assert!(seconds >= 0.0);
        self.add(1);
    }
}

impl Recorder for Sums {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.sum(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        panic!("{} is a gauge", key.name())
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.sum(key))
    }
}

fn check_sums(sums: &BTreeMap<String, u64>) {
    let sums: Vec<_> = sums
        .iter()
        .map(|(name, sum)| (name.as_str(), *sum))
        .collect();
    assert_eq!(
        sums,
        [
            ("anymail.call.duration postmark", 4),
            ("anymail.calls postmark 200", 1),
            ("anymail.calls postmark 500", 1),
            ("anymail.calls postmark 503", 1),
            ("anymail.calls postmark none", 1),
            ("anymail.messages postmark failed", 1),
            ("anymail.messages postmark maybe", 2),
            ("anymail.messages postmark sent", 1),
            ("anymail.retries postmark", 1),
            ("anymail.send.duration postmark", 3),
            ("anymail.webhook.duration postmark tracking", 2),
            ("anymail.webhook.events postmark tracking", 1),
            ("anymail.webhook.requests postmark tracking 200", 1),
            ("anymail.webhook.requests postmark tracking 503", 1),
        ]
    );
}
