//! A backend and its options in one URL.

use anymail_core::{BackendUrl, UrlOptions};

use super::*;

/// Acme with a mapping of URL parts.
#[derive(Debug, Clone)]
struct WithUrl(AcmeFactory);

impl BackendFactory for WithUrl {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn options(&self) -> &[OptionSpec] {
        self.0.options()
    }

    fn url_schemes(&self) -> Vec<&str> {
        vec!["acme", "acme-sandbox"]
    }

    fn url_options(&self, url: &BackendUrl) -> UrlOptions {
        let options = UrlOptions::of(url).user("server_token");
        let options = options.api_url("api_url", "https");
        match url.scheme() {
            "acme-sandbox" => options.set("debug", "true"),
            _ => options,
        }
    }

    fn build(&self, options: &Options) -> Result<Arc<dyn EmailBackend>, Vec<OptionFault>> {
        self.0.build(options)
    }
}

fn with_url() -> (AcmeFactory, Registry) {
    let factory = AcmeFactory::new("acme");
    let registry = Registry::new()
        .with(WithUrl(factory.clone()))
        .with(AcmeFactory::new("acme_eu"));
    (factory, registry)
}

const ALL: &str =
    "acme-sandbox://t%40ken@api.example:8443/v1?timeout=1.5&retries=3&regions=eu,us%20east";

fn all() -> Given {
    let regions = ["eu", "us east"].map(str::to_owned);
    (
        "t@ken".to_owned(),
        Some("https://api.example:8443/v1".to_owned()),
        Some(true),
        Some(Duration::from_millis(1500)),
        Some(3),
        regions.to_vec(),
    )
}

#[test]
fn a_url_selects_the_backend_and_its_options_in_every_source() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    std::fs::write(&file, format!("{ALL}\n")).unwrap();
    let file = format!("file:{}", file.display());
    for given in [ALL, "env:MAIL_URL", &file] {
        let env = Env::from([("MAIL_URL", ALL), ("ANYMAIL_URL", given)]);
        for place in ["environment", "file", "mailer", "member"] {
            let (factory, registry) = with_url();
            let config = match place {
                "environment" => MailersConfig::from_env(&env, &registry),
                "file" => toml(&format!("url = {given:?}")),
                "mailer" => toml(&format!("mailers.main.url = {given:?}")),
                _ => toml(&format!(
                    "backend = \"failover\"\noptions.members = [{given:?}, \"console\"]"
                )),
            };
            config.build_in(&env, &registry).unwrap();
            assert_eq!(factory.given(), [all()], "{given} at {place}");
        }
    }
}

#[test]
fn every_backend_of_this_crate_has_a_url() {
    let folder = tempfile::tempdir().unwrap();
    let mails = folder.path().join("the mails");
    let file = format!("file://{}", mails.display()).replace(' ', "%20");
    for (url, name) in [
        ("memory://", "memory"),
        ("memory://default", "memory"),
        ("CONSOLE://", "console"),
        (file.as_str(), "file"),
        (
            "failover://default?members=memory,console&rest=1",
            "failover",
        ),
        ("round-robin://?members=memory,console", "round_robin"),
    ] {
        let config = MailersConfig::from(MailerConfig::from_url(url));
        let mailers = config.build_in(&no_env(), &Registry::new()).unwrap();
        assert_eq!(mailers.default_mailer().backend().name(), name);
    }
    assert!(mails.is_dir());
}

#[test]
fn options_that_a_url_does_not_set_come_from_the_mailer_the_backend_and_the_environment() {
    let (factory, registry) = with_url();
    let env = Env::from([("ACME_SERVER_TOKEN", "t"), ("ACME_TIMEOUT", "9")]);
    let config = toml(
        r#"
        [backends.acme]
        options = { timeout = 8, retries = 2 }
        [mailers.main]
        url = "acme://?timeout=7"
        options.regions = ["eu"]
        "#,
    );
    config.build_in(&env, &registry).unwrap();
    let (token, _, _, timeout, retries, regions) = factory.given().remove(0);
    assert_eq!((token.as_str(), retries), ("t", Some(2)));
    assert_eq!(timeout, Some(Duration::from_secs(7)));
    assert_eq!(regions, ["eu"]);
}

#[test]
fn a_url_uses_the_send_defaults_of_its_backend() {
    let config = toml(
        r#"
        url = "memory://"
        [backends.memory]
        send_defaults = { from = "shop@example.com" }
        "#,
    );
    let mailers = config.build_in(&no_env(), &Registry::new()).unwrap();
    assert!(mailers.default_mailer().check(&message()).is_ok());
}

