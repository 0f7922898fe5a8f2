//! *Purpose*: which ids were submitted when.
//!
//! *Owns*: the places where submit times fell back, and the search between them.
//!
//! *Promises*: no job that was submitted within the times lies outside the ids; where the clock
//! was set back there may be others within, so the times are still to be tested. It costs a
//! job nothing: a row is written only where the clock was set back.
//!
//! *Not here*: what else a filter asks for (`store::body::find`).
//!
//! **How.** Ids and submit times rise together, so the ids of a time are found as a word is in a
//! dictionary: by opening it in the middle. Where a clock is set back the order breaks, and that
//! job's id begins a run of its own; in each run the search holds. Clocks that are kept right are
//! set back a little all the time, so up to [`SLACK_US`] is no break: the search then looks that
//! much too far.

use diesel::prelude::*;

use super::Conn;
use super::load;
use crate::kernel::change::Change;
use crate::kernel::outbox::Commit;
use crate::store::cell::{Cell, RowRef};
use crate::store::error::StoreError;
use crate::store::rows::ClockStepRow;
use crate::store::schema::{jobs, submit_time_falls as falls};
use crate::time::Time;

/// How far times may fall back within a run, µs: what a clock under NTP does without being set.
pub const SLACK_US: i64 = 1_000_000;

/// The latest submit time of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latest(i64);

impl Latest {
    /// That of the run that the last job belongs to, or something a little later.
    ///
    /// # Errors
    /// What the database says.
    pub fn read(conn: &mut Conn) -> Result<Latest, StoreError> {
        let last: Option<(i64, Cell)> = jobs::table
            .order(jobs::id.desc())
            .select((jobs::id, jobs::submit_time))
            .first(conn)
            .optional()?;
        let Some((id, time)) = last else { return Ok(Latest(i64::MIN)) };
        let Time(time) = RowRef::job(&id).read("submit_time", time)?;
        Ok(Latest(time.saturating_add(SLACK_US)))
    }

    /// Where submit times fall back within a commit, and what is the latest after it.
    #[must_use]
    pub(super) fn through(self, commit: &Commit) -> (Vec<ClockStepRow>, Latest) {
        let mut found = Vec::new();
        let Latest(mut latest) = self;
        for change in commit.steps.iter().flat_map(|step| step.iter()) {
            let (event, Time(time)) = match change {
                Change::Submitted { event, .. } => (event, event.time),
                // A task was submitted with its array; the last one keeps the array's row.
                Change::Split { event, array, submitted, .. } if event.job != *array => {
                    (event, *submitted)
                }
                _ => continue,
            };
            if time < latest.saturating_sub(SLACK_US) {
                let job_id = event.job.0;
                found.push(ClockStepRow { job_id, time_before: latest, time_after: time });
                latest = time;
            }
            latest = latest.max(time);
        }
        (found, Latest(latest))
    }
}

/// The first id, and the one behind the last, of the jobs submitted at or after `since` and
/// before `until`.
///
/// # Errors
/// What the database says.
pub fn ids(
    conn: &mut Conn,
    since: Option<Time>,
    until: Option<Time>,
) -> Result<(i64, i64), StoreError> {
    let first = match since {
        Some(since) => first_since(conn, since.0)?,
        None => i64::MIN,
    };
    let end = match until {
        Some(until) => end_until(conn, until.0)?,
        None => i64::MAX,
    };
    Ok((first, end))
}

/// In the first run whose latest time is not too early.
fn first_since(conn: &mut Conn, since: i64) -> Result<i64, StoreError> {
    let end: Option<i64> = falls::table
        .filter(falls::time_before.ge(since))
        .order(falls::job_id.asc())
        .select(falls::job_id)
        .first(conn)
        .optional()?;
    let end = match end {
        Some(end) => end,
        None => next_job_id(conn)?,
    };
    let start: Option<i64> = falls::table
        .filter(falls::job_id.lt(end))
        .order(falls::job_id.desc())
        .select(falls::job_id)
        .first(conn)
        .optional()?;
    turn(conn, start.unwrap_or(0), end, since.saturating_sub(SLACK_US))
}

/// In the last run whose earliest time is not too late.
fn end_until(conn: &mut Conn, until: i64) -> Result<i64, StoreError> {
    let until = until.saturating_add(SLACK_US);
    let start: Option<i64> = falls::table
        .filter(falls::time_after.lt(until))
        .order(falls::job_id.desc())
        .select(falls::job_id)
        .first(conn)
        .optional()?;
    let start = start.unwrap_or(0);
    let end: Option<i64> = falls::table
        .filter(falls::job_id.gt(start))
        .order(falls::job_id.asc())
        .select(falls::job_id)
        .first(conn)
        .optional()?;
    let end = match end {
        Some(end) => end,
        None => next_job_id(conn)?,
    };
    turn(conn, start, end, until)
}

fn next_job_id(conn: &mut Conn) -> Result<i64, StoreError> {
    Ok(load::numbers(conn)?.next_job.0)
}

/// An id before which a job is earlier than `time`, and from which on one is not.
fn turn(conn: &mut Conn, mut start: i64, mut end: i64, time: i64) -> Result<i64, StoreError> {
    while start < end {
        let middle = start + (end - start) / 2;
        let job: Option<(i64, Cell)> = jobs::table
            .filter(jobs::id.ge(middle))
            .filter(jobs::id.lt(end))
            .order(jobs::id.asc())
            .select((jobs::id, jobs::submit_time))
            .first(conn)
            .optional()?;
        let Some((id, submitted)) = job else {
            end = middle;
            continue;
        };
        let Time(submitted) = RowRef::job(&id).read("submit_time", submitted)?;
        match submitted < time {
            true => start = id + 1,
            false => end = middle,
        }
    }
    Ok(start)
}
