//! Guarantees about all public types.
// Clippy does not recognize functions next to tests as test code.
#![allow(clippy::unwrap_used)]
#![cfg(all(
    feature = "axum",
    feature = "blocking",
    feature = "forms",
    feature = "rate-limit",
    feature = "signatures",
    feature = "smtp"
))]

mod shared_types;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anymail_core::*;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn every_public_type_is_send_and_sync() {
    let checked = shared_types::shared_by_threads![
        Accepted,
        Address,
        AddressError,
        AddressErrorReason,
        AddressInput,
        AddressKey,
        AllowDomains,
        Alternative,
        Attachment,
        AttachmentError,
        BackendConfig,
        BackendUrl,
        BackendUrlError,
        CallTrace,
        Capabilities,
        Check,
        ConfigError,
        ConfigFault,
        ConfigFaultKind,
        ConsoleBackend,
        ContentId,
        DamagedLine,
        Env,
        Event,
        EventActor,
        EventClaim,
        EventType,
        Failover,
        Fault,
        FaultKind,
        Feature,
        FeatureSet,
        Field<String>,
        FileBackend,
        FileSuppressionStore,
        Form,
        FormError,
        FormField,
        HeaderError,
        HeaderErrorReason,
        Headers,
        HmacSha256Keys,
        InboundAddress,
        InboundAttachment,
        InboundEvent,
        InboundMessage,
        Mailer,
        MailerBuilder,
        MailerConfig,
        Mailers,
        MailersConfig,
        Member,
        MemberError,
        MemoryBackend,
        MemoryReplayGuard,
        MemorySuppressionStore,
        MergeMap<String>,
        Message,
        MessageBuilder,
        MessageError,
        MessageFields,
        Mime,
        Objection,
        OneClickUnsubscribe,
        OptionFault,
        OptionKind,
        OptionSpec,
        Options,
        Outbox,
        PreSendVerdict,
        PreparedMessage,
        RateLimiter,
        RawBytes,
        Reactivation,
        RecipientStatus,
        RedirectTo,
        Registry,
        RejectReason,
        RetryPolicy,
        RoundRobin,
        Secret,
        SendDefaults,
        SendError,
        SendErrorKind,
        SendStatus,
        Settings,
        SignatureError,
        SmtpBackend,
        SmtpConfig,
        SmtpConfigError,
        SmtpConfigFault,
        SmtpTls,
        StandardWebhooks,
        Status,
        StatusDetail,
        StoreFailurePolicy,
        StoredMessage,
        Support,
        Suppression,
        SuppressionFeed,
        SuppressionHook,
        SuppressionOrigin,
        SuppressionReason,
        SuppressionSettings,
        TimestampTolerance,
        TrackingEvent,
        UnsubscribePage<'static>,
        UnsubscribeUrlError,
        Unsupported,
        UnsupportedPolicy,
        UrlOptions,
        WebhookAuth,
        WebhookAuthError,
        WebhookError,
        WebhookErrorKind,
        WebhookKind,
        Withheld,
        blocking::Mailer,
    ];
    let none: [String; 0] = [];
    assert_eq!(
        shared_types::forgotten(env!("CARGO_MANIFEST_DIR"), &checked),
        none
    );
}

#[test]
fn sending_can_run_in_a_spawned_task() {
    fn can_be_spawned<T: Send + 'static>(_: T) {}
    let mailer = Mailer::new(MemoryBackend::new());
    can_be_spawned({
        let mailer = mailer.clone();
        async move { mailer.send(&Message::default()).await }
    });
    can_be_spawned({
        let mailer = mailer.clone();
        async move { mailer.send_all_with(&[], |_, _| {}).await }
    });
    can_be_spawned(mailer.send_stream(futures_util::stream::empty()));
}

#[test]
fn the_blocking_mailer_has_the_methods_of_the_async_one() {
    let methods = |file: &str, start: &str| -> BTreeSet<String> {
        let source = read(file);
        let (_, body) = source.split_once(start).unwrap();
        let (body, _) = body.split_once("\n}\n").unwrap();
        let public = body.lines().filter_map(|line| {
            let line = line.trim_start().strip_prefix("pub ")?;
            let name = line.trim_start_matches("async ").strip_prefix("fn ")?;
            name.split(['(', '<']).next().map(str::to_owned)
        });
        public.collect()
    };
    let waiting = methods("src/sending/blocking.rs", "\nimpl Mailer {");
    let mut all = methods("src/sending/mailer.rs", "\nimpl Mailer {");
    assert!(all.len() > 5, "{all:?}");
    // Its documentation says why.
    assert!(all.remove("builder") && all.remove("send_stream"));
    assert_eq!(waiting, all);
}
