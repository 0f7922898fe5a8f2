//! *Purpose*: steps of jobs, read.
//!
//! *Owns*: [`page`].
//!
//! *Promises*: in the order in which they were first told of.
//!
//! *Not here*: writing them (`store::body::write`).

use diesel::prelude::*;

use super::Conn;
use super::{load, scope};
use crate::job::ids::JobId;
use crate::kernel::access::Scope;
use crate::store::error::StoreError;
use crate::store::read::AsOf;
use crate::store::schema::{jobs as jobs_table, steps};
use crate::store::steps::{StepRecord, StepRow};

/// The steps of these jobs, or of all, as far as they are seen, behind one of them.
///
/// # Errors
/// What the database says.
pub fn page(
    conn: &mut Conn,
    jobs: Option<&[JobId]>,
    scope: &Scope,
    (after, limit): (i64, i64),
) -> Result<AsOf<Vec<StepRecord>>, StoreError> {
    let page = steps::table.filter(steps::id.gt(after)).order(steps::id).limit(limit);
    let mut page = page.select(StepRow::as_select()).into_boxed();
    if let Some(jobs) = jobs {
        let seen = scope::seen(conn, jobs.iter().copied().collect(), scope)?;
        page = page.filter(steps::job_id.eq_any(seen.into_iter().map(|job| job.0)));
    } else if let Some(own) = scope.own() {
        page = page.filter(steps::job_id.eq_any(scope::of(own).select(jobs_table::id)));
    }
    let rows: Vec<StepRow> = page.load(conn)?;
    let value = rows.into_iter().map(StepRecord::try_from).collect::<Result<_, _>>()?;
    Ok(AsOf { commit_no: load::numbers(conn)?.commit_no, value })
}
