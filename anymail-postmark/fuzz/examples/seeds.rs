//! Writes the payloads of the vectors, and the mails in them, into the corpus of each target.

use std::error::Error;
use std::fs;
use std::path::Path;

use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (file, target) in [("tracking.json", "tracking"), ("inbound.json", "inbound")] {
        let cases = fs::read(here.join("../tests/vectors").join(file))?;
        let cases: Vec<Value> = serde_json::from_slice(&cases)?;
        for (n, case) in cases.iter().enumerate() {
            let payload = &case["payload"];
            seed(here, target, n, payload.to_string().as_bytes())?;
            if let Some(mail) = payload["RawEmail"].as_str() {
                seed(here, "raw_mime", n, mail.as_bytes())?;
            }
        }
    }
    Ok(())
}

fn seed(here: &Path, target: &str, n: usize, bytes: &[u8]) -> std::io::Result<()> {
    let dir = here.join("corpus").join(target);
    fs::create_dir_all(&dir)?;
    fs::write(dir.join(format!("seed-{n}")), bytes)
}
