//! Functions that the benches measure without the network. Not part of the public API: they may
//! change at any time.

use anymail_core::{PreparedMessage, SendError, SendStatus};

use bytes::Bytes;

use crate::PostmarkConfig;

/// Returns the bodies of the calls for these messages, in order, each as the pieces that are sent.
pub fn bodies<'a>(
    messages: &'a [PreparedMessage],
    config: &'a PostmarkConfig,
) -> impl Iterator<Item = serde_json::Result<impl Iterator<Item = Bytes>>> + use<'a> {
    crate::sending::bodies(messages, config)
}

/// Returns the results of messages if every call gets this response.
pub fn answered(
    messages: &[PreparedMessage],
    config: &PostmarkConfig,
    answer: &str,
) -> Vec<Result<SendStatus, SendError>> {
    crate::sending::answered(messages, config, answer)
}
