//! Handles `AUTH`: the exchange of each mechanism, and who may log in (RFC 4954).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::builder::SmtpMechanism;
use super::fault::SmtpStage;
use super::judge::SmtpRule;
use super::reply::SmtpReply;
use super::session::Session;
use super::wire::Outcome;

/// Why the client sent no credentials.
enum Failed {
    /// The client cancelled with `*`.
    Cancelled,
    /// The data is not valid Base64, or does not follow the mechanism.
    Malformed,
}

type Credentials = Result<(String, String), Failed>;

impl Session {
    pub(super) async fn auth(&mut self, rest: &str) -> Outcome {
        if let Some(refusal) = self.auth_refusal() {
            return self.send(refusal);
        }
        let (name, initial) = match rest.split_once(' ') {
            Some((name, initial)) => (name, Some(initial.to_owned())),
            None => (rest, None),
        };
        let named = |mechanism: &&SmtpMechanism| name.eq_ignore_ascii_case(mechanism.name());
        let Some(mechanism) = self.shared.settings.mechanisms.iter().find(named).copied() else {
            self.violation(SmtpRule::Auth, "a mechanism that was not offered");
            return self.send(self.reply(504, "5.5.4", "Unrecognized authentication type"));
        };
        if let Some(action) = self.fault(SmtpStage::Auth, "")
            && !action.leaves_reply()
        {
            return self.act(action).await;
        }
        let credentials = match mechanism {
            SmtpMechanism::Plain => self.plain(initial).await?,
            SmtpMechanism::Login => self.login(initial).await?,
            SmtpMechanism::XOAuth2 => self.xoauth2(initial).await?,
        };
        let verdict = credentials.map(|(user, password)| {
            let reply = self.verdict(&user, &password);
            (user, reply)
        });
        let refused = matches!(&verdict, Ok((_, reply)) if !reply.is_positive());
        if refused && mechanism == SmtpMechanism::XOAuth2 {
            // The client answers the challenge, which contains the reason, with an empty line.
            let reason = BASE64_STANDARD.encode(r#"{"status":"401","schemes":"bearer"}"#);
            self.challenge(&reason).await?;
        }
        self.step(SmtpStage::Credentials, "", |session: &mut Self| {
            session.logged_in(verdict)
        })
        .await
    }

    /// The reply to well-formed credentials.
    fn verdict(&self, user: &str, password: &str) -> SmtpReply {
        let settings = &self.shared.settings;
        let ruled = settings
            .login_rule
            .as_ref()
            .and_then(|rule| rule(user, password));
        let known = |known: &(String, String)| known.0 == user && known.1 == password;
        ruled.unwrap_or_else(|| match settings.users.iter().any(known) {
            true => self.reply(235, "2.7.0", "Authentication successful"),
            false => self.reply(535, "5.7.8", "Authentication credentials invalid"),
        })
    }

    fn auth_refusal(&self) -> Option<SmtpReply> {
        if self.hello.is_none() {
            self.violation(SmtpRule::Order, "AUTH before EHLO");
            return Some(self.reply(503, "5.5.1", "Send EHLO first"));
        }
        if self.transaction.is_open() || self.user.is_some() {
            self.violation(SmtpRule::Auth, "AUTH twice, or within a transaction");
            return Some(self.reply(503, "5.5.1", "Not now"));
        }
        if !self.offers_auth() {
            self.violation(SmtpRule::ExtensionNotOffered, "AUTH");
            let refusal = match self.shared.settings.has_logins() {
                false => self.reply(502, "5.5.1", "AUTH is not available"),
                true => self.reply(538, "5.7.11", "Encryption required for authentication"),
            };
            return Some(refusal);
        }
        None
    }

    fn logged_in(&mut self, verdict: Result<(String, SmtpReply), Failed>) -> SmtpReply {
        match verdict {
            Err(Failed::Cancelled) => self.reply(501, "5.7.0", "Authentication cancelled"),
            Err(Failed::Malformed) => {
                self.violation(SmtpRule::Syntax, "credentials that cannot be read");
                self.reply(501, "5.5.2", "Cannot decode credentials")
            }
            Ok((user, reply)) => {
                if reply.is_positive() {
                    self.user = Some(user);
                    self.shared.count(|counts| counts.logins += 1);
                }
                reply
            }
        }
    }

    async fn plain(&mut self, initial: Option<String>) -> Outcome<Credentials> {
        let answer = match initial {
            Some(initial) => initial,
            None => self.challenge("").await?,
        };
        Ok(decode(&answer).and_then(|text| {
            let mut parts = text.split('\0');
            match (parts.next(), parts.next(), parts.next(), parts.next()) {
                (Some(_), Some(user), Some(password), None) => {
                    Ok((user.to_owned(), password.to_owned()))
                }
                _ => Err(Failed::Malformed),
            }
        }))
    }

    async fn login(&mut self, initial: Option<String>) -> Outcome<Credentials> {
        let user = match initial {
            Some(initial) => initial,
            None => self.challenge("VXNlcm5hbWU6").await?, // "Username:"
        };
        let user = match decode(&user) {
            Ok(user) => user,
            Err(failed) => return Ok(Err(failed)),
        };
        let password = self.challenge("UGFzc3dvcmQ6").await?; // "Password:"
        Ok(decode(&password).map(|password| (user, password)))
    }

    async fn xoauth2(&mut self, initial: Option<String>) -> Outcome<Credentials> {
        let answer = match initial {
            Some(initial) => initial,
            None => self.challenge("").await?,
        };
        Ok(decode(&answer).and_then(|text| {
            let text = text.strip_suffix("\u{1}\u{1}").ok_or(Failed::Malformed)?;
            let (user, token) = text.split_once('\u{1}').ok_or(Failed::Malformed)?;
            let user = user.strip_prefix("user=").ok_or(Failed::Malformed)?;
            let token = token
                .strip_prefix("auth=Bearer ")
                .ok_or(Failed::Malformed)?;
            Ok((user.to_owned(), token.to_owned()))
        }))
    }

    /// Sends a challenge and reads the client's response.
    async fn challenge(&mut self, text: &str) -> Outcome<String> {
        self.send(SmtpReply::new(334, text))?;
        let line = self.next_line().await?;
        self.judge_line(&line);
        Ok(String::from_utf8_lossy(&line.bytes).into_owned())
    }
}

fn decode(answer: &str) -> Result<String, Failed> {
    match answer {
        "*" => Err(Failed::Cancelled),
        "=" => Ok(String::new()), // an empty initial response
        answer => {
            let bytes = BASE64_STANDARD
                .decode(answer)
                .map_err(|_| Failed::Malformed)?;
            String::from_utf8(bytes).map_err(|_| Failed::Malformed)
        }
    }
}
