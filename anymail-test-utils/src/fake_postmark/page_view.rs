//! Builds the values that the template `page.html` renders for the mailbox page.
//!
//! Nothing is escaped here, because the template escapes every value.

use std::net::SocketAddr;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use serde_json::{Value, json};

use super::bounce_type::BounceType;
use super::message::{Mailbox, SentMessage};
use super::page_templates;
use super::state::Fake;
use super::webhooks::{Target, WebhookReport};

const TEMPLATE: &str = include_str!("page.html");

/// The key of the reports about inbound mail, in place of a message ID.
pub(super) const RECEIVED: &str = "receive";

/// The maximum number of messages in the list.
const LISTED: usize = 200;

/// The maximum number of characters shown of the JSON or the source of a message.
const JSON_SHOWN: usize = 20_000;

/// What the page shows next to the list of messages.
pub(super) enum Beside<'a> {
    Nothing,
    /// A message, with the tab of this name open.
    Message(&'a SentMessage, &'a str),
    /// The form for inbound mail.
    Receive,
    /// The stored templates, with the one of this ID rendered.
    Templates(Option<i64>),
}

/// Renders the page of the fake at `url`.
pub(super) fn render(fake: &Fake, url: &str, beside: &Beside<'_>) -> String {
    let (rows, total, message, receive) = {
        let state = fake.state();
        let newest = state.messages.iter().rev().take(LISTED);
        let mut newest: Vec<_> = newest
            .chain(state.refused.iter().rev().take(LISTED))
            .collect();
        newest.sort_by_key(|message| std::cmp::Reverse(message.accepted_at));
        let rows = newest.into_iter().take(LISTED);
        let rows: Vec<_> = rows.map(|message| row(message)).collect();
        let total = state.messages.len() + state.refused.len();
        let reports = |id: &str| state.reports.get(id).map_or(&[][..], Vec::as_slice);
        let (message, receive) = match beside {
            Beside::Nothing | Beside::Templates(_) => (None, None),
            Beside::Message(message, tab) => {
                let events = state.events.get(&message.id).map_or(&[][..], Vec::as_slice);
                let message = whole(message, events, reports(&message.id), tab);
                (Some(message), None)
            }
            Beside::Receive => {
                let webhook = Target::new(state.server.text("InboundHookUrl")).shown_url();
                let pressed = state.reports.contains_key(RECEIVED);
                let reports: Vec<_> = reports(RECEIVED).iter().map(report).collect();
                let receive = json!({
                    "waiting": pressed && reports.is_empty() && !webhook.is_empty(),
                    "webhook": webhook,
                    "reports": reports,
                });
                (None, Some(receive))
            }
        };
        (rows, total, message, receive)
    };
    let templates = match beside {
        Beside::Templates(id) => Some(page_templates::view(fake, *id)),
        _ => None,
    };
    let kinds: Vec<_> = BounceType::ALL.iter().map(|kind| kind.as_str()).collect();
    let values = json!({
        "url": url,
        "smtp": fake.smtp.get().map(SocketAddr::to_string),
        "total": total,
        "rows": rows,
        "message": message,
        "receive": receive,
        "templates": templates,
        "kinds": kinds,
    });
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let rendered = environment.render_str(TEMPLATE, Serde(values));
    // This cannot fail: the template is a constant, and the values always have this shape.
    rendered.unwrap_or_else(|error| format!("could not render the page: {:?}", error.kind()))
}

fn row(message: &SentMessage) -> Value {
    let text = message.text_body.as_deref().unwrap_or_default();
    let preview: String = text.chars().take(120).collect();
    let everybody = message.to.iter().chain(&message.cc).chain(&message.bcc);
    let emails: Vec<_> = everybody.map(|mailbox| mailbox.email.as_str()).collect();
    json!({
        "id": message.id,
        "to": emails.join(", "),
        "subject": shown_subject(message),
        "refused": message.refusal.is_some(),
        "time": message.submitted_at.get(11..19),
        "preview": preview.split_whitespace().collect::<Vec<_>>().join(" "),
    })
}

fn shown_subject(message: &SentMessage) -> &str {
    match message.subject.as_str() {
        "" => "(no subject)",
        subject => subject,
    }
}

