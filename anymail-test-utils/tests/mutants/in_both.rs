//! Faults of backends for ESPs with one response for all recipients of a call: in what they report
//! about recipients, calls and errors, and in what they accept.

use anymail_core::{Accepted, PreparedMessage, SendError, SendErrorKind as K, Status};
use anymail_test_utils::conformance::{Mutants, Sabotage as S};

use crate::breaks::SendResult;
use crate::in_responses::{retell, takes_for};
use crate::in_webhooks::{came, told};

fn failed(result: SendResult, change: fn(SendError) -> SendError) -> SendResult {
    result.map_err(change)
}

/// A batch in which a recipient has this status.
fn is_mixed(message: &PreparedMessage, result: &SendResult, with: Status) -> bool {
    let has = |it: &anymail_core::SendStatus| it.recipients().any(|it| it.status == with);
    message.is_batch() && result.as_ref().is_ok_and(has)
}

fn error(kind: K, result: &SendResult) -> SendResult {
    let esp = result.as_ref().map(|it| it.esp.to_string());
    Err(SendError::new(
        kind,
        esp.unwrap_or_default(),
        "a call failed",
    ))
}

pub fn plant(mutants: Mutants) -> Mutants {
    events(errors(calls(people(mutants))))
}

fn people(mutants: Mutants) -> Mutants {
    mutants
        .plant(
            "reports_all_as_sent",
            S::Result(|_, result| takes_for(result, Status::Queued, Status::Sent)),
            &[
                "statuses::every_recipient_is_reported_under_the_address_as_given",
                "statuses::a_recipient_who_is_queued",
            ],
        )
        .plant(
            "forgets_the_copies",
            S::Result(|message, result| {
                let to: Vec<_> = message.to().iter().map(|to| to.key()).collect();
                retell(result, |_, key, status, id| match to.contains(key) {
                    true => (status, id),
                    false => (Status::Unknown, None),
                })
            }),
            &["statuses::cc_and_bcc_have_a_status_too"],
        )
        .plant(
            "invents_message_ids",
            S::Result(|_, result| {
                retell(result, |_, key, status, id| {
                    (status, id.map(|_| format!("<{}>", key.as_str())))
                })
            }),
            &[
                "message_ids::are_those_of_the_esp",
                "message_ids::differ_from_call_to_call",
                "message_ids::each_of_a_batch_has_its_own",
            ],
        )
        .plant(
            "forgets_the_bcc",
            S::Message(|message| message.bcc = Default::default()),
            &["recipients::bcc_arrives_and_nobody_sees_it"],
        )
        .plant(
            "lets_esp_extra_name_recipients",
            S::Check(|_| Vec::new()),
            &["features::esp_extra::adds_no_recipient"],
        )
        .plant(
            "ignores_the_subject_in_esp_extra",
            S::Message(|message| {
                if let Some(extra) = message.esp_extra.value_mut() {
                    extra.remove("subject");
                }
            }),
            &["features::esp_extra::replaces_a_field_or_is_refused"],
        )
        .plant(
            "sends_a_batch_as_one_message",
            S::Message(|message| {
                message.merge_data = Default::default();
                message.merge_headers = Default::default();
                message.merge_metadata = Default::default();
            }),
            &[
                "batch::each_recipient_gets_a_message_and_sees_no_other",
                "batch::every_message_has_all_copies",
            ],
        )
        .plant(
            "forgets_the_files_of_a_batch",
            S::Message(|message| {
                if message.is_batch() {
                    message.attachments = Default::default();
                }
            }),
            &["batch::all_declared_features_arrive_together"],
        )
        .plant(
            "forgets_tags_and_tracking_of_a_batch",
            S::Message(|message| {
                if message.is_batch() {
                    message.tags = Default::default();
                    message.track_opens = Default::default();
                }
            }),
            &["batch::all_declared_features_arrive_together"],
        )
        .plant(
            "forgets_reply_to_with_a_template",
            S::Message(|message| {
                if message.template_id.value().is_some() {
                    message.reply_to = Default::default();
                }
            }),
            &[
                "templates::all_declared_features_arrive_together",
                "templates::all_declared_features_arrive_together_in_a_batch",
            ],
        )
        .plant(
            "sends_a_later_message_at_once",
            S::Message(|message| message.send_at = Default::default()),
            &["features::send_at::arrives"],
        )
        .plant(
            "declares_every_feature",
            S::Capabilities(|_| anymail_core::Capabilities::all()),
            &[
                "features::envelope_sender::is_refused",
                "features::international_recipients::is_refused",
                "features::tags::is_refused_over_the_limit",
                "features::template_body::is_left_out_and_reported",
                "features::without_to::is_refused",
            ],
        )
}

