//! *Purpose*: the questions that answers are made of.
//!
//! *Owns*: every SELECT after boot.
//!
//! *Promises*: each answer says of which commit it is; pages are bounded; nothing is decided.
//!
//! One row is asked for without LIMIT: diesel binds its number, and SQLite prepares a statement
//! with a bound LIMIT anew at each run.
//!
//! *Not here*: which jobs a filter means (`store::body::find`), events in their order
//! (`store::body::events`), "now" (`kernel::views::snapshot::Snapshot`), JSON (`api::wire`).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use diesel::connection::DefaultLoadingMode;
use diesel::dsl::not;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::Conn;
use super::find::{Found, find};
use super::load;
use super::{scope, stops};
use crate::job::ids::{Attempt, CpuId, EventId, JobId, UnitId};
use crate::job::state::StateWord;
use crate::kernel::access::Scope;
use crate::resources::allocation::Share;
use crate::store::cell::{Cell, RowRef};
use crate::store::error::StoreError;
use crate::store::filter::{JobFilter, PAGE_MAX};
use crate::store::order::SortKey;
use crate::store::read::{
    Age, AsOf, DbSnapshot, JobAndAllocation, JobPage, LaunchRecords, PENDING_COUNTED_MAX,
};
use crate::store::record::{AllocationRecord, EventRecord, JobRecord, KeyRecord, ScriptRecord};
use crate::store::rows::{AllocationRow, EventRow, JobRow, KeyRow, ScriptRow, records};
use crate::store::schema::{
    events, held_units, idempotency_keys, job_scripts, jobs, resource_allocations,
};
use crate::time::Time;

fn as_of<T>(conn: &mut Conn, value: T) -> Result<AsOf<T>, StoreError> {
    Ok(AsOf { commit_no: load::numbers(conn)?.commit_no, value })
}

/// A page of jobs.
///
/// # Errors
/// What the database says.
pub fn jobs_page(
    conn: &mut Conn,
    filter: &JobFilter,
    scope: &Scope,
) -> Result<AsOf<JobPage>, StoreError> {
    if !filter.states.is_empty() || matches!(filter.key, SortKey::State | SortKey::EndTime) {
        // Nobody knows of such a job where it stands, nor that it is not among those asked for.
        load::no_unknown_state(conn)?;
    }
    let Found { ids, next } = find(conn, filter, scope)?;
    if ids.is_empty() {
        return as_of(conn, JobPage { jobs: Vec::new(), next });
    }
    let place: HashMap<i64, usize> = ids.iter().copied().zip(0..).collect();
    let query = jobs::table.filter(jobs::id.eq_any(ids)).select(JobRow::as_select());
    // A record is large: it is made where it stays.
    let mut jobs = Vec::with_capacity(place.len());
    for row in query.load_iter::<JobRow, DefaultLoadingMode>(conn)? {
        jobs.push((JobRecord::try_from(row?)?, None));
    }
    give_allocations(conn, &mut jobs)?;
    stops::give(conn, &mut jobs)?;
    jobs.sort_by_cached_key(|(job, _)| place.get(&job.id.0));
    as_of(conn, JobPage { jobs, next })
}

/// The same of which only the numbers are told.
///
/// # Errors
/// What the database says.
pub fn job_ids(
    conn: &mut Conn,
    filter: &JobFilter,
    scope: &Scope,
) -> Result<Vec<JobId>, StoreError> {
    Ok(find(conn, filter, scope)?.ids.into_iter().map(JobId).collect())
}

/// Puts the latest allocation beside each job.
fn give_allocations(conn: &mut Conn, jobs: &mut [JobAndAllocation]) -> Result<(), StoreError> {
    if let [(job, allocation)] = jobs {
        // One job is the common question, and only a statement of fixed length is kept prepared.
        let latest: Option<AllocationRow> = resource_allocations::table
            .filter(resource_allocations::job_id.eq(job.id.0))
            .order(resource_allocations::id.desc())
            .select(AllocationRow::as_select())
            .get_result(conn)
            .optional()?;
        *allocation = latest.map(AllocationRecord::try_from).transpose()?;
        return Ok(());
    }
    // One that was never started has none.
    let started = jobs.iter().filter(|(job, _)| job.attempt > 0);
    let ids: Vec<i64> = started.map(|(job, _)| job.id.0).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let rows: Vec<AllocationRow> = resource_allocations::table
        .filter(resource_allocations::job_id.eq_any(ids))
        .order(resource_allocations::id.asc())
        .select(AllocationRow::as_select())
        .load(conn)?;
    let all: Vec<AllocationRecord> = records(rows)?;
    let mut latest: HashMap<JobId, AllocationRecord> =
        all.into_iter().map(|allocation| (allocation.attempt.job, allocation)).collect();
    jobs.iter_mut().for_each(|(job, allocation)| *allocation = latest.remove(&job.id));
    Ok(())
}

