//! *Purpose*: what the database remembers, as the rest of the program sees it.
//!
//! *Owns*: [`JobRecord`], [`AllocationRecord`], [`ScriptRecord`], [`EventRecord`], [`KeyRecord`].
//!
//! *Promises*: every field is of the type that it means; a row of which one value cannot be read
//! has no record, but is an error.
//!
//! *Not here*: columns and their texts (`store::rows`, `store::cell`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::spec::StoredSpec;
use crate::job::array_spec::{ArraySpec, JobRef};
use crate::job::dependency::Dependencies;
use crate::job::edit::Edit;
use crate::job::files::expand_pattern;
use crate::job::ids::{Attempt, CpuId, EventId, JobId, Owner, Uid, UnitId};
use crate::job::invocation::Invocation;
use crate::job::outcome::{ExitCode, Usage};
use crate::job::request::{CPU, MEMORY, Request};
use crate::job::spec::JobSpec;
use crate::job::state::{AttemptEnd, EndReason, Hold, StateWord};
use crate::job::suspension::Suspension;
use crate::kernel::access::Whose;
use crate::kernel::change::Change;
use crate::kernel::commands::requeue::EndedJob;
use crate::kernel::parts::queued::Queued;
use crate::resources::allocation::{Held, Share};
use crate::resources::partitions::is_list;
use crate::time::{SECOND_US, Time};

/// A job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRecord {
    /// Its number.
    pub id: JobId,
    /// Its name.
    pub name: String,
    /// Whom to charge; empty when nobody was named.
    pub account: String,
    /// Who submitted it.
    pub user: String,
    /// Whose it is.
    pub owner: Owner,
    /// The partition.
    pub partition: String,
    /// Where in its life it is.
    pub state: StateWord,
    /// Larger runs first.
    pub priority: i64,
    /// CPUs that it asks for.
    pub cpus: u32,
    /// Memory that it asks for, bytes.
    pub memory_bytes: Option<u64>,
    /// Time limit, seconds.
    pub time_limit_s: Option<u32>,
    /// Labels to find it by.
    pub labels: BTreeMap<String, String>,
    /// What nothing searches by.
    pub spec: StoredSpec,
    /// When it was submitted.
    pub submit_time: Time,
    /// From when on it could start.
    pub eligible_time: Time,
    /// When its script was spawned.
    pub start_time: Option<Time>,
    /// When it ended.
    pub end_time: Option<Time>,
    /// The script's own code.
    pub exit_code: Option<ExitCode>,
    /// What went wrong, in a sentence.
    pub error: Option<String>,
    /// Attempts so far.
    pub attempt: u32,
    /// Why it is being ended, or was.
    pub completing: Option<EndReason>,
    /// The script's process.
    pub process_id: Option<i32>,
    /// What its process tree used, where somebody saw its end.
    pub usage: Option<Usage>,
    /// Whether it waits until somebody releases it.
    pub held: bool,
    /// Not before.
    pub begin_time: Option<Time>,
    /// Not after.
    pub deadline: Option<Time>,
    /// The jobs that it waits for.
    pub dependency: Option<Dependencies>,
    /// The array that it is a task of, or the rest of.
    pub array_job_id: Option<JobId>,
    /// Which task.
    pub array_task_id: Option<u32>,
    /// Tasks of the array that are no jobs yet; placeholders are not expanded then.
    pub array_tasks: Option<ArraySpec>,
    /// All tasks as they were submitted, in the array's own row.
    pub array_spec: Option<ArraySpec>,
    /// How often it was run again by itself.
    pub retries: u32,
    /// How often it went back into the queue in all.
    pub restarts: u32,
    /// Whether it is suspended, and for how long it was since it was started.
    pub suspension: Suspension,
    /// Since when it is being ended. The row does not say: it is looked up where jobs are shown
    /// (`store::read`), of those that are, and `None` otherwise.
    pub stopping_since: Option<Time>,
}

impl JobRecord {
    /// When its run is expected to end, if it has begun: after its time limit, without the time in
    /// which it was suspended, or at its deadline; `None` where it has neither.
    #[must_use]
    pub fn expected_end(&self, now: Time) -> Option<Time> {
        let limit_us = self.time_limit_s.map(|s| i64::from(s) * SECOND_US);
        let after = |(Time(start), limit): (Time, i64)| {
            Time(start.saturating_add(limit).saturating_add(self.suspension.us(now)))
        };
        let of_limit = self.start_time.zip(limit_us).map(after);
        of_limit.into_iter().chain(self.deadline).min()
    }

    /// When its processes are killed, where they were told to end; `None` where that is not known.
    #[must_use]
    pub fn kill_time(&self) -> Option<Time> {
        let told = match self.completing? {
            EndReason::Lost | EndReason::Finishing => None,
            _ => self.stopping_since,
        };
        told.map(|since| since.plus_s(self.spec.kill_grace_s.into()))
    }

    /// All that it asks for beside CPUs.
    #[must_use]
    pub fn beside_cpus(&self) -> Request {
        self.spec.resources.clone().with(MEMORY, self.memory_bytes.unwrap_or(0))
    }

