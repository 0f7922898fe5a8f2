//! *Purpose*: jobs that are suspended or go on, as rows.
//!
//! *Owns*: the columns of a suspension.
//!
//! *Promises*: only a job that runs is changed.
//!
//! *Not here*: stopping its processes (`engine`).

use diesel::prelude::*;

use super::super::Conn;
use super::guard::change_job;
use crate::job::suspension::Suspension;
use crate::kernel::change::Event;
use crate::store::error::StoreError;
use crate::store::schema::jobs;

pub(super) fn suspended(
    conn: &mut Conn,
    event: &Event,
    suspension: Suspension,
) -> Result<(), StoreError> {
    let Suspension { since, past_us } = suspension;
    let set = (
        jobs::suspend_time.eq(since.map(|time| time.0)),
        jobs::suspended_us.eq(Some(past_us).filter(|us| *us > 0)),
    );
    change_job(conn, event, set)
}
