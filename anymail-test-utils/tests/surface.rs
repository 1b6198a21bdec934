//! Guarantees that hold for every public type.
#![allow(clippy::unwrap_used)]

#[path = "../../anymail-core/tests/shared_types/mod.rs"]
mod shared_types;

use anymail_test_utils::*;

#[test]
fn every_public_type_can_be_sent_to_and_shared_by_threads() {
    let checked = shared_types::shared_by_threads![
        BounceType,
        Counts,
        FakePostmark,
        FakePostmarkBuilder,
        Fault,
        LoopbackServer,
        LoopbackSmtp,
        LoopbackSmtpBuilder,
        Mail,
        Mailbox,
        SentAttachment,
        SentMessage,
        SmtpAction,
        SmtpCounts,
        SmtpExtension,
        SmtpFault,
        SmtpMail,
        SmtpMechanism,
        SmtpMoment,
        SmtpRecipient,
        SmtpReply,
        SmtpRule,
        SmtpStage,
        LoopbackTls,
        SmtpViolation,
        StoredTemplate,
        StreamKind,
        InactiveReason,
        TriggerError,
        WebhookReport,
        WebhookTry,
        WrongCertificate,
        conformance::Answer,
        conformance::Credentials,
        conformance::Expected,
        conformance::File,
        conformance::MessageIds,
        conformance::Mutants,
        conformance::Outcome,
        conformance::Post,
        conformance::Posts,
        conformance::Profile,
        conformance::Recipient,
        conformance::Sabotage,
        conformance::Signing<'static>,
        conformance::SmtpTarget,
        conformance::Suite,
        conformance::Target,
        conformance::Trouble,
        conformance::TroubleKind,
        conformance::Understood,
    ];
    let none: [String; 0] = [];
    assert_eq!(
        shared_types::forgotten(env!("CARGO_MANIFEST_DIR"), &checked),
        none
    );
}
