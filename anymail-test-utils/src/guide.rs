//! Guides. These modules contain documentation only.
//!
//! - [`testing_your_apps_mail`] is for developers of apps that send mail.
//! - [`writing_a_backend`] is for developers who add an ESP that anymail does not support yet.

pub mod writing_a_backend;

// The doc tests of anymail-postmark compile and run this page's code, because this crate must not
// depend on anymail-postmark.
#[cfg_attr(not(doctest), doc = include_str!("../docs/testing_your_apps_mail.md"))]
pub mod testing_your_apps_mail {}
