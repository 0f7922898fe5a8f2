//! *Purpose*: who asked for what.
//!
//! *Owns*: [`page`].
//!
//! *Promises*: newest first; a request stands there only if what it changed does.
//!
//! *Not here*: transitions of jobs (`store::events`), noting requests (`store::body::write`).

use diesel::prelude::*;

use super::Conn;
use crate::job::ids::JobId;
use crate::store::error::StoreError;
use crate::store::filter::PAGE_MAX;
use crate::store::history::{AskedFilter, AskedRecord, AskedRow};
use crate::store::rows::records;
use crate::store::schema::audit;

/// Most jobs that one request is about (a batch), so that those of a job are found by its number.
const JOBS_OF_A_REQUEST: i64 = 10_000;

/// A page of requests, newest first.
///
/// # Errors
/// What the database says.
pub fn page(conn: &mut Conn, filter: &AskedFilter) -> Result<Vec<AskedRecord>, StoreError> {
    let mut query = audit::table.select(AskedRow::as_select()).into_boxed();
    if let Some(user) = &filter.user {
        query = query.filter(audit::name.eq(user.clone()));
    }
    if let Some(JobId(job)) = filter.job {
        let first = job.saturating_sub(JOBS_OF_A_REQUEST - 1);
        let last = diesel::dsl::sql::<diesel::sql_types::BigInt>("target + count");
        query = query.filter(audit::target.between(first, job)).filter(last.gt(job));
    }
    if let Some(before) = filter.before {
        query = query.filter(audit::id.lt(before));
    }
    let limit = filter.limit.clamp(1, PAGE_MAX);
    let rows: Vec<AskedRow> = query.order(audit::id.desc()).limit(limit).load(conn)?;
    records(rows)
}
