//! Template values: all of them arrive with their JSON types, for a single message and for each
//! recipient of a batch.

use anymail_core::{Capabilities, Feature, JsonMap, Message, Support};
use serde_json::{Value, json};

use super::features::at_esp;
use super::rig::Rig;
use super::trial::{Trial, Verdict, trial};
use super::understood::Part;
use crate::fixtures::{addresses, object};

const VALUES: &str = "how your backend writes PreparedMessage::merge_global_data, and merge_data_for in a \
                      batch; Harness::read, Understood::merge_data";
const PARTS: [Part; 3] = [Part::To, Part::TemplateId, Part::MergeData];

pub(super) fn trials(can: &Capabilities) -> Vec<Trial> {
    let has = |feature| can.support(feature) != Support::No;
    if !has(Feature::Template) {
        return Vec::new();
    }
    // Some ESPs support values by recipient only in the message's own bodies.
    let in_batches = has(Feature::MergeGlobalData) && has(Feature::Batch);
    let own = has(Feature::MergeData)
        && has(Feature::Batch)
        && can.support(Feature::MergeData) != Support::Without(Feature::Template);
    let mut trials = Vec::new();
    if has(Feature::MergeGlobalData) {
        trials.push(trial(
            "templates::values_for_all_keep_their_json_types",
            VALUES,
            |rig| async move {
                let mut message = template(&rig);
                message.merge_global_data = rich().into();
                arrives(&rig, message).await
            },
        ));
    }
    if own {
        trials.push(trial(
            "templates::values_by_recipient_keep_their_json_types",
            VALUES,
            |rig| async move {
                let message = template(&rig);
                arrives(&rig, with_own(message, rich(), object([("name", "Bob")]))).await
            },
        ));
    }
    if in_batches {
        trials.push(trial(
            "templates::values_for_all_reach_every_recipient_of_a_batch",
            VALUES,
            move |rig| async move {
                let mut message = template(&rig);
                message.merge_global_data = rich().into();
                let his_own = JsonMap::from_iter([("number".to_owned(), json!("his own"))]);
                let bobs = if own { his_own } else { JsonMap::new() };
                arrives(&rig, with_own(message, JsonMap::new(), bobs)).await
            },
        ));
    }
    if own || has(Feature::MergeGlobalData) {
        trials.push(trial(
            "templates::placeholders_in_values_are_not_substituted",
            "how your backend writes a value that looks like a placeholder; \
             Profile::placeholder",
            move |rig| async move { placeholders(&rig, own).await },
        ));
    }
    trials
}

/// A message that uses only a template.
fn template(rig: &Rig) -> Message {
    at_esp(rig).using(Feature::Template, 1, rig.backend.capabilities())
}

fn with_own(mut message: Message, anns: JsonMap, bobs: JsonMap) -> Message {
    message.to = addresses(["ann@example.com", "bob@example.com"]).into();
    let map = message.merge_data.value_or_default();
    for (email, own) in [("ann@example.com", anns), ("bob@example.com", bobs)] {
        if !own.is_empty() {
            map.insert(email, own);
        }
    }
    message
}

/// Sends the message, unless it exceeds the declared capabilities.
async fn arrives(rig: &Rig, message: Message) -> Verdict {
    if !rig.mailer.check(&message).is_ok() {
        return Err(super::trial::Stop::skip(
            "the backend does not support such values with a template",
        ));
    }
    rig.arrives(&message, &PARTS).await?;
    Ok(())
}

fn rich() -> JsonMap {
    let values = json!({
        "name": "Ann \"A\" <b> & č",
        "number": 3,
        "negative": -17,
        "fraction": 2.5,
        "looks_like_a_number": "0042",
        "looks_like_a_flag": "true",
        "yes": true,
        "no": false,
        "nothing": null,
        "empty": "",
        "list": ["one", 2, false],
        "empty_list": [],
        "object": {"street": "Main, 1", "lines": [{"item": "anvil", "count": 2}]},
    });
    match values {
        Value::Object(map) => map,
        _ => JsonMap::new(),
    }
}

/// Values that contain the placeholders of the ESP and of other template languages.
async fn placeholders(rig: &Rig, own: bool) -> Verdict {
    let marks = [
        (rig.profile.placeholder)("name"),
        "{{name}}".to_owned(),
        "{{{name}}} {% name %} {name} ${name} <%= name %> [[name]] #name# -name-".to_owned(),
        "%recipient.name% %recipient% *|NAME|* [%name%] %name%".to_owned(),
    ];
    let marked: JsonMap = marks
        .into_iter()
        .enumerate()
        .map(|(i, mark)| (format!("mark{i}"), mark.into()))
        .collect();
    let mut message = template(rig);
    if rig.backend.capabilities().support(Feature::MergeGlobalData) != Support::No {
        message.merge_global_data = marked.clone().into();
    }
    if own {
        let mut anns = object([("name", "Ann")]);
        anns.extend(
            marked
                .into_iter()
                .map(|(key, mark)| (format!("own_{key}"), mark)),
        );
        message = with_own(message, anns, object([("name", "Bob")]));
    }
    arrives(rig, message).await
}
