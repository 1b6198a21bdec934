//! The fault matrix: every fault, at every stage of a call, for every kind of call.
//!
//! The result that the caller gets must match what the fake Postmark has accepted.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test panics"
)]

use std::time::Duration;

use anymail_core::SendErrorKind as Kind;
use anymail_core::{
    Accepted, Mailer, Message, RecipientStatus, RetryPolicy, SendError, SendStatus, Status,
};
use anymail_postmark::{PostmarkBackend, PostmarkConfig};
use anymail_test_utils::{FakePostmark, Fault, StoredTemplate};
use futures_util::{StreamExt, stream};

/// The expected result of a fault.
#[derive(Debug, Clone, Copy)]
enum Effect {
    /// Nothing.
    Harmless,
    /// It was certainly not accepted, and may be accepted later.
    NotThere(Kind),
    /// It may have been accepted; and whether it may be accepted later.
    Lost(Kind, bool),
    /// The same for the last of several rows.
    LastRowLost,
    /// One of the first three, depending on when the client notices.
    Race,
}

/// Every fault of `faults.rs`, in its order.
fn matrix() -> Vec<(Fault, Effect)> {
    use Effect::{Harmless, LastRowLost, Lost, NotThere, Race};
    let effects = [
        Race,                               // reset on accept: before or after the request was written
        Lost(Kind::Disconnected, true),     // reset before reading
        Lost(Kind::Disconnected, true),     // reset while reading
        Lost(Kind::Disconnected, true),     // reset after reading
        Lost(Kind::Disconnected, true),     // accepted, then reset
        Lost(Kind::Disconnected, true),     // accepted, then closed
        Lost(Kind::Timeout, true),          // hang
        Lost(Kind::Timeout, true),          // accepted, then hang
        Harmless,                           // a byte every 1ms
        Lost(Kind::Disconnected, true),     // cut after 10 bytes
        Lost(Kind::Disconnected, true),     // garbage
        NotThere(Kind::RateLimited),        // 429
        Lost(Kind::ServerError, true),      // 500
        Lost(Kind::ServerError, true),      // 503, from an unknown server
        Lost(Kind::ServerError, true),      // 502 with a page
        Lost(Kind::InvalidResponse, false), // empty
        Lost(Kind::InvalidResponse, false), // no JSON
        LastRowLost,                        // a row too few
        Harmless,                           // rows reversed
    ];
    let faults = Fault::one_of_each();
    assert_eq!(faults.len(), effects.len(), "a new fault needs its effect");
    faults.into_iter().zip(effects).collect()
}

/// The kinds of calls that the backend makes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// `email`
    Single,
    /// `email/withTemplate/`
    Template,
    /// `email/batch`, unrelated messages
    Batch,
    /// `email/batchWithTemplates`, unrelated messages
    TemplateBatch,
    /// `email/batch`, one message that each recipient gets separately
    Merge,
    /// `email/bulk`
    Bulk,
}

const WAYS: [Way; 6] = [
    Way::Single,
    Way::Template,
    Way::Batch,
    Way::TemplateBatch,
    Way::Merge,
    Way::Bulk,
];

const PEOPLE: [&str; 3] = ["ann@example.com", "bob@example.com", "cem@example.com"];

impl Way {
    fn messages(self) -> Vec<Message> {
        let to = |to: &[&str]| {
            let message = Message::builder()
                .from("from@example.com")
                .to(to.join(", "));
            match self {
                Self::Template | Self::TemplateBatch => message.template_id("welcome"),
                _ => message.subject("S").text_body("the body"),
            }
        };
        let messages = match self {
            Self::Single | Self::Template => vec![to(&PEOPLE[..1])],
            Self::Batch | Self::TemplateBatch => PEOPLE.iter().map(|one| to(&[one])).collect(),
            Self::Merge | Self::Bulk => vec![to(&PEOPLE)],
        };
        let build = |message: anymail_core::MessageBuilder| {
            let mut message = message.build().unwrap();
            if self == Self::Merge {
                message.merge_metadata.value_or_default();
            }
            message
        };
        messages.into_iter().map(build).collect()
    }

