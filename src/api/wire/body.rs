//! *Purpose*: the shapes of submit bodies, for clients that build them and for the OpenAPI
//! document.
//!
//! *Owns*: [`SubmitBody`], [`NestedBody`], [`BatchBody`].
//!
//! *Promises*: every field here is read by `wire::submit` (a test sends them all).
//!
//! *Not here*: reading a body, which finds all its faults at once (`wire::submit`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::amount::Amount;
use super::retry::RetryBody;

/// A job to submit, flat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubmitBody {
    /// The script's text; `/bin/bash` runs it unless its first line names an interpreter.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(example = "#!/bin/bash\necho hello")]
    pub script: String,
    /// The script's bytes instead, for one that is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script_base64: Option<String>,
    /// Its name, up to 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whom to charge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Who submits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// CPUs, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, example = 4)]
    pub cpus: Option<i64>,
    /// CPUs of each task; with `ntasks` instead of `cpus`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub cpus_per_task: Option<i64>,
    /// Tasks, which the script starts itself; their CPUs are added up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub ntasks: Option<i64>,
    /// The same, as this server is one node.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub ntasks_per_node: Option<i64>,
    /// All CPUs of this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclusive: Option<bool>,
    /// Memory: bytes, or `"512M"`, `"2G"` (binary).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Amount>,
    /// GPUs: a count, or text with a type, `"a100:2"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<Amount>,
    /// GPUs of each task; with `ntasks` instead of `gpus`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus_per_task: Option<Amount>,
    /// Other resources by name: `{"license/matlab": 1}`; of `scratch` bytes, or `"10G"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<BTreeMap<String, Amount>>,
    /// Minutes, or text as Slurm has it: `"1-12:00:00"`, `"90s"`, `"UNLIMITED"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<Amount>,
    /// An absolute path; without one the job runs in a folder of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<String>,
    /// File for standard output: `%j` is the id, `%x` the name, `%u` the user, `%N` the machine,
    /// `%%` a percent sign; of a task of an array `%A` is the array's id and `%a` the task; `%4j`
    /// has four digits or more. `/dev/null` keeps nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "out/%j.txt")]
    pub standard_output: Option<String>,
    /// File for standard error; it joins standard output when only that is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<String>,
    /// Variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<BTreeMap<String, String>>,
    /// Larger runs first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// Labels to find it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// A remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Seconds between TERM and KILL when it is stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub kill_grace_s: Option<i64>,
    /// The same as text: `"30s"`, `"2m"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kill_grace: Option<String>,
    /// Whether it waits until somebody releases it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<bool>,
    /// Not before: RFC 3339, or `now+2h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "now+2h")]
    pub begin_time: Option<String>,
    /// Not after: whoever waits then is cancelled, whoever runs then is stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-11-23T06:00:00Z")]
    pub deadline: Option<String>,
    /// Jobs to wait for: `after`, `afterok`, `afterany`, `afternotok` with ids, `singleton`; joined
    /// by `,` (all) or `?` (any). `aftercorr`: task by task after those of another array.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "afterok:17:18,afterany:19")]
    pub dependency: Option<String>,
    /// Makes it an array of tasks, `0-99`, `1,3,5-9:2`; `%4` behind it: so many at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "0-99%4")]
    pub array: Option<String>,
    /// When it is run again by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryBody>,
    /// A signal before the time limit: `USR1@60` for its processes, `B:USR1@60` for the script.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "B:USR1@60")]
    pub signal: Option<String>,
    /// Whether it is cancelled when what it waits for can never be; the server's
    /// `kill_on_invalid_dependency` when nobody says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kill_on_invalid_dependency: Option<bool>,
    /// How its output files are opened: `truncate` (the default), each attempt empties them;
    /// `append`, it writes behind what is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "append")]
    pub open_mode: Option<String>,
    /// The script's arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["a", "b c"]))]
    pub args: Vec<String>,
    /// File that the script reads as its standard input, from its working directory on, with the
    /// same placeholders; `/dev/null` without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_input: Option<String>,
    /// The script's file mode creation mask, octal; the server's without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "0022")]
    pub umask: Option<String>,
    /// The script's soft limits, by the names of `limits.conf`, in bytes, seconds, files or
    /// processes, or `"unlimited"`. None goes beyond the server's hard limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!({"nofile": 4096, "core": 0}))]
    pub limits: Option<BTreeMap<String, Amount>>,
    /// Where the command was given, for `SLURM_SUBMIT_DIR`; the working directory without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submit_directory: Option<String>,
    /// On which machine, for `SLURM_SUBMIT_HOST`; the server's without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submit_host: Option<String>,
    /// The file that the script was read from, there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// When its owner wants mail: `END,FAIL`. It is kept with the job; no mail is sent yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "END,FAIL")]
    pub mail_type: Option<String>,
    /// Who gets that mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail_user: Option<String>,
    /// The door it comes through: `API`, `CLI` or `WEB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "API")]
    pub data_source: Option<String>,
}

/// A job to submit, nested, as slurmrestd and the replaced system have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NestedBody {
    /// All but the script.
    pub job: NestedJob,
    /// The script's text.
    pub script: String,
}

/// All but the script.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs, reason = "as in SubmitBody, by slurmrestd's names")]
pub struct NestedJob {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// Created when it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_working_directory: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<String>,
    /// An object of strings; a list of `"NAME=value"` is read too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub ntasks: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub ntasks_per_node: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub cpus_per_task: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_per_node: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<Amount>,
    /// All CPUs of this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclusive: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub kill_grace_s: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kill_grace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begin_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dependency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kill_on_invalid_dependency: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_mode: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<BTreeMap<String, Amount>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submit_directory: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submit_host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail_user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "API")]
    pub data_source: Option<String>,
}

/// Jobs to submit together: all of them or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchBody {
    /// From 1 to 10,000; the nested form is read too.
    pub jobs: Vec<SubmitBody>,
}
