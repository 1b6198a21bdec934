//! A campaign of 10,000 mails, with a progress bar and a good answer to Ctrl-C.
//!
//! ```sh
//! cargo run -p anymail-postmark --example campaign
//! ```
//!
//! It sends to a fake Postmark in the same process, which makes two kinds of trouble: one
//! recipient has bounced before, and one call's answer is lost. Ctrl-C ends the stream of
//! messages; what is under way is waited for, so that nobody is left in doubt. Ctrl-C again
//! does not wait. Either way it says what was sent, what was not, and what may have been.

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
        bar.println("Waiting for what is under way; Ctrl-C again leaves it.");
    };
    let twice = async {
        let _ = ctrl_c().await;
        let _ = ctrl_c().await;
    };
    let report = run(&mailer, pages(), TOTAL, once, twice, &bar).await;
    bar.finish();
    print!("{report}");
    println!("Postmark has accepted {}.", postmark.accepted());
    Ok(())
}

/// The messages as they come out of a database: a page at a time, never all at once.
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

/// Who cannot be written to is told at once, and stays among the untried.
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

/// Sends `messages`, `total` in all, until they end; or until `stop`, and then waits for those
/// that are under way; or until `leave`, and then waits for nothing.
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

/// What came of a campaign. Each message is in one of these.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) sent: usize,
    /// Those that the ESP surely does not have, by their place: they can be sent again once what
    /// is wrong with them is mended.
    pub(crate) refused: Vec<(usize, String)>,
    /// Those that it may have: to send them again may send them twice.
    pub(crate) in_doubt: Vec<(usize, String)>,
    /// Those whose answers nobody has waited for. It may have them, too.
    pub(crate) unanswered: usize,
    /// Those whose turn never came.
    pub(crate) untried: usize,
}

impl Report {
    fn add(&mut self, place: usize, result: &Result<SendStatus, SendError>) {
        match result {
            Ok(status) if status.recipients().any(|r| r.status == Status::Unknown) => {
                self.in_doubt.push((place, "not every answer came".into()));
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
        writeln!(f, "perhaps sent  {in_doubt}")?;
        writeln!(f, "   unanswered {}", self.unanswered)?;
        write_places(f, "in doubt", &self.in_doubt)
    }
}

/// How many they are, and the first of them.
fn write_places(f: &mut fmt::Formatter<'_>, what: &str, places: &[(usize, String)]) -> fmt::Result {
    writeln!(f, "   {what:<10} {}", places.len())?;
    for (place, why) in places.iter().take(3) {
        writeln!(f, "      no. {place}: {why}")?;
    }
    Ok(())
}
