//! What the errors say about an invalid configuration.

use super::*;

/// The end of the list of backends.
const SMTP: &str = if cfg!(feature = "smtp") { ", smtp" } else { "" };

#[test]
fn all_faults_are_reported_at_once_with_their_places() {
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
    let backends = format!("acme, acme_eu, console, failover, file, memory, round_robin{SMTP}");
    let mut expected = [
        "allow_domains: \"a b\": invalid domain".to_owned(),
        format!("backends.acmee: unknown backend \"acmee\"; did you mean \"acme\"? (known: {backends})"),
        "backends.acme.options.server_tokn: unknown acme option; did you mean \
         \"server_token\"? (known: server_token, api_url, debug, timeout, retries, regions)"
            .to_owned(),
        "default: unknown mailer \"mian\"; did you mean \"main\"? (known: bulk, empty, file, main, none, odd, spare)".to_owned(),
        "ignore_recipient_status: expected true or false, got a string".to_owned(),
        format!("mailers.bulk.backend: unknown backend \"acne\"; did you mean \"acme\"? (known: {backends})"),
        "mailers.empty.options.server_token: the secret must not be empty".to_owned(),
        format!("mailers.file.options.server_token: could not read the file \"/no/such/file\": {io}"),
        "mailers.main.options.api_url: expected a string, got a number".to_owned(),
        "mailers.main.options.debug: expected true or false, got a string".to_owned(),
        "mailers.main.options.regions: expected a list of strings, got a string".to_owned(),
        "mailers.main.options.retries: expected a whole number, 0 or more, got a string".to_owned(),
        "mailers.main.options.server_token: required by acme (the token from Acme's settings page): \
set it in the configuration, or set ANYMAIL_ACME_SERVER_TOKEN or ACME_SERVER_TOKEN in the environment"
            .to_owned(),
        "mailers.main.options.timeout: expected a number of seconds, 0 or more".to_owned(),
        "mailers.none.backend: a mailer needs a backend: set backend or url".to_owned(),
        "mailers.odd.backend: expected a string, got a number".to_owned(),
        "mailers.odd.colour: unknown setting (known: backend, url, default_from, send_defaults, ignore_unsupported_features, ignore_recipient_status, redirect_to, allow_domains, suppressions, retry, time_limit, concurrency, options, webhook_secret)".to_owned(),
        format!("mailers.spare.options.members: unknown mailer or backend \"bulq\"; did you mean \"bulk\"? (known: bulk, empty, file, main, none, odd, spare, {backends})"),
        "mailers.spare.options.members: the mailer \"spare\" cannot be a member of itself".to_owned(),
        "redirect_to: \"nobody\": missing \"@\" (put a display name with a comma in double quotes)".to_owned(),
        "send_defaults.colour: unknown message field".to_owned(),
        "send_defaults.tags: expected a list".to_owned(),
        "send_defaults.to: \"bad\": missing \"@\" (put a display name with a comma in double quotes)".to_owned(),
        "sendd_defaults: unknown setting; did you mean \"send_defaults\"?".to_owned(),
        "webhook_secret: the environment variable \"NOT_SET\" is not set or is empty".to_owned(),
    ];
    expected.sort();
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
}

#[test]
fn faults_in_the_environment_name_their_variables() {
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
            "ANYMAIL_ACME_RETRIES: expected a whole number, 0 or more",
            "ANYMAIL_ACME_SEND_DEFAULTS: expected a JSON object: \
             EOF while parsing an object at line 1 column 1",
            "ANYMAIL_ACME_SERVER_TOKEN: required by acme (the token from Acme's settings page): \
    set it in the configuration, or set ANYMAIL_ACME_SERVER_TOKEN or ACME_SERVER_TOKEN in the environment",
            "ANYMAIL_ACME_SERVR_TOKEN: unknown acme option; did you mean \"server_token\"? \
             (known: server_token, api_url, debug, timeout, retries, regions, send_defaults, \
             webhook_secret)",
            "ANYMAIL_ACNE_SERVER_TOKEN: unknown variable; did you mean ANYMAIL_ACME_SERVER_TOKEN?",
            "ANYMAIL_IGNORE_RECIPIENT_STATUS: expected true or false",
            "ANYMAIL_IGNORE_UNSUPORTED_FEATURES: unknown variable; \
             did you mean ANYMAIL_IGNORE_UNSUPPORTED_FEATURES?",
            "ANYMAIL_REDIRECT_TO: must not be empty; to turn it off, unset the variable",
            "ANYMAIL_SEND_DEFAULTS.tags: expected a list",
        ]
    );
    let nothing = MailersConfig::from_env(&no_env(), &registry);
    assert_eq!(
        faults(nothing.build_in(&no_env(), &registry)),
        [format!(
            "ANYMAIL_BACKEND: must name a backend, unless ANYMAIL_URL contains a URL \
             (known backends: acme, acme_eu, console, failover, file, memory, round_robin{SMTP})"
        )]
    );
}

#[test]
fn faults_found_by_the_factory_name_the_place_of_the_option() {
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
fn a_mailer_without_a_backend_is_a_fault_in_code_too() {
    let config = MailersConfig::new().mailer("a", MailerConfig::default());
    let built = config.build_in(&no_env(), &Registry::new());
    assert_eq!(
        faults(built),
        ["mailers.a.backend: a mailer needs a backend: set backend or url"]
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
            "default_from: send_defaults.from is also set: remove one",
            "redirect_to: allow_domains is also set: remove one",
        ]
    );
}

#[test]
fn a_file_uses_numbers_and_tables_where_the_environment_uses_text() {
    let (_, registry) = acme();
    let config = toml(
        r#"
        suppressions = "false"
        [mailers.a]
        backend = "acme"
        options = { server_token = "t", timeout = "5", retries = "5" }
        [mailers.b]
        backend = "acme"
        options = "{}"
        "#,
    );
    let found = faults(config.build_in(&no_env(), &registry));
    for place in [
        "mailers.a.options.retries: ",
        "mailers.a.options.timeout: ",
        "mailers.b.options: ",
        "suppressions: ",
    ] {
        assert!(
            found.iter().any(|fault| fault.starts_with(place)),
            "{place}: {found:#?}"
        );
    }
    let env = Env::from([
        ("ANYMAIL_BACKEND", "acme"),
        ("ANYMAIL_SUPPRESSIONS", "false"),
        ("ANYMAIL_ACME_SERVER_TOKEN", "t"),
        ("ANYMAIL_ACME_TIMEOUT", "5"),
        ("ANYMAIL_ACME_RETRIES", "5"),
    ]);
    MailersConfig::from_env(&env, &registry)
        .build_in(&env, &registry)
        .unwrap();
}

#[test]
fn a_fault_separates_its_kind_place_and_problem() {
    let (_, registry) = acme();
    let config = MailersConfig::from(MailerConfig::new("acme"));
    let error = config.build_in(&no_env(), &registry).unwrap_err();
    let fault = &error.faults()[0];
    assert_eq!(fault.kind(), Kind::Missing);
    assert!(fault.path().ends_with("server_token"), "{fault}");
    assert_eq!(
        fault.to_string(),
        format!("{}: {}", fault.path(), fault.problem())
    );
    assert!(fault.problem().len() > 10, "{fault}");
}
