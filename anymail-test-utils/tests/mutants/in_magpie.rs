//! Magpies that write a form incorrectly.

use anymail_core::{Address, Feature, Support};
use anymail_test_utils::conformance::{Mutants, Sabotage as S};
use serde_json::Value;

use crate::magpie::harness::MagpieHarness;
use crate::magpie::{change, files, texts, variables};

pub fn mutants() -> Mutants {
    let all = Mutants::http("magpie", || MagpieHarness);
    let all = batches(values(inline_parts(contents(people(all)))));
    let all = crate::in_both::plant(crate::in_magpie_calls::plant(all));
    crate::in_magpie_hooks::plant(all)
}

fn is_person(name: &str) -> bool {
    ["from", "to", "cc", "bcc", "h:Reply-To"].contains(&name)
}

fn people(all: Mutants) -> Mutants {
    all.plant(
        "does_not_quote_names",
        S::Request(|it| texts(it, is_person, |text| Some(text.replace('"', "")))),
        &[
            "addresses::a_name_with_a_comma_arrives_equal",
            "features::reply_to::arrives",
        ],
    )
    .plant(
        "writes_names_in_ascii",
        S::Request(|it| {
            let ascii = |text: &str| text.chars().filter(char::is_ascii).collect::<String>();
            texts(it, is_person, |text| Some(ascii(text)));
        }),
        &["addresses::a_name_outside_ascii_arrives_equal"],
    )
    .plant(
        "writes_addresses_without_names",
        S::Request(|it| {
            let bare = |text: &str| Some(Address::parse(text).ok()?.ascii_email());
            texts(
                it,
                |name| name == "to",
                |text| bare(text).or(Some(text.into())),
            );
        }),
        &["addresses::a_name_arrives_equal"],
    )
    .plant(
        "sends_to_the_last_recipient_only",
        S::Request(|it| {
            change(it, |parts| {
                let last = parts.iter().rposition(|part| part.name == "to");
                let mut place = 0;
                parts.retain(|part| {
                    place += 1;
                    part.name != "to" || Some(place - 1) == last
                });
            });
        }),
        &["recipients::several_to_share_one_message"],
    )
    .plant(
        "writes_a_bcc_header",
        S::Request(|it| {
            change(it, |parts| {
                for part in parts.iter_mut().filter(|part| part.name == "bcc") {
                    part.name = "h:Bcc".to_owned();
                }
            });
        }),
        &["recipients::bcc_arrives_and_nobody_sees_it"],
    )
    .plant(
        "writes_cc_among_to",
        S::Request(|it| {
            change(it, |parts| {
                for part in parts.iter_mut().filter(|part| part.name == "cc") {
                    part.name = "to".to_owned();
                }
            });
        }),
        &["recipients::cc_arrives_as_cc"],
    )
    .plant(
        "writes_only_one_reply_to_address",
        S::Request(|it| {
            let first = |text: &str| text.split(">, ").next().map(str::to_owned);
            texts(
                it,
                |name| name == "h:Reply-To",
                |text| Some(format!("{}>", first(text)?)),
            );
        }),
        &["features::reply_to::arrives"],
    )
}

