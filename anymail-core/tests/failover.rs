//! Several backends behind one: which one is tried, when the next one is tried, and what is
//! reported to the caller.
// Clippy does not recognize functions next to tests as test code.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod scripted;

use std::time::Duration;

use anymail_core::{
    Accepted, Capabilities, EmailBackend, Failover, Feature, Mailer, Member, Message, RoundRobin,
    SendDefaults, SendError, SendErrorKind, SendStatus, Status, Support, UnsupportedPolicy,
};
use scripted::{Answer, Scripted};
use serde_json::json;
use tokio::time::advance;

fn message() -> Message {
    let builder = Message::builder()
        .from("from@example.com")
        .to("ann@example.com");
    builder.subject("Hello").build().unwrap()
}

fn numbered(n: usize) -> Vec<Message> {
    let number = |at: usize| {
        let mut message = message();
        message.subject = at.to_string().into();
        message
    };
    (0..n).map(number).collect()
}

fn subjects(messages: &[Message]) -> Vec<&str> {
    messages
        .iter()
        .map(|m| m.subject.value().unwrap().as_str())
        .collect()
}

fn error(kind: SendErrorKind) -> SendError {
    SendError::new(kind, "first", "oops")
}

fn pair(first: &Scripted, second: &Scripted) -> [Member; 2] {
    [
        Member::new("a", first.clone()),
        Member::new("b", second.clone()),
    ]
}

#[tokio::test]
async fn the_next_member_is_tried_only_if_that_helps_and_cannot_send_twice() {
    use SendErrorKind as K;
    for (answer, moves_on) in [
        (Answer::Fails(error(K::Connect)), true),
        (Answer::Fails(error(K::RateLimited)), true),
        (Answer::Fails(error(K::Authentication)), true),
        (Answer::Fails(error(K::Configuration)), true),
        (Answer::Fails(error(K::Refused)), true),
        (
            Answer::Fails(SendError::from_http_status("first", 503).said_by_esp()),
            true,
        ),
        (Answer::All(Status::Failed), true),
        // It may have been accepted.
        (
            Answer::Fails(SendError::from_http_status("first", 500)),
            false,
        ),
        (Answer::Fails(error(K::Timeout)), false),
        (Answer::Fails(error(K::Disconnected)), false),
        (Answer::Fails(error(K::InvalidResponse)), false),
        (Answer::All(Status::Unknown), false),
        // No other member should send it either.
        (Answer::Fails(error(K::InvalidMessage)), false),
        (Answer::Fails(error(K::RecipientsRefused)), false),
        (Answer::All(Status::Invalid), false),
        (Answer::All(Status::Rejected), false),
        // It was sent.
        (Answer::All(Status::Sent), false),
        (Answer::All(Status::Queued), false),
    ] {
        let shown = format!("{answer:?}");
        let (first, second) = (
            Scripted::new("first").answers([answer]),
            Scripted::new("second"),
        );
        let mailer = Mailer::new(Failover::new(pair(&first, &second)));
        let result = mailer.send(&message()).await;
        assert_eq!(second.calls().len(), usize::from(moves_on), "{shown}");
        if moves_on {
            let status = result.unwrap();
            assert_eq!(
                (status.esp.as_ref(), status.member.as_deref()),
                ("second", Some("b"))
            );
            assert_eq!(status.member_errors.len(), 1, "{shown}");
            assert_eq!(status.member_errors[0].member, "a");
            let json = serde_json::to_string(&status).unwrap();
            assert_eq!(serde_json::from_str::<SendStatus>(&json).unwrap(), status);
        }
    }
}

#[tokio::test]
async fn if_all_members_fail_a_transient_error_is_returned_with_all_others() {
    let first = Scripted::new("first").fails(
        SendError::from_http_status("first", 429).with_retry_after(Some(Duration::from_secs(7))),
    );
    let second = Scripted::new("second").fails(SendError::from_http_status("second", 401));
    let mailer = Mailer::new(Failover::new(pair(&first, &second)));
    let error = mailer.send(&message()).await.unwrap_err();
    assert_eq!(
        (error.esp(), error.kind()),
        ("first", SendErrorKind::RateLimited)
    );
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(
        (error.accepted(), error.is_transient()),
        (Accepted::No, true)
    );
    assert_eq!(
        error.to_string(),
        "rate limited by first (HTTP 429); retry after 7 s; \
         member \"b\": second authentication failed (HTTP 401)"
    );
    let others: Vec<_> = error
        .member_errors()
        .iter()
        .map(|other| &*other.member)
        .collect();
    assert_eq!(others, ["b"]);
}

