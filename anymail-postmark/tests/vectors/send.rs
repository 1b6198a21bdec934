//! `send.json`: a message, through `Mailer` and the Postmark backend, to a server on loopback.

use std::collections::BTreeMap;
use std::path::Path;

use anymail_core::{
    FaultKind, Mailer, Message, MessageError, SendDefaults, SendError, SendErrorKind, SendStatus,
    Status, UnsupportedPolicy,
};
use anymail_postmark::{PostmarkBackend, PostmarkConfig};
use libtest_mimic::{Failed, Trial};
use serde::Deserialize;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    settings: Settings,
    message: Value,
    response: Option<Response>,
    expect: Expect,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    server_token: Option<String>,
    api_url: Option<String>,
    ignore_unsupported_features: bool,
    ignore_recipient_status: bool,
    message_stream: Option<String>,
    use_bulk_api: bool,
    generate_message_id: Option<bool>,
    send_defaults: SendDefaults,
    postmark_send_defaults: SendDefaults,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Response {
    status: u16,
    json: Option<Value>,
    raw: Option<String>,
    content_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    request: Option<ExpectedRequest>,
    recipients: Option<BTreeMap<String, Recipient>>,
    error: Option<ExpectedError>,
    #[serde(rename = "sent")]
    _sent: Option<bool>,
    #[serde(rename = "differs_from_django_anymail")]
    _differs: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedRequest {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    json: Value,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
struct Recipient {
    status: String,
    message_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedError {
    kind: String,
    http_status: Option<u16>,
    /// Our texts may differ.
    #[serde(rename = "detail")]
    _detail: Option<String>,
}

pub(crate) fn trials(dir: &Path) -> Vec<Trial> {
    let cases = super::SEND.cases::<Case>(dir).into_iter();
    cases
        .map(|case| super::SEND.trial(&case.name.clone(), || check(case).map_err(Failed::from)))
        .collect()
}

fn check(case: Case) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(run(case))
}

async fn run(case: Case) -> Result<(), String> {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(responder(case.response))
        .mount(&server)
        .await;
    // The case's own API URL cannot be reached, but its path can be used.
    let below = match &case.settings.api_url {
        Some(url) => url.splitn(4, '/').nth(3).unwrap_or_default().to_owned(),
        None => String::new(),
    };
    let outcome = match build(case.message) {
        Ok(message) => {
            let mailer = mailer(&case.settings, &format!("{}/{below}", server.uri()))?;
            mailer.send(&message).await.map_err(Failure::Send)
        }
        Err(error) => Err(Failure::Message(error)),
    };
    let requests = server.received_requests().await.unwrap_or_default();
    let ids = match (&case.expect.request, &requests[..]) {
        (None, []) => BTreeMap::new(),
        (Some(expected), [request]) => compare_request(expected, request, &below)?,
        (expected, sent) => {
            let wanted = usize::from(expected.is_some());
            let sent = sent.len();
            return Err(format!(
                "{sent} requests, not {wanted}; outcome: {outcome:?}"
            ));
        }
    };
    compare_outcome(&case.expect, &outcome, &ids)
}

/// A case of a refused message may omit addresses, so a message is built from the case's JSON as an
/// app would build it from its queue.
fn build(message: Value) -> Result<Message, MessageError> {
    Message::from_json(message.to_string().as_bytes())
}

fn mailer(settings: &Settings, url: &str) -> Result<Mailer, String> {
    let token = settings.server_token.as_deref();
    let mut config = PostmarkConfig::new(token.unwrap_or("test_server_token"))
        .api_url(url)
        .use_bulk_api(settings.use_bulk_api);
    if let Some(stream) = &settings.message_stream {
        config = config.message_stream(stream);
    }
    if let Some(on) = settings.generate_message_id {
        config = config.generate_message_id(on);
    }
    let backend = PostmarkBackend::new(config).map_err(|error| error.to_string())?;
    let policy = match settings.ignore_unsupported_features {
        true => UnsupportedPolicy::Drop,
        false => UnsupportedPolicy::Refuse,
    };
    let defaults = &settings.send_defaults;
    Ok(Mailer::builder(backend)
        .send_defaults(defaults.replaced_by(&settings.postmark_send_defaults))
        .unsupported(policy)
        .ignore_recipient_status(settings.ignore_recipient_status)
        .build())
}

/// The case's response, or success for each message of the request.
fn responder(response: Option<Response>) -> impl Fn(&Request) -> ResponseTemplate {
    move |request| match &response {
        Some(given) => {
            let content_type = given.content_type.as_deref().unwrap_or("application/json");
            let body = match (&given.json, &given.raw) {
                (Some(json), _) => json.to_string(),
                (None, raw) => raw.clone().unwrap_or_default(),
            };
            ResponseTemplate::new(given.status).set_body_raw(body, content_type)
        }
        None => ResponseTemplate::new(200).set_body_json(success(request)),
    }
}

fn success(request: &Request) -> Value {
    let json: Value = request.body_json().unwrap_or_default();
    let one = |(place, row): (usize, &Value)| {
        let mut answer = json!({
            "SubmittedAt": "2026-03-12T15:27:50.4468803-05:00",
            "MessageID": format!("00000000-0000-4000-8000-{place:012}"),
            "ErrorCode": 0,
            "Message": "OK",
        });
        if let Some(to) = row.get("To") {
            answer["To"] = to.clone();
        }
        answer
    };
    if request.url.path().ends_with("email/bulk") {
        return json!({"ID": "f3f7e8ad-5ac4-4e1d-a3d2-9f9c2a5f5a5f", "Status": "Accepted",
            "PercentageCompleted": 0, "SubmittedAt": "2026-03-12T15:27:50.4468803-05:00"});
    }
    match json.get("Messages").unwrap_or(&json) {
        Value::Array(rows) => rows.iter().enumerate().map(one).collect(),
        row => one((0, row)),
    }
}

/// Compares the request; returns the generated IDs that correspond to the expected ones.
fn compare_request(
    expected: &ExpectedRequest,
    request: &Request,
    below: &str,
) -> Result<BTreeMap<String, String>, String> {
    let path = format!("/{below}/{}", expected.path).replace("//", "/");
    if request.method.as_str() != expected.method || request.url.path() != path {
        return Err(format!(
            "{} {}, not {} {path}",
            request.method,
            request.url.path(),
            expected.method
        ));
    }
    for (name, value) in &expected.headers {
        let sent = request.headers.get(name).and_then(|it| it.to_str().ok());
        if sent != Some(value.as_str()) {
            return Err(format!("header {name}: {sent:?}, not {value:?}"));
        }
    }
    let mut sent: Value = request.body_json().map_err(|error| error.to_string())?;
    let mut wanted = expected.json.clone();
    let mut ids = BTreeMap::new();
    for (sent, wanted) in rows(&mut sent).into_iter().zip(rows(&mut wanted)) {
        let sent = sent.pointer_mut("/Metadata/anymail_id");
        let wanted = wanted
            .pointer("/Metadata/anymail_id")
            .and_then(Value::as_str);
        if let (Some(sent), Some(wanted)) = (sent, wanted) {
            let id = sent.as_str().unwrap_or_default().to_owned();
            uuid::Uuid::parse_str(&id).map_err(|error| format!("anymail_id {id:?}: {error}"))?;
            *sent = json!(wanted);
            if ids.insert(wanted.to_owned(), id.clone()).is_some() {
                return Err(format!("{wanted} is expected twice"));
            }
        }
    }
    let different: std::collections::BTreeSet<_> = ids.values().collect();
    if different.len() != ids.len() {
        return Err("two rows have the same anymail_id".into());
    }
    for json in [&mut sent, &mut wanted] {
        rows(json).into_iter().for_each(sort_headers);
        sort_headers(json);
    }
    if sent != wanted {
        return Err(format!("request:\n  sent   {sent}\n  wanted {wanted}"));
    }
    Ok(ids)
}

/// The rows of a request's body.
fn rows(json: &mut Value) -> Vec<&mut Value> {
    if json.get("Messages").is_some() {
        return rows(&mut json["Messages"]);
    }
    match json {
        Value::Array(rows) => rows.iter_mut().collect(),
        row => vec![row],
    }
}

/// Neither the order of headers nor the case of their names matters.
fn sort_headers(row: &mut Value) {
    if let Some(Value::Array(headers)) = row.get_mut("Headers") {
        for header in headers.iter_mut() {
            if let Some(Value::String(name)) = header.get_mut("Name") {
                name.make_ascii_lowercase();
            }
        }
        headers.sort_by_key(|header| header.to_string());
    }
}

#[derive(Debug)]
enum Failure {
    Message(MessageError),
    Send(SendError),
}

impl Failure {
    fn kind(&self) -> &'static str {
        let faults = match self {
            Self::Message(error) => error.faults(),
            Self::Send(error) => error.faults(),
        };
        let has = |kind| faults.iter().any(|fault| fault.kind() == kind);
        if has(FaultKind::InvalidAddress) {
            return "invalid_address";
        }
        if has(FaultKind::NoRecipients) {
            return "no_recipients";
        }
        let Self::Send(error) = self else {
            return "another fault of the message";
        };
        match error.kind() {
            SendErrorKind::UnsupportedFeature => "unsupported_feature",
            SendErrorKind::RecipientsRefused => "recipients_refused",
            _ if error.http_status().is_some() => "api_error",
            _ => "another error",
        }
    }

    fn error(&self) -> Option<&SendError> {
        match self {
            Self::Message(_) => None,
            Self::Send(error) => Some(error),
        }
    }
}

fn compare_outcome(
    expect: &Expect,
    outcome: &Result<SendStatus, Failure>,
    ids: &BTreeMap<String, String>,
) -> Result<(), String> {
    match (&expect.error, outcome) {
        (None, Ok(_)) => {}
        (Some(wanted), Err(failure)) => {
            if failure.kind() != wanted.kind {
                return Err(format!(
                    "{}, not {}: {failure:?}",
                    failure.kind(),
                    wanted.kind
                ));
            }
            let http_status = failure.error().and_then(SendError::http_status);
            if wanted.http_status.is_some() && http_status != wanted.http_status {
                return Err(format!(
                    "HTTP {http_status:?}, not {:?}",
                    wanted.http_status
                ));
            }
        }
        (Some(wanted), Ok(status)) => return Err(format!("{status:?}, not {}", wanted.kind)),
        (None, Err(failure)) => return Err(format!("{failure:?}")),
    }
    let status = match outcome {
        Ok(status) => Some(status),
        // If every recipient is unknown, there is no status.
        Err(failure) => failure
            .error()
            .and_then(SendError::status)
            .filter(|status| !status.all(Status::Unknown)),
    };
    let got: Option<BTreeMap<_, _>> = status.map(|status| {
        let recipients = status.recipients().map(|recipient| {
            let name = serde_json::to_value(recipient.status).unwrap_or_default();
            let entry = Recipient {
                status: name.as_str().unwrap_or_default().to_owned(),
                message_id: recipient.message_id.clone(),
            };
            (recipient.email.clone(), entry)
        });
        recipients.collect()
    });
    let wanted: Option<BTreeMap<_, _>> = expect.recipients.as_ref().map(|recipients| {
        let made_up = |id: &String| ids.get(id).unwrap_or(id).clone();
        let entry = |(email, it): (&String, &Recipient)| {
            let message_id = it.message_id.as_ref().map(made_up);
            let status = it.status.clone();
            (email.clone(), Recipient { status, message_id })
        };
        recipients.iter().map(entry).collect()
    });
    if got != wanted {
        return Err(format!(
            "recipients:\n  got    {got:?}\n  wanted {wanted:?}"
        ));
    }
    Ok(())
}
