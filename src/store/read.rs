//! *Purpose*: the questions that answers are made of.
//!
//! *Owns*: every SELECT after boot.
//!
//! *Promises*: each answer says of which commit it is; pages are bounded; nothing is decided.
//!
//! One row is asked for without LIMIT: diesel binds its number, and SQLite prepares a statement
//! with a bound LIMIT anew at each run.
//!
//! *Not here*: which jobs a filter means (`store::find`), "now" (`kernel::view::Snapshot`), JSON
//! (`api::wire`).

use std::collections::BTreeSet;

use diesel::connection::DefaultLoadingMode;
use diesel::dsl::not;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::error::StoreError;
use super::find::{Found, find};
use super::rows::{AllocationRow, EventRow, JobRow, KeyRow, ScriptRow};
use super::schema::{
    events, held_cpus, idempotency_keys, job_scripts, jobs, meta, resource_allocations,
};
use crate::job::ids::{Attempt, CommitNo, CpuId, EventId, JobId};
use crate::job::state::StateWord;
use crate::time::Time;

/// An answer and the commit it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// The commit.
    pub commit_no: CommitNo,
    /// The answer.
    pub value: T,
}

/// Longest page of a list.
pub const PAGE_MAX: i64 = 1_000;

/// Which jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// In one of these states; empty means all.
    pub states: Vec<StateWord>,
    /// Of this account.
    pub account: Option<String>,
    /// Of this name.
    pub name: Option<String>,
    /// With each of these labels.
    pub labels: Vec<(String, String)>,
    /// Of this array.
    pub array: Option<JobId>,
    /// Submitted at or after.
    pub since: Option<Time>,
    /// Submitted before.
    pub until: Option<Time>,
    /// Oldest first instead of newest first.
    pub ascending: bool,
    /// Go on behind this job.
    pub after: Option<JobId>,
    /// At most so many, [`PAGE_MAX`] at the most.
    pub limit: i64,
}

/// A job with its latest allocation.
pub type JobAndAllocation = (JobRow, Option<AllocationRow>);

fn at<T>(conn: &mut SqliteConnection, value: T) -> Result<At<T>, StoreError> {
    let no = meta::table.select(meta::commit_no).get_result(conn)?;
    Ok(At { commit_no: CommitNo(no), value })
}

/// A page of jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobPage {
    /// The jobs, fewer than asked for where looking on would take too long.
    pub jobs: Vec<JobAndAllocation>,
    /// There may be more behind this job.
    pub next: Option<JobId>,
}

/// A page of jobs.
///
/// # Errors
/// What the database says.
pub fn jobs_page(
    conn: &mut SqliteConnection,
    filter: &JobFilter,
) -> Result<At<JobPage>, StoreError> {
    let Found { ids, next } = find(conn, filter)?;
    if ids.is_empty() {
        return at(conn, JobPage { jobs: Vec::new(), next });
    }
    let query = jobs::table.filter(jobs::id.eq_any(ids)).select(JobRow::as_select());
    let rows: Vec<JobRow> = if filter.ascending {
        query.order(jobs::id.asc()).load(conn)?
    } else {
        query.order(jobs::id.desc()).load(conn)?
    };
    let jobs = with_allocations(conn, rows)?;
    at(conn, JobPage { jobs, next })
}

/// Puts the latest allocation beside each job.
fn with_allocations(
    conn: &mut SqliteConnection,
    rows: Vec<JobRow>,
) -> Result<Vec<JobAndAllocation>, StoreError> {
    if let [row] = rows.as_slice() {
        // One job is the common question, and only a statement of fixed length is kept prepared.
        let latest = resource_allocations::table
            .filter(resource_allocations::job_id.eq(row.id))
            .order(resource_allocations::id.desc())
            .select(AllocationRow::as_select())
            .get_result(conn)
            .optional()?;
        return Ok(rows.into_iter().map(|row| (row, latest.clone())).collect());
    }
    let ids: Vec<i64> = rows.iter().map(|r| r.id).collect();
    let mut found: std::collections::HashMap<i64, AllocationRow> = resource_allocations::table
        .filter(resource_allocations::job_id.eq_any(ids))
        .order(resource_allocations::id.asc())
        .select(AllocationRow::as_select())
        .load(conn)?
        .into_iter()
        .map(|a| (a.job_id, a))
        .collect();
    Ok(rows
        .into_iter()
        .map(|row| {
            let a = found.remove(&row.id);
            (row, a)
        })
        .collect())
}

