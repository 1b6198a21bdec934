//! The examples, selected by a configuration: how an app uses their factories.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    dead_code,
    reason = "a test that fails should; what it does not use, the suite does"
)]

mod dove;
mod magpie;
mod starling;

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
        .with(starling::factory::StarlingFactory);
    let env: Env = settings.iter().copied().collect();
    MailersConfig::from_env(&env, &registry).build_in(&env, &registry)
}

const MAGPIE: &str = "magpie://s3cret@127.0.0.1:9/?domain=mg.example.com";
/// The same key as in the documentation of `WebhookSignature`.
const PUBLIC_KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcwHBcepxo7yAQGhHPTnlvFYPAZFceEu/1FwCM/QmGUhA==";

#[test]
fn one_url_configures_each_backend() {
    for (name, url) in [
        ("dove", "dove://s3cret@127.0.0.1"),
        ("magpie", MAGPIE),
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
fn an_invalid_domain_is_reported_with_its_option() {
    for domain in ["", "?domain=mg.example.com%2Fv3"] {
        let url = format!("magpie://s3cret@127.0.0.1:9/{domain}");
        let error = mailers(&[("ANYMAIL_URL", &url)]).unwrap_err().to_string();
        assert!(error.contains("domain"), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

/// A post by Magpie, of either kind, signed with a key.
fn posts(key: &str) -> [(&'static str, Request<Bytes>); 2] {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let (time, token) = (now.as_secs().to_string(), "a-token");
    let keys = HmacSha256Keys::new([key]).unwrap();
    let signature = keys.sign_hex(&[time.as_bytes(), token.as_bytes()]);
    let signed = format!(r#"{{"timestamp":"{time}","token":"{token}","signature":"{signature}"}}"#);
    let json = format!(r#"{{"signature":{signed},"event-data":{{"event":"opened"}}}}"#);
    let form =
        format!("sender=ann@example.com&timestamp={time}&token={token}&signature={signature}");
    let request = |kind: &str, body: String| {
        let request = Request::post("/").header("content-type", kind);
        request.body(Bytes::from(body)).unwrap()
    };
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

#[test]
fn signing_keys_in_the_configuration_protect_magpies_webhooks() {
    let mailers = mailers(&[
        ("ANYMAIL_URL", MAGPIE),
        ("ANYMAIL_MAGPIE_WEBHOOK_SIGNING_KEY", "new-key"),
        ("MAGPIE_WEBHOOK_SIGNING_KEY_2", "old-key"),
    ]);
    let webhooks = mailers.unwrap().webhooks().unwrap();
    for key in ["new-key", "old-key"] {
        for (path, post) in posts(key) {
            let events = webhook_at(&webhooks, path).unwrap().parse(&post).unwrap();
            assert_eq!(events.first().map(Event::esp), Some("magpie"), "{path}");
        }
    }
    for (path, post) in posts("s3cret") {
        assert!(webhook_at(&webhooks, path).unwrap().parse(&post).is_err());
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
