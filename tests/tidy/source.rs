//! *Purpose*: reads what the compiler reads, as far as the rules need it.
//!
//! *Owns*: [`Source`], and the paths that it names.
//!
//! *Promises*: comments and unit tests are not code; a tree of imports is read to its leaves.
//!
//! *Not here*: the rules.

use std::path::Path;

use regex::Regex;

/// A file below `src/`.
pub struct Source {
    /// Below `src/`.
    pub path: String,
    /// As it stands there.
    pub text: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    /// A file of unit tests only.
    fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.contains("/tests/")
    }

    /// The text without comments and unit tests, line for line as long as the file.
    pub fn code(&self) -> String {
        let mut code = String::new();
        let (mut test_ahead, mut in_test) = (false, self.is_test());
        for line in self.text.lines() {
            let bare = line.split(" // ").next().unwrap_or_default();
            test_ahead |= line == "#[cfg(test)]";
            if test_ahead && !line.starts_with('#') {
                // rustfmt closes an item in the first column, so its end is easily seen.
                (test_ahead, in_test) = (false, !line.ends_with(';'));
            } else if !test_ahead && !in_test && !line.trim_start().starts_with("//") {
                code.push_str(bare);
            } else if in_test && line == "}" {
                in_test = self.is_test();
            }
            code.push('\n');
        }
        code
    }

    /// The module: `["api", "wire", "job"]`.
    pub fn module(&self) -> Vec<&str> {
        let stem = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        let mut parts: Vec<&str> = stem.split('/').collect();
        parts.retain(|part| !["mod", "lib", "main"].contains(part));
        parts
    }

    pub fn is_below(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }

    /// Complains about each line of code that matches, unless the file is in one of `places`.
    pub fn only_in(&self, pattern: &str, places: &[&str]) -> Vec<String> {
        let regex = Regex::new(pattern).unwrap();
        if self.is_below(places) { vec![] } else { self.lines(|line| regex.is_match(line)) }
    }

    pub fn lines(&self, is_bad: impl Fn(&str) -> bool) -> Vec<String> {
        let code = self.code();
        let lines = code.lines().enumerate().filter(|(_, line)| is_bad(line));
        lines.map(|(i, line)| format!("src/{}:{}: {}", self.path, i + 1, line.trim())).collect()
    }
}

/// Reads one tree of paths (`a::{b, c::d}`) at the start of `text`; answers what is behind it.
fn tree<'a>(mut text: &'a str, path: &[&'a str], found: &mut Vec<Vec<String>>) -> &'a str {
    let mut path = path.to_vec();
    loop {
        text = text.trim_start();
        if let Some(mut list) = text.strip_prefix('{') {
            while !list.trim_start().starts_with('}') && !list.trim_start().is_empty() {
                let behind = tree(list, &path, found);
                list = behind.find([',', '}']).map_or("", |end| behind[end..].trim_start());
                list = list.strip_prefix(',').unwrap_or(list);
            }
            return list.trim_start().strip_prefix('}').unwrap_or_default();
        }
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '*');
        let (name, behind) = text.split_at(end.unwrap_or(text.len()));
        match name {
            "self" => {}
            "super" => drop(path.pop()),
            name => path.push(name),
        }
        match behind.strip_prefix("::") {
            Some(rest) if !name.is_empty() => text = rest,
            _ => {
                found.push(path.iter().map(|&part| part.to_owned()).collect());
                return behind;
            }
        }
    }
}

/// Every path into this crate that the code names, from the crate's root.
pub fn imports(source: &Source) -> Vec<String> {
    let (code, mut found) = (source.code(), Vec::new());
    for (at, word) in code.match_indices("crate::") {
        tree(&code[at + word.len()..], &[], &mut found);
    }
    for (at, _) in code.match_indices("super::") {
        // The first of a chain stands for all of it. `pub(super)` has no colons.
        if !code[..at].ends_with("super::") {
            tree(&code[at..], &source.module(), &mut found);
        }
    }
    found.into_iter().map(|path| path.join("::")).collect()
}

/// Whether a path of modules leads into this place.
pub fn is_within(path: &str, place: &str) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Every file of Rust below this folder.
pub fn tree_of_sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = walkdir::WalkDir::new(&root).sort_by_file_name().into_iter().map(Result::unwrap);
    let rust = files.filter(|entry| entry.path().extension().is_some_and(|e| e == "rs"));
    rust.map(|entry| {
        let path = entry.path().strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        Source { path, text: std::fs::read_to_string(entry.path()).unwrap() }
    })
    .collect()
}
