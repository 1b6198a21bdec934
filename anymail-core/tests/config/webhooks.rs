//! The webhooks of configured backends.

use std::collections::BTreeSet;

use anymail_core::{Secret, SignatureError, WebhookSignature, webhook_path};

use super::*;

/// An ESP that signs, with two webhooks. A user and password can replace the key.
#[derive(Debug)]
struct PostboxFactory;

impl BackendFactory for PostboxFactory {
    fn name(&self) -> &str {
        "postbox"
    }

    fn options(&self) -> &[OptionSpec] {
        const OPTIONS: [OptionSpec; 1] = [OptionSpec::text("region", "where it is")];
        &OPTIONS
    }

    fn webhook_options(&self) -> &[OptionSpec] {
        const OPTIONS: [OptionSpec; 1] = [OptionSpec::secret(
            "webhook_signing_key",
            "from its page of webhooks",
        )];
        &OPTIONS
    }

    fn webhooks(&self, options: &Options) -> Result<Vec<Arc<dyn Webhook>>, Vec<OptionFault>> {
        assert_eq!(
            options.text("region"),
            None,
            "region is not an option of webhooks"
        );
        let mut auth = options.webhook_auth();
        if let Some(key) = options.secret("webhook_signing_key") {
            if key.expose().len() < 8 {
                return Err(OptionFault::new("webhook_signing_key", "it is too short").into());
            }
            auth = auth.and_signature(PostboxSignature(key.clone()));
        }
        let webhook =
            |name| -> Arc<dyn Webhook> { Arc::new(Hook::new("postbox", name, auth.clone())) };
        Ok(vec![webhook("tracking"), webhook("inbound_mime")])
    }

    fn build(&self, _: &Options) -> Result<Arc<dyn EmailBackend>, Vec<OptionFault>> {
        Ok(Arc::new(Scripted::new("postbox")))
    }
}

#[derive(Debug)]
struct PostboxSignature(Secret);

impl WebhookSignature for PostboxSignature {
    fn verify(&self, request: &Request<Bytes>) -> Result<(), SignatureError> {
        match request.headers().get("signature") {
            Some(key) if *key == *self.0.expose() => Ok(()),
            _ => Err(SignatureError::Missing("signature")),
        }
    }
}

/// An ESP whose webhooks require a key.
#[derive(Debug)]
struct StrictFactory;

impl BackendFactory for StrictFactory {
    fn name(&self) -> &str {
        "strict"
    }

    fn options(&self) -> &[OptionSpec] {
        &[]
    }

    fn webhook_options(&self) -> &[OptionSpec] {
        const OPTIONS: [OptionSpec; 1] =
            [OptionSpec::secret("webhook_key", "from its page of keys").required()];
        &OPTIONS
    }

    fn webhooks(&self, options: &Options) -> Result<Vec<Arc<dyn Webhook>>, Vec<OptionFault>> {
        let key = options.secret("webhook_key");
        let key = key.ok_or(OptionFault::missing("webhook_key"))?;
        let auth = WebhookAuth::signature(PostboxSignature(key.clone()));
        Ok(vec![Arc::new(Hook::new("strict", "tracking", auth))])
    }

    fn build(&self, _: &Options) -> Result<Arc<dyn EmailBackend>, Vec<OptionFault>> {
        Ok(Arc::new(Scripted::new("strict")))
    }
}

fn registry() -> Registry {
    acme().1.with(PostboxFactory).with(StrictFactory)
}

fn webhooks(config: &str) -> Result<Vec<Arc<dyn Webhook>>, ConfigError> {
    toml(config).build_in(&no_env(), &registry())?.webhooks()
}

/// The paths, and which of the requests each accepts, by the number of the request.
fn takes(webhooks: &[Arc<dyn Webhook>], requests: &[(&str, &str)]) -> Vec<(String, Vec<usize>)> {
    let request = |(name, value): &(&str, &str)| {
        let request = Request::post("/").header(*name, *value);
        request.body(Bytes::new()).unwrap()
    };
    let taken = |webhook: &Arc<dyn Webhook>| {
        let requests = requests.iter().enumerate();
        let taken = requests.filter(|(_, given)| webhook.parse(&request(given)).is_ok());
        (webhook_path(webhook), taken.map(|(at, _)| at).collect())
    };
    webhooks.iter().map(taken).collect()
}

/// `user:one`, `user:two`, and the signature `key-key-key`.
const REQUESTS: [(&str, &str); 4] = [
    ("authorization", "Basic dXNlcjpvbmU="),
    ("authorization", "Basic dXNlcjp0d28="),
    ("signature", "key-key-key"),
    ("other", ""),
];

fn path(path: &str, taken: &[usize]) -> (String, Vec<usize>) {
    (path.to_owned(), taken.to_vec())
}