    /// Returns everybody who gets a message.
    fn mails(self) -> usize {
        match self {
            Self::Single | Self::Template => 1,
            _ => PEOPLE.len(),
        }
    }

    /// Whether each message has a separate row in the response.
    fn has_rows(self) -> bool {
        matches!(self, Self::Batch | Self::TemplateBatch | Self::Merge)
    }

    async fn send(self, mailer: &Mailer) -> Vec<Result<SendStatus, SendError>> {
        match &self.messages()[..] {
            [one] => vec![mailer.send(one).await],
            many => mailer.send_all(many).await,
        }
    }
}

/// When the fault occurs.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    /// In the first call, on a new connection.
    First,
    /// In a call on a reused connection.
    Reused,
    /// In the second and last attempt, after a 429.
    Second,
    /// In every attempt.
    Always,
}

const STAGES: [Stage; 4] = [Stage::First, Stage::Reused, Stage::Second, Stage::Always];

/// The result of one message, as the caller gets it.
#[derive(Debug, Clone, PartialEq)]
enum Told {
    Sent,
    Unknown,
    Failed {
        kind: Kind,
        accepted: Accepted,
        transient: bool,
        tries: u32,
    },
}

fn told(way: Way, results: &[Result<SendStatus, SendError>]) -> Vec<Told> {
    let recipient = |recipient: &RecipientStatus| match recipient.status {
        Status::Sent | Status::Queued => Told::Sent,
        Status::Unknown => Told::Unknown,
        other => panic!("{other:?}"),
    };
    let mut all = Vec::new();
    for result in results {
        match result {
            Ok(status) => all.extend(status.recipients().map(recipient)),
            Err(error) => {
                let failed = Told::Failed {
                    kind: error.kind(),
                    accepted: error.accepted(),
                    transient: error.is_transient(),
                    tries: error.tries(),
                };
                all.extend(vec![failed; way.mails() / results.len()]);
            }
        }
    }
    all
}

/// The expected result, number of calls, and number of accepted messages.
fn expected(way: Way, stage: Stage, fault: &Fault, effect: Effect) -> (Vec<Told>, u64, usize) {
    let mails = way.mails();
    let handled = if fault.handled() { mails } else { 0 };
    let failed = |kind, accepted, transient, tries| Told::Failed {
        kind,
        accepted,
        transient,
        tries,
    };
    // The 429 of the second stage is an attempt, too.
    let before = u32::from(stage == Stage::Second);
    let calls = u64::from(before) + 1;
    match effect {
        Effect::Harmless => (vec![Told::Sent; mails], calls, handled),
        Effect::NotThere(kind) => match stage {
            // The retry succeeds.
            Stage::First | Stage::Reused => (vec![Told::Sent; mails], 2, mails),
            Stage::Second => (vec![failed(kind, Accepted::No, true, 2); mails], 2, 0),
            Stage::Always => (vec![failed(kind, Accepted::No, true, 3); mails], 3, 0),
        },
        Effect::Lost(kind, transient) => {
            let lost = failed(kind, Accepted::Maybe, transient, before + 1);
            (vec![lost; mails], calls, handled)
        }
        Effect::LastRowLost if !way.has_rows() => (vec![Told::Sent; mails], calls, handled),
        Effect::LastRowLost => {
            let mut all = vec![Told::Sent; mails];
            all[mails - 1] = match way {
                // One message with a status for each recipient.
                Way::Merge => Told::Unknown,
                _ => failed(Kind::InvalidResponse, Accepted::Maybe, false, before + 1),
            };
            (all, calls, handled)
        }
        Effect::Race => panic!("nothing is certain of {fault}"),
    }
}

async fn fake() -> FakePostmark {
    let postmark = FakePostmark::start().unwrap();
    let welcome = StoredTemplate::new("welcome").subject("S");
    postmark.add_template(welcome.text_body("the body").html_body("<p>the body</p>"));
    postmark
}

fn config(postmark: &FakePostmark) -> PostmarkConfig {
    PostmarkConfig::new("server-token").api_url(postmark.url())
}

