//! *Purpose*: job arrays, as rows.
//!
//! *Owns*: the columns `array_…` of `jobs`.
//!
//! *Promises*: a task gets its row in the change that takes it out of what is left.
//!
//! *Not here*: which task is next (`kernel::commands::task`).

use diesel::prelude::*;

use super::super::Conn;
use super::super::dialect;
use super::guard::{change_job, disagreement, one_row};
use crate::job::array_spec::ArraySpec;
use crate::job::ids::JobId;
use crate::job::state::StateWord;
use crate::kernel::change::Event;
use crate::store::error::StoreError;
use crate::store::record::JobRecord;
use crate::store::rows::{JobRow, NewJob, NewLabel, NewTask};
use crate::store::schema::jobs;

/// A new job is an array. Most are none, so it is said in a statement of its own.
pub(super) fn entered(conn: &mut Conn, event: &Event, array: &ArraySpec) -> Result<(), StoreError> {
    let text = array.to_string();
    let set = (
        jobs::array_job_id.eq(event.job.0),
        jobs::array_tasks.eq(&text),
        jobs::array_spec.eq(&text),
    );
    let row = jobs::id.eq(event.job.0);
    one_row(dialect::update(jobs::table, row, set).execute(conn)?, || disagreement(event))
}

/// A task becomes a job: a row like that of its array, or, of the last task, that row itself.
pub(super) fn split(
    conn: &mut Conn,
    event: &Event,
    array: JobId,
    task: u32,
    left: &ArraySpec,
) -> Result<(), StoreError> {
    let rest: JobRow = jobs::table.find(array.0).select(JobRow::as_select()).get_result(conn)?;
    let own = JobRecord::try_from(rest)?.as_task(event.job, task);
    let row = NewJob::from(&own);
    if event.job == array {
        let set = (
            jobs::spec.eq(&row.spec),
            jobs::dependency.eq(row.dependency),
            jobs::array_task_id.eq(row.array_task_id),
            jobs::array_tasks.eq(None::<String>),
            // It is told anew what that means for one task.
            jobs::told.eq(None::<String>),
        );
        return change_job(conn, event, set);
    }
    let pending = jobs::id.eq(array.0).and(jobs::state.eq(StateWord::Pending.word()));
    let set = jobs::array_tasks.eq(left.to_string());
    one_row(dialect::update(jobs::table, pending, set).execute(conn)?, || disagreement(event))?;
    dialect::insert(conn, &[NewTask(row)])?;
    dialect::insert(conn, &NewLabel::of(event.job, &own.labels).collect::<Vec<_>>())?;
    Ok(())
}
