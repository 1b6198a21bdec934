//! The example with SMTP and an ESP's own header, and faults in that header.

#[path = "../../examples/dove/backend.rs"]
pub mod backend;
#[path = "../../examples/dove/harness.rs"]
pub mod harness;
#[path = "../../examples/dove/wire.rs"]
pub mod wire;

use std::sync::Arc;

use anymail_core::{EmailBackend, Field};
use anymail_test_utils::conformance::{
    HarnessError, Mutants, Profile, Sabotage as S, SmtpHarness, SmtpTarget, Suite, Understood,
};
use serde_json::Value;

use self::harness::DoveHarness;

/// Dove with a fault in each header.
struct Wrong(fn(&mut String));

impl SmtpHarness for Wrong {
    fn backend(&self, target: &SmtpTarget) -> Result<Arc<dyn EmailBackend>, HarnessError> {
        DoveHarness.backend(target)
    }

    fn understand(&self, mail: &mut Understood) {
        for (name, value) in &mut mail.headers {
            if name.eq_ignore_ascii_case(wire::HEADER) {
                (self.0)(value);
            }
        }
        DoveHarness.understand(mail);
    }

    fn profile(&self) -> Profile {
        DoveHarness.profile()
    }
}

fn json(header: &mut String, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_str(header).unwrap();
    change(&mut value);
    *header = value.to_string();
}

/// Faults in the header, and the trials that must detect them.
type Planted = (&'static str, fn(&mut String), &'static [&'static str]);

const PLANTED: [Planted; 8] = [
    (
        "loses_tags",
        |header| {
            json(header, |it| {
                drop(it.as_object_mut().unwrap().remove("category"))
            })
        },
        &["features::tags::arrives"],
    ),
    (
        "writes_one_tag_only",
        |header| {
            json(header, |it| {
                if let Some(Value::Array(tags)) = it.get_mut("category") {
                    tags.truncate(1);
                }
            });
        },
        &["features::tags::arrives"],
    ),
    (
        "writes_metadata_keys_in_lower_case",
        |header| {
            json(header, |it| {
                if let Some(Value::Object(map)) = it.get_mut("unique_args") {
                    let pairs = std::mem::take(map).into_iter();
                    map.extend(pairs.map(|(key, value)| (key.to_lowercase(), value)));
                }
            });
        },
        &["features::metadata::keys_keep_their_case"],
    ),
    (
        "reads_numbers_out_of_metadata",
        |header| {
            json(header, |it| {
                let map = it.get_mut("unique_args").and_then(Value::as_object_mut);
                for value in map.into_iter().flat_map(|map| map.values_mut()) {
                    let number = value.as_str().and_then(|text| text.parse::<i64>().ok());
                    if let Some(number) = number {
                        *value = number.into();
                    }
                }
            });
        },
        &["features::metadata::keys_keep_their_case"],
    ),
    (
        "writes_only_ascii_of_metadata",
        |header| {
            json(header, |it| {
                let map = it.get_mut("unique_args").and_then(Value::as_object_mut);
                for value in map.into_iter().flat_map(|map| map.values_mut()) {
                    if let Value::String(text) = value {
                        text.retain(|c| c.is_ascii());
                    }
                }
            });
        },
        &["batch::metadata_of_one_recipient_reach_no_other"],
    ),
    (
        "treats_off_as_unset",
        |header| *header = header.replace("{\"settings\":{\"enable\":0}}", "null"),
        &[
            "features::track_opens::off_is_sent_too",
            "features::track_clicks::off_is_sent_too",
        ],
    ),
    (
        "writes_send_at_in_milliseconds",
        |header| {
            json(header, |it| {
                if let Some(at) = it.get_mut("send_at") {
                    *at = (at.as_i64().unwrap() * 1000).into();
                }
            });
        },
        &["features::send_at::arrives"],
    ),
    (
        "breaks_the_json",
        |header| header.truncate(header.len() - 1),
        &[
            "features::metadata::arrives",
            "features::merge_metadata::arrives",
        ],
    ),
];

pub fn mutants() -> Mutants {
    let mut all = Mutants::smtp("dove", || DoveHarness);
    for (name, wrong, caught_by) in PLANTED {
        all = all.plant_suite(name, move || Suite::smtp(Wrong(wrong)), caught_by);
    }
    all.plant(
        "treats_the_local_time_of_send_at_as_utc",
        S::Message(|message| {
            if let Some(at) = message.send_at.value_mut() {
                *at = at.replace_offset(time::UtcOffset::UTC);
            }
        }),
        &["features::send_at::arrives"],
    )
    .plant(
        "writes_metadata_by_recipient_for_nobody",
        S::Message(|message| {
            if message.is_batch() {
                message.merge_metadata = Default::default();
                message.merge_data.value_or_default();
            }
        }),
        &["features::merge_metadata::arrives"],
    )
    .plant(
        "writes_the_first_ones_metadata_for_all",
        S::Message(|message| {
            let own = message.merge_metadata.value();
            let first = own.and_then(|map| map.iter().next().map(|(_, own)| own.clone()));
            if let Some(first) = first {
                message.metadata = Field::Value(first);
                message.merge_metadata.value_or_default().clear();
            }
        }),
        &["batch::metadata_of_one_recipient_reach_no_other"],
    )
    .plant(
        "sends_a_batch_with_metadata_as_one_message",
        S::Message(|message| message.merge_metadata = Default::default()),
        &["batch::metadata_of_one_recipient_reach_no_other"],
    )
    .plant(
        "forgets_the_bcc",
        S::Message(|message| message.bcc = Default::default()),
        &["recipients::bcc_arrives_and_nobody_sees_it"],
    )
    .plant(
        "calls_itself_smtp_in_statuses",
        S::Result(|_, result| {
            let mut status = result?;
            status.esp = "smtp".into();
            Ok(status)
        }),
        &["backend::has_a_valid_name"],
    )
    .plant(
        "treats_a_lost_reply_as_a_refusal",
        S::Result(|_, result| {
            result.map_err(|error| error.with_accepted(anymail_core::Accepted::No))
        }),
        &["network::a_reset_at_the_end_is_reported_correctly"],
    )
    .plant(
        "reports_refused_recipients_only_as_an_error",
        S::Result(|_, result| {
            result.map_err(|error| anymail_core::SendError::new(error.kind(), "dove", "refused"))
        }),
        &[
            "statuses::a_recipient_who_is_invalid",
            "statuses::a_message_without_accepted_recipients_is_an_error",
        ],
    )
}
