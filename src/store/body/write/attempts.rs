//! *Purpose*: attempts and what they hold, as rows.
//!
//! *Owns*: what is given back, and what is mended, in `resource_allocations` and `held_units`.
//!
//! *Promises*: what is given back is what the kernel says, or the commit fails.
//!
//! *Not here*: what is taken (`write::rounds`).

use diesel::dsl::not;
use diesel::prelude::*;
use diesel::update;

use super::super::Conn;
use super::super::dialect;
use super::guard::exactly;
use crate::job::ids::{Attempt, CpuId, JobId};
use crate::resources::allocation::Share;
use crate::store::cell::{Cell, RowRef};
use crate::store::error::StoreError;
use crate::store::rows::{NewHeld, json, others, units};
use crate::store::schema::{held_units, jobs, resource_allocations};
use crate::store::spec::StoredSpec;
use crate::store::updates::ReleasedRow;
use crate::time::Time;

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

/// Attempts are over, and gave back what they held.
pub(super) fn gave_back(conn: &mut Conn, rows: &[ReleasedRow<'_>]) -> Result<(), StoreError> {
    exactly(conn, rows)?;
    let freed = dialect::free(conn, rows.iter().map(|row| row.job_id))?;
    let unlike = rows.iter().zip(freed).find(|(row, freed)| *freed != row.units as usize);
    let Some((row, freed)) = unlike else { return Ok(()) };
    Err(StoreError::Disagrees(format!(
        "job {} gave back {freed} units, not {}",
        row.job_id, row.units
    )))
}

/// What a job that is over holds is given back. Not guarded: how much it is, is what was doubted.
pub(super) fn reclaimed(conn: &mut Conn, job: JobId, now: Time) -> Result<(), StoreError> {
    let rows = resource_allocations::table
        .filter(resource_allocations::job_id.eq(job.0))
        .filter(not(resource_allocations::released));
    let set =
        (resource_allocations::released.eq(true), resource_allocations::released_time.eq(now.0));
    update(rows).set(set).execute(conn)?;
    dialect::free(conn, [job.0])?;
    Ok(())
}

/// A live attempt holds exactly this, whatever the database said.
pub(super) fn restored(
    conn: &mut Conn,
    attempt: Attempt,
    (cpus, rest): (&[CpuId], &[Share]),
) -> Result<(), StoreError> {
    let units = units(cpus, rest);
    dialect::free(conn, [attempt.job.0])?;
    for (resource, unit) in &units {
        diesel::delete(held_units::table.find((resource, i64::from(*unit)))).execute(conn)?;
    }
    let held: Vec<_> = units.into_iter().map(|unit| NewHeld::of(attempt.job, unit)).collect();
    dialect::insert(conn, &held)?;
    let row = resource_allocations::table
        .filter(resource_allocations::job_id.eq(attempt.job.0))
        .filter(resource_allocations::attempt.eq(attempt.n as i32));
    let set = (
        resource_allocations::released.eq(false),
        resource_allocations::released_time.eq(None::<i64>),
        resource_allocations::allocated_cpus.eq(cpus.len() as i32),
        resource_allocations::cpu_ids.eq(json(&cpus)),
        resource_allocations::resources.eq(others(rest)),
    );
    update(row).set(set).execute(conn)?;
    Ok(())
}
