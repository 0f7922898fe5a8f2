//! *Purpose*: where the files of a job are.
//!
//! *Owns*: the layout of a job's own folder and the resolution of output patterns.
//!
//! *Promises*: pure text; the executor that launches and the api that reads logs ask the same
//! function, so they never disagree.
//!
//! *Not here*: opening files (`engine::local`, `api`), the spool (`engine::local::spool`).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

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
