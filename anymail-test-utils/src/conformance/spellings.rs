//! Unusual spellings of a signature and of header names.
//!
//! `signatures.rs` makes the assertions.

use std::io;

use bytes::Bytes;
use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::LoopbackServer;

/// Changes a signature that is already wrong, so that no spelling can make it right.
pub(super) fn spellings(wrong: &str) -> Vec<Vec<u8>> {
    let text = |text: String| text.into_bytes();
    let without_the_last: String = wrong
        .chars()
        .take(wrong.chars().count().saturating_sub(1))
        .collect();
    let list = |separator: &str| text(vec![wrong; 4_000].join(separator));
    vec![
        text(without_the_last),
        text(format!("{wrong}0")),
        text(format!("0x{wrong}")),
        text(wrong.to_uppercase()),
        text(wrong.to_lowercase()),
        text(wrong.replace('+', "-").replace('/', "_")),
        text(wrong.replace('=', "")),
        text(format!("{wrong}====")),
        text(format!("{wrong},{wrong}")),
        text(format!("\"{wrong}\"")),
        text(wrong.replace(|_| true, "%41")),
        text("ü".repeat(40)),
        text("🕊".repeat(16)),
        text("=".repeat(64)),
        text(",".repeat(50_000)),
        text("v1,".repeat(20_000)),
        text("t=1,".repeat(20_000)),
        text("f".repeat(100_001)),
        list(" "),
        list(","),
        vec![b'a', 0, b'b'],
        [wrong.as_bytes(), b"\0"].concat(),
        vec![0xff; 64],
        vec![0xc3, 0x28, 0x80],
        b"\t".to_vec(),
        b"{}[]\"'\\".to_vec(),
    ]
}

/// Returns what a server reads from a request with these spellings of header names.
pub(super) async fn over_the_wire(
    request: &Request<Bytes>,
    case: fn(&str) -> String,
) -> io::Result<Request<Bytes>> {
    let server = LoopbackServer::start(|_| Response::new(Bytes::new()))?;
    let target = request.uri().path_and_query();
    let target = target.map_or("/", |target| target.as_str());
    let mut wire = format!("POST {target} HTTP/1.1\r\n").into_bytes();
    let length = request.body().len().to_string();
    let mut headers = request.headers().clone();
    for (name, value) in [
        ("host", "localhost"),
        ("connection", "close"),
        ("content-length", &length),
    ] {
        headers.insert(name, value.parse().map_err(io::Error::other)?);
    }
    for (name, value) in &headers {
        wire.extend(
            [
                case(name.as_str()).as_bytes(),
                b": ",
                value.as_bytes(),
                b"\r\n",
            ]
            .concat(),
        );
    }
    wire.extend(b"\r\n");
    wire.extend(request.body());
    let mut stream = TcpStream::connect(server.address()).await?;
    stream.write_all(&wire).await?;
    stream.read_to_end(&mut Vec::new()).await?;
    server
        .requests()
        .pop()
        .ok_or_else(|| io::Error::other("no request arrived"))
}
