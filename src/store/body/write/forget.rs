//! *Purpose*: ended jobs leave every table.
//!
//! *Owns*: which rows belong to a job.
//!
//! *Promises*: a job that has not ended stays, whoever asks; the script of an array stays while
//! any of its tasks does.
//!
//! *Not here*: which jobs are old (`actors::retention`).

use std::collections::{BTreeMap, BTreeSet};

use diesel::dsl::{exists, select};
use diesel::prelude::*;

use super::super::Conn;
use crate::job::ids::JobId;
use crate::store::cell::{Cell, Stored};
use crate::store::error::StoreError;
use crate::store::schema::attempt_usage;
use crate::store::schema::{events, job_labels, job_scripts, jobs, resource_allocations, steps};

/// Ended jobs leave every table. Those that have not ended stay, whoever asks.
pub(super) fn forgotten(conn: &mut Conn, asked: &[JobId]) -> Result<(), StoreError> {
    let rows: Vec<(i64, Cell, Option<i64>)> = jobs::table
        .filter(jobs::id.eq_any(asked.iter().map(|job| job.0)))
        .filter(jobs::end_time.is_not_null())
        .select((jobs::id, jobs::labels, jobs::array_job_id))
        .load(conn)?;
    let over: Vec<i64> = rows.iter().map(|(id, ..)| *id).collect();
    let mut arrays = Vec::with_capacity(rows.len());
    for (id, labels, array) in rows {
        unlabelled(conn, id, labels)?;
        arrays.push((id, array));
    }
    let events = events::table.filter(events::job_id.eq_any(&over));
    diesel::delete(events).execute(conn)?;
    diesel::delete(steps::table.filter(steps::job_id.eq_any(&over))).execute(conn)?;
    let used = attempt_usage::table.filter(attempt_usage::job_id.eq_any(&over));
    diesel::delete(used).execute(conn)?;
    let allocations =
        resource_allocations::table.filter(resource_allocations::job_id.eq_any(&over));
    diesel::delete(allocations).execute(conn)?;
    diesel::delete(jobs::table.filter(jobs::id.eq_any(&over))).execute(conn)?;
    let (of_arrays, own): (Vec<_>, Vec<_>) = arrays.into_iter().partition(|(_, a)| a.is_some());
    let own: Vec<i64> = own.into_iter().map(|(id, _)| id).collect();
    let scripts = job_scripts::table.filter(job_scripts::job_id.eq_any(&own));
    diesel::delete(scripts).execute(conn)?;
    // All tasks of an array share one script.
    for array in of_arrays.into_iter().filter_map(|(_, array)| array).collect::<BTreeSet<_>>() {
        let left = select(exists(jobs::table.filter(jobs::array_job_id.eq(array))));
        if !left.get_result::<bool>(conn)? {
            diesel::delete(job_scripts::table.find(array)).execute(conn)?;
        }
    }
    Ok(())
}

/// The table of labels is sorted by label, so a job's are found by what they say; where that cannot
/// be read, among all.
fn unlabelled(conn: &mut Conn, job: i64, labels: Cell) -> Result<(), StoreError> {
    let Ok(labels) = BTreeMap::<String, String>::stored(labels) else {
        diesel::delete(job_labels::table.filter(job_labels::job_id.eq(job))).execute(conn)?;
        return Ok(());
    };
    for label in labels {
        let row = job_labels::table.find((label.0, label.1, job));
        diesel::delete(row).execute(conn)?;
    }
    Ok(())
}
