//! [`FakePostmarkBuilder`]: what can be decided before a fake starts.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;

use super::message::SentMessage;
use super::state::{Fake, Listener, Settings, Token};
use super::streams::{Stream, StreamKind};
use super::{FakePostmark, api, page};
use crate::server::LoopbackServer;

/// Sets up a [`FakePostmark`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until start() is called"]
pub struct FakePostmarkBuilder {
    address: SocketAddr,
    tokens: Vec<Token>,
    streams: Vec<(String, StreamKind)>,
    settings: Settings,
}

impl Default for FakePostmarkBuilder {
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            tokens: Vec::new(),
            streams: Vec::new(),
            settings: Settings {
                tokens: vec![Token("server-token".to_owned())],
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
    /// has its answer.
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

    /// Starts it.
    ///
    /// # Errors
    /// What the operating system says: [`io::ErrorKind::AddrInUse`] when the port is taken.
    pub async fn start(self) -> io::Result<FakePostmark> {
        let mut settings = self.settings;
        if !self.tokens.is_empty() {
            settings.tokens = self.tokens;
        }
        let fake = Arc::new(Fake::new(settings));
        for (id, kind) in self.streams {
            let stream = Stream::new(&id, &id, kind);
            fake.state().streams.push(stream);
        }
        let answering = Arc::clone(&fake);
        let handler = move |request: &Request<Bytes>| {
            page::answer(&answering, request).unwrap_or_else(|| api::answer(&answering, request))
        };
        let server = LoopbackServer::start_on(self.address, handler)?;
        Ok(FakePostmark { server, fake })
    }
}
