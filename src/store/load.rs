//! *Purpose*: what a new server has to know, read once at boot.
//!
//! *Owns*: the queries behind [`Memory`] and the keys of live attempts.
//!
//! *Promises*: everything is of one commit.
//!
//! *Not here*: what becomes of live attempts (`actors::recovery`).

use std::collections::BTreeMap;
use std::sync::Arc;

use diesel::connection::DefaultLoadingMode;
use diesel::dsl::not;
use diesel::prelude::*;

use super::arrays::{self, OpenPart};
use super::error::StoreError;
use super::others;
use super::rows::AllocationRow;
use super::schema::{account_usage, events, jobs, maintenance, meta, resource_allocations};
use crate::job::array_spec::TaskSet;
use crate::job::dependency::{DependencyKind, Told};
use crate::job::ids::{Attempt, CommitNo, JobId};
use crate::job::outcome::Handle;
use crate::job::request::{MEMORY, Request};
use crate::job::state::{EndReason, StateWord};
use crate::kernel::accounts::{ACCOUNTS_KEPT, Accounts};
use crate::kernel::arrays::ArrayProgress;
use crate::kernel::change::Queued;
use crate::kernel::conditions::Conditions;
use crate::kernel::maintenance::Maintenance;
use crate::kernel::restore::{Memory, PersistedAttempt};
use crate::kernel::retry::{Again, Retrying};
use crate::kernel::tenancy::Rules;
use crate::resources::allocation::{Held, Share};
use crate::time::Time;

/// Nonce and boot id of a live attempt's engine key.
pub type AttemptKey = (Attempt, Arc<str>, Arc<str>);

/// All that boot needs.
#[derive(Debug)]
pub struct Loaded {
    /// For the kernel.
    pub memory: Memory,
    /// The last commit.
    pub commit_no: CommitNo,
    /// When it was, as far as an event tells.
    pub last_commit: Option<Time>,
    /// Keys of live attempts.
    pub keys: Vec<AttemptKey>,
}

/// What boot reads of a job that has not ended.
#[derive(Queryable, Selectable)]
#[diesel(table_name = jobs)]
struct OpenJob {
    id: i64,
    account: String,
    partition: String,
    cpus: i32,
    memory_bytes: Option<i64>,
    time_limit_s: Option<i64>,
    priority: i64,
    attempt: i32,
    start_time: Option<i64>,
    process_id: Option<i32>,
    completing: Option<String>,
    submit_time: i64,
    held: Option<bool>,
    begin_time: Option<i64>,
    deadline: Option<i64>,
    dependency: Option<String>,
    array_job_id: Option<i64>,
    array_task_id: Option<i64>,
    array_tasks: Option<String>,
    retry: Option<String>,
    retries: i32,
    restarts: i32,
    room_since: Option<i64>,
    told: Option<String>,
}

impl OpenJob {
    /// The part of an array that it is.
    fn part(&self, live: bool) -> Option<OpenPart> {
        Some(OpenPart {
            job: JobId(self.id),
            array: JobId(self.array_job_id?),
            task: self.array_task_id.and_then(|task| u32::try_from(task).ok()),
            left: self.array_tasks.clone(),
            live,
            started: self.start_time.is_some(),
        })
    }

    /// What it waits for, without what is known of it. Whoever went back into the queue does not
    /// wait for others again.
    fn conditions(&self) -> Conditions {
        let dependency = self.dependency.as_deref().filter(|_| self.restarts == 0);
        let dependencies = dependency.and_then(|text| text.parse().ok());
        Conditions {
            held: self.held.unwrap_or(false),
            begin: self.begin_time.map(Time),
            deadline: self.deadline.map(Time),
            dependencies: dependencies.unwrap_or_default(),
            ..Conditions::default()
        }
    }

    /// What it goes back into the queue with; while it waits its conditions have the deadline.
    fn again(&self, is_live: bool) -> Option<Again> {
        let policy = self.retry.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let retry = policy.map(|policy| Retrying {
            policy: Arc::new(policy),
            used: u32::try_from(self.retries).unwrap_or(u32::MAX),
        });
        let again = Again { retry, deadline: self.deadline.filter(|_| is_live).map(Time) };
        Some(again).filter(|again| *again != Again::default())
    }
}

