//! Parsing addresses.

use std::hint::black_box;

use anymail_core::Address;
use lettre::message::Mailbox;

use crate::measure::{Clock, Row, side_by_side};
use crate::scenarios::paths::ADDRESSES;

/// Both parsers accept all of them.
pub fn addresses() -> Row {
    let ours = || {
        for _ in 0..100 {
            for text in ADDRESSES {
                black_box(black_box(text).parse::<Address>().unwrap());
            }
        }
    };
    let peer = || {
        for _ in 0..100 {
            for text in ADDRESSES {
                black_box(black_box(text).parse::<Mailbox>().unwrap());
            }
        }
    };
    side_by_side(Clock::Processor, 200, ours, peer).speed(
        "address parsing over lettre's `Mailbox`: speed",
        Some(1.0),
        1.0,
    )
}
