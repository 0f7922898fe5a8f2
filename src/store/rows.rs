//! *Purpose*: rows as structs.
//!
//! *Owns*: what each column holds: what is read ([`JobRow`] and the like), and what is written
//! ([`NewJob`] and the like).
//!
//! *Promises*: labels, specs, environment and CPU ids are JSON text; times are µs. A row that
//! was read becomes a record as a whole, or an error that names the column.
//!
//! *Not here*: queries (`store::body::write`), what is made of them (`store::record`).

use std::collections::BTreeMap;

use diesel::prelude::*;

use super::cell::{Cell, RowRef};
use super::error::StoreError;
use super::record::{AllocationRecord, EventRecord, JobRecord, KeyRecord, ScriptRecord};
use super::schema::{events, idempotency_keys, job_scripts, jobs, resource_allocations};
use crate::job::ids::{Attempt, CpuId, EventId, JobId};
use crate::job::outcome::Usage;
use crate::job::request::{CPU, MEMORY};
use crate::job::spec::JobSpec;
use crate::job::state::StateWord;
use crate::job::suspension::Suspension;
use crate::kernel::change::{Asked, Event, IdempotencyKey};
use crate::resources::allocation::{Held, Share};

/// The value of a column of a row.
macro_rules! get {
    ($at:ident, $row:ident.$column:ident) => {
        $at.read(stringify!($column), $row.$column)?
    };
}
pub(super) use get;

/// A row of `jobs` as it is read.
#[derive(Queryable, Selectable)]
#[diesel(table_name = jobs)]
pub(super) struct JobRow {
    #[diesel(embed)]
    pub usual: UsualRow,
    #[diesel(embed)]
    pub rest: RestRow,
}

/// What every job has.
#[derive(Queryable, Selectable)]
#[diesel(table_name = jobs)]
pub(super) struct UsualRow {
    pub id: i64,
    name: Cell,
    account: Cell,
    user: Cell,
    partition: Cell,
    state: Cell,
    priority: Cell,
    cpus: Cell,
    memory_bytes: Cell,
    time_limit_s: Cell,
    labels: Cell,
    spec: Cell,
    submit_time: Cell,
    eligible_time: Cell,
    attempt: Cell,
    held: Cell,
    retries: Cell,
    restarts: Cell,
    uid: Cell,
}

/// What most jobs that wait do not have. A start asks whether all of it is empty (`store::load`).
#[derive(Default, Queryable, Selectable)]
#[diesel(table_name = jobs)]
pub(super) struct RestRow {
    start_time: Cell,
    end_time: Cell,
    exit_code: Cell,
    error: Cell,
    completing: Cell,
    process_id: Cell,
    user_cpu_us: Cell,
    system_cpu_us: Cell,
    max_rss_bytes: Cell,
    begin_time: Cell,
    deadline: Cell,
    dependency: Cell,
    array_job_id: Cell,
    array_task_id: Cell,
    array_tasks: Cell,
    array_spec: Cell,
    suspend_time: Cell,
    suspended_us: Cell,
}

impl TryFrom<JobRow> for JobRecord {
    type Error = StoreError;

    fn try_from(row: JobRow) -> Result<JobRecord, StoreError> {
        let JobRow { usual, rest } = row;
        let at = RowRef::job(&usual.id);
        let usage = match get!(at, rest.user_cpu_us) {
            None => None,
            Some(user_us) => Some(Usage {
                user_us,
                system_us: get!(at, rest.system_cpu_us),
                max_rss_bytes: get!(at, rest.max_rss_bytes),
            }),
        };
        let held: Option<bool> = get!(at, usual.held);
        let past_us: Option<i64> = get!(at, rest.suspended_us);
        Ok(JobRecord {
            id: JobId(usual.id),
            name: get!(at, usual.name),
            account: get!(at, usual.account),
            user: get!(at, usual.user),
            owner: get!(at, usual.uid),
            partition: get!(at, usual.partition),
            state: get!(at, usual.state),
            priority: get!(at, usual.priority),
            cpus: get!(at, usual.cpus),
            memory_bytes: get!(at, usual.memory_bytes),
            time_limit_s: get!(at, usual.time_limit_s),
            labels: get!(at, usual.labels),
            spec: get!(at, usual.spec),
            submit_time: get!(at, usual.submit_time),
            eligible_time: get!(at, usual.eligible_time),
            start_time: get!(at, rest.start_time),
            end_time: get!(at, rest.end_time),
            exit_code: get!(at, rest.exit_code),
            error: get!(at, rest.error),
            attempt: get!(at, usual.attempt),
            completing: get!(at, rest.completing),
            process_id: get!(at, rest.process_id),
            usage,
            // Most jobs have none of these: NULL costs a byte.
            held: held.unwrap_or(false),
            begin_time: get!(at, rest.begin_time),
            deadline: get!(at, rest.deadline),
            dependency: get!(at, rest.dependency),
            array_job_id: get!(at, rest.array_job_id),
            array_task_id: get!(at, rest.array_task_id),
            array_tasks: get!(at, rest.array_tasks),
            array_spec: get!(at, rest.array_spec),
            retries: get!(at, usual.retries),
            restarts: get!(at, usual.restarts),
            suspension: Suspension {
                since: get!(at, rest.suspend_time),
                past_us: past_us.unwrap_or(0),
            },
            stopping_since: None,
        })
    }
}

