//! The settings in each form of configuration, and their precedence.

use super::*;

#[test]
fn toml_json_and_the_environment_are_equivalent() {
    let from_toml = toml(
        r#"
        backend = "acme"
        default_from = "Shop <shop@example.com>"
        ignore_unsupported_features = true
        webhook_secret = ["user:one", "user:two"]
        [options]
        server_token = "007"
        api_url = "https://acme.example"
        debug = true
        timeout = 2.5
        retries = 3
        regions = ["eu", "us"]
        [send_defaults]
        tags = ["shop"]
        [retry]
        max_tries = 2
        "#,
    );
    let from_json: MailersConfig = serde_json::from_str(
        r#"{
        "backend": "acme",
        "default_from": "Shop <shop@example.com>",
        "ignore_unsupported_features": true,
        "webhook_secret": ["user:one", "user:two"],
        "options": {"server_token": "007", "api_url": "https://acme.example", "debug": true,
            "timeout": 2.5, "retries": 3, "regions": ["eu", "us"]},
        "send_defaults": {"tags": ["shop"]},
        "retry": {"max_tries": 2}
        }"#,
    )
    .unwrap();
    let env = Env::from([
        ("ANYMAIL_BACKEND", "acme"),
        ("ANYMAIL_DEFAULT_FROM", "Shop <shop@example.com>"),
        ("ANYMAIL_IGNORE_UNSUPPORTED_FEATURES", "True"),
        ("ANYMAIL_WEBHOOK_SECRET", r#"["user:one", "user:two"]"#),
        ("ANYMAIL_ACME_SERVER_TOKEN", "007"),
        (
            "ACME_SERVER_TOKEN",
            "the name without a prefix has lower precedence",
        ),
        ("ACME_API_URL", "https://acme.example"),
        ("ANYMAIL_ACME_DEBUG", "on"),
        ("ACME_TIMEOUT", "2.5"),
        ("ACME_RETRIES", "3"),
        ("ACME_REGIONS", "eu, us"),
        ("ANYMAIL_SEND_DEFAULTS", r#"{"tags": ["shop"]}"#),
        ("ANYMAIL_RETRY", r#"{"max_tries": 2}"#),
        ("PATH", "/bin"),
    ]);
    let (factory, registry) = acme();
    let from_env = MailersConfig::from_env(&env, &registry);
    assert_eq!(from_toml.settings, from_json.settings);
    assert_eq!(from_toml.settings, from_env.settings);
    assert_eq!(from_toml.settings.retry.unwrap().max_tries, 2);
    for config in [from_toml, from_json, from_env] {
        let mailers = config.build_in(&env, &registry).unwrap();
        assert_eq!(mailers.names().collect::<Vec<_>>(), ["default"]);
        let webhooks = mailers.webhooks().unwrap();
        let auth = format!("{:?}", webhooks[0].auth());
        assert_eq!(auth, "WebhookAuth(2 secrets)");
    }
    let expected = (
        "007".to_owned(),
        Some("https://acme.example".to_owned()),
        Some(true),
        Some(Duration::from_millis(2500)),
        Some(3),
        vec!["eu".to_owned(), "us".to_owned()],
    );
    assert_eq!(
        factory.given(),
        [expected.clone(), expected.clone(), expected]
    );
}

#[tokio::test]
async fn a_mailers_own_settings_override_its_backends_and_the_general_ones() {
    let (factory, registry) = acme();
    let config = toml(
        r#"
        default = "plain"
        default_from = "general@example.com"
        send_defaults = { tags = ["general"], track_opens = true, metadata = { from = "general" } }
        ignore_unsupported_features = true

        [backends.acme]
        options = { server_token = "of the backend", retries = 1 }
        send_defaults = { tags = ["backend"] }

        [mailers.plain]
        backend = "acme"

        [mailers.own]
        backend = "acme"
        options = { server_token = "own" }
        default_from = "own@example.com"
        send_defaults = { metadata = { from = "own" } }

        [mailers.other]
        backend = "memory"
        "#,
    );
    let env = Env::from([("ACME_RETRIES", "9"), ("ACME_DEBUG", "no")]);
    let mailers = config.build_in(&env, &registry).unwrap();
    let given: BTreeSet<_> = factory
        .given()
        .into_iter()
        .map(|g| (g.0, g.2, g.4))
        .collect();
    assert_eq!(
        given,
        [
            ("of the backend".to_owned(), Some(false), Some(1)),
            ("own".to_owned(), Some(false), Some(1)),
        ]
        .into()
    );
    let mut sent = Vec::new();
    for name in ["plain", "own", "other"] {
        mailers.get(name).unwrap().send(&message()).await.unwrap();
        let last = factory.backend.calls().last().map(|call| call[0].clone());
        let stored = registry.outbox().take().pop().map(|stored| stored.message);
        let message = stored.or(last).unwrap();
        let from = message.from.value().unwrap().to_string();
        let by = message.metadata.value().unwrap()["from"].clone();
        sent.push((
            from,
            message.tags.items()[0].clone(),
            by,
            message.track_opens.value().copied(),
        ));
    }
    let row = |from: &str, tag: &str, by: &str| {
        (from.to_owned(), tag.to_owned(), by.to_owned(), Some(true))
    };
    assert_eq!(
        sent,
        [
            row("general@example.com", "backend", "general"),
            row("own@example.com", "backend", "own"),
            row("general@example.com", "general", "general"),
        ]
    );
}

#[test]
fn general_settings_in_code_work_like_those_in_a_file() {
    let (_, registry) = acme();
    let with_token = |backend| MailerConfig::new(backend).option("server_token", "t");
    let config = MailersConfig::new().mailer("a", with_token("acme"));
    let mut config = config.mailer("default", with_token("acme_eu"));
    let mut settings = Settings::default();
    settings.redirect_to = Some("qa@example.com".parse().unwrap());
    config.settings = settings;
    let config = config.backend("acme", BackendConfig::new().webhook_secret("user:own"));
    let config = config.webhook_secret("user:new").webhook_secret("user:old");
    let mailers = config.build_in(&no_env(), &registry).unwrap();
    let webhooks = mailers.webhooks().unwrap();
    let auths = webhooks
        .iter()
        .map(|webhook| format!("{:?}", webhook.auth()));
    assert_eq!(
        auths.collect::<Vec<_>>(),
        ["WebhookAuth(1 secrets)", "WebhookAuth(2 secrets)"]
    );
}

#[test]
fn the_default_mailer_is_named_or_unambiguous() {
    let (_, registry) = acme();
    let names = |config: &str| {
        let mailers = toml(config).build_in(&no_env(), &registry);
        mailers
            .map(|m| m.default_mailer().backend().name().to_owned())
            .map_err(|e| e.to_string())
    };
    let two = "mailers.a.backend = 'console'\nmailers.b.backend = 'memory'\n";
    assert_eq!(
        names("mailers.a.backend = 'memory'").as_deref(),
        Ok("memory")
    );
    assert_eq!(
        names(&format!("default = 'b'\n{two}")).as_deref(),
        Ok("memory")
    );
    let third =
        format!("{two}mailers.default.backend = 'file'\nmailers.default.options.folder = '.'");
    assert_eq!(names(&third).as_deref(), Ok("file"));
    assert!(
        names(two)
            .unwrap_err()
            .contains("default: expected one of the mailers a, b")
    );
    assert!(names("").unwrap_err().contains("no mailer is configured"));
    let twice = "backend = 'console'\nmailers.default.backend = 'memory'";
    assert!(names(twice).unwrap_err().contains("mailers.default"));
}

#[tokio::test]
async fn staging_applies_to_all_mailers_after_the_apps_own_hooks() {
    let (_, registry) = acme();
    let config = toml(
        r#"
        default_from = "shop@example.com"
        redirect_to = "qa@example.com"
        [mailers.default]
        backend = "memory"
        [mailers.inside]
        backend = "memory"
        allow_domains = ["example.com"]
        "#,
    );
    let add_cc = |message: &mut Message| -> Result<PreSendVerdict, HookError> {
        message
            .cc
            .value_or_default()
            .push("boss@example.net".parse()?);
        Ok(PreSendVerdict::Send)
    };
    let mailers = config
        .build_with(&no_env(), &registry, |name, builder| match name {
            "default" => builder.pre_send(add_cc),
            _ => builder,
        })
        .unwrap();
    mailers.default_mailer().send(&message()).await.unwrap();
    let sent = registry.outbox().take().pop().unwrap().message;
    let recipients: Vec<_> = sent.recipients().map(|a| a.email().to_owned()).collect();
    assert_eq!(recipients, ["qa@example.com"]);
    mailers
        .get("inside")
        .unwrap()
        .send(&message())
        .await
        .unwrap();
    let sent = registry.outbox().take().pop().unwrap().message;
    assert_eq!(sent.to.items()[0].email(), "ann@example.com");
    let mut outside = message();
    outside.to = vec!["ann@example.net".parse().unwrap()].into();
    let error = mailers
        .get("inside")
        .unwrap()
        .send(&outside)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Cancelled);
}

#[test]
fn check_all_reports_what_each_mailer_would_refuse() {
    let factory = AcmeFactory {
        backend: Scripted::new("acme").can([]),
        given: Arc::default(),
    };
    let registry = Registry::new().with(factory);
    let config = MailersConfig::new()
        .mailer("now", MailerConfig::new("memory"))
        .mailer(
            "next",
            MailerConfig::new("acme").option("server_token", "t"),
        )
        .mailer(
            "both",
            MailerConfig::new("failover").option("members", ["now", "next"]),
        )
        .default_mailer("now");
    let mailers = config.build_in(&no_env(), &registry).unwrap();
    let mut message = message();
    message.from = "shop@example.com"
        .parse::<anymail_core::Address>()
        .unwrap()
        .into();
    message.tags = vec!["one".to_owned()].into();
    let checks = mailers.check_all(&message);
    let shown: Vec<_> = checks
        .iter()
        .map(|(name, check)| format!("{name}: {check}"))
        .collect();
    assert_eq!(
        shown,
        [
            "now: the message can be sent",
            "next: acme does not support tags (requested: \"one\")",
            "both: failover does not support tags (requested: \"one\")",
        ]
    );
}

#[test]
fn a_backends_options_in_code_apply_to_its_mailers() {
    let (factory, registry) = acme();
    let backend = BackendConfig::new()
        .option("server_token", "of the backend")
        .option("retries", 7);
    let config = MailersConfig::from(MailerConfig::new("acme")).backend("acme", backend);
    config.build_in(&no_env(), &registry).unwrap();
    let given = factory.given();
    assert_eq!(
        (given[0].0.as_str(), given[0].4),
        ("of the backend", Some(7))
    );
}

#[test]
fn a_configuration_can_consist_of_one_mailer() {
    let (factory, registry) = acme();
    let json = r#"{"backend": "acme", "options": {"server_token": "t", "retries": 3}}"#;
    let mailer: MailerConfig = serde_json::from_str(json).unwrap();
    let config = MailersConfig::from(mailer);
    config.build_in(&no_env(), &registry).unwrap();
    assert_eq!(factory.given()[0].4, Some(3));
}