#[tokio::test]
async fn a_failover_without_members_reports_that() {
    let error = Mailer::new(Failover::new([]))
        .send(&message())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Configuration);
    assert!(error.to_string().contains("no members"), "{error}");
}

#[tokio::test]
async fn many_messages_stay_in_one_call() {
    let (first, second) = (Scripted::new("first"), Scripted::new("second"));
    let script = (0..10).map(|at| match at {
        3 => Answer::Fails(SendError::from_http_status("first", 500)),
        _ if at % 2 == 0 => Answer::Fails(SendError::from_http_status("first", 422).said_by_esp()),
        _ => Answer::All(Status::Sent),
    });
    let first = first.answers(script);
    let mailer = Mailer::new(Failover::new(pair(&first, &second)));
    let results = mailer.send_all(&numbered(10)).await;
    assert_eq!(first.call_sizes(), [10]);
    assert_eq!(
        second.call_sizes(),
        [5],
        "messages that the first refused are passed on in one call"
    );
    assert_eq!(subjects(&second.calls()[0]), ["0", "2", "4", "6", "8"]);
    for (at, result) in results.iter().enumerate() {
        match (at, result) {
            (3, Err(error)) => assert_eq!(error.accepted(), Accepted::Maybe),
            (_, Ok(status)) if at % 2 == 0 => assert_eq!(status.esp, "second"),
            (_, Ok(status)) => assert_eq!(status.esp, "first"),
            (_, Err(error)) => panic!("{at}: {error}"),
        }
    }
}

fn with_rest(first: &Scripted, second: &Scripted) -> Failover {
    Failover::new(pair(first, second)).rest(Duration::from_secs(30))
}

#[tokio::test(start_paused = true)]
async fn a_failed_member_is_skipped_for_a_while() {
    for (failure, rest) in [
        (error(SendErrorKind::Connect), 30),
        (error(SendErrorKind::Authentication), 30),
        // This message goes to no other member, but the next one should.
        (error(SendErrorKind::Timeout), 30),
        (
            SendError::from_http_status("first", 429)
                .with_retry_after(Some(Duration::from_secs(90))),
            90,
        ),
        // A `Retry-After` of one year.
        (
            SendError::from_http_status("first", 429)
                .with_retry_after(Some(Duration::from_secs(365 * 86_400))),
            600,
        ),
        // The error is about the message and not about the member.
        (error(SendErrorKind::Refused), 0),
    ] {
        let shown = failure.to_string();
        let (first, second) = (
            Scripted::new("first").fails(failure),
            Scripted::new("second"),
        );
        let mailer = Mailer::new(with_rest(&first, &second));
        let _ = mailer.send(&message()).await;
        assert_eq!(first.calls().len(), 1);
        if rest > 0 {
            advance(Duration::from_secs(rest - 1)).await;
            let status = mailer.send(&message()).await.unwrap();
            assert_eq!(status.esp, "second", "{shown}");
            assert_eq!(status.member_errors, [], "{shown}: the first was not asked");
        }
        advance(Duration::from_secs(rest.min(1))).await;
        assert_eq!(
            mailer.send(&message()).await.unwrap().esp,
            "first",
            "{shown}"
        );
    }
}

#[tokio::test]
async fn a_skipped_member_is_tried_if_no_other_accepts_the_message() {
    let first = Scripted::new("first").fails(error(SendErrorKind::Connect));
    let down = Answer::Fails(SendError::from_http_status("second", 503).said_by_esp());
    let second = Scripted::new("second").answers([Answer::All(Status::Sent), down]);
    let mailer = Mailer::new(with_rest(&first, &second));
    assert_eq!(mailer.send(&message()).await.unwrap().esp, "second");
    let status = mailer.send(&message()).await.unwrap();
    assert_eq!(status.esp, "first");
    assert_eq!(status.member_errors[0].member, "b");
}

