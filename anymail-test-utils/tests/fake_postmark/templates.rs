//! `templates`, and sending with one.

use anymail_test_utils::StoredTemplate;
use serde_json::{Value, json};

use crate::caller::{Answer, Caller};

/// Creates a message with a template and with some fields changed; `null` removes one.
fn with_template(changes: Value) -> Value {
    let mut email = crate::caller::email(json!({"Subject": null, "TextBody": null}));
    email["TemplateAlias"] = json!("welcome");
    email["TemplateModel"] = json!({"name": "Ann"});
    for (key, value) in changes.as_object().unwrap() {
        let fields = email.as_object_mut().unwrap();
        match value {
            Value::Null => fields.remove(key),
            value => fields.insert(key.clone(), value.clone()),
        };
    }
    email
}

async fn with_welcome() -> (Caller, i64) {
    let caller = Caller::new().await;
    let postmark = &caller.postmark;
    let html = "<p>Dear {{name}}</p>";
    let id = postmark.add_template(
        StoredTemplate::new("welcome")
            .subject("Hi {{name}}")
            .text_body("Dear {{name}}")
            .html_body(html),
    );
    (caller, id)
}

#[tokio::test]
async fn a_template_is_rendered_for_its_recipient() {
    let (caller, id) = with_welcome().await;
    for path in ["email/withTemplate", "email/withTemplate/"] {
        let model = json!({"name": "Ann & <Co>"});
        let body = with_template(json!({"TemplateModel": model, "InlineCss": true}));
        let answer = caller.post(path, &body).await.ok();
        assert_eq!(answer["Message"], "OK");
    }
    let by_id = with_template(json!({"TemplateAlias": "other", "TemplateId": id}));
    caller.post("email/withTemplate", &by_id).await.ok();

    let messages = caller.postmark.messages();
    let message = &messages[0];
    assert_eq!(message.subject, "Hi Ann & <Co>");
    assert_eq!(message.text_body.as_deref(), Some("Dear Ann & <Co>"));
    let html = "<p>Dear Ann &amp; &lt;Co&gt;</p>";
    assert_eq!(message.html_body.as_deref(), Some(html));
    assert_eq!(message.template.as_deref(), Some("welcome"));
    assert_eq!(
        message.template_model.as_ref().unwrap()["name"],
        "Ann & <Co>"
    );
    assert_eq!(messages[2].template, Some(id.to_string()));
    assert_eq!(messages[2].subject, "Hi Ann");
}

#[tokio::test]
async fn invalid_uses_of_templates_are_refused_with_postmarks_error_messages() {
    let (caller, _) = with_welcome().await;
    let alias =
        "The Template's 'Alias' associated with this request is not valid or was not found.";
    let id = "The 'TemplateId' associated with this request is not valid or was not found.";
    let contents = "Neither 'TextBody', 'HtmlBody', or 'Subject' may be specified when using a \
                    template for the email.";
    let model = "A 'TemplateModel' is required when using a template to send an email.";
    let path = "Invalid request field(s): $.TemplateId";
    let cases = [
        (json!({"TemplateAlias": "unknown"}), 1101, alias),
        (json!({"TemplateId": 99}), 1101, id),
        (json!({"TemplateId": 0}), 1101, id),
        (json!({"TemplateAlias": null}), 1101, id),
        (json!({"TemplateModel": null}), 1120, model),
        (json!({"Subject": ""}), 1123, contents),
        (json!({"TextBody": "x"}), 1123, contents),
        (json!({"To": null}), 300, "Zero recipients specified"),
        (json!({"TemplateId": "welcome"}), 403, path),
    ];
    for (changes, code, words) in cases {
        let answer = caller
            .post("email/withTemplate", &with_template(changes))
            .await;
        answer.refused(422, code, words);
    }
    let answer = caller.post("email/withTemplate", &json!({})).await;
    answer.refused(422, 1109, "No template data received.");
    assert_eq!(caller.postmark.accepted(), 0);
}

