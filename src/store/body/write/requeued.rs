//! *Purpose*: a job that goes back into the queue, as rows.
//!
//! *Owns*: which columns of a job are as before its start.
//!
//! *Promises*: the end of its attempt, the release and the way back are one change.
//!
//! *Not here*: the attempt's own row (`write::attempts`).

use diesel::prelude::*;
use diesel::update;

use super::super::Conn;
use super::attempts::{change_spec, gave_back, warned};
use super::guard::{change_job, exactly};
use crate::job::dependency::Told;
use crate::job::ids::JobId;
use crate::job::state::Hold;
use crate::kernel::change::{Event, PastAttempt};
use crate::store::error::StoreError;
use crate::store::rows::json;
use crate::store::schema::jobs;
use crate::store::updates::{PlacedRow, ReleasedRow};
use crate::time::Time;

pub(super) fn requeued(
    conn: &mut Conn,
    event: &Event,
    past: Option<&PastAttempt>,
    begin: Option<Time>,
    (held, retries): (Hold, u32),
) -> Result<(), StoreError> {
    let begin = begin.map(|time| time.0);
    let nobody = (
        jobs::start_time.eq(None::<i64>),
        jobs::process_id.eq(None::<i32>),
        jobs::completing.eq(None::<String>),
        jobs::end_time.eq(None::<i64>),
        jobs::exit_code.eq(None::<String>),
        jobs::error.eq(None::<String>),
        jobs::user_cpu_us.eq(None::<i64>),
        jobs::system_cpu_us.eq(None::<i64>),
        jobs::max_rss_bytes.eq(None::<i64>),
        jobs::room_since.eq(None::<i64>),
        jobs::suspend_time.eq(None::<i64>),
        jobs::suspended_us.eq(None::<i64>),
    );
    let set = (
        jobs::state.eq(event.to.word()),
        jobs::eligible_time.eq(begin.unwrap_or(event.time.0)),
        jobs::begin_time.eq(begin),
        jobs::held.eq((held > Hold::No).then_some(true)),
        jobs::retries.eq(retries as i32),
        // It has waited for others once, and does not again.
        jobs::dependency.eq(None::<String>),
        jobs::told.eq(None::<String>),
        jobs::restarts.eq(jobs::restarts + 1),
        nobody,
    );
    change_job(conn, event, set)?;
    if held > Hold::No {
        change_spec(conn, event.job, |spec| spec.held_by_operator = held == Hold::ByOperator)?;
    }
    match past {
        Some(past) => {
            warned(conn, event.job, &past.end.warnings)?;
            let units = past.released.units;
            gave_back(conn, &[ReleasedRow::new(event, past.state, &past.end, units)])
        }
        None => Ok(()),
    }
}

/// A job that lists several partitions waits for these again.
pub(super) fn in_partition(
    conn: &mut Conn,
    event: &Event,
    partition: Option<&str>,
) -> Result<(), StoreError> {
    let Some(partition) = partition else { return Ok(()) };
    exactly(conn, &[PlacedRow { event, id: event.job.0, partition }])
}

/// Room was made for a job, or it no longer has a claim to that. It may have been forgotten since.
pub(super) fn claimed(conn: &mut Conn, job: JobId, since: Option<Time>) -> Result<(), StoreError> {
    let row = jobs::table.find(job.0);
    update(row).set(jobs::room_since.eq(since.map(|time| time.0))).execute(conn)?;
    Ok(())
}

/// What a pending job was told of others. It may have been given up before it was stored.
pub(super) fn told(conn: &mut Conn, job: JobId, told: &Told) -> Result<(), StoreError> {
    update(jobs::table.find(job.0)).set(jobs::told.eq(json(told))).execute(conn)?;
    Ok(())
}