fn contents(all: Mutants) -> Mutants {
    all.plant(
        "changes_the_line_ends_of_texts",
        S::Request(|it| {
            texts(
                it,
                |name| name == "text",
                |text| Some(text.replace("\r\n", "\n")),
            )
        }),
        &["bodies::every_character_arrives"],
    )
    .plant(
        "drops_a_text_beside_html",
        S::Request(|it| {
            change(it, |parts| {
                let html = parts.iter().any(|part| part.name == "html");
                parts.retain(|part| !(html && part.name == "text"));
            });
        }),
        &["bodies::text_and_html_arrive"],
    )
    .plant(
        "drops_amp",
        S::Request(|it| texts(it, |name| name == "amp-html", |_| None)),
        &["features::amp_html::arrives"],
    )
    .plant(
        "declares_every_alternative",
        S::Capabilities(|can| {
            let more = [(Feature::Alternatives, Support::Yes)];
            can.iter().chain(more).collect()
        }),
        &["features::amp_html::a_second_one_is_refused"],
    )
    .plant(
        "writes_filenames_in_percents",
        S::Request(|it| {
            files(it, "attachment", |part| {
                let name = part.filename.take().unwrap_or_default();
                let encoded = form_urlencoded::byte_serialize(name.as_bytes());
                part.filename = Some(encoded.collect());
            });
        }),
        &["attachments::odd_names_arrive_equal"],
    )
    .plant(
        "names_attachments_without_a_filename",
        S::Request(|it| {
            files(it, "attachment", |part| {
                if part.filename.as_deref().unwrap_or_default().is_empty() {
                    part.filename = Some("attachment".to_owned());
                }
            });
        }),
        &["attachments::one_without_a_filename_arrives"],
    )
    .plant(
        "writes_no_types_of_files",
        S::Request(|it| files(it, "attachment", |part| part.content_type = None)),
        &["attachments::types_arrive_with_their_parameters"],
    )
    .plant(
        "treats_files_as_text",
        S::Request(|it| {
            files(it, "attachment", |part| {
                part.content = String::from_utf8_lossy(&part.content).into_owned().into();
            });
        }),
        &[
            "attachments::one_byte_arrives",
            "attachments::every_byte_arrives",
        ],
    )
    .plant(
        "writes_files_of_one_name_once",
        S::Request(|it| {
            change(it, |parts| {
                let mut seen = Vec::new();
                parts.retain(|part| {
                    let own = part.filename.clone();
                    let again = own.is_some() && seen.contains(&own);
                    seen.push(own);
                    !again
                });
            });
        }),
        &["attachments::two_of_one_name_both_arrive"],
    )
}

fn inline_parts(all: Mutants) -> Mutants {
    const IDS: &str = "attachments::content_ids_match_the_html";
    all.plant(
        "treats_the_filename_as_the_content_id",
        S::Request(|it| {
            files(it, "inline", |part| {
                part.filename = Some("logo.png".to_owned())
            })
        }),
        &[IDS, "features::inline_attachments::arrives"],
    )
    .plant(
        "writes_content_ids_in_angle_brackets",
        S::Request(|it| {
            files(it, "inline", |part| {
                part.filename = part.filename.take().map(|id| format!("<{id}>"));
            });
        }),
        &[IDS],
    )
    .plant(
        "sends_inline_parts_as_files",
        S::Request(|it| files(it, "inline", |part| part.name = "attachment".to_owned())),
        &[
            "attachments::inline_parts_arrive_inline",
            "attachments::attached_and_inline_are_kept_apart",
        ],
    )
    .plant(
        "sends_files_as_inline_parts",
        S::Request(|it| files(it, "attachment", |part| part.name = "inline".to_owned())),
        &["features::attachments::arrives"],
    )
}

fn values(all: Mutants) -> Mutants {
    const FOR_ALL: &str = "templates::values_for_all_keep_their_json_types";
    all.plant(
        "writes_metadata_keys_in_lower_case",
        S::Request(|it| {
            change(it, |parts| {
                for part in parts.iter_mut().filter(|part| part.name.starts_with("v:")) {
                    part.name = part.name.to_lowercase();
                }
            });
        }),
        &["features::metadata::keys_keep_their_case"],
    )
    .plant(
        "drops_headers",
        S::Request(|it| texts(it, |name| name.starts_with("h:X"), |_| None)),
        &["features::headers::arrives"],
    )
    .plant(
        "writes_the_last_tag_only",
        S::Request(|it| {
            change(it, |parts| {
                let tags = parts.iter().filter(|part| part.name == "o:tag").count();
                let mut left = tags.saturating_sub(1);
                parts.retain(|part| {
                    let drops = part.name == "o:tag" && left > 0;
                    left -= usize::from(drops);
                    !drops
                });
            });
        }),
        &["features::tags::arrives"],
    )
    .plant(
        "writes_only_enabled_tracking",
        S::Request(|it| {
            let is = |name: &str| name.starts_with("o:tracking");
            texts(it, is, |text| (text == "yes").then(|| text.to_owned()));
        }),
        &[
            "features::track_opens::off_is_sent_too",
            "features::track_clicks::off_is_sent_too",
        ],
    )
    .plant(
        "tracks_clicks_where_opens_were_asked_for",
        S::Request(|it| {
            change(it, |parts| {
                for part in parts.iter_mut().filter(|it| it.name == "o:tracking-opens") {
                    part.name = "o:tracking-clicks".to_owned();
                }
            });
        }),
        &["features::track_opens::arrives"],
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
        "drops_the_template",
        S::Request(|it| texts(it, |name| name == "template", |_| None)),
        &["features::template::arrives"],
    )
    .plant(
        "drops_the_subject_of_a_template",
        S::Request(|it| {
            change(it, |parts| {
                let template = parts.iter().any(|part| part.name == "template");
                parts.retain(|part| !(template && part.name == "subject"));
            });
        }),
        &["features::template_subject::arrives"],
    )
    .plant(
        "omits_template_values",
        S::Request(|it| texts(it, |name| name == "t:variables", |_| None)),
        &[FOR_ALL, "features::merge_global_data::arrives"],
    )
    .plant(
        "turns_template_values_into_strings",
        S::Request(|it| {
            texts(
                it,
                |name| name == "t:variables",
                |text| {
                    let mut values: Value = serde_json::from_str(text).unwrap();
                    for value in values.as_object_mut().unwrap().values_mut() {
                        if !value.is_string() {
                            *value = value.to_string().into();
                        }
                    }
                    Some(values.to_string())
                },
            );
        }),
        &[FOR_ALL],
    )
    .plant(
        "omits_template_values_in_a_batch",
        S::Request(|it| {
            change(it, |parts| {
                let batch = parts.iter().any(|part| part.name == "recipient-variables");
                parts.retain(|part| !(batch && part.name == "t:variables"));
            });
        }),
        &["templates::values_for_all_reach_every_recipient_of_a_batch"],
    )
}

