//! A batch: each `to` recipient gets a separate message with their own values, and sees no other
//! recipient.

use anymail_core::{Capabilities, Feature, Message, Support};
use serde_json::Value;

use super::features::at_esp;
use super::rig::Rig;
use super::trial::{Trial, Verdict, trial};
use super::understood::{Part, Understood};
use crate::fixtures::{addresses, batch_to, headers, metadata, object};

const TO: [&str; 4] = [
    "Ann <Ann@Example.com>",
    "bob@example.com",
    "\"Doe, Eve\" <eve@příklad.example>",
    "zoe@example.org",
];

pub(super) fn trials(can: &Capabilities) -> Vec<Trial> {
    if can.support(Feature::Batch) == Support::No {
        return Vec::new(); // `features` tests that it is refused
    }
    const APART: &str = "PreparedMessage::is_batch: one message for each of to(), with the recipient's own values from \
         headers_for, metadata_for and merge_data_for; Harness::read returns one Understood for each";
    let mut trials = vec![
        trial(
            "batch::each_recipient_gets_a_message_and_sees_no_other",
            APART,
            |rig| async move { apart(&rig, &batch_to(TO)).await },
        ),
        trial(
            "batch::of_one_recipient_is_one_message",
            APART,
            |rig| async move { apart(&rig, &batch_to(["ann@example.com"])).await },
        ),
        trial("batch::every_message_has_all_copies", APART, copies),
        trial(
            "batch::more_recipients_than_fit_in_a_call_all_get_theirs",
            APART,
            many,
        ),
    ];
    let values = can.support(Feature::MergeData);
    if !matches!(values, Support::No | Support::AtMost(_)) {
        trials.push(trial(
            "batch::placeholders_in_values_are_not_substituted",
            "how your backend writes a value that looks like a placeholder: the ESP \
             may substitute it; Profile::placeholder",
            placeholders,
        ));
    }
    // The features that have values by recipient, and a text that distinguishes two recipients.
    for feature in [
        Feature::MergeData,
        Feature::MergeMetadata,
        Feature::MergeHeaders,
    ] {
        let support = can.support(feature);
        if matches!(support, Support::No | Support::AtMost(_)) {
            continue;
        }
        let what = match feature {
            Feature::MergeData => "template_values",
            Feature::MergeMetadata => "metadata",
            _ => "headers",
        };
        trials.push(trial(
            format!("batch::{what}_of_one_recipient_reach_no_other"),
            APART,
            move |rig| own_values(rig, feature),
        ));
    }
    trials
}

/// Sends a batch, compares every message completely, and then searches each one for other
/// recipients.
async fn apart(rig: &Rig, message: &Message) -> Verdict {
    let parts = [
        Part::From,
        Part::To,
        Part::Cc,
        Part::Bcc,
        Part::Subject,
        Part::Text,
        Part::Headers,
        Part::Metadata,
        Part::MergeData,
    ];
    rig.arrives(message, &parts).await?;
    for mail in rig.mails()? {
        let own: Vec<_> = mail.recipients().map(|it| it.key()).collect();
        let seen = Understood {
            // The app itself may mention other recipients' addresses anywhere.
            text: None,
            html: None,
            from: None,
            ..mail.clone()
        };
        let seen = format!("{seen:?}").to_lowercase();
        for other in message.to.items() {
            let stranger = !own.contains(&other.key());
            rig.ensure(!(stranger && seen.contains(other.key().as_str())), || {
                format!(
                    "{} is visible in the message to {own:?}",
                    other.key().as_str()
                )
            })?;
        }
    }
    Ok(())
}

async fn copies(rig: Rig) -> Verdict {
    let mut message = batch_to(TO);
    message.cc = addresses(["copy@example.com"]).into();
    message.bcc = addresses(["hidden@example.com"]).into();
    apart(&rig, &message).await
}

/// Uses one recipient more than fits in a call, if that takes a reasonable time.
async fn many(rig: Rig) -> Verdict {
    let most = rig.profile.recipients_per_call;
    let n = match most.unwrap_or_else(|| rig.backend.max_batch()) {
        n @ 1..=1000 => n.saturating_add(1),
        _ => 1001,
    };
    let to: Vec<_> = (0..n).map(|i| format!("to{i}@example.com")).collect();
    let status = rig
        .arrives(&batch_to(to.iter().map(String::as_str)), &[Part::To])
        .await?;
    let (told, yes) = (status.recipients().len(), rig.profile.accepts_as);
    rig.ensure(told == n && status.all(yes), || {
        format!("expected one status with all {n} recipients {yes:?}, got {told}: {status:?}")
    })
}

