//! Reads stored templates from a folder, in the layout of Postmark's command-line tool.
//!
//! `templates.rs` validates and renders templates.
//! [`FakePostmarkBuilder::templates`](super::FakePostmarkBuilder::templates) lists the sources of
//! the facts about the layout.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::fields::Fields;
use super::mustachio;
use super::rules::{self, ApiError};
use super::state::{Fake, State};
use super::templates::{Template, check, read_kind};

const META: &str = "meta.json";
const HTML: &str = "content.html";
const TEXT: &str = "content.txt";

/// The maximum depth of folders. The tool has no limit, but links may form a cycle.
const MAX_DEPTH: usize = 8;

/// A folder of templates as of the last time it was read.
pub(super) struct TemplateFolder {
    root: PathBuf,
    read: BTreeMap<PathBuf, Files>,
    /// The IDs of templates by folder, so that a template keeps its ID when it is edited.
    ids: BTreeMap<PathBuf, i64>,
    broken: Vec<Broken>,
}

/// A template that cannot be used.
struct Broken {
    alias: String,
    problem: String,
}

/// The files of one template. `Err` describes a problem with a file.
#[derive(PartialEq, Default)]
struct Files {
    meta: Content,
    html: Content,
    text: Content,
}

/// The text of a file, if the file exists.
#[derive(PartialEq)]
struct Content(Result<Option<String>, String>);

impl Default for Content {
    fn default() -> Self {
        Self(Ok(None))
    }
}

