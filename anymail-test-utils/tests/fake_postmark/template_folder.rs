//! Stored templates in a folder, in the layout of Postmark's command-line tool.

use std::fs;
use std::path::Path;

use anymail_test_utils::FakePostmark;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::caller::{Caller, send};

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// The example in the tool's documentation: a layout, and a template that uses it.
fn pulled() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        &[
            (
                "_layouts/plain/content.html",
                "<body>{{{ @content }}}</body>",
            ),
            (
                "_layouts/plain/content.txt",
                "{{{ @content }}}\n--\nThe shop",
            ),
            (
                "_layouts/plain/meta.json",
                r#"{"Name": "Plain", "Alias": "plain", "TemplateType": "Layout"}"#,
            ),
            ("welcome/content.html", "<p>Dear {{name}}</p>"),
            ("welcome/content.txt", "Dear {{name}}"),
            (
                "welcome/meta.json",
                r#"{"Name": "Welcome", "Alias": "welcome", "Subject": "Welcome, {{name}}",
                    "TemplateType": "Standard", "LayoutTemplate": "plain"}"#,
            ),
        ],
    );
    folder
}

async fn reading(folder: &Path) -> Caller {
    Caller::of(FakePostmark::builder().templates(folder)).await
}

fn mail(alias: &str, name: &str) -> Value {
    json!({
        "From": "sender@example.com", "To": "ann@example.com",
        "TemplateAlias": alias, "TemplateModel": {"name": name},
    })
}

#[tokio::test]
async fn pulled_templates_can_be_used_for_single_messages_and_batches() {
    let folder = pulled();
    let caller = reading(folder.path()).await;
    assert_eq!(caller.postmark.template_problems(), [""; 0]);
    caller
        .post("email/withTemplate", &mail("welcome", "Ann"))
        .await
        .ok();
    let batch = json!({"Messages": [mail("welcome", "Bob"), mail("other", "Eve")]});
    let answer = caller.post("email/batchWithTemplates", &batch).await.ok();
    assert_eq!(
        [&answer[0]["ErrorCode"], &answer[1]["ErrorCode"]],
        [0, 1101]
    );

    let sent = caller.postmark.messages();
    assert_eq!(sent[0].subject, "Welcome, Ann");
    let html = "<body><p>Dear Ann</p></body>";
    assert_eq!(sent[0].html_body.as_deref(), Some(html));
    assert_eq!(sent[0].text_body.as_deref(), Some("Dear Ann\n--\nThe shop"));
    assert_eq!(sent[1].subject, "Welcome, Bob");
    let list = caller.get("templates?count=10&offset=0").await.ok();
    assert_eq!(list["TotalCount"], 2);
}

#[tokio::test]
async fn a_changed_file_is_read_again_and_its_template_keeps_its_id() {
    let folder = pulled();
    let caller = reading(folder.path()).await;
    let id = caller.get("templates/welcome").await.ok()["TemplateId"].clone();
    // The same length, and immediately: neither the size nor the time has to show the change.
    write(
        folder.path(),
        &[("welcome/content.html", "<b>Dear {{name}}</b>")],
    );
    caller
        .post("email/withTemplate", &mail("welcome", "Ann"))
        .await
        .ok();
    let html = caller.postmark.messages()[0].html_body.clone();
    assert_eq!(html.as_deref(), Some("<body><b>Dear Ann</b></body>"));
    assert_eq!(caller.get("templates/welcome").await.ok()["TemplateId"], id);

    write(
        folder.path(),
        &[(
            "_layouts/plain/content.html",
            "<main>{{{ @content }}}</main>",
        )],
    );
    caller
        .post("email/withTemplate", &mail("welcome", "Ann"))
        .await
        .ok();
    let html = caller.postmark.messages()[1].html_body.clone();
    assert_eq!(html.as_deref(), Some("<main><b>Dear Ann</b></main>"));

    fs::remove_dir_all(folder.path().join("welcome")).unwrap();
    let gone = caller
        .post("email/withTemplate", &mail("welcome", "Ann"))
        .await;
    let words =
        "The Template's 'Alias' associated with this request is not valid or was not found.";
    gone.refused(422, 1101, words);
}

