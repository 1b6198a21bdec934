//! Lark: an SMTP client that is small enough to break. It uses one connection per message.
//!
//! `in_smtp.rs` breaks it. Do not send real messages with it: anymail-core has an SMTP backend.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anymail_core::{
    Accepted, Address, AddressKey, Capabilities, EmailBackend, Feature, Message, PreparedMessage,
    Secret, SendError, SendErrorKind, SendStatus, Status, StatusDetail, Support,
};
use anymail_test_utils::conformance::{HarnessError, SmtpHarness, SmtpTarget};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::in_smtp::Fault;

const NAME: &str = "lark";
/// The maximum length of a reply in bytes.
const MAX_REPLY: usize = 64 * 1024;

/// A Lark, with or without a fault.
pub struct LarkHarness(pub Option<Fault>);

impl SmtpHarness for LarkHarness {
    fn backend(&self, target: &SmtpTarget) -> Result<Arc<dyn EmailBackend>, HarnessError> {
        let plain = format!("\0{}\0{}", target.user, target.secret);
        let yes = |feature| (feature, Support::Yes);
        Ok(Arc::new(Lark {
            target: target.clone(),
            secrets: [
                Secret::new(&*target.secret),
                Secret::new(STANDARD.encode(plain)),
                Secret::new(STANDARD.encode(&target.secret)),
            ],
            capabilities: [
                Feature::EnvelopeSender,
                Feature::ReplyTo,
                Feature::Headers,
                Feature::Attachments,
                Feature::InlineAttachments,
                Feature::Batch,
                Feature::MergeHeaders,
                Feature::InternationalRecipients,
                Feature::WithoutTo,
            ]
            .into_iter()
            .map(yes)
            .collect(),
            fault: self.0,
            broken: AtomicBool::new(false),
        }))
    }
}

struct Lark {
    target: SmtpTarget,
    secrets: [Secret; 3],
    capabilities: Capabilities,
    fault: Option<Fault>,
    broken: AtomicBool,
}

impl fmt::Debug for Lark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Lark");
        out.field("port", &self.target.port);
        if self.is(Fault::PrintsThePassword) {
            out.field("target", &self.target);
        }
        out.finish_non_exhaustive()
    }
}

/// How far the conversation has got.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Login,
    Mail,
    Recipient,
    Data,
    Content,
    End,
}

struct Reply {
    code: u16,
    text: String,
}

/// The result of one message.
#[derive(Default)]
struct Delivery {
    id: String,
    people: Vec<(AddressKey, Status, String)>,
    reply: String,
}

impl Lark {
    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn words(&self, text: &str) -> String {
        if self.is(Fault::QuotesTheServer) {
            return text.to_owned();
        }
        let redact = |text: String, secret: &Secret| secret.redact(&text);
        self.secrets.iter().fold(text.to_owned(), redact)
    }

    /// Classifies a broken conversation: nothing can have been delivered before the end of the
    /// content.
    fn lost(&self, stage: Stage, kind: SendErrorKind, words: &str) -> SendError {
        let maybe = match self.fault {
            Some(Fault::SaysNoOfALostReply) => false,
            Some(Fault::SaysMaybeOfAnyBreak) => stage >= Stage::Mail,
            Some(Fault::SaysMaybeInTheContent) => stage >= Stage::Content,
            _ => stage == Stage::End,
        };
        let accepted = if maybe { Accepted::Maybe } else { Accepted::No };
        SendError::new(kind, NAME, self.words(words)).with_accepted(accepted)
    }

    /// Classifies a negative reply.
    fn refused(&self, stage: Stage, reply: &Reply) -> SendError {
        let says = |code: &str| reply.text.starts_with(code);
        let transient = match self.fault {
            Some(Fault::TakesClosingForARefusal) if reply.code == 421 => false,
            Some(Fault::TakesForNowForForGood) => false,
            Some(Fault::TakesForGoodForForNow) => true,
            _ => reply.code < 500,
        };
        let kind = match reply.code {
            530 | 535 => SendErrorKind::Authentication,
            400..=499 if says("4.7.28") => SendErrorKind::RateLimited,
            400..=499 if !self.is(Fault::TakesForNowForForGood) => SendErrorKind::ServerError,
            400..=599 => SendErrorKind::Refused,
            _ => return self.lost(stage, SendErrorKind::InvalidResponse, &reply.text),
        };
        SendError::new(kind, NAME, self.words(&reply.text))
            .with_accepted(Accepted::No)
            .with_transient(transient)
            .with_esp_code(reply.code.to_string())
    }