/// For batches in several calls.
fn calls(mutants: Mutants) -> Mutants {
    mutants
        .plant(
            "returns_an_error_for_a_batch_when_one_call_is_refused",
            S::Result(
                |message, result| match is_mixed(message, &result, Status::Failed) {
                    true => error(K::Refused, &result),
                    false => result,
                },
            ),
            &[
                "batch::a_refused_first_call_fails_only_its_recipients",
                "batch::a_refused_second_call_fails_only_its_recipients",
                "batch::a_rate_limited_second_call_fails_only_its_recipients",
            ],
        )
        .plant(
            "reports_a_batch_as_not_accepted_when_one_call_is_lost",
            S::Result(
                |message, result| match is_mixed(message, &result, Status::Unknown) {
                    true => error(K::Connect, &result),
                    false => result,
                },
            ),
            &[
                "batch::a_lost_second_call_leaves_only_its_recipients_unknown",
                "batch::a_server_error_in_the_second_call_leaves_only_its_recipients_unknown",
            ],
        )
        .plant(
            "reports_recipients_of_a_failed_call_as_queued",
            S::Result(|_, result| takes_for(result, Status::Failed, Status::Queued)),
            &[
                "batch::a_refused_second_call_fails_only_its_recipients",
                "batch::a_rate_limited_first_call_fails_only_its_recipients",
            ],
        )
        .plant(
            "reports_recipients_of_a_lost_call_as_failed",
            S::Result(|_, result| takes_for(result, Status::Unknown, Status::Failed)),
            &[
                "batch::a_lost_first_call_leaves_only_its_recipients_unknown",
                "batch::a_lost_second_call_leaves_only_its_recipients_unknown",
                "batch::a_garbled_response_to_the_second_call_leaves_only_its_recipients_unknown",
            ],
        )
        .plant(
            "reports_recipients_of_a_lost_call_as_queued",
            S::Result(|_, result| takes_for(result, Status::Unknown, Status::Queued)),
            &["batch::a_garbled_response_to_the_first_call_leaves_only_its_recipients_unknown"],
        )
}

fn errors(mutants: Mutants) -> Mutants {
    mutants
        .plant(
            "treats_a_lost_response_as_a_refusal",
            S::Result(|_, result| failed(result, |error| error.with_accepted(Accepted::No))),
            &[
                "network::a_reset_instead_of_the_response_is_reported_correctly",
                "network::no_response_in_time_though_accepted_is_reported_correctly",
                "network::a_server_error_of_the_esp_is_reported_correctly",
                "many::a_lost_response_affects_only_its_own_messages",
            ],
        )
        .plant(
            "treats_every_failure_as_possibly_accepted",
            S::Result(|_, result| failed(result, |error| error.with_accepted(Accepted::Maybe))),
            &[
                "network::a_refused_connection_is_safe_to_send_again",
                "network::a_refused_request_is_reported_correctly",
                "network::too_many_requests_is_reported_correctly",
                "statuses::a_recipient_who_is_failed",
            ],
        )
        .plant(
            "treats_every_refusal_as_the_esps_own",
            S::Result(|_, result| failed(result, SendError::said_by_esp)),
            &[
                "network::a_refusal_by_a_page_is_reported_correctly",
                "network::maintenance_by_a_proxys_page_is_reported_correctly",
                "network::maintenance_by_a_gateways_json_is_reported_correctly",
            ],
        )
        .plant(
            "treats_every_failure_as_final",
            S::Result(|_, result| failed(result, |error| error.with_transient(false))),
            &["network::too_many_requests_is_reported_correctly"],
        )
        .plant(
            "ignores_retry_after",
            S::Result(|_, result| failed(result, |error| error.with_retry_after(None))),
            &["network::retry_after_in_seconds_is_passed_on"],
        )
        .plant(
            "hides_the_esps_error_message",
            S::Result(|_, result| failed(result, |error| error.with_message("no"))),
            &["network::the_esps_error_message_is_passed_on"],
        )
}

fn events(mutants: Mutants) -> Mutants {
    const TRACKING: &[&str] = &["webhooks::tracking::events_say_what_the_esp_said"];
    const INBOUND: &[&str] = &["webhooks::inbound::events_say_what_the_esp_said"];
    mutants
        .plant(
            "does_not_report_the_link",
            S::Events(|_, events| told(events, |event| event.click_url = None)),
            TRACKING,
        )
        .plant(
            "reports_the_servers_text_as_the_esps",
            S::Events(|_, events| {
                told(events, |event| {
                    event.description = event.mta_response.take()
                })
            }),
            TRACKING,
        )
        .plant(
            "does_not_report_the_envelope",
            S::Events(|_, events| came(events, |mail| mail.envelope_recipient = None)),
            INBOUND,
        )
        .plant(
            "treats_from_as_the_envelope_sender",
            S::Events(|_, events| {
                came(events, |mail| {
                    mail.envelope_sender = Some("Ann <ann@example.com>".to_owned());
                })
            }),
            INBOUND,
        )
}
