//! The feature matrix in the README matches what the backends declare.
#![allow(clippy::unwrap_used, reason = "a failing test panics")]

use std::fmt::Write;

use anymail_core::{EmailBackend, Feature, SmtpBackend, SmtpConfig};
use anymail_postmark::{PostmarkBackend, PostmarkConfig};

const START: &str =
    "<!-- features: printed from Capabilities, checked by anymail-postmark/tests/readme.rs -->\n";
const END: &str = "<!-- /features -->";

fn matrix(backends: &[&dyn EmailBackend]) -> String {
    let mut out = "| feature |".to_owned();
    for backend in backends {
        write!(out, " {} |", backend.name()).unwrap();
    }
    out.push_str("\n| --- |");
    out.push_str(&" --- |".repeat(backends.len()));
    for &feature in Feature::ALL {
        write!(out, "\n| {feature} |").unwrap();
        for backend in backends {
            write!(out, " {} |", backend.capabilities().support(feature)).unwrap();
        }
    }
    out + "\n"
}

#[test]
fn the_feature_matrix_in_the_readme_matches_the_backends() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (_, rest) = readme.split_once(START).unwrap();
    let (written, _) = rest.split_once(END).unwrap();
    let postmark = PostmarkBackend::new(PostmarkConfig::new("token")).unwrap();
    let smtp = SmtpBackend::new(SmtpConfig::new("mail.example.com")).unwrap();
    let declared = matrix(&[&postmark, &smtp]);
    assert_eq!(written, declared, "put this between the marks:\n{declared}");
}
