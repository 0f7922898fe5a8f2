//! *Purpose*: who asked for what.
//!
//! *Owns*: [`AskedRecord`], [`AskedFilter`], [`page`].
//!
//! *Promises*: newest first; a request stands there only if what it changed does.
//!
//! *Not here*: transitions of jobs (`store::events`), noting requests (`store::write`).

use diesel::prelude::*;

use super::cell::{Cell, RowRef};
use super::error::StoreError;
use super::filter::PAGE_MAX;
use super::rows::{get, records};
use super::schema::audit;
use crate::job::ids::{JobId, Uid};
use crate::time::Time;

/// Most jobs that one request is about (a batch), so that those of a job are found by its number.
const JOBS_OF_A_REQUEST: i64 = 10_000;

/// A request that changed something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedRecord {
    /// Its number.
    pub id: i64,
    /// When.
    pub time: Time,
    /// Who, where he is known.
    pub uid: Option<Uid>,
    /// His name.
    pub name: String,
    /// What he was to the server.
    pub role: String,
    /// How he was known.
    pub via: String,
    /// The name of his token.
    pub token: Option<String>,
    /// The process that sent it.
    pub process: Option<i32>,
    /// The address that sent it.
    pub remote: Option<String>,
    /// The number of the request.
    pub request: String,
    /// What he asked for.
    pub verb: String,
    /// The first of its jobs.
    pub target: Option<JobId>,
    /// How many jobs, in a row.
    pub count: u32,
    /// What else there is to say.
    pub detail: String,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit)]
struct AskedRow {
    id: i64,
    time: Cell,
    uid: Cell,
    name: Cell,
    role: Cell,
    via: Cell,
    token_id: Cell,
    peer_pid: Cell,
    remote: Cell,
    request_id: Cell,
    verb: Cell,
    target: Cell,
    count: Cell,
    detail: Cell,
}

impl TryFrom<AskedRow> for AskedRecord {
    type Error = StoreError;

    fn try_from(row: AskedRow) -> Result<AskedRecord, StoreError> {
        let at = RowRef { table: "audit", what: "request", id: &row.id };
        Ok(AskedRecord {
            id: row.id,
            time: get!(at, row.time),
            uid: get!(at, row.uid),
            name: get!(at, row.name),
            role: get!(at, row.role),
            via: get!(at, row.via),
            token: get!(at, row.token_id),
            process: get!(at, row.peer_pid),
            remote: get!(at, row.remote),
            request: get!(at, row.request_id),
            verb: get!(at, row.verb),
            target: get!(at, row.target),
            count: get!(at, row.count),
            detail: get!(at, row.detail),
        })
    }
}

/// Which requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskedFilter {
    /// Of somebody of this name.
    pub user: Option<String>,
    /// About this job.
    pub job: Option<JobId>,
    /// Before this one.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: i64,
}

/// A page of requests, newest first.
///
/// # Errors
/// What the database says.
pub fn page(
    conn: &mut SqliteConnection,
    filter: &AskedFilter,
) -> Result<Vec<AskedRecord>, StoreError> {
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
