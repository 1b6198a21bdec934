//! The example that is similar to SendGrid, and functions that change its requests.
//! `in_starling.rs` and `in_starling_hooks.rs` break it.

#[path = "../../examples/starling/backend.rs"]
pub mod backend;
#[path = "../../examples/starling/harness.rs"]
pub mod harness;
#[path = "../../examples/starling/posts.rs"]
pub mod posts;
#[path = "../../examples/starling/signature.rs"]
pub mod signature;
#[path = "../../examples/starling/webhook.rs"]
pub mod webhook;
#[path = "../../examples/starling/wire.rs"]
pub mod wire;

use std::sync::Arc;

use anymail_core::EmailBackend;
use anymail_test_utils::conformance::{Harness, HarnessError, Target};
use bytes::Bytes;
use http::Request;
use serde_json::{Map, Value};

use self::harness::StarlingHarness;
use crate::careless::{Calls, Careless, Carelessness};

pub const CALLS: Calls = Calls {
    path: "/v3/mail/send",
    user: None,
    most: wire::MAX_RECIPIENTS,
    body: |request, message, to| request.json(&wire::request(message, to)),
    id: |header, _| header.map(str::to_owned),
    yes: 202,
    words: |body| {
        let json: Value = serde_json::from_str(body).ok()?;
        wire::error(&json).map(str::to_owned)
    },
};

pub fn careless(
    carelessness: Carelessness,
    target: &Target,
) -> Result<Arc<dyn EmailBackend>, HarnessError> {
    let honest = StarlingHarness.backend(target)?;
    Careless::make(honest, CALLS, carelessness, target)
}

/// Changes the JSON of a request.
pub fn change(request: &mut Request<Bytes>, change: impl FnOnce(&mut Map<String, Value>)) {
    // Leave requests unchanged that are not JSON.
    if let Ok(Value::Object(mut json)) = serde_json::from_slice(request.body()) {
        change(&mut json);
        *request.body_mut() = Value::from(json).to_string().into();
    }
}

/// Changes the items of a list.
pub fn items(json: &mut Map<String, Value>, list: &str, edit: impl Fn(&mut Map<String, Value>)) {
    let items = json.get_mut(list).and_then(Value::as_array_mut);
    let items = items.into_iter().flatten();
    items.filter_map(Value::as_object_mut).for_each(edit);
}

/// Changes each message of a request.
pub fn mails(request: &mut Request<Bytes>, edit: impl Fn(&mut Map<String, Value>)) {
    change(request, |json| items(json, "personalizations", edit));
}

/// Changes a map of each message.
pub fn maps(request: &mut Request<Bytes>, name: &str, edit: impl Fn(&mut Map<String, Value>)) {
    mails(request, |mail| {
        if let Some(map) = mail.get_mut(name).and_then(Value::as_object_mut) {
            edit(map);
        }
    });
}