#[tokio::test]
async fn a_message_must_be_supported_by_every_member_unless_dropping_is_allowed() {
    let (large, small) = (
        Scripted::new("large").can([(Feature::Tags, Support::AtMost(5))]),
        Scripted::new("small")
            .can([
                (Feature::Tags, Support::AtMost(1)),
                (Feature::Headers, Support::Yes),
            ])
            .forbids_header("X-Mailer"),
    );
    let mut tagged = message();
    tagged.tags = vec!["one".to_owned(), "two".to_owned()].into();
    let mut with_header = message();
    with_header
        .headers
        .value_or_default()
        .insert("X-Mailer", "ours")
        .unwrap();

    // Refused immediately, and not only when the first member is down.
    let small_first = small.clone().can([(Feature::Headers, Support::Yes)]);
    let mailer = Mailer::new(Failover::new(pair(&large, &small)));
    let error = mailer.send(&tagged).await.unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::UnsupportedFeature);
    let mailer = Mailer::new(Failover::new(pair(&small_first, &small)));
    let error = mailer.send(&with_header).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("does not support the header X-Mailer (because of \"a\")"),
        "{error}"
    );
    assert_eq!(large.calls().len() + small.calls().len(), 0);

    // Each member drops what it does not support, and the status reports it.
    let drop = UnsupportedPolicy::Drop;
    let large = large.answers([
        Answer::All(Status::Sent),
        Answer::Fails(SendError::from_http_status("large", 503).said_by_esp()),
    ]);
    let failover = Failover::new(pair(&large, &small)).unsupported(drop);
    let mailer = Mailer::builder(failover).unsupported(drop).build();
    let status = mailer.send(&tagged).await.unwrap();
    assert_eq!((status.esp.as_ref(), status.dropped.len()), ("large", 0));
    let status = mailer.send(&tagged).await.unwrap();
    assert_eq!((status.esp.as_ref(), status.dropped.len()), ("small", 1));
    assert_eq!(status.dropped[0].esp, "small");
    assert_eq!(small.calls()[0][0].tags.items(), ["one"]);
    let status = mailer.send(&with_header).await.unwrap();
    assert_eq!(
        status.dropped[0].problem,
        "does not support the header X-Mailer"
    );
}

#[tokio::test]
async fn a_member_that_cannot_send_a_message_is_skipped() {
    let drop = UnsupportedPolicy::Drop;
    let first = Scripted::new("first").can(Capabilities::default());
    let second = Scripted::new("second").can([(Feature::Batch, Support::Yes)]);
    let failover = Failover::new(pair(&first, &second)).unsupported(drop);
    let mailer = Mailer::builder(failover).unsupported(drop).build();
    let mut batch = message();
    batch.merge_data.value_or_default();
    let status = mailer.send(&batch).await.unwrap();
    assert_eq!(status.esp, "second");
    assert!(
        status.member_errors[0].error.contains("batch"),
        "{:?}",
        status.member_errors
    );
    assert_eq!(first.calls().len(), 0);
}

#[tokio::test]
async fn esp_extra_is_for_one_esp_and_each_member_can_have_its_own() {
    let first = Scripted::new("first").fails(error(SendErrorKind::Connect));
    let second = Scripted::new("second");
    let defaults: SendDefaults = serde_json::from_value(json!({
        "esp_extra": {"Stream": "news"}, "tags": ["backup"],
        "from": "other@example.com", "to": ["leak@example.com"], "bcc": ["leak@example.com"]
    }))
    .unwrap();
    let [a, b] = pair(&first, &second);
    let mailer = Mailer::new(Failover::new([a, b.send_defaults(&defaults)]));
    let mut message = message();
    message.tags = vec!["mine".to_owned()].into();
    mailer.send(&message).await.unwrap();
    assert_eq!(first.calls()[0][0], message);
    let sent = &second.calls()[0][0];
    assert_eq!(sent.esp_extra.value().unwrap()["Stream"], "news");
    assert_eq!(sent.tags.items(), ["backup", "mine"]);
    assert_eq!(
        (&sent.from, &sent.to, &sent.bcc),
        (&message.from, &message.to, &message.bcc)
    );

    message
        .esp_extra
        .value_or_default()
        .insert("X".to_owned(), json!(1));
    let error = mailer.send(&message).await.unwrap_err();
    assert_eq!(error.unsupported()[0].feature, Some(Feature::EspExtra));
    let way_out = "give each backend its own `send_defaults.esp_extra`";
    assert!(error.to_string().contains(way_out), "{error}");
    let [none, neither] = [&first, &second].map(|it| it.clone().can([]));
    let error = Mailer::new(Failover::new(pair(&none, &neither)));
    let error = error.send(&message).await.unwrap_err();
    let refused = error.unsupported().iter();
    assert!(
        refused
            .map(|it| it.feature)
            .any(|it| it == Some(Feature::EspExtra))
    );
    assert!(!error.to_string().contains(way_out), "{error}");
    let same = Failover::new(pair(&first, &first));
    assert!(
        Mailer::new(same).check(&message).is_ok(),
        "two accounts of one ESP understand it"
    );
}

