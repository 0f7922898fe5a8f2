//! *Purpose*: who asked for what, as it is asked for and answered.
//!
//! *Owns*: [`AskedRecord`], [`AskedFilter`].
//!
//! *Promises*: every field is of the type that it means.
//!
//! *Not here*: the question (`store::body`), transitions of jobs (`store::events`).

use diesel::prelude::*;

use super::cell::{Cell, RowRef};
use super::error::StoreError;
use super::rows::get;
use super::schema::audit;
use crate::job::ids::{JobId, Uid};
use crate::time::Time;

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
pub(super) struct AskedRow {
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
