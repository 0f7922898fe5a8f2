//! *Purpose*: rows as structs.
//!
//! *Owns*: what each column holds and how a checked job becomes rows.
//!
//! *Promises*: labels, warnings, environment and CPU ids are JSON text; times are µs.
//!
//! *Not here*: queries (`store::read`, `store::write`).

use std::collections::BTreeMap;
use std::sync::Arc;

use diesel::prelude::*;

use super::schema::{events, idempotency_keys, job_scripts, jobs, resource_allocations};
use crate::job::array_spec::JobRef;
use crate::job::dependency::Dependencies;
use crate::job::files::expand_pattern;
use crate::job::ids::{CpuId, JobId};
use crate::job::request::{MEMORY, Request};
use crate::job::retry_policy::RetryPolicy;
use crate::job::spec::{JobSpec, OpenMode};
use crate::job::state::StateWord;
use crate::kernel::change::{Event, IdempotencyKey, Queued};
use crate::kernel::requeue::EndedJob;
use crate::time::Time;

/// A row of `jobs`.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = jobs)]
#[allow(missing_docs, reason = "columns are named as the Job fields of the API")]
pub struct JobRow {
    pub id: i64,
    pub name: String,
    pub account: String,
    pub user: String,
    pub partition: String,
    pub state: String,
    pub priority: i64,
    pub cpus: i32,
    pub memory_bytes: Option<i64>,
    pub time_limit_s: Option<i64>,
    pub kill_grace_s: i64,
    /// `None`: a folder of its own below the data folder.
    pub working_directory: Option<String>,
    pub create_working_directory: bool,
    /// Placeholders expanded; `None`: kept by the server.
    pub standard_output: Option<String>,
    pub standard_error: Option<String>,
    pub labels: String,
    pub comment: Option<String>,
    pub data_source: String,
    pub warnings: String,
    pub submit_time: i64,
    pub eligible_time: i64,
    pub start_time: Option<i64>,
    pub end_time: Option<i64>,
    pub exit_code: Option<String>,
    pub error: Option<String>,
    pub attempt: i32,
    pub completing: Option<String>,
    pub process_id: Option<i32>,
    pub user_cpu_us: Option<i64>,
    pub system_cpu_us: Option<i64>,
    pub max_rss_bytes: Option<i64>,
    pub held: Option<bool>,
    /// Not before.
    pub begin_time: Option<i64>,
    /// Not after.
    pub deadline: Option<i64>,
    /// As Slurm writes it.
    pub dependency: Option<String>,
    /// The array that it is a task of, or the rest of.
    pub array_job_id: Option<i64>,
    /// Which task.
    pub array_task_id: Option<i64>,
    /// Tasks of the array that are no jobs yet, `5-99%4`; placeholders are not expanded then.
    pub array_tasks: Option<String>,
    /// All tasks as they were submitted, in the array's own row.
    pub array_spec: Option<String>,
    /// When it is run again by itself, a JSON object.
    pub retry: Option<String>,
    /// How often it was.
    pub retries: i32,
    /// How often it went back into the queue in all.
    pub restarts: i32,
    /// As Slurm writes it.
    pub signal: Option<String>,
    /// How its output files are opened; `None`: truncated.
    pub open_mode: Option<String>,
}

/// A new row of `jobs` of one task of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRow(pub JobRow);

impl std::ops::Deref for TaskRow {
    type Target = JobRow;
    fn deref(&self) -> &JobRow {
        &self.0
    }
}

/// A row of `job_scripts`.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = job_scripts)]
#[allow(missing_docs, reason = "named as the fields of the API")]
pub struct ScriptRow {
    pub job_id: i64,
    pub script: String,
    /// A JSON object of strings.
    pub environment: String,
}

/// A new row of `job_scripts`. It may be megabytes, so it is stored from where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "see ScriptRow")]
pub struct NewScript<'a> {
    pub job_id: i64,
    pub script: &'a str,
    pub environment: String,
}

/// A new row of `job_labels`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the fields of the API")]
pub struct NewLabel<'a> {
    pub key: &'a str,
    pub value: &'a str,
    pub job_id: i64,
}

/// A row of `submit_time_falls`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FallRow {
    /// The job that was submitted earlier than those before it.
    pub job_id: i64,
    /// The latest of those before it.
    pub time_before: i64,
    /// Its own.
    pub time_after: i64,
}

