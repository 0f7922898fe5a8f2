//! *Purpose*: what a job is: the request, the checked specification, the bounds between them.
//!
//! *Owns*: [`JobRequest`], [`JobSpec`], [`Site`], and what a refusal says.
//!
//! *Promises*: a [`JobSpec`] can be stored and launched: nothing in it is out of bounds, holds
//! a NUL byte, asks for more than the site has, or writes outside its roots (as text; links
//! are checked when the file is opened). A refusal names every bad field.
//!
//! *Not here*: the checks (`kernel::job::door`), the words for states and ends
//! (`kernel::job::words`), JSON, `#SBATCH` lines and units (`api::wire`), the state machine
//! (`kernel::transition`).

mod door;
pub mod faults;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::accounts::AccountRules;
use super::conditions::Dependencies;
use super::early::EarlySignal;
use super::ids::JobId;
pub use super::kin::Family;
pub use super::memory::SiteMemory;
use super::partitions::Partitions;
use super::retry::RetryPolicy;
use super::tasks::{ArraySpec, JobRef};
use crate::text::time_limit::LimitAsked;
use crate::time::Time;
pub use door::limit_allowed;
use faults::Faults;
pub use words::{ExitCode, OpenMode, StateWord, Usage};

/// Longest script, bytes: what users submit is kilobytes; larger data belongs in files.
pub const SCRIPT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest name, account, user or partition, characters (a file name's bound, for `%x`).
pub const NAME_CHARS_MAX: usize = 255;
/// One `NAME=value` entry, bytes: the kernel refuses an exec with a string of 128 KiB.
pub const ENVIRONMENT_ENTRY_BYTES_MAX: usize = 128 * 1024 - 1;
/// The whole environment, bytes: half of the usual limit for arguments and environment.
pub const ENVIRONMENT_BYTES_MAX: usize = 1024 * 1024;
/// A comment, bytes.
pub const COMMENT_BYTES_MAX: usize = 16 * 1024;
/// Labels of a job, and bytes of one key or value.
pub const LABELS_MAX: usize = 64;
/// See [`LABELS_MAX`].
pub const LABEL_BYTES_MAX: usize = 1024;
/// A path, bytes (`PATH_MAX`).
pub const PATH_BYTES_MAX: usize = 4095;
/// Longest time limit, seconds (ten years): beyond it the person means `UNLIMITED`.
pub const LIMIT_S_MAX: i64 = 10 * 366 * 86_400;
/// Longest grace between TERM and KILL, seconds (a day).
pub const GRACE_S_MAX: i64 = 86_400;

/// How many CPUs a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpusAsked {
    /// So many.
    Count(i64),
    /// All that the site has (`exclusive`).
    All,
}

/// Through which door a job came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DataSource {
    /// A program, over REST.
    Api,
    /// `downbeat submit` and `downbeat run`.
    Cli,
    /// The web page.
    Web,
}

impl DataSource {
    /// The word in JSON and SQL.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            DataSource::Api => "API",
            DataSource::Cli => "CLI",
            DataSource::Web => "WEB",
        }
    }
}

