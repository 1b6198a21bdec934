//! The status of each recipient.

use anymail_core::{Accepted, RetryPolicy, SendErrorKind as K, Status};
use anymail_test_utils::{
    LoopbackSmtp, SmtpAction, SmtpExtension, SmtpFault, SmtpReply, SmtpStage,
};

use super::{builder, config, mailer, message};

/// Refuses recipients whose local part is a number, with that number as the code and with this
/// text.
fn by_number(server: &LoopbackSmtp, replies: &'static [(u16, &'static str)]) {
    server.reply_to_recipient(|address| {
        let place: usize = address.split('@').next()?.parse().ok()?;
        let (code, words) = replies[place];
        Some(SmtpReply::new(code, words))
    });
}

#[tokio::test]
async fn each_recipient_has_the_reply_to_their_own_rcpt_and_accepted_ones_get_the_message() {
    let server = LoopbackSmtp::start().unwrap();
    by_number(
        &server,
        &[
            (550, "5.1.1 No such user"),
            (550, "5.7.1 Not you"),
            (450, "4.2.1 Try later"),
            (553, "Bad name"),
            (550, "5.7.509 Access denied"),
        ],
    );
    let everybody = ["ann", "0", "1", "2", "3", "4", "bob"].map(|it| format!("{it}@example.com"));
    let everybody: Vec<_> = everybody.iter().map(String::as_str).collect();
    let status = mailer(&server).send(&message(&everybody)).await.unwrap();
    let told: Vec<_> = status
        .recipients()
        .map(|it| {
            let code = it.detail.as_ref().and_then(|it| it.code.clone());
            (it.status, code.unwrap(), it.message_id.is_some())
        })
        .collect();
    let expected = [
        (Status::Queued, "250 2.1.5", true),
        (Status::Invalid, "550 5.1.1", false),
        (Status::Rejected, "550 5.7.1", false),
        (Status::Failed, "450 4.2.1", false),
        (Status::Invalid, "553", false),
        (Status::Rejected, "550 5.7.509", false),
        (Status::Queued, "250 2.1.5", true),
    ];
    assert_eq!(told, expected.map(|(s, code, id)| (s, code.to_owned(), id)));
    let mails = server.messages();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].addresses(), ["ann@example.com", "bob@example.com"]);
    let said = status.esp_responses.last().unwrap().to_string();
    assert!(said.contains(&mails[0].id), "{said}");
    let id = format!("Message-ID: <{}>\r\n", status.message_id().unwrap());
    assert!(String::from_utf8_lossy(&mails[0].content).contains(&id));
    server.assert_no_violations();
}

#[tokio::test]
async fn refusal_of_all_recipients_is_an_error_and_no_data_is_sent() {
    for pipelining in [true, false] {
        let mut server = LoopbackSmtp::builder();
        if !pipelining {
            server = server.without(SmtpExtension::Pipelining);
        }
        let server = server.start().unwrap();
        by_number(&server, &[(550, "5.1.1 No such user"), (550, "5.7.1 No")]);
        let mailer = mailer(&server);
        let both = message(&["0@example.com", "1@example.com"]);
        let error = mailer.send(&both).await.unwrap_err();
        assert_eq!(error.kind(), K::RecipientsRefused);
        assert_eq!(error.accepted(), Accepted::No);
        let status = error.status().unwrap();
        let status = |it: &str| status.recipient(it).unwrap().status;
        assert_eq!(status("0@example.com"), Status::Invalid);
        assert_eq!(status("1@example.com"), Status::Rejected);
        assert_eq!(server.counts().of("DATA"), 0);

        // The connection can still be used.
        mailer.send(&message(&["ann@example.com"])).await.unwrap();
        assert_eq!(server.counts().connections, 1);
        server.assert_no_violations();
    }
}

