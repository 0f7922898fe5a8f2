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

/// Puts a job's id and name into an output pattern: `%j`, `%x`, `%%`, and of a task of an array
/// `%A` and `%a`. A slash in the name becomes `_`, so that a name never leads into another folder.
#[must_use]
pub fn expand_pattern(pattern: &str, id: JobId, task: Option<JobRef>, name: &str) -> String {
    let of_task = task.unwrap_or(JobRef { job: id, task: None });
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('j') => out.push_str(&id.to_string()),
            Some('A') => out.push_str(&of_task.job.to_string()),
            Some('a') => out.push_str(&of_task.task.unwrap_or(NO_TASK).to_string()),
            Some('x') => out.push_str(&name.replace('/', "_")),
            _ => out.push('%'),
        }
    }
    out
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