impl TemplateFolder {
    /// # Errors
    /// Returns the operating system's error with the path if the folder cannot be read.
    pub(super) fn open(root: PathBuf) -> io::Result<Self> {
        fs::read_dir(&root).map_err(|error| {
            let problem = format!(
                "could not read the templates in {}: {error}",
                root.display()
            );
            io::Error::new(error.kind(), problem)
        })?;
        Ok(Self {
            root,
            read: BTreeMap::new(),
            ids: BTreeMap::new(),
            broken: Vec::new(),
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the problems of all files, each with its path.
    pub(super) fn problems(&self) -> impl Iterator<Item = &str> {
        self.broken.iter().map(|broken| broken.problem.as_str())
    }

    /// Returns the refusal for a template whose files are invalid; `None` if no such template
    /// exists.
    pub(super) fn refusal(&self, alias: &str) -> Option<ApiError> {
        let broken = self.broken.iter().find(|broken| broken.alias == alias)?;
        Some(rules::broken_template(&broken.problem))
    }
}

impl Fake {
    /// Reads the folder of templates again if a file in it has changed.
    pub(super) fn read_templates(&self) {
        let root = self
            .state()
            .template_folder
            .as_ref()
            .map(|folder| folder.root.clone());
        let Some(root) = root else {
            return;
        };
        let mut found = BTreeMap::new();
        let problem = scan(&root, 0, &mut found).err();
        self.state()
            .store_templates(found, problem.map(|error| problem_at(&root, error)));
    }
}

impl State {
    /// Replaces all templates of the folder, unless nothing has changed.
    fn store_templates(&mut self, found: BTreeMap<PathBuf, Files>, problem: Option<String>) {
        let Some(mut folder) = self.template_folder.take() else {
            return;
        };
        if folder.read == found && problem.is_none() && !folder.read.is_empty() {
            self.template_folder = Some(folder);
            return;
        }
        self.templates
            .retain(|template| !folder.ids.values().any(|id| *id == template.id));
        folder.broken = problem
            .into_iter()
            .map(|problem| Broken {
                alias: String::new(),
                problem,
            })
            .collect();
        let mut templates = Vec::new();
        for (path, files) in &found {
            match files.template(path) {
                Ok(template) => templates.push((path, template)),
                Err((alias, problems)) => folder.add_broken(&alias, problems),
            }
        }
        // Check templates after layouts, because a template names its layout.
        templates.sort_by_key(|(_, template)| !template.is_layout);
        for (path, mut template) in templates {
            let id = folder.ids.get(path).copied();
            template.id = id.unwrap_or_else(|| self.next_id());
            folder.ids.insert(path.clone(), template.id);
            match check(self, &template) {
                Ok(()) => self.templates.push(template),
                Err(error) => {
                    let problem = problem_at(&path.join(META), error.message);
                    folder.add_broken(template.alias.as_deref().unwrap_or_default(), [problem]);
                }
            }
        }
        folder.read = found;
        self.template_folder = Some(folder);
    }
}

impl TemplateFolder {
    fn add_broken(&mut self, alias: &str, problems: impl IntoIterator<Item = String>) {
        self.broken
            .extend(problems.into_iter().map(|problem| Broken {
                alias: alias.to_owned(),
                problem,
            }));
    }
}

/// Collects the folders of templates at any depth: those with a `meta.json`, and those that have
/// content files but no `meta.json`.
fn scan(folder: &Path, depth: usize, found: &mut BTreeMap<PathBuf, Files>) -> io::Result<()> {
    let mut files = Files::default();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            // Skips ".git" and the like.
            if depth < MAX_DEPTH && !name.starts_with('.') {
                scan(&path, depth + 1, found)?;
            }
            continue;
        }
        match &*name {
            META => files.meta = read(&path),
            HTML => files.html = read(&path),
            TEXT => files.text = read(&path),
            _ => {}
        }
    }
    if files != Files::default() {
        found.insert(folder.to_owned(), files);
    }
    Ok(())
}

fn read(path: &Path) -> Content {
    let is_file = fs::metadata(path).map(|metadata| (metadata.is_file(), metadata.len()));
    let text = match is_file {
        // Reading a pipe could block forever.
        Ok((false, _)) => Err("not a regular file".to_owned()),
        Ok((true, length)) if length > rules::MAX_BODY as u64 => {
            Err("the file is larger than 5 MB".to_owned())
        }
        Ok((true, _)) => fs::read_to_string(path).map_err(|error| match error.kind() {
            ErrorKind::InvalidData => "the file is not valid UTF-8".to_owned(),
            _ => error.to_string(),
        }),
        Err(error) => Err(error.to_string()),
    };
    Content(text.map(Some).map_err(|problem| problem_at(path, problem)))
}

fn problem_at(path: &Path, problem: impl std::fmt::Display) -> String {
    format!("{}: {problem}", path.display())
}

impl Files {
    /// Builds the template, without its ID.
    ///
    /// # Errors
    /// Returns the alias of the template and the problem with its files.
    fn template(&self, folder: &Path) -> Result<Template, (String, Vec<String>)> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let template = self
            .meta(&folder.join(META))
            .map_err(|problem| (name.into_owned(), vec![problem]))?;
        let mut problems = Vec::new();
        for (file, source, escape) in [
            (HTML, &template.html_body, true),
            (TEXT, &template.text_body, false),
        ] {
            let path = folder.join(file);
            let source = source.as_deref().unwrap_or_default();
            let source = match template.is_layout {
                true => mustachio::insert_content(source, "").unwrap_or_default(),
                false => source.to_owned(),
            };
            for fault in mustachio::compile(&source, escape)
                .err()
                .unwrap_or_default()
            {
                let (line, character) = (fault.line, fault.character);
                problems.push(format!(
                    "{}:{line}:{character}: {}",
                    path.display(),
                    fault.message
                ));
            }
        }
        match problems.is_empty() {
            true => Ok(template),
            false => Err((template.alias.unwrap_or_default(), problems)),
        }
    }

    fn meta(&self, path: &Path) -> Result<Template, String> {
        let text = |content: &Content| content.0.clone();
        let Some(meta) = text(&self.meta)? else {
            return Err(problem_at(path, "the file is missing"));
        };
        let json: Value = serde_json::from_str(&meta).map_err(|error| problem_at(path, error))?;
        let read = |fields: Fields<'_>| {
            let filled = |key| Ok(fields.text(key)?.filter(|text| !text.is_empty()));
            Ok(Template {
                id: 0,
                name: fields.text("Name")?.unwrap_or_default(),
                alias: filled("Alias")?,
                subject: filled("Subject")?,
                html_body: None,
                text_body: None,
                is_layout: read_kind(&fields)?,
                layout: filled("LayoutTemplate")?,
            })
        };
        let template: Result<Template, ApiError> = Fields::root(&json).and_then(read);
        let mut template = template.map_err(|error| problem_at(path, error.message))?;
        if template.alias.is_none() {
            return Err(problem_at(path, "missing field \"Alias\""));
        }
        template.html_body = text(&self.html)?;
        template.text_body = text(&self.text)?;
        Ok(template)
    }
}