/// Reads it, for a server with these rules.
///
/// # Errors
/// What the database says.
pub fn load(conn: &mut SqliteConnection, rules: Rules) -> Result<Loaded, StoreError> {
    conn.transaction(|conn| {
        let (commit_no, next_job, next_event) = meta::table
            .select((meta::commit_no, meta::next_job_id, meta::next_event_id))
            .first::<(i64, i64, i64)>(conn)?;
        let mut memory = Memory { next_job, next_event, rules, ..Memory::default() };
        memory.ended = ended(conn)?;
        let mut singletons = Vec::new();
        let mut told = BTreeMap::new();
        let mut parts = Vec::new();
        remember_usage(conn, &mut memory.rules.accounts)?;
        in_state(conn, StateWord::Pending, |row| {
            let conditions = row.conditions();
            if let Some(text) = &row.told {
                told.insert(JobId(row.id), text.clone());
            }
            if conditions.dependencies.singleton {
                singletons.push(row.id);
            }
            if !conditions.is_empty() {
                memory.conditions.push((JobId(row.id), conditions));
            }
            memory.claims.extend(row.room_since.map(|time| (Time(time), JobId(row.id))));
            memory.again.extend(row.again(false).map(|again| (JobId(row.id), again)));
            parts.extend(row.part(false));
            let job = queued(&row, &mut memory);
            memory.pending.push(job);
        })?;
        let mut live = Vec::new();
        for state in [StateWord::Running, StateWord::Completing] {
            in_state(conn, state, |row| live.push(row))?;
        }
        parts.extend(live.iter().filter_map(|row: &OpenJob| row.part(true)));
        memory.arrays = arrays::open(conn, &parts)?;
        let mut keys = Vec::with_capacity(live.len());
        let allocations: BTreeMap<i64, AllocationRow> = resource_allocations::table
            .filter(not(resource_allocations::released))
            .select(AllocationRow::as_select())
            .load(conn)?
            .into_iter()
            .map(|a| (a.job_id, a))
            .collect();
        for row in &live {
            let job = queued(row, &mut memory);
            let Some(allocation) = allocations.get(&row.id) else {
                return Err(StoreError::Disagrees(format!("job {} lives without CPUs", row.id)));
            };
            let attempt = Attempt { job: job.id, n: job.attempts };
            memory.again.extend(row.again(true).map(|again| (job.id, again)));
            keys.push((
                attempt,
                allocation.nonce.as_str().into(),
                allocation.boot_id.as_str().into(),
            ));
            memory.live.push(PersistedAttempt {
                job,
                rest: rest(&memory, &job),
                cpus: allocation.cpus(),
                granted: Time(allocation.allocation_time),
                handle: row
                    .start_time
                    .zip(row.process_id)
                    .map(|(t, pid)| Handle { pid, start_time: Time(t) }),
                completing: row.completing.as_deref().and_then(EndReason::from_word),
            });
        }
        let windows = maintenance::table.order(maintenance::id);
        for (id, start, end, reason, principal) in
            windows.load::<(i64, i64, Option<i64>, String, String)>(conn)?
        {
            let (reason, principal) = (reason.into(), principal.into());
            let (start, end) = (Time(start), end.map(Time));
            memory.maintenance.push(Maintenance { id, start, end, reason, principal });
        }
        for (job, conditions) in &mut memory.conditions {
            let told = told.get(job).map_or(Ok(Told::default()), |text| kept(*job, text))?;
            others::remember(conn, conditions, &told)?;
            if conditions.dependencies.follows() {
                memory.followed.push((*job, followed(conn, conditions, &told)?));
            }
        }
        memory.singletons = others::families(conn, &singletons)?;
        let last = events::table.order(events::id.desc()).select(events::time);
        let last_commit = last.first::<i64>(conn).optional()?.map(Time);
        Ok(Loaded { memory, commit_no: CommitNo(commit_no), last_commit, keys })
    })
}

