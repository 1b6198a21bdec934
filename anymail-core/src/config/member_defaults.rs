//! Splits the send defaults of a mailer over other mailers into those that apply at once and those
//! that apply when a member sends the message.
//!
//! `sending/defaults.rs` says how defaults merge.

use crate::message::{Field, MessageFields};
use crate::sending::SendDefaults;

/// The send defaults that all members share, and each member's own.
pub(super) struct Apart {
    pub(super) shared: SendDefaults,
    pub(super) own: Vec<SendDefaults>,
    /// Fields that a member sets differently although they must be known before the pre-send hooks
    /// run: the member's index, and the field.
    pub(super) refused: Vec<(usize, &'static str)>,
}

/// Splits `shared` defaults from the members' `own` ones.
///
/// If any member sets a field, every member applies that field when it sends: its own value or, if
/// it sets none, the shared one. Applying it before as well would apply it twice.
pub(super) fn apart(shared: &SendDefaults, own: &[SendDefaults]) -> Apart {
    let fields = |defaults: &SendDefaults| MessageFields::clone(defaults.message());
    let mut shared = fields(shared);
    let mut own: Vec<_> = own.iter().map(fields).collect();
    let mut refused = Vec::new();
    macro_rules! fields {
        (at_once: $($fixed:ident)* ; in_turn: $($free:ident)*) => {
            // A new field does not compile until it is listed here.
            let MessageFields { $($fixed: _,)* $($free: _),* } = &shared;
            $(
                for (at, member) in own.iter_mut().enumerate() {
                    if !member.$fixed.is_unset() && member.$fixed != shared.$fixed {
                        refused.push((at, stringify!($fixed)));
                    }
                    member.$fixed = Field::Unset;
                }
            )*
            $(
                if own.iter().any(|member| !member.$free.is_unset()) {
                    for member in own.iter_mut().filter(|member| member.$free.is_unset()) {
                        member.$free = shared.$free.clone();
                    }
                    shared.$free = Field::Unset;
                }
            )*
        };
    }
    fields! {
        at_once: from to cc bcc merge_data merge_metadata merge_headers suppression_scope;
        in_turn: reply_to subject text_body html_body alternatives headers attachments
            envelope_sender metadata merge_global_data tags track_opens track_clicks send_at
            template_id esp_extra
    }
    Apart {
        shared: shared.into(),
        own: own.into_iter().map(SendDefaults::from).collect(),
        refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn defaults(value: serde_json::Value) -> SendDefaults {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_field_that_any_member_sets_is_applied_once_by_each_member() {
        let shared = json!({"from": "a@x.example", "tags": ["all"], "track_opens": true});
        let own = [
            json!({"tags": ["own"], "esp_extra": {"A": 1}, "from": "a@x.example"}),
            json!({}),
            json!({"bcc": ["log@x.example"]}),
        ];
        let own = own.map(defaults);
        let apart = apart(&defaults(shared), &own);
        let shared = json!({"from": "a@x.example", "track_opens": true});
        assert_eq!(apart.shared, defaults(shared));
        assert_eq!(
            apart.own,
            [
                json!({"tags": ["own"], "esp_extra": {"A": 1}}),
                json!({"tags": ["all"]}),
                json!({"tags": ["all"]}),
            ]
            .map(defaults)
        );
        assert_eq!(apart.refused, [(2, "bcc")]);
    }
}