#[tokio::test]
async fn an_invalid_file_is_reported_with_its_path_and_position_until_it_is_fixed() {
    let folder = pulled();
    let caller = reading(folder.path()).await;
    for (file, text, place) in [
        (
            "welcome/content.html",
            "<p>\n  {{#each a}}",
            "welcome/content.html:2:3: ",
        ),
        (
            "welcome/meta.json",
            "{\"Name\": \"Welcome\",}",
            "welcome/meta.json: trailing comma at line 1 column 20",
        ),
        (
            "welcome/meta.json",
            "[]",
            "welcome/meta.json: Invalid request field(s): $",
        ),
        (
            "welcome/meta.json",
            "{\"Name\": \"Welcome\"}",
            "welcome/meta.json: missing field \"Alias\"",
        ),
        (
            "welcome/meta.json",
            r#"{"Name": "W", "Alias": "welcome", "Subject": "S", "LayoutTemplate": "none"}"#,
            "welcome/meta.json: The 'LayoutTemplate' associated",
        ),
        (
            "_layouts/plain/content.html",
            "no content",
            "_layouts/plain/meta.json: The layout's 'HtmlBody' must contain",
        ),
    ] {
        let path = folder.path().join(file);
        let good = fs::read_to_string(&path).unwrap();
        fs::write(&path, text).unwrap();
        let problems = caller.postmark.template_problems();
        assert!(problems[0].contains(place), "{problems:?}");
        let refused = caller
            .post("email/withTemplate", &mail("welcome", "Ann"))
            .await;
        assert_eq!(refused.status, 422, "{}", refused.text);
        let words = refused.json()["Message"].as_str().unwrap().to_owned();
        assert!(words.contains("The fake cannot use its files: "), "{words}");
        fs::write(&path, good).unwrap();
        caller
            .post("email/withTemplate", &mail("welcome", "Ann"))
            .await
            .ok();
        assert_eq!(caller.postmark.template_problems(), [""; 0]);
    }
    fs::remove_file(folder.path().join("welcome/meta.json")).unwrap();
    let problems = caller.postmark.template_problems();
    assert!(
        problems[0].ends_with("meta.json: the file is missing"),
        "{problems:?}"
    );
}

#[tokio::test]
async fn a_missing_folder_is_an_error_when_the_fake_starts() {
    let error = FakePostmark::builder()
        .templates("no/such/folder")
        .start()
        .unwrap_err();
    assert!(error.to_string().contains("no/such/folder"), "{error}");
}

#[tokio::test]
async fn the_page_shows_a_template_with_the_values_of_the_last_send() {
    let folder = pulled();
    let caller = reading(folder.path()).await;
    let id = caller.get("templates/welcome").await.ok()["TemplateId"].clone();
    let page = async |path: &str| send(caller.bare("GET", path)).await;
    let list = page("mailbox/templates").await.text;
    assert!(
        list.contains(&format!("/mailbox/templates/{id}\"")),
        "{list}"
    );
    let shown = page(&format!("mailbox/templates/{id}")).await.text;
    assert!(shown.contains("placeholders"), "{shown}");

    for name in ["Ann", "Bob & <Co>"] {
        caller
            .post("email/withTemplate", &mail("welcome", name))
            .await
            .ok();
    }
    let shown = page(&format!("mailbox/templates/{id}")).await.text;
    assert!(shown.contains("Welcome, Bob &amp; &lt;Co&gt;"), "{shown}");
    let last = caller.postmark.messages()[1].id.clone();
    assert!(shown.contains(&format!("/mailbox/{last}")), "{shown}");
    let frame = page(&format!("mailbox/templates/{id}/html")).await;
    assert_eq!(frame.text, "<body><p>Dear Bob &amp; &lt;Co&gt;</p></body>");
    let policy = frame.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("sandbox;"), "{policy}");

    write(folder.path(), &[("welcome/content.html", "<p>{{/if}}")]);
    let broken = page("mailbox/templates").await.text;
    assert!(broken.contains("content.html:1:"), "{broken}");
    for path in [
        "mailbox/templates/1",
        "mailbox/templates/1/html",
        "mailbox/templates/x",
    ] {
        assert!(!page(path).await.text.contains("<dt>Alias</dt>"), "{path}");
    }
}