/// One job.
///
/// # Errors
/// What the database says.
pub fn job(
    conn: &mut SqliteConnection,
    id: JobId,
) -> Result<At<Option<JobAndAllocation>>, StoreError> {
    let row = jobs::table.find(id.0).select(JobRow::as_select()).get_result(conn).optional()?;
    let found = with_allocations(conn, row.into_iter().collect())?.pop();
    at(conn, found)
}

/// A job's script and environment.
///
/// # Errors
/// What the database says.
pub fn script(conn: &mut SqliteConnection, id: JobId) -> Result<Option<ScriptRow>, StoreError> {
    let array = jobs::table.find(id.0).select(jobs::array_job_id);
    let Some(array) = array.get_result::<Option<i64>>(conn).optional()? else { return Ok(None) };
    let script = job_scripts::table.find(array.unwrap_or(id.0)).select(ScriptRow::as_select());
    Ok(script.get_result(conn).optional()?)
}

/// All that launching needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchRows {
    /// The job.
    pub job: JobRow,
    /// Its script.
    pub script: ScriptRow,
    /// The CPUs it holds.
    pub cpus: Vec<CpuId>,
    /// All tasks of its array, if it is one of them.
    pub array_spec: Option<String>,
}

/// What launching a job needs, from its rows.
///
/// # Errors
/// When one of them is missing, or what the database says.
pub fn launch(conn: &mut SqliteConnection, id: JobId) -> Result<LaunchRows, StoreError> {
    let allocation = resource_allocations::table
        .filter(resource_allocations::job_id.eq(id.0))
        .filter(not(resource_allocations::released))
        .select(AllocationRow::as_select())
        .get_result(conn)?;
    launch_on(conn, id, allocation.cpus())
}

/// The same, where the CPUs are known.
///
/// # Errors
/// When a row is missing, or what the database says.
pub fn launch_on(
    conn: &mut SqliteConnection,
    id: JobId,
    cpus: Vec<CpuId>,
) -> Result<LaunchRows, StoreError> {
    let job = jobs::table.find(id.0).select(JobRow::as_select()).get_result(conn)?;
    let script = job_scripts::table.find(job.script_of());
    let script = script.select(ScriptRow::as_select()).get_result(conn)?;
    let array_spec = match job.array_job_id {
        Some(array) if array != id.0 => {
            jobs::table.find(array).select(jobs::array_spec).get_result(conn)?
        }
        _ => job.array_spec.clone(),
    };
    Ok(LaunchRows { job, script, cpus, array_spec })
}

/// Every transition of one job, oldest first, at most [`PAGE_MAX`].
///
/// # Errors
/// What the database says.
pub fn events_of(conn: &mut SqliteConnection, id: JobId) -> Result<At<Vec<EventRow>>, StoreError> {
    let rows = events::table
        .filter(events::job_id.eq(id.0))
        .order(events::id.asc())
        .limit(PAGE_MAX)
        .select(EventRow::as_select())
        .load(conn)?;
    at(conn, rows)
}

/// Transitions after one, oldest first.
///
/// # Errors
/// What the database says.
pub fn events_after(
    conn: &mut SqliteConnection,
    after: EventId,
    limit: i64,
) -> Result<Vec<EventRow>, StoreError> {
    Ok(events::table
        .filter(events::id.gt(after.0))
        .order(events::id.asc())
        .limit(limit.clamp(1, PAGE_MAX))
        .select(EventRow::as_select())
        .load(conn)?)
}

/// Allocations, newest first.
///
/// # Errors
/// What the database says.
pub fn allocations(
    conn: &mut SqliteConnection,
    job: Option<JobId>,
    released: Option<bool>,
    before: Option<i64>,
    limit: i64,
) -> Result<At<Vec<AllocationRow>>, StoreError> {
    let mut query = resource_allocations::table.select(AllocationRow::as_select()).into_boxed();
    if let Some(job) = job {
        query = query.filter(resource_allocations::job_id.eq(job.0));
    }
    query = match released {
        Some(true) => query.filter(resource_allocations::released),
        Some(false) => query.filter(not(resource_allocations::released)),
        None => query,
    };
    if let Some(before) = before {
        query = query.filter(resource_allocations::id.lt(before));
    }
    // Nearly all are released, so those are met on the way. The others are few and have an index;
    // an order that no index gives (`+`) keeps SQLite from looking for them among all.
    query = match released {
        Some(false) => query.order(diesel::dsl::sql::<BigInt>("+id DESC")),
        _ => query.order(resource_allocations::id.desc()),
    };
    let rows = query.limit(limit.clamp(1, PAGE_MAX)).load(conn)?;
    at(conn, rows)
}

