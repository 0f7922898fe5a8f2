//! *Purpose*: since when jobs are being ended.
//!
//! *Owns*: that question.
//!
//! *Promises*: only jobs that are being ended now are asked about, which are few.
//!
//! *Not here*: when their processes are killed then (`store::record`).

use diesel::prelude::*;

use super::Conn;
use crate::job::state::StateWord;
use crate::store::cell::{Cell, RowRef};
use crate::store::error::StoreError;
use crate::store::record::{AllocationRecord, JobRecord};
use crate::store::schema::events;

/// Notes of each of these jobs since when it is being ended, if it is.
///
/// # Errors
/// What the database says.
pub(super) fn give(
    conn: &mut Conn,
    jobs: &mut [(JobRecord, Option<AllocationRecord>)],
) -> Result<(), StoreError> {
    let ending = jobs.iter_mut().map(|(job, _)| job);
    for job in ending.filter(|job| job.state == StateWord::Completing) {
        // The first of this run: a second request to end it changes nothing.
        let row: Option<(i64, Cell)> = events::table
            .filter(events::job_id.eq(job.id.0))
            .filter(events::attempt.eq(job.attempt.cast_signed()))
            .filter(events::to_state.eq(StateWord::Completing.word()))
            .order(events::id.asc())
            .select((events::id, events::time))
            .first(conn)
            .optional()?;
        let told = row.map(|(id, time)| {
            RowRef { table: "events", what: "event", id: &id }.read("time", time)
        });
        job.stopping_since = told.transpose()?;
    }
    Ok(())
}
