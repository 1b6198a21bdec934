//! Handles `MAIL`, `RCPT`, `DATA` and `BDAT`: from the envelope to a message that is kept.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::builder::SmtpExtension;
use super::command::{self, Path};
use super::content::{self, DotReader, Progress};
use super::fault::{SmtpAction, SmtpStage};
use super::judge::SmtpRule;
use super::mail::{SmtpMessage, SmtpRecipient};
use super::reply::SmtpReply;
use super::session::Session;
use super::wire::{End, Outcome};

/// The message in progress.
#[derive(Default)]
pub(super) struct Transaction {
    sender: Option<Path>,
    recipients: Vec<SmtpRecipient>,
    /// The content that `BDAT` has delivered so far.
    chunks: BytesMut,
    chunks_size: usize,
    /// Set even if the command was refused, because a pipelining client cannot know that yet.
    mail_tried: bool,
    rcpt_tried: bool,
}

impl Transaction {
    /// Whether a sender was accepted.
    pub(super) fn is_open(&self) -> bool {
        self.sender.is_some()
    }

    fn has(&self, keyword: &str, value: Option<&str>) -> bool {
        self.sender.as_ref().is_some_and(|path| {
            path.parameters.iter().any(|(name, given)| {
                let same = value.is_none_or(|value| {
                    given
                        .as_deref()
                        .is_some_and(|g| g.eq_ignore_ascii_case(value))
                });
                name == keyword && same
            })
        })
    }
}

/// The extension that defines a parameter of `MAIL` or `RCPT`.
fn extension_of(verb: &str, keyword: &str) -> Option<SmtpExtension> {
    Some(match (verb, keyword) {
        ("MAIL", "SIZE") => SmtpExtension::Size,
        ("MAIL", "BODY") => SmtpExtension::EightBitMime,
        ("MAIL", "SMTPUTF8") => SmtpExtension::SmtpUtf8,
        ("MAIL", "RET" | "ENVID") | ("RCPT", "NOTIFY" | "ORCPT") => SmtpExtension::Dsn,
        _ => return None,
    })
}

impl Session {
    pub(super) async fn mail(&mut self, rest: &str) -> Outcome {
        let path = command::path(rest, "FROM:");
        let address = path.as_ref().map_or("", |path| path.address.as_str());
        let address = address.to_owned();
        self.transaction.mail_tried = true;
        self.step(SmtpStage::Mail, &address, |session: &mut Self| {
            session.begin(path)
        })
        .await
    }

    fn begin(&mut self, path: Result<Path, &'static str>) -> SmtpReply {
        if self.hello.is_none() {
            self.violation(SmtpRule::Order, "MAIL before EHLO");
            return self.reply(503, "5.5.1", "Send EHLO first");
        }
        if self.transaction.is_open() {
            self.violation(SmtpRule::Order, "MAIL within a transaction");
            return self.reply(503, "5.5.1", "Nested MAIL command");
        }
        let settings = &self.shared.settings;
        if settings.auth_required && settings.has_logins() && self.user.is_none() {
            return self.reply(530, "5.7.0", "Authentication required");
        }
        let path = match self.judge_path("MAIL", path) {
            Ok(path) => path,
            Err(refusal) => return refusal,
        };
        let declared = path.parameters.iter().find(|(name, _)| name == "SIZE");
        if let Some((_, size)) = declared {
            match size.as_deref().and_then(|size| size.parse::<usize>().ok()) {
                None => {
                    self.violation(SmtpRule::Syntax, "SIZE that is not a number");
                    return self.reply(501, "5.5.4", "Invalid SIZE");
                }
                Some(size) if size > settings.size_limit => return self.too_large(),
                Some(_) => {}
            }
        }
        self.transaction = Transaction {
            sender: Some(path),
            mail_tried: true,
            ..Transaction::default()
        };
        self.reply(250, "2.1.0", "Ok")
    }

    pub(super) async fn rcpt(&mut self, rest: &str) -> Outcome {
        let path = command::path(rest, "TO:");
        let address = path.as_ref().map_or("", |path| path.address.as_str());
        let address = address.to_owned();
        self.transaction.rcpt_tried = true;
        self.step(SmtpStage::Rcpt, &address, |session: &mut Self| {
            session.add(path)
        })
        .await
    }

