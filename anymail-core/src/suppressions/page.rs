//! The pages that a person sees who opens an unsubscribe URL.
//!
//! When which is shown is decided in `one_click.rs`.

use std::fmt::Write as _;

use crate::message::AddressKey;

/// What a page has to say, for apps that write their own
/// ([`OneClickUnsubscribe::pages`](crate::OneClickUnsubscribe::pages)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnsubscribePage<'a> {
    /// Asks whether to unsubscribe. Its form must post to the page's own URL, with the field
    /// `List-Unsubscribe` of the value `One-Click`.
    Confirm {
        /// Who would be unsubscribed.
        address: &'a AddressKey,
        /// From what; `None` is all mail.
        scope: Option<&'a str>,
    },
    /// The address is unsubscribed.
    Done {
        /// Who was unsubscribed.
        address: &'a AddressKey,
        /// From what; `None` is all mail.
        scope: Option<&'a str>,
    },
    /// The URL was not made here, or was changed.
    Invalid,
    /// The URL is too old.
    Expired,
    /// The store failed; trying again later may work.
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
                // Writing to a string does not fail.
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}
