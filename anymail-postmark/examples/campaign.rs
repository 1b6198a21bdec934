//! A campaign of 10,000 messages, with a progress bar and a graceful Ctrl-C.
//!
//! ```sh
//! cargo run -p anymail-postmark --example campaign
//! ```
//!
//! It sends to a fake Postmark server in the same process with two problems: one recipient has
//! bounced before, and the response to one call is lost. Ctrl-C ends the stream of messages and
//! waits for calls in progress, so that no message is in doubt. Another Ctrl-C does not wait.
//! Either way, it reports which messages were sent, not sent, and possibly sent.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::pin::pin;
use std::time::Duration;

use anymail_core::{Accepted, Mailer, Message, SendError, SendStatus, Status};
use anymail_postmark::{PostmarkBackend, PostmarkConfig};
use anymail_test_utils::{FakePostmark, Fault, InactiveReason};
use futures_util::{Stream, StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::ctrl_c;

const TOTAL: usize = 10_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let postmark = FakePostmark::start()?;
    postmark.suppress("outbound", &address(17), InactiveReason::HardBounce);
    let lose_an_answer = |call, _: &_| (call == 7).then_some(Fault::AcceptThenReset);
    postmark.server().inject_rule(lose_an_answer);
    let config = PostmarkConfig::new("server-token").api_url(postmark.url());
    let mailer = Mailer::new(PostmarkBackend::new(config)?);

    let bar = ProgressBar::new(TOTAL as u64).with_style(ProgressStyle::with_template(
        "{elapsed_precise} {wide_bar} {pos}/{len} ({per_sec}, {eta} left)",
    )?);
    let once = async {
        let _ = ctrl_c().await;
        bar.println("Waiting for calls in progress; press Ctrl-C again to quit now.");
    };
    let twice = async {
        let _ = ctrl_c().await;
        let _ = ctrl_c().await;
    };
    let report = run(&mailer, pages(), TOTAL, once, twice, &bar).await;
    bar.finish();
    print!("{report}");
    println!("Postmark accepted {} messages.", postmark.accepted());
    Ok(())
}

/// The messages, as from a database: one page at a time, and never all at once.
fn pages() -> impl Stream<Item = Message> {
    const PAGE: usize = 500;
    stream::iter((0..TOTAL).step_by(PAGE))
        .then(|start| async move {
            tokio::time::sleep(Duration::from_millis(150)).await; // the query
            stream::iter((start..start + PAGE).filter_map(message))
        })
        .flatten()
}

fn address(n: usize) -> String {
    format!("customer{n}@example.com")
}

/// Reports an invalid address immediately; it counts as untried.
fn message(n: usize) -> Option<Message> {
    let message = Message::builder()
        .from("Anvil Shop <shop@example.com>")
        .to(address(n))
        .subject("The anvils of spring")
        .text_body(format!("Dear customer {n}, they are here."))
        .build();
    message
        .inspect_err(|error| eprintln!("customer {n}: {error}"))
        .ok()
}

/// Sends `messages`, of which there are `total`, to the end. After `stop`, waits only for those in
/// progress; after `leave`, waits for nothing.
pub(crate) async fn run(
    mailer: &Mailer,
    messages: impl Stream<Item = Message>,
    total: usize,
    stop: impl Future<Output = ()>,
    leave: impl Future<Output = ()>,
    bar: &ProgressBar,
) -> Report {
    let taken = Cell::new(0);
    let messages = messages
        .take_until(stop)
        .inspect(|_| taken.set(taken.get() + 1));
    let mut sent = pin!(mailer.send_stream(messages).take_until(leave));
    let mut report = Report::default();
    while let Some((place, result)) = sent.next().await {
        report.add(place, &result);
        bar.inc(1);
    }
    report.unanswered = taken.get() - report.answered();
    report.untried = total - taken.get();
    report
}

/// The result of a campaign. Each message counts once.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) sent: usize,
    /// Messages that the ESP has certainly not accepted, by index. They can be sent again once
    /// their problem is fixed.
    pub(crate) refused: Vec<(usize, String)>,
    /// Messages that it may have accepted. Sending them again may send them twice.
    pub(crate) in_doubt: Vec<(usize, String)>,
    /// Messages whose results were not waited for. It may have accepted these, too.
    pub(crate) unanswered: usize,
    /// Messages that were never sent.
    pub(crate) untried: usize,
}

impl Report {
    fn add(&mut self, place: usize, result: &Result<SendStatus, SendError>) {
        match result {
            Ok(status) if status.recipients().any(|r| r.status == Status::Unknown) => {
                self.in_doubt.push((place, "a response was lost".into()));
            }
            Ok(_) => self.sent += 1,
            Err(error) => match error.accepted() {
                Accepted::No => self.refused.push((place, error.to_string())),
                Accepted::Maybe => self.in_doubt.push((place, error.to_string())),
            },
        }
    }

    fn answered(&self) -> usize {
        self.sent + self.refused.len() + self.in_doubt.len()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "sent          {}", self.sent)?;
        writeln!(f, "not sent      {}", self.refused.len() + self.untried)?;
        writeln!(f, "   untried    {}", self.untried)?;
        write_places(f, "refused", &self.refused)?;
        let in_doubt = self.in_doubt.len() + self.unanswered;
        writeln!(f, "possibly sent {in_doubt}")?;
        writeln!(f, "   unanswered {}", self.unanswered)?;
        write_places(f, "in doubt", &self.in_doubt)
    }
}

/// Writes their number, and the first ones.
fn write_places(f: &mut fmt::Formatter<'_>, what: &str, places: &[(usize, String)]) -> fmt::Result {
    writeln!(f, "   {what:<10} {}", places.len())?;
    for (place, why) in places.iter().take(3) {
        writeln!(f, "      no. {place}: {why}")?;
    }
    Ok(())
}
