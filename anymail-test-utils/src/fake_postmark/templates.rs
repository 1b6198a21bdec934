//! Stored templates and the `templates` endpoints.
//!
//! `mustachio.rs` implements the template language; `sending.rs` sends with a template.

use serde_json::{Value, json};

use super::api::{Call, Paging};
use super::fields::{Fields, set};
use super::mustachio::{self, TemplateFault};
use super::rules::{self, ApiError};
use super::sending::Content;
use super::state::{Fake, SERVER_ID, State};

/// A template or a layout.
#[derive(Debug, Clone)]
pub(super) struct Template {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) alias: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) html_body: Option<String>,
    pub(super) text_body: Option<String>,
    pub(super) is_layout: bool,
    /// The alias of its layout.
    pub(super) layout: Option<String>,
}

impl Template {
    fn summary(&self) -> Value {
        json!({
            "Active": true,
            "TemplateId": self.id,
            "Name": self.name,
            "Alias": self.alias,
            "TemplateType": if self.is_layout { "Layout" } else { "Standard" },
            "LayoutTemplate": self.layout,
        })
    }
}

impl State {
    fn template(&self, id: Option<i64>, alias: Option<&str>) -> Option<&Template> {
        // An ID takes precedence over an alias. DOC, for batches
        let fits = |template: &&Template| match id {
            Some(id) => template.id == id,
            None => alias.is_some() && template.alias.as_deref() == alias,
        };
        self.templates.iter().find(fits)
    }

    /// Finds a template by the ID or alias in a path.
    fn template_by_name(&self, name: &str) -> Result<&Template, ApiError> {
        match name.parse() {
            Ok(id) => self
                .template(Some(id), None)
                .ok_or_else(rules::unknown_template_id),
            Err(_) => self
                .template(None, Some(name))
                .ok_or_else(rules::unknown_template_alias),
        }
    }

    /// Renders the content of a message with this template.
    ///
    /// # Errors
    /// Returns an error if the template does not exist. A template that cannot be rendered is not
    /// an error here: the message bounces.
    pub(super) fn render(
        &self,
        id: Option<i64>,
        alias: Option<&str>,
        model: &Value,
    ) -> Result<Content, ApiError> {
        let template = self
            .template(id, alias)
            .filter(|template| !template.is_layout);
        let template = template.ok_or_else(|| match id {
            Some(_) => rules::unknown_template_id(),
            None => self.no_template(alias),
        })?;
        let layout = self.layout(template.layout.as_deref());
        let name = match id {
            Some(id) => id.to_string(),
            None => alias.unwrap_or_default().to_owned(),
        };
        let parts = Parts {
            subject: template.subject.as_deref(),
            html_body: template.html_body.as_deref(),
            text_body: template.text_body.as_deref(),
        };
        Ok(parts.render(layout, model, Some(name)))
    }

    /// Returns the refusal for an unknown alias.
    fn no_template(&self, alias: Option<&str>) -> ApiError {
        let folder = self.template_folder.as_ref();
        let broken = folder.and_then(|folder| folder.refusal(alias?));
        broken.unwrap_or_else(rules::unknown_template_alias)
    }

    fn layout(&self, alias: Option<&str>) -> Option<&Template> {
        let layout = self.template(None, alias)?;
        layout.is_layout.then_some(layout)
    }
}

/// The parts of a template, or of an inline text that is rendered like one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) subject: Option<&'a str>,
    pub(super) html_body: Option<&'a str>,
    pub(super) text_body: Option<&'a str>,
}

impl Parts<'_> {
    pub(super) fn render(
        self,
        layout: Option<&Template>,
        model: &Value,
        template: Option<String>,
    ) -> Content {
        let mut render_error = None;
        let mut render = |source: Option<&str>, layout: Option<&str>, escape| {
            let source = source.filter(|source| !source.is_empty())?;
            let source = match layout {
                Some(layout) => mustachio::insert_content(layout, source)?,
                None => source.to_owned(),
            };
            let rendered = mustachio::compile(&source, escape)
                .map_err(|faults| describe(&faults))
                .and_then(|compiled| compiled.render(model));
            rendered.map_err(|words| render_error = Some(words)).ok()
        };
        let html_layout = layout.and_then(|layout| layout.html_body.as_deref());
        let text_layout = layout.and_then(|layout| layout.text_body.as_deref());
        // It is inferred that only HTML is escaped.
        let subject = render(self.subject, None, false).unwrap_or_default();
        let html_body = render(self.html_body, html_layout, true);
        let text_body = render(self.text_body, text_layout, false);
        Content {
            subject,
            html_body,
            text_body,
            template,
            render_error,
        }
    }
}

