//! *Purpose*: what of a job nothing searches, sorts or counts by.
//!
//! *Owns*: [`StoredSpec`], the JSON object in the column `spec` of `jobs`, and its version.
//!
//! *Promises*: what is not said is left out; an object of another version, or without what every
//! job has, is not read. A new property is a field here, and no column.
//!
//! *Not here*: what is searched by (the columns, `store::rows`), what was asked for
//! (`job::spec`).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::job::invocation::Invocation;
use crate::job::request::Request;
use crate::job::retry_policy::RetryPolicy;
use crate::job::signal::EarlySignal;
use crate::job::spec::{DataSource, JobSpec, OpenMode};
use crate::job::tasks::Tasks;
use crate::resources::partitions::is_list;

/// What of a job nothing searches, sorts or counts by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSpec {
    /// How to read the rest.
    pub(super) v: Version,
    /// Seconds between TERM and KILL.
    pub kill_grace_s: u32,
    /// `None`: a folder of its own below the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<String>,
    /// Whether a missing working directory is created.
    pub create_working_directory: bool,
    /// Placeholders expanded, but of an array's rest; `None`: kept by the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_output: Option<String>,
    /// The same for standard error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<String>,
    /// A remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Which door it came through.
    pub data_source: DataSource,
    /// What the person should know of it, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// When it is run again by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Arc<RetryPolicy>>,
    /// What is sent to it before its time limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<EarlySignal>,
    /// How its output files are opened.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub open_mode: OpenMode,
    /// What it asks for beside CPUs and memory: name of a resource and amount.
    #[serde(default, skip_serializing_if = "Request::is_empty")]
    pub resources: Request,
    /// What was said of its tasks.
    #[serde(default, skip_serializing_if = "Tasks::is_unsaid")]
    pub tasks: Tasks,
    /// Whether it is cancelled when what it waits for can never be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kill_on_invalid_dependency: bool,
    /// All partitions that it lists, if several: the row names the one that it was started in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<String>,
    /// Whether it is an operator who holds it; looked at only where the row says that it is held.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held_by_operator: bool,
    /// How its script is called.
    #[serde(default, skip_serializing_if = "is_plain")]
    pub invocation: Invocation,
    /// Bytes of its script and environment that count against its user while it waits; of a task
    /// the array's count.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub input_bytes: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_nothing(bytes: &u32) -> bool {
    *bytes == 0
}

fn is_usual(mode: &OpenMode) -> bool {
    *mode == OpenMode::default()
}

fn is_plain(invocation: &Invocation) -> bool {
    *invocation == Invocation::default()
}

impl StoredSpec {
    /// Of a job that was just submitted. Patterns of files are as they were written.
    #[must_use]
    pub fn submitted(spec: &JobSpec) -> StoredSpec {
        StoredSpec {
            v: Version,
            kill_grace_s: spec.kill_grace_s,
            working_directory: spec.working_directory.clone(),
            create_working_directory: spec.create_working_directory,
            standard_output: spec.standard_output.clone(),
            standard_error: spec.standard_error.clone(),
            comment: spec.comment.clone(),
            data_source: spec.data_source,
            warnings: spec.warnings.clone(),
            retry: spec.retry.clone(),
            signal: spec.signal,
            open_mode: spec.open_mode,
            resources: spec.resources.clone(),
            tasks: spec.tasks,
            kill_on_invalid_dependency: spec.kill_on_invalid_dependency,
            partitions: is_list(&spec.partition).then(|| spec.partition.clone()),
            held_by_operator: false,
            invocation: spec.invocation.clone(),
            input_bytes: spec.counted_bytes(),
        }
    }
}

/// The one version that there is. The next one reads this one too, and a new field needs none.
const VERSION: u32 = 1;

/// [`VERSION`], as a number in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub(super) struct Version;

impl TryFrom<u32> for Version {
    type Error = String;

    fn try_from(version: u32) -> Result<Version, String> {
        match version {
            VERSION => Ok(Version),
            other => Err(format!("version {other} is not known here")),
        }
    }
}

impl From<Version> for u32 {
    fn from(_: Version) -> u32 {
        VERSION
    }
}
