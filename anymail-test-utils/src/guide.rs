//! Pages to read; no code.
//!
//! - [`testing_your_apps_mail`]: for who has an app that sends mail.
//! - [`writing_a_backend`]: for who has an ESP that anymail cannot reach yet.

pub mod writing_a_backend;

// Its code is compiled and run by anymail-postmark, which this crate does not know: it stands
// there beneath the README.
#[cfg_attr(not(doctest), doc = include_str!("../docs/testing_your_apps_mail.md"))]
pub mod testing_your_apps_mail {}
