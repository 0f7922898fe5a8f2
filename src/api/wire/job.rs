//! *Purpose*: a job and its history, as JSON.
//!
//! *Owns*: [`Job`], [`Allocation`], [`Usage`], [`JobList`], [`BatchAccepted`], [`Event`].
//!
//! *Promises*: times are RFC 3339 in UTC, durations integers of seconds, ids integers; a field
//! that is not known yet is `null`, never left out and never invented.
//!
//! Where a part of a job was asked for (`wire::pick`), a reader has the rest as when nothing is
//! known: so these fields have defaults, and the document says that a whole job has them all.
//!
//! *Not here*: what the replaced system answered (`wire::seed`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::array::ArrayCounts;
use super::attempt::Retry;
use super::job_usage::UsageNow;
use super::resources::HeldResources;
use crate::job::ids::{CpuId, EventId, JobId};
use crate::job::spec::DataSource;
use crate::job::state::StateWord;
use crate::time::Time;

/// The text of an instant on the wire.
#[must_use]
pub fn format_rfc3339(time: Time) -> String {
    crate::clock::rfc3339(time)
}

/// One job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its number.
    #[schema(value_type = i64, example = 17)]
    pub id: JobId,
    /// Its name.
    #[schema(example = "align")]
    #[serde(default)]
    #[schema(required = true)]
    pub name: String,
    /// Whom to charge; empty when nobody was named.
    #[serde(default)]
    #[schema(required = true)]
    pub account: String,
    /// Who submitted it, as the client said.
    #[serde(default)]
    #[schema(required = true)]
    pub user: String,
    /// The number of its owner, on a server of all users.
    #[serde(default)]
    pub uid: Option<u32>,
    /// Whether what is not the asker's business was left out: script, paths, labels, comment and
    /// what went wrong are null or empty then.
    #[serde(default)]
    pub redacted: bool,
    /// The partition.
    #[schema(example = "default")]
    #[serde(default)]
    #[schema(required = true)]
    pub partition: String,
    /// Where in its life it is.
    pub state: StateWord,
    /// One word for why: for a waiting job `Resources`, `Priority` and the like.
    #[schema(example = "Resources")]
    pub state_reason: Option<String>,
    /// The same as one plain sentence.
    pub state_detail: Option<String>,
    /// Its place among those that wait for their turn, from 1; null for others.
    #[serde(default)]
    pub position: Option<u64>,
    /// When it is expected to start if all before it last as long as they may; null when nobody
    /// can say.
    #[serde(default)]
    #[schema(format = DateTime)]
    pub estimated_start_time: Option<String>,
    /// What that rests on, or why there is none, in a sentence.
    #[serde(default)]
    pub estimate_basis: Option<String>,
    /// Larger runs first.
    #[serde(default)]
    #[schema(required = true)]
    pub priority: i64,
    /// Whether it waits until somebody releases it.
    #[serde(default)]
    pub held: bool,
    /// Who holds it, and may release it: `user`, its owner among others, or `operator`, who alone
    /// can. Null where it is not held.
    #[serde(default)]
    pub held_by: Option<HeldBy>,
    /// Not before.
    #[serde(default)]
    #[schema(format = DateTime)]
    pub begin_time: Option<String>,
    /// Not after: whoever waits then is cancelled, whoever runs then is stopped.
    #[serde(default)]
    #[schema(format = DateTime)]
    pub deadline: Option<String>,
    /// The jobs that it waits for, as they were named.
    #[serde(default)]
    #[schema(example = "afterok:17")]
    pub dependency: Option<String>,
    /// The array that it is a task of, or stands for; null for other jobs.
    #[serde(default)]
    #[schema(value_type = Option<i64>, example = 17)]
    pub array_job_id: Option<JobId>,
    /// Which task of it; null for the job that stands for those that are left.
    #[serde(default)]
    pub array_task_id: Option<u32>,
    /// The tasks of an array that are no jobs of their own yet.
    #[serde(default)]
    #[schema(example = "5-99%4")]
    pub array_tasks: Option<String>,
    /// Of an array, in a list with `fold=arrays`: how many of its tasks are in which state, where
    /// `state` is that of this row alone. Null otherwise.
    #[serde(default)]
    pub array: Option<ArrayCounts>,
    /// When it is run again by itself, and how often it was; null when it never is.
    #[serde(default)]
    pub retry: Option<Retry>,
    /// How often it went back into the queue, by itself or because somebody asked.
    #[serde(default)]
    pub restart_count: u32,
    /// What is sent to it before its time limit, as `sbatch --signal` writes it.
    #[serde(default)]
    #[schema(example = "B:USR1@60")]
    pub signal: Option<String>,
    /// Whether it is cancelled when what it waits for can never be.
    #[serde(default)]
    pub kill_on_invalid_dependency: bool,
    /// How its output files are opened: `truncate` or `append`.
    #[schema(example = "truncate")]
    #[serde(default)]
    pub open_mode: String,
    /// CPUs it has or waits for.
    #[schema(example = 4)]
    #[serde(default)]
    #[schema(required = true)]
    pub cpus: u32,
    /// Its tasks, where that was said.
    #[serde(default)]
    pub ntasks: Option<u32>,
    /// CPUs of each task, where that was said.
    #[serde(default)]
    pub cpus_per_task: Option<u32>,
    /// The script's arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Memory asked for, bytes.
    pub memory_bytes: Option<i64>,
    /// Other resources asked for, by name.
    #[serde(default)]
    #[schema(example = json!({"gpu": 2, "license/matlab": 1}))]
    pub resources: BTreeMap<String, u64>,
    /// Time limit, seconds; null is unlimited.
    #[schema(example = 600)]
    pub time_limit_s: Option<i64>,
    /// Where it runs.
    pub working_directory: Option<String>,
    /// Where standard output goes; null when the server keeps it.
    pub standard_output: Option<String>,
    /// Where standard error goes; null when the server keeps it or it joins standard output.
    pub standard_error: Option<String>,
    /// The file that the script reads as its standard input; null is `/dev/null`.
    #[serde(default)]
    pub standard_input: Option<String>,
    /// Where the command was given that submitted it; null when nobody said.
    #[serde(default)]
    pub submit_directory: Option<String>,
    /// The file of standard output, wherever it is kept; null in /dev/null.
    #[serde(default)]
    pub stdout_path: Option<String>,
    /// The file of standard error, which may be the same one.
    #[serde(default)]
    pub stderr_path: Option<String>,
    /// The file that its script was read from, where it was submitted; null where nobody said.
    #[serde(default)]
    pub command: Option<String>,
    /// When its owner wants mail, as `sbatch --mail-type` has it; no mail is sent yet.
    #[serde(default)]
    pub mail_type: Option<String>,
    /// Who gets that mail.
    #[serde(default)]
    pub mail_user: Option<String>,
    /// When the server forgets it, and removes the output that it keeps itself; null while it has
    /// not ended, and where jobs are kept for ever.
    #[serde(default)]
    pub kept_until: Option<String>,
    /// Labels to find it by.
    #[serde(default)]
    #[schema(required = true)]
    pub labels: BTreeMap<String, String>,
    /// A remark.
    pub comment: Option<String>,
    /// The door it came through: `API`, `CLI` or `WEB`.
    #[schema(value_type = String, example = "API")]
    #[serde(default)]
    #[schema(required = true)]
    pub data_source: DataSource,
    /// When it was submitted.
    #[schema(format = DateTime, example = "2026-11-22T03:42:17.123456Z")]
    #[serde(default)]
    #[schema(required = true)]
    pub submit_time: String,
    /// From when on it may start.
    #[schema(format = DateTime)]
    pub eligible_time: Option<String>,
    /// When its script was spawned.
    #[schema(format = DateTime)]
    pub start_time: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    pub end_time: Option<String>,
    /// When it has to end that runs: its start and its time limit, moved along by what it was
    /// suspended, or its deadline; null where it has neither, and where it does not run.
    #[serde(default)]
    #[schema(format = DateTime)]
    pub expected_end_time: Option<String>,
    /// When KILL follows TERM, of one that is being ended; null where that is not known.
    #[serde(default)]
    #[schema(format = DateTime)]
    pub kill_time: Option<String>,
    /// Since when it is suspended; null when it is not.
    #[serde(default)]
    #[schema(format = DateTime)]
    pub suspend_time: Option<String>,
    /// Seconds of this run in which it was suspended.
    #[serde(default)]
    pub suspended_s: i64,
    /// Seconds from start to end, or to now while it runs, without those in which it was
    /// suspended; 0 before the start.
    #[serde(default)]
    #[schema(required = true)]
    pub elapsed_s: i64,
    /// `code:signal`; null before the end and where no script ended.
    #[schema(example = "0:0")]
    pub exit_code: Option<String>,
    /// The code that the script exited with; null before the end, where a signal ended it, and
    /// where no script ended.
    #[serde(default)]
    #[schema(example = 0)]
    pub exit_status: Option<u8>,
    /// The signal that ended the script; null where none did.
    #[serde(default)]
    pub exit_signal: Option<u8>,
    /// What went wrong, in a sentence.
    pub error: Option<String>,
    /// What of the request was not honoured, one sentence each.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Which run this is; 0 before the first.
    #[serde(default)]
    #[schema(required = true)]
    pub attempt: u32,
    /// The machine that it runs on, or ran on last; null before its first run.
    #[serde(default)]
    #[schema(example = "big")]
    pub node: Option<String>,
    /// The CPUs it holds or held.
    pub allocation: Option<Allocation>,
    /// What its processes used; null before the end.
    pub usage: Option<Usage>,
    /// What its processes use now; null unless it runs, and in its first 10 to 20 s.
    #[serde(default)]
    pub usage_now: Option<UsageNow>,
}

