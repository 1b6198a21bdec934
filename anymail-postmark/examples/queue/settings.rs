//! [`Settings`]: the environment variables.
//!
//! `broker.rs` defines the queues.

use std::env;
use std::str::FromStr;
use std::time::Duration;

use anymail_core::Secret;
use anymail_postmark::{PostmarkBackend, PostmarkConfig};

use super::Result;

/// The settings of all commands.
pub(crate) struct Settings {
    /// `AMQP_URL`; may contain a password. `amqp://127.0.0.1` by default. (`amqps` requires one of
    /// lapin's TLS features.)
    pub(crate) amqp_url: Secret,
    /// `MAIL_QUEUE`: the name of the work queue, and the prefix of the others. `mail` by default.
    pub(crate) queue: String,
    /// `MAIL_CALLS`: the maximum number of concurrent calls of a worker. 4 by default.
    pub(crate) calls: usize,
    /// `MAIL_WAITS`: how long a message that was certainly not accepted waits before each retry, in
    /// seconds; the last value applies to all further retries. `10,60,600,3600` by default.
    pub(crate) waits: Vec<Duration>,
    /// `MAIL_MAX_TRIES`: the number of attempts after which it is refused. 30 by default: about a
    /// day.
    pub(crate) max_tries: u32,
    /// `POSTMARK_SERVER_TOKEN`: required by `work` and `review`.
    token: Option<Secret>,
    /// `POSTMARK_API_URL`: the URL of a fake server.
    api_url: Option<String>,
}

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    /// The name of the first invalid variable. Values are not quoted.
    pub(crate) fn from_env() -> Result<Self> {
        let waits = match text("MAIL_WAITS") {
            Some(list) => list.split(',').map(seconds).collect(),
            None => Some([10, 60, 600, 3600].map(Duration::from_secs).to_vec()),
        };
        let settings = Self {
            amqp_url: text("AMQP_URL")
                .unwrap_or_else(|| "amqp://127.0.0.1".to_owned())
                .into(),
            queue: text("MAIL_QUEUE").unwrap_or_else(|| "mail".to_owned()),
            calls: number("MAIL_CALLS", 4)?,
            waits: waits.ok_or("MAIL_WAITS is no list of seconds above 0, such as 10,60")?,
            max_tries: number("MAIL_MAX_TRIES", 30)?,
            token: text("POSTMARK_SERVER_TOKEN").map(Secret::new),
            api_url: text("POSTMARK_API_URL"),
        };
        if !(1..=100).contains(&settings.calls) {
            return Err("MAIL_CALLS is not between 1 and 100".into());
        }
        if settings.queue.len() > 200 {
            return Err("MAIL_QUEUE is longer than 200 bytes".into());
        }
        Ok(settings)
    }

    /// Creates a backend.
    ///
    /// # Errors
    /// What is wrong with the token or the URL.
    pub(crate) fn postmark(&self) -> Result<PostmarkBackend> {
        let token = self
            .token
            .clone()
            .ok_or("POSTMARK_SERVER_TOKEN is not set")?;
        // The status and the events then contain the message's own ID, with which it can be looked
        // up at Postmark.
        let mut config = PostmarkConfig::new(token).generate_message_id(true);
        if let Some(url) = &self.api_url {
            config = config.api_url(url);
        }
        Ok(PostmarkBackend::new(config)?)
    }
}

/// The value of a variable that is not empty.
fn text(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn number<N: FromStr>(name: &str, default: N) -> Result<N> {
    let number = text(name).map_or(Ok(default), |value| value.trim().parse());
    number.map_err(|_| format!("{name} is not a number, or out of range").into())
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.trim().parse().ok()?;
    let wait = Duration::try_from_secs_f64(seconds).ok()?;
    // RabbitMQ counts in milliseconds; a year is enough for anybody.
    let limits = Duration::from_millis(1)..Duration::from_secs(86_400 * 365);
    limits.contains(&wait).then_some(wait)
}
