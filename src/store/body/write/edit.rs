//! *Purpose*: writes what somebody changed about a job.
//!
//! *Owns*: the row of an edited job, and its labels.
//!
//! *Promises*: what the edit leaves out stays as it is.
//!
//! *Not here*: what may be changed (`kernel::admission`), what an edit does (`kernel::commands`).

use diesel::prelude::*;

use super::super::Conn;
use super::super::dialect;
use super::guard::change_job;
use crate::job::edit::Edit;
use crate::kernel::change::Event;
use crate::store::error::StoreError;
use crate::store::record::JobRecord;
use crate::store::rows::{JobRow, NewJob, NewLabel};
use crate::store::schema::{job_labels, jobs};

/// One row as a person changed it. Edits are rare, so it is read and written whole.
pub(super) fn edited(conn: &mut Conn, event: &Event, edit: &Edit) -> Result<(), StoreError> {
    let row = jobs::table.find(event.job.0).select(JobRow::as_select());
    let before = JobRecord::try_from(row.get_result::<JobRow>(conn)?)?;
    let job = before.clone().edited(edit, event.to, event.time);
    let row = NewJob::from(&job);
    let set = (
        (
            jobs::name.eq(row.name),
            jobs::account.eq(row.account),
            jobs::partition.eq(row.partition),
            jobs::priority.eq(row.priority),
            jobs::cpus.eq(row.cpus),
            jobs::memory_bytes.eq(row.memory_bytes),
            jobs::time_limit_s.eq(row.time_limit_s),
        ),
        jobs::labels.eq(&row.labels),
        jobs::spec.eq(&row.spec),
        jobs::eligible_time.eq(row.eligible_time),
        jobs::held.eq(row.held),
        jobs::begin_time.eq(row.begin_time),
        jobs::deadline.eq(row.deadline),
        jobs::dependency.eq(&row.dependency),
    );
    change_job(conn, event, set)?;
    if edit.dependencies.is_some() {
        // What it was told of others than these means nothing any more.
        change_job(conn, event, jobs::told.eq(None::<String>))?;
    }
    if job.labels != before.labels {
        let job_id = event.job.0;
        diesel::delete(job_labels::table.filter(job_labels::job_id.eq(job_id))).execute(conn)?;
        let labels: Vec<_> = NewLabel::of(event.job, &job.labels).collect();
        dialect::insert(conn, &labels)?;
    }
    Ok(())
}
