//! Opens a connection: greeting, EHLO, STARTTLS, AUTH, and the extensions that the server offers.
//!
//! `conversation.rs` sends messages.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::NAME;
use super::config::{Login, SmtpConfig, SmtpTls};
use super::reply::{self, Meaning, Reply, Stage};
use super::secrets::{Secrets, encoded, initial_response};
use super::tls::{self, Tls};
use super::wire::{Io, Wire};
use crate::sending::{SendError, SendErrorKind};

/// How long to wait for one address of a host before also trying the next: RFC 8305, 5.
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// The settings that all connections of a backend share.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) config: SmtpConfig,
    /// `host:port`, as errors and spans name it.
    pub(super) server: String,
    /// `None` if nothing is encrypted.
    pub(super) tls: Option<Tls>,
}

/// The extensions in a server's reply to EHLO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Offers {
    /// RFC 2920.
    pub(super) pipelining: bool,
    /// RFC 6152.
    pub(super) eight_bit: bool,
    /// RFC 6531.
    pub(super) smtp_utf8: bool,
    /// RFC 1870: whether it is offered, and the maximum size of a message; 0 if unknown.
    pub(super) size: Option<u64>,
    /// RFC 3207.
    start_tls: bool,
    auth: Auth,
}

/// The mechanisms for AUTH (RFC 4954) that this backend supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Auth {
    plain: bool,
    login: bool,
    xoauth2: bool,
    any: bool,
}