#[tokio::test]
async fn a_batch_with_templates_is_an_object_with_rows() {
    let (caller, _) = with_welcome().await;
    let path = "email/batchWithTemplates";
    let rows = [
        with_template(json!({"TemplateModel": {"name": "One"}})),
        with_template(json!({"TemplateAlias": "unknown"})),
        with_template(json!({"TemplateModel": {}})),
    ];
    let answer = caller.post(path, &json!({"Messages": rows})).await.ok();
    let codes: Vec<_> = (0..3).map(|i| answer[i]["ErrorCode"].clone()).collect();
    assert_eq!(codes, [0, 1101, 0]);
    let messages = caller.postmark.messages();
    assert_eq!(messages[0].subject, "Hi One");
    assert_eq!(messages[1].subject, "Hi ");
    caller
        .post(path, &json!(rows))
        .await
        .refused(422, 403, "Invalid request field(s): $");
    let rows = vec![with_template(json!({})); 501];
    let answer = caller.post(path, &json!({"Messages": rows})).await;
    assert_eq!(answer.json()["ErrorCode"], 410);
}

#[tokio::test]
async fn templates_are_not_looked_up_for_the_test_token() {
    let caller = Caller::new().await;
    let request = caller
        .bare("POST", "email/withTemplate")
        .header("Accept", "application/json")
        .header("Content-Type", "application/json")
        .header("X-Postmark-Server-Token", "POSTMARK_API_TEST");
    let body = with_template(json!({"TemplateAlias": "unknown"}));
    let answer = crate::caller::send(request.body(body.to_string())).await;
    assert_eq!(answer.ok()["Message"], "Test job accepted");
}

#[tokio::test]
async fn a_message_shows_that_its_template_cannot_be_rendered() {
    let caller = Caller::new().await;
    let template = StoredTemplate::new("welcome").subject("Hi");
    caller
        .postmark
        .add_template(template.text_body("{{#each name}}x{{/each}}"));
    caller
        .post("email/withTemplate", &with_template(json!({})))
        .await
        .ok();
    let message = &caller.postmark.messages()[0];
    let error = message.render_error.as_deref().unwrap();
    assert!(error.contains("'name' is used as a list"), "{error}");
}

fn template(changes: Value) -> Value {
    let mut template =
        json!({"Name": "Onboarding", "Subject": "Hi {{name}}", "TextBody": "{{name}}"});
    for (key, value) in changes.as_object().unwrap() {
        template[key] = value.clone();
    }
    template
}

async fn create(caller: &Caller, changes: Value) -> Answer {
    caller.post("templates", &template(changes)).await
}

#[tokio::test]
async fn templates_are_created_read_edited_listed_and_deleted() {
    let caller = Caller::new().await;
    let created = create(&caller, json!({"Alias": "onboarding-v1"}))
        .await
        .ok();
    let id = created["TemplateId"].as_i64().unwrap();
    let expected = json!({
        "Active": true, "TemplateId": id, "Name": "Onboarding", "Alias": "onboarding-v1",
        "TemplateType": "Standard", "LayoutTemplate": null,
    });
    assert_eq!(created, expected);

    for name in [id.to_string(), "onboarding-v1".to_owned()] {
        let read = caller.get(&format!("templates/{name}")).await.ok();
        assert_eq!(read["Subject"], "Hi {{name}}");
        assert_eq!(read["HtmlBody"], Value::Null);
        assert_eq!(read["AssociatedServerId"], 1);
    }
    let change = json!({"Subject": "Hello", "HtmlBody": "<p>", "Alias": null});
    let edited = caller.put(&format!("templates/{id}"), &change).await.ok();
    assert_eq!(edited["Alias"], "onboarding-v1");
    let read = caller.get("templates/onboarding-v1").await.ok();
    assert_eq!(
        (&read["Subject"], &read["TextBody"]),
        (&json!("Hello"), &json!("{{name}}"))
    );

    create(&caller, json!({"Name": "Other"})).await.ok();
    let list = caller.get("templates/?count=1&offset=1").await.ok();
    assert_eq!(list["TotalCount"], 2);
    assert_eq!(list["Templates"][0]["Name"], "Other");
    assert_eq!(caller.get("templates").await.json()["ErrorCode"], 1100);

    let deleted = caller.delete(&format!("templates/{id}")).await.ok();
    assert_eq!(
        deleted,
        json!({"ErrorCode": 0, "Message": format!("Template {id} removed.")})
    );
    assert_eq!(
        caller.get(&format!("templates/{id}")).await.json()["ErrorCode"],
        1101
    );
    assert_eq!(
        caller.get("templates/onboarding-v1").await.json()["ErrorCode"],
        1101
    );
}

