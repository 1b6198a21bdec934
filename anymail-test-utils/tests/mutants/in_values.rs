//! Backends that write metadata, template values and options incorrectly.

use anymail_core::{JsonMap, Message};
use serde_json::{Value, json};

use crate::breaks::Break::{Mail, Own};
use crate::breaks::{Mutant, Own as O, mutant};

pub fn mutants() -> Vec<Mutant> {
    [values(), templates(), options()].concat()
}

fn extra(message: &Message) -> JsonMap {
    message.esp_extra.value().cloned().unwrap_or_default()
}

/// Changes every template value of the message at any depth.
fn each_value(json: &mut Value, change: fn(&mut Value)) {
    match json {
        Value::Array(items) => items.iter_mut().for_each(|it| each_value(it, change)),
        Value::Object(map) => map.values_mut().for_each(|it| each_value(it, change)),
        _ => {}
    }
    change(json);
}

fn to_text(json: &mut Value) {
    if !json.is_string() {
        *json = json.to_string().into();
    }
}

fn values() -> Vec<Mutant> {
    vec![
        mutant(
            "drops_headers",
            Mail(|mail, _| drop(mail.remove("headers"))),
            &[
                "features::headers::arrives",
                "features::merge_headers::arrives",
            ],
        ),
        mutant(
            "drops_metadata",
            Mail(|mail, _| drop(mail.remove("metadata"))),
            &[
                "features::metadata::arrives",
                "features::merge_metadata::arrives",
            ],
        ),
        mutant(
            "drops_template_values",
            Mail(|mail, _| drop(mail.remove("values"))),
            &[
                "features::merge_data::arrives",
                "features::merge_global_data::arrives",
            ],
        ),
        mutant(
            "drops_all_tags_but_the_first",
            Mail(|mail, _| mail["labels"].as_array_mut().unwrap().truncate(1)),
            &["features::tags::arrives"],
        ),
        mutant(
            "writes_tags_in_lower_case",
            Mail(|mail, _| {
                for tag in mail["labels"].as_array_mut().unwrap() {
                    *tag = tag.as_str().unwrap().to_lowercase().into();
                }
            }),
            &["features::tags::arrive_unchanged"],
        ),
        mutant(
            "writes_tags_in_words",
            Mail(|mail, _| {
                for tag in mail["labels"].as_array_mut().unwrap() {
                    *tag = tag.as_str().unwrap().replace([' ', ','], "-").into();
                }
            }),
            &["features::tags::arrive_unchanged"],
        ),
        mutant(
            "writes_headers_in_ascii",
            Mail(|mail, _| {
                for value in mail["headers"].as_object_mut().unwrap().values_mut() {
                    let text = value.as_str().unwrap();
                    *value = text
                        .chars()
                        .filter(char::is_ascii)
                        .collect::<String>()
                        .into();
                }
            }),
            &["features::headers::values_arrive_unchanged"],
        ),
        mutant(
            "cuts_headers_at_a_semicolon",
            Mail(|mail, _| {
                for value in mail["headers"].as_object_mut().unwrap().values_mut() {
                    *value = value.as_str().unwrap().split(';').next().unwrap().into();
                }
            }),
            &["features::headers::values_arrive_unchanged"],
        ),
        mutant(
            "drops_open_tracking",
            Mail(|mail, _| drop(mail.remove("track_opens"))),
            &["features::track_opens::arrives"],
        ),
        mutant(
            "writes_only_enabled_open_tracking",
            Mail(|mail, _| {
                if mail.get("track_opens") == Some(&false.into()) {
                    mail.remove("track_opens");
                }
            }),
            &["features::track_opens::off_is_sent_too"],
        ),
        mutant(
            "writes_times_in_milliseconds",
            Mail(|mail, _| {
                mail.entry("send_at")
                    .and_modify(|at| *at = (at.as_i64().unwrap() * 1000).into());
            }),
            &["features::send_at::arrives"],
        ),
        mutant(
            "drops_the_template",
            Mail(|mail, _| drop(mail.remove("template"))),
            &[
                "features::template::arrives",
                "many::messages_of_all_kinds_arrive_whole",
            ],
        ),
        mutant(
            "drops_esp_extra",
            Mail(|mail, message| {
                for key in extra(message).keys() {
                    mail.remove(key);
                }
            }),
            &["features::esp_extra::arrives"],
        ),
        mutant(
            "gives_every_recipient_the_first_ones_values",
            Mail(|mail, message| {
                let first = message.to.items().first();
                let own = message
                    .merge_data
                    .value()
                    .zip(first)
                    .and_then(|(map, to)| map.get(to));
                if let (Some(own), true) = (own, message.is_batch()) {
                    mail.insert("values".into(), own.clone().into());
                }
            }),
            &["batch::template_values_of_one_recipient_reach_no_other"],
        ),
        mutant(
            "looks_up_metadata_by_the_spelling_of_the_address",
            Mail(|mail, message| {
                let to = mail["to"][0]["email"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                let by_letter = message.merge_metadata.value();
                let by_letter = by_letter.and_then(|map| map.iter().find(|(key, _)| *key == to));
                if message.is_batch() {
                    let mut all = message.metadata.value().cloned().unwrap_or_default();
                    all.extend(by_letter.map(|(_, own)| own.clone()).into_iter().flatten());
                    mail.insert("metadata".into(), json!(all));
                }
            }),
            &["batch::metadata_of_one_recipient_reach_no_other"],
        ),
        mutant(
            "substitutes_placeholders_in_metadata",
            Mail(|mail, _| {
                for value in mail["metadata"].as_object_mut().unwrap().values_mut() {
                    *value = value.as_str().unwrap().replace("{{name}}", "Ann").into();
                }
            }),
            &["batch::placeholders_in_values_are_not_substituted"],
        ),
        mutant(
            "lets_headers_for_all_take_precedence",
            Mail(|mail, message| {
                for (name, value) in message.headers.value().into_iter().flat_map(|it| it.iter()) {
                    let headers = mail["headers"].as_object_mut().unwrap();
                    headers.retain(|other, _| !other.eq_ignore_ascii_case(name));
                    headers.insert(name.into(), value.into());
                }
            }),
            &["batch::headers_of_one_recipient_reach_no_other"],
        ),
    ]
}

fn templates() -> Vec<Mutant> {
    const FOR_ALL: &str = "templates::values_for_all_keep_their_json_types";
    const OWN: &str = "templates::values_by_recipient_keep_their_json_types";
    vec![
        mutant(
            "omits_template_values",
            Mail(|mail, _| drop(mail.remove("values"))),
            &[FOR_ALL, OWN],
        ),
        mutant(
            "omits_the_template_values_of_a_batch",
            Mail(|mail, message| {
                if message.is_batch() {
                    mail.remove("values");
                }
            }),
            &[
                OWN,
                "templates::values_for_all_reach_every_recipient_of_a_batch",
            ],
        ),
        mutant(
            "omits_the_template_values_of_a_single_mail",
            Mail(|mail, message| {
                if !message.is_batch() {
                    mail.remove("values");
                }
            }),
            &[FOR_ALL],
        ),
        mutant(
            "omits_the_values_for_all_in_a_batch",
            Mail(|mail, message| {
                let own = |key: &String| {
                    let maps = message
                        .merge_data
                        .value()
                        .into_iter()
                        .flat_map(|it| it.iter());
                    maps.into_iter().any(|(_, map)| map.contains_key(key))
                };
                if message.is_batch() {
                    mail["values"]
                        .as_object_mut()
                        .unwrap()
                        .retain(|key, _| own(key));
                }
            }),
            &["templates::values_for_all_reach_every_recipient_of_a_batch"],
        ),
        mutant(
            "turns_numbers_in_template_values_into_strings",
            Mail(|mail, _| {
                each_value(&mut mail["values"], |value| {
                    if value.is_number() {
                        to_text(value);
                    }
                });
            }),
            &[FOR_ALL, OWN],
        ),
        mutant(
            "turns_lists_in_template_values_into_strings",
            Mail(|mail, _| {
                let values = mail["values"].as_object_mut().unwrap();
                values
                    .values_mut()
                    .filter(|it| it.is_array())
                    .for_each(to_text);
            }),
            &[FOR_ALL, OWN],
        ),
        mutant(
            "turns_objects_in_template_values_into_strings",
            Mail(|mail, _| {
                let values = mail["values"].as_object_mut().unwrap();
                values
                    .values_mut()
                    .filter(|it| it.is_object())
                    .for_each(to_text);
            }),
            &[FOR_ALL, OWN],
        ),
        mutant(
            "reads_numbers_out_of_texts_in_template_values",
            Mail(|mail, _| {
                each_value(&mut mail["values"], |value| {
                    let number = value.as_str().and_then(|text| text.parse::<i64>().ok());
                    if let Some(number) = number {
                        *value = number.into();
                    }
                });
            }),
            &[FOR_ALL, OWN],
        ),
        mutant(
            "omits_null_template_values",
            Mail(|mail, _| {
                let values = mail["values"].as_object_mut().unwrap();
                values.retain(|_, it| !it.is_null() && *it != false && *it != "");
            }),
            &[FOR_ALL, OWN],
        ),
        mutant(
            "substitutes_placeholders_in_template_values",
            Mail(|mail, _| {
                each_value(&mut mail["values"], |value| {
                    if let Value::String(text) = value {
                        *text = text.replace("{{name}}", "Ann");
                    }
                });
            }),
            &["templates::placeholders_in_values_are_not_substituted"],
        ),
        mutant(
            "removes_percent_signs_from_template_values",
            Mail(|mail, _| {
                each_value(&mut mail["values"], |value| {
                    if let Value::String(text) = value {
                        text.retain(|c| c != '%');
                    }
                });
            }),
            &["templates::placeholders_in_values_are_not_substituted"],
        ),
    ]
}

fn options() -> Vec<Mutant> {
    const TYPES: &str = "features::esp_extra::values_keep_their_json_types";
    const RECIPIENTS: &str = "features::esp_extra::adds_no_recipient";
    vec![
        mutant(
            "turns_options_into_strings",
            Mail(|mail, message| {
                for key in extra(message).keys() {
                    to_text(&mut mail[key]);
                }
            }),
            &[TYPES],
        ),
        mutant(
            "loses_flags_in_esp_extra",
            Mail(|mail, message| {
                for (key, _) in extra(message).iter().filter(|(_, it)| it.is_boolean()) {
                    mail.remove(key);
                }
            }),
            &[TYPES],
        ),
        mutant(
            "loses_lists_in_esp_extra",
            Mail(|mail, message| {
                for (key, _) in extra(message).iter().filter(|(_, it)| it.is_array()) {
                    mail.remove(key);
                }
            }),
            &[TYPES],
        ),
        mutant(
            "loses_objects_in_esp_extra",
            Mail(|mail, message| {
                for (key, _) in extra(message).iter().filter(|(_, it)| it.is_object()) {
                    mail.remove(key);
                }
            }),
            &[TYPES],
        ),
        mutant(
            "lets_esp_extra_name_recipients",
            Own(O::ObjectsToNothing),
            &[RECIPIENTS],
        ),
        mutant(
            "lets_esp_extra_add_a_bcc",
            Own(O::ObjectsToNothingButTo),
            &[RECIPIENTS],
        ),
        mutant(
            "ignores_the_subject_in_esp_extra",
            Mail(|mail, message| {
                if let Some(subject) = message.subject.value() {
                    mail.insert("subject".into(), subject.clone().into());
                }
            }),
            &["features::esp_extra::replaces_a_field_or_is_refused"],
        ),
        mutant(
            "writes_metadata_keys_in_lower_case",
            Mail(|mail, _| {
                let metadata = mail["metadata"].as_object_mut().unwrap();
                *metadata = std::mem::take(metadata)
                    .into_iter()
                    .map(|(key, value)| (key.to_lowercase(), value))
                    .collect();
            }),
            &["features::metadata::keys_keep_their_case"],
        ),
        mutant(
            "writes_metadata_keys_in_dashes",
            Mail(|mail, _| {
                let metadata = mail["metadata"].as_object_mut().unwrap();
                *metadata = std::mem::take(metadata)
                    .into_iter()
                    .map(|(key, value)| (key.replace('_', "-"), value))
                    .collect();
            }),
            &[
                "features::metadata::keys_keep_their_case",
                "features::metadata::arrives",
            ],
        ),
        mutant(
            "treats_the_local_time_of_send_at_as_utc",
            Mail(|mail, message| {
                if let Some(at) = message.send_at.value() {
                    let wall = at.replace_offset(time::UtcOffset::UTC);
                    mail.insert("send_at".into(), wall.unix_timestamp().into());
                }
            }),
            &["features::send_at::arrives"],
        ),
    ]
}
