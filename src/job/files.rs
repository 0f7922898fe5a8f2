//! *Purpose*: where the files of a job are.
//!
//! *Owns*: the layout of a job's own folder, output patterns and their resolution.
//!
//! *Promises*: pure text; the executor that launches and the api that reads logs ask the same
//! function, so they never disagree.
//!
//! *Not here*: opening files (`engine::local`, `api`), the spool (`engine::local::spool`).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::array_spec::JobRef;
use super::ids::JobId;

/// One stream of a job: a path beneath a root that links must not leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamFile {
    /// An absolute folder that must not be left. Missing folders below it are created.
    pub root: PathBuf,
    /// The file, relative to `root`.
    pub path: PathBuf,
}

impl StreamFile {
    /// The whole path.
    #[must_use]
    pub fn full(&self) -> PathBuf {
        self.root.join(&self.path)
    }
}

/// The device that takes output which nobody wants. The only one that a job may name.
pub const NOWHERE: &str = "/dev/null";

impl StreamFile {
    /// Whether what is written there is gone.
    #[must_use]
    pub fn is_nowhere(&self) -> bool {
        self.full() == Path::new(NOWHERE)
    }
}

/// The folders of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The folder of job folders, absolute.
    pub jobs: PathBuf,
    /// Folders below which any job may write its output.
    pub output_roots: Vec<PathBuf>,
}

/// Where a job's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFiles {
    /// Where it runs.
    pub working_directory: PathBuf,
    /// Standard output.
    pub stdout: StreamFile,
    /// Standard error; the same as `stdout` when only that was asked for, as with `sbatch`.
    pub stderr: StreamFile,
}

impl Places {
    /// The job's own folder: `work` to run in when it names no folder, kept streams beside it.
    #[must_use]
    pub fn own_folder(&self, job: JobId) -> PathBuf {
        self.jobs.join(job.to_string())
    }

    /// Resolves a job's folder and streams; output paths have their placeholders expanded.
    #[must_use]
    pub fn files(
        &self,
        job: JobId,
        working_directory: Option<&str>,
        standard_output: Option<&str>,
        standard_error: Option<&str>,
    ) -> JobFiles {
        let own = self.own_folder(job);
        let work = working_directory.map_or_else(|| own.join("work"), PathBuf::from);
        let kept = |name: &str| StreamFile { root: own.clone(), path: PathBuf::from(name) };
        let stdout = standard_output.map(|path| self.stream(&work, Path::new(path)));
        let stderr = standard_error.map(|path| self.stream(&work, Path::new(path)));
        JobFiles {
            working_directory: work,
            stderr: stderr.or_else(|| stdout.clone()).unwrap_or_else(|| kept("stderr")),
            stdout: stdout.unwrap_or_else(|| kept("stdout")),
        }
    }

    fn stream(&self, work: &Path, path: &Path) -> StreamFile {
        if path == Path::new(NOWHERE) {
            return StreamFile { root: "/dev".into(), path: "null".into() };
        }
        let roots = std::iter::once(work).chain(self.output_roots.iter().map(PathBuf::as_path));
        for root in roots {
            if let Ok(below) = path.strip_prefix(root) {
                return StreamFile { root: root.to_owned(), path: below.to_owned() };
            }
        }
        StreamFile { root: work.to_owned(), path: path.to_owned() }
    }
}

/// What `%a` is of a job that is no task of an array, as in Slurm.
const NO_TASK: u32 = u32::MAX - 1;
/// The widest number of a pattern, as in Slurm.
const WIDTH_MAX: usize = 10;

/// A piece of an output pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// What stands there for itself.
    Text(String),
    /// A placeholder: its letter, and how many digits a number of it has at least.
    Placeholder(char, usize),
    /// What looks like a placeholder and is none.
    Unknown(String),
}

