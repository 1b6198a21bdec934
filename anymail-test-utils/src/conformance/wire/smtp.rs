//! [`SmtpWire`]: a loopback SMTP server; messages are parsed as MIME.

use std::sync::{Arc, Mutex};

use anymail_core::{Address, AddressKey, Status};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::super::desk::{Desk, lock};
use super::super::excerpt::cut;
use super::super::harness::{FailureKind, SmtpHarness};
use super::super::responses::mutilations;
use super::super::trial::{Stop, Verdict};
use super::super::understood::Understood;
use super::{Wire, WireFault};
use crate::{LoopbackSmtp, SmtpAction, SmtpFault, SmtpMessage, SmtpMoment, SmtpReply, SmtpStage};

/// The user name that the backend logs in with.
pub(in super::super) const USER: &str = "mailer@example.com";

/// An SMTP server.
pub(in super::super) struct SmtpWire {
    server: LoopbackSmtp,
    esp: Arc<Esp>,
    secret: String,
}

/// What the server replies, by the plan.
struct Esp {
    harness: Arc<dyn SmtpHarness>,
    desk: Desk,
    /// The fault for one call: its stage, and how often that stage must be reached first.
    at: Mutex<Option<(SmtpFault, usize)>>,
    last_reply: Mutex<Option<SmtpReply>>,
    /// The messages that were answered, by number; `None` once forgotten.
    calls: Mutex<Vec<Option<Bytes>>>,
}

impl SmtpWire {
    pub(in super::super) fn start(
        harness: Arc<dyn SmtpHarness>,
        desk: Desk,
        secret: &str,
    ) -> Verdict<Self> {
        let esp = Arc::new(Esp {
            harness,
            desk,
            at: Mutex::default(),
            last_reply: Mutex::default(),
            calls: Mutex::default(),
        });
        let builder = LoopbackSmtp::builder().user(USER, secret);
        let server = builder.start();
        let server = server
            .map_err(|error| Stop::fail(format!("could not start a loopback server: {error}")))?;
        server.set_recording(false); // the desk records what is needed
        let wire = Self {
            server,
            esp,
            secret: secret.to_owned(),
        };
        wire.respond_by_plan();
        Ok(wire)
    }

    pub(in super::super) fn port(&self) -> u16 {
        self.server.port()
    }

    fn respond_by_plan(&self) {
        let esp = Arc::clone(&self.esp);
        self.server
            .reply_to_recipient(move |address| esp.of_recipient(address));
        let esp = Arc::clone(&self.esp);
        self.server.reply_to_message(move |mail| esp.of_mail(mail));
        let esp = Arc::clone(&self.esp);
        self.server.inject_rule(move |moment| esp.at_stage(moment));
    }
}

#[async_trait]
impl Wire for SmtpWire {
    fn mails(&self) -> Verdict<Vec<Understood>> {
        Ok(self.esp.desk.mails())
    }

    /// The envelope has no names, lines of text end with CR LF (RFC 2046, 4.1.1), and content
    /// always ends with a line end, whether or not it belongs to the body.
    fn carried(&self, mut mail: Understood) -> Understood {
        for address in &mut mail.bcc {
            if let Ok(bare) = address.ascii_email().parse() {
                *address = bare;
            }
        }
        let others = mail.alternatives.iter_mut().map(|(_, body)| body);
        for body in [&mut mail.text, &mut mail.html]
            .into_iter()
            .flatten()
            .chain(others)
        {
            *body = body.replace("\r\n", "\n");
            body.truncate(body.strip_suffix('\n').unwrap_or(body).len());
        }
        mail
    }

    fn desk(&self) -> Option<&Desk> {
        Some(&self.esp.desk)
    }

    fn tries(&self) -> usize {
        self.server
            .counts()
            .of("MAIL")
            .try_into()
            .unwrap_or(usize::MAX)
    }

    fn inject(&self, fault: &WireFault, times: usize) -> Verdict {
        let WireFault::Smtp(fault) = fault else {
            return Err(Stop::fail(format!(
                "this wire does not support the fault {fault}"
            )));
        };
        self.server.inject(fault.clone(), times);
        Ok(())
    }

    fn inject_at(&self, fault: &WireFault, call: usize) -> Verdict {
        let WireFault::Smtp(fault) = fault else {
            return Err(Stop::fail(format!(
                "this wire does not support the fault {fault}"
            )));
        };
        *lock(&self.esp.at) = Some((fault.clone(), call));
        Ok(())
    }

    fn clear_faults(&self) {
        self.server.clear_faults();
        *lock(&self.esp.at) = None;
        self.respond_by_plan();
    }

    async fn refuse(&self) -> Verdict {
        self.server.refuse().await.map_err(broken)
    }

    async fn accept_again(&self) -> Verdict {
        self.server.accept_again().await.map_err(broken)
    }

    fn altered_responses(&self) -> Vec<WireFault> {
        let Some(genuine) = lock(&self.esp.last_reply).clone() else {
            return Vec::new();
        };
        let altered = |reply| {
            let action = SmtpAction::Garbage(reply);
            WireFault::Smtp(SmtpFault::new(SmtpStage::Kept, action))
        };
        let mut all = mutilations(&Bytes::from(genuine.to_string()));
        // A reply that is cut within its line never ends; these replies end, and are short.
        let cut = all.iter().filter(|reply| !reply.ends_with(b"\n"));
        let ended: Vec<Bytes> = cut
            .map(|reply| [&reply[..], b"\r\n"].concat().into())
            .collect();
        all.extend(ended);
        all.into_iter().map(altered).collect()
    }

    fn unauthorized(&self) -> Option<String> {
        let none = self.server.counts().logins == 0;
        none.then(|| format!("a login as {USER} with the secret"))
    }