    async fn in_time<T>(
        &self,
        stage: Stage,
        work: impl Future<Output = io::Result<T>>,
    ) -> Result<T, SendError> {
        match tokio::time::timeout(self.target.timeout, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                let kind = match error.kind() {
                    io::ErrorKind::InvalidData => SendErrorKind::InvalidResponse,
                    _ if stage == Stage::Login => SendErrorKind::Connect,
                    _ => SendErrorKind::Disconnected,
                };
                Err(self.lost(stage, kind, &error.to_string()))
            }
            Err(_) => Err(self.lost(stage, SendErrorKind::Timeout, "no reply in time")),
        }
    }

    async fn deliver(&self, mail: &Message) -> Result<Delivery, SendError> {
        if self.is(Fault::DiesOfAnError) && self.broken.load(Ordering::SeqCst) {
            return Err(self.lost(Stage::Login, SendErrorKind::Connect, "broken"));
        }
        let mut delivery = self.speak(mail).await;
        for _ in 0..2 {
            let Err(error) = &delivery else { break };
            let again = match self.fault {
                Some(Fault::RetriesALostReply) => error.accepted() == Accepted::Maybe,
                Some(Fault::RetriesWhatIsRefusedForNow) => error.is_transient(),
                _ => false,
            };
            if !again {
                break;
            }
            delivery = self.speak(mail).await;
        }
        self.broken.fetch_or(delivery.is_err(), Ordering::SeqCst);
        delivery
    }

    async fn speak(&self, mail: &Message) -> Result<Delivery, SendError> {
        let address = (&*self.target.host, self.target.port);
        let socket = self.in_time(Stage::Login, TcpStream::connect(address));
        let mut talk = Talk {
            lark: self,
            socket: BufReader::new(socket.await?),
        };
        talk.login().await?;
        let mime = mail.to_mime();
        let mut content = String::from_utf8_lossy(mime.bytes()).into_owned();
        if self.is(Fault::WritesABccHeader) {
            let hidden: Vec<_> = mail.bcc.items().iter().map(Address::to_ascii).collect();
            if !hidden.is_empty() {
                content = format!("Bcc: {}\r\n{content}", hidden.join(", "));
            }
        }
        let from = match self.is(Fault::IgnoresTheEnvelopeSender) {
            true => mail.from.value(),
            false => mail.envelope_sender.value().or(mail.from.value()),
        };
        let from = from.map(Address::ascii_email).unwrap_or_default();
        let utf8 = !content.is_ascii() || mail.recipients().any(|it| !it.ascii_email().is_ascii());
        let utf8 = if utf8 && !self.is(Fault::AsksForNoUtf8) {
            " BODY=8BITMIME SMTPUTF8"
        } else {
            ""
        };
        talk.must(Stage::Mail, &format!("MAIL FROM:<{from}>{utf8}"), 250)
            .await?;
        let mut delivery = Delivery {
            id: match self.is(Fault::TellsAnIdOfItsOwn) {
                true => "an ID of its own".to_owned(),
                false => mime.message_id().to_owned(),
            },
            ..Delivery::default()
        };
        let taken = talk.recipients(mail, &mut delivery).await?;
        if !taken && !self.is(Fault::SendsDataToNobody) {
            return Ok(delivery);
        }
        talk.must(Stage::Data, "DATA", 354).await?;
        talk.content(&content).await?;
        let reply = talk.reply(Stage::End).await?;
        match reply.code {
            250 => {}
            200..=399 if self.is(Fault::TakesAnyCodeForAYes) => {}
            _ => return Err(self.refused(Stage::End, &reply)),
        }
        delivery.reply = self.words(&reply.text);
        if self.is(Fault::TellsTheQueueIdAsTheMessages) {
            delivery.id = delivery.reply.clone();
        }
        let _ = talk.say(Stage::End, "QUIT").await;
        Ok(delivery)
    }
}

struct Talk<'l> {
    lark: &'l Lark,
    socket: BufReader<TcpStream>,
}

