//! Mailers from a configuration: what it makes, and what it says of one that is wrong.
// Of these features are the file backend, which faults name, and the check of webhooks.
#![cfg(all(feature = "mime", feature = "webhooks"))]
// Clippy does not see that functions beside tests are tests.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod scripted;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anymail_core::{
    BackendConfig, BackendFactory, ConfigError, ConfigFaultKind as Kind, EmailBackend, Env,
    HookError, MailerConfig, MailersConfig, Message, OptionFault, OptionSpec, Options,
    PreSendVerdict, Registry, SendErrorKind, Settings,
};
use scripted::Scripted;

/// Makes backends for a test, and keeps what it was given.
#[derive(Debug, Clone)]
struct AcmeFactory {
    backend: Scripted,
    given: Arc<Mutex<Vec<Given>>>,
}

/// Token, url, debug, timeout, retries and regions.
type Given = (
    String,
    Option<String>,
    Option<bool>,
    Option<Duration>,
    Option<u64>,
    Vec<String>,
);

impl AcmeFactory {
    fn new(name: &'static str) -> Self {
        Self {
            backend: Scripted::new(name),
            given: Arc::default(),
        }
    }

    fn given(&self) -> Vec<Given> {
        self.given.lock().unwrap().clone()
    }
}

impl BackendFactory for AcmeFactory {
    fn name(&self) -> &str {
        self.backend.name()
    }

    fn options(&self) -> &[OptionSpec] {
        const OPTIONS: [OptionSpec; 6] = [
            OptionSpec::secret("server_token", "the token from Acme's settings page").required(),
            OptionSpec::text("api_url", "where Acme is"),
            OptionSpec::flag("debug", "whether to tell more"),
            OptionSpec::seconds("timeout", "the time limit of a call"),
            OptionSpec::integer("retries", "how often to try again"),
            OptionSpec::list("regions", "where to send from"),
        ];
        &OPTIONS
    }

    fn build(&self, options: &Options) -> Result<Arc<dyn EmailBackend>, Vec<OptionFault>> {
        let token = options
            .secret("server_token")
            .ok_or(OptionFault::missing("server_token"))?;
        let url = options.text("api_url");
        if url.is_some_and(|url| !url.starts_with("https://")) {
            return Err(vec![
                OptionFault::new("api_url", "it is no https URL"),
                OptionFault::new("retries", "there must be some with such a URL"),
            ]);
        }
        self.given.lock().unwrap().push((
            token.expose().to_owned(),
            url.map(str::to_owned),
            options.flag("debug"),
            options.seconds("timeout"),
            options.integer("retries"),
            options.list("regions").to_vec(),
        ));
        Ok(Arc::new(self.backend.clone()))
    }
}

fn acme() -> (AcmeFactory, Registry) {
    let factory = AcmeFactory::new("acme");
    let registry = Registry::new()
        .with(factory.clone())
        .with(AcmeFactory::new("acme_eu"));
    (factory, registry)
}

fn toml(text: &str) -> MailersConfig {
    toml::from_str(text).unwrap()
}

fn no_env() -> Env {
    Env::default()
}

/// The faults as `path: problem`, sorted.
fn faults(result: Result<impl Sized, ConfigError>) -> Vec<String> {
    let error = result.err().unwrap();
    let mut faults: Vec<_> = error.faults().iter().map(ToString::to_string).collect();
    faults.sort();
    faults
}

fn message() -> Message {
    let builder = Message::builder().to("ann@example.com").subject("Hello");
    builder.build().unwrap()
}

