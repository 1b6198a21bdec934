//! Finds cycles between the files of a crate: files that depend on each other, directly or
//! indirectly. Reads `super::`, `crate::` and child paths, and follows re-exports to the file that
//! defines the item. The unit tests at the end of a file do not count.
// Clippy does not recognize functions next to tests as test code.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A path without the crate's name: `["sending", "error", "SendError"]`. The path of a module
/// stands for its file.
type ItemPath = Vec<String>;

struct File {
    /// The code without comments, unit tests and re-exports.
    code: String,
    /// Child modules by name.
    children: BTreeSet<String>,
    /// The file's re-exports: the name (`*` for all) and where it comes from.
    reexports: Vec<(String, ItemPath)>,
}

/// The dependencies between the files of the crate whose sources are in `src`.
pub(crate) fn arrows(src: &Path) -> BTreeMap<ItemPath, BTreeSet<ItemPath>> {
    let mut files = BTreeMap::new();
    read_folder(src, &[], &mut files);
    let arrows_of = |module: &ItemPath, file: &File| {
        let used = file
            .used(module)
            .into_iter()
            .map(|path| owner(&files, &path));
        used.filter(|other| other != module).collect()
    };
    let arrows = files
        .iter()
        .map(|(module, file)| (module.clone(), arrows_of(module, file)));
    arrows.collect()
}

/// The shortest cycle of each file that is in one, as text, without duplicates.
pub(crate) fn circles(arrows: &BTreeMap<ItemPath, BTreeSet<ItemPath>>) -> Vec<String> {
    let mut found = BTreeSet::new();
    for start in arrows.keys() {
        let mut ways = vec![vec![start]];
        let mut seen = BTreeSet::new();
        while let Some(way) = (!ways.is_empty()).then(|| ways.remove(0)) {
            for next in &arrows[way[way.len() - 1]] {
                if next == start {
                    // The same cycle is found from each of its files: start with the first.
                    let first = way
                        .iter()
                        .enumerate()
                        .min_by_key(|(_, file)| **file)
                        .unwrap()
                        .0;
                    let names = way.iter().cycle().skip(first).take(way.len() + 1);
                    let names: Vec<_> = names.map(|file| file.join("/")).collect();
                    found.insert(names.join(" -> "));
                    ways.clear();
                    break;
                }
                if seen.insert(next) {
                    ways.push([way.clone(), vec![next]].concat());
                }
            }
        }
    }
    found.into_iter().collect()
}

fn read_folder(folder: &Path, module: &[String], files: &mut BTreeMap<ItemPath, File>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let own = [module, std::slice::from_ref(&name)].concat();
        if path.is_dir() {
            read_folder(&path, &own, files);
        } else if path.extension().is_some_and(|ext| ext == "rs") && !name.ends_with("tests") {
            let own = if name == "mod" || name == "lib" {
                module.to_vec()
            } else {
                own
            };
            let file = File::read(&fs::read_to_string(&path).unwrap(), &own);
            files.insert(own, file);
        }
    }
}

impl File {
    fn read(text: &str, module: &ItemPath) -> Self {
        let lines = text.lines().map(|line| line.split("//").next().unwrap());
        let code: Vec<_> = lines.take_while(|line| *line != "#[cfg(test)]").collect();
        let code = code.join("\n");
        let declared = code.split("mod ").skip(1).filter_map(|rest| {
            let (name, _) = rest.split_once(';')?;
            is_name(name).then(|| name.to_owned())
        });
        let mut file = Self {
            children: declared.collect(),
            code: String::new(),
            reexports: Vec::new(),
        };
        for line in code.split_inclusive(';') {
            let Some((before, uses)) = line.split_once("use ") else {
                file.code += line;
                continue;
            };
            if before
                .trim_end()
                .rsplit('\n')
                .next()
                .unwrap()
                .starts_with("pub")
            {
                for path in paths(uses) {
                    let name = path.last().unwrap().clone();
                    file.reexports.push((name, file.absolute(module, path)));
                }
            } else {
                file.code += line;
            }
        }
        file
    }

    /// The absolute paths of everything that the code uses from its own crate.
    fn used(&self, module: &ItemPath) -> Vec<ItemPath> {
        let mut used = Vec::new();
        let starts = ["super", "crate", "self"].into_iter();
        for start in starts.chain(self.children.iter().map(String::as_str)) {
            for at in words(&self.code, start) {
                if self.code[at + start.len()..].starts_with("::") {
                    used.extend(paths(&self.code[at..]));
                }
            }
        }
        let mut used: Vec<_> = used
            .into_iter()
            .map(|path| self.absolute(module, path))
            .collect();
        // A file that re-exports an item may use it by its bare name.
        for (name, path) in &self.reexports {
            if words(&self.code, name).next().is_some() {
                used.push(path.clone());
            }
        }
        used
    }

    fn absolute(&self, module: &ItemPath, path: ItemPath) -> ItemPath {
        let mut place = match path[0].as_str() {
            "crate" => Vec::new(),
            _ => module.clone(),
        };
        for segment in path {
            match segment.as_str() {
                "crate" | "self" => {}
                "super" => drop(place.pop()),
                _ => place.push(segment),
            }
        }
        place
    }
}

/// The file that defines what `path` names.
fn owner(files: &BTreeMap<ItemPath, File>, path: &ItemPath) -> ItemPath {
    let longest = (0..=path.len())
        .rev()
        .find(|n| files.contains_key(&path[..*n]))
        .unwrap();
    let module = path[..longest].to_vec();
    let Some(item) = path.get(longest) else {
        return module;
    };
    for (name, from) in &files[&module].reexports {
        if name == item {
            return owner(files, from);
        }
        if name == "*" {
            let inner = [&from[..from.len() - 1], &path[longest..]].concat();
            let found = owner(files, &inner);
            if !from.starts_with(&found) || found.len() >= from.len() {
                return found;
            }
        }
    }
    module
}

/// Every path of a tree like `super::{a::B, c::{self, D}}` at the start of `text`.
fn paths(text: &str) -> Vec<ItemPath> {
    fn read(text: &str, before: &ItemPath, all: &mut Vec<ItemPath>) -> usize {
        let mut path = before.clone();
        let mut at = 0;
        loop {
            at += text[at..].len() - text[at..].trim_start().len();
            let rest = &text[at..];
            if rest.starts_with('{') {
                at += 1;
                loop {
                    at += read(&text[at..], &path, all);
                    at += text[at..].len() - text[at..].trim_start().len();
                    match text[at..].chars().next() {
                        Some(',') => at += 1,
                        _ => return at + 1,
                    }
                }
            }
            let end = rest
                .find(|c: char| !is_word(c) && c != '*')
                .unwrap_or(rest.len());
            if end == 0 {
                return at;
            }
            path.push(rest[..end].to_owned());
            at += end;
            if !text[at..].starts_with("::") {
                all.push(path);
                let renamed = text[at..].strip_prefix(" as ");
                let renamed = renamed.and_then(|rest| rest.find(|c: char| !is_word(c)));
                return at + renamed.map_or(0, |end| end + 4);
            }
            at += 2;
        }
    }
    let mut all = Vec::new();
    read(text, &Vec::new(), &mut all);
    all
}

/// Where `word` is a separate word in `text`, not preceded by `::` or `.`.
fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| {
            let before = text[..*at].chars().next_back();
            let after = text[at + word.len()..].chars().next();
            !before.is_some_and(|c| is_word(c) || c == ':' || c == '.')
                && !after.is_some_and(is_word)
        })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_word)
}
