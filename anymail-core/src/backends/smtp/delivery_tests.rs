//! Tests of `delivery.rs`: the results of recipients, of copies, and of a whole message.

use super::super::envelope;
use super::*;
use crate::sending::SendErrorKind as K;

fn message(to: &[&str]) -> Message {
    let builder = Message::builder()
        .from("shop@example.com")
        .cc("copy@example.com");
    let builder = to.iter().fold(builder, |builder, to| builder.to(*to));
    builder.build().unwrap()
}

/// A copy to one recipient and cc.
fn copy(to: &str) -> Delivery {
    let mut copy = Delivery::new(envelope::recipients(&message(&[to])));
    copy.message_id = format!("id of {to}");
    copy
}

fn reply(code: u16, enhanced: Option<[u16; 3]>) -> Reply {
    let text = "words".to_owned();
    Reply {
        code,
        enhanced,
        text,
    }
}

fn queued(to: &str) -> Delivery {
    let mut copy = copy(to);
    let accepted = || reply(250, None);
    copy.take(vec![accepted(), accepted()], Ended::Taken(accepted()))
        .unwrap();
    copy
}

fn error(kind: K, accepted: Accepted) -> SendError {
    SendError::new(kind, NAME, "words").with_accepted(accepted)
}

fn failed(to: &str) -> Delivery {
    copy(to).fail(error(K::Connect, Accepted::No))
}

fn unknown(to: &str) -> Delivery {
    copy(to).fail(error(K::Timeout, Accepted::Maybe))
}

#[test]
fn cc_of_a_batch_reports_the_best_result_of_all_copies() {
    type Copy = fn(&str) -> Delivery;
    let all: [(Copy, Copy, Status, Option<&str>); 7] = [
        (
            queued,
            queued,
            Status::Queued,
            Some("id of ann@example.com"),
        ),
        (
            queued,
            failed,
            Status::Queued,
            Some("id of ann@example.com"),
        ),
        (
            failed,
            queued,
            Status::Queued,
            Some("id of bob@example.com"),
        ),
        (
            queued,
            unknown,
            Status::Queued,
            Some("id of ann@example.com"),
        ),
        (
            unknown,
            queued,
            Status::Queued,
            Some("id of bob@example.com"),
        ),
        (
            unknown,
            failed,
            Status::Unknown,
            Some("id of ann@example.com"),
        ),
        (
            failed,
            unknown,
            Status::Unknown,
            Some("id of bob@example.com"),
        ),
    ];
    for (first, second, best, id) in all {
        let mut report = Report::new(&message(&["ann@example.com", "bob@example.com"]));
        report.add(first("ann@example.com"));
        report.add(second("bob@example.com"));
        let copied = report.status.recipient("copy@example.com").unwrap();
        assert_eq!(copied.status, best);
        assert_eq!(copied.message_id.as_deref(), id);
    }
}

#[test]
fn the_error_of_a_batch_is_the_most_significant_one_of_its_copies() {
    let permanent = || error(K::Refused, Accepted::No);
    let transient = || error(K::Connect, Accepted::No);
    let lost = || error(K::InvalidResponse, Accepted::Maybe);
    for (errors, kind) in [
        ([permanent(), transient(), lost()], K::InvalidResponse),
        ([lost(), transient(), permanent()], K::InvalidResponse),
        ([permanent(), transient(), permanent()], K::Connect),
        ([transient(), permanent(), permanent()], K::Connect),
    ] {
        let mut report = Report::new(&message(&["ann@example.com"]));
        for error in errors.clone() {
            report.add(copy("ann@example.com").fail(error));
        }
        assert_eq!(report.finish().unwrap_err().kind(), kind, "{errors:?}");
    }
    let mut report = Report::new(&message(&["ann@example.com", "bob@example.com"]));
    report.add(failed("ann@example.com"));
    report.add(queued("bob@example.com"));
    assert!(report.finish().is_ok());
}

#[test]
fn only_a_temporary_refusal_makes_a_message_without_recipients_worth_a_retry() {
    let (no_such_user, later) = (Some([5, 1, 1]), Some([4, 2, 1]));
    for (replies, code) in [
        (
            [reply(550, no_such_user), reply(450, later)],
            Some("450 4.2.1"),
        ),
        ([reply(450, later), reply(451, None)], Some("450 4.2.1")),
        (
            [reply(450, later), reply(550, no_such_user)],
            Some("450 4.2.1"),
        ),
        ([reply(550, no_such_user), reply(550, None)], None),
        // The sender is refused, permanently.
        (
            [reply(500, Some([5, 1, 8])), reply(550, no_such_user)],
            None,
        ),
    ] {
        let mut copy = copy("ann@example.com");
        copy.take(replies.to_vec(), Ended::NobodyTaken).unwrap();
        let error = copy.error.as_ref();
        assert_eq!(error.and_then(SendError::esp_code), code, "{replies:?}");
        assert!(error.is_none_or(SendError::is_transient), "{replies:?}");
        assert_eq!(copy.responses.len(), 2);
    }
}

#[test]
fn an_accepted_recipient_of_a_message_that_is_then_refused_has_not_got_it() {
    let mut copy = copy("ann@example.com");
    let replies = vec![reply(250, None), reply(550, Some([5, 1, 1]))];
    let refused = Ended::Failed(error(K::Refused, Accepted::No));
    let error = copy.take(replies, refused).unwrap_err();
    let mut report = Report::new(&message(&["ann@example.com"]));
    report.add(copy.fail(error));
    let status = |it: &str| report.status.recipient(it).unwrap().status;
    assert_eq!(status("ann@example.com"), Status::Failed);
    assert_eq!(status("copy@example.com"), Status::Invalid);
}

#[test]
fn the_responses_of_an_accepted_message_are_those_to_the_whole_message() {
    let mut copy = copy("ann@example.com");
    let replies = vec![reply(250, None), reply(550, Some([5, 1, 1]))];
    copy.take(replies, Ended::Taken(reply(250, Some([2, 0, 0]))))
        .unwrap();
    assert_eq!(copy.responses, ["250 2.0.0 words"]);
}