#[test]
fn toml_and_json_and_the_environment_say_the_same() {
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
        ("ACME_SERVER_TOKEN", "the bare name comes second"),
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
        let auth = mailers.webhook_auth("acme").unwrap();
        assert_eq!(format!("{auth:?}"), "WebhookAuth(2 secrets)");
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

#[test]
fn all_faults_come_at_once_each_with_its_place() {
    let (_, registry) = acme();
    let config = toml(
        r#"
        default = "mian"
        redirect_to = "nobody"
        allow_domains = ["a b"]
        ignore_recipient_status = "maybe"
        sendd_defaults = {}
        webhook_secret = "env:NOT_SET"

        [send_defaults]
        tags = "one"
        to = ["bad", "ann@example.com"]
        colour = "red"

        [backends.acmee]
        [backends.acme.options]
        server_tokn = "x"

        [mailers.main]
        backend = "acme"
        options = { timeout = -1, retries = "3", debug = "yes", regions = "eu", api_url = 5 }

        [mailers.bulk]
        backend = "acne"

        [mailers.spare]
        backend = "failover"
        options = { members = ["main", "spare", "bulq"] }

        [mailers.none]
        [mailers.odd]
        backend = 7
        colour = 1

        [mailers.file]
        backend = "acme_eu"
        options.server_token = "file:/no/such/file"

        [mailers.empty]
        backend = "acme_eu"
        options.server_token = "  "
        "#,
    );
    let found = faults(config.build_in(&no_env(), &registry));
    let io = std::fs::read("/no/such/file").unwrap_err();
    let backends = "acme, acme_eu, console, failover, file, memory, round_robin";
    let mut expected = [
        "allow_domains: \"a b\": its domain is not valid".to_owned(),
        format!("backends.acmee: there is no backend \"acmee\"; did you mean \"acme\"? (known: {backends})"),
        "backends.acme.options.server_tokn: acme has no such option; did you mean \
         \"server_token\"? (known: server_token, api_url, debug, timeout, retries, regions)"
            .to_owned(),
        "default: there is no mailer \"mian\"; did you mean \"main\"? (known: bulk, empty, file, main, none, odd, spare)".to_owned(),
        "ignore_recipient_status: true or false is wanted, not a text".to_owned(),
        format!("mailers.bulk.backend: there is no backend \"acne\"; did you mean \"acme\"? (known: {backends})"),
        "mailers.empty.options.server_token: the secret is empty".to_owned(),
        format!("mailers.file.options.server_token: the file \"/no/such/file\" cannot be read: {io}"),
        "mailers.main.options.api_url: a text is wanted, not a number".to_owned(),
        "mailers.main.options.debug: true or false is wanted, not a text".to_owned(),
        "mailers.main.options.regions: a list of texts is wanted, not a text".to_owned(),
        "mailers.main.options.retries: a whole number from 0 is wanted, not a text".to_owned(),
        "mailers.main.options.server_token: acme needs it (the token from Acme's settings page): \
         set it here, or ANYMAIL_ACME_SERVER_TOKEN or ACME_SERVER_TOKEN in the environment"
            .to_owned(),
        "mailers.main.options.timeout: a number of seconds from 0 is wanted".to_owned(),
        "mailers.none.backend: it must name the backend".to_owned(),
        "mailers.odd.backend: a text is wanted, not a number".to_owned(),
        "mailers.odd.colour: there is no such setting (known: backend, default_from, send_defaults, ignore_unsupported_features, ignore_recipient_status, redirect_to, allow_domains, retry, time_limit, concurrency, options)".to_owned(),
        format!("mailers.spare.options.members: there is no mailer or backend \"bulq\"; did you mean \"bulk\"? (known: bulk, empty, file, main, none, odd, spare, {backends})"),
        "mailers.spare.options.members: the mailer \"spare\" would be a member of itself".to_owned(),
        "redirect_to: \"nobody\": it has no \"@\" (a display name with a comma must stand in double quotes)".to_owned(),
        "send_defaults.colour: no message has this field".to_owned(),
        "send_defaults.tags: invalid type: string \"one\", expected a sequence".to_owned(),
        "send_defaults.to: \"bad\": it has no \"@\" (a display name with a comma must stand in double quotes)".to_owned(),
        "sendd_defaults: there is no such setting; did you mean \"send_defaults\"?".to_owned(),
        "webhook_secret: the environment variable \"NOT_SET\" is not set, or empty".to_owned(),
    ];
    expected.sort();
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
}

#[test]
fn the_environment_is_told_what_is_wrong_by_its_own_names() {
    let (_, registry) = acme();
    let env = Env::from([
        ("ANYMAIL_BACKEND", "acme"),
        ("ANYMAIL_IGNORE_UNSUPORTED_FEATURES", "true"),
        ("ANYMAIL_IGNORE_RECIPIENT_STATUS", "perhaps"),
        ("ANYMAIL_ACME_SERVER_TOKEN", " "),
        ("ANYMAIL_ACME_SERVR_TOKEN", "s3cret"),
        ("ANYMAIL_ACNE_SERVER_TOKEN", "s3cret"),
        ("ANYMAIL_ACME_EU_SERVER_TOKEN", "for another backend"),
        ("ANYMAIL_ACME_RETRIES", "many"),
        ("ANYMAIL_ACME_SEND_DEFAULTS", "{"),
        ("ANYMAIL_SEND_DEFAULTS", r#"{"tags": 1}"#),
        ("ANYMAIL_REDIRECT_TO", ""),
        ("ANYMAIL_OTHER_LIBRARYS_SETTING", "x"),
    ]);
    let config = MailersConfig::from_env(&env, &registry);
    assert_eq!(
        faults(config.build_in(&env, &registry)),
        [
            "ANYMAIL_ACME_RETRIES: a whole number from 0 is wanted",
            "ANYMAIL_ACME_SEND_DEFAULTS: it is no JSON object: \
             EOF while parsing an object at line 1 column 1",
            "ANYMAIL_ACME_SERVER_TOKEN: acme needs it (the token from Acme's settings page): \
             set it here, or ANYMAIL_ACME_SERVER_TOKEN or ACME_SERVER_TOKEN in the environment",
            "ANYMAIL_ACME_SERVR_TOKEN: acme has no such option; did you mean \"server_token\"? \
             (known: server_token, api_url, debug, timeout, retries, regions, send_defaults, \
             webhook_secret)",
            "ANYMAIL_ACNE_SERVER_TOKEN: nothing reads it; did you mean ANYMAIL_ACME_SERVER_TOKEN?",
            "ANYMAIL_IGNORE_RECIPIENT_STATUS: true or false is wanted",
            "ANYMAIL_IGNORE_UNSUPORTED_FEATURES: nothing reads it; \
             did you mean ANYMAIL_IGNORE_UNSUPPORTED_FEATURES?",
            "ANYMAIL_REDIRECT_TO: it is empty; to switch it off, do not set it",
            "ANYMAIL_SEND_DEFAULTS.tags: invalid type: integer `1`, expected a sequence",
        ]
    );
    let nothing = MailersConfig::from_env(&no_env(), &registry);
    assert_eq!(
        faults(nothing.build_in(&no_env(), &registry)),
        ["ANYMAIL_BACKEND: it must name the backend; \
          known: acme, acme_eu, console, failover, file, memory, round_robin"]
    );
}

#[test]
fn faults_of_the_factory_name_the_place_where_the_option_was_given() {
    let (_, registry) = acme();
    let env = Env::from([
        ("ACME_API_URL", "http://acme.example"),
        ("ACME_SERVER_TOKEN", "t"),
    ]);
    let config = toml(r#"mailers.bulk.backend = "acme""#);
    let error = config.build_in(&env, &registry).unwrap_err();
    let places: Vec<_> = error
        .faults()
        .iter()
        .map(|fault| (fault.path(), fault.kind()))
        .collect();
    assert_eq!(
        places,
        [
            ("ACME_API_URL", Kind::InvalidValue),
            ("mailers.bulk.options.retries", Kind::InvalidValue)
        ]
    );
}

#[test]
fn secrets_are_read_from_variables_and_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        format!("file:{}", path.display())
    };
    let env = Env::from([("TOKEN", "from env"), ("EMPTY", "")]);
    for (given, expected) in [
        ("literal".to_owned(), Some("literal")),
        ("env:TOKEN".to_owned(), Some("from env")),
        (file("plain", "from file"), Some("from file")),
        (file("line", "from file\n"), Some("from file")),
        (file("crlf", "from file\r\n"), Some("from file")),
        (file("two", "from file\n\n"), Some("from file\n")),
        (file("empty", "\n"), None),
        ("env:EMPTY".to_owned(), None),
        ("file:".to_owned(), None),
        ("".to_owned(), None),
    ] {
        let (factory, registry) = acme();
        let mailer = MailerConfig::new("acme").option("server_token", given.as_str());
        let built = MailersConfig::from(mailer).build_in(&env, &registry);
        let tokens: Vec<_> = factory.given().into_iter().map(|given| given.0).collect();
        assert_eq!(tokens, expected.into_iter().collect::<Vec<_>>(), "{given}");
        assert_eq!(built.is_ok(), expected.is_some(), "{given}");
    }
}

#[test]
fn secrets_do_not_print_wherever_they_are_put() {
    let (_, registry) = acme();
    let env = Env::from([
        ("ANYMAIL_BACKEND", "acme"),
        ("ANYMAIL_ACME_SERVER_TOKEN", "s3cret"),
        ("ANYMAIL_ACME_RETRIES", "s3cret"),
        ("ANYMAIL_ACME_WEBHOOK_SECRET", "s3cret"),
    ]);
    let config = toml(
        r#"
        webhook_secret = "s3cret:s3cret"
        ignore_recipient_status = "s3cret"
        [backends.acme]
        webhook_secret = "s3cret"
        options = { server_token = "s3cret" }
        [mailers.a]
        backend = "acme"
        options = { server_token = "s3cret", retries = "s3cret", debug = ["s3cret"] }
        [mailers.b]
        backend = "acme"
        options = { server_token = ["s3cret"] }
        "#,
    );
    let from_env = MailersConfig::from_env(&env, &registry);
    for config in [config, from_env] {
        let error = config.build_in(&env, &registry).unwrap_err();
        let shown = format!("{config:?} {env:?} {registry:?} {error} {error:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
    let mailer = MailerConfig::new("acme").option("server_token", "s3cret");
    let config = MailersConfig::from(mailer).webhook_secret("user:s3cret");
    let mailers = config.build_in(&no_env(), &registry).unwrap();
    let shown = format!(
        "{config:?} {mailers:?} {:?}",
        BackendConfig::new().option("a", "s3cret")
    );
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[tokio::test]
async fn a_mailers_own_settings_come_before_its_backends_and_the_general_ones() {
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
fn the_default_mailer_is_named_or_plain_to_see() {
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
            .contains("default: it must name one of the mailers a, b")
    );
    assert!(names("").unwrap_err().contains("there is no mailer"));
    let twice = "backend = 'console'\nmailers.default.backend = 'memory'";
    assert!(names(twice).unwrap_err().contains("mailers.default"));
}

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
    let down = anymail_core::SendError::from_http_status("other", 503);
    let _ = other.backend.clone().fails(down);
    let status = mailers.default_mailer().send(&message()).await.unwrap();
    assert_eq!(
        (status.esp.as_str(), status.member.as_deref()),
        ("acme", Some("first"))
    );

    let by_other = &other.backend.calls()[0][0];
    assert_eq!(by_other.tags.items(), ["general"]);
    assert!(by_other.esp_extra.is_unset());
    let alone = &factory.backend.calls()[0][0];
    let as_member = &factory.backend.calls()[1][0];
    assert_eq!(
        alone, as_member,
        "a member's mail is as if its own mailer sent it"
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
async fn a_failover_is_configured_by_the_environment_too() {
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
    let down = anymail_core::SendError::from_http_status("acme", 503);
    let _ = factory.backend.clone().fails(down);
    let status = mailers.default_mailer().send(&message()).await.unwrap();
    assert_eq!(status.esp, "memory");
    assert_eq!(registry.outbox().len(), 1);
}

#[test]
fn what_members_cannot_differ_in_is_a_fault() {
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
            "{place}: its member {member:?} has another send default for {field}, which must be \
             the same for all members: set it at the mailer that has the members"
        )
    };
    assert_eq!(
        faults(config.build_in(&no_env(), &registry)),
        [
            field("a", "from"),
            format!(
                "{place}: its member \"b\" has other settings for staging (redirect_to, \
                 allow_domains), which would not apply: set them for all mailers alike"
            ),
            field("c", "bcc"),
            "mailers.none.options.members: it names nobody".to_owned(),
        ]
    );
}

#[test]
fn settings_that_contradict_each_other_are_faults() {
    let (_, registry) = acme();
    let config = toml(
        r#"
        backend = "memory"
        default_from = "a@example.com"
        redirect_to = "qa@example.com"
        allow_domains = ["example.com"]
        [send_defaults]
        from = "b@example.com"
        "#,
    );
    assert_eq!(
        faults(config.build_in(&no_env(), &registry)),
        [
            "default_from: send_defaults.from is set, too: set one of them",
            "redirect_to: allow_domains is set, too: set one of them",
        ]
    );
}

#[tokio::test]
async fn staging_is_set_for_all_and_comes_after_the_apps_own_hooks() {
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
fn check_all_tells_what_each_mailer_would_refuse() {
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
            "now: nothing keeps the message from being sent",
            "next: acme supports no tags (asked for: \"one\")",
            "both: failover supports no tags (asked for: \"one\")",
        ]
    );
}

#[test]
fn general_settings_by_code_hold_as_those_from_a_file() {
    let (_, registry) = acme();
    let mut config = MailersConfig::new().mailer("a", MailerConfig::new("memory"));
    let mut settings = Settings::default();
    settings.redirect_to = Some("qa@example.com".parse().unwrap());
    config.settings = settings;
    let config = config.backend("acme", BackendConfig::new().webhook_secret("user:own"));
    let config = config.webhook_secret("user:new").webhook_secret("user:old");
    let mailers = config.build_in(&no_env(), &registry).unwrap();
    let auth = |backend| format!("{:?}", mailers.webhook_auth(backend));
    assert_eq!(auth("acme"), "Some(WebhookAuth(1 secrets))");
    assert_eq!(auth("memory"), "Some(WebhookAuth(2 secrets))");
}

#[test]
fn a_webhook_secret_is_user_and_password_and_none_is_not_anybody() {
    let (_, registry) = acme();
    let built = |secret: &str| {
        let config = MailersConfig::from(MailerConfig::new("memory")).webhook_secret(secret);
        config.build_in(&no_env(), &registry)
    };
    for bad in ["s3cret", ":s3cret", "s3cret:", " : "] {
        assert_eq!(
            faults(built(bad)),
            ["webhook_secret: a secret must have the form \"user:password\""]
        );
    }
    assert!(
        built("user:pass:word")
            .unwrap()
            .webhook_auth("memory")
            .is_some()
    );
    let none = MailersConfig::from(MailerConfig::new("memory"));
    let mailers = none.build_in(&no_env(), &registry).unwrap();
    assert!(mailers.webhook_auth("memory").is_none());
}