    /// A job that was just submitted.
    #[must_use]
    pub fn submitted(id: JobId, time: Time, spec: &JobSpec) -> JobRecord {
        let mut stored = StoredSpec::submitted(spec);
        // Each task of an array has files of its own.
        if spec.array.is_none() {
            let expand = |pattern: String| expand_pattern(&pattern, id, None, &spec.name);
            stored.standard_output = stored.standard_output.map(expand);
            stored.standard_error = stored.standard_error.map(expand);
            let input = &mut stored.invocation.standard_input;
            *input = input.take().map(expand);
        }
        let dependency = Some(&spec.dependencies).filter(|all| **all != Dependencies::default());
        JobRecord {
            id,
            name: spec.name.clone(),
            account: spec.account.clone(),
            user: spec.user.clone(),
            owner: spec.owner,
            partition: spec.partition.clone(),
            state: StateWord::Pending,
            priority: spec.priority,
            cpus: spec.cpus,
            memory_bytes: spec.memory_bytes.map(i64::unsigned_abs),
            time_limit_s: spec.limit_s,
            labels: spec.labels.clone(),
            spec: stored,
            submit_time: time,
            eligible_time: spec.begin.map_or(time, |begin| begin.max(time)),
            start_time: None,
            end_time: None,
            exit_code: None,
            error: None,
            attempt: 0,
            completing: None,
            process_id: None,
            usage: None,
            held: spec.held,
            begin_time: spec.begin,
            deadline: spec.deadline,
            dependency: dependency.cloned(),
            array_job_id: spec.array.is_some().then_some(id),
            array_task_id: None,
            array_tasks: spec.array.clone(),
            array_spec: spec.array.clone(),
            retries: 0,
            restarts: 0,
            suspension: Suspension::default(),
            stopping_since: None,
        }
    }

    /// The job as it is when somebody has changed it at this time, who finds it in this state.
    #[must_use]
    pub fn edited(self, edit: &Edit, state: StateWord, now: Time) -> JobRecord {
        let mut job = self;
        // Of what went back into the queue the submission says nothing any more.
        let earliest = if job.restarts > 0 { now } else { job.submit_time };
        if let Some(held) = edit.held {
            (job.held, job.spec.held_by_operator) = (held, held && edit.by_operator);
        }
        job.priority = edit.priority.unwrap_or(job.priority);
        job.time_limit_s = edit.limit_s.unwrap_or(job.time_limit_s);
        job.begin_time = edit.begin.unwrap_or(job.begin_time);
        job.deadline = edit.deadline.unwrap_or(job.deadline);
        job.memory_bytes = edit.memory_bytes.unwrap_or(job.memory_bytes);
        if state == StateWord::Pending {
            job.eligible_time = job.begin_time.map_or(earliest, |begin| begin.max(earliest));
        }
        if let Some((cpus, tasks)) = edit.cpus {
            (job.cpus, job.spec.tasks) = (cpus, tasks);
        }
        let words = [
            (&mut job.name, &edit.name),
            (&mut job.account, &edit.account),
            (&mut job.partition, &edit.partition),
        ];
        for (word, new) in words {
            new.iter().for_each(|new| word.clone_from(new));
        }
        if let Some(partition) = &edit.partition {
            job.spec.partitions = is_list(partition).then(|| partition.clone());
        }
        if let Some(all) = &edit.dependencies {
            job.dependency = (*all != Dependencies::default()).then(|| all.clone());
        }
        if let Some(labels) = &edit.labels {
            job.labels.clone_from(labels);
        }
        if let Some(comment) = &edit.comment {
            job.spec.comment.clone_from(comment);
        }
        job
    }

    /// The job as one task of the array whose rest this row is.
    #[must_use]
    pub fn as_task(self, id: JobId, task: u32) -> JobRecord {
        let of = JobRef { job: self.id, task: Some(task) };
        let expand = |pattern: Option<String>| {
            pattern.map(|pattern| expand_pattern(&pattern, id, Some(of), &self.name))
        };
        let spec = StoredSpec {
            input_bytes: if id == of.job { self.spec.input_bytes } else { 0 },
            standard_output: expand(self.spec.standard_output),
            standard_error: expand(self.spec.standard_error),
            invocation: Invocation {
                standard_input: expand(self.spec.invocation.standard_input),
                ..self.spec.invocation
            },
            ..self.spec
        };
        JobRecord {
            id,
            spec,
            dependency: self.dependency.map(|all| all.of_task(task)),
            array_job_id: Some(of.job),
            array_task_id: Some(task),
            array_tasks: None,
            array_spec: self.array_spec.filter(|_| id == of.job),
            ..self
        }
    }

