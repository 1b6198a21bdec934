//! `esp_extra`: options of the ESP arrive unchanged and do not replace the message's own fields.

use anymail_core::{Capabilities, Feature, JsonMap, SendErrorKind, Support};
use serde_json::Value;

use super::rig::Rig;
use super::trial::{Stop, Trial, Verdict, trial};
use super::understood::{Part, Understood};
use crate::fixtures::{address, addresses, plain};

pub(super) fn trials(can: &Capabilities, local: bool) -> Vec<Trial> {
    if local || can.support(Feature::EspExtra) == Support::No {
        return Vec::new(); // stored messages keep it unchanged
    }
    vec![
        trial(
            "features::esp_extra::values_keep_their_json_types",
            "how your backend writes esp_extra into the request: flags, numbers, lists and \
             objects, too; Profile::esp_extra",
            types,
        ),
        trial(
            "features::esp_extra::adds_no_recipient",
            "EmailBackend::check: object to the keys of esp_extra by which the ESP takes \
             recipients; Profile::recipient_keys",
            recipients,
        ),
        trial(
            "features::esp_extra::replaces_a_field_or_is_refused",
            "how your backend merges esp_extra with the message's own fields; \
             Profile::subject_key",
            subject,
        ),
    ]
}

/// Tests each option separately, so that another one cannot hide a lost one.
async fn types(rig: Rig) -> Verdict {
    let is_more_than_text = |value: &&Value| !value.is_string();
    if !rig
        .profile
        .esp_extra
        .values()
        .any(|it| is_more_than_text(&it))
    {
        return Err(Stop::skip(
            "Profile::esp_extra contains no flag, number, list or object of this ESP",
        ));
    }
    for (place, (key, value)) in rig.profile.esp_extra.iter().enumerate() {
        let mut message = plain();
        message.to = vec![address(&format!("to{place}@example.com"))].into();
        message.esp_extra = JsonMap::from_iter([(key.clone(), value.clone())]).into();
        rig.send_ok(&message).await?;
        let mails = rig.mails()?;
        let last = mails.last().map(|mail| mail.extra.clone());
        rig.ensure(
            last.as_ref().and_then(|it| it.get(key)) == Some(value),
            || {
                format!(
                    "expected   extra: {key:?}: {value}\nunderstood extra: {}",
                    Value::from(last.clone().unwrap_or_default())
                )
            },
        )?;
    }
    Ok(())
}

async fn recipients(rig: Rig) -> Verdict {
    if rig.profile.recipient_keys.is_empty() {
        return Err(Stop::fail(
            "the backend declares esp_extra, but Profile::recipient_keys is empty: add the keys by which \
             the ESP takes recipients, most importantly bcc",
        ));
    }
    let mut message = plain();
    message.cc = addresses(["copy@example.com"]).into();
    let mut expected = Vec::new();
    for (key, value) in &rig.profile.recipient_keys {
        message.esp_extra = JsonMap::from_iter([(key.clone(), value.clone())]).into();
        if rig.send(&message).await?.is_ok() {
            expected.extend(Understood::expected(&message));
        }
        rig.compare(&expected, &[Part::To, Part::Cc, Part::Bcc])?;
    }
    Ok(())
}

async fn subject(rig: Rig) -> Verdict {
    let Some(key) = rig.profile.subject_key.clone() else {
        return Err(Stop::skip("Profile::subject_key is not set"));
    };
    let mut message = plain();
    message.esp_extra = JsonMap::from_iter([(key.clone(), "From esp_extra".into())]).into();
    match rig.send(&message).await? {
        Ok(_) => {
            let mut expected = Understood::from(&message);
            expected.subject = Some("From esp_extra".to_owned());
            rig.compare(&[expected], &[Part::To, Part::Subject, Part::Text])
        }
        Err(error) => rig.ensure(error.kind() == SendErrorKind::UnsupportedFeature, || {
            format!("expected a refusal of {key:?} in esp_extra before the call, got: {error}")
        }),
    }
}
