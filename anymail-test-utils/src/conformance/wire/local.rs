//! [`LocalWire`]: no wire at all, for a backend that keeps or prints messages.

use super::super::harness::Mailbox;
use super::super::trial::{Stop, Verdict};
use super::super::understood::Understood;
use super::Wire;

/// Reads what the backend has taken.
pub(in super::super) struct LocalWire(pub(in super::super) Mailbox);

impl Wire for LocalWire {
    fn mails(&self) -> Verdict<Vec<Understood>> {
        (self.0)().map_err(|error| Stop::fail(format!("could not read the messages: {error}")))
    }
}