impl Offers {
    /// Parses the lines of a reply to EHLO. The first is the server's name.
    fn read(reply: &Reply) -> Self {
        let mut offers = Self::default();
        for line in reply.text.split('\n').skip(1) {
            // Before the RFC, it was written `AUTH=LOGIN`.
            let mut words = line.split([' ', '=', '\t']).filter(|word| !word.is_empty());
            let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
            match keyword.as_str() {
                "PIPELINING" => offers.pipelining = true,
                "8BITMIME" => offers.eight_bit = true,
                "SMTPUTF8" => offers.smtp_utf8 = true,
                "STARTTLS" => offers.start_tls = true,
                "SIZE" => {
                    let most = words.next().and_then(|size| size.parse().ok());
                    offers.size = Some(most.unwrap_or(0));
                }
                "AUTH" => {
                    for mechanism in words {
                        offers.auth.any = true;
                        match mechanism.to_ascii_uppercase().as_str() {
                            "PLAIN" => offers.auth.plain = true,
                            "LOGIN" => offers.auth.login = true,
                            "XOAUTH2" => offers.auth.xoauth2 = true,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        offers
    }
}

/// A connection on which messages can be sent.
pub(super) struct Session {
    pub(super) wire: Wire,
    pub(super) offers: Offers,
    /// The number of messages sent on it.
    pub(super) used: usize,
}

/// Opens a connection. If it fails, the server has nothing of a message.
pub(super) async fn open(settings: &Settings) -> Result<Session, SendError> {
    let server = settings.server.as_str();
    let config = &settings.config;
    let (stream, hello) = connect(settings).await?;
    let secrets = Arc::new(Secrets::of(config.login.as_ref()));
    let wire = |io, encrypted| Wire::new(io, encrypted, config.timeout, secrets.clone());
    let mut wire_now = match (&settings.tls, config.tls) {
        (Some(tls), SmtpTls::Implicit) => wire(encrypt(tls, stream, settings).await?, true),
        _ => wire(stream, false),
    };
    let greeting = wire_now.reply().await;
    let greeting = greeting.map_err(|why| reply::broken(Stage::Greeting, &why, server))?;
    expect(Stage::Greeting, &greeting, server)?;
    let mut offers = say_hello(&mut wire_now, &hello, settings).await?;
    if let (Some(tls), SmtpTls::StartTls) = (&settings.tls, config.tls) {
        if !offers.start_tls {
            let words = "the server does not offer STARTTLS, which tls = \"starttls\" requires: \
                         try tls = \"implicit\" or another port, or tls = \"none\" for a test \
                         server on this machine";
            return Err(configuration(server, words.to_owned()));
        }
        let answer = ask(&mut wire_now, "STARTTLS", Stage::StartTls, server).await?;
        expect(Stage::StartTls, &answer, server)?;
        if wire_now.has_unread() {
            // An attacker in the middle could have injected it, to be read as if it were encrypted
            // (RFC 3207, 6; CVE-2011-0411 is the same attack on servers).
            let words = "more than one reply to STARTTLS";
            return Err(SendError::new(SendErrorKind::InvalidResponse, NAME, words)
                .with_server(server)
                .with_accepted(reply::accepted(Stage::StartTls)));
        }
        wire_now = wire(encrypt(tls, wire_now.into_io(), settings).await?, true);
        // Extensions offered in clear text must be ignored: RFC 3207, 4.2.
        offers = say_hello(&mut wire_now, &hello, settings).await?;
    }
    if let Some(login) = &config.login {
        log_in(&mut wire_now, login, offers.auth, &secrets, server).await?;
    }
    tracing::debug!(
        esp = NAME,
        server,
        encrypted = wire_now.is_encrypted(),
        pipelining = offers.pipelining,
        "connected"
    );
    Ok(Session {
        wire: wire_now,
        offers,
        used: 0,
    })
}

/// Connects, and returns the name to send in EHLO.
async fn connect(settings: &Settings) -> Result<(Box<dyn Io>, String), SendError> {
    let config = &settings.config;
    let no_connection = |words: String| {
        SendError::new(SendErrorKind::Connect, NAME, words).with_server(&*settings.server)
    };
    let address = (config.bare_host(), config.port_or_default());
    let connected = async { connect_to(lookup_host(address).await?).await };
    let stream = match timeout(config.timeout, connected).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(no_connection(error.to_string())),
        Err(_) => return Err(no_connection("no connection within the timeout".to_owned())),
    };
    // Commands are short, and each waits for its reply.
    let _ = stream.set_nodelay(true);
    let hello = match (&config.hello_name, stream.local_addr()) {
        (Some(name), _) => name.clone(),
        (None, Ok(SocketAddr::V4(own))) => format!("[{}]", own.ip()),
        (None, Ok(SocketAddr::V6(own))) => format!("[IPv6:{}]", own.ip()),
        (None, Err(_)) => "localhost".to_owned(),
    };
    Ok((Box::new(stream), hello))
}

/// Connects to the address that answers first: a dead one, such as IPv6 in many networks, must not
/// use up the time of the others.
async fn connect_to(mut addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut tries = FuturesUnordered::new();
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the host name has no IP address");
    loop {
        let ended = match addresses.next() {
            Some(address) => {
                tries.push(TcpStream::connect(address));
                timeout(NEXT_ADDRESS, tries.next()).await
            }
            None => Ok(tries.next().await),
        };
        match ended {
            Ok(Some(Ok(stream))) => return Ok(stream),
            Ok(Some(Err(error))) => failed = error,
            Ok(None) => return Err(failed),
            Err(_) => {}
        }
    }
}

async fn encrypt(
    tls: &Tls,
    io: Box<dyn Io>,
    settings: &Settings,
) -> Result<Box<dyn Io>, SendError> {
    let server = &settings.server;
    match timeout(settings.config.timeout, tls.encrypt(io)).await {
        Ok(Ok(io)) => Ok(io),
        Ok(Err(error)) => Err(tls::failed(&error, server)),
        Err(_) => {
            let words = "the TLS handshake did not finish within the timeout";
            let error = SendError::new(SendErrorKind::Connect, NAME, words);
            Err(error.with_server(server))
        }
    }
}

/// Sends EHLO. In clear text, falls back to HELO if the server is too old for EHLO (RFC 5321, 3.2).
async fn say_hello(wire: &mut Wire, name: &str, settings: &Settings) -> Result<Offers, SendError> {
    let server = &settings.server;
    let answer = ask(wire, &format!("EHLO {name}"), Stage::Hello, server).await?;
    let old = matches!(answer.code, 500 | 502);
    if old && settings.tls.is_none() && settings.config.login.is_none() {
        let answer = ask(wire, &format!("HELO {name}"), Stage::Hello, server).await?;
        expect(Stage::Hello, &answer, server)?;
        return Ok(Offers::default());
    }
    expect(Stage::Hello, &answer, server)?;
    Ok(Offers::read(&answer))
}

async fn log_in(
    wire: &mut Wire,
    login: &Login,
    offered: Auth,
    secrets: &Secrets,
    server: &str,
) -> Result<(), SendError> {
    let mut say = async |line: &str| {
        let mut answer = ask(wire, line, Stage::Auth, server).await?;
        answer.text = secrets.redact_user(&answer.text);
        Ok::<_, SendError>(answer)
    };
    let answer = match login {
        Login::Password { .. } if offered.plain => {
            let response = initial_response(login);
            say(&format!("AUTH PLAIN {}", response.expose())).await?
        }
        Login::Password { user, password } if offered.login => {
            let mut answer = say("AUTH LOGIN").await?;
            for part in [user, password] {
                if reply::meaning(Stage::Auth, &answer) == Meaning::Continue {
                    answer = say(encoded(part.expose()).expose()).await?;
                }
            }
            answer
        }
        Login::Token { .. } if offered.xoauth2 => {
            let response = initial_response(login);
            let answer = say(&format!("AUTH XOAUTH2 {}", response.expose())).await?;
            match reply::meaning(Stage::Auth, &answer) {
                // The challenge describes the error; an empty line requests the refusal.
                Meaning::Continue => say("").await?,
                _ => answer,
            }
        }
        _ if !offered.any => {
            let words = "the server does not offer AUTH on this connection: check port and tls, \
                         or remove user and password";
            return Err(configuration(server, words.to_owned()));
        }
        _ => {
            let ours = match login {
                Login::Password { .. } => "PLAIN or LOGIN, which a password requires",
                Login::Token { .. } => "XOAUTH2, which access_token requires",
            };
            let words = format!("the server does not offer AUTH {ours}");
            return Err(configuration(server, words));
        }
    };
    expect(Stage::Auth, &answer, server)
}

/// Sends one line and reads the reply.
pub(super) async fn ask(
    wire: &mut Wire,
    line: &str,
    stage: Stage,
    server: &str,
) -> Result<Reply, SendError> {
    let answer = match wire.write(format!("{line}\r\n").as_bytes()).await {
        Ok(()) => wire.reply().await,
        Err(why) => Err(why),
    };
    answer.map_err(|why| reply::broken(stage, &why, server))
}

fn expect(stage: Stage, answer: &Reply, server: &str) -> Result<(), SendError> {
    match reply::meaning(stage, answer) {
        Meaning::Yes => Ok(()),
        _ => Err(reply::refused(stage, answer, server)),
    }
}

fn configuration(server: &str, words: String) -> SendError {
    SendError::new(SendErrorKind::Configuration, NAME, words).with_server(server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_read_in_any_spelling() {
        let reply = |text: &str| Reply {
            code: 250,
            enhanced: None,
            text: text.to_owned(),
        };
        let offers = Offers::read(&reply(
            "SIZE PIPELINING\npipelining\nSIZE 1000\n8BitMime\nAUTH=LOGIN\nAUTH plain CRAM-MD5\nX",
        ));
        assert_eq!(
            offers,
            Offers {
                pipelining: true,
                eight_bit: true,
                smtp_utf8: false,
                size: Some(1000),
                start_tls: false,
                auth: Auth {
                    plain: true,
                    login: true,
                    xoauth2: false,
                    any: true,
                },
            }
        );
        assert_eq!(Offers::read(&reply("PIPELINING")), Offers::default());
        for odd in ["x\nSIZE", "x\nSIZE 99999999999999999999999", "x\nSIZE -1"] {
            assert_eq!(Offers::read(&reply(odd)).size, Some(0), "{odd}");
        }
    }

    #[tokio::test]
    async fn an_address_that_does_not_respond_leaves_time_for_the_next() {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let alive = tokio::net::TcpListener::bind(loopback).await.unwrap();
        let alive = alive.local_addr().unwrap();
        // If nobody accepts and the backlog is full, the system no longer responds.
        let dead = tokio::net::TcpSocket::new_v4().unwrap();
        dead.bind(loopback).unwrap();
        let dead = dead.listen(0).unwrap();
        let silent = dead.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(Ok(stream)) = timeout(NEXT_ADDRESS, TcpStream::connect(silent)).await {
            queued.push(stream);
        }
        let connected = connect_to([silent, alive].into_iter()).await.unwrap();
        assert_eq!(connected.peer_addr().unwrap(), alive);
    }

    #[tokio::test]
    async fn if_no_address_accepts_the_connection_the_last_error_is_reported() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = listener.local_addr().unwrap();
        drop(listener);
        let error = connect_to([closed, closed].into_iter()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = connect_to(std::iter::empty()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