fn tries(max_tries: u32) -> RetryPolicy {
    RetryPolicy {
        max_tries,
        first_wait: Duration::from_millis(1),
        ..RetryPolicy::standard()
    }
}

/// Tests one field of the matrix; returns what is wrong with it.
async fn run(way: Way, stage: Stage, fault: Fault, effect: Effect) -> Result<(), String> {
    let postmark = fake().await;
    let server = postmark.server();
    let hangs = matches!(fault, Fault::Hang | Fault::AcceptThenHang);
    let mut config = config(&postmark).use_bulk_api(way == Way::Bulk);
    if way == Way::Bulk {
        config = config.message_stream("broadcast");
    }
    if hangs {
        config = config.timeout(Duration::from_secs(3));
    }
    let max_tries = if stage == Stage::Second { 2 } else { 3 };
    let mailer = Mailer::builder(PostmarkBackend::new(config).unwrap())
        .retry(tries(max_tries))
        .build();
    match stage {
        Stage::First | Stage::Always => {}
        Stage::Reused => {
            for _ in 0..3 {
                mailer.send(&Way::Single.messages()[0]).await.unwrap();
            }
        }
        Stage::Second => server.inject(Fault::rate_limited(None), 1),
    }
    let (calls, accepted) = (postmark.calls(), postmark.accepted());
    let times = if stage == Stage::Always { 10 } else { 1 };
    server.inject(fault.clone(), times);
    let results = way.send(&mailer).await;
    server.clear_faults();

    let told = told(way, &results);
    let calls = postmark.calls() - calls;
    let accepted = postmark.accepted() - accepted;
    if let Effect::Race = effect {
        return honest(&told, accepted).ok_or(format!("{told:?}, {accepted} accepted"));
    }
    let got = (told, calls, accepted);
    let wanted = expected(way, stage, &fault, effect);
    if got != wanted {
        return Err(format!("\n   got {got:?}\nwanted {wanted:?}"));
    }
    check_ids(&postmark, &results)
}

/// Checks what holds in any case: messages reported as sent were accepted, and messages reported as
/// not accepted were not.
fn honest(told: &[Told], accepted: usize) -> Option<()> {
    let all = |wanted: fn(&Told) -> bool| told.iter().all(wanted);
    let sent = accepted == told.len() && all(|it| *it == Told::Sent);
    let failed = accepted == 0
        && all(|it| {
            matches!(
                it,
                Told::Failed {
                    kind: Kind::Connect,
                    accepted: Accepted::No,
                    transient: true,
                    ..
                } | Told::Failed {
                    kind: Kind::Disconnected,
                    accepted: Accepted::Maybe,
                    transient: true,
                    ..
                }
            )
        });
    (sent || failed).then_some(())
}

