//! Starlings that write a request incorrectly.

use anymail_test_utils::conformance::{Mutants, Sabotage as S};
use serde_json::{Map, Value, json};

use crate::starling::harness::StarlingHarness;
use crate::starling::{change, items, mails, maps};

pub fn mutants() -> Mutants {
    let all = Mutants::http("starling", || StarlingHarness);
    let all = batches(values(contents(people(all))));
    let all = crate::in_both::plant(crate::in_starling_calls::plant(all));
    crate::in_starling_hooks::plant(all)
}

/// Changes each address of each message.
fn each_person(mail: &mut Map<String, Value>, edit: impl Fn(&mut Map<String, Value>)) {
    for list in ["to", "cc", "bcc"] {
        items(mail, list, &edit);
    }
}

fn people(all: Mutants) -> Mutants {
    all.plant(
        "writes_no_names",
        S::Request(|it| mails(it, |mail| each_person(mail, |it| drop(it.remove("name"))))),
        &[
            "addresses::a_name_arrives_equal",
            "addresses::every_kind_arrives_equal_as_bcc",
        ],
    )
    .plant(
        "quotes_names",
        S::Request(|it| {
            mails(it, |mail| {
                each_person(mail, |person| {
                    if let Some(name) = person.get_mut("name") {
                        *name = name.to_string().into();
                    }
                });
            });
        }),
        &["addresses::a_name_with_a_comma_arrives_equal"],
    )
    .plant(
        "makes_a_mail_of_each_recipient",
        S::Request(|it| {
            change(it, |json| {
                let all = json["personalizations"].as_array().unwrap().clone();
                let apart = all.iter().flat_map(|mail| {
                    let to = mail["to"].as_array().into_iter().flatten();
                    to.map(|to| {
                        let mut own = mail.clone();
                        own["to"] = json!([to]);
                        own
                    })
                });
                json["personalizations"] = apart.collect();
            });
        }),
        &[
            "messages::a_message_is_sent_once",
            "recipients::several_to_share_one_message",
        ],
    )
    .plant(
        "writes_bcc_among_cc",
        S::Request(|it| {
            mails(it, |mail| {
                if let Some(hidden) = mail.remove("bcc") {
                    let mut all = mail.get("cc").cloned().unwrap_or(json!([]));
                    all.as_array_mut()
                        .unwrap()
                        .extend(hidden.as_array().cloned().unwrap_or_default());
                    mail.insert("cc".into(), all);
                }
            });
        }),
        &["recipients::bcc_arrives_and_nobody_sees_it"],
    )
    .plant(
        "writes_only_the_first_reply_to_address",
        S::Request(|it| {
            change(it, |json| {
                if let Some(Value::Array(list)) = json.get_mut("reply_to_list") {
                    list.truncate(1);
                }
            });
        }),
        &["features::reply_to::arrives"],
    )
    .plant(
        "writes_the_sender_without_a_name",
        S::Request(|it| {
            change(it, |json| {
                drop(json["from"].as_object_mut().unwrap().remove("name"))
            })
        }),
        &["addresses::a_name_arrives_equal"],
    )
}

