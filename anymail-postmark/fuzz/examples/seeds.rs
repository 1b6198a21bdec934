//! Writes the inputs of `tests/any_input.rs` into the corpus of each target: the payloads of the
//! vectors, the messages in them, and the inputs that earlier runs found.

use std::error::Error;
use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
    for target in ["tracking", "inbound"] {
        let cases = fs::read(tests.join("vectors").join(target).with_extension("json"))?;
        let cases: Vec<Value> = serde_json::from_slice(&cases)?;
        for (n, case) in cases.iter().enumerate() {
            let payload = &case["payload"];
            seed(
                target,
                &format!("vector-{n}"),
                payload.to_string().as_bytes(),
            )?;
            if let Some(mail) = payload["RawEmail"].as_str() {
                seed("raw_mime", &format!("vector-{n}"), mail.as_bytes())?;
            }
        }
    }
    for target in [
        "tracking",
        "inbound",
        "raw_mime",
        "addresses",
        "message_json",
        "answers",
        "smtp_replies",
        "unsubscribe_token",
        "suppression_file",
    ] {
        let path = tests.join("any_input").join(target);
        let lines = fs::read_to_string(path.with_extension("base64"))?;
        for (n, line) in lines.lines().enumerate() {
            seed(target, &format!("line-{n}"), &STANDARD.decode(line)?)?;
        }
    }
    Ok(())
}

fn seed(target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let dir = corpus.join(target);
    fs::create_dir_all(&dir)?;
    fs::write(dir.join(name), bytes)
}
