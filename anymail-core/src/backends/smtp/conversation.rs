//! Sends one message over one connection: MAIL, RCPT, DATA, the content, and the replies.
//!
//! `reply.rs` interprets replies; `backend.rs` decides what happens to the message.

use std::time::Duration;

use tokio::time::timeout;

use super::content::Content;
use super::reply::{self, Broken, Meaning, Reply, Stage};
use super::session::{Session, ask};
use super::wire::Interrupted;
use crate::sending::SendError;

/// How many commands are sent before their replies are read: few enough that the buffers of both
/// sides do not fill up while both write (RFC 2920, 3.1).
const GROUP: usize = 100;

/// A connection that does not reply to RSET promptly is not worth keeping.
const RESET_LIMIT: Duration = Duration::from_secs(5);

/// A message and its envelope, in the form that this connection supports.
#[derive(Debug)]
pub(super) struct Mail<'a> {
    /// The sender's path.
    pub(super) sender: &'a str,
    /// The parameters after it: empty, or a space and parameters.
    pub(super) parameters: &'a str,
    /// The recipients' paths.
    pub(super) recipients: &'a [&'a str],
    pub(super) content: &'a [u8],
}

/// The result of a message on one connection.
#[derive(Debug)]
pub(super) struct Turn {
    /// The replies to the recipients, in order. Complete unless the conversation failed.
    pub(super) recipients: Vec<Reply>,
    pub(super) ended: Ended,
    /// Whether another message can be sent over the connection.
    pub(super) keep: bool,
}

#[derive(Debug)]
pub(super) enum Ended {
    /// The server accepted the message for the recipients that it accepted.
    Taken(Reply),
    /// The server accepted no recipient, and the content was not sent.
    NobodyTaken,
    Failed(SendError),
    /// The connection was closed before the server replied to anything about this message.
    Unanswered(SendError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Mail,
    Recipient(usize),
    Data,
}

impl Command {
    fn stage(self) -> Stage {
        match self {
            Self::Mail => Stage::Mail,
            Self::Recipient(_) => Stage::Recipient,
            Self::Data => Stage::Data,
        }
    }
}

/// Sends a message. The session must be new, or the last result must have said to keep it.
pub(super) async fn send(session: &mut Session, mail: &Mail<'_>, server: &str) -> Turn {
    session.used += 1;
    let mut talk = Talk {
        session,
        mail,
        server,
        answers: Answers::default(),
    };
    let (ended, keep) = match talk.envelope().await {
        Ok(()) => talk.content().await,
        Err(stop) => stop,
    };
    let clean = matches!(ended, Ended::Taken(_));
    let keep = keep && (clean || talk.reset().await);
    Turn {
        recipients: talk.answers.recipients,
        ended,
        keep,
    }
}

/// Why the conversation cannot continue, and whether the connection can be reused.
type Stop = (Ended, bool);

struct Talk<'a> {
    session: &'a mut Session,
    mail: &'a Mail<'a>,
    server: &'a str,
    answers: Answers,
}

/// What the server has replied so far.
#[derive(Default)]
struct Answers {
    any: bool,
    recipients: Vec<Reply>,
    taken: usize,
    /// A refusal of the whole message.
    refusal: Option<SendError>,
    /// A refusal in reply to a recipient. It counts if no recipient was accepted.
    barred: Option<SendError>,
}

