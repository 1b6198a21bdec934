//! Secrets come from files and variables, and are never printed.

use std::process::Command;

use super::*;

#[test]
fn secrets_are_read_from_variables_and_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        format!("file:{}", path.display())
    };
    let env = Env::from([("TOKEN", "from env"), ("EMPTY", "")]);
    let long = "s".repeat(64 * 1024);
    for (given, expected) in [
        ("literal".to_owned(), Some("literal")),
        ("env:TOKEN".to_owned(), Some("from env")),
        (file("plain", "from file"), Some("from file")),
        (file("line", "from file\n"), Some("from file")),
        (file("crlf", "from file\r\n"), Some("from file")),
        (file("two", "from file\n\n"), Some("from file\n")),
        (file("bom", "\u{feff}from file\r\n"), Some("from file")),
        (file("empty", "\n"), None),
        (file("bom_only", "\u{feff}\n"), None),
        (file("longest", &long), Some(&*long)),
        (file("too_long", &format!("{long}s")), None),
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
fn a_file_that_cannot_hold_a_secret_is_a_fault_that_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("binary");
    std::fs::write(&binary, b"\xff\xfe\x00s").unwrap();
    let mut paths = vec![
        (binary.display().to_string(), "not valid UTF-8"),
        (folder.path().display().to_string(), "directory"),
    ];
    if cfg!(unix) {
        paths.push(("/dev/zero".to_owned(), "larger than 65536 bytes"));
        let silent = folder.path().join("silent");
        let made = Command::new("mkfifo").arg(&silent).status();
        assert!(made.unwrap().success());
        paths.push((silent.display().to_string(), "nothing was written to it"));
    }
    for (path, why) in paths {
        let (_, registry) = acme();
        let mailer = MailerConfig::new("acme").option("server_token", format!("file:{path}"));
        let built = MailersConfig::from(mailer).build_in(&no_env(), &registry);
        let error = built.unwrap_err().to_string();
        assert!(error.contains(&path) && error.contains(why), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_secret_can_be_read_from_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let path = pipe.clone();
    let writer = std::thread::spawn(move || std::fs::write(path, "from a pipe\n"));
    let (factory, registry) = acme();
    let pipe = format!("file:{}", pipe.display());
    let mailer = MailerConfig::new("acme").option("server_token", pipe);
    MailersConfig::from(mailer)
        .build_in(&no_env(), &registry)
        .unwrap();
    assert_eq!(factory.given()[0].0, "from a pipe");
    writer.join().unwrap().unwrap();
}

#[test]
fn no_debug_output_shows_a_secret() {
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

#[test]
fn debug_shows_the_names_of_configured_options() {
    let (_, registry) = acme();
    let mailer = MailerConfig::new("acme").option("server_token", "s3cret");
    let backend = BackendConfig::new()
        .option("retries", 1)
        .option("debug", true);
    let env = Env::from([("ACME_TOKEN", "s3cret")]);
    for (shown, names) in [
        (format!("{mailer:?}"), vec!["acme", "server_token"]),
        (format!("{backend:?}"), vec!["retries", "debug"]),
        (format!("{env:?}"), vec!["ACME_TOKEN"]),
        (format!("{registry:?}"), vec!["acme", "memory"]),
    ] {
        for name in names {
            assert!(shown.contains(name), "{name} is missing: {shown}");
        }
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

#[test]
fn the_environment_of_the_process_is_read_as_it_is() {
    let path = std::env::var("PATH").unwrap();
    assert_eq!(Env::process().get("PATH"), Some(path.as_str()));
}
