//! [`FakePostmarkBuilder`]: what can be decided before a fake starts.

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
use crate::smtp_server::SmtpTls;

/// Sets up a [`FakePostmark`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until start() is called"]
pub struct FakePostmarkBuilder {
    address: SocketAddr,
    smtp: Option<SocketAddr>,
    smtp_tls: SmtpTls,
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
            smtp_tls: SmtpTls::None,
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
    /// The port on 127.0.0.1. A free one by default.
    pub fn port(mut self, port: u16) -> Self {
        self.address.set_port(port);
        self
    }

    /// Accepts this server token, beside those added before, and no longer `server-token`.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.tokens.push(Token(token.into()));
        self
    }

    /// Takes mail by SMTP, too, on this port of 127.0.0.1; 0 for a free one, which
    /// [`FakePostmark::smtp`] tells. By default there is no SMTP.
    ///
    /// [`FakePostmark`] says what is taken there, and how.
    pub fn smtp_port(mut self, port: u16) -> Self {
        self.smtp = Some((Ipv4Addr::LOCALHOST, port).into());
        self
    }

    /// How the SMTP server is protected. [`SmtpTls::None`] by default; all else needs the feature
    /// `smtp-tls`. Postmark offers STARTTLS, and takes logins without it as well.
    pub fn smtp_tls(mut self, tls: SmtpTls) -> Self {
        self.smtp_tls = tls;
        self
    }

    /// Adds an SMTP token: an access key, which is the user, and a secret key, which is the
    /// password. What comes with it goes to this stream.
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

    /// Lets only these senders send: domains, or whole addresses. By default all may.
    pub fn senders<S: Into<String>>(mut self, senders: impl IntoIterator<Item = S>) -> Self {
        self.settings.senders = Some(senders.into_iter().map(Into::into).collect());
        self
    }

    /// Whether the account still waits for approval: recipients must share the sender's
    /// domain. `false` by default.
    pub fn pending_approval(mut self, pending: bool) -> Self {
        self.settings.pending_approval = pending;
        self
    }

    /// Whether the account may use `email/bulk`. `true` by default.
    pub fn bulk_approved(mut self, approved: bool) -> Self {
        self.settings.bulk_approved = approved;
        self
    }

    /// Whether each message is delivered as soon as it is accepted, and webhooks told of it,
    /// as by [`FakePostmark::deliver`]. `false` by default: a test says when.
    pub fn deliver_at_once(mut self, deliver: bool) -> Self {
        self.settings.delivers_at_once = deliver;
        self
    }

    /// How long a minute of Postmark's retry rules for webhooks takes. A millisecond by
    /// default, so that the 51 minutes of tracking webhooks are over in a moment.
    pub fn webhook_minute(mut self, minute: Duration) -> Self {
        self.settings.webhook_minute = minute;
        self
    }

    /// How long an accepted message cannot be found by `messages/outbound`, as Postmark's index
    /// lags behind. No time by default.
    pub fn search_lag(mut self, lag: Duration) -> Self {
        self.settings.search_lag = lag;
        self
    }

    /// Tells `listener` of each message, when it has been accepted. It runs before the client
    /// has its answer. Mail by SMTP is answered with 250 even if it cannot be sent: that is
    /// told, too, and has a [`refusal`](SentMessage::refusal).
    ///
    /// If it panics, the message stays accepted, the client is told so, and an error is logged.
    pub fn on_message(mut self, listener: impl Fn(&SentMessage) + Send + Sync + 'static) -> Self {
        self.settings.listener = Some(Listener(Arc::new(listener)));
        self
    }

    /// Adds a message stream to the three that there are.
    pub fn stream(mut self, id: impl Into<String>, kind: StreamKind) -> Self {
        self.streams.push((id.into(), kind));
        self
    }

    /// Reads stored templates from a folder, in the layout of Postmark's command-line tool
    /// [postmark-cli](https://github.com/ActiveCampaign/postmark-cli): what
    /// `postmark templates pull` writes can be sent with here.
    ///
    /// ```text
    /// templates
    /// ├── _layouts
    /// │   └── plain
    /// │       ├── content.html     {{{ @content }}} stands where a template's HTML goes
    /// │       ├── content.txt
    /// │       └── meta.json        {"Name": "Plain", "Alias": "plain", "TemplateType": "Layout"}
    /// └── welcome
    ///     ├── content.html
    ///     ├── content.txt          one of the two contents is enough
    ///     └── meta.json            {"Name": "Welcome", "Alias": "welcome",
    ///                               "Subject": "Welcome, {{name}}", "TemplateType": "Standard",
    ///                               "LayoutTemplate": "plain"}
    /// ```
    ///
    /// Files are read again when they change, before the next call that needs templates: an app
    /// sends with what was saved last, and a template keeps its id. A template whose files are
    /// wrong cannot be sent with: the call is refused with 1101, and the words name the file and
    /// the place. [`FakePostmark::template_problems`] lists all such problems; a test asserts that
    /// there are none. Edits by the API hold until a file changes.
    ///
    /// How sure the facts are: the folders, the names of the files and the keys of `meta.json` are
    /// documented (the tool's wiki, "templates command", 2020). That folders at any depth count,
    /// that `TemplateType` decides and not `_layouts`, and that a content file may be missing,
    /// were read in the tool's code (2020). That the alias is the one in `meta.json`, not the
    /// folder's name, follows from both. The tool skips a folder without a `meta.json`; here its
    /// content files make that a problem, since it is most likely a mistake.
    pub fn templates(mut self, folder: impl Into<PathBuf>) -> Self {
        self.templates = Some(folder.into());
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// What the operating system says, with the port: [`io::ErrorKind::AddrInUse`] when one is
    /// taken; with the path when the folder of [`templates`](Self::templates) cannot be read. [`io::ErrorKind::Unsupported`] when [`smtp_tls`](Self::smtp_tls) is asked for
    /// without the feature `smtp-tls`.
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
        format!("cannot listen on port {port}: {error}"),
    )
}
