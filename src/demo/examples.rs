//! *Purpose*: the scripts that the demo submits, and how each is expected to end.
//!
//! *Owns*: [`Example`], [`Expected`]; the scripts of `examples/`, built into the program.
//!
//! *Promises*: a script says in a line `# Expected end: STATE [CODE]` how it is meant to end;
//! one that says nothing is meant to end well. The program needs no folder beside it.
//!
//! *Not here*: whether they did (`verdict`).

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::api::wire::sbatch;
use crate::api::wire::v1::{ExitCode, Job, StateWord};

/// What stands before the expectation in a script.
const MARK: &str = "# Expected end:";

macro_rules! built_in {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../../examples/", $file)))),*]
    };
}

/// One that waits out its limit first, then those that fit beside it on two CPUs, then those
/// that want both.
const BUILT_IN: &[(&str, &str)] = built_in![
    "too-long.sh",
    "sweep.sh",
    "compress.sh",
    "fails.sh",
    "word-count.sh",
    "pi.sh",
    "settings.sh",
    "checksums.sh",
];

/// A script and its expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Example {
    pub file: String,
    pub name: String,
    pub script: String,
    pub expected: Expected,
}

/// How a job is meant to end; without a code, any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub state: StateWord,
    pub code: Option<String>,
}

impl Expected {
    /// Whether this job ended so.
    pub fn is_met_by(&self, job: &Job) -> bool {
        job.state == self.state && (self.code.is_none() || self.code == job.exit_code)
    }

    fn read(script: &str) -> Result<Expected> {
        let Some(line) = script.lines().find_map(|line| line.strip_prefix(MARK)) else {
            return Ok(Expected { state: StateWord::Completed, code: Some("0:0".to_owned()) });
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        let (state, code) = match words.as_slice() {
            [state] => (state, None),
            [state, code] => (state, Some((*code).to_owned())),
            _ => bail!("`{MARK}{line}` is not a state and perhaps a code"),
        };
        let state: StateWord = state.parse().map_err(anyhow::Error::msg)?;
        ensure!(state.is_final(), "`{MARK}{line}` names no final state");
        if let Some(code) = &code {
            let read = code.parse::<ExitCode>().ok().map(|read| read.to_string());
            ensure!(read.as_ref() == Some(code), "`{MARK}{line}`: a code is written 3:0");
        }
        Ok(Expected { state, code })
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{} {code}", self.state),
            None => write!(f, "{}", self.state),
        }
    }
}

impl Example {
    fn read(file: &str, script: &str) -> Result<Example> {
        let expected = Expected::read(script).with_context(|| format!("in {file}"))?;
        let stem = file.strip_suffix(".sh").unwrap_or(file).to_owned();
        let name = sbatch::read(script).job_name.map_or(stem, |line| line.value);
        Ok(Example { file: file.to_owned(), name, script: script.to_owned(), expected })
    }
}

/// The scripts of this program.
pub(super) fn built_in() -> Result<Vec<Example>> {
    BUILT_IN.iter().map(|(file, script)| Example::read(file, script)).collect()
}

/// The scripts of a folder by name: every file that begins with `#!`.
pub(super) fn of_folder(folder: &Path) -> Result<Vec<Example>> {
    let shown = folder.display();
    let mut examples = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("--examples {shown}"))? {
        let path = entry.with_context(|| format!("--examples {shown}"))?.path();
        let Some(file) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if !path.is_file() {
            continue;
        }
        let bytes = std::fs::read(&path).with_context(|| format!("{}", path.display()))?;
        if bytes.starts_with(b"#!") {
            let script = String::from_utf8(bytes).with_context(|| format!("{file} is no text"))?;
            examples.push(Example::read(file, &script)?);
        }
    }
    ensure!(!examples.is_empty(), "--examples {shown}: no file there begins with #!");
    examples.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(examples)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_script_of_the_folder_is_built_in_and_readable() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        let mut built_in = built_in().unwrap();
        built_in.sort_by(|one, other| one.file.cmp(&other.file));
        assert_eq!(of_folder(&folder).unwrap(), built_in);
        assert!(built_in.len() >= 7);
    }

    #[test]
    fn an_expectation_that_makes_no_sense_is_refused_by_file() {
        for line in ["ASLEEP", "RUNNING", "FAILED three", "", "FAILED 3:0 now"] {
            let script = format!("#!/bin/sh\n{MARK} {line}\n");
            let error = Example::read("x.sh", &script).unwrap_err();
            assert!(format!("{error:#}").starts_with("in x.sh: "), "{error:#}");
        }
        let example = Example::read("x.sh", "#!/bin/sh\n# Expected end: FAILED 3:0").unwrap();
        assert_eq!(
            (example.name.as_str(), example.expected.to_string().as_str()),
            ("x", "FAILED 3:0")
        );
    }
}
