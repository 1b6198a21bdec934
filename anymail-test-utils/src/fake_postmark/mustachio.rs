//! Mustachio, Postmark's template language: rendering, validation and suggested models.
//!
//! Mustachio is Mustache with paths (`a.b`, `../a`, `.`) and with `{{#each list}}` for lists. No
//! crate supports it: `handlebars` refuses `{{^x}}` and `{{.}}`, and all others count `../`
//! differently (in Mustachio, each part of a path is a level). Its scopes are lexical, so this
//! module resolves the path of each tag and translates the template to one for `minijinja`, which
//! renders it.
//!
//! Source: <https://github.com/ActiveCampaign/mustachio>.

use minijinja::value::{Kwargs, Serde, Value as Jinja, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, context};
use serde_json::{Map, Value, json};

/// A fault in a template, with line and character, both starting at 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TemplateFault {
    pub(super) message: String,
    pub(super) line: usize,
    pub(super) character: usize,
}

/// A compiled template.
#[derive(Debug)]
pub(super) struct Compiled {
    jinja: String,
    /// The texts between the tags.
    texts: Vec<String>,
    /// A suggested model.
    pub(super) model: Value,
}

/// Compiles a template. With `escape`, `{{x}}` is escaped for HTML.
///
/// # Errors
/// Returns all faults of the template.
pub(super) fn compile(source: &str, escape: bool) -> Result<Compiled, Vec<TemplateFault>> {
    let mut compiler = Compiler::new(source, escape);
    let mut position = 0;
    for tag in tags(source) {
        compiler.text(source.get(position..tag.start).unwrap_or_default());
        compiler.tag(&tag);
        position = tag.end;
    }
    compiler.text(source.get(position..).unwrap_or_default());
    compiler.finish()
}

impl Compiled {
    /// Renders the template with these values. Missing values are empty.
    ///
    /// # Errors
    /// Returns a description of the problem with the model: a value that is used as a list but is
    /// not one.
    pub(super) fn render(&self, model: &Value) -> Result<String, String> {
        let mut environment = Environment::empty();
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.add_function("plain", plain);
        environment.add_function("html", |value: Jinja| escape_html(&plain(value)));
        environment.add_function("exists", exists);
        environment.add_function("items", items);
        environment
            .render_str(
                &self.jinja,
                context! { m => Serde(model), t => Serde(&self.texts) },
            )
            .map_err(|error| error.detail().unwrap_or("nested too deeply").to_owned())
    }
}

/// Inserts a template's source into its layout, in place of `{{{ @content }}}`; `None` unless that
/// appears exactly once.
pub(super) fn insert_content(layout: &str, content: &str) -> Option<String> {
    let mut places = tags(layout).filter(|tag| tag.raw && tag.inner.trim() == "@content");
    let place = places.next()?;
    if places.next().is_some() {
        return None;
    }
    let (before, after) = (layout.get(..place.start)?, layout.get(place.end..)?);
    Some(format!("{before}{content}{after}"))
}

/// `{{inner}}`, or `{{{inner}}}` if it is raw.
struct Tag<'a> {
    inner: &'a str,
    raw: bool,
    start: usize,
    end: usize,
}

fn tags(source: &str) -> impl Iterator<Item = Tag<'_>> {
    let mut position = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = source.get(position..)?;
            let start = position + rest.find("{{")?;
            let from = source.get(start..)?;
            for (open, close) in [("{{{", "}}}"), ("{{", "}}")] {
                let Some(inside) = from.strip_prefix(open) else {
                    continue;
                };
                let length = inside.find(['{', '}']).unwrap_or(inside.len());
                let (inner, behind) = inside.split_at(length);
                if !inner.is_empty() && behind.starts_with(close) {
                    let end = start + open.len() + length + close.len();
                    position = end;
                    let raw = open.len() == 3;
                    return Some(Tag {
                        inner,
                        raw,
                        start,
                        end,
                    });
                }
            }
            position = start + 1;
        }
    })
}

/// A step into a model.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Key(String),
    Item,
}

/// A value in scope: its minijinja expression and its place in the model.
#[derive(Debug, Clone)]
struct Place {
    expression: String,
    path: Vec<Step>,
}

