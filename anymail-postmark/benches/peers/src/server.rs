//! The servers that messages are sent to.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anymail_test_utils::FakePostmark;
use memchr::memmem;

static CALLS: AtomicU64 = AtomicU64::new(0);
static MESSAGES: AtomicU64 = AtomicU64::new(0);

/// The servers. All are on loopback, each in a separate process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Responds immediately, so that the clients are measured.
    Near,
    /// Responds after 20 ms, like a server that is far away; Postmark takes longer.
    Far,
    /// The fake Postmark, which checks every message.
    Fake,
}

const FAR: Duration = Duration::from_millis(20);

impl Kind {
    const ALL: [(&'static str, Self); 3] = [
        ("near", Self::Near),
        ("far", Self::Far),
        ("fake", Self::Fake),
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Near => f.write_str(" over loopback"),
            Self::Far => write!(f, ", each response after {FAR:?}"),
            Self::Fake => f.write_str(" to the fake Postmark"),
        }
    }
}

/// Serves until the process ends, and prints the address.
pub fn serve(kind: &str) -> io::Result<()> {
    match Kind::ALL.iter().find(|(name, _)| *name == kind) {
        Some((_, Kind::Near)) => answer_all(Duration::ZERO),
        Some((_, Kind::Far)) => answer_all(FAR),
        Some((_, Kind::Fake)) => fake(),
        None => Err(io::Error::other("no such server")),
    }
}

fn fake() -> io::Result<()> {
    let fake = FakePostmark::start()?;
    fake.server().set_recording(false);
    println!("{}", fake.url());
    loop {
        thread::park();
    }
}

/// Accepts everything, and responds as Postmark does.
fn answer_all(wait: Duration) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("http://{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        thread::spawn(move || connection(&stream, wait));
    }
    Ok(())
}

fn connection(mut stream: &TcpStream, wait: Duration) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 16, stream);
    let (mut line, mut body, mut answer) = (String::new(), Vec::new(), Vec::new());
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let is_batch = line.contains("/email/batch");
        let is_question = line.starts_with("GET");
        let mut length = 0;
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line)?;
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap();
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        answer.clear();
        if is_question {
            write!(answer, "{}", CALLS.load(Ordering::Relaxed))?;
        } else {
            CALLS.fetch_add(1, Ordering::Relaxed);
            write_answer(&mut answer, &body, is_batch);
            if !wait.is_zero() {
                thread::sleep(wait);
            }
        }
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n\
             Content-Length: {}\r\n\r\n",
            answer.len()
        );
        answer.splice(0..0, head.into_bytes());
        stream.write_all(&answer)?;
    }
}

/// One row for each `To` in the body.
fn write_answer(answer: &mut Vec<u8>, body: &[u8], is_batch: bool) {
    const TO: &[u8] = b"\"To\":\"";
    let mut before: &[u8] = if is_batch { b"[" } else { b"" };
    for at in memmem::find_iter(body, TO) {
        let to = &body[at + TO.len()..];
        let to = &to[..memchr::memchr(b'"', to).unwrap()];
        let id = MESSAGES.fetch_add(1, Ordering::Relaxed);
        answer.extend_from_slice(before);
        write!(
            answer,
            r#"{{"ErrorCode":0,"Message":"OK","MessageID":"b7bc2f4a-e38e-4336-af7d-{id:012x}","SubmittedAt":"2026-11-24T10:27:15.1234567Z","To":""#
        )
        .unwrap();
        answer.extend_from_slice(to);
        answer.extend_from_slice(b"\"}");
        before = b",";
    }
    if is_batch {
        answer.push(b']');
    }
}

/// The server's process. Dropping this value kills it.
pub struct Server {
    child: Child,
    pub url: String,
    pub kind: Kind,
}

impl Server {
    pub fn start(kind: Kind) -> io::Result<Self> {
        let figures = std::env::current_exe()?.with_file_name("figures");
        let name = Kind::ALL.iter().find(|(_, it)| *it == kind);
        let mut child = Command::new(figures)
            .arg("serve")
            .args(name.map(|(name, _)| name))
            .stdout(Stdio::piped())
            .spawn()?;
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url)?;
        Ok(Self {
            child,
            url: url.trim().to_owned(),
            kind,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