#[tokio::test]
async fn temporary_refusal_of_all_recipients_is_transient() {
    let server = LoopbackSmtp::start().unwrap();
    by_number(&server, &[(450, "4.2.1 Try later"), (550, "5.1.1 No")]);
    let both = message(&["0@example.com", "1@example.com"]);
    let error = mailer(&server).send(&both).await.unwrap_err();
    assert!(error.is_transient());
    assert_eq!(error.accepted(), Accepted::No);
    let status = error.status().unwrap();
    let status = |it: &str| status.recipient(it).unwrap().status;
    assert_eq!(status("0@example.com"), Status::Failed);
    assert_eq!(status("1@example.com"), Status::Invalid);
}

#[tokio::test]
async fn bcc_is_in_the_envelope_and_never_in_the_message() {
    let server = LoopbackSmtp::start().unwrap();
    let mut message = message(&["ann@example.com"]);
    message.bcc = vec!["hidden@example.com".parse().unwrap()].into();
    message.envelope_sender = "bounces@example.com"
        .parse::<anymail_core::Address>()
        .unwrap()
        .into();
    mailer(&server).send(&message).await.unwrap();
    let mail = &server.messages()[0];
    assert_eq!(mail.addresses(), ["ann@example.com", "hidden@example.com"]);
    assert_eq!(mail.sender, "bounces@example.com");
    let content = String::from_utf8_lossy(&mail.content).to_lowercase();
    assert!(!content.contains("hidden") && !content.contains("bounces"));
}

#[tokio::test]
async fn a_batch_is_one_message_for_each_to_with_its_own_status() {
    let server = LoopbackSmtp::start().unwrap();
    by_number(&server, &[(550, "5.1.1 No such user")]);
    let mut message = message(&["ann@example.com", "0@example.com", "bob@example.com"]);
    message.cc = vec!["copy@example.com".parse().unwrap()].into();
    let names = message.merge_headers.value_or_default();
    for (recipient, name) in [("ann@example.com", "Ann"), ("BOB@example.com", "Bob")] {
        let headers = names.value_or_default(recipient);
        headers.insert("X-Name", name).unwrap();
    }
    let status = mailer(&server).send(&message).await.unwrap();
    let mut mails = server.messages();
    mails.sort_by_key(|mail| mail.recipients[0].address.clone());
    let to: Vec<_> = mails.iter().map(|mail| mail.addresses()).collect();
    assert_eq!(
        to,
        [
            vec!["ann@example.com", "copy@example.com"],
            vec!["bob@example.com", "copy@example.com"],
            vec!["copy@example.com"],
        ]
    );
    for (mail, name, other) in [(&mails[0], "Ann", "bob"), (&mails[1], "Bob", "ann")] {
        let content = String::from_utf8_lossy(&mail.content);
        assert!(
            content.contains(&format!("X-Name: {name}\r\n")),
            "{content}"
        );
        assert!(!content.contains(&format!("{other}@")), "{content}");
    }
    let status_of = |it: &str| status.recipient(it).unwrap().status;
    assert_eq!(status_of("ann@example.com"), Status::Queued);
    assert_eq!(status_of("0@example.com"), Status::Invalid);
    assert_eq!(status_of("copy@example.com"), Status::Queued);
    assert_ne!(
        status.recipient("ann@example.com").unwrap().message_id,
        status.recipient("bob@example.com").unwrap().message_id
    );
    server.assert_no_violations();
}

#[tokio::test]
async fn recipients_beyond_a_transactions_limit_are_sent_in_several() {
    let server = LoopbackSmtp::builder().recipient_limit(3).start().unwrap();
    let everybody: Vec<_> = (0..8).map(|n| format!("a{n}@example.com")).collect();
    let everybody: Vec<_> = everybody.iter().map(String::as_str).collect();
    let status = mailer(&server).send(&message(&everybody)).await.unwrap();
    assert!(status.recipients().all(|it| it.status == Status::Queued));
    let mails = server.messages();
    let mut got: Vec<_> = mails.iter().flat_map(|mail| mail.addresses()).collect();
    got.sort_unstable();
    assert_eq!(got, everybody);
    assert!(mails.iter().all(|mail| mail.content == mails[0].content));
}