impl Job {
    /// What everybody may know of it.
    #[must_use]
    pub fn redacted(self) -> Job {
        Job {
            redacted: true,
            dependency: None,
            retry: None,
            signal: None,
            args: Vec::new(),
            working_directory: None,
            standard_output: None,
            standard_error: None,
            standard_input: None,
            submit_directory: None,
            stdout_path: None,
            stderr_path: None,
            command: None,
            mail_type: None,
            mail_user: None,
            labels: BTreeMap::new(),
            comment: None,
            error: None,
            warnings: Vec::new(),
            allocation: self.allocation.map(|own| Allocation { process_id: None, ..own }),
            usage: None,
            usage_now: None,
            ..self
        }
    }

    /// As people name it: `17`, `17_4` for a task, `17_[5-99%4]` for those of an array that are
    /// left.
    #[must_use]
    pub fn shown_id(&self) -> String {
        match (self.array_job_id, self.array_task_id, &self.array_tasks) {
            (Some(array), Some(task), _) => format!("{array}_{task}"),
            (Some(array), None, Some(left)) => format!("{array}_[{left}]"),
            _ => self.id.to_string(),
        }
    }

    /// Whether it is an array's own job.
    #[must_use]
    pub fn is_array(&self) -> bool {
        self.array_job_id == Some(self.id)
    }
}

