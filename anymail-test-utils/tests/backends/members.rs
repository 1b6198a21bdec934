//! Failover and round robin over accounts at Pigeon: to who sends through them they are backends
//! like any other.
//!
//! What a group does otherwise than a backend of its own stands on its list of gaps, and is run
//! all the same: were it to go away, the trial would fail. Webhooks are each ESP's own, so a
//! group has none.

use std::sync::Arc;
use std::time::Duration;

use anymail_core::{EmailBackend, Failover, Member, RoundRobin, Secret};
use anymail_test_utils::conformance::{
    Answer, Credentials, Harness, HarnessError, Profile, Target, Trouble, Understood,
};
use bytes::Bytes;
use http::{Request, Response};

use crate::backend::{Pigeon, PigeonError};
use crate::harness::PigeonHarness;

/// Backends over Pigeons.
pub(crate) struct Group {
    make: fn(&Target) -> Result<Arc<dyn EmailBackend>, PigeonError>,
    gaps: Vec<(&'static str, &'static str)>,
    skips: Vec<(&'static str, &'static str)>,
}

impl Group {
    pub(crate) fn failover() -> Self {
        Self {
            make: |target| Ok(Arc::new(Failover::new(two(target)?))),
            gaps: asks_the_other(),
            skips: vec![RESET],
        }
    }

    pub(crate) fn round_robin() -> Self {
        Self {
            make: |target| Ok(Arc::new(RoundRobin::new(two(target)?))),
            gaps: asks_the_other(),
            skips: vec![RESET],
        }
    }

    /// Every message goes by way of a member that is not there.
    pub(crate) fn failover_in_an_outage() -> Self {
        Self {
            make: |target| {
                let mut nowhere = target.clone();
                nowhere.url = "http://127.0.0.1:9".to_owned();
                let members = [member("one", &nowhere)?, member("two", target)?];
                Ok(Arc::new(Failover::new(members).rest(Duration::ZERO)))
            },
            gaps: told_as_the_outage(),
            skips: Vec::new(),
        }
    }
}

fn member(name: &str, target: &Target) -> Result<Member, PigeonError> {
    let key = Secret::new(&*target.secret);
    Ok(Member::new(
        name,
        Pigeon::new(&target.url, key, target.timeout)?,
    ))
}

fn two(target: &Target) -> Result<[Member; 2], PigeonError> {
    Ok([member("one", target)?, member("two", target)?])
}

const NAME: (&str, &str) = (
    "backend::has_a_name_to_configure_it_by",
    "its statuses name the ESP that sent the mail",
);

/// A gap or none, as it happens.
const RESET: (&str, &str) = (
    "network::a_connection_reset_at_once_is_told_as_it_is",
    "where it is seen as no connection, the other member takes the message",
);

fn asks_the_other() -> Vec<(&'static str, &'static str)> {
    const ONCE: &str = "it happens to one call, and the other member takes the message";
    vec![
        NAME,
        (
            "retries::the_backend_leaves_them_to_the_mailer",
            "the other member is asked",
        ),
        (
            "network::too_many_requests_without_a_body_is_told_as_it_is",
            ONCE,
        ),
        (
            "network::too_many_requests_by_a_proxys_page_is_told_as_it_is",
            ONCE,
        ),
        (
            "network::a_proxy_that_finds_it_too_large_is_told_as_it_is",
            ONCE,
        ),
        ("answers::of_a_bare_status_are_told_as_they_are", ONCE),
    ]
}

fn told_as_the_outage() -> Vec<(&'static str, &'static str)> {
    const PASSING: &str = "the error is that of the member that may be there again later; this \
                           one's is among its member_errors";
    vec![
        NAME,
        ("statuses::one_who_is_failed", PASSING),
        ("network::a_bad_token_is_told_as_it_is", PASSING),
        ("network::a_refused_request_is_told_as_it_is", PASSING),
        (
            "network::a_proxy_that_finds_it_too_large_is_told_as_it_is",
            PASSING,
        ),
    ]
}

impl Harness for Group {
    fn backend(&self, target: &Target) -> Result<Arc<dyn EmailBackend>, HarnessError> {
        Ok((self.make)(target)?)
    }

    fn read(&self, request: &Request<Bytes>) -> Result<Vec<Understood>, HarnessError> {
        PigeonHarness.read(request)
    }

    fn answer(&self, request: &Request<Bytes>, answers: &[Answer]) -> Option<Response<Bytes>> {
        PigeonHarness.answer(request, answers)
    }

    fn trouble(&self, trouble: &Trouble) -> Response<Bytes> {
        PigeonHarness.trouble(trouble)
    }

    fn credentials(&self, secret: &str) -> Credentials {
        PigeonHarness.credentials(secret)
    }

    fn profile(&self) -> Profile {
        Profile {
            known_gaps: self.gaps.clone(),
            skips: self.skips.clone(),
            ..PigeonHarness.profile()
        }
    }
}
