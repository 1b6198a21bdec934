//! Failover and round robin, whose members are other mailers.

use super::*;

#[tokio::test]
async fn a_failover_is_configured_over_mailers_or_plain_backends() {
    let (factory, _) = acme();
    let other = AcmeFactory::new("other");
    let registry = Registry::new().with(factory.clone()).with(other.clone());
    let config = toml(
        r#"
        default_from = "shop@example.com"
        send_defaults = { tags = ["general"], track_opens = true }
        backends.acme.options.server_token = "t"
        backends.acme.send_defaults = { esp_extra = { stream = "news" }, tags = ["acme"] }
        backends.other.options.server_token = "t"

        [mailers.default]
        backend = "failover"
        options = { members = ["other", "first"] }

        [mailers.first]
        backend = "acme"
        "#,
    );
    let mailers = config.build_in(&no_env(), &registry).unwrap();
    mailers.default_mailer().send(&message()).await.unwrap();
    mailers
        .get("first")
        .unwrap()
        .send(&message())
        .await
        .unwrap();
    let down = anymail_core::SendError::from_http_status("other", 503).said_by_esp();
    let _ = other.backend.clone().fails(down);
    let status = mailers.default_mailer().send(&message()).await.unwrap();
    assert_eq!(
        (status.esp.as_ref(), status.member.as_deref()),
        ("acme", Some("first"))
    );

    let by_other = &other.backend.calls()[0][0];
    assert_eq!(by_other.tags.items(), ["general"]);
    assert!(by_other.esp_extra.is_unset());
    let alone = &factory.backend.calls()[0][0];
    let as_member = &factory.backend.calls()[1][0];
    assert_eq!(
        alone, as_member,
        "a member sends the same message as its own mailer"
    );
    assert_eq!(alone.tags.items(), ["acme"]);
    assert_eq!(alone.esp_extra.value().unwrap()["stream"], "news");
    assert_eq!(
        factory.given().len(),
        1,
        "one backend, alone and as a member"
    );
}

#[tokio::test]
async fn the_environment_can_configure_a_failover() {
    let (factory, registry) = acme();
    let env = Env::from([
        ("ANYMAIL_BACKEND", "failover"),
        ("ANYMAIL_FAILOVER_MEMBERS", "acme, memory"),
        ("ANYMAIL_FAILOVER_REST", "5"),
        ("ACME_SERVER_TOKEN", "t"),
        ("ANYMAIL_DEFAULT_FROM", "shop@example.com"),
    ]);
    let config = MailersConfig::from_env(&env, &registry);
    let mailers = config.build_in(&env, &registry).unwrap();
    let down = anymail_core::SendError::from_http_status("acme", 503).said_by_esp();
    let _ = factory.backend.clone().fails(down);
    let status = mailers.default_mailer().send(&message()).await.unwrap();
    assert_eq!(status.esp, "memory");
    assert_eq!(registry.outbox().len(), 1);
}

#[test]
fn settings_that_members_cannot_override_are_faults() {
    let (_, registry) = acme();
    let config = toml(
        r#"
        default = "main"
        default_from = "shop@example.com"
        [mailers.main]
        backend = "round_robin"
        options.members = ["a", "b", "c"]
        [mailers.a]
        backend = "memory"
        default_from = "other@example.com"
        [mailers.b]
        backend = "memory"
        redirect_to = "qa@example.com"
        [mailers.c]
        backend = "memory"
        send_defaults = { bcc = ["archive@example.com"], from = "shop@example.com" }
        [mailers.none]
        backend = "failover"
        options.members = []
        "#,
    );
    let place = "mailers.main.options.members";
    let field = |member, field| {
        format!(
            "{place}: the member {member:?} has a different send default for {field}, which must be \
             the same for all members: set it on the mailer that has the members"
        )
    };
    assert_eq!(
        faults(config.build_in(&no_env(), &registry)),
        [
            field("a", "from"),
            format!(
                "{place}: the member \"b\" has different staging settings (redirect_to, \
                 allow_domains), which would not apply: use the same settings for all mailers"
            ),
            field("c", "bcc"),
            "mailers.none.options.members: expected at least one member".to_owned(),
        ]
    );
}

#[tokio::test]
async fn a_failover_over_failovers_works_as_long_as_send_defaults_stay_outside() {
    let (factory, registry) = acme();
    let config = |inner: &str| {
        toml(&format!(
            r#"
            default = "outer"
            default_from = "shop@example.com"
            send_defaults = {{ tags = ["general"] }}
            backends.acme.options.server_token = "t"
            mailers.outer = {{ backend = "failover", options.members = ["inner", "memory"] }}
            mailers.inner = {{ backend = "failover", options.members = ["one", "memory"] }}
            mailers.one = {{ backend = "acme" {inner} }}
            "#
        ))
    };
    let mailers = config("").build_in(&no_env(), &registry).unwrap();
    mailers.default_mailer().send(&message()).await.unwrap();
    let sent = &factory.backend.calls()[0][0];
    assert_eq!(sent.tags.items(), ["general"], "laid once");

    let own = config(", send_defaults.tags = ['own']");
    assert_eq!(
        faults(own.build_in(&no_env(), &registry)),
        [
            "mailers.outer.options.members: the members of its member \"inner\" have their own \
             send defaults, which would not apply"
        ]
    );
}

#[tokio::test]
async fn a_failovers_policy_applies_to_send_defaults_of_its_members() {
    let factory = AcmeFactory {
        backend: Scripted::new("acme").can([]),
        given: Arc::default(),
    };
    for (ignore, expected) in [
        (true, Ok(1)),
        (false, Err(SendErrorKind::UnsupportedFeature)),
    ] {
        let registry = Registry::new().with(factory.clone());
        let config = toml(&format!(
            r#"
            ignore_unsupported_features = {ignore}
            default_from = "shop@example.com"
            backend = "failover"
            options = {{ members = ["acme"] }}
            backends.acme.options.server_token = "t"
            backends.acme.send_defaults.esp_extra = {{ stream = "news" }}
            "#
        ));
        let mailers = config.build_in(&no_env(), &registry).unwrap();
        let sent = mailers.default_mailer().send(&message()).await;
        let dropped = sent.map(|status| status.dropped.len());
        assert_eq!(dropped.map_err(|error| error.kind()), expected);
    }
}
