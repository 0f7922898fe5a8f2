//! *Purpose*: what attempts used while they ran, as rows.
//!
//! *Owns*: the writing of `attempt_usage`.
//!
//! *Promises*: an attempt has one row, the newest; a job that was forgotten gets none.
//!
//! *Not here*: reading it (`store::body::used_while_running`).

use diesel::dsl::{exists, select};
use diesel::prelude::*;

use super::super::Conn;
use crate::job::ids::Attempt;
use crate::job::usage_series::UsageSeries;
use crate::store::error::StoreError;
use crate::store::rows::json;
use crate::store::schema::{attempt_usage, jobs};

/// Keeps what an attempt used, in the place of what was kept of it before.
pub(super) fn kept(
    conn: &mut Conn,
    attempt: Attempt,
    series: &UsageSeries,
) -> Result<(), StoreError> {
    let Attempt { job, n } = attempt;
    let is_there = select(exists(jobs::table.find(job.0)));
    if !is_there.get_result::<bool>(conn)? {
        return Ok(());
    }
    let series = json(series);
    let series = attempt_usage::series.eq(&series);
    let key = (attempt_usage::job_id.eq(job.0), attempt_usage::attempt.eq(i64::from(n)));
    diesel::insert_into(attempt_usage::table)
        .values((key, series))
        .on_conflict((attempt_usage::job_id, attempt_usage::attempt))
        .do_update()
        .set(series)
        .execute(conn)?;
    Ok(())
}
