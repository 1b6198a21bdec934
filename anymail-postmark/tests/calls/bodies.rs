//! The content of calls: what each row contains, and what `esp_extra` may change.

use super::*;

#[tokio::test]
async fn messages_in_one_call_keep_their_own_content() {
    let server = server().await;
    let mut messages = Vec::new();
    for (subject, length, to) in [
        ("short", 10, "a@example.com, b@example.com"),
        ("long", 20_000, "c@example.com, d@example.com"),
        ("longer", 30_000, "e@example.com, f@example.com"),
        ("shorter", 5, "g@example.com, h@example.com"),
    ] {
        let mut batch = message(to);
        batch.subject = subject.to_owned().into();
        batch.text_body = "x".repeat(length).into();
        let file = Attachment::new(subject, vec![7_u8; 3 * length]).unwrap();
        batch.attachments = vec![file].into();
        batch.merge_data.value_or_default();
        messages.push(batch);
    }
    let results = mailer(&server).send_all(&messages).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let [request] = &server.received_requests().await.unwrap()[..] else {
        panic!()
    };
    let rows: Vec<Value> = request.body_json().unwrap();
    let found: Vec<_> = rows
        .iter()
        .map(|row| {
            let file = &row["Attachments"][0];
            assert_eq!(file["Name"], row["Subject"]);
            let content = file["Content"].as_str().unwrap().len();
            let text = row["TextBody"].as_str().unwrap().len();
            assert!(row.get("TemplateModel").is_none());
            (row["Subject"].as_str().unwrap(), text, content)
        })
        .collect();
    assert_eq!(
        found,
        [
            ("short", 10, 40),
            ("short", 10, 40),
            ("long", 20_000, 80_000),
            ("long", 20_000, 80_000),
            ("longer", 30_000, 120_000),
            ("longer", 30_000, 120_000),
            ("shorter", 5, 20),
            ("shorter", 5, 20),
        ]
    );
}

#[tokio::test]
async fn a_template_is_named_by_a_number_or_an_alias_also_in_esp_extra() {
    let server = server().await;
    let mut messages = Vec::new();
    for extra in [
        json!({"TemplateId": 7}),
        json!({"templatealias": "welcome"}),
    ] {
        let mut by_extra = message("a@example.com");
        by_extra.esp_extra = extra.as_object().unwrap().clone().into();
        messages.push(by_extra);
    }
    for id in ["-5", "+5", "5"] {
        let mut template = message("a@example.com");
        template.template_id = id.to_owned().into();
        messages.push(template);
    }
    for one in &messages {
        mailer(&server).send(one).await.unwrap();
    }
    let mut named = Vec::new();
    for request in server.received_requests().await.unwrap() {
        assert_eq!(request.url.path(), "/email/withTemplate/");
        let body: Value = request.body_json().unwrap();
        let key = |name: &str| body.get(name).cloned();
        named.push((
            key("TemplateId"),
            key("TemplateAlias").or(key("templatealias")),
        ));
    }
    let alias = |alias| (None, Some(json!(alias)));
    let number = |number| (Some(json!(number)), None);
    assert_eq!(
        named,
        [
            number(7),
            alias("welcome"),
            alias("-5"),
            alias("+5"),
            number(5)
        ]
    );
}

#[tokio::test]
async fn esp_extra_can_neither_change_the_recipients_nor_drop_fields_of_the_message() {
    let server = server().await;
    let with = |extra: Value, change: fn(&mut Message)| {
        let mut message = message("a@example.com");
        message.esp_extra = extra.as_object().unwrap().clone().into();
        change(&mut message);
        message
    };
    let nothing: fn(&mut Message) = |_| {};
    let merge_data: fn(&mut Message) = |m| {
        m.template_id = "welcome".to_owned().into();
        let own = json!({"name": "Ann"}).as_object().unwrap().clone();
        m.merge_data.value_or_default().insert("a@example.com", own);
    };
    for (message, quoted) in [
        (with(json!({"To": "evil@example.com"}), nothing), "\"To\""),
        (with(json!({"bcc": "evil@example.com"}), nothing), "\"bcc\""),
        (with(json!({"Messages": []}), nothing), "\"Messages\""),
        (with(json!({"server_token": 7}), nothing), "server_token"),
        (with(json!({"server_token": " "}), nothing), "server_token"),
        (
            with(json!({"subject": "a\r\nBcc: x@y"}), nothing),
            "Subject",
        ),
        (
            with(
                json!({"Headers": [{"Name": "X-A", "Value": "a\nb"}]}),
                nothing,
            ),
            "Headers",
        ),
        (
            with(json!({"Headers": []}), |m| {
                let mut headers = anymail_core::Headers::new();
                headers.insert("X-A", "1").unwrap();
                m.merge_headers
                    .value_or_default()
                    .insert("a@example.com", headers);
            }),
            "merge_headers",
        ),
        (
            with(json!({"Metadata": {}}), |m| {
                let own = anymail_core::Metadata::from([("k".into(), "v".into())]);
                m.merge_metadata
                    .value_or_default()
                    .insert("a@example.com", own);
            }),
            "merge_metadata",
        ),
        (
            with(json!({"TemplateModel": {}}), merge_data),
            "TemplateModel",
        ),
    ] {
        for policy in [UnsupportedPolicy::Refuse, UnsupportedPolicy::Drop] {
            let config = PostmarkConfig::new("token").api_url(server.uri());
            let backend = PostmarkBackend::new(config).unwrap();
            let mailer = Mailer::builder(backend).unsupported(policy).build();
            let error = mailer.send(&message).await.unwrap_err();
            assert_eq!(error.kind(), SendErrorKind::UnsupportedFeature);
            assert!(error.to_string().contains(quoted), "{quoted}: {error}");
        }
    }
    assert!(server.received_requests().await.unwrap().is_empty());
    // Nothing here is set twice.
    for message in [
        with(json!({"Headers": []}), nothing),
        with(json!({"Metadata": {}}), nothing),
        with(json!({"TemplateModel": {}}), nothing),
        with(json!({"Headers": [], "Metadata": {}}), merge_data),
    ] {
        mailer(&server).send(&message).await.unwrap();
    }
}

#[tokio::test]
async fn a_field_that_esp_extra_spells_in_another_case_is_sent_once() {
    let server = server().await;
    let mut one = message("a@example.com");
    one.esp_extra = json!({"subject": "other"})
        .as_object()
        .unwrap()
        .clone()
        .into();
    mailer(&server).send(&one).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    let body: Value = requests[0].body_json().unwrap();
    assert_eq!(body["subject"], "other");
    assert!(body.get("Subject").is_none());
}
