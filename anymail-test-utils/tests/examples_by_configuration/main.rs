//! The examples, selected by a configuration: how an app uses their factories.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    dead_code,
    reason = "a failing test panics; the suite uses the other items"
)]

mod dove;
mod magpie;
mod starling;

// Pigeon's files are the root of a crate, as the guide shows them.
#[path = "../../examples/pigeon/backend.rs"]
mod backend;
#[path = "../../examples/pigeon/factory.rs"]
mod factory;
#[path = "../../examples/pigeon/signature.rs"]
mod signature;
#[path = "../../examples/pigeon/webhook.rs"]
mod webhook;
#[path = "../../examples/pigeon/wire.rs"]
mod wire;

use std::time::{SystemTime, UNIX_EPOCH};

use anymail_core::{
    ConfigError, Env, Event, HmacSha256Keys, Mailers, MailersConfig, Registry, webhook_at,
};
use bytes::Bytes;
use http::Request;

fn mailers(settings: &[(&str, &str)]) -> Result<Mailers, ConfigError> {
    let registry = Registry::new()
        .with(dove::factory::DoveFactory)
        .with(magpie::factory::MagpieFactory)
        .with(factory::PigeonFactory)
        .with(starling::factory::StarlingFactory);
    let env: Env = settings.iter().copied().collect();
    MailersConfig::from_env(&env, &registry).build_in(&env, &registry)
}

const PIGEON: &str = "pigeon://s3cret@127.0.0.1:9/v0?timeout=5";
const MAGPIE: &str = "magpie://s3cret@127.0.0.1:9/?domain=mg.example.com";
/// The same key as in the documentation of `WebhookSignature`.
const PUBLIC_KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcwHBcepxo7yAQGhHPTnlvFYPAZFceEu/1FwCM/QmGUhA==";

#[test]
fn one_url_configures_each_backend() {
    for (name, url) in [
        ("dove", "dove://s3cret@127.0.0.1"),
        ("magpie", MAGPIE),
        ("pigeon", PIGEON),
        ("starling", "starling://s3cret@127.0.0.1:9/?timeout=5"),
    ] {
        let mailers = mailers(&[("ANYMAIL_URL", url)]).unwrap();
        let backend = mailers.default_mailer().backend();
        assert_eq!(backend.name(), name);
        let shown = format!("{backend:?}");
        assert!(
            shown.contains("127.0.0.1") && !shown.contains("s3cret"),
            "{shown}"
        );
    }
}

#[test]
fn a_path_in_the_url_is_part_of_the_api_url() {
    let mailers = mailers(&[("ANYMAIL_URL", PIGEON)]).unwrap();
    let shown = format!("{:?}", mailers.default_mailer().backend());
    assert!(shown.contains("https://127.0.0.1:9/v0"), "{shown}");
}

#[test]
fn an_invalid_domain_is_reported_with_its_option() {
    for domain in ["", "?domain=mg.example.com%2Fv3"] {
        let url = format!("magpie://s3cret@127.0.0.1:9/{domain}");
        let error = mailers(&[("ANYMAIL_URL", &url)]).unwrap_err().to_string();
        assert!(error.contains("domain"), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

fn unix_seconds() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs().to_string()
}

fn request(kind: &str, body: String) -> Request<Bytes> {
    let request = Request::post("/").header("content-type", kind);
    request.body(Bytes::from(body)).unwrap()
}

/// A post by Magpie to each of its webhooks, signed with a key.
fn posts_by_magpie(key: &str) -> [(&'static str, Request<Bytes>); 2] {
    let (time, token) = (unix_seconds(), "a-token");
    let keys = HmacSha256Keys::new([key]).unwrap();
    let signature = keys.sign_hex(&[time.as_bytes(), token.as_bytes()]);
    let signed = format!(r#"{{"timestamp":"{time}","token":"{token}","signature":"{signature}"}}"#);
    let json = format!(r#"{{"signature":{signed},"event-data":{{"event":"opened"}}}}"#);
    let form =
        format!("sender=ann@example.com&timestamp={time}&token={token}&signature={signature}");
    [
        (
            "/anymail/magpie/tracking/",
            request("application/json", json),
        ),
        (
            "/anymail/magpie/inbound/",
            request("application/x-www-form-urlencoded", form),
        ),
    ]
}

/// A post by Pigeon to each of its webhooks, signed with a key.
fn posts_by_pigeon(key: &str) -> [(&'static str, Request<Bytes>); 2] {
    let signed = |kind: &str, body: &str| {
        let time = unix_seconds();
        let keys = HmacSha256Keys::new([key]).unwrap();
        let signature = keys.sign_hex(&[time.as_bytes(), b".", body.as_bytes()]);
        let mut request = request(kind, body.to_owned());
        let headers = request.headers_mut();
        headers.insert("pigeon-time", time.parse().unwrap());
        headers.insert("pigeon-signature", signature.parse().unwrap());
        request
    };
    [
        (
            "/anymail/pigeon/tracking/",
            signed("application/json", r#"[{"what": "opened"}]"#),
        ),
        (
            "/anymail/pigeon/inbound/",
            signed("application/x-www-form-urlencoded", "from=ann@example.com"),
        ),
    ]
}

#[test]
fn signing_keys_in_the_configuration_protect_both_webhooks() {
    for (esp, url, posts) in [
        ("magpie", MAGPIE, posts_by_magpie as fn(&str) -> _),
        ("pigeon", PIGEON, posts_by_pigeon),
    ] {
        let prefix = esp.to_ascii_uppercase();
        let mailers = mailers(&[
            ("ANYMAIL_URL", url),
            (&format!("ANYMAIL_{prefix}_WEBHOOK_SIGNING_KEY"), "new-key"),
            (&format!("{prefix}_WEBHOOK_SIGNING_KEY_2"), "old-key"),
        ]);
        let webhooks = mailers.unwrap().webhooks().unwrap();
        for key in ["new-key", "old-key"] {
            for (path, post) in posts(key) {
                let events = webhook_at(&webhooks, path).unwrap().parse(&post).unwrap();
                assert_eq!(events.first().map(Event::esp), Some(esp), "{path}");
            }
        }
        for (path, post) in posts("s3cret") {
            let webhook = webhook_at(&webhooks, path).unwrap();
            assert!(webhook.parse(&post).is_err(), "{path}");
        }
    }
}

#[test]
fn without_a_key_or_a_secret_there_are_no_webhooks() {
    let url = ("ANYMAIL_URL", PIGEON);
    let error = mailers(&[url]).unwrap().webhooks().unwrap_err().to_string();
    for name in ["ANYMAIL_WEBHOOK_SECRET", "webhook_signing_key"] {
        assert!(error.contains(name), "{error}");
    }
    for secret in ["user:password", "none"] {
        let mailers = mailers(&[url, ("ANYMAIL_WEBHOOK_SECRET", secret)]);
        assert_eq!(mailers.unwrap().webhooks().unwrap().len(), 2);
    }
}

#[test]
fn an_invalid_public_key_is_reported_with_its_option() {
    let url = "starling://s3cret@127.0.0.1:9/";
    let with = |key: &str| {
        let key = ("ANYMAIL_STARLING_WEBHOOK_VERIFICATION_KEY", key);
        mailers(&[("ANYMAIL_URL", url), key])
    };
    let webhooks = with(PUBLIC_KEY).unwrap().webhooks();
    assert_eq!(webhooks.unwrap().len(), 2);
    let error = with("no key").unwrap_err().to_string();
    assert!(error.contains("WEBHOOK_VERIFICATION_KEY"), "{error}");
}
