//! [`FakePostmarkBuilder`]: the configuration of a fake.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;

use super::message::SentMessage;
use super::state::{Fake, Listener, Settings, SmtpToken, Token};
use super::streams::{Stream, StreamKind};
use super::template_folder::TemplateFolder;
use super::{FakePostmark, api, page, smtp};
use crate::server::LoopbackServer;
use crate::smtp_server::LoopbackTls;

/// Configures and starts a [`FakePostmark`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until start() is called"]
pub struct FakePostmarkBuilder {
    address: SocketAddr,
    smtp: Option<SocketAddr>,
    smtp_tls: LoopbackTls,
    tokens: Vec<Token>,
    streams: Vec<(String, StreamKind)>,
    templates: Option<PathBuf>,
    settings: Settings,
}

impl Default for FakePostmarkBuilder {
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            smtp: None,
            smtp_tls: LoopbackTls::None,
            tokens: Vec::new(),
            streams: Vec::new(),
            templates: None,
            settings: Settings {
                tokens: vec![Token("server-token".to_owned())],
                smtp_tokens: Vec::new(),
                senders: None,
                pending_approval: false,
                bulk_approved: true,
                delivers_at_once: false,
                webhook_minute: Duration::from_millis(1),
                search_lag: Duration::ZERO,
                listener: None,
            },
        }
    }
}

