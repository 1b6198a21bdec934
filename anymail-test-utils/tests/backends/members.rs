//! Failover and round robin over several Pigeon accounts behave like any other backend.
//!
//! Differences from a single backend are on the list of known gaps, whose trials run as well: if a
//! gap closes, the trial fails. Webhooks belong to each ESP, so a group has none.

use std::sync::Arc;
use std::time::Duration;

use anymail_core::{EmailBackend, Failover, Member, RoundRobin, Secret};
use anymail_test_utils::conformance::{
    Credentials, Failure, Harness, HarnessError, Profile, Report, Target, Understood,
};
use bytes::Bytes;
use http::{Request, Response};

use crate::backend::{Pigeon, PigeonError};
use crate::harness::PigeonHarness;

/// Backends that use several Pigeons.
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

    /// Every message is first tried with an unreachable member.
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
    "backend::has_a_valid_name",
    "its statuses name the ESP that sent the mail",
);

/// Whether the trial fails depends on chance.
const RESET: (&str, &str) = (
    "network::a_connection_reset_at_once_is_reported_correctly",
    "where it is seen as no connection, the other member takes the message",
);

fn asks_the_other() -> Vec<(&'static str, &'static str)> {
    const ONCE: &str = "only one call fails, and the other member accepts the message";
    vec![
        NAME,
        (
            "retries::the_backend_leaves_retries_to_the_mailer",
            "the other member is asked",
        ),
        (
            "network::too_many_requests_without_a_body_is_reported_correctly",
            ONCE,
        ),
        (
            "network::too_many_requests_by_a_proxys_page_is_reported_correctly",
            ONCE,
        ),
        (
            "network::a_proxy_that_refuses_a_large_request_is_reported_correctly",
            ONCE,
        ),
        ("responses::with_only_a_status_are_reported_correctly", ONCE),
    ]
}

fn told_as_the_outage() -> Vec<(&'static str, &'static str)> {
    const PASSING: &str = "the error is the one of the member that may recover; this \
                           one's is among its member_errors";
    vec![
        NAME,
        ("statuses::a_recipient_who_is_failed", PASSING),
        ("network::a_bad_token_is_reported_correctly", PASSING),
        ("network::a_refused_request_is_reported_correctly", PASSING),
        (
            "network::a_proxy_that_refuses_a_large_request_is_reported_correctly",
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

    fn response(&self, request: &Request<Bytes>, reports: &[Report]) -> Option<Response<Bytes>> {
        PigeonHarness.response(request, reports)
    }

    fn error_response(&self, failure: &Failure) -> Response<Bytes> {
        PigeonHarness.error_response(failure)
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