#[tokio::test]
async fn invalid_templates_are_refused() {
    let caller = Caller::new().await;
    create(&caller, json!({"Alias": "taken"})).await.ok();
    for (changes, code) in [
        (json!({"Name": ""}), 1120),
        (json!({"Subject": null}), 1120),
        (json!({"TextBody": null}), 1120),
        (json!({"TextBody": "{{#a}}"}), 1122),
        (json!({"Alias": "1st"}), 1122),
        (json!({"Alias": "a b"}), 1122),
        (json!({"Alias": "taken"}), 1122),
        (json!({"TemplateType": "Other"}), 1122),
        (json!({"LayoutTemplate": "missing"}), 1101),
        (json!({"LayoutTemplate": "taken"}), 1101),
        (json!({"TemplateType": "Layout"}), 1123),
        (json!({"TemplateType": "Layout", "Subject": null}), 1131),
    ] {
        let answer = create(&caller, changes.clone()).await;
        assert_eq!(answer.json()["ErrorCode"], code, "{changes}");
        assert_eq!(answer.status, 422);
    }
    assert_eq!(
        caller.post("templates", &json!({})).await.json()["ErrorCode"],
        1109
    );
    for i in 1..100 {
        create(&caller, json!({"Name": format!("t{i}")})).await.ok();
    }
    assert_eq!(create(&caller, json!({})).await.json()["ErrorCode"], 1105);
}

#[tokio::test]
async fn a_layout_surrounds_its_templates() {
    let caller = Caller::new().await;
    let layout = json!({
        "Name": "Frame", "Alias": "frame", "TemplateType": "Layout", "Subject": null,
        "HtmlBody": "<body>{{{ @content }}}</body>", "TextBody": "== {{{@content}}} ==",
    });
    create(&caller, layout).await.ok();
    let inner = json!({"Alias": "inner", "LayoutTemplate": "frame", "HtmlBody": "<p>{{name}}</p>"});
    create(&caller, inner).await.ok();
    let body = with_template(json!({"TemplateAlias": "inner"}));
    caller.post("email/withTemplate", &body).await.ok();
    let message = &caller.postmark.messages()[0];
    assert_eq!(
        message.html_body.as_deref(),
        Some("<body><p>Ann</p></body>")
    );
    assert_eq!(message.text_body.as_deref(), Some("== Ann =="));

    let list = caller
        .get("templates?count=9&offset=0&TemplateType=layout")
        .await
        .ok();
    assert_eq!(list["TotalCount"], 1);
    let list = caller
        .get("templates?count=9&offset=0&LayoutTemplate=frame")
        .await
        .ok();
    assert_eq!(list["Templates"][0]["Alias"], "inner");
    assert_eq!(
        caller.delete("templates/frame").await.json()["ErrorCode"],
        1130
    );
    let body = with_template(json!({"TemplateAlias": "frame"}));
    let answer = caller.post("email/withTemplate", &body).await;
    assert_eq!(answer.json()["ErrorCode"], 1101, "a layout is no template");
}

#[tokio::test]
async fn validation_renders_and_suggests_a_model() {
    let caller = Caller::new().await;
    let good = json!({
        "Subject": "{{#company}}{{name}}{{/company}} {{subjectHeadline}}",
        "HtmlBody": "{{#each person}}<b>{{name}}</b>{{/each}}",
        "TestRenderModel": {"company": {"name": "A&B"}, "person": [{"name": "<Ann>"}]},
    });
    let answer = caller.post("templates/validate", &good).await.ok();
    assert_eq!(answer["AllContentIsValid"], true);
    assert_eq!(answer["Subject"]["RenderedContent"], "A&B ");
    assert_eq!(answer["HtmlBody"]["RenderedContent"], "<b>&lt;Ann&gt;</b>");
    assert_eq!(answer["HtmlBody"]["ValidationErrors"], json!([]));
    assert!(answer.get("TextBody").is_none());
    let suggested = json!({
        "company": {"name": "A&B"}, "person": [{"name": "<Ann>"}],
        "subjectHeadline": "subjectHeadline_Value",
    });
    assert_eq!(answer["SuggestedTemplateModel"], suggested);

    let bad = json!({"Subject": "ok", "TextBody": "a\n {{#b}}"});
    let answer = caller.post("templates/validate", &bad).await.ok();
    assert_eq!(answer["AllContentIsValid"], false);
    assert_eq!(answer["Subject"]["ContentIsValid"], true);
    let error = &answer["TextBody"]["ValidationErrors"][0];
    assert_eq!(
        (&error["Line"], &error["CharacterPosition"]),
        (&json!(2), &json!(2))
    );
}