impl Talk<'_> {
    async fn say(&mut self, stage: Stage, line: &str) -> Result<(), SendError> {
        if self.lark.is(Fault::TracesTheConversation) {
            tracing::trace!(line, "saying");
        }
        let end = match self.lark.is(Fault::EndsLinesWithLf) {
            true => "\n",
            false => "\r\n",
        };
        let line = format!("{line}{end}");
        let write = self.socket.get_mut().write_all(line.as_bytes());
        self.lark.in_time(stage, write).await
    }

    async fn must(&mut self, stage: Stage, line: &str, code: u16) -> Result<(), SendError> {
        self.say(stage, line).await?;
        let reply = self.reply(stage).await?;
        match reply.code == code {
            true => Ok(()),
            false => Err(self.lark.refused(stage, &reply)),
        }
    }

    /// Reads a complete reply of one or several lines.
    async fn reply(&mut self, stage: Stage) -> Result<Reply, SendError> {
        let (lark, socket) = (self.lark, &mut self.socket);
        lark.in_time(stage, read(lark, socket)).await
    }

    async fn login(&mut self) -> Result<(), SendError> {
        let greeting = self.reply(Stage::Login).await?;
        if greeting.code != 220 {
            return Err(self.lark.refused(Stage::Login, &greeting));
        }
        self.must(Stage::Login, "EHLO lark.example.com", 250)
            .await?;
        if self.lark.is(Fault::DoesNotLogIn) {
            return Ok(());
        }
        let login = format!("AUTH PLAIN {}", self.lark.secrets[1].expose());
        self.must(Stage::Login, &login, 235).await
    }

    /// Sends the recipients. Returns whether any was accepted.
    async fn recipients(
        &mut self,
        mail: &Message,
        delivery: &mut Delivery,
    ) -> Result<bool, SendError> {
        let mut taken = false;
        let seen = mail.to.items().iter().chain(mail.cc.items());
        let seen = seen.cloned().collect::<Vec<_>>();
        let all: Vec<_> = match self.lark.fault {
            Some(Fault::ForgetsTheBcc) => seen,
            Some(Fault::SendsToTheFirstOnly) => mail.recipients().take(1).cloned().collect(),
            _ => mail.recipients().cloned().collect(),
        };
        for address in all {
            let line = format!("RCPT TO:<{}>", address.ascii_email());
            self.say(Stage::Recipient, &line).await?;
            let reply = self.reply(Stage::Recipient).await?;
            let status = match reply.code {
                250 | 251 => Status::Queued,
                421 => return Err(self.lark.refused(Stage::Recipient, &reply)),
                400..=599 => match self.lark.fault {
                    Some(Fault::IgnoresRefusals) => Status::Queued,
                    Some(Fault::GivesUpAtTheFirstRefusal) => {
                        return Err(self.lark.refused(Stage::Recipient, &reply));
                    }
                    Some(Fault::TellsAllRefusedAsRejected) => Status::Rejected,
                    _ if reply.text.starts_with("5.1.1") => Status::Invalid,
                    _ if reply.text.starts_with("5.7") => Status::Rejected,
                    _ => Status::Failed,
                },
                _ => return Err(self.lark.refused(Stage::Recipient, &reply)),
            };
            taken |= status == Status::Queued;
            let words = self.lark.words(&reply.text);
            delivery.people.push((address.key(), status, words));
        }
        Ok(taken)
    }

    async fn content(&mut self, content: &str) -> Result<(), SendError> {
        let mut wire = String::with_capacity(content.len());
        for line in content.split_inclusive("\r\n") {
            if line.starts_with('.') && !self.lark.is(Fault::StuffsNoDots) {
                wire.push('.');
            }
            wire.push_str(line);
        }
        if !wire.ends_with("\r\n") {
            wire.push_str("\r\n");
        }
        if !self.write_content(wire.as_bytes()).await? {
            let reply = self.reply(Stage::Content).await?;
            return Err(self.lark.refused(Stage::Content, &reply));
        }
        // From its first byte on, the server may have received the end.
        self.say(Stage::End, ".").await
    }

    /// Writes everything except the end, unless the server closes or replies before that. Returns
    /// whether it did neither.
    async fn write_content(&mut self, mut content: &[u8]) -> Result<bool, SendError> {
        let (mut hear, mut tell) = self.socket.get_mut().split();
        let write = async {
            loop {
                // While the server reads quickly, nothing else lets the runtime see it close.
                tokio::task::yield_now().await;
                let mut one = [0];
                tokio::select! {
                    biased;
                    heard = hear.peek(&mut one) => match heard? {
                        0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                        _ => return Ok(false),
                    },
                    () = std::future::ready(()), if content.is_empty() => return Ok(true),
                    written = tell.write(content) => content = &content[written?..],
                }
            }
        };
        self.lark.in_time(Stage::Content, write).await
    }
}