    fn bearers(&self) -> Vec<String> {
        // The arguments of AUTH PLAIN and AUTH LOGIN.
        vec![
            STANDARD.encode(format!("\0{USER}\0{}", self.secret)),
            STANDARD.encode(&self.secret),
        ]
    }

    fn endless_was_read(&self) -> bool {
        self.server.counts().endless_bytes >= LoopbackSmtp::ENDLESS
    }

    fn violations(&self) -> Vec<String> {
        let violations = self.server.violations().into_iter();
        violations.map(|violation| violation.to_string()).collect()
    }

    fn forget(&self) {
        lock(&self.esp.calls).fill(None);
    }

    fn show_call(&self, call: Option<usize>) -> Vec<String> {
        let calls = lock(&self.esp.calls);
        let mail = match call {
            Some(call) => calls.get(call),
            None => calls.last(),
        };
        let Some(Some(mail)) = mail else {
            return vec!["no complete message".to_owned()];
        };
        let mut lines = vec![format!("a message of {} bytes", mail.len())];
        let text = String::from_utf8_lossy(mail);
        let text = text.replace(&self.secret, "[the secret]");
        lines.extend(text.lines().take(30).map(|line| cut(line, 120)));
        lines
    }
}

fn broken(error: std::io::Error) -> Stop {
    Stop::fail(format!("loopback server error: {error}"))
}

impl Esp {
    /// Returns the reply to `RCPT`.
    fn of_recipient(&self, address: &str) -> Option<SmtpReply> {
        let address: Address = address.parse().ok()?;
        let plan = self.desk.plan();
        Some(match (plan.status_of)(&address) {
            Status::Invalid => SmtpReply::new(550, "5.1.1 No such user"),
            Status::Rejected => SmtpReply::new(550, "5.7.1 This recipient is blocked"),
            // The server refuses the sender for this recipient.
            Status::Failed => SmtpReply::new(550, format!("5.1.8 {}", plan.words)),
            _ => return None,
        })
    }

    /// Returns the reply to a complete message.
    fn of_mail(&self, mail: &SmtpMessage) -> Option<SmtpReply> {
        let understood = match read(mail) {
            Ok(mut understood) => {
                self.harness.understand(&mut understood);
                understood
            }
            Err(problem) => {
                self.desk.log().problems.push(problem);
                return Some(SmtpReply::new(554, "5.6.0 Not a valid message"));
            }
        };
        let decided = {
            let mut calls = lock(&self.calls);
            calls.push(Some(mail.content.clone()));
            self.desk.decide(vec![understood])
        };
        let reply = decided
            .failure
            .and_then(|(kind, words)| refusal(kind, &words));
        let said = reply.clone();
        *lock(&self.last_reply) = said.or_else(|| {
            Some(SmtpReply::new(
                250,
                format!("2.0.0 Ok: queued as {}", mail.id),
            ))
        });
        self.desk.arrived.notify_one();
        reply
    }

    /// Returns the action at a stage, other than injected faults.
    fn at_stage(&self, moment: &SmtpMoment) -> Option<SmtpAction> {
        let at = lock(&self.at);
        if let Some((fault, call)) = &*at
            && fault.stage == moment.stage
            && u64::try_from(*call) == Ok(moment.count)
        {
            return Some(fault.action.clone());
        }
        let plan = self.desk.plan();
        let (kind, words) = plan.failure.as_ref()?;
        let reply = match (kind, moment.stage) {
            (FailureKind::BadToken, SmtpStage::Credentials) => {
                SmtpReply::new(535, format!("5.7.8 {words}"))
            }
            // A connection that has already logged in.
            (FailureKind::BadToken, SmtpStage::Mail) => {
                SmtpReply::new(530, format!("5.7.0 {words}"))
            }
            _ => return None,
        };
        Some(SmtpAction::Reply(reply))
    }
}

/// Returns how a server reports it at the end of a message.
fn refusal(kind: FailureKind, words: &str) -> Option<SmtpReply> {
    Some(match kind {
        FailureKind::BadToken => return None,
        FailureKind::Refused => SmtpReply::new(554, format!("5.7.1 {words}")),
        FailureKind::RateLimited => SmtpReply::new(451, format!("4.7.28 {words}")),
        FailureKind::Crashed => SmtpReply::new(451, format!("4.3.0 {words}")),
        FailureKind::Unavailable => SmtpReply::new(421, format!("4.3.2 {words}")),
    })
}

/// Returns the message with what only the envelope contains.
fn read(mail: &SmtpMessage) -> Result<Understood, String> {
    let problem = |error: String| format!("could not parse the message: {error}");
    let mut read = Understood::from_mime(&mail.content).map_err(|it| problem(it.to_string()))?;
    if !read.bcc.is_empty() {
        return Err("the header Bcc reveals the recipients of blind copies".to_owned());
    }
    let seen: Vec<AddressKey> = read.recipients().map(Address::key).collect();
    for recipient in &mail.recipients {
        let address: Address = recipient
            .address
            .parse()
            .map_err(|error| problem(format!("{:?}: {error}", recipient.address)))?;
        if !seen.contains(&address.key()) {
            read.bcc.push(address);
        }
    }
    let from = read.from.as_ref().map(Address::ascii_email);
    if from.as_ref() != Some(&mail.sender) {
        read.envelope_sender = Some(mail.sender.clone());
    }
    read.own_id = message_id(&mail.content);
    Ok(read)
}

/// Returns the backend's own ID: the one in the header `Message-ID`, without angle brackets.
fn message_id(mail: &[u8]) -> Option<String> {
    let parsed = mail_parser::MessageParser::new().parse(mail)?;
    parsed.message_id().map(str::to_owned)
}
