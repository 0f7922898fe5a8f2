//! *Purpose*: the request for a job, the checked specification, the bounds between them.
//!
//! *Owns*: [`JobRequest`], [`JobSpec`], and their parts.
//!
//! *Promises*: a [`JobSpec`] can be stored and launched: nothing in it is out of bounds, holds
//! a NUL byte, asks for more than the site has, or writes outside its roots (as text; links
//! are checked when the file is opened).
//!
//! *Not here*: the checks (`kernel::admission`), what a refusal says (`job::faults`), JSON and
//! `#SBATCH` lines (`api::wire`), the state machine (`kernel::transition`).

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::array_spec::ArraySpec;
use super::dependency::Dependencies;
use super::ids::Owner;
use super::invocation::Invocation;
use super::request::{MEMORY, Request};
use super::retry_policy::RetryPolicy;
use super::signal::EarlySignal;
use super::tasks::Tasks;
use crate::text::time_limit::LimitAsked;
use crate::time::Time;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DataSource {
    /// A program, over REST.
    #[default]
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

impl FromStr for DataSource {
    type Err = String;

    /// Reads [`DataSource::word`].
    fn from_str(text: &str) -> Result<DataSource, String> {
        let doors = [DataSource::Api, DataSource::Cli, DataSource::Web];
        let known = doors.into_iter().find(|door| door.word() == text);
        known.ok_or_else(|| format!("\"{text}\" is not a door; API, CLI or WEB"))
    }
}

/// How the files of a job's output are opened when it starts, as Slurm writes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenMode {
    /// Each attempt begins with empty files.
    #[default]
    Truncate,
    /// What is there stays, and each attempt writes behind it.
    Append,
}

impl OpenMode {
    /// The word in JSON and SQL.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            OpenMode::Truncate => "truncate",
            OpenMode::Append => "append",
        }
    }
}

impl FromStr for OpenMode {
    type Err = String;

    fn from_str(text: &str) -> Result<OpenMode, String> {
        match &*text.to_ascii_lowercase() {
            "truncate" | "t" => Ok(OpenMode::Truncate),
            "append" | "a" => Ok(OpenMode::Append),
            _ => {
                let shown: String = text.chars().take(40).collect();
                Err(format!("\"{shown}\" is not a mode; append or truncate"))
            }
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
    /// Whose it is, and as whom it runs: who asks says it, and no request.
    pub owner: Owner,
    /// The partition; `default` when absent.
    pub partition: Option<String>,
    /// CPUs.
    pub cpus: CpusAsked,
    /// What was said of its tasks.
    pub tasks: Tasks,
    /// Memory in bytes; the site's default when absent.
    pub memory_bytes: Option<i64>,
    /// Other resources, by name.
    pub resources: Request,
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
    /// Whether it is cancelled when what it waits for can never be; the site's when absent.
    pub kill_on_invalid_dependency: Option<bool>,
    /// Its tasks, if it is an array.
    pub array: Option<ArraySpec>,
    /// When it is run again by itself; never when absent.
    pub retry: Option<RetryPolicy>,
    /// What is sent to it before its time limit.
    pub signal: Option<EarlySignal>,
    /// How its output files are opened.
    pub open_mode: OpenMode,
    /// How its script is called.
    pub invocation: Invocation,
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
            owner: None,
            partition: None,
            cpus: CpusAsked::Count(1),
            tasks: Tasks::default(),
            memory_bytes: None,
            resources: Request::default(),
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
            kill_on_invalid_dependency: None,
            array: None,
            retry: None,
            signal: None,
            open_mode: OpenMode::default(),
            invocation: Invocation::default(),
            data_source: DataSource::Api,
            warnings: Vec::new(),
        }
    }
}

/// Name and user of a job.
pub type SingletonKey = (String, String);

/// A job that was checked. Only [`JobSpec::try_from`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is documented at JobRequest")]
#[non_exhaustive]
pub struct JobSpec {
    pub script: String,
    pub name: String,
    pub account: String,
    pub user: String,
    pub owner: Owner,
    pub partition: String,
    pub cpus: u32,
    pub tasks: Tasks,
    pub memory_bytes: Option<i64>,
    pub resources: Request,
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
    pub kill_on_invalid_dependency: bool,
    pub array: Option<ArraySpec>,
    pub retry: Option<Arc<RetryPolicy>>,
    pub signal: Option<EarlySignal>,
    pub open_mode: OpenMode,
    pub invocation: Invocation,
    pub data_source: DataSource,
    pub warnings: Vec<String>,
}

impl JobSpec {
    /// Its user, where users are told apart; empty elsewhere, where `user` is a label.
    #[must_use]
    pub fn counted_user(&self) -> &str {
        self.owner.map_or("", |_| &self.user)
    }

    /// Bytes of its script and environment, where they count against its user.
    #[must_use]
    pub fn counted_bytes(&self) -> u32 {
        if self.owner.is_none() {
            return 0;
        }
        let words = self.environment.iter().map(|(name, value)| name.len() + value.len());
        u32::try_from(self.script.len() + words.sum::<usize>()).unwrap_or(u32::MAX)
    }

    /// All that it asks for beside CPUs.
    #[must_use]
    pub fn beside_cpus(&self) -> Request {
        let memory = self.memory_bytes.and_then(|bytes| u64::try_from(bytes).ok());
        self.resources.clone().with(MEMORY, memory.unwrap_or(0))
    }

    /// The jobs of its name and user, for a singleton to wait for.
    #[must_use]
    pub fn family(&self) -> SingletonKey {
        (self.name.clone(), self.user.clone())
    }
}