/// Puts the ESP's own placeholder into values, metadata and headers, for all recipients and for
/// one, and provides a value for that placeholder.
async fn placeholders(rig: Rig) -> Verdict {
    let can = rig.backend.capabilities();
    let place = (rig.profile.placeholder)("name");
    let mut message = at_esp(&rig).using(Feature::MergeData, 1, can);
    message.to = addresses(TO).into();
    let map = message.merge_data.value_or_default();
    map.clear();
    map.insert(TO[0], object([("name", "Ann"), ("note", &place)]));
    map.insert(TO[1], object([("name", "Bob"), ("note", "none")]));
    let of_one = format!("for one: {place}");
    let mut parts = vec![Part::To, Part::MergeData];
    if can.support(Feature::Metadata) == Support::Yes {
        message.metadata = metadata([("Promo", &*place)]).into();
        parts.push(Part::Metadata);
    }
    if can.support(Feature::MergeMetadata) == Support::Yes {
        let map = message.merge_metadata.value_or_default();
        map.insert(TO[0], metadata([("Own", &*of_one)]));
    }
    if can.support(Feature::Headers) == Support::Yes {
        message.headers = headers([("X-Promo", &*place)]).into();
        parts.push(Part::Headers);
    }
    if can.support(Feature::MergeHeaders) == Support::Yes {
        let map = message.merge_headers.value_or_default();
        map.insert(TO[0], headers([("X-Own", &*of_one)]));
    }
    rig.arrives(&message, &parts).await?;
    Ok(())
}

/// Values for some recipients and other values for all, with keys in another case and one key that
/// matches no recipient.
async fn own_values(rig: Rig, feature: Feature) -> Verdict {
    let can = rig.backend.capabilities();
    let mut message = at_esp(&rig).using(feature, 1, can);
    message.to = addresses(TO).into();
    let by_template = message.template_id.value().is_some();
    let everybody = |other: Feature| {
        let in_use = |it| it == Feature::Batch || (it == Feature::Template && by_template);
        match can.support(other) {
            Support::Yes => true,
            Support::With(it) => in_use(it),
            Support::WithAny(all) => all.iter().any(in_use),
            _ => false,
        }
    };
    let part = match feature {
        Feature::MergeData => {
            if everybody(Feature::MergeGlobalData) {
                message.merge_global_data =
                    object([("shop", "Anvils"), ("name", "customer")]).into();
            }
            let map = message.merge_data.value_or_default();
            map.clear();
            map.insert("ANN@example.com", object([("name", "Ann \"A\" {{b}}")]));
            let mut rich = object([("name", "Eve")]);
            rich.insert("visits".to_owned(), Value::from(3));
            rich.insert("items".to_owned(), Value::from(vec!["one", "two"]));
            map.insert("eve@xn--pklad-zsa96e.example", rich);
            map.insert("nobody@example.com", object([("name", "Nobody")]));
            Part::MergeData
        }
        Feature::MergeMetadata => {
            if everybody(Feature::Metadata) {
                message.metadata = metadata([("order", "none"), ("shop", "Anvils")]).into();
            }
            let map = message.merge_metadata.value_or_default();
            map.clear();
            map.insert("ANN@example.com", metadata([("order", "4711")]));
            map.insert(
                "eve@xn--pklad-zsa96e.example",
                metadata([("customer", "é 7")]),
            );
            map.insert("nobody@example.com", metadata([("order", "0")]));
            Part::Metadata
        }
        _ => {
            if everybody(Feature::Headers) {
                message.headers = headers([("X-Shop", "Anvils"), ("X-Order", "none")]).into();
            }
            let map = message.merge_headers.value_or_default();
            map.clear();
            map.insert("ANN@example.com", headers([("x-order", "4711")]));
            let link = "<https://example.com/u/eve?a=b&c=%20d>";
            map.insert(
                "eve@xn--pklad-zsa96e.example",
                headers([("List-Unsubscribe", link)]),
            );
            map.insert("nobody@example.com", headers([("X-Order", "0")]));
            Part::Headers
        }
    };
    rig.arrives(&message, &[Part::To, part]).await?;
    Ok(())
}