/// One job.
///
/// # Errors
/// What the database says.
pub fn job(conn: &mut Conn, id: JobId) -> Result<AsOf<Option<JobAndAllocation>>, StoreError> {
    let row = jobs::table.find(id.0).select(JobRow::as_select()).get_result(conn).optional()?;
    let Some(row) = row else { return as_of(conn, None) };
    let mut found = [(JobRecord::try_from(row)?, None)];
    give_allocations(conn, &mut found)?;
    stops::give(conn, &mut found)?;
    let [found] = found;
    as_of(conn, Some(found))
}

/// A job's script and environment.
///
/// # Errors
/// What the database says.
pub fn script(conn: &mut Conn, id: JobId) -> Result<Option<ScriptRecord>, StoreError> {
    let array = jobs::table.find(id.0).select(jobs::array_job_id);
    let Some(array) = array.get_result::<Cell>(conn).optional()? else { return Ok(None) };
    let array: Option<JobId> = RowRef::job(&id).read("array_job_id", array)?;
    let script = job_scripts::table.find(array.unwrap_or(id).0).select(ScriptRow::as_select());
    script.get_result(conn).optional()?.map(ScriptRecord::try_from).transpose()
}

/// What launching a job needs, from its rows.
///
/// # Errors
/// When one of them is missing, or what the database says.
pub fn launch(conn: &mut Conn, id: JobId) -> Result<LaunchRecords, StoreError> {
    let allocation = resource_allocations::table
        .filter(resource_allocations::job_id.eq(id.0))
        .filter(not(resource_allocations::released))
        .select(AllocationRow::as_select())
        .get_result(conn)?;
    let AllocationRecord { cpus, rest, .. } = AllocationRecord::try_from(allocation)?;
    launch_on(conn, id, cpus, rest)
}

/// The same, where the CPUs are known.
///
/// # Errors
/// When a row is missing, or what the database says.
pub fn launch_on(
    conn: &mut Conn,
    id: JobId,
    cpus: Vec<CpuId>,
    rest: Vec<Share>,
) -> Result<LaunchRecords, StoreError> {
    let job: JobRow = jobs::table.find(id.0).select(JobRow::as_select()).get_result(conn)?;
    let job = JobRecord::try_from(job)?;
    let script = job_scripts::table.find(job.script_of().0).select(ScriptRow::as_select());
    let script = ScriptRecord::try_from(script.get_result::<ScriptRow>(conn)?)?;
    let array_spec = match job.array_job_id {
        Some(array) if array != id => {
            let spec = jobs::table.find(array.0).select(jobs::array_spec).get_result(conn)?;
            RowRef::job(&array).read("array_spec", spec)?
        }
        _ => job.array_spec.clone(),
    };
    Ok(LaunchRecords { job, script, cpus, rest, array_spec })
}

/// The transitions of one job behind one of them, oldest first, at most [`PAGE_MAX`].
///
/// # Errors
/// What the database says.
pub fn events_of(
    conn: &mut Conn,
    id: JobId,
    after: EventId,
    limit: i64,
) -> Result<AsOf<Vec<EventRecord>>, StoreError> {
    let rows: Vec<EventRow> = events::table
        .filter(events::job_id.eq(id.0))
        .filter(events::id.gt(after.0))
        .order(events::id.asc())
        .limit(limit.clamp(1, PAGE_MAX))
        .select(EventRow::as_select())
        .load(conn)?;
    as_of(conn, records(rows)?)
}

/// Allocations, newest first.
///
/// # Errors
/// What the database says.
pub fn allocations(
    conn: &mut Conn,
    (job, released): (Option<JobId>, Option<bool>),
    before: Option<i64>,
    limit: i64,
    scope: &Scope,
) -> Result<AsOf<Vec<AllocationRecord>>, StoreError> {
    let mut query = resource_allocations::table.select(AllocationRow::as_select()).into_boxed();
    if let Some(own) = scope.own() {
        query = query.filter(resource_allocations::job_id.eq_any(scope::of(own).select(jobs::id)));
    }
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
    let rows: Vec<AllocationRow> = query.limit(limit.clamp(1, PAGE_MAX)).load(conn)?;
    as_of(conn, records(rows)?)
}

