//! Guarantees that hold for every public type.
#![allow(clippy::unwrap_used)]

#[path = "../../anymail-core/tests/shared_types/mod.rs"]
mod shared_types;

use anymail_test_utils::*;

#[test]
fn every_public_type_is_send_and_sync() {
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
        SmtpMessage,
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
        WebhookAttempt,
        WrongCertificate,
        conformance::Report,
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
        conformance::Failure,
        conformance::FailureKind,
        conformance::Understood,
    ];
    let none: [String; 0] = [];
    assert_eq!(
        shared_types::forgotten(env!("CARGO_MANIFEST_DIR"), &checked),
        none
    );
}
