//! Handles `EHLO`, `HELO` and `STARTTLS`.

use super::builder::{LoopbackTls, SmtpExtension};
use super::command;
use super::fault::SmtpStage;
use super::judge::SmtpRule;
use super::reply::SmtpReply;
use super::session::Session;
use super::transaction::Transaction;
use super::wire::Outcome;

impl Session {
    /// The command that executes `EHLO` or `HELO`.
    pub(super) fn hello(
        &mut self,
        verb: &str,
        name: &str,
    ) -> impl FnOnce(&mut Self) -> SmtpReply + use<> {
        let (extended, name) = (verb == "EHLO", name.to_owned());
        move |session| {
            if !command::is_host(&name) {
                let detail = "EHLO with a name that is neither a domain nor an address literal";
                session.violation(SmtpRule::Syntax, detail);
                if name.is_empty() {
                    return session.reply(501, "5.5.4", "Syntax: EHLO hostname");
                }
            }
            session.transaction = Transaction::default();
            session.hello = Some((name, extended));
            let mut lines = vec![session.shared.settings.hostname.clone()];
            if extended {
                lines.extend(session.offered());
            }
            SmtpReply::new(250, lines.join("\n"))
        }
    }

    fn offered(&self) -> Vec<String> {
        let settings = &self.shared.settings;
        let mut lines = Vec::new();
        for &extension in SmtpExtension::ALL {
            if settings.offers(extension) {
                lines.push(match extension {
                    SmtpExtension::Pipelining => "PIPELINING".to_owned(),
                    SmtpExtension::Size => format!("SIZE {}", settings.size_limit),
                    SmtpExtension::EightBitMime => "8BITMIME".to_owned(),
                    SmtpExtension::SmtpUtf8 => "SMTPUTF8".to_owned(),
                    SmtpExtension::Dsn => "DSN".to_owned(),
                    SmtpExtension::EnhancedStatusCodes => "ENHANCEDSTATUSCODES".to_owned(),
                    SmtpExtension::Chunking => "CHUNKING".to_owned(),
                });
            }
        }
        if self.offers_starttls() {
            lines.push("STARTTLS".to_owned());
        }
        if self.offers_auth() {
            let names: Vec<_> = settings.mechanisms.iter().map(|m| m.name()).collect();
            lines.push(format!("AUTH {}", names.join(" ")));
        }
        lines
    }

    fn offers_starttls(&self) -> bool {
        self.shared.settings.tls == LoopbackTls::StartTls && !self.tls
    }

    pub(super) fn offers_auth(&self) -> bool {
        let settings = &self.shared.settings;
        let safe = self.tls || settings.auth_in_clear || settings.tls == LoopbackTls::None;
        settings.has_logins() && safe && self.user.is_none()
    }

    pub(super) async fn start_tls(&mut self, rest: &str) -> Outcome {
        self.no_argument("STARTTLS", rest);
        if self.hello.is_none() {
            self.violation(SmtpRule::Order, "STARTTLS before EHLO");
            return self.send(self.reply(503, "5.5.1", "Send EHLO first"));
        }
        if !self.offers_starttls() {
            self.violation(SmtpRule::ExtensionNotOffered, "STARTTLS");
            return self.send(self.reply(502, "5.5.1", "STARTTLS is not available"));
        }
        // Discards everything that arrived in clear text after STARTTLS, because an attacker may
        // have injected it (RFC 3207, section 5).
        self.wire.input.clear();
        let mut ready = false;
        self.step(SmtpStage::StartTls, "", |session: &mut Self| {
            ready = true;
            session.reply(220, "2.0.0", "Ready to start TLS")
        })
        .await?;
        if !ready {
            return Ok(());
        }
        self.handshake().await?;
        self.hello = None;
        self.user = None;
        self.transaction = Transaction::default();
        Ok(())
    }
}