impl FakePostmarkBuilder {
    /// Sets the port on 127.0.0.1. By default, the operating system chooses a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.address.set_port(port);
        self
    }

    /// Adds a server token to accept. The default token `server-token` is then no longer accepted.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.tokens.push(Token(token.into()));
        self
    }

    /// Accepts messages over SMTP, too, on this port of 127.0.0.1. By default, SMTP is off.
    ///
    /// With port 0, the operating system chooses a free port; [`FakePostmark::smtp`] returns it.
    /// [`FakePostmark`] documents how messages over SMTP are handled.
    pub fn smtp_port(mut self, port: u16) -> Self {
        self.smtp = Some((Ipv4Addr::LOCALHOST, port).into());
        self
    }

    /// Sets the TLS mode of the SMTP server. The default is [`LoopbackTls::None`]; all other modes need the
    /// feature `smtp-tls`. Postmark offers STARTTLS and accepts logins without it.
    pub fn smtp_tls(mut self, tls: LoopbackTls) -> Self {
        self.smtp_tls = tls;
        self
    }

    /// Adds an SMTP token: the access key is the user name and the secret key is the password.
    /// Messages sent with it belong to this stream.
    pub fn smtp_token(
        mut self,
        stream: impl Into<String>,
        access_key: impl Into<String>,
        secret_key: impl Into<String>,
    ) -> Self {
        self.settings.smtp_tokens.push(SmtpToken {
            stream: stream.into(),
            access_key: Token(access_key.into()),
            secret_key: Token(secret_key.into()),
        });
        self
    }

    /// Allows only these senders, which are domains or complete addresses. By default, every sender is
    /// allowed.
    pub fn senders<S: Into<String>>(mut self, senders: impl IntoIterator<Item = S>) -> Self {
        self.settings.senders = Some(senders.into_iter().map(Into::into).collect());
        self
    }

    /// Sets whether the account is pending approval, which limits recipients to the sender's domain. The
    /// default is `false`.
    pub fn pending_approval(mut self, pending: bool) -> Self {
        self.settings.pending_approval = pending;
        self
    }

    /// Sets whether the account may use `email/bulk`. The default is `true`.
    pub fn bulk_approved(mut self, approved: bool) -> Self {
        self.settings.bulk_approved = approved;
        self
    }

    /// Sets whether each message is marked as delivered, and webhooks are notified, as soon as it is
    /// accepted. The default is `false`: the test calls [`FakePostmark::deliver`].
    pub fn deliver_at_once(mut self, deliver: bool) -> Self {
        self.settings.delivers_at_once = deliver;
        self
    }

    /// Sets how long a minute of Postmark's retry schedule for webhooks takes. The default is a
    /// millisecond, so that the 51 minutes of tracking webhooks pass quickly.
    pub fn webhook_minute(mut self, minute: Duration) -> Self {
        self.settings.webhook_minute = minute;
        self
    }

    /// Sets how long `messages/outbound` does not find an accepted message, because Postmark's search
    /// index lags behind. The default is zero.
    pub fn search_lag(mut self, lag: Duration) -> Self {
        self.settings.search_lag = lag;
        self
    }

    /// Calls `listener` with each accepted message, before the client gets the response.
    ///
    /// A message over SMTP gets the reply 250 even if it cannot be sent. The listener is called with that
    /// message, too, and its [`refusal`](SentMessage::refusal) is set.
    ///
    /// If the listener panics, the message stays accepted, the client gets the normal response, and an
    /// error is logged.
    pub fn on_message(mut self, listener: impl Fn(&SentMessage) + Send + Sync + 'static) -> Self {
        self.settings.listener = Some(Listener(Arc::new(listener)));
        self
    }

    /// Adds a message stream to the three default ones.
    pub fn stream(mut self, id: impl Into<String>, kind: StreamKind) -> Self {
        self.streams.push((id.into(), kind));
        self
    }

    /// Reads stored templates from a folder, in the layout of Postmark's command-line tool
    /// [postmark-cli](https://github.com/ActiveCampaign/postmark-cli). Templates that
    /// `postmark templates pull` wrote can be used as they are.
    ///
    /// ```text
    /// templates
    /// ├── _layouts
    /// │   └── plain
    /// │       ├── content.html     {{{ @content }}} is replaced by a template's HTML
    /// │       ├── content.txt
    /// │       └── meta.json        {"Name": "Plain", "Alias": "plain", "TemplateType": "Layout"}
    /// └── welcome
    ///     ├── content.html
    ///     ├── content.txt          one of the two content files is enough
    ///     └── meta.json            {"Name": "Welcome", "Alias": "welcome",
    ///                               "Subject": "Welcome, {{name}}", "TemplateType": "Standard",
    ///                               "LayoutTemplate": "plain"}
    /// ```
    ///
    /// Files that have changed are read again before the next call that needs templates, so the app
    /// always sends the latest saved version. A template keeps its ID. If the files of a template are
    /// invalid, sending it is refused with 1101, and the error message names the file and the position.
    /// [`FakePostmark::template_problems`] lists all such problems; a test can assert that there are
    /// none. Edits through the API are kept until a file changes.
    ///
    /// Sources: the folders, the filenames and the keys of `meta.json` are documented (the tool's wiki,
    /// "templates command", 2020). Three facts come from the tool's code (2020): folders at any depth
    /// count, `TemplateType` rather than `_layouts` marks a layout, and a content file may be missing.
    /// It follows from both that the alias is the one in `meta.json`, not the folder's name. The tool
    /// skips a folder without a `meta.json`; here, such a folder with content files is reported as a
    /// problem, because it is most likely a mistake.
    pub fn templates(mut self, folder: impl Into<PathBuf>) -> Self {
        self.templates = Some(folder.into());
        self
    }

    /// Starts the fake.
    ///
    /// # Errors
    /// Returns the operating system's error with the port or the path:
    /// - [`io::ErrorKind::AddrInUse`] if a port is in use;
    /// - the error of reading the folder of [`templates`](Self::templates).
    ///
    /// Returns [`io::ErrorKind::Unsupported`] if [`smtp_tls`](Self::smtp_tls) is set without the feature
    /// `smtp-tls`.
    pub fn start(self) -> io::Result<FakePostmark> {
        let mut settings = self.settings;
        if !self.tokens.is_empty() {
            settings.tokens = self.tokens;
        }
        let fake = Arc::new(Fake::new(settings));
        for (id, kind) in self.streams {
            let stream = Stream::new(&id, &id, kind);
            fake.state().streams.push(stream);
        }
        if let Some(folder) = self.templates {
            fake.state().template_folder = Some(TemplateFolder::open(folder)?);
            fake.read_templates();
        }
        let answering = Arc::clone(&fake);
        let handler = move |request: &Request<Bytes>| {
            page::answer(&answering, request).unwrap_or_else(|| api::answer(&answering, request))
        };
        let server = LoopbackServer::start_on(self.address, handler)
            .map_err(|error| cannot_listen(self.address, error))?;
        let smtp = match self.smtp {
            None => None,
            Some(address) => {
                let smtp = smtp::start(&fake, address, self.smtp_tls)
                    .map_err(|error| cannot_listen(address, error))?;
                let _ = fake.smtp.set(smtp.address());
                Some(smtp)
            }
        };
        Ok(FakePostmark { server, smtp, fake })
    }
}

fn cannot_listen(address: SocketAddr, error: io::Error) -> io::Error {
    let port = address.port();
    io::Error::new(
        error.kind(),
        format!("could not listen on port {port}: {error}"),
    )
}
