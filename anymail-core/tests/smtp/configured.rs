//! The backend selected by configuration.

use anymail_core::{Env, MailersConfig, Registry};
use anymail_test_utils::{LoopbackSmtp, LoopbackTls};
use tempfile::NamedTempFile;

use super::message;

const PASSWORD: &str = "p@ss/w:rd";

#[tokio::test]
async fn one_url_configures_server_login_and_encryption() {
    let plain = LoopbackSmtp::builder()
        .user("shop", PASSWORD)
        .auth_in_clear(true);
    let plain = plain.start().unwrap();
    let encrypted = LoopbackSmtp::builder()
        .user("shop", PASSWORD)
        .tls(LoopbackTls::Implicit);
    let encrypted = encrypted.start().unwrap();
    let starttls = LoopbackSmtp::builder()
        .user("shop", PASSWORD)
        .tls(LoopbackTls::StartTls);
    let starttls = starttls.start().unwrap();
    let ca = |server: &LoopbackSmtp| {
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), server.ca_pem()).unwrap();
        file
    };
    let (ca_of_encrypted, ca_of_starttls) = (ca(&encrypted), ca(&starttls));
    let login = "shop:p%40ss%2Fw%3Ard@127.0.0.1";
    for (url, server) in [
        (format!("smtp://{login}:{}?tls=none", plain.port()), &plain),
        (
            format!(
                "smtps://{login}:{}?ca_file={}",
                encrypted.port(),
                ca_of_encrypted.path().display()
            ),
            &encrypted,
        ),
        (
            format!(
                "smtp://{login}:{}?ca_file={}",
                starttls.port(),
                ca_of_starttls.path().display()
            ),
            &starttls,
        ),
    ] {
        let env = Env::from([("ANYMAIL_URL", url)]);
        let registry = Registry::new();
        let config = MailersConfig::from_env(&env, &registry);
        let mailers = config.build_in(&env, &registry).unwrap();
        let mailer = mailers.default_mailer();
        mailer.send(&message(&["ann@example.com"])).await.unwrap();
        let mail = &server.messages()[0];
        assert_eq!(mail.user.as_deref(), Some("shop"));
        let shown = format!("{config:?} {mailers:?} {mailer:?}");
        assert!(
            !shown.contains("p%40ss") && !shown.contains(PASSWORD),
            "{shown}"
        );
    }
}

#[test]
fn all_faults_in_the_options_are_reported_at_once() {
    let env = Env::from([
        ("ANYMAIL_BACKEND", "smtp"),
        ("ANYMAIL_SMTP_HOST", "mail.example.com"),
        ("ANYMAIL_SMTP_PORT", "70000"),
        ("ANYMAIL_SMTP_TLS", "none"),
        ("ANYMAIL_SMTP_PASSWORD", "s3cret"),
        ("ANYMAIL_SMTP_TIMEOUT", "0"),
        ("ANYMAIL_SMTP_CA_FILE", "/no/such/file"),
    ]);
    let registry = Registry::new();
    let error = MailersConfig::from_env(&env, &registry)
        .build_in(&env, &registry)
        .unwrap_err()
        .to_string();
    for part in [
        "ANYMAIL_SMTP_PORT: expected at most 65535, got 70000",
        "ANYMAIL_SMTP_TLS: \"none\" would send",
        "ANYMAIL_SMTP_USER: required",
        "ANYMAIL_SMTP_TIMEOUT: must be greater than zero",
    ] {
        assert!(error.contains(part), "{part:?} is not in {error}");
    }
    assert!(!error.contains("s3cret"));
}

#[test]
fn an_option_that_is_not_used_because_it_is_wrong_is_a_fault() {
    let registry = Registry::new();
    let fault = |options: &[(&str, &str)]| {
        let env = Env::from_iter(options.iter().copied());
        let config = MailersConfig::from_env(&env, &registry);
        config.build_in(&env, &registry).unwrap_err().to_string()
    };
    let smtp = ("ANYMAIL_BACKEND", "smtp");
    let host = ("ANYMAIL_SMTP_HOST", "mail.example.com");
    for (name, value, part) in [
        (
            "ANYMAIL_SMTP_TLS",
            "ssl",
            "ANYMAIL_SMTP_TLS: expected starttls, implicit or none, got \"ssl\"",
        ),
        (
            "ANYMAIL_SMTP_PORT",
            "70000",
            "ANYMAIL_SMTP_PORT: expected at most 65535, got 70000",
        ),
        (
            "ANYMAIL_SMTP_USER",
            "ann",
            "ANYMAIL_SMTP_PASSWORD: required if user is set",
        ),
    ] {
        let error = fault(&[smtp, host, (name, value)]);
        assert!(error.contains(part), "{part:?} is not in {error}");
    }
    // The host has another place in a URL than a user name.
    let error = fault(&[("ANYMAIL_URL", "smtp://ann:s3cret@default")]);
    let part = "required by smtp (the server's host name or IP address): set it in";
    assert!(error.contains(part), "{error}");
}