fn describe(faults: &[TemplateFault]) -> String {
    let one = |fault: &TemplateFault| {
        format!(
            "{} (line {}, character {})",
            fault.message, fault.line, fault.character
        )
    };
    faults.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// `GET templates`
pub(super) fn list(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let paging = Paging::required(call, rules::template_query)?;
    let kind = call.query("TemplateType").unwrap_or("All").to_lowercase();
    let layout = call.query("LayoutTemplate");
    let fits = |template: &&Template| {
        let of_kind = match kind.as_str() {
            "standard" => !template.is_layout,
            "layout" => template.is_layout,
            _ => true,
        };
        of_kind && layout.is_none_or(|alias| template.layout.as_deref() == Some(alias))
    };
    let state = fake.state();
    let found: Vec<_> = state.templates.iter().filter(fits).collect();
    let total = found.len();
    let rows: Vec<_> = paging
        .page(found)
        .into_iter()
        .map(Template::summary)
        .collect();
    Ok(json!({"TotalCount": total, "Templates": rows}))
}

/// `GET templates/{id or alias}`
pub(super) fn get(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let state = fake.state();
    let template = state.template_by_name(call.part(1))?;
    Ok(json!({
        "Active": true,
        "Alias": template.alias,
        "AssociatedServerId": SERVER_ID,
        "HtmlBody": template.html_body,
        "LayoutTemplate": template.layout,
        "Name": template.name,
        "Subject": template.subject,
        "TemplateId": template.id,
        "TemplateType": if template.is_layout { "Layout" } else { "Standard" },
        "TextBody": template.text_body,
    }))
}

/// `POST templates`
pub(super) fn create(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let json = call.json()?;
    let fields = Fields::root(&json)?;
    if fields.is_empty() {
        return Err(rules::no_template_data());
    }
    let is_layout = read_kind(&fields)?;
    let mut state = fake.state();
    if state.templates.len() >= rules::MAX_TEMPLATES {
        return Err(rules::too_many_templates());
    }
    let template = Template {
        id: state.next_id(),
        name: fields.text("Name")?.unwrap_or_default(),
        alias: filled(fields.text("Alias")?),
        subject: fields.text("Subject")?,
        html_body: fields.text("HtmlBody")?,
        text_body: fields.text("TextBody")?,
        is_layout,
        layout: filled(fields.text("LayoutTemplate")?),
    };
    check(&state, &template)?;
    let summary = template.summary();
    state.templates.push(template);
    Ok(summary)
}

/// `PUT templates/{id or alias}` changes only the fields that are given.
pub(super) fn edit(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let json = call.json()?;
    let fields = Fields::root(&json)?;
    let mut state = fake.state();
    let mut template = state.template_by_name(call.part(1))?.clone();
    if fields.is_empty() {
        return Err(rules::no_template_data());
    }
    if let Some(name) = fields.text("Name")? {
        template.name = name;
    }
    for (key, part) in [
        ("Alias", &mut template.alias),
        ("Subject", &mut template.subject),
        ("HtmlBody", &mut template.html_body),
        ("TextBody", &mut template.text_body),
        ("LayoutTemplate", &mut template.layout),
    ] {
        if let Some(text) = fields.text(key)? {
            *part = filled(Some(text));
        }
    }
    check(&state, &template)?;
    let summary = template.summary();
    let same = |old: &&mut Template| old.id == template.id;
    if let Some(old) = state.templates.iter_mut().find(same) {
        *old = template;
    }
    Ok(summary)
}

/// `DELETE templates/{id or alias}`
pub(super) fn delete(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let mut state = fake.state();
    let template = state.template_by_name(call.part(1))?.clone();
    let alias = template.alias.as_deref();
    let uses = |other: &Template| alias.is_some() && other.layout.as_deref() == alias;
    if template.is_layout && state.templates.iter().any(uses) {
        return Err(rules::layout_in_use());
    }
    state.templates.retain(|other| other.id != template.id);
    Ok(json!({"ErrorCode": 0, "Message": format!("Template {} removed.", template.id)}))
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

pub(super) fn read_kind(fields: &Fields<'_>) -> Result<bool, ApiError> {
    match fields.text("TemplateType")?.as_deref() {
        None | Some("Standard") => Ok(false),
        Some("Layout") => Ok(true),
        Some(_) => {
            let what = "Expected Standard or Layout.";
            Err(rules::template_field_invalid("TemplateType", what))
        }
    }
}

pub(super) fn check(state: &State, template: &Template) -> Result<(), ApiError> {
    let present = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    if template.name.is_empty() {
        return Err(rules::template_field_missing("Name"));
    }
    if !present(&template.html_body) && !present(&template.text_body) {
        return Err(rules::template_field_missing("HtmlBody or TextBody"));
    }
    check_alias(state, template)?;
    if template.is_layout {
        check_layout(template)?;
    } else if !present(&template.subject) {
        return Err(rules::template_field_missing("Subject"));
    }
    if template.layout.is_some() && state.layout(template.layout.as_deref()).is_none() {
        return Err(rules::unknown_layout());
    }
    for (field, source) in [
        ("Subject", &template.subject),
        ("HtmlBody", &template.html_body),
        ("TextBody", &template.text_body),
    ] {
        let source = source.as_deref().unwrap_or_default();
        let source = match template.is_layout {
            true => mustachio::insert_content(source, "").unwrap_or_default(),
            false => source.to_owned(),
        };
        mustachio::compile(&source, true)
            .map_err(|faults| rules::template_field_invalid(field, &describe(&faults)))?;
    }
    Ok(())
}

/// A letter, followed by letters, digits and `.-_`. DOC; that it must be unique is inferred.
fn check_alias(state: &State, template: &Template) -> Result<(), ApiError> {
    let Some(alias) = template.alias.as_deref() else {
        return Ok(());
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    if !alias.starts_with(|c: char| c.is_ascii_alphabetic()) || !alias.chars().all(allowed) {
        let what = "Expected a letter, followed by letters, digits, '.', '-' and '_'.";
        return Err(rules::template_field_invalid("Alias", what));
    }
    let same = |other: &Template| other.id != template.id && other.alias.as_deref() == Some(alias);
    match state.templates.iter().any(same) {
        true => Err(rules::template_field_invalid(
            "Alias",
            "It is already in use.",
        )),
        false => Ok(()),
    }
}

fn check_layout(layout: &Template) -> Result<(), ApiError> {
    if layout
        .subject
        .as_ref()
        .is_some_and(|subject| !subject.is_empty())
    {
        return Err(rules::template_conflict("A layout has no 'Subject'."));
    }
    if layout.layout.is_some() {
        let words = "A layout has no 'LayoutTemplate'.";
        return Err(rules::template_conflict(words));
    }
    for (field, body) in [
        ("HtmlBody", &layout.html_body),
        ("TextBody", &layout.text_body),
    ] {
        let body = body.as_deref().filter(|body| !body.is_empty());
        if body.is_some_and(|body| mustachio::insert_content(body, "").is_none()) {
            return Err(rules::layout_placeholder(field));
        }
    }
    Ok(())
}

/// `POST templates/validate`
pub(super) fn validate(fake: &Fake, call: &Call) -> Result<Value, ApiError> {
    let json = call.json()?;
    let fields = Fields::root(&json)?;
    if fields.is_empty() {
        return Err(rules::no_template_data());
    }
    let is_layout = read_kind(&fields)?;
    let given = fields.object("TestRenderModel")?.map(|model| model.raw());
    let state = fake.state();
    let alias = fields.text("LayoutTemplate")?;
    let layout = state.layout(alias.as_deref());
    if alias.is_some() && layout.is_none() {
        return Err(rules::unknown_layout());
    }
    let mut suggested = json!({});
    let mut sections = Vec::new();
    for (field, escape, around) in [
        ("Subject", false, None),
        (
            "HtmlBody",
            true,
            layout.and_then(|l| l.html_body.as_deref()),
        ),
        (
            "TextBody",
            false,
            layout.and_then(|l| l.text_body.as_deref()),
        ),
    ] {
        let Some(mut source) = fields.text(field)? else {
            continue;
        };
        if is_layout {
            source = mustachio::insert_content(&source, "").unwrap_or(source);
        } else if let Some(around) = around {
            source = mustachio::insert_content(around, &source).unwrap_or(source);
        }
        let compiled = mustachio::compile(&source, escape);
        if let Ok(compiled) = &compiled {
            merge(&mut suggested, &compiled.model);
        }
        sections.push((field, compiled));
    }
    if let Some(given) = &given {
        merge(&mut suggested, given);
    }
    let mut answer = json!({});
    let mut all_valid = true;
    for (field, compiled) in sections {
        let rendered = render(compiled, given.as_ref().unwrap_or(&suggested));
        all_valid &= rendered.is_ok();
        set(&mut answer, field, section(rendered));
    }
    set(&mut answer, "AllContentIsValid", all_valid);
    set(&mut answer, "SuggestedTemplateModel", suggested);
    Ok(answer)
}

fn render(
    compiled: Result<mustachio::Compiled, Vec<TemplateFault>>,
    model: &Value,
) -> Result<String, Vec<TemplateFault>> {
    let fault = |message| TemplateFault {
        message,
        line: 1,
        character: 1,
    };
    compiled?.render(model).map_err(|words| vec![fault(words)])
}

fn section(rendered: Result<String, Vec<TemplateFault>>) -> Value {
    match rendered {
        Ok(content) => json!({
            "ContentIsValid": true,
            "RenderedContent": content,
            "ValidationErrors": [],
        }),
        Err(faults) => json!({
            "ContentIsValid": false,
            "RenderedContent": null,
            "ValidationErrors": faults.iter().map(|fault| json!({
                "CharacterPosition": fault.character,
                "Line": fault.line,
                "Message": fault.message,
            })).collect::<Vec<_>>(),
        }),
    }
}

/// Merges one model into another; objects are merged key by key.
pub(super) fn merge(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                merge(under.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}