#[test]
fn every_configured_backend_has_its_webhooks_including_members() {
    let config = r#"
        webhook_secret = "user:one"
        default = "main"
        [backends.postbox]
        options.webhook_signing_key = "key-key-key"
        webhook_secret = "none"
        [mailers.main]
        backend = "failover"
        options.members = ["first", "postbox", "memory"]
        [mailers.first]
        backend = "round_robin"
        options.members = ["acme://default?server_token=a", "second"]
        [mailers.second]
        backend = "acme"
        options.server_token = "b"
        [mailers.alone]
        url = "acme-eu://default?server_token=c&webhook_secret=user:two"
    "#;
    let found = webhooks(config).unwrap();
    assert_eq!(
        takes(&found, &REQUESTS),
        [
            path("/anymail/acme_eu/tracking/", &[1]),
            path("/anymail/acme/tracking/", &[0]),
            path("/anymail/postbox/tracking/", &[2]),
            path("/anymail/postbox/inbound_mime/", &[2]),
        ]
    );
    // Created once, although two mailers have it.
    assert!(format!("{:?}", found[1]).starts_with("Hook"), "{found:?}");
}

#[test]
fn mailers_of_one_esp_share_a_url_but_not_a_secret() {
    let config = r#"
        default = "a"
        webhook_secret = "user:one"
        [mailers.a]
        backend = "acme"
        options.server_token = "a"
        [mailers.b]
        backend = "acme"
        options.server_token = "b"
        webhook_secret = "user:two"
    "#;
    assert_eq!(
        takes(&webhooks(config).unwrap(), &REQUESTS),
        [path("/anymail/acme/tracking/", &[0, 1])]
    );
}

#[test]
fn the_environment_can_configure_webhooks() {
    let env = Env::from([
        ("ANYMAIL_BACKEND", "postbox"),
        ("ANYMAIL_POSTBOX_WEBHOOK_SIGNING_KEY", "key-key-key"),
    ]);
    let config = MailersConfig::from_env(&env, &registry());
    let mailers = config.build_in(&env, &registry()).unwrap();
    assert_eq!(
        takes(&mailers.webhooks().unwrap(), &REQUESTS)[0],
        path("/anymail/postbox/tracking/", &[2])
    );
    let env = Env::from([
        ("ANYMAIL_URL", "postbox://"),
        ("ANYMAIL_WEBHOOK_SECRET", "none"),
        ("ANYMAIL_POSTBOX_WEBHOOK_SECRET", "user:two"),
    ]);
    let config = MailersConfig::from_env(&env, &registry());
    let mailers = config.build_in(&env, &registry()).unwrap();
    assert_eq!(
        takes(&mailers.webhooks().unwrap(), &REQUESTS)[0],
        path("/anymail/postbox/tracking/", &[1])
    );
    let env = Env::from([
        ("ANYMAIL_BACKEND", "postbox"),
        ("ANYMAIL_POSTBOX_WEBHOOK_SIGNIN_KEY", "key-key-key"),
    ]);
    let config = MailersConfig::from_env(&env, &registry());
    assert_eq!(
        faults(config.build_in(&env, &registry())),
        [
            "ANYMAIL_POSTBOX_WEBHOOK_SIGNIN_KEY: unknown postbox option; did you mean \
             \"webhook_signing_key\"? (known: region, webhook_signing_key, send_defaults, \
             webhook_secret)"
        ]
    );
}

#[test]
fn requesting_webhooks_without_a_secret_is_an_error() {
    let config = r#"
        default = "a"
        [mailers.a]
        backend = "acme"
        options.server_token = "a"
        [mailers.b]
        backend = "failover"
        options.members = ["postbox", "memory"]
        [mailers.c]
        backend = "strict"
    "#;
    // An app that only sends does not ask for webhooks.
    let mailers = toml(config).build_in(&no_env(), &registry()).unwrap();
    let no_secret = "need authentication: set webhook_secret to \"user:password\"";
    assert_eq!(
        faults(mailers.webhooks()),
        [
            format!(
                "mailers.a.webhook_secret: the webhooks of acme {no_secret}, or turn \
                 authentication off with webhook_secret = \"none\""
            ),
            "mailers.c.options.webhook_key: required by the webhooks of strict (from its page of keys)"
                .to_owned(),
            format!(
                "mailers.postbox.webhook_secret: the webhooks of postbox {no_secret} or \
                 webhook_signing_key, or turn authentication off with webhook_secret = \"none\""
            ),
        ]
    );
    let kinds: BTreeSet<_> = mailers
        .webhooks()
        .unwrap_err()
        .faults()
        .iter()
        .map(|fault| fault.kind() == Kind::Missing)
        .collect();
    assert_eq!(kinds, BTreeSet::from([true]));
}