/// Checks that everybody who is reported as sent has their own message ID, and that an uncertain
/// error contains a status that says so for each of its recipients.
fn check_ids(
    postmark: &FakePostmark,
    results: &[Result<SendStatus, SendError>],
) -> Result<(), String> {
    let messages = postmark.messages();
    let status = |result: &Result<SendStatus, SendError>| match result {
        Ok(status) => Some(status.clone()),
        Err(error) => error.status().cloned(),
    };
    for result in results {
        let maybe = |error: &SendError| error.accepted() == Accepted::Maybe;
        let Some(status) = status(result) else {
            if result.as_ref().is_err_and(maybe) {
                return Err("nothing says who may have got it".to_owned());
            }
            continue;
        };
        for recipient in status.recipients() {
            let id = recipient.message_id.as_deref();
            let theirs = messages.iter().any(|message| {
                let own_id = message.metadata.get("anymail_id").map(String::as_str);
                let ids = [Some(message.id.as_str()), own_id];
                message.to[0].email == recipient.email && ids.contains(&id)
            });
            if recipient.status != Status::Unknown && !theirs {
                return Err(format!("no message {id:?} to {}", recipient.email));
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_any_fault_the_caller_knows_what_the_esp_has() {
    let mut cases = Vec::new();
    for way in WAYS {
        for stage in STAGES {
            for (fault, effect) in matrix() {
                let once = !matches!(effect, Effect::NotThere(_));
                if stage == Stage::Always && once {
                    continue; // there is no second try
                }
                cases.push(async move {
                    let name = format!("{way:?}, {stage:?}, {fault}");
                    let result = run(way, stage, fault, effect).await;
                    result.err().map(|why| format!("{name}: {why}"))
                });
            }
        }
    }
    let count = cases.len();
    let wrong: Vec<_> = stream::iter(cases)
        .buffer_unordered(24)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_in_one_call_of_a_split_batch_is_reported_for_its_recipients_only() {
    let cases = matrix().into_iter().map(|(fault, effect)| async move {
        let postmark = fake().await;
        // Postmark accepts 500 rows per call, so the second call has one.
        let to: Vec<_> = (0..501).map(|i| format!("u{i}@example.com")).collect();
        let mut message = Message::builder().from("from@example.com").to(to.join(","));
        message = message.subject("S").text_body("the body");
        let mut message = message.build().unwrap();
        message.merge_metadata.value_or_default();
        let broken = fault.clone();
        let rule = move |_, request: &http::request::Parts| {
            let length = request.headers["content-length"].to_str().unwrap();
            // The call with one row is far shorter than the one with 500.
            (length.len() < 5).then(|| broken.clone())
        };
        postmark.server().inject_rule(rule);
        let config = config(&postmark).timeout(Duration::from_secs(5));
        let mailer = Mailer::builder(PostmarkBackend::new(config).unwrap());
        let mailer = mailer.retry(tries(3)).build();
        let status = mailer.send(&message).await.unwrap();

        let sent = status.recipients().filter(|r| r.status == Status::Sent);
        let last = status.recipient(&to[500]).unwrap();
        let wanted = match effect {
            Effect::Harmless => Status::Sent,
            // The app must send again to recipients who are reported as not sent.
            Effect::NotThere(_) => Status::Failed,
            Effect::Lost(..) | Effect::LastRowLost | Effect::Race => Status::Unknown,
        };
        assert_eq!(last.status, wanted, "{fault}: {last:?}");
        let all_sent = usize::from(wanted == Status::Sent);
        assert_eq!(sent.count(), 500 + all_sent, "{fault}");
        let handled = usize::from(fault.handled());
        assert_eq!(postmark.accepted(), 500 + handled, "{fault}");
        assert_eq!(postmark.calls(), 2, "{fault}");
    });
    stream::iter(cases)
        .buffer_unordered(8)
        .collect::<()>()
        .await;
}

#[tokio::test]
async fn a_refused_connection_is_certainly_not_accepted_and_is_retried() {
    let postmark = fake().await;
    postmark.server().refuse().await.unwrap();
    let mailer = Mailer::builder(PostmarkBackend::new(config(&postmark)).unwrap());
    let mailer = mailer.retry(tries(3)).build();
    for way in WAYS {
        for result in way.send(&mailer).await {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), Kind::Connect, "{way:?}: {error}");
            assert_eq!(error.accepted(), Accepted::No);
            assert!(error.is_transient());
            assert_eq!(error.tries(), 3);
        }
    }
    postmark.server().accept_again().await.unwrap();
    mailer.send(&Way::Single.messages()[0]).await.unwrap();
    assert_eq!((postmark.calls(), postmark.accepted()), (1, 1));
}

#[tokio::test]
async fn a_proxys_error_page_after_forwarding_causes_no_duplicate() {
    for status in [403, 422, 500, 502, 503, 504, 520] {
        for body in ["<html><h1>Service unavailable</h1></html>", ""] {
            let postmark = fake().await;
            let page = http::Response::builder().status(status);
            let page = page.header("content-type", "text/html");
            let page = page.body(body.into()).unwrap();
            postmark.server().inject(Fault::Replace(page), 3);
            let mailer = Mailer::builder(PostmarkBackend::new(config(&postmark)).unwrap())
                .retry(tries(4))
                .build();
            let error = mailer.send(&Way::Single.messages()[0]).await.unwrap_err();
            assert_eq!(
                error.accepted(),
                Accepted::Maybe,
                "{status} {body:?}: {error}"
            );
            assert_eq!(postmark.accepted(), 1, "{status} {body:?}");
        }
    }
}