fn contents(all: Mutants) -> Mutants {
    const IDS: &str = "attachments::content_ids_match_the_html";
    all.plant(
        "writes_one_body",
        S::Request(|it| {
            change(it, |json| {
                if let Some(Value::Array(bodies)) = json.get_mut("content") {
                    bodies.truncate(1);
                }
            });
        }),
        &[
            "bodies::text_and_html_arrive",
            "features::alternatives::arrives",
        ],
    )
    .plant(
        "writes_every_body_as_html",
        S::Request(|it| {
            change(it, |json| {
                items(json, "content", |body| {
                    drop(body.insert("type".into(), "text/html".into()))
                });
            });
        }),
        &["bodies::text_alone_arrives", "features::amp_html::arrives"],
    )
    .plant(
        "writes_a_blank_for_no_body",
        S::Request(|it| {
            change(it, |json| {
                json.entry("content")
                    .or_insert(json!([{"type": "text/plain", "value": " "}]));
            });
        }),
        &["bodies::no_body_is_added"],
    )
    .plant(
        "sends_inline_parts_as_files",
        S::Request(|it| {
            change(it, |json| {
                items(json, "attachments", |file| {
                    file.insert("disposition".into(), "attachment".into());
                });
            });
        }),
        &["attachments::inline_parts_arrive_inline"],
    )
    .plant(
        "treats_the_filename_as_the_content_id",
        S::Request(|it| {
            change(it, |json| {
                items(json, "attachments", |file| {
                    let name = file["filename"].clone();
                    file.entry("content_id").and_modify(|id| *id = name);
                });
            });
        }),
        &[IDS],
    )
    .plant(
        "writes_content_ids_in_angle_brackets",
        S::Request(|it| {
            change(it, |json| {
                items(json, "attachments", |file| {
                    file.entry("content_id")
                        .and_modify(|id| *id = format!("<{}>", id.as_str().unwrap()).into());
                });
            });
        }),
        &[IDS],
    )
    .plant(
        "treats_the_content_id_as_the_filename",
        S::Request(|it| {
            change(it, |json| {
                items(json, "attachments", |file| {
                    if let Some(id) = file.get("content_id").cloned() {
                        file.insert("filename".into(), id);
                    }
                });
            });
        }),
        &["attachments::inline_parts_keep_their_filenames"],
    )
    .plant(
        "writes_no_parameters_of_types",
        S::Request(|it| {
            change(it, |json| {
                items(json, "attachments", |file| {
                    let kind = file["type"].as_str().unwrap().split(';').next().unwrap();
                    file["type"] = kind.to_owned().into();
                });
            });
        }),
        &["attachments::types_arrive_with_their_parameters"],
    )
    .plant(
        "drops_empty_files",
        S::Request(|it| {
            change(it, |json| {
                if let Some(Value::Array(files)) = json.get_mut("attachments") {
                    files.retain(|file| file["content"] != "");
                }
            });
        }),
        &["attachments::an_empty_one_arrives"],
    )
}

fn values(all: Mutants) -> Mutants {
    const FOR_ALL: &str = "templates::values_for_all_keep_their_json_types";
    const OWN: &str = "templates::values_by_recipient_keep_their_json_types";
    const VALUES: &str = "dynamic_template_data";
    all.plant(
        "writes_metadata_keys_in_lower_case",
        S::Request(|it| {
            maps(it, "custom_args", |map| {
                let pairs = std::mem::take(map).into_iter();
                map.extend(pairs.map(|(key, value)| (key.to_lowercase(), value)));
            });
        }),
        &["features::metadata::keys_keep_their_case"],
    )
    .plant(
        "writes_tags_as_one",
        S::Request(|it| {
            change(it, |json| {
                if let Some(Value::Array(tags)) = json.get_mut("categories") {
                    let all: Vec<_> = tags.iter().filter_map(Value::as_str).collect();
                    *tags = vec![all.join(",").into()];
                }
            });
        }),
        &["features::tags::arrives"],
    )
    .plant(
        "omits_disabled_tracking",
        S::Request(|it| {
            change(it, |json| {
                if let Some(Value::Object(settings)) = json.get_mut("tracking_settings") {
                    settings.retain(|_, it| it["enable"] == true);
                }
            });
        }),
        &[
            "features::track_opens::off_is_sent_too",
            "features::track_clicks::off_is_sent_too",
        ],
    )
    .plant(
        "treats_the_local_time_of_send_at_as_utc",
        S::Message(|message| {
            if let Some(at) = message.send_at.value_mut() {
                *at = at.replace_offset(time::UtcOffset::UTC);
            }
        }),
        &["features::send_at::arrives"],
    )
    .plant(
        "omits_template_values",
        S::Request(|it| mails(it, |mail| drop(mail.remove(VALUES)))),
        &[FOR_ALL, OWN],
    )
    .plant(
        "omits_template_values_of_a_single_mail",
        S::Message(|message| {
            if !message.is_batch() {
                message.merge_global_data = Default::default();
            }
        }),
        &[FOR_ALL],
    )
    .plant(
        "turns_numbers_in_template_values_into_strings",
        S::Request(|it| {
            maps(it, VALUES, |map| {
                for value in map.values_mut().filter(|value| value.is_number()) {
                    *value = value.to_string().into();
                }
            });
        }),
        &[FOR_ALL, OWN],
    )
    .plant(
        "turns_lists_and_objects_in_template_values_into_strings",
        S::Request(|it| {
            maps(it, VALUES, |map| {
                for value in map.values_mut() {
                    if value.is_array() || value.is_object() {
                        *value = value.to_string().into();
                    }
                }
            });
        }),
        &[FOR_ALL, OWN],
    )
    .plant(
        "omits_values_for_all_in_a_batch",
        S::Message(|message| {
            if message.is_batch() {
                message.merge_global_data = Default::default();
            }
        }),
        &["templates::values_for_all_reach_every_recipient_of_a_batch"],
    )
    .plant(
        "substitutes_placeholders_in_values",
        S::Request(|it| {
            maps(it, VALUES, |map| {
                for value in map.values_mut() {
                    if let Value::String(text) = value {
                        *text = text.replace("{{name}}", "Ann");
                    }
                }
            });
        }),
        &[
            "templates::placeholders_in_values_are_not_substituted",
            "batch::placeholders_in_values_are_not_substituted",
        ],
    )
}

