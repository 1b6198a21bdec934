//! Many messages: few calls, and a campaign that can be stopped at any time.
#![allow(clippy::unwrap_used, reason = "a failing test panics")]

use std::future::pending;
use std::time::Duration;

use anymail_core::{Mailer, Message};
use anymail_postmark::{PostmarkBackend, PostmarkConfig};
use anymail_test_utils::{FakePostmark, Fault, InactiveReason};
use futures_util::{StreamExt, stream};
use indicatif::ProgressBar;

#[path = "../examples/campaign.rs"]
#[allow(dead_code, reason = "main belongs to the example")]
mod campaign;

fn mailer(postmark: &FakePostmark) -> Mailer {
    let config = PostmarkConfig::new("server-token").api_url(postmark.url());
    Mailer::new(PostmarkBackend::new(config).unwrap())
}

fn message(n: usize) -> Message {
    let to = format!("u{n}@example.com");
    let builder = Message::builder().from("from@example.com").to(to);
    builder.subject("S").text_body("T").build().unwrap()
}

/// Waits until a condition holds.
async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_messages_take_twenty_calls_from_a_list_and_from_a_stream() {
    let postmark = FakePostmark::start().unwrap();
    let mailer = mailer(&postmark);
    let messages: Vec<_> = (0..10_000).map(message).collect();
    let results = mailer.send_all(&messages).await;
    assert_eq!(results.iter().filter(|it| it.is_ok()).count(), 10_000);
    assert_eq!((postmark.calls(), postmark.accepted()), (20, 10_000));

    let messages = stream::iter((0..10_000).map(message));
    let mut places: Vec<_> = mailer
        .send_stream(messages)
        .map(|(place, result)| result.map(|_| place).unwrap())
        .collect()
        .await;
    places.sort_unstable();
    assert!(places.into_iter().eq(0..10_000));
    assert_eq!((postmark.calls(), postmark.accepted()), (40, 20_000));
}

#[tokio::test]
async fn an_undisturbed_campaign_sends_all_and_reports_who_was_refused() {
    let postmark = FakePostmark::start().unwrap();
    postmark.suppress("outbound", "u7@example.com", InactiveReason::SpamComplaint);
    let messages = stream::iter((0..1_200).map(message));
    let bar = ProgressBar::hidden();
    let report = campaign::run(
        &mailer(&postmark),
        messages,
        1_200,
        pending(),
        pending(),
        &bar,
    )
    .await;
    assert_eq!((report.sent, report.untried), (1_199, 0));
    assert_eq!((report.in_doubt.len(), report.unanswered), (0, 0));
    let refused: Vec<_> = report.refused.iter().map(|(place, _)| *place).collect();
    assert_eq!(refused, [7]);
    assert_eq!((postmark.accepted(), bar.position()), (1_199, 1_200));
    let text = report.to_string();
    assert!(
        text.contains("sent          1199\nnot sent      1\n"),
        "{text}"
    );
}

#[tokio::test]
async fn a_stopped_campaign_waits_for_calls_in_progress_and_counts_everybody() {
    let postmark = FakePostmark::start().unwrap();
    postmark.server().inject(Fault::AcceptThenReset, 1);
    // The list continues, but its next page does not arrive.
    let messages = stream::iter((0..1_000).map(message)).chain(stream::pending());
    let stop = until(|| postmark.accepted() == 1_000);
    let bar = ProgressBar::hidden();
    let report = campaign::run(&mailer(&postmark), messages, 5_000, stop, pending(), &bar).await;
    assert_eq!((report.sent, report.in_doubt.len()), (500, 500));
    assert_eq!((report.refused.len(), report.unanswered), (0, 0));
    assert_eq!(report.untried, 4_000);
    let text = report.to_string();
    assert!(text.contains("not sent      4000\n"), "{text}");
    assert!(text.contains("possibly sent 500\n"), "{text}");
}

#[tokio::test]
async fn an_aborted_campaign_reports_how_many_results_are_unknown() {
    let postmark = FakePostmark::start().unwrap();
    postmark
        .server()
        .inject_rule(|_, _| Some(Fault::AcceptThenHang));
    let messages = stream::iter((0..700).map(message)).chain(stream::pending());
    let accepted = || until(|| postmark.accepted() == 700);
    let bar = ProgressBar::hidden();
    let mailer = mailer(&postmark);
    let report = campaign::run(&mailer, messages, 5_000, accepted(), accepted(), &bar).await;
    assert_eq!(
        (report.sent, report.unanswered, report.untried),
        (0, 700, 4_300)
    );
    // The mailer still works.
    postmark.server().clear_faults();
    assert!(mailer.send(&message(0)).await.is_ok());
}
