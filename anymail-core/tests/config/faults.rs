//! What is said of a configuration that is wrong.

use super::*;

/// What the list of backends ends with.
const SMTP: &str = if cfg!(feature = "smtp") { ", smtp" } else { "" };

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
    let backends = format!("acme, acme_eu, console, failover, file, memory, round_robin{SMTP}");
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
        format!("mailers.file.options.server_token: could not read the file \"/no/such/file\": {io}"),
        "mailers.main.options.api_url: a text is wanted, not a number".to_owned(),
        "mailers.main.options.debug: true or false is wanted, not a text".to_owned(),
        "mailers.main.options.regions: a list of texts is wanted, not a text".to_owned(),
        "mailers.main.options.retries: a whole number from 0 is wanted, not a text".to_owned(),
        "mailers.main.options.server_token: acme needs it (the token from Acme's settings page): \
         set it in the configuration, or ANYMAIL_ACME_SERVER_TOKEN or ACME_SERVER_TOKEN in the environment"
            .to_owned(),
        "mailers.main.options.timeout: a number of seconds from 0 is wanted".to_owned(),
        "mailers.none.backend: a mailer needs a backend: set backend or url".to_owned(),
        "mailers.odd.backend: a text is wanted, not a number".to_owned(),
        "mailers.odd.colour: there is no such setting (known: backend, url, default_from, send_defaults, ignore_unsupported_features, ignore_recipient_status, redirect_to, allow_domains, suppressions, retry, time_limit, concurrency, options, webhook_secret)".to_owned(),
        format!("mailers.spare.options.members: there is no mailer or backend \"bulq\"; did you mean \"bulk\"? (known: bulk, empty, file, main, none, odd, spare, {backends})"),
        "mailers.spare.options.members: the mailer \"spare\" would be a member of itself".to_owned(),
        "redirect_to: \"nobody\": it has no \"@\" (a display name with a comma must stand in double quotes)".to_owned(),
        "send_defaults.colour: no message has this field".to_owned(),
        "send_defaults.tags: expected a list".to_owned(),
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
            "ANYMAIL_ACME_SEND_DEFAULTS: expected a JSON object: \
             EOF while parsing an object at line 1 column 1",
            "ANYMAIL_ACME_SERVER_TOKEN: acme needs it (the token from Acme's settings page): \
             set it in the configuration, or ANYMAIL_ACME_SERVER_TOKEN or ACME_SERVER_TOKEN in the environment",
            "ANYMAIL_ACME_SERVR_TOKEN: acme has no such option; did you mean \"server_token\"? \
             (known: server_token, api_url, debug, timeout, retries, regions, send_defaults, \
             webhook_secret)",
            "ANYMAIL_ACNE_SERVER_TOKEN: nothing reads it; did you mean ANYMAIL_ACME_SERVER_TOKEN?",
            "ANYMAIL_IGNORE_RECIPIENT_STATUS: true or false is wanted",
            "ANYMAIL_IGNORE_UNSUPORTED_FEATURES: nothing reads it; \
             did you mean ANYMAIL_IGNORE_UNSUPPORTED_FEATURES?",
            "ANYMAIL_REDIRECT_TO: it is empty; to switch it off, do not set it",
            "ANYMAIL_SEND_DEFAULTS.tags: expected a list",
        ]
    );
    let nothing = MailersConfig::from_env(&no_env(), &registry);
    assert_eq!(
        faults(nothing.build_in(&no_env(), &registry)),
        [format!(
            "ANYMAIL_BACKEND: it must name the backend, or ANYMAIL_URL give its URL; \
             known: acme, acme_eu, console, failover, file, memory, round_robin{SMTP}"
        )]
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
fn a_mailer_without_a_backend_is_a_fault_by_code_too() {
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
            "default_from: send_defaults.from is set, too: set one of them",
            "redirect_to: allow_domains is set, too: set one of them",
        ]
    );
}