/// The allocation of one attempt, released or not.
///
/// # Errors
/// What the database says.
pub fn allocation_of(
    conn: &mut Conn,
    attempt: Attempt,
) -> Result<Option<AllocationRecord>, StoreError> {
    let row: Option<AllocationRow> = resource_allocations::table
        .filter(resource_allocations::job_id.eq(attempt.job.0))
        .filter(resource_allocations::attempt.eq(attempt.n.cast_signed()))
        .select(AllocationRow::as_select())
        .get_result(conn)
        .optional()?;
    row.map(AllocationRecord::try_from).transpose()
}

/// The ages of the `limit` oldest ended jobs behind this one, for who forgets what ended `before`.
///
/// # Errors
/// What the database says.
pub fn ages(
    conn: &mut Conn,
    behind: JobId,
    limit: i64,
    before: Time,
) -> Result<AsOf<Vec<Age>>, StoreError> {
    let states = StateWord::ALL.iter().copied().filter(|state| state.is_final()).collect();
    let after = Some(behind.into());
    let ended = JobFilter { states, ascending: true, after, limit, ..JobFilter::default() };
    type Row = (i64, Cell, Cell, Cell, Cell, Cell);
    let rows: Vec<Row> = jobs::table
        .filter(jobs::id.eq_any(find(conn, &ended, &Scope::SERVER)?.ids))
        .order(jobs::id.asc())
        .select((
            jobs::id,
            jobs::state,
            jobs::submit_time,
            jobs::end_time,
            jobs::array_job_id,
            jobs::uid,
        ))
        .load(conn)?;
    let mut ages = Vec::with_capacity(rows.len());
    for (id, state, submitted, ended, array, uid) in rows {
        let at = RowRef::job(&id);
        ages.push(Age {
            job: JobId(id),
            owner: at.read("uid", uid)?,
            state: at.read("state", state)?,
            submitted: at.read("submit_time", submitted)?,
            array: at.read("array_job_id", array)?,
            ended: at.read("end_time", ended)?,
        });
    }
    let arrays: BTreeSet<JobId> = ages.iter().filter_map(|age| age.array).collect();
    for array in arrays {
        if !super::arrays::was_over(conn, array, before)? {
            // What became of a task is asked for as long as its array is not over.
            ages.iter_mut().filter(|age| age.array == Some(array)).for_each(|age| age.ended = None);
        }
    }
    as_of(conn, ages)
}

/// What an earlier submission with this key led to.
///
/// # Errors
/// What the database says.
pub fn key(conn: &mut Conn, key: &str) -> Result<AsOf<Option<KeyRecord>>, StoreError> {
    let row: Option<KeyRow> = idempotency_keys::table
        .find(key)
        .select(KeyRow::as_select())
        .get_result(conn)
        .optional()?;
    as_of(conn, row.map(KeyRecord::try_from).transpose()?)
}

/// Reads it.
///
/// # Errors
/// What the database says.
pub fn db_snapshot(conn: &mut Conn) -> Result<AsOf<DbSnapshot>, StoreError> {
    let live_words = [StateWord::Running.word(), StateWord::Completing.word()];
    let unreleased: Vec<AllocationRow> = resource_allocations::table
        .filter(not(resource_allocations::released))
        .select(AllocationRow::as_select())
        .load(conn)?;
    let live: Vec<i64> = jobs::table
        .filter(jobs::state.eq_any(live_words))
        .order(jobs::id)
        .select(jobs::id)
        .load(conn)?;
    let snapshot = DbSnapshot {
        unreleased: records(unreleased)?,
        held: held(conn)?,
        live: live.into_iter().map(JobId).collect(),
        pending: pending(conn)?,
    };
    as_of(conn, snapshot)
}

fn held(conn: &mut Conn) -> Result<Vec<(Arc<str>, UnitId, JobId)>, StoreError> {
    let rows: Vec<(i64, Cell, Cell, Cell)> = held_units::table
        .order((held_units::resource, held_units::unit))
        .select((held_units::unit, held_units::resource, held_units::unit, held_units::job_id))
        .load(conn)?;
    let each = rows.into_iter().map(|(n, resource, unit, job)| {
        let at = RowRef { table: "held_units", what: "unit", id: &n };
        let resource: String = at.read("resource", resource)?;
        let at = RowRef { what: &resource, ..at };
        let (unit, job) = (at.read("unit", unit)?, at.read("job_id", job)?);
        Ok((resource.into(), unit, job))
    });
    each.collect()
}

fn pending(conn: &mut Conn) -> Result<u64, StoreError> {
    let some = jobs::table
        .filter(jobs::state.eq(StateWord::Pending.word()))
        .select(jobs::id)
        .limit(PENDING_COUNTED_MAX as i64);
    Ok(some.load_iter::<i64, DefaultLoadingMode>(conn)?.count() as u64)
}
