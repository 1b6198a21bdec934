//! Conducts one conversation from the connection to its end.
//!
//! `transaction.rs` handles messages, `auth.rs` logins, and `wire.rs` bytes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;

use super::LoopbackSmtp;
use super::builder::{LoopbackTls, SmtpExtension};
use super::command;
use super::fault::{SmtpAction, SmtpStage};
use super::judge::SmtpRule;
use super::reply::SmtpReply;
use super::shared::{Shared, SmtpMoment};
use super::transaction::Transaction;
use super::wire::{End, Line, Outcome, Wire};

pub(super) struct Session {
    pub(super) shared: Arc<Shared>,
    pub(super) wire: Wire,
    pub(super) number: u64,
    /// The client's name, and whether it was sent with `EHLO`.
    pub(super) hello: Option<(String, bool)>,
    pub(super) tls: bool,
    pub(super) user: Option<String>,
    pub(super) transaction: Transaction,
    /// The number of messages that have ended on this connection.
    pub(super) messages: u64,
    closing: watch::Receiver<bool>,
    injected: watch::Receiver<u64>,
    quit: bool,
}

/// Serves one connection.
pub(super) async fn run(
    stream: TcpStream,
    shared: Arc<Shared>,
    number: u64,
    closing: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let injected = shared.injected.subscribe();
    let mut session = Session {
        wire: Wire::new(stream),
        shared,
        number,
        hello: None,
        tls: false,
        user: None,
        transaction: Transaction::default(),
        messages: 0,
        closing,
        injected,
        quit: false,
    };
    let Err(end) = session.converse().await;
    if end == End::Gone && !session.quit {
        session
            .shared
            .count(|counts| counts.closed_without_quit += 1);
    }
    session.wire.end(end).await;
}

/// What ended the wait for a line.
enum Came {
    Closing,
    Fault,
    Input(Outcome),
}

impl Session {
    async fn converse(&mut self) -> Outcome<Infallible> {
        if let Some(action) = self.fault(SmtpStage::Connect, "") {
            self.act(action).await?;
        }
        if self.shared.settings.tls == LoopbackTls::Implicit {
            self.handshake().await?;
        }
        self.greet().await?;
        loop {
            let line = self.next_line().await?;
            self.command(line).await?;
        }
    }

    async fn greet(&mut self) -> Outcome {
        if self
            .wire
            .has_input(self.shared.settings.judge_patience)
            .await
        {
            self.violation(SmtpRule::Pipelining, "before the greeting");
        }
        let text = format!("{} ESMTP loopback", self.shared.settings.hostname);
        self.answer_at(SmtpStage::Greeting, SmtpReply::new(220, text))
            .await
    }

    pub(super) async fn handshake(&mut self) -> Outcome {
        let action = self.fault(SmtpStage::Handshake, "");
        let wrong = match &action {
            Some(SmtpAction::WrongCertificate(wrong)) => Some(*wrong),
            _ => None,
        };
        self.wire.flush().await?;
        if let Some(action) = action.clone()
            && !action.leaves_reply()
        {
            // The server waits for the client's first message. Bytes sent before it would belong to
            // the reply to STARTTLS, and a reset could overtake that reply.
            self.wire.fill().await?;
            self.act(action).await?;
            return Err(End::Close);
        }
        let shared = Arc::clone(&self.shared);
        let Some(certificates) = &shared.certificates else {
            return Err(End::Close); // unreachable: TLS is announced only with certificates
        };
        self.wire.start_tls(certificates, wrong).await?;
        self.tls = true;
        self.shared.count(|counts| counts.handshakes += 1);
        if let Some(SmtpAction::PlaintextAfterHandshake(bytes)) = action {
            self.wire.write_past_tls(&bytes).await?;
            return Err(End::Close);
        }
        Ok(())
    }

    /// Reads the next line from the client. An idle connection may be closed while waiting.
    pub(super) async fn next_line(&mut self) -> Outcome<Line> {
        let at_rest = self.hello.is_some() && !self.transaction.is_open();
        let idle = at_rest && self.messages > 0;
        let mut asked = false;
        loop {
            if let Some(line) = self.wire.take_line()? {
                return Ok(line);
            }
            self.wire.flush().await?;
            if idle && !asked {
                asked = true;
                self.injected.mark_unchanged();
                if let Some(action) = self.fault(SmtpStage::Idle, "") {
                    self.act(action).await?;
                    continue;
                }
            }
            // Classify the result first, because each branch borrows the session.
            let came = tokio::select! {
                biased;
                _ = self.closing.wait_for(|closing| *closing), if at_rest => Came::Closing,
                _ = self.injected.changed(), if idle => Came::Fault,
                filled = self.wire.fill() => Came::Input(filled),
            };
            match came {
                Came::Closing => return Err(End::Close),
                Came::Fault => {
                    if let Some(action) = self.shared.idle_fault() {
                        self.act(action).await?;
                    }
                }
                Came::Input(filled) => filled?,
            }
        }
    }