/// The CPUs of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Allocation {
    /// Which CPUs.
    #[schema(value_type = Vec<u32>)]
    pub cpu_ids: Vec<CpuId>,
    /// What else: numbers of units, or an amount.
    #[serde(default)]
    #[schema(value_type = Object, example = json!({"gpu": [0, 1], "license/matlab": 1}))]
    pub resources: HeldResources,
    /// The script's process.
    pub process_id: Option<i64>,
    /// Since when.
    #[schema(format = DateTime)]
    pub allocation_time: String,
    /// Whether they were given back.
    pub released: bool,
    /// When they were given back.
    #[schema(format = DateTime)]
    pub released_time: Option<String>,
}

/// Who holds a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeldBy {
    /// Its owner, or whoever gives orders about it with him; each of them may release it.
    User,
    /// An operator; only operators may release it.
    Operator,
}

/// What a job's process tree used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// CPU time in user mode, seconds.
    pub user_cpu_s: f64,
    /// CPU time in the kernel, seconds.
    pub system_cpu_s: f64,
    /// Resident set of the largest single process, bytes.
    pub max_rss_bytes: i64,
}

/// A page of jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobList {
    /// The jobs, latest first unless asked otherwise.
    pub jobs: Vec<Job>,
    /// Hand this back as `cursor` for the next page; null on the last one.
    pub next_cursor: Option<String>,
}