/// An open block: its path as written, and the values that `../` returns to.
struct Scope {
    name: String,
    each: bool,
    start: usize,
    reach: Vec<Place>,
}

/// The maximum depth of a template, counting blocks and paths: deeper than any real template, and
/// shallow enough for every stack.
const MAX_LEVELS: usize = 100;

struct Compiler<'a> {
    source: &'a str,
    escape: bool,
    out: Compiled,
    scopes: Vec<Scope>,
    faults: Vec<TemplateFault>,
}

impl<'a> Compiler<'a> {
    fn new(source: &'a str, escape: bool) -> Self {
        let out = Compiled {
            jinja: String::new(),
            texts: Vec::new(),
            model: json!({}),
        };
        Self {
            source,
            escape,
            out,
            scopes: Vec::new(),
            faults: Vec::new(),
        }
    }

    fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.out.jinja += &format!("{{{{ t[{}] }}}}", self.out.texts.len());
            self.out.texts.push(text.to_owned());
        }
    }

    fn tag(&mut self, tag: &Tag<'_>) {
        let inner = tag.inner;
        let sigil = inner.chars().next().unwrap_or_default();
        let name = inner.get(sigil.len_utf8()..).unwrap_or_default().trim();
        match sigil {
            _ if tag.raw => self.value(inner.trim(), false, tag.start),
            '!' => {}
            '&' => self.value(name, false, tag.start),
            '#' => match name.strip_prefix("each") {
                Some("") => self.fault(tag.start, "'each' requires the path of a list"),
                Some(list) if list.starts_with(char::is_whitespace) => {
                    self.open_each(list.trim(), tag.start);
                }
                _ => self.open(name, "", tag.start),
            },
            '^' => self.open(name, "not ", tag.start),
            '/' => self.close(name, tag.start),
            _ => self.value(inner.trim(), self.escape, tag.start),
        }
    }

    fn value(&mut self, path: &str, escape: bool, start: usize) {
        let reach = self.resolve(path, start);
        let expression = self.note(&reach);
        let function = if escape { "html" } else { "plain" };
        self.out.jinja += &format!("{{{{ {function}({expression}) }}}}");
    }

    fn open(&mut self, path: &str, not: &str, start: usize) {
        // The same path again closes the previous block: `{{#a}}yes{{^a}}no{{/a}}`.
        if self
            .scopes
            .last()
            .is_some_and(|s| !s.each && s.name == path)
        {
            self.scopes.pop();
            self.out.jinja += "{% endif %}";
        }
        let reach = self.resolve(path, start);
        let expression = self.note(&reach);
        self.out.jinja += &format!("{{% if {not}exists({expression}) %}}");
        self.push(path, false, start, reach);
    }

    fn open_each(&mut self, path: &str, start: usize) {
        let mut reach = self.resolve(path, start);
        let list = reach.last().cloned().unwrap_or_else(root);
        let variable = format!("i{}", self.scopes.len());
        self.out.jinja += &format!(
            "{{% for {variable} in items({}, path={}) %}}",
            list.expression,
            json!(path)
        );
        let mut path_of_item = list.path;
        path_of_item.push(Step::Item);
        reach.push(Place {
            expression: variable,
            path: path_of_item,
        });
        self.note(&reach);
        self.push(path, true, start, reach);
    }

    fn push(&mut self, name: &str, each: bool, start: usize, mut reach: Vec<Place>) {
        if self.scopes.len() >= MAX_LEVELS {
            self.fault(start, "nested too deeply");
            reach.truncate(1);
        }
        self.scopes.push(Scope {
            name: name.to_owned(),
            each,
            start,
            reach,
        });
    }

    fn close(&mut self, name: &str, start: usize) {
        let fits = |scope: &Scope| match scope.each {
            true => name == "each",
            false => name == scope.name,
        };
        if self.scopes.last().is_none_or(|scope| !fits(scope)) {
            self.fault(start, "this tag does not close the innermost open block");
            return;
        }
        let each = self.scopes.pop().is_some_and(|scope| scope.each);
        self.out.jinja += if each { "{% endfor %}" } else { "{% endif %}" };
    }

    /// Resolves a path, together with all values on the way.
    fn resolve(&mut self, path: &str, start: usize) -> Vec<Place> {
        let mut reach = match self.scopes.last() {
            Some(scope) => scope.reach.clone(),
            None => vec![root()],
        };
        if !is_path(path) {
            self.fault(start, &format!("'{path}' is not a valid path"));
        }
        let mut rest = path;
        while let Some(up) = rest.strip_prefix("../") {
            if reach.len() > 1 {
                reach.pop();
            }
            rest = up;
        }
        for key in rest.split('.').filter(|key| !key.is_empty()) {
            if reach.len() > MAX_LEVELS {
                self.fault(start, "nested too deeply");
                break;
            }
            let Place {
                expression,
                mut path,
            } = reach.last().cloned().unwrap_or_else(root);
            path.push(Step::Key(key.to_owned()));
            let expression = format!("{expression}[{}]", json!(key));
            reach.push(Place { expression, path });
        }
        reach
    }

    /// Adds the place to the suggested model and returns its expression.
    fn note(&mut self, reach: &[Place]) -> String {
        let place = reach.last().cloned().unwrap_or_else(root);
        note(&mut self.out.model, &place.path, "value");
        place.expression
    }

    fn fault(&mut self, start: usize, message: &str) {
        let before = self.source.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let on_line = before.get(line_start..).unwrap_or_default();
        self.faults.push(TemplateFault {
            message: message.to_owned(),
            line: before.matches('\n').count() + 1,
            character: on_line.chars().count() + 1,
        });
    }

    fn finish(mut self) -> Result<Compiled, Vec<TemplateFault>> {
        for scope in std::mem::take(&mut self.scopes) {
            let message = format!("the block of '{}' is not closed", scope.name);
            self.fault(scope.start, &message);
        }
        match self.faults.is_empty() {
            true => Ok(self.out),
            false => Err(self.faults),
        }
    }
}