fn batches(all: Mutants) -> Mutants {
    all.plant(
        "writes_every_recipients_values_for_all",
        S::Request(|it| {
            change(it, |json| {
                let Some(first) = json["personalizations"].get(0).cloned() else {
                    return;
                };
                items(json, "personalizations", |mail| {
                    for name in ["dynamic_template_data", "custom_args", "headers"] {
                        match first.get(name) {
                            Some(value) => drop(mail.insert(name.into(), value.clone())),
                            None => drop(mail.remove(name)),
                        }
                    }
                });
            });
        }),
        &[
            "batch::template_values_of_one_recipient_reach_no_other",
            "batch::metadata_of_one_recipient_reach_no_other",
            "batch::headers_of_one_recipient_reach_no_other",
        ],
    )
    .plant(
        "sends_copies_of_the_first_mail_only",
        S::Request(|it| {
            change(it, |json| {
                let mails = json["personalizations"].as_array_mut().unwrap();
                for mail in mails.iter_mut().skip(1) {
                    let mail = mail.as_object_mut().unwrap();
                    mail.retain(|name, _| name != "cc" && name != "bcc");
                }
            });
        }),
        &["batch::every_message_has_all_copies"],
    )
    .plant(
        "writes_the_headers_of_a_batch_for_all",
        S::Request(|it| {
            change(it, |json| {
                let mut all = Map::new();
                let mails = json["personalizations"].as_array_mut().unwrap();
                for mail in mails.iter_mut().filter_map(Value::as_object_mut) {
                    let own = mail.remove("headers").unwrap_or_default();
                    all.extend(own.as_object().cloned().unwrap_or_default());
                }
                json.insert("headers".into(), all.into());
            });
        }),
        &["batch::headers_of_one_recipient_reach_no_other"],
    )
    .plant(
        "omits_the_last_mail_of_a_call",
        S::Request(|it| {
            change(it, |json| {
                let mails = json["personalizations"].as_array_mut().unwrap();
                if mails.len() > 1 {
                    mails.pop();
                }
            });
        }),
        &["batch::each_recipient_gets_a_message_and_sees_no_other"],
    )
    .plant(
        "sends_a_batch_of_one_as_a_single_message",
        S::Message(|message| {
            if message.to.items().len() == 1 && message.is_batch() {
                message.to = Default::default();
                message.cc = vec!["ann@example.com".parse().unwrap()].into();
            }
        }),
        &["batch::of_one_recipient_is_one_message"],
    )
}