    async fn command(&mut self, line: Line) -> Outcome {
        self.judge_line(&line);
        let Ok(text) = std::str::from_utf8(&line.bytes) else {
            self.violation(SmtpRule::Syntax, "a command that is not UTF-8");
            return self.send(self.reply(500, "5.5.2", "Bytes that are no text"));
        };
        let (verb, rest) = command::split(text);
        let known = KNOWN.contains(&verb.as_str());
        let name = if known { verb.clone() } else { "?".to_owned() };
        self.shared
            .count(|counts| *counts.commands.entry(name).or_default() += 1);
        if line.bytes.len() + 2 > command::length_limit(&verb) {
            self.violation(SmtpRule::CommandTooLong, &verb);
        }
        if !text.is_ascii() && !matches!(verb.as_str(), "MAIL" | "RCPT") {
            self.violation(SmtpRule::EightBitHeader, "a command that is not ASCII");
        }
        self.judge_pipelining(&verb).await;
        match verb.as_str() {
            "EHLO" | "HELO" => {
                let reply = self.hello(&verb, rest);
                self.step(SmtpStage::Ehlo, "", reply).await
            }
            "STARTTLS" => self.start_tls(rest).await,
            "AUTH" => self.auth(rest).await,
            "MAIL" => self.mail(rest).await,
            "RCPT" => self.rcpt(rest).await,
            "DATA" => self.data(rest).await,
            "BDAT" => self.bdat(rest).await,
            "RSET" => {
                self.no_argument(&verb, rest);
                self.step(SmtpStage::Rset, "", |session: &mut Self| {
                    session.transaction = Transaction::default();
                    session.reply(250, "2.0.0", "Ok")
                })
                .await
            }
            "NOOP" => {
                self.step(SmtpStage::Noop, "", |session: &mut Self| {
                    session.reply(250, "2.0.0", "Ok")
                })
                .await
            }
            "QUIT" => {
                self.no_argument(&verb, rest);
                self.quit = true;
                self.step(SmtpStage::Quit, "", |session: &mut Self| {
                    session.reply(221, "2.0.0", "Bye")
                })
                .await?;
                Err(End::Close)
            }
            "VRFY" => self.send(self.reply(252, "2.1.5", "Send some mail, I'll try my best")),
            "HELP" => self.send(self.reply(214, "2.0.0", "See RFC 5321")),
            "EXPN" => self.send(self.reply(502, "5.5.1", "Not implemented")),
            _ => {
                // Quote and truncate the line: after a premature end of data, it is content.
                let shown: String = verb.chars().take(10).collect();
                self.violation(SmtpRule::UnknownCommand, &format!("{shown:?}"));
                self.send(self.reply(500, "5.5.2", "Command not recognized"))
            }
        }
    }

    /// Executes a command and replies, or applies the fault of its stage.
    pub(super) async fn step(
        &mut self,
        stage: SmtpStage,
        address: &str,
        carry_out: impl FnOnce(&mut Self) -> SmtpReply,
    ) -> Outcome {
        let action = self.fault(stage, address);
        match action {
            Some(action) if !action.leaves_reply() => self.act(action).await,
            action => {
                let reply = carry_out(self);
                self.answer(reply, action).await
            }
        }
    }

    /// Replies, or applies the fault of a stage at which no command is executed.
    pub(super) async fn answer_at(&mut self, stage: SmtpStage, reply: SmtpReply) -> Outcome {
        self.step(stage, "", |_| reply).await
    }

    /// Sends the usual reply, completely or as the action changes it.
    pub(super) async fn answer(&mut self, reply: SmtpReply, action: Option<SmtpAction>) -> Outcome {
        let bytes = reply.to_string().into_bytes();
        match action {
            Some(SmtpAction::Drip { interval }) => self.wire.drip(&bytes, interval).await,
            Some(SmtpAction::CutShort { bytes: cut }) => {
                self.wire.write(bytes.get(..cut).unwrap_or(&bytes));
                Err(End::Close)
            }
            Some(SmtpAction::Trailing(more)) => {
                self.wire.write(&bytes);
                self.wire.write(&more);
                Ok(())
            }
            Some(SmtpAction::Rewrite(change)) => self.send(change(reply)),
            _ => self.send(reply),
        }
    }

