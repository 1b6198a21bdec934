//! Backends that put the wrong messages into a call, or use undeclared features.

use anymail_core::{Capabilities, Feature, Message, Support};
use serde_json::{Map, Value, json};

use crate::breaks::Break::{Call, Capabilities as Declares, Mail, Own};
use crate::breaks::{Mutant, Own as O, mutant};

pub fn mutants() -> Vec<Mutant> {
    let everybody_to_all = |mail: &mut Map<String, Value>, message: &Message| {
        let all = message
            .to
            .items()
            .iter()
            .map(|to| json!({"email": to.ascii_email()}));
        mail.insert("to".into(), all.collect());
    };
    vec![
        mutant(
            "leaks_the_others_of_a_batch",
            Mail(everybody_to_all),
            &[
                "batch::each_recipient_gets_a_message_and_sees_no_other",
                "features::batch::arrives",
            ],
        ),
        mutant(
            "names_the_others_of_a_batch_in_a_header",
            Mail(|mail, message| {
                let all: Vec<_> = message
                    .to
                    .items()
                    .iter()
                    .map(|to| to.ascii_email())
                    .collect();
                mail["headers"]
                    .as_object_mut()
                    .unwrap()
                    .insert("X-All".into(), json!(all.join(",")));
            }),
            &["batch::each_recipient_gets_a_message_and_sees_no_other"],
        ),
        mutant(
            "forgets_the_files_of_a_batch",
            Mail(|mail, message| {
                if message.is_batch() {
                    mail["files"] = json!([]);
                }
            }),
            &["batch::all_declared_features_arrive_together"],
        ),
        mutant(
            "forgets_the_html_of_a_batch",
            Mail(|mail, message| {
                if message.is_batch() {
                    mail.remove("html");
                }
            }),
            &["batch::all_declared_features_arrive_together"],
        ),
        mutant(
            "forgets_reply_to_in_a_batch",
            Mail(|mail, message| {
                if message.is_batch() {
                    mail.remove("reply_to");
                }
            }),
            &["batch::all_declared_features_arrive_together"],
        ),
        mutant(
            "forgets_tags_and_metadata_with_attachments",
            Mail(|mail, _| {
                if mail["files"] != json!([]) {
                    mail["labels"] = json!([]);
                }
            }),
            &["messages::all_declared_features_arrive_together"],
        ),
        mutant(
            "forgets_metadata_with_a_template",
            Mail(|mail, _| {
                if mail.contains_key("template") {
                    mail["metadata"] = json!({});
                }
            }),
            &[
                "templates::all_declared_features_arrive_together",
                "templates::all_declared_features_arrive_together_in_a_batch",
            ],
        ),
        mutant(
            "sends_copies_with_the_first_mail_only",
            Call(|mut mails| {
                for mail in mails.iter_mut().skip(1) {
                    (mail["cc"], mail["bcc"]) = (json!([]), json!([]));
                }
                mails
            }),
            &["batch::every_message_has_all_copies"],
        ),
        mutant(
            "sends_a_batch_of_one_to_nobody",
            Call(|mut mails| {
                if let [only] = &mut mails[..]
                    && only["to"].as_array().unwrap().len() == 1
                {
                    only["to"] = json!([]);
                }
                mails
            }),
            &["batch::of_one_recipient_is_one_message"],
        ),
        mutant(
            "sends_the_last_mail_of_a_call_twice",
            Call(|mut mails| {
                mails.extend(mails.last().cloned());
                mails
            }),
            &["messages::a_message_is_sent_once"],
        ),
        mutant(
            "makes_a_call_for_each_recipient",
            Own(O::MakesACallForEachRecipient),
            &["messages::a_message_is_sent_once"],
        ),
        mutant(
            "sends_the_first_call_only",
            Own(O::SendsTheFirstCallOnly),
            &["batch::more_recipients_than_fit_in_a_call_all_get_theirs"],
        ),
        mutant(
            "sends_more_messages_per_call_than_the_esp_allows",
            Own(O::SendsMoreInACallThanTheEspTakes),
            &["batch::more_recipients_than_fit_in_a_call_all_get_theirs"],
        ),
        mutant(
            "declares_a_larger_max_batch",
            Own(O::SaysThatACallTakesMore),
            &["many::more_than_fit_in_a_call_all_arrive_once"],
        ),
        mutant(
            "declares_a_feature_that_cannot_be_used",
            Declares(|can| {
                with(
                    can,
                    &[(Feature::TemplateSubject, Support::With(Feature::AmpHtml))],
                )
            }),
            &["features::declared_features_can_be_used"],
        ),
        // Core refuses undeclared features. These faults let them through, as if core did not.
        mutant(
            "gets_undeclared_features",
            Declares(|_| Capabilities::all()),
            &[
                "features::alternatives::is_left_out_and_reported",
                "features::alternatives::is_refused",
                "features::amp_html::is_left_out_and_reported",
                "features::amp_html::is_refused",
                "features::envelope_sender::is_left_out_and_reported",
                "features::envelope_sender::is_refused",
                "features::inline_attachments::is_left_out_and_reported_against_its_condition",
                "features::inline_attachments::is_refused_against_its_condition",
                "features::international_from::is_left_out_and_reported",
                "features::international_from::is_refused",
                "features::international_recipients::is_left_out_and_reported",
                "features::international_recipients::is_refused",
                "features::merge_data::is_left_out_and_reported_against_its_condition",
                "features::merge_data::is_refused_against_its_condition",
                "features::merge_global_data::is_left_out_and_reported_against_its_condition",
                "features::merge_global_data::is_refused_against_its_condition",
                "features::reply_to::is_left_out_and_reported_over_the_limit",
                "features::reply_to::is_refused_over_the_limit",
                "features::tags::is_left_out_and_reported_over_the_limit",
                "features::tags::is_refused_over_the_limit",
                "features::template_body::is_left_out_and_reported",
                "features::template_body::is_refused",
                "features::template_subject::is_left_out_and_reported",
                "features::template_subject::is_refused",
                "features::track_clicks::is_left_out_and_reported",
                "features::track_clicks::is_refused",
            ],
        ),
    ]
}

fn with(can: &Capabilities, more: &[(Feature, Support)]) -> Capabilities {
    can.iter().chain(more.iter().copied()).collect()
}