/// A row of `job_scripts` as it is read.
#[derive(Queryable, Selectable)]
#[diesel(table_name = job_scripts)]
pub(super) struct ScriptRow {
    job_id: i64,
    script: Cell,
    environment: Cell,
}

impl TryFrom<ScriptRow> for ScriptRecord {
    type Error = StoreError;

    fn try_from(row: ScriptRow) -> Result<ScriptRecord, StoreError> {
        let at = RowRef { table: "job_scripts", what: "job", id: &row.job_id };
        Ok(ScriptRecord { script: get!(at, row.script), environment: get!(at, row.environment) })
    }
}

/// A row of `resource_allocations` as it is read.
#[derive(Queryable, Selectable)]
#[diesel(table_name = resource_allocations)]
pub(super) struct AllocationRow {
    id: i64,
    job_id: Cell,
    attempt: Cell,
    allocated_cpus: Cell,
    cpu_ids: Cell,
    released: Cell,
    allocation_time: Cell,
    released_time: Cell,
    process_id: Cell,
    nonce: Cell,
    boot_id: Cell,
    state: Cell,
    exit_code: Cell,
    error: Cell,
    start_time: Cell,
    end_time: Cell,
    resources: Cell,
}

impl TryFrom<AllocationRow> for AllocationRecord {
    type Error = StoreError;

    fn try_from(row: AllocationRow) -> Result<AllocationRecord, StoreError> {
        let at = RowRef { table: "resource_allocations", what: "allocation", id: &row.id };
        Ok(AllocationRecord {
            id: EventId(row.id),
            attempt: Attempt { job: get!(at, row.job_id), n: get!(at, row.attempt) },
            allocated_cpus: get!(at, row.allocated_cpus),
            cpus: get!(at, row.cpu_ids),
            rest: get!(at, row.resources),
            released: get!(at, row.released),
            allocation_time: get!(at, row.allocation_time),
            released_time: get!(at, row.released_time),
            process_id: get!(at, row.process_id),
            nonce: get!(at, row.nonce),
            boot_id: get!(at, row.boot_id),
            end: get!(at, row.state),
            exit_code: get!(at, row.exit_code),
            error: get!(at, row.error),
            start_time: get!(at, row.start_time),
            end_time: get!(at, row.end_time),
        })
    }
}

/// A row of `events` as it is read.
#[derive(Queryable, Selectable)]
#[diesel(table_name = events)]
pub(super) struct EventRow {
    id: i64,
    job_id: Cell,
    attempt: Cell,
    time: Cell,
    from_state: Cell,
    to_state: Cell,
    cause: Cell,
    principal: Cell,
    uid: Cell,
}

impl TryFrom<EventRow> for EventRecord {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<EventRecord, StoreError> {
        let at = RowRef { table: "events", what: "event", id: &row.id };
        Ok(EventRecord {
            id: EventId(row.id),
            job: get!(at, row.job_id),
            attempt: get!(at, row.attempt),
            time: get!(at, row.time),
            from: get!(at, row.from_state),
            to: get!(at, row.to_state),
            cause: get!(at, row.cause),
            principal: get!(at, row.principal),
            uid: get!(at, row.uid),
        })
    }
}

/// A row of `idempotency_keys` as it is read.
#[derive(Queryable, Selectable)]
#[diesel(table_name = idempotency_keys)]
pub(super) struct KeyRow {
    key: String,
    body_hash: Cell,
    first_job_id: Cell,
    job_count: Cell,
}

impl TryFrom<KeyRow> for KeyRecord {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<KeyRecord, StoreError> {
        let at = RowRef { table: "idempotency_keys", what: "key", id: &row.key };
        Ok(KeyRecord {
            body_hash: get!(at, row.body_hash),
            first: get!(at, row.first_job_id),
            count: get!(at, row.job_count),
        })
    }
}

