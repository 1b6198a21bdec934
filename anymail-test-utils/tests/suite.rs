//! Tests of the conformance suite itself: skips, known gaps, and invalid harnesses.

#![allow(clippy::panic, reason = "a failing test panics")]

use std::sync::Arc;

use anymail_core::{EmailBackend, MemoryBackend};
use anymail_test_utils::conformance::{
    HarnessError, LocalHarness, Mailbox, Outcome, Profile, Suite, Understood,
};

/// A backend whose messages can all be read, or all but one, or none.
struct Memory {
    profile: Profile,
    is_read: Reading,
}

#[derive(Clone, Copy, PartialEq)]
enum Reading {
    Right,
    Subjectless,
    NoBackend,
}

impl LocalHarness for Memory {
    fn backend(&self) -> Result<(Arc<dyn EmailBackend>, Mailbox), HarnessError> {
        if self.is_read == Reading::NoBackend {
            return Err("the disk is full".into());
        }
        let backend = MemoryBackend::new();
        let (outbox, is_read) = (backend.outbox(), self.is_read);
        let mailbox = move || {
            let messages = outbox.messages().into_iter();
            let mails = messages.map(|stored| {
                let mut mail = Understood::from(&stored.message);
                if is_read == Reading::Subjectless {
                    mail.subject = None;
                }
                mail
            });
            Ok(mails.collect())
        };
        Ok((Arc::new(backend), Box::new(mailbox)))
    }

    fn profile(&self) -> Profile {
        self.profile.clone()
    }
}

const SUBJECTS: &str = "subjects::every_character_arrives";
const BODIES: &str = "bodies::text_alone_arrives";
const STARTS: &str = "harness::creates_a_backend_and_lists_only_existing_trials";

fn suite(is_read: Reading, profile: Profile) -> Suite {
    Suite::local(Memory { profile, is_read })
}

fn why(outcome: Outcome) -> String {
    match outcome {
        Outcome::Failed(why) => why,
        other => panic!("expected a failure, got {other:?}"),
    }
}

#[test]
fn a_failure_shows_what_was_sent_what_arrived_and_where_to_look() {
    let why = why(suite(Reading::Subjectless, Profile::default()).run(SUBJECTS));
    for part in [
        "expected   subject: Some(\"Řešení",
        "understood subject: None",
        "message    Message { from: Value(Address(sender@example.com))",
        "result     Ok: ann@example.com Sent ",
        "look at    how your backend writes PreparedMessage::subject",
    ] {
        assert!(why.contains(part), "{part}\n{why}");
    }
}

#[test]
fn a_known_gap_passes_while_it_exists_and_fails_when_it_has_closed() {
    let profile = Profile {
        known_gaps: vec![(SUBJECTS, "the API has no subject"), (BODIES, "nor a body")],
        ..Profile::default()
    };
    let suite = suite(Reading::Subjectless, profile);
    assert_eq!(suite.run(STARTS), Outcome::Passed);
    assert_eq!(suite.run(SUBJECTS), Outcome::Passed);
    let why = why(suite.run(BODIES));
    assert!(
        why.contains("nor a body") && why.contains("closed"),
        "{why}"
    );
}

#[test]
fn a_skipped_trial_says_why() {
    let profile = Profile {
        skips: vec![(SUBJECTS, "the API has no subject")],
        ..Profile::default()
    };
    let outcome = suite(Reading::Subjectless, profile).run(SUBJECTS);
    assert_eq!(
        outcome,
        Outcome::Skipped("the API has no subject".to_owned())
    );
}

#[test]
fn a_list_with_an_unknown_trial_is_a_failure() {
    let profile = Profile {
        skips: vec![("subjects::misspelt", "a reason")],
        ..Profile::default()
    };
    let why = why(suite(Reading::Right, profile).run(STARTS));
    assert!(why.contains("subjects::misspelt"), "{why}");
}

#[test]
fn a_harness_that_cannot_create_a_backend_is_a_failure_rather_than_an_empty_run() {
    let suite = suite(Reading::NoBackend, Profile::default());
    assert_eq!(suite.names().collect::<Vec<_>>(), [STARTS]);
    assert!(why(suite.run(STARTS)).contains("the disk is full"));
}

#[test]
fn skipping_every_trial_is_a_failure() {
    let all = suite(Reading::Right, Profile::default());
    let names = all.names().filter(|name| *name != STARTS);
    let skips = names.map(|name| (&*name.to_owned().leak(), "no time"));
    let profile = Profile {
        skips: skips.collect(),
        ..Profile::default()
    };
    let why = why(suite(Reading::Right, profile).run(STARTS));
    assert!(why.contains("every trial"), "{why}");
}
