//! Compares two programs, and prints the results as rows of a table.

use std::error::Error;
use std::fmt;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Two programs, measured in turn.
pub struct Pair {
    /// The medians of one round.
    pub ours: Duration,
    pub peer: Duration,
    /// Ours divided by the peer's, for each round, sorted.
    ratios: Vec<f64>,
}

/// Runs both alternately, each of them first in every other round, so that other load on the machine
/// affects both equally.
pub fn side_by_side(
    clock: Clock,
    rounds: usize,
    mut ours: impl FnMut(),
    mut peer: impl FnMut(),
) -> Pair {
    ours();
    peer();
    let mut times = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let pair = if round % 2 == 0 {
            let ours = clock.time(&mut ours);
            (ours, clock.time(&mut peer))
        } else {
            let peer = clock.time(&mut peer);
            (clock.time(&mut ours), peer)
        };
        times.push(pair);
    }
    let mut ratios: Vec<_> = times
        .iter()
        .map(|(ours, peer)| ours.as_secs_f64() / peer.as_secs_f64())
        .collect();
    ratios.sort_by(f64::total_cmp);
    let median = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    Pair {
        ours: median(times.iter().map(|it| it.0).collect()),
        peer: median(times.iter().map(|it| it.1).collect()),
        ratios,
    }
}

/// The clock.
#[derive(Clone, Copy)]
pub enum Clock {
    /// The CPU time of this thread, which excludes everything else on the machine.
    Processor,
    /// The time that passes for a user.
    Wall,
}

impl Clock {
    fn time(self, run: &mut impl FnMut()) -> Duration {
        let start = Instant::now();
        let start_processor = processor();
        run();
        match self {
            Self::Processor => processor() - start_processor,
            Self::Wall => start.elapsed(),
        }
    }
}

fn processor() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

impl Pair {
    fn quantile(&self, part: f64) -> f64 {
        self.ratios[((self.ratios.len() - 1) as f64 * part).round() as usize]
    }

    /// Our time divided by the peer's. Less is better.
    pub fn time(&self, what: impl Into<String>, at_most: Option<f64>) -> Row {
        Row {
            what: what.into(),
            asked: at_most.map(Asked::AtMost),
            got: self.quantile(0.5),
            range: Some((self.quantile(0.25), self.quantile(0.75))),
            note: self.to_string(),
        }
    }

    /// The peer's time divided by ours, if the peer does only 1/`scale` of our work. More is better.
    pub fn speed(&self, what: impl Into<String>, at_least: Option<f64>, scale: f64) -> Row {
        let speed = |ratio: f64| scale / ratio;
        Row {
            what: what.into(),
            asked: at_least.map(Asked::AtLeast),
            got: speed(self.quantile(0.5)),
            range: Some((speed(self.quantile(0.75)), speed(self.quantile(0.25)))),
            note: self.to_string(),
        }
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2?} vs. {:.2?}", self.ours, self.peer)
    }
}

#[derive(Clone, Copy)]
pub enum Asked {
    AtMost(f64),
    AtLeast(f64),
    Exactly(f64),
}

/// One row of the table.
pub struct Row {
    pub what: String,
    /// `None` if there is no target, because the row only helps to interpret others.
    pub asked: Option<Asked>,
    pub got: f64,
    /// The middle half of the rounds.
    pub range: Option<(f64, f64)>,
    pub note: String,
}

impl Row {
    fn verdict(&self) -> &'static str {
        let met = match self.asked {
            None => return "",
            Some(Asked::AtMost(limit)) => self.got <= limit,
            Some(Asked::AtLeast(limit)) => self.got >= limit,
            Some(Asked::Exactly(value)) => self.got == value,
        };
        if met { "met" } else { "**missed**" }
    }
}

pub const HEAD: &str = "| measurement | target | result | | middle half of the rounds | ours vs. the other |\n\
                        | --- | --- | --- | --- | --- | --- |";

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = match self.asked {
            None => String::new(),
            Some(Asked::AtMost(limit)) => format!("at most {limit}"),
            Some(Asked::AtLeast(limit)) => format!("at least {limit}"),
            Some(Asked::Exactly(value)) => format!("{value}"),
        };
        let got = match self.asked {
            Some(Asked::Exactly(_)) => format!("{}", self.got),
            _ => format!("{:.2}", self.got),
        };
        let range = match self.range {
            Some((low, high)) => format!("{low:.2} to {high:.2}"),
            None => String::new(),
        };
        write!(
            f,
            "| {} | {asked} | {got} | {} | {range} | {} |",
            self.what,
            self.verdict(),
            self.note
        )
    }
}

/// Runs the program `heap` of this package.
pub fn heap(what: &str) -> Result<Row, Box<dyn Error>> {
    let program = std::env::current_exe()?.with_file_name("heap");
    let output = Command::new(program).arg(what).output()?;
    let text = String::from_utf8(output.stdout)?;
    let (measured, by) = text
        .trim()
        .split_once(' ')
        .ok_or("the program heap failed")?;
    let (measured, by): (f64, f64) = (measured.parse()?, by.parse()?);
    let (what, limit) = match what {
        "attachment" => (
            "sending it: peak heap over the attachment's size, without the message itself",
            Some(0.1),
        ),
        "smtp" => (
            "a 10 MiB attachment over SMTP: peak heap over its size, without the message itself",
            Some(1.45),
        ),
        "suppressions" => ("memory for each suppressed address, in bytes", None),
        _ => (
            "stream of 1,000,000 small messages: peak heap over that of 10,000",
            Some(1.2),
        ),
    };
    let mib = |bytes: f64| bytes / f64::from(1 << 20);
    Ok(Row {
        what: what.to_owned(),
        asked: limit.map(Asked::AtMost),
        got: measured / by,
        range: None,
        note: format!("{:.2} MiB vs. {:.2} MiB", mib(measured), mib(by)),
    })
}