/// A job as asked for: parsed, not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRequest {
    /// The script's text.
    pub script: String,
    /// Its name; `job` when absent.
    pub name: Option<String>,
    /// Whom to charge; empty when absent.
    pub account: Option<String>,
    /// Who submitted it.
    pub user: Option<String>,
    /// The partition; `default` when absent.
    pub partition: Option<String>,
    /// CPUs.
    pub cpus: CpusAsked,
    /// Memory in bytes; the site's default when absent.
    pub memory_bytes: Option<i64>,
    /// Time limit.
    pub limit: LimitAsked,
    /// Larger runs first.
    pub priority: i64,
    /// Where it runs; a folder of its own when absent.
    pub working_directory: Option<String>,
    /// Whether a missing working directory is created (the seed's form of body).
    pub create_working_directory: bool,
    /// Pattern of the file for standard output.
    pub standard_output: Option<String>,
    /// Pattern of the file for standard error.
    pub standard_error: Option<String>,
    /// Its environment.
    pub environment: BTreeMap<String, String>,
    /// Labels to find it by.
    pub labels: BTreeMap<String, String>,
    /// A remark.
    pub comment: Option<String>,
    /// Seconds between TERM and KILL; the site's when absent.
    pub kill_grace_s: Option<i64>,
    /// Whether it waits until somebody releases it.
    pub held: bool,
    /// Not before.
    pub begin: Option<Time>,
    /// Not after: whoever waits then is cancelled, whoever runs then is stopped.
    pub deadline: Option<Time>,
    /// The jobs that it waits for.
    pub dependencies: Dependencies,
    /// Its tasks, if it is an array.
    pub array: Option<ArraySpec>,
    /// When it is run again by itself; never when absent.
    pub retry: Option<RetryPolicy>,
    /// What is sent to it before its time limit.
    pub signal: Option<EarlySignal>,
    /// How its output files are opened.
    pub open_mode: OpenMode,
    /// Which door it came through.
    pub data_source: DataSource,
    /// What was not honoured, one sentence each.
    pub warnings: Vec<String>,
}

impl JobRequest {
    /// A request with only a script; everything else is a default.
    #[must_use]
    pub fn new(script: impl Into<String>) -> JobRequest {
        JobRequest {
            script: script.into(),
            name: None,
            account: None,
            user: None,
            partition: None,
            cpus: CpusAsked::Count(1),
            memory_bytes: None,
            limit: LimitAsked::Default,
            priority: 0,
            working_directory: None,
            create_working_directory: false,
            standard_output: None,
            standard_error: None,
            environment: BTreeMap::new(),
            labels: BTreeMap::new(),
            comment: None,
            kill_grace_s: None,
            held: false,
            begin: None,
            deadline: None,
            dependencies: Dependencies::default(),
            array: None,
            retry: None,
            signal: None,
            open_mode: OpenMode::default(),
            data_source: DataSource::Api,
            warnings: Vec::new(),
        }
    }
}

/// What the site allows and assumes.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// CPUs there are.
    pub total_cpus: u32,
    /// Memory there is.
    pub memory: SiteMemory,
    /// Limit of a job that names none, seconds; `None` is unlimited.
    pub default_limit_s: Option<u32>,
    /// Longest limit, seconds; `None` is no bound.
    pub max_limit_s: Option<u32>,
    /// Grace between TERM and KILL, seconds.
    pub kill_grace_s: u32,
    /// Absolute folders below which any job may write its output.
    pub output_roots: Vec<String>,
    /// What it is divided into.
    pub partitions: Arc<Partitions>,
    /// What accounts may have.
    pub accounts: Arc<AccountRules>,
}

/// A job that was checked. Only [`JobSpec::try_from`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is documented at JobRequest")]
#[non_exhaustive]
pub struct JobSpec {
    pub script: String,
    pub name: String,
    pub account: String,
    pub user: String,
    pub partition: String,
    pub cpus: u32,
    pub memory_bytes: Option<i64>,
    pub limit_s: Option<u32>,
    pub priority: i64,
    pub working_directory: Option<String>,
    pub create_working_directory: bool,
    pub standard_output: Option<String>,
    pub standard_error: Option<String>,
    pub environment: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    pub comment: Option<String>,
    pub kill_grace_s: u32,
    pub held: bool,
    pub begin: Option<Time>,
    pub deadline: Option<Time>,
    pub dependencies: Dependencies,
    pub array: Option<ArraySpec>,
    pub retry: Option<Arc<RetryPolicy>>,
    pub signal: Option<EarlySignal>,
    pub open_mode: OpenMode,
    pub data_source: DataSource,
    pub warnings: Vec<String>,
}

impl JobSpec {
    /// The jobs of its name and user, for a singleton to wait for.
    #[must_use]
    pub fn family(&self) -> Family {
        (self.name.clone(), self.user.clone())
    }
}

/// A field that is wrong, and why, in words for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field's name.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl FieldError {
    /// A field error.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> FieldError {
        FieldError { field: field.into(), message: message.into() }
    }
}

/// Every bad field of one request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SpecRefused(pub Faults);

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
