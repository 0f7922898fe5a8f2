//! *Purpose*: attempts and what they hold, as rows.
//!
//! *Owns*: the writing of `resource_allocations` and `held_units`.
//!
//! *Promises*: a final state and the release of what was held are one change; each guards itself.
//!
//! *Not here*: jobs that only wait (`store::body::write`).

use std::collections::BTreeMap;

use diesel::dsl::not;
use diesel::prelude::*;
use diesel::update;

use super::super::Conn;
use super::super::dialect;
use super::guard::{change_job, disagreement, one_row};
use crate::job::ids::{Attempt, CpuId, JobId};
use crate::job::outcome::{EndState, Handle};
use crate::job::request::MEMORY;
use crate::kernel::change::Event;
use crate::resources::allocation::{Held, Share};
use crate::store::cell::{Cell, RowRef};
use crate::store::error::StoreError;
use crate::store::rows::{NewAllocation, NewHeld, Unit, json, units};
use crate::store::schema::{held_units, jobs, resource_allocations};
use crate::store::spec::StoredSpec;
use crate::time::Time;

pub(super) fn granted(
    conn: &mut Conn,
    event: &Event,
    (cpus, rest): (&[CpuId], &[Share]),
    (nonce, boot_id): (&str, &str),
) -> Result<(), StoreError> {
    let set = (jobs::state.eq(event.to.word()), jobs::attempt.eq(event.attempt as i32));
    change_job(conn, event, set)?;
    let allocation = NewAllocation {
        id: event.id.0,
        job_id: event.job.0,
        attempt: event.attempt as i32,
        allocated_cpus: cpus.len() as i32,
        cpu_ids: json(&cpus),
        released: false,
        allocation_time: event.time.0,
        nonce,
        boot_id,
        resources: written(rest),
    };
    dialect::insert(conn, [allocation])?;
    held(conn, event.job, &units(cpus, rest))
}

/// A job that lists several partitions was started in this one, or waits for these again.
pub(super) fn in_partition(
    conn: &mut Conn,
    event: &Event,
    partition: Option<&str>,
) -> Result<(), StoreError> {
    let Some(partition) = partition else { return Ok(()) };
    let row = jobs::table.find(event.job.0);
    let changed = diesel::update(row).set(jobs::partition.eq(partition)).execute(conn)?;
    one_row(changed, || disagreement(event))
}

