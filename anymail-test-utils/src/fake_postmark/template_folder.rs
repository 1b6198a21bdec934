//! Stored templates in a folder of files, in the layout of Postmark's command-line tool.
//!
//! What a template must be like, and how it is rendered, is in `templates.rs`. Which facts about
//! the layout are known from where is said at
//! [`FakePostmarkBuilder::templates`](super::FakePostmarkBuilder::templates).

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

/// How deep folders are looked into. The tool knows no limit; links may lead in a circle.
const MAX_DEPTH: usize = 8;

/// A folder of templates, as it was when it was read last.
pub(super) struct TemplateFolder {
    root: PathBuf,
    read: BTreeMap<PathBuf, Files>,
    /// The ids of templates, by their folders: a template keeps its id when it is edited.
    ids: BTreeMap<PathBuf, i64>,
    broken: Vec<Broken>,
}

/// A template that cannot be sent with.
struct Broken {
    alias: String,
    problem: String,
}

/// What is in the folder of one template. `Err` is a problem with a file, in words.
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
    /// What the operating system says, with the path, if there is no such folder.
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

    /// What is wrong with files, each problem with its path.
    pub(super) fn problems(&self) -> impl Iterator<Item = &str> {
        self.broken.iter().map(|broken| broken.problem.as_str())
    }

    /// Why there is no template with this alias, if there would be one but for its files.
    pub(super) fn refusal(&self, alias: &str) -> Option<ApiError> {
        let broken = self.broken.iter().find(|broken| broken.alias == alias)?;
        Some(rules::broken_template(&broken.problem))
    }
}

impl Fake {
    /// Reads the folder of templates again, if the fake has one and a file in it has changed.
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
        // Templates are checked against the layouts that they name.
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

/// Collects the folders of templates, at any depth: those with a `meta.json`, and those that have
/// content and lack it.
fn scan(folder: &Path, depth: usize, found: &mut BTreeMap<PathBuf, Files>) -> io::Result<()> {
    let mut files = Files::default();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            // ".git" and the like.
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
        // A pipe could block for ever.
        Ok((false, _)) => Err("it is not a regular file".to_owned()),
        Ok((true, length)) if length > rules::MAX_BODY as u64 => {
            Err("it is larger than 5 MB".to_owned())
        }
        Ok((true, _)) => fs::read_to_string(path).map_err(|error| match error.kind() {
            ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
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
    /// The template, without its id.
    ///
    /// # Errors
    /// The alias by which it would be known, and what is wrong with its files.
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
            return Err(problem_at(path, "it has no \"Alias\""));
        }
        template.html_body = text(&self.html)?;
        template.text_body = text(&self.text)?;
        Ok(template)
    }
}