    fn add(&mut self, path: Result<Path, &'static str>) -> SmtpReply {
        if !self.transaction.is_open() {
            if !self.transaction.mail_tried {
                self.violation(SmtpRule::Order, "RCPT without MAIL");
            }
            return self.reply(503, "5.5.1", "Need MAIL command");
        }
        let path = match self.judge_path("RCPT", path) {
            Ok(path) => path,
            Err(refusal) => return refusal,
        };
        if self.transaction.recipients.len() >= self.shared.settings.recipient_limit {
            return self.reply(452, "4.5.3", "Too many recipients");
        }
        let rule = self.shared.plan().recipient_rule.clone();
        let reply = rule
            .and_then(|rule| rule(&path.address))
            .unwrap_or_else(|| self.reply(250, "2.1.5", "Ok"));
        if reply.is_positive() {
            self.transaction.recipients.push(SmtpRecipient {
                address: path.address,
                parameters: path.parameters,
            });
        }
        reply
    }

    /// Checks what `MAIL` and `RCPT` have in common. The error is the refusal.
    fn judge_path(&self, verb: &str, path: Result<Path, &'static str>) -> Result<Path, SmtpReply> {
        let path = path.map_err(|why| {
            self.violation(SmtpRule::Syntax, &format!("{verb}: {why}"));
            self.reply(501, "5.5.4", &format!("Syntax error: {why}"))
        })?;
        if let Some(why) = path.sloppy {
            self.violation(SmtpRule::Syntax, &format!("{verb}: {why}"));
        }
        for (keyword, _) in &path.parameters {
            let offered = match (verb, keyword.as_str()) {
                // Trusted servers forward the original sender (RFC 4954, section 5).
                ("MAIL", "AUTH") => self.shared.settings.has_logins(),
                _ => extension_of(verb, keyword).is_some_and(|extension| self.offers(extension)),
            };
            if !offered {
                let detail = format!("{verb} with {keyword}");
                self.violation(SmtpRule::ExtensionNotOffered, &detail);
                return Err(self.reply(555, "5.5.4", &format!("Unsupported: {keyword}")));
            }
        }
        let utf8 = match verb {
            "MAIL" => path.parameters.iter().any(|(name, _)| name == "SMTPUTF8"),
            _ => self.transaction.has("SMTPUTF8", None),
        };
        if !path.address.is_ascii() && !utf8 {
            self.violation(SmtpRule::EightBitHeader, &format!("the address of {verb}"));
            return Err(self.reply(553, "5.6.7", "Address needs SMTPUTF8"));
        }
        Ok(path)
    }

    /// Returns the refusal if no content may be sent now.
    fn content_refusal(&self, verb: &str) -> Option<SmtpReply> {
        if !self.transaction.recipients.is_empty() {
            return None;
        }
        if !self.transaction.rcpt_tried {
            self.violation(SmtpRule::Order, &format!("{verb} without RCPT"));
            return Some(self.reply(503, "5.5.1", "Need RCPT command"));
        }
        Some(self.reply(554, "5.5.1", "No valid recipients"))
    }

    pub(super) async fn data(&mut self, rest: &str) -> Outcome {
        self.no_argument("DATA", rest);
        let mut begun = false;
        self.step(SmtpStage::Data, "", |session: &mut Self| {
            if let Some(refusal) = session.content_refusal("DATA") {
                return refusal;
            }
            begun = true;
            SmtpReply::new(354, "End data with <CR><LF>.<CR><LF>")
        })
        .await?;
        if !begun {
            return Ok(());
        }
        let mut reader = DotReader::default();
        let mut pause = None;
        let mut asked = false;
        loop {
            if self.wire.input.is_empty() {
                self.wire.flush().await?;
                self.wire.fill().await?;
            }
            if !asked {
                asked = true;
                pause = self.at_content().await?;
            }
            let before = self.wire.input.len();
            let progress = reader.advance(&mut self.wire.input, self.shared.settings.size_limit);
            let used = before.saturating_sub(self.wire.input.len());
            self.shared
                .count(|counts| counts.content_bytes += used as u64);
            match progress {
                Progress::End => break,
                Progress::More => {
                    if let Some(pause) = pause {
                        tokio::time::sleep(pause).await;
                    }
                    self.wire.fill().await?;
                }
                Progress::FalseEnd => {
                    self.violation(SmtpRule::BareLineFeed, "LF . LF in the content");
                    self.send(self.reply(521, "5.5.2", "Bare LF received"))?;
                    return Err(End::Close);
                }
            }
        }
        if reader.unstuffed {
            self.violation(SmtpRule::UnstuffedDot, "in the content");
        }
        let (content, size) = reader.finish();
        self.finish(content, size).await
    }