#[test]
fn anybody_may_post_only_if_the_configuration_says_none() {
    let (_, registry) = acme();
    for (secret, open) in [
        (r#""none""#, true),
        (r#"["none"]"#, true),
        (r#""env:HOOK""#, true),
    ] {
        let env = Env::from([("HOOK", "none")]);
        let config =
            format!("backend = \"acme\"\noptions.server_token = \"t\"\nwebhook_secret = {secret}");
        let mailers = toml(&config).build_in(&env, &registry).unwrap();
        assert_eq!(mailers.webhooks().unwrap()[0].auth().is_open(), open);
    }
    for bad in ["None", "s3cret", ":s3cret", "s3cret:", " : ", "none:"] {
        let config = MailersConfig::from(MailerConfig::new("memory")).webhook_secret(bad);
        let with_none = config.clone().webhook_secret("none");
        for config in [config, with_none] {
            assert_eq!(
                faults(config.build_in(&no_env(), &registry)),
                [
                    "webhook_secret: expected a secret of the form \"user:password\"; \"none\" on \
                     its own turns authentication off"
                ]
            );
        }
    }
}

#[test]
fn an_open_and_an_authenticated_webhook_at_one_url_conflict() {
    let config = r#"
        default = "a"
        webhook_secret = "user:one"
        [mailers.a]
        backend = "acme"
        options.server_token = "a"
        [mailers.b]
        url = "acme://default?server_token=b&webhook_secret=none"
        [mailers.c]
        backend = "acme_eu"
        options.server_token = "c"
        webhook_secret = "none"
    "#;
    assert_eq!(
        faults(webhooks(config)),
        [
            "mailers.b.url (webhook_secret): the webhooks of acme accept unauthenticated requests \
             here but require a secret at mailers.a.webhook_secret, although both have the same URL"
        ]
    );
}

#[test]
fn invalid_webhook_options_are_reported_when_mailers_are_built() {
    let config = r#"
        backend = "postbox"
        options = { webhook_signing_key = "short", webhook_signin_key = "s3cret" }
        [backends.postbox]
        webhook_secret = "env:NOT_SET"
    "#;
    assert_eq!(
        faults(toml(config).build_in(&no_env(), &registry())),
        [
            "backends.postbox.webhook_secret: the environment variable \"NOT_SET\" is not set \
             or is empty",
            "options.webhook_signin_key: unknown postbox option; did you mean \
             \"webhook_signing_key\"? (known: region, webhook_signing_key)",
        ]
    );
    for (url, problem) in [
        ("postbox://?webhook_signing_key=s3cret", "it is too short"),
        (
            "postbox://?webhook_secret=s3cret",
            "expected a secret of the form",
        ),
    ] {
        let config = MailersConfig::from(MailerConfig::from_url(url));
        let error = config.build_in(&no_env(), &registry()).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(problem), "{shown}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

#[test]
fn webhooks_of_mailers_created_in_code_are_added_in_code() {
    let (_, registry) = acme();
    let mailers = toml(r#"backend = "memory""#)
        .build_in(&no_env(), &registry)
        .unwrap();
    assert!(mailers.webhooks().unwrap().is_empty());
    let auth = WebhookAuth::basic([("user", "one")]).unwrap();
    let webhook: Arc<dyn Webhook> = Arc::new(Hook::new("acme", "tracking", auth));
    let mailers = mailers.with_webhooks([webhook]);
    assert_eq!(
        takes(&mailers.webhooks().unwrap(), &REQUESTS),
        [path("/anymail/acme/tracking/", &[0])]
    );
}

#[test]
fn secrets_with_commas_can_be_listed_in_the_environment() {
    let env = Env::from([
        ("ANYMAIL_BACKEND", "acme"),
        ("ANYMAIL_ACME_SERVER_TOKEN", "t"),
        (
            "ANYMAIL_WEBHOOK_SECRET",
            r#"["user:one,two", "user:three"]"#,
        ),
    ]);
    let mailers = MailersConfig::from_env(&env, &registry()).build_in(&env, &registry());
    let webhooks = mailers.unwrap().webhooks().unwrap();
    // `user:one,two`, `user:three` and `user:one`.
    let requests = [
        ("authorization", "Basic dXNlcjpvbmUsdHdv"),
        ("authorization", "Basic dXNlcjp0aHJlZQ=="),
        ("authorization", "Basic dXNlcjpvbmU="),
    ];
    assert_eq!(
        takes(&webhooks, &requests),
        [path("/anymail/acme/tracking/", &[0, 1])]
    );
}

#[test]
fn a_webhook_secret_set_in_code_belongs_to_its_mailer() {
    let mailer = |secret: &str| {
        let config = MailerConfig::new("acme").option("server_token", "t");
        config.webhook_secret(format!("user:{secret}"))
    };
    let config = MailersConfig::new()
        .webhook_secret("user:general")
        .mailer("a", mailer("a"))
        .mailer("b", mailer("b"))
        .default_mailer("a");
    let mailers = config.build_in(&no_env(), &registry()).unwrap();
    // `user:a`, `user:b` and `user:general`.
    let requests = [
        ("authorization", "Basic dXNlcjph"),
        ("authorization", "Basic dXNlcjpi"),
        ("authorization", "Basic dXNlcjpnZW5lcmFs"),
    ];
    assert_eq!(
        takes(&mailers.webhooks().unwrap(), &requests),
        [path("/anymail/acme/tracking/", &[0, 1])]
    );
}