fn whole(message: &SentMessage, events: &[Value], reports: &[WebhookReport], tab: &str) -> Value {
    let pair = |(name, value): (&String, &String)| json!({"name": name, "value": value});
    let headers = message.headers.iter().map(|(name, value)| (name, value));
    let json_text = serde_json::to_string_pretty(&message.request).unwrap_or_default();
    let json_shown: String = json_text.chars().take(JSON_SHOWN).collect();
    let tab = match tab {
        "events" => "events",
        _ if message.html_body.is_some() => "html",
        _ if message.text_body.is_some() => "text",
        _ => "headers",
    };
    json!({
        "id": message.id,
        "subject": shown_subject(message),
        "fields": fields(message),
        "stream": message.stream,
        "tag": message.tag,
        "metadata": message.metadata.iter().map(pair).collect::<Vec<_>>(),
        "inactive": message.inactive.join(", "),
        "render_error": message.render_error,
        "refusal": message.refusal,
        "source": message.raw_mime.as_deref().map(shown_source),
        "has_html": message.html_body.is_some(),
        "text": message.text_body,
        "headers": headers.map(pair).collect::<Vec<_>>(),
        "attachments": message.attachments.iter().map(|attachment| json!({
            "name": attachment.name,
            "content_type": attachment.content_type,
            "content_id": attachment.content_id,
            "size": attachment.content.len(),
        })).collect::<Vec<_>>(),
        "json_cut": json_shown.len() < json_text.len(),
        "json": json_shown,
        "links": links(message),
        "events": events,
        "reports": reports.iter().map(report).collect::<Vec<_>>(),
        "tab": tab,
    })
}

/// The beginning of the raw message.
fn shown_source(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let shown: String = text.chars().take(JSON_SHOWN).collect();
    match shown.len() < text.len() {
        true => shown + "\n[...]",
        false => shown,
    }
}

/// The non-empty fields, in the order that mail clients use.
fn fields(message: &SentMessage) -> Vec<Value> {
    let template = message.template_model.as_ref().map(Value::to_string);
    let template = match (&message.template, template) {
        (Some(name), Some(model)) => format!("{name} with {model}"),
        _ => String::new(),
    };
    [
        ("From", message.from.to_string()),
        ("To", list(&message.to)),
        ("Cc", list(&message.cc)),
        ("Bcc", list(&message.bcc)),
        ("Reply-To", list(&message.reply_to)),
        ("Template", template),
        (
            "Sent",
            format!("{} to {}", message.submitted_at, message.endpoint),
        ),
        ("Id", message.id.clone()),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(name, value)| json!({"name": name, "value": value}))
    .collect()
}

fn list(mailboxes: &[Mailbox]) -> String {
    let texts: Vec<_> = mailboxes.iter().map(Mailbox::to_string).collect();
    texts.join(", ")
}

/// Everything in a message's bodies that looks like a link.
fn links(message: &SentMessage) -> Vec<String> {
    let mut found = Vec::new();
    for body in [&message.html_body, &message.text_body]
        .into_iter()
        .flatten()
    {
        for (start, _) in body.match_indices("http") {
            let rest = body.get(start..).unwrap_or_default();
            let end = rest.find(|c: char| c.is_whitespace() || "\"'<>()".contains(c));
            let link = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            let is_link = link.starts_with("http://") || link.starts_with("https://");
            let link = link.trim_end_matches(['.', ',']).replace("&amp;", "&");
            if is_link && !found.contains(&link) {
                found.push(link);
            }
        }
    }
    if found.is_empty() {
        found.push("https://example.com/".to_owned());
    }
    found
}

fn report(report: &WebhookReport) -> Value {
    let last = report.attempts.last();
    let outcome = match last.and_then(|last| last.status) {
        Some(status) => format!("HTTP {status}"),
        None => "no response".to_owned(),
    };
    let attempts = match report.attempts.len() {
        1 => String::new(),
        attempts => format!(", {attempts} attempts"),
    };
    let answer = last.map_or("", |last| last.body.as_str());
    json!({
        "kind": report.payload.get("RecordType"),
        "url": report.url,
        "delivered": report.delivered,
        "outcome": outcome + &attempts,
        "answer": answer.chars().take(200).collect::<String>(),
    })
}