#[tokio::test]
async fn a_local_part_that_the_server_does_not_support_is_invalid_with_the_reason() {
    let to = ["ann@example.com", "jörg@example.com", "eva@příklad.cz"];
    let server = LoopbackSmtp::builder().without(SmtpExtension::SmtpUtf8);
    let server = server.start().unwrap();
    let mut mixed = message(&["ann@example.com", "eva@příklad.cz"]);
    mixed.bcc = vec!["jörg@example.com".parse().unwrap()].into();
    let status = mailer(&server).send(&mixed).await.unwrap();
    let jörg = status.recipient("jörg@example.com").unwrap();
    assert_eq!(jörg.status, Status::Invalid);
    assert!(jörg.detail.as_ref().unwrap().message.contains("SMTPUTF8"));
    assert_eq!(
        server.messages()[0].addresses(),
        ["ann@example.com", "eva@xn--pklad-zsa96e.cz"]
    );
    server.assert_no_violations();

    let server = LoopbackSmtp::start().unwrap();
    mailer(&server).send(&message(&to)).await.unwrap();
    let mail = &server.messages()[0];
    assert_eq!(mail.addresses()[1], "jörg@example.com");
    assert!(mail.parameter("SMTPUTF8").is_some());
    server.assert_no_violations();
}

#[tokio::test]
async fn a_non_ascii_local_part_anywhere_requires_smtputf8() {
    let international = || "jörg@example.com".parse::<anymail_core::Address>().unwrap();
    let mut in_bcc = message(&["ann@example.com"]);
    in_bcc.bcc = vec![international()].into();
    let mut in_sender = message(&["ann@example.com"]);
    in_sender.envelope_sender = international().into();
    let mut in_header = message(&["ann@example.com"]);
    in_header.reply_to = vec![international()].into();
    let mut in_body = message(&["ann@example.com"]);
    in_body.text_body = "jörg@example.com".to_owned().into();
    for (message, required) in [
        (&in_bcc, true),
        (&in_sender, true),
        (&in_header, true),
        (&in_body, false),
    ] {
        let server = LoopbackSmtp::start().unwrap();
        mailer(&server).send(message).await.unwrap();
        let mail = &server.messages()[0];
        assert_eq!(
            mail.parameter("SMTPUTF8").is_some(),
            required,
            "{message:?}"
        );
        server.assert_no_violations();
    }
    let server = LoopbackSmtp::builder().without(SmtpExtension::SmtpUtf8);
    let server = server.start().unwrap();
    for message in [&in_sender, &in_header] {
        let error = mailer(&server).send(message).await.unwrap_err();
        assert_eq!((error.kind(), error.accepted()), (K::Refused, Accepted::No));
        assert!(error.message().contains("SMTPUTF8"), "{error}");
    }
    mailer(&server).send(&in_body).await.unwrap();
}

#[tokio::test]
async fn no_recipient_is_refused_permanently_by_a_reply_to_another() {
    let server = LoopbackSmtp::start().unwrap();
    by_number(&server, &[(550, "5.1.1 No such user")]);
    // From here on, each reply is one too late: DATA gets the reply to the last recipient.
    let extra = SmtpAction::Trailing("250 2.0.0 Once more\r\n".into());
    server.inject(SmtpFault::new(SmtpStage::Mail, extra), 1);
    let both = message(&["0@example.com", "ann@example.com"]);
    let mailer = builder(config(&server)).retry(RetryPolicy::none()).build();
    let error = mailer.send(&both).await.unwrap_err();
    assert_eq!(error.kind(), K::InvalidResponse);
    assert_eq!(error.accepted(), Accepted::No);
    let status = error.status().unwrap();
    let told: Vec<_> = status.recipients().map(|it| it.status).collect();
    assert_eq!(told, [Status::Failed, Status::Failed]);
    assert!(server.messages().is_empty());
}
