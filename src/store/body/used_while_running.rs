//! *Purpose*: what attempts used while they ran, read.
//!
//! *Owns*: [`of`], [`of_several`].
//!
//! *Promises*: an attempt that was never measured has none.
//!
//! *Not here*: writing it (`store::body::write`), what they used in all (`store::record`).

use std::collections::BTreeMap;

use diesel::prelude::*;

use super::Conn;
use crate::job::ids::{Attempt, JobId};
use crate::job::usage_series::UsageSeries;
use crate::store::cell::{Cell, RowRef};
use crate::store::error::StoreError;
use crate::store::rows::get;
use crate::store::schema::attempt_usage;

#[derive(Queryable, Selectable)]
#[diesel(table_name = attempt_usage)]
struct StoredUsage {
    job_id: i64,
    attempt: Cell,
    series: Cell,
}

/// What this attempt used, as far as it was kept.
///
/// # Errors
/// What the database says.
pub fn of(conn: &mut Conn, attempt: Attempt) -> Result<Option<UsageSeries>, StoreError> {
    Ok(of_several(conn, &[attempt])?.remove(&attempt))
}

/// The same of each of these that has any.
///
/// # Errors
/// What the database says.
pub fn of_several(
    conn: &mut Conn,
    attempts: &[Attempt],
) -> Result<BTreeMap<Attempt, UsageSeries>, StoreError> {
    let mut found = BTreeMap::new();
    for Attempt { job, n } in attempts {
        let row = attempt_usage::table.find((job.0, i64::from(*n)));
        let row: Option<StoredUsage> =
            row.select(StoredUsage::as_select()).first(conn).optional()?;
        if let Some(row) = row {
            let at = RowRef { table: "attempt_usage", what: "job", id: &row.job_id };
            let attempt = Attempt { job: JobId(row.job_id), n: get!(at, row.attempt) };
            found.insert(attempt, get!(at, row.series));
        }
    }
    Ok(found)
}