#[tokio::test]
async fn members_with_urls_of_one_esp_are_numbered() {
    let (factory, registry) = with_url();
    let members = ["acme://a@default", "acme://b@default", "memory"];
    let failover = MailerConfig::new("failover").option("members", members.to_vec());
    let mailers = MailersConfig::from(failover)
        .build_in(&no_env(), &registry)
        .unwrap();
    let down = || anymail_core::SendError::from_http_status("acme", 503).said_by_esp();
    let _ = factory.backend.clone().fails(down()).fails(down());
    let mut message = message();
    message.from = "shop@example.com"
        .parse::<anymail_core::Address>()
        .unwrap()
        .into();
    let status = mailers.default_mailer().send(&message).await.unwrap();
    assert_eq!(status.member.as_deref(), Some("memory"));
    let failed: Vec<_> = status.member_errors.iter().map(|it| &*it.member).collect();
    assert_eq!(failed, ["acme", "acme 2"]);
}

#[test]
fn an_unusable_url_is_a_fault_that_does_not_quote_it() {
    let (_, registry) = with_url();
    let long = "s3cret".repeat(20);
    for (url, problem) in [
        ("s3cret", "expected \"name://...\""),
        ("acme:s3cret@default", "expected \"name://...\""),
        ("acme://s3cret@default:s3cret", "invalid port number"),
        ("acme://s3cret/s3cret@default", "found / before @"),
        (
            "acne://s3cret@default",
            "no backend accepts acne:// URLs; did you mean \"acme\"? (known: acme, \
             acme-sandbox, acme-eu, console, failover, file, memory, round-robin",
        ),
        (
            "acme://s3cret:s3cret@default",
            "acme does not use the URL's password",
        ),
        (
            "acme-eu://s3cret@s3cret:7/s3cret",
            "acme_eu does not use the URL's user",
        ),
        (
            "acme://s3cret@default?server_tokn=s3cret",
            "unknown acme option in the URL's query; did you mean \"server_token\"?",
        ),
        (
            "acme://s3cret@default?s3cret",
            "unknown acme option in the URL's query (known",
        ),
        (
            "acme://s3cret@default?server_token=s3cret",
            "the option server_token is in the URL's query twice",
        ),
        (
            "acme://s3cret@default?timeout=s3cret",
            "expected a number of seconds, 0 or more",
        ),
        (
            "acme://s3cret@default?debug=s3cret",
            "expected true or false",
        ),
        (
            "acme://default?server_token=",
            "the secret must not be empty",
        ),
        (
            "acme://default",
            "required by acme (the token from Acme's settings page)",
        ),
        (
            "failover://?members=memory,s3cret",
            "unknown member in the URL (known: default, acme",
        ),
        ("file://s3cret/s3cret", "file does not use the URL's host"),
        ("file:///dev/null/s3cret", "\"[redacted]\":"),
        (
            "env:NOT_SET",
            "the environment variable \"NOT_SET\" is not set",
        ),
        (&long, "expected \"name://"),
    ] {
        for place in ["environment", "file", "member", "by code"] {
            let env = Env::from([("ANYMAIL_URL", url)]);
            let config = match place {
                "environment" => MailersConfig::from_env(&env, &registry),
                "file" => toml(&format!("mailers.default.url = {url:?}")),
                "member" if !url.contains(':') => continue,
                "member" => toml(&format!(
                    "mailers.default = {{ backend = \"failover\", options.members = [{url:?}] }}"
                )),
                _ => MailersConfig::from(MailerConfig::from_url(url)),
            };
            let error = config.build_in(&env, &registry).unwrap_err();
            let shown = format!("{error} {error:?} {config:?} {env:?}");
            assert!(
                error.to_string().contains(problem),
                "{url} in {place}: {error}"
            );
            assert!(!shown.contains("s3cret"), "{url} in {place}: {shown}");
            let at = error.faults()[0].path();
            let expected = match place {
                "environment" => ["ANYMAIL_URL", "ANYMAIL_ACME_SERVER_TOKEN"],
                "file" => [
                    "mailers.default.url",
                    "mailers.default.options.server_token",
                ],
                "member" => ["mailers.default.options.members[0]."; 2],
                _ => ["url", "options.server_token"],
            };
            assert!(expected.iter().any(|place| at.starts_with(place)), "{at}");
        }
    }
}