    pub(super) async fn bdat(&mut self, rest: &str) -> Outcome {
        let (size, last) = match rest.split_once(' ') {
            Some((size, last)) => (size, last.eq_ignore_ascii_case("LAST")),
            None => (rest, false),
        };
        let well_formed = last || !rest.contains(' ');
        let Some(size) = size.parse::<usize>().ok().filter(|_| well_formed) else {
            self.violation(SmtpRule::Syntax, "BDAT without a size");
            self.send(self.reply(501, "5.5.4", "Syntax: BDAT size [LAST]"))?;
            return Err(End::Close); // the end of its content is unknown
        };
        self.wire.flush().await?;
        if size > 0 && self.wire.input.is_empty() {
            self.wire.fill().await?;
        }
        self.at_content().await?;
        let limit = self.shared.settings.size_limit;
        let chunk = content::read_chunk(&mut self.wire, size, limit).await?;
        self.shared
            .count(|counts| counts.content_bytes += size as u64);
        if !self.offers(SmtpExtension::Chunking) {
            self.violation(SmtpRule::ExtensionNotOffered, "BDAT");
            return self.send(self.reply(502, "5.5.1", "BDAT is not available"));
        }
        if let Some(refusal) = self.content_refusal("BDAT") {
            return self.send(refusal);
        }
        let transaction = &mut self.transaction;
        transaction.chunks_size = transaction.chunks_size.saturating_add(size);
        if transaction.chunks_size <= limit {
            transaction.chunks.extend_from_slice(&chunk);
        }
        if !last {
            let reply = self.reply(250, "2.0.0", &format!("{size} bytes received"));
            return self.answer_at(SmtpStage::Data, reply).await;
        }
        let content = std::mem::take(&mut self.transaction.chunks).freeze();
        let size = self.transaction.chunks_size;
        self.finish(content, size).await
    }

    /// Applies the fault in the middle of the content. Returns how long to wait before each read.
    async fn at_content(&mut self) -> Outcome<Option<Duration>> {
        match self.fault(SmtpStage::Content, "") {
            Some(SmtpAction::Drip { interval }) => Ok(Some(interval)),
            Some(action) => {
                let ends = matches!(action, SmtpAction::Reply(_));
                self.act(action).await?;
                if ends { Err(End::Close) } else { Ok(None) }
            }
            None => Ok(None),
        }
    }

    fn too_large(&self) -> SmtpReply {
        self.reply(552, "5.3.4", "Message size exceeds fixed limit")
    }

    /// Decides about a message whose content is complete.
    async fn finish(&mut self, content: Bytes, size: usize) -> Outcome {
        let transaction = std::mem::take(&mut self.transaction);
        self.messages += 1;
        let eight_bit = transaction.has("BODY", Some("8BITMIME"));
        let utf8 = transaction.has("SMTPUTF8", None);
        for (rule, line) in content::judge(&content, eight_bit, utf8) {
            self.violation(rule, &format!("line {line} of the content"));
        }
        let action = self.fault(SmtpStage::EndOfData, "");
        let action = match action {
            Some(action) if !action.leaves_reply() => return self.act(action).await,
            action => action,
        };
        if size > self.shared.settings.size_limit {
            return self.answer(self.too_large(), action).await;
        }
        let (sender, parameters) = transaction
            .sender
            .map(|path| (path.address, path.parameters))
            .unwrap_or_default();
        let number = self.shared.ids.fetch_add(1, Ordering::SeqCst) + 1;
        let mail = SmtpMessage {
            id: format!("A{number:09X}"),
            connection: self.number,
            hello: self.hello.clone().unwrap_or_default().0,
            sender,
            parameters,
            recipients: transaction.recipients,
            content,
            over_tls: self.tls,
            user: self.user.clone(),
        };
        let (mail, reply) = self.decide(mail).await;
        if !reply.is_positive() {
            return self.answer(reply, action).await;
        }
        self.shared.keep(mail);
        match self.fault(SmtpStage::Kept, "") {
            Some(kept) if !kept.leaves_reply() => self.act(kept).await,
            kept => self.answer(reply, kept.or(action)).await,
        }
    }

    /// Calls the rule for messages, which may block.
    async fn decide(&self, mail: SmtpMessage) -> (SmtpMessage, SmtpReply) {
        let usual = self.reply(250, "2.0.0", &format!("Ok: queued as {}", mail.id));
        let Some(rule) = self.shared.plan().mail_rule.clone() else {
            return (mail, usual);
        };
        let mail = Arc::new(mail);
        let asked = Arc::clone(&mail);
        let reply = tokio::task::spawn_blocking(move || rule(&asked)).await;
        let mail = Arc::unwrap_or_clone(mail);
        match reply {
            Ok(reply) => (mail, reply.unwrap_or(usual)),
            Err(_) => {
                let words = "the rule for messages of this loopback server panicked";
                (mail, self.reply(451, "4.3.0", words))
            }
        }
    }
}
