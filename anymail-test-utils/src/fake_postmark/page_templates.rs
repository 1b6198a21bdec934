//! Builds the "Templates" page, which renders a stored template with the values of its last send.

use serde_json::{Value, json};

use super::message::SentMessage;
use super::mustachio;
use super::sending::Content;
use super::state::{Fake, State};
use super::templates::{Template, merge};

/// The list of templates, and the template with this ID rendered.
pub(super) fn view(fake: &Fake, id: Option<i64>) -> Value {
    fake.read_templates();
    let state = fake.state();
    let folder = state.template_folder.as_ref();
    let rows = state.templates.iter().map(|template| {
        json!({
            "id": template.id,
            "name": template.alias.as_ref().unwrap_or(&template.name),
            "is_layout": template.is_layout,
        })
    });
    let shown = state
        .templates
        .iter()
        .find(|template| Some(template.id) == id);
    json!({
        "folder": folder.map(|folder| folder.root().display().to_string()),
        "problems": folder.map(|folder| folder.problems().collect::<Vec<_>>()),
        "rows": rows.collect::<Vec<_>>(),
        "shown": shown.map(|template| self::shown(&state, template)),
    })
}

/// The HTML of a template with the values of its last send.
pub(super) fn html(fake: &Fake, id: i64) -> Option<String> {
    fake.read_templates();
    let state = fake.state();
    let template = state.templates.iter().find(|template| template.id == id)?;
    rendered(&state, template)?.html_body
}

fn shown(state: &State, template: &Template) -> Value {
    let last = last_send(state, template);
    let content = rendered(state, template);
    let content = content.as_ref();
    let values = serde_json::to_string_pretty(&values(state, template)).unwrap_or_default();
    json!({
        "id": template.id,
        "name": template.name,
        "alias": template.alias,
        "is_layout": template.is_layout,
        "layout": template.layout,
        "subject": content.map(|content| &content.subject),
        "text": content.and_then(|content| content.text_body.as_ref()),
        "has_html": content.is_some_and(|content| content.html_body.is_some()),
        "error": content.and_then(|content| content.render_error.as_ref()),
        "values": values,
        "sent": last.map(|message| &message.id),
    })
}

/// `None` for a layout, which is rendered only around templates.
fn rendered(state: &State, template: &Template) -> Option<Content> {
    let values = values(state, template);
    state.render(Some(template.id), None, &values).ok()
}

/// The values of the last message sent with the template, or placeholders if there is none.
fn values(state: &State, template: &Template) -> Value {
    let last = last_send(state, template);
    let sent = last.and_then(|message| message.template_model.clone());
    sent.unwrap_or_else(|| {
        let mut suggested = json!({});
        let parts = [&template.subject, &template.html_body, &template.text_body];
        for source in parts.into_iter().flatten() {
            if let Ok(compiled) = mustachio::compile(source, false) {
                merge(&mut suggested, &compiled.model);
            }
        }
        suggested
    })
}

fn last_send<'s>(state: &'s State, template: &Template) -> Option<&'s SentMessage> {
    let id = template.id.to_string();
    let names = [Some(id.as_str()), template.alias.as_deref()];
    let mut newest = state.messages.iter().rev();
    let with_it = |message: &&std::sync::Arc<SentMessage>| {
        message.template.is_some() && names.contains(&message.template.as_deref())
    };
    newest.find(with_it).map(|message| &**message)
}