/// All of these rows as records.
///
/// # Errors
/// The first that has none.
pub(super) fn records<R, T: TryFrom<R, Error = StoreError>>(
    rows: Vec<R>,
) -> Result<Vec<T>, StoreError> {
    rows.into_iter().map(T::try_from).collect()
}

/// A new row of `jobs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NewJob<'a> {
    pub id: i64,
    pub name: &'a str,
    pub account: &'a str,
    pub user: &'a str,
    pub partition: &'a str,
    pub state: &'a str,
    pub priority: i64,
    pub cpus: i32,
    pub memory_bytes: Option<i64>,
    pub time_limit_s: Option<i64>,
    pub labels: String,
    pub spec: String,
    pub submit_time: i64,
    pub eligible_time: i64,
    pub attempt: i32,
    pub held: Option<bool>,
    pub begin_time: Option<i64>,
    pub deadline: Option<i64>,
    pub dependency: Option<String>,
    pub array_job_id: Option<i64>,
    pub array_task_id: Option<i64>,
    pub uid: Option<i64>,
}

impl<'a> From<&'a JobRecord> for NewJob<'a> {
    fn from(job: &'a JobRecord) -> NewJob<'a> {
        NewJob {
            id: job.id.0,
            name: &job.name,
            account: &job.account,
            user: &job.user,
            partition: &job.partition,
            state: job.state.word(),
            priority: job.priority,
            cpus: job.cpus.cast_signed(),
            memory_bytes: job.memory_bytes.map(u64::cast_signed),
            time_limit_s: job.time_limit_s.map(i64::from),
            labels: json(&job.labels),
            spec: json(&job.spec),
            submit_time: job.submit_time.0,
            eligible_time: job.eligible_time.0,
            attempt: job.attempt.cast_signed(),
            held: job.held.then_some(true),
            begin_time: job.begin_time.map(|time| time.0),
            deadline: job.deadline.map(|time| time.0),
            dependency: job.dependency.as_ref().map(ToString::to_string),
            array_job_id: job.array_job_id.map(|array| array.0),
            array_task_id: job.array_task_id.map(i64::from),
            uid: job.owner.map(|uid| uid.0.into()),
        }
    }
}

/// A new row of `jobs` of one task of an array.
pub(super) struct NewTask<'a>(pub NewJob<'a>);

impl<'a> std::ops::Deref for NewTask<'a> {
    type Target = NewJob<'a>;
    fn deref(&self) -> &NewJob<'a> {
        &self.0
    }
}

/// A new row of `job_scripts`. It may be megabytes, so it is stored from where it stands.
pub(super) struct NewScript<'a> {
    pub job_id: i64,
    pub script: &'a str,
    pub environment: String,
}

impl<'a> NewScript<'a> {
    /// Script and environment of a new job.
    pub fn submitted(job: JobId, spec: &'a JobSpec) -> NewScript<'a> {
        NewScript { job_id: job.0, script: &spec.script, environment: json(&spec.environment) }
    }
}

/// A new row of `job_labels`.
pub(super) struct NewLabel<'a> {
    pub key: &'a str,
    pub value: &'a str,
    pub job_id: i64,
}

impl<'a> NewLabel<'a> {
    /// The labels of a job.
    pub fn of(
        job: JobId,
        labels: &'a BTreeMap<String, String>,
    ) -> impl Iterator<Item = NewLabel<'a>> {
        labels.iter().map(move |(key, value)| NewLabel { key, value, job_id: job.0 })
    }
}

/// A row of `submit_time_falls`: where the clock was set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClockStepRow {
    /// The job that was submitted earlier than those before it.
    pub job_id: i64,
    /// The latest of those before it.
    pub time_before: i64,
    /// Its own.
    pub time_after: i64,
}

/// A new row of `resource_allocations`.
pub(super) struct NewAllocation<'a> {
    pub id: i64,
    pub job_id: i64,
    pub attempt: i32,
    pub allocated_cpus: i32,
    pub cpu_ids: String,
    pub released: bool,
    pub allocation_time: i64,
    pub nonce: &'a str,
    pub boot_id: &'a str,
    pub resources: Option<String>,
}

impl<'a> NewAllocation<'a> {
    /// What an attempt was granted: CPUs and the rest; its part of the key to the engine and the
    /// boot.
    pub fn granted(
        event: &Event,
        (cpus, rest): (&[CpuId], &[Share]),
        (nonce, boot_id): (&'a str, &'a str),
    ) -> NewAllocation<'a> {
        NewAllocation {
            id: event.id.0,
            job_id: event.job.0,
            attempt: event.attempt.cast_signed(),
            allocated_cpus: cpus.len() as i32,
            cpu_ids: json(&cpus),
            released: false,
            allocation_time: event.time.0,
            nonce,
            boot_id,
            resources: others(rest),
        }
    }
}

