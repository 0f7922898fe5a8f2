//! *Purpose*: what attempts used while they ran, as rows.
//!
//! *Owns*: the writing of `attempt_usage`.
//!
//! *Promises*: an attempt has one row, the newest; a job that was forgotten gets none.
//!
//! *Not here*: reading it (`store::used_while_running`).

use diesel::SqliteConnection;
use diesel::dsl::{exists, select};
use diesel::prelude::*;

use super::super::error::StoreError;
use super::super::rows::json;
use super::super::schema::{attempt_usage, jobs};
use crate::job::ids::Attempt;
use crate::job::usage_series::UsageSeries;

/// Keeps what an attempt used, in the place of what was kept of it before.
pub(super) fn kept(
    conn: &mut SqliteConnection,
    attempt: Attempt,
    series: &UsageSeries,
) -> Result<(), StoreError> {
    let Attempt { job, n } = attempt;
    let is_there = select(exists(jobs::table.find(job.0)));
    if !is_there.get_result::<bool>(conn)? {
        return Ok(());
    }
    let row = (
        attempt_usage::job_id.eq(job.0),
        attempt_usage::attempt.eq(i64::from(n)),
        attempt_usage::series.eq(json(series)),
    );
    diesel::replace_into(attempt_usage::table).values(row).execute(conn)?;
    Ok(())
}
