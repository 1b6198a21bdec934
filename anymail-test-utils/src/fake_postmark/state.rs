//! The state and the settings of a fake server.
//!
//! The modules of the endpoints change the state.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;
use time::macros::format_description;

use super::bounces::Bounce;
use super::bulk::BulkRequest;
use super::hooks::Webhook;
use super::message::SentMessage;
use super::server_settings::ServerSettings;
use super::streams::{Stream, Suppression};
use super::template_folder::TemplateFolder;
use super::templates::Template;
use super::webhooks::{Poster, WebhookReport};

/// The fake behind its HTTP server.
pub(super) struct Fake {
    pub(super) settings: Settings,
    pub(super) poster: Poster,
    /// The address of its SMTP server, if it has one.
    pub(super) smtp: OnceLock<SocketAddr>,
    state: Mutex<State>,
}

/// The settings of the builder.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) tokens: Vec<Token>,
    pub(super) smtp_tokens: Vec<SmtpToken>,
    /// Allowed domains or addresses in From; `None` allows all.
    pub(super) senders: Option<Vec<String>>,
    pub(super) pending_approval: bool,
    pub(super) bulk_approved: bool,
    /// Whether accepted messages are delivered automatically.
    pub(super) delivers_at_once: bool,
    /// How long a minute of the webhooks' retry schedule takes.
    pub(super) webhook_minute: Duration,
    /// How long the outbound search does not find a message.
    pub(super) search_lag: Duration,
    pub(super) listener: Option<Listener>,
}

/// The function that is called with each accepted message.
#[derive(Clone)]
pub(super) struct Listener(pub(super) Arc<dyn Fn(&SentMessage) + Send + Sync>);

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listener")
    }
}

/// A server token. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(pub(super) String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The credentials for one stream over SMTP.
#[derive(Debug, Clone)]
pub(super) struct SmtpToken {
    pub(super) stream: String,
    pub(super) access_key: Token,
    pub(super) secret_key: Token,
}

/// Everything that changes.
pub(super) struct State {
    pub(super) messages: Vec<Arc<SentMessage>>,
    /// Messages over SMTP that cannot be sent.
    pub(super) refused: Vec<Arc<SentMessage>>,
    /// All messages by ID, including refused ones.
    by_id: HashMap<String, Arc<SentMessage>>,
    /// All accepted messages by each value in their metadata.
    by_metadata: HashMap<String, Vec<Arc<SentMessage>>>,
    /// The number of messages that were accepted with the test token.
    pub(super) test_jobs: u64,
    /// The events of messages by message ID, as `MessageEvents` shows them.
    pub(super) events: HashMap<String, Vec<Value>>,
    pub(super) streams: Vec<Stream>,
    /// By stream and address in lower case.
    pub(super) suppressions: BTreeMap<(String, String), Suppression>,
    pub(super) templates: Vec<Template>,
    /// The folder from which templates are read, if there is one.
    pub(super) template_folder: Option<TemplateFolder>,
    pub(super) bulk: Vec<BulkRequest>,
    pub(super) bounces: Vec<Bounce>,
    pub(super) webhooks: Vec<Webhook>,
    pub(super) server: ServerSettings,
    /// The message IDs and recipients of opens.
    pub(super) opened: HashSet<(String, String)>,
    /// The message IDs, recipients and links of clicks.
    pub(super) clicked: HashSet<(String, String, String)>,
    /// The responses of webhooks to the last button on the mailbox page, by message ID.
    pub(super) reports: HashMap<String, Vec<WebhookReport>>,
    last_id: i64,
}

impl Fake {
    pub(super) fn new(settings: Settings) -> Self {
        let state = State {
            messages: Vec::new(),
            refused: Vec::new(),
            by_id: HashMap::new(),
            by_metadata: HashMap::new(),
            test_jobs: 0,
            events: HashMap::new(),
            streams: Stream::of_a_new_server(),
            suppressions: BTreeMap::new(),
            templates: Vec::new(),
            template_folder: None,
            bulk: Vec::new(),
            bounces: Vec::new(),
            webhooks: Vec::new(),
            server: ServerSettings::new(&settings.tokens),
            opened: HashSet::new(),
            clicked: HashSet::new(),
            reports: HashMap::new(),
            last_id: 1000,
        };
        Self {
            poster: Poster::new(settings.webhook_minute),
            settings,
            smtp: OnceLock::new(),
            state: Mutex::new(state),
        }
    }

    /// Locks the state. Never hold the lock during slow operations.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Keeps an accepted message.
    pub(super) fn keep(&mut self, message: Arc<SentMessage>) {
        self.by_id.insert(message.id.clone(), Arc::clone(&message));
        for value in message.metadata.values() {
            let same = self.by_metadata.entry(value.clone()).or_default();
            let is_new = |last: &Arc<SentMessage>| !Arc::ptr_eq(last, &message);
            if same.last().is_none_or(is_new) {
                same.push(Arc::clone(&message));
            }
        }
        self.messages.push(message);
    }

    /// Keeps a message over SMTP that is not sent.
    pub(super) fn keep_refused(&mut self, message: Arc<SentMessage>) {
        self.by_id.insert(message.id.clone(), Arc::clone(&message));
        self.refused.push(message);
    }

    pub(super) fn message(&self, id: &str) -> Option<&Arc<SentMessage>> {
        self.by_id.get(&id.to_ascii_lowercase())
    }

    /// Returns the messages with this value anywhere in their metadata, in order.
    pub(super) fn with_metadata(&self, value: &str) -> &[Arc<SentMessage>] {
        self.by_metadata.get(value).map_or(&[], Vec::as_slice)
    }

    /// Returns an ID that is unique on this server.
    pub(super) fn next_id(&mut self) -> i64 {
        self.last_id = self.last_id.saturating_add(1);
        self.last_id
    }

    pub(super) fn stream(&self, id: &str) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.id == id)
    }
}

/// The server's ID in all responses.
pub(super) const SERVER_ID: i64 = 1;

/// Returns the current time in Postmark's format: UTC with seven subsecond digits.
pub(super) fn now() -> String {
    let form =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:7]Z");
    // Formatting fails only for components that the time lacks, and it lacks none.
    OffsetDateTime::now_utc().format(form).unwrap_or_default()
}

/// Creates a message ID.
pub(super) fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
