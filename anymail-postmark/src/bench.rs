//! What the benches measure apart from the network. No part of the API: it may change at any
//! time.

use anymail_core::{PreparedMessage, SendError, SendStatus};

use bytes::Bytes;

use crate::PostmarkConfig;

/// The bodies of the calls that these messages make, one after another, each as the pieces that
/// are sent.
pub fn bodies<'a>(
    messages: &'a [PreparedMessage],
    config: &'a PostmarkConfig,
) -> impl Iterator<Item = serde_json::Result<impl Iterator<Item = Bytes>>> + use<'a> {
    crate::sending::bodies(messages, config)
}

/// What comes of messages when every call of theirs is answered by this text.
pub fn answered(
    messages: &[PreparedMessage],
    config: &PostmarkConfig,
    answer: &str,
) -> Vec<Result<SendStatus, SendError>> {
    crate::sending::answered(messages, config, answer)
}
