//! Parses messages with Python's `email`, in one process for all messages.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::seen::Seen;

pub(crate) struct Python {
    process: Child,
    mails: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Python {
    /// Returns `None`, and prints the reason, if there is no `python3`.
    pub(crate) fn start() -> Option<Self> {
        let started = Command::new("python3")
            .args(["-c", include_str!("reader.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut process = match started {
            Ok(process) => process,
            Err(error) => {
                println!("skipped: Python's email as a reader: python3 does not run: {error}");
                return None;
            }
        };
        Some(Self {
            mails: process.stdin.take().unwrap(),
            answers: BufReader::new(process.stdout.take().unwrap()),
            process,
        })
    }

    pub(crate) fn read(&mut self, mail: &[u8]) -> Seen {
        writeln!(self.mails, "{}", mail.len()).unwrap();
        self.mails.write_all(mail).unwrap();
        self.mails.flush().unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
