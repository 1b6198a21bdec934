//! [`PreparedMessage::copies`]: the separate messages of a batch, one for each recipient.
//!
//! For backends that accept one message at a time. `backend.rs` looks up values by recipient.

use super::backend::PreparedMessage;
use crate::message::{Address, Field, Message};

impl PreparedMessage {
    /// Returns the messages to deliver, created on demand: for a batch, one for each address in
    /// `to`, in which that recipient's values replace the general ones; otherwise the message
    /// itself.
    ///
    /// `cc` and `bcc` are in every copy. No copy is a batch.
    pub fn copies(&self) -> impl ExactSizeIterator<Item = Message> {
        let mut shared = self.message().clone();
        shared.merge_data = Field::Unset;
        shared.merge_metadata = Field::Unset;
        shared.merge_headers = Field::Unset;
        let each = self.is_batch();
        let count = if each { self.to().len() } else { 1 };
        (0..count).map(move |at| match self.to().get(at) {
            Some(to) if each => self.copy(&shared, to),
            _ => shared.clone(),
        })
    }

    fn copy(&self, shared: &Message, to: &Address) -> Message {
        let message = self.message();
        let mut copy = shared.clone();
        copy.to = Field::Value(vec![to.clone()]);
        // Only if there are values for this recipient: unset fields stay unset.
        if has(&message.merge_headers, |map| map.get(to).is_some()) {
            copy.headers = Field::Value(self.headers_for(to).into_owned());
        }
        if has(&message.merge_metadata, |map| map.get(to).is_some()) {
            copy.metadata = Field::Value(self.metadata_for(to).into_owned());
        }
        if has(&message.merge_data, |map| map.get(to).is_some()) {
            copy.merge_global_data = Field::Value(self.merge_data_for(to).into_owned());
        }
        copy
    }
}

fn has<T>(field: &Field<T>, wanted: impl FnOnce(&T) -> bool) -> bool {
    field.value().is_some_and(wanted)
}