    /// Whose it is, and whom it is charged to.
    #[must_use]
    pub fn whose(&self) -> Whose<'_> {
        Whose { owner: self.owner, account: &self.account }
    }

    /// The job whose script it runs: of a task that of its array.
    #[must_use]
    pub fn script_of(&self) -> JobId {
        self.array_job_id.unwrap_or(self.id)
    }

    /// Its partition, or all that it lists.
    #[must_use]
    pub fn listed_partitions(&self) -> &str {
        self.spec.partitions.as_deref().unwrap_or(&self.partition)
    }

    /// Its user, where users are told apart.
    #[must_use]
    pub fn counted_user(&self) -> &str {
        self.owner.map_or("", |_| &self.user)
    }

    /// The job as it would stand in the queue, but for what is numbered there.
    #[must_use]
    pub fn queued(&self) -> Queued {
        Queued {
            id: self.id,
            cpus: self.cpus,
            limit_s: self.time_limit_s,
            priority: self.priority,
            input_bytes: self.spec.input_bytes,
            attempts: self.attempt,
            submitted: self.submit_time,
            ..Queued::default()
        }
    }

    /// The job as it would go back into the queue; `None` unless it is over.
    #[must_use]
    pub fn if_over(&self) -> Option<EndedJob> {
        if !self.state.is_final() {
            return None;
        }
        Some(EndedJob {
            job: self.queued(),
            rest: self.beside_cpus(),
            word: self.state,
            held: Hold::of(self.held, self.spec.held_by_operator),
            begin: self.begin_time,
            deadline: self.deadline,
            retry: self.spec.retry.clone(),
            partition: self.listed_partitions().to_owned(),
            account: self.account.clone(),
            user: self.counted_user().to_owned(),
            task: self.array_job_id.zip(self.array_task_id),
        })
    }
}

/// What a job runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptRecord {
    /// The script's text.
    pub script: String,
    /// Its environment, as it was sent.
    pub environment: BTreeMap<String, String>,
}

impl ScriptRecord {
    /// How much it is, bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let words = self.environment.iter().map(|(name, value)| name.len() + value.len());
        self.script.len() + words.sum::<usize>()
    }
}

/// The CPUs of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllocationRecord {
    /// That of the event that granted it.
    pub id: EventId,
    /// Whose it is.
    pub attempt: Attempt,
    /// How many CPUs.
    pub allocated_cpus: u32,
    /// Which.
    pub cpus: Vec<CpuId>,
    /// What else it holds or held, but memory.
    pub rest: Vec<Share>,
    /// Whether they were given back.
    pub released: bool,
    /// When they were granted.
    pub allocation_time: Time,
    /// When they were given back.
    pub released_time: Option<Time>,
    /// The script's process.
    pub process_id: Option<i32>,
    /// With the attempt, the key to the engine.
    pub nonce: String,
    /// The boot during which it was granted.
    pub boot_id: String,
    /// How it ended; `None` before that, and of attempts of an older Downbeat.
    pub end: Option<AttemptEnd>,
    /// The script's own code.
    pub exit_code: Option<ExitCode>,
    /// What went wrong, in a sentence.
    pub error: Option<String>,
    /// When its script was spawned.
    pub start_time: Option<Time>,
    /// When it ended.
    pub end_time: Option<Time>,
}

impl AllocationRecord {
    /// The row that this grant makes, and the partition that was chosen of several.
    #[must_use]
    pub fn granted(change: &Change) -> Option<(AllocationRecord, Option<String>)> {
        let Change::Granted { event, cpus, rest, partition, nonce, boot_id } = change else {
            return None;
        };
        let others = rest.iter().filter(|share| &*share.resource != MEMORY);
        let row = AllocationRecord {
            id: event.id,
            attempt: Attempt { job: event.job, n: event.attempt },
            allocated_cpus: cpus.len() as u32,
            cpus: cpus.clone(),
            rest: others.cloned().collect(),
            released: false,
            allocation_time: event.time,
            released_time: None,
            process_id: None,
            nonce: nonce.to_string(),
            boot_id: boot_id.to_string(),
            end: None,
            exit_code: None,
            error: None,
            start_time: None,
            end_time: None,
        };
        Some((row, partition.as_deref().map(str::to_owned)))
    }

    /// The units that it holds or held, by resource.
    pub fn units(&self) -> impl Iterator<Item = (Arc<str>, UnitId)> {
        let cpu: Arc<str> = CPU.into();
        let cpus = self.cpus.iter().map(move |unit| (Arc::clone(&cpu), *unit));
        let rest = self.rest.iter().flat_map(|share| {
            let units = if let Held::Units(units) = &share.held { &units[..] } else { &[] };
            units.iter().map(|unit| (Arc::clone(&share.resource), *unit))
        });
        cpus.chain(rest)
    }
}

/// A transition of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// Its durable sequence number.
    pub id: EventId,
    /// The job.
    pub job: JobId,
    /// Its attempt, 0 before the first.
    pub attempt: u32,
    /// When.
    pub time: Time,
    /// From which state; `None` for a submission.
    pub from: Option<StateWord>,
    /// Into which state.
    pub to: StateWord,
    /// The fact behind it.
    pub cause: String,
    /// Who wanted it; empty for the scheduler itself.
    pub principal: String,
    /// His number, where he is known.
    pub uid: Option<Uid>,
}

/// What an earlier submission with a key led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// SHA-256 of its body, hex.
    pub body_hash: String,
    /// First of the consecutive ids given out.
    pub first: JobId,
    /// How many.
    pub count: u32,
}