async fn read(lark: &Lark, socket: &mut BufReader<TcpStream>) -> io::Result<Reply> {
    let nonsense = || io::Error::new(io::ErrorKind::InvalidData, "that is no reply");
    let most = match lark.is(Fault::ReadsRepliesWithoutAnEnd) {
        true => usize::MAX,
        false => MAX_REPLY,
    };
    let mut first: Option<u16> = None;
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = Vec::new();
        let left = u64::try_from(most - length).unwrap_or(u64::MAX);
        (&mut *socket)
            .take(left)
            .read_until(b'\n', &mut line)
            .await?;
        length += line.len();
        if !line.ends_with(b"\n") {
            if length >= most || line.len() > 3 && !line[..3].iter().all(u8::is_ascii_digit) {
                return Err(nonsense());
            }
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches(['\r', '\n']);
        if lark.is(Fault::TakesAnyTextForAYes) && length > 0 && !line.starts_with(['4', '5']) {
            let code = line.get(..3).and_then(|code| code.parse().ok());
            if line.get(3..4) != Some("-") {
                let (code, text) = (code.unwrap_or(250), line.to_owned());
                return Ok(Reply { code, text });
            }
            continue;
        }
        if lark.is(Fault::PanicsOnAShortReply) {
            assert!(line.len() > 3, "a reply has a code and a text");
        }
        let code = line
            .get(..3)
            .filter(|code| code.bytes().all(|it| it.is_ascii_digit()));
        let code: u16 = code
            .and_then(|code| code.parse().ok())
            .ok_or_else(nonsense)?;
        let same = first.is_none_or(|first| first == code) || lark.is(Fault::TakesTheFirstLine);
        if !(200..600).contains(&code) || !same {
            return Err(nonsense());
        }
        let code = *first.get_or_insert(code);
        if text.is_empty() {
            text = line.get(4..).unwrap_or_default().to_owned();
        }
        match line.get(3..4) {
            Some("-") => {}
            Some(" ") | None => return Ok(Reply { code, text }),
            _ => return Err(nonsense()),
        }
    }
}

#[async_trait]
impl EmailBackend for Lark {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn send(&self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        let mut status = SendStatus::unknown(NAME, message.message());
        let (mut answered, mut worst) = (false, None::<SendError>);
        let copies: Vec<Message> = match self.is(Fault::SendsABatchAsOneMail) {
            true => {
                let mut one = message.message().clone();
                one.merge_data = Default::default();
                one.merge_headers = Default::default();
                vec![one]
            }
            false => message.copies().collect(),
        };
        for copy in copies {
            match self.deliver(&copy).await {
                Ok(delivery) => {
                    answered = true;
                    for (key, new, words) in delivery.people {
                        let before = status.by_key(&key).map(|it| it.status);
                        if before == Some(Status::Queued) {
                            continue;
                        }
                        let id = new.may_be_accepted().then(|| delivery.id.clone());
                        let detail = StatusDetail::new(None, words);
                        status.set(&key, new, id, Some(detail));
                    }
                    status.esp_responses.push(delivery.reply);
                }
                Err(error) => {
                    let failed = match error.accepted() {
                        Accepted::No => Status::Failed,
                        Accepted::Maybe if self.is(Fault::TellsLostMailsAsFailed) => Status::Failed,
                        Accepted::Maybe => Status::Unknown,
                    };
                    for to in copy.to.items() {
                        status.set(&to.key(), failed, None, None);
                    }
                    let no = |it: &SendError| it.accepted() == Accepted::No;
                    if worst.as_ref().is_none_or(no) {
                        worst = Some(error);
                    }
                }
            }
        }
        match worst {
            Some(error) if !answered || self.is(Fault::MakesAnErrorOfABatch) => Err(error),
            _ => Ok(status),
        }
    }
}