impl Talk<'_> {
    /// Sends everything from MAIL to DATA, and reads the replies.
    ///
    /// DATA could be pipelined with the recipients (RFC 2920, 3.1), but is sent only after a
    /// recipient was accepted, so that a server that accepts none never gets the content.
    async fn envelope(&mut self) -> Result<(), Stop> {
        let recipients = (0..self.mail.recipients.len()).map(Command::Recipient);
        let commands: Vec<_> = std::iter::once(Command::Mail).chain(recipients).collect();
        let most = match self.session.offers.pipelining {
            true => GROUP,
            false => 1,
        };
        for group in commands.chunks(most) {
            self.say(group).await?;
            if let Some(error) = self.answers.refusal.take() {
                return Err((Ended::Failed(error), true));
            }
        }
        if self.answers.taken == 0 {
            let barred = self.answers.barred.take();
            return Err((barred.map_or(Ended::NobodyTaken, Ended::Failed), true));
        }
        self.say(&[Command::Data]).await
    }

    /// Sends commands, and reads the replies to them.
    async fn say(&mut self, group: &[Command]) -> Result<(), Stop> {
        let lines: String = group.iter().map(|command| self.line(*command)).collect();
        if let Err(why) = self.session.wire.write(lines.as_bytes()).await {
            let stage = group.first().map_or(Stage::Mail, |command| command.stage());
            return Err(self.broken(stage, &why));
        }
        for command in group {
            self.hear(*command).await?;
        }
        Ok(())
    }

    fn line(&self, command: Command) -> String {
        match command {
            Command::Mail => {
                format!("MAIL FROM:{}{}\r\n", self.mail.sender, self.mail.parameters)
            }
            Command::Recipient(at) => {
                let path = self.mail.recipients.get(at).copied().unwrap_or_default();
                format!("RCPT TO:{path}\r\n")
            }
            Command::Data => "DATA\r\n".to_owned(),
        }
    }

    /// Reads the reply to a command.
    async fn hear(&mut self, command: Command) -> Result<(), Stop> {
        let stage = command.stage();
        let answer = match self.session.wire.reply().await {
            Ok(answer) => answer,
            Err(why) => return Err(self.broken(stage, &why)),
        };
        let answers = &mut self.answers;
        let meaning = reply::meaning(stage, &answer);
        let error = || reply::refused(stage, &answer, self.server);
        if answer.code == 421 {
            // The server is closing the connection and will not reply again.
            return Err(match (answers.any, answers.refusal.take()) {
                (false, _) => (Ended::Unanswered(error()), false),
                (true, None) => (Ended::Failed(error()), false),
                (true, Some(refusal)) => (Ended::Failed(refusal), false),
            });
        }
        answers.any = true;
        if answers.refusal.is_some() {
            // These commands were sent together; the first refusal explains the others.
            return Ok(());
        }
        match (command, meaning) {
            // Commands and replies are out of step, so a reply about one recipient may have been
            // about another.
            (_, Meaning::Nonsense | Meaning::Continue) => {
                answers.recipients.clear();
                return Err((Ended::Failed(error()), false));
            }
            (Command::Mail | Command::Data, Meaning::Yes) => {}
            (Command::Mail, _) => answers.refusal = Some(error()),
            (Command::Data, _) => return Err((Ended::Failed(error()), true)),
            (_, Meaning::Yes) => answers.taken += 1,
            (_, Meaning::No(..)) => {
                answers.barred.get_or_insert_with(error);
            }
            (_, Meaning::NotFor(_) | Meaning::TooMany) => {}
        }
        if matches!(command, Command::Recipient(_)) {
            answers.recipients.push(answer);
        }
        Ok(())
    }

    /// Sends the content and its end marker, and reads the reply.
    async fn content(&mut self) -> Stop {
        let encrypted = self.session.wire.is_encrypted();
        let mut content = Content::new(self.mail.content, encrypted);
        while let Some((piece, marker)) = content.next() {
            let mut written = 0;
            let sent = self.session.wire.write_content(piece, &mut written).await;
            // From the marker's first byte on, the server may have seen the end.
            let ended = marker.is_some_and(|marker| written > marker);
            let stage = if ended { Stage::End } else { Stage::Content };
            match sent {
                Ok(()) => {}
                Err(Interrupted::Spoken) if ended => {}
                Err(Interrupted::Spoken) => {
                    let error = match self.session.wire.reply().await {
                        Ok(answer) => reply::refused(stage, &answer, self.server),
                        Err(why) => reply::broken(stage, &why, self.server),
                    };
                    return (Ended::Failed(error), false);
                }
                Err(Interrupted::Broken(why)) => return self.broken(stage, &why),
            }
        }
        let answer = match self.session.wire.reply().await {
            Ok(answer) => answer,
            Err(why) => return self.broken(Stage::End, &why),
        };
        match reply::meaning(Stage::End, &answer) {
            Meaning::Yes => (Ended::Taken(answer), true),
            meaning => {
                let closing = answer.code == 421 || meaning == Meaning::Nonsense;
                let error = reply::refused(Stage::End, &answer, self.server);
                (Ended::Failed(error), !closing)
            }
        }
    }

    fn broken(&mut self, stage: Stage, why: &Broken) -> Stop {
        // A server that refuses a message and then disconnects, or stops replying, has refused it.
        if let Some(refusal) = self.answers.refusal.take() {
            return (Ended::Failed(refusal), false);
        }
        let error = reply::broken(stage, why, self.server);
        let ended = match why {
            Broken::Closed(_) if !self.answers.any => Ended::Unanswered(error),
            _ => Ended::Failed(error),
        };
        (ended, false)
    }

    /// Makes the server discard the message.
    async fn reset(&mut self) -> bool {
        let reset = ask(&mut self.session.wire, "RSET", Stage::Mail, self.server);
        let answer = timeout(RESET_LIMIT, reset).await;
        let in_step = !self.session.wire.has_unread();
        in_step && matches!(answer, Ok(Ok(answer)) if answer.code == 250)
    }
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