fn batches(all: Mutants) -> Mutants {
    const VALUES: &str = "batch::template_values_of_one_recipient_reach_no_other";
    all.plant(
        "omits_the_variables_by_recipient",
        S::Request(|it| texts(it, |name| name == "recipient-variables", |_| None)),
        &[
            "batch::each_recipient_gets_a_message_and_sees_no_other",
            VALUES,
        ],
    )
    .plant(
        "looks_variables_up_by_name_and_address",
        S::Request(|it| {
            texts(
                it,
                |name| name == "recipient-variables",
                |text| Some(text.replace("@", " <@")),
            );
        }),
        &[VALUES, "features::merge_metadata::arrives"],
    )
    .plant(
        "turns_values_by_recipient_into_strings",
        S::Request(|it| {
            variables(it, |own| {
                for value in own.values_mut().filter(|value| !value.is_string()) {
                    *value = value.to_string().into();
                }
            });
        }),
        &[VALUES],
    )
    .plant(
        "omits_values_for_all_in_a_batch",
        S::Message(|message| {
            if message.is_batch() {
                message.merge_global_data = Default::default();
            }
        }),
        &["features::merge_global_data::arrives_with_batch", VALUES],
    )
    .plant(
        "omits_variables_that_a_recipient_lacks",
        S::Request(|it| variables(it, |own| own.retain(|_, value| value != ""))),
        &[
            "batch::metadata_of_one_recipient_reach_no_other",
            "batch::headers_of_one_recipient_reach_no_other",
        ],
    )
    .plant(
        "writes_values_for_all_beside_variables",
        S::Message(|message| {
            // What the ESP would substitute if the backend had not turned it into a variable.
            let fill = |text: &mut String| *text = text.replace("%recipient.name%", "Ann");
            let metadata = message.metadata.value_mut().into_iter();
            metadata.flat_map(|it| it.values_mut()).for_each(fill);
        }),
        &["batch::placeholders_in_values_are_not_substituted"],
    )
    .plant(
        "substitutes_placeholders_of_values",
        S::Request(|it| {
            variables(it, |own| {
                let name = own.get("name").cloned().unwrap_or_default();
                let name = name.as_str().unwrap_or_default().to_owned();
                for value in own.values_mut() {
                    if let Value::String(text) = value {
                        *text = text.replace("%recipient.name%", &name);
                    }
                }
            });
        }),
        &["batch::placeholders_in_values_are_not_substituted"],
    )
    .plant(
        "gives_every_recipient_the_first_ones_variables",
        S::Request(|it| {
            texts(
                it,
                |name| name == "recipient-variables",
                |text| {
                    let mut all: serde_json::Map<_, _> = serde_json::from_str(text).unwrap();
                    let first = all.values().next().cloned().unwrap_or_default();
                    all.values_mut().for_each(|own| *own = first.clone());
                    Some(Value::from(all).to_string())
                },
            );
        }),
        &[
            VALUES,
            "batch::metadata_of_one_recipient_reach_no_other",
            "batch::headers_of_one_recipient_reach_no_other",
        ],
    )
}
