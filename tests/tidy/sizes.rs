//! *Purpose*: what a reader can hold in mind at a time.
//!
//! *Owns*: how long functions and files of tests may be, and which are longer.
//!
//! *Promises*: a new one fails; one that is listed and no longer longer fails too.
//!
//! *Not here*: files of sources (`main`), how lines are broken (rustfmt).

use std::collections::BTreeSet;

use regex::Regex;

use super::source::{Source, tree_of_sources};

/// A function fits two screens, with its signature.
const FUNCTION_LINES_MAX: usize = 70;
/// A file of tests has one subject.
const TEST_FILE_LINES_MAX: usize = 600;

/// Functions that are longer and are to be taken apart: file and name.
const LONG_FUNCTIONS: &[(&str, &str)] = &[
    ("src/actors/mod.rs", "start"),
    ("src/api/render.rs", "shown"),
    ("src/api/wire/submit.rs", "into_submission"),
    ("src/config.rs", "resolve"),
    ("src/kernel/admission.rs", "try_from"),
    ("src/kernel/transition.rs", "transition"),
    ("src/serve.rs", "serve"),
    ("tests/http/refusals.rs", "a_bad_body_names_its_field_and_stores_nothing"),
    ("tests/protocol/disk.rs", "change"),
];
/// Files of tests that are longer and are to be taken apart.
const LONG_TEST_FILES: &[&str] = &["actors.rs", "engine_conformance/main.rs"];

/// Each function that is too long, and how long it is.
fn long_functions(source: &Source) -> Vec<(String, usize)> {
    let head = Regex::new(
        r#"^( *)(?:pub(?:\([a-z:]+\))? )?(?:const )?(?:async )?(?:unsafe )?(?:extern "C" )?fn (\w+)"#,
    )
    .unwrap();
    let lines: Vec<&str> = source.text.lines().collect();
    let mut long = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        let Some(found) = head.captures(line) else { continue };
        // rustfmt breaks a signature so that its last line ends with what begins the body.
        let opens = lines[first..].iter().position(|line| line.ends_with(['{', ';', '}']));
        let Some(opens) = opens.filter(|n| lines[first + n].ends_with('{')) else { continue };
        let close = format!("{}}}", &found[1]);
        let body = lines[first + opens..].iter().position(|line| *line == close);
        let length = opens + body.unwrap_or_default() + 1;
        if length > FUNCTION_LINES_MAX {
            long.push((found[2].to_owned(), length));
        }
    }
    long
}

#[test]
fn functions_fit_two_screens() {
    let mut found: Vec<(String, String, usize)> = Vec::new();
    for folder in ["src", "tests"] {
        for source in tree_of_sources(folder) {
            let long = long_functions(&source).into_iter();
            let path = format!("{folder}/{}", source.path);
            found.extend(long.map(|(name, length)| (path.clone(), name, length)));
        }
    }
    let is = |(path, name, _): &(String, String, usize), one: &(&str, &str)| {
        (path.as_str(), name.as_str()) == *one
    };
    let new: Vec<_> = found.iter().filter(|f| !LONG_FUNCTIONS.iter().any(|l| is(f, l))).collect();
    let gone: Vec<_> = LONG_FUNCTIONS.iter().filter(|l| !found.iter().any(|f| is(f, l))).collect();
    assert!(new.is_empty(), "over {FUNCTION_LINES_MAX} lines: {new:#?}");
    assert!(gone.is_empty(), "short by now, so take them out of the list: {gone:?}");
}

#[test]
fn files_of_tests_have_one_subject() {
    let sources = tree_of_sources("tests");
    let long: BTreeSet<&str> = sources
        .iter()
        .filter(|source| source.text.lines().count() > TEST_FILE_LINES_MAX)
        .map(|source| source.path.as_str())
        .collect();
    let listed = BTreeSet::from_iter(LONG_TEST_FILES.iter().copied());
    assert_eq!(long, listed, "over {TEST_FILE_LINES_MAX} lines, and those that are listed so");
}

#[test]
fn a_long_function_is_found_and_a_short_one_is_not() {
    let of = |lines: usize| {
        format!("    pub(super) async fn f(\n    ) {{\n{}    }}\n", "\n".repeat(lines))
    };
    let read = |text: &str| long_functions(&Source::new("x.rs", text));
    assert_eq!(read(&of(67)), []);
    assert_eq!(read(&of(68)), [("f".to_owned(), 71)]);
    assert_eq!(
        read(&format!("    fn g(&self);\n{}    fn h() {{}}\n    }}\n", "\n".repeat(80))),
        []
    );
}
