//! How a [`SendError`] prints: one line by `Display`, all of it by `Debug`, and no secret in either.

use std::fmt;

use super::{Accepted, SendError, SendErrorKind};
use crate::message::write_list;

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use SendErrorKind as K;
        let inner = &self.0;
        let esp = &inner.esp;
        match inner.kind {
            K::InvalidMessage => {
                f.write_str("invalid message: ")?;
                write_list(f, &inner.faults)?;
                if !inner.unsupported.is_empty() {
                    f.write_str("; ")?;
                    write_list(f, &inner.unsupported)?;
                }
                return Ok(());
            }
            K::UnsupportedFeature => return write_list(f, &inner.unsupported),
            K::Cancelled => f.write_str("a pre-send hook cancelled the message")?,
            K::Hook => f.write_str("a pre-send hook failed and nothing was sent")?,
            K::Configuration => write!(f, "{esp} is not configured correctly")?,
            K::RecipientsRefused if inner.without_a_call => {
                write!(f, "all recipients were withheld, so {esp} was not called")?;
            }
            K::RecipientsRefused => write!(f, "{esp} refused every recipient")?,
            K::Authentication => write!(f, "{esp} authentication failed")?,
            K::RateLimited => write!(f, "rate limited by {esp}")?,
            K::Refused => write!(f, "{esp} refused the message")?,
            K::ServerError => write!(f, "{esp} server error")?,
            K::InvalidResponse => write!(f, "unexpected response from {esp}")?,
            K::Connect => write!(f, "could not connect to {esp}")?,
            K::Timeout => write!(f, "timed out waiting for {esp}")?,
            K::Disconnected => write!(f, "lost the connection to {esp} before it responded")?,
        }
        if let Some(server) = &inner.server {
            write!(f, " at {server}")?;
        }
        match (&inner.esp_code, inner.http_status) {
            (Some(code), Some(status)) => write!(f, " (code {code}, HTTP {status})")?,
            (Some(code), None) => write!(f, " (code {code})")?,
            (None, Some(status)) => write!(f, " (HTTP {status})")?,
            (None, None) => {}
        }
        if !inner.message.is_empty() {
            write!(f, ": {}", inner.message)?;
        }
        if inner.accepted == Accepted::Maybe {
            f.write_str("; the message may have been accepted")?;
        }
        if inner.tries > 1 {
            write!(f, "; tried {} times", inner.tries)?;
        }
        if let Some(wait) = inner.retry_after.filter(|wait| !wait.is_zero()) {
            write!(f, "; retry after {} s", wait.as_secs_f64().ceil())?;
        }
        for other in &inner.member_errors {
            write!(f, "; {other}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        f.debug_struct("SendError")
            .field("kind", &inner.kind)
            .field("esp", &inner.esp)
            .field("message", &inner.message)
            .field("server", &inner.server)
            .field("http_status", &inner.http_status)
            .field("esp_code", &inner.esp_code)
            .field("accepted", &inner.accepted)
            .field("transient", &inner.transient)
            .field("retry_after", &inner.retry_after)
            .field("tries", &inner.tries)
            .field("faults", &inner.faults)
            .field("unsupported", &inner.unsupported)
            .field("status", &inner.status)
            .field("member_errors", &inner.member_errors)
            .field("source", &inner.source)
            .finish()
    }
}
