//! Sending over SMTP, to Postfix's `smtp-sink` in a separate process.

use std::error::Error;
use std::hint::black_box;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anymail_core::{Mailer, Message, SmtpBackend, SmtpConfig, SmtpTls};
use futures_util::{StreamExt, stream};
use lettre::transport::smtp::PoolConfig;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use tokio::runtime::Runtime;

use crate::measure::{Clock, Row, side_by_side};
use crate::scenarios;

const MANY: usize = 10_000;
/// How many messages the peer sends: it waits 40 ms for each.
const FEW: usize = 1_000;
/// The maximum number of connections for both.
const CONNECTIONS: usize = 8;

/// A server that accepts everything and keeps nothing.
pub struct Sink {
    process: Child,
    port: u16,
    pipelining: bool,
}

impl Sink {
    /// Returns `None` if Postfix is not installed.
    pub fn start(pipelining: bool) -> Result<Option<Self>, Box<dyn Error>> {
        let places = ["/usr/sbin/smtp-sink", "/usr/bin/smtp-sink"];
        let Some(program) = places.into_iter().find(|place| Path::new(place).exists()) else {
            return Ok(None);
        };
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = free.local_addr()?.port();
        drop(free);
        let mut sink = Command::new(program);
        if !pipelining {
            sink.arg("-p");
        }
        // smtp-sink requires this if root starts it.
        if rustix::process::geteuid().is_root() {
            sink.args(["-u", "nobody"]);
        }
        let address = format!("127.0.0.1:{port}");
        let sink = sink.args([&*address, "1000"]);
        let process = sink.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let sink = Self {
            process,
            port,
            pipelining,
        };
        for _ in 0..250 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(Some(sink));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err("smtp-sink did not start to listen".into())
    }

    pub fn mailer(&self) -> Mailer {
        let config = SmtpConfig::new("127.0.0.1")
            .port(self.port)
            .tls(SmtpTls::None);
        let config = config.max_connections(CONNECTIONS);
        let backend = SmtpBackend::new(config).unwrap();
        Mailer::builder(backend).concurrency(CONNECTIONS).build()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn many(runtime: &Runtime, sink: &Sink) -> Row {
    let messages: Vec<Message> = (0..MANY).map(scenarios::small).collect();
    let mailer = sink.mailer();
    let ours = || {
        let results = runtime.block_on(mailer.send_all(&messages));
        assert!(results.iter().all(Result::is_ok));
    };
    let mails: Vec<lettre::Message> = (0..FEW).map(mail).collect();
    let pool = PoolConfig::new().max_size(CONNECTIONS as u32);
    // It must be created and dropped inside a runtime.
    let _context = runtime.enter();
    let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
        .port(sink.port)
        .pool_config(pool)
        .build();
    let lettre = || {
        runtime.block_on(async {
            let sends = stream::iter(&mails).map(|mail| transport.send(mail.clone()));
            let mut sent = sends.buffer_unordered(CONNECTIONS);
            while let Some(result) = sent.next().await {
                black_box(result.unwrap());
            }
        });
    };
    let (how, at_least) = match sink.pipelining {
        true => ("with pipelining", 1.5),
        false => ("without pipelining", 1.0),
    };
    side_by_side(Clock::Wall, 11, ours, lettre).speed(
        format!(
            "10,000 small messages over SMTP to smtp-sink {how}, over lettre's pooled async transport: \
             throughput"
        ),
        Some(at_least),
        (MANY / FEW) as f64,
    )
}

fn mail(n: usize) -> lettre::Message {
    lettre::Message::builder()
        .from("Anvil Shop <shop@example.com>".parse().unwrap())
        .to(scenarios::recipient(n).parse().unwrap())
        .subject("Your receipt")
        .header(lettre::message::header::ContentType::TEXT_PLAIN)
        .body("Thank you for the anvil. It is on its way.\n".to_owned())
        .unwrap()
}