/// A row of `resource_allocations`.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = resource_allocations)]
#[allow(missing_docs, reason = "named as the fields of the API")]
pub struct AllocationRow {
    /// The id of the event that granted it.
    pub id: i64,
    pub job_id: i64,
    pub attempt: i32,
    pub allocated_cpus: i32,
    /// A JSON array of numbers.
    pub cpu_ids: String,
    pub released: bool,
    pub allocation_time: i64,
    pub released_time: Option<i64>,
    pub process_id: Option<i32>,
    /// With job and attempt, the key to the engine.
    pub nonce: String,
    /// The boot during which it was granted.
    pub boot_id: String,
    /// How it ended: a final state, `REQUEUED` or `PREEMPTED`; `None` before that, and of attempts
    /// of an older Downbeat.
    pub state: Option<String>,
    pub exit_code: Option<String>,
    pub error: Option<String>,
    /// When its script was spawned.
    pub start_time: Option<i64>,
    pub end_time: Option<i64>,
}

impl AllocationRow {
    /// The CPUs.
    #[must_use]
    pub fn cpus(&self) -> Vec<CpuId> {
        from_json(&self.cpu_ids)
    }
}

/// A row of `held_cpus`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "who holds which CPU")]
pub struct HeldRow {
    pub cpu_id: i64,
    pub job_id: i64,
}

/// A row of `events`.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = events)]
#[allow(missing_docs, reason = "named as the fields of the API")]
pub struct EventRow {
    pub id: i64,
    pub job_id: i64,
    pub attempt: i32,
    pub time: i64,
    pub from_state: Option<String>,
    pub to_state: String,
    pub cause: String,
    pub principal: String,
}

/// A new row of `events`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "see EventRow")]
pub struct NewEvent<'a> {
    pub id: i64,
    pub job_id: i64,
    pub attempt: i32,
    pub time: i64,
    pub from_state: Option<&'a str>,
    pub to_state: &'a str,
    pub cause: &'a str,
    pub principal: &'a str,
}

/// A row of `idempotency_keys`.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = idempotency_keys)]
#[allow(missing_docs, reason = "see kernel::change::IdempotencyKey")]
pub struct KeyRow {
    pub key: String,
    pub body_hash: String,
    pub first_job_id: i64,
    pub job_count: i32,
    pub time: i64,
}

/// JSON text of a value that always has one (strings, numbers, lists and maps of them).
#[must_use]
pub fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Reads what [`json`] wrote; text that another program has spoilt reads as empty.
#[must_use]
pub fn from_json<T: serde::de::DeserializeOwned + Default>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_default()
}

impl JobRow {
    /// The first row of a job.
    #[must_use]
    pub fn submitted(id: JobId, time: Time, spec: &JobSpec) -> JobRow {
        let expand = |pattern: &Option<String>| {
            let pattern = pattern.as_deref()?;
            // Each task of an array has files of its own.
            let of_tasks = spec.array.is_some();
            Some(match of_tasks {
                true => pattern.to_owned(),
                false => expand_pattern(pattern, id, None, &spec.name),
            })
        };
        let array = spec.array.as_ref().map(ToString::to_string);
        JobRow {
            id: id.0,
            name: spec.name.clone(),
            account: spec.account.clone(),
            user: spec.user.clone(),
            partition: spec.partition.clone(),
            state: StateWord::Pending.word().to_owned(),
            priority: spec.priority,
            cpus: spec.cpus as i32,
            memory_bytes: spec.memory_bytes,
            time_limit_s: spec.limit_s.map(i64::from),
            kill_grace_s: i64::from(spec.kill_grace_s),
            working_directory: spec.working_directory.clone(),
            create_working_directory: spec.create_working_directory,
            standard_output: expand(&spec.standard_output),
            standard_error: expand(&spec.standard_error),
            labels: json(&spec.labels),
            comment: spec.comment.clone(),
            data_source: spec.data_source.word().to_owned(),
            warnings: json(&spec.warnings),
            submit_time: time.0,
            eligible_time: spec.begin.map_or(time.0, |begin| begin.0.max(time.0)),
            start_time: None,
            end_time: None,
            exit_code: None,
            error: None,
            attempt: 0,
            completing: None,
            process_id: None,
            user_cpu_us: None,
            system_cpu_us: None,
            max_rss_bytes: None,
            held: spec.held.then_some(true),
            begin_time: spec.begin.map(|time| time.0),
            deadline: spec.deadline.map(|time| time.0),
            dependency: Some(spec.dependencies.to_string()).filter(|text| !text.is_empty()),
            array_job_id: array.is_some().then_some(id.0),
            array_task_id: None,
            array_tasks: array.clone(),
            array_spec: array,
            retry: spec.retry.as_ref().map(|policy| json(&**policy)),
            retries: 0,
            restarts: 0,
            signal: spec.signal.map(|signal| signal.to_string()),
            open_mode: match spec.open_mode {
                OpenMode::Truncate => None,
                mode => Some(mode.word().to_owned()),
            },
        }
    }

