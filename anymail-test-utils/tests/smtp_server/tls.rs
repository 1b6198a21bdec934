//! STARTTLS and implicit TLS, valid and invalid, as rustls sees them.

use std::io;
use std::sync::Arc;

use anymail_test_utils::{
    LoopbackSmtp, LoopbackTls, SmtpAction, SmtpFault, SmtpReply, SmtpRule, SmtpStage,
    WrongCertificate,
};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

fn server(tls: LoopbackTls) -> LoopbackSmtp {
    LoopbackSmtp::builder()
        .tls(tls)
        .user("me", "secret")
        .start()
        .unwrap()
}

/// A handshake by a client that trusts only the server's authority.
async fn handshake(server: &LoopbackSmtp, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(server.ca_pem().as_bytes()).unwrap();
    roots.add(ca).unwrap();
    let config = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, line: &str) -> io::Result<String> {
    stream.write_all(line.as_bytes()).await?;
    stream.flush().await?;
    let mut reader = BufReader::new(stream);
    let mut reply = String::new();
    loop {
        let start = reply.len();
        if reader.read_line(&mut reply).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if reply.as_bytes().get(start + 3) != Some(&b'-') {
            assert!(reader.buffer().is_empty(), "more than one reply came");
            return Ok(reply);
        }
    }
}

/// Runs the conversation up to the reply to STARTTLS.
async fn ready(server: &LoopbackSmtp) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(server.address()).await?;
    assert!(ask(&mut stream, "").await?.starts_with("220 "));
    let offered = ask(&mut stream, "EHLO a.example.com\r\n").await?;
    assert!(offered.contains("STARTTLS") && !offered.contains("AUTH"));
    let reply = ask(&mut stream, "STARTTLS\r\n").await?;
    assert_eq!(reply, "220 2.0.0 Ready to start TLS\r\n");
    Ok(stream)
}

#[tokio::test]
async fn starttls_restarts_the_conversation_and_announces_logins() {
    let server = server(LoopbackTls::StartTls);
    let mut stream = handshake(&server, ready(&server).await.unwrap())
        .await
        .unwrap();
    let reply = ask(&mut stream, "MAIL FROM:<a@example.com>\r\n")
        .await
        .unwrap();
    assert!(reply.starts_with("503 "), "{reply}");
    assert_eq!(server.violations()[0].rule, SmtpRule::Order);
    let offered = ask(&mut stream, "EHLO a.example.com\r\n").await.unwrap();
    assert!(offered.contains("AUTH PLAIN") && !offered.contains("STARTTLS"));
    let login = ask(&mut stream, "AUTH PLAIN AG1lAHNlY3JldA==\r\n")
        .await
        .unwrap();
    assert!(login.starts_with("235 "));
    assert_eq!(server.counts().handshakes, 1);
}

#[tokio::test]
async fn implicit_tls_starts_with_the_connection() {
    let server = server(LoopbackTls::Implicit);
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let mut stream = handshake(&server, stream).await.unwrap();
    assert!(ask(&mut stream, "").await.unwrap().starts_with("220 "));
    let offered = ask(&mut stream, "EHLO a.example.com\r\n").await.unwrap();
    assert!(offered.contains("AUTH PLAIN") && !offered.contains("STARTTLS"));
    server.assert_no_violations();
}

#[tokio::test]
async fn clients_recognize_every_wrong_certificate() {
    for tls in [LoopbackTls::StartTls, LoopbackTls::Implicit] {
        for (wrong, words) in [
            (WrongCertificate::UnknownIssuer, "UnknownIssuer"),
            (WrongCertificate::OtherName, "not valid for name"),
            (WrongCertificate::Expired, "expired"),
        ] {
            let server = server(tls);
            let action = SmtpAction::WrongCertificate(wrong);
            server.inject(SmtpFault::new(SmtpStage::Handshake, action), 1);
            let stream = match tls {
                LoopbackTls::StartTls => ready(&server).await.unwrap(),
                _ => TcpStream::connect(server.address()).await.unwrap(),
            };
            let error = handshake(&server, stream).await.unwrap_err();
            assert!(error.to_string().contains(words), "{wrong:?}: {error}");
            assert_eq!(server.counts().of("AUTH"), 0);
        }
    }
}

#[tokio::test]
async fn a_handshake_can_break_in_every_way() {
    for action in [
        SmtpAction::Reset,
        SmtpAction::Close,
        SmtpAction::http(),
        SmtpAction::binary(),
        SmtpAction::Reply(SmtpReply::shutting_down()),
        SmtpAction::EndlessReply,
    ] {
        let server = server(LoopbackTls::StartTls);
        server.inject(SmtpFault::new(SmtpStage::Handshake, action.clone()), 1);
        let stream = ready(&server).await.unwrap();
        assert!(handshake(&server, stream).await.is_err(), "{action}");
        let stream = ready(&server).await.unwrap();
        handshake(&server, stream).await.unwrap();
    }
}

#[tokio::test]
async fn starttls_can_be_refused() {
    let server = server(LoopbackTls::StartTls);
    let refusal = SmtpFault::reply(SmtpStage::StartTls, 454, "4.7.0 TLS not available");
    server.inject(refusal, 1);
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    ask(&mut stream, "").await.unwrap();
    ask(&mut stream, "EHLO a.example.com\r\n").await.unwrap();
    let reply = ask(&mut stream, "STARTTLS\r\n").await.unwrap();
    assert_eq!(reply, "454 4.7.0 TLS not available\r\n");
    assert!(
        ask(&mut stream, "NOOP\r\n")
            .await
            .unwrap()
            .starts_with("250 ")
    );
    let login = ask(&mut stream, "AUTH PLAIN AG1lAHNlY3JldA==\r\n")
        .await
        .unwrap();
    assert!(login.starts_with("538 "));
    assert_eq!(server.counts().logins, 0);
}

#[tokio::test]
async fn plaintext_is_sent_after_the_handshake_and_after_the_reply_to_starttls() {
    let server = server(LoopbackTls::StartTls);
    let plaintext = SmtpAction::PlaintextAfterHandshake("220 in clear\r\n".into());
    server.inject(SmtpFault::new(SmtpStage::Handshake, plaintext), 1);
    let mut stream = handshake(&server, ready(&server).await.unwrap())
        .await
        .unwrap();
    let error = stream.read(&mut [0; 100]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");

    let injected = SmtpAction::Trailing("250 injected\r\n".into());
    server.inject(SmtpFault::new(SmtpStage::StartTls, injected), 1);
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    ask(&mut stream, "").await.unwrap();
    ask(&mut stream, "EHLO a.example.com\r\n").await.unwrap();
    stream.write_all(b"STARTTLS\r\n").await.unwrap();
    let mut both = [0; 44];
    stream.read_exact(&mut both).await.unwrap();
    assert!(both.ends_with(b"TLS\r\n250 injected\r\n"));
    handshake(&server, stream).await.unwrap();
}

#[tokio::test]
async fn commands_after_starttls_are_discarded_and_reported() {
    let server = server(LoopbackTls::StartTls);
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    ask(&mut stream, "").await.unwrap();
    ask(&mut stream, "EHLO a.example.com\r\n").await.unwrap();
    let reply = ask(&mut stream, "STARTTLS\r\nRSET\r\n").await.unwrap();
    assert!(reply.starts_with("220 "));
    handshake(&server, stream).await.unwrap();
    assert_eq!(server.violations()[0].rule, SmtpRule::Pipelining);
    assert_eq!(server.counts().of("RSET"), 0);
}
