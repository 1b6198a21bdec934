//! A server on loopback that accepts every message immediately, in separate threads.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

/// Serves until the program ends. Returns the URL.
pub fn serve() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || connection(&stream));
        }
    });
    url
}

fn connection(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let is_batch = line.contains("/email/batch");
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
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let answer = answer(std::str::from_utf8(&body).unwrap(), is_batch);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        stream.write_all((head + &answer).as_bytes())?;
    }
}

/// One row for each `To` in the body, as Postmark writes it.
fn answer(body: &str, is_batch: bool) -> String {
    let mut rows = String::new();
    for (n, to) in body.split("\"To\":\"").skip(1).enumerate() {
        let to = to.split('"').next().unwrap();
        let comma = if n == 0 { "" } else { "," };
        write!(
            rows,
            r#"{comma}{{"To":"{to}","SubmittedAt":"2026-11-24T10:27:15.1234567Z","MessageID":"b7bc2f4a-e38e-4336-af7d-{n:012x}","ErrorCode":0,"Message":"OK"}}"#
        )
        .unwrap();
    }
    if is_batch { format!("[{rows}]") } else { rows }
}