/// The allocation of one attempt, released or not.
///
/// # Errors
/// What the database says.
pub fn allocation_of(
    conn: &mut SqliteConnection,
    attempt: Attempt,
) -> Result<Option<AllocationRow>, StoreError> {
    Ok(resource_allocations::table
        .filter(resource_allocations::job_id.eq(attempt.job.0))
        .filter(resource_allocations::attempt.eq(attempt.n as i32))
        .select(AllocationRow::as_select())
        .get_result(conn)
        .optional()?)
}

/// What retention asks about a job that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age {
    /// The job.
    pub job: JobId,
    /// How it ended.
    pub state: StateWord,
    /// When it was submitted.
    pub submitted: Time,
    /// The array that it is a task of.
    pub array: Option<JobId>,
    /// When it ended; what is spoilt never did, nor has a task of an array of which another has
    /// not, or did so later than asked for: an array is forgotten as a whole.
    pub ended: Option<Time>,
}

/// The ages of the `limit` oldest ended jobs behind this one, for who forgets what ended `before`.
///
/// # Errors
/// What the database says.
pub fn ages(
    conn: &mut SqliteConnection,
    behind: JobId,
    limit: i64,
    before: Time,
) -> Result<At<Vec<Age>>, StoreError> {
    let states = StateWord::ALL.into_iter().filter(|state| state.is_final()).collect();
    let ended =
        JobFilter { states, ascending: true, after: Some(behind), limit, ..JobFilter::default() };
    type Row = (i64, String, i64, Option<i64>, Option<i64>);
    let rows: Vec<Row> = jobs::table
        .filter(jobs::id.eq_any(find(conn, &ended)?.ids))
        .order(jobs::id.asc())
        .select((jobs::id, jobs::state, jobs::submit_time, jobs::end_time, jobs::array_job_id))
        .load(conn)?;
    let arrays: BTreeSet<i64> = rows.iter().filter_map(|row| row.4).collect();
    let mut young = BTreeSet::new();
    for array in arrays {
        if !super::arrays::was_over(conn, JobId(array), before)? {
            young.insert(array);
        }
    }
    let age = |(id, state, submitted, ended, array): Row| {
        let state = state.parse().ok()?;
        // What became of a task is asked for as long as its array is not over.
        let ended = ended.filter(|_| array.is_none_or(|array| !young.contains(&array)));
        let (array, submitted) = (array.map(JobId), Time(submitted));
        Some(Age { job: JobId(id), state, submitted, array, ended: ended.map(Time) })
    };
    at(conn, rows.into_iter().filter_map(age).collect())
}

/// What an earlier submission with this key led to.
///
/// # Errors
/// What the database says.
pub fn key(conn: &mut SqliteConnection, key: &str) -> Result<At<Option<KeyRow>>, StoreError> {
    let row = idempotency_keys::table
        .find(key)
        .select(KeyRow::as_select())
        .get_result(conn)
        .optional()?;
    at(conn, row)
}

/// What the database says about "now", for the audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Unreleased allocations.
    pub unreleased: Vec<AllocationRow>,
    /// Held CPUs: CPU and job.
    pub held: Vec<(i64, i64)>,
    /// Jobs in RUNNING or COMPLETING.
    pub live: Vec<i64>,
    /// Jobs in PENDING, counted up to [`PENDING_COUNTED_MAX`].
    pub pending: u64,
}

/// An audit counts no more pending jobs than this: it is made every ten seconds, and a million
/// entries take 30 ms. Of a longer queue it knows that it is at least so long; a job that only
/// memory or only the database has comes to light when the queue is shorter again.
pub const PENDING_COUNTED_MAX: u64 = 20_000;

/// Reads the books.
///
/// # Errors
/// What the database says.
pub fn books(conn: &mut SqliteConnection) -> Result<At<Books>, StoreError> {
    let live_words = [StateWord::Running.word(), StateWord::Completing.word()];
    let books = Books {
        unreleased: resource_allocations::table
            .filter(not(resource_allocations::released))
            .select(AllocationRow::as_select())
            .load(conn)?,
        held: held_cpus::table
            .order(held_cpus::cpu_id)
            .select((held_cpus::cpu_id, held_cpus::job_id))
            .load(conn)?,
        live: jobs::table
            .filter(jobs::state.eq_any(live_words))
            .order(jobs::id)
            .select(jobs::id)
            .load(conn)?,
        pending: pending(conn)?,
    };
    at(conn, books)
}

fn pending(conn: &mut SqliteConnection) -> Result<u64, StoreError> {
    let some = jobs::table
        .filter(jobs::state.eq(StateWord::Pending.word()))
        .select(jobs::id)
        .limit(PENDING_COUNTED_MAX as i64);
    Ok(some.load_iter::<i64, DefaultLoadingMode>(conn)?.count() as u64)
}
