//! The pages that people see when they open an unsubscribe URL.
//!
//! `one_click.rs` decides which one is shown.

use std::fmt::Write as _;

use crate::message::AddressKey;

/// The content of a page, for apps that write their own
/// ([`OneClickUnsubscribe::pages`](crate::OneClickUnsubscribe::pages)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnsubscribePage<'a> {
    /// Asks whether to unsubscribe. The form must post to the page's own URL, with the field
    /// `List-Unsubscribe` set to `One-Click`.
    Confirm {
        /// The address to unsubscribe.
        address: &'a AddressKey,
        /// The scope to unsubscribe from; `None` for all messages.
        scope: Option<&'a str>,
    },
    /// The address is unsubscribed.
    Done {
        /// The unsubscribed address.
        address: &'a AddressKey,
        /// The scope; `None` for all messages.
        scope: Option<&'a str>,
    },
    /// The URL is forged or was modified.
    Invalid,
    /// The URL has expired.
    Expired,
    /// The store failed. A later attempt may succeed.
    Failed,
}

/// The pages of this crate, in English.
pub(super) fn plain(page: &UnsubscribePage<'_>) -> String {
    let (title, body) = match page {
        UnsubscribePage::Confirm { address, .. } => (
            "Unsubscribe",
            format!(
                "<p>Do you want to stop these messages to <b>{}</b>?</p>\
                 <form method=\"post\">\
                 <input type=\"hidden\" name=\"List-Unsubscribe\" value=\"One-Click\">\
                 <button>Unsubscribe</button></form>",
                escaped(address.as_str())
            ),
        ),
        UnsubscribePage::Done { address, .. } => (
            "Unsubscribed",
            format!(
                "<p><b>{}</b> is unsubscribed.</p>",
                escaped(address.as_str())
            ),
        ),
        UnsubscribePage::Invalid => (
            "Link not valid",
            "<p>This link is incomplete or was changed. Please use the link in the message.</p>"
                .to_owned(),
        ),
        UnsubscribePage::Expired => (
            "Link expired",
            "<p>This link is too old. Please use the link in a newer message.</p>".to_owned(),
        ),
        UnsubscribePage::Failed => (
            "Please try again",
            "<p>Something went wrong. Please try again in a few minutes.</p>".to_owned(),
        ),
    };
    format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title>\
         <style>body{{font:1.1em/1.5 sans-serif;max-width:32em;margin:4em auto;padding:0 1em}}\
         button{{font:inherit;padding:.5em 1em}}</style>\
         </head><body><h1>{title}</h1>{body}</body></html>"
    )
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '"' | '\'' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}