#[tokio::test]
async fn round_robin_takes_turns_and_distributes_many_messages() {
    let (first, second) = (Scripted::new("first"), Scripted::new("second"));
    let mailer = Mailer::new(RoundRobin::new(pair(&first, &second)));
    for expected in ["first", "second", "first"] {
        assert_eq!(mailer.send(&message()).await.unwrap().esp, expected);
    }
    let results = mailer.send_all(&numbered(1000)).await;
    assert_eq!(first.call_sizes(), [1, 1, 500]);
    assert_eq!(second.call_sizes(), [1, 500]);
    assert_eq!(subjects(&second.calls()[1])[..2], ["0", "2"]);
    for (at, result) in results.iter().enumerate() {
        let expected = if at % 2 == 0 { "second" } else { "first" };
        assert_eq!(result.as_ref().unwrap().esp, expected);
    }
}

#[tokio::test]
async fn in_a_round_robin_the_next_member_replaces_one_that_is_down() {
    let down = (0..2).map(|_| Answer::Fails(error(SendErrorKind::Connect)));
    let (first, second) = (
        Scripted::new("first").answers(down),
        Scripted::new("second"),
    );
    let mailer = Mailer::new(RoundRobin::new(pair(&first, &second)));
    let results = mailer.send_all(&numbered(4)).await;
    assert!(
        results
            .iter()
            .all(|result| result.as_ref().unwrap().esp == "second")
    );
    assert_eq!(
        (first.call_sizes(), second.call_sizes()),
        (vec![2], vec![2, 2])
    );
    for _ in 0..3 {
        assert_eq!(mailer.send(&message()).await.unwrap().esp, "second");
    }
    assert_eq!(first.calls().len(), 1, "it is at rest");
}

#[tokio::test]
async fn a_failover_can_be_a_member_of_another() {
    let down = |name| Scripted::new(name).fails(SendError::new(SendErrorKind::Connect, name, ""));
    let (first, second, third) = (down("first"), down("second"), Scripted::new("third"));
    let inner = Failover::new(pair(&first, &second));
    let outer = [Member::new("inner", inner), Member::new("c", third)];
    let status = Mailer::new(Failover::new(outer))
        .send(&message())
        .await
        .unwrap();
    assert_eq!(status.member.as_deref(), Some("c"));
    assert!(
        status.member_errors[0].error.contains("member \"a\""),
        "{status:?}"
    );
}

#[test]
fn a_group_that_may_drop_features_supports_what_any_member_supports() {
    let supports = |first, second| {
        let can = |support| [(Feature::Tags, support)];
        let first = Scripted::new("first").can(can(first));
        let second = Scripted::new("second").can(can(second));
        let all = Failover::new(pair(&first, &second)).unsupported(UnsupportedPolicy::Drop);
        all.capabilities().support(Feature::Tags)
    };
    let with_template = Support::With(Feature::Template);
    for (first, second, expected) in [
        (Support::No, Support::No, Support::No),
        (Support::No, with_template, Support::With(Feature::Template)),
        (with_template, Support::No, Support::With(Feature::Template)),
        (
            with_template,
            with_template,
            Support::With(Feature::Template),
        ),
        (Support::AtMost(1), Support::AtMost(5), Support::AtMost(5)),
        (Support::AtMost(5), Support::AtMost(1), Support::AtMost(5)),
        (with_template, Support::AtMost(1), Support::Yes),
    ] {
        assert_eq!(
            supports(first, second),
            expected,
            "{first:?} and {second:?}"
        );
    }
}

#[tokio::test]
async fn a_round_robin_refuses_what_one_of_its_members_does_not_support() {
    let strict = Scripted::new("strict")
        .can([(Feature::Headers, Support::Yes)])
        .forbids_header("X-Mailer");
    let mailer = Mailer::new(RoundRobin::new(pair(&Scripted::new("any"), &strict)));
    let mut tagged = message();
    tagged.tags = vec!["one".to_owned()].into();
    let error = mailer.send(&tagged).await.unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::UnsupportedFeature);
    let mut with_header = message();
    let headers = with_header.headers.value_or_default();
    headers.insert("X-Mailer", "ours").unwrap();
    let error = mailer.send(&with_header).await.unwrap_err();
    assert!(error.to_string().contains("X-Mailer"), "{error}");
    let mut with_other_header = message();
    let headers = with_other_header.headers.value_or_default();
    headers.insert("X-Order", "42").unwrap();
    mailer.send(&with_other_header).await.unwrap();
}

#[test]
fn a_member_has_the_name_it_was_given() {
    assert_eq!(Member::new("a", Scripted::new("first")).name(), "a");
}
