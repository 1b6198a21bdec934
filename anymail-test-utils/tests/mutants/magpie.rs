//! The example that is similar to Mailgun, and functions that change its forms. `in_magpie.rs` and
//! `in_magpie_hooks.rs` break it.

#[path = "../../examples/magpie/backend.rs"]
pub mod backend;
#[path = "../../examples/magpie/harness.rs"]
pub mod harness;
#[path = "../../examples/magpie/posts.rs"]
pub mod posts;
#[path = "../../examples/magpie/signature.rs"]
pub mod signature;
#[path = "../../examples/magpie/webhook.rs"]
pub mod webhook;
#[path = "../../examples/magpie/wire.rs"]
pub mod wire;

use anymail_core::JsonMap;
use anymail_test_utils::conformance::{Harness, HarnessError, Target};
use bytes::Bytes;
use http::Request;
use serde_json::Value;

use self::harness::{MagpieHarness, Part, read_form};
use crate::careless::{Calls, Careless, Carelessness};

pub const CALLS: Calls = Calls {
    path: "/v3/mg.example.com/messages",
    user: Some("api"),
    most: wire::MAX_RECIPIENTS,
    body: |request, message, to| request.multipart(wire::form(message, to)),
    id: |_, body| wire::message_id(&serde_json::from_str(body).ok()?),
    yes: 200,
    words: |body| {
        let json: Value = serde_json::from_str(body).ok()?;
        Some(json.get("message")?.as_str()?.to_owned())
    },
};

pub fn careless(
    carelessness: Carelessness,
    target: &Target,
) -> Result<std::sync::Arc<dyn anymail_core::EmailBackend>, HarnessError> {
    Careless::make(MagpieHarness.backend(target)?, CALLS, carelessness, target)
}

/// Changes the fields of a request.
pub fn change(request: &mut Request<Bytes>, change: impl FnOnce(&mut Vec<Part>)) {
    // Leave requests unchanged that are not forms.
    if let Ok(mut parts) = read_form(request) {
        change(&mut parts);
        let kind = format!("multipart/form-data; boundary={}", posts::BOUNDARY);
        request
            .headers_mut()
            .insert("content-type", kind.parse().unwrap());
        *request.body_mut() = posts::write_form(&parts);
    }
}

/// Changes the text of these fields; `None` removes a field.
pub fn texts(
    request: &mut Request<Bytes>,
    is_one: impl Fn(&str) -> bool,
    edit: impl Fn(&str) -> Option<String>,
) {
    change(request, |parts| {
        parts.retain_mut(|part| {
            if !is_one(&part.name) {
                return true;
            }
            let text = String::from_utf8_lossy(&part.content).into_owned();
            let edited = edit(&text);
            if let Some(text) = &edited {
                part.content = text.clone().into();
            }
            edited.is_some()
        });
    });
}

/// Changes the variables of each recipient.
pub fn variables(request: &mut Request<Bytes>, edit: impl Fn(&mut JsonMap)) {
    let edit_all = |text: &str| {
        let mut all: JsonMap = serde_json::from_str(text).unwrap();
        all.values_mut()
            .filter_map(Value::as_object_mut)
            .for_each(&edit);
        Some(Value::from(all).to_string())
    };
    texts(request, |name| name == "recipient-variables", edit_all);
}

/// Changes the files in these fields.
pub fn files(request: &mut Request<Bytes>, field: &str, edit: impl Fn(&mut Part)) {
    change(request, |parts| {
        parts
            .iter_mut()
            .filter(|part| part.name == field)
            .for_each(edit);
    });
}