fn root() -> Place {
    Place {
        expression: "m".to_owned(),
        path: Vec::new(),
    }
}

/// Words separated by dots, after any number of `../`; a lone `.` is the current value.
fn is_path(path: &str) -> bool {
    let mut rest = path;
    while let Some(up) = rest.strip_prefix("../") {
        rest = up;
    }
    let word = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_');
    !path.is_empty() && rest.chars().all(word) && !rest.contains("..")
}

fn note(model: &mut Value, path: &[Step], name: &str) {
    match path {
        [] if model.is_null() => *model = Value::String(format!("{name}_Value")),
        [] => {}
        [Step::Key(key), rest @ ..] => {
            if !model.is_object() {
                *model = Value::Object(Map::new());
            }
            if let Some(map) = model.as_object_mut() {
                note(map.entry(key.clone()).or_insert(Value::Null), rest, key);
            }
        }
        [Step::Item, rest @ ..] => {
            if !model.is_array() {
                *model = Value::Array(vec![Value::Null]);
            }
            if let Some(item) = model.as_array_mut().and_then(|items| items.first_mut()) {
                note(item, rest, name);
            }
        }
    }
}

/// Formats a value as .NET does. Objects and lists are empty.
fn plain(value: Jinja) -> String {
    if let Some(text) = value.as_str() {
        return text.to_owned();
    }
    let json = serde_json::to_value(&value).unwrap_or_default();
    match json {
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => {
            let text = number.to_string();
            text.strip_suffix(".0").unwrap_or(&text).to_owned()
        }
        _ => String::new(),
    }
}

/// Escapes as .NET does, but keeps the characters from U+00A0 to U+00FF unchanged.
fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Whether a value is neither missing, null, false, zero nor empty.
fn exists(value: Jinja) -> bool {
    value.is_true()
}

/// Returns the elements of a list; none if the value is missing.
fn items(value: Jinja, options: Kwargs) -> Result<Vec<Jinja>, Error> {
    let path: String = options.get("path")?;
    if !value.is_true() {
        return Ok(Vec::new());
    }
    match value.kind() {
        ValueKind::Seq => Ok(value.try_iter()?.collect()),
        _ => {
            let words = format!("'{path}' is used as a list but is not a list in the model");
            Err(Error::new(ErrorKind::InvalidOperation, words))
        }
    }
}

#[cfg(test)]
#[path = "mustachio_tests.rs"]
mod tests;