/// The numbers of a batch, in the order it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchAccepted {
    /// Consecutive job ids.
    #[schema(value_type = Vec<i64>)]
    pub job_ids: Vec<JobId>,
}

/// How a job ended: the data of the event `end`, the last one of a stream of its output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StreamEnd {
    /// The job.
    #[schema(value_type = i64)]
    pub job_id: JobId,
    /// Which run.
    pub attempt: u32,
    /// Its final state.
    pub state: StateWord,
    /// `code:signal`; null where no script ended.
    #[schema(example = "0:0")]
    pub exit_code: Option<String>,
    /// The code that the script exited with; null where a signal ended it, or no script ended.
    #[schema(example = 0)]
    pub exit_status: Option<u8>,
    /// The signal that ended the script; null where it exited, or no script ended.
    pub exit_signal: Option<u8>,
}

/// One transition of one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// The durable sequence number over all jobs.
    #[schema(value_type = i64)]
    pub id: EventId,
    /// The job.
    #[schema(value_type = i64)]
    pub job_id: JobId,
    /// When.
    #[schema(format = DateTime)]
    pub time: String,
    /// The state it left; null for a submission.
    pub from: Option<StateWord>,
    /// The state it entered.
    pub to: StateWord,
    /// What caused it: `submitted`, `granted`, `exited` …
    pub cause: String,
    /// Who: a user, or the part of the server that acted.
    pub principal: String,
    /// His number; null of the server itself, and of whoever sent a token that says nothing of him.
    pub uid: Option<u32>,
    /// Which run.
    pub attempt: u32,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;

    fn keys(value: &Value) -> BTreeSet<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn a_job_has_the_fields_of_the_contract_and_nulls_where_nothing_is_known() {
        let words = "id name account user partition state state_reason state_detail priority cpus \
            memory_bytes time_limit_s working_directory standard_output standard_error labels \
            comment data_source submit_time eligible_time start_time end_time elapsed_s exit_code \
            error warnings attempt allocation usage position estimated_start_time estimate_basis \
            exit_status exit_signal \
            held held_by begin_time deadline dependency array_job_id array_task_id array_tasks \
            retry restart_count signal kill_on_invalid_dependency open_mode resources ntasks \
            cpus_per_task args standard_input submit_directory \
            stdout_path stderr_path kept_until uid redacted node command mail_type \
            mail_user suspend_time suspended_s expected_end_time kill_time array usage_now";
        let mut body = json!({
            "id": 17, "name": "n", "account": "", "user": "", "partition": "default",
            "state": "OUT_OF_MEMORY", "priority": 0, "cpus": 1, "labels": {}, "data_source": "WEB",
            "submit_time": format_rfc3339(Time(0)), "elapsed_s": 0, "attempt": 0,
            "allocation": {"cpu_ids": [3], "allocation_time": "t", "released": false},
            "usage": {"user_cpu_s": 0.5, "system_cpu_s": 0.0, "max_rss_bytes": 1},
        });
        let job: Job = serde_json::from_value(body.clone()).unwrap();
        let written = serde_json::to_value(&job).unwrap();
        assert_eq!(keys(&written), words.split_whitespace().collect());
        assert_eq!(written["exit_code"], Value::Null);
        assert_eq!(written["state"], "OUT_OF_MEMORY");
        assert_eq!(written["submit_time"], "1970-01-01T00:00:00.000000Z");
        let words = "cpu_ids process_id allocation_time released released_time resources";
        assert_eq!(keys(&written["allocation"]), words.split(' ').collect());
        body["state"] = "ASLEEP".into();
        assert!(serde_json::from_value::<Job>(body).is_err());
    }
}