    /// Applies an action that replaces the reply. Does nothing for an action that keeps it.
    pub(super) async fn act(&mut self, action: SmtpAction) -> Outcome {
        match action {
            SmtpAction::Reply(reply) => {
                let last = reply.code() == 421;
                self.send(reply)?;
                if last { Err(End::Close) } else { Ok(()) }
            }
            SmtpAction::Reset => Err(End::Reset),
            SmtpAction::Close => Err(End::Close),
            SmtpAction::Hang => {
                self.wire.flush().await?;
                Err(self.wire.until_closed().await)
            }
            SmtpAction::Garbage(bytes) => {
                self.wire.write(&bytes);
                Err(End::Close)
            }
            SmtpAction::EndlessLine => {
                self.wire.write(b"250 ");
                Err(self.without_end(&[b'x'; 1024]).await)
            }
            SmtpAction::EndlessReply => Err(self.without_end(b"250-and so on\r\n").await),
            _ => Ok(()),
        }
    }

    pub(super) fn send(&mut self, reply: SmtpReply) -> Outcome {
        self.wire.write(reply.to_string().as_bytes());
        Ok(())
    }

    /// Creates one of the server's own replies, with its enhanced code if that is announced.
    pub(super) fn reply(&self, code: u16, enhanced: &str, text: &str) -> SmtpReply {
        if self.offers(SmtpExtension::EnhancedStatusCodes) {
            SmtpReply::new(code, format!("{enhanced} {text}"))
        } else {
            SmtpReply::new(code, text)
        }
    }

    /// Whether an extension was announced to the client.
    pub(super) fn offers(&self, extension: SmtpExtension) -> bool {
        let extended = self.hello.as_ref().is_some_and(|(_, extended)| *extended);
        extended && self.shared.settings.offers(extension)
    }

    pub(super) fn fault(&self, stage: SmtpStage, address: &str) -> Option<SmtpAction> {
        self.shared.fault(SmtpMoment {
            stage,
            count: 0, // filled in by the caller
            connection: self.number,
            messages_before: self.messages,
            address: address.to_owned(),
        })
    }

    pub(super) fn violation(&self, rule: SmtpRule, detail: &str) {
        self.shared.violation(self.number, rule, detail.to_owned());
    }

    pub(super) fn no_argument(&self, verb: &str, rest: &str) {
        if !rest.is_empty() {
            self.violation(SmtpRule::Syntax, &format!("{verb} with an argument"));
        }
    }

    pub(super) fn judge_line(&self, line: &Line) {
        for (rule, breaks) in [
            (SmtpRule::BareLineFeed, line.bare_line_feed),
            (
                SmtpRule::BareCarriageReturn,
                line.bytes.contains(&b'\r') && !line.bytes.is_empty(),
            ),
            (SmtpRule::Nul, line.bytes.contains(&0)),
        ] {
            if breaks {
                self.violation(rule, "in a command");
            }
        }
    }

    async fn judge_pipelining(&mut self, verb: &str) {
        let last = LAST_OF_GROUP.contains(&verb);
        // The bytes after BDAT are content.
        if verb == "BDAT" || (self.offers(SmtpExtension::Pipelining) && !last) {
            return;
        }
        let patience: Duration = self.shared.settings.judge_patience;
        if self.wire.has_input(patience).await {
            self.violation(SmtpRule::Pipelining, &format!("behind {verb}"));
        }
    }
}

const KNOWN: [&str; 14] = [
    "EHLO", "HELO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "QUIT",
    "VRFY", "EXPN", "HELP",
];

/// Commands that must be the last of a pipelined group (RFC 2920, section 3.1; RFC 3207, section 4;
/// RFC 4954, section 4).
const LAST_OF_GROUP: [&str; 9] = [
    "EHLO", "HELO", "STARTTLS", "AUTH", "DATA", "NOOP", "QUIT", "VRFY", "EXPN",
];

impl Session {
    /// Sends these bytes repeatedly and counts them.
    async fn without_end(&mut self, bytes: &[u8]) -> End {
        let shared = Arc::clone(&self.shared);
        let count = |gone| shared.count(|counts| counts.endless_bytes += gone);
        self.wire.repeat(bytes, LoopbackSmtp::ENDLESS, count).await
    }
}
