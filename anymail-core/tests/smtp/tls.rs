//! STARTTLS and implicit TLS: never less security than configured.

use anymail_core::{Accepted, SendErrorKind as K, SmtpBackend, SmtpConfig, SmtpTls};
use anymail_test_utils::{
    LoopbackSmtp, LoopbackTls, SmtpAction, SmtpFault, SmtpMechanism, SmtpReply, SmtpStage,
    WrongCertificate,
};
use bytes::Bytes;

use super::{builder, config, message};

const PASSWORD: &str = "correct horse";

fn server(tls: LoopbackTls) -> LoopbackSmtp {
    let server = LoopbackSmtp::builder().tls(tls);
    server.user("shop", PASSWORD).start().unwrap()
}

fn trusting(server: &LoopbackSmtp, tls: SmtpTls) -> SmtpConfig {
    config(server).tls(tls).ca_pem(server.ca_pem())
}

#[tokio::test]
async fn message_and_login_are_encrypted_with_starttls_and_with_implicit_tls() {
    for (served, tls) in [
        (LoopbackTls::StartTls, SmtpTls::StartTls),
        (LoopbackTls::Implicit, SmtpTls::Implicit),
    ] {
        let server = server(served);
        let config = trusting(&server, tls).password("shop", PASSWORD);
        let mailer = builder(config).build();
        for _ in 0..3 {
            mailer.send(&message(&["ann@example.com"])).await.unwrap();
        }
        let mails = server.messages();
        assert_eq!(mails.len(), 3);
        for mail in mails {
            assert!(mail.over_tls);
            assert_eq!(mail.user.as_deref(), Some("shop"));
        }
        assert_eq!(server.counts().handshakes, 1);
        server.assert_no_violations();
    }
}

#[tokio::test]
async fn an_access_token_logs_in_with_xoauth2() {
    let server = LoopbackSmtp::builder()
        .tls(LoopbackTls::StartTls)
        .user("shop", "ya29.token");
    let server = server.mechanisms([SmtpMechanism::XOAuth2]).start().unwrap();
    let config = trusting(&server, SmtpTls::StartTls);
    let good = builder(config.clone().access_token("shop", "ya29.token")).build();
    good.send(&message(&["ann@example.com"])).await.unwrap();
    let bad = builder(config.access_token("shop", "ya29.old")).build();
    let error = bad.send(&message(&["ann@example.com"])).await.unwrap_err();
    assert_eq!(error.kind(), K::Authentication);
    assert!(!format!("{error:?}").contains("ya29"));
}

#[tokio::test]
async fn without_starttls_nothing_is_sent_in_clear_text() {
    let server = LoopbackSmtp::builder()
        .user("shop", PASSWORD)
        .auth_in_clear(true);
    let server = server.start().unwrap();
    let config = config(&server).tls(SmtpTls::StartTls);
    let mailer = builder(config.password("shop", PASSWORD)).build();
    let error = mailer
        .send(&message(&["ann@example.com"]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), K::Configuration);
    assert!(error.message().contains("STARTTLS"), "{error}");
    let counts = server.counts();
    assert_eq!(counts.of("AUTH") + counts.of("MAIL"), 0);
}

#[tokio::test]
async fn a_refused_starttls_does_not_fall_back_to_clear_text() {
    let server = server(LoopbackTls::StartTls);
    let refusal = SmtpAction::Reply(SmtpReply::new(454, "4.7.0 TLS not available"));
    server.inject(SmtpFault::new(SmtpStage::StartTls, refusal), 1);
    let mailer = builder(trusting(&server, SmtpTls::StartTls).password("shop", PASSWORD)).build();
    let error = mailer
        .send(&message(&["ann@example.com"]))
        .await
        .unwrap_err();
    assert!(
        error.is_transient() && error.accepted() == Accepted::No,
        "{error}"
    );
    assert_eq!(server.counts().of("AUTH") + server.counts().of("MAIL"), 0);
}

#[tokio::test]
async fn an_untrusted_certificate_is_a_configuration_error() {
    for wrong in [
        WrongCertificate::UnknownIssuer,
        WrongCertificate::OtherName,
        WrongCertificate::Expired,
    ] {
        let server = server(LoopbackTls::StartTls);
        let fault = SmtpAction::WrongCertificate(wrong);
        server.inject(SmtpFault::new(SmtpStage::Handshake, fault), 1);
        let config = trusting(&server, SmtpTls::StartTls).password("shop", PASSWORD);
        let mailer = builder(config).build();
        let error = mailer
            .send(&message(&["ann@example.com"]))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), K::Configuration, "{wrong:?}: {error}");
        assert!(error.message().contains("ca_file"), "{error}");
        assert_eq!(server.counts().of("AUTH"), 0);
    }
    // The platform does not trust a CA that the test has just created.
    let server = server(LoopbackTls::Implicit);
    let mailer = builder(config(&server).tls(SmtpTls::Implicit)).build();
    let error = mailer
        .send(&message(&["ann@example.com"]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), K::Configuration, "{error}");
    assert!(server.messages().is_empty());
}

#[tokio::test]
async fn tls_on_a_plain_port_is_an_error_that_names_port_and_tls() {
    let server = LoopbackSmtp::start().unwrap();
    let mailer = builder(config(&server).tls(SmtpTls::Implicit)).build();
    let error = mailer
        .send(&message(&["ann@example.com"]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), K::Configuration, "{error}");
    assert!(error.message().contains("check port and tls"), "{error}");
}

/// CVE-2011-0411 and similar vulnerabilities.
#[tokio::test]
async fn replies_from_before_the_handshake_are_discarded() {
    let server = server(LoopbackTls::StartTls);
    let injected = Bytes::from_static(b"250 2.0.0 Injected\r\n");
    let fault = SmtpAction::Trailing(injected);
    server.inject(SmtpFault::new(SmtpStage::StartTls, fault), 1);
    let mailer = builder(trusting(&server, SmtpTls::StartTls)).build();
    let error = mailer
        .send(&message(&["ann@example.com"]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), K::InvalidResponse, "{error}");
    assert_eq!(server.counts().handshakes, 0);
}

#[tokio::test]
async fn a_connection_that_breaks_within_encrypted_content_means_not_accepted() {
    let server = server(LoopbackTls::Implicit);
    let fault = SmtpFault::new(SmtpStage::Content, SmtpAction::Close);
    server.inject(fault, 1);
    let mailer = builder(trusting(&server, SmtpTls::Implicit).password("shop", PASSWORD)).build();
    let mut long = message(&["ann@example.com"]);
    long.text_body = "A line of a long letter.\r\n".repeat(400_000).into();
    let error = mailer.send(&long).await.unwrap_err();
    assert_eq!(error.accepted(), Accepted::No, "{error}");
}

#[test]
fn a_ca_file_without_a_certificate_is_a_fault() {
    let config = SmtpConfig::new("mail.example.com").ca_pem("no certificate");
    let error = SmtpBackend::new(config).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid smtp configuration: ca_pem: no certificate found"
    );
}