#[test]
fn a_factorys_fault_about_a_value_of_the_url_does_not_quote_it() {
    #[derive(Debug)]
    struct Quotes;

    impl BackendFactory for Quotes {
        fn name(&self) -> &str {
            "quotes"
        }

        fn options(&self) -> &[OptionSpec] {
            const OPTIONS: [OptionSpec; 2] =
                [OptionSpec::text("region", ""), OptionSpec::text("key", "")];
            &OPTIONS
        }

        fn url_options(&self, url: &BackendUrl) -> UrlOptions {
            UrlOptions::of(url).user("key")
        }

        fn build(&self, options: &Options) -> Result<Arc<dyn EmailBackend>, Vec<OptionFault>> {
            let (region, key) = (options.text("region"), options.text("key"));
            let problem = format!("{region:?} is no region of {}", key.unwrap_or_default());
            Err(OptionFault::new("region", problem).into())
        }
    }

    let registry = Registry::new().with(Quotes);
    let config = MailerConfig::from_url("quotes://s3cret@default?region=s3cret%22%0Ain");
    let built = MailersConfig::from(config).build_in(&no_env(), &registry);
    assert_eq!(
        faults(built),
        ["url (region): Some(\"[redacted]\") is no region of [redacted]"]
    );
    // A value this short is part of ordinary words.
    let config = MailerConfig::from_url("quotes://is@default?region=s3cret");
    let built = MailersConfig::from(config).build_in(&no_env(), &registry);
    assert_eq!(
        faults(built),
        ["url (region): Some(\"[redacted]\") is no region of is"]
    );
}

#[test]
fn a_url_conflicts_with_a_backend_and_with_options_that_it_sets() {
    let (_, registry) = with_url();
    let config = toml(
        r#"
        [mailers.default]
        backend = "acme"
        url = "acme://s3cret@default"
        [mailers.twice]
        url = "acme://s3cret@default?timeout=5"
        options = { timeout = 6, tiemout = 7 }
        "#,
    );
    assert_eq!(
        faults(config.build_in(&no_env(), &registry)),
        [
            "mailers.default.url: backend is also set, but the URL already names the backend: remove one",
            "mailers.twice.options.tiemout: unknown acme option; did you mean \"timeout\"? \
             (known: server_token, api_url, debug, timeout, retries, regions)",
            "mailers.twice.url: the option timeout is also in the mailer's options: remove one",
        ]
    );
    let env = Env::from([
        ("ANYMAIL_BACKEND", "acme"),
        ("ANYMAIL_URL", "acme://s3cret@default"),
    ]);
    let config = MailersConfig::from_env(&env, &registry);
    assert_eq!(
        faults(config.build_in(&env, &registry)),
        ["ANYMAIL_URL: backend is also set, but the URL already names the backend: remove one"]
    );
}

#[test]
fn a_url_in_place_of_a_backends_name_is_not_quoted() {
    let (_, registry) = with_url();
    let url = "acme://s3cret@default";
    let env = Env::from([("ANYMAIL_BACKEND", url)]);
    for config in [
        MailersConfig::from_env(&env, &registry),
        toml(&format!("backend = {url:?}")),
        MailersConfig::new().mailer("a", MailerConfig::new(url)),
    ] {
        let error = config.build_in(&env, &registry).unwrap_err();
        let shown = format!("{error} {error:?} {config:?}");
        assert!(shown.contains("for a URL, set url"), "{shown}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

#[test]
fn a_url_without_the_required_user_is_told_where_to_write_it() {
    let (_, registry) = with_url();
    let env = Env::from([("ANYMAIL_URL", "acme://t0ken")]);
    let built = MailersConfig::from_env(&env, &registry).build_in(&env, &registry);
    assert_eq!(
        faults(built),
        [
            "ANYMAIL_ACME_SERVER_TOKEN: required by acme (the token from Acme's settings page): \
             write it as acme://SERVER_TOKEN@default, set it in the configuration, \
             or set ANYMAIL_ACME_SERVER_TOKEN or ACME_SERVER_TOKEN in the environment"
        ]
    );
}

#[test]
fn a_url_that_is_its_own_member_is_a_fault() {
    let env = Env::from([
        ("A", "failover://?members=memory,env:B"),
        ("B", "round-robin://?members=env:A"),
    ]);
    let config = toml(r#"url = "env:A""#);
    assert_eq!(
        faults(config.build_in(&env, &Registry::new())),
        ["url (members)[1].url (members)[0].url: a backend cannot be a member of itself"]
    );
}
