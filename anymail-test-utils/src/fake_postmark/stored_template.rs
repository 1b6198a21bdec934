//! [`StoredTemplate`]: a template that a test adds.
//!
//! `templates.rs` stores and renders templates.

use super::templates::Template;

/// A template for [`FakePostmark::add_template`](crate::FakePostmark::add_template), in
/// [Postmark's template language](https://postmarkapp.com/support/article/1077-template-syntax).
///
/// ```
/// use anymail_test_utils::{FakePostmark, StoredTemplate};
///
/// let postmark = FakePostmark::start()?;
/// postmark.add_template(
///     StoredTemplate::layout("plain").html_body("<body>{{{ @content }}}</body>"),
/// );
/// postmark.add_template(
///     StoredTemplate::new("welcome")
///         .subject("Welcome, {{name}}")
///         .html_body("<p>Dear {{name}}</p>")
///         .in_layout("plain"),
/// );
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a template is stored by FakePostmark::add_template"]
pub struct StoredTemplate(Template);

impl StoredTemplate {
    /// Creates a template with this alias.
    pub fn new(alias: impl Into<String>) -> Self {
        let alias = alias.into();
        Self(Template {
            id: 0,
            name: alias.clone(),
            alias: Some(alias),
            subject: None,
            html_body: None,
            text_body: None,
            is_layout: false,
            layout: None,
        })
    }

    /// Creates a layout with this alias. In its bodies, `{{{ @content }}}` is replaced by the
    /// template's body.
    pub fn layout(alias: impl Into<String>) -> Self {
        let mut layout = Self::new(alias);
        layout.0.is_layout = true;
        layout
    }

    /// Sets the subject.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.0.subject = Some(subject.into());
        self
    }

    /// Sets the plain text body.
    pub fn text_body(mut self, body: impl Into<String>) -> Self {
        self.0.text_body = Some(body.into());
        self
    }

    /// Sets the HTML body.
    pub fn html_body(mut self, body: impl Into<String>) -> Self {
        self.0.html_body = Some(body.into());
        self
    }

    /// Sets the layout, by its alias.
    pub fn in_layout(mut self, alias: impl Into<String>) -> Self {
        self.0.layout = Some(alias.into());
        self
    }

    pub(super) fn with_id(self, id: i64) -> Template {
        Template { id, ..self.0 }
    }
}