/// A job holds these units. Who already does is refused by the key of the table.
fn held(conn: &mut Conn, job: JobId, units: &[Unit<'_>]) -> Result<(), StoreError> {
    let row = |&(resource, unit)| NewHeld { resource, unit: i64::from(unit), job_id: job.0 };
    dialect::insert(conn, units.iter().map(row))?;
    Ok(())
}

/// What is held beside CPUs and memory, which is the job's own.
fn written(rest: &[Share]) -> Option<String> {
    let others = rest.iter().filter(|share| &*share.resource != MEMORY);
    let others: BTreeMap<&str, &Held> =
        others.map(|share| (&*share.resource, &share.held)).collect();
    (!others.is_empty()).then(|| json(&others))
}

pub(super) fn started(conn: &mut Conn, event: &Event, handle: Handle) -> Result<(), StoreError> {
    let set = (
        jobs::state.eq(event.to.word()),
        jobs::start_time.eq(handle.start_time.0),
        jobs::process_id.eq(handle.pid),
    );
    change_job(conn, event, set)?;
    let set = resource_allocations::process_id.eq(handle.pid);
    let held = unreleased(event);
    dialect::update(resource_allocations::table, held, set).execute(conn)?;
    Ok(())
}

pub(super) fn ended(
    conn: &mut Conn,
    event: &Event,
    end: &EndState,
    released_units: u32,
) -> Result<(), StoreError> {
    // An end that nobody saw has no usage, rather than one of zero.
    let measured = end.exit_code.is_some();
    let set = (
        jobs::state.eq(event.to.word()),
        jobs::end_time.eq(end.end_time.0),
        jobs::exit_code.eq(end.exit_code.map(|c| c.to_string())),
        jobs::error.eq(&end.error),
        jobs::start_time.eq(end.handle.map(|h| h.start_time.0)),
        jobs::process_id.eq(end.handle.map(|h| h.pid)),
        jobs::user_cpu_us.eq(measured.then_some(end.usage.user_us)),
        jobs::system_cpu_us.eq(measured.then_some(end.usage.system_us)),
        jobs::max_rss_bytes.eq(measured.then_some(end.usage.max_rss_bytes)),
    );
    change_job(conn, event, set)?;
    warned(conn, event.job, &end.warnings)?;
    if released_units == 0 {
        return Ok(());
    }
    gave_back(conn, event, event.to.word(), end, released_units)
}

/// Adds to what the person should know.
pub(super) fn warned(conn: &mut Conn, job: JobId, warnings: &[String]) -> Result<(), StoreError> {
    if warnings.is_empty() {
        return Ok(());
    }
    change_spec(conn, job, |spec| {
        for one in warnings {
            if !spec.warnings.contains(one) {
                spec.warnings.push(one.clone());
            }
        }
    })
}

/// Changes what nothing searches by. Rare, so this may read before it writes.
pub(super) fn change_spec(
    conn: &mut Conn,
    job: JobId,
    change: impl FnOnce(&mut StoredSpec),
) -> Result<(), StoreError> {
    let row = jobs::table.find(job.0);
    let found: Cell = row.select(jobs::spec).get_result(conn)?;
    let mut spec: StoredSpec = RowRef::job(&job).read("spec", found)?;
    change(&mut spec);
    update(row).set(jobs::spec.eq(json(&spec))).execute(conn)?;
    Ok(())
}

/// An attempt ended so, and gave back what it held.
pub(super) fn gave_back(
    conn: &mut Conn,
    event: &Event,
    state: &str,
    end: &EndState,
    released_units: u32,
) -> Result<(), StoreError> {
    let set = (
        resource_allocations::released.eq(true),
        resource_allocations::released_time.eq(event.time.0),
        resource_allocations::process_id.eq(end.handle.map(|h| h.pid)),
        resource_allocations::state.eq(state),
        resource_allocations::exit_code.eq(end.exit_code.map(|c| c.to_string())),
        resource_allocations::error.eq(&end.error),
        resource_allocations::start_time.eq(end.handle.map(|h| h.start_time.0)),
        resource_allocations::end_time.eq(end.end_time.0),
    );
    let given_back = dialect::update(resource_allocations::table, unreleased(event), set);
    one_row(given_back.execute(conn)?, || disagreement(event))?;
    let freed = freed(conn, event.job)?;
    if freed == released_units as usize {
        return Ok(());
    }
    Err(StoreError::Disagrees(format!(
        "job {} gave back {freed} units, not {released_units}",
        event.job
    )))
}

/// A job holds nothing any more; how many units it did.
fn freed(conn: &mut Conn, job: JobId) -> Result<usize, StoreError> {
    let held = held_units::table.filter(held_units::job_id.eq(job.0));
    Ok(diesel::delete(held).execute(conn)?)
}

/// What a job that is over holds is given back. Not guarded: how much it is, is what was doubted.
pub(super) fn reclaimed(conn: &mut Conn, job: JobId, now: Time) -> Result<(), StoreError> {
    let rows = resource_allocations::table
        .filter(resource_allocations::job_id.eq(job.0))
        .filter(not(resource_allocations::released));
    let set =
        (resource_allocations::released.eq(true), resource_allocations::released_time.eq(now.0));
    update(rows).set(set).execute(conn)?;
    freed(conn, job)?;
    Ok(())
}

/// A live attempt holds exactly this, whatever the database said.
pub(super) fn restored(
    conn: &mut Conn,
    attempt: Attempt,
    (cpus, rest): (&[CpuId], &[Share]),
) -> Result<(), StoreError> {
    let units = units(cpus, rest);
    freed(conn, attempt.job)?;
    for (resource, unit) in &units {
        diesel::delete(held_units::table.find((resource, i64::from(*unit)))).execute(conn)?;
    }
    held(conn, attempt.job, &units)?;
    let row = resource_allocations::table
        .filter(resource_allocations::job_id.eq(attempt.job.0))
        .filter(resource_allocations::attempt.eq(attempt.n as i32));
    let set = (
        resource_allocations::released.eq(false),
        resource_allocations::released_time.eq(None::<i64>),
        resource_allocations::allocated_cpus.eq(cpus.len() as i32),
        resource_allocations::cpu_ids.eq(json(&cpus)),
        resource_allocations::resources.eq(written(rest)),
    );
    update(row).set(set).execute(conn)?;
    Ok(())
}

/// `NOT released` as text, not as a parameter: a parameter that decides whether the partial index
/// may be used makes SQLite prepare the statement anew at each run.
#[diesel::dsl::auto_type(no_type_alias)]
fn unreleased(event: &Event) -> _ {
    let job: i64 = event.job.0;
    let attempt: i32 = event.attempt as i32;
    resource_allocations::job_id
        .eq(job)
        .and(resource_allocations::attempt.eq(attempt))
        .and(not(resource_allocations::released))
}