    /// The id.
    #[must_use]
    pub fn job(&self) -> JobId {
        JobId(self.id)
    }

    /// The job as one task of the array whose rest this row is.
    #[must_use]
    pub fn as_task(self, id: JobId, task: u32) -> JobRow {
        let of = JobRef { job: JobId(self.id), task: Some(task) };
        let expand = |pattern: Option<String>| {
            pattern.map(|pattern| expand_pattern(&pattern, id, Some(of), &self.name))
        };
        let dependency = |text: String| match text.parse::<Dependencies>() {
            Ok(dependencies) => dependencies.of_task(task).to_string(),
            Err(_) => text,
        };
        JobRow {
            id: id.0,
            standard_output: expand(self.standard_output),
            standard_error: expand(self.standard_error),
            dependency: self.dependency.map(dependency),
            array_job_id: Some(self.id),
            array_task_id: Some(i64::from(task)),
            array_tasks: None,
            array_spec: self.array_spec.filter(|_| id == of.job),
            ..self
        }
    }

    /// All that it asks for beside CPUs.
    #[must_use]
    pub fn beside_cpus(&self) -> Request {
        let memory = self.memory_bytes.and_then(|m| u64::try_from(m).ok()).unwrap_or(0);
        Request::default().with(MEMORY, memory)
    }

    /// The job whose script it runs: of a task that of its array.
    #[must_use]
    pub fn script_of(&self) -> i64 {
        self.array_job_id.unwrap_or(self.id)
    }

    /// The job as it would go back into the queue; `None` unless it is over.
    #[must_use]
    pub fn if_over(&self) -> Option<EndedJob> {
        let word = self.state.parse().ok().filter(|word: &StateWord| word.is_final())?;
        let retry: Option<RetryPolicy> =
            self.retry.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let job = Queued {
            id: self.job(),
            cpus: self.cpus as u32,
            limit_s: self.time_limit_s.and_then(|s| u32::try_from(s).ok()),
            priority: self.priority,
            attempts: self.attempt as u32,
            submitted: Time(self.submit_time),
            ..Queued::default()
        };
        let task = self.array_task_id.and_then(|task| u32::try_from(task).ok());
        Some(EndedJob {
            job,
            rest: self.beside_cpus(),
            word,
            held: self.held.unwrap_or(false),
            begin: self.begin_time.map(Time),
            deadline: self.deadline.map(Time),
            retry: retry.map(Arc::new),
            partition: self.partition.clone(),
            account: self.account.clone(),
            task: self.array_job_id.map(JobId).zip(task),
        })
    }

    /// The state; a word that another program has spoilt reads as FAILED.
    #[must_use]
    pub fn state_word(&self) -> StateWord {
        self.state.parse().unwrap_or(StateWord::Failed)
    }
}

impl<'a> NewLabel<'a> {
    /// The labels of a new job.
    pub fn submitted(job: JobId, spec: &'a JobSpec) -> impl Iterator<Item = NewLabel<'a>> {
        spec.labels.iter().map(move |(key, value)| NewLabel { key, value, job_id: job.0 })
    }
}

impl<'a> NewScript<'a> {
    /// Script and environment of a new job.
    #[must_use]
    pub fn submitted(job: JobId, spec: &'a JobSpec) -> NewScript<'a> {
        NewScript { job_id: job.0, script: &spec.script, environment: json(&spec.environment) }
    }
}

impl ScriptRow {
    /// The environment.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<String, String> {
        from_json(&self.environment)
    }
}

impl<'a> From<&'a Event> for NewEvent<'a> {
    fn from(event: &'a Event) -> NewEvent<'a> {
        NewEvent {
            id: event.id.0,
            job_id: event.job.0,
            attempt: event.attempt as i32,
            time: event.time.0,
            from_state: event.from.map(StateWord::word),
            to_state: event.to.word(),
            cause: event.cause,
            principal: &event.principal,
        }
    }
}

impl From<&IdempotencyKey> for KeyRow {
    fn from(key: &IdempotencyKey) -> KeyRow {
        KeyRow {
            key: key.key.to_string(),
            body_hash: key.body_hash.to_string(),
            first_job_id: key.first.0,
            job_count: key.count as i32,
            time: key.time.0,
        }
    }
}
