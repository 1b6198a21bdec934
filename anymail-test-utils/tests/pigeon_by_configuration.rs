//! The guide's ESP, selected by a configuration: how an app uses its factory.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    dead_code,
    reason = "a test that fails should; what it does not use, the suite does"
)]

#[path = "../examples/pigeon/backend.rs"]
mod backend;
#[path = "../examples/pigeon/factory.rs"]
mod factory;
#[path = "../examples/pigeon/signature.rs"]
mod signature;
#[path = "../examples/pigeon/webhook.rs"]
mod webhook;
#[path = "../examples/pigeon/wire.rs"]
mod wire;

use std::time::{SystemTime, UNIX_EPOCH};

use anymail_core::{
    ConfigError, Env, Event, HmacSha256Keys, Mailers, MailersConfig, Registry, webhook_at,
};
use bytes::Bytes;
use http::Request;

use crate::factory::PigeonFactory;

fn mailers(more: &[(&str, &str)]) -> Result<Mailers, ConfigError> {
    let registry = Registry::new().with(PigeonFactory);
    let url = ("ANYMAIL_URL", "pigeon://s3cret@127.0.0.1:9/v0?timeout=5");
    let env: Env = more.iter().copied().chain([url]).collect();
    MailersConfig::from_env(&env, &registry).build_in(&env, &registry)
}

/// A post by Pigeon, signed with a key.
fn post(key: &str, body: &'static str) -> Request<Bytes> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let time = now.as_secs().to_string();
    let keys = HmacSha256Keys::new([key]).unwrap();
    let signature = keys.sign_hex(&[time.as_bytes(), b".", body.as_bytes()]);
    let request = Request::post("/").header("pigeon-time", time);
    let kind = match body.starts_with('[') {
        true => "application/json",
        false => "application/x-www-form-urlencoded",
    };
    let request = request.header("pigeon-signature", signature);
    let request = request.header("content-type", kind);
    request.body(Bytes::from_static(body.as_bytes())).unwrap()
}

#[test]
fn one_url_configures_the_backend() {
    let mailers = mailers(&[]).unwrap();
    let backend = mailers.default_mailer().backend();
    assert_eq!(backend.name(), "pigeon");
    let shown = format!("{backend:?}");
    assert!(shown.contains("https://127.0.0.1:9/v0"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn signing_keys_in_the_configuration_protect_both_webhooks() {
    let mailers = mailers(&[
        ("ANYMAIL_PIGEON_WEBHOOK_SIGNING_KEY", "new-key"),
        ("PIGEON_WEBHOOK_SIGNING_KEY_2", "old-key"),
    ]);
    let webhooks = mailers.unwrap().webhooks().unwrap();
    for (path, body) in [
        ("/anymail/pigeon/tracking/", r#"[{"what": "opened"}]"#),
        ("/anymail/pigeon/inbound/", "from=ann@example.com"),
    ] {
        let webhook = webhook_at(&webhooks, path).unwrap();
        for key in ["new-key", "old-key"] {
            let events = webhook.parse(&post(key, body)).unwrap();
            assert_eq!(events.first().map(Event::esp), Some("pigeon"), "{path}");
        }
        assert!(webhook.parse(&post("s3cret", body)).is_err(), "{path}");
    }
}

#[test]
fn without_a_key_or_a_secret_there_are_no_webhooks() {
    let error = mailers(&[]).unwrap().webhooks().unwrap_err().to_string();
    for name in ["ANYMAIL_WEBHOOK_SECRET", "webhook_signing_key"] {
        assert!(error.contains(name), "{error}");
    }
    for secret in ["user:password", "none"] {
        let mailers = mailers(&[("ANYMAIL_WEBHOOK_SECRET", secret)]);
        assert_eq!(mailers.unwrap().webhooks().unwrap().len(), 2);
    }
}