/// Takes a pattern apart: `%j`, `%A` and `%J` are numbers of the job, `%a` and `%b` of the task,
/// `%n`, `%t` and `%s` of node, task and step, `%x` the job's name, `%u` its user, `%N` the
/// machine, `%%` a percent sign. Source: sbatch(1), "filename pattern".
#[must_use]
pub fn pieces(pattern: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = pattern;
    while let Some((before, behind)) = rest.split_once('%') {
        text.push_str(before);
        let letter = behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len());
        let (digits, behind) = behind.split_at(letter);
        let letter = behind.chars().next();
        rest = letter.map_or(behind, |c| &behind[c.len_utf8()..]);
        let width = if digits.is_empty() { Ok(0) } else { digits.parse() };
        let width = width.unwrap_or(usize::MAX);
        let piece = match letter {
            Some('%') if digits.is_empty() => {
                text.push('%');
                continue;
            }
            Some(c @ ('j' | 'J' | 'A' | 'a' | 'b' | 'n' | 't')) if width <= WIDTH_MAX => {
                Piece::Placeholder(c, width)
            }
            Some(c @ ('s' | 'x' | 'u' | 'N')) if digits.is_empty() => Piece::Placeholder(c, 0),
            Some(c) => Piece::Unknown(format!("%{digits}{c}")),
            None => Piece::Unknown(format!("%{digits} at the end")),
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(piece);
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    pieces
}

/// A name as a part of a path: a slash becomes `_`, so that it never leads into another folder.
fn as_part_of_a_path(name: &str) -> String {
    name.replace('/', "_")
}

/// Puts user and machine into an output pattern. The rest is known once the job has a number.
#[must_use]
pub fn expand_site(pattern: &str, user: &str, host: &str) -> String {
    let word = |name: &str| as_part_of_a_path(name).replace('%', "%%");
    let put = |piece| match piece {
        Piece::Text(text) => text.replace('%', "%%"),
        Piece::Placeholder('u', _) => word(user),
        Piece::Placeholder('N', _) => word(host),
        Piece::Placeholder(c, 0) => format!("%{c}"),
        Piece::Placeholder(c, width) => format!("%{width}{c}"),
        Piece::Unknown(text) => text,
    };
    pieces(pattern).into_iter().map(put).collect()
}

/// Puts a job's id and name into an output pattern.
#[must_use]
pub fn expand_pattern(pattern: &str, id: JobId, task: Option<JobRef>, name: &str) -> String {
    let of_task = task.unwrap_or(JobRef { job: id, task: None });
    let task = of_task.task.unwrap_or(NO_TASK);
    let put = |piece| match piece {
        Piece::Text(text) => text,
        Piece::Placeholder('j' | 'J', width) => format!("{:0width$}", id.0),
        Piece::Placeholder('A', width) => format!("{:0width$}", of_task.job.0),
        Piece::Placeholder('a', width) => format!("{task:0width$}"),
        Piece::Placeholder('b', width) => format!("{:0width$}", task % 10),
        // One node, and the script is its first task.
        Piece::Placeholder('n' | 't', width) => format!("{:0width$}", 0),
        Piece::Placeholder('s', _) => "batch".to_owned(),
        Piece::Placeholder('x', _) => as_part_of_a_path(name),
        Piece::Placeholder(c, _) => format!("%{c}"),
        Piece::Unknown(text) => text,
    };
    pieces(pattern).into_iter().map(put).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places { jobs: "/d/jobs".into(), output_roots: vec!["/logs".into()] }
    }

    #[test]
    fn streams_are_kept_in_the_jobs_own_folder_when_none_is_named() {
        let files = places().files(JobId(7), None, None, None);
        assert_eq!(files.working_directory, Path::new("/d/jobs/7/work"));
        assert_eq!(files.stdout.full(), Path::new("/d/jobs/7/stdout"));
        assert_eq!(files.stderr.full(), Path::new("/d/jobs/7/stderr"));
    }

    #[test]
    fn a_pattern_knows_what_sbatch_knows() {
        let task = Some(JobRef { job: JobId(12), task: Some(34) });
        for (pattern, id, of, wanted) in [
            ("%j-%J-%A-%a", 15, task, "15-15-12-34"),
            ("%4j_%4A_%4a_%b", 15, task, "0015_0012_0034_4"),
            ("%x.%n.%t.%s.%%", 7, None, "a_b.0.0.batch.%"),
            ("%a", 7, None, "4294967294"),
            ("%%j%", 7, None, "%j% at the end"),
        ] {
            assert_eq!(expand_pattern(pattern, JobId(id), of, "a/b"), wanted, "{pattern}");
        }
        let unknown = |pattern| match &pieces(pattern)[..] {
            [Piece::Unknown(text)] => text.clone(),
            other => format!("{other:?}"),
        };
        for bad in ["%y", "%4x", "%11j", "%é", "%99999999999999999999j"] {
            assert_eq!(unknown(bad), bad);
        }
    }

    #[test]
    fn names_of_the_site_are_put_in_as_they_are() {
        let half = expand_site("%u/%N.%4j.%%x%x", "a/%j", "h%");
        assert_eq!(half, "a_%%j/h%%.%4j.%%x%x");
        assert_eq!(expand_pattern(&half, JobId(7), None, "n"), "a_%j/h%.0007.%xn");
    }

    #[test]
    fn standard_output_alone_takes_both_streams() {
        let files = places().files(JobId(7), Some("/home/a"), Some("o/x"), None);
        assert_eq!(files.stdout, files.stderr);
        assert_eq!(files.stdout.root, Path::new("/home/a"));
        assert_eq!(files.stdout.path, Path::new("o/x"));
    }

    #[test]
    fn an_absolute_path_is_opened_beneath_its_own_root() {
        let files = places().files(JobId(7), Some("/home/a"), Some("/home/a/x"), Some("/logs/y/z"));
        assert_eq!(files.stdout, StreamFile { root: "/home/a".into(), path: "x".into() });
        assert_eq!(files.stderr, StreamFile { root: "/logs".into(), path: "y/z".into() });
    }
}