/// What a job was told.
fn kept(job: JobId, text: &str) -> Result<Told, StoreError> {
    let spoilt = |e| StoreError::Disagrees(format!("what job {job} was told cannot be read: {e}"));
    serde_json::from_str(text).map_err(spoilt)
}

/// The arrays that the tasks of one follow. Of one that was forgotten, only what was told counts.
fn followed(
    conn: &mut SqliteConnection,
    conditions: &Conditions,
    told: &Told,
) -> Result<Vec<(JobId, ArrayProgress)>, StoreError> {
    let mut followed = Vec::new();
    let list = conditions.dependencies.list.iter();
    for one in list.filter(|one| one.relation == DependencyKind::AfterCorr) {
        let mut partner = arrays::partner(conn, one.job)?.unwrap_or_default();
        for task in told.done.get(&one.job).into_iter().flat_map(TaskSet::iter) {
            partner.completed.insert(task);
        }
        followed.push((one.job, partner));
    }
    Ok(followed)
}

/// Row by row, since a million may wait: in the order of the index, which is that of the ids.
fn in_state(
    conn: &mut SqliteConnection,
    state: StateWord,
    mut take: impl FnMut(OpenJob),
) -> Result<(), StoreError> {
    let query = jobs::table.filter(jobs::state.eq(state.word())).select(OpenJob::as_select());
    for row in query.load_iter::<OpenJob, DefaultLoadingMode>(conn)? {
        take(row?);
    }
    Ok(())
}

fn queued(row: &OpenJob, memory: &mut Memory) -> Queued {
    let Memory { rules, names, requests, .. } = memory;
    let memory = row.memory_bytes.and_then(|m| u64::try_from(m).ok()).unwrap_or(0);
    Queued {
        id: JobId(row.id),
        cpus: row.cpus as u32,
        rest: requests.number(&Request::default().with(MEMORY, memory)),
        limit_s: row.time_limit_s.and_then(|s| u32::try_from(s).ok()),
        priority: row.priority,
        placement: rules.partitions.placement(&row.partition),
        // Nobody makes room for another: it is not known yet who has jobs.
        account: rules.accounts.number(&row.account, |_| true),
        names: names.number(&row.partition, &row.account),
        attempts: row.attempt as u32,
        submitted: Time(row.submit_time),
    }
}

/// What it holds beside CPUs.
fn rest(memory: &Memory, job: &Queued) -> Vec<Share> {
    let amounts = memory.requests.get(job.rest);
    let share = |(name, amount): (&Arc<str>, u64)| Share {
        resource: Arc::clone(name),
        held: Held::Amount(amount),
    };
    amounts.into_iter().flat_map(|request| request.iter()).map(share).collect()
}

/// What accounts had used: of too many, those that were charged last.
fn remember_usage(conn: &mut SqliteConnection, accounts: &mut Accounts) -> Result<(), StoreError> {
    let rows = account_usage::table.order(account_usage::as_of.desc()).limit(ACCOUNTS_KEPT as i64);
    for (name, cpu_us, as_of) in rows.load::<(String, i64, i64)>(conn)? {
        accounts.remember(&name, cpu_us, Time(as_of));
    }
    Ok(())
}

/// Ended jobs by final state, as each commit counts them: history is not read.
fn ended(conn: &mut SqliteConnection) -> Result<BTreeMap<StateWord, u64>, StoreError> {
    type Counts = (i64, i64, i64, i64, i64, i64);
    let (completed, failed, cancelled, timeout, out_of_memory, node_fail): Counts = meta::table
        .select((
            meta::completed,
            meta::failed,
            meta::cancelled,
            meta::timeout,
            meta::out_of_memory,
            meta::node_fail,
        ))
        .first(conn)?;
    let counts = [
        (StateWord::Completed, completed),
        (StateWord::Failed, failed),
        (StateWord::Cancelled, cancelled),
        (StateWord::Timeout, timeout),
        (StateWord::OutOfMemory, out_of_memory),
        (StateWord::NodeFail, node_fail),
    ];
    let some = counts.into_iter().filter(|(_, n)| *n > 0);
    Ok(some.map(|(state, n)| (state, n.unsigned_abs())).collect())
}