/// What is held beside CPUs and memory, which is the job's own.
pub(super) fn others(rest: &[Share]) -> Option<String> {
    let others = rest.iter().filter(|share| &*share.resource != MEMORY);
    let others: BTreeMap<&str, &Held> =
        others.map(|share| (&*share.resource, &share.held)).collect();
    (!others.is_empty()).then(|| json(&others))
}

/// One thing that nobody else can hold: the name of a resource, and which unit of it.
pub(super) type Unit<'a> = (&'a str, u32);

/// These CPUs and the units of these shares.
pub(super) fn units<'a>(cpus: &[CpuId], rest: &'a [Share]) -> Vec<Unit<'a>> {
    let mut all: Vec<Unit<'a>> = cpus.iter().map(|cpu| (CPU, cpu.0)).collect();
    for share in rest {
        if let Held::Units(units) = &share.held {
            all.extend(units.iter().map(|unit| (&*share.resource, unit.0)));
        }
    }
    all
}

/// A new row of `held_units`.
pub(super) struct NewHeld<'a> {
    pub resource: &'a str,
    pub unit: i64,
    pub job_id: i64,
}

impl<'a> NewHeld<'a> {
    /// This job holds that unit.
    pub fn of(job: JobId, (resource, unit): Unit<'a>) -> NewHeld<'a> {
        NewHeld { resource, unit: unit.into(), job_id: job.0 }
    }
}

/// A new row of `job_counts`.
pub(super) struct NewCount<'a> {
    pub state: &'a str,
    pub n: i64,
}

/// A new row of `events`.
pub(super) struct NewEvent<'a> {
    pub id: i64,
    pub job_id: i64,
    pub attempt: i32,
    pub time: i64,
    pub from_state: Option<&'a str>,
    pub to_state: &'a str,
    pub cause: &'a str,
    pub principal: &'a str,
    pub uid: Option<i64>,
}

impl<'a> From<&'a Event> for NewEvent<'a> {
    fn from(event: &'a Event) -> NewEvent<'a> {
        NewEvent {
            id: event.id.0,
            job_id: event.job.0,
            attempt: event.attempt.cast_signed(),
            time: event.time.0,
            from_state: event.from.map(StateWord::word),
            to_state: event.to.word(),
            cause: event.cause,
            principal: &event.principal.name,
            uid: event.principal.uid.map(|uid| uid.0.into()),
        }
    }
}

/// A new row of `audit`.
pub(super) struct NewAsked<'a> {
    pub time: i64,
    pub uid: Option<i64>,
    pub name: &'a str,
    pub role: &'static str,
    pub via: &'static str,
    pub token_id: Option<&'a str>,
    pub peer_pid: Option<i32>,
    pub remote: Option<&'a str>,
    pub request_id: &'a str,
    pub verb: &'a str,
    pub target: Option<i64>,
    pub count: i32,
    pub detail: &'a str,
}

impl<'a> From<&'a Asked> for NewAsked<'a> {
    fn from(asked: &'a Asked) -> NewAsked<'a> {
        let by = asked.by.caller();
        NewAsked {
            time: asked.time.0,
            uid: by.uid.map(|uid| uid.0.into()),
            name: &by.name,
            role: by.role.into(),
            via: by.via.into(),
            token_id: by.origin.token.as_deref(),
            peer_pid: by.origin.process,
            remote: by.origin.remote.as_deref(),
            request_id: &by.origin.request,
            verb: asked.verb,
            target: asked.target.map(|job| job.0),
            count: asked.count.cast_signed(),
            detail: &asked.detail,
        }
    }
}

/// A new row of `idempotency_keys`.
pub(super) struct NewKey<'a> {
    pub key: &'a str,
    pub body_hash: &'a str,
    pub first_job_id: i64,
    pub job_count: i32,
    pub time: i64,
}

impl<'a> From<&'a IdempotencyKey> for NewKey<'a> {
    fn from(key: &'a IdempotencyKey) -> NewKey<'a> {
        NewKey {
            key: &key.key,
            body_hash: &key.body_hash,
            first_job_id: key.first.0,
            job_count: key.count.cast_signed(),
            time: key.time.0,
        }
    }
}

/// JSON text of a value that always has one (strings, numbers, lists and maps of them).
pub(super) fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
